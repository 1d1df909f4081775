package card

import (
	"context"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// A glance looks for text in a small picture and reads only the longest lines: that is
// what keeps it within its time. Measured: see docs/models.
const (
	glanceSide  = 384
	glanceLines = 4
	glanceWidth = 514 // of the rectified picture whose sharpness is measured
)

// GlanceCard implements ekyc.CardReader.
func (r *Reader) GlanceCard(ctx context.Context, data []byte, side ekyc.CardSide) (ekyc.CardGlance, error) {
	end, err := r.turn(ctx)
	if err != nil {
		return ekyc.CardGlance{}, err
	}
	defer end()
	limits := r.limits
	limits.Side = min(limits.Side, vision.DefaultLimits.Side)
	im, err := vision.Decode(data, limits)
	if err != nil {
		return ekyc.CardGlance{}, err
	}
	defer im.Release()
	quads, err := r.find(im, glanceSide)
	if err != nil {
		return ekyc.CardGlance{}, err
	}
	light := measure(im)
	quads = along(quads)
	order := longest(quads)
	var few []quad
	for _, i := range order[:min(glanceLines, len(order))] {
		few = append(few, quads[i])
	}
	turn, err := r.upside(im, few)
	if err != nil {
		return ekyc.CardGlance{}, err
	}
	// Two lines are mostly enough: the number and another of the front, the title and the
	// validity of the back.
	var lines []*line
	var p *placed
	for i := range few {
		more, err := r.readAll(im, few[i:i+1], turn)
		if err != nil {
			return ekyc.CardGlance{}, err
		}
		if lines = append(lines, more...); i > 0 || len(few) == 1 {
			if p = place(lines); p != nil {
				break
			}
		}
	}
	if p == nil {
		return ekyc.CardGlance{Status: r.without(im, lines)}, nil
	}
	out := ekyc.CardGlance{Side: p.face.side, Status: ekyc.CardReadable}
	x, y := im.Scale()
	for i, c := range p.corners() {
		out.Quad[i] = ekyc.Point{X: c.X * x, Y: c.Y * y}
	}
	out.Width = p.width() * (x + y) / 2
	card := vision.NewImage(glanceWidth, glanceWidth*cardHeight*10/856)
	defer card.Release()
	im.WarpPerspective(card, p.strip(0, 0, cardWidth, cardHeight).from(card.W, card.H))
	out.Sharp = sharpness(card)
	if l := measure(card); cutOff(p, im) {
		out.Status = ekyc.CardCut
	} else if l.white > glareShare {
		out.Status = ekyc.CardGlare
	} else if light.mean < darkMean {
		out.Status = ekyc.CardDark
	} else if out.Width < smallWidth {
		out.Status = ekyc.CardBlurred
	} else if out.Side != side {
		out.Status = ekyc.CardWrongSide
	}
	return out, nil
}

// smallWidth is the width of a document, in pixels, under which it should come nearer.
// Measured: whole sides are then read wrong too often; see docs/models.
const smallWidth = 600
