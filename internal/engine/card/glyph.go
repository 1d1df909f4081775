package card

import (
	"cmp"
	"fmt"
	"image"
	"math"
	"slices"
	"unicode"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
	"golang.org/x/text/encoding/simplifiedchinese"

	"shiren/internal/cnid"
	"shiren/internal/engine/vision"
)

// The recogniser's dictionary lacks thousands of characters that names are made of. A
// character that it does not know it leaves out or takes for one that looks alike. So
// each character of a name is also compared with the drawn glyphs of all Han characters
// of a Hei font, in two steps: by a coarse picture of the glyph's ink, then finely, with
// small shifts, scales and blurs.

// em is the size in pixels at which glyphs are drawn and compared.
const em = 32

// coarse is the side of the coarse picture.
const coarse = 16

// softly is the standard deviation, in pixels, of the blur in which glyphs are compared first.
const softly = 1.1

// glyphs draws characters and finds those that look like a picture. Its search is safe
// for concurrent use.
type glyphs struct {
	font  *sfnt.Font
	runes []rune
	bits  []int8           // coarse pictures, coarse*coarse each
	cost  map[rune]float64 // see standardCost
	index map[rune]int     // of the recogniser's classes

	strangers []stranger
}

// What is taken from a character's likeness: nothing for the characters of GB 2312, little for the
// others of the table of general standard characters, more for those of it outside the unified
// block, and most for the rest of that block, which is rarely printed. Our choice.
const (
	standardCost = 0.02
	outsideCost  = 0.03
	otherCost    = 0.06
)

func parseGlyphs(data []byte, k *keys) (*glyphs, error) {
	f, err := sfnt.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("the font of glyphs: %w", err)
	}
	g := &glyphs{font: f, index: k.index}
	cost := map[rune]float64{}
	var all []rune
	for c := rune(0x4e00); c <= 0x9fa5; c++ {
		all, cost[c] = append(all, c), otherCost
	}
	for _, c := range cnid.ThirdLevel + cnid.BeyondGB2312 + otherCharacters {
		if cost[c] == otherCost {
			cost[c] = standardCost
		} else {
			all, cost[c] = append(all, c), outsideCost
		}
	}
	g.cost = cost
	gb := simplifiedchinese.HZGB2312.NewEncoder()
	d := g.drawer()
	for _, c := range all {
		p := d.draw(c)
		if p == nil {
			continue
		}
		box, ok := inkBox(p, em, em, 0.5)
		if !ok {
			continue
		}
		g.runes = append(g.runes, c)
		g.bits = append(g.bits, quantise(scaled(p, em, em, box))...)
		if _, err := gb.String(string(c)); err == nil {
			cost[c] = 0
		}
		if cost[c] < otherCost && k.index[c] == 0 {
			x, y := centre(p, em, em)
			g.strangers = append(g.strangers, stranger{c, blur(p, em, em, softly), x, y})
		}
	}
	if len(g.runes) == 0 {
		return nil, fmt.Errorf("the font of glyphs has no Han characters")
	}
	return g, nil
}

// drawer draws glyphs one after the other.
type drawer struct {
	font   *sfnt.Font
	buffer sfnt.Buffer
	raster *vector.Rasterizer
	alpha  *image.Alpha
}

func (g *glyphs) drawer() *drawer {
	return &drawer{font: g.font, raster: vector.NewRasterizer(em, em), alpha: image.NewAlpha(image.Rect(0, 0, em, em))}
}

// draw is a character's ink, 0 to 1, em by em; nil where the font has none. The result
// is the caller's.
func (d *drawer) draw(c rune) []float32 {
	i, err := d.font.GlyphIndex(&d.buffer, c)
	if err != nil || i == 0 {
		return nil
	}
	segments, err := d.font.LoadGlyph(&d.buffer, i, fixed.I(em), nil)
	if err != nil {
		return nil
	}
	d.raster.Reset(em, em)
	const base = em * 0.88 // the baseline of Han type
	at := func(p fixed.Point26_6) (float32, float32) { return float32(p.X) / 64, float32(p.Y)/64 + base }
	for _, s := range segments {
		x, y := at(s.Args[0])
		u, v := at(s.Args[1])
		w, z := at(s.Args[2])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			d.raster.MoveTo(x, y)
		case sfnt.SegmentOpLineTo:
			d.raster.LineTo(x, y)
		case sfnt.SegmentOpQuadTo:
			d.raster.QuadTo(x, y, u, v)
		case sfnt.SegmentOpCubeTo:
			d.raster.CubeTo(x, y, u, v, w, z)
		}
	}
	clear(d.alpha.Pix)
	d.raster.Draw(d.alpha, d.alpha.Rect, image.Opaque, image.Point{})
	out := make([]float32, em*em)
	for i, a := range d.alpha.Pix {
		out[i] = float32(a) / 255
	}
	return out
}

