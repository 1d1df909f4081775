package ekyc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

const mobile = "13800138000"

// known is a kit in which the claimed person is on file, with portrait and mobile number.
func known(t *testing.T) *testkit.Kit {
	t.Helper()
	k := testkit.New(t)
	k.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	k.Mobiles.Add(mobile, number, ekyc.ChinaUnicom)
	return k
}

func elements(t *testing.T, k *testkit.Kit, f testkit.Face) (ekyc.Elements, error) {
	t.Helper()
	return k.Elements(k.Ctx, k.App, ekyc.ElementsRequest{Claim: claim(t), Mobile: mobile, Image: testkit.Photo(f), LogID: k.LogID(), Ref: "JH1"})
}

func charges(t *testing.T, k *testkit.Kit) int64 {
	t.Helper()
	n, err := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeElements)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func directs(t *testing.T, k *testkit.Kit) []ekyc.Direct {
	t.Helper()
	list, err := k.Store.Directs(k.Ctx, ekyc.DirectQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Each source says yes, says no, knows nothing, or does not answer; every combination
// comes out as it went in, the portrait is compared only where the identity matches, and
// a call is charged exactly when identity or mobile number was answered.
func TestElementsOfEveryCombination(t *testing.T) {
	t.Parallel()
	outcomes := []ekyc.Outcome{ekyc.Match, ekyc.NonMatched, ekyc.NoRecord, ekyc.Failed}
	if testing.Short() {
		outcomes = outcomes[:2] // as many ways through the code as the race detector is for
	}
	broken := errors.New("scripted")
	seen := 0
	for _, identity := range outcomes {
		for _, portrait := range outcomes {
			for _, number := range outcomes {
				k := testkit.New(t)
				face := testkit.Face{Person: "zhang"}
				photo := testkit.Photo(testkit.Face{Person: "zhang"})
				switch portrait {
				case ekyc.NonMatched:
					face.Person = "li"
				case ekyc.NoRecord:
					photo = nil
				case ekyc.Failed:
					face.None = true
				}
				switch identity {
				case ekyc.Match:
					k.Authority.Add("11010519491231002X", name, photo)
				case ekyc.NonMatched:
					k.Authority.Add("11010519491231002X", "李四", photo)
				case ekyc.Failed:
					k.Authority.Err = broken
				}
				switch number {
				case ekyc.Match:
					k.Mobiles.Add(mobile, "11010519491231002X", ekyc.ChinaMobile)
				case ekyc.NonMatched:
					k.Mobiles.Add(mobile, "440524188001010014", ekyc.ChinaMobile)
				case ekyc.Failed:
					k.Mobiles.Err = broken
				}
				e, err := elements(t, k, face)
				if err != nil {
					t.Fatalf("%s %s %s: %v", identity, portrait, number, err)
				}
				want := ekyc.Checked{Identity: identity, Mobile: number}
				if identity == ekyc.Match {
					want.Portrait = portrait
				}
				if e.Checked != want {
					t.Errorf("got %+v, want %+v", e.Checked, want)
				}
				compared := identity == ekyc.Match && (portrait == ekyc.Match || portrait == ekyc.NonMatched)
				if e.Compared != compared || (e.Score > 0) != compared {
					t.Errorf("%+v: compared %v with score %v, want %v", want, e.Compared, e.Score, compared)
				}
				answered := identity == ekyc.Match || identity == ekyc.NonMatched || number == ekyc.Match || number == ekyc.NonMatched
				if n := charges(t, k); (n == 1) != answered || n > 1 || e.Answered() != answered {
					t.Errorf("%+v: %d charges, answered %v, want %v", want, n, e.Answered(), answered)
				}
				d := directs(t, k)
				if len(d) != 1 || d[0].Elements != want || d[0].App != k.App.ID || d[0].Ref != "JH1" || !d[0].At.Equal(k.Clock.Now()) || d[0].Answered != answered || d[0].Code != ekyc.OK {
					t.Errorf("%+v: recorded as %+v", want, d)
				}
				if identity != ekyc.Match && k.Engine.Calls() > 0 {
					t.Errorf("%+v: the image was measured, which nobody will be told of", want)
				}
				seen++
			}
		}
	}
	if n := len(outcomes); seen != n*n*n {
		t.Errorf("%d combinations", seen)
	}
}

func TestElementsSaysWhyThePortraitFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		face testkit.Face
		poor bool
		want ekyc.Code
	}{
		{face: testkit.Face{None: true}, want: ekyc.NoFace},
		{face: testkit.Face{Fault: ekyc.ImageFormat}, want: ekyc.ImageFormat},
		{face: testkit.Face{Person: "zhang"}, poor: true, want: ekyc.PortraitPoor},
	} {
		k := known(t)
		if c.poor {
			k.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang", Blurred: true}))
		}
		e, err := elements(t, k, c.face)
		if err != nil || e.Portrait != ekyc.Failed || e.Why != c.want || e.Mobile != ekyc.Match || e.Carrier != ekyc.ChinaUnicom {
			t.Errorf("%s: got %+v, %v", c.want, e, err)
		}
	}
}

