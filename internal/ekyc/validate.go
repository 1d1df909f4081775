package ekyc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

var (
	appIDs  = regexp.MustCompile(`^[0-9]{1,20}$`)
	planIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	apiKeys = regexp.MustCompile(`^[A-Za-z0-9]{8,64}$`)
	// A key that admits alone must not be guessed: 24 letters and digits have 142 bits.
	bearerKeys = regexp.MustCompile(`^[A-Za-z0-9]{24,64}$`)

	sourceNames = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
)

// Validate returns every mistake in the app at once, or nil.
func (a App) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !appIDs.MatchString(string(a.ID)) {
		bad("app id %q: want 1 to 20 digits", a.ID)
	}
	if !apiKeys.MatchString(a.Key) {
		bad("app %s: API key: want 8 to 64 letters and digits", a.ID)
	}
	if !apiKeys.MatchString(string(a.Secret)) {
		bad("app %s: secret key: want 8 to 64 letters and digits", a.ID)
	}
	if a.Bearer != "" && !bearerKeys.MatchString(string(a.Bearer)) {
		bad("app %s: bearer key: want 24 to 64 letters and digits", a.ID)
	}
	for _, l := range []struct {
		name string
		n    int64
	}{
		{"calls a second", a.PerSecond},
		{"calls a day", a.PerDay},
		{"calls in all", a.Total},
		{"calls in test mode", a.TestTotal},
		{"calls a second of one address", a.PerAddress.PerSecond},
		{"calls a day of one address", a.PerAddress.PerDay},
		{"calls in all of one address", a.PerAddress.Total},
	} {
		if l.n < 0 {
			bad("app %s: %s: want 0 (unlimited) or more", a.ID, l.name)
		}
	}
	for _, p := range slices.Concat(a.Allow, a.Deny) {
		if _, err := ParsePrefix(p); err != nil {
			bad("app %s: address %q: want an address or a range, as in 192.0.2.7 or 192.0.2.0/24", a.ID, p)
		}
	}
	for k, q := range a.Quota {
		if !slices.Contains(ChargeKinds(), k) {
			bad("app %s: quota of %q: want verify, match, live, ocr or elements", a.ID, k)
		}
		if q < Unlimited {
			bad("app %s: quota of %s is %d: want a count, or -1 for unlimited", a.ID, k, q)
		}
	}
	if a.PerSubjectDay < Unlimited {
		bad("app %s: sessions of one subject a day are %d: want a count, 0 for %d, or -1 for unlimited", a.ID, a.PerSubjectDay, SubjectPerDay)
	}
	return errors.Join(errs...)
}

// SourceName reports whether a source may have a name: 1 to 32 lower-case letters, digits and hyphens.
func SourceName(s string) bool { return sourceNames.MatchString(s) }

// Validate returns every mistake in the plan at once, or nil.
func (p Plan) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !planIDs.MatchString(string(p.ID)) {
		bad("plan id %q: want 1 to 64 letters, digits, '-' or '_'", p.ID)
	}
	if !appIDs.MatchString(string(p.App)) {
		bad("plan %s: app %q: want an app's id", p.ID, p.App)
	}
	if !slices.Contains([]ComparisonSource{CompareNone, CompareUploaded, CompareAuthority}, p.Comparison) {
		bad("plan %s: comparison %q: want none, uploaded or authority", p.ID, p.Comparison)
	}
	if !slices.Contains([]IdentityInput{IdentityNone, IdentityDeclared, IdentityEntered, IdentityDocument}, p.Identity) {
		bad("plan %s: identity %q: want none, declared, entered or document", p.ID, p.Identity)
	}
	if p.Comparison == CompareAuthority && p.Identity == IdentityNone {
		bad("plan %s: comparison with an authority needs an identity: declared, entered or document", p.ID)
	}
	if p.Identity != IdentityDocument && (p.DocumentBack || p.DocumentRisk) {
		bad("plan %s: document_back and document_risk belong to identity document, and it is %s", p.ID, p.Identity)
	}
	p.liveness(bad)
	for _, l := range []struct {
		name  string
		level Level
	}{{"liveness level", p.LivenessLevel}, {"quality level", p.QualityLevel}} {
		if !slices.Contains([]Level{LevelLow, LevelNormal, LevelHigh}, l.level) {
			bad("plan %s: %s %q: want low, normal or high", p.ID, l.name, l.level)
		}
	}
	if p.MatchAt < 0.4 || p.MatchAt > 1 {
		bad("plan %s: match threshold %v: want 0.4 (one false match in a hundred) to 1", p.ID, float64(p.MatchAt))
	}
	for i, name := range p.Sources {
		if !sourceNames.MatchString(name) || slices.Contains(p.Sources[:i], name) {
			bad("plan %s: source %q: want different names of sources, in the order in which they are asked", p.ID, name)
		}
	}
	for _, o := range p.NextOn {
		if o != NoRecord && o != Failed {
			bad("plan %s: the next source is asked on %q: want no_record or failed; a match and a non-match are answers", p.ID, o)
		}
	}
	if p.Comparison != CompareAuthority && len(p.Sources)+len(p.NextOn) > 0 {
		bad("plan %s: sources are asked by plans that compare with an authority only", p.ID)
	}
	if p.Consent.Version == "" || p.Consent.Text["zh-CN"] == "" {
		bad("plan %s: the authorisation text needs a version and a zh-CN wording", p.ID)
	}
	return errors.Join(errs...)
}

