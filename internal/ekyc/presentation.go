package ekyc

import (
	"sort"
	"time"
)

// Frame is one camera image, JPEG, and when the server received it. Seq and Sent are the
// page's own count and clock, from 1 and from its start: claims. They are 0 where the
// page makes none.
type Frame struct {
	Image []byte
	At    time.Time
	Seq   int
	Sent  time.Duration
}

// Client is what the transport and the page say of themselves: claims.
type Client struct {
	Address string // of the network
	Device  string // what the page made up to know the browser again
	Camera  string // its label
	Agent   string // the browser's
}

// Presented is a complete presentation: what Submit takes.
type Presented struct {
	Challenge string // its ID
	Kind      LivenessKind
	Frames    []Frame // for the probe, best first, at most ProbeFrames
	All       []Frame // in order of time, thinned to at most KeptFrames
	Samples   []Sample
	Started   time.Time   // when the first cue's clock began
	Shown     []time.Time // when each cue was handed out; empty where they follow the schedule
	Client    Client
}

// Phase of a presentation.
const (
	PhaseSettle    = "settle"    // the face is brought into place and seen as it is
	PhaseChallenge = "challenge" // cues are due
)

// Advice is what a Presentation says to one frame.
type Advice struct {
	Hint     Hint
	Progress float64 // 0 to 1
	// Cue is what to show or ask for from now on. Each is given once, when it is due, by
	// Observe or Due, whichever comes first.
	Cue      *Cue
	Phase    string // PhaseSettle or PhaseChallenge
	Done     bool   // Result holds the presentation
	TimedOut bool   // it never became good
	// Abort says why the presentation must begin anew with a new challenge: NoFace,
	// SeveralFaces, FaceChanged or ChallengeStale. OK goes on.
	Abort Code
}

// Over reports whether the presentation is over, and with what code: OK where Result holds
// it, TimedOut where it never became good, else why it must begin anew.
func (a Advice) Over() (Code, bool) {
	switch {
	case a.TimedOut:
		return TimedOut, true
	case a.Abort != OK:
		return a.Abort, true
	}
	return OK, a.Done
}

// Limits of a live capture. Our choices.
const (
	// WatchFrames is how many good frames a silent capture needs, WatchSpan over what
	// time at least: long enough for a blink or a sway to show, short enough to hold still.
	WatchFrames = 8
	WatchSpan   = 1500 * time.Millisecond
	// SettleFrames and SettleSpan are the same before the cues of a challenge.
	SettleFrames = 5
	SettleSpan   = 1000 * time.Millisecond
	// WatchGap is the longest silence between two frames while nothing is asked, CueGap
	// while something is.
	WatchGap = 3 * time.Second
	CueGap   = 1500 * time.Millisecond
	// WatchTimeout ends a capture that never became good.
	WatchTimeout = 60 * time.Second
	// ProbeFrames is how many of the good frames make the probe.
	ProbeFrames = 5
	// KeptFrames bounds the images that a presentation keeps, beside those of the probe.
	KeptFrames = 64
	// sampleLimit bounds the samples that a presentation keeps: 30 frames a second for
	// the longest challenge. More frames are not looked at.
	sampleLimit = 900
	// settleSamples bounds the samples from before the cues.
	settleSamples = 60
	// lostFaceSpan is how long a face may be out of sight (turned away, blurred) or a
	// second one in sight while cues are due.
	lostFaceSpan = 700 * time.Millisecond
	// flashTail, moveTail are how long after the last cue's time frames are still needed:
	// what arrives then was seen earlier.
	flashTail = 800 * time.Millisecond
	moveTail  = 300 * time.Millisecond
	// faceShareMin and Max bound the face box's width as a share of the frame's short
	// side: "closer" below, "further" above.
	faceShareMin, faceShareMax = 0.22, 0.85
	// distanceShareMax leaves room to come closer.
	distanceShareMax = 0.45
	// sameFaceOverlap is the least intersection over union of the face's boxes in
	// consecutive frames; less means that it jumped, or is another. cueOverlap is the
	// same while movements are asked for.
	sameFaceOverlap, cueOverlap = 0.30, 0.10
)

// rated is a frame with its worth for a probe.
type rated struct {
	Frame
	quality float64
}

// Presentation follows one live presentation of a real-time kind from its frames'
// examinations: it waits until a good face has settled, hands out the cues of the
// challenge when they are due, and keeps what Submit needs. It trusts the server's clock
// only, decides nothing, and keeps a bounded number of frames. Not safe for concurrent use.
type Presentation struct {
	plan      Plan
	challenge Challenge
	start     time.Time
	last      time.Time
	box       Box
	good      []rated // of the settling
	all       []Frame
	stride    int // every stride-th frame is kept in all
	count     int
	samples   []Sample
	started   time.Time // zero while settling
	shown     []time.Time
	lost      time.Time // since when the face is out of sight; zero if it is not
	pace      pace
	over      bool
}

// NewPresentation starts following a presentation for a plan.
func NewPresentation(p Plan, c Challenge, now time.Time) *Presentation {
	return &Presentation{plan: p, challenge: c, start: now, last: now, stride: 1}
}

