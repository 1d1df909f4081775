package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"golang.org/x/crypto/acme"

	"shiren/internal/config"
	"shiren/internal/server"
	"shiren/internal/testkit"
)

// Pebble dawdles and refuses some nonces by chance, unless its environment says otherwise.
func init() {
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
}

// patience only ends what is stuck.
const patience = 3 * time.Minute

// pebble is Let's Encrypt's test authority, in this process. It checks names as an authority
// does, by connections to this machine, which every name resolves to; the ports are told later.
type pebble struct {
	*httptest.Server
	caFile string         // who the authority's own HTTPS is trusted by
	roots  *x509.CertPool // who its certificates are trusted by

	store *db.MemoryStore
	ca    *ca.CAImpl
	dns   string
	log   *log.Logger

	open chan struct{} // closed when the ports are told
	ask  http.Handler

	mu     sync.Mutex
	orders int
	gave   chan struct{} // one for each certificate that was fetched
}

func newPebble(t *testing.T) *pebble {
	t.Helper()
	logs := &testkit.Logs{}
	p := &pebble{
		store: db.NewMemoryStore(), log: log.New(logs, "", 0), dns: everythingHere(t), roots: x509.NewCertPool(),
		open: make(chan struct{}), gave: make(chan struct{}, 16),
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the authority:\n%s", logs)
		}
	})
	p.ca = ca.New(p.log, p.store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	p.roots.AddCert(p.ca.GetRootCert(0).Cert)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-p.open:
		case <-r.Context().Done():
			return
		}
		p.ask.ServeHTTP(w, r)
		switch {
		case strings.HasPrefix(r.URL.Path, "/order-plz"):
			p.mu.Lock()
			p.orders++
			p.mu.Unlock()
		case strings.HasPrefix(r.URL.Path, "/certZ/"):
			p.gave <- struct{}{}
		}
	}))
	p.Config.ErrorLog = p.log
	p.StartTLS()
	t.Cleanup(p.Close)
	p.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(p.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// look tells where http-01 and tls-alpn-01 are looked for. Until then the authority answers nobody.
func (p *pebble) look(httpAt, tlsAt string) {
	v := va.New(p.log, port(httpAt), port(tlsAt), false, p.dns, p.store)
	front := wfe.New(p.log, p.store, v, p.ca, []string{"pebble.example"}, false, false, 0, 0)
	p.ask = front.Handler()
	close(p.open)
}

func port(at string) int {
	n, _ := strconv.Atoi(at[strings.LastIndex(at, ":")+1:])
	return n
}

func (p *pebble) ordered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.orders
}

// everythingHere is a name server by which every name is this machine.
func everythingHere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up, down := make(chan struct{}), make(chan error, 1)
	s := &dns.Server{Listener: l, NotifyStartedFunc: func() { close(up) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if asked := q.Question[0]; asked.Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: asked.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)}}
		}
		w.WriteMsg(m)
	})}
	go func() { down <- s.ActivateAndServe() }()
	<-up
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// nobody is an address where connections end at once: not the server.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// lines are logs that can be waited for.
type lines struct {
	testkit.Logs
	fresh chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	n, err := l.Logs.Write(b)
	select {
	case l.fresh <- struct{}{}:
	default:
	}
	return n, err
}

func (l *lines) wait(t *testing.T, what string) {
	t.Helper()
	end := time.After(patience)
	for !strings.Contains(l.String(), what) {
		select {
		case <-l.fresh:
		case <-end:
			t.Fatalf("%q was not logged:\n%s", what, l)
		}
	}
}

// plain is where the log says that plain HTTP is answered.
func (l *lines) plain(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`plain requests are sent to HTTPS" at=(http://\S+)`).FindStringSubmatch(l.String())
	if m == nil {
		t.Fatalf("the log does not say where plain HTTP is answered:\n%s", l)
	}
	return m[1]
}

const (
	first  = "verify.shiren.test"
	second = "console.shiren.test"
)

// auto are options with certificates of p for both names; settings are more lines of [tls].
func auto(t *testing.T, p *pebble, settings string) (server.Options, *testkit.Clock) {
	t.Helper()
	o, clock, _ := options(t, "listen = \"127.0.0.1:0\"\n[tls]\nmode = \"auto\"\ndomains = [\"Verify.Shiren.test\", \""+second+"\"]\n"+
		"email = \"admin@shiren.example\"\nacme_url = \""+p.URL+"/dir\"\nacme_ca_file = \""+p.caFile+"\"\n"+settings+
		"[store]\ndsn = \"sqlite::memory:\"\n")
	clock.Set(time.Now()) // autocert looks at the machine's
	return o, clock
}

// relogged gives o logs of its own.
func relogged(o *server.Options) *lines {
	l := &lines{fresh: make(chan struct{}, 1)}
	o.Log = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return l
}

