package ekyc

import (
	"context"
	"errors"
	"time"
)

// Switch is what the operator set for a kind of charge, for all apps and protocols.
type Switch string

const (
	In     Switch = ""            // in service
	Paused Switch = "maintenance" // for a while
	Out    Switch = "stopped"     // for good
)

// switched says whether a kind of charge is in service. Codes: Maintenance, Stopped.
func (s *Service) switched(ctx context.Context, kind ChargeKind) error {
	switch state, err := s.Store.Switch(ctx, kind); {
	case err != nil:
		return Wrap(Internal, "read switch", err)
	case state == Paused:
		return Errorf(Maintenance, "%q is under maintenance; try again later", kind)
	case state == Out:
		return Errorf(Stopped, "%q is not offered any more", kind)
	}
	return nil
}

// Standing says why none of the app's keys admits at now, or OK. Codes: AppDisabled, AppUnreviewed,
// AppExpired, the first that holds.
func (a App) Standing(now time.Time) Code {
	switch {
	case a.Disabled:
		return AppDisabled
	case !a.ReviewBy.IsZero() && !now.Before(a.ReviewBy):
		return AppUnreviewed
	case !a.Expires.IsZero() && !now.Before(a.Expires):
		return AppExpired
	}
	return OK
}

// standing returns the app, or why none of its keys admits just now.
func (s *Service) standing(app App) (App, error) {
	switch code := app.Standing(s.Now()); code {
	case AppDisabled:
		return App{}, Errorf(code, "the app is switched off")
	case AppUnreviewed:
		return App{}, Errorf(code, "the app was not reviewed in time; ask its operator")
	case AppExpired:
		return App{}, Errorf(code, "the app's keys have expired; ask its operator")
	}
	return app, nil
}

// AppByBearer finds the app that a key alone admits to. Codes: AppUnknown, AppDisabled,
// AppUnreviewed, AppExpired.
func (s *Service) AppByBearer(ctx context.Context, key string) (App, error) {
	if !bearerKeys.MatchString(key) {
		return App{}, Errorf(AppUnknown, "no app has this key")
	}
	app, err := s.Store.AppByBearer(ctx, key)
	switch {
	case errors.Is(err, ErrAbsent):
		return App{}, Errorf(AppUnknown, "no app has this key")
	case err != nil:
		return App{}, Wrap(Internal, "read app", err)
	}
	return s.standing(app)
}
