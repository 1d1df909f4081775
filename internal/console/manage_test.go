package console_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shiren/internal/config"
	"shiren/internal/console"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
	"shiren/internal/server"
	"shiren/internal/source/registry"
	"shiren/internal/testkit"
)

// house is the areas of the console that manage things, on a real database. Whoever calls is
// who the header Test-Role says.
type house struct {
	t     *testing.T
	s     *server.Server
	h     *console.Handler
	clock *testkit.Clock
	in    *registry.Intake

	mu      sync.Mutex
	journal []operator.Entry
	full    bool // the journal cannot be written
}

func (h *house) Who(r *http.Request) (console.Person, bool, error) {
	role := operator.Role(r.Header.Get("Test-Role"))
	return console.Person{Account: "acc-1", Name: "wang", Role: role}, role != "", nil
}

func (h *house) Note(_ context.Context, e operator.Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full {
		return errors.New("disk full")
	}
	h.journal = append(h.journal, e)
	return nil
}

const declared = `
[[app]]
id = "7"
name = "Bank"
key = "bankbankbank"
secret = "secretsecret"
[[plan]]
id = "live"
app = "7"
`

func newHouse(t *testing.T) *house {
	t.Helper()
	cfg, err := config.Parse("test.toml", []byte(declared), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Data = t.TempDir()
	h := &house{t: t, clock: &testkit.Clock{}}
	h.clock.Set(testkit.Start)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	h.s, err = server.New(t.Context(), server.Options{Config: cfg, Now: h.clock.Now, Log: log, Engine: &testkit.Engine{}})
	if err != nil {
		t.Fatal(err)
	}
	h.in = &registry.Intake{
		Registry: h.s.Registry, Dir: filepath.Join(t.TempDir(), "imports"), Now: h.clock.Now, Rand: strings.NewReader(strings.Repeat("0123456789abcdef", 99)), Log: log, Workers: 2,
	}
	if err := h.in.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.in.Close()
		if err := h.s.Close(); err != nil {
			t.Error(err)
		}
	})
	h.h = console.New(console.Config{
		Gate: h, Now: h.clock.Now, Log: log, Plans: h.s.Data, Trials: h.s.Service, Apps: h.s.Data, Registry: h.s.Registry, Imports: h.in,
		CapturePage: "/face/print/", Framed: true,
	})
	return h
}

// raw makes a call as the page does.
func (h *house) raw(role operator.Role, method, path string, body io.Reader) (int, []byte) {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), method, "http://console.example/console/api"+path, body)
	r.Header.Set("Test-Role", string(role))
	r.Header.Set("Shiren-Console", "1")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", "http://console.example")
	w := httptest.NewRecorder()
	h.h.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

type dict = map[string]any

// call is raw with JSON. It fails the test unless the status is want.
func (h *house) call(want int, method, path string, body any) dict {
	h.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			h.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	status, out := h.raw(operator.Operations, method, path, in)
	if status != want {
		h.t.Fatalf("%s %s: got %d %s, want %d", method, path, status, out, want)
	}
	v := dict{}
	if err := json.Unmarshal(out, &v); err != nil {
		h.t.Fatalf("%s %s: %v in %s", method, path, err, out)
	}
	return v
}

