// Package upstream asks vendors, and whoever else speaks HTTP, about claims: the sources
// whose answers cost money and may not come.
//
// Every call goes the same way (guard):
//
//  1. The circuit breaker lets it through, or says at once that the source is down.
//  2. It is written into the journal, durably: a server that dies during the call loses no
//     cost. A call that cannot be written down is not made.
//  3. It is made, within the source's time-out. It is repeated only where the first try was
//     surely not charged: nobody was reached, or the vendor refused it before doing anything.
//  4. The journal is told how it ended, and whether it was charged. What is not known counts
//     as charged.
//
// An answer is an outcome, or one of the core's codes for what a source may say of a
// person. Everything else, from a refused password to a reply that makes no sense, is
// SourceFailed or another code that is no answer, and never a non-match. Errors hold
// nothing of the person and no credentials.
package upstream

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"

	"shiren/internal/ekyc"
)

// Call is a call to a source as the journal keeps it. It holds no personal data.
type Call struct {
	ID      string // 32 hex
	Source  string
	Name    string // of the interface
	LogID   string // of what it was made for, "" where that is not known
	Begun   time.Time
	Ended   time.Time // zero while it is under way, and for ever where the server died
	Took    time.Duration
	Code    ekyc.Code // why there was no match or no answer; OK for an outcome
	Charged bool
	Cost    int64 // in millionths, as configured; 0 where it was not charged
}

// Journal keeps calls. Writes are durable when they return. Safe for concurrent use.
type Journal interface {
	// BeginCall writes a call down before it is made, as charged.
	BeginCall(ctx context.Context, c Call) error
	// EndCall writes down how the call with c.ID ended.
	EndCall(ctx context.Context, c Call) error
}

// Kinds of sources.
const (
	BaiduV4      = "baidu-v4"       // mingjing/verify: name, number and face
	BaiduV3      = "baidu-v3"       // person/verify, its predecessor
	BaiduMatchV4 = "baidu-v4-match" // mingjing/match: a face with the registry's portrait
	Juhe         = "juhe"           // verifyface_mobile/query: name, number, mobile number and face at once
	JuheFace     = "juhe-face"      // verifyface/verify: name, number and face
	JuheMobile   = "juhe-mobile"    // telecom/query: name, number and mobile number
	HTTP         = "http"           // docs/source-http.yaml
)

// Kinds lists the kinds.
func Kinds() []string {
	return []string{BaiduV4, BaiduV3, BaiduMatchV4, Juhe, JuheFace, JuheMobile, HTTP}
}

// Capabilities of an HTTP source.
const (
	AnswersIdentity = "identity"
	AnswersPortrait = "portrait"
	AnswersFace     = "face"
	AnswersMobile   = "mobile"
)

// Config describes one source. Name, Kind, Journal, Now, Rand and Log are required.
type Config struct {
	Name    string
	Kind    string
	Address string // scheme://host, or the folder of an HTTP source; empty is the vendor's
	Key     string // the vendor's API key
	Secret  string // the vendor's secret, or an HTTP source's bearer token
	Cost    int64  // of a charged call, in millionths
	Timeout time.Duration
	Answers []string    // of an HTTP source
	Local   ekyc.Source // BaiduMatchV4: whose identities and portraits are compared with

	Journal Journal
	Now     func() time.Time
	Rand    io.Reader // safe for concurrent use
	Log     *slog.Logger
	Client  *http.Client // nil: one with Timeout
	// Pause is how long the breaker lets a source rest; 0 is DefaultPause.
	Pause time.Duration
	// Observer is told of calls; nil: nobody is.
	Observer Observer
}

// Observer is told of calls, for figures. It must not wait for anything, and is safe for
// concurrent use.
type Observer interface {
	// Called is told of a call that has ended, as the journal is.
	Called(c Call)
	// Spared is told of a call that the breaker of a source did not let through.
	Spared(source string)
	// Breaker is told of the state of a source's breaker: first, and whenever it changes.
	Breaker(source string, s State)
}

// State is the state of a circuit breaker.
type State string

// The states: calls go through; none does; one does, to see whether the source is back. An
// open breaker is half-open from the first call after its pause.
const (
	BreakerClosed   State = "closed"
	BreakerOpen     State = "open"
	BreakerHalfOpen State = "half-open"
)

// Our choices. A vendor answers in about a second; an attempt has ekyc.SubmitTimeout for
// all its sources.
const (
	DefaultTimeout = 10 * time.Second
	DefaultPause   = 30 * time.Second
	// tripAfter is how many failures in a row open the breaker.
	tripAfter = 5
	// repeats is how often a call that was surely not charged is made again.
	repeats = 2
	// between is the pause before a repeat.
	between = 150 * time.Millisecond
)

// Open makes the source of a configuration. It reaches nobody.
func Open(c Config) (ekyc.Source, error) {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: c.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a vendor's interfaces do not move; credentials go nowhere else
		}}
	}
	g := newGuard(c)
	src := ekyc.Source{Name: c.Name}
	switch c.Kind {
	case BaiduV4, BaiduV3:
		src.Face = newBaidu(c, g)
	case BaiduMatchV4:
		if c.Local.Identity == nil || c.Local.Portrait == nil {
			return src, fmt.Errorf("source %s: %s needs a local source of portraits", c.Name, c.Kind)
		}
		src.Face = &baiduMatch{newBaidu(c, g), c.Local}
	case Juhe:
		src.Elements = newJuhe(c, g)
	case JuheFace:
		src.Face = newJuhe(c, g)
	case JuheMobile:
		src.Mobile = newJuhe(c, g)
	case HTTP:
		h := newHTTP(c, g)
		for _, a := range c.Answers {
			switch a {
			case AnswersIdentity:
				src.Identity = h
			case AnswersPortrait:
				src.Portrait = h
			case AnswersFace:
				src.Face = h
			case AnswersMobile:
				src.Mobile = h
			default:
				return src, fmt.Errorf("source %s: it cannot answer %q", c.Name, a)
			}
		}
	default:
		return src, fmt.Errorf("source %s: there is no kind %q; want one of %v", c.Name, c.Kind, Kinds())
	}
	return src, nil
}

