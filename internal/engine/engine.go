// Package engine measures faces in images: it finds them, aligns and embeds the
// largest one, compares templates, and measures silent presentation attack evidence,
// pose, eyes and capture quality. It decides nothing: its scores are calibrated to
// the core's scale by tables in the model manifest, and the core holds the thresholds.
//
// One examination runs these steps, on one thread:
//
//	decode     within limits, upright, at most Limits.Side pixels a side
//	detect     faces in the letterboxed image
//	landmarks  68 points in the largest face's box
//	align      five of them brought to the embedding network's template
//	quality    sharpness, light, size
//	pose, eyes, colour, liveness, embed   as wanted
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"runtime"
	"slices"

	"shiren/internal/ekyc"
	"shiren/internal/engine/models"
	"shiren/internal/engine/ort"
	"shiren/internal/engine/vision"
)

// DefaultModels is the models' directory when Config names none.
const DefaultModels = "data/models"

// Config says what an engine is built from. The zero value is the default engine.
type Config struct {
	// Models is the directory that "shiren models fetch" fills; empty means DefaultModels.
	Models string
	// Manifest is a user's manifest file that replaces networks, or empty.
	Manifest string
	// Calibration names the embedding network's calibration table, by population;
	// empty means the manifest's default.
	Calibration string
	// LivenessCalibration names the silent PAD network's table, likewise.
	LivenessCalibration string
	// Limits of images; the zero value means vision.DefaultLimits.
	Limits vision.Limits
	// Parallel is how many examinations run at a time; 0 means one a CPU. Others wait.
	Parallel int
}

// Engine implements ekyc.Engine. Safe for concurrent use.
type Engine struct {
	runtime *ort.Runtime
	nets    map[models.Role]*net
	limits  vision.Limits
	table   []models.Point // of comparison, by rising cosine
	live    []anchor       // of silent PAD, by rising raw score
	turns   chan struct{}  // semaphore
	spare   chan *scratch
}

var _ ekyc.Engine = (*Engine)(nil)

// net is a loaded network with its preprocessing.
type net struct {
	models.Model
	session *ort.Session
	planes  *vision.Planes
}

