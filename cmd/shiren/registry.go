package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/server"
	"shiren/internal/source/registry"
)

// private reads a flag's value from standard input when it is "-": what stands on a
// command line can be seen by every user of the machine while the command runs.
func private(cmd *cobra.Command, value string) (string, error) {
	if value != "-" {
		return value, nil
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 256)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read from standard input: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// person reads the number that a command is about and opens the data. The caller closes it.
func (a *app) person(cmd *cobra.Command, number string) (cnid.Number, *server.Data, error) {
	number, err := private(cmd, number)
	if err != nil {
		return "", nil, err
	}
	n, err := cnid.ParseNumber(number)
	if err != nil {
		return "", nil, err
	}
	d, err := a.open(cmd.Context())
	return n, d, err
}

func (a *app) registryCmd() *cobra.Command {
	var name, number, kind, portrait string
	var mobiles []string
	add := &cobra.Command{
		Use: "add", Short: "Add a person, or replace one", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			types := map[string]ekyc.DocumentType{"id-card": ekyc.IDCard, "residence-permit": ekyc.ResidencePermit}
			t, ok := types[kind]
			if !ok {
				return fmt.Errorf("there is no document type %q; want id-card or residence-permit", kind)
			}
			number, err := private(cmd, number)
			if err != nil {
				return err
			}
			claim, err := ekyc.ParseClaim(name, number, t)
			if err != nil {
				return err
			}
			p := registry.Person{Claim: claim}
			if p.Mobiles, err = parseMobiles(mobiles); err != nil {
				return err
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			if portrait != "" {
				if p.Portrait, err = readImage(portrait); err != nil {
					return err
				}
				e, err := server.OpenEngine(d.Config)
				if err != nil {
					return err
				}
				defer e.Close()
				d.Registry.Examiner = e
			}
			if err := d.Registry.Add(cmd.Context(), p); err != nil {
				return fmt.Errorf("%s: %w", portrait, err)
			}
			fmt.Fprintf(a.out, "added %s, %s\n", claim.Name, claim.Number)
			return nil
		},
	}
	var write string
	get := &cobra.Command{
		Use: "get", Short: "Show whether a person is there, masked", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, d, err := a.person(cmd, number)
			if err != nil {
				return err
			}
			defer d.Close()
			p, err := d.Registry.Get(cmd.Context(), n)
			if errors.Is(err, ekyc.ErrAbsent) {
				return errors.New("nobody with this number is in the registry")
			} else if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "name      %s\nnumber    %s\nportrait  %d bytes\n", p.Claim.Name, p.Claim.Number, len(p.Portrait))
			if p.Template.Model != "" {
				fmt.Fprintf(a.out, "embedding %s\n", p.Template.Model)
			}
			for _, m := range p.Mobiles {
				fmt.Fprintf(a.out, "mobile    %s %s\n", m.Number, cmp.Or(m.Carrier, registry.CarrierOf(m.Number)))
			}
			if write != "" {
				if len(p.Portrait) == 0 {
					return errors.New("no portrait of this person is kept")
				}
				return os.WriteFile(write, p.Portrait, 0o600)
			}
			return nil
		},
	}
	remove := &cobra.Command{
		Use: "remove", Short: "Remove a person", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, d, err := a.person(cmd, number)
			if err != nil {
				return err
			}
			defer d.Close()
			if err := d.Registry.Remove(cmd.Context(), n); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s is not in the registry any more\n", n)
			return nil
		},
	}
	stats := &cobra.Command{
		Use: "stats", Short: "Count the people", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			n, err := d.Registry.Stats(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "people  %d\nportraits kept  %d\nmobile numbers  %d\n", n.People, n.Portraits, n.Mobiles)
			for _, model := range slices.Sorted(maps.Keys(n.Models)) {
				fmt.Fprintf(a.out, "embeddings of %s  %d\n", model, n.Models[model])
			}
			return nil
		},
	}
	add.Flags().StringVar(&name, "name", "", "the person's `name`")
	add.Flags().StringVar(&kind, "type", "id-card", "document `type`: id-card or residence-permit")
	add.Flags().StringVar(&portrait, "portrait", "", "image `file` with the person's face")
	add.Flags().StringSliceVar(&mobiles, "mobile", nil, "mobile `number`, or number:carrier with mobile, unicom, telecom or broadcast; may be repeated")
	a.setBool(add, "embedding-only", "registry.embedding_only", "keep the portrait's embedding and not its image")
	get.Flags().StringVar(&write, "portrait", "", "write the portrait to a `file`")
	for _, cmd := range []*cobra.Command{add, get, remove, stats} {
		a.setData(cmd)
		if cmd != stats {
			cmd.Flags().StringVar(&number, "number", "", "the person's identity `number`; - reads it from standard input")
			required(cmd, "number")
		}
	}
	required(add, "name")
	return group("registry", "Keep the local registry of people and portraits", add, get, remove, stats,
		a.registryImportCmd(), a.registryExportCmd(), a.registryRenewCmd())
}

// parseMobiles reads the values of --mobile.
func parseMobiles(values []string) (list []registry.Mobile, err error) {
	for _, v := range values {
		number, carrier, _ := strings.Cut(v, ":")
		var m registry.Mobile
		if m.Number, err = cnid.ParseMobile(number); err != nil {
			return nil, err
		}
		if m.Carrier, err = registry.ParseCarrier(carrier); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func required(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was not declared
		}
	}
}
