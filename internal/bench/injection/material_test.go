package injection

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
)

// seenIn measures how far a face does each action against the calm face, in multiples of
// what this test asks for.
func seenIn(f, calm ekyc.Face) map[ekyc.Action]float64 {
	l := f.Landmarks
	far := func(a, b int) float64 { return math.Hypot(l[a].X-l[b].X, l[a].Y-l[b].Y) }
	ratio := func(l []ekyc.Point) float64 {
		far := func(a, b int) float64 { return math.Hypot(l[a].X-l[b].X, l[a].Y-l[b].Y) }
		return (far(37, 41)+far(38, 40))/far(36, 39)/4 + (far(43, 47)+far(44, 46))/far(42, 45)/4
	}
	return map[ekyc.Action]float64{
		ekyc.TurnLeft: (f.Pose.Yaw - calm.Pose.Yaw) / 12, ekyc.TurnRight: (calm.Pose.Yaw - f.Pose.Yaw) / 12,
		ekyc.LookUp: (f.Pose.Pitch - calm.Pose.Pitch) / 9, ekyc.LookDown: (calm.Pose.Pitch - f.Pose.Pitch) / 9,
		ekyc.OpenMouth: (far(61, 67) + far(62, 66) + far(63, 65)) / 3 / far(48, 54) / 0.2,
		ekyc.Blink:     min((1-ratio(l)/ratio(calm.Landmarks))/0.25, min(f.EyesClosed[0], f.EyesClosed[1])/0.6),
	}
}

// TestStretches measures that each stretch shows what the table says, and that a calm
// one shows nothing that could be taken for an action.
func TestStretches(t *testing.T) {
	m := material(t)
	measure := func(s *still) ekyc.Face {
		x, err := m.engine.Examine(t.Context(), s.data, ekyc.WantPose|ekyc.WantEyes)
		if err != nil || len(x.Faces) == 0 {
			t.Fatalf("no face in the material (%v)", err)
		}
		return x.Faces[0]
	}
	for _, p := range m.persons {
		var calm ekyc.Face
		var yaw, pitch []float64
		for i := 0; i < len(p.calm); i += 10 {
			f := measure(p.calm[i])
			if i == 0 {
				calm = f
			}
			yaw, pitch = append(yaw, f.Pose.Yaw), append(pitch, f.Pose.Pitch)
		}
		slices.Sort(yaw)
		slices.Sort(pitch)
		calm.Pose.Yaw, calm.Pose.Pitch = yaw[len(yaw)/2], pitch[len(pitch)/2]
		for i := 0; i < len(p.calm); i += 10 {
			for a, x := range seenIn(measure(p.calm[i]), calm) {
				if x >= 1 && a != ekyc.Blink {
					t.Errorf("%s, calm picture %d shows %q (%.2f)", p.name, i, a, x)
				}
			}
		}
		for a, reels := range p.acts {
			for n, r := range reels {
				top := map[ekyc.Action]float64{}
				for _, s := range r {
					for b, x := range seenIn(measure(s), calm) {
						top[b] = max(top[b], x)
					}
				}
				if top[a] < 1 {
					t.Errorf("%s, %q %d: got %.2f of what counts", p.name, a, n, top[a])
				}
				if o := opposite[a]; o != "" && top[o] >= 1 {
					t.Errorf("%s, %q %d: shows %q as well (%.2f)", p.name, a, n, o, top[o])
				}
			}
		}
		for n, w := range p.paths {
			if most := w.sizes[0] / w.sizes[w.rest]; most < 1.45 {
				t.Errorf("%s, path %d: the face grows to %.2f of its size at rest, want 1.45 at least", p.name, n, most)
			}
		}
	}
	if len(m.persons) < 2 {
		t.Errorf("%d persons; two are swapped", len(m.persons))
	}
}

var opposite = map[ekyc.Action]ekyc.Action{
	ekyc.TurnLeft: ekyc.TurnRight, ekyc.TurnRight: ekyc.TurnLeft, ekyc.LookUp: ekyc.LookDown, ekyc.LookDown: ekyc.LookUp,
}

var shared struct {
	sync.Once
	m    *Material
	memo *Memo
	err  error
}

