package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shiren/internal/ekyc"
	"shiren/internal/store"
	"shiren/internal/store/storetest"
)

var at = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// onEach runs a test on SQLite and on PostgreSQL; each open gives another process's view of
// one database.
func onEach(t *testing.T, run func(t *testing.T, open func() *store.Store)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		dsn := inFile(t)
		run(t, func() *store.Store { return open(t, dsn) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		dsn := storetest.Postgres(t).Database(t)
		run(t, func() *store.Store { return open(t, dsn) })
	})
}

func TestARequestIsFreshOnceOnEveryNode(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func() *store.Store) {
		nodes := []*store.Store{open(), open()}
		var fresh atomic.Int64
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				first, err := nodes[i%2].Once(t.Context(), fmt.Sprintf("%032d", i/4), at)
				if err != nil {
					t.Error(err)
				}
				if first {
					fresh.Add(1)
				}
			})
		}
		group.Wait()
		if fresh.Load() != 10 {
			t.Errorf("%d of 10 requests sent four times each were fresh, want 10", fresh.Load())
		}
		if n, err := nodes[0].ForgetRequests(t.Context(), at.Add(-time.Millisecond)); n != 0 || err != nil {
			t.Errorf("before their time: %d forgotten, %v", n, err)
		}
		if n, err := nodes[0].ForgetRequests(t.Context(), at); n != 10 || err != nil {
			t.Errorf("at their time: %d forgotten, %v, want 10", n, err)
		}
		if first, err := nodes[1].Once(t.Context(), fmt.Sprintf("%032d", 0), at); !first || err != nil {
			t.Errorf("after it was forgotten: fresh %v, %v", first, err)
		}
	})
}

func TestSubjectsAreCountedAtomicallyOnEveryNode(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func() *store.Store) {
		nodes := []*store.Store{open(), open()}
		if _, err := nodes[0].Subject(t.Context(), "k"); !errors.Is(err, ekyc.ErrAbsent) {
			t.Errorf("before: got %v, want absent", err)
		}
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				_, err := nodes[i%2].UpdateSubject(t.Context(), "k", func(u *ekyc.Subject) error {
					u.App, u.ID, u.Until = "1", "user", at
					u.Opened++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		want := ekyc.Subject{App: "1", ID: "user", Until: at, Opened: 20}
		got, err := nodes[1].Subject(t.Context(), "k")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		refused := errors.New("no")
		if _, err := nodes[0].UpdateSubject(t.Context(), "k", func(u *ekyc.Subject) error { u.Opened = 99; return refused }); err != refused {
			t.Errorf("got %v, want the function's own error", err)
		}
		if got, _ := nodes[0].Subject(t.Context(), "k"); got.Opened != 20 {
			t.Errorf("a refused update left %d", got.Opened)
		}
		if n, err := nodes[0].ForgetSubjects(t.Context(), at); n != 1 || err != nil {
			t.Errorf("%d forgotten, %v, want 1", n, err)
		}
		if _, err := nodes[1].Subject(t.Context(), "k"); !errors.Is(err, ekyc.ErrAbsent) {
			t.Errorf("after: got %v, want absent", err)
		}
	})
}

func TestAppKeysAreKeptSealed(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	s := open(t, dsn)
	key := ekyc.AppKey{
		App: "1", ID: "DEVELOPER_SIGN_01", Use: ekyc.KeySign, Ours: true, Public: []byte("public half"), Private: "privateHalfInBase64",
		Created: at, Until: at.Add(time.Hour),
	}
	later := ekyc.AppKey{App: "1", ID: "A", Use: ekyc.KeyEncrypt, Public: []byte("x"), Created: at.Add(time.Minute)}
	for _, k := range []ekyc.AppKey{later, key, {App: "2", ID: "B", Created: at}} {
		if err := s.PutAppKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	claim := ekyc.Claim{Name: "张三丰", Number: "11010519491231002X"}
	if _, err := s.UpdateSubject(t.Context(), "k", func(u *ekyc.Subject) error {
		u.ID, u.Claim, u.Until = "user-7391", &claim, at
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	got, err := s.AppKeys(t.Context(), "1")
	if diff := cmp.Diff([]ekyc.AppKey{key, later}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, "privateHalf") {
		t.Errorf("a key prints its private half: %s", text)
	}
	key.Until = at
	if err := s.PutAppKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.AppKeys(t.Context(), "1"); len(got) != 2 || !got[0].Until.Equal(at) {
		t.Errorf("after a change: %v", got)
	}
	if err := s.RemoveAppKey(t.Context(), "1", later.ID); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.AppKeys(t.Context(), "1"); len(got) != 1 {
		t.Errorf("after a removal: %d keys, want 1", len(got))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(strings.TrimPrefix(dsn, "sqlite:") + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no database at %s, %v", dsn, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"privateHalf", "张三丰", "11010519491231002X", "user-7391"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q in the clear", filepath.Base(file), secret)
			}
		}
	}
}
