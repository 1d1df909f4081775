package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiren/api/baidu"
	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/server"
	"shiren/internal/testkit"
)

// options are those of a service in an empty folder, with a scripted engine and a
// clock that stands still.
func options(t *testing.T, text string) (server.Options, *testkit.Clock, *testkit.Logs) {
	t.Helper()
	dir := t.TempDir()
	cfg, err := config.Parse("shiren.toml", []byte(strings.ReplaceAll(text, "DIR", dir)), nil,
		[]config.Flag{{Key: "data", Name: "--data", Value: filepath.Join(dir, "data")}})
	if err != nil {
		t.Fatal(err)
	}
	clock, logs := &testkit.Clock{}, &testkit.Logs{}
	clock.Set(testkit.Start)
	return server.Options{
		Config: cfg, Now: clock.Now, Engine: &testkit.Engine{}, Videos: noVideos{},
		Log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, clock, logs
}

// noVideos spares each start the search for ffmpeg; nothing is recorded here.
type noVideos struct{ ekyc.Videos }

func build(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s, err := server.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

const declared = `
listen = "127.0.0.1:0"
[[app]]
id = "7"
name = "Bank"
key = "bankbankbank"
secret = "secretsecret"
[[plan]]
id = "live"
app = "7"
`

// TestDeclaredDeployment builds the same service twice over the same data, with a
// change in between, and calls it as a relying party.
func TestDeclaredDeployment(t *testing.T) {
	t.Parallel()
	o, clock, _ := options(t, declared)
	s := build(t, o)
	web := httptest.NewServer(s.Handler)
	defer web.Close()
	c := baidu.Client{Base: web.URL, Key: "bankbankbank", Secret: "secretsecret"}
	token, err := c.Generate(t.Context(), baidu.GenerateRequest{PlanID: "live"})
	if err != nil || len(token) != 24 {
		t.Fatalf("generate: %q, %v", token, err)
	}
	first, err := s.Store.Plan(t.Context(), "live")
	if err != nil {
		t.Fatal(err)
	}

	clock.Advance(time.Hour)
	o.Config.Plans[0].MatchAt, o.Config.Apps[0].Name = 0.9, "Bank of Examples"
	d, err := server.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	second, err := d.Store.Plan(t.Context(), "live")
	if err != nil || second.MatchAt != 0.9 || !second.Created.Equal(first.Created) {
		t.Errorf("plan after a change: threshold %v, created %v, %v; want 0.9, as before %v", second.MatchAt, second.Created, err, first.Created)
	}
	if app, err := d.Store.App(t.Context(), "7"); err != nil || app.Name != "Bank of Examples" {
		t.Errorf("app after a change: %q, %v", app.Name, err)
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o, _, _ := options(t, "")
	s := build(t, o)
	app, ok, err := s.Demo(ctx)
	if err != nil || !ok || app.ID != server.DemoApp || len(app.Key) != 24 || len(app.Secret) != 24 || app.Validate() != nil {
		t.Fatalf("first start: %+v, %v, %v", app, ok, err)
	}
	again, ok, err := s.Demo(ctx)
	if err != nil || !ok || again.Key != app.Key || again.Secret != app.Secret {
		t.Errorf("second start: other keys (%v, %v)", ok, err)
	}
	for _, plan := range []ekyc.PlanID{"1", "2", "3"} {
		if _, err := s.Service.Open(ctx, app, plan, ekyc.Redirect{}); err != nil {
			t.Errorf("plan %s cannot be used: %v", plan, err)
		}
	}
	app.Disabled = true
	if err := s.Store.PutApp(ctx, app); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Demo(ctx); ok || err != nil {
		t.Errorf("a demo app that was switched off is offered again (%v)", err)
	}
}

func TestNoDemoBesideOthers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"declared apps": declared, "switched off": "demo = false"} {
		o, _, _ := options(t, text)
		if _, ok, err := build(t, o).Demo(t.Context()); ok || err != nil {
			t.Errorf("%s: a demo app is offered (%v)", name, err)
		}
	}
	o, _, _ := options(t, "")
	s := build(t, o)
	if err := s.Store.PutApp(t.Context(), ekyc.App{ID: "9", Name: "by hand", Key: "keykeykey", Secret: "secretsecret"}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Demo(t.Context()); ok || err != nil {
		t.Errorf("an app added by hand: a demo app is offered beside it (%v)", err)
	}
}

// TestGuard sends what strangers send.
func TestGuard(t *testing.T) {
	t.Parallel()
	o, _, logs := options(t, declared+"[limits]\nbody = \"1MiB\"\n")
	s := build(t, o)
	web := httptest.NewServer(s.Handler)
	defer web.Close()
	for _, path := range []string{"/healthz", "/readyz", "/", "/face/print/?token=hunter2"} {
		res, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("GET %s: status %d, want 200", path, res.StatusCode)
		}
	}
	res, err := http.Post(web.URL+"/rest/2.0/face/v4/mingjing/match?access_token=hunter2", "application/json", strings.NewReader(strings.Repeat("x", 2<<20)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || !strings.Contains(string(b), `"error_code"`) {
		t.Errorf("a body over the limit: %q, %v; want the vendor's error", b, err)
	}
	if strings.Contains(logs.String(), "hunter2") {
		t.Errorf("a token reached the log:\n%s", logs)
	}
	if !strings.Contains(logs.String(), "path=/face/print/") {
		t.Errorf("the access log is missing:\n%s", logs)
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	o, _, logs := options(t, declared)
	h := server.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the name is 张三") }), o)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "张三") {
		t.Errorf("answer to a panic: %d %q", w.Code, w.Body)
	}
	if strings.Contains(logs.String(), "张三") || !strings.Contains(logs.String(), "a handler panicked") {
		t.Errorf("log of a panic:\n%s", logs)
	}
}

// serve runs a server until the test ends and returns where it listens.
func serve(t *testing.T, s *server.Server) server.Address {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan server.Address, 1), make(chan error, 1)
	go func() { done <- s.Serve(ctx, func(a server.Address) { ready <- a }) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	select {
	case a := <-ready:
		return a
	case err := <-done:
		done <- nil
		t.Fatalf("serve: %v", err)
	}
	return server.Address{}
}

func TestListenTrouble(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o, _, _ := options(t, "")
	o.Config.Listen = l.Addr().String()
	err = build(t, o).Serve(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("an address in use: %v", err)
	}
}

// TestRequestsFinish stops a server while it answers.
func TestRequestsFinish(t *testing.T) {
	t.Parallel()
	o, _, _ := options(t, declared)
	s := build(t, o)
	inside, release := make(chan struct{}), make(chan struct{})
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-release
		io.WriteString(w, "whole")
	})
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan server.Address, 1), make(chan error, 1)
	go func() { done <- s.Serve(ctx, func(a server.Address) { ready <- a }) }()
	at := <-ready
	type answer struct {
		body string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		res, err := http.Get(at.Local)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		answers <- answer{string(b), err}
	}()
	<-inside
	stop()
	close(release)
	if a := <-answers; a.body != "whole" || a.err != nil {
		t.Errorf("a request under way: %q, %v", a.body, a.err)
	}
	if err := <-done; err != nil {
		t.Errorf("serve ended with %v", err)
	}
	if _, err := http.Get(at.Local); err == nil {
		t.Error("the server still answers")
	}
}

