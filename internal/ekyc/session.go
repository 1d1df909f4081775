package ekyc

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"time"
)

// Lifetimes that the vendor documents (Baidu H5 seed, FAQ 1 and the interface texts).
const (
	TokenWindow  = 2 * time.Hour       // a verify token may begin attempts: FAQ 1(2)
	ResultKept   = 3 * 24 * time.Hour  // results and evidence: FAQ 1(4)
	MediaKept    = 24 * time.Hour      // video and image links of the media call: "实时方案视频获取"
	AccessWindow = 30 * 24 * time.Hour // an access token: FAQ 1(1)
)

// AttemptLease is how long a begun attempt may stay without being finished before it
// is taken for interrupted. Our choice: a capture's analysis takes a second or two;
// a source may take its whole time-out of 20 s.
const AttemptLease = time.Minute

// MaxAttempts bounds the attempts of one session, against guessing. Our choice.
const MaxAttempts = 20

// MaxChallenges bounds the challenges drawn for one session: whoever waits for one that
// suits a film gets that many tries. Our choice: MaxAttempts, each broken off once.
const MaxChallenges = 2 * MaxAttempts

// Token is the bearer value that a session is known by outside: 24 characters.
// It masks itself when printed.
type Token string

// Digest is the name under which stores keep a session, so that a copy of the
// database holds no usable token.
func (t Token) Digest() string {
	h := sha256.Sum256([]byte("shiren session " + string(t)))
	return hex.EncodeToString(h[:])
}

func (t Token) String() string {
	if len(t) < 12 {
		return "****"
	}
	return string(t[:4]) + "****"
}

// GoString masks like String.
func (t Token) GoString() string { return t.String() }

// LogValue masks like String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// State is a reading of the clock; no job ever writes it.
type State string

const (
	Open     State = "open"     // attempts may begin
	Running  State = "running"  // an attempt is under way
	Passed   State = "passed"   // matched; results may be read
	Rejected State = "rejected" // answered no, and the plan ends there
	Expired  State = "expired"  // the token's window is over; results of attempts may be read
	Gone     State = "gone"     // nothing may be read any more
)

// Outcome is what a check or an attempt came to.
type Outcome string

const (
	NotRun     Outcome = ""
	Match      Outcome = "match"
	NonMatched Outcome = "non_match"
	NoRecord   Outcome = "no_record"
	Failed     Outcome = "failed" // could not be answered
)

// CheckKind names a check of an attempt.
type CheckKind string

const (
	CheckQuality    CheckKind = "quality"
	CheckLiveness   CheckKind = "liveness"
	CheckIdentity   CheckKind = "identity"
	CheckComparison CheckKind = "comparison"
	CheckDocument   CheckKind = "document" // the probe with the portrait printed on the document; decides nothing
)

// Check is one answered question of an attempt.
type Check struct {
	Kind             CheckKind
	Outcome          Outcome
	Score, Threshold Score
}

// ChargeKind is what is charged for.
type ChargeKind string

const (
	ChargeVerify ChargeKind = "verify" // comparison with an authority
	ChargeMatch  ChargeKind = "match"  // comparison with an uploaded image
	ChargeLive   ChargeKind = "live"   // liveness alone
	ChargeOCR    ChargeKind = "ocr"    // reading an identity card

	ChargeElements ChargeKind = "elements" // name, number, mobile number and portrait in one call
)

// Charge is one use of a charged interface. It holds no personal data and outlives
// its session.
type Charge struct {
	ID      string // unique; writing it twice charges once
	App     AppID
	Plan    PlanID
	Kind    ChargeKind
	At      time.Time
	LogID   string
	Attempt int  // ordinal within its session; 0 for a direct call
	Sandbox bool // of an app in test mode: listed, and counted in no total
}

// Interface names an inner call that the statistics count.
type Interface string

const (
	CallVerify  Interface = "verify"  // comparison with an authority
	CallMatch   Interface = "match"   // comparison with an uploaded image
	CallSilent  Interface = "silent"  // silent liveness
	CallSession Interface = "session" // a session code or challenge
	CallOCR     Interface = "ocr"
	CallVideo   Interface = "video"
	CallFlash   Interface = "flash"
)

// Call is one use of an inner interface within a session.
type Call struct {
	Interface Interface
	Code      Code // OK for success
	At        time.Time
	LogID     string
	Attempt   int // of CallOCR: the ordinal of the attempt that it was made for; otherwise 0
}

