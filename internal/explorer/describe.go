package explorer

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"shiren/internal/ekyc"
)

// Text is an explanation in the two languages of the house.
type Text struct {
	ZH string `json:"zh-CN"`
	EN string `json:"en"`
}

// Vendors.
const (
	Baidu  = "baidu"
	Juhe   = "juhe"
	Huawei = "huawei"
)

// Auth is a way to say who calls.
type Auth string

const (
	AuthNone   Auth = "none"         // the interface is its own permission: it takes credentials as fields, or a signed address
	AuthToken  Auth = "access_token" // Baidu: an access token in the query
	AuthBCE    Auth = "bce"          // Baidu: BCE v1, a signature of method, path, query and host
	AuthKey    Auth = "key"          // Juhe: a key that alone admits, in the form
	AuthPayDev Auth = "paydevauth"   // Huawei: an access token and two SM2 signatures in the header PayDevAuth
)

// Body is how a request says its fields.
type Body string

const (
	BodyJSON  Body = "application/json"
	BodyForm  Body = "application/x-www-form-urlencoded"
	BodyQuery Body = "" // in the URL
)

// Type is what a field holds, in the words of JSON Schema, and image: base64 text of a JPEG, PNG
// or WebP.
type Type string

const (
	String  Type = "string"
	Integer Type = "integer"
	Number  Type = "number"
	Boolean Type = "boolean"
	Object  Type = "object"
	Array   Type = "array"
	Image   Type = "image"
)

// Source says what fills a field: something of the app, or of the sandbox's case.
type Source string

const (
	FromKey      Source = "key"          // the app's API Key
	FromSecret   Source = "secret"       // the app's Secret Key
	FromApp      Source = "app"          // the app's id
	FromPlan     Source = "plan"         // one of the app's plans
	FromName     Source = "case.name"    // any name: the sandbox takes all
	FromNumber   Source = "case.number"  // the case's identity number
	FromMobile   Source = "case.mobile"  // any mobile number
	FromPicture  Source = "case.picture" // the case's magic picture
	FromEarlier  Source = "earlier"      // what another interface answered: Field.Variable names it
	FromSubject  Source = "subject"      // an id that the relying party gives its user
	FromNoSource Source = ""             // the example
)

// Cipher says what is done to a value before it is sent. The caller of an interface does it; the
// explorer and the samples do it here.
type Cipher string

const (
	Plain   Cipher = ""
	SM2     Cipher = "sm2"     // encrypted with SM2 for the platform's key
	SHA512  Cipher = "sha512"  // SHA-512, hexadecimal
	ForThem Cipher = "for_app" // of an answer: encrypted with SM2 for the developer's key
)

// Field is one field of a request or of an answer.
type Field struct {
	Name     string  `json:"name"`
	Type     Type    `json:"type"`
	Required bool    `json:"required"` // of an answer: always there
	Nullable bool    `json:"nullable,omitempty"`
	Max      int     `json:"max,omitempty"` // characters, 0 where no limit is documented
	Enum     []any   `json:"enum,omitempty"`
	About    Text    `json:"about"`
	Example  any     `json:"example,omitempty"`
	Fields   []Field `json:"fields,omitempty"` // of an object, and of an array's elements
	// Items is the type of an array's elements. Every says that an object's names are not
	// fixed: Fields describe each value.
	Items Type `json:"items,omitempty"`
	Every bool `json:"every,omitempty"`

	Source   Source `json:"source,omitempty"`
	Variable string `json:"-"` // of FromEarlier: the environment variable by which samples take it
	Cipher   Cipher `json:"cipher,omitempty"`
}

// Code is something that an interface may answer.
type Code struct {
	Code string `json:"code"`
	Text string `json:"text"` // the vendor's
	// Causes are the core's codes that it is said for; see docs/GLOSSARY.md. Empty of what a
	// parameter or a header alone is refused with.
	Causes []ekyc.Code `json:"causes,omitempty"`
}

