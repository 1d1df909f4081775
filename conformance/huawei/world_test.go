package huawei

import (
	"bufio"
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
	*testkit.Kit
	t       *testing.T
	handler http.Handler
	vars    map[string]string // "$T" to an id, ...
	secrets map[string]string // what no log may hold, to what it is
	keys    map[string]*api.PrivateKey
	signs   string // the key that the next request is signed with
}

// The kit's keys: the developer's and the platform's, to sign and to encrypt.
var ids = map[string]struct {
	use  ekyc.KeyUse
	ours bool
}{
	"DEV_SIGN": {ekyc.KeySign, false}, "DEV_ENC": {ekyc.KeyEncrypt, false}, "PP_SIGN": {ekyc.KeySign, true}, "PP_ENC": {ekyc.KeyEncrypt, true},
}

func newWorld(t *testing.T) *world {
	k := testkit.New(t)
	w := &world{Kit: k, t: t, vars: map[string]string{}, secrets: map[string]string{}, keys: map[string]*api.PrivateKey{}, signs: "DEV_SIGN"}
	for id := range ids {
		w.key(id, k.App.ID, id)
	}
	w.handler = gateway.New(k.Service, gateway.Config{Now: k.Clock.Now, Rand: rand.Reader, Log: k.Log})
	w.grant()
	w.vars["$CLIENT"], w.vars["$OPEN"] = string(k.App.ID), "88e9eae22447d7a138357cbf0af2d9a3"
	w.secrets[string(k.App.Secret)], w.secrets[w.vars["$OPEN"]] = "client_secret", "openId"
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) grant() {
	w.t.Helper()
	g, err := w.GrantByID(w.Ctx, w.App.ID, string(w.App.Secret), api.TokenLifetime)
	w.must(err)
	w.vars["$ACCESS"] = api.AccessToken{App: string(g.App), Expires: g.Expires, Nonce: g.Nonce, Tag: g.Tag}.String()
	w.secrets[w.vars["$ACCESS"]] = "access token"
}

// key makes a key and stores it as an app's under an id; like names what it is for.
func (w *world) key(id string, app ekyc.AppID, like string) {
	w.t.Helper()
	k, err := api.GenerateKey(rand.Reader)
	w.must(err)
	w.store(id, app, like, k, time.Time{})
}

func (w *world) store(id string, app ekyc.AppID, like string, k *api.PrivateKey, until time.Time) {
	w.t.Helper()
	spki, err := k.Public().SPKI()
	w.must(err)
	key := ekyc.AppKey{App: app, ID: id, Use: ids[like].use, Ours: ids[like].ours, Public: spki, Created: w.Clock.Now(), Until: until}
	if key.Ours {
		der, err := k.PKCS8()
		w.must(err)
		key.Private = ekyc.Secret(base64.StdEncoding.EncodeToString(der))
	}
	w.keys[id] = k
	w.must(w.Kept.PutAppKey(w.Ctx, key))
}

func (w *world) atoi(s string) int64 {
	w.t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	w.must(err)
	return n
}

// open opens a session of a purpose for the fixture's user and names it.
func (w *world) open(name string, o ekyc.Opening) ekyc.Session {
	w.t.Helper()
	o.Opener, o.Subject = gateway.Opener, ekyc.SubjectID(w.vars["$OPEN"])
	ses, err := w.OpenAs(w.Ctx, w.App, o)
	w.must(err)
	w.vars["$"+name] = string(ses.Token)
	w.secrets[string(ses.Token)] = "preVerifyId"
	return ses
}

// ended names what the page of a session would hand on.
func (w *world) ended(name string) {
	w.t.Helper()
	ses, err := w.Attend(w.Ctx, ekyc.Token(w.vars["$"+name]))
	w.must(err)
	for _, v := range gateway.Onward(w.Service)(&ses, &ses.Attempts[len(ses.Attempts)-1], "").Params {
		w.vars["$"+name] = v
		w.secrets[v] = "result id"
	}
}

var sha = func(s string) []byte { d := sha512.Sum512([]byte(s)); return d[:] }

