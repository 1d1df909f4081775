package explorer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	bd "shiren/api/baidu"
	hw "shiren/api/huawei"
	"shiren/internal/ekyc"
)

// Pair are the keys that AuthPayDev signs and encrypts with.
type Pair struct {
	SignKeyID, EncKeyID                 string // the developer's; EncKeyID may be empty
	SignKey                             *hw.PrivateKey
	PlatformSignKeyID, PlatformEncKeyID string
	PlatformEncKey                      *hw.PublicKey
}

// Credentials are what an app says who it is with. What is secret in them masks itself when printed.
type Credentials struct {
	App    ekyc.AppID
	Key    string
	Secret ekyc.Secret
	Bearer ekyc.Secret
	Pair   Pair // of AuthPayDev
}

// Caller sends requests to handlers in its own process: there is no network, and only paths that
// are described are reached.
type Caller struct {
	Handler http.Handler // of all vendors
	Base    string       // by which requests are addressed: "https://host[:port]"
	Now     func() time.Time
	Rand    io.Reader
}

// Header is one line of a message's head.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Request is what was sent, to be looked at: secrets are masked, and long pictures shortened.
type Request struct {
	Method  string   `json:"method"`
	URL     string   `json:"url"`
	Headers []Header `json:"headers"`
	Body    string   `json:"body"`
}

// Answer is what came back, to be looked at: tokens are masked, and long pictures shortened.
type Answer struct {
	Status  int      `json:"status"`
	Headers []Header `json:"headers"`
	Body    string   `json:"body"`
	// Binary holds an answer that is no text, in base64, in place of Body.
	Binary string `json:"binary,omitempty"`
	Bytes  int    `json:"bytes"`
}

// Signed is a text that was signed, and its signature.
type Signed struct {
	Name      string `json:"name"` // "Authorization", "bodySign" or "headerSign"
	Text      string `json:"text"`
	Signature string `json:"signature"`
}

// Exchange is a request and its answer.
type Exchange struct {
	Request Request       `json:"request"`
	Answer  Answer        `json:"answer"`
	Signed  []Signed      `json:"signed"`
	Took    time.Duration `json:"-"`
}

// ErrRequest is what all errors of Call are that say that the request cannot be made of what was
// given. Their texts hold no value.
var ErrRequest = errors.New("the request cannot be made")

// Bounds of what is shown of an answer. Our choices: the largest answers that are no pictures have
// some hundred KB; a picture has at most 10 MB.
const (
	maxShown  = 1 << 20
	maxBinary = 16 << 20
)

// signatureLifetime is how long a BCE v1 signature of the explorer is valid. Our choice: it is
// used at once.
const signatureLifetime = time.Minute

// Call makes a request for an interface with the fields' values, signs it, sends it and tells both
// sides. values is a JSON object; fields of the app's credentials that are not in it are filled in,
// and values that are encrypted or digested on the wire are given plainly. A request that the
// interface refuses is no error.
func (c *Caller) Call(ctx context.Context, i Interface, auth Auth, by Credentials, values []byte) (x Exchange, err error) {
	if !i.Takes(auth) {
		return x, fmt.Errorf("%w: the interface does not take this way to authenticate", ErrRequest)
	}
	v, err := parseValues(values)
	if err != nil {
		return x, err
	}
	q := composer{c, by}
	pairs, err := q.fields(i.Request, v)
	if err != nil {
		return x, err
	}
	x.Signed = []Signed{}
	hide := mask{string(by.Secret), string(by.Bearer)}
	query, body := url.Values{}, []byte(nil)
	switch i.Body {
	case BodyJSON:
		body, err = encode(pairs, i.List)
	case BodyForm:
		if auth == AuthKey {
			pairs = append(pairs, member{"key", string(by.Bearer)})
		}
		body = []byte(form(pairs).Encode())
	default:
		query = form(pairs)
	}
	if err != nil {
		return x, err
	}
	if auth == AuthToken {
		token, err := c.token(ctx, bd.PathToken, url.Values{"grant_type": {"client_credentials"}, "client_id": {by.Key}, "client_secret": {string(by.Secret)}})
		if err != nil {
			return x, err
		}
		hide = append(hide, token)
		query.Set("access_token", token)
	}
	address := c.Base + i.Path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, i.Method, address, bytes.NewReader(body))
	if err != nil {
		return x, fmt.Errorf("%w: the server's own address cannot be read", ErrRequest)
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", string(i.Body))
	}
	switch auth {
	case AuthBCE:
		x.Signed = signBCE(r, by, c.Now())
	case AuthPayDev:
		var token string
		if x.Signed, token, err = c.signSM2(ctx, r, by, body); err != nil {
			return x, err
		}
		hide = append(hide, token)
	}
	x.Request = hide.request(r, body)
	for n := range x.Signed {
		x.Signed[n].Text = hide.text(x.Signed[n].Text)
	}
	begun := c.Now()
	w := c.send(r)
	x.Took = c.Now().Sub(begun)
	x.Answer = hide.answer(w)
	return x, nil
}

