package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	bd "shiren/api/baidu"
	hw "shiren/api/huawei"
	jh "shiren/api/juhe"
	"shiren/internal/ekyc"
	"shiren/internal/gateway/baidu"
	"shiren/internal/gateway/huawei"
	"shiren/internal/gateway/juhe"
	"shiren/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite docs/sandbox.md")

const document = "../../docs/sandbox.md"

// head is the document before its table.
const head = `# Test mode

An app in test mode gets a scripted answer for each identity and picture listed here, so that a client can be tried
against every documented code without a camera, without people and without cost. Put an app into it with

` + "```console" + `
$ bin/shiren app set ID --test --test-total 1000
` + "```" + `

or with ` + "`test = true`" + ` in ` + "`shiren.toml`" + `. What holds then:

- **Nothing real is mixed in.** The app's calls never reach the registry or another source: an identity that is not listed
  is in no record, whoever it belongs to. Magic identities of an app that is not in test mode are numbers like any other.
- **Everything is marked.** Sessions, records of direct calls and charges carry a mark; such charges are listed, so that
  ` + "`getall`" + ` looks as it will, but count in no total and no quota. ` + "`test_total`" + ` limits the app's calls.
- **No number can belong to anybody.** All begin with a region code from 990000 up, which GB/T 2260 gives to no place, and
  their check characters fit, so that clients accept them. Any name goes with them, and any mobile number.
- **No camera is needed.** Declare a magic identity, or upload a magic picture, and ask for the result: where nobody went
  through the page, the attempt is made then. Whoever does go through the page is answered the same; what the camera showed
  is neither judged nor kept, and the face that the results show is the magic picture.
- A session with neither is a real one on the developer's own face, marked, except that no authority is asked.
- Comparing two pictures is scripted if one of them is magic; others are really compared, as they are in nobody's records.

A magic picture is a JPEG of one grey block with the answer's name in its comment:

` + "```console" + `
$ bin/shiren sandbox list
$ bin/shiren sandbox picture no_face -o no_face.jpg
` + "```" + `

What each protocol answers. *Name* is that of the picture, too. **Juhe**: ` + "`res`" + ` of the four-element check, or its
` + "`error_code`" + `. **Baidu, identity**: of a plan with 权威人脸库比对, the ` + "`error_code`" + ` of ` + "`idcard/submit`" + `, or, after
"then", of ` + "`result/detail`" + `. **Baidu, upload**: the same of ` + "`uploadMatchImage`" + ` and ` + "`result/detail`" + `, for the picture.
**Baidu, match**: ` + "`mingjing/match`" + ` with the picture. **Huawei**: what ` + "`face-verification/preverify`" + ` answers (` + "`resultCode` and `subCode`" + `), or,
after "then", what somebody who went through the page gets: ` + "`face-verification/result`" + ` (` + "`verifyResult`" + `), or the code that the page
hands to the app in place of a result id. Only the page hands on a result id, so this one protocol needs a camera, before
which anything may be; the other columns need none.

The parameter errors of each protocol (Juhe 280101 to 280104, for instance) need no magic: send what they complain of.

| name | number | Juhe | Baidu, identity | Baidu, upload | Baidu, match | Huawei |
|---|---|---|---|---|---|---|
`

// world is an app in test mode with all gateways.
type world struct {
	*testkit.Kit
	baidu, juhe, huawei http.Handler
	access              string
	client              *hw.Client // of huawei
}

