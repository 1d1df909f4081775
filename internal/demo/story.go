package demo

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"shiren/internal/ekyc"
)

// Shares of what happens. All are our choices: believable, and measured nowhere.
const (
	attends   = 0.94
	agrees    = 0.95
	allows    = 0.965 // the camera
	finishes  = 0.95  // the presentation
	retries   = 0.62
	maxTries  = 4
	falls     = 0.12 // to the recorded kind
	chooses   = 0.06 // the alternative kind
	dies      = 0.002
	settles   = 0.2 // Huawei's sessions without a camera
	misreads  = 0.22
	ownKnows  = 0.35 // what the free source knows; the rest is asked of the paid one
	connected = 0.996
)

// weighted is a code and how often it is what comes of an attempt, in thousandths.
type weighted struct {
	code ekyc.Code
	n    float64
}

var (
	troubles = []weighted{
		{ekyc.NoFace, 9},
		{ekyc.FaceDark, 8},
		{ekyc.FaceBlurred, 9},
		{ekyc.FaceBright, 4},
		{ekyc.FaceTurned, 5},
		{ekyc.FaceSmall, 4},
		{ekyc.EyesClosed, 4},
		{ekyc.FaceCut, 3},
		{ekyc.SeveralFaces, 2},
		{ekyc.EngineFailed, 0.5},
		{ekyc.Busy, 0.8},
	}
	recordings = []weighted{{ekyc.VideoTooShort, 14}, {ekyc.VideoFormat, 9}, {ekyc.VideoDamaged, 4}, {ekyc.VideoTooLong, 3}}
	attacks    = []weighted{{ekyc.ChallengeUnmet, 12}, {ekyc.LivenessFailed, 7}, {ekyc.ChallengeStale, 2}, {ekyc.FaceChanged, 1}, {ekyc.RiskRefused, 2.5}}
	answers    = []weighted{
		{ekyc.IdentityMismatch, 11}, {ekyc.IdentityUnknown, 4}, {ekyc.PortraitNone, 5}, {ekyc.PortraitPoor, 1.5}, {ekyc.NonMatch, 14}, {ekyc.SourceFailed, 3},
	}
	misreadings = []ekyc.Code{ekyc.DocumentBlurred, ekyc.DocumentGlare, ekyc.DocumentCut, ekyc.DocumentWrongSide, ekyc.DocumentNone, ekyc.DocumentDark}
)

// lot picks one of a list, or OK; n is multiplied.
func lot(r *rand.Rand, list []weighted, times float64) ekyc.Code {
	x := r.Float64() * 1000
	for _, w := range list {
		if x -= w.n * times; x < 0 {
			return w.code
		}
	}
	return ekyc.OK
}

// story is a session as it goes on.
type story struct {
	*world
	r      *rand.Rand
	ses    *ekyc.Session
	at     time.Time
	attack bool // the person is an attacker
	images bool
}

func (s *story) wait(from, to float64) { s.at = s.at.Add(between(s.r, from, to)) }

// session makes one that was opened at a moment, as it is in the end.
func (w *world) session(ctx context.Context, r *rand.Rand, at time.Time) (ekyc.Session, error) {
	x := r.IntN(w.weights)
	i := 0
	for ; x >= w.scenes[i].weight; i++ {
		x -= w.scenes[i].weight
	}
	sc := w.scenes[i]
	ses := ekyc.Session{
		Token: token(r), App: sc.plan.App, Plan: sc.plan, Protocol: sc.protocol, Opened: at, Sandbox: sc.sandbox,
		Redirect: ekyc.Redirect{Success: "https://demo.example/success", Failed: "https://demo.example/failed"},
	}
	s := &story{world: w, r: r, ses: &ses, at: at, images: w.pictured, attack: chance(r, 0.004) || w.raid(at) && chance(r, 0.35)}
	claim := w.person(r)
	if sc.protocol == "huawei" {
		ses.Opener, ses.Subject = "huawei", ekyc.SubjectID("demo-"+logID(r)[:10])
		if chance(r, settles) {
			return ses, s.settle()
		}
	}
	if sc.plan.Identity == ekyc.IdentityDeclared {
		ses.Claim = &claim
	}
	if sc.plan.Comparison == ekyc.CompareUploaded {
		ses.Reference = &ekyc.Reference{Evidence: ekyc.Evidence{
			Ref: ref(ses.Token, "reference"), Kind: ekyc.EvidenceReference, Type: "image/jpeg", Until: at.Add(ekyc.TokenWindow + ekyc.ResultKept),
		}}
	}
	if s.images {
		var err error
		if ses.Key, err = w.c.Sealer.NewKey(); err != nil {
			return ses, err
		}
		if ses.Reference != nil {
			if ses.Reference.Evidence, err = s.keep(ctx, ekyc.EvidenceReference, 0, 0, ses.Reference.Evidence.Until); err != nil {
				return ses, err
			}
		}
	}
	return ses, s.visit(ctx, claim)
}

