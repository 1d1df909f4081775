package cards

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

var noto = sync.OnceValues(func() (*Press, error) { return NewPress(Noto) })

func press(t *testing.T) *Press {
	t.Helper()
	p, err := noto()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every character of every typeface that this machine has leaves ink, in the typeface or in the
// spare font; what is set differs by typeface, and nothing else does.
func TestTypefaces(t *testing.T) {
	t.Parallel()
	if _, err := NewPress("comic"); err == nil || !strings.Contains(err.Error(), "zenhei") {
		t.Errorf("NewPress of an unknown typeface: %v; want an error that lists those that there are", err)
	}
	who := NewPerson(1, Resident, false)
	plain := press(t).Draw(who, ekyc.CardFront, Look{Seed: 1})
	for _, f := range Typefaces {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			p, err := NewPress(f)
			if errors.Is(err, ErrFonts) && f != Noto {
				if !strings.Contains(err.Error(), "apt-get install") {
					t.Errorf("%v; want what to install", err)
				}
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			for name, st := range map[string]*opentype.Font{"hei": p.fonts.hei, "bold": p.fonts.bold, "mono": p.fonts.mono, "song": p.fonts.song} {
				for _, c := range "0123456789X姓名翾" {
					s := newSheet(10, 10, ppmm, p.fonts)
					if s.text(3, 5, string(c), style{font: st, em: 4, ink: color.NRGBA{A: 255}}); !slices.ContainsFunc(s.Pix, func(v uint8) bool { return v > 0 }) {
						t.Errorf("%c in %s leaves no ink", c, name)
					}
				}
			}
			if got := p.Draw(who, ekyc.CardFront, Look{Seed: 1}); bytes.Equal(got.Pix, plain.Pix) != (f == Noto) {
				t.Errorf("looks like %s: %v", Noto, f != Noto)
			} else if got.Rect != plain.Rect {
				t.Errorf("%v, want %v", got.Rect, plain.Rect)
			}
		})
	}
}

// A font comes out of a collection whose tables begin anywhere; what is cut off is no font.
func TestCollections(t *testing.T) {
	t.Parallel()
	font := goregular.TTF
	n := int(binary.BigEndian.Uint16(font[4:]))
	// Two fonts of one set of tables, which begin one byte past a multiple of four.
	head := binary.BigEndian.AppendUint32([]byte("ttcf\x00\x01\x00\x00\x00\x00\x00\x02"), 20)
	head = binary.BigEndian.AppendUint32(head, 20)
	head = append(head, font[:12+16*n]...)
	data := append(slices.Clone(head), 0)
	for k := range n {
		at, long := binary.BigEndian.Uint32(font[12+16*k+8:]), binary.BigEndian.Uint32(font[12+16*k+12:])
		for len(data)%4 != 1 {
			data = append(data, 0)
		}
		binary.BigEndian.PutUint32(data[20+12+16*k+8:], uint32(len(data)))
		data = append(data, font[at:at+long]...)
	}
	if c, err := opentype.ParseCollection(data); err != nil {
		t.Error(err)
	} else if _, err := c.Font(0); err == nil {
		t.Error("the library reads such collections by now: single can go")
	}
	if got := faces(data); got != 2 {
		t.Errorf("%d fonts, want 2", got)
	}
	for i := range 2 {
		f, err := opentype.Parse(single(data, i))
		if err != nil {
			t.Fatal(err)
		}
		if name, err := f.Name(nil, sfnt.NameIDFull); name != "Go Regular" || err != nil {
			t.Errorf("%q, %v; want Go Regular", name, err)
		}
	}
	for _, cut := range []int{0, 3, 11, 15, 30, len(head), len(data) / 2} {
		if f, err := opentype.Parse(single(data[:cut], 1)); err == nil {
			t.Errorf("%d bytes are a font: %v", cut, f)
		}
	}
	if f, err := opentype.Parse(single(font, 0)); err != nil || f.NumGlyphs() == 0 {
		t.Errorf("a font by itself: %v", err)
	}
}

