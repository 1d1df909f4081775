// Package server is the wiring: a configuration in, a running service out. It is the
// one place that knows every room, and it has no rules of its own.
//
//  1. Open reads the master key and opens the database, the evidence and the registry:
//     what every command needs that looks after data.
//  2. New adds the engine and the handlers: what `shiren serve` runs, and what
//     end-to-end tests call.
//  3. Serve listens, erases what is due, and ends in order when its context does.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"shiren/internal/blob/file"
	"shiren/internal/capture"
	"shiren/internal/config"
	"shiren/internal/console"
	"shiren/internal/ekyc"
	"shiren/internal/engine"
	"shiren/internal/engine/card"
	"shiren/internal/engine/video"
	"shiren/internal/gateway/baidu"
	"shiren/internal/gateway/huawei"
	"shiren/internal/gateway/juhe"
	"shiren/internal/metrics"
	"shiren/internal/operator"
	"shiren/internal/seal"
	"shiren/internal/source/registry"
	"shiren/internal/store"
	"shiren/web"
)

// Options are what a service is made of. Only Config is required.
type Options struct {
	Config config.Config
	Now    func() time.Time // nil: the machine's clock
	Rand   io.Reader        // nil: the machine's randomness
	Log    *slog.Logger     // nil: as Config.Log says, to standard error
	// Engine, when given, is used in place of the configured one and is not closed.
	Engine ekyc.Engine
	// Videos, when given, is used in place of ffmpeg.
	Videos ekyc.Videos
	// Cards, when given, is used in place of the configured reader of documents and is
	// not closed. One that is not given is opened only beside an engine that is not given
	// either, so that tests with a scripted engine load no networks.
	Cards ekyc.CardReader

	// Version is what the console shows; "" shows none.
	Version string
	// PasswordCost is for tests, which have no second for each password. Zero: operator.DefaultCost.
	PasswordCost operator.Cost

	figures *metrics.Metrics // nil: nothing is counted
}

func (o *Options) fill() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = NewLog(os.Stderr, o.Config.Log)
	}
}

// NewLog makes the logger that a configuration asks for.
func NewLog(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	h := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}

// Data is what is kept: the database, sealed images and people. Safe for concurrent use.
type Data struct {
	Config   config.Config
	Store    *store.Store
	Blobs    *file.Blobs
	Sealer   *seal.Sealer
	Registry *registry.Registry // without an Examiner until New
	Sources  []ekyc.Source      // the registry, and those that are declared

	Operators *operator.Service // who works at the console

	now     func() time.Time
	figures *metrics.Metrics // nil: nothing is counted
}

