package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"shiren/internal/console"
	"shiren/internal/dossier"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
	"shiren/internal/testkit"
)

const (
	number = "11010519491231002X" // GB 11643's own example
	name   = "张三丰"
	mobile = "13800138000"
)

// fakeGate lets a person in and keeps the journal in memory.
type fakeGate struct {
	who     console.Person
	full    bool // nothing can be written
	entries []operator.Entry
}

func (g *fakeGate) Who(*http.Request) (console.Person, bool, error) {
	return g.who, g.who.Account != "", nil
}

func (g *fakeGate) Note(_ context.Context, e operator.Entry) error {
	if g.full {
		return errors.New("the journal's disk is full")
	}
	g.entries = append(g.entries, e)
	return nil
}

// desk is the area of records over a real core.
type desk struct {
	*testkit.Kit
	gate    *fakeGate
	handler *console.Handler
	signer  *dossier.Signer
	token   ekyc.Token
	id      string // of a session of the known person
	direct  string // of a direct call
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	k := testkit.New(t)
	k.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	k.Mobiles.Add(mobile, number, ekyc.ChinaUnicom)
	d := &desk{Kit: k, gate: &fakeGate{who: console.Person{Account: "1", SignIn: "s1", Name: "wei", Role: operator.Administrator}}, signer: dossier.NewSigner(k.Sealer)}
	claim, err := ekyc.ParseClaim(name, number, ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	d.token = k.OpenPlan("3").Token
	d.id = d.token.Digest()
	if err := k.Declare(k.Ctx, k.App, d.token, claim); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Walk(d.token, testkit.Face{Person: "zhang"}); err != nil {
		t.Fatal(err)
	}
	call := k.LogID()
	if _, err := k.Elements(k.Ctx, k.App, ekyc.ElementsRequest{Claim: claim, Mobile: mobile, Image: testkit.Photo(testkit.Face{Person: "zhang"}), LogID: call}); err != nil {
		t.Fatal(err)
	}
	d.direct = ekyc.DirectPrefix + call
	d.handler = console.New(console.Config{Gate: d.gate, Records: k.Service, Signer: d.signer, Now: k.Clock.Now, Log: k.Service.Log})
	return d
}

// call sends a call as the page does.
func (d *desk) call(t *testing.T, method, path string, body any) *httptest.ResponseRecorder {
	t.Helper()
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	r := httptest.NewRequestWithContext(d.Ctx, method, "http://example.com"+console.Prefix+"/api"+path, strings.NewReader(text))
	r.Header.Set("Shiren-Console", "1")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w
}

func (d *desk) read(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	w := d.call(t, method, path, body)
	var v map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, w.Code, err, w.Body)
	}
	return v
}

type m = map[string]any

const why = "the customer asked why they were refused"

// everyCall is a body for each call of the area that does what it is for. Those that erase come last.
func (d *desk) everyCall(t *testing.T) (list []struct {
	method, path string
	body         any
},
) {
	t.Helper()
	add := func(method, path string, body any) {
		list = append(list, struct {
			method, path string
			body         any
		}{method, path, body})
	}
	add("GET", "/records", nil)
	for _, k := range []m{{"name": name}, {"number": number}, {"mobile": mobile}, {"token": string(d.token)}, {"log_id": "1"}} {
		add("POST", "/records/search", k)
		add("POST", "/records/export", k)
	}
	add("GET", "/records/key", nil)
	for _, id := range []string{d.id, d.direct} {
		add("GET", "/records/"+id, nil)
		add("POST", "/records/"+id+"/reveal", m{"reason": why})
		add("POST", "/records/"+id+"/export", m{"masked": true})
		add("POST", "/records/"+id+"/export", m{"masked": false, "images": true, "reason": why})
	}
	f, err := d.ReadRecord(d.Ctx, d.id)
	if err != nil {
		t.Fatal(err)
	}
	until := d.Clock.Now().Add(time.Minute).UTC()
	for _, e := range f.Session.Shown(d.Clock.Now()) {
		sign := d.SignLink("console pictures\x001\x00s1\x00"+d.id+"\x00"+why, until)
		add("POST", "/records/"+d.id+"/evidence/"+e.Ref, m{"grant": m{"reason": why, "until": until, "sign": sign}})
	}
	add("POST", "/records/"+d.direct+"/erase", m{"reason": why})
	add("POST", "/records/"+d.id+"/erase", m{"reason": why})
	add("POST", "/persons/erase", m{"number": number, "reason": why})
	return list
}

