package injection

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"shiren/internal/capture"
	"shiren/internal/ekyc"
)

// wiredAtOnce is how many sessions go through the WebSocket at a time: with pictures
// that were examined before, two cores keep pace.
const wiredAtOnce = 16

// runWired plays o.Wired attacks and half as many honest sessions in real time, each a
// page that talks to a listening server.
func runWired(ctx context.Context, o Options, memo *Memo, t *table) (_ *Wired, err error) {
	w, err := newWorld(ctx, memo, t.m, o.Seed, o.Now)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	at, stop, err := w.listen()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	res := &Wired{Sessions: o.Wired}
	play := func(jobs []job, what string, game func(job, *rand.Rand) (game, error)) ([]outcome, error) {
		outs := make([]outcome, len(jobs))
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(wiredAtOnce)
		for i, j := range jobs {
			group.Go(func() error {
				r := sessionRand(o.Seed, t.kind, "wired "+what, i)
				g, err := game(j, r)
				if err != nil {
					return err
				}
				if outs[i], err = w.talk(ctx, at, t.kind, g, o.Now, r); err != nil {
					return fmt.Errorf("%s session %d (%s): %w", what, i, j.name, err)
				}
				return nil
			})
		}
		return outs, group.Wait()
	}
	// Stale and reused answers cannot be given through the page's protocol: it has no
	// word for which challenge a picture answers.
	var attackers []string
	for _, a := range Attackers(t.kind) {
		if a != "stale" && a != "reused" {
			attackers = append(attackers, a)
		}
	}
	o.Progress(fmt.Sprintf("%s: %d attacks through the WebSocket", t.kind, o.Wired))
	attacks := deal(attackers, o.Wired)
	outs, err := play(attacks, "attack", func(j job, r *rand.Rand) (game, error) { return t.attack(j.name, r) })
	if err != nil {
		return nil, err
	}
	res.Accepted, _, _ = count(attacks, outs, func(o outcome) bool { return o.accepted })
	o.Progress(fmt.Sprintf("%s: %d honest sessions through the WebSocket", t.kind, max(1, o.Wired/2)))
	honest := deal(Conditions, max(1, o.Wired/2))
	outs, err = play(honest, "honest", func(j job, r *rand.Rand) (game, error) { return t.honest(j.name, r, nil), nil })
	if err != nil {
		return nil, err
	}
	res.Rejected, _, _ = count(honest, outs, func(o outcome) bool { return !o.accepted })
	return res, nil
}

