package ekyc

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"shiren/internal/cnid"
)

// SandboxCase is one scripted answer. An app in test mode gets it for the case's magic
// identity, whatever the name, or for its magic picture.
type SandboxCase struct {
	// Name says what is answered: a Code, or the outcomes of identity, portrait and mobile
	// number, as in "match-non_match-no_record".
	Name string
	// Number has a check character that fits and a region code from 990000 up, which GB/T
	// 2260 gives to no place: nobody can have it.
	Number cnid.Number
	// Code ends what is asked; OK where outcomes are answered.
	Code Code
	Checked
	Score   Score // of the comparison
	Carrier Carrier
}

// Scores of scripted comparisons. Our choice: plainly on either side of any threshold.
const (
	sandboxMatch    Score = 0.9827 // the vendor's own example shows 982.7
	sandboxNonMatch Score = 0.3141
)

// sandboxBorn and sandboxSequence fill magic numbers: born on 1990-03-07, number 001.
const sandboxRest = "19900307001"

func magic(region int) cnid.Number {
	digits := fmt.Sprintf("%06d%s", region, sandboxRest)
	return cnid.Number(digits + string(cnid.CheckCharacter(digits)))
}

// sandboxCodes gives each scripted code the end of its region code, 991nnn. A number that
// was given out is never given to another code.
var sandboxCodes = []struct {
	n    int
	code Code
}{
	{1, AppUnknown},
	{2, QuotaNone},
	{3, AppExpired},
	{4, SecretWrong},
	{5, AppUnreviewed},
	{7, AddressUnlisted},
	{8, AddressBanned},
	{9, AppDisabled},
	{10, LimitAddressRate},
	{11, LimitAddressDay},
	{12, LimitTotal},
	{13, LimitTest},
	{14, Internal},
	{15, LimitRate},
	{16, LimitDay},
	{17, LimitAddressTotal},
	{20, Maintenance},
	{21, Stopped},

	{101, BadRequest},
	{102, MissingParam},
	{103, UnknownMethod},
	{104, BodyTooLarge},
	{105, AccessInvalid},
	{106, AccessExpired},
	{107, AccessMissing},
	{108, SignatureWrong},
	{201, PlanUnknown},
	{202, PlanForeign},
	{203, TokenInvalid},
	{204, NotStarted},
	{205, Undecided},
	{206, NotSwitchedOn},
	{207, ConsentMissing},
	{208, ClaimMissing},
	{209, RefMissing},
	{210, EvidenceGone},
	{301, BadName},
	{302, BadIDNumber},
	{303, BadDocumentType},
	{304, BadMobile},
	{305, IdentityMismatch},
	{306, IdentityUnknown},
	{307, PortraitNone},
	{308, PortraitPoor},
	{309, SourceFailed},
	{310, SourceMissing},
	{401, ImageEmpty},
	{402, ImageNotBase64},
	{403, ImageTooLarge},
	{404, ImagePixels},
	{405, ImageFormat},
	{406, ImageHEIC},
	{407, ImageAnimated},
	{408, ImageDamaged},
	{501, VideoTooLarge},
	{502, VideoTooLong},
	{503, VideoTooShort},
	{504, VideoFormat},
	{505, VideoDamaged},
	{506, VideoSilent},
	{601, NoFace},
	{602, SeveralFaces},
	{603, FaceSmall},
	{604, FaceBlurred},
	{605, FaceDark},
	{606, FaceBright},
	{607, FaceCut},
	{608, FaceTurned},
	{609, EyesClosed},
	{701, LivenessFailed},
	{702, ChallengeStale},
	{703, ChallengeUnmet},
	{704, FaceChanged},
	{705, RiskRefused},
	{706, NonMatch},
	{707, RefLiveness},
	{801, CameraRefused},
	{802, Cancelled},
	{803, TimedOut},
	{804, Interrupted},
	{805, EngineFailed},
	{806, Busy},
	{901, DocumentNone},
	{902, DocumentOther},
	{903, DocumentWrongSide},
	{904, DocumentBlurred},
	{905, DocumentCut},
	{906, DocumentGlare},
	{907, DocumentDark},
	{908, DocumentExpired},
	{909, DocumentCopy},
	{910, DocumentDoubtful},
	{911, BadDocumentField},
	{912, DocumentTries},
	{920, SubjectForeign},
	{921, SubjectUnverified},
	{922, LimitSubject},
	{923, NameRare},
	{924, Undisclosed},
	{925, Replayed},
}

