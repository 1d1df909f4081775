// Package testkit is a whole service for tests: the real core on a real SQLite
// database in memory, real sealing, with a scripted engine and scripted sources, a
// clock that stands still until it is moved, and a fixed seed.
//
//	kit := testkit.New(t)
//	ses := kit.Open("2")                                          // plan 2: an uploaded image
//	kit.Enrol(kit.Ctx, kit.App, ses.Token, testkit.Photo(testkit.Face{Person: "zhang"}), ekyc.LevelNone, ekyc.LevelNone)
//	att := kit.Walk(ses.Token, testkit.Face{Person: "zhang"})     // agree, capture, submit
//	kit.Clock.Advance(3 * 24 * time.Hour)
//
// The scripted engine reads pictures made by Photo: what is written in them is what it
// finds. It decides nothing, like any engine; everything else is what runs in production.
package testkit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"hash/fnv"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"shiren/internal/blob/file"
	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/seal"
	"shiren/internal/store"
)

// Start is where every kit's clock begins: 2026-03-02 10:00:00 in Beijing.
var Start = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)

// Clock stands still until Advance. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now reads the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }

// Set puts the clock to a moment.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// Face scripts what the engine finds in a picture. The zero value of each field is a
// face without fault: large, sharp, frontal, open eyes, live.
type Face struct {
	Person    string  // same person, same template; empty is a person like any other
	Alike     float64 // cosine to the person's template; 0 means 1
	None      bool    // no face in the picture
	Others    int     // further large faces
	Small     bool
	Blurred   bool
	Dark      bool
	Bright    bool
	Cut       bool
	Turned    bool
	Closed    bool
	Spoof     bool      // a presentation attack
	Live      float64   // PAD score; 0 means .97, or .01 when Spoof
	Width     int       // pixels; 0 means 640
	Height    int       // 0 means 480
	Fault     ekyc.Code // the engine refuses the picture with this code
	Serial    int       // makes otherwise equal pictures differ
	BoxOffset float64   // pixels to the right
	Head      Head      `json:",omitzero"` // what the head does
	Deaf      bool      `json:",omitzero"` // Walk: does not answer challenges, like a photograph or a film
	Swap      string    `json:",omitzero"` // Walk: from the first cue on this Person is shown
}

var magic = []byte{0xff, 0xd8, 0xff, 0xe0}

// Photo makes a picture that the kit's engine understands. It begins like a JPEG and is none.
func Photo(f Face) []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return append(bytes.Clone(magic), b...)
}

// Engine is the scripted engine. Hook, when set, is called before each examination and
// may return an error in its place. Safe for concurrent use once set up.
type Engine struct {
	Hook  func() error
	Name  string // of the embedding model; empty means "scripted"
	mu    sync.Mutex
	calls int
}

// Calls counts examinations.
func (e *Engine) Calls() int { e.mu.Lock(); defer e.mu.Unlock(); return e.calls }

// Model names the scripted model.
func (e *Engine) Model() string {
	if e.Name == "" {
		return "scripted"
	}
	return e.Name
}

func person(name string) []float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	v := make([]float64, 64)
	n := 0.0
	for i := range v {
		v[i] = r.NormFloat64()
		n += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(n)
	}
	return v
}

// mix returns a unit vector whose cosine to a is c, in the plane of a and b.
func mix(a, b []float64, c float64) []float32 {
	dot := 0.0
	for i := range a {
		dot += a[i] * b[i]
	}
	out := make([]float32, len(a))
	s := math.Sqrt(1-c*c) / math.Sqrt(1-dot*dot)
	for i := range a {
		out[i] = float32(c*a[i] + s*(b[i]-dot*a[i]))
	}
	return out
}

