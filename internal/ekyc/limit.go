package ekyc

import (
	"container/list"
	"context"
	"encoding/hex"
	"net/netip"
	"sync"
	"time"
)

// Limits bound calls of every interface of every protocol together. 0 is unlimited.
type Limits struct {
	PerSecond int64
	PerDay    int64 // by Beijing's calendar
	Total     int64 // ever, counted from when the limit was set
}

// limits are the app's own: in test mode TestTotal takes the place of Total.
func (a App) limits() Limits {
	l := Limits{PerSecond: a.PerSecond, PerDay: a.PerDay, Total: a.Total}
	if a.Test {
		l.Total = a.TestTotal
	}
	return l
}

// maxAddresses bounds the addresses that are counted at once; beyond it the one that
// called longest ago is forgotten. Our choice: 65,536 meters are some 15 MB.
const maxAddresses = 1 << 16

// addressBits is how much of an IPv6 address is counted as one: a customer is given a
// /64 and may call from anywhere in it (RFC 6177). An IPv4 address is counted whole.
const addressBits = 64

// limiter counts calls in this process. The zero value is ready.
type limiter struct {
	mu        sync.Mutex
	apps      map[string]*meter
	addresses map[string]*list.Element // of *meter
	recent    list.List                // addresses, the last that called first
}

type meter struct {
	name   string
	tokens float64 // calls that may be made at once
	at     time.Time
	day    int64 // days since 1970, Beijing time: the vendor's day
	today  int64
	spare  int64 // calls of a total that were reserved and not made yet
}

// beijing is the vendor's time zone; China has had no other since 1991.
const beijing = 8 * time.Hour

// words are the codes of a meter's limits, and who is limited.
type words struct {
	rate, day, total Code
	who              string
}

var (
	appWords     = words{LimitRate, LimitDay, LimitTotal, "the app"}
	testWords    = words{LimitRate, LimitDay, LimitTest, "the test app"}
	addressWords = words{LimitAddressRate, LimitAddressDay, LimitAddressTotal, "the address"}
)

// metered is a meter with what it is held to.
type metered struct {
	*meter
	Limits
	words
}

// reserve takes up to n of a counter's calls that are left below most; see Store.Reserve.
type reserve func(ctx context.Context, name string, n, most int64) (int64, error)

// admit counts a call of app from an address, or says which limit it would exceed. A call
// that is refused for its rate or its day counts nowhere.
func (l *limiter) admit(ctx context.Context, app App, address string, now time.Time, more reserve) error {
	var held []metered
	l.mu.Lock()
	if own := app.limits(); own != (Limits{}) {
		m := metered{l.app(app, now), own, appWords}
		if app.Test {
			m.words = testWords
		}
		held = append(held, m)
	}
	if app.PerAddress != (Limits{}) && address != "" {
		held = append(held, metered{l.address(string(app.ID)+" "+address, app.PerAddress, now), app.PerAddress, addressWords})
	}
	for _, m := range held {
		if err := m.ready(now); err != nil {
			l.mu.Unlock()
			return err
		}
	}
	for _, m := range held {
		if m.PerSecond > 0 {
			m.tokens--
		}
		m.today++
	}
	l.mu.Unlock()
	for _, m := range held {
		if m.Total <= 0 {
			continue
		}
		if err := l.spend(ctx, m, more); err != nil {
			return err
		}
	}
	return nil
}

func (l *limiter) app(app App, now time.Time) *meter {
	name := "app " + string(app.ID)
	if app.Test {
		name = "test " + string(app.ID)
	}
	m := l.apps[name]
	if m == nil {
		if l.apps == nil {
			l.apps = map[string]*meter{}
		}
		m = &meter{name: name, tokens: float64(app.PerSecond), at: now}
		l.apps[name] = m
	}
	return m
}

func (l *limiter) address(name string, limits Limits, now time.Time) *meter {
	if e := l.addresses[name]; e != nil {
		l.recent.MoveToFront(e)
		return e.Value.(*meter)
	}
	if l.addresses == nil {
		l.addresses = map[string]*list.Element{}
	}
	if len(l.addresses) >= maxAddresses {
		last := l.recent.Back()
		delete(l.addresses, l.recent.Remove(last).(*meter).name)
	}
	m := &meter{name: name, tokens: float64(limits.PerSecond), at: now}
	l.addresses[name] = l.recent.PushFront(m)
	return m
}

