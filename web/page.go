package web

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
	"strconv"
	"strings"
	"sync"
)

// Page is a built page in memory, its files as they are and, once somebody took them so,
// compressed. It never changes, and is safe for concurrent use.
type Page struct {
	index  file
	assets map[string]file
}

// file is one built file in memory.
type file struct {
	kind  string // MIME type
	tag   string // quoted entity tag
	plain []byte
	gzip  func() []byte // made when it is first asked for: a start does not wait for it
}

// types names the kinds of files that a build makes; the host's own table may differ.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".png": "image/png", ".woff2": "font/woff2",
}

// Read reads a page: index.html, and the files of assets, whose names hold a hash of their
// content. No files at all are ErrNotBuilt.
func Read(pages fs.FS) (*Page, error) {
	if pages == nil {
		return nil, ErrNotBuilt
	}
	p := &Page{assets: map[string]file{}}
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
	f.gzip = sync.OnceValue(func() []byte { return compressed(b) })
	return f, nil
}

// compressed is b in gzip's form, or nil where that gains nothing.
func compressed(b []byte) []byte {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil // there is no such level
	}
	w.Write(b) // a buffer takes everything
	w.Close()
	if z.Len() >= len(b) {
		return nil
	}
	return z.Bytes()
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
	if takesGzip(r.Header.Values("Accept-Encoding")) {
		if z := f.gzip(); z != nil {
			h.Set("Content-Encoding", "gzip")
			body = z
		}
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

// ServeIndex sends index.html. caching is its Cache-Control.
func (p *Page) ServeIndex(w http.ResponseWriter, r *http.Request, caching string) {
	p.index.serve(w, r, caching)
}

// ServeAsset sends a file of assets, which may be kept for ever, and reports whether there is one.
func (p *Page) ServeAsset(w http.ResponseWriter, r *http.Request, name string) bool {
	f, ok := p.assets[name]
	if ok {
		f.serve(w, r, "public, max-age=31536000, immutable")
	}
	return ok
}