// Wants is what Observe needs examined of the next frame.
func (w *Presentation) Wants() Want { return wants(w.challenge.Kind) }

func wants(k LivenessKind) Want {
	if k == LivenessFlash {
		return WantPose | WantEyes | WantColour
	}
	return WantPose | WantEyes
}

// Due returns the cue that has become due by now, nil if none has, and how long it is
// until the next; 0 when no more will come or the face has not settled. A caller with a
// timer shows cues on time, even between frames; without one, Observe gives them.
func (w *Presentation) Due(now time.Time) (*Cue, time.Duration) {
	if w.started.IsZero() || w.over {
		return nil, 0
	}
	var cue *Cue
	cues := w.challenge.Cues
	for len(w.shown) < len(cues) && now.Sub(w.started) >= cues[len(w.shown)].After {
		cue = &cues[len(w.shown)]
		w.shown = append(w.shown, now)
	}
	if len(w.shown) == len(cues) {
		return cue, 0
	}
	return cue, cues[len(w.shown)].After - now.Sub(w.started)
}

// Observe takes the next frame with its examination.
func (w *Presentation) Observe(f Frame, x Examination) Advice {
	a := w.observe(f, x)
	a.Phase = PhaseSettle
	if !w.started.IsZero() {
		a.Phase = PhaseChallenge
	}
	if a.Done || a.TimedOut || a.Abort != OK {
		w.over = true
	}
	return a
}

func (w *Presentation) observe(f Frame, x Examination) Advice {
	if w.started.IsZero() && f.At.Sub(w.start) > WatchTimeout {
		return Advice{TimedOut: true}
	}
	if why := w.pace.next(f.At, f.Seq, f.Sent); why != "" {
		return Advice{Abort: ChallengeStale}
	}
	gap := f.At.Sub(w.last)
	w.last = f.At
	if w.started.IsZero() {
		return w.settle(f, x, gap)
	}
	return w.ask(f, x, gap)
}

// settle waits for a good face.
func (w *Presentation) settle(f Frame, x Examination, gap time.Duration) Advice {
	if gap > WatchGap {
		w.forget()
	}
	hint := w.judge(x)
	if hint != HintNone {
		// A face that is lost, replaced or joined by another starts the presentation anew;
		// a blink or a blurred frame does not.
		if hint == HintNoFace || hint == HintSeveral {
			w.forget()
		} else {
			w.keep(f, x)
		}
		return Advice{Hint: hint, Progress: w.settled() * w.share()}
	}
	box := x.Faces[0].Box
	if len(w.good) > 0 && overlap(w.box, box) < sameFaceOverlap {
		w.forget()
		hint = HintStill
	}
	w.box = box
	w.keep(f, x)
	w.good = append(w.good, rated{f, x.Faces[0].Quality.Value})
	if len(w.good) > 4*WatchFrames { // a fast camera: keep every second one
		for i := range 2 * WatchFrames {
			w.good[i] = w.good[2*i]
		}
		w.good = w.good[:2*WatchFrames]
	}
	p := w.settled()
	a := Advice{Hint: hint, Progress: p * w.share()}
	if p < 1 {
		return a
	}
	w.started = f.At
	if len(w.challenge.Cues) == 0 {
		a.Done = true
		return a
	}
	a.Cue, _ = w.Due(f.At)
	return a
}

// share is how much of the whole the settling is.
func (w *Presentation) share() float64 {
	if len(w.challenge.Cues) == 0 {
		return 1
	}
	return 0.2
}

// ask follows the answer to the cues.
func (w *Presentation) ask(f Frame, x Examination, gap time.Duration) Advice {
	if gap > CueGap {
		return Advice{Abort: ChallengeStale}
	}
	a := Advice{}
	a.Cue, _ = w.Due(f.At)
	total := w.challenge.end() + w.tail()
	passed := f.At.Sub(w.started)
	a.Progress = 0.2 + 0.8*min(1, float64(passed)/float64(total))
	alone := len(x.Faces) > 0 && !crowded(x, limits[LevelNormal])
	switch {
	case !alone:
		if w.lost.IsZero() {
			w.lost = f.At
		}
		code, hint := NoFace, HintNoFace
		if len(x.Faces) > 0 {
			code, hint = SeveralFaces, HintSeveral
		}
		if f.At.Sub(w.lost) > lostFaceSpan {
			return Advice{Abort: code}
		}
		a.Hint = hint
	case w.lost.IsZero() && overlap(w.box, x.Faces[0].Box) < cueOverlap:
		return Advice{Abort: FaceChanged}
	default:
		w.lost = time.Time{}
		w.box = x.Faces[0].Box
		a.Hint = w.guide(x)
	}
	w.keep(f, x)
	if len(w.shown) == len(w.challenge.Cues) && (passed >= total || w.met(passed)) {
		a.Done = true
	}
	return a
}

func (w *Presentation) tail() time.Duration {
	if w.challenge.Kind == LivenessFlash {
		return flashTail
	}
	return moveTail
}

