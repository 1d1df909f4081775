package capture

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
)

// attempt is one that ended a minute after the session was opened.
func attempt(n int, o ekyc.Outcome, c ekyc.Code) ekyc.Attempt {
	at := began.Add(time.Minute)
	return ekyc.Attempt{Ordinal: n, Begun: at, Lease: at.Add(ekyc.AttemptLease), Finished: at, Outcome: o, Code: c, Score: 0.123, Live: 0.456}
}

func TestViewSaysWhatComesNext(t *testing.T) {
	t.Parallel()
	late := began.Add(ekyc.TokenWindow)
	many := make([]ekyc.Attempt, ekyc.MaxAttempts)
	for i := range many {
		many[i] = attempt(i+1, ekyc.Failed, ekyc.TimedOut)
	}
	running := ekyc.Attempt{Ordinal: 1, Begun: began, Lease: began.Add(ekyc.AttemptLease)}
	for name, c := range map[string]struct {
		set    func(*ekyc.Session)
		at     time.Time
		step   Step
		reason string
		result *Result
	}{
		"fresh":               {func(s *ekyc.Session) { s.Agreement = nil }, began, StepConsent, "", nil},
		"agreed":              {func(s *ekyc.Session) {}, began, StepCapture, "", nil},
		"identity to type":    {func(s *ekyc.Session) { s.Plan.Identity = ekyc.IdentityEntered }, began, StepIdentity, "", nil},
		"consent before that": {func(s *ekyc.Session) { s.Plan.Identity, s.Agreement = ekyc.IdentityEntered, nil }, began, StepConsent, "", nil},
		"typed":               {func(s *ekyc.Session) { s.Plan.Identity, s.Claim = ekyc.IdentityEntered, claim(t) }, began, StepCapture, "", nil},
		"not declared":        {func(s *ekyc.Session) { s.Plan.Identity, s.Agreement = ekyc.IdentityDeclared, nil }, began, StepUnusable, ClaimMissing, nil},
		"no reference":        {func(s *ekyc.Session) { s.Plan.Comparison, s.Agreement = ekyc.CompareUploaded, nil }, began, StepUnusable, RefMissing, nil},
		"expired":             {func(s *ekyc.Session) {}, late, StepUnusable, Expired, nil},
		"expired after a try": {func(s *ekyc.Session) { s.Attempts = []ekyc.Attempt{attempt(1, ekyc.NonMatched, ekyc.NonMatch)} }, late, StepUnusable, Expired, &Result{Attempt: 1, Reason: "non_match"}},
		"used up":             {func(s *ekyc.Session) { s.Attempts = many }, fixed(), StepUnusable, Attempts, &Result{Attempt: ekyc.MaxAttempts, Reason: "timed_out"}},
		"under way":           {func(s *ekyc.Session) { s.Attempts = []ekyc.Attempt{running} }, began, StepRunning, "", nil},
		"its server died":     {func(s *ekyc.Session) { s.Attempts = []ekyc.Attempt{running} }, fixed(), StepCapture, "", &Result{Attempt: 1, Reason: "interrupted", MayRetry: true}},
		"passed":              {func(s *ekyc.Session) { s.Attempts = []ekyc.Attempt{attempt(1, ekyc.Match, "")} }, late, StepDone, "", &Result{Attempt: 1, Passed: true}},
		"failed, may retry":   {func(s *ekyc.Session) { s.Attempts = []ekyc.Attempt{attempt(1, ekyc.NonMatched, ekyc.NonMatch)} }, fixed(), StepCapture, "", &Result{Attempt: 1, Reason: "non_match", MayRetry: true}},
		"failed, ends there": {func(s *ekyc.Session) {
			s.Plan.EndsOnFailure = true
			s.Attempts = []ekyc.Attempt{attempt(1, ekyc.NonMatched, ekyc.LivenessFailed)}
		}, fixed(), StepDone, "", &Result{Attempt: 1, Reason: "liveness_failed"}},
		"quality does not end": {func(s *ekyc.Session) {
			s.Plan.EndsOnFailure = true
			s.Attempts = []ekyc.Attempt{attempt(1, ekyc.Failed, ekyc.FaceDark)}
		}, fixed(), StepCapture, "", &Result{Attempt: 1, Reason: "face_dark", MayRetry: true}},
		"inner matters": {func(s *ekyc.Session) { s.Attempts = []ekyc.Attempt{attempt(1, ekyc.Failed, ekyc.QuotaNone)} }, fixed(), StepCapture, "", &Result{Attempt: 1, Reason: "system", MayRetry: true}},
		"wrong identity typed": {func(s *ekyc.Session) {
			s.Plan.Identity, s.Claim = ekyc.IdentityEntered, claim(t)
			s.Attempts = []ekyc.Attempt{attempt(1, ekyc.NonMatched, ekyc.IdentityMismatch)}
		}, fixed(), StepCapture, "", &Result{Attempt: 1, Reason: "identity_mismatch", MayRetry: true, Mend: true}},
		"wrong identity declared": {func(s *ekyc.Session) {
			s.Plan.Identity, s.Claim = ekyc.IdentityDeclared, claim(t)
			s.Attempts = []ekyc.Attempt{attempt(1, ekyc.NonMatched, ekyc.IdentityMismatch)}
		}, fixed(), StepCapture, "", &Result{Attempt: 1, Reason: "identity_mismatch", MayRetry: true}},
	} {
		s := newCore(fixed).session
		c.set(&s)
		h, _ := newHandler(t, newCore(fixed), fixed, nil)
		v := h.view(&s, c.at)
		if v.Step != c.step || v.Reason != c.reason {
			t.Errorf("%s: got step %q, reason %q, want %q, %q", name, v.Step, v.Reason, c.step, c.reason)
		}
		switch {
		case (v.Result == nil) != (c.result == nil):
			t.Errorf("%s: got result %+v, want %+v", name, v.Result, c.result)
		case v.Result != nil && *v.Result != *c.result:
			t.Errorf("%s: got result %+v, want %+v", name, *v.Result, *c.result)
		}
	}
}

