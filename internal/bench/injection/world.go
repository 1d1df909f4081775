package injection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/server"
)

// world is a server with a clock of its own and nobody else in it.
type world struct {
	server  *server.Server
	options server.Options
	clock   *clock
	chance  *swapped
	app     ekyc.App
	dir     string
	played  int
}

// Start is where virtual clocks begin.
var Start = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

const (
	benchApp = "900001"
	// erasing is after how many sessions what is due is erased, so that a long run keeps
	// no more than a day's work on the disk.
	erasing = 500
	// pause lies between two sessions of a world.
	pause = 2 * time.Second
)

// planFor is the plan of a kind for a person: action plans name what the person can do.
func planFor(k ekyc.LivenessKind, p *person) ekyc.PlanID {
	id := ekyc.PlanID("injection-" + string(k))
	if k == ekyc.LivenessAction {
		id += ekyc.PlanID("-" + p.name)
	}
	return id
}

// newWorld builds a server as serve does, over an empty folder. now is nil for a virtual
// clock.
func newWorld(ctx context.Context, e ekyc.Engine, m *Material, seed uint64, now func() time.Time) (_ *world, err error) {
	w := &world{clock: &clock{now: Start}, chance: &swapped{r: chance(seed)}}
	if w.dir, err = os.MkdirTemp("", "shiren-injection-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(w.dir))
		}
	}()
	var text strings.Builder
	fmt.Fprintf(&text, "listen = \"127.0.0.1:0\"\ndata = %q\n[limits]\ncaptures = 1000\n[[app]]\nid = %q\nkey = \"injectionBench\"\nsecret = \"injectionBenchSecret\"\n",
		filepath.Join(w.dir, "data"), benchApp)
	for _, k := range Kinds {
		for i, p := range m.persons {
			if i > 0 && k != ekyc.LivenessAction {
				break // the same for all
			}
			fmt.Fprintf(&text, "[[plan]]\nid = %q\napp = %q\nliveness = %q\n", planFor(k, p), benchApp, k)
			if k == ekyc.LivenessAction && len(p.names()) > 0 {
				fmt.Fprintf(&text, "actions = [\"%s\"]\n", strings.Join(p.names(), `", "`))
			}
		}
	}
	cfg, err := config.Parse("shiren.toml", []byte(text.String()), nil, nil)
	if err != nil {
		return nil, err
	}
	w.options = server.Options{
		Config: cfg, Engine: e, Now: w.clock.Now, Rand: w.chance, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if now != nil {
		w.options.Now, w.options.Rand = now, nil
	}
	if w.server, err = server.New(ctx, w.options); err != nil {
		return nil, err
	}
	if w.app, err = w.server.Store.App(ctx, benchApp); err != nil {
		return nil, errors.Join(err, w.server.Close())
	}
	return w, nil
}

// chance is a seeded source of bytes; it never fails.
func chance(seed uint64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.NewChaCha8(key)
}

// swapped is the server's source of chance, which each session seeds anew: what it draws
// must not depend on which sessions came before in the same world. Safe for concurrent use.
type swapped struct {
	mu sync.Mutex
	r  io.Reader
}

func (s *swapped) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Read(b)
}

func (w *world) reseed(r *rand.Rand) {
	seed := r.Uint64()
	w.chance.mu.Lock()
	defer w.chance.mu.Unlock()
	w.chance.r = chance(seed)
}

func (w *world) close() error {
	return errors.Join(w.server.Close(), os.RemoveAll(w.dir))
}

// open makes a session whose capture subject has agreed.
func (w *world) open(ctx context.Context, plan ekyc.PlanID) (ekyc.Session, error) {
	s, err := w.server.Service.Open(ctx, w.app, plan, ekyc.Redirect{})
	if err != nil {
		return s, err
	}
	return s, w.server.Service.Agree(ctx, s.Token, s.Plan.Consent.Version)
}

// rest lets time pass after a session and now and then erases what is due.
func (w *world) rest(ctx context.Context) error {
	w.clock.set(w.clock.Now().Add(pause))
	if w.played++; w.played%erasing != 0 {
		return nil
	}
	w.clock.set(w.clock.Now().Add(ekyc.ResultKept + 24*time.Hour))
	_, err := w.server.Purge(ctx, w.options)
	return err
}

// begun is a try of a session.
type begun struct {
	world     *world
	session   ekyc.Session
	challenge ekyc.Challenge
}

// play is one session under the virtual clock: up to tries presentations, as a page
// makes them when one breaks, each by a new subject.
func (w *world) play(ctx context.Context, k ekyc.LivenessKind, g game, r *rand.Rand) (outcome, error) {
	defer w.rest(ctx)
	began := w.clock.Now()
	s, err := w.open(ctx, g.plan)
	if err != nil {
		return outcome{}, err
	}
	var out outcome
	for range tries {
		c, err := w.server.Service.Challenge(ctx, s.Token, k)
		if err != nil {
			return out, fmt.Errorf("challenge: %w", err)
		}
		p, took, err := w.present(ctx, s.Plan, c, g.subject(), g.link, r)
		var b *broken
		switch {
		case errors.Is(err, errTimedOut):
			out = outcome{code: ekyc.TimedOut, took: took}
			return out, w.server.Service.Abandon(ctx, s.Token, ekyc.TimedOut)
		case errors.As(err, &b):
			out = outcome{code: b.code, why: "broken off", took: w.clock.Now().Sub(began)}
			continue
		case err != nil:
			return out, err
		}
		t := s.Token
		if g.tamper != nil {
			if t, p, err = g.tamper(ctx, begun{w, s, c}, p); err != nil {
				return out, err
			}
		}
		a, err := w.server.Service.Submit(ctx, t, p)
		switch code := ekyc.CodeOf(err); code {
		case ekyc.OK:
		case ekyc.ChallengeStale, ekyc.TokenInvalid, ekyc.BadRequest:
			return outcome{code: code, why: "refused before an attempt", took: took}, nil
		default:
			return out, fmt.Errorf("submit: %w", err)
		}
		out = outcome{accepted: a.Outcome == ekyc.Match, code: a.Code, took: took}
		out.say(a)
		return out, nil
	}
	return out, nil
}

// tries is how often a page begins anew before it gives up.
const tries = 3

// game is one session to play.
type game struct {
	plan    ekyc.PlanID
	subject func() subject // made anew for each try
	link    link
	// tamper, when set, changes a presentation on its way to the core, or the token that
	// it is for.
	tamper func(ctx context.Context, b begun, p ekyc.Presented) (ekyc.Token, ekyc.Presented, error)
}