// rect is a rectangle of a picture, edges included at the low and not at the high side.
type rect struct{ x0, y0, x1, y1 float64 }

// inkBox bounds the ink above a level.
func inkBox(p []float32, w, h int, level float32) (rect, bool) {
	x0, y0, x1, y1 := w, h, -1, -1
	for y := range h {
		for x := range w {
			if p[y*w+x] > level {
				x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
			}
		}
	}
	return rect{float64(x0), float64(y0), float64(x1 + 1), float64(y1 + 1)}, x1 >= x0 && y1 >= y0
}

// scaled brings a rectangle of ink to the coarse picture: smoothed, of mean 0 and
// length 1. Thin strokes keep their aspect: the longer side fills the picture.
func scaled(p []float32, w, h int, b rect) []float32 {
	side := max(b.x1-b.x0, b.y1-b.y0)
	// A glyph that is much narrower than high, or flatter, keeps half of that.
	bw, bh := (b.x1-b.x0+side)/2, (b.y1-b.y0+side)/2
	mx, my := (b.x0+b.x1)/2, (b.y0+b.y1)/2
	const fine = 3 // samples a pixel and axis
	raw := make([]float32, coarse*coarse)
	for y := range coarse {
		for x := range coarse {
			sum := float32(0)
			for j := range fine {
				for i := range fine {
					u := mx + bw*((float64(x)+(float64(i)+0.5)/fine)/coarse-0.5)
					v := my + bh*((float64(y)+(float64(j)+0.5)/fine)/coarse-0.5)
					sum += sample(p, w, h, u-0.5, v-0.5)
				}
			}
			raw[y*coarse+x] = sum
		}
	}
	out := blur(raw, coarse, coarse, 0.9)
	unit(out)
	return out
}

// sample is bilinear, 0 outside.
func sample(p []float32, w, h int, x, y float64) float32 {
	ix, iy := int(math.Floor(x)), int(math.Floor(y))
	fx, fy := float32(x-float64(ix)), float32(y-float64(iy))
	at := func(u, v int) float32 {
		if u < 0 || v < 0 || u >= w || v >= h {
			return 0
		}
		return p[v*w+u]
	}
	return (at(ix, iy)*(1-fx)+at(ix+1, iy)*fx)*(1-fy) + (at(ix, iy+1)*(1-fx)+at(ix+1, iy+1)*fx)*fy
}

// blur is a Gaussian of a standard deviation in pixels.
func blur(p []float32, w, h int, sigma float64) []float32 {
	n := int(math.Ceil(2.5 * sigma))
	k := make([]float32, 2*n+1)
	sum := float32(0)
	for i := range k {
		d := float64(i - n)
		k[i] = float32(math.Exp(-d * d / (2 * sigma * sigma)))
		sum += k[i]
	}
	mid, out := make([]float32, w*h), make([]float32, w*h)
	for y := range h {
		for x := range w {
			v := float32(0)
			for i, f := range k {
				if u := x + i - n; u >= 0 && u < w {
					v += f * p[y*w+u]
				}
			}
			mid[y*w+x] = v / sum
		}
	}
	for y := range h {
		for x := range w {
			v := float32(0)
			for i, f := range k {
				if u := y + i - n; u >= 0 && u < h {
					v += f * mid[u*w+x]
				}
			}
			out[y*w+x] = v / sum
		}
	}
	return out
}

// unit brings values to mean 0 and length 1.
func unit(p []float32) {
	var sum, squares float64
	for _, v := range p {
		sum += float64(v)
	}
	mean := float32(sum / float64(len(p)))
	for i := range p {
		p[i] -= mean
		squares += float64(p[i]) * float64(p[i])
	}
	f := float32(1 / math.Sqrt(max(squares, 1e-12)))
	for i := range p {
		p[i] *= f
	}
}

// quantise brings a unit vector to bytes; 400 keeps the largest of 256 values inside.
func quantise(p []float32) []int8 {
	q := make([]int8, len(p))
	for i, v := range p {
		q[i] = int8(max(-127, min(127, math.Round(float64(v)*400))))
	}
	return q
}

// alikeness of a character to a picture.
type alikeness struct {
	r     rune
	score float64
}

// How many characters are compared finely: the first of the coarse step, and the first strangers of
// the quick one. Our choice.
const (
	shortlist    = 64
	fewStrangers = 24
	unseenAtMost = 0.9 // the probability of a character under which a stranger may stand there
)

