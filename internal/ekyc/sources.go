package ekyc

import (
	"context"
	"slices"
	"time"
)

// Source is one who is asked about claims, by its name. What it cannot answer is nil.
type Source struct {
	Name     string
	Identity IdentitySource
	Portrait PortraitSource // the local engine compares with it
	Mobile   MobileSource
	Face     FaceSource     // it compares by itself, and answers identity on the way
	Elements ElementsSource // all of it in one call
}

// verifies reports whether the source can be asked for a person and their face.
func (s Source) verifies() bool { return s.Face != nil || s.Identity != nil && s.Portrait != nil }

// Asked is what came of asking one source once.
type Asked struct {
	Source  string
	Outcome Outcome // Match, NonMatched, NoRecord, or Failed when it did not answer
	Code    Code    // why not Match
	Took    time.Duration
	Cost    int64 // in millionths of the operator's currency, as the source said; 0 where it charged nothing
}

// NextOn is what a plan that says nothing of it goes on to its next source for: one that
// does not know the person, and one that did not answer. A match and a non-match are answers.
var NextOn = []Outcome{NoRecord, Failed}

// Route is who is asked, in order, until one answers.
type Route struct {
	Sources []Source
	// NextOn are the outcomes after which the next source is asked: NoRecord, Failed or both.
	NextOn []Outcome
}

// follow asks those of a list who can answer, in order. The last outcome counts, with one
// exception: where one failed and no later one knew the person, the failure stands, since the
// one that failed might have known them. So trouble never becomes a non-match. ask returns
// the outcome, and why it is none. Nobody who can answer is SourceMissing.
func follow[S any](list []S, next []Outcome, can func(S) bool, ask func(S) (Outcome, error)) (out Outcome, err error) {
	out, err = NotRun, Errorf(SourceMissing, "no source is configured that could answer")
	var failed error
	for _, s := range list {
		if !can(s) {
			continue
		}
		if out, err = ask(s); err != nil {
			out, failed = Failed, err
		}
		if !slices.Contains(next, out) {
			return out, err
		}
	}
	if out == NoRecord && failed != nil {
		return Failed, failed
	}
	return out, err
}

// Identity asks the sources in order whether name and number belong together.
func (r Route) Identity(ctx context.Context, c Claim) (Outcome, error) {
	return follow(r.Sources, r.NextOn, func(s Source) bool { return s.Identity != nil }, func(s Source) (Outcome, error) {
		return s.Identity.Identity(ctx, c)
	})
}

// callKey is the context key of a call's log id.
type callKey struct{}

// WithCall gives sources the log id of what they are asked for, so that what they cost can
// be found again.
func WithCall(ctx context.Context, logID string) context.Context {
	return context.WithValue(ctx, callKey{}, logID)
}

// CallOf is the log id that WithCall set, or "".
func CallOf(ctx context.Context) string {
	id, _ := ctx.Value(callKey{}).(string)
	return id
}

// route is who is asked for a plan: the sources that it names, in its order, else those of
// the server's order, else the fields of Service.
func (s *Service) route(p Plan) (Route, error) {
	names, next := p.Sources, p.NextOn
	if len(names) == 0 {
		names = s.Order
	}
	if len(next) == 0 {
		next = NextOn
	}
	if len(names) == 0 {
		return Route{Sources: []Source{{Identity: s.Identity, Portrait: s.Portrait, Mobile: s.Mobile, Face: s.Face}}, NextOn: next}, nil
	}
	r := Route{NextOn: next}
	for _, name := range names {
		i := slices.IndexFunc(s.Sources, func(x Source) bool { return x.Name == name })
		if i < 0 {
			return r, Errorf(SourceMissing, "plan %s asks the source %q, which is not configured", p.ID, name)
		}
		r.Sources = append(r.Sources, s.Sources[i])
	}
	return r, nil
}

// verifiable returns nil if somebody can be asked to verify a person for a plan.
func (s *Service) verifiable(p Plan) error {
	r, err := s.route(p)
	if err == nil && !slices.ContainsFunc(r.Sources, Source.verifies) {
		err = Errorf(SourceMissing, "plan %s compares with an authority and none is configured", p.ID)
	}
	return err
}

// answer is what a source said of a claim and a face.
type answer struct {
	identity   Outcome
	portrait   Code // PortraitNone or PortraitPoor
	compared   bool
	comparison Comparison
}

// outcome is the answer as one word, with the code that it will be decided with.
func (a answer) outcome(at Score) (Outcome, Code) {
	switch {
	case a.identity == NoRecord:
		return NoRecord, IdentityUnknown
	case a.identity != Match:
		return NonMatched, IdentityMismatch
	case a.portrait != OK:
		return NoRecord, a.portrait
	case a.comparison.Score < at:
		return NonMatched, NonMatch
	}
	return Match, OK
}

// verify asks a plan's sources about a claim and a probe, given as an image for those that
// compare by themselves and as a template for the local engine.
func (s *Service) verify(ctx context.Context, p Plan, c Claim, image []byte, probe Template, asked *[]Asked) (answer, error) {
	r, err := s.route(p)
	if err != nil {
		return answer{}, err
	}
	var last answer
	_, err = follow(r.Sources, r.NextOn, Source.verifies, func(x Source) (Outcome, error) {
		begun, ctx := s.Now(), billed(ctx)
		a, err := s.ask(ctx, x, c, image, probe)
		out, code := a.outcome(p.MatchAt)
		if err != nil {
			out, code = Failed, CodeOf(err)
		} else if last.portrait == OK || a.identity == Match { // who knows the person says more than who does not
			last = a
		}
		*asked = append(*asked, Asked{Source: x.Name, Outcome: out, Code: code, Took: s.Now().Sub(begun), Cost: spent(ctx)})
		return out, err
	})
	return last, err
}