// sandboxOutcomes are the digits of the outcomes in region codes 990ipm; 0 is NotRun.
var sandboxOutcomes = []Outcome{NotRun, Match, NonMatched, NoRecord, Failed}

// SandboxCases lists every scripted answer: all combinations of outcomes that can come
// about, the other carriers, and codes. The slice is the caller's own.
func SandboxCases() []SandboxCase { return slices.Clone(sandboxCases()) }

var sandboxCases = sync.OnceValue(func() (list []SandboxCase) {
	name := func(o Outcome) string {
		if o == NotRun {
			return "not_run"
		}
		return string(o)
	}
	for i := 1; i <= 4; i++ {
		for p := range sandboxOutcomes {
			for m := 1; m <= 4; m++ {
				if (p == 0) == (i == 1) {
					continue // a portrait is compared where the identity matches, and only there
				}
				c := Checked{sandboxOutcomes[i], sandboxOutcomes[p], sandboxOutcomes[m]}
				list = append(list, SandboxCase{
					Name: name(c.Identity) + "-" + name(c.Portrait) + "-" + name(c.Mobile), Number: magic(990000 + 100*i + 10*p + m),
					Checked: c, Score: sandboxScore(c.Portrait), Carrier: ChinaMobile,
				})
			}
		}
	}
	all := Checked{Match, Match, Match}
	for i, c := range []Carrier{ChinaUnicom, ChinaTelecom, ChinaBroadcast, ""} {
		one := SandboxCase{Name: "match-match-match, carrier " + string(c), Number: magic(992001 + i), Checked: all, Score: sandboxMatch, Carrier: c}
		if c == "" {
			one.Name += "unknown"
		}
		list = append(list, one)
	}
	for _, x := range sandboxCodes {
		list = append(list, SandboxCase{Name: string(x.code), Number: magic(991000 + x.n), Code: x.code})
	}
	return list
})

func sandboxScore(portrait Outcome) Score {
	switch portrait {
	case Match:
		return sandboxMatch
	case NonMatched:
		return sandboxNonMatch
	}
	return 0
}

func sandboxCase(is func(SandboxCase) bool) (SandboxCase, bool) {
	if i := slices.IndexFunc(sandboxCases(), is); i >= 0 {
		return sandboxCases()[i], true
	}
	return SandboxCase{}, false
}

func sandboxIdentity(n cnid.Number) (SandboxCase, bool) {
	return sandboxCase(func(c SandboxCase) bool { return c.Number == n })
}

// rehearseElements answers Elements in test mode. An identity that is no case is in no
// record: the sandbox knows nobody, and asks nobody.
func rehearseElements(n cnid.Number) (Elements, error) {
	c, ok := sandboxIdentity(n)
	if !ok {
		return Elements{Checked: Checked{Identity: NoRecord, Mobile: NoRecord}}, nil
	}
	e := Elements{Checked: c.Checked, Score: c.Score, Compared: c.Score > 0, Carrier: c.Carrier}
	switch c.Code {
	case OK:
	case IdentityMismatch:
		e = Elements{Checked: Checked{Identity: NonMatched, Mobile: Match}, Carrier: ChinaMobile}
	case IdentityUnknown:
		e = Elements{Checked: Checked{Identity: NoRecord, Mobile: Match}, Carrier: ChinaMobile}
	case NonMatch, LivenessFailed:
		e = Elements{Checked: Checked{Match, NonMatched, Match}, Score: sandboxNonMatch, Compared: true, Carrier: ChinaMobile}
	case PortraitNone:
		e = Elements{Checked: Checked{Match, NoRecord, Match}, Why: c.Code, Carrier: ChinaMobile}
	case PortraitPoor, NoFace, SeveralFaces, FaceSmall, FaceBlurred, FaceDark, FaceBright, FaceCut, FaceTurned, EyesClosed,
		ImagePixels, ImageFormat, ImageHEIC, ImageAnimated, ImageDamaged:
		e = Elements{Checked: Checked{Match, Failed, Match}, Why: c.Code, Carrier: ChinaMobile}
	case SourceFailed:
		e = Elements{Checked: Checked{Identity: Failed, Mobile: Failed}}
	default:
		return Elements{}, scripted(c.Name, c.Code)
	}
	return e, nil
}