// do makes one line of a fixture's "given" come true.
func (w *world) do(line string) {
	w.t.Helper()
	f := strings.Fields(line)
	claim := func(name, number string) ekyc.Claim {
		c, err := ekyc.ParseCommonClaim(name, number)
		w.must(err)
		return c
	}
	switch f[0] {
	case "authority": // authority NUMBER NAME PERSON
		w.Authority.Add(f[1], f[2], testkit.Photo(testkit.Face{Person: f[3]}))
	case "source": // source fails
		w.Authority.Err = ekyc.Errorf(ekyc.SourceFailed, "no answer")
	case "face": // face RESULT NUMBER NAME PERSON: a face verification that ended
		ses := w.open(f[1], ekyc.Opening{Claim: claim(f[3], f[2])})
		_, err := w.Walk(ses.Token, testkit.Face{Person: f[4]})
		w.must(err)
		w.ended(f[1])
	case "open": // open NAME NUMBER NAME: one that was not walked yet
		w.open(f[1], ekyc.Opening{Claim: claim(f[3], f[2])})
	case "confirm": // confirm RESULT NUMBER NAME: a comparison of digests that was agreed to
		w.open(f[1], ekyc.Opening{Purpose: ekyc.PurposeConfirm, Expect: ekyc.Expectation{Name: sha(f[3]), Number: sha(f[2])}, Consent: ekyc.Consent{Version: "1"}})
		w.must(w.Agree(w.Ctx, ekyc.Token(w.vars["$"+f[1]]), "1"))
		w.ended(f[1])
	case "disclose": // disclose AUTH: an authorisation that was agreed to
		w.open(f[1], ekyc.Opening{Purpose: ekyc.PurposeDisclose, Consent: ekyc.Consent{Version: "1"}})
		w.must(w.Agree(w.Ctx, ekyc.Token(w.vars["$"+f[1]]), "1"))
		w.ended(f[1])
	case "limit": // limit second|day|subject N
		n := w.atoi(f[2])
		switch f[1] {
		case "day":
			w.App.PerDay = n
		case "second":
			w.App.PerSecond = n
		case "subject":
			w.App.PerSubjectDay = n
		}
		w.PutApp(w.App)
	case "called": // the app made a call just now
		w.must(w.Admit(w.Ctx, w.App))
	case "disable":
		w.App.Disabled = true
		w.PutApp(w.App)
	case "planless": // the app has no plan for this protocol
		w.must(w.Store.PutPlan(w.Ctx, ekyc.Plan{ID: "3", App: w.Other.ID}))
	case "signs": // signs KEY: the key that the request is signed with
		w.signs = f[1]
	case "key": // key ID LIKE: a further key of the app
		w.key(f[1], w.App.ID, f[2])
	case "retire": // retire ID: it was valid until now
		w.store(f[1], w.App.ID, f[1], w.keys[f[1]], w.Clock.Now())
	case "seen": // seen TRACE: a request with this traceId was answered
		w.must(w.Once(w.Ctx, w.App.ID, f[1], w.Clock.Now().Add(time.Hour)))
	case "granted": // granted N: the app asked for this many tokens
		for range w.atoi(f[1]) {
			w.grant()
		}
	case "advance":
		d, err := time.ParseDuration(f[1])
		w.must(err)
		w.Clock.Advance(d)
	default:
		w.t.Fatalf("unknown line in given: %s", line)
	}
}

var (
	fills   = regexp.MustCompile(`\$\{fill (\d+)\}`)
	seals   = regexp.MustCompile(`\$\{enc ([^}]+)\}`)
	digests = regexp.MustCompile(`\$\{(sha256|sha512) ([^}]+)\}`)
	times   = regexp.MustCompile(`\$NOW([+-]\d+)?`)
	named   = regexp.MustCompile(`\$[A-Z]+`)
)

// expand puts in what a fixture's text names.
func (w *world) expand(text string) string {
	w.t.Helper()
	text = fills.ReplaceAllStringFunc(text, func(s string) string {
		return strings.Repeat("A", int(w.atoi(fills.FindStringSubmatch(s)[1])))
	})
	text = seals.ReplaceAllStringFunc(text, func(s string) string {
		plain := seals.FindStringSubmatch(s)[1]
		w.secrets[plain] = "encrypted field"
		c, err := api.Encrypt(rand.Reader, w.keys["PP_ENC"].Public(), plain)
		w.must(err)
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
			n += w.atoi(d)
		}
		return strconv.FormatInt(n, 10)
	})
	return named.ReplaceAllStringFunc(text, func(s string) string {
		if v, ok := w.vars[s]; ok {
			return v
		}
		return s
	})
}

// request makes the request that a fixture's text describes. $BODYSIGN and $HEADERSIGN in
// PayDevAuth are the signatures of what is there; "$AUTH" is a PayDevAuth without fault and
// "$AUTHENC" one with both encryption keys. A Content-Length is added.
func (w *world) request(text string) *http.Request {
	w.t.Helper()
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
		w.must(err)
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
			w.must(err)
			head = strings.Replace(head, "$HEADERSIGN", sig, 1)
		}
	}
	if !strings.Contains(head, "Content-Length:") {
		head += fmt.Sprintf("\nContent-Length: %d", len(body))
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body)))
	w.must(err)
	return r.WithContext(w.Ctx)
}

var token24 = regexp.MustCompile(`^[A-Za-z0-9]{24}$`)

// settle replaces what differs from run to run by what it must look like.
func (w *world) settle(answer map[string]any, raw []byte) {
	for name, v := range answer {
		s, ok := v.(string)
		if !ok {
			continue
		}
		switch name {
		case "sign":
			for id := range w.keys {
				if s != "" && api.VerifyAnswer(w.keys[id].Public(), raw) == nil {
					answer[name] = "<SM2 by " + id + ">"
				}
			}
		case "preVerifyId":
			if token24.MatchString(s) {
				answer[name] = "<24 letters and digits>"
			}
		case "access_token":
			if t, err := api.ParseAccessToken(s); err == nil {
				answer[name] = fmt.Sprintf("<of %s until %s>", t.App, t.Expires.Format(time.RFC3339))
			}
		case "credentialIdNo", "realName":
			if p, err := api.Decrypt(w.keys["DEV_ENC"], s); err == nil {
				answer[name] = "<for DEV_ENC: " + p + ">"
			}
		}
	}
}

func object(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("not a JSON object: %v: %.200q", err, b)
	}
	return m
}
