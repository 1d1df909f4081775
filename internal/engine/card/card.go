// Package card reads identity documents: the resident identity card (居民身份证) and the
// residence permits of Hong Kong, Macau and Taiwan residents (港澳台居民居住证), both sides,
// out of one photograph. It measures and decides nothing: what is doubtful is marked so.
//
// One reading runs these steps, on one thread:
//
//	decode    within limits, upright
//	find      text detector: rectangles of text, all given the direction of most of them
//	upside    direction classifier: the longest lines vote which way up they are
//	read      recogniser, line by line
//	place     labels and rows of digits that agree on one layout give a homography from
//	          the document's plane, in millimetres, to the image
//	fields    each value's place is read again from the original pixels, apart from its
//	          label; texts are scored over all looks (CTC), together with what is known:
//	          the number's check character, dates that are issued together, the 56
//	          nations, the names of regions, glyphs of rare characters
//	checks    number, birthday, gender and dates against each other
//	crop      the document and its portrait, rectified
//
// What it refuses to do: it guesses no field from a register, and corrects no value that
// is clearly printed.
package card

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"shiren/internal/ekyc"
	"shiren/internal/engine/models"
	"shiren/internal/engine/ort"
	"shiren/internal/engine/vision"
)

// Config says what a reader is built from. The zero value is the default reader.
type Config struct {
	// Models is the directory that "shiren models fetch" fills; empty means data/models.
	Models string
	// Limits of images; the zero value means DefaultLimits.
	Limits vision.Limits
	// Parallel is how many readings run at a time; 0 means one a CPU.
	Parallel int
	// Waiting is how many more may wait for a turn; others are told Busy at once. 0 means
	// four times Parallel.
	Waiting int
}

// DefaultLimits are vision.DefaultLimits at a larger scale: small print needs more
// pixels than faces do. 2560: a 12 megapixel photo is read at 5/8.
var DefaultLimits = func() vision.Limits {
	l := vision.DefaultLimits
	l.Side = 2560
	return l
}()

// Reader implements ekyc.CardReader. Safe for concurrent use.
type Reader struct {
	runtime       *ort.Runtime
	det, rec, cls *ort.Session
	detPlanes     *vision.Planes
	recPlanes     *vision.Planes
	keys          *keys
	regions       *regions
	glyphs        *glyphs
	limits        vision.Limits
	turns         chan struct{} // semaphore
	queue         chan struct{} // semaphore over those who have or wait for a turn
}

var _ ekyc.CardReader = (*Reader)(nil)

// The files of a reader, below the models' directory.
const (
	detFile     = "card/det.onnx"
	recFile     = "card/rec.onnx"
	clsFile     = "card/cls.onnx"
	keysFile    = "card/keys.txt"
	glyphsFile  = "card/glyphs.ttf"
	regionsFile = "card/regions.json"
)

// Open opens the runtime library, the networks and tables, each checked against its sha256.
func Open(cfg Config) (_ *Reader, err error) {
	if cfg.Models == "" {
		cfg.Models = filepath.Join("data", "models")
	}
	if cfg.Limits == (vision.Limits{}) {
		cfg.Limits = DefaultLimits
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = runtime.NumCPU()
	}
	if cfg.Waiting <= 0 {
		cfg.Waiting = 4 * cfg.Parallel
	}
	m, err := models.Load(cfg.Models, "")
	if err != nil {
		return nil, err
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
	r := &Reader{
		runtime: rt, limits: cfg.Limits,
		turns: make(chan struct{}, cfg.Parallel), queue: make(chan struct{}, cfg.Parallel+cfg.Waiting),
		// As the networks' authors publish them: ImageNet's mean and deviation for the
		// detector, -1 to 1 for the others, both on BGR.
		detPlanes: vision.NewPlanes(vision.BGR, []float64{123.675, 116.28, 103.53}, []float64{58.395, 57.12, 57.375}),
		recPlanes: vision.NewPlanes(vision.BGR, []float64{127.5, 127.5, 127.5}, []float64{127.5, 127.5, 127.5}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	for _, n := range []struct {
		file  string
		shape []int64
		to    **ort.Session
	}{
		{detFile, []int64{1, 3, 32, 32}, &r.det},
		{recFile, []int64{1, 3, recHeight, recGrid}, &r.rec},
		{clsFile, []int64{1, 3, recHeight, clsWidth}, &r.cls},
	} {
		data, err := m.ReadFile(cfg.Models, n.file)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(cfg.Models, filepath.FromSlash(n.file))
		if *n.to, err = rt.Open(path, data, ort.Options{Input: n.shape, Keep: cfg.Parallel}); err != nil {
			return nil, err
		}
	}
	return r, r.tables(m, cfg.Models)
}

// tables reads what is no network.
func (r *Reader) tables(m *models.Manifest, dir string) error {
	data, err := m.ReadFile(dir, keysFile)
	if err != nil {
		return err
	}
	r.keys = parseKeys(data)
	classes := 0
	probe := func(_ [][]float32, shapes [][]int64) { classes = int(shapes[0][len(shapes[0])-1]) }
	if err := r.rec.RunShaped([]int64{1, 3, recHeight, recGrid}, func(in []float32) { clear(in) }, probe); err != nil {
		return err
	}
	if classes != r.keys.classes() {
		return fmt.Errorf("the recogniser has %d classes and its dictionary %d", classes, r.keys.classes())
	}
	if data, err = m.ReadFile(dir, regionsFile); err != nil {
		return err
	}
	if r.regions, err = parseRegions(data); err != nil {
		return err
	}
	if data, err = m.ReadFile(dir, glyphsFile); err != nil {
		return err
	}
	r.glyphs, err = parseGlyphs(data, r.keys)
	return err
}

// Close frees the networks and the runtime. Readings must have ended.
func (r *Reader) Close() error {
	var errs []error
	for _, s := range []*ort.Session{r.det, r.rec, r.cls} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, r.runtime.Close())...)
}

// Tensors is how many tensors are allocated now, for tests against leaks.
func (r *Reader) Tensors() int { return r.runtime.Tensors() }

// turn waits for a turn and returns how to end it.
func (r *Reader) turn(ctx context.Context) (func(), error) {
	select {
	case r.queue <- struct{}{}:
	default:
		return nil, ekyc.Errorf(ekyc.Busy, "%d readings of documents run or wait already", cap(r.queue))
	}
	select {
	case r.turns <- struct{}{}:
		return func() { <-r.turns; <-r.queue }, nil
	case <-ctx.Done():
		<-r.queue
		return nil, ekyc.Wrap(ekyc.Busy, "the reader had no free turn in time", ctx.Err())
	}
}
