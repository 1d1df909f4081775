package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shiren/api/webhook"
	"shiren/internal/alarm"
	"shiren/internal/console"
	"shiren/internal/ekyc"
	"shiren/internal/notify"
	"shiren/internal/operator"
	"shiren/internal/seal"
	"shiren/internal/store"
)

var alarmNoon = time.Date(2026, 5, 4, 4, 0, 0, 0, time.UTC)

// alarmDesk is the area with a real store, a runner and a courier; nobody else's counts and people.
type alarmDesk struct {
	handler http.Handler
	store   *store.Alarms
	role    operator.Role
	mu      sync.Mutex
	entries []operator.Entry
	refuses error // of the journal
	woken   int
	mails   scriptedMail
}

type scriptedMail struct{ err string }

func (m *scriptedMail) Send(context.Context, notify.Delivery) notify.Try {
	return notify.Try{Err: m.err}
}

func (d *alarmDesk) Who(*http.Request) (console.Person, bool, error) {
	return console.Person{Account: "1", Name: "lin", Role: d.role}, d.role != "", nil
}

func (d *alarmDesk) Note(_ context.Context, e operator.Entry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuses != nil {
		return d.refuses
	}
	d.entries = append(d.entries, e)
	return nil
}

func (d *alarmDesk) Counts(context.Context, ekyc.CountQuery) ([]ekyc.Count, error) {
	return []ekyc.Count{{At: alarmNoon, Measure: ekyc.CountAttempt, Label: "match/", N: 90}, {At: alarmNoon, Measure: ekyc.CountAttempt, Label: "non_match/non_match", N: 10}}, nil
}

