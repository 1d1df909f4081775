package ekyc

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// RGB is a colour that a screen shows, 0 to 255 each.
type RGB [3]uint8

// Cue is one thing that the page shows or asks for, and when.
type Cue struct {
	N      int           // from 1
	After  time.Duration // from the challenge's start, by the server's clock
	For    time.Duration // how long it is shown, or how long the answer may take
	Colour RGB           // of flash
	Action Action        // of action kinds
	Near   bool          // of distance: come closer; false: move back
	Scale  float64       // of distance: the face's size to reach, as a multiple of its size before the first cue
	Digit  string        // of digits
}

// Challenge is what the server asks for: drawn at random, bound to one session, used
// once, and valid until Until. The page of a real-time kind is told each Cue only when it
// is due; that of a recorded kind is told all of them, as a session code.
type Challenge struct {
	ID    string // 32 hex characters
	Kind  LivenessKind
	Cues  []Cue
	Drawn time.Time
	Until time.Time
	Bits  float64 // log2 of how many challenges are equally likely
	// Actions are those that the cues were drawn from: what else could have been asked.
	Actions []Action
	// Started is when the first cue's clock began: zero as drawn; a Presentation or a
	// recording says it.
	Started time.Time
}

// Sample is what was measured in one frame, with the server's time of its arrival.
type Sample struct {
	At time.Time
	// Seq and Sent are the page's own count and clock (milliseconds since its start):
	// claims, used only to find contradictions.
	Seq   int
	Sent  time.Duration
	Faces int
	Face  Face // the largest; without Template
}

// CueResponse is what was found in the window of one cue.
type CueResponse struct {
	N    int
	Met  bool
	Lag  time.Duration // from the cue to its answer
	Size float64       // of the answer, in the unit of its kind: see Response
	// Seen is, of flash, the mean colour of the skin while the cue was shown, as it differs
	// from the presentation's drift: log(R/G) and log(B/G) in linear light.
	Seen [2]float64
}

// Response is how a presentation answered a challenge. It is a finding with a verdict of
// the challenge's own rules; decide makes the attempt's.
//
// A cue's Size is, of flash, how well the colour seen fits the one shown (1: the best of
// the palette); of actions, the movement in multiples of the least that counts; of
// distance, the face's size as a multiple of its size before; of digits, the mouth's
// movement in multiples of its mean.
type Response struct {
	Kind LivenessKind
	Code Code // OK when the challenge was met
	// Chance is the probability that a presentation which knows nothing of this challenge
	// would have answered it as well: a false accept rate.
	Chance float64
	Lag    time.Duration // of flash: estimated, common to all cues; of other kinds: the median
	Skin   float64       // of flash: gain of the skin's response
	Back   float64       // of flash: gain of the background's response
	Depth  float64       // of turns and distance: the least sign of depth found, in multiples of what is asked; 0 if none was needed
	Cues   []CueResponse
	Why    string // for the operator: the rule that failed, with its numbers; no personal data
}

// Windows of a challenge, from its drawing to the presentation's end. Our choices.
const (
	// ChallengeWindow is for real-time kinds: WatchTimeout for settling, and the cues.
	ChallengeWindow = 2 * time.Minute
	// RecordingWindow is for recorded kinds: to read what is asked, record and upload.
	RecordingWindow = 10 * time.Minute
)

// FlashCues colours are shown for FlashCue each: 1.25 flashes a second, as a flash is a
// pair of opposing changes. WCAG 2.2, 2.3.1 allows three in a second, of red ones too; no
// colour here is a saturated red (R/(R+G+B) >= .8 in linear light). 4*3^15 sequences.
const (
	FlashCues = 16
	FlashCue  = 400 * time.Millisecond
)

// Palette holds the colours of flash. In the plane of log(R/G) and log(B/G), where a
// skin's response is read, they lie in four different quadrants, opposite in pairs.
var Palette = [4]RGB{
	{255, 0, 255}, // magenta: R/G up, B/G up
	{0, 255, 0},   // green: down, down
	{255, 170, 0}, // orange: up, down
	{0, 140, 255}, // azure: down, up
}

// schedule is how the cues of a kind lie in time: the first after first plus a random
// pause, each further one after gap plus a random pause, the pause one of steps multiples
// of pauseStep. Our choices: a person reads, reacts, moves and comes back within gap.
type schedule struct {
	first, gap time.Duration
	steps      int
	answer     time.Duration // Cue.For
}

const pauseStep = 100 * time.Millisecond

var schedules = map[LivenessKind]schedule{
	LivenessAction:   {300 * time.Millisecond, 1300 * time.Millisecond, 14, 1500 * time.Millisecond},
	LivenessDistance: {300 * time.Millisecond, 1700 * time.Millisecond, 17, 1700 * time.Millisecond},
	// A recording begins with a second or two of the face as it is.
	RecordedAction: {1500 * time.Millisecond, 1600 * time.Millisecond, 15, 1600 * time.Millisecond},
	RecordedDigits: {1500 * time.Millisecond, 1000 * time.Millisecond, 15, 700 * time.Millisecond},
}

