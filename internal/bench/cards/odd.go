package cards

import (
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"slices"
	"strings"

	"shiren/internal/ekyc"
)

// Odd is what is in a picture that is not simply a card to be read.
type Odd string

const (
	OddFace    Odd = "face"         // a drawn face, no card
	OddBank    Odd = "bank_card"    // a card of another kind
	OddPage    Odd = "page"         // a page of text
	OddNothing Odd = "nothing"      // a table top
	OddCut     Odd = "cut"          // half of the card lies outside
	OddTwo     Odd = "two_cards"    // another person's card beside it, smaller
	OddNumber  Odd = "wrong_number" // a number whose check character is wrong
	OddSide    Odd = "other_side"   // the side that was not asked for
	OddDark    Odd = "dark"
	OddBright  Odd = "bright"
	OddBlurred Odd = "blurred"
	OddCopy    Odd = "copy"   // a photocopy
	OddScreen  Odd = "screen" // shown on a screen
)

// wanted is which statuses are right for what is odd. Our choice: where two are listed,
// either tells the person what to do.
var wanted = map[Odd][]ekyc.CardStatus{
	OddFace:    {ekyc.CardNone},
	OddBank:    {ekyc.CardOther, ekyc.CardNone},
	OddPage:    {ekyc.CardNone},
	OddNothing: {ekyc.CardNone},
	OddCut:     {ekyc.CardCut, ekyc.CardNone},
	OddTwo:     {ekyc.CardReadable},
	OddNumber:  {ekyc.CardReadable},
	OddSide:    {ekyc.CardWrongSide},
	OddDark:    {ekyc.CardDark},
	OddBright:  {ekyc.CardGlare},
	OddBlurred: {ekyc.CardBlurred, ekyc.CardNone},
	OddCopy:    {ekyc.CardReadable},
	OddScreen:  {ekyc.CardReadable},
}

// Odds in the order in which they are made.
var Odds = []Odd{
	OddFace, OddBank, OddPage, OddNothing, OddCut, OddTwo, OddNumber, OddSide, OddDark, OddBright, OddBlurred, OddCopy, OddScreen,
}

// Strange photographs what is odd. The same seed makes the same picture.
func (p *Press) Strange(o Odd, seed uint64) (Record, []byte, error) {
	want, ok := wanted[o]
	if !ok {
		return Record{}, nil, fmt.Errorf("cards: there is no odd picture %q; there are %v", o, Odds)
	}
	r := rand.New(rand.NewPCG(seed, 0x6f6464+uint64(slices.Index(Odds, o))))
	rec := Record{File: fmt.Sprintf("odd_%s_%d.jpg", o, seed), Level: "odd", Side: ekyc.CardFront, Odd: o, Want: want}
	shot := Shot{Level: Mild, Seed: r.Uint64(), Upright: true}
	who := NewPerson(r.Uint64(), Resident, false)
	if o == OddCut || o == OddDark || o == OddBright || o == OddBlurred || o == OddCopy || o == OddScreen {
		rec.Side = pick(r, []ekyc.CardSide{ekyc.CardFront, ekyc.CardBack})
	}
	drawn, look := rec.Side, Look{Seed: seed}
	var list []*image.RGBA
	switch o {
	case OddFace:
		list = append(list, p.faceOnly(seed))
	case OddBank:
		list = append(list, p.bankCard(r))
	case OddPage:
		list = append(list, p.page(r))
	case OddNothing:
		list = append(list, image.NewRGBA(image.Rect(0, 0, 856, 540)))
	case OddCut:
		shot.Cut = .35 + .25*r.Float64()
	case OddNumber:
		last := strings.IndexByte("0123456789X", who.Number[17])
		who.Number = who.Number[:17] + string("0123456789X"[(last+1+r.IntN(10))%11])
		rec.Flags = []ekyc.CardFlag{ekyc.CardNumberWrong}
	case OddSide:
		drawn = ekyc.CardBack
	case OddDark:
		shot.Dark = true
	case OddBright:
		shot.Bright = true
	case OddBlurred:
		shot.Level, shot.Blur = Hard, 7+3*r.Float64()
	case OddCopy:
		shot.Copy, rec.Flags = true, []ekyc.CardFlag{ekyc.CardCopy}
	case OddScreen:
		shot.Screen = true
	}
	if list == nil {
		rec.Truth = who
		list = append(list, p.Draw(who, drawn, look))
	}
	if o == OddTwo {
		list = append(list, p.Draw(NewPerson(r.Uint64(), Resident, false), drawn, Look{Seed: seed + 1}))
	}
	pic, err := shoot(list, shot)
	rec.picture(pic)
	return rec, pic.JPEG, err
}

