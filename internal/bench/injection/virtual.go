package injection

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"shiren/internal/ekyc"
)

// link is what lies between a camera and the server: times and losses.
type link struct {
	every  time.Duration // between two pictures of the camera
	wobble time.Duration // each picture is late by up to this
	up     time.Duration // page to server
	jitter time.Duration // each picture travels longer by up to this; none overtakes another
	down   time.Duration // server to page
	show   time.Duration // page to screen and screen to camera
	lost   float64       // share of the pictures that the camera or the page loses
}

const (
	// looking is how long the engine takes to look at a picture, and lookGap the least
	// time between two looks: what the capture socket does on two cores.
	looking = 30 * time.Millisecond
	lookGap = 80 * time.Millisecond
	// giveUp ends a session that comes to nothing.
	giveUp = 90 * time.Second
)

// clock is the time of one world. Safe for concurrent use.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t
	}
}

type event struct {
	at time.Duration
	n  int
	do func() error
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// outcome is how a session ended.
type outcome struct {
	accepted bool
	code     ekyc.Code
	why      string
	took     time.Duration // from the first picture to the end of the capture
}

// say takes what the rules said of an attempt, with its numbers.
func (o *outcome) say(a ekyc.Attempt) {
	r := a.Response
	if r == nil || len(r.Cues) == 0 {
		return
	}
	var met, sizes strings.Builder
	for _, c := range r.Cues {
		if c.Met {
			met.WriteByte('+')
		} else {
			met.WriteByte('-')
		}
		fmt.Fprintf(&sizes, " %.2f/%d", c.Size, c.Lag.Milliseconds())
	}
	o.why = fmt.Sprintf("%s [chance %.2g, lag %v, skin %.3f, back %.3f, depth %.2f, PAD %.2f, cues %s size/lag%s]",
		r.Why, r.Chance, r.Lag, r.Skin, r.Back, r.Depth, float64(a.Live), met.String(), sizes.String())
}

var errTimedOut = errors.New("the presentation timed out")

// What the page is told by the server's first message: it sends at most window pictures
// that are not accounted for, one in each interval.
const (
	window    = 6
	sendEvery = 100 * time.Millisecond
)

// present plays a presentation under the clock, from its first picture until it is done,
// as the capture socket and the page do. It returns errTimedOut, or *broken when the
// presentation must begin anew.
func (w *world) present(ctx context.Context, p ekyc.Plan, c ekyc.Challenge, s subject, l link, r *rand.Rand) (ekyc.Presented, time.Duration, error) {
	start := w.clock.Now()
	v := &virtual{w: w, ctx: ctx, start: start, pres: ekyc.NewPresentation(p, c, start), s: s, l: l, r: r}
	v.push(0, v.shoot)
	for !v.over {
		e := heap.Pop(&v.queue).(event)
		if v.now = e.at; e.at > giveUp {
			return ekyc.Presented{}, e.at, errTimedOut
		}
		w.clock.set(start.Add(e.at))
		if err := e.do(); err != nil {
			return ekyc.Presented{}, e.at, err
		}
	}
	return v.pres.Result(), v.now, nil
}

// broken says that a presentation ended before its time.
type broken struct{ code ekyc.Code }

func (b *broken) Error() string { return "the presentation must begin anew: " + string(b.code) }

// virtual is one presentation.
type virtual struct {
	w     *world
	ctx   context.Context
	start time.Time
	pres  *ekyc.Presentation
	s     subject
	l     link
	r     *rand.Rand

	queue events
	n     int
	now   time.Duration
	over  bool

	sent, seen int           // pictures, by the page's count
	lastSent   time.Duration // by the page
	lastIn     time.Duration // arrival of the newest
	box        *arrival      // the newest that nobody has looked at
	looks      bool          // a look is in the queue
	free       time.Duration // when the next look may be
	timer      time.Duration // when the next cue is due, 0 if no timer runs
}

type arrival struct {
	at, sent time.Duration
	seq      int
	data     []byte
}

func (v *virtual) push(at time.Duration, do func() error) {
	v.n++
	heap.Push(&v.queue, event{at, v.n, do})
}

// shoot is the camera and the page at one picture.
func (v *virtual) shoot() error {
	again := v.l.every
	if v.l.wobble > 0 {
		again += time.Duration(v.r.Int64N(int64(v.l.wobble)))
	}
	v.push(v.now+again, v.shoot)
	if v.sent > 0 && v.now-v.lastSent < sendEvery-5*time.Millisecond || v.sent-v.seen >= window || v.r.Float64() < v.l.lost {
		return nil
	}
	data, err := v.s.frame(v.now)
	if err != nil {
		return err
	}
	v.sent++
	v.lastSent = v.now
	travel := v.l.up
	if v.l.jitter > 0 {
		travel += time.Duration(v.r.Int64N(int64(v.l.jitter)))
	}
	v.lastIn = max(v.lastIn, v.now+travel)
	a := &arrival{v.lastIn, v.now, v.sent, data}
	v.push(a.at, func() error {
		v.box = a // the newest wins
		if !v.looks {
			v.looks = true
			v.push(max(v.now, v.free), v.look)
		}
		return nil
	})
	return nil
}

// look is the server at one picture.
func (v *virtual) look() error {
	f := v.box
	v.box, v.looks, v.free = nil, false, v.now+lookGap
	a, _, err := v.w.server.Service.Follow(v.ctx, v.pres, ekyc.Frame{Image: f.data, At: v.start.Add(f.at), Seq: f.seq, Sent: f.sent})
	if err != nil {
		return fmt.Errorf("look: %w", err)
	}
	if code, over := a.Over(); over {
		switch code {
		case ekyc.OK:
			v.over = true
			return nil
		case ekyc.TimedOut:
			return errTimedOut
		}
		return &broken{code}
	}
	said := v.now + looking
	if a.Cue != nil {
		v.show(said, *a.Cue)
	}
	v.push(said+v.l.down, func() error {
		v.seen = max(v.seen, f.seq)
		return nil
	})
	return v.wind(said)
}

// wind sets the timer for the next cue.
func (v *virtual) wind(now time.Duration) error {
	cue, wait := v.pres.Due(v.start.Add(now))
	if cue != nil {
		v.show(now, *cue)
	}
	if wait <= 0 || v.timer > now {
		return nil
	}
	v.timer = now + wait
	v.push(v.timer, func() error { v.timer = 0; return v.wind(v.now) })
	return nil
}

func (v *virtual) show(now time.Duration, c ekyc.Cue) {
	at := now + v.l.down + v.l.show
	v.push(at, func() error { v.s.shown(at, c); return nil })
}
