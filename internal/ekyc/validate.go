package ekyc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"
)

var (
	appIDs  = regexp.MustCompile(`^[0-9]{1,20}$`)
	planIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	apiKeys = regexp.MustCompile(`^[A-Za-z0-9]{8,64}$`)
	// A key that admits alone must not be guessed: 24 letters and digits have 142 bits.
	bearerKeys = regexp.MustCompile(`^[A-Za-z0-9]{24,64}$`)

	sourceNames = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
)

// FieldError is a mistake in one setting of an app or a plan.
type FieldError struct {
	Field string // as the configuration file names it: "match_at", "consent.version"
	What  string // the whole sentence; no secret's value
}

func (e *FieldError) Error() string { return e.What }

// FieldErrors lists the mistakes that Validate joined, and those that were wrapped alone.
func FieldErrors(err error) (list []*FieldError) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			list = append(list, FieldErrors(one)...)
		}
		return list
	}
	var one *FieldError
	if errors.As(err, &one) {
		list = append(list, one)
	}
	return list
}

// mistakes gathers what is wrong.
type mistakes []error

func (m *mistakes) bad(field, format string, args ...any) {
	*m = append(*m, &FieldError{field, fmt.Sprintf(format, args...)})
}

// Validate returns every mistake in the app at once, as FieldErrors, or nil.
func (a App) Validate() error {
	var errs mistakes
	bad := errs.bad
	if !appIDs.MatchString(string(a.ID)) {
		bad("id", "app id %q: want 1 to 20 digits", a.ID)
	}
	if !apiKeys.MatchString(a.Key) {
		bad("key", "app %s: API key: want 8 to 64 letters and digits", a.ID)
	}
	if !apiKeys.MatchString(string(a.Secret)) {
		bad("secret", "app %s: secret key: want 8 to 64 letters and digits", a.ID)
	}
	if a.Bearer != "" && !bearerKeys.MatchString(string(a.Bearer)) {
		bad("bearer_key", "app %s: bearer key: want 24 to 64 letters and digits", a.ID)
	}
	for _, l := range []struct {
		field, name string
		n           int64
	}{
		{"per_second", "calls a second", a.PerSecond},
		{"per_day", "calls a day", a.PerDay},
		{"total", "calls in all", a.Total},
		{"test_total", "calls in test mode", a.TestTotal},
		{"address_per_second", "calls a second of one address", a.PerAddress.PerSecond},
		{"address_per_day", "calls a day of one address", a.PerAddress.PerDay},
		{"address_total", "calls in all of one address", a.PerAddress.Total},
	} {
		if l.n < 0 {
			bad(l.field, "app %s: %s: want 0 (unlimited) or more", a.ID, l.name)
		}
	}
	for _, l := range []struct {
		field string
		list  []string
	}{{"allow", a.Allow}, {"deny", a.Deny}} {
		for _, p := range l.list {
			if _, err := ParsePrefix(p); err != nil {
				bad(l.field, "app %s: address %q: want an address or a range, as in 192.0.2.7 or 192.0.2.0/24", a.ID, p)
			}
		}
	}
	for k, q := range a.Quota {
		if !slices.Contains(ChargeKinds(), k) {
			bad("quota", "app %s: quota of %q: want verify, match, live, ocr or elements", a.ID, k)
		}
		if q < Unlimited {
			bad("quota", "app %s: quota of %s is %d: want a count, or -1 for unlimited", a.ID, k, q)
		}
	}
	if a.PerSubjectDay < Unlimited {
		bad("per_subject_day", "app %s: sessions of one subject a day are %d: want a count, 0 for %d, or -1 for unlimited", a.ID, a.PerSubjectDay, SubjectPerDay)
	}
	return errors.Join(errs...)
}

// SourceName reports whether a source may have a name: 1 to 32 lower-case letters, digits and hyphens.
func SourceName(s string) bool { return sourceNames.MatchString(s) }

// MaxPlanName is how many characters a plan's name or title may have, MaxConsent how many
// bytes one language of an authorisation text. Our choice.
const (
	MaxPlanName = 100
	MaxConsent  = 64 << 10
)

