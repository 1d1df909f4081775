package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/operator"
)

// Signing in, and one's own account.
//
//	POST   /access/link           {link} → {kind, name, role, until}; what a one-time link is for, without using it
//	POST   /access/begin          {link, name, password, language, zone} → me; uses the link up and signs in
//	POST   /access/sign-in        {name, password, code} → me
//	POST   /access/sign-out       {} → {}
//	GET    /access/me             → me; also where nobody is signed in
//	PUT    /access/me             {language, zone} → me
//	POST   /access/prove          {password} or {code} → me; for what fails with "unproved"
//	POST   /access/password       {have, want} → me; other sign-ins end
//	POST   /access/totp           {} → {secret, uri, png}; png in base64; needs a proof
//	POST   /access/totp/confirm   {code} → {recovery: […]}; needs a proof; other sign-ins end
//	DELETE /access/totp           → me; needs a proof
//	POST   /access/recovery       {} → {recovery: […]}; needs a proof
//	GET    /access/sign-ins       → {items: [signIn]}
//	DELETE /access/sign-ins/{id}  → {}
//
// The cookie lives as long as the browser runs, at most operator.Absolute. Over https it is called
// __Host-shiren and is sent over https alone; no other host, subdomain or plain connection can set it.

// Names of the cookie: over https and without it. The prefix asks for Path=/ (RFC 6265bis, 4.1.3.2).
const (
	secureCookie = "__Host-shiren"
	plainCookie  = "shiren_console"
)

// gate is the Gate of a Handler with Operators.
type gate struct{ h *Handler }

func (g *gate) Who(r *http.Request) (Person, bool, error) {
	who, ok, err := g.h.actor(r)
	return Person{Account: who.Account.ID, SignIn: who.SignIn.ID, Name: who.Account.Name, Role: who.Account.Role}, ok, err
}

func (g *gate) Note(ctx context.Context, e operator.Entry) error {
	return g.h.cfg.Operators.Note(ctx, e)
}

// secure reports whether cookies are for https alone.
func (h *Handler) secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(h.cfg.PublicURL, "https://")
}

