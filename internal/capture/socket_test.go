package capture

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"shiren/internal/ekyc"
)

// inBubble runs a story with a clock that jumps whenever everybody waits. The bubble's
// time starts at began.
func inBubble(t *testing.T, change func(*Config), story func(t *testing.T, core *fakeCore, s *server, h *Handler, l *logs)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core := newCore(time.Now)
		h, l := newHandler(t, core, time.Now, change)
		story(t, core, serve(t, h), h, l)
	})
}

func TestCapturePasses(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, l *logs) {
		p := s.hello()
		var progress []float64
		var m heard
		for n := int64(1); ; n++ {
			p.frame("x")
			if m = p.read(); m.Type != "hint" {
				break
			}
			if *m.Hint != "" || m.Seen != n {
				t.Errorf("frame %d: got hint %q, seen %d, want none and %d", n, *m.Hint, m.Seen, n)
			}
			progress = append(progress, *m.Progress)
			time.Sleep(100 * time.Millisecond)
		}
		if m.Type != "working" {
			t.Errorf("once complete: got %+v, want working", m)
		}
		for i := 1; i < len(progress); i++ {
			if progress[i] < progress[i-1] || progress[i] >= 1 {
				t.Errorf("progress %v does not rise towards 1", progress)
			}
		}
		// WatchSpan at ten frames a second.
		if got := time.Duration(len(progress)) * 100 * time.Millisecond; got < ekyc.WatchSpan {
			t.Errorf("the presentation took %v, want at least %v", got, ekyc.WatchSpan)
		}
		m = p.read()
		if m.Type != "result" || m.Session == nil || m.Session.Step != StepDone || m.Session.Result == nil || !m.Session.Result.Passed {
			t.Errorf("got %+v, want a result that passed", m)
		}
		p.wantClosed(websocket.StatusNormalClosure)
		if len(core.tried) != ekyc.ProbeFrames || !strings.HasPrefix(string(core.tried[0].Image), jpegHead) {
			t.Errorf("submitted %d frames, want the %d best", len(core.tried), ekyc.ProbeFrames)
		}
		if l.String() != "" {
			t.Errorf("a capture that passes is logged: %s", l)
		}
	})
}

func TestCaptureFails(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		core.finding = ekyc.Findings{Measured: true, Live: 0.01}
		p := s.hello()
		p.capture()
		m := p.read()
		if m.Type != "result" || *m.Session.Result != (Result{Attempt: 1, Reason: "liveness_failed", MayRetry: true}) {
			t.Errorf("got %+v, want a result that may be tried again", m)
		}
		// The same token again.
		core.mu.Lock()
		core.finding = ekyc.Findings{Measured: true, Live: 0.9}
		core.mu.Unlock()
		p = s.hello()
		p.capture()
		if m := p.read(); !m.Session.Result.Passed || m.Session.Result.Attempt != 2 {
			t.Errorf("the second try: got %+v, want attempt 2 passed", m.Session.Result)
		}
	})
}

