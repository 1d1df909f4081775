package cards

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
)

// Level is how hard a photograph is to read.
type Level string

const (
	Mild   Level = "mild"   // held well: upright, near, sharp
	Medium Level = "medium" // any way up, farther, somewhat blurred
	Hard   Level = "hard"   // small, slanted, blurred, noisy, compressed
)

// Levels in the order of reports.
var Levels = []Level{Mild, Medium, Hard}

// Shot is how a photograph is taken.
type Shot struct {
	Level Level
	Seed  uint64
	// Upright keeps the card the right way up at every level.
	Upright bool
	// Turned turns by any angle, not only near the four directions.
	Turned bool
	Copy   bool    // of a photocopy: grey, hard contrast, on white paper
	Screen bool    // of a screen: its grid, moiré, bands
	Dark   bool    // hardly any light
	Bright bool    // washed out by light
	Blur   float64 // further Gaussian blur, standard deviation in pixels
	Cut    float64 // share of the card's length that lies outside the picture
}

// Damage is what was done to a picture: truth.json's aug. Quad is the card's own corners,
// clockwise from its top left, in pixels. Numbers are pixels but for Quarter (degrees)
// and Glare (spots of light).
type Damage struct {
	Quad    [4][2]float64 `json:"quad"`
	Quarter int           `json:"q"`
	Blur    float64       `json:"blur"`
	Motion  int           `json:"motion"`
	Glare   int           `json:"glare"`
	Width   float64       `json:"cw"`
	Copy    bool          `json:"copy,omitempty"`
	Screen  bool          `json:"screen,omitempty"`
}

// Picture is a photograph.
type Picture struct {
	JPEG    []byte
	Quality int // of the JPEG
	W, H    int
	Damage
}

// Ranges of a level. Our choice, after the evaluation set that the first pipeline was
// measured on.
type ranges struct {
	width       [2]float64 // of the card, px
	tilt        float64    // most, degrees, either way
	quarters    bool       // any of four directions
	perspective float64    // how far a corner may move, as a share of the card's width
	blur        [2]float64
	motion      int
	glare       float64 // chance of a spot of light
	spot        float64 // its brightness at most, of 255
	noise       [2]float64
	uneven      float64 // share of light lost across the picture, at most
	quality     [2]int  // of the JPEG
}

var levels = map[Level]ranges{
	Mild:   {[2]float64{960, 1400}, 6, false, .02, [2]float64{0, .65}, 0, .3, 170, [2]float64{.5, 3}, .15, [2]int{82, 94}},
	Medium: {[2]float64{720, 1100}, 14, true, .05, [2]float64{.4, 1.25}, 4, .5, 200, [2]float64{2, 6}, .3, [2]int{60, 82}},
	Hard:   {[2]float64{500, 800}, 26, true, .09, [2]float64{.6, 1.7}, 7, .8, 235, [2]float64{4, 10}, .45, [2]int{36, 62}},
}

func between2(r *rand.Rand, v [2]float64) float64 { return v[0] + (v[1]-v[0])*r.Float64() }

// canvas is a picture in linear-ish floating point, three values a pixel, 0 to 255.
type canvas struct {
	w, h int
	pix  []float32
}

func newCanvas(w, h int) *canvas { return &canvas{w, h, make([]float32, w*h*3)} }

// Shoot photographs one card, as Draw makes it. The same shot makes the same picture.
func Shoot(card *image.RGBA, s Shot) (Picture, error) { return shoot([]*image.RGBA{card}, s) }

