package ekyc

import (
	"math"
	"sort"
	"time"
)

// qualityLimits are what a face must reach at a strictness. Eye distance: ISO/IEC
// 19794-5 asks 60 pixels for interchange; the embedding model reads 112x112 with the
// eyes 35 apart, so below 35 it sees enlarged pixels. Pose: the embedding's own test
// set is near frontal; silent capture asks the person to face the camera anyway.
// Light and sharpness were measured on the engine's scale (docs/models/README.md).
type qualityLimits struct {
	eyeDistance   float64 // pixels
	sharpness     float64
	dark, bright  float64 // mean luma
	inside        float64 // share of the box
	yaw, pitch    float64 // degrees, either way
	roll          float64
	eyesClosed    float64 // probability on both eyes; ENGINE: blink at .85
	otherFaceArea float64 // a second face this large beside the first is one too many
}

var limits = map[Level]qualityLimits{
	LevelLow:    {24, 0.15, 0.10, 0.95, 0.85, 40, 35, 40, 0.97, 0.30},
	LevelNormal: {35, 0.25, 0.16, 0.90, 0.92, 30, 28, 30, 0.90, 0.15},
	LevelHigh:   {60, 0.40, 0.24, 0.85, 0.98, 18, 18, 20, 0.80, 0.10},
}

// Judge names the first quality limit of a level that the examined image's largest
// face does not reach, or OK. Checks whose measurement was not wanted never fail.
func Judge(x Examination, want Want, level Level) Code {
	if len(x.Faces) == 0 {
		return NoFace
	}
	l, ok := limits[level]
	if !ok { // LevelNone: a face is enough
		return OK
	}
	f, q := x.Faces[0], x.Faces[0].Quality
	switch {
	case crowded(x, l):
		return SeveralFaces
	case q.Inside < l.inside:
		return FaceCut
	case q.EyeDistance < l.eyeDistance:
		return FaceSmall
	case q.Brightness < l.dark:
		return FaceDark
	case q.Brightness > l.bright:
		return FaceBright
	case want&WantPose != 0 && turned(f.Pose, l):
		return FaceTurned
	case q.Sharpness < l.sharpness:
		return FaceBlurred
	case want&WantEyes != 0 && f.EyesClosed[0] > l.eyesClosed && f.EyesClosed[1] > l.eyesClosed:
		return EyesClosed
	}
	return OK
}

func crowded(x Examination, l qualityLimits) bool {
	first := x.Faces[0].Box
	for _, f := range x.Faces[1:] {
		if f.Box.W*f.Box.H >= l.otherFaceArea*first.W*first.H {
			return true
		}
	}
	return false
}

func turned(p Pose, l qualityLimits) bool {
	return math.Abs(p.Yaw) > l.yaw || math.Abs(p.Pitch) > l.pitch || math.Abs(p.Roll) > l.roll
}

// Hint tells the capture subject what to do next. They see hints, never scores.
type Hint string

const (
	HintNone     Hint = "" // all is well; hold on
	HintNoFace   Hint = "no_face"
	HintSeveral  Hint = "several_faces"
	HintCloser   Hint = "closer"
	HintFurther  Hint = "further"
	HintCentre   Hint = "centre"
	HintTurn     Hint = "turn_to_camera"
	HintLight    Hint = "more_light"
	HintShade    Hint = "less_light"
	HintStill    Hint = "hold_still"
	HintOpenEyes Hint = "open_eyes"
)

var hints = map[Code]Hint{
	OK: HintNone, NoFace: HintNoFace, SeveralFaces: HintSeveral, FaceSmall: HintCloser, FaceCut: HintCentre,
	FaceDark: HintLight, FaceBright: HintShade, FaceTurned: HintTurn, FaceBlurred: HintStill, EyesClosed: HintOpenEyes,
}

