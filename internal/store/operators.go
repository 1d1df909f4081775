package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"shiren/internal/operator"
)

// Operators keeps who works at the console, and the journal. It is safe for concurrent use.
type Operators struct{ operatorReader }

var (
	_ operator.Store = (*Operators)(nil)
	_ operator.Tx    = operatorTx{}
)

// Operators returns that part of s.
func (s *Store) Operators() *Operators { return &Operators{operatorReader{s, s.read}} }

// Change runs f in one write. The journal's end is locked first, so that changes come one after
// the other on PostgreSQL too, where transactions run side by side: rules that look at several
// rows, such as that of the last administrator, need nothing more.
func (o *Operators) Change(ctx context.Context, f func(operator.Tx) error) error {
	return o.s.writer.do(ctx, func(q querier) error {
		var seq int64
		if err := q.QueryRowContext(ctx, `select seq from journal_head where id = 1`+o.s.lock).Scan(&seq); err != nil {
			return fmt.Errorf("lock the journal's end: %w", err)
		}
		return f(operatorTx{operatorReader{o.s, q}})
	})
}

// operatorReader reads through q.
type operatorReader struct {
	s *Store
	q querier
}

// absentOperator translates the database's word for it.
func absentOperator(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return operator.ErrAbsent
	}
	return err
}

func (o operatorReader) nameDigest(folded string) string {
	return toText(o.s.sealer.Digest("operator name", []byte(folded)))
}

func operatorContext(kind, id string) string { return "operator " + kind + " " + id }

// open unseals what seal of the same kind and id made, and reads it into v.
func (o operatorReader) open(kind, id, key, doc string, v any) error {
	_, plain, err := o.s.unseal(key, doc, operatorContext(kind, id))
	if err != nil {
		return fmt.Errorf("open the operators' %s %s: %w", kind, id, err)
	}
	if json.Unmarshal(plain, v) != nil {
		return errDamaged
	}
	return nil
}

func (o operatorReader) sealed(kind, id string, v any) (key, doc string, err error) {
	plain, err := marshal(v)
	if err != nil {
		return "", "", err
	}
	return o.s.seal(nil, plain, operatorContext(kind, id))
}

// accountDoc is an account without its own masking: the secrets are sealed with it.
type accountDoc struct {
	Name, Role, Password, TOTP, Pending string
	Step                                int64
	Recovery                            []string
	Language, Zone                      string
	Disabled                            bool
	Seen, Version                       int64
}

const accountColumns = `select id, created, data_key, doc from operators`

func (o operatorReader) account(row interface{ Scan(...any) error }) (a operator.Account, err error) {
	var created int64
	var key, doc string
	if err := row.Scan(&a.ID, &created, &key, &doc); err != nil {
		return a, absentOperator(err)
	}
	var d accountDoc
	if err := o.open("account", a.ID, key, doc, &d); err != nil {
		return a, err
	}
	a.Name, a.Role, a.Password, a.TOTP, a.Pending = d.Name, operator.Role(d.Role), operator.Secret(d.Password), operator.Secret(d.TOTP), operator.Secret(d.Pending)
	a.Step, a.Recovery, a.Language, a.Zone, a.Disabled, a.Version = d.Step, d.Recovery, d.Language, d.Zone, d.Disabled, d.Version
	a.Created, a.Seen = moment(created), moment(d.Seen)
	return a, nil
}

// moment reverses milli.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Account reads an account by ID.
func (o operatorReader) Account(ctx context.Context, id string) (operator.Account, error) {
	return o.account(o.q.QueryRowContext(ctx, accountColumns+` where id = $1`, id))
}

// AccountNamed reads an account by its folded name.
func (o operatorReader) AccountNamed(ctx context.Context, folded string) (operator.Account, error) {
	return o.account(o.q.QueryRowContext(ctx, accountColumns+` where name = $1`, o.nameDigest(folded)))
}

// Accounts lists all accounts.
func (o operatorReader) Accounts(ctx context.Context) ([]operator.Account, error) {
	rows, err := o.q.QueryContext(ctx, accountColumns+` order by created, id`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (operator.Account, error) { return o.account(r) })
}

type signInDoc struct{ Address, Agent string }

const signInColumns = `select id, account, created, seen, proved, data_key, doc from operator_sign_ins`

func (o operatorReader) signIn(row interface{ Scan(...any) error }) (in operator.SignIn, err error) {
	var created, seen, proved int64
	var key, doc string
	if err := row.Scan(&in.ID, &in.Account, &created, &seen, &proved, &key, &doc); err != nil {
		return in, absentOperator(err)
	}
	var d signInDoc
	if err := o.open("sign-in", in.ID, key, doc, &d); err != nil {
		return in, err
	}
	in.Created, in.Seen, in.Proved, in.Address, in.Agent = moment(created), moment(seen), moment(proved), d.Address, d.Agent
	return in, nil
}

