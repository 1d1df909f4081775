package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"shiren/internal/ekyc"
)

func keyContext(app, id string) string { return "key " + id + " of app " + app }

// PutAppKey inserts or replaces a key by app and ID, sealed under a new data key.
func (s *Store) PutAppKey(ctx context.Context, k ekyc.AppKey) error {
	plain, err := marshal(k)
	if err != nil {
		return fmt.Errorf("put key %s of app %s: %w", k.ID, k.App, err)
	}
	key, doc, err := s.seal(nil, plain, keyContext(string(k.App), k.ID))
	if err != nil {
		return fmt.Errorf("put key %s of app %s: %w", k.ID, k.App, err)
	}
	defer s.forgetCached()
	_, err = s.writer.exec(ctx, `
		insert into app_keys (app, id, data_key, doc) values ($1, $2, $3, $4)
		on conflict (app, id) do update set data_key = excluded.data_key, doc = excluded.doc`, k.App, k.ID, key, doc)
	if err != nil {
		return fmt.Errorf("put key %s of app %s: %w", k.ID, k.App, err)
	}
	return nil
}

// RemoveAppKey erases a key. An absent one is success.
func (s *Store) RemoveAppKey(ctx context.Context, app ekyc.AppID, id string) error {
	defer s.forgetCached()
	if _, err := s.writer.exec(ctx, `delete from app_keys where app = $1 and id = $2`, app, id); err != nil {
		return fmt.Errorf("remove key %s of app %s: %w", id, app, err)
	}
	return nil
}

// AppKeys lists an app's keys by creation, then by ID. The list is shared: it must not be
// changed.
func (s *Store) AppKeys(ctx context.Context, app ekyc.AppID) ([]ekyc.AppKey, error) {
	return s.owned.get(app, func() ([]ekyc.AppKey, error) {
		rows, err := s.read.QueryContext(ctx, `select id, data_key, doc from app_keys where app = $1`, app)
		if err != nil {
			return nil, fmt.Errorf("list keys of app %s: %w", app, err)
		}
		list, err := collect(rows, func(r *sql.Rows) (k ekyc.AppKey, err error) {
			var id, key, doc string
			if err := r.Scan(&id, &key, &doc); err != nil {
				return k, err
			}
			_, plain, err := s.unseal(key, doc, keyContext(string(app), id))
			if err == nil && json.Unmarshal(plain, &k) != nil {
				err = errDamaged
			}
			utc(&k.Created)
			utc(&k.Until)
			return k, err
		})
		if err != nil {
			return nil, fmt.Errorf("list keys of app %s: %w", app, err)
		}
		slices.SortFunc(list, func(a, b ekyc.AppKey) int {
			return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
		})
		return list, nil
	})
}
