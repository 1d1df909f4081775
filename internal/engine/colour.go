package engine

import (
	"cmp"
	"math"
	"slices"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// linear is the light of an sRGB byte, 0 to 1 (IEC 61966-2-1).
var linear = func() (t [256]float64) {
	for i := range t {
		if v := float64(i) / 255; v <= 0.04045 {
			t[i] = v / 12.92
		} else {
			t[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return t
}()

// light is a sampled pixel in linear light, with its luminance.
type light struct {
	c [3]float64
	y float64
}

// Samples of a patch, a side, and where the light of a set of samples is taken from:
// between two of its quantiles by luminance. Skin drops hair and rims of glasses below,
// highlights above; the background keeps all but lamps and the deepest shade. Our choice.
const (
	patchGrid         = 14
	skinLow, skinHigh = 0.30, 0.75
	backLow, backHigh = 0.10, 0.90
)

// backLeast is how many samples of the background, of about 590, must lie inside the
// image for it to count as seen. Our choice.
const backLeast = 60

// colour measures the light of skin and background. About a thousand pixels are read, so
// that its cost does not follow the image's size.
func (e *Engine) colour(im *vision.Image, f *ekyc.Face, s *scratch) error {
	s.lights = s.lights[:0]
	l := f.Landmarks
	add := func(p ekyc.Point) {
		x, y := int(math.Floor(p.X)), int(math.Floor(p.Y))
		if x < 0 || y < 0 || x >= im.W || y >= im.H {
			return
		}
		px := im.Pix[(y*im.W+x)*3:]
		c := [3]float64{linear[px[0]], linear[px[1]], linear[px[2]]}
		s.lights = append(s.lights, light{c, 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]}) // BT.709
	}
	// The cheeks: between lower lid, nostril and jaw, nearer to nostril and jaw, below
	// the rims of glasses and above a beard.
	for _, t := range [2][3]ekyc.Point{{l[41], l[31], l[3]}, {l[46], l[35], l[13]}} {
		quad(func(u, v float64) {
			lid := 0.10 + 0.30*v
			jaw := (1 - lid) * (0.25 + 0.5*u)
			add(mix(t, lid, 1-lid-jaw, jaw))
		})
	}
	// The forehead: above the inner halves of the brows, by a quarter to three quarters of
	// the nose's length, along the nose.
	up := ekyc.Point{X: l[27].X - l[33].X, Y: l[27].Y - l[33].Y}
	quad(func(u, v float64) {
		h := 0.25 + 0.5*v
		add(ekyc.Point{X: l[19].X + (l[24].X-l[19].X)*u + up.X*h, Y: l[19].Y + (l[24].Y-l[19].Y)*u + up.Y*h})
	})
	f.Skin = between(s.lights, skinLow, skinHigh)

	// The background, in units of the face's box, which ends at the forehead: left and
	// right of the hair and above the shoulders, and above the hair.
	s.lights = s.lights[:0]
	b := f.Box
	for _, r := range [3]ekyc.Box{{X: -0.9, Y: -0.4, W: 0.6, H: 0.9}, {X: 1.3, Y: -0.4, W: 0.6, H: 0.9}, {X: -0.2, Y: -0.9, W: 1.4, H: 0.4}} {
		quad(func(u, v float64) { add(ekyc.Point{X: b.X + b.W*(r.X+r.W*u), Y: b.Y + b.H*(r.Y+r.H*v)}) })
	}
	f.Back = f.Skin
	if len(s.lights) >= backLeast {
		f.Back = between(s.lights, backLow, backHigh)
	}
	return nil
}

// quad walks the middles of a grid's cells over the unit square.
func quad(at func(u, v float64)) {
	for i := range patchGrid * patchGrid {
		at((float64(i%patchGrid)+0.5)/patchGrid, (float64(i/patchGrid)+0.5)/patchGrid)
	}
}

func mix(t [3]ekyc.Point, a, b, c float64) ekyc.Point {
	return ekyc.Point{X: a*t[0].X + b*t[1].X + c*t[2].X, Y: a*t[0].Y + b*t[1].Y + c*t[2].Y}
}

// between is the mean light of the samples between two quantiles by luminance; zero
// without samples. It sorts them.
func between(list []light, low, high float64) (m [3]float64) {
	slices.SortFunc(list, func(a, b light) int { return cmp.Compare(a.y, b.y) })
	from, to := int(low*float64(len(list))), int(math.Ceil(high*float64(len(list))))
	for _, p := range list[from:to] {
		for i := range m {
			m[i] += p.c[i]
		}
	}
	for i := range m {
		m[i] /= float64(max(1, to-from))
	}
	return m
}
