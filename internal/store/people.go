package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"shiren/internal/ekyc"
	"shiren/internal/source/registry"
)

// People is the local registry's shelf: sealed records by keyed digest. What they hold
// and how they are sealed is the registry's affair. It is safe for concurrent use.
type People struct{ s *Store }

var _ registry.Shelf = (*People)(nil)

// People returns the shelf of s.
func (s *Store) People() *People { return &People{s} }

// Put stores records durably in one transaction, each replacing the one that was there.
func (p *People) Put(ctx context.Context, rows ...registry.Row) error {
	err := p.s.writer.do(ctx, func(q querier) error {
		for i := range rows {
			if err := putPerson(ctx, q, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put people: %w", err)
	}
	return nil
}

func putPerson(ctx context.Context, q querier, r *registry.Row) error {
	keep := ", portrait = excluded.portrait"
	if r.KeepPortrait {
		keep = ""
	}
	if _, err := q.ExecContext(ctx, `
		insert into people (digest, data_key, sealed, model, portrait) values ($1, $2, $3, $4, $5)
		on conflict (digest) do update set data_key = excluded.data_key, sealed = excluded.sealed, model = excluded.model`+keep,
		r.Digest, toText(r.Key), toText(r.Sealed), r.Model, toText(r.Portrait)); err != nil {
		return err
	}
	if !r.New {
		if _, err := q.ExecContext(ctx, `delete from people_mobiles where person = $1`, r.Digest); err != nil {
			return err
		}
	}
	for _, m := range r.Mobiles {
		if _, err := q.ExecContext(ctx, `
			insert into people_mobiles (mobile, person) values ($1, $2) on conflict (mobile, person) do nothing`, m, r.Digest); err != nil {
			return err
		}
	}
	return nil
}

// personColumns leave the portrait out: it fills pages of its own.
const personColumns = `digest, data_key, sealed, model`

func scanPerson(scan func(...any) error, more ...any) (r registry.Row, err error) {
	var key, sealed string
	if err := scan(append([]any{&r.Digest, &key, &sealed, &r.Model}, more...)...); err != nil {
		return r, absent(err)
	}
	if r.Key, err = fromText(key); err == nil {
		r.Sealed, err = fromText(sealed)
	}
	return r, err
}

// Get reads a record without its portrait; absent is ekyc.ErrAbsent.
func (p *People) Get(ctx context.Context, digest string) (registry.Row, error) {
	r, err := scanPerson(p.s.read.QueryRowContext(ctx, `select `+personColumns+` from people where digest = $1`, digest).Scan)
	if err != nil {
		return r, fmt.Errorf("read person: %w", err)
	}
	return r, nil
}

// Find reads the records of several digests without their portraits, in no order; absent
// ones are left out.
func (p *People) Find(ctx context.Context, digests []string) ([]registry.Row, error) {
	var list []registry.Row
	for some := range slices.Chunk(digests, findAtOnce) {
		marks, args := make([]string, len(some)), make([]any, len(some))
		for i, d := range some {
			marks[i], args[i] = fmt.Sprintf("$%d", i+1), d
		}
		rows, err := p.s.read.QueryContext(ctx, `select `+personColumns+` from people where digest in (`+strings.Join(marks, ", ")+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("find people: %w", err)
		}
		found, err := collect(rows, func(r *sql.Rows) (registry.Row, error) { return scanPerson(r.Scan) })
		if err != nil {
			return nil, fmt.Errorf("find people: %w", err)
		}
		list = append(list, found...)
	}
	return list, nil
}

// findAtOnce bounds the parameters of one statement. Our choice: SQLite takes 32766.
const findAtOnce = 1000

// Portrait reads a record's sealed portrait; absent is ekyc.ErrAbsent, of the record and
// of the portrait alike.
func (p *People) Portrait(ctx context.Context, digest string) ([]byte, error) {
	var text string
	err := absent(p.s.read.QueryRowContext(ctx, `select portrait from people where digest = $1`, digest).Scan(&text))
	if err == nil && text == "" {
		err = ekyc.ErrAbsent
	}
	var b []byte
	if err == nil {
		b, err = fromText(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read portrait: %w", err)
	}
	return b, nil
}

// Owners lists the people of a mobile number's digest, at most limit, by digest.
func (p *People) Owners(ctx context.Context, mobile string, limit int) ([]string, error) {
	rows, err := p.s.read.QueryContext(ctx, `select person from people_mobiles where mobile = $1 order by person limit $2`, mobile, limit)
	if err != nil {
		return nil, fmt.Errorf("read a mobile number's people: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (d string, err error) { err = r.Scan(&d); return d, err })
	if err != nil {
		return nil, fmt.Errorf("read a mobile number's people: %w", err)
	}
	return list, nil
}

// Delete removes a record with its key. An absent one is success.
func (p *People) Delete(ctx context.Context, digest string) error {
	err := p.s.writer.do(ctx, func(q querier) error {
		if _, err := q.ExecContext(ctx, `delete from people_mobiles where person = $1`, digest); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, `delete from people where digest = $1`, digest)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete person: %w", err)
	}
	return nil
}

// List reads up to limit records whose digests follow after, by digest, without portraits.
func (p *People) List(ctx context.Context, after string, limit int) ([]registry.Row, error) {
	rows, err := p.s.read.QueryContext(ctx, `select `+personColumns+` from people where digest > $1 order by digest limit $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (registry.Row, error) { return scanPerson(r.Scan) })
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	return list, nil
}

// Stale reads up to limit records with a portrait and an embedding of another model than
// the one named, whose digests follow after, by digest, with their portraits.
func (p *People) Stale(ctx context.Context, model, after string, limit int) ([]registry.Row, error) {
	rows, err := p.s.read.QueryContext(ctx, `
		select `+personColumns+`, portrait from people
		where portrait <> '' and model <> $1 and digest > $2 order by digest limit $3`, model, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list outdated embeddings: %w", err)
	}
	list, err := collect(rows, func(rows *sql.Rows) (registry.Row, error) {
		var portrait string
		r, err := scanPerson(rows.Scan, &portrait)
		if err == nil {
			r.Portrait, err = fromText(portrait)
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list outdated embeddings: %w", err)
	}
	return list, nil
}

// Renew replaces a record's sealed text and model, unless somebody replaced or removed the
// record since it was read: then nothing happens.
func (p *People) Renew(ctx context.Context, old registry.Row, sealed []byte, model string) error {
	err := p.s.writer.do(ctx, func(q querier) error {
		_, err := q.ExecContext(ctx, `update people set sealed = $1, model = $2 where digest = $3 and data_key = $4 and sealed = $5`,
			toText(sealed), model, old.Digest, toText(old.Key), toText(old.Sealed))
		return err
	})
	if err != nil {
		return fmt.Errorf("renew person: %w", err)
	}
	return nil
}

// Stats counts the records.
func (p *People) Stats(ctx context.Context) (registry.Stats, error) {
	st := registry.Stats{Models: map[string]int64{}}
	rows, err := p.s.read.QueryContext(ctx, `select model, count(*) from people group by model`)
	if err != nil {
		return st, fmt.Errorf("count people: %w", err)
	}
	type line struct {
		model  string
		people int64
	}
	lines, err := collect(rows, func(r *sql.Rows) (l line, err error) { err = r.Scan(&l.model, &l.people); return l, err })
	for _, l := range lines {
		st.People += l.people
		if l.model != "" {
			st.Models[l.model] = l.people
		}
	}
	if err == nil {
		err = p.s.read.QueryRowContext(ctx, `select count(*) from people where portrait <> ''`).Scan(&st.Portraits)
	}
	if err == nil {
		err = p.s.read.QueryRowContext(ctx, `select count(*) from people_mobiles`).Scan(&st.Mobiles)
	}
	if err != nil {
		return st, fmt.Errorf("count people: %w", err)
	}
	return st, nil
}
