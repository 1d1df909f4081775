package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"shiren/internal/ekyc"
)

// Values that must never be logged.
const (
	token  = ekyc.Token("Yz9rWITm4vak16PBAh5x8oG7")
	name   = "张三丰"
	number = "11010519491231002X" // the example of GB 11643-1999
)

var began = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // also where a synctest bubble starts

// fakeCore keeps one session under the core's own rules. A function field, where it is
// set, answers instead.
type fakeCore struct {
	mu      sync.Mutex
	session ekyc.Session
	now     func() time.Time
	attend  func() error
	look    func(frame []byte) (ekyc.Examination, error)
	submit  func(frames []ekyc.Frame) error
	draw    func(c ekyc.Challenge) ekyc.Challenge
	record  func(recording []byte) error
	glance  func(frame []byte) (ekyc.CardGlance, error)
	read    func(side ekyc.CardSide, image []byte) (ekyc.CardReading, error)
	watches error // of WatchCard
	finding ekyc.Findings
	looked  [][]byte
	tried   []ekyc.Frame
	drawn   []ekyc.Challenge
	given   ekyc.Presented
	taken   ekyc.Client // of a recording
}

func newCore(now func() time.Time) *fakeCore {
	return &fakeCore{
		now:     now,
		finding: ekyc.Findings{Measured: true, Live: 0.9},
		session: ekyc.Session{
			Token: token, Opened: began,
			Plan: ekyc.Plan{
				ID: "p", Title: "某某银行", Identity: ekyc.IdentityNone, Comparison: ekyc.CompareNone,
				Liveness: ekyc.LivenessSilent, LivenessLevel: ekyc.LevelNormal, QualityLevel: ekyc.LevelNormal,
				Consent: ekyc.Consent{Version: "v1", Text: map[string]string{"zh-CN": "授权书", "en": "Consent"}},
			},
			Agreement: &ekyc.Agreement{Version: "v1", At: began},
		},
	}
}

func (c *fakeCore) Attend(_ context.Context, t ekyc.Token) (ekyc.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attend != nil {
		if err := c.attend(); err != nil {
			return ekyc.Session{}, err
		}
	}
	if t != token {
		return ekyc.Session{}, ekyc.Errorf(ekyc.TokenInvalid, "the token is unknown")
	}
	return c.session, nil
}

func (c *fakeCore) Arrive(ctx context.Context, t ekyc.Token) (ekyc.Session, error) {
	return c.Attend(ctx, t)
}

func (c *fakeCore) update(t ekyc.Token, f func(s *ekyc.Session) error) error {
	if _, err := c.Attend(context.Background(), t); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return f(&c.session)
}

func (c *fakeCore) Agree(_ context.Context, t ekyc.Token, version string) error {
	return c.update(t, func(s *ekyc.Session) error {
		if version != s.Plan.Consent.Version {
			return ekyc.Errorf(ekyc.ConsentMissing, "another text")
		}
		s.Agreement = &ekyc.Agreement{Version: version, At: c.now()}
		return nil
	})
}

func (c *fakeCore) Enter(_ context.Context, t ekyc.Token, claim ekyc.Claim) error {
	return c.update(t, func(s *ekyc.Session) error { s.Claim = &claim; return nil })
}

func (c *fakeCore) Challenge(_ context.Context, t ekyc.Token, kind ekyc.LivenessKind) (ch ekyc.Challenge, err error) {
	err = c.update(t, func(s *ekyc.Session) error {
		ch = ekyc.Draw(kind, s.Plan, rand.NewChaCha8([32]byte{byte(len(c.drawn))}), c.now())
		if c.draw != nil {
			ch = c.draw(ch)
		}
		c.drawn = append(c.drawn, ch)
		return s.Ask(c.now(), ch, "0")
	})
	return ch, err
}

func (c *fakeCore) Look(_ context.Context, frame []byte, _ ekyc.Want) (ekyc.Examination, error) {
	c.mu.Lock()
	c.looked = append(c.looked, frame)
	c.mu.Unlock()
	if c.look != nil {
		return c.look(frame)
	}
	return goodFace(), nil
}

// attempt makes one of an answer, under the session's own rules.
func (c *fakeCore) attempt(t ekyc.Token, challenge string, kind ekyc.LivenessKind, during func() error) (a ekyc.Attempt, err error) {
	var ordinal int
	err = c.update(t, func(s *ekyc.Session) (err error) {
		ordinal, _, err = s.Answer(c.now(), challenge, kind, "1")
		return err
	})
	if err == nil {
		err = during()
	}
	if err != nil {
		return ekyc.Attempt{}, err
	}
	err = c.update(t, func(s *ekyc.Session) (err error) {
		a, err = s.Finish(c.now(), ordinal, c.finding)
		return err
	})
	return a, err
}

