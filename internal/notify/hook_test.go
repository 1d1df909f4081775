package notify_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shiren/api/webhook"
	"shiren/internal/ekyc"
	"shiren/internal/notify"
)

// endpoints is a list of receivers in memory.
type endpoints map[string]notify.Endpoint

func (e endpoints) Endpoint(_ context.Context, id string) (notify.Endpoint, error) {
	if x, ok := e[id]; ok {
		return x, nil
	}
	return notify.Endpoint{}, ekyc.ErrAbsent
}

// receiver is a service that verifies what it gets, as docs/console/alarms.md says.
type receiver struct {
	mu      sync.Mutex
	now     func() time.Time
	secrets []string
	ids     []string
	bodies  []string
	wrong   []error
}

func (v *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err == nil {
		err = webhook.Verify(r.Header, body, v.now(), v.secrets...)
	}
	if err == nil && (r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json") {
		err = fmt.Errorf("%s with %s", r.Method, r.Header.Get("Content-Type"))
	}
	if err != nil {
		v.wrong = append(v.wrong, err)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if id := r.Header.Get(webhook.HeaderDelivery); !slices.Contains(v.ids, id) {
		v.ids = append(v.ids, id)
		v.bodies = append(v.bodies, string(body))
	}
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func hooks(e endpoints, now func() time.Time, change func(*notify.HookConfig)) *notify.Hooks {
	c := notify.HookConfig{Endpoints: e, Allow: loopback, Now: now, UserAgent: "shiren"}
	if change != nil {
		change(&c)
	}
	return notify.NewHooks(c)
}

func fixed() time.Time { return noon }

func endpoint(id, url string, secrets ...string) notify.Endpoint {
	e := notify.Endpoint{ID: id, Name: id, URL: url, Enabled: true}
	for _, s := range secrets {
		e.Secrets = append(e.Secrets, notify.Signing{Secret: ekyc.Secret(s), Created: noon})
	}
	return e
}

var ping = notify.Delivery{ID: "0123456789abcdef", Channel: notify.Webhook, To: "a", Body: []byte(`{"id":"0123456789abcdef","text":"告警"}`)}

// A message is signed with each valid secret, over TLS; the receiver needs one of them.
func TestHookIsSigned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		secrets []string
		knows   []string
		status  int
	}{
		{"the one secret", []string{"one"}, []string{"one"}, 200},
		{"while it is replaced, a receiver with the old one", []string{"two", "one"}, []string{"one"}, 200},
		{"while it is replaced, a receiver with the new one", []string{"two", "one"}, []string{"two"}, 200},
		{"a receiver with another one", []string{"two", "one"}, []string{"three"}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := &receiver{now: fixed, secrets: c.knows}
			srv := httptest.NewTLSServer(v)
			defer srv.Close()
			roots := x509.NewCertPool()
			roots.AddCert(srv.Certificate())
			h := hooks(endpoints{"a": endpoint("a", srv.URL+"/alarms?x=1", c.secrets...)}, fixed, func(h *notify.HookConfig) { h.Roots = roots })
			try := h.Send(t.Context(), ping)
			if try.Status != c.status || (try.Err == "") != (c.status == 200) {
				t.Errorf("Send = %+v, want %d; the receiver says %v", try, c.status, v.wrong)
			}
			if c.status == 200 && (len(v.bodies) != 1 || v.bodies[0] != string(ping.Body)) {
				t.Errorf("the receiver got %q, want %q", v.bodies, ping.Body)
			}
			for _, s := range c.secrets {
				if strings.Contains(try.Err, s+" ") {
					t.Error("the error tells a secret")
				}
			}
		})
	}
	v := &receiver{now: fixed, secrets: []string{"one"}}
	srv := httptest.NewTLSServer(v)
	defer srv.Close()
	h := hooks(endpoints{"a": endpoint("a", srv.URL, "one")}, fixed, nil)
	if try := h.Send(t.Context(), ping); !strings.Contains(try.Err, "not trusted") || try.Final {
		t.Errorf("to a receiver with an unknown certificate Send = %+v, want a refusal that is tried again", try)
	}
}

