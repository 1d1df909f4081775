package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shiren/internal/alarm"
	"shiren/internal/ekyc"
	"shiren/internal/notify"
	"shiren/internal/store"
	"shiren/internal/store/storetest"
)

func TestAlarms(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); alarms(t, inFile) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := storetest.Postgres(t)
		alarms(t, func(t testing.TB) string { return server.Database(t) })
	})
}

func alarms(t *testing.T, dsn func(t testing.TB) string) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, a *store.Alarms)
	}{
		{"rules", alarmRules},
		{"steps", alarmSteps},
		{"webhooks", alarmWebhooks},
		{"deliveries", alarmDeliveries},
		{"what is old is erased", alarmForget},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t, dsn(t)).Alarms()) })
	}
}

var alarmsAt = time.Date(2026, 5, 4, 4, 0, 0, 0, time.UTC)

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func aRule(id string) alarm.Rule {
	return alarm.Rule{
		ID: id, Name: "规则 " + id, Enabled: true, Measure: alarm.SourceFails, App: "1", Plan: "p", Protocol: "juhe", Source: "registry", Window: 10 * time.Minute,
		Threshold: 0.2, RecoverAt: 0.1, Minimum: 20, Silence: time.Hour, TellRecovery: true, Mails: []string{"ops@example.com"}, Webhooks: []string{"w"}, Changed: alarmsAt,
	}
}

func alarmRules(t *testing.T, a *store.Alarms) {
	ctx := t.Context()
	b := must[alarm.Rule](t)(a.PutRule(ctx, aRule("b")))
	first := must[alarm.Rule](t)(a.PutRule(ctx, aRule("a")))
	want := aRule("a")
	want.Revision = 1
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("PutRule (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]alarm.Rule{want, b}, must[[]alarm.Rule](t)(a.Rules(ctx))); diff != "" {
		t.Errorf("Rules (-want +got):\n%s", diff)
	}
	changed := first
	changed.Name = "another"
	changed = must[alarm.Rule](t)(a.PutRule(ctx, changed))
	if got := must[alarm.Rule](t)(a.Rule(ctx, "a")); got.Name != "another" || got.Revision != 2 || changed.Revision != 2 {
		t.Errorf("Rule = %+v after a change", got)
	}
	if _, err := a.PutRule(ctx, first); !errors.Is(err, alarm.ErrConflict) {
		t.Errorf("a change of what was changed meanwhile: %v, want a conflict", err)
	}
	if _, err := a.PutRule(ctx, aRule("a")); !errors.Is(err, alarm.ErrConflict) {
		t.Errorf("a new rule with an old one's id: %v, want a conflict", err)
	}
	for range 2 {
		if err := a.RemoveRule(ctx, "a", alarmsAt); err != nil {
			t.Errorf("RemoveRule: %v", err)
		}
	}
	if _, err := a.Rule(ctx, "a"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("Rule after its removal: %v", err)
	}
	if _, err := a.PutRule(ctx, changed); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("a change of a removed rule: %v, want absent", err)
	}
	for i := range alarm.MaxRules - 1 {
		must[alarm.Rule](t)(a.PutRule(ctx, aRule(fmt.Sprint("r", i))))
	}
	if _, err := a.PutRule(ctx, aRule("one more")); ekyc.CodeOf(err) != ekyc.BadRequest {
		t.Errorf("rule number %d: %v, want a refusal", alarm.MaxRules+1, err)
	}
}

