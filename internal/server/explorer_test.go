package server_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"shiren/internal/ekyc"
	"shiren/internal/explorer"
	"shiren/internal/server"
	"shiren/internal/testkit"
)

const explorerConfig = `
listen = "127.0.0.1:0"
[[app]]
id = "100001"
name = "sandbox"
key = "akSandbox"
secret = "skSandboxSecret"
bearer_key = "be0123456789abcdef0123456789abcd"
test = true
[[app]]
id = "100002"
name = "live"
key = "akLive0000"
secret = "skLiveSecret"
[[plan]]
id = "declared"
app = "100001"
name = "declared"
comparison = "authority"
identity = "declared"
`

// integrator is a browser in which an integrator has signed in, beside the administrator's.
func integrator(t *testing.T, s *server.Server, base string) (b, admin *browser) {
	t.Helper()
	link, err := s.Operators.FirstLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	admin, b = newBrowser(t, base, http.DefaultClient), newBrowser(t, base, http.DefaultClient)
	admin.ok("POST", "/access/begin", `{"link":"`+link+`","name":"boss","password":"`+strong+`"}`)
	path, _ := admin.ok("POST", "/accounts", `{"name":"developer","role":"integrator"}`)["path"].(string)
	b.ok("POST", "/access/begin", `{"link":"`+strings.TrimPrefix(path, "/console/begin#")+`","password":"`+strong+`"}`)
	return b, admin
}

