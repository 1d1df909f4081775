package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"shiren/internal/engine/enginetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shiren": main})
}

// patience bounds what a script waits for: on a busy machine others come first.
const patience = 5 * time.Minute

// TestScripts runs the scripts under testdata with the real binary. $MODELS is the
// models' folder, $DATA an empty folder of the script's own.
func TestScripts(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs(enginetest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("MODELS", dir)
			env.Setenv("SHIREN_MODELS_DIR", dir)
			env.Setenv("SHIREN_DATA", filepath.Join(env.WorkDir, "data"))
			alone, _, _ := strings.Cut(env.Getenv("PATH"), string(os.PathListSeparator))
			env.Setenv("ALONE", alone) // the folder of shiren itself
			env.Setenv("DATA", filepath.Join(env.WorkDir, "data"))
			address, err := freeAddress(context.Background())
			env.Setenv("ADDRESS", address)
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// answers URL: waits until the address answers 200.
			"answers": func(ts *testscript.TestScript, _ bool, args []string) {
				deadline := time.Now().Add(patience)
				for {
					res, err := http.Get(args[0])
					if err == nil {
						res.Body.Close()
						if res.StatusCode == http.StatusOK {
							return
						}
					}
					if time.Now().After(deadline) {
						ts.Fatalf("%s does not answer 200: %v", args[0], err)
					}
					<-time.After(20 * time.Millisecond)
				}
			},
		},
	})
}

// started runs `shiren serve` in this process until the test ends and returns what it
// printed up to its last line.
func started(t *testing.T, args ...string) string {
	t.Helper()
	for _, name := range []string{"SHIREN_CONFIG"} {
		if v, ok := os.LookupEnv(name); ok {
			t.Fatalf("%s=%s would steer this test; unset it", name, v)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	a := &app{out: in, err: io.Discard, now: time.Now, rand: rand.Reader}
	cmd := a.root()
	cmd.SetArgs(append([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--models", enginetest.Dir(t)}, args...))
	done := make(chan error, 1)
	go func() {
		err := cmd.ExecuteContext(ctx)
		in.CloseWithError(errors.Join(err, io.EOF))
		done <- err
	}()
	t.Cleanup(func() {
		stop()
		go io.Copy(io.Discard, out)
		if err := <-done; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	var b strings.Builder
	for s := bufio.NewScanner(out); s.Scan(); {
		b.WriteString(s.Text() + "\n")
		if strings.Contains(s.Text(), "Stop with Ctrl-C") {
			return b.String()
		}
	}
	t.Fatalf("serve ended before it was ready: %s", b.String())
	return ""
}

// TestPrintedCommandsWork copies what a first start prints into a shell, as a newcomer does.
func TestPrintedCommandsWork(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"off", "self-signed"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			text := started(t, "--tls", mode)
			if !strings.Contains(text, "█▀") {
				t.Errorf("no QR code is printed")
			}
			link := regexp.MustCompile(`https?://\S+/face/print/\?token=\w{24}`).FindString(text)
			if link == "" || strings.HasPrefix(link, "https") != (mode != "off") {
				t.Errorf("link %q, want one that suits TLS mode %s", link, mode)
			}
			var commands []string
			for line := range strings.Lines(text) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "AT=") || strings.HasPrefix(line, "curl") {
					commands = append(commands, line)
				}
			}
			if len(commands) != 3 {
				t.Fatalf("%d commands are printed, want 3:\n%s", len(commands), text)
			}
			b, err := exec.CommandContext(t.Context(), "sh", "-ec", strings.Join(commands, "\necho\n")).CombinedOutput()
			if err != nil {
				t.Fatalf("the printed commands fail: %v\n%s", err, b)
			}
			// Nobody looked into the camera yet; then a token is made.
			for _, want := range []string{`"error_code":283450`, `"success":true,"result":{"verify_token":"`} {
				if !strings.Contains(string(b), want) {
					t.Errorf("the printed commands answer\n%s\nwant %s", b, want)
				}
			}
		})
	}
}
