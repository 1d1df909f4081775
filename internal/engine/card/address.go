package card

import (
	"slices"
	"strings"
	"unicode"

	"shiren/internal/cnid"
)

// The address: where it begins and must end, its first row, and the rows' distance.
const (
	addressX0, addressX1 = 14.4, 52.5
	addressY             = 29.9
	addressPitch         = 4.65
	addressRows          = 4
)

// address reads one to four rows and joins them.
func (g *page) address(id cnid.Number) (word, error) {
	rows := g.addressRows()
	total := word{share: 1, least: 1, agree: true}
	var parts []string
	for i, y := range rows {
		z := zone{addressX0, addressX1, y}
		suggest := func(string) []string { return nil }
		if i == 0 {
			suggest = func(t string) []string { return g.r.regions.prefixes(t, id) }
		}
		w, shots, err := g.settle(z, cleanAddress, suggest)
		if err != nil {
			return word{}, err
		}
		if err := g.repair(&w, shots, cleanAddress, suggest); err != nil {
			return word{}, err
		}
		if w.text == "" {
			continue
		}
		parts = append(parts, w.text)
		total.share = min(total.share, w.share)
		total.least = min(total.least, w.least)
		total.agree = total.agree && w.agree
		total.doubt = total.doubt || w.doubt
		if len(parts) == 1 {
			total.at = w.at
		} else {
			total.at.x1, total.at.y1 = max(total.at.x1, w.at.x1), max(total.at.y1, w.at.y1)
		}
	}
	if len(parts) == 0 {
		return word{}, nil
	}
	// The row after the last is looked at where the last one is full: a short last row
	// is easily missed.
	if len(rows) < addressRows && total.at.x1 > 45 {
		y := rows[len(rows)-1] + addressPitch
		s, err := g.again(span{addressX0 + 0.6, y - half, addressX0 + 7, y + half})
		if err != nil {
			return word{}, err
		}
		if t := cleanAddress(s.text()); t != "" && s.part().least() > 0.9 {
			parts = append(parts, t)
		}
	}
	total.text = strings.Join(parts, "")
	return total, nil
}

// addressRows are the middles of the address's rows: where text was found, and where it
// must be between.
func (g *page) addressRows() []float64 {
	var found, others []float64
	for i, s := range g.spans {
		if s.x1 < addressX0+1 || s.x0 > addressX0+12 || s.x0 < 3.5 || !g.row(i) || s.midY() < addressY-2.2 || s.midY() > 44.6 {
			continue
		}
		if g.foreign(i) {
			others = append(others, s.midY())
			continue
		}
		found = append(found, s.midY())
	}
	if len(found) == 0 { // nothing reads well
		found = others
	}
	slices.Sort(found)
	var rows []float64
	for _, y := range found {
		if len(rows) == 0 || y-rows[len(rows)-1] > addressPitch/2 {
			rows = append(rows, y)
		}
	}
	if len(rows) == 0 || rows[0] > addressY+addressPitch/2 {
		rows = slices.Insert(rows, 0, addressY)
	}
	for i := 1; i < len(rows) && len(rows) < addressRows; i++ {
		if rows[i]-rows[i-1] > 1.6*addressPitch {
			rows = slices.Insert(rows, i, (rows[i-1]+rows[i])/2)
		}
	}
	return rows[:min(len(rows), addressRows)]
}

// cleanAddress keeps what an address consists of.
func cleanAddress(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Han, r) && r != '一' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z':
			return r
		case r >= 'a' && r <= 'z':
			return r
		case r == '一':
			return r
		case r == '（' || r == '(':
			return '（'
		case r == '）' || r == ')':
			return '）'
		case r == '#' || r == '-' || r == '·':
			return r
		case r == '—' || r == '–' || r == '－':
			return '-'
		}
		return -1
	}, s)
}

// prefixes are readings of an address that begin with the names of a region: those of
// the number's county, and all that differ little from what was read. Of one that begins so
// already it is that reading alone.
func (r *regions) prefixes(text string, id cnid.Number) []string {
	t := []rune(text)
	var list []string
	exact := false
	try := func(c county) {
		for _, form := range c.forms() {
			f := []rune(form)
			if len(t) < len(f) { // the row ends within it
				if d := differing(t, f[:len(t)]); len(t) >= partOf && d <= 1+len(t)/6 {
					exact = exact || d == 0
					list = append(list, string(f[:len(t)]))
				}
				continue
			}
			if d := differing(t[:len(f)], f); d <= 1+len(f)/4 {
				exact = exact || d == 0
				list = append(list, form+string(t[len(f):]))
			}
			// One character lost in front of or among them.
			if len(f) >= 4 && len(t) >= len(f) && lostOne(t[:len(f)-1], f) > 0 {
				list = append(list, form+string(t[len(f)-1:]))
			}
		}
	}
	if len(id) == 18 {
		for _, c := range r.counties[string(id[:6])] {
			try(c)
		}
	}
	for _, c := range r.counties[""] {
		try(c)
	}
	if exact {
		return []string{text}
	}
	return list[:min(len(list), 60)]
}

// partOf is how many characters of a region's name a row must show to be taken for it. Our choice.
const partOf = 7

func differing(a, b []rune) int {
	n := 0
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// lostOne is the index of the one character that short lacks of long, 0 where it is not long without
// one, or without its first.
func lostOne(short, long []rune) int {
	i := 0
	for i < len(short) && short[i] == long[i] {
		i++
	}
	if !slices.Equal(short[i:], long[i+1:]) {
		return 0
	}
	return i
}

// forms are the ways in which addresses begin with a county.
func (c county) forms() []string {
	short := strings.NewReplacer("壮族自治区", "", "回族自治区", "", "维吾尔自治区", "", "自治区", "").Replace(c.province)
	list := []string{c.province + c.name}
	if short != c.province {
		list = append(list, short+c.name)
	}
	if c.city != "" && c.city != c.province && strings.HasSuffix(c.city, "市") || strings.HasSuffix(c.city, "州") || strings.HasSuffix(c.city, "盟") {
		list = append(list, c.province+c.city+c.name, c.city+c.name)
		if short != c.province {
			list = append(list, short+c.city+c.name)
		}
	}
	return append(list, c.name)
}
