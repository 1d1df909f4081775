package baidu

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	bceauth "github.com/baidubce/bce-sdk-go/auth"
	bcehttp "github.com/baidubce/bce-sdk-go/http"

	api "shiren/api/baidu"
	"shiren/internal/ekyc"
	gateway "shiren/internal/gateway/baidu"
	"shiren/internal/testkit"
)

// TestMain keeps the kits' evidence files in memory where the system offers that.
func TestMain(m *testing.M) {
	const memory = "/dev/shm"
	if d, err := os.MkdirTemp(memory, "conformance-baidu-"); err == nil {
		_ = os.Setenv("TMPDIR", d)
		code := m.Run()
		_ = os.RemoveAll(d)
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// serve runs the world's gateway on a real connection, naming itself in links.
func (w *world) serve() *httptest.Server {
	srv := httptest.NewServer(gateway.New(w.Service, gateway.Config{Now: w.Clock.Now, Log: w.Log}))
	w.T.Cleanup(srv.Close)
	return srv
}

func wantCode(t *testing.T, doing string, err error, want api.Code) {
	t.Helper()
	var e *api.Error
	if !errors.As(err, &e) || e.Code != want {
		t.Errorf("%s: got %v, want error %d", doing, err, want)
	}
	if e != nil && e.LogID == "" {
		t.Errorf("%s: the refusal has no log_id", doing)
	}
}

// A relying party's whole day, by the Go client, with either authentication: the five
// result interfaces agree.
func TestRelyingPartyWithTheGoClient(t *testing.T) {
	for _, auth := range []string{"access token", "signature"} {
		t.Run(auth, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			srv := w.serve()
			c := &api.Client{Base: srv.URL, Key: w.App.Key, Secret: string(w.App.Secret)}
			if auth == "signature" {
				c.SignedAt = w.Clock.Now
			}
			ctx := t.Context()
			portrait := testkit.Photo(testkit.Face{Person: "zhang", Width: 800, Height: 600})

			vt, err := c.Generate(ctx, api.GenerateRequest{PlanID: "5", RedirectConfig: &api.RedirectConfig{SuccessURL: "https://a.example/ok"}})
			w.Must(err)
			tok := ekyc.Token(vt)
			_, err = c.Detail(ctx, vt)
			wantCode(t, "detail before the page was opened", err, api.NotStarted)
			w.Must(c.UploadMatchImage(ctx, api.UploadRequest{VerifyToken: vt, Image: portrait, QualityControl: api.ControlLow}))
			if ses, err := w.Attend(ctx, tok); err != nil || ses.Redirect.Success != "https://a.example/ok" {
				t.Errorf("the session's redirect: got %+v, %v, want the one that was asked for", ses.Redirect, err)
			}
			_, err = w.Walk(tok, testkit.Face{Person: "zhang"})
			w.Must(err)

			simple, err := c.Simple(ctx, vt)
			w.Must(err)
			detail, err := c.Detail(ctx, vt)
			w.Must(err)
			stat, err := c.Stat(ctx, vt)
			w.Must(err)
			media, err := c.Media(ctx, vt)
			w.Must(err)
			all, err := c.GetAll(ctx, vt)
			w.Must(err)
			if len(all.VerifyResult) != 1 || !all.VerifyResult[0].IsVerifyPassed || *all.VerifyResult[0].VerifyDetail.Score != detail.VerifyResult.Score {
				t.Errorf("getall %+v and detail %+v do not agree", all.VerifyResult, detail)
			}
			if all.VerifyResult[0].VerifyDetail.FaceImage != simple.Image {
				t.Errorf("getall's face %s is not simple's %s", all.VerifyResult[0].VerifyDetail.FaceImage, simple.Image)
			}
			if len(stat.Verify) != 1 || int(stat.Verify[0].Count) != all.MatchChargeCount {
				t.Errorf("stat %+v and %d charges do not agree", stat.Verify, all.MatchChargeCount)
			}
			if len(media.Images) != 4 || media.Video != nil || media.ProcessVideo != nil || media.ExtInfo != nil {
				t.Errorf("media: got %+v, want four images and no video", media)
			}
			seen := map[string]bool{}
			for _, link := range append(media.Images, simple.Image) {
				image, kind, err := c.Image(ctx, link)
				if err != nil || kind != "image/jpeg" || !bytes.Contains(image, []byte(`"zhang"`)) {
					t.Errorf("image: got %d bytes of %s, %v, want the face", len(image), kind, err)
				}
				seen[string(image)] = true
			}
			if len(seen) != 4 {
				t.Errorf("the links show %d different images, want 4, one of them twice", len(seen))
			}

			wantCode(t, "a reference after the end", c.UploadMatchImage(ctx, api.UploadRequest{VerifyToken: vt, Image: portrait}), api.VerifyTokenInvalid)
			other := &api.Client{Base: srv.URL, Key: w.Other.Key, Secret: string(w.Other.Secret)}
			_, err = other.Detail(ctx, vt)
			wantCode(t, "another app's client", err, api.VerifyTokenInvalid)

			w.Clock.Advance(24 * time.Hour)
			_, err = c.Media(ctx, vt)
			wantCode(t, "media after a day", err, api.VerifyTokenInvalid)
			_, _, err = c.Image(ctx, media.Images[0])
			wantCode(t, "a media link after a day", err, api.VerifyTokenInvalid)
			if _, _, err = c.Image(ctx, simple.Image); err != nil {
				t.Errorf("the face after a day: %v, want it for three", err)
			}
			w.Clock.Advance(48 * time.Hour)
			_, err = c.Detail(ctx, vt)
			wantCode(t, "detail after three days", err, api.VerifyTokenInvalid)
			_, _, err = c.Image(ctx, simple.Image)
			wantCode(t, "the face after three days", err, api.VerifyTokenInvalid)

			w.Clock.Advance(28 * 24 * time.Hour) // the access token ends; the client gets another
			_, err = c.Generate(ctx, api.GenerateRequest{PlanID: "1"})
			w.Must(err)

			m, err := c.MatchV4(ctx, api.MatchRequest{Image: portrait, RegisterImage: testkit.Photo(testkit.Face{Person: "li"})})
			if err != nil || m.Score >= 80 {
				t.Errorf("two people: got %v, %v, want a score below 80", m.Score, err)
			}
			m, err = c.MatchV3(ctx, api.MatchPicture{Image: portrait}, api.MatchPicture{Image: portrait})
			if err != nil || m.Score != 100 || m.FaceList[0] != m.FaceList[1] {
				t.Errorf("one image twice: got %+v, %v, want 100 and one face token", m, err)
			}
			for secret, what := range map[string]string{vt: "verify token", string(w.App.Secret): "secret", `"zhang"`: "image"} {
				if strings.Contains(w.Logs.String(), secret) {
					t.Errorf("the log holds the %s", what)
				}
			}
		})
	}
}

func TestDeclaredIdentityWithTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &api.Client{Base: w.serve().URL, Key: w.App.Key, Secret: string(w.App.Secret)}
	w.Authority.Add("110101199003070134", "张三", testkit.Photo(testkit.Face{Person: "zhang"}))
	vt, err := c.Generate(t.Context(), api.GenerateRequest{PlanID: "3"})
	w.Must(err)
	w.Must(c.SubmitIDCard(t.Context(), api.SubmitRequest{VerifyToken: vt, IDName: "张三", IDNo: "110101199003070134"}))
	_, err = w.Walk(ekyc.Token(vt), testkit.Face{Person: "zhang"})
	w.Must(err)
	d, err := c.Detail(t.Context(), vt)
	if err != nil || d.IDCardConfirm == nil || d.IDCardConfirm.Name != "张三" || d.IDCardConfirm.IDCardNumber != "110101199003070134" {
		t.Errorf("got %+v, %v, want the identity whole: the relying party gave it", d.IDCardConfirm, err)
	}
	for _, s := range []string{"张三", "110101199003070134", "19900307"} {
		if strings.Contains(w.Logs.String(), s) {
			t.Errorf("the log holds %s", s)
		}
	}
}

