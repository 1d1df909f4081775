package store_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/seal"
	"shiren/internal/source/registry"
	"shiren/internal/store"
	"shiren/internal/store/storetest"
)

// raw runs a statement on a database file beside the store.
func raw(t testing.TB, dsn, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite3", strings.Replace(dsn, "sqlite:", "file:", 1)+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.Exec(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v; want one at least", query, n, err)
	}
}

// files returns all bytes of a database: the file itself, its log and its index.
func files(t testing.TB, dsn string) []byte {
	t.Helper()
	names, err := filepath.Glob(strings.TrimPrefix(dsn, "sqlite:") + "*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no database files: %v", err)
	}
	var all []byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// found tells whether data holds needle, as it is or as hex or base64 at any alignment.
func found(data []byte, needle string) bool {
	forms := []string{needle, hex.EncodeToString([]byte(needle))}
	for shift := range 3 {
		enc := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), needle...))
		forms = append(forms, enc[4*min(shift, 1):len(enc)-3]) // without what neighbours change
	}
	for _, f := range forms {
		if bytes.Contains(data, []byte(f)) {
			return true
		}
	}
	return false
}

// Whoever copies the database files learns no name, number, token, template or secret.
func TestFilesHoldNothingPersonal(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	s, ctx := open(t, dsn), t.Context()
	ses := typical("bearer-token-of-24-chars")
	ses.Claim = &ekyc.Claim{Name: "欧阳明月", Number: "440306199001011234"}
	ses.Attempts[0].Claim = ses.Claim
	ses.Redirect.Success = "https://example.com/return?user=ouyang-mingyue"
	ses.Attempts[0].Charges = []ekyc.Charge{{ID: "charge-1", App: "10001", Plan: "demo", Kind: ekyc.ChargeMatch, LogID: "1234567890123456789"}}
	vector := ses.Reference.Template.Vector
	for i := range vector {
		vector[i] = float32(i) * 1.2345e-4
	}
	for _, err := range []error{
		s.PutApp(ctx, ekyc.App{ID: "10001", Name: "Relying Party", Key: "public-api-key", Secret: "very-secret-key-of-app", Bearer: "bearer-key-of-app"}),
		s.CreateSession(ctx, ses),
		s.AddDirect(ctx, ekyc.Direct{ID: "direct-1", App: "10001", Kind: ekyc.ChargeElements, Keys: []ekyc.RecordKey{
			{Field: ekyc.FieldName, Value: string(ses.Claim.Name)}, {Field: ekyc.FieldNumber, Value: string(ses.Claim.Number)}, {Field: ekyc.FieldMobile, Value: "13800138000"},
		}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.UpdateSession(ctx, ses.Token, func(ses *ekyc.Session) error { ses.Calls = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	data := files(t, dsn)
	for _, public := range []string{"public-api-key", "charge-1", ses.Token.Digest()} { // or the search is no search
		if !found(data, public) {
			t.Errorf("the database files do not hold %q, which is not hidden", public)
		}
	}
	for _, secret := range []string{
		string(ses.Token), string(ses.Claim.Name), string(ses.Claim.Number), "ouyang-mingyue", "very-secret-key-of-app", "bearer-key-of-app",
		"13800138000", string(floats(vector[100:110])),
	} {
		if found(data, secret) {
			t.Errorf("the database files hold %q", secret)
		}
	}
}

func floats(v []float32) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

// A forgotten session's data key is overwritten, not only unlinked.
func TestForgottenKeyIsGoneFromTheFile(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Sealer: sealer(1)})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for i := range 20 {
		token := ekyc.Token(fmt.Sprint("token", i))
		if err := s.CreateSession(t.Context(), typical(string(token))); err != nil {
			t.Fatal(err)
		}
		ses, err := s.Session(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, base64.RawStdEncoding.EncodeToString(ses.Key))
	}
	if data := files(t, dsn); !bytes.Contains(data, []byte(keys[3])) {
		t.Fatal("the data key is not in the file before: the test looks for the wrong bytes")
	}
	for i := range keys[:10] {
		if err := s.Forget(t.Context(), ekyc.Token(fmt.Sprint("token", i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil { // moves the log into the file
		t.Fatal(err)
	}
	data := files(t, dsn)
	for i, key := range keys {
		if got, want := bytes.Contains(data, []byte(key)), i >= 10; got != want {
			t.Errorf("data key %d in the file: %v, want %v", i, got, want)
		}
	}
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	s := open(t, dsn)
	if err := s.PutPlan(t.Context(), ekyc.Plan{ID: "p"}); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(dsn, "sqlite:")
	for name, want := range map[string]os.FileMode{path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", name, got, want)
		}
	}
}

// childOf, when set, makes the test binary the child of TestKill9.
const childOf = "SHIREN_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childOf); dsn != "" {
		if err := child(dsn); err != nil {
			fmt.Println("failed:", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child opens sessions and charges them for ever, from several goroutines, and prints
// what the store acknowledged: a session's token
// and how many charges it has.
func child(dsn string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{DSN: dsn, Sealer: sealer(1)})
	if err != nil {
		return err
	}
	var print sync.Mutex
	failed := make(chan error)
	for g := range 8 {
		go func() {
			for i := 0; ; i++ {
				ses := ekyc.Session{Token: ekyc.Token(fmt.Sprint("token-", g, "-", i)), App: "1", Opened: time.Unix(1e9, 0)}
				if err := s.CreateSession(ctx, ses); err != nil {
					failed <- err
				}
				for n := range 4 {
					print.Lock()
					fmt.Println(string(ses.Token), n)
					print.Unlock()
					_, err := s.UpdateSession(ctx, ses.Token, func(ses *ekyc.Session) error {
						ses.Attempts = append(ses.Attempts, ekyc.Attempt{Ordinal: n + 1, Charges: []ekyc.Charge{{
							ID: fmt.Sprint(string(ses.Token), n), App: "1", Plan: "p", Kind: ekyc.ChargeMatch,
						}}})
						return nil
					})
					if err != nil {
						failed <- err
					}
				}
			}
		}()
	}
	return <-failed
}

// A server that is killed in the middle of its work has lost nothing that it
// acknowledged, and its ledger agrees with its sessions.
func TestKill9(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		dsn := inFile(t)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childOf+"="+dsn)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := map[string]int{}
		lines := bufio.NewReader(out)
		for n := 0; ; n++ {
			if n == 300+100*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			line, err := lines.ReadString('\n')
			if err != nil { // the kill; half a line is no acknowledgement
				break
			}
			var token string
			var charges int
			if _, err := fmt.Sscan(line, &token, &charges); err != nil {
				t.Fatalf("the child said %q", line)
			}
			acknowledged[token] = charges
		}
		cmd.Wait() // its error is the kill
		if len(acknowledged) == 0 {
			t.Fatal("the child acknowledged nothing")
		}

		s, err := store.Open(t.Context(), store.Config{DSN: dsn, Sealer: sealer(1)})
		if err != nil {
			t.Fatalf("after the kill: %v", err)
		}
		for token, want := range acknowledged {
			ses, err := s.Session(t.Context(), ekyc.Token(token))
			if err != nil {
				t.Errorf("acknowledged session %s: %v", token, err)
			} else if got := len(ses.Charges()); got < want {
				t.Errorf("session %s has %d charges, want the %d that were acknowledged", token, got, want)
			}
		}
		all, err := s.Due(t.Context(), time.Unix(2e9, 0), 1e6)
		if err != nil {
			t.Fatal(err)
		}
		var inSessions int64
		for _, ses := range all {
			inSessions += int64(len(ses.Charges()))
		}
		ledger, err := s.Charged(t.Context(), "1", ekyc.ChargeMatch)
		if err != nil {
			t.Fatal(err)
		}
		if ledger != inSessions {
			t.Errorf("the ledger has %d charges, the sessions have %d", ledger, inSessions)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The wrong key file stops the server at its start.
func TestWrongMasterKey(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	s := open(t, dsn)
	if err := s.PutApp(t.Context(), ekyc.App{ID: "1", Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), store.Config{DSN: dsn, Sealer: sealer(2)})
	if !errors.Is(err, seal.ErrMaster) {
		t.Errorf("Open with another master key said %v, want %v", err, seal.ErrMaster)
	}
	again := open(t, dsn)
	if _, err := again.App(t.Context(), "1"); err != nil {
		t.Errorf("with the right master key: %v", err)
	}
}

// Records that cannot be opened are reported to who asks for them, do not keep a purge
// from the others, and go when everything they could hold is due.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	s, ctx := open(t, dsn), t.Context()
	opened := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	create := func(token ekyc.Token, after time.Duration) {
		t.Helper()
		if err := s.CreateSession(ctx, ekyc.Session{Token: token, App: "1", Opened: opened.Add(after)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 { // the oldest, and more than a page of them
		create(ekyc.Token(fmt.Sprint("bad", i)), time.Duration(i)*time.Second)
	}
	create("good1", time.Minute)
	create("bad5", 2*time.Minute)
	create("good2", 3*time.Minute)
	digest := func(i int) string { return ekyc.Token(fmt.Sprint("bad", i)).Digest() }
	raw(t, dsn, `update sessions set doc = 'AAAA' where token_digest = $1`, digest(0))
	raw(t, dsn, `update sessions set doc = '*' where token_digest = $1`, digest(1))
	raw(t, dsn, `update sessions set data_key = '' where token_digest = $1`, digest(2))
	raw(t, dsn, `update sessions set data_key = (select data_key from sessions where token_digest = $1) where token_digest = $2`, digest(4), digest(3))
	// Another session's record under one's own name, key and all.
	good := ekyc.Token("good1").Digest()
	raw(t, dsn, `update sessions set (data_key, doc) = (select data_key, doc from sessions where token_digest = $1) where token_digest = $2`, good, digest(4))
	raw(t, dsn, `update sessions set (data_key, doc) = (select data_key, doc from sessions where token_digest = $1) where token_digest = $2`, good, digest(5))

	if _, err := s.Session(ctx, "bad0"); err == nil || errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("reading a damaged session said %v, want an error that is not ErrAbsent", err)
	}
	now := opened.Add(ekyc.ResultKept + time.Hour)
	for limit, want := range map[int]string{1: "good1", 2: "good1 good2", 50: "good1 good2"} {
		list, err := s.Due(ctx, now, limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, ses := range list {
			got = append(got, string(ses.Token))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("Due with limit %d gave %v, want %s", limit, got, want)
		}
	}
	// Nothing that may still be wanted: the key file could be put right.
	if n, err := s.ForgetUnreadable(ctx, now); n != 0 || err != nil {
		t.Errorf("ForgetUnreadable at the first due time = %d, %v; want none", n, err)
	}
	if n, err := s.ForgetUnreadable(ctx, now.Add(ekyc.ResultKept)); n != 6 || err != nil {
		t.Errorf("ForgetUnreadable at the end = %d, %v; want 6", n, err)
	}
	if list, err := s.Due(ctx, now, 50); len(list) != 2 || err != nil {
		t.Errorf("after it %d sessions are due, %v; want the 2 good ones", len(list), err)
	}
}

// One caller's failure is its own: those who share its transaction are not touched.
func TestOneFailureInABatch(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, inFile(t)), t.Context()
	if err := s.CreateSession(ctx, ekyc.Session{Token: "taken", App: "1", Opened: time.Unix(1e9, 0)}); err != nil {
		t.Fatal(err)
	}
	const n = 200
	errs := make([]error, n)
	token := func(i int) ekyc.Token {
		if i%3 == 0 {
			return "taken"
		}
		return ekyc.Token(fmt.Sprint("token", i))
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			errs[i] = s.CreateSession(ctx, ekyc.Session{Token: token(i), App: "1", Opened: time.Unix(1e9, 0), Attempts: []ekyc.Attempt{{
				Charges: []ekyc.Charge{{ID: fmt.Sprint("charge", i), App: "1", Kind: ekyc.ChargeMatch}},
			}}})
		})
	}
	wg.Wait()
	var want int64
	for i, err := range errs {
		if failed := err != nil; failed != (i%3 == 0) {
			t.Errorf("create %d of %q: %v", i, string(token(i)), err)
		}
		if err == nil {
			want++
			if _, err := s.Session(ctx, token(i)); err != nil {
				t.Error(err)
			}
		}
	}
	if got, err := s.Charged(ctx, "1", ekyc.ChargeMatch); got != want || err != nil {
		t.Errorf("%d charges, %v; want %d, of those who succeeded alone", got, err, want)
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); conflict(t, open(t, inFile(t))) })
	t.Run("memory", func(t *testing.T) { t.Parallel(); conflict(t, open(t, "sqlite::memory:")) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); conflict(t, open(t, storetest.Postgres(t).Database(t))) })
}

// An update whose session changes under it runs once more, sees the change, and keeps it.
func conflict(t *testing.T, s *store.Store) {
	ctx := t.Context()
	if err := s.CreateSession(ctx, ekyc.Session{Token: "one", App: "1", Opened: time.Unix(1e9, 0)}); err != nil {
		t.Fatal(err)
	}
	add := func(id string) func(*ekyc.Session) error {
		return func(ses *ekyc.Session) error {
			ses.Calls = append(ses.Calls, ekyc.Call{LogID: id})
			ses.Attempts = append(ses.Attempts, ekyc.Attempt{Charges: []ekyc.Charge{{ID: id, App: "1", Kind: ekyc.ChargeLive}}})
			return nil
		}
	}
	runs := 0
	intrude := func(then func(*ekyc.Session) error) func(*ekyc.Session) error {
		runs = 0
		return func(ses *ekyc.Session) error {
			if runs++; runs == 1 {
				if _, err := s.UpdateSession(ctx, "one", add("intruder")); err != nil {
					return err
				}
				return add("first try")(ses)
			}
			return then(ses)
		}
	}
	check := func(what string, want ...string) {
		t.Helper()
		ses, err := s.Session(ctx, "one")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range ses.Calls {
			got = append(got, c.LogID)
		}
		if !slices.Equal(got, want) || runs != 2 {
			t.Errorf("%s: calls %v after %d runs, want %v after 2", what, got, runs, want)
		}
	}
	got, err := s.UpdateSession(ctx, "one", intrude(add("second try")))
	if err != nil {
		t.Fatal(err)
	}
	check("success", "intruder", "second try")
	if len(got.Calls) != 2 {
		t.Errorf("UpdateSession returned %d calls, want 2", len(got.Calls))
	}

	refusal := errors.New("spent")
	if _, err := s.UpdateSession(ctx, "one", intrude(func(*ekyc.Session) error { return refusal })); err != refusal {
		t.Errorf("UpdateSession said %v, want %v", err, refusal)
	}
	check("refusal", "intruder", "second try", "intruder")

	// A panic belongs to the caller, whose handler may live through it. The store does.
	func() {
		defer func() {
			if p := recover(); p != "a bug in a rule" {
				t.Errorf("the caller recovered %v, want its function's panic", p)
			}
		}()
		s.UpdateSession(ctx, "one", intrude(func(*ekyc.Session) error { panic("a bug in a rule") }))
	}()
	check("panic", "intruder", "second try", "intruder", "intruder")
	if n, err := s.Charged(ctx, "1", ekyc.ChargeLive); n != 2 || err != nil { // "intruder" is one charge
		t.Errorf("%d charges, %v; want 2", n, err)
	}
}

// What another process changes is seen when CacheTTL is over; an unchanged answer comes
// from memory until then.
func TestAnotherProcessChangesAnApp(t *testing.T) {
	dsn := inFile(t)
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		server, tool := open(t, dsn), open(t, dsn)
		put := func(a ekyc.App, p ekyc.Plan) {
			t.Helper()
			if err := errors.Join(tool.PutApp(ctx, a), tool.PutPlan(ctx, p)); err != nil {
				t.Fatal(err)
			}
		}
		put(ekyc.App{ID: "1", Key: "k"}, ekyc.Plan{ID: "p", Name: "old"})
		read := func() (disabled bool, plan string) {
			t.Helper()
			a, aerr := server.AppByKey(ctx, "k")
			p, perr := server.Plan(ctx, "p")
			if err := errors.Join(aerr, perr); err != nil {
				t.Fatal(err)
			}
			return a.Disabled, p.Name
		}
		read()
		put(ekyc.App{ID: "1", Key: "k", Disabled: true}, ekyc.Plan{ID: "p", Name: "new"})
		if disabled, plan := read(); disabled || plan != "old" {
			t.Errorf("at once the server reads %v, %q: the database, not its memory", disabled, plan)
		}
		time.Sleep(store.CacheTTL + time.Millisecond)
		if disabled, plan := read(); !disabled || plan != "new" {
			t.Errorf("after %v the server reads %v, %q; want true, \"new\"", store.CacheTTL, disabled, plan)
		}
	})
}

// Processes that start together on no database yet all get one.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return inFile(t) },
		"postgres": func(t *testing.T) string { return storetest.Postgres(t).Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := dsn(t)
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(func() {
					s, err := store.Open(t.Context(), store.Config{DSN: dsn, Sealer: sealer(1)})
					if err != nil {
						t.Error(err)
						return
					}
					if err := s.PutPlan(t.Context(), ekyc.Plan{ID: ekyc.PlanID(fmt.Sprint(i))}); err != nil {
						t.Error(err)
					}
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if list, err := open(t, dsn).Plans(t.Context()); len(list) != 6 || err != nil {
				t.Errorf("%d plans, %v; want 6", len(list), err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"":                         "must start with",
		"mysql://u:hunter2@h/d":    "must start with",
		"sqlite:":                  "needs a path",
		"sqlite:/dev/null/x/db":    "not a directory",
		"postgres://u:hunter2@h:x": "",
		"postgres://u:hunter2@127.0.0.1:1/d?connect_timeout=1": "",
	} {
		s, err := store.Open(t.Context(), store.Config{DSN: dsn, Sealer: sealer(1)})
		if err == nil {
			s.Close()
			t.Errorf("Open took %q", dsn)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open of %q said %q; want %q, and no password", dsn, err, want)
		}
	}
	if _, err := store.Open(t.Context(), store.Config{DSN: "sqlite::memory:"}); err == nil {
		t.Error("Open took no sealer")
	}
}

// An older release must not write to a newer one's tables.
func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	if err := open(t, dsn).Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, dsn, `insert into goose_db_version (version_id, is_applied) values (999, 1)`)
	_, err := store.Open(t.Context(), store.Config{DSN: dsn, Sealer: sealer(1)})
	if err == nil || !strings.Contains(err.Error(), "newer release") {
		t.Errorf("Open of a newer schema said %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := open(t, inFile(t))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close said %v", err)
		}
	}
	if err := s.CreateSession(t.Context(), ekyc.Session{Token: "one"}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("CreateSession after Close said %v, want %v", err, store.ErrClosed)
	}
	if _, err := s.Session(t.Context(), "one"); err == nil || errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("Session after Close said %v, want an error that is not ErrAbsent", err)
	}
}

func TestPeople(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); people(t, open(t, inFile(t)).People()) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); people(t, open(t, storetest.Postgres(t).Database(t)).People()) })
}

