package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"shiren/api/webhook"
	"shiren/internal/alarm"
	"shiren/internal/ekyc"
	"shiren/internal/notify"
)

// mailbox is a mail server that hands on what it takes.
type mailbox struct{ mails chan string }

func (m mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return m, nil }
func (m mailbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (m mailbox) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (m mailbox) Reset()                                      {}
func (m mailbox) Logout() error                               { return nil }
func (m mailbox) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	m.mails <- string(b)
	return err
}

// A running server watches itself and its counts, and tells by mail and webhook what it finds: its
// own certificate, its own disk, and direct calls that were stored.
func TestAlarmsWhileServing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := mailbox{make(chan string, 10)}
	post := smtp.NewServer(box)
	post.Domain, post.ErrorLog = "mail.test", log.New(io.Discard, "", 0)
	ended := make(chan struct{})
	go func() { defer close(ended); post.Serve(l) }() // its error says that it was closed
	t.Cleanup(func() {
		post.Close()
		l.Close() // a server that has yet to be given its listener would take it up closed or not
		<-ended
	})

	const secret = "whsec_of_the_test"
	told := make(chan webhook.Message, 10)
	o, clock, logs := options(t, fmt.Sprintf(`
listen = "127.0.0.1:0"
[tls]
mode = "self-signed"
[mail]
host = "127.0.0.1"
port = %d
tls = "none"
from = "shiren@example.com"
[alarms]
webhook_allow = ["127.0.0.1"]
`, l.Addr().(*net.TCPAddr).Port))
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = webhook.Verify(r.Header, body, clock.Now(), secret)
		}
		var m webhook.Message
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			t.Errorf("the receiver: %v, %s", err, body)
		}
		told <- m
	}))
	t.Cleanup(hook.Close)
	s := build(t, o)
	kept := s.Store.Alarms()
	if _, err := kept.PutEndpoint(t.Context(), notify.Endpoint{ID: "hook", Name: "hook", URL: hook.URL, Enabled: true, Secrets: []notify.Signing{{Secret: secret}}}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []alarm.Rule{
		{ID: "cert", Name: "证书", Measure: alarm.CertDays, Threshold: 400, RecoverAt: 500, Mails: []string{"ops@example.com"}},
		{ID: "disk", Name: "磁盘", Measure: alarm.DiskFree, Threshold: 0.9999999, RecoverAt: 1, Webhooks: []string{"hook"}},
		{ID: "volume", Name: "核验量", Measure: alarm.VolumeHigh, Window: 5 * time.Minute, Threshold: 3, RecoverAt: 1, Webhooks: []string{"hook"}, Mails: []string{"ops@example.com"}},
	} {
		r.Enabled, r.Silence = true, time.Hour
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
		if _, err := kept.PutRule(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		d := ekyc.Direct{ID: fmt.Sprint("direct", i), App: "100001", Kind: ekyc.ChargeElements, At: clock.Now(), Protocol: "juhe"}
		if err := s.Store.AddDirect(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, s)

	mails, hooks := map[string]bool{}, map[string]float64{}
	for len(mails) < 2 || len(hooks) < 2 {
		select {
		case m := <-box.mails:
			for _, subject := range []string{"cert", "volume"} {
				e, err := kept.Episodes(t.Context(), alarm.EpisodeQuery{Rule: subject})
				if err != nil || len(e) != 1 {
					t.Fatalf("history of %s: %d lines, %v", subject, len(e), err)
				}
				if strings.Contains(strings.ReplaceAll(m, "=\r\n", ""), e[0].ID) {
					mails[subject] = true
				}
			}
		case m := <-told:
			hooks[m.Rule.ID] = *m.Value
		case <-time.After(5 * time.Minute):
			t.Fatalf("after five minutes there are mails on %v and webhooks on %v\n%s", mails, hooks, logs)
		}
	}
	if hooks["volume"] != 3 || hooks["disk"] <= 0 || hooks["disk"] >= 1 {
		t.Errorf("the webhooks say %v; want 3 calls, and a share of the disk", hooks)
	}
	e, err := kept.Episodes(t.Context(), alarm.EpisodeQuery{Rule: "cert"})
	if err != nil || e[0].First.Value < 396 || e[0].First.Value > 397 || e[0].Node == "" {
		t.Errorf("the certificate ends in %v days on %q, %v; want 397", e[0].First.Value, e[0].Node, err)
	}
	if text := logs.String(); strings.Contains(text, secret) || strings.Contains(text, "ops@example.com") {
		t.Error("the log has a secret or an address")
	}
}

// Given certificates are measured as they lie, and without TLS there is nothing to measure.
func TestAlarmsWithoutTLS(t *testing.T) {
	t.Parallel()
	o, _, _ := options(t, "listen = \"127.0.0.1:0\"\n")
	s := build(t, o)
	r := alarm.Rule{ID: "cert", Name: "证书", Enabled: true, Measure: alarm.CertDays, Threshold: 400, RecoverAt: 500, Silence: time.Hour}
	if _, err := s.Store.Alarms().PutRule(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	x, err := s.Alarms().Measure(t.Context(), r)
	if err != nil || x.Known || x.Why != alarm.NoProbe {
		t.Errorf("Measure = %+v, %v; want that there is nothing to measure", x, err)
	}
}
