package bench

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiren/internal/bench/cards"
	"shiren/internal/ekyc"
)

// recited is a reader of identity documents whose pictures are the readings themselves,
// as JSON, or a word: "bad" is no image, "broken" breaks the reader.
type recited struct{}

func (recited) ReadCard(_ context.Context, image []byte, _ ekyc.CardSide) (ekyc.CardReading, error) {
	switch string(image) {
	case "bad":
		return ekyc.CardReading{}, ekyc.Errorf(ekyc.ImageFormat, "not an image")
	case "broken":
		return ekyc.CardReading{}, ekyc.Errorf(ekyc.EngineFailed, "the network broke")
	}
	var r ekyc.CardReading
	err := json.Unmarshal(image, &r)
	return r, err
}

func (r recited) GlanceCard(ctx context.Context, image []byte, side ekyc.CardSide) (ekyc.CardGlance, error) {
	got, err := r.ReadCard(ctx, image, side)
	return ekyc.CardGlance{Side: got.Side, Status: got.Status}, err
}

var nobody = cards.Person{
	Kind: cards.Resident, Name: "古丽·买买提", Gender: "女", Nation: "维吾尔", Birthday: "19900101", Address: "新疆疏附县人民路1号2栋A座",
	Number: "653121199001019902", Authority: "疏附县公安局", Issued: "20200101", Expires: ekyc.CardForever, Pass: "12345678",
}

