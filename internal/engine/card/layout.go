package card

import (
	"math"
	"strings"
	"unicode"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// The document's size, ISO/IEC 7810 ID-1, in millimetres. All positions below are
// millimetres from its top left corner.
const (
	cardWidth  = 85.6
	cardHeight = 54
)

// label is a text that is printed on every document of a side: the middles of its first
// and last character, and of its row.
type label struct {
	text        string
	first, last float64
	y           float64
}

// x is the middle of the label's character i.
func (l label) x(i int) float64 {
	n := len([]rune(l.text))
	if n == 1 {
		return l.first
	}
	return l.first + (l.last-l.first)*float64(i)/float64(n-1)
}

// face is one printed side.
type face struct {
	side   ekyc.CardSide
	permit bool
	labels []label
	digits *label // a row of digits at a fixed pitch; its text holds one rune a digit
	dates  *label // likewise two dates
	// rows are places where a line of text begins: they steady a document whose labels
	// are too pale to be read.
	rows []ekyc.Point
}

// The layout of both sides, after GA 461 (machine-readable resident identity cards) and
// the residence permits' like; measured on synthetic cards that were drawn in it.
var (
	front = face{side: ekyc.CardFront, labels: []label{
		{text: "姓名", first: 7.5, last: 10.8, y: 9.8},
		{text: "性别", first: 7.5, last: 10.6, y: 16.7},
		{text: "民族", first: 25.8, last: 29.4, y: 16.6},
		{text: "出生", first: 7.4, last: 10.7, y: 23.2},
		{text: "年", first: 25.9, y: 23.2},
		{text: "月", first: 33.9, y: 23.2},
		{text: "日", first: 41.1, y: 23.2},
		{text: "住址", first: 7.5, last: 10.9, y: 29.9},
		{text: "公民身份号码", first: 7.6, last: 21.6, y: 48.0},
	}, digits: &label{text: "000000000000000000", first: 31.0, last: 75.1, y: 47.7}, rows: []ekyc.Point{
		{X: 6, Y: 9.8},
		{X: 6, Y: 16.7},
		{X: 6, Y: 23.2},
		{X: 6, Y: 29.9},
		{X: 6, Y: 48},
		{X: 24.4, Y: 16.6},
		{X: 15.4, Y: 9.8},
		{X: 15.2, Y: 23.2},
		{X: 15.5, Y: 29.9},
		{X: 15.7, Y: 34.5},
		{X: 15.7, Y: 39.2},
	}}
	back = face{side: ekyc.CardBack, labels: []label{
		{text: "中华人民共和国", first: 28.3, last: 66.2, y: 10.3},
		{text: "居民身份证", first: 27.2, last: 68.3, y: 19.2},
		{text: "签发机关", first: 21.8, last: 30.5, y: 40.5},
		{text: "有效期限", first: 21.9, last: 30.5, y: 47.8},
	}, dates: &label{text: "0000.00.00-0000.00.00", first: 35.3, last: 64.4, y: 47.9}}
	permitBack = face{side: ekyc.CardBack, permit: true, labels: []label{
		{text: "中华人民共和国", first: 28.4, last: 66.2, y: 10.3},
		{text: "台湾居民居住证", first: 27.0, last: 72.7, y: 19.2},
		{text: "港澳居民居住证", first: 27.0, last: 72.7, y: 19.2},
		{text: "签发机关", first: 21.8, last: 30.6, y: 31.7},
		{text: "有效期限", first: 21.9, last: 30.5, y: 37.7},
		{text: "通行证号码", first: 21.8, last: 33.5, y: 43.8},
		{text: "签发次数", first: 63.4, last: 71.8, y: 43.7},
	}, dates: &label{text: "0000.00.00-0000.00.00", first: 35.3, last: 64.4, y: 37.7}}
	faces = []*face{&front, &back, &permitBack}
)

// match is a character in the image that is taken for a character of a face.
type match struct {
	at   ekyc.Point // in the image
	is   ekyc.Point // millimetres
	line int
	w    float64
}

// placed is a face found in the image.
type placed struct {
	face    *face
	to      vision.Homography // millimetres to the image
	back    vision.Homography
	matches []match
	support float64 // label characters that agree
	certain bool    // labels enough that no other text has them in these places
}

// corners are the document's in the image.
func (p *placed) corners() (c [4]ekyc.Point) {
	for i, q := range [4]ekyc.Point{{}, {X: cardWidth}, {X: cardWidth, Y: cardHeight}, {Y: cardHeight}} {
		c[i] = p.to.Apply(q)
	}
	return c
}

// width is the document's in pixels of the image.
func (p *placed) width() float64 {
	c := p.corners()
	return (dist(c[0], c[1]) + dist(c[3], c[2])) / 2
}

// strip is a rectangle of the document as a quad of the image.
func (p *placed) strip(x0, y0, x1, y1 float64) quad {
	return quad{
		p.to.Apply(ekyc.Point{X: x0, Y: y0}), p.to.Apply(ekyc.Point{X: x1, Y: y0}),
		p.to.Apply(ekyc.Point{X: x1, Y: y1}), p.to.Apply(ekyc.Point{X: x0, Y: y1}),
	}
}

// span is a quad's bounds in millimetres.
type span struct{ x0, y0, x1, y1 float64 }

func (s span) midY() float64 { return (s.y0 + s.y1) / 2 }

func (p *placed) span(q quad) span {
	var c [4]ekyc.Point
	for i := range q {
		c[i] = p.back.Apply(q[i])
	}
	return span{(c[0].X + c[3].X) / 2, (c[0].Y + c[1].Y) / 2, (c[1].X + c[2].X) / 2, (c[2].Y + c[3].Y) / 2}
}

// middle is the middle of a line's character in the image.
func (l *line) middle(c char) ekyc.Point { return l.quad.at(c.at, 0.5) }

// sighting is a label seen in a line: characters of the line by the label's index.
type sighting struct {
	label label
	line  int
	at    []ekyc.Point
	index []int // in the label
	valid bool  // it is a number whose check character holds
}

// sightings finds a face's labels in the lines.
func (f *face) sightings(lines []*line) []sighting {
	var list []sighting
	for i, l := range lines {
		for _, lab := range f.labels {
			list = append(list, l.sight(lab, i)...)
		}
		if f.digits != nil {
			if s, ok := l.sightDigits(*f.digits, i); ok {
				list = append(list, s)
			}
		}
		if f.dates != nil {
			if s, ok := l.sightDates(*f.dates, i); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// sight finds a label in a line: all of a short one's characters, or most of a longer
// one's, in order and near each other.
func (l *line) sight(lab label, i int) []sighting {
	text := []rune(lab.text)
	var list []sighting
	for start := range l.chars {
		s := sighting{label: lab, line: i}
		j := start
		for k, c := range text {
			for d := j; d < min(j+2, len(l.chars)); d++ {
				if l.chars[d].r == c {
					s.at = append(s.at, l.middle(l.chars[d]))
					s.index = append(s.index, k)
					j = d + 1
					break
				}
			}
			if k == 0 && len(s.index) == 0 && len(text) <= 2 {
				break
			}
		}
		need := len(text)
		if need > 2 {
			need = (need*2 + 2) / 3
		}
		if len(s.index) >= need {
			list = append(list, s)
			break
		}
	}
	return list
}

// digitsLeast is how many digits a line needs to be taken for the number. Our choice.
const digitsLeast = 15

func (l *line) sightDigits(lab label, i int) (sighting, bool) {
	s := sighting{label: lab, line: i}
	var run []char
	for _, c := range l.chars {
		if c.r >= '0' && c.r <= '9' || c.r == 'X' || c.r == 'x' {
			run = append(run, c)
		} else if len(run) < digitsLeast {
			run = run[:0]
		}
	}
	if len(run) < digitsLeast || len(run) > 19 {
		return s, false
	}
	var text strings.Builder
	for _, c := range run {
		text.WriteRune(unicode.ToUpper(c.r))
	}
	_, err := cnid.ParseNumber(text.String())
	s.valid = err == nil
	// With a digit lost the middle ones are uncertain; the ends are where they are.
	for k, c := range run {
		switch {
		case len(run) == 18:
			s.index = append(s.index, k)
		case k == 0:
			s.index = append(s.index, 0)
		case k == len(run)-1:
			s.index = append(s.index, 17)
		default:
			continue
		}
		s.at = append(s.at, l.middle(c))
	}
	return s, true
}

// sightDates takes a line with two dates: its first and last digit.
func (l *line) sightDates(lab label, i int) (sighting, bool) {
	s := sighting{label: lab, line: i}
	first, last, n := -1, -1, 0
	for k, c := range l.chars {
		if c.r >= '0' && c.r <= '9' {
			if first < 0 {
				first = k
			}
			last = k
			n++
		} else if first >= 0 && !isDot(c.r) && !isDash(c.r) {
			return s, false
		}
	}
	if n != 16 || last-first < 16 {
		return s, false
	}
	s.at = []ekyc.Point{l.middle(l.chars[first]), l.middle(l.chars[last])}
	s.index = []int{0, 20}
	return s, true
}

func isDot(r rune) bool {
	return r == '.' || r == '·' || r == '。' || r == ',' || r == '，' || r == ':'
}
func isDash(r rune) bool { return r == '-' || r == '—' || r == '一' || r == '~' || r == '–' }

// points are the sighting's pairs.
func (s sighting) points() (mm, px []ekyc.Point) {
	for k, i := range s.index {
		mm = append(mm, ekyc.Point{X: s.label.x(i), Y: s.label.y})
		px = append(px, s.at[k])
	}
	return mm, px
}

// place finds the face that the lines show best; nil where none is.
func place(lines []*line) *placed {
	var best *placed
	for _, f := range faces {
		all := f.sightings(lines)
		for _, seed := range all {
			mm, px := seed.points()
			if len(px) < 2 || dist(mm[0], mm[len(mm)-1]) < 3 {
				continue
			}
			m, ok := vision.Similarity(mm, px)
			if !ok {
				continue
			}
			p := f.refine(m.Perspective(), all, lines)
			if p != nil && (best == nil || p.support > best.support) {
				best = p
			}
		}
	}
	return best
}

// leastSupport is how many label characters must agree on where a document lies. Our
// choice: two labels' worth with one of them long, or a whole number and a label.
const leastSupport = 5

// refine improves a first guess by the sightings that agree with it.
func (f *face) refine(h vision.Homography, all []sighting, lines []*line) *placed {
	p := &placed{face: f, to: h}
	// Tolerances in millimetres, wide for what a guess from one short label predicts.
	for round, tolerance := range []float64{9, 6, 4, 3, 2.5} {
		var ok bool
		if p.back, ok = p.to.Invert(); !ok {
			return nil
		}
		p.collect(all, tolerance)
		if round >= 1 && p.support < enoughSupport {
			p.collectRows(lines, min(tolerance, 3))
		}
		var mm, px []ekyc.Point
		var w []float64
		for _, m := range p.matches {
			mm, px, w = append(mm, m.is), append(px, m.at), append(w, m.w)
		}
		if len(mm) < 2 {
			return nil
		}
		next, ok := fit(mm, px, w, round)
		if !ok || !sane(next) {
			break
		}
		p.to = next
	}
	var ok bool
	if p.back, ok = p.to.Invert(); !ok || !sane(p.to) {
		return nil
	}
	p.collect(all, 2.5)
	if p.support < enoughSupport {
		p.collectRows(lines, 2)
	}
	if p.support < leastSupport || !p.certain {
		return nil
	}
	return p
}

// collect takes, of each label, the sighting nearest to where it should be.
func (p *placed) collect(all []sighting, tolerance float64) {
	p.matches, p.support = p.matches[:0], 0
	labels, long, valid := 0, false, false
	type best struct {
		far float64
		s   *sighting
	}
	chosen := map[label]best{}
	for i := range all {
		s := &all[i]
		mm, px := s.points()
		far := 0.0
		for k := range mm {
			far += dist(p.back.Apply(px[k]), mm[k]) / float64(len(mm))
		}
		if b, ok := chosen[s.label]; far <= tolerance && (!ok || far < b.far) {
			chosen[s.label] = best{far, s}
		}
	}
	for i := range all { // in the order of sightings, so that results do not vary
		s := &all[i]
		if b := chosen[s.label]; b.s != s {
			continue
		}
		labels++
		long, valid = long || len(s.index) >= 4, valid || s.valid
		mm, px := s.points()
		weight := 1.0
		if s.label.text[0] == '0' {
			if weight = 0.5; len(mm) == 2 {
				weight = 2
			}
			if p.support += 3; s.valid {
				p.support += 2
			}
		} else {
			p.support += float64(len(mm))
		}
		for k := range mm {
			p.matches = append(p.matches, match{px[k], mm[k], s.line, weight})
		}
	}
	// A valid number is enough; else three labels, or two of which one is long.
	p.certain = valid || labels >= 3 || labels >= 2 && long
}

// enoughSupport is where labels alone say where a document lies. Our choice.
const enoughSupport = 14

// collectRows adds the beginnings of lines that stand where a row begins.
func (p *placed) collectRows(lines []*line, tolerance float64) {
	for i, l := range lines {
		sp := p.span(l.quad)
		if sp.y1-sp.y0 > 7 || sp.y1-sp.y0 < 1.5 {
			continue
		}
		begin := ekyc.Point{X: sp.x0, Y: sp.midY()}
		for _, row := range p.face.rows {
			if dist(begin, row) > tolerance {
				continue
			}
			p.matches = append(p.matches, match{l.quad.at(0, 0.5), row, i, 0.5})
			p.support += 0.75
			break
		}
	}
}

// fit chooses the map that the points can carry.
func fit(mm, px []ekyc.Point, w []float64, round int) (vision.Homography, bool) {
	y0, y1 := math.Inf(1), math.Inf(-1)
	rows := map[float64]bool{}
	for _, p := range mm {
		y0, y1 = min(y0, p.Y), max(y1, p.Y)
		rows[math.Round(p.Y)] = true
	}
	switch {
	case len(rows) >= 3 && y1-y0 > 15 && round >= 2:
		return vision.FitHomography(mm, px, w)
	case len(rows) >= 2 && y1-y0 > 5 && len(mm) >= 4:
		m, ok := vision.FitAffine(mm, px, w)
		return m.Perspective(), ok
	default:
		m, ok := vision.Similarity(mm, px)
		return m.Perspective(), ok
	}
}

// sane tells whether a document may look like this: convex, its opposite sides alike,
// not mirrored.
func sane(h vision.Homography) bool {
	p := placed{to: h}
	c := p.corners()
	for i := range c {
		a, b, d := c[i], c[(i+1)%4], c[(i+2)%4]
		if !((b.X-a.X)*(d.Y-b.Y)-(b.Y-a.Y)*(d.X-b.X) > 0) {
			return false
		}
	}
	top, bottom, left, right := dist(c[0], c[1]), dist(c[3], c[2]), dist(c[0], c[3]), dist(c[1], c[2])
	ratio := (top + bottom) / (left + right) / (cardWidth / cardHeight)
	return ratio > 0.5 && ratio < 2 && top < 2*bottom && bottom < 2*top && left < 2*right && right < 2*left
}
