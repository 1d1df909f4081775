package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"shiren/internal/ekyc"
)

// DefaultFile is read when it exists and no other file is named.
const DefaultFile = "shiren.toml"

// maxFile bounds the configuration file, and maxSecret the files that hold secrets. Our choice.
const (
	maxFile   = 4 << 20
	maxSecret = 64 << 10
)

// Mistake is one thing wrong with the configuration.
type Mistake struct {
	Where string // "shiren.toml:12", "SHIREN_LISTEN" or "--listen"
	Line  int    // in the file; 0 elsewhere
	What  string // never repeats a secret's value
}

func (m Mistake) String() string { return m.Where + ": " + m.What }

// Mistakes is everything wrong with the configuration, in the order of the file, then
// variables, then flags.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	var b strings.Builder
	if len(m) == 1 {
		b.WriteString("the configuration has 1 mistake:")
	} else {
		fmt.Fprintf(&b, "the configuration has %d mistakes:", len(m))
	}
	for _, one := range m {
		b.WriteString("\n  " + one.String())
	}
	return b.String()
}

// Flag is a command-line flag that overrides a key.
type Flag struct {
	Key   string // as in "tls.mode"
	Name  string // as in "--tls"
	Value string
}

// Load reads the configuration. path "" means DefaultFile if there is one; environ is
// in the form of os.Environ. Every mistake found is in the returned Mistakes; another
// error means that the file could not be read.
func Load(path string, environ []string, flags []Flag) (Config, error) {
	text, name, err := readFile(path)
	if err != nil {
		return Config{}, err
	}
	return Parse(name, text, environ, flags)
}

func readFile(path string) (text []byte, name string, err error) {
	name = cmp.Or(path, DefaultFile)
	f, err := os.Open(name)
	if path == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, name, nil
	}
	if err != nil {
		return nil, name, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, name, fmt.Errorf("read configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, name, fmt.Errorf("read configuration: %s is larger than %d bytes", name, maxFile)
	}
	return text, name, nil
}

// Parse is Load with the file's content at hand; name is what mistakes call the file.
func Parse(name string, text []byte, environ []string, flags []Flag) (Config, error) {
	l := loader{name: name, lines: map[string]int{}, origin: map[string]string{}}
	cfg := Default()
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		var d *toml.DecodeError
		if !errors.As(err, &d) {
			return Config{}, Mistakes{{name, 0, err.Error()}}
		}
		// Nothing behind a syntax error can be trusted, so it is reported alone.
		line, column := d.Position()
		return Config{}, Mistakes{{fmt.Sprintf("%s:%d", name, line), line, fmt.Sprintf("column %d: %s", column, strings.TrimPrefix(d.Error(), "toml: "))}}
	}
	l.index(text)
	l.decode(&cfg, tree)
	l.environment(&cfg, environ)
	for _, f := range flags {
		l.override(&cfg, f.Key, f.Name, f.Value)
	}
	l.secrets(&cfg)
	l.check(&cfg)
	if len(l.mistakes) > 0 {
		slices.SortStableFunc(l.mistakes, func(a, b Mistake) int {
			if (a.Line == 0) != (b.Line == 0) {
				return cmp.Compare(b.Line, a.Line) // the file first
			}
			return cmp.Compare(a.Line, b.Line)
		})
		return Config{}, l.mistakes
	}
	return cfg, nil
}

// loader gathers mistakes and remembers where each key was set.
type loader struct {
	name     string
	lines    map[string]int    // of a key or table, by path: "app.0.key"
	origin   map[string]string // of a key set by a variable or flag
	mistakes Mistakes
}

// bad notes a mistake at a key: where it was set, else at the table around it.
func (l *loader) bad(path, format string, args ...any) {
	m := Mistake{Where: l.name, What: fmt.Sprintf(format, args...)}
	if where, ok := l.origin[path]; ok {
		m.Where = where
	} else {
		for p := path; ; {
			if n := l.lines[p]; n > 0 {
				m.Line, m.Where = n, fmt.Sprintf("%s:%d", l.name, n)
				break
			}
			i := strings.LastIndexByte(p, '.')
			if i < 0 {
				break
			}
			p = p[:i]
		}
	}
	l.mistakes = append(l.mistakes, m)
}

