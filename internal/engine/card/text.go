package card

import (
	"cmp"
	"math"
	"slices"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// quad is a rectangle of text in the image, clockwise from the top left as it is read.
type quad [4]ekyc.Point

func dist(a, b ekyc.Point) float64 { return math.Hypot(b.X-a.X, b.Y-a.Y) }

func lerp(a, b ekyc.Point, t float64) ekyc.Point {
	return ekyc.Point{X: a.X + (b.X-a.X)*t, Y: a.Y + (b.Y-a.Y)*t}
}

func (q quad) width() float64  { return (dist(q[0], q[1]) + dist(q[3], q[2])) / 2 }
func (q quad) height() float64 { return (dist(q[0], q[3]) + dist(q[1], q[2])) / 2 }

// turned is the quad as it is read upside down.
func (q quad) turned() quad { return quad{q[2], q[3], q[0], q[1]} }

// at is the point at shares u of the width and v of the height.
func (q quad) at(u, v float64) ekyc.Point { return lerp(lerp(q[0], q[1], u), lerp(q[3], q[2], u), v) }

// sub is the part between two shares of the width.
func (q quad) sub(from, to float64) quad {
	return quad{q.at(from, 0), q.at(to, 0), q.at(to, 1), q.at(from, 1)}
}

// from is the map from a w by h picture to the quad.
func (q quad) from(w, h int) vision.Homography {
	W, H := float64(w), float64(h)
	m, ok := vision.FitHomography([]ekyc.Point{{}, {X: W}, {X: W, Y: H}, {Y: H}}, q[:], []float64{1, 1, 1, 1})
	if !ok {
		return vision.Affine{A: 1, E: 1, C: q[0].X, F: q[0].Y}.Perspective()
	}
	return m
}

// The text detector's reading, as its authors publish it (PP-OCRv4 det, DB
// post-processing): the map's threshold, the least mean score, and how far a box grows
// beyond the shrunken text that the network marks.
const (
	detThreshold = 0.3
	detScore     = 0.5
	detUnclip    = 1.6
	detLeast     = 3 // least side of a marked spot, pixels of the detector's input
)

// find detects text in an image seen at most at side pixels, as rectangles in the
// image's pixels whose long side follows the text, of unknown direction.
func (r *Reader) find(im *vision.Image, side int) ([]quad, error) {
	s := min(1, float64(side)/float64(max(im.W, im.H)))
	w, h := grid(float64(im.W)*s), grid(float64(im.H)*s)
	in := vision.NewImage(w, h)
	defer in.Release()
	im.Warp(in, vision.Affine{A: float64(im.W) / float64(w), E: float64(im.H) / float64(h)}, vision.Average)
	var spots []spot
	err := r.det.RunShaped([]int64{1, 3, int64(h), int64(w)}, func(t []float32) { r.detPlanes.Write(t, in) },
		func(outs [][]float32, _ [][]int64) { spots = components(outs[0], w, h) })
	if err != nil {
		return nil, ekyc.Wrap(ekyc.EngineFailed, "the text detector failed", err)
	}
	angle := dominant(spots)
	quads := make([]quad, 0, len(spots))
	for _, sp := range spots {
		b := sp.box
		if b.long < 2.5*b.short { // too short to have a direction of its own
			b = boxAlong(sp.hull, angle)
		}
		if min(b.long, b.short) < detLeast {
			continue
		}
		grow := b.long * b.short * detUnclip / (2 * (b.long + b.short))
		q := b.grown(grow)
		for i, p := range q {
			q[i] = ekyc.Point{X: p.X * float64(im.W) / float64(w), Y: p.Y * float64(im.H) / float64(h)}
		}
		quads = append(quads, q)
	}
	return quads, nil
}

// grid rounds a side to what the detector takes.
func grid(x float64) int { return max(32, int(math.Round(x/32))*32) }

// spot is one connected piece of the detector's map.
type spot struct {
	hull []ekyc.Point
	box  box
}

// box is a rectangle by centre, direction (radians, of the long side), and sides.
type box struct {
	mid         ekyc.Point
	angle       float64
	long, short float64
}

// grown is the box's corners after growing by d to each side, beginning at the corner
// that is top left when the direction points right.
func (b box) grown(d float64) quad {
	c, s := math.Cos(b.angle), math.Sin(b.angle)
	x, y := b.long/2+d, b.short/2+d
	at := func(u, v float64) ekyc.Point {
		return ekyc.Point{X: b.mid.X + c*u - s*v, Y: b.mid.Y + s*u + c*v}
	}
	return quad{at(-x, -y), at(x, -y), at(x, y), at(-x, y)}
}

// components finds connected spots above the threshold whose mean is high enough.
func components(m []float32, w, h int) []spot {
	// A 2 by 2 dilation joins hairline gaps.
	on := make([]bool, w*h)
	for y := range h {
		for x := range w {
			if m[y*w+x] > detThreshold {
				on[y*w+x] = true
				if x+1 < w {
					on[y*w+x+1] = true
				}
				if y+1 < h {
					on[(y+1)*w+x] = true
					if x+1 < w {
						on[(y+1)*w+x+1] = true
					}
				}
			}
		}
	}
	var spots []spot
	var stack []int
	for start := range on {
		if !on[start] {
			continue
		}
		on[start] = false
		stack = append(stack[:0], start)
		var edge []ekyc.Point
		sum, n := 0.0, 0
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			x, y := i%w, i/w
			sum += float64(m[i])
			n++
			border := false
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					u, v := x+dx, y+dy
					if u < 0 || v < 0 || u >= w || v >= h {
						border = true
						continue
					}
					j := v*w + u
					if on[j] {
						on[j] = false
						stack = append(stack, j)
					} else if m[j] <= detThreshold {
						border = true
					}
				}
			}
			if border {
				edge = append(edge, ekyc.Point{X: float64(x) + 0.5, Y: float64(y) + 0.5})
			}
		}
		if n < 9 || sum/float64(n) < detScore {
			continue
		}
		hull := convex(edge)
		spots = append(spots, spot{hull, smallest(hull)})
		if len(spots) >= maxSpots {
			break
		}
	}
	return spots
}

