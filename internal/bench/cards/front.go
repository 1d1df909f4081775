package cards

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"strconv"

	xdraw "golang.org/x/image/draw"

	"shiren/internal/ekyc"
)

// Size of a card, mm: ISO/IEC 7810 ID-1 as GA 490 takes it.
const (
	Width  = 85.6
	Height = 54.0
	corner = 3.18 // radius
)

// ppmm is how finely cards are drawn, pixels a millimetre: 1712 a card, more than any
// photograph made here shows of one.
const ppmm = 20

// Press draws documents. Safe for concurrent use.
type Press struct{ fonts typefaces }

// NewPress finds a typeface's fonts. It fails with ErrFonts where the machine lacks them.
func NewPress(f Typeface) (*Press, error) {
	t, err := loadFonts(f)
	if err != nil {
		return nil, err
	}
	return &Press{t}, nil
}

// Look is what differs between two documents that say the same.
type Look struct {
	Seed uint64      // of the background, the figure and the tolerances of print
	Face image.Image // in place of the drawn figure; nil draws one
}

// card is a side that is being drawn.
type card struct {
	*sheet
	Person
	r      *rand.Rand
	shift  point   // of everything that is personalised: tolerance of print
	size   float64 // factor on type sizes
	label  color.NRGBA
	ink    color.NRGBA
	titles color.NRGBA
}

// Draw draws a side of a person's document, 20 px a millimetre, transparent outside its
// round corners.
func (p *Press) Draw(who Person, side ekyc.CardSide, l Look) *image.RGBA {
	r := rand.New(rand.NewPCG(l.Seed, 0x7072657373))
	c := &card{sheet: newSheet(Width, Height, ppmm, p.fonts), Person: who, r: r}
	// Our choice of tolerances: what is personalised stands up to .4 mm off and 2 % off in
	// size, so that no reader can rely on exact places.
	c.shift = point{(r.Float64() - .5) * .8, (r.Float64() - .5) * .8}
	c.size = .98 + .04*r.Float64()
	c.label = around(r, 64, 118, 178, 18)
	dark := uint8(12 + r.IntN(40))
	c.ink, c.titles = color.NRGBA{dark, dark, dark + 4, 255}, color.NRGBA{24, 22, 26, 255}
	c.background()
	if side == ekyc.CardBack {
		c.back()
	} else {
		c.front(l.Face)
	}
	c.specimen(side)
	c.cut(rounded(0, 0, Width, Height, corner))
	return c.RGBA
}

func around(r *rand.Rand, red, green, blue, spread int) color.NRGBA {
	v := func(n int) uint8 { return uint8(max(0, min(255, n+r.IntN(2*spread+1)-spread))) }
	return color.NRGBA{v(red), v(green), v(blue), 255}
}

// background is a gradient from light cyan to light rose under two families of waves.
func (c *card) background() {
	left, right := around(c.r, 214, 233, 241, 8), around(c.r, 240, 228, 236, 8)
	b := c.Bounds()
	for x := range b.Dx() {
		f := float64(x) / float64(b.Dx())
		mix := func(a, z uint8) uint8 { return uint8(float64(a) + f*(float64(z)-float64(a))) }
		c.Pix[x*4], c.Pix[x*4+1], c.Pix[x*4+2], c.Pix[x*4+3] = mix(left.R, right.R), mix(left.G, right.G), mix(left.B, right.B), 255
	}
	for y := 1; y < b.Dy(); y++ {
		copy(c.Pix[y*c.Stride:(y+1)*c.Stride], c.Pix[:c.Stride])
	}
	wave := around(c.r, 120, 175, 205, 20)
	strength := .22 + .2*c.r.Float64()
	for range 2 {
		step := .85 + .5*c.r.Float64() // mm
		a1, l1, p1 := .5+.7*c.r.Float64(), 14+12*c.r.Float64(), 6*c.r.Float64()
		a2, l2, p2 := .2+.4*c.r.Float64(), 5+5*c.r.Float64(), 6*c.r.Float64()
		slope, drift := .06*(c.r.Float64()-.5), .04+.1*c.r.Float64()
		for k := -4; float64(k)*step < Height+4; k++ {
			for x := range b.Dx() {
				mm := float64(x) / c.scale
				y := float64(k)*step + slope*mm + a1*math.Sin(mm/l1*2*math.Pi+p1+drift*float64(k)) + a2*math.Sin(mm/l2*2*math.Pi+p2-drift*float64(k))
				at := math.Floor(y * c.scale)
				part := y*c.scale - at
				c.tint(x, int(at), wave, strength*(1-part))
				c.tint(x, int(at)+1, wave, strength)
				c.tint(x, int(at)+2, wave, strength*part)
			}
		}
	}
}

