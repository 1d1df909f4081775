package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"shiren/internal/ekyc"
)

// maxToken bounds what is taken for a token; tokens have 24 characters.
const maxToken = 128

// statuses gives the HTTP status of the codes that the core answers here with. Others
// are a 500.
var statuses = map[ekyc.Code]int{
	ekyc.BadRequest:      http.StatusBadRequest,
	ekyc.BodyTooLarge:    http.StatusRequestEntityTooLarge,
	ekyc.TokenInvalid:    http.StatusNotFound,
	ekyc.Undecided:       http.StatusConflict,
	ekyc.ConsentMissing:  http.StatusConflict,
	ekyc.NotSwitchedOn:   http.StatusConflict,
	ekyc.BadName:         http.StatusUnprocessableEntity,
	ekyc.BadIDNumber:     http.StatusUnprocessableEntity,
	ekyc.BadDocumentType: http.StatusUnprocessableEntity,
	ekyc.Busy:            http.StatusServiceUnavailable,
	ekyc.VideoTooLarge:   http.StatusRequestEntityTooLarge,
	ekyc.VideoTooLong:    http.StatusUnprocessableEntity,
	ekyc.VideoTooShort:   http.StatusUnprocessableEntity,
	ekyc.VideoFormat:     http.StatusUnprocessableEntity,
	ekyc.VideoDamaged:    http.StatusUnprocessableEntity,
	ekyc.VideoSilent:     http.StatusUnprocessableEntity,
	ekyc.ImageEmpty:      http.StatusUnprocessableEntity,
	ekyc.ImageTooLarge:   http.StatusRequestEntityTooLarge,
	ekyc.ImagePixels:     http.StatusUnprocessableEntity,
	ekyc.ImageFormat:     http.StatusUnprocessableEntity,
	ekyc.ImageHEIC:       http.StatusUnprocessableEntity,
	ekyc.ImageAnimated:   http.StatusUnprocessableEntity,
	ekyc.ImageDamaged:    http.StatusUnprocessableEntity,
	ekyc.ChallengeStale:  http.StatusConflict,

	ekyc.DocumentNone:      http.StatusUnprocessableEntity,
	ekyc.DocumentOther:     http.StatusUnprocessableEntity,
	ekyc.DocumentWrongSide: http.StatusUnprocessableEntity,
	ekyc.DocumentBlurred:   http.StatusUnprocessableEntity,
	ekyc.DocumentCut:       http.StatusUnprocessableEntity,
	ekyc.DocumentGlare:     http.StatusUnprocessableEntity,
	ekyc.DocumentDark:      http.StatusUnprocessableEntity,
	ekyc.DocumentExpired:   http.StatusUnprocessableEntity,
	ekyc.DocumentCopy:      http.StatusUnprocessableEntity,
	ekyc.DocumentDoubtful:  http.StatusUnprocessableEntity,
	ekyc.BadDocumentField:  http.StatusUnprocessableEntity,
	ekyc.DocumentTries:     http.StatusConflict,
	ekyc.ClaimMissing:      http.StatusConflict,
	ekyc.RefMissing:        http.StatusConflict,
}

// failure is the body of an answer that is not a View.
type failure struct {
	Error struct {
		Code string `json:"code"`
	} `json:"error"`
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := ekyc.CodeOf(err)
	status, known := statuses[code]
	if !known {
		status = http.StatusInternalServerError
		h.log.ErrorContext(r.Context(), "a call of the capture page failed", "path", r.URL.Path, "code", string(code), "err", err)
	}
	var f failure
	f.Error.Code = string(code)
	if !known {
		f.Error.Code = ErrSystem
	}
	reply(w, status, f)
}

// tell answers with the session as it now is.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, t ekyc.Token) {
	s, err := h.attend(r, t)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	reply(w, http.StatusOK, h.view(&s, h.cfg.Now()))
}

func (h *Handler) attend(r *http.Request, t ekyc.Token) (ekyc.Session, error) {
	if t == "" || len(t) > maxToken {
		return ekyc.Session{}, errNoToken
	}
	return h.core.Attend(r.Context(), t)
}

// arrive is attend for the page's first call.
func (h *Handler) arrive(r *http.Request, t ekyc.Token) (ekyc.Session, error) {
	if t == "" || len(t) > maxToken {
		return ekyc.Session{}, errNoToken
	}
	return h.core.Arrive(r.Context(), t)
}

var errNoToken = ekyc.Errorf(ekyc.TokenInvalid, "the address holds no token")

func (h *Handler) session(w http.ResponseWriter, r *http.Request) {
	t := ekyc.Token(r.URL.Query().Get("token"))
	app, err1 := url.PathUnescape(r.Header.Get("Shiren-App"))
	subject, err2 := url.PathUnescape(r.Header.Get("Shiren-Subject"))
	s, err := h.arrive(r, t)
	switch {
	case err != nil:
		h.refuse(w, r, err)
	case err1 != nil || app != "" && app != string(s.App):
		reply(w, http.StatusOK, h.foreign(&s, ForeignApp))
	case err2 != nil || subject != "" && subject != string(s.Subject):
		reply(w, http.StatusOK, h.foreign(&s, ForeignSubject))
	default:
		reply(w, http.StatusOK, h.view(&s, h.cfg.Now()))
	}
}

// decode reads a JSON body. Asking for its media type keeps other sites' forms out.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return ekyc.Errorf(ekyc.BadRequest, "the body must be application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return ekyc.Errorf(ekyc.BodyTooLarge, "the body exceeds %d bytes", maxBody)
	} else if err != nil {
		return ekyc.Errorf(ekyc.BadRequest, "the body could not be read")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil || d.More() {
		// The decoder's own words may repeat the input.
		return ekyc.Errorf(ekyc.BadRequest, "the body is not the JSON object that this call takes")
	}
	return nil
}

func (h *Handler) consent(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Token   ekyc.Token `json:"token"`
		Version string     `json:"version"`
	}
	err := decode(w, r, &q)
	if err == nil {
		err = h.core.Agree(r.Context(), q.Token, q.Version)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.tell(w, r, q.Token)
}

func (h *Handler) identity(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Token  ekyc.Token        `json:"token"`
		Name   string            `json:"name"`
		Number string            `json:"number"`
		Type   ekyc.DocumentType `json:"type"`
	}
	err := decode(w, r, &q)
	var claim ekyc.Claim
	if err == nil {
		claim, err = ekyc.ParseClaim(q.Name, q.Number, q.Type)
	}
	if err == nil {
		err = h.core.Enter(r.Context(), q.Token, claim)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.tell(w, r, q.Token)
}

// abandon records that no presentation came about. The same reason twice in a row is
// one event: a page that is reloaded must not use up the session's attempts.
func (h *Handler) abandon(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Token  ekyc.Token `json:"token"`
		Reason string     `json:"reason"`
	}
	err := decode(w, r, &q)
	code := ekyc.Code(q.Reason)
	if err == nil && code != ekyc.CameraRefused && code != ekyc.Cancelled {
		err = ekyc.Errorf(ekyc.BadRequest, "a page may report %q or %q", ekyc.CameraRefused, ekyc.Cancelled)
	}
	var s ekyc.Session
	if err == nil {
		s, err = h.attend(r, q.Token)
	}
	if n := len(s.Attempts); err == nil && (n == 0 || s.Attempts[n-1].Code != code) {
		err = h.core.Abandon(r.Context(), q.Token, code)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.tell(w, r, q.Token)
}