func (c *fakeCore) Submit(_ context.Context, t ekyc.Token, p ekyc.Presented) (ekyc.Attempt, error) {
	c.mu.Lock()
	c.tried, c.given = p.Frames, p
	c.mu.Unlock()
	return c.attempt(t, p.Challenge, p.Kind, func() error {
		if c.submit != nil {
			return c.submit(p.Frames)
		}
		return nil
	})
}

func (c *fakeCore) Record(_ context.Context, t ekyc.Token, challenge string, recording []byte, client ekyc.Client) (ekyc.Attempt, error) {
	c.mu.Lock()
	c.taken, c.looked = client, append(c.looked, recording)
	kind := ekyc.LivenessKind("")
	if c.session.Challenge != nil {
		kind = c.session.Challenge.Kind
	}
	c.mu.Unlock()
	return c.attempt(t, challenge, kind, func() error {
		if c.record != nil {
			return c.record(recording)
		}
		return nil
	})
}

func (c *fakeCore) Abandon(_ context.Context, t ekyc.Token, code ekyc.Code) error {
	return c.update(t, func(s *ekyc.Session) error { return s.Fail(c.now(), code, "2") })
}

func (c *fakeCore) WatchCard(_ context.Context, t ekyc.Token, _ ekyc.CardSide) error {
	return c.update(t, func(s *ekyc.Session) error {
		if c.watches != nil {
			return c.watches
		}
		return s.MayRead(c.now())
	})
}

func (c *fakeCore) GlanceCard(_ context.Context, frame []byte, _ ekyc.CardSide) (ekyc.CardGlance, error) {
	return c.glance(frame)
}

func (c *fakeCore) ReadCard(_ context.Context, t ekyc.Token, side ekyc.CardSide, image []byte) (r ekyc.CardReading, err error) {
	err = c.update(t, func(s *ekyc.Session) error {
		if r, err = c.read(side, image); err != nil {
			return err
		}
		d := ekyc.Document{}
		if s.Document != nil {
			d = *s.Document
		}
		if side == ekyc.CardFront {
			d.Front = &ekyc.CardRecord{Reading: r}
		} else {
			d.Back = &ekyc.CardRecord{Reading: r}
		}
		s.Document, s.Claim = &d, nil
		return nil
	})
	return r, err
}

func (c *fakeCore) ConfirmCard(_ context.Context, t ekyc.Token, given map[ekyc.CardField]string) error {
	return c.update(t, func(s *ekyc.Session) error { return s.Confirm(c.now(), given) })
}

func (c *fakeCore) attempts() []ekyc.Attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]ekyc.Attempt(nil), c.session.Attempts...)
}

func goodFace() ekyc.Examination {
	return ekyc.Examination{Width: 640, Height: 480, Faces: []ekyc.Face{{
		Box: ekyc.Box{X: 200, Y: 100, W: 200, H: 240}, Pose: ekyc.Pose{Pitch: -10},
		Quality: ekyc.Quality{EyeDistance: 70, Sharpness: 0.8, Brightness: 0.5, Inside: 1, Value: 0.8},
	}}}
}

func smallFace() ekyc.Examination {
	x := goodFace()
	x.Faces[0].Quality.EyeDistance = 5
	return x
}

func claim(t *testing.T) *ekyc.Claim {
	t.Helper()
	c, err := ekyc.ParseClaim(name, number, ekyc.IDCard)
	if err != nil {
		t.Fatalf("the test's own claim: %v", err)
	}
	return &c
}

var builtPage = fstest.MapFS{
	"index.html":          {Data: []byte("<!doctype html><title>page</title>" + strings.Repeat(" ", 200))},
	"assets/main-1a2b.js": {Data: []byte(strings.Repeat("console.log(1);", 100))},
	"assets/tiny-3c.css":  {Data: []byte("a{}")},
}

// logs collects what a handler logs and fails the test if a secret is among it.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newHandler(t *testing.T, core Core, now func() time.Time, change func(*Config)) (*Handler, *logs) {
	t.Helper()
	l := &logs{}
	cfg := Config{Now: now, Log: slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), Pages: builtPage}
	if change != nil {
		change(&cfg)
	}
	t.Cleanup(func() {
		for _, secret := range []string{string(token), string(token[:8]), name, number, string(token) + "x"} {
			if strings.Contains(l.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	})
	return New(core, cfg), l
}

// ask sends one request to a handler.
func ask(h http.Handler, method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func readView(t *testing.T, r *http.Response) View {
	t.Helper()
	var v View
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("got status %d with %s, want 200", r.StatusCode, body)
	}
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("the answer is not a View: %v in %s", err, body)
	}
	return v
}

