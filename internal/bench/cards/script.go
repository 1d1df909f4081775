package cards

import (
	"image/color"
	"math"
	"math/rand/v2"
)

// Labels in a second script, in the order of front (name, gender, nation, birth,
// address, number) and back (authority, validity). Their spelling was not checked
// against real cards: they are ink beside the labels. Scripts that the required fonts
// lack are drawn as strokes in their manner.
var secondLabels = map[Script][8]string{
	Zhuang: {"Singqmingz", "Singqbied", "Minzcuz", "Seng", "Dieg", "Gunghminz Sinhfwn Haumaj", "Giqgwen Cemfat", "Geizhanh Mizyauq"},
	Korean: {"이름", "성별", "민족", "출생", "주소", "공민신분번호", "발급기관", "유효기간"},
}

// secondX and secondY are where the labels' second lines stand, mm: above the Chinese
// ones. Our choice.
var (
	secondX = [8]float64{labelX, labelX, nationLabelX, labelX, labelX, labelX, 20.6, 20.6}
	secondY = [8]float64{nameY, genderY, genderY, birthY, addressY, 48.1, 40.6, 47.9}
)

const secondRise = 2.55

// An address between lines of a second script is set smaller, mm of em and of pitch.
const bilingualEm, bilingualPitch = 2.75, 4.7

// second draws the second script of a side.
func (c *card) second(front bool) {
	if c.Script == "" {
		return
	}
	from, to := 0, 6
	if !front {
		from, to = 6, 8
	}
	ink := c.label
	if !front {
		ink = c.ink
	}
	r := rand.New(rand.NewPCG(c.r.Uint64(), 2))
	for i := from; i < to; i++ {
		if i == 2 && c.Nation == "" {
			continue
		}
		x, y := secondX[i], secondY[i]-secondRise
		switch c.Script {
		case Zhuang, Korean:
			c.text(x, y, secondLabels[c.Script][i], style{font: c.fonts.hei, em: 1.75, ink: ink})
		case Mongolian:
			c.upright(r, point{x - 2.3, secondY[i] - 1.8}, 3.8, ink)
		default:
			long := 6.0
			if i >= 5 {
				long = 11
			}
			c.line(r, point{x, y}, long, 1.6, ink)
		}
	}
	if c.Script != Uyghur && c.Script != Tibetan {
		return
	}
	value := func(x, y, long, high float64) { c.line(r, point{x, y}.add(c.shift), long, high, c.ink) }
	if !front { // values too
		value(34.6, 40.6-secondRise, 20+r.Float64()*8, 1.6)
		return
	}
	value(valueX, nameY-3, 12+r.Float64()*10, 1.9)
	value(valueX, genderY-secondRise, 4, 1.7)
	if c.Nation != "" {
		value(nationX, genderY-secondRise, 7, 1.7)
	}
	for k := range min(len(c.wrapped(c.value(bilingualEm, .03))), 3) {
		value(valueX, addressY+bilingualPitch*(float64(k)-.5), 18+r.Float64()*15, 1.1)
	}
}

// line draws words of a script that runs along the line: joined strokes with dots
// (Uyghur) or strokes hanging from a bar (Tibetan). at is the line's left middle.
func (c *card) line(r *rand.Rand, at point, long, high float64, ink color.NRGBA) {
	var strokes [][]point
	end := at.x + long
	for at.x < end-.8 {
		word := min(end-at.x, high*(1+2*r.Float64()))
		if c.Script == Uyghur {
			base := at.y + high*.2
			var l []point
			for x := 0.0; x < word; x += high * .28 {
				up := high * pick(r, []float64{0, .15, .35, .35, .7})
				l = append(l, point{at.x + x, base}, point{at.x + x + high*.1, base - up}, point{at.x + x + high*.2, base})
				switch r.IntN(5) {
				case 0:
					dot := point{at.x + x, base - high*.65}
					strokes = append(strokes, []point{dot, dot.add(point{.02, 0})})
				case 1:
					dot := point{at.x + x, base + high*.35}
					strokes = append(strokes, []point{dot, dot.add(point{high * .15, 0})})
				case 2:
					tail := point{at.x + x, base}
					strokes = append(strokes, []point{tail, tail.add(point{-.1, high * .3}), tail.add(point{-high * .3, high * .35})})
				}
			}
			strokes = append(strokes, l)
			at.x += word + high*.35
			continue
		}
		syllable := high * (.5 + .3*r.Float64())
		bar := at.y - high*.35
		strokes = append(strokes, []point{{at.x, bar}, {at.x + syllable, bar}})
		for range 2 + r.IntN(2) {
			x := at.x + syllable*r.Float64()
			strokes = append(strokes, []point{{x, bar}, {x - high*.1, at.y + high*.1}, {x + high*.2, at.y + high*(.2+.4*r.Float64())}})
		}
		if r.IntN(3) == 0 {
			strokes = append(strokes, []point{{at.x, bar - high*.3}, {at.x + syllable*.7, bar - high*.2}})
		}
		dot := point{at.x + syllable + high*.15, bar}
		strokes = append(strokes, []point{dot, dot.add(point{.02, .02})})
		at.x += syllable + high*.35
	}
	c.stroke(ink, high*.11, strokes...)
}

// upright draws a word that runs down: a spine with teeth to its left.
func (c *card) upright(r *rand.Rand, top point, long float64, ink color.NRGBA) {
	strokes := [][]point{{top, top.add(point{0, long})}}
	for y := .3; y < long-.3; y += .35 + .3*r.Float64() {
		side := -math.Copysign(.35+.4*r.Float64(), r.Float64()-.25)
		strokes = append(strokes, []point{top.add(point{0, y}), top.add(point{side, y + .15})})
	}
	strokes = append(strokes, []point{top.add(point{0, long}), top.add(point{.6, long + .3})})
	c.stroke(ink, .18, strokes...)
}
