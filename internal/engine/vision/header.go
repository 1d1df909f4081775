package vision

import (
	"bytes"
	"encoding/binary"

	"shiren/internal/ekyc"
)

const (
	formatJPEG = "JPEG"
	formatPNG  = "PNG"
	formatWebP = "WebP"
	formatGIF  = "GIF"
)

// header is what is known of an image before its pixels are decoded.
type header struct {
	format      string
	w, h        int
	whole       bool // must be held whole to be decoded
	deep        bool // 16 bits a channel, twice the memory
	frames      int
	scans       int // JPEG
	channels    int // JPEG
	orientation int // EXIF, 1 to 8; 0 when absent
}

func (h header) kind() string {
	if h.format == formatJPEG && h.whole {
		return "JPEG in several scans"
	}
	if h.deep {
		return "16-bit PNG"
	}
	return h.format
}

func damaged(format, what string) error {
	return ekyc.Errorf(ekyc.ImageDamaged, "the %s is truncated or corrupt: %s", format, what)
}

// readHeader tells formats apart by their first bytes. It reads nothing but lengths
// and a few fields, all checked against the data.
func readHeader(data []byte) (header, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xD8, 0xFF}):
		return jpegHeader(data)
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return pngHeader(data)
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return webpHeader(data)
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		if gifFrames(data) > 1 {
			return header{}, ekyc.Errorf(ekyc.ImageAnimated, "the GIF is animated; send one still JPEG, PNG or WebP image")
		}
		return header{}, ekyc.Errorf(ekyc.ImageFormat, "GIF is not read; send JPEG, PNG or WebP")
	case isHEIF(data):
		return header{}, ekyc.Errorf(ekyc.ImageHEIC, "HEIC and AVIF are not read; send JPEG, PNG or WebP")
	}
	return header{}, ekyc.Errorf(ekyc.ImageFormat, "the bytes are not a JPEG, PNG or WebP image")
}

// isHEIF recognises the brands of ISO/IEC 23008-12 files (HEIC) and AVIF.
func isHEIF(data []byte) bool {
	if len(data) < 16 || string(data[4:8]) != "ftyp" {
		return false
	}
	end := min(len(data), int(min(binary.BigEndian.Uint32(data), 256)))
	for i := 8; i+4 <= end; i += 4 {
		switch string(data[i : i+4]) {
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis":
			return true
		}
	}
	return false
}

// jpegHeader walks the markers up to the first scan (ITU-T T.81, annex B).
func jpegHeader(data []byte) (header, error) {
	h := header{format: formatJPEG, frames: 1}
	for at := 2; ; {
		if at+4 > len(data) {
			return h, damaged(h.format, "it ends before its first scan")
		}
		if data[at] != 0xFF {
			return h, damaged(h.format, "a marker is missing")
		}
		marker := data[at+1]
		if marker == 0xFF { // fill byte
			at++
			continue
		}
		at += 2
		if marker == 0x01 || marker >= 0xD0 && marker <= 0xD9 {
			return h, damaged(h.format, "a marker is out of place")
		}
		n := int(binary.BigEndian.Uint16(data[at:]))
		if n < 2 || at+n > len(data) {
			return h, damaged(h.format, "a segment ends after the data")
		}
		body := data[at+2 : at+n]
		at += n
		switch {
		case marker == 0xE1 && h.orientation == 0 && bytes.HasPrefix(body, []byte("Exif\x00\x00")):
			h.orientation = exifOrientation(body[6:])
		case marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC: // frame
			if len(body) < 6 {
				return h, damaged(h.format, "its frame header is short")
			}
			if h.channels != 0 {
				return h, damaged(h.format, "it has two frame headers")
			}
			h.h, h.w = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
			h.channels = int(body[5])
			h.whole = marker != 0xC0 && marker != 0xC1
		case marker == 0xDA: // scan
			if h.channels == 0 || len(body) < 1 {
				return h, damaged(h.format, "it has no frame header")
			}
			h.whole = h.whole || int(body[0]) < h.channels
			// A marker's bytes cannot occur in coded data, where 00 follows each FF.
			h.scans = 1 + bytes.Count(data[at:], []byte{0xFF, 0xDA})
			if !h.whole {
				h.scans = 1 // what follows the only scan is not decoded
			}
			return h, nil
		}
	}
}

