package ekyc_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// vendor is a scripted source that compares by itself. Sessions of several tests may ask
// one vendor at once.
type vendor struct {
	out   ekyc.Outcome
	score ekyc.Score
	err   error
	cost  int64
	asked atomic.Int32
	call  atomic.Value // the log id of the last question, a string
}

func (v *vendor) Face(ctx context.Context, _ ekyc.Claim, probe []byte) (ekyc.Outcome, ekyc.Score, error) {
	v.asked.Add(1)
	v.call.Store(ekyc.CallOf(ctx))
	ekyc.Spend(ctx, v.cost)
	if len(probe) == 0 {
		return ekyc.Failed, 0, errors.New("no picture came")
	}
	return v.out, v.score, v.err
}

// attempt walks a fresh session of plan 3 whose plan was changed.
func attempt(t *testing.T, k *testkit.Kit, change func(*ekyc.Plan)) ekyc.Attempt {
	t.Helper()
	p, err := k.Store.Plan(k.Ctx, "3")
	if err != nil {
		t.Fatal(err)
	}
	p.ID = "routed"
	change(&p)
	k.PutPlan(p)
	tok := k.OpenPlan("routed").Token
	if err := k.Declare(k.Ctx, k.App, tok, claim(t)); err != nil {
		t.Fatal(err)
	}
	return walk(t, k, tok, testkit.Face{Person: "zhang"})
}

func TestSourceThatComparesItself(t *testing.T) {
	t.Parallel()
	refused := ekyc.Errorf
	for _, tt := range []struct {
		what    string
		vendor  *vendor
		outcome ekyc.Outcome
		code    ekyc.Code
		score   ekyc.Score
		charges int
	}{
		{"match", &vendor{out: ekyc.Match, score: 0.93}, ekyc.Match, ekyc.OK, 0.93, 1},
		{"the plan's threshold counts, not the vendor's", &vendor{out: ekyc.Match, score: 0.79}, ekyc.NonMatched, ekyc.NonMatch, 0.79, 1},
		{"non-match", &vendor{out: ekyc.NonMatched, score: 0.2}, ekyc.NonMatched, ekyc.NonMatch, 0.2, 1},
		{"no portrait", &vendor{out: ekyc.NoRecord}, ekyc.NonMatched, ekyc.PortraitNone, 0, 1},
		{"a poor portrait", &vendor{err: refused(ekyc.PortraitPoor, "")}, ekyc.NonMatched, ekyc.PortraitPoor, 0, 1},
		{"another name", &vendor{err: refused(ekyc.IdentityMismatch, "")}, ekyc.NonMatched, ekyc.IdentityMismatch, 0, 1},
		{"unknown number", &vendor{err: refused(ekyc.IdentityUnknown, "")}, ekyc.NonMatched, ekyc.IdentityUnknown, 0, 1},
		{"its picture is not good enough", &vendor{err: refused(ekyc.FaceBlurred, "")}, ekyc.Failed, ekyc.FaceBlurred, 0, 0},
		{"down", &vendor{err: refused(ekyc.SourceFailed, "")}, ekyc.Failed, ekyc.SourceFailed, 0, 0},
		{"broken in an unknown way", &vendor{err: errors.New("connection reset")}, ekyc.Failed, ekyc.SourceFailed, 0, 0},
		{"nonsense", &vendor{out: "perhaps", score: 1}, ekyc.Failed, ekyc.SourceFailed, 0, 0},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t)
			k.Identity, k.Portrait, k.Face = nil, nil, tt.vendor
			a := attempt(t, k, func(*ekyc.Plan) {})
			if a.Outcome != tt.outcome || a.Code != tt.code || a.Score != tt.score || len(a.Charges) != tt.charges {
				t.Errorf("got %s/%q, score %v, %d charges; want %s/%q, %v, %d", a.Outcome, a.Code, a.Score, len(a.Charges), tt.outcome, tt.code, tt.score, tt.charges)
			}
			if len(a.Asked) != 1 || tt.vendor.call.Load() != a.LogID {
				t.Errorf("got %+v asked for %q; want one, for the attempt's log id", a.Asked, tt.vendor.call)
			}
		})
	}
}

