package ekyc

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"shiren/internal/cnid"
)

// Record is one line of what an operator searches: a session or a direct call. It holds no
// personal data, and is written in the transaction that writes what it tells of.
type Record struct {
	ID       string // of a session Token.Digest(), of a direct call DirectPrefix and its ID
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

// DirectPrefix is what the Record.ID of a direct call begins with.
const DirectPrefix = "direct-"

// Record is the session's line among the records. It is a function of what is stored, not of
// the clock: an attempt whose server died has not ended until a later one begins.
func (s *Session) Record() Record {
	r := Record{
		ID: s.Token.Digest(), Protocol: cmp.Or(s.Protocol, s.Opener), App: s.App, Plan: s.Plan.ID, Kind: string(s.Plan.Liveness),
		At: s.Opened, Attempts: len(s.Attempts), Sandbox: s.Sandbox, Until: s.Until(),
	}
	for _, a := range s.Attempts {
		if a.Kind != "" {
			r.Kind = string(a.Kind)
		}
		if a.Finished.IsZero() || r.Outcome == Match {
			continue
		}
		r.Outcome, r.Code, r.Compared, r.Score, r.Took = a.Outcome, a.Code, a.Compared, a.Score, a.Finished.Sub(a.Begun)
	}
	return r
}

// RecordKeys is what the session is found by beside its ID, each once: log ids, a
// disclosure's id, and every name and number that was claimed, read or confirmed.
func (s *Session) RecordKeys(sealer Sealer) []RecordKey {
	var list []RecordKey
	id := func(v string) {
		if v != "" {
			list = append(list, RecordKey{FieldLogID, v})
		}
	}
	document := func(d *Document) {
		if d != nil {
			list = personKeys(list, d.Read(CardName).Value, d.Read(CardNumber).Value)
			list = personKeys(list, d.Confirmed[CardName], d.Confirmed[CardNumber])
		}
	}
	claim := func(c *Claim) {
		if c != nil {
			list = personKeys(list, string(c.Name), string(c.Number))
		}
	}
	claim(s.Claim)
	document(s.Document)
	for _, a := range s.Attempts {
		id(a.LogID)
		claim(a.Claim)
		if a.Document != s.Document {
			document(a.Document)
		}
	}
	for _, c := range s.Calls {
		id(c.LogID)
	}
	for _, c := range s.Charges() {
		id(c.LogID)
	}
	if s.Purpose == PurposeDisclose && s.passed() {
		id(disclosureID(sealer, s.Token))
	}
	slices.SortFunc(list, func(a, b RecordKey) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(list)
}

// personKeys adds the keys of a name and a number, as far as they are ones: what was misread
// from a document cannot be asked for.
func personKeys(list []RecordKey, name, number string) []RecordKey {
	if n, err := cnid.ParseName(name); err == nil {
		list = append(list, RecordKey{FieldName, string(n)})
	}
	if n, err := cnid.ParseNumber(number); err == nil {
		list = append(list, RecordKey{FieldNumber, string(n)})
	}
	return list
}

// Record is the direct call's line among the records.
func (d Direct) Record() Record {
	r := Record{
		ID: DirectPrefix + d.ID, Direct: true, Protocol: d.Protocol, App: d.App, Kind: string(d.Kind), At: d.At,
		Outcome: d.Outcome, Code: cmp.Or(d.Code, d.Why), Attempts: 1, Compared: d.Compared, Score: d.Score, Took: d.Took, Sandbox: d.Sandbox,
	}
	switch {
	case d.Code != OK:
		r.Outcome = Failed
	case r.Outcome != NotRun:
	case d.Kind == ChargeElements:
		r.Outcome = d.Elements.verdict()
	case d.Compared:
		r.Outcome, r.Code = answer{identity: Match, compared: true, comparison: Comparison{Score: d.Score}}.outcome(ElementsMatchAt)
	case len(d.Asked) > 0:
		last := d.Asked[len(d.Asked)-1]
		r.Outcome, r.Code = last.Outcome, last.Code
	case d.Kind == ChargeOCR && d.Answered:
		r.Outcome = Match
	default: // nothing was found that could be read, or known
		r.Outcome = NoRecord
	}
	return r
}

// verdict is the outcomes of several elements in one word: the first that any of them has of
// non-match, failure and no record; a match where all that were checked match.
func (c Checked) verdict() Outcome {
	for _, o := range []Outcome{NonMatched, Failed, NoRecord, Match} {
		if slices.Contains([]Outcome{c.Identity, c.Portrait, c.Mobile}, o) {
			return o
		}
	}
	return Failed
}

// RecordField names what single records are found by.
type RecordField string

// The values of all fields are kept as keyed digests only.
const (
	FieldToken  RecordField = "token"
	FieldLogID  RecordField = "log_id" // of an attempt, a charge, a call; a receipt, a disclosure's or an order's id
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

// parse gives the value the form that it is kept in. Codes: BadName, BadIDNumber, BadMobile,
// BadRequest for a field that does not exist or a value that is empty.
func (k RecordKey) parse() (RecordKey, error) {
	v := strings.TrimSpace(k.Value)
	var err error
	bad := BadRequest
	switch k.Field {
	case FieldName:
		var n cnid.Name
		n, err = cnid.ParseName(v)
		v, bad = string(n), BadName
	case FieldNumber:
		var n cnid.Number
		n, err = cnid.ParseNumber(v)
		v, bad = string(n), BadIDNumber
	case FieldMobile:
		var n cnid.Mobile
		n, err = cnid.ParseMobile(v)
		v, bad = string(n), BadMobile
	case FieldToken, FieldLogID:
	default:
		return k, Errorf(BadRequest, "records are not found by %q", k.Field)
	}
	switch {
	case err != nil:
		return k, &Error{Code: bad, Detail: err.Error()}
	case v == "":
		return k, Errorf(BadRequest, "the %s to search for is empty", k.Field)
	}
	return RecordKey{k.Field, v}, nil
}

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
	Limit int // 0 means 50; at most MaxRecords
	// Now leaves out what is due, and of direct calls what their Keys are kept no longer for.
	// Service.SearchRecords sets it.
	Now time.Time
}

// MaxRecords is the most records that one search returns. Our choice.
const MaxRecords = 1000

// Records is what an operator searches. Safe for concurrent use.
type Records interface {
	// Search lists records, newest first by At, those of one millisecond in an order of their
	// own that does not change.
	Search(ctx context.Context, q RecordQuery) ([]Record, error)
	// SessionByID reads the session of a Record.ID; absent is ErrAbsent.
	SessionByID(ctx context.Context, id string) (Session, error)
	// DirectByID reads the direct call of a Record.ID; absent is ErrAbsent.
	DirectByID(ctx context.Context, id string) (Direct, error)
	// Complete reports whether everything that is kept can be found: after an upgrade the
	// records of older releases are made beside the running service.
	Complete(ctx context.Context) (bool, error)
	// ForgetKeys erases what direct calls are found by that were made before a moment, and
	// counts those calls. Their records stay.
	ForgetKeys(ctx context.Context, before time.Time) (int, error)
	// Unkey erases what one direct call is found by. It may be repeated.
	Unkey(ctx context.Context, id string) error
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
