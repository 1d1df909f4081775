package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
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

	"shiren/internal/operator"
	"shiren/internal/store"
)

// clerks is a service that writes the journal of a store.
func clerks(t *testing.T, s *store.Store) *operator.Service {
	t.Helper()
	o, err := operator.New(operator.Config{
		Store: s.Operators(), Digester: sealer(1), Now: func() time.Time { return at }, Rand: bytes.NewReader(make([]byte, 1000)),
		Cost: operator.Cost{Memory: 8, Time: 1, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func change(t *testing.T, s *store.Store, f func(ctx context.Context, tx operator.Tx) error) {
	t.Helper()
	if err := s.Operators().Change(t.Context(), func(tx operator.Tx) error { return f(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

var fullAccount = operator.Account{
	ID: "a1", Name: "Wei.Li", Role: operator.Auditor, Password: "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", TOTP: "TOTPSECRETBASE32", Pending: "PENDINGSECRET32",
	Step: 42, Recovery: []string{"digest-of-recovery"}, Language: "zh-CN", Zone: "Asia/Shanghai", Disabled: true,
	Created: at, Seen: at.Add(time.Millisecond), Version: 7,
}

var fullSignIn = operator.SignIn{
	ID: "s1", Account: "a1", Created: at, Seen: at.Add(time.Minute), Proved: at.Add(time.Second), Address: "192.0.2.77", Agent: "Browser/7391",
}

func TestOperatorsComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func() *store.Store) {
		nodes := []*store.Store{open(), open()}
		here, there := nodes[0].Operators(), nodes[1].Operators()
		ctx := t.Context()
		if _, err := here.Account(ctx, "a1"); !errors.Is(err, operator.ErrAbsent) {
			t.Errorf("an account that is not there: %v", err)
		}
		if _, err := here.SignIn(ctx, "s1"); !errors.Is(err, operator.ErrAbsent) {
			t.Errorf("a sign-in that is not there: %v", err)
		}
		if _, err := here.Link(ctx, "l1"); !errors.Is(err, operator.ErrAbsent) {
			t.Errorf("a link that is not there: %v", err)
		}
		if got, err := here.Tries(ctx, "name x"); err != nil || got != (operator.Tries{Key: "name x"}) {
			t.Errorf("tries that are not there: %+v, %v", got, err)
		}
		link := operator.Link{ID: "l1", Kind: operator.LinkInvite, Account: "a1", Until: at.Add(time.Hour)}
		tries := operator.Tries{Key: "name x", Count: 3, Last: at, Until: at.Add(time.Second)}
		younger := operator.Account{ID: "a0", Name: "second", Role: operator.Integrator, Created: at.Add(time.Hour)}
		change(t, nodes[0], func(ctx context.Context, tx operator.Tx) error {
			return errors.Join(tx.PutAccount(ctx, younger), tx.PutAccount(ctx, fullAccount), tx.PutSignIn(ctx, fullSignIn), tx.PutLink(ctx, link), tx.PutTries(ctx, tries))
		})
		same := func(what string, got any, err error, want any) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
			}
		}
		a, err := there.Account(ctx, "a1")
		same("Account", a, err, fullAccount)
		a, err = there.AccountNamed(ctx, operator.Fold("WEI.LI"))
		same("AccountNamed", a, err, fullAccount)
		list, err := there.Accounts(ctx)
		same("Accounts", list, err, []operator.Account{fullAccount, younger})
		in, err := there.SignIn(ctx, "s1")
		same("SignIn", in, err, fullSignIn)
		ins, err := there.SignIns(ctx, "a1")
		same("SignIns", ins, err, []operator.SignIn{fullSignIn})
		l, err := there.Link(ctx, "l1")
		same("Link", l, err, link)
		tr, err := there.Tries(ctx, "name x")
		same("Tries", tr, err, tries)

		err = here.Change(ctx, func(tx operator.Tx) error {
			return tx.PutAccount(ctx, operator.Account{ID: "a2", Name: "SECOND", Created: at})
		})
		if operator.CodeOf(err) != operator.Taken {
			t.Errorf("a name that is taken: %v", err)
		}
		failed := errors.New("no")
		err = here.Change(ctx, func(tx operator.Tx) error {
			return errors.Join(tx.DropSignIn(ctx, "s1"), tx.DropLinks(ctx, operator.LinkInvite, "a1"), tx.DropTries(ctx, "name x"), failed)
		})
		if !errors.Is(err, failed) {
			t.Errorf("a change that fails: %v", err)
		}
		if _, err := there.SignIn(ctx, "s1"); err != nil {
			t.Errorf("a change that failed left something: %v", err)
		}

		forget := func(now, tried time.Time) {
			t.Helper()
			change(t, nodes[1], func(ctx context.Context, tx operator.Tx) error { return tx.Forget(ctx, now, tried) })
		}
		forget(fullSignIn.Until().Add(-time.Millisecond), at.Add(-time.Millisecond))
		if _, err := here.SignIn(ctx, "s1"); err != nil {
			t.Errorf("forgotten before its time: %v", err)
		}
		forget(link.Until, at)
		_, gone := here.SignIn(ctx, "s1")
		_, linkGone := here.Link(ctx, "l1")
		left, err := here.Tries(ctx, "name x")
		if !errors.Is(gone, operator.ErrAbsent) || !errors.Is(linkGone, operator.ErrAbsent) || left.Count != 0 || err != nil {
			t.Errorf("at their time: %v, %v, %+v, %v", gone, linkGone, left, err)
		}
	})
}

// TestTheJournalOfTwoNodesIsOneChain writes from two servers at once.
func TestTheJournalOfTwoNodesIsOneChain(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func() *store.Store) {
		nodes := []*operator.Service{clerks(t, open()), clerks(t, open())}
		if got, err := nodes[0].Verify(t.Context()); err != nil || got != (operator.Chain{}) {
			t.Errorf("an empty journal: %+v, %v", got, err)
		}
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				if err := nodes[i%2].Note(t.Context(), operator.Entry{
					Account: fmt.Sprint("a", i%4), Name: "Wei.Li", Address: "192.0.2.77", Action: []string{"record.reveal", "record.read", "plan.change"}[i%3],
					Object: fmt.Sprint("o", i%5), Reason: "因为 7391", Detail: "x\ny",
				}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		chain, err := nodes[1].Verify(t.Context())
		if err != nil || chain.Last != 40 {
			t.Fatalf("verify: %+v, %v", chain, err)
		}
		for _, test := range []struct {
			q    operator.EntryQuery
			want int
		}{
			{operator.EntryQuery{Limit: 1000}, 40},
			{operator.EntryQuery{}, 40},
			{operator.EntryQuery{Limit: 7}, 7},
			{operator.EntryQuery{Account: "a1"}, 10},
			{operator.EntryQuery{Action: "record.read"}, 13},
			{operator.EntryQuery{Action: "record."}, 27},
			{operator.EntryQuery{Action: "record"}, 0},
			{operator.EntryQuery{Object: "o4", Action: "plan."}, 2},
			{operator.EntryQuery{Since: at, Before: at.Add(time.Millisecond)}, 40},
			{operator.EntryQuery{Since: at.Add(time.Millisecond)}, 0},
			{operator.EntryQuery{Before: at}, 0},
			{operator.EntryQuery{After: 11}, 10},
		} {
			list, err := nodes[0].Entries(t.Context(), test.q)
			if err != nil || len(list) != test.want {
				t.Errorf("%+v: %d entries, %v; want %d", test.q, len(list), err, test.want)
			}
			for i := range list {
				if e := list[i]; e.Name != "Wei.Li" || e.Reason != "因为 7391" || e.Detail != "x y" || !e.At.Equal(at) || i > 0 && e.Seq >= list[i-1].Seq {
					t.Fatalf("entry %+v after %d", e, i)
				}
			}
		}
	})
}

// TestTwoAdministratorsCannotEndEachOther has two of them take the other's role away at once, on
// two servers: one stays.
func TestTwoAdministratorsCannotEndEachOther(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func() *store.Store) {
		var nodes []*operator.Service
		var who []operator.Actor
		for i := range 2 {
			o, err := operator.New(operator.Config{
				Store: open().Operators(), Digester: sealer(1), Now: func() time.Time { return at }, Rand: rand.Reader,
				Cost: operator.Cost{Memory: 8, Time: 1, Threads: 1},
			})
			if err != nil {
				t.Fatal(err)
			}
			link, err := o.RecoveryLink(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, token, err := o.Begin(t.Context(), link, operator.Beginning{Name: fmt.Sprint("admin", i), Password: "four words of no song"}, operator.From{})
			if err != nil {
				t.Fatal(err)
			}
			actor, ok, err := o.Who(t.Context(), token, operator.From{})
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			nodes, who = append(nodes, o), append(who, actor)
		}
		var group sync.WaitGroup
		var done atomic.Int64
		for i := range 2 {
			group.Go(func() {
				other := who[1-i].Account
				if _, err := nodes[i].Set(t.Context(), who[i], other.ID, operator.Auditor, false, other.Version); err == nil {
					done.Add(1)
				} else if operator.CodeOf(err) != operator.Absent { // their sign-in has ended
					t.Error(err)
				}
			})
		}
		group.Wait()
		list, err := nodes[0].Accounts(t.Context())
		left := 0
		for _, a := range list {
			if a.Role == operator.Administrator {
				left++
			}
		}
		if err != nil || done.Load() != 1 || left != 1 {
			t.Errorf("%d changes were made, %d administrators are left, %v; want one of each", done.Load(), left, err)
		}
	})
}

// TestTamperingShows changes the journal where it is kept, in every way that leaves it readable.
func TestTamperingShows(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change []string
		at     int64 // where it shows
		mark   bool  // only against an earlier mark
	}{
		"nothing":             {nil, 0, false},
		"removed":             {[]string{`delete from journal where seq = 3`}, 3, false},
		"moved together":      {[]string{`delete from journal where seq = 3`, `update journal set seq = 3 where seq = 4`, `update journal set seq = 4 where seq = 5`, `update journal_head set seq = 4`}, 3, false},
		"another action":      {[]string{`update journal set action = 'record.read' where seq = 2`}, 2, false},
		"another account":     {[]string{`update journal set account = 'a9' where seq = 5`}, 5, false},
		"another time":        {[]string{`update journal set at = at + 1 where seq = 1`}, 1, false},
		"another's text":      {[]string{`update journal set data_key = (select data_key from journal where seq = 1), doc = (select doc from journal where seq = 1) where seq = 4`}, 4, false},
		"last ones cut off":   {[]string{`delete from journal where seq > 3`}, 4, false},
		"cut off with sums":   {[]string{`delete from journal where seq > 3`, `update journal_head set seq = 3, sum = (select sum from journal where seq = 3)`}, 4, true},
		"all of it":           {[]string{`delete from journal`, `update journal_head set seq = 0, sum = ''`}, 1, true},
		"an end that is none": {[]string{`update journal_head set seq = 4, sum = (select sum from journal where seq = 4)`}, 5, false},
		"another sum":         {[]string{`update journal set sum = (select sum from journal where seq = 1) where seq = 2`}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := inFile(t)
			s := open(t, dsn)
			c := clerks(t, s)
			for i := range 5 {
				if err := c.Note(t.Context(), operator.Entry{Account: "a1", Action: "record.reveal", Object: fmt.Sprint("o", i)}); err != nil {
					t.Fatal(err)
				}
			}
			mark, err := c.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite3", strings.TrimPrefix(dsn, "sqlite:"))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for _, q := range test.change {
				if _, err := db.ExecContext(t.Context(), q); err != nil {
					t.Fatalf("%s: %v", q, err)
				}
			}
			_, err = c.Verify(t.Context())
			var broken *operator.BrokenError
			if test.at == 0 || test.mark {
				if err != nil {
					t.Errorf("without a mark: %v", err)
				}
				_, err = c.Verify(t.Context(), mark)
			}
			if test.at == 0 {
				if err != nil {
					t.Errorf("nothing was changed: %v", err)
				}
				return
			}
			if !errors.As(err, &broken) || broken.Seq != test.at {
				t.Errorf("got %v, want it to show at %d", err, test.at)
			}
			if _, err := c.Entries(t.Context(), operator.EntryQuery{}); err != nil {
				t.Errorf("the other entries cannot be read: %v", err)
			}
		})
	}
}