// A fault of our own is no answer, and costs nothing; what the sources said is lost.
func TestElementsWithoutAnEngine(t *testing.T) {
	t.Parallel()
	k := known(t)
	k.Engine.Hook = func() error { return ekyc.Errorf(ekyc.EngineFailed, "scripted") }
	_, err := elements(t, k, testkit.Face{Person: "zhang"})
	wantCode(t, "a broken engine", err, ekyc.EngineFailed)
	if d := directs(t, k); charges(t, k) != 0 || len(d) != 1 || d[0].Code != ekyc.EngineFailed || d[0].Answered {
		t.Errorf("recorded as %+v with %d charges", d, charges(t, k))
	}
}

func TestElementsNeedsSources(t *testing.T) {
	t.Parallel()
	k := known(t)
	k.Service.Identity, k.Service.Portrait, k.Service.Mobile = nil, nil, nil
	_, err := elements(t, k, testkit.Face{})
	wantCode(t, "no source at all", err, ekyc.SourceMissing)

	k = known(t)
	k.Service.Mobile = nil
	e, err := elements(t, k, testkit.Face{Person: "zhang"})
	if err != nil || e.Checked != (ekyc.Checked{Identity: ekyc.Match, Portrait: ekyc.Match, Mobile: ekyc.Failed}) {
		t.Errorf("without a source of mobile numbers: %+v, %v", e, err)
	}
	k.Service.Portrait = nil
	e, err = elements(t, k, testkit.Face{Person: "zhang"})
	if err != nil || e.Portrait != ekyc.Failed || e.Why != ekyc.SourceMissing {
		t.Errorf("without a source of portraits: %+v, %v", e, err)
	}
}

// faces is a scripted FaceSource.
type faces func() (ekyc.Outcome, ekyc.Score, error)

func (f faces) Face(context.Context, ekyc.Claim, []byte) (ekyc.Outcome, ekyc.Score, error) {
	return f()
}

