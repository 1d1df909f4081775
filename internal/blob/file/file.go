// Package file keeps sealed evidence bytes as files of one folder. It never sees plain
// evidence: what it stores is sealed by its caller.
//
// A blob named 3f2a… lies at DIR/3f/3f2a…, mode 0600 in folders of mode 0700. A write
// goes to a file of its own, is synced, renamed into place, and the folder is synced: a
// name holds a whole blob or does not exist, also after a power cut.
package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

// refSize is the length of a reference: 16 random bytes in hex (ekyc.Evidence.Ref).
const refSize = 32

// partial ends the name of a blob that is being written.
const partial = ".partial"

// abandoned is the age from which a partial file is taken for the leftover of a crash.
// Our choice; writing one image takes milliseconds.
const abandoned = time.Hour

// Blobs implements ekyc.Blobs. It is safe for concurrent use, also by several processes.
type Blobs struct{ dir string }

var _ ekyc.Blobs = (*Blobs)(nil)

// Open makes dir ready: creates it, checks that it can be written, and removes the partial files that a crash left more than an hour ago.
func Open(dir string) (*Blobs, error) {
	b := &Blobs{dir: dir}
	if err := b.prepare(); err != nil {
		return nil, fmt.Errorf("evidence folder %s: %w", dir, err)
	}
	return b, nil
}

func (b *Blobs) prepare() error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	probe, err := os.CreateTemp(b.dir, "probe-*"+partial)
	if err != nil {
		return fmt.Errorf("it cannot be written, check its owner and mode: %w", err)
	}
	defer os.Remove(probe.Name())
	defer probe.Close()
	info, err := probe.Stat() // the file system's own clock says what is old
	if err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(b.dir, "*", "*"+partial))
	if err != nil {
		return err
	}
	for _, name := range left {
		old, err := os.Stat(name)
		if err != nil || info.ModTime().Sub(old.ModTime()) < abandoned {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Put stores data under ref durably, replacing what was there.
func (b *Blobs) Put(ctx context.Context, ref string, data []byte) error {
	path, err := b.path(ctx, ref)
	if err == nil {
		err = write(path, data)
	}
	if err != nil {
		return fmt.Errorf("store evidence: %w", err)
	}
	return nil
}

// Get reads ref; absent is ekyc.ErrAbsent.
func (b *Blobs) Get(ctx context.Context, ref string) ([]byte, error) {
	path, err := b.path(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("read evidence: %w", err)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read evidence %s: %w", ref, ekyc.ErrAbsent)
	}
	if err != nil {
		return nil, fmt.Errorf("read evidence: %w", err)
	}
	return data, nil
}

// Delete removes ref durably. An absent ref is success, so a purge may be repeated.
func (b *Blobs) Delete(ctx context.Context, ref string) error {
	path, err := b.path(ctx, ref)
	if err != nil {
		return fmt.Errorf("erase evidence: %w", err)
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("erase evidence: %w", err)
	}
	return nil
}

// path checks ref, which becomes part of a file name: 32 lower-case hex digits, so that
// no ref can leave the folder. The error does not repeat the ref, which may be hostile.
func (b *Blobs) path(ctx context.Context, ref string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if len(ref) != refSize || strings.Trim(ref, "0123456789abcdef") != "" {
		return "", fmt.Errorf("a reference has %d digits 0-9 and a-f, this one (%d bytes) is not of that form", refSize, len(ref))
	}
	return filepath.Join(b.dir, ref[:2], ref), nil
}

func write(path string, data []byte) (err error) {
	shard := filepath.Dir(path)
	if err := os.Mkdir(shard, 0o700); err == nil {
		err = syncDir(filepath.Dir(shard))
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.CreateTemp(shard, filepath.Base(path)+"-*"+partial) // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(shard)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
