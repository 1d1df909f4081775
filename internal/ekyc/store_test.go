package ekyc_test

import (
	"context"
	"errors"

	"shiren/internal/ekyc"
)

// dyingStore loses its database after the first update.
type dyingStore struct {
	ekyc.Store
	updates int
}

func (d *dyingStore) UpdateSession(ctx context.Context, t ekyc.Token, f func(*ekyc.Session) error) (ekyc.Session, error) {
	if d.updates++; d.updates > 1 {
		return ekyc.Session{}, errors.New("disk gone")
	}
	return d.Store.UpdateSession(ctx, t, f)
}

// stickyStore can forget one session only.
type stickyStore struct {
	ekyc.Store
	free ekyc.Token
}

func (s *stickyStore) Forget(ctx context.Context, t ekyc.Token) error {
	if t != s.free {
		return errors.New("disk full")
	}
	return s.Store.Forget(ctx, t)
}
