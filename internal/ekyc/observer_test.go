package ekyc_test

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// told notes what an observer is told.
type told struct {
	mu      sync.Mutex
	ended   []ekyc.Ended
	direct  []ekyc.Direct
	charged []ekyc.ChargeKind
	counts  map[string]int64 // by measure and label
}

func (o *told) Ended(e ekyc.Ended) { o.mu.Lock(); defer o.mu.Unlock(); o.ended = append(o.ended, e) }

func (o *told) Answered(d ekyc.Direct) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.direct = append(o.direct, d)
}

func (o *told) Counted(list []ekyc.Count) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.counts == nil {
		o.counts = map[string]int64{}
	}
	for _, c := range list {
		o.counts[string(c.Measure)+" "+c.Label] += c.N
	}
}

func (o *told) Charged(k ekyc.ChargeKind, _ bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.charged = append(o.charged, k)
}

// TestWhatSourcesCost has each source's cost beside its answer, also of one that failed, and
// their sum in the record of a direct call.
func TestWhatSourcesCost(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	o := &told{}
	k.Observer = o
	k.Sources = []ekyc.Source{
		{Name: "down", Face: &vendor{err: ekyc.Errorf(ekyc.SourceFailed, "down"), cost: 10}},
		{Name: "vendor", Face: &vendor{out: ekyc.Match, score: 0.9, cost: 350_000}},
	}
	k.Order = []string{"down", "vendor"}
	costs := func(list []ekyc.Asked) (out []int64) {
		for _, a := range list {
			out = append(out, a.Cost)
		}
		return out
	}
	want := []int64{10, 350_000}
	a := attempt(t, k, func(*ekyc.Plan) {})
	if got := costs(a.Asked); !slices.Equal(got, want) {
		t.Errorf("the attempt's sources cost %v, want %v", got, want)
	}
	_, err := k.Verify(k.Ctx, k.App, claim(t), ekyc.Picture{
		Image: testkit.Photo(testkit.Face{Person: "zhang"}), Quality: ekyc.LevelNone, Liveness: ekyc.LevelNone,
	}, "12345", "")
	if err != nil {
		t.Fatal(err)
	}
	list, err := k.Kept.Directs(k.Ctx, ekyc.DirectQuery{ID: "12345"})
	if err != nil || len(list) != 1 {
		t.Fatalf("records of the direct call: %v, %v; want one", list, err)
	}
	if got := costs(list[0].Asked); !slices.Equal(got, want) || list[0].Cost != 350_010 {
		t.Errorf("the direct call's sources cost %v, %d in all; want %v, 350010", got, list[0].Cost, want)
	}
	if _, err := k.Elements(k.Ctx, k.App, ekyc.ElementsRequest{
		Claim: claim(t), Mobile: "13800138000", Image: testkit.Photo(testkit.Face{Person: "zhang"}), LogID: "12346",
	}); err != nil {
		t.Fatal(err)
	}
	list, err = k.Kept.Directs(k.Ctx, ekyc.DirectQuery{ID: "12346"})
	if err != nil || len(list) != 1 || list[0].Cost != 350_010 {
		t.Errorf("the record of the elements: %+v, %v; want the same cost", list, err)
	}
	if got, want := o.charged, []ekyc.ChargeKind{ekyc.ChargeVerify, ekyc.ChargeVerify, ekyc.ChargeElements}; !slices.Equal(got, want) {
		t.Errorf("the observer was told of charges %v, want %v", got, want)
	}
	kept, err := k.Kept.Counts(k.Ctx, ekyc.CountQuery{By: ekyc.GroupBy{Plan: true}})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, c := range kept {
		if c.Plan != "" && c.Measure != ekyc.CountCharge { // of sessions
			counts[string(c.Measure)+" "+c.Label] += c.N
		}
	}
	if !maps.Equal(o.counts, counts) || counts["funnel passed"] != 1 {
		t.Errorf("the observer was told of %v, and kept is %v", o.counts, counts)
	}
	if len(o.ended) != 1 || o.ended[0].Outcome != ekyc.Match || o.ended[0].Kind != ekyc.ChargeVerify || len(o.direct) != 2 {
		t.Errorf("the observer was told of %+v and %d direct calls, want one match and two", o.ended, len(o.direct))
	}
}

// TestObserverOfRefusedAttempts tells of an attempt that never reached the engine, and of
// nothing where the token was refused.
func TestObserverOfRefusedAttempts(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	o := &told{}
	k.Observer = o
	tok := k.OpenPlan("1").Token
	if err := k.Abandon(k.Ctx, tok, ekyc.Cancelled); err != nil {
		t.Fatal(err)
	}
	if err := k.Abandon(k.Ctx, "unknown", ekyc.Cancelled); err == nil {
		t.Error("an unknown token was abandoned")
	}
	if len(o.ended) != 1 || o.ended[0].Code != ekyc.Cancelled || o.ended[0].Outcome != ekyc.Failed || len(o.charged) != 0 {
		t.Errorf("the observer was told of %+v and charges %v, want one attempt, cancelled and free", o.ended, o.charged)
	}
}
