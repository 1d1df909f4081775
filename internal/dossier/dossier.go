// Package dossier tells all that is kept of one record, for people: as JSON, masked or not, as
// rows of a CSV file, and as a signed file that others can check. It reads nothing by itself and
// decides nothing; what it is handed was read, and whoever hands it has asked who may see it.
package dossier

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

// Line is a record in a list. It holds no personal data.
type Line struct {
	ID       string     `json:"id"`
	Direct   bool       `json:"direct"`   // a direct call, not a session
	Protocol string     `json:"protocol"` // "" where it is not known
	App      string     `json:"app"`
	Plan     string     `json:"plan"`
	Kind     string     `json:"kind"`
	At       time.Time  `json:"at"`
	Outcome  string     `json:"outcome"` // "" before anything ended
	Code     string     `json:"code"`
	Attempts int        `json:"attempts"`
	Score    *float64   `json:"score"` // null where nothing was compared
	Took     int64      `json:"took_ms"`
	Sandbox  bool       `json:"sandbox"`
	Until    *time.Time `json:"until"` // it is erased then; null of a direct call
}

// LineOf tells a record.
func LineOf(r ekyc.Record) Line {
	l := Line{
		ID: r.ID, Direct: r.Direct, Protocol: r.Protocol, App: string(r.App), Plan: string(r.Plan), Kind: r.Kind, At: r.At.UTC(),
		Outcome: string(r.Outcome), Code: string(r.Code), Attempts: r.Attempts, Took: r.Took.Milliseconds(), Sandbox: r.Sandbox, Until: moment(r.Until),
	}
	if r.Compared {
		l.Score = new(float64(r.Score))
	}
	return l
}

// Dossier is all that is kept of one record.
type Dossier struct {
	Line
	Masked    bool       `json:"masked"`
	State     string     `json:"state"`             // of a session: an ekyc.State
	Token     string     `json:"token,omitempty"`   // always masked: it is a key
	Purpose   string     `json:"purpose,omitempty"` // of a session without a face
	Subject   bool       `json:"subject,omitempty"` // the relying party named the person
	Attended  *time.Time `json:"attended"`          // when the page was loaded first
	Plan      *Plan      `json:"plan_then"`         // as it was when the session began
	Redirects []string   `json:"redirects,omitempty"`
	Agreement *Agreement `json:"agreement"`
	Claim     *Claim     `json:"claim"`
	Document  *Document  `json:"document"`
	Timeline  []Attempt  `json:"timeline"`
	Evidence  []Evidence `json:"evidence"`
	Calls     []Call     `json:"calls"`
	Charges   []Charge   `json:"charges"`
	Call      *Direct    `json:"call"` // of a direct call
	Erasure   []Erased   `json:"erasure"`
}

// Plan is what a record's plan said.
type Plan struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	Comparison     string   `json:"comparison"`
	Identity       string   `json:"identity"`
	Liveness       string   `json:"liveness"`
	LivenessLevel  string   `json:"liveness_level"`
	QualityLevel   string   `json:"quality_level"`
	MatchAt        float64  `json:"match_at"`
	EndsOnFailure  bool     `json:"ends_on_failure"`
	KeepMedia      bool     `json:"keep_media"`
	Risk           bool     `json:"risk"`
	Spoofing       bool     `json:"spoofing"`
	Sources        []string `json:"sources"` // empty: the server's own order
	ConsentVersion string   `json:"consent_version"`
}

// Agreement is what the person agreed to.
type Agreement struct {
	Version string    `json:"version"`
	At      time.Time `json:"at"`
}

// Claim is who the person was said to be.
type Claim struct {
	Name   string `json:"name"`
	Number string `json:"number"`
	Type   int    `json:"type"` // an ekyc.DocumentType
}

// Document is what was read of the person's document, side by side with what they confirmed.
type Document struct {
	Sides []Side `json:"sides"`
}

// Side is one side.
type Side struct {
	Side     string   `json:"side"`
	LogID    string   `json:"log_id"`
	Flags    []string `json:"flags"`
	Crop     string   `json:"crop"` // Evidence.Ref; "" where there is none
	Portrait string   `json:"portrait"`
	Fields   []Field  `json:"fields"`
}

// Field is one field of a document.
type Field struct {
	Field      string  `json:"field"`
	Read       string  `json:"read"`
	Confidence float64 `json:"confidence"`
	Doubtful   bool    `json:"doubtful"`
	Confirmed  *string `json:"confirmed"` // null before the person confirmed anything
	Corrected  bool    `json:"corrected"` // confirmed as something else than was read
}

