package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

// decode lays a parsed file over the defaults, key by key, so that one wrong value
// does not hide the next.
func (l *loader) decode(cfg *Config, tree map[string]any) {
	l.table("", reflect.ValueOf(cfg).Elem(), tree)
}

func (l *loader) table(path string, into reflect.Value, tree map[string]any) {
	fields := fieldsOf(into.Type())
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		at := join(path, key)
		i, ok := fields[key]
		if !ok {
			what := fmt.Sprintf("there is no setting %q", plain(at))
			if near := nearest(key, slices.Collect(maps.Keys(fields))); near != "" {
				what += fmt.Sprintf("; did you mean %q?", near)
			}
			l.bad(at, "%s", what)
			continue
		}
		l.value(at, into.Field(i), tree[key])
	}
}

func (l *loader) value(at string, into reflect.Value, v any) {
	if into.Type() == reflect.TypeFor[Moment]() {
		m, err := moment(v)
		if err != nil {
			l.bad(at, "%s: %v", plain(at), err)
		}
		into.Set(reflect.ValueOf(m))
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		t, ok := v.(map[string]any)
		if !ok {
			l.bad(at, "%s: want a table, [%s]", plain(at), plain(at))
			return
		}
		l.table(at, into, t)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			l.bad(at, "%s: want %s", plain(at), wanted(into.Type()))
			return
		}
		out := reflect.MakeSlice(into.Type(), len(list), len(list))
		for i, one := range list {
			if into.Type() == reflect.TypeFor[[]Plan]() {
				out.Index(i).Set(reflect.ValueOf(DefaultPlan()))
			}
			l.value(fmt.Sprintf("%s.%d", at, i), out.Index(i), one)
		}
		into.Set(out)
	case reflect.Map:
		t, ok := v.(map[string]any)
		if !ok {
			l.bad(at, "%s: want %s", plain(at), wanted(into.Type()))
			return
		}
		out := reflect.MakeMap(into.Type())
		for _, key := range slices.Sorted(maps.Keys(t)) {
			one := reflect.New(into.Type().Elem()).Elem()
			l.value(join(at, key), one, t[key])
			out.SetMapIndex(reflect.ValueOf(key), one)
		}
		into.Set(out)
	default:
		if err := setScalar(into, v); err != nil {
			l.bad(at, "%s: %v", plain(at), err)
		}
	}
}

// setScalar sets a value that TOML gave.
func setScalar(into reflect.Value, v any) error {
	want := fmt.Errorf("want %s", wanted(into.Type()))
	switch x := v.(type) {
	case string:
		switch into.Interface().(type) {
		case Duration, Size:
			return setString(into, x)
		}
		if into.Kind() == reflect.String {
			into.SetString(x)
			return nil
		}
	case bool:
		if into.Kind() == reflect.Bool {
			into.SetBool(x)
			return nil
		}
	case int64:
		switch {
		case into.Type() == reflect.TypeFor[Duration]():
		case into.CanInt():
			if into.OverflowInt(x) {
				return errors.New("the number is too large")
			}
			into.SetInt(x)
			return nil
		case into.CanFloat():
			into.SetFloat(float64(x))
			return nil
		}
	case float64:
		if into.CanFloat() && !math.IsNaN(x) && !math.IsInf(x, 0) {
			into.SetFloat(x)
			return nil
		}
	}
	return want
}

// setString sets a value from text, as a variable or a flag gives it.
func setString(into reflect.Value, s string) error {
	want := fmt.Errorf("want %s", wanted(into.Type()))
	switch into.Interface().(type) {
	case Duration:
		d, err := time.ParseDuration(s)
		if err != nil {
			return want
		}
		into.SetInt(int64(d))
		return nil
	case Size:
		n, ok := parseSize(s)
		if !ok {
			return want
		}
		into.SetInt(n)
		return nil
	case []string:
		var list []string
		for one := range strings.SplitSeq(s, ",") {
			if one = strings.TrimSpace(one); one != "" {
				list = append(list, one)
			}
		}
		into.Set(reflect.ValueOf(list))
		return nil
	}
	switch into.Kind() {
	case reflect.String:
		into.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return want
		}
		into.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return want
		}
		into.SetInt(int64(n))
	default:
		return want
	}
	return nil
}

// setText sets the key of a configuration from text.
func setText(cfg *Config, key, s string) error {
	v := reflect.ValueOf(cfg).Elem()
	for part := range strings.SplitSeq(key, ".") {
		i, ok := fieldsOf(v.Type())[part]
		if !ok {
			return fmt.Errorf("there is no setting %q", key)
		}
		v = v.Field(i)
	}
	return setString(v, s)
}

// Keys lists every key that a variable may override: all but those of apps, plans and sources.
func Keys() []string {
	var keys []string
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			at := join(path, f.Tag.Get("toml"))
			switch {
			case f.Type.Kind() == reflect.Struct:
				walk(at, f.Type)
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			default:
				keys = append(keys, at)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	return keys
}

func fieldsOf(t reflect.Type) map[string]int {
	m := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		m[t.Field(i).Tag.Get("toml")] = i
	}
	return m
}

// wanted names a type in the words of someone who writes TOML.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return `a time span such as "90s" or "10m"`
	case reflect.TypeFor[Size]():
		return `a size such as "512KiB" or "24MiB"`
	case reflect.TypeFor[[]string]():
		return `a list of texts such as ["a", "b"]`
	case reflect.TypeFor[[]App](), reflect.TypeFor[[]Plan](), reflect.TypeFor[[]Source]():
		return "tables with double brackets, [[app]], [[plan]] or [[source]]"
	case reflect.TypeFor[ekyc.Secret]():
		return "a text in quotes"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Map:
		return "a table"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// units are ordered so that no unit is the ending of an earlier one.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

func parseSize(s string) (int64, bool) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		return n * u.bytes, err == nil && n >= 0 && n <= math.MaxInt64/u.bytes
	}
	return 0, false
}

// plain is a path as people write it: "app.0.key" is "app.key".
func plain(path string) string {
	parts := strings.Split(path, ".")
	parts = slices.DeleteFunc(parts, func(p string) bool { _, err := strconv.Atoi(p); return err == nil })
	return strings.Join(parts, ".")
}

// nearest is the name that a misspelt one most likely meant, or "".
func nearest(name string, among []string) string {
	best, least := "", 3 // our choice: further apart, a suggestion misleads
	slices.Sort(among)
	for _, a := range among {
		if d := distance(name, a); d < least && d < len(name) {
			best, least = a, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
