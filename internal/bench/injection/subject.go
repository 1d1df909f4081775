package injection

import (
	"math"
	"math/rand/v2"
	"time"

	"shiren/internal/ekyc"
)

// subject is what sits where a camera should: a person or an attacker. Times count from
// the session's start. Not safe for concurrent use.
type subject interface {
	// shown tells that the page shows a cue from at on.
	shown(at time.Duration, c ekyc.Cue)
	// frame is the JPEG that the camera takes at a moment; moments never fall.
	frame(at time.Duration) ([]byte, error)
}

// look is how a person looks all through a session.
type look struct {
	light  light
	offset time.Duration // into the calm reel
	// percent enlarges the pictures of a path, as another camera would: 0 is 100.
	percent int
}

func (l look) lit(c ekyc.RGB) light {
	out := l.light
	out.screen = c
	return out
}

// colours is a person before a screen that shows colours, or an attacker who colours
// pictures. It answers each cue with choose(cue), after late.
type colours struct {
	m      *Material
	p      *person
	look   look
	choose func(ekyc.Cue) ekyc.RGB
	late   time.Duration
	cues   []timed
}

type timed struct {
	at time.Duration
	ekyc.Cue
}

func (s *colours) shown(at time.Duration, c ekyc.Cue) {
	c.Colour = s.choose(c)
	s.cues = append(s.cues, timed{at, c})
}

func (s *colours) frame(at time.Duration) ([]byte, error) {
	var c ekyc.RGB
	for _, t := range s.cues {
		if t.at+s.late <= at && (t.For == 0 || at < t.at+s.late+2*t.For) {
			c = t.Colour
		}
	}
	return s.m.draw(s.p.calm.at(s.look.offset+at), s.look.lit(c), bend{})
}

func asAsked(c ekyc.Cue) ekyc.RGB { return c.Colour }

// actor is a person who does what is asked, or an attacker who does something else. The
// pieces of video begin where the calm face is.
type actor struct {
	m      *Material
	p      *person
	look   look
	r      *rand.Rand
	react  func() time.Duration // from a cue to the beginning of the answer
	choose func(ekyc.Cue) ekyc.Action
	// flat answers turns with a flat picture of the calm face.
	flat bool
	todo []piece
}

// piece is a part of a session in which something is done.
type piece struct {
	from time.Duration
	reel reel
	bend func(share float64) bend // of a flat picture; share of the piece's time
	span time.Duration
	pace float64 // of the reel, in multiples of its own
}

// blinkSpan is how long a blink is played at least: the page asks to keep the eyes closed for
// a moment, and one of the men blinks as everybody does, for .2 s.
const blinkSpan = 900 * time.Millisecond

func (s *actor) shown(at time.Duration, c ekyc.Cue) {
	a := s.choose(c)
	if a == "" {
		return
	}
	p := piece{from: at + s.react()}
	if n := len(s.todo); n > 0 {
		p.from = max(p.from, s.todo[n-1].from+s.todo[n-1].span)
	}
	if b := planeTurns[a]; s.flat && b != (bend{}) {
		p.reel, p.span = s.p.calm[:1], 1400*time.Millisecond
		p.bend = func(share float64) bend {
			up := min(1, 3*min(share, 1-share)) // there, held, and back
			return bend{yaw: 2 * int(up*float64(b.yaw)/2), pitch: 2 * int(up*float64(b.pitch)/2)}
		}
	} else {
		list := s.p.acts[a]
		if len(list) == 0 {
			return
		}
		p.reel = list[s.r.IntN(len(list))]
		if p.pace = 1; a == ekyc.Blink {
			p.pace = min(1, float64(p.reel.span())/float64(blinkSpan))
		}
		p.span = time.Duration(float64(p.reel.span()) / p.pace)
	}
	s.todo = append(s.todo, p)
}