func TestSourcesInOrder(t *testing.T) {
	t.Parallel()
	local := &testkit.Authority{}
	local.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	faceless := &testkit.Authority{}
	faceless.Add(number, name, nil)
	source := func(n string, a *testkit.Authority) ekyc.Source {
		return ekyc.Source{Name: n, Identity: a, Portrait: a}
	}
	down := &testkit.Authority{Err: errors.New("down")}
	all := []ekyc.Source{
		source("local", local), source("empty", &testkit.Authority{}), source("faceless", faceless), source("down", down),
		{Name: "vendor", Face: &vendor{out: ekyc.Match, score: 0.9}},
		{Name: "stranger", Face: &vendor{err: ekyc.Errorf(ekyc.IdentityUnknown, "")}},
		{Name: "no", Face: &vendor{out: ekyc.NonMatched, score: 0.1}},
		{Name: "names", Identity: local}, // it cannot compare, and is passed over
	}
	both := []ekyc.Outcome(nil)
	for _, tt := range []struct {
		order   string
		next    []ekyc.Outcome
		outcome ekyc.Outcome
		code    ekyc.Code
		asked   int
	}{
		{"local vendor", both, ekyc.Match, ekyc.OK, 1},
		{"names local", both, ekyc.Match, ekyc.OK, 1},
		{"empty vendor", both, ekyc.Match, ekyc.OK, 2},
		{"faceless vendor", both, ekyc.Match, ekyc.OK, 2},
		{"down vendor", both, ekyc.Match, ekyc.OK, 2},
		{"down no", both, ekyc.NonMatched, ekyc.NonMatch, 2},
		{"no local", both, ekyc.NonMatched, ekyc.NonMatch, 1}, // a non-match is an answer
		{"empty stranger", both, ekyc.NonMatched, ekyc.IdentityUnknown, 2},
		{"faceless stranger", both, ekyc.NonMatched, ekyc.PortraitNone, 2},
		{"stranger faceless", both, ekyc.NonMatched, ekyc.PortraitNone, 2},
		{"down empty", both, ekyc.Failed, ekyc.SourceFailed, 2}, // the one that is down might know them
		{"empty down", both, ekyc.Failed, ekyc.SourceFailed, 2},
		{"down empty local", both, ekyc.Match, ekyc.OK, 3},
		{"down vendor", []ekyc.Outcome{ekyc.NoRecord}, ekyc.Failed, ekyc.SourceFailed, 1},
		{"empty vendor", []ekyc.Outcome{ekyc.Failed}, ekyc.NonMatched, ekyc.IdentityUnknown, 1},
	} {
		t.Run(strings.TrimSpace(tt.order+" "+join(tt.next)), func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t)
			k.Sources = all
			a := attempt(t, k, func(p *ekyc.Plan) { p.Sources, p.NextOn = strings.Fields(tt.order), tt.next })
			if a.Outcome != tt.outcome || a.Code != tt.code || len(a.Asked) != tt.asked {
				t.Errorf("got %s/%q after %d, want %s/%q after %d: %+v", a.Outcome, a.Code, len(a.Asked), tt.outcome, tt.code, tt.asked, a.Asked)
			}
		})
	}
}

func join(list []ekyc.Outcome) string {
	var s []string
	for _, o := range list {
		s = append(s, string(o))
	}
	return strings.Join(s, " ")
}

func TestPlanOfUnknownSources(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	p, err := k.Store.Plan(k.Ctx, "3")
	if err != nil {
		t.Fatal(err)
	}
	p.Sources = []string{"nobody"}
	k.PutPlan(p)
	_, err = k.Service.Open(k.Ctx, k.App, "3", ekyc.Redirect{})
	wantCode(t, "a plan of a source that is not configured", err, ekyc.SourceMissing)
	k.Sources = []ekyc.Source{{Name: "nobody", Identity: k.Authority}}
	_, err = k.Service.Open(k.Ctx, k.App, "3", ekyc.Redirect{})
	wantCode(t, "a plan of a source that cannot compare", err, ekyc.SourceMissing)

	p.Sources, p.NextOn = []string{"a", "A", "a"}, []ekyc.Outcome{ekyc.NonMatched}
	for _, want := range []string{`source "A"`, `source "a"`, `asked on "non_match"`} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("validate: %v, want %q in it", err, want)
		}
	}
	p.Sources, p.NextOn, p.Comparison = []string{"a"}, nil, ekyc.CompareNone
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "compare with an authority only") {
		t.Errorf("validate: %v, want sources refused", err)
	}
}