func wantCode(t *testing.T, r *http.Response, status int, code string) {
	t.Helper()
	var f failure
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil || r.StatusCode != status || f.Error.Code != code {
		t.Errorf("got status %d, code %q (%v), want %d, %q", r.StatusCode, f.Error.Code, err, status, code)
	}
}

// pipes is a listener of in-memory connections, so that sockets can live in a synctest
// bubble, where waiting takes no time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return mine, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// server serves a handler over pipes until the test ends.
type server struct {
	t    *testing.T
	pipe *pipes
	http *http.Client
}

func serve(t *testing.T, h http.Handler) *server {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go s.Serve(p)
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) }}
	t.Cleanup(func() { tr.CloseIdleConnections(); s.Close() })
	return &server{t, p, &http.Client{Transport: tr}}
}

// phone is the page's end of a capture socket.
type phone struct {
	t *testing.T
	c *websocket.Conn
	n uint32 // frames sent
}

func (s *server) dial(header http.Header) (*phone, *http.Response, error) {
	c, r, err := websocket.Dial(context.Background(), "ws://shiren.example"+Prefix+"/api/capture", &websocket.DialOptions{HTTPClient: s.http, HTTPHeader: header})
	return &phone{t: s.t, c: c}, r, err
}

func (s *server) open() *phone {
	s.t.Helper()
	p, _, err := s.dial(nil)
	if err != nil {
		s.t.Fatalf("open the capture socket: %v", err)
	}
	s.t.Cleanup(func() { p.c.CloseNow() })
	return p
}

// hello opens a socket, says hello and waits to be told to go on.
func (s *server) hello() *phone { s.t.Helper(); return s.helloKind("") }

func (s *server) helloKind(kind ekyc.LivenessKind) *phone {
	s.t.Helper()
	p := s.open()
	p.write(websocket.MessageText, `{"token":"`+string(token)+`","kind":"`+string(kind)+`","camera":"Front 前置","device":"d1"}`)
	if m := p.read(); m.Type != "ready" || m.Window != pageWindow || m.Interval != pageInterval {
		s.t.Fatalf("after hello: got %+v, want ready with window and interval", m)
	}
	return p
}

func (p *phone) write(kind websocket.MessageType, data string) {
	p.t.Helper()
	if err := p.c.Write(context.Background(), kind, []byte(data)); err != nil {
		p.t.Fatalf("send to the server: %v", err)
	}
}

const jpegHead = "\xff\xd8\xff\xe0"

func (p *phone) frame(body string) {
	p.t.Helper()
	time.Sleep(time.Millisecond) // no two frames at one time
	p.n++
	p.write(websocket.MessageBinary, header(p.n, time.Since(began))+jpegHead+body)
}

// header is a frame's, as the page writes it.
func header(n uint32, clock time.Duration) string {
	b := binary.BigEndian.AppendUint32(nil, n)
	return string(binary.BigEndian.AppendUint32(b, uint32(clock.Milliseconds())))
}

// reply is a message as the page reads it.
type heard struct {
	Type             string
	Window, Interval int
	Kind             ekyc.LivenessKind
	Hint             *string
	Progress         *float64
	Seen             int64
	Phase, Why       string
	N                int
	For              int64
	Colour           *ekyc.RGB
	Action           ekyc.Action
	Near             *bool
	Scale            float64
	Session          *View
	Code             string
}

func (p *phone) read() heard {
	p.t.Helper()
	kind, data, err := p.c.Read(context.Background())
	if err != nil || kind != websocket.MessageText {
		p.t.Fatalf("read from the server: got kind %v, error %v, want a text message", kind, err)
	}
	var m heard
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		p.t.Fatalf("read %s: %v", data, err)
	}
	return m
}

// wantError reads an error message with a code and then the end of the socket.
func (p *phone) wantError(code string, status websocket.StatusCode) {
	p.t.Helper()
	if m := p.read(); m.Type != "error" || m.Code != code {
		p.t.Errorf("got %+v, want error %q", m, code)
	}
	p.wantClosed(status)
}

func (p *phone) wantClosed(status websocket.StatusCode) {
	p.t.Helper()
	_, data, err := p.c.Read(context.Background())
	if got := websocket.CloseStatus(err); got != status {
		p.t.Errorf("the socket's end: got status %v (%v) after %q, want %v", got, err, data, status)
	}
}

// capture sends frames, a tenth of a second apart, until something other than a hint comes.
func (p *phone) capture() heard {
	p.t.Helper()
	for range 2000 {
		p.frame("x")
		if m := p.read(); m.Type != "hint" {
			return m
		}
		time.Sleep(100 * time.Millisecond) // of the bubble's clock
	}
	p.t.Fatal("2000 frames gave nothing but hints")
	return heard{}
}
