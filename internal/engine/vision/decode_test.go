package vision_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/engine/vision"
)

// quarters is a w by h picture of four colours: red and green above, blue and white below.
func quarters(w, h int) *image.NRGBA {
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{A: 255}
			switch {
			case x < w/2 && y < h/2:
				c.R = 255
			case y < h/2:
				c.G = 255
			case x < w/2:
				c.B = 255
			default:
				c.R, c.G, c.B = 255, 255, 255
			}
			im.SetNRGBA(x, y, c)
		}
	}
	return im
}

func jpegOf(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, im image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tiff is an EXIF body with nothing but an orientation.
func tiff(order binary.AppendByteOrder, o uint16) []byte {
	b := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, 0x0112)
	b = order.AppendUint16(b, 3)
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, o)
	return append(b, 0, 0, 0, 0, 0, 0)
}

// withEXIF puts an orientation after a JPEG's first marker.
func withEXIF(jpg []byte, order binary.AppendByteOrder, o uint16) []byte {
	body := append([]byte("Exif\x00\x00"), tiff(order, o)...)
	seg := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(body)+2))
	return append(append(append([]byte{}, jpg[:2]...), append(seg, body...)...), jpg[2:]...)
}

func chunk(kind string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// afterIHDR puts a chunk behind a PNG's header.
func afterIHDR(p, c []byte) []byte { return bytes.Join([][]byte{p[:33], c, p[33:]}, nil) }

func riff(chunks ...[]byte) []byte {
	body := append([]byte("WEBP"), bytes.Join(chunks, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func riffChunk(kind string, body []byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body))), body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// vp8x is an extended WebP's header chunk.
func vp8x(flags byte, w, h int) []byte {
	w, h = w-1, h-1
	return riffChunk("VP8X", []byte{flags, 0, 0, 0, byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)})
}

// webp64 is a lossless 64x48 picture: left half red, right half blue.
var webp64 = func() []byte {
	b, err := base64.StdEncoding.DecodeString(webp64Base64)
	if err != nil {
		panic(err)
	}
	return b
}()

func gifOf(t testing.TB, frames int) []byte {
	t.Helper()
	g := &gif.GIF{}
	for range frames {
		g.Image = append(g.Image, image.NewPaletted(image.Rect(0, 0, 64, 64), palette.Plan9))
		g.Delay = append(g.Delay, 1)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// at is the colour of a decoded picture at a share of its width and height.
func at(im *vision.Image, x, y float64) string {
	i := (int(y*float64(im.H))*im.W + int(x*float64(im.W))) * 3
	name := map[[3]bool]string{{true, false, false}: "red", {false, true, false}: "green", {false, false, true}: "blue", {true, true, true}: "white", {}: "black"}
	return name[[3]bool{im.Pix[i] > 127, im.Pix[i+1] > 127, im.Pix[i+2] > 127}]
}

// corners are the colours top left, top right, bottom left, bottom right.
func corners(im *vision.Image) string {
	return strings.Join([]string{at(im, .2, .2), at(im, .8, .2), at(im, .2, .8), at(im, .8, .8)}, " ")
}

func TestDecodeReadsWhatItShould(t *testing.T) {
	t.Parallel()
	const plain = "red green blue white"
	src := quarters(128, 96)
	grey := image.NewGray(image.Rect(0, 0, 64, 64))
	clear := image.NewNRGBA(image.Rect(0, 0, 64, 64)) // transparent throughout
	deep := image.NewNRGBA64(image.Rect(0, 0, 64, 64))
	for i := range deep.Pix {
		deep.Pix[i] = 255
	}
	for name, c := range map[string]struct {
		data []byte
		want string
		w, h int
	}{
		"JPEG":                         {jpegOf(t, src), plain, 128, 96},
		"grey JPEG":                    {jpegOf(t, grey), "black black black black", 64, 64},
		"PNG":                          {pngOf(t, src), plain, 128, 96},
		"PNG with orientation 6":       {afterIHDR(pngOf(t, src), chunk("eXIf", tiff(binary.BigEndian, 6))), "blue red white green", 96, 128},
		"transparent PNG":              {pngOf(t, clear), "white white white white", 64, 64},
		"16-bit PNG":                   {pngOf(t, deep), "white white white white", 64, 64},
		"APNG of one frame":            {afterIHDR(pngOf(t, src), chunk("acTL", []byte{0, 0, 0, 1, 0, 0, 0, 0})), plain, 128, 96},
		"WebP":                         {webp64, "red blue red blue", 64, 48},
		"extended WebP, orientation 3": {riff(vp8x(8, 64, 48), webp64[12:], riffChunk("EXIF", tiff(binary.LittleEndian, 3))), "blue red blue red", 64, 48},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im, err := vision.Decode(c.data, vision.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Release()
			if got := corners(im); got != c.want || im.FullW != c.w || im.FullH != c.h {
				t.Errorf("got %q, %d x %d; want %q, %d x %d", got, im.FullW, im.FullH, c.want, c.w, c.h)
			}
		})
	}
}

func TestDecodeTurnsUpright(t *testing.T) {
	t.Parallel()
	src := jpegOf(t, quarters(128, 96))
	// Exif 2.3, tag 0x0112: where row 0 and column 0 of the file are seen.
	want := map[uint16]string{
		1: "red green blue white", 2: "green red white blue", 3: "white blue green red", 4: "blue white red green",
		5: "red blue green white", 6: "blue red white green", 7: "white green blue red", 8: "green white red blue",
		0: "red green blue white", 9: "red green blue white", // no orientations
	}
	for o, want := range want {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			im, err := vision.Decode(withEXIF(src, order, o), vision.DefaultLimits)
			if err != nil {
				t.Fatalf("orientation %d: %v", o, err)
			}
			if got := corners(im); got != want {
				t.Errorf("orientation %d (%v): got %q, want %q", o, order, got, want)
			}
			if turned := o >= 5 && o <= 8; turned != (im.H == 128) {
				t.Errorf("orientation %d: got %d x %d", o, im.W, im.H)
			}
			im.Release()
		}
	}
}

func TestDecodeShrinksLargeImages(t *testing.T) {
	t.Parallel()
	src := quarters(2400, 1800)
	for _, data := range [][]byte{jpegOf(t, src), pngOf(t, src)} {
		im, err := vision.Decode(data, vision.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		if im.W > vision.DefaultLimits.Side || im.FullW != 2400 || im.FullH != 1800 || corners(im) != "red green blue white" {
			t.Errorf("got %d x %d for %d x %d, %s", im.W, im.H, im.FullW, im.FullH, corners(im))
		}
		if x, y := im.Scale(); x < 1.25 || y < 1.25 {
			t.Errorf("got scale %v, %v, want more than 2400/1920", x, y)
		}
		im.Release()
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	src := quarters(128, 96)
	jpg, pic := jpegOf(t, src), pngOf(t, src)
	// A header that promises 30000 x 30000 and little behind it.
	bomb := append([]byte{}, pic...)
	binary.BigEndian.PutUint32(bomb[16:], 30000)
	binary.BigEndian.PutUint32(bomb[20:], 30000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	bigJPEG := append([]byte{}, jpg...)
	sof := bytes.Index(bigJPEG, []byte{0xFF, 0xC0})
	binary.BigEndian.PutUint16(bigJPEG[sof+5:], 60000)
	binary.BigEndian.PutUint16(bigJPEG[sof+7:], 60000)
	// Progressive images are held whole, so 5000 x 4000 is too much for them.
	progressive := append([]byte{}, jpg...)
	progressive[sof+1] = 0xC2
	binary.BigEndian.PutUint16(progressive[sof+5:], 4000)
	binary.BigEndian.PutUint16(progressive[sof+7:], 5000)
	fourChannels := bytes.Replace(jpg, jpg[sof:sof+19], append(append([]byte{0xFF, 0xC0, 0, 20}, jpg[sof+4:sof+9]...), 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0), 1)
	deep := pngOf(t, image.NewNRGBA64(image.Rect(0, 0, 64, 64)))
	binary.BigEndian.PutUint32(deep[16:], 3500)
	binary.BigEndian.PutUint32(deep[20:], 2000)
	flipped := append([]byte{}, pic...)
	flipped[len(flipped)/2] ^= 0x55
	hugeWebP := riff(vp8x(0, 16000, 16000), webp64[12:])
	for name, c := range map[string]struct {
		data []byte
		want ekyc.Code
		says string
	}{
		"nothing":                     {nil, ekyc.ImageEmpty, "no bytes"},
		"11 MB":                       {make([]byte, 11<<20), ekyc.ImageTooLarge, "10485760"},
		"text":                        {[]byte("<html>no picture</html>"), ekyc.ImageFormat, "JPEG, PNG or WebP"},
		"three bytes":                 {[]byte{0xFF, 0xD8, 0xFF}, ekyc.ImageDamaged, "JPEG"},
		"a PDF":                       {[]byte("%PDF-1.7 and more"), ekyc.ImageFormat, ""},
		"a BMP":                       {append([]byte("BM"), make([]byte, 100)...), ekyc.ImageFormat, ""},
		"HEIC":                        {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), ekyc.ImageHEIC, "HEIC"},
		"AVIF":                        {[]byte("\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1miaf"), ekyc.ImageHEIC, "AVIF"},
		"an MP4 video":                {[]byte("\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42"), ekyc.ImageFormat, ""},
		"a GIF":                       {gifOf(t, 1), ekyc.ImageFormat, "GIF"},
		"an animated GIF":             {gifOf(t, 3), ekyc.ImageAnimated, "animated"},
		"an animated PNG":             {afterIHDR(pic, chunk("acTL", []byte{0, 0, 0, 2, 0, 0, 0, 0})), ekyc.ImageAnimated, "animated"},
		"an animated WebP":            {riff(vp8x(2, 64, 48), riffChunk("ANIM", make([]byte, 6))), ekyc.ImageAnimated, "animated"},
		"a pixel bomb (PNG)":          {bomb, ekyc.ImagePixels, "30000 x 30000"},
		"a pixel bomb (JPEG)":         {bigJPEG, ekyc.ImagePixels, "60000 x 60000"},
		"a large progressive JPEG":    {progressive, ekyc.ImagePixels, "several scans"},
		"a large 16-bit PNG":          {deep, ekyc.ImagePixels, "6.5 megapixels"},
		"a WebP with a false canvas":  {hugeWebP, ekyc.ImageDamaged, "canvas"},
		"a CMYK JPEG":                 {fourChannels, ekyc.ImageFormat, "4 colour channels"},
		"a tiny image":                {pngOf(t, quarters(20, 20)), ekyc.ImagePixels, "at least 48"},
		"a narrow image":              {jpegOf(t, quarters(2000, 20)), ekyc.ImagePixels, "at least 48"},
		"half a JPEG":                 {jpg[:len(jpg)/2], ekyc.ImageDamaged, "truncated"},
		"a JPEG without its end":      {jpg[:len(jpg)-2], ekyc.ImageDamaged, "truncated"},
		"half a PNG":                  {pic[:len(pic)/2], ekyc.ImageDamaged, "truncated"},
		"a PNG with a flipped byte":   {flipped, ekyc.ImageDamaged, "PNG"},
		"half a WebP":                 {webp64[:len(webp64)/2], ekyc.ImageDamaged, "WebP"},
		"a JPEG header with no scans": {jpg[:sof+19], ekyc.ImageDamaged, "scan"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im, err := vision.Decode(c.data, vision.DefaultLimits)
			if got := ekyc.CodeOf(err); got != c.want || !strings.Contains(ekyc.DetailOf(err), c.says) {
				t.Errorf("got %q (%v), want %q and %q", got, err, c.want, c.says)
			}
			if im != nil {
				t.Error("an image came with the error")
			}
		})
	}
}

// A refusal by header must not allocate what the header promises.
func TestBombsCostNoMemory(t *testing.T) {
	bomb := pngOf(t, quarters(64, 64))
	binary.BigEndian.PutUint32(bomb[16:], 1<<29)
	binary.BigEndian.PutUint32(bomb[20:], 1<<29)
	bytesPerRun := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := vision.Decode(bomb, vision.DefaultLimits); ekyc.CodeOf(err) != ekyc.ImagePixels {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if bytesPerRun > 4096 {
		t.Errorf("refusing a bomb allocates %d bytes, want at most 4096", bytesPerRun)
	}
}

func FuzzDecode(f *testing.F) {
	src := quarters(64, 48)
	for _, seed := range [][]byte{
		jpegOf(f, src), withEXIF(jpegOf(f, src), binary.LittleEndian, 6), pngOf(f, src), webp64, gifOf(f, 2),
		riff(vp8x(8, 64, 48), webp64[12:], riffChunk("EXIF", tiff(binary.LittleEndian, 3))), []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"),
	} {
		f.Add(seed)
	}
	limits := vision.DefaultLimits
	limits.MaxPixels, limits.MaxPixelsWhole, limits.Side = 1<<20, 1<<20, 256
	codes := map[ekyc.Code]bool{
		ekyc.ImageEmpty: true, ekyc.ImageTooLarge: true, ekyc.ImagePixels: true, ekyc.ImageFormat: true,
		ekyc.ImageHEIC: true, ekyc.ImageAnimated: true, ekyc.ImageDamaged: true,
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		im, err := vision.Decode(data, limits)
		if err != nil {
			if !codes[ekyc.CodeOf(err)] {
				t.Fatalf("got code %q: %v", ekyc.CodeOf(err), err)
			}
			return
		}
		if im.W < 1 || im.H < 1 || len(im.Pix) != im.W*im.H*3 || max(im.W, im.H) > 8*limits.Side || im.FullW*im.FullH > limits.MaxPixels {
			t.Fatalf("got %d x %d (%d x %d), %d bytes", im.W, im.H, im.FullW, im.FullH, len(im.Pix))
		}
		im.Release()
	})
}
