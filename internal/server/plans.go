package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"shiren/internal/config"
	"shiren/internal/ekyc"
)

// ErrDeclared says that an app or a plan stands in the configuration file, which has the last
// word at each start.
var ErrDeclared = errors.New("it is declared in the configuration file: change it there")

// DeclaredPlan reports whether the configuration declares a plan.
func (d *Data) DeclaredPlan(id ekyc.PlanID) bool {
	return slices.ContainsFunc(d.Config.Plans, func(p config.Plan) bool { return p.ID == string(id) })
}

// CheckPlan returns every mistake in a plan at once, as ekyc.FieldErrors: those that it has by
// itself, an app that is not there, and sources that are not.
func (d *Data) CheckPlan(ctx context.Context, p ekyc.Plan) error {
	errs := []error{p.Validate()}
	for _, name := range p.Sources {
		if !d.Config.Knows(name) {
			errs = append(errs, &ekyc.FieldError{Field: "sources", What: fmt.Sprintf("there is no source %q; it is registry or the name of a [[source]] of the configuration", name)})
		}
	}
	switch _, err := d.Store.App(ctx, p.App); {
	case errors.Is(err, ekyc.ErrAbsent):
		errs = append(errs, &ekyc.FieldError{Field: "app", What: fmt.Sprintf("there is no app %q; `shiren app list` shows what there is", p.App)})
	case err != nil:
		return err
	}
	return errors.Join(errs...)
}

// ChangePlan stores a plan that somebody changed as its next version, or makes a new one, which
// has Version 0. Errors: those of CheckPlan, ErrDeclared, ekyc.ErrConflict.
func (d *Data) ChangePlan(ctx context.Context, v ekyc.PlanVersion) (ekyc.Plan, error) {
	if d.DeclaredPlan(v.Plan.ID) {
		return ekyc.Plan{}, fmt.Errorf("plan %s: %w", v.Plan.ID, ErrDeclared)
	}
	if err := d.CheckPlan(ctx, v.Plan); err != nil {
		return ekyc.Plan{}, err
	}
	return d.Store.ChangePlan(ctx, v)
}

// Plan reads a plan.
func (d *Data) Plan(ctx context.Context, id ekyc.PlanID) (ekyc.Plan, error) {
	return d.Store.Plan(ctx, id)
}

// Plans lists all plans by ID.
func (d *Data) Plans(ctx context.Context) ([]ekyc.Plan, error) { return d.Store.Plans(ctx) }

// PlanVersions lists a plan's versions, newest first.
func (d *Data) PlanVersions(ctx context.Context, id ekyc.PlanID) ([]ekyc.PlanVersion, error) {
	return d.Store.PlanVersions(ctx, id)
}

// SourceNames are what plans may name as sources, the registry first.
func (d *Data) SourceNames() []string {
	var names []string
	for _, s := range d.Sources {
		names = append(names, s.Name)
	}
	return names
}

// NewPlan is a plan of an app as the configuration's defaults make it, with the authorisation
// text that belongs to a way of identifying.
func (d *Data) NewPlan(id ekyc.IdentityInput) ekyc.Plan {
	p := config.DefaultPlan()
	p.Identity = string(id)
	return p.Record(d.now().UTC())
}
