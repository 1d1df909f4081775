package ekyc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

func said(list []ekyc.Count) (out []string) {
	for _, c := range list {
		s := string(c.Measure) + " " + c.Label
		if c.Sum != 0 {
			s += fmt.Sprintf(" (%d)", c.Sum)
		}
		if c.N != 1 {
			s += fmt.Sprintf(" ×%d", c.N)
		}
		out = append(out, s)
	}
	return out
}

// TestCountsOfASession follows one session and looks at what each step adds.
func TestCountsOfASession(t *testing.T) {
	t.Parallel()
	at := testkit.Start
	var before ekyc.Tally
	ses := ekyc.Session{
		Token: "a token of the count's test", App: "1", Protocol: "baidu", Opened: at,
		Plan: ekyc.Plan{ID: "p", App: "1", Comparison: ekyc.CompareAuthority, Identity: ekyc.IdentityDeclared, Liveness: ekyc.LivenessFlash, LivenessLevel: ekyc.LevelNormal, MatchAt: 0.8},
	}
	step := func(doing string, f func() error, want ...string) {
		t.Helper()
		at = at.Add(10 * time.Second)
		if err := f(); err != nil {
			t.Fatalf("%s: %v", doing, err)
		}
		got := ses.CountsSince(before)
		if again := ses.CountsSince(before); !slices.Equal(got, again) {
			t.Errorf("%s: counting twice differs: %v, then %v", doing, got, again)
		}
		if s := said(got); !slices.Equal(s, want) {
			t.Errorf("%s: got %q, want %q", doing, s, want)
		}
		for _, c := range got {
			if c.App != "1" || c.Plan != "p" || c.Protocol != "baidu" || c.At.Before(testkit.Start) || c.At.After(at.Add(time.Minute)) {
				t.Errorf("%s: %+v has the wrong app, plan, protocol or time", doing, c)
			}
		}
		before = ses.Tally()
	}
	draw := func() error {
		return ses.Ask(at, ekyc.Challenge{ID: "c", Kind: ekyc.LivenessFlash, Drawn: at, Until: at.Add(time.Hour), Cues: []ekyc.Cue{{N: 1}}}, "l")
	}
	answer := func() error {
		_, _, err := ses.Answer(at, "c", ekyc.LivenessFlash, "l")
		return err
	}
	finish := func(f ekyc.Findings) func() error {
		return func() error {
			_, err := ses.Finish(at, len(ses.Attempts), f)
			return err
		}
	}
	step("open", func() error { return nil }, "opened flash")
	step("nothing", func() error { return nil })
	step("load", func() error { ses.Attended = at; return nil }, "funnel opened")
	step("declare", func() error { ses.Claim = &ekyc.Claim{Name: "张三"}; return nil })
	step("agree", func() error { ses.Agreement = &ekyc.Agreement{At: at}; return nil }, "funnel agreed")
	step("draw", draw, "funnel camera")
	step("give up", func() error { return ses.Fail(at, ekyc.Cancelled, "l") }, "attempt failed/cancelled")
	step("draw again", draw)
	step("answer", answer, "funnel challenge")
	step("a bad picture", finish(ekyc.Findings{Failure: ekyc.FaceDark}), "attempt failed/face_dark (10000)", "presented flash/failed", "latency 10000")
	step("draw", draw)
	step("answer", answer)
	step("an attack", finish(ekyc.Findings{Measured: true, Live: 0.71, Response: &ekyc.Response{Code: ekyc.ChallengeUnmet}}),
		"attempt non_match/challenge_unmet (10000)", "presented flash/non_match", "latency 10000", "liveness 7", "attack challenge_unmet")
	step("draw", draw)
	step("answer", answer)
	step("the server died", func() error { at = at.Add(2 * ekyc.AttemptLease); return nil })
	step("draw", draw)
	step("answer, which ends the one before", answer, "attempt failed/interrupted (60000)", "presented flash/failed")
	step("pass", finish(ekyc.Findings{
		Measured: true, Live: 1, Response: &ekyc.Response{}, Identity: ekyc.Match, Compared: true, Comparison: ekyc.Comparison{Score: 0.93},
		Asked: []ekyc.Asked{
			{Source: "own", Outcome: ekyc.NoRecord, Code: ekyc.IdentityUnknown, Took: 5 * time.Millisecond},
			{Source: "paid", Outcome: ekyc.Match, Took: 250 * time.Millisecond, Cost: 350_000},
		},
	}), "funnel passed", "attempt match/ (10000)", "presented flash/match", "latency 10000", "liveness 9", "comparison 18",
		"source own/no_record/identity_unknown (5)", "source paid/match/ (250)", "cost paid (350000)")
	step("finish again", finish(ekyc.Findings{}))

	if got := said(ekyc.CountCharges("baidu", ses.Charges())); !slices.Equal(got, []string{"charge verify"}) {
		t.Errorf("charges: got %q", got)
	}
	ses.Sandbox = true
	if got := ses.CountsSince(ekyc.Tally{}); got != nil {
		t.Errorf("a session of the sandbox adds %v", got)
	}
	if got := ekyc.CountCharges("", []ekyc.Charge{{Sandbox: true}}); got != nil {
		t.Errorf("a charge of the sandbox adds %v", got)
	}
}

