package baidu

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "shiren/api/baidu"
	"shiren/internal/ekyc"
	gateway "shiren/internal/gateway/baidu"
	"shiren/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the replies of the fixtures")

// base is where the fixtures' server says it is.
const base = "https://id.example.com"

// world is a service, its gateway and what the fixture calls things in it.
type world struct {
	*testkit.Kit
	t       *testing.T
	handler http.Handler
	vars    map[string]string // "$T" to a verify token, ...
	secrets map[string]string // what no log may hold, to what it is
	client  ekyc.Client       // what the page says of itself from now on
}

func newWorld(t *testing.T) *world {
	k := testkit.New(t)
	w := &world{Kit: k, t: t, vars: map[string]string{}, secrets: map[string]string{}}
	w.handler = gateway.New(k.Service, gateway.Config{BaseURL: base, Now: k.Clock.Now, Log: k.Log})
	for name, app := range map[string]ekyc.App{"$ACCESS": k.App, "$OTHER": k.Other} {
		g, err := k.Grant(k.Ctx, app.Key, string(app.Secret))
		w.must(err)
		w.vars[name] = api.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}.String()
		w.secrets[w.vars[name]] = "access token"
		w.secrets[string(app.Secret)] = "secret key"
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) token(name string) ekyc.Token {
	w.t.Helper()
	v, ok := w.vars["$"+name]
	if !ok {
		w.t.Fatalf("no session is called %s", name)
	}
	return ekyc.Token(v)
}

func (w *world) atoi(s string) int64 {
	w.t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	w.must(err)
	return n
}

func (w *world) face(text string) testkit.Face {
	w.t.Helper()
	var f testkit.Face
	w.must(json.Unmarshal([]byte(text), &f))
	return f
}

// do makes one line of a fixture's "given" come true.
func (w *world) do(line string) {
	w.t.Helper()
	f := strings.Fields(line)
	rest := func(n int) string { return strings.TrimSpace(strings.Join(f[n:], " ")) }
	switch f[0] {
	case "plan": // plan ID {fields of ekyc.Plan}
		p, err := w.Store.Plan(w.Ctx, "1")
		w.must(err)
		p.ID = ekyc.PlanID(f[1])
		w.must(json.Unmarshal([]byte(rest(2)), &p))
		w.PutPlan(p)
	case "quota": // quota KIND N
		w.App.Quota = map[ekyc.ChargeKind]int64{ekyc.ChargeKind(f[1]): w.atoi(f[2])}
		w.PutApp(w.App)
	case "limit": // limit second|day N
		if f[1] == "day" {
			w.App.PerDay = w.atoi(f[2])
		} else {
			w.App.PerSecond = w.atoi(f[2])
		}
		w.PutApp(w.App)
	case "called": // the app made a call just now
		w.must(w.Admit(w.App))
	case "disable":
		w.App.Disabled = true
		w.PutApp(w.App)
	case "authority": // authority NUMBER NAME PERSON
		var portrait []byte
		if f[3] != "-" {
			portrait = testkit.Photo(testkit.Face{Person: f[3]})
		}
		w.Authority.Add(f[1], f[2], portrait)
	case "source": // source fails
		w.Authority.Err = ekyc.Errorf(ekyc.SourceFailed, "no answer")
	case "engine": // engine fails
		w.Engine.Hook = func() error { return ekyc.Errorf(ekyc.EngineFailed, "scripted") }
	case "open": // open PLAN NAME
		w.vars["$"+f[2]] = string(w.OpenPlan(ekyc.PlanID(f[1])).Token)
		w.secrets[w.vars["$"+f[2]]] = "verify token"
	case "enrol": // enrol NAME PERSON
		w.must(w.Enrol(w.Ctx, w.App, w.token(f[1]), testkit.Photo(testkit.Face{Person: f[2]}), ekyc.LevelNone, ekyc.LevelNone))
	case "declare": // declare NAME PERSONNAME NUMBER
		w.must(w.Declare(w.Ctx, w.App, w.token(f[1]), w.claim(f[2], f[3])))
	case "agree":
		w.Consent(w.token(f[1]))
	case "enter": // enter NAME PERSONNAME NUMBER
		w.must(w.Enter(w.Ctx, w.token(f[1]), w.claim(f[2], f[3])))
	case "walk": // walk NAME {face}
		_, err := w.Walk(w.token(f[1]), w.face(rest(2)))
		w.must(err)
	case "submit": // submit NAME {face}: frames that the page would not have sent
		w.submit(w.token(f[1]), w.Frames(w.face(rest(2)), 3))
	case "videos": // the server can read and make videos
		w.Videos = tape{}
	case "client": // client {fields of ekyc.Client}
		w.must(json.Unmarshal([]byte(rest(1)), &w.client))
	case "record": // record NAME KIND {face}: an upload of a recorded kind
		w.record(w.token(f[1]), ekyc.LivenessKind(f[2]), w.face(rest(3)))
	case "flash": // flash NAME met|unmet {face}
		w.flash(w.token(f[1]), f[2] == "met", w.face(rest(3)))
	case "begin": // an attempt is under way
		_, err := w.Store.UpdateSession(w.Ctx, w.token(f[1]), func(s *ekyc.Session) error {
			_, err := s.Begin(w.Clock.Now(), "1234567890123456789")
			return err
		})
		w.must(err)
	case "abandon": // abandon NAME CODE
		w.must(w.Abandon(w.Ctx, w.token(f[1]), ekyc.Code(f[2])))
	case "advance":
		d, err := time.ParseDuration(f[1])
		w.must(err)
		w.Clock.Advance(d)
	case "grant": // grant NAME: a further access token
		g, err := w.Grant(w.Ctx, w.App.Key, string(w.App.Secret))
		w.must(err)
		w.vars["$"+f[1]] = api.AccessToken{Nonce: g.Nonce, Tag: g.Tag, Expires: g.Expires, App: string(g.App)}.String()
	default:
		w.t.Fatalf("unknown line in given: %s", line)
	}
}

