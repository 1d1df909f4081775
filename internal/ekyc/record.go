package ekyc

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// Record is one line of what an operator searches: a session or a direct call. It holds no
// personal data, and is written in the transaction that writes what it tells of.
type Record struct {
	ID       string // of a session Token.Digest(), of a direct call "direct-" and its ID
	Direct   bool
	Protocol string // that it came in by: see Via; "" where that is not known
	App      AppID
	Plan     PlanID // "" of a direct call
	Kind     string // of a session the LivenessKind that was presented last, the plan's before; of a direct call the ChargeKind
	At       time.Time
	Outcome  Outcome // of the attempt that decides: the match, else the last one that ended; NotRun before
	Code     Code    // of the same
	Attempts int     // that were begun; 1 of a direct call
	Compared bool
	Score    Score         // of the comparison, where Compared
	Took     time.Duration // of the same attempt, without the capture; of a direct call the whole
	Sandbox  bool
	Until    time.Time // all of it is erased then; zero of a direct call, which is kept as charges are
}

// RecordField names what single records are found by.
type RecordField string

// Values of all but FieldLogID are kept as keyed digests only.
const (
	FieldToken  RecordField = "token"
	FieldLogID  RecordField = "log_id" // of an attempt, a charge, a call, a receipt's or order's id
	FieldName   RecordField = "name"
	FieldNumber RecordField = "number"
	FieldMobile RecordField = "mobile"
)

// RecordKey is a value that a record is found by. It masks itself when printed.
type RecordKey struct {
	Field RecordField
	Value string
}

func (k RecordKey) String() string       { return string(k.Field) + " ********" }
func (k RecordKey) GoString() string     { return k.String() }
func (k RecordKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// RecordQuery selects records. Zero fields select everything.
type RecordQuery struct {
	Since, Before time.Time // [Since, Before) of Record.At
	App           AppID
	Plan          PlanID
	Protocol      string
	Kind          string
	Outcome       Outcome
	Undecided     bool // only those without an outcome
	Code          Code
	Sandbox       *bool
	Keys          []RecordKey // all of them must fit
	// After is the last record of the page before: only At and ID are looked at.
	After *Record
	Limit int // 0 means 50; at most 1000
}

// Records is what an operator searches. Safe for concurrent use.
type Records interface {
	// Search lists records, newest first, by At and then ID.
	Search(ctx context.Context, q RecordQuery) ([]Record, error)
	// SessionByID reads the session of a Record.ID; absent is ErrAbsent.
	SessionByID(ctx context.Context, id string) (Session, error)
	// DirectByID reads the direct call of a Record.ID; absent is ErrAbsent.
	DirectByID(ctx context.Context, id string) (Direct, error)
}

type viaKey struct{}

// Via notes the name of the protocol that a request came in by, for records and counts.
// Each gateway says its own.
func Via(ctx context.Context, protocol string) context.Context {
	return context.WithValue(ctx, viaKey{}, protocol)
}

func viaOf(ctx context.Context) string {
	p, _ := ctx.Value(viaKey{}).(string)
	return p
}

// Caller is the address that From noted; the zero address where nothing was.
func Caller(ctx context.Context) netip.Addr { return addressOf(ctx) }