// shoot photographs cards side by side; the first is the largest, and Damage is its.
func shoot(list []*image.RGBA, s Shot) (Picture, error) {
	l, ok := levels[s.Level]
	if !ok {
		return Picture{}, fmt.Errorf("cards: there is no level %q; there are %v", s.Level, Levels)
	}
	r := rand.New(rand.NewPCG(s.Seed, 0x73686f6f74))
	d := Damage{Copy: s.Copy, Screen: s.Screen, Width: between2(r, l.width)}
	if l.quarters && !s.Upright && r.IntN(2) > 0 {
		d.Quarter = 90 * r.IntN(4)
	}
	tilt := (2*r.Float64() - 1) * l.tilt
	if s.Turned {
		d.Quarter, tilt = 0, 360*r.Float64()
	}
	angle := (float64(d.Quarter) + tilt) * math.Pi / 180
	quads := make([][4]point, len(list))
	for i, card := range list {
		b := card.Bounds()
		w := d.Width
		if i > 0 {
			w *= .72 // our choice: clearly the smaller
		}
		h := w * float64(b.Dy()) / float64(b.Dx())
		for k, p := range rectangle(w, h) {
			p = p.sub(point{w / 2, h / 2}).add(point{0, float64(i) * d.Width * .6})
			p = p.add(point{2*r.Float64() - 1, 2*r.Float64() - 1}.times(l.perspective * w))
			quads[i][k] = p.turned(angle)
		}
	}
	W, H := frame(r, quads, d.Width)
	if s.Cut > 0 {
		cutOff(r, quads, s.Cut)
	}
	im := newCanvas(W, H)
	im.backdrop(r, s.Copy)
	for i, card := range list {
		im.lay(r, card, quads[i], s)
	}
	for k, p := range quads[0] {
		d.Quad[k] = [2]float64{p.x, p.y}
	}
	im.light(r, l.uneven, s)
	if !s.Copy && !s.Dark && r.Float64() < l.glare {
		d.Glare = 1
		im.glare(r, quads[0], d.Width, l.spot)
	}
	d.Blur = between2(r, l.blur) + s.Blur
	im.blur(d.Blur)
	if l.motion > 0 {
		if d.Motion = r.IntN(l.motion + 1); d.Motion > 1 {
			im.motion(r.Float64()*math.Pi, d.Motion)
		}
	}
	im.noise(r, between2(r, l.noise))
	p := Picture{Quality: l.quality[0] + r.IntN(l.quality[1]-l.quality[0]+1), W: W, H: H, Damage: d}
	var err error
	p.JPEG, err = im.encode(p.Quality)
	return p, err
}

// frame moves the quads so that all lie inside a picture with margins, and says its size.
func frame(r *rand.Rand, quads [][4]point, width float64) (w, h int) {
	low, high := point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, q := range quads {
		for _, p := range q {
			low, high = point{min(low.x, p.x), min(low.y, p.y)}, point{max(high.x, p.x), max(high.y, p.y)}
		}
	}
	margin := func() float64 { return width * (.04 + .22*r.Float64()) }
	shift := point{margin(), margin()}.sub(low)
	for i := range quads {
		for k := range quads[i] {
			quads[i][k] = quads[i][k].add(shift)
		}
	}
	return int(high.x + shift.x + margin()), int(high.y + shift.y + margin())
}

// cutOff moves the quads so far over the left or the upper edge that the share of the
// first one's length along that axis is lost.
func cutOff(r *rand.Rand, quads [][4]point, share float64) {
	low, high := quads[0][0], quads[0][0]
	for _, p := range quads[0] {
		low, high = point{min(low.x, p.x), min(low.y, p.y)}, point{max(high.x, p.x), max(high.y, p.y)}
	}
	shift := point{-low.x - share*(high.x-low.x), 0}
	if r.IntN(2) == 0 {
		shift = point{0, -low.y - share*(high.y-low.y)}
	}
	for i := range quads {
		for k := range quads[i] {
			quads[i][k] = quads[i][k].add(shift)
		}
	}
}