// ask asks one source.
func (s *Service) ask(ctx context.Context, x Source, c Claim, image []byte, probe Template) (a answer, err error) {
	if x.Face != nil {
		return askFace(ctx, x.Face, c, image)
	}
	if a.identity, err = x.Identity.Identity(ctx, c); err != nil || a.identity != Match {
		return a, sourceError("ask identity source", err)
	}
	ref, code, err := s.referenceOf(ctx, x.Portrait, c)
	if err != nil || code != OK {
		a.portrait = code
		return a, err
	}
	if a.comparison, err = s.Engine.Compare(probe, ref); err != nil {
		return a, Wrap(EngineFailed, "compare", err)
	}
	a.compared = true
	return a, nil
}

// askFace asks a source that compares by itself.
func askFace(ctx context.Context, f FaceSource, c Claim, image []byte) (answer, error) {
	out, score, err := f.Face(ctx, c, image)
	switch code := CodeOf(err); code {
	case OK:
	case IdentityMismatch:
		return answer{identity: NonMatched}, nil
	case IdentityUnknown:
		return answer{identity: NoRecord}, nil
	case PortraitNone, PortraitPoor:
		return answer{identity: Match, portrait: code}, nil
	default:
		return answer{}, sourceError("ask face source", err)
	}
	switch out {
	case NoRecord:
		return answer{identity: Match, portrait: PortraitNone}, nil
	case Match, NonMatched:
		// The threshold is the plan's, on the source's own scale of scores.
		return answer{identity: Match, compared: true, comparison: Comparison{Score: score}}, nil
	}
	return answer{}, Errorf(SourceFailed, "the source answered %q", out)
}

// sourceError gives an error of a source that has no code, or one of the inside, the code
// that it must have: the source did not answer.
func sourceError(doing string, err error) error {
	if code := CodeOf(err); code == Internal {
		return Wrap(SourceFailed, doing, err)
	}
	return err
}

// referenceOf returns the template of the claimed person's portrait, of the engine's model: as
// the source keeps it, or made of its image. code is PortraitNone or PortraitPoor.
func (s *Service) referenceOf(ctx context.Context, from PortraitSource, c Claim) (t Template, code Code, err error) {
	if ts, ok := from.(TemplateSource); ok {
		t, ok, err := ts.Template(ctx, c, s.Engine.Model())
		if err != nil {
			return t, OK, sourceError("ask portrait source", err)
		}
		if ok && t.Model == s.Engine.Model() {
			return t, OK, nil
		}
	}
	image, err := from.Portrait(ctx, c)
	if CodeOf(err) == PortraitNone {
		return t, PortraitNone, nil
	} else if err != nil {
		return t, OK, sourceError("ask portrait source", err)
	}
	x, err := s.examine(ctx, Picture{Image: image, Quality: LevelLow, Liveness: LevelNone})
	switch code := CodeOf(err); code {
	case OK:
		return x.Faces[0].Template, OK, nil
	case EngineFailed, Busy, Internal:
		return t, OK, Wrap(EngineFailed, "examine portrait", err)
	}
	return t, PortraitPoor, nil
}

// Verified is the answer of Verify.
type Verified struct {
	Identity Outcome
	// Code is OK where the face was compared; else IdentityMismatch, IdentityUnknown,
	// PortraitNone or PortraitPoor: an answer too.
	Code       Code
	Comparison Comparison
	Live       Score // of the picture, where its liveness was controlled
	Asked      []Asked
	LogID      string
}

// Verify compares the largest face of a picture with the authority's portrait of a claimed
// person directly, without a session, and charges one verification once an answer was
// reached. Codes of errors: Image*, quality codes, RefLiveness, QuotaNone, LimitTotal,
// SourceMissing, SourceFailed, EngineFailed, Busy. The sources are those of the server's order.
// ref is what the relying party is told to call it, "" where that is the log id.
func (s *Service) Verify(ctx context.Context, app App, c Claim, p Picture, logID, ref string) (Verified, error) {
	v := Verified{LogID: logID}
	if err := s.quota(ctx, app, ChargeVerify); err != nil {
		return v, err
	}
	d := Direct{ID: logID, Ref: ref, Protocol: viaOf(ctx), App: app.ID, Kind: ChargeVerify, At: s.Now().UTC(), Sandbox: app.Test}
	d.Keys = personKeys(nil, string(c.Name), string(c.Number))
	ctx = billed(WithCall(ctx, logID))
	var a answer
	var err error
	if app.Test {
		a, err = rehearseVerify(c.Number)
	} else {
		a, err = s.verifyDirectly(ctx, c, p, &v)
	}
	d.Asked = v.Asked
	if err != nil {
		return v, s.record(ctx, d, err)
	}
	v.Identity, v.Comparison = a.identity, a.comparison
	_, v.Code = a.outcome(0)
	d.Answered, d.Compared, d.Score = true, a.compared, a.comparison.Score
	d.Outcome, d.Why = a.outcome(ElementsMatchAt)
	return v, s.record(ctx, d, nil)
}

func (s *Service) verifyDirectly(ctx context.Context, c Claim, p Picture, v *Verified) (answer, error) {
	direct := Plan{ID: "of direct calls"}
	if err := s.verifiable(direct); err != nil {
		return answer{}, err
	}
	x, err := s.examine(ctx, p)
	if err != nil {
		return answer{}, err
	}
	v.Live = x.Faces[0].Live
	return s.verify(ctx, direct, c, p.Image, x.Faces[0].Template, &v.Asked)
}