func (w *world) claim(name, number string) ekyc.Claim {
	w.t.Helper()
	c, err := ekyc.ParseClaim(name, number, ekyc.IDCard)
	w.must(err)
	return c
}

var (
	photos = regexp.MustCompile(`\$\{photo (\{.*?\})\}`)
	fills  = regexp.MustCompile(`\$\{fill (\d+)\}`)
	named  = regexp.MustCompile(`\$[A-Z]+`)
	sent   = regexp.MustCompile(`"(id_name|id_no|name|id_card_number|image|register_image|verify_token|access_token)"\s*:\s*"([^"]{2,})"`)
)

// request makes the request that a fixture's text describes. A Content-Length is added;
// "Authorization: bce SECRET" is signed.
func (w *world) request(text string) *http.Request {
	w.t.Helper()
	text = photos.ReplaceAllStringFunc(text, func(s string) string {
		b := base64.StdEncoding.EncodeToString(testkit.Photo(w.face(photos.FindStringSubmatch(s)[1])))
		w.secrets[b[:40]] = "image"
		return b
	})
	text = fills.ReplaceAllStringFunc(text, func(s string) string {
		return strings.Repeat("A", int(w.atoi(fills.FindStringSubmatch(s)[1])))
	})
	text = named.ReplaceAllStringFunc(text, func(s string) string {
		if v, ok := w.vars[s]; ok {
			return v
		}
		return s
	})
	head, body, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	body = strings.TrimSuffix(body, "\n")
	for _, m := range sent.FindAllStringSubmatch(body, -1) {
		w.secrets[m[2][:min(len(m[2]), 60)]] = m[1]
	}
	if !strings.Contains(head, "Content-Length:") {
		head += fmt.Sprintf("\nContent-Length: %d", len(body))
	}
	raw := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	w.must(err)
	if secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "bce "); ok {
		api.Sign(r, w.App.Key, secret, w.Clock.Now(), api.SignatureLifetime)
	}
	return r.WithContext(w.Ctx)
}

