package ekyc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"shiren/internal/cnid"
)

// ElementsMatchAt is the comparison score from which the portrait of Elements is a match:
// a false match rate of 1e-4. The vendor of the call publishes none; our choice, the same
// as DefaultPlan's.
const ElementsMatchAt Score = 0.8

// ElementsRequest asks about four elements of a claim at once.
type ElementsRequest struct {
	Claim  Claim
	Mobile cnid.Mobile
	Image  []byte // of the person
	LogID  string
	Ref    string // what the relying party is told to call it
	// MobileOnly asks about the mobile number alone, which is that of a name and a number:
	// Image is not looked at, and Identity and Portrait are NotRun.
	MobileOnly bool
}

// Elements is what was found out about a claim.
type Elements struct {
	Checked
	Compared bool  // portraits were compared
	Score    Score // of the comparison
	Carrier  Carrier
	// Why says why the portrait is Failed or NoRecord: an image or quality code of the
	// image, PortraitNone, PortraitPoor, SourceMissing, SourceFailed, or IdentityMismatch where
	// the source that compares knows the person by another name; OK otherwise.
	Why Code
}

// Answered reports whether anything was found out: identity or mobile number matched or
// did not. Only then is the call charged.
func (e Elements) Answered() bool {
	said := func(o Outcome) bool { return o == Match || o == NonMatched }
	return said(e.Identity) || said(e.Mobile)
}

// Elements checks whether name and number belong together, whether the mobile number is
// the person's, and whether the image shows them. Identity and mobile number are asked at
// the same time, since the answer names both whatever the other is; the portrait is
// compared only where the identity matches, and the image is looked at before anybody is
// asked about it. What a source does not answer is Failed. A call that begins is finished
// and recorded even if ctx ends; it is charged only if it was Answered. The sources are those
// of the server's order, each as far as it can answer; one that answers everything at once is
// asked at most once, and only for what those before it left open. Codes: QuotaNone,
// LimitTotal, Maintenance, Stopped, SourceMissing (nobody can be asked), EngineFailed,
// Busy, Internal; a magic identity's own (see SandboxCases) in test mode.
func (s *Service) Elements(ctx context.Context, app App, q ElementsRequest) (Elements, error) {
	if err := s.quota(ctx, app, ChargeElements); err != nil {
		return Elements{}, err
	}
	d := Direct{ID: q.LogID, Ref: q.Ref, Protocol: viaOf(ctx), App: app.ID, Kind: ChargeElements, At: s.Now().UTC(), Sandbox: app.Test}
	d.Keys = append(personKeys(nil, string(q.Claim.Name), string(q.Claim.Number)), RecordKey{FieldMobile, string(q.Mobile)})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SubmitTimeout)
	defer cancel()
	ctx = billed(WithCall(ctx, q.LogID))
	var e Elements
	var err error
	if app.Test {
		if e, err = rehearseElements(q.Claim.Number); q.MobileOnly {
			e = e.mobileOnly()
		}
	} else {
		e, err = s.elements(ctx, q)
	}
	if err == nil {
		d.Answered, d.Elements, d.Compared, d.Score = e.Answered(), e.Checked, e.Compared, e.Score
		d.Outcome, d.Why = e.verdict(), e.Why
	}
	if err := s.record(ctx, d, err); err != nil {
		return Elements{}, err
	}
	return e, nil
}

// inquiry is one call's round of the sources.
type inquiry struct {
	*Service
	q     ElementsRequest
	list  []*informant
	next  []Outcome
	probe func() (Examination, error) // the image, looked at once and only if somebody needs it
	fatal error                       // of the engine: there is no answer
}

// informant is a source during one call, in which it is asked nothing twice.
type informant struct {
	Source
	whole    func() (ElementsAnswer, error) // nil where it cannot answer all in one call
	face     func() (answer, error)         // nil where it does not compare by itself
	identity Outcome                        // what it said; NotRun where it was not asked
	silence  error                          // why identity is Failed
}

func (x *informant) identifies() bool { return x.Identity != nil || x.face != nil || x.whole != nil }

func (x *informant) knowsFaces() bool { return x.face != nil || x.Portrait != nil || x.whole != nil }

func (x *informant) knowsMobile() bool {
	return x.Mobile != nil || x.whole != nil
}

