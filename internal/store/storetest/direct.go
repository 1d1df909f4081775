package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shiren/internal/ekyc"
)

// bearerKeys: a key that admits alone finds its app and no other, and dies when replaced.
func bearerKeys(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	find := func(key string) ekyc.AppID {
		t.Helper()
		a, err := s.AppByBearer(ctx, key)
		if err != nil && !errors.Is(err, ekyc.ErrAbsent) {
			t.Fatal(err)
		}
		return a.ID
	}
	ok(t, s.PutApp(ctx, ekyc.App{ID: "1", Key: "one", Bearer: "first"}))
	ok(t, s.PutApp(ctx, ekyc.App{ID: "2", Key: "two"}))
	ok(t, s.PutApp(ctx, ekyc.App{ID: "3", Key: "three"})) // a second app without one
	for key, want := range map[string]ekyc.AppID{"first": "1", "": "", "one": "", "other": ""} {
		if got := find(key); got != want {
			t.Errorf("bearer key %q finds app %q, want %q", key, got, want)
		}
	}
	if err := s.PutApp(ctx, ekyc.App{ID: "2", Key: "two", Bearer: "first"}); err == nil {
		t.Error("PutApp gave app 2 the bearer key of app 1")
	}
	ok(t, s.PutApp(ctx, ekyc.App{ID: "1", Key: "one", Bearer: "second"}))
	ok(t, s.PutApp(ctx, ekyc.App{ID: "2", Key: "two", Bearer: "first"}))
	if a, b := find("second"), find("first"); a != "1" || b != "2" {
		t.Errorf("after the keys went round they find apps %q and %q, want 1 and 2", a, b)
	}
}

func direct(id string, app ekyc.AppID, at time.Time) ekyc.Direct {
	return ekyc.Direct{ID: id, Ref: "ref-" + id, App: app, Kind: ekyc.ChargeElements, At: at, Answered: true}
}

// directCalls: a record comes back as it went, once, with its charge; lists are newest
// first and page without loss.
func directCalls(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	var full ekyc.Direct
	fill(reflect.ValueOf(&full).Elem(), new(int))
	full.ID = "full"
	ok(t, s.AddDirect(ctx, full))
	list, err := s.Directs(ctx, ekyc.DirectQuery{})
	ok(t, err)
	full.Keys = nil // which never come back
	same(t, "Directs", list, []ekyc.Direct{full})
	inUTC(t, "Directs", list)
	if n := charged(t, s, full.App, full.Kind); n != 0 {
		t.Errorf("%d real charges of a call in test mode, want none", n)
	}

	for i := range 7 { // three at one moment
		ok(t, s.AddDirect(ctx, direct(fmt.Sprint("d", i), "1", base.Add(time.Duration(max(0, i-2))*time.Minute))))
	}
	ok(t, s.AddDirect(ctx, direct("d3", "1", base)))
	other := direct("other", "2", base)
	other.Answered = false
	ok(t, s.AddDirect(ctx, other))
	if a, b := charged(t, s, "1", ekyc.ChargeElements), charged(t, s, "2", ekyc.ChargeElements); a != 7 || b != 0 {
		t.Errorf("%d and %d charges, want 7 and 0", a, b)
	}
	ids := func(q ekyc.DirectQuery) (ids []string) {
		t.Helper()
		list, err := s.Directs(ctx, q)
		ok(t, err)
		for _, d := range list {
			ids = append(ids, d.ID)
		}
		return ids
	}
	want := []string{"d6", "d5", "d4", "d3", "d2", "d1", "d0"}
	same(t, "of an app", ids(ekyc.DirectQuery{App: "1"}), want)
	var paged []string
	q := ekyc.DirectQuery{App: "1", Limit: 2}
	for range 10 {
		list, err := s.Directs(ctx, q)
		ok(t, err)
		if len(list) == 0 {
			break
		}
		for _, d := range list {
			paged = append(paged, d.ID)
		}
		q.Before, q.BeforeID = list[len(list)-1].At, list[len(list)-1].ID
	}
	same(t, "in pages of two", paged, want)
	same(t, "by log id", ids(ekyc.DirectQuery{ID: "d2"}), []string{"d2"})
	same(t, "by the relying party's name", ids(ekyc.DirectQuery{ID: "ref-d2"}), []string{"d2"})
	same(t, "of an app that did not make it", ids(ekyc.DirectQuery{ID: "d2", App: "2"}), nil)
	same(t, "since", ids(ekyc.DirectQuery{App: "1", Since: base.Add(3 * time.Minute)}), []string{"d6", "d5"})
	same(t, "of another kind", ids(ekyc.DirectQuery{App: "1", Kind: ekyc.ChargeMatch}), nil)
}

// reserved: whatever many take at once, no more than the most is given out.
func reserved(t *testing.T, s ekyc.Store) {
	var given atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				n, err := s.Reserve(t.Context(), "calls", 7, 100)
				if err != nil {
					t.Error(err)
					return
				}
				if n == 0 {
					return
				}
				given.Add(n)
			}
		})
	}
	wg.Wait()
	if given.Load() != 100 {
		t.Errorf("%d of 100 were given out", given.Load())
	}
	for _, c := range []struct{ n, most, want int64 }{{5, 103, 3}, {5, 103, 0}, {5, 50, 0}} {
		if got, err := s.Reserve(t.Context(), "calls", c.n, c.most); err != nil || got != c.want {
			t.Errorf("%d below %d: got %d, %v, want %d", c.n, c.most, got, err, c.want)
		}
	}
	if got, err := s.Reserve(t.Context(), "others", 5, 103); err != nil || got != 5 {
		t.Errorf("another counter: got %d, %v, want 5", got, err)
	}
}

func switches(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	check := func(kind ekyc.ChargeKind, want ekyc.Switch) {
		t.Helper()
		got, err := s.Switch(ctx, kind)
		ok(t, err)
		same(t, "Switch", got, want)
	}
	check(ekyc.ChargeMatch, ekyc.In)
	for _, want := range []ekyc.Switch{ekyc.Paused, ekyc.Out, ekyc.In} {
		ok(t, s.PutSwitch(ctx, ekyc.ChargeMatch, want))
		check(ekyc.ChargeMatch, want)
		check(ekyc.ChargeLive, ekyc.In)
	}
}
