package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"shiren/internal/config"
)

// certLife is how long a self-signed certificate lasts: browsers on phones refuse
// server certificates of more than 398 days. certRenew before its end it is made anew.
const (
	certLife  = 397 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour
)

// secure returns the TLS settings that the configuration asks for, nil without TLS, and
// the authority that certificates come from, nil where they come from none.
func (o Options) secure() (*tls.Config, *authority, error) {
	c := o.Config
	settings := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	switch c.TLS.Mode {
	case config.TLSSelfSigned:
		cert, err := o.selfSigned()
		if err != nil {
			return nil, nil, fmt.Errorf("self-signed certificate: %w", err)
		}
		settings.Certificates = []tls.Certificate{cert}
		return settings, nil, nil
	case config.TLSFiles:
		files := &certFiles{cert: c.TLS.CertFile, key: c.TLS.KeyFile, log: o.Log, now: o.Now}
		first, err := files.get(nil)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate: %w; check tls.cert_file and tls.key_file", err)
		}
		if err := inTime(first, o.Now()); err != nil {
			o.Log.Error("clients refuse the certificate: renew its files, which are read without a restart", "file", c.TLS.CertFile, "err", err)
		}
		settings.GetCertificate = files.get
		return settings, nil, nil
	case config.TLSAuto:
		a, err := o.authority()
		if err != nil {
			return nil, nil, err
		}
		return a.settings(), a, nil
	}
	return nil, nil, nil
}

// certFiles serves a certificate from two files and notices when they are renewed.
type certFiles struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	loaded  *tls.Certificate
	from    certPair // the files of loaded
	refused certPair // the files that were warned of last
}

// certPair are two files as they stand; what is absent is nil.
type certPair [2]fs.FileInfo

func (p certPair) same(q certPair) bool {
	for i := range p {
		if (p[i] == nil) != (q[i] == nil) {
			return false
		}
		if p[i] != nil && !(os.SameFile(p[i], q[i]) && p[i].ModTime().Equal(q[i].ModTime()) && p[i].Size() == q[i].Size()) {
			return false
		}
	}
	return true
}

func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found certPair
	for i, name := range []string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil {
			found[i] = info
		}
	}
	if f.loaded != nil && found.same(f.from) {
		return f.loaded, nil
	}
	cert, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err == nil && f.loaded != nil && inTime(f.loaded, f.now()) == nil {
		err = inTime(&cert, f.now())
	}
	switch {
	case err == nil:
		if f.loaded != nil {
			f.log.Info("the renewed certificate is served", "until", cert.Leaf.NotAfter.UTC().Format(time.DateOnly))
		}
		f.loaded, f.from = &cert, found
	case f.loaded == nil:
		return nil, err
	case !found.same(f.refused):
		// Half of a renewal, most likely; the certificate at hand goes on serving.
		f.log.Warn("the renewed certificate cannot be used; the one before is served until the files are whole", "err", err)
		f.refused = found
	}
	return f.loaded, nil
}

// inTime says that clients refuse a certificate for its dates.
func inTime(c *tls.Certificate, now time.Time) error {
	switch {
	case now.After(c.Leaf.NotAfter):
		return fmt.Errorf("the certificate ended on %s", c.Leaf.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.Leaf.NotBefore):
		return fmt.Errorf("the certificate is valid from %s only", c.Leaf.NotBefore.UTC().Format(time.DateOnly))
	}
	return nil
}

// ReadCertificate reads the given certificate, as far as it can be read with its key.
func ReadCertificate(c config.Config) (*x509.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w; check tls.cert_file and tls.key_file", err)
	}
	return pair.Leaf, nil
}

// SelfSignedFile is where the self-signed certificate lies; its key is beside it.
func SelfSignedFile(c config.Config) string { return filepath.Join(c.TLSDir(), "self-signed.crt") }

// selfSigned reads the kept certificate, or makes one for this machine's names and
// addresses when there is none, it ends soon, or it lacks one of them.
func (o Options) selfSigned() (tls.Certificate, error) {
	certFile := SelfSignedFile(o.Config)
	keyFile := filepath.Join(o.Config.TLSDir(), "self-signed.key")
	host, _ := os.Hostname() // without it there is one name less
	names, addresses := subjects(host, o.Config.TLS.Domains)
	now := o.Now()
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err == nil && serves(cert.Leaf, names, addresses, now) {
		return cert, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return cert, fmt.Errorf("%w; delete %s to have it made anew", err, certFile)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), o.Rand)
	if err != nil {
		return cert, err
	}
	serial := make([]byte, 16)
	if _, err := o.Rand.Read(serial); err != nil {
		return cert, err
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: "shiren, self-signed"},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(certLife),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        true, BasicConstraintsValid: true, // a phone can install it as trusted
		DNSNames: names, IPAddresses: addresses,
	}
	der, err := x509.CreateCertificate(o.Rand, template, template, key.Public(), key)
	if err != nil {
		return cert, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return cert, err
	}
	if err := os.MkdirAll(o.Config.TLSDir(), 0o700); err != nil {
		return cert, err
	}
	if err := writePEM(keyFile, "PRIVATE KEY", pkcs8, 0o600); err != nil {
		return cert, err
	}
	if err := writePEM(certFile, "CERTIFICATE", der, 0o644); err != nil {
		return cert, err
	}
	return tls.LoadX509KeyPair(certFile, keyFile)
}

// subjects are what a self-signed certificate is for: this machine, by its names and
// addresses, and what the configuration adds.
func subjects(host string, domains []string) (names []string, addresses []net.IP) {
	names = []string{"localhost"}
	addresses = append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, LocalAddresses()...)
	// A machine may be called what no certificate can say.
	if config.IsHostName(host) {
		domains = append(slices.Clip(domains), host)
	}
	for _, d := range domains {
		if ip := net.ParseIP(d); ip == nil && !slices.Contains(names, d) {
			names = append(names, d)
		} else if ip != nil && !slices.ContainsFunc(addresses, ip.Equal) {
			addresses = append(addresses, ip)
		}
	}
	return names, addresses
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	// A file left with a wider mode keeps it on writing, so it goes first.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

func serves(leaf *x509.Certificate, names []string, addresses []net.IP, now time.Time) bool {
	if leaf == nil || now.Before(leaf.NotBefore) || now.Add(certRenew).After(leaf.NotAfter) {
		return false
	}
	for _, n := range names {
		if leaf.VerifyHostname(n) != nil {
			return false
		}
	}
	for _, a := range addresses {
		if !slices.ContainsFunc(leaf.IPAddresses, a.Equal) {
			return false
		}
	}
	return true
}

// LocalAddresses lists the machine's addresses on its networks, IPv4 first; loopback
// and link-local ones are left out.
func LocalAddresses() []net.IP {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var four, six []net.IP
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		switch {
		case !ok || !n.IP.IsGlobalUnicast():
		case n.IP.To4() != nil:
			four = append(four, n.IP)
		default:
			six = append(six, n.IP)
		}
	}
	return append(four, six...)
}
