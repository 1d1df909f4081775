package juhe

import (
	"bytes"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"shiren/api/juhe"
	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

func TestTableOfCodesIsWhole(t *testing.T) {
	t.Parallel()
	said := map[juhe.Code]bool{juhe.Unanswered: true} // by verdicts
	for _, c := range ekyc.Codes() {
		code, ok := codes[c]
		switch {
		case !ok:
			t.Errorf("%s has no vendor code", c)
		case code == juhe.OK:
			t.Errorf("%s would be said as success", c)
		case code.Reason() == "":
			t.Errorf("%s is said as %d, which has no documented text", c, code)
		}
		if !slices.Contains(elsewhere, c) {
			said[code] = true
		}
	}
	if len(codes) != len(ekyc.Codes())+1 {
		t.Errorf("the table has %d entries, want one for each of %d codes and OK", len(codes), len(ekyc.Codes()))
	}
	for _, c := range juhe.Codes() {
		if !said[c] {
			t.Errorf("nothing leads to the documented code %d", c)
		}
	}
}

// The 28 triples that can come about each have a verdict: 17 documented results, each from
// one of them alone but for ours; error 280105 exactly where the core says that nothing
// was answered; a result that says "compared" exactly where portraits were.
func TestVerdictsAreWhole(t *testing.T) {
	t.Parallel()
	outcomes := []ekyc.Outcome{yes, nay, none, fail}
	triples, results, refused := 0, map[juhe.Res]int{}, 0
	for _, identity := range outcomes {
		for _, portrait := range append(outcomes, not) {
			if (portrait == not) == (identity == yes) {
				continue
			}
			for _, mobile := range outcomes {
				c := ekyc.Checked{Identity: identity, Portrait: portrait, Mobile: mobile}
				res, ok := verdicts[c]
				if !ok {
					t.Errorf("%+v has no verdict", c)
				}
				triples++
				e := ekyc.Elements{Checked: c, Compared: portrait == yes || portrait == nay, Score: 0.5}
				if (res != unanswered) != e.Answered() {
					t.Errorf("%+v: result %d, and charged %v", c, res, e.Answered())
				}
				if res.Compared() != e.Compared || (perMille(e) != 0) != e.Compared {
					t.Errorf("%+v: result %d has a score of %v", c, res, perMille(e))
				}
				if res == unanswered {
					refused++
					continue
				}
				if res.String() == "" {
					t.Errorf("%+v: result %d has no text", c, res)
				}
				results[res]++
			}
		}
	}
	if triples != 28 || len(verdicts) != 28 || len(results) != 17 || refused != 4 {
		t.Errorf("%d triples, %d verdicts, %d results, %d refusals; want 28, 28, 17 and 4", triples, len(verdicts), len(results), refused)
	}
}

func TestScores(t *testing.T) {
	t.Parallel()
	for in, want := range map[ekyc.Score]float64{0.9827: 982.7, 0.98265: 982.7, 0.98264: 982.6, 1: 1000, 0: 0.1, 0.00001: 0.1} {
		if got := perMille(ekyc.Elements{Compared: true, Score: in}); got != want {
			t.Errorf("%v: got %v, want %v", float64(in), got, want)
		}
	}
}

var image = bytes.Repeat([]byte{0xff, 0xd8, 0xfb, 0xef, 0xbe}, 50) // base64 with "+" and "/"

// Ways in which clients write one image, and what all of them must be read as.
func TestDialects(t *testing.T) {
	t.Parallel()
	std := base64.StdEncoding.EncodeToString(image[:249])
	if !strings.Contains(std, "+") || !strings.Contains(std, "/") {
		t.Fatal("the image's text has no special characters")
	}
	short := image[:248] // needs padding
	for name, c := range map[string]struct {
		form string // urlencoded
		want []byte
	}{
		"escaped":          {url.QueryEscape(std), image[:249]},
		"plus unescaped":   {std, image[:249]},
		"spaces":           {strings.ReplaceAll(std, "+", "%20"), image[:249]},
		"url-safe":         {base64.RawURLEncoding.EncodeToString(short), short},
		"padded":           {base64.StdEncoding.EncodeToString(short), short},
		"without padding":  {base64.RawStdEncoding.EncodeToString(short), short},
		"prefix":           {"data:image/jpg;base64," + std, image[:249]},
		"prefix, escaped":  {url.QueryEscape("data:image/png;base64," + std), image[:249]},
		"PHP's line ends":  {url.QueryEscape(strings.ReplaceAll(std, "fv", "fv\r\n")), image[:249]},
		"padding too long": {std + "%3D%3D", image[:249]},
	} {
		f, err := parseFields("", "", []byte("key=k&image="+c.form+"&x=y"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := f.image("image"); err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %d bytes, %v, want %d", name, len(got), err, len(c.want))
		}
	}
}

func TestParseFields(t *testing.T) {
	t.Parallel()
	var mp bytes.Buffer
	w := multipart.NewWriter(&mp)
	for k, v := range map[string]string{"key": "k", "realname": "张三", "image": "QQ+/"} {
		if err := w.WriteField(k, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ query, kind, body, want string }{
		"form":                      {"", "", "key=k&realname=%E5%BC%A0%E4%B8%89", "张三"},
		"query":                     {"key=k&realname=%E5%BC%A0%E4%B8%89", "", "", "张三"},
		"both":                      {"key=q&realname=x", "", "key=k&realname=y", "y"},
		"query that is no form":     {"debug", "", "key=k&realname=y", "y"},
		"multipart":                 {"", w.FormDataContentType(), mp.String(), "张三"},
		"multipart, unlabelled":     {"", "", mp.String(), "张三"},
		"multipart, mislabelled":    {"", "application/x-www-form-urlencoded", mp.String(), "张三"},
		"form that is no multipart": {"", w.FormDataContentType() + "x", "--\r\nkey=k&realname=x", ""},
		"byte order mark":           {"", "", "\xef\xbb\xbfkey=k&realname=z", "z"},
		"blank":                     {"", "", " \r\n ", ""},
	} {
		f, err := parseFields(c.query, c.kind, []byte(c.body))
		if f == nil {
			t.Errorf("%s: no fields, %v", name, err)
			continue
		}
		if got, _ := f.text("realname"); got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	var many strings.Builder
	for range maxFields + 1 {
		many.WriteString("a=b&")
	}
	for name, body := range map[string]string{"no pair": "hello", "bad escape": "a=%", "too many": many.String(), "JSON": `{"key":"k"}`} {
		if _, err := parseFields("", "", []byte(body)); ekyc.CodeOf(err) != ekyc.BadRequest {
			t.Errorf("%s: got %v, want bad_request", name, err)
		}
	}
}

func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.Engine.Hook = func() error { panic("scripted") }
	k.Authority.Add("11010519491231002X", "张三", testkit.Photo(testkit.Face{}))
	h := New(k.Service, Config{Now: k.Clock.Now, Log: k.Log})
	form := url.Values{
		"key": {string(k.App.Bearer)}, "realname": {"张三"}, "idcard": {"11010519491231002X"}, "mobile": {"13800138000"},
		"image": {base64.StdEncoding.EncodeToString(testkit.Photo(testkit.Face{}))},
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, juhe.PathQuery, strings.NewReader(form.Encode())))
	if !strings.Contains(rec.Body.String(), `"error_code":10014`) || strings.Contains(rec.Body.String(), "scripted") {
		t.Errorf("got %s, want 10014 without a cause", rec.Body)
	}
}

// TestProtocolIsNoted counts what comes in here as this protocol's.
func TestProtocolIsNoted(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.Authority.Add("11010519491231002X", "张三", testkit.Photo(testkit.Face{}))
	h := New(k.Service, Config{Now: k.Clock.Now, Log: k.Log})
	form := url.Values{
		"key": {string(k.App.Bearer)}, "realname": {"张三"}, "idcard": {"11010519491231002X"}, "mobile": {"13800138000"},
		"image": {base64.StdEncoding.EncodeToString(testkit.Photo(testkit.Face{}))},
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, juhe.PathQuery, strings.NewReader(form.Encode())))
	if got := k.Protocols(); got["juhe"] < 2 || len(got) != 1 {
		t.Errorf("counted %v after %s, want a charged call of juhe", got, rec.Body)
	}
}

func FuzzParseFields(f *testing.F) {
	f.Add("key=k", "", []byte("realname=x&image=QQ%3D%3D"))
	f.Add("", "multipart/form-data; boundary=X", []byte("--X\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--X--\r\n"))
	f.Add("", "", []byte("--X\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\ndata:;base64,QQ\r\n--X--\r\n"))
	f.Fuzz(func(t *testing.T, query, kind string, body []byte) {
		got, err := parseFields(query, kind, body)
		if got == nil {
			t.Error("no fields at all")
		}
		if err != nil && ekyc.CodeOf(err) != ekyc.BadRequest {
			t.Errorf("an error without a code: %v", err)
		}
		if len(got) > 2*maxFields {
			t.Errorf("%d fields", len(got))
		}
		for name := range got {
			_, _ = got.text(name)
			if _, err := got.image(name); err != nil && ekyc.CodeOf(err) == ekyc.Internal {
				t.Errorf("%q: an error without a code: %v", name, err)
			}
		}
		// What the standard library reads as a form is read alike, as far as names go.
		if std, err := url.ParseQuery(string(body)); err == nil && bytes.IndexByte(body, '=') > 0 && boundary(kind, body) == "" && len(std) < maxFields {
			for k := range std {
				if _, ok := got[strings.ToLower(k)]; !ok && bytes.Equal(bytes.TrimSpace(body), body) && !bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
					t.Errorf("%q of %q was not found", k, body)
				}
			}
		}
	})
}