// distanceScales are the sizes of a face that a distance challenge asks for: 1 is where
// the person was. Steps of 1.28 can be told from each other, and from 0.78 to 1.64 is
// from an outstretched arm to a bent one.
var distanceScales = [4]float64{0.78, 1, 1.28, 1.64}

const (
	distanceStart = 1 // in distanceScales: where the person was
	distanceCues  = 6
	digitCues     = 6
)

// distancePaths are the ways through distanceScales that a challenge may ask for: never
// the same size twice in a row, the nearest at least once, and it and the farthest at
// least three times together. Without the ends the change of perspective is too small to be told from the
// landmarks' noise (measured: docs/liveness.md).
var distancePaths = func() (paths [][]int) {
	var walk func(path []int, last, nearest, farthest int)
	walk = func(path []int, last, nearest, farthest int) {
		if len(path) == distanceCues {
			if nearest >= 1 && nearest+farthest >= 3 {
				paths = append(paths, slices.Clone(path))
			}
			return
		}
		for to := range distanceScales {
			if to == last {
				continue
			}
			n, f := nearest, farthest
			switch to {
			case len(distanceScales) - 1:
				n++
			case 0:
				f++
			}
			walk(append(path, to), to, n, f)
		}
	}
	walk(nil, distanceStart, 0, 0)
	return paths
}()

// actionCues is how many actions are asked for when so many are to choose from: fewer
// to choose from are asked more often.
func actionCues(choice int) int {
	if choice >= 5 {
		return 5
	}
	return 6
}

// Draw makes a challenge of a kind at random from r, which must not fail: a machine
// without randomness cannot serve, so failure panics. Every challenge of the kind is
// equally likely. Kinds that ask for nothing have no cues and no bits.
func Draw(kind LivenessKind, p Plan, r io.Reader, now time.Time) Challenge {
	d := dice{r}
	var id [16]byte
	d.fill(id[:])
	c := Challenge{ID: hex.EncodeToString(id[:]), Kind: kind, Drawn: now, Until: now.Add(ChallengeWindow)}
	if kind.Recorded() {
		c.Until = now.Add(RecordingWindow)
	}
	bits := 0.0
	roll := func(n int) int {
		bits += math.Log2(float64(n))
		return d.roll(n)
	}
	// other draws one of n that is not last; any if last is negative.
	other := func(n, last int) int {
		if last < 0 {
			return roll(n)
		}
		i := roll(n - 1)
		if i >= last {
			i++
		}
		return i
	}
	at := time.Duration(0)
	s := schedules[kind]
	next := func(n int) Cue {
		if n == 1 {
			at += s.first
		} else {
			at += s.gap
		}
		at += time.Duration(roll(s.steps)) * pauseStep
		return Cue{N: n, After: at, For: s.answer}
	}
	last := -1
	switch kind {
	case LivenessFlash:
		for n := 1; n <= FlashCues; n++ {
			last = other(len(Palette), last)
			c.Cues = append(c.Cues, Cue{N: n, After: at, For: FlashCue, Colour: Palette[last]})
			at += FlashCue
		}
	case LivenessAction, RecordedAction:
		c.Actions = p.actions()
		for n := 1; n <= actionCues(len(c.Actions)); n++ {
			cue := next(n)
			last = other(len(c.Actions), last)
			cue.Action = c.Actions[last]
			c.Cues = append(c.Cues, cue)
		}
	case LivenessDistance:
		last = distanceStart
		for n, to := range distancePaths[roll(len(distancePaths))] {
			cue := next(n + 1)
			cue.Near, cue.Scale = to > last, distanceScales[to]
			last = to
			c.Cues = append(c.Cues, cue)
		}
	case RecordedDigits:
		for n := 1; n <= digitCues; n++ {
			cue := next(n)
			cue.Digit = fmt.Sprint(roll(10))
			c.Cues = append(c.Cues, cue)
		}
	}
	c.Bits = bits
	return c
}

// actions is what the plan's action challenges draw from, each once.
func (p Plan) actions() []Action {
	var list []Action
	for _, a := range Actions() {
		if slices.Contains(p.Actions, a) {
			list = append(list, a)
		}
	}
	if len(list) < 2 { // none named, or not enough to alternate
		return Actions()
	}
	return list
}

// Kinds lists the kinds of liveness that the plan allows, its own first.
func (p Plan) Kinds() []LivenessKind {
	list := []LivenessKind{p.Liveness}
	for _, k := range []LivenessKind{p.Alternative, p.Fallback} {
		if k != "" && !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	return list
}

// end is when the last cue's time is over.
func (c Challenge) end() time.Duration {
	if len(c.Cues) == 0 {
		return 0
	}
	last := c.Cues[len(c.Cues)-1]
	return last.After + last.For
}

// dice draws numbers from a reader.
type dice struct{ r io.Reader }

func (d dice) fill(b []byte) {
	if _, err := io.ReadFull(d.r, b); err != nil {
		panic(fmt.Sprintf("no randomness: %v", err))
	}
}

// roll returns 0 to n-1, each equally likely; n is 1 to 65536.
func (d dice) roll(n int) int {
	var b [2]byte
	for limit := 65536 - 65536%n; ; {
		d.fill(b[:])
		if v := int(binary.BigEndian.Uint16(b[:])); v < limit {
			return v % n
		}
	}
}
