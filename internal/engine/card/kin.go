package card

import "slices"

// Glyphs decide between characters where the document's type is kin to theirs. Where it is not (a
// Kai is none of a Hei), a character often looks more like another's glyph than like its own, and
// what the recogniser read is the better guess.

// kinLeast is the likeness of surely read characters to their own glyphs from which glyphs may
// decide. Measured on SYNTHETIC documents: the median over characters was .96 in the glyphs' own
// type, .87 in another Hei, .84 in a Song and .65 in a Kai; blur takes no more than .05.
const kinLeast = 0.75

// Which characters are sure, how many of them tell, and how many are enough. Our choice.
const (
	kinSure = 0.97
	kinFew  = 4
	kinMany = 12
)

// kinRow is where the rows begin whose characters stand at one pitch, in the type of the values:
// the address and what is below, and what is below the back's title. Millimetres.
const kinRow = 26

// kin tells whether the document's type looks like the glyphs: where too few characters are known,
// it does.
func (g *page) kin() bool {
	if g.alike == 0 {
		g.alike = g.likeness()
	}
	return g.alike >= kinLeast
}

// likeness is the median likeness of surely read characters to their own glyphs, 1 where too few
// are known.
func (g *page) likeness() float64 {
	var scores []float64
	for i, l := range g.lines {
		if g.spans[i].midY() < kinRow || g.foreign(i) || !g.row(i) || len(scores) >= kinMany {
			continue
		}
		x := g.middles(l.quad, l.chars)
		pitch, known := pitchOf(l.chars, x)
		if !known {
			continue
		}
		row := g.inkRow(g.spans[i], pitch)
		for k, c := range l.chars {
			if !isHan(c.r) || c.p < kinSure {
				continue
			}
			if patch, w := row.cell(x[k]); w > 0 {
				for _, own := range g.r.glyphs.compare(patch, w, row.h, em*0.97, []rune{c.r}) {
					scores = append(scores, own.score)
				}
			}
		}
	}
	if len(scores) < kinFew {
		return 1
	}
	slices.Sort(scores)
	return scores[len(scores)/2]
}
