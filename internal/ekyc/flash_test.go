package ekyc

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// sessions is how many random attackers of each kind the false accept tests play.
var sessions = flag.Int("sessions", 2000, "random attackers of each kind")

// seeded is a fixed source of chance.
func seeded(n uint64) *rand.ChaCha8 {
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(n >> (8 * i))
	}
	return rand.NewChaCha8(seed)
}

// camera says how frames come: the conditions of an honest or a dishonest session.
type camera struct {
	fps    float64
	drop   float64       // share of frames lost
	jitter time.Duration // standard deviation of when frames arrive
	lag    time.Duration // from cue to frame
	noise  float64       // standard deviation of log chroma of one frame
	drift  float64       // of log chroma over the session
	gain   float64       // of the tint, in log chroma
}

// times of frames from before the start to after the end.
func (m camera) times(rng *rand.Rand, from, to time.Duration) []time.Duration {
	var list []time.Duration
	last := from - time.Second
	for t := from; t < to; t += time.Duration(float64(time.Second) / m.fps) {
		if rng.Float64() < m.drop {
			continue
		}
		at := t + time.Duration(rng.NormFloat64()*float64(m.jitter))
		if at <= last {
			at = last + time.Millisecond
		}
		list, last = append(list, at), at
	}
	return list
}

// colours is a face lit by a screen that shows colour(t), a moment after it was asked for.
func (m camera) colours(rng *rand.Rand, c Challenge, colour func(time.Duration) (RGB, bool)) []Sample {
	var list []Sample
	for i, at := range m.times(rng, -time.Second, c.end()+flashTail) {
		f := goodFace()
		share := float64(at) / float64(c.end())
		base := [2]float64{0.45 + m.drift*share*share, -0.35 - m.drift*math.Sin(2*share)}
		if col, ok := colour(at - m.lag); ok {
			// Screen light adds to the light there is.
			var lit [3]float64
			for k, v := range col {
				lit[k] = math.Pow(float64(v)/255, 2.2)
			}
			base[0] += math.Log((1 + 2*m.gain*lit[0]) / (1 + 2*m.gain*lit[1]))
			base[1] += math.Log((1 + 2*m.gain*lit[2]) / (1 + 2*m.gain*lit[1]))
		}
		g := 0.3
		f.Skin = [3]float64{g * math.Exp(base[0]+m.noise*rng.NormFloat64()), g, g * math.Exp(base[1]+m.noise*rng.NormFloat64())}
		f.Back = [3]float64{0.4, 0.4 * math.Exp(m.noise*rng.NormFloat64()), 0.4 * math.Exp(m.noise*rng.NormFloat64())}
		list = append(list, Sample{At: t0.Add(at), Seq: i + 1, Sent: at + 2*time.Second, Faces: 1, Face: f})
	}
	return list
}

// shows is the colour that a challenge shows at a time.
func (c Challenge) shows(t time.Duration) (RGB, bool) {
	for _, cue := range c.Cues {
		if t >= cue.After && t < cue.After+cue.For {
			return cue.Colour, true
		}
	}
	return RGB{}, false
}

func drawn(kind LivenessKind, r *rand.ChaCha8) Challenge {
	c := Draw(kind, Plan{}, r, t0)
	c.Started = t0
	return c
}

var conditions = map[string]camera{
	"good":            {fps: 12, jitter: 10 * time.Millisecond, lag: 250 * time.Millisecond, noise: 0.01, gain: 0.05},
	"5 fps":           {fps: 5, jitter: 20 * time.Millisecond, lag: 350 * time.Millisecond, noise: 0.01, gain: 0.05},
	"dropped frames":  {fps: 10, drop: 0.3, jitter: 40 * time.Millisecond, lag: 400 * time.Millisecond, noise: 0.01, gain: 0.05},
	"slow network":    {fps: 8, drop: 0.1, jitter: 60 * time.Millisecond, lag: 900 * time.Millisecond, noise: 0.01, gain: 0.05},
	"noise":           {fps: 10, jitter: 20 * time.Millisecond, lag: 300 * time.Millisecond, noise: 0.03, gain: 0.05},
	"drift":           {fps: 10, jitter: 20 * time.Millisecond, lag: 300 * time.Millisecond, noise: 0.01, gain: 0.05, drift: 0.3},
	"daylight, faint": {fps: 12, jitter: 20 * time.Millisecond, lag: 300 * time.Millisecond, noise: 0.01, gain: 0.015},
}

func TestFlashHonest(t *testing.T) {
	t.Parallel()
	src := seeded(1)
	rng := rand.New(src)
	for name, m := range conditions {
		const n = 200
		passed := map[Level]int{}
		var lag time.Duration
		for range n {
			c := drawn(LivenessFlash, src)
			s := m.colours(rng, c, c.shows)
			for _, l := range []Level{LevelLow, LevelNormal, LevelHigh} {
				r := c.Judge(l, s)
				if r.Code == OK {
					passed[l]++
				}
				lag += r.Lag / 3
			}
		}
		t.Logf("%s: passed %v of %d, mean lag %v for %v", name, passed, n, lag/n, m.lag)
		if passed[LevelNormal] < n*95/100 {
			t.Errorf("%s: %d of %d honest sessions passed, want 95 %%", name, passed[LevelNormal], n)
		}
		if abs(lag/n-m.lag) > 80*time.Millisecond {
			t.Errorf("%s: estimated a lag of %v, want %v", name, lag/n, m.lag)
		}
	}
}
