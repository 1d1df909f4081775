package baidu

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"shiren/internal/ekyc"
	"shiren/internal/gateway/wire"
)

// body is what a request says: an object's fields by lower-case name, or an array's
// elements. Values point into the text that was parsed.
type body struct {
	fields map[string]value
	list   []value
}

// value is a JSON value as it was written, or a form's value.
type value struct {
	raw  []byte
	form bool
}

var errBody = ekyc.Errorf(ekyc.BadRequest, "the body is neither JSON nor a form")

// maxDepth and maxFields bound a body's shape. The protocol nests two deep.
const (
	maxDepth  = 8
	maxFields = 64
)

// parse finds a body's fields without copying them. JSON may have commas before closing
// brackets and // comments, as the vendor's examples do; an empty body has no fields;
// anything that is not JSON is read as a urlencoded form.
func parse(text []byte) (body, error) {
	p := parser{text: bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))}
	var b body
	var err error
	switch p.next() {
	case 0:
		return body{}, nil
	case '{':
		b.fields, err = p.object(0)
	case '[':
		b.list, err = p.array(0)
	default:
		return parseForm(p.text)
	}
	if err == nil && p.next() != 0 {
		err = errBody
	}
	if err != nil {
		return body{}, err
	}
	return b, nil
}

func parseForm(text []byte) (body, error) {
	b := body{fields: map[string]value{}}
	err := wire.Form(text, maxFields, func(name string, v []byte) { b.fields[strings.ToLower(name)] = value{raw: v, form: true} })
	if err != nil {
		return body{}, errBody
	}
	return b, nil
}

// parser finds where values begin and end. It does not read them.
type parser struct {
	text []byte
	at   int
}

// next skips space and comments and returns the byte there, 0 at the end.
func (p *parser) next() byte {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			p.at++
		case c == '/' && p.at+1 < len(p.text) && p.text[p.at+1] == '/':
			n := bytes.IndexByte(p.text[p.at:], '\n')
			if n < 0 {
				p.at = len(p.text)
				return 0
			}
			p.at += n
		default:
			return c
		}
	}
	return 0
}

func (p *parser) object(depth int) (map[string]value, error) {
	fields := map[string]value{}
	p.at++ // {
	for {
		if p.next() == '}' {
			p.at++
			return fields, nil
		}
		if p.next() != '"' || len(fields) == maxFields {
			return nil, errBody
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		name, err := unquote(key)
		if err != nil {
			return nil, err
		}
		if p.next() != ':' {
			return nil, errBody
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		fields[strings.ToLower(name)] = v
		switch p.next() {
		case ',':
			p.at++
		case '}':
		default:
			return nil, errBody
		}
	}
}

func (p *parser) array(depth int) ([]value, error) {
	list := []value{}
	p.at++ // [
	for {
		if p.next() == ']' {
			p.at++
			return list, nil
		}
		if len(list) == maxFields {
			return nil, errBody
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		switch p.next() {
		case ',':
			p.at++
		case ']':
		default:
			return nil, errBody
		}
	}
}

func (p *parser) value(depth int) (value, error) {
	if depth > maxDepth {
		return value{}, errBody
	}
	var err error
	c := p.next()
	start := p.at
	switch c {
	case '{':
		_, err = p.object(depth)
	case '[':
		_, err = p.array(depth)
	case '"':
		_, err = p.string()
	default:
		for p.at < len(p.text) && !bytes.ContainsRune([]byte(",]}/ \t\r\n"), rune(p.text[p.at])) {
			p.at++
		}
		if !json.Valid(p.text[start:p.at]) {
			err = errBody
		}
	}
	return value{raw: p.text[start:p.at]}, err
}

// string passes a string and returns it with its quotes.
func (p *parser) string() ([]byte, error) {
	start := p.at
	for i := start + 1; ; {
		n := bytes.IndexByte(p.text[i:], '"')
		if n < 0 {
			return nil, errBody
		}
		i += n
		back := 0
		for p.text[i-1-back] == '\\' {
			back++
		}
		if i++; back%2 == 0 {
			p.at = i
			return p.text[start:i], nil
		}
	}
}

// unquote reads a quoted string.
func unquote(raw []byte) (string, error) {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		if !utf8.Valid(inner) {
			return "", ekyc.Errorf(ekyc.BadRequest, "a text is not UTF-8")
		}
		return string(inner), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", errBody
	}
	return s, nil
}

// text reads a field that is a string or a number; absent and null are "".
func (b body) text(name string) (string, error) {
	v, ok := b.fields[name]
	if !ok {
		return "", nil
	}
	if v.form {
		if !utf8.Valid(v.raw) {
			return "", ekyc.Errorf(ekyc.BadRequest, "%s is not UTF-8", name)
		}
		return string(v.raw), nil
	}
	switch c := v.raw[0]; {
	case c == '"':
		return unquote(v.raw)
	case c == '-' || c >= '0' && c <= '9':
		return string(v.raw), nil
	case c == 'n':
		return "", nil
	}
	return "", ekyc.Errorf(ekyc.BadRequest, "%s: want a string or a number", name)
}

// required reads a text that must not be empty.
func (b body) required(name string) (string, error) {
	s, err := b.text(name)
	if err == nil && strings.TrimSpace(s) == "" {
		err = ekyc.Errorf(ekyc.MissingParam, "%s is missing", name)
	}
	return s, err
}

// integer reads a number, or a string that holds one; absent is 0.
func (b body) integer(name string) (int, error) {
	s, err := b.text(name)
	if err != nil || s == "" {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 0, ekyc.Errorf(ekyc.BadRequest, "%s: want an integer", name)
	}
	return n, nil
}

// object reads a nested object; absent and null have no fields.
func (b body) object(name string) (body, error) {
	v, ok := b.fields[name]
	if !ok || len(v.raw) == 0 || !v.form && v.raw[0] == 'n' {
		return body{}, nil
	}
	return v.object(name)
}

func (v value) object(name string) (body, error) {
	if len(v.raw) == 0 || v.raw[0] != '{' {
		return body{}, ekyc.Errorf(ekyc.BadRequest, "%s: want an object", name)
	}
	return parse(v.raw)
}

// image reads a field that is an image as base64 text.
func (b body) image(name string) ([]byte, error) {
	v, ok := b.fields[name]
	if !ok || len(v.raw) == 0 || !v.form && v.raw[0] == 'n' {
		return nil, ekyc.Errorf(ekyc.ImageEmpty, "%s is missing", name)
	}
	text := v.raw
	if !v.form {
		if v.raw[0] != '"' {
			return nil, ekyc.Errorf(ekyc.ImageNotBase64, "%s: want base64 text", name)
		}
		text = v.raw[1 : len(v.raw)-1]
		if bytes.IndexByte(text, '\\') >= 0 { // PHP writes "/" as "\/", .NET "+" as "\u002B"
			s, err := unquote(v.raw)
			if err != nil {
				return nil, err
			}
			text = []byte(s)
		}
	}
	return wire.Image(name, text, v.form)
}