// A step is written whole, and only on the rule and state that it was made of.
func alarmSteps(t *testing.T, a *store.Alarms) {
	ctx := t.Context()
	r := must[alarm.Rule](t)(a.PutRule(ctx, aRule("a")))
	value := alarm.Reading{At: alarmsAt, Known: true, Value: 0.5, Part: 10, Events: 20, Detail: "registry"}
	step := alarm.Step{
		Rule: r.ID, Revision: r.Revision,
		State:   alarm.State{Rule: r.ID, Phase: alarm.Firing, Since: alarmsAt, Episode: "e1", Told: true, Sent: alarmsAt, Worst: 0.5},
		Episode: alarm.Episode{ID: "e1", Rule: r, Began: alarmsAt, First: value, Worst: 0.5, Told: 1},
		Queue:   []notify.Delivery{aDelivery("d1", alarmsAt)},
	}
	if !must[bool](t)(a.Step(ctx, step)) {
		t.Fatal("the first step was not written")
	}
	if must[bool](t)(a.Step(ctx, step)) {
		t.Error("a step of a state that has changed was written")
	}
	other := step
	other.Was, other.Revision, other.Queue = 1, r.Revision+1, nil
	if must[bool](t)(a.Step(ctx, other)) {
		t.Error("a step of a rule that has changed was written")
	}
	other.Rule, other.Revision = "nobody", 1
	if must[bool](t)(a.Step(ctx, other)) {
		t.Error("a step of a rule that is gone was written")
	}
	want := step.State
	want.Version = 1
	if diff := cmp.Diff([]alarm.State{want}, must[[]alarm.State](t)(a.States(ctx))); diff != "" {
		t.Errorf("States (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(step.Episode, must[alarm.Episode](t)(a.Episode(ctx, "e1"))); diff != "" {
		t.Errorf("Episode (-want +got):\n%s", diff)
	}
	node := step // another node's state of the same rule stands beside it
	node.State.Node, node.State.Episode, node.Episode.ID, node.Episode.Node, node.Queue = "n", "e2", "e2", "n", nil
	node.Episode.Began = alarmsAt.Add(time.Second)
	if !must[bool](t)(a.Step(ctx, node)) {
		t.Error("another node's first step was not written")
	}
	if l := must[[]notify.Delivery](t)(a.Deliveries(ctx, notify.DeliveryQuery{})); len(l) != 1 {
		t.Errorf("%d deliveries, want that of the one step that was written", len(l))
	}
	bad := step // a delivery that is there already: nothing of the step is written
	bad.Was, bad.State.Phase = 1, alarm.Fine
	if _, err := a.Step(ctx, bad); err == nil {
		t.Error("a delivery was added twice")
	}
	if s := must[[]alarm.State](t)(a.States(ctx)); len(s) != 2 || s[0].Phase != alarm.Firing {
		t.Errorf("States = %+v after a step that failed", s)
	}

	first := must[[]alarm.Episode](t)(a.Episodes(ctx, alarm.EpisodeQuery{Limit: 1}))
	if len(first) != 1 || first[0].ID != "e2" {
		t.Fatalf("the newest of the history is %+v, want e2", first)
	}
	if rest := must[[]alarm.Episode](t)(a.Episodes(ctx, alarm.EpisodeQuery{After: &first[0], Rule: "a"})); len(rest) != 1 || rest[0].ID != "e1" {
		t.Errorf("behind it comes %+v, want e1", rest)
	}
	if l := must[[]alarm.Episode](t)(a.Episodes(ctx, alarm.EpisodeQuery{Rule: "b"})); len(l) != 0 {
		t.Errorf("%d lines of another rule", len(l))
	}
	r.Changed = alarmsAt.Add(time.Minute)
	must[alarm.Rule](t)(a.PutRule(ctx, r))
	for _, e := range must[[]alarm.Episode](t)(a.Episodes(ctx, alarm.EpisodeQuery{})) {
		if e.Why != alarm.ByChange || !e.Ended.Equal(r.Changed) {
			t.Errorf("%s ended %v by %q after a change", e.ID, e.Ended, e.Why)
		}
	}
	if s := must[[]alarm.State](t)(a.States(ctx)); len(s) != 0 {
		t.Errorf("States = %+v after a change of the rule", s)
	}
}

func anEndpoint(id string) notify.Endpoint {
	return notify.Endpoint{
		ID: id, Name: "值班", URL: "https://alerts.example.com/hidden-path", Enabled: true, Created: alarmsAt,
		Secrets: []notify.Signing{{Secret: "whsec_first", Created: alarmsAt}, {Secret: "whsec_older", Created: alarmsAt, Until: alarmsAt.Add(time.Hour)}},
	}
}

func alarmWebhooks(t *testing.T, a *store.Alarms) {
	ctx := t.Context()
	e := must[notify.Endpoint](t)(a.PutEndpoint(ctx, anEndpoint("w")))
	want := anEndpoint("w")
	want.Revision = 1
	if diff := cmp.Diff(want, must[notify.Endpoint](t)(a.Endpoint(ctx, "w"))); diff != "" {
		t.Errorf("Endpoint (-want +got):\n%s", diff)
	}
	e.Enabled = false
	e = must[notify.Endpoint](t)(a.PutEndpoint(ctx, e))
	if _, err := a.PutEndpoint(ctx, want); !errors.Is(err, alarm.ErrConflict) {
		t.Errorf("a change of what was changed meanwhile: %v, want a conflict", err)
	}
	later := anEndpoint("a")
	later.Created = alarmsAt.Add(time.Hour)
	must[notify.Endpoint](t)(a.PutEndpoint(ctx, later))
	if l := must[[]notify.Endpoint](t)(a.Endpoints(ctx)); len(l) != 2 || l[0].ID != "w" || l[0].Enabled || l[0].Revision != 2 {
		t.Errorf("Endpoints = %+v; want w, as changed, and then a", l)
	}
	for range 2 {
		if err := a.RemoveEndpoint(ctx, "w"); err != nil {
			t.Errorf("RemoveEndpoint: %v", err)
		}
	}
	if _, err := a.Endpoint(ctx, "w"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("Endpoint after its removal: %v", err)
	}
	if _, err := a.PutEndpoint(ctx, e); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("a change of a removed webhook: %v, want absent", err)
	}
}

