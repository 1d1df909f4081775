package card

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
)

func TestParseBirthday(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1990年3月17日": "19900317", "2011年12月1日": "20111201", "2000年2月29": "20000229",
		"1999年2月29日": "", "1990年13月1日": "", "1990年3月": "", "90年3月1日": "", "1990年三月1日": "", "": "",
	} {
		got := ""
		if d, ok := parseBirthday(text); ok {
			got = d.Format("20060102")
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestParseValidity(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2018.02.28-2038.02.28": "20180228 20380228", "2018.02.28一2038.02.28": "20180228 20380228",
		"20180228-20380228": "20180228 20380228", "2018.02.28-长期": "20180228 长期", "2018.02.28长": "20180228 长期",
		"2018.02.30-2038.02.28": "", "2018.02.28-2038.02.28长期": "", "2018.02.28": "", "有效2018.02.28-2038.02.28": "", "": "",
	} {
		got := ""
		if from, to, ok := parseValidity(text); ok {
			got = from.Format("20060102") + " " + to
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestIssuedFor(t *testing.T) {
	t.Parallel()
	day := func(s string) time.Time {
		d, err := time.Parse("20060102", s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		from, to string
		years    int
		ok       bool
	}{
		{"20180301", "20380301", 20, true},
		{"20090829", "20290828", 20, true},
		{"20160229", "20260301", 10, true}, // no 29 February in 2026
		{"20160229", "20260228", 10, true},
		{"20210601", "20260601", 5, true},
		{"20210601", "长期", 0, true},
		{"20210601", "20270601", 0, false},
		{"20210601", "20260603", 0, false},
		{"20210601", "", 0, false},
	} {
		if years, ok := issuedFor(day(c.from), c.to); years != c.years || ok != c.ok {
			t.Errorf("%s-%s: got %d years, %v; want %d, %v", c.from, c.to, years, ok, c.years, c.ok)
		}
	}
}

// rowsOf are the recogniser's probabilities as if it read a text, a blank between characters.
func rowsOf(text string, sure float64) [][12]float64 {
	var rows [][12]float64
	for _, c := range text {
		var r, b [12]float64
		for i := range r {
			r[i], b[i] = (1-sure)/11, (1-sure)/11
		}
		r[1+strings.IndexRune("0123456789X", c)], b[0] = sure, sure
		rows = append(rows, r, b)
	}
	return rows
}

func TestBeamReadsDigits(t *testing.T) {
	t.Parallel()
	want := "11019919900317882X"
	rows := rowsOf(want, 0.9)
	got := beam(rows, 18)
	if len(got) == 0 || got[0].text != want {
		t.Fatalf("got %d texts, the first of them not the one that was shown", len(got))
	}
	// A doubled digit without a blank between is one digit.
	if got := beam(append(rowsOf("1", 0.9)[:1], rowsOf("12", 0.9)...), 2); got[0].text != "12" {
		t.Errorf("got %q of a long 1 and a 2, want 12", got[0].text)
	}
	if d := forward(rows, want) - got[0].score; math.Abs(d) > 0.3 {
		t.Errorf("the search's score is off by %v from the sum over all alignments, of which it drops the unlikely", d)
	}
}

// Of a number with one character wrong the repairs fulfil the check, and the right one is among them.
func TestRepairs(t *testing.T) {
	t.Parallel()
	digits := "53079919900317881"
	right := digits + string(cnid.CheckCharacter(digits))
	wrong := right[:10] + "8" + right[11:]
	list := repairs(wrong)
	if !slices.Contains(list, right) {
		t.Errorf("got %d repairs without the right one", len(list))
	}
	for _, v := range list {
		if _, err := cnid.ParseNumber(v); err != nil && v[:17] != wrong[:17] {
			t.Errorf("a repair does not fulfil the check: %v", err)
		}
	}
	if repairs(right) != nil {
		t.Error("a right number was repaired")
	}
}

func table(t testing.TB) *regions {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(enginetest.Dir(t), filepath.FromSlash(regionsFile)))
	if err != nil {
		t.Fatalf("%v: run make models", err)
	}
	r, err := parseRegions(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Names of regions are suggested for what differs little from them, and nothing else.
func TestRegions(t *testing.T) {
	t.Parallel()
	r := table(t)
	if got := r.prefixes("江西省安义具新华西路60", ""); !slices.Contains(got, "江西省安义县新华西路60") {
		t.Errorf("got %v, want the county's right name among them", got)
	}
	if got := r.prefixes("江省安义县新华西路60", ""); !slices.Contains(got, "江西省安义县新华西路60") {
		t.Errorf("got %v, want the lost character put in", got)
	}
	if got := r.prefixes("上下左右东西南北", ""); len(got) != 0 {
		t.Errorf("got %v for what is no region, want nothing", got)
	}
	if got := r.authorities("银川市公安局兴庆区分"); !slices.Contains(got, "银川市公安局兴庆区分局") {
		t.Errorf("got %v, want the lost character put in", got)
	}
	if !r.known("53") || !r.known("83") || r.known("99") {
		t.Error("provinces 53 and 83 are known, 99 is not")
	}
	for _, bad := range []string{"", "{}", `[{"c":"1"}]`} {
		if _, err := parseRegions([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a table of regions", bad)
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"1990年3月17日", "2018.02.28-2038.02.28", "2018.02.28-长期", "江西省安义县新华西路60号", "\xff年月日"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := parseBirthday(s); ok {
			if again, ok := parseBirthday(birthText(d)); !ok || !again.Equal(d) {
				t.Errorf("birthday %v is not read again from its own text", d)
			}
		}
		if from, to, ok := parseValidity(s); ok {
			a, b, ok := parseValidity(validityText(from, to))
			if !ok || !a.Equal(from) || b != to {
				t.Errorf("validity %v %s is not read again from its own text", from, to)
			}
			if to != ekyc.CardForever && len(to) != 8 {
				t.Errorf("got the expiry %q", to)
			}
		}
		for _, clean := range []func(string) string{cleanName, cleanAddress, cleanAuthority, cleanPass, cleanDigits} {
			once := clean(s)
			if !utf8.ValidString(once) || clean(once) != once {
				t.Errorf("cleaning %q twice differs from once: %q", s, once)
			}
		}
	})
}

func FuzzNumber(f *testing.F) {
	f.Add([]byte("11019919900317882X"), 18)
	f.Add([]byte("000000"), 4)
	f.Fuzz(func(t *testing.T, data []byte, length int) {
		if len(data) > 40 || length < 1 || length > 18 {
			return
		}
		rows := make([][12]float64, len(data))
		for i, b := range data {
			for j := range rows[i] {
				rows[i][j] = 1e-5
			}
			rows[i][int(b)%12] = 0.9
		}
		list := beam(rows, length)
		for i, c := range list {
			if len(c.text) != length || i > 0 && c.score > list[i-1].score || strings.Contains(c.text[:length-1], "X") {
				t.Fatalf("text %d of %d is out of form or order", i, len(list))
			}
		}
	})
}

func TestAuthoritiesWithoutTheirPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"县公安局": true, "市公安局雁塔分局": true, "公安局": true, "区公安分局": true,
		"黟县公安局": false, "公安县公安局": false, "济宁市公安局市中分局": false, "": false,
	} {
		if got := placeless(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
