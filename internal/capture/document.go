package capture

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"shiren/internal/ekyc"
)

// headerSide says which side of the document a picture shows.
const headerSide = "Shiren-Side"

// Reading is what was read from a picture, told once to whoever sent it.
type Reading struct {
	Side    ekyc.CardSide `json:"side"`
	Fields  []Field       `json:"fields"` // in the order in which they are printed
	Session View          `json:"session"`
}

// Field is one field of a Reading. One that is doubtful must be confirmed or corrected.
type Field struct {
	Name     ekyc.CardField `json:"name"`
	Value    string         `json:"value"`
	Doubtful bool           `json:"doubtful"`
}

// document takes a picture of a side and has it read. The connection may break meanwhile:
// the reading is recorded all the same.
func (h *Handler) document(w http.ResponseWriter, r *http.Request) {
	bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, side := ekyc.Token(bearer), ekyc.CardSide(r.Header.Get(headerSide))
	var out Reading
	var err error
	if !isBearer || side != ekyc.CardFront && side != ekyc.CardBack {
		err = ekyc.Errorf(ekyc.BadRequest, "a picture needs the headers Authorization: Bearer and %s: front or back", headerSide)
	} else {
		out, err = h.read(w, r, token, side)
	}
	if err != nil {
		// The connection may still hold the rest of a file that nobody reads.
		w.Header().Set("Connection", "close")
		h.refuse(w, r, err)
		return
	}
	reply(w, http.StatusOK, out)
}

func (h *Handler) read(w http.ResponseWriter, r *http.Request, t ekyc.Token, side ekyc.CardSide) (Reading, error) {
	// A stranger's picture is not waited for.
	s, err := h.attend(r, t)
	if err == nil {
		err = s.MayRead(h.cfg.Now())
	}
	if err == nil {
		err = h.enterUpload()
	}
	if err != nil {
		return Reading{}, err
	}
	defer h.leaveUpload()
	image, err := h.take(w, r, ekyc.MaxImage, ekyc.ImageTooLarge, ekyc.ImageEmpty)
	if err != nil {
		return Reading{}, err
	}
	read, err := h.core.ReadCard(r.Context(), t, side, image)
	if err != nil {
		return Reading{}, err
	}
	if s, err = h.attend(r, t); err != nil {
		return Reading{}, err
	}
	out := Reading{Side: side, Fields: []Field{}, Session: h.view(&s, h.cfg.Now())}
	for _, f := range side.Fields() {
		word, printed := read.Words[f]
		if printed || f == ekyc.CardName || f == ekyc.CardNumber {
			out.Fields = append(out.Fields, Field{f, word.Value, word.Doubtful || word.Value == ""})
		}
	}
	return out, nil
}

// confirm takes what the capture subject says that their document says.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Token  ekyc.Token                `json:"token"`
		Fields map[ekyc.CardField]string `json:"fields"`
	}
	err := decode(w, r, &q)
	if err == nil {
		err = h.core.ConfirmCard(r.Context(), q.Token, q.Fields)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.tell(w, r, q.Token)
}

// glances is the conversation that guides a hand holding the document.
func (c *capture) glances(ctx context.Context, side ekyc.CardSide) error {
	begun, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	switch err := c.h.core.WatchCard(begun, c.token, side); ekyc.CodeOf(err) {
	case ekyc.OK:
	case ekyc.Undecided, ekyc.TokenInvalid, ekyc.ConsentMissing:
		return &fault{code: ErrStep, status: websocket.StatusPolicyViolation}
	case ekyc.NotSwitchedOn:
		return &fault{code: ErrKind, status: websocket.StatusPolicyViolation}
	case ekyc.DocumentTries:
		return &fault{code: ErrTries, status: websocket.StatusPolicyViolation}
	default:
		return &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
	}
	if err := c.h.enter(c); err != nil {
		return err
	}
	defer c.h.leave(c)
	return c.stream(ctx, func(ctx context.Context, box mailbox) error { return c.glance(ctx, side, box) })
}

// glance looks at frames until one is worth a picture.
func (c *capture) glance(ctx context.Context, side ekyc.CardSide, box mailbox) error {
	watch := ekyc.CardWatch{Side: side}
	over := time.NewTimer(ekyc.WatchCardTimeout)
	defer over.Stop()
	idle := time.NewTimer(frameWait)
	defer idle.Stop()
	gap := time.NewTimer(0) // fires when the next glance is due
	defer gap.Stop()
	var next mailbox // box when a frame may be taken from it
	for {
		var f arrival
		select {
		case <-ctx.Done():
			return c.ended(ctx)
		case <-over.C: // the page comes back by itself
			return &fault{code: ErrIdle, status: websocket.StatusPolicyViolation}
		case <-idle.C:
			return &fault{code: ErrIdle, status: websocket.StatusPolicyViolation}
		case <-gap.C:
			next = box
			continue
		case f = <-next:
		}
		next = nil
		gap.Reset(glanceGap)
		a, err := c.glanceAt(ctx, &watch, f)
		idle.Reset(frameWait)
		if err != nil {
			if ctx.Err() != nil {
				return c.ended(ctx)
			}
			return err
		}
		if a.Take {
			return c.say(message{Type: "take"})
		}
		hint := string(a.Hint)
		if err := c.say(message{Type: "hint", Hint: &hint, Progress: &a.Progress, Seen: f.n}); err != nil {
			return err
		}
	}
}

func (c *capture) glanceAt(ctx context.Context, watch *ekyc.CardWatch, f arrival) (ekyc.CardAdvice, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	g, err := c.h.core.GlanceCard(ctx, f.Image, watch.Side)
	switch ekyc.CodeOf(err) {
	case ekyc.OK:
		return watch.Observe(g, f.At), nil
	case ekyc.Busy:
		return ekyc.CardAdvice{Hint: HintBusy}, nil
	case ekyc.ImageEmpty, ekyc.ImageTooLarge, ekyc.ImagePixels, ekyc.ImageFormat, ekyc.ImageHEIC, ekyc.ImageAnimated, ekyc.ImageDamaged:
		return ekyc.CardAdvice{}, &fault{code: ErrFrame, status: websocket.StatusPolicyViolation}
	}
	return ekyc.CardAdvice{}, &fault{code: ErrSystem, status: websocket.StatusInternalError, err: err}
}