// Where a source compares on its side, its word counts for portrait and identity; where it
// does not answer, neither is said to match or not to.
func TestElementsAskAFaceSource(t *testing.T) {
	t.Parallel()
	say := func(o ekyc.Outcome, s ekyc.Score, err error) faces {
		return func() (ekyc.Outcome, ekyc.Score, error) { return o, s, err }
	}
	for _, c := range []struct {
		name  string
		face  faces
		alone bool // no other source of identity
		want  ekyc.Checked
		score ekyc.Score
	}{
		{"match", say(ekyc.Match, 0.9, nil), false, ekyc.Checked{Identity: ekyc.Match, Portrait: ekyc.Match}, 0.9},
		{"match, alone", say(ekyc.Match, 0.9, nil), true, ekyc.Checked{Identity: ekyc.Match, Portrait: ekyc.Match}, 0.9},
		{"non-match, alone", say(ekyc.NonMatched, 0.2, nil), true, ekyc.Checked{Identity: ekyc.Match, Portrait: ekyc.NonMatched}, 0.2},
		{"no portrait", say(ekyc.NoRecord, 0, nil), true, ekyc.Checked{Identity: ekyc.Match, Portrait: ekyc.NoRecord}, 0},
		{"mismatch", say("", 0, ekyc.Errorf(ekyc.IdentityMismatch, "")), true, ekyc.Checked{Identity: ekyc.NonMatched}, 0},
		{"unknown", say("", 0, ekyc.Errorf(ekyc.IdentityUnknown, "")), true, ekyc.Checked{Identity: ekyc.NoRecord}, 0},
		{"silent", say("", 0, errors.New("cut off")), false, ekyc.Checked{Identity: ekyc.Match, Portrait: ekyc.Failed}, 0},
		{"silent, alone", say("", 0, errors.New("cut off")), true, ekyc.Checked{Identity: ekyc.Failed}, 0},
	} {
		k := known(t)
		k.Service.Face = c.face
		if c.alone {
			k.Service.Identity, k.Service.Portrait = nil, nil
		}
		e, err := elements(t, k, testkit.Face{Person: "zhang"})
		c.want.Mobile = ekyc.Match
		if err != nil || e.Checked != c.want || e.Score != c.score || e.Compared != (c.score > 0) {
			t.Errorf("%s: got %+v, %v, want %+v with %v", c.name, e, err, c.want, c.score)
		}
	}
	k := known(t)
	k.Service.Face = func() faces {
		return func() (ekyc.Outcome, ekyc.Score, error) {
			t.Error("a picture without a face was sent to a source that may charge")
			return "", 0, nil
		}
	}()
	if e, err := elements(t, k, testkit.Face{None: true}); err != nil || e.Portrait != ekyc.Failed || e.Why != ekyc.NoFace {
		t.Errorf("a picture without a face: %+v, %v", e, err)
	}
}

// panics is a source with a fault.
type panics struct{}

func (panics) Mobile(context.Context, ekyc.Claim, cnid.Mobile) (ekyc.Outcome, ekyc.Carrier, error) {
	panic("scripted")
}

func TestElementsOutliveAPanic(t *testing.T) {
	t.Parallel()
	k := known(t)
	k.Service.Mobile = panics{}
	if e, err := elements(t, k, testkit.Face{Person: "zhang"}); err != nil || e.Mobile != ekyc.Failed || e.Portrait != ekyc.Match {
		t.Errorf("got %+v, %v", e, err)
	}
}

// leaves is a source during whose answer the caller goes away.
type leaves func()

func (l leaves) Mobile(ctx context.Context, _ ekyc.Claim, _ cnid.Mobile) (ekyc.Outcome, ekyc.Carrier, error) {
	l()
	return ekyc.Match, "", ctx.Err()
}

func TestElementsAreRecordedThoughTheCallerLeft(t *testing.T) {
	t.Parallel()
	k := known(t)
	ctx, cancel := context.WithCancel(k.Ctx)
	defer cancel()
	k.Service.Mobile = leaves(cancel)
	e, err := k.Elements(ctx, k.App, ekyc.ElementsRequest{Claim: claim(t), Mobile: mobile, Image: testkit.Photo(testkit.Face{Person: "zhang"}), LogID: k.LogID()})
	if d := directs(t, k); err != nil || len(d) != 1 || d[0].Elements != e.Checked || charges(t, k) != 1 {
		t.Errorf("of a call whose caller left is recorded %+v, %v", d, err)
	}
}