// A plan with OCR from token to result, and the direct interface, by the Go client.
func TestDocumentsWithTheGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &api.Client{Base: w.serve().URL, Key: w.App.Key, Secret: string(w.App.Secret)}
	front := testkit.Card{Name: "赵六", Number: "11010519491231002X", Nation: "汉", Address: "某省某市", Person: "zhao"}
	vt, err := c.Generate(t.Context(), api.GenerateRequest{PlanID: "10"})
	w.Must(err)
	tok := ekyc.Token(vt)
	w.card(tok, front)
	w.Must(w.ConfirmCard(w.Ctx, tok, nil))
	_, err = w.Walk(tok, testkit.Face{Person: "zhao"})
	w.Must(err)
	d, err := c.Detail(t.Context(), vt)
	w.Must(err)
	all, err := c.GetAll(t.Context(), vt)
	w.Must(err)
	if len(all.VerifyResult) != 1 || all.OCRChargeCount != 1 || all.VerifyResult[0].OCR() == nil || all.VerifyResult[0].OCR().Name != d.IDCardOCR.Name {
		t.Fatalf("getall %+v and detail %+v do not agree", all, d.IDCardOCR)
	}
	image, kind, err := c.Image(t.Context(), all.VerifyResult[0].IDCardImages.FrontImage)
	if err != nil || kind != "image/jpeg" || !bytes.Equal(image, d.IDCardImages.FrontBase64) {
		t.Errorf("the front at the link: %d bytes of %s, %v, want those of detail", len(image), kind, err)
	}
	stat, err := c.Stat(t.Context(), vt)
	if err != nil || len(stat.OCR) != 1 || int(stat.OCR[0].Count) != all.VerifyResult[0].OCRCount {
		t.Errorf("stat %+v, %v, and getall's ocr_count do not agree", stat.OCR, err)
	}

	r, err := c.IDCard(t.Context(), api.IDCardRequest{Image: testkit.CardPhoto(front), Side: api.SideFront, DetectRisk: true, DetectCard: true, DetectPhoto: true})
	if err != nil || r.WordsResult[api.WordName].Words != "赵六" || r.WordsResultNum != 6 || *r.IDCardNumberType != api.NumberAgrees ||
		r.RiskType != api.RiskUnknown || len(r.CardImage) == 0 || r.CardLocation == nil || len(r.Photo) == 0 || r.LogID == 0 {
		t.Errorf("the direct interface: got %+v, %v", r, err)
	}
	_, err = c.IDCard(t.Context(), api.IDCardRequest{Image: []byte("no picture"), Side: api.SideFront})
	wantCode(t, "no picture", err, api.ImageFormatError)
	for _, s := range []string{"赵六", "11010519491231002X", "某省某市"} {
		if strings.Contains(w.Logs.String(), s) {
			t.Errorf("the log holds %s", s)
		}
	}
}

