// Package console serves the operator's side: a single page, and the JSON interface that it
// talks to. It has no rules of its own about verification: it reads and changes what the core,
// the registry, the operators and the alarms keep, checks who may, and writes the journal.
//
// # Addresses
//
//	GET  /console, /console/…          the page; its script reads the rest of the path
//	GET  /console/assets/NAME          its files, named by content
//	*    /console/api/…                JSON; each area's file says what it answers
//
// # The interface
//
// Every call but those of signing in needs the cookie of a sign-in. Calls that change something
// are POST, PUT or DELETE with a JSON body, from the page's own origin (http.CrossOriginProtection),
// and with the header Shiren-Console: 1, which no form can send. Those that read refuse what a
// browser says that another site asked for (Sec-Fetch-Site). Bodies are bounded; a field that
// is not known is refused. Times are RFC 3339 in UTC. Lists are {"items":[…],"next":"…"}: next is
// handed back as ?after= and is "" at the end.
//
// What fails is {"error":{"code":"…","message":"…"}}: message is English and says what to do; the
// page has its own words for each code. Codes: those of ekyc and of operator, and the Err constants.
// Mistakes in settings have "fields" beside them: by setting, in English.
// With operator.Wait there is "after" beside them, in seconds, and the header Retry-After.
//
// # Personal data
//
// Answers hold personal data masked. What unmasks it is a POST with a reason, needs
// operator.RevealPersons, and is refused when its journal entry cannot be written first.
package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"shiren/internal/dossier"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
	"shiren/web"
)

// Prefix is the path under which everything here is served. Our choice.
const Prefix = "/console"

// Codes of failures, beside those of ekyc.
const (
	ErrSignedOut = "signed_out" // nobody is signed in; 401
	ErrForbidden = "forbidden"  // the role may not; 403
	ErrForged    = "forged"     // not sent by the page; 403
	ErrAbsent    = "absent"     // there is no such thing; 404
	ErrConflict  = "conflict"   // it was changed meanwhile, or exists already; 409
	ErrInvalid   = "invalid"    // a field cannot be read or has a wrong value; 400
	ErrReason    = "reason"     // a reason is needed; 400
	ErrSystem    = "system"     // something failed here; the log says what; 500
)

// MaxBody bounds the body of a call, unless the call says otherwise. Our choice.
const MaxBody = 256 << 10

// Person is who makes a call.
type Person struct {
	Account string // id
	SignIn  string // id
	Name    string
	Role    operator.Role
}

// Gate says who makes a request, and keeps the journal.
type Gate interface {
	// Who returns the person whose sign-in the request carries; ok is false where nobody is
	// signed in or the sign-in has ended.
	Who(r *http.Request) (p Person, ok bool, err error)
	// Note writes a journal entry durably. Its ID and At are set by the gate.
	Note(ctx context.Context, e operator.Entry) error
}

// Config is what New needs. An area's calls are there if its fields are set.
type Config struct {
	Gate Gate // nil: made of Operators
	// Operators is who works here: signing in, accounts and the journal.
	Operators *operator.Service
	// PublicURL is the scheme and host by which browsers reach the console, where that is known. With
	// https, cookies are for https alone, also where a proxy ends TLS.
	PublicURL string
	Version   string // of the server, which the page shows
	// Records and Signer are what the area of records stands on.
	Records Records
	Signer  *dossier.Signer
	Now     func() time.Time
	Log     *slog.Logger // nil: slog.Default
	// Pages holds index.html and assets/; nil where they were not built.
	Pages fs.FS
	// Counts is where statistics come from; nil leaves them out.
	Counts Counts
	// Alarms is what the area of alarms works with; nil leaves it out.
	Alarms *Alarms
	// Explorer is what interfaces are tried with.
	Explorer *Explorer

	Plans    PlanKeeper // nil: plans are not offered here
	Trials   Trier      // nil: plans cannot be tried
	Apps     AppKeeper  // nil: apps are not offered here
	Registry People     // nil: the registry is not offered here
	Imports  Imports    // nil: files cannot be brought in
	// CaptureURL is how phones reach the server, as scheme and host; "" is as the operator does.
	CaptureURL string
	// CapturePage is the path of the capture page, to which "?token=" is added; Framed says that
	// it is on the console's own origin, so that the console may show it in a frame.
	CapturePage string
	Framed      bool
}

