package ekyc

import (
	"slices"
	"strings"
	"testing"
)

// sound is a plan without a mistake.
func sound() Plan {
	return Plan{
		ID: "1", App: "100", Comparison: CompareNone, Identity: IdentityNone, Liveness: LivenessSilent,
		LivenessLevel: LevelNormal, QualityLevel: LevelLow, MatchAt: 0.8,
		Consent: Consent{Version: "1", Text: map[string]string{"zh-CN": "同意"}},
	}
}

func TestPlansOfEveryKindAreSound(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		p := sound()
		if p.Liveness = kind; p.Validate() != nil {
			t.Errorf("%s: %v", kind, p.Validate())
		}
	}
	p := sound()
	p.Liveness, p.Alternative, p.Fallback, p.Actions = LivenessFlash, LivenessAction, RecordedAction, Actions()
	if err := p.Validate(); err != nil {
		t.Errorf("a plan that uses everything: %v", err)
	}
}

func TestPlansThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Plan){
		`liveness "stare"`:                                        func(p *Plan) { p.Liveness = "stare" },
		`liveness ""`:                                             func(p *Plan) { p.Liveness = "" },
		`fallback "flash": want a recorded kind`:                  func(p *Plan) { p.Fallback = LivenessFlash },
		`fallback "tape": want a recorded kind`:                   func(p *Plan) { p.Fallback = "tape" },
		`fallback "video": digits is recorded already`:            func(p *Plan) { p.Liveness, p.Fallback = RecordedDigits, RecordedVideo },
		`alternative "digits": want a real-time kind`:             func(p *Plan) { p.Alternative = RecordedDigits },
		`alternative "stare": want a real-time kind`:              func(p *Plan) { p.Alternative = "stare" },
		`alternative "flash": it belongs to a real-time kind`:     func(p *Plan) { p.Liveness, p.Alternative = RecordedVideo, LivenessFlash },
		`alternative "flash": that is the plan's liveness itself`: func(p *Plan) { p.Liveness, p.Alternative = LivenessFlash, LivenessFlash },
		`action "jump"`: func(p *Plan) {
			p.Liveness, p.Actions = LivenessAction, []Action{Blink, OpenMouth, TurnLeft, "jump"}
		},
		`action "blink" is listed twice`: func(p *Plan) {
			p.Liveness, p.Actions = LivenessAction, []Action{Blink, OpenMouth, TurnLeft, Blink}
		},
		`2 actions to draw from`:                      func(p *Plan) { p.Liveness, p.Actions = LivenessAction, []Action{Blink, OpenMouth} },
		`actions are drawn by action kinds only, and`: func(p *Plan) { p.Liveness, p.Actions = LivenessFlash, Actions() },
	} {
		p := sound()
		change(&p)
		switch err := p.Validate(); {
		case err == nil:
			t.Errorf("%s: accepted", want)
		case !strings.Contains(err.Error(), want):
			t.Errorf("got %v, want it to say %s", err, want)
		}
	}
}

func TestKindsAndActionsAreWhole(t *testing.T) {
	t.Parallel()
	recorded := 0
	for _, k := range Kinds() {
		if k.Recorded() {
			recorded++
		}
	}
	if len(Kinds()) != 8 || recorded != 4 || len(slices.Compact(slices.Sorted(slices.Values(Actions())))) != 6 {
		t.Errorf("got %d kinds, %d recorded, and %v; want 8, 4 and six actions", len(Kinds()), recorded, Actions())
	}
}
