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
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"shiren/internal/config"
)

// certLife is how long a self-signed certificate lasts: browsers on phones refuse
// server certificates of more than 398 days. certRenew before its end it is made anew.
const (
	certLife  = 397 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour
)

// secure returns the TLS settings that the configuration asks for, nil without TLS, and
// a handler for plain HTTP beside it where there is something to answer.
func (o Options) secure() (*tls.Config, http.Handler, error) {
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
		files := &certFiles{cert: c.TLS.CertFile, key: c.TLS.KeyFile, log: o.Log}
		if _, err := files.get(nil); err != nil {
			return nil, nil, fmt.Errorf("certificate: %w; check tls.cert_file and tls.key_file", err)
		}
		settings.GetCertificate = files.get
		return settings, nil, nil
	case config.TLSAuto:
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(filepath.Join(c.TLSDir(), "acme")),
			HostPolicy: autocert.HostWhitelist(c.TLS.Domains...), Email: c.TLS.Email,
		}
		if c.TLS.ACMEURL != "" {
			m.Client = &acme.Client{DirectoryURL: c.TLS.ACMEURL}
		}
		auto := m.TLSConfig()
		auto.MinVersion = tls.VersionTLS12
		return auto, m.HTTPHandler(nil), nil
	}
	return nil, nil, nil
}

// certFiles serves a certificate from two files and notices when they are renewed.
type certFiles struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	loaded  *tls.Certificate
	changed time.Time
}

func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.cert)
	if err == nil && f.loaded != nil && info.ModTime().Equal(f.changed) {
		return f.loaded, nil
	}
	var cert tls.Certificate
	if err == nil {
		cert, err = tls.LoadX509KeyPair(f.cert, f.key)
	}
	switch {
	case err == nil:
		f.loaded, f.changed = &cert, info.ModTime()
	case f.loaded == nil:
		return nil, err
	default:
		// Half of a renewal, most likely; the certificate at hand goes on serving.
		f.log.Warn("the renewed certificate cannot be read", "err", err)
	}
	return f.loaded, nil
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
	names := append([]string{"localhost"}, o.Config.TLS.Domains...)
	if host, err := os.Hostname(); err == nil && host != "" && !slices.Contains(names, host) {
		names = append(names, host)
	}
	addresses := append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, LocalAddresses()...)
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