// exifOrientation reads tag 0x0112 of a TIFF structure's first directory; 0 when it is
// absent or cannot be read.
func exifOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(tiff[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	count := int(order.Uint16(tiff[at:]))
	entries := tiff[at+2:]
	for i := 0; i < count && (i+1)*12 <= len(entries); i++ {
		e := entries[i*12 : (i+1)*12]
		if order.Uint16(e) != 0x0112 {
			continue
		}
		if v := order.Uint16(e[8:]); order.Uint16(e[2:]) == 3 && order.Uint32(e[4:]) == 1 && v >= 1 && v <= 8 {
			return int(v)
		}
		return 0
	}
	return 0
}

// pngHeader walks all chunks (ISO/IEC 15948; acTL and eXIf of its third edition).
func pngHeader(data []byte) (header, error) {
	h := header{format: formatPNG, whole: true, frames: 1}
	for at := 8; at+8 <= len(data); {
		n, kind := uint64(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
		if uint64(at)+12+n > uint64(len(data)) {
			return h, damaged(h.format, "a chunk ends after the data")
		}
		body := data[at+8 : at+8+int(n)]
		at += 12 + int(n)
		switch kind {
		case "IHDR":
			if len(body) < 13 || h.w != 0 {
				return h, damaged(h.format, "its header is wrong")
			}
			w, ht := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
			if w == 0 || ht == 0 || w > 1<<30 || ht > 1<<30 {
				return h, damaged(h.format, "its header has an impossible size")
			}
			h.w, h.h, h.deep = int(w), int(ht), body[8] > 8
		case "acTL":
			if len(body) >= 4 && binary.BigEndian.Uint32(body) > 1 {
				h.frames = 2
			}
		case "eXIf":
			h.orientation = exifOrientation(body)
		case "IEND":
			if h.w == 0 {
				return h, damaged(h.format, "it has no header")
			}
			return h, nil
		}
	}
	return h, damaged(h.format, "its end is missing")
}

// webpHeader walks the RIFF chunks (RFC 9649).
func webpHeader(data []byte) (header, error) {
	h := header{format: formatWebP, whole: true, frames: 1}
	size := uint64(binary.LittleEndian.Uint32(data[4:])) + 8
	if size > uint64(len(data)) {
		return h, damaged(h.format, "it is shorter than its header says")
	}
	canvasW, canvasH := 0, 0
	for rest := data[12:size]; len(rest) >= 8; {
		n, kind := uint64(binary.LittleEndian.Uint32(rest[4:])), string(rest[:4])
		if n > uint64(len(rest)-8) {
			return h, damaged(h.format, "a chunk ends after the data")
		}
		body := rest[8 : 8+n]
		rest = rest[min(uint64(len(rest)), 8+n+n&1):]
		switch kind {
		case "VP8X":
			if len(body) < 10 {
				return h, damaged(h.format, "its header is short")
			}
			if body[0]&2 != 0 {
				h.frames = 2
			}
			canvasW = 1 + int(body[4]) + int(body[5])<<8 + int(body[6])<<16
			canvasH = 1 + int(body[7]) + int(body[8])<<8 + int(body[9])<<16
		case "ANMF":
			h.frames = 2
		case "VP8 ":
			if len(body) < 10 || h.w != 0 {
				return h, damaged(h.format, "its frame header is wrong")
			}
			h.w, h.h = int(binary.LittleEndian.Uint16(body[6:])&0x3FFF), int(binary.LittleEndian.Uint16(body[8:])&0x3FFF)
		case "VP8L":
			if len(body) < 5 || h.w != 0 {
				return h, damaged(h.format, "its frame header is wrong")
			}
			bits := binary.LittleEndian.Uint32(body[1:])
			h.w, h.h = int(bits&0x3FFF)+1, int(bits>>14&0x3FFF)+1
		case "EXIF":
			h.orientation = exifOrientation(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		}
	}
	switch {
	case h.frames > 1:
		h.w, h.h = canvasW, canvasH
	case h.w == 0:
		return h, damaged(h.format, "it holds no frame")
	case canvasW != 0 && (canvasW != h.w || canvasH != h.h):
		return h, damaged(h.format, "its frame and canvas differ in size")
	}
	return h, nil
}

// gifFrames counts a GIF's frames, up to two.
func gifFrames(data []byte) int {
	if len(data) < 13 {
		return 0
	}
	at := 13
	if f := data[10]; f&0x80 != 0 {
		at += 3 << (f&7 + 1)
	}
	skip := func() { // sub-blocks
		for at < len(data) && data[at] != 0 {
			at += 1 + int(data[at])
		}
		at++
	}
	frames := 0
	for at < len(data) && frames < 2 {
		switch data[at] {
		case 0x21:
			at += 2
			skip()
		case 0x2C:
			frames++
			if at+9 >= len(data) {
				return frames
			}
			f := data[at+9]
			at += 10
			if f&0x80 != 0 {
				at += 3 << (f&7 + 1)
			}
			at++ // code size
			skip()
		default:
			return frames
		}
	}
	return frames
}
