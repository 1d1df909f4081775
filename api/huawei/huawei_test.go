package huawei_test

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiren/api/huawei"
)

func TestSignStringAsTheGuideWritesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"the guide's own sample": {
			`{"tradeSummary":"test","totalAmount":5,"appId":"..","subOrders":[{"mercOrderNo":"abcxxx1","mercNo":"101723200xxx"},{"mercNo":"101723201xxx","mercOrderNo":"abcxxx2"}]}`,
			`appId=..&subOrders=mercNo=101723200xxx&mercOrderNo=abcxxx1,mercNo=101723201xxx&mercOrderNo=abcxxx2&totalAmount=5&tradeSummary=test`,
		},
		"sign is left out":       {`{"b":"2","sign":"x","a":"1"}`, `a=1&b=2`},
		"null is left out":       {`{"a":null,"b":"2"}`, `b=2`},
		"an empty string stays":  {`{"a":"","b":"2"}`, `a=&b=2`},
		"booleans":               {`{"verifyResult":true,"other":false}`, `other=false&verifyResult=true`},
		"numbers as written":     {`{"a":1684117602555,"b":1.50,"c":-0,"d":1e3}`, `a=1684117602555&b=1.50&c=-0&d=1e3`},
		"Chinese":                {`{"resultDesc":"服务暂不可用，请稍后重试"}`, `resultDesc=服务暂不可用，请稍后重试`},
		"escapes are read":       {`{"a":"\u5f20\/\u4e09\n\ud83d\ude00"}`, "a=张/三\n😀"},
		"nothing is escaped":     {`{"a":"x&y=z, 100%"}`, `a=x&y=z, 100%`},
		"capitals come first":    {`{"a":"1","B":"2","_":"3"}`, `B=2&_=3&a=1`},
		"null within an element": {`{"l":[{"b":null,"a":"1"},{"a":""}]}`, `l=a=1,a=`},
		"a list of values":       {`{"l":["x","y",3,true,null]}`, `l=x,y,3,true`},
		"an empty list":          {`{"l":[],"z":"1"}`, `l=&z=1`},
		"a nested object":        {`{"o":{"b":"2","a":1}}`, `o=a=1&b=2`},
		"a nested sign stays":    {`{"o":{"sign":"x"}}`, `o=sign=x`},
		"nothing":                {`{}`, ``},
		"white space":            {" {\n\t\"a\" : \"1\" }\r\n", `a=1`},
	} {
		got, err := huawei.SignStringOf([]byte(c.in))
		if err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"not JSON":         {`a=1`, huawei.ErrNotObject},
		"empty":            {``, huawei.ErrNotObject},
		"a list":           {`[]`, huawei.ErrNotObject},
		"two objects":      {`{} {}`, huawei.ErrNotObject},
		"cut":              {`{"a":`, huawei.ErrNotObject},
		"cut in a list":    {`{"a":[1`, huawei.ErrNotObject},
		"no comma":         {`{"a":1 "b":2}`, huawei.ErrNotObject},
		"a trailing comma": {`{"a":1,}`, huawei.ErrNotObject},
		"not UTF-8":        {"{\"a\":\"\xff\"}", huawei.ErrNotObject},
		"doubled":          {`{"a":"1","a":"1"}`, huawei.ErrTwice},
		"doubled, escaped": {`{"a":"1","\u0061":"2"}`, huawei.ErrTwice},
		"doubled, deep":    {`{"l":[{"a":1,"a":2}]}`, huawei.ErrTwice},
		"deep":             {`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, huawei.ErrShape},
		"deep objects":     {strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), huawei.ErrShape},
		"many":             {`{"a":[` + strings.Repeat("1,", 500) + `1]}`, huawei.ErrShape},
	} {
		if _, err := huawei.SignStringOf([]byte(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if got, want := huawei.SignURI("/v1/orders", "a=1&b=%20"), "/v1/orders?a=1&b=%20"; got != want {
		t.Errorf("GET: got %q, want %q", got, want)
	}
	if got := huawei.SignURI("/v1/orders", ""); got != "/v1/orders" {
		t.Errorf("GET without a query: got %q", got)
	}
}

// vectors are what a client on BouncyCastle made: keys, signed texts, signatures, cipher texts.
type vectors struct {
	DevPrivPkcs8Hex, DevPubSpkiHex, DevPubPointHex           string
	BodyString, BodySign, HeaderString, HeaderSign           string
	RespString, RespSignByDevKey                             string
	HwEncPrivPkcs8Hex, HwEncPubSpkiHex, EncRealName, EncIDNo string
}

const captures = "../../../shared/captures"

func bouncyCastle(t *testing.T) (v vectors) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(captures, "huawei-sm2-vectors.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the vectors made with BouncyCastle are not here; they lie outside of the repository")
	}
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func private(t *testing.T, text string) *huawei.PrivateKey {
	t.Helper()
	k, err := huawei.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(t *testing.T, text string) *huawei.PublicKey {
	t.Helper()
	k, err := huawei.ParsePublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func generate(t testing.TB) *huawei.PrivateKey {
	t.Helper()
	k, err := huawei.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVectorsOfBouncyCastle(t *testing.T) {
	t.Parallel()
	v := bouncyCastle(t)
	key := private(t, v.DevPrivPkcs8Hex)
	for name, text := range map[string]string{"SPKI": v.DevPubSpkiHex, "point": v.DevPubPointHex} {
		pub := public(t, text)
		for what, s := range map[string][2]string{
			"body": {v.BodyString, v.BodySign}, "header": {v.HeaderString, v.HeaderSign}, "answer": {v.RespString, v.RespSignByDevKey},
		} {
			if !huawei.Verify(pub, s[0], s[1]) {
				t.Errorf("%s: the %s's signature does not verify", name, what)
			}
			if huawei.Verify(pub, s[0]+" ", s[1]) {
				t.Errorf("%s: the %s's signature verifies another text", name, what)
			}
		}
		spki, err := pub.SPKI()
		if err != nil || hex.EncodeToString(spki) != v.DevPubSpkiHex {
			t.Errorf("%s: written as %x, %v, want %s", name, spki, err, v.DevPubSpkiHex)
		}
	}
	if s, err := huawei.Sign(rand.Reader, key, v.BodyString); err != nil || !huawei.Verify(public(t, v.DevPubSpkiHex), v.BodyString, s) {
		t.Errorf("a signature with their private key does not verify: %v", err)
	}
	if s, err := huawei.Sign(rand.Reader, key, ""); err != nil || !huawei.Verify(key.Public(), "", s) {
		t.Errorf("the signature of an empty text does not verify: %v", err)
	}
	enc := private(t, v.HwEncPrivPkcs8Hex)
	for what, c := range map[string][2]string{"name": {v.EncRealName, "张三"}, "number": {v.EncIDNo, "110101199003070134"}} {
		if got, err := huawei.Decrypt(enc, c[0]); err != nil || got != c[1] {
			t.Errorf("%s: decrypted to %q, %v, want %q", what, got, err, c[1])
		}
		if got, err := huawei.Decrypt(enc, strings.TrimPrefix(c[0], "04")); err != nil || got != c[1] {
			t.Errorf("%s without 04: decrypted to %q, %v", what, got, err)
		}
		if _, err := huawei.Decrypt(key, c[0]); !errors.Is(err, huawei.ErrCipher) {
			t.Errorf("%s with another key: got %v", what, err)
		}
	}
}

func TestCapturedRequestsVerify(t *testing.T) {
	t.Parallel()
	v := bouncyCastle(t)
	files, err := filepath.Glob(filepath.Join(captures, "huawei-*.http"))
	if err != nil || len(files) < 6 {
		t.Fatalf("%d captures, %v; want at least 6", len(files), err)
	}
	signed := 0
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadRequest(bufio.NewReader(f))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		body, err := io.ReadAll(r.Body)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if r.URL.Path == huawei.PathToken {
			continue
		}
		signed++
		a, err := huawei.ParsePayDevAuth(r.Header.Get(huawei.HeaderAuth))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := a.Missing(r.URL.Path == huawei.PathFacePreverify); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		text, err := huawei.SignStringOf(body)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		// The captures are of a run with a key of its own; a key that is not theirs must not do.
		if err := a.VerifyText(public(t, v.DevPubSpkiHex), text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if err := a.VerifyText(public(t, v.HwEncPubSpkiHex), text); err == nil {
			t.Errorf("%s: verifies with another key", file)
		}
		if err := a.VerifyText(public(t, v.DevPubSpkiHex), text+"x"); err == nil {
			t.Errorf("%s: verifies with another body", file)
		}
	}
	if signed != 4 {
		t.Errorf("%d signed requests, want 4", signed)
	}
}

func TestKeysInEveryForm(t *testing.T) {
	t.Parallel()
	key := generate(t)
	der, err := key.PKCS8()
	if err != nil {
		t.Fatal(err)
	}
	spki, err := key.Public().SPKI()
	if err != nil || len(spki) != 91 {
		t.Fatalf("SPKI of %d bytes, %v; the vendor's console shows 91", len(spki), err)
	}
	const text = "a=1&b=张"
	sig, err := huawei.Sign(rand.Reader, key, text)
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]string{
		"hex": hex.EncodeToString(spki), "HEX": strings.ToUpper(hex.EncodeToString(spki)), "point": hex.EncodeToString(spki[26:]),
		"PEM": pemOf("PUBLIC KEY", spki), "base64": b64(spki), "base64 in lines": b64(spki)[:64] + "\n" + b64(spki)[64:] + "\n",
	} {
		if p, err := huawei.ParsePublicKey(form); err != nil || !huawei.Verify(p, text, sig) {
			t.Errorf("public key as %s: %v", name, err)
		}
	}
	for name, form := range map[string]string{
		"hex": hex.EncodeToString(der), "base64": b64(der), "PEM": pemOf("PRIVATE KEY", der),
		"OpenHarmony, 51 bytes": hex.EncodeToString(openHarmony(t, der)), "number": hex.EncodeToString(number(t, der)),
	} {
		k, err := huawei.ParsePrivateKey(form)
		if err != nil {
			t.Errorf("private key as %s: %v", name, err)
			continue
		}
		if s, err := huawei.Sign(rand.Reader, k, text); err != nil || !huawei.Verify(key.Public(), text, s) {
			t.Errorf("private key as %s is another one: %v", name, err)
		}
		if s := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); s != "******** ******** ******** ********" {
			t.Errorf("a private key prints itself as %s", s)
		}
	}
	for _, bad := range []string{"", "zz", "00", strings.Repeat("00", 32), strings.Repeat("ff", 32), hex.EncodeToString(spki[:90]), "04" + strings.Repeat("11", 64)} {
		if _, err := huawei.ParsePublicKey(bad); !errors.Is(err, huawei.ErrPublicKey) {
			t.Errorf("public key %.20q: got %v", bad, err)
		}
		if _, err := huawei.ParsePrivateKey(bad); !errors.Is(err, huawei.ErrPrivateKey) {
			t.Errorf("private key %.20q: got %v", bad, err)
		}
	}
}

func TestFieldsComeBack(t *testing.T) {
	t.Parallel()
	key := generate(t)
	for _, text := range []string{"张三", "11010519491231002X", "x", strings.Repeat("名", 200)} {
		c, err := huawei.Encrypt(rand.Reader, key.Public(), text)
		if err != nil {
			t.Fatal(err)
		}
		if want := 2 * (97 + len(text)); len(c) != want || !strings.HasPrefix(c, "04") || c != strings.ToLower(c) {
			t.Errorf("encrypted to %d characters that begin with %.4s, want %d in lower-case hex that begin with 04", len(c), c, want)
		}
		for _, form := range []string{c, strings.ToUpper(c), c[2:], " " + c + "\n"} {
			if got, err := huawei.Decrypt(key, form); err != nil || got != text {
				t.Errorf("got %q, %v, want it back", got, err)
			}
		}
		for _, bad := range []string{"", c[:len(c)-2], c[:10], c + "00", "zz", flip(c, 140), flip(c, len(c)-1), flip(c, 20)} {
			if _, err := huawei.Decrypt(key, bad); !errors.Is(err, huawei.ErrCipher) {
				t.Errorf("%.20q…: got %v, want ErrCipher", bad, err)
			}
		}
	}
	if _, err := huawei.Encrypt(rand.Reader, key.Public(), ""); err == nil {
		t.Error("an empty text was encrypted")
	}
}

func flip(s string, at int) string {
	b := []byte(s)
	if b[at] != '0' {
		b[at] = '0'
	} else {
		b[at] = '1'
	}
	return string(b)
}

func TestPayDevAuthFieldsInTheDocumentedOrder(t *testing.T) {
	t.Parallel()
	all := map[string]any{
		"clientId": "1", "accessToken": "t", "traceId": "x", "time": 5, "petalpayEncKeyId": "e", "developerSignKeyId": "d",
		"petalpaySignKeyId": "p", "bodySign": "b", "headerSign": "h",
	}
	order := []struct {
		field string
		code  huawei.Code
	}{
		{"traceId", huawei.MissingTracerID},
		{"headerSign", huawei.MissingHeaderSign},
		{"bodySign", huawei.MissingBodySign},
		{"time", huawei.MissingTime},
		{"accessToken", huawei.MissingAccessToken},
		{"petalpaySignKeyId", huawei.MissingPlatformSign},
		{"petalpayEncKeyId", huawei.MissingPlatformEnc},
		{"developerSignKeyId", huawei.MissingDeveloperSign},
		{"clientId", huawei.ClientIDError},
	}
	missing := func(fields map[string]any) error {
		b, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		a, err := huawei.ParsePayDevAuth(string(b))
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		return a.Missing(true)
	}
	code := func(err error) huawei.Code {
		var e *huawei.Error
		if errors.As(err, &e) {
			return e.Code
		}
		return huawei.Code{}
	}
	if err := missing(all); err != nil {
		t.Errorf("nothing is missing: got %v", err)
	}
	// Absent, null and empty are alike; the first of several is named.
	for i, c := range order {
		for _, v := range []any{"absent", nil, ""} {
			fields := map[string]any{}
			for k, x := range all {
				fields[k] = x
			}
			for _, later := range order[i:] {
				if fields[later.field] = v; v == "absent" {
					delete(fields, later.field)
				}
			}
			if got := code(missing(fields)); got != c.code {
				t.Errorf("%s and all after it %v: got %s, want %s", c.field, v, got.Sub, c.code.Sub)
			}
		}
	}
	for in, want := range map[string]huawei.Code{
		`nonsense`: huawei.InvalidPayDevAuth, `[]`: huawei.InvalidPayDevAuth, ``: huawei.InvalidPayDevAuth,
		`{"traceId":"a","traceId":"b"}`: huawei.InvalidPayDevAuth, `{"headerSign":7}`: huawei.InvalidPayDevAuth,
		`{"traceId":7}`: huawei.InvalidTracerID, `{"traceId":"` + strings.Repeat("x", 33) + `"}`: huawei.InvalidTracerID,
		`{"time":1.5}`: huawei.InvalidTime, `{"time":"soon"}`: huawei.InvalidTime, `{"time":true}`: huawei.InvalidTime,
		`{"time":99999999999999999999}`: huawei.InvalidTime,
	} {
		if _, err := huawei.ParsePayDevAuth(in); code(err) != want {
			t.Errorf("%.40s: got %v, want %s", in, err, want.Sub)
		}
	}
	if a, err := huawei.ParsePayDevAuth(`{"time":"1684117602555","traceId":"` + strings.Repeat("名", 32) + `"}`); err != nil || a.Time != 1684117602555 {
		t.Errorf("time as a text and 32 characters: got %d, %v", a.Time, err)
	}
}

func TestHeaderCoversWhatWasSent(t *testing.T) {
	t.Parallel()
	key := generate(t)
	a := huawei.PayDevAuth{ClientID: "1", AccessToken: "t", TraceID: "x", Time: 5, DeveloperSignKeyID: "d", PetalpaySignKeyID: "p"}
	if err := a.SignText(rand.Reader, key, "a=1"); err != nil {
		t.Fatal(err)
	}
	if got, want := a.HeaderString(), "accessToken=t&bodySign="+a.BodySign+"&clientId=1&developerSignKeyId=d&petalpaySignKeyId=p&time=5&traceId=x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := huawei.ParsePayDevAuth(string(b))
	if err != nil || sent.VerifyText(key.Public(), "a=1") != nil {
		t.Errorf("what was signed does not verify: %v", err)
	}
	for name, change := range map[string]func(*huawei.PayDevAuth){
		"another token": func(a *huawei.PayDevAuth) { a.AccessToken = "u" },
		"swapped":       func(a *huawei.PayDevAuth) { a.BodySign, a.HeaderSign = a.HeaderSign, a.BodySign },
		"a key id more": func(a *huawei.PayDevAuth) { a.PetalpayEncKeyID = "e" },
	} {
		c := a
		change(&c)
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := huawei.ParsePayDevAuth(string(b))
		if err != nil {
			t.Fatal(err)
		}
		if sent.VerifyText(key.Public(), "a=1") == nil {
			t.Errorf("%s: verifies", name)
		}
	}
	// A client that signs an empty field sends it; one that leaves it out does not sign it.
	empty, err := huawei.ParsePayDevAuth(`{"traceId":"x","developerEncKeyId":"","petalpayEncKeyId":null,"extra":"y"}`)
	if err != nil || empty.HeaderString() != "developerEncKeyId=&extra=y&traceId=x" {
		t.Errorf("got %q, %v", empty.HeaderString(), err)
	}
}

func TestAnswersAreSigned(t *testing.T) {
	t.Parallel()
	key := generate(t)
	body, err := json.Marshal(huawei.ResultAnswer{Answer: huawei.Success.Says(), VerifyResult: true})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := huawei.SignAnswer(rand.Reader, key, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := huawei.VerifyAnswer(key.Public(), signed); err != nil {
		t.Error(err)
	}
	var got struct {
		VerifyResult bool
		Sign         string
	}
	if err := json.Unmarshal(signed, &got); err != nil || !got.VerifyResult ||
		!huawei.Verify(key.Public(), "resultCode=000000&resultDesc=Success.&verifyResult=true", got.Sign) {
		t.Errorf("got %s, %v", signed, err)
	}
	for name, bad := range map[string][]byte{
		"changed": []byte(strings.Replace(string(signed), "true", "false", 1)), "not signed": body, "no JSON": []byte("x"),
	} {
		if huawei.VerifyAnswer(key.Public(), bad) == nil {
			t.Errorf("%s: verifies", name)
		}
	}
}

func TestAccessTokensLookLikeTheVendors(t *testing.T) {
	t.Parallel()
	want := huawei.AccessToken{App: "10132120001", Expires: time.Unix(1795289314, 0).UTC(), Nonce: [4]byte{1, 2, 3, 4}, Tag: [12]byte{5, 6}}
	s := want.String()
	if got, err := huawei.ParseAccessToken(s); err != nil || got != want || !strings.HasPrefix(s, "DQEB") {
		t.Errorf("%s: got %+v, %v", s, got, err)
	}
	for _, bad := range []string{"", "DQEB", "x", s[4:], s + "AAAA" + strings.Repeat("A", 100)} {
		if _, err := huawei.ParseAccessToken(bad); err == nil {
			t.Errorf("%.20q is taken for a token", bad)
		}
	}
}

func TestEveryCodeIsDocumentedOnce(t *testing.T) {
	t.Parallel()
	seen := map[[2]string]bool{}
	for _, c := range huawei.Codes() {
		k := [2]string{c.Result, c.Sub}
		if seen[k] {
			t.Errorf("%v is listed twice", k)
		}
		seen[k] = true
		if c.ResultDesc == "" || (c.Sub == "") != (c.SubDesc == "") || (c.Sub == "") != (c == huawei.Success) {
			t.Errorf("%+v lacks a text", c)
		}
	}
	if len(seen) != 38 {
		t.Errorf("%d codes, want 38", len(seen))
	}
}

func FuzzParsePayDevAuth(f *testing.F) {
	for _, s := range []string{
		`{"clientId":"1","accessToken":"t","traceId":"x","time":5,"developerSignKeyId":"d","petalpaySignKeyId":"p","bodySign":"b","headerSign":"h"}`,
		`{"time":"5"}`, `{"time":1e400}`, `{"traceId":null}`, `{"a":[[{"b":1}]]}`, `{`, `[]`, "\xff", `{"a":1,"a":2}`,
	} {
		f.Add(s)
	}
	key := generate(f).Public()
	f.Fuzz(func(t *testing.T, in string) {
		a, err := huawei.ParsePayDevAuth(in)
		if err != nil {
			var e *huawei.Error
			if !errors.As(err, &e) || e.Result != huawei.ResultInvalid {
				t.Fatalf("%q: got %v, want a documented code", in, err)
			}
			return
		}
		if a.VerifyText(key, "a=1") == nil {
			t.Fatalf("%q verifies with a key that signed nothing", in)
		}
		_ = a.Missing(true)
	})
}

func FuzzSignString(f *testing.F) {
	for _, s := range []string{`{"a":"1"}`, `{"b":[{"c":null}],"a":-1.5e3}`, `{"":""}`, `{"a":"\ud800"}`, "{\"a\":\"\u2028\"}", `{"a":{"sign":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		o, err := huawei.ParseObject(in)
		if err != nil {
			return
		}
		// What the standard library writes of it is signed alike: order and space do not count.
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		again, err := huawei.SignStringOf(b)
		if got := huawei.SignString(o); err != nil || got != again {
			t.Errorf("%q: signed as %q, and written anew as %q, %v", in, got, again, err)
		}
	})
}

func FuzzDecrypt(f *testing.F) {
	key := generate(f)
	c, err := huawei.Encrypt(rand.Reader, key.Public(), "张三")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{c, c[2:], "", "04", "zz", "30"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if _, err := huawei.Decrypt(key, in); err != nil && !errors.Is(err, huawei.ErrCipher) {
			t.Errorf("%q: got %v, want ErrCipher", in, err)
		}
	})
}

// BenchmarkBare is what a result query costs in SM2 alone: two verifications, one signature.
func BenchmarkBare(b *testing.B) {
	key := generate(b)
	pub := key.Public()
	header := strings.Repeat("accessToken=DQEBALZh0tlSKKiNDJ9lYYg0&", 10)
	const body = "openId=88e9eae22447d7a138357cbf0af2d9a3&verifyResultId=12407091401520894056950001"
	s1, err1 := huawei.Sign(rand.Reader, key, header)
	s2, err2 := huawei.Sign(rand.Reader, key, body)
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !huawei.Verify(pub, header, s1) || !huawei.Verify(pub, body, s2) {
			b.Fatal("does not verify")
		}
		if _, err := huawei.Sign(rand.Reader, key, "resultCode=000000&resultDesc=Success.&verifyResult=true"); err != nil {
			b.Fatal(err)
		}
	}
}
