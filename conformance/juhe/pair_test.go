package juhe

import (
	"crypto/rand"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	api "shiren/api/juhe"
	"shiren/conformance/fixture"
	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
	"shiren/internal/store"
	"shiren/internal/testkit"
)

const (
	pairNumber = "11010519491231002X" // GB 11643's own example
	pairMobile = "13800138000"
	pairName   = "张三"
)

// pair is two whole services: clients ask the near one, which asks the far one.
type pair struct {
	near, far *world
	between   *fixture.Between
	calls     *store.Calls
	client    *api.Client // of the near one
}

func newPair(t *testing.T, kind string) *pair {
	t.Helper()
	p := &pair{near: newWorld(t), far: newWorld(t)}
	serve := func(w *world) string {
		s := httptest.NewServer(w.handler)
		t.Cleanup(s.Close)
		return s.URL
	}
	p.between = fixture.NewBetween(t, serve(p.far))
	p.calls = p.near.Store.(*store.Store).Calls()
	src, err := upstream.Open(upstream.Config{
		Name: "far", Kind: kind, Address: p.between.URL, Key: string(p.far.App.Bearer), Cost: 350_000, Timeout: 2 * time.Second,
		Journal: p.calls, Now: p.near.Clock.Now, Rand: rand.Reader, Log: p.near.Log, Pause: time.Millisecond,
	})
	p.near.Must(err)
	p.near.Sources, p.near.Order = []ekyc.Source{src}, []string{"far"}
	p.client = &api.Client{Base: serve(p.near), Key: string(p.near.App.Bearer)}
	return p
}

// ask puts the interface that a kind of source asks to the near server, and returns its
// result, or its error code.
func (p *pair) ask(t *testing.T, kind, name, person string) int {
	t.Helper()
	image := testkit.Photo(testkit.Face{Person: person})
	var res int
	var err error
	switch kind {
	case upstream.Juhe:
		var r api.Result
		r, err = p.client.Query(t.Context(), api.Request{RealName: name, IDCard: pairNumber, Mobile: pairMobile, Image: image})
		res = int(r.Res)
	case upstream.JuheFace:
		var r api.FaceResult
		r, err = p.client.VerifyFace(t.Context(), api.FaceRequest{RealName: name, IDCard: pairNumber, Image: image})
		if res = int(r.Res); r.Res == api.FaceCompared && r.Score < 80 {
			res = -1 // compared, and another
		}
	case upstream.JuheMobile:
		var r api.MobileResult
		r, err = p.client.QueryMobile(t.Context(), api.MobileRequest{RealName: name, IDCard: pairNumber, Mobile: pairMobile})
		res = int(r.Res)
	}
	var refusal *api.Error
	switch {
	case errors.As(err, &refusal):
		return int(refusal.Code)
	case err != nil:
		t.Fatal(err)
	}
	return res
}

func (p *pair) charged(t *testing.T, kind ekyc.ChargeKind) int64 {
	t.Helper()
	n, err := p.near.Store.Charged(t.Context(), p.near.App.ID, kind)
	p.near.Must(err)
	return n
}

var chargeOf = map[string]ekyc.ChargeKind{upstream.Juhe: ekyc.ChargeElements, upstream.JuheFace: ekyc.ChargeVerify, upstream.JuheMobile: ekyc.ChargeElements}