// listen serves the world on this machine's loopback and returns the address of its capture
// socket. stop waits until nothing is served any more.
func (w *world) listen() (at string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: w.server.Handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	return "ws://" + l.Addr().String() + capture.Prefix + "/api/capture", func() error {
		err := srv.Close()
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}

// dial opens a capture socket for a session, says hello, and takes frames of a page's size.
func dial(ctx context.Context, at string, t ekyc.Token, k ekyc.LivenessKind) (*websocket.Conn, error) {
	origin := "http://" + strings.TrimSuffix(strings.TrimPrefix(at, "ws://"), capture.Prefix+"/api/capture")
	conn, _, err := websocket.Dial(ctx, at, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 20)
	hello, err := json.Marshal(map[string]string{"token": string(t), "kind": string(k), "device": "injection bench"})
	if err == nil {
		err = conn.Write(ctx, websocket.MessageText, hello)
	}
	if err != nil {
		return nil, errors.Join(err, conn.CloseNow())
	}
	return conn, nil
}

// framed is a picture with the header that the capture socket wants.
func framed(n int, at time.Duration, image []byte) []byte {
	data := make([]byte, capture.FrameHeader, capture.FrameHeader+len(image))
	binary.BigEndian.PutUint32(data, uint32(n))
	binary.BigEndian.PutUint32(data[4:], uint32(at.Milliseconds()))
	return append(data, image...)
}

// said is what the server tells the page; see package capture.
type said struct {
	Type             string
	Window, Interval int
	Seen             int
	N                int
	For              int
	Colour           ekyc.RGB
	Action           ekyc.Action
	Near             bool
	Scale            float64
	Why, Code        string
	Session          json.RawMessage
}

// talk is one session of a page in real time. The link's times are waited for on the
// page's side, so that the server sees what a slow line would bring.
func (w *world) talk(ctx context.Context, at string, k ekyc.LivenessKind, g game, now func() time.Time, r *rand.Rand) (outcome, error) {
	s, err := w.open(ctx, g.plan)
	if err != nil {
		return outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	conn, err := dial(ctx, at, s.Token, k)
	if err != nil {
		return outcome{}, err
	}
	defer conn.CloseNow()

	p := &page{conn: conn, now: now, link: g.link, fresh: g.subject, subject: g.subject(), start: now(), ready: make(chan struct{})}
	group, ctx := errgroup.WithContext(ctx)
	var end string
	group.Go(func() error {
		defer cancel()
		var err error
		end, err = p.listen(ctx)
		return err
	})
	group.Go(func() error { return p.shoot(ctx, r) })
	if err := group.Wait(); err != nil {
		return outcome{}, err
	}
	took := now().Sub(p.start)
	ses, err := w.server.Service.Attend(context.WithoutCancel(ctx), s.Token)
	if err != nil {
		return outcome{}, err
	}
	if n := len(ses.Attempts); n > 0 {
		a := ses.Attempts[n-1]
		out := outcome{accepted: a.Outcome == ekyc.Match, code: a.Code, took: took}
		out.say(a)
		return out, nil
	}
	return outcome{code: ekyc.Interrupted, why: end, took: took}, nil
}

// page is the page's side of a capture conversation.
type page struct {
	conn  *websocket.Conn
	now   func() time.Time
	link  link
	fresh func() subject
	start time.Time
	ready chan struct{}

	mu         sync.Mutex
	subject    subject
	sent, seen int
	window     int
	every      time.Duration
}

// listen hears the server until it says how the session ended.
func (p *page) listen(ctx context.Context) (string, error) {
	for {
		_, data, err := p.conn.Read(ctx)
		if err != nil {
			return "", fmt.Errorf("the socket ended without a result: %w", err)
		}
		var m said
		if err := json.Unmarshal(data, &m); err != nil {
			return "", err
		}
		switch m.Type {
		case "ready":
			p.mu.Lock()
			p.window, p.every = m.Window, time.Duration(m.Interval)*time.Millisecond
			p.mu.Unlock()
			close(p.ready)
		case "hint":
			p.later(p.link.down, func(time.Duration) { p.seen = max(p.seen, m.Seen) })
		case "cue":
			c := ekyc.Cue{N: m.N, For: time.Duration(m.For) * time.Millisecond, Colour: m.Colour, Action: m.Action, Near: m.Near, Scale: m.Scale}
			p.later(p.link.down+p.link.show, func(at time.Duration) { p.subject.shown(at, c) })
		case "again":
			p.later(p.link.down, func(time.Duration) { p.subject = p.fresh() })
		case "working":
		case "result":
			return "result", nil
		case "error":
			return m.Code, nil
		default:
			return "", fmt.Errorf("the server says %q, which this page does not know", m.Type)
		}
	}
}

// later runs do after a while, with the subject to itself.
func (p *page) later(after time.Duration, do func(at time.Duration)) {
	time.AfterFunc(after, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		do(p.now().Sub(p.start))
	})
}

// shoot takes and sends pictures until the socket ends.
func (p *page) shoot(ctx context.Context, r *rand.Rand) error {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return nil
	}
	line := make(chan []byte)
	go func() { // one picture travels after the other
		for {
			select {
			case <-ctx.Done():
				return
			case data := <-line:
				if p.conn.Write(ctx, websocket.MessageBinary, data) != nil {
					return // the socket has ended: listen says how
				}
			}
		}
	}()
	var last, arrives time.Duration
	wait := time.Duration(0)
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		p.mu.Lock()
		at := p.now().Sub(p.start)
		wait = p.link.every
		if p.link.wobble > 0 {
			wait += time.Duration(r.Int64N(int64(p.link.wobble)))
		}
		if p.sent > 0 && at-last < p.every-5*time.Millisecond || p.sent-p.seen >= p.window || r.Float64() < p.link.lost {
			p.mu.Unlock()
			continue
		}
		image, err := p.subject.frame(at)
		p.sent++
		n, travel := p.sent, p.link.up
		if p.link.jitter > 0 {
			travel += time.Duration(r.Int64N(int64(p.link.jitter)))
		}
		p.mu.Unlock()
		if err != nil {
			return err
		}
		last = at
		data := framed(n, at, image)
		arrives = max(arrives+time.Millisecond, at+travel)
		time.AfterFunc(arrives-at, func() {
			select {
			case line <- data:
			case <-ctx.Done():
			}
		})
	}
}
