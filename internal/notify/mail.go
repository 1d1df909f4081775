package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"time"

	gomail "github.com/wneessen/go-mail"

	"shiren/internal/ekyc"
)

// Security is how the connection to a mail server is kept from others.
type Security string

const (
	StartTLS Security = "starttls" // RFC 3207, and no mail without it
	Implicit Security = "implicit" // TLS from the first byte, RFC 8314
	Plain    Security = "none"
)

// MailConfig says which server takes mail.
type MailConfig struct {
	Host     string
	Port     int
	Security Security
	User     string // "": no authentication
	Password ekyc.Secret
	From     mail.Address
	Roots    *x509.CertPool // nil: the system's
	// Plain connections to other machines are refused unless they are allowed.
	AllowPlain bool
	Now        func() time.Time
}

// Mailer is a Sender of mail. Safe for concurrent use.
type Mailer struct{ c MailConfig }

// senderTimeout bounds a try's waiting for the other side, each step of it. Our choice.
const senderTimeout = 10 * time.Second

// NewMailer checks a configuration. It reaches nobody.
func NewMailer(c MailConfig) (*Mailer, error) {
	switch {
	case c.Host == "" || c.Port <= 0 || c.Port > 65535:
		return nil, errors.New("mail: a host and a port are needed")
	case c.Security == Plain && !c.AllowPlain && !Loopback(c.Host):
		return nil, errors.New("mail: a server on another machine is reached with TLS, unless plain connections are allowed")
	case c.Security == Plain && c.User != "" && !Loopback(c.Host):
		return nil, errors.New("mail: a password does not travel in the clear: use TLS, or a server that asks for none")
	}
	m := &Mailer{c}
	_, err := m.client()
	return m, err
}

// Loopback reports whether a host is this machine, by its address or the name localhost.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (m *Mailer) client() (*gomail.Client, error) {
	c := m.c
	settings := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12, RootCAs: c.Roots}
	options := []gomail.Option{gomail.WithPort(c.Port), gomail.WithTimeout(senderTimeout), gomail.WithTLSConfig(settings)}
	switch c.Security {
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case Implicit:
		options = append(options, gomail.WithSSL())
	case Plain:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		return nil, fmt.Errorf("mail: there is no way %q to secure a connection", c.Security)
	}
	if c.User != "" {
		auth := gomail.SMTPAuthAutoDiscover
		if c.Security == Plain { // to this machine only: nothing is overheard
			auth = gomail.SMTPAuthPlainNoEnc
		}
		options = append(options, gomail.WithSMTPAuth(auth), gomail.WithUsername(c.User), gomail.WithPassword(string(c.Password)))
	}
	client, err := gomail.NewClient(c.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return client, nil
}

// message is d as a mail. Header values are encoded by the library; what controls a line was
// taken out before.
func (m *Mailer) message(d Delivery) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&m.c.From)
	if err := CheckAddress(d.To); err != nil {
		return nil, err
	}
	if err := msg.To(d.To); err != nil {
		return nil, err
	}
	msg.Subject(Clean(d.Subject, maxSubject))
	msg.SetDateWithValue(m.c.Now())
	_, domain, _ := cutLast(m.c.From.Address, '@')
	msg.SetMessageIDWithValue(d.ID + "@" + domain)
	// RFC 3834, 5: no machine answers it.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, d.Text)
	return msg, nil
}

// maxSubject is in runes. Our choice.
const maxSubject = 160

// Send tries once.
func (m *Mailer) Send(ctx context.Context, d Delivery) Try {
	msg, err := m.message(d)
	if err != nil {
		return Try{Err: err.Error(), Final: true}
	}
	client, err := m.client()
	if err != nil {
		return Try{Err: err.Error()}
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return Try{Err: m.explain(err)}
	}
	// The library looks at the context while it dials and no longer.
	defer context.AfterFunc(ctx, func() { conn.Text.Close() })()
	err = client.SendWithSMTPClient(conn, msg)
	// The server has it, or has not: what it says to our farewell changes nothing.
	_ = client.CloseWithSMTPClient(conn)
	if err == nil {
		return Try{Status: 250} // RFC 5321, 4.2.3: the only code of success
	}
	t := Try{Err: err.Error()}
	var refused *gomail.SendError
	if errors.As(err, &refused) {
		t.Status = refused.ErrorCode()
		// A mailbox that is refused for good stays refused; other trouble may be of the server's
		// settings, which somebody may mend.
		t.Final = refused.Reason == gomail.ErrSMTPRcptTo && !refused.IsTemp()
	}
	return t
}

// explain says what to look at.
func (m *Mailer) explain(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		return "the mail server's certificate is not trusted: " + cert.Err.Error() + "; check mail.host and mail.ca_file"
	case errors.As(err, &dns):
		return "the mail server's name is not known: check mail.host"
	case errors.As(err, &op) && op.Op == "dial":
		return "the mail server cannot be reached: " + op.Err.Error() + "; check mail.host, mail.port and the firewall"
	}
	return err.Error()
}

// cutLast is strings.Cut at the last sep.
func cutLast(s string, sep byte) (before, after string, ok bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
