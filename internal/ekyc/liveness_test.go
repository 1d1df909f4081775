package ekyc_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/testkit"
)

// begin opens a session of a plan with the capture subject's consent.
func begin(k *testkit.Kit, plan ekyc.PlanID) ekyc.Token {
	tok := k.OpenPlan(plan).Token
	k.Consent(tok)
	return tok
}

// perform draws a challenge and shows a face to it.
func perform(t *testing.T, k *testkit.Kit, tok ekyc.Token, kind ekyc.LivenessKind, f testkit.Face) (ekyc.Presented, error) {
	t.Helper()
	s, err := k.Attend(k.Ctx, tok)
	if err != nil {
		t.Fatal(err)
	}
	c, err := k.Challenge(k.Ctx, tok, kind)
	if err != nil {
		t.Fatal(err)
	}
	return k.Perform(s.Plan, c, f)
}

func TestChallengesAnsweredAndNot(t *testing.T) {
	t.Parallel()
	for plan, call := range map[ekyc.PlanID]ekyc.Interface{"6": ekyc.CallFlash, "7": ekyc.CallVideo, "8": ekyc.CallVideo} {
		t.Run("plan "+string(plan), func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t)
			tok := begin(k, plan)
			for name, c := range map[string]struct {
				face testkit.Face
				want ekyc.Code
			}{
				"a photograph":             {testkit.Face{Deaf: true}, ekyc.ChallengeUnmet},
				"somebody else takes over": {testkit.Face{Person: "zhang", Swap: "li"}, ekyc.FaceChanged},
				"surely an attack":         {testkit.Face{Live: 0.001}, ekyc.LivenessFailed},
			} {
				a := walk(t, k, tok, c.face)
				if a.Outcome != ekyc.NonMatched || a.Code != c.want || len(a.Charges) != 0 || a.Response == nil {
					t.Errorf("%s: got %s/%q, %d charges, response %+v; want %q free of charge", name, a.Outcome, a.Code, len(a.Charges), a.Response, c.want)
				}
			}
			begun := k.Clock.Now()
			a := walk(t, k, tok, testkit.Face{Person: "zhang"})
			if a.Outcome != ekyc.Match || a.Response == nil || a.Response.Code != ekyc.OK || a.Response.Chance > 1e-3 || a.Demoted || len(a.Charges) != 1 {
				t.Errorf("an honest person: got %s/%q, %+v", a.Outcome, a.Code, a.Response)
			}
			t.Logf("%s: %v from the camera to the end, chance %.2g", a.Kind, k.Clock.Now().Sub(begun), a.Response.Chance)
			s, err := k.Result(k.Ctx, k.App, tok)
			if err != nil {
				t.Fatal(err)
			}
			n := map[ekyc.Interface]int{}
			for _, c := range s.Calls {
				n[c.Interface]++
			}
			if n[ekyc.CallSession] != 4 || n[call] != 4 || len(s.Calls) != 8 {
				t.Errorf("calls: got %v, want 4 challenges drawn and 4 %s", n, call)
			}
		})
	}
}

// TestDistanceNeedsDepth: a photograph that is brought closer and taken back on time shows
// all that landmarks can show; its pixels show that it is flat.
func TestDistanceNeedsDepth(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := begin(k, "8")
	a := walk(t, k, tok, testkit.Face{Head: testkit.Head{Flat: true}})
	if a.Code != ekyc.ChallengeUnmet || a.Response == nil || a.Response.Depth >= 1 || !strings.Contains(a.Response.Why, "depth") {
		t.Errorf("a photograph brought closer: got %s/%q, %+v; want it refused for want of depth", a.Outcome, a.Code, a.Response)
	}
	for _, q := range a.Response.Cues {
		if !q.Met {
			t.Errorf("cue %d was not met: the photograph was refused for something else", q.N)
		}
	}
	if a := walk(t, k, tok, testkit.Face{}); a.Outcome != ekyc.Match || a.Response.Depth < 1 {
		t.Errorf("a head that comes closer: got %s/%q, %+v", a.Outcome, a.Code, a.Response)
	}
}

