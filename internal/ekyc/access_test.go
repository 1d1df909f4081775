package ekyc_test

import (
	"testing"
	"time"

	"shiren/internal/ekyc"
)

// Of what keeps an app out, the first that an operator would have to mend is told.
func TestStanding(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	past, next := now.Add(-time.Hour), now.Add(time.Nanosecond)
	for _, c := range []struct {
		name string
		app  ekyc.App
		want ekyc.Code
	}{
		{"nothing set", ekyc.App{}, ekyc.OK},
		{"a review and an end to come", ekyc.App{ReviewBy: next, Expires: next}, ekyc.OK},
		{"the moment of the review", ekyc.App{ReviewBy: now, Expires: next}, ekyc.AppUnreviewed},
		{"the moment of the end", ekyc.App{ReviewBy: next, Expires: now}, ekyc.AppExpired},
		{"both are over", ekyc.App{ReviewBy: past, Expires: past}, ekyc.AppUnreviewed},
		{"all at once", ekyc.App{Disabled: true, ReviewBy: past, Expires: past}, ekyc.AppDisabled},
	} {
		if got := c.app.Standing(now); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestErasureSummary(t *testing.T) {
	t.Parallel()
	e := ekyc.Erasure{Sessions: 1, Evidence: 2, Subjects: 3, Calls: 4, Noise: 5, Person: "digest"}
	if got, want := e.Summary(), "sessions 1, images 2, subjects 3, calls 4, undeleted 5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
