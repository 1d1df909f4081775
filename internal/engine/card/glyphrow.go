package card

import (
	"math"
	"slices"

	"shiren/internal/engine/vision"
)

// weak is the probability under which a character of a row is compared with glyphs.
const weak = 0.9

// rowPitch is the distance of Han characters in a row, millimetres, where too few stand
// side by side to tell. Measured on cards drawn in the true layout.
const rowPitch = 2.93

// repair compares a row's weak Han characters, and gaps that a character was lost in,
// with drawn glyphs. It changes the word's text and says how sure it is then. clean is
// what turned the row's text into the word's.
func (g *page) repair(w *word, shots []shot, clean func(string) string) error {
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
	x := make([]float64, len(chars)) // millimetres
	for i, c := range chars {
		x[i] = g.back.Apply(best.l.quad.at(c.at, 0.5)).X
	}
	var steps []float64
	for i := 1; i < len(chars); i++ {
		if isHan(chars[i].r) && isHan(chars[i-1].r) {
			steps = append(steps, x[i]-x[i-1])
		}
	}
	if len(chars) < 2 {
		return nil
	}
	pitch := rowPitch
	if slices.Sort(steps); len(steps) >= 4 {
		pitch = steps[len(steps)/2]
	}
	if pitch < 2.2 || pitch > 4 {
		return nil
	}
	type place struct {
		at     float64
		before int // the character's index, or before which it is missing
		char   *char
	}
	var places []place
	for i := range chars {
		if i > 0 && isHan(chars[i].r) && isHan(chars[i-1].r) && x[i]-x[i-1] > 1.6*pitch && x[i]-x[i-1] < 2.5*pitch {
			places = append(places, place{(x[i] + x[i-1]) / 2, i, nil})
		}
		if isHan(chars[i].r) && chars[i].p < weak {
			places = append(places, place{x[i], i, &chars[i]})
		}
	}
	// A row may end in, or begin with, one that was not seen.
	if n := len(chars); isHan(chars[n-1].r) && w.at.x1-x[n-1] > 1.25*pitch {
		places = append(places, place{x[n-1] + pitch, n, nil})
	}
	if len(places) == 0 || len(places) > mostWeak {
		return nil
	}
	scale := em * 0.97 / pitch
	strip := w.at
	strip.x0, strip.x1 = strip.x0-1, strip.x1+1
	im := vision.NewImage(int((strip.x1-strip.x0)*scale), int((strip.y1-strip.y0)*scale))
	defer im.Release()
	g.im.WarpPerspective(im, g.strip(strip.x0, strip.y0, strip.x1, strip.y1).from(im.W, im.H))
	ink := inkOf(im)
	text := make([]rune, 0, len(chars)+2)
	for _, c := range chars {
		text = append(text, c.r)
	}
	sure, added := 1.0, 0
	for _, p := range places {
		from, to := valley(ink, im.W, im.H, (p.at-strip.x0)*scale, pitch*scale)
		cw := to - from
		if cw < 12 {
			continue
		}
		patch := make([]float32, cw*im.H)
		for y := range im.H {
			copy(patch[y*cw:], ink[y*im.W+from:y*im.W+to])
		}
		var also []rune
		if p.char != nil {
			also = append(also, p.char.r)
		}
		list := g.r.glyphs.search(patch, cw, im.H, em*0.97, also)
		r, gap := pick(list, g.r.glyphs, p.char)
		switch {
		case r == 0 && p.char == nil:
			// Something is printed there that nothing was made of.
			w.doubt = w.doubt || filled(patch) > leastFilled
		case r == 0:
			sure = min(sure, max(p.char.p, glyphSure(gap)))
		case p.char == nil:
			text = slices.Insert(text, p.before+added, r)
			added++
			sure = min(sure, glyphSure(gap))
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
