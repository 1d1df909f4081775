package huawei

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"shiren/api/huawei"
	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

func TestTableOfCodesIsWhole(t *testing.T) {
	t.Parallel()
	documented := map[huawei.Code]bool{}
	for _, c := range huawei.Codes() {
		documented[c] = true
	}
	for _, c := range ekyc.Codes() {
		v, ok := codes[c]
		switch {
		case !ok:
			t.Errorf("%s has no vendor code", c)
		case v == huawei.Success:
			t.Errorf("%s would be said as success", c)
		case !documented[v]:
			t.Errorf("%s is said as %+v, which is not documented", c, v)
		}
	}
	if len(codes) != len(ekyc.Codes())+1 {
		t.Errorf("the table has %d entries, want one for each of %d codes and OK", len(codes), len(ekyc.Codes()))
	}
}

// world is a kit with an app's keys and a client of it.
type world struct {
	*testkit.Kit
	handler http.Handler
	client  *huawei.Client
	// developer's and platform's keys
	sign, enc, ours, oursEnc *huawei.PrivateKey
}

func pairOf(t testing.TB) *huawei.PrivateKey {
	t.Helper()
	k, err := huawei.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// put stores a key of an app; private is kept where the key is ours.
func (w *world) put(app ekyc.AppID, id string, use ekyc.KeyUse, ours bool, k *huawei.PrivateKey, until time.Time) {
	w.T.Helper()
	spki, err := k.Public().SPKI()
	if err != nil {
		w.T.Fatal(err)
	}
	key := ekyc.AppKey{App: app, ID: id, Use: use, Ours: ours, Public: spki, Created: w.Clock.Now(), Until: until}
	if ours {
		der, err := k.PKCS8()
		if err != nil {
			w.T.Fatal(err)
		}
		key.Private = ekyc.Secret(base64.StdEncoding.EncodeToString(der))
	}
	if err := w.Kept.PutAppKey(w.Ctx, key); err != nil {
		w.T.Fatal(err)
	}
}

func newWorld(t testing.TB) *world {
	w := &world{Kit: testkit.New(t), sign: pairOf(t), enc: pairOf(t), ours: pairOf(t), oursEnc: pairOf(t)}
	w.put(w.App.ID, "DEV_SIGN", ekyc.KeySign, false, w.sign, time.Time{})
	w.put(w.App.ID, "DEV_ENC", ekyc.KeyEncrypt, false, w.enc, time.Time{})
	w.put(w.App.ID, "PP_SIGN", ekyc.KeySign, true, w.ours, time.Time{})
	w.put(w.App.ID, "PP_ENC", ekyc.KeyEncrypt, true, w.oursEnc, time.Time{})
	w.Authority.Add(number, name, testkit.Photo(testkit.Face{Person: "zhang"}))
	w.handler = New(w.Service, Config{Now: w.Clock.Now, Rand: rand.Reader, Log: w.Log})
	w.client = &huawei.Client{
		Base: "http://x", ClientID: string(w.App.ID), ClientSecret: string(w.App.Secret),
		SignKeyID: "DEV_SIGN", SignKey: w.sign, PlatformSignKeyID: "PP_SIGN", PlatformSignKey: w.ours.Public(),
		PlatformEncKeyID: "PP_ENC", PlatformEncKey: w.oursEnc.Public(), EncKeyID: "DEV_ENC", EncKey: w.enc,
		Now: w.Clock.Now, Rand: rand.Reader, HTTP: &http.Client{Transport: w},
	}
	return w
}

const (
	name, number = "张三丰", "11010519491231002X" // GB 11643's own example
	openID       = "88e9eae22447d7a138357cbf0af2d9a3"
)

// RoundTrip serves the client without a network.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// face announces a person, walks the page and returns what the app would get.
func (w *world) face(f testkit.Face) (ekyc.Session, map[string]string) {
	w.T.Helper()
	id, err := w.client.FacePreverify(w.Ctx, openID, name, number)
	if err != nil {
		w.T.Fatal(err)
	}
	if _, err := w.Walk(ekyc.Token(id), f); err != nil {
		w.T.Fatal(err)
	}
	return w.ended(id)
}

func (w *world) ended(id string) (ekyc.Session, map[string]string) {
	w.T.Helper()
	ses, err := w.Attend(w.Ctx, ekyc.Token(id))
	if err != nil {
		w.T.Fatal(err)
	}
	var a *ekyc.Attempt
	if n := len(ses.Attempts); n > 0 {
		a = &ses.Attempts[n-1]
	}
	return ses, Onward(w.Service)(&ses, a, "").Params
}

func code(err error) string {
	e, ok := err.(*huawei.Error)
	switch {
	case err == nil:
		return "000000"
	case !ok:
		return err.Error()
	}
	return strings.TrimSpace(e.Result + " " + e.Sub)
}

func TestAVerificationFromEndToEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, got := w.face(testkit.Face{Person: "zhang"})
	id := got[paramResult]
	if ok, err := w.client.FaceResult(w.Ctx, id, openID); err != nil || !ok {
		t.Errorf("the right face: got %v, %v", ok, err)
	}
	_, got = w.face(testkit.Face{Person: "li"})
	if ok, err := w.client.FaceResult(w.Ctx, got[paramResult], openID); err != nil || ok {
		t.Errorf("another's face is an answer, not an error: got %v, %v", ok, err)
	}
	if _, err := w.client.FaceResult(w.Ctx, id, openID+"0"); code(err) != "400000 INVALID_OPENID" {
		t.Errorf("another openId: got %s", code(err))
	}
	if _, err := w.client.FaceResult(w.Ctx, "12407091401520894056950001", openID); code(err) != "400000 INVALID_ARGUMENTS" {
		t.Errorf("an id of the vendor's own: got %s", code(err))
	}
	if _, err := w.client.Result(w.Ctx, id, openID); code(err) != "400000 INVALID_ARGUMENTS" {
		t.Errorf("a face's id at verification/result: got %s", code(err))
	}
	// Now that the face is known, so is the name.
	for _, c := range []struct {
		name string
		want bool
	}{{name, true}, {"李四", false}} {
		pre, err := w.client.Preverify(w.Ctx, openID, c.name, number)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Agree(w.Ctx, ekyc.Token(pre), confirmText.Version); err != nil {
			t.Fatal(err)
		}
		_, got := w.ended(pre)
		if ok, err := w.client.Result(w.Ctx, got[paramResult], openID); err != nil || ok != c.want {
			t.Errorf("the name %s: got %v, %v, want %v", c.name, ok, err, c.want)
		}
	}
	pre, err := w.client.AuthPreverify(w.Ctx, openID)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.client.AuthResult(w.Ctx, "4534234231", openID); code(err) != "400000 REAL_NAME_UNAUTHORIZED" {
		t.Errorf("before the user agreed: got %s", code(err))
	}
	if err := w.Agree(w.Ctx, ekyc.Token(pre), discloseText.Version); err != nil {
		t.Fatal(err)
	}
	_, got = w.ended(pre)
	if n, num, err := w.client.AuthResult(w.Ctx, got[paramAuth], openID); err != nil || n != name || num != number {
		t.Errorf("got %s %s, %v", n, num, err)
	}
	if _, _, err := w.client.AuthResult(w.Ctx, got[paramAuth], "somebody else"); code(err) != "400000 INVALID_OPENID" {
		t.Errorf("another's authorisation: got %s", code(err))
	}
	if got := w.Protocols(); got["huawei"] < 5 || len(got) != 1 {
		t.Errorf("counted %v, want sessions, attempts and charges of huawei", got)
	}
	for secret, what := range map[string]string{
		name: "name", number: "number", openID: "openId", id: "verifyResultId", pre: "preVerifyId", got[paramAuth]: "realNameAuthId",
		string(w.App.Secret): "client_secret",
	} {
		if strings.Contains(w.Logs.String(), secret) {
			t.Errorf("the log holds the %s", what)
		}
	}
}

func TestPreverifySaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.App.PerSubjectDay = 3
	w.PutApp(w.App)
	face := func(openID, name, number string) string {
		_, err := w.client.FacePreverify(w.Ctx, openID, name, number)
		return code(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"a name that is not theirs", face("a", "李四", number), "400000 REAL_NAME_NOT_CERTIFIED"},
		{"an unknown number", face("b", name, "440524188001010014"), "400000 REAL_NAME_NOT_CERTIFIED"},
		{"a rare character", face("c", "𠮷野", number), "400000 RARE_CHARACTERS_NOT_SUPPORTED"},
		{"no number", face("c", name, "1101"), "400000 INVALID_ARGUMENTS"},
		{"no name", face("c", "1", number), "400000 INVALID_ARGUMENTS"},
		{"no openId", face("", name, number), "400000 INVALID_ARGUMENTS"},
		{"512 characters", face(strings.Repeat("x", 512), name, number), "000000"},
		{"513 characters", face(strings.Repeat("x", 513), name, number), "400000 INVALID_ARGUMENTS"},
		{"first of the day", face("d", name, number), "000000"},
		{"second", face("d", name, number), "000000"},
		{"third", face("d", name, number), "000000"},
		{"fourth", face("d", name, number), "400000 DAILY_LIMIT_EXCEEDED"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, c.got, c.want)
		}
	}
	w.Authority.Add("440524188001010014", "李四", testkit.Photo(testkit.Face{Person: "li"}))
	w.face(testkit.Face{Person: "zhang"})
	if got := face(openID, "李四", "440524188001010014"); got != "400000 INVALID_OPENID" {
		t.Errorf("an openId that is another person's: got %s", got)
	}
	if _, err := w.client.Preverify(w.Ctx, "e", name, number); code(err) != "400000 REAL_NAME_NOT_CERTIFIED" {
		t.Errorf("a name before a face: got %s", code(err))
	}
	w.Authority.Err = ekyc.Errorf(ekyc.SourceFailed, "no answer")
	if got := face("f", name, number); got != "400000 UNKNOW_ERROR" {
		t.Errorf("a source that is down: got %s", got)
	}
}