// backdrop is what the card lies on: cloth, wood, tiles, paper, or a blur of colours.
func (im *canvas) backdrop(r *rand.Rand, paper bool) {
	base := [3]float64{40 + 190*r.Float64(), 40 + 190*r.Float64(), 40 + 190*r.Float64()}
	other := [3]float64{}
	for c := range other {
		other[c] = max(0, min(255, base[c]+(r.Float64()-.5)*110))
	}
	kind := r.IntN(5)
	if paper {
		base, other, kind = [3]float64{244, 244, 242}, [3]float64{238, 238, 236}, 0
	}
	grid := newNoise(r)
	angle := r.Float64() * math.Pi
	sin, cos := math.Sincos(angle)
	step := 30 + 90*r.Float64()
	joint := func(t float64) bool { return t-math.Floor(t/(4*step))*4*step < 5 }
	for y := 0; y < im.h; y += 2 { // in blocks of two by two: nothing here is finer
		for x := 0; x < im.w; x += 2 {
			u, v := cos*float64(x)+sin*float64(y), -sin*float64(x)+cos*float64(y)
			var f float64
			switch kind {
			case 0: // plain, with a slow change
				f = grid.at(u/700, v/700)
			case 1: // wood: long grain
				f = .6*grid.at(u/260, v/9) + .4*grid.at(u/900, v/60)
			case 2: // cloth: a weave
				f = .5 + .25*math.Sin(u*1.1) + .25*math.Sin(v*1.1)*grid.at(u/90, v/90)
			case 3: // tiles with joints
				if f = .3 * grid.at(u/50, v/50); joint(u) || joint(v) {
					f = 1
				}
			default: // things out of focus
				f = grid.at(u/step/2, v/step/2)
			}
			for i := range 4 {
				bx, by := x+i%2, y+i/2
				if bx >= im.w || by >= im.h {
					continue
				}
				p := im.pix[(by*im.w+bx)*3:]
				for c := range 3 {
					p[c] = float32(base[c] + (other[c]-base[c])*f)
				}
			}
		}
	}
}

// lay puts a card into its quad, over a soft shadow. Each pixel takes the mean of samples.
func (im *canvas) lay(r *rand.Rand, card *image.RGBA, quad [4]point, s Shot) {
	b := card.Bounds()
	if card.Pix[b.Dy()/2*card.Stride+b.Dx()/2*4+3] == 0 {
		return // nothing, so no shadow either
	}
	h := between(quad, rectangle(float64(b.Dx()), float64(b.Dy())))
	low, high := quad[0], quad[0]
	for _, p := range quad {
		low, high = point{min(low.x, p.x), min(low.y, p.y)}, point{max(high.x, p.x), max(high.y, p.y)}
	}
	if !s.Copy && !s.Screen {
		off := point{2 + 6*r.Float64(), 2 + 6*r.Float64()}
		im.shade(quad, off, .25+.25*r.Float64())
	}
	n := 2 // samples a pixel and axis
	if float64(b.Dx()) > 1.8*quad[0].distance(quad[1]) {
		n = 3
	}
	steps := make([]float64, n)
	for k := range steps {
		steps[k] = (float64(k) + .5) / float64(n)
	}
	all := float32(n * n)
	w, t := float64(b.Dx()), float64(b.Dy())
	x0, y0 := max(0, int(low.x)), max(0, int(low.y))
	x1, y1 := min(im.w, int(high.x)+1), min(im.h, int(high.y)+1)
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			var sum [4]float32
			for _, dy := range steps {
				for _, dx := range steps {
					u, v := h.at(float64(x)+dx, float64(y)+dy)
					if u < 0 || v < 0 || u >= w || v >= t {
						continue
					}
					at := int(v)*card.Stride + int(u)*4
					q := card.Pix[at : at+4 : at+4]
					sum[0] += float32(q[0])
					sum[1] += float32(q[1])
					sum[2] += float32(q[2])
					sum[3] += float32(q[3])
				}
			}
			if sum[3] == 0 {
				continue
			}
			a := sum[3] / (255 * all)
			ink := [3]float32{sum[0] / all, sum[1] / all, sum[2] / all}
			if s.Copy { // grey, with the pale lost in white
				g := .3*ink[0] + .59*ink[1] + .11*ink[2]
				g = max(10, min(252, (g-128*a)*1.35+150*a))
				ink = [3]float32{g, g, g}
			}
			if s.Screen { // a pixel grid that beats with the camera's, and its blue light
				wave := func(t, period float64) float32 { return float32(.5 + .5*math.Sin(t*2*math.Pi/period)) }
				f := .78 + .12*wave(float64(x), 2.3)*wave(float64(y), 2.3) + .1*wave(.8*float64(x)+float64(y), 37)*wave(float64(x)-.6*float64(y), 53)
				ink = [3]float32{ink[0] * f * .96, ink[1] * f, min(255*a, ink[2]*f*1.06)}
			}
			p := im.pix[(y*im.w+x)*3:]
			for c := range 3 {
				p[c] = p[c]*(1-a) + ink[c]
			}
		}
	}
}

