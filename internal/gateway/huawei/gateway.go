package huawei

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"shiren/api/huawei"
	"shiren/internal/ekyc"
)

// Opener is the word that sessions of this protocol have as ekyc.Session.Opener.
const Opener = "huawei"

// Protocol is the gateway's name in records and counts: see ekyc.Via.
const Protocol = "huawei"

// Core is what the gateway needs of ekyc.Service.
type Core interface {
	LogID() string
	GrantByID(ctx context.Context, id ekyc.AppID, secret string, window time.Duration) (ekyc.Grant, error)
	Access(ctx context.Context, g ekyc.Grant) (ekyc.App, error)
	AppByID(ctx context.Context, id ekyc.AppID) (ekyc.App, error)
	AppKeys(ctx context.Context, app ekyc.AppID) ([]ekyc.AppKey, error)
	Admit(ctx context.Context, app ekyc.App) error
	Once(ctx context.Context, app ekyc.AppID, what string, until time.Time) error
	OpenAs(ctx context.Context, app ekyc.App, o ekyc.Opening) (ekyc.Session, error)
	Redeem(ctx context.Context, app ekyc.App, purpose ekyc.Purpose, who ekyc.SubjectID, receipt string) (ekyc.Attempt, error)
	Disclosed(ctx context.Context, app ekyc.App, who ekyc.SubjectID, id string) (ekyc.Claim, error)
}

// Window is how far PayDevAuth.time may lie from the server's clock, to either side, where
// Config names none. The vendor publishes no figure; our choice.
const Window = 5 * time.Minute

// Config is what New needs besides the core.
type Config struct {
	Window time.Duration // 0 means Window
	Now    func() time.Time
	Rand   io.Reader // signs and encrypts
	Log    *slog.Logger
}

// Prefixes are the paths that the handler of New serves, each with all below it.
var Prefixes = []string{huawei.PathRealName, "/oauth2/v3/"}

// Limits of a request. Our choices: an openId of 512 characters and two encrypted fields of
// 128 stay below 8 KB.
const (
	maxBody     = 64 << 10
	maxHeader   = 16 << 10
	bodyTimeout = 10 * time.Second
)

type handler struct {
	core Core
	cfg  Config
	log  *slog.Logger
	// parsed keeps keys in the form that SM2 works with, by app and id.
	parsed sync.Map
}

// New returns the handler of all interfaces under Prefixes. It is safe for concurrent use.
func New(core Core, cfg Config) http.Handler {
	if cfg.Window == 0 {
		cfg.Window = Window
	}
	h := &handler{core: core, cfg: cfg, log: cfg.Log}
	routes := map[string]http.Handler{
		huawei.PathToken:         http.HandlerFunc(h.token),
		huawei.PathFacePreverify: h.serve(iface{answer: h.facePreverify, encrypted: true, opens: true}),
		huawei.PathFaceResult:    h.serve(iface{answer: h.result(ekyc.PurposeFace)}),
		huawei.PathPreverify:     h.serve(iface{answer: h.preverify, opens: true}),
		huawei.PathResult:        h.serve(iface{answer: h.result(ekyc.PurposeConfirm)}),
		huawei.PathAuthPreverify: h.serve(iface{answer: h.authPreverify, opens: true}),
		huawei.PathAuthResult:    h.serve(iface{answer: h.authResult}),
	}
	unknown := h.serve(iface{answer: func(*call) (any, error) {
		return nil, ekyc.Errorf(ekyc.UnknownMethod, "there is no such interface; check the path")
	}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimSuffix(r.URL.Path, "/")
		if handle, ok := routes[path]; ok {
			r.Pattern = path // as a ServeMux would: the wiring counts by it
			handle.ServeHTTP(w, r.WithContext(ekyc.Via(r.Context(), Protocol)))
			return
		}
		unknown.ServeHTTP(w, r)
	})
}

// iface is one interface.
type iface struct {
	answer    func(*call) (any, error)
	encrypted bool // the request has encrypted fields
	opens     bool // a day's limit is said in the interface's own words
}

// call is one request on its way through.
type call struct {
	r     *http.Request
	logID string
	auth  huawei.PayDevAuth
	app   ekyc.App
	keys  []ekyc.AppKey
	body  huawei.Object
}

func refuse(code huawei.Code, detail string) error { return &huawei.Error{Code: code, Detail: detail} }

func (h *handler) serve(i iface) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{r: r, logID: h.core.LogID()}
		message, err := h.answer(w, c, i)
		if err != nil {
			message = h.vendor(c, i, err).Says()
		}
		h.reply(w, c, message)
	})
}

