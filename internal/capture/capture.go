// Package capture serves the capture subject: the H5 page, what it asks over HTTP, and
// the WebSocket over which it sends camera frames and is told what to do.
//
// It decides nothing. ekyc.Presentation says which frames are good, what the person is
// asked for and when a presentation is complete, ekyc.Service says what it came to; the
// page is told hints and reasons, never scores. It records nothing of a presentation
// that broke off: the page comes back with the same token and starts a new one.
//
// # Addresses
//
//	GET  /face/print, /face/print/    the page; ?token=&successUrl=&failedUrl= are read by its script
//	GET  /face/print/assets/NAME      its files, named by content
//	GET  /face/print/api/session      ?token=: the View of a session. The headers Shiren-App and
//	                                  Shiren-Subject (percent-encoded), where they are sent, are held
//	                                  against the session's own: a mix-up is StepUnusable
//	POST /face/print/api/consent      {"token","version"}: the authorisation text was agreed to
//	POST /face/print/api/identity     {"token","name","number","type"}: who the capture subject says to be
//	POST /face/print/api/abandon      {"token","reason"}: "camera_refused" or "cancelled"
//	GET  /face/print/api/capture      WebSocket, below
//	POST /face/print/api/challenge    {"token","kind"}: draws the challenge of a recorded kind, below
//	POST /face/print/api/recording    a recording or picture, below
//	POST /face/print/api/document     a picture of a side of the identity document, below
//	POST /face/print/api/document/confirm  {"token","fields"}: what was read is right, or corrected so
//
// The POST calls take and give JSON and answer with the View as it then is (but for
// challenge, document and the body of recording), or with {"error":{"code"}} and a status of 400
// and up. The codes are those of ekyc.
//
// # The capture conversation
//
// For the real-time kinds. The socket must come from the page's own origin. The token
// travels in the first message, not in the address, so that it reaches no proxy's log.
//
//	page   → {"token":"…","kind":"flash",                text, within 5 s. kind is one that the View offers,
//	          "camera":"…","device":"…"}                 "" the plan's own; camera is the label that the browser
//	                                                     gives it, device a number that the page keeps: claims
//	server → {"type":"ready","kind":"flash",             frames may be sent: at most window that are
//	          "window":2,"interval":100}                 not accounted for, one per interval (ms)
//	page   → frame                                       binary: see FrameHeader
//	server → {"type":"hint","hint":"closer","progress":0.25,"seen":7,"phase":"settle"}
//	                                                     of the first 7 frames the last was looked at;
//	                                                     earlier ones may have been dropped; "" is "all is well";
//	                                                     "busy": the engine could not look just now
//	server → {"type":"cue","n":1,"for":400,              show this now, in place of what was shown before, for
//	          "colour":[255,0,0]}                        that many ms; or "action":"blink"|"mouth"|"left"|
//	                                                     "right"|"up"|"down"; or "near":true|false with "scale",
//	                                                     the face's size asked for as a multiple of that before
//	server → {"type":"again","why":"no_face"}            the presentation broke: show nothing more of it; another
//	                                                     challenge has been drawn. why is a code of ekyc: no_face,
//	                                                     several_faces, face_changed or challenge_stale
//	server → {"type":"working"}                          the presentation is complete: stop the camera
//	server → {"type":"result","session":View}            then closes normally
//	server → {"type":"error","code":"…"}                 then closes; see the Err constants
//
// The challenge is drawn here when the socket opens, once more whenever a presentation
// breaks, and never sent: the page is told each cue at the moment at which the core wants
// it shown, and learns nothing of those that follow. What the page says of itself
// (sequence, clock, camera, device) is recorded as its claim and decides nothing in its
// favour. The client's address is that of the connection; forwarded headers are not read.
//
// A frame that arrives while an earlier one is being looked at replaces the one that
// waits: the newest wins and nothing queues. A session has one capture at a time: a
// newer socket of the same token takes over, which is what a page does that lost its
// network. An analysis that has begun goes on when its socket breaks; the page finds
// its result through api/session.
//
// # Recorded kinds
//
// For browsers without a live camera, where the plan allows it. The page asks for a
// challenge, shows its prompts while it records, and uploads the whole:
//
//	page   → POST api/challenge {"token","kind":"recorded_action"}
//	server → {"id":"…","kind":"recorded_action","expires":300,
//	          "cues":[{"n":1,"after":1000,"for":2500,"action":"blink"},…]}   ms; expires in s
//	page   → POST api/recording, the file as the body, with the headers
//	           Authorization: Bearer TOKEN
//	           Shiren-Challenge: ID
//	           Shiren-Camera, Shiren-Device: claims, percent-encoded; may be absent
//	server → View
//
// These are the only kinds whose cues are known before they are due: the recording is
// made without a connection, and what it proves is that it is younger than its challenge.
// A file that cannot be used costs its challenge and one attempt, which says why in the
// View; one that is too large is refused unread, with a code.
//
// # Identity documents
//
// For plans that read one, at the step "document". The sides of the View are photographed
// one after the other; what was read is shown to the person, who confirms or corrects it.
//
//	page   → POST api/document, the picture as the body (JPEG, PNG or WebP; the page sends
//	           at most 1920 pixels on the long side), with the headers
//	           Authorization: Bearer TOKEN
//	           Shiren-Side: front
//	server → {"side":"front","fields":[{"name":"name","value":"…","doubtful":false},…],"session":View}
//	page   → POST api/document/confirm {"token","fields":{"name":"…",…}}
//	server → View
//
// This answer is the only one that holds what was read: a View never does, so that the
// address alone opens nothing. A page that is reloaded takes its pictures anew. A picture
// that cannot be used is answered with a code that says what to do: document_none,
// document_wrong_side and so on.
//
// A live camera is guided over the capture socket: the first message then has
// "side":"front", hints are those of a document (no_card, other_card, wrong_side, closer,
// whole_card, glare, more_light, hold_still), and
//
//	server → {"type":"take"}                             take the picture now and send it; then closes normally
//
// The socket says "tries" when the session's share of watching is used up: pictures may
// still be taken by hand.
package capture

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"shiren/internal/ekyc"
	"shiren/web"
)

