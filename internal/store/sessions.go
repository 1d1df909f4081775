package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"shiren/internal/ekyc"
)

// In every statement the placeholders appear first in the order of their numbers:
// SQLite numbers them as they appear.

// errConflict: the record changed between an update's read and its write.
var errConflict = errors.New("the record changed meanwhile")

func sessionContext(digest string) string { return "session " + digest }

// CreateSession stores a new session under its token's digest. A session without a Key
// gets a new data key, which reads return. A token that exists is an error.
func (s *Store) CreateSession(ctx context.Context, ses ekyc.Session) error {
	digest := ses.Token.Digest()
	key, doc, err := s.sealSession(digest, &ses)
	if err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	l := s.sessionLine(&ses)
	err = s.writer.do(ctx, func(q querier) error { return s.createSession(ctx, q, &ses, digest, key, doc, l) })
	if err != nil {
		return fmt.Errorf("create session: %w", err)
	}
	s.remember(l)
	return nil
}

// createSession writes a session that was sealed under its token's digest.
func (s *Store) createSession(ctx context.Context, q querier, ses *ekyc.Session, digest, key, doc string, l entry) error {
	n, err := affected(q.ExecContext(ctx, `
		insert into sessions (token_digest, app, plan, opened, due, version, data_key, doc)
		values ($1, $2, $3, $4, $5, 1, $6, $7) on conflict (token_digest) do nothing`,
		digest, ses.App, ses.Plan.ID, ses.Opened.UnixMilli(), ses.Due().UnixMilli(), key, doc))
	if err == nil && n == 0 {
		err = errors.New("its token exists already")
	}
	if err != nil {
		return err
	}
	count(q, ses.CountsSince(ekyc.Tally{}))
	if err := addCharges(ctx, q, ses.Protocol, ses.Charges()); err != nil {
		return err
	}
	return s.addLine(ctx, q, l)
}

// Session reads a session by token.
func (s *Store) Session(ctx context.Context, t ekyc.Token) (ekyc.Session, error) {
	ses, _, err := s.session(ctx, s.read, t.Digest(), "")
	return ses, err
}

// UpdateSession runs f on the stored session and stores the result, atomically; see
// ekyc.Store. Beyond what is promised there: f runs at most twice on SQLite; what f puts
// into the session belongs to the store until UpdateSession returns; setting the
// session's Key to nil drops its data key: the record is sealed under a new one, and
// evidence that was sealed under the old one cannot be opened any more.
func (s *Store) UpdateSession(ctx context.Context, t ekyc.Token, f func(*ekyc.Session) error) (ekyc.Session, error) {
	digest := t.Digest()
	next, err := s.update(ctx, s.read, digest, "", f)
	if err != nil {
		return ekyc.Session{}, err
	}
	err = s.writer.do(ctx, func(q querier) error { return next.store(ctx, s, q) })
	if errors.Is(err, errConflict) {
		err = s.writer.do(ctx, func(q querier) error {
			if next, err = s.update(ctx, q, digest, s.lock, f); err != nil {
				return err
			}
			return next.store(ctx, s, q)
		})
	}
	if err != nil {
		return ekyc.Session{}, err
	}
	s.remember(next.to)
	return next.session, nil
}

// update is a session's next version, ready to be stored.
type update struct {
	digest   string
	from     int64 // version that it was made of
	key, doc string
	session  ekyc.Session
	charges  []ekyc.Charge // new ones
	counts   []ekyc.Count  // without those of charges
	was, to  entry
}

