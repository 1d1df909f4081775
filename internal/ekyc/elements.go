package ekyc

import (
	"context"
	"errors"
	"fmt"
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
}

// Elements is what was found out about a claim.
type Elements struct {
	Checked
	Compared bool  // portraits were compared
	Score    Score // of the comparison
	Carrier  Carrier
	// Why says why the portrait is Failed or NoRecord: an image or quality code of the
	// image, PortraitNone, PortraitPoor, SourceMissing or SourceFailed; OK otherwise.
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
// and recorded even if ctx ends; it is charged only if it was Answered. Codes: QuotaNone,
// LimitTotal, Maintenance, Stopped, SourceMissing (nobody can be asked), EngineFailed,
// Busy, Internal; a magic identity's own (see SandboxCases) in test mode.
func (s *Service) Elements(ctx context.Context, app App, q ElementsRequest) (Elements, error) {
	if err := s.quota(ctx, app, ChargeElements); err != nil {
		return Elements{}, err
	}
	d := Direct{ID: q.LogID, Ref: q.Ref, App: app.ID, Kind: ChargeElements, At: s.Now().UTC(), Sandbox: app.Test}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SubmitTimeout)
	defer cancel()
	ctx = billed(WithCall(ctx, q.LogID))
	var e Elements
	var err error
	if app.Test {
		e, err = rehearseElements(q.Claim.Number)
	} else {
		e, err = s.elements(ctx, q)
	}
	if err == nil {
		d.Answered, d.Elements, d.Compared, d.Score = e.Answered(), e.Checked, e.Compared, e.Score
	}
	if err := s.record(ctx, d, err); err != nil {
		return Elements{}, err
	}
	return e, nil
}

func (s *Service) elements(ctx context.Context, q ElementsRequest) (e Elements, err error) {
	if s.Identity == nil && s.Face == nil && s.Mobile == nil {
		return e, Errorf(SourceMissing, "no source is configured for the elements of an identity")
	}
	var wg sync.WaitGroup
	wg.Go(func() { e.Mobile, e.Carrier = s.mobile(ctx, q.Claim, q.Mobile) })
	identity, p, err := s.person(ctx, q)
	wg.Wait()
	e.Identity, e.Portrait, e.Why, e.Score, e.Compared = identity, p.outcome, p.why, p.score, p.compared
	return e, err
}

// mobile asks about the mobile number. It runs beside the request, so that it keeps a
// source's panic to itself.
func (s *Service) mobile(ctx context.Context, c Claim, n cnid.Mobile) (out Outcome, carrier Carrier) {
	defer func() {
		if r := recover(); r != nil {
			s.Log.ErrorContext(ctx, "the mobile source panicked", "err", r)
			out, carrier = Failed, ""
		}
	}()
	if s.Mobile == nil {
		return Failed, ""
	}
	out, carrier, err := s.Mobile.Mobile(ctx, c, n)
	if err != nil {
		s.Log.ErrorContext(ctx, "a source did not answer", "asked", "mobile", "code", string(CodeOf(err)), "err", err)
		return Failed, carrier
	}
	return out, carrier
}

// likeness is what came of the portrait.
type likeness struct {
	outcome  Outcome
	why      Code
	score    Score
	compared bool
}

