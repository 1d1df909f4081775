package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"shiren/internal/ekyc"
	"shiren/internal/source/registry"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// bring imports a file and returns what was said of its lines.
func bring(t *testing.T, r *registry.Registry, text string, im registry.Import) (registry.Imported, []string) {
	t.Helper()
	var said []string
	file, _, err := registry.Fingerprint(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	im.Lines, im.File = strings.NewReader(text), file
	if im.Batch == 0 {
		im.Batch, im.Workers = 2, 3
	}
	im.Reject = func(line int, why string) error {
		said = append(said, fmt.Sprintf("%d: %s", line, why))
		return nil
	}
	n, err := r.Import(t.Context(), im)
	if err != nil {
		t.Fatal(err)
	}
	return n, said
}

func TestImport(t *testing.T) {
	t.Parallel()
	r, e, _ := open(t)
	text := "姓名,身份证号,手机号,运营商,照片\n" +
		"张三," + number(1) + ",13800138000,,zhang.jpg\n" +
		"李四," + number(2) + ",13900139000;18612345678,移动;电信,\n" +
		"\n" +
		"王五,110101199001011111,,,\n" + // wrong check character
		"张三丰," + number(1) + ",,,\n" + // a number twice
		"赵六," + number(4) + ",12345,,\n" +
		"钱七," + number(5) + ",13700137000,铁通,\n" +
		"孙八," + number(6) + ",,,nobody.jpg\n" +
		"周九," + number(7) + "\n" +
		"吴\"十," + number(8) + ",,,\n" +
		"郑一," + number(9) + ",,,poor.jpg\n" +
		"陈小明,810000199408230021,,,\n"
	images := map[string]string{"zhang.jpg": "a face", "poor.jpg": "x"}
	e.change = func(x *ekyc.Examination) {
		if x.Faces[0].Template.Vector[0] == 1 { // the picture of one byte
			x.Faces[0].Quality.EyeDistance = 5
		}
	}
	im := registry.Import{Portrait: func(name, _ string) ([]byte, error) {
		b, ok := images[name]
		switch {
		case name == "":
			return nil, nil
		case !ok:
			return nil, fs.ErrNotExist
		}
		return []byte(b), nil
	}}
	n, said := bring(t, r, text, im)
	want := []string{
		"5: number: the identity number's check character does not fit its digits",
		"6: the same identity number stands on line 2",
		"7: mobile: a mobile number has 11 digits, not 5 characters",
		"8: carrier: want mobile, unicom, telecom or broadcast (移动, 联通, 电信, 广电)",
		"9: portrait: there is no such file in the folder of portraits",
		"10: the line has 2 fields and the header 5",
		"11: the line is not CSV: bare \" in non-quoted-field",
		"12: portrait: the portrait cannot be compared with (face_small); take another",
	}
	if got := strings.Join(said, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("rejected:\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if n != (registry.Imported{People: 11, Added: 3, Rejected: 8, Portraits: 2}) {
		t.Errorf("first: %+v", n)
	}
	for _, line := range said {
		for _, secret := range []string{"张", number(1), "13800138000", "zhang.jpg", "nobody.jpg", "12345,"} {
			if strings.Contains(line, secret) {
				t.Errorf("%q repeats %q of the file", line, secret)
			}
		}
	}
	p, err := r.Get(t.Context(), claim(t, "李四", 2).Number)
	if err != nil || len(p.Mobiles) != 2 || p.Mobiles[1] != (registry.Mobile{Number: "18612345678", Carrier: ekyc.ChinaTelecom}) {
		t.Errorf("li: %+v, %v", p, err)
	}
	if p, err := r.Get(t.Context(), "810000199408230021"); err != nil || p.Claim.Type != ekyc.ResidencePermit {
		t.Errorf("chen: %+v, %v; want a residence permit, by the number", p, err)
	}

	// The same file again changes nothing and measures no portrait that came in.
	looks := e.looks.Load()
	n, again := bring(t, r, text, im)
	if n.Unchanged != 3 || n.Added+n.Replaced != 0 || len(again) != len(said) || e.looks.Load() != looks+1 {
		t.Errorf("again: %+v, %d rejected, %d looks; want 3 unchanged, the same rejected, 1 look at the poor one", n, len(again), e.looks.Load()-looks)
	}

	// A newer file without portraits leaves the portrait where it is.
	newer := "number,name,mobile\n" + number(1) + ",张三,13800138001\n"
	if n, said := bring(t, r, newer, registry.Import{}); n.Replaced != 1 || len(said) != 0 {
		t.Errorf("newer: %+v, %v; want one replaced", n, said)
	}
	p, err = r.Get(t.Context(), claim(t, "张三", 1).Number)
	if err != nil || string(p.Portrait) != "a face" || p.Template.Model != "m1" || p.Mobiles[0].Number != "13800138001" {
		t.Errorf("zhang: %+v, %v; want the new number and the old portrait", p, err)
	}
	if out, _, err := r.Mobile(t.Context(), claim(t, "张三", 1), "13800138000"); out != ekyc.NoRecord || err != nil {
		t.Errorf("the old number: %s, %v; want no_record", out, err)
	}
}

func TestImportGoesOn(t *testing.T) {
	t.Parallel()
	r, _, _ := open(t)
	var b strings.Builder
	b.WriteString("name,number\n")
	for i := range 10 {
		fmt.Fprintf(&b, "张三,%s\n", number(i))
	}
	fmt.Fprintf(&b, "李四,%s\n", number(3)) // stands on line 5
	text := b.String()
	file, lines, err := registry.Fingerprint(strings.NewReader(text))
	if err != nil || lines != 12 {
		t.Fatal(file, lines, err)
	}
	stop, done := errors.New("pulled out"), 0
	_, err = r.Import(t.Context(), registry.Import{Lines: strings.NewReader(text), File: file, Batch: 4, Workers: 2, Commit: func(n registry.Imported) error {
		if done = n.People; done == 8 {
			return stop
		}
		return nil
	}})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	n, said := bring(t, r, text, registry.Import{Skip: done})
	if n.Added != 2 || len(said) != 1 || said[0] != "12: the same identity number stands on line 5" {
		t.Errorf("went on: %+v, %v; want 2 added and the repeated number found", n, said)
	}
	// A checkpoint that was lost repeats work and changes nothing.
	if n, _ := bring(t, r, text, registry.Import{Skip: 4}); n.Unchanged != 6 || n.Added+n.Replaced != 0 {
		t.Errorf("repeated: %+v, want 6 unchanged", n)
	}
}

func TestImportOfWhatIsNone(t *testing.T) {
	t.Parallel()
	r, e, _ := open(t)
	for text, want := range map[string]string{
		"":                             "read the header",
		"name,number,salary\n":         `a column "salary"`,
		"name,mobile\n":                "needs the columns name and number",
		"name,姓名,number\n":             "the column name twice",
		"\xef\xbb\xbfname\n":           "needs the columns",
		"name,number\n张三," + number(1): "",
	} {
		_, err := r.Import(t.Context(), registry.Import{Lines: strings.NewReader(text)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	e.err = ekyc.Errorf(ekyc.EngineFailed, "out of order")
	_, err := r.Import(t.Context(), registry.Import{
		Lines:    strings.NewReader("name,number\n李四," + number(2)),
		Portrait: func(string, string) ([]byte, error) { return []byte("a face"), nil },
	})
	if ekyc.CodeOf(err) != ekyc.EngineFailed || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a broken engine: %v; want it named, with the line, and not a rejected line", err)
	}
}

func TestImportOfAnExport(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r, _, _ := open(t)
	gbk, err := simplifiedchinese.GB18030.NewEncoder().String("姓名,证件号码,手机号,运营商\n张三," + number(1) + ",13800138000 13900139000,联通\n" + "李四," + number(2) + ",,\n")
	if err != nil {
		t.Fatal(err)
	}
	if n, said := bring(t, r, gbk, registry.Import{}); n.Added != 2 || len(said) != 0 {
		t.Fatalf("GB 18030: %+v, %v", n, said)
	}
	mustAdd(t, r, registry.Person{Claim: claim(t, "王五", 3), Portrait: []byte("wang's face"), Mobiles: []registry.Mobile{
		{Number: "13500135000"}, {Number: "13600136000", Carrier: ekyc.ChinaUnicom},
	}})
	images := map[string][]byte{}
	var out bytes.Buffer
	n, err := r.Export(ctx, &out, func(p registry.Person) (string, error) {
		images["w.jpg"] = p.Portrait
		return "w.jpg", nil
	}, nil)
	if n != 3 || err != nil || len(images) != 1 {
		t.Fatalf("export: %d, %v, %d images", n, err, len(images))
	}
	other, _, _ := open(t)
	got, said := bring(t, other, out.String(), registry.Import{Portrait: func(name, _ string) ([]byte, error) { return images[name], nil }})
	if got.Added != 3 || len(said) != 0 {
		t.Fatalf("import of the export: %+v, %v", got, said)
	}
	for seq, name := range map[int]string{1: "张三", 2: "李四", 3: "王五"} {
		a, err1 := r.Get(ctx, claim(t, name, seq).Number)
		b, err2 := other.Get(ctx, claim(t, name, seq).Number)
		if err := errors.Join(err1, err2); err != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: %v and %v, %v; want the same", name, a, b, err)
		}
	}
}
