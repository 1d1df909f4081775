package card_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
)

// BenchmarkGlance is a look at a camera frame of 1280 x 800.
func BenchmarkGlance(b *testing.B) {
	data := photograph(b, 1280, 800, lying{card: zhang.front(b), width: 1000, x: 640, y: 400, turn: 3})
	r := reader(b)
	for b.Loop() {
		if _, err := r.GlanceCard(context.Background(), data, ekyc.CardFront); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSharedCards reads the cards that lie beside the repository, which are for
// measuring only, and reports the shares of fields and sides read without a mistake and
// of wrong fields that were not called doubtful. SHIREN_CARDS names another folder with
// a truth.json.
//
//	go test ./internal/engine/card -run XXX -bench SharedCards -benchtime 1x
func BenchmarkSharedCards(b *testing.B) {
	dir := os.Getenv("SHIREN_CARDS")
	if dir == "" {
		dir = filepath.Join(enginetest.Root(b), "..", "shared", "eval", "idcards")
	}
	data, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		b.Skipf("the cards for measuring are not there: %v", err)
	}
	var cases []struct {
		File, Level, Side, Odd string
		Truth                  map[string]any
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		b.Fatal(err)
	}
	keys := map[ekyc.CardSide]map[ekyc.CardField]string{
		ekyc.CardFront: {
			ekyc.CardName: "name", ekyc.CardGender: "gender", ekyc.CardNation: "nation", ekyc.CardBirthday: "birthday",
			ekyc.CardAddress: "address", ekyc.CardNumber: "id_card_number",
		},
		ekyc.CardBack: {ekyc.CardAuthority: "issue_authority", ekyc.CardIssued: "issue_time", ekyc.CardExpires: "expire_time"},
	}
	r := reader(b)
	for b.Loop() {
		type count struct{ fields, right, sides, whole, unflagged float64 }
		levels := map[string]*count{}
		for _, c := range cases {
			if c.Odd != "" {
				continue
			}
			image, err := os.ReadFile(filepath.Join(dir, c.File))
			if err != nil {
				b.Fatal(err)
			}
			got, err := r.ReadCard(context.Background(), image, ekyc.CardSide(c.Side))
			if err != nil {
				b.Fatal(err)
			}
			n := levels[c.Level]
			if n == nil {
				n = &count{}
				levels[c.Level] = n
			}
			whole := 1.0
			for field, key := range keys[ekyc.CardSide(c.Side)] {
				want, _ := c.Truth[key].(string)
				if want == "" || field == ekyc.CardNation && c.Truth["kind"] != "id" {
					continue
				}
				n.fields++
				switch w := got.Words[field]; {
				case w.Value == want:
					n.right++
				default:
					whole = 0
					b.Logf("%s: %s is wrong, confidence %.2f, doubtful %v, status %s", c.File, field, w.Confidence, w.Doubtful, got.Status)
					if w.Value != "" && !w.Doubtful {
						n.unflagged++
					}
				}
			}
			n.sides++
			n.whole += whole
		}
		for level, n := range levels {
			b.ReportMetric(100*n.right/n.fields, level+"-fields-%")
			b.ReportMetric(100*n.whole/n.sides, level+"-sides-%")
			b.ReportMetric(100*n.unflagged/n.fields, level+"-unflagged-%")
		}
	}
}