// person asks about identity and portrait. An error is the engine's.
func (s *Service) person(ctx context.Context, q ElementsRequest) (Outcome, likeness, error) {
	var identity Outcome
	switch {
	case s.Identity != nil:
		out, err := s.Identity.Identity(ctx, q.Claim)
		if err != nil {
			s.Log.ErrorContext(ctx, "a source did not answer", "asked", "identity", "code", string(CodeOf(err)), "err", err)
			return Failed, likeness{}, nil
		}
		if identity = out; out != Match {
			return out, likeness{}, nil
		}
	case s.Face == nil:
		return Failed, likeness{}, nil
	}
	// From here on the identity matches, or is not known yet and Face will say.
	if s.Face == nil && s.Portrait == nil {
		return identity, likeness{outcome: Failed, why: SourceMissing}, nil
	}
	x, err := s.examine(ctx, Picture{Image: q.Image, Quality: LevelNone, Liveness: LevelNone})
	switch code := CodeOf(err); code {
	case OK:
	case EngineFailed, Busy, Internal:
		return identity, likeness{}, Wrap(code, "examine image", err)
	default:
		if identity == NotRun { // nobody was asked: the image shows nobody to ask about
			identity = Failed
		}
		return identity, unseen(identity, code), nil
	}
	if s.Face != nil {
		identity, p := s.face(ctx, identity, q)
		return identity, p, nil
	}
	p, err := s.likeness(ctx, q.Claim, x.Faces[0].Template)
	return identity, p, err
}

// unseen is a portrait that could not be checked; it is one only of an identity that matches.
func unseen(identity Outcome, why Code) likeness {
	if identity != Match {
		return likeness{why: why}
	}
	return likeness{outcome: Failed, why: why}
}

// likeness compares a probe with the portrait on file.
func (s *Service) likeness(ctx context.Context, c Claim, probe Template) (likeness, error) {
	reference, why, err := s.referenceOf(ctx, s.Portrait, c)
	switch code := CodeOf(err); code {
	case OK:
	case EngineFailed, Busy, Internal:
		return likeness{}, err
	default:
		s.Log.ErrorContext(ctx, "a source did not answer", "asked", "portrait", "code", string(code), "err", err)
		return likeness{outcome: Failed, why: code}, nil
	}
	switch why {
	case PortraitNone:
		return likeness{outcome: NoRecord, why: why}, nil
	case PortraitPoor:
		return likeness{outcome: Failed, why: why}, nil
	}
	x, err := s.Engine.Compare(probe, reference)
	if err != nil {
		return likeness{}, Wrap(EngineFailed, "compare", err)
	}
	p := likeness{outcome: NonMatched, score: x.Score, compared: true}
	if x.Score >= ElementsMatchAt {
		p.outcome = Match
	}
	return p, nil
}

// face asks a source that compares on its side. known is what is known of the identity:
// Match, or NotRun where the source is the one to say.
func (s *Service) face(ctx context.Context, known Outcome, q ElementsRequest) (Outcome, likeness) {
	out, score, err := s.Face.Face(ctx, q.Claim, q.Image)
	switch code := CodeOf(err); code {
	case OK:
		p := likeness{outcome: out, score: score, compared: out == Match || out == NonMatched}
		if out == NoRecord {
			p.why = PortraitNone
		}
		return Match, p
	case IdentityMismatch:
		return NonMatched, likeness{}
	case IdentityUnknown:
		return NoRecord, likeness{}
	default:
		s.Log.ErrorContext(ctx, "a source did not answer", "asked", "face", "code", string(code), "err", err)
		if known == NotRun {
			known = Failed
		}
		return known, unseen(known, SourceFailed)
	}
}

// ParseElements reads what people type of themselves. Codes: BadIDNumber, BadMobile, BadName.
func ParseElements(name, number, mobile string) (Claim, cnid.Mobile, error) {
	id, err := cnid.ParseNumber(number)
	if err != nil {
		return Claim{}, "", &Error{Code: BadIDNumber, Detail: err.Error()}
	}
	m, err := cnid.ParseMobile(mobile)
	if err != nil {
		return Claim{}, "", &Error{Code: BadMobile, Detail: err.Error()}
	}
	t := IDCard
	if id.ResidencePermit() {
		t = ResidencePermit
	}
	c, err := ParseClaim(name, string(id), t)
	return c, m, err
}

var errScripted = errors.New("scripted by the sandbox")

// scripted is a case's refusal.
func scripted(name string, code Code) error {
	return &Error{Code: code, Detail: fmt.Sprintf("scripted by the sandbox: %s", name), Err: errScripted}
}