// visit opens a page as a browser does that trusts the authority, and returns the certificate.
func (p *pebble) visit(t *testing.T, at, name string) (*x509.Certificate, error) {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: p.roots}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+strconv.Itoa(port(at)))
		},
	}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + name + "/healthz")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		t.Errorf("%s: status %s, %s; want 200 over HTTP/2", name, res.Status, res.Proto)
	}
	return res.TLS.PeerCertificates[0], nil
}

// TestAutomaticCertificate orders certificates of an authority that looks in over TLS, and
// keeps them.
func TestAutomaticCertificate(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	o, _ := auto(t, p, "")
	logs := relogged(&o)
	serials := map[string]string{}
	t.Run("is ordered", func(t *testing.T) {
		s := build(t, o)
		if _, ok, err := s.CertDays(t.Context()); ok || err != nil {
			t.Errorf("days before there is a certificate: %v, %v, want none", ok, err)
		}
		at := serve(t, s).Local
		if !strings.HasPrefix(at, "https://Verify.Shiren.test:") {
			t.Errorf("the address is %s, want one by the first name", at)
		}
		p.look(nobody(t), at)
		for _, name := range []string{first, second, strings.ToUpper(first)} {
			cert, err := p.visit(t, at, name)
			if err != nil {
				t.Fatalf("%v\n%s", err, logs)
			}
			serials[strings.ToLower(name)] = cert.SerialNumber.String()
		}
		if serials[first] == serials[second] {
			t.Error("both names have one certificate, want one each")
		}
		for _, name := range []string{"stranger.shiren.test", "localhost", "127.0.0.1"} {
			if _, err := p.visit(t, at, name); err == nil {
				t.Errorf("%s is served, which is not in tls.domains", name)
			}
		}
		if n := p.ordered(); n != 2 {
			t.Errorf("%d orders, want one a name", n)
		}
		if days, ok, err := s.CertDays(t.Context()); days < 89 || days > 91 || !ok || err != nil {
			t.Errorf("%v days are left (%v, %v), want Pebble's 90", days, ok, err)
		}
		logs.wait(t, `msg="a certificate is at hand" name=`+second)
		if err := server.CheckAuthority(t.Context(), o.Config); err != nil {
			t.Error(err)
		}
		c := o.Config
		c.TLS.ACMEURL = p.URL + "/nothing"
		if err := server.CheckAuthority(t.Context(), c); err == nil || !strings.Contains(err.Error(), "tls.acme_url") {
			t.Errorf("an address that is no directory: %v, want words about tls.acme_url", err)
		}
	})
	files, err := os.ReadDir(string(server.ACMECache(o.Config)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", f.Name(), info.Mode(), err)
		}
	}

	p.Close()
	t.Run("is kept", func(t *testing.T) {
		logs := relogged(&o)
		at := serve(t, build(t, o)).Local
		for name, want := range serials {
			if cert, err := p.visit(t, at, name); err != nil || cert.SerialNumber.String() != want {
				t.Errorf("%s: another certificate, or %v", name, err)
			}
		}
		if strings.Contains(logs.String(), "ordered") || strings.Contains(logs.String(), "ERROR") {
			t.Errorf("a second start asks the authority, which is not there:\n%s", logs)
		}
	})
	t.Run("is the authority's own", func(t *testing.T) {
		// As after trials with a staging authority.
		o := o
		o.Config.TLS.ACMEURL = p.URL + "/production"
		logs := relogged(&o)
		at := serve(t, build(t, o)).Local
		logs.wait(t, "there is no certificate for this name")
		if _, err := p.visit(t, at, first); err == nil {
			t.Error("a certificate of another authority is served")
		}
	})
}

// TestPlainChecks has an authority look in over plain HTTP, where port 443 is somebody else's.
func TestPlainChecks(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	o, _ := auto(t, p, "http_addr = \"127.0.0.1:0\"\n")
	logs := relogged(&o)
	at := serve(t, build(t, o)).Local
	plain := logs.plain(t)
	p.look(plain, nobody(t))
	for _, name := range []string{first, second} {
		if _, err := p.visit(t, at, name); err != nil {
			t.Fatalf("%v\n%s", err, logs)
		}
	}

	https := ":" + strconv.Itoa(port(at))
	for _, tt := range []struct {
		method, host, path string
		status             int
		to                 string
	}{
		{"GET", first, "/face/print/?token=x&a=%20b", 302, "https://" + first + https + "/face/print/?token=x&a=%20b"},
		{"HEAD", second + ":80", "/console", 302, "https://" + second + https + "/console"},
		{"GET", "127.0.0.1", "/", 302, "https://Verify.Shiren.test" + https + "/"},
		{"GET", "evil.example", "//evil.example/", 302, "https://Verify.Shiren.test" + https + "//evil.example/"},
		{"POST", first, "/oauth/2.0/token", 400, ""},
		{"GET", first, "/.well-known/acme-challenge/guess", 404, ""},
		{"GET", "evil.example", "/.well-known/acme-challenge/guess", 403, ""},
	} {
		status, to := ask(t, tt.method, plain, tt.host, tt.path)
		if status != tt.status || to != tt.to {
			t.Errorf("%s http://%s%s: %d to %q, want %d to %q", tt.method, tt.host, tt.path, status, to, tt.status, tt.to)
		}
	}
}

