package huawei

import (
	"encoding/json"
	"errors"
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
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, ErrNotObject
	}
	p := parser{text: text, left: maxFields}
	if p.next() != '{' {
		return nil, ErrNotObject
	}
	return p.object(1)
}

// parser reads JSON that is known to be valid: it looks for nothing that is wrong with it,
// but for what is too much and what is there twice.
type parser struct {
	text     []byte
	at, left int
}

// next skips space and returns the byte there.
func (p *parser) next() byte {
	for {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return c
		}
	}
}

func (p *parser) object(depth int) (Object, error) {
	if depth > maxDepth {
		return nil, ErrShape
	}
	o := Object{}
	p.at++ // {
	for p.next() != '}' {
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		if _, there := o[name]; there {
			return nil, ErrTwice
		}
		p.next()
		p.at++ // :
		if o[name], err = p.value(depth); err != nil {
			return nil, err
		}
		if p.next() == ',' {
			p.at++
		}
	}
	p.at++
	return o, nil
}

func (p *parser) value(depth int) (any, error) {
	if p.left--; p.left < 0 {
		return nil, ErrShape
	}
	switch c := p.next(); c {
	case '{':
		return p.object(depth + 1)
	case '[':
		if depth >= maxDepth {
			return nil, ErrShape
		}
		list := []any{}
		p.at++
		for p.next() != ']' {
			v, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
			if p.next() == ',' {
				p.at++
			}
		}
		p.at++
		return list, nil
	case '"':
		return p.string()
	case 't', 'n':
		p.at += len("true") // as long as null
		if c == 'n' {
			return nil, nil
		}
		return true, nil
	case 'f':
		p.at += len("false")
		return false, nil
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
		p.at++
	}
	return json.Number(p.text[start:p.at]), nil
}

// string reads a string; what is escaped is left to the standard library.
func (p *parser) string() (string, error) {
	start, escaped := p.at, false
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			escaped = true
			p.at++
		}
	}
	p.at++
	if !escaped {
		return string(p.text[start+1 : p.at-1]), nil
	}
	var s string
	if json.Unmarshal(p.text[start:p.at], &s) != nil {
		return "", ErrNotObject
	}
	return s, nil
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
