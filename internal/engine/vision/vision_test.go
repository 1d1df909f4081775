package vision_test

import (
	"bytes"
	"image/color"
	"image/png"
	"math"
	"testing"

	"pgregory.net/rapid"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// ramp is a picture whose red rises with x and green with y.
func ramp(w, h int) *vision.Image {
	im := vision.NewImage(w, h)
	for y := range h {
		for x := range w {
			i := (y*w + x) * 3
			im.Pix[i], im.Pix[i+1], im.Pix[i+2] = byte(255*x/(w-1)), byte(255*y/(h-1)), 128
		}
	}
	return im
}

// A warped ramp shows, at each place, the value that the map's point has in the source:
// whatever the scale, the turn and the filter.
func TestWarpFollowsTheMap(t *testing.T) {
	t.Parallel()
	src := ramp(400, 300)
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.Float64Range(0.2, 6).Draw(t, "scale")
		turn := rapid.Float64Range(-math.Pi, math.Pi).Draw(t, "turn")
		a, b := scale*math.Cos(turn), scale*math.Sin(turn)
		m := vision.Affine{A: a, B: -b, C: rapid.Float64Range(0, 400).Draw(t, "x"), D: b, E: a, F: rapid.Float64Range(0, 300).Draw(t, "y")}
		dst := vision.NewImage(40, 30)
		src.Warp(dst, m, rapid.SampledFrom([]vision.Filter{vision.Average, vision.Sample}).Draw(t, "filter"))
		for v := range dst.H {
			for u := range dst.W {
				p := m.Apply(ekyc.Point{X: float64(u) + .5, Y: float64(v) + .5})
				// the ramp's value there; outside, the edge's
				wantX := 255 * max(0, min(p.X-.5, 399)) / 399
				wantY := 255 * max(0, min(p.Y-.5, 299)) / 299
				i := (v*dst.W + u) * 3
				// averaging over a pixel's area at the edge mixes the edge in
				slack := 2 + scale*255/300
				if math.Abs(float64(dst.Pix[i])-wantX) > slack || math.Abs(float64(dst.Pix[i+1])-wantY) > slack || dst.Pix[i+2] != 128 {
					t.Fatalf("at (%d,%d), source (%.1f,%.1f): got %v, want %.1f, %.1f, 128", u, v, p.X, p.Y, dst.Pix[i:i+3], wantX, wantY)
				}
			}
		}
	})
}

// Shrinking must average: a checkerboard becomes grey, not black, white or moiré.
func TestWarpAverages(t *testing.T) {
	t.Parallel()
	src := vision.NewImage(512, 512)
	for i := range 512 * 512 {
		v := byte(255 * ((i/512 + i) % 2))
		copy(src.Pix[i*3:], []byte{v, v, v})
	}
	for _, k := range []float64{2, 3.5, 4, 4.57} {
		dst := vision.NewImage(100, 100)
		src.Warp(dst, vision.Affine{A: k, E: k}, vision.Average)
		for i, v := range dst.Pix {
			if v < 110 || v > 145 {
				t.Errorf("shrunk by %v: byte %d is %d, want about 128", k, i, v)
				break
			}
		}
	}
}

func TestSimilarityFindsTheMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(-3, 3).Draw(t, "a"), rapid.Float64Range(0.1, 3).Draw(t, "b")
		want := vision.Affine{A: a, B: -b, C: rapid.Float64Range(-50, 50).Draw(t, "c"), D: b, E: a, F: rapid.Float64Range(-50, 50).Draw(t, "f")}
		from := []ekyc.Point{{X: 38, Y: 52}, {X: 73, Y: 51}, {X: 56, Y: 72}, {X: 41, Y: 92}, {X: 71, Y: 92}}
		var to []ekyc.Point
		for _, p := range from {
			to = append(to, want.Apply(p))
		}
		got, ok := vision.Similarity(from, to)
		if !ok {
			t.Fatal("no map found")
		}
		back, ok := got.Invert()
		if !ok {
			t.Fatal("the map cannot be reversed")
		}
		for i, p := range from {
			if q := got.Apply(p); math.Hypot(q.X-to[i].X, q.Y-to[i].Y) > 1e-6 {
				t.Fatalf("point %d goes to %v, want %v", i, q, to[i])
			}
			if q := back.Apply(to[i]); math.Hypot(q.X-p.X, q.Y-p.Y) > 1e-6 {
				t.Fatalf("point %d comes back as %v, want %v", i, q, p)
			}
		}
	})
	if _, ok := vision.Similarity([]ekyc.Point{{X: 1, Y: 1}, {X: 1, Y: 1}}, []ekyc.Point{{X: 1, Y: 2}, {X: 3, Y: 4}}); ok {
		t.Error("a single point gave a map")
	}
}

