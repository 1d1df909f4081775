package ekyc

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// sessions is how many random attackers of each kind the false accept tests play.
var sessions = flag.Int("sessions", 1000, "random attackers of flash")

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
		n := Few(40)
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
		t.Logf("%s: passed %v of %d, mean lag %v for %v", name, passed, n, lag/time.Duration(n), m.lag)
		if testing.Short() {
			continue // too few to claim a share or a mean of
		}
		if passed[LevelNormal] < n*95/100 {
			t.Errorf("%s: %d of %d honest sessions passed, want 95 %%", name, passed[LevelNormal], n)
		}
		if abs(lag/time.Duration(n)-m.lag) > 100*time.Millisecond {
			t.Errorf("%s: estimated a lag of %v, want %v", name, lag/time.Duration(n), m.lag)
		}
	}
}

// TestFlashBlind plays perfect films of the answer to another sequence: what is best
// without knowing this one.
func TestFlashBlind(t *testing.T) {
	t.Parallel()
	src := seeded(2)
	rng := rand.New(src)
	m := conditions["good"]
	n := Few(*sessions)
	passed, low := 0, 0
	for range n / 10 {
		other := drawn(LivenessFlash, src)
		film := m.colours(rng, other, other.shows)
		for range 10 {
			c := drawn(LivenessFlash, src)
			r := c.Judge(LevelLow, film)
			if r.Code == OK {
				passed++
			}
			if r.Chance < 0.01 {
				low++
			}
		}
	}
	t.Logf("%d of %d passed; chance below .01: %d", passed, n, low)
	if passed > (n+9999)/10000 {
		t.Errorf("%d of %d blind attackers passed at the low level", passed, n)
	}
	// Chance is an upper bound of the probability that it names.
	if most := n/100 + 3*int(math.Sqrt(float64(n)/100)); low > most {
		t.Errorf("%d of %d blind attackers had a chance below .01, want at most %d", low, n, most)
	}
}

func TestFlashAttacked(t *testing.T) {
	t.Parallel()
	src := seeded(3)
	rng := rand.New(src)
	m := conditions["good"]
	frozen := func(list []Sample) []Sample {
		for i := range list {
			list[i].Face = list[0].Face
		}
		return list
	}
	late := m
	late.lag = 1700 * time.Millisecond
	for name, attack := range map[string]func(Challenge) []Sample{
		"a still picture": func(c Challenge) []Sample { return frozen(m.colours(rng, c, c.shows)) },
		"an untinted film": func(c Challenge) []Sample {
			return m.colours(rng, c, func(time.Duration) (RGB, bool) { return RGB{}, false })
		},
		"colours late": func(c Challenge) []Sample { return late.colours(rng, c, c.shows) },
		"wrong colours": func(c Challenge) []Sample {
			return m.colours(rng, c, func(at time.Duration) (RGB, bool) {
				col, ok := c.shows(at)
				return RGB{col[2], col[0], col[1]}, ok
			})
		},
		"colours in another order": func(c Challenge) []Sample {
			o := c
			o.Cues = append([]Cue(nil), c.Cues...)
			for i := range o.Cues {
				o.Cues[i].Colour = c.Cues[len(c.Cues)-1-i].Colour
			}
			return m.colours(rng, c, o.shows)
		},
		"a quarter too slow": func(c Challenge) []Sample {
			return m.colours(rng, c, func(at time.Duration) (RGB, bool) { return c.shows(at * 4 / 5) })
		},
		"one frame a second": func(c Challenge) []Sample {
			slow := m
			slow.fps = 1
			return slow.colours(rng, c, c.shows)
		},
		"too dark to see": func(c Challenge) []Sample {
			list := m.colours(rng, c, c.shows)
			for i := range list {
				list[i].Face.Skin = [3]float64{}
			}
			return list
		},
	} {
		for range 20 {
			c := drawn(LivenessFlash, src)
			if r := c.Judge(LevelLow, attack(c)); r.Code == OK {
				t.Errorf("%s: passed with chance %.2g, lag %v", name, r.Chance, r.Lag)
			}
		}
	}
}

