package baidu

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
	"shiren/internal/gateway/wire"
	"shiren/internal/testkit"
)

func TestTableOfCodesIsWhole(t *testing.T) {
	t.Parallel()
	for _, c := range ekyc.Codes() {
		e, ok := codes[c]
		switch {
		case !ok:
			t.Errorf("%s has no vendor code", c)
		case e.scheme == baidu.OK || e.rest == baidu.OK:
			t.Errorf("%s would be said as success", c)
		case e.scheme.Message() == "" || e.rest.Message() == "":
			t.Errorf("%s is said as %d or %d, which have no documented text", c, e.scheme, e.rest)
		case e.message == "":
			t.Errorf("%s has no message for getall", c)
		}
	}
	if len(codes) != len(ekyc.Codes())+1 {
		t.Errorf("the table has %d entries, want one for each of %d codes and OK", len(codes), len(ekyc.Codes()))
	}
}

func TestParseBodies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, key, want string }{
		"string":            {`{"a":"x"}`, "a", "x"},
		"number":            {`{"a": 12 }`, "a", "12"},
		"escapes":           {`{"a":"\u5f20\/\"三"}`, "a", `张/"三`},
		"escaped key":       {`{"\u0061":"x"}`, "a", "x"},
		"last one wins":     {`{"a":"x","A":"y"}`, "a", "y"},
		"null":              {`{"a":null}`, "a", ""},
		"trailing comma":    {`{"a":"x",}`, "a", "x"},
		"comment":           {"{\"a\":0 // {\n,\"b\":\"y\"}", "b", "y"},
		"slashes in text":   {`{"a":"http://x"}`, "a", "http://x"},
		"backslash at end":  {`{"a":"x\\","b":"y"}`, "b", "y"},
		"nested":            {`{"z":{"a":[1,{"q":"}"}]},"a":"x"}`, "a", "x"},
		"form":              {"a=x+y%20z&b=%E5%BC%A0", "b", "张"},
		"form, no value":    {"a=x&b", "b", ""},
		"form, semicolon":   {"a=data:;base64,QQ==", "a", "data:;base64,QQ=="},
		"white space":       {" \n\t {\"a\" : \"x\"} \r\n ", "a", "x"},
		"empty":             {"", "a", ""},
		"comment at end":    {`{"a":"x"} // done`, "a", "x"},
		"literal in a list": {`{"a":"x","l":[true,false,null,-1.5e3]}`, "a", "x"},
	} {
		b, err := parse([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := b.text(c.key); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	for name, in := range map[string]string{
		"cut":             `{"a":`,
		"cut text":        `{"a":"x`,
		"cut by escape":   `{"a":"x\"}`,
		"two commas":      `{"a":1,,"b":2}`,
		"no comma":        `{"a":1 "b":2}`,
		"bare word":       `{"a":yes}`,
		"number and word": `{"a":1x}`,
		"key of no text":  `{1:2}`,
		"no colon":        `{"a" 1}`,
		"rest":            `{} {}`,
		"deep":            `{"a":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`,
		"many":            `[` + strings.Repeat("1,", 100) + `1]`,
		"many fields":     manyFields(100),
		"words":           "hello",
		"bad escape":      "a=%zz",
		"closing only":    "}",
	} {
		if _, err := parse([]byte(in)); ekyc.CodeOf(err) != ekyc.BadRequest {
			t.Errorf("%s: got %v, want bad_request", name, err)
		}
	}
	b, _ := parse([]byte("{\"a\":\"\xff\"}"))
	if _, err := b.text("a"); ekyc.CodeOf(err) != ekyc.BadRequest {
		t.Errorf("text that is not UTF-8: got %v, want bad_request", err)
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k")
		b.WriteString(strings.Repeat("x", i))
		b.WriteString("=1&")
	}
	return b.String()
}

func TestImageDialects(t *testing.T) {
	t.Parallel()
	want := []byte{0xff, 0xd8, 0xff, 0xe0, 0xfb, 0xef, 0xbe, 1}
	std := base64.StdEncoding.EncodeToString(want) // /9j/4PvvvgE=
	for name, in := range map[string]string{
		"standard":      `"` + std + `"`,
		"URL-safe":      `"` + base64.URLEncoding.EncodeToString(want) + `"`,
		"no padding":    `"` + strings.TrimRight(std, "=") + `"`,
		"data prefix":   `"data:image/jpeg;base64,` + std + `"`,
		"DATA prefix":   `"DATA:image/jpeg;base64,` + std + `"`,
		"lines":         "\"" + std[:4] + "\\r\\n" + std[4:8] + "\\n" + std[8:] + "\"",
		"raw lines":     "\"" + std[:4] + "\n" + std[4:] + "\"",
		"spaces":        `" ` + std[:4] + " " + std[4:] + ` "`,
		"PHP's slashes": `"` + strings.ReplaceAll(std, "/", `\/`) + `"`,
		".NET's plus":   `"` + strings.ReplaceAll(std, "+", `\u002B`) + `"`,
	} {
		b, err := parse([]byte(`{"image":` + in + `}`))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := b.image("image"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, %v, want %x", name, got, err, want)
		}
	}
	for name, in := range map[string]string{
		"escaped":   "image=%2F9j%2F4PvvvgE%3D",
		"as it is":  "image=" + std,
		"plus lost": "image=data:,%2F9j%2F4PvvvgE=",
	} {
		b, err := parse([]byte(in))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := b.image("image"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("form, %s: got %x, %v, want %x", name, got, err, want)
		}
	}
	plus := []byte{0xfb, 0xef, 0xbe} // "++++" as base64
	b, err := parse([]byte("image=++++"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.image("image"); err != nil || !bytes.Equal(got, plus) {
		t.Errorf("form, unescaped plus signs: got %x, %v, want %x", got, err, plus)
	}
	for in, code := range map[string]ekyc.Code{
		`{"image":""}`: ekyc.ImageEmpty, `{"image":"  "}`: ekyc.ImageEmpty, `{"image":null}`: ekyc.ImageEmpty, `{}`: ekyc.ImageEmpty,
		`image=`: ekyc.ImageEmpty, `{"image":"data:image/jpeg;base64,"}`: ekyc.ImageEmpty,
		`{"image":"Q"}`: ekyc.ImageNotBase64, `{"image":"QQ=Q"}`: ekyc.ImageNotBase64, `{"image":"Q!=="}`: ekyc.ImageNotBase64,
		`{"image":"===="}`: ekyc.ImageNotBase64, `{"image":{}}`: ekyc.ImageNotBase64, `{"image":"data:image/jpeg"}`: ekyc.ImageNotBase64,
		`{"image":"` + strings.Repeat("A", ekyc.MaxImage+1) + `"}`: ekyc.ImageTooLarge,
	} {
		b, err := parse([]byte(in))
		if err != nil {
			t.Fatalf("%.40s: %v", in, err)
		}
		if _, err := b.image("image"); ekyc.CodeOf(err) != code {
			t.Errorf("%.40s: got %v, want %s", in, err, code)
		}
	}
}

// slow is a connection that never sends the rest, until its deadline passes.
type slow struct {
	http.ResponseWriter
	end chan struct{}
}

func (s *slow) SetReadDeadline(time.Time) error { close(s.end); return nil }

func (s *slow) Read([]byte) (int, error) { <-s.end; return 0, errors.New("i/o timeout") }

// asked is a core that knows one app and must not be asked for a comparison.
type asked struct{ Core }

func (asked) LogID() string                                        { return "1000000000000000000" }
func (asked) Access(context.Context, ekyc.Grant) (ekyc.App, error) { return ekyc.App{ID: "1"}, nil }
func (asked) Admit(context.Context, ekyc.App) error                { return nil }

func TestLargeBodiesWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(asked{}, Config{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		tok := baidu.AccessToken{App: "1", Expires: time.Unix(1, 0)}.String()
		var ends []*slow
		for range wire.LargeBodies {
			s := &slow{ResponseWriter: httptest.NewRecorder(), end: make(chan struct{})}
			r := httptest.NewRequest("POST", baidu.PathMatchV4+"?access_token="+tok, io.NopCloser(s))
			r.ContentLength = -1
			ends = append(ends, s)
			go h.ServeHTTP(s, r)
		}
		time.Sleep(time.Second)
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", baidu.PathMatchV4+"?access_token="+tok, strings.NewReader(`[`))
		r.ContentLength = -1
		start := time.Now()
		h.ServeHTTP(w, r)
		// The first bodies are given up after wire.BodyTimeout, a second before this one would be.
		if got := time.Since(start); got != wire.BodyTimeout-time.Second || !strings.Contains(w.Body.String(), "216100") {
			t.Errorf("after %v: got %s, want it read once another body is given up", got, w.Body)
		}
		for _, s := range ends {
			<-s.end
		}
	})
}

func TestTooManyLargeBodiesIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &handler{core: asked{}, now: time.Now, log: slog.New(slog.DiscardHandler), door: make(wire.Door)}
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/?access_token="+baidu.AccessToken{App: "1", Expires: time.Unix(1, 0)}.String(), strings.NewReader("{}"))
		r.ContentLength = -1
		h.serve(rest, maxMatch, h.matchV4).ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"error_code":2,`) {
			t.Errorf("got %s, want error 2", w.Body)
		}
	})
}

// panicky is a core whose Open panics.
type panicky struct{ Core }

func (panicky) Open(_ context.Context, _ ekyc.App, _ ekyc.PlanID, _ ekyc.Redirect) (ekyc.Session, error) {
	panic("the data base is on fire")
}

func TestPanicIsAnInternalFault(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	h := New(panicky{k.Service}, Config{Now: k.Clock.Now, Log: k.Log})
	g, err := k.Grant(k.Ctx, k.App.Key, string(k.App.Secret))
	if err != nil {
		t.Fatal(err)
	}
	tok := baidu.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", baidu.PathGenerate+"?access_token="+tok.String(), strings.NewReader(`{"plan_id":1}`)))
	var got baidu.Refusal
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.ErrorCode != baidu.ServiceFault || w.Code != 200 {
		t.Errorf("got %d %s, want HTTP 200 and 283512", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "fire") {
		t.Errorf("the cause was sent: %s", w.Body)
	}
	if !strings.Contains(k.Logs.String(), "panic") {
		t.Error("the panic was not logged")
	}
}

func TestLinksFollowTheRequestWithoutABaseURL(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	h := New(k.Service, Config{Now: k.Clock.Now, Log: k.Log})
	ses := k.OpenPlan("1")
	if _, err := k.Walk(ses.Token, testkit.Face{Person: "zhang"}); err != nil {
		t.Fatal(err)
	}
	for want, url := range map[string]string{
		"http://face.local:8080/": "http://face.local:8080", "https://face.local/": "https://face.local",
		"https://10.1.2.3:8443/": "https://aip.baidubce.com", // the Node SDK's Host, whatever it connects to
	} {
		r := httptest.NewRequest("POST", url+baidu.PathSimple, strings.NewReader(`{"verify_token":"`+string(ses.Token)+`"}`))
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("X-Forwarded-Proto", "gopher")
		baidu.Sign(r, k.App.Key, string(k.App.Secret), k.Clock.Now(), time.Minute)
		w := httptest.NewRecorder()
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 8443}))
		h.ServeHTTP(w, r)
		var got baidu.Reply[baidu.SimpleResult]
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || !strings.HasPrefix(got.Result.Image, want+"solution/") {
			t.Errorf("got %s, want an address that begins with %s", w.Body, want)
		}
	}
}

// TestProtocolIsNoted counts what comes in here as this protocol's.
func TestProtocolIsNoted(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	h := New(k.Service, Config{Now: k.Clock.Now, Log: k.Log})
	face := `{"image":"` + base64.StdEncoding.EncodeToString(testkit.Photo(testkit.Face{})) + `","image_type":"BASE64"}`
	for path, body := range map[string]string{baidu.PathScheme + "verifyToken/generate": `{"plan_id":"1"}`, baidu.PathMatchV3: "[" + face + "," + face + "]"} {
		r := httptest.NewRequest("POST", "http://face.local"+path, strings.NewReader(body))
		baidu.Sign(r, k.App.Key, string(k.App.Secret), k.Clock.Now(), time.Minute)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK || r.Pattern != path {
			t.Errorf("%s: %d %s, found by %q", path, w.Code, w.Body, r.Pattern)
		}
	}
	if got := k.Protocols(); got["baidu"] < 3 || len(got) != 1 {
		t.Errorf("counted %v, want a session and a charged call of baidu", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"plan_id":1}`, `[{"image":"QQ=="},{"image":"QQ=="}]`, "a=1&b=%20", `{"a":"\"",}// x`, "{", `{"a":[[[`, "0=", "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := parse(in)
		if err != nil {
			return
		}
		for name := range b.fields {
			_, _ = b.text(name)
			_, _ = b.integer(name)
			_, _ = b.object(name)
			_, _ = b.image(name)
		}
		for _, v := range b.list {
			_, _ = v.object("x")
		}
		// What the standard library reads as an object is read alike.
		var std map[string]json.RawMessage
		if json.Unmarshal(in, &std) != nil || len(std) != len(b.fields) {
			return
		}
		for k, raw := range std {
			if got := b.fields[strings.ToLower(k)].raw; !bytes.Equal(bytes.TrimSpace(got), bytes.TrimSpace(raw)) {
				t.Errorf("%q: got %q, want %q", k, got, raw)
			}
		}
	})
}
