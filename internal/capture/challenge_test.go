package capture

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"shiren/internal/ekyc"
)

// told is a cue and when it came.
type told struct {
	heard
	at time.Time
}

// answer is what a page does until the presentation is complete: it sends frames and
// remembers the cues.
func (p *phone) answer() (cues []told, last heard) {
	p.t.Helper()
	type spoken struct {
		m  heard
		at time.Time
	}
	messages := make(chan spoken, 4096) // room for all: nobody reads the last
	go func() {
		defer close(messages)
		for {
			_, data, err := p.c.Read(context.Background())
			if err != nil {
				return
			}
			var m heard
			if json.Unmarshal(data, &m) != nil {
				return
			}
			messages <- spoken{m, time.Now()}
		}
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.frame("x")
		case s, open := <-messages:
			switch {
			case !open:
				p.t.Fatal("the socket ended before the presentation did")
			case s.m.Type == "cue":
				cues = append(cues, told{s.m, s.at})
			case s.m.Type != "hint":
				return cues, s.m
			}
		}
	}
}

func TestCuesAreToldWhenTheyAreDue(t *testing.T) {
	for _, kind := range []ekyc.LivenessKind{ekyc.LivenessFlash, ekyc.LivenessAction, ekyc.LivenessDistance} {
		t.Run(string(kind), func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
				core.session.Plan.Liveness = kind
				core.look = func([]byte) (ekyc.Examination, error) {
					time.Sleep(70 * time.Millisecond) // of the bubble's clock
					x := goodFace()
					x.Faces[0].Box.W, x.Faces[0].Box.H = 150, 180 // leaves room to come closer
					return x, nil
				}
				p := s.helloKind(kind)
				cues, last := p.answer()
				if last.Type != "working" {
					t.Fatalf("got %+v, want working", last)
				}
				drawn := core.drawn[0].Cues
				if len(cues) != len(drawn) {
					t.Fatalf("%d cues were told, %d drawn", len(cues), len(drawn))
				}
				for i, c := range cues {
					want := drawn[i]
					if c.N != want.N || c.For != want.For.Milliseconds() {
						t.Errorf("cue %d: got n %d, for %d ms, want %d, %v", i, c.N, c.For, want.N, want.For)
					}
					// One at a time, each at its moment: neither a frame nor a look delays it.
					got, due := c.at.Sub(cues[0].at), want.After-drawn[0].After
					if late := got - due; late < -100*time.Millisecond || late > 100*time.Millisecond {
						t.Errorf("cue %d came %v after the first, want %v", i, got, due)
					}
					switch kind {
					case ekyc.LivenessFlash:
						if c.Colour == nil || *c.Colour != want.Colour || c.Action != "" || c.Near != nil {
							t.Errorf("cue %d: got %+v, want colour %v alone", i, c.heard, want.Colour)
						}
					case ekyc.LivenessAction:
						if c.Action != want.Action || c.Colour != nil || c.Near != nil {
							t.Errorf("cue %d: got %+v, want action %q alone", i, c.heard, want.Action)
						}
					case ekyc.LivenessDistance:
						if c.Near == nil || *c.Near != want.Near || c.Scale != want.Scale || c.Colour != nil {
							t.Errorf("cue %d: got %+v, want near %v to %v alone", i, c.heard, want.Near, want.Scale)
						}
					}
				}
				synctest.Wait()
				g := core.given
				if g.Challenge != core.drawn[0].ID || g.Kind != kind || len(g.Samples) == 0 {
					t.Errorf("submitted challenge %q of kind %q with %d samples", g.Challenge, g.Kind, len(g.Samples))
				}
				if g.Client.Camera != "Front 前置" || g.Client.Device != "d1" || g.Client.Agent == "" || g.Client.Address == "" {
					t.Errorf("the client is %+v, want what the transport and the page said", g.Client)
				}
				if first := g.All[0]; first.Seq == 0 || first.Sent == 0 {
					t.Errorf("the first frame is %d at %v, want the page's own count and clock", first.Seq, first.Sent)
				}
			})
		})
	}
}

