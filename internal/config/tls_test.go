package config

import (
	"strings"
	"testing"
)

func TestTLSNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode, names string
		fine        bool
	}{
		{"auto", "verify.example.com", true},
		{"auto", "Verify.Example.com", true},
		{"auto", "xn--fiq228c.example", true},
		{"auto", "a.example.com, b.example.com", true},
		{"auto", "localhost", false},
		{"auto", "192.0.2.7", false},
		{"auto", "2001:db8::7", false},
		{"auto", "*.example.com", false},
		{"auto", "https://verify.example.com", false},
		{"auto", "verify.example.com:443", false},
		{"auto", "verify.example.com.", false},
		{"auto", "verify_1.example.com", false},
		{"auto", "中国.example", false},
		{"auto", "-a.example.com", false},
		{"auto", strings.Repeat("a", 64) + ".example.com", false},
		{"auto", strings.Repeat("a.", 126) + "example", false},
		{"self-signed", "shiren", true},
		{"self-signed", "192.0.2.7, 2001:db8::7, *.lan, my_host", true},
		{"self-signed", "192.0.2.7:8443", false},
		{"self-signed", "a..b", false},
		{"self-signed", "电脑", false},
		{"self-signed", "a b", false},
	} {
		_, err := Parse("c.toml", nil, []string{"SHIREN_TLS_MODE=" + tt.mode, "SHIREN_TLS_DOMAINS=" + tt.names}, nil)
		switch {
		case tt.fine && err != nil:
			t.Errorf("%s, %s: %v", tt.mode, tt.names, err)
		case !tt.fine && (err == nil || !strings.Contains(err.Error(), "SHIREN_TLS_DOMAINS: tls.domains ")):
			t.Errorf("%s, %s: %v, want words about tls.domains", tt.mode, tt.names, err)
		}
	}
}

func TestTLSAuthority(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`acme_url = "https://ca.example.com:9000/acme/acme/directory"`: "",
		`acme_url = "http://ca.example.com/directory"`:                 "c.toml:4: tls.acme_url",
		`acme_url = "ca.example.com"`:                                  "c.toml:4: tls.acme_url",
		`acme_url = "https://user:password@ca.example.com/directory"`:  "c.toml:4: tls.acme_url",
		`email = "admin@example.com"`:                                  "",
		`email = "admin"`:                                              "c.toml:4: tls.email",
		`email = "Admin <admin@example.com>"`:                          "c.toml:4: tls.email",
		`acme_ca_file = "/etc/ssl/our-root.pem"`:                       "",
	} {
		_, err := Parse("c.toml", []byte("[tls]\nmode = \"auto\"\ndomains = [\"verify.example.com\"]\n"+text+"\n"), nil, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