func (s *Service) inquire(ctx context.Context, q ElementsRequest) (*inquiry, error) {
	r, err := s.route(Plan{ID: "of direct calls"})
	if err != nil {
		return nil, err
	}
	in := &inquiry{Service: s, q: q, next: r.NextOn}
	in.probe = sync.OnceValues(func() (Examination, error) {
		x, err := s.examine(ctx, Picture{Image: q.Image, Quality: LevelNone, Liveness: LevelNone})
		if ours(err) {
			in.fatal = Wrap(CodeOf(err), "examine image", err)
		}
		return x, err
	})
	for _, source := range r.Sources {
		x := &informant{Source: source}
		if source.Elements != nil && !q.MobileOnly {
			x.whole = sync.OnceValues(func() (ElementsAnswer, error) {
				a, err := source.Elements.Elements(ctx, q.Claim, q.Mobile, q.Image)
				return a, in.silent(ctx, source, "all elements", sourceError("ask elements source", err))
			})
		}
		if source.Face != nil {
			x.face = sync.OnceValues(func() (answer, error) {
				if _, err := in.probe(); err != nil { // nobody is asked about an image that shows nobody
					return answer{}, err
				}
				a, err := askFace(ctx, source.Face, q.Claim, q.Image)
				return a, in.silent(ctx, source, "face", err)
			})
		}
		in.list = append(in.list, x)
	}
	return in, nil
}

// ours reports whether an error is the server's own, and leaves no answer to give.
func ours(err error) bool {
	switch CodeOf(err) {
	case EngineFailed, Busy, Internal:
		return true
	}
	return false
}

// silent logs why a source did not answer.
func (s *Service) silent(ctx context.Context, x Source, asked string, err error) error {
	if err != nil {
		s.Log.ErrorContext(ctx, "a source did not answer", "source", x.Name, "asked", asked, "code", string(CodeOf(err)), "err", err)
	}
	return err
}

// unsaid is the error of an answer that leaves one question open.
func unsaid(o Outcome, err error) (Outcome, error) {
	if err == nil && o != Match && o != NonMatched && o != NoRecord {
		return Failed, Errorf(SourceFailed, "the source could not say")
	}
	return o, err
}

func (s *Service) elements(ctx context.Context, q ElementsRequest) (e Elements, err error) {
	in, err := s.inquire(ctx, q)
	if err != nil {
		return e, err
	}
	if !slices.ContainsFunc(in.list, func(x *informant) bool { return x.knowsMobile() || x.identifies() && !q.MobileOnly }) {
		return e, Errorf(SourceMissing, "no source is configured for the elements of an identity")
	}
	if q.MobileOnly {
		e.Mobile, e.Carrier = in.mobile(ctx)
		return e, nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { e.Mobile, e.Carrier = in.mobile(ctx) })
	identity := in.identify(ctx)
	var p likeness
	if identity == Match && in.fatal == nil {
		p = in.portrait(ctx)
	}
	wg.Wait()
	e.Identity, e.Portrait, e.Why, e.Score, e.Compared = identity, p.outcome, p.why, p.score, p.compared
	return e, in.fatal
}

// mobile asks about the mobile number. It runs beside the request, so that it keeps a
// source's panic to itself.
func (in *inquiry) mobile(ctx context.Context) (out Outcome, carrier Carrier) {
	defer func() {
		if r := recover(); r != nil {
			in.Log.ErrorContext(ctx, "the mobile source panicked", "err", r)
			out, carrier = Failed, ""
		}
	}()
	out, err := follow(in.list, in.next, (*informant).knowsMobile, func(x *informant) (Outcome, error) {
		if x.Mobile == nil {
			a, err := x.whole()
			carrier = cmp.Or(a.Carrier, carrier)
			return unsaid(a.Mobile, err)
		}
		out, k, err := x.Mobile.Mobile(ctx, in.q.Claim, in.q.Mobile)
		carrier = cmp.Or(k, carrier)
		return out, in.silent(ctx, x.Source, "mobile", err)
	})
	if err != nil {
		return Failed, carrier
	}
	return out, carrier
}

// identify asks whether name and number belong together.
func (in *inquiry) identify(ctx context.Context) Outcome {
	out, err := follow(in.list, in.next, (*informant).identifies, func(x *informant) (Outcome, error) {
		switch {
		case in.fatal != nil:
			return Failed, in.fatal
		case x.Identity != nil:
			x.identity, x.silence = x.Identity.Identity(ctx, in.q.Claim)
			_ = in.silent(ctx, x.Source, "identity", x.silence)
		case x.whole != nil:
			a, err := x.whole()
			x.identity, x.silence = unsaid(a.Identity, err)
		default:
			a, err := x.face()
			x.identity, x.silence = a.identity, err
		}
		if x.silence != nil {
			x.identity = Failed
		}
		return x.identity, x.silence
	})
	if err != nil {
		return Failed
	}
	return out
}

