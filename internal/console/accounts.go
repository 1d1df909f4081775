package console

import (
	"time"

	"shiren/internal/operator"
)

// Others' accounts, for those with operator.ChangeAccounts; changes need a proof besides.
//
//	GET    /accounts                 → {items: [account]}
//	POST   /accounts                 {name, role} → {account, path, until}; path opens with the page's own host
//	PUT    /accounts/{id}            {role, disabled, version} → account; its sign-ins end
//	POST   /accounts/{id}/link       {} → {account: null, path, until}; an invitation anew, or one that resets the password
//	GET    /accounts/{id}/sign-ins   → {items: [signIn]}
//	DELETE /accounts/{id}/sign-ins   → {}; of one's own all but this

type account struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Role     operator.Role `json:"role"`
	Disabled bool          `json:"disabled"`
	Invited  bool          `json:"invited"` // has set no password yet
	TOTP     bool          `json:"totp"`
	Created  time.Time     `json:"created"`
	Seen     *time.Time    `json:"seen"` // null: never signed in
	Version  int64         `json:"version"`
}

func showAccount(a operator.Account) account {
	out := account{
		ID: a.ID, Name: a.Name, Role: a.Role, Disabled: a.Disabled, Invited: a.Password == "", TOTP: a.TOTP != "", Created: a.Created, Version: a.Version,
	}
	if !a.Seen.IsZero() {
		out.Seen = &a.Seen
	}
	return out
}

// invitation is a one-time link for somebody.
type invitation struct {
	Account *account  `json:"account"`
	Path    string    `json:"path"`
	Until   time.Time `json:"until"`
}

func (h *Handler) invitation(a *operator.Account, token string) invitation {
	out := invitation{Path: operator.LinkAddress(Prefix, token), Until: h.cfg.Now().UTC().Add(operator.LinkFor).Truncate(time.Millisecond)}
	if a != nil {
		shown := showAccount(*a)
		out.Account = &shown
	}
	return out
}

// manage registers a call about others' accounts.
func (h *Handler) manage(pattern string, f func(c *call, who operator.Actor) (any, error)) {
	h.read(pattern, operator.ChangeAccounts, func(c *call) (any, error) {
		who, err := c.who()
		if err != nil {
			return nil, err
		}
		return f(c, who)
	})
}

func (h *Handler) accountRoutes() {
	ops := h.cfg.Operators
	h.read("GET /accounts", operator.ChangeAccounts, func(c *call) (any, error) {
		list, err := ops.Accounts(c.Context())
		if err != nil {
			return nil, err
		}
		out := struct {
			Items []account `json:"items"`
			Next  string    `json:"next"`
		}{Items: []account{}}
		for _, a := range list {
			out.Items = append(out.Items, showAccount(a))
		}
		return out, nil
	})
	h.manage("POST /accounts", func(c *call, who operator.Actor) (any, error) {
		var in struct {
			Name string        `json:"name"`
			Role operator.Role `json:"role"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		a, token, err := ops.Invite(c.Context(), who, in.Name, in.Role)
		if err != nil {
			return nil, err
		}
		return h.invitation(&a, token), nil
	})
	h.manage("PUT /accounts/{id}", func(c *call, who operator.Actor) (any, error) {
		var in struct {
			Role     operator.Role `json:"role"`
			Disabled bool          `json:"disabled"`
			Version  int64         `json:"version"`
		}
		if err := c.body(&in); err != nil {
			return nil, err
		}
		a, err := ops.Set(c.Context(), who, c.PathValue("id"), in.Role, in.Disabled, in.Version)
		if err != nil {
			return nil, err
		}
		return showAccount(a), nil
	})
	h.manage("POST /accounts/{id}/link", func(c *call, who operator.Actor) (any, error) {
		token, err := ops.Renew(c.Context(), who, c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return h.invitation(nil, token), nil
	})
	h.manage("GET /accounts/{id}/sign-ins", func(c *call, who operator.Actor) (any, error) {
		list, err := ops.SignInsOf(c.Context(), c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return showSignIns(list, who.SignIn.ID), nil
	})
	h.manage("DELETE /accounts/{id}/sign-ins", func(c *call, who operator.Actor) (any, error) {
		return empty{}, ops.EndSignIns(c.Context(), who, c.PathValue("id"))
	})
}
