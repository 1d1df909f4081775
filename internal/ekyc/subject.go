package ekyc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode"
	"unicode/utf8"
)

// SubjectID is the name that a relying party has for a capture subject: the user's account
// with the app. It means nothing outside the app, and masks itself when printed.
type SubjectID string

func (SubjectID) String() string       { return "********" }
func (SubjectID) GoString() string     { return "********" }
func (SubjectID) LogValue() slog.Value { return slog.StringValue("********") }

// MaxSubjectID is the longest SubjectID in characters. Huawei result page: "长度范围为1-512".
const MaxSubjectID = 512

// SubjectKept is how long the identity that was verified for a subject is kept after the
// last verification. No vendor's page names a time; our choice.
const SubjectKept = 30 * 24 * time.Hour

// SubjectPerDay is how many sessions an app may open for one subject on one day, Beijing
// time, where App.PerSubjectDay says nothing. The vendor documents that there is a limit
// (DAILY_LIMIT_EXCEEDED) and not which; our choice.
const SubjectPerDay = 20

// Purpose is what a session is opened for.
type Purpose string

const (
	PurposeFace     Purpose = ""         // a presentation is compared as the plan says
	PurposeConfirm  Purpose = "confirm"  // the subject's verified identity is compared with an expectation; no camera
	PurposeDisclose Purpose = "disclose" // the subject lets the app read the verified identity; no camera
)

// LivenessNone is the liveness of sessions without a camera. No plan may choose it.
const LivenessNone LivenessKind = "none"

// Expectation is what a relying party believes of a subject, as SHA-256 or SHA-512 digests.
type Expectation struct{ Name, Number []byte }

// meets reports whether a claim is the one expected.
func (e Expectation) meets(c Claim) bool {
	return digestOf(e.Name, string(c.Name)) && digestOf(e.Number, string(c.Number))
}

func digestOf(digest []byte, text string) bool {
	long, short := sha512.Sum512([]byte(text)), sha256.Sum256([]byte(text))
	return bytes.Equal(digest, long[:]) || bytes.Equal(digest, short[:])
}

// Subject is what is kept of an app's user beyond single sessions: sealed, found by a
// keyed digest of app and SubjectID, erased at Until.
type Subject struct {
	App         AppID
	ID          SubjectID
	Claim       *Claim       // the identity that a face was verified for last; nil where none was
	Verified    time.Time    // when
	Disclosures []Disclosure // that the subject agreed to
	Day         int64        // days since 1970, Beijing time
	Opened      int64        // sessions on Day
	Until       time.Time
}

// Disclosure is a subject's word that the app may read the verified identity.
type Disclosure struct {
	ID    string // ten digits
	Until time.Time
}

// verified returns the identity that may still be relied on, or nil.
func (u *Subject) verified(now time.Time) *Claim {
	if u.Claim == nil || !now.Before(u.Verified.Add(SubjectKept)) {
		return nil
	}
	return u.Claim
}

// open counts a session against the subject's day.
func (u *Subject) open(now time.Time, limit int64) error {
	if d := dayOf(now); d != u.Day {
		u.Day, u.Opened = d, 0
	}
	if limit == 0 {
		limit = SubjectPerDay
	}
	if limit != Unlimited && u.Opened >= limit {
		return Errorf(LimitSubject, "the subject's %d sessions of today are used up", limit)
	}
	u.Opened++
	u.keep(now.Add(48 * time.Hour)) // the day's count
	return nil
}

func (u *Subject) keep(until time.Time) {
	if until.After(u.Until) {
		u.Until = until
	}
}

// Opening says what OpenAs opens a session for.
type Opening struct {
	Opener  string // the protocol that the answer goes out in; Session.Opener
	Subject SubjectID
	Purpose Purpose
	Claim   Claim       // of PurposeFace
	Expect  Expectation // of PurposeConfirm
	// Consent is what the subject is asked to agree to; of PurposeFace the plan's.
	Consent Consent
}

// ParseCommonClaim is ParseClaim of an identity card for sources that know common
// characters only. Code beside ParseClaim's: NameRare.
func ParseCommonClaim(name, number string) (Claim, error) {
	for _, r := range name {
		if unicode.Is(unicode.Co, r) || unicode.Is(unicode.Han, r) && (r < 0x4e00 || r > 0x9fff) {
			return Claim{}, Errorf(NameRare, "the name has a character outside the 20,992 of Unicode's first block of Chinese characters")
		}
	}
	return ParseClaim(name, number, IDCard)
}