func (h *handler) answer(w http.ResponseWriter, c *call, i iface) (message any, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("panic", "path", c.r.URL.Path, "log_id", c.logID, "stack", string(debug.Stack()))
			message, err = nil, ekyc.Errorf(ekyc.Internal, "")
		}
	}()
	if err := h.authenticate(w, c, i.encrypted); err != nil {
		return nil, err
	}
	if c.r.Method != http.MethodPost {
		return nil, ekyc.Errorf(ekyc.UnknownMethod, "use POST")
	}
	if err := h.core.Admit(c.r.Context(), c.app); err != nil {
		return nil, err
	}
	return i.answer(c)
}

var clientIDs = regexp.MustCompile(`^[0-9]{1,64}$`)

// authenticate takes steps 1 to 5 of the package comment.
func (h *handler) authenticate(w http.ResponseWriter, c *call, encrypted bool) error {
	ctx, now := c.r.Context(), h.cfg.Now()
	values := c.r.Header.Values(huawei.HeaderAuth)
	switch {
	case len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "":
		return refuse(huawei.MissingAuthHeader, "send the header PayDevAuth")
	case len(values) > 1 || len(values[0]) > maxHeader:
		return refuse(huawei.InvalidPayDevAuth, "want one header PayDevAuth of at most 16 KiB")
	}
	auth, malformed := huawei.ParsePayDevAuth(values[0])
	c.auth = auth
	// The app first, so that what follows can be signed; what is wrong with it is said in
	// its turn.
	var unknown error
	if clientIDs.MatchString(auth.ClientID) {
		var app ekyc.App
		if app, unknown = h.core.AppByID(ctx, ekyc.AppID(auth.ClientID)); unknown == nil || ekyc.CodeOf(unknown) == ekyc.AppDisabled {
			keys, err := h.core.AppKeys(ctx, ekyc.AppID(auth.ClientID))
			if err != nil {
				return err
			}
			c.app, c.keys = app, keys
		}
	} else {
		unknown = ekyc.Errorf(ekyc.AppUnknown, "clientId is an app's id: digits")
	}
	if malformed != nil {
		return malformed
	}
	if err := auth.Missing(encrypted); err != nil {
		return err
	}
	if unknown != nil {
		return unknown
	}
	sent := time.UnixMilli(auth.Time)
	if d := now.Sub(sent); d > h.cfg.Window || d < -h.cfg.Window {
		return refuse(huawei.InvalidTime, "time is too far from the server's clock")
	}
	developer := c.find(auth.DeveloperSignKeyID, ekyc.KeySign, false, now)
	switch {
	case c.find(auth.PetalpaySignKeyID, ekyc.KeySign, true, now) == nil:
		return refuse(huawei.UnknownPlatformSign, "petalpaySignKeyId names no valid key of ours; see shiren app keys list")
	case auth.PetalpayEncKeyID != "" && c.find(auth.PetalpayEncKeyID, ekyc.KeyEncrypt, true, now) == nil:
		return refuse(huawei.UnknownPlatformEnc, "petalpayEncKeyId names no valid key of ours; see shiren app keys list")
	case developer == nil:
		return refuse(huawei.UnknownDeveloperSign, "developerSignKeyId names no valid key of the app; see shiren app keys list")
	}
	key, err := h.public(*developer)
	if err != nil {
		return refuse(huawei.InvalidPublicKey, "the developer's key cannot be read; import it again")
	}
	if !huawei.Verify(key, auth.HeaderString(), auth.HeaderSign) {
		return refuse(huawei.InvalidSignature, "headerSign")
	}
	text, err := h.read(w, c)
	if err != nil {
		return err
	}
	if !huawei.Verify(key, text, auth.BodySign) {
		return refuse(huawei.InvalidSignature, "bodySign")
	}
	if err := h.access(ctx, auth); err != nil {
		return err
	}
	// Remembered for as long again as it is in time, since nodes' clocks differ; then it is stale.
	return h.core.Once(ctx, c.app.ID, auth.TraceID, sent.Add(2*h.cfg.Window))
}

func (h *handler) access(ctx context.Context, auth huawei.PayDevAuth) error {
	t, err := huawei.ParseAccessToken(auth.AccessToken)
	if err != nil || t.App != auth.ClientID {
		return ekyc.Errorf(ekyc.AccessInvalid, "the access token is not this app's")
	}
	_, err = h.core.Access(ctx, ekyc.Grant{App: ekyc.AppID(t.App), Expires: t.Expires, Nonce: t.Nonce, Tag: t.Tag})
	return err
}

