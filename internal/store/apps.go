package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"shiren/internal/ekyc"
)

func appContext(id string) string { return "app " + id }

// PutApp inserts or replaces an app by ID, sealed under a new data key. A Key that
// another app has is an error.
func (s *Store) PutApp(ctx context.Context, a ekyc.App) error {
	plain, err := marshal(a)
	if err != nil {
		return fmt.Errorf("put app %s: %w", a.ID, err)
	}
	key, doc, err := s.seal(nil, plain, appContext(string(a.ID)))
	if err != nil {
		return fmt.Errorf("put app %s: %w", a.ID, err)
	}
	defer s.forgetCached() // also after an error: a commit may have got through
	err = s.writer.do(ctx, func(q querier) error {
		var other string
		switch err := q.QueryRowContext(ctx, `select id from apps where api_key = $1`, a.Key).Scan(&other); {
		case err == nil && other != string(a.ID):
			return fmt.Errorf("its API key belongs to app %s", other)
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		var bearer sql.NullString
		if a.Bearer != "" {
			bearer = sql.NullString{String: s.bearer(a.Bearer), Valid: true}
			switch err := q.QueryRowContext(ctx, `select id from apps where bearer = $1`, bearer).Scan(&other); {
			case err == nil && other != string(a.ID):
				return fmt.Errorf("its bearer key belongs to app %s", other)
			case err != nil && !errors.Is(err, sql.ErrNoRows):
				return err
			}
		}
		_, err := q.ExecContext(ctx, `
			insert into apps (id, api_key, data_key, doc, bearer) values ($1, $2, $3, $4, $5)
			on conflict (id) do update set api_key = excluded.api_key, data_key = excluded.data_key, doc = excluded.doc, bearer = excluded.bearer`,
			a.ID, a.Key, key, doc, bearer)
		return err
	})
	if err != nil {
		return fmt.Errorf("put app %s: %w", a.ID, err)
	}
	return nil
}

// App reads an app by ID.
func (s *Store) App(ctx context.Context, id ekyc.AppID) (ekyc.App, error) {
	a, err := s.apps.get(id, func() (ekyc.App, error) {
		var key, doc string
		err := s.read.QueryRowContext(ctx, `select data_key, doc from apps where id = $1`, id).Scan(&key, &doc)
		if err != nil {
			return ekyc.App{}, absent(err)
		}
		return s.openApp(string(id), key, doc)
	})
	if err != nil {
		return ekyc.App{}, fmt.Errorf("read app %s: %w", id, err)
	}
	a.Quota = maps.Clone(a.Quota) // the caller's own
	a.Allow, a.Deny = slices.Clone(a.Allow), slices.Clone(a.Deny)
	return a, nil
}

// AppByKey reads an app by its API key.
func (s *Store) AppByKey(ctx context.Context, key string) (ekyc.App, error) {
	id, err := s.keys.get(key, func() (id ekyc.AppID, err error) {
		err = s.read.QueryRowContext(ctx, `select id from apps where api_key = $1`, key).Scan(&id)
		return id, absent(err)
	})
	if err != nil {
		return ekyc.App{}, fmt.Errorf("read app by key: %w", err)
	}
	a, err := s.App(ctx, id)
	if err == nil && a.Key != key { // another process gave it a new one meanwhile
		return ekyc.App{}, fmt.Errorf("read app by key: %w", ekyc.ErrAbsent)
	}
	return a, err
}

// Apps lists all apps by ID.
func (s *Store) Apps(ctx context.Context) ([]ekyc.App, error) {
	rows, err := s.read.QueryContext(ctx, `select id, data_key, doc from apps`)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (ekyc.App, error) {
		var id, key, doc string
		if err := r.Scan(&id, &key, &doc); err != nil {
			return ekyc.App{}, err
		}
		return s.openApp(id, key, doc)
	})
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	// Here, and not in SQL: PostgreSQL orders text by its locale.
	slices.SortFunc(list, func(a, b ekyc.App) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

func (s *Store) openApp(id, keyText, docText string) (ekyc.App, error) {
	_, plain, err := s.unseal(keyText, docText, appContext(id))
	if err != nil {
		return ekyc.App{}, err
	}
	var a ekyc.App
	if err := json.Unmarshal(plain, &a); err != nil {
		return ekyc.App{}, errDamaged
	}
	utc(&a.Created)
	utc(&a.Expires)
	utc(&a.ReviewBy)
	return a, nil
}

// PutPlan inserts or replaces a plan by ID, as its next version, whatever the one before it
// was. The moment is the plan's Created: see ChangePlan for one that has another.
func (s *Store) PutPlan(ctx context.Context, p ekyc.Plan) error {
	_, err := s.putPlan(ctx, ekyc.PlanVersion{Plan: p, At: p.Created}, false)
	return err
}

// ChangePlan stores a plan as its next version. v.Plan.Version is the version that the change
// was made to, 0 of a new plan; where that is not the current one the error is
// ekyc.ErrConflict. A plan that says what the current one says makes no version. The plan
// is returned as it is stored.
func (s *Store) ChangePlan(ctx context.Context, v ekyc.PlanVersion) (ekyc.Plan, error) {
	return s.putPlan(ctx, v, true)
}

func (s *Store) putPlan(ctx context.Context, v ekyc.PlanVersion, exact bool) (ekyc.Plan, error) {
	id := v.Plan.ID
	defer s.forgetCached()
	var next ekyc.Plan
	err := s.writer.do(ctx, func(q querier) error {
		var old string
		next = v.Plan
		switch err := q.QueryRowContext(ctx, `select doc from plans where id = $1`+s.lock, id).Scan(&old); {
		case errors.Is(err, sql.ErrNoRows):
			if exact && v.Plan.Version != 0 {
				return ekyc.ErrConflict
			}
			next.Version = 1
		case err != nil:
			return err
		default:
			have, err := decodePlan(old)
			if err != nil {
				return err
			}
			if exact && v.Plan.Version != have.Version {
				return ekyc.ErrConflict
			}
			next.Version = have.Version
			same, err := marshal(next)
			if err != nil {
				return err
			}
			if now, err := marshal(have); err == nil && string(now) == string(same) {
				next = have
				return nil
			}
			next.Version++
		}
		doc, err := marshal(next)
		if err != nil {
			return err
		}
		if _, err := q.ExecContext(ctx, `
			insert into plans (id, app, doc) values ($1, $2, $3)
			on conflict (id) do update set app = excluded.app, doc = excluded.doc`, id, next.App, string(doc)); err != nil {
			return err
		}
		at := v.At.UnixMilli()
		if v.At.IsZero() {
			at = 0
		}
		_, err = q.ExecContext(ctx, `
			insert into plan_versions (plan, version, at, account, name, note, doc) values ($1, $2, $3, $4, $5, $6, $7)`,
			id, next.Version, at, v.By, v.Name, v.Note, string(doc))
		return err
	})
	if err != nil {
		return ekyc.Plan{}, fmt.Errorf("put plan %s: %w", id, err)
	}
	return next, nil
}

// PlanVersions lists the versions of a plan, newest first; none where there is no such plan.
func (s *Store) PlanVersions(ctx context.Context, id ekyc.PlanID) ([]ekyc.PlanVersion, error) {
	rows, err := s.read.QueryContext(ctx, `select version, at, account, name, note, doc from plan_versions where plan = $1 order by version desc`, id)
	if err != nil {
		return nil, fmt.Errorf("list versions of plan %s: %w", id, err)
	}
	list, err := collect(rows, func(r *sql.Rows) (v ekyc.PlanVersion, err error) {
		var n int
		var at int64
		var doc string
		if err := r.Scan(&n, &at, &v.By, &v.Name, &v.Note, &doc); err != nil {
			return v, err
		}
		v.Plan, err = decodePlan(doc)
		v.Plan.Version = n
		if v.At = v.Plan.Created; at != 0 {
			v.At = time.UnixMilli(at).UTC()
		}
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("list versions of plan %s: %w", id, err)
	}
	return list, nil
}

// Plan reads a plan by ID.
func (s *Store) Plan(ctx context.Context, id ekyc.PlanID) (ekyc.Plan, error) {
	p, err := s.plans.get(id, func() (ekyc.Plan, error) {
		var doc string
		if err := s.read.QueryRowContext(ctx, `select doc from plans where id = $1`, id).Scan(&doc); err != nil {
			return ekyc.Plan{}, absent(err)
		}
		return decodePlan(doc)
	})
	if err != nil {
		return ekyc.Plan{}, fmt.Errorf("read plan: %w", err)
	}
	p.Consent.Text = maps.Clone(p.Consent.Text) // the caller's own
	return p, nil
}

// Plans lists all plans by ID.
func (s *Store) Plans(ctx context.Context) ([]ekyc.Plan, error) {
	rows, err := s.read.QueryContext(ctx, `select doc from plans`)
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	list, err := collect(rows, func(r *sql.Rows) (ekyc.Plan, error) {
		var doc string
		if err := r.Scan(&doc); err != nil {
			return ekyc.Plan{}, err
		}
		return decodePlan(doc)
	})
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	slices.SortFunc(list, func(a, b ekyc.Plan) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

func decodePlan(doc string) (ekyc.Plan, error) {
	var p ekyc.Plan
	if err := json.Unmarshal([]byte(doc), &p); err != nil {
		return ekyc.Plan{}, errDamaged
	}
	utc(&p.Created)
	p.Version = max(p.Version, 1) // of plans from before there were versions
	return p, nil
}

// absent translates the database's word for it.
func absent(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ekyc.ErrAbsent
	}
	return err
}