// secrets of a body: what may leave the server only after a journal entry. Signed files are read.
func (d *desk) tells(t *testing.T, body string) []string {
	t.Helper()
	if c, err := dossier.Verify([]byte(body), d.signer.Public()); err == nil {
		body += string(c.Payload)
	}
	var said []string
	for _, s := range []string{name, number, mobile, string(d.token), `"person":"zhang"`, `"Person":"zhang"`} {
		if strings.Contains(body, s) {
			said = append(said, s)
		}
	}
	return said
}

// TestNothingIsToldUnjournalled walks every call of the area: what leaves the server unmasked
// has its entry, with the reason, and where no entry can be written nothing leaves and nothing
// is erased.
func TestNothingIsToldUnjournalled(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	calls := d.everyCall(t)
	var covered []string
	d.gate.full = true
	for _, c := range calls {
		w := d.call(t, c.method, c.path, c.body)
		if said := d.tells(t, w.Body.String()); len(said) > 0 {
			t.Errorf("without a journal %s %s tells %d secrets", c.method, c.path, len(said))
		}
		quiet := c.method == "GET"
		if quiet != (w.Code == http.StatusOK) {
			t.Errorf("without a journal %s %s: status %d", c.method, c.path, w.Code)
		}
	}
	if f, err := d.ReadRecord(d.Ctx, d.id); err != nil || len(f.Session.Attempts) != 1 {
		t.Fatalf("something was erased without a journal: %v", err)
	}
	if list, err := d.SearchRecords(d.Ctx, ekyc.RecordQuery{Keys: []ekyc.RecordKey{{Field: ekyc.FieldNumber, Value: number}}}); err != nil || len(list) != 2 {
		t.Fatalf("something was erased without a journal: %d records, %v", len(list), err)
	}

	d.gate.full = false
	told := 0
	for _, c := range calls {
		before := len(d.gate.entries)
		w := d.call(t, c.method, c.path, c.body)
		if w.Code != http.StatusOK && !strings.HasPrefix(c.path, "/persons/") {
			t.Errorf("%s %s: status %d: %s", c.method, c.path, w.Code, w.Body)
		}
		entries := d.gate.entries[before:]
		said := d.tells(t, w.Body.String())
		told += len(said)
		if len(said) > 0 && (len(entries) == 0 || entries[0].Reason != why || entries[0].Object == "") {
			t.Errorf("%s %s tells secrets with the entries %+v", c.method, c.path, entries)
		}
		if len(said) > 0 && slices.Contains(said, string(d.token)) {
			t.Errorf("%s %s tells the token", c.method, c.path)
		}
		for _, e := range entries {
			all := strings.Join([]string{e.Action, e.Object, e.Detail}, " ")
			for _, s := range []string{name, number, mobile, string(d.token)} {
				if strings.Contains(all, s) {
					t.Errorf("the journal of %s %s holds a secret", c.method, c.path)
				}
			}
		}
		covered = append(covered, c.method+" "+strings.NewReplacer(d.id, "{id}", d.direct, "{id}").Replace(c.path))
	}
	if told < 5 {
		t.Errorf("%d secrets were told with a reason: the test looks at nothing", told)
	}
	for _, c := range d.handler.Calls() {
		path := strings.TrimPrefix(c.Path, console.Prefix+"/api")
		if !slices.ContainsFunc(covered, func(s string) bool {
			return s == c.Method+" "+path || strings.HasPrefix(s, c.Method+" "+strings.TrimSuffix(path, "{ref}")) && strings.HasSuffix(path, "{ref}")
		}) {
			t.Errorf("%s %s is not tested", c.Method, path)
		}
	}
	for _, s := range []string{name, number, mobile, string(d.token)} {
		if strings.Contains(d.Logs.String(), s) {
			t.Error("the log holds a secret")
		}
	}
}