// update reads a session and runs f on it. An error of f is returned as it is.
func (s *Store) update(ctx context.Context, q querier, digest, lock string, f func(*ekyc.Session) error) (update, error) {
	ses, version, err := s.session(ctx, q, digest, lock)
	if err != nil {
		return update{}, err
	}
	charged := map[string]bool{}
	for _, c := range ses.Charges() {
		charged[c.ID] = true
	}
	token, tally, was := ses.Token, ses.Tally(), s.sessionLine(&ses)
	if err := f(&ses); err != nil {
		return update{}, err
	}
	if ses.Token != token {
		return update{}, fmt.Errorf("update session %v: the function changed its token", token)
	}
	toUTC(&ses)
	u := update{digest: digest, from: version, was: was, to: s.sessionLine(&ses)}
	if u.key, u.doc, err = s.sealSession(digest, &ses); err != nil {
		return update{}, fmt.Errorf("update session %v: %w", token, err)
	}
	if ses.Key == nil { // f dropped it
		if ses.Key, err = fromText(u.key); err != nil {
			return update{}, err
		}
	}
	for _, c := range ses.Charges() {
		if !charged[c.ID] {
			u.charges = append(u.charges, c)
		}
	}
	u.session, u.counts = ses, ses.CountsSince(tally)
	return u, nil
}

func (u *update) store(ctx context.Context, s *Store, q querier) error {
	n, err := affected(q.ExecContext(ctx, `
		update sessions set due = $1, version = version + 1, data_key = $2, doc = $3
		where token_digest = $4 and version = $5`,
		u.session.Due().UnixMilli(), u.key, u.doc, u.digest, u.from))
	if err == nil && n == 0 {
		return errConflict
	}
	if err == nil {
		count(q, u.counts)
		err = addCharges(ctx, q, u.session.Protocol, u.charges)
	}
	if err == nil {
		err = s.changeLine(ctx, q, u.was, u.to)
	}
	if err != nil {
		return fmt.Errorf("update session %v: %w", u.session.Token, err)
	}
	return nil
}

func (s *Store) session(ctx context.Context, q querier, digest, lock string) (ses ekyc.Session, version int64, err error) {
	var key, doc string
	if s.local && ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	err = q.QueryRowContext(ctx, `select version, data_key, doc from sessions where token_digest = $1`+lock, digest).
		Scan(&version, &key, &doc)
	if errors.Is(err, sql.ErrNoRows) {
		err = ekyc.ErrAbsent
	}
	if err == nil {
		ses, err = s.openSession(digest, key, doc)
	}
	if err != nil {
		return ekyc.Session{}, 0, fmt.Errorf("read session: %w", err)
	}
	return ses, version, nil
}

func (s *Store) sealSession(digest string, ses *ekyc.Session) (key, doc string, err error) {
	plain, err := encodeSession(ses)
	if err != nil {
		return "", "", err
	}
	return s.seal(ses.Key, plain, sessionContext(digest))
}

func (s *Store) openSession(digest, keyText, docText string) (ekyc.Session, error) {
	key, doc, err := s.unseal(keyText, docText, sessionContext(digest))
	if err != nil {
		return ekyc.Session{}, err
	}
	ses, err := decodeSession(doc, &s.frozen)
	ses.Key = key
	return ses, err
}

// Due lists up to limit sessions whose Due() is not after now, oldest first. A record
// that cannot be opened is passed over and does not count: see ForgetUnreadable.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]ekyc.Session, error) {
	var list []ekyc.Session
	err := s.eachDue(ctx, now, limit, func(_ string, ses ekyc.Session, err error) bool {
		if err == nil && !ses.Due().After(now) { // the column has whole milliseconds
			list = append(list, ses)
		}
		return len(list) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("list due sessions: %w", err)
	}
	slices.SortStableFunc(list, func(a, b ekyc.Session) int { return a.Due().Compare(b.Due()) })
	return list, nil
}

