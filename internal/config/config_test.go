package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shiren/internal/ekyc"
)

func TestEmptyFileIsDefault(t *testing.T) {
	t.Parallel()
	got, err := Parse("shiren.toml", nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("empty file (-want +got):\n%s", diff)
	}
	if got.Address() != "127.0.0.1:8080" || !got.WantsDemo() || got.StoreDSN() != "sqlite:"+filepath.Join("data", "shiren.db") {
		t.Errorf("defaults: address %s, demo %v, store %s", got.Address(), got.WantsDemo(), got.StoreDSN())
	}
}

const whole = `
listen = "0.0.0.0:9000"
public_url = "https://verify.example.com/"
demo = false

[tls]
mode = "auto"
domains = ["verify.example.com"]

[retention]
purge_interval = "1m30s"

[limits]
body = "16MiB"
captures = 8

[[app]]
id = "1001"
name = "Bank"
key = "bankbankbank"
secret_file = "SECRET"
quota = { match = 100, verify = -1 }
per_second = 20

[[plan]]
id = "7"
app = "1001"
comparison = "uploaded"
ends_on_failure = true

[[plan]]
id = "8"
app = "1001"
comparison = "authority"
identity = "entered"
match_at = 0.85
liveness = "flash"
alternative = "action"
fallback = "recorded_action"
actions = ["blink", "mouth", "left"]
spoofing = true
risk = true
keep_media = true
[plan.consent]
version = "bank-3"
[plan.consent.text]
zh-CN = "同意"
en = "agree"

[[plan]]
id = "9"
app = "1001"
identity = "document"
document_back = true
document_risk = true
`

func TestWholeFile(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cr3ts3cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse("shiren.toml", []byte(strings.ReplaceAll(whole, "SECRET", secret)),
		[]string{"SHIREN_LISTEN=:7000", "SHIREN_LIMITS_CAPTURES=9", "SHIREN_TLS_DOMAINS=a.example.com, b.example.com", "PATH=/bin", "SHIREN_TEST_X=1", "SHIREN_CONFIG=x"},
		[]Flag{{Key: "listen", Name: "--listen", Value: ":6000"}})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != ":6000" || cfg.Limits.Captures != 9 || len(cfg.TLS.Domains) != 2 {
		t.Errorf("overrides: listen %q, captures %d, domains %q", cfg.Listen, cfg.Limits.Captures, cfg.TLS.Domains)
	}
	if cfg.Limits.Body != 16<<20 || time.Duration(cfg.Retention.PurgeInterval) != 90*time.Second || cfg.PublicURL != "https://verify.example.com" {
		t.Errorf("values: body %d, interval %v, url %q", cfg.Limits.Body, cfg.Retention.PurgeInterval, cfg.PublicURL)
	}
	app := cfg.Apps[0].Record(time.Unix(1, 0))
	want := ekyc.App{
		ID: "1001", Name: "Bank", Key: "bankbankbank", Secret: "s3cr3ts3cr3t", Created: time.Unix(1, 0),
		Quota: map[ekyc.ChargeKind]int64{ekyc.ChargeMatch: 100, ekyc.ChargeVerify: ekyc.Unlimited}, PerSecond: 20,
	}
	if diff := cmp.Diff(want, app); diff != "" {
		t.Errorf("app (-want +got):\n%s", diff)
	}
	a, b := cfg.Plans[0].Record(time.Unix(1, 0)), cfg.Plans[1].Record(time.Unix(1, 0))
	if !a.EndsOnFailure || a.MatchAt != 0.8 || a.LivenessLevel != ekyc.LevelNormal || a.Consent.Version != DefaultConsent().Version {
		t.Errorf("plan 7 lacks its own or the default settings: %+v", a)
	}
	if a.Liveness != ekyc.LivenessSilent || a.Fallback != "" || a.Alternative != "" || a.Actions != nil || a.Spoofing || a.Risk || a.KeepMedia {
		t.Errorf("plan 7 does more than the default: %+v", a)
	}
	if b.Liveness != ekyc.LivenessFlash || b.Alternative != ekyc.LivenessAction || b.Fallback != ekyc.RecordedAction ||
		!b.Spoofing || !b.Risk || !b.KeepMedia || !slices.Equal(b.Actions, []ekyc.Action{ekyc.Blink, ekyc.OpenMouth, ekyc.TurnLeft}) {
		t.Errorf("plan 8 lacks a setting of liveness: %+v", b)
	}
	if d := cfg.Plans[2].Record(time.Unix(1, 0)); d.Identity != ekyc.IdentityDocument || !d.DocumentBack || !d.DocumentRisk {
		t.Errorf("plan 9 lacks a setting of documents: %+v", d)
	} else if !strings.Contains(d.Consent.Text["zh-CN"], "身份证件照片") || !strings.Contains(d.Consent.Text["en"], "pictures of your identity document") ||
		d.Consent.Version == DefaultConsent().Version {
		t.Errorf("plan 9 does not say that documents are photographed: %+v", d.Consent)
	}
	if b.MatchAt != 0.85 || b.Identity != ekyc.IdentityEntered || b.Consent.Version != "bank-3" || b.Consent.Text["en"] != "agree" {
		t.Errorf("plan 8: %+v", b)
	}
}

func TestEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	text := `listen = "nowhere"
lisen = ":1"

[tls]
mode = "on"

[limits]
body = "lots"
captures = "many"
read_timeout = 5

[[app]]
id = "x"
key = "short"
secret = "hush-hush-hush"

[[plan]]
id = "1"
app = "2002"
match_at = 7.0
comparision = "none"
`
	_, err := Parse("c.toml", []byte(text), []string{"SHIREN_LOG_LEVEL=loud", "SHIREN_LSITEN=:1", "SHIREN_DEMO=perhaps", "SHIREN_METRICS_ADDRESS=9464"},
		[]Flag{{Key: "tls.http_addr", Name: "--http", Value: "80"}})
	var m Mistakes
	if !errors.As(err, &m) {
		t.Fatalf("error %v, want Mistakes", err)
	}
	got := err.Error()
	for _, want := range []string{
		`c.toml:1: listen "nowhere": want host:port`,
		`c.toml:2: there is no setting "lisen"; did you mean "listen"?`,
		`c.toml:5: tls.mode "on": want off, self-signed, auto or files`,
		`c.toml:8: limits.body: want a size`,
		`c.toml:9: limits.captures: want a whole number`,
		`c.toml:10: limits.read_timeout: want a time span`,
		`c.toml:13: app id "x": want 1 to 20 digits`,
		`c.toml:14: app x: API key: want 8 to 64 letters and digits`,
		`c.toml:15: app x: secret key: want 8 to 64 letters and digits`,
		`c.toml:20: plan 1: match threshold 7`,
		`c.toml:19: plan 1 belongs to app "2002"`,
		`c.toml:21: there is no setting "plan.comparision"; did you mean "comparison"?`,
		`SHIREN_LOG_LEVEL: log.level "loud"`,
		`SHIREN_LSITEN: no setting has this name; did you mean SHIREN_LISTEN?`,
		`SHIREN_DEMO: want true or false`,
		`--http: tls.http_addr "80": want host:port`,
		`SHIREN_METRICS_ADDRESS: metrics.address "9464": want host:port`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing from the report: %s", want)
		}
	}
	if len(m) != 17 {
		t.Errorf("got %d mistakes, want 17", len(m))
	}
	if strings.Contains(got, "hush") {
		t.Errorf("the report repeats a secret")
	}
	if t.Failed() {
		t.Logf("report:\n%s", got)
	}
}

func TestSyntaxErrorNamesItsLine(t *testing.T) {
	t.Parallel()
	_, err := Parse("c.toml", []byte("listen = \":1\"\ndemo = maybe\n"), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "c.toml:2") {
		t.Errorf("error %v, want one at c.toml:2", err)
	}
}