// Examine finds what the picture says.
func (e *Engine) Examine(_ context.Context, image []byte, want ekyc.Want) (ekyc.Examination, error) {
	e.mu.Lock()
	e.calls++
	e.mu.Unlock()
	if e.Hook != nil {
		if err := e.Hook(); err != nil {
			return ekyc.Examination{}, err
		}
	}
	var f Face
	switch {
	case len(image) == 0:
		return ekyc.Examination{}, ekyc.Errorf(ekyc.ImageEmpty, "the image is empty")
	case !bytes.HasPrefix(image, magic):
		return ekyc.Examination{}, ekyc.Errorf(ekyc.ImageFormat, "the bytes are no image")
	case json.Unmarshal(image[len(magic):], &f) != nil:
		return ekyc.Examination{}, ekyc.Errorf(ekyc.ImageDamaged, "the image is damaged")
	case f.Fault != "":
		return ekyc.Examination{}, ekyc.Errorf(f.Fault, "scripted")
	}
	x := ekyc.Examination{Width: 640, Height: 480}
	if f.Width > 0 {
		x.Width, x.Height = f.Width, f.Height
	}
	if f.None {
		return x, nil
	}
	pick := func(bad bool, worse, fine float64) float64 {
		if bad {
			return worse
		}
		return fine
	}
	face := ekyc.Face{
		Box:        ekyc.Box{X: 220 + f.BoxOffset, Y: 120, W: pick(f.Small, 30, 200), H: pick(f.Small, 36, 240)},
		Confidence: 0.99,
		Pose:       ekyc.Pose{Yaw: pick(f.Turned, 65, 2)},
		EyesClosed: [2]float64{pick(f.Closed, 0.99, 0.02), pick(f.Closed, 0.99, 0.02)},
		Quality: ekyc.Quality{
			EyeDistance: pick(f.Small, 10, 90), Sharpness: pick(f.Blurred, 0.01, 0.8),
			Brightness: pick(f.Dark, 0.03, pick(f.Bright, 0.99, 0.5)), Contrast: 0.2, Inside: pick(f.Cut, 0.5, 1), Value: 0.8,
		},
	}
	f.Head.show(&face)
	if want&ekyc.WantLiveness != 0 {
		face.Live = ekyc.Score(pick(f.Spoof, 0.01, 0.97))
		if f.Live > 0 {
			face.Live = ekyc.Score(f.Live)
		}
	}
	if want&ekyc.WantTemplate != 0 {
		c := f.Alike
		if c == 0 {
			c = 1
		}
		face.Template = ekyc.Template{Model: e.Model(), Vector: mix(person(f.Person), person("someone else"), c)}
	}
	x.Faces = append(x.Faces, face)
	for i := range f.Others {
		x.Faces = append(x.Faces, ekyc.Face{Box: ekyc.Box{X: float64(10 * i), W: 150, H: 180}, Confidence: 0.9})
	}
	return x, nil
}

// Relief knows the heads of photos.
func (e *Engine) Relief(_ context.Context, far, near ekyc.Shot) (ekyc.Relief, error) {
	var perspective [2]float64
	for i, s := range []ekyc.Shot{far, near} {
		var f Face
		if !bytes.HasPrefix(s.Image, magic) || json.Unmarshal(s.Image[len(magic):], &f) != nil {
			return ekyc.Relief{}, ekyc.Errorf(ekyc.ImageDamaged, "the image is damaged")
		}
		if !f.Head.Flat {
			perspective[i] = cmp.Or(f.Head.Closer, 1) / headDistance
		}
	}
	return ekyc.Relief{Depth: perspective[1] - perspective[0], Fit: 0.95}, nil
}

// Fuse averages.
func (e *Engine) Fuse(ts []ekyc.Template, ws []float64) (ekyc.Template, error) {
	out := make([]float32, len(ts[0].Vector))
	n := 0.0
	for i, t := range ts {
		for j, v := range t.Vector {
			out[j] += v * float32(ws[i])
		}
	}
	for _, v := range out {
		n += float64(v) * float64(v)
	}
	for i := range out {
		out[i] /= float32(math.Sqrt(n))
	}
	return ekyc.Template{Model: e.Model(), Vector: out}, nil
}

// Compare maps cosine .5 to a score of .8 and an FMR of 1e-4, linearly on both sides.
func (e *Engine) Compare(a, b ekyc.Template) (ekyc.Comparison, error) {
	if a.Model != e.Model() || b.Model != e.Model() {
		return ekyc.Comparison{}, ekyc.Errorf(ekyc.EngineFailed, "templates of models %q and %q cannot be compared by %q", a.Model, b.Model, e.Model())
	}
	dot := 0.0
	for i := range a.Vector {
		dot += float64(a.Vector[i]) * float64(b.Vector[i])
	}
	score := max(0, dot) * 1.6
	if dot > 0.5 {
		score = 0.8 + (dot-0.5)*0.4
	}
	return ekyc.Comparison{Similarity: dot, FMR: math.Pow(10, -5*score), Score: ekyc.Score(min(1, score))}, nil
}