// ask sends a plain request for a host, and follows nothing.
func ask(t *testing.T, method, plain, host, path string) (status int, to string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, plain+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("Location")
}

// TestCertificateTrouble reads the log where there is no certificate: it must say what to do.
func TestCertificateTrouble(t *testing.T) {
	t.Parallel()
	gone := httptest.NewTLSServer(nil)
	gone.Close()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *pebble, c *config.Config)
		http   string
		want   []string
	}{
		{
			name: "port 443 leads elsewhere", change: func(*testing.T, *pebble, *config.Config) {},
			want: []string{"did not find this server as verify.shiren.test (tls-alpn-01: ", "port 443 of it must lead to listen", "asked_again_in=30m0s"},
		},
		{
			name: "so does port 80", change: func(*testing.T, *pebble, *config.Config) {}, http: "http_addr = \"127.0.0.1:0\"\n",
			want: []string{"(tls-alpn-01: ", "; http-01: ", ", or port 80 to tls.http_addr", "asked_again_in=30m0s"},
		},
		{
			name: "not there", change: func(_ *testing.T, _ *pebble, c *config.Config) { c.TLS.ACMEURL = gone.URL + "/dir" },
			want: []string{"the authority cannot be reached: ", "connection refused", "HTTPS_PROXY", "tls.acme_url", "asked_again_in=2m0s"},
		},
		{
			name: "not trusted", change: func(_ *testing.T, _ *pebble, c *config.Config) { c.TLS.ACMECAFile = "" },
			want: []string{"/dir is not trusted: ", "tls.acme_ca_file", "asked_again_in=2m0s"},
		},
		{
			name: "refuses the name", change: func(t *testing.T, p *pebble, _ *config.Config) {
				if err := p.store.AddBlockedDomain("shiren.test"); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"/dir refuses: ", "rejectedIdentifier", "tls.domains", "asked_again_in=30m0s"},
		},
		{
			name: "no directory", change: func(_ *testing.T, p *pebble, c *config.Config) { c.TLS.ACMEURL = p.URL + "/nothing" },
			want: []string{"/nothing refuses: 404", "tls.acme_url that is no ACME directory"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPebble(t)
			o, _ := auto(t, p, tt.http)
			o.Config.TLS.Domains = []string{first}
			o.Config.PublicURL = "https://verify.shiren.test"
			tt.change(t, p, &o.Config)
			logs := relogged(&o)
			at := serve(t, build(t, o)).Local
			p.look(nobody(t), nobody(t))
			logs.wait(t, "there is no certificate for this name, and no client can connect by it\" name="+first)
			for _, want := range tt.want {
				if !strings.Contains(logs.String(), want) {
					t.Errorf("the log says nothing of %q", want)
				}
			}
			if tt.http == "" && strings.Contains(logs.String(), "http-01: ") {
				t.Error("the authority is sent to port 80, where nobody answers")
			}
			orders := p.ordered()
			for range 3 {
				if _, err := p.visit(t, at, first); err == nil {
					t.Error("a client connects without a certificate")
				}
			}
			// autocert would order again for one of them after a minute.
			logs.wait(t, "there is no certificate for "+first+" yet")
			if n := p.ordered(); n != orders {
				t.Errorf("clients make %d orders", n-orders)
			}
			if tt.http != "" {
				if _, to := ask(t, "GET", logs.plain(t), first, "/"); to != "https://verify.shiren.test/" {
					t.Errorf("plain requests are sent to %s, want public_url's port", to)
				}
			}
			if t.Failed() {
				t.Logf("the log:\n%s", logs)
			}
		})
	}

	o, _ := auto(t, newPebble(t), "")
	for file, want := range map[string]string{"/nonexistent": "no such file", "acme_test.go": "holds no certificate"} {
		o.Config.TLS.ACMECAFile = file
		if err := build(t, o).Serve(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "tls.acme_ca_file: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}

// TestCertificateIsRenewed starts with a kept certificate whose renewal is due.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	o, _ := auto(t, p, "")
	o.Config.TLS.Domains = []string{first}
	old := keep(t, o.Config, first, 80*24*time.Hour, 10*24*time.Hour)
	at := serve(t, build(t, o)).Local
	serial := func() *big.Int {
		t.Helper()
		conn, err := tls.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port(at)), &tls.Config{ServerName: first, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber
	}
	if serial().Cmp(old) != 0 {
		t.Error("the kept certificate is not served while the authority is asked")
	}
	p.look(nobody(t), at)
	select {
	case <-p.gave:
	case <-time.After(patience):
		t.Fatal("no certificate was fetched")
	}
	for end := time.Now().Add(patience); serial().Cmp(old) == 0; {
		if time.Now().After(end) {
			t.Fatal("the renewed certificate is not served")
		}
	}
	if _, err := p.visit(t, at, first); err != nil {
		t.Error(err)
	}
}

// TestRenewalFails keeps serving, and says so in time.
func TestRenewalFails(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	p.Close()
	o, clock := auto(t, p, "")
	o.Config.TLS.Domains = []string{first}
	keep(t, o.Config, first, 80*24*time.Hour, 10*24*time.Hour)
	logs := relogged(&o)
	a := server.NewAuthority(t, o)
	a.Order(t, first)
	for end := time.Now().Add(patience); !strings.Contains(logs.String(), "connection refused"); a.Overdue(first) {
		if time.Now().After(end) {
			t.Fatalf("nobody is told of a renewal that fails:\n%s", logs)
		}
	}
	if !strings.Contains(logs.String(), `level=WARN msg="the certificate ends soon and could not be renewed; it is tried again" name=`+first) {
		t.Errorf("the log does not say which certificate ends:\n%s", logs)
	}
	clock.Advance(-30 * 24 * time.Hour)
	quiet := logs.String()
	if a.Overdue(first); logs.String() != quiet {
		t.Errorf("a warning long before the end:\n%s", strings.TrimPrefix(logs.String(), quiet))
	}
}

// keep puts a certificate where those of the authority are kept, begun and ending so long
// before and from now.
func keep(t *testing.T, c config.Config, name string, age, left time.Duration) *big.Int {
	t.Helper()
	crt, key, serial := made(t, time.Now().Add(-age), time.Now().Add(left))
	if err := server.ACMECache(c).Put(t.Context(), name, append(key, crt...)); err != nil {
		t.Fatal(err)
	}
	return serial
}

// TestExplain tells a busy authority from one that refuses, which is asked again later.
func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err      error
		answered bool
		want     string
	}{
		{&acme.Error{StatusCode: 503}, false, "out of order"},
		{&acme.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited", Detail: "too many"}, true, "refuses: 429 urn:ietf:params:acme:error:rateLimited: too many"},
		{fmt.Errorf("register: %w", &acme.Error{StatusCode: 400}), true, "tls.email"},
		{&url.Error{Op: "Get", URL: "https://ca.example.com", Err: io.ErrUnexpectedEOF}, false, "HTTPS_PROXY"},
		{io.ErrUnexpectedEOF, false, "is https://ca.example.com/dir (tls.acme_url) an ACME directory?"},
	} {
		var c config.Config
		c.TLS.ACMEURL = "https://ca.example.com/dir"
		answered, why := server.Explain(c, tt.err)
		if answered != tt.answered || !errors.Is(why, tt.err) || !strings.Contains(why.Error(), tt.want) {
			t.Errorf("%v: %v, answered %v; want %q, %v", tt.err, why, answered, tt.want, tt.answered)
		}
	}
}