// Attempt is one presentation.
type Attempt struct {
	Ordinal   int        `json:"ordinal"`
	Begun     time.Time  `json:"begun"`
	Finished  *time.Time `json:"finished"` // null while it runs
	Outcome   string     `json:"outcome"`
	Code      string     `json:"code"`
	Kind      string     `json:"kind"`
	Demoted   bool       `json:"demoted"` // in place of the plan's own kind
	LogID     string     `json:"log_id"`
	Claim     *Claim     `json:"claim"` // as it stood
	Checks    []Check    `json:"checks"`
	Score     *float64   `json:"score"` // of the comparison
	FMR       *float64   `json:"fmr"`   // false match rate at this score, by the engine's calibration
	Live      float64    `json:"live"`  // silent PAD
	Challenge *Challenge `json:"challenge"`
	Risk      *Risk      `json:"risk"`
	Asked     []Asked    `json:"asked"`
	Charges   []Charge   `json:"charges"`
}

// Check is one answered question.
type Check struct {
	Kind      string  `json:"kind"`
	Outcome   string  `json:"outcome"`
	Score     float64 `json:"score"`
	Threshold float64 `json:"threshold"` // 0 where there is none
}

// Challenge is what was asked for and how it was answered, cue by cue.
type Challenge struct {
	Kind   string  `json:"kind"`
	Code   string  `json:"code"` // "" when it was met
	Why    string  `json:"why"`
	Chance float64 `json:"chance"`
	Lag    int64   `json:"lag_ms"`
	Skin   float64 `json:"skin"`
	Back   float64 `json:"back"`
	Depth  float64 `json:"depth"`
	Cues   []Cue   `json:"cues"`
}

// Cue is one thing that was asked for.
type Cue struct {
	N      int     `json:"n"`
	After  int64   `json:"after_ms"`
	For    int64   `json:"for_ms"`
	Colour *[3]int `json:"colour"` // of flash: red, green, blue, 0 to 255
	Action string  `json:"action,omitempty"`
	Near   *bool   `json:"near,omitempty"` // of distance
	Scale  float64 `json:"scale,omitempty"`
	Digit  string  `json:"digit,omitempty"`

	Answered bool        `json:"answered"` // the rest was measured
	Met      bool        `json:"met"`
	Lag      int64       `json:"lag_ms"`
	Size     float64     `json:"size"`
	Seen     *[2]float64 `json:"seen"` // of flash: the skin's log(R/G) and log(B/G)
}

// Risk is what spoke for an attack.
type Risk struct {
	Level    int      `json:"level"`
	Tags     []string `json:"tags"`
	Score    float64  `json:"score"`
	Spoofing float64  `json:"spoofing"`
	Signals  []Signal `json:"signals"`
}

// Signal is one sign of an attack.
type Signal struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"`
	Value  float64 `json:"value"`
}

// Asked is one source that was asked.
type Asked struct {
	Source  string `json:"source"`
	Outcome string `json:"outcome"`
	Code    string `json:"code"`
	Took    int64  `json:"took_ms"`
	Cost    int64  `json:"cost"` // millionths of the operator's currency
}

// Evidence is one image or video.
type Evidence struct {
	Ref     string    `json:"ref"`
	Kind    string    `json:"kind"`
	Attempt int       `json:"attempt"`
	Type    string    `json:"type"`
	Size    int       `json:"size"`
	SHA256  string    `json:"sha256"`
	Until   time.Time `json:"until"`
	Data    []byte    `json:"data,omitempty"` // base64 in the file, where it was asked for
}

// Call is one use of an inner interface.
type Call struct {
	Interface string    `json:"interface"`
	Code      string    `json:"code"`
	At        time.Time `json:"at"`
	LogID     string    `json:"log_id"`
	Attempt   int       `json:"attempt"`
}

// Charge is one entry of the ledger.
type Charge struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	LogID   string    `json:"log_id"`
	Attempt int       `json:"attempt"`
}

// Direct is what a direct call came to.
type Direct struct {
	LogID    string  `json:"log_id"`
	Ref      string  `json:"ref"`
	Answered bool    `json:"answered"`
	Identity string  `json:"identity"`
	Portrait string  `json:"portrait"`
	Mobile   string  `json:"mobile"`
	Cost     int64   `json:"cost"`
	Asked    []Asked `json:"asked"`
}

// Erased says when a part is erased. Parts: an ekyc.EvidenceKind, "record", "keys" (what a
// direct call is found by), "charges".
type Erased struct {
	Part string     `json:"part"`
	At   *time.Time `json:"at"` // null: it is kept
}