// specimen marks the card in its margins, where no field stands.
func (c *card) specimen(side ekyc.CardSide) {
	red := color.NRGBA{196, 60, 60, 255}
	st := style{font: c.fonts.bold, em: 1.9, extra: .25, ink: red}
	c.text(6.4, 3.6, "样本 SPECIMEN", st)
	if side == ekyc.CardBack {
		c.text(61, 51.8, "样本 SPECIMEN", st)
	} else {
		c.text(60, 41.6, "样本 SPECIMEN", st)
	}
}

// value and label styles, sizes in mm of em, before the tolerance of print.
func (c *card) value(em, extra float64) style {
	return style{font: c.fonts.hei, em: em * c.size, extra: extra, ink: c.ink}
}

func (c *card) labels(em, pitch float64) style {
	return style{font: c.fonts.hei, em: em * c.size, pitch: pitch, ink: c.label}
}

// at sets what is personalised, with its tolerance.
func (c *card) at(x, y float64, text string, st style) float64 {
	return c.text(x+c.shift.x, y+c.shift.y, text, st)
}

// The front's places, in mm, are measured on the drawings that the reader's first
// pipeline was measured with (averages over their rectified pictures): left edges and
// middles of lines.
const (
	labelX, valueX          = 6.4, 15.6
	nameY, genderY          = 9.9, 16.7
	birthY, addressY        = 23.3, 29.9
	numberY                 = 47.9
	nationLabelX, nationX   = 24.8, 33.5
	addressPitch, addressTo = 4.6, 50.8
	numberX, numberPitch    = 30.0, 2.575
)

func (c *card) front(face image.Image) {
	lab := c.labels(2.85, 3.3)
	for _, l := range []struct {
		y    float64
		text string
	}{{nameY, "姓名"}, {genderY, "性别"}, {birthY, "出生"}, {addressY, "住址"}} {
		c.text(labelX, l.y, l.text, lab)
	}
	c.text(labelX, 48.1, "公民身份号码", c.labels(2.8, 2.8))

	st := c.value(3.55, .15)
	if w := c.width(c.Name, st); w > 38 { // longer names are set smaller
		st.em, st.extra = st.em*38/w, 0
	}
	c.at(valueX, nameY, c.Name, st)
	c.at(valueX, genderY, c.Gender, c.value(3.05, 0))
	if c.Nation != "" {
		c.text(nationLabelX, genderY, "民族", c.labels(2.85, 3.0))
		c.at(nationX, genderY, c.Nation, c.value(3.05, 0))
	}
	c.birth()
	c.address()
	c.number()
	if face != nil {
		c.photo(face)
	} else {
		c.figure()
	}
	c.second(true)
}

// number sets the digits in one of three ways, because printers' types differ: bold,
// bold of fixed width, and regular struck twice.
func (c *card) number() {
	st := style{font: c.fonts.bold, em: 4.3 * c.size, pitch: numberPitch, ink: c.ink}
	switch c.r.IntN(3) {
	case 0:
		st.font, st.em = c.fonts.mono, 4.4*c.size
	case 1:
		st.font = c.fonts.hei
		c.at(numberX+.13, numberY, c.Number, st)
	}
	c.at(numberX, numberY, c.Number, st)
}