// settle is a session in which somebody only agrees.
func (s *story) settle() error {
	p := &s.ses.Plan
	s.ses.Purpose = ekyc.PurposeConfirm
	if chance(s.r, 0.3) {
		s.ses.Purpose = ekyc.PurposeDisclose
	}
	p.Comparison, p.Identity, p.Liveness, p.EndsOnFailure = ekyc.CompareNone, ekyc.IdentityNone, ekyc.LivenessNone, true
	if s.wait(4, 90); !chance(s.r, attends) {
		return nil
	}
	s.ses.Attended = s.at
	if s.wait(3, 30); !chance(s.r, agrees) {
		return nil
	}
	code := ekyc.OK
	if s.ses.Purpose == ekyc.PurposeConfirm && chance(s.r, 0.06) {
		code = ekyc.IdentityMismatch
	}
	return s.ses.Settle(s.at, p.Consent.Version, code, logID(s.r))
}

// visit is what happens on the page.
func (s *story) visit(ctx context.Context, claim ekyc.Claim) error {
	r, ses := s.r, s.ses
	if s.wait(4, 90); !chance(r, attends) {
		return nil
	}
	ses.Attended = s.at
	if s.wait(3, 25); !chance(r, agrees) {
		return nil
	}
	ses.Agreement = &ekyc.Agreement{Version: ses.Plan.Consent.Version, At: s.at}
	switch ses.Plan.Identity {
	case ekyc.IdentityEntered:
		if s.wait(8, 40); !chance(r, 0.98) {
			return nil
		}
		ses.Claim = &claim
	case ekyc.IdentityDocument:
		if done, err := s.read(ctx, claim); !done {
			return err
		}
	}
	if s.wait(2, 15); !chance(r, allows) {
		if chance(r, 0.6) {
			return ses.Fail(s.at, ekyc.CameraRefused, logID(r))
		}
		return nil
	}
	for try := 1; try <= maxTries; try++ {
		if try > 1 {
			s.wait(4, 25)
		}
		if s.at.Sub(ses.Opened) > ekyc.TokenWindow-10*time.Minute {
			return nil
		}
		over, err := s.try(ctx)
		if over || err != nil || ses.State(s.at) != ekyc.Open || !chance(r, retries) {
			return err
		}
	}
	return nil
}

// read photographs the document.
func (s *story) read(ctx context.Context, claim ekyc.Claim) (done bool, err error) {
	r, ses := s.r, s.ses
	call := func(code ekyc.Code) string {
		s.wait(3, 20)
		id := logID(r)
		ses.Tries++
		ses.Calls = append(ses.Calls, ekyc.Call{Interface: ekyc.CallOCR, Code: code, At: s.at, LogID: id, Attempt: 1})
		return id
	}
	var id string
	for range 2 {
		for chance(r, misreads) && ses.Tries < 6 {
			call(pick(r, misreadings))
		}
		if chance(r, 0.015) { // gives up
			return false, nil
		}
		id = call(ekyc.OK)
		ses.Read = append(ses.Read, ekyc.Charge{
			ID: fmt.Sprintf("%s-ocr-%d", ses.Token.Digest()[:32], ses.Tries), App: ses.App, Plan: ses.Plan.ID, Kind: ekyc.ChargeOCR,
			At: s.at, LogID: id, Attempt: 1, Sandbox: ses.Sandbox,
		})
	}
	ses.Document = s.document(r, claim, s.at, id)
	if s.images {
		for i, x := range []*ekyc.CardRecord{ses.Document.Front, ses.Document.Back} {
			e, err := s.keep(ctx, []ekyc.EvidenceKind{ekyc.EvidenceCardFront, ekyc.EvidenceCardBack}[i], 0, 0, s.at.Add(ekyc.ResultKept))
			if err != nil {
				return false, err
			}
			x.Crop = e.Ref
			ses.Evidence = append(ses.Evidence, e)
		}
	}
	s.wait(4, 25)
	given := map[ekyc.CardField]string{}
	if w := ses.Document.Front.Reading.Words[ekyc.CardAddress]; w.Doubtful {
		given[ekyc.CardAddress] = w.Value
	}
	return true, ses.Confirm(s.at, given)
}