// planeTurns is how an attacker turns a flat picture for an action: as far as it still
// looks like a face to the engine.
var planeTurns = map[ekyc.Action]bend{
	ekyc.TurnLeft: {yaw: 40}, ekyc.TurnRight: {yaw: -40}, ekyc.LookUp: {pitch: 40}, ekyc.LookDown: {pitch: -40},
}

func (s *actor) frame(at time.Duration) ([]byte, error) {
	for _, p := range s.todo {
		if at < p.from || at >= p.from+p.span {
			continue
		}
		if p.bend != nil {
			return s.m.draw(p.reel[0], s.look.light, p.bend(float64(at-p.from)/float64(p.span)))
		}
		return s.m.draw(p.reel[min(int(p.pace*float64((at-p.from)*materialRate)/float64(time.Second)), len(p.reel)-1)], s.look.light, bend{})
	}
	if s.flat {
		return s.m.draw(s.p.calm[0], s.look.light, bend{})
	}
	return s.m.draw(s.p.calm.at(s.look.offset+at), s.look.light, bend{})
}

// mover is a person who comes closer and moves back until the face fills the outline
// that the page draws, or an attacker who does something else. It walks along a path of
// real video; a flat one scales a still.
type mover struct {
	m     *Material
	path  *path
	look  look
	react func() time.Duration
	// size is the size that it goes to for a cue, as a multiple of the one at rest.
	size func(ekyc.Cue) float64
	flat bool

	plan []move
	at   time.Duration
	pos  float64 // in pictures of the path, 0 is near
	goal float64
}

type move struct {
	at   time.Duration
	goal float64
}

func newMover(m *Material, p *path, l look, react func() time.Duration, size func(ekyc.Cue) float64) *mover {
	return &mover{m: m, path: p, look: l, react: react, size: size, pos: float64(p.rest), goal: float64(p.rest)}
}

// byEye is how people stop: within some per cent of the outline.
func byEye(r *rand.Rand) func(ekyc.Cue) float64 {
	return func(c ekyc.Cue) float64 { return c.Scale * math.Exp(max(-0.08, min(0.08, 0.04*r.NormFloat64()))) }
}

func (s *mover) shown(at time.Duration, c ekyc.Cue) {
	want := s.size(c) * s.path.sizes[s.path.rest]
	best := 0
	for i, size := range s.path.sizes {
		if math.Abs(math.Log(size/want)) < math.Abs(math.Log(s.path.sizes[best]/want)) {
			best = i
		}
	}
	s.plan = append(s.plan, move{at + s.react(), float64(best)})
}

// walking is the speed of a person who was told to move, in doublings of the face's size
// a second: an arm of 60 cm is bent to 30 cm in 0.8 s. Our choice.
const walking = 1.2

func (s *mover) frame(at time.Duration) ([]byte, error) {
	for len(s.plan) > 0 && s.plan[0].at <= at {
		s.goal, s.plan = s.plan[0].goal, s.plan[1:]
	}
	step := walking * s.path.perDoubling * (at - s.at).Seconds()
	s.at = at
	s.pos += max(-step, min(s.goal-s.pos, step))
	if s.flat {
		rest := s.path.reel[s.path.rest]
		size := s.path.sizeAt(s.pos) / s.path.sizes[s.path.rest]
		return s.m.draw(rest, s.look.light, bend{percent: 2 * int(50*size+0.5)})
	}
	// Nobody stands quite still.
	sway := int(at*materialRate/time.Second) % 4
	if sway == 3 {
		sway = 1
	}
	i := max(0, min(int(s.pos+0.5)+sway-1, len(s.path.reel)-1))
	return s.m.draw(s.path.reel[i], s.look.light, bend{percent: s.look.percent})
}

// loop shows a reel over and over, whatever is asked. A reel of one picture is a still.
type loop struct {
	m    *Material
	reel reel
	look look
}

func (s *loop) shown(time.Duration, ekyc.Cue) {}

