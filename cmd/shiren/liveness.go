package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/ekyc"
	"shiren/internal/server"
)

// livenessKinds are the kinds that a clip can be judged as, as --kind names them.
var livenessKinds = []ekyc.LivenessKind{
	ekyc.LivenessSilent, ekyc.LivenessFlash, ekyc.LivenessAction, ekyc.LivenessDistance,
	ekyc.RecordedPicture, ekyc.RecordedVideo, ekyc.RecordedAction, ekyc.RecordedDigits,
}

// livenessRate is how many frames a second a clip is played at: what the page sends on a
// good network.
const livenessRate = 10

func (a *app) livenessCmd() *cobra.Command {
	var l liveness
	cmd := &cobra.Command{
		Use: "liveness CLIP", Short: "Explain the liveness verdict on a clip",
		Long: `Judge a clip (webm or mp4 of 1 to 25 s, at most 20 MiB; for --kind picture a photo) and
explain the verdict with the numbers behind it.

Of a real-time kind, the clip is played, over and over, as if it were injected in place of
a camera, against a challenge that is drawn anew: silent, flash, action, distance. Of a
recorded kind it is the upload: picture, video, recorded_action, digits. Everything runs
as in the server, over a database that is forgotten and with a clock of its own. Signals
of risk are not assessed: they are about browsers and networks, and a file has neither.

--tint lays the colour that the page shows over each whole frame, this opaque: the simplest
film that answers a flash challenge, for measuring. SYNTHETIC.

--times plays it against so many challenges and counts how many it passes; the first is
shown. --seed makes challenges that can be drawn again, for comparing; never in earnest.

JSON keys: file, kind, plan, level, passed, code, why, attempts, accepted, duration_ms,
audio, silent (score, threshold), challenge (id, bits, chance, lag_ms, skin, back, depth,
cues: n, at_ms, for_ms, colour, action, scale, digit, met, lag_ms, size), hints (how often each was given), frames (at_ms, faces, hint, cue, problem,
live, eye_distance, sharpness, brightness, yaw, pitch, roll, eyes_closed, quality).`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l.file = args[0]
			return a.liveness(cmd.Context(), l)
		},
	}
	a.setData(cmd)
	cmd.Flags().StringVar(&l.kind, "kind", string(ekyc.LivenessSilent), "`kind` of liveness")
	cmd.Flags().StringVar(&l.plan, "plan", "", "`id` of the plan whose levels and actions apply (default: normal liveness, low quality)")
	cmd.Flags().IntVar(&l.times, "times", 1, "against so `many` challenges")
	cmd.Flags().Int64Var(&l.seed, "seed", 0, "draw challenges from this `number` instead of chance")
	cmd.Flags().Float64Var(&l.tint, "tint", 0, "lay the colours of flash over the clip, this `share` opaque (0 to 1)")
	cmd.Flags().BoolVar(&l.asJSON, "json", false, "print JSON")
	return cmd
}

type liveness struct {
	file, kind, plan string
	times            int
	seed             int64
	tint             float64
	asJSON           bool
}

// explained is the answer of liveness; also its JSON. Times are milliseconds.
type explained struct {
	File      string            `json:"file"`
	Kind      ekyc.LivenessKind `json:"kind"`
	Plan      string            `json:"plan,omitempty"`
	Level     ekyc.Level        `json:"level"`
	Passed    bool              `json:"passed"`
	Code      ekyc.Code         `json:"code,omitempty"`
	Why       string            `json:"why"`
	Attempts  int               `json:"attempts"`
	Accepted  int               `json:"accepted"`
	Duration  int64             `json:"duration_ms"`
	Audio     bool              `json:"audio"`
	Silent    *silentScore      `json:"silent,omitempty"` // absent where it was not measured
	Challenge *challenged       `json:"challenge,omitempty"`
	Hints     map[ekyc.Hint]int `json:"hints"`
	Frames    []watched         `json:"frames"`
}