// ChargeKinds lists everything that is charged for.
func ChargeKinds() []ChargeKind {
	return []ChargeKind{ChargeVerify, ChargeMatch, ChargeLive, ChargeOCR, ChargeElements}
}

// Kinds lists every kind of liveness detection, the real-time ones first.
func Kinds() []LivenessKind {
	return []LivenessKind{
		LivenessSilent, LivenessFlash, LivenessAction, LivenessDistance,
		RecordedPicture, RecordedVideo, RecordedAction, RecordedDigits,
	}
}

// Actions lists every action that a capture subject can be asked for.
func Actions() []Action {
	return []Action{Blink, OpenMouth, TurnLeft, TurnRight, LookUp, LookDown}
}

// MinActions is how many different actions a plan must offer to draw from. Our choice:
// with fewer, their order says next to nothing.
const MinActions = 3

// liveness validates the plan's kinds of liveness detection.
func (p Plan) liveness(bad func(format string, args ...any)) {
	if !slices.Contains(Kinds(), p.Liveness) {
		bad("plan %s: liveness %q: want silent, flash, action, distance, picture, video, recorded_action or digits", p.ID, p.Liveness)
	}
	if p.Fallback != "" {
		switch {
		case !p.Fallback.Recorded():
			bad("plan %s: fallback %q: want a recorded kind: picture, video, recorded_action or digits", p.ID, p.Fallback)
		case p.Liveness.Recorded():
			bad("plan %s: fallback %q: %s is recorded already, and works without a live camera", p.ID, p.Fallback, p.Liveness)
		}
	}
	if p.Alternative != "" {
		switch {
		case p.Alternative.Recorded() || !slices.Contains(Kinds(), p.Alternative):
			bad("plan %s: alternative %q: want a real-time kind: silent, flash, action or distance", p.ID, p.Alternative)
		case p.Liveness.Recorded():
			bad("plan %s: alternative %q: it belongs to a real-time kind, and %s is recorded", p.ID, p.Alternative, p.Liveness)
		case p.Alternative == p.Liveness:
			bad("plan %s: alternative %q: that is the plan's liveness itself", p.ID, p.Alternative)
		}
	}
	if len(p.Actions) == 0 {
		return
	}
	different := map[Action]bool{}
	for _, a := range p.Actions {
		if !slices.Contains(Actions(), a) {
			bad("plan %s: action %q: want blink, mouth, left, right, up or down", p.ID, a)
			continue
		}
		if different[a] {
			bad("plan %s: action %q is listed twice", p.ID, a)
		}
		different[a] = true
	}
	if len(different) < MinActions {
		bad("plan %s: %d actions to draw from: want at least %d, or none for all", p.ID, len(different), MinActions)
	}
	uses := func(k LivenessKind) bool { return k == LivenessAction || k == RecordedAction }
	if !uses(p.Liveness) && !uses(p.Fallback) && !uses(p.Alternative) {
		bad("plan %s: actions are drawn by action kinds only, and the plan uses none", p.ID)
	}
}
