package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"shiren/internal/ekyc"
)

// keyless is a direct call without what it is found by, which is kept apart and for a time only.
type keyless struct {
	ekyc.Direct
	Keys *struct{} `json:",omitempty"`
}

// AddDirect adds the record of a direct call and its charges. One whose ID is there already
// is left as it is.
func (s *Store) AddDirect(ctx context.Context, d ekyc.Direct) error {
	doc, err := marshal(keyless{Direct: d})
	if err != nil {
		return fmt.Errorf("add direct call: %w", err)
	}
	l := entry{d.Record(), d.Keys}
	err = s.writer.do(ctx, func(q querier) error { return s.addDirect(ctx, q, &d, string(doc), l) })
	if err != nil {
		return fmt.Errorf("add direct call: %w", err)
	}
	s.remember(l)
	return nil
}

func (s *Store) addDirect(ctx context.Context, q querier, d *ekyc.Direct, doc string, l entry) error {
	n, err := affected(q.ExecContext(ctx, `
		insert into directs (id, ref, app, kind, at, doc) values ($1, $2, $3, $4, $5, $6)
		on conflict (id) do nothing`,
		d.ID, d.Ref, d.App, d.Kind, d.At.UnixMilli(), doc))
	if err != nil {
		return err
	}
	if n > 0 {
		count(q, d.Counts())
		if err := s.addLine(ctx, q, l); err != nil {
			return err
		}
	}
	return addCharges(ctx, q, d.Protocol, d.Charges())
}

// directsLimit is how many records are listed where the query does not say.
const directsLimit = 100

// Directs lists records of direct calls, newest first.
func (s *Store) Directs(ctx context.Context, d ekyc.DirectQuery) ([]ekyc.Direct, error) {
	before, since := int64(math.MaxInt64), int64(math.MinInt64)
	if !d.Before.IsZero() {
		before = d.Before.UnixMilli()
	}
	if !d.Since.IsZero() {
		since = d.Since.UnixMilli()
	}
	limit := d.Limit
	if limit <= 0 {
		limit = directsLimit
	}
	query, args := `select doc from directs where (at, id) < ($1, $2) and at >= $3`, []any{before, d.BeforeID, since}
	for _, c := range []struct{ column, want string }{{"app", string(d.App)}, {"kind", string(d.Kind)}} {
		if c.want != "" {
			args = append(args, c.want)
			query += fmt.Sprintf(" and %s = $%d", c.column, len(args))
		}
	}
	if d.ID != "" {
		args = append(args, d.ID, d.ID)
		query += fmt.Sprintf(" and (id = $%d or ref = $%d)", len(args)-1, len(args))
	}
	args = append(args, limit)
	query += fmt.Sprintf(" order by at desc, id desc limit $%d", len(args))
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list direct calls: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (ekyc.Direct, error) {
		var doc string
		if err := r.Scan(&doc); err != nil {
			return ekyc.Direct{}, err
		}
		return decodeDirect(doc)
	})
	if err != nil {
		return nil, fmt.Errorf("list direct calls: %w", err)
	}
	return list, nil
}

// Reserve adds up to n to a counter, as much as stays at or below most.
func (s *Store) Reserve(ctx context.Context, counter string, n, most int64) (granted int64, err error) {
	err = s.writer.do(ctx, func(q querier) error {
		_, err := q.ExecContext(ctx, `insert into counters (name, used) values ($1, 0) on conflict (name) do nothing`, counter)
		if err != nil {
			return err
		}
		var used int64
		if err := q.QueryRowContext(ctx, `select used from counters where name = $1`+s.lock, counter).Scan(&used); err != nil {
			return err
		}
		if granted = max(0, min(n, most-used)); granted == 0 {
			return nil
		}
		_, err = q.ExecContext(ctx, `update counters set used = $1 where name = $2`, used+granted, counter)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reserve calls: %w", err)
	}
	return granted, nil
}

// Switch reads what was set for a kind of charge.
func (s *Store) Switch(ctx context.Context, kind ekyc.ChargeKind) (ekyc.Switch, error) {
	state, err := s.switches.get(kind, func() (state ekyc.Switch, err error) {
		err = s.read.QueryRowContext(ctx, `select state from switches where kind = $1`, kind).Scan(&state)
		if errors.Is(err, sql.ErrNoRows) {
			return ekyc.In, nil
		}
		return state, err
	})
	if err != nil {
		return "", fmt.Errorf("read switch: %w", err)
	}
	return state, nil
}

// PutSwitch sets what holds for a kind of charge.
func (s *Store) PutSwitch(ctx context.Context, kind ekyc.ChargeKind, state ekyc.Switch) error {
	defer s.forgetCached()
	err := s.writer.do(ctx, func(q querier) error {
		_, err := q.ExecContext(ctx, `
			insert into switches (kind, state) values ($1, $2)
			on conflict (kind) do update set state = excluded.state`, kind, state)
		return err
	})
	if err != nil {
		return fmt.Errorf("put switch: %w", err)
	}
	return nil
}

// AppByBearer reads an app by its bearer key.
func (s *Store) AppByBearer(ctx context.Context, key string) (ekyc.App, error) {
	digest := s.bearer(ekyc.Secret(key))
	id, err := s.bearers.get(digest, func() (id ekyc.AppID, err error) {
		err = s.read.QueryRowContext(ctx, `select id from apps where bearer = $1`, digest).Scan(&id)
		return id, absent(err)
	})
	if err != nil {
		return ekyc.App{}, fmt.Errorf("read app by bearer key: %w", err)
	}
	a, err := s.App(ctx, id)
	if err == nil && string(a.Bearer) != key { // another process gave it a new one meanwhile
		return ekyc.App{}, fmt.Errorf("read app by bearer key: %w", ekyc.ErrAbsent)
	}
	return a, err
}

// bearer is the name under which a bearer key is kept.
func (s *Store) bearer(key ekyc.Secret) string {
	return toText(s.sealer.Digest("bearer key", []byte(key)))
}
