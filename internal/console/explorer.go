package console

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/explorer"
	"shiren/internal/operator"
)

// This file answers, all with operator.UseExplorer:
//
//	GET  /explorer/interfaces       {"interfaces":[explorer.Interface…],"languages":[…]}
//	GET  /explorer/apps             {"items":[…]}: the apps, what each can sign with, and its plans
//	GET  /explorer/cases            {"items":[…]}: the sandbox's scripted answers
//	GET  /explorer/cases/picture    ?name=: a case's magic picture
//	GET  /explorer/samples          ?interface=&language=&auth=: {"file","text"}
//	POST /explorer/keys             {"app"}: makes the SM2 pairs by which the explorer signs for an app in test mode
//	POST /explorer/send             ExplorerSend: explorer.Exchange
//
// Who may use the explorer may send for apps in test mode: what those are answered is scripted
// or marked, and charged to nobody. For any other app the role must be able to change apps and to
// see persons, and a reason is asked for. Each request is in the journal before it is sent.
//
// Secrets stay here. What is signed is signed with the app's own keys; the answers mask secrets,
// tokens and signatures that could be used again. The private half of a developer's SM2 key is known here
// only of pairs that were made here, for apps in test mode: it is sealed in the database as our
// own keys are. Of another app the person gives it with each request: it is used once and kept nowhere.

// ExplorerStore is what the explorer needs of the store.
type ExplorerStore interface {
	Apps(ctx context.Context) ([]ekyc.App, error)
	App(ctx context.Context, id ekyc.AppID) (ekyc.App, error)
	Plans(ctx context.Context) ([]ekyc.Plan, error)
	AppKeys(ctx context.Context, app ekyc.AppID) ([]ekyc.AppKey, error)
	PutAppKey(ctx context.Context, k ekyc.AppKey) error
}

// Explorer is what trying interfaces stands on.
type Explorer struct {
	Store   ExplorerStore
	Handler http.Handler // of all vendors' interfaces; requests reach it in this process
	// PublicURL is where clients reach the server; empty means the address by which the console
	// was reached.
	PublicURL string
	Rand      io.Reader
}

// maxExplorerBody bounds a request that is to be sent: two pictures of 10 MB in base64, as the
// largest interface takes. explorerAtOnce of them are held at once. Our choices.
const (
	maxExplorerBody = 24 << 20
	explorerAtOnce  = 4
	explorerTimeout = time.Minute
)

// ExplorerApp is an app as the explorer knows it: without secrets.
type ExplorerApp struct {
	ID     ekyc.AppID     `json:"id"`
	Name   string         `json:"name"`
	Test   bool           `json:"test"`
	Usable bool           `json:"usable"` // by whoever asks
	Bearer bool           `json:"bearer"` // it has a key that alone admits
	Signs  bool           `json:"signs"`  // the explorer has a pair to sign with
	Plans  []ExplorerPlan `json:"plans"`
}

// ExplorerPlan is a plan's name.
type ExplorerPlan struct {
	ID   ekyc.PlanID `json:"id"`
	Name string      `json:"name"`
}

// ExplorerCase is a case of the sandbox.
type ExplorerCase struct {
	Name     string       `json:"name"`
	Number   string       `json:"number"` // nobody's
	Code     ekyc.Code    `json:"code"`
	Identity ekyc.Outcome `json:"identity"`
	Portrait ekyc.Outcome `json:"portrait"`
	Mobile   ekyc.Outcome `json:"mobile"`
}

// ExplorerSend is a request to be made.
type ExplorerSend struct {
	Interface string          `json:"interface"`
	App       ekyc.AppID      `json:"app"`
	Auth      explorer.Auth   `json:"auth"`
	Fields    json.RawMessage `json:"fields"`
	// SignKey is a developer's private key for explorer.AuthPayDev, and SignKeyID its id, where
	// the pair that was made here is not to be used.
	SignKey   ekyc.Secret `json:"sign_key"`
	SignKeyID string      `json:"sign_key_id"`
	Reason    string      `json:"reason"` // for apps that are not in test mode
}

