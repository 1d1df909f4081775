package baidu_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	bceauth "github.com/baidubce/bce-sdk-go/auth"
	bcehttp "github.com/baidubce/bce-sdk-go/http"

	"shiren/api/baidu"
)

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

func TestAccessTokenText(t *testing.T) {
	t.Parallel()
	want := baidu.AccessToken{
		Nonce: [4]byte{0x6c, 0x5e, 0x1f, 0xf1}, Tag: [12]byte{1, 2, 3, 11: 0x78},
		Expires: time.Unix(1485516651, 0).UTC(), App: "8574074",
	}
	text := "24.6c5e1ff1010203000000000000000078.2592000.1485516651.282335-8574074"
	if got := want.String(); got != text {
		t.Errorf("text: got %s, want %s", got, text)
	}
	if got, err := baidu.ParseAccessToken(text); err != nil || got != want {
		t.Errorf("parsed: got %+v, %v, want %+v", got, err, want)
	}
	for name, bad := range map[string]string{
		"empty":              "",
		"a refresh token":    strings.Replace(text, "24.", "25.", 1),
		"another lifetime":   strings.Replace(text, "2592000", "2592001", 1),
		"upper-case hex":     strings.ToUpper(text),
		"one digit less":     strings.Replace(text, "6c5e", "6c5", 1),
		"no app":             strings.TrimSuffix(text, "8574074"),
		"an app of letters":  text + "x",
		"a padded expiry":    strings.Replace(text, ".1485", ".01485", 1),
		"a negative expiry":  strings.Replace(text, ".1485", ".-1485", 1),
		"the SDK's appendix": text + "?aipSdk=node",
		"very long":          text + strings.Repeat("1", 1<<20),
	} {
		if _, err := baidu.ParseAccessToken(bad); !errors.Is(err, baidu.ErrAccessToken) {
			t.Errorf("%s: got %v, want ErrAccessToken", name, err)
		}
	}
}

func TestTokenReplyHasTheDocumentedShape(t *testing.T) {
	t.Parallel()
	tok := baidu.AccessToken{Expires: noon.Add(baidu.AccessLifetime), App: "8574074"}
	r := tok.Reply()
	if r.AccessToken != tok.String() || r.ExpiresIn != 2592000 {
		t.Errorf("got %+v, want the token and 2592000 s", r)
	}
	if !strings.Contains(" "+r.Scope+" ", " brain_all_scope ") {
		t.Errorf("scope %q lacks the word brain_all_scope, which the SDKs look for", r.Scope)
	}
	p := strings.Split(r.RefreshToken, ".")
	if len(p) != 5 || p[0] != "25" || len(p[1]) != 32 || p[2] != "315360000" || p[4] != "282335-8574074" {
		t.Errorf("refresh token: got %s, want 25.<32 hex>.315360000.<expiry>.282335-8574074", r.RefreshToken)
	}
	if strings.Contains(r.RefreshToken, r.AccessToken[3:35]) {
		t.Error("the refresh token repeats the access token's secret part")
	}
	if len(r.SessionSecret) != 32 {
		t.Errorf("session secret: got %d characters, want 32", len(r.SessionSecret))
	}
}

func TestEveryCodeHasItsMessage(t *testing.T) {
	t.Parallel()
	for code, want := range map[baidu.Code]string{
		0: "SUCCESS", 4: "Open api request limit reached", 18: "Open api qps request limit reached",
		110: "Access token invalid or no longer valid", 111: "Access token expired", 222202: "pic not has face",
		222901: "system busy", 222916: "system busy", 222917: "", 223120: "liveness check fail",
		283435: "方案不存在。Plan not exist.", 283450: "认证尚未开始", 283512: "服务异常,请稍后再试", 12345: "",
	} {
		if got := code.Message(); got != want {
			t.Errorf("message of %d: got %q, want %q", code, got, want)
		}
	}
}

