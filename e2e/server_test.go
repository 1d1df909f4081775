package e2e

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"shiren/internal/config"
	"shiren/internal/engine"
	"shiren/internal/engine/card"
	"shiren/internal/engine/enginetest"
	"shiren/internal/server"
)

// house is a whole server, as `shiren serve` builds it, with a clock that can be moved.
type house struct {
	*server.Server
	URL  string
	Logs *logs
	line *line

	mu     sync.Mutex
	offset time.Duration
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const (
	apiKey, secretKey   = "ak0123456789", "sk0123456789"
	otherKey, otherGate = "akOther6789", "skOther6789"
)

// networks are opened once, as `shiren serve` opens them: they remember nothing.
var networks struct {
	sync.Once
	engine *engine.Engine
	cards  *card.Reader
	err    error
}

// open starts a server with two apps and a plan of each kind:
// live, uploaded, oneshot (uploaded, dies on failure, keeps media), entered, declared;
// and one plan of liveness only for each of more, under the name of its liveness.
func open(t *testing.T, more ...func(*config.Plan)) *house {
	t.Helper()
	walk(t)
	c := config.Default()
	c.Data, c.Models.Dir = t.TempDir(), enginetest.Dir(t)
	c.Apps = []config.App{
		{ID: "8574074", Name: "demo", Key: apiKey, Secret: secretKey},
		{ID: "8574075", Name: "other", Key: otherKey, Secret: otherGate},
	}
	plan := func(id, comparison, identity string, change func(*config.Plan)) {
		p := config.DefaultPlan()
		p.ID, p.App, p.Name, p.Comparison, p.Identity = id, "8574074", id, comparison, identity
		if change != nil {
			change(&p)
		}
		c.Plans = append(c.Plans, p)
	}
	plan("live", "none", "none", nil)
	plan("uploaded", "uploaded", "none", nil)
	plan("oneshot", "uploaded", "none", func(p *config.Plan) { p.EndsOnFailure, p.KeepMedia = true, true })
	plan("entered", "authority", "entered", nil)
	plan("declared", "authority", "declared", nil)
	for _, change := range more {
		plan("", "none", "none", change)
		if p := &c.Plans[len(c.Plans)-1]; p.ID == "" {
			p.ID, p.Name = p.Liveness, p.Liveness
		}
	}
	h := &house{Logs: &logs{}}
	networks.Do(func() {
		if networks.engine, networks.err = server.OpenEngine(c); networks.err == nil {
			networks.cards, networks.err = server.OpenCards(c)
		}
	})
	if networks.err != nil {
		t.Fatal(networks.err)
	}
	s, err := server.New(t.Context(), server.Options{
		Config: c, Engine: networks.engine, Cards: networks.cards, Now: h.now, Log: slog.New(slog.NewTextHandler(h.Logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Server = s
	web := httptest.NewUnstartedServer(s.Handler)
	h.line = &line{Listener: web.Listener, open: map[net.Conn]bool{}}
	web.Listener = h.line
	web.Start()
	h.URL = strings.Replace(web.URL, "127.0.0.1", "localhost", 1) // a secure context by name, as for a developer
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("the server logged:\n%s", h.Logs)
		}
	})
	return h
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.offset)
}

// wait moves the server's clock.
func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offset += d
}

// goal is a relying party's site to which the page leads on; it remembers what came.
type goal struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func site(t *testing.T) *goal {
	g := &goal{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.seen = append(g.seen, r.RequestURI)
		g.mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>site</title><h1 data-testid="site">relying party</h1>`)
	}))
	t.Cleanup(g.Close)
	return g
}

// took returns whether the site was asked for exactly this path and query.
func (g *goal) took(uri string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.seen {
		if s == uri {
			return true
		}
	}
	return false
}

// line is a network that can be cut: live connections break and new ones fail.
type line struct {
	net.Listener
	mu   sync.Mutex
	off  bool
	open map[net.Conn]bool
}

func (l *line) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		if !l.off {
			l.open[c] = true
			l.mu.Unlock()
			return c, nil
		}
		l.mu.Unlock()
		c.Close()
	}
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = true
	for c := range l.open {
		c.Close()
	}
	clear(l.open)
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = false
}