// at walks into an answer: "error.fields.match_at", "items.0.version".
func at(v any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case dict:
			v = x[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (h *house) want(v any, path string, want any) {
	h.t.Helper()
	if got := at(v, path); got != want {
		h.t.Errorf("%s: got %v (%T), want %v", path, got, got, want)
	}
}

func (h *house) last() operator.Entry {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.journal) == 0 {
		h.t.Fatal("the journal is empty")
	}
	return h.journal[len(h.journal)-1]
}

// newPlan is the plan that a new one starts from.
func (h *house) newPlan(id string) dict {
	p := at(h.call(200, "GET", "/plan-defaults?identity=none", nil), "plan").(dict)
	p["id"], p["app"], p["name"] = id, "7", "counter"
	return p
}

// A plan lives: made, changed, looked back at, restored, retired, brought back.
func TestPlans(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.newPlan("p1")
	made := h.call(200, "POST", "/plans", dict{"plan": p, "note": "for the branch"})
	h.want(made, "version", 1.0)
	h.want(made, "app_name", "Bank")
	h.want(made, "declared", false)
	if e := h.last(); e.Action != "plan.create" || e.Object != "plan p1" || e.Account != "acc-1" {
		t.Errorf("journal: %+v", e)
	}
	h.want(h.call(409, "POST", "/plans", dict{"plan": p}), "error.code", "conflict")

	// A session keeps the plan that it began with.
	app, err := h.s.Store.App(t.Context(), "7")
	if err != nil {
		t.Fatal(err)
	}
	ses, err := h.s.Service.Open(t.Context(), app, "p1", ekyc.Redirect{})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Hour)
	p["match_at"], p["title"] = 0.9, "核验"
	h.want(h.call(200, "PUT", "/plans/p1", dict{"version": 1, "plan": p}), "version", 2.0)
	if e := h.last(); e.Detail != "version 1: match_at, title" {
		t.Errorf("journal says %q", e.Detail)
	}
	if ses, err = h.s.Service.Attend(t.Context(), ses.Token); err != nil || ses.Plan.MatchAt != 0.8 || ses.Plan.Version != 1 {
		t.Errorf("the session's plan: threshold %v, version %d, %v; want what it began with", ses.Plan.MatchAt, ses.Plan.Version, err)
	}
	// Nothing changed: no version. An old version: refused.
	h.want(h.call(200, "PUT", "/plans/p1", dict{"version": 2, "plan": p}), "version", 2.0)
	h.want(h.call(409, "PUT", "/plans/p1", dict{"version": 1, "plan": p}), "error.code", "conflict")

	versions := h.call(200, "GET", "/plans/p1/versions", nil)
	h.want(versions, "items.0.version", 2.0)
	h.want(versions, "items.0.by", "wang")
	h.want(versions, "items.0.at", "2026-03-02T03:00:00Z")
	h.want(versions, "items.0.changed.0.field", "match_at")
	h.want(versions, "items.0.changed.0.from", 0.8)
	h.want(versions, "items.0.changed.1.to", "核验")
	h.want(versions, "items.1.note", "for the branch")
	back := h.call(200, "POST", "/plans/p1/versions/1/restore", dict{"version": 2})
	h.want(back, "version", 3.0)
	h.want(back, "plan.match_at", 0.8)
	h.call(404, "POST", "/plans/p1/versions/9/restore", dict{"version": 3})

	h.want(h.call(200, "POST", "/plans/p1/retire", dict{"version": 3}), "retired", true)
	if _, err := h.s.Service.Open(t.Context(), app, "p1", ekyc.Redirect{}); ekyc.CodeOf(err) != ekyc.PlanUnknown {
		t.Errorf("a retired plan opens a session: %v", err)
	}
	if err := h.s.Service.Agree(t.Context(), ses.Token, ses.Plan.Consent.Version); err != nil {
		t.Errorf("a session that was open when its plan was retired: %v", err)
	}
	h.want(h.call(400, "POST", "/plans/p1/trial", dict{}), "error.code", "plan_unknown")
	h.want(h.call(200, "POST", "/plans/p1/revive", dict{"version": 4}), "retired", false)
	if _, err := h.s.Service.Open(t.Context(), app, "p1", ekyc.Redirect{}); err != nil {
		t.Errorf("a plan that was brought back: %v", err)
	}
}

// Mistakes are told by setting, with the rules of the core and of the configuration.
func TestPlanMistakes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.newPlan("p 1")
	p["match_at"], p["liveness"], p["comparison"], p["sources"], p["app"] = 0.1, "stare", "authority", []string{"nobody"}, "8"
	v := h.call(400, "POST", "/plans", dict{"plan": p})
	for field, want := range map[string]string{
		"id": "plan id", "match_at": "want 0.4", "liveness": "want silent", "identity": "needs an identity", "sources": "there is no source", "app": "there is no app",
	} {
		if got, _ := at(v, "error.fields."+field).(string); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", field, got, want)
		}
	}
	if status, _ := h.raw(operator.Auditor, "POST", "/plans", strings.NewReader("{}")); status != 403 {
		t.Errorf("an auditor makes a plan: %d", status)
	}
	h.full = true
	if status, _ := h.raw(operator.Operations, "POST", "/plans", strings.NewReader(`{"plan":{"id":"p1"}}`)); status != 500 {
		t.Errorf("a change without a journal: %d, want 500", status)
	}
}