// A rare name has one character of the third level, and is made from its seed alone.
func TestRareName(t *testing.T) {
	t.Parallel()
	seen := map[rune]bool{}
	for seed := range uint64(3000) {
		name := RareName(seed)
		if again := RareName(seed); again != name {
			t.Fatalf("seed %d made two names", seed)
		}
		rare, n := 0, 0
		for i, c := range []rune(name) {
			if n++; i > 0 && strings.ContainsRune(cnid.ThirdLevel, c) {
				seen[c] = true
				rare++
			}
		}
		if rare < 1 || n < 2 || n > 3 {
			t.Errorf("seed %d: %s", seed, name)
		}
	}
	if len(seen) < 1200 {
		t.Errorf("%d different characters in 3,000 names, want most of 1,605", len(seen))
	}
}

// People are made from their seed alone, agree with themselves, and are marked.
func TestPeople(t *testing.T) {
	t.Parallel()
	seen, nations, rare, forever, dots := map[string]bool{}, map[string]bool{}, 0, 0, 0
	const people = 2000
	for seed := range uint64(people) {
		kind := []Kind{Resident, Resident, Resident, HongKong, Macau, Taiwan}[seed%6]
		bilingual := kind == Resident && seed%12 == 0
		p := NewPerson(seed, kind, bilingual)
		if again := NewPerson(seed, kind, bilingual); again != p {
			t.Fatalf("seed %d made two people", seed)
		}
		n, err := cnid.ParseNumber(p.Number)
		if err != nil {
			t.Fatalf("seed %d: the number does not parse: %v", seed, err)
		}
		if got := n.Birth().Format("20060102"); got != p.Birthday {
			t.Errorf("seed %d: the number says born %s, the card %s", seed, got, p.Birthday)
		}
		if n.Female() != (p.Gender == "女") {
			t.Errorf("seed %d: number and gender %s disagree", seed, p.Gender)
		}
		if running := p.Number[14:17]; running < "990" || running > "995" {
			t.Errorf("seed %d: running number %s, want 990 to 995, which mark it as synthetic", seed, running)
		}
		if n.ResidencePermit() != (kind != Resident) || (p.Nation == "") != (kind != Resident) {
			t.Errorf("seed %d: kind %s has region %s and nation %q", seed, kind, p.Number[:2], p.Nation)
		}
		if (p.Script != "") != bilingual {
			t.Errorf("seed %d: script %q, bilingual %v", seed, p.Script, bilingual)
		}
		if _, err := cnid.ParseName(p.Name); err != nil || utf8.RuneCountInString(p.Name) < 2 {
			t.Errorf("seed %d: a name that is none: %v", seed, err)
		}
		checkValidity(t, seed, p)
		seen[p.Name], nations[p.Nation] = true, true
		if strings.ContainsAny(p.Name, string(rareGiven)) {
			rare++
		}
		if p.Expires == "长期" {
			forever++
		}
		if strings.Contains(p.Name, "·") {
			dots++
		}
	}
	if len(nations) != 57 {
		t.Errorf("got %d nations, want all 56 and none on permits", len(nations)-1)
	}
	if len(seen) < people*9/10 || rare < people/8 || forever < people/10 || dots < people/100 {
		t.Errorf("of %d people: %d names, %d rare, %d without an end, %d with a dot; want variety", people, len(seen), rare, forever, dots)
	}
}

// checkValidity holds the dates against the law: 5, 10 or 20 years by age, or for ever.
func checkValidity(t *testing.T, seed uint64, p Person) {
	t.Helper()
	day := func(s string) time.Time {
		d, err := time.Parse("20060102", s)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return d
	}
	born, issued := day(p.Birthday), day(p.Issued)
	if !issued.After(born) || issued.After(today) {
		t.Errorf("seed %d: born %s, issued %s", seed, p.Birthday, p.Issued)
	}
	years := 5
	if p.Kind == Resident {
		switch {
		case !issued.Before(born.AddDate(46, 0, 0)):
			years = 0
		case !issued.Before(born.AddDate(26, 0, 0)):
			years = 20
		case !issued.Before(born.AddDate(16, 0, 0)):
			years = 10
		}
	}
	want := "长期"
	if years > 0 {
		want = issued.AddDate(years, 0, 0).Format("20060102")
	}
	if p.Expires != want {
		t.Errorf("seed %d: born %s, issued %s: expires %s, want %s", seed, p.Birthday, p.Issued, p.Expires, want)
	}
}

