package capture

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"shiren/internal/ekyc"
)

// Headers of an upload.
const (
	headerChallenge = "Shiren-Challenge"
	headerCamera    = "Shiren-Camera"
	headerDevice    = "Shiren-Device"
)

// prompts is the challenge of a recorded kind, as the page is told of it.
type prompts struct {
	ID      string            `json:"id"`
	Kind    ekyc.LivenessKind `json:"kind"`
	Expires int64             `json:"expires"` // s
	Cues    []prompt          `json:"cues"`
}

type prompt struct {
	N      int         `json:"n"`
	After  int64       `json:"after"` // ms since the recording's start
	For    int64       `json:"for"`   // ms
	Action ekyc.Action `json:"action,omitempty"`
	Digit  string      `json:"digit,omitempty"`
}

// challenge draws the challenge of a recorded kind and tells it whole. The cues of
// real-time kinds never leave the server before they are due.
func (h *Handler) challenge(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Token ekyc.Token        `json:"token"`
		Kind  ekyc.LivenessKind `json:"kind"`
	}
	err := decode(w, r, &q)
	if err == nil {
		_, err = h.recordable(r, q.Token, func(p ekyc.Plan) bool { return q.Kind.Recorded() && offered(p, q.Kind) })
	}
	var c ekyc.Challenge
	if err == nil {
		c, err = h.core.Challenge(r.Context(), q.Token, q.Kind)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	p := prompts{ID: c.ID, Kind: c.Kind, Expires: int64(c.Until.Sub(h.cfg.Now()).Seconds()), Cues: []prompt{}}
	for _, cue := range c.Cues {
		p.Cues = append(p.Cues, prompt{cue.N, cue.After.Milliseconds(), cue.For.Milliseconds(), cue.Action, cue.Digit})
	}
	reply(w, http.StatusOK, p)
}

// recordable returns the session if it is at its capture and its plan takes recordings.
func (h *Handler) recordable(r *http.Request, t ekyc.Token, takes func(ekyc.Plan) bool) (ekyc.Session, error) {
	s, err := h.attend(r, t)
	if err != nil {
		return s, err
	}
	switch step, _ := step(&s, s.State(h.cfg.Now())); step {
	case StepCapture:
	case StepRunning:
		return s, ekyc.Errorf(ekyc.Undecided, "an attempt of this token is under way; wait for its result")
	case StepConsent:
		return s, ekyc.Errorf(ekyc.ConsentMissing, "the capture subject has not agreed to the authorisation text")
	case StepIdentity, StepDocument:
		return s, ekyc.Errorf(ekyc.ClaimMissing, "the capture subject has not said who they are")
	default:
		return s, ekyc.Errorf(ekyc.TokenInvalid, "the session takes no more captures")
	}
	if !takes(s.Plan) {
		return s, ekyc.Errorf(ekyc.NotSwitchedOn, "the plan does not take this kind of recording")
	}
	return s, nil
}

// recording takes an uploaded file and has it analysed. The socket may break meanwhile:
// the attempt is recorded all the same.
func (h *Handler) recording(w http.ResponseWriter, r *http.Request) {
	bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token := ekyc.Token(bearer)
	challenge := r.Header.Get(headerChallenge)
	c := client(r)
	c.Camera, c.Device = claimed(r, headerCamera), claimed(r, headerDevice)
	var err error
	if !isBearer || challenge == "" || len(challenge) > maxToken {
		err = ekyc.Errorf(ekyc.BadRequest, "an upload needs the headers Authorization: Bearer and %s", headerChallenge)
	} else {
		_, err = h.recordable(r, token, func(p ekyc.Plan) bool {
			return p.Liveness.Recorded() || p.Fallback.Recorded()
		})
	}
	if err == nil {
		err = h.upload(w, r, token, challenge, c)
	}
	if err != nil {
		// The connection may still hold the rest of a file that nobody reads.
		w.Header().Set("Connection", "close")
		h.refuse(w, r, err)
		return
	}
	h.tell(w, r, token)
}

func (h *Handler) upload(w http.ResponseWriter, r *http.Request, t ekyc.Token, challenge string, c ekyc.Client) error {
	if err := h.enterUpload(); err != nil {
		return err
	}
	defer h.leaveUpload()
	data, err := h.take(w, r, h.cfg.MaxRecordingBytes, ekyc.VideoTooLarge, ekyc.VideoDamaged)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), analyseWait)
	defer cancel()
	_, err = h.core.Record(ctx, t, challenge, data, c)
	return err
}

// take reads an uploaded file: at most limit bytes, and within its own deadline where the
// server sets one for all its answers.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, limit int64, large, empty ekyc.Code) ([]byte, error) {
	deadline := http.NewResponseController(w)
	now := h.cfg.Now()
	deadline.SetReadDeadline(now.Add(uploadWait))
	deadline.SetWriteDeadline(now.Add(uploadWait + analyseWait + writeWait))
	tooLarge := ekyc.Errorf(large, "the file exceeds %d bytes", limit)
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case err != nil:
		return nil, ekyc.Errorf(ekyc.BadRequest, "the file did not arrive whole")
	case len(data) == 0:
		return nil, ekyc.Errorf(empty, "the file is empty")
	}
	return data, nil
}

// claimed reads a percent-encoded claim.
func claimed(r *http.Request, header string) string {
	v, err := url.PathUnescape(r.Header.Get(header))
	if err != nil {
		return ""
	}
	return shorten(v)
}

func (h *Handler) enterUpload() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing || h.uploads >= h.cfg.MaxUploads {
		return ekyc.Errorf(ekyc.Busy, "%d recordings are being taken; try again in a moment", h.uploads)
	}
	h.uploads++
	h.group.Add(1)
	return nil
}

func (h *Handler) leaveUpload() {
	h.mu.Lock()
	h.uploads--
	h.mu.Unlock()
	h.group.Done()
}