func newWorld(t *testing.T) *world {
	w := &world{Kit: testkit.New(t)}
	w.App.Test = true
	w.PutApp(w.App)
	w.baidu = baidu.New(w.Service, baidu.Config{BaseURL: "https://id.example.com", Now: w.Clock.Now, Log: w.Log})
	w.juhe = juhe.New(w.Service, juhe.Config{Now: w.Clock.Now, Log: w.Log})
	g, err := w.Grant(w.Ctx, w.App.Key, string(w.App.Secret))
	w.must(err)
	w.access = bd.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}.String()
	w.huawei = huawei.New(w.Service, huawei.Config{Now: w.Clock.Now, Rand: rand.Reader, Log: w.Log})
	key := func(id string, use ekyc.KeyUse, ours bool) *hw.PrivateKey {
		k, err := hw.GenerateKey(rand.Reader)
		w.must(err)
		spki, err := k.Public().SPKI()
		w.must(err)
		a := ekyc.AppKey{App: w.App.ID, ID: id, Use: use, Ours: ours, Public: spki, Created: w.Clock.Now()}
		if ours {
			der, err := k.PKCS8()
			w.must(err)
			a.Private = ekyc.Secret(base64.StdEncoding.EncodeToString(der))
		}
		w.must(w.Kept.PutAppKey(w.Ctx, a))
		return k
	}
	w.client = &hw.Client{
		Base: "http://x", ClientID: string(w.App.ID), ClientSecret: string(w.App.Secret),
		SignKeyID: "DEV_SIGN", SignKey: key("DEV_SIGN", ekyc.KeySign, false),
		PlatformSignKeyID: "PP_SIGN", PlatformSignKey: key("PP_SIGN", ekyc.KeySign, true).Public(),
		EncKeyID: "DEV_ENC", EncKey: key("DEV_ENC", ekyc.KeyEncrypt, false),
		PlatformEncKeyID: "PP_ENC", PlatformEncKey: key("PP_ENC", ekyc.KeyEncrypt, true).Public(),
		Now: w.Clock.Now, Rand: rand.Reader, HTTP: &http.Client{Transport: w},
	}
	return w
}

// RoundTrip serves Huawei's client without a network.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	w.huawei.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// realName is what Huawei's face real-name service answers of a user whose identity is magic.
func (w *world) realName(c ekyc.SandboxCase) string {
	w.T.Helper()
	user := "user of " + c.Name
	id, err := w.client.FacePreverify(w.Ctx, user, "测试", string(c.Number))
	var refusal *hw.Error
	if errors.As(err, &refusal) {
		return strings.TrimSpace(refusal.Result + " " + refusal.Sub)
	}
	w.must(err)
	// What the page shows of cases without an attempt is in what it hands on.
	_, _ = w.Walk(ekyc.Token(id), testkit.Face{Person: "anybody"})
	ses, err := w.Attend(w.Ctx, ekyc.Token(id))
	w.must(err)
	var a *ekyc.Attempt
	if n := len(ses.Attempts); n > 0 {
		a = &ses.Attempts[n-1]
	}
	handed := huawei.Onward(w.Service)(&ses, a, "").Params
	receipt, ok := handed["verifyResultId"]
	if !ok {
		return "then " + handed["code"]
	}
	matches, err := w.client.FaceResult(w.Ctx, receipt, user)
	w.must(err)
	return fmt.Sprintf("then %v", matches)
}

func (w *world) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// call posts a body and reads what every reply may hold.
func (w *world) call(h http.Handler, path, body string) (r struct {
	Code   int `json:"error_code"`
	Result json.RawMessage
},
) {
	w.T.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	if rec.Code != http.StatusOK {
		w.T.Fatalf("%s: HTTP %d", path, rec.Code)
	}
	w.must(json.Unmarshal(rec.Body.Bytes(), &r))
	return r
}

func (w *world) askBaidu(path string, message any) (code int, result json.RawMessage) {
	w.T.Helper()
	b, err := json.Marshal(message)
	w.must(err)
	r := w.call(w.baidu, path+"?access_token="+w.access, string(b))
	return r.Code, r.Result
}