// Addresses that lead into this machine or a private network are refused, by name and by number,
// unless they are listed; nothing is sent to them.
func TestHookGuard(t *testing.T) {
	t.Parallel()
	var reached sync.Map
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached.Store(r.URL.Path, true) }))
	defer srv.Close()
	port := srv.URL[strings.LastIndexByte(srv.URL, ':')+1:]
	for _, c := range []struct {
		name, url string
		change    func(*notify.HookConfig)
		ok        bool
	}{
		{"this machine, listed", srv.URL + "/listed", nil, true},
		{"this machine by name, listed", "http://localhost:" + port + "/name-listed", nil, true},
		{"this machine, not listed", srv.URL + "/1", func(h *notify.HookConfig) { h.Allow = nil }, false},
		// A name passes the look at the text; what it leads to is found when it is dialled.
		{"a name that leads here, not listed", "http://localhost:" + port + "/2", func(h *notify.HookConfig) { h.Allow = nil }, false},
		{"a name that leads here, plain allowed, not listed", "http://localhost:" + port + "/3", func(h *notify.HookConfig) { h.Allow, h.AllowHTTP = nil, true }, false},
		{"mapped into IPv6", "http://[::ffff:127.0.0.1]:" + port + "/4", func(h *notify.HookConfig) { h.Allow, h.AllowHTTP = nil, true }, false},
		{"unspecified", "http://0.0.0.0:" + port + "/5", func(h *notify.HookConfig) { h.AllowHTTP = true; h.Allow = nil }, false},
	} {
		h := hooks(endpoints{"a": endpoint("a", c.url, "one")}, fixed, c.change)
		try := h.Send(t.Context(), ping)
		if (try.Err == "") != c.ok {
			t.Errorf("%s: Send = %+v", c.name, try)
		}
		if _, got := reached.Load(c.url[strings.LastIndexByte(c.url, '/'):]); got != c.ok {
			t.Errorf("%s: reached %v, want %v", c.name, got, c.ok)
		}
	}

	h := hooks(nil, fixed, func(h *notify.HookConfig) { h.Allow = []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24")} })
	for _, bad := range []string{
		"https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/",
		"https://100.100.100.200/", "https://[fd00:ec2::254]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/", "https://[ff02::1]/",
		"https://255.255.255.255/", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/", "https://[::10.0.0.1]/", "https://198.18.0.1/",
		"http://example.com/", "http://10.1.2.3/", "ftp://example.com/", "https://", "https:///x", "example.com", "", "javascript:alert(1)",
		"https://user:password@example.com/", "https://example.com/#x", "https://example.com/ x", "https://example.com/\r\nX: y", "https://例子.cn/", "https://example.com/" + strings.Repeat("x", 3000),
	} {
		if err := h.CheckURL(bad); err == nil {
			t.Errorf("CheckURL(%q) = nil", bad)
		}
	}
	for _, good := range []string{"https://example.com/alarms?token=1", "https://example.com:8443/", "https://10.1.2.3/", "https://1.1.1.1/", "https://[2606:4700::1]/"} {
		if err := h.CheckURL(good); err != nil {
			t.Errorf("CheckURL(%q) = %v", good, err)
		}
	}
}

// Answers are read to a bound, redirects lead nowhere, and what a receiver says decides.
func TestHookAnswers(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Only behind the body does the server notice that the caller has gone.
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<10)); err != nil {
					return
				}
			}
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		case "/hung":
			<-r.Context().Done()
		}
	}))
	defer srv.Close()
	e := endpoints{"off": {ID: "off", URL: srv.URL, Secrets: endpoint("", "", "one").Secrets}, "bare": endpoint("bare", srv.URL)}
	for _, path := range []string{"moved", "endless", "broken", "nothing", "hung"} {
		e[path] = endpoint(path, srv.URL+"/"+path, "one")
	}
	h := hooks(e, fixed, nil)
	for _, c := range []struct {
		to     string
		status int
		says   string
		final  bool
	}{
		{"moved", 307, "redirects are not followed", false},
		{"endless", 200, "", false},
		{"broken", 500, "500", false},
		{"nothing", 204, "", false},
		{"hung", 0, "in time", false},
		{"off", 0, "switched off", false},
		{"bare", 0, "no valid secret", false},
		{"gone", 0, "removed", true},
	} {
		t.Run(c.to, func(t *testing.T) {
			ctx := t.Context()
			if c.to == "hung" {
				short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
				ctx = short
			}
			d := ping
			d.To = c.to
			try := h.Send(ctx, d)
			if try.Status != c.status || try.Final != c.final || (try.Err == "") != (c.says == "") || !strings.Contains(try.Err, c.says) {
				t.Errorf("Send = %+v; want status %d and %q", try, c.status, c.says)
			}
			if strings.Contains(try.Err, srv.URL) {
				t.Error("the error tells the address, whose path may be a secret")
			}
		})
	}
}

// The story of a webhook: its receiver is down for a day, comes back, and gets the message once,
// with a fresh timestamp; then an operator replays it, and a receiver that tells by the id takes it once.
func TestHookComesBackAndReplay(t *testing.T) {
	t.Parallel()
	s, now := open(t), &clock{t: noon}
	v := &receiver{now: now.Now, secrets: []string{"one"}}
	down, calls := true, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		v.ServeHTTP(w, r)
	}))
	defer srv.Close()
	e, err := s.PutEndpoint(t.Context(), endpoint("a", srv.URL, "one"))
	if err != nil {
		t.Fatal(err)
	}
	c := &notify.Courier{Queue: s, Now: now.Now, Log: slog.New(slog.DiscardHandler), Hooks: notify.NewHooks(notify.HookConfig{Endpoints: s, Allow: loopback, Now: now.Now})}
	round := func() {
		t.Helper()
		if _, err := c.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d := queue(t, s, noon, ping)
	for now.Now().Before(noon.Add(24 * time.Hour)) {
		round()
		now.move(10 * time.Minute)
	}
	down = false
	for range 6 * 7 {
		round()
		now.move(10 * time.Minute)
	}
	got, tries := delivery(t, s, d.ID)
	if got.State != notify.Delivered || tries[0].Status != 200 || tries[1].Status != 502 || len(v.wrong) > 0 {
		t.Fatalf("%s, last tries %+v, the receiver says %v; want delivered after 502s", got.State, tries[:2], v.wrong)
	}
	before := calls
	if _, err := s.Replay(t.Context(), d.ID, now.Now()); err != nil {
		t.Fatal(err)
	}
	round()
	got, tries = delivery(t, s, d.ID)
	if got.State != notify.Delivered || calls != before+1 || len(tries) != calls+1 {
		t.Errorf("after the replay %s, %d calls, %d tries written down; want one more", got.State, calls-before, len(tries))
	}
	if len(v.ids) != 1 || len(v.wrong) > 0 {
		t.Errorf("the receiver took ids %v and refused %v; want the one, twice", v.ids, v.wrong)
	}
	if err := s.RemoveEndpoint(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Replay(t.Context(), d.ID, now.Now()); err != nil {
		t.Fatal(err)
	}
	round()
	if got, _ = delivery(t, s, d.ID); got.State != notify.GivenUp {
		t.Errorf("a message to a removed webhook is %s, want given up", got.State)
	}
}
