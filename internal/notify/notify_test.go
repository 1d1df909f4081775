package notify_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shiren/internal/ekyc"
	"shiren/internal/notify"
	"shiren/internal/seal"
	"shiren/internal/store"
)

var noon = time.Date(2026, 5, 4, 4, 0, 0, 0, time.UTC)

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// logs collects what was logged.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

func (l *logs) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func chance(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// open opens a database in memory that is closed with the test.
func open(t testing.TB) *store.Alarms {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), chance(1))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{DSN: "sqlite::memory:", Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Alarms()
}

// certificate is one for 127.0.0.1, and a pool that trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return srv.TLS.Certificates[0], roots
}

// queue puts deliveries into a store by way of a tried one that is asked for again, as a console does.
func queue(t testing.TB, s *store.Alarms, now time.Time, d notify.Delivery) notify.Delivery {
	t.Helper()
	d.Created, d.State, d.Until = now, notify.GivenUp, now
	if err := s.PutTried(t.Context(), d, notify.Try{N: 0, At: now, Err: "not yet"}); err != nil {
		t.Fatal(err)
	}
	d, err := s.Replay(t.Context(), d.ID, now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func delivery(t testing.TB, s *store.Alarms, id string) (notify.Delivery, []notify.Try) {
	t.Helper()
	d, tries, err := s.Delivery(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d, tries
}

// scripted is a Sender that says what it is told.
type scripted func(ctx context.Context, d notify.Delivery) notify.Try

func (f scripted) Send(ctx context.Context, d notify.Delivery) notify.Try { return f(ctx, d) }

// A receiver that never answers is tried for three days, at growing pauses, and then given up; one
// that comes back gets its message.
func TestThreeDays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		back  time.Duration // after which it answers
		state notify.State
	}{
		{"never back", 100 * 24 * time.Hour, notify.GivenUp},
		{"back after two days", 48 * time.Hour, notify.Delivered},
		{"back after a minute", time.Minute, notify.Delivered},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, now := open(t), &clock{t: noon}
			var at []time.Time
			courier := &notify.Courier{Queue: s, Now: now.Now, Log: slog.New(slog.DiscardHandler), Hooks: scripted(func(context.Context, notify.Delivery) notify.Try {
				at = append(at, now.Now())
				if now.Now().Sub(noon) >= c.back {
					return notify.Try{Status: 200}
				}
				return notify.Try{Status: 503, Err: "down"}
			})}
			d := queue(t, s, noon, notify.Delivery{ID: "a", Channel: notify.Webhook, To: "x", Body: []byte("{}")})
			const step, coarse = 10 * time.Second, 5 * time.Minute
			for now.Now().Before(noon.Add(4 * 24 * time.Hour)) {
				if _, err := courier.Round(t.Context()); err != nil {
					t.Fatal(err)
				}
				if now.Now().Sub(noon) < time.Hour {
					now.move(step)
				} else {
					now.move(coarse)
				}
			}
			d, tries := delivery(t, s, d.ID)
			if d.State != c.state {
				t.Errorf("state %s after %d tries, want %s", d.State, d.Tries, c.state)
			}
			if len(tries) != len(at)+1 || tries[0].N != len(at) {
				t.Errorf("%d tries are written down, the last as number %d; want %d", len(tries)-1, tries[0].N, len(at))
			}
			if last := at[len(at)-1].Sub(noon); last > notify.Keep {
				t.Errorf("tried after %v, want at most %v", last, notify.Keep)
			} else if c.state == notify.GivenUp && last < notify.Keep-12*time.Hour {
				t.Errorf("given up after %v, long before %v are over", last, notify.Keep)
			}
			if len(at) > 30 {
				t.Errorf("%d tries, want at most 30: a receiver in trouble is left alone", len(at))
			}
			for i := 2; i < len(at); i++ {
				if a, b := at[i-1].Sub(at[i-2]), at[i].Sub(at[i-1]); b+coarse < a {
					t.Errorf("pause %d is %v after one of %v: pauses grow", i, b, a)
				}
			}
			if c.state == notify.Delivered && at[len(at)-1].Sub(noon.Add(c.back)) > min(c.back, 6*time.Hour)+coarse {
				t.Errorf("delivered %v after it was back", at[len(at)-1].Sub(noon.Add(c.back)))
			}
		})
	}
}

// Whatever a try comes to, a delivery is either over and not due, or due later and before its end.
func TestAfter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		under := time.Duration(rapid.Int64Range(0, int64(notify.Keep)+int64(time.Hour)).Draw(t, "under way"))
		d := notify.Delivery{State: notify.Waiting, Tries: rapid.IntRange(0, 40).Draw(t, "tries"), Due: noon, Until: noon.Add(notify.Keep)}
		try := notify.Try{
			N: d.Tries + 1, At: noon.Add(under), Took: time.Duration(rapid.IntRange(0, 60).Draw(t, "seconds")) * time.Second,
			Err: rapid.SampledFrom([]string{"", "down"}).Draw(t, "err"), Final: rapid.Bool().Draw(t, "final"),
		}
		got := d.After(try)
		if got.Tries != try.N {
			t.Fatalf("Tries = %d, want %d", got.Tries, try.N)
		}
		switch got.State {
		case notify.Waiting:
			if try.Err == "" || try.Final || !got.Due.After(try.At.Add(try.Took)) || !got.Due.Before(d.Until) {
				t.Fatalf("waiting until %v after %+v", got.Due, try)
			}
		case notify.Delivered:
			if try.Err != "" || !got.Due.IsZero() {
				t.Fatalf("delivered, due %v, after %+v", got.Due, try)
			}
		case notify.GivenUp:
			if try.Err == "" || !got.Due.IsZero() || !try.Final && under < notify.Keep/2 {
				t.Fatalf("given up, due %v, after %+v", got.Due, try)
			}
		default:
			t.Fatalf("state %q", got.State)
		}
	})
}

