package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math/rand/v2"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"shiren/internal/ekyc"
)

// keep draws a picture, seals it and stores it as evidence of the session.
func (s *story) keep(ctx context.Context, kind ekyc.EvidenceKind, attempt, index int, until time.Time) (ekyc.Evidence, error) {
	data, err := sketch(s.r, kind)
	if err != nil {
		return ekyc.Evidence{}, err
	}
	name := ref(s.ses.Token, fmt.Sprint(kind, attempt, index))
	sealed, err := s.c.Sealer.Seal(s.ses.Key, data, []byte(name))
	if err != nil {
		return ekyc.Evidence{}, err
	}
	if err := s.c.Blobs.Put(ctx, name, sealed); err != nil {
		return ekyc.Evidence{}, err
	}
	sum := sha256.Sum256(data)
	return ekyc.Evidence{Ref: name, Kind: kind, Attempt: attempt, Type: "image/jpeg", Size: len(data), SHA256: hex.EncodeToString(sum[:]), Until: until}, nil
}

// portraits keeps the pictures of an attempt.
func (s *story) portraits(ctx context.Context, f *ekyc.Findings, ordinal int) error {
	kinds := []ekyc.EvidenceKind{ekyc.EvidenceFace}
	if s.ses.Plan.KeepMedia {
		kinds = append(kinds, ekyc.EvidenceFrame)
	}
	for i, kind := range kinds {
		until := s.at.Add(ekyc.ResultKept)
		if kind == ekyc.EvidenceFrame {
			until = s.at.Add(ekyc.MediaKept)
		}
		e, err := s.keep(ctx, kind, ordinal, i, until)
		if err != nil {
			return err
		}
		f.Evidence = append(f.Evidence, e)
	}
	return nil
}

// sketch draws what a picture of its kind would show, as a child would, and writes SPECIMEN on it.
func sketch(r *rand.Rand, kind ekyc.EvidenceKind) ([]byte, error) {
	w, h := 180, 220
	if kind == ekyc.EvidenceCardFront || kind == ekyc.EvidenceCardBack {
		w, h = 320, 202
	}
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	tint := uint8(190 + r.IntN(40))
	draw.Draw(m, m.Bounds(), image.NewUniform(color.RGBA{tint, 215, 235, 255}), image.Point{}, draw.Src)
	ink := color.RGBA{70, 70, 80, 255}
	switch kind {
	case ekyc.EvidenceCardFront:
		head(m, 258, 92, 34)
		for i := range 5 {
			fill(m, image.Rect(24, 34+28*i, 120+r.IntN(90), 40+28*i), ink)
		}
	case ekyc.EvidenceCardBack:
		oval(m, 60, 70, 34, 34, color.RGBA{200, 60, 60, 255})
		for i := range 2 {
			fill(m, image.Rect(110, 140+26*i, 290, 146+26*i), ink)
		}
	default:
		head(m, w/2+r.IntN(9)-4, h/2-6, 58)
	}
	d := font.Drawer{Dst: m, Src: image.NewUniform(color.RGBA{190, 20, 20, 255}), Face: basicfont.Face7x13, Dot: fixed.P(8, h-8)}
	d.DrawString("SPECIMEN demo data")
	var b bytes.Buffer
	err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 80})
	return b.Bytes(), err
}

// head draws a face of strokes.
func head(m *image.RGBA, x, y, size int) {
	oval(m, x, y, size*3/4, size, color.RGBA{245, 222, 200, 255})
	ink := color.RGBA{70, 70, 80, 255}
	oval(m, x-size/4, y-size/6, size/10, size/12, ink)
	oval(m, x+size/4, y-size/6, size/10, size/12, ink)
	fill(m, image.Rect(x-size/4, y+size*2/5, x+size/4, y+size*2/5+max(2, size/16)), ink)
}

func fill(m *image.RGBA, r image.Rectangle, c color.Color) {
	draw.Draw(m, r, image.NewUniform(c), image.Point{}, draw.Src)
}

func oval(m *image.RGBA, cx, cy, rx, ry int, c color.RGBA) {
	for y := -ry; y <= ry; y++ {
		for x := -rx; x <= rx; x++ {
			if x*x*ry*ry+y*y*rx*rx <= rx*rx*ry*ry {
				m.SetRGBA(cx+x, cy+y, c)
			}
		}
	}
}