// One server is another's upstream. What the far one knows comes back from the near one, and
// what it cannot say is charged to nobody and is no non-match.
func TestPair(t *testing.T) {
	t.Parallel()
	const unanswered = int(api.Unanswered)
	authority := "authority " + pairNumber + " " + pairName
	mobile := "mobile " + pairMobile + " " + pairNumber + " unicom"
	type step struct {
		given, name, person string
		want                int
	}
	for kind, steps := range map[string][]step{
		upstream.Juhe: {
			{"", pairName, "zhang", unanswered}, // nobody is known
			{mobile, pairName, "zhang", int(api.IdentityUnchecked)},
			{authority + " -", pairName, "zhang", int(api.PortraitUnchecked)},
			{authority + " zhang", pairName, "zhang", int(api.AllMatch)},
			{"", pairName, "li", int(api.PortraitFails)},
			{"", "李四", "zhang", int(api.IdentityFails)},
			{"mobiles fail", pairName, "zhang", int(api.MobileUnchecked)},
			{"source fails", pairName, "zhang", unanswered},
			{"quota elements 0", pairName, "zhang", unanswered},
			{"disable", pairName, "zhang", unanswered},
		},
		upstream.JuheFace: {
			{"", pairName, "zhang", unanswered}, // its results 2 and 3 are shiren's own, and not read
			{authority + " zhang", pairName, "zhang", int(api.FaceCompared)},
			{"", pairName, "li", -1},
			{"", "李四", "zhang", unanswered},
			{"source fails", pairName, "zhang", unanswered},
			{"disable", pairName, "zhang", unanswered},
		},
		upstream.JuheMobile: {
			{"", pairName, "", unanswered},
			{mobile, pairName, "", int(api.MobileMatches)},
			{"mobile " + pairMobile + " 440524188001010014 mobile", pairName, "", int(api.MobileDiffers)},
			{"mobiles fail", pairName, "", unanswered},
			{"disable", pairName, "", unanswered},
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, kind)
			charged := int64(0)
			for i, s := range steps {
				if s.given != "" {
					p.far.Given(s.given)
				}
				if got := p.ask(t, kind, s.name, s.person); got != s.want {
					t.Errorf("step %d, %q: got %d, want %d\n%s", i, s.given, got, s.want, p.near.Logs)
				}
				if s.want != unanswered {
					charged++
				}
				if got := p.charged(t, chargeOf[kind]); got != charged {
					t.Errorf("step %d, %q: %d charges, want %d", i, s.given, got, charged)
				}
			}
			list, err := p.near.Store.Directs(t.Context(), ekyc.DirectQuery{})
			p.near.Must(err)
			for _, d := range list {
				if calls, err := p.calls.List(t.Context(), time.Time{}, d.ID, 9); err != nil || len(calls) != 1 || calls[0].Ended.IsZero() {
					t.Errorf("call %s: journal %+v, %v; want its one call", d.ID, calls, err)
				}
			}
			if len(list) != len(steps) {
				t.Errorf("%d records of %d calls", len(list), len(steps))
			}
		})
	}
}

// Whatever happens between them, the near server says that it could not check, charges
// nothing, and works again afterwards.
func TestPairFaults(t *testing.T) {
	t.Parallel()
	for kind, well := range map[string]int{
		upstream.Juhe: int(api.AllMatch), upstream.JuheFace: int(api.FaceCompared), upstream.JuheMobile: int(api.MobileMatches),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, kind)
			p.far.Given("authority " + pairNumber + " " + pairName + " zhang")
			p.far.Given("mobile " + pairMobile + " " + pairNumber + " unicom")
			for _, fault := range fixture.Faults {
				p.between.Set(fault)
				if got := p.ask(t, kind, pairName, "zhang"); got != int(api.Unanswered) {
					t.Errorf("%s: got %d, want %d", fault, got, api.Unanswered)
				}
				p.between.Set("")
				// In between it works: five faults in a row would open the breaker.
				if got := p.ask(t, kind, pairName, "zhang"); got != well {
					t.Errorf("after %s: got %d, want %d", fault, got, well)
				}
			}
			n := int64(len(fixture.Faults))
			if got := p.charged(t, chargeOf[kind]); got != n {
				t.Errorf("%d charges, want those of the %d answers", got, n)
			}
			totals, err := p.calls.Totals(t.Context(), time.Time{})
			if err != nil || len(totals) != 1 || totals[0].Calls != 2*n || totals[0].Failed != n || totals[0].Unfinished != 0 || totals[0].Charged != 2*n {
				t.Errorf("totals %+v, %v; want %d calls of which %d failed, all counted as charged", totals, err, 2*n, n)
			}
			for text, what := range map[string]string{pairName: "name", pairNumber: "number", pairMobile: "mobile number", string(p.far.App.Bearer): "key"} {
				if strings.Contains(p.near.Logs.String(), text) {
					t.Errorf("the near server's log holds the %s", what)
				}
			}
		})
	}
}
