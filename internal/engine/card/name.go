package card

import (
	"math"
	"slices"
)

// nameScale is the scale at which a name's glyphs are compared, pixels a millimetre:
// its characters are then about em pixels large.
const nameScale = 9.2

// The pitch of a name's characters in millimetres, and their size. Measured on cards
// drawn in the true layout.
const (
	pitchLeast, pitchMost = 3.25, 3.95
	nameEm                = 3.5
)

// cell is one character's place in a name.
type cell struct {
	x0, x1 float64 // millimetres from the strip's beginning
	char   *char   // what the recogniser read there, or nil
}

// name reads the name: the recogniser's votes, and each character's own look.
func (g *page) name() (word, error) {
	w, shots, err := g.settle(nameZone, cleanName, nil)
	if err != nil {
		return word{}, err
	}
	text, sure, lost := g.glyphName(w, shots, w.at)
	if text != "" && text != w.text {
		w.text, w.share, w.least, w.agree = text, sure, sure, false
	}
	w.doubt = lost || len([]rune(w.text)) < 2
	return w, nil
}

// glyphName compares each character of a name with drawn glyphs. It returns the text
// with characters put right or in, and how sure that is; "" where nothing was done. lost
// tells that there is ink of a character that nothing was made of.
func (g *page) glyphName(w word, shots []shot, at span) (text string, sure float64, lost bool) {
	strip := at
	strip.y0, strip.y1 = at.y0-0.3, at.y1+0.3
	strip.x1 = min(nameZone.x1, at.x1+1.6)
	px := func(mm float64) int { return int(math.Round(mm * nameScale)) }
	wide, h := px(strip.x1-strip.x0), px(strip.y1-strip.y0)
	ink := g.ink(strip, wide, h)
	cells := cut(ink, wide, h)
	if len(cells) == 0 {
		return "", 0, lost
	}
	// The look that read best says what stands where.
	var best *shot
	for i := range shots {
		if p := shots[i].part(); cleanName(p.text()) == w.text && shots[i].from == 0 {
			if best == nil || p.least() > best.part().least() {
				best = &shots[i]
			}
		}
	}
	if best == nil {
		return "", 0, lost
	}
	out := []rune{}
	changed := false
	sure = 1
	read := best.part()
	used := make([]bool, len(read.chars))
	sx := func(c char) float64 { // millimetres from the strip's beginning
		q := best.l.quad.at(c.at, 0.5)
		return g.back.Apply(q).X - strip.x0
	}
	for i := range cells {
		c := &cells[i]
		mid := (c.x0 + c.x1) / 2
		near := -1
		for j, ch := range read.chars {
			if d := math.Abs(sx(ch) - mid); !used[j] && isHan(ch.r) && d < 0.62*(c.x1-c.x0) && (near < 0 || d < math.Abs(sx(read.chars[near])-mid)) {
				near = j
			}
		}
		if near >= 0 {
			used[near] = true
			c.char = &read.chars[near]
		}
	}
	for j, ch := range read.chars {
		if isHan(ch.r) && !used[j] {
			return "", 0, false // the cells are wrong
		}
	}
	kin := g.kin()
	mass := inkMasses(ink, wide, h, cells)
	full := slices.Max(mass)
	for i, c := range cells {
		if c.char == nil && mass[i] < leastMass*full {
			continue // a shadow, not a character
		}
		patch, cw := columns(ink, wide, h, px(c.x0-0.25), px(c.x1+0.25))
		if cw == 0 {
			continue
		}
		if c.char == nil {
			trim(patch, cw, h)
		}
		if !kin {
			if c.char != nil {
				out = append(out, c.char.r)
			} else {
				lost = true
			}
			continue
		}
		var also []rune
		p := 0.0
		if c.char != nil {
			also = append(also, c.char.r)
			p = c.char.p
			n := g.r.keys.classes()
			for _, k := range top(best.l.probs[c.char.from*n:(c.char.from+1)*n], 6) {
				if r := g.r.keys.runes[k]; isHan(r) && !slices.Contains(also, r) {
					also = append(also, r)
				}
			}
		}
		if c.char != nil && p > 0.97 {
			own := g.r.glyphs.compare(patch, cw, h, nameEm*nameScale, also[:1])
			if len(own) == 0 || own[0].score > ownAlike {
				out = append(out, c.char.r)
				sure = min(sure, p)
				continue
			}
		}
		list := g.r.glyphs.search(patch, cw, h, nameEm*nameScale, also, p < unseenAtMost)
		r, gap := pick(list, g.r.glyphs, c.char, 0)
		if c.char == nil && gap < missingGap && (i == 0 || i == len(cells)-1) && mass[i] < guessMass*full {
			r = 0 // what begins or ends a row so palely may be a shadow
		}
		switch {
		case r != 0:
			out = append(out, r)
			changed = true
			sure = min(sure, glyphSure(gap))
			lost = lost || c.char == nil && gap < missingGap
		case c.char == nil:
			lost = true
		default:
			out = append(out, c.char.r)
			sure = min(sure, max(p, glyphSure(gap)))
		}
	}
	if !changed {
		return "", 0, lost
	}
	return string(out), sure, lost
}

// leastMass is the share of the fullest cell's ink that a cell without a recognised
// character must hold. Our choice: thin characters hold a third.
const leastMass = 0.3

// guessMass is the share under which nothing is guessed for the first cell and the last. Our choice.
const guessMass = 0.6

