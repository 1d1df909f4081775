package baidu

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BCE v1 is the vendor's older authentication: a signature of method, path, query and
// some headers in the Authorization header,
//
//	bce-auth-v1/{access key}/{UTC time}/{seconds}/{signed headers}/{signature}
//
// (vendor's reference "生成认证字符串"). It does not cover the body.
const bceVersion = "bce-auth-v1"

const bceTime = "2006-01-02T15:04:05Z"

// Errors of ParseSignature and Signature.Verify.
var (
	ErrSignatureForm    = errors.New("not a signature: want bce-auth-v1/{key}/{time}/{seconds}/{headers}/{64 hex}")
	ErrSignatureExpired = errors.New("the signature has expired; check the client's clock, which must be in UTC")
	ErrSignatureWrong   = errors.New("the signature does not fit the request and the secret key")
)

// Signature is a parsed Authorization header.
type Signature struct {
	Key     string        // access key (API Key)
	At      time.Time     // to the second
	Valid   time.Duration // from At
	Headers []string      // lower case; empty means the default ones
	Sum     string        // 64 hex

	time    string // as sent
	seconds string // as sent
}

// ParseSignature reads an Authorization header's value of at most 4096 bytes.
func ParseSignature(header string) (Signature, error) {
	p := strings.Split(strings.TrimSpace(header), "/")
	if len(header) > 4096 || len(p) != 6 || p[0] != bceVersion || p[1] == "" || len(p[5]) != 2*sha256.Size {
		return Signature{}, ErrSignatureForm
	}
	at, err := time.Parse(bceTime, p[2])
	if err != nil {
		return Signature{}, ErrSignatureForm
	}
	n, err := strconv.ParseInt(p[3], 10, 32)
	if err != nil || n < 0 {
		return Signature{}, ErrSignatureForm
	}
	s := Signature{Key: p[1], At: at, Valid: time.Duration(n) * time.Second, Sum: p[5], time: p[2], seconds: p[3]}
	if p[4] != "" {
		s.Headers = strings.Split(strings.ToLower(p[4]), ";")
	}
	return s, nil
}

// Verify returns nil if the signature was made of this request with this secret and is
// valid at now: At + Valid has not passed. The comparison takes constant time.
func (s Signature) Verify(r *http.Request, secret string, now time.Time) error {
	if now.After(s.At.Add(s.Valid)) {
		return ErrSignatureExpired
	}
	want := sum(r, secret, s.prefix(), s.Headers)
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.Sum)) != 1 {
		return ErrSignatureWrong
	}
	return nil
}

func (s Signature) prefix() string {
	return bceVersion + "/" + s.Key + "/" + s.time + "/" + s.seconds
}

// Sign sets r's Authorization header. It signs host and content-type, as the official
// Go SDK does. now is the time of signing; valid is cut to seconds.
func Sign(r *http.Request, key, secret string, now time.Time, valid time.Duration) {
	prefix := fmt.Sprintf("%s/%s/%s/%d", bceVersion, key, now.UTC().Format(bceTime), int64(valid/time.Second))
	headers := []string{"host"}
	if r.Header.Get("Content-Type") != "" {
		headers = []string{"content-type", "host"}
	}
	r.Header.Set("Authorization", prefix+"/"+strings.Join(headers, ";")+"/"+sum(r, secret, prefix, headers))
}

// sum is the signature: HMAC-SHA256 of the canonical request under a key that is itself
// the hex text of an HMAC of the prefix under the secret.
func sum(r *http.Request, secret, prefix string, headers []string) string {
	key := mac([]byte(secret), prefix)
	return mac([]byte(key), CanonicalRequest(r, headers))
}

// CanonicalRequest is the text of a request that is signed, with the named headers, or the
// default ones where none is named (vendor's reference, CanonicalRequest).
func CanonicalRequest(r *http.Request, headers []string) string {
	return strings.Join([]string{r.Method, canonicalPath(r.URL.Path), canonicalQuery(r.URL.RawQuery), canonicalHeaders(r, headers)}, "\n")
}

func mac(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

func canonicalPath(p string) string {
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	return uriEncode(p, true)
}

func canonicalQuery(raw string) string {
	q, _ := url.ParseQuery(raw) // a pair that cannot be read is not signed
	var list []string
	for k, vs := range q {
		if strings.EqualFold(k, "authorization") {
			continue
		}
		for _, v := range vs {
			list = append(list, uriEncode(k, false)+"="+uriEncode(v, false))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "&")
}

// canonicalHeaders lists the named headers, or the default ones: host, content-length,
// content-type, content-md5 and all that begin with x-bce-. Headers without a value are
// left out.
func canonicalHeaders(r *http.Request, names []string) string {
	if len(names) == 0 {
		names = []string{"host", "content-length", "content-type", "content-md5"}
		for k := range r.Header {
			if k := strings.ToLower(k); strings.HasPrefix(k, "x-bce-") {
				names = append(names, k)
			}
		}
	}
	var list []string
	for _, n := range names {
		if v := strings.TrimSpace(headerValue(r, n)); v != "" && n != "authorization" {
			list = append(list, uriEncode(n, false)+":"+uriEncode(v, false))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// headerValue is a header's value, also of those that net/http keeps elsewhere.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		if r.Host != "" {
			return r.Host
		}
		return r.URL.Host
	case "content-length":
		if v := r.Header.Get(name); v != "" {
			return v
		}
		if r.ContentLength > 0 || r.ContentLength == 0 && r.Body != nil && r.Body != http.NoBody {
			return strconv.FormatInt(r.ContentLength, 10)
		}
		return ""
	}
	return strings.Join(r.Header.Values(name), ",")
}

const upperHex = "0123456789ABCDEF"

// uriEncode is RFC 3986 percent-encoding: all but unreserved characters, and the slash
// where keepSlash says so, as upper-case hex.
func uriEncode(s string, keepSlash bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' ||
			c == '-' || c == '_' || c == '.' || c == '~' || c == '/' && keepSlash {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}
