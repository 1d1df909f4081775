package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shiren/internal/ekyc"
)

const fullApp = `
[limits]
trusted_proxies = ["10.0.0.0/8", "::1"]
[[app]]
id = "1"
key = "bankbankbank"
secret = "secretsecret"
bearer_key_file = "FILE"
quota = { elements = 5 }
total = 1000
address_per_second = 1
address_per_day = 2
address_total = 3
expires_at = 2027-01-01
review_by = 2026-12-01T12:00:00+08:00
allow = ["192.0.2.0/24"]
deny = ["192.0.2.7"]
test = true
test_total = 9
`

// Every setting of an app reaches the core.
func TestEverySettingOfAnApp(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse("c.toml", []byte(strings.ReplaceAll(fullApp, "FILE", file)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.Apps[0].Record(time.Unix(1, 0))
	want := ekyc.App{
		ID: "1", Key: "bankbankbank", Secret: "secretsecret", Created: time.Unix(1, 0), Quota: map[ekyc.ChargeKind]int64{ekyc.ChargeElements: 5},
		Total: 1000, PerAddress: ekyc.Limits{PerSecond: 1, PerDay: 2, Total: 3}, Bearer: "0123456789abcdef0123456789abcdef",
		Expires: time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC), ReviewBy: time.Date(2026, 12, 1, 4, 0, 0, 0, time.UTC),
		Allow: []string{"192.0.2.0/24"}, Deny: []string{"192.0.2.7"}, Test: true, TestTotal: 9,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("app (-want +got):\n%s", diff)
	}
	if p := cfg.Proxies(); len(p) != 2 || p[0].String() != "10.0.0.0/8" || p[1].String() != "::1/128" {
		t.Errorf("proxies: %v", p)
	}
}

func TestMistakesInAnApp(t *testing.T) {
	t.Parallel()
	text := `
[limits]
trusted_proxies = ["ten"]
[[app]]
id = "1"
key = "bankbankbank"
secret = "secretsecret"
bearer_key = "tooshort"
total = -1
address_per_day = -2
test_total = -3
expires_at = "soon"
review_by = 7
allow = ["192.0.2.0/33"]
[[app]]
id = "2"
key = "shopshopshop"
secret = "secretsecret"
bearer_key = "0123456789abcdef0123456789abcdef"
[[app]]
id = "3"
key = "deskdeskdesk"
secret = "secretsecret"
bearer_key = "0123456789abcdef0123456789abcdef"
`
	_, err := Parse("c.toml", []byte(text), nil, nil)
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, want := range []string{
		`limits.trusted_proxies "ten": want an address or a range`, "bearer key: want 24 to 64", "calls in all: want 0", "calls a day of one address: want 0",
		"calls in test mode: want 0", "c.toml:12: app.expires_at: want a date or a moment", "app.review_by: want a date or a moment",
		`address "192.0.2.0/33"`, "app 3 has the same bearer key as app number 2",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the mistakes:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "0123456789abcdef") || strings.Contains(err.Error(), "tooshort") {
		t.Errorf("a key is repeated:\n%v", err)
	}
}

func TestParseMoment(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "0001-01-01T00:00:00Z", "2027-01-01": "2026-12-31T16:00:00Z", "2027-01-01T00:00:00+08:00": "2026-12-31T16:00:00Z", "tomorrow": "",
	} {
		m, err := ParseMoment(in)
		if got := m.Format(time.RFC3339); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: got %s, %v, want %s", in, got, err, want)
		}
	}
}
