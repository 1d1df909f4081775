package engine

import (
	"context"
	"math"
	"slices"
	"sync"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// Relief compares the perspective of two pictures of one face pixel by pixel. Both are
// brought to the frame of a mean head by their landmarks; then the map between them is
// fitted to what the pixels show (Gauss and Newton, coarse to fine, with Tukey's weights
// for what moved or cannot be seen in both). The map may do all that a turned, moved or
// tilted plane does, and what a head does that turns; one term more is what a mean head
// does that comes closer: what lies nearer to the camera grows more. A picture of a face
// gives 0 there however it is held, as long as it is flat.
//
// The landmarks cannot tell: the network that finds them draws a mean face from any
// distance. Measured on film of a man who comes closer by 1.9, the jaw's width against
// the eyes' falls by .017 to .049 of the growth (logarithms); on enlarged stills by
// -.022 to .035.

// The frame of the mean head: centimetres, the origin between the eyes, y down.
const (
	reliefScale = 6 // pixels a cm
	reliefLeft  = -8.0
	reliefTop   = -4.0
	reliefW     = 96
	reliefH     = 100
	// reliefTerms is how many numbers the map has: shift 2, linear 4, a head's turn 2, a
	// plane's perspective 2, a head's perspective.
	reliefTerms = 11
	reliefSteps = 12 // the most, at each scale
)

// reliefScales are the blurs from coarse to fine, in pixels. A step of the coarsest finds
// what is 4 pixels off; below 1 is the camera's noise.
var reliefScales = [3]float64{4, 2, 1}

// headModel is a mean adult head at the 68 points, centimetres: x to the image's right, y
// down, z away from the camera. Rounded from anthropometry (pupils 6.3 apart, face 14
// wide and 12 from eyes to chin, nose 3.5 before the eyes, ears 7.5 behind): our choice.
var headModel = func() (p [68][3]float64) {
	both := func(l, r int, x, y, z float64) { p[l], p[r] = [3]float64{-x, y, z}, [3]float64{x, y, z} }
	for i, q := range [8][3]float64{
		{7.2, 0.3, 7.5},
		{7.1, 2.3, 7.2},
		{6.9, 4.3, 6.8},
		{6.5, 6.2, 6},
		{5.8, 8, 4.8},
		{4.7, 9.6, 3.3},
		{3.3, 10.9, 1.8},
		{1.7, 11.8, 0.7},
	} {
		both(i, 16-i, q[0], q[1], q[2])
	}
	p[8] = [3]float64{0, 12.1, 0.3}
	for i, q := range [5][3]float64{{5.6, -1.4, 1.6}, {4.9, -2.3, 0.4}, {3.8, -2.6, -0.3}, {2.5, -2.4, -0.8}, {1.2, -1.9, -1}} {
		both(17+i, 26-i, q[0], q[1], q[2])
	}
	for i, q := range [4][2]float64{{0, -0.9}, {1.3, -1.7}, {2.6, -2.6}, {3.9, -3.5}} {
		p[27+i] = [3]float64{0, q[0], q[1]}
	}
	both(31, 35, 1.6, 4.6, -1.2)
	both(32, 34, 0.8, 4.9, -1.8)
	p[33] = [3]float64{0, 5.1, -2.1}
	both(36, 45, 4.6, 0.1, 1)
	both(37, 44, 3.7, -0.4, 0.2)
	both(38, 43, 2.6, -0.4, 0)
	both(39, 42, 1.7, 0.2, 0.2)
	both(40, 47, 2.6, 0.4, 0)
	both(41, 46, 3.7, 0.4, 0.3)
	both(48, 54, 2.6, 7.2, -0.6)
	both(49, 53, 1.6, 6.6, -1.6)
	both(50, 52, 0.6, 6.3, -2.2)
	p[51] = [3]float64{0, 6.4, -2.3}
	both(59, 55, 1.6, 7.9, -1.4)
	both(58, 56, 0.7, 8.2, -1.8)
	p[57] = [3]float64{0, 8.3, -1.9}
	both(60, 64, 2.1, 7.2, -0.8)
	both(61, 63, 0.7, 7.1, -1.8)
	both(67, 65, 0.7, 7.2, -1.8)
	p[62], p[66] = [3]float64{0, 7.1, -1.9}, [3]float64{0, 7.2, -1.9}
	return p
}()

// reliefPixel is a pixel of the face in the mean head's frame.
type reliefPixel struct {
	at, x, y int
	dx, dy   [reliefTerms]float32 // how each term moves it, pixels
}

// reliefPixels lists the pixels that are compared: an ellipse from brows to chin.
var reliefPixels = sync.OnceValue(func() (list []reliefPixel) {
	for v := 2; v < reliefH-2; v++ {
		for u := 2; u < reliefW-2; u++ {
			x, y := reliefLeft+(float64(u)+0.5)/reliefScale, reliefTop+(float64(v)+0.5)/reliefScale
			if math.Hypot(x/7.3, (y-4.3)/7.9) >= 1 {
				continue
			}
			// Depth between the 68 points: the mean, weighted by distance^-4.
			z, n := 0.0, 0.0
			for _, q := range headModel {
				d := (x-q[0])*(x-q[0]) + (y-q[1])*(y-q[1]) + 0.25
				z, n = z+q[2]/(d*d), n+1/(d*d)
			}
			z /= n
			p := reliefPixel{at: v*reliefW + u, x: u, y: v}
			for k, t := range [reliefTerms][2]float64{{1, 0}, {0, 1}, {x, 0}, {y, 0}, {0, x}, {0, y}, {z, 0}, {0, z}, {x * x, x * y}, {x * y, y * y}, {-z * x, -z * y}} {
				p.dx[k], p.dy[k] = float32(t[0]*reliefScale), float32(t[1]*reliefScale)
			}
			list = append(list, p)
		}
	}
	return list
})

// Relief implements ekyc.Engine.
func (e *Engine) Relief(ctx context.Context, far, near ekyc.Shot) (ekyc.Relief, error) {
	select {
	case e.turns <- struct{}{}:
		defer func() { <-e.turns }()
	case <-ctx.Done():
		return ekyc.Relief{}, ekyc.Wrap(ekyc.Busy, "the engine had no free turn in time", ctx.Err())
	}
	a, err := e.reliefView(far)
	if err != nil {
		return ekyc.Relief{}, err
	}
	b, err := e.reliefView(near)
	if err != nil || a == nil || b == nil {
		return ekyc.Relief{}, err
	}
	return fitRelief(a, b), nil
}

// plane is a grey picture of reliefW x reliefH.
type plane []float32

// reliefView is a face in the mean head's frame at each of reliefScales; nil where the
// landmarks give no frame.
func (e *Engine) reliefView(s ekyc.Shot) (views []plane, err error) {
	if len(s.Landmarks) != len(headModel) {
		return nil, nil
	}
	im, err := vision.Decode(s.Image, e.limits)
	if err != nil {
		return nil, err
	}
	defer im.Release()
	// Brows and jaw are left out of the alignment: the network guesses them.
	var from, to []ekyc.Point
	sx, sy := im.Scale()
	for k := 27; k < len(headModel); k++ {
		q := headModel[k]
		from = append(from, ekyc.Point{X: (q[0] - reliefLeft) * reliefScale, Y: (q[1] - reliefTop) * reliefScale})
		to = append(to, ekyc.Point{X: s.Landmarks[k].X / sx, Y: s.Landmarks[k].Y / sy})
	}
	m, ok := vision.Similarity(from, to)
	if !ok {
		return nil, nil
	}
	crop := vision.NewImage(reliefW, reliefH)
	defer crop.Release()
	im.Warp(crop, m, vision.Average)
	grey := make(plane, reliefW*reliefH)
	for i := range grey {
		grey[i] = float32(vision.Luma(crop.Pix[3*i], crop.Pix[3*i+1], crop.Pix[3*i+2]))
	}
	grey = grey.evened()
	for _, s := range reliefScales {
		views = append(views, grey.blurred(s))
	}
	return views, nil
}

// evened takes light and shade off: the mean and deviation of some 3 cm around.
func (p plane) evened() plane {
	const around = 8        // pixels
	const noise = 3.0 * 3.0 // of the camera, squared grey levels
	out, square := make(plane, len(p)), make(plane, len(p))
	for i, m := range p.blurred(around) {
		out[i] = p[i] - m
		square[i] = out[i] * out[i]
	}
	for i, v := range square.blurred(around) {
		out[i] /= float32(math.Sqrt(float64(v) + noise))
	}
	return out
}

// blurred is p under a Gaussian, its edge continued.
func (p plane) blurred(sigma float64) plane {
	r := int(math.Ceil(2.5 * sigma))
	weights := make([]float32, 2*r+1)
	sum := float32(0)
	for i := range weights {
		weights[i] = float32(math.Exp(-float64((i-r)*(i-r)) / (2 * sigma * sigma)))
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
	out := make(plane, len(p))
	line := make([]float32, max(reliefW, reliefH)+2*r)
	along := func(from, to plane, start, step, n int) {
		for i := range n + 2*r {
			line[i] = from[start+step*max(0, min(n-1, i-r))]
		}
		for i := range n {
			v := float32(0)
			for j, w := range weights {
				v += w * line[i+j]
			}
			to[start+step*i] = v
		}
	}
	for y := range reliefH {
		along(p, out, y*reliefW, 1, reliefW)
	}
	for x := range reliefW {
		along(out, out, x, reliefW, reliefH)
	}
	return out
}

// fitRelief fits the map from far's pixels to near's.
func fitRelief(far, near []plane) (r ekyc.Relief) {
	pixels := reliefPixels()
	var p [reliefTerms]float64
	seen, left, sorted := make([]float32, len(pixels)), make([]float32, len(pixels)), make([]float32, 0, len(pixels))
	slopes := make([][2]float32, len(pixels))
	const out = float32(math.MaxFloat32) // a pixel that near does not show
	for s := range reliefScales {
		f, n := far[s], near[s]
		for range reliefSteps {
			var q [reliefTerms]float32
			for k := range q {
				q[k] = float32(p[k])
			}
			var ff, fn, nn float32
			for i := range pixels {
				px := &pixels[i]
				x, y := float32(px.x), float32(px.y)
				for k, c := range q {
					x += c * px.dx[k]
					y += c * px.dy[k]
				}
				if !(x >= 1 && y >= 1 && x < reliefW-2 && y < reliefH-2) {
					seen[i] = out
					continue
				}
				a, b := int(x), int(y)
				u, v, j := x-float32(a), y-float32(b), b*reliefW+a
				at := func(j int) float32 {
					return (n[j]*(1-u)+n[j+1]*u)*(1-v) + (n[j+reliefW]*(1-u)+n[j+reliefW+1]*u)*v
				}
				w := at(j)
				slopes[i] = [2]float32{(at(j+1) - at(j-1)) / 2, (at(j+reliefW) - at(j-reliefW)) / 2}
				seen[i] = w
				g := f[px.at]
				ff, fn, nn = ff+g*g, fn+g*w, nn+w*w
			}
			if !(ff > 0 && nn > 0 && fn > 0) {
				return ekyc.Relief{}
			}
			r.Fit = float64(fn) / math.Sqrt(float64(ff)*float64(nn))
			gain := fn / nn
			sorted = sorted[:0]
			for i := range pixels {
				if seen[i] == out {
					left[i] = out
					continue
				}
				left[i] = f[pixels[i].at] - gain*seen[i]
				sorted = append(sorted, float32(math.Abs(float64(left[i]))))
			}
			if len(sorted) < len(pixels)/2 {
				return ekyc.Relief{}
			}
			slices.Sort(sorted)
			// Tukey's biweight: 4.685 standard deviations, by the median, is no longer the same thing.
			limit := 4.685 * 1.4826 * (sorted[len(sorted)/2] + 1e-6)
			var a [reliefTerms][reliefTerms]float32
			var b [reliefTerms]float32
			for i := range pixels {
				if left[i] == out {
					continue
				}
				t := left[i] / limit
				if t *= t; t >= 1 {
					continue
				}
				w, px := (1-t)*(1-t), &pixels[i]
				// The mean of both pictures' slopes goes to the least error quickest (Malis 2004).
				gx, gy := (f[px.at+1]-f[px.at-1])/4+gain*slopes[i][0]/2, (f[px.at+reliefW]-f[px.at-reliefW])/4+gain*slopes[i][1]/2
				var d [reliefTerms]float32
				for k := range d {
					d[k] = gx*px.dx[k] + gy*px.dy[k]
				}
				for k := range d {
					wd := w * d[k]
					b[k] += wd * left[i]
					for l := range k + 1 {
						a[k][l] += wd * d[l]
					}
				}
			}
			step, ok := solve(a, b)
			if !ok {
				return ekyc.Relief{}
			}
			worst := 0.0
			for k, d := range step {
				p[k] += d
				worst = max(worst, math.Abs(d))
			}
			if worst < 1e-4 {
				break
			}
		}
	}
	r.Depth = p[reliefTerms-1]
	return r
}

// solve solves the symmetric equations a x = b of which a holds the lower half (Cholesky).
func solve(a [reliefTerms][reliefTerms]float32, b [reliefTerms]float32) (x [reliefTerms]float64, ok bool) {
	var l [reliefTerms][reliefTerms]float64
	for i := range reliefTerms {
		for j := range i + 1 {
			v := float64(a[i][j])
			if i == j {
				v *= 1 + 1e-5 // where the picture says nothing of a term it stays as it is
			}
			for k := range j {
				v -= l[i][k] * l[j][k]
			}
			if i != j {
				l[i][j] = v / l[j][j]
				continue
			}
			if !(v > 1e-12) {
				return x, false
			}
			l[i][i] = math.Sqrt(v)
		}
	}
	for i := range reliefTerms {
		x[i] = float64(b[i])
		for k := range i {
			x[i] -= l[i][k] * x[k]
		}
		x[i] /= l[i][i]
	}
	for i := reliefTerms - 1; i >= 0; i-- {
		for k := i + 1; k < reliefTerms; k++ {
			x[i] -= l[k][i] * x[k]
		}
		x[i] /= l[i][i]
	}
	return x, true
}