// sent is a request whose parts can be spoilt.
type sent struct {
	auth   huawei.PayDevAuth
	header string // replaces auth, when set
	body   string
	method string
	key    *huawei.PrivateKey
	raw    func(*http.Request)
}

// good is a result query that would be answered.
func (w *world) good(id string) *sent {
	w.T.Helper()
	access, err := w.client.AccessToken(w.Ctx)
	if err != nil {
		w.T.Fatal(err)
	}
	var trace [8]byte
	if _, err := io.ReadFull(rand.Reader, trace[:]); err != nil {
		w.T.Fatal(err)
	}
	body, err := json.Marshal(huawei.ResultRequest{VerifyResultID: id, OpenID: openID})
	if err != nil {
		w.T.Fatal(err)
	}
	return &sent{
		key: w.sign, body: string(body), method: http.MethodPost,
		auth: huawei.PayDevAuth{
			ClientID: string(w.App.ID), AccessToken: access, TraceID: hex.EncodeToString(trace[:]), Time: w.Clock.Now().UnixMilli(),
			DeveloperSignKeyID: "DEV_SIGN", PetalpaySignKeyID: "PP_SIGN",
		},
	}
}

// signed signs what is there.
func (s *sent) signed(t testing.TB) *sent {
	t.Helper()
	if err := s.auth.SignBody(rand.Reader, s.key, []byte(s.body)); err != nil {
		text := "x" // a body that is no object cannot be signed; the server must say so first
		if err := s.auth.SignText(rand.Reader, s.key, text); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (w *world) send(s *sent) (answer map[string]any, body []byte) {
	w.T.Helper()
	header := s.header
	if header == "" {
		b, err := json.Marshal(s.auth)
		if err != nil {
			w.T.Fatal(err)
		}
		header = string(b)
	}
	r := httptest.NewRequest(s.method, huawei.PathFaceResult, strings.NewReader(s.body))
	r.Header.Set("pAyDeVaUtH", header)
	if s.raw != nil {
		s.raw(r)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "application/json; charset=UTF-8" {
		w.T.Errorf("HTTP %d, %s; want 200 and the documented type", rec.Code, rec.Header().Get("Content-Type"))
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		w.T.Fatalf("%s: %v", rec.Body, err)
	}
	return answer, rec.Body.Bytes()
}

func TestBadRequestsGetTheirDocumentedAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, got := w.face(testkit.Face{Person: "zhang"})
	id := got[paramResult]
	other := pairOf(t)
	w.put(w.App.ID, "DEV_OLD", ekyc.KeySign, false, other, w.Clock.Now().Add(-time.Second))
	disabled := ekyc.App{ID: "77", Name: "off", Key: "akDisabled", Secret: "skDisabled", Disabled: true}
	if err := w.Store.PutApp(w.Ctx, disabled); err != nil {
		t.Fatal(err)
	}
	field := func(name string, v any) func(*sent) {
		return func(s *sent) {
			s.signed(t)
			b, _ := json.Marshal(s.auth)
			var m map[string]any
			_ = json.Unmarshal(b, &m)
			if m[name] = v; v == "absent" {
				delete(m, name)
			}
			b, _ = json.Marshal(m)
			s.header = string(b)
		}
	}
	body := func(text string) func(*sent) { return func(s *sent) { s.body = text } }
	for name, c := range map[string]struct {
		spoil func(*sent)
		want  huawei.Code
	}{
		"nothing wrong":              {func(*sent) {}, huawei.Success},
		"no header":                  {func(s *sent) { s.raw = func(r *http.Request) { r.Header.Del(huawei.HeaderAuth) } }, huawei.MissingAuthHeader},
		"an empty header":            {func(s *sent) { s.header = " " }, huawei.MissingAuthHeader},
		"two headers":                {func(s *sent) { s.raw = func(r *http.Request) { r.Header.Add(huawei.HeaderAuth, "{}") } }, huawei.InvalidPayDevAuth},
		"no JSON":                    {func(s *sent) { s.header = "clientId=1" }, huawei.InvalidPayDevAuth},
		"a doubled key":              {func(s *sent) { s.header = `{"clientId":"8574074","traceId":"a","traceId":"b"}` }, huawei.InvalidPayDevAuth},
		"a huge header":              {func(s *sent) { s.header = `{"x":"` + strings.Repeat("x", maxHeader) + `"}` }, huawei.InvalidPayDevAuth},
		"no traceId":                 {field("traceId", "absent"), huawei.MissingTracerID},
		"traceId null":               {field("traceId", nil), huawei.MissingTracerID},
		"traceId a number":           {field("traceId", 7), huawei.InvalidTracerID},
		"traceId of 33":              {field("traceId", strings.Repeat("x", 33)), huawei.InvalidTracerID},
		"no headerSign":              {field("headerSign", ""), huawei.MissingHeaderSign},
		"no bodySign":                {field("bodySign", ""), huawei.MissingBodySign},
		"no time":                    {field("time", "absent"), huawei.MissingTime},
		"time a word":                {field("time", "now"), huawei.InvalidTime},
		"no accessToken":             {field("accessToken", ""), huawei.MissingAccessToken},
		"no sign key":                {field("petalpaySignKeyId", ""), huawei.MissingPlatformSign},
		"no developer key":           {field("developerSignKeyId", "absent"), huawei.MissingDeveloperSign},
		"no clientId":                {field("clientId", "absent"), huawei.ClientIDError},
		"clientId a number":          {field("clientId", 8574074), huawei.InvalidPayDevAuth},
		"clientId words":             {field("clientId", "abc"), huawei.ClientIDError},
		"clientId unknown":           {field("clientId", "123"), huawei.ClientIDError},
		"another app's id":           {field("clientId", string(w.Other.ID)), huawei.UnknownPlatformSign},
		"app switched off":           {field("clientId", "77"), huawei.InsufficientPermission},
		"stale":                      {func(s *sent) { s.auth.Time -= Window.Milliseconds() + 1 }, huawei.InvalidTime},
		"future":                     {func(s *sent) { s.auth.Time += Window.Milliseconds() + 1 }, huawei.InvalidTime},
		"just in time":               {func(s *sent) { s.auth.Time -= Window.Milliseconds() }, huawei.Success},
		"unknown sign key":           {func(s *sent) { s.auth.PetalpaySignKeyID = "X" }, huawei.UnknownPlatformSign},
		"our encryption key to sign": {func(s *sent) { s.auth.PetalpaySignKeyID = "PP_ENC" }, huawei.UnknownPlatformSign},
		"unknown encryption key":     {func(s *sent) { s.auth.PetalpayEncKeyID = "X" }, huawei.UnknownPlatformEnc},
		"unknown developer key":      {func(s *sent) { s.auth.DeveloperSignKeyID = "X" }, huawei.UnknownDeveloperSign},
		"a retired developer key":    {func(s *sent) { s.auth.DeveloperSignKeyID, s.key = "DEV_OLD", other }, huawei.UnknownDeveloperSign},
		"a token that is none":       {func(s *sent) { s.auth.AccessToken = "x" }, huawei.InvalidAuthHeader},
		"a forged token":             {func(s *sent) { s.auth.AccessToken = forged(s.auth.AccessToken) }, huawei.InvalidAuthHeader},
		"signed with another key":    {func(s *sent) { s.key = other }, huawei.InvalidSignature},
		"signature of another body": {func(s *sent) {
			s.signed(t)
			s.header = headerOf(s)
			s.body = strings.Replace(s.body, "88e9", "99e9", 1)
		}, huawei.InvalidSignature},
		"swapped signatures": {func(s *sent) {
			s.signed(t)
			s.auth.BodySign, s.auth.HeaderSign = s.auth.HeaderSign, s.auth.BodySign
			s.header = headerOf(s)
		}, huawei.InvalidSignature},
		"signatures that are no base64":  {field("headerSign", "!!"), huawei.InvalidSignature},
		"a header changed after signing": {field("extra", "x"), huawei.InvalidSignature},
		"body no JSON":                   {body("verifyResultId=1"), huawei.InvalidParameter},
		"body empty":                     {body(""), huawei.InvalidParameter},
		"body a list":                    {body("[]"), huawei.InvalidParameter},
		"body with doubled keys":         {body(`{"verifyResultId":"a","verifyResultId":"b","openId":"c"}`), huawei.InvalidParameter},
		"body too large":                 {body(`{"x":"` + strings.Repeat("x", maxBody) + `"}`), huawei.InvalidParameter},
		"body without fields":            {body(`{}`), huawei.InvalidArguments},
		"verifyResultId a number":        {body(`{"verifyResultId":7,"openId":"a"}`), huawei.InvalidArguments},
		"openId null":                    {body(`{"verifyResultId":"` + id + `","openId":null}`), huawei.InvalidArguments},
		"openId empty":                   {body(`{"verifyResultId":"` + id + `","openId":""}`), huawei.InvalidArguments},
		"openId a list":                  {body(`{"verifyResultId":"` + id + `","openId":["a"]}`), huawei.InvalidArguments},
		"openId of 512":                  {body(`{"verifyResultId":"` + id + `","openId":"` + strings.Repeat("名", 512) + `"}`), huawei.InvalidOpenID},
		"openId of 513":                  {body(`{"verifyResultId":"` + id + `","openId":"` + strings.Repeat("x", 513) + `"}`), huawei.InvalidArguments},
		"more fields than documented":    {body(`{"verifyResultId":"` + id + `","openId":"` + openID + `","extra":[{"a":null}]}`), huawei.Success},
		"GET":                            {func(s *sent) { s.method = http.MethodGet }, huawei.InvalidSignature},
	} {
		s := w.good(id)
		c.spoil(s)
		if s.auth.HeaderSign == "" && s.header == "" {
			s.signed(t)
		}
		got, raw := w.send(s)
		want := huawei.Code{Result: str(got["resultCode"]), ResultDesc: str(got["resultDesc"]), Sub: str(got["subCode"]), SubDesc: str(got["subDesc"])}
		if want != c.want {
			t.Errorf("%s: got %s, want %+v", name, raw, c.want)
			continue
		}
		// Every answer is signed as soon as the app is known, and says a Boolean or nothing.
		_, there := got["verifyResult"].(bool)
		if there != (c.want == huawei.Success) {
			t.Errorf("%s: got %s", name, raw)
		}
		switch name {
		case "no header", "an empty header", "two headers", "no JSON", "a doubled key", "a huge header", "no clientId", "clientId a number",
			"clientId words", "clientId unknown", "another app's id", "app switched off":
			if got["sign"] != "" {
				t.Errorf("%s: signed for whom? %s", name, raw)
			}
		default:
			if err := huawei.VerifyAnswer(w.ours.Public(), raw); err != nil {
				t.Errorf("%s: %v: %s", name, err, raw)
			}
		}
	}
	for _, secret := range []string{openID, id, "skDisabled", string(w.App.Secret)} {
		if strings.Contains(w.Logs.String(), secret) {
			t.Errorf("the log holds %.12s…", secret)
		}
	}
}

func str(v any) string { s, _ := v.(string); return s }

func headerOf(s *sent) string { b, _ := json.Marshal(s.auth); return string(b) }

func forged(access string) string {
	t, err := huawei.ParseAccessToken(access)
	if err != nil {
		return ""
	}
	t.Expires = t.Expires.Add(time.Hour)
	return t.String()
}

func TestReplaysAreRefusedOnEveryNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, got := w.face(testkit.Face{Person: "zhang"})
	s := w.good(got[paramResult]).signed(t)
	if got, raw := w.send(s); got["verifyResult"] != true {
		t.Fatalf("got %s", raw)
	}
	check := func(what string) {
		t.Helper()
		if got, raw := w.send(s); got["subCode"] != "INVALID_DUPLICATE_REQUEST" {
			t.Errorf("%s: got %s", what, raw)
		}
	}
	check("sent again")
	w.handler = New(w.Service, Config{Now: w.Clock.Now, Rand: rand.Reader, Log: w.Log}) // another node, the same database
	check("sent to another node")
	s = w.good(got[paramResult])
	first := *s.signed(t)
	first.body = "{}" // the signature does not fit: nothing may be remembered of it
	if got, raw := w.send(&first); got["subCode"] != "INVALID_SIGNATURE" {
		t.Fatalf("got %s", raw)
	}
	if got, raw := w.send(s); got["verifyResult"] != true {
		t.Errorf("a forged request used up the traceId: %s", raw)
	}
	w.Clock.Advance(Window)
	if _, err := w.Purge(w.Ctx); err != nil {
		t.Fatal(err)
	}
	check("at the window's end, after a purge")
	w.Clock.Advance(time.Millisecond)
	if got, raw := w.send(s); got["subCode"] != "INVALID_TIME" {
		t.Errorf("afterwards: got %s", raw)
	}
}

func TestLimitsOfTheApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.App.PerDay = 1
	w.PutApp(w.App)
	if _, err := w.client.FaceResult(w.Ctx, "x", openID); code(err) != "400000 INVALID_ARGUMENTS" {
		t.Errorf("got %s", code(err))
	}
	if _, err := w.client.FaceResult(w.Ctx, "x", openID); code(err) != "300000 CALL_FREQUENCY_LIMITED" {
		t.Errorf("a result beyond the day's calls: got %s", code(err))
	}
	if _, err := w.client.FacePreverify(w.Ctx, openID, name, number); code(err) != "400000 DAILY_LIMIT_EXCEEDED" {
		t.Errorf("a preverify beyond the day's calls: got %s", code(err))
	}
	w.client.ClientID, w.client.ClientSecret = string(w.Other.ID), string(w.Other.Secret)
	for id, k := range map[string]*huawei.PrivateKey{"PP_SIGN": w.ours, "PP_ENC": w.oursEnc} {
		w.put(w.Other.ID, id, map[string]ekyc.KeyUse{"PP_SIGN": ekyc.KeySign, "PP_ENC": ekyc.KeyEncrypt}[id], true, k, time.Time{})
	}
	w.put(w.Other.ID, "DEV_SIGN", ekyc.KeySign, false, w.sign, time.Time{})
	w.client = &huawei.Client{
		Base: w.client.Base, ClientID: w.client.ClientID, ClientSecret: w.client.ClientSecret, SignKeyID: "DEV_SIGN", SignKey: w.sign,
		PlatformSignKeyID: "PP_SIGN", PlatformSignKey: w.ours.Public(), PlatformEncKeyID: "PP_ENC", PlatformEncKey: w.oursEnc.Public(),
		Now: w.Clock.Now, Rand: rand.Reader, HTTP: w.client.HTTP,
	}
	if _, err := w.client.FacePreverify(w.Ctx, openID, name, number); code(err) != "100000 INSUFFICIENT_PERMISSION" {
		t.Errorf("an app without a plan: got %s", code(err))
	}
	if _, _, err := w.client.AuthResult(w.Ctx, "1", openID); err == nil {
		t.Error("a client without its key reads a real name")
	}
}

func TestKeysRotateWithTwoValidAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next := pairOf(t)
	w.put(w.App.ID, "PP_SIGN_2", ekyc.KeySign, true, next, time.Time{})
	for id, key := range map[string]*huawei.PrivateKey{"PP_SIGN": w.ours, "PP_SIGN_2": next} {
		s := w.good("x")
		s.auth.PetalpaySignKeyID = id
		if _, raw := w.send(s.signed(t)); huawei.VerifyAnswer(key.Public(), raw) != nil {
			t.Errorf("%s: the answer is not signed with the key that was asked for: %s", id, raw)
		}
	}
	// A key that was put under an id again takes the old one's place at once.
	w.put(w.App.ID, "PP_SIGN_2", ekyc.KeySign, true, w.enc, time.Time{})
	s := w.good("x")
	s.auth.PetalpaySignKeyID = "PP_SIGN_2"
	if _, raw := w.send(s.signed(t)); huawei.VerifyAnswer(w.enc.Public(), raw) != nil {
		t.Errorf("the answer is signed with a key that is gone: %s", raw)
	}
	w.put(w.App.ID, "PP_SIGN", ekyc.KeySign, true, w.ours, w.Clock.Now().Add(time.Hour))
	w.Clock.Advance(time.Hour)
	if _, err := w.client.FaceResult(w.Ctx, "x", openID); err == nil || !strings.Contains(err.Error(), "not the platform's signature") {
		t.Errorf("after its time the client's key verifies still: %v", err)
	}
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(method, query, form string) (int, map[string]any, string) {
		r := httptest.NewRequest(method, huawei.PathToken+query, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		var m map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil {
			t.Fatalf("%s: %v", rec.Body, err)
		}
		if rec.Header().Get("Cache-Control") != "no-store" {
			t.Error("a token may be cached")
		}
		return rec.Code, m, rec.Body.String()
	}
	good := url.Values{"grant_type": {"client_credentials"}, "client_id": {string(w.App.ID)}, "client_secret": {string(w.App.Secret)}}
	for name, c := range map[string][2]string{"query": {"?" + good.Encode(), ""}, "form": {"", good.Encode()}} {
		status, m, raw := ask("POST", c[0], c[1])
		if status != 200 || m["expires_in"] != 3600.0 || m["token_type"] != "Bearer" || strings.Contains(strings.ReplaceAll(raw, `\/`, ""), "/") {
			t.Errorf("%s: got %d %s", name, status, raw)
		}
	}
	for name, c := range map[string]struct {
		field, value string
		sub          float64
	}{
		"no grant_type":     {"grant_type", "", 20182},
		"wrong grant_type":  {"grant_type", "password", 20182},
		"no client_id":      {"client_id", "", 20002},
		"client_id words":   {"client_id", "abc", 20002},
		"client_id of 65":   {"client_id", strings.Repeat("1", 65), 20002},
		"unknown client_id": {"client_id", "1", 20003},
		"no secret":         {"client_secret", "", 20171},
		"a long secret":     {"client_secret", strings.Repeat("x", 129), 20172},
		"a wrong secret":    {"client_secret", "skWrong", 12304},
	} {
		q := url.Values{}
		for k, v := range good {
			q[k] = v
		}
		q.Set(c.field, c.value)
		if status, m, raw := ask("POST", "", q.Encode()); status != 400 || m["error"] != 1101.0 || m["sub_error"] != c.sub {
			t.Errorf("%s: got %d %s, want 1101 and %v", name, status, raw, c.sub)
		}
	}
	if status, _, raw := ask("GET", "?"+good.Encode(), ""); status != 405 {
		t.Errorf("GET: got %d %s", status, raw)
	}
	for range ekyc.GrantsPerWindow {
		ask("POST", "?"+good.Encode(), "")
	}
	if status, m, raw := ask("POST", "?"+good.Encode(), ""); status != 503 || m["error"] != 503.0 {
		t.Errorf("beyond 1000 in five minutes: got %d %s", status, raw)
	}
	w.Clock.Advance(ekyc.GrantsWindow)
	// An hour later the token is over.
	if _, err := w.client.FaceResult(w.Ctx, "x", openID); code(err) != "400000 INVALID_ARGUMENTS" {
		t.Fatalf("got %s", code(err))
	}
	s := w.good("x")
	w.Clock.Advance(huawei.TokenLifetime)
	s.auth.Time = w.Clock.Now().UnixMilli()
	if got, raw := w.send(s.signed(t)); got["subCode"] != "INVALID_AUTH_HEADER" {
		t.Errorf("a token after an hour: got %s", raw)
	}
}

func TestWhatTheAppIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		attempt  *ekyc.Attempt
		agreed   bool
		unusable string
		want     huawei.AppCode
	}{
		"left before agreeing": {nil, false, "", huawei.AppNotAgreed},
		"left after agreeing":  {nil, true, "", huawei.AppCancelled},
		"refused to agree":     {&ekyc.Attempt{Outcome: ekyc.Failed, Code: ekyc.Cancelled}, false, "", huawei.AppNotAgreed},
		"gave up":              {&ekyc.Attempt{Outcome: ekyc.Failed, Code: ekyc.Cancelled}, true, "", huawei.AppCancelled},
		"expired":              {nil, true, "expired", huawei.AppInvalidID},
		"no camera":            {&ekyc.Attempt{Outcome: ekyc.Failed, Code: ekyc.CameraRefused}, true, "", huawei.AppCameraRefused},
		"a photograph":         {&ekyc.Attempt{Outcome: ekyc.NonMatched, Code: ekyc.LivenessFailed}, true, "", huawei.AppNotLive},
		"the network went":     {&ekyc.Attempt{Outcome: ekyc.Failed, Code: ekyc.Interrupted}, true, "", huawei.AppNetwork},
		"a source is down":     {&ekyc.Attempt{Outcome: ekyc.Failed, Code: ekyc.SourceFailed}, true, "", huawei.AppInternal},
		"another app's":        {nil, true, "foreign_app", huawei.AppForeignApp},
		"another user's":       {nil, true, "foreign_subject", huawei.AppForeignUser},
	} {
		s := &ekyc.Session{Token: "AAAAAAAAAAAAAAAAAAAAAAAA"}
		if c.agreed {
			s.Agreement = &ekyc.Agreement{}
		}
		if got := Onward(w.Service)(s, c.attempt, c.unusable).Params; len(got) != 1 || got[paramCode] != string(c.want) {
			t.Errorf("%s: got %v, want code %s", name, got, c.want)
		}
	}
	o := Onward(w.Service)(&ekyc.Session{}, nil, "")
	for word, want := range map[string]huawei.AppCode{"unsupported": huawei.AppNoCapability, "offline": huawei.AppNetwork, "camera_denied": huawei.AppCameraRefused, "system": huawei.AppInternal} {
		if got := o.Trouble[word][paramCode]; got != string(want) {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
}

func TestPanicIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handler = New(broken{w.Service}, Config{Now: w.Clock.Now, Rand: rand.Reader, Log: w.Log})
	got, raw := w.send(w.good("x").signed(t))
	if got["resultCode"] != "500000" || bytes.Contains(raw, []byte("fire")) || huawei.VerifyAnswer(w.ours.Public(), raw) != nil {
		t.Errorf("got %s", raw)
	}
	if !strings.Contains(w.Logs.String(), "panic") {
		t.Error("the panic was not logged")
	}
}

// broken is a core that panics once the request is authenticated.
type broken struct{ *ekyc.Service }

func (broken) Admit(context.Context, ekyc.App) error { panic("the data base is on fire") }

// BenchmarkResult is a result query: both signatures checked, the traceId remembered in
// the database, the session read and opened, the answer signed. Compare with
// api/huawei's BenchmarkBare.
func BenchmarkResult(b *testing.B) {
	w := newWorld(b)
	_, got := w.face(testkit.Face{Person: "zhang"})
	requests := make([]*http.Request, b.N)
	for i := range requests {
		s := w.good(got[paramResult]).signed(b)
		requests[i] = httptest.NewRequest(http.MethodPost, huawei.PathFaceResult, strings.NewReader(s.body))
		requests[i].Header.Set(huawei.HeaderAuth, headerOf(s))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, r := range requests {
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if !bytes.Contains(rec.Body.Bytes(), []byte(`"verifyResult":true`)) {
			b.Fatal(rec.Body)
		}
	}
}