func TestMissingFiles(t *testing.T) {
	t.Parallel()
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml"), nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a named file that is absent: error %v, want one that says so", err)
	}
	_, err := Parse("c.toml", []byte("[[app]]\nid=\"1\"\nkey=\"keykeykey\"\nsecret_file=\"/nonexistent/secret\"\n"), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "c.toml:4: open /nonexistent/secret") {
		t.Errorf("absent secret file: %v", err)
	}
}

func TestEveryKeyCanBeSetByVariable(t *testing.T) {
	t.Parallel()
	for _, key := range Keys() {
		v := reflect.ValueOf(&Config{}).Elem()
		for part := range strings.SplitSeq(key, ".") {
			v = v.Field(fieldsOf(v.Type())[part])
		}
		text := "1"
		if v.Type() == reflect.TypeFor[Duration]() {
			text = "1s"
		}
		cfg := Config{}
		if err := setText(&cfg, key, text); err != nil {
			t.Errorf("%s=%s: %v", EnvName(key), text, err)
		}
		if reflect.DeepEqual(cfg, Config{}) {
			t.Errorf("%s=%s changed nothing", EnvName(key), text)
		}
	}
}

func TestExampleFileIsWhole(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../shiren.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	// What is commented out with "#key" must be true settings too.
	var lines []string
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") && strings.TrimSpace(rest) != "" {
			line = rest
		}
		lines = append(lines, line)
	}
	text := strings.Join(lines, "")
	_, err = Parse("shiren.example.toml", []byte(text), nil, nil)
	var m Mistakes
	if errors.As(err, &m) {
		for _, one := range m {
			// The example names files that are not there.
			if !strings.Contains(one.What, "no such file") && !strings.Contains(one.What, "secret key: want") {
				t.Error(one)
			}
		}
	}
	for _, key := range Keys() {
		name := key[strings.LastIndexByte(key, '.')+1:]
		if !strings.Contains(text, "\n"+name+" = ") {
			t.Errorf("the example does not show %s", key)
		}
	}
	if _, err := Parse("shiren.example.toml", b, nil, nil); err != nil {
		t.Errorf("the example as it stands: %v", err)
	}
}

func TestConsentHasBothLanguages(t *testing.T) {
	t.Parallel()
	c := DefaultConsent()
	for _, lang := range []string{"zh-CN", "en"} {
		if len(c.Text[lang]) < 200 {
			t.Errorf("consent in %s has %d bytes, want a whole text", lang, len(c.Text[lang]))
		}
	}
}

// FuzzParse holds the parser to: no panic, and no silent acceptance of a file that
// changes nothing it could mean.
func FuzzParse(f *testing.F) {
	f.Add(whole, "SHIREN_LISTEN=:1")
	f.Add("[[app]]\n[[app]]\n[app.quota]\nmatch = 1", "SHIREN_")
	f.Add("plan = [{id='1', consent={text={en='x'}}}]\na.b.c = 1", "SHIREN_X=\x00")
	f.Add("\"a\\u0062\" = 1\n[\"tls\"]\nmode='off'", "")
	f.Fuzz(func(t *testing.T, text, env string) {
		cfg, err := Parse("f.toml", []byte(text), []string{env}, nil)
		if err == nil {
			if cfg.Data == "" || cfg.Limits.Captures < 1 || cfg.Limits.Body < 1<<20 {
				t.Errorf("accepted a configuration that cannot work: %+v", cfg)
			}
			return
		}
		var m Mistakes
		if !errors.As(err, &m) || len(m) == 0 {
			t.Errorf("error %v (%T), want Mistakes with at least one", err, err)
		}
	})
}

