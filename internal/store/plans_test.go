package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/store"
	"shiren/internal/store/storetest"
)

// A change names the version that it was made to; of two at once one is refused, and no
// version is lost.
func TestPlanVersions(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, s *store.Store) {
		ctx, at := t.Context(), time.UnixMilli(1_767_225_600_000).UTC()
		p, err := s.ChangePlan(ctx, ekyc.PlanVersion{Plan: ekyc.Plan{ID: "p", App: "1", Name: "a"}, At: at, By: "acc", Name: "wang", Note: "new"})
		if err != nil || p.Version != 1 {
			t.Fatalf("a new plan has version %d, %v", p.Version, err)
		}
		if _, err := s.ChangePlan(ctx, ekyc.PlanVersion{Plan: ekyc.Plan{ID: "p", App: "1"}}); !errors.Is(err, ekyc.ErrConflict) {
			t.Errorf("made twice: %v, want ErrConflict", err)
		}
		if _, err := s.ChangePlan(ctx, ekyc.PlanVersion{Plan: ekyc.Plan{ID: "q", App: "1", Version: 1}}); !errors.Is(err, ekyc.ErrConflict) {
			t.Errorf("a change of nothing: %v, want ErrConflict", err)
		}
		if again, err := s.ChangePlan(ctx, ekyc.PlanVersion{Plan: p}); err != nil || again.Version != 1 {
			t.Errorf("the same again: version %d, %v; want 1", again.Version, err)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for _, name := range []string{"b", "c", "d", "e"} {
			wg.Go(func() {
				q := p
				q.Name = name
				_, err := s.ChangePlan(ctx, ekyc.PlanVersion{Plan: q, At: at.Add(time.Hour)})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, ekyc.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d of four changes to one version were taken, want 1", won)
		}
		list, err := s.PlanVersions(ctx, "p")
		if err != nil || len(list) != 2 {
			t.Fatalf("%d versions, %v; want 2", len(list), err)
		}
		if v := list[1]; v.Plan.Name != "a" || v.Plan.Version != 1 || !v.At.Equal(at) || v.By != "acc" || v.Name != "wang" || v.Note != "new" {
			t.Errorf("the first version: %+v", v)
		}
		if v := list[0]; v.Plan.Version != 2 || !v.At.Equal(at.Add(time.Hour)) {
			t.Errorf("the second version: %+v", v)
		}
		if none, err := s.PlanVersions(ctx, "none"); len(none) != 0 || err != nil {
			t.Errorf("versions of nothing: %v, %v", none, err)
		}
	}
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); run(t, open(t, inFile(t))) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); run(t, open(t, storetest.Postgres(t).Database(t))) })
}
