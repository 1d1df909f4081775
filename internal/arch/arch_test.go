package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "shiren"

// everything is what wiring and tests of the whole may import: any room but cmd.
var everything = []string{"shiren/..."}

// room is one line of the table of docs/ARCHITECTURE.md: what the package at path may
// import besides the standard library. A room without a line may not exist.
type room struct {
	path string
	may  []string
}

var rooms = []room{
	{"cmd/shiren", append([]string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3", "github.com/mdp/qrterminal/...", "golang.org/x/term", "golang.org/x/image/draw",
	}, everything...)},
	{"api/baidu", nil},
	{"api/juhe", nil},
	{"api/huawei", []string{"github.com/emmansun/gmsm/..."}},
	{"internal/cnid", nil},
	{"internal/ekyc", []string{"shiren/internal/cnid"}},
	{"internal/gateway/baidu", []string{"shiren/internal/ekyc", "shiren/internal/cnid", "shiren/api/baidu", "shiren/internal/gateway/wire"}},
	{"internal/gateway/juhe", []string{"shiren/internal/ekyc", "shiren/api/juhe", "shiren/internal/gateway/wire"}},
	{"internal/gateway/wire", []string{"shiren/internal/ekyc"}},
	{"internal/gateway/huawei", []string{"shiren/internal/ekyc", "shiren/internal/cnid", "shiren/api/huawei"}},
	{"internal/capture", []string{"shiren/internal/ekyc", "shiren/web", "github.com/coder/websocket/...", "golang.org/x/time/rate"}},
	{"internal/operator", []string{"golang.org/x/crypto/argon2", "golang.org/x/text/unicode/norm", "github.com/pquerna/otp/..."}},
	{"internal/dossier", []string{"shiren/internal/ekyc", "shiren/internal/cnid"}},
	{"internal/console", []string{"shiren/internal/ekyc", "shiren/internal/dossier", "shiren/internal/operator", "shiren/internal/cnid", "shiren/web"}},
	{"web", nil},
	{"internal/engine", []string{"shiren/internal/ekyc", "shiren/internal/engine/...", "golang.org/x/sync/..."}},
	{"internal/engine/card", []string{
		"shiren/internal/ekyc", "shiren/internal/cnid", "shiren/internal/engine/models", "shiren/internal/engine/ort", "shiren/internal/engine/vision",
		"golang.org/x/image/...", "golang.org/x/text/encoding/...",
	}},
	{"internal/engine/vision", []string{"shiren/internal/ekyc", "golang.org/x/image/..."}},
	{"internal/engine/ort", []string{"github.com/yalue/onnxruntime_go"}},
	{"internal/engine/models", []string{"github.com/schollz/progressbar/v3", "golang.org/x/term"}},
	{"internal/engine/enginetest", []string{"shiren/internal/engine/..."}},
	{"internal/engine/video", []string{"shiren/internal/ekyc"}},
	{"internal/bench/injection", append([]string{"github.com/coder/websocket/...", "golang.org/x/sync/..."}, everything...)},
	{"internal/bench/cards", []string{"shiren/internal/ekyc", "shiren/internal/cnid", "golang.org/x/image/..."}},
	{"internal/bench", []string{"shiren/internal/ekyc", "shiren/internal/engine/...", "shiren/internal/bench/cards", "shiren/internal/cnid", "golang.org/x/sync/...", "gonum.org/v1/plot/..."}},
	{"internal/source/registry", []string{"shiren/internal/ekyc", "shiren/internal/cnid", "golang.org/x/text/..."}},
	{"internal/source/upstream", []string{
		"shiren/internal/ekyc", "shiren/internal/cnid", "shiren/api/baidu", "shiren/api/juhe", "github.com/sony/gobreaker/v2",
	}},
	{"internal/store", []string{
		"shiren/internal/ekyc", "shiren/internal/operator", "shiren/internal/cnid", "shiren/internal/source/registry", "shiren/internal/source/upstream", "github.com/mattn/go-sqlite3", "github.com/jackc/pgx/v5/...", "github.com/pressly/goose/v3/...",
	}},
	{"internal/store/storetest", []string{"shiren/internal/ekyc", "shiren/internal/cnid", "github.com/google/go-cmp/..."}},
	{"internal/blob/file", []string{"shiren/internal/ekyc"}},
	{"internal/blob/blobtest", []string{"shiren/internal/ekyc"}},
	{"internal/seal", []string{"shiren/internal/ekyc"}},
	{"internal/config", []string{"shiren/internal/ekyc", "github.com/pelletier/go-toml/v2/..."}},
	{"internal/server", append([]string{"golang.org/x/crypto/acme/..."}, everything...)},
	{"internal/metrics", []string{"shiren/internal/ekyc", "shiren/internal/source/upstream", "github.com/prometheus/client_golang/prometheus/..."}},
	{"internal/testkit", everything},
	{"internal/demo", []string{"shiren/internal/ekyc", "shiren/internal/cnid", "shiren/internal/store", "golang.org/x/image/..."}},
	{"internal/arch", nil},
	{"conformance/baidu", everything},
	{"conformance/juhe", everything},
	{"conformance/sandbox", everything},
	{"conformance/fixture", append([]string{"github.com/google/go-cmp/..."}, everything...)},
	{"conformance/huawei", everything},
	{"e2e", everything},
}

