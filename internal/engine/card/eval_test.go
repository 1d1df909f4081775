package card

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shiren/internal/ekyc"
)

type truthCase struct {
	File, Level, Side string
	Truth             map[string]any
	Odd               string
	Want              []string
	Flags             []string
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var fieldKeys = map[ekyc.CardField]string{
	ekyc.CardName: "name", ekyc.CardGender: "gender", ekyc.CardNation: "nation", ekyc.CardBirthday: "birthday",
	ekyc.CardAddress: "address", ekyc.CardNumber: "id_card_number", ekyc.CardAuthority: "issue_authority",
	ekyc.CardIssued: "issue_time", ekyc.CardExpires: "expire_time", ekyc.CardPass: "pass_no",
}

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
	truth := os.Getenv("TRUTH")
	if truth == "" {
		truth = filepath.Join(dir, "truth.json")
	}
	data, _ := os.ReadFile(truth)
	var cases []truthCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	type tally struct{ n, ok, doubt, unflagged int }
	sums := map[string]*tally{}
	count := func(key string, ok, doubt bool) {
		if sums[key] == nil {
			sums[key] = &tally{}
		}
		s := sums[key]
		s.n++
		if ok {
			s.ok++
		}
		if doubt {
			s.doubt++
		}
		if !ok && !doubt {
			s.unflagged++
		}
	}
	if os.Getenv("TRACE") != "" {
		r.trace = func(f string, a ...any) { fmt.Printf("   "+f, a...) }
	}
	spent := time.Duration(0)
	n := 0
	for _, c := range cases {
		if m := os.Getenv("LEVEL"); m != "" && !strings.Contains(m, c.Level) || c.Level == "" {
			continue
		}
		if m := os.Getenv("FILE"); m != "" && !strings.Contains(m, strings.TrimSuffix(c.File, ".jpg")) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, c.File))
		if err != nil {
			continue
		}
		n++
		start := cpu()
		res, err := r.ReadCard(context.Background(), b, ekyc.CardSide(c.Side))
		if err != nil {
			t.Fatal(err)
		}
		spent += cpu() - start
		if res.Status != ekyc.CardReadable || len(res.Flags) > 0 {
			fmt.Println(c.File, "status", res.Status, "side", res.Side, "flags", res.Flags)
		}
		whole := true
		for field, key := range fieldKeys {
			isFront := key == "name" || key == "gender" || key == "nation" || key == "birthday" || key == "address" || key == "id_card_number"
			want, _ := c.Truth[key].(string)
			permit := c.Truth["kind"] != "id"
			if isFront != (c.Side == "front") || want == "" || key == "pass_no" && !permit || key == "nation" && permit || key == "id_card_number" && os.Getenv("NONUMBER") != "" {
				continue
			}
			w := res.Words[field]
			doubt := w.Doubtful || w.Value == ""
			count(c.Level+" "+key, w.Value == want, doubt)
			count(c.Level+" fields", w.Value == want, doubt)
			if w.Value != want {
				whole = false
				mark := ""
				if !doubt {
					mark = "  UNFLAGGED"
				}
				fmt.Printf("%s %s: got %q want %q conf %.3f doubt %v%s\n", c.File, field, w.Value, want, w.Confidence, w.Doubtful, mark)
			}
			if os.Getenv("FEATURES") != "" {
				f := r.features[field]
				fmt.Printf("FEAT %s %s %v %.4f %.4f %v %v\n", c.Level, field, w.Value == want, f.share, f.least, f.agree, f.doubt)
			}
		}
		count(c.Level+" whole", whole, false)
	}
	for _, l := range []string{"mild", "medium", "hard"} {
		for _, k := range []string{"name", "gender", "nation", "birthday", "address", "id_card_number", "issue_authority", "issue_time", "expire_time", "pass_no", "fields", "whole"} {
			if s := sums[l+" "+k]; s != nil {
				fmt.Printf("%-8s %-16s %3d/%3d %5.1f   doubtful %d  unflagged wrong %d\n", l, k, s.ok, s.n, 100*float64(s.ok)/float64(s.n), s.doubt, s.unflagged)
			}
		}
	}
	fmt.Printf("%d sides, cpu a side %.3f s\n", n, spent.Seconds()/float64(max(1, n)))
}

func TestOdd(t *testing.T) {
	dir := os.Getenv("ODDS")
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
	for _, c := range cases {
		if c.Odd == "" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, c.File))
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.ReadCard(context.Background(), b, ekyc.CardSide(c.Side))
		fmt.Printf("%s asked %s: %v side %s status %s flags %v want %v %v words %d width %.0f sharp %.2f\n", c.File, c.Side, err, res.Side, res.Status, res.Flags, c.Want, c.Flags, len(res.Words), res.Width, res.Sharp)
	}
}