// TestFirstToEnd counts for the alarm, whichever name it is for.
func TestFirstToEnd(t *testing.T) {
	t.Parallel()
	p := newPebble(t)
	o, _ := auto(t, p, "")
	keep(t, o.Config, first, time.Hour, 80*24*time.Hour)
	keep(t, o.Config, second, 80*24*time.Hour, 10*24*time.Hour)
	if days, ok, err := build(t, o).CertDays(t.Context()); days < 9 || days > 11 || !ok || err != nil {
		t.Errorf("%v days are left (%v, %v), want 10", days, ok, err)
	}
}

// TestCacheFolders keeps authorities apart.
func TestCacheFolders(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for address, want := range map[string]string{
		"": "acme-v02.api.letsencrypt.org_directory",
		"https://acme-staging-v02.api.letsencrypt.org/directory": "acme-staging-v02.api.letsencrypt.org_directory",
		"https://ca.example.com:9000/acme/a/directory":           "ca.example.com_9000_acme_a_directory",
		"https://CA.example.com:9000/../../acme/b/directory":     "ca.example.com_9000_.._.._acme_b_directory",
	} {
		var c config.Config
		c.Data, c.TLS.ACMEURL = "data", address
		got := string(server.ACMECache(c))
		if got != filepath.Join("data", "tls", "acme", want) || seen[got] != "" {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
		seen[got] = address
	}
}
