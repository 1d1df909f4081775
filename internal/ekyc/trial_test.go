package ekyc_test

import (
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// A trial is looked at like any attempt, is charged to no quota and counts in no total.
func TestTry(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	app := k.App
	app.Quota = map[ekyc.ChargeKind]int64{ekyc.ChargeLive: 0} // not opened: a trial asks for none
	k.PutApp(app)
	p, err := k.Store.Plan(k.Ctx, "1")
	if err != nil {
		t.Fatal(err)
	}
	p.ID, p.Version = "draft", 0
	ses, err := k.Try(k.Ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := k.Walk(ses.Token, testkit.Face{Spoof: true}); err != nil || a.Code != ekyc.LivenessFailed {
		t.Errorf("an attack on a trial: %q, %v, want %q", a.Code, err, ekyc.LivenessFailed)
	}
	if a, err := k.Walk(ses.Token, testkit.Face{}); err != nil || a.Outcome != ekyc.Match || len(a.Charges) != 1 || !a.Charges[0].Sandbox {
		t.Errorf("a trial: %q %q, charges %+v, %v; want a match and a marked charge", a.Outcome, a.Code, a.Charges, err)
	}
	if n, err := k.Store.Charged(k.Ctx, app.ID, ekyc.ChargeLive); n != 0 || err != nil {
		t.Errorf("a trial counts as %d charges, %v", n, err)
	}
	for name, change := range map[string]func(*ekyc.Plan){
		"an uploaded image":   func(p *ekyc.Plan) { p.Comparison = ekyc.CompareUploaded },
		"a declared identity": func(p *ekyc.Plan) { p.Identity = ekyc.IdentityDeclared },
	} {
		q := p
		change(&q)
		if _, err := k.Try(k.Ctx, q); ekyc.CodeOf(err) != ekyc.NotSwitchedOn {
			t.Errorf("%s: %v, want %s", name, err, ekyc.NotSwitchedOn)
		}
	}
	app.Disabled = true
	k.PutApp(app)
	if _, err := k.Try(k.Ctx, p); ekyc.CodeOf(err) != ekyc.AppDisabled {
		t.Errorf("of an app that is off: %v, want %s", err, ekyc.AppDisabled)
	}
}

// A retired plan opens nothing, whoever asks.
func TestRetiredPlan(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	for _, id := range []ekyc.PlanID{"1", "3"} { // 3 is the only one that OpenAs can take
		p, err := k.Store.Plan(k.Ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		p.Retired = true
		k.PutPlan(p)
	}
	if _, err := k.Open(k.Ctx, k.App, "1", ekyc.Redirect{}); ekyc.CodeOf(err) != ekyc.PlanUnknown {
		t.Errorf("Open: %v, want %s", err, ekyc.PlanUnknown)
	}
	if _, err := k.OpenAs(k.Ctx, k.App, ekyc.Opening{Subject: "user-1"}); ekyc.CodeOf(err) != ekyc.PlanUnknown {
		t.Errorf("OpenAs: %v, want %s", err, ekyc.PlanUnknown)
	}
}