// ready brings the meter up to now and says which limit one more call would exceed.
func (m metered) ready(now time.Time) error {
	if d := dayOf(now); d != m.meter.day {
		m.meter.day, m.today = d, 0
	}
	if m.PerDay > 0 && m.today >= m.PerDay {
		return Errorf(m.words.day, "%s's %d calls of today are used up", m.who, m.PerDay)
	}
	// A bucket of one second's calls that refills evenly.
	m.tokens = min(float64(m.PerSecond), m.tokens+now.Sub(m.at).Seconds()*float64(m.PerSecond))
	m.at = now
	if m.PerSecond > 0 && m.tokens < 1 {
		return Errorf(m.rate, "%s may make %d calls a second; slow down", m.who, m.PerSecond)
	}
	return nil
}

// maxReserved bounds the calls that are reserved at once, so that not every call writes to
// the database: a hundredth of the total, at most a hundred. What a process that ends has
// reserved and not used is lost to the app. Our choice.
const maxReserved = 100

// spend takes one call of a total, which is kept in the store and outlives the process.
func (l *limiter) spend(ctx context.Context, m metered, more reserve) error {
	l.mu.Lock()
	if m.spare > 0 {
		m.spare--
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()
	n, err := more(ctx, m.name, min(maxReserved, max(1, m.Total/100)), m.Total)
	switch {
	case err != nil:
		return Wrap(Internal, "count calls", err)
	case n < 1:
		return Errorf(m.total, "%s may make %d calls in all, and they are used up; the operator can raise it", m.who, m.Total)
	}
	l.mu.Lock()
	m.spare += n - 1
	l.mu.Unlock()
	return nil
}

type addressKey struct{}

// From notes the address that a request came from, for Admit. Whoever accepts the request
// says which address that is; the core believes it.
func From(ctx context.Context, a netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, a.Unmap())
}

func addressOf(ctx context.Context) netip.Addr {
	a, _ := ctx.Value(addressKey{}).(netip.Addr)
	return a
}

// Admit counts one call against the limits of the app and of the address that it comes
// from (see From), after the app's lists of addresses. Codes: AddressBanned,
// AddressUnlisted, LimitRate, LimitDay, LimitTotal, LimitTest, LimitAddressRate,
// LimitAddressDay, LimitAddressTotal. Rates and days are kept in this process and start
// anew with it; totals are kept in the store. An address is stored as a keyed digest.
func (s *Service) Admit(ctx context.Context, app App) error {
	from := addressOf(ctx)
	if err := app.reach(from); err != nil {
		return err
	}
	name := ""
	if from.IsValid() && app.PerAddress != (Limits{}) {
		bits := from.BitLen()
		if from.Is6() {
			bits = addressBits
		}
		p, _ := from.Prefix(bits) // bits fit
		d := s.Sealer.Digest("address", []byte(string(app.ID)+"\x00"+p.String()))
		name = hex.EncodeToString(d[:16])
	}
	return s.limiter.admit(ctx, app, name, s.Now(), s.Store.Reserve)
}

// reach says whether the app may be called from an address.
func (a App) reach(from netip.Addr) error {
	if within(a.Deny, from) {
		return Errorf(AddressBanned, "calls from this address are banned by the app's operator")
	}
	if len(a.Allow) > 0 && !within(a.Allow, from) {
		return Errorf(AddressUnlisted, "this address is not on the app's list of addresses")
	}
	return nil
}

// ParsePrefix reads an address or a range of addresses: 192.0.2.7, 192.0.2.0/24, 2001:db8::/32.
func ParsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func within(list []string, a netip.Addr) bool {
	for _, s := range list {
		if p, err := ParsePrefix(s); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}

// GrantsPerWindow is how many access tokens an app may ask for in GrantsWindow. Huawei's
// token page: 1000 in 5 minutes.
const (
	GrantsPerWindow = 1000
	GrantsWindow    = 5 * time.Minute
)

// allowance counts grants in windows that begin with the first. The zero value is ready.
type allowance struct {
	mu   sync.Mutex
	apps map[AppID]*span
}

type span struct {
	from time.Time
	n    int
}

// take reports whether an app, which exists, may have one more.
func (l *allowance) take(app AppID, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.apps[app]
	if m == nil {
		if l.apps == nil {
			l.apps = map[AppID]*span{}
		}
		m = &span{from: now}
		l.apps[app] = m
	}
	if now.Sub(m.from) >= GrantsWindow {
		m.from, m.n = now, 0
	}
	m.n++
	return m.n <= GrantsPerWindow
}