// TestExplorer tries interfaces of all vendors as an integrator, with what a role may not do.
func TestExplorer(t *testing.T) {
	t.Parallel()
	o, _, logs := options(t, explorerConfig)
	o.PasswordCost, o.Cards = cheap, &testkit.CardReader{}
	s := build(t, o)
	srv := httptest.NewServer(s.Handler)
	t.Cleanup(srv.Close)
	b, admin := integrator(t, s, srv.URL)

	var told strings.Builder // all that the page was told
	send := func(b *browser, name, app, auth string, fields any, more string) map[string]any {
		t.Helper()
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		status, v, _ := b.call("POST", "/explorer/send", fmt.Sprintf(`{"interface":%q,"app":%q,"auth":%q,"fields":%s%s}`, name, app, auth, text, more))
		said, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		told.Write(said)
		if status != http.StatusOK {
			return v
		}
		body, _ := v["answer"].(map[string]any)["body"].(string)
		var answer map[string]any
		if json.Unmarshal([]byte(body), &answer) != nil {
			t.Fatalf("%s: no JSON: %v", name, v)
		}
		answer["exchange"] = v
		return answer
	}
	type fields = map[string]any
	number := func(name string) string {
		list := ekyc.SandboxCases()
		return string(list[slices.IndexFunc(list, func(c ekyc.SandboxCase) bool { return c.Name == name })].Number)
	}
	match := number("match-match-match")
	picture := base64.StdEncoding.EncodeToString(ekyc.SandboxPicture("match-match-match"))

	apps, _ := b.ok("GET", "/explorer/apps", "")["items"].([]any)
	if len(apps) != 2 {
		t.Fatalf("apps: %v", apps)
	}
	first, second := apps[0].(map[string]any), apps[1].(map[string]any)
	if first["usable"] != true || first["signs"] != false || first["bearer"] != true || len(first["plans"].([]any)) != 1 || second["usable"] != false {
		t.Errorf("apps: %v", apps)
	}
	if list, _ := b.ok("GET", "/explorer/interfaces", "")["interfaces"].([]any); len(list) != len(explorer.Interfaces()) {
		t.Errorf("%d interfaces", len(list))
	}
	if list, _ := b.ok("GET", "/explorer/cases", "")["items"].([]any); len(list) != len(ekyc.SandboxCases()) {
		t.Errorf("%d cases", len(list))
	}
	if status, _, head := b.call("GET", "/explorer/cases/picture?name=no_face", ""); status != http.StatusOK || head.Get("Content-Type") != "image/jpeg" {
		t.Errorf("a picture: status %d, %v", status, head)
	}
	if code := b.code("GET", "/explorer/cases/picture?name=../x", ""); code != "absent" {
		t.Errorf("a picture of no case: %q", code)
	}
	if v := b.ok("GET", "/explorer/samples?interface=baidu.generate&language=python&auth=bce", ""); v["file"] != "sample.py" || !strings.Contains(v["text"].(string), srv.URL) {
		t.Errorf("a sample: %v", v)
	}
	if code := b.code("GET", "/explorer/samples?interface=baidu.generate&language=cobol", ""); code != "invalid" {
		t.Errorf("a sample in no language: %q", code)
	}

	// A verification of Baidu's from token to result, in either way to authenticate.
	if v := send(b, "baidu.token", "100001", "none", fields{"grant_type": "client_credentials"}, ""); v["access_token"] != "********" || v["expires_in"] != 2592000.0 {
		t.Errorf("token: %v", v)
	}
	for _, auth := range []string{"access_token", "bce"} {
		v := send(b, "baidu.generate", "100001", auth, fields{"plan_id": "declared", "redirect_config": fields{"success_url": "https://a.example/?x=1&y=2"}}, "")
		result, _ := v["result"].(map[string]any)
		token, _ := result["verify_token"].(string)
		if token == "" {
			t.Fatalf("generate: %v", v)
		}
		signed, _ := v["exchange"].(map[string]any)["signed"].([]any)
		if auth == "bce" && (len(signed) != 1 || !strings.HasPrefix(signed[0].(map[string]any)["text"].(string), "POST\n/rpc/2.0/brain/solution/faceprint/verifyToken/generate\n\ncontent-type:")) {
			t.Errorf("signed: %v", signed)
		}
		if v := send(b, "baidu.idcard", "100001", auth, fields{"verify_token": token, "id_name": "测试", "id_no": match, "certificate_type": 0}, ""); v["result"] != 1.0 {
			t.Errorf("idcard: %v", v)
		}
		if v := send(b, "baidu.detail", "100001", auth, fields{"verify_token": token}, ""); v["success"] != true {
			t.Errorf("detail: %v", v)
		}
		if v := send(b, "baidu.match_v3", "100001", auth, fields{"0": fields{"image": picture, "image_type": "BASE64"}, "1": fields{"image": picture, "image_type": "BASE64"}}, ""); v["error_code"] != 0.0 {
			t.Errorf("match: %v", v)
		}
	}
	if v := send(b, "baidu.ocr", "100001", "access_token", fields{"image": base64.StdEncoding.EncodeToString(ekyc.SandboxPicture("document_none")), "id_card_side": "front"}, ""); v["error_code"] != 216633.0 {
		t.Errorf("ocr: %v", v)
	}
	if v := send(b, "juhe.query", "100001", "key", fields{"realname": "测试", "idcard": match, "mobile": "13800138000", "image": picture}, ""); v["error_code"] != 0.0 {
		t.Errorf("juhe: %v", v)
	}

	// Huawei's, with a pair that is made here.
	person := fields{"credentialType": "01", "credentialIdNo": match, "realName": "测试", "openId": "user-1"}
	if v := send(b, "huawei.face_preverify", "100001", "paydevauth", person, ""); v["error"].(map[string]any)["code"] != "invalid" {
		t.Errorf("without keys: %v", v)
	}
	if made, _ := b.ok("POST", "/explorer/keys", `{"app":"100001"}`)["made"].([]any); len(made) != 4 {
		t.Errorf("made %v, want four pairs", made)
	}
	if made, _ := b.ok("POST", "/explorer/keys", `{"app":"100001"}`)["made"].([]any); len(made) != 0 {
		t.Errorf("made %v once more", made)
	}
	v := send(b, "huawei.face_preverify", "100001", "paydevauth", person, "")
	if v["resultCode"] != "000000" || v["preVerifyId"] == "" || v["sign"] == "" {
		t.Errorf("face_preverify: %v", v)
	}
	if signed, _ := v["exchange"].(map[string]any)["signed"].([]any); len(signed) != 2 || !strings.HasPrefix(signed[1].(map[string]any)["text"].(string), "accessToken=********&bodySign=") {
		t.Errorf("signed: %v", signed)
	}
	if code := b.code("POST", "/explorer/keys", `{"app":"100002"}`); code != "forbidden" {
		t.Errorf("keys of an app that is not in test mode: %q", code)
	}
	_, private, err := explorer.MakeKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreign := hex.EncodeToString(private)
	if v := send(b, "huawei.face_preverify", "100001", "paydevauth", person, `,"sign_key":"`+foreign+`","sign_key_id":"mine"`); v["subCode"] != "UNSUPPORTED_DEVELOPER_SIGN_KEY_ID" {
		t.Errorf("with another key: %v", v)
	}

	// What is not described, and what a role may not do.
	for want, x := range map[string]struct {
		b                      *browser
		name, app, auth, extra string
		fields                 any
	}{
		"absent":    {b, "baidu.nothing", "100001", "access_token", "", fields{}},
		"invalid":   {b, "baidu.generate", "100001", "access_token", "", fields{"nothing": 1}},
		"forbidden": {b, "baidu.generate", "100002", "access_token", "", fields{"plan_id": "1"}},
		"reason":    {admin, "baidu.generate", "100002", "access_token", "", fields{"plan_id": "1"}},
	} {
		v := send(x.b, x.name, x.app, x.auth, x.fields, x.extra)
		if e, _ := v["error"].(map[string]any); e["code"] != want {
			t.Errorf("%s with %s: %v, want %s", x.name, x.app, v, want)
		}
	}
	if v := send(b, "juhe.query", "100001", "bce", fields{}, ""); v["error"] == nil {
		t.Errorf("a way to authenticate that the interface does not take: %v", v)
	}
	if v := send(admin, "baidu.generate", "100002", "access_token", fields{"plan_id": "none"}, `,"reason":"a customer cannot begin"`); v["error_code"] != 283435.0 {
		t.Errorf("for an app that is not in test mode: %v", v)
	}
	journal, _ := admin.ok("GET", "/journal?action=explorer.", "")["items"].([]any)
	if last, _ := journal[0].(map[string]any); last["action"] != "explorer.send" || last["object"] != "100002" || last["reason"] != "a customer cannot begin" {
		t.Errorf("the journal's last entry: %v", last)
	}

	for _, token := range []string{`\b24\.[0-9a-f]{32}`, `\bDQEB\w{20}`} { // Baidu's, Petal Pay's
		if s := regexp.MustCompile(token).FindString(told.String()); s != "" {
			t.Errorf("the page was told an access token, %.12s…", s)
		}
	}
	for _, secret := range []string{"skSandboxSecret", "skLiveSecret", "be0123456789", foreign} {
		if n := strings.Index(told.String(), secret); n >= 0 {
			t.Errorf("the page was told %q: …%.200s", secret, told.String()[max(0, n-80):])
		}
		if strings.Contains(logs.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestOpenAPIIsServed(t *testing.T) {
	t.Parallel()
	o, _, _ := options(t, `public_url = "https://id.example.com"`)
	s := build(t, o)
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/openapi.json", nil))
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, %v, %v", w.Code, w.Header(), err)
	}
	if err := doc.Validate(t.Context()); err != nil || doc.Servers[0].URL != "https://id.example.com" {
		t.Errorf("%v, servers %v", err, doc.Servers[0])
	}
}