// A link opens one image of one session until its time, and nothing else.
func TestLinksCannotBeBent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := w.serve()
	c := &api.Client{Base: srv.URL, Key: w.App.Key, Secret: string(w.App.Secret)}
	links := map[string]*url.URL{}
	for _, name := range []string{"A", "B"} {
		w.Given("open 5 " + name)
		w.Given("enrol " + name + " zhang")
		w.Given("walk " + name + ` {"Person":"zhang"}`)
		s, err := c.Simple(t.Context(), string(w.token(name)))
		w.Must(err)
		links[name], err = url.Parse(s.Image)
		w.Must(err)
	}
	a, b := links["A"].Query(), links["B"].Query()
	for name, change := range map[string][2]string{
		"another session": {"verify_token", b.Get("verify_token")}, "another image": {"image", b.Get("image")},
		"a later end": {"expires", "9999999999"}, "another signature": {"sign", b.Get("sign")}, "no end": {"expires", ""},
		"no image": {"image", ""},
	} {
		q := url.Values{}
		for k, v := range a {
			q[k] = v
		}
		q.Set(change[0], change[1])
		u := *links["A"]
		u.RawQuery = q.Encode()
		resp, err := http.Get(u.String())
		w.Must(err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got HTTP %d, want 404", name, resp.StatusCode)
		}
	}
	resp, err := http.Get(links["A"].String())
	w.Must(err)
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "private, no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the link as it is: got HTTP %d, %v, want 200, kept nowhere, not sniffed", resp.StatusCode, resp.Header)
	}
}

// Refusals of an image that is too large come before the image does.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := w.serve()
	w.Given("open 2 T")
	body := fmt.Sprintf(`{"verify_token":%q,"image":%q}`, w.Vars["$T"], strings.Repeat("QUJD", 1<<18))
	for name, c := range map[string]struct {
		query string
		goOn  bool
	}{"authenticated": {"access_token=" + w.Vars["$ACCESS"], true}, "forged": {"access_token=24.x", false}} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		w.Must(err)
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s?%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", api.PathUploadMatch, c.query, len(body))
		r := bufio.NewReader(conn)
		first, err := r.ReadString('\n')
		w.Must(err)
		if got := strings.Contains(first, "100"); got != c.goOn {
			t.Errorf("%s: first line %q; asked to go on: %v, want %v", name, first, got, c.goOn)
		}
		if c.goOn {
			_, err = io.Copy(conn, strings.NewReader(body))
			w.Must(err)
			_, _ = r.ReadString('\n')
			resp, err := http.ReadResponse(r, nil)
			w.Must(err)
			text, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != 200 || !bytes.Contains(text, []byte("222203")) {
				t.Errorf("%s: got HTTP %d %s, want 200 and 222203: the bytes are no image", name, resp.StatusCode, text)
			}
		}
	}
}

