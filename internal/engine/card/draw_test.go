package card_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"shiren/internal/ekyc"
	"shiren/internal/engine/card"
	"shiren/internal/engine/enginetest"
)

// opened is the reader of all tests, opened once and never closed.
var opened struct {
	sync.Once
	reader *card.Reader
	font   *opentype.Font
	err    error
}

func reader(t testing.TB) *card.Reader {
	t.Helper()
	dir := enginetest.Dir(t)
	opened.Do(func() {
		var data []byte
		if data, opened.err = os.ReadFile(filepath.Join(dir, "card", "glyphs.ttf")); opened.err != nil {
			return
		}
		if opened.font, opened.err = opentype.Parse(data); opened.err != nil {
			return
		}
		opened.reader, opened.err = card.Open(card.Config{Models: dir})
	})
	if opened.err != nil {
		t.Fatalf("open the document reader: %v (run make models)", opened.err)
	}
	return opened.reader
}

// sheet is a document being drawn, mm pixels a millimetre.
type sheet struct {
	t  testing.TB
	im *image.RGBA
}

const mm = 12.0

var (
	ground = color.RGBA{R: 214, G: 226, B: 232, A: 255}
	blue   = color.RGBA{R: 70, G: 120, B: 190, A: 255}
	black  = color.RGBA{R: 35, G: 32, B: 34, A: 255}
	red    = color.RGBA{R: 200, G: 60, B: 50, A: 255}
)

func newSheet(t testing.TB) *sheet {
	reader(t) // has the font
	im := image.NewRGBA(image.Rect(0, 0, 1027, 648))
	draw.Draw(im, im.Rect, image.NewUniform(ground), image.Point{}, draw.Src)
	return &sheet{t, im}
}

// text draws characters, each centred at its own place: first, first+pitch and so on.
func (s *sheet) text(text string, first, y, pitch, size float64, c color.Color) {
	s.t.Helper()
	face, err := opentype.NewFace(opened.font, &opentype.FaceOptions{Size: size * mm, DPI: 72})
	if err != nil {
		s.t.Fatal(err)
	}
	d := font.Drawer{Dst: s.im, Src: image.NewUniform(c), Face: face}
	for i, r := range []rune(text) {
		x := (first + float64(i)*pitch) * mm
		w := float64(font.MeasureString(face, string(r))) / 64
		d.Dot = fixed.Point26_6{X: fixed.Int26_6((x - w/2) * 64), Y: fixed.Int26_6((y + 0.38*size) * mm * 64)}
		d.DrawString(string(r))
	}
}

// row draws a text from its left edge as type is set.
func (s *sheet) row(text string, x, y, size float64) {
	s.t.Helper()
	face, err := opentype.NewFace(opened.font, &opentype.FaceOptions{Size: size * mm, DPI: 72})
	if err != nil {
		s.t.Fatal(err)
	}
	d := font.Drawer{Dst: s.im, Src: image.NewUniform(black), Face: face}
	d.Dot = fixed.Point26_6{X: fixed.Int26_6(x * mm * 64), Y: fixed.Int26_6((y + 0.38*size) * mm * 64)}
	d.DrawString(text)
}

func (s *sheet) fill(x0, y0, x1, y1 float64, c color.Color) {
	draw.Draw(s.im, image.Rect(int(x0*mm), int(y0*mm), int(x1*mm), int(y1*mm)), image.NewUniform(c), image.Point{}, draw.Src)
}

// person is what a document says. No such person exists, and the numbers' county code
// 99 is no county's.
type person struct {
	name, gender, nation string
	year, month, day     string
	address              []string
	number               string
	authority, from, to  string
	pass, times          string
}

func (p person) front(t testing.TB) *image.RGBA {
	s := newSheet(t)
	s.text("姓名", 7.5, 9.8, 3.3, 2.8, blue)
	s.text(p.name, 17.1, 9.8, 3.65, 3.5, black)
	s.text("性别", 7.5, 16.7, 3.1, 2.8, blue)
	s.text(p.gender, 17.1, 16.7, 3, 2.9, black)
	if p.nation != "" {
		s.text("民族", 25.8, 16.6, 3.6, 2.8, blue)
		s.text(p.nation, 34.8, 16.6, 3, 2.9, black)
	}
	s.text("出生", 7.4, 23.2, 3.3, 2.8, blue)
	s.text("年", 25.9, 23.2, 3, 2.8, blue)
	s.text("月", 33.9, 23.2, 3, 2.8, blue)
	s.text("日", 41.1, 23.2, 3, 2.8, blue)
	s.row(p.year, 15.6, 23.2, 3)
	s.row(p.month, 29.5, 23.2, 3)
	s.row(p.day, 36.4, 23.2, 3)
	s.text("住址", 7.5, 29.9, 3.4, 2.8, blue)
	for i, row := range p.address {
		s.row(row, 15.8, 29.9+4.65*float64(i), 2.93)
	}
	s.text("公民身份号码", 7.6, 48, 2.8, 2.8, blue)
	s.text(p.number, 31, 47.7, 2.594, 3.6, black)
	// A drawn figure in the portrait's place.
	s.fill(55, 9, 79, 41, color.RGBA{R: 235, G: 236, B: 238, A: 255})
	s.fill(61, 13, 73, 29, color.RGBA{R: 222, G: 180, B: 150, A: 255})
	s.fill(57, 31, 77, 41, color.RGBA{R: 40, G: 60, B: 110, A: 255})
	return s.im
}