func (h *Handler) explorerRoutes() {
	x := h.cfg.Explorer
	turns := make(chan struct{}, explorerAtOnce)
	h.read("GET /explorer/interfaces", operator.UseExplorer, func(*call) (any, error) {
		return map[string]any{"interfaces": explorer.Interfaces(), "languages": explorer.Languages()}, nil
	})
	h.read("GET /explorer/apps", operator.UseExplorer, h.explorerApps)
	h.read("GET /explorer/cases", operator.UseExplorer, func(*call) (any, error) {
		list := []ExplorerCase{}
		for _, c := range ekyc.SandboxCases() {
			list = append(list, ExplorerCase{c.Name, string(c.Number), c.Code, c.Identity, c.Portrait, c.Mobile})
		}
		return map[string]any{"items": list}, nil
	})
	h.read("GET /explorer/cases/picture", operator.UseExplorer, func(c *call) (any, error) {
		name := c.FormValue("name")
		if !slices.ContainsFunc(ekyc.SandboxCases(), func(s ekyc.SandboxCase) bool { return s.Name == name }) {
			return nil, absent("the sandbox has no case of this name")
		}
		c.ResponseWriter.Header().Set("Content-Type", "image/jpeg")
		c.ResponseWriter.Write(ekyc.SandboxPicture(name)) // the client is gone if this fails
		return sent{}, nil
	})
	h.read("GET /explorer/samples", operator.UseExplorer, func(c *call) (any, error) {
		i, ok := explorer.Find(c.FormValue("interface"))
		if !ok {
			return nil, absent("there is no such interface")
		}
		n := slices.IndexFunc(explorer.Languages(), func(l explorer.Language) bool { return l.ID == c.FormValue("language") })
		auth := explorer.Auth(c.FormValue("auth"))
		if auth == "" {
			auth = i.Auth[0]
		}
		if n < 0 || !i.Takes(auth) {
			return nil, invalid("there is no such language, or the interface does not take this way to authenticate")
		}
		l := explorer.Languages()[n]
		text, err := explorer.Sample(i, l.ID, auth, x.base(c.Request))
		return map[string]string{"file": l.File, "text": text}, err
	})
	h.read("POST /explorer/keys", operator.UseExplorer, h.explorerKeys)
	h.read("POST /explorer/send", operator.UseExplorer, func(c *call) (any, error) {
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
		case <-c.Context().Done():
			return nil, c.Context().Err()
		}
		return h.explorerSend(c)
	})
}

