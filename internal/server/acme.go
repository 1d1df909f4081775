package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"shiren/internal/config"
)

// After an attempt without a certificate the authority is asked again in refusedPause where
// it answered: Let's Encrypt allows five failed checks of a name in an hour, and an attempt
// makes two. It is asked again in silentPause where it could not be asked.
const (
	refusedPause = 30 * time.Minute
	silentPause  = 2 * time.Minute
)

// firstLook and certLook are when the kept certificates' ends are looked at: when a renewal
// that was due at the start has had its time, and from then on. Our choice.
const (
	firstLook = 10 * time.Minute
	certLook  = 12 * time.Hour
)

// maxReply bounds an answer of the authority; the longest is a chain of certificates. Our choice.
const maxReply = 1 << 20

// authority serves certificates of an ACME authority. keep orders them, before anybody
// connects; a handshake waits for an order under way and never begins one, so that strangers
// cannot use up what the authority allows. autocert renews, from then on by itself.
type authority struct {
	config  config.Config
	log     *slog.Logger
	now     func() time.Time
	cache   autocert.Cache
	manager *autocert.Manager
	wire    *wire
	names   map[string]*orders
}

// orders are those of one name's certificate.
type orders struct {
	mu    sync.Mutex
	under chan struct{} // closed when the order under way has ended
	have  bool
}

func (o Options) authority() (*authority, error) {
	c := o.Config
	w, err := newWire(c)
	if err != nil {
		return nil, err
	}
	a := &authority{config: c, log: o.Log, now: o.Now, cache: acmeCache(c), wire: w, names: map[string]*orders{}}
	for _, name := range c.TLS.Domains {
		a.names[strings.ToLower(name)] = &orders{under: make(chan struct{})}
	}
	a.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: a.cache, HostPolicy: a.knows, Email: c.TLS.Email,
		Client: w.client(c),
	}
	return a, nil
}

// acmeCache is where an authority's certificates and our account with it are kept. Each has
// a folder of its own: what a staging authority gave must not be served in another's name.
func acmeCache(c config.Config) autocert.DirCache {
	u, err := url.Parse(acmeDirectory(c))
	if err != nil {
		u = &url.URL{Host: "unknown"} // the configuration's check lets none through
	}
	folder := strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-", r) {
			return r
		}
		return '_'
	}, strings.ToLower(u.Host+u.RequestURI()))
	return autocert.DirCache(filepath.Join(c.TLSDir(), "acme", folder))
}

func acmeDirectory(c config.Config) string {
	if c.TLS.ACMEURL != "" {
		return c.TLS.ACMEURL
	}
	return autocert.DefaultACMEDirectory
}

func (a *authority) settings() *tls.Config {
	t := a.manager.TLSConfig()
	t.MinVersion, t.GetCertificate = tls.VersionTLS12, a.get
	return t
}

// knows refuses names that no certificate is for.
func (a *authority) knows(_ context.Context, host string) error {
	if a.names[bare(host)] == nil {
		return fmt.Errorf("%q is not among tls.domains", host)
	}
	return nil
}

func bare(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(host)
}

func (a *authority) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return a.manager.GetCertificate(hello) // the authority, looking for its token
	}
	if err := a.knows(hello.Context(), hello.ServerName); err != nil {
		return nil, err
	}
	name := bare(hello.ServerName)
	o := a.names[name]
	o.mu.Lock()
	under := o.under
	o.mu.Unlock()
	select {
	case <-under:
	case <-hello.Context().Done():
		return nil, hello.Context().Err()
	}
	o.mu.Lock()
	have := o.have
	o.mu.Unlock()
	if !have {
		return nil, fmt.Errorf("there is no certificate for %s yet; the log says why", name)
	}
	return a.manager.GetCertificate(plainHello(name))
}

// plainHello asks for the one kind of certificate that is ordered: ECDSA, as the self-signed one is.
func plainHello(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
}

// keep has a certificate for each name, kept or ordered, and says what stands in the way,
// until ctx ends. The listeners must be open: the authority looks in.
func (a *authority) keep(ctx context.Context) {
	a.wire.ctx = ctx
	var group sync.WaitGroup
	for name, o := range a.names {
		group.Go(func() { a.keepOne(ctx, name, o) })
	}
	group.Wait()
}

