package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"shiren/internal/ekyc"
)

// Batch is what Load writes at once.
type Batch struct {
	Sessions []ekyc.Session
	// Past are sessions that are over for so long that a purge has erased them: their charges
	// and counts are written, and no record.
	Past    []ekyc.Session
	Directs []ekyc.Direct
}

// Load writes whole sessions and records of direct calls in one transaction, as
// CreateSession and AddDirect do: with their charges and counts. Of a batch that fails nothing
// is written. Other writes wait meanwhile: some thousand records at a time.
func (s *Store) Load(ctx context.Context, b Batch) error {
	sealed, err := s.sealAll(b.Sessions)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	docs, lines := make([]string, len(b.Directs)), make([]entry, len(b.Directs))
	for i := range b.Directs {
		doc, err := marshal(keyless{Direct: b.Directs[i]})
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		docs[i], lines[i] = string(doc), entry{b.Directs[i].Record(), b.Directs[i].Keys}
	}
	err = s.writer.do(ctx, func(q querier) error {
		for i := range b.Sessions {
			x := &sealed[i]
			if err := s.createSession(ctx, q, &b.Sessions[i], x.digest, x.key, x.doc, x.line); err != nil {
				return err
			}
		}
		for i := range b.Past {
			ses := &b.Past[i]
			count(q, ses.CountsSince(ekyc.Tally{}))
			if err := addCharges(ctx, q, ses.Protocol, ses.Charges()); err != nil {
				return err
			}
		}
		for i := range b.Directs {
			if err := s.addDirect(ctx, q, &b.Directs[i], docs[i], lines[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	for _, x := range sealed {
		s.remember(x.line)
	}
	for _, l := range lines {
		s.remember(l)
	}
	return nil
}

// sealedSession is a session as it is written.
type sealedSession struct {
	digest, key, doc string
	line             entry
}

// sealAll seals sessions, a few at a time.
func (s *Store) sealAll(list []ekyc.Session) ([]sealedSession, error) {
	out := make([]sealedSession, len(list))
	errs := make([]error, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < len(list) && errs[w] == nil; i += len(errs) {
				x := &out[i]
				x.digest, x.line = list[i].Token.Digest(), s.sessionLine(&list[i])
				x.key, x.doc, errs[w] = s.sealSession(x.digest, &list[i])
			}
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

// removeAtOnce is how many records Remove takes in one transaction. Our choice.
const removeAtOnce = 2000

// Removed is how much Remove removed.
type Removed struct{ Sessions, Directs, Charges int }

// Remove removes everything that is kept of an app, charges and counts included, and then the
// app with its plans and keys. It may be interrupted and repeated. each is called with every
// session before its record goes, to erase its images; one that cannot be opened is passed over.
func (s *Store) Remove(ctx context.Context, app ekyc.AppID, each func(ekyc.Session) error) (r Removed, err error) {
	if r.Sessions, err = s.removeSessions(ctx, app, each); err != nil {
		return r, fmt.Errorf("remove app %s: %w", app, err)
	}
	if r.Directs, err = s.removeRows(ctx, "directs", app); err != nil {
		return r, fmt.Errorf("remove app %s: %w", app, err)
	}
	if r.Charges, err = s.removeRows(ctx, "charges", app); err != nil {
		return r, fmt.Errorf("remove app %s: %w", app, err)
	}
	defer s.forgetCached()
	err = s.writer.do(ctx, func(q querier) error {
		for _, statement := range []string{
			`delete from counts where app = $1`, `delete from charge_totals where app = $1`, `delete from app_keys where app = $1`,
			`delete from plan_versions where plan in (select id from plans where app = $1)`, `delete from plans where app = $1`, `delete from apps where id = $1`,
		} {
			if _, err := q.ExecContext(ctx, statement, app); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("remove app %s: %w", app, err)
	}
	return r, nil
}

func (s *Store) removeSessions(ctx context.Context, app ekyc.AppID, each func(ekyc.Session) error) (n int, err error) {
	type row struct{ digest, key, doc string }
	last := ""
	for {
		rows, err := s.read.QueryContext(ctx, `
			select token_digest, data_key, doc from sessions where app = $1 and token_digest > $2 order by token_digest limit $3`, app, last, removeAtOnce)
		if err != nil {
			return n, err
		}
		page, err := collect(rows, func(r *sql.Rows) (v row, err error) { return v, r.Scan(&v.digest, &v.key, &v.doc) })
		if err != nil || len(page) == 0 {
			return n, err
		}
		for _, r := range page {
			if ses, err := s.openSession(r.digest, r.key, r.doc); err == nil {
				if err := each(ses); err != nil {
					return n, err
				}
			}
		}
		last = page[len(page)-1].digest
		err = s.writer.do(ctx, func(q querier) error {
			for _, r := range page {
				if err := dropLine(ctx, q, r.digest); err != nil {
					return err
				}
			}
			_, err := q.ExecContext(ctx, `delete from sessions where app = $1 and token_digest >= $2 and token_digest <= $3`, app, page[0].digest, last)
			return err
		})
		if err != nil {
			return n, err
		}
		n += len(page)
	}
}

// removeRows removes an app's rows of a table that has app and id.
func (s *Store) removeRows(ctx context.Context, table string, app ekyc.AppID) (n int, err error) {
	last := ""
	for {
		rows, err := s.read.QueryContext(ctx, `select id from `+table+` where app = $1 and id > $2 order by id limit $3`, app, last, removeAtOnce)
		if err != nil {
			return n, err
		}
		ids, err := collect(rows, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) })
		if err != nil || len(ids) == 0 {
			return n, err
		}
		last = ids[len(ids)-1]
		err = s.writer.do(ctx, func(q querier) error {
			for _, id := range ids {
				if table != "directs" {
					break
				}
				if err := dropLine(ctx, q, ekyc.DirectPrefix+id); err != nil {
					return err
				}
			}
			_, err := q.ExecContext(ctx, `delete from `+table+` where app = $1 and id >= $2 and id <= $3`, app, ids[0], last)
			return err
		})
		if err != nil {
			return n, err
		}
		n += len(ids)
	}
}

// Used lists the apps, but those that are left out, of which a session, a direct call or a
// charge is kept.
func (s *Store) Used(ctx context.Context, but []ekyc.AppID) ([]ekyc.AppID, error) {
	apps, err := s.Apps(ctx)
	if err != nil {
		return nil, err
	}
	known := map[ekyc.AppID]bool{}
	for _, id := range but {
		known[id] = true
	}
	var used []ekyc.AppID
	for _, a := range apps {
		if known[a.ID] {
			continue
		}
		var n int
		err := s.read.QueryRowContext(ctx, `
			select case when exists (select 1 from charge_totals where app = $1) or exists (select 1 from directs where app = $1)
				or exists (select 1 from sessions where app = $1) or exists (select 1 from charges where app = $1) then 1 else 0 end`, a.ID).Scan(&n)
		if err != nil {
			return nil, fmt.Errorf("look for what is kept of app %s: %w", a.ID, err)
		}
		if n > 0 {
			used = append(used, a.ID)
		}
	}
	return used, nil
}