func TestSources(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("  hush0001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	head := "sources = [\"registry\", \"baidu\"]\n"
	good := "[[source]]\nname = \"baidu\"\nkind = \"baidu-v4\"\nkey = \"k\"\nsecret_file = \"" + secret + "\"\ncost = 0.35\ntimeout = \"5s\"\n" +
		"[[source]]\nname = \"ours\"\nkind = \"http\"\naddress = \"https://people.example.com/v1\"\nanswers = [\"identity\", \"face\"]\n"
	c, err := Parse("f", []byte(head+good), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if x := c.Sources[0]; string(x.Secret) != "hush0001" || x.Cost != 0.35 || strings.Contains(fmt.Sprintf("%+v", x), "hush") {
		t.Errorf("got %+v; want the secret read, and masked", x)
	}
	if got := Default().Order(); len(got) != 1 || got[0] != RegistrySource {
		t.Errorf("order without a setting: %v, want the registry", got)
	}
	bad := `sources = ["nobody"]
[[source]]
name = "registry"
kind = "oracle"
key = "k"
[[source]]
name = "Big Name"
kind = "baidu-v4"
cost = -1
timeout = "1m"
[[source]]
name = "ours"
kind = "http"
address = "people.example.com"
[[source]]
name = "ours"
kind = "juhe-face"
key = "k"
answers = ["face"]
[[app]]
id = "100001"
key = "abcdefgh1234"
secret = "abcdefgh1234"
[[plan]]
id = "1"
app = "100001"
comparison = "authority"
identity = "entered"
sources = ["registry", "someone"]
next_on = ["match"]
`
	_, err = Parse("f", []byte(bad), nil, nil)
	var m Mistakes
	if !errors.As(err, &m) {
		t.Fatal(err)
	}
	for _, want := range []string{
		`f:1: there is no source "nobody"`, "f:3: source registry: name: that is the local registry's", `f:4: source registry: kind "oracle"`,
		"f:7: source Big Name: name: want 1 to 32", "source Big Name: key or key_file", "source Big Name: secret or secret_file", "f:9: source Big Name: cost -1",
		"f:10: source Big Name: timeout 1m0s", "f:14: source ours: address", "f:11: source ours: answers", "f:16: source ours: the name is declared twice",
		"f:19: source ours: answers", `f:29: there is no source "someone"`, `the next source is asked on "match"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no mistake %q in\n%v", want, err)
		}
	}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("c.toml", []byte("public_url = \"https://verify.example.com/\"\n"), nil, nil)
	if err != nil || !cfg.Console.Enabled || cfg.Console.Allowed() != nil || cfg.ConsoleURL() != "https://verify.example.com" {
		t.Errorf("an empty section: %+v, %q, %v", cfg.Console, cfg.ConsoleURL(), err)
	}
	cfg, err = Parse("c.toml", []byte("public_url = \"https://verify.example.com\"\n[console]\naddress = \":9443\"\nallow = [\"10.0.0.0/8\", \"192.0.2.7\"]\n"), nil, nil)
	if err != nil || len(cfg.Console.Allowed()) != 2 || cfg.ConsoleURL() != "" {
		t.Errorf("a listener of its own: %+v, %q, %v", cfg.Console.Allowed(), cfg.ConsoleURL(), err)
	}
	cfg, err = Parse("c.toml", nil, []string{"SHIREN_CONSOLE_PUBLIC_URL=https://desk.example.com", "SHIREN_CONSOLE_ENABLED=false"}, nil)
	if err != nil || cfg.Console.Enabled || cfg.ConsoleURL() != "https://desk.example.com" {
		t.Errorf("variables: %+v, %v", cfg.Console, err)
	}
	_, err = Parse("c.toml", []byte("[console]\naddress = \"9443\"\npublic_url = \"desk\"\nallow = [\"everybody\"]\n"), nil, nil)
	for _, want := range []string{`console.address "9443": want host:port`, `console.public_url "desk": want a scheme`, `console.allow "everybody": want an address`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("missing from the report: %s; got %v", want, err)
		}
	}
}
