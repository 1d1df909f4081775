package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"shiren/internal/config"
)

// mirror is a camera that answers the screen: it takes the real camera's picture and lights
// its middle, where the face is, with the colour that the page shows, as a screen would.
//
//	strength  by how much the darkest channel is dimmed, of the signal
//	delay     of the light behind the screen, ms
//	order     what colour the light has in place of each: "as shown", "reversed" (another
//	          colour of the palette), or "none"
//	wall      whether the background is lit as much as the face: a flat picture
//
// It stands in place of getUserMedia before the page's own script runs.
type mirror struct {
	Strength float64 `json:"strength"`
	Delay    int     `json:"delay"`
	Order    string  `json:"order"`
	Wall     bool    `json:"wall"`
}

func (m mirror) install(t *testing.T, ctx context.Context) {
	t.Helper()
	set, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	inject(t, ctx, strings.Replace(mirrorScript, "SETTINGS", string(set), 1))
}

// inject runs a script in each document before its own.
func inject(t *testing.T, ctx context.Context, script string) {
	t.Helper()
	do(t, ctx, "inject a script", func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return chromedp.Void{}, err
	})
}

const mirrorScript = `(() => {
	const set = SETTINGS
	const media = navigator.mediaDevices
	if (!media) return
	const open = media.getUserMedia.bind(media)
	const palette = ['255,0,255', '0,255,0', '255,170,0', '0,140,255']
	media.getUserMedia = async (want) => {
		const real = await open(want)
		const video = document.createElement('video')
		video.srcObject = real
		video.muted = true
		await video.play()
		const canvas = document.createElement('canvas')
		canvas.width = 640
		canvas.height = 480
		const g = canvas.getContext('2d')
		let shown = '', light = ''
		const tick = () => {
			const now = document.querySelector('[data-testid="flash"]')?.dataset.colour ?? ''
			if (now !== shown) {
				shown = now
				let lit = now
				if (set.order === 'reversed' && now) lit = palette[(palette.indexOf(now) + 1) % 4]
				if (set.order === 'none') lit = ''
				setTimeout(() => (light = lit), set.delay)
			}
			g.globalCompositeOperation = 'source-over'
			g.drawImage(video, 0, 0, 640, 480)
			if (light) {
				const dim = light.split(',').map((c) => Math.round(255 * (1 - set.strength * (1 - c / 255))))
				const spot = g.createRadialGradient(320, 230, 120, 320, 230, 260)
				spot.addColorStop(0, 'rgb(' + dim.join(',') + ')')
				spot.addColorStop(1, set.wall ? 'rgb(' + dim.join(',') + ')' : 'rgb(255,255,255)')
				g.globalCompositeOperation = 'multiply'
				g.fillStyle = spot
				g.fillRect(0, 0, 640, 480)
			}
		}
		setInterval(tick, 25)
		const out = canvas.captureStream(30)
		real.getAudioTracks().forEach((a) => out.addTrack(a))
		return out
	}
})()`

func liveness(kind string, change ...func(*config.Plan)) func(*config.Plan) {
	return func(p *config.Plan) {
		p.Liveness = kind
		for _, c := range change {
			c(p)
		}
	}
}

// TestFlashIsAnsweredByTheScreensLight walks the flash kind with cameras that see the
// screen's light on the face, and with ones that do not.
func TestFlashIsAnsweredByTheScreensLight(t *testing.T) {
	h := open(t, liveness("flash"))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	clip := camera(t, hisClip, 10, 6)
	for _, c := range []struct {
		name   string
		mirror mirror
		want   string // the reason, "" for passed
	}{
		{"lit as shown", mirror{Strength: 0.2, Delay: 120, Order: "as shown"}, ""},
		{"not lit: a replay", mirror{Strength: 0.2, Order: "none"}, "challenge_unmet"},
		{"lit with other colours", mirror{Strength: 0.2, Delay: 120, Order: "reversed"}, "challenge_unmet"},
		{"lit too late", mirror{Strength: 0.2, Delay: 1600, Order: "as shown"}, "challenge_unmet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := browser(t, clip)
			c.mirror.install(t, b)
			h.visit(t, b, token(backend, "flash"), "")
			agree(t, b)
			do(t, b, "be warned of the flashes", chromedp.WaitVisible(id("intro-warning")))
			passed, reason := look(t, b)
			if passed != (c.want == "") || reason != c.want {
				t.Errorf("passed %v, reason %q, want reason %q", passed, reason, c.want)
			}
		})
	}
}

var (
	_ = os.Stdout
	_ = filepath.Join
	_ = fmt.Sprint
	_ = time.Second
)
