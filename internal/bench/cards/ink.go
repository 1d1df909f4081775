package cards

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// sheet is something printed, drawn on in millimetres. Not safe for concurrent use.
type sheet struct {
	*image.RGBA
	scale float64 // pixels a millimetre
	fonts typefaces
	faces map[faceKey]font.Face
}

type faceKey struct {
	font *opentype.Font
	size int // 1/16 px
}

func newSheet(w, h, scale float64, t typefaces) *sheet {
	return &sheet{
		RGBA:  image.NewRGBA(image.Rect(0, 0, int(math.Round(w*scale)), int(math.Round(h*scale)))),
		scale: scale, fonts: t, faces: map[faceKey]font.Face{},
	}
}

func (s *sheet) face(f *opentype.Font, em float64) font.Face {
	k := faceKey{f, int(math.Round(em * s.scale * 16))}
	if got := s.faces[k]; got != nil {
		return got
	}
	// NewFace fails only on options that it does not know.
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: float64(k.size) / 16, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		panic("cards: " + err.Error())
	}
	s.faces[k] = face
	return face
}

// style is how a text is set.
type style struct {
	font  *opentype.Font
	em    float64 // mm
	pitch float64 // from one character's start to the next, mm; 0 is the font's own advance
	extra float64 // added to each advance, mm
	ink   color.NRGBA
}

// of is the face that a character is set in: the style's, or the spare font's where that has none.
func (s *sheet) of(c rune, st style) font.Face {
	var b sfnt.Buffer
	if i, err := st.font.GlyphIndex(&b, c); err == nil && i == 0 {
		return s.face(s.fonts.spare, st.em)
	}
	return s.face(st.font, st.em)
}

// width of a text, mm.
func (s *sheet) width(text string, st style) float64 {
	w := 0.0
	for _, c := range text {
		w += s.advance(s.of(c, st), c, st)
	}
	return w
}

func (s *sheet) advance(f font.Face, c rune, st style) float64 {
	if st.pitch > 0 {
		return st.pitch
	}
	a, _ := f.GlyphAdvance(c)
	return float64(a)/64/s.scale + st.extra
}

// text sets a line whose left end is x and whose characters' middle is y, mm. It returns
// the right end.
func (s *sheet) text(x, y float64, text string, st style) float64 {
	d := font.Drawer{Dst: s.RGBA, Src: image.NewUniform(st.ink)}
	base := fixed.Int26_6(math.Round((y + s.fonts.middle*st.em) * s.scale * 64))
	for _, c := range text {
		d.Face = s.of(c, st)
		d.Dot = fixed.Point26_6{X: fixed.Int26_6(math.Round(x * s.scale * 64)), Y: base}
		d.DrawString(string(c))
		x += s.advance(d.Face, c, st)
	}
	return x
}

// fill fills a polygon given in millimetres.
func (s *sheet) fill(c color.Color, polygon ...point) { s.paint(c, polygon) }

// stroke draws lines of a width in millimetres, each a list of points, with round ends.
func (s *sheet) stroke(c color.Color, width float64, lines ...[]point) {
	var parts [][]point
	for _, l := range lines {
		for i := range max(0, len(l)-1) {
			d := l[i+1].sub(l[i])
			n := math.Hypot(d.x, d.y)
			if n == 0 {
				continue
			}
			side := point{-d.y, d.x}.times(width / 2 / n)
			parts = append(parts, []point{l[i].add(side), l[i+1].add(side), l[i+1].sub(side), l[i].sub(side)})
		}
		for _, p := range l { // turning like the segments, so that coverage adds up
			parts = append(parts, ellipse(p, width/2, width/2, 8))
		}
	}
	s.paint(c, parts...)
}

// paint fills the union of polygons that turn the same way.
func (s *sheet) paint(c color.Color, polygons ...[]point) {
	b, mask := s.coverage(polygons)
	draw.DrawMask(s.RGBA, b, image.NewUniform(c), image.Point{}, mask, image.Point{}, draw.Over)
}

// coverage is how much of each pixel polygons cover, and where.
func (s *sheet) coverage(polygons [][]point) (image.Rectangle, *image.Alpha) {
	low, high := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, polygon := range polygons {
		for _, p := range polygon {
			low = point{min(low.x, p.x), min(low.y, p.y)}
			high = point{max(high.x, p.x), max(high.y, p.y)}
		}
	}
	low, high = low.times(s.scale), high.times(s.scale)
	b := image.Rect(int(math.Floor(low.x)), int(math.Floor(low.y)), int(math.Ceil(high.x)), int(math.Ceil(high.y))).Intersect(s.Rect)
	mask := image.NewAlpha(image.Rect(0, 0, b.Dx(), b.Dy()))
	r := vector.NewRasterizer(b.Dx(), b.Dy())
	for _, polygon := range polygons {
		for i, p := range polygon {
			x, y := float32(p.x*s.scale)-float32(b.Min.X), float32(p.y*s.scale)-float32(b.Min.Y)
			if i == 0 {
				r.MoveTo(x, y)
			} else {
				r.LineTo(x, y)
			}
		}
		r.ClosePath()
	}
	r.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	return b, mask
}

// ellipse is a polygon around c.
func ellipse(c point, rx, ry float64, corners int) []point {
	var list []point
	for i := range corners {
		sin, cos := math.Sincos(-2 * math.Pi * float64(i) / float64(corners))
		list = append(list, point{c.x + rx*cos, c.y + ry*sin})
	}
	return list
}

// rounded is a rectangle with round corners.
func rounded(x0, y0, x1, y1, r float64) []point {
	var list []point
	for i, c := range []point{{x1 - r, y0 + r}, {x1 - r, y1 - r}, {x0 + r, y1 - r}, {x0 + r, y0 + r}} {
		for k := range 9 {
			a := math.Pi/2*float64(i-1) + math.Pi/2*float64(k)/8
			list = append(list, point{c.x + r*math.Cos(a), c.y + r*math.Sin(a)})
		}
	}
	return list
}

// cut makes everything outside a polygon transparent.
func (s *sheet) cut(polygon []point) {
	b, mask := s.coverage([][]point{polygon})
	out := image.NewRGBA(s.Rect)
	draw.DrawMask(out, b, s.RGBA, b.Min, mask, image.Point{}, draw.Src)
	s.RGBA = out
}

// tint mixes a colour over the pixel at x, y (pixels) with the weight a.
func (s *sheet) tint(x, y int, c color.NRGBA, a float64) {
	if !(image.Point{x, y}).In(s.Rect) {
		return
	}
	p := s.Pix[s.PixOffset(x, y):]
	for i, v := range [3]uint8{c.R, c.G, c.B} {
		p[i] = uint8(float64(p[i]) + (float64(v)-float64(p[i]))*a + .5)
	}
}