func (a *authority) keepOne(ctx context.Context, name string, o *orders) {
	for {
		cert, err := a.order(ctx, name)
		o.mu.Lock()
		o.have = err == nil
		close(o.under)
		o.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			a.wire.forget(name)
			a.log.Info("a certificate is at hand", "name", name, "until", cert.Leaf.NotAfter.UTC().Format(time.DateOnly))
			break
		}
		pause, why := a.explain(name, err)
		a.log.Error("there is no certificate for this name, and no client can connect by it", "name", name, "err", why, "asked_again_in", pause.String())
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		a.wire.forget(name)
		o.mu.Lock()
		o.under = make(chan struct{})
		o.mu.Unlock()
	}
	for pause := firstLook; ; pause = certLook {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		a.overdue(name)
	}
}

// order returns the kept certificate, else orders one. What is under way when ctx ends is
// left behind: autocert cannot be interrupted, but its requests fail from then on.
func (a *authority) order(ctx context.Context, name string) (*tls.Certificate, error) {
	if _, err := a.cache.Get(ctx, name); errors.Is(err, autocert.ErrCacheMiss) {
		a.log.Info("a certificate is ordered; the authority will look whether this server is reached by the name", "name", name, "authority", acmeDirectory(a.config))
	}
	type result struct {
		cert *tls.Certificate
		err  error
	}
	done := make(chan result, 1)
	go func() {
		cert, err := a.manager.GetCertificate(plainHello(name))
		done <- result{cert, err}
	}()
	select {
	case r := <-done:
		return r.cert, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// overdue warns of a certificate whose renewal, at two thirds of its life, must have failed:
// autocert tries again and again and says nothing.
func (a *authority) overdue(name string) {
	cert, err := a.manager.GetCertificate(plainHello(name))
	if err != nil {
		a.log.Error("the certificate cannot be used", "name", name, "err", err)
		return
	}
	leaf := cert.Leaf
	if life := leaf.NotAfter.Sub(leaf.NotBefore); a.now().Before(leaf.NotBefore.Add(life / 4 * 3)) {
		return
	}
	why := a.wire.trouble()
	if t := a.wire.checks(name); t != "" {
		why = a.unreached(name, t)
	}
	a.log.Warn("the certificate ends soon and could not be renewed; it is tried again", "name", name, "ends", leaf.NotAfter.UTC().Format(time.DateTime), "err", why)
}

// explain says what to do about an order that failed, and when it is given again.
func (a *authority) explain(name string, err error) (time.Duration, error) {
	if t := a.wire.checks(name); t != "" {
		return refusedPause, a.unreached(name, t)
	}
	answered, why := explain(a.config, err)
	if answered {
		return refusedPause, why
	}
	return silentPause, why
}

func (a *authority) unreached(name, checks string) error {
	ports := "port 443 of it must lead to listen"
	if a.config.TLS.HTTPAddr != "" {
		ports += ", or port 80 to tls.http_addr"
	}
	return fmt.Errorf("the authority did not find this server as %s (%s): let the name resolve to this machine, for everybody; %s", name, checks, ports)
}

func explain(c config.Config, err error) (answered bool, _ error) {
	var (
		refused   *acme.Error
		untrusted *tls.CertificateVerificationError
		broken    *url.Error
	)
	at := acmeDirectory(c)
	switch {
	case errors.As(err, &untrusted):
		return false, fmt.Errorf("%s is not trusted: %w; give the root certificate of a private authority in tls.acme_ca_file", at, untrusted.Err)
	case errors.As(err, &refused) && refused.StatusCode >= http.StatusInternalServerError:
		return false, fmt.Errorf("%s is out of order: %w; wait, or correct tls.acme_url", at, err)
	case errors.As(err, &refused):
		return true, fmt.Errorf("%s refuses: %w; what it can object to is tls.domains, tls.email, or an address in tls.acme_url that is no ACME directory", at, err)
	case errors.As(err, &broken):
		return false, fmt.Errorf("the authority cannot be reached: %w; let this machine reach it, by HTTPS_PROXY if need be, or correct tls.acme_url", err)
	}
	return false, fmt.Errorf("%w; is %s (tls.acme_url) an ACME directory?", err, at)
}

// plainly answers the authority's checks over plain HTTP and sends everybody else to the
// HTTPS port. Calling it lets orders be checked in that way.
func (a *authority) plainly(port string) http.Handler {
	return a.manager.HTTPHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "Use HTTPS", http.StatusBadRequest)
			return
		}
		host := bare(r.Host)
		if a.names[host] == nil {
			host = a.config.TLS.Domains[0]
		}
		if port != "443" {
			host = net.JoinHostPort(host, port)
		}
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusFound)
	}))
}

