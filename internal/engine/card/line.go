package card

import (
	"math"
	"strings"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// The recogniser's input: its height, and how many columns of it one step of its output
// stands for (PP-OCRv4 rec). Widths are rounded up to a multiple of recGrid, so that
// few shapes occur.
const (
	recHeight = 48
	recStep   = 8
	recGrid   = 32
	recMost   = 960 // the widest input: a line of 20 characters' heights
)

// char is one recognised character.
type char struct {
	r    rune
	p    float64 // the network's probability
	at   float64 // its middle, as a share of the line's width
	from int     // its steps, first and one past the last
	to   int
}

// line is one line of text as the recogniser saw it.
type line struct {
	quad  quad
	chars []char
	probs []float32 // steps by classes
	steps int       // of the text; the rest is padding
	all   int       // steps of the input, padding and all
}

func (l *line) text() string {
	var b strings.Builder
	for _, c := range l.chars {
		b.WriteRune(c.r)
	}
	return b.String()
}

// mean is the characters' mean probability, 0 without any.
func (l *line) mean() float64 {
	if len(l.chars) == 0 {
		return 0
	}
	sum := 0.0
	for _, c := range l.chars {
		sum += c.p
	}
	return sum / float64(len(l.chars))
}

// least is the lowest probability of the characters, 0 without any.
func (l *line) least() float64 {
	if len(l.chars) == 0 {
		return 0
	}
	m := 1.0
	for _, c := range l.chars {
		m = min(m, c.p)
	}
	return m
}

// read recognises the text in a quad of the image.
func (r *Reader) read(im *vision.Image, q quad) (*line, error) {
	w := int(math.Round(recHeight * q.width() / max(q.height(), 1)))
	w = max(recGrid/2, min(w, recMost))
	crop := vision.NewImage(w, recHeight)
	defer crop.Release()
	im.WarpPerspective(crop, q.from(w, recHeight))
	l, err := r.recognise(crop)
	if l != nil {
		l.quad = q
	}
	return l, err
}

// recognise reads a picture of one line, recHeight pixels high.
func (r *Reader) recognise(crop *vision.Image) (*line, error) {
	w := (crop.W + recGrid - 1) / recGrid * recGrid
	classes := r.keys.classes()
	l := &line{}
	err := r.rec.RunShaped([]int64{1, 3, recHeight, int64(w)}, func(in []float32) {
		if w == crop.W {
			r.recPlanes.Write(in, crop)
			return
		}
		tight := make([]float32, 3*recHeight*crop.W)
		r.recPlanes.Write(tight, crop)
		for y := range 3 * recHeight {
			row := in[y*w : (y+1)*w]
			copy(row, tight[y*crop.W:(y+1)*crop.W])
			clear(row[crop.W:])
		}
	}, func(outs [][]float32, shapes [][]int64) {
		l.all = len(outs[0]) / classes
		l.steps = min(l.all, (crop.W+recStep-1)/recStep)
		l.probs = append([]float32(nil), outs[0]...)
	})
	if err != nil {
		return nil, ekyc.Wrap(ekyc.EngineFailed, "the text recogniser failed", err)
	}
	l.decode(r.keys, float64(crop.W))
	return l, nil
}

// decode takes the likeliest class of each step.
func (l *line) decode(k *keys, width float64) {
	n := k.classes()
	last := 0
	for t := range l.all {
		row := l.probs[t*n : (t+1)*n]
		best := 0
		for c, p := range row {
			if p > row[best] {
				best = c
			}
		}
		switch p := float64(row[best]); {
		case best == 0:
		case best == last && len(l.chars) > 0:
			c := &l.chars[len(l.chars)-1]
			c.to, c.p = t+1, max(c.p, p)
		default:
			l.chars = append(l.chars, char{r: k.runes[best], p: p, from: t, to: t + 1})
		}
		last = best
	}
	for i := range l.chars {
		c := &l.chars[i]
		c.at = min(1, float64(c.from+c.to)/2*recStep/width)
	}
	// Spaces are classes too; they carry nothing on a card.
	kept := l.chars[:0]
	for _, c := range l.chars {
		if c.r != ' ' && c.r != '\u3000' {
			kept = append(kept, c)
		}
	}
	l.chars = kept
}

// keys are the recogniser's classes: blank, the dictionary, and space.
type keys struct {
	runes  []rune
	index  map[rune]int
	digits map[int]int // see digitClasses
}

func parseKeys(data []byte) *keys {
	k := &keys{runes: []rune{0}, index: map[rune]int{}}
	for s := range strings.SplitSeq(strings.TrimRight(string(data), "\r\n"), "\n") {
		c := []rune(strings.TrimRight(s, "\r"))
		if len(c) == 0 {
			c = []rune{' '}
		}
		k.runes = append(k.runes, c[0])
	}
	k.runes = append(k.runes, ' ')
	for i, c := range k.runes {
		if _, ok := k.index[c]; !ok && i > 0 {
			k.index[c] = i
		}
	}
	k.digits = k.digitClasses()
	return k
}

func (k *keys) classes() int { return len(k.runes) }

// score is the mean log probability a step that the steps from..to read exactly text,
// over all alignments (CTC forward); -Inf where a character has no class.
func (l *line) score(k *keys, from, to int, text []rune) float64 {
	n := k.classes()
	labels := make([]int, 0, 2*len(text)+1)
	labels = append(labels, 0)
	for _, c := range text {
		i, ok := k.index[c]
		if !ok {
			return math.Inf(-1)
		}
		labels = append(labels, i, 0)
	}
	cur, next := make([]float64, len(labels)), make([]float64, len(labels))
	for i := range cur {
		cur[i] = math.Inf(-1)
	}
	for t := max(from, 0); t < min(to, l.all); t++ {
		row := l.probs[t*n : (t+1)*n]
		for s := range labels {
			v := math.Inf(-1)
			if t == max(from, 0) {
				if s <= 1 {
					v = 0
				}
			} else {
				v = cur[s]
				if s > 0 {
					v = logAdd(v, cur[s-1])
				}
				if s > 1 && labels[s] != 0 && labels[s] != labels[s-2] {
					v = logAdd(v, cur[s-2])
				}
			}
			next[s] = v + math.Log(float64(max(row[labels[s]], tiny)))
		}
		cur, next = next, cur
	}
	v := cur[len(cur)-1]
	if len(cur) > 1 {
		v = logAdd(v, cur[len(cur)-2])
	}
	return v
}

// tiny keeps the logarithm of a probability finite: one sure mistake of the network must
// not outweigh all the rest.
const tiny = 1e-6

func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
