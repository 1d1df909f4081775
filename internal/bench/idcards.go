package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"shiren/internal/bench/cards"
	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// CardOptions of IDCards.
type CardOptions struct {
	Now func() time.Time // the clock for Seconds; required
	// Progress is told after each picture; nil is not.
	Progress func(done int)
}

// CardPictures hands on pictures and what they say, one by one, and ends at the first
// error of each.
type CardPictures func(each func(cards.Record, []byte) error) error

// CardResult is what IDCards measured. Rates are shares, 0 to 1.
type CardResult struct {
	Levels map[cards.Level]CardRates `json:"levels"`
	// Together is mild and medium, which most people's photographs are; absent without either.
	Together *CardRates             `json:"mild_and_medium,omitempty"`
	Odd      map[cards.Odd]OddRates `json:"odd,omitempty"`
	CPU      float64                `json:"cpu_s_per_side"` // mean
	Glance   GlanceRates            `json:"glance"`
	Pictures int                    `json:"pictures"`
	Mistakes []CardMistake          `json:"mistakes,omitempty"` // in the order of the pictures
	Seconds  float64                `json:"seconds"`
}

// CardRates are the figures of a level.
type CardRates struct {
	Sides int `json:"sides"`
	// Fields are the shares of values that were read exactly, flagged or not, by the names
	// of truth.json. See CardExact for what exactly means.
	Fields map[string]float64 `json:"fields"`
	// WholeSide is the share of sides whose every field was read exactly.
	WholeSide float64 `json:"whole_side"`
	// UnflaggedWrong is the share of fields with a wrong value that was not marked doubtful,
	// of all fields that the sides hold or that were invented. Reading nothing is no wrong
	// value.
	UnflaggedWrong float64 `json:"unflagged_wrong"`
	// FlaggedRight is the share of fields read exactly and yet marked doubtful.
	FlaggedRight float64 `json:"flagged_right"`
	// WrongNumbers counts numbers presented as good whose check character does not fit.
	WrongNumbers int `json:"wrong_numbers_presented"`

	Counts   map[string]CardCount  `json:"counts"` // by field, and whole_side, unflagged_wrong, flagged_right
	Interval map[string][2]float64 `json:"interval_95"`
}

// CardCount is a share's two numbers.
type CardCount struct {
	N  int `json:"n"`
	Of int `json:"of"`
}

// OddRates are the figures of odd pictures of one kind.
type OddRates struct {
	Pictures int `json:"pictures"`
	Right    int `json:"right"` // a right status and every flag that must be raised
	// Presented counts wrong values that were not marked doubtful.
	Presented int `json:"presented_wrong"`
}

// GlanceRates are the figures of the quick look at a camera frame.
type GlanceRates struct {
	CPU  float64 `json:"cpu_s_mean"`
	Slow float64 `json:"cpu_s_p95"`
	// Side is the share of pictures of cards, odd ones left out, whose side was told rightly.
	Side float64 `json:"right_side"`
}

// CardMistake is a picture that was not read as it should have been.
type CardMistake struct {
	File    string          `json:"file"`
	Problem ekyc.Code       `json:"problem,omitempty"` // why there is no reading
	Status  ekyc.CardStatus `json:"status,omitempty"`
	Want    string          `json:"want,omitempty"` // of an odd picture: the right statuses and flags
	Fields  []FieldMistake  `json:"fields,omitempty"`
}

// FieldMistake is a field that was read wrongly. Got and Want are what is written on a
// document: leave them out of anything that is kept where the documents are real.
type FieldMistake struct {
	Field      string  `json:"field"`
	Got        string  `json:"got,omitempty"`
	Want       string  `json:"want,omitempty"`
	Confidence float64 `json:"confidence"`
	Doubtful   bool    `json:"doubtful"`
}

// CardExact says when two values count as the same, for reports.
const CardExact = "exact: the same characters once all space is left out, full-width letters, digits and signs are\n" +
	"taken as half-width, any middle dot as ·, and the number's x as X; nothing else is forgiven"

// CardField is a field and the name that truth.json gives it.
type CardField struct {
	Name  string
	Field ekyc.CardField
	Side  ekyc.CardSide // on which it is printed
	truth func(cards.Person) string
}

// CardFields lists every field in the order in which documents print them.
func CardFields() []CardField {
	return []CardField{
		{"name", ekyc.CardName, ekyc.CardFront, func(p cards.Person) string { return p.Name }},
		{"gender", ekyc.CardGender, ekyc.CardFront, func(p cards.Person) string { return p.Gender }},
		{"nation", ekyc.CardNation, ekyc.CardFront, func(p cards.Person) string { return p.Nation }},
		{"birthday", ekyc.CardBirthday, ekyc.CardFront, func(p cards.Person) string { return p.Birthday }},
		{"address", ekyc.CardAddress, ekyc.CardFront, func(p cards.Person) string { return p.Address }},
		{"id_card_number", ekyc.CardNumber, ekyc.CardFront, func(p cards.Person) string { return p.Number }},
		{"issue_authority", ekyc.CardAuthority, ekyc.CardBack, func(p cards.Person) string { return p.Authority }},
		{"issue_time", ekyc.CardIssued, ekyc.CardBack, func(p cards.Person) string { return p.Issued }},
		{"expire_time", ekyc.CardExpires, ekyc.CardBack, func(p cards.Person) string { return p.Expires }},
		{"pass_no", ekyc.CardPass, ekyc.CardBack, func(p cards.Person) string {
			if p.Kind == cards.Resident {
				return "" // truth.json may give one, which is not printed
			}
			return p.Pass
		}},
	}
}

