package explorer

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	bd "shiren/api/baidu"
	hw "shiren/api/huawei"
	"shiren/internal/gateway/baidu"
	"shiren/internal/gateway/huawei"
	"shiren/internal/gateway/juhe"
)

// Every path that a gateway serves is described, and no other.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	for vendor, routes := range map[string][]string{Baidu: baidu.Routes(), Juhe: juhe.Routes(), Huawei: huawei.Routes()} {
		var described []string
		for _, i := range Interfaces() {
			if i.Vendor == vendor {
				described = append(described, i.Paths()...)
			}
		}
		slices.Sort(described)
		if !slices.Equal(routes, described) {
			t.Errorf("%s serves\n%q, described are\n%q", vendor, routes, described)
		}
	}
}

// Fields and codes have words in both languages, and no words are left over.
func TestEverythingIsExplained(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	var fields func(where string, list []Field)
	fields = func(where string, list []Field) {
		for _, f := range list {
			at := where + "." + f.Name
			if f.About.ZH == "" || f.About.EN == "" {
				t.Errorf("%s is not explained", at)
			}
			if f.Type == Array && f.Items == "" || f.Type == "" {
				t.Errorf("%s has no type", at)
			}
			if f.Source == FromEarlier && f.Variable == "" {
				t.Errorf("%s comes from an earlier answer, and has no variable", at)
			}
			if len(f.Enum) > 0 && f.Example != nil && !slices.Contains(f.Enum, f.Example) {
				t.Errorf("%s: the example is none of its values", at)
			}
			fields(at, f.Fields)
		}
	}
	for _, i := range Interfaces() {
		if seen[i.ID] || i.Title.ZH == "" || i.Title.EN == "" || i.About.ZH == "" || i.About.EN == "" || len(i.Auth) == 0 || len(i.Codes) == 0 || !strings.HasPrefix(i.ID, i.Vendor+".") {
			t.Errorf("%s: %+v: want an id of its own, words, a way to authenticate and codes", i.ID, i)
		}
		seen[i.ID] = true
		fields(i.ID+" request", i.Request)
		fields(i.ID+" answer", i.Answer)
		fields(i.ID+" refusal", i.Refusal)
		for _, c := range slices.Concat(i.Codes, i.Results) {
			if c.Code == "" || c.Text == "" {
				t.Errorf("%s: code %q has text %q", i.ID, c.Code, c.Text)
			}
		}
	}
	missing.Range(func(k, _ any) bool { t.Errorf("words has nothing on %s", k); return true })
	for k := range words {
		if _, ok := used.Load(k); !ok {
			t.Errorf("words explains %s, which is in no answer", k)
		}
	}
}

// The fields of requests are those of the messages that the Go clients send.
func TestRequestsAreTheClients(t *testing.T) {
	t.Parallel()
	names := func(v any) (list []string) {
		for i := range reflect.TypeOf(v).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
			list = append(list, name)
		}
		slices.Sort(list)
		return list
	}
	for id, message := range map[string]any{
		"baidu.generate": bd.GenerateRequest{}, "baidu.idcard": bd.SubmitRequest{}, "baidu.upload": bd.UploadRequest{}, "baidu.simple": bd.TokenRequest{},
		"baidu.detail": bd.TokenRequest{}, "baidu.stat": bd.TokenRequest{}, "baidu.media": bd.TokenRequest{}, "baidu.getall": bd.TokenRequest{},
		"baidu.match_v4": bd.MatchRequest{}, "baidu.verify_v4": bd.VerifyRequest{},
		"huawei.face_preverify": hw.PreverifyRequest{}, "huawei.preverify": hw.PreverifyRequest{},
		"huawei.face_result": hw.ResultRequest{}, "huawei.result": hw.ResultRequest{}, "huawei.auth_result": hw.AuthRequest{},
	} {
		i, _ := Find(id)
		var got []string
		for _, f := range i.Request {
			got = append(got, f.Name)
		}
		slices.Sort(got)
		if want := names(message); !slices.Equal(got, want) {
			t.Errorf("%s: described are %q, the client sends %q", id, got, want)
		}
	}
	v3, _ := Find("baidu.match_v3")
	var got []string
	for _, f := range v3.Request[0].Fields {
		got = append(got, f.Name)
	}
	if slices.Sort(got); !slices.Equal(got, names(bd.MatchPicture{})) {
		t.Errorf("match_v3: described are %q", got)
	}
}

// kin-openapi loads 3.1 documents, resolves them and checks their shape and every schema's,
// among them the words of 3.1: lists of types, examples, contentEncoding.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	text, err := OpenAPI("https://id.example.com", "1.0")
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenAPI("https://id.example.com", "1.0")
	if err != nil || string(again) != string(text) {
		t.Errorf("the document differs from time to time (%v)", err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil || !doc.IsOpenAPI31OrLater() {
		t.Fatalf("no OpenAPI 3.1: %v", err)
	}
	if got := doc.Servers[0].URL; got != "https://id.example.com" {
		t.Errorf("the server is %s", got)
	}
	for _, i := range Interfaces() {
		for _, p := range i.Paths() {
			if doc.Paths.Find(p).GetOperation(i.Method) == nil {
				t.Errorf("%s %s is not in the document", i.Method, p)
			}
		}
	}
	for _, secret := range []string{"client_secret\":\"", "localhost"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the document holds %s", secret)
		}
	}
}