// Secrets and addresses of webhooks are sealed: the database's files hold neither.
func TestWebhooksAreSealed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, "sqlite:"+filepath.Join(dir, "shiren.db"))
	must[notify.Endpoint](t)(s.Alarms().PutEndpoint(t.Context(), anEndpoint("w")))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	found := false
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		found = found || strings.Contains(string(b), "webhooks")
		for _, secret := range []string{"whsec_", "hidden-path"} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s holds %q in the clear", filepath.Base(f), secret)
			}
		}
	}
	if !found {
		t.Error("no file holds the table at all: the search proves nothing")
	}
}

func aDelivery(id string, at time.Time) notify.Delivery {
	return notify.Delivery{
		ID: id, Channel: notify.Webhook, To: "w", About: "a", Event: "firing", Subject: "s", Text: "t", Body: []byte(`{"id":"` + id + `"}`),
		Created: at, State: notify.Waiting, Due: at, Until: at.Add(notify.Keep),
	}
}

func alarmDeliveries(t *testing.T, a *store.Alarms) {
	ctx := t.Context()
	r := must[alarm.Rule](t)(a.PutRule(ctx, aRule("a")))
	step := alarm.Step{Rule: "a", Revision: r.Revision, State: alarm.State{Rule: "a", Phase: alarm.Firing}, Episode: alarm.Episode{ID: "e", Rule: r, Began: alarmsAt}}
	for i := range 5 {
		step.Queue = append(step.Queue, aDelivery(fmt.Sprint("d", i), alarmsAt.Add(time.Duration(i)*time.Second)))
	}
	if !must[bool](t)(a.Step(ctx, step)) {
		t.Fatal("not written")
	}
	claim := func(now time.Time, n int) []notify.Delivery {
		return must[[]notify.Delivery](t)(a.ClaimDeliveries(ctx, now, now.Add(time.Minute), n))
	}
	at := alarmsAt.Add(2 * time.Second)
	mine := claim(at, 2)
	ids := func(l []notify.Delivery) (s []string) {
		for _, d := range l {
			s = append(s, d.ID)
		}
		return s
	}
	if !slices.Equal(ids(mine), []string{"d0", "d1"}) || !mine[0].Due.Equal(at.Add(time.Minute)) || string(mine[0].Body) != `{"id":"d0"}` {
		t.Fatalf("claimed %+v, want the two that are due longest", mine)
	}
	if rest := claim(at, 9); !slices.Equal(ids(rest), []string{"d2"}) {
		t.Errorf("claimed %v, want what is due and nobody's", ids(rest))
	}
	// d0 fails once and is delivered; d1's claim lapses.
	try := notify.Try{N: 1, At: at, Took: 1500 * time.Millisecond, Status: 503, Err: "the receiver answered 503"}
	after := mine[0].After(try)
	if !must[bool](t)(a.EndTry(ctx, mine[0], after, try)) {
		t.Error("the try was not written")
	}
	if must[bool](t)(a.EndTry(ctx, mine[0], after, try)) {
		t.Error("a try was written twice")
	}
	got, tries, err := a.Delivery(ctx, "d0")
	if err != nil || got.State != notify.Waiting || got.Tries != 1 || !got.Due.Equal(after.Due) || len(tries) != 1 || tries[0] != try {
		t.Errorf("Delivery = %+v, %+v, %v after a try", got, tries, err)
	}
	if l := claim(at.Add(time.Minute), 9); !slices.Equal(ids(l), []string{"d3", "d4", "d0", "d1", "d2"}) {
		t.Errorf("a minute later %v are claimed, want all: claims lapse", ids(l))
	}
	// A replay beats a try that is under way: what it came to is not written over it.
	held := must[notify.Delivery](t)(first(a.Delivery(ctx, "d1")))
	replayed := must[notify.Delivery](t)(a.Replay(ctx, "d1", at.Add(time.Hour)))
	ended := notify.Try{N: 1, At: at.Add(time.Hour), Status: 200}
	if must[bool](t)(a.EndTry(ctx, held, held.After(ended), ended)) {
		t.Error("a try of what was replayed meanwhile was written")
	}
	if got, _, err := a.Delivery(ctx, "d1"); err != nil || got.State != notify.Waiting || !got.Due.Equal(replayed.Due) || !got.Until.Equal(at.Add(time.Hour).Add(notify.Keep)) {
		t.Errorf("after a replay %+v, %v", got, err)
	}
	if _, err := a.Replay(ctx, "nobody", at); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("a replay of nothing: %v", err)
	}

	page := must[[]notify.Delivery](t)(a.Deliveries(ctx, notify.DeliveryQuery{Channel: notify.Webhook, To: "w", State: notify.Waiting, Limit: 2}))
	if !slices.Equal(ids(page), []string{"d4", "d3"}) {
		t.Errorf("the newest are %v", ids(page))
	}
	if next := must[[]notify.Delivery](t)(a.Deliveries(ctx, notify.DeliveryQuery{After: &page[1]})); !slices.Equal(ids(next), []string{"d2", "d1", "d0"}) {
		t.Errorf("behind them come %v", ids(next))
	}
	for _, q := range []notify.DeliveryQuery{{Channel: notify.Mail}, {To: "x"}, {State: notify.GivenUp}} {
		if l := must[[]notify.Delivery](t)(a.Deliveries(ctx, q)); len(l) != 0 {
			t.Errorf("%+v finds %v", q, ids(l))
		}
	}
}

