package notify_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"shiren/internal/ekyc"
	"shiren/internal/notify"
	"shiren/internal/testkit"
)

// post is a mail server: it speaks SMTP over a real connection and keeps what it takes.
type post struct {
	port    int
	server  *smtp.Server
	mu      sync.Mutex
	mails   []letter
	refuses map[string]*smtp.SMTPError // by recipient
	held    chan struct{}              // when not nil, mails are held back until it is closed
	holding chan struct{}              // is closed when one is
	signIn  bool                       // only who signs in may send
}

type letter struct {
	from     string
	to       []string
	data     string
	secure   bool
	signedIn bool
}

const (
	user     = "shiren"
	password = "correct horse battery"
)

// serve starts a mail server, on any port when l is nil, that stops with the test.
// implicit serves TLS from the first byte; a cert otherwise offers STARTTLS.
func serve(t testing.TB, l net.Listener, cert *tls.Certificate, implicit, signIn bool) *post {
	t.Helper()
	p := &post{refuses: map[string]*smtp.SMTPError{}, signIn: signIn}
	p.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &visit{p: p, conn: c}, nil }))
	p.server.Domain, p.server.ErrorLog = "mail.test", log.New(io.Discard, "", 0)
	p.server.AllowInsecureAuth = cert == nil
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	if cert != nil {
		p.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		if implicit {
			l = tls.NewListener(l, p.server.TLSConfig)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.server.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		p.server.Close()
		l.Close() // a server that has yet to be given its listener would take it up closed or not
		<-done
	})
	return p
}

func (p *post) taken() []letter { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(p.mails) }

// visit is one connection.
type visit struct {
	p    *post
	conn *smtp.Conn
	letter
}

func (v *visit) AuthMechanisms() []string { return []string{sasl.Plain} }

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, u, p string) error {
		if u != user || p != password {
			return smtp.ErrAuthFailed
		}
		v.signedIn = true
		return nil
	}), nil
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error {
	if v.p.signIn && !v.signedIn {
		return smtp.ErrAuthRequired
	}
	v.from = from
	return nil
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := v.p.refuses[to]; err != nil {
		return err
	}
	v.to = append(v.to, to)
	return nil
}

func (v *visit) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if v.p.held != nil {
		close(v.p.holding)
		<-v.p.held
	}
	_, v.secure = v.conn.TLSConnectionState()
	v.data = string(b)
	v.p.mu.Lock()
	defer v.p.mu.Unlock()
	v.p.mails = append(v.p.mails, v.letter)
	return nil
}

func (v *visit) Reset()        { v.from, v.to = "", nil }
func (v *visit) Logout() error { return nil }

func mailer(t testing.TB, port int, roots *x509.CertPool, change func(*notify.MailConfig)) *notify.Mailer {
	t.Helper()
	c := notify.MailConfig{
		Host: "127.0.0.1", Port: port, Security: notify.StartTLS, User: user, Password: password,
		From: mail.Address{Name: "实人", Address: "shiren@example.com"}, Roots: roots, Now: func() time.Time { return noon },
	}
	if change != nil {
		change(&c)
	}
	m, err := notify.NewMailer(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var hello = notify.Delivery{
	ID: "0123456789abcdef", Channel: notify.Mail, To: "ops@example.com", Subject: "告警 Firing：攻击率 12.5%", Text: "规则 Rule: 攻击率\n第二行\n.\n最后 last\n",
}

func read(t testing.TB, data string) *mail.Message {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatalf("the mail cannot be read: %v\n%s", err, data)
	}
	return m
}

// The three ways to secure a connection, each with a whole conversation.
func TestMail(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t)
	for _, c := range []struct {
		name     string
		security notify.Security
		cert     *tls.Certificate
		secure   bool
	}{
		{"STARTTLS", notify.StartTLS, &cert, true},
		{"TLS from the first byte", notify.Implicit, &cert, true},
		{"plain to this machine", notify.Plain, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, nil, c.cert, c.security == notify.Implicit, true)
			m := mailer(t, p.port, roots, func(m *notify.MailConfig) { m.Security = c.security })
			if try := m.Send(t.Context(), hello); try.Err != "" || try.Status != 250 {
				t.Fatalf("Send = %+v, want 250", try)
			}
			got := p.taken()
			if len(got) != 1 {
				t.Fatalf("%d mails, want 1", len(got))
			}
			l := got[0]
			if l.from != "shiren@example.com" || !slices.Equal(l.to, []string{hello.To}) || l.secure != c.secure || !l.signedIn {
				t.Errorf("from %s to %v, secure %v, signed in %v", l.from, l.to, l.secure, l.signedIn)
			}
			msg := read(t, l.data)
			subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
			if err != nil || subject != hello.Subject {
				t.Errorf("subject %q, %v; want %q", subject, err, hello.Subject)
			}
			if id := msg.Header.Get("Message-ID"); id != "<0123456789abcdef@example.com>" {
				t.Errorf("Message-ID %s: want one that follows from the delivery, so that a repeat can be told", id)
			}
			if d, err := msg.Header.Date(); err != nil || !d.Equal(noon) {
				t.Errorf("date %v, %v; want %v", d, err, noon)
			}
			if a := msg.Header.Get("Auto-Submitted"); a != "auto-generated" {
				t.Errorf("Auto-Submitted %q", a)
			}
			if text := decoded(t, msg); strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) != strings.TrimSpace(hello.Text) {
				t.Errorf("text %q, want %q", text, hello.Text)
			}
		})
	}
}