// What the configuration file declares is read-only; its copy is not.
func TestDeclaredPlan(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one := h.call(200, "GET", "/plans/live", nil)
	h.want(one, "declared", true)
	h.want(h.call(409, "PUT", "/plans/live", dict{"version": 1, "plan": at(one, "plan")}), "error.code", "declared")
	h.want(h.call(409, "POST", "/plans/live/retire", dict{"version": 1}), "error.code", "declared")
	h.want(h.call(409, "PUT", "/apps/7", dict{"app": dict{}}), "error.code", "declared")
	copied := h.call(200, "POST", "/plans/live/copy", dict{"id": "mine"})
	h.want(copied, "declared", false)
	h.want(copied, "version", 1.0)
	h.want(h.call(409, "POST", "/plans/live/copy", dict{"id": "mine"}), "error.code", "conflict")
}

// A trial opens a real session, which is marked and charged to nobody.
func TestTrial(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.call(200, "POST", "/plans/trial", dict{"plan": h.newPlan("draft")})
	link, _ := at(v, "url").(string)
	token, ok := strings.CutPrefix(link, "http://console.example/face/print/?token=")
	if !ok || len(token) != 24 || at(v, "path") != "/face/print/?token="+token {
		t.Fatalf("link %q, path %v", link, at(v, "path"))
	}
	if png, _ := at(v, "qr").(string); !strings.HasPrefix(png, "data:image/png;base64,iVBOR") {
		t.Errorf("the QR code is no picture: %.40s", png)
	}
	ses, err := h.s.Service.Attend(t.Context(), ekyc.Token(token))
	if err != nil || !ses.Trial || !ses.Sandbox || ses.Plan.ID != "draft" {
		t.Errorf("the session: trial %v, marked %v, plan %s, %v", ses.Trial, ses.Sandbox, ses.Plan.ID, err)
	}
	p := h.newPlan("draft")
	p["comparison"] = "uploaded"
	h.want(h.call(400, "POST", "/plans/trial", dict{"plan": p}), "error.code", "not_switched_on")
	p["match_at"] = 7
	if got := at(h.call(400, "POST", "/plans/trial", dict{"plan": p}), "error.fields.match_at"); got == nil {
		t.Error("a draft with a mistake is tried")
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	made := h.call(200, "POST", "/apps", dict{"app": dict{"name": "Shop", "quota": dict{"match": 10}}})
	id, _ := at(made, "app.id").(string)
	secret, _ := at(made, "secret").(string)
	bearer, _ := at(made, "bearer_key").(string)
	if id != "100001" || len(secret) != 24 || len(bearer) != 32 {
		t.Fatalf("made app %q with keys of %d and %d characters", id, len(secret), len(bearer))
	}
	hidden := func(path string) {
		t.Helper()
		_, b := h.raw(operator.Integrator, "GET", path, nil)
		if s := string(b); strings.Contains(s, secret) || strings.Contains(s, bearer) || !strings.Contains(s, "Shop") {
			t.Errorf("%s holds a secret, or no app", path)
		}
	}
	hidden("/apps")
	hidden("/apps/" + id)
	one := h.call(200, "GET", "/apps/"+id, nil)
	h.want(one, "usage.1.kind", "match")
	h.want(one, "usage.1.quota", 10.0)
	doc := at(one, "app").(dict)
	doc["allow"], doc["per_second"], doc["expires_at"] = []string{" 192.0.2.0/24 ", ""}, 5, "2026-03-01T00:00:00Z"
	changed := h.call(200, "PUT", "/apps/"+id, dict{"revision": at(one, "revision"), "app": doc})
	h.want(changed, "standing", "expired")
	h.want(changed, "app.allow.0", "192.0.2.0/24")
	if e := h.last(); e.Detail != "allow, expires_at, per_second" {
		t.Errorf("journal says %q", e.Detail)
	}
	h.want(h.call(409, "PUT", "/apps/"+id, dict{"revision": at(one, "revision"), "app": doc}), "error.code", "conflict")
	doc["allow"] = []string{"300.1.1.1"}
	if got := at(h.call(400, "PUT", "/apps/"+id, dict{"revision": at(changed, "revision"), "app": doc}), "error.fields.allow"); got == nil {
		t.Error("a wrong address is taken")
	}

	fresh := h.call(200, "POST", "/apps/"+id+"/renew", dict{"what": "secret"})
	if s, _ := at(fresh, "secret").(string); len(s) != 24 || s == secret || at(fresh, "bearer_key") != "" {
		t.Errorf("renewed: %v", fresh)
	}
	h.want(fresh, "key", at(one, "key"))
	h.want(h.call(400, "POST", "/apps/"+id+"/reveal", dict{"reason": " "}), "error.code", "reason")
	told := h.call(200, "POST", "/apps/"+id+"/reveal", dict{"reason": "the customer lost it"})
	h.want(told, "bearer_key", bearer)
	if e := h.last(); e.Action != "app.reveal" || e.Reason != "the customer lost it" || strings.Contains(e.Detail, bearer) {
		t.Errorf("journal: %+v", e)
	}
	if status, _ := h.raw(operator.Integrator, "POST", "/apps/"+id+"/reveal", strings.NewReader(`{"reason":"x"}`)); status != 403 {
		t.Errorf("an integrator sees a secret: %d", status)
	}
}

func TestAppKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const dev = "3059301306072a8648ce3d020106082a811ccf5501822d03420004a99935f317907382cb800166a2af8dcd2194f18a62f90f5ec35ab64ceba07a1a4598b7cdc550eca79e4e0bfd8ae17763cb5283998bb164a091981189e333c398"
	// Keys of a declared app are no part of the file.
	k := h.call(200, "POST", "/apps/7/keys", dict{"use": "sign", "public": dev})
	h.want(k, "field", "developerSignKeyId")
	h.want(k, "public", dev)
	if got := at(h.call(400, "POST", "/apps/7/keys", dict{"use": "sign", "public": "hello"}), "error.fields.key"); got == nil {
		t.Error("a text that is no key is taken")
	}
	ours := h.call(200, "POST", "/apps/7/keys", dict{"use": "sign"})
	h.want(ours, "field", "petalpaySignKeyId")
	next := h.call(200, "POST", "/apps/7/keys/rotate", dict{"use": "sign", "days": 2})
	if at(next, "id") == at(ours, "id") {
		t.Error("a rotation makes the same key")
	}
	list := h.call(200, "GET", "/apps/7/keys", nil)
	valid := 0
	for _, one := range at(list, "items").([]any) {
		if at(one, "ours") == true && at(one, "valid") == true {
			valid++
		}
		if at(one, "id") == at(ours, "id") {
			h.want(one, "until", "2026-03-04T02:00:00Z")
		}
	}
	if valid != 2 {
		t.Errorf("%d of our signing keys are valid, want both", valid)
	}
	h.want(h.call(400, "POST", "/apps/7/keys/rotate", dict{"use": "sign", "days": 2}), "error.code", "bad_request")
	h.want(h.call(200, "POST", "/apps/7/keys/"+at(ours, "id").(string)+"/retire", dict{"days": 0}), "valid", false)
	h.call(404, "POST", "/apps/7/keys/none/retire", dict{"days": 0})
	_, b := h.raw(operator.Operations, "GET", "/apps/7/keys", nil)
	stored, err := h.s.Store.AppKeys(t.Context(), "7")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range stored {
		if k.Private != "" && bytes.Contains(b, []byte(k.Private)) {
			t.Error("a private key is shown")
		}
	}
}