func (s *loop) frame(at time.Duration) ([]byte, error) {
	i := int((s.look.offset+at)*materialRate/time.Second) % len(s.reel)
	return s.m.draw(s.reel[i], s.look.light, bend{})
}

// swap is one subject until the challenge is half over, and then another.
type swap struct {
	first, second subject
	half          int           // the cue with which the second takes over; 0: after decides
	after         time.Duration // when the second takes over
	n             int
}

func (s *swap) shown(at time.Duration, c ekyc.Cue) {
	s.n++
	s.first.shown(at, c)
	s.second.shown(at, c)
}

func (s *swap) frame(at time.Duration) ([]byte, error) {
	a, err := s.first.frame(at)
	b, berr := s.second.frame(at)
	if s.half > 0 && s.n >= s.half || s.half == 0 && at >= s.after {
		return b, berr
	}
	return a, err
}

// elsewhere answers the cues of another session, from the first cue of this one on.
type elsewhere struct {
	subject
	cues  []ekyc.Cue
	begun bool
}

func (s *elsewhere) shown(at time.Duration, _ ekyc.Cue) {
	if s.begun {
		return
	}
	s.begun = true
	for _, c := range s.cues {
		s.subject.shown(at+c.After-s.cues[0].After, c)
	}
}

// recording is what a session's camera took and what its page showed.
type recording struct {
	plan   ekyc.PlanID
	frames []taken
	cues   []timed
}

type taken struct {
	at    time.Duration
	image []byte
}

// begin is when the first cue was shown.
func (r *recording) begin() time.Duration {
	if len(r.cues) == 0 {
		return 0
	}
	return r.cues[0].at
}

// picture is what was taken last before at.
func (r *recording) picture(at time.Duration) []byte {
	p := r.frames[0].image
	for _, f := range r.frames {
		if f.at > at {
			break
		}
		p = f.image
	}
	return p
}

// recorder records a subject.
type recorder struct {
	subject
	recording
}

func (s *recorder) shown(at time.Duration, c ekyc.Cue) {
	s.cues = append(s.cues, timed{at, c})
	s.subject.shown(at, c)
}

func (s *recorder) frame(at time.Duration) ([]byte, error) {
	b, err := s.subject.frame(at)
	if err == nil {
		s.frames = append(s.frames, taken{at, b})
	}
	return b, err
}

// replay shows a recording. Until the first cue it shows what preceded the recording's
// own first cue; from the first cue on it is in step with it, which is the best that one
// who knows the protocol can do. place maps the time since the first cue to the
// recording's; cue, if set, is told of each cue shown.
type replay struct {
	of    *recording
	place func(since time.Duration) time.Duration
	cue   func(since time.Duration, c ekyc.Cue)
	first time.Duration
	begun bool
}

func (s *replay) shown(at time.Duration, c ekyc.Cue) {
	if !s.begun {
		s.begun, s.first = true, at
	}
	if s.cue != nil {
		s.cue(at-s.first, c)
	}
}

func (s *replay) frame(at time.Duration) ([]byte, error) {
	b := s.of.begin()
	if !s.begun {
		if b < 100*time.Millisecond {
			return s.of.frames[0].image, nil
		}
		at %= 2 * b // to and fro
		if at > b {
			at = 2*b - at
		}
		return s.of.picture(at - 1), nil
	}
	return s.of.picture(b + s.place(at-s.first)), nil
}

func inStep(since time.Duration) time.Duration { return since }

// reorder plays the pieces of a recording between its cues in another order, each in
// time with a cue that the page shows.
func reorder(of *recording, r *rand.Rand) *replay {
	order := r.Perm(len(of.cues))
	n, at := 0, time.Duration(0)
	piece := of.begin()
	return &replay{
		of: of,
		cue: func(since time.Duration, _ ekyc.Cue) {
			at = since
			piece = of.cues[order[n%len(order)]].at
			n++
		},
		place: func(since time.Duration) time.Duration { return piece - of.begin() + since - at },
	}
}