func TestElementsQuota(t *testing.T) {
	t.Parallel()
	k := known(t)
	k.App.Quota = map[ekyc.ChargeKind]int64{ekyc.ChargeElements: 1}
	k.PutApp(k.App)
	if _, err := elements(t, k, testkit.Face{Person: "zhang"}); err != nil {
		t.Fatal(err)
	}
	_, err := elements(t, k, testkit.Face{Person: "zhang"})
	wantCode(t, "beyond the quota", err, ekyc.LimitTotal)
	k.App.Quota[ekyc.ChargeElements] = 0
	_, err = elements(t, k, testkit.Face{Person: "zhang"})
	wantCode(t, "not opened", err, ekyc.QuotaNone)
	k.App.Quota = nil
	for state, want := range map[ekyc.Switch]ekyc.Code{ekyc.Paused: ekyc.Maintenance, ekyc.Out: ekyc.Stopped, ekyc.In: ekyc.OK} {
		if err := k.Store.PutSwitch(k.Ctx, ekyc.ChargeElements, state); err != nil {
			t.Fatal(err)
		}
		_, err = elements(t, k, testkit.Face{Person: "zhang"})
		wantCode(t, string(state), err, want)
	}
}

func TestParseElements(t *testing.T) {
	t.Parallel()
	c, m, err := ekyc.ParseElements(" 张三 ", "11010519491231002x", "+86 138-0013-8000")
	if err != nil || c.Name != "张三" || c.Number != number || m != mobile || c.Type != ekyc.IDCard {
		t.Errorf("got %v %v %v, %v", c, m, c.Type, err)
	}
	permit := "8100001990010100" + "1"
	permit += string(cnid.CheckCharacter(permit))
	if c, _, err = ekyc.ParseElements("陈大文", permit, mobile); err != nil || c.Type != ekyc.ResidencePermit {
		t.Errorf("a residence permit: got type %v, %v", c.Type, err)
	}
	for want, in := range map[ekyc.Code][3]string{
		ekyc.BadName: {"张3", number, mobile}, ekyc.BadIDNumber: {"张三", "1", mobile}, ekyc.BadMobile: {"张三", number, "12800138000"},
	} {
		_, _, err := ekyc.ParseElements(in[0], in[1], in[2])
		wantCode(t, string(want), err, want)
	}
}

// What the keys of an app are worth at a moment.
func TestStandingOfAnApp(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	now := k.Clock.Now()
	for _, c := range []struct {
		name   string
		change func(*ekyc.App)
		want   ekyc.Code
	}{
		{"as it is", func(*ekyc.App) {}, ekyc.OK},
		{"off", func(a *ekyc.App) { a.Disabled = true }, ekyc.AppDisabled},
		{"expires now", func(a *ekyc.App) { a.Expires = now }, ekyc.AppExpired},
		{"expires later", func(a *ekyc.App) { a.Expires = now.Add(time.Second) }, ekyc.OK},
		{"review is due", func(a *ekyc.App) { a.ReviewBy = now }, ekyc.AppUnreviewed},
		{"review is due later", func(a *ekyc.App) { a.ReviewBy = now.Add(time.Second) }, ekyc.OK},
	} {
		a := k.App
		g, err := k.Grant(k.Ctx, a.Key, string(a.Secret))
		if err != nil {
			t.Fatal(err)
		}
		c.change(&a)
		if err := k.Store.PutApp(k.Ctx, a); err != nil {
			t.Fatal(err)
		}
		_, err = k.AppByBearer(k.Ctx, string(a.Bearer))
		wantCode(t, c.name+", by bearer key", err, c.want)
		_, err = k.AppByKey(k.Ctx, a.Key)
		wantCode(t, c.name+", by API key", err, c.want)
		_, err = k.Access(k.Ctx, g)
		wantCode(t, c.name+", by access token", err, c.want)
		if err := k.Store.PutApp(k.Ctx, k.App); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"", "ak0123456789", "0123456789abcdef0123456789abcdee"} {
		_, err := k.AppByBearer(k.Ctx, key)
		wantCode(t, "key "+key, err, ekyc.AppUnknown)
	}
}

