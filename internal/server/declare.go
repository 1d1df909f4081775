package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"shiren/internal/config"
	"shiren/internal/ekyc"
)

// declare brings the configuration's apps and plans into the database. What is there
// already and equal is left alone, and the moment of creation stays what it was. Apps
// and plans that are no longer declared stay: sessions and charges refer to them.
func (d *Data) declare(ctx context.Context) error {
	now := d.now().UTC()
	for _, a := range d.Config.Apps {
		want := a.Record(now)
		have, err := d.Store.App(ctx, want.ID)
		switch {
		case err == nil:
			want.Created = have.Created
			if sameApp(want, have) {
				continue
			}
		case !errors.Is(err, ekyc.ErrAbsent):
			return fmt.Errorf("read app %s: %w", want.ID, err)
		}
		if err := d.Store.PutApp(ctx, want); err != nil {
			return fmt.Errorf("store the declared app %s: %w", want.ID, err)
		}
	}
	for _, p := range d.Config.Plans {
		if err := d.putPlan(ctx, p.Record(now)); err != nil {
			return err
		}
	}
	return nil
}

func sameApp(a, b ekyc.App) bool {
	if !maps.Equal(a.Quota, b.Quota) || !slices.Equal(a.Allow, b.Allow) || !slices.Equal(a.Deny, b.Deny) {
		return false
	}
	a.Quota, b.Quota, a.Allow, b.Allow, a.Deny, b.Deny = nil, nil, nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

// putPlan stores a plan as its next version, unless the same one is there.
func (d *Data) putPlan(ctx context.Context, want ekyc.Plan) error {
	for again := range 2 {
		have, err := d.Store.Plan(ctx, want.ID)
		switch {
		case err == nil:
			want.Created, want.Version = have.Created, have.Version
			if reflect.DeepEqual(want, have) {
				return nil
			}
		case !errors.Is(err, ekyc.ErrAbsent):
			return fmt.Errorf("read plan %s: %w", want.ID, err)
		}
		_, err = d.Store.ChangePlan(ctx, ekyc.PlanVersion{Plan: want, At: d.now().UTC()})
		switch {
		case err == nil:
			return nil
		case again == 1 || !errors.Is(err, ekyc.ErrConflict): // a node that starts beside this one declares the same
			return fmt.Errorf("store the declared plan %s: %w", want.ID, err)
		}
	}
	return nil
}

// DemoApp is the id of the app that a first start without configuration makes.
const DemoApp ekyc.AppID = "100000"

// FirstApp is the least id that is given to an app of the command line.
const FirstApp = 100001

// demoPlans are the demo app's plans: one for each kind of comparison, then what else a
// page can ask for.
func demoPlans() []config.Plan {
	live, uploaded, authority := config.DefaultPlan(), config.DefaultPlan(), config.DefaultPlan()
	document, flash, action := config.DefaultPlan(), config.DefaultPlan(), config.DefaultPlan()
	live.ID, live.Name = "1", "liveness only"
	uploaded.ID, uploaded.Name, uploaded.Comparison = "2", "an uploaded image", string(ekyc.CompareUploaded)
	authority.ID, authority.Name = "3", "the registry, identity entered by the person"
	authority.Comparison, authority.Identity = string(ekyc.CompareAuthority), string(ekyc.IdentityEntered)
	document.ID, document.Name = "4", "an identity document, then the face"
	document.Identity, document.DocumentBack = string(ekyc.IdentityDocument), true
	flash.ID, flash.Name, flash.Liveness, flash.Alternative = "5", "liveness by colours", string(ekyc.LivenessFlash), string(ekyc.LivenessAction)
	action.ID, action.Name, action.Liveness = "6", "liveness by actions", string(ekyc.LivenessAction)
	plans := []config.Plan{live, uploaded, authority, document, flash, action}
	for i := range plans {
		plans[i].App = string(DemoApp)
	}
	return plans
}

// Demo makes the demo app and its plans on the first start, and finds them on later
// ones. Its key and secret are random and are kept. ok is false where there is none:
// apps are declared or were added, or demo is off; an earlier demo app is switched off then.
func (s *Server) Demo(ctx context.Context) (app ekyc.App, ok bool, err error) {
	app, err = s.Store.App(ctx, DemoApp)
	known := err == nil
	if err != nil && !errors.Is(err, ekyc.ErrAbsent) {
		return app, false, fmt.Errorf("read the demo app: %w", err)
	}
	if !s.Config.WantsDemo() {
		if known && !app.Disabled && !s.DeclaredApp(DemoApp) {
			app.Disabled = true
			s.options.Log.Info("the demo app of an earlier start is switched off", "app", string(app.ID))
			return app, false, s.Store.PutApp(ctx, app)
		}
		return app, false, nil
	}
	if known {
		return app, !app.Disabled, nil
	}
	apps, err := s.Store.Apps(ctx)
	if err != nil || len(apps) > 0 {
		return app, false, err
	}
	now := s.now().UTC()
	app = ekyc.App{ID: DemoApp, Name: "demo", Created: now}
	if err := s.freshKeys(&app); err != nil {
		return app, false, err
	}
	if err := s.Store.PutApp(ctx, app); err != nil {
		return app, false, fmt.Errorf("store the demo app: %w", err)
	}
	for _, p := range demoPlans() {
		if err := s.putPlan(ctx, p.Record(now)); err != nil {
			return app, false, err
		}
	}
	return app, true, nil
}
