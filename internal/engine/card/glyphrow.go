package card

import (
	"math"
	"slices"

	"shiren/internal/engine/vision"
)

// weak is the probability under which a character of a row is compared with glyphs.
const weak = 0.9

// placeCost is taken in rows from the likeness of characters that GB 2312 lacks: places are named with
// few of them, and 畲 is not to become 畬. Our choice.
const placeCost = 0.04

// rowPitch is the distance of Han characters in a row, millimetres, where too few stand
// side by side to tell. Measured on cards drawn in the true layout.
const rowPitch = 2.93

// repair compares a row's weak Han characters, gaps that a character was lost in, and those
// in which what was read differs from what is known, with drawn glyphs. It changes the word's
// text and says how sure it is then. clean is what turned the row's text into the word's, known
// names texts that differ little from one.
func (g *page) repair(w *word, shots []shot, clean func(string) string, known func(string) []string) error {
	var best *shot
	for i := range shots {
		if p := shots[i].part(); clean(p.text()) == w.text && (best == nil || p.least() > best.part().least()) {
			best = &shots[i]
		}
	}
	if best == nil {
		return nil
	}
	chars := best.part().chars
	if len(chars) < 2 {
		return nil
	}
	x := g.middles(best.l.quad, chars)
	pitch, _ := pitchOf(chars, x)
	if pitch == 0 {
		return nil
	}
	other, gone := disputed(chars, known)
	var places []slot
	for i := range chars {
		if i > 0 && isHan(chars[i].r) && isHan(chars[i-1].r) {
			places = append(places, between(x[i-1], x[i], pitch, i)...)
		}
		if isHan(chars[i].r) && (chars[i].p < weak || len(other[i]) > 0) {
			places = append(places, slot{x[i], i, &chars[i]})
		}
	}
	// A row may end in one that was not seen.
	if n := len(chars); isHan(chars[n-1].r) && w.at.x1-x[n-1] > 1.25*pitch {
		places = append(places, slot{x[n-1] + pitch, n, nil})
	}
	front := isHan(chars[0].r) && x[0]-w.at.x0 > 1.2*pitch // or begin with one: its ink tells
	if len(places) == 0 && !front || len(places) > mostWeak {
		return nil
	}
	row := g.inkRow(w.at, pitch)
	if front {
		first := row.x0 + float64(firstInk(row.ink, row.w, row.h, int(0.8*row.scale)))/row.scale
		places = append(between(first-pitch/2, x[0], pitch, 0), places...)
	}
	text := make([]rune, 0, len(chars)+2)
	for _, c := range chars {
		text = append(text, c.r)
	}
	sure, added := 1.0, 0
	kin := g.kin()
	for _, p := range places {
		patch, cw := row.cell(p.at)
		if cw == 0 {
			continue
		}
		if p.char == nil {
			trim(patch, cw, row.h)
		}
		// Something is printed there that nothing was made of.
		missed := p.char == nil && filled(patch) > leastFilled
		if !kin {
			w.doubt = w.doubt || missed
			if p.char != nil {
				sure = min(sure, p.char.p)
			}
			continue
		}
		var also []rune
		if p.char != nil {
			also = append(also, p.char.r)
		}
		if p.char != nil {
			also = append(also, other[p.before]...)
		} else {
			also = append(also, gone[p.before]...)
		}
		list := g.r.glyphs.search(patch, cw, row.h, em*0.97, also, p.char == nil || p.char.p < unseenAtMost)
		r, gap := pick(list, g.r.glyphs, p.char, placeCost)
		if p.char != nil && len(other[p.before]) > 0 {
			r, gap = prefer(list, p.char.r, other[p.before], r, gap)
		} else if p.char == nil && len(gone[p.before]) > 0 {
			r, gap = prefer(list, 0, gone[p.before], r, gap)
		}
		switch {
		case p.char == nil && !missed:
			// Wide, and nothing there.
		case r == 0 && p.char == nil:
			w.doubt = true
		case r == 0:
			sure = min(sure, max(p.char.p, glyphSure(gap)))
		case p.char == nil:
			text = slices.Insert(text, p.before+added, r)
			added++
			sure = min(sure, glyphSure(gap))
			w.doubt = w.doubt || gap < missingGap
		default:
			text[p.before+added] = r
			sure = min(sure, glyphSure(gap))
		}
	}
	if t := clean(string(text)); t != w.text {
		w.text, w.share, w.least = t, sure, sure
	} else if sure < 1 {
		w.least = max(w.least, sure)
	}
	return nil
}

// middles are where characters of a line stand, millimetres.
func (g *page) middles(q quad, chars []char) []float64 {
	x := make([]float64, len(chars))
	for i, c := range chars {
		x[i] = g.back.Apply(q.at(c.at, 0.5)).X
	}
	return x
}

// pitchOf is the median distance of neighbouring Han characters, rowPitch where too few stand side
// by side to tell (known is false), and 0 where no row is set so.
func pitchOf(chars []char, x []float64) (pitch float64, known bool) {
	var steps []float64
	for i := 1; i < len(chars); i++ {
		if isHan(chars[i].r) && isHan(chars[i-1].r) {
			steps = append(steps, x[i]-x[i-1])
		}
	}
	if len(steps) < 4 {
		return rowPitch, false
	}
	slices.Sort(steps)
	if pitch = steps[len(steps)/2]; pitch < 2.2 || pitch > 4 {
		return 0, false
	}
	return pitch, true
}

// inkRow is the ink of a row, as large as glyphs are drawn.
type inkRow struct {
	ink              []float32
	w, h             int     // pixels
	x0, scale, pitch float64 // its left edge and its characters' distance, millimetres; pixels a millimetre
}

