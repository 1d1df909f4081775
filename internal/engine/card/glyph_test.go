package card

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"shiren/internal/cnid"
	"shiren/internal/engine/enginetest"
	"shiren/internal/engine/vision"
)

var drawn struct {
	sync.Once
	g   *glyphs
	err error
}

// fetched are the glyphs of the fetched font, with the recogniser's classes; drawn once for all tests.
func fetched(t *testing.T) *glyphs {
	t.Helper()
	dir := enginetest.Dir(t)
	drawn.Do(func() {
		var list, font []byte
		if list, drawn.err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(keysFile))); drawn.err != nil {
			return
		}
		if font, drawn.err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(glyphsFile))); drawn.err == nil {
			drawn.g, drawn.err = parseGlyphs(font, parseKeys(list))
		}
	})
	if drawn.err != nil {
		t.Fatalf("the glyphs: %v (run make models)", drawn.err)
	}
	return drawn.g
}

// The font has every character that names are registered with, and no character is added twice. Those
// that the recogniser lacks are strangers.
func TestCharacters(t *testing.T) {
	t.Parallel()
	gb := simplifiedchinese.HZGB2312.NewEncoder()
	seen := map[rune]bool{}
	for _, c := range cnid.ThirdLevel + cnid.BeyondGB2312 + otherCharacters {
		if seen[c] {
			t.Errorf("%c stands twice", c)
		}
		seen[c] = true
	}
	for _, c := range otherCharacters {
		if _, err := gb.String(string(c)); err == nil {
			t.Errorf("%c is of GB 2312", c)
		}
	}
	g := fetched(t)
	for c := range seen {
		if !slices.Contains(g.runes, c) {
			t.Errorf("the font lacks %c", c)
		}
	}
	strange := map[rune]bool{}
	for _, s := range g.strangers {
		strange[s.r] = true
	}
	for c, want := range map[rune]bool{'翾': true, '赟': true, '陎': true, '𣲘': true, '张': false, '沅': false, '媽': false, '轰': false, '丗': false} {
		if strange[c] != want {
			t.Errorf("%c is a stranger: %v, want %v", c, strange[c], want)
		}
	}
}

// set draws a row of characters, em pixels each, as dark ink on white paper, and what stands in it.
func set(t *testing.T, g *glyphs, text string) ([]float32, int) {
	t.Helper()
	chars := []rune(text)
	row := make([]float32, len(chars)*em*em)
	d := g.drawer()
	for i, c := range chars {
		p := d.draw(c)
		if p == nil {
			t.Fatalf("the font lacks %c", c)
		}
		for y := range em {
			copy(row[y*len(chars)*em+i*em:], p[y*em:(y+1)*em])
		}
	}
	return row, len(chars) * em
}

// What the recogniser has no class for is the first that is found for its own picture, whatever the
// coarse picture shows, and what stands beside it.
func TestStrangers(t *testing.T) {
	t.Parallel()
	g := fetched(t)
	for _, c := range "翾韂龆夐赟翀龑鹍猰畲" {
		row, w := set(t, g, "珑"+string(c)+"荷")
		cell, cw := columns(row, w, em, em-3, 2*em+3) // with the ends of both neighbours
		trim(cell, cw, em)
		list := g.search(cell, cw, em, em, nil, true)
		if list[0].r != c || list[0].score < .95 {
			t.Errorf("%c: found %c (%.2f)", c, list[0].r, list[0].score)
		}
		if r, gap := pick(list, g, nil, 0); r != c || gap < missingGap {
			t.Errorf("%c: picked %q by %.3f", c, r, gap)
		}
	}
}