// forbidden says why what the table leaves out is left out, where that is not obvious.
// It also bars parts of the standard library, which the table does not list.
var forbidden = []struct {
	room, imports, reason string
}{
	{"internal/ekyc", "net/http", "the core speaks no wire protocol"},
	{"internal/ekyc", "encoding/json", "the core's words have no wire form; tags live in api and store"},
	{"internal/ekyc", "database/sql", "the core knows no SQL: rules are methods of Session, run by any store"},
	{"internal/ekyc", "image", "the core reads no pixels: the engine measures"},
	{"internal/ekyc", "shiren/internal/engine", "measuring is not deciding: the core sees only its port"},
	{"internal/ekyc", "shiren/internal/store", "the store runs the core's rules, not the other way round"},
	{"internal/ekyc", "os", "the core does no I/O of its own"},
	{"internal/cnid", "net/http", "it is pure"},
	{"internal/cnid", "time/tzdata", "it is pure"},
	{"api/baidu", "shiren/internal/ekyc", "customers import it: it must not drag the server along"},
	{"api/juhe", "shiren/internal/ekyc", "customers import it: it must not drag the server along"},
	{"internal/gateway/juhe", "shiren/internal/store", "a gateway keeps no state: it makes one core call"},
	{"internal/gateway/juhe", "shiren/internal/engine", "a gateway has no rules: the core asks the engine"},
	{"internal/gateway/wire", "shiren/api/baidu", "what gateways share knows no vendor"},
	{"internal/gateway/wire", "shiren/api/juhe", "what gateways share knows no vendor"},
	{"internal/gateway/baidu", "shiren/internal/store", "a gateway keeps no state: it makes one core call"},
	{"internal/gateway/baidu", "shiren/internal/engine", "a gateway has no rules: the core asks the engine"},
	{"internal/gateway/baidu", "shiren/internal/capture", "no room calls back to the room that called it"},
	{"internal/gateway/huawei", "shiren/internal/store", "a gateway keeps no state: it makes one core call"},
	{"internal/gateway/huawei", "shiren/internal/capture", "no room calls back to the room that called it"},
	{"internal/capture", "shiren/api/baidu", "the page is no vendor's"},
	{"internal/capture", "shiren/api/huawei", "the page is no vendor's"},
	{"internal/capture", "shiren/internal/engine", "frames go through the core's Look"},
	{"internal/console", "shiren/internal/store", "the console declares what it needs to read and change"},
	{"internal/console", "shiren/internal/capture", "the two pages know nothing of each other"},
	{"internal/operator", "net/http", "who may do what is no matter of a wire"},
	{"internal/operator", "shiren/internal/ekyc", "operators are no part of a verification"},
	{"internal/engine", "net/http", "models are fetched beforehand; the engine never reaches out"},
	{"internal/engine", "shiren/internal/store", "the engine measures and keeps nothing"},
	{"internal/engine/card", "net/http", "models are fetched beforehand; the reader never reaches out"},
	{"internal/engine/card", "shiren/internal/store", "the reader measures and keeps nothing"},
	{"internal/engine/vision", "shiren/internal/engine/ort", "pixels first, networks later: vision knows none"},
	{"internal/store", "shiren/internal/seal", "the store is handed a Sealer, so that tests can hand it another"},
	{"internal/source/upstream", "shiren/internal/store", "a source declares the journal that it needs"},
	{"internal/source/upstream", "shiren/internal/engine", "an upstream compares by itself; the core asks the engine"},
	{"internal/metrics", "shiren/internal/store", "figures are counted, never read from what is kept"},
	{"internal/source/registry", "shiren/internal/store", "a source declares the shelf that it needs"},
	{"internal/source/registry", "shiren/internal/engine", "a source declares the examiner that it needs"},
}

// cgo lives in these rooms and in the SQLite driver, nowhere else: each is a door
// through which memory safety leaves.
var cgo = []string{"internal/engine/ort", "internal/engine/vision"}

// wiring are the rooms that may name the clock and the source of chance; all others
// are handed them, so that tests can stand still.
var wiring = []string{"cmd/shiren", "internal/server"}

type pkg struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	CgoFiles     []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	Standard     bool
}

func (p pkg) room() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// list runs go list, which knows build constraints that a reading of files does not.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != module
}

func covers(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	return path == pattern
}