// mobileOnly is what is left of a scripted answer when the mobile number alone is asked
// about: it is not the number of a person who does not exist under that name.
func (e Elements) mobileOnly() Elements {
	if e.Identity == NonMatched && e.Mobile == Match {
		e.Mobile = NonMatched
	}
	return Elements{Checked: Checked{Mobile: e.Mobile}, Carrier: e.Carrier}
}

// rehearseVerify answers Verify in test mode. An identity that is no case is in no record.
func rehearseVerify(n cnid.Number) (answer, error) {
	c, ok := sandboxIdentity(n)
	if !ok {
		return answer{identity: NoRecord}, nil
	}
	switch c.Code {
	case OK:
		if c.Identity == Failed || c.Portrait == Failed {
			return answer{}, scripted(c.Name, SourceFailed)
		}
		a := answer{identity: c.Identity, compared: c.Score > 0, comparison: Comparison{Score: c.Score}}
		if c.Portrait == NoRecord {
			a.portrait = PortraitNone
		}
		return a, nil
	case IdentityMismatch:
		return answer{identity: NonMatched}, nil
	case IdentityUnknown:
		return answer{identity: NoRecord}, nil
	case PortraitNone, PortraitPoor:
		return answer{identity: Match, portrait: c.Code}, nil
	case NonMatch:
		return answer{identity: Match, compared: true, comparison: Comparison{Score: sandboxNonMatch}}, nil
	}
	return answer{}, scripted(c.Name, c.Code)
}

// rehearseCard answers a magic picture that is to be read as a document: its case's
// refusal. Any other picture of an app in test mode is read.
func rehearseCard(test bool, image []byte) error {
	if !test {
		return nil
	}
	if c, ok := sandboxPicture(image); ok && c.Code != OK {
		return scripted(c.Name, c.Code)
	}
	return nil
}

// sandboxMark begins the comment by which a magic picture is known.
const sandboxMark = "shiren sandbox: "

// sandboxJPEG is an 8x8 grey picture, between whose first two bytes and the rest the comment goes.
var sandboxJPEG = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	b.WriteString("\xff\xdb\x00\x43\x00") // one quantisation table, all ones
	b.Write(bytes.Repeat([]byte{1}, 64))
	b.WriteString("\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00")           // 8 bits, 8x8, one component
	b.WriteString("\xff\xc4\x00\x14\x00\x01" + strings.Repeat("\x00", 15) + "\x00") // DC: one code, no bits follow
	b.WriteString("\xff\xc4\x00\x14\x10\x01" + strings.Repeat("\x00", 15) + "\x00") // AC: one code, end of block
	b.WriteString("\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + "\x3f" + "\xff\xd9") // two bits 0, padded with ones
	return b.Bytes()
})

// SandboxPicture is the magic picture of a case: a JPEG of one grey block, with the case's
// name in its comment.
func SandboxPicture(name string) []byte {
	text := sandboxMark + name
	b := append([]byte("\xff\xd8\xff\xfe"), byte((len(text)+2)>>8), byte(len(text)+2))
	return append(append(b, text...), sandboxJPEG()...)
}

func sandboxPicture(image []byte) (SandboxCase, bool) {
	head := image[:min(len(image), 128)]
	i := bytes.Index(head, []byte(sandboxMark))
	if i < 0 {
		return SandboxCase{}, false
	}
	return sandboxCase(func(c SandboxCase) bool { return bytes.Equal(image, SandboxPicture(c.Name)) })
}