// Authority is a scripted source of truth: ID number to name and portrait.
type Authority struct {
	mu     sync.Mutex
	people map[cnid.Number]entry
	Err    error // returned instead of an answer
}

type entry struct {
	name     cnid.Name
	portrait []byte
}

// Add makes a person known. A nil portrait means that none is on file.
func (a *Authority) Add(number, name string, portrait []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.people == nil {
		a.people = map[cnid.Number]entry{}
	}
	a.people[cnid.Number(number)] = entry{cnid.Name(name), portrait}
}

// Identity answers from the script.
func (a *Authority) Identity(_ context.Context, c ekyc.Claim) (ekyc.Outcome, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.people[c.Number]
	switch {
	case a.Err != nil:
		return ekyc.Failed, a.Err
	case !ok:
		return ekyc.NoRecord, nil
	case p.name != c.Name:
		return ekyc.NonMatched, nil
	}
	return ekyc.Match, nil
}

// Portrait answers from the script.
func (a *Authority) Portrait(_ context.Context, c ekyc.Claim) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.people[c.Number].portrait; p != nil {
		return p, a.Err
	}
	return nil, ekyc.Errorf(ekyc.PortraitNone, "no portrait on file")
}

// Mobiles is a scripted source of mobile numbers: number to owner and carrier.
type Mobiles struct {
	mu     sync.Mutex
	owners map[cnid.Mobile]owner
	Err    error // returned instead of an answer
}

type owner struct {
	number  cnid.Number
	carrier ekyc.Carrier
}

// Add makes a mobile number known.
func (m *Mobiles) Add(mobile, number string, carrier ekyc.Carrier) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owners == nil {
		m.owners = map[cnid.Mobile]owner{}
	}
	m.owners[cnid.Mobile(mobile)] = owner{cnid.Number(number), carrier}
}

// Mobile answers from the script.
func (m *Mobiles) Mobile(_ context.Context, c ekyc.Claim, n cnid.Mobile) (ekyc.Outcome, ekyc.Carrier, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.owners[n]
	switch {
	case m.Err != nil:
		return ekyc.Failed, "", m.Err
	case !ok:
		return ekyc.NoRecord, "", nil
	case o.number != c.Number:
		return ekyc.NonMatched, o.carrier, nil
	}
	return ekyc.Match, o.carrier, nil
}

// Logs collects what was logged. Safe for concurrent use.
type Logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Logs) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

// String returns all that was logged so far.
func (l *Logs) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// Kit is a service with its scripts.
type Kit struct {
	*ekyc.Service
	T         testing.TB
	Ctx       context.Context
	Clock     *Clock
	Engine    *Engine
	Authority *Authority
	Reader    *CardReader
	Mobiles   *Mobiles
	Logs      *Logs
	App       ekyc.App // key ak0123456789, secret sk0123456789, bearer key 0123456789abcdef twice
	Other     ekyc.App // another relying party, without plans
	BlobDir   string
	Kept      *store.Store // the Service's Store, with what only operators call
}

// Plans that every kit has, at normal levels, with silent liveness unless they say another:
//
//	1  liveness only
//	2  an uploaded image
//	3  an authority, identity declared by the relying party
//	4  an authority, identity entered by the capture subject
//	5  an uploaded image; the token dies with a failed attempt; media kept
//	6  liveness by flash, or actions in its place, or spoken digits; media kept
//	7  liveness by actions, or recorded ones
//	8  liveness by distance, or a recorded video
//	9  liveness of an uploaded picture; the token dies with a failed attempt
//	10 liveness only, identity read from the front of a document
//	11 an authority, identity read from both sides of a document, copies refused
var plans = []ekyc.Plan{
	{ID: "1", Comparison: ekyc.CompareNone, Identity: ekyc.IdentityNone},
	{ID: "2", Comparison: ekyc.CompareUploaded, Identity: ekyc.IdentityNone},
	{ID: "3", Comparison: ekyc.CompareAuthority, Identity: ekyc.IdentityDeclared},
	{ID: "4", Comparison: ekyc.CompareAuthority, Identity: ekyc.IdentityEntered},
	{ID: "5", Comparison: ekyc.CompareUploaded, Identity: ekyc.IdentityNone, EndsOnFailure: true, KeepMedia: true},
	{ID: "6", Liveness: ekyc.LivenessFlash, Alternative: ekyc.LivenessAction, Fallback: ekyc.RecordedDigits, KeepMedia: true},
	{ID: "7", Liveness: ekyc.LivenessAction, Fallback: ekyc.RecordedAction},
	{ID: "8", Liveness: ekyc.LivenessDistance, Fallback: ekyc.RecordedVideo},
	{ID: "9", Liveness: ekyc.RecordedPicture, EndsOnFailure: true},
	{ID: "10", Identity: ekyc.IdentityDocument},
	{ID: "11", Comparison: ekyc.CompareAuthority, Identity: ekyc.IdentityDocument, DocumentBack: true, DocumentRisk: true},
}