// The official Go signer as a client: its requests are accepted, and with a token too.
func TestOfficialGoSigner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	srv := w.serve()
	for name, params := range map[string]map[string]string{
		"signature":           {"charset": "UTF-8"},
		"token and signature": {"charset": "UTF-8", "access_token": w.Vars["$ACCESS"]},
	} {
		body := `{"plan_id":1}`
		req := &bcehttp.Request{}
		req.SetMethod("POST")
		req.SetUri(api.PathGenerate)
		req.SetParams(params)
		req.SetHeaders(map[string]string{"Host": "aip.baidubce.com", "Content-Type": "application/json;charset=utf-8"})
		(&bceauth.BceV1Signer{}).Sign(req, &bceauth.BceCredentials{AccessKeyId: w.App.Key, SecretAccessKey: string(w.App.Secret)},
			&bceauth.SignOptions{HeadersToSign: map[string]struct{}{"host": {}, "content-type": {}}, Timestamp: w.Clock.Now().Unix(), ExpireSeconds: 1800})
		q := url.Values{}
		for k, v := range params {
			q.Set(k, v)
		}
		out, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL+api.PathGenerate+"?"+q.Encode(), strings.NewReader(body))
		w.Must(err)
		out.Host = "aip.baidubce.com"
		for k, v := range req.Headers() {
			out.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(out)
		w.Must(err)
		var got api.Reply[api.GenerateResult]
		err = json.NewDecoder(resp.Body).Decode(&got)
		resp.Body.Close()
		if err != nil || !got.Success || len(got.Result.VerifyToken) != 24 {
			t.Errorf("%s: got %+v, %v, want a verify token", name, got, err)
		}
	}
}

var (
	captureTime  = regexp.MustCompile(`bce-auth-v1/[^/]+/([^/]+)/`)
	captureToken = regexp.MustCompile(`24\.[0-9a-f]{32}\.2592000\.\d+\.282335-\d+`)
)

// Requests captured from official SDKs, byte for byte: signed ones at the time of their
// signature, the others with an access token of this server in place of theirs.
func TestCapturedRequests(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "captures", "*.http"))
	var ours []string
	for _, f := range files {
		if b := filepath.Base(f); strings.HasPrefix(b, "node-") || strings.HasPrefix(b, "gobcesdk-") {
			ours = append(ours, f)
		}
	}
	if len(ours) == 0 {
		t.Skip("no captured requests beside the repository (../shared/captures): their replay is left out")
	}
	want := func(path string) api.Code {
		switch path {
		case api.PathGenerate:
			return api.OK
		case api.PathIDCard:
			return api.VerifyTokenInvalid // their verify token is "T"
		case api.PathOCR:
			return api.ImageFormatError // likewise
		case api.PathMatchV3, api.PathMatchV4, api.PathVerifyV3, api.PathVerifyV4:
			return api.ImageCheckFail // their image is the first bytes of a JPEG
		}
		return api.UnsupportedMethod // interfaces that are not served
	}
	for _, file := range ours {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".http"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			raw, err := os.ReadFile(file)
			w.Must(err)
			if m := captureTime.FindSubmatch(raw); m != nil {
				at, err := time.Parse(time.RFC3339, string(m[1]))
				w.Must(err)
				w.Clock.Set(at.Add(time.Minute))
			}
			raw = captureToken.ReplaceAllLiteral(raw, []byte(w.Vars["$ACCESS"]))
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			w.Must(err)
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r.WithContext(context.Background()))
			if r.URL.Path == api.PathToken {
				var got api.TokenReply
				if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || !access.MatchString(got.AccessToken) {
					t.Errorf("got %s, want an access token", rec.Body)
				}
				return
			}
			var got struct {
				ErrorCode api.Code `json:"error_code"`
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 200 || got.ErrorCode != want(r.URL.Path) {
				t.Errorf("got HTTP %d %s, want 200 and %d", rec.Code, rec.Body, want(r.URL.Path))
			}
		})
	}
}