// Of tells a record as it stands at now; masked, names, numbers and what documents say are not
// whole. Evidence is listed without its bytes.
func Of(f ekyc.Filed, masked bool, now time.Time) Dossier {
	d := Dossier{Line: LineOf(f.Record), Masked: masked, Timeline: []Attempt{}, Evidence: []Evidence{}, Calls: []Call{}, Charges: []Charge{}, Erasure: []Erased{}}
	switch {
	case f.Call != nil:
		d.direct(f.Call)
	case f.Session != nil:
		d.session(f.Session, now)
	}
	return d
}

// Attach puts the bytes of every evidence item into the dossier. open reads one; one that went
// meanwhile (ekyc.EvidenceGone) stays without.
func (d *Dossier) Attach(open func(ref string) ([]byte, error)) error {
	for i := range d.Evidence {
		data, err := open(d.Evidence[i].Ref)
		if err != nil && ekyc.CodeOf(err) != ekyc.EvidenceGone {
			return err
		}
		d.Evidence[i].Data = data
	}
	return nil
}

func (d *Dossier) direct(c *ekyc.Direct) {
	d.Call = &Direct{
		LogID: c.ID, Ref: c.Ref, Answered: c.Answered, Identity: string(c.Elements.Identity), Portrait: string(c.Elements.Portrait),
		Mobile: string(c.Elements.Mobile), Cost: c.Cost, Asked: askedOf(c.Asked),
	}
	d.Charges = chargesOf(c.Charges())
	d.Erasure = []Erased{{"keys", moment(c.At.Add(ekyc.ResultKept))}, {"record", nil}, {"charges", nil}}
}

func (d *Dossier) session(s *ekyc.Session, now time.Time) {
	p := s.Plan
	d.State, d.Token, d.Purpose, d.Subject, d.Attended = string(s.State(now)), s.Token.String(), string(s.Purpose), s.Subject != "", moment(s.Attended)
	d.Plan = &Plan{
		ID: string(p.ID), Name: p.Name, Comparison: string(p.Comparison), Identity: string(p.Identity), Liveness: string(p.Liveness),
		LivenessLevel: string(p.LivenessLevel), QualityLevel: string(p.QualityLevel), MatchAt: float64(p.MatchAt), EndsOnFailure: p.EndsOnFailure,
		KeepMedia: p.KeepMedia, Risk: p.Risk, Spoofing: p.Spoofing, Sources: append([]string{}, p.Sources...), ConsentVersion: p.Consent.Version,
	}
	for _, to := range []string{s.Redirect.Success, s.Redirect.Failed} {
		if to != "" {
			d.Redirects = append(d.Redirects, place(to))
		}
	}
	if s.Agreement != nil {
		d.Agreement = &Agreement{s.Agreement.Version, s.Agreement.At}
	}
	d.Claim, d.Document = d.claim(s.Claim), d.document(s.Document)
	for _, a := range s.Attempts {
		d.Timeline = append(d.Timeline, d.attempt(a, now))
	}
	last := map[ekyc.EvidenceKind]time.Time{}
	for _, e := range s.Shown(now) {
		d.Evidence = append(d.Evidence, Evidence{e.Ref, string(e.Kind), e.Attempt, e.Type, e.Size, e.SHA256, earlier(e.Until, s.Until()), nil})
		if at := earlier(e.Until, s.Until()); at.After(last[e.Kind]) {
			if _, ok := last[e.Kind]; !ok {
				d.Erasure = append(d.Erasure, Erased{Part: string(e.Kind)})
			}
			last[e.Kind] = at
		}
	}
	for i := range d.Erasure {
		d.Erasure[i].At = moment(last[ekyc.EvidenceKind(d.Erasure[i].Part)])
	}
	d.Erasure = append(d.Erasure, Erased{"record", moment(s.Until())}, Erased{"charges", nil})
	for _, c := range s.Calls {
		d.Calls = append(d.Calls, Call{string(c.Interface), string(c.Code), c.At, c.LogID, c.Attempt})
	}
	d.Charges = chargesOf(s.Charges())
}

func (d *Dossier) claim(c *ekyc.Claim) *Claim {
	switch {
	case c == nil:
		return nil
	case d.Masked:
		return &Claim{c.Name.String(), c.Number.String(), int(c.Type)}
	}
	return &Claim{string(c.Name), string(c.Number), int(c.Type)}
}

func (d *Dossier) document(doc *ekyc.Document) *Document {
	if doc == nil {
		return nil
	}
	out := &Document{Sides: []Side{}}
	for _, r := range []*ekyc.CardRecord{doc.Front, doc.Back} {
		if r == nil {
			continue
		}
		side := Side{Side: string(r.Reading.Side), LogID: r.LogID, Crop: r.Crop, Portrait: r.Portrait, Flags: []string{}, Fields: []Field{}}
		for _, f := range r.Reading.Flags {
			side.Flags = append(side.Flags, string(f))
		}
		for _, f := range r.Reading.Side.Fields() {
			w := r.Reading.Words[f]
			field := Field{Field: string(f), Read: d.word(f, w.Value), Confidence: w.Confidence, Doubtful: w.Doubtful}
			if v, ok := doc.Confirmed[f]; ok {
				field.Confirmed, field.Corrected = new(d.word(f, v)), v != w.Value
			}
			side.Fields = append(side.Fields, field)
		}
		out.Sides = append(out.Sides, side)
	}
	return out
}

