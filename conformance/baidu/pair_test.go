package baidu

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	api "shiren/api/baidu"
	"shiren/conformance/fixture"
	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
	"shiren/internal/store"
	"shiren/internal/testkit"
)

// pair is two whole services: people verify themselves with the near one, and the far one
// knows them.
type pair struct {
	near, far *world
	between   *fixture.Between
	calls     *store.Calls
}

func newPair(t *testing.T, kind string) *pair {
	p := &pair{near: newWorld(t), far: newWorld(t)}
	far := p.far.serve()
	p.between = fixture.NewBetween(t, far.URL)
	p.calls = p.near.Store.(*store.Store).Calls()
	src, err := upstream.Open(upstream.Config{
		Name: "far", Kind: kind, Address: p.between.URL, Key: p.far.App.Key, Secret: string(p.far.App.Secret), Cost: 350_000, Timeout: time.Second,
		Journal: p.calls, Now: p.near.Clock.Now, Rand: rand.Reader, Log: p.near.Log, Pause: time.Millisecond,
		Local: ekyc.Source{Identity: p.near.Authority, Portrait: p.near.Authority},
	})
	p.near.Must(err)
	p.near.Sources, p.near.Order = []ekyc.Source{src}, []string{"far"}
	return p
}

const (
	pairNumber = "11010519491231002X" // GB 11643's own example
	pairName   = "张三丰"
)

// verify walks a session of the near server and returns its attempt and what getall says of it.
func (p *pair) verify(t *testing.T, name string, f testkit.Face) (ekyc.Attempt, api.VerifyRecord) {
	t.Helper()
	w := p.near
	tok := w.OpenPlan("3").Token
	w.Must(w.Declare(w.Ctx, w.App, tok, w.claim(name, pairNumber)))
	a, err := w.Walk(tok, f)
	w.Must(err)
	c := &api.Client{Base: w.serve().URL, Key: w.App.Key, Secret: string(w.App.Secret)}
	all, err := c.GetAll(t.Context(), string(tok))
	w.Must(err)
	if len(all.VerifyResult) != 1 {
		t.Fatalf("getall: %d verifications, want 1", len(all.VerifyResult))
	}
	return a, all.VerifyResult[0]
}

// One server is another's upstream. Whatever happens between them ends in the right code.
func TestPair(t *testing.T) {
	for _, kind := range []string{upstream.BaiduV4, upstream.BaiduV3} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, kind)
			zhang := testkit.Face{Person: "zhang"}
			for _, tt := range []struct {
				given, name string
				face        testkit.Face
				outcome     ekyc.Outcome
				code        ekyc.Code
				vendor      api.Text
			}{
				{"", pairName, zhang, ekyc.NonMatched, ekyc.IdentityUnknown, "222354"},
				{"authority " + pairNumber + " " + pairName + " -", pairName, zhang, ekyc.NonMatched, ekyc.PortraitNone, "222355"},
				{"authority " + pairNumber + " " + pairName + " zhang", pairName, zhang, ekyc.Match, ekyc.OK, "0"},
				{"", "李四", zhang, ekyc.NonMatched, ekyc.IdentityMismatch, "222351"},
				{"", pairName, testkit.Face{Person: "li"}, ekyc.NonMatched, ekyc.NonMatch, "222207"},
				{"quota verify 0", pairName, zhang, ekyc.Failed, ekyc.Busy, "2"}, // the far one says 18, as of too many requests
				{"quota verify -1", pairName, zhang, ekyc.Match, ekyc.OK, "0"},
				{"engine fails", pairName, zhang, ekyc.Failed, ekyc.SourceFailed, "222361"},
			} {
				if tt.given != "" {
					p.far.Do(tt.given)
				}
				a, r := p.verify(t, tt.name, tt.face)
				if a.Outcome != tt.outcome || a.Code != tt.code || r.Code != tt.vendor {
					t.Errorf("%q, %s: got %s/%q, getall %s; want %s/%q, %s", tt.given, tt.face.Person, a.Outcome, a.Code, r.Code, tt.outcome, tt.code, tt.vendor)
				}
				if (len(a.Charges) == 1) != a.Decided() {
					t.Errorf("%q: %d charges of an attempt with outcome %s", tt.given, len(a.Charges), a.Outcome)
				}
				calls, err := p.calls.List(t.Context(), time.Time{}, a.LogID, 9)
				if err != nil || len(calls) != 1 || calls[0].Ended.IsZero() || calls[0].Code == "" != (a.Code == ekyc.OK || a.Code == ekyc.NonMatch) {
					t.Errorf("%q: journal %+v, %v; want the attempt's one call", tt.given, calls, err)
				}
				if len(a.Asked) != 1 || a.Asked[0].Source != "far" {
					t.Errorf("%q: asked %+v, want the far one", tt.given, a.Asked)
				}
			}
		})
	}
}

