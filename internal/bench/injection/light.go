package injection

import (
	"image"
	"math"
	"math/rand/v2"

	"shiren/internal/ekyc"
)

// light is how a picture was lit. The zero value is the clip as it is.
type light struct {
	screen ekyc.RGB // colour of the screen; black adds nothing
	// gain is the light of a white screen on the face in units of the light that is
	// there already. A phone of 300 cd/m2 and 100 cm2 at 35 cm gives about 25 lx: a tenth
	// of an office's 250 lx, half of a dim room's 50 lx.
	gain    float64
	back    float64 // share of that which reaches what lies behind the head
	ambient float64 // 0 means 1: what is left of the light that is there
	noise   float64 // standard deviation in 8-bit steps, of the camera
}

// linear is sRGB's transfer function (IEC 61966-2-1) and encode its inverse, by tables.
var linear, encode = tables()

const encodeSteps = 1 << 12

func tables() (l [256]float64, e [encodeSteps + 1]uint8) {
	for i := range l {
		v := float64(i) / 255
		if v <= 0.04045 {
			l[i] = v / 12.92
		} else {
			l[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	for i := range e {
		v := float64(i) / encodeSteps
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
		e[i] = uint8(math.Round(255 * v))
	}
	return l, e
}

// shine lights m: each pixel's own colour tells how much of the screen's light it sends
// back. The head is an ellipse around face with a soft edge; the rest gets l.back.
func shine(m *image.RGBA, face ekyc.Box, l light, r *rand.Rand) {
	ambient := l.ambient
	if ambient == 0 {
		ambient = 1
	}
	var add [3]float64
	for c := range add {
		add[c] = l.gain * linear[l.screen[c]]
	}
	if add == [3]float64{} && ambient == 1 && l.noise == 0 {
		return
	}
	b := m.Bounds()
	cx, cy := face.X+face.W/2, face.Y+face.H*0.45
	rx, ry := face.W*0.75, face.H*0.75
	// Noise is drawn from a ring of values: one a pixel and channel would cost more than the rest.
	var ring [4096]float64
	if l.noise > 0 {
		for i := range ring {
			ring[i] = l.noise * r.NormFloat64()
		}
	}
	at := r.IntN(len(ring))
	for y := range b.Dy() {
		dy := (float64(y) - cy) / ry
		row := m.Pix[y*m.Stride:]
		for x := range b.Dx() {
			dx := (float64(x) - cx) / rx
			d := dx*dx + dy*dy
			w := 1.0
			if d > 1.3 {
				w = l.back
			} else if d > 0.9 {
				w = 1 + (l.back-1)*(d-0.9)/0.4
			}
			p := row[4*x : 4*x+3]
			for c := range p {
				v := linear[p[c]] * (ambient + w*add[c])
				out := float64(encode[int(min(v, 1)*encodeSteps+0.5)])
				if l.noise > 0 {
					at = (at*5 + 1) & (len(ring) - 1) // a full cycle of the ring, in no visible order
					out = max(0, min(255, out+ring[at]))
				}
				p[c] = uint8(out + 0.5)
			}
		}
		at = (at + r.IntN(len(ring))) & (len(ring) - 1)
	}
}