// maxSpots bounds the pieces of text of one image; a document has fewer than 30. Our choice.
const maxSpots = 300

// convex is the convex hull (monotone chain).
func convex(p []ekyc.Point) []ekyc.Point {
	slices.SortFunc(p, func(a, b ekyc.Point) int {
		return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Y, b.Y))
	})
	if len(p) < 3 {
		return p
	}
	cross := func(o, a, b ekyc.Point) float64 { return (a.X-o.X)*(b.Y-o.Y) - (a.Y-o.Y)*(b.X-o.X) }
	var hull []ekyc.Point
	half := func(at func(int) ekyc.Point) {
		base := len(hull)
		for i := range p {
			for len(hull) >= base+2 && cross(hull[len(hull)-2], hull[len(hull)-1], at(i)) <= 0 {
				hull = hull[:len(hull)-1]
			}
			hull = append(hull, at(i))
		}
		hull = hull[:len(hull)-1]
	}
	half(func(i int) ekyc.Point { return p[i] })
	half(func(i int) ekyc.Point { return p[len(p)-1-i] })
	return hull
}

// boxAlong is the rectangle around points whose long side has a direction.
func boxAlong(p []ekyc.Point, angle float64) box {
	c, s := math.Cos(angle), math.Sin(angle)
	u0, u1, v0, v1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, q := range p {
		u, v := c*q.X+s*q.Y, -s*q.X+c*q.Y
		u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
	}
	u, v := (u0+u1)/2, (v0+v1)/2
	return box{ekyc.Point{X: c*u - s*v, Y: s*u + c*v}, angle, u1 - u0, v1 - v0}
}

// smallest is the rectangle of least area around a hull.
func smallest(hull []ekyc.Point) box {
	best, area := box{}, math.Inf(1)
	for i, a := range hull {
		b := hull[(i+1)%len(hull)]
		if dist(a, b) < 1e-9 {
			continue
		}
		r := boxAlong(hull, math.Atan2(b.Y-a.Y, b.X-a.X))
		if r.long < r.short {
			r = box{r.mid, r.angle + math.Pi/2, r.short, r.long}
		}
		if r.long*r.short < area {
			best, area = r, r.long*r.short
		}
	}
	return best
}

// dominant is the direction of most text, weighted by length, modulo half a turn.
func dominant(spots []spot) float64 {
	var c, s float64
	for _, sp := range spots {
		if b := sp.box; b.long > 2.5*b.short {
			c += b.long * b.long * math.Cos(2*b.angle)
			s += b.long * b.long * math.Sin(2*b.angle)
		}
	}
	return math.Atan2(s, c) / 2
}
