package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"shiren/internal/bench/cards"
	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
)

// wallet holds pictures of an identity document and what a reader must find in them.
type wallet struct {
	front, back, other []byte // JPEG; other is a card of another kind
	name, number       string
	authority, address string
}

// newWallet is his, with his own portrait printed on it; everything else is synthetic.
func newWallet(t *testing.T) wallet {
	t.Helper()
	p, err := cards.NewPress(cards.Noto)
	if err != nil {
		t.Fatal(err)
	}
	who := cards.NewPerson(7, cards.Resident, false)
	face, err := jpeg.Decode(bytes.NewReader(enginetest.File(t, hisPhoto)))
	if err != nil {
		t.Fatal(err)
	}
	shoot := func(side ekyc.CardSide) []byte {
		pic, err := cards.Shoot(p.Draw(who, side, cards.Look{Seed: 3, Face: face}), cards.Shot{Level: cards.Mild, Seed: 5, Upright: true})
		if err != nil {
			t.Fatal(err)
		}
		return pic.JPEG
	}
	_, other, err := p.Strange(cards.OddBank, 1)
	if err != nil {
		t.Fatal(err)
	}
	return wallet{
		front: shoot(ekyc.CardFront), back: shoot(ekyc.CardBack), other: other,
		name: who.Name, number: who.Number, authority: who.Authority, address: who.Address,
	}
}

// openDocuments is open with a plan of documents for each name: both sides where it ends in "both".
func openDocuments(t *testing.T, plans ...string) *house {
	t.Helper()
	var more []func(*config.Plan)
	for _, id := range plans {
		more = append(more, func(p *config.Plan) {
			p.ID, p.Name, p.Identity, p.DocumentBack = id, id, string(ekyc.IdentityDocument), strings.HasSuffix(id, "both")
		})
	}
	return open(t, more...)
}

// hand is a camera before which somebody holds the document as the page asks for it, and
// then himself. Each side is first not there, then the wrong way round, then too far away,
// each until the page says so. If Empty, no document is ever there.
type hand struct {
	Front string   `json:"front"` // JPEG in base64
	Back  string   `json:"back"`
	Face  []string `json:"face"`
	Empty bool     `json:"empty"`
}

func newHand(t *testing.T, w wallet, empty bool) hand {
	t.Helper()
	return hand{
		Front: base64.StdEncoding.EncodeToString(w.front), Back: base64.StdEncoding.EncodeToString(w.back),
		Face: encoded(frames(t, hisClip, 63.5, 66, 12)), Empty: empty,
	}
}

func (h hand) install(t *testing.T, ctx context.Context) {
	t.Helper()
	set, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	inject(t, ctx, strings.Replace(handScript, "SETTINGS", string(set), 1))
}

const handScript = `(() => {
	const set = SETTINGS
	if (!navigator.mediaDevices) return
	const bitmap = (s) => createImageBitmap(new Blob([Uint8Array.from(atob(s), (c) => c.charCodeAt(0))], { type: 'image/jpeg' }))
	navigator.mediaDevices.getUserMedia = async () => {
		const cards = { front: await bitmap(set.front), back: await bitmap(set.back) }
		const face = await Promise.all(set.face.map(bitmap))
		const canvas = document.createElement('canvas')
		canvas.width = 1280
		canvas.height = 960
		const g = canvas.getContext('2d')
		let side = '', n = 0
		const tick = () => {
			const page = document.querySelector('[data-testid="screen-document"]')
			const want = page ? page.dataset.side : ''
			if (want !== side) { side = want; n = 0 }
			g.fillStyle = '#333'
			g.fillRect(0, 0, 1280, 960)
			if (!page) {
				const i = n++ % (2 * face.length - 2)
				g.drawImage(face[i < face.length ? i : 2 * face.length - 2 - i], 0, 0, 1280, 960)
				return
			}
			// Nobody does better before they have been told what is wrong.
			const hint = document.querySelector('[data-testid="document-hint"]')?.dataset.hint
			if (!set.empty && hint === ['no_card', 'wrong_side', 'closer'][n]) n++
			const card = cards[(n === 1) === (side === 'front') ? 'back' : 'front']
			const w = n === 2 ? 720 : 1280, h = w * card.height / card.width
			if (n > 0) g.drawImage(card, (1280 - w) / 2, (960 - h) / 2, w, h)
		}
		tick()
		setInterval(tick, 1000 / 12)
		return canvas.captureStream(15)
	}
})()`

