package explorer

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"go/format"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// Language is one of the languages that samples are written in.
type Language struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	File string `json:"file"` // the program's file name
}

// Languages lists them.
func Languages() []Language {
	return []Language{
		{"curl", "cURL", "sample.sh"},
		{"go", "Go", "main.go"},
		{"python", "Python", "sample.py"},
		{"java", "Java", "Sample.java"},
		{"php", "PHP", "sample.php"},
		{"node", "Node", "sample.js"},
		{"csharp", "C#", "Program.cs"},
	}
}

// Sample is a whole program that calls an interface and prints its answer. host is where the
// server is, without a path. Credentials, and what other interfaces answered before, come from
// environment variables, and pictures from files: no program holds a secret.
func Sample(i Interface, language string, auth Auth, host string) (string, error) {
	d, ok := dialects[language]
	if !ok {
		return "", fmt.Errorf("there is no language %q", language)
	}
	if !i.Takes(auth) {
		return "", fmt.Errorf("%s does not take %q", i.ID, auth)
	}
	p := program{
		Interface: i, Auth: auth, Host: host, JSON: i.Body == BodyJSON, Form: i.Body == BodyForm, Query: i.Body == BodyQuery,
		TokenPath: map[string]string{Baidu: "/oauth/2.0/token", Huawei: "/oauth2/v3/token"}[i.Vendor],
	}
	p.Variables = p.variables()
	p.Values = d.value(&p, i.Request, 0, i.List)
	p.Pairs = p.pairs(d)
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, language+".tmpl", &p); err != nil {
		return "", err
	}
	if language == "go" {
		text, err := format.Source(b.Bytes())
		return string(text), err
	}
	return b.String(), nil
}

// program is what a template is filled with.
type program struct {
	Interface
	Auth              Auth
	Host              string
	TokenPath         string
	JSON, Form, Query bool
	Values            string // the fields as the language writes a value
	Pairs             []pair // of a form or a query: name and the language's expression
	Variables         []variable
	Pictures          []string // files
	Encrypts, Digests bool     // set while Values are written
}

type pair struct {
	Name, Value string
	Picture     bool
}

// variable is what a program takes from its environment.
type variable struct {
	Name, Default string
	File          bool // it names a file
	About         string
}

func (p *program) Decrypts() bool {
	return slices.ContainsFunc(p.Answer, func(f Field) bool { return f.Cipher == ForThem })
}

// Signs reports whether SM2 is needed.
func (p *program) Signs() bool { return p.Auth == AuthPayDev }

func (p *program) variables() (list []variable) {
	add := func(name, about string) { list = append(list, variable{Name: name, About: about}) }
	file := func(name, about string) { list = append(list, variable{Name: name, About: about, File: true}) }
	switch {
	case p.Vendor == Baidu && (p.Auth != AuthNone || p.ID == "baidu.token"):
		add("API_KEY", "the app's API Key")
		add("SECRET_KEY", "the app's Secret Key")
	case p.Vendor == Juhe:
		add("JUHE_KEY", "the app's key")
	case p.Vendor == Huawei:
		add("CLIENT_ID", "the app's id")
		add("CLIENT_SECRET", "the app's secret key")
	}
	if p.Signs() {
		add("SIGN_KEY_ID", "developerSignKeyId")
		file("SIGN_KEY", "your private key, PKCS #8 as PEM")
		add("PLATFORM_SIGN_KEY_ID", "petalpaySignKeyId")
		file("PLATFORM_SIGN_KEY", "the server's public key, which verifies answers, as PEM")
		if slices.ContainsFunc(p.Request, func(f Field) bool { return f.Cipher == SM2 }) {
			add("PLATFORM_ENC_KEY_ID", "petalpayEncKeyId")
			file("PLATFORM_ENC_KEY", "the server's public key, which fields are encrypted for, as PEM")
		}
		if p.Decrypts() {
			add("ENC_KEY_ID", "developerEncKeyId")
			file("ENC_KEY", "your private key, which fields of the answer are encrypted for, PKCS #8 as PEM")
		}
	}
	for _, f := range p.Request {
		if f.Variable != "" {
			list = append(list, variable{Name: f.Variable, Default: fmt.Sprint(f.Example), About: f.Name})
		}
	}
	return list
}

// dialect is how a language writes values.
type dialect struct {
	text     func(string) string
	object   func(names, values []string, depth int) string
	list     func(values []string, depth int) string
	variable func(string) string
	picture  func(string) string
	cipher   func(function, value string) string
}

// value writes fields as an object, or as a list of their values.
func (d dialect) value(p *program, fields []Field, depth int, list bool) string {
	var names, values []string
	for n, f := range fields {
		v, ok := d.field(p, f, depth+1, n)
		if !ok {
			continue
		}
		names, values = append(names, f.Name), append(values, v)
	}
	if list {
		return d.list(values, depth)
	}
	return d.object(names, values, depth)
}