type (
	silentScore struct {
		Score     ekyc.Score `json:"score"`
		Threshold ekyc.Score `json:"threshold"`
	}
	challenged struct {
		ID     string  `json:"id"`
		Bits   float64 `json:"bits"`
		Chance float64 `json:"chance"`
		Lag    int64   `json:"lag_ms"`
		Skin   float64 `json:"skin"`
		Back   float64 `json:"back"`
		Depth  float64 `json:"depth"`
		Cues   []cue   `json:"cues"`
	}
	cue struct {
		N      int     `json:"n"`
		At     int64   `json:"at_ms"`
		For    int64   `json:"for_ms"`
		Colour string  `json:"colour,omitempty"`
		Action string  `json:"action,omitempty"`
		Scale  float64 `json:"scale,omitempty"`
		Digit  string  `json:"digit,omitempty"`
		Met    bool    `json:"met"`
		Lag    int64   `json:"lag_ms"`
		Size   float64 `json:"size"`
	}
	watched struct {
		At         int64      `json:"at_ms"`
		Faces      int        `json:"faces"`
		Hint       ekyc.Hint  `json:"hint,omitempty"`
		Cue        int        `json:"cue,omitempty"` // that is asked for
		Problem    ekyc.Code  `json:"problem,omitempty"`
		Live       ekyc.Score `json:"live"`
		Eyes       float64    `json:"eye_distance"`
		Sharpness  float64    `json:"sharpness"`
		Brightness float64    `json:"brightness"`
		Yaw        float64    `json:"yaw"`
		Pitch      float64    `json:"pitch"`
		Roll       float64    `json:"roll"`
		EyesClosed [2]float64 `json:"eyes_closed"`
		Quality    float64    `json:"quality"`
	}
)

func (a *app) liveness(ctx context.Context, l liveness) error {
	// What is kept is gone before anything is printed: a closed pipe ends the process.
	x, err := a.explain(ctx, l)
	if err != nil {
		return err
	}
	if l.asJSON {
		return printJSON(a.out, x)
	}
	return x.print(a.out)
}

