package capture

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"shiren/internal/ekyc"
)

// readsDocuments gives the session a plan of both sides and a reader.
func readsDocuments(core *fakeCore) {
	core.session.Plan.Identity, core.session.Plan.DocumentBack = ekyc.IdentityDocument, true
	core.read = func(side ekyc.CardSide, image []byte) (ekyc.CardReading, error) {
		if code, bad := strings.CutPrefix(string(image), "bad "); bad {
			return ekyc.CardReading{}, ekyc.Errorf(ekyc.Code(code), "scripted")
		}
		words := map[ekyc.CardField]ekyc.CardWord{
			ekyc.CardName: {Value: name}, ekyc.CardNumber: {Value: number}, ekyc.CardAddress: {Value: "某街", Doubtful: true},
		}
		if side == ekyc.CardBack {
			words = map[ekyc.CardField]ekyc.CardWord{ekyc.CardAuthority: {Value: "某局"}, ekyc.CardExpires: {Value: ekyc.CardForever}}
		}
		return ekyc.CardReading{Side: side, Status: ekyc.CardReadable, Words: words}, nil
	}
}

func send(h http.Handler, side, picture string) *http.Response {
	return ask(h, "POST", "/face/print/api/document", picture, "Authorization", "Bearer "+string(token), "Content-Type", "image/jpeg", headerSide, side)
}

// From the consent to the camera: both sides, a look at what was read, a correction.
func TestADocumentIsPhotographedAndConfirmed(t *testing.T) {
	t.Parallel()
	core := newCore(fixed)
	readsDocuments(core)
	h, _ := newHandler(t, core, fixed, nil)
	v := readView(t, ask(h, "GET", "/face/print/api/session?token="+string(token), ""))
	if v.Step != StepDocument || v.Document == nil || !slices.Equal(v.Document.Sides, []ekyc.CardSide{"front", "back"}) || v.Identity.Mode != "document" {
		t.Fatalf("got step %s of %+v, want the document's two sides", v.Step, v.Document)
	}
	wantCode(t, ask(h, "POST", "/face/print/api/challenge", `{"token":"`+string(token)+`","kind":"picture"}`), 409, "claim_missing")

	res := send(h, "front", "front")
	body, _ := io.ReadAll(res.Body)
	var got Reading
	if err := json.Unmarshal(body, &got); err != nil || res.StatusCode != 200 {
		t.Fatalf("the front: status %d, %s", res.StatusCode, body)
	}
	want := []Field{{"name", name, false}, {"address", "某街", true}, {"number", number, false}}
	if got.Side != "front" || !slices.Equal(got.Fields, want) || got.Session.Step != StepDocument || got.Session.Identity.Number != "" {
		t.Errorf("the front: got %+v, want %v and a view without them", got, want)
	}
	if res := send(h, "back", "back"); res.StatusCode != 200 {
		t.Errorf("the back: status %d", res.StatusCode)
	}
	confirm := func(fields string) *http.Response {
		return ask(h, "POST", "/face/print/api/document/confirm", `{"token":"`+string(token)+`","fields":`+fields+`}`)
	}
	wantCode(t, confirm(`{}`), 422, "document_doubtful")
	wantCode(t, confirm(`{"address":"某街","expires":"tomorrow"}`), 422, "bad_document_field")
	wantCode(t, confirm(`{"address":"某街","number":"1"}`), 422, "bad_id_number")
	wantCode(t, confirm(`{"address":"某街","expires":"20000101"}`), 200, "")
	v = readView(t, confirm(`{"address":"某街1号"}`))
	if v.Step != StepCapture || v.Identity.Name != "张**" || v.Identity.Number != "110***********002X" {
		t.Errorf("confirmed: got step %s, %+v, want the capture and a masked identity", v.Step, v.Identity)
	}
	if core.session.Document.Confirmed[ekyc.CardAddress] != "某街1号" {
		t.Errorf("the correction was lost: %v", core.session.Document.Confirmed)
	}
	// A View tells nobody what was read.
	body, _ = io.ReadAll(ask(h, "GET", "/face/print/api/session?token="+string(token), "").Body)
	for _, secret := range []string{name, number, "某街"} {
		if strings.Contains(string(body), secret) {
			t.Errorf("the view holds %s: %s", secret, body)
		}
	}
}

func TestPicturesOfDocumentsThatAreRefused(t *testing.T) {
	t.Parallel()
	core := newCore(fixed)
	readsDocuments(core)
	h, _ := newHandler(t, core, fixed, nil)
	for _, code := range []string{
		"document_none", "document_other", "document_wrong_side", "document_blurred", "document_cut", "document_glare",
		"document_dark", "document_expired", "document_copy", "image_format", "image_heic",
	} {
		wantCode(t, send(h, "front", "bad "+code), 422, code)
	}
	wantCode(t, send(h, "front", "bad document_tries"), 409, "document_tries")
	wantCode(t, send(h, "front", "bad engine_failed"), 500, "system")
	wantCode(t, send(h, "front", ""), 422, "image_empty")
	wantCode(t, send(h, "front", strings.Repeat("x", ekyc.MaxImage+1)), 413, "image_too_large")
	wantCode(t, send(h, "top", "x"), 400, "bad_request")
	wantCode(t, ask(h, "POST", "/face/print/api/document", "x", headerSide, "front"), 400, "bad_request")
	wantCode(t, ask(h, "POST", "/face/print/api/document", "x", headerSide, "front", "Authorization", "Bearer nobody"), 404, "token_invalid")
	core.session.Plan.Identity = ekyc.IdentityEntered
	wantCode(t, send(h, "front", "front"), 409, "not_switched_on")
	core.session.Plan.Identity, core.session.Agreement = ekyc.IdentityDocument, nil
	wantCode(t, send(h, "front", "front"), 409, "consent_missing")
}