func TestViewHoldsNoScoreAndNoIdentity(t *testing.T) {
	t.Parallel()
	core := newCore(fixed)
	core.session.Plan.Identity = ekyc.IdentityDeclared
	core.session.Claim = claim(t)
	core.session.Plan.MatchAt = 0.8
	core.session.Redirect = ekyc.Redirect{Success: "https://a.example/?x=<1>&y", Failed: "app://no"}
	core.session.Attempts = []ekyc.Attempt{attempt(1, ekyc.NonMatched, ekyc.NonMatch)}
	h, _ := newHandler(t, core, fixed, nil)
	r := ask(h, "GET", "/face/print/api/session?token="+string(token), "")
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", got)
	}
	body, _ := io.ReadAll(r.Body)
	for _, secret := range []string{name, number, "0.123", "0.456", "0.8", string(token)} {
		if strings.Contains(string(body), secret) {
			t.Errorf("the page was told %q: %s", secret, body)
		}
	}
	var v View
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	if v.Identity.Name != "张**" || v.Identity.Number != "110***********002X" {
		t.Errorf("got identity %+v, want it masked", v.Identity)
	}
	if v.Redirect.Success != core.session.Redirect.Success || v.Redirect.Failed != "app://no" {
		t.Errorf("got redirects %+v, want them as they were given", v.Redirect)
	}
	if v.Title != "某某银行" || v.Consent.Text["zh-CN"] != "授权书" || v.Consent.Version != "v1" || !v.Consent.Given {
		t.Errorf("got %+v, want the plan's title and consent", v)
	}
}

func TestReasonsAreKnownCodes(t *testing.T) {
	t.Parallel()
	all := ekyc.Codes()
	for c := range reasons {
		if !slices.Contains(all, c) {
			t.Errorf("%q is no code of the core", c)
		}
	}
	if got, want := len(Reasons()), len(reasons)+2; got != want {
		t.Errorf("Reasons: got %d, want %d", got, want)
	}
}

func TestTokensThatAreNone(t *testing.T) {
	t.Parallel()
	h, _ := newHandler(t, newCore(fixed), fixed, nil)
	for _, q := range []string{"", "?token=", "?token=nobody", "?token=" + strings.Repeat("x", 5000)} {
		wantCode(t, ask(h, "GET", "/face/print/api/session"+q, ""), 404, "token_invalid")
	}
}

