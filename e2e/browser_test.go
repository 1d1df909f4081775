package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"shiren/internal/engine/enginetest"
	"shiren/internal/testkit"
)

// shared is what all tests use together and TestMain throws away: made files by what is
// in them, and browsers by the camera before them.
var shared struct {
	dir  string
	ctx  context.Context
	mu   sync.Mutex
	made map[string]func() (string, error)
	open map[string]context.Context
	stop []context.CancelFunc
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "shiren-e2e-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared.dir, shared.made, shared.open = dir, map[string]func() (string, error){}, map[string]context.Context{}
	ctx, cancel := context.WithCancel(context.Background())
	shared.ctx = ctx
	defer func() {
		cancel()
		for _, stop := range shared.stop {
			stop() // waits until the browser has ended
		}
	}()
	return m.Run()
}

// made has ffmpeg write a file under a name, once for all tests; a name with a % is a
// folder of pictures. It returns the file, or the folder.
func made(t *testing.T, name string, args ...string) string {
	t.Helper()
	key := name + "\x00" + strings.Join(args, "\x00")
	shared.mu.Lock()
	f := shared.made[key]
	if f == nil {
		f = sync.OnceValues(func() (string, error) {
			dir, err := os.MkdirTemp(shared.dir, "")
			if err != nil {
				return "", err
			}
			out := filepath.Join(dir, name)
			cmd := exec.CommandContext(shared.ctx, "ffmpeg", slices.Concat([]string{"-v", "error", "-nostdin", "-y"}, args, []string{out})...)
			if b, err := cmd.CombinedOutput(); err != nil {
				return "", fmt.Errorf("ffmpeg: %w\n%s", err, b)
			}
			if strings.Contains(name, "%") {
				return dir, nil
			}
			return out, nil
		})
		shared.made[key] = f
	}
	shared.mu.Unlock()
	file, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// rate is how many pictures a second a fake camera gives: enough for the page, which
// sends ten, and half of what a machine that also plays the phone has to draw.
const rate = 15

// camera makes a fake camera of a clip: what Chromium plays in place of one, over and over.
func camera(t *testing.T, clip string, from, seconds int) string {
	t.Helper()
	return made(t, "camera.y4m", "-ss", fmt.Sprint(from), "-t", fmt.Sprint(seconds), "-i", filepath.Join(enginetest.Dir(t), "test", clip),
		"-vf", fmt.Sprintf("scale=640:480:force_original_aspect_ratio=increase,crop=640:480,fps=%d", rate), "-pix_fmt", "yuv420p")
}

// empty makes a fake camera that sees a grey wall.
func empty(t *testing.T) string {
	t.Helper()
	return made(t, "empty.y4m", "-f", "lavfi", "-i", fmt.Sprintf("color=c=gray:s=640x480:r=%d:d=2", rate), "-pix_fmt", "yuv420p")
}

// stepTimeout bounds one step of a walk, so that a walk that is stuck ends. It is no
// claim of speed: a capture may take a minute to settle on a machine that has other work.
const stepTimeout = 3 * time.Minute

// browser opens a window of its own at phone size before a camera file ("" for none at
// all). Windows share a browser, not what it remembers. More options get one to themselves.
func browser(t *testing.T, camera string, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	var parent context.Context
	if len(more) > 0 {
		ctx, stop := chromium(t.Context(), camera, filepath.Join(t.TempDir(), "profile"), more...)
		t.Cleanup(stop)
		parent = ctx
	} else {
		shared.mu.Lock()
		if parent = shared.open[camera]; parent == nil || parent.Err() != nil {
			var stop context.CancelFunc
			parent, stop = chromium(shared.ctx, camera, filepath.Join(shared.dir, fmt.Sprintf("profile%d", len(shared.stop))))
			shared.stop, shared.open[camera] = append(shared.stop, stop), parent
			// The first window is the browser's life; it stays empty.
			if err := chromedp.Do(parent, phone); err != nil {
				shared.mu.Unlock()
				t.Fatalf("start chromium (package chromium): %v", err)
			}
		}
		shared.mu.Unlock()
		ctx, stop := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
		t.Cleanup(stop)
		parent = ctx
	}
	// The first step begins the window's life, so that it has no time-out.
	if err := chromedp.Do(parent, phone); err != nil {
		t.Fatalf("open a window of chromium (package chromium): %v", err)
	}
	return parent
}

// phone is the shape of the screen. Its pixels count only where they are looked at: four
// times as many are four times the work.
var phone = func() step {
	scale := 1.0
	if os.Getenv("SHIREN_SCREENSHOTS") != "" {
		scale = 2
	}
	return chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(scale), chromedp.EmulateMobile, chromedp.EmulateTouch)
}()

