// Package config reads shiren.toml: one file in which everything has a default, with
// SHIREN_… variables and command-line flags above it.
//
//  1. Load starts from Default.
//  2. The file is read; a key that does not exist is a mistake, never ignored.
//  3. Variables override: the key's path in capitals, joined by underscores, after
//     SHIREN_: tls.mode is SHIREN_TLS_MODE, listen is SHIREN_LISTEN. A variable that
//     names no key is a mistake.
//  4. Flags override both.
//  5. Values are checked together, and all mistakes are reported at once, each with
//     the line, variable or flag that it stands in.
//
// It opens no database and starts nothing; it reads the file, and the files that
// secrets are kept in.
package config

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"shiren/internal/ekyc"
)

// Duration is a time span written as in "90s", "10m" or "1h30m".
type Duration time.Duration

// Moment is a time as TOML writes it: 2027-01-01T00:00:00+08:00, or a date, which begins at
// midnight in Beijing. The zero value is none.
type Moment struct{ time.Time }

// Size is a number of bytes written as in "512KiB", "24MiB" or "1048576".
type Size int64

// Config is everything that an operator may choose.
type Config struct {
	// Listen is host:port. Empty follows TLS.Mode: 127.0.0.1:8080 without TLS, since
	// secrets must not cross a network in the clear; :8443 with a self-signed or given
	// certificate; :443 with an automatic one.
	Listen string `toml:"listen"`
	// PublicURL is how clients and phones reach the server, when that differs from what
	// it listens on: scheme and host, no path.
	PublicURL string `toml:"public_url"`
	// FrameAncestors are the sites that may embed the capture page, as sources of a content
	// security policy. Empty is all: relying parties' pages and apps are not known here, and
	// an embedder can do nothing without a token.
	FrameAncestors []string `toml:"frame_ancestors"`
	// Data is the folder of the database, evidence, master key, models and certificates.
	Data string `toml:"data"`
	// Demo allows the demo app. It is made only while no app is declared here.
	Demo      bool      `toml:"demo"`
	TLS       TLS       `toml:"tls"`
	Store     Store     `toml:"store"`
	Seal      Seal      `toml:"seal"`
	Models    Models    `toml:"models"`
	Retention Retention `toml:"retention"`
	Limits    Limits    `toml:"limits"`
	Log       Log       `toml:"log"`
	Registry  Registry  `toml:"registry"`
	Huawei    Huawei    `toml:"huawei"`
	Metrics   Metrics   `toml:"metrics"`
	Mail      Mail      `toml:"mail"`
	Alarms    Alarms    `toml:"alarms"`
	Console   Console   `toml:"console"`
	// SourceOrder is who is asked about people, in order, for plans that do not say and for
	// direct calls; empty is the registry alone.
	SourceOrder []string `toml:"sources"`
	Sources     []Source `toml:"source"`
	Apps        []App    `toml:"app"`
	Plans       []Plan   `toml:"plan"`
}

// TLS modes.
const (
	TLSOff        = "off"
	TLSSelfSigned = "self-signed" // made once, kept under Data
	TLSAuto       = "auto"        // from an ACME authority
	TLSFiles      = "files"       // from CertFile and KeyFile
)

// TLS says how connections are secured. Phones give no camera without it.
type TLS struct {
	Mode     string   `toml:"mode"`
	Domains  []string `toml:"domains"` // auto: all names served; self-signed: names and addresses besides this machine's own
	CertFile string   `toml:"cert_file"`
	KeyFile  string   `toml:"key_file"`
	Email    string   `toml:"email"`    // auto: where the authority may write to
	ACMEURL  string   `toml:"acme_url"` // auto: another authority's directory; empty is Let's Encrypt
	// ACMECAFile holds authorities, PEM, that ACMEURL is trusted by, beside the system's.
	ACMECAFile string `toml:"acme_ca_file"`
	HTTPAddr   string `toml:"http_addr"` // auto: answers challenges and redirects to HTTPS; empty is off
}

