package ekyc

import (
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)

func ready(p Plan) *Session {
	p.LivenessLevel, p.QualityLevel, p.MatchAt = LevelNormal, LevelNormal, 0.8
	return &Session{
		Token: "Yz9rWITm4vak16PBAh5x8oG7", App: "1", Plan: p, Opened: t0,
		Agreement: &Agreement{At: t0}, Reference: &Reference{}, Claim: &Claim{Name: "张三"},
	}
}

func found(score Score) Findings {
	return Findings{Measured: true, Live: 0.95, Compared: true, Comparison: Comparison{Score: score, FMR: 1e-4}}
}

// story plays a byte string against a session and checks what must always hold.
// Each byte is one event: begin, finish in one of four ways, give up, or wait.
func story(t *testing.T, events []byte, endsOnFailure bool) {
	t.Helper()
	s := ready(Plan{ID: "2", Comparison: CompareUploaded, EndsOnFailure: endsOnFailure})
	now := t0
	var settled State
	for i, e := range events {
		before := s.State(now)
		switch e % 8 {
		case 0:
			n, err := s.Begin(now, "1")
			if (err == nil) != (before == Open && len(s.Attempts) <= MaxAttempts && n > 0) {
				t.Fatalf("event %d: Begin in state %s: ordinal %d, err %v", i, before, n, err)
			}
		case 1, 2, 3, 4:
			n := len(s.Attempts)
			if n == 0 {
				continue
			}
			was := s.Attempts[n-1]
			f := []Findings{found(0.9), found(0.5), {Failure: EngineFailed}, {Measured: true, Live: 0.001}}[e%8-1]
			got, err := s.Finish(now, n, f)
			if err != nil {
				t.Fatalf("event %d: Finish: %v", i, err)
			}
			if !was.Finished.IsZero() && (got.Outcome != was.Outcome || len(got.Charges) != len(was.Charges)) {
				t.Fatalf("event %d: a finished attempt changed from %+v to %+v", i, was, got)
			}
			if was.Finished.IsZero() && !now.Before(was.Lease) && got.Code != Interrupted {
				t.Fatalf("event %d: an attempt past its lease ended with %q, want %q", i, got.Code, Interrupted)
			}
		case 5:
			_ = s.Fail(now, Cancelled, "2")
		case 6:
			now = now.Add(25 * time.Second)
		case 7:
			now = now.Add(50 * time.Minute)
		}
		st := s.State(now)
		if (settled == Passed || settled == Rejected) && st != settled && st != Gone {
			t.Fatalf("event %d: state went from %s to %s", i, settled, st)
		}
		if settled == Gone && st != Gone {
			t.Fatalf("event %d: state came back from gone to %s", i, st)
		}
		if st == Passed || st == Rejected || st == Gone {
			settled = st
		}
		passes, decided := 0, 0
		for _, a := range s.Attempts {
			if a.Outcome == Match {
				passes++
			}
			if a.Decided() {
				decided++
			}
			if !a.Decided() && len(a.Charges) > 0 {
				t.Fatalf("event %d: an attempt without an answer was charged: %+v", i, a)
			}
		}
		if passes > 1 {
			t.Fatalf("event %d: %d attempts passed, want at most 1", i, passes)
		}
		if endsOnFailure && decided > 1 {
			t.Fatalf("event %d: a one-shot token was decided %d times", i, decided)
		}
		if c := len(s.Charges()); c > decided {
			t.Fatalf("event %d: %d charges for %d decided attempts", i, c, decided)
		}
		if v := s.Verifications(now); endsOnFailure && len(v) > 1 {
			t.Fatalf("event %d: a one-shot token reports %d verifications, want at most 1", i, len(v))
		}
		if len(s.Attempts) > MaxAttempts {
			t.Fatalf("event %d: %d attempts, want at most %d", i, len(s.Attempts), MaxAttempts)
		}
	}
}

func TestSessionStories(t *testing.T) {
	t.Parallel()
	for name, events := range map[string][]byte{
		"pass":                       {0, 1},
		"fail, then pass":            {0, 2, 0, 1, 0},
		"crash, lease lapses, pass":  {0, 6, 6, 6, 0, 1},
		"late finish":                {0, 6, 6, 6, 1, 0, 1},
		"engine fails, then attack":  {0, 3, 0, 4, 0, 1},
		"given up, then expired":     {5, 5, 7, 7, 7, 0},
		"finish twice":               {0, 1, 2, 3, 4},
		"gone":                       append([]byte{0, 2}, repeat(7, 100)...),
		"as many attempts as can be": repeat(0, 3, 60),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, events, false)
			story(t, events, true)
		})
	}
}

func repeat(v ...int) []byte {
	n := v[len(v)-1]
	var b []byte
	for range n {
		for _, x := range v[:len(v)-1] {
			b = append(b, byte(x))
		}
	}
	return b
}

func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 1}, true)
	f.Add([]byte{0, 2, 0, 6, 6, 6, 0, 1, 7, 7}, false)
	f.Fuzz(func(t *testing.T, events []byte, endsOnFailure bool) { story(t, events, endsOnFailure) })
}

