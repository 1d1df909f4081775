package capture

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"shiren/internal/ekyc"
)

// capture is one socket that has said hello.
type capture struct {
	h     *Handler
	conn  *websocket.Conn
	token ekyc.Token
	end   context.CancelCauseFunc // ends the watching, not an analysis
}

// message is what the server says. Which fields are sent depends on the type.
type message struct {
	Type     string   `json:"type"`
	Window   int      `json:"window,omitempty"`
	Interval int      `json:"interval,omitempty"`
	Hint     *string  `json:"hint,omitempty"`
	Progress *float64 `json:"progress,omitempty"`
	Seen     int64    `json:"seen,omitempty"`
	Session  *View    `json:"session,omitempty"`
	Code     string   `json:"code,omitempty"`
}

// HintBusy is the one hint that is not the core's: the engine had no time to look.
const HintBusy = "busy"

// fault ends a capture with an error message to the page. An err is logged.
type fault struct {
	code   string
	status websocket.StatusCode
	err    error
}

func (f *fault) Error() string {
	if f.err != nil {
		return f.code + ": " + f.err.Error()
	}
	return f.code
}

func (f *fault) Unwrap() error { return f.err }

func (h *Handler) capture(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: h.cfg.Origins})
	if err != nil {
		return // Accept has answered: not a WebSocket, or from another origin
	}
	defer conn.CloseNow()
	ctx, end := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer end(nil)
	c := &capture{h: h, conn: conn, end: end}
	err = c.talk(ctx)
	var f *fault
	switch {
	case err == nil:
		conn.Close(websocket.StatusNormalClosure, "")
	case errors.As(err, &f):
		if f.err != nil {
			h.log.ErrorContext(ctx, "a capture was broken off", "code", f.code, "err", f.err)
		}
		c.say(message{Type: "error", Code: f.code})
		conn.Close(f.status, f.code)
	}
	// Any other error is the socket's own end: there is nobody to tell.
}

// talk is the whole conversation. A *fault is for the page; nil is a result; any other
// error means that the socket broke.
func (c *capture) talk(ctx context.Context) error {
	c.conn.SetReadLimit(1 << 10)
	hello, cancel := context.WithTimeout(ctx, helloWait)
	kind, data, err := c.conn.Read(hello)
	cancel()
	if err != nil {
		return err
	}
	var first struct {
		Token ekyc.Token `json:"token"`
	}
	if kind != websocket.MessageText || json.Unmarshal(data, &first) != nil || first.Token == "" || len(first.Token) > maxToken {
		return &fault{code: ErrHello, status: websocket.StatusPolicyViolation}
	}
	c.token = first.Token
	s, err := c.attend()
	if err != nil {
		if ekyc.CodeOf(err) == ekyc.TokenInvalid {
			return &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
		}
		return &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
	}
	now := c.h.cfg.Now()
	if v := view(&s, now); v.Step != StepCapture {
		return &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
	}
	if err := c.h.enter(c); err != nil {
		return err
	}
	defer c.h.leave(c)

	c.conn.SetReadLimit(c.h.cfg.MaxFrameBytes)
	if err := c.say(message{Type: "ready", Window: pageWindow, Interval: pageInterval}); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	box := newMailbox()
	go c.receive(ctx, stop, box)
	go c.ping(ctx, stop)
	return c.watch(ctx, ekyc.NewWatch(s.Plan, now), box)
}

// enter takes a place for the capture, ending an earlier one of the same session.
func (h *Handler) enter(c *capture) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.captures[c.token.Digest()]
	switch {
	case h.closing:
		return &fault{code: ErrRestart, status: websocket.StatusGoingAway}
	case old != nil:
		old.end(errReplaced)
	case h.slots >= h.cfg.MaxCaptures:
		return &fault{code: ErrBusy, status: websocket.StatusTryAgainLater}
	}
	h.captures[c.token.Digest()] = c
	h.slots++
	h.group.Add(1)
	return nil
}

func (h *Handler) leave(c *capture) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.captures[c.token.Digest()] == c {
		delete(h.captures, c.token.Digest())
	}
	h.slots--
	h.group.Done()
}

// arrival is a frame and how many had arrived with it.
type arrival struct {
	ekyc.Frame
	n int64
}

// mailbox holds the newest frame that nobody has looked at. One goroutine puts.
type mailbox chan arrival

func newMailbox() mailbox { return make(mailbox, 1) }

func (b mailbox) put(a arrival) {
	select {
	case <-b: // an older one is dropped
	default:
	}
	b <- a
}