// Store names the sessions' database.
type Store struct {
	// DSN is sqlite:PATH or postgres://…; empty is shiren.db under Data.
	DSN string `toml:"dsn"`
	// DSNFile holds the DSN instead, when it has a password in it.
	DSNFile string `toml:"dsn_file"`
}

// Seal names the key that wraps all data keys.
type Seal struct {
	// KeyFile is the master key's file, made with mode 0600 when absent; empty is
	// master.key under Data.
	KeyFile string `toml:"key_file"`
}

// Models says which networks run.
type Models struct {
	Dir         string `toml:"dir"`         // empty is models under Data
	Manifest    string `toml:"manifest"`    // a manifest of one's own; empty is the built-in one
	Calibration string `toml:"calibration"` // a table's name in the manifest; empty is the manifest's default
	// Parallel is how many networks run at once; 0 is the number of CPUs.
	Parallel int `toml:"parallel"`
}

// Retention says how often what is due is erased. How long things are kept is part of
// the protocol and cannot be chosen (ekyc.ResultKept, ekyc.MediaKept).
type Retention struct {
	PurgeInterval Duration `toml:"purge_interval"`
}

// Limits bound what clients can make the server do.
type Limits struct {
	Captures        int      `toml:"captures"` // live captures at once
	Body            Size     `toml:"body"`     // bytes of one request body
	HeaderTimeout   Duration `toml:"header_timeout"`
	ReadTimeout     Duration `toml:"read_timeout"`
	WriteTimeout    Duration `toml:"write_timeout"`
	IdleTimeout     Duration `toml:"idle_timeout"`
	ShutdownTimeout Duration `toml:"shutdown_timeout"` // for requests under way when the server stops
	// TrustedProxies are the addresses whose X-Forwarded-For is believed; empty means that
	// the client is whoever made the connection.
	TrustedProxies []string `toml:"trusted_proxies"`
}

// Log says what is written to standard error.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn or error
	Format string `toml:"format"` // text or json
}

// Registry says what the local registry keeps.
type Registry struct {
	// EmbeddingOnly keeps the embeddings of portraits that come in, and no images. A new
	// embedding model then means that everybody must be enrolled again.
	EmbeddingOnly bool `toml:"embedding_only"`
}

// RegistrySource is the name by which plans ask the local registry.
const RegistrySource = "registry"

// SourceKinds are the kinds of a Source.
var SourceKinds = []string{"baidu-v4", "baidu-v3", "baidu-v4-match", "juhe", "juhe-face", "juhe-mobile", "http"}

// SourceAnswers are what a source of kind http can be asked.
var SourceAnswers = []string{"identity", "portrait", "face", "mobile"}

// Source declares an upstream source, which plans ask by its name. See docs/sources.md.
type Source struct {
	Name       string      `toml:"name"`
	Kind       string      `toml:"kind"`
	Address    string      `toml:"address"` // empty is the vendor's own
	Key        string      `toml:"key"`     // API key
	KeyFile    string      `toml:"key_file"`
	Secret     ekyc.Secret `toml:"secret"` // secret key, or bearer token
	SecretFile string      `toml:"secret_file"`
	Cost       float64     `toml:"cost"` // of a charged call, in any currency
	Timeout    Duration    `toml:"timeout"`
	Answers    []string    `toml:"answers"` // kind http
}

// Knows reports whether plans may name a source.
func (c Config) Knows(source string) bool {
	return source == RegistrySource || slices.ContainsFunc(c.Sources, func(x Source) bool { return x.Name == source })
}

// Order is SourceOrder, or the registry alone.
func (c Config) Order() []string {
	if len(c.SourceOrder) == 0 {
		return []string{RegistrySource}
	}
	return c.SourceOrder
}

// Huawei holds what the Huawei protocol leaves to the server.
type Huawei struct {
	// Window is how far PayDevAuth.time may lie from the server's clock, to either side.
	Window Duration `toml:"window"`
}

// Metrics says where figures can be read.
type Metrics struct {
	// Address is host:port of a listener of its own, in the clear and without a password,
	// which answers /metrics for Prometheus; empty is off.
	Address string `toml:"address"`
}