// Each of the nations is named once.
func TestNations(t *testing.T) {
	t.Parallel()
	if got := len(slices.Compact(slices.Sorted(slices.Values(nations)))); got != 56 {
		t.Errorf("got %d nations, want 56", got)
	}
}

// dark is the share of pixels of a part of a card, in mm, that are ink.
func dark(card *image.RGBA, x0, y0, x1, y1 float64) float64 {
	n, all := 0, 0
	for y := int(y0 * ppmm); y < int(y1*ppmm); y++ {
		for x := int(x0 * ppmm); x < int(x1*ppmm); x++ {
			p := card.Pix[y*card.Stride+x*4:]
			if all++; int(p[0])+int(p[1])+int(p[2]) < 330 {
				n++
			}
		}
	}
	return float64(n) / float64(all)
}

// What a document says stands where it stands on a real one, what it does not say leaves
// its place empty, and the mark stands in a margin.
func TestLayout(t *testing.T) {
	t.Parallel()
	p := press(t)
	who := NewPerson(1, Resident, false)
	front, back := p.Draw(who, ekyc.CardFront, Look{Seed: 4}), p.Draw(who, ekyc.CardBack, Look{Seed: 4})
	permit := p.Draw(NewPerson(1, Taiwan, false), ekyc.CardBack, Look{Seed: 4})
	front2 := p.Draw(NewPerson(1, Taiwan, false), ekyc.CardFront, Look{Seed: 4})
	for _, c := range []struct {
		what           string
		card           *image.RGBA
		x0, y0, x1, y1 float64
		ink            bool
	}{
		{"name", front, 15, 8, 22, 12, true},
		{"gender", front, 15, 15, 19, 18.5, true},
		{"nation", front, 33, 15, 37, 18.5, true},
		{"no nation on a permit", front2, 33, 15, 37, 18.5, false},
		{"year", front, 15, 21.5, 23, 25, true},
		{"address", front, 15, 28, 40, 32, true},
		{"number", front, 30, 46, 76, 50, true},
		{"no number on the back", back, 60, 44, 76, 50, false},
		{"title", back, 24, 16, 72, 23, true},
		{"authority", back, 34, 39, 44, 42.5, true},
		{"validity", back, 34, 46, 60, 49.5, true},
		{"a permit's authority", permit, 34, 30, 44, 33.5, true},
		{"a permit's pass number", permit, 37, 42, 50, 45.5, true},
		{"an empty margin", front, 2, 44, 5, 50, false},
	} {
		if got := dark(c.card, c.x0, c.y0, c.x1, c.y1); got > .02 != c.ink {
			t.Errorf("%s: %.1f %% of its place is ink, want ink: %v", c.what, 100*got, c.ink)
		}
	}
	for side, card := range map[string]*image.RGBA{"front": front, "back": back} {
		red := 0
		for y := int(2.5 * ppmm); y < int(4.7*ppmm); y++ {
			for x := 6 * ppmm; x < 25*ppmm; x++ {
				if q := card.Pix[y*card.Stride+x*4:]; int(q[0]) > int(q[1])+80 && int(q[0]) > int(q[2])+80 {
					red++
				}
			}
		}
		if red < 500 {
			t.Errorf("%s: the specimen's mark has %d red pixels, want it to be seen", side, red)
		}
		if a := card.RGBAAt(0, 0).A; a != 0 {
			t.Errorf("%s: a corner has alpha %d, want round ones", side, a)
		}
	}
}