// TestWhatIsDueIsErased lets three days pass.
func TestWhatIsDueIsErased(t *testing.T) {
	t.Parallel()
	o, clock, _ := options(t, declared)
	s := build(t, o)
	app, err := s.Store.App(t.Context(), "7")
	if err != nil {
		t.Fatal(err)
	}
	ses, err := s.Service.Open(t.Context(), app, "live", ekyc.Redirect{})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := s.Purge(t.Context(), o); e.Sessions != 0 || err != nil {
		t.Errorf("too early: %+v, %v", e, err)
	}
	clock.Advance(ekyc.ResultKept)
	if e, err := s.Purge(t.Context(), o); e.Sessions != 1 || err != nil {
		t.Errorf("when due: %+v, %v; want 1 session", e, err)
	}
	if _, err := s.Store.Session(t.Context(), ses.Token); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("after the purge: %v, want ErrAbsent", err)
	}
}

func TestLostMasterKey(t *testing.T) {
	t.Parallel()
	o, _, _ := options(t, declared)
	d, err := server.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(o.Config.MasterKeyFile()); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "master key") {
		t.Errorf("another master key: %v, want an error that says so", err)
	}
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	if _, err := server.NewKey(strings.NewReader("short")); err == nil {
		t.Error("a key is made without randomness")
	}
}
