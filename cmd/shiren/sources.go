package main

import (
	"cmp"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) sourceCmd() *cobra.Command {
	var since time.Duration
	from := func() time.Time {
		if since == 0 {
			return time.Time{}
		}
		return a.now().Add(-since)
	}
	stats := &cobra.Command{
		Use: "stats", Short: "Sum calls, costs and latencies of the upstream sources", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			totals, err := d.Store.Calls().Totals(cmd.Context(), from())
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SOURCE\tCALLS\tFAILED\tUNFINISHED\tCHARGED\tCOST\tMEAN\tWORST")
			for _, t := range totals {
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%v\t%v\n", t.Source, t.Calls, t.Failed, t.Unfinished, t.Charged, money(t.Cost),
					t.Mean.Round(time.Millisecond), t.Worst.Round(time.Millisecond))
			}
			return w.Flush()
		},
	}
	var logID string
	calls := &cobra.Command{
		Use: "calls", Short: "List calls to the upstream sources, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			list, err := d.Store.Calls().List(cmd.Context(), from(), logID, maxCalls)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "BEGUN\tSOURCE\tINTERFACE\tLOG ID\tTOOK\tRESULT\tCHARGED\tCOST")
			for _, c := range list {
				result := cmp.Or(string(c.Code), "answered")
				if c.Ended.IsZero() {
					result = "unfinished"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%v\t%s\t%v\t%s\n", c.Begun.Format(time.RFC3339), c.Source, c.Name, c.LogID,
					c.Took.Round(time.Millisecond), result, c.Charged, money(c.Cost))
			}
			return w.Flush()
		},
	}
	for _, cmd := range []*cobra.Command{stats, calls} {
		a.setData(cmd)
		cmd.Flags().DurationVar(&since, "since", 0, "only calls of the last `time`, as in 24h")
	}
	calls.Flags().StringVar(&logID, "log-id", "", "only calls made for this `log id`")
	return group("source", "Look at what was asked of upstream sources, and what it cost", stats, calls)
}

// maxCalls bounds a list for people. Our choice.
const maxCalls = 1000

// money writes millionths.
func money(n int64) string { return fmt.Sprintf("%d.%06d", n/1e6, n%1e6) }
