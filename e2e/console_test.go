package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"shiren/internal/config"
	"shiren/internal/demo"
	"shiren/internal/operator"
	"shiren/internal/server"
	"shiren/internal/testkit"
)

// Who works at the console of the tests.
const (
	administrator = "wei.li"
	sentence      = "four words of no song"
)

// office is a server with a console, a scripted engine and demo data, which all of the console's
// tests share. What a test changes it makes first, and finds by its own names.
type office struct {
	*server.Server
	URL    string // of the server; the console is at /console
	Logs   *logs
	Seeded demo.Made
}

// seeded is how many demo sessions there are, in as many days as they are kept whole.
const seeded, seededDays = 240, 2

var openOffice = sync.OnceValues(func() (_ *office, err error) {
	o := &office{Logs: &logs{}}
	c := config.Default()
	c.Data = filepath.Join(shared.dir, "office")
	c.Alarms.WebhookAllow = []string{"127.0.0.0/8"} // where the tests' receivers listen
	log := slog.New(slog.NewTextHandler(o.Logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	options := server.Options{
		Config: c, Engine: &testkit.Engine{}, Cards: &testkit.CardReader{}, Log: log,
		Version: "test", PasswordCost: operator.Cost{Memory: 8, Time: 1, Threads: 1},
	}
	if o.Server, err = server.New(shared.ctx, options); err != nil {
		return nil, err
	}
	o.Seeded, err = demo.Seed(shared.ctx, demo.Config{
		Store: o.Store, Blobs: o.Blobs, Sealer: o.Sealer, Now: time.Now().Truncate(time.Millisecond), Seed: 1, Sessions: seeded, Days: seededDays,
	})
	if err != nil {
		return nil, err
	}
	web := httptest.NewServer(o.Handler)
	o.URL = strings.Replace(web.URL, "127.0.0.1", "localhost", 1)
	shared.mu.Lock()
	shared.stop = append(shared.stop, func() {
		web.CloseClientConnections()
		web.Close()
		o.Close()
	})
	shared.mu.Unlock()
	link, err := o.Operators.FirstLink(shared.ctx)
	if err != nil {
		return nil, err
	}
	_, err = o.call(http.DefaultClient, "POST", "/access/begin", map[string]any{
		"link": link, "name": administrator, "password": sentence, "language": "zh-CN", "zone": "Asia/Shanghai",
	})
	return o, err
})

// theOffice is the server that the console's tests share.
func theOffice(t *testing.T) *office {
	t.Helper()
	o, err := openOffice()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// call makes a call of the console's interface as its page does.
func (o *office) call(client *http.Client, method, path string, body any) (map[string]any, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(shared.ctx, method, o.URL+"/console/api"+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Shiren-Console", "1")
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	var v map[string]any
	err = json.Unmarshal(text, &v)
	return v, err
}

// account makes an account of a role, which can sign in with sentence, and returns its name.
func (o *office) account(t *testing.T, name string, role operator.Role) string {
	t.Helper()
	who := o.signedIn(t, administrator)
	v, err := o.call(who, "POST", "/accounts", map[string]any{"name": name, "role": role})
	if err != nil {
		t.Fatal(err)
	}
	path, _ := v["path"].(string)
	_, link, _ := strings.Cut(path, "#")
	if _, err := o.call(http.DefaultClient, "POST", "/access/begin", map[string]any{"link": link, "password": sentence}); err != nil {
		t.Fatal(err)
	}
	return name
}

// signedIn is a client with a sign-in of its own.
func (o *office) signedIn(t *testing.T, name string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	if _, err := o.call(client, "POST", "/access/sign-in", map[string]any{"name": name, "password": sentence}); err != nil {
		t.Fatal(err)
	}
	return client
}

// desk is a window before the console.
type desk struct {
	*office
	t   *testing.T
	ctx context.Context
}

// consoleTab opens a window in which the administrator is signed in. It takes a turn as walks do.
func consoleTab(t *testing.T) *desk { t.Helper(); return consoleTabOf(t, administrator) }

// consoleTabOf is consoleTab for somebody else's account; "" is nobody's.
func consoleTabOf(t *testing.T, name string) *desk {
	t.Helper()
	walk(t)
	d := &desk{theOffice(t), t, browser(t, "")}
	d.size(1280, 860)
	do(t, d.ctx, "watch for faults", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watchFaults})
		return err
	}))
	if name != "" {
		u, err := url.Parse(d.URL + "/console/")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range d.signedIn(t, name).Jar.Cookies(u) {
			do(t, d.ctx, "sign in", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
				_, err := cdp.Call(ctx, target, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: u.String(), Path: "/console"})
				return err
			}))
		}
	}
	return d
}

// watchFaults remembers what a page of the console must never do.
const watchFaults = `window.faults = []
// What an observer of sizes leaves to the next frame is no fault.
addEventListener('error', (e) => e.message.startsWith('ResizeObserver loop') || faults.push('error: ' + e.message))
addEventListener('unhandledrejection', (e) => faults.push('rejected: ' + e.reason))
document.addEventListener('securitypolicyviolation', (e) => faults.push('policy: ' + e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sourceFile + ':' + e.lineNumber + ' ' + e.sample))`

// whole fails the test if the page threw an error or met its Content-Security-Policy.
func (d *desk) whole(where string) {
	d.t.Helper()
	for _, f := range get(d.t, d.ctx, "look for faults", chromedp.Evaluate[[]string](`window.faults ?? []`)) {
		d.t.Errorf("%s: %s", where, f)
	}
}