// Handler is the room. Safe for concurrent use.
type Handler struct {
	cfg   Config
	log   *slog.Logger
	mux   *http.ServeMux
	page  *web.Page
	cross *http.CrossOriginProtection
	calls []Call
}

// Call is one call of the interface.
type Call struct {
	Method, Path string // as http.ServeMux reads them
	Open         bool   // needs no sign-in
	Permission   operator.Permission
}

// Calls lists the calls that are there, in the order of their areas.
func (h *Handler) Calls() []Call { return slices.Clone(h.calls) }

// New returns the handler for everything under Prefix.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, log: cfg.Log, mux: http.NewServeMux(), cross: http.NewCrossOriginProtection()}
	if h.log == nil {
		h.log = slog.Default()
	}
	if cfg.Gate == nil && cfg.Operators != nil {
		h.cfg.Gate = &gate{h}
	}
	var err error
	if h.page, err = web.Read(cfg.Pages); err != nil && cfg.Pages != nil { // who gives none knows why
		h.log.Error("the console's page cannot be served: run `make web` and build again", "err", err)
	}
	h.mux.HandleFunc(Prefix, h.servePage)
	h.mux.HandleFunc(Prefix+"/", h.servePage)
	h.mux.HandleFunc(Prefix+"/assets/{name}", h.serveAsset)
	h.planRoutes()
	h.appRoutes()
	h.registryRoutes()
	h.mux.HandleFunc(Prefix+"/api/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, ErrAbsent, "there is no such call")
	})
	if cfg.Alarms != nil {
		h.alarmRoutes()
	}
	if cfg.PublicURL != "" {
		if err := h.cross.AddTrustedOrigin(strings.ToLower(cfg.PublicURL)); err != nil {
			h.log.Error("the console's public address is no origin, so browsers that say no more than where a call comes from are refused", "err", err)
		}
	}
	if cfg.Records != nil && cfg.Signer != nil {
		h.recordRoutes()
	}
	if cfg.Operators != nil {
		h.accessRoutes()
		h.accountRoutes()
		h.journalRoutes()
	}
	if cfg.Counts != nil {
		h.statisticsRoutes()
	}
	if cfg.Explorer != nil {
		h.explorerRoutes()
	}
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	h.mux.ServeHTTP(w, r)
}

// secure sets what every answer of this room carries: nothing is loaded from elsewhere, nobody
// embeds it, no inline script. The page frames the capture page for the preview of plans.
// Style attributes are set by the chart and component libraries through the CSSOM, which the
// policy does not bar.
func secure(head http.Header) {
	head.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "+
		"connect-src 'self'; media-src 'self' blob:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	head.Set("Permissions-Policy", "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// looking refuses methods that the page and its files do not have.
func looking(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
	return false
}

func (h *Handler) servePage(w http.ResponseWriter, r *http.Request) {
	if !looking(w, r) {
		return
	}
	if h.page == nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "The console's page is not built. Run `make web`, build the server again and restart it.", http.StatusServiceUnavailable)
		return
	}
	h.page.ServeIndex(w, r, "no-cache")
}

func (h *Handler) serveAsset(w http.ResponseWriter, r *http.Request) {
	if !looking(w, r) {
		return
	}
	if h.page == nil || !h.page.ServeAsset(w, r, r.PathValue("name")) {
		w.Header().Set("Cache-Control", "no-store")
		http.NotFound(w, r)
	}
}

// call is one request of a person.
type call struct {
	http.ResponseWriter
	*http.Request
	Person
	h *Handler
}

