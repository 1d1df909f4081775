package ekyc

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Measure names what is counted.
type Measure string

// The measures, and what their labels are. Sums are in the unit named; those without one have
// none. Labels hold no space.
const (
	CountOpened     Measure = "opened"     // sessions; label: plan's LivenessKind
	CountFunnel     Measure = "funnel"     // sessions with a camera that reached a step for the first time; label: a Step
	CountAttempt    Measure = "attempt"    // attempts that ended; label: Outcome "/" Code; sum: ms from begin to end
	CountPresented  Measure = "presented"  // those of them with a presentation; label: LivenessKind "/" Outcome
	CountAttack     Measure = "attack"     // attempts that liveness, challenge or risk refused; label: Code
	CountLiveness   Measure = "liveness"   // silent PAD scores; label: tenth, "0" to "9"
	CountComparison Measure = "comparison" // comparison scores, of direct calls too; label: twentieth, "00" to "19"
	CountLatency    Measure = "latency"    // attempts with a presentation, and direct calls; label: upper bound in ms of LatencyBounds, or "more"
	CountReading    Measure = "reading"    // readings of a document; label: Code
	CountDirect     Measure = "direct"     // direct calls; label: ChargeKind "/" Code; sum: ms
	CountElement    Measure = "element"    // of direct calls that ask about elements; label: identity, portrait or mobile "/" Outcome
	CountSource     Measure = "source"     // sources asked; label: name "/" Outcome "/" Code; sum: ms
	CountCost       Measure = "cost"       // sources paid; label: name, "" where a call paid several; sum: millionths of the operator's currency
	CountCharge     Measure = "charge"     // label: ChargeKind
)

// Step is how far a capture subject came. Sessions without a camera (PurposeConfirm,
// PurposeDisclose) take no steps.
type Step string

const (
	StepOpened    Step = "opened"    // the page was loaded
	StepAgreed    Step = "agreed"    // to the authorisation text
	StepCamera    Step = "camera"    // the first challenge was drawn: a camera streams, or a recording begins
	StepChallenge Step = "challenge" // a presentation was complete
	StepPassed    Step = "passed"
)

// Steps lists the steps in their order.
func Steps() []Step {
	return []Step{StepOpened, StepAgreed, StepCamera, StepChallenge, StepPassed}
}

// LatencyBounds are the upper ends of CountLatency's labels. Our choice.
var LatencyBounds = []time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// LatencyMore is CountLatency's label beyond the last of LatencyBounds.
const LatencyMore = "more"

// Count is how often something happened. Counts hold no personal data and outlive sessions.
type Count struct {
	At       time.Time // of one event its moment, of a sum the beginning of its span
	App      AppID
	Plan     PlanID // "" of direct calls
	Protocol string // see Via; "" where that is not known
	Measure  Measure
	Label    string
	N, Sum   int64
}

// Spans that counts are kept in. The short one serves alarms, and is kept for ShortKept.
const (
	ShortSpan = 5 * time.Minute
	LongSpan  = time.Hour
	ShortKept = 48 * time.Hour
)

// CountQuery selects counts. Zero fields select everything; of the sandbox nothing is counted.
type CountQuery struct {
	// Since and Before select the spans that begin in [Since, Before).
	Since, Before time.Time
	Short         bool // from the spans of ShortSpan; else of LongSpan
	App           AppID
	Plan          PlanID
	Protocol      string
	Measures      []Measure
	// By says what is kept apart: sums over the rest are returned, with those fields empty.
	By GroupBy
	// Into, with By.Time, says which moment the counts of a span are added to, by the span's
	// beginning; nil is the beginning itself. It is called once for each span that has counts.
	Into func(span time.Time) time.Time
}

// GroupBy says which fields of counts are kept apart; Measure and Label always are.
type GroupBy struct{ Time, App, Plan, Protocol bool }

// Counts is where counts are kept. They are added in the transaction that writes what they
// count. Safe for concurrent use.
type Counts interface {
	// Counts returns sums, ordered by time, measure, label, app, plan and protocol.
	Counts(ctx context.Context, q CountQuery) ([]Count, error)
	// ForgetCounts erases the short spans that begin before a moment and counts them. The long
	// ones stay.
	ForgetCounts(ctx context.Context, before time.Time) (int, error)
}

// Tally is how much of a session has been counted: what it had come to at one moment. The zero
// value is that of a session that does not exist yet. It shares nothing with the session.
type Tally struct {
	made  bool
	steps [5]bool // in the order of Steps
	ended int     // attempts; they end in order
	calls int
}

// Tally says what the session has come to.
func (s *Session) Tally() Tally {
	t := Tally{made: true, ended: len(s.Attempts), calls: len(s.Calls)}
	if n := len(s.Attempts); n > 0 && s.Attempts[n-1].Finished.IsZero() {
		t.ended--
	}
	for i, at := range s.steps() {
		t.steps[i] = !at.IsZero()
	}
	return t
}

