package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"shiren/api/huawei"
	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
	"shiren/internal/source/registry"
	"shiren/internal/testkit"
)

// The person of the clips, with a synthetic number.
const (
	hisName, hisNumber = "傅兰克", "11010519491231002X"
	hisOpenID          = "88e9eae22447d7a138357cbf0af2d9a3"
	clientID           = "8574074" // of open's first app, whose plan "declared" is used
)

// smKeys are a developer's keys and the platform's.
type smKeys map[string]*huawei.PrivateKey

// smKeysOf gives the first app of a house its keys.
func smKeysOf(t *testing.T, h *house) smKeys {
	t.Helper()
	keys := smKeys{}
	for id, k := range map[string]ekyc.AppKey{
		"DEV_SIGN": {Use: ekyc.KeySign}, "DEV_ENC": {Use: ekyc.KeyEncrypt},
		"PP_SIGN": {Use: ekyc.KeySign, Ours: true}, "PP_ENC": {Use: ekyc.KeyEncrypt, Ours: true},
	} {
		key, err := huawei.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k.App, k.ID, k.Created = clientID, id, h.now()
		if k.Public, err = key.Public().SPKI(); err != nil {
			t.Fatal(err)
		}
		der, err := key.PKCS8()
		if err != nil {
			t.Fatal(err)
		}
		if k.Ours {
			k.Private = ekyc.Secret(base64.StdEncoding.EncodeToString(der))
		}
		keys[id] = key
		if err := h.Store.PutAppKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	claim, err := ekyc.ParseClaim(hisName, hisNumber, ekyc.IDCard)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Registry.Add(t.Context(), registry.Person{Claim: claim, Portrait: enginetest.File(t, hisPhoto)}); err != nil {
		t.Fatal(err)
	}
	return keys
}

func (k smKeys) client(h *house) *huawei.Client {
	return &huawei.Client{
		Base: h.URL, ClientID: clientID, ClientSecret: secretKey, SignKeyID: "DEV_SIGN", SignKey: k["DEV_SIGN"],
		PlatformSignKeyID: "PP_SIGN", PlatformSignKey: k["PP_SIGN"].Public(), PlatformEncKeyID: "PP_ENC", PlatformEncKey: k["PP_ENC"].Public(),
		EncKeyID: "DEV_ENC", EncKey: k["DEV_ENC"], Now: h.now, Rand: rand.Reader,
	}
}

// hosted puts an app's bridge around the page; told waits for an event and returns what is
// handed on with it.
func hosted(t *testing.T, b context.Context) {
	t.Helper()
	inject(t, b, `window.shirenNative = { postMessage: (text) => (window.told = [...(window.told ?? []), JSON.parse(text)]) }`)
}

func told(t *testing.T, b context.Context, event string) map[string]string {
	t.Helper()
	find := fmt.Sprintf(`(window.told ?? []).findLast((m) => m.event === %q && (m.event !== 'step' || m.trouble))`, event)
	do(t, b, "wait until the app is told "+event, poll(find+` !== undefined`))
	text := get(t, b, "read what the app was told", chromedp.Evaluate[string](`JSON.stringify(`+find+`.onward ?? {})`))
	var m map[string]string
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// TestHuaweiFaceVerification walks preverify, page, result with the Go client: by redirect,
// and by the bridge of an app.
func TestHuaweiFaceVerification(t *testing.T) {
	t.Parallel()
	h, after := open(t), site(t)
	backend := smKeysOf(t, h).client(h)
	ctx := t.Context()
	b := browser(t, camera(t, hisClip, 60, 6))
	hosted(t, b)

	pre, err := backend.FacePreverify(ctx, hisOpenID, hisName, hisNumber)
	if err != nil {
		t.Fatal(err)
	}
	to := "&successUrl=" + url.QueryEscape(after.URL+"/done?state=a%2Fb") + "&failedUrl=" + url.QueryEscape(after.URL+"/failed")
	h.visit(t, b, pre, to)
	agree(t, b)
	passes(t, b)
	do(t, b, "be led on", chromedp.WaitVisible(id("site")))
	after.mu.Lock()
	arrived := after.seen[0]
	after.mu.Unlock()
	u, err := url.Parse(arrived)
	if err != nil {
		t.Fatal(err)
	}
	resultID := u.Query().Get("verifyResultId")
	if u.Path != "/done" || !strings.HasPrefix(u.RawQuery, "state=a%2Fb&verifyResultId=") {
		t.Errorf("the page led to %s", arrived)
	}
	if ok, err := backend.FaceResult(ctx, resultID, hisOpenID); err != nil || !ok {
		t.Errorf("the result: got %v, %v, want true", ok, err)
	}

	// The same page in an app: who is told, and what.
	page := func(pre, openID string) {
		t.Helper()
		do(t, b, "open the page in an app", chromedp.Navigate("about:blank"), chromedp.Navigate(huawei.PageURL(h.URL, pre, clientID, openID, true)))
	}
	if pre, err = backend.FacePreverify(ctx, hisOpenID, hisName, hisNumber); err != nil {
		t.Fatal(err)
	}
	page(pre, "another user")
	do(t, b, "be told that it is another's", chromedp.WaitVisible(id("screen-trouble")))
	if got := told(t, b, "step"); got["code"] != string(huawei.AppForeignUser) {
		t.Errorf("another user's page: the app is told %v, want %s", got, huawei.AppForeignUser)
	}
	shot(t, b, "9-foreign")
	page(pre, hisOpenID)
	do(t, b, "refuse to agree", chromedp.WaitVisible(id("consent-decline")), chromedp.Click(id("consent-decline")))
	if got := told(t, b, "result"); got["code"] != string(huawei.AppNotAgreed) {
		t.Errorf("who does not agree: the app is told %v, want %s", got, huawei.AppNotAgreed)
	}
	page(pre, hisOpenID)
	do(t, b, "try again", chromedp.WaitVisible(id("consent-text")))
	agree(t, b)
	passes(t, b)
	do(t, b, "close", chromedp.WaitVisible(id("result-close")), chromedp.Click(id("result-close")))
	got := told(t, b, "close")
	if ok, err := backend.FaceResult(ctx, got["verifyResultId"], hisOpenID); err != nil || !ok {
		t.Errorf("the result that the app was told of: got %v, %v", ok, err)
	}

	// The real name, now that the face was his: with agreement, without a camera.
	if pre, err = backend.AuthPreverify(ctx, hisOpenID); err != nil {
		t.Fatal(err)
	}
	page(pre, hisOpenID)
	do(t, b, "see the gate", chromedp.WaitVisible(id("consent-text")))
	shot(t, b, "9b-disclose")
	agree(t, b)
	do(t, b, "close", chromedp.WaitVisible(id("result-close")), chromedp.Click(id("result-close")))
	name, number, err := backend.AuthResult(ctx, told(t, b, "close")["realNameAuthId"], hisOpenID)
	if err != nil || name != hisName || number != hisNumber {
		t.Errorf("the real name: got %s %s, %v", name, number, err)
	}
	for secret, what := range map[string]string{hisName: "name", hisNumber: "number", hisOpenID: "openId", resultID: "verifyResultId", pre: "preVerifyId", secretKey: "client_secret"} {
		if strings.Contains(h.Logs.String(), secret) {
			t.Errorf("the log holds the %s", what)
		}
	}
}

// TestHuaweiOnAnotherSM2Library is the walk with a backend in Node on npm sm-crypto, for a
// person who is somebody else.
func TestHuaweiOnAnotherSM2Library(t *testing.T) {
	t.Parallel()
	h := open(t)
	keys := smKeysOf(t, h)
	call := smBackend(t, h, keys)
	pre, _ := call(huawei.PathFacePreverify, map[string]any{"credentialType": "01", "credentialIdNo": hisNumber, "realName": hisName, "openId": hisOpenID},
		"credentialIdNo", "realName")["preVerifyId"].(string)
	b := browser(t, camera(t, otherClip, 3, 6))
	hosted(t, b)
	do(t, b, "open the page in an app", chromedp.Navigate(huawei.PageURL(h.URL, pre, clientID, hisOpenID, true)))
	agree(t, b)
	refused(t, b, "non_match")
	id := told(t, b, "result")["verifyResultId"]
	if a := call(huawei.PathFaceResult, map[string]any{"verifyResultId": id, "openId": hisOpenID}); a["resultCode"] != "000000" || a["verifyResult"] != false {
		t.Errorf("another's face: got %v, want 000000 with false", a)
	}
	if a := call(huawei.PathFaceResult, map[string]any{"verifyResultId": id, "openId": "somebody else"}); a["subCode"] != "INVALID_OPENID" {
		t.Errorf("another openId: got %v", a)
	}
	if a := call(huawei.PathAuthPreverify, map[string]any{"openId": hisOpenID}); a["subCode"] != "REAL_NAME_NOT_CERTIFIED" {
		t.Errorf("a real name after a face that was not his: got %v", a)
	}
}

// smBackend starts the client of e2e/smclient.
func smBackend(t *testing.T, h *house, keys smKeys) func(path string, body map[string]any, encrypt ...string) map[string]any {
	t.Helper()
	client := testkit.StartNode(t, "smclient")
	half := func(key *huawei.PrivateKey) string { // the private number: SEC 1, version 1, then 32 bytes
		der, err := key.PKCS8()
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(der), "\x02\x01\x01\x04\x20")
		return hex.EncodeToString([]byte(rest[:32]))
	}
	point := func(key *huawei.PrivateKey) string {
		spki, err := key.Public().SPKI()
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(spki[26:])
	}
	return func(path string, body map[string]any, encrypt ...string) map[string]any {
		t.Helper()
		line := client.Ask(map[string]any{
			"op": "call", "base": h.URL, "path": path, "body": body, "encrypt": encrypt, "clientId": clientID, "clientSecret": secretKey,
			"offset": time.Until(h.now()).Milliseconds(), "signKeyId": "DEV_SIGN", "signKey": half(keys["DEV_SIGN"]),
			"platformSignKeyId": "PP_SIGN", "platformSignKey": point(keys["PP_SIGN"]), "platformEncKeyId": "PP_ENC", "platformEncKey": point(keys["PP_ENC"]),
		})
		var r struct {
			Error  string
			Result struct {
				Verified bool
				Answer   map[string]any
			}
		}
		if err := json.Unmarshal(line, &r); err != nil || r.Error != "" || !r.Result.Verified {
			t.Fatalf("%s: got %s, %v; want an answer whose signature verifies there", path, line, err)
		}
		return r.Result.Answer
	}
}