// SignIn reads a sign-in by ID.
func (o operatorReader) SignIn(ctx context.Context, id string) (operator.SignIn, error) {
	return o.signIn(o.q.QueryRowContext(ctx, signInColumns+` where id = $1`, id))
}

// SignIns lists an account's sign-ins.
func (o operatorReader) SignIns(ctx context.Context, account string) ([]operator.SignIn, error) {
	rows, err := o.q.QueryContext(ctx, signInColumns+` where account = $1 order by created, id`, account)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (operator.SignIn, error) { return o.signIn(r) })
}

// Link reads a one-time link by ID.
func (o operatorReader) Link(ctx context.Context, id string) (l operator.Link, err error) {
	var until int64
	var kind string
	err = o.q.QueryRowContext(ctx, `select id, kind, account, until from operator_links where id = $1`, id).Scan(&l.ID, &kind, &l.Account, &until)
	l.Kind, l.Until = operator.LinkKind(kind), moment(until)
	return l, absentOperator(err)
}

func (o operatorReader) triesID(key string) string {
	return toText(o.s.sealer.Digest("operator tries", []byte(key)))
}

// Tries reads what was tried for a key.
func (o operatorReader) Tries(ctx context.Context, key string) (operator.Tries, error) {
	t := operator.Tries{Key: key}
	var last, until int64
	err := o.q.QueryRowContext(ctx, `select count, last, until from operator_tries where id = $1`, o.triesID(key)).Scan(&t.Count, &last, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return t, nil
	}
	t.Last, t.Until = moment(last), moment(until)
	return t, err
}

// Head reads the journal's end.
func (o operatorReader) Head(ctx context.Context) (seq int64, sum []byte, err error) {
	var text string
	if err := o.q.QueryRowContext(ctx, `select seq, sum from journal_head where id = 1`).Scan(&seq, &text); err != nil {
		return 0, nil, err
	}
	if text == "" {
		return seq, nil, nil
	}
	if sum, err = hex.DecodeString(text); err != nil {
		return 0, nil, errDamaged
	}
	return seq, sum, nil
}

type entryDoc struct{ Name, Address, Reason, Detail string }

const entryColumns = `select seq, at, account, action, object, sum, data_key, doc from journal`

// entry reads a line; one that cannot be opened is Damaged and no error, so that the others can
// be read.
func (o operatorReader) entry(r *sql.Rows) (e operator.Entry, err error) {
	var at int64
	var sum, key, doc string
	if err := r.Scan(&e.Seq, &at, &e.Account, &e.Action, &e.Object, &sum, &key, &doc); err != nil {
		return e, err
	}
	e.ID, e.At = strconv.FormatInt(e.Seq, 10), moment(at)
	var d entryDoc
	if e.Sum, err = hex.DecodeString(sum); err != nil || o.open("journal", e.ID, key, doc, &d) != nil {
		e.Damaged = true
	}
	e.Name, e.Address, e.Reason, e.Detail = d.Name, d.Address, d.Reason, d.Detail
	return e, nil
}

// Entries lists the journal, newest first.
func (o *Operators) Entries(ctx context.Context, query operator.EntryQuery) ([]operator.Entry, error) {
	var where []string
	var args []any
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, strings.ReplaceAll(cond, "?", "$"+strconv.Itoa(len(args))))
	}
	if !query.Since.IsZero() {
		add("at >= ?", query.Since.UnixMilli())
	}
	if !query.Before.IsZero() {
		add("at < ?", query.Before.UnixMilli())
	}
	if query.Account != "" {
		add("account = ?", query.Account)
	}
	if strings.HasSuffix(query.Action, ".") {
		add("substr(action, 1, "+strconv.Itoa(len([]rune(query.Action)))+") = ?", query.Action)
	} else if query.Action != "" {
		add("action = ?", query.Action)
	}
	if query.Object != "" {
		add("object = ?", query.Object)
	}
	if query.After != 0 {
		add("seq < ?", query.After)
	}
	text := entryColumns
	if len(where) > 0 {
		text += " where " + strings.Join(where, " and ")
	}
	args = append(args, query.Limit)
	rows, err := o.q.QueryContext(ctx, text+" order by seq desc limit $"+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return collect(rows, o.entry)
}

// EntriesFrom lists the journal from a number on, oldest first.
func (o *Operators) EntriesFrom(ctx context.Context, seq int64, limit int) ([]operator.Entry, error) {
	rows, err := o.q.QueryContext(ctx, entryColumns+` where seq >= $1 order by seq limit $2`, seq, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, o.entry)
}

// operatorTx changes through q, as part of a write.
type operatorTx struct{ operatorReader }

