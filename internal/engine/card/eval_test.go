package card

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

func TestEval(t *testing.T) {
	dir := os.Getenv("CARDS")
	if dir == "" {
		t.Skip()
	}
	r, err := Open(Config{Models: "../../../data/models"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, _ := os.ReadFile(filepath.Join(dir, "truth.json"))
	var cases []truthCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	type tally struct{ n, ok int }
	sums := map[string]*tally{}
	count := func(key string, ok bool) {
		if sums[key] == nil {
			sums[key] = &tally{}
		}
		sums[key].n++
		if ok {
			sums[key].ok++
		}
	}
	start := cpu()
	n := 0
	for _, c := range cases {
		if m := os.Getenv("LEVEL"); m != "" && c.Level != m {
			continue
		}
		b, _ := os.ReadFile(filepath.Join(dir, c.File))
		im, err := vision.Decode(b, vision.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		n++
		lines, err := r.lines(im)
		if err != nil {
			t.Fatal(err)
		}
		p := place(lines)
		if p == nil {
			fmt.Println(c.File, "NOT PLACED")
			count(c.Level+" whole", false)
			continue
		}
		g := r.page(im, p, lines)
		var words map[ekyc.CardField]word
		var flags []ekyc.CardFlag
		if p.face.side == ekyc.CardFront {
			words, flags, err = g.readFront()
		} else {
			words, flags, err = g.readBack()
		}
		if err != nil {
			t.Fatal(err)
		}
		whole := true
		for field, key := range map[ekyc.CardField]string{
			ekyc.CardName: "name", ekyc.CardGender: "gender", ekyc.CardNation: "nation", ekyc.CardBirthday: "birthday",
			ekyc.CardAddress: "address", ekyc.CardNumber: "id_card_number", ekyc.CardAuthority: "issue_authority",
			ekyc.CardIssued: "issue_time", ekyc.CardExpires: "expire_time", ekyc.CardPass: "pass_no",
		} {
			isFront := key == "name" || key == "gender" || key == "nation" || key == "birthday" || key == "address" || key == "id_card_number"
			want, _ := c.Truth[key].(string)
			if isFront != (c.Side == "front") || want == "" || key == "pass_no" && c.Truth["kind"] == "id" {
				continue
			}
			w := words[field]
			count(c.Level+" "+key, w.text == want)
			if w.text != want {
				whole = false
				fmt.Printf("%s %s: got %q want %q share %.3f least %.3f agree %v doubt %v\n", c.File, field, w.text, want, w.share, w.least, w.agree, w.doubt)
			} else if os.Getenv("ALL") != "" {
				fmt.Printf("    %s %s ok share %.3f least %.3f agree %v doubt %v\n", c.File, field, w.share, w.least, w.agree, w.doubt)
			}
		}
		if len(flags) > 0 {
			fmt.Println(c.File, "flags", flags)
		}
		count(c.Level+" whole", whole)
		im.Release()
	}
	for _, l := range []string{"mild", "medium", "hard"} {
		for _, k := range []string{"name", "gender", "nation", "birthday", "address", "id_card_number", "issue_authority", "issue_time", "expire_time", "pass_no", "whole"} {
			if s := sums[l+" "+k]; s != nil {
				fmt.Printf("%-8s %-16s %3d/%3d %.1f\n", l, k, s.ok, s.n, 100*float64(s.ok)/float64(s.n))
			}
		}
	}
	fmt.Printf("cpu a side %.3f s\n", (cpu()-start).Seconds()/float64(n))
}