func TestTokenWindow(t *testing.T) {
	t.Parallel()
	// FAQ 1(2): two hours; FAQ 1(4): results for three days.
	s := ready(Plan{Comparison: CompareUploaded})
	for _, c := range []struct {
		after time.Duration
		want  State
	}{
		{0, Open},
		{TokenWindow - time.Second, Open},
		{TokenWindow, Expired},
		{ResultKept - time.Second, Expired},
		{ResultKept, Gone},
	} {
		if got := s.State(t0.Add(c.after)); got != c.want {
			t.Errorf("state %v after opening: got %s, want %s", c.after, got, c.want)
		}
	}
	if _, err := s.Begin(t0.Add(TokenWindow-time.Second), "1"); err != nil {
		t.Fatalf("an attempt in the last second: %v", err)
	}
	// Begun in time, it may end after the window.
	if a, err := s.Finish(t0.Add(TokenWindow+10*time.Second), 1, found(0.9)); err != nil || a.Outcome != Match {
		t.Fatalf("an attempt begun in time: got %+v, %v, want a match", a, err)
	}
	end := t0.Add(TokenWindow + 10*time.Second)
	if got := s.State(end.Add(ResultKept - time.Second)); got != Passed {
		t.Errorf("just before three days after the attempt: got %s, want %s", got, Passed)
	}
	if got := s.State(end.Add(ResultKept)); got != Gone {
		t.Errorf("three days after the attempt: got %s, want %s", got, Gone)
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	live := Findings{Measured: true, Live: 0.95}
	with := func(f Findings, change func(*Findings)) Findings { change(&f); return f }
	for _, c := range []struct {
		name    string
		plan    ComparisonSource
		f       Findings
		outcome Outcome
		code    Code
		charge  ChargeKind
		calls   []Interface
	}{
		{"no face in any frame", CompareUploaded, Findings{Failure: NoFace}, Failed, NoFace, "", []Interface{CallSilent}},
		{"attack", CompareUploaded, Findings{Measured: true, Live: 0.01}, NonMatched, LivenessFailed, "", []Interface{CallSilent}},
		{"attack on an authority plan asks nobody", CompareAuthority, Findings{Measured: true, Live: 0.01}, NonMatched, LivenessFailed, "", []Interface{CallSilent}},
		{"liveness only", CompareNone, live, Match, OK, ChargeLive, []Interface{CallSilent}},
		{"match", CompareUploaded, found(0.8), Match, OK, ChargeMatch, []Interface{CallSilent, CallMatch}},
		{"just below the threshold", CompareUploaded, found(0.7999), NonMatched, NonMatch, ChargeMatch, []Interface{CallSilent, CallMatch}},
		{"source failed", CompareAuthority, with(live, func(f *Findings) { f.Failure = SourceFailed }), Failed, SourceFailed, "", []Interface{CallVerify}},
		{"name and number differ", CompareAuthority, with(live, func(f *Findings) { f.Identity = NonMatched }), NonMatched, IdentityMismatch, ChargeVerify, []Interface{CallSilent, CallVerify}},
		{"number unknown", CompareAuthority, with(live, func(f *Findings) { f.Identity = NoRecord }), NonMatched, IdentityUnknown, ChargeVerify, []Interface{CallSilent, CallVerify}},
		{"no portrait", CompareAuthority, with(live, func(f *Findings) { f.Identity, f.Portrait = Match, PortraitNone }), NonMatched, PortraitNone, ChargeVerify, []Interface{CallSilent, CallVerify}},
		{"authority match", CompareAuthority, with(found(0.93), func(f *Findings) { f.Identity = Match }), Match, OK, ChargeVerify, []Interface{CallSilent, CallVerify}},
	} {
		s := ready(Plan{Comparison: c.plan, Identity: IdentityDeclared})
		n, err := s.Begin(t0, "42")
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Finish(t0.Add(time.Second), n, c.f)
		if err != nil {
			t.Fatal(err)
		}
		if a.Outcome != c.outcome || a.Code != c.code {
			t.Errorf("%s: got %s/%q, want %s/%q", c.name, a.Outcome, a.Code, c.outcome, c.code)
		}
		var kind ChargeKind
		if len(a.Charges) == 1 {
			kind = a.Charges[0].Kind
		}
		if kind != c.charge || len(a.Charges) > 1 {
			t.Errorf("%s: charged %+v, want %q", c.name, a.Charges, c.charge)
		}
		var calls []Interface
		for _, k := range s.Calls {
			calls = append(calls, k.Interface)
		}
		if len(calls) != len(c.calls) {
			t.Errorf("%s: calls %v, want %v", c.name, calls, c.calls)
			continue
		}
		for i := range calls {
			if calls[i] != c.calls[i] {
				t.Errorf("%s: calls %v, want %v", c.name, calls, c.calls)
			}
		}
	}
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[Code]func(*Session){
		ConsentMissing: func(s *Session) { s.Agreement = nil },
		ClaimMissing:   func(s *Session) { s.Claim, s.Plan.Identity = nil, IdentityEntered },
		RefMissing:     func(s *Session) { s.Reference = nil },
		TokenInvalid:   func(s *Session) { s.Opened = t0.Add(-TokenWindow) },
		Undecided:      func(s *Session) { _, _ = s.Begin(t0, "1") },
	} {
		s := ready(Plan{Comparison: CompareUploaded})
		spoil(s)
		if got := CodeOf(s.Ready(t0)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCodesAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[Code]bool{OK: true}
	for _, c := range Codes() {
		if seen[c] {
			t.Errorf("code %q is listed twice", c)
		}
		seen[c] = true
	}
}