// Agreement records that the capture subject agreed to a consent text.
type Agreement struct {
	Version string
	At      time.Time
}

// EvidenceKind names what an evidence item shows.
type EvidenceKind string

const (
	EvidenceReference EvidenceKind = "reference" // the relying party's image
	EvidenceFace      EvidenceKind = "face"      // the attempt's best frame
	EvidenceFrame     EvidenceKind = "frame"     // a further frame of the presentation
	EvidenceVideo     EvidenceKind = "video"     // the presentation as video

	EvidenceCardFront    EvidenceKind = "card_front"    // the document's rectified sides
	EvidenceCardBack     EvidenceKind = "card_back"     //
	EvidenceCardPortrait EvidenceKind = "card_portrait" // the portrait printed on it
)

// Evidence describes sealed bytes in the blob store.
type Evidence struct {
	Ref     string // 32 hex characters; the blob's name
	Kind    EvidenceKind
	Attempt int    // ordinal; 0 when it belongs to no attempt
	Type    string // MIME type
	Size    int    // plain bytes
	SHA256  string // of the plain bytes, hex
	Until   time.Time
}

// Reference is what probes are compared with when the relying party gave it.
type Reference struct {
	Evidence Evidence
	Template Template
	Scripted string // the SandboxCase that its picture stands for, in test mode
}

// Redirect holds addresses that the relying party gave when it opened the session.
type Redirect struct {
	Success, Failed string
}

// Attempt is one presentation: begun, and finished with a decision or without one.
type Attempt struct {
	Ordinal  int // from 1
	Begun    time.Time
	Lease    time.Time // after it, an unfinished attempt counts as interrupted
	Finished time.Time // zero while running
	Outcome  Outcome   // Match, NonMatched, or Failed when no answer was reached
	Code     Code      // why not Match
	Claim    *Claim    // the claim as it stood
	Checks   []Check
	Compared bool  // a comparison score exists
	Score    Score // of the comparison
	FMR      float64
	Live     Score // silent PAD; 1 is bona fide
	LogID    string
	Charges  []Charge
	Kind     LivenessKind // of the presentation; "" where none came about
	Demoted  bool         // Kind is the plan's Fallback
	Cues     []Cue        // that the challenge had, as they were drawn; nil where it asked for nothing
	Response *Response    // to the challenge; nil where none was judged
	Risk     *Risk        // nil where it was not assessed
	Document *Document    // as it stood; nil where none was read
	Asked    []Asked      // sources, in order
}

// Check returns the attempt's check of a kind, or false.
func (a Attempt) Check(kind CheckKind) (Check, bool) {
	for _, c := range a.Checks {
		if c.Kind == kind {
			return c, true
		}
	}
	return Check{}, false
}

// Decided reports whether the attempt was answered, yes or no.
func (a Attempt) Decided() bool { return a.Outcome == Match || a.Outcome == NonMatched }

// Session is the aggregate of one token: claim, reference, attempts, charges. Its
// methods are pure: no clock, no I/O. It is not safe for concurrent use.
type Session struct {
	Token     Token
	App       AppID
	Plan      Plan   // as it was when the session was opened
	Protocol  string // that it was opened by: see Via; "" where that is not known
	Opened    time.Time
	Attended  time.Time // when the page was loaded first; zero before
	Redirect  Redirect
	Opener    string       // the protocol that opened it, where it wants to be told how the page ended
	Subject   SubjectID    // the relying party's name for the capture subject; "" where it gave none
	Purpose   Purpose      // PurposeFace unless it was opened by OpenAs
	Expect    *Expectation // of PurposeConfirm
	Claim     *Claim
	Agreement *Agreement
	Reference *Reference
	Attempts  []Attempt
	Challenge *Challenge // the last one drawn; nil once it is used
	Evidence  []Evidence
	Calls     []Call
	Document  *Document // nil until a side was read
	Tries     int       // readings of documents that were begun
	Watches   int       // times that a camera began to look for one
	Read      []Charge  // of readings; Attempt is the one that they were made for
	Key       []byte    // wrapped data key of its evidence and of its own record
	Sandbox   bool      // of an app in test mode
	Erased    bool      // before it was due, by the operator: what is left of it is about to go
}