func TestSandboxNumbersBelongToNobody(t *testing.T) {
	t.Parallel()
	numbers, names := map[cnid.Number]string{}, map[string]bool{}
	for _, c := range ekyc.SandboxCases() {
		if n, err := cnid.ParseNumber(string(c.Number)); err != nil || n != c.Number {
			t.Errorf("%s: %s is no identity number: %v", c.Name, string(c.Number), err)
		}
		if !strings.HasPrefix(string(c.Number), "99") {
			t.Errorf("%s: %s begins with a region code that a place may have", c.Name, string(c.Number))
		}
		if numbers[c.Number] != "" || names[c.Name] {
			t.Errorf("%s is there twice, or shares its number with %s", c.Name, numbers[c.Number])
		}
		numbers[c.Number], names[c.Name] = c.Name, true
	}
	for _, c := range ekyc.Codes() {
		if !names[string(c)] {
			t.Errorf("code %s cannot be played", c)
		}
	}
	if all := slices.IndexFunc(ekyc.SandboxCases(), func(c ekyc.SandboxCase) bool { return c.Number == "990111199003070018" }); all < 0 {
		t.Error("990111199003070018, which documents show, is no case")
	}
}

// testing is a kit whose app is in test mode, with sources that must not be asked.
func inTestMode(t *testing.T) *testkit.Kit {
	t.Helper()
	k := known(t)
	k.Authority.Err = errors.New("asked")
	k.Mobiles.Err = errors.New("asked")
	k.App.Test = true
	k.PutApp(k.App)
	return k
}

func TestSandboxAnswersElements(t *testing.T) {
	t.Parallel()
	k := inTestMode(t)
	ask := func(n cnid.Number) (ekyc.Elements, error) {
		c, err := ekyc.ParseClaim("测试", string(n), ekyc.IDCard)
		if err != nil {
			t.Fatal(err)
		}
		return k.Elements(k.Ctx, k.App, ekyc.ElementsRequest{Claim: c, Mobile: mobile, Image: []byte("x"), LogID: k.LogID()})
	}
	for _, c := range ekyc.SandboxCases() {
		e, err := ask(c.Number)
		if c.Code == ekyc.OK && (err != nil || e.Checked != c.Checked || e.Score != c.Score || e.Carrier != c.Carrier) {
			t.Errorf("%s: got %+v, %v", c.Name, e, err)
		}
		if err != nil && ekyc.CodeOf(err) != c.Code {
			t.Errorf("%s: got %v", c.Name, err)
		}
	}
	e, err := ask(number) // on file, and nobody may learn that
	if err != nil || e.Checked != (ekyc.Checked{Identity: ekyc.NoRecord, Mobile: ekyc.NoRecord}) {
		t.Errorf("a real person: got %+v, %v", e, err)
	}
	if n := charges(t, k); n != 0 || k.Engine.Calls() != 0 {
		t.Errorf("%d real charges, %d pictures measured; want none", n, k.Engine.Calls())
	}
	list, err := k.Store.Directs(k.Ctx, ekyc.DirectQuery{Limit: 1000})
	if err != nil || len(list) != len(ekyc.SandboxCases())+1 {
		t.Errorf("%d records, %v", len(list), err)
	}
	for _, d := range list {
		if !d.Sandbox {
			t.Errorf("%+v is not marked", d)
		}
	}
	if strings.Contains(k.Logs.String(), "asked") {
		t.Error("a source was asked")
	}
}

