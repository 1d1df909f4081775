package ekyc

import (
	"testing"
	"time"
)

func goodFace() Face {
	return Face{
		Box:     Box{X: 200, Y: 100, W: 200, H: 240},
		Quality: Quality{EyeDistance: 90, Sharpness: 0.8, Brightness: 0.5, Inside: 1, Value: 0.8},
	}
}

func seen(faces ...Face) Examination { return Examination{Width: 640, Height: 480, Faces: faces} }

func TestJudgeNamesOneReason(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[Code]func(*Face){
		FaceSmall:   func(f *Face) { f.Quality.EyeDistance = 12 },
		FaceCut:     func(f *Face) { f.Quality.Inside = 0.5 },
		FaceDark:    func(f *Face) { f.Quality.Brightness = 0.02 },
		FaceBright:  func(f *Face) { f.Quality.Brightness = 0.99 },
		FaceTurned:  func(f *Face) { f.Pose.Yaw = -50 },
		FaceBlurred: func(f *Face) { f.Quality.Sharpness = 0.01 },
		EyesClosed:  func(f *Face) { f.EyesClosed = [2]float64{0.99, 0.99} },
		OK:          func(*Face) {},
	} {
		for _, level := range []Level{LevelLow, LevelNormal, LevelHigh} {
			f := goodFace()
			spoil(&f)
			if got := Judge(seen(f), WantAll, level); got != want {
				t.Errorf("level %s: got %q, want %q", level, got, want)
			}
		}
		f := goodFace()
		spoil(&f)
		if got := Judge(seen(f), WantAll, LevelNone); got != OK {
			t.Errorf("no quality control: got %q, want none", got)
		}
	}
	if got := Judge(seen(), WantAll, LevelNone); got != NoFace {
		t.Errorf("empty picture: got %q, want %q", got, NoFace)
	}
	if got := Judge(seen(goodFace(), goodFace()), WantAll, LevelLow); got != SeveralFaces {
		t.Errorf("two faces: got %q, want %q", got, SeveralFaces)
	}
}

// play shows a watch one examination every 200 ms until it is done.
func play(w *Presentation, xs ...Examination) (last Advice, frames int) {
	now := w.last
	for i, x := range xs {
		now = now.Add(200 * time.Millisecond)
		last = w.Observe(Frame{Image: []byte{byte(i)}, At: now}, x)
		if last.Done || last.TimedOut {
			return last, i + 1
		}
	}
	return last, len(xs)
}

func times(n int, x Examination) []Examination {
	xs := make([]Examination, n)
	for i := range xs {
		xs[i] = x
	}
	return xs
}

func TestWatch(t *testing.T) {
	t.Parallel()
	plan := Plan{QualityLevel: LevelNormal}
	moved := goodFace()
	moved.Box.X = 430
	blink := goodFace()
	blink.EyesClosed = [2]float64{1, 1}
	near := goodFace()
	near.Box = Box{X: 20, Y: 10, W: 440, H: 460}
	far := goodFace()
	far.Box = Box{X: 300, Y: 200, W: 60, H: 70}

	if a, n := play(NewPresentation(plan, Challenge{Kind: LivenessSilent}, t0), times(50, seen(goodFace()))...); !a.Done || n != WatchFrames+1 {
		t.Errorf("a still face: done %v after %d frames, want after %d (%v at 200 ms)", a.Done, n, WatchFrames+1, WatchSpan)
	}
	for name, c := range map[string]struct {
		x    Examination
		want Hint
	}{
		"nobody": {seen(), HintNoFace}, "two": {seen(goodFace(), goodFace()), HintSeveral},
		"near": {seen(near), HintFurther}, "far": {seen(far), HintCloser}, "eyes closed": {seen(blink), HintOpenEyes},
	} {
		if a, _ := play(NewPresentation(plan, Challenge{Kind: LivenessSilent}, t0), times(40, c.x)...); a.Done || a.Hint != c.want {
			t.Errorf("%s: got %+v, want hint %q and not done", name, a, c.want)
		}
	}
	// A blink delays, a lost face or one that jumps starts anew.
	w := NewPresentation(plan, Challenge{Kind: LivenessSilent}, t0)
	play(w, times(5, seen(goodFace()))...)
	if play(w, seen(blink)); len(w.good) != 5 {
		t.Errorf("after a blink: %d good frames kept, want 5", len(w.good))
	}
	if a, _ := play(w, seen(moved)); a.Hint != HintStill || len(w.good) != 1 {
		t.Errorf("after a jump: hint %q, %d good frames, want %q and 1", a.Hint, len(w.good), HintStill)
	}
	if play(w, seen()); len(w.good) != 0 {
		t.Errorf("after the face was lost: %d good frames kept, want 0", len(w.good))
	}
	// A pause longer than WatchGap is not the same presentation.
	play(w, times(5, seen(goodFace()))...)
	w.Observe(Frame{At: w.last.Add(WatchGap + time.Second)}, seen(goodFace()))
	if len(w.good) != 1 {
		t.Errorf("after a pause: %d good frames, want 1", len(w.good))
	}
	if a := w.Observe(Frame{At: t0.Add(WatchTimeout + time.Second)}, seen(goodFace())); !a.TimedOut {
		t.Errorf("after %v: got %+v, want timed out", WatchTimeout, a)
	}
}

func TestWatchKeepsTheBestFrames(t *testing.T) {
	t.Parallel()
	w := NewPresentation(Plan{QualityLevel: LevelNormal}, Challenge{Kind: LivenessSilent}, t0)
	var xs []Examination
	for i := range 40 {
		f := goodFace()
		f.Quality.Value = float64(i%7) / 10
		xs = append(xs, seen(f))
	}
	play(w, xs...)
	fr := bestFrames(w.good)
	if len(fr) != ProbeFrames {
		t.Fatalf("got %d frames, want %d", len(fr), ProbeFrames)
	}
	for i := 1; i < len(fr); i++ {
		if fr[i].Image[0]%7 > fr[i-1].Image[0]%7 {
			t.Errorf("frame %d is better than frame %d", i, i-1)
		}
	}
	// A camera of 100 frames a second keeps memory bounded and still needs WatchSpan.
	w = NewPresentation(Plan{QualityLevel: LevelNormal}, Challenge{Kind: LivenessSilent}, t0)
	at, n := t0, 0
	for {
		at = at.Add(10 * time.Millisecond)
		n++
		if a := w.Observe(Frame{At: at}, seen(goodFace())); a.Done {
			break
		}
		if len(w.good) > 4*WatchFrames {
			t.Fatalf("%d frames kept, want at most %d", len(w.good), 4*WatchFrames)
		}
	}
	if span := at.Sub(t0); span < WatchSpan {
		t.Errorf("done after %v, want at least %v", span, WatchSpan)
	}
}