// TestRowsThatWereChangedGiveNoRights does what somebody can who may write the database and has an
// account of little worth: makes links, and gives their own sign-in to somebody else.
func TestRowsThatWereChangedGiveNoRights(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	s := open(t, dsn)
	change(t, s, func(ctx context.Context, tx operator.Tx) error {
		return errors.Join(tx.PutAccount(ctx, fullAccount), tx.PutSignIn(ctx, fullSignIn),
			tx.PutLink(ctx, operator.Link{ID: "l1", Kind: operator.LinkInvite, Account: "a1", Until: at.Add(time.Hour)}))
	})
	db, err := sql.Open("sqlite3", strings.TrimPrefix(dsn, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		`update operator_sign_ins set account = 'a0', until = until + 1000000000`,
		`update operator_links set kind = 'recovery', account = '', until = until + 1000000000`,
		`insert into operator_links (id, kind, account, until, data_key, doc) select 'l2', kind, account, until, data_key, doc from operator_links`,
		`insert into operator_sign_ins (id, account, until, data_key, doc) select 's2', account, until, data_key, doc from operator_sign_ins`,
		`insert into operators (id, name, data_key, doc) select 'a2', 'x', data_key, doc from operators`,
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	o := s.Operators()
	if in, err := o.SignIn(t.Context(), "s1"); err != nil || in != fullSignIn {
		t.Errorf("a sign-in that was given away: %+v, %v", in, err)
	}
	if l, err := o.Link(t.Context(), "l1"); err != nil || l.Kind != operator.LinkInvite || l.Account != "a1" || !l.Until.Equal(at.Add(time.Hour)) {
		t.Errorf("a link that was made worth more: %+v, %v", l, err)
	}
	if l, err := o.Link(t.Context(), "l2"); err == nil {
		t.Errorf("a copied link opens: %+v", l)
	}
	if in, err := o.SignIn(t.Context(), "s2"); err == nil {
		t.Errorf("a copied sign-in opens: %+v", in)
	}
	if a, err := o.Account(t.Context(), "a2"); err == nil {
		t.Errorf("a copied account opens: %v", a.Name)
	}
}

func TestOperatorsAreKeptSealed(t *testing.T) {
	t.Parallel()
	dsn := inFile(t)
	s := open(t, dsn)
	change(t, s, func(ctx context.Context, tx operator.Tx) error {
		return errors.Join(tx.PutAccount(ctx, fullAccount), tx.PutSignIn(ctx, fullSignIn), tx.PutTries(ctx, operator.Tries{Key: "name tried.7391", Count: 1, Last: at}))
	})
	if err := clerks(t, s).Note(t.Context(), operator.Entry{Name: "Wei.Li", Address: "192.0.2.77", Action: "record.reveal", Reason: "because 7391"}); err != nil {
		t.Fatal(err)
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
		for _, secret := range []string{"Wei.Li", "wei.li", "argon2id", "TOTPSECRET", "PENDINGSECRET", "digest-of-recovery", "192.0.2.77", "7391", "Asia/Shanghai"} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds %q in the clear", filepath.Base(file), secret)
			}
		}
	}
}