// composer turns values into what is sent.
type composer struct {
	*Caller
	by Credentials
}

// member is one name and value of an object, in the order of the description.
type member struct {
	name  string
	value any // string, json.Number, bool, nil, []any or []member
}

func parseValues(text []byte) (v map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: fields are no JSON object", ErrRequest)
	}
	return v, nil
}

func (q composer) fields(fields []Field, values map[string]any) (list []member, err error) {
	for name := range values {
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name }) {
			return nil, fmt.Errorf("%w: the interface has no field of this name", ErrRequest)
		}
	}
	for _, f := range fields {
		v, there := values[f.Name]
		if !there {
			filled := map[Source]string{FromKey: q.by.Key, FromSecret: string(q.by.Secret), FromApp: string(q.by.App)}[f.Source]
			if filled == "" {
				continue
			}
			v = filled
		}
		if len(f.Fields) > 0 {
			if o, ok := v.(map[string]any); ok {
				if v, err = q.fields(f.Fields, o); err != nil {
					return nil, err
				}
			}
		}
		if text, ok := v.(string); ok && text != "" {
			if v, err = q.cipher(f.Cipher, text); err != nil {
				return nil, err
			}
		}
		list = append(list, member{f.Name, v})
	}
	return list, nil
}

func (q composer) cipher(kind Cipher, text string) (string, error) {
	switch kind {
	case SM2:
		if q.by.Pair.PlatformEncKey == nil {
			return "", fmt.Errorf("%w: the app has no key of ours to encrypt for", ErrRequest)
		}
		return hw.Encrypt(q.Rand, q.by.Pair.PlatformEncKey, text)
	case SHA512:
		return hw.Digest(text), nil
	}
	return text, nil
}

// encode writes members as a JSON object, or their values as an array.
func encode(list []member, array bool) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte("{["[btoi(array)])
	for n, m := range list {
		if n > 0 {
			b.WriteByte(',')
		}
		if !array {
			b.WriteString(quoted(m.name) + ":")
		}
		var v []byte
		var err error
		switch value := m.value.(type) {
		case []member:
			v, err = encode(value, false)
		case string:
			v = []byte(quoted(value))
		default:
			v, err = json.Marshal(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: a value cannot be written", ErrRequest)
		}
		b.Write(v)
	}
	b.WriteByte("}]"[btoi(array)])
	return b.Bytes(), nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func form(list []member) url.Values {
	v := url.Values{}
	for _, m := range list {
		if m.value != nil {
			v.Set(m.name, fmt.Sprint(m.value))
		}
	}
	return v
}

// token asks the server for an access token.
func (c *Caller) token(ctx context.Context, path string, form url.Values) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("%w: the server's own address cannot be read", ErrRequest)
	}
	r.Header.Set("Content-Type", string(BodyForm))
	w := c.send(r)
	var t struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(w.body.Bytes(), &t) != nil || t.AccessToken == "" {
		return "", fmt.Errorf("%w: the app gets no access token: %s", ErrRequest, strings.TrimSpace(w.body.String()))
	}
	return t.AccessToken, nil
}

func signBCE(r *http.Request, by Credentials, now time.Time) []Signed {
	bd.Sign(r, by.Key, string(by.Secret), now, signatureLifetime)
	sig, err := bd.ParseSignature(r.Header.Get("Authorization"))
	if err != nil { // a key with a slash in it signs nothing that can be read
		return []Signed{}
	}
	return []Signed{{"Authorization", bd.CanonicalRequest(r, sig.Headers), sig.Sum}}
}

