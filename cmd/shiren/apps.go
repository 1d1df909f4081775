package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"shiren/internal/config"
	"shiren/internal/ekyc"
	"shiren/internal/server"
)

func (a *app) appCmd() *cobra.Command {
	var id string
	var settings appSettings
	add := &cobra.Command{
		Use: "add", Short: "Make an app with new keys", Args: cobra.NoArgs,
		Long: `Make an app with new keys and print them; the secret key is not shown again.
To have the same app on every deployment, declare it in shiren.toml instead.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			want := ekyc.App{ID: ekyc.AppID(id)}
			if err := settings.apply(&want, cmd); err != nil {
				return err
			}
			return a.addApp(cmd.Context(), d, want)
		},
	}
	a.setData(add)
	add.Flags().StringVar(&id, "id", "", "`digits` (default: one more than the highest)")
	settings.flags(add)

	list := &cobra.Command{
		Use: "list", Short: "List apps, without secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			apps, err := d.Store.Apps(cmd.Context())
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tNAME\tAPI KEY\tSTATE\tQUOTA\tPER SECOND\tPER DAY\tTOTAL\tADDRESSES")
			for _, p := range apps {
				total := p.Total
				if p.Test {
					total = p.TestTotal
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Name, p.Key, standing(p, a.now()), quotas(p.Quota),
					unlimited(p.PerSecond), unlimited(p.PerDay), unlimited(total), addresses(p))
			}
			return w.Flush()
		},
	}
	a.setData(list)
	return group("app", "Make, list, change and switch relying parties' apps", add, list, a.appSetCmd(), a.keysCmd(),
		a.switchCmd("disable", "Switch an app off: its tokens and keys stop working", true),
		a.switchCmd("enable", "Switch an app on again", false))
}

func quotas(q map[ekyc.ChargeKind]int64) string {
	if len(q) == 0 {
		return "unlimited"
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(q)) {
		n := strconv.FormatInt(q[k], 10)
		if q[k] == ekyc.Unlimited {
			n = "unlimited"
		}
		list = append(list, string(k)+"="+n)
	}
	return strings.Join(list, ",")
}

func unlimited(n int64) string {
	if n <= 0 {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

func (a *app) addApp(ctx context.Context, d *server.Data, want ekyc.App) error {
	r, err := d.MakeApp(ctx, want)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "app         %s\nAPI Key     %s\nSecret Key  %s\nBearer key  %s\n\nThe secret key and the bearer key, which admits alone (Juhe's key), are not shown again.\nNext: shiren plan add --app %s --id …\n",
		r.ID, r.Key, string(r.Secret), string(r.Bearer), r.ID)
	return nil
}

// changeApp changes an app that no file declares.
func changeApp(ctx context.Context, d *server.Data, id string, f func(*ekyc.App) error) (ekyc.App, error) {
	p, err := d.ChangeApp(ctx, ekyc.AppID(id), f)
	if errors.Is(err, ekyc.ErrAbsent) {
		return p, fmt.Errorf("there is no app %q; `shiren app list` shows what there is", id)
	}
	return p, err
}

func (a *app) switchCmd(use, short string, off bool) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			p, err := changeApp(cmd.Context(), d, args[0], func(p *ekyc.App) error {
				p.Disabled = off
				return nil
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "app %s is %s\n", p.ID, map[bool]string{true: "off", false: "on"}[off])
			return nil
		},
	}
	a.setData(cmd)
	return cmd
}

// instead names the kinds that may take the place of a plan's own.
func instead(p ekyc.Plan) string {
	var list []string
	for _, k := range []ekyc.LivenessKind{p.Alternative, p.Fallback} {
		if k != "" {
			list = append(list, string(k))
		}
	}
	if list == nil {
		return "-"
	}
	return strings.Join(list, ",")
}

func (a *app) planCmd() *cobra.Command {
	p := config.DefaultPlan()
	var consentVersion, consentZh, consentEn string
	add := &cobra.Command{
		Use: "add", Short: "Make a plan, or replace one", Args: cobra.NoArgs,
		Long: `Make a plan, or replace the one with the same id. Sessions that are open keep the plan
they were opened with, and what was replaced stays as an earlier version. To have the same plan on every deployment, declare it in
shiren.toml instead.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if consentVersion != "" || consentZh != "" || consentEn != "" {
				p.Consent = config.Consent{Version: consentVersion, Text: map[string]string{"zh-CN": consentZh}}
				if consentEn != "" {
					p.Consent.Text["en"] = consentEn
				}
			}
			want := p.Record(a.now().UTC())
			if err := want.Validate(); err != nil {
				return err
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			have, err := d.Store.Plan(cmd.Context(), want.ID)
			switch {
			case err == nil:
				want.Version, want.Created, want.Retired = have.Version, have.Created, have.Retired
			case !errors.Is(err, ekyc.ErrAbsent):
				return err
			}
			want, err = d.ChangePlan(cmd.Context(), ekyc.PlanVersion{Plan: want, At: a.now().UTC()})
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "plan %s of app %s is stored as version %d\n", want.ID, want.App, want.Version)
			return nil
		},
	}
	a.setData(add)
	f := add.Flags()
	f.StringVar(&p.ID, "id", "", "what clients send as plan_id: letters, digits, - or _")
	f.StringVar(&p.App, "app", "", "`id` of the app that it belongs to")
	f.StringVar(&p.Name, "name", "", "what people call it")
	f.StringVar(&p.Title, "title", "", "the page's title (default: the page's own)")
	f.BoolVar(&p.HideTitle, "hide-title", false, "show no title bar")
	f.StringVar(&p.Comparison, "comparison", p.Comparison, "`source`: none, uploaded or authority")
	f.StringVar(&p.Identity, "identity", p.Identity, "`input`: none, declared, entered or document (read from the person's card)")
	f.StringVar(&p.Liveness, "liveness", p.Liveness, "`kind`: silent, flash, action or distance; recorded: picture, video, recorded_action or digits")
	f.StringVar(&p.Fallback, "fallback", "", "recorded `kind` for browsers without a live camera (default: none)")
	f.StringVar(&p.Alternative, "alternative", "", "real-time `kind` that the person may choose instead (default: none)")
	f.StringSliceVar(&p.Actions, "actions", nil, "what action kinds draw from: blink,mouth,left,right,up,down (default: all)")
	f.StringVar(&p.LivenessLevel, "liveness-level", p.LivenessLevel, "low, normal or high")
	f.StringVar(&p.QualityLevel, "quality-level", p.QualityLevel, "low, normal or high")
	f.Float64Var(&p.MatchAt, "match-at", p.MatchAt, "comparison `score` from which a pair matches; 0.8 is an FMR of 1e-4")
	f.BoolVar(&p.EndsOnFailure, "ends-on-failure", false, "a failed attempt ends the token")
	f.BoolVar(&p.KeepMedia, "keep-media", p.KeepMedia, "keep images and video for the media call, one day")
	f.BoolVar(&p.Spoofing, "spoofing", false, "look for signs of injected or synthetic pictures")
	f.BoolVar(&p.Risk, "risk", false, "assess risk and report its level")
	f.BoolVar(&p.DocumentBack, "document-back", false, "with identity document: read the emblem side too")
	f.BoolVar(&p.DocumentRisk, "document-risk", false, "with identity document: refuse copies")
	f.StringSliceVar(&p.Sources, "sources", nil, "with --comparison authority: who is asked, in order, as in registry,baidu (default: the server's order)")
	f.StringSliceVar(&p.NextOn, "next-on", nil, "what makes the next source be asked: no_record,failed (default: both)")
	f.StringVar(&consentVersion, "consent-version", "", "version of an authorisation text of your own")
	f.StringVar(&consentZh, "consent-zh", "", "its Chinese `text`")
	f.StringVar(&consentEn, "consent-en", "", "its English `text`")
	required(add, "id", "app")

	list := &cobra.Command{
		Use: "list", Short: "List plans", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			plans, err := d.Store.Plans(cmd.Context())
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tAPP\tNAME\tCOMPARISON\tIDENTITY\tLIVENESS\tINSTEAD\tQUALITY\tMATCH AT\tENDS ON FAILURE")
			for _, p := range plans {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s %s\t%s\t%s\t%.2f\t%v\n", p.ID, p.App, p.Name, p.Comparison, p.Identity, p.Liveness, p.LivenessLevel, instead(p), p.QualityLevel, float64(p.MatchAt), p.EndsOnFailure)
			}
			return w.Flush()
		},
	}
	a.setData(list)
	return group("plan", "Make and list plans", add, list)
}