// A claim that the authority does not know may be mended by another picture.
func TestADocumentThatWasDisownedMayBeReadAgain(t *testing.T) {
	t.Parallel()
	core := newCore(fixed)
	readsDocuments(core)
	core.session.Claim = claim(t)
	core.session.Attempts = []ekyc.Attempt{{Ordinal: 1, Finished: began, Outcome: ekyc.NonMatched, Code: ekyc.IdentityMismatch}}
	h, _ := newHandler(t, core, fixed, nil)
	if v := readView(t, ask(h, "GET", "/face/print/api/session?token="+string(token), "")); v.Result == nil || !v.Result.Mend {
		t.Errorf("got %+v, want a result that another picture may mend", v.Result)
	}
	if res := send(h, "front", "front"); res.StatusCode != 200 || core.session.Claim != nil {
		t.Errorf("reading again: status %d, claim %v", res.StatusCode, core.session.Claim)
	}
}

// A hand is guided until the document can be photographed.
func TestAHandIsGuided(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		readsDocuments(core)
		core.glance = func(frame []byte) (ekyc.CardGlance, error) {
			g := ekyc.CardGlance{Side: ekyc.CardBack, Status: ekyc.CardReadable, Width: 500, Sharp: 0.8}
			switch string(frame[len(jpegHead):]) {
			case "none":
				g.Status = ekyc.CardNone
			case "other side":
				g.Status = ekyc.CardWrongSide
			case "busy":
				return g, ekyc.Errorf(ekyc.Busy, "full")
			}
			return g, nil
		}
		p := s.hold("back")
		for _, c := range []struct{ frame, hint string }{{"none", "no_card"}, {"other side", "wrong_side"}, {"busy", "busy"}, {"good", ""}} {
			p.frame(c.frame)
			if m := p.read(); m.Type != "hint" || *m.Hint != c.hint || m.Seen != int64(p.n) {
				t.Errorf("%s: got %+v, want hint %q", c.frame, m, c.hint)
			}
			time.Sleep(glanceGap)
		}
		start := time.Now()
		var m heard
		for range 20 {
			p.frame("good")
			if m = p.read(); m.Type != "hint" {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if m.Type != "take" || time.Since(start) > 3*time.Second {
			t.Errorf("got %+v after %v, want the picture to be taken", m, time.Since(start))
		}
		p.wantClosed(websocket.StatusNormalClosure)
		if len(core.drawn) != 0 {
			t.Error("a challenge was drawn for a document")
		}
	})
}

func TestGlancesThatEnd(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		wants := func(code string) {
			t.Helper()
			p := s.open()
			p.write(websocket.MessageText, `{"token":"`+string(token)+`","side":"front"}`)
			p.wantError(code, websocket.StatusPolicyViolation)
		}
		core.watches = ekyc.Errorf(ekyc.NotSwitchedOn, "no document")
		wants(ErrKind)
		readsDocuments(core)
		core.watches = ekyc.Errorf(ekyc.DocumentTries, "too often")
		wants(ErrTries)
		core.watches = nil
		core.session.Agreement = nil
		wants(ErrStep)
		core.session.Agreement = &ekyc.Agreement{Version: "v1", At: began}

		core.glance = func([]byte) (ekyc.CardGlance, error) { return ekyc.CardGlance{Status: ekyc.CardNone}, nil }
		p := s.hold("front")
		p.wantError(ErrIdle, websocket.StatusPolicyViolation) // no frame came

		p = s.hold("front")
		for start := time.Now(); ; time.Sleep(time.Second) {
			p.frame("x")
			m := p.read()
			if m.Type == "error" {
				if m.Code != ErrIdle || time.Since(start) < ekyc.WatchCardTimeout-time.Second {
					t.Errorf("got %s after %v, want idle after a minute", m.Code, time.Since(start))
				}
				break
			}
		}
		core.glance = func([]byte) (ekyc.CardGlance, error) { return ekyc.CardGlance{}, ekyc.Errorf(ekyc.ImageDamaged, "") }
		p = s.hold("front")
		p.frame("x")
		p.wantError(ErrFrame, websocket.StatusPolicyViolation)

		// A newer socket of the same token takes over.
		core.glance = func([]byte) (ekyc.CardGlance, error) { return ekyc.CardGlance{Status: ekyc.CardNone}, nil }
		old := s.hold("front")
		s.hold("front")
		old.wantError(ErrReplaced, websocket.StatusPolicyViolation)
	})
}

// hold opens a socket for a side of a document and waits to be told to go on.
func (s *server) hold(side string) *phone {
	s.t.Helper()
	p := s.open()
	p.write(websocket.MessageText, `{"token":"`+string(token)+`","side":"`+side+`"}`)
	if m := p.read(); m.Type != "ready" || m.Window != pageWindow {
		s.t.Fatalf("after hello: got %+v, want ready", m)
	}
	return p
}