// Ways to keep a connection to a mail server from others.
const (
	MailStartTLS = "starttls" // and no mail without it
	MailImplicit = "implicit" // TLS from the first byte
	MailPlain    = "none"
)

// Mail names the SMTP server that alarms' mails leave by.
type Mail struct {
	Host string `toml:"host"` // empty: no mail
	Port int    `toml:"port"` // 0 follows TLS: 587, 465 or 25
	TLS  string `toml:"tls"`
	// User and Password sign in; without a user nobody does.
	User         string      `toml:"user"`
	Password     ekyc.Secret `toml:"password"`
	PasswordFile string      `toml:"password_file"`
	From         string      `toml:"from"`    // an address, or a name with one in angle brackets
	CAFile       string      `toml:"ca_file"` // authorities that are trusted beside the system's, PEM
	// AllowPlain permits TLS "none" to another machine: whoever is between can read and change mails.
	AllowPlain bool `toml:"allow_plain"`
}

// MailPort is Port, or what TLS makes of its absence (RFC 8314, 3.3; RFC 6409, 3.1; RFC 5321, 4.5.4.2).
func (m Mail) MailPort() int {
	switch {
	case m.Port != 0:
		return m.Port
	case m.TLS == MailImplicit:
		return 465
	case m.TLS == MailPlain:
		return 25
	}
	return 587
}

// Alarms says where alarms' webhooks may go.
type Alarms struct {
	// WebhookAllow are addresses and ranges of this machine or private networks that webhooks may
	// reach. Public addresses may always be reached.
	WebhookAllow []string `toml:"webhook_allow"`
	// WebhookHTTP permits webhooks without TLS.
	WebhookHTTP bool `toml:"webhook_http"`
}

