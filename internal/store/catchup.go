package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"shiren/internal/ekyc"
)

// What older releases wrote has no lines among the records, and subjects have no person. They
// are made beside the running service, some rows a transaction, from where the process before
// stopped. What the service itself writes meanwhile has its line already.

// catchUpAtOnce is how many rows one transaction takes. Our choice: at about 100 µs each, a
// caller's write waits for 10 ms at most.
const catchUpAtOnce = 100

// Complete reports whether everything that is kept has its line.
func (s *Store) Complete(ctx context.Context) (bool, error) {
	if s.complete.Load() {
		return true, nil
	}
	var n int64
	if err := s.read.QueryRowContext(ctx, `select count(*) from record_progress where done = 0`).Scan(&n); err != nil {
		return false, fmt.Errorf("read the progress of the records: %w", err)
	}
	if n == 0 {
		s.complete.Store(true)
	}
	return n == 0, nil
}

// catchUp makes what is missing until it is done or ctx ends. Its first step is made by Open,
// and is the last one of a database that is new.
func (s *Store) catchUp(ctx context.Context) (done bool, err error) {
	for _, part := range []struct {
		name string
		next string // ids after a position, in order
		make func(ctx context.Context, q querier, id string) error
	}{
		{"sessions", `select token_digest from sessions where token_digest > $1 order by token_digest limit $2`, s.catchUpSession},
		{"directs", `select id from directs where id > $1 order by id limit $2`, s.catchUpDirect},
		{"subjects", `select digest from subjects where digest > $1 order by digest limit $2`, s.catchUpSubject},
	} {
		var rows int
		err := s.writer.do(ctx, func(q querier) error {
			rows = 0
			var position string
			var done int64
			if err := q.QueryRowContext(ctx, `select position, done from record_progress where part = $1`+s.lock, part.name).Scan(&position, &done); err != nil || done != 0 {
				return err
			}
			found, err := q.QueryContext(ctx, part.next, position, catchUpAtOnce)
			if err != nil {
				return err
			}
			ids, err := collect(found, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) })
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := part.make(ctx, q, id); err != nil {
					return err
				}
				position = id
			}
			rows = len(ids)
			_, err = q.ExecContext(ctx, `update record_progress set position = $1, done = $2 where part = $3`, position, bit(rows < catchUpAtOnce), part.name)
			return err
		})
		if err != nil {
			return false, fmt.Errorf("make records of older rows: %w", err)
		}
		if rows == catchUpAtOnce {
			return false, nil
		}
	}
	return true, nil
}

func (s *Store) catchUpSession(ctx context.Context, q querier, digest string) error {
	ses, _, err := s.session(ctx, q, digest, s.lock)
	if err != nil { // gone, or unreadable: then ForgetUnreadable will remove it
		return nil
	}
	return s.addLine(ctx, q, s.sessionLine(&ses))
}

func (s *Store) catchUpDirect(ctx context.Context, q querier, id string) error {
	var doc string
	err := q.QueryRowContext(ctx, `select doc from directs where id = $1`, id).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	d, err := decodeDirect(doc)
	if err != nil { // nothing can be said of it
		return nil
	}
	return s.addLine(ctx, q, entry{record: d.Record()})
}

func (s *Store) catchUpSubject(ctx context.Context, q querier, key string) error {
	var dataKey, doc string
	err := q.QueryRowContext(ctx, `select data_key, doc from subjects where digest = $1`+s.lock, key).Scan(&dataKey, &doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var u ekyc.Subject
	if _, plain, err := s.unseal(dataKey, doc, subjectContext(key)); err != nil || json.Unmarshal(plain, &u) != nil {
		return nil
	}
	_, err = q.ExecContext(ctx, `update subjects set person = $1 where digest = $2`, s.person(&u), key)
	return err
}
