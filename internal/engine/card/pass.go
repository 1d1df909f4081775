package card

import (
	"math"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// firstSide is the longest side at which text is looked for. Measured: a card that
// fills a third of the picture still has its labels found; see docs/models.
const firstSide = 736

// votes is how many of the longest lines are asked which way up they are.
const votes = 6

// clsWidth is the width of the direction classifier's input.
const clsWidth = 192

func (r *Reader) readAll(im *vision.Image, quads []quad, turn bool) ([]*line, error) {
	var lines []*line
	for _, q := range quads {
		if turn {
			q = q.turned()
		}
		l, err := r.read(im, q)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// along gives all quads the direction, of the two possible, that most of them share.
func along(quads []quad) []quad {
	var c, s float64
	for _, q := range quads {
		a := math.Atan2(q[1].Y-q[0].Y, q[1].X-q[0].X)
		w := q.width()
		if w > 2*q.height() {
			c, s = c+w*w*math.Cos(2*a), s+w*w*math.Sin(2*a)
		}
	}
	main := math.Atan2(s, c) / 2
	out := make([]quad, 0, len(quads))
	for _, q := range quads {
		if math.Cos(math.Atan2(q[1].Y-q[0].Y, q[1].X-q[0].X)-main) < 0 {
			q = q.turned()
		}
		out = append(out, q)
	}
	return out
}

// upside tells whether the text stands on its head, by the votes of the longest lines.
func (r *Reader) upside(im *vision.Image, quads []quad) (bool, error) {
	order := longest(quads)
	sum := 0.0
	in := vision.NewImage(clsWidth, recHeight)
	defer in.Release()
	for _, i := range order[:min(votes, len(order))] {
		q := quads[i]
		w := int(min(clsWidth, max(16, math.Round(recHeight*q.width()/max(q.height(), 1)))))
		crop := vision.NewImage(w, recHeight)
		// A line longer than the network's input is judged by its beginning.
		part := q.sub(0, min(1, clsWidth/max(recHeight*q.width()/max(q.height(), 1), 1)))
		im.WarpPerspective(crop, part.from(w, recHeight))
		err := r.cls.Run(func(t []float32) {
			tight := make([]float32, 3*recHeight*w)
			r.recPlanes.Write(tight, crop)
			clear(t)
			for y := range 3 * recHeight {
				copy(t[y*clsWidth:y*clsWidth+w], tight[y*w:(y+1)*w])
			}
		}, func(outs [][]float32) {
			sum += math.Log(max(float64(outs[0][1]), 1e-4) / max(float64(outs[0][0]), 1e-4))
		})
		crop.Release()
		if err != nil {
			return false, ekyc.Wrap(ekyc.EngineFailed, "the direction classifier failed", err)
		}
	}
	return sum > 0, nil
}

func longest(quads []quad) []int {
	order := make([]int, len(quads))
	for i := range order {
		order[i] = i
	}
	for i := range order { // few: insertion by falling width
		for j := i; j > 0 && quads[order[j]].width() > quads[order[j-1]].width(); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	return order
}