// A second script adds ink above the labels and moves no value.
func TestSecondScript(t *testing.T) {
	t.Parallel()
	p := press(t)
	who := NewPerson(3, Resident, false)
	plain := p.Draw(who, ekyc.CardFront, Look{Seed: 9})
	for _, s := range []Script{Zhuang, Korean, Uyghur, Tibetan, Mongolian} {
		who.Script = s
		card := p.Draw(who, ekyc.CardFront, Look{Seed: 9})
		differ := func(x0, y0, x1, y1 float64) (n int) {
			for y := int(y0 * ppmm); y < int(y1*ppmm); y++ {
				a, b := plain.Pix[y*plain.Stride:], card.Pix[y*card.Stride:]
				if !bytes.Equal(a[int(x0*ppmm)*4:int(x1*ppmm)*4], b[int(x0*ppmm)*4:int(x1*ppmm)*4]) {
					n++
				}
			}
			return n
		}
		if n := differ(3.5, 6, 15, 18); n < 20 {
			t.Errorf("%s: %d rows beside the labels differ, want ink", s, n)
		}
		if n := differ(30, 46, 76, 50); n > 0 {
			t.Errorf("%s: %d rows of the number differ, want none", s, n)
		}
	}
}

// A caller's picture takes the figure's place.
func TestFace(t *testing.T) {
	t.Parallel()
	face := image.NewRGBA(image.Rect(5, 5, 105, 155))
	for i := range face.Pix {
		face.Pix[i] = []byte{10, 200, 30, 255}[i%4]
	}
	card := press(t).Draw(NewPerson(1, Resident, false), ekyc.CardFront, Look{Seed: 4, Face: face})
	if got := card.RGBAAt(int((portraitX+portraitW/2)*ppmm), int((portraitY+portraitH/2)*ppmm)); got.R != 10 || got.G != 200 || got.B != 30 {
		t.Errorf("the portrait's middle is %v, want the given picture", got)
	}
}

// The same shot is the same picture; another seed is another one; the corners are where
// the card is.
func TestShots(t *testing.T) {
	t.Parallel()
	card := image.NewRGBA(image.Rect(0, 0, 428, 270))
	for i := range card.Pix {
		card.Pix[i] = 255
	}
	for _, l := range Levels {
		a, err := Shoot(card, Shot{Level: l, Seed: 11})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := Shoot(card, Shot{Level: l, Seed: 11})
		c, _ := Shoot(card, Shot{Level: l, Seed: 12})
		if sha256.Sum256(a.JPEG) != sha256.Sum256(b.JPEG) {
			t.Errorf("%s: the same shot made two pictures", l)
		}
		if bytes.Equal(a.JPEG, c.JPEG) {
			t.Errorf("%s: two seeds made one picture", l)
		}
		im, err := jpeg.Decode(bytes.NewReader(a.JPEG))
		if err != nil {
			t.Fatal(err)
		}
		if b := im.Bounds(); b.Dx() != a.W || b.Dy() != a.H {
			t.Errorf("%s: the picture is %v, said to be %d x %d", l, b, a.W, a.H)
		}
		for i, p := range a.Quad {
			if p[0] < 0 || p[1] < 0 || p[0] >= float64(a.W) || p[1] >= float64(a.H) {
				t.Errorf("%s: corner %d at %v is outside %d x %d", l, i, p, a.W, a.H)
			}
		}
		want := levels[l]
		if a.Width < want.width[0] || a.Width > want.width[1] || a.Quality < want.quality[0] || a.Quality > want.quality[1] || a.Blur < want.blur[0] || a.Blur > want.blur[1] {
			t.Errorf("%s: %d px wide, blur %.2f, quality %d; want them within %+v", l, int(a.Width), a.Blur, a.Quality, want)
		}
	}
	if _, err := Shoot(card, Shot{Level: "easy"}); err == nil {
		t.Error("a level that does not exist was taken")
	}
}

// A cut card reaches over the picture's edge; turning goes any way.
func TestCutAndTurned(t *testing.T) {
	t.Parallel()
	card := image.NewRGBA(image.Rect(0, 0, 214, 135))
	for i := range card.Pix {
		card.Pix[i] = 255
	}
	quarters := map[int]bool{}
	for seed := range uint64(6) {
		p, err := Shoot(card, Shot{Level: Mild, Seed: seed, Cut: .4})
		if err != nil {
			t.Fatal(err)
		}
		least := math.Inf(1)
		for _, c := range p.Quad {
			least = min(least, c[0], c[1])
		}
		if least > -.2*p.Width {
			t.Errorf("seed %d: the outermost corner is at %.0f of a card of %.0f px, want it far outside", seed, least, p.Width)
		}
		if p, err = Shoot(card, Shot{Level: Hard, Seed: seed, Turned: true}); err != nil {
			t.Fatal(err)
		}
		a := math.Atan2(p.Quad[1][1]-p.Quad[0][1], p.Quad[1][0]-p.Quad[0][0])
		quarters[int(math.Floor(a/(math.Pi/2)))] = true
	}
	if len(quarters) < 3 {
		t.Errorf("six turned cards lie in %d quarters of the circle, want any", len(quarters))
	}
}

