package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/pquerna/otp/totp"

	"shiren/internal/operator"
)

// TestConsoleOutOfReach: somebody who is signed in is told when the server does not answer and when a
// page's files do not come, stays where they are, and goes on from there.
func TestConsoleOutOfReach(t *testing.T) {
	t.Parallel()
	d := consoleTab(t)
	d.without("*://*:*/console/api/*")
	d.visit("/records?outcome=match")
	if text := d.see(id("state")); !strings.Contains(text, "连接不上服务器") {
		t.Errorf("the page says %q, want that the server is out of reach", text)
	}
	d.check("out-of-reach")
	d.without()
	d.click(id("retry"))
	do(t, d.ctx, "see what was asked for", poll(`location.pathname + location.search === '/console/records?outcome=match' && document.querySelector('tbody tr')`))

	// First nothing of a page comes, then all but its styles.
	at := "/console/records"
	for _, to := range []struct{ area, files string }{{"apps", "*"}, {"plans", "*.css"}} {
		d.without("*://*:*/console/assets/" + to.files)
		d.click(id("menu-" + to.area))
		if text := d.see(id("notice-error")); !strings.Contains(text, "没有加载成功") {
			t.Errorf("the notice says %q, want that the page did not come", text)
		}
		do(t, d.ctx, "stay", poll(`location.pathname === '`+at+`' && document.querySelector('tbody tr')`))
		d.click(id("notice-error") + ` button`)
		d.without()
		d.click(id("menu-" + to.area))
		at = "/console/" + to.area
		do(t, d.ctx, "go there", poll(`location.pathname === '`+at+`' && document.querySelector('tbody tr')`))
		if !get(t, d.ctx, "look for its styles", chromedp.Evaluate[bool](`[...document.querySelectorAll('link[rel="stylesheet"]')].every((l) => {
			try { return l.sheet.cssRules.length > 0 } catch { return false } // what did not come is closed
		})`)) {
			t.Errorf("%s came without its styles", to.area)
		}
	}
	d.whole("out of reach")
}

// TestConsoleSignsInByKeyboard: refused, then let in, back to the page that was asked for, by keys alone.
func TestConsoleSignsInByKeyboard(t *testing.T) {
	t.Parallel()
	d := consoleTabOf(t, "")
	d.visit("/journal?x=1")
	do(t, d.ctx, "be led to sign in", poll(`location.pathname === '/console/sign-in' && document.activeElement?.name === 'username'`))
	d.check("sign-in")
	do(t, d.ctx, "reload", chromedp.Reload(), poll(`document.activeElement?.name === 'username'`))
	do(t, d.ctx, "leave the fields empty", chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(id("fault")))
	do(t, d.ctx, "mistype", chromedp.KeyEvent(administrator), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("not the sentence"), chromedp.KeyEvent(kb.Enter),
		poll(`document.querySelector('[data-testid="fault"]')?.textContent.includes('不正确') && document.activeElement?.name === 'password'`))
	d.fill(`input[name="password"]`, sentence)
	do(t, d.ctx, "be let in", chromedp.KeyEvent(kb.Enter),
		poll(`location.pathname + location.search === '/console/journal?x=1' && document.querySelector('main h1')`))
	// The first key leads to a link past the menu.
	do(t, d.ctx, "skip the menu", chromedp.Reload(), poll(`document.querySelector('main h1')`), chromedp.KeyEvent(kb.Tab),
		poll(`document.activeElement?.classList.contains('skip')`), chromedp.KeyEvent(kb.Enter), poll(`document.activeElement?.id === 'main'`))
	d.click(id("sign-out"))
	do(t, d.ctx, "be out", poll(`location.pathname === '/console/sign-in'`))
	d.visit("/accounts")
	do(t, d.ctx, "stay out", poll(`location.pathname === '/console/sign-in'`))
	d.whole("sign-in")
}

