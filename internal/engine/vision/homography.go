package vision

import (
	"math"

	"shiren/internal/ekyc"
)

// Homography maps the plane by perspective: row by row a 3 by 3 matrix whose last
// element is 1.
type Homography [9]float64

// Apply maps a point. Points on the horizon give infinities.
func (h Homography) Apply(p ekyc.Point) ekyc.Point {
	w := h[6]*p.X + h[7]*p.Y + h[8]
	return ekyc.Point{X: (h[0]*p.X + h[1]*p.Y + h[2]) / w, Y: (h[3]*p.X + h[4]*p.Y + h[5]) / w}
}

// Then is the map by h and then by g.
func (h Homography) Then(g Homography) Homography {
	var m Homography
	for r := range 3 {
		for c := range 3 {
			m[3*r+c] = g[3*r]*h[c] + g[3*r+1]*h[3+c] + g[3*r+2]*h[6+c]
		}
	}
	return m.normal()
}

func (h Homography) normal() Homography {
	if math.Abs(h[8]) > 1e-12 {
		for i := range h {
			h[i] /= h[8]
		}
		h[8] = 1
	}
	return h
}

// Invert reverses the map; false where it flattens.
func (h Homography) Invert() (Homography, bool) {
	m := Homography{
		h[4]*h[8] - h[5]*h[7], h[2]*h[7] - h[1]*h[8], h[1]*h[5] - h[2]*h[4],
		h[5]*h[6] - h[3]*h[8], h[0]*h[8] - h[2]*h[6], h[2]*h[3] - h[0]*h[5],
		h[3]*h[7] - h[4]*h[6], h[1]*h[6] - h[0]*h[7], h[0]*h[4] - h[1]*h[3],
	}
	det := h[0]*m[0] + h[1]*m[3] + h[2]*m[6]
	if math.Abs(det) < 1e-15 || math.Abs(m[8]) < 1e-15 {
		return h, false
	}
	return m.normal(), true
}

// Perspective is the affine map as a homography.
func (m Affine) Perspective() Homography {
	return Homography{m.A, m.B, m.C, m.D, m.E, m.F, 0, 0, 1}
}

// FitAffine is the least-squares affine map that brings from to to, each pair with a
// weight; false for fewer than three pairs or pairs on a line.
func FitAffine(from, to []ekyc.Point, weight []float64) (Affine, bool) {
	var a [6][7]float64
	add(&a, from, to, weight)
	x, ok := solve(a[:])
	if !ok {
		return Affine{}, false
	}
	return Affine{x[0], x[1], x[2], x[3], x[4], x[5]}, true
}

func add(a *[6][7]float64, from, to []ekyc.Point, weight []float64) {
	for i, p := range from {
		v := [3]float64{p.X, p.Y, 1}
		for r := range 3 {
			for c := range 3 {
				a[r][c] += weight[i] * v[r] * v[c]
				a[3+r][3+c] += weight[i] * v[r] * v[c]
			}
			a[r][6] += weight[i] * v[r] * to[i].X
			a[3+r][6] += weight[i] * v[r] * to[i].Y
		}
	}
}

// FitHomography is the map by perspective that brings from to to with the least
// weighted algebraic error, in normalised coordinates; false for fewer than four pairs
// or pairs that do not determine it.
func FitHomography(from, to []ekyc.Point, weight []float64) (Homography, bool) {
	if len(from) < 4 || len(from) != len(to) {
		return Homography{}, false
	}
	nf, nt := normaliser(from), normaliser(to)
	var a [8][9]float64
	for i := range from {
		p, q := nf.Apply(from[i]), nt.Apply(to[i])
		w := weight[i]
		for _, row := range [2][9]float64{
			{p.X, p.Y, 1, 0, 0, 0, -q.X * p.X, -q.X * p.Y, q.X},
			{0, 0, 0, p.X, p.Y, 1, -q.Y * p.X, -q.Y * p.Y, q.Y},
		} {
			for r := range 8 {
				for c := range 9 {
					a[r][c] += w * row[r] * row[c]
				}
			}
		}
	}
	// A little weight against perspective steadies few points.
	for r := 6; r < 8; r++ {
		a[r][r] += steady
	}
	x, ok := solve(a[:])
	if !ok {
		return Homography{}, false
	}
	back, ok := nt.Invert()
	if !ok {
		return Homography{}, false
	}
	h := Homography{x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], 1}
	return nf.Perspective().Then(h).Then(back.Perspective()), true
}