// Open opens what is kept, creating it when absent, and brings the declared apps and
// plans into the database.
func Open(ctx context.Context, o Options) (_ *Data, err error) {
	o.fill()
	c := o.Config
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w; choose another with data in shiren.toml", err)
	}
	d := &Data{Config: c, now: o.Now, figures: o.figures}
	if d.Sealer, err = seal.OpenFile(c.MasterKeyFile(), o.Rand); err != nil {
		return nil, err
	}
	if d.Blobs, err = file.Open(c.EvidenceDir()); err != nil {
		return nil, fmt.Errorf("evidence folder: %w", err)
	}
	if d.Store, err = store.Open(ctx, store.Config{DSN: c.StoreDSN(), Sealer: d.Sealer}); err != nil {
		return nil, err
	}
	if d.Operators, err = operator.New(operator.Config{
		Store: d.Store.Operators(), Digester: d.Sealer, Now: o.Now, Rand: o.Rand, Cost: o.PasswordCost,
	}); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.Registry = &registry.Registry{Shelf: d.Store.People(), Sealer: d.Sealer, EmbeddingOnly: c.Registry.EmbeddingOnly}
	if d.Sources, err = d.openSources(o); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if err := d.declare(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close closes the database.
func (d *Data) Close() error { return d.Store.Close() }

// core is the service without an engine: enough for Purge and for reading sessions.
func (d *Data) core(o Options) *ekyc.Service {
	s := &ekyc.Service{
		Store: d.Store, Blobs: d.Blobs, Engine: o.Engine, Sealer: d.Sealer,
		Videos: o.Videos, Cards: o.Cards, Now: o.Now, Rand: o.Rand, Log: o.Log, Sources: d.Sources, Order: d.Config.Order(),
		Subjects: d.Store, Requests: d.Store, Keys: d.Store, Counts: d.Store, Records: d.Store,
	}
	if d.figures != nil {
		s.Observer = d.figures
	}
	return s
}

// Erased is what Purge removed.
type Erased struct {
	ekyc.Purged
	Unreadable int // records whose master key is lost, long due
}

// Purge erases everything that is due.
func (d *Data) Purge(ctx context.Context, o Options) (Erased, error) {
	o.fill()
	p, err := d.core(o).Purge(ctx)
	n, lost := d.Store.ForgetUnreadable(ctx, o.Now())
	if d.figures != nil {
		d.figures.Purged(p, n)
	}
	return Erased{p, n}, errors.Join(err, lost, d.Operators.Purge(ctx))
}

// OpenEngine opens the configured networks.
func OpenEngine(c config.Config) (*engine.Engine, error) {
	e, err := engine.New(engine.Config{
		Models: c.ModelsDir(), Manifest: c.Models.Manifest, Calibration: c.Models.Calibration, Parallel: c.Models.Parallel,
	})
	if err != nil {
		return nil, fmt.Errorf("open the models: %w", err)
	}
	return e, nil
}

// OpenCards opens the reader of identity documents. Its files are a group of their own
// ("shiren models fetch" brings them); the error says which is missing.
func OpenCards(c config.Config) (*card.Reader, error) {
	r, err := card.Open(card.Config{Models: c.ModelsDir(), Parallel: c.Models.Parallel})
	if err != nil {
		return nil, fmt.Errorf("open the document reader: %w", err)
	}
	return r, nil
}

// OpenVideos finds ffmpeg. Without it recordings are refused and no video is kept; the
// error says what to install.
func OpenVideos() (*video.FFmpeg, error) {
	v := video.New(video.Config{})
	return v, v.Available()
}

// Server is a whole service. Handler is ready to serve and safe for concurrent use.
type Server struct {
	*Data
	Service *ekyc.Service
	Handler http.Handler
	Figures http.Handler // /metrics, served at metrics.address; nil where that is empty
	// Console is the operators' page by itself, served at console.address; nil where that is
	// empty: then it is a part of Handler.
	Console http.Handler

	options Options
	console *console.Handler // nil: switched off
	capture *capture.Handler
	engine  *engine.Engine // nil when it was given
	cards   *card.Reader   // nil when it was given or could not be opened
}

// New builds a service. The caller closes it.
func New(ctx context.Context, o Options) (_ *Server, err error) {
	o.fill()
	c := o.Config
	s := &Server{}
	if o.Engine == nil {
		if s.engine, err = OpenEngine(c); err != nil {
			return nil, err
		}
		o.Engine = s.engine
		if o.Cards == nil {
			if s.cards, err = OpenCards(c); err != nil {
				o.Log.Warn("identity documents cannot be read", "err", err)
			} else {
				o.Cards = s.cards
			}
		}
	}
	if o.Videos == nil {
		if v, err := OpenVideos(); err != nil {
			o.Log.Warn("recordings cannot be read and no video is kept", "err", err)
		} else {
			o.Videos = v
		}
	}
	if c.Metrics.Address != "" {
		o.figures = metrics.New()
		o.Engine, o.Cards = o.figures.Engine(o.Engine, o.Now), o.figures.Cards(o.Cards, o.Now)
		s.Figures = o.figures.Handler()
	}
	s.options = o
	if s.Data, err = Open(ctx, o); err != nil {
		return nil, errors.Join(err, s.closeEngine())
	}
	s.Registry.Examiner = o.Engine
	s.Service = s.core(o)
	pages, err := web.Capture()
	if err != nil {
		o.Log.Warn("the capture page is missing", "err", err)
	}
	s.capture = capture.New(s.Service, capture.Config{
		Now: o.Now, Log: o.Log, Pages: pages, MaxCaptures: c.Limits.Captures, Looks: c.Models.Parallel, FrameAncestors: c.FrameAncestors,
		Onward: map[string]capture.Hook{huawei.Opener: huawei.Onward(s.Service)},
	})
	if o.figures != nil {
		o.figures.Captures(s.capture.Captures)
	}
	s.openConsole()
	s.Handler = s.routes(pages != nil)
	return s, nil
}

func (s *Server) closeEngine() error {
	var errs []error
	if s.cards != nil {
		errs = append(errs, s.cards.Close())
	}
	if s.engine != nil {
		errs = append(errs, s.engine.Close())
	}
	return errors.Join(errs...)
}

// Close ends captures, frees the engine and closes the database. Requests must have ended;
// captures that are analysed are waited for, at most limits.shutdown_timeout: http.Server.Close
// knows nothing of their sockets.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.Config.Limits.ShutdownTimeout))
	defer cancel()
	return errors.Join(s.capture.Shutdown(ctx), s.Data.Close(), s.closeEngine())
}

// routes puts the rooms behind one door.
func (s *Server) routes(pages bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		switch _, err := s.Store.Due(r.Context(), time.Time{}, 1); {
		case err != nil:
			s.options.Log.ErrorContext(r.Context(), "not ready", "err", err)
			plain(w, http.StatusServiceUnavailable, "the database does not answer; the log says why\n")
		case !pages:
			plain(w, http.StatusServiceUnavailable, web.ErrNotBuilt.Error()+"\n")
		default:
			plain(w, http.StatusOK, "ready\n")
		}
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "shiren is running. Relying parties: POST /oauth/2.0/token, then /rpc/2.0/brain/solution/faceprint/….\n"+
			"Capture subjects: open the link that you were given.\n"+s.consoleHint())
	})
	if s.console != nil && s.Console == nil {
		room := s.consoleRoom()
		mux.Handle(console.Prefix, room)
		mux.Handle(console.Prefix+"/", room)
	}
	mux.Handle(capture.Prefix, s.capture)
	mux.Handle(capture.Prefix+"/", s.capture)
	vendor := baidu.New(s.Service, baidu.Config{BaseURL: s.Config.PublicURL, Now: s.options.Now, Log: s.options.Log})
	for _, prefix := range baidu.Prefixes {
		mux.Handle(prefix, vendor)
	}
	elements := juhe.New(s.Service, juhe.Config{Now: s.options.Now, Log: s.options.Log})
	for _, prefix := range juhe.Prefixes {
		mux.Handle(prefix, elements)
	}
	faces := huawei.New(s.Service, huawei.Config{
		Window: time.Duration(s.Config.Huawei.Window), Now: s.options.Now, Rand: s.options.Rand, Log: s.options.Log,
	})
	for _, prefix := range huawei.Prefixes {
		mux.Handle(prefix, faces)
	}
	return guard(mux, s.options)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, text) // the client is gone if this fails
}
