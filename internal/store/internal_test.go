package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"shiren/internal/ekyc"
	"shiren/internal/seal"
)

func openFile(t *testing.T, dir string) *Store {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{DSN: "sqlite:" + filepath.Join(dir, "shiren.db"), Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// What "durable" stands on.
func TestSQLiteSettings(t *testing.T) {
	t.Parallel()
	s := openFile(t, t.TempDir())
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "secure_delete": "1",
	} {
		err := s.writer.do(t.Context(), func(q querier) error {
			var got string
			if err := q.QueryRowContext(t.Context(), "pragma "+pragma).Scan(&got); err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("%s is %s, want %s", pragma, got, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := s.read.ExecContext(t.Context(), `delete from sessions`); err == nil {
		t.Error("a connection for reading can write")
	}
}

// batch runs functions in one transaction of the writer and returns their errors. It
// must be called in a bubble of synctest.
func batch(t *testing.T, s *Store, fs ...func(querier) error) []error {
	t.Helper()
	var writes []func() error
	for _, f := range fs {
		writes = append(writes, func() error { return s.writer.do(t.Context(), f) })
	}
	return together(t, s, writes...)
}

// together is batch for writes of any kind.
func together(t *testing.T, s *Store, fs ...func() error) []error {
	t.Helper()
	block, blocked := make(chan struct{}), make(chan error)
	go func() {
		blocked <- s.writer.do(t.Context(), func(querier) error { <-block; return nil })
	}()
	synctest.Wait()
	errs := make([]error, len(fs))
	done := make(chan struct{})
	for i, f := range fs {
		go func() {
			errs[i] = f()
			done <- struct{}{}
		}()
		synctest.Wait() // all wait for the writer, in this order
	}
	close(block)
	if err := <-blocked; err != nil {
		t.Fatal(err)
	}
	for range fs {
		<-done
	}
	return errs
}

func put(id string) func(querier) error {
	return func(q querier) error {
		_, err := q.ExecContext(context.Background(), `insert into plans (id, app, doc) values ($1, '', '{}')`, id)
		return err
	}
}

func planIDs(t *testing.T, s *Store) []string {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), `select id from plans order by id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func TestBatch(t *testing.T) {
	failure := errors.New("refused after writing")
	for _, c := range []struct {
		name   string
		second func(querier) error
		want   []string // plans that are there afterwards
		fail   []bool
	}{
		{"all succeed", put("2"), []string{"1", "2", "3"}, []bool{false, false, false}},
		{"one fails after it wrote", func(q querier) error { return errors.Join(put("2")(q), failure) }, []string{"1", "3"}, []bool{false, true, false}},
		{"one breaks a constraint", func(q querier) error { return errors.Join(put("2")(q), put("1")(q)) }, []string{"1", "3"}, []bool{false, true, false}},
		// SQLite ends a transaction by itself when the disk is full, for one. Nobody may
		// be told then that their part of it was written.
		{"the transaction is lost", func(q querier) error { return exec(context.Background(), q, "rollback") }, nil, []bool{true, true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := openFile(t, dir)
				errs := batch(t, s, put("1"), c.second, put("3"))
				var fail []bool
				for _, err := range errs {
					fail = append(fail, err != nil)
				}
				if !slices.Equal(fail, c.fail) {
					t.Errorf("errors %v, want failures %v", errs, c.fail)
				}
				if got := planIDs(t, s); !slices.Equal(got, c.want) {
					t.Errorf("plans %v, want %v", got, c.want)
				}
				if err := s.writer.do(t.Context(), put("next")); err != nil {
					t.Errorf("the next write: %v", err)
				}
			})
		})
	}
}

// A statement that stands alone has no savepoint: it is written with its batch, whatever
// becomes of the others, and takes the whole batch with it where it fails, since SQLite may
// have ended the transaction.
func TestStatementsInABatch(t *testing.T) {
	const insert = `insert into plans (id, app, doc) values ($1, '', '{}')`
	for _, c := range []struct {
		name  string
		third string
		want  []string
		fail  []bool
	}{
		{"all succeed", "3", []string{"1", "3"}, []bool{false, true, false}},
		{"one breaks a constraint", "1", nil, []bool{true, true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := openFile(t, dir)
				statement := func(id string) func() error {
					return func() error {
						n, err := s.writer.exec(t.Context(), insert, id)
						if err == nil && n != 1 {
							t.Errorf("plan %s: %d rows changed, want 1", id, n)
						}
						return err
					}
				}
				refused := func() error {
					return s.writer.do(t.Context(), func(q querier) error { return errors.Join(put("2")(q), errors.New("refused after writing")) })
				}
				var fail []bool
				for _, err := range together(t, s, statement("1"), refused, statement(c.third)) {
					fail = append(fail, err != nil)
				}
				if !slices.Equal(fail, c.fail) {
					t.Errorf("failures %v, want %v", fail, c.fail)
				}
				if got := planIDs(t, s); !slices.Equal(got, c.want) {
					t.Errorf("plans %v, want %v", got, c.want)
				}
				if n, err := s.writer.exec(t.Context(), insert, "next"); err != nil || n != 1 {
					t.Errorf("the next write: %d rows, %v", n, err)
				}
			})
		})
	}
}

// A caller that gives up while its write runs is not cut off, with the others of the
// batch or alone: SQLite would take back what the others wrote.
func TestGivingUpInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openFile(t, dir)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		quitter := func(id string) func(querier) error {
			return func(q querier) error {
				_, err := q.ExecContext(gone, `insert into plans (id, app, doc) values ($1, '', '{}')`, id)
				var n int
				return errors.Join(err, q.QueryRowContext(gone, `select count(*) from plans`).Scan(&n))
			}
		}
		for _, err := range append(batch(t, s, put("1"), quitter("2"), put("3")), s.writer.do(t.Context(), quitter("4"))) {
			if err != nil {
				t.Error(err)
			}
		}
		if got, want := planIDs(t, s), []string{"1", "2", "3", "4"}; !slices.Equal(got, want) {
			t.Errorf("plans %v, want %v", got, want)
		}
	})
}

// A write that is alone in its transaction leaves nothing behind when it fails or panics,
// and the next one finds the writer ready.
func TestFailingAlone(t *testing.T) {
	t.Parallel()
	s := openFile(t, t.TempDir())
	failure := errors.New("refused after writing")
	if err := s.writer.do(t.Context(), func(q querier) error { return errors.Join(put("1")(q), failure) }); !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
	func() {
		defer func() {
			if got := recover(); got != "panicked after writing" {
				t.Errorf("recovered %v, want the write's panic", got)
			}
		}()
		_ = s.writer.do(t.Context(), func(q querier) error {
			if err := put("2")(q); err != nil {
				return err
			}
			panic("panicked after writing")
		})
	}()
	if err := s.writer.do(t.Context(), put("3")); err != nil {
		t.Errorf("the next write: %v", err)
	}
	if got, want := planIDs(t, s), []string{"3"}; !slices.Equal(got, want) {
		t.Errorf("plans %v, want %v", got, want)
	}
}

// Long before the writer would copy the log itself, it has been copied beside it.
func TestCheckpointBesideTheWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openFile(t, dir)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "shiren.db"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	text, before := strings.Repeat("x", 1<<10), size()
	const writes = maxLog / 5 // of at most four pages each
	for i := range writes {
		err := s.writer.do(t.Context(), func(q querier) error {
			_, err := q.ExecContext(t.Context(), `insert into plans (id, app, doc) values ($1, '', $2)`, fmt.Sprint(i), text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if size() > before {
			if i+1 < checkpointAfter {
				t.Errorf("the log was copied after %d writes, want %d", i+1, checkpointAfter)
			}
			return
		}
	}
	t.Errorf("after %d writes the database file has still %d bytes: nothing was copied into it", writes, before)
}

// The log does not grow with what is written: it is copied into the database file beside
// the writer and begins again, or, if the writer never pauses, at maxLog.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openFile(t, dir)
	large := strings.Repeat("x", 128<<10)
	const writes = 2 * checkpointAfter // 64 MiB and more
	for i := range writes {
		err := s.writer.do(t.Context(), func(q querier) error {
			_, err := q.ExecContext(t.Context(), `insert into plans (id, app, doc) values ($1, '', $2) on conflict (id) do update set doc = excluded.doc`, fmt.Sprint(i%8), large)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*-wal"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %v, %v; want one", logs, err)
	}
	info, err := os.Stat(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, most := info.Size(), int64(maxLog+1024)*4120; got > most {
		t.Errorf("after %d writes of 128 KiB the log has %d bytes, want at most %d", writes, got, most)
	}
	if err := s.writer.do(t.Context(), put("last")); err != nil {
		t.Error(err)
	}
}

// Nobody is told "written" before the commit: at the moment of the reply another
// connection sees the row.
func TestReplyFollowsCommit(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openFile(t, dir)
		first := make(chan error)
		go func() {
			first <- s.writer.do(t.Context(), put("0"))
		}()
		var fs []func(querier) error
		for i := range 20 {
			fs = append(fs, func(q querier) error {
				if n := len(planIDs(t, s)); n > 1 {
					t.Errorf("before its commit, %d plans of a batch can be read", n)
				}
				return put(fmt.Sprint("p", i))(q)
			})
		}
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		for _, err := range batch(t, s, fs...) {
			if err != nil {
				t.Error(err)
			}
		}
		if n := len(planIDs(t, s)); n != 21 {
			t.Errorf("%d plans, want 21", n)
		}
	})
}

// What was read before a change must not be remembered after it.
func TestCacheForgetsWhatWasReadBefore(t *testing.T) {
	t.Parallel()
	var c cache[string, int]
	got, err := c.get("k", func() (int, error) {
		c.clear() // a change, while the old value is on its way
		return 1, nil
	})
	if got != 1 || err != nil {
		t.Errorf("get = %d, %v; want 1", got, err)
	}
	for range 2 {
		if got, err := c.get("k", func() (int, error) { return 2, nil }); got != 2 || err != nil {
			t.Errorf("get after the change = %d, %v; want 2", got, err)
		}
	}
	if got, err := c.get("k", func() (int, error) { return 3, nil }); got != 2 || err != nil {
		t.Errorf("get of a remembered value = %d, %v; want 2", got, err)
	}
	failure := errors.New("failure")
	if _, err := c.get("other", func() (int, error) { return 0, failure }); err != failure {
		t.Errorf("get said %v, want %v", err, failure)
	}
	if got, err := c.get("other", func() (int, error) { return 4, nil }); got != 4 || err != nil {
		t.Errorf("get after a failure = %d, %v; want 4: failures are not remembered", got, err)
	}
}

// format1 is a document as the first release wrote it. It is never edited: databases
// hold such documents for days after an upgrade.
const format1 = "testdata/format1.hex"

func old() ekyc.Session {
	at := func(s int) time.Time { return time.Date(2026, 3, 1, 8, 0, s, 1, time.UTC) }
	claim := &ekyc.Claim{Name: "张三", Number: "440306199001011234", Type: ekyc.ResidencePermit}
	return ekyc.Session{
		Token: "token", App: "1", Opened: at(0),
		Plan: ekyc.Plan{
			ID: "p", App: "1", Name: "方案", Comparison: ekyc.CompareUploaded, Identity: ekyc.IdentityDeclared, Liveness: ekyc.LivenessSilent,
			LivenessLevel: ekyc.LevelHigh, QualityLevel: ekyc.LevelLow, MatchAt: 0.8, EndsOnFailure: true, KeepMedia: true,
			Consent: ekyc.Consent{Version: "1", Text: map[string]string{"en": "text"}}, Created: at(1),
		},
		Redirect: ekyc.Redirect{Success: "https://example.com/?a=1&b=<2>", Failed: "f"}, Claim: claim,
		Agreement: &ekyc.Agreement{Version: "1", At: at(2)},
		Reference: &ekyc.Reference{
			Evidence: ekyc.Evidence{Ref: "r", Kind: ekyc.EvidenceReference, Type: "image/jpeg", Size: 3, SHA256: "s", Until: at(3)},
			Template: ekyc.Template{Model: "m", Vector: []float32{0.25, -0.5}},
		},
		Attempts: []ekyc.Attempt{{
			Ordinal: 1, Begun: at(4), Lease: at(5), Finished: at(6), Outcome: ekyc.NonMatched, Code: ekyc.NonMatch, Claim: claim,
			Checks:   []ekyc.Check{{Kind: ekyc.CheckLiveness, Outcome: ekyc.Match, Score: 0.9, Threshold: 0.3}},
			Compared: true, Score: 0.1, FMR: 0.01, Live: 0.9, LogID: "l",
			Charges: []ekyc.Charge{{ID: "c", App: "1", Plan: "p", Kind: ekyc.ChargeMatch, At: at(7), LogID: "l", Attempt: 1}},
		}},
		Evidence: []ekyc.Evidence{{Ref: "e", Kind: ekyc.EvidenceFace, Attempt: 1, Until: at(8)}},
		Calls:    []ekyc.Call{{Interface: ekyc.CallMatch, At: at(9), LogID: "l"}},
	}
}

func TestFormat1IsStillRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(format1)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeSession(doc, new(frozen))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(old(), got); diff != "" {
		t.Errorf("a document of the first release reads differently (-want +got):\n%s", diff)
	}
}

// A session's plan is its own, though the next session with the same text shares what was
// read of it; and neither the plan nor the key is in the rest of the document.
func TestFrozenPlans(t *testing.T) {
	t.Parallel()
	want := old()
	want.Plan.Actions, want.Plan.Sources, want.Plan.NextOn = []ekyc.Action{"blink"}, []string{"registry"}, []ekyc.Outcome{ekyc.NoRecord}
	want.Key = []byte("kept in a column")
	doc, err := encodeSession(&want)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(doc, []byte(`"Consent"`)); n != 1 {
		t.Errorf("the document has the consent text %d times, want 1", n)
	}
	if bytes.Contains(doc, []byte(`"Key"`)) {
		t.Error("the document holds the session's key")
	}
	want.Key = nil
	plans := new(frozen)
	for range 2 {
		got, err := decodeSession(doc, plans)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		got.Plan.Consent.Text["en"] = "spoiled"
		got.Plan.Actions[0], got.Plan.Sources[0], got.Plan.NextOn[0] = "spoiled", "spoiled", "spoiled"
	}
	for i := range 3 * maxFrozen {
		if _, err := plans.read(fmt.Appendf(nil, `{"Name":"%d"}`, i)); err != nil {
			t.Fatal(err)
		}
		if n := len(plans.plans); n > maxFrozen {
			t.Fatalf("%d plans are kept, want at most %d", n, maxFrozen)
		}
	}
}

// Whatever bytes a record has, reading them ends in a session or an error, and a
// session that was read can be written and read again.
func FuzzDecodeSession(f *testing.F) {
	s := old()
	doc, err := encodeSession(&s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	for _, n := range []int{0, 1, 4, 5, 6, 8, 9, 10, len(doc) - 1} {
		f.Add(doc[:n])
	}
	f.Add([]byte{docFormat1, 0xff, 0xff, 0xff, 0xff, '{', '}'})
	f.Add([]byte{docFormat1, 2, 0, 0, 0, '{', '}', 1, 2, 3, 4})
	f.Add([]byte{docFormat, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, '{', '}'})
	f.Add([]byte{docFormat, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, '{', '}', '{', '}'})
	f.Add([]byte{docFormat, 2, 0, 0, 0, 2, 0, 0, 0, '{', '}', '{', '}', 1, 2, 3, 4})
	f.Add([]byte{docFormat + 1, 2, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, doc []byte) {
		first, err := decodeSession(doc, new(frozen))
		if err != nil {
			if !reflect.DeepEqual(first, ekyc.Session{}) {
				t.Errorf("decodeSession gave a session beside %v", err)
			}
			return
		}
		again, err := encodeSession(&first)
		if err != nil {
			return // moments that JSON cannot hold: the year 10000, after conversion to UTC
		}
		second, err := decodeSession(again, new(frozen))
		if err != nil {
			t.Fatal(err)
		}
		third, err := encodeSession(&second)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, third) {
			t.Errorf("writing again what was read gave other bytes:\n%q\n%q", again, third)
		}
	})
}
