package card

import (
	"cmp"
	"math"
	"slices"

	"shiren/internal/engine/vision"
)

// shot is one look at a field's value: a recognised line and the steps of it that
// belong to the value.
type shot struct {
	l        *line
	from, to int
}

// text is what the shot reads by itself.
func (s shot) text() string { return s.part().text() }

// part is the shot's own characters.
func (s shot) part() *line {
	l := &line{}
	for _, c := range s.l.chars {
		if c.from >= s.from && c.from < s.to {
			l.chars = append(l.chars, c)
		}
	}
	return l
}

// page is a placed document being read.
type page struct {
	*placed
	r     *Reader
	im    *vision.Image
	lines []*line
	spans []span  // of lines
	alike float64 // see kin; 0 until somebody asks
}

func (r *Reader) page(im *vision.Image, p *placed, lines []*line) *page {
	g := &page{placed: p, r: r, im: im, lines: lines}
	for _, l := range lines {
		g.spans = append(g.spans, p.span(l.quad))
	}
	return g
}

// zone is where a value stands, millimetres: from where it may begin to where it must
// end, and the middle of its row.
type zone struct{ x0, x1, y float64 }

// half is half the height of a row without a box of its own: characters are about 3 mm
// high, and the recogniser wants a margin.
const half = 2.1

// rowAt finds the boxes of text in a zone, and what they say about the row: its upper
// and lower edge at the zone's beginning and end.
func (g *page) rowAt(z zone) (inside []int, x1, y0, y1 float64) {
	x1 = z.x0
	weight, top, bottom := 0.0, 0.0, 0.0
	var found []int
	ours := false
	for i, s := range g.spans {
		over := min(s.x1, z.x1) - max(s.x0, z.x0)
		if math.Abs(s.midY()-z.y) > 2.3 || over < min(1.2, (z.x1-z.x0)/2) || !g.row(i) {
			continue
		}
		found = append(found, i)
		ours = ours || !g.foreign(i)
	}
	for _, i := range found {
		if ours && g.foreign(i) {
			continue
		}
		s := g.spans[i]
		over := min(s.x1, z.x1) - max(s.x0, z.x0)
		inside = append(inside, i)
		weight, top, bottom = weight+over, top+over*s.y0, bottom+over*s.y1
		x1 = max(x1, min(s.x1, z.x1))
	}
	if weight == 0 {
		return nil, z.x1, z.y - half, z.y + half
	}
	y0, y1 = top/weight, bottom/weight
	if y1-y0 < 3 {
		m := (y0 + y1) / 2
		y0, y1 = m-1.5, m+1.5
	}
	if y1-y0 > 5.4 {
		m := (y0 + y1) / 2
		y0, y1 = m-2.7, m+2.7
	}
	return inside, x1, y0, y1
}

// foreignMean is the mean probability under which a line is in a script that the recogniser
// does not read. Measured on bilingual cards: second scripts had at most .63, Han rows at
// least .79 on pictures that are not hard.
const foreignMean = 0.65

// foreign tells whether a line of the first pass is none of ours: the rows of a second script
// stand close above those of the first.
func (g *page) foreign(i int) bool { return g.lines[i].mean() < foreignMean }

// row tells whether a line has the height of a row of text, millimetres; one that reads well may have
// grown into the row of a second script above.
func (g *page) row(i int) bool {
	h := g.spans[i].y1 - g.spans[i].y0
	return h >= 1.5 && (h <= 7.5 || h <= 9 && !g.foreign(i) && len(g.lines[i].chars) >= 4)
}

// shots are the looks at a zone: the lines of the first pass that stand in it, and the
// zone itself read again from the original pixels.
func (g *page) shots(z zone) ([]shot, span, error) {
	inside, x1, y0, y1 := g.rowAt(z)
	var list []shot
	for _, i := range inside {
		if s, ok := g.cut(i, z); ok && len(inside) == 1 {
			list = append(list, s)
		}
	}
	end := z.x1
	if len(inside) > 0 {
		end = min(z.x1, x1+0.4)
	}
	sp := span{z.x0, y0, end, y1}
	s, err := g.again(sp)
	if err != nil {
		return nil, sp, err
	}
	return append(list, s), sp, nil
}

// again reads a rectangle of the document from the original pixels.
func (g *page) again(sp span) (shot, error) {
	l, err := g.r.read(g.im, g.strip(sp.x0, sp.y0, sp.x1, sp.y1))
	if err != nil {
		return shot{}, err
	}
	return shot{l, 0, l.steps}, nil
}

