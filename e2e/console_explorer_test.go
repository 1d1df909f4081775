package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"shiren/internal/ekyc"
	"shiren/internal/operator"
)

// pick takes an entry of a native selection by its value.
func (d *desk) pick(name, value string) {
	d.t.Helper()
	do(d.t, d.ctx, "pick "+value, chromedp.WaitVisible(id(name)), chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`void (() => { const e = document.querySelector('[data-testid="%s"]'); e.value = %q; e.dispatchEvent(new Event('change', { bubbles: true })) })()`, name, value)))
}

// TestConsoleExplorer: an integrator tries a verification of Baidu's from token to result and a call
// of Huawei's that is signed by a pair made there, and takes a program along.
func TestConsoleExplorer(t *testing.T) {
	t.Parallel()
	o := theOffice(t)
	const app = "990000001"
	now := time.Now().UTC()
	for _, err := range []error{
		o.Store.PutApp(t.Context(), ekyc.App{ID: app, Name: "explorer's app", Key: "akExplorer0123", Secret: "skExplorer0123", Bearer: "0e0123456789abcdef0123456789abcd", Created: now, Test: true}),
		o.Store.PutPlan(t.Context(), ekyc.Plan{
			ID: "explorer-plan", App: app, Name: "declared", Comparison: ekyc.CompareAuthority, Identity: ekyc.IdentityDeclared, Liveness: ekyc.LivenessSilent,
			LivenessLevel: ekyc.LevelNormal, QualityLevel: ekyc.LevelNormal, MatchAt: 0.8, Created: now, Consent: ekyc.Consent{Version: "1", Text: map[string]string{"zh-CN": "同意。", "en": "Yes."}},
		}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d := consoleTabOf(t, o.account(t, "explorer.dev", operator.Integrator))
	// said waits for an answer that holds a text.
	said := func(text string) {
		t.Helper()
		do(t, d.ctx, "be answered "+text, poll(fmt.Sprintf(`document.querySelector('[data-testid="answer"]')?.textContent.includes(%q)`, text)))
	}
	to := func(name string) {
		t.Helper()
		d.click(id("to-" + name))
		do(t, d.ctx, "come to "+name, poll(fmt.Sprintf(`location.pathname.endsWith(%q)`, "/explorer/"+name)))
	}
	d.visit("/explorer/baidu.generate")
	d.pick("app", app)
	do(t, d.ctx, "have the app's plan", poll(`document.querySelector('[data-testid="field-plan_id"]')?.value === 'explorer-plan'`))
	d.click(id("send"))
	said(`"verify_token"`)
	d.check("explorer")

	to("baidu.idcard")
	d.pick("auth", "bce")
	do(t, d.ctx, "have the token", poll(`document.querySelector('[data-testid="field-verify_token"]')?.value.length === 24 && document.querySelector('[data-testid="field-id_no"]')?.value.startsWith('9901')`))
	d.click(id("send"))
	said(`"result":1`)
	if text := d.see(id("request")); !strings.Contains(text, "********") || !strings.Contains(text, "bce-auth-v1/akExplorer0123/") {
		t.Errorf("the request is shown as %q", text)
	}
	to("baidu.detail")
	d.click(id("send"))
	said(`98.27`)

	to("juhe.query")
	d.click(id("picture-image"))
	do(t, d.ctx, "have a picture", poll(`!!document.querySelector('form img')`))
	d.click(id("send"))
	said(`982.7`)

	to("huawei.face_preverify")
	d.click(id("make-keys"))
	do(t, d.ctx, "have a pair", poll(`!document.querySelector('[data-testid="make-keys"]')`))
	d.click(id("send"))
	said(`"preVerifyId"`)
	d.check("explorer-signed")

	d.click(id("tab-sample"))
	do(t, d.ctx, "take Python", chromedp.WaitVisible(id("sample")), chromedp.Evaluate[chromedp.Void](`void document.querySelector('[data-testid="in-python"]').click()`),
		poll(`document.querySelector('[data-testid="sample"]')?.textContent.includes('import urllib.request')`))
	d.check("explorer-sample")
	d.click(id("tab-fields"))
	do(t, d.ctx, "read of the fields", poll(`document.querySelector('#explorer-panel')?.textContent.includes('credentialIdNo') && document.querySelector('#explorer-panel').textContent.includes('INVALID_SIGNATURE')`))
	d.check("explorer-fields")
	for _, secret := range []string{"skExplorer0123", "0e0123456789abcdef"} {
		if d.holds(secret) {
			t.Errorf("the page holds %s", secret)
		}
	}
	d.whole("explorer")
}