// explain plays the clip to a server of its own and forgets it.
func (a *app) explain(ctx context.Context, l liveness) (x explained, err error) {
	kind := ekyc.LivenessKind(l.kind)
	if !slices.Contains(livenessKinds, kind) {
		return x, fmt.Errorf("no kind of liveness %q; the kinds are %v", l.kind, livenessKinds)
	}
	if l.times < 1 || l.times > 100_000 {
		return x, fmt.Errorf("--times is %d, want 1 to 100000", l.times)
	}
	if !(l.tint >= 0 && l.tint <= 1) || l.tint > 0 && kind != ekyc.LivenessFlash {
		return x, fmt.Errorf("--tint is %g for kind %s, want 0 to 1, and kind flash", l.tint, kind)
	}
	cfg, err := a.load()
	if err != nil {
		return x, err
	}
	plan, err := a.findPlan(ctx, cfg, l.plan)
	if err != nil {
		return x, err
	}
	data, err := readClip(l.file)
	if err != nil {
		return x, err
	}
	videos, err := server.OpenVideos()
	if err != nil && kind != ekyc.RecordedPicture {
		return x, err
	}
	e, err := server.OpenEngine(cfg)
	if err != nil {
		return x, err
	}
	defer e.Close()

	temp, err := os.MkdirTemp("", "shiren-liveness-")
	if err != nil {
		return x, err
	}
	defer os.RemoveAll(temp)
	cfg.Models.Dir = cfg.ModelsDir()
	cfg.Apps, cfg.Plans, cfg.Data, cfg.Store.DSN, cfg.Seal.KeyFile = nil, nil, temp, "", ""
	clock := &stage{now: a.now().UTC()}
	r := a.rand
	if l.seed != 0 {
		var seed [32]byte
		for i := range 8 {
			seed[i] = byte(l.seed >> (8 * i))
		}
		r = rand.NewChaCha8(seed)
	}
	engine := &memo{Engine: e, seen: map[[32]byte]ekyc.Examination{}}
	d, err := server.Open(ctx, server.Options{Config: cfg, Now: clock.read, Rand: r, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return x, err
	}
	defer d.Close()
	p := &player{
		Service: &ekyc.Service{
			Store: d.Store, Blobs: d.Blobs, Engine: engine, Sealer: d.Sealer, Videos: videos, Now: clock.read, Rand: r,
			Log: slog.New(slog.DiscardHandler),
		},
		clock: clock, kind: kind, data: data, tint: tint{share: l.tint},
	}
	if p.app, p.plan, err = livePlan(ctx, d, plan, kind); err != nil {
		return x, err
	}
	x = explained{File: l.file, Kind: kind, Plan: l.plan, Level: plan.LivenessLevel, Attempts: l.times}
	if kind != ekyc.RecordedPicture {
		if p.clip, err = videos.Decode(ctx, data, livenessRate); err != nil {
			return x, fmt.Errorf("%s: %w", l.file, err)
		}
		x.Duration, x.Audio = p.clip.Duration.Milliseconds(), p.clip.Audio
	} else {
		p.clip.Frames = []ekyc.ClipFrame{{Image: data}}
	}
	for i := range l.times {
		shown := &x
		if i > 0 {
			shown = &explained{}
		}
		if err := p.play(ctx, shown); err != nil {
			return x, fmt.Errorf("%s: %w", l.file, err)
		}
		if shown.Passed {
			x.Accepted++
		}
		if l.times > 1 && terminal(a.err) {
			fmt.Fprintf(a.err, "\r%d of %d, %d accepted", i+1, l.times, x.Accepted)
		}
	}
	if l.times > 1 && terminal(a.err) {
		fmt.Fprintln(a.err)
	}
	return x, nil
}

// readClip reads a file, bounded; what exceeds the bound is refused by its size later.
func readClip(path string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, ekyc.MaxRecording+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

// livePlan stores an app and a plan for liveness alone, with the levels of the given one.
func livePlan(ctx context.Context, d *server.Data, p ekyc.Plan, kind ekyc.LivenessKind) (ekyc.App, ekyc.PlanID, error) {
	app := ekyc.App{ID: "1", Name: "liveness", Key: "liveness", Created: p.Created}
	p.ID, p.App = "liveness", app.ID
	p.Comparison, p.Identity, p.EndsOnFailure, p.KeepMedia = ekyc.CompareNone, ekyc.IdentityNone, false, false
	p.Liveness, p.Fallback, p.Alternative = kind, "", ""
	if kind.Recorded() {
		p.Liveness, p.Fallback = ekyc.LivenessSilent, kind
	}
	p.Risk, p.Spoofing = false, false
	p.Consent.Version = cmp.Or(p.Consent.Version, "1")
	return app, p.ID, errors.Join(d.Store.PutApp(ctx, app), d.Store.PutPlan(ctx, p))
}

// stage is a clock that stands still until it is moved.
type stage struct {
	mu  sync.Mutex
	now time.Time
}

func (s *stage) read() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// memo examines each picture once: a clip that is played again looks the same again.
type memo struct {
	ekyc.Engine
	mu   sync.Mutex
	seen map[[32]byte]ekyc.Examination
}

func (m *memo) Examine(ctx context.Context, image []byte, _ ekyc.Want) (ekyc.Examination, error) {
	key := sha256.Sum256(image)
	m.mu.Lock()
	x, ok := m.seen[key]
	m.mu.Unlock()
	if ok {
		return x, nil
	}
	x, err := m.Engine.Examine(ctx, image, ekyc.WantAll)
	if err == nil {
		m.mu.Lock()
		m.seen[key] = x
		m.mu.Unlock()
	}
	return x, err
}

// player plays a clip to a service.
type player struct {
	*ekyc.Service
	clock *stage
	app   ekyc.App
	plan  ekyc.PlanID
	kind  ekyc.LivenessKind
	data  []byte
	clip  ekyc.Clip
	tint  tint
}

// play makes one attempt in a session of its own and writes down what came of it.
func (p *player) play(ctx context.Context, x *explained) error {
	p.clock.wait(time.Hour) // nothing of an earlier attempt is recent
	ses, err := p.Open(ctx, p.app, p.plan, ekyc.Redirect{})
	if err != nil {
		return err
	}
	if err := p.Agree(ctx, ses.Token, ses.Plan.Consent.Version); err != nil {
		return err
	}
	c, err := p.Challenge(ctx, ses.Token, p.kind)
	if err != nil {
		return err
	}
	x.Hints = map[ekyc.Hint]int{}
	var att ekyc.Attempt
	if p.kind.Recorded() {
		for _, f := range p.clip.Frames {
			found, err := p.Look(ctx, f.Image, ekyc.WantAll)
			if err != nil {
				return err
			}
			x.watch(f.At, found, ses.Plan.QualityLevel, "", cueAt(c.Cues, f.At))
		}
		if att, err = p.Record(ctx, ses.Token, c.ID, p.data, ekyc.Client{}); err != nil {
			return err
		}
	} else {
		presented, code, err := p.present(ctx, ses, c, x)
		if err != nil {
			return err
		}
		if code != ekyc.OK {
			x.Code = code
			x.Why = x.blame(code)
			x.Challenge = challengeOf(c, nil)
			return nil
		}
		if att, err = p.Submit(ctx, ses.Token, presented); err != nil {
			return err
		}
		for i := range c.Cues {
			if i < len(presented.Shown) {
				c.Cues[i].After = presented.Shown[i].Sub(presented.Started)
			}
		}
	}
	x.judge(c, att)
	return nil
}

// present is the clip in place of a camera. A code says why no presentation came about.
func (p *player) present(ctx context.Context, ses ekyc.Session, c ekyc.Challenge, x *explained) (ekyc.Presented, ekyc.Code, error) {
	const step = time.Second / livenessRate
	start := p.clock.read()
	w := ekyc.NewPresentation(ses.Plan, c, start)
	asked, colour := 0, ekyc.RGB{}
	for n := 0; ; n++ {
		i := n % len(p.clip.Frames)
		image, err := p.tint.show(p.clip.Frames[i].Image, i, colour)
		if err != nil {
			return ekyc.Presented{}, ekyc.OK, err
		}
		at := time.Duration(n) * step
		adv, found, err := p.Follow(ctx, w, ekyc.Frame{Image: image, At: p.clock.read(), Seq: n + 1, Sent: at + step})
		if err != nil {
			return ekyc.Presented{}, ekyc.OK, err
		}
		if adv.Cue != nil {
			asked, colour = adv.Cue.N, adv.Cue.Colour
		}
		x.watch(at, found, ses.Plan.QualityLevel, adv.Hint, asked)
		switch code, over := adv.Over(); {
		case over && code == ekyc.OK:
			return w.Result(), ekyc.OK, nil
		case over:
			return ekyc.Presented{}, code, nil
		}
		p.clock.wait(step)
	}
}

// tint lays colours over the frames of a clip.
type tint struct {
	share float64
	made  map[tinted][]byte
}

type tinted struct {
	frame  int
	colour ekyc.RGB
}

// show is frame i under a colour; as it is where the page shows none.
func (t *tint) show(frame []byte, i int, c ekyc.RGB) ([]byte, error) {
	key := tinted{i, c}
	if t.share == 0 || c == (ekyc.RGB{}) {
		return frame, nil
	}
	if b, ok := t.made[key]; ok {
		return b, nil
	}
	src, err := jpeg.Decode(bytes.NewReader(frame))
	if err != nil {
		return nil, err
	}
	m := image.NewRGBA(src.Bounds())
	draw.Draw(m, m.Bounds(), src, src.Bounds().Min, draw.Src)
	over := image.NewUniform(color.NRGBA{c[0], c[1], c[2], uint8(255*t.share + 0.5)})
	draw.Draw(m, m.Bounds(), over, image.Point{}, draw.Over)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		return nil, err
	}
	if t.made == nil {
		t.made = map[tinted][]byte{}
	}
	t.made[key] = b.Bytes()
	return b.Bytes(), nil
}

// cueAt is the number of the cue that is asked for at a time of a recording; 0 before.
func cueAt(cues []ekyc.Cue, at time.Duration) (n int) {
	for _, c := range cues {
		if at >= c.After {
			n = c.N
		}
	}
	return n
}

// watch adds a frame.
func (x *explained) watch(at time.Duration, found ekyc.Examination, level ekyc.Level, hint ekyc.Hint, cue int) {
	if hint != ekyc.HintNone {
		x.Hints[hint]++
	}
	row := watched{At: at.Milliseconds(), Faces: len(found.Faces), Hint: hint, Cue: cue, Problem: ekyc.Judge(found, ekyc.WantPose|ekyc.WantEyes, level)}
	if len(found.Faces) > 0 {
		f := found.Faces[0]
		row.Live, row.Eyes, row.Sharpness, row.Brightness = f.Live, f.Quality.EyeDistance, f.Quality.Sharpness, f.Quality.Brightness
		row.Yaw, row.Pitch, row.Roll, row.EyesClosed, row.Quality = f.Pose.Yaw, f.Pose.Pitch, f.Pose.Roll, f.EyesClosed, f.Quality.Value
	}
	x.Frames = append(x.Frames, row)
}

// blame says what kept a presentation from coming about.
func (x *explained) blame(code ekyc.Code) string {
	last := x.Frames[len(x.Frames)-1]
	after := fmt.Sprintf("after %.1f s", float64(last.At)/1000)
	if code != ekyc.TimedOut {
		return fmt.Sprintf("the presentation broke off %s, during cue %d: %s", after, last.Cue, code)
	}
	type count struct {
		hint ekyc.Hint
		n    int
	}
	var list []count
	for h, n := range x.Hints {
		list = append(list, count{h, n})
	}
	slices.SortFunc(list, func(a, b count) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.hint, b.hint)) })
	var words []string
	for _, c := range list {
		words = append(words, fmt.Sprintf("%s in %d", c.hint, c.n))
	}
	return fmt.Sprintf("no usable capture %s; hints of %d frames: %s", after, len(x.Frames), strings.Join(words, ", "))
}