// Until is when the session and all it holds must be erased.
func (s *Session) Until() time.Time {
	if s.Erased {
		return s.Opened
	}
	last := s.Opened
	for _, a := range s.Attempts {
		for _, t := range []time.Time{a.Begun, a.Finished} {
			if t.After(last) {
				last = t
			}
		}
	}
	return last.Add(ResultKept)
}

// Due is the next moment at which Purge has something to do with the session.
func (s *Session) Due() time.Time {
	due := s.Until()
	for _, e := range s.Evidence {
		if e.Until.Before(due) {
			due = e.Until
		}
	}
	return due
}

// State reads the session's state at now.
func (s *Session) State(now time.Time) State {
	switch {
	case !now.Before(s.Until()):
		return Gone
	case s.passed():
		return Passed
	case s.Plan.EndsOnFailure && s.refused():
		return Rejected
	case s.running(now) != nil:
		return Running
	case !now.Before(s.Opened.Add(TokenWindow)):
		return Expired
	}
	return Open
}

func (s *Session) passed() bool {
	for _, a := range s.Attempts {
		if a.Outcome == Match {
			return true
		}
	}
	return false
}

func (s *Session) refused() bool {
	for _, a := range s.Attempts {
		if a.Outcome == NonMatched {
			return true
		}
	}
	return false
}

func (s *Session) running(now time.Time) *Attempt {
	if n := len(s.Attempts); n > 0 {
		if a := &s.Attempts[n-1]; a.Finished.IsZero() && now.Before(a.Lease) {
			return a
		}
	}
	return nil
}

// Usable returns nil while an attempt may begin or what precedes one may change, and
// otherwise TokenInvalid (spent, expired, gone) or Undecided (an attempt is running).
func (s *Session) Usable(now time.Time) error {
	switch st := s.State(now); st {
	case Open:
		return nil
	case Running:
		return Errorf(Undecided, "an attempt of this token is under way; wait for its result")
	default:
		return Errorf(TokenInvalid, "the token is %s", st)
	}
}

// Ready returns nil when an attempt could begin at now, or the first thing that is missing.
func (s *Session) Ready(now time.Time) error {
	if err := s.Usable(now); err != nil {
		return err
	}
	switch {
	case len(s.Attempts) >= MaxAttempts:
		return Errorf(TokenInvalid, "the token had its %d attempts", MaxAttempts)
	case s.Agreement == nil:
		return Errorf(ConsentMissing, "the capture subject has not agreed to the authorisation text")
	case s.Plan.Identity != IdentityNone && s.Claim == nil:
		return Errorf(ClaimMissing, "the plan needs a name and an identity number")
	case s.Plan.Comparison == CompareUploaded && s.Reference == nil:
		return Errorf(RefMissing, "the plan compares with an uploaded image and none was uploaded")
	}
	return nil
}

// Ask stores a drawn challenge in place of an earlier one and counts it if it asks for
// something. Codes: those of Ready, NotSwitchedOn, TokenInvalid after MaxChallenges.
func (s *Session) Ask(now time.Time, c Challenge, logID string) error {
	if err := s.Ready(now); err != nil {
		return err
	}
	if s.Purpose != PurposeFace || !slices.Contains(s.Plan.Kinds(), c.Kind) {
		return Errorf(NotSwitchedOn, "the plan does not use liveness %q", c.Kind)
	}
	drawn := 0
	for _, x := range s.Calls {
		if x.Interface == CallSession {
			drawn++
		}
	}
	if drawn >= MaxChallenges {
		return Errorf(TokenInvalid, "the token had its %d challenges", MaxChallenges)
	}
	s.Challenge = &c
	if len(c.Cues) > 0 {
		s.Calls = append(s.Calls, Call{Interface: CallSession, At: now, LogID: logID})
	}
	return nil
}

// Answer begins the attempt that a challenge was drawn for, and uses the challenge up.
// Codes: those of Begin; ChallengeStale for a challenge that is not the session's last
// one, was used, or whose time is over.
func (s *Session) Answer(now time.Time, id string, kind LivenessKind, logID string) (ordinal int, c Challenge, err error) {
	if err := s.Ready(now); err != nil {
		return 0, c, err
	}
	switch {
	case s.Challenge == nil || s.Challenge.ID != id || s.Challenge.Kind != kind:
		return 0, c, Errorf(ChallengeStale, "the challenge is not the one that was drawn last, or was answered already; begin anew")
	case !now.Before(s.Challenge.Until):
		return 0, c, Errorf(ChallengeStale, "the challenge's time is over; begin anew")
	}
	c, s.Challenge = *s.Challenge, nil
	ordinal, err = s.Begin(now, logID)
	if err != nil {
		return 0, c, err
	}
	a := &s.Attempts[ordinal-1]
	a.Kind, a.Demoted, a.Cues = kind, kind == s.Plan.Fallback, c.Cues
	return ordinal, c, nil
}