// cut is the part of a first-pass line that lies in a zone.
func (g *page) cut(i int, z zone) (shot, bool) {
	l, s := g.lines[i], g.spans[i]
	if s.x1-s.x0 < 1 || l.steps == 0 {
		return shot{}, false
	}
	step := func(x float64) int { return int(math.Round((x - s.x0) / (s.x1 - s.x0) * float64(l.steps))) }
	from, to := max(0, step(z.x0)), min(l.steps, step(z.x1))
	if from > 0 { // between characters rather than inside of one
		for _, c := range l.chars {
			if c.from < from && c.to > from {
				from = c.to
			}
		}
	}
	if to >= l.steps {
		to = l.all
	}
	return shot{l, from, to}, to-from >= 2
}

// wider are further looks at a rectangle, for values that the first ones do not agree on.
func (g *page) wider(sp span) ([]shot, error) {
	h := sp.y1 - sp.y0
	var list []shot
	for _, d := range []span{
		{sp.x0 - 0.2, sp.y0 + 0.08*h, sp.x1 + 0.3, sp.y1 - 0.06*h},
		{sp.x0 + 0.2, sp.y0 - 0.1*h, sp.x1 + 0.6, sp.y1 + 0.1*h},
	} {
		s, err := g.again(d)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// scored is a text with the sum of its log probabilities over all looks.
type scored struct {
	text  string
	score float64
}

// rank scores texts over all shots, best first. A look that saw nothing in common with
// a text counts against it by at most floor, so that one bad look does not decide.
func (g *page) rank(shots []shot, texts []string) []scored {
	slices.Sort(texts)
	texts = slices.Compact(texts)
	var list []scored
	for _, t := range texts {
		if t == "" {
			continue
		}
		sum := 0.0
		for _, s := range shots {
			sum += max(s.l.score(g.r.keys, s.from, s.to, []rune(t)), floor)
		}
		list = append(list, scored{t, sum})
	}
	slices.SortStableFunc(list, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	return list
}

const floor = -60

// suggestion is what a text that names a known region or authority has ahead of others,
// log probability a look. Our choice: less than one clearly read character weighs.
const suggestion = 2

// vote reads a value from several looks: each look's own text, texts in which the weak
// characters are replaced by the network's next guesses, and what is suggested, all
// scored over all looks. The shares are of the probability of the best text among all.
func (g *page) vote(shots []shot, suggested ...string) (best string, share float64, all []scored) {
	texts := slices.Clone(suggested)
	for _, s := range shots {
		texts = append(texts, g.variants(s)...)
	}
	all = g.rank(shots, texts)
	if len(all) == 0 {
		return "", 0, nil
	}
	for i := range all {
		if slices.Contains(suggested, all[i].text) {
			all[i].score += suggestion * float64(len(shots))
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	return all[0].text, shareOf(all, len(shots)), all
}

// shareOf is the probability of the best of scored texts, were they all there are and
// the looks one piece of evidence: looks at the same pixels are not independent.
func shareOf(all []scored, looks int) float64 {
	sum := 0.0
	for _, s := range all {
		sum += math.Exp((s.score - all[0].score) / float64(max(1, looks)))
	}
	return 1 / sum
}

// variants are a look's own text and those with one weak character replaced.
func (g *page) variants(s shot) []string {
	part := s.part()
	base := []rune(part.text())
	if len(base) == 0 {
		return nil
	}
	list := []string{string(base)}
	n := g.r.keys.classes()
	for i, c := range part.chars {
		if c.p > 0.9 || len(list) > 16 {
			continue
		}
		for _, alt := range top(s.l.probs[c.from*n:(c.from+1)*n], 4) {
			v := slices.Clone(base)
			if alt == 0 {
				v = slices.Delete(v, i, i+1)
			} else {
				v[i] = g.r.keys.runes[alt]
			}
			if v := string(v); v != list[0] {
				list = append(list, v)
			}
		}
	}
	// Characters that the network nearly saw between others.
	for t := s.from; t < min(s.to, s.l.all) && len(list) < 24; t++ {
		row := s.l.probs[t*n : (t+1)*n]
		if row[0] > 0.95 || row[0] < 0.3 {
			continue
		}
		alt := top(row, 2)
		c := alt[0]
		if c == 0 {
			c = alt[1]
		}
		at := 0
		for at < len(part.chars) && part.chars[at].from < t {
			at++
		}
		if at > 0 && part.chars[at-1].to+1 > t || at < len(part.chars) && part.chars[at].from-1 < t+1 {
			continue
		}
		list = append(list, string(slices.Insert(slices.Clone(base), at, g.r.keys.runes[c])))
	}
	return list
}

// top are the likeliest classes.
func top(row []float32, n int) []int {
	var best []int
	for c, p := range row {
		if len(best) == n && p <= row[best[n-1]] {
			continue
		}
		i := len(best)
		for i > 0 && p > row[best[i-1]] {
			i--
		}
		best = slices.Insert(best, i, c)
		if len(best) > n {
			best = best[:n]
		}
	}
	return best
}
