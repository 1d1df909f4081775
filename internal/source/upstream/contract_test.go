package upstream_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
)

// TestContract holds what an HTTP source is sent, and what the tests have it reply, to the
// contract that is published.
func TestContract(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromFile("../../../docs/source-http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil || !doc.IsOpenAPI31OrLater() {
		t.Fatalf("the contract is no OpenAPI 3.1: %v", err)
	}
	doc.Servers = nil // the test's address is another one
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}
	replies := map[string]string{
		"/identity": `{"outcome":"no_record"}`,
		"/portrait": `{"outcome":"match","image":"YSBwb3J0cmFpdA=="}`,
		"/face":     `{"identity":"match","outcome":"non_match","score":0.25,"charged":false}`,
		"/mobile":   `{"outcome":"match","carrier":"unicom"}`,
	}
	asked := map[string]bool{}
	s, _ := open(t, upstream.HTTP, func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path] = true
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		route, params, err := router.FindRoute(r)
		if err != nil {
			t.Errorf("%s is not in the contract: %v", r.URL.Path, err)
			return
		}
		in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
		if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
			t.Errorf("%s: a request that is not of the contract: %v", r.URL.Path, err)
		}
		if r.Header.Get("Authorization") != "Bearer theSecret0001" {
			t.Errorf("%s: Authorization %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		check(t, in, replies[r.URL.Path])
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, replies[r.URL.Path])
	}, nil)
	ctx := t.Context()
	if out, err := s.Identity.Identity(ctx, zhang); out != ekyc.NoRecord || err != nil {
		t.Errorf("identity: %s, %v", out, err)
	}
	if image, err := s.Portrait.Portrait(ctx, zhang); string(image) != "a portrait" || err != nil {
		t.Errorf("portrait: %q, %v", image, err)
	}
	if out, score, err := s.Face.Face(ctx, zhang, []byte("a face")); out != ekyc.NonMatched || score != 0.25 || err != nil {
		t.Errorf("face: %s %v, %v", out, score, err)
	}
	permit := ekyc.Claim{Name: "陈小明", Number: "810000199408230021", Type: ekyc.ResidencePermit}
	if out, carrier, err := s.Mobile.Mobile(ctx, permit, "18612345678"); out != ekyc.Match || carrier != ekyc.ChinaUnicom || err != nil {
		t.Errorf("mobile: %s %q, %v", out, carrier, err)
	}
	if len(asked) != len(doc.Paths.Map()) {
		t.Errorf("asked %v of the contract's %d paths", asked, len(doc.Paths.Map()))
	}
	replies["/portrait"] = `{"outcome":"no_record"}`
	if _, err := s.Portrait.Portrait(ctx, zhang); ekyc.CodeOf(err) != ekyc.PortraitNone {
		t.Errorf("no portrait: %v, want %s", err, ekyc.PortraitNone)
	}
}

func check(t *testing.T, in *openapi3filter.RequestValidationInput, reply string) {
	t.Helper()
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Options: in.Options,
	}
	if !json.Valid([]byte(reply)) {
		t.Fatalf("%q is not JSON", reply)
	}
	out.SetBodyBytes([]byte(reply))
	if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
		t.Errorf("%s: a reply that is not of the contract: %v", in.Request.URL.Path, err)
	}
}
