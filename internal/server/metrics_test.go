package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/server"
	"shiren/internal/testkit"
)

const counted = `
listen = "127.0.0.1:0"
sources = ["them"]
[metrics]
address = "127.0.0.1:0"
[[source]]
name = "them"
kind = "juhe-face"
address = "ADDRESS"
key = "theirKey"
cost = 0.35
[[app]]
id = "7"
key = "bankbankbank"
secret = "secretsecret"
[[plan]]
id = "live"
app = "7"
[[plan]]
id = "named"
app = "7"
comparison = "authority"
identity = "declared"
`

// figures reads what a scrape says: a value for each name with its labels.
func figures(t *testing.T, h http.Handler) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: status %d", w.Code)
	}
	out := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			out[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return out
}

// TestFigures counts a person who was verified, a source that went down, an engine that had
// no time, and requests known and unknown.
func TestFigures(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, `{"error_code":0,"result":{"res":1,"score":90}}`)
	}))
	defer vendor.Close()
	o, clock, _ := options(t, strings.ReplaceAll(counted, "ADDRESS", vendor.URL))
	engine := o.Engine.(*testkit.Engine)
	s := build(t, o)
	ctx := t.Context()
	kit := &testkit.Kit{T: t, Ctx: ctx, Clock: clock, Service: s.Service}
	app, err := s.Service.AppByID(ctx, "7")
	if err != nil {
		t.Fatal(err)
	}
	const name, number = "测试", "990111199003070018" // 99 is no province
	claim, err := ekyc.ParseClaim(name, number, ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	named, err := s.Service.Open(ctx, app, "named", ekyc.Redirect{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Service.Declare(ctx, app, named.Token, claim); err != nil {
		t.Fatal(err)
	}
	a, err := kit.Walk(named.Token, testkit.Face{Person: "zhang"})
	if err != nil || a.Outcome != ekyc.Match {
		t.Fatalf("the person: %s %s, %v", a.Outcome, a.Code, err)
	}
	if len(a.Asked) != 1 || a.Asked[0].Cost != 350_000 {
		t.Errorf("the record of who was asked is %+v, want one source at a cost of 350000", a.Asked)
	}
	live, err := s.Service.Open(ctx, app, "live", ekyc.Redirect{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Service.Abandon(ctx, live.Token, ekyc.CameraRefused); err != nil {
		t.Fatal(err)
	}

	down.Store(true)
	face := ekyc.Picture{Image: testkit.Photo(testkit.Face{Person: "zhang"}), Quality: ekyc.LevelNone, Liveness: ekyc.LevelNone}
	for i := range 6 { // the breaker opens after five
		if _, err := s.Service.Verify(ctx, app, claim, face, fmt.Sprintf("log%d", i), ""); ekyc.CodeOf(err) != ekyc.SourceFailed {
			t.Fatalf("a source that is down: got %v, want %s", err, ekyc.SourceFailed)
		}
	}
	engine.Hook = func() error { return ekyc.Errorf(ekyc.Busy, "no turn") }
	if _, err := s.Service.Verify(ctx, app, claim, face, "log6", ""); ekyc.CodeOf(err) != ekyc.Busy {
		t.Fatalf("an engine without time: got %v, want %s", err, ekyc.Busy)
	}
	for _, path := range []string{
		"/healthz", "/oauth/2.0/token?client_secret=wrong", "/face/print/api/session?token=" + string(named.Token),
		"/wp-login.php", "/rest/2.0/face/" + number, "/rest/2.0/face/another", "/face/print/api/" + string(named.Token),
	} {
		s.Handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	clock.Advance(30 * 24 * time.Hour)
	if _, err := s.Purge(ctx, o); err != nil {
		t.Fatal(err)
	}

	got := figures(t, s.Figures)
	for figure, want := range map[string]string{
		`shiren_attempts_total{code="",kind="verify",liveness="silent",outcome="match",sandbox="false"}`:        "1",
		`shiren_attempts_total{code="camera_refused",kind="live",liveness="",outcome="failed",sandbox="false"}`: "1",
		`shiren_charges_total{kind="verify",sandbox="false"}`:                                                   "1",
		`shiren_direct_calls_total{answered="false",code="source_failed",kind="verify",sandbox="false"}`:        "6",
		`shiren_direct_calls_total{answered="false",code="busy",kind="verify",sandbox="false"}`:                 "1",
		`shiren_source_answers_total{code="",outcome="match",source="them"}`:                                    "1",
		`shiren_source_answers_total{code="source_failed",outcome="failed",source="them"}`:                      "6",
		`shiren_source_calls_total{charged="true",code="",interface="/verifyface/verify",source="them"}`:        "1",
		`shiren_source_answer_seconds_count{source="them"}`:                                                     "7",
		`shiren_sessions_total{liveness="silent"}`:                                                              "2",
		`shiren_page_steps_total{step="opened"}`:                                                                "1",
		`shiren_page_steps_total{step="passed"}`:                                                                "1",
		`shiren_liveness_scores_total{tenth="9"}`:                                                               "1",
		`shiren_source_call_seconds_count{source="them"}`:                                                       "6",
		`shiren_source_cost_total{source="them"}`:                                                               "2.1", // what is not known counts as charged
		`shiren_source_spared_total{source="them"}`:                                                             "1",
		`shiren_source_breaker_state{source="them",state="open"}`:                                               "1",
		`shiren_source_breaker_state{source="them",state="closed"}`:                                             "0",
		`shiren_engine_errors_total{code="busy",doing="examine"}`:                                               "1",
		`shiren_engine_in_flight{doing="examine"}`:                                                              "0",
		`shiren_purged_total{what="sessions"}`:                                                                  "2",
		`shiren_captures_open`:                                                                                  "0",
		`shiren_http_requests_total{interface="/healthz",protocol="none",status="2xx"}`:                         "1",
		`shiren_http_requests_total{interface="/face/print/api/session",protocol="capture",status="2xx"}`:       "1",
		`shiren_http_requests_total{interface="/oauth/2.0/token",protocol="baidu",status="4xx"}`:                "1",
		`shiren_http_requests_total{interface="other",protocol="none",status="4xx"}`:                            "1",
		`shiren_http_requests_total{interface="other",protocol="baidu",status="2xx"}`:                           "2",
		`shiren_http_requests_total{interface="other",protocol="capture",status="4xx"}`:                         "1",
	} {
		if got[figure] != want {
			t.Errorf("%s is %q, want %q", figure, got[figure], want)
		}
	}
	if got["go_goroutines"] == "" || got["process_cpu_seconds_total"] == "" {
		t.Error("the runtime's and the process's figures are missing")
	}
	for figure := range got {
		for _, secret := range []string{name, number, string(named.Token), a.LogID, "log1", "bankbankbank", "theirKey", vendor.URL, "127.0.0.1", "192.0.2.1", "wp-login"} {
			if strings.Contains(figure, secret) {
				t.Errorf("%s holds %q", figure, secret)
			}
		}
	}
}

// TestMetricsListener reads figures where the configuration says, and nowhere else.
func TestMetricsListener(t *testing.T) {
	t.Parallel()
	o, _, logs := options(t, declared+"[metrics]\naddress = \"127.0.0.1:0\"\n")
	s := build(t, o)
	at := serve(t, s)
	own := regexp.MustCompile(`http://127\.0\.0\.1:\d+/metrics`).FindString(logs.String())
	get := func(address string) (int, string) {
		r, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
	if status, body := get(own); status != http.StatusOK || !strings.Contains(body, "shiren_captures_open 0") {
		t.Errorf("%s: status %d, want 200 with figures", own, status)
	}
	if status, _ := get(strings.TrimSuffix(own, "metrics")); status != http.StatusNotFound {
		t.Errorf("the listener answers other paths with %d, want 404", status)
	}
	if status, _ := get(at.Local + "/metrics"); status != http.StatusNotFound {
		t.Errorf("relying parties' address answers /metrics with %d, want 404", status)
	}
	if quiet := build(t, func() server.Options { o, _, _ := options(t, declared); return o }()); quiet.Figures != nil {
		t.Error("figures are offered though nobody asked for them")
	}
}
