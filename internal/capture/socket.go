package capture

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"shiren/internal/ekyc"
)

// capture is one socket that has said hello.
type capture struct {
	h      *Handler
	conn   *websocket.Conn
	token  ekyc.Token
	plan   ekyc.Plan
	kind   ekyc.LivenessKind
	client ekyc.Client
	end    context.CancelCauseFunc // ends the watching, not an analysis
}

// FrameHeader is the length of what precedes the JPEG image of a frame message, two
// unsigned 32-bit numbers, big-endian: the page's count of its frames, from 1, and its
// clock when it took the picture, in ms since an origin of its own. The image is upright
// and not mirrored.
const FrameHeader = 8

// message is what the server says. Which fields are sent depends on the type.
type message struct {
	Type     string            `json:"type"`
	Kind     ekyc.LivenessKind `json:"kind,omitempty"`
	Window   int               `json:"window,omitempty"`
	Interval int               `json:"interval,omitempty"`
	Hint     *string           `json:"hint,omitempty"`
	Progress *float64          `json:"progress,omitempty"`
	Seen     int64             `json:"seen,omitempty"`
	Phase    string            `json:"phase,omitempty"`
	Why      string            `json:"why,omitempty"`
	*cue
	Session *View  `json:"session,omitempty"`
	Code    string `json:"code,omitempty"`
}

// cue is an ekyc.Cue as the page is told of it, without its place in time: that is now.
type cue struct {
	N      int         `json:"n"`
	For    int64       `json:"for"` // ms
	Colour *ekyc.RGB   `json:"colour,omitempty"`
	Action ekyc.Action `json:"action,omitempty"`
	Near   *bool       `json:"near,omitempty"`
	Scale  float64     `json:"scale,omitempty"`
}

func newCue(kind ekyc.LivenessKind, c ekyc.Cue) *cue {
	m := &cue{N: c.N, For: c.For.Milliseconds()}
	switch kind {
	case ekyc.LivenessFlash:
		m.Colour = &c.Colour
	case ekyc.LivenessAction:
		m.Action = c.Action
	case ekyc.LivenessDistance:
		m.Near, m.Scale = &c.Near, c.Scale
	}
	return m
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
	c := &capture{h: h, conn: conn, end: end, client: client(r)}
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
	c.conn.SetReadLimit(maxHello)
	hello, cancel := context.WithTimeout(ctx, helloWait)
	kind, data, err := c.conn.Read(hello)
	cancel()
	if err != nil {
		return err
	}
	var first struct {
		Token          ekyc.Token        `json:"token"`
		Kind           ekyc.LivenessKind `json:"kind"`
		Camera, Device string
		Side           ekyc.CardSide `json:"side"`
	}
	if kind != websocket.MessageText || json.Unmarshal(data, &first) != nil || first.Token == "" || len(first.Token) > maxToken {
		return &fault{code: ErrHello, status: websocket.StatusPolicyViolation}
	}
	c.token = first.Token
	c.client.Camera, c.client.Device = shorten(first.Camera), shorten(first.Device)
	s, err := c.attend()
	if err != nil {
		if ekyc.CodeOf(err) == ekyc.TokenInvalid {
			return &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
		}
		return &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
	}
	if first.Side != "" {
		return c.glances(ctx, first.Side)
	}
	if v := c.h.view(&s, c.h.cfg.Now()); v.Step != StepCapture {
		return &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
	}
	c.plan = s.Plan
	if c.kind = first.Kind; c.kind == "" {
		c.kind = s.Plan.Liveness
	}
	if c.kind.Recorded() || !offered(s.Plan, c.kind) {
		return &fault{code: ErrKind, status: websocket.StatusPolicyViolation}
	}
	if err := c.h.enter(c); err != nil {
		return err
	}
	defer c.h.leave(c)
	w, err := c.begin(ctx)
	if err != nil {
		return err
	}

	return c.stream(ctx, func(ctx context.Context, box mailbox) error { return c.watch(ctx, w, box) })
}

// stream says that frames may come and has them watched until watching ends.
func (c *capture) stream(ctx context.Context, watch func(context.Context, mailbox) error) error {
	c.conn.SetReadLimit(c.h.cfg.MaxFrameBytes + FrameHeader)
	if err := c.say(message{Type: "ready", Kind: c.kind, Window: pageWindow, Interval: pageInterval}); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	box := newMailbox()
	go c.receive(ctx, stop, box)
	go c.ping(ctx, stop)
	return watch(ctx, box)
}

// offered reports whether a plan lets the capture subject present themselves this way.
func offered(p ekyc.Plan, k ekyc.LivenessKind) bool {
	return k != "" && (k == p.Liveness || k == p.Alternative || k == p.Fallback)
}

// client is what the transport says of the page.
func client(r *http.Request) ekyc.Client {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	return ekyc.Client{Address: address, Agent: shorten(r.UserAgent())}
}

// shorten makes a claim fit to be kept: valid UTF-8 of at most maxClaim characters.
func shorten(claim string) string {
	runes := []rune(strings.ToValidUTF8(claim, "\uFFFD"))
	return string(runes[:min(len(runes), maxClaim)])
}

