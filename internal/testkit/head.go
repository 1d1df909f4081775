package testkit

import (
	"math"
	"math/rand/v2"
	"time"

	"shiren/internal/ekyc"
)

// Head is a synthetic head before a camera: enough of a face in three dimensions for the
// measures that liveness is judged by. The zero value looks straight ahead from 45 cm.
type Head struct {
	Yaw, Pitch float64 // degrees; ekyc.Pose's signs
	Closed     float64 // the eyes, 0 to 1
	Mouth      float64 // the inner lips' gap over the mouth's width
	Closer     float64 // how many times larger than from 45 cm; 0 means 1
	Flat       bool    // a photograph of the head, turned and moved like the head
	Screen     *ekyc.RGB
	Tint       float64 // strength of the screen's light against the room's; 0 means .1
}

// Proportions of the synthetic head in cm: x to the image's right, y down, z away from
// the camera, the origin between the eyes. The tip of the nose stands out so far that its
// place in the frame of eyes and mouth moves by .010 a degree, as was measured on film.
const (
	headEyes     = 3.1 // half the distance of the eyes
	headNose     = 3.5
	headMouthY   = 6.3
	headMouth    = 2.5 // half its width
	headJaw      = 7.0 // half the width at the ears
	headEars     = 8.0 // how far they lie behind the eyes
	headDistance = 45.0
	headFocal    = 90 * headDistance / (2 * headEyes) // 90 pixels between the eyes
)

// pixel is where a point of the head appears.
func (h Head) pixel(x, y, z float64) ekyc.Point {
	if h.Flat {
		z = 0
	}
	sy, cy := math.Sincos(h.Yaw * math.Pi / 180)
	sp, cp := math.Sincos(h.Pitch * math.Pi / 180)
	x, z = x*cy-z*sy, x*sy+z*cy
	y, z = y*cp+z*sp, z*cp-y*sp
	closer := h.Closer
	if closer == 0 {
		closer = 1
	}
	d := headDistance / closer
	return ekyc.Point{X: 320 + headFocal*x/(d+z), Y: 220 + headFocal*y/(d+z)}
}

// landmarks are the 68 points; those that nothing is measured by lie at their neighbours.
func (h Head) landmarks() []ekyc.Point {
	l := make([]ekyc.Point, 68)
	for i := range 17 { // the jaw, ear to ear
		a := math.Pi * float64(i) / 16
		l[i] = h.pixel(-headJaw*math.Cos(a), 1+9.5*math.Sin(a), headEars*(1-math.Sin(a)))
	}
	for i := range 5 {
		l[17+i] = h.pixel(-5+float64(i)*0.9, -1.8, 0)
		l[22+i] = h.pixel(1.4+float64(i)*0.9, -1.8, 0)
	}
	for i := range 4 {
		l[27+i] = h.pixel(0, 1.1*float64(i), -headNose*float64(i)/3)
	}
	for i := range 5 {
		l[31+i] = h.pixel(float64(i-2)*0.7, 4, -1.5)
	}
	lid := 0.45 * (1 - 0.8*h.Closed)
	for i, x := range []float64{-headEyes, headEyes} {
		for j, p := range [6][2]float64{{-1.4, 0}, {-0.5, -lid}, {0.5, -lid}, {1.4, 0}, {0.5, lid}, {-0.5, lid}} {
			l[36+6*i+j] = h.pixel(x+p[0], p[1], 0)
		}
	}
	gap := h.Mouth * headMouth // half the gap
	for j := range 12 {
		a := math.Pi - 2*math.Pi*float64(j)/12
		l[48+j] = h.pixel(headMouth*math.Cos(a), headMouthY-(0.6+gap)*math.Sin(a), 0)
	}
	for j, p := range [8][2]float64{{-1, 0}, {-0.5, -1}, {0, -1}, {0.5, -1}, {1, 0}, {0.5, 1}, {0, 1}, {-0.5, 1}} {
		l[60+j] = h.pixel(0.8*headMouth*p[0], headMouthY+gap*p[1], 0)
	}
	return l
}