// TestCountsOfDirectCalls looks at what a call adds, also one that cost more than is known by source.
func TestCountsOfDirectCalls(t *testing.T) {
	t.Parallel()
	d := ekyc.Direct{
		App: "1", Protocol: "juhe", Kind: ekyc.ChargeElements, At: testkit.Start, Took: 120 * time.Millisecond, Compared: true, Score: 1,
		Elements: ekyc.Checked{Identity: ekyc.Match, Mobile: ekyc.NonMatched}, Cost: 300,
		Asked: []ekyc.Asked{{Source: "paid", Outcome: ekyc.Match, Took: time.Millisecond, Cost: 100}},
	}
	want := []string{"direct elements/ (120)", "latency 200", "comparison 19", "element identity/match", "element mobile/non_match", "source paid/match/ (1)", "cost paid (100)", "cost  (200)"}
	if got := said(d.Counts()); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	slow := ekyc.Direct{Kind: ekyc.ChargeMatch, Code: ekyc.Busy, Took: time.Minute}
	if got, want := said(slow.Counts()), []string{"direct match/busy (60000)", "latency more"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if d.Sandbox = true; d.Counts() != nil {
		t.Error("a call of the sandbox is counted")
	}
}

// TestArrive notes the page's first load, once, and shows the page where it cannot.
func TestArrive(t *testing.T) {
	t.Parallel()
	kit := testkit.New(t)
	ses := kit.OpenPlan("2")
	for range 2 {
		s, err := kit.Arrive(kit.Ctx, ses.Token)
		if err != nil || !s.Attended.Equal(testkit.Start) {
			t.Fatalf("attended %v, %v; want %v", s.Attended, err, testkit.Start)
		}
		kit.Clock.Advance(time.Minute)
	}
	if _, err := kit.Arrive(kit.Ctx, "no such token"); ekyc.CodeOf(err) != ekyc.TokenInvalid {
		t.Errorf("an unknown token: %v", err)
	}
	other := kit.OpenPlan("2")
	kit.Service.Store = readOnly{kit.Service.Store}
	if s, err := kit.Arrive(kit.Ctx, other.Token); err != nil || s.Token != other.Token {
		t.Errorf("where nothing can be written: %v", err)
	}
}

type readOnly struct{ ekyc.Store }

var errReadOnly = errors.New("the disk is full")

func (readOnly) UpdateSession(context.Context, ekyc.Token, func(*ekyc.Session) error) (ekyc.Session, error) {
	return ekyc.Session{}, errReadOnly
}
