package alarm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shiren/api/webhook"
	"shiren/internal/alarm"
	"shiren/internal/ekyc"
	"shiren/internal/notify"
	"shiren/internal/seal"
	"shiren/internal/store"
)

func chance(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// open opens a store in memory that is closed with the test.
func open(t testing.TB) *store.Alarms {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), chance(1))
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
	return s.Alarms()
}

// world is what is counted, the time, and what was sent.
type world struct {
	mu     sync.Mutex
	now    time.Time
	counts []ekyc.Count
	fails  error
	asked  []ekyc.CountQuery
	sent   []notify.Delivery
	says   func(d notify.Delivery) notify.Try
	woken  int
}

func (w *world) Now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

func (w *world) move(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

func (w *world) Counts(_ context.Context, q ekyc.CountQuery) (list []ekyc.Count, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, q)
	for _, c := range w.counts {
		if slices.Contains(q.Measures, c.Measure) && !c.At.Before(q.Since) {
			list = append(list, c)
		}
	}
	return list, w.fails
}

// happen adds events in the span of now.
func (w *world) happen(m ekyc.Measure, label string, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts = append(w.counts, ekyc.Count{At: w.now.Truncate(ekyc.ShortSpan), Measure: m, Label: label, N: n})
}

func (w *world) App(_ context.Context, id ekyc.AppID) (ekyc.App, error) {
	if id != "100001" {
		return ekyc.App{}, ekyc.ErrAbsent
	}
	return ekyc.App{ID: id, Name: "示例银行"}, nil
}

func (w *world) Plan(context.Context, ekyc.PlanID) (ekyc.Plan, error) {
	return ekyc.Plan{}, ekyc.ErrAbsent
}

func (w *world) Wake() { w.mu.Lock(); defer w.mu.Unlock(); w.woken++ }

func (w *world) Try(_ context.Context, d notify.Delivery) notify.Try {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, d)
	t := notify.Try{Status: 250}
	if w.says != nil {
		t = w.says(d)
	}
	t.N, t.At = d.Tries+1, w.now
	return t
}

func runner(w *world, s alarm.Store, seed byte) *alarm.Runner {
	return &alarm.Runner{
		Store: s, Counts: w, Names: w, Courier: w, Node: "node-" + string('a'+rune(seed)), Zone: time.FixedZone("", 8*3600), Console: "https://kyc.example.com/console/alarms",
		Now: w.Now, Rand: chance(seed), Log: slog.New(slog.DiscardHandler),
	}
}