// Prefix is the path under which everything here is served. Protocol: the H5 address.
const Prefix = "/face/print"

// Core is what this room calls; *ekyc.Service is one. Its promises are written there.
type Core interface {
	Attend(ctx context.Context, t ekyc.Token) (ekyc.Session, error)
	Arrive(ctx context.Context, t ekyc.Token) (ekyc.Session, error)
	Agree(ctx context.Context, t ekyc.Token, version string) error
	Enter(ctx context.Context, t ekyc.Token, c ekyc.Claim) error
	Challenge(ctx context.Context, t ekyc.Token, kind ekyc.LivenessKind) (ekyc.Challenge, error)
	Look(ctx context.Context, frame []byte, want ekyc.Want) (ekyc.Examination, error)
	Submit(ctx context.Context, t ekyc.Token, p ekyc.Presented) (ekyc.Attempt, error)
	Record(ctx context.Context, t ekyc.Token, challenge string, recording []byte, c ekyc.Client) (ekyc.Attempt, error)
	Abandon(ctx context.Context, t ekyc.Token, code ekyc.Code) error
	WatchCard(ctx context.Context, t ekyc.Token, side ekyc.CardSide) error
	GlanceCard(ctx context.Context, frame []byte, side ekyc.CardSide) (ekyc.CardGlance, error)
	ReadCard(ctx context.Context, t ekyc.Token, side ekyc.CardSide, image []byte) (ekyc.CardReading, error)
	ConfirmCard(ctx context.Context, t ekyc.Token, given map[ekyc.CardField]string) error
}

// Config is what New needs. Now and Pages are required.
type Config struct {
	Now func() time.Time
	Log *slog.Logger // nil: slog.Default
	// Pages holds index.html and assets/; it is read once, by New.
	Pages fs.FS
	// MaxFrameBytes bounds one camera frame; 0 means DefaultFrameBytes.
	MaxFrameBytes int64
	// MaxCaptures bounds the captures under way at once; a further one is told ErrBusy
	// and tries again by itself. 0 means DefaultCaptures.
	MaxCaptures int
	// Looks is how many frames are looked at at a time, of all captures together: as many as
	// the engine works at. 0 means one a CPU.
	Looks int
	// MaxRecordingBytes bounds an uploaded recording; 0 means ekyc.MaxRecording.
	MaxRecordingBytes int64
	// MaxUploads bounds the recordings that are held in memory at once; a further one is
	// answered with ekyc.Busy. 0 means DefaultUploads.
	MaxUploads int
	// Origins are further hosts, as patterns of path.Match, whose pages may open the
	// capture socket. Needed only where a proxy changes the Host header.
	Origins []string
	// Onward says, by Session.Opener, what the page hands on to the app around it or to the
	// address that it leads to. Sessions of other openers hand on nothing.
	Onward map[string]Hook
	// FrameAncestors are the pages that may embed this one, as CSP sources. Empty means
	// all: the vendor's page is embedded by relying parties in frames and apps that it
	// does not know, and an embedder can do nothing without a token.
	FrameAncestors []string
}

// Hook says what the page of a session hands on. a is the attempt whose outcome is shown,
// nil before any; unusable is the reason of StepUnusable, "" on other steps.
type Hook func(s *ekyc.Session, a *ekyc.Attempt, unusable string) ekyc.Onward

