package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/store"
	"shiren/internal/store/storetest"
)

// TestLoad has Load write what single writes do, a failed batch nothing, and Remove take one app's
// away and no other's.
func TestLoad(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		load(t, open(t, inFile(t)), open(t, inFile(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := storetest.Postgres(t)
		load(t, open(t, server.Database(t)), open(t, server.Database(t)))
	})
}

func load(t *testing.T, single, batch *store.Store) {
	ctx := t.Context()
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	var b store.Batch
	for i := range 6 {
		app := ekyc.AppID(fmt.Sprint(1 + i%2))
		ses := typical(fmt.Sprint("token ", i))
		ses.App, ses.Protocol, ses.Attended = app, "baidu", at
		ses.Attempts[0].Kind = ekyc.LivenessSilent
		ses.Attempts[0].Charges = []ekyc.Charge{{ID: fmt.Sprint("charge ", i), App: app, Plan: ses.Plan.ID, Kind: ekyc.ChargeMatch, At: at}}
		b.Sessions = append(b.Sessions, ses)
		b.Directs = append(b.Directs, ekyc.Direct{ID: fmt.Sprint("call ", i), App: app, Protocol: "juhe", Kind: ekyc.ChargeElements, At: at, Answered: true})
	}
	for _, s := range []*store.Store{single, batch} {
		for _, id := range []ekyc.AppID{"1", "2"} {
			if err := s.PutApp(ctx, ekyc.App{ID: id, Key: "key" + string(id)}); err != nil {
				t.Fatal(err)
			}
			if err := s.PutPlan(ctx, ekyc.Plan{ID: ekyc.PlanID("plan" + id), App: id}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range b.Sessions {
		if err := single.CreateSession(ctx, b.Sessions[i]); err != nil {
			t.Fatal(err)
		}
		if err := single.AddDirect(ctx, b.Directs[i]); err != nil {
			t.Fatal(err)
		}
	}
	past := b.Sessions[5]
	b.Sessions, b.Past = b.Sessions[:5], b.Sessions[5:]
	if err := batch.Load(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := batch.Load(ctx, store.Batch{Past: []ekyc.Session{past}, Sessions: b.Sessions[:1]}); err == nil {
		t.Fatal("a token was loaded twice")
	}
	all := ekyc.CountQuery{By: ekyc.GroupBy{Time: true, App: true, Plan: true, Protocol: true}}
	want, err1 := single.Counts(ctx, all)
	got, err2 := batch.Counts(ctx, all)
	if err := errors.Join(err1, err2); err != nil || len(want) < 12 || !reflect.DeepEqual(got, want) {
		t.Errorf("counted %+v, %v; want %+v, as after single writes", got, err, want)
	}
	for _, app := range []ekyc.AppID{"1", "2"} {
		for _, kind := range []ekyc.ChargeKind{ekyc.ChargeMatch, ekyc.ChargeElements} {
			if n, err := batch.Charged(ctx, app, kind); err != nil || n != 3 {
				t.Errorf("app %s has %d charges for %s, %v; want 3", app, n, kind, err)
			}
		}
	}
	for i, ses := range b.Sessions {
		have, err1 := batch.Session(ctx, ses.Token)
		want, err2 := single.Session(ctx, ses.Token)
		have.Key, want.Key = nil, nil
		if err := errors.Join(err1, err2); err != nil || !reflect.DeepEqual(have, want) {
			t.Errorf("session %d came back otherwise than it was written singly: %v", i, err)
		}
	}
	if _, err := batch.Session(ctx, past.Token); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("a past session has a record: %v", err)
	}
	if used, err := batch.Used(ctx, []ekyc.AppID{"1"}); err != nil || !reflect.DeepEqual(used, []ekyc.AppID{"2"}) {
		t.Errorf("in use are %v, %v", used, err)
	}
	removed(t, ctx, batch, want)
}

func removed(t *testing.T, ctx context.Context, s *store.Store, before []ekyc.Count) {
	t.Helper()
	stop, seen := errors.New("stop"), 0
	if _, err := s.Remove(ctx, "1", func(ekyc.Session) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a removal that must stop: %v", err)
	}
	r, err := s.Remove(ctx, "1", func(ses ekyc.Session) error {
		if seen++; ses.App != "1" {
			t.Errorf("a session of app %s was handed over", ses.App)
		}
		return nil
	})
	if want := (store.Removed{Sessions: 3, Directs: 3, Charges: 6}); err != nil || r != want || seen != 3 {
		t.Errorf("removed %+v, %v, and saw %d sessions; want %+v", r, err, seen, want)
	}
	var want []ekyc.Count
	for _, c := range before {
		if c.App != "1" {
			want = append(want, c)
		}
	}
	got, err := s.Counts(ctx, ekyc.CountQuery{By: ekyc.GroupBy{Time: true, App: true, Plan: true, Protocol: true}})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("left are %+v, %v; want those of app 2: %+v", got, err, want)
	}
	apps, err1 := s.Apps(ctx)
	plans, err2 := s.Plans(ctx)
	directs, err3 := s.Directs(ctx, ekyc.DirectQuery{})
	if err := errors.Join(err1, err2, err3); err != nil || len(apps) != 1 || len(plans) != 1 || len(directs) != 3 {
		t.Errorf("left are %d apps, %d plans, %d calls, %v; want those of app 2", len(apps), len(plans), len(directs), err)
	}
	if n, err := s.Charged(ctx, "1", ekyc.ChargeMatch); err != nil || n != 0 {
		t.Errorf("the removed app has %d charges, %v", n, err)
	}
}
