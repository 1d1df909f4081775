package cards

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Typeface is what documents are set in.
type Typeface string

// Printers' types differ and none of them can be had freely: one of these is kin to the glyphs that
// the reader compares rare characters with, the others are not.
const (
	Noto     Typeface = "noto"     // Noto Sans CJK, a Hei; titles in Noto Serif CJK
	OCRB     Typeface = "ocrb"     // Noto, with the number in OCR-B (ISO 1073-2)
	ZenHei   Typeface = "zenhei"   // WenQuanYi Zen Hei, a Hei
	MicroHei Typeface = "microhei" // WenQuanYi Micro Hei, a Hei
	UMing    Typeface = "uming"    // AR PL UMing, a Song
	UKai     Typeface = "ukai"     // AR PL UKai, a Kai
)

// Typefaces are all that documents can be set in, the default first.
var Typefaces = []Typeface{Noto, OCRB, ZenHei, MicroHei, UMing, UKai}

// fontOf names a font: its family and style as fontconfig knows them, and its file's name.
type fontOf struct{ family, style, file string }

var (
	notoHei  = fontOf{"Noto Sans CJK SC", "Regular", "NotoSansCJK-Regular.ttc"}
	notoBold = fontOf{"Noto Sans CJK SC", "Bold", "NotoSansCJK-Bold.ttc"}
	notoMono = fontOf{"Noto Sans Mono CJK SC", "Bold", "NotoSansCJK-Bold.ttc"}
	notoSong = fontOf{"Noto Serif CJK SC", "Regular", "NotoSerifCJK-Regular.ttc"}
	ocrB     = fontOf{"OCR B", "Sharp", "OCRBS.otf"} // Regular's 8 is drawn by what x/image does not know
	zenHei   = fontOf{"WenQuanYi Zen Hei", "Regular", "wqy-zenhei.ttc"}
	microHei = fontOf{"WenQuanYi Micro Hei", "Regular", "wqy-microhei.ttc"}
	uMing    = fontOf{"AR PL UMing CN", "Light", "uming.ttc"}
	uKai     = fontOf{"AR PL UKai CN", "Book", "ukai.ttc"}
)

// set is a typeface's fonts, as they are found on this machine, and the package that has them.
type set struct {
	hei, bold, mono, song fontOf
	debian                string
}

var sets = map[Typeface]set{
	Noto:     {notoHei, notoBold, notoMono, notoSong, "fonts-noto-cjk"},
	OCRB:     {notoHei, ocrB, ocrB, notoSong, "fonts-noto-cjk fonts-ocr-b"},
	ZenHei:   {zenHei, zenHei, zenHei, zenHei, "fonts-noto-cjk fonts-wqy-zenhei"},
	MicroHei: {microHei, microHei, microHei, microHei, "fonts-noto-cjk fonts-wqy-microhei"},
	UMing:    {uMing, uMing, uMing, uMing, "fonts-noto-cjk fonts-arphic-uming"},
	UKai:     {uKai, uKai, uKai, uKai, "fonts-noto-cjk fonts-arphic-ukai"},
}

// typefaces of a card. Values and labels are set in Hei type, the back's titles in Song, the number
// in bold or mono.
type typefaces struct {
	hei, bold, mono, song *opentype.Font
	spare                 *opentype.Font // has what the others lack
	middle                float64        // of a character above its baseline, em
}

// ErrFonts tells that this machine lacks the fonts that cards are drawn with.
var ErrFonts = errors.New("cards: a font was not found")

// fontFolders is where distributions put these fonts, for machines without fontconfig's
// fc-match: Debian and Ubuntu, Arch, Fedora, macOS.
var fontFolders = []string{
	"/usr/share/fonts/opentype/noto", "/usr/share/fonts/noto-cjk", "/usr/share/fonts/google-noto-cjk",
	"/usr/share/fonts/google-noto-sans-cjk-fonts", "/usr/share/fonts/google-noto-serif-cjk-fonts",
	"/usr/share/fonts/opentype/ocr-b", "/usr/share/fonts/truetype/wqy", "/usr/share/fonts/truetype/arphic", "/Library/Fonts",
}