// numbers is a scripted MobileSource.
type numbers struct {
	out     ekyc.Outcome
	carrier ekyc.Carrier
	err     error
}

func (n numbers) Mobile(context.Context, ekyc.Claim, cnid.Mobile) (ekyc.Outcome, ekyc.Carrier, error) {
	return n.out, n.carrier, n.err
}

// Identity and mobile number are asked of each source in order, each as far as it answers.
func TestElementsFollowTheOrder(t *testing.T) {
	t.Parallel()
	known := &testkit.Authority{}
	known.Add(number, name, nil)
	down := numbers{err: ekyc.Errorf(ekyc.SourceFailed, "down")}
	k := testkit.New(t)
	k.Sources = []ekyc.Source{
		{Name: "a", Identity: &testkit.Authority{}, Mobile: numbers{out: ekyc.NoRecord, carrier: ekyc.ChinaUnicom}},
		{Name: "b", Identity: known, Mobile: numbers{out: ekyc.NonMatched}},
		{Name: "down", Mobile: down},
		{Name: "portraits", Portrait: known},
	}
	k.Order = []string{"a", "b"}
	e, err := elements(t, k, testkit.Face{Person: "zhang"})
	if err != nil || e.Identity != ekyc.Match || e.Mobile != ekyc.NonMatched || e.Carrier != ekyc.ChinaUnicom {
		t.Errorf("got %+v, %v; want the second's match and non-match, and the first's carrier", e, err)
	}
	if e.Portrait != ekyc.Failed || e.Why != ekyc.SourceMissing {
		t.Errorf("nobody has portraits: got %+v", e)
	}
	k.Order = []string{"a", "down"}
	if e, err = elements(t, k, testkit.Face{Person: "zhang"}); err != nil || e.Identity != ekyc.NoRecord || e.Mobile != ekyc.Failed {
		t.Errorf("a source that is down: got %+v, %v", e, err)
	}
	k.Order = []string{"portraits"}
	_, err = elements(t, k, testkit.Face{Person: "zhang"})
	wantCode(t, "nobody to ask", err, ekyc.SourceMissing)
}

// whole is a scripted ElementsSource.
type whole struct {
	a     ekyc.ElementsAnswer
	err   error
	asked atomic.Int32
	call  atomic.Value
}

func (w *whole) Elements(ctx context.Context, _ ekyc.Claim, _ cnid.Mobile, _ []byte) (ekyc.ElementsAnswer, error) {
	w.asked.Add(1)
	w.call.Store(ekyc.CallOf(ctx))
	return w.a, w.err
}