func TestPairFaults(t *testing.T) {
	t.Parallel()
	p := newPair(t, upstream.BaiduV4)
	p.far.Do("authority " + pairNumber + " " + pairName + " zhang")
	zhang := testkit.Face{Person: "zhang"}
	for _, fault := range fixture.Faults {
		p.between.Set(fault)
		a, r := p.verify(t, pairName, zhang)
		if a.Outcome != ekyc.Failed || a.Code != ekyc.SourceFailed || len(a.Charges) != 0 || r.Code != "222361" || r.IsVerifyPassed || r.IsCharged {
			t.Errorf("%s: got %s/%q, %d charges, getall %+v; want no answer, free of charge", fault, a.Outcome, a.Code, len(a.Charges), r)
		}
		p.between.Set("")
		// In between it works: five faults in a row would open the breaker.
		if a, _ := p.verify(t, pairName, zhang); a.Outcome != ekyc.Match {
			t.Errorf("after %s: got %s/%q, want a match", fault, a.Outcome, a.Code)
		}
	}
	totals, err := p.calls.Totals(t.Context(), time.Time{})
	n := int64(len(fixture.Faults))
	if err != nil || len(totals) != 1 || totals[0].Calls != 2*n || totals[0].Failed != n || totals[0].Unfinished != 0 || totals[0].Charged != 2*n || totals[0].Cost != 2*n*350_000 {
		t.Errorf("totals %+v, %v; want %d calls of which %d failed, all counted as charged", totals, err, 2*n, n)
	}
	for text, what := range map[string]string{pairName: "name", pairNumber: "number", string(p.far.App.Secret): "secret", "access_token=24": "token"} {
		if strings.Contains(p.near.Logs.String(), text) {
			t.Errorf("the near server's log holds the %s", what)
		}
	}
}

// The far server's credentials are refused, or nobody is there: nothing is charged.
func TestPairRefusing(t *testing.T) {
	t.Parallel()
	p := newPair(t, upstream.BaiduV4)
	p.between.Set("everything is 500")
	if a, _ := p.verify(t, pairName, testkit.Face{Person: "zhang"}); a.Code != ekyc.SourceFailed {
		t.Errorf("no credentials: got %q, want %q", a.Code, ekyc.SourceFailed)
	}
	p.between.Set("")
	p.far.Do("disable")
	if a, _ := p.verify(t, pairName, testkit.Face{Person: "zhang"}); a.Code != ekyc.SourceFailed {
		t.Errorf("switched off: got %q, want %q", a.Code, ekyc.SourceFailed)
	}
	if totals, err := p.calls.Totals(t.Context(), time.Time{}); err != nil || len(totals) != 1 || totals[0].Charged != 0 || totals[0].Cost != 0 {
		t.Errorf("totals %+v, %v; want nothing charged\n%s", totals, err, p.near.Logs)
	}
}

// The near server knows who people are and lets the far one compare.
func TestPairMatch(t *testing.T) {
	t.Parallel()
	p := newPair(t, upstream.BaiduMatchV4)
	p.near.Do("authority " + pairNumber + " " + pairName + " zhang")
	for person, want := range map[string]ekyc.Code{"zhang": ekyc.OK, "li": ekyc.NonMatch} {
		if a, _ := p.verify(t, pairName, testkit.Face{Person: person}); a.Code != want {
			t.Errorf("%s: got %s/%q, want %q", person, a.Outcome, a.Code, want)
		}
	}
	if n, err := p.far.Store.Charged(t.Context(), p.far.App.ID, ekyc.ChargeMatch); n != 2 || err != nil {
		t.Errorf("the far server charged %d, %v; want 2 matches", n, err)
	}
	p.between.Set("cut off")
	if a, _ := p.verify(t, pairName, testkit.Face{Person: "zhang"}); a.Code != ekyc.SourceFailed {
		t.Errorf("cut off: got %q, want %q", a.Code, ekyc.SourceFailed)
	}
}

// A call to the near server's own interface goes through both, and its answer comes back.
func TestPairOfDirectCalls(t *testing.T) {
	t.Parallel()
	p := newPair(t, upstream.BaiduV4)
	p.far.Do("authority " + pairNumber + " " + pairName + " zhang")
	w := p.near
	c := &api.Client{Base: w.serve().URL, Key: w.App.Key, Secret: string(w.App.Secret)}
	ask := func(name, person string) (api.VerifyResult, error) {
		return c.VerifyV4(t.Context(), api.VerifyRequest{IDCardNumber: pairNumber, Name: name, Image: testkit.Photo(testkit.Face{Person: person})})
	}
	if r, err := ask(pairName, "zhang"); err != nil || r.Score != 100 {
		t.Errorf("the person: %+v, %v; want 100", r, err)
	}
	if r, err := ask(pairName, "li"); err != nil || r.Score > 50 {
		t.Errorf("another: %+v, %v; want a low score", r, err)
	}
	_, err := ask("李四", "zhang")
	wantCode(t, "another name", err, api.IdentityMismatch)
	p.between.Set("cut off")
	_, err = ask(pairName, "zhang")
	wantCode(t, "cut off", err, api.SystemBusy)
}