var (
	logID    = regexp.MustCompile(`^[1-8][0-9]{18}$`)
	token24  = regexp.MustCompile(`^[A-Za-z0-9]{24}$`)
	hex32    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	access   = regexp.MustCompile(`^24\.[0-9a-f]{32}\.2592000\.(\d+)\.282335-8574074$`)
	refresh  = regexp.MustCompile(`^25\.[0-9a-f]{32}\.315360000\.(\d+)\.282335-8574074$`)
	linkPart = regexp.MustCompile(`(image|video|sign)=[0-9a-f]{32}\b`)
)

// settle replaces what differs from run to run by what it must look like, so that
// replies can be compared as values with types.
func (w *world) settle(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = w.settle(k, v[k])
		}
	case []any:
		for i := range v {
			v[i] = w.settle(key, v[i])
		}
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
			for name, t := range w.vars {
				v = strings.ReplaceAll(v, t, name)
			}
			return linkPart.ReplaceAllString(v, "$1=<32 hex>")
		}
	}
	return v
}

func parseJSON(t *testing.T, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v: %.200q", err, b)
	}
	return v
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// leaks names the secrets that a log holds.
func leaks(log string, secrets map[string]string) (list []string) {
	for s, what := range secrets {
		if len(s) > 1 && strings.Contains(log, s) {
			list = append(list, what)
		}
	}
	if strings.Contains(log, `"Person"`) || strings.Contains(log, `\"Person\"`) {
		list = append(list, "raw image")
	}
	return list
}

// fixture is a file of testdata: a comment that cites the clause, then three parts, each
// under its "-- name --" line.
type fixture struct{ clause, given, request, reply string }

func readFixture(t *testing.T, file string) (f fixture) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rest := string(b)
	for _, part := range []struct {
		dst *string
		end string
	}{{&f.clause, "-- given --\n"}, {&f.given, "-- request --\n"}, {&f.request, "-- reply --\n"}} {
		var ok bool
		if *part.dst, rest, ok = strings.Cut(rest, part.end); !ok {
			t.Fatalf("%s has no line %q", file, part.end)
		}
	}
	f.reply = rest
	return f
}

func (f fixture) String() string {
	return f.clause + "-- given --\n" + f.given + "-- request --\n" + f.request + "-- reply --\n" + f.reply
}

func TestDocumentedCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d fixtures, %v; want at least 100", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			runCase(t, file)
		})
	}
}

func runCase(t *testing.T, file string) {
	f := readFixture(t, file)
	if !strings.HasPrefix(f.clause, "clause: ") {
		t.Error("the fixture cites no clause")
	}
	w := newWorld(t)
	for line := range strings.Lines(f.given) {
		if line = strings.TrimSpace(line); line != "" {
			w.do(line)
		}
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, w.request(f.request))

	var got bytes.Buffer
	fmt.Fprintf(&got, "HTTP %d\n%s\n\n", rec.Code, rec.Header().Get("Content-Type"))
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
		got.Write(indented(t, w.settle("", parseJSON(t, rec.Body.Bytes()))))
	} else {
		fmt.Fprintf(&got, "%q\n", rec.Body.String())
	}
	if bad := leaks(w.Logs.String(), w.secrets); bad != nil {
		t.Errorf("the log holds %v:\n%s", bad, w.Logs)
	}
	if *update {
		f.reply = got.String()
		if err := os.WriteFile(file, []byte(f.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	gotHead, gotBody, _ := strings.Cut(got.String(), "\n\n")
	wantHead, wantBody, _ := strings.Cut(f.reply, "\n\n")
	if gotHead != wantHead {
		t.Errorf("status and type: got %q, want %q", gotHead, wantHead)
	}
	if !strings.Contains(wantHead, "json") {
		if gotBody != wantBody {
			t.Errorf("body: got %s, want %s", gotBody, wantBody)
		}
		return
	}
	if diff := cmp.Diff(parseJSON(t, []byte(wantBody)), parseJSON(t, []byte(gotBody))); diff != "" {
		t.Errorf("reply (-want +got):\n%s\nlog:\n%s", diff, w.Logs)
	}
}

func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{"张三": "id_name", "sk0123456789": "secret key"}
	if got := leaks("refused name=张三", secrets); len(got) != 1 || got[0] != "id_name" {
		t.Errorf("got %v, want the name to be found", got)
	}
	if got := leaks("refused", secrets); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
}
