package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"shiren/internal/bench"
	"shiren/internal/engine/video"
	"shiren/internal/server"
)

func (a *app) benchPADCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "pad DIR", Short: "Measure silent presentation attack detection over a folder",
		Long: `Measure silent presentation attack detection over the images and clips in
DIR/bona_fide and DIR/attack/SPECIES (JPEG, PNG, WebP; mp4, mov, webm, mkv of 1 to 25 s).
Each file is one presentation; a clip has the mean score of its best frames. Prints, at
each liveness level, BPCER and the APCER of each species with 95 % intervals over the
presentations in which a face was found. Neither quality limits nor challenges apply.

JSON keys: levels (score from which a presentation passes, by level), bona_fide and
attack.SPECIES with presentations, no_response, errors, rate (BPCER or APCER) and
interval_95 by level, apcer_worst by level, files (file, species, score, frames,
problem), ignored, seconds.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.benchPAD(cmd.Context(), args[0], asJSON) },
	}
	a.setData(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) benchPAD(ctx context.Context, dir string, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	e, err := server.OpenEngine(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	o := bench.PADOptions{Now: a.now, Parallel: cfg.Models.Parallel}
	if o.Parallel == 0 {
		o.Parallel = runtime.NumCPU()
	}
	if v := video.New(video.Config{}); v.Available() == nil { // else only clips are refused
		o.Videos = v
	}
	if terminal(a.err) {
		o.Progress = func(done, all int) {
			fmt.Fprintf(a.err, "\r%d of %d files", done, all)
			if done == all {
				fmt.Fprintln(a.err)
			}
		}
	}
	r, err := bench.PAD(ctx, e, dir, o)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.out, r)
	}
	return r.Write(a.out)
}
