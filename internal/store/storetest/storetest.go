// Package storetest holds every ekyc.Store to the same promises, above all to those that
// hurt when they are broken: lost updates, double charges, time zones, and purges that
// stop half-way.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shiren/internal/ekyc"
)

// Run tests the stores that open returns: an empty one each time, closed by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) ekyc.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s ekyc.Store)
	}{
		{"session comes back as it went", sessionRoundTrip},
		{"absent session", absentSession},
		{"token created twice", createTwice},
		{"update", update},
		{"update that fails leaves nothing", updateFails},
		{"concurrent updates of one session", concurrentUpdates},
		{"two finishes of one attempt charge once", twoFinishes},
		{"charges are counted once", chargedOnce},
		{"charges outlive their session", chargesStay},
		{"concurrent charges", concurrentCharges},
		{"due, oldest first, to the nanosecond", due},
		{"due while rows arrive", dueWhileRowsArrive},
		{"purge interrupted half-way", purgeInterrupted},
		{"dropped data key", droppedKey},
		{"apps", apps},
		{"an API key has one app", apiKeyUnique},
		{"a bearer key has one app", bearerKeys},
		{"direct calls", directCalls},
		{"counts", counts},
		{"concurrent counts", concurrentCounts},
		{"reserved calls", reserved},
		{"switches", switches},
		{"plans", plans},
		{"what a caller does to a result is the caller's affair", ownCopies},
		{"cancelled", cancelled},
		{"records", records},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, s ekyc.Store, ses ekyc.Session) {
	t.Helper()
	ok(t, s.CreateSession(t.Context(), ses))
}

func read(t *testing.T, s ekyc.Store, token ekyc.Token) ekyc.Session {
	t.Helper()
	ses, err := s.Session(t.Context(), token)
	ok(t, err)
	return ses
}

func charged(t *testing.T, s ekyc.Store, app ekyc.AppID, kind ekyc.ChargeKind) int64 {
	t.Helper()
	n, err := s.Charged(t.Context(), app, kind)
	ok(t, err)
	return n
}

// same compares what was stored with what was read; moments by their instant.
func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func inUTC(t *testing.T, what string, v any) {
	t.Helper()
	if bad := notUTC(reflect.ValueOf(v), ""); len(bad) > 0 {
		t.Errorf("%s: not in UTC: %v", what, bad)
	}
}

func sessionRoundTrip(t *testing.T, s ekyc.Store) {
	want := Full("token-0000000000000000000")
	want.Reference.Template.Vector = make([]float32, 512)
	for i := range want.Reference.Template.Vector {
		want.Reference.Template.Vector[i] = float32(i-256) / 257
	}
	create(t, s, want)
	got := read(t, s, want.Token)
	if len(got.Key) == 0 {
		t.Error("the session came back without a data key")
	}
	want.Key = got.Key
	same(t, "Session", got, want)
	inUTC(t, "Session", got)

	minimal := ekyc.Session{Token: "minimal", Opened: base, Key: got.Key}
	create(t, s, minimal)
	same(t, "a session with a key of its own and nothing else", read(t, s, "minimal"), minimal)
}

func absentSession(t *testing.T, s ekyc.Store) {
	if _, err := s.Session(t.Context(), "nobody"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("Session said %v, want ErrAbsent", err)
	}
	ran := false
	_, err := s.UpdateSession(t.Context(), "nobody", func(*ekyc.Session) error { ran = true; return nil })
	if !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("UpdateSession said %v, want ErrAbsent", err)
	}
	if ran {
		t.Error("UpdateSession ran its function on an absent session")
	}
	if err := s.Forget(t.Context(), "nobody"); err != nil {
		t.Errorf("Forget said %v, want success", err)
	}
}

func createTwice(t *testing.T, s ekyc.Store) {
	first := Full("one")
	create(t, s, first)
	second := ekyc.Session{Token: "one", App: "another", Opened: base}
	if err := s.CreateSession(t.Context(), second); err == nil {
		t.Error("CreateSession took a token that exists")
	}
	if got := read(t, s, "one").App; got != first.App {
		t.Errorf("the second create replaced the first: app %q", got)
	}
}

