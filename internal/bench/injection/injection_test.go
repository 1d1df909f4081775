package injection

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
)

// sessions is how many attacks TestRun plays of each kind: each attacker once and more,
// and half as many honest sessions, one in each condition. Rates are measured by
// `shiren bench injection`.
const sessions = 14

// honestMost is the largest share of honest sessions that may be rejected in so few
// sessions. What is reached in many stands in docs/liveness.md.
var honestMost = map[ekyc.LivenessKind]float64{ekyc.LivenessFlash: 0.12, ekyc.LivenessAction: 0.12, ekyc.LivenessDistance: 0.12}

// TestRun plays all kinds, a few sessions of each through the WebSocket too, and holds
// the rules to what docs/liveness.md claims of them.
func TestRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes minutes; not with -short")
	}
	material(t) // so that its pictures are known
	o := Options{Engine: shared.memo, Models: enginetest.Dir(t), Sessions: sessions, Wired: 2, Seed: 1, Now: time.Now, Progress: func(s string) { t.Log(s) }}
	rep, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := rep.Write(&page); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + page.String())
	for _, r := range rep.Results {
		if !slices.Equal(slices.Sorted(maps.Keys(r.Accepted)), slices.Sorted(slices.Values(Attackers(r.Kind)))) {
			t.Errorf("%s: accepted names %v, want %v", r.Kind, slices.Sorted(maps.Keys(r.Accepted)), Attackers(r.Kind))
		}
		if !slices.Equal(slices.Sorted(maps.Keys(r.Rejected)), slices.Sorted(slices.Values(Conditions))) {
			t.Errorf("%s: honest_rejected names %v, want %v", r.Kind, slices.Sorted(maps.Keys(r.Rejected)), Conditions)
		}
		if r.Wired == nil {
			t.Errorf("%s: nothing went through the WebSocket", r.Kind)
		}
		if r.Kind == ekyc.LivenessSilent {
			// Nothing is asked, so an injected video is as good as a camera: if this fails, the
			// documentation must change.
			if r.Accepted["looped_video"] == 0 {
				t.Error("silent: an injected video is refused; docs/liveness.md says otherwise")
			}
			continue
		}
		if r.AcceptedAll > 0 {
			t.Errorf("%s: %d of %d attacks were accepted: %v", r.Kind, r.AcceptedAll, r.Sessions, r.Accepted)
		}
		if most, ok := honestMost[r.Kind]; ok && float64(r.RejectedAll) > most*float64(r.Honest) {
			share := float64(r.RejectedAll) / float64(r.Honest)
			t.Errorf("%s: %.1f %% of honest sessions were rejected: %v", r.Kind, 100*share, r.Rejected)
		}
		for name, c := range r.Wired.Accepted {
			if c.Of > 0 {
				t.Errorf("%s through the WebSocket: %d of %s were accepted", r.Kind, c.Of, name)
			}
		}
	}
	if !strings.Contains(page.String(), "SYNTHETIC") {
		t.Error("the report does not say that it is synthetic")
	}
	b, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var keys struct {
		Synthetic string
		Sessions  int
		Kinds     []map[string]json.RawMessage
	}
	if err := json.Unmarshal(b, &keys); err != nil || keys.Synthetic == "" || keys.Sessions != sessions || len(keys.Kinds) != len(Kinds) {
		t.Fatalf("the JSON lacks its keys (%v): %.300s", err, b)
	}
	for _, k := range []string{"kind", "sessions", "accepted", "honest_rejected"} {
		if keys.Kinds[0][k] == nil {
			t.Errorf("the JSON of a kind lacks %q", k)
		}
	}
}

// TestRepeats plays the same few sessions twice, on other numbers of worlds.
func TestRepeats(t *testing.T) {
	m := material(t)
	tab := &table{m: m, kind: ekyc.LivenessSilent}
	play := func(n int) (codes []ekyc.Code, took []time.Duration) {
		w, err := newWorld(t.Context(), shared.memo, m, uint64(n), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.close(); err != nil {
				t.Error(err)
			}
		}()
		for i := n; i < 4; i++ {
			r := sessionRand(7, tab.kind, "honest", i)
			w.reseed(r)
			out, err := w.play(t.Context(), tab.kind, tab.honest("jitter", r, nil), r)
			if err != nil {
				t.Fatal(err)
			}
			codes, took = append(codes, out.code), append(took, out.took)
		}
		return codes, took
	}
	codes, took := play(0)
	again, tookAgain := play(2)
	if !slices.Equal(codes[2:], again) || !slices.Equal(took[2:], tookAgain) {
		t.Errorf("sessions 2 and 3 alone gave %v %v, after others %v %v", again, tookAgain, codes[2:], took[2:])
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	// Of none in n the upper end is 1 - .025^(1/n), the "rule of 3.7".
	if got, want := interval(0, 10000), 1-math.Pow(0.025, 1e-4); math.Abs(got[1]-want) > 1e-9 || got[0] != 0 {
		t.Errorf("0 of 10000: got %v, want 0 to %v", got, want)
	}
	// Clopper and Pearson's own example: 3 of 10 is .067 to .652.
	if got := interval(3, 10); math.Abs(got[0]-0.0667) > 1e-3 || math.Abs(got[1]-0.6525) > 1e-3 {
		t.Errorf("3 of 10: got %v, want .067 to .652", got)
	}
	if got := interval(5, 5); got[1] != 1 || got[0] < 0.47 || got[0] > 0.48 {
		t.Errorf("5 of 5: got %v, want .478 to 1", got)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	if _, err := Run(t.Context(), Options{}); err == nil {
		t.Error("a run of no sessions was made")
	}
	tab := &table{m: &Material{persons: []*person{{name: "a"}}}, kind: ekyc.LivenessFlash}
	if _, err := tab.attack("nobody", sessionRand(1, tab.kind, "x", 0)); err == nil {
		t.Error("an attacker that does not exist attacked")
	}
	if errors.Is(&broken{ekyc.NoFace}, errTimedOut) {
		t.Error("a broken presentation is taken for one that timed out")
	}
}

// TestCaptures lets three pages talk to a server at a time: each gets hints, and every frame
// is looked at, skipped or held back.
func TestCaptures(t *testing.T) {
	t.Parallel()
	r, err := Captures(t.Context(), CapturesOptions{
		Engine: enginetest.Engine(t), Models: enginetest.Dir(t), Sessions: 3, Span: 3 * time.Second, Kind: ekyc.LivenessSilent, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := r.Write(&page); err != nil || !strings.Contains(page.String(), "SYNTHETIC") {
		t.Errorf("the report: %v, %q", err, page.String())
	}
	t.Log("\n" + page.String())
	if r.Hints < 3 || r.Frames < r.Hints || r.Skipped != r.Frames-r.Hints || r.P50 <= 0 || r.P95 < r.P50 || r.P99 < r.P95 {
		t.Errorf("got %+v, want hints for every page and ordered latencies", r)
	}
	if _, err := Captures(t.Context(), CapturesOptions{}); err == nil {
		t.Error("captures of nobody were measured")
	}
}