func TestImports(t *testing.T) {
	t.Parallel()
	pkgs := list(t, "./...")
	if len(pkgs) < 10 {
		t.Fatalf("go list found %d packages, want all of the house", len(pkgs))
	}
	for _, p := range pkgs {
		i := slices.IndexFunc(rooms, func(r room) bool { return r.path == p.room() })
		if i < 0 {
			t.Errorf("%s is a room without a line in the table: say in docs/ARCHITECTURE.md and here what it may import", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			switch {
			case imp == "C":
				if !slices.Contains(cgo, p.room()) {
					t.Errorf("%s uses cgo, which lives in %v only", p.ImportPath, cgo)
				}
			case strings.HasPrefix(imp, module+"/cmd/"):
				t.Errorf("%s imports %s: nobody imports a command", p.ImportPath, imp)
			case !standard(imp) && !slices.ContainsFunc(rooms[i].may, func(m string) bool { return covers(m, imp) }):
				t.Errorf("%s imports %s, which the table of docs/ARCHITECTURE.md does not allow%s", p.ImportPath, imp, reason(p.room(), imp))
			default:
				if why := reason(p.room(), imp); why != "" {
					t.Errorf("%s imports %s%s", p.ImportPath, imp, why)
				}
			}
		}
	}
}

func reason(room, imp string) string {
	for _, f := range forbidden {
		if f.room == room && covers(f.imports+"/...", imp) {
			return ": " + f.reason
		}
	}
	return ""
}

// TestTableIsLive keeps lines of rooms that are gone, and reasons for rooms that never
// were, out of the table.
func TestTableIsLive(t *testing.T) {
	t.Parallel()
	for _, r := range rooms {
		if files, err := filepath.Glob(filepath.Join(root(t), r.path, "*.go")); err != nil || len(files) == 0 {
			t.Errorf("the table has a line for %s, where there is no Go file (%v)", r.path, err)
		}
	}
	for _, f := range forbidden {
		if !slices.ContainsFunc(rooms, func(r room) bool { return r.path == f.room }) {
			t.Errorf("a reason is given for %s, which is no room", f.room)
		}
	}
}

// TestClockAndChance finds every use of time.Now and of crypto/rand outside the wiring.
// Tests may use them.
func TestClockAndChance(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		if slices.Contains(wiring, p.room()) {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
			path := filepath.Join(p.Dir, name)
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			clock := ""
			for _, imp := range file.Imports {
				switch v, _ := strconv.Unquote(imp.Path.Value); v {
				case "crypto/rand":
					t.Errorf("%s: crypto/rand is named in %v only; take an io.Reader", fset.Position(imp.Pos()), wiring)
				case "time":
					if clock = "time"; imp.Name != nil {
						clock = imp.Name.Name
					}
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok || clock == "" {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == clock && slices.Contains([]string{"Now", "Since", "Until"}, sel.Sel.Name) {
					t.Errorf("%s: time.%s is named in %v only; take a Now func() time.Time", fset.Position(n.Pos()), sel.Sel.Name, wiring)
				}
				return true
			})
		}
	}
}

// tracked lists the files that git keeps or would keep.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("git cannot list the files here, so that they cannot be checked: %v", err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join(root(t), name)); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	return files
}

// maxTracked is the largest file that may be committed: models and videos are fetched.
const maxTracked = 1 << 20

// registries are host names of package registries, written so that this file does not
// hold them. Only ordinary clients (go, npm, apt) may know where packages come from, so
// that a proxy or a mirror works without a change.
var registries = regexp.MustCompile(`registry\.(npmjs|yarnpkg|npmmirror)` + `\.(org|com)|proxy\.golang` + `\.org|goproxy` + `\.(cn|io)|sum\.golang` + `\.org|(deb|security)\.debian` + `\.org|archive\.ubuntu` + `\.com`)

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, name := range tracked(t) {
		path := filepath.Join(root(t), name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > maxTracked {
			t.Errorf("%s has %d bytes; at most %d may be committed", name, info.Size(), maxTracked)
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if hit := registries.Find(data); hit != nil {
			t.Errorf("%s names the package registry %s; leave that to the client's own settings", name, hit)
		}
	}
}

// TestRulesBite proves that the rules find what they look for.
func TestRulesBite(t *testing.T) {
	t.Parallel()
	if reason("internal/ekyc", "net/http") == "" || reason("internal/ekyc", "net/http/httptest") == "" {
		t.Error("the core may import net/http")
	}
	if reason("internal/ekyc", "shiren/internal/cnid") != "" {
		t.Error("the core may not import cnid")
	}
	if !covers("shiren/...", "shiren/internal/ekyc") || covers("shiren/internal/engine", "shiren/internal/engine/ort") || covers("shiren/web/...", "shiren/website") {
		t.Error("patterns cover the wrong packages")
	}
	if standard("github.com/x/y") || standard("shiren/web") || !standard("net/http") {
		t.Error("the standard library is not told from others")
	}
	if !registries.MatchString("https://registry.npmjs"+".org/x") || registries.MatchString("https://example.org") {
		t.Error("registry hosts are not recognised")
	}
}
