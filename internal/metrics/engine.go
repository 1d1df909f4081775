package metrics

import (
	"context"
	"time"

	"shiren/internal/ekyc"
)

// What the engine and the reader of documents do, as a label.
const (
	examine   = "examine"
	relief    = "relief"
	miniature = "miniature"
	read      = "read_card"
	glance    = "glance_card"
)

// Engine is e with its examinations counted and timed by now. It has the abilities of e.
func (m *Metrics) Engine(e ekyc.Engine, now func() time.Time) ekyc.Engine {
	w := &engine{Engine: e, m: m, now: now}
	if mini, ok := e.(ekyc.Miniaturist); ok {
		return &miniaturist{w, mini}
	}
	return w
}

type engine struct {
	ekyc.Engine
	m   *Metrics
	now func() time.Time
}

func (e *engine) Examine(ctx context.Context, image []byte, want ekyc.Want) (ekyc.Examination, error) {
	return timed(e.m, e.now, examine, func() (ekyc.Examination, error) { return e.Engine.Examine(ctx, image, want) })
}

func (e *engine) Relief(ctx context.Context, far, near ekyc.Shot) (ekyc.Relief, error) {
	return timed(e.m, e.now, relief, func() (ekyc.Relief, error) { return e.Engine.Relief(ctx, far, near) })
}

// miniaturist is an engine that makes miniatures too.
type miniaturist struct {
	*engine
	mini ekyc.Miniaturist
}

func (e *miniaturist) Miniature(ctx context.Context, image []byte) (ekyc.Miniature, error) {
	return timed(e.m, e.now, miniature, func() (ekyc.Miniature, error) { return e.mini.Miniature(ctx, image) })
}

// Cards is r with its readings counted and timed by now; nil stays nil.
func (m *Metrics) Cards(r ekyc.CardReader, now func() time.Time) ekyc.CardReader {
	if r == nil {
		return nil
	}
	return &cards{r, m, now}
}

type cards struct {
	r   ekyc.CardReader
	m   *Metrics
	now func() time.Time
}

func (c *cards) ReadCard(ctx context.Context, image []byte, side ekyc.CardSide) (ekyc.CardReading, error) {
	return timed(c.m, c.now, read, func() (ekyc.CardReading, error) { return c.r.ReadCard(ctx, image, side) })
}

func (c *cards) GlanceCard(ctx context.Context, image []byte, side ekyc.CardSide) (ekyc.CardGlance, error) {
	return timed(c.m, c.now, glance, func() (ekyc.CardGlance, error) { return c.r.GlanceCard(ctx, image, side) })
}

// timed runs f and counts it, also where it panics.
func timed[T any](m *Metrics, now func() time.Time, doing string, f func() (T, error)) (out T, err error) {
	running := m.engineRunning.WithLabelValues(doing)
	running.Inc()
	begun := now()
	err = ekyc.Errorf(ekyc.Internal, "it panicked") // unless f returns
	defer func() {
		running.Dec()
		m.engineTime.WithLabelValues(doing).Observe(now().Sub(begun).Seconds())
		if code := ekyc.CodeOf(err); code != ekyc.OK {
			m.engineErrors.WithLabelValues(doing, string(code)).Inc()
		}
	}()
	return f()
}