func update(t *testing.T, s ekyc.Store) {
	create(t, s, Full("one"))
	create(t, s, Full("two"))
	before := read(t, s, "one")
	got, err := s.UpdateSession(t.Context(), "one", func(ses *ekyc.Session) error {
		same(t, "what the function gets", *ses, before)
		ses.Agreement = &ekyc.Agreement{Version: "2", At: base.Add(time.Nanosecond)}
		ses.Claim = nil
		ses.Redirect.Success = "https://example.com/?a=<b>&c=%20"
		ses.Evidence = append(ses.Evidence, ekyc.Evidence{Ref: "new", Until: base})
		return nil
	})
	ok(t, err)
	same(t, "UpdateSession's result against a read", got, read(t, s, "one"))
	inUTC(t, "UpdateSession's result", got)
	want := before
	want.Agreement = &ekyc.Agreement{Version: "2", At: base.Add(time.Nanosecond)}
	want.Claim = nil
	want.Redirect.Success = "https://example.com/?a=<b>&c=%20"
	want.Evidence = append(slices.Clone(before.Evidence), ekyc.Evidence{Ref: "new", Until: base})
	same(t, "the updated session", got, want)
	other := Full("two")
	other.Key = read(t, s, "two").Key
	same(t, "its neighbour", read(t, s, "two"), other)

	_, err = s.UpdateSession(t.Context(), "one", func(ses *ekyc.Session) error { ses.Token = "three"; return nil })
	if err == nil {
		t.Error("UpdateSession let its function change the token")
	}
	same(t, "the session after that", read(t, s, "one"), want)
}

func updateFails(t *testing.T, s ekyc.Store) {
	create(t, s, Full("one"))
	before := read(t, s, "one")
	refusal := ekyc.Errorf(ekyc.TokenInvalid, "spent")
	got, err := s.UpdateSession(t.Context(), "one", func(ses *ekyc.Session) error {
		ses.App, ses.Attempts = "another", nil
		ses.Attempts = append(ses.Attempts, ekyc.Attempt{Charges: []ekyc.Charge{{ID: "x", App: "another", Kind: ekyc.ChargeMatch}}})
		return refusal
	})
	if err != refusal { // the very error, so that a gateway finds its code
		t.Errorf("UpdateSession said %v, want its function's error as it is", err)
	}
	same(t, "UpdateSession's session beside an error", got, ekyc.Session{})
	same(t, "the session after a failed update", read(t, s, "one"), before)
	if n := charged(t, s, "another", ekyc.ChargeMatch); n != 0 {
		t.Errorf("the failed update charged %d, want 0", n)
	}
}