// Two couriers on one store send a message once; what a dead one claimed is sent after its claim.
func TestOneOfTwoSends(t *testing.T) {
	t.Parallel()
	s, now := open(t), &clock{t: noon}
	var mu sync.Mutex
	sent := map[string]int{}
	send := scripted(func(_ context.Context, d notify.Delivery) notify.Try {
		mu.Lock()
		defer mu.Unlock()
		sent[d.ID]++
		return notify.Try{Status: 200}
	})
	const n = 40
	for i := range n {
		queue(t, s, noon, notify.Delivery{ID: string(rune('A' + i)), Channel: notify.Webhook, To: "x"})
	}
	var group sync.WaitGroup
	for range 2 {
		c := &notify.Courier{Queue: s, Now: now.Now, Log: slog.New(slog.DiscardHandler), Hooks: send}
		group.Go(func() {
			for range 5 {
				if _, err := c.Round(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if len(sent) != n {
		t.Errorf("%d messages were sent, want %d", len(sent), n)
	}
	for id, times := range sent {
		if times != 1 {
			t.Errorf("message %s was sent %d times", id, times)
		}
	}

	dead := queue(t, s, noon, notify.Delivery{ID: "dead", Channel: notify.Webhook, To: "x"})
	ctx, cancel := context.WithCancel(t.Context())
	killed := &notify.Courier{Queue: s, Now: now.Now, Log: slog.New(slog.DiscardHandler), Hooks: scripted(func(context.Context, notify.Delivery) notify.Try {
		cancel()
		return notify.Try{Err: "the process ends"}
	})}
	if _, err := killed.Round(ctx); err == nil {
		t.Error("a round whose context ended said nothing")
	}
	c := &notify.Courier{Queue: s, Now: now.Now, Log: slog.New(slog.DiscardHandler), Hooks: send}
	if n, err := c.Round(t.Context()); n != 0 || err != nil {
		t.Errorf("Round = %d, %v while somebody else has the message; want 0", n, err)
	}
	now.move(10 * time.Minute)
	if n, err := c.Round(t.Context()); n != 1 || err != nil || sent[dead.ID] != 1 {
		t.Errorf("Round = %d, %v after the claim, and it was sent %d times; want 1", n, err, sent[dead.ID])
	}
	if d, _ := delivery(t, s, dead.ID); d.State != notify.Delivered || d.Tries != 1 {
		t.Errorf("the message is %s after %d tries, want delivered after 1", d.State, d.Tries)
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	e := notify.Endpoint{}.Rotate("one", noon, time.Hour)
	if got := e.Valid(noon); len(got) != 1 || got[0] != "one" {
		t.Errorf("a first secret: %d valid", len(got))
	}
	e = e.Rotate("two", noon, time.Hour)
	if got := strings.Join(e.Valid(noon.Add(59*time.Minute)), " "); got != "two one" {
		t.Errorf("within the overlap %q sign, want both, the new one first", got)
	}
	if got := strings.Join(e.Valid(noon.Add(time.Hour)), " "); got != "two" {
		t.Errorf("after the overlap %q sign, want the new one", got)
	}
	e = e.Rotate("three", noon, time.Hour)
	if got := strings.Join(e.Valid(noon), " "); got != "three two" {
		t.Errorf("after two rotations %q sign, want the last two", got)
	}
	if got := strings.Join(e.Rotate("four", noon, 0).Valid(noon), " "); got != "four" {
		t.Errorf("without an overlap %q sign, want the new one", got)
	}
	if s := e.Secrets[0].Secret; s.String() == "three" || ekyc.Secret.GoString(s) == "three" {
		t.Error("a signing secret does not mask itself")
	}
}

func TestCleanAndAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"攻击率过高", 5, "攻击率过高"},
		{"a\r\nBcc: x@y.z", 99, "a  Bcc: x@y.z"},
		{"a\u202egnp.exe", 99, "a gnp.exe"},
		{"a\u2028b\x00c\x1b[m", 99, "a b c [m"},
		{"0123456789", 8, "01234567…"},
		{"\xff", 99, " "},
	} {
		if got := notify.Clean(c.in, c.n); got != c.want {
			t.Errorf("Clean(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
	for _, good := range []string{"ops@example.com", "a.b+c@sub.example.com"} {
		if err := notify.CheckAddress(good); err != nil {
			t.Errorf("CheckAddress(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "ops", "ops@", "@example.com", "Ops <ops@example.com>", "ops@example.com, x@example.com", "ops@example.com\r\nBcc: x@example.com",
		"运维@example.com", " ops@example.com", strings.Repeat("a", 250) + "@example.com",
	} {
		if err := notify.CheckAddress(bad); err == nil {
			t.Errorf("CheckAddress(%q) = nil", bad)
		}
	}
}