// loadFonts reads a typeface's fonts.
func loadFonts(f Typeface) (typefaces, error) {
	var t typefaces
	s, ok := sets[f]
	if !ok {
		return t, fmt.Errorf("cards: there is no typeface %q; there are %v", f, Typefaces)
	}
	found := map[fontOf]*opentype.Font{}
	for _, w := range []struct {
		fontOf
		to **opentype.Font
	}{{s.hei, &t.hei}, {s.bold, &t.bold}, {s.mono, &t.mono}, {s.song, &t.song}, {notoHei, &t.spare}} {
		if found[w.fontOf] == nil {
			got, err := findFont(w.family, w.style, w.file)
			if errors.Is(err, ErrFonts) {
				return t, fmt.Errorf("%w; install it (Debian and Ubuntu: apt-get install %s)", err, s.debian)
			} else if err != nil {
				return t, err
			}
			found[w.fontOf] = got
		}
		*w.to = found[w.fontOf]
	}
	t.middle = .38 // Noto CJK's
	if t.hei != t.spare {
		var b sfnt.Buffer
		i, err := t.hei.GlyphIndex(&b, '国')
		if err != nil {
			return t, fmt.Errorf("cards: %s: %w", f, err)
		}
		box, _, err := t.hei.GlyphBounds(&b, i, fixed.I(1000), font.HintingNone)
		if err != nil {
			return t, fmt.Errorf("cards: %s: %w", f, err)
		}
		t.middle = -float64(box.Min.Y+box.Max.Y) / 2 / 64 / 1000
	}
	return t, nil
}

// findFont asks fontconfig, then looks where the collections usually lie. A match of
// another family does not count: fontconfig always answers with something.
func findFont(family, style, file string) (*opentype.Font, error) {
	var paths []string
	if out, err := exec.Command("fc-match", "-f", "%{file}", family+":style="+style).Output(); err == nil {
		paths = append(paths, string(out))
	}
	for _, dir := range fontFolders {
		paths = append(paths, filepath.Join(dir, file))
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cards: read a font: %w", err)
		}
		for i := range faces(data) {
			f, err := opentype.Parse(single(data, i))
			if err != nil {
				break // a format that fontconfig reads and we do not
			}
			name, err := f.Name(nil, sfnt.NameIDFull)
			if err != nil {
				continue
			}
			if full := strings.TrimSuffix(name, " Regular"); full == family || full == family+" "+style {
				if style == "Bold" && !strings.HasSuffix(name, "Bold") {
					continue
				}
				return f, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: %s %s", ErrFonts, family, style)
}

// faces is how many fonts a file holds: a collection (ISO/IEC 14496-22, 5.2.7) or a single one.
func faces(data []byte) int {
	if len(data) < 12 || !bytes.HasPrefix(data, []byte("ttcf")) {
		return 1
	}
	return int(min(binary.BigEndian.Uint32(data[8:]), 64))
}

// single is a font of a collection as a file of its own whose tables begin at multiples of four, as
// they should, and in some collections do not; nil where the file is cut off.
func single(data []byte, i int) []byte {
	at := 0
	if bytes.HasPrefix(data, []byte("ttcf")) && len(data) >= 16+4*i {
		at = int(binary.BigEndian.Uint32(data[12+4*i:]))
	}
	if at+12 > len(data) {
		return nil
	}
	n := int(binary.BigEndian.Uint16(data[at+4:]))
	head := 12 + 16*n
	if at+head > len(data) {
		return nil
	}
	out := slices.Clone(data[at : at+head])
	for k := range n {
		entry := out[12+16*k:]
		from, long := int(binary.BigEndian.Uint32(entry[8:])), int(binary.BigEndian.Uint32(entry[12:]))
		if from+long > len(data) {
			return nil
		}
		binary.BigEndian.PutUint32(entry[8:], uint32(len(out)))
		out = append(out, data[from:from+long]...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out
}
