package injection

import (
	"image"
	"math"

	"shiren/internal/ekyc"
)

// remap makes a picture of m's size whose pixel at x, y is m's at from(x, y), bilinear,
// with m's edge repeated outside.
func remap(m *image.RGBA, from func(x, y float64) (u, v float64)) *image.RGBA {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			u, v := from(float64(x), float64(y))
			u, v = max(0, min(u, float64(w-1))), max(0, min(v, float64(h-1)))
			i, j := min(int(u), w-2), min(int(v), h-2)
			a, c := u-float64(i), v-float64(j)
			p := m.Pix[j*m.Stride+4*i:]
			q := m.Pix[(j+1)*m.Stride+4*i:]
			to := out.Pix[y*out.Stride+4*x:]
			for k := range 3 {
				top := float64(p[k])*(1-a) + float64(p[4+k])*a
				low := float64(q[k])*(1-a) + float64(q[4+k])*a
				to[k] = uint8(top*(1-c) + low*c + 0.5)
			}
			to[3] = 255
		}
	}
	return out
}

// eyes are the centres of the eyes, image-left first.
func eyes(f ekyc.Face) (l, r ekyc.Point) {
	for i := range 6 {
		l.X += f.Landmarks[36+i].X / 6
		l.Y += f.Landmarks[36+i].Y / 6
		r.X += f.Landmarks[42+i].X / 6
		r.Y += f.Landmarks[42+i].Y / 6
	}
	return l, r
}

// like returns the mapping for remap that puts the eyes of the face have where those of
// want are: a turn, a scale and a shift.
func like(want, have ekyc.Face) func(x, y float64) (u, v float64) {
	a, b := eyes(want)
	c, d := eyes(have)
	wx, wy := b.X-a.X, b.Y-a.Y
	hx, hy := d.X-c.X, d.Y-c.Y
	n := wx*wx + wy*wy
	// (u, v) = c + z*((x, y)-a) as complex numbers, with z = (d-c)/(b-a).
	re, im := (hx*wx+hy*wy)/n, (hy*wx-hx*wy)/n
	return func(x, y float64) (float64, float64) {
		x, y = x-a.X, y-a.Y
		return c.X + re*x - im*y, c.Y + im*x + re*y
	}
}

// bend is what an attacker with a flat picture does to it: turn it about the axes
// through the middle of the face, or bring it closer. The zero value leaves it as it is.
type bend struct {
	yaw, pitch int // degrees: a plane turned
	percent    int // of size, 0 means 100: a plane brought closer
}

// viewing is the distance of the camera from a turned picture in widths of its face: a
// picture of a 15 cm face at 45 cm.
const viewing = 3

func (b bend) mapping(face ekyc.Box) func(x, y float64) (u, v float64) {
	cx, cy := face.X+face.W/2, face.Y+face.H/2
	d := viewing * face.W
	sy, cyaw := math.Sincos(float64(b.yaw) * math.Pi / 180)
	sp, cp := math.Sincos(float64(b.pitch) * math.Pi / 180)
	scale := 1.0
	if b.percent != 0 {
		scale = float64(b.percent) / 100
	}
	// The plane's point (X, Y) lies at X*e1 + Y*e2 and is seen at d*(x/(d+z), y/(d+z)):
	// two linear equations for X and Y.
	return func(x, y float64) (float64, float64) {
		x, y = x-cx, y-cy
		a11, a12 := d*cyaw-x*sy, x*sp*cyaw
		a21, a22 := -y*sy, d*cp+y*sp*cyaw
		a12 += d * sy * sp
		det := a11*a22 - a12*a21
		X := (d*x*a22 - a12*d*y) / det
		Y := (a11*d*y - a21*d*x) / det
		return cx + X/scale, cy + Y/scale
	}
}