// Error is what a call answers with.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func invalid(message string) error { return &Error{http.StatusBadRequest, ErrInvalid, message} }

func absent(message string) error { return &Error{http.StatusNotFound, ErrAbsent, message} }

// checkReason is operator.CheckReason, with what the call answers.
func checkReason(text string) (string, error) {
	reason, err := operator.CheckReason(text)
	switch {
	case errors.Is(err, operator.ErrNoReason):
		return "", &Error{http.StatusBadRequest, ErrReason, err.Error()}
	case err != nil:
		return "", invalid(err.Error())
	}
	return reason, nil
}

// sent is the answer of a call that has written its own.
type sent struct{}

// anyone is the permission of whoever is signed in.
const anyone operator.Permission = ""

// handle registers a call. enter says who makes it.
func (h *Handler) handle(pattern string, open bool, p operator.Permission, enter func(w http.ResponseWriter, r *http.Request) (*call, error), f func(c *call) (any, error)) {
	method, path, _ := strings.Cut(pattern, " ")
	path = Prefix + "/api" + path
	h.calls = append(h.calls, Call{method, path, open, p})
	h.mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		c, err := enter(w, r)
		var v any
		if err == nil {
			v, err = f(c)
		}
		h.answer(w, r, v, err)
	})
}

// read answers pattern ("GET /records", below Prefix/api) for those who have permission p. f's
// value is the answer, as JSON; sent{} where f has written one. It is also for calls whose
// journal entry is written in the same transaction as their change.
func (h *Handler) read(pattern string, p operator.Permission, f func(c *call) (any, error)) {
	h.handle(pattern, false, p, func(w http.ResponseWriter, r *http.Request) (*call, error) { return h.enter(w, r, p) }, f)
}

// change is read for what changes or reveals something: f is called only if a journal entry
// with the action could be written. note says what it is done to, and why, from the request;
// it may refuse. f must not be able to do more than note told. Where f fails, a second entry
// with ".failed" behind the action says so.
func (h *Handler) change(pattern string, p operator.Permission, action string, note func(c *call) (object, reason, detail string, err error), f func(c *call) (any, error)) {
	h.read(pattern, p, func(c *call) (any, error) {
		object, reason, detail, err := note(c)
		if err != nil {
			return nil, err
		}
		return c.journalled(action, object, reason, detail, func() (any, error) { return f(c) })
	})
}

// journalled runs f only if a journal entry could be written. Where f fails, a second entry
// with ".failed" behind the action says so.
func (c *call) journalled(action, object, reason, detail string, f func() (any, error)) (any, error) {
	if err := c.note(action, object, reason, detail); err != nil {
		return nil, err
	}
	v, err := f()
	if err != nil {
		err = errors.Join(err, c.late(action+".failed", object, ""))
	}
	return v, err
}

// late notes what came of a call whose caller may be gone already; the journal is not.
func (c *call) late(action, object, detail string) error {
	r := c.Request
	defer func() { c.Request = r }()
	c.Request = r.WithContext(context.WithoutCancel(r.Context()))
	return c.note(action, object, "", detail)
}

// note writes a journal entry about the call.
func (c *call) note(action, object, reason, detail string) error {
	return c.h.cfg.Gate.Note(c.Context(), operator.Entry{
		Account: c.Account, Name: c.Name, Address: address(c.Request), Action: action, Object: object, Reason: reason, Detail: detail,
	})
}

// address is the caller's as the journal has it, "" where it is not known.
func address(r *http.Request) string {
	if a := ekyc.Caller(r.Context()); a.IsValid() {
		return a.String()
	}
	return ""
}

