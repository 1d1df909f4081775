package baidu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"shiren/api/baidu"
	"shiren/internal/ekyc"
	"shiren/internal/gateway/wire"
)

// Core is what the gateway needs of ekyc.Service.
type Core interface {
	LogID() string
	Grant(ctx context.Context, key, secret string) (ekyc.Grant, error)
	Access(ctx context.Context, g ekyc.Grant) (ekyc.App, error)
	AppByKey(ctx context.Context, key string) (ekyc.App, error)
	Admit(ctx context.Context, app ekyc.App) error
	Open(ctx context.Context, app ekyc.App, plan ekyc.PlanID, to ekyc.Redirect) (ekyc.Session, error)
	Declare(ctx context.Context, app ekyc.App, t ekyc.Token, c ekyc.Claim) error
	DeclareFirst(ctx context.Context, t ekyc.Token, c ekyc.Claim) error
	Enrol(ctx context.Context, app ekyc.App, t ekyc.Token, image []byte, quality, liveness ekyc.Level) error
	Recognise(ctx context.Context, app ekyc.App, image []byte, side ekyc.CardSide, logID string) (ekyc.CardReading, error)
	Compare(ctx context.Context, app ekyc.App, a, b ekyc.Picture, logID string) (ekyc.Compared, error)
	Verify(ctx context.Context, app ekyc.App, c ekyc.Claim, p ekyc.Picture, logID, ref string) (ekyc.Verified, error)
	Result(ctx context.Context, app ekyc.App, t ekyc.Token) (ekyc.Session, error)
	Attend(ctx context.Context, t ekyc.Token) (ekyc.Session, error)
	Evidence(ctx context.Context, t ekyc.Token, ref string) ([]byte, ekyc.Evidence, error)
	SignLink(what string, until time.Time) string
	CheckLink(what string, until time.Time, sign string) error
}

// Config is what New needs besides the core.
type Config struct {
	// BaseURL precedes the path of links in replies: "https://host[:port]", without a
	// final slash. Empty means the scheme and Host of the request that asks, or the address
	// that its connection came in on when the Host is the vendor's own, as the official
	// Node SDK sends it wherever it connects to. No forwarding header is believed.
	BaseURL string
	Now     func() time.Time
	Log     *slog.Logger
}

// Protocol is the gateway's name in records and counts: see ekyc.Via.
const Protocol = "baidu"

// Prefixes are the paths that the handler of New serves, each with all below it. The
// page at /face/print/ is not among them.
var Prefixes = []string{"/oauth/2.0/", "/rpc/2.0/brain/solution/faceprint/", "/solution/faceprint/", "/rest/2.0/face/", "/rest/2.0/ocr/"}

// Limits of a request. Seed: an image has at most 10 MB of base64 text. The rest are our
// choices: slack for the other fields and for characters that JSON or a form escapes.
const (
	maxBody      = 64 << 10
	maxUpload    = ekyc.MaxImage + 2<<20
	maxMatch     = 2*ekyc.MaxImage + 4<<20
	maxBodyToken = maxBody // of a body that is read before anyone is authenticated
)

type handler struct {
	core Core
	base string
	now  func() time.Time
	log  *slog.Logger
	door wire.Door
}

