package testkit

import (
	"net"
	"os"
	"syscall"
	"testing"
)

// Door is a port of this machine at which connections are refused until somebody listens. It is
// held all the while, so that no other test or program is given it.
type Door struct {
	t    testing.TB
	file *os.File
	Port int
}

// NewDoor finds a free port and holds it until the test ends.
func NewDoor(t testing.TB) *Door {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	d := &Door{t: t, file: os.NewFile(uintptr(fd), "door")}
	t.Cleanup(func() { d.file.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	d.Port = at.(*syscall.SockaddrInet4).Port
	return d
}

// Listen takes connections from now on. Whoever calls it closes the listener.
func (d *Door) Listen() net.Listener {
	d.t.Helper()
	if err := syscall.Listen(int(d.file.Fd()), syscall.SOMAXCONN); err != nil {
		d.t.Fatal(err)
	}
	l, err := net.FileListener(d.file)
	if err != nil {
		d.t.Fatal(err)
	}
	return l
}