// TestConsoleAccounts: somebody is invited, sets a password and codes by the link, signs in with a
// code, and may see what an auditor may; the journal tells it all.
func TestConsoleAccounts(t *testing.T) {
	t.Parallel()
	d := consoleTab(t)
	d.visit("/accounts")
	d.check("accounts")
	d.click(id("invite"))
	d.fill(`input[name="name"]`, "zhang.auditor")
	d.choose("role", "审计")
	d.click(id("account-save"))
	address := d.see(id("link-address"))
	d.picture("invited")
	if !strings.HasPrefix(address, d.URL+"/console/begin#") {
		t.Fatalf("the link is %q", address)
	}

	n := consoleTabOf(t, "")
	do(t, n.ctx, "open the link", chromedp.Navigate(address), chromedp.WaitVisible(id("begin")))
	if get(t, n.ctx, "look at the address", chromedp.Location()) != d.URL+"/console/begin" {
		t.Error("the link's secret stays in the address")
	}
	n.check("begin")
	n.fill(`input[name="new-password"]`, "too short")
	n.click(id("begin-go"))
	n.see(id("fault"))
	n.fill(`input[name="new-password"]`, sentence)
	n.fill(`input[name="again"]`, sentence)
	n.click(id("begin-go"))
	n.click(id("totp-start"))
	secret := strings.TrimSpace(n.see(id("totp-secret")))
	n.check("totp")
	code := func(at time.Time) string {
		t.Helper()
		c, err := totp.GenerateCode(secret, at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	n.fill(`input[name="code"]`, "000000")
	n.click(id("totp-go"))
	do(t, n.ctx, "be told that it is wrong", poll(`document.querySelector('#totp-fault')?.textContent.includes('验证码不对')`))
	n.fill(`input[name="code"]`, code(time.Now()))
	n.click(id("totp-go"))
	recovery := strings.Fields(n.see(id("recovery") + " ul"))
	if len(recovery) < 8 {
		t.Fatalf("recovery codes: %q", recovery)
	}
	n.click(id("recovery-kept"))
	do(t, n.ctx, "arrive", poll(`location.pathname === '/console/' && document.querySelector('main h1')`))
	n.click(id("sign-out"))
	do(t, n.ctx, "sign in", chromedp.WaitVisible(`input[name="username"]`), chromedp.SendKeys(`input[name="username"]`, "zhang.auditor"),
		chromedp.SendKeys(`input[name="password"]`, sentence+kb.Enter), chromedp.WaitVisible(`input[name="code"]`))
	n.check("sign-in-code")
	n.fill(`input[name="code"]`, recovery[0]+kb.Enter)
	do(t, n.ctx, "arrive", poll(`location.pathname === '/console/' && document.querySelector('main h1')`))
	if get(t, n.ctx, "look at the menu", chromedp.Evaluate[bool](`!!document.querySelector('[data-testid="menu-accounts"]')`)) {
		t.Error("an auditor is offered the accounts")
	}
	n.visit("/accounts")
	if got := n.see("h1"); !strings.Contains(got, "不能查看") {
		t.Errorf("an auditor at the accounts sees %q", got)
	}
	n.visit("/journal")
	do(t, n.ctx, "find the invitation", poll(`document.querySelector('tbody')?.textContent.includes('邀请')`))
	n.check("journal")
	n.click(id("verify"))
	if got := n.see(id("verified")); !strings.Contains(got, "完整") {
		t.Errorf("the journal is %q", got)
	}
	if n.holds(sentence) || n.holds(secret) {
		t.Error("the journal holds a secret")
	}
	n.whole("journal")
}

// TestConsoleOwnAccount: settings hold for all of the console, sign-ins can be ended.
func TestConsoleOwnAccount(t *testing.T) {
	t.Parallel()
	o := theOffice(t)
	name := o.account(t, "own.account", operator.Operations)
	o.signedIn(t, name)
	d := consoleTabOf(t, name)
	d.visit("/account")
	do(t, d.ctx, "see the sign-ins", poll(`document.querySelectorAll('tbody tr').length >= 2`))
	d.check("account")
	d.click(id("language"))
	do(t, d.ctx, "read English", poll(`document.documentElement.lang === 'en' && document.querySelector('h1').textContent.includes('My account')`))
	d.check("account-en")
	rows := `document.querySelectorAll('tbody tr').length`
	before := get(t, d.ctx, "count", chromedp.Evaluate[int](rows))
	do(t, d.ctx, "end another sign-in", chromedp.Click(`tbody button`), poll(rows+` < `+string(rune('0'+before))))
	d.fill(`input[name="have"]`, sentence)
	d.fill(`input[name="want"]`, "another sentence of words")
	d.fill(`input[name="again"]`, "another sentence of words")
	do(t, d.ctx, "change the password", chromedp.SendKeys(`input[name="again"]`, kb.Enter), chromedp.WaitVisible(id("notice-success")))
	// The sign-in ends while the page is open: its person comes back to where they were.
	d.visit("/account")
	accounts, err := o.Operators.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if a.Name == name {
			if _, err := o.call(o.signedIn(t, administrator), "DELETE", "/accounts/"+a.ID+"/sign-ins", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.click(id("settings-save"))
	do(t, d.ctx, "be asked to sign in", poll(`location.pathname === '/console/sign-in' && location.search.includes('back=')`))
	d.whole("account")
}
