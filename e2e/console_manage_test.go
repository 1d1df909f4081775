package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// eval runs a script in the console's page.
func (d *desk) eval(what, script string) {
	d.t.Helper()
	do(d.t, d.ctx, what, chromedp.Evaluate[chromedp.Void](`void (()=>{`+script+`})()`))
}

// until waits for a script to be true.
func (d *desk) until(what, script string) {
	d.t.Helper()
	do(d.t, d.ctx, what, poll(script))
}

// reason answers the dialog that asks for one.
func (d *desk) reason(text string) {
	d.t.Helper()
	d.fill(id("ask-reason"), text)
	d.click(id("ask-yes"))
}

// closed waits until no dialog covers the page: one that fades still takes clicks.
func (d *desk) closed() {
	d.t.Helper()
	d.until("wait for the dialog to close", `![...document.querySelectorAll('.el-overlay')].some((e) => e.checkVisibility())`)
}

// A plan is made, looked at on the phone's frame, saved, changed, restored, copied and retired.
func TestConsolePlans(t *testing.T) {
	t.Parallel()
	d := consoleTab(t)
	app, err := d.call(d.signedIn(t, administrator), "POST", "/apps", map[string]any{"app": map[string]any{"name": "Counter"}})
	if err != nil {
		t.Fatal(err)
	}
	of, _ := app["app"].(map[string]any)["id"].(string)
	d.visit("/plans/new")
	d.fill(id("plan-id"), "e2e-counter")
	d.fill(id("plan-name"), "柜台核验")
	d.eval("choose the app", fmt.Sprintf(`const s = document.querySelector('[data-testid="plan-app"]'); s.value = %q; s.dispatchEvent(new Event('change'))`, of))
	d.click(id("preset-finance"))
	d.click(id("preview-open"))
	d.until("wait for the preview", `document.querySelector('[data-testid="preview-qr"]')?.naturalWidth > 40`)
	d.until("wait for the page in the frame", `document.querySelector('[data-testid="preview-frame"]')?.contentDocument?.querySelector('[data-testid^="screen-"]')`)
	d.picture("plan-preview")
	d.click(id("plan-save"))
	d.until("wait for the versions", `document.querySelectorAll('[data-testid="versions"] [data-version]').length === 1`)
	d.check("plan")

	d.fill(id("plan-title"), "开户核验")
	d.click(id("plan-save"))
	d.until("wait for version 2", `document.querySelector('[data-version="2"]')?.textContent.includes('开户核验')`)
	d.click(`[data-version="1"] ` + id("restore"))
	d.click(id("ask-yes"))
	d.until("wait for version 3", `!!document.querySelector('[data-version="3"]')`)
	d.closed()
	if p, err := d.Store.Plan(d.ctx, "e2e-counter"); err != nil || p.Title != "" || p.Version != 3 || p.Liveness != "flash" {
		t.Errorf("the restored plan: title %q, version %d, %s, %v", p.Title, p.Version, p.Liveness, err)
	}
	// A mistake stands beside its setting.
	d.eval("empty the field", `const i = document.querySelector('[data-testid="consent-version"]'); i.value = ''; i.dispatchEvent(new Event('input'))`)
	d.click(id("plan-save"))
	d.until("wait for the mistake", `[...document.querySelectorAll('.field-note.wrong')].some((e) => e.textContent.includes('需要版本号'))`)
	d.fill(id("consent-version"), "2026-2")
	d.click(id("plan-save"))
	d.until("wait for version 4", `!!document.querySelector('[data-version="4"]')`)

	d.click(id("plan-retire"))
	d.click(id("ask-yes"))
	d.until("wait until it is retired", `document.querySelector('h1').textContent.includes('已停用')`)
	d.closed()
	d.click(id("plan-copy"))
	d.fill(id("copy-id"), "e2e-copy")
	d.click(id("copy-save"))
	d.until("wait for the copy", `location.pathname.endsWith('/plans/of/e2e-copy')`)
	d.visit("/plans")
	d.check("plans")
}