// steps says when the session reached each step; zero where it has not.
func (s *Session) steps() (at [5]time.Time) {
	if s.Purpose != PurposeFace {
		return at
	}
	at[0] = s.Attended
	if s.Agreement != nil {
		at[1] = s.Agreement.At
	}
	if s.Challenge != nil {
		at[2] = s.Challenge.Drawn
	}
	for _, a := range s.Attempts {
		if a.Kind != "" && at[3].IsZero() {
			if at[3] = a.Begun; at[2].IsZero() { // its challenge is used up
				at[2] = a.Begun
			}
		}
		if a.Outcome == Match && at[4].IsZero() {
			at[4] = a.Finished
		}
	}
	return at
}

// CountsSince are the events that the session has had since before. An event is counted once
// however often an update's function runs, because before is of what was stored. Of the
// sandbox nothing is counted. Charges are not among them: see CountCharges.
func (s *Session) CountsSince(before Tally) []Count {
	if s.Sandbox {
		return nil
	}
	c := counter{app: s.App, plan: s.Plan.ID, protocol: s.Protocol}
	now := s.Tally()
	if !before.made {
		c.add(s.Opened, CountOpened, string(s.Plan.Liveness), 0)
	}
	if now.steps != before.steps {
		for i, at := range s.steps() {
			if now.steps[i] && !before.steps[i] {
				c.add(at, CountFunnel, string(Steps()[i]), 0)
			}
		}
	}
	for i := before.ended; i < now.ended; i++ {
		c.attempt(&s.Attempts[i])
	}
	for i := before.calls; i < now.calls; i++ {
		if x := s.Calls[i]; x.Interface == CallOCR {
			c.add(x.At, CountReading, string(x.Code), 0)
		}
	}
	return c.list
}

// Counts are the events of a direct call; of the sandbox none. Charges are not among them.
func (d Direct) Counts() []Count {
	if d.Sandbox {
		return nil
	}
	c := counter{app: d.App, protocol: d.Protocol}
	c.add(d.At, CountDirect, string(d.Kind)+"/"+string(d.Code), d.Took.Milliseconds())
	c.add(d.At, CountLatency, latencyLabel(d.Took), 0)
	if d.Compared {
		c.add(d.At, CountComparison, fmt.Sprintf("%02d", part(d.Score, 20)), 0)
	}
	if d.Kind == ChargeElements && d.Code == OK {
		for _, e := range []struct {
			name string
			o    Outcome
		}{{"identity", d.Elements.Identity}, {"portrait", d.Elements.Portrait}, {"mobile", d.Elements.Mobile}} {
			if e.o != NotRun {
				c.add(d.At, CountElement, e.name+"/"+string(e.o), 0)
			}
		}
	}
	c.asked(d.At, d.Asked)
	rest := d.Cost
	for _, a := range d.Asked {
		rest -= a.Cost
	}
	if rest > 0 {
		c.add(d.At, CountCost, "", rest)
	}
	return c.list
}

// CountCharges are the events of charges that were written to the ledger, and that came in
// by a protocol; of the sandbox none.
func CountCharges(protocol string, list []Charge) []Count {
	var counts []Count
	for _, x := range list {
		if !x.Sandbox {
			counts = append(counts, Count{At: x.At, App: x.App, Plan: x.Plan, Protocol: protocol, Measure: CountCharge, Label: string(x.Kind), N: 1})
		}
	}
	return counts
}

// counter makes counts of one session or call.
type counter struct {
	app      AppID
	plan     PlanID
	protocol string
	list     []Count
}

func (c *counter) add(at time.Time, m Measure, label string, sum int64) {
	c.list = append(c.list, Count{At: at, App: c.app, Plan: c.plan, Protocol: c.protocol, Measure: m, Label: label, N: 1, Sum: sum})
}

func (c *counter) attempt(a *Attempt) {
	at, took := a.Finished, a.Finished.Sub(a.Begun)
	c.add(at, CountAttempt, string(a.Outcome)+"/"+string(a.Code), took.Milliseconds())
	if a.Kind != "" {
		c.add(at, CountPresented, string(a.Kind)+"/"+string(a.Outcome), 0)
		if a.Code != Interrupted { // nobody waited for its lease
			c.add(at, CountLatency, latencyLabel(took), 0)
		}
	}
	if x, ok := a.Check(CheckLiveness); ok {
		c.add(at, CountLiveness, fmt.Sprint(part(a.Live, 10)), 0)
		if x.Outcome == NonMatched {
			c.add(at, CountAttack, string(a.Code), 0)
		}
	}
	if a.Compared {
		c.add(at, CountComparison, fmt.Sprintf("%02d", part(a.Score, 20)), 0)
	}
	c.asked(at, a.Asked)
}

func (c *counter) asked(at time.Time, list []Asked) {
	for _, a := range list {
		c.add(at, CountSource, a.Source+"/"+string(a.Outcome)+"/"+string(a.Code), a.Took.Milliseconds())
		if a.Cost > 0 {
			c.add(at, CountCost, a.Source, a.Cost)
		}
	}
}

// part is which of n equal parts of 0 to 1 a score lies in; 1 belongs to the last.
func part(s Score, n int) int { return max(0, min(n-1, int(float64(s)*float64(n)))) }

func latencyLabel(d time.Duration) string {
	i, _ := slices.BinarySearch(LatencyBounds, d)
	if i == len(LatencyBounds) {
		return LatencyMore
	}
	return fmt.Sprint(LatencyBounds[i].Milliseconds())
}
