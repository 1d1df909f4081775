package engine

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

func TestMiniatureIsTheMeanLumaOfItsFields(t *testing.T) {
	t.Parallel()
	// Fields of 10 x 8 pixels: each has its own grey, and a pixel of noise that a mean evens out.
	im := image.NewGray(image.Rect(0, 0, 320, 256))
	grey := func(i, j int) uint8 { return uint8(20 + 3*i + 4*j) }
	for y := range 256 {
		for x := range 320 {
			im.SetGray(x, y, color.Gray{Y: grey(x/10, y/8) + uint8((x+y)%2)*2})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	e := &Engine{turns: make(chan struct{}, 1), limits: vision.DefaultLimits}
	m, err := e.Miniature(t.Context(), b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for j := range ekyc.MiniatureSide {
		for i := range ekyc.MiniatureSide {
			if got, want := int(m[j*ekyc.MiniatureSide+i]), int(grey(i, j))+1; got < want-1 || got > want+1 {
				t.Fatalf("field %d, %d: got %d, want %d", i, j, got, want)
			}
		}
	}
	if _, err := e.Miniature(t.Context(), []byte("no image")); ekyc.CodeOf(err) != ekyc.ImageFormat {
		t.Errorf("no image: got %v, want image_format", err)
	}
	e.turns <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Miniature(ctx, b.Bytes()); ekyc.CodeOf(err) != ekyc.Busy {
		t.Errorf("no turn: got %v, want busy", err)
	}
}
