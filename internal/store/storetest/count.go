package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"shiren/internal/ekyc"
)

// start is in the middle of an hour's first span of counts.
var start = base.Truncate(time.Hour).Add(time.Minute)

var errStop = errors.New("stop")

// counted sums what a query finds, by "measure label".
func counted(t *testing.T, s ekyc.Store, q ekyc.CountQuery) map[string]int64 {
	t.Helper()
	list, err := s.(ekyc.Counts).Counts(t.Context(), q)
	ok(t, err)
	sums := map[string]int64{}
	for _, c := range list {
		sums[string(c.Measure)+" "+c.Label] += c.N
	}
	return sums
}

func visited(token ekyc.Token, app ekyc.AppID, protocol string, at time.Time) ekyc.Session {
	return ekyc.Session{
		Token: token, App: app, Protocol: protocol, Opened: at,
		Plan: ekyc.Plan{ID: ekyc.PlanID("plan-" + app), App: app, Liveness: ekyc.LivenessSilent},
	}
}

// counts: an event is counted once however often an update runs, in the transaction of what it
// tells of, in both spans; nothing of the sandbox.
func counts(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	create(t, s, visited("one", "1", "baidu", start))
	create(t, s, visited("two", "2", "huawei", start.Add(time.Hour)))
	if err := s.CreateSession(ctx, visited("one", "1", "baidu", start)); err == nil {
		t.Fatal("a token was created twice")
	}
	test := visited("three", "1", "baidu", start)
	test.Sandbox = true
	create(t, s, test)
	runs := 0
	_, err := s.UpdateSession(ctx, "one", func(ses *ekyc.Session) error {
		if runs++; runs == 1 { // somebody else is quicker: the function runs again
			_, err := s.UpdateSession(ctx, "one", func(ses *ekyc.Session) error { ses.Attended = start.Add(time.Minute); return nil })
			ok(t, err)
		}
		ses.Agreement = &ekyc.Agreement{At: start.Add(6 * time.Minute)}
		return nil
	})
	ok(t, err)
	if runs != 2 {
		t.Fatalf("the function ran %d times, want 2: the test tests nothing", runs)
	}
	_, err = s.UpdateSession(ctx, "two", func(ses *ekyc.Session) error { ses.Attended = start; return errStop })
	if !errors.Is(err, errStop) {
		t.Fatalf("got %v, want the function's error", err)
	}
	d := ekyc.Direct{ID: "d", App: "1", Protocol: "juhe", Kind: ekyc.ChargeMatch, At: start.Add(2 * time.Hour), Took: 70 * time.Millisecond, Answered: true}
	ok(t, s.AddDirect(ctx, d))
	ok(t, s.AddDirect(ctx, d))
	want := map[string]int64{"opened silent": 2, "funnel opened": 1, "funnel agreed": 1, "direct match/": 1, "latency 100": 1, "charge match": 1}
	for _, short := range []bool{false, true} {
		same(t, "Counts", counted(t, s, ekyc.CountQuery{Short: short}), want)
	}
	same(t, "Counts of an app", counted(t, s, ekyc.CountQuery{App: "2"}), map[string]int64{"opened silent": 1})
	same(t, "Counts of a plan", counted(t, s, ekyc.CountQuery{Plan: "plan-1", Measures: []ekyc.Measure{ekyc.CountOpened}}), map[string]int64{"opened silent": 1})
	same(t, "Counts of a protocol", counted(t, s, ekyc.CountQuery{Protocol: "juhe", Measures: []ekyc.Measure{ekyc.CountCharge, ekyc.CountDirect}}), map[string]int64{"direct match/": 1, "charge match": 1})

	hour := start.Truncate(time.Hour)
	list, err := s.(ekyc.Counts).Counts(ctx, ekyc.CountQuery{Measures: []ekyc.Measure{ekyc.CountOpened}, By: ekyc.GroupBy{Time: true, App: true, Plan: true, Protocol: true}})
	ok(t, err)
	opened := ekyc.Count{At: hour, App: "1", Plan: "plan-1", Protocol: "baidu", Measure: ekyc.CountOpened, Label: "silent", N: 1}
	other := opened
	other.At, other.App, other.Plan, other.Protocol = hour.Add(time.Hour), "2", "plan-2", "huawei"
	same(t, "Counts by everything", list, []ekyc.Count{opened, other})
	inUTC(t, "Counts", list)

	list, err = s.(ekyc.Counts).Counts(ctx, ekyc.CountQuery{Since: hour.Add(time.Nanosecond), Measures: []ekyc.Measure{ekyc.CountOpened, ekyc.CountDirect}, By: ekyc.GroupBy{Time: true}, Into: func(at time.Time) time.Time { return hour.Add(-at.Sub(hour)) }})
	ok(t, err)
	same(t, "Counts into other moments", list, []ekyc.Count{
		{At: hour.Add(-2 * time.Hour), Measure: ekyc.CountDirect, Label: "match/", N: 1, Sum: 70},
		{At: hour.Add(-time.Hour), Measure: ekyc.CountOpened, Label: "silent", N: 1},
	})
	same(t, "Counts before", counted(t, s, ekyc.CountQuery{Before: hour.Add(time.Hour)}), map[string]int64{"opened silent": 1, "funnel opened": 1, "funnel agreed": 1})

	n, err := s.(ekyc.Counts).ForgetCounts(ctx, hour.Add(time.Hour))
	ok(t, err)
	if n != 2 && n != 3 { // PostgreSQL spreads what is written over rows
		t.Errorf("forgot %d rows", n)
	}
	same(t, "short spans after ForgetCounts", counted(t, s, ekyc.CountQuery{Short: true}), map[string]int64{"opened silent": 1, "direct match/": 1, "latency 100": 1, "charge match": 1})
	same(t, "long spans after ForgetCounts", counted(t, s, ekyc.CountQuery{}), want)
	ok(t, s.Forget(ctx, "one"))
	same(t, "Counts after Forget", counted(t, s, ekyc.CountQuery{}), want)
}

// concurrentCounts: many at once neither lose a count nor wait for each other for ever.
func concurrentCounts(t *testing.T, s ekyc.Store) {
	const workers, each = 8, 12
	var wg sync.WaitGroup
	errs := make(chan error, workers*each*2)
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				// Two plans in either order, in one transaction's time.
				app := ekyc.AppID(fmt.Sprint((w + i) % 2))
				errs <- s.CreateSession(t.Context(), visited(ekyc.Token(fmt.Sprint("token ", w, " ", i)), app, "baidu", start.Add(time.Duration(i)*time.Minute)))
				errs <- s.AddDirect(t.Context(), ekyc.Direct{ID: fmt.Sprint(w, "-", i), App: app, Kind: ekyc.ChargeMatch, At: start, Answered: true})
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		ok(t, err)
	}
	want := map[string]int64{"opened silent": workers * each, "direct match/": workers * each, "charge match": workers * each}
	for _, short := range []bool{false, true} {
		same(t, "Counts", counted(t, s, ekyc.CountQuery{Short: short, Measures: []ekyc.Measure{ekyc.CountOpened, ekyc.CountDirect, ekyc.CountCharge}}), want)
	}
	list, err := s.(ekyc.Counts).Counts(t.Context(), ekyc.CountQuery{By: ekyc.GroupBy{Time: true, App: true}})
	ok(t, err)
	if !slices.IsSortedFunc(list, func(a, b ekyc.Count) int { return a.At.Compare(b.At) }) {
		t.Error("counts are not in the order of time")
	}
}