// material is loaded once for all tests.
func material(t *testing.T) *Material {
	t.Helper()
	shared.Do(func() {
		shared.memo = NewMemo(enginetest.Engine(t))
		shared.m, shared.err = Load(context.Background(), shared.memo, enginetest.Dir(t), 1)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.m
}

// TestScreenLight lights a picture and reads it again: the skin takes on the colour, the
// background hardly, and a fifth of the light is a fifth.
func TestScreenLight(t *testing.T) {
	m := material(t)
	s := m.persons[0].calm[0]
	read := func(l light) (skin, back [3]float64) {
		b, err := m.draw(s, l, bend{})
		if err != nil {
			t.Fatal(err)
		}
		x, err := m.engine.Examine(t.Context(), b, ekyc.WantColour)
		if err != nil || len(x.Faces) == 0 {
			t.Fatalf("no face (%v)", err)
		}
		return x.Faces[0].Skin, x.Faces[0].Back
	}
	skin, back := read(light{})
	green, behind := read(light{screen: ekyc.RGB{0, 255, 0}, gain: 0.25, back: 0.08})
	if got := green[1] / skin[1]; math.Abs(got-1.25) > 0.05 {
		t.Errorf("a green screen of a quarter of the light gives %.3f of the skin's green, want 1.25", got)
	}
	if got := green[0] / skin[0]; math.Abs(got-1) > 0.05 {
		t.Errorf("a green screen gives %.3f of the skin's red, want 1", got)
	}
	if got := behind[1] / back[1]; got > 1.1 {
		t.Errorf("a green screen gives %.3f of the background's green, want little more than 1", got)
	}
	if dim, _ := read(light{ambient: 0.35}); math.Abs(dim[1]/skin[1]-0.35) > 0.05 {
		t.Errorf("poor light leaves %.3f, want .35", dim[1]/skin[1])
	}
}

// TestPlane turns a flat picture: its corners go where a plane's do.
func TestPlane(t *testing.T) {
	t.Parallel()
	face := ekyc.Box{X: 100, Y: 100, W: 100, H: 100}
	from := bend{yaw: 60}.mapping(face)
	// A point half a face right of the middle turns away: at 3 faces' distance it is seen
	// at .5*cos(60)*3/(3+.5*sin(60)) of a face.
	seen := 0.5 * 0.5 * 3 / (3 + 0.5*math.Sin(math.Pi/3))
	if u, v := from(150+100*seen, 150); math.Abs(u-200) > 1e-6 || math.Abs(v-150) > 1e-6 {
		t.Errorf("got %.2f, %.2f, want 200, 150", u, v)
	}
	if u, v := (bend{percent: 200}).mapping(face)(250, 150); u != 200 || v != 150 {
		t.Errorf("got %.2f, %.2f from a picture of twice the size, want 200, 150", u, v)
	}
	if u, v := (bend{}).mapping(face)(13, 17); math.Abs(u-13) > 1e-9 || math.Abs(v-17) > 1e-9 {
		t.Errorf("got %.2f, %.2f from a picture as it is, want 13, 17", u, v)
	}
}

// TestRelief brings a man and pictures of men closer: the man shows depth, the pictures
// none, however they are held and lit.
func TestRelief(t *testing.T) {
	m := material(t)
	shot := func(s *still, l light, b bend) (ekyc.Shot, float64) {
		data, err := m.draw(s, l, b)
		if err != nil {
			t.Fatal(err)
		}
		x, err := m.engine.Examine(t.Context(), data, ekyc.WantPose)
		if err != nil || len(x.Faces) == 0 {
			t.Fatalf("no face (%v)", err)
		}
		return ekyc.Shot{Image: data, Landmarks: x.Faces[0].Landmarks}, x.Faces[0].Quality.EyeDistance
	}
	depth := func(far, near *still, l light, b, c bend) float64 {
		f, small := shot(far, l, b)
		n, large := shot(near, l, c)
		r, err := m.engine.Relief(t.Context(), f, n)
		if err != nil || r.Fit < 0.85 {
			t.Fatalf("got %+v, %v; want pictures that fit each other", r, err)
		}
		return r.Depth / math.Log(large/small)
	}
	poor := light{ambient: 0.35, noise: 5}
	p := m.persons[0].paths[0]
	var head []float64
	for i := range 5 {
		head = append(head, depth(p.reel[len(p.reel)-1-2*i], p.reel[2+4*i], light{}, bend{}, bend{}))
	}
	slices.Sort(head)
	t.Logf("the man: %.4f", head)
	if head[2] < 0.006 || head[0] < 0.002 {
		t.Errorf("a man who comes closer: got %.4f, want .006 in the middle", head)
	}
	for _, q := range m.persons {
		s := q.calm[20]
		for name, flat := range map[string]float64{
			"held upright": depth(s, s, light{}, bend{percent: 80}, bend{percent: 150}),
			"turned":       depth(s, s, light{}, bend{percent: 80, yaw: 20}, bend{percent: 150, yaw: 20}),
			"tipped":       depth(s, s, light{}, bend{percent: 80, pitch: -10}, bend{percent: 150, pitch: 20}),
			"in the dark":  depth(s, s, poor, bend{percent: 80}, bend{percent: 150}),
		} {
			t.Logf("a picture of %s, %s: %.4f", q.name, name, flat)
			if math.Abs(flat) > 0.0025 {
				t.Errorf("a picture of %s, %s: got a depth of %.4f, want none", q.name, name, flat)
			}
		}
	}
	if r, err := m.engine.Relief(t.Context(), ekyc.Shot{}, ekyc.Shot{}); err != nil || r != (ekyc.Relief{}) {
		t.Errorf("without landmarks: got %+v, %v, want nothing", r, err)
	}
}