// heard keeps the hints that the page was given.
const listen = `(() => {
	window.hints = []
	setInterval(() => {
		const h = document.querySelector('[data-testid="document-hint"]')
		if (h && h.dataset.hint && window.hints.at(-1) !== h.dataset.hint) window.hints.push(h.dataset.hint)
	}, 50)
})()`

func formText(t *testing.T, ctx context.Context, name string) string {
	t.Helper()
	return get(t, ctx, "read "+name, chromedp.Evaluate[string](fmt.Sprintf(
		`document.getElementById('document-%s').value`, name)))
}

// retype replaces what stands in a field of the form.
func retype(name, text string) step {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const e = document.getElementById('document-%s')
		e.value = %q
		e.dispatchEvent(new Event('input', { bubbles: true }))
	})()`, name, text))
}

// The camera sees both sides of a document and then him: guided, photographed by itself,
// read, corrected, confirmed, compared.
func TestADocumentBeforeTheCamera(t *testing.T) {
	t.Parallel()
	w := newWallet(t)
	h := openDocuments(t, "both")
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	b := browser(t, "")
	newHand(t, w, false).install(t, b)
	inject(t, b, listen)
	tok := token(backend, "both")
	h.visit(t, b, tok, "")
	agree(t, b)
	do(t, b, "see what to do", chromedp.WaitVisible(id("document-open")))
	axe(t, b, "document-ready")
	views(t, b, "document-ready")
	do(t, b, "open the camera", chromedp.Click(id("document-open")), chromedp.WaitVisible(id("document-take")),
		poll(`document.querySelector('video')?.videoWidth > 0`))
	do(t, b, "have the front read", chromedp.WaitVisible(id("screen-document")+`[data-side="back"][data-at="camera"]`))
	axe(t, b, "document-camera")
	views(t, b, "document-camera")
	do(t, b, "have the back read", chromedp.WaitVisible(id("screen-document")+`[data-at="check"]`))
	axe(t, b, "document-check")
	views(t, b, "document-check")
	hints := get(t, b, "recall the hints", chromedp.Evaluate[string](`window.hints.join(' ')`))
	for _, want := range []string{"no_card", "wrong_side", "closer"} {
		if !strings.Contains(hints, want) {
			t.Errorf("the hand was told %q, want %s among it", hints, want)
		}
	}
	if name, number := formText(t, b, "name"), formText(t, b, "number"); name != w.name || number != w.number {
		t.Errorf("the form shows %s and %s, want what was read", name, number)
	}
	do(t, b, "make a mistake", retype("number", "110105194912310021"), retype("expires", "soon"), chromedp.Click(id("document-confirm")),
		chromedp.WaitVisible(id("document-entry-number")+`.wrong`))
	if faults := get(t, b, "count the faults", chromedp.Evaluate[int](`document.querySelectorAll('.wrong').length`)); faults != 2 {
		t.Errorf("%d fields are marked as wrong, want the number and the date", faults)
	}
	axe(t, b, "document-wrong")
	do(t, b, "correct them", retype("number", w.number), retype("expires", "2040-01-31"), retype("name", "赵七"),
		chromedp.Click(id("document-confirm")), chromedp.WaitVisible(id("intro-subject")))
	if text := get(t, b, "read for whom it is", chromedp.Text(id("intro-subject"))); strings.Contains(text, w.number) || !strings.Contains(text, w.number[:3]) {
		t.Errorf("the introduction says %q, want the identity masked", text)
	}
	n := passes(t, b)

	detail, all := backend.ok("result/detail", of(tok)), backend.ok("result/getall", of(tok))
	for path, want := range map[string]any{
		"idcard_ocr_result.name": w.name, "idcard_ocr_result.id_card_number": w.number, "idcard_ocr_result.address": w.address,
		"idcard_confirm.name": "赵七", "idcard_confirm.idcard_number": w.number,
	} {
		if got := dig(detail, path); got != want {
			t.Errorf("detail: %s is %v, want %v", path, got, want)
		}
	}
	last := fmt.Sprintf("verify_result.%d.", n-1)
	for path, want := range map[string]any{
		"ocr_charge_count": 2.0, "verify_result.0.ocr_count": 2.0, "verify_result.0.is_ocr_charge": true,
		last + "idcard_ocr_result.issue_authority": w.authority, last + "idcard_confirm.name": "赵七",
	} {
		if got := dig(all, path); got != want {
			t.Errorf("getall: %s is %v, want %v", path, got, want)
		}
	}
	front, _ := dig(detail, "idcard_images.front_base64").(string)
	link, _ := dig(all, last+"idcard_images.front_image").(string)
	if picture, err := base64.StdEncoding.DecodeString(front); err != nil || len(picture) == 0 || !bytes.Equal(picture, fetch(t, link)) {
		t.Errorf("detail's front of %d bytes is not the one at getall's link, %v", len(picture), err)
	}
	s, err := h.Service.Attend(t.Context(), ekyc.Token(tok))
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := s.Attempts[n-1].Check(ekyc.CheckDocument); !ok || c.Score < 0.8 {
		t.Errorf("the portrait on the document scored %v, %v; it is his own", c.Score, ok)
	}
	for _, secret := range []string{w.name, "赵七", w.number, w.address} {
		if strings.Contains(h.Logs.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// upload chooses a picture in place of the camera.
func upload(t *testing.T, b context.Context, picture []byte) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "picture.jpg")
	if err := os.WriteFile(name, picture, 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, b, "choose a picture", chromedp.WaitVisible(id("document-heading")), chromedp.Query(id("document-file"), chromedp.NodeReady),
		chromedp.SetUploadFiles(id("document-file"), []string{name}))
}

// Without a camera a document is uploaded; what is no reading says why and what to do.
func TestADocumentFromFiles(t *testing.T) {
	t.Parallel()
	w := newWallet(t)
	h := openDocuments(t, "both", "front")
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	b := browser(t, "", chromedp.Flag("use-fake-ui-for-media-stream", true))
	tok := token(backend, "both")
	h.visit(t, b, tok, "")
	agree(t, b)
	faults := func(want string) {
		t.Helper()
		do(t, b, "be told "+want, chromedp.WaitVisible(id("screen-document")+`[data-fault="`+want+`"]`))
	}
	do(t, b, "try the camera", chromedp.WaitVisible(id("document-open")), chromedp.Click(id("document-open")))
	faults("camera_absent")
	axe(t, b, "document-no-camera")
	upload(t, b, enginetest.File(t, hisPhoto))
	faults("document_none")
	axe(t, b, "document-fault")
	views(t, b, "document-fault")
	upload(t, b, w.other)
	faults("document_other")
	upload(t, b, w.back)
	faults("document_wrong_side")
	upload(t, b, []byte(strings.Repeat("not a picture ", 100)))
	faults("image_format")
	h.line.cut()
	upload(t, b, w.front)
	faults("unreachable")
	h.line.mend()
	do(t, b, "send it again", chromedp.Click(id("document-resend")), chromedp.WaitVisible(id("screen-document")+`[data-side="back"]`))
	upload(t, b, w.back)
	do(t, b, "check", chromedp.WaitVisible(id("document-confirm")))
	do(t, b, "take the front again", chromedp.Click(id("document-retake-front")), chromedp.WaitVisible(id("screen-document")+`[data-side="front"][data-at="ready"]`))
	upload(t, b, w.front)
	do(t, b, "confirm", chromedp.WaitVisible(id("document-confirm")), chromedp.Click(id("document-confirm")), chromedp.WaitVisible(id("intro-begin")))
	s, err := h.Service.Attend(t.Context(), ekyc.Token(tok))
	if err != nil || s.Claim == nil || string(s.Claim.Number) != w.number || len(s.Read) != 3 {
		t.Errorf("got claim %v with %d charges, %v, want his after three readings", s.Claim, len(s.Read), err)
	}

	// 人像面 alone.
	h.visit(t, b, token(backend, "front"), "")
	agree(t, b)
	upload(t, b, w.front)
	do(t, b, "confirm", chromedp.WaitVisible(id("document-confirm")), chromedp.Click(id("document-confirm")), chromedp.WaitVisible(id("intro-begin")))
}

// The direct interface, by the official SDK with either authentication.
func TestADocumentDirectly(t *testing.T) {
	t.Parallel()
	w := newWallet(t)
	h := openDocuments(t)
	for _, mode := range []string{"", "bce"} {
		backend := sdk(t, h.URL, apiKey, secretKey, mode)
		read := func(picture []byte) map[string]any {
			return backend.call("/rest/2.0/ocr/v1/idcard", map[string]any{
				"image": base64.StdEncoding.EncodeToString(picture), "id_card_side": "front", "detect_risk": "true",
			})
		}
		r := read(w.front)
		if dig(r, "words_result.公民身份号码.words") != w.number || dig(r, "words_result.姓名.words") != w.name || dig(r, "image_status") != "normal" ||
			dig(r, "idcard_number_type") != 1.0 || dig(r, "words_result_num") != 6.0 || dig(r, "error_code") != nil {
			t.Errorf("the front (%s): got %v", mode, r)
		}
		if r := read(enginetest.File(t, hisPhoto)); dig(r, "image_status") != "non_idcard" || dig(r, "words_result_num") != 0.0 {
			t.Errorf("a face (%s): got %v", mode, r)
		}
		if r := read([]byte("no picture")); dig(r, "error_code") != 216201.0 {
			t.Errorf("no picture (%s): got %v", mode, r)
		}
	}
	if n, err := h.Store.Charged(t.Context(), "8574074", ekyc.ChargeOCR); err != nil || n != 2 {
		t.Errorf("%d charges, %v, want one for each front", n, err)
	}
}

// A camera that sees no document is told so, and a picture taken by hand all the same is refused.
func TestNoDocumentBeforeTheCamera(t *testing.T) {
	t.Parallel()
	w := newWallet(t)
	h := openDocuments(t, "front")
	b := browser(t, "")
	newHand(t, w, true).install(t, b)
	tok := token(sdk(t, h.URL, apiKey, secretKey, ""), "front")
	h.visit(t, b, tok, "")
	agree(t, b)
	do(t, b, "open the camera", chromedp.WaitVisible(id("document-open")), chromedp.Click(id("document-open")),
		chromedp.WaitVisible(id("document-hint")+`[data-hint="no_card"]`), chromedp.Click(id("document-take")),
		chromedp.WaitVisible(id("screen-document")+`[data-fault="document_none"]`))
	do(t, b, "give up", chromedp.Click(id("document-cancel")), chromedp.WaitVisible(id("screen-result")+`[data-reason="cancelled"]`))
	if s, err := h.Service.Attend(t.Context(), ekyc.Token(tok)); err != nil || len(s.Read) != 0 || s.Document != nil {
		t.Errorf("got %d charges, %v, want none", len(s.Read), err)
	}
}
