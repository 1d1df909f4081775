package main

import (
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
)

func TestShowSessionTellsOfLiveness(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	s := &ekyc.Session{Token: "t", Opened: now, Attempts: []ekyc.Attempt{{
		Ordinal: 1, Begun: now, Finished: now.Add(time.Second), Outcome: ekyc.NonMatched, Code: ekyc.ChallengeUnmet,
		Kind: ekyc.RecordedAction, Demoted: true,
		Response: &ekyc.Response{
			Kind: ekyc.RecordedAction, Code: ekyc.ChallengeUnmet, Chance: 1, Lag: 700 * time.Millisecond, Why: "cue 2 (left): not seen",
			Cues: []ekyc.CueResponse{{N: 1, Met: true}, {N: 2}},
		},
		Risk: &ekyc.Risk{Level: 2, Score: 0.6, Spoofing: 0.5, Signals: []ekyc.Signal{{Name: "virtual_camera", Weight: 0.6, Value: 1}}},
	}}}
	var b strings.Builder
	showSession(&b, s, now.Add(time.Minute))
	for _, want := range []string{
		"kind      recorded_action, in place of the plan's own kind", "challenge challenge_unmet, 1 cues met of 2 answered, by chance 1, lag 700ms",
		"why       cue 2 (left): not seen", "risk      level 2, score 0.60, of pictures 0.50", "sign      virtual_camera: 1.00 of weight 0.60",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, b.String())
		}
	}
}