// chromium is a browser that starts with its first step.
func chromium(ctx context.Context, camera, profile string, more ...chromedp.ExecAllocatorOption) (context.Context, context.CancelFunc) {
	opts := append([]chromedp.ExecAllocatorOption{
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-dev-shm-usage", true),
		// Every window is somebody's phone: none is in the background.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("lang", "zh-CN"), chromedp.Flag("accept-lang", "zh-CN"), chromedp.Flag("hide-scrollbars", true),
		chromedp.UserDataDir(profile), chromedp.WSURLReadTimeout(stepTimeout),
	}, more...)
	if camera != "" {
		opts = append(opts, chromedp.Flag("use-fake-device-for-media-stream", true),
			chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-file-for-fake-video-capture", camera))
	}
	ctx, end := chromedp.NewExecAllocator(ctx, opts...)
	ctx, stop := chromedp.NewContext(ctx)
	return ctx, func() { stop(); end() }
}

type step = chromedp.Action[chromedp.Void]

// do runs browser steps within stepTimeout and shows the page's text when they fail.
func do(t *testing.T, ctx context.Context, what string, steps ...step) {
	t.Helper()
	get(t, ctx, what, chromedp.Steps(steps...))
}

// get is do for a step with a value.
func get[T any](t *testing.T, ctx context.Context, what string, a chromedp.Action[T]) T {
	t.Helper()
	c, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	v, err := chromedp.Run(c, a)
	if err != nil {
		c, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		url, _ := chromedp.Run(c, chromedp.Location())
		text, _ := chromedp.Run(c, chromedp.Evaluate[string](`document.body.innerText`))
		t.Fatalf("%s: %v\nthe page at %s says:\n%s", what, err, url, text)
	}
	return v
}

// poll waits until an expression of the page is true.
func poll(expression string) step {
	return chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(0))
}

func id(name string) string { return `[data-testid="` + name + `"]` }

// shot writes a screenshot for the README where one was asked for.
func shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("SHIREN_SCREENSHOTS")
	if dir == "" {
		return
	}
	do(t, ctx, "blur the camera", chromedp.Evaluate[chromedp.Void](
		`(() => { const s = new CSSStyleSheet(); s.insertRule('video, img{filter:blur(14px)}'); document.adoptedStyleSheets = [s]; })()`))
	png := get(t, ctx, "screenshot "+name, chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// party is a relying party's backend: the official Node SDK in a process of its own.
type party struct {
	t    *testing.T
	node *testkit.Node
}

// sdk starts the SDK against a server; mode "bce" signs requests.
func sdk(t *testing.T, base, key, secret, mode string) *party {
	t.Helper()
	return &party{t, testkit.StartNode(t, "client", base, key, secret, mode)}
}

// call makes one request and returns the reply as JSON.
func (p *party) call(path string, body map[string]any) map[string]any {
	p.t.Helper()
	line := p.node.Ask(map[string]any{"path": path, "body": body})
	var reply map[string]any
	if err := json.Unmarshal(line, &reply); err != nil {
		p.t.Fatalf("%s: reply %q: %v", path, line, err)
	}
	return reply
}

const scheme = "/rpc/2.0/brain/solution/faceprint/"

// ok makes a request of the H5 scheme that must succeed and returns its result.
func (p *party) ok(path string, body map[string]any) any {
	p.t.Helper()
	r := p.call(scheme+path, body)
	if r["success"] != true {
		p.t.Fatalf("%s: got %v", path, r)
	}
	return r["result"]
}

// code makes a request of the H5 scheme that must fail and returns its error code.
func (p *party) code(path string, body map[string]any) int {
	p.t.Helper()
	r := p.call(scheme+path, body)
	c, _ := r["error_code"].(float64)
	if r["success"] == true || c == 0 || r["log_id"] == "" {
		p.t.Fatalf("%s: got %v, want a documented error with a log_id", path, r)
	}
	return int(c)
}

// dig walks into a JSON value by dotted path; a number is an index.
func dig(v any, path string) any {
	for _, k := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[k]
		case []any:
			var i int
			if _, err := fmt.Sscan(k, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}