// Where none was seen, a character that the recogniser knows needs to look more alike; what was read
// surely stays unless another looks far more alike.
func TestPick(t *testing.T) {
	t.Parallel()
	g := fetched(t)
	for _, tt := range []struct {
		name string
		list []alikeness
		read *char
		want rune

		beyond float64
	}{
		{"a stranger where none was seen", []alikeness{{'鹍', .75}, {'鹅', .755}}, nil, '鹍', 0},
		{"one that is known, and much more alike", []alikeness{{'鹅', .8}, {'鹍', .75}}, nil, '鹅', 0},
		{"nothing alike", []alikeness{{'鹍', .6}}, nil, 0, 0},
		{"none that is printed", []alikeness{{'丗', .95}, {'鹍', .8}}, nil, 0, 0},
		{"a weak one, and a stranger", []alikeness{{'檫', .945}, {'擦', .91}}, &char{r: '擦', p: .44}, '檫', 0},
		{"a sure one, and a stranger", []alikeness{{'檫', .945}, {'擦', .91}}, &char{r: '擦', p: .99}, 0, 0},
		{"a weak one, and one that is known", []alikeness{{'撤', .93}, {'擦', .91}}, &char{r: '擦', p: .44}, 0, 0},
		{"in a name", []alikeness{{'畬', .916}, {'畲', .903}}, nil, '畬', 0},
		{"in a place's", []alikeness{{'畬', .916}, {'畲', .903}}, nil, '畲', placeCost},
	} {
		if got, _ := pick(tt.list, g, tt.read, tt.beyond); got != tt.want {
			t.Errorf("%s: picked %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The end of a neighbour goes, and a stroke of the character's own stays.
func TestTrim(t *testing.T) {
	t.Parallel()
	const w, h = 40, 40
	bars := func(from ...int) []float32 { // each two pixels wide
		p := make([]float32, w*h)
		for _, x := range from {
			for y := range h {
				p[y*w+x], p[y*w+x+1] = 1, 1
			}
		}
		return p
	}
	for _, tt := range []struct {
		name     string
		has, got []int
	}{
		{"both neighbours", []int{0, 10, 20, 38}, []int{10, 20}},
		{"a thin first stroke", []int{4, 12, 30}, []int{4, 12, 30}},
		{"no gap within a fifth", []int{0, 2, 4, 6, 8, 20}, []int{0, 2, 4, 6, 8, 20}},
		{"nothing", nil, nil},
	} {
		p := bars(tt.has...)
		if trim(p, w, h); !reflect.DeepEqual(p, bars(tt.got...)) {
			t.Errorf("%s: not what should be left", tt.name)
		}
	}
}

// Glyphs decide only where the document's type is kin to theirs: where what was read surely looks
// like its own glyphs. A row that claims other characters than are printed stands for a type that
// does not.
func TestKin(t *testing.T) {
	t.Parallel()
	g := fetched(t)
	const printed, scale = "杭州市公安局西湖区分局", 10.0
	ink, w := set(t, g, printed)
	im := vision.NewImage(856, 540)
	defer im.Release()
	for i := range im.Pix {
		im.Pix[i] = 220
	}
	for y := range em {
		for x := range w {
			for k := range 3 {
				im.Pix[((400+y)*im.W+300+x)*3+k] = uint8(220 - 190*ink[y*w+x])
			}
		}
	}
	p := &placed{to: vision.Homography{scale, 0, 0, 0, scale, 0, 0, 0, 1}, back: vision.Homography{1 / scale, 0, 0, 0, 1 / scale, 0, 0, 0, 1}}
	read := func(claimed string, sure float64) *page {
		l := &line{quad: p.strip(30, 39.6, 30+float64(w)/scale, 43.6)}
		chars := []rune(claimed)
		for i, c := range chars {
			l.chars = append(l.chars, char{r: c, p: sure, at: (float64(i) + .5) / float64(len(chars))})
		}
		return (&Reader{glyphs: g}).page(im, p, []*line{l})
	}
	for _, tt := range []struct {
		name, claimed string
		sure          float64
		want          bool
	}{
		{"its own glyphs", printed, .99, true},
		{"others", "苏鞍警蓝黄贵躺露橙摩器", .99, false},
		{"others, and nothing is sure", "苏鞍警蓝黄贵躺露橙摩器", .9, true},
	} {
		page := read(tt.claimed, tt.sure)
		if got := page.kin(); got != tt.want {
			t.Errorf("%s: kin %v, want %v (likeness %.2f)", tt.name, got, tt.want, page.alike)
		}
	}

	// The same in a row's repair: 西 was read weakly, and known texts have 市 there.
	row := "杭州市公安局市湖区分局"
	known := func(string) []string { return []string{printed} }
	for _, tt := range []struct {
		name string
		kin  float64
		want string
	}{{"kin", 1, printed}, {"not kin", .6, row}} {
		page := read(row, .99)
		page.alike = tt.kin
		look := shot{page.lines[0], 0, 1}
		word := word{text: row, at: page.spans[0]}
		if err := page.repair(&word, []shot{look}, cleanAuthority, known); err != nil || word.text != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, word.text, err, tt.want)
		}
	}
}

// Known texts say which characters are disputed, and which were not read.
func TestDisputed(t *testing.T) {
	t.Parallel()
	read := func(s string) (list []char) {
		for _, r := range s {
			list = append(list, char{r: r})
		}
		return list
	}
	for _, tt := range []struct {
		text, known string
		other, gone map[int][]rune
	}{
		{"京宁县公安局", "景宁县公安局", map[int][]rune{0: {'景'}}, map[int][]rune{}},
		{"景宁族自治县", "景宁畲族自治县", map[int][]rune{}, map[int][]rune{2: {'畲'}}},
		{"景宁县公安局", "景宁县公安局 京宁县公安局", nil, nil},
		{"景宁县公安局", "东方市公安局 海口市公安局美兰分局", map[int][]rune{}, map[int][]rune{}},
	} {
		other, gone := disputed(read(tt.text), func(string) []string { return strings.Fields(tt.known) })
		if !maps.EqualFunc(other, tt.other, slices.Equal) || !maps.EqualFunc(gone, tt.gone, slices.Equal) {
			t.Errorf("%s, known %s: %v, gone %v", tt.text, tt.known, other, gone)
		}
	}
}
