package vision

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"golang.org/x/image/webp"

	"shiren/internal/ekyc"
)

// Limits bound what Decode accepts and how large it decodes.
type Limits struct {
	// MaxBytes bounds the file.
	MaxBytes int
	// MaxPixels bounds width times height of a JPEG in one scan, which is decoded row
	// by row at a smaller scale, so that memory follows Side and not its size.
	MaxPixels int
	// MaxPixelsWhole bounds those that must be held whole to be decoded: PNG, WebP and
	// JPEG in several scans (progressive). A 16-bit PNG may have half of it.
	MaxPixelsWhole int
	// MinSide bounds width and height from below.
	MinSide int
	// Side is the longest side that analysis needs: larger images are decoded smaller
	// where their format allows it, and shrunk otherwise.
	Side int
}

// DefaultLimits are our choice. 10 MiB is the vendors' own largest image. 50 megapixels
// take every phone's camera; 13 megapixels (4032x3024) held whole are at most 78 MB
// (progressive JPEG at 4:4:4). 48 pixels: smaller than half of the embedding network's input is no
// face. 1920: a full HD frame is read as it is, and a 12 megapixel photo at 3/8.
var DefaultLimits = Limits{MaxBytes: 10 << 20, MaxPixels: 50_000_000, MaxPixelsWhole: 13_000_000, MinSide: 48, Side: 1920}

// maxScans bounds a JPEG's scans; encoders write about ten. Each costs a pass over the
// whole image. Our choice.
const maxScans = 64

// Decode reads one still image: JPEG, PNG or WebP, its EXIF orientation applied,
// transparency laid over white. The header is judged before pixels are decoded. A
// decoder's warning counts as damage. Errors carry the ekyc.Image codes.
//
// The result's pixels come from a pool: Release them.
func Decode(data []byte, l Limits) (*Image, error) {
	if len(data) == 0 {
		return nil, ekyc.Errorf(ekyc.ImageEmpty, "the image has no bytes")
	}
	if len(data) > l.MaxBytes {
		return nil, ekyc.Errorf(ekyc.ImageTooLarge, "the image has %d bytes; at most %d are read", len(data), l.MaxBytes)
	}
	h, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	if err := h.judge(l); err != nil {
		return nil, err
	}
	var im *Image
	switch h.format {
	case formatJPEG:
		im, err = decodeJPEG(data, h, l.Side)
	case formatPNG:
		im, err = decodeWhole(data, h, l.Side, png.Decode)
	default:
		im, err = decodeWhole(data, h, l.Side, webp.Decode)
	}
	if err != nil {
		return nil, err
	}
	im.FullW, im.FullH = h.w, h.h
	return im.upright(h.orientation), nil
}

func (h header) judge(l Limits) error {
	if h.frames > 1 {
		return ekyc.Errorf(ekyc.ImageAnimated, "the %s is animated; send one still image", h.format)
	}
	most := l.MaxPixels
	if h.whole {
		most = l.MaxPixelsWhole
	}
	if h.deep {
		most /= 2
	}
	switch {
	case h.w <= 0 || h.h <= 0:
		return ekyc.Errorf(ekyc.ImageDamaged, "the %s has a header without a size", h.format)
	case h.w > most/h.h: // w*h > most, without overflow
		return ekyc.Errorf(ekyc.ImagePixels, "the %s has %d x %d pixels; at most %.1f megapixels are read", h.kind(), h.w, h.h, float64(most)/1e6)
	case h.w < l.MinSide || h.h < l.MinSide:
		return ekyc.Errorf(ekyc.ImagePixels, "the %s has %d x %d pixels; each side must have at least %d", h.kind(), h.w, h.h, l.MinSide)
	case h.scans > maxScans:
		return ekyc.Errorf(ekyc.ImageFormat, "the JPEG has %d scans; at most %d are read", h.scans, maxScans)
	case h.format == formatJPEG && h.channels != 1 && h.channels != 3:
		return ekyc.Errorf(ekyc.ImageFormat, "the JPEG has %d colour channels; send RGB or grey", h.channels)
	}
	return nil
}

// decodeWhole decodes through a standard decoder and averages blocks of pixels where
// the image is larger than side.
func decodeWhole(data []byte, h header, side int, decode func(io.Reader) (image.Image, error)) (*Image, error) {
	src, err := decode(bytes.NewReader(data))
	if err != nil {
		return nil, &ekyc.Error{Code: ekyc.ImageDamaged, Detail: "the " + h.format + " is truncated or corrupt", Err: err}
	}
	b := src.Bounds()
	if b.Dx() != h.w || b.Dy() != h.h {
		return nil, ekyc.Errorf(ekyc.ImageDamaged, "the %s holds an image of another size than its header says", h.format)
	}
	k := max(1, (max(h.w, h.h)+side-1)/side)
	im := NewImage((h.w+k-1)/k, (h.h+k-1)/k)
	strip := image.NewRGBA(image.Rect(0, 0, h.w, k))
	white := image.NewUniform(color.White)
	opaque := false
	if o, ok := src.(interface{ Opaque() bool }); ok {
		opaque = o.Opaque()
	}
	for v := range im.H {
		rows := min(k, h.h-v*k)
		area, from := image.Rect(0, 0, h.w, rows), b.Min.Add(image.Pt(0, v*k))
		if opaque {
			draw.Draw(strip, area, src, from, draw.Src)
		} else {
			draw.Draw(strip, area, white, image.Point{}, draw.Src)
			draw.Draw(strip, area, src, from, draw.Over)
		}
		out := im.Pix[v*im.W*3 : (v+1)*im.W*3]
		for u := range im.W {
			columns := min(k, h.w-u*k)
			var sum [3]uint32
			for y := range rows {
				p := strip.Pix[y*strip.Stride+u*k*4:]
				for x := range columns {
					sum[0] += uint32(p[x*4])
					sum[1] += uint32(p[x*4+1])
					sum[2] += uint32(p[x*4+2])
				}
			}
			n := uint32(rows * columns)
			for c := range sum {
				out[u*3+c] = byte((sum[c] + n/2) / n)
			}
		}
	}
	return im, nil
}

// upright applies an EXIF orientation, 1 to 8.
func (im *Image) upright(o int) *Image {
	if o <= 1 || o > 8 {
		return im
	}
	w, h := im.W, im.H
	fw, fh := im.FullW, im.FullH
	if o >= 5 {
		w, h, fw, fh = h, w, fh, fw
	}
	out := NewImage(w, h)
	out.FullW, out.FullH = fw, fh
	// where the pixel right of and below the first one lies in im
	stride := im.W * 3
	first, right, down := 0, 3, stride
	switch o {
	case 2:
		first, right, down = stride-3, -3, stride
	case 3:
		first, right, down = stride*im.H-3, -3, -stride
	case 4:
		first, right, down = stride*(im.H-1), 3, -stride
	case 5:
		first, right, down = 0, stride, 3
	case 6:
		first, right, down = stride*(im.H-1), -stride, 3
	case 7:
		first, right, down = stride*im.H-3, -stride, -3
	case 8:
		first, right, down = stride-3, stride, -3
	}
	i := 0
	for y := range h {
		at := first + y*down
		for range w {
			copy(out.Pix[i:i+3], im.Pix[at:at+3])
			i += 3
			at += right
		}
	}
	im.Release()
	return out
}
