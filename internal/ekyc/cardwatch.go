package ekyc

import (
	"math"
	"time"
)

// Hints for the hand that holds a document before the camera, beside those of faces.
const (
	HintNoCard    Hint = "no_card"
	HintOtherCard Hint = "other_card"
	HintWrongSide Hint = "wrong_side"
	HintWhole     Hint = "whole_card" // part of it lies outside the picture
	HintGlare     Hint = "glare"
)

// Limits of a glance. Our choices, for frames whose short side has at most 720 pixels.
const (
	// glanceWidth is the least width of the document, pixels: a picture of a camera of
	// 1080 lines then has 600 pixels and more, of which OCR.md says that below about 700
	// readings get worse; the reading itself judges the picture that is taken.
	glanceWidth = 400
	// glanceSharp is the least CardGlance.Sharp.
	glanceSharp = 0.15
	// Good glances in a row over glanceHold, each corner within glanceShift of the
	// document's width from where it was, have the picture taken.
	glanceRow   = 3
	glanceHold  = 600 * time.Millisecond
	glanceShift = 0.06
)

// CardAdvice is what a CardWatch makes of a glance.
type CardAdvice struct {
	Hint     Hint
	Progress float64 // towards the picture, 0 to 1
	Take     bool    // take the picture now
}

// CardWatch guides a hand until the document is in view, whole, near and still. The zero
// value with Side set is ready. It is a pure value: no clock, no I/O.
type CardWatch struct {
	Side  CardSide
	row   int
	since time.Time
	last  [4]Point
}

// hintOf names what a glance shows to be wrong.
func (w *CardWatch) hintOf(g CardGlance) Hint {
	switch g.Status {
	case CardNone:
		return HintNoCard
	case CardOther:
		return HintOtherCard
	case CardWrongSide:
		return HintWrongSide
	case CardCut:
		return HintWhole
	}
	switch {
	case g.Side != "" && g.Side != w.Side:
		return HintWrongSide
	case g.Status == CardDark: // perhaps too dark to find anything
		return HintLight
	case g.Status == CardGlare:
		return HintGlare
	case g.Width < glanceWidth:
		return HintCloser
	case g.Status == CardBlurred || g.Sharp < glanceSharp:
		return HintStill
	}
	return HintNone
}

// Observe takes the next glance, made at a moment.
func (w *CardWatch) Observe(g CardGlance, at time.Time) CardAdvice {
	hint := w.hintOf(g)
	moved := w.row > 0 && w.shift(g) > glanceShift
	w.last = g.Quad
	switch {
	case hint != HintNone:
		w.row = 0
		return CardAdvice{Hint: hint}
	case moved:
		w.row, w.since = 1, at
		return CardAdvice{Hint: HintStill, Progress: 1.0 / glanceRow}
	}
	if w.row++; w.row == 1 {
		w.since = at
	}
	a := CardAdvice{Progress: min(float64(w.row)/glanceRow, max(float64(at.Sub(w.since))/float64(glanceHold), 1.0/glanceRow))}
	if w.row >= glanceRow && at.Sub(w.since) >= glanceHold {
		a.Progress, a.Take, w.row = 1, true, 0
	}
	return a
}

// shift is how far a corner moved at most since the last glance, of the document's width.
func (w *CardWatch) shift(g CardGlance) float64 {
	most := 0.0
	for i, p := range g.Quad {
		most = max(most, math.Hypot(p.X-w.last[i].X, p.Y-w.last[i].Y))
	}
	return most / max(g.Width, 1)
}