// Faces follow the order as identity and number do, and one that answers all at once is
// asked for what those before it left open: once.
func TestElementsOfSeveralSources(t *testing.T) {
	t.Parallel()
	const yes, no, none, failed = ekyc.Match, ekyc.NonMatched, ekyc.NoRecord, ekyc.Failed
	local := func(with string) (a *testkit.Authority) {
		a = &testkit.Authority{}
		switch with {
		case "portrait":
			a.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
		case "name":
			a.Add(number, name, nil)
		case "down":
			a.Err = errors.New("down")
		}
		return a
	}
	vend := func(o ekyc.Outcome, s ekyc.Score, err error) *vendor { return &vendor{out: o, score: s, err: err} }
	all := func(i, p, m ekyc.Outcome, s ekyc.Score) *whole {
		return &whole{a: ekyc.ElementsAnswer{Identity: i, Portrait: p, Mobile: m, Score: s, Carrier: ekyc.ChinaTelecom}}
	}
	for _, tt := range []struct {
		what   string
		local  string
		vendor *vendor
		whole  *whole
		order  string
		nobody bool // the image shows no face
		want   ekyc.Checked
		score  ekyc.Score
		why    ekyc.Code
		asked  [2]int // vendor, whole
	}{
		{what: "the first knows all but the number", local: "portrait", vendor: vend(yes, 0.9, nil), order: "local vendor", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: none}, score: 1},
		{what: "the first knows nobody", vendor: vend(yes, 0.9, nil), order: "local vendor", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: none}, score: 0.9, asked: [2]int{1, 0}},
		{what: "the first has no portrait", local: "name", vendor: vend(yes, 0.9, nil), order: "local vendor", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: none}, score: 0.9, asked: [2]int{1, 0}},
		{what: "the vendor's score is judged here", vendor: vend(yes, 0.3, nil), order: "vendor", want: ekyc.Checked{Identity: yes, Portrait: no, Mobile: failed}, score: 0.3, asked: [2]int{1, 0}},
		{what: "the first is down", local: "down", vendor: vend(no, 0.1, nil), order: "local vendor", want: ekyc.Checked{Identity: yes, Portrait: no, Mobile: none}, score: 0.1, asked: [2]int{1, 0}},
		{what: "the first is down, the second knows nobody", local: "down", vendor: vend("", 0, ekyc.Errorf(ekyc.IdentityUnknown, "")), order: "local vendor", want: ekyc.Checked{Identity: failed, Mobile: none}, asked: [2]int{1, 0}},
		{what: "no portrait, and the vendor is silent", local: "name", vendor: vend("", 0, errors.New("cut off")), order: "local vendor", want: ekyc.Checked{Identity: yes, Portrait: failed, Mobile: none}, why: ekyc.SourceFailed, asked: [2]int{1, 0}},
		{what: "the vendor says another name", local: "name", vendor: vend("", 0, ekyc.Errorf(ekyc.IdentityMismatch, "")), order: "local vendor", want: ekyc.Checked{Identity: yes, Portrait: failed, Mobile: none}, why: ekyc.IdentityMismatch, asked: [2]int{1, 0}},
		{what: "the vendor does not know them either", local: "name", vendor: vend("", 0, ekyc.Errorf(ekyc.IdentityUnknown, "")), order: "local vendor", want: ekyc.Checked{Identity: yes, Portrait: none, Mobile: none}, why: ekyc.PortraitNone, asked: [2]int{1, 0}},
		{what: "vendor first", local: "portrait", vendor: vend(yes, 0.85, nil), order: "vendor local", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: none}, score: 0.85, asked: [2]int{1, 0}},
		{what: "vendor first and down", local: "portrait", vendor: vend("", 0, errors.New("cut off")), order: "vendor local", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: none}, score: 1, asked: [2]int{1, 0}},
		{what: "nobody in the image", local: "name", vendor: vend(yes, 0.9, nil), order: "local vendor", nobody: true, want: ekyc.Checked{Identity: yes, Portrait: failed, Mobile: none}, why: ekyc.NoFace},
		{what: "nobody in the image, vendor alone", vendor: vend(yes, 0.9, nil), order: "vendor", nobody: true, want: ekyc.Checked{Identity: failed, Mobile: failed}},

		{what: "all at once", whole: all(yes, yes, no, 0.97), order: "whole", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: no}, score: 0.97, asked: [2]int{0, 1}},
		{what: "all at once, after one that knows nobody", whole: all(yes, no, yes, 0.2), order: "local whole", want: ekyc.Checked{Identity: yes, Portrait: no, Mobile: yes}, score: 0.2, asked: [2]int{0, 1}},
		{what: "for the number alone", local: "portrait", whole: all(no, "", yes, 0), order: "local whole", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: yes}, score: 1, asked: [2]int{0, 1}},
		{what: "it could not compare", whole: all(yes, failed, yes, 0), order: "whole", want: ekyc.Checked{Identity: yes, Portrait: failed, Mobile: yes}, why: ekyc.SourceFailed, asked: [2]int{0, 1}},
		{what: "it could not compare, another can", local: "portrait", whole: all(yes, failed, yes, 0), order: "whole local", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: yes}, score: 1, asked: [2]int{0, 1}},
		{what: "it does not say who", whole: all(failed, "", yes, 0), order: "whole", want: ekyc.Checked{Identity: failed, Mobile: yes}, asked: [2]int{0, 1}},
		{what: "another name", whole: all(no, "", yes, 0), order: "whole", want: ekyc.Checked{Identity: no, Mobile: yes}, asked: [2]int{0, 1}},
		{what: "silent", whole: &whole{err: errors.New("cut off")}, order: "whole", want: ekyc.Checked{Identity: failed, Mobile: failed}, asked: [2]int{0, 1}},
		{what: "silent, and another knows nobody", whole: &whole{err: errors.New("cut off")}, order: "whole local", want: ekyc.Checked{Identity: failed, Mobile: failed}, asked: [2]int{0, 1}},
		{what: "silent, and another knows them", local: "portrait", whole: &whole{err: errors.New("cut off")}, order: "whole local", want: ekyc.Checked{Identity: yes, Portrait: yes, Mobile: failed}, score: 1, asked: [2]int{0, 1}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t)
			a := local(tt.local)
			k.Sources = []ekyc.Source{{Name: "local", Identity: a, Portrait: a, Mobile: numbers{out: none}}}
			if tt.vendor != nil {
				k.Sources = append(k.Sources, ekyc.Source{Name: "vendor", Face: tt.vendor})
			}
			if tt.whole != nil {
				k.Sources = append(k.Sources, ekyc.Source{Name: "whole", Elements: tt.whole})
			}
			k.Order = strings.Fields(tt.order)
			q := ekyc.ElementsRequest{Claim: claim(t), Mobile: mobile, Image: testkit.Photo(testkit.Face{Person: "zhang", None: tt.nobody}), LogID: k.LogID()}
			e, err := k.Elements(k.Ctx, k.App, q)
			if err != nil || e.Checked != tt.want || math.Abs(float64(e.Score-tt.score)) > 1e-6 || e.Compared != (tt.score > 0) || e.Why != tt.why {
				t.Errorf("got %+v, %v; want %+v with %v, %q", e, err, tt.want, tt.score, tt.why)
			}
			var asked [2]int
			if tt.vendor != nil {
				if asked[0] = int(tt.vendor.asked.Load()); asked[0] > 0 && tt.vendor.call.Load() != q.LogID {
					t.Errorf("the vendor was asked for call %q, want %q", tt.vendor.call.Load(), q.LogID)
				}
			}
			if tt.whole != nil {
				if asked[1] = int(tt.whole.asked.Load()); tt.whole.call.Load() != q.LogID {
					t.Errorf("it was asked for call %q, want %q", tt.whole.call.Load(), q.LogID)
				}
			}
			if asked != tt.asked {
				t.Errorf("vendor and whole were asked %v times, want %v", asked, tt.asked)
			}
		})
	}
}