// HookRanges are WebhookAllow, which check has found readable.
func (a Alarms) HookRanges() (list []netip.Prefix) {
	for _, s := range a.WebhookAllow {
		if p, err := ekyc.ParsePrefix(s); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// Console says who reaches the operators' page, and where.
type Console struct {
	Enabled bool `toml:"enabled"`
	// Address is host:port of a listener of its own, secured as the main one; empty serves
	// the console beside everything else.
	Address string `toml:"address"`
	// PublicURL is how browsers reach the console, when that is not the server's public_url.
	PublicURL string `toml:"public_url"`
	// Allow are the addresses and ranges that reach it; empty means all.
	Allow []string `toml:"allow"`
}

// App declares a relying party's app with fixed credentials.
type App struct {
	ID         string           `toml:"id"`
	Name       string           `toml:"name"`
	Key        string           `toml:"key"`
	Secret     ekyc.Secret      `toml:"secret"`
	SecretFile string           `toml:"secret_file"`
	Disabled   bool             `toml:"disabled"`
	Quota      map[string]int64 `toml:"quota"` // by charge: verify, match, live, ocr, elements
	PerSecond  int64            `toml:"per_second"`
	PerDay     int64            `toml:"per_day"`

	Total            int64  `toml:"total"` // calls ever
	AddressPerSecond int64  `toml:"address_per_second"`
	AddressPerDay    int64  `toml:"address_per_day"`
	AddressTotal     int64  `toml:"address_total"`
	ExpiresAt        Moment `toml:"expires_at"`
	ReviewBy         Moment `toml:"review_by"` // refused from then on; left out means reviewed
	// BearerKey admits alone (Juhe); BearerKeyFile holds it instead.
	BearerKey     ekyc.Secret `toml:"bearer_key"`
	BearerKeyFile string      `toml:"bearer_key_file"`
	Allow         []string    `toml:"allow"` // addresses and ranges that may call; empty means all
	Deny          []string    `toml:"deny"`
	Test          bool        `toml:"test"`
	TestTotal     int64       `toml:"test_total"` // calls ever in test mode
	// PerSubjectDay bounds the verifications of one openId a day; 0 is ekyc.SubjectPerDay.
	PerSubjectDay int64 `toml:"per_subject_day"`
}

// Plan declares a plan with a fixed id.
type Plan struct {
	ID            string  `toml:"id"`
	App           string  `toml:"app"`
	Name          string  `toml:"name"`
	Title         string  `toml:"title"`
	HideTitle     bool    `toml:"hide_title"`
	Comparison    string  `toml:"comparison"`
	Identity      string  `toml:"identity"`
	Liveness      string  `toml:"liveness"`
	LivenessLevel string  `toml:"liveness_level"`
	QualityLevel  string  `toml:"quality_level"`
	MatchAt       float64 `toml:"match_at"`
	EndsOnFailure bool    `toml:"ends_on_failure"`
	KeepMedia     bool    `toml:"keep_media"`
	// Fallback is the recorded kind for browsers without a live camera; Alternative the
	// real-time kind that a capture subject may choose instead; empty allows none.
	Fallback    string   `toml:"fallback"`
	Alternative string   `toml:"alternative"`
	Actions     []string `toml:"actions"`  // that action kinds draw from; empty means all
	Spoofing    bool     `toml:"spoofing"` // 合成图
	Risk        bool     `toml:"risk"`     // 安全风控
	// With identity "document": read 国徽面 too; refuse copies (身份证风控).
	DocumentBack bool    `toml:"document_back"`
	DocumentRisk bool    `toml:"document_risk"`
	Consent      Consent `toml:"consent"`
	// Sources is who is asked, in order, and NextOn what makes the next one be asked:
	// no_record, failed; empty is the configuration's order, and both.
	Sources []string `toml:"sources"`
	NextOn  []string `toml:"next_on"`
}

// Consent replaces the built-in authorisation text.
type Consent struct {
	Version string            `toml:"version"`
	Text    map[string]string `toml:"text"` // by language: zh-CN, en
}

// Default is the configuration of an empty file. Its limits are our choice: the body
// holds two images of 10 MB in base64, the time-outs let one through at 1 Mbit/s.
func Default() Config {
	return Config{
		Data:      "data",
		Demo:      true,
		TLS:       TLS{Mode: TLSOff},
		Retention: Retention{PurgeInterval: Duration(10 * time.Minute)},
		Limits: Limits{
			Captures:        64,
			Body:            24 << 20,
			HeaderTimeout:   Duration(10 * time.Second),
			ReadTimeout:     Duration(3 * time.Minute),
			WriteTimeout:    Duration(4 * time.Minute),
			IdleTimeout:     Duration(2 * time.Minute),
			ShutdownTimeout: Duration(10 * time.Second),
		},
		Log:    Log{Level: "info", Format: "text"},
		Huawei: Huawei{Window: Duration(5 * time.Minute)},
		Mail:   Mail{TLS: MailStartTLS},

		Console: Console{Enabled: true},
	}
}

// DefaultPlan holds the settings that a declared plan starts from. The vendor's console
// recommends normal liveness, low quality and a similarity of 80; it keeps no media
// unless asked to.
func DefaultPlan() Plan {
	return Plan{
		Comparison:    string(ekyc.CompareNone),
		Identity:      string(ekyc.IdentityNone),
		Liveness:      string(ekyc.LivenessSilent),
		LivenessLevel: string(ekyc.LevelNormal),
		QualityLevel:  string(ekyc.LevelLow),
		MatchAt:       0.8,
	}
}

// Address is where the server listens: Listen, or what TLS.Mode makes of its absence.
func (c Config) Address() string {
	if c.Listen != "" {
		return c.Listen
	}
	switch c.TLS.Mode {
	case TLSSelfSigned, TLSFiles:
		return ":8443"
	case TLSAuto:
		return ":443"
	}
	return "127.0.0.1:8080"
}

// StoreDSN is the database's name: Store.DSN, or shiren.db under Data.
func (c Config) StoreDSN() string {
	return cmp.Or(c.Store.DSN, "sqlite:"+filepath.Join(c.Data, "shiren.db"))
}

// MasterKeyFile is Seal.KeyFile, or master.key under Data.
func (c Config) MasterKeyFile() string {
	return cmp.Or(c.Seal.KeyFile, filepath.Join(c.Data, "master.key"))
}

// ModelsDir is Models.Dir, or models under Data.
func (c Config) ModelsDir() string { return cmp.Or(c.Models.Dir, filepath.Join(c.Data, "models")) }

// EvidenceDir holds the sealed images.
func (c Config) EvidenceDir() string { return filepath.Join(c.Data, "evidence") }

// TLSDir holds certificates that the server made or was given by an ACME authority.
func (c Config) TLSDir() string { return filepath.Join(c.Data, "tls") }

// Proxies are Limits.TrustedProxies, which check has found readable.
func (c Config) Proxies() (list []netip.Prefix) {
	for _, s := range c.Limits.TrustedProxies {
		if p, err := ekyc.ParsePrefix(s); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// Allowed are the ranges of Allow, which check has found readable.
func (c Console) Allowed() (list []netip.Prefix) {
	for _, s := range c.Allow {
		if p, err := ekyc.ParsePrefix(s); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// ConsoleURL is how browsers reach the console, as far as the configuration says.
func (c Config) ConsoleURL() string {
	if c.Console.Address != "" {
		return c.Console.PublicURL
	}
	return cmp.Or(c.Console.PublicURL, c.PublicURL)
}

// WantsDemo reports whether the demo app is to be offered.
func (c Config) WantsDemo() bool { return c.Demo && len(c.Apps) == 0 }

// Record is the app as the core knows it.
func (a App) Record(created time.Time) ekyc.App {
	r := ekyc.App{
		ID: ekyc.AppID(a.ID), Name: a.Name, Key: a.Key, Secret: a.Secret, Disabled: a.Disabled, Created: created,
		PerSecond: a.PerSecond, PerDay: a.PerDay, PerSubjectDay: a.PerSubjectDay,
		Total: a.Total, PerAddress: ekyc.Limits{PerSecond: a.AddressPerSecond, PerDay: a.AddressPerDay, Total: a.AddressTotal},
		Bearer: a.BearerKey, Expires: a.ExpiresAt.UTC(), ReviewBy: a.ReviewBy.UTC(), Allow: a.Allow, Deny: a.Deny,
		Test: a.Test, TestTotal: a.TestTotal,
	}
	for kind, n := range a.Quota {
		if r.Quota == nil {
			r.Quota = map[ekyc.ChargeKind]int64{}
		}
		r.Quota[ekyc.ChargeKind(kind)] = n
	}
	return r
}

// Record is the plan as the core knows it, with the built-in authorisation text where
// none is given.
func (p Plan) Record(created time.Time) ekyc.Plan {
	consent := DefaultConsent()
	if p.Identity == string(ekyc.IdentityDocument) {
		consent = DocumentConsent()
	}
	if p.Consent.Version != "" || len(p.Consent.Text) > 0 {
		consent = ekyc.Consent{Version: p.Consent.Version, Text: p.Consent.Text}
	}
	var actions []ekyc.Action
	for _, a := range p.Actions {
		actions = append(actions, ekyc.Action(a))
	}
	var next []ekyc.Outcome
	for _, o := range p.NextOn {
		next = append(next, ekyc.Outcome(o))
	}
	return ekyc.Plan{
		ID: ekyc.PlanID(p.ID), App: ekyc.AppID(p.App), Name: p.Name, Title: p.Title, HideTitle: p.HideTitle,
		Comparison: ekyc.ComparisonSource(p.Comparison), Identity: ekyc.IdentityInput(p.Identity),
		Liveness: ekyc.LivenessKind(p.Liveness), LivenessLevel: ekyc.Level(p.LivenessLevel), QualityLevel: ekyc.Level(p.QualityLevel),
		MatchAt: ekyc.Score(p.MatchAt), EndsOnFailure: p.EndsOnFailure, KeepMedia: p.KeepMedia,
		Fallback: ekyc.LivenessKind(p.Fallback), Alternative: ekyc.LivenessKind(p.Alternative), Actions: actions,
		Spoofing: p.Spoofing, Risk: p.Risk, DocumentBack: p.DocumentBack, DocumentRisk: p.DocumentRisk, Sources: p.Sources, NextOn: next,
		Consent: consent, Created: created,
	}
}
