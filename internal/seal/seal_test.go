package seal_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shiren/internal/seal"
)

// chance is a repeatable stand-in for the operating system's random source.
func chance(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func newSealer(t testing.TB, master byte) *seal.Sealer {
	t.Helper()
	s, err := seal.New(bytes.Repeat([]byte{master}, seal.MasterSize), chance(master))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newKey(t testing.TB, s *seal.Sealer) []byte {
	t.Helper()
	k, err := s.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	s := newSealer(t, 1)
	key := newKey(t, s)
	for _, plain := range [][]byte{nil, []byte("张三"), bytes.Repeat([]byte("portrait"), 100_000)} {
		sealed, err := s.Seal(key, plain, []byte("record 1"))
		if err != nil {
			t.Fatal(err)
		}
		if len(plain) > 0 && bytes.Contains(sealed, plain) {
			t.Errorf("sealed bytes hold the plain ones")
		}
		got, err := s.Open(key, sealed, []byte("record 1"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, plain) {
			t.Errorf("Open gave %d bytes, want the %d that were sealed", len(got), len(plain))
		}
		again, err := s.Seal(key, plain, []byte("record 1"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(again, sealed) {
			t.Error("sealing twice gave the same bytes: the nonce repeats")
		}
	}
}

// A restarted server has the same master key and another random state.
func TestOpenAfterRestart(t *testing.T) {
	t.Parallel()
	before := newSealer(t, 1)
	key := newKey(t, before)
	sealed, err := before.Seal(key, []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), chance(99))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := after.Open(key, sealed, nil); err != nil || string(got) != "x" {
		t.Errorf("Open after a restart = %q, %v; want \"x\"", got, err)
	}
}

// Every single bit counts: of the wrapped key, of the sealed bytes, and of the context.
func TestTamper(t *testing.T) {
	t.Parallel()
	s := newSealer(t, 1)
	key := newKey(t, s)
	sealed, err := s.Seal(key, []byte("440306199001011234"), []byte("context"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		name             string
		bytes            []byte
		open             func(changed []byte) error
		firstByte, rest  error
		afterFirst, upTo int // bytes whose change is told as another master key
	}{
		{"wrapped key", key, func(b []byte) error { _, err := s.Open(b, sealed, []byte("context")); return err }, seal.ErrVersion, seal.ErrDamaged, 1, 5},
		{"sealed bytes", sealed, func(b []byte) error { _, err := s.Open(key, b, []byte("context")); return err }, seal.ErrVersion, seal.ErrDamaged, 0, 0},
		{"context", []byte("context"), func(b []byte) error { _, err := s.Open(key, sealed, b); return err }, seal.ErrDamaged, seal.ErrDamaged, 0, 0},
	} {
		for i := range part.bytes {
			for bit := range 8 {
				changed := bytes.Clone(part.bytes)
				changed[i] ^= 1 << bit
				want := part.rest
				switch {
				case i == 0:
					want = part.firstByte
				case i >= part.afterFirst && i < part.upTo:
					want = seal.ErrMaster
				}
				if err := part.open(changed); !errors.Is(err, want) {
					t.Fatalf("%s, byte %d bit %d changed: Open said %v, want %v", part.name, i, bit, err, want)
				}
			}
		}
		for n := range part.bytes {
			if err := part.open(part.bytes[:n]); err == nil {
				t.Errorf("%s cut to %d bytes: Open succeeded", part.name, n)
			}
		}
		if err := part.open(append(bytes.Clone(part.bytes), 0)); err == nil {
			t.Errorf("%s with a byte too many: Open succeeded", part.name)
		}
	}
}

func TestKeysAreSeparate(t *testing.T) {
	t.Parallel()
	s := newSealer(t, 1)
	mine, yours := newKey(t, s), newKey(t, s)
	if bytes.Equal(mine, yours) {
		t.Fatal("two data keys are the same")
	}
	sealed, err := s.Seal(mine, []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(yours, sealed, nil); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("Open under another data key said %v, want %v", err, seal.ErrDamaged)
	}
	other := newSealer(t, 2)
	if _, err := other.Open(mine, sealed, nil); !errors.Is(err, seal.ErrMaster) {
		t.Errorf("Open under another master key said %v, want %v", err, seal.ErrMaster)
	}
	if _, err := other.Seal(mine, []byte("x"), nil); !errors.Is(err, seal.ErrMaster) {
		t.Errorf("Seal under another master key said %v, want %v", err, seal.ErrMaster)
	}
	for _, none := range [][]byte{nil, {}} {
		if _, err := s.Open(none, sealed, nil); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("Open without a key said %v, want %v", err, seal.ErrDamaged)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	s, again, other := newSealer(t, 1), newSealer(t, 1), newSealer(t, 2)
	d := s.Digest("number", []byte("440306199001011234"))
	if len(d) != 32 {
		t.Fatalf("a digest has %d bytes, want 32", len(d))
	}
	if !bytes.Equal(d, again.Digest("number", []byte("440306199001011234"))) {
		t.Error("the same master key, purpose and data gave another digest")
	}
	for name, not := range map[string][]byte{
		"another purpose":    s.Digest("signature", []byte("440306199001011234")),
		"other data":         s.Digest("number", []byte("440306199001011235")),
		"another master key": other.Digest("number", []byte("440306199001011234")),
		"a moved boundary":   s.Digest("number4", []byte("40306199001011234")),
	} {
		if bytes.Equal(d, not) {
			t.Errorf("%s gave the same digest", name)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := seal.New(make([]byte, n), chance(0)); err == nil {
			t.Errorf("New took a master key of %d bytes", n)
		}
	}
	if _, err := seal.New(make([]byte, seal.MasterSize), nil); err == nil {
		t.Error("New took no random source")
	}
}

// A random source that fails must stop everything: half a nonce is no nonce.
func TestRandomSourceFails(t *testing.T) {
	t.Parallel()
	good := newSealer(t, 1)
	key := newKey(t, good)
	bad, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), bytes.NewReader([]byte("short")))
	if err != nil {
		t.Fatal(err)
	}
	if sealed, err := bad.Seal(key, []byte("x"), nil); err == nil {
		t.Errorf("Seal gave %x without random bytes", sealed)
	}
	if key, err := bad.NewKey(); err == nil {
		t.Errorf("NewKey gave %x without random bytes", key)
	}
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys", "master.key")
	first, err := seal.OpenFile(path, chance(1))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("the key file's mode is %04o, want 0600", got)
	}
	if info.Size() != seal.MasterSize {
		t.Errorf("the key file has %d bytes, want %d", info.Size(), seal.MasterSize)
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("the key file's new folder: mode %04o, %v; want 0700", dir.Mode().Perm(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files beside the key, want the key alone", len(left))
	}
	second, err := seal.OpenFile(path, chance(2))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Digest("p", nil), second.Digest("p", nil)) {
		t.Error("opening the file again gave another key")
	}
}

// Processes that start together must agree on one key, or one of them seals what
// nobody can open.
func TestKeyFileRace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	const n = 16
	digests := make([][]byte, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			s, err := seal.OpenFile(path, chance(byte(i)))
			if err != nil {
				t.Error(err)
				return
			}
			digests[i] = s.Digest("p", nil)
		})
	}
	wg.Wait()
	for i := range digests {
		if !bytes.Equal(digests[i], digests[0]) {
			t.Fatalf("opener %d has another key than opener 0", i)
		}
	}
}

func TestKeyFileRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		mode os.FileMode
		size int
		want string
	}{
		{"readable by all", 0o644, 32, "chmod 600"},
		{"readable by the group", 0o640, 32, "chmod 600"},
		{"writable by others", 0o602, 32, "chmod 600"},
		{"empty", 0o600, 0, "has 0 bytes"},
		{"with a line end", 0o600, 33, "has 33 bytes"},
	} {
		path := filepath.Join(t.TempDir(), "master.key")
		if err := os.WriteFile(path, make([]byte, c.size), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		_, err := seal.OpenFile(path, chance(0))
		if err == nil {
			t.Errorf("%s: the key file was taken", c.name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %q, want the path and %q", c.name, err, c.want)
		}
	}
	if _, err := seal.OpenFile(t.TempDir(), chance(0)); err == nil {
		t.Error("a folder was taken for a key file")
	}
}

func BenchmarkSealOpen4K(b *testing.B) {
	s := newSealer(b, 1)
	key := newKey(b, s)
	plain := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		sealed, err := s.Seal(key, plain, []byte("c"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Open(key, sealed, []byte("c")); err != nil {
			b.Fatal(err)
		}
	}
}
