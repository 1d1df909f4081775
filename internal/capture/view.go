package capture

import (
	"time"

	"shiren/internal/ekyc"
)

// Step is what the capture subject does next.
type Step string

const (
	StepConsent  Step = "consent"  // read and agree
	StepIdentity Step = "identity" // type name and number
	StepDocument Step = "document" // photograph the identity document and confirm what was read
	StepCapture  Step = "capture"  // look into the camera
	StepRunning  Step = "running"  // an attempt is being analysed: ask again in a moment
	StepDone     Step = "done"     // Result is final
	StepUnusable Step = "unusable" // Reason says why
)

// Reasons why a session is unusable.
const (
	Expired      = "expired"       // the token's window is over
	Attempts     = "attempts"      // it had all its attempts
	RefMissing   = "ref_missing"   // the relying party has not uploaded its image
	ClaimMissing = "claim_missing" // the relying party has not declared the identity

	ForeignApp     = "foreign_app"     // the app around the page says to be another than the session's
	ForeignSubject = "foreign_subject" // it says that its user is another than the session's
)

// View is what the page is told of a session. It holds no score, no threshold, and of
// the identity only what the claim's own types print: masked.
type View struct {
	State     ekyc.State        `json:"state"`
	Step      Step              `json:"step"`
	Reason    string            `json:"reason,omitempty"` // of StepUnusable
	Title     string            `json:"title"`            // empty: the page's own
	HideTitle bool              `json:"hideTitle"`
	Consent   Consent           `json:"consent"`
	Identity  Identity          `json:"identity"`
	Document  *Document         `json:"document,omitempty"` // of plans that read one
	Liveness  ekyc.LivenessKind `json:"liveness"`           // the plan's kind
	// Alternative is a real-time kind that the person may choose instead, Fallback a
	// recorded one for browsers without a live camera; both may be empty.
	Alternative ekyc.LivenessKind `json:"alternative,omitempty"`
	Fallback    ekyc.LivenessKind `json:"fallback,omitempty"`
	// Warning tells that Liveness flashes: people who are sensitive to light must be told
	// before, and be offered the Alternative.
	Warning   bool      `json:"warning"`
	Recording Recording `json:"recording"`
	Redirect  Redirect  `json:"redirect"`
	Result    *Result   `json:"result"` // of the last attempt that ended; null before
	// Onward is what the page hands on; null where the session's opener wants nothing.
	Onward *Onward `json:"onward,omitempty"`
}

// Onward holds parameters for the address that the page leads to and for the app around
// it: Params with an outcome, Trouble[word] where the page ends in a trouble of that name.
type Onward struct {
	Params  map[string]string            `json:"params"`
	Trouble map[string]map[string]string `json:"trouble"`
}

// Recording says what an upload may measure.
type Recording struct {
	Bytes   int64 `json:"bytes"`
	Seconds int   `json:"seconds"`
}

// Consent is the authorisation text by language and whether it was agreed to.
type Consent struct {
	Version string            `json:"version"`
	Text    map[string]string `json:"text"`
	Given   bool              `json:"given"`
}

// Identity says where the identity comes from and, masked, what it is so far.
type Identity struct {
	Mode   ekyc.IdentityInput `json:"mode"`
	Name   string             `json:"name,omitempty"`
	Number string             `json:"number,omitempty"`
	Type   ekyc.DocumentType  `json:"type"`
}

// Document says which sides of the identity document are read, in order, and what a
// picture of one may measure. What was read is told once, to whoever sent the picture.
type Document struct {
	Sides []ekyc.CardSide `json:"sides"`
	Bytes int64           `json:"bytes"`
}

// Redirect holds the relying party's addresses as it gave them; the page checks them.
type Redirect struct {
	Success string `json:"success"`
	Failed  string `json:"failed"`
}

// Result is the verdict on an attempt in words that the page has.
type Result struct {
	Attempt  int    `json:"attempt"`
	Passed   bool   `json:"passed"`
	Reason   string `json:"reason"` // one of Reasons; empty when passed
	MayRetry bool   `json:"mayRetry"`
	// Mend tells that trying again makes sense only with another identity, which the
	// capture subject may type, or read from their document again.
	Mend bool `json:"mend"`
}

// reasons are the codes of attempts that tell the capture subject something they can
// act on. Every other code is Other: what it means is the operator's business.
var reasons = map[ekyc.Code]bool{
	ekyc.NoFace: true, ekyc.SeveralFaces: true, ekyc.FaceSmall: true, ekyc.FaceBlurred: true, ekyc.FaceDark: true,
	ekyc.FaceBright: true, ekyc.FaceCut: true, ekyc.FaceTurned: true, ekyc.EyesClosed: true,
	ekyc.VideoTooLarge: true, ekyc.VideoTooLong: true, ekyc.VideoTooShort: true, ekyc.VideoFormat: true,
	ekyc.VideoDamaged: true, ekyc.VideoSilent: true,
	ekyc.LivenessFailed: true, ekyc.ChallengeStale: true, ekyc.ChallengeUnmet: true, ekyc.FaceChanged: true,
	ekyc.RiskRefused: true, ekyc.NonMatch: true,
	ekyc.IdentityMismatch: true, ekyc.IdentityUnknown: true, ekyc.PortraitNone: true, ekyc.PortraitPoor: true,
	ekyc.CameraRefused: true, ekyc.Cancelled: true, ekyc.TimedOut: true, ekyc.Interrupted: true, ekyc.Busy: true,
}

