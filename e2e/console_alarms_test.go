package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"shiren/api/webhook"
	"shiren/internal/operator"
)

// TestConsoleAlarms: a webhook and a rule are made, a mistake in the form is explained, the test
// button reaches the webhook, whose receiver verifies the signature with the secret that the page
// showed; the delivery is seen; the auditor sees all of it and can change nothing.
func TestConsoleAlarms(t *testing.T) {
	t.Parallel()
	d := consoleTab(t)
	var secret atomic.Value
	var received atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		s, _ := secret.Load().(string)
		if err == nil {
			err = webhook.Verify(r.Header, body, time.Now(), s)
		}
		if err != nil || !bytes.Contains(body, []byte(`"event":"test"`)) {
			t.Errorf("the receiver: %v, %s", err, body)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		received.Add(1)
	}))
	defer receiver.Close()

	d.visit("/alarms")
	d.check("alarms-empty")
	d.visit("/alarms/webhooks")
	d.click(id("webhook-add"))
	d.fill(`input[name="webhook-name"]`, "值班系统")
	d.fill(`input[name="url"]`, "https://169.254.169.254/latest")
	d.click(id("webhook-save"))
	if said := d.see(id("fault")); !strings.Contains(said, "公网地址") {
		t.Errorf("an address that is not allowed: %q", said)
	}
	d.fill(`input[name="url"]`, receiver.URL+"/alarms")
	d.click(id("webhook-save"))
	secret.Store(strings.TrimSpace(d.see(id("secret"))))
	if s, _ := secret.Load().(string); !strings.HasPrefix(s, "whsec_") {
		t.Fatalf("the secret is %q", s)
	}
	d.check("alarms-webhooks")

	d.visit("/alarms")
	d.click(id("rule-add"))
	d.fill(`input[name="rule-name"]`, "未通过率过高")
	d.choose("measure", "未通过率")
	do(t, d.ctx, "read what it means", poll(`document.querySelector('[data-testid="measure-text"]').textContent.includes('没有得到')`))
	axe(t, d.ctx, "alarms-form")
	d.picture("alarms-form")
	d.fill(`input[name="threshold"]`, "900")
	do(t, d.ctx, "choose the webhook", chromedp.Evaluate[chromedp.Void](
		`void [...document.querySelectorAll('#rule-form label.tick')].find((e) => e.textContent.includes('值班系统')).querySelector('input').click()`))
	d.click(id("rule-save"))
	if said := d.see(id("fault")); !strings.Contains(said, "阈值") {
		t.Errorf("a threshold of 900%%: %q", said)
	}
	d.fill(`input[name="threshold"]`, "60")
	d.click(id("rule-save"))
	row := func(text string) string {
		return fmt.Sprintf(`[...document.querySelectorAll('tbody tr')].find((e) => e.textContent.includes(%q))`, text)
	}
	do(t, d.ctx, "see the rule", poll(row("未通过率过高")+`?.textContent.includes('≥ 60%')`))
	d.settled()
	do(t, d.ctx, "press test", chromedp.Evaluate[chromedp.Void](`void `+row("未通过率过高")+`.querySelector('button[aria-label^="测试"]').click()`))
	d.click(id("ask-yes"))
	if said := d.see(id("tested")); !strings.Contains(said, "值班系统") || !strings.Contains(said, "已送达") {
		t.Errorf("the test says %q", said)
	}
	if n := received.Load(); n != 1 {
		t.Errorf("the receiver took %d messages, want 1", n)
	}
	closed := poll(`![...document.querySelectorAll('[role="dialog"]')].some((e) => e.checkVisibility())`)
	do(t, d.ctx, "see the question go", closed)
	d.check("alarms")

	d.visit("/alarms/deliveries")
	do(t, d.ctx, "open the message", poll(row("值班系统")), chromedp.Evaluate[chromedp.Void](`void `+row("值班系统")+`.querySelector('button[aria-label^="查看"]').click()`))
	if said := d.see(id("delivery")); !strings.Contains(said, "200") || !strings.Contains(said, "未通过率过高") {
		t.Errorf("the delivery shows %q", said)
	}
	axe(t, d.ctx, "alarms-delivery")
	d.picture("alarms-delivery")
	d.visit("/alarms/deliveries")
	d.check("alarms-deliveries")
	d.visit("/alarms/history")
	d.check("alarms-history")

	a := consoleTabOf(t, d.account(t, "alarms.auditor", operator.Auditor))
	a.visit("/alarms/webhooks")
	do(t, a.ctx, "see the webhook", poll(row("值班系统")))
	if a.holds(receiver.URL+"/alarms") || a.holds("whsec_") {
		t.Error("an auditor sees the webhook's whole address or a secret")
	}
	a.visit("/alarms")
	do(t, a.ctx, "see the rule", poll(row("未通过率过高")))
	if a.holds(`data-testid="rule-add"`) {
		t.Error("an auditor is offered to add a rule")
	}
	a.whole("the auditor's pages")
}
