package baidu

import (
	"encoding/json"
	"flag"
	"net/http"
	"regexp"
	"strings"
	"testing"

	api "shiren/api/baidu"
	"shiren/conformance/fixture"
	"shiren/internal/ekyc"
	gateway "shiren/internal/gateway/baidu"
	"shiren/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the replies of the fixtures")

// base is where the fixtures' server says it is.
const base = "https://id.example.com"

// world is a service, its gateway and what the fixture calls things in it.
type world struct {
	*fixture.World
	handler http.Handler
	client  ekyc.Client // what the page says of itself from now on
}

func newWorld(t *testing.T) *world {
	w := &world{World: fixture.New(t)}
	w.handler = gateway.New(w.Service, gateway.Config{BaseURL: base, Now: w.Clock.Now, Log: w.Log})
	for name, app := range map[string]ekyc.App{"$ACCESS": w.App, "$OTHER": w.Other} {
		g, err := w.Grant(w.Ctx, app.Key, string(app.Secret))
		w.Must(err)
		w.Vars[name] = api.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}.String()
		w.Secrets[w.Vars[name]] = "access token"
	}
	return w
}

// Base, Handler and Given are of fixture.Case.
func (w *world) Base() *fixture.World { return w.World }

func (w *world) Handler() http.Handler { return w.handler }

func (w *world) token(name string) ekyc.Token {
	w.T.Helper()
	v, ok := w.Vars["$"+name]
	if !ok {
		w.T.Fatalf("no session is called %s", name)
	}
	return ekyc.Token(v)
}

// Given makes one line of a fixture's "given" come true.
func (w *world) Given(line string) {
	w.T.Helper()
	if w.Do(line) {
		return
	}
	f := strings.Fields(line)
	rest := func(n int) string { return strings.TrimSpace(strings.Join(f[n:], " ")) }
	switch f[0] {
	case "plan": // plan ID {fields of ekyc.Plan}
		p, err := w.Store.Plan(w.Ctx, "1")
		w.Must(err)
		p.ID = ekyc.PlanID(f[1])
		w.Must(json.Unmarshal([]byte(rest(2)), &p))
		w.PutPlan(p)
	case "open": // open PLAN NAME
		w.Vars["$"+f[2]] = string(w.OpenPlan(ekyc.PlanID(f[1])).Token)
		w.Secrets[w.Vars["$"+f[2]]] = "verify token"
	case "enrol": // enrol NAME PERSON
		w.Must(w.Enrol(w.Ctx, w.App, w.token(f[1]), testkit.Photo(testkit.Face{Person: f[2]}), ekyc.LevelNone, ekyc.LevelNone))
	case "declare": // declare NAME PERSONNAME NUMBER
		w.Must(w.Declare(w.Ctx, w.App, w.token(f[1]), w.claim(f[2], f[3])))
	case "agree":
		w.Consent(w.token(f[1]))
	case "enter": // enter NAME PERSONNAME NUMBER
		w.Must(w.Enter(w.Ctx, w.token(f[1]), w.claim(f[2], f[3])))
	case "walk": // walk NAME {face}
		_, err := w.Walk(w.token(f[1]), w.Face(rest(2)))
		w.Must(err)
	case "submit": // submit NAME {face}: frames that the page would not have sent
		w.submit(w.token(f[1]), w.Frames(w.Face(rest(2)), 3))
	case "videos": // the server can read and make videos
		w.Videos = tape{}
	case "client": // client {fields of ekyc.Client}
		w.Must(json.Unmarshal([]byte(rest(1)), &w.client))
	case "record": // record NAME KIND {face}: an upload of a recorded kind
		w.record(w.token(f[1]), ekyc.LivenessKind(f[2]), w.Face(rest(3)))
	case "flash": // flash NAME met|unmet {face}
		w.flash(w.token(f[1]), f[2] == "met", w.Face(rest(3)))
	case "card": // card NAME {testkit.Card}: the person photographs a side
		w.card(w.token(f[1]), w.Card(rest(2)))
	case "confirm": // confirm NAME {field: value}: what was read is right, or corrected so
		var given map[ekyc.CardField]string
		w.Must(json.Unmarshal([]byte(rest(2)), &given))
		for _, v := range given {
			w.Secrets[v] = "document"
		}
		w.Must(w.ConfirmCard(w.Ctx, w.token(f[1]), given))
	case "reader": // reader fails|none
		w.Reader.Hook = func() error { return ekyc.Errorf(ekyc.EngineFailed, "scripted") }
		if f[1] == "none" {
			w.Cards = nil
		}
	case "begin": // an attempt is under way
		_, err := w.Store.UpdateSession(w.Ctx, w.token(f[1]), func(s *ekyc.Session) error {
			_, err := s.Begin(w.Clock.Now(), "1234567890123456789")
			return err
		})
		w.Must(err)
	case "abandon": // abandon NAME CODE
		w.Must(w.Abandon(w.Ctx, w.token(f[1]), ekyc.Code(f[2])))
	case "grant": // grant NAME: a further access token
		g, err := w.Grant(w.Ctx, w.App.Key, string(w.App.Secret))
		w.Must(err)
		w.Vars["$"+f[1]] = api.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}.String()
	default:
		w.T.Fatalf("unknown line in given: %s", line)
	}
}

