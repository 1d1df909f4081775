package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"shiren/internal/engine/enginetest"
)

// camera makes a fake camera of a clip: what Chromium plays in place of one, over and over.
func camera(t *testing.T, clip string, from, seconds int) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "camera.mjpeg")
	ffmpeg(t, "-ss", fmt.Sprint(from), "-t", fmt.Sprint(seconds), "-i", filepath.Join(enginetest.Dir(t), "test", clip),
		"-vf", "scale=640:480:force_original_aspect_ratio=increase,crop=640:480,fps=30", "-q:v", "3", "-f", "mjpeg", out)
	return out
}

// empty makes a fake camera that sees a grey wall.
func empty(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "empty.mjpeg")
	ffmpeg(t, "-f", "lavfi", "-i", "color=c=gray:s=640x480:r=30:d=2", "-q:v", "3", "-f", "mjpeg", out)
	return out
}

func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, b)
	}
}

// stepTimeout bounds one step of a walk: browsers under the race detector on two cores are slow.
const stepTimeout = 60 * time.Second

// browser starts Chromium at phone size with a camera file ("" for none at all).
func browser(t *testing.T, camera string, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	opts := append([]chromedp.ExecAllocatorOption{
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("lang", "zh-CN"), chromedp.Flag("accept-lang", "zh-CN"), chromedp.Flag("hide-scrollbars", true),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(stepTimeout),
	}, more...)
	if camera != "" {
		opts = append(opts, chromedp.Flag("use-fake-device-for-media-stream", true),
			chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-file-for-fake-video-capture", camera))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch)); err != nil {
		t.Fatalf("start chromium (package chromium): %v", err)
	}
	return ctx
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
	t   *testing.T
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
}

var install = sync.OnceValue(func() error {
	if _, err := os.Stat("client/node_modules/baidu-aip-sdk/package.json"); err == nil {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = "client"
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in e2e/client: %w\n%s", err, b)
	}
	return nil
})

// sdk starts the SDK against a server; mode "bce" signs requests.
func sdk(t *testing.T, base, key, secret, mode string) *party {
	t.Helper()
	if err := install(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "client.js", base, key, secret, mode)
	cmd.Dir, cmd.Stderr = "client", os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node: %v", err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &party{t: t, in: in, out: bufio.NewReaderSize(out, 1<<20)}
}

// call makes one request and returns the reply as JSON.
func (p *party) call(path string, body map[string]any) map[string]any {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := json.NewEncoder(p.in).Encode(map[string]any{"path": path, "body": body}); err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s: the SDK ended: %v", path, err)
	}
	var reply map[string]any
	if err := json.Unmarshal([]byte(line), &reply); err != nil {
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