// Validate returns every mistake in the plan at once, as FieldErrors, or nil. Whether its app
// and its sources are there is not known here.
func (p Plan) Validate() error {
	var errs mistakes
	bad := errs.bad
	if !planIDs.MatchString(string(p.ID)) {
		bad("id", "plan id %q: want 1 to 64 letters, digits, '-' or '_'", p.ID)
	}
	if !appIDs.MatchString(string(p.App)) {
		bad("app", "plan %s: app %q: want an app's id", p.ID, p.App)
	}
	if !slices.Contains([]ComparisonSource{CompareNone, CompareUploaded, CompareAuthority}, p.Comparison) {
		bad("comparison", "plan %s: comparison %q: want none, uploaded or authority", p.ID, p.Comparison)
	}
	if !slices.Contains([]IdentityInput{IdentityNone, IdentityDeclared, IdentityEntered, IdentityDocument}, p.Identity) {
		bad("identity", "plan %s: identity %q: want none, declared, entered or document", p.ID, p.Identity)
	}
	if p.Comparison == CompareAuthority && p.Identity == IdentityNone {
		bad("identity", "plan %s: comparison with an authority needs an identity: declared, entered or document", p.ID)
	}
	if p.Identity != IdentityDocument && (p.DocumentBack || p.DocumentRisk) {
		field := "document_back"
		if !p.DocumentBack {
			field = "document_risk"
		}
		bad(field, "plan %s: document_back and document_risk belong to identity document, and it is %s", p.ID, p.Identity)
	}
	p.liveness(bad)
	for _, l := range []struct {
		field, name string
		level       Level
	}{{"liveness_level", "liveness level", p.LivenessLevel}, {"quality_level", "quality level", p.QualityLevel}} {
		if !slices.Contains([]Level{LevelLow, LevelNormal, LevelHigh}, l.level) {
			bad(l.field, "plan %s: %s %q: want low, normal or high", p.ID, l.name, l.level)
		}
	}
	if p.MatchAt < 0.4 || p.MatchAt > 1 {
		bad("match_at", "plan %s: match threshold %v: want 0.4 (one false match in a hundred) to 1", p.ID, float64(p.MatchAt))
	}
	for i, name := range p.Sources {
		if !sourceNames.MatchString(name) || slices.Contains(p.Sources[:i], name) {
			bad("sources", "plan %s: source %q: want different names of sources, in the order in which they are asked", p.ID, name)
		}
	}
	for _, o := range p.NextOn {
		if o != NoRecord && o != Failed {
			bad("next_on", "plan %s: the next source is asked on %q: want no_record or failed; a match and a non-match are answers", p.ID, o)
		}
	}
	if p.Comparison != CompareAuthority && len(p.Sources)+len(p.NextOn) > 0 {
		bad("sources", "plan %s: sources are asked by plans that compare with an authority only", p.ID)
	}
	if p.Consent.Version == "" || p.Consent.Text["zh-CN"] == "" {
		bad("consent", "plan %s: the authorisation text needs a version and a zh-CN wording", p.ID)
	}
	for _, t := range []struct {
		field, text string
		most        int
	}{{"name", p.Name, MaxPlanName}, {"title", p.Title, MaxPlanName}, {"consent", p.Consent.Version, 64}} {
		if !utf8.ValidString(t.text) || utf8.RuneCountInString(t.text) > t.most {
			bad(t.field, "plan %s: %s: want at most %d characters of UTF-8", p.ID, t.field, t.most)
		}
	}
	for lang, text := range p.Consent.Text {
		if !utf8.ValidString(text) || len(text) > MaxConsent {
			bad("consent", "plan %s: the authorisation text in %q: want at most %d bytes of UTF-8", p.ID, lang, MaxConsent)
		}
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
func (p Plan) liveness(bad func(field, format string, args ...any)) {
	if !slices.Contains(Kinds(), p.Liveness) {
		bad("liveness", "plan %s: liveness %q: want silent, flash, action, distance, picture, video, recorded_action or digits", p.ID, p.Liveness)
	}
	if p.Fallback != "" {
		switch {
		case !p.Fallback.Recorded():
			bad("fallback", "plan %s: fallback %q: want a recorded kind: picture, video, recorded_action or digits", p.ID, p.Fallback)
		case p.Liveness.Recorded():
			bad("fallback", "plan %s: fallback %q: %s is recorded already, and works without a live camera", p.ID, p.Fallback, p.Liveness)
		}
	}
	if p.Alternative != "" {
		switch {
		case p.Alternative.Recorded() || !slices.Contains(Kinds(), p.Alternative):
			bad("alternative", "plan %s: alternative %q: want a real-time kind: silent, flash, action or distance", p.ID, p.Alternative)
		case p.Liveness.Recorded():
			bad("alternative", "plan %s: alternative %q: it belongs to a real-time kind, and %s is recorded", p.ID, p.Alternative, p.Liveness)
		case p.Alternative == p.Liveness:
			bad("alternative", "plan %s: alternative %q: that is the plan's liveness itself", p.ID, p.Alternative)
		}
	}
	if len(p.Actions) == 0 {
		return
	}
	different := map[Action]bool{}
	for _, a := range p.Actions {
		if !slices.Contains(Actions(), a) {
			bad("actions", "plan %s: action %q: want blink, mouth, left, right, up or down", p.ID, a)
			continue
		}
		if different[a] {
			bad("actions", "plan %s: action %q is listed twice", p.ID, a)
		}
		different[a] = true
	}
	if len(different) < MinActions {
		bad("actions", "plan %s: %d actions to draw from: want at least %d, or none for all", p.ID, len(different), MinActions)
	}
	uses := func(k LivenessKind) bool { return k == LivenessAction || k == RecordedAction }
	if !uses(p.Liveness) && !uses(p.Fallback) && !uses(p.Alternative) {
		bad("actions", "plan %s: actions are drawn by action kinds only, and the plan uses none", p.ID)
	}
}