// OpenAs makes a session for a subject of the app's own naming. The plan is the app's for
// declared identities that an authority's portrait is compared for; of several that are not
// retired the first by id. A face is opened for a claim that the identity source confirms, and never for another
// identity than the one verified for the subject before; the other purposes need that
// identity. Each call counts against the subject's day. Codes: BadRequest, PlanUnknown,
// SourceMissing, SourceFailed, SubjectForeign, SubjectUnverified, LimitSubject.
func (s *Service) OpenAs(ctx context.Context, app App, o Opening) (Session, error) {
	if n := utf8.RuneCountInString(string(o.Subject)); n < 1 || n > MaxSubjectID || !utf8.ValidString(string(o.Subject)) {
		return Session{}, Errorf(BadRequest, "the subject's id has %d characters; want 1 to %d", n, MaxSubjectID)
	}
	plan, err := s.declaredPlan(ctx, app)
	if err != nil {
		return Session{}, err
	}
	if app.Test {
		if err := (&Session{Sandbox: true}).rehearse(o.Claim.Number); err != nil {
			return Session{}, err
		}
	} else if err := s.verifiable(plan); err != nil {
		return Session{}, err
	}
	if err := s.switched(ctx, plan.ChargeOf()); err != nil {
		return Session{}, err
	}
	now := s.Now().UTC()
	if _, err := s.updateSubject(ctx, subjectsOf(app.ID, app.Test), o.Subject, func(u *Subject) error {
		known := u.verified(now)
		switch {
		case o.Purpose != PurposeFace && known == nil:
			return Errorf(SubjectUnverified, "no face was verified for this subject in the last %d days; do that first", SubjectKept/(24*time.Hour))
		case o.Purpose == PurposeFace && known != nil && *known != o.Claim:
			return Errorf(SubjectForeign, "the subject was verified as somebody else")
		}
		return u.open(now, app.PerSubjectDay)
	}); err != nil {
		return Session{}, err
	}
	key, err := s.Sealer.NewKey()
	if err != nil {
		return Session{}, Wrap(Internal, "make data key", err)
	}
	ses := Session{Token: s.newToken(), App: app.ID, Plan: plan, Protocol: viaOf(ctx), Opened: now, Key: key, Opener: o.Opener, Subject: o.Subject, Purpose: o.Purpose, Sandbox: app.Test}
	if o.Purpose == PurposeFace {
		answer, err := s.identityOf(ctx, &ses, o.Claim)
		switch {
		case err != nil:
			return Session{}, sourceError("ask identity source", err)
		case answer != Match:
			return Session{}, Errorf(SubjectUnverified, "the identity source does not know this name with this number")
		}
		ses.Claim = &o.Claim
	} else {
		ses.Plan = plan.withoutCamera(o.Consent)
		if o.Purpose == PurposeConfirm {
			ses.Expect = &o.Expect
		}
	}
	if err := s.Store.CreateSession(ctx, ses); err != nil {
		return ses, Wrap(Internal, "store session", err)
	}
	s.counted(ses.CountsSince(Tally{}))
	return ses, nil
}

// identityOf asks the sources of a session's plan whether name and number belong together.
// Where all of them answer that with the face only, the attempt will tell: Match. Of a
// session in test mode the claim's case answers.
func (s *Service) identityOf(ctx context.Context, ses *Session, c Claim) (Outcome, error) {
	if ses.scripted() {
		a, err := rehearseVerify(c.Number)
		if err != nil { // the attempt's
			return Match, nil
		}
		return a.identity, nil
	}
	r, err := s.route(ses.Plan)
	if err != nil {
		return Failed, err
	}
	out, err := r.Identity(ctx, c)
	if CodeOf(err) == SourceMissing {
		return Match, nil
	}
	return out, err
}

// subjectsOf keeps the subjects of an app in test mode apart from its real ones.
func subjectsOf(app AppID, test bool) AppID {
	if test {
		return "test " + app
	}
	return app
}

// withoutCamera is the plan of a session in which the subject only agrees.
func (p Plan) withoutCamera(c Consent) Plan {
	return Plan{
		ID: p.ID, App: p.App, Name: p.Name, Title: p.Title, HideTitle: p.HideTitle, Created: p.Created,
		Comparison: CompareNone, Identity: IdentityNone, Liveness: LivenessNone,
		LivenessLevel: p.LivenessLevel, QualityLevel: p.QualityLevel, MatchAt: p.MatchAt, EndsOnFailure: true, Consent: c,
	}
}

func (s *Service) declaredPlan(ctx context.Context, app App) (Plan, error) {
	plans, err := s.Store.Plans(ctx)
	if err != nil {
		return Plan{}, Wrap(Internal, "list plans", err)
	}
	for _, p := range plans {
		if p.App == app.ID && !p.Retired && p.Comparison == CompareAuthority && p.Identity == IdentityDeclared {
			return p, nil
		}
	}
	return Plan{}, Errorf(PlanUnknown, "the app has no plan with comparison authority and identity declared; make one with shiren plan add")
}

