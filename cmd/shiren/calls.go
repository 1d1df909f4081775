package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/ekyc"
)

// callCmd shows the records of direct calls, which hold no personal data.
func (a *app) callCmd() *cobra.Command {
	var q ekyc.DirectQuery
	list := &cobra.Command{
		Use: "list", Short: "List direct calls, newest first: who asked for what, when, and what came of it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			calls, err := d.Store.Directs(cmd.Context(), q)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "AT\tAPP\tKIND\tID\tREF\tOUTCOME\tSCORE\tCHARGED\tTOOK\tCOST")
			for _, c := range calls {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.At.UTC().Format(time.RFC3339), c.App, c.Kind, c.ID, c.Ref,
					outcome(c), score(c), charged(c), c.Took.Round(time.Millisecond), money(c.Cost))
			}
			return w.Flush()
		},
	}
	a.setData(list)
	list.Flags().StringVar((*string)(&q.App), "app", "", "of the app with this `id`")
	list.Flags().StringVar((*string)(&q.Kind), "kind", "", "of this `kind`: match or elements")
	list.Flags().StringVar(&q.ID, "id", "", "with this log `id`, or what the relying party was told to call it (Juhe's orderid)")
	list.Flags().IntVar(&q.Limit, "limit", 0, "at most so `many` (default 100)")
	return group("call", "Look at direct calls", list)
}

func outcome(d ekyc.Direct) string {
	switch {
	case d.Code != ekyc.OK:
		return string(d.Code)
	case d.Kind != ekyc.ChargeElements:
		return "answered"
	}
	s := "identity " + string(d.Elements.Identity)
	if d.Elements.Portrait != ekyc.NotRun {
		s += ", portrait " + string(d.Elements.Portrait)
	}
	return s + ", mobile " + string(d.Elements.Mobile)
}

func score(d ekyc.Direct) string {
	if !d.Compared {
		return "-"
	}
	return fmt.Sprintf("%.4f", float64(d.Score))
}

func charged(d ekyc.Direct) string {
	switch {
	case !d.Answered:
		return "no"
	case d.Sandbox:
		return "test"
	}
	return "yes"
}