// guard is what all calls to one source have in common. Safe for concurrent use.
type guard struct {
	c       Config
	breaker *gobreaker.CircuitBreaker[struct{}]
}

func newGuard(c Config) *guard {
	if c.Pause == 0 {
		c.Pause = DefaultPause
	}
	if c.Observer != nil {
		c.Observer.Breaker(c.Name, BreakerClosed)
	}
	return &guard{c, gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         c.Name,
		Timeout:      c.Pause,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= tripAfter },
		IsSuccessful: func(err error) bool { return !trouble(ekyc.CodeOf(err)) },
		// Somebody who hung up says nothing about the source.
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(name string, _, to gobreaker.State) {
			c.Log.Warn("a source's circuit breaker changed", "source", name, "state", to.String())
			if c.Observer != nil {
				c.Observer.Breaker(name, State(to.String()))
			}
		},
	})}
}

// trouble reports whether a code is the source's own failure, and no answer.
func trouble(c ekyc.Code) bool {
	return slices.Contains([]ekyc.Code{ekyc.SourceFailed, ekyc.Busy, ekyc.Internal}, c)
}

// tried is what came of one try.
type tried struct {
	err     error // with a code
	charged bool
	again   bool // it may be repeated: it was surely not charged, or its repeat is the same call
}

// do makes one call. id names it, and is the same for its repeats.
func (g *guard) do(ctx context.Context, name string, try func(ctx context.Context, id string) tried) error {
	_, err := g.breaker.Execute(func() (struct{}, error) { return struct{}{}, g.call(ctx, name, try) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		if g.c.Observer != nil {
			g.c.Observer.Spared(g.c.Name)
		}
		return ekyc.Errorf(ekyc.SourceFailed, "the source %s failed several times in a row and is left alone for a moment", g.c.Name)
	}
	return err
}

func (g *guard) call(ctx context.Context, name string, try func(ctx context.Context, id string) tried) error {
	var id [16]byte
	if _, err := io.ReadFull(g.c.Rand, id[:]); err != nil {
		return ekyc.Wrap(ekyc.Internal, "name a call", err)
	}
	c := Call{ID: hex.EncodeToString(id[:]), Source: g.c.Name, Name: name, LogID: ekyc.CallOf(ctx), Begun: g.c.Now().UTC(), Charged: true, Cost: g.c.Cost}
	if err := g.c.Journal.BeginCall(ctx, c); err != nil {
		return ekyc.Wrap(ekyc.SourceFailed, "the call could not be written down, so it was not made", err)
	}
	limited, cancel := context.WithTimeout(ctx, g.c.Timeout)
	defer cancel()
	var t tried
	for n := 0; ; n++ {
		if t = try(limited, c.ID); !t.again || n == repeats || !wait(limited, between) {
			break
		}
	}
	if c.Charged = t.charged; !c.Charged {
		c.Cost = 0
	}
	c.Ended = g.c.Now().UTC()
	c.Took, c.Code = c.Ended.Sub(c.Begun), ekyc.CodeOf(t.err)
	ekyc.Spend(ctx, c.Cost)
	if g.c.Observer != nil {
		g.c.Observer.Called(c)
	}
	// The journal is told also where the caller has gone.
	if err := g.c.Journal.EndCall(context.WithoutCancel(ctx), c); err != nil {
		g.c.Log.ErrorContext(ctx, "a source's call stays in the journal as charged", "source", c.Source, "call", c.ID, "err", err)
	}
	return t.err
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// broken is a call that did not bring a reply which can be read. It counts as charged
// unless nobody was reached.
func (g *guard) broken(err error) tried {
	if errors.Is(err, context.Canceled) {
		return tried{err: &ekyc.Error{Code: ekyc.SourceFailed, Detail: "the call was given up", Err: err}, charged: true}
	}
	t := tried{charged: true, err: &ekyc.Error{Code: ekyc.SourceFailed, Detail: "the source " + g.c.Name + " did not answer", Err: err}}
	var op *net.OpError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	if errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &op) && op.Op == "dial" {
		t.charged, t.again = false, cert == nil
	}
	return t
}

// refused is a reply that says no.
func (g *guard) refused(code ekyc.Code, charged bool, cause error) tried {
	return tried{charged: charged, err: &ekyc.Error{Code: code, Detail: "the source " + g.c.Name + " answered: " + string(code), Err: cause}}
}

// nonsense is a reply that can be read and means nothing.
func (g *guard) nonsense(format string, args ...any) tried {
	return tried{charged: true, err: &ekyc.Error{
		Code: ekyc.SourceFailed, Detail: "the source " + g.c.Name + " sent a reply that means nothing", Err: fmt.Errorf(format, args...),
	}}
}

// scored turns a vendor's score of 0 to most into a calibrated one: 80 of 100 is 0.8. That a
// vendor's 80 means a false match rate of 1e-4 too is the vendor's word; the scale is its own.
func (g *guard) scored(score, most float64) (ekyc.Score, *tried) {
	if !(score >= 0 && score <= most) { // NaN is neither
		t := g.nonsense("a score of %v of %v", score, most)
		return 0, &t
	}
	return ekyc.Score(score / most), nil
}
