package ekyc

import (
	"context"
	"sync/atomic"
	"time"
)

// Observer is told what came of verifications as it is stored, for figures. It is handed
// nothing of the person and no token, must not wait for anything, and is safe for concurrent
// use.
type Observer interface {
	// Ended is told once of each attempt that this process ended. One whose server died is
	// not among them: nobody ends it, it is only read as Interrupted.
	Ended(e Ended)
	// Answered is told of each direct call, answered or not.
	Answered(d Direct)
	// Counted is told of what was counted of a session as it was stored: see
	// Session.CountsSince. Of the sandbox nothing is counted.
	Counted(list []Count)
	// Charged is told of each charge of both, and of each reading of a document.
	Charged(kind ChargeKind, sandbox bool)
}

// Ended is what an Observer is told of an attempt.
type Ended struct {
	Kind     ChargeKind   // what the plan's attempts are charged as
	Liveness LivenessKind // "" where nothing was presented
	Outcome  Outcome
	Code     Code
	Took     time.Duration // from its beginning, after the capture, until it was decided
	Asked    []Asked
	Sandbox  bool
}

// ended tells the observer of an attempt that was stored.
func (s *Service) ended(ses *Session, a Attempt) {
	if s.Observer == nil {
		return
	}
	s.Observer.Ended(Ended{
		Kind: ses.Plan.ChargeOf(), Liveness: a.Kind, Outcome: a.Outcome, Code: a.Code,
		Took: a.Finished.Sub(a.Begun), Asked: a.Asked, Sandbox: ses.Sandbox,
	})
	s.charged(a.Charges)
}

// counted tells the observer of events of a session that was stored.
func (s *Service) counted(list []Count) {
	if s.Observer != nil && len(list) > 0 {
		s.Observer.Counted(list)
	}
}

// charged tells the observer of charges that were stored.
func (s *Service) charged(list []Charge) {
	if s.Observer == nil {
		return
	}
	for _, c := range list {
		s.Observer.Charged(c.Kind, c.Sandbox)
	}
}

// billKey is the context key of a bill.
type billKey struct{}

// bill adds up what sources cost. What is added to one is added to those around it too.
type bill struct {
	sum    atomic.Int64
	around *bill
}

// billed opens a bill for what sources are asked with the context.
func billed(ctx context.Context) context.Context {
	around, _ := ctx.Value(billKey{}).(*bill)
	return context.WithValue(ctx, billKey{}, &bill{around: around})
}

// Spend is how a source says what a call cost that was made with ctx, in millionths of the
// operator's currency, as its journal has it. What costs nothing need not say so.
func Spend(ctx context.Context, cost int64) {
	b, _ := ctx.Value(billKey{}).(*bill)
	for ; b != nil; b = b.around {
		b.sum.Add(cost)
	}
}

// spent is what was spent with a context of billed, 0 with any other.
func spent(ctx context.Context) int64 {
	b, _ := ctx.Value(billKey{}).(*bill)
	if b == nil {
		return 0
	}
	return b.sum.Load()
}