// said is a reading of nobody's side, as the picture that recited reads it from, with
// some words replaced.
func said(t *testing.T, side ekyc.CardSide, change func(map[ekyc.CardField]ekyc.CardWord)) string {
	t.Helper()
	words := map[ekyc.CardField]ekyc.CardWord{}
	for _, f := range CardFields() {
		if v := f.truth(nobody); f.Side == side && v != "" {
			words[f.Field] = ekyc.CardWord{Value: v, Confidence: .99}
		}
	}
	if change != nil {
		change(words)
	}
	b, err := json.Marshal(ekyc.CardReading{Side: side, Status: ekyc.CardReadable, Words: words})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// scene is a picture and its record.
type scene struct {
	record cards.Record
	image  string
}

func scenes(list ...scene) CardPictures {
	return func(each func(cards.Record, []byte) error) error {
		for _, s := range list {
			if err := each(s.record, []byte(s.image)); err != nil {
				return err
			}
		}
		return nil
	}
}

func cardOptions() CardOptions {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	return CardOptions{Now: func() time.Time { return now }}
}

func record(name string, l cards.Level, side ekyc.CardSide) cards.Record {
	return cards.Record{File: name, Level: l, Side: side, Truth: nobody}
}

// A field is right when it is exact, wrong fields that nobody marked are counted, and a
// side is whole when all its fields are right.
func TestCardFigures(t *testing.T) {
	t.Parallel()
	put := func(f ekyc.CardField, v string, doubtful bool) func(map[ekyc.CardField]ekyc.CardWord) {
		return func(w map[ekyc.CardField]ekyc.CardWord) {
			w[f] = ekyc.CardWord{Value: v, Confidence: .5, Doubtful: doubtful}
		}
	}
	r, err := IDCards(t.Context(), recited{}, scenes(
		scene{record("right", cards.Mild, ekyc.CardFront), said(t, ekyc.CardFront, nil)},
		scene{record("spaced", cards.Mild, ekyc.CardFront), said(t, ekyc.CardFront, put(ekyc.CardAddress, "新疆疏附县 人民路１号２栋Ａ座", false))},
		scene{record("dotted", cards.Mild, ekyc.CardFront), said(t, ekyc.CardFront, put(ekyc.CardName, "古丽•买买提", true))},
		scene{record("back", cards.Mild, ekyc.CardBack), said(t, ekyc.CardBack, nil)},
		scene{record("lookalike", cards.Medium, ekyc.CardFront), said(t, ekyc.CardFront, put(ekyc.CardName, "古丽·买卖提", false))},
		scene{record("doubted", cards.Medium, ekyc.CardFront), said(t, ekyc.CardFront, put(ekyc.CardNumber, "653121199001019904", true))},
		scene{record("presented", cards.Medium, ekyc.CardFront), said(t, ekyc.CardFront, put(ekyc.CardNumber, "653121199001019904", false))},
		scene{record("invented", cards.Hard, ekyc.CardBack), said(t, ekyc.CardBack, put(ekyc.CardPass, "12345678", false))},
		scene{record("nothing", cards.Hard, ekyc.CardFront), `{"Status":"blurred"}`},
		scene{record("bad", cards.Hard, ekyc.CardBack), "bad"},
	), cardOptions())
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	mild, medium, hard := r.Levels[cards.Mild], r.Levels[cards.Medium], r.Levels[cards.Hard]
	near("mild names", mild.Fields["name"], 1)
	near("mild addresses", mild.Fields["address"], 1)
	near("mild authorities", mild.Fields["issue_authority"], 1)
	near("mild whole sides", mild.WholeSide, 1)
	near("mild, right and flagged", mild.FlaggedRight, 1./21)
	near("mild, wrong and unflagged", mild.UnflaggedWrong, 0)
	near("medium names", medium.Fields["name"], 2./3)
	near("medium numbers", medium.Fields["id_card_number"], 1./3)
	near("medium whole sides", medium.WholeSide, 0)
	near("medium, wrong and unflagged", medium.UnflaggedWrong, 2./18)
	near("hard names", hard.Fields["name"], 0)
	near("hard authorities", hard.Fields["issue_authority"], .5)
	near("hard whole sides", hard.WholeSide, 1./3)
	near("hard, wrong and unflagged: an invented pass number", hard.UnflaggedWrong, 1./13)
	if medium.WrongNumbers != 1 || mild.WrongNumbers != 0 {
		t.Errorf("got %d and %d numbers presented that do not hold, want 1 and 0", medium.WrongNumbers, mild.WrongNumbers)
	}
	if _, ok := mild.Fields["pass_no"]; ok {
		t.Error("a resident's card is measured by a pass number, which it does not print")
	}
	near("mild and medium together, names", r.Together.Fields["name"], 5./6)
	near("mild and medium together, whole sides", r.Together.WholeSide, 4./7)
	near("sides told by a glance", r.Glance.Side, .8)
	if in := mild.Interval["name"]; in[0] < .4 || in[0] > .5 || in[1] != 1 {
		t.Errorf("got the interval %v around 3 of 3, want .44 to 1", in)
	}
	var missed []string
	for _, m := range r.Mistakes {
		missed = append(missed, m.File)
	}
	if got, want := strings.Join(missed, " "), "lookalike doubted presented invented nothing bad"; got != want {
		t.Errorf("got the mistakes %s, want %s", got, want)
	}
	if last := r.Mistakes[len(r.Mistakes)-1]; last.Problem != ekyc.ImageFormat {
		t.Errorf("got the problem %q of a picture that is none, want %s", last.Problem, ekyc.ImageFormat)
	}
}

// An odd picture is right by its status and its flags, and whatever is presented of it
// is held against what stands there.
func TestOddCards(t *testing.T) {
	t.Parallel()
	odd := func(o cards.Odd, want ekyc.CardStatus, flags ...ekyc.CardFlag) cards.Record {
		r := record(string(o), "odd", ekyc.CardFront)
		r.Odd, r.Want, r.Flags = o, []ekyc.CardStatus{want}, flags
		return r
	}
	page := odd(cards.OddPage, ekyc.CardNone)
	page.Truth = cards.Person{}
	wrong := odd(cards.OddNumber, ekyc.CardReadable, ekyc.CardNumberWrong)
	wrong.Truth.Number = "653121199001019904"
	r, err := IDCards(t.Context(), recited{}, scenes(
		scene{page, `{"Status":"non_idcard"}`},
		scene{page, `{"Status":"normal","Words":{"name":{"Value":"特此说明"},"nation":{"Value":"汉","Doubtful":true}}}`},
		scene{wrong, `{"Status":"normal","Flags":["number_wrong"],"Words":{"number":{"Value":"653121199001019904","Doubtful":true}}}`},
		scene{wrong, `{"Status":"normal","Words":{"number":{"Value":"653121199001019904"}}}`},
		scene{odd(cards.OddSide, ekyc.CardWrongSide), `{"Status":"reversed_side","Words":{"authority":{"Value":"疏附县公安局"}}}`},
	), cardOptions())
	if err != nil {
		t.Fatal(err)
	}
	for o, want := range map[cards.Odd]OddRates{cards.OddPage: {2, 1, 1}, cards.OddNumber: {2, 1, 1}, cards.OddSide: {1, 1, 0}} {
		if got := r.Odd[o]; got != want {
			t.Errorf("%s: got %+v, want %+v", o, got, want)
		}
	}
	if len(r.Levels) != 0 || r.Together != nil {
		t.Errorf("odd pictures are in the figures of levels: %+v", r.Levels)
	}
	var b strings.Builder
	if err := r.WriteMistakes(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"page: normal, want non_idcard\n  name ", `got "特此说明" want ""`, "wrong_number: normal, want normal with number_wrong"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the mistakes do not say %q:\n%s", want, b.String())
		}
	}
}