func TestChallengeIsUsedOnce(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok, other := begin(k, "7"), begin(k, "7")
	_, err := k.Challenge(k.Ctx, tok, ekyc.LivenessFlash)
	wantCode(t, "a kind that the plan does not use", err, ekyc.NotSwitchedOn)
	wrong, err := perform(t, k, tok, ekyc.LivenessAction, testkit.Face{Deaf: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Submit(k.Ctx, other, wrong)
	wantCode(t, "another session's challenge", err, ekyc.ChallengeStale)
	p, err := perform(t, k, tok, ekyc.LivenessAction, testkit.Face{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Submit(k.Ctx, tok, wrong)
	wantCode(t, "an earlier challenge", err, ekyc.ChallengeStale)
	silent := p
	silent.Kind = ekyc.LivenessSilent
	_, err = k.Submit(k.Ctx, tok, silent)
	wantCode(t, "the challenge taken for another kind's", err, ekyc.ChallengeStale)

	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[ekyc.Code]int{}
	wrong.Challenge = p.Challenge // a failing presentation leaves the token usable
	for range 8 {
		wg.Go(func() {
			a, err := k.Submit(k.Ctx, tok, wrong)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				codes[a.Code]++
			} else {
				codes[ekyc.CodeOf(err)]++
			}
		})
	}
	wg.Wait()
	if codes[ekyc.ChallengeUnmet]+codes[ekyc.ChallengeStale]+codes[ekyc.Undecided] != 8 || codes[ekyc.ChallengeUnmet] != 1 {
		t.Errorf("eight answers to one challenge: got %v, want one attempt", codes)
	}
	_, err = k.Submit(k.Ctx, tok, p)
	wantCode(t, "a challenge that was answered", err, ekyc.ChallengeStale)

	if p, err = perform(t, k, tok, ekyc.LivenessAction, testkit.Face{}); err != nil {
		t.Fatal(err)
	}
	k.Clock.Advance(ekyc.ChallengeWindow)
	_, err = k.Submit(k.Ctx, tok, p)
	wantCode(t, "a challenge whose time is over", err, ekyc.ChallengeStale)
}

func TestChallengesAreNotDrawnForEver(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := begin(k, "7")
	for i := range ekyc.MaxChallenges {
		if _, err := k.Challenge(k.Ctx, tok, ekyc.LivenessAction); err != nil {
			t.Fatalf("challenge %d: %v", i+1, err)
		}
	}
	_, err := k.Challenge(k.Ctx, tok, ekyc.LivenessAction)
	wantCode(t, "one challenge more", err, ekyc.TokenInvalid)
}

func TestAlternativeWithoutFlash(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := begin(k, "6")
	p, err := perform(t, k, tok, ekyc.LivenessAction, testkit.Face{})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := k.Submit(k.Ctx, tok, p); err != nil || a.Outcome != ekyc.Match || a.Kind != ekyc.LivenessAction || a.Demoted {
		t.Errorf("got %+v, %v; want a match by actions, not demoted", a, err)
	}
}

// films is a scripted reader of recordings.
type films struct {
	clip ekyc.Clip
	err  error
	made [][]ekyc.ClipFrame
}

func (v *films) Decode(context.Context, []byte, float64) (ekyc.Clip, error) { return v.clip, v.err }

func (v *films) Encode(_ context.Context, f []ekyc.ClipFrame) ([]byte, error) {
	v.made = append(v.made, f)
	return []byte("\x00\x00\x00\x18ftypmp42 film"), v.err
}

// film shows an answer to a session code, ten frames a second.
func film(c ekyc.Challenge, face testkit.Face) ekyc.Clip {
	clip := ekyc.Clip{Audio: true, Duration: 3 * time.Second}
	if n := len(c.Cues); n > 0 {
		clip.Duration = c.Cues[n-1].After + 2*time.Second
	}
	for at := time.Duration(0); at < clip.Duration; at += 100 * time.Millisecond {
		face.Serial++
		if !face.Deaf {
			face.Head = testkit.Act(c.Cues, func(int) time.Duration { return 500 * time.Millisecond }, at)
		}
		clip.Frames = append(clip.Frames, ekyc.ClipFrame{Image: testkit.Photo(face), At: at})
	}
	return clip
}

var webm = []byte{0x1a, 0x45, 0xdf, 0xa3, 1, 2, 3}

func TestRecordings(t *testing.T) {
	t.Parallel()
	for plan, kind := range map[ekyc.PlanID]ekyc.LivenessKind{"6": ekyc.RecordedDigits, "7": ekyc.RecordedAction, "8": ekyc.RecordedVideo} {
		k := testkit.New(t)
		v := &films{}
		k.Videos = v
		tok := begin(k, plan)
		record := func(change func(*ekyc.Challenge)) ekyc.Attempt {
			t.Helper()
			c, err := k.Challenge(k.Ctx, tok, kind)
			if err != nil {
				t.Fatal(err)
			}
			v.err, v.clip = nil, film(c, testkit.Face{Person: "zhang"})
			change(&c)
			a, err := k.Record(k.Ctx, tok, c.ID, webm, ekyc.Client{})
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			return a
		}
		for want, change := range map[ekyc.Code]func(*ekyc.Challenge){
			ekyc.VideoDamaged:   func(*ekyc.Challenge) { v.err = ekyc.Errorf(ekyc.VideoDamaged, "cut off") },
			ekyc.EngineFailed:   func(*ekyc.Challenge) { v.err = errors.New("the reader died") },
			ekyc.VideoTooLong:   func(*ekyc.Challenge) { v.clip.Duration = time.Hour },
			ekyc.VideoTooShort:  func(*ekyc.Challenge) { v.clip.Duration = time.Second },
			ekyc.NoFace:         func(c *ekyc.Challenge) { v.clip = film(*c, testkit.Face{None: true}) },
			ekyc.VideoSilent:    func(*ekyc.Challenge) { v.clip.Audio = false },
			ekyc.ChallengeUnmet: func(c *ekyc.Challenge) { v.clip = film(*c, testkit.Face{Deaf: true}) },
		} {
			if want == ekyc.VideoSilent && kind != ekyc.RecordedDigits || want == ekyc.ChallengeUnmet && kind == ekyc.RecordedVideo {
				continue
			}
			a := record(change)
			if a.Code != want || a.Outcome == ekyc.Match || len(a.Charges) != 0 {
				t.Errorf("%s: got %s/%q, %d charges, want %q, free", kind, a.Outcome, a.Code, len(a.Charges), want)
			}
		}
		a := record(func(*ekyc.Challenge) {})
		if a.Outcome != ekyc.Match || !a.Demoted || a.Kind != kind {
			t.Errorf("%s: got %s/%q (%+v), demoted %v; want a demoted match", kind, a.Outcome, a.Code, a.Response, a.Demoted)
		}
		s, _ := k.Attend(k.Ctx, tok)
		kept := s.Find(ekyc.EvidenceVideo, a.Ordinal)
		if want := s.Plan.KeepMedia; (len(kept) == 1) != want || want && (kept[0].Type != "video/webm" || kept[0].Until.Sub(a.Finished) > ekyc.MediaKept) {
			t.Errorf("%s: video kept: %+v, want %v, for a day", kind, kept, want)
		}
	}
}

func TestRecordedPicture(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	tok := begin(k, "9")
	c, err := k.Challenge(k.Ctx, tok, ekyc.RecordedPicture)
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Record(k.Ctx, tok, c.ID, make([]byte, ekyc.MaxImage+1), ekyc.Client{})
	wantCode(t, "a picture of 10 MiB and a byte", err, ekyc.ImageTooLarge)
	_, err = k.Record(k.Ctx, tok, "another", webm, ekyc.Client{})
	wantCode(t, "another challenge", err, ekyc.ChallengeStale)
	a, err := k.Record(k.Ctx, tok, c.ID, testkit.Photo(testkit.Face{}), ekyc.Client{})
	if err != nil || a.Outcome != ekyc.Match || a.Demoted {
		t.Errorf("got %+v, %v; want a match", a, err)
	}
}

func TestVideoOfALivePresentation(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	v := &films{}
	k.Videos = v
	tok := begin(k, "6")
	a := walk(t, k, tok, testkit.Face{})
	s, _ := k.Attend(k.Ctx, tok)
	kept := s.Find(ekyc.EvidenceVideo, a.Ordinal)
	if len(kept) != 1 || kept[0].Type != "video/mp4" || len(v.made) != 1 || len(v.made[0]) > ekyc.KeptFrames || len(s.Find(ekyc.EvidenceFrame, 1)) != ekyc.MediaImages-1 {
		t.Errorf("got %+v and %d films, want one mp4 of at most %d frames and %d images", kept, len(v.made), ekyc.KeptFrames, ekyc.MediaImages)
	}
	// A film that cannot be made costs nobody their verification.
	v.err = errors.New("no encoder")
	tok = begin(k, "6")
	if a := walk(t, k, tok, testkit.Face{}); a.Outcome != ekyc.Match {
		t.Errorf("without an encoder: got %s/%q, want a match", a.Outcome, a.Code)
	}
	k.Clock.Advance(ekyc.MediaKept)
	if p, err := k.Purge(k.Ctx); err != nil || p.Evidence != 1+2*(ekyc.MediaImages-1) {
		t.Errorf("after a day: erased %+v, %v; want the video and the frames", p, err)
	}
}

func TestPresentationIsBrokenOff(t *testing.T) {
	t.Parallel()
	k := testkit.New(t)
	p := ekyc.Plan{Liveness: ekyc.LivenessAction, QualityLevel: ekyc.LevelNormal, LivenessLevel: ekyc.LevelNormal}
	src, _ := source(50)
	good := func() ekyc.Examination {
		return ekyc.Examination{Width: 640, Height: 480, Faces: []ekyc.Face{testkit.Head{}.Found()}}
	}
	elsewhere := good()
	elsewhere.Faces[0].Box.X = 10
	for name, c := range map[string]struct {
		step time.Duration
		seq  int
		x    ekyc.Examination
		want ekyc.Code
	}{
		"the face is lost":        {0, 0, ekyc.Examination{Width: 640, Height: 480}, ekyc.NoFace},
		"somebody joins":          {0, 0, ekyc.Examination{Width: 640, Height: 480, Faces: append(good().Faces, good().Faces...)}, ekyc.SeveralFaces},
		"the face jumps":          {0, 0, elsewhere, ekyc.FaceChanged},
		"no frames for 2 s":       {2 * time.Second, 0, good(), ekyc.ChallengeStale},
		"frames in another order": {0, -5, good(), ekyc.ChallengeStale},
	} {
		now := k.Clock.Now()
		w := ekyc.NewPresentation(p, ekyc.Draw(ekyc.LivenessAction, p, src, now), now)
		var a ekyc.Advice
		for i := 1; i < 60 && a.Abort == ekyc.OK && !a.Done; i++ {
			now = now.Add(100 * time.Millisecond)
			f, x := ekyc.Frame{At: now, Seq: i, Sent: time.Duration(i) * 100 * time.Millisecond}, good()
			if i > 30 {
				now = now.Add(c.step)
				f.At, f.Seq, x = now, i+c.seq, c.x
			}
			a = w.Observe(f, x)
			if i == 30 && (a.Phase != ekyc.PhaseChallenge || a.Abort != ekyc.OK) {
				t.Fatalf("%s: after 3 s: got %+v, want the challenge under way", name, a)
			}
		}
		if a.Abort != c.want {
			t.Errorf("%s: got %+v, want abort with %q", name, a, c.want)
		}
	}
}

// FuzzJudge: whatever is measured, judging ends, and Chance is a probability.
func FuzzJudge(f *testing.F) {
	f.Add(uint8(1), []byte{1, 2, 3, 200, 100, 0, 0, 255})
	f.Add(uint8(2), []byte("frames of all sorts, none of them good"))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		all := ekyc.Kinds()
		src, _ := source(kind)
		c := drawn(all[int(kind)%len(all)], src)
		var list []ekyc.Sample
		at := t0
		for i, b := range data {
			at = at.Add(time.Duration(b%32) * 20 * time.Millisecond)
			h := testkit.Head{Yaw: float64(b) - 128, Pitch: float64(b%60) - 30, Closed: float64(b%3) / 2, Mouth: float64(b%7) / 7, Closer: float64(b) / 100}
			s := ekyc.Sample{At: at, Faces: int(b % 5), Face: h.Found()}
			switch b % 11 {
			case 0:
				s.Face = ekyc.Face{}
			case 1:
				s.Face.Skin = [3]float64{math.NaN(), math.Inf(1), -1}
				s.Face.Pose.Yaw = math.NaN()
				s.Face.Landmarks[30].X = math.NaN()
			case 2:
				s.Seq, s.Sent = i, -at.Sub(t0)
			case 3:
				s.Face.Skin[0] *= 1 + float64(b)/1000
			}
			list = append(list, s)
		}
		for _, l := range []ekyc.Level{ekyc.LevelLow, ekyc.LevelHigh, "unheard of"} {
			if r := c.Judge(l, list); !(r.Chance >= 0 && r.Chance <= 1) {
				t.Errorf("kind %s, level %s: chance %v, want a probability", c.Kind, l, r.Chance)
			}
		}
	})
}
