package ekyc

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// What is asked of the frames of every challenge, whatever it asks. Our choices.
const (
	// latest is how much longer than the quickest frame a frame may have been under way,
	// by the page's own clock: a slow network passes, a film played later does not.
	latest = 2 * time.Second
	// soonest is the quickest that a person answers.
	soonest = 150 * time.Millisecond
)

// pace finds contradictions in when frames arrive and when the page says it sent them.
// The zero value has seen none.
type pace struct {
	at    time.Time
	seq   int
	sent  time.Duration
	least time.Duration // the quickest frame's delay, up to an unknown constant
	any   bool
}

// next takes the next frame and says what contradicts the ones before, or "".
func (p *pace) next(at time.Time, seq int, sent time.Duration) string {
	defer func() { p.at, p.seq, p.sent, p.any = at, seq, sent, true }()
	claims := seq != 0 || sent != 0
	delay := time.Duration(0)
	if claims {
		delay = at.Sub(epoch) - sent
	}
	switch {
	case !p.any:
		p.least = delay
		return ""
	case !at.After(p.at):
		return "two frames at one time"
	case claims != (p.seq != 0 || p.sent != 0):
		return "some frames are numbered and some are not"
	case !claims:
		return ""
	case seq <= p.seq:
		return fmt.Sprintf("frame %d came after frame %d", seq, p.seq)
	case sent <= p.sent:
		return fmt.Sprintf("frame %d was sent before the one before it", seq)
	}
	p.least = min(p.least, delay)
	if delay-p.least > latest {
		return fmt.Sprintf("frame %d was %v under way, longer than the quickest", seq, (delay - p.least).Round(time.Millisecond))
	}
	return ""
}

// epoch is any fixed moment, to make durations of.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Judge says how the samples answer the challenge, at a level of strictness. It is pure
// and knows no more than the samples; they are in order of arrival, At by the server's
// clock. A kind that asks for nothing is met by anything.
func (c Challenge) Judge(level Level, samples []Sample) Response {
	r := Response{Kind: c.Kind, Chance: 1}
	fail := func(code Code, format string, args ...any) Response {
		r.Code, r.Why = code, fmt.Sprintf(format, args...)
		return r
	}
	if c.Started.IsZero() && len(samples) > 0 {
		c.Started = samples[0].At
	}
	var p pace
	for _, s := range samples {
		if why := p.next(s.At, s.Seq, s.Sent); why != "" {
			return fail(ChallengeStale, "%s", why)
		}
	}
	if len(c.Cues) == 0 {
		return r
	}
	if why := c.covered(samples); why != "" {
		return fail(ChallengeUnmet, "%s", why)
	}
	switch c.Kind {
	case LivenessFlash:
		return c.flash(level, samples, r)
	case LivenessAction, RecordedAction:
		return c.actions(level, samples, r)
	case LivenessDistance:
		return c.distance(level, samples, r)
	case RecordedDigits:
		return c.digits(level, samples, r)
	default:
		return fail(ChallengeUnmet, "no rule for liveness %q", c.Kind)
	}
}

// covered says which part of the challenge the frames do not show, or "".
func (c Challenge) covered(samples []Sample) string {
	last := c.Started
	frames, faces := 0, 0
	for _, s := range samples {
		if s.At.Before(c.Started) || s.At.Sub(c.Started) > c.end()+CueGap {
			continue
		}
		if gap := s.At.Sub(last); gap > CueGap {
			return fmt.Sprintf("no frame for %v from %v after the start", gap.Round(time.Millisecond), last.Sub(c.Started).Round(time.Millisecond))
		}
		last = s.At
		frames++
		if s.Faces > 0 {
			faces++
		}
	}
	switch least := int(leastRate * c.end().Seconds()); {
	case frames < least:
		return fmt.Sprintf("%d frames; at least %d are needed", frames, least)
	case faces*10 < frames*7:
		return fmt.Sprintf("%d of %d frames show a face", faces, frames)
	}
	return ""
}

// leastRate is how many frames a second a challenge needs. Our choice: a cue of flash
// must be seen once on average.
const leastRate = 2.5

// baseline is the samples of a face from before the first cue.
func (c Challenge) baseline(samples []Sample) []Sample {
	var list []Sample
	for _, s := range samples {
		if s.Faces > 0 && len(c.Cues) > 0 && s.At.Sub(c.Started) <= c.Cues[0].After {
			list = append(list, s)
		}
	}
	return list
}

// median of a measure over samples; 0 of none.
func median(samples []Sample, of func(Sample) float64) float64 {
	var v []float64
	for _, s := range samples {
		if x := of(s); s.Faces > 0 && !math.IsNaN(x) {
			v = append(v, x)
		}
	}
	return middle(v)
}

// middle is the median of numbers, which it sorts; 0 of none.
func middle[T ~int64 | ~float64](v []T) T {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}

func abs[T ~int64 | ~float64](x T) T {
	if x < 0 {
		return -x
	}
	return x
}
