package injection

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"shiren/internal/ekyc"
)

// Options of Run.
type Options struct {
	Engine ekyc.Engine // required
	Models string      // the models' folder, with the test group in it; required
	// Sessions is how many attack sessions are played of each kind, shared out evenly
	// among its attackers; half as many honest ones, among the conditions.
	Sessions int
	// Honest is how many honest sessions are played of each kind; 0: half as many as attacks.
	Honest int
	// For is how long the virtual sessions of each kind may take, honest ones and attacks
	// together; what was not played by then is not counted. 0: as long as it takes.
	For      time.Duration
	Wired    int                 // of these sessions, how many of each kind go through the WebSocket as well
	Kinds    []ekyc.LivenessKind // empty: all
	Seed     uint64
	Now      func() time.Time // the machine's clock, for wired sessions and for what Run took; required
	Progress func(line string)
}

// Count is some sessions of which some were accepted, or rejected.
type Count struct {
	Sessions int `json:"sessions"`
	Of       int `json:"count"` // accepted attacks, or rejected honest sessions
	// Interval holds 95 % of confidence (Clopper and Pearson); sessions are taken as
	// independent, which sessions of two men's video are not.
	Interval [2]float64     `json:"interval_95"`
	Codes    map[string]int `json:"codes"` // how the others ended; "" is a match
	// Why gives one example for each code of what the rules said, with their numbers.
	Why map[string]string `json:"why,omitempty"`
}

// Result is what the sessions of one kind came to.
type Result struct {
	Kind          ekyc.LivenessKind `json:"kind"`
	Sessions      int               `json:"sessions"`       // attacks
	Honest        int               `json:"honest"`         // honest sessions
	AcceptedAll   int               `json:"accepted_total"` // attacks
	AcceptedUpper float64           `json:"accepted_upper_95"`
	RejectedAll   int               `json:"honest_rejected_total"`
	Accepted      map[string]int    `json:"accepted"`        // by attacker
	Rejected      map[string]int    `json:"honest_rejected"` // by condition
	Attackers     map[string]Count  `json:"attackers"`
	Conditions    map[string]Count  `json:"conditions"`
	// MedianSeconds is from the camera's first picture to the end of the capture, of
	// honest sessions under good conditions.
	MedianSeconds float64 `json:"median_seconds"`
	Wired         *Wired  `json:"wired,omitempty"`
}

// Wired is what the sessions through the WebSocket of a listening server came to.
type Wired struct {
	Sessions int              `json:"sessions"`
	Accepted map[string]Count `json:"attackers"`
	Rejected map[string]Count `json:"conditions"`
}

// Report is the whole of Run.
type Report struct {
	Synthetic string   `json:"synthetic"` // what is simulated
	Seed      uint64   `json:"seed"`
	Sessions  int      `json:"sessions"` // attacks, of each kind
	Results   []Result `json:"kinds"`
	Pictures  int      `json:"distinct_pictures"`
	Seconds   float64  `json:"seconds"`
}

// Synthetic is said wherever figures of this package appear.
const Synthetic = "SYNTHETIC: two men's video clips with simulated screen light, movements cut together, networks and attackers; no field trial"

// wholeFrom is from how many sessions on nearly every picture is looked at for all that can be
// measured, sooner or later: then once is cheaper.
const wholeFrom = 5000

// recorded is how many honest sessions of a kind are recorded for replays.
const recorded = 60

// Run plays all sessions.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Sessions < 1 {
		return nil, fmt.Errorf("injection: %d sessions", o.Sessions)
	}
	if len(o.Kinds) == 0 {
		o.Kinds = Kinds
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	began := o.Now()
	memo := NewMemo(o.Engine)
	memo.whole = o.Sessions >= wholeFrom
	o.Progress("decoding the material")
	m, err := Load(ctx, memo, o.Models, o.Seed)
	if err != nil {
		return nil, err
	}
	rep := &Report{Synthetic: Synthetic, Seed: o.Seed, Sessions: o.Sessions}
	for _, k := range o.Kinds {
		r, err := runKind(ctx, o, memo, m, k)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		rep.Results = append(rep.Results, *r)
		m.forget()
	}
	rep.Pictures = memo.Distinct()
	rep.Seconds = o.Now().Sub(began).Seconds()
	return rep, nil
}

// job is one session to play.
type job struct {
	n    int
	name string // attacker or condition
}

// deal shares sessions out evenly among names.
func deal(names []string, sessions int) []job {
	jobs := make([]job, sessions)
	for i := range jobs {
		jobs[i] = job{i, names[i%len(names)]}
	}
	return jobs
}

// sessionRand is the chance of one session, whichever world plays it.
func sessionRand(seed uint64, kind ekyc.LivenessKind, what string, n int) *rand.Rand {
	h := seed
	for _, c := range string(kind) + "/" + what {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(h, uint64(n)))
}

