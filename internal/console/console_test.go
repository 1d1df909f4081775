package console

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"shiren/internal/ekyc"
	"shiren/internal/operator"
	"shiren/internal/seal"
	"shiren/internal/store"
	"shiren/internal/testkit"
)

const strong = "four words of no song"

// desk is a console over a database in memory.
type desk struct {
	*Handler
	t     testing.TB
	ops   *operator.Service
	clock *testkit.Clock
	logs  *testkit.Logs
}

// dice is a fixed seed that may be read by many at once.
type dice struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func (d *dice) Read(p []byte) (int, error) { d.mu.Lock(); defer d.mu.Unlock(); return d.r.Read(p) }

func openDesk(t testing.TB, public string) *desk {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Config{DSN: "sqlite::memory:", Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := &desk{t: t, clock: &testkit.Clock{}, logs: &testkit.Logs{}}
	d.clock.Set(testkit.Start)
	d.ops, err = operator.New(operator.Config{
		Store: db.Operators(), Digester: sealer, Now: d.clock.Now, Rand: &dice{r: rand.NewChaCha8([32]byte{2})},
		Cost: operator.Cost{Memory: 8, Time: 1, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Handler = New(Config{
		Operators: d.ops, PublicURL: public, Now: d.clock.Now, Log: slog.New(slog.NewTextHandler(d.logs, nil)),
		Pages: fstest.MapFS{"index.html": {Data: []byte("<html>")}, "assets/a-1.js": {Data: []byte("1")}},
	})
	return d
}

// account makes an account with a role and a password, and returns a cookie of it.
func (d *desk) account(name string, role operator.Role) *http.Cookie {
	d.t.Helper()
	ctx := d.t.Context()
	link, err := d.ops.RecoveryLink(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	from := operator.From{Address: netip.MustParseAddr("192.0.2.1")}
	first := name
	if role != operator.Administrator {
		first = "for." + name
	}
	a, token, err := d.ops.Begin(ctx, link, operator.Beginning{Name: first, Password: strong}, from)
	if err != nil {
		d.t.Fatal(err)
	}
	if role != operator.Administrator {
		who, _, err := d.ops.Who(ctx, token, from)
		if err != nil {
			d.t.Fatal(err)
		}
		if _, link, err = d.ops.Invite(ctx, who, name, role); err != nil {
			d.t.Fatal(err)
		}
		if a, token, err = d.ops.Begin(ctx, link, operator.Beginning{Password: strong}, from); err != nil {
			d.t.Fatal(err)
		}
	}
	if a.Role != role {
		d.t.Fatalf("%s is %s", name, a.Role)
	}
	return d.cookie(httptest.NewRequest("GET", "/", nil), token)
}

// send makes a request as the page does; change may spoil it.
func (d *desk) send(method, path, body string, cookie *http.Cookie, change ...func(*http.Request)) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body)).WithContext(ekyc.From(d.t.Context(), netip.MustParseAddr("192.0.2.1")))
	r.Header.Set("Shiren-Console", "1")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if cookie != nil {
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func code(w *httptest.ResponseRecorder) string {
	var v struct {
		Error struct{ Code string }
	}
	if json.Unmarshal(w.Body.Bytes(), &v) != nil {
		return ""
	}
	return v.Error.Code
}

// fill puts something into a path's wildcards.
func fill(path string) string {
	for {
		before, rest, found := strings.Cut(path, "{")
		if !found {
			return path
		}
		_, after, _ := strings.Cut(rest, "}")
		path = before + "x" + after
	}
}

// TestEveryDoor calls everything that is registered: as nobody, as each role, and as another
// site's page.
func TestEveryDoor(t *testing.T) {
	t.Parallel()
	d := openDesk(t, "")
	d.account("admin", operator.Administrator)
	roles := []operator.Role{operator.Administrator, operator.Operations, operator.Auditor, operator.Integrator}
	for _, role := range roles[1:] {
		d.account(string(role), role)
	}
	enter := func(name string) *http.Cookie {
		w := d.send("POST", "/console/api/access/sign-in", `{"name":"`+name+`","password":"`+strong+`"}`, nil)
		if w.Code != http.StatusOK {
			t.Fatalf("%s signs in: %d %s", name, w.Code, w.Body)
		}
		return w.Result().Cookies()[0]
	}
	seen := map[string]bool{}
	for _, c := range d.Calls() {
		path, call := fill(c.Path), c.Method+" "+c.Path
		if seen[call] {
			t.Errorf("%s is listed twice", call)
		}
		seen[call] = true
		if w := d.send(c.Method, path, "{}", nil); !c.Open && (w.Code != http.StatusUnauthorized || code(w) != ErrSignedOut) {
			t.Errorf("%s, nobody: %d %s", call, w.Code, w.Body)
		} else if c.Open && w.Code == http.StatusUnauthorized {
			t.Errorf("%s is open, and asks for a sign-in", call)
		}
		for i, role := range roles {
			name := string(role)
			if i == 0 {
				name = "admin"
			}
			cookie := enter(name)
			for what, spoil := range map[string]func(*http.Request){
				"from another site":       func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
				"from another host of it": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
				"by a form": func(r *http.Request) {
					r.Header.Del("Shiren-Console")
					r.Header.Set("Sec-Fetch-Site", "cross-site")
				},
				"from an old browser": func(r *http.Request) {
					r.Header.Del("Sec-Fetch-Site")
					r.Header.Set("Origin", "https://evil.example")
				},
				"without the header": func(r *http.Request) { r.Header.Del("Shiren-Console") },
			} {
				if w := d.send(c.Method, path, "{}", cookie, spoil); c.Method != "GET" || what != "from an old browser" && what != "without the header" {
					if w.Code != http.StatusForbidden || code(w) != ErrForged {
						t.Errorf("%s, %s, %s: %d %s", call, name, what, w.Code, w.Body)
					}
				}
			}
			w := d.send(c.Method, path, "{}", cookie)
			may := c.Permission == anyone || role.May(c.Permission)
			if forbidden := w.Code == http.StatusForbidden && code(w) == ErrForbidden; forbidden == may {
				t.Errorf("%s, %s, who may: %v: %d %s", call, name, may, w.Code, w.Body)
			}
			if may && !c.Open && w.Code == http.StatusUnauthorized || w.Code == http.StatusInternalServerError {
				t.Errorf("%s, %s: %d %s", call, name, w.Code, w.Body)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %s: may be kept: %q", call, name, w.Header().Get("Cache-Control"))
			}
		}
	}
	for _, call := range []string{"GET /console/api/accounts", "GET /console/api/journal", "POST /console/api/access/begin", "PUT /console/api/access/me"} {
		if !seen[call] {
			t.Errorf("%s is not listed", call)
		}
	}
	if logs := d.logs.String(); strings.Contains(logs, "level=ERROR") {
		t.Errorf("logged: %s", logs)
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		public, name, path string
		tls, secure        bool
	}{
		{"", plainCookie, "/console", false, false},
		{"http://verify.example.com", plainCookie, "/console", false, false},
		{"", secureCookie, "/", true, true},
		{"https://verify.example.com", secureCookie, "/", false, true}, // a proxy ends TLS
	} {
		d := openDesk(t, test.public)
		d.account("admin", operator.Administrator)
		over := func(r *http.Request) {
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
		}
		w := d.send("POST", "/console/api/access/sign-in", `{"name":"admin","password":"`+strong+`"}`, nil, over)
		got := w.Result().Cookies()
		if len(got) != 1 {
			t.Fatalf("%+v: %d cookies, %d %s", test, len(got), w.Code, w.Body)
		}
		c := got[0]
		if c.Name != test.name || c.Path != test.path || c.Secure != test.secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() {
			t.Errorf("%+v: %s", test, c)
		}
		if strings.Contains(w.Body.String(), c.Value) {
			t.Error("the answer holds the cookie's value")
		}
		other := &http.Cookie{Name: map[string]string{plainCookie: secureCookie, secureCookie: plainCookie}[test.name], Value: c.Value}
		for cookie, want := range map[*http.Cookie]int{c: 200, other: 401, {Name: c.Name, Value: c.Value + "x"}: 401, {Name: c.Name, Value: ""}: 401} {
			if w := d.send("GET", "/console/api/accounts", "", cookie, over); w.Code != want {
				t.Errorf("%+v: cookie %s: status %d, want %d", test, cookie.Name, w.Code, want)
			}
		}
		w = d.send("POST", "/console/api/access/sign-out", "{}", c, over)
		if got := w.Result().Cookies(); len(got) != 1 || got[0].MaxAge >= 0 || got[0].Name != test.name || got[0].Path != test.path || got[0].Secure != test.secure {
			t.Errorf("%+v: after signing out: %v", test, got)
		}
		if w := d.send("GET", "/console/api/accounts", "", c, over); w.Code != 401 {
			t.Errorf("%+v: after signing out: status %d", test, w.Code)
		}
	}
}

func TestSigningInAnewEndsTheOldSignIn(t *testing.T) {
	t.Parallel()
	d := openDesk(t, "")
	old := d.account("admin", operator.Administrator)
	w := d.send("POST", "/console/api/access/sign-in", `{"name":"admin","password":"`+strong+`"}`, old)
	if w.Code != 200 || d.send("GET", "/console/api/accounts", "", old).Code != 401 || d.send("GET", "/console/api/accounts", "", w.Result().Cookies()[0]).Code != 200 {
		t.Errorf("signing in anew: %d %s", w.Code, w.Body)
	}
}

func TestWaitingIsTold(t *testing.T) {
	t.Parallel()
	d := openDesk(t, "")
	var w *httptest.ResponseRecorder
	for range operator.FreeForName + 1 {
		w = d.send("POST", "/console/api/access/sign-in", `{"name":"nobody","password":"x"}`, nil)
	}
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), `"after":1`) {
		t.Errorf("after too many tries: %d %v %s", w.Code, w.Header(), w.Body)
	}
}

// ledger is a Gate whose person may everything, and whose journal may fail.
type ledger struct {
	entries []operator.Entry
	full    error
}

func (l *ledger) Who(*http.Request) (Person, bool, error) {
	return Person{Account: "a1", Name: "Wei", Role: operator.Administrator}, true, nil
}

func (l *ledger) Note(ctx context.Context, e operator.Entry) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.entries = append(l.entries, e)
	return l.full
}

// TestChangesAreWrittenDownFirst: nothing is done without its line, and a line whose change
// failed has another behind it.
func TestChangesAreWrittenDownFirst(t *testing.T) {
	t.Parallel()
	var l ledger
	var done bool
	var outcome error
	logs := &testkit.Logs{}
	d := &desk{t: t, logs: logs, Handler: New(Config{Gate: &l, Log: slog.New(slog.NewTextHandler(logs, nil))})}
	type thing struct {
		Reason string `json:"reason"`
	}
	d.change("POST /things/{id}", operator.ChangePlans, "thing.change", func(c *call) (object, reason, detail string, err error) {
		in, err := bodyOf[thing](c, MaxBody)
		if err != nil {
			return "", "", "", err
		}
		reason, err = checkReason(in.Reason)
		return c.PathValue("id"), reason, "", err
	}, func(c *call) (any, error) {
		in, err := bodyOf[thing](c, MaxBody) // the one that was noted
		done = err == nil && in.Reason != ""
		return empty{}, errors.Join(err, outcome)
	})
	post := func(body string) *httptest.ResponseRecorder {
		done, l.entries = false, nil
		return d.send("POST", "/console/api/things/7", body, nil)
	}
	w := post(`{"reason":" a customer asked "}`)
	want := operator.Entry{Account: "a1", Name: "Wei", Address: "192.0.2.1", Action: "thing.change", Object: "7", Reason: "a customer asked"}
	if w.Code != 200 || !done || len(l.entries) != 1 || fmt.Sprint(l.entries[0]) != fmt.Sprint(want) {
		t.Errorf("a change: %d, done %v, %+v", w.Code, done, l.entries)
	}
	for body, code := range map[string]string{
		`{"reason":"so"}`: ErrReason, `{}`: ErrReason, `{"reason":"` + strings.Repeat("x", 501) + `"}`: ErrInvalid, `{"reason":"because","more":1}`: ErrInvalid,
		`{"reason":"because"} {}`: ErrInvalid, ``: ErrInvalid, `[]`: ErrInvalid, `{"reason":"` + strings.Repeat("x", MaxBody) + `"}`: ErrInvalid,
	} {
		if w := post(body); w.Code != 400 || !strings.Contains(w.Body.String(), `"`+code+`"`) || done || len(l.entries) != 0 {
			t.Errorf("%.40q: %d %s, done %v, %d entries", body, w.Code, w.Body, done, len(l.entries))
		}
	}
	l.full = errors.New("the disk is full")
	if w := post(`{"reason":"because"}`); w.Code != 500 || done || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("without a journal: %d %s, done %v", w.Code, w.Body, done)
	}
	l.full = nil
	outcome = ekyc.Wrap(ekyc.BadIDNumber, "the number is wrong", errors.New("cause of 500103"))
	w = post(`{"reason":"because"}`)
	if w.Code != 400 || len(l.entries) != 2 || l.entries[1].Action != "thing.change.failed" || l.entries[1].Object != "7" {
		t.Errorf("a change that fails: %d, %+v", w.Code, l.entries)
	}
	if strings.Contains(w.Body.String(), "500103") || !strings.Contains(w.Body.String(), "the number is wrong") || !strings.Contains(logs.String(), "500103") {
		t.Errorf("the cause is told: %s", w.Body)
	}
	outcome = ekyc.ErrAbsent
	if w := post(`{"reason":"because"}`); w.Code != 404 || code(w) != ErrAbsent {
		t.Errorf("what is absent: %d %s", w.Code, w.Body)
	}
	outcome = errors.New("inner words")
	if w := post(`{"reason":"because"}`); w.Code != 500 || code(w) != ErrSystem || strings.Contains(w.Body.String(), "inner") {
		t.Errorf("what is broken: %d %s", w.Code, w.Body)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	d := openDesk(t, "")
	none := &desk{t: t, Handler: New(Config{Gate: &ledger{}, Log: slog.New(slog.DiscardHandler)})}
	for _, test := range []struct {
		d            *desk
		method, path string
		status       int
		body, cache  string
	}{
		{d, "GET", "/console", 200, "<html>", "no-cache"},
		{d, "GET", "/console/", 200, "<html>", "no-cache"},
		{d, "GET", "/console/records/7", 200, "<html>", "no-cache"},
		{d, "HEAD", "/console", 200, "", "no-cache"},
		{d, "POST", "/console", 405, "GET", ""},
		{d, "GET", "/console/assets/a-1.js", 200, "1", "immutable"},
		{d, "HEAD", "/console/assets/a-1.js", 200, "", "immutable"},
		{d, "GET", "/console/assets/a-2.js", 404, "not found", "no-store"},
		{d, "GET", "/console/api/nothing", 404, "absent", "no-store"},
		{d, "DELETE", "/console/api/accounts", 404, "absent", "no-store"},
		{none, "GET", "/console", 503, "make web", "no-store"},
	} {
		w := test.d.send(test.method, test.path, "", nil)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.body) || test.method == "HEAD" && w.Body.Len() > 0 || !strings.Contains(w.Header().Get("Cache-Control"), test.cache) {
			t.Errorf("%s %s: %d %q, %s", test.method, test.path, w.Code, w.Body, w.Header().Get("Cache-Control"))
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: policy %q", test.method, test.path, csp)
		}
	}
}