func (c *Caller) signSM2(ctx context.Context, r *http.Request, by Credentials, body []byte) ([]Signed, string, error) {
	if by.Pair.SignKey == nil || by.Pair.PlatformSignKeyID == "" {
		return nil, "", fmt.Errorf("%w: the app has no keys to sign with; make a pair for it, or give your own", ErrRequest)
	}
	token, err := c.token(ctx, hw.PathToken, url.Values{"grant_type": {"client_credentials"}, "client_id": {string(by.App)}, "client_secret": {string(by.Secret)}})
	if err != nil {
		return nil, "", err
	}
	var trace [16]byte
	if _, err := io.ReadFull(c.Rand, trace[:]); err != nil {
		return nil, "", fmt.Errorf("make a traceId: %w", err)
	}
	a := hw.PayDevAuth{
		ClientID: string(by.App), AccessToken: token, TraceID: hex.EncodeToString(trace[:]), Time: c.Now().UnixMilli(),
		DeveloperSignKeyID: by.Pair.SignKeyID, PetalpaySignKeyID: by.Pair.PlatformSignKeyID,
		DeveloperEncKeyID: by.Pair.EncKeyID, PetalpayEncKeyID: by.Pair.PlatformEncKeyID,
	}
	text, err := hw.SignStringOf(body)
	if err != nil {
		return nil, "", fmt.Errorf("%w: the body cannot be signed: %w", ErrRequest, err)
	}
	if err := a.SignText(c.Rand, by.Pair.SignKey, text); err != nil {
		return nil, "", err
	}
	head, err := json.Marshal(a)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set(hw.HeaderAuth, string(head))
	return []Signed{{"bodySign", text, a.BodySign}, {"headerSign", a.HeaderString(), a.HeaderSign}}, token, nil
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	size   int
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.size += len(p)
	w.body.Write(p[:min(len(p), max(0, maxBinary-w.body.Len()))])
	return len(p), nil
}

func (c *Caller) send(r *http.Request) *recorder {
	w := &recorder{header: http.Header{}}
	r.RequestURI = r.URL.RequestURI()
	c.Handler.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	return w
}

// mask are secrets that are not shown.
type mask []string

const masked = "********"

func (m mask) text(s string) string {
	for _, secret := range m {
		if secret == "" {
			continue
		}
		for _, form := range []string{secret, url.QueryEscape(secret), strings.Trim(quoted(secret), `"`), strings.ReplaceAll(secret, "/", `\/`)} {
			s = strings.ReplaceAll(s, form, masked)
		}
	}
	return s
}

var (
	// tokens are what opens something in an answer of a token interface.
	tokens = regexp.MustCompile(`("(?:access_token|refresh_token|session_key|session_secret)"\s*:\s*")[^"]*`)
	// bceSum is a BCE v1 signature but for its first eight digits, by which it can be compared.
	bceSum = regexp.MustCompile(`(bce-auth-v1/[^ ]*/[0-9a-f]{8})[0-9a-f]{56}`)
	// long is what only a picture fills.
	long = regexp.MustCompile(`[A-Za-z0-9+/=%_-]{400,}`)
)

func shorten(s string) string {
	return long.ReplaceAllStringFunc(s, func(v string) string { return v[:48] + "…(" + strconv.Itoa(len(v)) + ")" })
}

func (m mask) headers(h http.Header) []Header {
	list := []Header{}
	for name, values := range h {
		for _, v := range values {
			list = append(list, Header{name, bceSum.ReplaceAllString(m.text(v), "${1}"+masked)})
		}
	}
	slices.SortFunc(list, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (m mask) request(r *http.Request, body []byte) Request {
	h := r.Header.Clone()
	if h.Get(hw.HeaderAuth) != "" { // as the vendor writes it, not as net/http does
		delete(h, http.CanonicalHeaderKey(hw.HeaderAuth))
		h[hw.HeaderAuth] = r.Header.Values(hw.HeaderAuth)
	}
	return Request{
		Method: r.Method, URL: shorten(m.text(r.URL.String())), Headers: append([]Header{{"Host", r.URL.Host}}, m.headers(h)...),
		Body: shorten(m.text(string(body))),
	}
}

func (m mask) answer(w *recorder) Answer {
	a := Answer{Status: w.status, Headers: m.headers(w.header), Bytes: w.size}
	kind, _, _ := mime.ParseMediaType(w.header.Get("Content-Type"))
	if !strings.HasPrefix(kind, "text/") && kind != "application/json" {
		a.Binary = base64.StdEncoding.EncodeToString(w.body.Bytes())
		return a
	}
	text := shorten(tokens.ReplaceAllString(m.text(w.body.String()), "${1}"+masked))
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	a.Body = text
	return a
}