// receive reads frames until the socket or ctx ends.
func (c *capture) receive(ctx context.Context, stop context.CancelCauseFunc, box mailbox) {
	start := c.h.cfg.Now()
	for n := int64(1); ; n++ {
		// A cancelled read would cut the socket before the page has been told why.
		kind, data, err := c.conn.Read(context.WithoutCancel(ctx))
		if err != nil {
			stop(err)
			return
		}
		now := c.h.cfg.Now()
		jpeg := len(data) > 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff
		if kind != websocket.MessageBinary || !jpeg || float64(n) > frameBurst+frameRate*now.Sub(start).Seconds() {
			stop(&fault{code: ErrFrame, status: websocket.StatusPolicyViolation})
			return
		}
		box.put(arrival{ekyc.Frame{Image: data, At: now}, n})
	}
}

// ping keeps the socket alive and notices a page that is gone without a word.
func (c *capture) ping(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// Not under ctx: a cancelled ping would cut the socket before its last words.
		pong, cancel := context.WithTimeout(context.Background(), writeWait)
		err := c.conn.Ping(pong)
		cancel()
		if err != nil {
			stop(err)
			return
		}
	}
}

// watch looks at frames until they make a presentation.
func (c *capture) watch(ctx context.Context, w *ekyc.Watch, box mailbox) error {
	start := c.h.cfg.Now()
	idle := time.NewTimer(frameWait)
	defer idle.Stop()
	gap := time.NewTimer(0) // fires when the next look is due
	defer gap.Stop()
	var progress float64
	for {
		select {
		case <-ctx.Done():
			return c.ended(ctx)
		case <-gap.C:
		}
		var f arrival
		select {
		case <-ctx.Done():
			return c.ended(ctx)
		case <-idle.C:
			return &fault{code: ErrIdle, status: websocket.StatusPolicyViolation}
		case f = <-box:
		}
		idle.Reset(frameWait)
		gap.Reset(frameGap)
		x, err := c.look(ctx, f.Image)
		var hint string
		switch code := ekyc.CodeOf(err); code {
		case ekyc.OK:
			a := w.Observe(f.Frame, x)
			switch {
			case a.TimedOut:
				return c.timedOut()
			case a.Done:
				return c.submit(w.Frames())
			}
			hint, progress = string(a.Hint), a.Progress
		case ekyc.Busy:
			if c.h.cfg.Now().Sub(start) > ekyc.WatchTimeout {
				return &fault{code: ErrBusy, status: websocket.StatusTryAgainLater}
			}
			hint = HintBusy
		case ekyc.ImageEmpty, ekyc.ImageTooLarge, ekyc.ImagePixels, ekyc.ImageFormat, ekyc.ImageHEIC, ekyc.ImageAnimated, ekyc.ImageDamaged:
			return &fault{code: ErrFrame, status: websocket.StatusPolicyViolation}
		default:
			if ctx.Err() != nil {
				return c.ended(ctx)
			}
			return &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
		}
		if err := c.say(message{Type: "hint", Hint: &hint, Progress: &progress, Seen: f.n}); err != nil {
			return err
		}
	}
}

func (c *capture) look(ctx context.Context, frame []byte) (ekyc.Examination, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	return c.h.core.Look(ctx, frame)
}

// ended turns the cause for which watching ended into what the page is told.
func (c *capture) ended(ctx context.Context) error {
	switch cause := context.Cause(ctx); cause {
	case errReplaced:
		return &fault{code: ErrReplaced, status: websocket.StatusPolicyViolation}
	case errRestart:
		return &fault{code: ErrRestart, status: websocket.StatusGoingAway}
	default:
		return cause
	}
}

// submit has the presentation analysed. The socket may break meanwhile: the attempt is
// recorded all the same.
func (c *capture) submit(frames []ekyc.Frame) error {
	c.say(message{Type: "working"})
	_, err := c.h.core.Submit(context.Background(), c.token, frames)
	switch ekyc.CodeOf(err) {
	case ekyc.OK:
		return c.result()
	case ekyc.Undecided, ekyc.TokenInvalid, ekyc.ConsentMissing, ekyc.ClaimMissing, ekyc.RefMissing:
		return &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
	}
	return &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
}

// timedOut records that no usable presentation came in time.
func (c *capture) timedOut() error {
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	switch err := c.h.core.Abandon(ctx, c.token, ekyc.TimedOut); ekyc.CodeOf(err) {
	case ekyc.OK:
		return c.result()
	case ekyc.Undecided, ekyc.TokenInvalid:
		return &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
	default:
		return &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
	}
}

// result sends the session as it now stands.
func (c *capture) result() error {
	s, err := c.attend()
	if err != nil {
		return &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
	}
	v := view(&s, c.h.cfg.Now())
	return c.say(message{Type: "result", Session: &v})
}

func (c *capture) attend() (ekyc.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), recordWait)
	defer cancel()
	return c.h.core.Attend(ctx, c.token)
}

// say writes one message. Calls may come from one goroutine at a time only.
func (c *capture) say(m message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeWait)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, b)
}
