package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"shiren/internal/operator"
	"shiren/internal/server"
)

// cheap makes passwords quick to check.
var cheap = operator.Cost{Memory: 8, Time: 1, Threads: 1}

// browser is a client that keeps cookies and sends what the console's page sends.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
}

func newBrowser(t *testing.T, base string, client *http.Client) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := *client
	c.Jar = jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t, base, &c}
}

// call sends a call of the interface and reads the answer; its status and body.
func (b *browser) call(method, path, body string) (int, map[string]any, http.Header) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+"/console/api"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Shiren-Console", "1")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var v map[string]any
	if json.Unmarshal(text, &v) != nil && strings.Contains(res.Header.Get("Content-Type"), "json") {
		b.t.Fatalf("%s %s answers %q", method, path, text)
	}
	return res.StatusCode, v, res.Header
}

// ok is call for what must succeed.
func (b *browser) ok(method, path, body string) map[string]any {
	b.t.Helper()
	status, v, _ := b.call(method, path, body)
	if status != http.StatusOK {
		b.t.Fatalf("%s %s: status %d, %v", method, path, status, v)
	}
	return v
}

// code is the code of an answer that is a failure.
func (b *browser) code(method, path, body string) string {
	b.t.Helper()
	_, v, _ := b.call(method, path, body)
	e, _ := v["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

const strong = "four words of no song"

// TestConsoleStory walks from the first start's link to a journalled change and back out, over HTTP.
func TestConsoleStory(t *testing.T) {
	t.Parallel()
	o, clock, logs := options(t, "listen = \"127.0.0.1:0\"\n")
	o.PasswordCost, o.Version = cheap, "test"
	s := build(t, o)
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan server.Address, 1), make(chan error, 1)
	go func() { done <- s.Serve(ctx, func(at server.Address) { ready <- at }) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	at := <-ready
	if !strings.HasSuffix(at.Console, "/console") {
		t.Fatalf("the console is at %q", at.Console)
	}
	base := strings.TrimSuffix(at.Console, "/console")

	link, err := s.Operators.FirstLink(ctx)
	if err != nil || link == "" {
		t.Fatalf("first link %q, %v", link, err)
	}
	b := newBrowser(t, base, http.DefaultClient)
	if v := b.ok("GET", "/access/me", ""); v["administrated"] != false || v["person"] != nil || v["version"] != "" {
		t.Errorf("before: %v", v)
	}
	if v := b.ok("POST", "/access/link", `{"link":"`+link+`"}`); v["kind"] != "first" || v["role"] != "administrator" {
		t.Errorf("the link is for %v", v)
	}
	begin := `{"link":"` + link + `","name":"Wei.Li","password":"` + strong + `","language":"zh-CN","zone":"Asia/Shanghai"}`
	v := b.ok("POST", "/access/begin", begin)
	person, _ := v["person"].(map[string]any)
	if person["name"] != "Wei.Li" || person["zone"] != "Asia/Shanghai" || v["administrated"] != true || v["version"] != "test" {
		t.Errorf("after: %v", v)
	}
	if code := newBrowser(t, base, http.DefaultClient).code("POST", "/access/begin", begin); code != "link" {
		t.Errorf("the link used again: %q, want link", code)
	}
	if again, err := s.Operators.FirstLink(ctx); again != "" || err != nil {
		t.Errorf("with an administrator there is a first link %q, %v", again, err)
	}

	enrolled := b.ok("POST", "/access/totp", "{}")
	secret, _ := enrolled["secret"].(string)
	if uri, _ := enrolled["uri"].(string); !strings.HasPrefix(uri, "otpauth://totp/") || enrolled["png"] == "" {
		t.Errorf("enrolled: %v", enrolled)
	}
	now := func() string {
		c, err := totp.GenerateCode(secret, clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if v := b.ok("POST", "/access/totp/confirm", `{"code":"`+now()+`"}`); len(v["recovery"].([]any)) != 10 {
		t.Errorf("recovery codes: %v", v)
	}
	b.ok("POST", "/access/sign-out", "{}")
	if code := b.code("GET", "/accounts", ""); code != "signed_out" {
		t.Errorf("after signing out: %q", code)
	}

	clock.Advance(time.Minute)
	if code := b.code("POST", "/access/sign-in", `{"name":"wei.li","password":"`+strong+`"}`); code != "code_needed" {
		t.Errorf("without a code: %q", code)
	}
	b.ok("POST", "/access/sign-in", `{"name":"wei.li","password":"`+strong+`","code":"`+now()+`"}`)
	invited := b.ok("POST", "/accounts", `{"name":"审计员","role":"auditor"}`)
	path, _ := invited["path"].(string)
	if !strings.HasPrefix(path, "/console/begin#") {
		t.Fatalf("invited: %v", invited)
	}

	other := newBrowser(t, base, http.DefaultClient)
	other.ok("POST", "/access/begin", `{"link":"`+path[len("/console/begin#"):]+`","password":"another long sentence"}`)
	if code := other.code("GET", "/accounts", ""); code != "forbidden" {
		t.Errorf("an auditor lists accounts: %q", code)
	}
	journal := other.ok("GET", "/journal?action=account.", "")
	items, _ := journal["items"].([]any)
	if len(items) != 4 {
		t.Fatalf("journal: %v", journal)
	}
	first, _ := items[1].(map[string]any) // the invitation; its use is newer
	if first["action"] != "account.invite" || first["name"] != "Wei.Li" || first["address"] != "127.0.0.1" {
		t.Errorf("the change in the journal: %v", first)
	}
	whole := other.ok("POST", "/journal/verify", "{}")
	if whole["whole"] != true {
		t.Errorf("verify: %v", whole)
	}
	b.ok("POST", "/access/sign-out", "{}")

	for _, secret := range []string{strong, link, secret, "another long sentence"} {
		if strings.Contains(logs.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// TestConsoleDoors calls everything that is wired without a sign-in and without the page's header.
func TestConsoleDoors(t *testing.T) {
	t.Parallel()
	o, _, _ := options(t, "")
	o.PasswordCost = cheap
	s := build(t, o)
	web := httptest.NewServer(s.Handler)
	defer web.Close()
	calls := s.ConsoleCalls()
	if len(calls) < 20 {
		t.Fatalf("%d calls are wired, want all of them", len(calls))
	}
	b := newBrowser(t, web.URL, web.Client())
	for _, c := range calls {
		path := strings.TrimPrefix(regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(c.Path, "x"), "/console/api")
		status, v, head := b.call(c.Method, path, "{}")
		if status == http.StatusNotFound && !c.Open || !c.Open && status != http.StatusUnauthorized {
			t.Errorf("%s %s without a sign-in: status %d, %v", c.Method, c.Path, status, v)
		}
		if head.Get("Cache-Control") != "no-store" || head.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s may be cached or sniffed: %v", c.Method, c.Path, head)
		}
		req, err := http.NewRequestWithContext(t.Context(), c.Method, web.URL+"/console/api"+path, bytes.NewReader([]byte("{}")))
		if err != nil {
			t.Fatal(err)
		}
		if c.Method == "GET" {
			req.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		res, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s forged: status %d", c.Method, c.Path, res.StatusCode)
		}
	}
}

func TestConsoleIsWhereTheConfigurationSays(t *testing.T) {
	t.Parallel()
	get := func(h http.Handler, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = "192.0.2.7:1000"
		h.ServeHTTP(w, r)
		return w
	}
	for _, test := range []struct {
		text          string
		beside, apart int // status of /console/api/access/me; 0: no listener of its own
		hint          bool
	}{
		{"", 200, 0, true},
		{"[console]\nenabled = false", 404, 0, false},
		{"[console]\naddress = \"127.0.0.1:0\"", 404, 200, false},
		{"[console]\nallow = [\"10.0.0.0/8\"]", 403, 0, true},
		{"[console]\nallow = [\"192.0.2.0/24\"]\naddress = \"127.0.0.1:0\"", 404, 200, false},
	} {
		o, _, _ := options(t, test.text)
		o.PasswordCost = cheap
		s := build(t, o)
		if w := get(s.Handler, "/console/api/access/me"); w.Code != test.beside {
			t.Errorf("%q: beside everything: status %d, want %d", test.text, w.Code, test.beside)
		}
		if w := get(s.Handler, "/"); strings.Contains(w.Body.String(), "/console") != test.hint {
			t.Errorf("%q: the first page says %q", test.text, w.Body)
		}
		apart := 0
		if s.Console != nil {
			apart = get(s.Console, "/console/api/access/me").Code
		}
		if apart != test.apart {
			t.Errorf("%q: apart: status %d, want %d", test.text, apart, test.apart)
		}
		if (s.ConsoleCalls() == nil) != (test.beside == 404 && test.apart == 0) {
			t.Errorf("%q: %d calls", test.text, len(s.ConsoleCalls()))
		}
	}
}