func inkMasses(ink []float32, w, h int, cells []cell) []float64 {
	list := make([]float64, len(cells))
	for i, c := range cells {
		for x := max(0, int(c.x0*nameScale)); x < min(w, int(c.x1*nameScale)); x++ {
			for y := h / 8; y < h-h/8; y++ {
				if v := ink[y*w+x]; v > 0.3 {
					list[i] += float64(v)
				}
			}
		}
	}
	return list
}

// ownAlike is the likeness from which a surely read character is left as it is.
const ownAlike = 0.93

// pick decides between the character that was read and those that look more alike: 0
// keeps what was read. beyond is what is taken besides from characters that GB 2312 lacks. The gap is
// by how much the winner leads; one that was not seen and leads by less than missingGap is a guess.
func pick(list []alikeness, g *glyphs, read *char, beyond float64) (rune, float64) {
	own := 0.0
	best, second := alikeness{score: -1}, -1.0
	for _, a := range list {
		if read != nil && a.r == read.r {
			own = a.score
			continue
		}
		s := a.score - g.cost[a.r]
		if g.cost[a.r] > 0 {
			s -= beyond
		}
		if read == nil && g.index[a.r] > 0 {
			s -= seenCost
		}
		if s > best.score {
			best, second = alikeness{a.r, s}, best.score
		} else if s > second {
			second = s
		}
	}
	switch {
	case read == nil && best.score > missingAlike && g.cost[best.r] < otherCost:
		return best.r, best.score - second
	case read != nil && best.score > own+g.lead(best.r, read.p) && best.score > leastAlike:
		return best.r, best.score - max(own, second)
	}
	return 0, own - best.score
}

// The least likeness of a character in the place of another, and of one that the
// recogniser did not see at all. Measured on SYNTHETIC names: right characters had more than .9 on
// sharp and more than .7 on blurred pictures; .67 to .93 in a type that is not the glyphs' own.
const (
	leastAlike   = 0.6
	missingAlike = 0.66
	missingGap   = 0.025 // by which one that was not seen leads the next, or it is a guess
)

// seenCost is taken from the likeness of a character that the recogniser has a class for, where it
// saw none: it would have. Our choice.
const seenCost = 0.03

// lead is by how much another character must look more alike than the one that was read
// with a probability. One that the recogniser has no class for needs less: that is why another
// was read, and with little certainty.
func (g *glyphs) lead(other rune, p float64) float64 {
	strange := g.index[other] == 0
	switch {
	case p > 0.98:
		return 0.12
	case p > 0.9:
		return 0.07
	case p > 0.7 && strange:
		return 0.02
	case p > 0.7:
		return 0.04
	case strange:
		return 0.01
	}
	return 0.025
}

// glyphSure is how sure a choice by likeness is that leads by a gap.
func glyphSure(gap float64) float64 { return max(0.05, min(0.97, 0.6+6*gap)) }

// cut finds the characters of a name in its ink: cells of one pitch whose borders hold
// the least ink.
func cut(ink []float32, w, h int) []cell {
	columns := make([]float64, w)
	total := 0.0
	for x := range w {
		for y := h / 10; y < h-h/10; y++ {
			if v := ink[y*w+x]; v > 0.3 {
				columns[x] += float64(v)
			}
		}
		total += columns[x]
	}
	if total < 20 {
		return nil
	}
	// Where ink begins and ends: runs of it, not specks, and not the label's second script,
	// whose end may stand above the first character.
	first, last := -1, -1
	for x := range w {
		low := 0.0
		for y := h / 4; y < h-h/10; y++ {
			if v := ink[y*w+x]; v > 0.3 {
				low += float64(v)
			}
		}
		if low > 1.2 {
			if first < 0 {
				first = x
			}
			last = x
		}
	}
	if first < 0 || float64(last-first) < 1.2*nameScale {
		return nil
	}
	sum := make([]float64, w+1)
	for x := range w {
		sum[x+1] = sum[x] + columns[x]
	}
	at := func(x float64) float64 { // ink within half a millimetre of a border
		a, b := int(math.Round(x-0.22*nameScale)), int(math.Round(x+0.22*nameScale))
		return sum[min(max(b, 0), w)] - sum[min(max(a, 0), w)]
	}
	type fit struct {
		cost, x0, pitch float64
		n               int
	}
	best := fit{cost: math.Inf(1)}
	for pitch := pitchLeast; pitch <= pitchMost; pitch += 0.05 {
		step := pitch * nameScale
		for offset := -0.55 * nameScale; offset <= 0.35*nameScale; offset++ {
			x0 := float64(first) + offset
			n := int(math.Ceil((float64(last) - x0 - 0.3*step) / step))
			if n < 1 || n > 12 {
				continue
			}
			cost := 0.0
			for i := 1; i < n; i++ {
				cost += at(x0 + float64(i)*step)
			}
			cost /= float64(max(1, n-1))
			// Ink outside the cells, and cells that reach beyond it.
			end := x0 + float64(n)*step
			cost += math.Abs(end-float64(last)-0.25*nameScale)*0.15 + math.Abs(offset+0.2*nameScale)*0.15
			cost += math.Abs(pitch-3.62) * 3
			if cost < best.cost {
				best = fit{cost, x0, step, n}
			}
		}
	}
	if math.IsInf(best.cost, 1) {
		return nil
	}
	var cells []cell
	for i := range best.n {
		x0 := (best.x0 + float64(i)*best.pitch) / nameScale
		cells = append(cells, cell{x0: x0, x1: x0 + best.pitch/nameScale})
	}
	return cells
}