// Interface is one interface.
type Interface struct {
	ID      string   `json:"id"` // "baidu.generate"
	Vendor  string   `json:"vendor"`
	Title   Text     `json:"title"`
	About   Text     `json:"about"`
	Method  string   `json:"method"`            // that the explorer and the samples use
	Methods []string `json:"methods,omitempty"` // those that are taken, where there are more
	Path    string   `json:"path"`
	Aliases []string `json:"aliases,omitempty"` // further paths of the same interface
	Auth    []Auth   `json:"auth"`              // any one of them; the first is the usual one
	Body    Body     `json:"body"`
	// List says that the body is a JSON array of the fields' values.
	List    bool    `json:"list,omitempty"`
	Request []Field `json:"request"`
	// Answer is what is answered to a request that is taken, Refusal to one that is not. An
	// interface whose answer is no JSON has its MIME types in Binary.
	Answer   []Field  `json:"answer,omitempty"`
	Binary   []string `json:"binary,omitempty"`
	Refusal  []Field  `json:"refusal"`
	Statuses []int    `json:"statuses,omitempty"` // of refusals, where they are not 200
	Codes    []Code   `json:"codes"`
	Results  []Code   `json:"results,omitempty"` // values of a result field that need words: Juhe's res
}

// Interfaces lists all, by vendor in the order in which they are used. The slice is the caller's;
// what its elements hold is not to be changed.
func Interfaces() []Interface { return slices.Clone(interfaces()) }

var interfaces = sync.OnceValue(func() []Interface { return slices.Concat(baiduInterfaces(), juheInterfaces(), huaweiInterfaces()) })

// Find returns the interface of an id.
func Find(id string) (Interface, bool) {
	i := slices.IndexFunc(interfaces(), func(x Interface) bool { return x.ID == id })
	if i < 0 {
		return Interface{}, false
	}
	return interfaces()[i], true
}

// Paths lists the interface's path and its aliases.
func (i Interface) Paths() []string { return append([]string{i.Path}, i.Aliases...) }

// Takes reports whether a is one of the interface's ways.
func (i Interface) Takes(a Auth) bool { return slices.Contains(i.Auth, a) }

// answer reads the fields of an answer from the struct that is sent. Explanations are found in
// words under "Type.field" and "field".
func answer(v any) []Field { return fieldsOf(reflect.TypeOf(v)) }

func fieldsOf(t reflect.Type) (list []Field) {
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous {
			list = append(list, fieldsOf(sf.Type)...)
			continue
		}
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "-" || !sf.IsExported() {
			continue
		}
		f := typeOf(sf.Type)
		f.Name, f.Required = name, !strings.Contains(options, "omitempty")
		f.Nullable = f.Required && (sf.Type.Kind() == reflect.Pointer || sf.Type.Kind() == reflect.Interface)
		f.About = explain(t, name)
		list = append(list, f)
	}
	return list
}

// texts are the types that are numbers here and strings on the wire.
var texts = []string{"IntText", "Text"}

func typeOf(t reflect.Type) Field {
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.Bool:
		return Field{Type: Boolean}
	case reflect.Float64:
		return Field{Type: Number}
	case reflect.String:
		return Field{Type: String}
	case reflect.Int, reflect.Int64:
		if slices.Contains(texts, t.Name()) {
			return Field{Type: String}
		}
		return Field{Type: Integer}
	case reflect.Struct:
		return Field{Type: Object, Fields: fieldsOf(t)}
	case reflect.Map:
		e := typeOf(t.Elem())
		return Field{Type: Object, Every: true, Fields: e.Fields}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return Field{Type: Image}
		}
		e := typeOf(t.Elem())
		return Field{Type: Array, Items: e.Type, Fields: e.Fields}
	case reflect.Interface: // always null
		return Field{Type: Object}
	}
	panic("explorer: an answer holds a " + t.String())
}

// explain finds a field's words. A generic type is named without its parameters.
func explain(t reflect.Type, name string) Text {
	kind, _, _ := strings.Cut(t.Name(), "[")
	vendor := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
	for _, key := range []string{vendor + "." + kind + "." + name, vendor + "." + name} {
		if w, ok := words[key]; ok {
			used.Store(key, true)
			return w
		}
	}
	missing.Store(vendor+"."+kind+"."+name, true)
	return Text{}
}

// missing and used note which words were looked for in vain and which were found, for the test
// that keeps the list whole and alive.
var missing, used sync.Map

func number[T ~int](n T) string { return strconv.Itoa(int(n)) }

// exampleNumber is the sandbox's identity that belongs together with everything: nobody's.
var exampleNumber = func() string {
	list := ekyc.SandboxCases()
	i := slices.IndexFunc(list, func(c ekyc.SandboxCase) bool { return c.Name == "match-match-match" })
	return string(list[i].Number)
}()