// Limits of a capture. Our choices.
const (
	// DefaultFrameBytes is several times a 640x480 JPEG of quality 85 (30 to 60 kB).
	DefaultFrameBytes = 256 << 10
	// DefaultCaptures bounds memory: a capture keeps at most 32 frames, so that 64
	// captures of frames of the largest size hold 512 MiB; usual frames a fifth of it.
	DefaultCaptures = 64

	// DefaultUploads bounds memory: 8 recordings of the largest size hold 160 MiB.
	DefaultUploads = 8

	uploadWait  = 90 * time.Second // for a recording to arrive: 20 MiB at 1.9 Mbit/s
	analyseWait = 90 * time.Second // for the core to make something of a recording

	helloWait  = 5 * time.Second       // for the first message
	frameWait  = 10 * time.Second      // for the next frame; longer means that the page stands still
	frameGap   = 80 * time.Millisecond // least time between two looks
	lookWait   = 10 * time.Second      // for the engine to look at one frame
	writeWait  = 5 * time.Second       // for the page to take one message
	pingEvery  = 15 * time.Second      // keeps proxies from closing a quiet socket
	recordWait = 10 * time.Second      // for the core to record or read something

	// frameBurst and frameRate bound what a page may send: a flood is not a camera.
	frameBurst = 30
	frameRate  = 30 // a second

	glanceGap = 250 * time.Millisecond // least time between two glances at a document

	pageWindow   = 6   // frames not accounted for
	pageInterval = 100 // ms

	// maxDraws bounds the challenges of one socket: who breaks as many presentations in a
	// row is not helped by another.
	maxDraws = 12

	maxBody  = 16 << 10 // of a POST, bytes
	maxHello = 1 << 10  // bytes
	maxClaim = 200      // characters of a camera's or a browser's name that are kept
)

// Codes of the error message, beside those of ekyc. The page knows a next step for each.
const (
	ErrReplaced = "replaced"  // the same token is being captured elsewhere, later
	ErrBusy     = "busy"      // MaxCaptures are under way, or the engine never found time
	ErrStep     = "step"      // the session is not at its capture; ask api/session
	ErrIdle     = "idle"      // no frame came for 10 s
	ErrFrame    = "bad_frame" // not a header and a JPEG image that the engine reads, or far too many
	ErrKind     = "kind"      // the kind asked for is not offered, or is a recorded one
	ErrHello    = "bad_hello" // the first message was not understood
	ErrRestart  = "restart"   // the server goes down; come back
	ErrTries    = "tries"     // the document was watched for too often
	ErrSystem   = "system"    // something failed here; the log says what
)

// Causes for which a capture is ended from outside.
var (
	errReplaced = errors.New("a newer capture of the same session")
	errRestart  = errors.New("the server goes down")
)

// Handler is the room. Safe for concurrent use.
type Handler struct {
	core  Core
	cfg   Config
	log   *slog.Logger
	mux   *http.ServeMux
	page  *web.Page
	looks chan struct{} // semaphore

	mu       sync.Mutex
	captures map[string]*capture // by the token's digest
	slots    int
	uploads  int
	closing  bool
	group    sync.WaitGroup
}

// New returns the handler for everything under Prefix. It serves 503 with a clear
// message in place of the page if cfg.Pages has none.
func New(core Core, cfg Config) *Handler {
	if cfg.MaxFrameBytes == 0 {
		cfg.MaxFrameBytes = DefaultFrameBytes
	}
	if cfg.MaxCaptures == 0 {
		cfg.MaxCaptures = DefaultCaptures
	}
	if cfg.Looks == 0 {
		cfg.Looks = runtime.NumCPU()
	}
	if cfg.MaxRecordingBytes == 0 {
		cfg.MaxRecordingBytes = ekyc.MaxRecording
	}
	if cfg.MaxUploads == 0 {
		cfg.MaxUploads = DefaultUploads
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	h := &Handler{core: core, cfg: cfg, log: cfg.Log, captures: map[string]*capture{}, looks: make(chan struct{}, cfg.Looks), mux: http.NewServeMux()}
	var err error
	if h.page, err = web.Read(cfg.Pages); err != nil {
		h.log.Error("the capture page cannot be served: run `make web` and build again", "err", err)
	}
	h.mux.HandleFunc("GET "+Prefix, h.servePage)
	h.mux.HandleFunc("GET "+Prefix+"/{$}", h.servePage)
	h.mux.HandleFunc("GET "+Prefix+"/assets/{name}", h.serveAsset)
	h.mux.HandleFunc("GET "+Prefix+"/api/session", h.session)
	h.mux.HandleFunc("POST "+Prefix+"/api/consent", h.consent)
	h.mux.HandleFunc("POST "+Prefix+"/api/identity", h.identity)
	h.mux.HandleFunc("POST "+Prefix+"/api/abandon", h.abandon)
	h.mux.HandleFunc("GET "+Prefix+"/api/capture", h.capture)
	h.mux.HandleFunc("POST "+Prefix+"/api/challenge", h.challenge)
	h.mux.HandleFunc("POST "+Prefix+"/api/recording", h.recording)
	h.mux.HandleFunc("POST "+Prefix+"/api/document", h.document)
	h.mux.HandleFunc("POST "+Prefix+"/api/document/confirm", h.confirm)
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.secure(w.Header(), r.Host)
	h.mux.ServeHTTP(w, r)
}

// Shutdown tells every page that is being watched to come back later, takes no more
// captures and recordings, and waits until the analyses under way have been recorded or ctx ends.
// http.Server.Shutdown does not know of sockets: call this beside it.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.closing = true
	for _, c := range h.captures {
		c.end(errRestart)
	}
	h.mu.Unlock()
	done := make(chan struct{})
	go func() { h.group.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