// Of the mobile number alone nothing else is asked or said, and it is charged when answered.
func TestMobileNumberAlone(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	w := &whole{}
	k.Sources = []ekyc.Source{
		{Name: "people", Identity: &testkit.Authority{Err: errors.New("asked")}},
		{Name: "whole", Elements: w}, // it wants an image
		{Name: "numbers", Mobile: numbers{out: ekyc.Match, carrier: ekyc.ChinaMobile}},
		{Name: "unknown", Mobile: numbers{out: ekyc.NoRecord}},
	}
	ask := func(order ...string) (ekyc.Elements, error) {
		k.Order = order
		return k.Elements(k.Ctx, k.App, ekyc.ElementsRequest{Claim: claim(t), Mobile: mobile, MobileOnly: true, LogID: k.LogID()})
	}
	e, err := ask("people", "whole", "numbers")
	if want := (ekyc.Elements{Checked: ekyc.Checked{Mobile: ekyc.Match}, Carrier: ekyc.ChinaMobile}); err != nil || e != want {
		t.Errorf("got %+v, %v; want %+v", e, err, want)
	}
	if e, err = ask("unknown"); err != nil || e.Answered() {
		t.Errorf("of an unknown number: %+v, %v", e, err)
	}
	_, err = ask("people", "whole")
	wantCode(t, "nobody knows numbers", err, ekyc.SourceMissing)
	if n := charges(t, k); n != 1 || w.asked.Load() != 0 || k.Engine.Calls() != 0 || strings.Contains(k.Logs.String(), "asked") {
		t.Errorf("%d charges, want 1; and nobody else asked: %s", n, k.Logs)
	}
	k.App.Test = true
	k.PutApp(k.App)
	for _, c := range ekyc.SandboxCases() {
		if c.Code != ekyc.OK {
			continue
		}
		e, err := k.Elements(k.Ctx, k.App, ekyc.ElementsRequest{Claim: ekyc.Claim{Number: c.Number}, Mobile: mobile, MobileOnly: true, LogID: k.LogID()})
		want := c.Mobile
		if c.Identity == ekyc.NonMatched && want == ekyc.Match {
			want = ekyc.NonMatched
		}
		if err != nil || e.Checked != (ekyc.Checked{Mobile: want}) {
			t.Errorf("%s: %+v, %v; want %s", c.Name, e, err, want)
		}
	}
}