// TestPagesOfTheJournal pages through entries of a clock that was put back.
func TestPagesOfTheJournal(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		change(t, s, func(ctx context.Context, tx operator.Tx) error {
			for i := range int64(20) {
				e := operator.Entry{Seq: i + 1, At: at.Add(time.Duration(i*7%5) * time.Second), Account: fmt.Sprint("a", i%2), Action: "thing.read"}
				if err := tx.Append(ctx, e); err != nil {
					return err
				}
			}
			return nil
		})
		for _, q := range []operator.EntryQuery{{Limit: 3}, {Limit: 3, Account: "a1"}, {Limit: 3, Action: "thing."}, {Limit: 1, Since: at.Add(time.Second), Before: at.Add(3 * time.Second)}} {
			all := q
			all.Limit = 1000
			want, err := s.Operators().Entries(t.Context(), all)
			if err != nil || len(want) < 8 {
				t.Fatalf("%+v: %d entries, %v", all, len(want), err)
			}
			var got []operator.Entry
			for range 30 {
				page, err := s.Operators().Entries(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
				q.After = page[len(page)-1].Seq
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v: pages (-all at once +by pages):\n%s", q, diff)
			}
			for i := 1; i < len(want); i++ {
				if want[i].At.After(want[i-1].At) || want[i].At.Equal(want[i-1].At) && want[i].Seq > want[i-1].Seq {
					t.Errorf("entry %d lies behind %d", want[i].Seq, want[i-1].Seq)
				}
			}
		}
	})
}
