package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiren/internal/ekyc"
)

// readings is a reader of identity documents that gives what each side is said to hold.
type readings map[ekyc.CardSide]ekyc.CardReading

func (r readings) ReadCard(_ context.Context, _ []byte, side ekyc.CardSide) (ekyc.CardReading, error) {
	got, ok := r[side]
	if !ok {
		return got, ekyc.Errorf(ekyc.ImageDamaged, "the picture ends early")
	}
	return got, nil
}

func (r readings) GlanceCard(context.Context, []byte, ekyc.CardSide) (ekyc.CardGlance, error) {
	return ekyc.CardGlance{}, nil
}

func box4(x, y, w, h float64) [4]ekyc.Point {
	return [4]ekyc.Point{{X: x, Y: y}, {X: x + w, Y: y}, {X: x + w, Y: y + h}, {X: x, Y: y + h}}
}

// read runs `shiren idcard` over two grey pictures with a reader of the test's own.
func read(t *testing.T, r readings, draw string, asJSON bool) (string, error) {
	t.Helper()
	grey := image.NewGray(image.Rect(0, 0, 400, 300))
	for i := range grey.Pix {
		grey.Pix[i] = 128
	}
	var b bytes.Buffer
	if err := png.Encode(&b, grey); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range []string{"front.png", "back.png"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	var out bytes.Buffer
	clock := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	a := &app{out: &out, now: func() time.Time { clock = clock.Add(250 * time.Millisecond); return clock }}
	err := a.readCards(t.Context(), r, files, draw, asJSON)
	return out.String(), err
}

var document = readings{
	ekyc.CardFront: {
		Side: ekyc.CardFront, Type: ekyc.ResidencePermit, Status: ekyc.CardReadable, Quad: box4(20, 20, 300, 190), Width: 300, Sharp: .5,
		Words: map[ekyc.CardField]ekyc.CardWord{
			ekyc.CardName:   {Value: "样本人", Confidence: .991, Quad: box4(60, 40, 80, 20)},
			ekyc.CardNumber: {Value: "830000199001019906", Confidence: .4, Doubtful: true, Quad: box4(120, 170, 160, 20)},
			ekyc.CardGender: {},
		},
		Flags: []ekyc.CardFlag{ekyc.CardNumberWrong, ekyc.CardCopy},
	},
	ekyc.CardBack: {
		Side: ekyc.CardBack, Status: ekyc.CardReadable,
		Words: map[ekyc.CardField]ekyc.CardWord{ekyc.CardExpires: {Value: "20261120", Confidence: 1}},
	},
}

// The table names every field that was read, in the document's order, with its doubt.
func TestIDCardTable(t *testing.T) {
	t.Parallel()
	draw := filepath.Join(t.TempDir(), "both.png")
	out, err := read(t, document, draw, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"normal, residence permit, front; 300 px wide, sharpness 0.50, 0.25 s\n",
		"  name            0.991  样本人\n", "  id_card_number  0.400  830000199001019906  doubtful\n", "(nothing read)",
		"  flags: number_wrong, copy\n", "normal, resident identity card, back;", "  expired: it is no longer valid\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the table does not say %q:\n%s", want, out)
		}
	}
	f, err := os.Open(draw)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	im, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(im.At(x, y)).(color.RGBA) }
	if im.Bounds().Dx() != 800 || at(170, 20).G != 200 || at(100, 40).B != 255 || at(200, 170).R != 255 || at(600, 150) != (color.RGBA{128, 128, 128, 255}) {
		t.Errorf("the drawing is %v: corner %v, field %v, doubtful field %v; want green, blue and orange lines on grey", im.Bounds(), at(170, 20), at(100, 40), at(200, 170))
	}
}

// The JSON names fields as truth.json does.
func TestIDCardJSON(t *testing.T) {
	t.Parallel()
	out, err := read(t, document, "", true)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]struct {
		Asked, Side, Type, Status string
		Words                     map[string]cardWord
		Flags                     []string
		Expired                   *bool
		Quad                      [4][2]float64
		Seconds                   float64
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	front, back := got["front"], got["back"]
	if w := front.Words["id_card_number"]; front.Type != "permit" || front.Status != "normal" || !w.Doubtful || w.Confidence != .4 || len(front.Words) != 3 {
		t.Errorf("got the front %+v, want a permit with three words and a doubtful number", front)
	}
	if front.Quad[2] != [2]float64{320, 210} || front.Seconds != .25 || len(front.Flags) != 2 {
		t.Errorf("got the corners %v, %v s, flags %v", front.Quad, front.Seconds, front.Flags)
	}
	if front.Expired != nil || back.Expired == nil || !*back.Expired || back.Flags == nil {
		t.Errorf("expired: got %v and %v, want it told of the back only, where it is read; flags %v", front.Expired, back.Expired, back.Flags)
	}
}

// Both files' trouble is told at once, by file.
func TestIDCardErrors(t *testing.T) {
	t.Parallel()
	_, err := read(t, readings{}, "", false)
	if err == nil || !strings.Contains(err.Error(), "front.png: image_damaged") || !strings.Contains(err.Error(), "back.png: image_damaged") {
		t.Errorf("got %v, want what is wrong with both files", err)
	}
}