// What goes wrong is told, with what to do, and is tried again or not.
func TestMailRefused(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t)
	closed := testkit.NewDoor(t)
	for _, c := range []struct {
		name   string
		cert   *tls.Certificate
		change func(*notify.MailConfig)
		set    func(*post)
		says   string
		status int
		final  bool
	}{
		{name: "a wrong password", cert: &cert, change: func(m *notify.MailConfig) { m.Password = "wrong" }, says: "535"},
		{name: "an unknown authority", cert: &cert, change: func(m *notify.MailConfig) { m.Roots = x509.NewCertPool() }, says: "not trusted"},
		{name: "another server's certificate", cert: &cert, change: func(m *notify.MailConfig) { m.Host = "localhost" }, says: "not trusted"},
		{name: "no STARTTLS offered", says: "STARTTLS"},
		{name: "nobody listens", cert: &cert, change: func(m *notify.MailConfig) { m.Port = closed.Port }, says: "cannot be reached"},
		{name: "an unknown mailbox", cert: &cert, set: func(p *post) { p.refuses[hello.To] = &smtp.SMTPError{Code: 550, Message: "no such user"} }, says: "no such user", status: 550, final: true},
		{name: "a full mailbox", cert: &cert, set: func(p *post) { p.refuses[hello.To] = &smtp.SMTPError{Code: 452, Message: "full"} }, says: "full", status: 452},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, nil, c.cert, false, true)
			if c.set != nil {
				c.set(p)
			}
			try := mailer(t, p.port, roots, c.change).Send(t.Context(), hello)
			if !strings.Contains(try.Err, c.says) || try.Status != c.status || try.Final != c.final {
				t.Errorf("Send = %+v; want an error with %q, status %d, final %v", try, c.says, c.status, c.final)
			}
			if strings.Contains(try.Err, password) {
				t.Error("the error tells the password")
			}
			if n := len(p.taken()); n != 0 {
				t.Errorf("%d mails were taken, want none", n)
			}
		})
	}
}

// A rule's name cannot add a header, a receiver or a line, wherever it came from.
func TestMailInjection(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t)
	p := serve(t, nil, &cert, false, true)
	m := mailer(t, p.port, roots, nil)
	evil := []string{
		"x\r\nBcc: victim@example.com", "x\nX-Evil: 1", "x\r\n\r\nnew body", "x\r\n.\r\nMAIL FROM:<a@b>", "=?utf-8?q?x=0D=0ABcc:_victim@example.com?=", "x\u2028Bcc: y", "x\x00y", strings.Repeat("长", 5000),
	}
	for _, e := range evil {
		d := hello
		d.Subject, d.Text = e, "first\n"+e+"\n.\nlast\n"
		if try := m.Send(t.Context(), d); try.Err != "" {
			t.Fatalf("Send of %q: %s", e, try.Err)
		}
	}
	got := p.taken()
	if len(got) != len(evil) {
		t.Fatalf("%d mails, want %d: a text must not end its mail or begin another", len(got), len(evil))
	}
	want := []string{"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	for i, l := range got {
		msg := read(t, l.data)
		var keys []string
		for k := range msg.Header {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if !slices.Equal(keys, want) || !slices.Equal(l.to, []string{hello.To}) {
			t.Errorf("%q made the headers %v and receivers %v; want %v", evil[i], keys, l.to, want)
		}
		if text := decoded(t, msg); !strings.HasSuffix(strings.TrimSpace(text), "last") {
			t.Errorf("%q cut the text to %q", evil[i], text)
		}
	}
	for _, to := range []string{"ops@example.com>\r\nRCPT TO:<victim@example.com", "ops@example.com, victim@example.com", "victim"} {
		d := hello
		d.To = to
		if try := m.Send(t.Context(), d); try.Err == "" || !try.Final {
			t.Errorf("Send to %q = %+v, want a refusal for good", to, try)
		}
	}
}