// A homography carries corners to corners.
func TestHomography(t *testing.T) {
	t.Parallel()
	to := [4]point{{120, 80}, {900, 140}, {870, 610}, {90, 560}}
	h := between(rectangle(Width, Height), to)
	for i, p := range rectangle(Width, Height) {
		if x, y := h.at(p.x, p.y); to[i].distance(point{x, y}) > 1e-6 {
			t.Errorf("corner %d goes to %.3f, %.3f, want %v", i, x, y, to[i])
		}
	}
}

// Odd pictures say what is odd and what is right; a wrong number is wrong.
func TestStrange(t *testing.T) {
	t.Parallel()
	p := press(t)
	for _, o := range []Odd{OddNumber, OddBank, OddTwo} {
		r, data, err := p.Strange(o, 2)
		if err != nil {
			t.Fatal(err)
		}
		if r.Odd != o || len(r.Want) == 0 || len(data) == 0 {
			t.Errorf("%s: got %+v", o, r)
		}
		_, err = cnid.ParseNumber(r.Truth.Number)
		switch o {
		case OddNumber:
			if err == nil || !slices.Contains(r.Flags, ekyc.CardNumberWrong) {
				t.Errorf("the wrong number parses, or no flag is wanted: %v", r.Flags)
			}
		case OddTwo:
			if err != nil {
				t.Errorf("the larger of two cards: %v", err)
			}
		case OddBank:
			if r.Truth != (Person{}) {
				t.Error("a bank card says something of a person")
			}
		}
	}
	if _, _, err := p.Strange("hat", 1); err == nil {
		t.Error("an oddity that does not exist was made")
	}
	if luhn([]byte("4111111111111112")) || !luhn([]byte("4111111111111111")) {
		t.Error("the check of ISO/IEC 7812 does not tell 4111111111111111 from a slip")
	}
	for _, o := range Odds {
		if len(wanted[o]) == 0 {
			t.Errorf("%s has no right status", o)
		}
	}
}

// A set is written and read back as it was made, and a folder that holds something is
// left alone.
func TestSetRoundTrip(t *testing.T) {
	t.Parallel()
	p := press(t)
	dir := filepath.Join(t.TempDir(), "new")
	each, finish, err := Keep(dir)
	if err != nil {
		t.Fatal(err)
	}
	set := Set{People: 1, Seed: 3, Levels: []Level{Hard}, Bilingual: 1}
	var made []Record
	err = p.Make(set, func(r Record, data []byte) error {
		made = append(made, r)
		return each(r, data)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTruth(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got) != set.Pictures() || !reflect.DeepEqual(got, made) {
		t.Errorf("got %+v, want what was made: %+v", got, made)
	}
	if got[0].Truth.Script == "" {
		t.Error("a set of bilingual cards has one without a second script")
	}
	for _, r := range got {
		if _, err := os.Stat(filepath.Join(dir, r.File)); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := Keep(dir); err == nil {
		t.Error("a folder that is not empty was taken")
	}
}

// A list that cannot be measured against says why.
func TestReadTruthRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:   "holds no truth.json",
		`{`:  "truth.json",
		`[]`: "no pictures",
		`[{"file":"../a.jpg","level":"mild","side":"front"}]`:             "below the folder",
		`[{"file":"a.jpg","level":"mild","side":"left"}]`:                 "front or back",
		`[{"file":"a.jpg","side":"front"}]`:                               "no level",
		`[{"file":"a.jpg","level":"odd","side":"front","odd":"face"}]`:    "want",
		`[{"file":"a.jpg","level":"mild","side":"front","truth":"none"}]`: "truth",
	} {
		dir := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, TruthFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ReadTruth(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