// Limits of a live capture. Our choices.
const (
	// WatchFrames is how many good frames a silent capture needs, WatchSpan over what
	// time at least: long enough for a blink or a sway to show, short enough to hold still.
	WatchFrames = 8
	WatchSpan   = 1500 * time.Millisecond
	// WatchGap is the longest silence between two frames of one presentation.
	WatchGap = 3 * time.Second
	// WatchTimeout ends a capture that never became good.
	WatchTimeout = 60 * time.Second
	// ProbeFrames is how many of the good frames make the probe.
	ProbeFrames = 5
	// faceShareMin and Max bound the face box's width as a share of the frame's short
	// side: "closer" below, "further" above.
	faceShareMin, faceShareMax = 0.22, 0.85
	// sameFaceOverlap is the least intersection over union of the face's boxes in
	// consecutive frames; less means that it jumped, or is another.
	sameFaceOverlap = 0.30
)

// Frame is one camera image, JPEG, and when the server received it.
type Frame struct {
	Image   []byte
	At      time.Time
	quality float64
}

// Advice is what Watch says to one frame.
type Advice struct {
	Hint     Hint
	Progress float64 // 0 to 1
	Done     bool    // Frames holds a presentation
	TimedOut bool
}

// Watch follows one live presentation from its frames' examinations and keeps the good
// frames. It trusts the server's clock only. Not safe for concurrent use.
type Watch struct {
	plan  Plan
	start time.Time
	last  time.Time
	box   Box
	good  []Frame
}

// NewWatch starts following a presentation for a plan.
func NewWatch(p Plan, now time.Time) *Watch { return &Watch{plan: p, start: now, last: now} }

// WatchWants is what Observe needs examined of each frame.
const WatchWants = WantPose | WantEyes

// Observe takes the next frame with its examination.
func (w *Watch) Observe(f Frame, x Examination) Advice {
	if f.At.Sub(w.start) > WatchTimeout {
		return Advice{TimedOut: true}
	}
	if f.At.Sub(w.last) > WatchGap {
		w.good = nil
	}
	w.last = f.At
	hint := w.judge(x)
	if hint != HintNone {
		// A face that is lost, replaced or joined by another starts the presentation anew;
		// a blink or a blurred frame does not.
		if hint == HintNoFace || hint == HintSeveral {
			w.good = nil
		}
		return Advice{Hint: hint, Progress: w.progress()}
	}
	box := x.Faces[0].Box
	if len(w.good) > 0 && overlap(w.box, box) < sameFaceOverlap {
		w.good, hint = nil, HintStill
	}
	w.box = box
	f.quality = x.Faces[0].Quality.Value
	w.good = append(w.good, f)
	if len(w.good) > 4*WatchFrames { // a fast camera: keep every second one
		for i := range 2 * WatchFrames {
			w.good[i] = w.good[2*i]
		}
		w.good = w.good[:2*WatchFrames]
	}
	p := w.progress()
	return Advice{Hint: hint, Progress: p, Done: p >= 1}
}

func (w *Watch) judge(x Examination) Hint {
	if c := Judge(x, WatchWants, w.plan.QualityLevel); c != OK {
		return hints[c]
	}
	share := x.Faces[0].Box.W / float64(min(x.Width, x.Height))
	switch {
	case share < faceShareMin:
		return HintCloser
	case share > faceShareMax:
		return HintFurther
	}
	return HintNone
}

func (w *Watch) progress() float64 {
	n := len(w.good)
	if n == 0 {
		return 0
	}
	span := w.good[n-1].At.Sub(w.good[0].At)
	return min(1, float64(n)/WatchFrames, max(float64(span)/float64(WatchSpan), 1.0/WatchFrames))
}

// Frames returns the ProbeFrames best frames of the presentation, best first.
func (w *Watch) Frames() []Frame {
	best := append([]Frame(nil), w.good...)
	sort.SliceStable(best, func(i, j int) bool { return best[i].quality > best[j].quality })
	return best[:min(len(best), ProbeFrames)]
}

func overlap(a, b Box) float64 {
	w := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	h := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (a.W*a.H + b.W*b.H - w*h)
}