func runKind(ctx context.Context, o Options, memo *Memo, m *Material, k ekyc.LivenessKind) (*Result, error) {
	t := &table{m: m, kind: k}
	res := &Result{Kind: k}
	end := time.Time{}
	if o.For > 0 {
		end = o.Now().Add(o.For)
	}

	// Honest sessions come first: what they show is what replays are made of.
	if o.Honest == 0 {
		o.Honest = o.Sessions / 2
	}
	honest := deal(Conditions, max(o.Honest, len(Conditions)))
	recordings := make([]*recording, len(honest))
	outs, err := virtualSessions(ctx, o, end, memo, m, k, honest, "honest", func(j job, r *rand.Rand) (game, error) {
		var rec **recording
		if j.name == "good" && j.n/len(Conditions) < recorded {
			rec = &recordings[j.n]
		}
		return t.honest(j.name, r, rec), nil
	})
	if err != nil {
		return nil, err
	}
	for i, r := range recordings[:len(outs)] {
		if r != nil && len(r.frames) > 0 && (k == ekyc.LivenessSilent || len(r.cues) > 0) {
			if outs[i].accepted || len(t.recordings) == 0 {
				t.recordings = append(t.recordings, r)
			}
		}
	}
	honest = honest[:len(outs)]
	res.Honest = len(outs)
	res.Conditions, res.Rejected, res.RejectedAll = count(honest, outs, func(o outcome) bool { return !o.accepted })
	var took []float64
	for i, o := range outs {
		if honest[i].name == "good" && o.accepted {
			took = append(took, o.took.Seconds())
		}
	}
	sort.Float64s(took)
	if len(took) > 0 {
		res.MedianSeconds = took[len(took)/2]
	}
	if len(t.recordings) == 0 {
		return nil, errors.New("no honest session got as far as its first cue: there is nothing to replay")
	}

	attacks := deal(Attackers(k), o.Sessions)
	outs, err = virtualSessions(ctx, o, end, memo, m, k, attacks, "attack", func(j job, r *rand.Rand) (game, error) { return t.attack(j.name, r) })
	if err != nil {
		return nil, err
	}
	attacks = attacks[:len(outs)]
	res.Sessions = len(outs)
	res.Attackers, res.Accepted, res.AcceptedAll = count(attacks, outs, func(o outcome) bool { return o.accepted })
	res.AcceptedUpper = interval(res.AcceptedAll, res.Sessions)[1]
	if o.Wired > 0 {
		if res.Wired, err = runWired(ctx, o, memo, t); err != nil {
			return nil, fmt.Errorf("through the WebSocket: %w", err)
		}
	}
	return res, nil
}

// virtualSessions plays jobs in as many worlds as there are CPUs. The outcomes are in
// the order of the jobs and do not depend on the number of worlds; those of the last jobs
// are missing if end, unless it is zero, comes first.
func virtualSessions(ctx context.Context, o Options, end time.Time, memo *Memo, m *Material, k ekyc.LivenessKind, jobs []job, what string, make_ func(job, *rand.Rand) (game, error)) ([]outcome, error) {
	outs := make([]outcome, len(jobs))
	var mu sync.Mutex
	done, played := 0, len(jobs)
	group, ctx := errgroup.WithContext(ctx)
	worlds := min(runtime.NumCPU(), len(jobs))
	for n := range worlds {
		group.Go(func() (err error) {
			var w *world
			defer func() {
				if w != nil {
					err = errors.Join(err, w.close())
				}
			}()
			for i := n; i < len(jobs); i += worlds {
				if err := ctx.Err(); err != nil {
					return err
				}
				if !end.IsZero() && o.Now().After(end) {
					mu.Lock()
					played = min(played, i)
					mu.Unlock()
					return nil
				}
				if w == nil {
					if w, err = newWorld(ctx, memo, m, o.Seed^uint64(n)<<32^uint64(len(what)), nil); err != nil {
						return err
					}
				}
				r := sessionRand(o.Seed, k, what, i)
				w.reseed(r)
				g, err := make_(jobs[i], r)
				if err != nil {
					return err
				}
				if outs[i], err = w.play(ctx, k, g, r); err != nil {
					return fmt.Errorf("%s session %d (%s): %w", what, i, jobs[i].name, err)
				}
				mu.Lock()
				if done++; done%200 == 0 || done == len(jobs) {
					o.Progress(fmt.Sprintf("%s: %d of %d %s sessions, %d distinct pictures", k, done, len(jobs), what, memo.Distinct()))
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err := group.Wait()
	return outs[:played], err
}

func count(jobs []job, outs []outcome, hit func(outcome) bool) (map[string]Count, map[string]int, int) {
	m, hits, total := map[string]Count{}, map[string]int{}, 0
	for i, j := range jobs {
		c := m[j.name]
		if c.Codes == nil {
			c.Codes, c.Why = map[string]int{}, map[string]string{}
		}
		c.Sessions++
		if hit(outs[i]) {
			c.Of++
			total++
		}
		code := string(outs[i].code)
		c.Codes[code]++
		if c.Why[code] == "" && outs[i].why != "" {
			c.Why[code] = outs[i].why
		}
		m[j.name] = c
	}
	for name, c := range m {
		c.Interval = interval(c.Of, c.Sessions)
		m[name], hits[name] = c, c.Of
	}
	return m, hits, total
}
