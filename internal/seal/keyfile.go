package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenFile makes a Sealer from the master key file at path: MasterSize bytes, nothing
// else. An absent file is created, with its folder, from rand with mode 0600, and is on
// disk when OpenFile returns; of two processes that start together, both get the key that
// one of them wrote. A file that its group or others may read is refused.
//
// Losing the file loses everything that was sealed under it: back it up, and not beside
// the data.
func OpenFile(path string, rand io.Reader) (*Sealer, error) {
	master, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createKey(path, rand); err == nil {
			master, err = readKey(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("master key %s: %w", path, err)
	}
	return New(master, rand)
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of the open file: what is checked is what is read
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("its mode is %04o, so that other users may have read or changed it: "+
			"run `chmod 600 %s` if nobody did, and replace the key if somebody could have", info.Mode().Perm(), path)
	case info.Size() != MasterSize:
		return nil, fmt.Errorf("it has %d bytes where a master key has %d: restore it from its backup", info.Size(), MasterSize)
	}
	master := make([]byte, MasterSize)
	if _, err := io.ReadFull(f, master); err != nil {
		return nil, err
	}
	return master, nil
}

// createKey writes the whole key beside path and then links it into place: path never
// names half a key, and a key that another process put there first is left alone.
func createKey(path string, rand io.Reader) error {
	if rand == nil {
		return errors.New("no random source to make one from")
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	master := make([]byte, MasterSize)
	if _, err := io.ReadFull(rand, master); err != nil {
		return fmt.Errorf("read %d random bytes: %w", MasterSize, err)
	}
	tmp, err := os.CreateTemp(dir, ".master-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err = tmp.Write(master); err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