// signed is a request as the official Go SDK signs it.
func signed(t *testing.T, method, path string, params, headers map[string]string, sign []string, secret string, at time.Time) *http.Request {
	t.Helper()
	req := &bcehttp.Request{}
	req.SetMethod(method)
	req.SetUri(path)
	req.SetParams(params)
	req.SetHeaders(headers)
	names := map[string]struct{}{}
	for _, n := range sign {
		names[n] = struct{}{}
	}
	(&bceauth.BceV1Signer{}).Sign(req, &bceauth.BceCredentials{AccessKeyId: "ak0123456789", SecretAccessKey: secret},
		&bceauth.SignOptions{HeadersToSign: names, Timestamp: at.Unix(), ExpireSeconds: 1800})
	out := httptest.NewRequest(method, "http://aip.baidubce.com"+path, strings.NewReader(`{"plan_id":1}`))
	q := out.URL.Query()
	for k, v := range params {
		q.Set(k, v)
	}
	out.URL.RawQuery = q.Encode()
	for k, v := range req.Headers() {
		out.Header.Set(k, v)
	}
	out.Host = req.Header("Host")
	return out
}

func TestVerifierAgreesWithTheOfficialSigner(t *testing.T) {
	t.Parallel()
	headers := func() map[string]string {
		return map[string]string{
			"Host": "aip.baidubce.com", "Content-Type": "application/json;charset=utf-8", "x-bce-date": "2026-03-02T04:00:00Z",
		}
	}
	for name, c := range map[string]struct {
		params map[string]string
		sign   []string
	}{
		"host only":      {sign: []string{"host"}},
		"type and host":  {params: map[string]string{"charset": "UTF-8"}, sign: []string{"content-type", "host"}},
		"odd parameters": {params: map[string]string{"b": "a b+c/ä=&", "a": "", "aipSdk": "go", "authorization": "x"}, sign: []string{"host"}},
	} {
		r := signed(t, "POST", baidu.PathGenerate, c.params, headers(), c.sign, "sk0123456789", noon)
		s, err := baidu.ParseSignature(r.Header.Get("Authorization"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.Key != "ak0123456789" || s.Valid != 1800*time.Second || !s.At.Equal(noon) {
			t.Errorf("%s: got %+v, want key, time and 1800 s as signed", name, s)
		}
		if err := s.Verify(r, "sk0123456789", noon.Add(1800*time.Second)); err != nil {
			t.Errorf("%s: at its last second: got %v, want nil", name, err)
		}
		if err := s.Verify(r, "sk0123456789", noon.Add(1801*time.Second)); !errors.Is(err, baidu.ErrSignatureExpired) {
			t.Errorf("%s: a second later: got %v, want ErrSignatureExpired", name, err)
		}
		if err := s.Verify(r, "another", noon); !errors.Is(err, baidu.ErrSignatureWrong) {
			t.Errorf("%s: another secret: got %v, want ErrSignatureWrong", name, err)
		}
		r.URL.RawQuery += "&more=1"
		if err := s.Verify(r, "sk0123456789", noon); !errors.Is(err, baidu.ErrSignatureWrong) {
			t.Errorf("%s: another query: got %v, want ErrSignatureWrong", name, err)
		}
	}
}

// The Java SDK formats hours with "hh": after 12:00 UTC its signatures are 12 hours old.
func TestTwelveHourClockIsStaleAfternoons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hour int
		want error
	}{{9, nil}, {15, baidu.ErrSignatureExpired}} {
		now := time.Date(2026, 3, 2, c.hour, 30, 0, 0, time.UTC)
		written := time.Date(2026, 3, 2, c.hour%12, 30, 0, 0, time.UTC)
		r := httptest.NewRequest("POST", baidu.PathGenerate, nil)
		baidu.Sign(r, "ak0123456789", "sk0123456789", written, baidu.SignatureLifetime)
		s, err := baidu.ParseSignature(r.Header.Get("Authorization"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(r, "sk0123456789", now); !errors.Is(err, c.want) {
			t.Errorf("at %d:30 UTC: got %v, want %v", c.hour, err, c.want)
		}
	}
}

// Without named headers, the documented default ones and all x-bce-* are signed.
func TestDefaultSignedHeaders(t *testing.T) {
	t.Parallel()
	head := map[string]string{
		"Host": "aip.baidubce.com", "Content-Type": "application/json", "Content-Length": "13", "x-bce-date": "2026-03-02T04:00:00Z", "Content-MD5": "",
	}
	r := signed(t, "POST", baidu.PathGenerate, nil, head, []string{"host", "content-type", "content-length", "content-md5"}, "sk", noon)
	auth := r.Header.Get("Authorization")
	p := strings.Split(auth, "/")
	p[4] = ""
	s, err := baidu.ParseSignature(strings.Join(p, "/"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(r, "sk", noon); err != nil {
		t.Errorf("got %v, want nil: content-length 13, no content-md5, x-bce-date signed", err)
	}
}

func TestSignatureForms(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0", 64)
	for _, bad := range []string{
		"", "Bearer x", "bce-auth-v2/ak/2026-03-02T04:00:00Z/1800/host/" + sum, "bce-auth-v1//2026-03-02T04:00:00Z/1800/host/" + sum,
		"bce-auth-v1/ak/2026-03-02 04:00:00/1800/host/" + sum, "bce-auth-v1/ak/2026-03-02T04:00:00Z/-1/host/" + sum,
		"bce-auth-v1/ak/2026-03-02T04:00:00Z/99999999999/host/" + sum, "bce-auth-v1/ak/2026-03-02T04:00:00Z/1800/host/" + sum[1:],
		"bce-auth-v1/ak/2026-03-02T04:00:00Z/1800/" + strings.Repeat("a;", 4000) + "/" + sum,
	} {
		if _, err := baidu.ParseSignature(bad); !errors.Is(err, baidu.ErrSignatureForm) {
			t.Errorf("%.60q: got %v, want ErrSignatureForm", bad, err)
		}
	}
}

func TestMessagesAreTolerantInExactOut(t *testing.T) {
	t.Parallel()
	var s baidu.StatResult
	in := `{"verify":[{"error_code":0,"count":"2"}],"VideoLiveness":[{"error_code":"223120","count":3}]}`
	if err := json.Unmarshal([]byte(in), &s); err != nil {
		t.Fatal(err)
	}
	out, _ := json.Marshal(s)
	want := `{"Verify_FIN":null,"Sessioncode":null,"OCR":null,"verify":[{"error_code":"0","count":2}],` +
		`"VideoLiveness":[{"error_code":"223120","count":"3"}],"Livenesscolorful":null,"VerifySec":null}`
	if string(out) != want {
		t.Errorf("got  %s\nwant %s", out, want)
	}
	for _, in := range []string{`{"plan_id":1}`, `{"plan_id":"1"}`} {
		var g baidu.GenerateRequest
		if err := json.Unmarshal([]byte(in), &g); err != nil || g.PlanID != "1" {
			t.Errorf("%s: got %q, %v, want 1", in, g.PlanID, err)
		}
	}
	var n baidu.Int
	for _, bad := range []string{`"x"`, `1.5`, `true`, `{}`} {
		if err := json.Unmarshal([]byte(bad), &n); err == nil {
			t.Errorf("Int of %s: got no error", bad)
		}
	}
	// The seed's example nests the card's data; its table does not.
	for _, in := range []string{
		`{"idcard_confirm":{"name":"x","idcard_ocr_result":{"name":"card"}}}`, `{"idcard_ocr_result":{"name":"card"}}`,
	} {
		var v baidu.VerifyRecord
		if err := json.Unmarshal([]byte(in), &v); err != nil || v.OCR() == nil || v.OCR().Name != "card" {
			t.Errorf("%s: the card's data were not found", in)
		}
	}
}

// script is a server that answers by path and counts its calls.
func script(t *testing.T, answer func(n int64, r *http.Request, body string) (int, string)) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		status, text := answer(n.Add(1), r, b.String())
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(srv.Close)
	return srv, &n
}

func TestClientKeepsItsTokenAndRenewsARefusedOne(t *testing.T) {
	t.Parallel()
	granted := 0
	srv, n := script(t, func(_ int64, r *http.Request, _ string) (int, string) {
		if r.URL.Path == baidu.PathToken {
			granted++
			return 200, `{"access_token":"A` + strconv.Itoa(granted) + `","expires_in":2592000}`
		}
		switch r.URL.Query().Get("access_token") {
		case "A1":
			return 200, `{"error_code":111,"error_msg":"Access token expired"}`
		case "A2":
			return 200, `{"success":true,"result":{"verify_token":"VT"},"log_id":"1"}`
		}
		return 500, "?"
	})
	c := &baidu.Client{Base: srv.URL, Key: "k", Secret: "s"}
	for i, calls := range []int64{4, 5} { // token, refused, token, answered; then answered
		got, err := c.Generate(t.Context(), baidu.GenerateRequest{PlanID: "1"})
		if err != nil || got != "VT" {
			t.Fatalf("call %d: got %q, %v, want VT", i, got, err)
		}
		if n.Load() != calls {
			t.Errorf("call %d: %d requests so far, want %d", i, n.Load(), calls)
		}
	}
}

func TestClientGivesUpAfterOneRenewal(t *testing.T) {
	t.Parallel()
	srv, n := script(t, func(_ int64, r *http.Request, _ string) (int, string) {
		if r.URL.Path == baidu.PathToken {
			return 200, `{"access_token":"A"}`
		}
		return 200, `{"success":false,"code":110,"message":"no","error_detail":"made elsewhere","log_id":7}`
	})
	c := &baidu.Client{Base: srv.URL}
	_, err := c.Detail(t.Context(), "VT")
	var e *baidu.Error
	if !errors.As(err, &e) || e.Code != baidu.AccessTokenInvalid || e.LogID != "7" || e.Detail != "made elsewhere" {
		t.Errorf("got %v, want error 110 with log_id 7 and its detail", err)
	}
	if n.Load() != 4 {
		t.Errorf("%d requests, want 4", n.Load())
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	srv, _ := script(t, func(_ int64, r *http.Request, _ string) (int, string) {
		switch {
		case r.URL.Path == baidu.PathToken && r.FormValue("client_id") == "bad":
			return 401, `{"error":"invalid_client","error_description":"unknown client id"}`
		case r.URL.Path == baidu.PathToken:
			return 200, `{"access_token":"SECRETTOKEN"}`
		case r.URL.Path == baidu.PathSimple:
			return 502, "<html>"
		}
		return 200, `{"success":false,"log_id":"1"}`
	})
	c := &baidu.Client{Base: srv.URL}
	if _, err := c.Simple(t.Context(), "VT"); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("a proxy's page: got %v, want an error that names the status", err)
	}
	if _, err := c.Stat(t.Context(), "VT"); err == nil {
		t.Error("success false without a code: got no error")
	}
	srv.Close()
	if _, err := c.Simple(t.Context(), "VT"); err == nil || strings.Contains(err.Error(), "SECRETTOKEN") {
		t.Errorf("no server: got %v, want an error without the access token", err)
	}
}

func TestTokenRefusalIsTyped(t *testing.T) {
	t.Parallel()
	srv, _ := script(t, func(int64, *http.Request, string) (int, string) {
		return 401, `{"error":"invalid_client","error_description":"unknown client id"}`
	})
	_, err := (&baidu.Client{Base: srv.URL}).AccessToken(t.Context())
	var e *baidu.TokenError
	if !errors.As(err, &e) || e.Kind != "invalid_client" {
		t.Errorf("got %v, want *TokenError invalid_client", err)
	}
}

func TestClientBoundsReplies(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := bytes.Repeat([]byte("a"), 1<<20)
		for range 20 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	if _, _, err := (&baidu.Client{}).Image(t.Context(), srv.URL); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("20 MiB for an image: got %v, want a refusal", err)
	}
}

func TestH5URL(t *testing.T) {
	t.Parallel()
	got := baidu.H5URL("https://id.example.com", "VT", "https://a.example/ok?x=1&y=2", "")
	want := "https://id.example.com/face/print/?token=VT&successUrl=https%3A%2F%2Fa.example%2Fok%3Fx%3D1%26y%3D2"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzParseSignature(f *testing.F) {
	f.Add("bce-auth-v1/ak0123456789/2026-11-21T19:26:21Z/1800/content-type;host/" + strings.Repeat("a", 64))
	f.Add("bce-auth-v1/////")
	f.Fuzz(func(t *testing.T, header string) {
		s, err := baidu.ParseSignature(header)
		if err != nil {
			return
		}
		r := httptest.NewRequest("POST", "/x?a=1", nil)
		if s.Verify(r, "a secret that the text does not know", s.At) == nil {
			t.Errorf("%q verifies against an unknown secret", header)
		}
	})
}

func FuzzParseAccessToken(f *testing.F) {
	f.Add("24.6c5e1ff1010203000000000000000078.2592000.1485516651.282335-8574074")
	f.Fuzz(func(t *testing.T, text string) {
		if tok, err := baidu.ParseAccessToken(text); err == nil && tok.String() != text {
			t.Errorf("%q parses and is written as %q", text, tok)
		}
	})
}
