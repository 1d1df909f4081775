package operator

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Config is what New needs.
type Config struct {
	Store    Store
	Digester Digester
	Now      func() time.Time
	Rand     io.Reader // cryptographic; safe for concurrent use
	Cost     Cost      // zero: DefaultCost
	Issuer   string    // what authenticator apps show; "": shiren
}

// Service is the room. Safe for concurrent use.
type Service struct {
	Config
	hasher *hasher
	looked atomic.Bool // an administrator was seen; there is one ever after
}

// New returns a service.
func New(cfg Config) (*Service, error) {
	if cfg.Cost == (Cost{}) {
		cfg.Cost = DefaultCost
	}
	cfg.Issuer = cmp.Or(cfg.Issuer, "shiren")
	h, err := newHasher(cfg.Cost, cfg.Rand)
	if err != nil {
		return nil, err
	}
	return &Service{Config: cfg, hasher: h}, nil
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// From is where a request comes from.
type From struct {
	Address netip.Addr
	Agent   string // what the browser calls itself; cut to MaxAgent
}

func (f From) text() string {
	if !f.Address.IsValid() {
		return ""
	}
	return f.Address.String()
}

func (f From) agent() string {
	a := tidy(f.Agent, MaxAgent)
	for len(a) > MaxAgent {
		a = tidy(a, len([]rune(a))-1)
	}
	return a
}

// Actor is who does something: the account that a sign-in belongs to, and from where.
type Actor struct {
	Account Account
	SignIn  SignIn
	From    From
}

func (a Actor) entry(action, object, detail string) Entry {
	return Entry{Account: a.Account.ID, Name: a.Account.Name, Address: a.From.text(), Action: action, Object: object, Detail: detail}
}

// commandLine is who the journal names for what was done on the server itself.
const commandLine = "command line"

// Administrated reports whether there is an administrator who can sign in.
func (s *Service) Administrated(ctx context.Context) (bool, error) {
	if s.looked.Load() {
		return true, nil
	}
	n, err := administrators(ctx, s.Store)
	if err == nil && n > 0 {
		s.looked.Store(true) // the last one can neither be switched off nor get another role
	}
	return n > 0, err
}

func administrators(ctx context.Context, r Reader) (n int, err error) {
	list, err := r.Accounts(ctx)
	for _, a := range list {
		if a.Role == Administrator && a.Active() {
			n++
		}
	}
	return n, err
}

// One-time links.

// FirstLink makes a link that creates the first administrator; "" where there is one already.
// Earlier ones stay good: several servers may start over one database.
func (s *Service) FirstLink(ctx context.Context) (token string, err error) {
	if ok, err := s.Administrated(ctx); ok || err != nil {
		return "", err
	}
	token, err = s.newLink(ctx, Link{Kind: LinkFirst}, nil)
	return token, err
}

// RecoveryLink makes a link that creates an administrator although there may be one. It is for
// whoever has the server itself.
func (s *Service) RecoveryLink(ctx context.Context) (token string, err error) {
	return s.newLink(ctx, Link{Kind: LinkRecovery}, func(tx Tx) error {
		return s.note(ctx, tx, Entry{Name: commandLine, Action: "account.link", Detail: "a link that makes an administrator"})
	})
}

// ResetLink makes a link that sets the named account's password anew and switches its codes off.
// What the account has now is good until the link is used. It is for whoever has the server itself.
func (s *Service) ResetLink(ctx context.Context, name string) (token string, err error) {
	a, err := s.Store.AccountNamed(ctx, Fold(name))
	if err != nil {
		return "", err
	}
	if a.Disabled {
		return "", refuse(Invalid, "the account is switched off; an administrator can switch it on, and a link of `shiren console link` makes another administrator")
	}
	return s.newLink(ctx, Link{Kind: LinkReset, Account: a.ID}, func(tx Tx) error {
		return s.note(ctx, tx, Entry{Name: commandLine, Action: "account.reset", Object: a.ID, Detail: "a link for " + a.Name})
	})
}

func (s *Service) newLink(ctx context.Context, l Link, more func(Tx) error) (token string, err error) {
	token, l.ID, err = newToken(s.Rand)
	if err != nil {
		return "", err
	}
	l.Until = s.now().Add(LinkFor)
	err = s.Store.Change(ctx, func(tx Tx) error {
		if err := s.putLink(ctx, tx, l); err != nil || more == nil {
			return err
		}
		return more(tx)
	})
	return token, err
}

// putLink keeps a link; an account has one, the last.
func (s *Service) putLink(ctx context.Context, tx Tx, l Link) error {
	if l.Account != "" {
		for _, k := range []LinkKind{LinkInvite, LinkReset} {
			if err := tx.DropLinks(ctx, k, l.Account); err != nil {
				return err
			}
		}
	}
	return tx.PutLink(ctx, l)
}

// Open looks at a link that can be used, without using it. a is the account that it is for,
// zero where it makes one.
func (s *Service) Open(ctx context.Context, token string) (l Link, a Account, err error) {
	return s.openLink(ctx, s.Store, token)
}

func (s *Service) openLink(ctx context.Context, r Reader, token string) (l Link, a Account, err error) {
	id, ok := parseToken(token)
	if !ok {
		return l, a, errLink
	}
	if l, err = r.Link(ctx, id); err != nil {
		return l, a, absentLink(err)
	}
	if !s.now().Before(l.Until) {
		return l, a, errLink
	}
	if l.Account == "" {
		if l.Kind == LinkFirst {
			n, err := administrators(ctx, r)
			if err != nil {
				return l, a, err
			}
			if n > 0 {
				return l, a, errLink
			}
		}
		return l, a, nil
	}
	if a, err = r.Account(ctx, l.Account); err != nil {
		return l, a, absentLink(err)
	}
	if a.Disabled {
		return l, a, errLink
	}
	return l, a, nil
}

func absentLink(err error) error {
	if errors.Is(err, ErrAbsent) {
		return errLink
	}
	return err
}

// Beginning is what a person gives together with their link.
type Beginning struct {
	Name           string // where the link makes an account
	Password       Secret
	Language, Zone string
}

// Begin uses a link up: it makes the administrator, or sets the password of the account that the
// link is for, and signs the person in. Other sign-ins of the account end. token is the cookie's value.
func (s *Service) Begin(ctx context.Context, link string, b Beginning, from From) (a Account, token string, err error) {
	l, a, err := s.openLink(ctx, s.Store, link) // before anything is computed for strangers
	if err != nil {
		return Account{}, "", err
	}
	name := a.Name
	if l.Account == "" {
		if name, err = checkName(b.Name); err != nil {
			return Account{}, "", err
		}
	}
	if err := checkSettings(b.Language, b.Zone); err != nil {
		return Account{}, "", err
	}
	plain, err := checkPassword(string(b.Password), name)
	if err != nil {
		return Account{}, "", err
	}
	hash, err := s.hasher.hash(ctx, plain)
	if err != nil {
		return Account{}, "", err
	}
	id, err := s.newID()
	if err != nil {
		return Account{}, "", err
	}
	token, session, err := newToken(s.Rand)
	if err != nil {
		return Account{}, "", err
	}
	err = s.Store.Change(ctx, func(tx Tx) error {
		var err error
		if l, a, err = s.openLink(ctx, tx, link); err != nil { // somebody may have been quicker
			return err
		}
		now := s.now()
		if l.Account == "" {
			a = Account{ID: id, Name: name, Role: Administrator, Created: now}
			// All that would make another one without being asked for.
			if err := tx.DropLinks(ctx, LinkFirst, ""); err != nil {
				return err
			}
		} else {
			a.TOTP, a.Pending, a.Recovery, a.Step = "", "", nil, 0
		}
		if err := tx.DropLinks(ctx, l.Kind, l.Account); err != nil {
			return err
		}
		a.Password, a.Seen = hash, now
		a.Language, a.Zone = cmp.Or(b.Language, a.Language), cmp.Or(b.Zone, a.Zone)
		a.Version++
		if err := tx.PutAccount(ctx, a); err != nil {
			return err
		}
		if err := s.endAll(ctx, tx, a.ID, ""); err != nil {
			return err
		}
		if err := tx.DropTries(ctx, triedName(a.Name)); err != nil {
			return err
		}
		if err := s.putSignIn(ctx, tx, a, session, from); err != nil {
			return err
		}
		actor := Actor{Account: a, From: from}
		return s.note(ctx, tx, actor.entry("account.begin", a.ID, "by a link: "+string(l.Kind)))
	})
	if err != nil {
		return Account{}, "", err
	}
	return a, token, nil
}

func (s *Service) newID() (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(s.Rand, b[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// Signing in.

// putSignIn begins a sign-in, and ends the account's oldest where there are too many.
func (s *Service) putSignIn(ctx context.Context, tx Tx, a Account, id string, from From) error {
	list, err := tx.SignIns(ctx, a.ID)
	if err != nil {
		return err
	}
	for i := 0; i <= len(list)-MaxSignIns; i++ {
		if err := tx.DropSignIn(ctx, list[i].ID); err != nil {
			return err
		}
	}
	now := s.now()
	return tx.PutSignIn(ctx, SignIn{ID: id, Account: a.ID, Created: now, Seen: now, Proved: now, Address: from.text(), Agent: from.agent()})
}

// Back-off: so many tries are free, then each one makes the next wait, twice as long each time.
// A name's or an address's tries are forgotten after a success and after TriesKept. Our choice: at
// worst 100 guesses a day for an account, whatever number of addresses they come from.
const (
	FreeForName    = 5
	FreeForAddress = 20
	FirstWait      = time.Second
	LongestWait    = 15 * time.Minute
	TriesKept      = 24 * time.Hour
)

func triedName(name string) string { return "name " + Fold(name) }

// triedAddress is what tries from an address are counted under: of IPv6 the /64, which one
// customer has all of.
func triedAddress(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return "address " + p.String()
		}
	}
	return "address " + a.Unmap().String()
}

func backoff(count, free int) time.Duration {
	if count < free {
		return 0
	}
	if count-free > 20 {
		return LongestWait
	}
	return min(FirstWait<<(count-free), LongestWait)
}

// try counts a try before it is made, or refuses it.
func (s *Service) try(ctx context.Context, name string, from From) error {
	keys := []struct {
		key  string
		free int
	}{{triedName(name), FreeForName}, {triedAddress(from.Address), FreeForAddress}}
	// Waiting is told without a write.
	look := func(r Reader, now time.Time) (list [2]Tries, err error) {
		var wait time.Duration
		for i, k := range keys {
			t, err := r.Tries(ctx, k.key)
			if err != nil {
				return list, err
			}
			if now.Sub(t.Last) >= TriesKept {
				t = Tries{}
			}
			wait = max(wait, t.Until.Sub(now))
			list[i] = t
		}
		if wait > 0 {
			// In whole seconds, as HTTP says it.
			wait = (wait + time.Second - 1).Truncate(time.Second)
			return list, &Error{Code: Wait, Message: "there were too many tries; wait " + wait.String(), After: wait}
		}
		return list, nil
	}
	if _, err := look(s.Store, s.now()); err != nil {
		return err
	}
	return s.Store.Change(ctx, func(tx Tx) error {
		now := s.now()
		list, err := look(tx, now)
		if err != nil {
			return err
		}
		for i, k := range keys {
			t := list[i]
			t.Key, t.Last = k.key, now
			t.Count++
			t.Until = now.Add(backoff(t.Count, k.free))
			if err := tx.PutTries(ctx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// untry takes back a try that was none: the name's is forgotten if all was right, and one less
// if nothing was decided yet.
func (s *Service) untry(ctx context.Context, tx Tx, name string, from From, success bool) error {
	for _, key := range []string{triedName(name), triedAddress(from.Address)} {
		t, err := tx.Tries(ctx, key)
		if err != nil {
			return err
		}
		t.Key = key
		t.Count = max(t.Count-1, 0)
		t.Until = time.Time{}
		if t.Count == 0 || success && key == triedName(name) {
			err = tx.DropTries(ctx, key)
		} else {
			err = tx.PutTries(ctx, t)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SignIn checks a person's name, password and, where the account asks for it, code: that of the
// authenticator app or a recovery code. token is the cookie's value. Whether there is such an
// account shows neither in the error nor in the time it takes.
func (s *Service) SignIn(ctx context.Context, name string, password Secret, code string, from From) (a Account, token string, err error) {
	if len(name) > 4*MaxName {
		name = name[:4*MaxName]
	}
	if err := s.try(ctx, name, from); err != nil {
		return Account{}, "", err
	}
	known, err := s.Store.AccountNamed(ctx, Fold(name))
	if err != nil && !errors.Is(err, ErrAbsent) {
		return Account{}, "", err
	}
	ok, old, err := s.hasher.verify(ctx, known.Password, string(password))
	if err != nil {
		return Account{}, "", errors.Join(err, s.Store.Change(context.WithoutCancel(ctx), func(tx Tx) error { return s.untry(ctx, tx, name, from, false) }))
	}
	hash := known.Password
	if ok && old { // made when hashes were cheaper or dearer
		if plain, perr := checkPassword(string(password), known.Name); perr == nil {
			if hash, err = s.hasher.hash(ctx, plain); err != nil {
				return Account{}, "", err
			}
		}
	}
	token, id, err := newToken(s.Rand)
	if err != nil {
		return Account{}, "", err
	}
	var outcome error
	err = s.Store.Change(ctx, func(tx Tx) error {
		outcome, a = nil, Account{}
		refused := func(why string) error {
			outcome = errRefused
			return s.note(ctx, tx, Entry{Account: known.ID, Name: known.Name, Address: from.text(), Action: "sign_in.refused", Detail: why})
		}
		if known.ID == "" {
			return refused("unknown name") // which is not noted: people type passwords there
		}
		var err error
		if a, err = tx.Account(ctx, known.ID); err != nil {
			return err
		}
		switch {
		case !ok || a.Password != known.Password:
			return refused("wrong password")
		case a.Disabled:
			return refused("the account is switched off")
		case a.TOTP != "" && strings.TrimSpace(code) == "":
			outcome = errCode
			return s.untry(ctx, tx, name, from, false)
		}
		how := ""
		if a.TOTP != "" {
			if how, ok = a.useCode(code, s.now()); !ok {
				ok = true // of the password; f may run again
				return refused("wrong or used code")
			}
			how = ", " + how
		}
		a.Password, a.Seen = hash, s.now()
		if err := tx.PutAccount(ctx, a); err != nil {
			return err
		}
		if err := s.untry(ctx, tx, name, from, true); err != nil {
			return err
		}
		if err := s.putSignIn(ctx, tx, a, id, from); err != nil {
			return err
		}
		return s.note(ctx, tx, Actor{Account: a, From: from}.entry("sign_in", a.ID, "password"+how))
	})
	if err = cmp.Or(err, outcome); err != nil {
		return Account{}, "", err
	}
	return a, token, nil
}

// Who returns the account and the sign-in that a cookie's value belongs to; ok is false where it
// has ended, or never was.
func (s *Service) Who(ctx context.Context, token string, from From) (who Actor, ok bool, err error) {
	id, ok := parseToken(token)
	if !ok {
		return Actor{}, false, nil
	}
	in, a, err := s.current(ctx, s.Store, id)
	if err != nil {
		if errors.Is(err, ErrAbsent) {
			return Actor{}, false, nil
		}
		return Actor{}, false, err
	}
	if s.now().Sub(in.Seen) >= TouchEvery {
		err := s.Store.Change(ctx, func(tx Tx) error {
			if in, a, err = s.current(ctx, tx, id); err != nil {
				return err
			}
			in.Seen = s.now()
			return tx.PutSignIn(ctx, in)
		})
		if errors.Is(err, ErrAbsent) { // ended this moment
			return Actor{}, false, nil
		} else if err != nil {
			return Actor{}, false, err
		}
	}
	return Actor{Account: a, SignIn: in, From: from}, true, nil
}

// current reads a sign-in that has not ended, of an account that may sign in; else ErrAbsent.
func (s *Service) current(ctx context.Context, r Reader, id string) (SignIn, Account, error) {
	in, err := r.SignIn(ctx, id)
	if err != nil {
		return SignIn{}, Account{}, err
	}
	if !s.now().Before(in.Until()) {
		return SignIn{}, Account{}, ErrAbsent
	}
	a, err := r.Account(ctx, in.Account)
	if err == nil && !a.Active() {
		err = ErrAbsent
	}
	return in, a, err
}

// SignOut ends the actor's sign-in.
func (s *Service) SignOut(ctx context.Context, who Actor) error {
	return s.Store.Change(ctx, func(tx Tx) error {
		if err := tx.DropSignIn(ctx, who.SignIn.ID); err != nil {
			return err
		}
		return s.note(ctx, tx, who.entry("sign_out", who.Account.ID, ""))
	})
}

// change runs f on the actor's own account as it is now, if their sign-in has not ended
// meanwhile; proved asks for a proof of the last ProofFor. f's account is stored, its Version counted up.
func (s *Service) change(ctx context.Context, who Actor, proved bool, f func(tx Tx, in SignIn, a *Account) error) error {
	return s.Store.Change(ctx, func(tx Tx) error {
		in, a, err := s.still(ctx, tx, who, proved)
		if err != nil {
			return err
		}
		if err := f(tx, in, &a); err != nil {
			return err
		}
		a.Version++
		return tx.PutAccount(ctx, a)
	})
}

// still reads the actor's sign-in and account as they are now.
func (s *Service) still(ctx context.Context, r Reader, who Actor, proved bool) (SignIn, Account, error) {
	in, a, err := s.current(ctx, r, who.SignIn.ID)
	switch {
	case err != nil:
		return in, a, err
	case in.Account != who.Account.ID:
		return in, a, errAbsent
	case proved && s.now().Sub(in.Proved) >= ProofFor:
		return in, a, errUnproved
	}
	return in, a, nil
}

// Prove notes that the actor has proved themselves, by their password or by a code. Tries count
// as those of signing in.
func (s *Service) Prove(ctx context.Context, who Actor, password Secret, code string) error {
	if err := s.try(ctx, who.Account.Name, who.From); err != nil {
		return err
	}
	byPassword := false
	if password != "" {
		var err error
		if byPassword, _, err = s.hasher.verify(ctx, who.Account.Password, string(password)); err != nil {
			return errors.Join(err, s.Store.Change(context.WithoutCancel(ctx), func(tx Tx) error { return s.untry(ctx, tx, who.Account.Name, who.From, false) }))
		}
	}
	var outcome error
	err := s.Store.Change(ctx, func(tx Tx) error {
		outcome = nil
		in, a, err := s.still(ctx, tx, who, false)
		if err != nil {
			return err
		}
		byCode := false
		if password == "" && a.TOTP != "" {
			_, byCode = a.useCode(code, s.now())
		}
		if !byCode && (!byPassword || a.Password != who.Account.Password) {
			outcome = errRefused
			return s.note(ctx, tx, who.entry("proof.refused", a.ID, ""))
		}
		if err := tx.PutAccount(ctx, a); err != nil { // a code was used
			return err
		}
		if err := s.untry(ctx, tx, a.Name, who.From, true); err != nil {
			return err
		}
		in.Proved = s.now()
		return tx.PutSignIn(ctx, in)
	})
	return cmp.Or(err, outcome)
}

// endAll ends an account's sign-ins but one.
func (s *Service) endAll(ctx context.Context, tx Tx, account, but string) error {
	list, err := tx.SignIns(ctx, account)
	if err != nil {
		return err
	}
	for _, in := range list {
		if in.ID != but {
			if err := tx.DropSignIn(ctx, in.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// One's own account.

// ChangePassword sets the actor's password; they prove themselves by the one they have. Their
// other sign-ins end.
func (s *Service) ChangePassword(ctx context.Context, who Actor, have, want Secret) error {
	plain, err := checkPassword(string(want), who.Account.Name)
	if err != nil {
		return err
	}
	if err := s.Prove(ctx, who, cmp.Or(have, " "), ""); err != nil { // never by a code
		return err
	}
	hash, err := s.hasher.hash(ctx, plain)
	if err != nil {
		return err
	}
	return s.change(ctx, who, true, func(tx Tx, in SignIn, a *Account) error {
		a.Password = hash
		if err := s.endAll(ctx, tx, a.ID, in.ID); err != nil {
			return err
		}
		return s.note(ctx, tx, who.entry("account.password", a.ID, ""))
	})
}

// Settings sets the actor's language and time zone.
func (s *Service) Settings(ctx context.Context, who Actor, language, zone string) error {
	if err := checkSettings(language, zone); err != nil {
		return err
	}
	return s.change(ctx, who, false, func(_ Tx, _ SignIn, a *Account) error {
		a.Language, a.Zone = language, zone
		return nil
	})
}

// EnrolTOTP makes a secret for the actor's authenticator app. Codes are asked for only once
// ConfirmTOTP has seen one.
func (s *Service) EnrolTOTP(ctx context.Context, who Actor) (Enrolment, error) {
	e, err := enrol(s.Issuer, who.Account.Name, s.Rand)
	if err != nil {
		return e, err
	}
	err = s.change(ctx, who, true, func(_ Tx, _ SignIn, a *Account) error {
		if a.TOTP != "" {
			return refuse(Invalid, "codes are asked for already; switch that off first")
		}
		a.Pending = Secret(e.Secret)
		return nil
	})
	return e, err
}

// ConfirmTOTP switches codes on, by a code of the secret that was enrolled, and returns the
// recovery codes, which are not shown again. The actor's other sign-ins end.
func (s *Service) ConfirmTOTP(ctx context.Context, who Actor, code string) ([]string, error) {
	codes, digests, err := newRecovery(s.Rand)
	if err != nil {
		return nil, err
	}
	if err := s.try(ctx, who.Account.Name, who.From); err != nil {
		return nil, err
	}
	err = s.change(ctx, who, true, func(tx Tx, in SignIn, a *Account) error {
		if a.Pending == "" {
			return refuse(Invalid, "no secret was made; begin anew")
		}
		step, ok := totpStep(a.Pending, strings.ReplaceAll(strings.TrimSpace(code), " ", ""), s.now(), 0)
		if !ok {
			return refuse(Invalid, "that is not the code of this moment; look at the app again, and at the clock of its device")
		}
		a.TOTP, a.Pending, a.Step, a.Recovery = a.Pending, "", step, digests
		if err := s.untry(ctx, tx, a.Name, who.From, true); err != nil {
			return err
		}
		if err := s.endAll(ctx, tx, a.ID, in.ID); err != nil {
			return err
		}
		return s.note(ctx, tx, who.entry("account.totp", a.ID, "on"))
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// DisableTOTP switches codes off.
func (s *Service) DisableTOTP(ctx context.Context, who Actor) error {
	return s.change(ctx, who, true, func(tx Tx, _ SignIn, a *Account) error {
		a.TOTP, a.Pending, a.Recovery, a.Step = "", "", nil, 0
		return s.note(ctx, tx, who.entry("account.totp", a.ID, "off"))
	})
}

// NewRecovery makes recovery codes in place of those that there are.
func (s *Service) NewRecovery(ctx context.Context, who Actor) ([]string, error) {
	codes, digests, err := newRecovery(s.Rand)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, who, true, func(tx Tx, _ SignIn, a *Account) error {
		if a.TOTP == "" {
			return refuse(Invalid, "recovery codes stand in for the authenticator app; switch codes on first")
		}
		a.Recovery = digests
		return s.note(ctx, tx, who.entry("account.recovery", a.ID, "new recovery codes"))
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// SignIns lists the sign-ins of the actor that have not ended, the latest first.
func (s *Service) SignIns(ctx context.Context, who Actor) ([]SignIn, error) {
	return s.signIns(ctx, who.Account.ID)
}

func (s *Service) signIns(ctx context.Context, account string) ([]SignIn, error) {
	list, err := s.Store.SignIns(ctx, account)
	now := s.now()
	list = slices.DeleteFunc(list, func(in SignIn) bool { return !now.Before(in.Until()) })
	slices.Reverse(list)
	return list, err
}

// EndSignIn ends one of the actor's sign-ins.
func (s *Service) EndSignIn(ctx context.Context, who Actor, id string) error {
	return s.change(ctx, who, false, func(tx Tx, _ SignIn, a *Account) error {
		in, err := tx.SignIn(ctx, id)
		if err != nil {
			return err
		}
		if in.Account != a.ID {
			return errAbsent
		}
		if err := tx.DropSignIn(ctx, id); err != nil {
			return err
		}
		return s.note(ctx, tx, who.entry("sign_in.end", a.ID, "one of their own"))
	})
}

// Others' accounts. The actor needs ChangeAccounts and a proof of the last ProofFor; both are
// looked at in the transaction that makes the change.

func (s *Service) manage(ctx context.Context, who Actor, f func(tx Tx, in SignIn) error) error {
	return s.Store.Change(ctx, func(tx Tx) error {
		in, a, err := s.still(ctx, tx, who, false)
		switch {
		case err != nil:
			return err
		case !a.Role.May(ChangeAccounts):
			return errMayNot
		case s.now().Sub(in.Proved) >= ProofFor:
			return errUnproved
		}
		return f(tx, in)
	})
}

// Accounts lists all accounts, in the order that they were made.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) { return s.Store.Accounts(ctx) }

// Invite makes an account and a link by which its person sets the password.
func (s *Service) Invite(ctx context.Context, who Actor, name string, role Role) (a Account, token string, err error) {
	if name, err = checkName(name); err != nil {
		return a, "", err
	}
	if role.Permissions() == nil {
		return a, "", refuse(Invalid, "there is no such role")
	}
	id, err := s.newID()
	if err != nil {
		return a, "", err
	}
	token, link, err := newToken(s.Rand)
	if err != nil {
		return a, "", err
	}
	err = s.manage(ctx, who, func(tx Tx, _ SignIn) error {
		a = Account{ID: id, Name: name, Role: role, Created: s.now(), Version: 1}
		if err := tx.PutAccount(ctx, a); err != nil {
			return err
		}
		if err := s.putLink(ctx, tx, Link{ID: link, Kind: LinkInvite, Account: id, Until: s.now().Add(LinkFor)}); err != nil {
			return err
		}
		return s.note(ctx, tx, who.entry("account.invite", id, name+", "+string(role)))
	})
	if err != nil {
		return Account{}, "", err
	}
	return a, token, nil
}

// Renew makes another link for somebody: an invitation where they never set a password, else one
// that sets it anew and switches codes off. What the account has now is good until the link is used.
func (s *Service) Renew(ctx context.Context, who Actor, account string) (token string, err error) {
	token, link, err := newToken(s.Rand)
	if err != nil {
		return "", err
	}
	err = s.manage(ctx, who, func(tx Tx, _ SignIn) error {
		a, err := tx.Account(ctx, account)
		if err != nil {
			return err
		}
		if a.Disabled {
			return refuse(Invalid, "the account is switched off; switch it on first")
		}
		kind := LinkReset
		if a.Password == "" {
			kind = LinkInvite
		}
		if err := s.putLink(ctx, tx, Link{ID: link, Kind: kind, Account: a.ID, Until: s.now().Add(LinkFor)}); err != nil {
			return err
		}
		return s.note(ctx, tx, who.entry("account.reset", a.ID, "a link for "+a.Name))
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// Set changes an account's role and whether it is switched off; version is that of the account
// that was looked at. A change ends the account's sign-ins, and its links where it is switched off.
func (s *Service) Set(ctx context.Context, who Actor, account string, role Role, disabled bool, version int64) (a Account, err error) {
	if role.Permissions() == nil {
		return a, refuse(Invalid, "there is no such role")
	}
	err = s.manage(ctx, who, func(tx Tx, _ SignIn) error {
		if a, err = tx.Account(ctx, account); err != nil {
			return err
		}
		if a.Version != version {
			return errStale
		}
		if a.Role == role && a.Disabled == disabled {
			return nil
		}
		detail := a.Name
		if a.Role != role {
			detail += ": " + string(a.Role) + " to " + string(role)
		}
		if a.Disabled != disabled {
			detail += map[bool]string{true: ": switched off", false: ": switched on"}[disabled]
		}
		a.Role, a.Disabled = role, disabled
		a.Version++
		if err := tx.PutAccount(ctx, a); err != nil {
			return err
		}
		if n, err := administrators(ctx, tx); err != nil {
			return err
		} else if n == 0 {
			return errLast
		}
		if err := s.endAll(ctx, tx, a.ID, ""); err != nil {
			return err
		}
		if disabled {
			for _, k := range []LinkKind{LinkInvite, LinkReset} {
				if err := tx.DropLinks(ctx, k, a.ID); err != nil {
					return err
				}
			}
		}
		return s.note(ctx, tx, who.entry("account.change", a.ID, detail))
	})
	return a, err
}

// SignInsOf lists the sign-ins of an account that have not ended, the latest first.
func (s *Service) SignInsOf(ctx context.Context, account string) ([]SignIn, error) {
	return s.signIns(ctx, account)
}

// EndSignIns ends all sign-ins of an account; of the actor's own all but this one.
func (s *Service) EndSignIns(ctx context.Context, who Actor, account string) error {
	return s.manage(ctx, who, func(tx Tx, in SignIn) error {
		a, err := tx.Account(ctx, account)
		if err != nil {
			return err
		}
		if err := s.endAll(ctx, tx, a.ID, in.ID); err != nil {
			return err
		}
		return s.note(ctx, tx, who.entry("sign_in.end", a.ID, "all of "+a.Name))
	})
}

// Purge forgets sign-ins and links that have ended, and tries that are long past. Accounts and
// the journal stay.
func (s *Service) Purge(ctx context.Context) error {
	now := s.now()
	err := s.Store.Change(ctx, func(tx Tx) error { return tx.Forget(ctx, now, now.Add(-TriesKept)) })
	if err != nil {
		return fmt.Errorf("forget ended sign-ins: %w", err)
	}
	return nil
}

// LinkAddress is the address that a one-time link is opened by, below the page's own. The secret
// stands behind the #, which browsers send to nobody and servers do not log.
func LinkAddress(page, token string) string { return strings.TrimRight(page, "/") + "/begin#" + token }
