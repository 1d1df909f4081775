package capture

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// file is one built file in memory, as it is and compressed.
type file struct {
	kind  string // MIME type
	tag   string // quoted entity tag
	plain []byte
	gzip  []byte // nil where compression gains nothing
}

// page is the built page; it never changes.
type page struct {
	index  file
	assets map[string]file
}

var errNoPage = errors.New("no index.html")

// types names the kinds of files that a build makes; the host's own table may differ.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".png": "image/png", ".woff2": "font/woff2",
}

func readPage(pages fs.FS) (*page, error) {
	if pages == nil {
		return nil, errNoPage
	}
	p := &page{assets: map[string]file{}}
	var err error
	if p.index, err = readFile(pages, "index.html"); err != nil {
		return nil, err
	}
	list, err := fs.ReadDir(pages, "assets")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	for _, e := range list {
		if e.Type().IsRegular() {
			if p.assets[e.Name()], err = readFile(pages, "assets/"+e.Name()); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func readFile(pages fs.FS, name string) (file, error) {
	b, err := fs.ReadFile(pages, name)
	if err != nil {
		return file{}, err
	}
	sum := sha256.Sum256(b)
	f := file{kind: types[path.Ext(name)], tag: `"` + hex.EncodeToString(sum[:12]) + `"`, plain: b}
	if f.kind == "" {
		if f.kind = mime.TypeByExtension(path.Ext(name)); f.kind == "" {
			f.kind = "application/octet-stream"
		}
	}
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return file{}, fmt.Errorf("compress %s: %w", name, err)
	}
	if z.Len() < len(b) {
		f.gzip = z.Bytes()
	}
	return f, nil
}

func (f file) serve(w http.ResponseWriter, r *http.Request, caching string) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", caching)
	h.Set("ETag", f.tag)
	h.Add("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.plain
	if f.gzip != nil && takesGzip(r.Header.Values("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = f.gzip
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// takesGzip reads Accept-Encoding: gzip named, and not with a quality of zero.
func takesGzip(values []string) bool {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			name, q, _ := strings.Cut(one, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
				continue
			}
			_, num, found := strings.Cut(q, "=")
			if f, err := strconv.ParseFloat(strings.TrimSpace(num), 64); !found || err != nil || f > 0 {
				return true
			}
		}
	}
	return false
}

// servePage sends the page. It is not kept by caches: they would file it under an
// address that holds a token.
func (h *Handler) servePage(w http.ResponseWriter, r *http.Request) {
	if h.page == nil {
		http.Error(w, "The page is not built. Run `make web`, build the server again and restart it.", http.StatusServiceUnavailable)
		return
	}
	h.page.index.serve(w, r, "no-store")
}

// serveAsset sends a file of the page. Its name holds a hash of its content, so that it
// may be kept for ever.
func (h *Handler) serveAsset(w http.ResponseWriter, r *http.Request) {
	if h.page != nil {
		if f, ok := h.page.assets[r.PathValue("name")]; ok {
			f.serve(w, r, "public, max-age=31536000, immutable")
			return
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	http.NotFound(w, r)
}

var plainHost = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](:[0-9]+)?$`)

// secure sets what every answer of this room carries. The page loads nothing from
// elsewhere and has no inline script or style; its address holds a token, so that it is
// never a referrer.
func (h *Handler) secure(head http.Header, host string) {
	// Safari before 15.4 does not take 'self' for the WebSocket of the same host.
	sockets := ""
	if plainHost.MatchString(host) {
		sockets = " ws://" + host + " wss://" + host
	}
	// Without the directive any page may embed this one; "*" would leave out apps whose
	// own pages have schemes of their own.
	ancestors := ""
	if len(h.cfg.FrameAncestors) > 0 {
		ancestors = "; frame-ancestors " + strings.Join(h.cfg.FrameAncestors, " ")
	}
	head.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "+
		"connect-src 'self'"+sockets+"; media-src 'self' blob:; base-uri 'none'; form-action 'none'"+ancestors)
	head.Set("Permissions-Policy", "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
}
