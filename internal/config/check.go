package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

// check notes every value that cannot work.
func (l *loader) check(cfg *Config) {
	if cfg.Listen != "" {
		l.address("listen", cfg.Listen)
	}
	l.publicURL("public_url", &cfg.PublicURL)
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
	for _, p := range cfg.Limits.TrustedProxies {
		if _, err := ekyc.ParsePrefix(p); err != nil {
			l.bad("limits.trusted_proxies", "limits.trusted_proxies %q: want an address or a range, as in 10.0.0.0/8", p)
		}
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
	l.checkSources(cfg)
	if d := time.Duration(cfg.Huawei.Window); d < 10*time.Second || d > 24*time.Hour {
		l.bad("huawei.window", "huawei.window %v: want 10s to 24h", d)
	}
	if a := cfg.Metrics.Address; a != "" {
		l.address("metrics.address", a)
	}
	l.checkMail(cfg.Mail)
	for _, p := range cfg.Alarms.WebhookAllow {
		if _, err := ekyc.ParsePrefix(p); err != nil {
			l.bad("alarms.webhook_allow", "alarms.webhook_allow %q: want an address or a range, as in 10.1.2.0/24", p)
		}
	}
	if a := cfg.Console.Address; a != "" {
		l.address("console.address", a)
	}
	l.publicURL("console.public_url", &cfg.Console.PublicURL)
	for _, p := range cfg.Console.Allow {
		if _, err := ekyc.ParsePrefix(p); err != nil {
			l.bad("console.allow", "console.allow %q: want an address or a range, as in 10.0.0.0/8", p)
		}
	}
	l.checkApps(cfg)
	l.checkPlans(cfg)
}

func (l *loader) checkMail(m Mail) {
	l.oneOf("mail.tls", m.TLS, MailStartTLS, MailImplicit, MailPlain)
	if m.Host == "" {
		for _, set := range []struct {
			key string
			is  bool
		}{{"user", m.User != ""}, {"password", m.Password != ""}, {"from", m.From != ""}, {"port", m.Port != 0}, {"ca_file", m.CAFile != ""}} {
			if set.is {
				l.bad("mail."+set.key, "mail.%s means nothing without mail.host, the name of the mail server", set.key)
			}
		}
		return
	}
	if strings.ContainsFunc(m.Host, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == '@' }) || strings.Contains(m.Host, ":") && net.ParseIP(m.Host) == nil {
		l.bad("mail.host", "mail.host %q: want a name or an address alone, as in smtp.example.com; the port is mail.port", m.Host)
	}
	if m.Port < 0 || m.Port > 65535 {
		l.bad("mail.port", "mail.port %d: want 1 to 65535, or 0 for what mail.tls makes of it", m.Port)
	}
	if a, err := mail.ParseAddress(m.From); err != nil || strings.ContainsFunc(a.Address, func(r rune) bool { return r <= ' ' || r > '~' }) {
		l.bad("mail.from", "mail.from: want the address that alarms come from, as in shiren@example.com or 实人 <shiren@example.com>")
	}
	ip := net.ParseIP(m.Host)
	near := m.Host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case m.TLS == MailPlain && !near && m.User != "":
		l.bad("mail.tls", "mail.tls none would send the password to %s in the clear: use starttls or implicit", m.Host)
	case m.TLS == MailPlain && !near && !m.AllowPlain:
		l.bad("mail.tls", "mail.tls none sends mails to another machine in the clear: use starttls or implicit, or set mail.allow_plain")
	}
	if (m.User == "") != (m.Password == "") {
		l.bad("mail.user", "mail.user and mail.password (or mail.password_file) belong together: give both or none")
	}
}

// publicURL checks an address by which others reach the server, and cuts a last slash off.
func (l *loader) publicURL(key string, value *string) {
	if *value == "" {
		return
	}
	u, err := url.Parse(*value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		l.bad(key, "%s %q: want a scheme and a host and nothing more, as in https://verify.example.com", key, *value)
	}
	*value = strings.TrimRight(*value, "/")
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
	for _, d := range t.Domains {
		switch {
		case t.Mode == TLSAuto && (!IsHostName(d) || net.ParseIP(d) != nil || !strings.Contains(d, ".") || strings.Contains(d, "_")):
			l.bad("tls.domains", "tls.domains %q: an authority wants whole names, as in verify.example.com: no address, no wildcard, others than Latin letters as xn--…", d)
		case !IsHostName(strings.TrimPrefix(d, "*.")) && net.ParseIP(d) == nil:
			l.bad("tls.domains", "tls.domains %q: want names or addresses alone, as in verify.example.com; others than Latin letters as xn--…", d)
		}
	}
	if t.Email != "" {
		if a, err := mail.ParseAddress(t.Email); err != nil || a.Address != t.Email {
			l.bad("tls.email", "tls.email: want an address alone, as in admin@example.com")
		}
	}
	if u, err := url.Parse(t.ACMEURL); t.ACMEURL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		l.bad("tls.acme_url", "tls.acme_url %q: want the address of an ACME directory, as in https://ca.example.com/acme/directory", t.ACMEURL)
	}
	if t.HTTPAddr != "" {
		l.address("tls.http_addr", t.HTTPAddr)
	}
}