// New returns the handler of all interfaces under Prefixes. It is safe for concurrent use.
func New(core Core, cfg Config) http.Handler {
	h := &handler{core: core, base: strings.TrimSuffix(cfg.BaseURL, "/"), now: cfg.Now, log: cfg.Log, door: wire.NewDoor()}
	routes := map[string]http.Handler{
		baidu.PathToken:   http.HandlerFunc(h.token),
		baidu.PathImage:   http.HandlerFunc(h.image),
		baidu.PathVideo:   http.HandlerFunc(h.video),
		baidu.PathMatchV3: h.serve(rest, maxMatch, h.matchV3),
		baidu.PathMatchV4: h.serve(rest, maxMatch, h.matchV4),
		baidu.PathOCR:     h.serve(ocr, maxUpload, h.idcard),

		baidu.PathVerifyV3: h.serve(rest, maxUpload, h.verifyV3),
		baidu.PathVerifyV4: h.serve(rest, maxUpload, h.verifyV4),
	}
	for name, handle := range map[string]http.Handler{
		"verifyToken/generate": h.serve(scheme, maxBody, h.generate),
		"idcard/submit":        h.serve(scheme, maxBody, h.submit),
		"uploadMatchImage":     h.serve(scheme, maxUpload, h.upload),
		"result/simple":        h.serve(scheme, maxBody, h.simple),
		"result/detail":        h.serve(scheme, maxBody, h.detail),
		"result/stat":          h.serve(scheme, maxBody, h.stat),
		"result/media/query":   h.serve(scheme, maxBody, h.media),
		"result/getall":        h.serve(scheme, maxBody, h.getAll),
	} {
		routes[baidu.PathScheme+name] = handle
		routes[baidu.PathSchemeOld+name] = handle
	}
	routes[baidu.PathSchemeOld+"idcard/submit"] = h.serve(schemeOpen, maxBody, h.submit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimSuffix(r.URL.Path, "/")
		if handle, ok := routes[path]; ok {
			r.Pattern = path // as a ServeMux would: the wiring counts by it
			handle.ServeHTTP(w, r.WithContext(ekyc.Via(r.Context(), Protocol)))
			return
		}
		f := scheme
		if strings.HasPrefix(r.URL.Path, "/rest/") {
			f = rest
		}
		c := &call{r: r, route: "unknown", family: f, logID: h.core.LogID()}
		h.refuse(w, c, ekyc.Errorf(ekyc.UnknownMethod, "there is no such interface; check the path"))
	})
}

// family is how an interface words its replies.
type family int

const (
	scheme     family = iota
	schemeOpen        // scheme, and may be called with a verify token alone
	rest
	ocr // rest, with a flat reply and codes of its own table
)

// call is one request on its way through.
type call struct {
	r      *http.Request
	route  string
	family family
	logID  string
	app    ekyc.App // zero when nobody was authenticated, on a schemeOpen interface
	body   body
}

// refusal is an error that only this protocol knows.
type refusal struct {
	code   baidu.Code
	detail string
}

func (e *refusal) Error() string { return fmt.Sprintf("%d: %s", e.code, e.detail) }

func refuse(code baidu.Code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// serve turns an interface's function into a handler.
func (h *handler) serve(f family, limit int64, answer func(*call) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{r: r, route: strings.TrimSuffix(r.URL.Path, "/"), family: f, logID: h.core.LogID()}
		result, err := h.answer(w, c, limit, answer)
		if err != nil {
			h.refuse(w, c, err)
			return
		}
		h.write(w, http.StatusOK, h.reply(c, result))
	})
}

func (h *handler) answer(w http.ResponseWriter, c *call, limit int64, answer func(*call) (any, error)) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("panic", "path", c.route, "log_id", c.logID, "stack", string(debug.Stack()))
			err = ekyc.Errorf(ekyc.Internal, "")
		}
	}()
	if c.r.Method != http.MethodPost {
		return nil, ekyc.Errorf(ekyc.UnknownMethod, "use POST")
	}
	app, err := h.authenticate(c.r)
	known := err == nil
	if err != nil && ekyc.CodeOf(err) != ekyc.AccessMissing {
		return nil, err
	}
	if !known {
		limit = min(limit, maxBodyToken)
	}
	if limit > maxBody {
		leave, err := h.door.Enter(c.r)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	buf := wire.Buffer()
	defer wire.Release(buf)
	if err := wire.Read(w, c.r, buf, limit); err != nil {
		switch {
		case !known && ekyc.CodeOf(err) == ekyc.BodyTooLarge:
			return nil, ekyc.Errorf(ekyc.AccessMissing, "send access_token in the URL, or an Authorization header")
		case limit == maxBody && ekyc.CodeOf(err) == ekyc.BodyTooLarge: // it is not an image's fault
			return nil, ekyc.Errorf(ekyc.BadRequest, "%s", ekyc.DetailOf(err))
		}
		return nil, err
	}
	body, bodyErr := parse(buf.Bytes())
	if !known {
		if t, _ := body.text("access_token"); bodyErr == nil && t != "" {
			app, err = h.access(c.r.Context(), t)
		}
		if err != nil && (c.family != schemeOpen || ekyc.CodeOf(err) != ekyc.AccessMissing) {
			return nil, err
		}
	}
	if c.app = app; app.ID != "" {
		if err := h.core.Admit(c.r.Context(), app); err != nil {
			return nil, err
		}
	}
	if c.body = body; bodyErr != nil {
		return nil, bodyErr
	}
	return answer(c)
}