// TestReveal: a grant opens the pictures of its record for its sign-in, each with an entry of
// its own, and no longer than it lasts.
func TestReveal(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	masked := d.read(t, "GET", "/records/"+d.id, nil)
	ref := masked["evidence"].([]any)[0].(m)["ref"].(string)
	for _, bad := range []string{"", "  a ", strings.Repeat("x", 501)} {
		if w := d.call(t, "POST", "/records/"+d.id+"/reveal", m{"reason": bad}); w.Code != http.StatusBadRequest {
			t.Errorf("reason %q: status %d", bad, w.Code)
		}
	}
	v := d.read(t, "POST", "/records/"+d.id+"/reveal", m{"reason": why})
	if got := v["record"].(m)["claim"].(m)["number"]; got != number {
		t.Errorf("revealed: %v", got)
	}
	grant := v["grant"].(m)
	path := "/records/" + d.id + "/evidence/" + ref
	open := func(what string, g m, want int) {
		t.Helper()
		if w := d.call(t, "POST", path, m{"grant": g}); w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", what, w.Code, want, w.Body)
		}
	}
	w := d.call(t, "POST", path, m{"grant": grant})
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/jpeg" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("the picture: status %d, %v", w.Code, w.Header())
	}
	last := d.gate.entries[len(d.gate.entries)-1]
	if last.Action != "record.picture" || last.Reason != why || !strings.Contains(last.Detail, "face of attempt 1") {
		t.Errorf("its entry: %+v", last)
	}
	other := m{"reason": "another reason", "until": grant["until"], "sign": grant["sign"]}
	open("with another reason", other, http.StatusForbidden)
	open("for longer", m{"reason": why, "until": d.Clock.Now().Add(time.Hour), "sign": grant["sign"]}, http.StatusForbidden)
	path = "/records/" + d.direct + "/evidence/" + ref
	open("of another record", grant, http.StatusForbidden)
	path = "/records/" + d.id + "/evidence/" + strings.Repeat("0", 32)
	open("of another picture", grant, http.StatusNotFound)
	path = "/records/" + d.id + "/evidence/" + ref
	d.gate.who.SignIn = "s2"
	open("of another sign-in", grant, http.StatusForbidden)
	d.gate.who.SignIn = "s1"
	d.Clock.Advance(console.GrantFor)
	open("when it is over", grant, http.StatusForbidden)
}

// TestRecordRoles: who may do what with records.
func TestRecordRoles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for role, want := range map[operator.Role][5]int{ // list, reveal, masked export, open export, erase
		operator.Operations: {200, 200, 200, 200, 400},
		operator.Auditor:    {200, 200, 200, 200, 403},
		operator.Integrator: {403, 403, 403, 403, 403},
	} {
		d.gate.who.Role = role
		for i, c := range []struct {
			method, path string
			body         any
		}{
			{"GET", "/records", nil},
			{"POST", "/records/" + d.id + "/reveal", m{"reason": why}},
			{"POST", "/records/" + d.id + "/export", m{"masked": true}},
			{"POST", "/records/" + d.id + "/export", m{"masked": false, "reason": why}},
			{"POST", "/records/" + d.id + "/erase", m{"reason": ""}},
		} {
			if w := d.call(t, c.method, c.path, c.body); w.Code != want[i] {
				t.Errorf("%s: %s %s: status %d, want %d", role, c.method, c.path, w.Code, want[i])
			}
		}
	}
}