func TestJournalPages(t *testing.T) {
	t.Parallel()
	d := openDesk(t, "")
	cookie := d.account("admin", operator.Administrator)
	for i := range 5 {
		if err := d.ops.Note(t.Context(), operator.Entry{Account: "a1", Action: "thing.read", Object: fmt.Sprint(i), Detail: "=1+1"}); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	for after, pages := "", 0; pages < 5; pages++ {
		w := d.send("GET", "/console/api/journal?action=thing.&limit=2&after="+after, "", cookie)
		var v struct {
			Items []entry
			Next  string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, e := range v.Items {
			seen = append(seen, e.Object)
		}
		if after = v.Next; after == "" {
			break
		}
	}
	if got := strings.Join(seen, ""); got != "43210" {
		t.Errorf("pages show %s", got)
	}
	for _, query := range []string{"since=yesterday", "before=1", "after=x", "after=0", "limit=-1", "limit=x"} {
		if w := d.send("GET", "/console/api/journal?"+query, "", cookie); w.Code != 400 || code(w) != ErrInvalid {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	w := d.send("GET", "/console/api/journal.csv?action=thing.read", "", cookie, func(r *http.Request) { r.Header.Del("Shiren-Console") })
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 6 || rows[1][6] != "4" || rows[1][8] != "'=1+1" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("file: %q, %v", rows, err)
	}
	list, err := d.ops.Entries(t.Context(), operator.EntryQuery{Action: "journal.export"})
	if err != nil || len(list) != 1 {
		t.Errorf("the export is in the journal %d times, %v", len(list), err)
	}
	w = d.send("POST", "/console/api/journal/verify", `{"marks":["1:00"]}`, cookie)
	if !strings.Contains(w.Body.String(), `"whole":false,"entries":0,"mark":"","broken_at":1`) {
		t.Errorf("a mark that does not fit: %s", w.Body)
	}
	if w := d.send("POST", "/console/api/journal/verify", `{"marks":["x"]}`, cookie); w.Code != 400 {
		t.Errorf("a mark that is none: %d %s", w.Code, w.Body)
	}
}

func FuzzCookie(f *testing.F) {
	f.Add(plainCookie + "=x")
	f.Add(plainCookie + "=" + strings.Repeat("A", 43))
	f.Add("; =;" + plainCookie + `="x"; ` + plainCookie + "=y")
	d := openDesk(f, "")
	f.Fuzz(func(t *testing.T, header string) {
		mine := &desk{Handler: d.Handler, t: t}
		w := mine.send("GET", "/console/api/accounts", "", nil, func(r *http.Request) { r.Header["Cookie"] = []string{header} })
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%q: %d %s", header, w.Code, w.Body)
		}
	})
}
