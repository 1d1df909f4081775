package capture

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
)

func fixed() time.Time { return began.Add(time.Minute) }

func TestPageIsServed(t *testing.T) {
	t.Parallel()
	h, _ := newHandler(t, newCore(fixed), fixed, nil)
	for _, path := range []string{"/face/print", "/face/print/", "/face/print?token=a&successUrl=b", "/face/print/?token=a"} {
		r := ask(h, "GET", path, "")
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != 200 || !strings.Contains(string(body), "<title>page") {
			t.Errorf("GET %s: got %d %.40q, want the page", path, r.StatusCode, body)
		}
		if got := r.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("GET %s: got Cache-Control %q, want no-store: the address holds a token", path, got)
		}
	}
	for _, path := range []string{"/face/print/other", "/face/print/assets/none.js", "/face/print/assets/", "/face/print/api/none"} {
		if r := ask(h, "GET", path, ""); r.StatusCode != 404 {
			t.Errorf("GET %s: got %d, want 404", path, r.StatusCode)
		}
	}
	if r := ask(h, "POST", "/face/print/", ""); r.StatusCode != 405 {
		t.Errorf("POST to the page: got %d, want 405", r.StatusCode)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	h, _ := newHandler(t, newCore(fixed), fixed, nil)
	for _, path := range []string{"/face/print/", "/face/print/assets/main-1a2b.js", "/face/print/api/session?token=x", "/face/print/none"} {
		head := ask(h, "GET", path, "").Header
		for name, want := range map[string]string{
			"Permissions-Policy":     "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
			"Referrer-Policy":        "no-referrer",
			"X-Content-Type-Options": "nosniff",
		} {
			if got := head.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", path, name, got, want)
			}
		}
		csp := head.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self' ws://example.com wss://example.com"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: got policy %q, want %q in it", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "frame-ancestors") {
			t.Errorf("%s: the policy %q allows something unsafe, or forbids embedding", path, csp)
		}
	}
	strange := http.Header{}
	h.secure(strange, "a.example; script-src *")
	if got := strange.Get("Content-Security-Policy"); strings.Contains(got, "a.example") {
		t.Errorf("a strange host reached the policy: %q", got)
	}
	h, _ = newHandler(t, newCore(fixed), fixed, func(c *Config) { c.FrameAncestors = []string{"'self'", "https://bank.example"} })
	if got := ask(h, "GET", "/face/print/", "").Header.Get("Content-Security-Policy"); !strings.HasSuffix(got, "frame-ancestors 'self' https://bank.example") {
		t.Errorf("got policy %q, want the configured ancestors", got)
	}
}

func TestAssetsAreKeptAndCompressed(t *testing.T) {
	t.Parallel()
	h, _ := newHandler(t, newCore(fixed), fixed, nil)
	const path = "/face/print/assets/main-1a2b.js"
	want := string(builtPage["assets/main-1a2b.js"].Data)

	r := ask(h, "GET", path, "", "Accept-Encoding", "br, gzip;q=0.5")
	if r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" ||
		r.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || r.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("compressed asset: got header %v", r.Header)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(z); string(b) != want {
		t.Errorf("the compressed asset holds %d bytes that differ from the file's %d", len(b), len(want))
	}
	for _, accept := range []string{"", "br", "gzip;q=0", "gzip; q=0.0"} {
		r := ask(h, "GET", path, "", "Accept-Encoding", accept)
		if b, _ := io.ReadAll(r.Body); r.Header.Get("Content-Encoding") != "" || string(b) != want {
			t.Errorf("Accept-Encoding %q: got encoding %q and %d bytes, want the plain file", accept, r.Header.Get("Content-Encoding"), len(b))
		}
	}
	if r := ask(h, "GET", "/face/print/assets/tiny-3c.css", "", "Accept-Encoding", "gzip"); r.Header.Get("Content-Encoding") != "" {
		t.Error("a file that gzip makes longer was compressed")
	}
	if r := ask(h, "GET", path, "", "If-None-Match", r.Header.Get("ETag")); r.StatusCode != http.StatusNotModified {
		t.Errorf("with the current tag: got %d, want 304", r.StatusCode)
	}
	r = ask(h, "HEAD", path, "")
	if b, _ := io.ReadAll(r.Body); len(b) != 0 || r.ContentLength != int64(len(want)) {
		t.Errorf("HEAD: got %d bytes and length %d, want none and %d", len(b), r.ContentLength, len(want))
	}
}

func TestWithoutABuiltPage(t *testing.T) {
	t.Parallel()
	h, l := newHandler(t, newCore(fixed), fixed, func(c *Config) { c.Pages = nil })
	r := ask(h, "GET", "/face/print/", "")
	if b, _ := io.ReadAll(r.Body); r.StatusCode != 503 || !strings.Contains(string(b), "make web") {
		t.Errorf("got %d %q, want 503 that says what to do", r.StatusCode, b)
	}
	if !strings.Contains(l.String(), "make web") {
		t.Errorf("the log %q does not say what to do", l)
	}
	if v := readView(t, ask(h, "GET", "/face/print/api/session?token="+string(token), "")); v.Step != StepCapture {
		t.Errorf("the calls went away with the page: got step %q", v.Step)
	}
}

// The page has words for everything that the server may say.
func TestThePageHasWords(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"zh-CN", "en"} {
		b, err := os.ReadFile("../../web/capture/src/locales/" + lang + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var words map[string]string
		if err := json.Unmarshal(b, &words); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, r := range Reasons() {
			keys = append(keys, "reason."+r)
		}
		for _, r := range []string{Expired, Attempts, RefMissing, ClaimMissing} {
			keys = append(keys, "trouble."+r+".title", "trouble."+r+".text")
		}
		for _, h := range []ekyc.Hint{
			"none", ekyc.HintNoFace, ekyc.HintSeveral, ekyc.HintCloser, ekyc.HintFurther, ekyc.HintCentre,
			ekyc.HintTurn, ekyc.HintLight, ekyc.HintShade, ekyc.HintStill, ekyc.HintOpenEyes, HintBusy,
		} {
			keys = append(keys, "hint."+string(h), "hint."+string(h)+".detail")
		}
		for _, c := range []ekyc.Code{ekyc.BadName, ekyc.BadIDNumber, ekyc.BadDocumentType} {
			keys = append(keys, "identity.fault."+string(c))
		}
		for _, k := range keys {
			if words[k] == "" {
				t.Errorf("%s has no words for %s", lang, k)
			}
		}
	}
}
