package testkit

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Node is a client.js that stands for a relying party's backend: each JSON object on a line of its
// input is answered by one on a line of its output. Several goroutines may ask; they take turns.
type Node struct {
	t   *testing.T
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
}

var installing sync.Mutex // several tests may start clients of one folder

// StartNode starts the client.js of a folder with what it is told, until the test ends. Its packages
// are installed first where they are not.
func StartNode(t *testing.T, dir string, args ...string) *Node {
	t.Helper()
	installing.Lock()
	_, err := os.Stat(filepath.Join(dir, "node_modules/.package-lock.json"))
	if err != nil {
		cmd := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir = dir
		var said []byte
		if said, err = cmd.CombinedOutput(); err != nil {
			t.Errorf("npm ci in %s: %v\n%s", dir, err, said)
		}
	}
	installing.Unlock()
	if err != nil {
		t.FailNow()
	}
	if _, err := os.Stat(filepath.Join(dir, "client.js")); err != nil { // looked at by Go, so that its cache of results knows it
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{"client.js"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start node: %v", err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &Node{t: t, in: in, out: bufio.NewReaderSize(out, 1<<20)}
}

// Ask sends a question and returns the line that answers it.
func (n *Node) Ask(question any) []byte {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := json.NewEncoder(n.in).Encode(question); err != nil {
		n.t.Fatalf("ask the client in JavaScript: %v", err)
	}
	line, err := n.out.ReadBytes('\n')
	if err != nil {
		n.t.Fatalf("the client in JavaScript ended: %v", err)
	}
	return line
}