// birth sets the date with its labels: year, month and day are centred in their places.
func (c *card) birth() {
	if len(c.Birthday) != 8 {
		return
	}
	st, lab := c.value(3.15, .12), c.labels(2.85, 2.85)
	number := func(s string) string { // without leading zeros
		n, _ := strconv.Atoi(s)
		return fmt.Sprint(n)
	}
	c.at(valueX, birthY, c.Birthday[:4], st)
	c.text(24.6, birthY, "年", lab)
	for i, x := range []float64{30.3, 38.0} {
		text := number(c.Birthday[4+2*i : 6+2*i])
		c.at(x-c.width(text, st)/2, birthY, text, st)
	}
	c.text(32.6, birthY, "月", lab)
	c.text(40.2, birthY, "日", lab)
}

// address breaks its lines where a card does: when the next character would pass the
// edge. A fourth line is set closer.
func (c *card) address() {
	em, pitch := 3.05, addressPitch
	if c.Script == Uyghur || c.Script == Tibetan {
		em, pitch = bilingualEm, bilingualPitch
	}
	lines := c.wrapped(c.value(em, .03))
	if len(lines) > 3 {
		em, pitch = em*.93, pitch*.87
		lines = c.wrapped(c.value(em, 0))
	}
	for i, l := range lines {
		c.at(valueX, addressY+float64(i)*pitch, l, c.value(em, .03))
	}
}

func (c *card) wrapped(st style) (lines []string) {
	line := ""
	for _, r := range c.Address {
		if next := line + string(r); line != "" && c.width(next, st) > addressTo-valueX {
			lines, line = append(lines, line), string(r)
		} else {
			line = next
		}
	}
	return append(lines, line)
}

// The portrait's place, mm.
const portraitX, portraitY, portraitW, portraitH = 56.8, 9.0, 24.0, 29.6

func (c *card) photo(face image.Image) {
	at := image.Rect(int(portraitX*c.scale), int(portraitY*c.scale), int((portraitX+portraitW)*c.scale), int((portraitY+portraitH)*c.scale))
	// the middle of the picture in the place's proportions
	b := face.Bounds()
	w := min(b.Dx(), b.Dy()*at.Dx()/at.Dy())
	h := min(b.Dy(), w*at.Dy()/at.Dx())
	from := image.Rect(0, 0, w, h).Add(b.Min).Add(image.Pt((b.Dx()-w)/2, (b.Dy()-h)/2))
	xdraw.CatmullRom.Scale(c.RGBA, at, face, from, draw.Over, nil)
}

// figure draws nobody: an oval head, hair, shoulders.
func (c *card) figure() {
	r := c.r
	skin := pick(r, []color.NRGBA{{246, 214, 186, 255}, {232, 190, 160, 255}, {219, 178, 140, 255}, {205, 160, 128, 255}, {240, 200, 176, 255}})
	hair := pick(r, []color.NRGBA{{28, 24, 22, 255}, {52, 40, 34, 255}, {120, 116, 112, 255}, {70, 50, 36, 255}})
	coat := around(r, 70, 70, 90, 60)
	m := point{portraitX + portraitW/2 + (r.Float64()-.5)*.8, 18.5 + (r.Float64()-.5)*1.2}
	w := 5.6 + r.Float64()*.9
	long := c.Gender == "女" && r.IntN(3) > 0
	if long {
		c.fill(hair, rounded(m.x-w-1.4, m.y-4, m.x+w+1.4, m.y+13, 3)...)
	}
	c.fill(coat, rounded(m.x-10.6, m.y+11.2, m.x+10.6, portraitY+portraitH, 4)...)
	c.fill(skin, rounded(m.x-2.6, m.y+5, m.x+2.6, m.y+12.6, 1)...)
	c.fill(hair, ellipse(m.add(point{0, -2}), w+.9, 7.8, 60)...)
	c.fill(skin, ellipse(m.add(point{0, .6}), w, 8.2, 60)...)
	if c.Gender == "男" || long {
		c.fill(hair, m.add(point{-w, -3.2}), m.add(point{-w * .6, -8}), m.add(point{0, -9.6}), m.add(point{w * .6, -8}), m.add(point{w, -3.2}), m.add(point{0, -5.2}))
	}
	dark := color.NRGBA{40, 34, 34, 255}
	for _, side := range []float64{-1, 1} {
		c.fill(dark, ellipse(m.add(point{side * w * .42, 0}), .85, .5, 24)...)
		brow := m.add(point{side * w * .42, -1.6})
		c.stroke(hair, .35, []point{brow.sub(point{1.1, 0}), brow.add(point{0, -.3}), brow.add(point{1.1, 0})})
	}
	shade := color.NRGBA{skin.R - 40, skin.G - 45, skin.B - 45, 255}
	c.stroke(shade, .25, []point{m.add(point{0, .6}), m.add(point{-.3, 2.9}), m.add(point{.5, 3.1})})
	c.fill(color.NRGBA{184, 96, 92, 255}, ellipse(m.add(point{0, 5}), 1.6, .5, 24)...)
	if r.IntN(4) == 0 { // glasses
		for _, side := range []float64{-1, 1} {
			rim := ellipse(m.add(point{side * w * .42, 0}), 1.9, 1.4, 32)
			c.stroke(dark, .22, append(rim, rim[0]))
		}
	}
}

