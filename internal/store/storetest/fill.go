package storetest

import (
	"fmt"
	"reflect"
	"time"

	"shiren/internal/ekyc"
)

// shanghai is a zone that no stored moment may come back in.
var shanghai = time.FixedZone("UTC+8", 8*60*60)

// base is a moment with nanoseconds, which no stored moment may lose.
var base = time.Date(2026, 3, 1, 7, 59, 59, 123456789, shanghai)

// Full returns a session whose every field, whatever fields there are, has a value of
// its own; moments are in UTC+8 and have nanoseconds. Its Key is nil.
func Full(token ekyc.Token) ekyc.Session {
	var s ekyc.Session
	n := 0
	fill(reflect.ValueOf(&s).Elem(), &n)
	s.Token, s.Key = token, nil
	for i := range s.Attempts {
		for j := range s.Attempts[i].Charges {
			s.Attempts[i].Charges[j].ID += "-" + token.Digest() // the ledger's names are unique
		}
	}
	for i := range s.Read {
		s.Read[i].ID += "-" + token.Digest()
	}
	return s
}

func fill(v reflect.Value, n *int) {
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(base.Add(time.Duration(*n) * time.Second)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("值<%d>&\u2028\"", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1 / float64(*n+2))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic(fmt.Sprintf("storetest: fill a %s", v.Type()))
	}
}

// notUTC names the moments inside v that are not in UTC.
func notUTC(v reflect.Value, path string) []string {
	if t, ok := reflect.TypeAssert[time.Time](v); ok {
		if t.Location() != time.UTC {
			return []string{path}
		}
		return nil
	}
	var bad []string
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			bad = notUTC(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			bad = append(bad, notUTC(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			bad = append(bad, notUTC(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
	}
	return bad
}
