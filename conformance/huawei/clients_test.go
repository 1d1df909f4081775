package huawei

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"

	api "shiren/api/huawei"
	"shiren/internal/ekyc"
	gateway "shiren/internal/gateway/huawei"
	"shiren/internal/testkit"
)

// awkward are texts that clients have signed differently from each other.
var awkward = []string{
	`{"openId":"88e9eae2","verifyResultId":"12407091401520894056950001"}`,
	`{"appId":"..","subOrders":[{"mercNo":"1","mercOrderNo":"a"},{"mercOrderNo":"b","mercNo":"2"}],"totalAmount":5}`,
	`{"a":null,"b":"","c":false,"d":true,"e":0,"f":-1.5,"g":1684117602555}`,
	`{"张":"三丰","emoji":"😀","line":"a\nb","and":"x&y=z"}`,
	`{"l":[{"x":null,"y":""}],"Z":"1","_":"2","a":"3"}`,
	`{"a":" leading and trailing "}`,
}

func pkcs8(t *testing.T, k *api.PrivateKey) []byte {
	t.Helper()
	b, err := k.PKCS8()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func spki(t *testing.T, k *api.PublicKey) []byte {
	t.Helper()
	b, err := k.SPKI()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func generate(t *testing.T) *api.PrivateKey {
	t.Helper()
	k, err := api.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestCapturedRequests replays what a client on BouncyCastle sent, byte for byte. Their
// access token is the stub's that they were sent to, so that the answer to the signed ones
// is the one about the token, which comes after both signatures.
func TestCapturedRequests(t *testing.T) {
	t.Parallel()
	const captures = "../../../shared/captures"
	b, err := os.ReadFile(filepath.Join(captures, "huawei-sm2-vectors.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the captured requests are not here; they lie outside of the repository")
	}
	var v struct{ DevPubSpkiHex, HwEncPrivPkcs8Hex string }
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	dev, err := api.ParsePublicKey(v.DevPubSpkiHex)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := api.ParsePrivateKey(v.HwEncPrivPkcs8Hex)
	if err != nil {
		t.Fatal(err)
	}
	k := testkit.New(t)
	app := ekyc.App{ID: "10132120001", Name: "captured", Key: "akCaptured", Secret: "s3cret+/="}
	ours := generate(t)
	for _, err := range []error{
		k.Store.PutApp(k.Ctx, app),
		k.Kept.PutAppKey(k.Ctx, ekyc.AppKey{App: app.ID, ID: "76e5ee072756417a829201fa", Use: ekyc.KeySign, Public: spki(t, dev)}),
		k.Kept.PutAppKey(k.Ctx, ekyc.AppKey{
			App: app.ID, ID: "DEVELOPER_SIGN_EB48251AC36", Use: ekyc.KeySign, Ours: true, Public: spki(t, ours.Public()),
			Private: ekyc.Secret(base64.StdEncoding.EncodeToString(pkcs8(t, ours))),
		}),
		k.Kept.PutAppKey(k.Ctx, ekyc.AppKey{
			App: app.ID, ID: "HWENC01", Use: ekyc.KeyEncrypt, Ours: true, Public: spki(t, enc.Public()),
			Private: ekyc.Secret(base64.StdEncoding.EncodeToString(pkcs8(t, enc))),
		}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h := gateway.New(k.Service, gateway.Config{Now: k.Clock.Now, Rand: rand.Reader, Log: k.Log})
	files, err := filepath.Glob(filepath.Join(captures, "huawei-*.http"))
	if err != nil || len(files) < 6 {
		t.Fatalf("%d captures, %v; want at least 6", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		send := func(raw []byte) map[string]any {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if a, err := api.ParsePayDevAuth(r.Header.Get(api.HeaderAuth)); err == nil {
				k.Clock.Set(time.UnixMilli(a.Time))
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.WithContext(k.Ctx))
			return object(t, w.Body.Bytes())
		}
		got := send(raw)
		if strings.Contains(file, "oauth2") {
			if got["access_token"] == nil || got["expires_in"] != 3600.0 {
				t.Errorf("%s: got %v, want a token", filepath.Base(file), got)
			}
			continue
		}
		if got["subCode"] != "INVALID_AUTH_HEADER" {
			t.Errorf("%s: got %v, want to get as far as the token", filepath.Base(file), got)
		}
		if got := send(bytes.Replace(raw, []byte(`"openId":"88`), []byte(`"openId":"99`), 1)); got["subCode"] != "INVALID_SIGNATURE" {
			t.Errorf("%s, changed: got %v, want INVALID_SIGNATURE", filepath.Base(file), got)
		}
	}
}

// openssl runs the command line tool.
func openssl(t *testing.T, in []byte, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Stdin = bytes.NewReader(in)
	return cmd.Output()
}

func TestOpenSSL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := generate(t)
	write := func(name, kind string, b []byte) string {
		if kind != "" {
			b = pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})
		}
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	private, public := write("key.pem", "PRIVATE KEY", pkcs8(t, key)), write("pub.pem", "PUBLIC KEY", spki(t, key.Public()))
	const id = "distid:1234567812345678"
	if _, err := openssl(t, []byte("x"), "dgst", "-sm3", "-sign", private, "-sigopt", id); err != nil {
		t.Skipf("this machine's openssl is missing or signs no SM2 (%v); OpenSSL 3 does", err)
	}
	for _, body := range awkward {
		text, err := api.SignStringOf([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		der, err := openssl(t, []byte(text), "dgst", "-sm3", "-sign", private, "-sigopt", id)
		if err != nil || !api.Verify(key.Public(), text, base64.StdEncoding.EncodeToString(der)) {
			t.Errorf("%q: OpenSSL's signature does not verify here (%v)", text, err)
		}
		sig, err := api.Sign(rand.Reader, key, text)
		if err != nil {
			t.Fatal(err)
		}
		if der, err = base64.StdEncoding.DecodeString(sig); err != nil {
			t.Fatal(err)
		}
		if out, err := openssl(t, []byte(text), "dgst", "-sm3", "-verify", public, "-sigopt", id, "-signature", write("sig", "", der)); err != nil {
			t.Errorf("%q: our signature does not verify with OpenSSL: %v %s", text, err, out)
		}
	}
	// OpenSSL writes ciphers as ASN.1: the same parts, which gmsm rearranges.
	for _, text := range []string{"张三丰", "11010519491231002X"} {
		asn1, err := openssl(t, []byte(text), "pkeyutl", "-encrypt", "-pubin", "-inkey", public)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := sm2.ASN1Ciphertext2Plain(asn1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := api.Decrypt(key, hex.EncodeToString(plain)); err != nil || got != text {
			t.Errorf("OpenSSL's cipher: got %q, %v, want %q", got, err, text)
		}
		c, err := api.Encrypt(rand.Reader, key.Public(), text)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(c)
		if err != nil {
			t.Fatal(err)
		}
		if asn1, err = sm2.PlainCiphertext2ASN1(raw, sm2.C1C3C2); err != nil {
			t.Fatal(err)
		}
		if got, err := openssl(t, asn1, "pkeyutl", "-decrypt", "-inkey", private); err != nil || string(got) != text {
			t.Errorf("our cipher with OpenSSL: got %q, %v, want %q", got, err, text)
		}
	}
}

// node is the client of e2e/smclient, on npm sm-crypto.
type node struct {
	t      *testing.T
	client *testkit.Node
}

func smCrypto(t *testing.T) node {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed; with it the client on npm sm-crypto is run")
	}
	return node{t, testkit.StartNode(t, "../../e2e/smclient")}
}

func (n node) do(q map[string]any) any {
	n.t.Helper()
	m := object(n.t, n.client.Ask(q))
	if m["error"] != nil {
		n.t.Fatalf("%v: %v", q["op"], m["error"])
	}
	return m["result"]
}

// number and point are a key as sm-crypto takes it.
func number(t *testing.T, k *api.PrivateKey) string {
	t.Helper()
	der := pkcs8(t, k)
	i := bytes.Index(der, []byte{2, 1, 1, 4, 0x20}) // SEC 1: version 1, then 32 bytes
	if i < 0 {
		t.Fatal("no number in the private key")
	}
	return hex.EncodeToString(der[i+5 : i+37])
}

func point(t *testing.T, k *api.PublicKey) string {
	t.Helper()
	return hex.EncodeToString(spki(t, k)[26:])
}

func TestNpmSMCrypto(t *testing.T) {
	t.Parallel()
	n, key := smCrypto(t), generate(t)
	for _, body := range awkward {
		text, err := api.SignStringOf([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := n.do(map[string]any{"op": "signString", "text": body}); got != text {
			t.Errorf("%s: they sign %q, we %q", body, got, text)
		}
		sig, _ := n.do(map[string]any{"op": "sign", "text": text, "key": number(t, key)}).(string)
		if !api.Verify(key.Public(), text, sig) {
			t.Errorf("%q: their signature does not verify here", text)
		}
		if sig, err = api.Sign(rand.Reader, key, text); err != nil {
			t.Fatal(err)
		}
		if n.do(map[string]any{"op": "verify", "text": text, "sig": sig, "key": point(t, key.Public())}) != true {
			t.Errorf("%q: our signature does not verify there", text)
		}
	}
	for _, text := range []string{"张三丰", "11010519491231002X"} {
		c, _ := n.do(map[string]any{"op": "encrypt", "text": text, "key": point(t, key.Public())}).(string)
		for _, form := range []string{c, strings.TrimPrefix(c, "04")} {
			if got, err := api.Decrypt(key, form); err != nil || got != text {
				t.Errorf("their cipher: got %q, %v, want %q", got, err, text)
			}
		}
		c, err := api.Encrypt(rand.Reader, key.Public(), text)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.do(map[string]any{"op": "decrypt", "text": c, "key": number(t, key)}); got != text {
			t.Errorf("our cipher there: got %q, want %q", got, text)
		}
	}
}

// A developer's backend on another SM2 library, over a real connection: announce, ask,
// read the real name.
func TestABackendOnNpmSMCrypto(t *testing.T) {
	t.Parallel()
	n, w := smCrypto(t), newWorld(t)
	w.Given("authority 11010519491231002X 张三丰 zhang")
	srv := httptest.NewServer(w.handler)
	t.Cleanup(srv.Close)
	call := func(path string, body map[string]any, fields ...string) map[string]any {
		t.Helper()
		q := map[string]any{
			"op": "call", "base": srv.URL, "path": path, "body": body, "encrypt": fields, "decrypt": []string{"realName", "credentialIdNo"},
			"clientId": string(w.App.ID), "clientSecret": string(w.App.Secret), "offset": time.Until(w.Clock.Now()).Milliseconds(),
			"signKeyId": "DEV_SIGN", "signKey": number(t, w.keys["DEV_SIGN"]),
			"encKeyId": "DEV_ENC", "encKey": number(t, w.keys["DEV_ENC"]),
			"platformSignKeyId": "PP_SIGN", "platformSignKey": point(t, w.keys["PP_SIGN"].Public()),
			"platformEncKeyId": "PP_ENC", "platformEncKey": point(t, w.keys["PP_ENC"].Public()),
		}
		r, _ := n.do(q).(map[string]any)
		if r["verified"] != true {
			t.Errorf("%s: the answer's signature does not verify there: %v", path, r)
		}
		a, _ := r["answer"].(map[string]any)
		return a
	}
	open := w.Vars["$OPEN"]
	a := call(api.PathFacePreverify, map[string]any{"credentialType": "01", "credentialIdNo": "11010519491231002X", "realName": "张三丰", "openId": open}, "credentialIdNo", "realName")
	id, _ := a["preVerifyId"].(string)
	if _, err := w.Walk(ekyc.Token(id), testkit.Face{Person: "zhang"}); err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	w.Vars["$R"] = id
	w.ended("R")
	if a := call(api.PathFaceResult, map[string]any{"verifyResultId": w.Vars["$R"], "openId": open}); a["verifyResult"] != true {
		t.Errorf("got %v", a)
	}
	if a := call(api.PathFaceResult, map[string]any{"verifyResultId": "x", "openId": open, "more": nil, "list": []any{map[string]any{"b": 1, "a": nil}}}); a["subCode"] != "INVALID_ARGUMENTS" {
		t.Errorf("got %v", a)
	}
	w.Given("disclose A")
	if a := call(api.PathAuthResult, map[string]any{"realNameAuthId": w.Vars["$A"], "openId": open}); a["realName"] != "张三丰" || a["credentialIdNo"] != "11010519491231002X" {
		t.Errorf("got %v", a)
	}
}
