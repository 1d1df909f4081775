package alarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"shiren/api/webhook"
	"shiren/internal/ekyc"
	"shiren/internal/notify"
)

// ErrConflict is what a Store says of a rule or endpoint that somebody else changed meanwhile.
var ErrConflict = errors.New("it was changed meanwhile")

// Step is what one look changes.
type Step struct {
	Rule     string
	Revision int64   // of the rule that was looked at
	Was      int64   // version of the state that was looked at
	State    State   // to be stored with Version Was+1
	Episode  Episode // to be stored
	Queue    []notify.Delivery
}

// EpisodeQuery selects lines of the history.
type EpisodeQuery struct {
	Rule  string // "" is all
	After *Episode
	Limit int // 0 means 50; at most 200
}

// Store keeps rules, states and the history. Writes are durable when they return. Safe for
// concurrent use, also by several processes. What is not there is ekyc.ErrAbsent.
type Store interface {
	// Rules lists all rules by ID.
	Rules(ctx context.Context) ([]Rule, error)
	// States lists the states of all rules.
	States(ctx context.Context) ([]State, error)
	// Step writes a look's changes in one transaction. It reports false, and writes nothing, if
	// the rule or the state are not those that were looked at any more.
	Step(ctx context.Context, s Step) (bool, error)
	// Episode reads a line of the history.
	Episode(ctx context.Context, id string) (Episode, error)
	// PutTried adds a delivery that was tried already, with its try.
	PutTried(ctx context.Context, d notify.Delivery, t notify.Try) error
	// ForgetAlarms erases episodes that ended, and deliveries that were made, before a moment each.
	ForgetAlarms(ctx context.Context, episodes, deliveries time.Time) error
}

// Counts is where counts are read.
type Counts interface {
	Counts(ctx context.Context, q ekyc.CountQuery) ([]ekyc.Count, error)
}

// Names says what apps and plans are called.
type Names interface {
	App(ctx context.Context, id ekyc.AppID) (ekyc.App, error)
	Plan(ctx context.Context, id ekyc.PlanID) (ekyc.Plan, error)
}

// Probe measures something of this machine now; ok is false where there is nothing to measure.
type Probe func(ctx context.Context) (v float64, ok bool, err error)

// Courier sends.
type Courier interface {
	Wake()
	Try(ctx context.Context, d notify.Delivery) notify.Try
}

// Runner looks at rules. All fields but Probes and Console are required. Safe for concurrent use.
type Runner struct {
	Store   Store
	Counts  Counts
	Names   Names
	Courier Courier
	Probes  map[Measure]Probe // of the measures that are not counted
	Node    string            // this machine's name, for what is measured of it
	Zone    *time.Location    // of times in mails
	Console string            // address of the console's page, for mails; "" where it is not known
	Now     func() time.Time
	Rand    io.Reader // safe for concurrent use
	Log     *slog.Logger

	forgot time.Time // of Run alone
}

// Every is how often rules are looked at. Counts are written with what they count, and the Courier
// is woken, so that a message leaves within a minute of its cause with room to spare. Our choice.
const Every = 20 * time.Second

// How long the history and deliveries are kept, and how often what is older is erased. Our choice.
const (
	EpisodesKept   = 400 * 24 * time.Hour
	DeliveriesKept = 90 * 24 * time.Hour
	forgetEvery    = time.Hour
)