// field writes one field; false leaves it out. n tells the pictures of a list apart.
func (d dialect) field(p *program, f Field, depth, n int) (string, bool) {
	switch {
	case f.Type == Object && len(f.Fields) > 0:
		if p.List {
			for k := range f.Fields {
				if f.Fields[k].Type == Image && n > 0 {
					f.Fields = slices.Clone(f.Fields)
					f.Fields[k].Variable = "image" + strconv.Itoa(n+1) // the file, below
				}
			}
		}
		return d.value(p, f.Fields, depth, false), true
	case f.Type == Image:
		file := f.Name
		if f.Variable != "" {
			file = f.Variable
		}
		p.Pictures = append(p.Pictures, file+".jpg")
		return d.picture(file + ".jpg"), true
	case f.Variable != "":
		return d.variable(f.Variable), true
	case f.Source == FromKey:
		return d.variable("API_KEY"), true
	case f.Source == FromApp:
		return d.variable("CLIENT_ID"), true
	case f.Source == FromSecret && p.Vendor == Baidu:
		return d.variable("SECRET_KEY"), true
	case f.Source == FromSecret:
		return d.variable("CLIENT_SECRET"), true
	case f.Example == nil:
		return "", false
	}
	v := fmt.Sprint(f.Example)
	if f.Type == String {
		v = d.text(v)
	}
	switch f.Cipher {
	case SM2:
		p.Encrypts = true
		v = d.cipher("encrypt", v)
	case SHA512:
		p.Digests = true
		v = d.cipher("digest", v)
	}
	return v, true
}

func (p *program) pairs(d dialect) (list []pair) {
	if p.JSON {
		return nil
	}
	for n, f := range p.Request {
		if v, ok := d.field(p, f, 1, n); ok {
			list = append(list, pair{f.Name, v, f.Type == Image})
		}
	}
	slices.Sort(p.Pictures)
	p.Pictures = slices.Compact(p.Pictures)
	return list
}

// quoted is a text as JSON writes it, which is how all of these languages read it, as long as
// there is no $ in it.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string
	return strings.TrimSpace(b.String())
}

// camel makes apiKey of API_KEY.
func camel(s string) string {
	var b strings.Builder
	for i, w := range strings.Split(strings.ToLower(s), "_") {
		if i > 0 {
			w = strings.ToUpper(w[:1]) + w[1:]
		}
		b.WriteString(strings.ReplaceAll(w, "Id", "ID"))
	}
	return b.String()
}

// block writes lines between brackets.
func block(open, end, tab string, depth int, trailing bool, lines []string) string {
	if len(lines) == 0 {
		return open + end
	}
	in := "\n" + strings.Repeat(tab, depth+1)
	s := open + in + strings.Join(lines, ","+in)
	if trailing {
		s += ","
	}
	return s + "\n" + strings.Repeat(tab, depth) + end
}

func joined(names, values []string, format string) (lines []string) {
	for i, n := range names {
		lines = append(lines, fmt.Sprintf(format, quoted(n), values[i]))
	}
	return lines
}

func same(s string) string { return s }

func called(function, value string) string { return function + "(" + value + ")" }

var dialects = map[string]dialect{
	"curl": {
		text: quoted, picture: func(f string) string { return `"$(picture ` + f + `)"` },
		variable: func(v string) string { return `"$` + v + `"` },
		cipher:   func(f, v string) string { return `"$(` + f + ` ` + strings.ReplaceAll(v, `"`, `'`) + `)"` },
		object: func(n, v []string, depth int) string {
			return block("{", "}", "  ", depth, false, joined(n, v, "%s: %s"))
		},
		list: func(v []string, depth int) string { return block("[", "]", "  ", depth, false, v) },
	},
	"go": {
		text: strconv.Quote, variable: camel, picture: func(f string) string { return called("picture", quoted(f)) }, cipher: called,
		object: func(n, v []string, depth int) string {
			return block("map[string]any{", "}", "\t", depth+1, true, joined(n, v, "%s: %s"))
		},
		list: func(v []string, depth int) string { return block("[]any{", "}", "\t", depth+1, true, v) },
	},
	"python": {
		text: quoted, variable: same, picture: func(f string) string { return called("picture", quoted(f)) }, cipher: called,
		object: func(n, v []string, depth int) string {
			return block("{", "}", "    ", depth, true, joined(n, v, "%s: %s"))
		},
		list: func(v []string, depth int) string { return block("[", "]", "    ", depth, true, v) },
	},
	"java": {
		text: quoted, variable: same, picture: func(f string) string { return called("picture", quoted(f)) }, cipher: called,
		object: func(n, v []string, depth int) string {
			return block("map(", ")", "    ", depth+2, false, joined(n, v, "%s, %s"))
		},
		list: func(v []string, depth int) string { return block("List.of(", ")", "    ", depth+2, false, v) },
	},
	"php": {
		text: quoted, variable: func(v string) string { return "$" + camel(v) }, picture: func(f string) string { return called("picture", quoted(f)) }, cipher: called,
		object: func(n, v []string, depth int) string {
			return block("[", "]", "    ", depth, true, joined(n, v, "%s => %s"))
		},
		list: func(v []string, depth int) string { return block("[", "]", "    ", depth, true, v) },
	},
	"node": {
		text: quoted, variable: same, picture: func(f string) string { return called("picture", quoted(f)) }, cipher: called,
		object: func(n, v []string, depth int) string {
			return block("{", "}", "  ", depth+1, true, joined(n, v, "%s: %s"))
		},
		list: func(v []string, depth int) string { return block("[", "]", "  ", depth+1, true, v) },
	},
	"csharp": {
		text: quoted, variable: camel, picture: func(f string) string { return called("Picture", quoted(f)) },
		cipher: func(f, v string) string { return called(strings.ToUpper(f[:1])+f[1:], v) },
		object: func(n, v []string, depth int) string {
			return block("new SortedDictionary<string, object>(StringComparer.Ordinal) {", "}", "    ", depth, true, joined(n, v, "[%s] = %s"))
		},
		list: func(v []string, depth int) string { return block("new object[] {", "}", "    ", depth, true, v) },
	},
}

//go:embed samples/*.tmpl
var sources embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"quoted": quoted, "camel": camel, "lower": strings.ToLower,
}).ParseFS(sources, "samples/*.tmpl"))