func TestSuppressKeepsTheMostConfident(t *testing.T) {
	t.Parallel()
	box := func(x float64) ekyc.Box { return ekyc.Box{X: x, Y: 0, W: 100, H: 100} }
	got := vision.Suppress([]vision.Candidate{{box(0), .7}, {box(10), .9}, {box(20), .8}, {box(300), .65}, {box(70), .6}}, .3)
	want := []vision.Candidate{{box(10), .9}, {box(300), .65}, {box(70), .6}}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestBoxes(t *testing.T) {
	t.Parallel()
	b := ekyc.Box{X: -10, Y: 20, W: 40, H: 40}
	if got := vision.Inside(b, 100, 100); math.Abs(got-.75) > 1e-9 {
		t.Errorf("Inside: got %v, want 0.75", got)
	}
	if got := vision.Inside(ekyc.Box{X: 200, Y: 0, W: 5, H: 5}, 100, 100); got != 0 {
		t.Errorf("Inside: got %v for a box outside, want 0", got)
	}
	if got, want := vision.ShiftInside(b, 100, 100), (ekyc.Box{X: 0, Y: 20, W: 40, H: 40}); got != want {
		t.Errorf("ShiftInside: got %v, want %v", got, want)
	}
	if got := vision.ShiftInside(vision.Grow(b, 5), 100, 120); got.X < 0 || got.Y < 0 || got.X+got.W > 100+1e-9 || got.Y+got.H > 120+1e-9 || math.Abs(got.W-got.H) > 1e-9 {
		t.Errorf("ShiftInside: got %v for a box larger than the image", got)
	}
}

func TestPlanes(t *testing.T) {
	t.Parallel()
	im := vision.NewImage(2, 1)
	copy(im.Pix, []byte{255, 0, 100, 10, 20, 30})
	for _, c := range []struct {
		order     vision.Channels
		mean, std []float64
		want      []float32
	}{
		{vision.RGB, []float64{0, 0, 0}, []float64{1, 1, 1}, []float32{255, 10, 0, 20, 100, 30}},
		{vision.BGR, []float64{0, 0, 0}, []float64{1, 1, 1}, []float32{100, 30, 0, 20, 255, 10}},
		{vision.RGB, []float64{127, 0, 0}, []float64{128, 2, 4}, []float32{1, -117. / 128, 0, 10, 25, 7.5}},
		// BT.601: (77·255 + 29·100)/256 = 88, (77·10 + 150·20 + 29·30)/256 = 18
		{vision.Gray, []float64{0}, []float64{2}, []float32{44, 9}},
	} {
		got := make([]float32, len(c.want))
		vision.NewPlanes(c.order, c.mean, c.std).Write(got, im)
		for i := range got {
			if math.Abs(float64(got[i]-c.want[i])) > 1e-5 {
				t.Errorf("%s: got %v, want %v", c.order, got, c.want)
				break
			}
		}
	}
}

// Dark and bright, flat and harsh pictures of one thing become the same; an even one
// stays even.
func TestLevel(t *testing.T) {
	t.Parallel()
	stats := func(im *vision.Image) (mean, deviation float64) {
		var sum, squares float64
		n := float64(im.W * im.H)
		for i := 0; i < len(im.Pix); i += 3 {
			if im.Pix[i] != im.Pix[i+1] || im.Pix[i] != im.Pix[i+2] {
				t.Fatal("the image is not grey")
			}
			v := float64(im.Pix[i]) / 255
			sum, squares = sum+v, squares+v*v
		}
		return sum / n, math.Sqrt(squares/n - sum/n*sum/n)
	}
	for _, c := range []struct{ low, high byte }{{10, 40}, {100, 110}, {0, 255}, {200, 255}} {
		im := vision.NewImage(24, 24)
		for i := range im.Pix {
			im.Pix[i] = c.low
			if i/3%24 < 12 {
				im.Pix[i] = c.high
			}
		}
		im.Level(.45, .2)
		if mean, sd := stats(im); math.Abs(mean-.45) > .005 || math.Abs(sd-.2) > .005 {
			t.Errorf("%v: got a mean of %.3f and a deviation of %.3f, want .45 and .2", c, mean, sd)
		}
		if im.Pix[0] < im.Pix[12*3] {
			t.Errorf("%v: what was bright is dark", c)
		}
	}
	im := vision.NewImage(24, 24)
	for i := range im.Pix {
		im.Pix[i] = 7
	}
	im.Level(.45, .2)
	if mean, sd := stats(im); math.Abs(mean-.45) > .005 || sd > 1e-6 {
		t.Errorf("an even image: got a mean of %.3f and a deviation of %.3f, want .45 and none", mean, sd)
	}
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	flat := vision.NewImage(112, 112)
	for i := range flat.Pix {
		flat.Pix[i] = 51
	}
	if got := vision.Measure(flat); got.Sharpness != 0 || math.Abs(got.Brightness-.2) > .005 || got.Contrast != 0 {
		t.Errorf("a flat grey of 51: got %+v, want no sharpness, 0.2, no contrast", got)
	}
	// The same pattern blurred more and more must look less and less sharp, in any light.
	for _, light := range []int{4, 2, 1} {
		last := 1.0
		for _, period := range []float64{4, 8, 16, 32} {
			im := vision.NewImage(112, 112)
			for i := range 112 * 112 {
				v := byte((128 + 100*math.Sin(float64(i%112)*2*math.Pi/period)) / float64(light))
				copy(im.Pix[i*3:], []byte{v, v, v})
			}
			got := vision.Measure(im).Sharpness
			if got >= last || got <= 0 {
				t.Errorf("light 1/%d, period %v: got sharpness %v, want below %v", light, period, got, last)
			}
			last = got
		}
	}
}

func TestDrawing(t *testing.T) {
	t.Parallel()
	a, b := ramp(60, 50), ramp(30, 80)
	a.Frame(ekyc.Box{X: -5, Y: 10, W: 40, H: 100}, color.RGBA{R: 1, G: 2, B: 3, A: 255}) // partly outside
	a.Dot(ekyc.Point{X: 59.5, Y: 0.5}, 2, color.RGBA{R: 9, G: 8, B: 7, A: 255})
	b.Outline([4]ekyc.Point{{X: 4, Y: 40}, {X: 20, Y: 40}, {X: 20, Y: 60}, {X: 4, Y: 60}}, 0, color.RGBA{R: 5, G: 6, B: 7, A: 255})
	b.Outline([4]ekyc.Point{{X: 4, Y: 70}, {X: 1e9, Y: 70}, {X: 1e9, Y: 1e9}, {X: 4, Y: 1e9}}, 0, color.RGBA{R: 255, A: 255}) // nowhere
	var buf bytes.Buffer
	if err := vision.EncodePNG(&buf, a, b); err != nil {
		t.Fatal(err)
	}
	im, err := png.Decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := im.Bounds().Size(); got.X != 90 || got.Y != 80 {
		t.Errorf("got %v, want 90 x 80", got)
	}
	for _, c := range []struct {
		x, y int
		want color.NRGBA
	}{{20, 10, color.NRGBA{1, 2, 3, 255}}, {70, 40, color.NRGBA{5, 6, 7, 255}}, {80, 50, color.NRGBA{5, 6, 7, 255}}, {64, 60, color.NRGBA{5, 6, 7, 255}}, {59, 1, color.NRGBA{9, 8, 7, 255}}, {60, 0, color.NRGBA{0, 0, 128, 255}}, {0, 79, color.NRGBA{0, 0, 0, 255}}} {
		if got := color.NRGBAModel.Convert(im.At(c.x, c.y)); got != c.want {
			t.Errorf("at (%d,%d): got %v, want %v", c.x, c.y, got, c.want)
		}
	}
}

func BenchmarkWarp(b *testing.B) {
	src := ramp(640, 480)
	b.Run("letterbox", func(b *testing.B) {
		dst := vision.NewImage(320, 240)
		for b.Loop() {
			src.Warp(dst, vision.Letterbox(640, 480, 320, 240), vision.Sample)
		}
	})
	b.Run("align", func(b *testing.B) {
		dst := vision.NewImage(112, 112)
		for b.Loop() {
			src.Warp(dst, vision.Affine{A: 2.6, B: -.2, C: 180, D: .2, E: 2.6, F: 90}, vision.Average)
		}
	})
	b.Run("pose", func(b *testing.B) {
		dst := vision.NewImage(224, 224)
		for b.Loop() {
			src.Warp(dst, vision.Affine{A: 1.3, C: 100, E: 1.6, F: 60}, vision.Sample)
		}
	})
	b.Run("planes", func(b *testing.B) {
		dst := vision.NewImage(320, 240)
		p := vision.NewPlanes(vision.RGB, []float64{1, 2, 3}, []float64{4, 5, 6})
		out := make([]float32, 320*240*3)
		for b.Loop() {
			p.Write(out, dst)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range [][2]int{{640, 480}, {1920, 1080}, {4032, 3024}} {
		data := jpegOf(b, quarters(s[0], s[1]))
		b.Run("", func(b *testing.B) {
			for b.Loop() {
				im, err := vision.Decode(data, vision.DefaultLimits)
				if err != nil {
					b.Fatal(err)
				}
				im.Release()
			}
		})
	}
}

// A homography is found again from where it brings points to, and its inverse leads back.
func TestHomography(t *testing.T) {
	t.Parallel()
	want := vision.Homography{1.2, 0.1, 30, -0.05, 0.9, 12, 0.0004, -0.0002, 1}
	var from, to []ekyc.Point
	var weights []float64
	for _, p := range []ekyc.Point{{X: 0, Y: 0}, {X: 400, Y: 20}, {X: 380, Y: 300}, {X: 10, Y: 280}, {X: 200, Y: 140}, {X: 90, Y: 210}} {
		from, to, weights = append(from, p), append(to, want.Apply(p)), append(weights, 1)
	}
	got, ok := vision.FitHomography(from, to, weights)
	if !ok {
		t.Fatal("no homography was found")
	}
	back, ok := got.Invert()
	if !ok {
		t.Fatal("it cannot be inverted")
	}
	for i, p := range from {
		if q := got.Apply(p); math.Hypot(q.X-to[i].X, q.Y-to[i].Y) > 0.5 {
			t.Errorf("%v is brought to %v, want %v", p, q, to[i])
		}
		if q := back.Apply(got.Apply(p)); math.Hypot(q.X-p.X, q.Y-p.Y) > 1e-6 {
			t.Errorf("%v comes back as %v", p, q)
		}
		if q := got.Then(back).Apply(p); math.Hypot(q.X-p.X, q.Y-p.Y) > 1e-6 {
			t.Errorf("%v comes back as %v through the product", p, q)
		}
	}
	if _, ok := vision.FitHomography(from[:3], to[:3], weights); ok {
		t.Error("three points gave a homography")
	}
	line := []ekyc.Point{{X: 0}, {X: 1}, {X: 2}, {X: 3}}
	if _, ok := vision.FitAffine(line, line, []float64{1, 1, 1, 1}); ok {
		t.Error("points on a line gave an affine map")
	}
	m, ok := vision.FitAffine(from, from, weights)
	if q := m.Apply(ekyc.Point{X: 7, Y: 9}); !ok || math.Hypot(q.X-7, q.Y-9) > 1e-6 {
		t.Errorf("the affine map of points to themselves brings (7,9) to %v", q)
	}
}

// WarpPerspective agrees with Warp where both can do it, growing and shrinking.
func TestWarpPerspective(t *testing.T) {
	t.Parallel()
	src := vision.NewImage(160, 120)
	for y := range src.H {
		for x := range src.W {
			i := (y*src.W + x) * 3
			src.Pix[i], src.Pix[i+1], src.Pix[i+2] = byte(x), byte(2*y), byte(x/2+y)
		}
	}
	for _, m := range []vision.Affine{{A: 0.5, C: 20, E: 0.5, F: 10}, {A: 1.5, C: 4, E: 1.5, F: 3}, {A: 2.5, C: 2, E: 2.4, F: 2}} {
		a, b := vision.NewImage(40, 30), vision.NewImage(40, 30)
		src.Warp(a, m, vision.Average)
		src.WarpPerspective(b, m.Perspective())
		for i := range a.Pix {
			if d := int(a.Pix[i]) - int(b.Pix[i]); d < -3 || d > 3 {
				t.Fatalf("map %v: value %d is %d, want %d", m, i, b.Pix[i], a.Pix[i])
			}
		}
	}
}