// New builds a service for the length of a test.
func New(t testing.TB) *Kit {
	t.Helper()
	seed := sha256.Sum256([]byte(t.Name()))
	chance := &lockedReader{r: rand.NewChaCha8(seed)}
	sealer, err := seal.New(seed[:], chance)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	ctx := t.Context()
	st, err := store.Open(ctx, store.Config{DSN: "sqlite::memory:", Sealer: sealer})
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() { st.Close() })
	dir := t.TempDir()
	blobs, err := file.Open(dir)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	k := &Kit{
		Kept: st,
		T:    t, Ctx: ctx, Clock: &Clock{now: Start}, Engine: &Engine{}, Authority: &Authority{}, Mobiles: &Mobiles{}, Reader: &CardReader{}, Logs: &Logs{}, BlobDir: dir,
		App:   ekyc.App{ID: "8574074", Name: "test app", Key: "ak0123456789", Secret: "sk0123456789", Created: Start, Bearer: "0123456789abcdef0123456789abcdef"},
		Other: ekyc.App{ID: "8574075", Name: "another app", Key: "akOther6789", Secret: "skOther6789", Created: Start},
	}
	k.Service = &ekyc.Service{
		Store: st, Blobs: blobs, Engine: k.Engine, Sealer: sealer, Identity: k.Authority, Portrait: k.Authority, Mobile: k.Mobiles, Cards: k.Reader,
		Subjects: st, Requests: st, Keys: st, Counts: st, Records: st,
		Now: k.Clock.Now, Rand: chance, Log: slog.New(slog.NewTextHandler(k.Logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, a := range []ekyc.App{k.App, k.Other} {
		k.must(st.PutApp(ctx, a))
	}
	for _, p := range plans {
		p.App, p.Name = k.App.ID, "plan "+string(p.ID)
		p.Comparison, p.Identity = cmp.Or(p.Comparison, ekyc.CompareNone), cmp.Or(p.Identity, ekyc.IdentityNone)
		p.Liveness = cmp.Or(p.Liveness, ekyc.LivenessSilent)
		p.LivenessLevel, p.QualityLevel, p.MatchAt = ekyc.LevelNormal, ekyc.LevelNormal, 0.8
		p.Consent = ekyc.Consent{Version: "2026-01", Text: map[string]string{"zh-CN": "同意采集人脸。", "en": "I agree to my face being captured."}}
		p.Created = Start
		k.PutPlan(p)
	}
	return k
}

type lockedReader struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

func (k *Kit) must(err error) {
	k.T.Helper()
	if err != nil {
		k.T.Fatalf("testkit: %v", err)
	}
}

// PutPlan validates and stores a plan.
func (k *Kit) PutPlan(p ekyc.Plan) {
	k.T.Helper()
	k.must(p.Validate())
	k.must(k.Store.PutPlan(k.Ctx, p))
}

// PutApp stores the kit's app after a change.
func (k *Kit) PutApp(a ekyc.App) {
	k.T.Helper()
	k.must(a.Validate())
	k.must(k.Store.PutApp(k.Ctx, a))
	k.App = a
}

// OpenPlan opens a session of the kit's app.
func (k *Kit) OpenPlan(plan ekyc.PlanID) ekyc.Session {
	k.T.Helper()
	s, err := k.Open(k.Ctx, k.App, plan, ekyc.Redirect{})
	k.must(err)
	return s
}

// Frames makes the frames of a presentation of the same face.
func (k *Kit) Frames(f Face, n int) []ekyc.Frame {
	var frames []ekyc.Frame
	for i := range n {
		f.Serial = i
		frames = append(frames, ekyc.Frame{Image: Photo(f), At: k.Clock.Now().Add(time.Duration(i) * 200 * time.Millisecond)})
	}
	return frames
}

// Present draws a silent challenge for a session and makes a presentation of the frames.
func (k *Kit) Present(t ekyc.Token, frames []ekyc.Frame) (ekyc.Presented, error) {
	k.T.Helper()
	c, err := k.Challenge(k.Ctx, t, ekyc.LivenessSilent)
	if err != nil {
		return ekyc.Presented{}, err
	}
	return ekyc.Presented{Challenge: c.ID, Kind: c.Kind, Frames: frames, All: frames}, nil
}

// SubmitFrames is Present and Submit.
func (k *Kit) SubmitFrames(t ekyc.Token, frames []ekyc.Frame) (ekyc.Attempt, error) {
	k.T.Helper()
	p, err := k.Present(t, frames)
	if err != nil {
		return ekyc.Attempt{}, err
	}
	return k.Submit(k.Ctx, t, p)
}

// Consent agrees to the session's authorisation text.
func (k *Kit) Consent(t ekyc.Token) {
	k.T.Helper()
	k.must(k.Agree(k.Ctx, t, "2026-01"))
}

// Walk is the capture subject's way through the page: agree, look into the camera
// until the core has seen enough, submit.
func (k *Kit) Walk(t ekyc.Token, f Face) (ekyc.Attempt, error) {
	k.T.Helper()
	s, err := k.Attend(k.Ctx, t)
	if err != nil {
		return ekyc.Attempt{}, err
	}
	if s.Agreement == nil {
		if err := k.Agree(k.Ctx, t, s.Plan.Consent.Version); err != nil {
			return ekyc.Attempt{}, err
		}
	}
	c, err := k.Challenge(k.Ctx, t, s.Plan.Liveness)
	if err != nil {
		return ekyc.Attempt{}, err
	}
	p, err := k.Perform(s.Plan, c, f)
	if err != nil {
		return ekyc.Attempt{}, err
	}
	return k.Submit(k.Ctx, t, p)
}

// Perform shows a face to a challenge, a frame every 100 ms, until the presentation is
// complete: the capture room without a network. The face answers 400 ms after each cue.
// An error has the code for which the presentation was broken off.
func (k *Kit) Perform(plan ekyc.Plan, c ekyc.Challenge, f Face) (ekyc.Presented, error) {
	k.T.Helper()
	begun := k.Clock.Now()
	w := ekyc.NewPresentation(plan, c, begun)
	var start time.Time
	var asked []ekyc.Cue
	hear := func(cue *ekyc.Cue) {
		if cue == nil {
			return
		}
		x := *cue
		x.After = k.Clock.Now().Sub(start)
		asked = append(asked, x)
		if f.Swap != "" {
			f.Person = f.Swap
		}
	}
	lag := func(int) time.Duration { return 400 * time.Millisecond }
	for i := range 700 {
		f.Serial = i
		if len(asked) > 0 && !f.Deaf {
			flat := f.Head.Flat
			f.Head = Act(asked, lag, k.Clock.Now().Sub(start))
			f.Head.Flat = flat
		}
		img := Photo(f)
		now := k.Clock.Now()
		ad, _, err := k.Follow(k.Ctx, w, ekyc.Frame{Image: img, At: now, Seq: i + 1, Sent: now.Sub(begun) + time.Millisecond})
		if err != nil {
			return ekyc.Presented{}, err
		}
		if ad.Phase == ekyc.PhaseChallenge && start.IsZero() {
			start = now
		}
		hear(ad.Cue)
		switch {
		case ad.Abort != ekyc.OK:
			return ekyc.Presented{}, ekyc.Errorf(ad.Abort, "the scripted presentation was broken off")
		case ad.Done:
			return w.Result(), nil
		case ad.TimedOut:
			return ekyc.Presented{}, ekyc.Errorf(ekyc.TimedOut, "the scripted face never became good enough to submit")
		}
		// The next cue or the next frame, whichever comes first.
		next := now.Add(100 * time.Millisecond)
		for {
			_, wait := w.Due(k.Clock.Now())
			if wait == 0 || !k.Clock.Now().Add(wait).Before(next) {
				break
			}
			k.Clock.Advance(wait)
			cue, _ := w.Due(k.Clock.Now())
			hear(cue)
		}
		k.Clock.Set(next)
	}
	return ekyc.Presented{}, ekyc.Errorf(ekyc.TimedOut, "the scripted face never became good enough to submit")
}
