package console

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// named finds the actions that a folder's sources name in the journal: at is where calls take the
// action, by the name of what is called.
func named(t *testing.T, dir string, at map[string]int) (list []string) {
	t.Helper()
	// What is named by a word that follows: the loops in plans.go and registry.go.
	ends := map[string][]string{"plan.": {"retire", "revive"}, "registry.import.": {"start", "stop"}}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	text := func(e ast.Expr) (string, bool) {
		l, ok := e.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(l.Value)
		return s, err == nil
	}
	set := token.NewFileSet()
	add := func(e ast.Expr) {
		if s, ok := text(e); ok {
			list = append(list, s)
			return
		}
		sum, ok := e.(*ast.BinaryExpr)
		if !ok {
			return // a parameter: its callers name it
		}
		begin, ok := text(sum.X)
		if !ok {
			return // what failed: action + ".failed"
		}
		if ends[begin] == nil {
			t.Errorf("%s: actions that begin with %q are not known to this test", set.Position(e.Pos()), begin)
		}
		for _, end := range ends[begin] {
			list = append(list, begin+end)
		}
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(set, f, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.SelectorExpr:
					name = f.Sel.Name
				case *ast.Ident:
					name = f.Name
				}
				if i, ok := at[name]; ok && i < len(n.Args) {
					add(n.Args[i])
				}
			case *ast.CompositeLit:
				if s, ok := n.Type.(*ast.SelectorExpr); ok && s.Sel.Name != "Entry" {
					return true
				} else if i, ok := n.Type.(*ast.Ident); ok && i.Name != "Entry" {
					return true
				}
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						if k, ok := kv.Key.(*ast.Ident); ok && k.Name == "Action" {
							add(kv.Value)
						}
					}
				}
			}
			return true
		})
	}
	return list
}

// TestJournalWords: the page has words for every action that the journal can hold, in both
// languages, and none for what it cannot.
func TestJournalWords(t *testing.T) {
	t.Parallel()
	actions := slices.Concat(
		named(t, ".", map[string]int{"change": 2, "changeAlarm": 3, "note": 0, "journalled": 0, "late": 0, "erased": 0}),
		named(t, "../operator", map[string]int{"entry": 0}),
		named(t, "../../cmd/shiren", map[string]int{"journalled": 2, "erased": 2}),
	)
	slices.Sort(actions)
	actions = slices.Compact(actions)
	for _, known := range []string{"account.reset", "sign_out", "person.erased", "alarm.add", "webhook.rotate", "app.key.add", "plan.revive", "records.search", "explorer.send"} {
		if !slices.Contains(actions, known) {
			t.Errorf("the sources were searched without finding %s", known)
		}
	}
	for _, lang := range []string{"zh-CN", "en"} {
		b, err := os.ReadFile("../../web/console/src/areas/access/locale." + lang + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var words map[string]string
		if err := json.Unmarshal(b, &words); err != nil {
			t.Fatal(err)
		}
		for _, a := range actions {
			if words["do."+a] == "" {
				t.Errorf("%s: no words for %q", lang, a)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(words)) {
			if a, ok := strings.CutPrefix(key, "do."); ok && !slices.Contains(actions, a) {
				t.Errorf("%s: words for %q, which nothing writes", lang, a)
			}
		}
	}
}