// A magic identity of another app is a number like any other.
func TestMagicIsForTestModeAlone(t *testing.T) {
	t.Parallel()
	k := known(t)
	c, err := ekyc.ParseClaim("测试", "990111199003070018", ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	e, err := k.Elements(k.Ctx, k.App, ekyc.ElementsRequest{Claim: c, Mobile: mobile, Image: testkit.Photo(testkit.Face{}), LogID: k.LogID()})
	if err != nil || e.Identity != ekyc.NoRecord || e.Mobile != ekyc.NonMatched {
		t.Errorf("got %+v, %v; want what the sources say", e, err)
	}
	ses := k.OpenPlan("3")
	if err := k.Declare(k.Ctx, k.App, ses.Token, c); err != nil {
		t.Fatal(err)
	}
	_, err = k.Result(k.Ctx, k.App, ses.Token)
	wantCode(t, "results of a session that nobody attended", err, ekyc.NotStarted)
}

// Every case is played to its end by a session whose results are asked for, without a
// camera; everything that is kept of it is marked.
func TestSandboxPlaysSessions(t *testing.T) {
	t.Parallel()
	k := inTestMode(t)
	for _, c := range ekyc.SandboxCases() {
		claim, err := ekyc.ParseClaim("测试", string(c.Number), ekyc.IDCard)
		if err != nil {
			t.Fatal(err)
		}
		tok := k.OpenPlan("3").Token
		err = k.Declare(k.Ctx, k.App, tok, claim)
		if err != nil {
			wantCode(t, c.Name, err, c.Code)
			continue
		}
		ses, err := k.Result(k.Ctx, k.App, tok)
		if err != nil {
			wantCode(t, c.Name, err, c.Code)
			continue
		}
		a := ses.Attempts[0]
		switch {
		case c.Code != ekyc.OK && a.Code != c.Code:
			t.Errorf("%s: the attempt ended with %q", c.Name, a.Code)
		case c.Code == ekyc.OK && (a.Outcome == ekyc.Match) != (c.Identity == ekyc.Match && c.Portrait == ekyc.Match):
			t.Errorf("%s: the attempt came to %s %s", c.Name, a.Outcome, a.Code)
		}
		if !ses.Sandbox {
			t.Errorf("%s: the session is not marked", c.Name)
		}
		for _, ch := range ses.Charges() {
			if !ch.Sandbox {
				t.Errorf("%s: charge %+v is not marked", c.Name, ch)
			}
		}
		if again, err := k.Result(k.Ctx, k.App, tok); err != nil || len(again.Attempts) != 1 {
			t.Errorf("%s: asked again, %d attempts, %v", c.Name, len(again.Attempts), err)
		}
	}
	for _, kind := range ekyc.ChargeKinds() {
		if n, err := k.Store.Charged(k.Ctx, k.App.ID, kind); err != nil || n != 0 {
			t.Errorf("%d real charges of %s, %v", n, kind, err)
		}
	}
}

// The page works as ever in test mode; what is decided is the case's, and no picture of
// the camera is kept.
func TestSandboxScriptsTheCamera(t *testing.T) {
	t.Parallel()
	k := inTestMode(t)
	c, err := ekyc.ParseClaim("测试", "990111199003070018", ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	tok := k.OpenPlan("3").Token
	if err := k.Declare(k.Ctx, k.App, tok, c); err != nil {
		t.Fatal(err)
	}
	a := walk(t, k, tok, testkit.Face{Person: "a developer", Spoof: true})
	if a.Outcome != ekyc.Match || a.Score < 0.9 {
		t.Errorf("got %s %s with %v, want the case's match", a.Outcome, a.Code, a.Score)
	}
	ses, err := k.Result(k.Ctx, k.App, tok)
	if err != nil || len(ses.Evidence) != 1 {
		t.Fatalf("%d items of evidence, %v; want the magic picture", len(ses.Evidence), err)
	}
	data, _, err := k.Evidence(k.Ctx, tok, ses.Evidence[0].Ref)
	if err != nil || string(data) != string(ekyc.SandboxPicture("match-match-match")) {
		t.Errorf("the evidence is %d bytes, %v; want the magic picture", len(data), err)
	}
	// Nobody whom the list does not name is looked up.
	tok = k.OpenPlan("3").Token
	if err := k.Declare(k.Ctx, k.App, tok, claim(t)); err != nil {
		t.Fatal(err)
	}
	if a = walk(t, k, tok, testkit.Face{Person: "zhang"}); a.Code != ekyc.IdentityUnknown {
		t.Errorf("a real person: got %s %s, want %s", a.Outcome, a.Code, ekyc.IdentityUnknown)
	}
}

func TestMagicPictures(t *testing.T) {
	t.Parallel()
	k := inTestMode(t)
	for _, c := range ekyc.SandboxCases() {
		tok := k.OpenPlan("2").Token
		err := k.Enrol(k.Ctx, k.App, tok, ekyc.SandboxPicture(c.Name), ekyc.LevelNone, ekyc.LevelNone)
		if err != nil {
			wantCode(t, c.Name, err, c.Code)
			continue
		}
		ses, err := k.Result(k.Ctx, k.App, tok)
		if err == nil && !ses.Attempts[0].Decided() && ses.Attempts[0].Code != c.Code && c.Code != ekyc.OK {
			t.Errorf("%s: the attempt ended with %q", c.Name, ses.Attempts[0].Code)
		}
	}
	p := func(name string) ekyc.Picture { return ekyc.Picture{Image: ekyc.SandboxPicture(name)} }
	x, err := k.Compare(k.Ctx, k.App, p("match-match-match"), p("match-match-match"), k.LogID())
	if err != nil || x.Comparison.Score < 0.9 {
		t.Errorf("match: %v, %v", x.Comparison.Score, err)
	}
	x, err = k.Compare(k.Ctx, k.App, p("non_match"), p("match-match-match"), k.LogID())
	if err != nil || x.Comparison.Score > 0.5 {
		t.Errorf("non-match: %v, %v", x.Comparison.Score, err)
	}
	real := ekyc.Picture{Image: testkit.Photo(testkit.Face{Person: "zhang"})}
	_, err = k.Compare(k.Ctx, k.App, real, p("no_face"), k.LogID())
	wantCode(t, "no_face as the second picture", err, ekyc.NoFace)
	if x, err = k.Compare(k.Ctx, k.App, real, real, k.LogID()); err != nil || x.Comparison.Score < 0.9 {
		t.Errorf("two pictures that are no magic: %v, %v; want the engine's answer", x.Comparison.Score, err)
	}
	if n, err := k.Store.Charged(k.Ctx, k.App.ID, ekyc.ChargeMatch); err != nil || n != 0 {
		t.Errorf("%d real charges, %v", n, err)
	}
}

// TestElementsNoteWhoWasAsked has each question put to a source in the call's record, with its
// outcome, and counted.
func TestElementsNoteWhoWasAsked(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	c := claim(t)
	k.Authority.Add(string(c.Number), string(c.Name), testkit.Photo(testkit.Face{Person: "zhang"}))
	own := ekyc.Source{Name: "own", Identity: k.Authority, Portrait: k.Authority, Mobile: k.Mobiles}
	k.Sources, k.Order = []ekyc.Source{own}, []string{"own"}
	if _, err := k.Elements(k.Ctx, k.App, ekyc.ElementsRequest{Claim: c, Mobile: "13800138000", Image: testkit.Photo(testkit.Face{Person: "zhang"}), LogID: "7"}); err != nil {
		t.Fatal(err)
	}
	list, err := k.Kept.Directs(k.Ctx, ekyc.DirectQuery{ID: "7"})
	if err != nil || len(list) != 1 {
		t.Fatalf("got %v, %v", list, err)
	}
	got := map[ekyc.Outcome]int{}
	for _, a := range list[0].Asked {
		if a.Source != "own" {
			t.Errorf("asked %q", a.Source)
		}
		got[a.Outcome]++
	}
	if got[ekyc.Match] != 2 || got[ekyc.NoRecord] != 1 { // identity, portrait; a mobile number that nobody knows
		t.Errorf("asked %+v, want two matches and one without a record", list[0].Asked)
	}
	counts, err := k.Kept.Counts(k.Ctx, ekyc.CountQuery{Measures: []ekyc.Measure{ekyc.CountSource, ekyc.CountElement}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := said(counts), []string{"element identity/match", "element mobile/no_record", "element portrait/match", "source own/match/ ×2", "source own/no_record/"}; !slices.Equal(got, want) {
		t.Errorf("counted %q, want %q", got, want)
	}
}
