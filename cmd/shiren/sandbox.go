package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"shiren/internal/ekyc"
)

// sandboxCmd shows what an app in test mode is answered.
func (a *app) sandboxCmd() *cobra.Command {
	var asJSON bool
	list := &cobra.Command{
		Use: "list", Short: "List the magic identities of test mode and what each is answered", Args: cobra.NoArgs,
		Long: `List the magic identities of test mode. An app is put into it by "shiren app set ID --test"
or by test = true in shiren.toml. docs/sandbox.md says how each protocol words each answer.`,
		RunE: func(*cobra.Command, []string) error {
			cases := ekyc.SandboxCases()
			if asJSON {
				type row struct{ Number, Name string }
				rows := make([]row, len(cases))
				for i, c := range cases {
					rows[i] = row{string(c.Number), c.Name}
				}
				return printJSON(a.out, rows)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NUMBER\tANSWER")
			for _, c := range cases {
				fmt.Fprintf(w, "%s\t%s\n", string(c.Number), c.Name) // nobody has these numbers: they need no mask
			}
			return w.Flush()
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	var file string
	picture := &cobra.Command{
		Use: "picture ANSWER", Short: "Write the magic picture of an answer", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, c := range ekyc.SandboxCases() {
				if c.Name != args[0] {
					continue
				}
				if file == "" {
					_, err := a.out.Write(ekyc.SandboxPicture(c.Name))
					return err
				}
				return os.WriteFile(filepath.Clean(file), ekyc.SandboxPicture(c.Name), 0o644)
			}
			return fmt.Errorf("no answer is called %q; `shiren sandbox list` names them all", args[0])
		},
	}
	picture.Flags().StringVarP(&file, "output", "o", "", "`file` to write (default: standard output)")
	return group("sandbox", "Show the scripted answers of test mode", list, picture)
}