// base is how clients reach the server.
func (x *Explorer) base(r *http.Request) string {
	if x.PublicURL != "" {
		return strings.TrimSuffix(x.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// explorerMay reports whether a person may send for an app.
func (p Person) explorerMay(a ekyc.App) bool {
	return a.Test || p.Role.May(operator.ChangeApps) && p.Role.May(operator.RevealPersons)
}

func (h *Handler) explorerApps(c *call) (any, error) {
	x := h.cfg.Explorer
	apps, err := x.Store.Apps(c.Context())
	if err != nil {
		return nil, err
	}
	plans, err := x.Store.Plans(c.Context())
	if err != nil {
		return nil, err
	}
	list := []ExplorerApp{}
	for _, a := range apps {
		e := ExplorerApp{ID: a.ID, Name: a.Name, Test: a.Test, Usable: c.explorerMay(a), Bearer: a.Bearer != "", Plans: []ExplorerPlan{}}
		for _, p := range plans {
			if p.App == a.ID {
				e.Plans = append(e.Plans, ExplorerPlan{p.ID, p.Name})
			}
		}
		keys, err := x.Store.AppKeys(c.Context(), a.ID)
		if err != nil {
			return nil, err
		}
		e.Signs = a.Test && h.explorerPair(keys).SignKey != nil
		list = append(list, e)
	}
	return map[string]any{"items": list}, nil
}

// explorerApp finds the app that a person may send for.
func (h *Handler) explorerApp(c *call, id ekyc.AppID) (ekyc.App, error) {
	a, err := h.cfg.Explorer.Store.App(c.Context(), id)
	if err == nil && !c.explorerMay(a) {
		err = &Error{http.StatusForbidden, ErrForbidden, "your role tries interfaces with apps in test mode only; put the app into test mode, or ask an operator"}
	}
	return a, err
}

func (h *Handler) explorerSend(c *call) (any, error) {
	var q ExplorerSend
	if err := c.bodyOf(&q, maxExplorerBody); err != nil {
		return nil, err
	}
	i, ok := explorer.Find(q.Interface)
	if !ok {
		return nil, absent("there is no such interface")
	}
	a, err := h.explorerApp(c, q.App)
	if err != nil {
		return nil, err
	}
	reason := ""
	if !a.Test {
		if reason, err = checkReason(q.Reason); err != nil {
			return nil, err
		}
	}
	by := explorer.Credentials{App: a.ID, Key: a.Key, Secret: a.Secret, Bearer: a.Bearer}
	if q.Auth == explorer.AuthPayDev {
		keys, err := h.cfg.Explorer.Store.AppKeys(c.Context(), a.ID)
		if err != nil {
			return nil, err
		}
		by.Pair = h.explorerPair(keys)
		switch {
		case q.SignKey != "":
			if by.Pair.SignKey, err = explorer.ParsePrivateKey(string(q.SignKey)); err != nil {
				return nil, invalid("sign_key: " + err.Error())
			}
			by.Pair.SignKeyID = q.SignKeyID
		case !a.Test:
			by.Pair.SignKey = nil // made while it was; it is the developer's turn now
		}
	}
	if err := c.note("explorer.send", string(a.ID), reason, fmt.Sprintf("%s, %s", i.ID, q.Auth)); err != nil {
		return nil, err
	}
	x := h.cfg.Explorer
	caller := explorer.Caller{Handler: x.Handler, Base: x.base(c.Request), Now: h.cfg.Now, Rand: x.Rand}
	ctx, cancel := context.WithTimeout(c.Context(), explorerTimeout)
	defer cancel()
	e, err := caller.Call(ctx, i, q.Auth, by, q.Fields)
	if errors.Is(err, explorer.ErrRequest) {
		return nil, invalid(err.Error())
	}
	return struct {
		explorer.Exchange
		Took float64 `json:"took_ms"`
	}{e, float64(e.Took.Microseconds()) / 1000}, err
}

// explorerPair finds the newest valid keys that requests are signed and encrypted with: the
// developer's whose private half is known here, and ours.
func (h *Handler) explorerPair(keys []ekyc.AppKey) (p explorer.Pair) {
	now := h.cfg.Now()
	for _, k := range keys {
		if !k.Valid(now) {
			continue
		}
		switch {
		case k.Ours && k.Use == ekyc.KeySign:
			p.PlatformSignKeyID = k.ID
		case k.Ours:
			if public, err := explorer.ParsePublicKey(k.Public); err == nil {
				p.PlatformEncKeyID, p.PlatformEncKey = k.ID, public
			}
		case k.Use == ekyc.KeyEncrypt:
			p.EncKeyID = k.ID
		case k.Private != "":
			if private, err := explorer.ParsePrivateKey(string(k.Private)); err == nil {
				p.SignKeyID, p.SignKey = k.ID, private
			}
		}
	}
	return p
}

// explorerKeys makes the pairs that an app in test mode lacks: the developer's, whose private half
// is kept here, and ours.
func (h *Handler) explorerKeys(c *call) (any, error) {
	x := h.cfg.Explorer
	var q struct {
		App ekyc.AppID `json:"app"`
	}
	if err := c.body(&q); err != nil {
		return nil, err
	}
	a, err := x.Store.App(c.Context(), q.App)
	if err != nil {
		return nil, err
	}
	if !a.Test {
		return nil, &Error{http.StatusForbidden, ErrForbidden, "the explorer keeps a developer's private key of apps in test mode only; paste the key that signs"}
	}
	keys, err := x.Store.AppKeys(c.Context(), a.ID)
	if err != nil {
		return nil, err
	}
	var made []ekyc.AppKey
	have := h.explorerPair(keys)
	for _, want := range []struct {
		lacks  bool
		ours   bool
		use    ekyc.KeyUse
		prefix string
	}{
		{have.SignKey == nil, false, ekyc.KeySign, "EXPLORER_SIGN_"},
		{have.EncKeyID == "", false, ekyc.KeyEncrypt, "EXPLORER_ENC_"},
		// Ours begin like the vendor's; see `shiren app keys make`.
		{have.PlatformSignKeyID == "", true, ekyc.KeySign, "DEVELOPER_SIGN_"},
		{have.PlatformEncKeyID == "", true, ekyc.KeyEncrypt, "DEVELOPER_ENC_"},
	} {
		if !want.lacks {
			continue
		}
		k, err := h.explorerKey(a.ID, want.prefix)
		if err != nil {
			return nil, err
		}
		k.Ours, k.Use = want.ours, want.use
		if err := ekyc.AddKey(keys, k, k.Created); err != nil {
			return nil, err
		}
		keys, made = append(keys, k), append(made, k)
	}
	ids := []string{}
	for _, k := range made {
		ids = append(ids, k.ID)
	}
	if err := c.note("explorer.keys", string(a.ID), "", strings.Join(ids, ", ")); err != nil {
		return nil, err
	}
	for _, k := range made {
		if err := x.Store.PutAppKey(c.Context(), k); err != nil {
			return nil, err
		}
	}
	return map[string]any{"made": ids}, nil
}

// explorerKey makes a pair under a new id.
func (h *Handler) explorerKey(app ekyc.AppID, prefix string) (k ekyc.AppKey, err error) {
	var id [8]byte
	if _, err := io.ReadFull(h.cfg.Explorer.Rand, id[:]); err != nil {
		return k, fmt.Errorf("make a key's id: %w", err)
	}
	public, private, err := explorer.MakeKey(h.cfg.Explorer.Rand)
	return ekyc.AppKey{
		App: app, ID: prefix + strings.ToUpper(hex.EncodeToString(id[:])), Public: public,
		Private: ekyc.Secret(base64.StdEncoding.EncodeToString(private)), Created: h.cfg.Now().UTC(),
	}, err
}
