package baidu

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// An app in test mode can bring about every code of the table: the scheme's by a magic
// identity, then the result; a single interface's by a magic picture.
func TestSandboxReachesEveryCode(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	k.App.Test = true
	k.PutApp(k.App)
	h := New(k.Service, Config{BaseURL: "http://x", Now: k.Clock.Now, Log: k.Log})
	g, err := k.Grant(k.Ctx, k.App.Key, string(k.App.Secret))
	if err != nil {
		t.Fatal(err)
	}
	access := baidu.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}.String()
	call := func(path string, message any) (code baidu.Code) {
		b, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, path+"?access_token="+access, strings.NewReader(string(b))))
		var reply struct {
			Code baidu.Code `json:"error_code"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &reply); err != nil {
			t.Fatal(err)
		}
		return reply.Code
	}
	scheme, rest := map[baidu.Code]bool{}, map[baidu.Code]bool{}
	for _, c := range ekyc.SandboxCases() {
		vt := string(k.OpenPlan("3").Token)
		code := call(baidu.PathIDCard, baidu.SubmitRequest{VerifyToken: vt, IDName: "测试", IDNo: string(c.Number)})
		if code == baidu.OK {
			code = call(baidu.PathDetail, baidu.TokenRequest{VerifyToken: vt})
		}
		scheme[code] = true
		if want := codes[c.Code].scheme; c.Code != ekyc.OK && code != want {
			t.Errorf("%s: got %d, want %d", c.Name, code, want)
		}
		picture := ekyc.SandboxPicture(c.Name)
		rest[call(baidu.PathMatchV4, baidu.MatchRequest{Image: picture, RegisterImage: picture, ImageType: baidu.Base64, RegisterImageType: baidu.Base64})] = true
	}
	for c, e := range codes {
		if !scheme[e.scheme] {
			t.Errorf("%s: code %d of the scheme cannot be brought about", c, e.scheme)
		}
		if !rest[e.rest] && c != ekyc.NonMatch { // a score, in these interfaces
			t.Errorf("%s: code %d of the single interfaces cannot be brought about", c, e.rest)
		}
	}
}
