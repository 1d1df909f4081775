//go:build linux || darwin || freebsd

package server

import (
	"fmt"
	"syscall"
)

// fileSystem says how many bytes of the file system at path are free for this process, and how
// many it has.
func fileSystem(path string) (free, all uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, 0, fmt.Errorf("measure the file system of %s: %w", path, err)
	}
	// The types of the fields differ between systems; negative is what FreeBSD says of a disk
	// that only root may still write to.
	return uint64(max(0, int64(s.Bavail))) * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}
