package capture

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

func TestThePageHandsOnWhatTheOpenerWants(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	const number = "11010519491231002X"
	k.Authority.Add(number, "张三", testkit.Photo(testkit.Face{Person: "zhang"}))
	claim, err := ekyc.ParseCommonClaim("张三", number)
	if err != nil {
		t.Fatal(err)
	}
	who := ekyc.SubjectID("用户/1")
	ses, err := k.OpenAs(k.Ctx, k.App, ekyc.Opening{Opener: "some", Subject: who, Claim: claim})
	if err != nil {
		t.Fatal(err)
	}
	h := New(k.Service, Config{Now: k.Clock.Now, Log: k.Log, Pages: fstest.MapFS{"index.html": {Data: []byte("x")}}, Onward: map[string]Hook{
		"some": func(s *ekyc.Session, a *ekyc.Attempt, unusable string) ekyc.Onward {
			p := map[string]string{"why": unusable}
			if a != nil {
				p["outcome"] = string(a.Outcome)
			}
			return ekyc.Onward{Params: p, Trouble: map[string]map[string]string{"offline": {"code": "4"}}}
		},
	}})
	ask := func(token ekyc.Token, app, subject string) (v View, raw string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, Prefix+"/api/session?token="+string(token), nil)
		for name, value := range map[string]string{"Shiren-App": app, "Shiren-Subject": subject} {
			if value != "" {
				r.Header.Set(name, url.PathEscape(value))
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		return v, w.Body.String()
	}
	for name, c := range map[string]struct {
		app, subject string
		step         Step
		reason       string
	}{
		"nothing is claimed": {"", "", StepConsent, ""},
		"its own":            {string(k.App.ID), string(who), StepConsent, ""},
		"another app":        {"1", "", StepUnusable, ForeignApp},
		"another user":       {string(k.App.ID), "用户/2", StepUnusable, ForeignSubject},
	} {
		v, raw := ask(ses.Token, c.app, c.subject)
		if v.Step != c.step || v.Reason != c.reason || v.Onward == nil || v.Onward.Params["why"] != c.reason || v.Onward.Trouble["offline"]["code"] != "4" {
			t.Errorf("%s: got %s", name, raw)
		}
		if c.reason != "" && (strings.Contains(raw, "张") || v.Consent.Version != "") {
			t.Errorf("%s: the session shows itself to a stranger: %s", name, raw)
		}
	}
	if _, err := k.Walk(ses.Token, testkit.Face{Person: "zhang"}); err != nil {
		t.Fatal(err)
	}
	if v, raw := ask(ses.Token, "", ""); v.Onward.Params["outcome"] != "match" {
		t.Errorf("after a match: got %s", raw)
	}
	if v, raw := ask(k.OpenPlan("1").Token, "", ""); v.Onward != nil || strings.Contains(raw, "onward") {
		t.Errorf("a session that nobody wants anything of: got %s", raw)
	}
}