// try is one presentation, from the challenge to the decision. over tells that nobody goes on.
func (s *story) try(ctx context.Context) (over bool, err error) {
	r, ses := s.r, s.ses
	kind := ses.Plan.Liveness
	switch {
	case ses.Plan.Fallback != "" && chance(r, falls):
		kind = ses.Plan.Fallback
	case ses.Plan.Alternative != "" && chance(r, chooses):
		kind = ses.Plan.Alternative
	}
	c := ekyc.Draw(kind, ses.Plan, source{r}, s.at)
	if err := ses.Ask(s.at, c, logID(r)); err != nil {
		return true, err
	}
	c.Started = s.at.Add(between(r, 1.5, 5))
	s.at = c.Started.Add(between(r, 1, 3))
	if n := len(c.Cues); n > 0 {
		s.at = c.Started.Add(c.Cues[n-1].After + c.Cues[n-1].For)
	}
	if !chance(r, finishes) {
		s.wait(1, 20)
		if chance(r, 0.3) {
			return true, nil // closes the page
		}
		code := pick(r, []ekyc.Code{ekyc.Cancelled, ekyc.Cancelled, ekyc.TimedOut})
		return code == ekyc.Cancelled && chance(r, 0.5), ses.Fail(s.at, code, logID(r))
	}
	if kind.Recorded() {
		s.wait(4, 12) // the upload
	}
	ordinal, _, err := ses.Answer(s.at, c.ID, kind, logID(r))
	if err != nil || chance(r, dies) {
		return true, err
	}
	f := s.find(c)
	if s.images && f.Measured {
		if err := s.portraits(ctx, &f, ordinal); err != nil {
			return true, err
		}
	}
	took := 250 + 120*math.Exp(1.1*r.NormFloat64())
	for _, a := range f.Asked {
		took += float64(a.Took.Milliseconds())
	}
	s.at = s.at.Add(time.Duration(min(took, 40_000)) * time.Millisecond)
	_, err = ses.Finish(s.at, ordinal, f)
	return false, err
}

// find is what is measured of a presentation, and what sources say. What is decided of it is the core's affair.
func (s *story) find(c ekyc.Challenge) (f ekyc.Findings) {
	r, p := s.r, s.ses.Plan
	list := troubles
	if c.Kind.Recorded() && c.Kind != ekyc.RecordedPicture {
		list = append(append([]weighted{}, troubles...), recordings...)
	}
	if code := lot(r, list, 1); code != ekyc.OK {
		return ekyc.Findings{Failure: code}
	}
	refused := lot(r, attacks, 1)
	if s.attack {
		refused = lot(r, attacks, 38)
	}
	f.Measured, f.Live = true, ekyc.Score(1-0.45*math.Pow(r.Float64(), 3))
	if p.Risk || p.Spoofing {
		f.Risk = &ekyc.Risk{Level: 4, Score: 0.1 * r.Float64()}
		if chance(r, 0.04) {
			f.Risk = &ekyc.Risk{Level: 3, Score: 0.3, Signals: []ekyc.Signal{{Name: "failed_before", Weight: 0.2, Value: 1}}}
		}
	}
	code := ekyc.OK
	switch refused {
	case ekyc.LivenessFailed:
		f.Live = ekyc.Score(0.04 * r.Float64())
	case ekyc.ChallengeUnmet, ekyc.ChallengeStale:
		if code, f.Live = refused, ekyc.Score(0.15+0.8*r.Float64()); len(c.Cues) == 0 { // nothing was asked
			code, f.Live = ekyc.OK, ekyc.Score(0.04*r.Float64())
		}
	case ekyc.FaceChanged:
		f.Changed = true
	case ekyc.RiskRefused:
		if p.Risk {
			f.Risk = &ekyc.Risk{Level: 1, Score: 0.95, Spoofing: 0.95, Tags: []string{"frames_reused", "virtual_camera"}, Signals: []ekyc.Signal{
				{Name: "frames_reused", Value: 1, Weight: 0.9}, {Name: "virtual_camera", Value: 1, Weight: 0.6},
			}}
		}
	}
	f.Response = s.respond(c, code)
	if refused != ekyc.OK && f.Risk != nil && refused != ekyc.RiskRefused && chance(r, 0.4) {
		f.Risk = &ekyc.Risk{Level: 2, Score: 0.6, Tags: []string{"virtual_camera"}, Signals: []ekyc.Signal{{Name: "virtual_camera", Value: 1, Weight: 0.6}}}
	}
	s.compare(&f, refused != ekyc.OK)
	return f
}