// ForgetUnreadable removes the records that cannot be opened (another master key,
// damage) and that were due so long ago that nothing of them may be kept: by
// ekyc.ResultKept, the most by which a session's end can lie behind its Due. It returns
// how many it removed. Their images cannot be named any more; their data keys are gone
// with them.
func (s *Store) ForgetUnreadable(ctx context.Context, now time.Time) (int, error) {
	var lost []string
	err := s.eachDue(ctx, now.Add(-ekyc.ResultKept), 200, func(digest string, _ ekyc.Session, err error) bool {
		if err != nil {
			lost = append(lost, digest)
		}
		return true
	})
	for i, digest := range lost {
		if err == nil {
			err = s.forget(ctx, digest)
		}
		if err != nil {
			return i, fmt.Errorf("forget unreadable sessions: %w", err)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("forget unreadable sessions: %w", err)
	}
	return len(lost), nil
}

// eachDue calls f with each session whose due column is not after now, oldest first,
// until f returns false. It reads size rows at a time; f gets the error of one that
// cannot be opened. Rows that arrive or change meanwhile may or may not be seen.
func (s *Store) eachDue(ctx context.Context, now time.Time, size int, f func(digest string, ses ekyc.Session, err error) bool) error {
	type row struct {
		digest, key, doc string
		due              int64
	}
	last := row{due: math.MinInt64}
	for size > 0 {
		rows, err := s.read.QueryContext(ctx, `
			select token_digest, data_key, doc, due from sessions
			where due <= $1 and (due, token_digest) > ($2, $3) order by due, token_digest limit $4`,
			now.UnixMilli(), last.due, last.digest, size)
		if err != nil {
			return err
		}
		page, err := collect(rows, func(r *sql.Rows) (v row, err error) {
			return v, r.Scan(&v.digest, &v.key, &v.doc, &v.due)
		})
		if err != nil {
			return err
		}
		for _, r := range page {
			ses, err := s.openSession(r.digest, r.key, r.doc)
			if !f(r.digest, ses, err) {
				return nil
			}
		}
		if len(page) < size {
			return nil
		}
		last = page[len(page)-1]
	}
	return nil
}

// Forget removes the session's record with its data key. Charges stay. An absent one is
// success.
func (s *Store) Forget(ctx context.Context, t ekyc.Token) error {
	if err := s.forget(ctx, t.Digest()); err != nil {
		return fmt.Errorf("forget session %v: %w", t, err)
	}
	return nil
}

func (s *Store) forget(ctx context.Context, digest string) error {
	return s.writer.do(ctx, func(q querier) error {
		if _, err := q.ExecContext(ctx, `delete from sessions where token_digest = $1`, digest); err != nil {
			return err
		}
		return dropLine(ctx, q, digest)
	})
}

// addCharges adds to the ledger what is not there, and counts it, in an order that all
// transactions share, so that two of them cannot wait for each other's totals.
func addCharges(ctx context.Context, q querier, protocol string, charges []ekyc.Charge) error {
	type total struct {
		app  ekyc.AppID
		kind ekyc.ChargeKind
	}
	totals := map[total]int64{}
	var added []ekyc.Charge
	for _, c := range charges {
		n, err := affected(q.ExecContext(ctx, `
			insert into charges (id, app, plan, kind, at, log_id, attempt, sandbox)
			values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing`,
			c.ID, c.App, c.Plan, c.Kind, c.At.UnixMilli(), c.LogID, c.Attempt, bit(c.Sandbox)))
		if err != nil {
			return fmt.Errorf("charge %s: %w", c.ID, err)
		}
		if n > 0 && !c.Sandbox {
			added = append(added, c)
			totals[total{c.App, c.Kind}]++
		}
	}
	for _, t := range slices.SortedFunc(maps.Keys(totals), func(a, b total) int {
		return cmp.Or(cmp.Compare(a.app, b.app), cmp.Compare(a.kind, b.kind))
	}) {
		if _, err := q.ExecContext(ctx, `
			insert into charge_totals (app, kind, total) values ($1, $2, $3)
			on conflict (app, kind) do update set total = charge_totals.total + excluded.total`, t.app, t.kind, totals[t]); err != nil {
			return fmt.Errorf("add up charges of app %s: %w", t.app, err)
		}
	}
	count(q, ekyc.CountCharges(protocol, added))
	return nil
}

// Charged counts an app's charges of a kind.
func (s *Store) Charged(ctx context.Context, app ekyc.AppID, kind ekyc.ChargeKind) (int64, error) {
	var n int64
	err := s.read.QueryRowContext(ctx, `select total from charge_totals where app = $1 and kind = $2`, app, kind).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("count charges: %w", err)
	}
	return n, nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// affected is how many rows a statement changed.
func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// collect scans and closes rows.
func collect[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) ([]T, error) {
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