// IsHostName says whether s is written as names of machines are, letters, digits, - and _
// in parts with dots between.
func IsHostName(s string) bool {
	if len(s) > 253 { // RFC 1035, 2.3.4, without the root
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > 63 || strings.HasPrefix(part, "-") || strings.HasSuffix(part, "-") || strings.ContainsFunc(part, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
		}) {
			return false
		}
	}
	return true
}

// checkApps relies on the core's own rules for one app and adds those between apps.
func (l *loader) checkApps(cfg *Config) {
	ids, keys, bearers := map[string]int{}, map[string]int{}, map[ekyc.Secret]int{}
	for i, a := range cfg.Apps {
		at := fmt.Sprintf("app.%d", i)
		l.badAll(at, a.Record(time.Time{}).Validate())
		if j, seen := ids[a.ID]; seen {
			l.bad(at+".id", "app id %q is declared twice, first as app number %d", a.ID, j+1)
		}
		if j, seen := keys[a.Key]; seen && a.Key != "" {
			l.bad(at+".key", "app %s has the same API key as app number %d", a.ID, j+1)
		}
		if j, seen := bearers[a.BearerKey]; seen && a.BearerKey != "" {
			l.bad(at+".bearer_key", "app %s has the same bearer key as app number %d", a.ID, j+1)
		}
		ids[a.ID], keys[a.Key], bearers[a.BearerKey] = i, i, i
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
		for _, name := range p.Sources {
			l.knownSource(cfg, at+".sources", name)
		}
		if !slices.ContainsFunc(cfg.Apps, func(a App) bool { return a.ID == p.App }) {
			l.bad(at+".app", "plan %s belongs to app %q, which is not declared here as an [[app]]", p.ID, p.App)
		}
	}
}

// checkSources checks each source alone, and that names mean one.
func (l *loader) checkSources(cfg *Config) {
	for i, x := range cfg.Sources {
		at := fmt.Sprintf("source.%d", i)
		bad := func(key, format string, args ...any) { l.bad(at+"."+key, "source "+x.Name+": "+format, args...) }
		switch {
		case !ekyc.SourceName(x.Name):
			bad("name", "name: want 1 to 32 lower-case letters, digits and hyphens")
		case x.Name == RegistrySource:
			bad("name", "name: that is the local registry's")
		case slices.ContainsFunc(cfg.Sources[:i], func(o Source) bool { return o.Name == x.Name }):
			bad("name", "the name is declared twice")
		}
		http := x.Kind == "http"
		if !slices.Contains(SourceKinds, x.Kind) {
			bad("kind", "kind %q: want %s", x.Kind, strings.Join(SourceKinds, ", "))
		}
		if u, err := url.Parse(x.Address); x.Address == "" && http || x.Address != "" &&
			(err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.User != nil || !http && u.Path != "") {
			bad("address", "address: want a scheme and a host, as in https://people.example.com; kind http may have a path")
		}
		if !http && x.Key == "" {
			bad("key", "key or key_file: the vendor gives an API key")
		}
		if strings.HasPrefix(x.Kind, "baidu-") && x.Secret == "" {
			bad("secret", "secret or secret_file: the vendor gives a secret key")
		}
		if x.Cost < 0 || x.Cost > 1e6 {
			bad("cost", "cost %v: want what a call costs, 0 or more", x.Cost)
		}
		if d := time.Duration(x.Timeout); d != 0 && (d < 100*time.Millisecond || d > 30*time.Second) {
			bad("timeout", "timeout %v: want 100ms to 30s; an attempt has 45s for everything", d)
		}
		if http == (len(x.Answers) == 0) {
			bad("answers", "answers: what an http source can be asked, and no other kind has: %s", strings.Join(SourceAnswers, ", "))
		}
		for _, a := range x.Answers {
			if !slices.Contains(SourceAnswers, a) {
				bad("answers", "answers %q: want %s", a, strings.Join(SourceAnswers, ", "))
			}
		}
	}
	for _, name := range cfg.SourceOrder {
		l.knownSource(cfg, "sources", name)
	}
}

func (l *loader) knownSource(cfg *Config, at, name string) {
	if !cfg.Knows(name) {
		l.bad(at, "there is no source %q; it is registry or the name of a [[source]]", name)
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
	if f := ekyc.FieldErrors(err); len(f) == 1 && f[0].Field != "" {
		at = join(at, f[0].Field) // its line, where it stands in the file, else the table's
	}
	l.bad(at, "%v", err)
}