// met reports that the last movement asked for has been seen, so that nobody waits for
// the end of its time.
func (w *Presentation) met(passed time.Duration) bool {
	cues := w.challenge.Cues
	if w.challenge.Kind != LivenessAction || passed < cues[len(cues)-1].After+soonest {
		return false
	}
	return w.asked().answered(w.plan.LivenessLevel, w.samples)
}

// guide is the hint while cues are due: what is asked for is not held against anyone.
func (w *Presentation) guide(x Examination) Hint {
	f := x.Faces[0]
	l := limits[LevelLow]
	switch {
	case f.Quality.Inside < l.inside:
		return HintCentre
	case w.challenge.Kind == LivenessFlash && turned(f.Pose, l):
		return HintTurn
	case w.challenge.Kind == LivenessDistance && len(w.shown) > 0:
		return w.distanceHint(f)
	}
	return HintNone
}

// distanceHint compares the face's size with the one asked for.
func (w *Presentation) distanceHint(f Face) Hint {
	base := baseSize(w.asked().baseline(w.samples))
	to := w.challenge.Cues[len(w.shown)-1].Scale
	if base == 0 {
		return HintNone
	}
	switch got := f.Quality.EyeDistance / base; {
	case got < to/distanceTolerance:
		return HintCloser
	case got > to*distanceTolerance:
		return HintFurther
	}
	return HintNone
}

// keep adds a frame's sample and, thinned, its image.
func (w *Presentation) keep(f Frame, x Examination) {
	if len(w.samples) >= sampleLimit {
		return
	}
	w.samples = append(w.samples, sampleOf(f, x))
	if w.started.IsZero() && len(w.samples) > settleSamples {
		w.samples = append(w.samples[:0], w.samples[len(w.samples)-settleSamples:]...)
	}
	w.count++
	if w.count%w.stride != 0 {
		return
	}
	w.all = append(w.all, f)
	if len(w.all) > KeptFrames {
		for i := range len(w.all) / 2 {
			w.all[i] = w.all[2*i]
		}
		w.all = w.all[:len(w.all)/2]
		w.stride *= 2
	}
}

func sampleOf(f Frame, x Examination) Sample {
	s := Sample{At: f.At, Seq: f.Seq, Sent: f.Sent, Faces: len(x.Faces)}
	if len(x.Faces) > 0 {
		s.Face = x.Faces[0]
		s.Face.Template = Template{}
	}
	return s
}

// forget starts the settling anew.
func (w *Presentation) forget() {
	w.good, w.all, w.samples = nil, nil, nil
	w.stride, w.count = 1, 0
}

func (w *Presentation) judge(x Examination) Hint {
	if c := Judge(x, WantPose|WantEyes, w.plan.QualityLevel); c != OK {
		return hints[c]
	}
	share := x.Faces[0].Box.W / float64(min(x.Width, x.Height))
	most := faceShareMax
	if w.challenge.Kind == LivenessDistance {
		most = distanceShareMax
	}
	switch {
	case share < faceShareMin:
		return HintCloser
	case share > most:
		return HintFurther
	}
	return HintNone
}

// settled is how far the settling is, 0 to 1.
func (w *Presentation) settled() float64 {
	frames, least := SettleFrames, SettleSpan
	if len(w.challenge.Cues) == 0 {
		frames, least = WatchFrames, WatchSpan
	}
	n := len(w.good)
	if n == 0 {
		return 0
	}
	span := w.good[n-1].At.Sub(w.good[0].At)
	return min(1, float64(n)/float64(frames), max(float64(span)/float64(least), 1.0/float64(frames)))
}

// asked is the challenge as it was asked: with its start, and cues at the time at which
// they were handed out.
func (w *Presentation) asked() Challenge { return w.challenge.asked(w.started, w.shown) }

func (c Challenge) asked(started time.Time, shown []time.Time) Challenge {
	c.Started = started
	cues := append([]Cue(nil), c.Cues...)
	for i := range cues {
		if i < len(shown) && shown[i].Sub(started) > cues[i].After {
			cues[i].After = shown[i].Sub(started)
		}
	}
	c.Cues = cues
	return c
}

// Result returns the presentation once it is done: its probe's frames are the best ones
// from before the first cue, where the face is neither turned nor tinted.
func (w *Presentation) Result() Presented {
	p := Presented{
		Challenge: w.challenge.ID, Kind: w.challenge.Kind, Frames: bestFrames(w.good), All: append([]Frame(nil), w.all...),
		Samples: append([]Sample(nil), w.samples...), Started: w.started, Shown: append([]time.Time(nil), w.shown...),
	}
	return p
}

func bestFrames(list []rated) []Frame {
	best := append([]rated(nil), list...)
	sort.SliceStable(best, func(i, j int) bool { return best[i].quality > best[j].quality })
	var frames []Frame
	for _, r := range best[:min(len(best), ProbeFrames)] {
		frames = append(frames, r.Frame)
	}
	return frames
}

func overlap(a, b Box) float64 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (a.W*a.H + b.W*b.H - w*h)
}