// The keys of the JSON are promised; what documents say is in it on demand only.
func TestCardJSON(t *testing.T) {
	t.Parallel()
	r, err := IDCards(t.Context(), recited{}, scenes(
		scene{record("a.jpg", cards.Hard, ekyc.CardBack), said(t, ekyc.CardBack, func(w map[ekyc.CardField]ekyc.CardWord) { delete(w, ekyc.CardExpires) })},
	), cardOptions())
	if err != nil {
		t.Fatal(err)
	}
	r.CPU, r.Glance.CPU, r.Glance.Slow = 1, .1, .1
	got, err := json.Marshal(r.WithoutValues())
	if err != nil {
		t.Fatal(err)
	}
	const none, all, third = `[0,0.793451]`, `[0.206549,1]`, `[0,0.561497]`
	want := `{"levels":{"hard":{"sides":1,"fields":{"expire_time":0,"issue_authority":1,"issue_time":1},"whole_side":0,"unflagged_wrong":0,"flagged_right":0,"wrong_numbers_presented":0,` +
		`"counts":{"expire_time":{"n":0,"of":1},"flagged_right":{"n":0,"of":3},"issue_authority":{"n":1,"of":1},"issue_time":{"n":1,"of":1},"unflagged_wrong":{"n":0,"of":3},"whole_side":{"n":0,"of":1}},` +
		`"interval_95":{"expire_time":` + none + `,"flagged_right":` + third + `,"issue_authority":` + all + `,"issue_time":` + all + `,"unflagged_wrong":` + third + `,"whole_side":` + none + `}}},` +
		`"cpu_s_per_side":1,"glance":{"cpu_s_mean":0.1,"cpu_s_p95":0.1,"right_side":1},"pictures":1,` +
		`"mistakes":[{"file":"a.jpg","status":"normal","fields":[{"field":"expire_time","confidence":0,"doubtful":false}]}],"seconds":0}`
	if got, want := rounded(t, got), rounded(t, []byte(want)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if r.Mistakes[0].Fields[0].Want != ekyc.CardForever {
		t.Error("leaving values out changed the result itself")
	}
}

// The report for people.
func TestCardReport(t *testing.T) {
	t.Parallel()
	front := said(t, ekyc.CardFront, nil)
	r, err := IDCards(t.Context(), recited{}, scenes(
		scene{record("a", cards.Medium, ekyc.CardFront), front}, scene{record("b", cards.Mild, ekyc.CardFront), front},
		scene{record("c", "dusk", ekyc.CardFront), `{"Status":"over_dark"}`},
	), cardOptions())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"mild: 1 sides\n  name               100.00 %  (95 %: 20.65 to 100.00; 1 of 1)", "mild and medium together: 2 sides",
		"dusk: 1 sides\n  name                 0.00 %", "whole side", "wrong, unflagged     0.00 %", "CPU a side", "exact: the same characters",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not say %q:\n%s", want, text)
		}
	}
	if strings.Index(text, "mild:") > strings.Index(text, "medium:") || strings.Index(text, "medium:") > strings.Index(text, "dusk:") {
		t.Errorf("the levels are not in their order:\n%s", text)
	}
	if strings.Contains(text, nobody.Name) || strings.Contains(text, nobody.Number) {
		t.Error("the report says what stands on a document")
	}
}

// What no picture is to blame for ends the measurement, and so does a folder that cannot
// be measured.
func TestCardErrors(t *testing.T) {
	t.Parallel()
	_, err := IDCards(t.Context(), recited{}, scenes(scene{record("a.jpg", cards.Mild, ekyc.CardFront), "broken"}), cardOptions())
	if ekyc.CodeOf(err) != ekyc.EngineFailed || !strings.Contains(err.Error(), "a.jpg") {
		t.Errorf("a broken reader: got %v, want %s and the file", err, ekyc.EngineFailed)
	}
	if _, err := IDCards(t.Context(), recited{}, scenes(), cardOptions()); err == nil {
		t.Error("nothing was measured without an error")
	}
	dir := t.TempDir()
	if _, _, err := CardFolder(dir); err == nil || !strings.Contains(err.Error(), "truth.json") {
		t.Errorf("a folder without a list: got %v, want what is missing", err)
	}
	if err := cards.WriteTruth(dir, []cards.Record{record("gone.jpg", cards.Mild, ekyc.CardFront), record("here.jpg", cards.Mild, ekyc.CardFront)}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "here.jpg"), []byte(said(t, ekyc.CardFront, nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	pictures, all, err := CardFolder(dir)
	if err != nil || all != 2 {
		t.Fatalf("got %d pictures, %v; want 2", all, err)
	}
	if _, err := IDCards(t.Context(), recited{}, pictures, cardOptions()); err == nil || !strings.Contains(err.Error(), "gone.jpg") {
		t.Errorf("a picture that is missing: got %v, want its name", err)
	}
}

// The evaluation set beside the repository, where there is one, can be read as it is.
func TestCardEvaluationSet(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "..", "shared", "eval", "idcards")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the evaluation set of identity documents is not here: " + dir)
	}
	list, err := cards.ReadTruth(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 36 || list[0].Truth.Name == "" || list[0].Damage.Width == 0 || list[0].Quality == 0 {
		t.Errorf("got %d pictures, the first of level %s; want 36 with all that their list says", len(list), list[0].Level)
	}
}
