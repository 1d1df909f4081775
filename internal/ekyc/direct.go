package ekyc

import (
	"context"
	"errors"
	"time"
)

// Direct is the record of one direct call: who asked for what, when, and what came of it.
// Like a Charge it holds no personal data, and it is kept as long as charges are.
type Direct struct {
	ID       string // the call's log id
	Ref      string // what the relying party was told to call it; "" where that is the log id
	Protocol string // that it came in by: see Via; "" where that is not known
	App      AppID
	Kind     ChargeKind
	At       time.Time
	Took     time.Duration
	Code     Code // why there was no answer; OK where there was
	Sandbox  bool // of an app in test mode

	Answered bool    // what was asked was answered, and charged
	Elements Checked // of ChargeElements
	Compared bool    // a comparison score exists
	Score    Score   // of the comparison
	Asked    []Asked // of ChargeVerify: the sources, in order
	// Outcome is what an answered call came to: of ChargeElements all that was asked, of
	// ChargeOCR Match where something was read. Calls whose relying party judges the score
	// itself are judged as ElementsMatchAt would. Records of older releases have none.
	Outcome Outcome
	Why     Code  // why not Match
	Cost    int64 // of all that sources were asked, in millionths of the operator's currency

	// Keys are what the record can be found by while ResultKept lasts, beside ID and Ref. They
	// travel with it to the store, which keeps digests of them apart, and never come back.
	Keys []RecordKey
}

// Checked are the outcomes of the elements of a claim. Failed is what could not be checked.
type Checked struct {
	Identity Outcome // of name and number
	Portrait Outcome // NotRun unless Identity is Match
	Mobile   Outcome
}

// Charges are the call's entries in the ledger.
func (d Direct) Charges() []Charge {
	if !d.Answered {
		return nil
	}
	return []Charge{{ID: "direct-" + d.ID, App: d.App, Kind: d.Kind, At: d.At, LogID: d.ID, Sandbox: d.Sandbox}}
}

// DirectQuery selects records of direct calls. Zero fields select everything.
type DirectQuery struct {
	App    AppID
	Kind   ChargeKind
	ID     string // log id or Ref
	Since  time.Time
	Before time.Time // strictly, or at Before and with a lesser ID than BeforeID: the next page
	// BeforeID is the ID of the last record of the page before.
	BeforeID string
	Limit    int // 0 means 100
}

// record keeps the record of a direct call that ended with err, and returns err, or why
// the record could not be kept: an answer without its charge is none.
func (s *Service) record(ctx context.Context, d Direct, err error) error {
	d.Code, d.Took = CodeOf(err), s.Now().Sub(d.At)
	d.Cost = spent(ctx)
	if kept := s.Store.AddDirect(context.WithoutCancel(ctx), d); kept != nil {
		return Wrap(Internal, "store the call's record", errors.Join(kept, err))
	}
	if s.Observer != nil {
		d.Keys = nil // an observer is told nothing of the person
		s.Observer.Answered(d)
		s.charged(d.Charges())
	}
	return err
}
