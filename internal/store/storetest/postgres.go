package storetest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
)

// Server is a PostgreSQL server of one test: its own data in a temporary folder, reached
// through a Unix socket there, without fsync.
type Server struct {
	bin, dir, user string
	cred           *syscall.Credential
	databases      atomic.Int64
}

// Postgres starts a server that stops with the test. It skips the test, and says what to
// install, where PostgreSQL is not installed. PostgreSQL refuses to run as root, so root
// runs it as the system's postgres user.
func Postgres(t testing.TB) *Server {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		t.Fatal(err)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // to where its other programs are
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("PostgreSQL is not installed, so the store is tested on SQLite alone: apt-get install postgresql")
	}
	s := &Server{bin: filepath.Dir(found[0]), user: "postgres"}
	// Not t.TempDir: its parents are closed to other users, and a socket's path is short.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	if os.Geteuid() == 0 {
		if err := s.become("postgres"); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(s.dir, "data")
	s.run(t, "initdb", "-D", data, "-U", s.user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	s.run(t, "pg_ctl", "start", "-w", "-D", data, "-l", filepath.Join(s.dir, "log"),
		"-o", fmt.Sprintf("-k %s -c listen_addresses='' -c fsync=off -c max_connections=300", s.dir))
	t.Cleanup(func() { s.run(t, "pg_ctl", "stop", "-m", "immediate", "-D", data) })
	return s
}

// become makes the server run as another user of the system and gives it the folder.
func (s *Server) become(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, uerr := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	if err := errors.Join(uerr, gerr); err != nil {
		return err
	}
	s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, uid, gid)
}

func (s *Server) run(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		t.Fatalf("%s: %v\n%s\n%s", name, err, out, log)
	}
}

// Database creates an empty database and returns its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.run(t, "createdb", "-h", s.dir, "-U", s.user, name)
	u := url.URL{Scheme: "postgres", User: url.User(s.user), Path: "/" + name, RawQuery: url.Values{"host": {s.dir}}.Encode()}
	return u.String()
}