// PutAccount inserts or replaces an account, sealed under a new data key.
func (o operatorTx) PutAccount(ctx context.Context, a operator.Account) error {
	key, doc, err := o.sealed("account", a.ID, accountDoc{
		Name: a.Name, Role: string(a.Role), Password: string(a.Password), TOTP: string(a.TOTP), Pending: string(a.Pending), Step: a.Step,
		Recovery: a.Recovery, Language: a.Language, Zone: a.Zone, Disabled: a.Disabled, Seen: milli(a.Seen), Version: a.Version,
	})
	if err != nil {
		return fmt.Errorf("put account %s: %w", a.ID, err)
	}
	name := o.nameDigest(operator.Fold(a.Name))
	var other string
	switch err := o.q.QueryRowContext(ctx, `select id from operators where name = $1`, name).Scan(&other); {
	case err == nil && other != a.ID:
		return operator.ErrTaken
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("put account %s: %w", a.ID, err)
	}
	if _, err := o.q.ExecContext(ctx, `
		insert into operators (id, name, created, data_key, doc) values ($1, $2, $3, $4, $5)
		on conflict (id) do update set name = excluded.name, created = excluded.created, data_key = excluded.data_key, doc = excluded.doc`,
		a.ID, name, milli(a.Created), key, doc); err != nil {
		return fmt.Errorf("put account %s: %w", a.ID, err)
	}
	return nil
}

// PutSignIn inserts or replaces a sign-in.
func (o operatorTx) PutSignIn(ctx context.Context, in operator.SignIn) error {
	key, doc, err := o.sealed("sign-in", in.ID, signInDoc{in.Address, in.Agent})
	if err != nil {
		return fmt.Errorf("put a sign-in: %w", err)
	}
	if _, err := o.q.ExecContext(ctx, `
		insert into operator_sign_ins (id, account, created, seen, proved, until, data_key, doc) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (id) do update set account = excluded.account, created = excluded.created, seen = excluded.seen, proved = excluded.proved,
			until = excluded.until, data_key = excluded.data_key, doc = excluded.doc`,
		in.ID, in.Account, milli(in.Created), milli(in.Seen), milli(in.Proved), milli(in.Until()), key, doc); err != nil {
		return fmt.Errorf("put a sign-in: %w", err)
	}
	return nil
}

// DropSignIn ends a sign-in.
func (o operatorTx) DropSignIn(ctx context.Context, id string) error {
	return exec1(ctx, o.q, `delete from operator_sign_ins where id = $1`, id)
}

// PutLink inserts a one-time link.
func (o operatorTx) PutLink(ctx context.Context, l operator.Link) error {
	return exec1(ctx, o.q, `insert into operator_links (id, kind, account, until) values ($1, $2, $3, $4)`, l.ID, string(l.Kind), l.Account, milli(l.Until))
}

// DropLinks removes the links of a kind for an account.
func (o operatorTx) DropLinks(ctx context.Context, kind operator.LinkKind, account string) error {
	return exec1(ctx, o.q, `delete from operator_links where kind = $1 and account = $2`, string(kind), account)
}

// PutTries inserts or replaces what was tried for a key.
func (o operatorTx) PutTries(ctx context.Context, t operator.Tries) error {
	return exec1(ctx, o.q, `
		insert into operator_tries (id, count, last, until) values ($1, $2, $3, $4)
		on conflict (id) do update set count = excluded.count, last = excluded.last, until = excluded.until`,
		o.triesID(t.Key), t.Count, milli(t.Last), milli(t.Until))
}

// DropTries forgets what was tried for a key.
func (o operatorTx) DropTries(ctx context.Context, key string) error {
	return exec1(ctx, o.q, `delete from operator_tries where id = $1`, o.triesID(key))
}

// Append writes a line of the journal and makes it the end.
func (o operatorTx) Append(ctx context.Context, e operator.Entry) error {
	key, doc, err := o.sealed("journal", strconv.FormatInt(e.Seq, 10), entryDoc{e.Name, e.Address, e.Reason, e.Detail})
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	sum := hex.EncodeToString(e.Sum)
	if err := exec1(ctx, o.q, `
		insert into journal (seq, at, account, action, object, sum, data_key, doc) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		e.Seq, milli(e.At), e.Account, e.Action, e.Object, sum, key, doc); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if err := exec1(ctx, o.q, `update journal_head set seq = $1, sum = $2 where id = 1`, e.Seq, sum); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// Forget removes what has ended.
func (o operatorTx) Forget(ctx context.Context, now, tried time.Time) error {
	return errors.Join(
		exec1(ctx, o.q, `delete from operator_sign_ins where until <= $1`, milli(now)),
		exec1(ctx, o.q, `delete from operator_links where until <= $1`, milli(now)),
		exec1(ctx, o.q, `delete from operator_tries where last <= $1`, milli(tried)),
	)
}

func exec1(ctx context.Context, q querier, query string, args ...any) error {
	_, err := q.ExecContext(ctx, query, args...)
	return err
}