// TestTailIsExact compares the distribution with counting.
func TestTailIsExact(t *testing.T) {
	t.Parallel()
	rng := rand.New(seeded(4))
	fits := make([][4]int, 5)
	for i := range fits {
		for k := range fits[i] {
			fits[i][k] = rng.IntN(fitSteps)
		}
	}
	var sums []int
	var walk func(i, last, sum int)
	walk = func(i, last, sum int) {
		if i == len(fits) {
			sums = append(sums, sum)
			return
		}
		for k := range 4 {
			if k != last {
				walk(i+1, k, sum+fits[i][k])
			}
		}
	}
	walk(0, -1, 0)
	for at := 0; at <= 5*(fitSteps-1)+1; at += 7 {
		n := 0
		for _, s := range sums {
			if s >= at {
				n++
			}
		}
		if got, want := tail(fits, at), float64(n)/float64(len(sums)); math.Abs(got-want) > 1e-12 {
			t.Errorf("at least %d: got %v, want %v", at, got, want)
		}
	}
}

func TestDraw(t *testing.T) {
	t.Parallel()
	src := seeded(5)
	for kind, least := range map[LivenessKind]float64{
		LivenessSilent: 0, LivenessFlash: 20, LivenessAction: 20, LivenessDistance: 20, RecordedPicture: 0, RecordedVideo: 0, RecordedAction: 20, RecordedDigits: 20,
	} {
		ids := map[string]bool{}
		for range 200 {
			c := Draw(kind, Plan{}, src, t0)
			if c.Bits < least || (least == 0) != (len(c.Cues) == 0) || len(c.ID) != 32 || ids[c.ID] || !c.Until.After(t0) {
				t.Fatalf("%s: got %+v, want a new ID and at least %v bits", kind, c, least)
			}
			ids[c.ID] = true
			for i := 1; i < len(c.Cues); i++ {
				a, b := c.Cues[i-1], c.Cues[i]
				if b.After <= a.After || kind != RecordedDigits && a.Colour == b.Colour && a.Action == b.Action && a.Scale == b.Scale {
					t.Fatalf("%s: cue %+v follows %+v", kind, b, a)
				}
			}
		}
	}
	few := Draw(LivenessAction, Plan{Actions: []Action{Blink, TurnLeft, OpenMouth}}, src, t0)
	if few.Bits < 20 || len(few.Actions) != 3 || len(few.Cues) != 6 {
		t.Errorf("three actions: got %+v, want 20 bits of six cues", few)
	}
	// Each colour first, and each action, as often as any other.
	colours, actions := map[RGB]int{}, map[Action]int{}
	const n = 4000
	for range n {
		colours[Draw(LivenessFlash, Plan{}, src, t0).Cues[0].Colour]++
		actions[Draw(LivenessAction, Plan{}, src, t0).Cues[2].Action]++
	}
	for c, got := range colours {
		if got < n/4*85/100 || got > n/4*115/100 {
			t.Errorf("colour %v came first %d times of %d, want a quarter", c, got, n)
		}
	}
	for a, got := range actions {
		if got < n/6*80/100 || got > n/6*120/100 {
			t.Errorf("action %s came third %d times of %d, want a sixth", a, got, n)
		}
	}
}

// TestPaletteIsSafe: WCAG 2.2, 2.3.1: at most three flashes a second, and no saturated red.
func TestPaletteIsSafe(t *testing.T) {
	t.Parallel()
	if perSecond := float64(time.Second) / float64(2*FlashCue); perSecond >= 3 {
		t.Errorf("%v flashes a second, want fewer than 3", perSecond)
	}
	seen := map[chroma]bool{}
	for i, c := range Palette {
		var lin [3]float64
		for k, v := range c {
			lin[k] = math.Pow(float64(v)/255, 2.2)
		}
		if share := lin[0] / (lin[0] + lin[1] + lin[2]); share >= 0.8 {
			t.Errorf("%v is a saturated red: %.2f", c, share)
		}
		if seen[quadrants[i]] {
			t.Errorf("%v lies in the quadrant of another", c)
		}
		seen[quadrants[i]] = true
	}
}