// A server that is down keeps mails waiting; when it comes back they leave.
func TestMailServerComesBack(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t)
	door := testkit.NewDoor(t)
	s, now := open(t), &clock{t: noon}
	out := &logs{}
	c := &notify.Courier{Queue: s, Mail: mailer(t, door.Port, roots, nil), Now: now.Now, Log: slog.New(slog.NewTextHandler(out, nil))}
	d := queue(t, s, noon, hello)
	for range 2 {
		if n, err := c.Round(t.Context()); n != 1 || err != nil {
			t.Fatalf("Round = %d, %v; want one try", n, err)
		}
		if n, err := c.Round(t.Context()); n != 0 || err != nil {
			t.Fatalf("Round = %d, %v; want a pause", n, err)
		}
		now.move(time.Minute)
	}
	got, tries := delivery(t, s, d.ID)
	if got.State != notify.Waiting || got.Tries != 2 || !strings.Contains(tries[0].Err, "cannot be reached") {
		t.Fatalf("%s after %d tries, %q; want waiting after 2", got.State, got.Tries, tries[0].Err)
	}
	back := serve(t, door.Listen(), &cert, false, true)
	if n, err := c.Round(t.Context()); n != 1 || err != nil {
		t.Fatalf("Round = %d, %v; want one try", n, err)
	}
	if got, _ := delivery(t, s, d.ID); got.State != notify.Delivered || got.Tries != 3 || len(back.taken()) != 1 {
		t.Errorf("%s after %d tries, %d mails taken; want delivered after 3, and 1", got.State, got.Tries, len(back.taken()))
	}
	for _, secret := range []string{password, hello.To, hello.Subject} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// A server that hangs keeps nobody who is told to stop.
func TestMailGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t)
	p := serve(t, nil, &cert, false, true)
	p.held, p.holding = make(chan struct{}), make(chan struct{})
	defer close(p.held)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan notify.Try)
	go func() { done <- mailer(t, p.port, roots, nil).Send(ctx, hello) }()
	<-p.holding
	stop()
	if try := <-done; try.Err == "" || try.Final {
		t.Errorf("Send = %+v, want an error that is tried again", try)
	}
}

func TestMailerSettings(t *testing.T) {
	t.Parallel()
	good := notify.MailConfig{Host: "mail.example.com", Port: 587, Security: notify.StartTLS, From: mail.Address{Address: "a@example.com"}, Now: time.Now}
	for _, c := range []struct {
		name   string
		change func(*notify.MailConfig)
		ok     bool
	}{
		{"as it should be", func(*notify.MailConfig) {}, true},
		{"plain to another machine", func(m *notify.MailConfig) { m.Security = notify.Plain }, false},
		{"plain to another machine, allowed", func(m *notify.MailConfig) { m.Security, m.AllowPlain = notify.Plain, true }, true},
		{"a password in the clear", func(m *notify.MailConfig) {
			m.Security, m.AllowPlain, m.User, m.Password = notify.Plain, true, "u", "p"
		}, false},
		{"plain to this machine", func(m *notify.MailConfig) { m.Security, m.Host = notify.Plain, "::1" }, true},
		{"no port", func(m *notify.MailConfig) { m.Port = 0 }, false},
		{"no such way", func(m *notify.MailConfig) { m.Security = "ssl" }, false},
	} {
		m := good
		c.change(&m)
		if _, err := notify.NewMailer(m); (err == nil) != c.ok {
			t.Errorf("%s: NewMailer says %v", c.name, err)
		} else if err != nil && m.Password != "" && strings.Contains(err.Error(), string(ekyc.Secret(m.Password))+" ") {
			t.Errorf("%s: the error tells the password", c.name)
		}
	}
	if try := (notify.Unconfigured{}).Send(t.Context(), hello); try.Err == "" || try.Final {
		t.Errorf("without a mail server Send = %+v, want an error that waits", try)
	}
}

// decoded is a mail's text.
func decoded(t testing.TB, m *mail.Message) string {
	t.Helper()
	b, err := io.ReadAll(body(m))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func body(m *mail.Message) io.Reader {
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		return quotedprintable.NewReader(m.Body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, m.Body)
	}
	return m.Body
}
