package huawei

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Object is a JSON object as it is signed: values are nil, bool, json.Number, string,
// Object or []any of these.
type Object map[string]any

// Bounds of a signed object's shape. The protocol nests two deep and has about ten
// fields; these are our choices, against texts that are made to cost.
const (
	maxDepth  = 8
	maxFields = 256
)

// Errors of ParseObject. They hold nothing of the text.
var (
	ErrNotObject = errors.New("not a JSON object in UTF-8")
	ErrTwice     = errors.New("a field is there twice")
	ErrShape     = errors.New("the JSON object is nested too deep or has too many fields")
)

// ParseObject reads a JSON object. Fields that are there twice make the signed text
// ambiguous and are refused. Numbers keep their digits.
func ParseObject(text []byte) (Object, error) {
	if !utf8.Valid(text) {
		return nil, ErrNotObject
	}
	p := parser{d: json.NewDecoder(bytes.NewReader(text)), left: maxFields}
	p.d.UseNumber()
	t, err := p.d.Token()
	if err != nil || t != json.Delim('{') {
		return nil, ErrNotObject
	}
	o, err := p.object(1)
	if err != nil {
		return nil, err
	}
	if _, err := p.d.Token(); !errors.Is(err, io.EOF) {
		return nil, ErrNotObject
	}
	return o, nil
}

type parser struct {
	d    *json.Decoder
	left int
}

func (p *parser) object(depth int) (Object, error) {
	if depth > maxDepth {
		return nil, ErrShape
	}
	o := Object{}
	for p.d.More() {
		t, err := p.d.Token()
		if err != nil {
			return nil, ErrNotObject
		}
		name := t.(string) // an object's first, third, fifth… token
		if _, there := o[name]; there {
			return nil, ErrTwice
		}
		if o[name], err = p.value(depth); err != nil {
			return nil, err
		}
	}
	if _, err := p.d.Token(); err != nil {
		return nil, ErrNotObject
	}
	return o, nil
}

func (p *parser) value(depth int) (any, error) {
	if p.left--; p.left < 0 {
		return nil, ErrShape
	}
	t, err := p.d.Token()
	if err != nil {
		return nil, ErrNotObject
	}
	switch t {
	case json.Delim('{'):
		return p.object(depth + 1)
	case json.Delim('['):
		if depth >= maxDepth {
			return nil, ErrShape
		}
		list := []any{}
		for p.d.More() {
			v, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		if _, err := p.d.Token(); err != nil {
			return nil, ErrNotObject
		}
		return list, nil
	}
	return t, nil
}

// SignString makes the text that is signed of an object: guide, "构造待签名字符串". The field
// sign and the fields named in without are left out, at the top only. What the guide does
// not say is our choice: a null inside a list is left out; a nested object is written like
// a list of one; a list of plain values is those values, joined with ','.
func SignString(o Object, without ...string) string {
	var b strings.Builder
	b.Grow(512) // most headers
	writeObject(&b, o, append(without, "sign"))
	return b.String()
}

func writeObject(b *strings.Builder, o Object, without []string) {
	names := make([]string, 0, len(o))
	for name, v := range o {
		if v != nil && !slices.Contains(without, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names) // by byte, which for ASCII is the guide's order
	for i, name := range names {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name)
		b.WriteByte('=')
		writeValue(b, o[name])
	}
}

func writeValue(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.WriteString(v)
	case json.Number:
		b.WriteString(v.String())
	case bool:
		if v {
			b.WriteString("true")
		} else {
			b.WriteString("false")
		}
	case Object:
		writeObject(b, v, nil)
	case []any:
		first := true
		for _, e := range v {
			if e == nil {
				continue
			}
			if !first {
				b.WriteByte(',')
			}
			first = false
			writeValue(b, e)
		}
	}
}

// SignStringOf is SignString of a JSON text.
func SignStringOf(text []byte, without ...string) (string, error) {
	o, err := ParseObject(text)
	if err != nil {
		return "", err
	}
	return SignString(o, without...), nil
}

// SignURI is the text that is signed in place of a body for GET: the request URI, path and
// query as they are sent. Guide: "GET 请求".
func SignURI(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}