func (w *world) claim(name, number string) ekyc.Claim {
	w.T.Helper()
	c, err := ekyc.ParseClaim(name, number, ekyc.IDCard)
	w.Must(err)
	return c
}

var sent = regexp.MustCompile(`"(id_name|id_no|name|id_card_number|image|register_image|verify_token|access_token)"\s*:\s*"([^"]{2,})"`)

// Request makes the request that a fixture's text describes. "Authorization: bce SECRET"
// is signed.
func (w *world) Request(text string) *http.Request {
	w.T.Helper()
	text = w.Expand(text)
	_, body, _ := strings.Cut(text, "\n\n")
	if n := 8 << 10; len(body) > 2*n { // what is in between is a picture
		body = body[:n] + body[len(body)-n:]
	}
	for _, m := range sent.FindAllStringSubmatch(body, -1) {
		w.Secrets[m[2][:min(len(m[2]), 60)]] = m[1]
	}
	r := w.Read(text)
	if secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "bce "); ok {
		api.Sign(r, w.App.Key, secret, w.Clock.Now(), api.SignatureLifetime)
	}
	return r
}

var (
	logID    = regexp.MustCompile(`^[1-8][0-9]{18}$`)
	token24  = regexp.MustCompile(`^[A-Za-z0-9]{24}$`)
	hex32    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	access   = regexp.MustCompile(`^24\.[0-9a-f]{32}\.2592000\.(\d+)\.282335-8574074$`)
	refresh  = regexp.MustCompile(`^25\.[0-9a-f]{32}\.315360000\.(\d+)\.282335-8574074$`)
	linkPart = regexp.MustCompile(`(image|video|sign)=[0-9a-f]{32}\b`)
)

// Settle replaces what differs from run to run by what it must look like, so that
// replies can be compared as values with types.
func (w *world) Settle(key string, v any) any {
	switch v := v.(type) {
	case json.Number:
		if key == "log_id" && logID.MatchString(v.String()) {
			return json.Number("1000000000000000000")
		}
	case string:
		switch {
		case (key == "log_id" || key == "verify_log_id") && logID.MatchString(v):
			return "<19 digits>"
		case key == "verify_token" && token24.MatchString(v):
			return "<24 letters and digits>"
		case key == "access_token":
			return access.ReplaceAllString(v, "24.<32 hex>.2592000.$1.282335-8574074")
		case key == "refresh_token":
			return refresh.ReplaceAllString(v, "25.<32 hex>.315360000.$1.282335-8574074")
		case key == "session_secret" && hex32.MatchString(v):
			return "<32 hex>"
		case key == "session_key" && len(v) == 44:
			return "<32 bytes of base64>"
		case strings.HasPrefix(v, base+api.PathImage), strings.HasPrefix(v, base+api.PathVideo):
			for name, t := range w.Vars {
				v = strings.ReplaceAll(v, t, name)
			}
			return linkPart.ReplaceAllString(v, "$1=<32 hex>")
		}
	}
	return v
}

func TestDocumentedCases(t *testing.T) {
	fixture.Run(t, 100, *update, func(t *testing.T) fixture.Case { return newWorld(t) })
}