func TestHintsAreTheCores(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		core.look = func(f []byte) (ekyc.Examination, error) {
			x := goodFace()
			switch string(f[len(jpegHead):]) {
			case "none":
				x.Faces = nil
			case "two":
				x.Faces = append(x.Faces, x.Faces[0])
			case "small":
				return smallFace(), nil
			case "near":
				x.Faces[0].Box.W = 470
			case "dark":
				x.Faces[0].Quality.Brightness = 0.01
			case "busy":
				return ekyc.Examination{}, ekyc.Errorf(ekyc.Busy, "full")
			}
			return x, nil
		}
		p := s.hello()
		for _, c := range []struct{ frame, hint string }{
			{"none", "no_face"},
			{"two", "several_faces"},
			{"small", "closer"},
			{"near", "further"},
			{"dark", "more_light"},
			{"busy", HintBusy},
			{"good", ""},
		} {
			p.frame(c.frame)
			if m := p.read(); m.Type != "hint" || m.Hint == nil || *m.Hint != c.hint || m.Progress == nil {
				t.Errorf("%s: got %+v, want hint %q", c.frame, m, c.hint)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestNewestFrameWins(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		release := make(chan struct{})
		core.look = func([]byte) (ekyc.Examination, error) { <-release; return smallFace(), nil }
		p := s.hello()
		for _, f := range []string{"1", "2", "3", "4"} {
			p.frame(f)
			synctest.Wait() // the server has it
		}
		release <- struct{}{}
		if m := p.read(); m.Seen != 1 {
			t.Errorf("first hint: got seen %d, want 1", m.Seen)
		}
		release <- struct{}{}
		if m := p.read(); m.Seen != 4 {
			t.Errorf("second hint: got seen %d, want 4", m.Seen)
		}
		core.mu.Lock()
		defer core.mu.Unlock()
		if len(core.looked) != 2 || string(core.looked[1]) != jpegHead+"4" {
			t.Errorf("looked at %q, want the first and the last frame", core.looked)
		}
	})
}

// TestWaitingSkipsFrames: a capture that has to wait until others have been looked at does
// not queue its frames; when its turn comes it shows the newest.
func TestWaitingSkipsFrames(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, h *Handler, _ *logs) {
		core.look = func([]byte) (ekyc.Examination, error) { return smallFace(), nil }
		for range cap(h.looks) { // others
			h.looks <- struct{}{}
		}
		p := s.hello()
		for _, f := range []string{"1", "2", "3"} {
			p.frame(f)
			synctest.Wait()
		}
		<-h.looks
		if m := p.read(); m.Seen != 3 {
			t.Errorf("the first hint: got seen %d, want 3", m.Seen)
		}
		core.mu.Lock()
		defer core.mu.Unlock()
		if len(core.looked) != 1 || string(core.looked[0]) != jpegHead+"3" {
			t.Errorf("looked at %q, want the last frame alone", core.looked)
		}
	})
}

func TestFramesAreLookedAtInMeasure(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		core.look = func([]byte) (ekyc.Examination, error) { return smallFace(), nil }
		p := s.hello()
		start := time.Now()
		for range 11 { // as fast as they are accounted for
			p.frame("x")
			p.read()
		}
		if got := time.Since(start); got < 10*frameGap {
			t.Errorf("11 looks took %v, want at least %v", got, 10*frameGap)
		}
	})
}

func TestAnalysisOutlivesItsSocket(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, h *Handler, _ *logs) {
		release := make(chan struct{})
		core.submit = func([]ekyc.Frame) error { <-release; return nil }
		p := s.hello()
		if m := p.capture(); m.Type != "working" {
			t.Fatalf("got %+v, want working", m)
		}
		p.c.CloseNow()
		synctest.Wait()
		session := func() View {
			return readView(t, ask(h, "GET", "/face/print/api/session?token="+string(token), ""))
		}
		if v := session(); v.Step != StepRunning {
			t.Errorf("while it is analysed: got step %q, want running", v.Step)
		}
		// A page that was reloaded meanwhile is told to ask instead.
		q := s.open()
		q.write(websocket.MessageText, `{"token":"`+string(token)+`"}`)
		q.wantError(ErrStep, websocket.StatusPolicyViolation)
		close(release)
		synctest.Wait()
		if v := session(); v.Step != StepDone || !v.Result.Passed {
			t.Errorf("afterwards: got %+v, want passed", v.Result)
		}
	})
}

func TestLostPresentationIsNotRecorded(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, h *Handler, _ *logs) {
		p := s.hello()
		p.frame("x")
		p.read()
		p.c.CloseNow()
		synctest.Wait()
		if got := core.attempts(); len(got) != 0 {
			t.Errorf("got attempts %+v, want none", got)
		}
		h.mu.Lock()
		if h.slots != 0 || len(h.captures) != 0 {
			t.Errorf("a place is still taken: %d, %v", h.slots, h.captures)
		}
		h.mu.Unlock()
		p = s.hello() // and it comes back
		p.capture()
		if m := p.read(); m.Type != "result" {
			t.Errorf("after coming back: got %+v, want a result", m)
		}
	})
}

