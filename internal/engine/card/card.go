package card

import (
	"errors"
	"path/filepath"
	"runtime"

	"shiren/internal/engine/models"
	"shiren/internal/engine/ort"
	"shiren/internal/engine/vision"
)

// Config says what a reader is built from. The zero value is the default reader.
type Config struct {
	Models   string
	Limits   vision.Limits
	Parallel int
}

type Reader struct {
	runtime              *ort.Runtime
	det, rec, cls        *ort.Session
	detPlanes, recPlanes *vision.Planes
	keys                 *keys
	regions              *regions
	limits               vision.Limits
	turns                chan struct{}
}

func Open(cfg Config) (_ *Reader, err error) {
	if cfg.Parallel <= 0 {
		cfg.Parallel = runtime.NumCPU()
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
	r := &Reader{runtime: rt, limits: cfg.Limits, turns: make(chan struct{}, cfg.Parallel)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	for path, s := range map[string]**ort.Session{"card/det.onnx": &r.det, "card/rec.onnx": &r.rec, "card/cls.onnx": &r.cls} {
		data, err := m.ReadFile(cfg.Models, path)
		if err != nil {
			return nil, err
		}
		if *s, err = rt.Open(filepath.Join(cfg.Models, filepath.FromSlash(path)), data, ort.Options{Input: shapes[path]}); err != nil {
			return nil, err
		}
	}
	data, err := m.ReadFile(cfg.Models, "card/keys.txt")
	if err != nil {
		return nil, err
	}
	r.keys = parseKeys(data)
	if data, err = m.ReadFile(cfg.Models, "card/regions.json"); err != nil {
		return nil, err
	}
	if r.regions, err = parseRegions(data); err != nil {
		return nil, err
	}
	r.detPlanes = vision.NewPlanes(vision.BGR, []float64{123.675, 116.28, 103.53}, []float64{58.395, 57.12, 57.375})
	r.recPlanes = vision.NewPlanes(vision.BGR, []float64{127.5, 127.5, 127.5}, []float64{127.5, 127.5, 127.5})
	return r, nil
}

var shapes = map[string][]int64{"card/det.onnx": {1, 3, 32, 32}, "card/rec.onnx": {1, 3, 48, 32}, "card/cls.onnx": {1, 3, 48, 192}}

func (r *Reader) Close() error {
	var errs []error
	for _, s := range []*ort.Session{r.det, r.rec, r.cls} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(append(errs, r.runtime.Close())...)
}