// An app's secrets are seen when they are made, and later with a reason.
func TestConsoleApps(t *testing.T) {
	t.Parallel()
	d := consoleTab(t)
	d.visit("/apps/new")
	d.fill(id("app-name"), "E2E Shop")
	d.fill(id("app-allow"), "300.1.1.1")
	d.click(id("app-save"))
	d.until("wait for the mistake", `[...document.querySelectorAll('.field-note.wrong')].some((e) => e.textContent.includes('不是地址'))`)
	d.fill(id("app-allow"), "192.0.2.0/24")
	d.click(id("app-save"))
	secret := d.see(id("secret"))
	if len(secret) != 24 {
		t.Fatalf("the new app's secret has %d characters", len(secret))
	}
	d.click(id("secrets-close"))
	d.until("wait until it is closed", fmt.Sprintf(`!document.documentElement.outerHTML.includes(%q)`, secret))
	d.closed()
	d.click(id("key-make"))
	d.click(id("key-save"))
	d.until("wait for the key", `document.querySelector('[data-testid="app-keys"]').textContent.includes('petalpaySignKeyId')`)
	d.closed()
	d.check("app")
	d.visit("/apps")
	if d.holds(secret) {
		t.Error("the list of apps holds a secret")
	}
	d.check("apps")
	d.click(`a[href*="/apps/of/"]`)
	d.settled()
	d.click(id("app-reveal"))
	d.reason("the integrator lost it")
	d.see(id("secrets"))
	entries, err := d.call(d.signedIn(t, administrator), "GET", "/journal?action=app.reveal", nil)
	if err != nil || !strings.Contains(fmt.Sprint(entries), "the integrator lost it") {
		t.Errorf("the journal does not say why a secret was shown: %v %v", entries, err)
	}
	d.whole("apps")
}

// People are masked until they are revealed, and come in from a file.
func TestConsoleRegistry(t *testing.T) {
	t.Parallel()
	const number, name = "110101199003077571", "张三"
	d := consoleTab(t)
	d.visit("/registry")
	d.click(id("person-add"))
	d.fill(id("person-name"), name)
	d.fill(id("person-number"), "110101199003077572")
	d.click(id("person-save"))
	d.until("wait for the mistake", `[...document.querySelectorAll('.field-note.wrong')].some((e) => e.textContent.includes('校验码'))`)
	d.fill(id("person-number"), number)
	d.fill(id("person-mobile"), "13800138000")
	d.click(id("person-save"))
	d.until("wait for the person", `document.querySelector('tbody tr')?.textContent.includes('7571')`)
	d.visit("/registry")
	d.fill(id("person-text"), number)
	do(t, d.ctx, "search", chromedp.KeyEvent("\r"))
	d.until("wait for the person", `document.querySelectorAll('tbody tr').length === 1`)
	d.eval("empty the field", `const i = document.querySelector('[data-testid="person-text"]'); i.value = ''; i.dispatchEvent(new Event('input'))`)
	if d.holds(number) || d.holds(name) || d.holds("13800138000") {
		t.Error("the page holds the person unmasked")
	}
	d.check("registry")
	d.click(id("reveal"))
	d.reason("a complaint")
	if text := d.see(id("revealed")); !strings.Contains(text, number) || !strings.Contains(text, name) {
		t.Errorf("revealed: %q", text)
	}
	d.click(id("revealed-close"))
	d.closed()

	d.visit("/registry/imports")
	d.eval("choose a file", `const f = new DataTransfer(); f.items.add(new File(['name,number\n李四,11010519491231002X\n王五,1\n'], 'people.csv')); const i = document.querySelector('[data-testid="import-people"]'); i.files = f.files; i.dispatchEvent(new Event('change'))`)
	d.click(id("import-go"))
	d.until("wait for the import", `document.querySelector('[data-testid="import"]')?.dataset.state === 'done'`)
	if text := d.see(id("import")); !strings.Contains(text, "新增 1") || !strings.Contains(text, "拒绝 1") {
		t.Errorf("the import says %q", text)
	}
	d.check("imports")
}
