package ekyc

import (
	"sync"
	"time"
)

// limiter counts calls of apps in this process. The zero value is ready.
type limiter struct {
	mu   sync.Mutex
	apps map[AppID]*meter
}

type meter struct {
	tokens float64 // calls that may be made at once
	at     time.Time
	day    int64 // days since 1970, Beijing time: the vendor's day
	today  int64
}

// beijing is the vendor's time zone; China has had no other since 1991.
const beijing = 8 * time.Hour

func (l *limiter) admit(app App, now time.Time) error {
	if app.PerSecond <= 0 && app.PerDay <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.apps[app.ID]
	if m == nil {
		if l.apps == nil {
			l.apps = map[AppID]*meter{}
		}
		m = &meter{tokens: float64(app.PerSecond), at: now}
		l.apps[app.ID] = m
	}
	if d := dayOf(now); d != m.day {
		m.day, m.today = d, 0
	}
	if app.PerDay > 0 && m.today >= app.PerDay {
		return Errorf(LimitDay, "the app's %d calls of today are used up", app.PerDay)
	}
	if app.PerSecond > 0 {
		// A bucket of one second's calls that refills evenly.
		m.tokens = min(float64(app.PerSecond), m.tokens+now.Sub(m.at).Seconds()*float64(app.PerSecond))
		m.at = now
		if m.tokens < 1 {
			return Errorf(LimitRate, "the app may make %d calls a second; slow down", app.PerSecond)
		}
		m.tokens--
	}
	m.today++
	return nil
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