// shade darkens around a quad that is moved by off.
func (im *canvas) shade(quad [4]point, off point, strength float64) {
	const soft = 7          // px
	var edges [4][3]float64 // distance from an edge, inwards: a x + b y + c
	low, high := quad[0].add(off), quad[0].add(off)
	for k := range 4 {
		a, b := quad[k].add(off), quad[(k+1)%4].add(off)
		d := b.sub(a).times(1 / a.distance(b))
		edges[k] = [3]float64{-d.y, d.x, d.y*a.x - d.x*a.y}
		low, high = point{min(low.x, a.x), min(low.y, a.y)}, point{max(high.x, a.x), max(high.y, a.y)}
	}
	for y := max(0, int(low.y)-soft); y < min(im.h, int(high.y)+soft+1); y++ {
		for x := max(0, int(low.x)-soft); x < min(im.w, int(high.x)+soft+1); x++ {
			inside := math.Inf(1)
			for _, e := range edges {
				inside = min(inside, e[0]*float64(x)+e[1]*float64(y)+e[2])
			}
			if inside > -soft {
				f := float32(1 - strength*min(1, (inside+soft)/(2*soft)))
				p := im.pix[(y*im.w+x)*3:]
				p[0] *= f
				p[1] *= f
				p[2] *= f
			}
		}
	}
}

// light is uneven across the picture, coloured, and may be broken by a hand's shadow.
func (im *canvas) light(r *rand.Rand, uneven float64, s Shot) {
	sin, cos := math.Sincos(r.Float64() * 2 * math.Pi)
	loss := uneven * r.Float64()
	bright := .85 + .25*r.Float64()
	warm := (r.Float64() - .5) * .12
	if s.Dark {
		bright = .07 + .05*r.Float64()
	}
	lift := 0.0
	if s.Bright {
		bright, lift = 1.5, 205
	}
	shadow := uneven > .2 && r.IntN(3) == 0
	at := point{float64(im.w) * r.Float64(), float64(im.h) * r.Float64()}
	ss, sc := math.Sincos(r.Float64() * 2 * math.Pi)
	depth := .2 + .25*r.Float64()
	reach := math.Hypot(float64(im.w), float64(im.h))
	for y := range im.h {
		for x := range im.w {
			along := (cos*(float64(x)-float64(im.w)/2) + sin*(float64(y)-float64(im.h)/2)) / reach
			f := bright * (1 - loss*(along+.5))
			if shadow {
				edge := (sc*(float64(x)-at.x) + ss*(float64(y)-at.y)) / 60
				f *= 1 - depth*max(0, min(1, edge+.5))
			}
			p := im.pix[(y*im.w+x)*3:]
			p[0] = p[0]*float32(f*(1+warm)) + float32(lift)
			p[1] = p[1]*float32(f) + float32(lift)
			p[2] = p[2]*float32(f*(1-warm)) + float32(lift)
		}
	}
}

// glare is a spot of light on the card, in whose middle ink nearly fades.
func (im *canvas) glare(r *rand.Rand, quad [4]point, width, spot float64) {
	u, v := r.Float64(), r.Float64()
	m := quad[0].times((1 - u) * (1 - v)).add(quad[1].times(u * (1 - v))).add(quad[2].times(u * v)).add(quad[3].times((1 - u) * v))
	rx, ry := width*(.04+.06*r.Float64()), width*(.04+.06*r.Float64())
	turn, strength := r.Float64()*math.Pi, spot*(.6+.4*r.Float64())
	for y := range im.h {
		for x := range im.w {
			p := point{float64(x), float64(y)}.sub(m).turned(turn)
			q := p.x*p.x/(rx*rx) + p.y*p.y/(ry*ry)
			if q > 9 {
				continue
			}
			add := float32(strength * math.Exp(-q/2))
			for c := range 3 {
				im.pix[(y*im.w+x)*3+c] += add
			}
		}
	}
	im.clip()
}