func (s *Service) subjectKey(app AppID, id SubjectID) string {
	return hex.EncodeToString(s.Sealer.Digest("subject", []byte(string(app)+"\x00"+string(id))))
}

// updateSubject runs f on what is kept of a subject, making it when absent.
func (s *Service) updateSubject(ctx context.Context, app AppID, id SubjectID, f func(*Subject) error) (Subject, error) {
	u, err := s.Subjects.UpdateSubject(ctx, s.subjectKey(app, id), func(u *Subject) error {
		if !s.Now().Before(u.Until) { // due, and not yet erased
			*u = Subject{}
		}
		u.App, u.ID = app, id
		return f(u)
	})
	var e *Error
	if err != nil && !errors.As(err, &e) {
		return Subject{}, Wrap(Internal, "update subject", err)
	}
	return u, err
}

// subject reads what is kept of a subject; ErrAbsent where there is nothing.
func (s *Service) subject(ctx context.Context, app AppID, id SubjectID) (Subject, error) {
	u, err := s.Subjects.Subject(ctx, s.subjectKey(app, id))
	switch {
	case err == nil && !s.Now().Before(u.Until):
		return Subject{}, ErrAbsent
	case err == nil, errors.Is(err, ErrAbsent):
		return u, err
	}
	return Subject{}, Wrap(Internal, "read subject", err)
}

// certify remembers for whom a face was verified. It may be repeated.
func (s *Service) certify(ctx context.Context, ses *Session) {
	now := s.Now().UTC()
	_, err := s.updateSubject(ctx, subjectsOf(ses.App, ses.Sandbox), ses.Subject, func(u *Subject) error {
		if known := u.verified(now); known != nil && *known != *ses.Claim {
			return Errorf(SubjectForeign, "two identities were verified for one subject at once; the first stays")
		}
		c := *ses.Claim
		u.Claim, u.Verified = &c, now
		u.keep(now.Add(SubjectKept))
		return nil
	})
	if err != nil {
		s.Log.ErrorContext(ctx, "a verified identity was not remembered; the subject can be verified again", "err", err)
	}
}

// settle is Agree for sessions without a camera: the agreement and what follows from it
// are one update, so that neither is seen without the other.
func (s *Service) settle(ctx context.Context, ses Session, version string) error {
	code := OK
	if err := ses.Usable(s.Now()); err != nil {
		return err
	}
	if version != ses.Plan.Consent.Version {
		return errOtherText
	}
	u, err := s.subject(ctx, subjectsOf(ses.App, ses.Sandbox), ses.Subject)
	if err != nil && !errors.Is(err, ErrAbsent) {
		return err
	}
	now := s.Now().UTC()
	known := u.verified(now)
	switch {
	case known == nil:
		code = SubjectUnverified
	case ses.Purpose == PurposeConfirm && (ses.Expect == nil || !ses.Expect.meets(*known)):
		code = IdentityMismatch
	case ses.Purpose == PurposeDisclose:
		id := s.DisclosureID(ses.Token)
		if _, err := s.updateSubject(ctx, subjectsOf(ses.App, ses.Sandbox), ses.Subject, func(u *Subject) error {
			var list []Disclosure
			for _, d := range u.Disclosures {
				if now.Before(d.Until) && d.ID != id {
					list = append(list, d)
				}
			}
			u.Disclosures = append(list, Disclosure{ID: id, Until: now.Add(ResultKept)})
			return nil
		}); err != nil {
			return err
		}
	}
	logID := s.LogID()
	_, err = s.update(ctx, ses.Token, func(ses *Session) error { return ses.Settle(now, version, code, logID) })
	return err
}

// Settle records the agreement of a session without a camera and decides it: a match where
// code is OK, otherwise a non-match for that reason. Codes: those of Usable.
func (s *Session) Settle(now time.Time, version string, code Code, logID string) error {
	if err := s.Usable(now); err != nil {
		return err
	}
	if len(s.Attempts) >= MaxAttempts {
		return Errorf(TokenInvalid, "the token had its %d attempts", MaxAttempts)
	}
	s.Agreement = &Agreement{Version: version, At: now}
	a := Attempt{Ordinal: len(s.Attempts) + 1, Begun: now, Lease: now, Finished: now, Outcome: Match, LogID: logID}
	if code != OK {
		a.Outcome, a.Code = NonMatched, code
	}
	a.Checks = []Check{{Kind: CheckIdentity, Outcome: a.Outcome}}
	s.Attempts = append(s.Attempts, a)
	return nil
}