// buffers are reused for bodies.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read takes the body and returns the text that bodySign signs.
func (h *handler) read(w http.ResponseWriter, c *call) (string, error) {
	if c.r.Method == http.MethodGet {
		return huawei.SignURI(c.r.URL.EscapedPath(), c.r.URL.RawQuery), nil
	}
	tooLarge := refuse(huawei.InvalidParameter, "the body is larger than 64 KiB")
	if c.r.ContentLength > maxBody {
		return "", tooLarge
	}
	control := http.NewResponseController(w)
	stop := time.AfterFunc(bodyTimeout, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
	defer stop.Stop()
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer buffers.Put(buf)
	_, err := io.Copy(buf, http.MaxBytesReader(w, c.r.Body, maxBody))
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return "", tooLarge
	} else if err != nil {
		return "", refuse(huawei.InvalidParameter, "the body did not arrive whole")
	}
	if c.body, err = huawei.ParseObject(buf.Bytes()); err != nil {
		return "", refuse(huawei.InvalidParameter, "the body: "+err.Error())
	}
	return huawei.SignString(c.body), nil
}

// find returns the app's valid key of an id, or nil.
func (c *call) find(id string, use ekyc.KeyUse, ours bool, now time.Time) *ekyc.AppKey {
	for i := range c.keys {
		if k := &c.keys[i]; k.ID == id && k.Use == use && k.Ours == ours && k.Valid(now) {
			return k
		}
	}
	return nil
}

// signer is the key that an answer is signed with: the one that the request named, else
// the newest; nil where the app has none.
func (c *call) signer(now time.Time) *ekyc.AppKey {
	if k := c.find(c.auth.PetalpaySignKeyID, ekyc.KeySign, true, now); k != nil {
		return k
	}
	for i := len(c.keys) - 1; i >= 0; i-- {
		if k := &c.keys[i]; k.Use == ekyc.KeySign && k.Ours && k.Valid(now) {
			return k
		}
	}
	return nil
}

// pair is a key as it was read and as SM2 works with it.
type pair struct {
	from    ekyc.AppKey
	public  *huawei.PublicKey
	private *huawei.PrivateKey
}

// key parses a key, or finds it parsed. Another key under the same id is parsed anew.
func (h *handler) key(k ekyc.AppKey) (*pair, error) {
	name := string(k.App) + "/" + k.ID
	if v, ok := h.parsed.Load(name); ok {
		if p := v.(*pair); bytes.Equal(p.from.Public, k.Public) && p.from.Private == k.Private {
			return p, nil
		}
	}
	p := &pair{from: k}
	var err error
	if p.public, err = huawei.PublicKeyOf(k.Public); err != nil {
		return nil, err
	}
	if k.Ours {
		if p.private, err = huawei.ParsePrivateKey(string(k.Private)); err != nil {
			return nil, err
		}
	}
	h.parsed.Store(name, p)
	return p, nil
}

func (h *handler) public(k ekyc.AppKey) (*huawei.PublicKey, error) {
	p, err := h.key(k)
	if err != nil {
		return nil, err
	}
	return p.public, nil
}

func (h *handler) private(k ekyc.AppKey) (*huawei.PrivateKey, error) {
	p, err := h.key(k)
	if err != nil {
		return nil, err
	}
	return p.private, nil
}

// vendor turns an error into the vendor's code and logs it. A cause is logged only where
// the fault is ours; details, which hold nothing personal, at any time.
func (h *handler) vendor(c *call, i iface, err error) huawei.Code {
	attrs := []any{"path", c.r.URL.Path, "log_id", c.logID, "app", string(c.app.ID)}
	var own *huawei.Error
	if errors.As(err, &own) {
		h.log.Info("refused", append(attrs, "sub_code", own.Sub, "detail", own.Detail)...)
		return own.Code
	}
	core := ekyc.CodeOf(err)
	code := codes[core]
	if core == ekyc.LimitDay && i.opens {
		code = huawei.DailyLimit
	}
	attrs = append(attrs, "code", string(core), "sub_code", code.Sub)
	switch core {
	case ekyc.Internal, ekyc.EngineFailed, ekyc.SourceFailed, ekyc.SourceMissing, ekyc.Busy:
		h.log.Error("failed", append(attrs, "err", err)...)
	default:
		h.log.Info("refused", append(attrs, "detail", ekyc.DetailOf(err))...)
	}
	return code
}

// reply signs and writes an answer, with HTTP status 200: the vendor documents no other.
func (h *handler) reply(w http.ResponseWriter, c *call, message any) {
	body, err := h.sign(c, message)
	if err != nil {
		h.log.Error("sign the answer", "path", c.r.URL.Path, "log_id", c.logID, "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	h.write(w, http.StatusOK, body)
}

func (h *handler) sign(c *call, message any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(message); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	k := c.signer(h.cfg.Now())
	if k == nil {
		return huawei.WithSign(body, "")
	}
	key, err := h.private(*k)
	if err != nil {
		return nil, err
	}
	return huawei.SignAnswer(h.cfg.Rand, key, body)
}

func (h *handler) write(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=UTF-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away needs no answer
}
