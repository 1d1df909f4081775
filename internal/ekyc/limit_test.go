package ekyc

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// counters is the store's part of totals.
type counters map[string]int64

func (c counters) reserve(_ context.Context, name string, n, most int64) (int64, error) {
	n = max(0, min(n, most-c[name]))
	c[name] += n
	return n, nil
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	var l limiter
	app := App{ID: "1", PerSecond: 2, PerDay: 5}
	now := t0
	got := func() Code { return CodeOf(l.admit(t.Context(), app, "", now, nil)) }
	want := []Code{OK, OK, LimitRate}
	for i, w := range want {
		if g := got(); g != w {
			t.Errorf("call %d: got %q, want %q", i, g, w)
		}
	}
	for i, w := range []Code{OK, OK, OK, LimitDay} {
		now = now.Add(time.Second)
		if g := got(); g != w {
			t.Errorf("call %d of the day: got %q, want %q", i+2, g, w)
		}
	}
	now = time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC) // midnight in Beijing
	if g := got(); g != OK {
		t.Errorf("on the next day: got %q, want OK", g)
	}
}

// One address uses up what is its own; another is not the worse for it, and the app's own
// allowance is untouched by calls that were refused.
func TestLimitOfOneAddress(t *testing.T) {
	t.Parallel()
	var l limiter
	app := App{ID: "1", PerSecond: 3, PerAddress: Limits{PerSecond: 1, PerDay: 2, Total: 3}}
	kept := counters{}
	now := t0
	got := func(address string) Code { return CodeOf(l.admit(t.Context(), app, address, now, kept.reserve)) }
	for i, c := range []struct {
		address string
		want    Code
	}{{"a", OK}, {"a", LimitAddressRate}, {"a", LimitAddressRate}, {"b", OK}, {"c", OK}, {"d", LimitRate}} {
		if g := got(c.address); g != c.want {
			t.Errorf("call %d, of %s: got %q, want %q", i, c.address, g, c.want)
		}
	}
	now = now.Add(time.Second)
	if g := got("a"); g != OK {
		t.Errorf("a second later: got %q, want OK", g)
	}
	now = now.Add(time.Second)
	if g := got("a"); g != LimitAddressDay {
		t.Errorf("the third call of the day: got %q, want %q", g, LimitAddressDay)
	}
	for i, want := range []Code{OK, LimitAddressTotal} {
		now = now.Add(24 * time.Hour)
		if g := got("a"); g != want {
			t.Errorf("day %d: got %q, want %q", i+2, g, want)
		}
	}
}

// A total outlives the process, to the last call, and in test mode another one counts.
func TestTotals(t *testing.T) {
	t.Parallel()
	kept := counters{}
	app := App{ID: "1", Total: 250, TestTotal: 2}
	calls := func(l *limiter) (n int, end Code) {
		for {
			if end = CodeOf(l.admit(t.Context(), app, "", t0, kept.reserve)); end != OK || n > 1000 {
				return n, end
			}
			n++
		}
	}
	var first limiter
	for range 100 {
		if err := first.admit(t.Context(), app, "", t0, kept.reserve); err != nil {
			t.Fatal(err)
		}
	}
	n, end := calls(new(limiter)) // a new process
	if n != 150 || end != LimitTotal {
		t.Errorf("after 100 calls of 250 another process made %d and ended with %q; want 150 and %q", n, end, LimitTotal)
	}
	app.Test = true
	if n, end = calls(&first); n != 2 || end != LimitTest {
		t.Errorf("in test mode %d calls, then %q; want 2 and %q", n, end, LimitTest)
	}
}

// A limit that is set while the server runs counts from then.
func TestLimitsThatChange(t *testing.T) {
	t.Parallel()
	var l limiter
	app := App{ID: "1", PerDay: 1000}
	got := func(now time.Time) Code { return CodeOf(l.admit(t.Context(), app, "", now, nil)) }
	for range 100 {
		if g := got(t0); g != OK {
			t.Fatalf("got %q, want OK", g)
		}
	}
	app.PerSecond = 1
	if g := got(t0.Add(time.Second)); g != OK {
		t.Errorf("a second after a rate was set: got %q, want OK", g)
	}
}

func TestOldestAddressIsForgotten(t *testing.T) {
	t.Parallel()
	var l limiter
	app := App{ID: "1", PerAddress: Limits{PerSecond: 1}}
	for i := range maxAddresses + 10 {
		if err := l.admit(t.Context(), app, fmt.Sprint(i), t0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.addresses) != maxAddresses || l.recent.Len() != maxAddresses {
		t.Errorf("%d and %d addresses are kept, want %d", len(l.addresses), l.recent.Len(), maxAddresses)
	}
	if err := l.admit(t.Context(), app, fmt.Sprint(maxAddresses), t0, nil); CodeOf(err) != LimitAddressRate {
		t.Errorf("one of the last addresses: got %v, want its limit", err)
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	app := App{Allow: []string{"192.0.2.0/24", "2001:db8::/32", "::1"}, Deny: []string{"192.0.2.7"}}
	for in, want := range map[string]Code{
		"192.0.2.1": OK, "192.0.2.7": AddressBanned, "198.51.100.1": AddressUnlisted, "2001:db8::7": OK, "::1": OK,
		"2001:db9::7": AddressUnlisted, "::ffff:192.0.2.1": OK, "::ffff:192.0.2.7": AddressBanned,
	} {
		ctx := From(t.Context(), netip.MustParseAddr(in))
		if got := CodeOf(app.reach(addressOf(ctx))); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	if got := CodeOf(app.reach(addressOf(t.Context()))); got != AddressUnlisted {
		t.Errorf("an unknown address: got %q, want %q", got, AddressUnlisted)
	}
	if got := CodeOf(App{}.reach(addressOf(t.Context()))); got != OK {
		t.Errorf("an app without lists: got %q, want OK", got)
	}
}
