package juhe

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"shiren/internal/ekyc"
	"shiren/internal/gateway/wire"
)

// maxBody bounds a request's body: an image of 10 MB as base64 text, as the house's other
// interfaces take, with slack for characters that a form escapes. The vendor names no
// limit and recommends 16 to 20 KB. maxFields is our choice.
const (
	maxBody   = ekyc.MaxImage + 2<<20
	maxFields = 64
)

// fields are a request's parameters by lower-case name.
type fields map[string]field

// field is a value as it was sent; form tells that a space in it may have been a "+".
type field struct {
	raw  []byte
	form bool
}

var errFields = ekyc.Errorf(ekyc.BadRequest, "the body is neither a urlencoded nor a multipart form")

// parseFields finds parameters in the query string and in the body, whose word counts for more.
func parseFields(query, contentType string, body []byte) (fields, error) {
	f := fields{}
	if query != "" {
		// A query that is no form, such as "?debug", says nothing.
		_ = wire.Form([]byte(query), maxFields, f.form)
	}
	text := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(text)) == 0 {
		return f, nil
	}
	if b := boundary(contentType, text); b != "" {
		return f, f.multipart(text, b)
	}
	if err := wire.Form(text, maxFields, f.form); err != nil {
		return f, errFields
	}
	return f, nil
}

func (f fields) form(name string, value []byte) { f[strings.ToLower(name)] = field{value, true} }

// boundary is what divides a multipart body: as its Content-Type says, else as its first
// line does, since clients mislabel; "" for other bodies.
func boundary(contentType string, text []byte) string {
	kind, params, err := mime.ParseMediaType(contentType)
	if err == nil && kind == "multipart/form-data" && params["boundary"] != "" {
		return params["boundary"]
	}
	if line, _, ok := bytes.Cut(text, []byte("\r\n")); ok && len(line) > 2 && len(line) <= 72 && bytes.HasPrefix(line, []byte("--")) {
		return string(line[2:])
	}
	return ""
}

func (f fields) multipart(text []byte, boundary string) error {
	r := multipart.NewReader(bytes.NewReader(text), boundary)
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil || n == maxFields:
			return errFields
		}
		value, err := io.ReadAll(p) // bounded by the body
		if err != nil {
			return errFields
		}
		f[strings.ToLower(p.FormName())] = field{value, false}
	}
}

// text reads a parameter; one that is absent or blank is MissingParam.
func (f fields) text(name string) (string, error) {
	v := bytes.TrimSpace(f[name].raw)
	if len(v) == 0 {
		return "", ekyc.Errorf(ekyc.MissingParam, "%s is missing", name)
	}
	return string(v), nil
}

// texts reads parameters of which none may be missing.
func (f fields) texts(names ...string) ([]string, error) {
	var list []string
	for _, name := range names {
		v, err := f.text(name)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// image reads the portrait.
func (f fields) image(name string) ([]byte, error) {
	v := f[name]
	return wire.Image(name, v.raw, v.form)
}

// readFields reads a request's parameters. What they point to is theirs: nothing of buf.
func readFields(w http.ResponseWriter, r *http.Request) (fields, error) {
	if r.Method == http.MethodGet {
		return parseFields(r.URL.RawQuery, "", nil)
	}
	buf := wire.Buffer()
	defer wire.Release(buf)
	if err := wire.Read(w, r, buf, maxBody); err != nil {
		return nil, err
	}
	return parseFields(r.URL.RawQuery, r.Header.Get("Content-Type"), buf.Bytes())
}