// The back's places, mm, measured like the front's.
func (c *card) back() {
	c.rosette(point{13.25, 12.3})
	c.wall()
	title := func(x, y, em, pitch float64, text string) {
		c.text(x, y, text, style{font: c.fonts.song, em: em, pitch: pitch, ink: c.titles})
	}
	title(26.5, 10.3, 4.4, 6.4, "中华人民共和国")
	dates := date(c.Issued) + "-" + date(c.Expires)
	lab, val := style{font: c.fonts.hei, em: 2.9 * c.size, pitch: 2.9, ink: c.ink}, c.value(2.9, 0)
	if c.Kind == Resident {
		title(24.2, 19.3, 7, 10, "居民身份证")
		c.text(20.6, 40.6, "签发机关", lab)
		c.at(34.6, 40.6, c.Authority, val)
		c.text(20.6, 47.9, "有效期限", lab)
		c.at(34.6, 47.9, dates, c.value(3.05, .03))
		c.second(false)
		return
	}
	what := "港澳居民居住证"
	if c.Kind == Taiwan {
		what = "台湾居民居住证"
	}
	title(24.8, 19.1, 5.6, 7.5, what)
	c.text(20.6, 31.8, "签发机关", lab)
	c.at(34.6, 31.8, c.Authority, val)
	c.text(20.6, 37.8, "有效期限", lab)
	c.at(34.6, 37.8, dates, c.value(3.05, .03))
	c.text(20.6, 43.75, "通行证号码", lab)
	c.at(37.1, 43.75, c.Pass, c.value(3.05, .03))
	c.text(62.1, 43.75, "签发次数", lab)
	c.at(76.1, 43.75, fmt.Sprintf("%02d", c.Times), c.value(3.05, .03))
}

// date is a date as the back prints it.
func date(s string) string {
	if len(s) != 8 {
		return s
	}
	return s[:4] + "." + s[4:6] + "." + s[6:]
}

// rosette stands in the place of the state emblem, with its colours and nothing of its
// drawing.
func (c *card) rosette(m point) {
	red, gold := around(c.r, 205, 44, 40, 12), color.NRGBA{236, 190, 92, 255}
	c.fill(red, ellipse(m, 7.2, 7.7, 90)...)
	for k := range 12 {
		a := 2 * math.Pi * float64(k) / 12
		p := m.add(point{0, -4.3}.turned(a))
		rim := ellipse(p, 1.5, 1.5, 20)
		c.stroke(gold, .28, append(rim, rim[0]))
	}
	rim := ellipse(m, 2.4, 2.4, 40)
	c.stroke(gold, .4, append(rim, rim[0]))
}

// wall is a line of hills with battlements, pale.
func (c *card) wall() {
	ink := around(c.r, 192, 208, 196, 8)
	var line []point
	at := point{2, 31 + c.r.Float64()*2}
	for at.x < Width-2 {
		step := point{2.2, (c.r.Float64() - .5) * 2.4}
		line = append(line, at, at.add(point{0, -.7}), at.add(point{1.1, -.7}), at.add(point{1.1, 0}))
		if at = at.add(step); at.y < 26 || at.y > 34 {
			at.y = 30
		}
	}
	c.stroke(ink, .5, line)
}
