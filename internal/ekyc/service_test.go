package ekyc_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

const (
	number = "11010519491231002X" // GB 11643's own example
	name   = "张三丰"
)

func wantCode(t *testing.T, what string, err error, want ekyc.Code) {
	t.Helper()
	if got := ekyc.CodeOf(err); got != want {
		t.Errorf("%s: got %q (%v), want %q", what, got, err, want)
	}
}

func claim(t *testing.T) ekyc.Claim {
	t.Helper()
	c, err := ekyc.ParseClaim(name, number, ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func enrol(t *testing.T, k *testkit.Kit, tok ekyc.Token, person string) {
	t.Helper()
	err := k.Enrol(k.Ctx, k.App, tok, testkit.Photo(testkit.Face{Person: person}), ekyc.LevelNone, ekyc.LevelNone)
	if err != nil {
		t.Fatal(err)
	}
}

func walk(t *testing.T, k *testkit.Kit, tok ekyc.Token, f testkit.Face) ekyc.Attempt {
	t.Helper()
	a, err := k.Walk(tok, f)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestUploadedReference(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("2").Token

	_, err := k.Result(k.Ctx, k.App, tok)
	wantCode(t, "results before any attempt", err, ekyc.NotStarted)
	_, err = k.Walk(tok, testkit.Face{Person: "zhang"})
	wantCode(t, "capture without a reference", err, ekyc.RefMissing)

	enrol(t, k, tok, "zhang")
	if a := walk(t, k, tok, testkit.Face{Person: "li"}); a.Code != ekyc.NonMatch || a.Outcome != ekyc.NonMatched {
		t.Errorf("another person: got %s/%q, want a non-match", a.Outcome, a.Code)
	}
	a := walk(t, k, tok, testkit.Face{Person: "zhang"})
	if a.Outcome != ekyc.Match || a.Score < 0.8 || a.Ordinal != 2 {
		t.Errorf("the person: got %+v, want a match on attempt 2", a)
	}
	_, err = k.Walk(tok, testkit.Face{Person: "zhang"})
	wantCode(t, "a passed token", err, ekyc.TokenInvalid)
	wantCode(t, "a new reference for a passed token", k.Enrol(k.Ctx, k.App, tok, testkit.Photo(testkit.Face{}), ekyc.LevelNone, ekyc.LevelNone), ekyc.TokenInvalid)

	s, err := k.Result(k.Ctx, k.App, tok)
	if err != nil || len(s.Verifications(k.Clock.Now())) != 2 || len(s.Charges()) != 2 {
		t.Errorf("got %d attempts, %d charges, %v; want 2 and 2", len(s.Attempts), len(s.Charges()), err)
	}
	_, err = k.Result(k.Ctx, k.Other, tok)
	wantCode(t, "another app's token", err, ekyc.TokenInvalid)

	face := s.Find(ekyc.EvidenceFace, 2)
	if len(face) != 1 {
		t.Fatalf("got %d face images of the attempt, want 1", len(face))
	}
	img, ev, err := k.Evidence(k.Ctx, tok, face[0].Ref)
	if err != nil || ev.Type != "image/jpeg" || !strings.Contains(string(img), "zhang") {
		t.Errorf("face image: %q, %+v, %v", img, ev, err)
	}
	if n, err := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeMatch); n != 2 || err != nil {
		t.Errorf("ledger: got %d, %v; want 2", n, err)
	}
}

func TestOneShotPlan(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("5").Token
	enrol(t, k, tok, "zhang")
	if err := k.Abandon(k.Ctx, tok, ekyc.CameraRefused); err != nil {
		t.Fatal(err)
	}
	if a := walk(t, k, tok, testkit.Face{Person: "zhang", Spoof: true}); a.Code != ekyc.LivenessFailed || len(a.Charges) != 0 {
		t.Errorf("attack: got %+v, want liveness failed, free of charge", a)
	}
	_, err := k.Walk(tok, testkit.Face{Person: "zhang"})
	wantCode(t, "a token that died with its failure", err, ekyc.TokenInvalid)
	s, err := k.Result(k.Ctx, k.App, tok)
	if v := s.Verifications(k.Clock.Now()); err != nil || len(v) != 1 || v[0].Code != ekyc.LivenessFailed {
		t.Errorf("got %d verifications, %v; want the decided one alone", len(v), err)
	}
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	k.Authority.Add("810000199408230021", "陈小明", nil)
	for _, c := range []struct {
		what   string
		name   string
		number string
		doc    ekyc.DocumentType
		face   string
		want   ekyc.Code
		charge int
	}{
		{"right person", name, number, ekyc.IDCard, "zhang", ekyc.OK, 1},
		{"wrong face", name, number, ekyc.IDCard, "li", ekyc.NonMatch, 1},
		{"wrong name", "李四", number, ekyc.IDCard, "zhang", ekyc.IdentityMismatch, 1},
		{"unknown number", name, "440524188001010014", ekyc.IDCard, "zhang", ekyc.IdentityUnknown, 1},
		{"no portrait", "陈小明", "810000199408230021", ekyc.ResidencePermit, "chen", ekyc.PortraitNone, 1},
	} {
		tok := k.OpenPlan("3").Token
		_, err := k.Walk(tok, testkit.Face{Person: c.face})
		wantCode(t, c.what+" undeclared", err, ekyc.ClaimMissing)
		cl, err := ekyc.ParseClaim(c.name, c.number, c.doc)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if err := k.Declare(k.Ctx, k.App, tok, cl); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		a := walk(t, k, tok, testkit.Face{Person: c.face})
		if a.Code != c.want || len(a.Charges) != c.charge {
			t.Errorf("%s: got %q with %d charges, want %q with %d", c.what, a.Code, len(a.Charges), c.want, c.charge)
		}
	}

	// A source that does not answer is never a non-match, and never charged.
	k.Authority.Err = errors.New("connection refused")
	tok := k.OpenPlan("3").Token
	if err := k.Declare(k.Ctx, k.App, tok, claim(t)); err != nil {
		t.Fatal(err)
	}
	if a := walk(t, k, tok, testkit.Face{Person: "zhang"}); a.Outcome != ekyc.Failed || a.Code != ekyc.SourceFailed || len(a.Charges) != 0 {
		t.Errorf("dead source: got %s/%q, %d charges", a.Outcome, a.Code, len(a.Charges))
	}
	k.Authority.Err = nil
	if a := walk(t, k, tok, testkit.Face{Person: "zhang"}); a.Outcome != ekyc.Match {
		t.Errorf("source back: got %s/%q, want a match", a.Outcome, a.Code)
	}
}

func TestEnteredIdentity(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	tok := k.OpenPlan("4").Token
	wantCode(t, "declared on a plan that asks the person", k.Declare(k.Ctx, k.App, tok, claim(t)), ekyc.NotSwitchedOn)
	wantCode(t, "entered before agreeing", k.Enter(k.Ctx, tok, claim(t)), ekyc.ConsentMissing)
	wantCode(t, "agreed to another text", k.Agree(k.Ctx, tok, "1999-01"), ekyc.ConsentMissing)
	k.Consent(tok)
	if err := k.Enter(k.Ctx, tok, claim(t)); err != nil {
		t.Fatal(err)
	}
	if a := walk(t, k, tok, testkit.Face{Person: "zhang"}); a.Outcome != ekyc.Match || a.Claim == nil || string(a.Claim.Name) != name {
		t.Errorf("got %+v", a)
	}
	s, err := k.Attend(k.Ctx, tok)
	if err != nil || s.Agreement == nil || s.Agreement.Version != "2026-01" || s.Agreement.At.IsZero() {
		t.Errorf("agreement: got %+v, %v; want version and time", s.Agreement, err)
	}
	for _, secret := range []string{name, number, string(tok)} {
		if strings.Contains(k.Logs.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestEnrolControls(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("2").Token
	for _, c := range []struct {
		face              testkit.Face
		quality, liveness ekyc.Level
		want              ekyc.Code
	}{
		{testkit.Face{Blurred: true}, ekyc.LevelNone, ekyc.LevelNone, ekyc.OK},
		{testkit.Face{Blurred: true}, ekyc.LevelLow, ekyc.LevelNone, ekyc.FaceBlurred},
		{testkit.Face{Spoof: true}, ekyc.LevelHigh, ekyc.LevelNone, ekyc.OK},
		{testkit.Face{Spoof: true}, ekyc.LevelHigh, ekyc.LevelLow, ekyc.RefLiveness},
		{testkit.Face{None: true}, ekyc.LevelNone, ekyc.LevelNone, ekyc.NoFace},
		{testkit.Face{Others: 2}, ekyc.LevelHigh, ekyc.LevelNone, ekyc.OK}, // the largest face is meant
		{testkit.Face{Width: 1921, Height: 1080}, ekyc.LevelNone, ekyc.LevelNone, ekyc.ImagePixels},
		{testkit.Face{Width: 1080, Height: 1920}, ekyc.LevelNone, ekyc.LevelNone, ekyc.OK},
		{testkit.Face{Fault: ekyc.ImageHEIC}, ekyc.LevelNone, ekyc.LevelNone, ekyc.ImageHEIC},
	} {
		err := k.Enrol(k.Ctx, k.App, tok, testkit.Photo(c.face), c.quality, c.liveness)
		wantCode(t, string(testkit.Photo(c.face)), err, c.want)
	}
	wantCode(t, "another app's token", k.Enrol(k.Ctx, k.Other, tok, testkit.Photo(testkit.Face{}), ekyc.LevelNone, ekyc.LevelNone), ekyc.TokenInvalid)
	if n := blobs(t, k); n != 1 {
		t.Errorf("%d images kept after five uploads, want the last alone", n)
	}
}

func blobs(t *testing.T, k *testkit.Kit) (n int) {
	t.Helper()
	err := filepath.WalkDir(k.BlobDir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestQuota(t *testing.T) {
	t.Parallel()
	// FAQ 2: without quota for the interface that the plan needs, the result calls say so.
	k := testkit.New(t)
	app := k.App
	app.Quota = map[ekyc.ChargeKind]int64{ekyc.ChargeMatch: 0, ekyc.ChargeLive: 1}
	k.PutApp(app)
	tok := k.OpenPlan("2").Token
	enrol(t, k, tok, "zhang")
	if a := walk(t, k, tok, testkit.Face{Person: "zhang"}); a.Code != ekyc.QuotaNone || len(a.Charges) != 0 {
		t.Errorf("attempt without quota: got %q", a.Code)
	}
	_, err := k.Result(k.Ctx, k.App, tok)
	wantCode(t, "results without quota", err, ekyc.QuotaNone)

	first, second := k.OpenPlan("1").Token, k.OpenPlan("1").Token
	walk(t, k, first, testkit.Face{})
	walk(t, k, second, testkit.Face{})
	_, err = k.Result(k.Ctx, k.App, first)
	wantCode(t, "results that used the last of the quota", err, ekyc.OK)
	_, err = k.Result(k.Ctx, k.App, second)
	wantCode(t, "results after the quota", err, ekyc.LimitTotal)

	app.Quota = nil
	k.PutApp(app)
	walk(t, k, tok, testkit.Face{Person: "zhang"})
	_, err = k.Result(k.Ctx, k.App, tok)
	wantCode(t, "results once the quota is open", err, ekyc.OK)
}

func TestCrashBetweenBeginAndFinish(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("2").Token
	enrol(t, k, tok, "zhang")
	k.Consent(tok)
	// The server begins an attempt, leaves its evidence, and dies.
	_, err := k.Store.UpdateSession(k.Ctx, tok, func(s *ekyc.Session) error {
		_, err := s.Begin(k.Clock.Now(), "1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.SubmitFrames(tok, k.Frames(testkit.Face{Person: "zhang"}, 3))
	wantCode(t, "while the lease holds", err, ekyc.Undecided)
	_, err = k.Result(k.Ctx, k.App, tok)
	wantCode(t, "results meanwhile", err, ekyc.Undecided)
	k.Clock.Advance(ekyc.AttemptLease)
	a := walk(t, k, tok, testkit.Face{Person: "zhang"})
	s, err := k.Result(k.Ctx, k.App, tok)
	if err != nil || a.Ordinal != 2 || s.Attempts[0].Code != ekyc.Interrupted || len(s.Charges()) != 1 {
		t.Errorf("got attempt %d, first %q, %d charges, %v; want 2, interrupted, 1", a.Ordinal, s.Attempts[0].Code, len(s.Charges()), err)
	}
}

func TestEngineFailureEndsTheAttempt(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("1").Token
	k.Consent(tok)
	frames := k.Frames(testkit.Face{}, 3)
	for what, hook := range map[string]func() error{
		"error": func() error { return errors.New("out of memory") },
		"busy":  func() error { return ekyc.Errorf(ekyc.Busy, "queue full") },
	} {
		k.Engine.Hook = hook
		a, err := k.SubmitFrames(tok, frames)
		if err != nil || a.Outcome != ekyc.Failed || a.Finished.IsZero() {
			t.Errorf("%s: got %+v, %v; want an attempt finished as failed", what, a, err)
		}
	}
	k.Engine.Hook = nil
	if a, err := k.SubmitFrames(tok, frames); err != nil || a.Outcome != ekyc.Match {
		t.Errorf("engine back: got %+v, %v", a, err)
	}
}

// TestManySubmittersOneAttempt opens one link in sixteen windows, all of which present
// and submit at once. One attempt is made. The others are told that it is under way, that
// the token is spent, or that another window drew a challenge after theirs, whichever
// came first; none of these costs anything.
func TestManySubmittersOneAttempt(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("1").Token
	k.Consent(tok)
	frames := k.Frames(testkit.Face{}, 3)
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed, refused := 0, 0
	for range 16 {
		wg.Go(func() {
			a, err := k.SubmitFrames(tok, frames)
			mu.Lock()
			defer mu.Unlock()
			switch code := ekyc.CodeOf(err); {
			case err == nil && a.Outcome == ekyc.Match:
				passed++
			case code == ekyc.Undecided, code == ekyc.TokenInvalid, code == ekyc.ChallengeStale:
				refused++
			default:
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
	wg.Wait()
	if passed != 1 || refused != 15 {
		t.Errorf("got %d passes and %d refusals, want 1 and 15", passed, refused)
	}
	s, err := k.Attend(k.Ctx, tok)
	if err != nil || len(s.Attempts) != 1 {
		t.Errorf("the session holds %d attempts, %v; want one: a refusal is none", len(s.Attempts), err)
	}
	if n, _ := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeLive); n != 1 {
		t.Errorf("charged %d times, want once", n)
	}
}

// TestALaterChallengeVoidsAnEarlierOne is one of those stories step by step: a second
// window draws while the first still films. The first is refused and nothing is recorded
// or charged; the second goes on.
func TestALaterChallengeVoidsAnEarlierOne(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("1").Token
	k.Consent(tok)
	var windows [2]ekyc.Presented
	for i := range windows {
		var err error
		if windows[i], err = k.Present(tok, k.Frames(testkit.Face{}, 3)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := k.Submit(k.Ctx, tok, windows[0])
	wantCode(t, "the first window", err, ekyc.ChallengeStale)
	s, err := k.Attend(k.Ctx, tok)
	if n, _ := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeLive); err != nil || n != 0 || len(s.Attempts) != 0 {
		t.Errorf("after the refusal: %d attempts, charged %d times, %v; want neither", len(s.Attempts), n, err)
	}
	if a, err := k.Submit(k.Ctx, tok, windows[1]); err != nil || a.Outcome != ekyc.Match {
		t.Errorf("the second window: got %+v, %v, want a match", a, err)
	}
}

func TestReferenceSurvivesANewModel(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("2").Token
	enrol(t, k, tok, "zhang")
	k.Engine.Name = "scripted v2"
	if a := walk(t, k, tok, testkit.Face{Person: "zhang"}); a.Outcome != ekyc.Match {
		t.Errorf("got %s/%q, want a match with the template made anew", a.Outcome, a.Code)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := k.OpenPlan("5").Token
	enrol(t, k, tok, "zhang")
	walk(t, k, tok, testkit.Face{Person: "zhang"})
	never := k.OpenPlan("1").Token
	if n := blobs(t, k); n != 1+ekyc.MediaImages {
		t.Fatalf("%d images kept, want the reference and %d frames", n, ekyc.MediaImages)
	}
	s, _ := k.Attend(k.Ctx, tok)
	frame := s.Find(ekyc.EvidenceFrame, 1)[0]

	p, err := k.Purge(k.Ctx)
	if err != nil || p != (ekyc.Purged{}) {
		t.Errorf("nothing is due: got %+v, %v", p, err)
	}
	k.Clock.Advance(ekyc.MediaKept) // video and image links live for a day
	_, _, err = k.Evidence(k.Ctx, tok, frame.Ref)
	wantCode(t, "a frame that is due but not purged yet", err, ekyc.EvidenceGone)
	if p, err = k.Purge(k.Ctx); err != nil || p.Evidence != ekyc.MediaImages-1 || p.Sessions != 0 {
		t.Errorf("after a day: got %+v, %v; want %d frames erased", p, err, ekyc.MediaImages-1)
	}
	if _, err = k.Result(k.Ctx, k.App, tok); err != nil {
		t.Errorf("results after a day: %v", err)
	}
	k.Clock.Advance(ekyc.ResultKept - ekyc.MediaKept)
	_, err = k.Result(k.Ctx, k.App, tok)
	wantCode(t, "results after three days", err, ekyc.TokenInvalid)
	if p, err = k.Purge(k.Ctx); err != nil || p.Sessions != 2 {
		t.Errorf("after three days: got %+v, %v; want two sessions erased", p, err)
	}
	if n := blobs(t, k); n != 0 {
		t.Errorf("%d images left", n)
	}
	for _, x := range []ekyc.Token{tok, never} {
		_, err = k.Attend(k.Ctx, x)
		wantCode(t, "an erased token", err, ekyc.TokenInvalid)
	}
	if n, _ := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeMatch); n != 1 {
		t.Errorf("the ledger holds %d charges, want the one that was made", n)
	}
}

func TestPurgeFindsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	ses := k.OpenPlan("1")
	k.Consent(ses.Token)
	// Evidence is stored, then the server dies before Finish: the store refuses it.
	p, err := k.Present(ses.Token, k.Frames(testkit.Face{}, 3))
	if err != nil {
		t.Fatal(err)
	}
	st := k.Store
	k.Service.Store = &dyingStore{Store: st}
	_, err = k.Submit(k.Ctx, ses.Token, p)
	wantCode(t, "a store that dies", err, ekyc.Internal)
	k.Service.Store = st
	if n := blobs(t, k); n != 1 {
		t.Fatalf("%d images left by the crash, want 1", n)
	}
	k.Clock.Advance(ekyc.ResultKept)
	if _, err := k.Purge(k.Ctx); err != nil {
		t.Fatal(err)
	}
	if n := blobs(t, k); n != 0 {
		t.Errorf("%d images left after the purge, want none", n)
	}
}

// TestPurgeGoesOnAfterFailures: more sessions than one batch cannot be erased, and the
// ones behind them are.
func TestPurgeGoesOnAfterFailures(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	const stuck = 210
	for range stuck {
		k.OpenPlan("1")
	}
	k.Clock.Advance(time.Second)
	last := k.OpenPlan("1").Token
	k.Clock.Advance(ekyc.ResultKept)
	st := k.Store
	k.Service.Store = &stickyStore{Store: st, free: last}
	p, err := k.Purge(k.Ctx)
	if err == nil || p.Failed != stuck || p.Sessions != 1 {
		t.Errorf("got %+v, %v; want %d failures and the last session erased", p, err, stuck)
	}
	k.Service.Store = st
	if p, err = k.Purge(k.Ctx); err != nil || p.Sessions != stuck {
		t.Errorf("once the store works: got %+v, %v; want %d erased", p, err, stuck)
	}
}

func TestGrants(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	_, err := k.Grant(k.Ctx, "nobody", "x")
	wantCode(t, "unknown key", err, ekyc.AppUnknown)
	_, err = k.Grant(k.Ctx, k.App.Key, "wrong")
	wantCode(t, "wrong secret", err, ekyc.SecretWrong)
	a, err := k.Grant(k.Ctx, k.App.Key, string(k.App.Secret))
	if err != nil {
		t.Fatal(err)
	}
	k.Clock.Advance(time.Hour)
	b, _ := k.Grant(k.Ctx, k.App.Key, string(k.App.Secret))
	for _, g := range []ekyc.Grant{a, b} { // FAQ 1(1): a new one does not end the old one
		if app, err := k.Access(k.Ctx, g); err != nil || app.ID != k.App.ID {
			t.Errorf("got %v, %v", app.ID, err)
		}
	}
	forged := a
	forged.App = k.Other.ID
	_, err = k.Access(k.Ctx, forged)
	wantCode(t, "moved to another app", err, ekyc.AccessInvalid)
	longer := a
	longer.Expires = a.Expires.Add(time.Second)
	_, err = k.Access(k.Ctx, longer)
	wantCode(t, "with a later expiry", err, ekyc.AccessInvalid)
	k.Clock.Set(a.Expires.Add(-time.Second))
	_, err = k.Access(k.Ctx, a)
	wantCode(t, "in its last second", err, ekyc.OK)
	k.Clock.Set(a.Expires)
	_, err = k.Access(k.Ctx, a)
	wantCode(t, "after 30 days", err, ekyc.AccessExpired)
	off := k.App
	off.Disabled = true
	k.PutApp(off)
	_, err = k.Access(k.Ctx, b)
	wantCode(t, "of an app that is off", err, ekyc.AppDisabled)
}

func TestLinks(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	until := k.Clock.Now().Add(time.Hour)
	sign := k.SignLink("face 1", until)
	wantCode(t, "the link", k.CheckLink("face 1", until, sign), ekyc.OK)
	wantCode(t, "for another image", k.CheckLink("face 2", until, sign), ekyc.EvidenceGone)
	wantCode(t, "for longer", k.CheckLink("face 1", until.Add(time.Hour), sign), ekyc.EvidenceGone)
	k.Clock.Advance(time.Hour)
	wantCode(t, "an hour later", k.CheckLink("face 1", until, sign), ekyc.EvidenceGone)
}

func TestCompareDirectly(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	pic := func(f testkit.Face) ekyc.Picture {
		return ekyc.Picture{Image: testkit.Photo(f), Quality: ekyc.LevelNormal, Liveness: ekyc.LevelNormal}
	}
	c, err := k.Compare(k.Ctx, k.App, pic(testkit.Face{Person: "zhang"}), pic(testkit.Face{Person: "zhang", Serial: 1}), "7")
	if err != nil || c.Comparison.Score < 0.8 || c.LogID != "7" {
		t.Errorf("same person: got %+v, %v", c.Comparison, err)
	}
	if c, err = k.Compare(k.Ctx, k.App, pic(testkit.Face{Person: "zhang"}), pic(testkit.Face{Person: "li"}), "8"); err != nil || c.Comparison.Score >= 0.8 {
		t.Errorf("another person: got %+v, %v; want an answer below the threshold", c.Comparison, err)
	}
	_, err = k.Compare(k.Ctx, k.App, pic(testkit.Face{}), pic(testkit.Face{Spoof: true}), "9")
	wantCode(t, "an attack", err, ekyc.RefLiveness)
	if n, _ := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeMatch); n != 2 {
		t.Errorf("charged %d, want the two that were answered", n)
	}
}
