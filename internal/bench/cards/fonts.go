package cards

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
)

// typefaces of a card. Values and labels are set in Hei type, the back's titles in Song.
type typefaces struct {
	hei, bold, mono, song *opentype.Font
}

// ErrFonts tells that this machine lacks the fonts that cards are drawn with.
var ErrFonts = errors.New("cards: the fonts Noto Sans CJK and Noto Serif CJK were not found; install them (Debian and Ubuntu: apt-get install fonts-noto-cjk)")

// fontFolders is where distributions put the Noto CJK collections, for machines without
// fontconfig's fc-match: Debian and Ubuntu, Arch, Fedora, macOS.
var fontFolders = []string{
	"/usr/share/fonts/opentype/noto", "/usr/share/fonts/noto-cjk", "/usr/share/fonts/google-noto-cjk",
	"/usr/share/fonts/google-noto-sans-cjk-fonts", "/usr/share/fonts/google-noto-serif-cjk-fonts", "/Library/Fonts",
}

// loadFonts reads the fonts once; they are shared and never written to.
var loadFonts = sync.OnceValues(func() (typefaces, error) {
	var t typefaces
	for _, w := range []struct {
		family, style, file string
		to                  **opentype.Font
	}{
		{"Noto Sans CJK SC", "Regular", "NotoSansCJK-Regular.ttc", &t.hei},
		{"Noto Sans CJK SC", "Bold", "NotoSansCJK-Bold.ttc", &t.bold},
		{"Noto Sans Mono CJK SC", "Bold", "NotoSansCJK-Bold.ttc", &t.mono},
		{"Noto Serif CJK SC", "Regular", "NotoSerifCJK-Regular.ttc", &t.song},
	} {
		f, err := findFont(w.family, w.style, w.file)
		if err != nil {
			return t, err
		}
		*w.to = f
	}
	return t, nil
})

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
		c, err := opentype.ParseCollection(data)
		if err != nil {
			continue // a format that fontconfig reads and we do not
		}
		for i := range c.NumFonts() {
			f, err := c.Font(i)
			if err != nil {
				return nil, fmt.Errorf("cards: font %s: %w", path, err)
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
	return nil, fmt.Errorf("%w; %s %s is missing", ErrFonts, family, style)
}
