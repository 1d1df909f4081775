// Package vision is the engine's handling of pixels: images decoded within limits,
// upright; affine warps; suppression of overlapping boxes; quality measures; drawing.
// It knows no network and decides nothing.
//
// Coordinates are continuous: the pixel in column i covers [i, i+1), the origin is the
// top left corner and y points down.
package vision

import (
	"math"
	"sync"

	"shiren/internal/ekyc"
)

// Image is an upright picture of 8-bit RGB, three bytes a pixel, rows without gaps.
type Image struct {
	W, H int
	Pix  []byte
	// FullW and FullH are the upright picture's size in the file. They exceed W and H
	// where it was decoded at a smaller scale.
	FullW, FullH int

	half *Image // see halved
}

// buffers recycles pixels between decodes.
var buffers sync.Pool

// NewImage makes an image whose pixels are undefined, for a caller that writes all.
func NewImage(w, h int) *Image {
	n := w * h * 3
	if b, ok := buffers.Get().(*[]byte); ok && cap(*b) >= n {
		return &Image{W: w, H: h, Pix: (*b)[:n], FullW: w, FullH: h}
	}
	return &Image{W: w, H: h, Pix: make([]byte, n), FullW: w, FullH: h}
}

// Release gives the pixels back for another image. The image must not be used after.
func (im *Image) Release() {
	if im.half != nil {
		im.half.Release()
		im.half = nil
	}
	if b := im.Pix; cap(b) > 0 {
		im.Pix = nil
		buffers.Put(&b)
	}
}

// Scale is how many pixels of the file one pixel of the image stands for, a axis.
func (im *Image) Scale() (x, y float64) {
	return float64(im.FullW) / float64(im.W), float64(im.FullH) / float64(im.H)
}

// Luma is the brightness of an RGB pixel (BT.601 weights), 0 to 255.
func Luma(r, g, b byte) byte {
	return byte((77*uint32(r) + 150*uint32(g) + 29*uint32(b)) >> 8)
}

// Affine maps a point (u,v) to (A·u + B·v + C, D·u + E·v + F).
type Affine struct{ A, B, C, D, E, F float64 }

// Apply maps a point.
func (m Affine) Apply(p ekyc.Point) ekyc.Point {
	return ekyc.Point{X: m.A*p.X + m.B*p.Y + m.C, Y: m.D*p.X + m.E*p.Y + m.F}
}

// Crop is the map from a w by h picture to a box of the source.
func Crop(b ekyc.Box, w, h int) Affine {
	return Affine{A: b.W / float64(w), C: b.X, E: b.H / float64(h), F: b.Y}
}

// Letterbox is the map from a w by h picture to a source of sw by sh that keeps the
// aspect: the source fills the picture's top left, the rest lies outside the source.
func Letterbox(sw, sh, w, h int) Affine {
	s := max(float64(sw)/float64(w), float64(sh)/float64(h))
	return Affine{A: s, E: s}
}

// Similarity is the least-squares map by rotation, one scale and shift that brings
// from to to. It reports false where from is a single point or the counts differ.
func Similarity(from, to []ekyc.Point) (Affine, bool) {
	n := float64(len(from))
	if len(from) != len(to) || len(from) < 2 {
		return Affine{}, false
	}
	var fx, fy, tx, ty float64
	for i := range from {
		fx, fy, tx, ty = fx+from[i].X/n, fy+from[i].Y/n, tx+to[i].X/n, ty+to[i].Y/n
	}
	var dot, cross, norm float64
	for i := range from {
		x, y, u, v := from[i].X-fx, from[i].Y-fy, to[i].X-tx, to[i].Y-ty
		dot += x*u + y*v
		cross += x*v - y*u
		norm += x*x + y*y
	}
	if norm < 1e-9 {
		return Affine{}, false
	}
	a, b := dot/norm, cross/norm
	if a*a+b*b < 1e-18 {
		return Affine{}, false
	}
	return Affine{a, -b, tx - a*fx + b*fy, b, a, ty - b*fx - a*fy}, true
}

// Invert reverses a map; false where it flattens.
func (m Affine) Invert() (Affine, bool) {
	d := m.A*m.E - m.B*m.D
	if math.Abs(d) < 1e-12 {
		return Affine{}, false
	}
	r := Affine{A: m.E / d, B: -m.B / d, D: -m.D / d, E: m.A / d}
	r.C, r.F = -(r.A*m.C + r.B*m.F), -(r.D*m.C + r.E*m.F)
	return r, true
}

// Grow returns the box enlarged by a factor about its centre.
func Grow(b ekyc.Box, f float64) ekyc.Box {
	return ekyc.Box{X: b.X + b.W*(1-f)/2, Y: b.Y + b.H*(1-f)/2, W: b.W * f, H: b.H * f}
}

// ShiftInside moves a box so that it lies in a w by h image. A box that is larger than
// the image is first shrunk about its centre, keeping its aspect.
func ShiftInside(b ekyc.Box, w, h int) ekyc.Box {
	W, H := float64(w), float64(h)
	if f := min(1, W/b.W, H/b.H); f < 1 {
		b = Grow(b, f)
	}
	b.X = max(0, min(b.X, W-b.W))
	b.Y = max(0, min(b.Y, H-b.H))
	return b
}

// Inside is the share of a box's area that lies in a w by h image, 0 to 1.
func Inside(b ekyc.Box, w, h int) float64 {
	if b.W <= 0 || b.H <= 0 {
		return 0
	}
	x := min(b.X+b.W, float64(w)) - max(b.X, 0)
	y := min(b.Y+b.H, float64(h)) - max(b.Y, 0)
	if x <= 0 || y <= 0 {
		return 0
	}
	return x * y / (b.W * b.H)
}

// overlap is intersection over union of two boxes.
func overlap(a, b ekyc.Box) float64 {
	x := min(a.X+a.W, b.X+b.W) - max(a.X, b.X)
	y := min(a.Y+a.H, b.Y+b.H) - max(a.Y, b.Y)
	if x <= 0 || y <= 0 {
		return 0
	}
	i := x * y
	return i / (a.W*a.H + b.W*b.H - i)
}
