package card

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"shiren/internal/ekyc"
)

// Where values of the backs stand.
var (
	authorityZone       = zone{33.2, 83, 40.5}
	validityZone        = zone{33.0, 70, 47.8}
	permitAuthorityZone = zone{33.2, 83, 31.7}
	permitValidityZone  = zone{33.0, 70, 37.7}
	passZone            = zone{36.2, 58, 43.8}
	timesZone           = zone{75, 82, 43.7}
)

func (g *page) readBack() (map[ekyc.CardField]word, []ekyc.CardFlag, error) {
	words := map[ekyc.CardField]word{}
	var flags []ekyc.CardFlag
	az, vz := authorityZone, validityZone
	if g.face.permit {
		az, vz = permitAuthorityZone, permitValidityZone
	}
	authority, shots, err := g.settle(az, cleanAuthority, g.r.regions.authorities)
	if err != nil {
		return nil, nil, err
	}
	if err := g.repair(&authority, shots, cleanAuthority, g.r.regions.authorities); err != nil {
		return nil, nil, err
	}
	authority.doubt = authority.doubt || placeless(authority.text)
	words[ekyc.CardAuthority] = authority
	issued, expires, wrong, err := g.validity(vz)
	if err != nil {
		return nil, nil, err
	}
	if wrong {
		flags = append(flags, ekyc.CardDatesWrong)
	}
	words[ekyc.CardIssued], words[ekyc.CardExpires] = issued, expires
	if g.face.permit {
		pass, _, err := g.settle(passZone, cleanPass, nil)
		if err != nil {
			return nil, nil, err
		}
		words[ekyc.CardPass] = pass
		times, _, err := g.settle(timesZone, cleanDigits, nil)
		if err != nil {
			return nil, nil, err
		}
		if times.text != "" {
			words[ekyc.CardTimes] = times
		}
	}
	return words, flags, nil
}

func cleanAuthority(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Han, r) {
			return r
		}
		return -1
	}, s)
}

// placeless reports whether an authority's text begins where the name of its place must
// have stood: a recogniser leaves out characters that it does not know (黟, 歙) without a gap.
func placeless(authority string) bool {
	for _, start := range []string{"县", "区", "市公安", "公安局"} {
		if strings.HasPrefix(authority, start) {
			return true
		}
	}
	return false
}