// begin draws a challenge, which ends an earlier one of the session, and starts a
// presentation of it.
func (c *capture) begin(ctx context.Context) (*ekyc.Presentation, error) {
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	challenge, err := c.h.core.Challenge(ctx, c.token, c.kind)
	switch ekyc.CodeOf(err) {
	case ekyc.OK:
		return ekyc.NewPresentation(c.plan, challenge, c.h.cfg.Now()), nil
	case ekyc.Undecided, ekyc.TokenInvalid, ekyc.ConsentMissing, ekyc.ClaimMissing, ekyc.RefMissing:
		return nil, &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
	}
	return nil, &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
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

// Captures is how many captures are under way.
func (h *Handler) Captures() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.slots
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
		jpeg := len(data) > FrameHeader+3 && data[FrameHeader] == 0xff && data[FrameHeader+1] == 0xd8 && data[FrameHeader+2] == 0xff
		if kind != websocket.MessageBinary || !jpeg || float64(n) > frameBurst+frameRate*now.Sub(start).Seconds() {
			stop(&fault{code: ErrFrame, status: websocket.StatusPolicyViolation})
			return
		}
		box.put(arrival{ekyc.Frame{
			Image: data[FrameHeader:], At: now,
			Seq:  int(binary.BigEndian.Uint32(data)),
			Sent: time.Duration(binary.BigEndian.Uint32(data[4:])) * time.Millisecond,
		}, n})
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

// seen is a frame that was looked at.
type seen struct {
	arrival
	x   ekyc.Examination
	err error
}

// watch looks at frames until they make a presentation. One frame is looked at at a time;
// cues go out when they are due even while one is.
func (c *capture) watch(ctx context.Context, w *ekyc.Presentation, box mailbox) error {
	start := c.h.cfg.Now()
	idle := time.NewTimer(frameWait)
	defer idle.Stop()
	gap := time.NewTimer(0) // fires when the next look is due
	defer gap.Stop()
	due := time.NewTimer(time.Hour) // fires when the next cue is due
	defer due.Stop()
	looked := make(chan seen, 1)
	var (
		next     mailbox // box when a frame may be taken from it
		progress float64
		phase    = ekyc.PhaseSettle
		looking  bool
		rested   bool // gap has fired since the last look
		draws    = 1
	)
	for {
		if next = nil; rested && !looking {
			next = box
		}
		select {
		case <-ctx.Done():
			return c.ended(ctx)
		case <-idle.C:
			if looking {
				idle.Reset(frameWait) // the wait is ours
				continue
			}
			return &fault{code: ErrIdle, status: websocket.StatusPolicyViolation}
		case <-gap.C:
			rested = true
		case <-due.C:
			if err := c.cue(w, due, nil); err != nil {
				return err
			}
		case f := <-next:
			looking, rested = true, false
			idle.Reset(frameWait)
			gap.Reset(frameGap)
			want := w.Wants()
			go func() { looked <- c.look(ctx, f, box, want) }()
		case f := <-looked:
			looking = false
			idle.Reset(frameWait)
			var hint string
			switch code := ekyc.CodeOf(f.err); code {
			case ekyc.OK:
				a := w.Observe(f.Frame, f.x)
				switch {
				case a.TimedOut:
					return c.timedOut()
				case a.Done:
					p := w.Result()
					p.Client = c.client
					return c.submit(p)
				case a.Abort != ekyc.OK:
					// What was asked is known by now: what follows is another challenge.
					if draws++; draws > maxDraws || f.At.Sub(start) > ekyc.WatchTimeout {
						return c.timedOut()
					}
					var err error
					if w, err = c.begin(ctx); err != nil {
						return err
					}
					if err := c.say(message{Type: "again", Why: string(a.Abort)}); err != nil {
						return err
					}
					progress, phase = 0, ekyc.PhaseSettle
				default:
					hint, progress, phase = string(a.Hint), a.Progress, a.Phase
				}
				if err := c.cue(w, due, a.Cue); err != nil {
					return err
				}
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
				return &fault{code: ErrSystem, status: websocket.StatusInternalError, err: f.err}
			}
			if err := c.say(message{Type: "hint", Hint: &hint, Progress: &progress, Seen: f.n, Phase: phase}); err != nil {
				return err
			}
		}
	}
}

// cue sends the cue that is due, if one is, and sets the timer for the next. An observed
// frame may have handed one out already.
func (c *capture) cue(w *ekyc.Presentation, due *time.Timer, given *ekyc.Cue) error {
	now, wait := w.Due(c.h.cfg.Now())
	if now == nil {
		now = given
	}
	if wait > 0 {
		due.Reset(wait)
	}
	if now == nil {
		return nil
	}
	return c.say(message{Type: "cue", cue: newCue(c.kind, *now)})
}

// look examines a frame. Captures take turns: whoever waits for theirs looks at the newest
// frame then, and the older ones are skipped, so that hints are never about the past.
func (c *capture) look(ctx context.Context, f arrival, box mailbox, want ekyc.Want) seen {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	select {
	case c.h.looks <- struct{}{}:
		defer func() { <-c.h.looks }()
	case <-ctx.Done():
		return seen{f, ekyc.Examination{}, ekyc.Wrap(ekyc.Busy, "no turn to look at a frame in time", ctx.Err())}
	}
	select {
	case f = <-box:
	default:
	}
	x, err := c.h.core.Look(ctx, f.Image, want)
	return seen{f, x, err}
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
func (c *capture) submit(p ekyc.Presented) error {
	c.say(message{Type: "working"})
	_, err := c.h.core.Submit(context.Background(), c.token, p)
	switch ekyc.CodeOf(err) {
	case ekyc.OK:
		return c.result()
	case ekyc.Undecided, ekyc.TokenInvalid, ekyc.ConsentMissing, ekyc.ClaimMissing, ekyc.RefMissing:
		return &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
	case ekyc.ChallengeStale: // another one was drawn since
		return &fault{code: ErrReplaced, status: websocket.StatusPolicyViolation}
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
	v := c.h.view(&s, c.h.cfg.Now())
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