func put(t testing.TB, s *store.Alarms, r alarm.Rule) alarm.Rule {
	t.Helper()
	r, err := s.PutRule(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func look(t testing.TB, r *alarm.Runner) {
	t.Helper()
	if err := r.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func history(t testing.TB, s *store.Alarms) []alarm.Episode {
	t.Helper()
	l, err := s.Episodes(t.Context(), alarm.EpisodeQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// queued are the deliveries that were made, oldest first.
func queued(t testing.TB, s *store.Alarms) []notify.Delivery {
	t.Helper()
	l, err := s.Deliveries(t.Context(), notify.DeliveryQuery{Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(l, func(a, b notify.Delivery) int { return a.Created.Compare(b.Created) })
	return l
}

// The story of one alarm: it fires, gets worse, lasts beyond its silence, and is over.
func TestStory(t *testing.T) {
	t.Parallel()
	s, w := open(t), &world{now: noon.Add(time.Minute)}
	put(t, s, rule(alarm.AttackRate, func(r *alarm.Rule) {
		r.Name, r.App, r.Plan, r.Protocol, r.Webhooks = "攻击率过高", "100001", "p1", "baidu", []string{"hook"}
	}))
	run := runner(w, s, 0)
	w.happen(ekyc.CountAttempt, "match/", 100)
	look(t, run)
	if n := len(queued(t, s)); n != 0 {
		t.Fatalf("%d messages while all is well", n)
	}
	if q := w.asked[0]; q.App != "100001" || q.Plan != "p1" || q.Protocol != "baidu" || !q.Short || !q.By.Time || !q.Since.Equal(noon.Add(-10*time.Minute)) {
		t.Errorf("counts were asked for with %+v", q)
	}
	w.happen(ekyc.CountAttempt, "non_match/liveness_failed", 20)
	w.happen(ekyc.CountAttack, "liveness_failed", 20)
	w.move(20 * time.Second)
	look(t, run)
	first := queued(t, s)
	if len(first) != 2 || w.woken != 1 {
		t.Fatalf("%d messages, woken %d times; want one to each receiver, and 1", len(first), w.woken)
	}
	for _, d := range first {
		switch d.Channel {
		case notify.Mail:
			for _, want := range []string{"攻击率过高", "16.7%", "≥ 10.0%"} {
				if !strings.Contains(d.Subject, want) {
					t.Errorf("the subject %q lacks %q", d.Subject, want)
				}
			}
			for _, want := range []string{"16.7% (20 / 120)", "100001 示例银行", "p1", "baidu", "2026-05-04 12:01:20 +08:00", "https://kyc.example.com/console/alarms"} {
				if !strings.Contains(d.Text, want) {
					t.Errorf("the text lacks %q:\n%s", want, d.Text)
				}
			}
		case notify.Webhook:
			var m webhook.Message
			if err := json.Unmarshal(d.Body, &m); err != nil {
				t.Fatal(err)
			}
			if m.ID != d.ID || m.Event != webhook.EventFiring || m.Value == nil || *m.Value < 0.16 || m.Events != 120 || m.Rule.AppName != "示例银行" || m.Rule.Window != 600 || !m.Rule.Over || m.Firing == "" {
				t.Errorf("the webhook says %s", d.Body)
			}
		}
	}
	w.happen(ekyc.CountAttack, "liveness_failed", 20) // worse, within the silence
	w.happen(ekyc.CountAttempt, "non_match/liveness_failed", 20)
	w.move(20 * time.Second)
	look(t, run)
	if n := len(queued(t, s)); n != 2 {
		t.Errorf("%d messages within the silence, want no more", n)
	}
	if h := history(t, s); len(h) != 1 || h[0].Worst < 0.28 || h[0].First.Events != 120 || !h[0].Ended.IsZero() || h[0].Told != 1 {
		t.Errorf("history %+v; want the one, with the worst value", h)
	}
	// A restart in between changes nothing: all that is known is in the store.
	run = runner(w, s, 1)
	for range 7 { // it lasts for an hour and more
		w.move(10 * time.Minute)
		w.happen(ekyc.CountAttempt, "match/", 50)
		w.happen(ekyc.CountAttack, "liveness_failed", 10)
		look(t, run)
	}
	if l := queued(t, s); len(l) != 4 || l[3].Event != webhook.EventRepeated {
		t.Fatalf("%d messages after the silence, the last %q; want a reminder to each", len(l), l[len(l)-1].Event)
	}
	w.move(20 * time.Minute)
	w.happen(ekyc.CountAttempt, "match/", 50)
	look(t, run)
	l := queued(t, s)
	if len(l) != 6 || l[5].Event != webhook.EventRecovered {
		t.Fatalf("%d messages at the end, the last %q; want that it is over", len(l), l[len(l)-1].Event)
	}
	if h := history(t, s); len(h) != 1 || h[0].Ended.IsZero() || h[0].Why != alarm.ByValue || h[0].Told != 2 || h[0].Last.Value != 0 {
		t.Errorf("history %+v; want the one, over", h)
	}
	// Nobody is told of a new one within the silence of the reminder, unless it lasts.
	w.happen(ekyc.CountAttack, "liveness_failed", 40)
	look(t, run)
	if h := history(t, s); len(h) != 2 || h[0].Told != 0 || len(queued(t, s)) != 6 {
		t.Errorf("%d episodes, %d messages; want a second one in silence", len(h), len(queued(t, s)))
	}
	w.move(20 * time.Minute) // nothing happens any more
	look(t, run)
	if h := history(t, s); h[0].Why != alarm.ByTooFew || len(queued(t, s)) != 6 {
		t.Errorf("it ended by %q with %d messages; want too_few, and nobody told of what they were not told before", h[0].Why, len(queued(t, s)))
	}
}

// A mail leaves within a minute of its cause, whenever in the runner's and courier's rounds that
// comes: the whole of both, by a clock that only they move.
func TestWithinAMinute(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, time.Millisecond, 7 * time.Second, 19999 * time.Millisecond, 20 * time.Second, 47 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s, w := open(t), &world{}
			put(t, s, rule(alarm.VolumeHigh))
			var mu sync.Mutex
			var left []time.Time
			courier := &notify.Courier{Queue: s, Now: time.Now, Log: slog.New(slog.DiscardHandler), Mail: sender(func(notify.Delivery) notify.Try {
				mu.Lock()
				defer mu.Unlock()
				left = append(left, time.Now())
				return notify.Try{Status: 250}
			})}
			run := runner(w, s, 0)
			run.Now, run.Courier = time.Now, courier
			ctx, stop := context.WithCancel(t.Context())
			var group sync.WaitGroup
			group.Go(func() { run.Run(ctx) })
			group.Go(func() { courier.Run(ctx) })
			time.Sleep(3*time.Minute + after)
			cause := time.Now()
			w.mu.Lock()
			w.counts = append(w.counts, ekyc.Count{At: cause.Truncate(ekyc.ShortSpan), Measure: ekyc.CountAttempt, Label: "match/", N: 100})
			w.mu.Unlock()
			time.Sleep(2 * time.Minute)
			stop()
			group.Wait()
			if len(left) != 1 || left[0].Sub(cause) > time.Minute {
				t.Errorf("mails left at %v, the cause was at %v; want one within a minute", left, cause)
			}
		})
	}
}

type sender func(d notify.Delivery) notify.Try

func (f sender) Send(_ context.Context, d notify.Delivery) notify.Try { return f(d) }

// Two nodes that look at the same time tell once, at the beginning and at the end.
func TestTwoRunnersTellOnce(t *testing.T) {
	t.Parallel()
	s, w := open(t), &world{now: noon}
	const rules = 10
	for i := range rules {
		put(t, s, rule(alarm.VolumeHigh, func(r *alarm.Rule) { r.ID = string(rune('a' + i)) }))
	}
	seed := byte(0)
	both := func() {
		var group sync.WaitGroup
		for range 4 {
			seed++ // nobody draws the ids that somebody else drew
			r := runner(w, s, seed)
			group.Go(func() {
				if err := r.Look(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	w.happen(ekyc.CountAttempt, "match/", 1000)
	both()
	if n, h := len(queued(t, s)), history(t, s); n != rules || len(h) != rules {
		t.Errorf("four nodes sent %d messages of %d episodes, want %d of each", n, len(h), rules)
	}
	w.move(30 * time.Minute)
	both()
	if n, h := len(queued(t, s)), history(t, s); n != 2*rules || len(h) != rules {
		t.Errorf("at the end there are %d messages of %d episodes, want %d of %d", n, len(h), 2*rules, rules)
	}
}

// What is measured of a machine belongs to it: one node's full disk is not over because another has room.
func TestProbesAreOfANode(t *testing.T) {
	t.Parallel()
	s, w := open(t), &world{now: noon}
	put(t, s, rule(alarm.DiskFree))
	put(t, s, rule(alarm.CertDays, func(r *alarm.Rule) { r.ID = "c" }))
	probe := func(v float64, ok bool, err error) map[alarm.Measure]alarm.Probe {
		return map[alarm.Measure]alarm.Probe{alarm.DiskFree: func(context.Context) (float64, bool, error) { return v, ok, err }}
	}
	a, b := runner(w, s, 0), runner(w, s, 1)
	a.Probes, b.Probes = probe(0.02, true, nil), probe(0.9, true, nil)
	for range 3 {
		look(t, a)
		look(t, b)
		w.move(20 * time.Second)
	}
	l := queued(t, s)
	if len(l) != 1 || !strings.Contains(l[0].Text, "node-a") || !strings.Contains(l[0].Text, "2.0%") {
		t.Fatalf("%d messages; want one of node-a:\n%+v", len(l), l)
	}
	a.Probes = probe(0, false, nil) // it cannot say any more: nothing is known, nothing changes
	look(t, a)
	failure := errors.New("no such disk")
	a.Probes = probe(0, false, failure)
	if err := a.Look(t.Context()); !errors.Is(err, failure) {
		t.Errorf("Look = %v, want what the probe said", err)
	}
	if h := history(t, s); len(h) != 1 || !h[0].Ended.IsZero() || h[0].Node != "node-a" {
		t.Errorf("history %+v; want the one of node-a, lasting", h)
	}
}

// A rule that was changed, switched off or removed starts anew: what it fired of is over.
func TestChangedRule(t *testing.T) {
	t.Parallel()
	s, w := open(t), &world{now: noon}
	run := runner(w, s, 0)
	r := put(t, s, rule(alarm.VolumeHigh))
	w.happen(ekyc.CountAttempt, "match/", 500)
	look(t, run)
	r.Threshold, r.RecoverAt, r.Changed = 400, 300, w.now
	r = put(t, s, r)
	if h := history(t, s); len(h) != 1 || h[0].Why != alarm.ByChange || !h[0].Ended.Equal(w.now) || h[0].Rule.Threshold != 100 {
		t.Fatalf("history %+v; want the old rule's, ended by change", h)
	}
	look(t, run)
	if h := history(t, s); len(h) != 2 {
		t.Fatalf("%d episodes; want one of the new rule", len(h))
	}
	r.Enabled = false
	r = put(t, s, r)
	look(t, run)
	if states, err := s.States(t.Context()); err != nil || len(states) != 0 {
		t.Errorf("states %+v, %v of a rule that is switched off", states, err)
	}
	r.Enabled = true
	r = put(t, s, r)
	look(t, run)
	if err := s.RemoveRule(t.Context(), r.ID, w.now); err != nil {
		t.Fatal(err)
	}
	look(t, run)
	h := history(t, s)
	if len(h) != 3 || slices.ContainsFunc(h, func(e alarm.Episode) bool { return e.Ended.IsZero() }) ||
		!slices.ContainsFunc(h, func(e alarm.Episode) bool { return e.Why == alarm.ByRemoval }) {
		t.Errorf("history %+v; want three, all over", h)
	}
}

// One rule that cannot be measured does not keep the others.
func TestOneFailureKeepsNobody(t *testing.T) {
	t.Parallel()
	s, w := open(t), &world{now: noon, fails: errors.New("the database is away")}
	put(t, s, rule(alarm.AttackRate, func(r *alarm.Rule) { r.ID = "a" }))
	put(t, s, rule(alarm.DiskFree, func(r *alarm.Rule) { r.ID = "b" }))
	run := runner(w, s, 0)
	run.Probes = map[alarm.Measure]alarm.Probe{alarm.DiskFree: func(context.Context) (float64, bool, error) { return 0.01, true, nil }}
	if err := run.Look(t.Context()); !errors.Is(err, w.fails) {
		t.Errorf("Look = %v", err)
	}
	if l := queued(t, s); len(l) != 1 || l[0].About != "b" {
		t.Errorf("%d messages, want that of b", len(l))
	}
}

// The test button sends to each receiver, says what became of each, and changes no state.
func TestTestButton(t *testing.T) {
	t.Parallel()
	s, w := open(t), &world{now: noon}
	w.says = func(d notify.Delivery) notify.Try {
		if d.To == "down@example.com" {
			return notify.Try{Err: "the mail server cannot be reached"}
		}
		return notify.Try{Status: 250}
	}
	r := put(t, s, rule(alarm.AttackRate, func(r *alarm.Rule) {
		r.Enabled, r.Mails, r.Webhooks = false, []string{"up@example.com", "down@example.com"}, []string{"hook"}
	}))
	x, results, err := runner(w, s, 0).Test(t.Context(), r)
	if err != nil || x.Known || x.Why != alarm.TooFew || len(results) != 3 {
		t.Fatalf("Test = %+v, %d results, %v", x, len(results), err)
	}
	for _, got := range results {
		want := notify.Delivered
		if got.Delivery.To == "down@example.com" {
			want = notify.GivenUp
		}
		d, tries, err := s.Delivery(t.Context(), got.Delivery.ID)
		if err != nil || d.State != want || len(tries) != 1 || d.Event != webhook.EventTest {
			t.Errorf("%s: %s with %d tries, %v; want %s, kept", d.To, d.State, len(tries), err, want)
		}
		if d.Channel == notify.Mail && (!strings.Contains(d.Subject, "测试消息 Test") || !strings.Contains(d.Text, "Nothing happened")) {
			t.Errorf("a test that is not marked: %q\n%s", d.Subject, d.Text)
		}
	}
	if states, err := s.States(t.Context()); err != nil || len(states) != 0 || len(history(t, s)) != 0 {
		t.Error("a test left a state or an episode behind")
	}
}
