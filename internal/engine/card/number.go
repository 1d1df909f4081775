package card

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/internal/cnid"
)

// alike are characters that the recogniser gives where a digit stands; their
// probability counts as the digit's.
var alike = map[rune]rune{
	'O': '0', 'o': '0', 'D': '0', 'Q': '0', '〇': '0', 'l': '1', 'I': '1', 'i': '1', '|': '1', 'Z': '2', 'z': '2',
	'S': '5', 's': '5', 'b': '6', 'B': '8', 'g': '9', 'q': '9', 'x': 'X', '×': 'X', 'Ⅹ': 'X',
}

// digitClasses gives each class of the recogniser that stands for one of
// "0123456789X" its index there.
func (k *keys) digitClasses() map[int]int {
	m := map[int]int{}
	const digits = "0123456789X"
	for i, c := range digits {
		if j, ok := k.index[c]; ok {
			m[j] = i
		}
	}
	for c, d := range alike {
		if j, ok := k.index[c]; ok {
			m[j] = strings.IndexRune(digits, d)
		}
	}
	return m
}

// digitRows are a look's probabilities of blank (0) and of 0-9 and X (1 to 11) a step.
func (s shot) digitRows(k *keys) [][12]float64 {
	n := k.classes()
	var rows [][12]float64
	for t := s.from; t < min(s.to, s.l.all); t++ {
		row := s.l.probs[t*n : (t+1)*n]
		var d [12]float64
		d[0] = float64(row[0])
		for class, i := range k.digits {
			d[1+i] += float64(row[class])
		}
		for i := range d {
			d[i] = max(d[i], 1e-5)
		}
		rows = append(rows, d)
	}
	return rows
}

// beamWidth is how many beginnings of a number are kept a step. Our choice: valid
// numbers were found among the first 40 wherever a wider search found them.
const beamWidth = 60

// beam lists the likeliest strings of digits of a length in a look, by prefix beam
// search; X only at the end.
func beam(rows [][12]float64, length int) []scored {
	type prob struct{ blank, other float64 } // logarithms
	inf := math.Inf(-1)
	live := map[string]prob{"": {0, inf}}
	for _, row := range rows {
		next := make(map[string]prob, len(live)*3)
		add := func(s string, blank, other float64) {
			p, ok := next[s]
			if !ok {
				p = prob{inf, inf}
			}
			next[s] = prob{logAdd(p.blank, blank), logAdd(p.other, other)}
		}
		for s, p := range live {
			both := logAdd(p.blank, p.other)
			add(s, both+math.Log(row[0]), inf)
			for i := 1; i < 12; i++ {
				if row[i] < 1e-4 {
					continue
				}
				lp := math.Log(row[i])
				c := "0123456789X"[i-1]
				if len(s) > 0 && s[len(s)-1] == c {
					add(s, inf, p.other+lp)
					if len(s) < length && c != 'X' {
						add(s+string(c), inf, p.blank+lp)
					}
				} else if len(s) < length && (c != 'X' || len(s) == length-1) {
					add(s+string(c), inf, both+lp)
				}
			}
		}
		list := make([]scored, 0, len(next))
		for s, p := range next {
			list = append(list, scored{s, logAdd(p.blank, p.other)})
		}
		slices.SortFunc(list, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.text, b.text)) })
		list = list[:min(len(list), beamWidth)]
		live = make(map[string]prob, len(list))
		for _, c := range list {
			live[c.text] = next[c.text]
		}
	}
	var list []scored
	for s, p := range live {
		if len(s) == length {
			list = append(list, scored{s, logAdd(p.blank, p.other)})
		}
	}
	slices.SortFunc(list, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.text, b.text)) })
	return list
}

// forward is the log probability that the rows read exactly the digits.
func forward(rows [][12]float64, text string) float64 {
	labels := []int{0}
	for i := range len(text) {
		labels = append(labels, 1+strings.IndexByte("0123456789X", text[i]), 0)
	}
	cur, next := make([]float64, len(labels)), make([]float64, len(labels))
	for i := range cur {
		cur[i] = math.Inf(-1)
	}
	for t, row := range rows {
		for s, c := range labels {
			v := math.Inf(-1)
			if t == 0 {
				if s <= 1 {
					v = 0
				}
			} else {
				v = cur[s]
				if s > 0 {
					v = logAdd(v, cur[s-1])
				}
				if s > 1 && c != 0 && c != labels[s-2] {
					v = logAdd(v, cur[s-2])
				}
			}
			next[s] = v + math.Log(row[c])
		}
		cur, next = next, cur
	}
	return logAdd(cur[len(cur)-1], cur[len(cur)-2])
}

// numbers reads identity numbers from looks: the likeliest texts of 18 characters,
// valid or not, and of them the valid ones, each scored over all looks.
func (g *page) numbers(shots []shot) (plain, valid []scored) {
	rows := make([][][12]float64, len(shots))
	seen := map[string]bool{}
	for i, s := range shots {
		rows[i] = s.digitRows(g.r.keys)
		for j, c := range beam(rows[i], 18) {
			seen[c.text] = true
			if j < 12 { // one character wrong, put right by the check character's rule
				for _, v := range repairs(c.text) {
					seen[v] = true
				}
			}
		}
	}
	for text := range seen {
		sum := 0.0
		for i := range rows {
			sum += max(forward(rows[i], text), floor)
		}
		plain = append(plain, scored{text, sum})
	}
	slices.SortFunc(plain, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.text, b.text)) })
	for _, c := range plain {
		if g.possible(c.text) {
			valid = append(valid, c)
		}
	}
	return plain, valid
}

// repairs are the texts that differ in one character and fulfil the check.
func repairs(text string) []string {
	if _, err := cnid.ParseNumber(text); err == nil {
		return nil
	}
	var list []string
	b := []byte(text)
	for i := range b {
		was := b[i]
		for c := byte('0'); c <= '9'; c++ {
			if b[i] = c; c != was && i < 17 {
				if _, err := cnid.ParseNumber(string(b)); err == nil {
					list = append(list, string(b))
				}
			}
		}
		b[i] = was
	}
	if c := cnid.CheckCharacter(text[:17]); c != 0 {
		list = append(list, text[:17]+string(c))
	}
	return list
}

// possible tells whether a text is a number that may have been issued.
func (g *page) possible(text string) bool {
	n, err := cnid.ParseNumber(text)
	if err != nil || n.Birth().Year() < 1900 || n.Birth().Year() > 2099 {
		return false
	}
	return g.r.regions.known(text[:2])
}

// date is a day as it is printed.
func birthText(t time.Time) string {
	return strconv.Itoa(t.Year()) + "年" + strconv.Itoa(int(t.Month())) + "月" + strconv.Itoa(t.Day()) + "日"
}