// enter finds out who calls and whether they may.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, p operator.Permission) (*call, error) {
	if err := h.own(r); err != nil {
		return nil, err
	}
	who, ok, err := h.cfg.Gate.Who(r)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, &Error{http.StatusUnauthorized, ErrSignedOut, "sign in first"}
	case p != anyone && !who.Role.May(p):
		return nil, &Error{http.StatusForbidden, ErrForbidden, "your role may not do this; an administrator can change it"}
	}
	return &call{w, r, who, h}, nil
}

// own refuses what the page itself did not send. What only reads may also come from the
// address bar and from programs, which say nothing of a site.
func (h *Handler) own(r *http.Request) error {
	forged := h.cross.Check(r) != nil || r.Header.Get("Shiren-Console") != "1"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		site := r.Header.Get("Sec-Fetch-Site")
		forged = site != "" && site != "same-origin" && site != "none"
	}
	if forged {
		return &Error{http.StatusForbidden, ErrForged, "the call was not sent by the console's own page"}
	}
	return nil
}

// body reads the call's JSON body into v. What does not fit is ErrInvalid.
func (c *call) body(v any) error { return c.bodyOf(v, MaxBody) }

// bodyOf is body for calls that take more, or less.
func (c *call) bodyOf(v any, limit int64) error {
	d := json.NewDecoder(http.MaxBytesReader(c.ResponseWriter, c.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return invalid(fmt.Sprintf("the body is longer than %d bytes", long.Limit))
		}
		return invalid("the body cannot be read: it is no JSON, or has an unknown field")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("the body has something after its JSON")
	}
	return nil
}

type bodyKey struct{}

// bodyOf reads the call's JSON body of at most most bytes, once: what notes a change and what
// makes it are handed the same value.
func bodyOf[T any](c *call, most int64) (*T, error) {
	if v, ok := c.Context().Value(bodyKey{}).(*T); ok {
		return v, nil
	}
	v := new(T)
	if err := c.bodyOf(v, most); err != nil {
		return nil, err
	}
	c.Request = c.WithContext(context.WithValue(c.Context(), bodyKey{}, v))
	return v, nil
}

// answer writes v, or what err comes to.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	var own *Error
	var core *ekyc.Error
	var who *operator.Error
	switch {
	case err == nil:
		if _, ok := v.(sent); ok {
			return
		}
		b, err := json.Marshal(v)
		if err != nil {
			h.answer(w, r, nil, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(b) // the client is gone if this fails
	case errors.As(err, &own):
		fail(w, own.Status, own.Code, own.Message)
	case errors.Is(err, ekyc.ErrConflict):
		fail(w, http.StatusConflict, ErrConflict, "it was changed meanwhile, or is there already; look at it again before you change it")
	case len(ekyc.FieldErrors(err)) > 0:
		failFields(w, ekyc.FieldErrors(err))
	case errors.As(err, &who):
		h.refuse(w, who)
	case errors.Is(err, ekyc.ErrAbsent):
		fail(w, http.StatusNotFound, ErrAbsent, "there is no such thing; it may have been erased when it was due")
	case errors.As(err, &core) && core.Code != ekyc.Internal:
		if core.Err != nil { // which is logged, never sent
			h.log.InfoContext(r.Context(), "a call of the console was refused", "call", r.Pattern, "err", err)
		}
		fail(w, http.StatusBadRequest, string(core.Code), cmp.Or(core.Detail, string(core.Code)))
	default:
		if r.Context().Err() == nil {
			h.log.ErrorContext(r.Context(), "a call of the console failed", "call", r.Pattern, "err", err)
		}
		fail(w, http.StatusInternalServerError, ErrSystem, "something failed here; the server's log says what")
	}
}

// failFields answers mistakes by field: the error has "fields" beside its message.
func failFields(w http.ResponseWriter, list []*ekyc.FieldError) {
	fields, all := map[string]string{}, make([]string, 0, len(list))
	for _, f := range list {
		if fields[f.Field] == "" {
			fields[f.Field] = f.What
		}
		all = append(all, f.What)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": ErrInvalid, "message": strings.Join(all, "; "), "fields": fields}})
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": message}})
}
