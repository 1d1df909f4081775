package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"shiren/internal/engine/models"
)

func (a *app) modelsCmd() *cobra.Command {
	var groups []string
	options := func() (models.FetchOptions, error) {
		cfg, err := a.load()
		if err != nil {
			return models.FetchOptions{}, err
		}
		o := models.FetchOptions{Dir: cfg.ModelsDir(), User: cfg.Models.Manifest, Out: a.err}
		for _, g := range groups {
			switch models.Group(g) {
			case models.GroupRuntime, models.GroupFace, models.GroupCard, models.GroupTest:
				o.Groups = append(o.Groups, models.Group(g))
			default:
				return o, fmt.Errorf("there is no group %q; want runtime, face, card or test", g)
			}
		}
		return o, nil
	}
	fetch := &cobra.Command{
		Use: "fetch", Short: "Fetch what is missing, through npm, and verify it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := options()
			if err != nil {
				return err
			}
			return models.Fetch(cmd.Context(), o)
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "Show every file of the manifest and whether it is there", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			o, err := options()
			if err != nil {
				return err
			}
			l, err := models.List(o)
			if err != nil {
				return err
			}
			return models.Print(a.out, l)
		},
	}
	verify := &cobra.Command{
		Use: "verify", Short: "Check every file's hash", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := options()
			if err != nil {
				return err
			}
			l, err := models.Verify(cmd.Context(), o)
			if perr := models.Print(a.out, l); err == nil {
				err = perr
			}
			return err
		},
	}
	for _, cmd := range []*cobra.Command{fetch, list, verify} {
		a.setData(cmd)
		a.set(cmd, "dir", "models.dir", "models' `folder` (default models under the data folder)")
		a.set(cmd, "manifest", "models.manifest", "a manifest `file` of your own")
		cmd.Flags().StringSliceVar(&groups, "group", nil, "`groups`: runtime, face, card, test (default runtime,face,card)")
	}
	return group("models", "Fetch, list and verify the models", fetch, list, verify)
}