// Names of what is counted beside the fields.
const (
	wholeSide      = "whole_side"
	unflaggedWrong = "unflagged_wrong"
	flaggedRight   = "flagged_right"
)

// CardFolder hands on the pictures that a folder's truth.json lists, and says how many.
func CardFolder(dir string) (CardPictures, int, error) {
	list, err := cards.ReadTruth(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("bench idcards: %w", err)
	}
	return func(each func(cards.Record, []byte) error) error {
		for _, r := range list {
			data, err := readImage(filepath.Join(dir, filepath.FromSlash(r.File)))
			if err != nil {
				return err
			}
			if err := each(r, data); err != nil {
				return err
			}
		}
		return nil
	}, len(list), nil
}

// IDCards measures a reader over pictures, one at a time, so that the process's CPU time
// is the reading's. The first picture is read once before, uncounted. What a picture is
// to blame for is a mistake of its own; any other error ends the measurement.
func IDCards(ctx context.Context, reader ekyc.CardReader, pictures CardPictures, o CardOptions) (CardResult, error) {
	began := o.Now()
	m := cardTally{levels: map[cards.Level]*levelTally{}, odd: map[cards.Odd]OddRates{}}
	err := pictures(func(r cards.Record, data []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.picture(ctx, reader, r, data); err != nil {
			return fmt.Errorf("bench idcards: %s: %w", r.File, err)
		}
		if o.Progress != nil {
			o.Progress(m.pictures)
		}
		return nil
	})
	if err != nil {
		return CardResult{}, err
	}
	if m.pictures == 0 {
		return CardResult{}, errors.New("bench idcards: there are no pictures")
	}
	out := m.result()
	out.Seconds = o.Now().Sub(began).Seconds()
	return out, nil
}

// cardTally counts.
type cardTally struct {
	pictures, sided, rightSide int
	cpu                        time.Duration
	glances                    []time.Duration
	levels                     map[cards.Level]*levelTally
	odd                        map[cards.Odd]OddRates
	mistakes                   []CardMistake
}

type levelTally struct {
	sides, wrongNumbers int
	counts              map[string]CardCount
}

func (t *levelTally) count(name string, hit bool) {
	c := t.counts[name]
	c.Of++
	if hit {
		c.N++
	}
	t.counts[name] = c
}

// timed runs do and returns the CPU time that it took.
func timed(do func()) (time.Duration, error) {
	before, err := cpuTime()
	if err != nil {
		return 0, err
	}
	do()
	after, err := cpuTime()
	return after - before, err
}

func (m *cardTally) picture(ctx context.Context, reader ekyc.CardReader, r cards.Record, data []byte) error {
	var got ekyc.CardReading
	var glance ekyc.CardGlance
	var readErr, glanceErr error
	read := func() { got, readErr = reader.ReadCard(ctx, data, r.Side) }
	look := func() { glance, glanceErr = reader.GlanceCard(ctx, data, r.Side) }
	if m.pictures == 0 {
		read()
		look()
	}
	m.pictures++
	for _, step := range []struct {
		do  func()
		add func(time.Duration)
	}{
		{read, func(d time.Duration) { m.cpu += d }},
		{look, func(d time.Duration) { m.glances = append(m.glances, d) }},
	} {
		took, err := timed(step.do)
		if err != nil {
			return err
		}
		step.add(took)
	}
	mistake := CardMistake{File: r.File, Status: got.Status}
	for _, err := range []error{readErr, glanceErr} {
		if err == nil {
			continue
		}
		switch c := ekyc.CodeOf(err); c {
		case ekyc.Busy, ekyc.EngineFailed, ekyc.Internal:
			return err
		default:
			mistake.Problem, got = c, ekyc.CardReading{}
		}
	}
	if r.Odd != "" {
		m.strange(r, got, mistake)
		return nil
	}
	m.sided++
	if glance.Side == r.Side {
		m.rightSide++
	}
	m.side(r, got, mistake)
	return nil
}

