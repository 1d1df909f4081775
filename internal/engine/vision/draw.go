package vision

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"shiren/internal/ekyc"
)

// Frame draws a box's outline, two pixels wide.
func (im *Image) Frame(b ekyc.Box, c color.RGBA) {
	x0, y0 := int(math.Round(b.X)), int(math.Round(b.Y))
	x1, y1 := int(math.Round(b.X+b.W)), int(math.Round(b.Y+b.H))
	for t := range 2 {
		for x := x0; x <= x1; x++ {
			im.set(x, y0+t, c)
			im.set(x, y1-t, c)
		}
		for y := y0; y <= y1; y++ {
			im.set(x0+t, y, c)
			im.set(x1-t, y, c)
		}
	}
}

// Outline draws a quadrangle's edges, r pixels to either side.
func (im *Image) Outline(q [4]ekyc.Point, r int, c color.RGBA) {
	for i, a := range q {
		b := q[(i+1)%4]
		steps := int(math.Ceil(math.Hypot(b.X-a.X, b.Y-a.Y)))
		if steps > 4*(im.W+im.H) {
			continue // far outside
		}
		for k := range steps + 1 {
			f := float64(k) / float64(max(1, steps))
			im.Dot(ekyc.Point{X: a.X + f*(b.X-a.X), Y: a.Y + f*(b.Y-a.Y)}, r, c)
		}
	}
}

// Dot draws a filled square of side 2r+1 around a point.
func (im *Image) Dot(p ekyc.Point, r int, c color.RGBA) {
	x, y := int(math.Floor(p.X)), int(math.Floor(p.Y))
	for dy := -r; dy <= r; dy++ {
		for dx := -r; dx <= r; dx++ {
			im.set(x+dx, y+dy, c)
		}
	}
}

func (im *Image) set(x, y int, c color.RGBA) {
	if x >= 0 && y >= 0 && x < im.W && y < im.H {
		copy(im.Pix[(y*im.W+x)*3:], []byte{c.R, c.G, c.B})
	}
}

// EncodePNG writes images side by side, top aligned, on black.
func EncodePNG(w io.Writer, images ...*Image) error {
	width, height := 0, 0
	for _, im := range images {
		width, height = width+im.W, max(height, im.H)
	}
	out := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := 3; i < len(out.Pix); i += 4 {
		out.Pix[i] = 255
	}
	left := 0
	for _, im := range images {
		for y := range im.H {
			row := out.Pix[y*out.Stride+left*4:]
			for x := range im.W {
				copy(row[x*4:x*4+3], im.Pix[(y*im.W+x)*3:])
			}
		}
		left += im.W
	}
	return png.Encode(w, out)
}
