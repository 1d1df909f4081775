package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/store"
)

// older takes away what migration 6 added to rows, as an older release left them.
func older(t *testing.T, dsn string) {
	t.Helper()
	for _, query := range []string{
		`delete from records`, `delete from record_keys`, `delete from record_facets`, `update subjects set person = ''`,
		`update record_progress set position = '', done = 0`,
	} {
		raw(t, dsn, query)
	}
}

func complete(t *testing.T, s *store.Store) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		done, err := s.Complete(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the records of an older database were not made within a minute")
		}
	}
}

// TestOlderDatabase: what an older release wrote can be found after an upgrade, also where the
// making of the records was interrupted, and no record is there twice.
func TestOlderDatabase(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	const n = 350 // several transactions
	ctx, number := t.Context(), cnid.Number("11010519491231002X")
	func() {
		s, err := store.Open(ctx, store.Config{DSN: dsn, Sealer: sealer(1)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i := range n {
			ses := typical(fmt.Sprintf("token-%018d", i))
			ses.Attempts[0].LogID = fmt.Sprint("log-", i)
			ses.Claim = &ekyc.Claim{Name: "张三", Number: number}
			ses.Opened = ses.Opened.Add(time.Duration(i) * time.Second)
			if err := s.CreateSession(ctx, ses); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddDirect(ctx, ekyc.Direct{ID: "call", Ref: "order", App: "1", Kind: ekyc.ChargeMatch, Compared: true, Score: 0.9, Answered: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.UpdateSubject(ctx, "subject", func(u *ekyc.Subject) error {
			u.Claim = &ekyc.Claim{Name: "张三", Number: number}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}()
	older(t, dsn)

	// Interrupted: the first process makes the first hundred and dies.
	s, err := store.Open(ctx, store.Config{DSN: dsn, Sealer: sealer(1)})
	if err != nil {
		t.Fatal(err)
	}
	// A session that changes meanwhile gets its record from the change.
	late := ekyc.Token(fmt.Sprintf("token-%018d", n-1))
	if _, err := s.UpdateSession(ctx, late, func(ses *ekyc.Session) error { ses.Attempts[0].LogID = "changed"; return nil }); err != nil {
		t.Fatal(err)
	}
	s.Close()

	s = open(t, dsn)
	complete(t, s)
	find := func(k ekyc.RecordKey) int {
		t.Helper()
		list, err := s.Search(ctx, ekyc.RecordQuery{Keys: []ekyc.RecordKey{k}, Limit: ekyc.MaxRecords})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	all, err := s.Search(ctx, ekyc.RecordQuery{Limit: ekyc.MaxRecords})
	if err != nil || len(all) != n+1 {
		t.Errorf("got %d records, %v; want %d", len(all), err, n+1)
	}
	for what, c := range map[string]struct {
		key  ekyc.RecordKey
		want int
	}{
		"number":            {ekyc.RecordKey{Field: ekyc.FieldNumber, Value: string(number)}, n},
		"log id":            {ekyc.RecordKey{Field: ekyc.FieldLogID, Value: "log-7"}, 1},
		"log id changed":    {ekyc.RecordKey{Field: ekyc.FieldLogID, Value: "changed"}, 1},
		"log id of before":  {ekyc.RecordKey{Field: ekyc.FieldLogID, Value: fmt.Sprint("log-", n-1)}, 0},
		"a call's order id": {ekyc.RecordKey{Field: ekyc.FieldLogID, Value: "order"}, 1},
	} {
		if got := find(c.key); got != c.want {
			t.Errorf("by %s: got %d records, want %d", what, got, c.want)
		}
	}
	if keys, err := s.SubjectsOf(ctx, number); len(keys) != 1 || err != nil {
		t.Errorf("subjects of the person: got %q, %v; want one", keys, err)
	}
	if err := s.ForgetSubject(ctx, "subject"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Subject(ctx, "subject"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("a subject that was forgotten: %v, want absent", err)
	}
	for i := range n {
		if err := s.Forget(ctx, ekyc.Token(fmt.Sprintf("token-%018d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if got := find(ekyc.RecordKey{Field: ekyc.FieldNumber, Value: string(number)}); got != 0 {
		t.Errorf("after all sessions went %d are found by number", got)
	}
	if left := counted(t, s, dsn, `select count(*) from record_keys`); left != 0 {
		t.Errorf("%d keys are left of sessions that went", left)
	}
}

// counted closes s and counts.
func counted(t *testing.T, s *store.Store, dsn, query string) (n int64) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", strings.Replace(dsn, "sqlite:", "file:", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
