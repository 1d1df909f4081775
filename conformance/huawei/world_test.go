package huawei

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	api "shiren/api/huawei"
	"shiren/conformance/fixture"
	"shiren/internal/ekyc"
	gateway "shiren/internal/gateway/huawei"
	"shiren/internal/testkit"
)

// TestMain keeps the kits' evidence files in memory where the system offers that.
func TestMain(m *testing.M) {
	if d, err := os.MkdirTemp("/dev/shm", "conformance-huawei-"); err == nil {
		_ = os.Setenv("TMPDIR", d)
		code := m.Run()
		_ = os.RemoveAll(d)
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// world is a service, its gateway, an app's keys, and what a fixture calls things in it.
type world struct {
	*fixture.World
	handler http.Handler
	keys    map[string]*api.PrivateKey
	signs   string // the key that the next request is signed with
	raw     []byte // the answer
}

// The kit's keys: the developer's and the platform's, to sign and to encrypt.
var ids = map[string]struct {
	use  ekyc.KeyUse
	ours bool
}{
	"DEV_SIGN": {ekyc.KeySign, false}, "DEV_ENC": {ekyc.KeyEncrypt, false}, "PP_SIGN": {ekyc.KeySign, true}, "PP_ENC": {ekyc.KeyEncrypt, true},
}

func newWorld(t *testing.T) *world {
	w := &world{World: fixture.New(t), keys: map[string]*api.PrivateKey{}, signs: "DEV_SIGN"}
	k := w.Kit
	for id := range ids {
		w.key(id, k.App.ID, id)
	}
	w.handler = gateway.New(k.Service, gateway.Config{Now: k.Clock.Now, Rand: rand.Reader, Log: k.Log})
	w.grant()
	w.Vars["$CLIENT"], w.Vars["$OPEN"] = string(k.App.ID), "88e9eae22447d7a138357cbf0af2d9a3"
	w.Secrets[string(k.App.Secret)], w.Secrets[w.Vars["$OPEN"]] = "client_secret", "openId"
	return w
}

func (w *world) grant() {
	w.T.Helper()
	g, err := w.GrantByID(w.Ctx, w.App.ID, string(w.App.Secret), api.TokenLifetime)
	w.Must(err)
	w.Vars["$ACCESS"] = api.AccessToken{App: string(g.App), Expires: g.Expires, Nonce: g.Nonce, Tag: g.Tag}.String()
	w.Secrets[w.Vars["$ACCESS"]] = "access token"
}

// key makes a key and stores it as an app's under an id; like names what it is for.
func (w *world) key(id string, app ekyc.AppID, like string) {
	w.T.Helper()
	k, err := api.GenerateKey(rand.Reader)
	w.Must(err)
	w.store(id, app, like, k, time.Time{})
}

func (w *world) store(id string, app ekyc.AppID, like string, k *api.PrivateKey, until time.Time) {
	w.T.Helper()
	spki, err := k.Public().SPKI()
	w.Must(err)
	key := ekyc.AppKey{App: app, ID: id, Use: ids[like].use, Ours: ids[like].ours, Public: spki, Created: w.Clock.Now(), Until: until}
	if key.Ours {
		der, err := k.PKCS8()
		w.Must(err)
		key.Private = ekyc.Secret(base64.StdEncoding.EncodeToString(der))
	}
	w.keys[id] = k
	w.Must(w.Kept.PutAppKey(w.Ctx, key))
}

// open opens a session of a purpose for the fixture's user and names it.
func (w *world) open(name string, o ekyc.Opening) ekyc.Session {
	w.T.Helper()
	o.Opener, o.Subject = gateway.Opener, ekyc.SubjectID(w.Vars["$OPEN"])
	ses, err := w.OpenAs(w.Ctx, w.App, o)
	w.Must(err)
	w.Vars["$"+name] = string(ses.Token)
	w.Secrets[string(ses.Token)] = "preVerifyId"
	return ses
}

// ended names what the page of a session would hand on.
func (w *world) ended(name string) {
	w.T.Helper()
	ses, err := w.Attend(w.Ctx, ekyc.Token(w.Vars["$"+name]))
	w.Must(err)
	for _, v := range gateway.Onward(w.Service)(&ses, &ses.Attempts[len(ses.Attempts)-1], "").Params {
		w.Vars["$"+name] = v
		w.Secrets[v] = "result id"
	}
}

var sha = func(s string) []byte { d := sha512.Sum512([]byte(s)); return d[:] }

func (w *world) Base() *fixture.World { return w.World }

func (w *world) Handler() http.Handler { return w.handler }

// Given makes one line of a fixture's "given" come true.
func (w *world) Given(line string) {
	w.T.Helper()
	f := strings.Fields(line)
	claim := func(name, number string) ekyc.Claim {
		c, err := ekyc.ParseCommonClaim(name, number)
		w.Must(err)
		return c
	}
	switch f[0] {
	case "face": // face RESULT NUMBER NAME PERSON: a face verification that ended
		ses := w.open(f[1], ekyc.Opening{Claim: claim(f[3], f[2])})
		_, err := w.Walk(ses.Token, testkit.Face{Person: f[4]})
		w.Must(err)
		w.ended(f[1])
	case "open": // open NAME NUMBER NAME: one that was not walked yet
		w.open(f[1], ekyc.Opening{Claim: claim(f[3], f[2])})
	case "confirm": // confirm RESULT NUMBER NAME: a comparison of digests that was agreed to
		w.open(f[1], ekyc.Opening{Purpose: ekyc.PurposeConfirm, Expect: ekyc.Expectation{Name: sha(f[3]), Number: sha(f[2])}, Consent: ekyc.Consent{Version: "1"}})
		w.Must(w.Agree(w.Ctx, ekyc.Token(w.Vars["$"+f[1]]), "1"))
		w.ended(f[1])
	case "disclose": // disclose AUTH: an authorisation that was agreed to
		w.open(f[1], ekyc.Opening{Purpose: ekyc.PurposeDisclose, Consent: ekyc.Consent{Version: "1"}})
		w.Must(w.Agree(w.Ctx, ekyc.Token(w.Vars["$"+f[1]]), "1"))
		w.ended(f[1])
	case "user-limit": // user-limit N: calls a day for one user
		w.App.PerSubjectDay = w.Atoi(f[1])
		w.PutApp(w.App)
	case "planless": // the app has no plan for this protocol
		w.Must(w.Store.PutPlan(w.Ctx, ekyc.Plan{ID: "3", App: w.Other.ID}))
	case "signs": // signs KEY: the key that the request is signed with
		w.signs = f[1]
	case "key": // key ID LIKE: a further key of the app
		w.key(f[1], w.App.ID, f[2])
	case "retire": // retire ID: it was valid until now
		w.store(f[1], w.App.ID, f[1], w.keys[f[1]], w.Clock.Now())
	case "seen": // seen TRACE: a request with this traceId was answered
		w.Must(w.Once(w.Ctx, w.App.ID, f[1], w.Clock.Now().Add(time.Hour)))
	case "granted": // granted N: the app asked for this many tokens
		for range w.Atoi(f[1]) {
			w.grant()
		}
	default:
		if w.Do(line) {
			return
		}
		w.T.Fatalf("unknown line in given: %s", line)
	}
}

var (
	seals   = regexp.MustCompile(`\$\{enc ([^}]+)\}`)
	digests = regexp.MustCompile(`\$\{(sha256|sha512) ([^}]+)\}`)
	times   = regexp.MustCompile(`\$NOW([+-]\d+)?`)
)

// expand puts in what a fixture's text names.
func (w *world) expand(text string) string {
	w.T.Helper()
	text = seals.ReplaceAllStringFunc(text, func(s string) string {
		plain := seals.FindStringSubmatch(s)[1]
		w.Secrets[plain] = "encrypted field"
		c, err := api.Encrypt(rand.Reader, w.keys["PP_ENC"].Public(), plain)
		w.Must(err)
		return c
	})
	text = digests.ReplaceAllStringFunc(text, func(s string) string {
		m := digests.FindStringSubmatch(s)
		if m[1] == "sha256" {
			d := sha256.Sum256([]byte(m[2]))
			return hex.EncodeToString(d[:])
		}
		return hex.EncodeToString(sha(m[2]))
	})
	text = times.ReplaceAllStringFunc(text, func(s string) string {
		n := w.Clock.Now().UnixMilli()
		if d := times.FindStringSubmatch(s)[1]; d != "" {
			n += w.Atoi(d)
		}
		return strconv.FormatInt(n, 10)
	})
	return w.Expand(text)
}

// Request makes the request that a fixture's text describes. $BODYSIGN and $HEADERSIGN in
// PayDevAuth are the signatures of what is there; "$AUTH" is a PayDevAuth without fault and
// "$AUTHENC" one with both encryption keys. A Content-Length is added.
func (w *world) Request(text string) *http.Request {
	w.T.Helper()
	const auth = `{"clientId":"$CLIENT","accessToken":"$ACCESS","traceId":"202305151026422776499","time":$NOW,` +
		`%s"developerSignKeyId":"DEV_SIGN","petalpaySignKeyId":"PP_SIGN","headerSign":"$HEADERSIGN","bodySign":"$BODYSIGN"}`
	text = strings.Replace(text, "$AUTHENC", fmt.Sprintf(auth, `"petalpayEncKeyId":"PP_ENC","developerEncKeyId":"DEV_ENC",`), 1)
	text = w.expand(strings.Replace(text, "$AUTH", fmt.Sprintf(auth, ""), 1))
	head, body, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	body = strings.TrimSuffix(body, "\n")
	key := w.keys[w.signs]
	if strings.Contains(head, "$BODYSIGN") {
		s, err := api.SignStringOf([]byte(body))
		if err != nil {
			s = body // a body that is no object: the server says so before it looks at the signature
		}
		sig, err := api.Sign(rand.Reader, key, s)
		w.Must(err)
		head = strings.Replace(head, "$BODYSIGN", sig, 1)
	}
	if strings.Contains(head, "$HEADERSIGN") {
		for line := range strings.Lines(head) {
			name, value, _ := strings.Cut(line, ": ")
			if !strings.EqualFold(name, api.HeaderAuth) {
				continue
			}
			s, err := api.SignStringOf([]byte(value), "headerSign")
			if err != nil {
				s = value
			}
			sig, err := api.Sign(rand.Reader, key, s)
			w.Must(err)
			head = strings.Replace(head, "$HEADERSIGN", sig, 1)
		}
	}
	return w.Read(head + "\n\n" + body)
}

var token24 = regexp.MustCompile(`^[A-Za-z0-9]{24}$`)

// Answered keeps the answer, whose signature is over its bytes.
func (w *world) Answered(raw []byte) { w.raw = raw }

// Settle replaces what differs from run to run by what it must look like.
func (w *world) Settle(name string, v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	switch name {
	case "sign":
		for id := range w.keys {
			if s != "" && api.VerifyAnswer(w.keys[id].Public(), w.raw) == nil {
				return "<SM2 by " + id + ">"
			}
		}
	case "preVerifyId":
		if token24.MatchString(s) {
			return "<24 letters and digits>"
		}
	case "access_token":
		if t, err := api.ParseAccessToken(s); err == nil {
			return fmt.Sprintf("<of %s until %s>", t.App, t.Expires.Format(time.RFC3339))
		}
	case "credentialIdNo", "realName":
		if p, err := api.Decrypt(w.keys["DEV_ENC"], s); err == nil {
			return "<for DEV_ENC: " + p + ">"
		}
	}
	return v
}

func object(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("not a JSON object: %v: %.200q", err, b)
	}
	return m
}
