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
	if d := int64(now.Add(beijing).Unix() / 86400); d != m.day {
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
