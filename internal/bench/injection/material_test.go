package injection

import (
	"fmt"
	"math"
	"slices"
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
		ekyc.OpenMouth: (far(61, 67) + far(62, 66) + far(63, 65)) / 3 / far(48, 54) / 0.35,
		ekyc.Blink:     min((1-ratio(l)/ratio(calm.Landmarks))/0.25, min(f.EyesClosed[0], f.EyesClosed[1])/0.6),
	}
}

func TestStretches(t *testing.T) {
	m, err := Load(t.Context(), NewMemo(enginetest.Engine(t)), enginetest.Dir(t), 1)
	if err != nil {
		t.Fatal(err)
	}
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
				if x > 0.8 {
					t.Logf("%s calm picture %d: %s %.2f", p.name, i, a, x)
				}
			}
		}
		for _, a := range ekyc.Actions() {
			for n, r := range p.acts[a] {
				top := map[ekyc.Action]float64{}
				line := ""
				for _, s := range r {
					v := seenIn(measure(s), calm)
					for b, x := range v {
						top[b] = max(top[b], x)
					}
					line += fmt.Sprintf(" %.2f", v[a])
				}
				t.Logf("%s %s %d: %v", p.name, a, n, top)
				t.Log(line)
			}
		}
		for n, w := range p.paths {
			t.Logf("%s path %d rest %d per %.1f: %.0f", p.name, n, w.rest, w.perDoubling, w.sizes)
		}
	}
}