func TestTimeOutIsRecorded(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		core.look = func([]byte) (ekyc.Examination, error) { return smallFace(), nil }
		start := time.Now()
		m := s.hello().capture()
		if got := time.Since(start); got < ekyc.WatchTimeout {
			t.Errorf("timed out after %v, want %v", got, ekyc.WatchTimeout)
		}
		if m.Type != "result" || m.Session.Result == nil || m.Session.Result.Reason != "timed_out" || !m.Session.Result.MayRetry {
			t.Errorf("got %+v, want timed_out and another try", m)
		}
		if got := core.attempts(); len(got) != 1 || got[0].Code != ekyc.TimedOut {
			t.Errorf("got attempts %+v, want one that timed out", got)
		}
	})
}

func TestOneCaptureOfASession(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
		first := s.hello()
		second := s.hello()
		first.wantError(ErrReplaced, websocket.StatusPolicyViolation)
		if m := second.capture(); m.Type != "working" {
			t.Errorf("the newer capture: got %+v, want working", m)
		}
		if got := core.attempts(); len(got) > 1 {
			t.Errorf("got %d attempts, want one", len(got))
		}
	})
}

func TestNoRoom(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxCaptures = 1 }, func(t *testing.T, core *fakeCore, s *server, h *Handler, _ *logs) {
		h.mu.Lock()
		h.slots = 1 // somebody else's
		h.mu.Unlock()
		p := s.open()
		p.write(websocket.MessageText, `{"token":"`+string(token)+`"}`)
		p.wantError(ErrBusy, websocket.StatusTryAgainLater)
		h.mu.Lock()
		h.slots = 0
		h.mu.Unlock()
		s.hello()
		s.hello() // the same session again takes over rather than being turned away
	})
}

func TestHellosThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind websocket.MessageType
		data string
		code string
	}{
		"no JSON":       {websocket.MessageText, "hello", ErrHello},
		"no token":      {websocket.MessageText, `{}`, ErrHello},
		"a frame first": {websocket.MessageBinary, jpegHead, ErrHello},
		"a long token":  {websocket.MessageText, `{"token":"` + strings.Repeat("x", maxToken+1) + `"}`, ErrHello},
		"unknown":       {websocket.MessageText, `{"token":"nobody"}`, ErrStep},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, _ *fakeCore, s *server, _ *Handler, l *logs) {
				p := s.open()
				p.write(c.kind, c.data)
				p.wantError(c.code, websocket.StatusPolicyViolation)
				if l.String() != "" {
					t.Errorf("a stranger's hello fills the log: %s", l)
				}
			})
		})
	}
}

func TestCaptureNeedsItsTurn(t *testing.T) {
	for name, set := range map[string]func(*ekyc.Session){
		"no consent":  func(s *ekyc.Session) { s.Agreement = nil },
		"no identity": func(s *ekyc.Session) { s.Plan.Identity = ekyc.IdentityEntered },
		"passed":      func(s *ekyc.Session) { s.Attempts = []ekyc.Attempt{attempt(1, ekyc.Match, "")} },
		"expired":     func(s *ekyc.Session) { s.Opened = began.Add(-3 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
				set(&core.session)
				p := s.open()
				p.write(websocket.MessageText, `{"token":"`+string(token)+`"}`)
				p.wantError(ErrStep, websocket.StatusPolicyViolation)
			})
		})
	}
}

func TestSilenceEnds(t *testing.T) {
	t.Run("before hello", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, _ *fakeCore, s *server, _ *Handler, _ *logs) {
			start := time.Now()
			p := s.open()
			if _, _, err := p.c.Read(context.Background()); err == nil {
				t.Error("a socket without hello was spoken to")
			}
			if got := time.Since(start); got != helloWait {
				t.Errorf("the socket ended after %v, want %v", got, helloWait)
			}
		})
	})
	t.Run("between frames", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
			start := time.Now()
			p := s.hello()
			p.wantError(ErrIdle, websocket.StatusPolicyViolation)
			if got := time.Since(start); got != frameWait {
				t.Errorf("the socket ended after %v, want %v", got, frameWait)
			}
			if got := core.attempts(); len(got) != 0 {
				t.Errorf("silence was recorded: %+v", got)
			}
		})
	})
}

func TestFramesThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		kind websocket.MessageType
		data string
		look ekyc.Code
	}{
		"text":        {websocket.MessageText, jpegHead, ""},
		"not JPEG":    {websocket.MessageBinary, "\x89PNG", ""},
		"empty":       {websocket.MessageBinary, "", ""},
		"no header":   {websocket.MessageBinary, jpegHead, ""},
		"half header": {websocket.MessageBinary, header(1, 0)[:5] + jpegHead, ""},
		"damaged":     {websocket.MessageBinary, header(1, 0) + jpegHead, ekyc.ImageDamaged},
		"pixel bomb":  {websocket.MessageBinary, header(1, 0) + jpegHead, ekyc.ImagePixels},
		"empty image": {websocket.MessageBinary, header(1, 0) + jpegHead, ekyc.ImageEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
				core.look = func([]byte) (ekyc.Examination, error) { return ekyc.Examination{}, ekyc.Errorf(c.look, "no") }
				p := s.hello()
				p.write(c.kind, c.data)
				p.wantError(ErrFrame, websocket.StatusPolicyViolation)
			})
		})
	}
	t.Run("too large", func(t *testing.T) {
		inBubble(t, func(c *Config) { c.MaxFrameBytes = 1000 }, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
			p := s.hello()
			p.frame(strings.Repeat("x", 1000))
			p.wantClosed(websocket.StatusMessageTooBig)
			if len(core.looked) != 0 {
				t.Error("the engine was shown a frame above the limit")
			}
		})
	})
	t.Run("flood", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
			core.look = func([]byte) (ekyc.Examination, error) { return smallFace(), nil }
			p := s.hello()
			go func() {
				for range frameBurst + 1 {
					if p.c.Write(context.Background(), websocket.MessageBinary, []byte(header(1, 0)+jpegHead)) != nil {
						return
					}
				}
			}()
			for {
				m := p.read()
				if m.Type == "error" {
					if m.Code != ErrFrame {
						t.Errorf("got %+v, want %s", m, ErrFrame)
					}
					return
				}
			}
		})
	})
}

func TestEngineTrouble(t *testing.T) {
	t.Run("fails", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, l *logs) {
			core.look = func([]byte) (ekyc.Examination, error) {
				return ekyc.Examination{}, ekyc.Wrap(ekyc.EngineFailed, "detect", errors.New("out of memory"))
			}
			p := s.hello()
			p.frame("x")
			p.wantError(ErrSystem, websocket.StatusInternalError)
			if !strings.Contains(l.String(), "out of memory") {
				t.Errorf("the log %q does not hold the cause", l)
			}
		})
	})
	t.Run("is always busy", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
			core.look = func([]byte) (ekyc.Examination, error) { return ekyc.Examination{}, ekyc.Errorf(ekyc.Busy, "full") }
			p := s.hello()
			if m := p.capture(); m.Type != "error" || m.Code != ErrBusy {
				t.Errorf("got %+v, want %s", m, ErrBusy)
			}
			if got := core.attempts(); len(got) != 0 {
				t.Errorf("the capture subject is blamed for a busy engine: %+v", got)
			}
		})
	})
	t.Run("submit fails", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, l *logs) {
			core.submit = func([]ekyc.Frame) error { return ekyc.Wrap(ekyc.Internal, "store", errors.New("disk full")) }
			p := s.hello()
			p.capture()
			p.wantError(ErrSystem, websocket.StatusInternalError)
			if !strings.Contains(l.String(), "disk full") {
				t.Errorf("the log %q does not hold the cause", l)
			}
		})
	})
	t.Run("another server was quicker", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, _ *logs) {
			p := s.hello()
			core.mu.Lock()
			core.session.Attempts = []ekyc.Attempt{{Ordinal: 1, Begun: began, Lease: began.Add(ekyc.AttemptLease)}}
			core.mu.Unlock()
			if m := p.capture(); m.Type != "working" {
				t.Fatalf("got %+v, want working", m)
			}
			p.wantError(ErrStep, websocket.StatusPolicyViolation)
		})
	})
	t.Run("the session cannot be read", func(t *testing.T) {
		inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, _ *Handler, l *logs) {
			core.attend = func() error { return errors.New("no database") }
			p := s.open()
			p.write(websocket.MessageText, `{"token":"`+string(token)+`"}`)
			p.wantError(ErrSystem, websocket.StatusInternalError)
			if !strings.Contains(l.String(), "no database") {
				t.Errorf("the log %q does not hold the cause", l)
			}
		})
	})
}