func TestBrokenPresentationsGetAnotherChallenge(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		core.session.Plan.Liveness = ekyc.LivenessFlash
		away := false
		core.look = func([]byte) (ekyc.Examination, error) {
			x := goodFace()
			if away {
				x.Faces = nil
			}
			return x, nil
		}
		p := s.helloKind("")
		for p.frame("x"); ; p.frame("x") {
			if m := p.read(); m.Type == "cue" {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		away = true
		for {
			m := p.read()
			if m.Type == "again" {
				if m.Why != string(ekyc.NoFace) {
					t.Errorf("the page is told %q, want no_face", m.Why)
				}
				break
			}
			if m.Type == "hint" {
				time.Sleep(100 * time.Millisecond)
				p.frame("x")
			}
		}
		if len(core.drawn) != 2 || core.drawn[0].ID == core.drawn[1].ID || core.session.Challenge.ID != core.drawn[1].ID {
			t.Fatalf("%d challenges were drawn, want a second one that alone is good", len(core.drawn))
		}
		if got := core.attempts(); len(got) != 0 {
			t.Errorf("got attempts %+v, want none", got)
		}
		away = false
		p.read()
		if _, last := p.answer(); last.Type != "working" {
			t.Errorf("the second presentation: got %+v, want working", last)
		}
		synctest.Wait()
		if core.given.Challenge != core.drawn[1].ID {
			t.Error("the first challenge was submitted")
		}
	})
}

func TestAPresentationThatBreaksAgainAndAgainEnds(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		p := s.hello()
		again := 0
		for n := uint32(1); ; n++ {
			// The page's clock stands still: a replay.
			p.write(websocket.MessageBinary, header(n, time.Second)+jpegHead)
			m := p.read()
			for ; m.Type == "again"; again++ {
				m = p.read()
			}
			if m.Type == "result" {
				if m.Session.Result == nil || m.Session.Result.Reason != "timed_out" {
					t.Errorf("got %+v, want timed_out", m.Session.Result)
				}
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if again != maxDraws-1 || len(core.drawn) != maxDraws {
			t.Errorf("%d challenges were drawn and told %d times to begin again, want %d and one less", len(core.drawn), again, maxDraws)
		}
	})
}

func TestKindsThatAreNotOffered(t *testing.T) {
	for name, c := range map[string]struct {
		kind ekyc.LivenessKind
		plan func(*ekyc.Plan)
		ok   bool
	}{
		"the plan's own":          {ekyc.LivenessFlash, func(p *ekyc.Plan) { p.Liveness = ekyc.LivenessFlash }, true},
		"its alternative":         {ekyc.LivenessAction, func(p *ekyc.Plan) { p.Liveness, p.Alternative = ekyc.LivenessFlash, ekyc.LivenessAction }, true},
		"an easier one":           {ekyc.LivenessSilent, func(p *ekyc.Plan) { p.Liveness = ekyc.LivenessFlash }, false},
		"a recorded one":          {ekyc.RecordedVideo, func(p *ekyc.Plan) { p.Fallback = ekyc.RecordedVideo }, false},
		"a plan that is recorded": {"", func(p *ekyc.Plan) { p.Liveness = ekyc.RecordedVideo }, false},
		"an unknown one":          {"telepathy", func(*ekyc.Plan) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
				c.plan(&core.session.Plan)
				if c.ok {
					s.helloKind(c.kind)
					return
				}
				p := s.open()
				p.write(websocket.MessageText, `{"token":"`+string(token)+`","kind":"`+string(c.kind)+`"}`)
				p.wantError(ErrKind, websocket.StatusPolicyViolation)
				if len(core.drawn) != 0 {
					t.Error("a challenge was drawn all the same")
				}
			})
		})
	}
}

func TestClaimsAreKeptShort(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"front":                      "front",
		strings.Repeat("面", 300):     strings.Repeat("面", maxClaim),
		"a\xffb":                     "a\uFFFDb",
		strings.Repeat("\xff", 9000): "\uFFFD",
	} {
		if got := shorten(in); got != want {
			t.Errorf("shorten(%.20q): got %.20q of %d bytes, want %.20q", in, got, len(got), want)
		}
	}
}

// demoted is a core whose plan lets people record.
func demoted(kind ekyc.LivenessKind) *fakeCore {
	core := newCore(fixed)
	core.session.Plan.Liveness, core.session.Plan.Fallback = ekyc.LivenessFlash, kind
	return core
}

func drawFor(t *testing.T, h *Handler, kind ekyc.LivenessKind) prompts {
	t.Helper()
	r := ask(h, "POST", "/face/print/api/challenge", `{"token":"`+string(token)+`","kind":"`+string(kind)+`"}`)
	body, _ := io.ReadAll(r.Body)
	var p prompts
	if err := json.Unmarshal(body, &p); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("got status %d, %s, want a challenge", r.StatusCode, body)
	}
	return p
}