// word is what stands in a field of a document.
func (d *Dossier) word(f ekyc.CardField, v string) string {
	switch {
	case !d.Masked || v == "":
		return v
	case f == ekyc.CardName:
		return cnid.Name(v).String()
	case f == ekyc.CardNumber:
		return cnid.Number(v).String()
	}
	return strings.Repeat("*", min(8, utf8.RuneCountInString(v)))
}

func (d *Dossier) attempt(a ekyc.Attempt, now time.Time) Attempt {
	if a.Finished.IsZero() && !now.Before(a.Lease) { // as Session.Verifications reads it
		a.Finished, a.Outcome, a.Code = a.Lease, ekyc.Failed, ekyc.Interrupted
	}
	out := Attempt{
		Ordinal: a.Ordinal, Begun: a.Begun, Finished: moment(a.Finished), Outcome: string(a.Outcome), Code: string(a.Code), Kind: string(a.Kind),
		Demoted: a.Demoted, LogID: a.LogID, Claim: d.claim(a.Claim), Checks: []Check{}, Live: float64(a.Live),
		Challenge: challengeOf(a), Asked: askedOf(a.Asked), Charges: chargesOf(a.Charges),
	}
	for _, c := range a.Checks {
		out.Checks = append(out.Checks, Check{string(c.Kind), string(c.Outcome), float64(c.Score), float64(c.Threshold)})
	}
	if a.Compared {
		out.Score, out.FMR = new(float64(a.Score)), new(a.FMR)
	}
	if r := a.Risk; r != nil {
		out.Risk = &Risk{r.Level, append([]string{}, r.Tags...), r.Score, r.Spoofing, []Signal{}}
		for _, s := range r.Signals {
			out.Risk.Signals = append(out.Risk.Signals, Signal{s.Name, s.Weight, s.Value})
		}
	}
	return out
}

// challengeOf puts what was asked for beside what was found. Attempts of older releases have
// only the second.
func challengeOf(a ekyc.Attempt) *Challenge {
	if len(a.Cues) == 0 && (a.Response == nil || len(a.Response.Cues) == 0 && a.Response.Code == ekyc.OK) {
		return nil
	}
	c := &Challenge{Kind: string(a.Kind), Cues: []Cue{}}
	for _, x := range a.Cues {
		cue := Cue{N: x.N, After: x.After.Milliseconds(), For: x.For.Milliseconds(), Action: string(x.Action), Scale: x.Scale, Digit: x.Digit}
		switch {
		case x.Colour != ekyc.RGB{}:
			cue.Colour = &[3]int{int(x.Colour[0]), int(x.Colour[1]), int(x.Colour[2])}
		case x.Scale > 0:
			cue.Near = new(x.Near)
		}
		c.Cues = append(c.Cues, cue)
	}
	r := a.Response
	if r == nil {
		return c
	}
	c.Kind = cmp.Or(string(r.Kind), c.Kind)
	c.Code, c.Why, c.Chance, c.Lag, c.Skin, c.Back, c.Depth = string(r.Code), r.Why, r.Chance, r.Lag.Milliseconds(), r.Skin, r.Back, r.Depth
	for _, x := range r.Cues {
		i := slices.IndexFunc(c.Cues, func(q Cue) bool { return q.N == x.N })
		if i < 0 {
			c.Cues, i = append(c.Cues, Cue{N: x.N}), len(c.Cues)
		}
		q := &c.Cues[i]
		q.Answered, q.Met, q.Lag, q.Size = true, x.Met, x.Lag.Milliseconds(), x.Size
		if r.Kind == ekyc.LivenessFlash {
			q.Seen = &x.Seen
		}
	}
	return c
}

func askedOf(list []ekyc.Asked) []Asked {
	out := []Asked{}
	for _, a := range list {
		out = append(out, Asked{a.Source, string(a.Outcome), string(a.Code), a.Took.Milliseconds(), a.Cost})
	}
	return out
}

func chargesOf(list []ekyc.Charge) []Charge {
	out := []Charge{}
	for _, c := range list {
		out = append(out, Charge{c.ID, string(c.Kind), c.At, c.LogID, c.Attempt})
	}
	return out
}

// place is an address without what may name a person: its query and fragment.
func place(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "…"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}