// side counts a picture of a card.
func (m *cardTally) side(r cards.Record, got ekyc.CardReading, mistake CardMistake) {
	t := m.levels[r.Level]
	if t == nil {
		t = &levelTally{counts: map[string]CardCount{}}
		m.levels[r.Level] = t
	}
	t.sides++
	whole := true
	for _, f := range CardFields() {
		word := got.Words[f.Field]
		want := f.truth(r.Truth)
		presented := word.Value != "" && !word.Doubtful
		if f.Field == ekyc.CardNumber && presented && !rightNumber(word.Value) {
			t.wrongNumbers++
		}
		if f.Side != r.Side || want == "" { // not printed here: there is nothing to read
			if presented {
				t.count(unflaggedWrong, true)
				mistake.add(f.Name, word, "")
			}
			continue
		}
		right := plain(word.Value) == plain(want)
		t.count(f.Name, right)
		t.count(unflaggedWrong, presented && !right)
		t.count(flaggedRight, right && word.Doubtful)
		if !right {
			whole = false
			mistake.add(f.Name, word, want)
		}
	}
	t.count(wholeSide, whole)
	if len(mistake.Fields) > 0 {
		m.mistakes = append(m.mistakes, mistake)
	}
}

// strange counts an odd picture. Values of either side of the person's document are right.
func (m *cardTally) strange(r cards.Record, got ekyc.CardReading, mistake CardMistake) {
	rates := m.odd[r.Odd]
	rates.Pictures++
	ok := mistake.Problem == ekyc.OK && slices.Contains(r.Want, got.Status)
	for _, flag := range r.Flags {
		ok = ok && slices.Contains(got.Flags, flag)
	}
	presented := 0
	for _, f := range CardFields() {
		word, want := got.Words[f.Field], f.truth(r.Truth)
		wrong := plain(word.Value) != plain(want) || f.Field == ekyc.CardNumber && !rightNumber(word.Value)
		if word.Value != "" && !word.Doubtful && wrong {
			presented++
			mistake.add(f.Name, word, want)
		}
	}
	if ok {
		rates.Right++
	}
	rates.Presented += presented
	m.odd[r.Odd] = rates
	if !ok || presented > 0 {
		mistake.Want = words(r.Want, " or ")
		if len(r.Flags) > 0 {
			mistake.Want += " with " + words(r.Flags, " and ")
		}
		m.mistakes = append(m.mistakes, mistake)
	}
}

func words[T ~string](list []T, between string) string {
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(string(v))
	}
	return b.String()
}

func (m *CardMistake) add(field string, w ekyc.CardWord, want string) {
	m.Fields = append(m.Fields, FieldMistake{Field: field, Got: w.Value, Want: want, Confidence: w.Confidence, Doubtful: w.Doubtful})
}

func rightNumber(s string) bool {
	_, err := cnid.ParseNumber(s)
	return err == nil
}

// plain is a value as it is compared; see CardExact.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return -1
		case c == '•' || c == '・' || c == '‧' || c == '﹒' || c == '．' || c == '･' || c == '∙':
			return '·'
		case c >= '！' && c <= '～': // the full-width forms of ASCII
			c -= '！' - '!'
		}
		if c == 'x' {
			return 'X'
		}
		return c
	}, s)
}

func (m *cardTally) result() CardResult {
	out := CardResult{
		Levels: map[cards.Level]CardRates{}, Odd: m.odd, Pictures: m.pictures, Mistakes: m.mistakes,
		CPU: m.cpu.Seconds() / float64(m.pictures),
	}
	for name, t := range m.levels {
		out.Levels[name] = t.rates()
	}
	if mild, medium := m.levels[cards.Mild], m.levels[cards.Medium]; mild != nil || medium != nil {
		both := levelTally{counts: map[string]CardCount{}}
		for _, t := range []*levelTally{mild, medium} {
			if t != nil {
				both.sides, both.wrongNumbers = both.sides+t.sides, both.wrongNumbers+t.wrongNumbers
				for name, c := range t.counts {
					b := both.counts[name]
					both.counts[name] = CardCount{b.N + c.N, b.Of + c.Of}
				}
			}
		}
		rates := both.rates()
		out.Together = &rates
	}
	slices.Sort(m.glances)
	var sum time.Duration
	for _, d := range m.glances {
		sum += d
	}
	out.Glance.CPU = sum.Seconds() / float64(m.pictures)
	out.Glance.Slow = m.glances[(len(m.glances)*95+99)/100-1].Seconds()
	if m.sided > 0 {
		out.Glance.Side = float64(m.rightSide) / float64(m.sided)
	}
	return out
}

func (t *levelTally) rates() CardRates {
	r := CardRates{
		Sides: t.sides, WrongNumbers: t.wrongNumbers, Counts: maps.Clone(t.counts),
		Fields: map[string]float64{}, Interval: map[string][2]float64{},
	}
	for name, c := range t.counts {
		low, high := wilson(min(c.N, c.Of), c.Of)
		r.Interval[name] = [2]float64{low, high}
		share := float64(c.N) / float64(c.Of)
		switch name {
		case wholeSide:
			r.WholeSide = share
		case unflaggedWrong:
			r.UnflaggedWrong = share
		case flaggedRight:
			r.FlaggedRight = share
		default:
			r.Fields[name] = share
		}
	}
	return r
}
