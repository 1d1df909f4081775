package ekyc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// filmed renders n frames of a head-like disc at the places that path gives, 0 to 1, with
// a camera's noise of its own in each frame.
func filmed(t testing.TB, seed uint64, n int, path func(i int) float64) []Frame {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	frames := make([]Frame, n)
	for i := range frames {
		im := image.NewGray(image.Rect(0, 0, 320, 240))
		at := 80 + 160*path(i)
		for y := range 240 {
			for x := range 320 {
				v := 60 + 120*math.Exp(-((float64(x)-at)*(float64(x)-at)+float64(y-120)*float64(y-120))/3000)
				im.SetGray(x, y, color.Gray{Y: uint8(v + 2*r.NormFloat64())})
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 85}); err != nil {
			t.Fatal(err)
		}
		frames[i] = Frame{Image: b.Bytes()}
	}
	return frames
}

// wander is how a living head moves: never twice the same.
func wander(i int) float64 {
	x := float64(i)
	return 0.5 + 0.2*math.Sin(x/5) + 0.15*math.Sin(x/3.3+1) + 0.1*math.Sin(x/1.7+2)
}

// paced is the timing of a page on a phone: about ten frames a second, with jitter.
func paced(n int) []Sample {
	r := rand.New(rand.NewPCG(7, 7))
	start := time.Unix(1_700_000_000, 0)
	list := make([]Sample, n)
	sent := 3 * time.Second
	for i := range list {
		sent += 100*time.Millisecond + time.Duration(r.IntN(12))*time.Millisecond
		delay := 30*time.Millisecond + time.Duration(r.ExpFloat64()*20*float64(time.Millisecond))
		list[i] = Sample{Seq: i + 1, Sent: sent, At: start.Add(sent + delay)}
		if i > 0 && !list[i].At.After(list[i-1].At) {
			list[i].At = list[i-1].At.Add(time.Millisecond)
		}
	}
	return list
}

func altered(s []Sample, f func(i int, x *Sample)) []Sample {
	for i := range s {
		f(i, &s[i])
	}
	return s
}

func withComment(frames []Frame) []Frame {
	note := []byte("encoder 1.0")
	for i := range frames {
		seg := binary.BigEndian.AppendUint16([]byte{0xff, 0xfe}, uint16(len(note)+2))
		b := append([]byte{0xff, 0xd8}, append(seg, note...)...)
		frames[i].Image = append(b, frames[i].Image[2:]...)
	}
	return frames
}

func flashed(skin, back float64, lag time.Duration) *Response {
	return &Response{Kind: LivenessFlash, Skin: skin, Back: back, Lag: lag}
}

func acted(lags ...time.Duration) *Response {
	r := &Response{Kind: LivenessAction}
	for i, l := range lags {
		r.Cues = append(r.Cues, CueResponse{N: i + 1, Met: true, Lag: l})
	}
	return r
}

// riskStory is a scene in which a signal is seen, or is not.
type riskStory struct {
	name  string
	scene scene
	want  float64 // at least this when over 0; exactly 0 otherwise
}