// New opens the runtime library and all networks, each checked against its sha256.
func New(cfg Config) (_ *Engine, err error) {
	if cfg.Models == "" {
		cfg.Models = DefaultModels
	}
	if cfg.Limits == (vision.Limits{}) {
		cfg.Limits = vision.DefaultLimits
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = runtime.NumCPU()
	}
	m, err := models.Load(cfg.Models, cfg.Manifest)
	if err != nil {
		return nil, err
	}
	table, err := m.Models[models.Embed].Calibration.Table(cfg.Calibration)
	if err != nil {
		return nil, fmt.Errorf("comparison: %w", err)
	}
	live, err := m.Models[models.Liveness].Calibration.Table(cfg.LivenessCalibration)
	if err != nil {
		return nil, fmt.Errorf("silent PAD: %w", err)
	}
	library, err := m.Library()
	if err != nil {
		return nil, err
	}
	if err := library.Verify(cfg.Models); err != nil {
		return nil, err
	}
	rt, err := ort.Open(filepath.Join(cfg.Models, filepath.FromSlash(library.Path)))
	if err != nil {
		return nil, err
	}
	e := &Engine{
		runtime: rt, nets: map[models.Role]*net{}, limits: cfg.Limits, table: table.Points, live: anchors(live.Points),
		turns: make(chan struct{}, cfg.Parallel), spare: make(chan *scratch, cfg.Parallel),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	for _, role := range models.Roles() {
		if e.nets[role], err = e.open(role, m.Models[role], cfg.Parallel); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// outputs are the sizes that a role's outputs must have; 0 is any.
var outputSizes = map[models.Role][]int{
	models.Detect: {0, 0}, models.Landmarks: {136}, models.Embed: {0}, models.Liveness: {0},
	models.Pose: {poseBins, poseBins, poseBins}, models.Eyes: {2},
}

func (e *Engine) open(role models.Role, m models.Model, keep int) (*net, error) {
	content, err := m.Read()
	if err != nil {
		return nil, err
	}
	planes := int64(3)
	if m.Input.Channels == string(vision.Gray) {
		planes = 1
	}
	s, err := e.runtime.Open(m.Path(), content, ort.Options{
		Input: []int64{1, planes, int64(m.Input.Height), int64(m.Input.Width)}, Outputs: m.Outputs, Keep: keep,
	})
	if err != nil {
		return nil, fmt.Errorf("model %s for %s: %w", m.Name, role, err)
	}
	n := &net{Model: m, session: s, planes: vision.NewPlanes(vision.Channels(m.Input.Channels), m.Input.Mean, m.Input.Std)}
	if err := n.fits(role); err != nil {
		return nil, errors.Join(fmt.Errorf("model %s for %s: %w", m.Name, role, err), s.Close())
	}
	return n, nil
}

// fits checks that the network's outputs are of the role's form.
func (n *net) fits(role models.Role) error {
	_, outs := n.session.Describe()
	for i, want := range outputSizes[role] {
		if got := outs[i].Size(); want > 0 && got != want {
			return fmt.Errorf("output %v has %d values, want %d", outs[i], got, want)
		}
	}
	switch role {
	case models.Detect:
		if outs[0].Size()*2 != outs[1].Size() || outs[1].Size()%4 != 0 {
			return fmt.Errorf("outputs %v and %v are not [N,2] and [N,4]", outs[0], outs[1])
		}
	case models.Liveness, models.Eyes:
		if n.Index >= outs[0].Size() {
			return fmt.Errorf("index %d lies outside output %v", n.Index, outs[0])
		}
	}
	return nil
}

// run prepares an image as the network's input and computes it.
func (n *net) run(im *vision.Image, read func(outs [][]float32)) error {
	if err := n.session.Run(func(in []float32) { n.planes.Write(in, im) }, read); err != nil {
		return ekyc.Wrap(ekyc.EngineFailed, "the network "+n.Name+" failed", err)
	}
	return nil
}

func (n *net) blank() *vision.Image { return vision.NewImage(n.Input.Width, n.Input.Height) }

// Close frees the networks and the runtime. Examinations must have ended.
func (e *Engine) Close() error {
	var errs []error
	for _, n := range e.nets {
		if n != nil {
			errs = append(errs, n.session.Close())
		}
	}
	errs = append(errs, e.runtime.Close())
	return errors.Join(errs...)
}

// Tensors is how many tensors are allocated now, for tests against leaks.
func (e *Engine) Tensors() int { return e.runtime.Tensors() }

// Model names the embedding network: its name and the beginning of its sha256.
func (e *Engine) Model() string { return e.nets[models.Embed].ID() }

// Stage names a step of an examination.
type Stage string

// Stages, in order.
const (
	StageWait      Stage = "wait" // for a turn
	StageDecode    Stage = "decode"
	StageDetect    Stage = "detect"
	StageLandmarks Stage = "landmarks"
	StageAlign     Stage = "align"
	StageQuality   Stage = "quality"
	StagePose      Stage = "pose"
	StageEyes      Stage = "eyes"
	StageColour    Stage = "colour"
	StageLiveness  Stage = "liveness"
	StageEmbed     Stage = "embed"
)

// scratch holds the pictures of one examination.
type scratch struct {
	detect, landmarks, aligned, pose, eye, live *vision.Image
	candidates                                  []vision.Candidate
	lights                                      []light
}

func (e *Engine) scratch() *scratch {
	select {
	case s := <-e.spare:
		return s
	default:
		return &scratch{
			detect: e.nets[models.Detect].blank(), landmarks: e.nets[models.Landmarks].blank(), aligned: e.nets[models.Embed].blank(),
			pose: e.nets[models.Pose].blank(), eye: e.nets[models.Eyes].blank(), live: e.nets[models.Liveness].blank(),
		}
	}
}

// Examine implements ekyc.Engine.
func (e *Engine) Examine(ctx context.Context, image []byte, want ekyc.Want) (ekyc.Examination, error) {
	return e.ExamineWith(ctx, image, Options{Want: want})
}

// Options of an examination beyond Examine's.
type Options struct {
	Want ekyc.Want
	// Middle puts first, instead of the largest face, the one nearest the image's
	// middle among those of at least a quarter of the largest one's area: the convention
	// of test sets like LFW, whose pictures show others too.
	Middle bool
	// Done is told after each step which one it was; nil is not.
	Done func(Stage)
}

// ExamineWith is Examine with options.
func (e *Engine) ExamineWith(ctx context.Context, image []byte, o Options) (ekyc.Examination, error) {
	done := o.Done
	if done == nil {
		done = func(Stage) {}
	}
	select {
	case e.turns <- struct{}{}:
		defer func() { <-e.turns }()
	case <-ctx.Done():
		return ekyc.Examination{}, ekyc.Wrap(ekyc.Busy, "the engine had no free turn in time", ctx.Err())
	}
	done(StageWait)
	im, err := vision.Decode(image, e.limits)
	if err != nil {
		return ekyc.Examination{}, err
	}
	defer im.Release()
	done(StageDecode)
	s := e.scratch()
	defer func() { e.spare <- s }() // never full: turns has its size
	return e.examine(ctx, im, o, s, done)
}

func (e *Engine) examine(ctx context.Context, im *vision.Image, o Options, s *scratch, done func(Stage)) (ekyc.Examination, error) {
	ex := ekyc.Examination{Width: im.FullW, Height: im.FullH}
	if err := e.detect(im, s); err != nil {
		return ex, err
	}
	done(StageDetect)
	if len(s.candidates) == 0 {
		return ex, nil
	}
	rank(s.candidates, im, o.Middle)
	for _, c := range s.candidates {
		ex.Faces = append(ex.Faces, ekyc.Face{Box: c.Box, Confidence: c.Confidence})
	}
	f := &ex.Faces[0]
	steps := []struct {
		stage Stage
		on    bool
		run   func(*vision.Image, *ekyc.Face, *scratch) error
	}{
		{StageLandmarks, true, e.landmarks},
		{StageAlign, true, e.align},
		{StageQuality, true, e.quality},
		{StagePose, o.Want&ekyc.WantPose != 0, e.pose},
		{StageEyes, o.Want&ekyc.WantEyes != 0, e.eyes},
		{StageColour, o.Want&ekyc.WantColour != 0, e.colour},
		{StageLiveness, o.Want&ekyc.WantLiveness != 0, e.liveness},
		{StageEmbed, o.Want&ekyc.WantTemplate != 0, e.embed},
	}
	for _, step := range steps {
		if !step.on {
			continue
		}
		if err := ctx.Err(); err != nil {
			return ex, ekyc.Wrap(ekyc.Busy, "the examination was given up", err)
		}
		if err := step.run(im, f, s); err != nil {
			return ex, err
		}
		done(step.stage)
	}
	x, y := im.Scale()
	for i := range ex.Faces {
		b := &ex.Faces[i].Box
		b.X, b.W, b.Y, b.H = b.X*x, b.W*x, b.Y*y, b.H*y
	}
	for i := range f.Landmarks {
		f.Landmarks[i].X *= x
		f.Landmarks[i].Y *= y
	}
	f.Quality.EyeDistance *= x
	return ex, nil
}

// rank sorts boxes by falling area and, if middle is set, moves the one nearest the
// image's middle to the front.
func rank(list []vision.Candidate, im *vision.Image, middle bool) {
	area := func(c vision.Candidate) float64 { return c.Box.W * c.Box.H }
	slices.SortStableFunc(list, func(a, b vision.Candidate) int { return cmp.Compare(area(b), area(a)) })
	if !middle {
		return
	}
	far := func(c vision.Candidate) float64 {
		return math.Hypot(c.Box.X+c.Box.W/2-float64(im.W)/2, c.Box.Y+c.Box.H/2-float64(im.H)/2)
	}
	best := 0
	for i, c := range list {
		if area(c) >= area(list[0])/4 && far(c) < far(list[best]) {
			best = i
		}
	}
	first := list[best]
	copy(list[1:best+1], list[:best])
	list[0] = first
}

// detect finds boxes, in pixels of im.
func (e *Engine) detect(im *vision.Image, s *scratch) error {
	n := e.nets[models.Detect]
	w, h := s.detect.W, s.detect.H
	m := vision.Letterbox(im.W, im.H, w, h)
	im.Warp(s.detect, m, vision.Sample)
	s.detect.Fill(int(math.Ceil(float64(im.W)/m.A)), int(math.Ceil(float64(im.H)/m.A)), letterboxGrey)
	s.candidates = s.candidates[:0]
	err := n.run(s.detect, func(outs [][]float32) {
		scores, boxes := outs[0], outs[1]
		x, y := float64(w)*m.A, float64(h)*m.E
		least := float32(n.Detect.MinConfidence)
		for i, j := n.Detect.Face, 0; i < len(scores); i, j = i+2, j+4 {
			if scores[i] < least {
				continue
			}
			b := boxes[j : j+4]
			box := ekyc.Box{X: float64(b[0]) * x, Y: float64(b[1]) * y, W: float64(b[2]-b[0]) * x, H: float64(b[3]-b[1]) * y}
			// Inside drops not-a-numbers and what lies in the letterbox's padding.
			if box.W >= 1 && box.H >= 1 && vision.Inside(box, im.W, im.H) > 0.2 {
				s.candidates = append(s.candidates, vision.Candidate{Box: box, Confidence: float64(min(scores[i], 1))})
			}
		}
	})
	s.candidates = vision.Suppress(s.candidates, n.Detect.Overlap)
	return err
}

// letterboxGrey is the padding of the detector's input: its mean, so that it is 0 there.
const letterboxGrey = 127

func (e *Engine) landmarks(im *vision.Image, f *ekyc.Face, s *scratch) error {
	im.Warp(s.landmarks, vision.Crop(f.Box, s.landmarks.W, s.landmarks.H), vision.Average)
	f.Landmarks = make([]ekyc.Point, 68)
	return e.nets[models.Landmarks].run(s.landmarks, func(outs [][]float32) {
		for i := range f.Landmarks {
			f.Landmarks[i] = ekyc.Point{X: f.Box.X + float64(outs[0][2*i])*f.Box.W, Y: f.Box.Y + float64(outs[0][2*i+1])*f.Box.H}
		}
	})
}

// mean is the mean of points.
func mean(points []ekyc.Point) ekyc.Point {
	var m ekyc.Point
	for _, p := range points {
		m.X += p.X / float64(len(points))
		m.Y += p.Y / float64(len(points))
	}
	return m
}

// align brings the face to the embedding network's template.
func (e *Engine) align(im *vision.Image, f *ekyc.Face, s *scratch) error {
	l := f.Landmarks
	five := []ekyc.Point{mean(l[36:42]), mean(l[42:48]), l[30], l[48], l[54]}
	f.Quality.EyeDistance = math.Hypot(five[1].X-five[0].X, five[1].Y-five[0].Y)
	template := make([]ekyc.Point, 5)
	for i, p := range e.nets[models.Embed].Align {
		template[i] = ekyc.Point{X: p[0], Y: p[1]}
	}
	m, ok := vision.Similarity(template, five)
	if !ok || math.IsNaN(m.A+m.B+m.C+m.F) {
		return ekyc.Errorf(ekyc.EngineFailed, "the landmarks of the face coincide")
	}
	im.Warp(s.aligned, m, vision.Average)
	f.Quality.Inside = min(vision.Inside(f.Box, im.W, im.H), zoneInside(m, s.aligned, im))
	return nil
}

// zoneInside is the share of the face that lies in the image, judged by where its
// alignment puts it: a detector's box shrinks to what is visible of a cut-off face. The
// zone is where the aligned face lies: columns 1/6 to 5/6 (1.1 eye distances either
// way), rows 1/6 to the chin at 62/64.
func zoneInside(m vision.Affine, aligned, im *vision.Image) float64 {
	const grid = 24
	inside := 0
	for i := range grid * grid {
		u := (float64(i%grid) + 0.5) / grid
		v := (float64(i/grid) + 0.5) / grid
		p := m.Apply(ekyc.Point{X: float64(aligned.W) * (1 + 4*u) / 6, Y: float64(aligned.H) * (1./6 + v*(62./64-1./6))})
		if p.X >= 0 && p.Y >= 0 && p.X < float64(im.W) && p.Y < float64(im.H) {
			inside++
		}
	}
	return float64(inside) / (grid * grid)
}

func (e *Engine) quality(im *vision.Image, f *ekyc.Face, s *scratch) error {
	q := &f.Quality
	light := vision.Measure(s.aligned)
	q.Sharpness, q.Brightness, q.Contrast = light.Sharpness, light.Brightness, light.Contrast
	x, _ := im.Scale()
	q.Value = value(*q, q.EyeDistance*x)
	return nil
}

// value is one number for a face's quality: the product of its size (full from 60
// pixels between the eyes), sharpness, exposure (full from luma .25 to .8, none below
// .05 and from 1), contrast (full from .1) and the share inside the image. Our choice.
func value(q ekyc.Quality, eyes float64) float64 {
	unit := func(x float64) float64 { return max(0, min(x, 1)) }
	return unit(eyes/60) * q.Sharpness * unit((q.Brightness-0.05)/0.2) * unit((1-q.Brightness)/0.2) * unit(q.Contrast/0.1) * q.Inside
}

// poseBins is the number of 3-degree bins, from -99 degrees, of a pose network.
const poseBins = 66

func (e *Engine) pose(im *vision.Image, f *ekyc.Face, s *scratch) error {
	n := e.nets[models.Pose]
	im.Warp(s.pose, vision.Crop(vision.Grow(f.Box, n.Crop), s.pose.W, s.pose.H), vision.Sample)
	return n.run(s.pose, func(outs [][]float32) {
		angle := func(bins []float32, a models.Angle) float64 {
			sum, _ := softmax(bins, -1)
			return a.Sign * (sum*3 - 99 - a.Rest)
		}
		f.Pose = ekyc.Pose{Yaw: angle(outs[0], n.Pose.Yaw), Pitch: angle(outs[1], n.Pose.Pitch), Roll: angle(outs[2], n.Pose.Roll)}
	})
}

func (e *Engine) eyes(im *vision.Image, f *ekyc.Face, s *scratch) error {
	n := e.nets[models.Eyes]
	for i, eye := range [2][]ekyc.Point{f.Landmarks[36:42], f.Landmarks[42:48]} {
		c := mean([]ekyc.Point{eye[1], eye[2], eye[4], eye[5]}) // the lids
		side := math.Hypot(eye[3].X-eye[0].X, eye[3].Y-eye[0].Y) * n.Crop
		box := ekyc.Box{X: c.X - side/2, Y: c.Y - side/2, W: side, H: side}
		im.Warp(s.eye, vision.Crop(box, s.eye.W, s.eye.H), vision.Average)
		if l := n.Input.Level; l != nil {
			s.eye.Level(l.Mean, l.Deviation)
		}
		err := n.run(s.eye, func(outs [][]float32) { _, f.EyesClosed[i] = softmax(outs[0], n.Index) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) liveness(im *vision.Image, f *ekyc.Face, s *scratch) error {
	n := e.nets[models.Liveness]
	box := vision.ShiftInside(vision.Grow(f.Box, n.Crop), im.W, im.H)
	im.Warp(s.live, vision.Crop(box, s.live.W, s.live.H), vision.Sample)
	return n.run(s.live, func(outs [][]float32) {
		_, raw := softmax(outs[0], n.Index)
		f.Live = liveScore(e.live, raw)
	})
}

func (e *Engine) embed(_ *vision.Image, f *ekyc.Face, s *scratch) error {
	n := e.nets[models.Embed]
	bad := false
	err := n.run(s.aligned, func(outs [][]float32) {
		f.Template = ekyc.Template{Model: n.ID(), Vector: slices.Clone(outs[0])}
		bad = !normalise(f.Template.Vector)
	})
	if err == nil && bad {
		return ekyc.Errorf(ekyc.EngineFailed, "the network %s gave no direction", n.Name)
	}
	return err
}

// softmax returns the mean index and the probability of one (0 for -1).
func softmax(x []float32, index int) (meanIndex, p float64) {
	top := slices.Max(x)
	var sum, weighted float64
	for i, v := range x {
		e := math.Exp(float64(v - top))
		sum += e
		weighted += e * float64(i)
		if i == index {
			p = e
		}
	}
	return weighted / sum, p / sum
}

// normalise scales v to length 1 and reports false where it has none.
func normalise(v []float32) bool {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if !(sum > 1e-12) || math.IsInf(sum, 0) {
		return false
	}
	f := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= f
	}
	return true
}

// Fuse implements ekyc.Engine. Weights must not be negative and not all 0.
func (e *Engine) Fuse(templates []ekyc.Template, weights []float64) (ekyc.Template, error) {
	if len(templates) == 0 || len(templates) != len(weights) {
		return ekyc.Template{}, ekyc.Errorf(ekyc.EngineFailed, "fuse %d templates with %d weights", len(templates), len(weights))
	}
	sum := make([]float32, len(templates[0].Vector))
	for i, t := range templates {
		if t.Model != templates[0].Model || len(t.Vector) != len(sum) {
			return ekyc.Template{}, ekyc.Errorf(ekyc.EngineFailed, "fuse templates of the models %s and %s: they are not comparable", templates[0].Model, t.Model)
		}
		if !(weights[i] >= 0) || math.IsInf(weights[i], 0) {
			return ekyc.Template{}, ekyc.Errorf(ekyc.EngineFailed, "fuse templates: weight %d is %v", i, weights[i])
		}
		for j, x := range t.Vector {
			sum[j] += float32(weights[i]) * x
		}
	}
	if !normalise(sum) {
		return ekyc.Template{}, ekyc.Errorf(ekyc.EngineFailed, "fuse templates: they or their weights add up to nothing")
	}
	return ekyc.Template{Model: templates[0].Model, Vector: sum}, nil
}

// Compare implements ekyc.Engine.
func (e *Engine) Compare(a, b ekyc.Template) (ekyc.Comparison, error) {
	for _, t := range []ekyc.Template{a, b} {
		if t.Model != e.Model() {
			return ekyc.Comparison{}, ekyc.Errorf(ekyc.EngineFailed, "a template of model %q cannot be compared by model %s; make it anew from its image", t.Model, e.Model())
		}
	}
	if len(a.Vector) == 0 || len(a.Vector) != len(b.Vector) {
		return ekyc.Comparison{}, ekyc.Errorf(ekyc.EngineFailed, "compare templates of %d and %d numbers", len(a.Vector), len(b.Vector))
	}
	var dot float64
	for i, x := range a.Vector {
		dot += float64(x) * float64(b.Vector[i])
	}
	dot = max(-1, min(dot, 1))
	fmr := rate(e.table, dot)
	return ekyc.Comparison{
		Similarity: dot, FMR: fmr, Score: matchScore(fmr),
		Extrapolated: fmr > e.table[0].Rate || fmr < e.table[len(e.table)-1].Rate,
	}, nil
}

// Draw writes a PNG of images side by side, each at the scale it was examined at,
// with the boxes and landmarks of its examination.
func (e *Engine) Draw(w io.Writer, images [][]byte, found []ekyc.Examination) error {
	var drawn []*vision.Image
	for i, data := range images {
		im, err := vision.Decode(data, e.limits)
		if err != nil {
			return err
		}
		defer im.Release()
		x, y := im.Scale()
		for j, f := range found[i].Faces {
			c := color.RGBA{R: 160, G: 160, B: 160, A: 255} // a further face
			if j == 0 {
				c = color.RGBA{R: 0, G: 200, B: 80, A: 255}
			}
			im.Frame(ekyc.Box{X: f.Box.X / x, Y: f.Box.Y / y, W: f.Box.W / x, H: f.Box.H / y}, c)
			for _, p := range f.Landmarks {
				im.Dot(ekyc.Point{X: p.X / x, Y: p.Y / y}, max(0, int(f.Box.W/x/160)), color.RGBA{R: 255, G: 220, B: 0, A: 255})
			}
		}
		drawn = append(drawn, im)
	}
	return vision.EncodePNG(w, drawn...)
}

// RunNetworks computes, once each and on whatever input they had last, the networks
// that an examination with these wants runs: the floor under its cost, for benchmarks.
func (e *Engine) RunNetworks(want ekyc.Want) error {
	roles := []models.Role{models.Detect, models.Landmarks}
	for _, r := range []struct {
		on    ekyc.Want
		roles []models.Role
	}{
		{ekyc.WantPose, []models.Role{models.Pose}},
		{ekyc.WantEyes, []models.Role{models.Eyes, models.Eyes}},
		{ekyc.WantLiveness, []models.Role{models.Liveness}},
		{ekyc.WantTemplate, []models.Role{models.Embed}},
	} {
		if want&r.on != 0 {
			roles = append(roles, r.roles...)
		}
	}
	for _, role := range roles {
		if err := e.nets[role].session.Run(func([]float32) {}, func([][]float32) {}); err != nil {
			return ekyc.Wrap(ekyc.EngineFailed, "a network failed", err)
		}
	}
	return nil
}