// authenticate finds the app by what the URL and the headers hold. An access token wins
// over a signature: the official Go SDK sends both.
func (h *handler) authenticate(r *http.Request) (ekyc.App, error) {
	if strings.Contains(r.URL.RawQuery, "access_token") {
		if t := accessToken(r.URL.Query()); t != "" {
			return h.access(r.Context(), t)
		}
	}
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "bce-auth-") {
		return ekyc.App{}, ekyc.Errorf(ekyc.AccessMissing, "send access_token in the URL, or an Authorization header")
	}
	sig, err := baidu.ParseSignature(auth)
	if err != nil {
		return ekyc.App{}, ekyc.Errorf(ekyc.SignatureWrong, "%v", err)
	}
	app, err := h.core.AppByKey(r.Context(), sig.Key)
	if err != nil {
		return ekyc.App{}, err
	}
	if err := sig.Verify(r, string(app.Secret), h.now()); err != nil {
		return ekyc.App{}, ekyc.Errorf(ekyc.SignatureWrong, "%v", err)
	}
	return app, nil
}

// accessToken reads the query's access token. The Node SDK appends "?aipSdk=node" to it.
func accessToken(q map[string][]string) string {
	for _, v := range q["access_token"] {
		if t, _, _ := strings.Cut(v, "?"); t != "" {
			return t
		}
	}
	return ""
}

func (h *handler) access(ctx context.Context, text string) (ekyc.App, error) {
	text, _, _ = strings.Cut(text, "?")
	t, err := baidu.ParseAccessToken(text)
	if err != nil {
		return ekyc.App{}, ekyc.Errorf(ekyc.AccessInvalid, "%v", err)
	}
	return h.core.Access(ctx, ekyc.Grant{App: ekyc.AppID(t.App), Expires: t.Expires, Nonce: t.Nonce, Tag: t.Tag})
}

// reply is the envelope of a result.
func (h *handler) reply(c *call, result any) any {
	if r, ok := result.(*baidu.IDCardReply); ok {
		r.LogID = restLogID(c.logID)
		return r
	}
	if c.family == rest {
		return baidu.RestReply[any]{
			ErrorMsg: baidu.OK.Message(), LogID: restLogID(c.logID), Timestamp: h.now().Unix(), Result: result,
		}
	}
	return baidu.Reply[any]{Success: true, Result: result, LogID: c.logID}
}

func restLogID(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // the core's log ids are 19 digits below 2^63
	return n
}

// refuse writes an error, with HTTP status 200: the Java SDK takes any other for a
// broken network.
func (h *handler) refuse(w http.ResponseWriter, c *call, err error) {
	code, detail := h.vendor(c, err)
	h.write(w, http.StatusOK, envelope(c, code, detail))
}

func envelope(c *call, code baidu.Code, detail string) any {
	if c.family == rest || c.family == ocr {
		return baidu.RestRefusal{ErrorCode: code, ErrorMsg: code.Message(), LogID: restLogID(c.logID), Detail: detail}
	}
	return baidu.Refusal{
		Code: code, Message: code.Message(), ErrorCode: code, ErrorMsg: code.Message(), LogID: c.logID, Detail: detail,
	}
}

// vendor turns an error into the vendor's code and a detail for the developer, and logs
// it. A cause is logged only where the fault is ours.
func (h *handler) vendor(c *call, err error) (baidu.Code, string) {
	var own *refusal
	core := ekyc.CodeOf(err)
	attrs := []any{"path", c.route, "log_id", c.logID, "app", string(c.app.ID)}
	if errors.As(err, &own) {
		h.log.Info("refused", append(attrs, "error_code", int(own.code))...)
		return own.code, own.detail
	}
	e := codes[core]
	code := e.scheme
	switch c.family {
	case rest:
		code = e.rest
	case ocr:
		code = ocrCode(core)
	}
	attrs = append(attrs, "code", string(core), "error_code", int(code))
	switch core {
	case ekyc.Internal, ekyc.EngineFailed, ekyc.SourceFailed, ekyc.SourceMissing, ekyc.Busy:
		h.log.Error("failed", append(attrs, "err", err)...)
	default:
		h.log.Info("refused", attrs...)
	}
	if core == ekyc.Internal {
		return code, "" // what went wrong inside is nobody's business
	}
	return code, ekyc.DetailOf(err)
}

func (h *handler) write(w http.ResponseWriter, status int, message any) {
	wire.WriteJSON(w, h.log, status, message)
}