// Reasons that are no codes of an attempt.
const (
	Other      = "system"     // it failed for the server's or a source's sake
	Unexpected = "unexpected" // of a session without a camera: the relying party expected somebody else
)

// Reasons lists every value of Result.Reason but the empty one.
func Reasons() []string {
	list := []string{Other, Unexpected}
	for _, c := range ekyc.Codes() {
		if reasons[c] {
			list = append(list, string(c))
		}
	}
	return list
}

func reason(c ekyc.Code) string {
	if reasons[c] {
		return string(c)
	}
	return Other
}

// view computes the View of a session at now.
func (h *Handler) view(s *ekyc.Session, now time.Time) View {
	v := View{
		State: s.State(now), Title: s.Plan.Title, HideTitle: s.Plan.HideTitle,
		Liveness: s.Plan.Liveness, Alternative: s.Plan.Alternative, Fallback: s.Plan.Fallback,
		Warning:   s.Plan.Liveness == ekyc.LivenessFlash,
		Recording: Recording{Bytes: h.cfg.MaxRecordingBytes, Seconds: int(ekyc.RecordingMax / time.Second)},
		Consent:   Consent{Version: s.Plan.Consent.Version, Text: s.Plan.Consent.Text, Given: s.Agreement != nil},
		Identity:  Identity{Mode: s.Plan.Identity},
		Redirect:  Redirect{Success: s.Redirect.Success, Failed: s.Redirect.Failed},
	}
	if c := s.Claim; c != nil {
		v.Identity.Name, v.Identity.Number, v.Identity.Type = c.Name.String(), c.Number.String(), c.Type
	}
	if sides := s.Plan.Sides(); sides != nil {
		v.Document = &Document{Sides: sides, Bytes: ekyc.MaxImage}
	}
	v.Step, v.Reason = step(s, v.State)
	a := deciding(s, v.State, now)
	v.Onward = h.onward(s, a, v.Reason)
	if a != nil {
		v.Result = &Result{Attempt: a.Ordinal, Passed: a.Outcome == ekyc.Match}
		if !v.Result.Passed {
			v.Result.Reason = reason(a.Code)
			if s.Purpose == ekyc.PurposeConfirm && a.Code == ekyc.IdentityMismatch {
				v.Result.Reason = Unexpected
			}
			v.Result.MayRetry = v.State == ekyc.Open && v.Step != StepUnusable
			v.Result.Mend = v.Result.MayRetry && disowned[a.Code] && (s.Plan.Identity == ekyc.IdentityEntered || s.Plan.Identity == ekyc.IdentityDocument)
		}
	}
	return v
}

func (h *Handler) onward(s *ekyc.Session, a *ekyc.Attempt, unusable string) *Onward {
	hook, ok := h.cfg.Onward[s.Opener]
	if !ok || s.Opener == "" {
		return nil
	}
	o := hook(s, a, unusable)
	return &Onward{Params: o.Params, Trouble: o.Trouble}
}

// foreign is the View of a session that the app around the page mistakes for its own. It
// says nothing of the session.
func (h *Handler) foreign(s *ekyc.Session, reason string) View {
	return View{Step: StepUnusable, Reason: reason, Onward: h.onward(s, nil, reason)}
}

// deciding is the attempt whose outcome the capture subject is told: on a settled
// session the one that settled it, otherwise the last that ended.
func deciding(s *ekyc.Session, st ekyc.State, now time.Time) *ekyc.Attempt {
	settles := map[ekyc.State]ekyc.Outcome{ekyc.Passed: ekyc.Match, ekyc.Rejected: ekyc.NonMatched}[st]
	for i := len(s.Attempts) - 1; i >= 0; i-- {
		a := s.Attempts[i]
		if a.Finished.IsZero() {
			if now.Before(a.Lease) {
				continue
			}
			a.Outcome, a.Code = ekyc.Failed, ekyc.Interrupted
		}
		if settles == ekyc.NotRun || a.Outcome == settles {
			return &a
		}
	}
	return nil
}

// step is what comes next. What the capture subject cannot mend is said before they
// are asked for anything.
func step(s *ekyc.Session, st ekyc.State) (Step, string) {
	switch st {
	case ekyc.Passed, ekyc.Rejected:
		return StepDone, ""
	case ekyc.Running:
		return StepRunning, ""
	case ekyc.Open:
	default:
		return StepUnusable, Expired
	}
	switch {
	case len(s.Attempts) >= ekyc.MaxAttempts:
		return StepUnusable, Attempts
	case s.Plan.Comparison == ekyc.CompareUploaded && s.Reference == nil:
		return StepUnusable, RefMissing
	case s.Plan.Identity == ekyc.IdentityDeclared && s.Claim == nil:
		return StepUnusable, ClaimMissing
	case s.Agreement == nil:
		return StepConsent, ""
	case s.Plan.Identity == ekyc.IdentityEntered && s.Claim == nil:
		return StepIdentity, ""
	case s.Plan.Identity == ekyc.IdentityDocument && s.Claim == nil:
		return StepDocument, ""
	}
	return StepCapture, ""
}

// disowned are the codes of attempts that failed because of the claim.
var disowned = map[ekyc.Code]bool{ekyc.IdentityMismatch: true, ekyc.IdentityUnknown: true, ekyc.PortraitNone: true}