func people(t *testing.T, p *store.People) {
	ctx := t.Context()
	stats := func(want registry.Stats) {
		t.Helper()
		if want.Models == nil {
			want.Models = map[string]int64{}
		}
		if n, err := p.Stats(ctx); !reflect.DeepEqual(n, want) || err != nil {
			t.Errorf("Stats = %+v, %v; want %+v", n, err, want)
		}
	}
	stats(registry.Stats{})
	if _, err := p.Get(ctx, "a"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("Get said %v, want ErrAbsent", err)
	}
	for _, sealed := range []string{"\x00\xff first", "second"} {
		a := registry.Row{
			Digest: "a", Key: []byte("key of " + sealed), Sealed: []byte(sealed), Model: "m1",
			Portrait: []byte("face of " + sealed), Mobiles: []string{"n1", "n of " + sealed[len(sealed)-4:]},
		}
		b := registry.Row{Digest: "b", Key: []byte("k"), Sealed: []byte("s"), Mobiles: []string{"n1", "n1"}}
		if err := p.Put(ctx, a, b); err != nil {
			t.Fatal(err)
		}
		got, err := p.Get(ctx, "a")
		if err != nil || string(got.Sealed) != sealed || string(got.Key) != "key of "+sealed || got.Model != "m1" || got.Portrait != nil {
			t.Errorf("Get = %+v, %v; want %q, its key and model, no portrait", got, err, sealed)
		}
		if face, err := p.Portrait(ctx, "a"); string(face) != "face of "+sealed || err != nil {
			t.Errorf("Portrait = %q, %v", face, err)
		}
		if _, err := p.Portrait(ctx, "b"); !errors.Is(err, ekyc.ErrAbsent) {
			t.Errorf("Portrait of one without said %v, want ErrAbsent", err)
		}
		stats(registry.Stats{People: 2, Portraits: 1, Mobiles: 3, Models: map[string]int64{"m1": 1}})
	}
	if o, err := p.Owners(ctx, "n of irst", 9); len(o) != 0 || err != nil {
		t.Errorf("Owners of a number that was replaced = %v, %v; want none", o, err)
	}
	if o, err := p.Owners(ctx, "n1", 9); !slices.Equal(o, []string{"a", "b"}) || err != nil {
		t.Errorf("Owners = %v, %v; want a and b", o, err)
	}
	found, err := p.Find(ctx, []string{"b", "a", "nobody"})
	if len(found) != 2 || err != nil {
		t.Errorf("Find = %d records, %v; want 2", len(found), err)
	}
	if found, err := p.Find(ctx, nil); found != nil || err != nil {
		t.Errorf("Find of nothing = %v, %v", found, err)
	}
	list, err := p.List(ctx, "a", 5)
	if len(list) != 1 || err != nil || list[0].Digest != "b" {
		t.Errorf("List after a = %+v, %v; want b", list, err)
	}

	// A new model: what has a portrait is stale until it is renewed.
	stale, err := p.Stale(ctx, "m2", "", 5)
	if len(stale) != 1 || err != nil || stale[0].Digest != "a" || string(stale[0].Portrait) != "face of second" {
		t.Fatalf("Stale = %+v, %v; want a with its portrait", stale, err)
	}
	if err := p.Renew(ctx, stale[0], []byte("third"), "m2"); err != nil {
		t.Fatal(err)
	}
	if err := p.Renew(ctx, stale[0], []byte("too late"), "m3"); err != nil { // the record is another meanwhile
		t.Fatal(err)
	}
	if got, err := p.Get(ctx, "a"); err != nil || string(got.Sealed) != "third" || got.Model != "m2" {
		t.Errorf("after renewing: %+v, %v; want the third", got, err)
	}
	if stale, err := p.Stale(ctx, "m2", "", 5); len(stale) != 0 || err != nil {
		t.Errorf("Stale = %+v, %v; want none", stale, err)
	}
	if err := p.Put(ctx, registry.Row{Digest: "a", Key: []byte("k"), Sealed: []byte("fourth"), KeepPortrait: true}); err != nil {
		t.Fatal(err)
	}
	if face, err := p.Portrait(ctx, "a"); string(face) != "face of second" || err != nil {
		t.Errorf("a portrait that was to stay = %q, %v", face, err)
	}
	for range 2 {
		if err := p.Delete(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		stats(registry.Stats{People: 1, Mobiles: 1})
	}
	if _, err := p.Get(ctx, "a"); !errors.Is(err, ekyc.ErrAbsent) {
		t.Errorf("Get after Delete said %v, want ErrAbsent", err)
	}
}