// cleanPass keeps a pass number: letters and digits.
func cleanPass(s string) string {
	return strings.Map(func(r rune) rune {
		r = unicode.ToUpper(r)
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
}

func cleanDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if d, ok := alike[r]; ok && d != 'X' {
			return d
		}
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// authorities are the names of police authorities that differ little from what was read.
func (r *regions) authorities(text string) []string {
	t := []rune(text)
	var list []string
	// All are a 公安局 or a 分局 of one.
	if before, after, ok := strings.Cut(text, "公安"); ok && len([]rune(after)) <= 1 {
		list = append(list, before+"公安局")
	}
	if n := len(t); n > 6 && strings.Contains(text, "公安局") {
		switch {
		case t[n-1] == '分':
			list = append(list, text+"局")
		case t[n-2] == '分':
			list = append(list, string(t[:n-1])+"局")
		}
	}
	for _, c := range r.counties[""] {
		for _, form := range c.police() {
			f := []rune(form)
			switch {
			case len(f) == len(t):
				if d := differing(t, f); d <= 1+len(f)/4 {
					list = append(list, form)
				}
			case len(f) == len(t)+1 && lostOne(t, f) > 0, len(t) == len(f)+1 && lostOne(f, t) > 0:
				list = append(list, form)
			}
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), 80)]
}

// police are the authorities that issue a county's cards.
func (c county) police() []string {
	list := []string{c.name + "公安局"}
	above := c.city
	if !strings.HasSuffix(above, "市") && !strings.HasSuffix(above, "州") && !strings.HasSuffix(above, "盟") {
		above = c.province
	}
	return append(list, above+"公安局"+c.name+"分局", above+"公安局", above+c.name+"公安局", above+"公安局"+strings.TrimSuffix(c.name, "区")+"分局")
}

// validity reads issue and expiry, which belong together: only some terms are issued.
func (g *page) validity(z zone) (issued, expires word, wrong bool, err error) {
	shots, at, err := g.shots(z)
	if err != nil {
		return issued, expires, false, err
	}
	read := func() (best scored, lead float64, listed bool, all []scored) {
		all = g.rank(shots, g.validities(shots))
		if len(all) == 0 {
			return
		}
		// Among what was read, prefer dates that are issued together unless others are
		// far likelier.
		pick := -1
		for i, s := range all {
			from, to, ok := parseValidity(s.text)
			if !ok {
				continue
			}
			if _, ok := issuedFor(from, to); ok {
				pick = i
				break
			}
		}
		if pick < 0 {
			return all[0], 0, false, all
		}
		if gap := (all[0].score - all[pick].score) / float64(len(shots)); gap > validityGap {
			return all[0], gap, false, all
		}
		return all[pick], 0, true, all
	}
	best, _, listed, all := read()
	mean := 0.0
	if best.text != "" {
		mean = best.score / float64(len(shots))
	}
	if best.text == "" || !listed || mean < -0.4 {
		more, err := g.wider(at)
		if err != nil {
			return issued, expires, false, err
		}
		shots = append(shots, more...)
		best, _, listed, all = read()
	}
	if best.text == "" {
		return word{at: at}, word{at: at}, false, nil
	}
	mean = best.score / float64(len(shots))
	share := 0.0
	for _, s := range all {
		if _, _, ok := parseValidity(s.text); ok {
			share += math.Exp((s.score - best.score) / float64(len(shots)))
		}
	}
	from, to, _ := parseValidity(best.text)
	w := word{share: 1 / max(share, 1), least: math.Exp(mean), agree: mean > -0.7, at: at}
	issued, expires = w, w
	issued.text, expires.text = from.Format("20060102"), to
	issued.doubt, expires.doubt = !listed, !listed
	middle := (at.x0 + at.x1) / 2
	issued.at.x1, expires.at.x0 = middle, middle
	return issued, expires, !listed && mean > -0.7, nil
}

// validityGap is the log ratio a look by which dates that are not issued together must
// lead those that are, to be taken for what is printed.
const validityGap = 6

// validities are texts of two dates that looks suggest.
func (g *page) validities(shots []shot) []string {
	var texts []string
	add := func(from time.Time, to string) {
		texts = append(texts, validityText(from, to))
		for _, n := range terms {
			end := from.AddDate(n, 0, 0)
			texts = append(texts, validityText(from, end.Format("20060102")), validityText(from, end.AddDate(0, 0, -1).Format("20060102")))
		}
		texts = append(texts, validityText(from, ekyc.CardForever))
		if end, err := time.Parse("20060102", to); err == nil {
			for _, n := range terms {
				start := end.AddDate(-n, 0, 0)
				texts = append(texts, validityText(start, to), validityText(start.AddDate(0, 0, 1), to))
			}
		}
	}
	for _, s := range shots {
		for _, v := range g.variants(s) {
			if from, to, ok := parseValidity(v); ok {
				add(from, to)
			}
		}
		for _, c := range g.dateBeams(s) {
			if from, to, ok := parseValidity(c); ok {
				add(from, to)
			}
		}
		// Half of it may be lost: take either date by itself.
		for _, d := range halves(s.text()) {
			if t, ok := makeDate(d[:4], d[4:6], d[6:]); ok {
				for _, n := range terms {
					add(t, t.AddDate(n, 0, 0).Format("20060102"))
					add(t.AddDate(-n, 0, 0), t.Format("20060102"))
				}
			}
		}
	}
	return texts
}

// dateBeams are the likeliest readings as digits alone, dots and dash left out.
func (g *page) dateBeams(s shot) []string {
	rows := s.digitRows(g.r.keys)
	n := g.r.keys.classes()
	for t := range rows { // what is neither a digit nor nothing separates: it is blank here
		row := s.l.probs[(s.from+t)*n : (s.from+t+1)*n]
		rest := 1.0
		for class := range g.r.keys.digits {
			rest -= float64(row[class])
		}
		rows[t][0] = max(rest, 1e-5)
		rows[t][11] = 1e-5
	}
	var list []string
	for _, c := range beam(rows, 16) {
		if list = append(list, c.text); len(list) == 12 {
			break
		}
	}
	return list
}

// halves are the runs of eight digits at the beginning and the end of a text.
func halves(s string) []string {
	d := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
	var list []string
	if len(d) >= 8 {
		list = append(list, d[:8], d[len(d)-8:])
	}
	return list
}