// Begin starts an attempt. An earlier attempt whose lease lapsed is closed as
// interrupted first, uncharged.
func (s *Session) Begin(now time.Time, logID string) (ordinal int, err error) {
	if err := s.Ready(now); err != nil {
		return 0, err
	}
	s.release()
	n := len(s.Attempts) + 1
	a := Attempt{Ordinal: n, Begun: now, Lease: now.Add(AttemptLease), LogID: logID}
	if s.Claim != nil {
		c := *s.Claim
		a.Claim = &c
	}
	a.Document = s.Document
	s.Attempts = append(s.Attempts, a)
	return n, nil
}

// release closes an unfinished attempt as interrupted at the end of its lease.
func (s *Session) release() {
	if n := len(s.Attempts); n > 0 && s.Attempts[n-1].Finished.IsZero() {
		a := &s.Attempts[n-1]
		a.Finished, a.Outcome, a.Code = a.Lease, Failed, Interrupted
	}
}

// Finish decides the attempt from what was found and charges what was called. An
// attempt that is finished already is returned as it is, so a repeat changes nothing.
// A session that was erased meanwhile takes nothing more: TokenInvalid.
func (s *Session) Finish(now time.Time, ordinal int, f Findings) (Attempt, error) {
	if ordinal < 1 || ordinal > len(s.Attempts) {
		return Attempt{}, Errorf(Internal, "the session has no attempt %d", ordinal)
	}
	a := &s.Attempts[ordinal-1]
	if !a.Finished.IsZero() {
		return *a, nil
	}
	if s.Erased {
		return Attempt{}, errErased
	}
	if !now.Before(a.Lease) {
		a.Finished, a.Outcome, a.Code = now, Failed, Interrupted
		return *a, nil
	}
	a.Finished = now
	decide(s, a, f)
	s.Evidence = append(s.Evidence, f.Evidence...)
	return *a, nil
}

// Fail records a presentation that never reached the engine: no camera, given up,
// timed out. It does not spend the token.
func (s *Session) Fail(now time.Time, code Code, logID string) error {
	if err := s.Usable(now); err != nil {
		return err
	}
	if len(s.Attempts) >= MaxAttempts {
		return Errorf(TokenInvalid, "the token had its %d attempts", MaxAttempts)
	}
	s.release()
	s.Attempts = append(s.Attempts, Attempt{
		Ordinal: len(s.Attempts) + 1, Begun: now, Lease: now, Finished: now, Outcome: Failed, Code: code, LogID: logID, Document: s.Document,
	})
	return nil
}

// Verifications are the attempts that a relying party is told of, as they stand at
// now, in order. On a plan that ends on failure it is at most one (seed: "核验次数为1"):
// the decided one, else the last. A running attempt is left out.
func (s *Session) Verifications(now time.Time) []Attempt {
	var list []Attempt
	for _, a := range s.Attempts {
		if a.Finished.IsZero() {
			if now.Before(a.Lease) {
				continue
			}
			a.Finished, a.Outcome, a.Code = a.Lease, Failed, Interrupted
		}
		list = append(list, a)
	}
	if s.Plan.EndsOnFailure && len(list) > 1 {
		for _, a := range list {
			if a.Decided() {
				return []Attempt{a}
			}
		}
		return list[len(list)-1:]
	}
	return list
}

// Charges lists all charges of the session: of readings, then in order of attempts.
func (s *Session) Charges() []Charge {
	list := slices.Clone(s.Read)
	for _, a := range s.Attempts {
		list = append(list, a.Charges...)
	}
	return list
}

// Find returns the session's evidence of a kind for an attempt, newest first.
func (s *Session) Find(kind EvidenceKind, attempt int) []Evidence {
	var list []Evidence
	for i := len(s.Evidence) - 1; i >= 0; i-- {
		if e := s.Evidence[i]; e.Kind == kind && e.Attempt == attempt {
			list = append(list, e)
		}
	}
	return list
}