// first drops the second of two values.
func first[A, B any](a A, _ B, err error) (A, error) { return a, err }

func alarmForget(t *testing.T, a *store.Alarms) {
	ctx := t.Context()
	r := must[alarm.Rule](t)(a.PutRule(ctx, aRule("a")))
	old, lasting := alarmsAt.Add(-time.Hour), alarm.Episode{ID: "lasting", Rule: r, Began: alarmsAt.Add(-time.Hour)}
	over := alarm.Episode{ID: "over", Rule: r, Began: old, Ended: old.Add(time.Minute)}
	for i, e := range []alarm.Episode{lasting, over} {
		if !must[bool](t)(a.Step(ctx, alarm.Step{
			Rule: "a", Revision: 1, Was: int64(i), State: alarm.State{Rule: "a"}, Episode: e, Queue: []notify.Delivery{aDelivery(e.ID, old)},
		})) {
			t.Fatal("not written")
		}
	}
	done := aDelivery("done", old)
	done.State = notify.Delivered
	fresh := done
	fresh.ID, fresh.Created = "fresh", alarmsAt
	for _, d := range []notify.Delivery{done, fresh} {
		if err := a.PutTried(ctx, d, notify.Try{N: 1, At: d.Created}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.ForgetAlarms(ctx, alarmsAt.Add(-time.Minute), alarmsAt.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if l := must[[]alarm.Episode](t)(a.Episodes(ctx, alarm.EpisodeQuery{})); len(l) != 1 || l[0].ID != "lasting" {
		t.Errorf("history %+v; want what lasts", l)
	}
	var left []string
	for _, d := range must[[]notify.Delivery](t)(a.Deliveries(ctx, notify.DeliveryQuery{})) {
		left = append(left, d.ID)
	}
	slices.Sort(left)
	if !slices.Equal(left, []string{"fresh", "lasting", "over"}) {
		t.Errorf("deliveries %v; want what is new and what waits", left)
	}
	if _, _, err := a.Delivery(ctx, "done"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("an old delivery: %v", err)
	}
}