func (im *canvas) clip() {
	for i, v := range im.pix {
		im.pix[i] = max(0, min(255, v))
	}
}

// blur is Gaussian, along rows and then columns.
func (im *canvas) blur(sigma float64) {
	if sigma < .15 {
		return
	}
	n := int(math.Ceil(3 * sigma))
	kernel, sum := make([]float32, 2*n+1), float32(0)
	for i := range kernel {
		d := float64(i - n)
		kernel[i] = float32(math.Exp(-d * d / (2 * sigma * sigma)))
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	for _, step := range [2][2]int{{1, 0}, {0, 1}} {
		im.along(step[0], step[1], n, kernel)
	}
}

// motion smears along a direction over so many pixels.
func (im *canvas) motion(angle float64, long int) {
	sin, cos := math.Sincos(angle)
	out := newCanvas(im.w, im.h)
	for k := range long {
		t := float64(k) - float64(long-1)/2
		dx, dy := int(math.Round(cos*t)), int(math.Round(sin*t))
		for y := range im.h {
			row := min(max(y+dy, 0), im.h-1) * im.w
			for x := range im.w {
				from, to := im.pix[(row+min(max(x+dx, 0), im.w-1))*3:], out.pix[(y*im.w+x)*3:]
				to[0] += from[0]
				to[1] += from[1]
				to[2] += from[2]
			}
		}
	}
	for i := range out.pix {
		out.pix[i] /= float32(long)
	}
	im.pix = out.pix
}

func (im *canvas) along(dx, dy, n int, kernel []float32) {
	out := make([]float32, len(im.pix))
	step := (dy*im.w + dx) * 3
	for y := range im.h {
		for x := range im.w {
			var a, b, c float32
			at := (y*im.w + x) * 3
			if i := dx*x + dy*y; i >= n && i+n < dx*im.w+dy*im.h { // nowhere near an edge
				q := at - n*step
				for _, f := range kernel {
					p := im.pix[q : q+3 : q+3]
					a += f * p[0]
					b += f * p[1]
					c += f * p[2]
					q += step
				}
			} else {
				for k, f := range kernel {
					p := im.pix[(min(max(y+dy*(k-n), 0), im.h-1)*im.w+min(max(x+dx*(k-n), 0), im.w-1))*3:]
					a += f * p[0]
					b += f * p[1]
					c += f * p[2]
				}
			}
			out[at], out[at+1], out[at+2] = a, b, c
		}
	}
	im.pix = out
}

// noise is a camera's: mostly in brightness, somewhat in colour.
func (im *canvas) noise(r *rand.Rand, deviation float64) {
	for i := 0; i < len(im.pix); i += 3 {
		all, tint := float32(r.NormFloat64()*deviation), float32(r.NormFloat64()*deviation*.35)
		im.pix[i] += all + tint
		im.pix[i+1] += all
		im.pix[i+2] += all - tint
	}
}

func (im *canvas) encode(quality int) ([]byte, error) {
	im.clip()
	out := image.NewRGBA(image.Rect(0, 0, im.w, im.h))
	for i := range im.w * im.h {
		for c := range 3 {
			out.Pix[i*4+c] = uint8(im.pix[i*3+c] + .5)
		}
		out.Pix[i*4+3] = 255
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, out, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("cards: encode a picture: %w", err)
	}
	return b.Bytes(), nil
}

// noise is a smooth random function of the plane, 0 to 1.
type noise [64][64]float64

func newNoise(r *rand.Rand) *noise {
	var n noise
	for y := range n {
		for x := range n[y] {
			n[y][x] = r.Float64()
		}
	}
	return &n
}

func (n *noise) at(x, y float64) float64 {
	x0, y0 := math.Floor(x), math.Floor(y)
	fx, fy := x-x0, y-y0
	fx, fy = fx*fx*(3-2*fx), fy*fy*(3-2*fy)
	i, j := int(x0)&63, int(y0)&63
	a, b := n[j], n[(j+1)&63]
	top := a[i] + (a[(i+1)&63]-a[i])*fx
	low := b[i] + (b[(i+1)&63]-b[i])*fx
	return top + (low-top)*fy
}
