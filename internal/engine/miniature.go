package engine

import (
	"context"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// Miniature implements ekyc.Miniaturist.
func (e *Engine) Miniature(ctx context.Context, image []byte) (m ekyc.Miniature, err error) {
	select {
	case e.turns <- struct{}{}:
		defer func() { <-e.turns }()
	case <-ctx.Done():
		return m, ekyc.Wrap(ekyc.Busy, "the engine had no free turn in time", ctx.Err())
	}
	im, err := vision.Decode(image, e.limits)
	if err != nil {
		return m, err
	}
	defer im.Release()
	const side = ekyc.MiniatureSide
	var sum, n [len(m)]int
	for y := range im.H {
		row, pix := y*side/im.H*side, im.Pix[y*im.W*3:]
		for x := range im.W {
			i := row + x*side/im.W
			sum[i] += int(vision.Luma(pix[3*x], pix[3*x+1], pix[3*x+2]))
			n[i]++
		}
	}
	for i := range m {
		if n[i] > 0 { // a picture may have fewer pixels than fields
			m[i] = uint8(sum[i] / n[i])
		}
	}
	return m, nil
}
