package vision

import "math"

// Filter says how a warp that shrinks gathers pixels. Either way the image is halved by
// averaging as often as it fits; they differ in the factor that is left, one to two.
type Filter int

const (
	// Average takes the mean of four samples a pixel: no aliasing.
	Average Filter = iota
	// Sample takes one bilinear sample a pixel: a quarter of the time.
	Sample
)

// Warp fills dst from src. The map leads from dst's coordinates to src's; outside src
// its edge pixels are continued. Growing is bilinear. dst keeps its size. src keeps its
// halves until Release, so its pixels must not change after a Warp; one goroutine at a
// time may warp from it.
func (src *Image) Warp(dst *Image, m Affine, f Filter) {
	sx, sy := math.Hypot(m.A, m.D), math.Hypot(m.B, m.E)
	for min(sx, sy) >= 2 && min(src.W, src.H) >= 2 {
		src = src.halved()
		m = Affine{m.A / 2, m.B / 2, m.C / 2, m.D / 2, m.E / 2, m.F / 2}
		sx, sy = sx/2, sy/2
	}
	if f == Average && max(sx, sy) > 1.2 {
		src.warpFour(dst, m)
		return
	}
	src.warpOne(dst, m)
}

// fixed point: 16 bits of fraction
const one = 1 << 16

func fixed(x float64) int { return int(math.Round(max(-1e9, min(x, 1e9)) * one)) }

func (src *Image) warpOne(dst *Image, m Affine) {
	ax, ay := fixed(m.A), fixed(m.D)
	for v := range dst.H {
		y := float64(v) + 0.5
		// position of the first sample, relative to the centre of pixel (0,0)
		x0, y0 := fixed(m.A*0.5+m.B*y+m.C-0.5), fixed(m.D*0.5+m.E*y+m.F-0.5)
		src.row(dst.Pix[v*dst.W*3:(v+1)*dst.W*3], x0, y0, ax, ay)
	}
}

// row takes bilinear samples along a line.
func (src *Image) row(out []byte, x, y, ax, ay int) {
	n := len(out) / 3
	xe, ye := x+ax*(n-1), y+ay*(n-1)
	pix, stride := src.Pix, src.W*3
	if ax == one && ay == 0 && (x|y)&(one-1) == 0 && x >= 0 && x>>16+n <= src.W && y >= 0 && y>>16 < src.H {
		copy(out, pix[(y>>16)*stride+(x>>16)*3:]) // whole pixels
		return
	}
	limX, limY := (src.W-1)*one, (src.H-1)*one
	if min(x, xe) >= 0 && max(x, xe) < limX && min(y, ye) >= 0 && max(y, ye) < limY {
		for i := 0; i+3 <= len(out); i += 3 {
			at := (y>>16)*stride + (x>>16)*3
			fx, fy := uint32(x>>8)&255, uint32(y>>8)&255
			w11 := fx * fy
			w10, w01 := fy<<8-w11, fx<<8-w11
			w00 := one - fx<<8 - fy<<8 + w11
			a := pix[at : at+6 : at+6]
			b := pix[at+stride : at+stride+6 : at+stride+6]
			o := out[i : i+3 : i+3]
			o[0] = byte((uint32(a[0])*w00 + uint32(a[3])*w01 + uint32(b[0])*w10 + uint32(b[3])*w11 + 1<<15) >> 16)
			o[1] = byte((uint32(a[1])*w00 + uint32(a[4])*w01 + uint32(b[1])*w10 + uint32(b[4])*w11 + 1<<15) >> 16)
			o[2] = byte((uint32(a[2])*w00 + uint32(a[5])*w01 + uint32(b[2])*w10 + uint32(b[5])*w11 + 1<<15) >> 16)
			x += ax
			y += ay
		}
		return
	}
	for i := 0; i+3 <= len(out); i += 3 {
		cx, cy := max(0, min(x, limX)), max(0, min(y, limY))
		ix, iy := cx>>16, cy>>16
		fx, fy := uint32(cx>>8)&255, uint32(cy>>8)&255
		w11 := fx * fy
		w10, w01 := fy<<8-w11, fx<<8-w11
		w00 := one - fx<<8 - fy<<8 + w11
		right, down := 3, stride
		if ix == src.W-1 {
			right = 0
		}
		if iy == src.H-1 {
			down = 0
		}
		at := iy*stride + ix*3
		for c := range 3 {
			p := at + c
			out[i+c] = byte((uint32(pix[p])*w00 + uint32(pix[p+right])*w01 + uint32(pix[p+down])*w10 + uint32(pix[p+down+right])*w11 + 1<<15) >> 16)
		}
		x += ax
		y += ay
	}
}