// index records the line of every key and table. The text is known to be well-formed.
func (l *loader) index(text []byte) {
	var p unstable.Parser
	p.Reset(text)
	counts := map[string]int{} // of an array of tables
	var table string
	note := func(path string, raw unstable.Range) {
		if _, seen := l.lines[path]; !seen {
			l.lines[path] = p.Shape(raw).Start.Line
		}
	}
	// enter walks a dotted key from a table; within an array of tables it means the last one.
	enter := func(base string, keys unstable.Iterator) (string, unstable.Range) {
		path, raw := base, unstable.Range{}
		for keys.Next() {
			k := keys.Node()
			path, raw = join(path, string(k.Data)), k.Raw
			if n := counts[path]; n > 0 && !keys.IsLast() {
				path = fmt.Sprintf("%s.%d", path, n-1)
			}
		}
		return path, raw
	}
	var value func(path string, v *unstable.Node)
	value = func(path string, v *unstable.Node) {
		switch v.Kind {
		case unstable.InlineTable:
			for it := v.Children(); it.Next(); {
				kv := it.Node()
				sub, raw := enter(path, kv.Key())
				note(sub, raw)
				value(sub, kv.Value())
			}
		case unstable.Array:
			i := 0
			for it := v.Children(); it.Next(); i++ {
				value(fmt.Sprintf("%s.%d", path, i), it.Node())
			}
		}
	}
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			path, raw := enter("", e.Key())
			table = path
			if n := counts[path]; n > 0 {
				table = fmt.Sprintf("%s.%d", path, n-1)
			}
			note(table, raw)
		case unstable.ArrayTable:
			path, raw := enter("", e.Key())
			table = fmt.Sprintf("%s.%d", path, counts[path])
			counts[path]++
			note(table, raw)
		case unstable.KeyValue:
			path, raw := enter(table, e.Key())
			note(path, raw)
			value(path, e.Value())
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// EnvPrefix begins the names of variables that override keys.
const EnvPrefix = "SHIREN_"

// EnvOther are variables with the prefix that are no keys: the file's name, and what
// steers tests. A name that ends in an underscore stands for all that begin with it.
var EnvOther = []string{"SHIREN_CONFIG", "SHIREN_TEST_", "SHIREN_SCREENSHOTS", "SHIREN_MODELS"}

func other(name string) bool {
	return slices.ContainsFunc(EnvOther, func(o string) bool {
		return name == o || strings.HasSuffix(o, "_") && strings.HasPrefix(name, o)
	})
}

func (l *loader) environment(cfg *Config, environ []string) {
	names := map[string]string{} // variable to key
	for _, key := range Keys() {
		names[EnvName(key)] = key
	}
	environ = slices.Clone(environ)
	slices.Sort(environ)
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, EnvPrefix) || other(name) {
			continue
		}
		key, ok := names[name]
		if !ok {
			m := Mistake{Where: name, What: "no setting has this name"}
			if near := nearest(name, slices.Collect(maps.Keys(names))); near != "" {
				m.What += "; did you mean " + near + "?"
			}
			l.mistakes = append(l.mistakes, m)
			continue
		}
		l.override(cfg, key, name, value)
	}
}

// EnvName is the variable that overrides a key: tls.mode is SHIREN_TLS_MODE.
func EnvName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func (l *loader) override(cfg *Config, key, where, text string) {
	l.origin[key] = where
	if err := setText(cfg, key, text); err != nil {
		l.bad(key, "%v", err)
	}
}

// secrets reads the files that secrets are kept in.
func (l *loader) secrets(cfg *Config) {
	read := func(path, key, file string, into *string) {
		if file == "" {
			return
		}
		if *into != "" && l.origin[key] == "" {
			l.bad(path, "both %s and its file are given; keep one", last(key))
			return
		}
		if *into != "" { // a variable or flag overrides what the file says
			return
		}
		f, err := os.Open(file)
		if err != nil {
			l.bad(path, "%v", err)
			return
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		switch {
		case err != nil:
			l.bad(path, "%v", err)
		case len(b) > maxSecret:
			l.bad(path, "%s is larger than %d bytes; that is no secret", file, maxSecret)
		case strings.TrimSpace(string(b)) == "":
			l.bad(path, "%s is empty", file)
		default:
			*into = strings.TrimSpace(string(b))
		}
	}
	read("store.dsn_file", "store.dsn", cfg.Store.DSNFile, &cfg.Store.DSN)
	password := string(cfg.Mail.Password)
	read("mail.password_file", "mail.password", cfg.Mail.PasswordFile, &password)
	cfg.Mail.Password = ekyc.Secret(password)
	for i := range cfg.Sources {
		x, at := &cfg.Sources[i], fmt.Sprintf("source.%d.", i)
		read(at+"key_file", at+"key", x.KeyFile, &x.Key)
		s := string(x.Secret)
		read(at+"secret_file", at+"secret", x.SecretFile, &s)
		x.Secret = ekyc.Secret(s)
	}
	for i := range cfg.Apps {
		a, at := &cfg.Apps[i], fmt.Sprintf("app.%d.", i)
		s := string(a.Secret)
		read(at+"secret_file", at+"secret", a.SecretFile, &s)
		a.Secret = ekyc.Secret(s)
		s = string(a.BearerKey)
		read(at+"bearer_key_file", at+"bearer_key", a.BearerKeyFile, &s)
		a.BearerKey = ekyc.Secret(s)
	}
}

func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