// picture notes what a photograph became.
func (r *Record) picture(p Picture) {
	r.Damage, r.Quality, r.Size = p.Damage, p.Quality, [2]int{p.W, p.H}
}

// faceOnly is a portrait without a card.
func (p *Press) faceOnly(seed uint64) *image.RGBA {
	r := rand.New(rand.NewPCG(seed, 3))
	c := &card{sheet: newSheet(Width, Height, ppmm, p.fonts), Person: Person{Gender: pick(r, []string{"男", "女"})}, r: r}
	c.fill(around(r, 200, 210, 225, 30), rectangleList(Width, Height)...)
	c.figure()
	at := func(mm float64) int { return int(mm * ppmm) }
	return c.SubImage(image.Rect(at(portraitX), at(portraitY), at(portraitX+portraitW), at(portraitY+portraitH))).(*image.RGBA)
}

func rectangleList(w, h float64) []point {
	q := rectangle(w, h)
	return q[:]
}

// bankCard carries a number that fails the check of ISO/IEC 7812.
func (p *Press) bankCard(r *rand.Rand) *image.RGBA {
	s := newSheet(Width, Height, ppmm, p.fonts)
	s.fill(around(r, 40, 80, 140, 40), rectangleList(Width, Height)...)
	pale := around(r, 90, 130, 180, 40)
	for k := range 4 {
		x := float64(k) * 24
		s.fill(pale, point{x, 0}, point{x + 9, 0}, point{x - 8, Height}, point{x - 17, Height})
	}
	white := color.NRGBA{248, 248, 250, 255}
	s.text(6, 8, "样本银行 SPECIMEN BANK", style{font: p.fonts.bold, em: 4, ink: white})
	s.fill(color.NRGBA{212, 180, 110, 255}, rounded(8, 18, 20, 27, 1.5)...)
	digits := []byte(fmt.Sprintf("62%014d", r.Int64N(1e14)))
	if luhn(digits) {
		digits[15] = '0' + (digits[15]-'0'+1)%10
	}
	x := 8.0
	for i := 0; i < 16; i += 4 {
		x = s.text(x, 33, string(digits[i:i+4]), style{font: p.fonts.mono, em: 5.4, ink: white}) + 3
	}
	s.text(8, 41, fmt.Sprintf("有效期 VALID THRU %02d/%02d", 1+r.IntN(12), 26+r.IntN(9)), style{font: p.fonts.hei, em: 2.6, ink: white})
	s.text(8, 48, "SPECIMEN HOLDER", style{font: p.fonts.hei, em: 3.2, ink: white})
	s.text(66, 47, "借记卡", style{font: p.fonts.bold, em: 4, ink: white})
	s.cut(rounded(0, 0, Width, Height, corner))
	return s.RGBA
}

// luhn is the check of ISO/IEC 7812.
func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// page is a sheet of text that talks of addresses and dates, as letters do.
func (p *Press) page(r *rand.Rand) *image.RGBA {
	s := newSheet(140, 100, 10, p.fonts)
	s.fill(color.NRGBA{250, 249, 246, 255}, rectangleList(140, 100)...)
	st := style{font: p.fonts.song, em: 3.4, ink: color.NRGBA{30, 30, 34, 255}}
	for y := 10.0; y < 92; y += 6 {
		var b strings.Builder
		for s.width(b.String(), st) < 95 {
			switch r.IntN(4) {
			case 0:
				fmt.Fprintf(&b, "%d年%d月%d日", 1990+r.IntN(36), 1+r.IntN(12), 1+r.IntN(28))
			case 1:
				b.WriteString(pick(r, places).name)
			case 2:
				b.WriteString(pick(r, streets))
			default:
				b.WriteString(pick(r, []string{"，样本文字", "。通知如下：", "请于", "前往", "办理有关事项", "，特此说明。"}))
			}
		}
		s.text(10, y, b.String(), st)
	}
	return s.RGBA
}