// CheckAuthority asks the ACME authority for its directory, which orders nothing.
func CheckAuthority(ctx context.Context, c config.Config) error {
	w, err := newWire(c)
	if err != nil {
		return err
	}
	defer w.next.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // one that answers with errors is asked again and again
	defer cancel()
	dir, err := w.client(c).Discover(ctx)
	if err == nil && dir.OrderURL == "" {
		err = errors.New("the answer names no way to order a certificate")
	}
	if err != nil {
		_, err = explain(c, err)
	}
	return err
}

// wire is the way to the authority: it trusts whom the configuration names, ends with ctx,
// and notes what goes wrong. autocert's own errors leave out why a check failed, and those
// of a renewal reach nobody.
type wire struct {
	next *http.Transport
	ctx  context.Context // of the server; nil before it serves

	mu     sync.Mutex
	failed map[string][]string // checks of a name that failed
	last   string
}

func newWire(c config.Config) (*wire, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = time.Minute
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS.ACMECAFile != "" {
		var err error
		if t.TLSClientConfig.RootCAs, err = roots("tls.acme_ca_file", c.TLS.ACMECAFile); err != nil {
			return nil, err
		}
	}
	return &wire{next: t, failed: map[string][]string{}}, nil
}

func (w *wire) client(c config.Config) *acme.Client {
	return &acme.Client{DirectoryURL: acmeDirectory(c), HTTPClient: &http.Client{Transport: w}, UserAgent: "shiren"}
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if w.ctx != nil {
		defer context.AfterFunc(w.ctx, cancel)()
	}
	res, err := w.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		w.note(err.Error())
		return nil, err
	}
	// Whole, because the context ends here.
	body, err := io.ReadAll(http.MaxBytesReader(nil, res.Body, maxReply))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		w.note(err.Error())
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	w.read(res.StatusCode, body)
	return res, nil
}

// read looks for a problem (RFC 8555, 6.7) and for an authorization that failed (7.1.4).
func (w *wire) read(status int, body []byte) {
	type problem struct{ Type, Detail string }
	var said struct {
		problem
		Status     any // a number in problems, a word elsewhere
		Identifier struct{ Value string }
		Challenges []struct {
			Type  string
			Error *problem
		}
	}
	if json.Unmarshal(body, &said) != nil {
		return // a certificate, or nothing of the protocol
	}
	if status >= http.StatusBadRequest && !strings.HasSuffix(said.Type, ":badNonce") {
		w.note(strings.TrimPrefix(said.Type+": "+said.Detail, ": "))
	}
	if said.Status != "invalid" {
		return
	}
	for _, c := range said.Challenges {
		if c.Error != nil {
			w.mu.Lock()
			name, what := strings.ToLower(said.Identifier.Value), c.Type+": "+c.Error.Detail
			if !slices.Contains(w.failed[name], what) {
				w.failed[name] = append(w.failed[name], what)
			}
			w.mu.Unlock()
		}
	}
}

func (w *wire) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = what
}

// checks are the authority's words about the checks of a name that failed.
func (w *wire) checks(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.failed[name], "; ")
}

// trouble is what went wrong last.
func (w *wire) trouble() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.New(cmp.Or(w.last, "nothing is known of what went wrong"))
}

func (w *wire) forget(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.failed, name)
	w.last = ""
}