func TestShutdown(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, h *Handler, _ *logs) {
		release := make(chan struct{})
		core.submit = func([]ekyc.Frame) error { <-release; return nil }
		p := s.hello()
		p.capture()

		soon, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := h.Shutdown(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown during an analysis: got %v, want it to wait until its context ends", err)
		}
		q := s.open()
		q.write(websocket.MessageText, `{"token":"`+string(token)+`"}`)
		q.wantError(ErrStep, websocket.StatusPolicyViolation) // the analysis runs

		done := make(chan error, 1)
		go func() { done <- h.Shutdown(context.Background()) }()
		close(release)
		if m := p.read(); m.Type != "result" {
			t.Errorf("got %+v, want the analysis to be finished", m)
		}
		p.c.CloseNow()
		if err := <-done; err != nil {
			t.Errorf("Shutdown: got %v, want it done", err)
		}
	})
}

func TestShutdownSendsPagesAway(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, h *Handler, _ *logs) {
		p := s.hello()
		done := make(chan error, 1)
		go func() { done <- h.Shutdown(context.Background()) }()
		p.wantError(ErrRestart, websocket.StatusGoingAway)
		if err := <-done; err != nil {
			t.Errorf("Shutdown: got %v, want none", err)
		}
		q := s.open()
		q.write(websocket.MessageText, `{"token":"`+string(token)+`"}`)
		q.wantError(ErrRestart, websocket.StatusGoingAway)
		if got := core.attempts(); len(got) != 0 {
			t.Errorf("a restart was recorded: %+v", got)
		}
	})
}

func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		origin string
		ok     bool
	}{
		{"", true}, // apps and tests: not a browser
		{"https://shiren.example", true},
		{"https://face.proxy.example", true},
		{"https://evil.example", false},
		{"null", false},
	} {
		t.Run(c.origin, func(t *testing.T) {
			inBubble(t, func(c *Config) { c.Origins = []string{"*.proxy.example"} }, func(t *testing.T, _ *fakeCore, s *server, _ *Handler, _ *logs) {
				head := http.Header{}
				if c.origin != "" {
					head.Set("Origin", c.origin)
				}
				p, r, err := s.dial(head)
				if (err == nil) != c.ok {
					t.Errorf("got error %v, want accepted %v", err, c.ok)
				}
				if err != nil && r.StatusCode != http.StatusForbidden {
					t.Errorf("got status %d, want 403", r.StatusCode)
				}
				if err == nil {
					p.c.CloseNow()
				}
			})
		})
	}
}

func TestPagesThatAreGoneWithoutAWord(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, core *fakeCore, s *server, h *Handler, _ *logs) {
		release := make(chan struct{})
		core.look = func([]byte) (ekyc.Examination, error) { <-release; return smallFace(), nil }
		p := s.hello()
		p.frame("x") // looked at for long, while nobody reads: no pong comes
		time.Sleep(pingEvery + writeWait + time.Second)
		close(release)
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.slots != 0 {
			t.Errorf("the place of a page that is gone is still taken")
		}
	})
}
