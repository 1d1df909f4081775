package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/operator"
	"shiren/internal/server"
)

func (a *app) consoleCmd() *cobra.Command {
	link := &cobra.Command{
		Use: "link", Short: "Make a one-time link that creates an administrator", Args: cobra.NoArgs,
		Long: `Make a one-time link that creates an administrator of the console, also where there is
one already: for whoever can sign in no more. It can be used once, for 24 hours.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withData(cmd, func(d *server.Data) error {
				token, err := d.Operators.RecoveryLink(cmd.Context())
				if err != nil {
					return err
				}
				fmt.Fprintf(a.out, "Whoever opens this link first becomes an administrator (usable once, for 24 hours):\n%s\n", server.ConsoleLink(d.ConsolePage(), token))
				return nil
			})
		},
	}
	reset := &cobra.Command{
		Use: "reset NAME", Short: "Make a one-time link that sets an account's password anew", Args: cobra.ExactArgs(1),
		Long: `Make a one-time link by which an account's person sets a new password; codes of an
authenticator app are asked for no more then. What the account has now is good until the
link is used. It can be used once, for 24 hours.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withData(cmd, func(d *server.Data) error {
				token, err := d.Operators.ResetLink(cmd.Context(), args[0])
				if errors.Is(err, operator.ErrAbsent) {
					return fmt.Errorf("there is no account %q; `shiren console accounts` shows what there is", args[0])
				} else if err != nil {
					return said(err)
				}
				fmt.Fprintf(a.out, "This link sets a new password (usable once, for 24 hours):\n%s\n", server.ConsoleLink(d.ConsolePage(), token))
				return nil
			})
		},
	}
	list := &cobra.Command{
		Use: "accounts", Short: "List the console's accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withData(cmd, func(d *server.Data) error {
				accounts, err := d.Operators.Accounts(cmd.Context())
				if err != nil {
					return err
				}
				if len(accounts) == 0 {
					fmt.Fprintln(a.out, "There is no account yet; `shiren console link` prints a link that makes an administrator.")
					return nil
				}
				return showAccounts(a.out, accounts)
			})
		},
	}
	for _, c := range []*cobra.Command{link, reset, list} {
		a.setData(c)
	}
	return group("console", "Look after the console's accounts", link, reset, list)
}

func showAccounts(out io.Writer, accounts []operator.Account) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tSTATE\tCODES\tCREATED\tLAST SIGN-IN")
	for _, p := range accounts {
		state, codes, seen := "on", "no", "never"
		switch {
		case p.Disabled:
			state = "off"
		case p.Password == "":
			state = "invited"
		}
		if p.TOTP != "" {
			codes = "yes"
		}
		if !p.Seen.IsZero() {
			seen = p.Seen.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Role, state, codes, p.Created.Format(time.RFC3339), seen)
	}
	return w.Flush()
}

// said makes an operators' refusal a sentence of the command line.
func said(err error) error {
	var e *operator.Error
	if errors.As(err, &e) {
		return errors.New(e.Message)
	}
	return err
}

func (a *app) auditCmd() *cobra.Command {
	var marks []string
	verify := &cobra.Command{
		Use: "verify", Short: "Verify that nothing of the console's journal was changed or removed", Args: cobra.NoArgs,
		Long: `Compute every sum of the console's journal anew and say where it does not hold.

A journal that is whole has a mark, NUMBER:SUM, which is printed. Note it where whoever can
change the database cannot: given again with --mark, it shows whether the journal was put
back to an earlier state, which sums alone cannot.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []operator.Chain
			for _, text := range marks {
				m, err := operator.ParseMark(text)
				if err != nil {
					return fmt.Errorf("--mark %q: %w", text, said(err))
				}
				list = append(list, m)
			}
			return a.withData(cmd, func(d *server.Data) error {
				chain, err := d.Operators.Verify(cmd.Context(), list...)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.out, "the journal is whole: %d entries\nmark  %s\n", chain.Last, chain.Mark())
				return nil
			})
		},
	}
	a.setData(verify)
	verify.Flags().StringSliceVar(&marks, "mark", nil, "`NUMBER:SUM` that an earlier verification printed; may be repeated")
	return group("audit", "Verify the console's journal", verify)
}

// withData runs f with what is kept.
func (a *app) withData(cmd *cobra.Command, f func(d *server.Data) error) (err error) {
	d, err := a.open(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return f(d)
}
