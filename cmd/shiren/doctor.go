package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/engine/models"
	"shiren/internal/server"
	"shiren/web"
)

func (a *app) doctorCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check everything that the server stands on", Args: cobra.NoArgs,
		Long: `Check the configuration, the data folder, the master key, the database, the models,
ffmpeg, the certificates and the pages, and say what to do about what is wrong. It changes
nothing, except that it may bring an existing database to this release's schema.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
	a.setData(cmd)
	return cmd
}

// later is a finding that is no trouble: it will be made when it is needed.
type later string

func (l later) Error() string { return string(l) }

func (a *app) doctor(ctx context.Context) error {
	cfg, err := a.load()
	if err != nil {
		return err // every mistake at once
	}
	troubles := 0
	report := func(name string, detail string, err error) {
		var l later
		switch {
		case errors.As(err, &l):
			fmt.Fprintf(a.out, "ok    %-14s %s\n", name, l)
		case err != nil:
			troubles++
			fmt.Fprintf(a.out, "FAIL  %-14s %s\n", name, strings.ReplaceAll(err.Error(), "\n", "\n                     "))
		default:
			fmt.Fprintf(a.out, "ok    %-14s %s\n", name, detail)
		}
	}
	report("configuration", fmt.Sprintf("%d apps and %d plans declared", len(cfg.Apps), len(cfg.Plans)), nil)
	report("data folder", cfg.Data, writable(cfg.Data))
	keyErr := checkKey(cfg.MasterKeyFile())
	report("master key", cfg.MasterKeyFile(), keyErr)
	report("database", redact(cfg.StoreDSN()), a.checkStore(ctx, cfg, keyErr))
	list, err := models.Verify(ctx, models.FetchOptions{Dir: cfg.ModelsDir(), User: cfg.Models.Manifest})
	report("models", fmt.Sprintf("%d files verified in %s", len(list), cfg.ModelsDir()), err)
	if err == nil {
		report("engine", "every network opens", checkEngine(cfg))
		report("documents", "identity documents can be read", checkCards(cfg))
	}
	detail, err := checkVideos(cfg)
	report("ffmpeg", detail, err)
	detail, err = checkTLS(ctx, cfg, a.now())
	report("TLS", detail, err)
	_, err = web.Capture()
	report("pages", "built", err)
	if troubles > 0 {
		return fmt.Errorf("%d of these need attention", troubles)
	}
	return nil
}

// writable reports whether files can be made in a folder, or in the one that it would be made in.
func writable(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writable(filepath.Dir(filepath.Clean(dir))); err != nil {
			var l later
			if !errors.As(err, &l) {
				return err
			}
		}
		return later(dir + " will be made")
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return fmt.Errorf("%w: let the server's user write there, or choose another folder with data", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func checkKey(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return later(path + " will be made; back it up apart from the rest")
	case err != nil:
		return err
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s has mode %04o, so that others can read it: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	return nil
}

func (a *app) checkStore(ctx context.Context, cfg config.Config, keyErr error) error {
	var l later
	path, isFile := strings.CutPrefix(cfg.StoreDSN(), "sqlite:")
	if isFile {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return later(path + " will be made")
		}
	}
	if errors.As(keyErr, &l) {
		if isFile {
			return fmt.Errorf("%s is there but its master key is not: restore %s from its backup", path, cfg.MasterKeyFile())
		}
		return later("not tried: the master key is made first")
	} else if keyErr != nil {
		return errors.New("not tried: the master key comes first")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cfg.Apps, cfg.Plans = nil, nil // looked at, not brought in
	d, err := server.Open(ctx, a.quiet(cfg))
	if err != nil {
		return err
	}
	return d.Close()
}

func redact(dsn string) string {
	if strings.HasPrefix(dsn, "sqlite:") {
		return dsn
	}
	scheme, _, _ := strings.Cut(dsn, "://")
	return scheme
}

func checkEngine(cfg config.Config) error {
	e, err := server.OpenEngine(cfg)
	if err != nil {
		return err
	}
	return e.Close()
}

func checkCards(cfg config.Config) error {
	r, err := server.OpenCards(cfg)
	if err != nil {
		return err
	}
	return r.Close()
}

// checkVideos says how recordings are read. Without ffmpeg that is trouble only where a
// declared plan takes recordings or keeps videos.
func checkVideos(cfg config.Config) (string, error) {
	v, err := server.OpenVideos()
	if err == nil {
		return v.Sandbox(), nil
	}
	for _, p := range cfg.Plans {
		if r := p.Record(time.Time{}); p.KeepMedia || slices.ContainsFunc([]ekyc.LivenessKind{r.Liveness, r.Fallback}, ekyc.LivenessKind.Recorded) {
			return "", fmt.Errorf("%w; plan %s needs it", err, p.ID)
		}
	}
	return "", later("not there, and needed only by plans that take recordings or keep videos: " + err.Error())
}

func checkTLS(ctx context.Context, cfg config.Config, now time.Time) (string, error) {
	switch cfg.TLS.Mode {
	case config.TLSFiles:
		cert, err := server.ReadCertificate(cfg)
		if err != nil {
			return "", err
		}
		return expiry(cert, now)
	case config.TLSSelfSigned:
		return "self-signed: " + server.SelfSignedFile(cfg) + " is made and renewed by itself", nil
	case config.TLSAuto:
		for _, name := range cfg.TLS.Domains {
			if _, err := net.DefaultResolver.LookupHost(ctx, name); err != nil {
				return "", fmt.Errorf("%w: the authority must be able to reach this machine as %s", err, name)
			}
		}
		if err := server.CheckAuthority(ctx, cfg); err != nil {
			return "", err
		}
		return "auto: " + strings.Join(cfg.TLS.Domains, ", ") + "; the authority answers", nil
	}
	return "off: fine behind a proxy and on this machine; phones need it", nil
}

func expiry(cert *x509.Certificate, now time.Time) (string, error) {
	left := cert.NotAfter.Sub(now)
	switch {
	case now.Before(cert.NotBefore):
		return "", fmt.Errorf("the certificate is valid from %s only", cert.NotBefore.UTC().Format(time.DateOnly))
	case left <= 0:
		return "", fmt.Errorf("the certificate ended on %s: renew it", cert.NotAfter.UTC().Format(time.DateOnly))
	}
	return fmt.Sprintf("certificate for %s, %d days left", strings.Join(cert.DNSNames, ", "), int(left.Hours()/24)), nil
}