func TestSignals(t *testing.T) {
	t.Parallel()
	const msec = time.Millisecond
	moving := filmed(t, 1, 32, wander)
	stall := paced(40) // the network stands still for 800 ms in the middle
	for i := 18; i < 26; i++ {
		stall[i].At = stall[26].At.Add(-time.Duration(26-i) * 2 * msec)
	}
	loop := filmed(t, 2, 30, func(i int) float64 { return wander(i % 10) })
	mirror := filmed(t, 3, 30, func(i int) float64 {
		if i > 15 {
			i = 30 - i
		}
		return wander(i)
	})
	twice := slices.Clone(moving)
	for i := 1; i < len(twice); i += 2 {
		twice[i] = twice[i-1]
	}
	again := slices.Clone(moving)
	copy(again[16:], again[:6])
	still := make([]Frame, 20)
	for i := range still {
		still[i] = moving[0]
	}
	mixed := slices.Clone(moving)
	for i, f := range filmed(t, 4, 16, wander) {
		im, err := jpeg.Decode(bytes.NewReader(f.Image))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 60}); err != nil {
			t.Fatal(err)
		}
		mixed[2*i].Image = b.Bytes()
	}
	wall := altered(paced(20), func(_ int, x *Sample) { x.Face.Back = [3]float64{0.1, 0.1, 0.1} })
	seen := &Service{Engine: flat{}}
	timing := func(s []Sample) scene { return scene{kind: LivenessSilent, samples: s} }
	shown := func(f []Frame) scene { return scene{kind: LivenessSilent, pictures: seen.pictures(t.Context(), f)} }

	for name, stories := range map[string][]riskStory{
		"virtual_camera": {
			{"OBS", scene{client: Client{Camera: "OBS Virtual Camera"}}, 1},
			{"a loopback device", scene{client: Client{Camera: "Dummy video device (0x0000)"}}, 1},
			{"with a hyphen", scene{client: Client{Camera: "OBS-Camera"}}, 1},
			{"a browser's test camera", scene{client: Client{Camera: "fake_device_0"}}, 1},
			{"a phone as a webcam", scene{client: Client{Camera: "DroidCam Source 3"}}, 0.5},
			{"a phone", scene{client: Client{Camera: "camera2 1, facing front"}}, 0},
			{"an iPhone in Chinese", scene{client: Client{Camera: "前置摄像头"}}, 0},
			{"a laptop", scene{client: Client{Camera: "Integrated Camera (5986:2113)"}}, 0},
			{"no part of a word", scene{client: Client{Camera: "Jobson Cameo HD"}}, 0},
			{"nothing said", scene{}, 0},
		},
		"automated_browser": {
			{"a script", scene{client: Client{Agent: "python-requests/2.31"}}, 1},
			{"a headless browser", scene{client: Client{Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120 Safari/537.36"}}, 1},
			{"nothing said", scene{}, 0.5},
			{"a phone", scene{client: Client{Agent: "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36"}}, 0},
		},
		"order_broken": {
			{"counted backwards", timing(altered(paced(10), func(i int, x *Sample) { x.Seq = 10 - i })), 1},
			{"the same number twice", timing(altered(paced(10), func(i int, x *Sample) { x.Seq = max(1, i) })), 1},
			{"a clock that goes back", timing(altered(paced(10), func(i int, x *Sample) {
				if i == 5 {
					x.Sent = 0
				}
			})), 1},
			{"dropped frames", timing(altered(paced(10), func(i int, x *Sample) { x.Seq = 3*i + 1 })), 0},
			{"a page that counts nothing", timing(altered(paced(10), func(_ int, x *Sample) { x.Seq, x.Sent = 0, 0 })), 0},
		},
		"clock_apart": {
			{"made at half the pace", timing(altered(paced(60), func(_ int, x *Sample) { x.Sent /= 2 })), 0.8},
			{"made at twice the pace", timing(altered(paced(60), func(_ int, x *Sample) { x.Sent *= 2 })), 1},
			{"a page", timing(paced(60)), 0},
			{"a stalled network", timing(stall), 0},
			{"no clock", timing(altered(paced(60), func(_ int, x *Sample) { x.Sent = 0 })), 0},
		},
		"timing_even": {
			{"a timer here", timing(altered(paced(30), func(i int, x *Sample) { x.At = time.Unix(0, int64(i)*int64(100*msec)) })), 1},
			{"a timer there", timing(altered(paced(30), func(i int, x *Sample) { x.Sent = time.Duration(i) * 100 * msec })), 1},
			{"a page", timing(paced(30)), 0},
			{"too few to tell", timing(altered(paced(16), func(i int, x *Sample) { x.Sent = time.Duration(i) * 100 * msec })), 0},
			{"a recording's frames", scene{kind: RecordedVideo, samples: altered(paced(30), func(i int, x *Sample) { x.Sent = time.Duration(i) * 100 * msec })}, 0},
		},
		"timing_burst": {
			{"all at once", timing(altered(paced(30), func(i int, x *Sample) { x.At = time.Unix(0, int64(i)*int64(msec)) })), 1},
			{"a page", timing(paced(30)), 0},
			{"two after a stall", timing(altered(paced(30), func(i int, x *Sample) {
				if i == 15 {
					x.At = x.At.Add(95 * msec)
				}
			})), 0},
		},
		"frames_reused": {
			{"one of an earlier presentation", scene{seen: known{frames: 1}}, 1},
			{"all new", scene{}, 0},
		},
		"frames_repeated": {
			{"six come again", shown(again), 1},
			{"a slow camera", shown(twice), 0},
			{"all new", shown(moving), 0},
		},
		"picture_still": {
			{"a photo", shown(still), 1},
			{"a slow camera", shown(twice), 0.1},
			{"a person", shown(moving), 0},
			{"too few to tell", shown(still[:5]), 0},
		},
		"picture_loop": {
			{"a film of ten pictures", shown(loop), 0.5},
			{"forwards, then backwards", shown(mirror), 0.5},
			{"a person who moves", shown(moving), 0},
			{"a person who keeps still", shown(filmed(t, 5, 32, func(int) float64 { return 0.5 })), 0},
			{"a photo", shown(still), 0},
			{"too short to tell", shown(loop[:9]), 0},
		},
		"foreign_encoder": {
			{"comments", shown(withComment(filmed(t, 6, 8, wander))), 1},
			{"a canvas", shown(moving), 0},
			{"a recording", scene{kind: RecordedVideo, pictures: seen.pictures(t.Context(), withComment(filmed(t, 6, 8, wander)))}, 0},
			{"no JPEG at all", shown([]Frame{{Image: []byte("GIF89a")}, {}}), 0},
		},
		"encoder_changed": {
			{"two qualities", shown(mixed), 1},
			{"one quality", shown(moving), 0},
			{"a recording", scene{kind: RecordedVideo, pictures: seen.pictures(t.Context(), mixed)}, 0},
		},
		"flash_on_background": {
			{"the whole picture is tinted", scene{samples: wall, response: flashed(0.2, 0.198, 200*msec)}, 1},
			{"the face is nearer", scene{samples: wall, response: flashed(0.2, 0.08, 200*msec)}, 0},
			{"no background to be seen", scene{samples: paced(20), response: flashed(0.2, 0.2, 200*msec)}, 0},
			{"a background only now and then", scene{samples: append(paced(20), wall...), response: flashed(0.2, 0.2, 200*msec)}, 0},
			{"the challenge was not met", scene{samples: wall, response: &Response{Kind: LivenessFlash, Code: ChallengeUnmet, Skin: 0.2, Back: 0.199}}, 0},
			{"no flash", scene{samples: wall, response: acted(time.Second)}, 0},
			{"no challenge", scene{}, 0},
		},
		"answer_too_quick": {
			{"actions at once", scene{response: acted(20*msec, 60*msec, 40*msec)}, 1},
			{"colours, which the challenge itself times", scene{response: flashed(0.2, 0.05, 0)}, 0},
			{"actions", scene{response: acted(700*msec, 900*msec, 420*msec)}, 0},
			{"one lucky start of four", scene{response: acted(100*msec, 900*msec, 420*msec, 600*msec)}, 0},
			{"nothing met", scene{response: &Response{Kind: LivenessAction}}, 0},
			{"silent", scene{response: &Response{Kind: LivenessSilent}}, 0},
		},
		"liveness_disagrees": {
			{"met by an attack", scene{response: flashed(0.2, 0.05, 200*msec), measured: true, live: 0.1}, 1},
			{"met by a person", scene{response: flashed(0.2, 0.05, 200*msec), measured: true, live: 0.97}, 0},
			{"silent detection alone, which decides itself", scene{response: &Response{Kind: LivenessSilent}, measured: true, live: 0.1}, 0},
			{"not measured", scene{response: flashed(0.2, 0.05, 200*msec)}, 0},
		},
		"failed_before": {
			{"four times", scene{failures: 4}, 1},
			{"once", scene{failures: 1}, 0},
		},
		"face_of_others": {
			{"two other identities", scene{seen: known{face: 2}}, 1},
			{"one, perhaps mistyped", scene{seen: known{face: 1}}, 0.5},
			{"none", scene{}, 0},
		},
		"device_of_many": {
			{"eight identities", scene{seen: known{device: 8}}, 1},
			{"a family of three", scene{seen: known{device: 3}}, 0},
		},
		"address_of_many": {
			{"a hundred identities", scene{seen: known{address: 100}}, 1},
			{"an office of twenty", scene{seen: known{address: 20}}, 0},
		},
	} {
		i := slices.IndexFunc(signs, func(g sign) bool { return g.name == name })
		if i < 0 {
			t.Errorf("no signal is called %s", name)
			continue
		}
		fires, quiet := false, false
		for _, s := range stories {
			got := signs[i].of(s.scene)
			fires, quiet = fires || s.want > 0, quiet || s.want == 0
			if got < s.want || s.want == 0 && got != 0 || got > 1 {
				t.Errorf("%s: %s: got %.3f, want %.1f (exactly, if 0)", name, s.name, got, s.want)
			}
		}
		if !fires || !quiet {
			t.Errorf("%s: want a riskStory in which it is seen and one in which it is not", name)
		}
	}
}

func TestEverySignalHasAStoryAndAWeight(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, g := range signs {
		if names[g.name] || g.weight <= 0 || g.weight >= 1 || g.group == "" {
			t.Errorf("%+v: want a name of its own, a group, and a weight between 0 and 1", g)
		}
		names[g.name] = true
		// Nothing at all is no sign of anything but of a browser that does not name itself.
		if v := g.of(scene{}); v != 0 && g.name != "automated_browser" {
			t.Errorf("%s: %v in an empty scene, want 0", g.name, v)
		}
	}
	if len(names) != 19 {
		t.Errorf("%d signals, want the 19 that TestSignals and docs/risk.md tell of", len(names))
	}
}

func TestLevelsAndRefusal(t *testing.T) {
	t.Parallel()
	phone := Client{Camera: "camera2 1, facing front", Agent: "Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile"}
	obs := Client{Camera: "OBS Virtual Camera", Agent: phone.Agent}
	both := Plan{Risk: true, Spoofing: true}
	for name, c := range map[string]struct {
		plan    Plan
		scene   scene
		level   int
		refused bool
	}{
		"an honest phone":                       {both, scene{client: phone}, 4, false},
		"a mistyped number":                     {both, scene{client: phone, seen: known{face: 1}}, 3, false},
		"a virtual camera alone":                {both, scene{client: obs}, 2, false},
		"used frames alone":                     {both, scene{client: phone, seen: known{frames: 40}}, 1, false},
		"used frames from a virtual camera":     {both, scene{client: obs, seen: known{frames: 40}}, 1, true},
		"used frames under the third name":      {both, scene{client: phone, seen: known{frames: 40, face: 2}}, 1, true},
		"many names, but nothing about a frame": {both, scene{client: phone, seen: known{face: 3, device: 9, address: 200}}, 1, false},
		"the same without 安全风控":                 {Plan{Spoofing: true}, scene{client: phone, seen: known{face: 3, device: 9, address: 200}}, 4, false},
		"a virtual camera without 安全风控":         {Plan{Spoofing: true}, scene{client: obs}, 2, false},
	} {
		r := weigh(c.plan, c.scene)
		if r.Level != c.level || r.Refuses() != c.refused {
			t.Errorf("%s: level %d, refused %v (%.2f by %v), want %d and %v", name, r.Level, r.Refuses(), r.Score, r.Signals, c.level, c.refused)
		}
		if (len(r.Tags) > 0) != (r.Level <= 2) {
			t.Errorf("%s: level %d with tags %v; the seed has tags at 1 and 2 only", name, r.Level, r.Tags)
		}
	}
	var none *Risk
	if none.Refuses() {
		t.Error("no assessment refuses")
	}
	r := weigh(both, scene{client: obs, seen: known{face: 2}})
	if !slices.Equal(r.Tags, []string{"face_of_others", "virtual_camera"}) {
		t.Errorf("tags %v, want the heaviest first", r.Tags)
	}
	if math.Abs(r.Spoofing-0.6) > 1e-9 || math.Abs(r.Score-0.88) > 1e-9 {
		t.Errorf("score %v and spoofing %v, want 0.88 and 0.6: what was seen before is no sign of a synthetic picture", r.Score, r.Spoofing)
	}
}

// flat is an engine of two-number templates; its false match rate follows their cosine.
type flat struct{ Engine }

func (flat) Miniature(_ context.Context, b []byte) (m Miniature, err error) {
	im, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return m, Wrap(ImageDamaged, "decode", err)
	}
	var sum, n [len(m)]int
	for y := range im.Bounds().Dy() {
		for x := range im.Bounds().Dx() {
			i := y*MiniatureSide/im.Bounds().Dy()*MiniatureSide + x*MiniatureSide/im.Bounds().Dx()
			sum[i] += int(im.(*image.Gray).GrayAt(x, y).Y)
			n[i]++
		}
	}
	for i := range m {
		m[i] = uint8(sum[i] / n[i])
	}
	return m, nil
}

func (flat) Compare(a, b Template) (Comparison, error) {
	c := float64(a.Vector[0]*b.Vector[0] + a.Vector[1]*b.Vector[1])
	return Comparison{Similarity: c, FMR: math.Pow(10, -8*c)}, nil
}

// recall is what a memory says of a presentation, without remembering it.
func (m *sightings) recall(x sighting, e Engine) known {
	m.expire(x.at)
	r := known{frames: m.reused(x)}
	x.among(m.list, e, &r)
	return r
}

func TestMemoryKnowsFacesDevicesAndFrames(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	face := Template{Model: "m", Vector: []float32{1, 0}}
	other := Template{Model: "m", Vector: []float32{0, 1}}
	var m sightings
	m.remember(sighting{at: start, app: "1", identity: 1, device: 7, address: 9, face: face, frames: []uint64{1, 2}})
	m.remember(sighting{at: start, app: "1", identity: 2, device: 7, address: 8, face: other, frames: []uint64{3}})
	m.remember(sighting{at: start, app: "2", identity: 3, device: 7, address: 9, face: face, frames: []uint64{4}})
	m.remember(sighting{at: start, app: "1", identity: 4, face: Template{Model: "old", Vector: []float32{1, 0}}})

	for name, c := range map[string]struct {
		x    sighting
		want known
	}{
		"the same person again":         {sighting{at: start, app: "1", identity: 1, device: 7, address: 9, face: face}, known{device: 2, address: 1}},
		"the same face, another name":   {sighting{at: start, app: "1", identity: 5, device: 6, address: 9, face: face}, known{face: 1, device: 1, address: 2}},
		"another app's people stay its": {sighting{at: start, app: "2", identity: 5, device: 7, face: other}, known{device: 2}},
		"used frames, of whatever app":  {sighting{at: start, app: "3", frames: []uint64{1, 4, 5}}, known{frames: 2}},
		"nobody's":                      {sighting{at: start, app: "1", device: 7, face: face}, known{}},
		"no device said":                {sighting{at: start, app: "1", identity: 5, face: other}, known{face: 1}},
		"a moment before it is over":    {sighting{at: start.Add(sightingKept - 1), app: "1", frames: []uint64{1}}, known{frames: 1}},
	} {
		if got := m.recall(c.x, flat{}); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
	if got := m.recall(sighting{at: start.Add(sightingKept), app: "1", identity: 5, device: 7, face: face, frames: []uint64{1}}, flat{}); got != (known{device: 1}) {
		t.Errorf("three days later: got %+v, want nothing but itself", got)
	}
	if len(m.list) != 0 || len(m.frames) != 0 {
		t.Errorf("three days later %d presentations and %d frames are still held", len(m.list), len(m.frames))
	}
}

func TestMemoryAsksMoreOfAFaceTheMoreItKnows(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	probe := sighting{at: start, app: "1", identity: 1, face: Template{Model: "m", Vector: []float32{1, 0}}}
	alike := Template{Model: "m", Vector: []float32{0.5, 0.866}} // a false match rate of 1e-4
	var m sightings
	m.remember(sighting{at: start, app: "1", identity: 2, face: alike})
	if got := m.recall(probe, flat{}); got.face != 1 {
		t.Errorf("one face at 1e-4: got %d, want 1", got.face)
	}
	for i := range uint64(20) {
		m.remember(sighting{at: start, app: "1", identity: 3 + i, face: Template{Model: "m", Vector: []float32{0, 1}}})
	}
	if got := m.recall(probe, flat{}); got.face != 0 {
		t.Errorf("the same among 21 faces: got %d, want 0, or honest people would be taken for others", got.face)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m sightings
	start := time.Unix(1_700_000_000, 0)
	for i := range maxSightings + 50 {
		m.remember(sighting{at: start, app: "1", frames: []uint64{uint64(i + 1)}})
	}
	if len(m.list) != maxSightings || len(m.frames) != maxSightings {
		t.Errorf("%d presentations and %d frames, want %d of each", len(m.list), len(m.frames), maxSightings)
	}
	if got := m.recall(sighting{at: start, frames: []uint64{1, maxSightings + 50}}, flat{}); got.frames != 1 {
		t.Errorf("got %d frames, want the newest known and the oldest forgotten", got.frames)
	}
}

// plainDigest is a sealer of digests only.
type plainDigest struct{ Sealer }

func (plainDigest) Digest(purpose string, data []byte) []byte {
	d := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s", purpose, data))
	return d[:]
}

func TestAssessFollowsThePlan(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	face := Template{Model: "m", Vector: []float32{1, 0}}
	s := &Service{Engine: flat{}, Sealer: plainDigest{}, Now: func() time.Time { return now }}
	// film is a presentation's frames, each with its sample.
	film := func(seed uint64) ([]Frame, []Sample) {
		frames, samples := filmed(t, seed, 12, wander), paced(12)
		for i := range frames {
			frames[i].At, samples[i].Faces = samples[i].At, 1
		}
		return frames, samples
	}
	frames, samples := film(9)
	p := Presented{
		Kind: LivenessSilent, Frames: frames[:2], All: frames, Samples: samples,
		Client: Client{Camera: "camera2 1, facing front", Agent: "Mozilla/5.0 (Linux; Android 14)", Device: "d", Address: "192.0.2.1"},
	}
	claimed := func(name, number string) *Claim {
		c, err := ParseClaim(name, number, IDCard)
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	ses := &Session{App: "1", Claim: claimed("张三", "11010519491231002X")}
	if r := s.assess(t.Context(), ses, 1, p, face, &Findings{}); r != nil || len(s.sightings.list) != 0 {
		t.Fatalf("a plan without either: got %+v and %d presentations remembered, want nothing", r, len(s.sightings.list))
	}
	ses.Plan = Plan{Risk: true}
	if r := s.assess(t.Context(), ses, 1, p, face, &Findings{}); r == nil || r.Level != 4 {
		t.Fatalf("an honest first presentation: got %+v, want level 4", r)
	}
	// The same frames under another name: a replay.
	ses.Claim = claimed("李四", "440524188001010014")
	r := s.assess(t.Context(), ses, 1, p, face, &Findings{})
	if r == nil || r.Level != 1 || !r.Refuses() || !slices.Equal(r.Tags, []string{"frames_reused", "face_of_others"}) {
		t.Errorf("the same frames under another name: got %+v, want level 1, refused", r)
	}
	// In test mode the same film is met for the first time, and real sessions do not meet it.
	rehearsal := *ses
	rehearsal.Sandbox = true
	if r := s.assess(t.Context(), &rehearsal, 1, p, face, &Findings{}); r == nil || r.Level != 4 || len(s.sightings.list) != 2 {
		t.Errorf("the same frames in test mode: got %+v and %d real presentations remembered, want level 4 and 2", r, len(s.sightings.list))
	}
	// Failures of the session itself count, later attempts do not.
	ses.Attempts = []Attempt{{Code: LivenessFailed}, {Code: ChallengeUnmet}, {Code: FaceChanged}, {Code: ChallengeStale}, {Code: LivenessFailed}}
	p.All, p.Samples = film(10)
	p.Frames = p.All[:2]
	has := func(r *Risk, name string) bool {
		return slices.ContainsFunc(r.Signals, func(x Signal) bool { return x.Name == name })
	}
	if r := s.assess(t.Context(), ses, 1, p, face, &Findings{}); has(r, "failed_before") {
		t.Errorf("the first attempt: got %+v, want no failures before it", r.Signals)
	}
	p.All, p.Samples = film(11)
	p.Frames = p.All[:2]
	if r := s.assess(t.Context(), ses, 5, p, face, &Findings{}); !has(r, "failed_before") {
		t.Errorf("the fifth attempt: got %+v, want its failures counted", r.Signals)
	}
}

func TestOneOfManyAtOnceIsTheFirst(t *testing.T) {
	t.Parallel()
	s := &Service{Engine: flat{}, Sealer: plainDigest{}, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	p := Presented{Kind: LivenessSilent, All: filmed(t, 30, 4, wander), Client: Client{Agent: "Mozilla/5.0"}}
	var first atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if s.assess(t.Context(), &Session{Plan: Plan{Spoofing: true}}, 1, p, Template{}, &Findings{}).Signals == nil {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	if first.Load() != 1 {
		t.Errorf("%d of 8 presentations of the same frames at once were taken for new, want 1", first.Load())
	}
}

func TestPicturesWithoutAFaceAreNoReplay(t *testing.T) {
	t.Parallel()
	s := &Service{Engine: flat{}, Sealer: plainDigest{}, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	black := []byte("the same black picture of every camera that starts")
	for seed := range uint64(2) {
		p := Presented{Kind: LivenessSilent, All: filmed(t, 20+seed, 12, wander), Samples: paced(12), Client: Client{Agent: "Mozilla/5.0"}}
		for i := range p.All {
			p.All[i].At, p.Samples[i].Faces = p.Samples[i].At, 1
		}
		for _, i := range []int{0, 1, 5, 9} {
			p.All[i].Image, p.Samples[i].Faces = black, 0
		}
		p.Frames = p.All[2:4]
		if r := s.assess(t.Context(), &Session{Plan: Plan{Risk: true}}, 1, p, Template{}, &Findings{}); r.Level != 4 || r.Signals != nil {
			t.Errorf("presentation %d: got %+v, want nothing seen", seed+1, r)
		}
	}
}

func BenchmarkAssess(b *testing.B) {
	s := &Service{Engine: flat{}, Sealer: plainDigest{}, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }}
	p := Presented{Kind: LivenessSilent, All: filmed(b, 9, 64, wander)}
	for b.Loop() {
		s.assess(b.Context(), &Session{Plan: Plan{Risk: true}}, 1, p, Template{}, &Findings{})
	}
}
