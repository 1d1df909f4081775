package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMail(t *testing.T) {
	t.Parallel()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := `
[mail]
host = "smtp.example.com"
user = "shiren"
password_file = "` + password + `"
from = "实人 <shiren@example.com>"
[alarms]
webhook_allow = ["10.1.2.0/24", "127.0.0.1"]
`
	c, err := Parse("shiren.toml", []byte(good), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Mail.Password != "correct horse" || c.Mail.MailPort() != 587 || c.Mail.TLS != MailStartTLS {
		t.Errorf("port %d, tls %s, password of %d characters", c.Mail.MailPort(), c.Mail.TLS, len(c.Mail.Password))
	}
	if r := c.Alarms.HookRanges(); len(r) != 2 || r[0].String() != "10.1.2.0/24" || r[1].String() != "127.0.0.1/32" {
		t.Errorf("ranges %v", r)
	}
	for tls, port := range map[string]int{MailStartTLS: 587, MailImplicit: 465, MailPlain: 25} {
		if got := (Mail{TLS: tls}).MailPort(); got != port {
			t.Errorf("the port of %s is %d, want %d", tls, got, port)
		}
	}
	if got := (Mail{TLS: MailImplicit, Port: 2465}).MailPort(); got != 2465 {
		t.Errorf("a port that is given is %d", got)
	}

	for _, c := range []struct {
		name, text string
		where      []string // of the mistakes, as "line what it begins with"
	}{
		{"nothing at all", "", nil},
		{"a sender without a server", "[mail]\nfrom = \"a@example.com\"\n", []string{"2 mail.from"}},
		{"a server without a sender", "[mail]\nhost = \"smtp.example.com\"\n", []string{"1 mail.from"}},
		{"two senders", "[mail]\nhost = \"h\"\nfrom = \"a@example.com, b@example.com\"\n", []string{"3 mail.from"}},
		{"a header in the sender", "[mail]\nhost = \"h\"\nfrom = \"a@example.com\\r\\nBcc: b@example.com\"\n", []string{"3 mail.from"}},
		{"a port in the name", "[mail]\nhost = \"smtp.example.com:587\"\nfrom = \"a@example.com\"\n", []string{"2 mail.host"}},
		{"a wrong port", "[mail]\nhost = \"h\"\nport = 70000\nfrom = \"a@example.com\"\n", []string{"3 mail.port"}},
		{"a wrong way", "[mail]\nhost = \"h\"\ntls = \"ssl\"\nfrom = \"a@example.com\"\n", []string{"3 mail.tls"}},
		{"plain to another machine", "[mail]\nhost = \"h\"\ntls = \"none\"\nfrom = \"a@example.com\"\n", []string{"3 mail.tls"}},
		{"plain to another machine, allowed", "[mail]\nhost = \"h\"\ntls = \"none\"\nallow_plain = true\nfrom = \"a@example.com\"\n", nil},
		{"a password in the clear", "[mail]\nhost = \"h\"\ntls = \"none\"\nallow_plain = true\nuser = \"u\"\npassword = \"p4ssw0rd\"\nfrom = \"a@example.com\"\n", []string{"3 mail.tls"}},
		{"plain to this machine", "[mail]\nhost = \"127.0.0.1\"\ntls = \"none\"\nuser = \"u\"\npassword = \"p\"\nfrom = \"a@example.com\"\n", nil},
		{"a user without a password", "[mail]\nhost = \"h\"\nuser = \"u\"\nfrom = \"a@example.com\"\n", []string{"3 mail.user"}},
		{"several at once", "[mail]\nhost = \"h/\"\nport = -1\ntls = \"x\"\n[alarms]\nwebhook_allow = [\"everywhere\"]\n", []string{"1 mail.from", "2 mail.host", "3 mail.port", "4 mail.tls", "6 alarms.webhook_allow"}},
	} {
		_, err := Parse("shiren.toml", []byte(c.text), nil, nil)
		var got Mistakes
		if err != nil && !errors.As(err, &got) {
			t.Fatal(err)
		}
		if len(got) != len(c.where) {
			t.Errorf("%s: %v, want %d mistakes", c.name, err, len(c.where))
			continue
		}
		for i, m := range got {
			line, what, _ := strings.Cut(c.where[i], " ")
			if m.Where != "shiren.toml:"+line || !strings.HasPrefix(m.What, what) {
				t.Errorf("%s: mistake %q, want one of %s in line %s", c.name, m, what, line)
			}
			if strings.Contains(m.What, "p4ssw0rd") {
				t.Errorf("%s: a mistake tells the password", c.name)
			}
		}
	}
}