func newAlarmDesk(t *testing.T) *alarmDesk {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{DSN: "sqlite::memory:", Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for id, name := range map[ekyc.AppID]string{"100001": "示例银行", "100002": "示例保险"} {
		if err := s.PutApp(t.Context(), ekyc.App{ID: id, Name: name, Key: "key" + string(id), Secret: "secret"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutPlan(t.Context(), ekyc.Plan{ID: "p1", App: "100001", Name: "方案"}); err != nil {
		t.Fatal(err)
	}
	d := &alarmDesk{store: s.Alarms(), role: operator.Operations}
	now := func() time.Time { return alarmNoon }
	chance := rand.NewChaCha8([32]byte{2})
	hooks := notify.NewHooks(notify.HookConfig{Endpoints: d.store, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Now: now})
	courier := &notify.Courier{Queue: d.store, Mail: &d.mails, Hooks: hooks, Now: now, Log: slog.New(slog.DiscardHandler)}
	d.handler = console.New(console.Config{
		Gate: d, Now: now, Log: slog.New(slog.DiscardHandler),
		Alarms: &console.Alarms{
			Store: d.store, Names: s, Sources: []string{"registry"}, URL: hooks.CheckURL, Rand: chance, Mail: console.AlarmMail{Configured: true, Host: "mail.example.com"},
			Wake:   func() { d.woken++ },
			Runner: &alarm.Runner{Store: d.store, Counts: d, Names: s, Courier: courier, Zone: time.UTC, Now: now, Rand: chance, Log: slog.New(slog.DiscardHandler)},
		},
	})
	return d
}

// call makes a call of the page and reads its answer into out.
func (d *alarmDesk) call(t *testing.T, method, path string, body, out any) int {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, console.Prefix+"/api"+path, bytes.NewReader(b))
	r.Header.Set("Shiren-Console", "1")
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w.Code
}

type fault struct {
	Error struct{ Code, Message string }
}

func alarmBody(change ...func(map[string]any)) map[string]any {
	m := map[string]any{
		"name": "未通过率过高", "enabled": true, "measure": "failure_rate", "app": "100001", "plan": "p1", "window_minutes": 10, "threshold": 0.1, "recover_at": 0.05,
		"minimum": 20, "silence_minutes": 60, "tell_recovery": true, "mails": []string{"ops@example.com"}, "webhooks": []string{},
	}
	for _, f := range change {
		f(m)
	}
	return m
}

type ruleAnswer struct {
	ID       string
	Revision int64
	Name     string
	States   []struct{ Phase string }
	Reading  struct {
		Value  *float64
		Part   int64
		Events int64
	}
}

// The story of a rule at the console: made, listed with what it comes to, changed, tested, removed;
// each change is in the journal first.
func TestAlarmRules(t *testing.T) {
	t.Parallel()
	d := newAlarmDesk(t)
	var made ruleAnswer
	if got := d.call(t, "POST", "/alarms/rules", alarmBody(), &made); got != 200 || made.ID == "" || made.Revision != 1 {
		t.Fatalf("a new rule: %d, %+v", got, made)
	}
	var list struct{ Items []ruleAnswer }
	if got := d.call(t, "GET", "/alarms", nil, &list); got != 200 || len(list.Items) != 1 || list.Items[0].Reading.Value == nil || *list.Items[0].Reading.Value != 0.1 || list.Items[0].Reading.Events != 100 {
		t.Errorf("the list: %d, %+v", got, list)
	}
	var changed ruleAnswer
	body := alarmBody(func(m map[string]any) { m["name"], m["revision"] = "另一个名字", 1 })
	if got := d.call(t, "PUT", "/alarms/rules/"+made.ID, body, &changed); got != 200 || changed.Name != "另一个名字" || changed.Revision != 2 {
		t.Errorf("a change: %d, %+v", got, changed)
	}
	var f fault
	if got := d.call(t, "PUT", "/alarms/rules/"+made.ID, body, &f); got != 409 || f.Error.Code != console.ErrConflict {
		t.Errorf("a change of what was changed meanwhile: %d, %+v", got, f)
	}
	d.mails.err = "the mail server cannot be reached"
	var tested struct {
		Fires   bool
		Results []struct {
			Name string
			Try  struct{ Error string }
		}
	}
	if got := d.call(t, "POST", "/alarms/rules/"+made.ID+"/test", nil, &tested); got != 200 || !tested.Fires || len(tested.Results) != 1 ||
		tested.Results[0].Name != "ops@example.com" || tested.Results[0].Try.Error != d.mails.err {
		t.Errorf("a test: %d, %+v", got, tested)
	}
	var mail struct {
		Configured bool
		GivenUp    *struct {
			Event string
			Log   []struct{ Error string }
		} `json:"given_up"`
	}
	if got := d.call(t, "GET", "/alarms/mail", nil, &mail); got != 200 || !mail.Configured || mail.GivenUp == nil || mail.GivenUp.Log[0].Error != d.mails.err {
		t.Errorf("how mails leave: %d, %+v", got, mail)
	}
	if got := d.call(t, "DELETE", "/alarms/rules/"+made.ID, nil, nil); got != 200 {
		t.Errorf("a removal: %d", got)
	}
	for _, c := range []struct{ method, path string }{
		{"PUT", "/alarms/rules/" + made.ID},
		{"DELETE", "/alarms/rules/" + made.ID},
		{"POST", "/alarms/rules/" + made.ID + "/test"},
		{"GET", "/alarms/deliveries/nobody"},
		{"POST", "/alarms/deliveries/nobody/replay"},
		{"DELETE", "/alarms/webhooks/nobody"},
	} {
		var in any
		if c.method == "PUT" {
			in = body
		}
		if got := d.call(t, c.method, c.path, in, nil); got != 404 {
			t.Errorf("%s %s of what is gone: %d, want 404", c.method, c.path, got)
		}
	}
	var actions []string
	for _, e := range d.entries {
		actions = append(actions, e.Action)
		if strings.Contains(e.Detail, "ops@example.com") {
			t.Errorf("the journal has an address: %s", e.Detail)
		}
	}
	if want := []string{"alarm.add", "alarm.change", "alarm.test", "alarm.remove"}; !slices.Equal(actions, want) {
		t.Errorf("the journal has %v, want %v: what was refused changed nothing", actions, want)
	}
	d.refuses = errors.New("the journal cannot be written")
	if got := d.call(t, "POST", "/alarms/rules", alarmBody(), nil); got != 500 {
		t.Errorf("without a journal: %d, want 500", got)
	}
	if rules, err := d.store.Rules(t.Context()); err != nil || len(rules) != 0 {
		t.Errorf("%d rules, %v; want none without a line in the journal", len(rules), err)
	}
}

func TestAlarmMistakes(t *testing.T) {
	t.Parallel()
	d := newAlarmDesk(t)
	for field, change := range map[string]func(map[string]any){
		"name":       func(m map[string]any) { m["name"] = "a\r\nBcc: x@example.com" },
		"threshold":  func(m map[string]any) { m["threshold"] = 12 },
		"window":     func(m map[string]any) { m["window_minutes"] = int64(1) << 62 },
		"silence":    func(m map[string]any) { m["silence_minutes"] = -5 },
		"app":        func(m map[string]any) { m["app"], m["plan"] = "999999", "" },
		"plan":       func(m map[string]any) { m["plan"] = "p9" },
		"mails":      func(m map[string]any) { m["mails"] = []string{"ops"} },
		"webhooks":   func(m map[string]any) { m["webhooks"] = []string{"nobody"} },
		"revision":   func(m map[string]any) { m["revision"] = 3 },
		"the body":   func(m map[string]any) { m["colour"] = "red" },
		"source":     func(m map[string]any) { m["measure"], m["source"] = "source_fails", "juhe" },
		"plan: it b": func(m map[string]any) { m["app"] = "100002" },
	} {
		var f fault
		if got := d.call(t, "POST", "/alarms/rules", alarmBody(change), &f); got != 400 || f.Error.Code != console.ErrInvalid || !strings.HasPrefix(f.Error.Message, field) {
			t.Errorf("a wrong %s: %d, %+v", field, got, f)
		}
	}
	if len(d.entries) != 0 {
		t.Errorf("mistakes are in the journal: %+v", d.entries)
	}
	for _, path := range []string{"/alarms/episodes?after=x", "/alarms/deliveries?after=1"} {
		if got := d.call(t, "GET", path, nil, nil); got != 400 {
			t.Errorf("%s: %d, want 400", path, got)
		}
	}
}

// Roles: who may read reads without what may be a secret; who may not is refused everything.
func TestAlarmRoles(t *testing.T) {
	t.Parallel()
	d := newAlarmDesk(t)
	var hook struct{ ID, URL, Secret string }
	if got := d.call(t, "POST", "/alarms/webhooks", map[string]any{"name": "值班", "url": "https://alerts.example.com/hidden-path", "enabled": true}, &hook); got != 200 || !strings.HasPrefix(hook.Secret, "whsec_") {
		t.Fatalf("a new webhook: %d, %+v", got, hook)
	}
	d.role = operator.Auditor
	var list struct {
		Items []struct{ URL, Secret string }
	}
	if got := d.call(t, "GET", "/alarms/webhooks", nil, &list); got != 200 || list.Items[0].URL != "https://alerts.example.com/…" || list.Items[0].Secret != "" {
		t.Errorf("an auditor gets %d, %+v", got, list)
	}
	changes := []struct{ method, path string }{
		{"POST", "/alarms/rules"},
		{"PUT", "/alarms/rules/x"},
		{"DELETE", "/alarms/rules/x"},
		{"POST", "/alarms/rules/x/test"},
		{"POST", "/alarms/webhooks"},
		{"PUT", "/alarms/webhooks/x"},
		{"DELETE", "/alarms/webhooks/x"},
		{"POST", "/alarms/webhooks/x/rotate"},
		{"POST", "/alarms/deliveries/x/replay"},
	}
	for _, c := range changes {
		if got := d.call(t, c.method, c.path, nil, nil); got != 403 {
			t.Errorf("%s %s by an auditor: %d, want 403", c.method, c.path, got)
		}
	}
	d.role = operator.Integrator
	for _, path := range []string{"/alarms", "/alarms/choices", "/alarms/mail", "/alarms/episodes", "/alarms/webhooks", "/alarms/deliveries", "/alarms/deliveries/x"} {
		if got := d.call(t, "GET", path, nil, nil); got != 403 {
			t.Errorf("GET %s by an integrator: %d, want 403", path, got)
		}
	}
}

// The story of a webhook: made, used by a rule, its secret replaced, tested, its delivery sent
// again, removed once no rule sends to it.
func TestAlarmWebhooks(t *testing.T) {
	t.Parallel()
	d := newAlarmDesk(t)
	var secrets []string
	var bodies int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		if _, err := body.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		bodies++
		for _, s := range secrets {
			if err := webhook.Verify(r.Header, body.Bytes(), alarmNoon, s); err != nil {
				t.Errorf("with a valid secret: %v", err)
			}
		}
		var m webhook.Message
		if err := json.Unmarshal(body.Bytes(), &m); err != nil || m.Event != webhook.EventTest || m.Rule.AppName != "示例银行" {
			t.Errorf("the body %s, %v", body, err)
		}
	}))
	defer srv.Close()
	var hook struct {
		ID, Secret string
		Revision   int64
		Secrets    []struct{ Until *time.Time }
		Rules      []struct{ Name string }
	}
	var f fault
	for _, bad := range []string{"http://example.com/", "https://169.254.169.254/", "https://10.0.0.1/", "not an address"} {
		if got := d.call(t, "POST", "/alarms/webhooks", map[string]any{"name": "值班", "url": bad, "enabled": true}, &f); got != 400 || !strings.HasPrefix(f.Error.Message, "url:") {
			t.Errorf("a webhook at %s: %d, %+v", bad, got, f)
		}
	}
	d.call(t, "POST", "/alarms/webhooks", map[string]any{"name": "值班", "url": srv.URL + "/hidden", "enabled": true}, &hook)
	secrets = append(secrets, hook.Secret)
	var rule ruleAnswer
	d.call(t, "POST", "/alarms/rules", alarmBody(func(m map[string]any) { m["webhooks"], m["mails"] = []string{hook.ID}, []string{} }), &rule)
	if got := d.call(t, "POST", "/alarms/webhooks/"+hook.ID+"/rotate", map[string]any{"revision": hook.Revision, "overlap_hours": 24}, &hook); got != 200 || hook.Secret == secrets[0] || len(hook.Secrets) != 2 || hook.Secrets[1].Until == nil || len(hook.Rules) != 1 {
		t.Fatalf("a rotation: %d, %+v", got, hook)
	}
	secrets = append(secrets, hook.Secret)
	if got := d.call(t, "POST", "/alarms/webhooks/"+hook.ID+"/rotate", map[string]any{"revision": hook.Revision, "overlap_hours": 1000}, &f); got != 400 {
		t.Errorf("an overlap of 1000 hours: %d", got)
	}
	var tested struct {
		Results []struct {
			Name     string
			Delivery struct{ ID, State string }
			Try      struct{ Status int }
		}
	}
	if got := d.call(t, "POST", "/alarms/rules/"+rule.ID+"/test", nil, &tested); got != 200 || bodies != 1 || tested.Results[0].Name != "值班" || tested.Results[0].Try.Status != 200 || tested.Results[0].Delivery.State != "delivered" {
		t.Fatalf("a test: %d, %d bodies, %+v", got, bodies, tested)
	}
	id := tested.Results[0].Delivery.ID
	var page struct {
		Items []struct{ ID string }
		Next  string
	}
	if got := d.call(t, "GET", "/alarms/deliveries?channel=webhook&receiver="+hook.ID, nil, &page); got != 200 || len(page.Items) != 1 || page.Items[0].ID != id || page.Next != "" {
		t.Errorf("deliveries: %d, %+v", got, page)
	}
	var one struct {
		State string
		Body  webhook.Message
		Log   []struct{ N, Status int }
	}
	if got := d.call(t, "POST", "/alarms/deliveries/"+id+"/replay", nil, &one); got != 200 || one.State != "waiting" || d.woken != 1 {
		t.Errorf("a replay: %d, %+v, woken %d times", got, one, d.woken)
	}
	if got := d.call(t, "GET", "/alarms/deliveries/"+id, nil, &one); got != 200 || one.Body.ID != id || len(one.Log) != 1 || one.Log[0].Status != 200 {
		t.Errorf("one delivery: %d, %+v", got, one)
	}
	if got := d.call(t, "DELETE", "/alarms/webhooks/"+hook.ID, nil, &f); got != 409 || !strings.Contains(f.Error.Message, "未通过率过高") {
		t.Errorf("a removal while a rule sends to it: %d, %+v", got, f)
	}
	d.call(t, "DELETE", "/alarms/rules/"+rule.ID, nil, nil)
	if got := d.call(t, "DELETE", "/alarms/webhooks/"+hook.ID, nil, nil); got != 200 {
		t.Errorf("a removal: %d", got)
	}
	for _, e := range d.entries {
		for _, secret := range append(secrets, "hidden") {
			if strings.Contains(e.Detail+e.Object+e.Reason, secret) {
				t.Errorf("the journal tells a secret: %+v", e)
			}
		}
	}
}