// A receipt is a tag of 8 bytes over token and ordinal, and both of these hidden under a
// keyed stream that follows from the tag: 33 bytes, 44 characters.
const (
	receiptTag  = 8
	receiptText = 24 + 1 // token and ordinal
)

// Receipt names a decided attempt of a session to its relying party. Nobody can make one
// before the attempt ended, nor read the token out of it.
func (s *Service) Receipt(t Token, ordinal int) string {
	text := append([]byte(t), byte(ordinal))
	tag := s.Sealer.Digest("receipt", text)[:receiptTag]
	return base64.RawURLEncoding.EncodeToString(append(tag, s.veil(tag, text)...))
}

// veil hides or shows a receipt's text.
func (s *Service) veil(tag, text []byte) []byte {
	out := make([]byte, receiptText)
	subtle.XORBytes(out, text, s.Sealer.Digest("receipt text", tag))
	return out
}

// receiptOf reads a receipt; ok is false for what is none of ours.
func (s *Service) receiptOf(receipt string) (t Token, ordinal int, ok bool) {
	const size = receiptTag + receiptText
	raw, err := base64.RawURLEncoding.DecodeString(receipt)
	if err != nil || len(raw) != size || len(receipt) != base64.RawURLEncoding.EncodedLen(size) { // decoding passes over line ends
		return "", 0, false
	}
	tag := raw[:receiptTag]
	text := s.veil(tag, raw[receiptTag:])
	ok = subtle.ConstantTimeCompare(s.Sealer.Digest("receipt", text)[:receiptTag], tag) == 1
	return Token(text[:24]), int(text[24]), ok
}

// Redeem returns the attempt that a receipt names. Codes: TokenInvalid (malformed, forged,
// another app's, another purpose's, or erased), SubjectForeign.
func (s *Service) Redeem(ctx context.Context, app App, purpose Purpose, who SubjectID, receipt string) (Attempt, error) {
	t, n, ok := s.receiptOf(receipt)
	if !ok {
		return Attempt{}, errUnknownToken
	}
	ses, err := s.owned(ctx, app, t)
	if err != nil {
		return Attempt{}, err
	}
	switch {
	case ses.State(s.Now()) == Gone || ses.Purpose != purpose || n < 1 || n > len(ses.Attempts):
		return Attempt{}, errUnknownToken
	case ses.Subject != who:
		return Attempt{}, Errorf(SubjectForeign, "the result belongs to another subject")
	}
	return ses.Attempts[n-1], nil
}

// DisclosureID is the id of the disclosure that a session came to: ten digits, as long as
// the vendor allows.
func (s *Service) DisclosureID(t Token) string { return disclosureID(s.Sealer, t) }

func disclosureID(sealer Sealer, t Token) string {
	d := sealer.Digest("disclosure", []byte(t.Digest()))
	return fmt.Sprintf("%010d", binary.BigEndian.Uint64(d)%10_000_000_000)
}

// Disclosed returns the verified identity that a subject let the app read. Codes:
// SubjectForeign (the app has no such subject), Undisclosed (it agreed to nothing of that
// id, or too long ago).
func (s *Service) Disclosed(ctx context.Context, app App, who SubjectID, id string) (Claim, error) {
	u, err := s.subject(ctx, subjectsOf(app.ID, app.Test), who)
	if errors.Is(err, ErrAbsent) {
		return Claim{}, Errorf(SubjectForeign, "the app has no such subject")
	} else if err != nil {
		return Claim{}, err
	}
	now := s.Now()
	for _, d := range u.Disclosures {
		if c := u.verified(now); d.ID == id && now.Before(d.Until) && c != nil {
			return *c, nil
		}
	}
	return Claim{}, Errorf(Undisclosed, "the subject has not agreed to it, or too long ago")
}

// Once remembers that an app sent what until a moment. Code: Replayed if it was sent
// before, to any node of the service.
func (s *Service) Once(ctx context.Context, app AppID, what string, until time.Time) error {
	d := s.Sealer.Digest("request", []byte(string(app)+"\x00"+what))
	fresh, err := s.Requests.Once(ctx, hex.EncodeToString(d[:16]), until)
	switch {
	case err != nil:
		return Wrap(Internal, "remember request", err)
	case !fresh:
		return Errorf(Replayed, "the request was sent before")
	}
	return nil
}

// dayOf is the number of days since 1970 in Beijing, the vendors' day.
func dayOf(t time.Time) int64 { return t.Add(beijing).Unix() / 86400 }

var errOtherText = Errorf(ConsentMissing, "the text agreed to is not the plan's; reload the page")

// Onward is what the opener of a session wants the page to hand on: Params when it leaves
// with an outcome, Trouble[word] when it ends in that trouble (the words are the page's).
type Onward struct {
	Params  map[string]string
	Trouble map[string]map[string]string
}