// embedded is a source that keeps an embedding of a model beside, or in place of, an image.
type embedded struct {
	*testkit.Authority
	template ekyc.Template
}

func (e embedded) Template(_ context.Context, _ ekyc.Claim, model string) (ekyc.Template, bool, error) {
	return e.template, e.template.Model == model, nil
}

func TestEmbeddingInPlaceOfAnImage(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	x, err := k.Engine.Examine(k.Ctx, testkit.Photo(testkit.Face{Person: "zhang"}), ekyc.WantAll)
	if err != nil {
		t.Fatal(err)
	}
	k.Authority.Add(number, name, nil) // no image
	src := &embedded{k.Authority, x.Faces[0].Template}
	k.Portrait = src
	if a := attempt(t, k, func(*ekyc.Plan) {}); a.Outcome != ekyc.Match || a.Score < 0.8 {
		t.Errorf("embedding alone: got %s/%q, want a match", a.Outcome, a.Code)
	}
	src.template.Model = "an older one"
	if a := attempt(t, k, func(*ekyc.Plan) {}); a.Code != ekyc.PortraitNone {
		t.Errorf("embedding of an old model alone: got %s/%q, want %q", a.Outcome, a.Code, ekyc.PortraitNone)
	}
	k.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	if a := attempt(t, k, func(*ekyc.Plan) {}); a.Outcome != ekyc.Match {
		t.Errorf("embedding of an old model and an image: got %s/%q, want a match by the image", a.Outcome, a.Code)
	}
}

func TestVerifyDirectly(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	verify := func(f testkit.Face, c ekyc.Claim) (ekyc.Verified, error) {
		return k.Verify(k.Ctx, k.App, c, ekyc.Picture{Image: testkit.Photo(f), Quality: ekyc.LevelNormal, Liveness: ekyc.LevelNormal}, k.LogID(), "")
	}
	v, err := verify(testkit.Face{Person: "zhang"}, claim(t))
	if err != nil || v.Code != ekyc.OK || v.Comparison.Score < 0.8 || v.Live < 0.9 {
		t.Errorf("the person: %+v, %v; want a high score", v, err)
	}
	v, err = verify(testkit.Face{Person: "li"}, claim(t))
	if err != nil || v.Code != ekyc.OK || v.Comparison.Score > 0.5 {
		t.Errorf("another: %+v, %v; want a low score and no error", v, err)
	}
	other := claim(t)
	other.Name = "李四"
	if v, err = verify(testkit.Face{Person: "zhang"}, other); err != nil || v.Code != ekyc.IdentityMismatch {
		t.Errorf("another name: %+v, %v", v, err)
	}
	_, err = verify(testkit.Face{Person: "zhang", Spoof: true}, claim(t))
	wantCode(t, "an attack", err, ekyc.RefLiveness)
	_, err = verify(testkit.Face{None: true}, claim(t))
	wantCode(t, "no face", err, ekyc.NoFace)
	k.Authority.Err = errors.New("down")
	_, err = verify(testkit.Face{Person: "zhang"}, claim(t))
	wantCode(t, "a dead source", err, ekyc.SourceFailed)
	if n, err := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeVerify); n != 3 || err != nil {
		t.Errorf("charged %d, %v; want the three answers", n, err)
	}
	k.Portrait = nil
	_, err = verify(testkit.Face{Person: "zhang"}, claim(t))
	wantCode(t, "no source", err, ekyc.SourceMissing)
}