// likeness is what came of the portrait.
type likeness struct {
	outcome  Outcome
	why      Code
	score    Score
	compared bool
}

// portrait has the image of a person whose identity matches compared.
func (in *inquiry) portrait(ctx context.Context) (p likeness) {
	out, err := follow(in.list, in.next, (*informant).knowsFaces, func(x *informant) (_ Outcome, err error) {
		if in.fatal != nil {
			return Failed, in.fatal
		}
		p, err = in.likeness(ctx, x)
		return p.outcome, err
	})
	if out == Failed || err != nil {
		return likeness{outcome: Failed, why: CodeOf(err)}
	}
	return p
}

// likeness asks one source for the person's portrait, or to compare with it. What it cannot
// say is an error.
func (in *inquiry) likeness(ctx context.Context, x *informant) (likeness, error) {
	none := likeness{outcome: NoRecord, why: PortraitNone}
	switch {
	case x.identity == Failed:
		return likeness{}, sourceError("ask for the identity", x.silence)
	case x.identity == NoRecord: // it does not know the person, whom a later one did
		return none, nil
	}
	if x.whole == nil || x.identity == NotRun {
		if _, err := in.probe(); err != nil {
			return likeness{}, err
		}
	}
	switch {
	case x.whole != nil:
		a, err := x.whole()
		if err != nil || a.Identity == NoRecord {
			return none, err
		}
		out, err := unsaid(a.Portrait, nil)
		p := likeness{outcome: out, score: a.Score, compared: out == Match || out == NonMatched}
		if out == NoRecord {
			p.why = PortraitNone
		}
		return p, err
	case x.face != nil:
		a, err := x.face()
		if err != nil || a.identity == NoRecord || a.portrait == PortraitNone {
			return none, err
		}
		return measured(a)
	}
	probe, _ := in.probe()
	ref, code, err := in.referenceOf(ctx, x.Portrait, in.q.Claim)
	switch {
	case ours(err):
		in.fatal = err
		return likeness{}, err
	case err != nil:
		return likeness{}, in.silent(ctx, x.Source, "portrait", err)
	case code == PortraitNone:
		return none, nil
	}
	a := answer{identity: Match, portrait: code}
	if code == OK {
		if a.comparison, err = in.Engine.Compare(probe.Faces[0].Template, ref); err != nil {
			in.fatal = Wrap(EngineFailed, "compare", err)
			return likeness{}, in.fatal
		}
		a.compared = true
	}
	return measured(a)
}

// measured judges a comparison. A source that says another name than an earlier one, or has
// no portrait to compare with, has compared nothing.
func measured(a answer) (likeness, error) {
	if !a.compared {
		_, code := a.outcome(ElementsMatchAt)
		return likeness{}, Errorf(code, "the source compared nothing (%s)", code)
	}
	out, _ := a.outcome(ElementsMatchAt)
	return likeness{outcome: out, score: a.comparison.Score, compared: true}, nil
}

// ParseElements reads what people type of themselves. Codes: BadIDNumber, BadMobile, BadName,
// in this order.
func ParseElements(name, number, mobile string) (Claim, cnid.Mobile, error) {
	c, err := ParsePerson(name, number)
	m, bad := cnid.ParseMobile(mobile)
	if bad != nil && CodeOf(err) != BadIDNumber {
		err = &Error{Code: BadMobile, Detail: bad.Error()}
	}
	return c, m, err
}

// ParsePerson is ParseElements of name and number: those of an identity card, or of a
// residence permit where the number is one's.
func ParsePerson(name, number string) (Claim, error) {
	id, err := cnid.ParseNumber(number)
	if err != nil {
		return Claim{}, &Error{Code: BadIDNumber, Detail: err.Error()}
	}
	t := IDCard
	if id.ResidencePermit() {
		t = ResidencePermit
	}
	return ParseClaim(name, string(id), t)
}

var errScripted = errors.New("scripted by the sandbox")

// scripted is a case's refusal.
func scripted(name string, code Code) error {
	return &Error{Code: code, Detail: fmt.Sprintf("scripted by the sandbox: %s", name), Err: errScripted}
}