// judge writes down the attempt's verdict.
func (x *explained) judge(c ekyc.Challenge, att ekyc.Attempt) {
	x.Passed, x.Code = att.Outcome == ekyc.Match, att.Code
	x.Why = "live: every check was passed"
	if check, ok := att.Check(ekyc.CheckLiveness); ok {
		x.Silent = &silentScore{att.Live, check.Threshold}
		if att.Code == ekyc.LivenessFailed {
			x.Why = fmt.Sprintf("silent PAD scores %.3f; at least %.2f is needed", float64(att.Live), float64(check.Threshold))
		}
	}
	switch {
	case x.Passed || att.Code == ekyc.LivenessFailed:
	case att.Response != nil && att.Response.Code == att.Code:
		x.Why = att.Response.Why
	case att.Code == ekyc.FaceChanged:
		x.Why = "frames spread over the clip do not show one and the same face"
	default:
		x.Why = "the presentation could not be judged: " + string(att.Code)
	}
	if len(c.Cues) > 0 {
		x.Challenge = challengeOf(c, att.Response)
	}
}

func challengeOf(c ekyc.Challenge, r *ekyc.Response) *challenged {
	if len(c.Cues) == 0 {
		return nil
	}
	out := &challenged{ID: c.ID, Bits: c.Bits, Chance: 1, Cues: []cue{}}
	for _, q := range c.Cues {
		row := cue{N: q.N, At: q.After.Milliseconds(), For: q.For.Milliseconds(), Action: string(q.Action), Scale: q.Scale, Digit: q.Digit}
		if c.Kind == ekyc.LivenessFlash {
			row.Colour = fmt.Sprintf("#%02x%02x%02x", q.Colour[0], q.Colour[1], q.Colour[2])
		}
		if r != nil {
			for _, found := range r.Cues {
				if found.N == q.N {
					row.Met, row.Lag, row.Size = found.Met, found.Lag.Milliseconds(), found.Size
				}
			}
		}
		out.Cues = append(out.Cues, row)
	}
	if r != nil {
		out.Chance, out.Lag, out.Skin, out.Back, out.Depth = r.Chance, r.Lag.Milliseconds(), r.Skin, r.Back, r.Depth
	}
	return out
}