// compare asks the plan's sources, or compares with the uploaded image.
func (s *story) compare(f *ekyc.Findings, refused bool) {
	r := s.r
	if s.ses.Plan.Comparison == ekyc.CompareNone || refused {
		return
	}
	answer := lot(r, answers, 1)
	if s.attack && answer == ekyc.OK && chance(r, 0.8) {
		answer = ekyc.NonMatch
	}
	if s.ses.Plan.Comparison == ekyc.CompareUploaded {
		if answer != ekyc.NonMatch {
			answer = ekyc.OK
		}
		f.Compared, f.Comparison = true, compared(r, answer == ekyc.OK)
		return
	}
	if s.outage(s.at) && chance(r, 0.7) {
		answer = ekyc.SourceFailed
	}
	f.Identity = ekyc.Match
	switch answer {
	case ekyc.IdentityMismatch:
		f.Identity = ekyc.NonMatched
	case ekyc.IdentityUnknown:
		f.Identity = ekyc.NoRecord
	case ekyc.PortraitNone, ekyc.PortraitPoor:
		f.Portrait = answer
	case ekyc.SourceFailed:
		f.Identity, f.Failure = ekyc.NotRun, answer
	default:
		f.Compared, f.Comparison = true, compared(r, answer == ekyc.OK)
	}
	f.Asked = asked(r, answer)
}

// asked is who was asked until somebody answered so.
func asked(r *rand.Rand, answer ekyc.Code) []ekyc.Asked {
	out := map[ekyc.Code]ekyc.Outcome{
		ekyc.OK: ekyc.Match, ekyc.IdentityMismatch: ekyc.NonMatched, ekyc.NonMatch: ekyc.NonMatched, ekyc.SourceFailed: ekyc.Failed,
	}
	outcome, ok := out[answer]
	if !ok {
		outcome = ekyc.NoRecord
	}
	own := ekyc.Asked{Source: ownSource, Outcome: outcome, Code: answer, Took: between(r, 0.004, 0.03)}
	if (outcome == ekyc.Match || outcome == ekyc.NonMatched) && chance(r, ownKnows) {
		return []ekyc.Asked{own}
	}
	own.Outcome, own.Code = ekyc.NoRecord, ekyc.IdentityUnknown
	paid := ekyc.Asked{Source: paidSource, Outcome: outcome, Code: answer, Took: time.Duration(180+140*math.Exp(0.7*r.NormFloat64())) * time.Millisecond, Cost: paidCost}
	if outcome == ekyc.Failed {
		paid.Took, paid.Cost = between(r, 2, 20), 0
	}
	return []ekyc.Asked{own, paid}
}

// compared is a comparison of the same person, or of two. Scores follow from false match rates as
// docs/ARCHITECTURE.md, "Scores", has it.
func compared(r *rand.Rand, same bool) ekyc.Comparison {
	l := math.Min(3.9, math.Abs(0.9+0.8*r.NormFloat64()))
	if same {
		l = math.Max(4.05, 5.7+1.1*r.NormFloat64())
	}
	score := 0.2 * l
	if l > 4 {
		score = 1 - 0.2*math.Pow(10, -(l-4)/2)
	}
	return ekyc.Comparison{Similarity: math.Min(0.95, 0.08+0.09*l), FMR: math.Pow(10, -l), Extrapolated: l > 6, Score: ekyc.Score(score)}
}

// respond is how a challenge was answered; nil where nothing was asked.
func (s *story) respond(c ekyc.Challenge, code ekyc.Code) *ekyc.Response {
	if len(c.Cues) == 0 {
		return nil
	}
	r := s.r
	met := code == ekyc.OK
	x := &ekyc.Response{Kind: c.Kind, Code: code, Chance: math.Pow(10, -5.5-3*r.Float64()), Lag: between(r, 0.09, 0.42)}
	switch code {
	case ekyc.ChallengeUnmet:
		x.Chance, x.Why = 0.02+0.9*r.Float64(), "demo data: too few cues were answered"
	case ekyc.ChallengeStale:
		x.Lag, x.Why = between(r, 1.1, 1.9), "demo data: the answers came too late"
	}
	switch c.Kind {
	case ekyc.LivenessFlash:
		x.Skin, x.Back = 0.02+0.05*r.Float64(), 0.004*r.Float64()
		if !met {
			x.Skin = 0.006 * r.Float64()
		}
	case ekyc.LivenessDistance, ekyc.LivenessAction, ekyc.RecordedAction:
		if x.Depth = 1.2 + 1.5*r.Float64(); !met {
			x.Depth = 0.6 * r.Float64()
		}
	}
	for _, cue := range c.Cues {
		got := ekyc.CueResponse{N: cue.N, Met: true, Lag: x.Lag, Size: 0.75 + 0.25*r.Float64()}
		switch {
		case !met && code == ekyc.ChallengeUnmet && chance(r, 0.6):
			got.Met, got.Size = false, 0.8*r.Float64()-0.4
		case c.Kind == ekyc.LivenessFlash && chance(r, 0.08): // noise
			got.Met, got.Size = false, 0.5*r.Float64()
		case c.Kind == ekyc.LivenessDistance:
			got.Size = cue.Scale * (0.97 + 0.06*r.Float64())
		case c.Kind != ekyc.LivenessFlash:
			got.Lag, got.Size = between(r, 0.3, 1.1), 1.1+1.6*r.Float64()
		}
		if c.Kind == ekyc.LivenessFlash { // the skin follows the screen as far as the cue's size says
			for i, against := range []int{0, 2} {
				got.Seen[i] = x.Skin * got.Size
				if cue.Colour[against] < cue.Colour[1] {
					got.Seen[i] = -got.Seen[i]
				}
			}
		}
		x.Cues = append(x.Cues, got)
	}
	return x
}

