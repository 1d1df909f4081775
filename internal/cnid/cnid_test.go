package cnid

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// 11010519491231002X and 440524188001010014 are the examples of GB 11643-1999.
func TestParseNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]error{
		"11010519491231002X": nil, "440524188001010014": nil, " 11010519491231002x ": nil,
		"110105194912310021": ErrNumberCheck, "11010519491331002X": ErrNumberBirth, "11010519490229002X": ErrNumberBirth,
		"": ErrNumberLength, "11010519491231002": ErrNumberLength, "1101051949123100２X": ErrNumberLength,
		"1101051949123A002X": ErrNumberChars, "11010519491231002Y": ErrNumberChars, "110105164912310020": ErrNumberBirth,
	} {
		n, err := ParseNumber(in)
		if !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", in, err, want)
		}
		if err != nil && in != "" && strings.Contains(err.Error(), in) {
			t.Errorf("%q: the error repeats the number", in)
		}
		if err == nil && n != Number(strings.ToUpper(strings.TrimSpace(in))) {
			t.Errorf("%q: got %q", in, string(n))
		}
	}
	n, _ := ParseNumber("11010519491231002X")
	if got := n.Birth().Format("2006-01-02"); got != "1949-12-31" || !n.Female() || n.ResidencePermit() {
		t.Errorf("got born %s, female %v, permit %v", got, n.Female(), n.ResidencePermit())
	}
}

func FuzzParseNumber(f *testing.F) {
	f.Add("11010519491231002X")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		if err != nil {
			return
		}
		if c := CheckCharacter(string(n[:17])); c != n[17] {
			t.Errorf("accepted %q with check character %c, want %c", s, n[17], c)
		}
		if again, err := ParseNumber(string(n)); err != nil || again != n {
			t.Errorf("%q does not read back: %v", string(n), err)
		}
	})
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"张三": "张三", " 张三 ": "张三", "阿卜杜拉•买买提": "阿卜杜拉·买买提", "O'Brien-Smith Jr.": "O'Brien-Smith Jr.", "𠮷野": "𠮷野",
		"": "", "··": "", "张3": "", "<b>": "", strings.Repeat("长", MaxName+1): "", "张\x00三": "", "\xff": "",
	} {
		got, err := ParseName(in)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", in, string(got), err, want)
		}
	}
}

func TestPrintedValuesAreMasked(t *testing.T) {
	t.Parallel()
	n, name := Number("11010519491231002X"), Name("张三丰")
	for _, got := range []string{fmt.Sprint(n, name), fmt.Sprintf("%v %+v %#v %s", n, n, n, n), fmt.Sprintf("%#v %s", name, struct{ N Name }{name}), n.LogValue().String(), name.LogValue().String()} {
		if strings.Contains(got, "19491231") || strings.Contains(got, "三丰") {
			t.Errorf("printed %q", got)
		}
	}
	if got := n.String(); got != "110***********002X" {
		t.Errorf("got %q, want the seed's mask 110***********002X", got)
	}
}