// size turns the window into one of another size; light is set too.
func (d *desk) size(w, h int64) {
	d.t.Helper()
	do(d.t, d.ctx, "turn the screen", chromedp.EmulateViewport(w, h, chromedp.EmulateScale(1)))
}

// visit opens a page of the console, path below /console, and waits until it has a heading and
// has fetched what it shows.
func (d *desk) visit(path string) {
	d.t.Helper()
	do(d.t, d.ctx, "open "+path, chromedp.Navigate(d.URL+"/console"+path))
	d.settled()
}

// settled waits until the page has a heading and nothing is on its way.
func (d *desk) settled() {
	d.t.Helper()
	do(d.t, d.ctx, "wait for the page", poll(`document.querySelector('h1')?.textContent && !document.querySelector('[aria-busy="true"], [data-drawn="false"]')`))
}

// without has the window reach nothing whose address matches a pattern; with none it reaches all again.
func (d *desk) without(patterns ...string) {
	d.t.Helper()
	var p network.SetBlockedURLsParams
	for _, s := range patterns {
		p.URLPatterns = append(p.URLPatterns, &network.BlockPattern{URLPattern: s, Block: true})
	}
	do(d.t, d.ctx, "change what can be reached", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.SetBlockedURLs, p)
		return err
	}))
}

// see waits for something and returns its text.
func (d *desk) see(selector string) string {
	d.t.Helper()
	return get(d.t, d.ctx, "see "+selector, chromedp.Text(selector))
}

func (d *desk) click(selector string) {
	d.t.Helper()
	do(d.t, d.ctx, "click "+selector, chromedp.WaitEnabled(selector), bare(selector), chromedp.Click(selector))
}

// bare waits until nothing lies over an element: a dialog that closes does for a while.
func bare(selector string) step {
	return poll(fmt.Sprintf(`((e) => {
		e?.scrollIntoView({ block: 'center' })
		const r = e?.getBoundingClientRect()
		return !!r && e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2))
	})(document.querySelector(%q))`, selector))
}

// fill replaces what a field holds.
func (d *desk) fill(selector, text string) {
	d.t.Helper()
	do(d.t, d.ctx, "fill "+selector, chromedp.WaitVisible(selector), chromedp.Focus(selector),
		chromedp.Evaluate[chromedp.Void](`void document.activeElement.select()`), chromedp.KeyEvent(text))
}

// choose takes an entry of a selection (data-testid name) by its words.
func (d *desk) choose(name, words string) {
	d.t.Helper()
	option := fmt.Sprintf(`[...document.querySelectorAll('[role="option"]')].find((e) => e.checkVisibility() && e.textContent.trim() === %q)`, words)
	do(d.t, d.ctx, "choose "+words, chromedp.WaitVisible(id(name)), bare(id(name)), chromedp.Click(id(name)), poll(`!!`+option),
		chromedp.Evaluate[chromedp.Void](`void `+option+`.click()`), poll(`!`+option))
}

// holds reports whether the page's document holds a text anywhere, shown or not.
func (d *desk) holds(text string) bool {
	d.t.Helper()
	return get(d.t, d.ctx, "look for a text", chromedp.Evaluate[bool](fmt.Sprintf(
		`document.documentElement.outerHTML.includes(%[1]q) || [...document.querySelectorAll('input, textarea')].some((e) => e.value.includes(%[1]q))`, text)))
}

// check holds a page to WCAG 2.2 AA in both schemes, and at a phone's width to having no part
// outside; with SHIREN_SCREENSHOTS it writes pictures of all of them.
func (d *desk) check(name string) {
	d.t.Helper()
	d.settled()
	axe(d.t, d.ctx, name)
	d.picture(name)
	emulate(d.t, d.ctx, "prefers-color-scheme", "dark")
	d.picture(name + "-dark")
	emulate(d.t, d.ctx, "prefers-color-scheme", "light")
	d.size(360, 780)
	do(d.t, d.ctx, "settle", poll(`innerWidth === 360`))
	if over := get(d.t, d.ctx, "measure", chromedp.Evaluate[string](`(async () => {
		// Tables and charts follow a frame later.
		for (let i = 0; i < 100 && document.documentElement.scrollWidth > 360; i++) await new Promise((f) => setTimeout(f, 50))
		if (document.documentElement.scrollWidth <= 360) return ''
		return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > 361).slice(0, 4).map((e) => e.outerHTML.slice(0, 120)).join(' | ') || 'something'
	})()`, chromedp.EvalAwaitPromise)); over != "" {
		d.t.Errorf("%s: wider than a phone: %s", name, over)
	}
	d.picture(name + "-phone")
	d.size(1280, 860)
	do(d.t, d.ctx, "settle", poll(`innerWidth === 1280`))
	d.whole(name)
}

// picture writes a screenshot of the whole page where SHIREN_SCREENSHOTS names a folder.
func (d *desk) picture(name string) {
	d.t.Helper()
	dir := os.Getenv("SHIREN_SCREENSHOTS")
	if dir == "" {
		return
	}
	// Charts follow their boxes a frame later.
	do(d.t, d.ctx, "draw", chromedp.Evaluate[chromedp.Void](`new Promise((f) => (scrollTo(0, 0), requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(f, 350)))))`, chromedp.EvalAwaitPromise))
	png := get(d.t, d.ctx, "screenshot "+name, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, "console-"+name+".png"), png, 0o644); err != nil {
		d.t.Fatal(err)
	}
}
