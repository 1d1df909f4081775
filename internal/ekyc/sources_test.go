package ekyc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// vendor is a scripted source that compares by itself.
type vendor struct {
	out   ekyc.Outcome
	score ekyc.Score
	err   error
	asked int
	call  string
	cost  int64
}

func (v *vendor) Face(ctx context.Context, _ ekyc.Claim, probe []byte) (ekyc.Outcome, ekyc.Score, error) {
	v.asked++
	v.call = ekyc.CallOf(ctx)
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
		vendor  vendor
		outcome ekyc.Outcome
		code    ekyc.Code
		score   ekyc.Score
		charges int
	}{
		{"match", vendor{out: ekyc.Match, score: 0.93}, ekyc.Match, ekyc.OK, 0.93, 1},
		{"the plan's threshold counts, not the vendor's", vendor{out: ekyc.Match, score: 0.79}, ekyc.NonMatched, ekyc.NonMatch, 0.79, 1},
		{"non-match", vendor{out: ekyc.NonMatched, score: 0.2}, ekyc.NonMatched, ekyc.NonMatch, 0.2, 1},
		{"no portrait", vendor{out: ekyc.NoRecord}, ekyc.NonMatched, ekyc.PortraitNone, 0, 1},
		{"a poor portrait", vendor{err: refused(ekyc.PortraitPoor, "")}, ekyc.NonMatched, ekyc.PortraitPoor, 0, 1},
		{"another name", vendor{err: refused(ekyc.IdentityMismatch, "")}, ekyc.NonMatched, ekyc.IdentityMismatch, 0, 1},
		{"unknown number", vendor{err: refused(ekyc.IdentityUnknown, "")}, ekyc.NonMatched, ekyc.IdentityUnknown, 0, 1},
		{"its picture is not good enough", vendor{err: refused(ekyc.FaceBlurred, "")}, ekyc.Failed, ekyc.FaceBlurred, 0, 0},
		{"down", vendor{err: refused(ekyc.SourceFailed, "")}, ekyc.Failed, ekyc.SourceFailed, 0, 0},
		{"broken in an unknown way", vendor{err: errors.New("connection reset")}, ekyc.Failed, ekyc.SourceFailed, 0, 0},
		{"nonsense", vendor{out: "perhaps", score: 1}, ekyc.Failed, ekyc.SourceFailed, 0, 0},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t)
			k.Identity, k.Portrait, k.Face = nil, nil, &tt.vendor
			a := attempt(t, k, func(*ekyc.Plan) {})
			if a.Outcome != tt.outcome || a.Code != tt.code || a.Score != tt.score || len(a.Charges) != tt.charges {
				t.Errorf("got %s/%q, score %v, %d charges; want %s/%q, %v, %d", a.Outcome, a.Code, a.Score, len(a.Charges), tt.outcome, tt.code, tt.score, tt.charges)
			}
			if len(a.Asked) != 1 || tt.vendor.call != a.LogID {
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

func TestRouteOfNumbersAndNames(t *testing.T) {
	t.Parallel()
	known := &testkit.Authority{}
	known.Add(number, name, nil)
	down := numbers{err: ekyc.Errorf(ekyc.SourceFailed, "down")}
	r := ekyc.Route{NextOn: ekyc.NextOn, Sources: []ekyc.Source{
		{Identity: &testkit.Authority{}, Mobile: numbers{out: ekyc.NoRecord, carrier: ekyc.ChinaUnicom}},
		{Identity: known, Mobile: numbers{out: ekyc.NonMatched}},
	}}
	if out, err := r.Identity(t.Context(), claim(t)); out != ekyc.Match || err != nil {
		t.Errorf("identity: %s, %v; want the second source's match", out, err)
	}
	if out, carrier, err := r.Mobile(t.Context(), claim(t), "13800138000"); out != ekyc.NonMatched || carrier != ekyc.ChinaUnicom || err != nil {
		t.Errorf("mobile: %s, %q, %v; want the second's non-match and the first's carrier", out, carrier, err)
	}
	r.Sources[1].Mobile = down
	_, _, err := r.Mobile(t.Context(), claim(t), "13800138000")
	wantCode(t, "a source that is down", err, ekyc.SourceFailed)
	_, err = ekyc.Route{NextOn: ekyc.NextOn}.Identity(t.Context(), claim(t))
	wantCode(t, "nobody to ask", err, ekyc.SourceMissing)
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
		return k.Verify(k.Ctx, k.App, c, ekyc.Picture{Image: testkit.Photo(f), Quality: ekyc.LevelNormal, Liveness: ekyc.LevelNormal}, k.LogID())
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