// ink is how dark a strip of the document is against its surroundings, w by h pixels; see inkOf.
func (g *page) ink(strip span, w, h int) []float32 {
	im := vision.NewImage(w, h)
	defer im.Release()
	g.im.WarpPerspective(im, g.strip(strip.x0, strip.y0, strip.x1, strip.y1).from(w, h))
	return inkOf(im)
}

// inkRow takes a row's ink, and a millimetre to both sides.
func (g *page) inkRow(at span, pitch float64) inkRow {
	r := inkRow{x0: at.x0 - 1, scale: em * 0.97 / pitch, pitch: pitch}
	strip := span{r.x0, at.y0, at.x1 + 1, at.y1}
	r.w, r.h = int((strip.x1-strip.x0)*r.scale), int((strip.y1-strip.y0)*r.scale)
	r.ink = g.ink(strip, r.w, r.h)
	return r
}

// cell is the character that stands about a middle (millimetres), and its width in pixels; 0 where
// none is.
func (r inkRow) cell(middle float64) ([]float32, int) {
	from, to := valley(r.ink, r.w, r.h, (middle-r.x0)*r.scale, r.pitch*r.scale)
	return columns(r.ink, r.w, r.h, from, to)
}

// disputed finds, by index, other: the characters that stand in known texts where another was read;
// and gone: those that stand in one before it and were not read. A text that is known as it was read
// is not disputed.
func disputed(chars []char, known func(string) []string) (other, gone map[int][]rune) {
	text := make([]rune, len(chars))
	for i, c := range chars {
		text[i] = c.r
	}
	other, gone = map[int][]rune{}, map[int][]rune{}
	add := func(to map[int][]rune, i int, r rune) {
		if !slices.Contains(to[i], r) {
			to[i] = append(to[i], r)
		}
	}
	for _, k := range known(string(text)) {
		if k == string(text) {
			return nil, nil
		}
		switch r := []rune(k); {
		case len(r) == len(text)+1:
			if i := lostOne(text, r); i > 0 {
				add(gone, i, r[i])
			}
		case len(r) == len(text) && differing(r, text) <= 2:
			for i := range r {
				if r[i] != text[i] {
					add(other, i, r[i])
				}
			}
		}
	}
	return other, gone
}

// knownLead is by how much a character of a known text may look less alike than the best for it to
// be taken. Our choice: 县 is as often misread as 具 as the pictures of both differ.
const knownLead = 0.02

// prefer takes the most alike of the characters that known texts have, unless what was read,
// or was found beside them, looks more alike by more than knownLead.
func prefer(list []alikeness, read rune, known []rune, found rune, gap float64) (rune, float64) {
	best := alikeness{score: -1}
	rest := -1.0
	for _, a := range list {
		switch {
		case slices.Contains(known, a.r):
			if a.score > best.score {
				best = a
			}
		case a.r == read || a.r == found:
			rest = max(rest, a.score)
		}
	}
	if best.score > leastAlike && best.score > rest-knownLead {
		return best.r, best.score - rest + knownLead
	}
	return found, gap
}

// slot is where a row has a weak character, or one that was not seen.
type slot struct {
	at     float64 // its middle, millimetres
	before int     // the character's index, or before which it is missing
	char   *char   // nil where it was not seen
}

// mostLost is how many characters side by side may be missing for them to be looked for.
// Our choice: 傈僳 are two.
const mostLost = 2

// between are the places of characters that were not seen between two middles, for the
// character before which they stand.
func between(from, to, pitch float64, before int) []slot {
	n := math.Round((to-from)/pitch) - 1
	if n < 1 || n > mostLost || math.Abs((to-from)/pitch-n-1) > 0.42 {
		return nil
	}
	var list []slot
	for i := 1.0; i <= n; i++ {
		list = append(list, slot{from + (to-from)*i/(n+1), before, nil})
	}
	return list
}

// firstInk is the column where a row's ink begins, from a column on: a run of it, no speck.
func firstInk(ink []float32, w, h, from int) int {
	for x := max(0, from); x+1 < w; x++ {
		if inked(ink, w, h, x) && inked(ink, w, h, x+1) {
			return x
		}
	}
	return w
}

// inked tells whether a column holds part of a stroke.
func inked(ink []float32, w, h, x int) bool {
	sum := float32(0)
	for y := h / 8; y < h-h/8; y++ {
		if v := ink[y*w+x]; v > 0.35 {
			sum += v
		}
	}
	return sum > 1.2
}

// leastFilled is the share of ink in a place from which a character must stand there.
// Our choice: the thinnest Han characters cover about a tenth.
const leastFilled = 0.08

func filled(ink []float32) float64 {
	sum := 0.0
	for _, v := range ink {
		if v > 0.35 {
			sum += float64(v)
		}
	}
	return sum / float64(max(1, len(ink)))
}

// mostWeak is how many characters of a row may be weak for it to be worth comparing
// them: where more are, the picture is too poor for glyphs too. Our choice.
const mostWeak = 4

// valley finds a character's columns near a middle: the window of one pitch whose
// borders hold the least ink.
func valley(ink []float32, w, h int, mid, pitch float64) (from, to int) {
	column := func(x int) float64 {
		sum := 0.0
		if x >= 0 && x < w {
			for y := range h {
				sum += float64(ink[y*w+x])
			}
		}
		return sum
	}
	best := math.Inf(1)
	at := mid
	for d := -0.3 * pitch; d <= 0.3*pitch; d++ {
		a, b := int(mid+d-pitch/2), int(mid+d+pitch/2)
		if cost := column(a) + column(a-1) + column(b) + column(b+1) + math.Abs(d)*0.12; cost < best {
			best, at = cost, mid+d
		}
	}
	return max(0, int(at-pitch/2)), min(w, int(at+pitch/2)+1)
}