// warpFour averages four samples a pixel, by warping to twice the size.
func (src *Image) warpFour(dst *Image, m Affine) {
	fine := Affine{m.A / 2, m.B / 2, m.C, m.D / 2, m.E / 2, m.F}
	ax, ay := fixed(fine.A), fixed(fine.D)
	w := dst.W * 6
	pair := NewImage(dst.W*2, 2)
	defer pair.Release()
	for v := range dst.H {
		for h := range 2 {
			y := float64(2*v+h) + 0.5
			x0, y0 := fixed(fine.A*0.5+fine.B*y+fine.C-0.5), fixed(fine.D*0.5+fine.E*y+fine.F-0.5)
			src.row(pair.Pix[h*w:(h+1)*w], x0, y0, ax, ay)
		}
		a, b, out := pair.Pix[:w], pair.Pix[w:2*w], dst.Pix[v*dst.W*3:(v+1)*dst.W*3]
		for i, j := 0, 0; i+3 <= len(out) && j+6 <= len(a) && j+6 <= len(b); i, j = i+3, j+6 {
			out[i] = byte((uint32(a[j]) + uint32(a[j+3]) + uint32(b[j]) + uint32(b[j+3]) + 2) >> 2)
			out[i+1] = byte((uint32(a[j+1]) + uint32(a[j+4]) + uint32(b[j+1]) + uint32(b[j+4]) + 2) >> 2)
			out[i+2] = byte((uint32(a[j+2]) + uint32(a[j+5]) + uint32(b[j+2]) + uint32(b[j+5]) + 2) >> 2)
		}
	}
}

// halved returns the image at half its size, each pixel the mean of two by two. It is
// made once and kept: an examination shrinks the same image several times.
func (src *Image) halved() *Image {
	if src.half != nil {
		return src.half
	}
	dst := NewImage((src.W+1)/2, (src.H+1)/2)
	stride, whole := src.W*3, src.W/2
	for v := range dst.H {
		a := src.Pix[2*v*stride : (2*v+1)*stride]
		b := a
		if 2*v+1 < src.H {
			b = src.Pix[(2*v+1)*stride : (2*v+2)*stride]
		}
		out := dst.Pix[v*dst.W*3 : (v+1)*dst.W*3]
		i, j := 0, 0
		for range whole {
			p, q, o := a[j:j+6:j+6], b[j:j+6:j+6], out[i:i+3:i+3]
			o[0] = byte((uint32(p[0]) + uint32(p[3]) + uint32(q[0]) + uint32(q[3]) + 2) >> 2)
			o[1] = byte((uint32(p[1]) + uint32(p[4]) + uint32(q[1]) + uint32(q[4]) + 2) >> 2)
			o[2] = byte((uint32(p[2]) + uint32(p[5]) + uint32(q[2]) + uint32(q[5]) + 2) >> 2)
			i, j = i+3, j+6
		}
		if whole < dst.W { // the last column of an odd width
			for c := range 3 {
				out[i+c] = byte((uint32(a[j+c]) + uint32(b[j+c]) + 1) >> 1)
			}
		}
	}
	src.half = dst
	return dst
}

// Level turns the image grey and brings its luma to a mean and a standard deviation, 0
// to 1, cut off at black and white. An even image, of a deviation below two grey steps,
// keeps its own.
func (im *Image) Level(mean, deviation float64) {
	n := float64(im.W * im.H)
	var sum, squares float64
	for i := 0; i+3 <= len(im.Pix); i += 3 {
		l := float64(Luma(im.Pix[i], im.Pix[i+1], im.Pix[i+2]))
		im.Pix[i] = byte(l)
		sum += l
		squares += l * l
	}
	was := math.Sqrt(max(0, squares/n-sum/n*sum/n))
	gain := 1.0
	if was >= 2 {
		gain = 255 * deviation / was
	}
	for i := 0; i+3 <= len(im.Pix); i += 3 {
		v := byte(math.Round(max(0, min((float64(im.Pix[i])-sum/n)*gain+255*mean, 255))))
		im.Pix[i], im.Pix[i+1], im.Pix[i+2] = v, v, v
	}
}

// Fill paints the part of a letterboxed image that lies outside its source: columns
// from w on and rows from h on.
func (im *Image) Fill(w, h int, value byte) {
	for y := range im.H {
		row := im.Pix[y*im.W*3 : (y+1)*im.W*3]
		if y < h {
			row = row[min(w, im.W)*3:]
		}
		for i := range row {
			row[i] = value
		}
	}
}

// Channels is the order of a network's input planes.
type Channels string

const (
	RGB  Channels = "rgb"
	BGR  Channels = "bgr"
	Gray Channels = "gray"
)

// Planes writes an image as float planes, one a channel.
type Planes struct {
	order Channels
	table [3][256]float32
}

// NewPlanes makes the writer of (x-mean)/std, x from 0 to 255, with mean and std a
// plane (one for Gray).
func NewPlanes(order Channels, mean, std []float64) *Planes {
	p := &Planes{order: order}
	for c := range mean {
		for x := range 256 {
			p.table[c][x] = float32((float64(x) - mean[c]) / std[c])
		}
	}
	return p
}

// Write fills out, which must hold W·H values a plane.
func (p *Planes) Write(out []float32, im *Image) {
	n := im.W * im.H
	pix := im.Pix[:n*3]
	if p.order == Gray {
		t := &p.table[0]
		out = out[:n]
		for i := range out {
			j := i * 3
			out[i] = t[Luma(pix[j], pix[j+1], pix[j+2])]
		}
		return
	}
	first, second, third := out[:n], out[n:2*n], out[2*n:3*n]
	r, b := 0, 2
	if p.order == BGR {
		r, b = 2, 0
	}
	t0, t1, t2 := &p.table[0], &p.table[1], &p.table[2]
	for i := range first {
		px := pix[i*3 : i*3+3 : i*3+3]
		first[i] = t0[px[r]]
		second[i] = t1[px[1]]
		third[i] = t2[px[b]]
	}
}