// direct is a call without a session.
func (w *world) direct(r *rand.Rand, at time.Time) ekyc.Direct {
	id := logID(r)
	d := ekyc.Direct{ID: id, App: appBaidu, Protocol: "baidu", At: at, Took: time.Duration(60+90*math.Exp(0.8*r.NormFloat64())) * time.Millisecond}
	switch x := r.Float64(); {
	case x < 0.45:
		d.App, d.Protocol, d.Kind, d.Ref = appJuhe, "juhe", ekyc.ChargeElements, "DEMO"+id
		w.elements(r, &d)
		return d
	case x < 0.7:
		d.Kind = ekyc.ChargeMatch
	case x < 0.9:
		d.Kind = ekyc.ChargeVerify
	default:
		d.Kind = ekyc.ChargeOCR
	}
	d.Sandbox = chance(r, 0.02)
	if d.Sandbox {
		d.App = appTest
	}
	if d.Code = lot(r, troubles, 1.2); d.Code != ekyc.OK {
		return d
	}
	switch d.Kind {
	case ekyc.ChargeMatch:
		d.Compared, d.Score = true, compared(r, chance(r, 0.94)).Score
	case ekyc.ChargeVerify:
		answer := lot(r, answers, 1)
		if w.outage(at) && chance(r, 0.7) {
			answer = ekyc.SourceFailed
		}
		d.Asked = asked(r, answer)
		for _, a := range d.Asked {
			d.Took += a.Took
			d.Cost += a.Cost
		}
		switch answer {
		case ekyc.SourceFailed:
			d.Code = answer
			return d
		case ekyc.OK, ekyc.NonMatch:
			d.Compared, d.Score = true, compared(r, answer == ekyc.OK).Score
		}
	}
	d.Answered = true
	return d
}

// elements is a check of name, number, mobile number and portrait.
func (w *world) elements(r *rand.Rand, d *ekyc.Direct) {
	said := func(match, non float64) ekyc.Outcome {
		switch x := r.Float64(); {
		case w.outage(d.At) && chance(r, 0.7) || !chance(r, connected):
			return ekyc.Failed
		case x < match:
			return ekyc.Match
		case x < match+non:
			return ekyc.NonMatched
		}
		return ekyc.NoRecord
	}
	d.Took += between(r, 0.15, 0.6)
	d.Elements = ekyc.Checked{Identity: said(0.95, 0.035), Mobile: said(0.88, 0.08)}
	if d.Elements.Identity == ekyc.Match {
		if d.Elements.Portrait = said(0.93, 0.05); d.Elements.Portrait == ekyc.Match || d.Elements.Portrait == ekyc.NonMatched {
			d.Compared, d.Score = true, compared(r, d.Elements.Portrait == ekyc.Match).Score
		}
	}
	answered := func(o ekyc.Outcome) bool { return o == ekyc.Match || o == ekyc.NonMatched }
	d.Answered = answered(d.Elements.Identity) || answered(d.Elements.Mobile)
	one := ekyc.Asked{Source: paidSource, Outcome: d.Elements.Identity, Took: d.Took}
	switch one.Outcome {
	case ekyc.NonMatched:
		one.Code = ekyc.IdentityMismatch
	case ekyc.NoRecord:
		one.Code = ekyc.IdentityUnknown
	case ekyc.Failed:
		one.Code = ekyc.SourceFailed
	}
	if d.Answered {
		one.Cost = paidCost
	}
	d.Asked, d.Cost = []ekyc.Asked{one}, one.Cost
}