// print is the answer for people.
func (x *explained) print(out io.Writer) error {
	verdict := "passed"
	if !x.Passed {
		verdict = "refused: " + string(x.Code)
	}
	fmt.Fprintf(out, "verdict  %s\nwhy      %s\n", verdict, x.Why)
	if x.Attempts > 1 {
		fmt.Fprintf(out, "times    %d of %d challenges passed; this is the first\n", x.Accepted, x.Attempts)
	}
	if x.Kind != ekyc.RecordedPicture {
		sound := "no sound"
		if x.Audio {
			sound = "with sound"
		}
		fmt.Fprintf(out, "clip     %.1f s, %s; judged as %s, level %s\n", float64(x.Duration)/1000, sound, x.Kind, x.Level)
	}
	if s := x.Silent; s != nil {
		fmt.Fprintf(out, "silent   %.3f, threshold %.2f\n", float64(s.Score), float64(s.Threshold))
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if c := x.Challenge; c != nil {
		fmt.Fprintf(out, "\nchallenge of %.1f bits: chance %.2g, lag %d ms", c.Bits, c.Chance, c.Lag)
		switch x.Kind {
		case ekyc.LivenessFlash:
			fmt.Fprintf(out, ", skin %.4f, background %.4f", c.Skin, c.Back)
		case ekyc.LivenessAction, ekyc.LivenessDistance, ekyc.RecordedAction:
			fmt.Fprintf(out, ", depth %.2f", c.Depth)
		}
		fmt.Fprintf(w, "\n\ncue\tat s\tasked\tmet\tlag ms\tsize\n")
		for _, q := range c.Cues {
			asked := q.Colour + q.Action + q.Digit
			if q.Scale > 0 {
				asked = fmt.Sprintf("x %.2f", q.Scale)
			}
			fmt.Fprintf(w, "%d\t%.2f\t%s\t%t\t%d\t%.2f\n", q.N, float64(q.At)/1000, asked, q.Met, q.Lag, q.Size)
		}
	}
	fmt.Fprint(w, "\nat s\tfaces\tcue\thint\tproblem\tlive\teyes px\tsharp\tbright\tyaw\tpitch\troll\tclosed\tquality\n")
	for _, f := range x.Frames {
		fmt.Fprintf(w, "%.1f\t%d\t%d\t%s\t%s\t%.3f\t%.0f\t%.2f\t%.2f\t%d\t%d\t%d\t%.2f %.2f\t%.2f\n", float64(f.At)/1000, f.Faces, f.Cue,
			cmp.Or(string(f.Hint), "-"), cmp.Or(string(f.Problem), "-"), float64(f.Live), f.Eyes, f.Sharpness, f.Brightness, degrees(f.Yaw), degrees(f.Pitch), degrees(f.Roll),
			f.EyesClosed[0], f.EyesClosed[1], f.Quality)
	}
	return w.Flush()
}

func degrees(x float64) int { return int(math.Round(x)) }