// show writes what an engine would find of the head into a face.
func (h Head) show(f *ekyc.Face) {
	f.Landmarks = h.landmarks()
	f.Pose.Yaw += h.Yaw
	f.Pose.Pitch += h.Pitch
	for i := range f.EyesClosed {
		f.EyesClosed[i] = max(f.EyesClosed[i], h.Closed)
	}
	centre := func(from int) (p ekyc.Point) {
		for _, q := range f.Landmarks[from : from+6] {
			p.X, p.Y = p.X+q.X/6, p.Y+q.Y/6
		}
		return p
	}
	a, b := centre(36), centre(42)
	scale := math.Hypot(b.X-a.X, b.Y-a.Y) / 90
	if h.Yaw == 0 {
		f.Quality.EyeDistance *= scale
	}
	f.Box.X, f.Box.Y = f.Box.X+f.Box.W*(1-scale)/2, f.Box.Y+f.Box.H*(1-scale)/2
	f.Box.W, f.Box.H = f.Box.W*scale, f.Box.H*scale
	f.Skin, f.Back = [3]float64{0.4, 0.25, 0.18}, [3]float64{0.3, 0.3, 0.3}
	if h.Screen != nil {
		tint := h.Tint
		if tint == 0 {
			tint = 0.1
		}
		for k, v := range h.Screen {
			light := tint * math.Pow(float64(v)/255, 2.2)
			f.Skin[k] *= 1 + light
			f.Back[k] *= 1 + light/5
		}
	}
}

// Act is the head of somebody who answers cues, a lag after each, at a time from the
// challenge's start. Cue.After is when it was asked for.
func Act(cues []ekyc.Cue, lag func(n int) time.Duration, at time.Duration) Head {
	h := Head{Closer: 1}
	size := 1.0
	for _, c := range cues {
		t := (at - c.After - lag(c.N)).Seconds()
		switch {
		case c.Colour != ekyc.RGB{}:
			if t >= 0 && t < c.For.Seconds() {
				h.Screen = &c.Colour
			}
		case c.Scale > 0:
			x := max(0, min(1, t/0.5))
			h.Closer *= math.Pow(c.Scale/size, x)
			size = c.Scale
		case c.Digit != "":
			if t >= 0 && t < 0.5 {
				h.Mouth = max(h.Mouth, 0.3*math.Abs(math.Sin(2*math.Pi*t/0.5)))
			}
		default:
			h.do(c.Action, max(0, min(1, t/0.3, (1.1-t)/0.3)))
		}
	}
	return h
}

// do adds a share of an action, done plainly.
func (h *Head) do(a ekyc.Action, share float64) {
	switch a {
	case ekyc.Blink:
		h.Closed = max(h.Closed, share)
	case ekyc.OpenMouth:
		h.Mouth = max(h.Mouth, 0.6*share)
		h.Pitch += 4 * share
	case ekyc.TurnLeft:
		h.Yaw += 25 * share
	case ekyc.TurnRight:
		h.Yaw -= 25 * share
	case ekyc.LookUp:
		h.Pitch += 18 * share
	case ekyc.LookDown:
		h.Pitch -= 18 * share
		h.Closed = max(h.Closed, 0.5*share)
	}
}

// Shaken adds what measuring adds: errors of landmarks in pixels, of pose in degrees.
func Shaken(f ekyc.Face, rng *rand.Rand, pixels, degrees float64) ekyc.Face {
	l := make([]ekyc.Point, len(f.Landmarks))
	for i, p := range f.Landmarks {
		l[i] = ekyc.Point{X: p.X + pixels*rng.NormFloat64(), Y: p.Y + pixels*rng.NormFloat64()}
	}
	f.Landmarks = l
	f.Pose.Yaw += degrees * rng.NormFloat64()
	f.Pose.Pitch += degrees * rng.NormFloat64()
	f.Quality.EyeDistance += pixels * rng.NormFloat64() / 2
	return f
}

// Found is what an engine would find of a head.
func (h Head) Found() ekyc.Face {
	f := ekyc.Face{
		Box: ekyc.Box{X: 220, Y: 120, W: 200, H: 240}, Confidence: 0.99, EyesClosed: [2]float64{0.02, 0.02},
		Quality: ekyc.Quality{EyeDistance: 90, Sharpness: 0.8, Brightness: 0.5, Contrast: 0.2, Inside: 1, Value: 0.8},
	}
	h.show(&f)
	return f
}