func (p person) back(t testing.TB) *image.RGBA {
	s := newSheet(t)
	s.fill(8, 7, 18, 18, red)
	s.text("中华人民共和国", 28.3, 10.3, 6.32, 4.2, black)
	s.text("居民身份证", 27.2, 19.2, 10.28, 6, black)
	s.text("签发机关", 21.8, 40.5, 2.9, 2.8, black)
	s.row(p.authority, 34.4, 40.5, 2.9)
	s.text("有效期限", 21.9, 47.8, 2.87, 2.8, black)
	s.row(p.from+"-"+p.to, 34.6, 47.9, 2.9)
	return s.im
}

func (p person) permitBack(t testing.TB) *image.RGBA {
	s := newSheet(t)
	s.fill(8, 7, 18, 18, red)
	s.text("中华人民共和国", 28.4, 10.3, 6.3, 4.2, black)
	s.text("港澳居民居住证", 27, 19.2, 7.62, 5, black)
	s.text("签发机关", 21.8, 31.7, 2.93, 2.8, black)
	s.row(p.authority, 34.4, 31.7, 2.9)
	s.text("有效期限", 21.9, 37.7, 2.87, 2.8, black)
	s.row(p.from+"-"+p.to, 34.6, 37.7, 2.9)
	s.text("通行证号码", 21.8, 43.8, 2.93, 2.8, black)
	s.row(p.pass, 36.8, 43.8, 2.9)
	s.text("签发次数", 63.4, 43.7, 2.8, 2.8, black)
	s.row(p.times, 76, 43.7, 2.9)
	return s.im
}

// lying says how a document lies in a photograph: its width, where its middle is, and
// by how many degrees it is turned; tilt makes its far edge shorter by that share.
type lying struct {
	card        image.Image
	width, x, y float64
	turn, tilt  float64
}

// photograph is a JPEG of documents on a table.
func photograph(t testing.TB, w, h int, docs ...lying) []byte {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(im, im.Rect, image.NewUniform(color.RGBA{R: 96, G: 84, B: 70, A: 255}), image.Point{}, draw.Src)
	for _, d := range docs {
		sin, cos := math.Sincos(d.turn * math.Pi / 180)
		b := d.card.Bounds()
		for y := range h {
			for x := range w {
				dx, dy := float64(x)-d.x, float64(y)-d.y
				u, v := (cos*dx+sin*dy)/d.width, (-sin*dx+cos*dy)/d.width
				u /= 1 + d.tilt*v // rows above the middle are shorter
				cx, cy := (u+0.5)*float64(b.Dx()), v*float64(b.Dx())+float64(b.Dy())/2
				if cx < 1 || cy < 1 || cx >= float64(b.Dx()-2) || cy >= float64(b.Dy()-2) {
					continue
				}
				im.Set(x, y, average(d.card.(*image.RGBA), cx, cy, float64(b.Dx())/d.width))
			}
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, im, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// average is the mean of three by three samples over a pixel.
func average(im *image.RGBA, x, y, size float64) color.RGBA {
	var sum [3]int
	for j := -1; j <= 1; j++ {
		for i := -1; i <= 1; i++ {
			p := image.Pt(int(x+float64(i)*size/3), int(y+float64(j)*size/3))
			if !p.In(im.Rect) {
				p = image.Pt(int(x), int(y))
			}
			c := im.RGBAAt(p.X, p.Y)
			sum[0], sum[1], sum[2] = sum[0]+int(c.R), sum[1]+int(c.G), sum[2]+int(c.B)
		}
	}
	return color.RGBA{R: uint8(sum[0] / 9), G: uint8(sum[1] / 9), B: uint8(sum[2] / 9), A: 255}
}

// flat is a photograph of one document, straight.
func flat(t testing.TB, im image.Image) []byte {
	return photograph(t, 1200, 800, lying{card: im, width: 1020, x: 600, y: 400})
}

// values are what was read, for comparing.
func values(c ekyc.CardReading) map[ekyc.CardField]string {
	m := map[ekyc.CardField]string{}
	for f, w := range c.Words {
		m[f] = w.Value
	}
	return m
}
