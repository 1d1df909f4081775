// Package notify brings messages to people and machines: by mail, and by signed webhooks. It
// knows nothing of what they say.
//
// A message waits in a queue that outlives the process, once for each receiver. A Courier takes
// what is due, claims it so that of several nodes one sends it, tries once, and writes down what
// came of it. What was not received is tried again, at growing intervals, for three days. A server
// that dies between sending and writing it down sends again: receivers tell by the message's id.
//
// Messages hold no personal data of capture subjects; that is the business of who writes them.
package notify

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"sync"
	"time"
	"unicode"

	"shiren/internal/ekyc"
)

// Channel is how a message travels.
type Channel string

const (
	Mail    Channel = "mail"
	Webhook Channel = "webhook"
)

// State is how far a delivery is.
type State string

const (
	Waiting   State = "waiting"   // for its first try, or the next
	Delivered State = "delivered" // the receiver's server took it
	GivenUp   State = "given_up"  // its time is over, or trying again is pointless
)

// Delivery is one message on its way to one receiver.
type Delivery struct {
	ID      string // 32 hex digits, the same in every try
	Channel Channel
	To      string // a mail address, or an Endpoint.ID
	About   string // what it is about: a rule's id
	Event   string // what of it, for lists
	Subject string // of a mail
	Text    string // of a mail
	Body    []byte // of a webhook, JSON
	Created time.Time
	State   State
	Tries   int
	Due     time.Time // of the next try, or the claim's end; zero unless Waiting
	Until   time.Time // it is not tried again from then on
}

// Try is one try of a delivery.
type Try struct {
	N      int // from 1
	At     time.Time
	Took   time.Duration
	Status int    // the webhook's HTTP status, or the mail server's code; 0 without an answer
	Err    string // "" where it was received; for operators, without secrets
	// Final says that trying again is pointless.
	Final bool
}

// Keep is how long a delivery is tried. The figure.
const Keep = 3 * 24 * time.Hour

// The pauses between tries double from firstPause to longestPause. Our choice: 30 s bridges a
// restart, and in three days there are some twenty tries.
const (
	firstPause   = 30 * time.Second
	longestPause = 6 * time.Hour
)

// Pause is how long to wait after a try that ended when a delivery had been under way for a time:
// as long again, so that each pause is twice the one before.
func Pause(underWay time.Duration) time.Duration {
	return min(max(firstPause, underWay), longestPause)
}

// After is the delivery after a try.
func (d Delivery) After(t Try) Delivery {
	d.Tries = t.N
	end := t.At.Add(t.Took)
	next := end.Add(Pause(end.Sub(d.Until.Add(-Keep))))
	switch {
	case t.Err == "":
		d.State, d.Due = Delivered, time.Time{}
	case t.Final || !next.Before(d.Until):
		d.State, d.Due = GivenUp, time.Time{}
	default:
		d.State, d.Due = Waiting, next
	}
	return d
}

// Again is the delivery once more from the beginning, as an operator asks for it.
func (d Delivery) Again(now time.Time) Delivery {
	d.State, d.Due, d.Until = Waiting, now, now.Add(Keep)
	return d
}

// Endpoint is a receiver of webhooks.
type Endpoint struct {
	ID       string
	Revision int64 // counts changes
	Name     string
	URL      string
	Enabled  bool
	Secrets  []Signing // the newest first
	Created  time.Time
}

// Signing is a secret that an endpoint's messages are signed with.
type Signing struct {
	Secret  ekyc.Secret
	Created time.Time
	Until   time.Time // zero: until it is replaced
}

// Valid are the secrets that sign at now.
func (e Endpoint) Valid(now time.Time) (list []string) {
	for _, s := range e.Secrets {
		if s.Until.IsZero() || now.Before(s.Until) {
			list = append(list, string(s.Secret))
		}
	}
	return list
}

// Rotate gives the endpoint a new secret. The one in use stays valid beside it for overlap; older
// ones are dropped, so that there are never more than two.
func (e Endpoint) Rotate(fresh ekyc.Secret, now time.Time, overlap time.Duration) Endpoint {
	list := []Signing{{Secret: fresh, Created: now}}
	if len(e.Secrets) > 0 && overlap > 0 {
		old := e.Secrets[0]
		old.Until = now.Add(overlap)
		list = append(list, old)
	}
	e.Secrets = list
	return e
}

// secretSize is a signing secret's length in bytes: as HMAC-SHA256's output (RFC 2104, 3).
const secretSize = 32

// NewSecret draws a signing secret.
func NewSecret(rand io.Reader) (ekyc.Secret, error) {
	b := make([]byte, secretSize)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", fmt.Errorf("draw a signing secret: %w", err)
	}
	return ekyc.Secret(fmt.Sprintf("whsec_%x", b)), nil
}

// NewID draws the id of a delivery, an endpoint or a rule.
func NewID(rand io.Reader) (string, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", fmt.Errorf("draw an id: %w", err)
	}
	return fmt.Sprintf("%x", b), nil
}

// CheckAddress reports whether a text is one mail address and nothing more, without a name.
// Letters beyond ASCII are refused: not every server takes them.
func CheckAddress(s string) error {
	if len(s) > 254 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) { // RFC 5321, 4.5.3.1.3
		return fmt.Errorf("%q is no mail address: want one as in ops@example.com", Clean(s, 64))
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s || a.Name != "" {
		return fmt.Errorf("%q is no mail address: want one as in ops@example.com", Clean(s, 64))
	}
	return nil
}