// Run looks at all rules every Every until ctx ends.
func (r *Runner) Run(ctx context.Context) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		if err := r.Look(ctx); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "alarms could not all be looked at; it is tried again", "err", err)
		}
		if now := r.Now(); now.Sub(r.forgot) >= forgetEvery {
			r.forgot = now
			if err := r.Store.ForgetAlarms(ctx, now.Add(-EpisodesKept), now.Add(-DeliveriesKept)); err != nil && ctx.Err() == nil {
				r.Log.ErrorContext(ctx, "old alarms could not be erased; it is tried again", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Look looks at all rules once. A rule that cannot be measured does not keep the others.
func (r *Runner) Look(ctx context.Context) error {
	rules, err := r.Store.Rules(ctx)
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	list, err := r.Store.States(ctx)
	if err != nil {
		return fmt.Errorf("read states: %w", err)
	}
	type key struct{ rule, node string }
	states := map[key]State{}
	for _, s := range list {
		states[key{s.Rule, s.Node}] = s
	}
	var errs []error
	queued := false
	for _, rule := range rules {
		if !rule.Enabled {
			continue
		}
		node := r.nodeOf(rule)
		state, ok := states[key{rule.ID, node}]
		if !ok {
			state = State{Rule: rule.ID, Node: node, Phase: Fine}
		}
		sent, err := r.look(ctx, rule, state)
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", rule.ID, err))
		}
		queued = queued || sent
	}
	if queued {
		r.Courier.Wake()
	}
	return errors.Join(errs...)
}

// nodeOf is the node that a rule's state belongs to.
func (r *Runner) nodeOf(rule Rule) string {
	if k, _ := KindOf(rule.Measure); k.Counted {
		return ""
	}
	return r.Node
}

func (r *Runner) look(ctx context.Context, rule Rule, was State) (queued bool, err error) {
	x, err := r.Measure(ctx, rule)
	if err != nil {
		return false, err
	}
	id, err := notify.NewID(r.Rand)
	if err != nil {
		return false, err
	}
	state, change := was.Next(rule, x, id)
	if change.Event == Nothing {
		return false, nil
	}
	var e Episode
	if change.Event == Began {
		e = Episode{ID: id, Rule: rule, Node: was.Node, Began: x.At, First: x, Worst: x.Value}
	} else if e, err = r.Store.Episode(ctx, was.Episode); err != nil {
		return false, fmt.Errorf("read its history: %w", err)
	}
	e = e.after(x, state, change)
	step := Step{Rule: rule.ID, Revision: rule.Revision, Was: was.Version, State: state, Episode: e}
	if change.Tell {
		n := r.note(ctx, rule, x)
		n.episode, n.since, n.because = e.ID, e.Began, change.Because
		switch {
		case change.Event == Recovered:
			n.event = webhook.EventRecovered
		case change.First:
			n.event = webhook.EventFiring
		default:
			n.event = webhook.EventRepeated
		}
		if step.Queue, err = n.deliveries(r.Rand, x.At); err != nil {
			return false, err
		}
	}
	wrote, err := r.Store.Step(ctx, step)
	if err != nil {
		return false, err
	}
	if wrote && change.Event != Worsened {
		r.Log.InfoContext(ctx, "an alarm changed", "rule", rule.ID, "measure", rule.Measure, "event", change.Event, "value", x.Value, "events", x.Events, "told", change.Tell)
	}
	return wrote && len(step.Queue) > 0, nil
}

// note gathers what a message about a rule says.
func (r *Runner) note(ctx context.Context, rule Rule, x Reading) note {
	k, _ := KindOf(rule.Measure)
	n := note{rule: rule, kind: k, reading: x, node: r.nodeOf(rule), zone: r.Zone, console: r.Console}
	// A name is for convenience: without it the id says all.
	if rule.App != "" {
		if a, err := r.Names.App(ctx, rule.App); err == nil {
			n.names.app = a.Name
		}
	}
	if rule.Plan != "" {
		if p, err := r.Names.Plan(ctx, rule.Plan); err == nil {
			n.names.plan = p.Name
		}
	}
	return n
}

// Measure computes what a rule comes to now. It changes nothing, and the rule need not be stored.
func (r *Runner) Measure(ctx context.Context, rule Rule) (Reading, error) {
	now := r.Now().UTC()
	k, ok := KindOf(rule.Measure)
	if !ok {
		return Reading{}, fmt.Errorf("this release knows no measure %q", rule.Measure)
	}
	if k.Counted {
		counts, err := r.Counts.Counts(ctx, rule.query(now))
		if err != nil {
			return Reading{}, fmt.Errorf("read counts: %w", err)
		}
		return rule.Read(now, counts), nil
	}
	x := Reading{At: now, Why: NoProbe, Detail: r.Node}
	probe := r.Probes[rule.Measure]
	if probe == nil {
		return x, nil
	}
	v, ok, err := probe(ctx)
	if err != nil {
		return x, fmt.Errorf("measure %s: %w", rule.Measure, err)
	}
	if ok {
		x.Known, x.Value, x.Why = true, v, ""
	}
	return x, nil
}

// Tested is what became of a test message to one receiver.
type Tested struct {
	Delivery notify.Delivery
	Try      notify.Try
}

// testing bounds how many test messages travel at once. Our choice.
const testing = 6

// Test measures a rule and sends a message, marked as a test, to each of its receivers once,
// whatever the value. It waits for what becomes of them, and writes them among the deliveries. The
// rule's state stays as it is.
func (r *Runner) Test(ctx context.Context, rule Rule) (Reading, []Tested, error) {
	x, err := r.Measure(ctx, rule)
	if err != nil {
		return x, nil, err
	}
	n := r.note(ctx, rule, x)
	n.event = webhook.EventTest
	list, err := n.deliveries(r.Rand, x.At)
	if err != nil {
		return x, nil, err
	}
	out := make([]Tested, len(list))
	errs := make([]error, len(list))
	var group sync.WaitGroup
	slots := make(chan struct{}, testing)
	for i, d := range list {
		d.Until = x.At // tried once
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			t := r.Courier.Try(ctx, d)
			out[i] = Tested{d.After(t), t}
			errs[i] = r.Store.PutTried(context.WithoutCancel(ctx), out[i].Delivery, t)
		})
	}
	group.Wait()
	return x, out, errors.Join(errs...)
}
