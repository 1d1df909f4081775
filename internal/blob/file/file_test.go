package file_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiren/internal/blob/blobtest"
	"shiren/internal/blob/file"
	"shiren/internal/ekyc"
)

const ref = "ab0102030405060708090a0b0c0d0e0f"

func open(t *testing.T, dir string) *file.Blobs {
	t.Helper()
	b, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) ekyc.Blobs { return open(t, filepath.Join(t.TempDir(), "evidence")) })
}

func TestModesAndLeftovers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "evidence")
	b := open(t, dir)
	for range 3 {
		if err := b.Put(t.Context(), ref, []byte("sealed")); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]fs.FileMode{".": 0o700, "ab": 0o700, "ab/" + ref: 0o600}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode, known := want[path]
		if !known {
			t.Errorf("%s was left behind", path)
		} else if got := info.Mode().Perm(); got != mode {
			t.Errorf("%s has mode %04o, want %04o", path, got, mode)
		}
		delete(want, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range want {
		t.Errorf("%s is missing", path)
	}
}

// A crash in the middle of a write leaves a partial file. Opening removes it once it is
// old; a young one may be another process's write.
func TestPartialFilesOfACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shard := filepath.Join(dir, "ab")
	if err := os.Mkdir(shard, 0o700); err != nil {
		t.Fatal(err)
	}
	old, young := filepath.Join(shard, ref+"-1.partial"), filepath.Join(shard, ref+"-2.partial")
	for _, name := range []string{old, young, filepath.Join(shard, ref)} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(young)
	if err != nil {
		t.Fatal(err)
	}
	long := info.ModTime().Add(-2 * time.Hour)
	for _, name := range []string{old, filepath.Join(shard, ref)} {
		if err := os.Chtimes(name, long, long); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, dir)
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the old partial file is still there (%v)", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young partial file: %v; want it left alone", err)
	}
	if _, err := b.Get(t.Context(), ref); err != nil {
		t.Errorf("the whole blob: %v; want it left alone, however old", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := file.Open(path)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Open of a file said %v, want an error that names %s", err, path)
	}
}
