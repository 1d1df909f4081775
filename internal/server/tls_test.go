package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shiren/internal/server"
)

// TestSelfSigned walks through the life of a self-signed certificate.
func TestSelfSigned(t *testing.T) {
	t.Parallel()
	o, clock, _ := options(t, strings.Replace(declared, "[[app]]", "[tls]\nmode = \"self-signed\"\ndomains = [\"verify.example.com\", \"192.0.2.7\", \"*.lan\"]\n[[app]]", 1))
	// Certificates are checked by the machine's clock.
	clock.Set(time.Now())
	crt := server.SelfSignedFile(o.Config)
	key := filepath.Join(o.Config.TLSDir(), "self-signed.key")
	t.Run("serves", func(t *testing.T) {
		at := serve(t, build(t, o)).Local
		text, err := os.ReadFile(crt)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(text)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
		res, err := client.Get(at + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.ProtoMajor != 2 {
			t.Errorf("protocol %s, want HTTP/2", res.Proto)
		}
		leaf := res.TLS.PeerCertificates[0]
		names := []string{"localhost", "127.0.0.1", "::1", "verify.example.com", "192.0.2.7", "phone.lan"}
		for _, ip := range server.LocalAddresses() {
			names = append(names, ip.String())
		}
		for _, name := range names {
			if err := leaf.VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
		// What phones want of one that a person installs: an authority's, for servers, over 398 days at most.
		if !leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage&x509.KeyUsageCertSign == 0 {
			t.Error("it cannot be installed as trusted: it is no authority's")
		}
		if !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			t.Errorf("it is for %v, want servers", leaf.ExtKeyUsage)
		}
		if days := leaf.NotAfter.Sub(leaf.NotBefore).Hours() / 24; days > 398 || days < 365 {
			t.Errorf("it lasts %.0f days, want a year and at most 398 days", days)
		}
		if leaf.NotBefore.After(clock.Now().Add(-time.Minute)) {
			t.Error("a phone whose clock is slow refuses it")
		}
		if leaf.SignatureAlgorithm != x509.ECDSAWithSHA256 {
			t.Errorf("signed by %v, want ECDSA with SHA-256", leaf.SignatureAlgorithm)
		}
		if n := leaf.SerialNumber; n.Sign() <= 0 || n.BitLen() < 64 {
			t.Errorf("serial %v, want one by chance: a phone keeps certificates apart by it", n)
		}
	})
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v; want mode 0600", info.Mode(), err)
	}
	before := read(t, crt)
	anew := func(t *testing.T, want bool) {
		t.Helper()
		serve(t, build(t, o))
		now := read(t, crt)
		if (now != before) != want {
			t.Errorf("made anew: %v, want %v", now != before, want)
		}
		before = now
	}
	t.Run("is kept", func(t *testing.T) { anew(t, false) })
	t.Run("has a new name", func(t *testing.T) {
		o.Config.TLS.Domains = append(o.Config.TLS.Domains, "192.0.2.8")
		anew(t, true)
	})
	t.Run("needs one less", func(t *testing.T) {
		o.Config.TLS.Domains = o.Config.TLS.Domains[:1]
		anew(t, false)
	})
	t.Run("lost its key", func(t *testing.T) {
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		anew(t, true)
	})
	t.Run("is damaged", func(t *testing.T) {
		write(t, crt, []byte(before[:len(before)/2]))
		if err := build(t, o).Serve(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "delete "+crt) {
			t.Errorf("%v, want words about what to delete", err)
		}
		write(t, crt, []byte(before))
		anew(t, false)
	})
	clock.Advance(360 * 24 * time.Hour)
	t.Run("lasts", func(t *testing.T) { anew(t, false) })
	clock.Advance(20 * 24 * time.Hour)
	t.Run("is renewed", func(t *testing.T) { anew(t, true) })
}

// TestSubjects names machines in a self-signed certificate, whatever they are called.
func TestSubjects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host    string
		domains []string
		names   string
		address string
	}{
		{"", nil, "localhost", "127.0.0.1"},
		{"mail", []string{"verify.example.com", "mail"}, "localhost verify.example.com mail", "::1"},
		{"localhost", nil, "localhost", "127.0.0.1"},
		{"张三的电脑", nil, "localhost", "127.0.0.1"},
		{"a b", nil, "localhost", "127.0.0.1"},
		{"a..b", nil, "localhost", "127.0.0.1"},
		{"my_host", []string{"192.0.2.7", "127.0.0.1", "2001:db8::7"}, "localhost my_host", "2001:db8::7"},
	} {
		names, addresses := server.Subjects(tt.host, tt.domains)
		if got := strings.Join(names, " "); got != tt.names {
			t.Errorf("%q, %q: names %s, want %s", tt.host, tt.domains, got, tt.names)
		}
		n := 0
		for _, ip := range addresses {
			if ip.Equal(net.ParseIP(tt.address)) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%q, %q: %s is there %d times, want once", tt.host, tt.domains, tt.address, n)
		}
	}
}

