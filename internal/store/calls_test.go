package store_test

import (
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
	"shiren/internal/store"
	"shiren/internal/store/storetest"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); calls(t, open(t, inFile(t)).Calls()) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); calls(t, open(t, storetest.Postgres(t).Database(t)).Calls()) })
}

// calls is the story of three calls: one that answered, one that failed, and one during
// which the server died.
func calls(t *testing.T, j *store.Calls) {
	ctx := t.Context()
	start := time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)
	for i, end := range []*upstream.Call{
		{Ended: start.Add(2 * time.Second), Took: 300 * time.Millisecond, Charged: true, Cost: 350_000},
		{Ended: start.Add(time.Minute), Took: 500 * time.Millisecond, Code: ekyc.SourceFailed},
		nil,
	} {
		c := upstream.Call{
			ID: string(rune('a' + i)), Source: "baidu", Name: "/verify", LogID: "12" + string(rune('0'+i)),
			Begun: start.Add(time.Duration(i) * time.Second), Charged: true, Cost: 350_000,
		}
		if err := j.BeginCall(ctx, c); err != nil {
			t.Fatal(err)
		}
		if end == nil {
			continue
		}
		end.ID = c.ID
		if err := j.EndCall(ctx, *end); err != nil {
			t.Fatal(err)
		}
	}
	got, err := j.Totals(ctx, time.Time{})
	want := store.CallTotals{
		Source: "baidu", Calls: 3, Unfinished: 1, Failed: 1, Charged: 2, Cost: 700_000, Mean: 400 * time.Millisecond, Worst: 500 * time.Millisecond,
	}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("Totals = %+v, %v; want %+v", got, err, want)
	}
	if got, err := j.Totals(ctx, start.Add(time.Hour)); len(got) != 0 || err != nil {
		t.Errorf("Totals of later = %+v, %v; want none", got, err)
	}
	list, err := j.List(ctx, start.Add(time.Second), "", 9)
	if err != nil || len(list) != 2 || list[0].ID != "c" || !list[0].Ended.IsZero() || !list[0].Charged || list[1].Code != ekyc.SourceFailed {
		t.Errorf("List = %+v, %v; want the unfinished call and the failed one", list, err)
	}
	list, err = j.List(ctx, time.Time{}, "120", 9)
	if err != nil || len(list) != 1 || list[0].ID != "a" || list[0].Took != 300*time.Millisecond || list[0].Cost != 350_000 || !list[0].Begun.Equal(start) {
		t.Errorf("List of a log id = %+v, %v; want the first call", list, err)
	}
}
