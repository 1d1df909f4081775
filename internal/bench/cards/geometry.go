package cards

import "math"

// point is a place in millimetres of a card or in pixels of a picture.
type point struct{ x, y float64 }

func (p point) add(q point) point        { return point{p.x + q.x, p.y + q.y} }
func (p point) sub(q point) point        { return point{p.x - q.x, p.y - q.y} }
func (p point) times(f float64) point    { return point{p.x * f, p.y * f} }
func (p point) distance(q point) float64 { return math.Hypot(p.x-q.x, p.y-q.y) }

func (p point) turned(rad float64) point {
	s, c := math.Sincos(rad)
	return point{c*p.x - s*p.y, s*p.x + c*p.y}
}

// homography maps one plane onto another: rows of a 3 by 3 matrix whose last element is 1.
type homography [9]float64

func (h homography) at(x, y float64) (float64, float64) {
	w := h[6]*x + h[7]*y + h[8]
	return (h[0]*x + h[1]*y + h[2]) / w, (h[3]*x + h[4]*y + h[5]) / w
}

// between is the homography that maps each corner of from to the same corner of to. No
// three corners of either may lie on one line.
func between(from, to [4]point) homography {
	var m [8][9]float64
	for i := range 4 {
		x, y, u, v := from[i].x, from[i].y, to[i].x, to[i].y
		m[2*i] = [9]float64{x, y, 1, 0, 0, 0, -u * x, -u * y, u}
		m[2*i+1] = [9]float64{0, 0, 0, x, y, 1, -v * x, -v * y, v}
	}
	for c := range 8 { // Gauss and Jordan, with the largest pivot
		best := c
		for r := c + 1; r < 8; r++ {
			if math.Abs(m[r][c]) > math.Abs(m[best][c]) {
				best = r
			}
		}
		m[c], m[best] = m[best], m[c]
		for r := range 8 {
			if r == c {
				continue
			}
			f := m[r][c] / m[c][c]
			for k := c; k < 9; k++ {
				m[r][k] -= f * m[c][k]
			}
		}
	}
	h := homography{8: 1}
	for i := range 8 {
		h[i] = m[i][8] / m[i][i]
	}
	return h
}

// rectangle is the corners of a rectangle at the origin, clockwise from its top left.
func rectangle(w, h float64) [4]point { return [4]point{{}, {w, 0}, {w, h}, {0, h}} }
