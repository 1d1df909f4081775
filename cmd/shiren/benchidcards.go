package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"shiren/internal/bench"
	"shiren/internal/bench/cards"
	"shiren/internal/server"
)

// idcardsBench is what `shiren bench idcards` was asked for.
type idcardsBench struct {
	generate         int // people; 0 measures a folder
	seed             uint64
	typeface         string
	rare             bool
	keep             string
	asJSON, mistakes bool
}

func (a *app) benchIDCardsCmd() *cobra.Command {
	var b idcardsBench
	cmd := &cobra.Command{
		Use: "idcards DIR", Short: "Measure the reading of identity documents",
		Long: `Measure the reading of identity documents over the pictures that DIR/truth.json lists,
or, with --generate, over synthetic ones that are made for it: both sides of resident
identity cards and residence permits at three levels (mild, medium, hard), some bilingual,
and odd pictures in which there is nothing to read or something to object to. Prints, by
level, the share of fields and of whole sides that were read exactly with 95 % intervals,
wrong fields that were not marked doubtful, and the CPU seconds a side.

` + bench.CardExact + `.

DIR/truth.json is a list of objects with file, level, side (front or back) and truth
(kind: id, hk, mo or tw; name, gender, nation, birthday, address, id_card_number,
issue_authority, issue_time, expire_time, pass_no); odd pictures also have odd, want (the
right statuses) and flags.

JSON keys: levels.LEVEL and mild_and_medium with fields.FIELD, whole_side,
unflagged_wrong, flagged_right (shares), wrong_numbers_presented, sides, counts,
interval_95; odd.KIND with pictures, right, presented_wrong; cpu_s_per_side; glance with
cpu_s_mean, cpu_s_p95, right_side; pictures; mistakes; seconds.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (b.generate > 0) {
				return errors.New("name either a folder with a truth.json or --generate N")
			}
			if b.keep != "" && b.generate == 0 {
				return errors.New("--keep goes with --generate")
			}
			return a.benchIDCards(cmd.Context(), b, args)
		},
	}
	a.setData(cmd)
	b.setMaking(cmd)
	cmd.Flags().IntVar(&b.generate, "generate", 0, "measure synthetic documents of so `many` people in place of a folder")
	cmd.Flags().StringVar(&b.keep, "keep", "", "write what is generated into a new `folder`, too")
	cmd.Flags().BoolVar(&b.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&b.mistakes, "mistakes", false, "also print what was read wrongly and what stands there (personal data where documents are real)")
	cmd.AddCommand(a.generateCardsCmd())
	return cmd
}

// setMaking declares the flags of what is made.
func (b *idcardsBench) setMaking(cmd *cobra.Command) {
	cmd.Flags().Uint64Var(&b.seed, "seed", 1, "of all chance in what is generated")
	var all []string
	for _, f := range cards.Typefaces {
		all = append(all, string(f))
	}
	cmd.Flags().StringVar(&b.typeface, "typeface", all[0], "what is generated is set in: "+strings.Join(all, ", "))
	cmd.Flags().BoolVar(&b.rare, "rare", false, "every name has a character of the third level of the table of general standard characters")
}

func (a *app) generateCardsCmd() *cobra.Command {
	var b idcardsBench
	cmd := &cobra.Command{
		Use: "generate DIR", Short: "Write synthetic identity documents and their truth.json, without reading them",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if b.generate < 1 {
				return fmt.Errorf("--people %d: want at least one", b.generate)
			}
			b.keep = args[0]
			pictures, all, err := b.made()
			if err != nil {
				return err
			}
			if err := pictures(func(cards.Record, []byte) error { return cmd.Context().Err() }); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%d pictures of documents that do not exist, and %s, are in %s\n", all, cards.TruthFile, b.keep)
			return nil
		},
	}
	b.setMaking(cmd)
	cmd.Flags().IntVar(&b.generate, "people", 20, "so `many` people, each with two sides at three levels")
	return cmd
}

// made is the pictures that are generated, and how many. They are kept where asked.
func (b idcardsBench) made() (bench.CardPictures, int, error) {
	press, err := cards.NewPress(cards.Typeface(b.typeface))
	if err != nil {
		return nil, 0, err
	}
	set := cards.DefaultSet(b.generate, b.seed)
	set.Rare = b.rare
	keep, finish := func(cards.Record, []byte) error { return nil }, func() error { return nil }
	if b.keep != "" {
		if keep, finish, err = cards.Keep(b.keep); err != nil {
			return nil, 0, err
		}
	}
	return func(each func(cards.Record, []byte) error) error {
		err := press.Make(set, func(r cards.Record, data []byte) error {
			if err := keep(r, data); err != nil {
				return err
			}
			return each(r, data)
		})
		if err != nil {
			return err
		}
		return finish()
	}, set.Pictures(), nil
}

func (a *app) benchIDCards(ctx context.Context, b idcardsBench, args []string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	var pictures bench.CardPictures
	var all int
	if b.generate == 0 {
		if pictures, all, err = bench.CardFolder(args[0]); err != nil {
			return err
		}
	}
	reader, err := server.OpenCards(cfg)
	if err != nil {
		return err
	}
	defer reader.Close()
	if b.generate > 0 {
		if pictures, all, err = b.made(); err != nil {
			return err
		}
	}
	o := bench.CardOptions{Now: a.now}
	if terminal(a.err) {
		o.Progress = func(done int) {
			fmt.Fprintf(a.err, "\r%d of %d pictures", done, all)
			if done == all {
				fmt.Fprintln(a.err)
			}
		}
	}
	r, err := bench.IDCards(ctx, reader, pictures, o)
	if err != nil {
		return err
	}
	if b.asJSON {
		if !b.mistakes {
			r = r.WithoutValues()
		}
		return printJSON(a.out, r)
	}
	if b.mistakes {
		if err := r.WriteMistakes(a.out); err != nil {
			return err
		}
	}
	return r.Write(a.out)
}