// elements is what Juhe's check answers.
func (w *world) elements(c ekyc.SandboxCase) string {
	form := url.Values{
		"key": {string(w.App.Bearer)}, "realname": {"测试"}, "idcard": {string(c.Number)}, "mobile": {"13800138000"}, "image": {"QQ=="},
	}
	r := w.call(w.juhe, jh.PathQuery, form.Encode())
	if r.Code != 0 {
		return fmt.Sprintf("error %d", r.Code)
	}
	var one jh.Result
	w.must(json.Unmarshal(r.Result, &one))
	s := fmt.Sprintf("res %d", one.Res)
	if one.Score > 0 {
		s += fmt.Sprintf(", score %.1f", one.Score)
	}
	if one.Type != "" && c.Code == ekyc.OK {
		s += ", " + one.Type
	}
	return s
}

// session is what an H5 session answers whose identity or picture is magic.
func (w *world) session(plan ekyc.PlanID, path string, message func(token string) any) string {
	token := string(w.OpenPlan(plan).Token)
	if code, _ := w.askBaidu(path, message(token)); code != 0 {
		return fmt.Sprint(code)
	}
	code, result := w.askBaidu(bd.PathDetail, bd.TokenRequest{VerifyToken: token})
	if code != 0 {
		return fmt.Sprintf("then %d", code)
	}
	var d bd.DetailResult
	w.must(json.Unmarshal(result, &d))
	return fmt.Sprintf("then passed, score %v", d.VerifyResult.Score)
}

func (w *world) row(c ekyc.SandboxCase) string {
	picture := ekyc.SandboxPicture(c.Name)
	identity := w.session("3", bd.PathIDCard, func(t string) any {
		return bd.SubmitRequest{VerifyToken: t, IDName: "测试", IDNo: string(c.Number)}
	})
	upload := w.session("2", bd.PathUploadMatch, func(t string) any {
		return map[string]string{"verify_token": t, "image": base64.StdEncoding.EncodeToString(picture)}
	})
	code, result := w.askBaidu(bd.PathMatchV4, bd.MatchRequest{Image: picture, ImageType: bd.Base64, RegisterImage: picture, RegisterImageType: bd.Base64})
	match := fmt.Sprint(code)
	if code == 0 {
		var m bd.MatchResult
		w.must(json.Unmarshal(result, &m))
		match = fmt.Sprintf("score %v", m.Score)
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s | %s |\n", c.Name, string(c.Number), w.elements(c), identity, upload, match, w.realName(c))
}

func TestDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var b strings.Builder
	b.WriteString(head)
	for _, c := range ekyc.SandboxCases() {
		b.WriteString(w.row(c))
	}
	if *update {
		w.must(os.WriteFile(document, []byte(b.String()), 0o644))
		return
	}
	have, err := os.ReadFile(document)
	w.must(err)
	if string(have) != b.String() {
		want := strings.Split(b.String(), "\n")
		for i, line := range strings.Split(string(have), "\n") {
			if i >= len(want) || line != want[i] {
				t.Fatalf("docs/sandbox.md, line %d: %q is not so; run go test ./conformance/sandbox -update", i+1, line)
			}
		}
		t.Fatal("docs/sandbox.md is too short; run go test ./conformance/sandbox -update")
	}
	// Every documented code of the four-element check but those of bad parameters is there.
	for _, c := range jh.Codes() {
		if said := fmt.Sprintf("error %d ", c); c < jh.ParamEmpty && !strings.Contains(b.String(), said) {
			t.Errorf("no magic identity is answered error %d", c)
		}
	}
	for r := jh.AllMatch; r <= jh.IdentityUncheckedMobileBad; r++ {
		if !strings.Contains(b.String(), fmt.Sprintf("res %d", r)) {
			t.Errorf("no magic identity is answered res %d", r)
		}
	}
	// Of Huawei's those that depend on who somebody is, or on what the camera saw.
	for _, said := range []string{
		"then true", "then false", hw.NotCertified.Sub, hw.RareCharacters.Sub, "then " + string(hw.AppNotLive), "then " + string(hw.AppCameraRefused),
		"then " + string(hw.AppCancelled), "then " + string(hw.AppInternal),
	} {
		if !strings.Contains(b.String(), said) {
			t.Errorf("no magic identity is answered %s", said)
		}
	}
}