// rehearseCompare answers Compare in test mode for magic pictures; nil where neither is
// one: the engine compares those, which belong to nobody's records.
func (s *Service) rehearseCompare(app App, a, b Picture) (*Compared, error) {
	if !app.Test {
		return nil, nil
	}
	c, ok := sandboxPicture(a.Image)
	if !ok {
		if c, ok = sandboxPicture(b.Image); !ok {
			return nil, nil
		}
	}
	score := c.Score
	switch {
	case c.Code == NonMatch:
		score = sandboxNonMatch
	case c.Code != OK:
		return nil, scripted(c.Name, c.Code)
	case score == 0:
		return nil, scripted(c.Name, NoFace)
	}
	return &Compared{Comparison: Comparison{Score: score}}, nil
}

// examineReference examines an uploaded reference. Of a session in test mode a magic
// picture is not looked at: its case is answered, here where a picture is refused, else
// when the attempt is made.
func (s *Service) examineReference(ctx context.Context, ses Session, p Picture) (scriptedAs string, x Examination, err error) {
	if ses.Sandbox {
		if c, ok := sandboxPicture(p.Image); ok {
			if c.at(stepRequest) || c.at(stepPicture) {
				return "", x, scripted(c.Name, c.Code)
			}
			return c.Name, x, nil
		}
	}
	x, err = s.examine(ctx, p)
	return "", x, err
}

// rehearse answers a magic identity whose case is a refusal of the request.
func (s *Session) rehearse(n cnid.Number) error {
	if !s.Sandbox {
		return nil
	}
	if c, ok := sandboxIdentity(n); ok && c.at(stepRequest) {
		return scripted(c.Name, c.Code)
	}
	return nil
}

// scene is the case that an attempt of the session plays, if any.
func (s *Session) scene() (SandboxCase, bool) {
	switch {
	case !s.Sandbox:
	case s.Reference != nil && s.Reference.Scripted != "":
		return sandboxCase(func(c SandboxCase) bool { return c.Name == s.Reference.Scripted })
	case s.Claim != nil:
		return sandboxIdentity(s.Claim.Number)
	}
	return SandboxCase{}, false
}

// step is where in a session's course a case's code is answered.
type step int

const (
	stepRequest step = iota // at once, to whoever declares the identity or uploads the picture
	stepPicture             // when a picture is uploaded; of an identity, by the attempt
	stepAttempt             // by the attempt
	stepNever               // no attempt comes about
	stepWait                // none has come about yet
)

func (c SandboxCase) at(s step) bool {
	if c.Code == OK {
		return s == stepAttempt
	}
	switch c.Code {
	case ImageEmpty, ImageNotBase64, ImageTooLarge, ImagePixels, ImageFormat, ImageHEIC, ImageAnimated, ImageDamaged,
		NoFace, SeveralFaces, FaceSmall, FaceBlurred, FaceDark, FaceBright, FaceCut, FaceTurned, EyesClosed, RefLiveness:
		return s == stepPicture
	case LivenessFailed, ChallengeStale, ChallengeUnmet, FaceChanged, RiskRefused, NonMatch, Interrupted, EngineFailed, Busy,
		IdentityMismatch, IdentityUnknown, PortraitNone, PortraitPoor, SourceFailed, SourceMissing,
		VideoTooLarge, VideoTooLong, VideoTooShort, VideoFormat, VideoDamaged, VideoSilent:
		return s == stepAttempt
	case CameraRefused, Cancelled, TimedOut:
		return s == stepNever
	case NotStarted, Undecided:
		return s == stepWait
	}
	return s == stepRequest
}

