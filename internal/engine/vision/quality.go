package vision

import "math"

// Light is what Measure finds in an aligned face.
type Light struct {
	Sharpness  float64 // 0 (blurred) to 1
	Brightness float64 // mean luma, 0 to 1
	Contrast   float64 // standard deviation of luma, 0 to 0.5
}

// sharpHalf is the ratio of the Laplacian's variance to the luma's variance at which
// Sharpness is one half. Measured: see docs/models/README.md, "Sharpness".
const sharpHalf = 0.05

// Measure looks at the middle of an aligned face, where skin, eyes and mouth are and
// background is not: columns 1/6 to 5/6, rows 1/6 to 15/16.
//
// Sharpness compares the variance of a Laplacian with the variance of luma itself, so
// that neither light nor contrast changes it: v/(v+sharpHalf).
func Measure(face *Image) Light {
	x0, x1, y0, y1 := face.W/6, face.W-face.W/6, face.H/6, face.H-face.H/16
	w, h := x1-x0, y1-y0
	if w < 3 || h < 3 {
		return Light{}
	}
	var stack [112 * 112]int32
	luma := stack[:0]
	var sum, squares int64
	for y := y0; y < y1; y++ {
		row := face.Pix[(y*face.W+x0)*3 : (y*face.W+x1)*3]
		for i := 0; i+3 <= len(row); i += 3 {
			l := int32(Luma(row[i], row[i+1], row[i+2]))
			luma = append(luma, l)
			sum += int64(l)
			squares += int64(l * l)
		}
	}
	n := float64(w * h)
	mean := float64(sum) / n
	variance := max(0, float64(squares)/n-mean*mean)
	var lap, lapSquares int64
	for y := 1; y < h-1; y++ {
		up, mid, down := luma[(y-1)*w:y*w], luma[y*w:(y+1)*w], luma[(y+1)*w:(y+2)*w]
		for x := 1; x < w-1; x++ {
			d := int64(up[x] + down[x] + mid[x-1] + mid[x+1] - 4*mid[x])
			lap += d
			lapSquares += d * d
		}
	}
	m := float64((w - 2) * (h - 2))
	lapMean := float64(lap) / m
	lapVariance := max(0, float64(lapSquares)/m-lapMean*lapMean)
	ratio := lapVariance / (variance + 1) // + 1: a flat patch is not sharp
	return Light{Sharpness: ratio / (ratio + sharpHalf), Brightness: mean / 255, Contrast: math.Sqrt(variance) / 255}
}
