package ekyc

import (
	"context"
	"time"
)

// Measure names what is counted.
type Measure string

// The measures, and what their labels are. Sums are in the unit named; those without one have none.
const (
	CountOpened     Measure = "opened"     // sessions; label: plan's LivenessKind
	CountFunnel     Measure = "funnel"     // sessions that reached a step for the first time; label: a Step
	CountAttempt    Measure = "attempt"    // attempts that ended; label: Outcome "/" Code; sum: ms from begin to end
	CountAttack     Measure = "attack"     // attempts that liveness, challenge or risk refused; label: Code
	CountLiveness   Measure = "liveness"   // silent PAD scores; label: tenth, "0" to "9"
	CountComparison Measure = "comparison" // comparison scores; label: twentieth, "00" to "19"
	CountLatency    Measure = "latency"    // attempts and direct calls; label: upper bound in ms of LatencyBounds, or "more"
	CountDirect     Measure = "direct"     // direct calls; label: ChargeKind "/" Code; sum: ms
	CountSource     Measure = "source"     // sources asked; label: name "/" Outcome "/" Code; sum: ms
	CountCost       Measure = "cost"       // sources paid; label: name; sum: millionths of the operator's currency
	CountCharge     Measure = "charge"     // label: ChargeKind
)

// Step is how far a capture subject came.
type Step string

const (
	StepOpened    Step = "opened"    // the page was loaded
	StepAgreed    Step = "agreed"    // to the authorisation text
	StepCamera    Step = "camera"    // the first challenge was drawn: a camera streams, or a recording begins
	StepChallenge Step = "challenge" // a presentation was complete
	StepPassed    Step = "passed"
)

// LatencyBounds are the upper ends of CountLatency's labels. Our choice.
var LatencyBounds = []time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Count is how often something happened. Counts hold no personal data and outlive sessions.
type Count struct {
	At       time.Time // of one event its moment, of a sum the beginning of its span
	App      AppID
	Plan     PlanID
	Protocol string
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
	Since, Before time.Time
	Short         bool // from the spans of ShortSpan; else of LongSpan
	App           AppID
	Plan          PlanID
	Protocol      string
	Measures      []Measure
	// By says what is kept apart: sums over the rest are returned, with those fields empty.
	By GroupBy
}

// GroupBy says which fields of counts are kept apart; Measure and Label always are.
type GroupBy struct{ Time, App, Plan, Protocol bool }

// Counts is where counts are kept. They are added in the transaction that writes what they count.
type Counts interface {
	// Counts returns sums, ordered by time, measure, label, app, plan and protocol.
	Counts(ctx context.Context, q CountQuery) ([]Count, error)
}