// steady is the weight of FitHomography against perspective, in units of one pair at a
// standard deviation of one. Our choice.
const steady = 1e-4

// normaliser brings points to mean 0 and a mean distance of about one.
func normaliser(points []ekyc.Point) Affine {
	var x, y, d float64
	n := float64(len(points))
	for _, p := range points {
		x, y = x+p.X/n, y+p.Y/n
	}
	for _, p := range points {
		d += math.Hypot(p.X-x, p.Y-y) / n
	}
	s := 1 / max(d, 1e-9)
	return Affine{A: s, C: -s * x, E: s, F: -s * y}
}

// solve eliminates a system of n equations, each with its right side as the last value.
func solve[R ~[7]float64 | ~[9]float64](rows []R) ([]float64, bool) {
	n := len(rows)
	a := make([][]float64, n)
	for i := range rows {
		a[i] = make([]float64, n+1)
		for j := range n + 1 {
			a[i][j] = rows[i][j]
		}
	}
	for c := range n {
		best := c
		for r := c + 1; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[best][c]) {
				best = r
			}
		}
		if math.Abs(a[best][c]) < 1e-12 {
			return nil, false
		}
		a[c], a[best] = a[best], a[c]
		for r := range n {
			if r == c {
				continue
			}
			f := a[r][c] / a[c][c]
			for k := c; k <= n; k++ {
				a[r][k] -= f * a[c][k]
			}
		}
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = a[i][n] / a[i][i]
	}
	return x, true
}

// WarpPerspective fills dst from src through a map from dst's coordinates to src's.
// Like Warp it halves src first where it shrinks, continues src's edge pixels outside
// of it, and averages four samples a pixel for the factor that is left.
func (src *Image) WarpPerspective(dst *Image, h Homography) {
	mid := ekyc.Point{X: float64(dst.W) / 2, Y: float64(dst.H) / 2}
	o := h.Apply(mid)
	u, v := h.Apply(ekyc.Point{X: mid.X + 1, Y: mid.Y}), h.Apply(ekyc.Point{X: mid.X, Y: mid.Y + 1})
	scale := min(math.Hypot(u.X-o.X, u.Y-o.Y), math.Hypot(v.X-o.X, v.Y-o.Y))
	for scale >= 2 && min(src.W, src.H) >= 2 {
		src = src.halved()
		for i := range 6 {
			h[i] /= 2
		}
		scale /= 2
	}
	offsets := []ekyc.Point{{X: 0.5, Y: 0.5}}
	if scale > 1.2 {
		offsets = []ekyc.Point{{X: 0.25, Y: 0.25}, {X: 0.75, Y: 0.25}, {X: 0.25, Y: 0.75}, {X: 0.75, Y: 0.75}}
	}
	limX, limY := float64(src.W-1), float64(src.H-1)
	stride, n := src.W*3, uint32(len(offsets))
	for y := range dst.H {
		out := dst.Pix[y*dst.W*3 : (y+1)*dst.W*3]
		for x := range dst.W {
			var sum [3]uint32
			for _, o := range offsets {
				p := h.Apply(ekyc.Point{X: float64(x) + o.X, Y: float64(y) + o.Y})
				px, py := min(max(p.X-0.5, 0), limX), min(max(p.Y-0.5, 0), limY)
				if px != px || py != py { // beyond the horizon
					px, py = 0, 0
				}
				ix, iy := int(px), int(py)
				fx, fy := uint32((px-float64(ix))*256), uint32((py-float64(iy))*256)
				right, down := 3, stride
				if ix >= src.W-1 {
					right = 0
				}
				if iy >= src.H-1 {
					down = 0
				}
				at := iy*stride + ix*3
				w11 := fx * fy
				w10, w01 := fy<<8-w11, fx<<8-w11
				w00 := one - fx<<8 - fy<<8 + w11
				for c := range 3 {
					q := at + c
					sum[c] += (uint32(src.Pix[q])*w00 + uint32(src.Pix[q+right])*w01 + uint32(src.Pix[q+down])*w10 + uint32(src.Pix[q+down+right])*w11) >> 8
				}
			}
			for c := range 3 {
				out[x*3+c] = byte((sum[c] + n*128) / (n * 256))
			}
		}
	}
}