// TestRecordSearch: filters, pages, and what is refused.
func TestRecordSearch(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for range 5 {
		d.Clock.Advance(time.Second)
		d.OpenPlan("1")
	}
	v := d.read(t, "GET", "/records?limit=3&undecided=true&sandbox=false", nil)
	if items := v["items"].([]any); len(items) != 3 || v["complete"] != true || v["next"] == "" {
		t.Fatalf("the first page: %v", v)
	}
	v = d.read(t, "GET", "/records?limit=3&undecided=true&sandbox=false&after="+v["next"].(string), nil)
	if items := v["items"].([]any); len(items) != 2 || v["next"] != "" {
		t.Errorf("the second page: %v", v)
	}
	v = d.read(t, "POST", "/records/search", m{"name": name, "outcome": "match", "kind": "elements"})
	items := v["items"].([]any)
	if len(items) != 1 || items[0].(m)["id"] != d.direct {
		t.Errorf("by name: %v", v)
	}
	if e := d.gate.entries[len(d.gate.entries)-1]; e.Action != "records.search" || e.Detail != "by name" {
		t.Errorf("its entry: %+v", e)
	}
	for path, code := range map[string]string{
		"/records?name=x": "invalid", "/records?since=yesterday": "invalid", "/records?limit=0": "invalid", "/records?limit=201": "invalid",
		"/records?after=x": "invalid", "/records?sandbox=maybe": "invalid",
	} {
		if w := d.call(t, "GET", path, nil); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"`+code+`"`) {
			t.Errorf("%s: status %d, %s", path, w.Code, w.Body)
		}
	}
	if w := d.call(t, "POST", "/records/search", m{"number": "123"}); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), string(ekyc.BadIDNumber)) {
		t.Errorf("a number that is none: status %d, %s", w.Code, w.Body)
	}
	w := d.call(t, "POST", "/records/export", m{"app": string(d.App.ID)})
	if lines := strings.Count(w.Body.String(), "\n"); lines != 8 || !strings.HasPrefix(w.Body.String(), "id,at,") {
		t.Errorf("exported %d lines: %s", lines, w.Body)
	}
}

// TestErase: a person's data goes, and the receipt says so, signed.
func TestErase(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	v := d.read(t, "POST", "/persons/erase", m{"number": number, "name": name, "reason": why})
	c, err := dossier.Verify([]byte(v["file"].(string)), d.signer.Public())
	if err != nil || c.Type != dossier.TypeErasure {
		t.Fatalf("the receipt: %v", err)
	}
	var r dossier.Receipt
	if err := json.Unmarshal(c.Payload, &r); err != nil || r.Sessions != 1 || r.Calls != 1 || r.Evidence != 1 || r.Person == "" || r.Records[0] != d.id {
		t.Errorf("the receipt says %s, %v", c.Payload, err)
	}
	if said := d.tells(t, v["file"].(string)); len(said) > 0 {
		t.Errorf("the receipt holds %d secrets", len(said))
	}
	n := len(d.gate.entries)
	if a, b := d.gate.entries[n-2], d.gate.entries[n-1]; a.Action != "person.erase" || a.Reason != why || b.Action != "person.erased" || a.Object != b.Object {
		t.Errorf("the journal: %+v", d.gate.entries)
	}
	if w := d.call(t, "GET", "/records/"+d.id, nil); w.Code != http.StatusNotFound {
		t.Errorf("the erased record: status %d", w.Code)
	}
	if w := d.call(t, "POST", "/records/"+d.id+"/erase", m{"reason": why}); w.Code != http.StatusNotFound {
		t.Errorf("erased again: status %d", w.Code)
	}
	if e := d.gate.entries[len(d.gate.entries)-1]; e.Action != "record.erase.failed" {
		t.Errorf("its entry: %+v", e)
	}
}
