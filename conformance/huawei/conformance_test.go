package huawei

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the replies of the fixtures")

// fixture is a file of testdata: a comment that cites the clause, then three parts, each
// under its "-- name --" line.
type fixture struct{ clause, given, request, reply string }

func readFixture(t *testing.T, file string) (f fixture) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rest := string(b)
	for _, part := range []struct {
		dst *string
		end string
	}{{&f.clause, "-- given --\n"}, {&f.given, "-- request --\n"}, {&f.request, "-- reply --\n"}} {
		var ok bool
		if *part.dst, rest, ok = strings.Cut(rest, part.end); !ok {
			t.Fatalf("%s has no line %q", file, part.end)
		}
	}
	f.reply = rest
	return f
}

func TestDocumentedCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d fixtures, %v; want at least 60", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			runCase(t, file)
		})
	}
}

func runCase(t *testing.T, file string) {
	f := readFixture(t, file)
	if !strings.HasPrefix(f.clause, "clause: ") {
		t.Error("the fixture cites no clause")
	}
	w := newWorld(t)
	for line := range strings.Lines(f.given) {
		if line = strings.TrimSpace(line); line != "" {
			w.do(line)
		}
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, w.request(f.request))
	answer := object(t, rec.Body.Bytes())
	w.settle(answer, rec.Body.Bytes())

	for secret, what := range w.secrets {
		if len(secret) > 1 && strings.Contains(w.Logs.String(), secret) {
			t.Errorf("the log holds a %s:\n%s", what, w.Logs)
		}
	}
	head := fmt.Sprintf("HTTP %d\n%s\n\n", rec.Code, rec.Header().Get("Content-Type"))
	if *update {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(answer); err != nil {
			t.Fatal(err)
		}
		text := f.clause + "-- given --\n" + f.given + "-- request --\n" + f.request + "-- reply --\n" + head + b.String()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	wantHead, wantBody, _ := strings.Cut(f.reply, "{")
	if head != wantHead {
		t.Errorf("status and type: got %q, want %q", head, wantHead)
	}
	if diff := cmp.Diff(object(t, []byte("{"+wantBody)), answer); diff != "" {
		t.Errorf("reply (-want +got):\n%s\nlog:\n%s", diff, w.Logs)
	}
}
