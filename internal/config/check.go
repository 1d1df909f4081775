package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check notes every value that cannot work.
func (l *loader) check(cfg *Config) {
	if cfg.Listen != "" {
		l.address("listen", cfg.Listen)
	}
	if cfg.PublicURL != "" {
		u, err := url.Parse(cfg.PublicURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			l.bad("public_url", "public_url %q: want a scheme and a host and nothing more, as in https://verify.example.com", cfg.PublicURL)
		}
		cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	}
	for _, a := range cfg.FrameAncestors {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' || r == ',' }) {
			l.bad("frame_ancestors", "frame_ancestors has %q: want sources like 'self' or https://bank.example.com, one each", a)
		}
	}
	if cfg.Data == "" {
		l.bad("data", "data: want a folder; the default is \"data\"")
	}
	l.checkTLS(cfg.TLS)
	if d := cfg.Store.DSN; d != "" && !slices.ContainsFunc([]string{"sqlite:", "postgres://", "postgresql://"}, func(p string) bool { return strings.HasPrefix(d, p) }) {
		l.bad("store.dsn", "store.dsn: want sqlite:PATH or postgres://user@host/database") // it may hold a password
	}
	if cfg.Models.Parallel < 0 {
		l.bad("models.parallel", "models.parallel: want 0 (the number of CPUs) or more")
	}
	if d := time.Duration(cfg.Retention.PurgeInterval); d < time.Second || d > 24*time.Hour {
		l.bad("retention.purge_interval", "retention.purge_interval %v: want 1s to 24h", d)
	}
	if cfg.Limits.Captures < 1 {
		l.bad("limits.captures", "limits.captures: want at least 1")
	}
	if cfg.Limits.Body < 1<<20 {
		l.bad("limits.body", "limits.body: want at least 1MiB, or no photograph gets through")
	}
	for _, t := range []struct {
		key string
		d   Duration
	}{
		{"header_timeout", cfg.Limits.HeaderTimeout},
		{"read_timeout", cfg.Limits.ReadTimeout},
		{"write_timeout", cfg.Limits.WriteTimeout},
		{"idle_timeout", cfg.Limits.IdleTimeout},
		{"shutdown_timeout", cfg.Limits.ShutdownTimeout},
	} {
		if time.Duration(t.d) < time.Second {
			l.bad("limits."+t.key, "limits.%s %v: want at least 1s", t.key, time.Duration(t.d))
		}
	}
	l.oneOf("log.level", cfg.Log.Level, "debug", "info", "warn", "error")
	l.oneOf("log.format", cfg.Log.Format, "text", "json")
	l.checkApps(cfg)
	l.checkPlans(cfg)
}

func (l *loader) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		n := len(allowed) - 1
		l.bad(key, "%s %q: want %s or %s", key, value, strings.Join(allowed[:n], ", "), allowed[n])
	}
}

func (l *loader) address(key, value string) {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		var n int
		if n, err = strconv.Atoi(port); err == nil && (n < 0 || n > 65535) {
			err = errors.New("port out of range")
		}
	}
	if err != nil {
		l.bad(key, "%s %q: want host:port or :port, as in 127.0.0.1:8080", key, value)
	}
}

func (l *loader) checkTLS(t TLS) {
	l.oneOf("tls.mode", t.Mode, TLSOff, TLSSelfSigned, TLSAuto, TLSFiles)
	switch {
	case t.Mode == TLSFiles && (t.CertFile == "" || t.KeyFile == ""):
		l.bad("tls.mode", "tls.mode files needs tls.cert_file and tls.key_file")
	case t.Mode != TLSFiles && (t.CertFile != "" || t.KeyFile != ""):
		l.bad("tls.mode", "tls.cert_file and tls.key_file are used by tls.mode files only, and it is %s", t.Mode)
	}
	if t.Mode == TLSAuto && len(t.Domains) == 0 {
		l.bad("tls.mode", "tls.mode auto needs tls.domains: the names that the certificate is for")
	}
	if t.HTTPAddr != "" {
		l.address("tls.http_addr", t.HTTPAddr)
	}
}

// checkApps relies on the core's own rules for one app and adds those between apps.
func (l *loader) checkApps(cfg *Config) {
	ids, keys := map[string]int{}, map[string]int{}
	for i, a := range cfg.Apps {
		at := fmt.Sprintf("app.%d", i)
		l.badAll(at, a.Record(time.Time{}).Validate())
		if j, seen := ids[a.ID]; seen {
			l.bad(at+".id", "app id %q is declared twice, first as app number %d", a.ID, j+1)
		}
		if j, seen := keys[a.Key]; seen && a.Key != "" {
			l.bad(at+".key", "app %s has the same API key as app number %d", a.ID, j+1)
		}
		if a.PerSecond < 0 {
			l.bad(at+".per_second", "app %s: per_second: want 0 (unlimited) or more", a.ID)
		}
		if a.PerDay < 0 {
			l.bad(at+".per_day", "app %s: per_day: want 0 (unlimited) or more", a.ID)
		}
		ids[a.ID], keys[a.Key] = i, i
	}
}

func (l *loader) checkPlans(cfg *Config) {
	ids := map[string]int{}
	for i, p := range cfg.Plans {
		at := fmt.Sprintf("plan.%d", i)
		l.badAll(at, p.Record(time.Time{}).Validate())
		if j, seen := ids[p.ID]; seen {
			l.bad(at+".id", "plan id %q is declared twice, first as plan number %d", p.ID, j+1)
		}
		ids[p.ID] = i
		if !slices.ContainsFunc(cfg.Apps, func(a App) bool { return a.ID == p.App }) {
			l.bad(at+".app", "plan %s belongs to app %q, which is not declared here as an [[app]]", p.ID, p.App)
		}
	}
}

// badAll notes each of several joined errors.
func (l *loader) badAll(at string, err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			l.badAll(at, one)
		}
		return
	}
	l.bad(at, "%v", err)
}
