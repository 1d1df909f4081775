package web

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestPage(t *testing.T) {
	t.Parallel()
	fresh := fstest.MapFS{"dist/README.md": {Data: []byte("no pages yet")}}
	if _, err := page(fresh, "capture"); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("page of a fresh clone: got error %v, want ErrNotBuilt", err)
	}
	built := fstest.MapFS{"dist/README.md": {}, "dist/capture/index.html": {Data: []byte("<!doctype html>")}}
	sub, err := page(built, "capture")
	if err != nil {
		t.Fatalf("page once built: got error %v, want none", err)
	}
	if b, err := fs.ReadFile(sub, "index.html"); err != nil || string(b) != "<!doctype html>" {
		t.Errorf("index.html: got %q, %v, want the built page", b, err)
	}
	if _, err := fs.Stat(dist, "dist/README.md"); err != nil {
		t.Errorf("the committed file that keeps this package compiling is not embedded: %v", err)
	}
}