// search finds the characters that look most like a cell's ink, best first. also are
// compared whatever the coarse step says of them; strange looks among the strangers, too.
func (g *glyphs) search(cell []float32, w, h int, size float64, also []rune, strange bool) []alikeness {
	scores := make([]int32, len(g.runes))
	for _, level := range []float32{0.3, 0.45, 0.6} {
		box, ok := inkBox(cell, w, h, level)
		if !ok || box.x1-box.x0 < 4 || box.y1-box.y0 < 4 {
			continue
		}
		q := quantise(scaled(cell, w, h, box))
		for i := range g.runes {
			t := g.bits[i*coarse*coarse : (i+1)*coarse*coarse]
			sum := int32(0)
			for j, v := range t {
				sum += int32(v) * int32(q[j])
			}
			scores[i] = max(scores[i], sum)
		}
	}
	order := make([]int, len(g.runes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	var list []rune
	for _, i := range order[:min(shortlist, len(order))] {
		if scores[i] > 0 {
			list = append(list, g.runes[i])
		}
	}
	if strange {
		also = append(g.strangersLike(cell, w, h, size), also...)
	}
	for _, c := range also {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return g.compare(cell, w, h, size, list)
}

// stranger is a character that names are made of and the recogniser has no class for: it leaves
// them out, and takes them for others. Where strokes stand close, the coarse picture shows too
// little of them (翾 was the most alike by far, and not among the first 5,000), so that these are
// all compared: once each, laid on their centre.
type stranger struct {
	r      rune
	soft   []float32 // as compare first blurs it
	gx, gy float64   // its centre
}

// strangersLike are the strangers that look most like a cell's ink.
func (g *glyphs) strangersLike(cell []float32, w, h int, size float64) []rune {
	mx, my := centre(cell, w, h)
	list := make([]alikeness, len(g.strangers))
	for i, s := range g.strangers {
		list[i] = alikeness{s.r, correlation(cell, w, h, s.soft, mx, my, s.gx, s.gy, size/em)}
	}
	slices.SortFunc(list, func(a, b alikeness) int { return cmp.Compare(b.score, a.score) })
	var first []rune
	for _, a := range list[:min(fewStrangers, len(list))] {
		first = append(first, a.r)
	}
	return first
}

// compare scores characters finely: the best correlation over blurs, scales and shifts.
func (g *glyphs) compare(cell []float32, w, h int, size float64, list []rune) []alikeness {
	d := g.drawer()
	var out []alikeness
	mx, my := centre(cell, w, h)
	for _, c := range list {
		ink := d.draw(c)
		if ink == nil {
			continue
		}
		gx, gy := centre(ink, em, em)
		best := -1.0
		var tx, ty float64
		ts := 1.0
		var soft []float32
		try := func(dx, dy, scale float64) {
			if s := correlation(cell, w, h, soft, mx+dx, my+dy, gx, gy, size/em*scale); s > best {
				best, tx, ty, ts = s, dx, dy, scale
			}
		}
		soft = blur(ink, em, em, softly)
		for _, dx := range []float64{-1.5, 0, 1.5} {
			for _, dy := range []float64{-1.5, 0, 1.5} {
				try(dx, dy, 1)
			}
		}
		for _, scale := range []float64{0.94, 1.06} {
			try(tx, ty, scale)
		}
		x, y := tx, ty
		for _, o := range [][2]float64{{-0.75, 0}, {0.75, 0}, {0, -0.75}, {0, 0.75}} {
			try(x+o[0], y+o[1], ts)
		}
		for _, sigma := range []float64{0.6, 2} {
			soft = blur(ink, em, em, sigma)
			try(tx, ty, ts)
		}
		out = append(out, alikeness{c, best})
	}
	slices.SortStableFunc(out, func(a, b alikeness) int { return cmp.Compare(b.score, a.score) })
	return out
}

// leastCell is the width in pixels under which a cell is too narrow for a character. Our choice.
const leastCell = 12

// columns are the columns from..to of a row's ink, as far as they exist, and how many they are;
// 0 where too few are left for a character.
func columns(ink []float32, w, h, from, to int) ([]float32, int) {
	from, to = max(0, from), min(w, to)
	n := to - from
	if n < leastCell {
		return nil, 0
	}
	cell := make([]float32, n*h)
	for y := range h {
		copy(cell[y*n:], ink[y*w+from:y*w+to])
	}
	return cell, n
}

// neighbour is the share of a cell's width that may hold the end of the character beside it, and
// parted the ink (pixels, weighted by their darkness) from which a column is none that parts them.
// Our choice: a character's own strokes do not touch the cell's edge.
const (
	neighbour = 0.2
	parted    = 0.5
)

// trim clears the ends of neighbours: ink that touches a cell's left or right edge and is parted
// from the rest by a column without ink. It is for cells in which nothing was seen, whose middle is a
// guess: of 川, whose strokes stand apart, it may take one.
func trim(cell []float32, w, h int) {
	end := func(column func(i int) int) {
		ink := func(i int) bool {
			sum := float32(0)
			for y := h / 8; y < h-h/8; y++ {
				if v := cell[y*w+column(i)]; v > 0.35 {
					sum += v
				}
			}
			return sum > parted
		}
		if !ink(0) && !ink(1) && !ink(2) {
			return
		}
		for i := 2; i <= int(neighbour*float64(w)); i++ {
			if ink(i) {
				continue
			}
			for k := range i {
				for y := range h {
					cell[y*w+column(k)] = 0
				}
			}
			return
		}
	}
	end(func(i int) int { return i })
	end(func(i int) int { return w - 1 - i })
}

// centre is the ink's centre of mass.
func centre(p []float32, w, h int) (x, y float64) {
	var sum float64
	for v := range h {
		for u := range w {
			a := float64(p[v*w+u])
			sum, x, y = sum+a, x+a*(float64(u)+0.5), y+a*(float64(v)+0.5)
		}
	}
	return x / max(sum, 1e-9), y / max(sum, 1e-9)
}

// correlation of a cell with a glyph whose centre lies on a point of the cell, on every
// second pixel.
func correlation(cell []float32, w, h int, glyph []float32, cx, cy, gx, gy, scale float64) float64 {
	var n, a, b, aa, bb, ab float64
	for y := 0; y < h; y++ {
		for x := y & 1; x < w; x += 2 {
			u, v := (float64(x)+0.5-cx)/scale+gx-0.5, (float64(y)+0.5-cy)/scale+gy-0.5
			p, q := float64(cell[y*w+x]), float64(sample(glyph, em, em, u, v))
			n, a, b, aa, bb, ab = n+1, a+p, b+q, aa+p*p, bb+q*q, ab+p*q
		}
	}
	va, vb := aa-a*a/n, bb-b*b/n
	if va < 1e-9 || vb < 1e-9 {
		return 0
	}
	return (ab - a*b/n) / math.Sqrt(va*vb)
}

// The windows in which a picture's ground, and how dark its ink is, are taken, in
// pixels: about a character to each side.
const (
	inkTile   = 8
	groundX   = 24
	groundY   = 14
	inkWindow = 40
)

// inkOf is how dark a picture is against its surroundings, 0 to 1: light that falls
// unevenly, and glare that pales the ink, are taken out.
func inkOf(im *vision.Image) []float32 {
	w, h := im.W, im.H
	luma := make([]uint8, w*h)
	for i := range luma {
		luma[i] = vision.Luma(im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2])
	}
	// The ground is the 75th percentile of a window, on a grid: text covers less.
	gw, gh := (w+inkTile-1)/inkTile+1, (h+inkTile-1)/inkTile+1
	ground := make([]float32, gw*gh)
	var hist [256]int
	for v := range gh {
		for u := range gw {
			clear(hist[:])
			n := 0
			for y := max(0, v*inkTile-groundY); y < min(h, v*inkTile+groundY); y += 2 {
				for x := max(0, u*inkTile-groundX); x < min(w, u*inkTile+groundX); x += 2 {
					hist[luma[y*w+x]]++
					n++
				}
			}
			left := n * 3 / 4
			for value, k := range hist {
				if left -= k; left <= 0 {
					ground[v*gw+u] = float32(value)
					break
				}
			}
		}
	}
	depth := make([]float32, w*h)
	for y := range h {
		for x := range w {
			g := sample(ground, gw, gh, float64(x)/inkTile, float64(y)/inkTile)
			depth[y*w+x] = max(0, g-float32(luma[y*w+x]))
		}
	}
	full := func(x0, x1 int) float32 {
		var values []float32
		for y := 0; y < h; y += 2 {
			for x := max(0, x0); x < min(w, x1); x += 2 {
				values = append(values, depth[y*w+x])
			}
		}
		if len(values) == 0 {
			return 12
		}
		slices.Sort(values)
		return max(values[len(values)*95/100], 12)
	}
	whole := full(0, w)
	for x := 0; x < w; x += inkTile {
		f := max(full(x-inkWindow, x+inkWindow), whole/3)
		for u := x; u < min(w, x+inkTile); u++ {
			for y := range h {
				depth[y*w+u] = min(1, depth[y*w+u]/f)
			}
		}
	}
	return depth
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }
