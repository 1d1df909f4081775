package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/config"
	"shiren/internal/ekyc"
)

// appSettings are the flags that app add and app set share. Only those that were given
// are applied.
type appSettings struct {
	app               config.App
	expires, reviewBy string
}

func (s *appSettings) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.app.Name, "name", "", "what people call it")
	f.StringToInt64Var(&s.app.Quota, "quota", nil, "charges allowed, as in match=1000,live=-1 (-1 unlimited, 0 not opened)")
	f.Int64Var(&s.app.PerSecond, "per-second", 0, "calls a second; 0 is unlimited")
	f.Int64Var(&s.app.PerDay, "per-day", 0, "calls a day; 0 is unlimited")
	f.Int64Var(&s.app.Total, "total", 0, "calls ever, counted from now; 0 is unlimited")
	f.Int64Var(&s.app.AddressPerSecond, "address-per-second", 0, "calls a second of one client address; 0 is unlimited")
	f.Int64Var(&s.app.AddressPerDay, "address-per-day", 0, "calls a day of one client address; 0 is unlimited")
	f.Int64Var(&s.app.AddressTotal, "address-total", 0, "calls ever of one client address; 0 is unlimited")
	f.StringSliceVar(&s.app.Allow, "allow", nil, "`addresses` and ranges that may call, as in 192.0.2.0/24; empty means all")
	f.StringSliceVar(&s.app.Deny, "deny", nil, "`addresses` and ranges that may not")
	f.StringVar(&s.expires, "expires", "", "`date` or moment from which its keys admit no more; empty is never")
	f.StringVar(&s.reviewBy, "review-by", "", "`date` or moment from which it is refused until it is reviewed; empty means reviewed")
	f.BoolVar(&s.app.Test, "test", false, "test mode: scripted answers for magic identities, see shiren sandbox list")
	f.Int64Var(&s.app.TestTotal, "test-total", 0, "calls ever in test mode; 0 is unlimited")
	f.Int64Var(&s.app.PerSubjectDay, "per-subject-day", 0, "verifications of one openId a day (Huawei); 0 is the default, -1 unlimited")
}

// apply lays the flags that were given over p.
func (s *appSettings) apply(p *ekyc.App, cmd *cobra.Command) error {
	var err error
	if s.app.ExpiresAt, err = config.ParseMoment(s.expires); err != nil {
		return fmt.Errorf("--expires: %w", err)
	}
	if s.app.ReviewBy, err = config.ParseMoment(s.reviewBy); err != nil {
		return fmt.Errorf("--review-by: %w", err)
	}
	from := s.app.Record(p.Created)
	for name, set := range map[string]func(){
		"name":               func() { p.Name = from.Name },
		"quota":              func() { p.Quota = from.Quota },
		"per-second":         func() { p.PerSecond = from.PerSecond },
		"per-day":            func() { p.PerDay = from.PerDay },
		"total":              func() { p.Total = from.Total },
		"address-per-second": func() { p.PerAddress.PerSecond = from.PerAddress.PerSecond },
		"address-per-day":    func() { p.PerAddress.PerDay = from.PerAddress.PerDay },
		"address-total":      func() { p.PerAddress.Total = from.PerAddress.Total },
		"allow":              func() { p.Allow = from.Allow },
		"deny":               func() { p.Deny = from.Deny },
		"expires":            func() { p.Expires = from.Expires },
		"review-by":          func() { p.ReviewBy = from.ReviewBy },
		"test":               func() { p.Test = from.Test },
		"test-total":         func() { p.TestTotal = from.TestTotal },
		"per-subject-day":    func() { p.PerSubjectDay = from.PerSubjectDay },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	return nil
}

// appSetCmd changes an app that was made by app add.
func (a *app) appSetCmd() *cobra.Command {
	var settings appSettings
	var fresh bool
	cmd := &cobra.Command{
		Use: "set ID", Short: "Change an app: limits, addresses, expiry, review, test mode, bearer key", Args: cobra.ExactArgs(1),
		Long: `Change an app; what no flag names stays. A server that is running follows within two
seconds. An app of the configuration file is changed there.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			r, err := changeApp(cmd.Context(), d, args[0], func(p *ekyc.App) error { return settings.apply(p, cmd) })
			if err == nil && fresh {
				r, err = d.NewBearer(cmd.Context(), r.ID)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "app %s is changed\n", r.ID)
			if fresh {
				fmt.Fprintf(a.out, "Bearer key  %s\n\nIt is not shown again; the one before is void.\n", string(r.Bearer))
			}
			return nil
		},
	}
	a.setData(cmd)
	settings.flags(cmd)
	cmd.Flags().BoolVar(&fresh, "new-bearer-key", false, "make a new key that admits alone (Juhe's key), and print it")
	return cmd
}

// standings are the words for whether an app's keys admit.
var standings = map[ekyc.Code]string{ekyc.OK: "on", ekyc.AppDisabled: "off", ekyc.AppExpired: "expired", ekyc.AppUnreviewed: "not reviewed"}

// standing says in a word whether an app's keys admit, and whether they are for tests.
func standing(p ekyc.App, now time.Time) string {
	word := standings[p.Standing(now)]
	if p.Test {
		word += ", test"
	}
	return word
}

// addresses says who may call, and how often one may.
func addresses(p ekyc.App) string {
	var list []string
	for _, s := range p.Allow {
		list = append(list, "+"+s)
	}
	for _, s := range p.Deny {
		list = append(list, "-"+s)
	}
	for _, l := range []struct {
		n    int64
		unit string
	}{{p.PerAddress.PerSecond, "s"}, {p.PerAddress.PerDay, "day"}, {p.PerAddress.Total, "total"}} {
		if l.n > 0 {
			list = append(list, fmt.Sprintf("%d/%s each", l.n, l.unit))
		}
	}
	if list == nil {
		return "any"
	}
	return strings.Join(list, " ")
}

// switches are the words for what is and is not in service.
var switches = map[string]ekyc.Switch{"on": ekyc.In, "maintenance": ekyc.Paused, "stopped": ekyc.Out}

// interfaceCmd switches what is charged for on and off, for all apps and protocols.
func (a *app) interfaceCmd() *cobra.Command {
	set := &cobra.Command{
		Use: "set KIND STATE", Short: "Switch a kind of verification: on, maintenance or stopped", Args: cobra.ExactArgs(2),
		Long: `Switch a kind of verification for all apps and protocols: verify (comparison with an
authority), match (with an image), live (liveness alone), ocr or elements (Juhe's four
elements). A server that is running follows within two seconds.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := ekyc.ChargeKind(args[0])
			state, ok := switches[args[1]]
			if !slices.Contains(ekyc.ChargeKinds(), kind) || !ok {
				return errors.New("want a kind (verify, match, live, ocr, elements) and a state (on, maintenance, stopped)")
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			if err := d.Store.PutSwitch(cmd.Context(), kind, state); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %s\n", kind, args[1])
			return nil
		},
	}
	a.setData(set)
	list := &cobra.Command{
		Use: "list", Short: "Show what is in service", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			for _, kind := range ekyc.ChargeKinds() {
				state, err := d.Store.Switch(cmd.Context(), kind)
				if err != nil {
					return err
				}
				for word, s := range switches {
					if s == state {
						fmt.Fprintf(a.out, "%-10s%s\n", kind, word)
					}
				}
			}
			return nil
		},
	}
	a.setData(list)
	return group("interface", "Switch kinds of verification on and off", set, list)
}
