package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"shiren/internal/alarm"
	"shiren/internal/config"
	"shiren/internal/console"
	"shiren/internal/notify"
)

// beijing is the zone of times in mails, which say their offset: the page shows the operator's own.
var beijing = time.FixedZone("", 8*60*60)

// alarms is what watches and tells.
type alarms struct {
	runner  *alarm.Runner
	courier *notify.Courier
	hooks   *notify.Hooks
}

// openAlarms builds what watches. Nothing is reached before Serve.
func (s *Server) openAlarms() error {
	c, o := s.Config, s.options
	a := &s.alarms
	kept := s.Store.Alarms()
	var post notify.Sender = notify.Unconfigured{}
	if c.Mail.Host != "" {
		m, err := newMailer(c.Mail, o)
		if err != nil {
			return err
		}
		post = m
	}
	a.hooks = notify.NewHooks(notify.HookConfig{
		Endpoints: kept, Allow: c.Alarms.HookRanges(), AllowHTTP: c.Alarms.WebhookHTTP, Now: o.Now, UserAgent: "shiren",
	})
	a.courier = &notify.Courier{Queue: kept, Mail: post, Hooks: a.hooks, Now: o.Now, Log: o.Log}
	node, err := os.Hostname()
	if err != nil {
		node = "unknown"
	}
	a.runner = &alarm.Runner{
		Store: kept, Counts: s.Store, Names: s.Store, Courier: a.courier, Node: node, Zone: beijing, Now: o.Now, Rand: o.Rand, Log: o.Log,
		Probes: map[alarm.Measure]alarm.Probe{alarm.DiskFree: s.diskFree, alarm.CertDays: s.certDays},
	}
	if u := c.ConsoleURL(); u != "" && c.Console.Enabled {
		a.runner.Console = u + console.Prefix + "/alarms"
	}
	return nil
}

func newMailer(m config.Mail, o Options) (*notify.Mailer, error) {
	from, err := mail.ParseAddress(m.From)
	if err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	c := notify.MailConfig{
		Host: m.Host, Port: m.MailPort(), Security: notify.Security(m.TLS), User: m.User, Password: m.Password, From: *from, AllowPlain: m.AllowPlain, Now: o.Now,
	}
	if m.CAFile != "" {
		if c.Roots, err = roots("mail.ca_file", m.CAFile); err != nil {
			return nil, err
		}
	}
	return notify.NewMailer(c)
}

// roots are the authorities of the system and those of the file that key names.
func roots(key, file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("%s: the system's authorities cannot be read: %w", key, err)
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM", key, file)
	}
	return pool, nil
}

// alarmArea is what the console's area of alarms stands on.
func (s *Server) alarmArea() *console.Alarms {
	m := s.Config.Mail
	area := &console.Alarms{
		Store: s.Store.Alarms(), Runner: s.Alarms(), Names: s.Store, Wake: s.alarms.courier.Wake, URL: s.alarms.hooks.CheckURL, Rand: s.options.Rand,
	}
	for _, src := range s.Sources {
		area.Sources = append(area.Sources, src.Name)
	}
	if m.Host != "" {
		area.Mail = console.AlarmMail{Configured: true, Host: m.Host, Port: m.MailPort(), TLS: m.TLS, From: m.From, SignsIn: m.User != ""}
	}
	return area
}

// diskFree is the share of the data folder's file system that this process may still use.
func (s *Server) diskFree(context.Context) (float64, bool, error) {
	free, all, err := fileSystem(s.Config.Data)
	if err != nil || all == 0 {
		return 0, false, err
	}
	return float64(free) / float64(all), true, nil
}

// certDays is how long the served certificate is still valid; ok is false without TLS, and with
// automatic ones, of which the first to end counts, before the authority gave one.
func (s *Server) certDays(ctx context.Context) (float64, bool, error) {
	end, ok, err := s.certEnd(ctx)
	if err != nil || !ok {
		return 0, false, err
	}
	return max(0, end.Sub(s.options.Now()).Hours()/24), true, nil
}

func (s *Server) certEnd(ctx context.Context) (end time.Time, ok bool, err error) {
	c := s.Config
	switch c.TLS.Mode {
	case config.TLSFiles:
		leaf, err := ReadCertificate(c)
		if err != nil {
			return end, false, err
		}
		return leaf.NotAfter, true, nil
	case config.TLSSelfSigned:
		// What was read at the start is served; a file that was made anew since is not.
		if s.served == nil || len(s.served.Certificates) == 0 {
			return end, false, nil
		}
		return leafEnd(s.served.Certificates[0])
	case config.TLSAuto:
		// Asking the manager might order a certificate; its cache only says what it has.
		for _, name := range c.TLS.Domains {
			kept, err := acmeCache(c).Get(ctx, strings.ToLower(name))
			if errors.Is(err, autocert.ErrCacheMiss) {
				continue
			}
			if err != nil {
				return end, false, err
			}
			for block, rest := pem.Decode(kept); block != nil; block, rest = pem.Decode(rest) {
				if block.Type != "CERTIFICATE" {
					continue
				}
				one, _, err := leafEnd(tls.Certificate{Certificate: [][]byte{block.Bytes}})
				if err != nil {
					return end, false, err
				}
				if !ok || one.Before(end) {
					end, ok = one, true
				}
				break // the first one is the leaf
			}
		}
		return end, ok, nil
	}
	return end, false, nil
}

func leafEnd(c tls.Certificate) (end time.Time, ok bool, err error) {
	leaf := c.Leaf
	if leaf == nil {
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return end, false, fmt.Errorf("read the served certificate: %w", err)
		}
	}
	return leaf.NotAfter, true, nil
}

// Alarms is what looks at rules while the server serves.
func (s *Server) Alarms() *alarm.Runner { return s.alarms.runner }