// play makes the attempt of a scripted session whose results are asked for before anybody
// went in front of a camera, so that results can be tried without one.
func (s *Service) play(ctx context.Context, ses Session) (Session, error) {
	c, ok := ses.scene()
	if !ok || len(ses.Attempts) > 0 || ses.Usable(s.Now()) != nil {
		return ses, nil
	}
	if c.at(stepWait) {
		return ses, scripted(c.Name, c.Code)
	}
	logID := s.LogID()
	if c.at(stepNever) {
		late := false
		next, err := s.update(ctx, ses.Token, func(ses *Session) error {
			if late = len(ses.Attempts) > 0; late { // somebody else was quicker
				return nil
			}
			return ses.Fail(s.Now().UTC(), c.Code, logID)
		})
		if err == nil && !late {
			s.ended(&next, next.Attempts[len(next.Attempts)-1])
		}
		return next, err
	}
	ordinal := 0
	next, err := s.update(ctx, ses.Token, func(ses *Session) (err error) {
		now := s.Now().UTC()
		if ordinal = 0; len(ses.Attempts) > 0 {
			return nil
		}
		if ses.Agreement == nil {
			ses.Agreement = &Agreement{Version: ses.Plan.Consent.Version, At: now}
		}
		if ordinal, err = ses.Begin(now, logID); err == nil {
			ses.Attempts[ordinal-1].Kind = ses.Plan.Liveness
		}
		return err
	})
	if err != nil || ordinal == 0 {
		return next, err
	}
	f := s.act(ctx, &next, ordinal, c)
	var a Attempt
	next, err = s.update(ctx, ses.Token, func(ses *Session) (err error) {
		a, err = ses.Finish(s.Now().UTC(), ordinal, f)
		return err
	})
	if err == nil {
		s.ended(&next, a)
	} else {
		s.unkept(ctx, f.Evidence, err)
	}
	return next, err
}

// act is what a case lets be found of an attempt. What was shown to the camera is neither
// looked at nor kept: the evidence is the case's magic picture.
func (s *Service) act(ctx context.Context, ses *Session, ordinal int, c SandboxCase) Findings {
	f := Findings{Measured: true, Live: 0.97}
	compared := func(score Score) {
		f.Compared, f.Comparison = true, Comparison{Score: score}
	}
	switch code := c.Code; {
	case !c.at(stepAttempt) && !c.at(stepRequest): // quality, or nobody there
		return Findings{Failure: code}
	case code == LivenessFailed:
		f.Live = 0
	case code == ChallengeStale, code == ChallengeUnmet:
		f.Response = &Response{Kind: ses.Plan.Liveness, Code: code, Chance: 1, Why: "scripted by the sandbox"}
	case code == FaceChanged:
		f.Changed = true
	case code == RiskRefused:
		f.Risk = &Risk{Level: 1, Score: 1, Tags: []string{"frames_reused", "virtual_camera"}, Signals: []Signal{
			{Name: "frames_reused", Value: 1, Weight: 0.9}, {Name: "virtual_camera", Value: 1, Weight: 0.6},
		}}
	case code == IdentityMismatch:
		f.Identity = NonMatched
	case code == IdentityUnknown:
		f.Identity = NoRecord
	case code == PortraitNone, code == PortraitPoor:
		f.Identity, f.Portrait = Match, code
	case code == SourceFailed, code == SourceMissing:
		f.Failure = code
	case code == NonMatch:
		f.Identity = Match
		compared(sandboxNonMatch)
	case code != OK:
		return Findings{Failure: code}
	case c.Identity == Failed:
		f.Failure = SourceFailed
	case c.Portrait == NoRecord:
		f.Identity, f.Portrait = Match, PortraitNone
	case c.Portrait == Failed:
		f.Identity, f.Failure = Match, SourceFailed
	default:
		if f.Identity = c.Identity; c.Score > 0 {
			compared(c.Score)
		}
	}
	switch ses.Plan.Comparison {
	case CompareNone:
		f.Identity, f.Portrait, f.Compared, f.Comparison = NotRun, OK, false, Comparison{}
	case CompareUploaded: // nobody is asked about an identity, and two pictures are always compared
		if f.Identity != NotRun && !f.Compared {
			compared(sandboxNonMatch)
		}
		f.Identity, f.Portrait = NotRun, OK
	}
	now := s.Now().UTC()
	ev, err := s.keep(ctx, ses, EvidenceFace, ordinal, 0, SandboxPicture(c.Name), now.Add(ResultKept))
	if err != nil {
		s.fail(ctx, &f, Internal, "keep evidence", err)
		return f
	}
	f.Evidence = append(f.Evidence, ev)
	return f
}