// The history is read page by page.
func TestAlarmHistory(t *testing.T) {
	t.Parallel()
	d := newAlarmDesk(t)
	var rule ruleAnswer
	d.call(t, "POST", "/alarms/rules", alarmBody(), &rule)
	r, err := d.store.Rule(t.Context(), rule.ID)
	if err != nil {
		t.Fatal(err)
	}
	const n = 120
	for i := range n {
		e := alarm.Episode{ID: string(rune('a'+i%26)) + string(rune('a'+i/26)), Rule: r, Began: alarmNoon.Add(time.Duration(i/3) * time.Second), First: alarm.Reading{At: alarmNoon, Known: true, Value: 0.5}}
		if ok, err := d.store.Step(t.Context(), alarm.Step{Rule: r.ID, Revision: 1, Was: int64(i), State: alarm.State{Rule: r.ID, Phase: alarm.Fine}, Episode: e}); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	seen := map[string]bool{}
	for after, pages := "", 0; ; pages++ {
		var page struct {
			Items []struct {
				ID    string
				Unit  string
				First struct{ Value float64 }
				Ended *time.Time
			}
			Next string
		}
		if got := d.call(t, "GET", "/alarms/episodes?rule="+r.ID+"&after="+after, nil, &page); got != 200 || pages > 3 {
			t.Fatalf("page %d: %d", pages, got)
		}
		for _, e := range page.Items {
			if seen[e.ID] || e.Unit != "share" || e.First.Value != 0.5 || e.Ended != nil {
				t.Errorf("line %+v, seen before %v", e, seen[e.ID])
			}
			seen[e.ID] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(seen) != n {
		t.Errorf("%d lines of history, want %d", len(seen), n)
	}
}
