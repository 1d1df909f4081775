package juhe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	api "shiren/api/juhe"
	"shiren/conformance/fixture"
	"shiren/internal/ekyc"
	gateway "shiren/internal/gateway/juhe"
	"shiren/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the replies of the fixtures, and docs/sandbox.md")

// world is a service and its gateway.
type world struct {
	*fixture.World
	handler http.Handler
}

func newWorld(t testing.TB) *world {
	w := &world{World: fixture.New(t)}
	w.handler = gateway.New(w.Service, gateway.Config{Now: w.Clock.Now, Log: w.Log})
	w.Vars["$KEY"] = string(w.App.Bearer)
	for _, secret := range []string{"张三", "11010519491231002X", "13800138000"} {
		w.Secrets[secret] = "what was said of a person"
	}
	return w
}

func (w *world) Base() *fixture.World { return w.World }

func (w *world) Handler() http.Handler { return w.handler }

func (w *world) Request(text string) *http.Request { return w.Read(w.Expand(text)) }

// Given makes one line of a fixture's "given" come true.
func (w *world) Given(line string) {
	w.T.Helper()
	if !w.Do(line) {
		w.T.Fatalf("unknown line in given: %s", line)
	}
}

var order = regexp.MustCompile(`^(JH801[0-9]{12})[0-9A-Za-z]{5}$`)

// Settle replaces the part of an orderid that is drawn.
func (w *world) Settle(key string, v any) any {
	if s, ok := v.(string); ok && key == "orderid" {
		return order.ReplaceAllString(s, "$1<5 letters or digits>")
	}
	return v
}

func TestDocumentedCases(t *testing.T) {
	fixture.Run(t, 100, *update, func(t *testing.T) fixture.Case { return newWorld(t) })
}

// Every documented result and code is the reply of a fixture.
func TestFixturesAreWhole(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	said := regexp.MustCompile(`"(error_code|res)": (\d+)`)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, reply, _ := strings.Cut(string(b), "-- reply --\n")
		for _, m := range said.FindAllStringSubmatch(reply, -1) {
			seen[m[2]] = true
		}
	}
	for r := api.AllMatch; r <= api.IdentityUncheckedMobileBad; r++ {
		if b, _ := json.Marshal(r); !seen[string(b)] {
			t.Errorf("no fixture shows result %d", r)
		}
	}
	for _, c := range api.Codes() {
		if b, _ := json.Marshal(c); !seen[string(b)] {
			t.Errorf("no fixture shows error %d", c)
		}
	}
}

// What real clients sent is read: their key, their person, their image. Theirs is a
// picture cut after a few bytes, or no picture: it cannot be compared.
func TestCapturedRequests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/captures/juhe-*.http")
	if err != nil || len(files) == 0 {
		t.Skip("no captured requests beside the project: what real clients sent is not replayed")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".http"), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			const number = "110101199003070134"
			w.Secrets[number] = "identity number"
			w.Authority.Add(number, "张三", testkit.Photo(testkit.Face{Person: "zhang"}))
			w.Mobiles.Add("13800138000", number, ekyc.ChinaMobile)
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
			w.Must(err)
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r.WithContext(w.Ctx))
			if !strings.Contains(rec.Body.String(), `"res":104,`) {
				t.Errorf("got %s, want result 104", rec.Body)
			}
			if bad := w.Leaks(); bad != nil {
				t.Errorf("the log holds %v", bad)
			}
		})
	}
}

// The Go client against the gateway on a real connection: an answer, a refusal, charges.
func TestGoClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Authority.Add("11010519491231002X", "张三", testkit.Photo(testkit.Face{Person: "zhang"}))
	w.Mobiles.Add("13800138000", "11010519491231002X", ekyc.ChinaTelecom)
	srv := httptest.NewServer(w.handler)
	defer srv.Close()
	c := &api.Client{Base: srv.URL, Key: string(w.App.Bearer)}
	q := api.Request{RealName: "张三", IDCard: "11010519491231002X", Mobile: "13800138000", Image: testkit.Photo(testkit.Face{Person: "zhang"})}
	r, err := c.Query(t.Context(), q)
	if err != nil || r.Res != api.AllMatch || r.Score != 1000 || r.Type != api.ChinaTelecom || !order.MatchString(r.OrderID) {
		t.Errorf("got %+v, %v", r, err)
	}
	list, err := w.Store.Directs(w.Ctx, ekyc.DirectQuery{ID: r.OrderID})
	if err != nil || len(list) != 1 || list[0].App != w.App.ID || !list[0].Answered {
		t.Errorf("found by its orderid: %+v, %v", list, err)
	}
	q.Mobile = "1"
	_, err = c.Query(t.Context(), q)
	if e, ok := err.(*api.Error); !ok || e.Code != api.MobileFormat || e.Reason != api.MobileFormat.Reason() {
		t.Errorf("got %v, want %d", err, api.MobileFormat)
	}
	if n, err := w.Store.Charged(w.Ctx, w.App.ID, ekyc.ChargeElements); err != nil || n != 1 {
		t.Errorf("%d charges, %v; want 1", n, err)
	}
}