// Clean is a text on one line, of at most n runes, without characters that control a terminal, a
// header or the direction of writing.
func Clean(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case n == 0:
			b.WriteRune('…')
			return b.String()
		case r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs):
			r = ' '
		}
		b.WriteRune(r)
		n--
	}
	return b.String()
}

// DeliveryQuery selects deliveries. Zero fields select everything.
type DeliveryQuery struct {
	Channel Channel
	To      string
	State   State
	After   *Delivery // the last of the page before: only Created and ID are looked at
	Limit   int       // 0 means 50; at most 200
}

// Queue keeps deliveries. Writes are durable when they return. Safe for concurrent use, also by
// several processes.
type Queue interface {
	// ClaimDeliveries takes at most n deliveries that are due at now, the longest due first, and
	// makes them due again at until: nobody else claims them before, and what a dead process
	// claimed is found again.
	ClaimDeliveries(ctx context.Context, now, until time.Time, n int) ([]Delivery, error)
	// EndTry writes d and its try t. It reports false, and writes nothing, if d's Tries or Until
	// are not those that d was claimed with (was), because somebody else has tried or asked
	// for it meanwhile.
	EndTry(ctx context.Context, was, d Delivery, t Try) (bool, error)
	// Endpoint reads a receiver of webhooks; absent is ekyc.ErrAbsent.
	Endpoint(ctx context.Context, id string) (Endpoint, error)
}

// Sender makes one try.
type Sender interface {
	// Send tries once. It fills in the try's Status, Err and Final.
	Send(ctx context.Context, d Delivery) Try
}

// Courier carries what is due. Queue, Mail, Hooks, Now and Log are required; Mail may be an
// *Unconfigured. Safe for concurrent use.
type Courier struct {
	Queue Queue
	Mail  Sender
	Hooks Sender
	Now   func() time.Time
	Log   *slog.Logger

	once sync.Once
	wake chan struct{}
}

// Our choices. A try takes at most senderTimeout (see Mailer and Hooks), several times less than a claim.
const (
	claimFor  = 5 * time.Minute
	batch     = 32
	together  = 4               // tries at once
	lookEvery = 5 * time.Second // for what other nodes queued, or left
)

func (c *Courier) woken() chan struct{} {
	c.once.Do(func() { c.wake = make(chan struct{}, 1) })
	return c.wake
}

// Wake makes Run look at once.
func (c *Courier) Wake() {
	select {
	case c.woken() <- struct{}{}:
	default:
	}
}

// Run carries until ctx ends. Tries under way are given up then, and made again later.
func (c *Courier) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if n, err := c.Round(ctx); err != nil && ctx.Err() == nil {
			c.Log.ErrorContext(ctx, "messages could not be carried; it is tried again", "err", err)
		} else if n == batch {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.woken():
		}
	}
}

// Round tries what is due once, and returns how many that were.
func (c *Courier) Round(ctx context.Context) (int, error) {
	now := c.Now()
	list, err := c.Queue.ClaimDeliveries(ctx, now, now.Add(claimFor), batch)
	if err != nil {
		return 0, fmt.Errorf("claim deliveries: %w", err)
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, together)
	for _, d := range list {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			c.carry(ctx, d)
		})
	}
	group.Wait()
	return len(list), ctx.Err()
}

func (c *Courier) carry(ctx context.Context, d Delivery) {
	t := c.Try(ctx, d)
	if ctx.Err() != nil && t.Err != "" {
		return // we gave up, not the receiver: the claim lapses
	}
	after := d.After(t)
	// What was sent is written down also where the server stops just now.
	wrote, err := c.Queue.EndTry(context.WithoutCancel(ctx), d, after, t)
	switch {
	case err != nil:
		c.Log.ErrorContext(ctx, "a try could not be written down; the message may be sent again", "delivery", d.ID, "err", err)
	case !wrote:
		c.Log.WarnContext(ctx, "a message was tried by somebody else meanwhile", "delivery", d.ID)
	case after.State == GivenUp:
		c.Log.ErrorContext(ctx, "a message was given up", "delivery", d.ID, "channel", d.Channel, "tries", d.Tries, "status", t.Status)
	case after.State == Waiting:
		c.Log.WarnContext(ctx, "a message was not received; it is tried again", "delivery", d.ID, "channel", d.Channel, "tries", d.Tries, "status", t.Status)
	}
}

// Try tries once and writes nothing.
func (c *Courier) Try(ctx context.Context, d Delivery) Try {
	from := c.Now()
	var t Try
	switch d.Channel {
	case Mail:
		t = c.Mail.Send(ctx, d)
	case Webhook:
		t = c.Hooks.Send(ctx, d)
	default:
		t = Try{Err: "this release knows no such channel", Final: true}
	}
	t.N, t.At, t.Took, t.Err = d.Tries+1, from, c.Now().Sub(from), Clean(t.Err, maxError)
	return t
}

// maxError bounds what is kept of an error, in runes. Our choice.
const maxError = 400

// Unconfigured stands for mail where none is configured. It keeps messages waiting: who configures
// it within three days gets them.
type Unconfigured struct{}

func (Unconfigured) Send(context.Context, Delivery) Try {
	return Try{Err: "no mail server is configured: fill in [mail] of shiren.toml and restart"}
}