func concurrentUpdates(t *testing.T, s ekyc.Store) {
	const updaters, each = 16, 8
	create(t, s, ekyc.Session{Token: "one", App: "1", Opened: base})
	var wg sync.WaitGroup
	for u := range updaters {
		wg.Go(func() {
			for i := range each {
				_, err := s.UpdateSession(t.Context(), "one", func(ses *ekyc.Session) error {
					ses.Calls = append(ses.Calls, ekyc.Call{LogID: fmt.Sprint(u, "/", i), At: base})
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, c := range read(t, s, "one").Calls {
		seen[c.LogID]++
	}
	for u := range updaters {
		for i := range each {
			if n := seen[fmt.Sprint(u, "/", i)]; n != 1 {
				t.Errorf("update %d of updater %d is there %d times, want once", i, u, n)
			}
		}
	}
}

// Of several callers that finish one attempt, all see one outcome and one charge.
func twoFinishes(t *testing.T, s ekyc.Store) {
	plan := ekyc.Plan{
		ID: "p", App: "1", Comparison: ekyc.CompareUploaded, Identity: ekyc.IdentityNone, LivenessLevel: ekyc.LevelNormal, MatchAt: 0.8, EndsOnFailure: true,
	}
	ses := ekyc.Session{
		Token: "one", App: "1", Plan: plan, Opened: base,
		Agreement: &ekyc.Agreement{Version: "1", At: base}, Reference: &ekyc.Reference{},
	}
	create(t, s, ses)
	_, err := s.UpdateSession(t.Context(), "one", func(ses *ekyc.Session) error {
		_, err := ses.Begin(base.Add(time.Second), "log")
		return err
	})
	ok(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		score := ekyc.Score(0.99)
		if i%2 == 1 {
			score = 0.1
		}
		wg.Go(func() {
			_, err := s.UpdateSession(t.Context(), "one", func(ses *ekyc.Session) error {
				_, err := ses.Finish(base.Add(2*time.Second), 1, ekyc.Findings{
					Measured: true, Live: 1, Compared: true, Comparison: ekyc.Comparison{Score: score},
				})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := read(t, s, "one"); len(got.Attempts) != 1 || len(got.Charges()) != 1 {
		t.Errorf("%d attempts and %d charges, want 1 and 1", len(got.Attempts), len(got.Charges()))
	}
	if n := charged(t, s, "1", ekyc.ChargeMatch); n != 1 {
		t.Errorf("the ledger has %d charges, want 1", n)
	}
}

func charge(id string, app ekyc.AppID, kind ekyc.ChargeKind) ekyc.Charge {
	return ekyc.Charge{ID: id, App: app, Plan: "p", Kind: kind, At: base, LogID: "log", Attempt: 1}
}

// chargedFor is a session of one attempt with these charges.
func chargedFor(token string, list ...ekyc.Charge) ekyc.Session {
	return ekyc.Session{Token: ekyc.Token(token), App: list[0].App, Opened: base, Attempts: []ekyc.Attempt{{Ordinal: 1, Charges: list}}}
}

func chargedOnce(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	if n := charged(t, s, "1", ekyc.ChargeMatch); n != 0 {
		t.Errorf("an empty ledger has %d charges", n)
	}
	for i := range 3 {
		create(t, s, chargedFor(fmt.Sprint("same", i), charge("a", "1", ekyc.ChargeMatch)))
	}
	create(t, s, chargedFor("another kind", charge("b", "1", ekyc.ChargeVerify)))
	create(t, s, chargedFor("another app", charge("c", "2", ekyc.ChargeMatch)))
	// A session that brings a charge which is there already, and a new one.
	create(t, s, chargedFor("one", charge("a", "1", ekyc.ChargeMatch), charge("d", "1", ekyc.ChargeMatch)))
	for i := range 3 { // the same update again, as after a lost reply; and one more that adds nothing
		_, err := s.UpdateSession(ctx, "one", func(ses *ekyc.Session) error {
			if len(ses.Attempts) == 1 {
				ses.Attempts = append(ses.Attempts, ekyc.Attempt{Ordinal: 2, Charges: []ekyc.Charge{charge("e", "1", ekyc.ChargeMatch)}})
			}
			ses.Calls = append(ses.Calls, ekyc.Call{LogID: fmt.Sprint(i)})
			return nil
		})
		ok(t, err)
	}
	for _, want := range []struct {
		app  ekyc.AppID
		kind ekyc.ChargeKind
		n    int64
	}{
		{"1", ekyc.ChargeMatch, 3},
		{"1", ekyc.ChargeVerify, 1},
		{"1", ekyc.ChargeLive, 0},
		{"2", ekyc.ChargeMatch, 1},
		{"2", ekyc.ChargeVerify, 0},
	} {
		if got := charged(t, s, want.app, want.kind); got != want.n {
			t.Errorf("app %s has %d charges of %s, want %d", want.app, got, want.kind, want.n)
		}
	}
}

func chargesStay(t *testing.T, s ekyc.Store) {
	create(t, s, chargedFor("one", charge("a", "1", ekyc.ChargeLive)))
	ok(t, s.Forget(t.Context(), "one"))
	if n := charged(t, s, "1", ekyc.ChargeLive); n != 1 {
		t.Errorf("%d charges after the session was forgotten, want 1", n)
	}
	create(t, s, chargedFor("two", charge("a", "1", ekyc.ChargeLive)))
	if n := charged(t, s, "1", ekyc.ChargeLive); n != 1 {
		t.Errorf("%d charges after the same one came again, want 1", n)
	}
}

// Writers whose charges touch the same totals in opposite orders must neither wait for
// each other for ever nor miscount.
func concurrentCharges(t *testing.T, s ekyc.Store) {
	const writers = 16
	var wg sync.WaitGroup
	for i := range writers {
		list := []ekyc.Charge{
			charge(fmt.Sprint("m", i/2), "1", ekyc.ChargeMatch), // each twice
			charge(fmt.Sprint("l", i), "1", ekyc.ChargeLive),
			charge(fmt.Sprint("v", i), "1", ekyc.ChargeVerify),
		}
		if i%2 == 1 {
			slices.Reverse(list)
		}
		wg.Go(func() {
			if err := s.CreateSession(t.Context(), chargedFor(fmt.Sprint("t", i), list...)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for kind, want := range map[ekyc.ChargeKind]int64{ekyc.ChargeMatch: writers / 2, ekyc.ChargeLive: writers, ekyc.ChargeVerify: writers} {
		if got := charged(t, s, "1", kind); got != want {
			t.Errorf("%d charges of %s, want %d", got, kind, want)
		}
	}
}

func listDue(t *testing.T, s ekyc.Store, now time.Time, limit int) []ekyc.Token {
	t.Helper()
	list, err := s.Due(t.Context(), now, limit)
	ok(t, err)
	var tokens []ekyc.Token
	for _, ses := range list {
		tokens = append(tokens, ses.Token)
	}
	return tokens
}

func due(t *testing.T, s ekyc.Store) {
	// Opened in an order that is neither that of due times nor that of tokens.
	for _, o := range []struct {
		token ekyc.Token
		after time.Duration
	}{{"b", 2 * time.Hour}, {"d", time.Hour}, {"a", 3 * time.Hour}, {"c", time.Hour + time.Nanosecond}, {"z", -time.Hour}} {
		create(t, s, ekyc.Session{Token: o.token, App: "1", Opened: base.Add(o.after)})
	}
	at := func(after time.Duration) time.Time { return base.Add(ekyc.ResultKept + after) }
	for _, c := range []struct {
		name  string
		now   time.Time
		limit int
		want  []ekyc.Token
	}{
		{"before any", at(-2 * time.Hour), 10, nil},
		{"all", at(10 * time.Hour), 10, []ekyc.Token{"z", "d", "c", "b", "a"}},
		{"limited", at(10 * time.Hour), 2, []ekyc.Token{"z", "d"}},
		{"none asked for", at(10 * time.Hour), 0, nil},
		{"at the very moment", at(time.Hour), 10, []ekyc.Token{"z", "d"}},
		{"a nanosecond before", at(time.Hour - time.Nanosecond), 10, []ekyc.Token{"z"}},
		{"in another zone", at(2 * time.Hour).In(time.FixedZone("UTC-11", -11*60*60)), 10, []ekyc.Token{"z", "d", "c", "b"}},
	} {
		same(t, c.name, listDue(t, s, c.now, c.limit), c.want)
	}
	// Evidence that must go earlier makes its session due earlier, until it is gone.
	_, err := s.UpdateSession(t.Context(), "a", func(ses *ekyc.Session) error {
		ses.Evidence = []ekyc.Evidence{{Ref: "media", Until: base}}
		return nil
	})
	ok(t, err)
	same(t, "with media that is due", listDue(t, s, at(-2*time.Hour), 10), []ekyc.Token{"a"})
	_, err = s.UpdateSession(t.Context(), "a", func(ses *ekyc.Session) error { ses.Evidence = nil; return nil })
	ok(t, err)
	same(t, "without it", listDue(t, s, at(-2*time.Hour), 10), nil)
}

// A purge works through what is due, a few at a time, while sessions are opened that are
// due and that are not: each due one is met, no other is.
func dueWhileRowsArrive(t *testing.T, s ekyc.Store) {
	const each = 40
	now := base.Add(ekyc.ResultKept)
	name := func(kind string, i int) ekyc.Token { return ekyc.Token(fmt.Sprintf("%s%02d", kind, i)) }
	open := func(kind string, i int, opened time.Time) error {
		return s.CreateSession(t.Context(), ekyc.Session{Token: name(kind, i), App: "1", Opened: opened})
	}
	for i := range each {
		ok(t, open("old", i, base.Add(-time.Duration(i)*time.Minute)))
	}
	arrived := make(chan error, 1)
	go func() {
		var errs []error
		for i := range each {
			errs = append(errs,
				open("late", i, base.Add(-time.Duration(i)*time.Second)),
				open("new", i, base.Add(time.Duration(i+1)*time.Second)))
		}
		arrived <- errors.Join(errs...)
	}()
	met := map[ekyc.Token]int{}
	purge := func() {
		for {
			list := listDue(t, s, now, 7)
			for _, token := range list {
				met[token]++
				ok(t, s.Forget(t.Context(), token))
			}
			if len(list) == 0 {
				return
			}
		}
	}
	purge()
	ok(t, <-arrived)
	purge()
	for i := range each {
		for _, token := range []ekyc.Token{name("old", i), name("late", i)} {
			if met[token] != 1 {
				t.Errorf("session %s was met %d times, want once", string(token), met[token])
			}
		}
		if met[name("new", i)] != 0 {
			t.Errorf("session %s was met before it was due", string(name("new", i)))
		}
		read(t, s, name("new", i))
	}
}

func purgeInterrupted(t *testing.T, s ekyc.Store) {
	now := base.Add(ekyc.ResultKept + time.Hour)
	for i := range 6 {
		create(t, s, ekyc.Session{
			Token: ekyc.Token(fmt.Sprint("t", i)), App: "1", Opened: base.Add(time.Duration(i) * time.Second),
			Evidence: []ekyc.Evidence{{Ref: fmt.Sprint("ref", i), Until: base.Add(time.Duration(i) * time.Minute)}},
		})
	}
	before := listDue(t, s, now, 10)
	// The purger forgets two and is stopped between deleting an image and its record.
	ok(t, s.Forget(t.Context(), "t0"))
	ok(t, s.Forget(t.Context(), "t1"))
	rest, err := s.Due(t.Context(), now, 10)
	ok(t, err)
	if len(before) != 6 || len(rest) != 4 {
		t.Fatalf("%d sessions due, then %d, want 6 and 4", len(before), len(rest))
	}
	for i, ses := range rest { // the next one still knows which images to delete
		if want := fmt.Sprint("ref", i+2); ses.Token != ekyc.Token(fmt.Sprint("t", i+2)) || len(ses.Evidence) != 1 || ses.Evidence[0].Ref != want {
			t.Errorf("due session %d has token %q and evidence %v, want %s", i, string(ses.Token), ses.Evidence, want)
		}
	}
	for _, token := range before { // and repeats all of it
		ok(t, s.Forget(t.Context(), token))
	}
	same(t, "due after the purge", listDue(t, s, now, 10), nil)
}

// A purger that drops the data key first must still learn from the record what images
// remain to be deleted.
func droppedKey(t *testing.T, s ekyc.Store) {
	create(t, s, Full("one"))
	before := read(t, s, "one")
	got, err := s.UpdateSession(t.Context(), "one", func(ses *ekyc.Session) error { ses.Key = nil; return nil })
	ok(t, err)
	if len(got.Key) == 0 || cmp.Equal(got.Key, before.Key) {
		t.Errorf("after its key was dropped the session has key %x, want a new one", got.Key)
	}
	same(t, "UpdateSession's result against a read", got, read(t, s, "one"))
	before.Key = got.Key
	same(t, "the session after its key was dropped", got, before)
	same(t, "due", listDue(t, s, before.Due(), 10), []ekyc.Token{"one"})
}

func apps(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	if _, err := s.App(ctx, "1"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("App said %v, want ErrAbsent", err)
	}
	if _, err := s.AppByKey(ctx, "key"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("AppByKey said %v, want ErrAbsent", err)
	}
	var a ekyc.App
	fill(reflect.ValueOf(&a).Elem(), new(int))
	a.ID, a.Key = "20", "key"
	check := func(want ekyc.App) {
		t.Helper()
		byID, err := s.App(ctx, want.ID)
		ok(t, err)
		same(t, "App", byID, want)
		inUTC(t, "App", byID)
		byKey, err := s.AppByKey(ctx, want.Key)
		ok(t, err)
		same(t, "AppByKey", byKey, want)
	}
	ok(t, s.PutApp(ctx, a))
	check(a)
	// A change is seen by the next read, however the app was found before.
	a.Key, a.Secret, a.Disabled, a.Quota = "key2", "secret2", true, nil
	ok(t, s.PutApp(ctx, a))
	check(a)
	if _, err := s.AppByKey(ctx, "key"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("AppByKey of the replaced key said %v, want ErrAbsent", err)
	}
	for _, id := range []ekyc.AppID{"3", "100", "1"} {
		ok(t, s.PutApp(ctx, ekyc.App{ID: id, Key: "key of " + string(id)}))
	}
	list, err := s.Apps(ctx)
	ok(t, err)
	var ids []ekyc.AppID
	for _, app := range list {
		ids = append(ids, app.ID)
	}
	same(t, "Apps", ids, []ekyc.AppID{"1", "100", "20", "3"})
	same(t, "the changed app in Apps", list[2], a)
}

func apiKeyUnique(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	ok(t, s.PutApp(ctx, ekyc.App{ID: "1", Key: "one"}))
	ok(t, s.PutApp(ctx, ekyc.App{ID: "2", Key: "two"}))
	for _, thief := range []ekyc.App{{ID: "3", Key: "one"}, {ID: "2", Key: "one"}} {
		if err := s.PutApp(ctx, thief); err == nil {
			t.Errorf("PutApp gave app %s the API key of app 1", thief.ID)
		}
	}
	for key, want := range map[string]ekyc.AppID{"one": "1", "two": "2"} {
		if a, err := s.AppByKey(ctx, key); err != nil || a.ID != want {
			t.Errorf("key %q finds app %q, %v; want app %s", key, a.ID, err, want)
		}
	}
}

func plans(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	if _, err := s.Plan(ctx, "p"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("Plan said %v, want ErrAbsent", err)
	}
	p := Full("x").Plan
	p.ID = "p"
	ok(t, s.PutPlan(ctx, p))
	p.Version = 1
	got, err := s.Plan(ctx, "p")
	ok(t, err)
	same(t, "Plan", got, p)
	inUTC(t, "Plan", got)
	p.MatchAt, p.Consent.Text = 0.5, nil
	ok(t, s.PutPlan(ctx, p))
	p.Version = 2
	got, err = s.Plan(ctx, "p")
	ok(t, err)
	same(t, "Plan after a change", got, p)
	for _, id := range []ekyc.PlanID{"Z", "a-b", "ab", "10"} {
		ok(t, s.PutPlan(ctx, ekyc.Plan{ID: id, App: "1"}))
	}
	list, err := s.Plans(ctx)
	ok(t, err)
	var ids []ekyc.PlanID
	for _, plan := range list {
		ids = append(ids, plan.ID)
	}
	same(t, "Plans", ids, []ekyc.PlanID{"10", "Z", "a-b", "ab", "p"})
	same(t, "the changed plan in Plans", list[4], p)
}

func ownCopies(t *testing.T, s ekyc.Store) {
	ctx := t.Context()
	quota := map[ekyc.ChargeKind]int64{ekyc.ChargeMatch: 5}
	text := map[string]string{"en": "text"}
	ok(t, s.PutApp(ctx, ekyc.App{ID: "1", Key: "k", Quota: quota, Allow: []string{"192.0.2.1"}}))
	ok(t, s.PutPlan(ctx, ekyc.Plan{ID: "p", Consent: ekyc.Consent{Text: text}}))
	create(t, s, Full("one"))
	spoil := func() {
		a, err := s.App(ctx, "1")
		ok(t, err)
		p, err := s.Plan(ctx, "p")
		ok(t, err)
		ses := read(t, s, "one")
		same(t, "quota", a.Quota[ekyc.ChargeMatch], int64(5))
		same(t, "allowed", a.Allow[0], "192.0.2.1")
		a.Allow[0] = "spoilt"
		same(t, "text", p.Consent.Text["en"], "text")
		same(t, "vector", ses.Reference.Template.Vector, Full("one").Reference.Template.Vector)
		a.Quota[ekyc.ChargeMatch] = 0
		p.Consent.Text["en"] = "spoiled"
		ses.Reference.Template.Vector[0] = 0
	}
	quota[ekyc.ChargeMatch], text["en"] = 0, "spoiled"
	for range 3 {
		spoil()
	}
}

// A caller that gave up before its turn has written nothing, and is told so.
func cancelled(t *testing.T, s ekyc.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	create(t, s, ekyc.Session{Token: "one", App: "1", Opened: base})
	if err := s.CreateSession(ctx, ekyc.Session{Token: "two", Opened: base}); !errors.Is(err, context.Canceled) {
		t.Errorf("CreateSession said %v, want %v", err, context.Canceled)
	}
	if _, err := s.UpdateSession(ctx, "one", func(ses *ekyc.Session) error { ses.App = "2"; return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("UpdateSession said %v, want %v", err, context.Canceled)
	}
	if err := s.Forget(ctx, "one"); !errors.Is(err, context.Canceled) {
		t.Errorf("Forget said %v, want %v", err, context.Canceled)
	}
	if _, err := s.Session(t.Context(), "two"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("the cancelled create left something: %v", err)
	}
	if got := read(t, s, "one").App; got != "1" {
		t.Errorf("the cancelled update changed the app to %q", got)
	}
}
