package store_test

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"shiren/internal/ekyc"
	"shiren/internal/seal"
	"shiren/internal/store"
	"shiren/internal/store/storetest"
)

func sealer(master byte) *seal.Sealer {
	s, err := seal.New(bytes.Repeat([]byte{master}, seal.MasterSize), rand.NewChaCha8([32]byte{master}))
	if err != nil {
		panic(err)
	}
	return s
}

// open opens a store that is closed with the test.
func open(t testing.TB, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Sealer: sealer(1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func inFile(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "data", "shiren.db") }

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) ekyc.Store { return open(t, inFile(t)) })
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) ekyc.Store { return open(t, "sqlite::memory:") })
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := storetest.Postgres(t)
	storetest.Run(t, func(t *testing.T) ekyc.Store { return open(t, server.Database(t)) })
}