func (h *Handler) cookie(r *http.Request, value string) *http.Cookie {
	c := &http.Cookie{Name: plainCookie, Path: Prefix, Value: value, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if h.secure(r) {
		c.Name, c.Path, c.Secure = secureCookie, "/", true
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

func from(r *http.Request) operator.From {
	return operator.From{Address: ekyc.Caller(r.Context()), Agent: r.UserAgent()}
}

// actor finds out whose sign-in a request carries.
func (h *Handler) actor(r *http.Request) (operator.Actor, bool, error) {
	c, err := r.Cookie(h.cookie(r, "").Name)
	if errors.Is(err, http.ErrNoCookie) {
		return operator.Actor{}, false, nil
	}
	return h.cfg.Operators.Who(r.Context(), c.Value, from(r))
}

// who is the caller as the operators know them.
func (c *call) who() (operator.Actor, error) {
	a, ok, err := c.h.actor(c.Request)
	if err == nil && !ok {
		err = &Error{http.StatusUnauthorized, ErrSignedOut, "sign in first"}
	}
	return a, err
}

// statuses of the operators' refusals.
var statuses = map[operator.Code]int{
	operator.Absent:     http.StatusNotFound,
	operator.Taken:      http.StatusConflict,
	operator.Refused:    http.StatusForbidden,
	operator.CodeNeeded: http.StatusForbidden,
	operator.Wait:       http.StatusTooManyRequests,
	operator.Busy:       http.StatusServiceUnavailable,
	operator.Unproved:   http.StatusForbidden,
	operator.BadLink:    http.StatusGone,
	operator.Last:       http.StatusConflict,
	operator.Stale:      http.StatusConflict,
	operator.Invalid:    http.StatusBadRequest,
	operator.Forbidden:  http.StatusForbidden,
}

func (h *Handler) refuse(w http.ResponseWriter, e *operator.Error) {
	status, ok := statuses[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	body := map[string]any{"code": e.Code, "message": e.Message}
	if e.After > 0 {
		seconds := int(e.After / time.Second)
		body["after"] = seconds
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": body}) // the client is gone if this fails
}

// me is who is signed in, and what the page must know before it can show anything.
type me struct {
	// Administrated is false until the first administrator was made.
	Administrated bool    `json:"administrated"`
	Person        *person `json:"person"`  // null where nobody is signed in
	SignIn        *signIn `json:"sign_in"` // likewise
	Version       string  `json:"version"` // of the server; "" where nobody is signed in
	MinPassword   int     `json:"min_password"`
	MaxPassword   int     `json:"max_password"`
}

type person struct {
	ID           string                `json:"id"`
	Name         string                `json:"name"`
	Role         operator.Role         `json:"role"`
	Permissions  []operator.Permission `json:"permissions"`
	Language     string                `json:"language"` // "": as the browser says
	Zone         string                `json:"zone"`     // likewise
	TOTP         bool                  `json:"totp"`
	RecoveryLeft int                   `json:"recovery_left"`
	Version      int64                 `json:"version"`
}

type signIn struct {
	ID          string    `json:"id"`
	Created     time.Time `json:"created"`
	Seen        time.Time `json:"seen"`
	Until       time.Time `json:"until"` // unless it is used
	ProvedUntil time.Time `json:"proved_until"`
	Address     string    `json:"address"`
	Agent       string    `json:"agent"`
	Current     bool      `json:"current"` // it is the one that asks
}

func showSignIn(in operator.SignIn, current string) signIn {
	return signIn{
		ID: in.ID, Created: in.Created, Seen: in.Seen, Until: in.Until(), ProvedUntil: in.Proved.Add(operator.ProofFor),
		Address: in.Address, Agent: in.Agent, Current: in.ID == current,
	}
}

func (h *Handler) me(c *call, who operator.Actor, signedIn bool) (me, error) {
	m := me{MinPassword: operator.MinPassword, MaxPassword: operator.MaxPassword}
	var err error
	if m.Administrated, err = h.cfg.Operators.Administrated(c.Context()); err != nil || !signedIn {
		return m, err
	}
	a, in := who.Account, showSignIn(who.SignIn, who.SignIn.ID)
	m.Version, m.SignIn = h.cfg.Version, &in
	m.Person = &person{
		ID: a.ID, Name: a.Name, Role: a.Role, Permissions: a.Role.Permissions(), Language: a.Language, Zone: a.Zone,
		TOTP: a.TOTP != "", RecoveryLeft: len(a.Recovery), Version: a.Version,
	}
	return m, nil
}

// open registers a call that needs no sign-in.
func (h *Handler) open(pattern string, f func(c *call) (any, error)) {
	h.handle(pattern, true, anyone, func(w http.ResponseWriter, r *http.Request) (*call, error) {
		return &call{w, r, Person{}, h}, h.own(r)
	}, f)
}

// mine registers a call about the caller's own account. The answer where f has none is me,
// as it is after f.
func (h *Handler) mine(pattern string, f func(c *call, who operator.Actor) (any, error)) {
	h.read(pattern, anyone, func(c *call) (any, error) {
		who, err := c.who()
		if err != nil {
			return nil, err
		}
		if v, err := f(c, who); v != nil || err != nil {
			return v, err
		}
		if who, err = c.who(); err != nil {
			return nil, err
		}
		return h.me(c, who, true)
	})
}

// enterBy sets the cookie of a sign-in that has just begun, ends the one that the browser had,
// and answers me.
func (c *call) enterBy(token string) (any, error) {
	if old, ok, err := c.h.actor(c.Request); err == nil && ok {
		if err := c.h.cfg.Operators.SignOut(c.Context(), old); err != nil {
			return nil, err
		}
	}
	who, ok, err := c.h.cfg.Operators.Who(c.Context(), token, from(c.Request))
	if err == nil && !ok {
		err = &Error{http.StatusUnauthorized, ErrSignedOut, "the sign-in was ended at once; sign in again"}
	}
	if err != nil {
		return nil, err
	}
	http.SetCookie(c.ResponseWriter, c.h.cookie(c.Request, token))
	return c.h.me(c, who, true)
}

// empty is the answer of a call that has nothing to say.
type empty struct{}

func (h *Handler) accessRoutes() {
	ops := h.cfg.Operators
	h.open("POST /access/link", func(c *call) (any, error) {
		var in struct {
			Link string `json:"link"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		l, a, err := ops.Open(c.Context(), in.Link)
		if err != nil {
			return nil, err
		}
		out := struct {
			Kind  operator.LinkKind `json:"kind"`
			Name  string            `json:"name"` // "" where the person chooses it
			Role  operator.Role     `json:"role"`
			Until time.Time         `json:"until"`
		}{l.Kind, a.Name, a.Role, l.Until}
		if l.Account == "" {
			out.Role = operator.Administrator
		}
		return out, nil
	})
	h.open("POST /access/begin", func(c *call) (any, error) {
		var in struct {
			Link     string          `json:"link"`
			Name     string          `json:"name"`
			Password operator.Secret `json:"password"`
			Language string          `json:"language"`
			Zone     string          `json:"zone"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		b := operator.Beginning{Name: in.Name, Password: in.Password, Language: in.Language, Zone: in.Zone}
		_, token, err := ops.Begin(c.Context(), in.Link, b, from(c.Request))
		if err != nil {
			return nil, err
		}
		return c.enterBy(token)
	})
	h.open("POST /access/sign-in", func(c *call) (any, error) {
		var in struct {
			Name     string          `json:"name"`
			Password operator.Secret `json:"password"`
			Code     string          `json:"code"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		_, token, err := ops.SignIn(c.Context(), in.Name, in.Password, in.Code, from(c.Request))
		if err != nil {
			return nil, err
		}
		return c.enterBy(token)
	})
	// Open, so that a browser whose sign-in has ended loses its cookie too.
	h.open("POST /access/sign-out", func(c *call) (any, error) {
		who, ok, err := h.actor(c.Request)
		if err == nil && ok {
			err = ops.SignOut(c.Context(), who)
		}
		if err != nil {
			return nil, err
		}
		http.SetCookie(c.ResponseWriter, h.cookie(c.Request, ""))
		return empty{}, nil
	})
	h.open("GET /access/me", func(c *call) (any, error) {
		who, ok, err := h.actor(c.Request)
		if err != nil {
			return nil, err
		}
		return h.me(c, who, ok)
	})
	h.mine("PUT /access/me", func(c *call, who operator.Actor) (any, error) {
		var in struct {
			Language string `json:"language"`
			Zone     string `json:"zone"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		return nil, ops.Settings(c.Context(), who, in.Language, in.Zone)
	})
	h.mine("POST /access/prove", func(c *call, who operator.Actor) (any, error) {
		var in struct {
			Password operator.Secret `json:"password"`
			Code     string          `json:"code"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		return nil, ops.Prove(c.Context(), who, in.Password, in.Code)
	})
	h.mine("POST /access/password", func(c *call, who operator.Actor) (any, error) {
		var in struct {
			Have operator.Secret `json:"have"`
			Want operator.Secret `json:"want"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		return nil, ops.ChangePassword(c.Context(), who, in.Have, in.Want)
	})
	h.mine("POST /access/totp", func(c *call, who operator.Actor) (any, error) {
		e, err := ops.EnrolTOTP(c.Context(), who)
		if err != nil {
			return nil, err
		}
		return struct {
			Secret string `json:"secret"`
			URI    string `json:"uri"`
			PNG    []byte `json:"png"` // the uri as a QR code
		}{e.Secret, e.URI, e.PNG}, nil
	})
	type recovery struct {
		Recovery []string `json:"recovery"`
	}
	h.mine("POST /access/totp/confirm", func(c *call, who operator.Actor) (any, error) {
		var in struct {
			Code string `json:"code"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		codes, err := ops.ConfirmTOTP(c.Context(), who, in.Code)
		if err != nil {
			return nil, err
		}
		return recovery{codes}, nil
	})
	h.mine("DELETE /access/totp", func(c *call, who operator.Actor) (any, error) {
		return nil, ops.DisableTOTP(c.Context(), who)
	})
	h.mine("POST /access/recovery", func(c *call, who operator.Actor) (any, error) {
		codes, err := ops.NewRecovery(c.Context(), who)
		if err != nil {
			return nil, err
		}
		return recovery{codes}, nil
	})
	h.mine("GET /access/sign-ins", func(c *call, who operator.Actor) (any, error) {
		list, err := ops.SignIns(c.Context(), who)
		if err != nil {
			return nil, err
		}
		return showSignIns(list, who.SignIn.ID), nil
	})
	h.mine("DELETE /access/sign-ins/{id}", func(c *call, who operator.Actor) (any, error) {
		return empty{}, ops.EndSignIn(c.Context(), who, c.PathValue("id"))
	})
}

type signIns struct {
	Items []signIn `json:"items"`
	Next  string   `json:"next"`
}

func showSignIns(list []operator.SignIn, current string) signIns {
	out := signIns{Items: []signIn{}}
	for _, in := range list {
		out.Items = append(out.Items, showSignIn(in, current))
	}
	return out
}
