// Package demo makes data that looks like a deployment's and cannot be taken for one: for trying
// the console, and for tests that need something to look at.
//
// Everything is marked. Apps have ids that begin with 0, which no command gives, are switched off,
// and say 示例 in their names as their plans do; tokens begin with DEMO and log ids with 9, which
// are none of the core's; every person is called 示例·…, and has an identity number of a region
// that does not exist (99) and a running number (990 to 995) that no county gives out. Pictures
// are drawings that say SPECIMEN.
//
// Sessions are made with the core's own methods, which decide, charge and count; the store writes
// them as it writes real ones, sealed, with charges and counts in the same transaction. A real
// database holds sessions for ekyc.ResultKept and their charges and counts for ever, and so does
// this one: of sessions whose time is over only those are written. The rest is erased by purges
// as it falls due.
package demo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/store"
)

// Config says what to make and where.
type Config struct {
	Store  *store.Store
	Blobs  ekyc.Blobs
	Sealer ekyc.Sealer
	// Now is the moment before which everything happened, to the millisecond.
	Now time.Time
	// Seed decides everything else: the same one makes the same data, but for keys.
	Seed uint64
	// Sessions is how many there were; a direct call comes with every third.
	Sessions int
	Days     int // that they are spread over, 1 to MaxDays; 0 means DefaultDays
	// Force goes on where real apps are in use.
	Force bool
	// Progress is told how many sessions are done; nil for nobody.
	Progress func(done int)
}

// Bounds of Config.Days. Our choices.
const (
	DefaultDays = 90
	MaxDays     = 3 * 366
)

// loadAtOnce is how many sessions are written in one transaction. Our choice.
const loadAtOnce = 2000

// pictured is how many sessions have pictures, the last ones. Our choice.
const pictured = 12

// Made is what Seed made.
type Made struct {
	Apps, Plans int
	Sessions    int // records that can be looked at
	Past        int // sessions whose records would have been erased by now
	Directs     int
}

// Errors of Seed.
var (
	ErrThere = errors.New("there is demo data already; `shiren demo remove` takes it away")
	ErrReal  = errors.New("the database is in use by other apps")
)

// Seed makes demo data. It refuses a database that holds some already, even in part (ErrThere),
// or in which other apps have left sessions, calls or charges (ErrReal), unless it is forced.
func Seed(ctx context.Context, c Config) (Made, error) {
	if c.Days == 0 {
		c.Days = DefaultDays
	}
	if c.Sessions < 0 || c.Days < 1 || c.Days > MaxDays {
		return Made{}, fmt.Errorf("demo: %d sessions over %d days: want 0 or more over 1 to %d", c.Sessions, c.Days, MaxDays)
	}
	if err := vacant(ctx, c); err != nil {
		return Made{}, fmt.Errorf("demo: %w", err)
	}
	w := newWorld(c)
	made := Made{Apps: len(w.apps)}
	for _, a := range w.apps {
		if err := c.Store.PutApp(ctx, a); err != nil {
			return made, fmt.Errorf("demo: %w", err)
		}
	}
	for _, s := range w.scenes {
		if err := c.Store.PutPlan(ctx, s.plan); err != nil {
			return made, fmt.Errorf("demo: %w", err)
		}
		made.Plans++
	}
	err := w.write(ctx, &made)
	if err != nil {
		return made, fmt.Errorf("demo: %w; `shiren demo remove` takes away what was made", err)
	}
	return made, nil
}

// vacant returns nil where demo data may be put.
func vacant(ctx context.Context, c Config) error {
	apps, err := c.Store.Apps(ctx)
	if err != nil {
		return err
	}
	for _, a := range apps {
		if slices.Contains(AppIDs(), a.ID) {
			return ErrThere
		}
	}
	if c.Force {
		return nil
	}
	used, err := c.Store.Used(ctx, AppIDs())
	if err == nil && len(used) > 0 {
		err = fmt.Errorf("%w (%s, …): demo data would stand among theirs in lists and sums", ErrReal, used[0])
	}
	return err
}

// write makes sessions and calls in the order of their time and writes them while the next are made.
func (w *world) write(ctx context.Context, made *Made) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type part struct {
		store.Batch
		done int
	}
	parts := make(chan part, 1)
	failed := make(chan error, 1)
	go func() {
		defer close(parts)
		var p part
		for i, at := range w.moments() {
			if i >= w.c.Sessions-pictured && w.c.Now.Sub(at) < ekyc.ResultKept/2 {
				w.pictured = true
			}
			r := rand.New(rand.NewPCG(w.c.Seed, uint64(i)))
			ses, err := w.session(ctx, r, at)
			if err != nil {
				failed <- err
				return
			}
			if ses.Until().After(w.c.Now) {
				p.Sessions = append(p.Sessions, ses)
			} else {
				p.Past = append(p.Past, ses)
			}
			if r.IntN(3) == 0 {
				p.Directs = append(p.Directs, w.direct(r, at))
			}
			if p.done = i + 1; p.done%loadAtOnce == 0 || p.done == w.c.Sessions {
				select {
				case parts <- p:
				case <-ctx.Done():
					return
				}
				p.Batch = store.Batch{}
			}
		}
	}()
	for p := range parts {
		if err := w.c.Store.Load(ctx, p.Batch); err != nil {
			return err
		}
		made.Sessions += len(p.Sessions)
		made.Past += len(p.Past)
		made.Directs += len(p.Directs)
		if w.c.Progress != nil {
			w.c.Progress(p.done)
		}
	}
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}

// Remove takes all demo data away: records, pictures, charges, counts, plans and apps. It may be
// interrupted and repeated; where there is none it does nothing.
func Remove(ctx context.Context, s *store.Store, blobs ekyc.Blobs) (store.Removed, error) {
	var all store.Removed
	for _, id := range AppIDs() {
		r, err := s.Remove(ctx, id, func(ses ekyc.Session) error {
			refs := []string{}
			for _, e := range ses.Evidence {
				refs = append(refs, e.Ref)
			}
			if ses.Reference != nil {
				refs = append(refs, ses.Reference.Evidence.Ref)
			}
			for _, ref := range refs {
				if err := blobs.Delete(ctx, ref); err != nil {
					return err
				}
			}
			return nil
		})
		all.Sessions += r.Sessions
		all.Directs += r.Directs
		all.Charges += r.Charges
		if err != nil {
			return all, fmt.Errorf("demo: %w", err)
		}
	}
	return all, nil
}

// ref names a picture of a session.
func ref(t ekyc.Token, what string) string {
	return hex.EncodeToString(digest("demo picture " + string(t) + what)[:16])
}
