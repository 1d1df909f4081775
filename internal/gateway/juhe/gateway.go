package juhe

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"shiren/api/juhe"
	"shiren/internal/ekyc"
	"shiren/internal/gateway/wire"
)

// Core is what the gateway needs of ekyc.Service.
type Core interface {
	LogID() string
	AppByBearer(ctx context.Context, key string) (ekyc.App, error)
	Admit(ctx context.Context, app ekyc.App) error
	Elements(ctx context.Context, app ekyc.App, q ekyc.ElementsRequest) (ekyc.Elements, error)
	Verify(ctx context.Context, app ekyc.App, c ekyc.Claim, p ekyc.Picture, logID, ref string) (ekyc.Verified, error)
}

// Config is what New needs besides the core.
type Config struct {
	Now func() time.Time
	Log *slog.Logger
}

// Protocol is the gateway's name in records and counts: see ekyc.Via.
const Protocol = "juhe"

// Prefixes are the paths that the handler of New serves, each with all below it.
var Prefixes = []string{"/verifyface_mobile/", "/verifyface/", "/telecom/"}

type handler struct {
	core Core
	now  func() time.Time
	log  *slog.Logger
	door wire.Door
}

// New returns the handler of all interfaces under Prefixes. It is safe for concurrent use.
func New(core Core, cfg Config) http.Handler {
	h := &handler{core: core, now: cfg.Now, log: cfg.Log, door: wire.NewDoor()}
	routes := map[string]func(*call) (any, error){
		juhe.PathQuery:  h.query,
		juhe.PathFace:   h.face,
		juhe.PathMobile: h.mobile,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimSuffix(r.URL.Path, "/")
		answer, ok := routes[path]
		c := &call{r: r.WithContext(ekyc.Via(r.Context(), Protocol)), route: path, logID: h.core.LogID(), at: h.now()}
		if !ok {
			c.route = "unknown"
			h.refuse(w, c, ekyc.Errorf(ekyc.UnknownMethod, "there is no such interface; check the path"))
			return
		}
		r.Pattern = path // as a ServeMux would: the wiring counts by it
		reply, err := h.answer(w, c, answer)
		if err != nil {
			h.refuse(w, c, err)
			return
		}
		wire.WriteJSON(w, h.log, http.StatusOK, reply)
	})
}

// call is one request on its way through.
type call struct {
	r      *http.Request
	route  string
	logID  string
	at     time.Time
	app    ekyc.App
	fields fields
}

// order is the call's orderid.
func (c *call) order() string {
	n, _ := strconv.ParseUint(c.logID, 10, 64) // the core's log ids are 19 digits below 2^63
	return juhe.OrderID(c.at, n)
}

func (h *handler) answer(w http.ResponseWriter, c *call, answer func(*call) (any, error)) (reply any, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("panic", "path", c.route, "log_id", c.logID, "stack", string(debug.Stack()))
			err = ekyc.Errorf(ekyc.Internal, "")
		}
	}()
	if c.r.Method != http.MethodPost && c.r.Method != http.MethodGet {
		return nil, ekyc.Errorf(ekyc.UnknownMethod, "use POST")
	}
	leave, err := h.door.Enter(c.r)
	if err != nil {
		return nil, err
	}
	defer leave()
	var broken error
	if c.fields, broken = readFields(w, c.r); c.fields == nil {
		return nil, broken
	}
	if err := h.admit(c); err != nil {
		return nil, err
	}
	if broken != nil {
		return nil, broken
	}
	return answer(c)
}

// admit finds the relying party and counts its call. An openid, which other interfaces of
// the vendor sign with, must be the app's secret where it is sent.
func (h *handler) admit(c *call) error {
	key, err := c.fields.text("key")
	if err != nil {
		return ekyc.Errorf(ekyc.AppUnknown, "key is missing")
	}
	if c.app, err = h.core.AppByBearer(c.r.Context(), key); err != nil {
		return err
	}
	if openid, err := c.fields.text("openid"); err == nil {
		a, b := sha256.Sum256([]byte(openid)), sha256.Sum256([]byte(c.app.Secret))
		if subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
			return ekyc.Errorf(ekyc.SecretWrong, "openid is not the app's secret key; leave it out, this interface needs none")
		}
	}
	return h.core.Admit(c.r.Context(), c.app)
}

// query checks four elements.
func (h *handler) query(c *call) (any, error) {
	text, err := c.fields.texts("realname", "idcard", "mobile")
	if err != nil {
		return nil, err
	}
	image, err := c.fields.image("image")
	if err != nil {
		return nil, err
	}
	claim, mobile, err := ekyc.ParseElements(text[0], text[1], text[2])
	if err != nil {
		return nil, err
	}
	e, err := h.core.Elements(c.r.Context(), c.app, ekyc.ElementsRequest{Claim: claim, Mobile: mobile, Image: image, LogID: c.logID, Ref: c.order()})
	if err != nil {
		return nil, err
	}
	if e.Why != ekyc.OK {
		h.log.Info("portrait not compared", "path", c.route, "log_id", c.logID, "app", string(c.app.ID), "code", string(e.Why))
	}
	res := verdicts[e.Checked]
	if res == unanswered {
		return h.unanswered(c, nil), nil
	}
	return juhe.Reply{Reason: juhe.OK.Reason(), ErrorCode: juhe.OK, Result: juhe.Result{
		OrderID: c.order(), Res: res, ResMsg: res.String(), Score: perMille(e), Type: carriers[e.Carrier],
	}}, nil
}

// unanswered is the reply that nothing could be found out, free of charge. why is nil where
// there is no more to say.
func (h *handler) unanswered(c *call, why error) juhe.Refusal {
	h.log.Info("unanswered", "path", c.route, "log_id", c.logID, "app", string(c.app.ID), "code", string(ekyc.CodeOf(why)), "error_code", int(juhe.Unanswered))
	r := juhe.Refusal{Reason: juhe.Unanswered.Reason(), Result: &juhe.Order{OrderID: c.order()}, ErrorCode: juhe.Unanswered}
	if why != nil {
		r.Detail = ekyc.DetailOf(why)
	}
	return r
}

// perMille is a comparison score on the vendor's scale, to one decimal as in its example;
// not 0 where portraits were compared, and 0 where they were not.
func perMille(e ekyc.Elements) float64 {
	if !e.Compared {
		return 0
	}
	return max(0.1, math.Round(float64(e.Score)*10000)/10)
}

// refuse writes an error, with HTTP status 200 as the vendor does, and logs it. A cause is
// logged only where the fault is ours.
func (h *handler) refuse(w http.ResponseWriter, c *call, err error) {
	core := ekyc.CodeOf(err)
	code, ok := codes[core]
	if !ok { // not said as success
		code = juhe.SystemFault
	}
	attrs := []any{"path", c.route, "log_id", c.logID, "app", string(c.app.ID), "code", string(core), "error_code", int(code)}
	if code == juhe.SystemFault || core == ekyc.SourceMissing {
		h.log.Error("failed", append(attrs, "err", err)...)
	} else {
		h.log.Info("refused", attrs...)
	}
	reply := juhe.Refusal{ResultCode: code.ResultCode(), Reason: code.Reason(), ErrorCode: code}
	if core != ekyc.Internal { // what went wrong inside is nobody's business
		reply.Detail = ekyc.DetailOf(err)
	}
	wire.WriteJSON(w, h.log, http.StatusOK, reply)
}
