package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"shiren/internal/demo"
)

func (a *app) demoCmd() *cobra.Command {
	return group("demo", "Fill the console with marked, made-up data, and take it away again", a.demoSeedCmd(), a.demoRemoveCmd())
}

func (a *app) demoSeedCmd() *cobra.Command {
	var sessions, days int
	var seed uint64
	var force bool
	cmd := &cobra.Command{
		Use: "seed", Short: "Make demo data: apps, plans, sessions, calls, charges, statistics", Args: cobra.NoArgs,
		Long: `Make believable data to look at in the console. All of it is marked: names of apps, plans and
people begin with 示例, the apps are switched off, tokens begin with DEMO, identity numbers
belong to a region that does not exist, pictures are drawings that say SPECIMEN.

Like real ones, sessions can be looked at for three days and are erased then; of older ones
only charges and statistics are made. To have all of them at hand, use --days 3 or less, and
run "shiren demo remove" and this again when they are gone.

It refuses a database in which other apps have left sessions, calls or charges, unless --force
is given: "shiren demo remove" takes away all of the demo's and nothing else.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			c := demo.Config{Store: d.Store, Blobs: d.Blobs, Sealer: d.Sealer, Now: a.now(), Seed: seed, Sessions: sessions, Days: days, Force: force}
			if terminal(a.err) {
				bar := progressbar.NewOptions(sessions, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription("sessions"),
					progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
				c.Progress = func(done int) { _ = bar.Set(done) }
			}
			begun := a.now()
			m, err := demo.Seed(cmd.Context(), c)
			if errors.Is(err, demo.ErrReal) {
				return fmt.Errorf("%w; give --force to go on all the same", err)
			} else if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "made %d apps, %d plans, %d sessions to look at, %d of which only charges and statistics are left, and %d direct calls, in %v\n",
				m.Apps, m.Plans, m.Sessions, m.Past, m.Directs, a.now().Sub(begun).Round(100*time.Millisecond))
			return nil
		},
	}
	a.setData(cmd)
	cmd.Flags().IntVar(&sessions, "sessions", 5000, "how many `sessions` there were; a direct call comes with every third")
	cmd.Flags().IntVar(&days, "days", demo.DefaultDays, "over how many `days` up to now")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "the same `number` makes the same data")
	cmd.Flags().BoolVar(&force, "force", false, "also beside data of real apps")
	return cmd
}

func (a *app) demoRemoveCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove", Short: "Take all demo data away", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			r, err := demo.Remove(cmd.Context(), d.Store, d.Blobs)
			fmt.Fprintf(a.out, "removed %d sessions, %d direct calls and %d charges\n", r.Sessions, r.Directs, r.Charges)
			return err
		},
	}
	a.setData(cmd)
	return cmd
}
