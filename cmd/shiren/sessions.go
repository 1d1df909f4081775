package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/ekyc"
)

func (a *app) sessionCmd() *cobra.Command {
	show := &cobra.Command{
		Use: "show TOKEN", Short: "Show what became of a verify token, masked", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			s, err := d.Store.Session(cmd.Context(), ekyc.Token(args[0]))
			if errors.Is(err, ekyc.ErrAbsent) {
				return errors.New("there is no session with this token: it was never made here, or it was erased when it was due")
			} else if err != nil {
				return err
			}
			showSession(a.out, &s, a.now())
			return nil
		},
	}
	a.setData(show)
	return group("session", "Look at sessions", show)
}

func showSession(w io.Writer, s *ekyc.Session, now time.Time) {
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	fmt.Fprintf(w, "token     %s\nstate     %s\napp       %s\nplan      %s (%s, identity %s)\nopened    %s\nerased    %s\n",
		s.Token, s.State(now), s.App, s.Plan.ID, s.Plan.Comparison, s.Plan.Identity, at(s.Opened), at(s.Until()))
	if s.Sandbox {
		fmt.Fprintf(w, "sandbox   yes: the app was in test mode\n")
	}
	if s.Agreement != nil {
		fmt.Fprintf(w, "agreed    %s to text %s\n", at(s.Agreement.At), s.Agreement.Version)
	}
	if s.Claim != nil {
		fmt.Fprintf(w, "claim     %s, %s\n", s.Claim.Name, s.Claim.Number)
	}
	if d := s.Document; d != nil {
		read := func(r *ekyc.CardRecord) string { return map[bool]string{true: "read", false: "not read"}[r != nil] }
		fmt.Fprintf(w, "document  front %s, back %s, confirmed %v\n", read(d.Front), read(d.Back), d.Confirmed != nil)
	}
	for _, c := range s.Read {
		fmt.Fprintf(w, "charged   %s, log id %s\n", c.Kind, c.LogID)
	}
	if s.Reference != nil {
		fmt.Fprintf(w, "reference %d bytes\n", s.Reference.Evidence.Size)
	}
	for _, a := range s.Attempts {
		fmt.Fprintf(w, "\nattempt   %d, begun %s, log id %s\n", a.Ordinal, at(a.Begun), a.LogID)
		switch {
		case a.Finished.IsZero() && now.Before(a.Lease):
			fmt.Fprintf(w, "outcome   running\n")
			continue
		case a.Finished.IsZero():
			a.Outcome, a.Code = ekyc.Failed, ekyc.Interrupted
		}
		fmt.Fprintf(w, "outcome   %s %s\n", a.Outcome, a.Code)
		showLiveness(w, a)
		for _, c := range a.Checks {
			fmt.Fprintf(w, "check     %s: %s", c.Kind, c.Outcome)
			if c.Threshold > 0 {
				fmt.Fprintf(w, ", score %.4f, threshold %.4f", float64(c.Score), float64(c.Threshold))
			}
			fmt.Fprintln(w)
		}
		for _, x := range a.Asked {
			fmt.Fprintf(w, "asked     %s: %s %s, %v, cost %s\n", x.Source, x.Outcome, x.Code, x.Took.Round(time.Millisecond), money(x.Cost))
		}
		for _, c := range a.Charges {
			fmt.Fprintf(w, "charged   %s\n", c.Kind)
		}
	}
	if len(s.Evidence) > 0 {
		fmt.Fprintln(w)
	}
	for _, e := range s.Evidence {
		fmt.Fprintf(w, "evidence  %s of attempt %d, %d bytes, until %s\n", e.Kind, e.Attempt, e.Size, at(e.Until))
	}
}

// showLiveness prints what the presentation was, how it answered its challenge, and its signs
// of an attack.
func showLiveness(w io.Writer, a ekyc.Attempt) {
	if a.Kind != "" {
		demoted := ""
		if a.Demoted {
			demoted = ", in place of the plan's own kind"
		}
		fmt.Fprintf(w, "kind      %s%s\n", a.Kind, demoted)
	}
	if r := a.Response; r != nil && len(r.Cues) > 0 {
		met := 0
		for _, c := range r.Cues {
			if c.Met {
				met++
			}
		}
		fmt.Fprintf(w, "challenge %s, %d cues met of %d answered, by chance %.2g, lag %v, depth %.2f\n",
			cmp.Or(string(r.Code), "met"), met, len(r.Cues), r.Chance, r.Lag.Round(time.Millisecond), r.Depth)
		if r.Why != "" {
			fmt.Fprintf(w, "why       %s\n", r.Why)
		}
	}
	if r := a.Risk; r != nil {
		fmt.Fprintf(w, "risk      level %d, score %.2f, of pictures %.2f\n", r.Level, r.Score, r.Spoofing)
		for _, s := range r.Signals {
			fmt.Fprintf(w, "sign      %s: %.2f of weight %.2f\n", s.Name, s.Value, s.Weight)
		}
	}
}

func (a *app) purgeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "purge", Short: "Erase everything that is due", Args: cobra.NoArgs,
		Long: `Erase everything that is due: the server does the same at every purge_interval. It may
be repeated and interrupted, also while a server runs.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			e, err := d.Purge(cmd.Context(), a.quiet(d.Config))
			fmt.Fprintf(a.out, "sessions    %d\nimages      %d\nunreadable  %d\nfailed      %d\n", e.Sessions, e.Evidence, e.Unreadable, e.Failed)
			return err
		},
	}
	a.setData(cmd)
	return cmd
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(a.out, "shiren %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