func TestConsentThenIdentity(t *testing.T) {
	t.Parallel()
	core := newCore(fixed)
	core.session.Agreement = nil
	core.session.Plan.Identity = ekyc.IdentityEntered
	h, _ := newHandler(t, core, fixed, nil)
	post := func(path, body string) Step {
		t.Helper()
		return readView(t, ask(h, "POST", "/face/print/api/"+path, body)).Step
	}
	wantCode(t, ask(h, "POST", "/face/print/api/consent", `{"token":"`+string(token)+`","version":"v0"}`), 409, "consent_missing")
	if got := post("consent", `{"token":"`+string(token)+`","version":"v1"}`); got != StepIdentity {
		t.Errorf("after consent: got step %q, want identity", got)
	}
	if a := core.session.Agreement; a == nil || a.Version != "v1" || !a.At.Equal(fixed()) {
		t.Errorf("got agreement %+v, want version and time", a)
	}
	for _, c := range []struct{ body, code string }{
		{`"name":"","number":"` + number + `","type":0`, "bad_name"},
		{`"name":"` + name + `","number":"110105194912310021","type":0`, "bad_id_number"},
		{`"name":"` + name + `","number":"` + number + `","type":4`, "bad_id_number"},
		{`"name":"` + name + `","number":"` + number + `","type":9`, "bad_document_type"},
	} {
		wantCode(t, ask(h, "POST", "/face/print/api/identity", `{"token":"`+string(token)+`",`+c.body+`}`), 422, c.code)
	}
	if got := post("identity", `{"token":"`+string(token)+`","name":" `+name+` ","number":"11010519491231002x","type":0}`); got != StepCapture {
		t.Errorf("after identity: got step %q, want capture", got)
	}
	if got := core.session.Claim; got == nil || *got != *claim(t) {
		t.Errorf("the claim that was entered differs from the one typed")
	}
}

func TestAbandon(t *testing.T) {
	t.Parallel()
	core := newCore(fixed)
	h, _ := newHandler(t, core, fixed, nil)
	give := func(reason string) *Result {
		t.Helper()
		return readView(t, ask(h, "POST", "/face/print/api/abandon", `{"token":"`+string(token)+`","reason":"`+reason+`"}`)).Result
	}
	for _, step := range []struct {
		reason  string
		attempt int
	}{
		{"camera_refused", 1},
		{"camera_refused", 1}, // a reload is not another refusal
		{"cancelled", 2},
		{"camera_refused", 3},
	} {
		if got := give(step.reason); got == nil || got.Reason != step.reason || got.Attempt != step.attempt || !got.MayRetry {
			t.Errorf("abandon %s: got %+v, want attempt %d, may retry", step.reason, got, step.attempt)
		}
	}
	for _, reason := range []string{"timed_out", "interrupted", "non_match", ""} {
		wantCode(t, ask(h, "POST", "/face/print/api/abandon", `{"token":"`+string(token)+`","reason":"`+reason+`"}`), 400, "bad_request")
	}
	if got := len(core.attempts()); got != 3 {
		t.Errorf("got %d attempts, want 3", got)
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	h, l := newHandler(t, newCore(fixed), fixed, nil)
	for _, path := range []string{"consent", "identity", "abandon"} {
		path = "/face/print/api/" + path
		wantCode(t, ask(h, "POST", path, `{`), 400, "bad_request")
		wantCode(t, ask(h, "POST", path, `[]`), 400, "bad_request")
		wantCode(t, ask(h, "POST", path, `{"token":"a"}{}`), 400, "bad_request")
		wantCode(t, ask(h, "POST", path, `{"token":"a","surprise":1}`), 400, "bad_request")
		wantCode(t, ask(h, "POST", path, `{"token":"a"}`, "Content-Type", "text/plain"), 400, "bad_request")
		wantCode(t, ask(h, "POST", path, `{"token":"`+strings.Repeat("x", maxBody)+`"}`), 413, "body_too_large")
	}
	if l.String() != "" {
		t.Errorf("strangers' bodies fill the log: %s", l)
	}
}

func TestInnerFailuresAreLoggedNotTold(t *testing.T) {
	t.Parallel()
	core := newCore(fixed)
	core.attend = func() error { return ekyc.Wrap(ekyc.Internal, "read session", errors.New("disk on fire")) }
	h, l := newHandler(t, core, fixed, nil)
	r := ask(h, "GET", "/face/print/api/session?token="+string(token), "")
	wantCode(t, r, 500, ErrSystem)
	if !strings.Contains(l.String(), "disk on fire") {
		t.Errorf("the log %q does not hold the cause", l)
	}
}