func upload(h *Handler, challenge, body string) *http.Response {
	return ask(h, "POST", "/face/print/api/recording", body, "Authorization", "Bearer "+string(token), "Content-Type", "video/webm",
		"Shiren-Challenge", challenge, "Shiren-Camera", "%E5%89%8D%E7%BD%AE", "Shiren-Device", "d1")
}

func TestRecordingPasses(t *testing.T) {
	t.Parallel()
	core := demoted(ekyc.RecordedDigits)
	h, _ := newHandler(t, core, fixed, nil)
	p := drawFor(t, h, ekyc.RecordedDigits)
	want := core.drawn[0]
	if p.ID != want.ID || p.Kind != want.Kind || p.Expires <= 0 || len(p.Cues) != len(want.Cues) {
		t.Fatalf("the page was told %+v, drawn was %+v", p, want)
	}
	for i, c := range p.Cues {
		if w := want.Cues[i]; c.N != w.N || c.After != w.After.Milliseconds() || c.For != w.For.Milliseconds() || c.Digit != w.Digit || c.Digit == "" {
			t.Errorf("cue %d: told %+v, drawn %+v", i, c, w)
		}
	}
	v := readView(t, upload(h, p.ID, "recording"))
	if v.Step != StepDone || v.Result == nil || !v.Result.Passed {
		t.Errorf("got %+v, want passed", v)
	}
	if string(core.looked[0]) != "recording" || core.taken.Camera != "前置" || core.taken.Device != "d1" || core.taken.Address == "" {
		t.Errorf("recorded %q of %+v", core.looked, core.taken)
	}
	if a := core.attempts(); len(a) != 1 || !a[0].Demoted || a[0].Kind != ekyc.RecordedDigits {
		t.Errorf("got attempts %+v, want one that was demoted", a)
	}
}

func TestRecordingsThatAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 101)
	for name, c := range map[string]struct {
		set    func(*fakeCore)
		send   func(t *testing.T, h *Handler) *http.Response
		status int
		code   string
	}{
		"no token": {nil, func(_ *testing.T, h *Handler) *http.Response {
			return ask(h, "POST", "/face/print/api/recording", "x", "Shiren-Challenge", "1")
		}, 400, "bad_request"},
		"no challenge": {nil, func(_ *testing.T, h *Handler) *http.Response { return upload(h, "", "x") }, 400, "bad_request"},
		"unknown token": {nil, func(_ *testing.T, h *Handler) *http.Response {
			return ask(h, "POST", "/face/print/api/recording", "x", "Authorization", "Bearer nobody", "Shiren-Challenge", "1")
		}, 404, "token_invalid"},
		"a challenge that was never drawn": {nil, func(_ *testing.T, h *Handler) *http.Response { return upload(h, "1", "x") }, 409, "challenge_stale"},
		"a challenge used twice": {func(c *fakeCore) { c.finding = ekyc.Findings{Measured: true} }, func(t *testing.T, h *Handler) *http.Response {
			id := drawFor(t, h, ekyc.RecordedVideo).ID
			readView(t, upload(h, id, "x"))
			return upload(h, id, "x")
		}, 409, "challenge_stale"},
		"too large, and says so": {nil, func(t *testing.T, h *Handler) *http.Response {
			return upload(h, drawFor(t, h, ekyc.RecordedVideo).ID, long)
		}, 413, "video_too_large"},
		"empty": {nil, func(t *testing.T, h *Handler) *http.Response {
			return upload(h, drawFor(t, h, ekyc.RecordedVideo).ID, "")
		}, 422, "video_damaged"},
		"a codec that is not read": {func(c *fakeCore) {
			c.record = func([]byte) error { return ekyc.Errorf(ekyc.VideoFormat, "no") }
		}, func(t *testing.T, h *Handler) *http.Response {
			return upload(h, drawFor(t, h, ekyc.RecordedVideo).ID, "x")
		}, 422, "video_format"},
		"a plan without recordings": {func(c *fakeCore) { c.session.Plan.Fallback = "" }, func(_ *testing.T, h *Handler) *http.Response { return upload(h, "1", "x") }, 409, "not_switched_on"},
		"before consent":            {func(c *fakeCore) { c.session.Agreement = nil }, func(_ *testing.T, h *Handler) *http.Response { return upload(h, "1", "x") }, 409, "consent_missing"},
		"a real-time challenge, told beforehand": {nil, func(_ *testing.T, h *Handler) *http.Response {
			return ask(h, "POST", "/face/print/api/challenge", `{"token":"`+string(token)+`","kind":"flash"}`)
		}, 409, "not_switched_on"},
		"a kind that the plan does not take": {nil, func(_ *testing.T, h *Handler) *http.Response {
			return ask(h, "POST", "/face/print/api/challenge", `{"token":"`+string(token)+`","kind":"picture"}`)
		}, 409, "not_switched_on"},
		"a form of another site": {nil, func(_ *testing.T, h *Handler) *http.Response {
			return ask(h, "POST", "/face/print/api/challenge", `{}`, "Content-Type", "text/plain")
		}, 400, "bad_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core := demoted(ekyc.RecordedVideo)
			if c.set != nil {
				c.set(core)
			}
			h, _ := newHandler(t, core, fixed, func(c *Config) { c.MaxRecordingBytes = 100 })
			wantCode(t, c.send(t, h), c.status, c.code)
		})
	}
}

