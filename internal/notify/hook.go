package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"shiren/api/webhook"
	"shiren/internal/ekyc"
)

// HookConfig says where webhooks may go.
type HookConfig struct {
	Endpoints interface {
		Endpoint(ctx context.Context, id string) (Endpoint, error)
	}
	// Allow are addresses of this machine or a private network that may be reached; public ones may
	// always.
	Allow []netip.Prefix
	// AllowHTTP permits plain HTTP to other machines. To this one it needs Allow alone.
	AllowHTTP bool
	Roots     *x509.CertPool // nil: the system's
	Now       func() time.Time
	UserAgent string
}

// Hooks is a Sender of webhooks. Safe for concurrent use.
type Hooks struct {
	c      HookConfig
	secure *http.Client
	plain  *http.Client
}

// maxAnswer bounds what is read of a receiver's answer, so that its connection can be used again.
// Nothing of it is kept. Our choice.
const maxAnswer = 16 << 10

// NewHooks makes a Sender. It reaches nobody.
func NewHooks(c HookConfig) *Hooks {
	h := &Hooks{c: c}
	h.secure = h.client(h.mayReach)
	h.plain = h.client(func(a netip.Addr) error {
		if !c.AllowHTTP && !a.IsLoopback() {
			return errors.New("plain HTTP goes to this machine only; use https, or set alarms.webhook_http")
		}
		return h.mayReach(a)
	})
	return h
}

// client makes an HTTP client that connects only where may lets it. The address is looked at when
// it is dialled, after the name was resolved: a name that changes its mind gains nothing.
func (h *Hooks) client(may func(netip.Addr) error) *http.Client {
	dialer := &net.Dialer{
		Timeout: senderTimeout,
		Control: func(_, address string, _ syscall.RawConn) error {
			a, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("the address %s is not understood", address)
			}
			return may(a.Addr().Unmap().WithZone(""))
		},
	}
	return &http.Client{
		Timeout: 2 * senderTimeout,
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would dial where we cannot look
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: h.c.Roots},
			TLSHandshakeTimeout:    senderTimeout,
			ResponseHeaderTimeout:  senderTimeout,
			MaxResponseHeaderBytes: maxAnswer,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// special are ranges that are no public unicast, beside those that netip knows: IANA's registries
// of special-purpose addresses (RFC 6890 and its successors). Ranges that embed other addresses
// (6to4, Teredo, NAT64) are among them, since what they lead to cannot be seen here.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"), netip.MustParsePrefix("fec0::/10"),
}

// mayReach reports why an address is not connected to.
func (h *Hooks) mayReach(a netip.Addr) error {
	if slices.ContainsFunc(h.c.Allow, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return nil
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return errors.New("the address is of this machine or a private network; list it in alarms.webhook_allow if it is meant")
	}
	return nil
}

// maxURL is in bytes. Our choice.
const maxURL = 2048

// CheckURL reports what is wrong with an endpoint's address, as far as its text tells. Where its
// name leads is looked at when it is dialled.
func (h *Hooks) CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || len(text) > maxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the address cannot be read: want one as in https://alerts.example.com/shiren")
	case u.User != nil:
		return errors.New("the address has a user or password in it; messages are signed instead")
	case u.Fragment != "":
		return errors.New("the address has a fragment (#…), which is never sent")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the address must begin with https://")
	case u.Scheme == "http" && !h.c.AllowHTTP && !Loopback(u.Hostname()):
		return errors.New("the address must begin with https://; plain HTTP goes to this machine only, unless alarms.webhook_http is set")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return h.mayReach(a.Unmap().WithZone(""))
	}
	return nil
}

// Send tries once.
func (h *Hooks) Send(ctx context.Context, d Delivery) Try {
	e, err := h.c.Endpoints.Endpoint(ctx, d.To)
	switch {
	case errors.Is(err, ekyc.ErrAbsent):
		return Try{Err: "the webhook was removed", Final: true}
	case err != nil:
		return Try{Err: "the webhook's settings could not be read"}
	case !e.Enabled:
		return Try{Err: "the webhook is switched off"}
	}
	if err := h.CheckURL(e.URL); err != nil {
		return Try{Err: err.Error()}
	}
	now := h.c.Now()
	secrets := e.Valid(now)
	if len(secrets) == 0 {
		return Try{Err: "the webhook has no valid secret: give it a new one"}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(d.Body))
	if err != nil {
		return Try{Err: "the webhook's address cannot be read"}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", h.c.UserAgent)
	webhook.SetHeaders(r.Header, d.ID, secrets, now, d.Body)
	client := h.secure
	if r.URL.Scheme == "http" {
		client = h.plain
	}
	a, err := client.Do(r)
	if err != nil {
		return Try{Err: reason(err)}
	}
	defer a.Body.Close()
	// The answer's text is of no interest; reading it lets the connection be used again.
	_, _ = io.CopyN(io.Discard, a.Body, maxAnswer)
	t := Try{Status: a.StatusCode}
	switch {
	case a.StatusCode >= 200 && a.StatusCode < 300:
	case a.StatusCode >= 300 && a.StatusCode < 400:
		t.Err = fmt.Sprintf("the receiver answered %d: redirects are not followed; change the address", a.StatusCode)
	default:
		t.Err = fmt.Sprintf("the receiver answered %d", a.StatusCode)
	}
	return t
}

// reason is why no answer came, without the address, which may hold a secret in its path.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var late net.Error
	switch {
	case errors.As(err, &cert):
		return "the receiver's certificate is not trusted: " + cert.Err.Error()
	case errors.As(err, &dns):
		return "the receiver's name is not known"
	case errors.As(err, &late) && late.Timeout():
		return "the receiver did not answer in time"
	case errors.As(err, &op) && op.Op == "dial":
		return "the receiver cannot be reached: " + op.Err.Error()
	}
	return err.Error()
}