// zhangNumber is the number of the registry's tests.
const zhangNumber = "110101199003077571"

func TestRegistry(t *testing.T) {
	t.Parallel()
	const number = zhangNumber
	h := newHouse(t)
	photo := testkit.Photo(testkit.Face{Person: "zhang"})
	put := h.call(200, "POST", "/registry/people", dict{
		"name": "张三", "number": number, "mobiles": []dict{{"number": mobile, "carrier": "unicom"}}, "portrait": base64.StdEncoding.EncodeToString(photo),
	})
	h.want(put, "changed", false)
	id := at(put, "person.id").(string)
	h.want(h.call(400, "POST", "/registry/people", dict{"name": "张三", "number": "110101199003077572"}), "error.code", "invalid")
	for _, look := range []dict{{"number": number}, {"mobile": mobile}, {"name": "张三"}} {
		found := h.call(200, "POST", "/registry/search", look)
		h.want(found, "items.0.id", id)
		h.want(found, "items.0.portrait", "image")
		if b, _ := json.Marshal(found); bytes.Contains(b, []byte(number)) || bytes.Contains(b, []byte("张三")) || bytes.Contains(b, []byte(mobile)) {
			t.Errorf("a search shows the person: %s", b)
		}
	}
	if n := len(at(h.call(200, "POST", "/registry/search", dict{"name": "李四"}), "items").([]any)); n != 0 {
		t.Errorf("%d people of another name", n)
	}
	h.want(h.call(400, "POST", "/registry/search", dict{}), "error.code", "invalid")
	h.want(h.call(400, "POST", "/registry/people/"+id+"/reveal", dict{}), "error.code", "reason")
	open := h.call(200, "POST", "/registry/people/"+id+"/reveal", dict{"reason": "a complaint"})
	h.want(open, "number", number)
	h.want(open, "mobiles.0.number", mobile)
	if s, _ := at(open, "image").(string); !strings.HasSuffix(s, base64.StdEncoding.EncodeToString(photo)) {
		t.Errorf("the portrait is not shown: %.60s", s)
	}
	if status, _ := h.raw(operator.Integrator, "GET", "/registry/people", nil); status != 403 {
		t.Errorf("an integrator sees the registry: %d", status)
	}
	// A change without a portrait keeps the one that is there.
	h.want(h.call(200, "POST", "/registry/people", dict{"name": "张叁", "number": number}), "person.portrait", "image")
	h.want(h.call(200, "GET", "/registry/stats", nil), "people", 1.0)
	h.call(200, "DELETE", "/registry/people/"+id, dict{"reason": "asked for it"})
	h.want(h.call(200, "GET", "/registry/stats", nil), "people", 0.0)
	h.call(404, "GET", "/registry/people/"+id, nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.journal {
		if s := fmt.Sprint(e); strings.Contains(s, number) || strings.Contains(s, "张三") || strings.Contains(s, mobile) {
			t.Errorf("the journal holds the person: %s", s)
		}
	}
}

func archive(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A file comes in over the network, in parts, sealed while it waits.
func TestImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	csv := "name,number,mobile,portrait\n张三," + zhangNumber + "," + mobile + ",photos/zhang.jpg\n李四,110101199003077572,,\n王五,11010519491231002X,,../../secret.jpg\n"
	pictures := archive(t, map[string][]byte{
		"photos/zhang.jpg": testkit.Photo(testkit.Face{Person: "zhang"}),
		"../evil.jpg":      testkit.Photo(testkit.Face{Person: "evil"}),
	})
	job := h.call(200, "POST", "/registry/imports", dict{"name": "people.csv", "pictures": true})
	id := at(job, "id").(string)
	path := "/registry/imports/" + id
	h.want(h.call(409, "POST", path+"/start", dict{}), "error.code", "conflict")
	send := func(file string, at int, part []byte, want int) {
		t.Helper()
		if status, b := h.raw(operator.Operations, "PUT", fmt.Sprintf("%s/%s?at=%d", path, file, at), bytes.NewReader(part)); status != want {
			t.Fatalf("part of %s at %d: %d %s, want %d", file, at, status, b, want)
		}
	}
	send("people", 0, []byte(csv), 200)
	send("people", 0, []byte(csv), 200) // the answer was lost
	send("people", 7, []byte(csv), 409)
	send("portraits", 0, pictures, 200)
	for _, f := range []string{"people", "portraits"} {
		b, err := os.ReadFile(filepath.Join(h.in.Dir, id, f))
		if err != nil || bytes.Contains(b, []byte(zhangNumber)) || bytes.Contains(b, []byte("zhang")) {
			t.Errorf("what was uploaded lies open: %v", err)
		}
	}
	h.call(200, "POST", path+"/start", dict{})
	var st dict
	for {
		if st = h.call(200, "GET", path, nil); at(st, "state") != "running" {
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the import does not end")
		case <-time.After(5 * time.Millisecond):
		}
	}
	h.want(st, "state", "done")
	h.want(st, "added", 1.0)
	h.want(st, "rejected", 2.0)
	h.want(st, "portraits", 1.0)
	_, report := h.raw(operator.Auditor, "GET", path+"/report", nil)
	if want := "line,reason\n3,number: the identity number's check character does not fit its digits\n4,portrait: there is no such file in the folder of portraits\n"; string(report) != want {
		t.Errorf("report: got %q, want %q", report, want)
	}
	if _, err := os.Stat(filepath.Join(h.in.Dir, id, "people")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was imported is still there: %v", err)
	}
	h.want(h.call(200, "POST", "/registry/search", dict{"number": zhangNumber}), "items.0.portrait", "image")
	h.call(200, "DELETE", path, dict{})
	h.call(404, "GET", path, nil)
}
