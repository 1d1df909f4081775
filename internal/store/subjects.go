package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
)

var (
	_ ekyc.Subjects = (*Store)(nil)
	_ ekyc.Requests = (*Store)(nil)
	_ ekyc.Keys     = (*Store)(nil)
)

func subjectContext(key string) string { return "subject " + key }

// UpdateSubject runs f on the subject under key, inside the write, and stores the result
// under a new data key. An error of f is returned as it is.
func (s *Store) UpdateSubject(ctx context.Context, key string, f func(*ekyc.Subject) error) (u ekyc.Subject, err error) {
	err = s.writer.do(ctx, func(q querier) error {
		for n := 0; ; n++ {
			err := s.updateSubject(ctx, q, key, &u, f)
			if !errors.Is(err, errConflict) || n == maxRepeats {
				return err
			}
		}
	})
	return u, err
}

// updateSubject is errConflict when another process made the record meanwhile.
func (s *Store) updateSubject(ctx context.Context, q querier, key string, u *ekyc.Subject, f func(*ekyc.Subject) error) (err error) {
	*u, err = s.subject(ctx, q, key, s.lock)
	absent := errors.Is(err, ekyc.ErrAbsent)
	if err != nil && !absent {
		return err
	}
	if err := f(u); err != nil {
		return err
	}
	subjectUTC(u)
	plain, err := marshal(u)
	if err != nil {
		return fmt.Errorf("update subject: %w", err)
	}
	dataKey, doc, err := s.seal(nil, plain, subjectContext(key))
	if err != nil {
		return fmt.Errorf("update subject: %w", err)
	}
	if absent {
		n, err := affected(q.ExecContext(ctx, `
			insert into subjects (digest, due, data_key, doc, person) values ($1, $2, $3, $4, $5) on conflict (digest) do nothing`,
			key, u.Until.UnixMilli(), dataKey, doc, s.person(u)))
		if err == nil && n == 0 {
			err = errConflict
		}
		return err
	}
	_, err = q.ExecContext(ctx, `update subjects set due = $1, data_key = $2, doc = $3, person = $4 where digest = $5`,
		u.Until.UnixMilli(), dataKey, doc, s.person(u), key)
	return err
}

// Subject reads the subject under key.
func (s *Store) Subject(ctx context.Context, key string) (ekyc.Subject, error) {
	return s.subject(ctx, s.read, key, "")
}

func (s *Store) subject(ctx context.Context, q querier, key, lock string) (u ekyc.Subject, err error) {
	var dataKey, doc string
	err = absent(q.QueryRowContext(ctx, `select data_key, doc from subjects where digest = $1`+lock, key).Scan(&dataKey, &doc))
	var plain []byte
	if err == nil {
		_, plain, err = s.unseal(dataKey, doc, subjectContext(key))
	}
	if err == nil && json.Unmarshal(plain, &u) != nil {
		err = errDamaged
	}
	if err != nil {
		return ekyc.Subject{}, fmt.Errorf("read subject: %w", err)
	}
	subjectUTC(&u)
	return u, nil
}

func subjectUTC(u *ekyc.Subject) {
	utc(&u.Verified)
	utc(&u.Until)
	for i := range u.Disclosures {
		utc(&u.Disclosures[i].Until)
	}
}

// person is the name under which those are found who were verified with a number; "" where
// the subject was not.
func (s *Store) person(u *ekyc.Subject) string {
	if u.Claim == nil {
		return ""
	}
	return s.personOf(u.Claim.Number)
}

func (s *Store) personOf(n cnid.Number) string {
	return toText(s.sealer.Digest("subject person", []byte(n)))
}

// SubjectsOf lists the keys of those who were verified with a number.
func (s *Store) SubjectsOf(ctx context.Context, n cnid.Number) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `select digest from subjects where person = $1 and person <> ''`, s.personOf(n))
	if err != nil {
		return nil, fmt.Errorf("list a person's subjects: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (key string, err error) { return key, r.Scan(&key) })
	if err != nil {
		return nil, fmt.Errorf("list a person's subjects: %w", err)
	}
	return list, nil
}

// ForgetSubject erases a subject with its data key. An absent one is success.
func (s *Store) ForgetSubject(ctx context.Context, key string) error {
	if _, err := s.writer.exec(ctx, `delete from subjects where digest = $1`, key); err != nil {
		return fmt.Errorf("forget subject: %w", err)
	}
	return nil
}

// ForgetSubjects erases the subjects that are due, with their data keys.
func (s *Store) ForgetSubjects(ctx context.Context, now time.Time) (int, error) {
	return s.forgetDue(ctx, `delete from subjects where due <= $1`, now)
}

// ForgetRequests erases the requests whose time is over.
func (s *Store) ForgetRequests(ctx context.Context, now time.Time) (int, error) {
	return s.forgetDue(ctx, `delete from requests where due <= $1`, now)
}

func (s *Store) forgetDue(ctx context.Context, query string, now time.Time) (int, error) {
	n, err := s.writer.exec(ctx, query, now.UnixMilli())
	if err != nil {
		return 0, fmt.Errorf("forget what is due: %w", err)
	}
	return int(n), nil
}

// Once stores a request's digest; fresh is false if it was there already.
func (s *Store) Once(ctx context.Context, digest string, until time.Time) (fresh bool, err error) {
	n, err := s.writer.exec(ctx, `insert into requests (digest, due) values ($1, $2) on conflict (digest) do nothing`, digest, until.UnixMilli())
	if err != nil {
		return false, fmt.Errorf("remember request: %w", err)
	}
	return n == 1, nil
}