// endless is a body without end and without a length.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) { e.n += len(p); return len(p), nil }

func TestUploadsAreBounded(t *testing.T) {
	t.Parallel()
	core := demoted(ekyc.RecordedVideo)
	h, _ := newHandler(t, core, fixed, func(c *Config) { c.MaxRecordingBytes = 1 << 20; c.MaxUploads = 1 })
	id := drawFor(t, h, ekyc.RecordedVideo).ID
	hold, held := make(chan struct{}), make(chan struct{})
	core.record = func([]byte) error { close(held); <-hold; return nil }
	done := make(chan *http.Response)
	go func() { done <- upload(h, id, "x") }()
	<-held
	core.mu.Lock()
	core.session.Attempts = nil // another session's upload, as far as the bound goes
	core.mu.Unlock()
	wantCode(t, upload(h, id, "x"), http.StatusServiceUnavailable, "busy")
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := h.Shutdown(soon); err == nil {
		t.Error("Shutdown does not wait for a recording that is analysed")
	}
	close(hold)
	<-done

	h, _ = newHandler(t, demoted(ekyc.RecordedVideo), fixed, func(c *Config) { c.MaxRecordingBytes = 1 << 20 })
	body := &endless{}
	r, _ := http.NewRequest("POST", "/face/print/api/recording", body)
	r.Header.Set("Authorization", "Bearer "+string(token))
	r.Header.Set("Shiren-Challenge", "1")
	w := &reader{header: http.Header{}}
	h.ServeHTTP(w, r)
	if w.status != http.StatusRequestEntityTooLarge || body.n > 8<<20 {
		t.Errorf("an endless upload: got status %d after %d bytes, want 413 soon", w.status, body.n)
	}
}

// reader is a http.ResponseWriter that knows no deadlines.
type reader struct {
	header http.Header
	status int
}

func (r *reader) Header() http.Header         { return r.header }
func (r *reader) Write(b []byte) (int, error) { return len(b), nil }
func (r *reader) WriteHeader(status int)      { r.status = status }

func TestViewTellsTheWays(t *testing.T) {
	t.Parallel()
	core := demoted(ekyc.RecordedVideo)
	core.session.Plan.Alternative = ekyc.LivenessAction
	h, _ := newHandler(t, core, fixed, nil)
	v := readView(t, ask(h, "GET", "/face/print/api/session?token="+string(token), ""))
	if v.Liveness != ekyc.LivenessFlash || v.Alternative != ekyc.LivenessAction || v.Fallback != ekyc.RecordedVideo || !v.Warning {
		t.Errorf("got %+v, want flash with a warning, its alternative and its fallback", v)
	}
	if v.Recording != (Recording{ekyc.MaxRecording, 25}) {
		t.Errorf("got limits %+v", v.Recording)
	}
	v = readView(t, ask(mustHandler(t, newCore(fixed)), "GET", "/face/print/api/session?token="+string(token), ""))
	if v.Warning || v.Alternative != "" || v.Fallback != "" {
		t.Errorf("a silent plan: got %+v, want no warning and no other way", v)
	}
}

func mustHandler(t *testing.T, core Core) *Handler {
	h, _ := newHandler(t, core, fixed, nil)
	return h
}