// TestGivenCertificate serves a certificate from files, which are renewed meanwhile.
func TestGivenCertificate(t *testing.T) {
	t.Parallel()
	o, clock, _ := options(t, strings.Replace(declared, "[[app]]", "[tls]\nmode = \"files\"\ncert_file = \"DIR/live.crt\"\nkey_file = \"DIR/live.key\"\n[[app]]", 1))
	now := clock.Now()
	logs := relogged(&o)
	crt, key := o.Config.TLS.CertFile, o.Config.TLS.KeyFile
	days := func(n int) time.Time { return now.AddDate(0, 0, n) }
	put := func(from, to int) (cert, private []byte, serial *big.Int) {
		cert, private, serial = made(t, days(from), days(to))
		write(t, crt, cert)
		write(t, key, private)
		return cert, private, serial
	}
	_, _, old := put(-80, 10)
	at := serve(t, build(t, o)).Local
	serves := func(what string, want *big.Int) {
		t.Helper()
		for range 3 {
			conn, err := tls.Dial("tcp", strings.TrimPrefix(at, "https://"), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			got := conn.ConnectionState().PeerCertificates[0].SerialNumber
			conn.Close()
			if got.Cmp(want) != 0 {
				t.Fatalf("%s: serial %v, want %v", what, got, want)
			}
		}
	}
	warned := func(what string, n int) {
		t.Helper()
		if got := strings.Count(logs.String(), "the renewed certificate cannot be used"); got != n {
			t.Errorf("%s: %d warnings so far, want %d:\n%s", what, got, n, logs)
		}
	}
	serves("at first", old)

	_, _, renewed := put(-1, 89)
	serves("renewed", renewed)
	warned("renewed", 0)

	cert, private, next := made(t, days(0), days(90))
	write(t, crt, cert[:len(cert)/2])
	serves("half a certificate", renewed)
	warned("half a certificate", 1)
	write(t, crt, cert)
	serves("without its key yet", renewed)
	warned("without its key yet", 2)
	write(t, key, private)
	serves("with its key", next)

	// As certbot and Kubernetes do: links, turned to other files, which may be as old.
	cert, private, linked := made(t, days(0), days(90))
	for name, text := range map[string][]byte{crt: cert, key: private} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name+".1", text)
		if err := os.Chtimes(name+".1", info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name+".1", name+".link"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".link", name); err != nil {
			t.Fatal(err)
		}
	}
	serves("by links", linked)

	if err := os.Rename(crt, crt+".gone"); err != nil {
		t.Fatal(err)
	}
	serves("gone", linked)
	warned("gone", 3)
	put(-90, -1)
	serves("renewed by an ended one", linked)
	warned("renewed by an ended one", 4)
	if !strings.Contains(logs.String(), "the certificate ended on "+days(-1).UTC().Format(time.DateOnly)) {
		t.Errorf("the log does not say when it ended:\n%s", logs)
	}
	_, _, last := put(0, 90)
	serves("renewed again", last)

	t.Run("ended before the start", func(t *testing.T) {
		_, _, ended := put(-90, -1)
		o := o
		logs := relogged(&o)
		at = serve(t, build(t, o)).Local
		serves("ended", ended)
		if !strings.Contains(logs.String(), "clients refuse the certificate: renew its files") {
			t.Errorf("the log says nothing of its end:\n%s", logs)
		}
		_, _, good := put(0, 90)
		serves("renewed", good)
	})

	o.Config.TLS.CertFile = "/nonexistent"
	if err := build(t, o).Serve(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "tls.cert_file") {
		t.Errorf("absent certificate: %v, want words about tls.cert_file", err)
	}
}

// made makes a certificate and its key, PEM.
func made(t *testing.T, from, to time.Time) (cert, private []byte, serial *big.Int) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if serial, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, DNSNames: []string{first}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ec}), serial
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// write puts a file in the place of another, as those who renew do.
func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}
