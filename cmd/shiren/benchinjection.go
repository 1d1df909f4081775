package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/bench/injection"
	"shiren/internal/ekyc"
	"shiren/internal/server"
)

// injectionBench is what `shiren bench injection` was asked for.
type injectionBench struct {
	sessions, wired int
	honest          int
	limit           time.Duration
	kinds           []string
	seed            uint64
	asJSON          bool
}

func (a *app) benchInjectionCmd() *cobra.Command {
	var b injectionBench
	cmd := &cobra.Command{
		Use: "injection", Short: "Measure liveness against simulated attackers and honest users",
		Long: `Play simulated attackers and simulated honest users against a server of its own: still
image, looped video, replays as they were, re-timed and reordered, wrong and late answers,
stale and reused challenges, two faces, flat pictures; and right answers over slow lines,
with dropped frames, in poor light. Everything but the faces' video is SYNTHETIC: the
figures say how the rules behave, and are no field trial. Each kind also plays some
sessions through the capture WebSocket in real time, to see that both ways agree.
Needs ffmpeg, and the test group of the models. Prints Markdown.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.benchInjection(cmd.Context(), b) },
	}
	a.setData(cmd)
	cmd.Flags().IntVar(&b.sessions, "sessions", 1000, "attack sessions of each kind; half as many honest ones are played")
	cmd.Flags().IntVar(&b.honest, "honest", 0, "honest sessions of each kind (default: half as many as attacks)")
	cmd.Flags().DurationVar(&b.limit, "for", 0, "stop after so long, for each kind, and report what was played (default: play all)")
	cmd.Flags().IntVar(&b.wired, "wired", 50, "further attack sessions of each kind through the WebSocket; half as many honest ones")
	cmd.Flags().StringSliceVar(&b.kinds, "kind", []string{"flash", "action", "distance", "silent"}, "kinds of liveness")
	cmd.Flags().Uint64Var(&b.seed, "seed", 1, "of all chance but the wired sessions' timing")
	cmd.Flags().BoolVar(&b.asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) benchInjection(ctx context.Context, b injectionBench) error {
	var kinds []ekyc.LivenessKind
	for _, k := range b.kinds {
		if !slices.Contains(injection.Kinds, ekyc.LivenessKind(k)) {
			return fmt.Errorf("--kind %q is not a real-time kind; want some of %s", k, names(injection.Kinds))
		}
		kinds = append(kinds, ekyc.LivenessKind(k))
	}
	if b.sessions < 1 || b.wired < 0 || b.honest < 0 || b.limit < 0 {
		return fmt.Errorf("--sessions %d --honest %d --wired %d --for %v: want at least one session, and no negative number", b.sessions, b.honest, b.wired, b.limit)
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	e, err := server.OpenEngine(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	r, err := injection.Run(ctx, injection.Options{
		Engine: e, Models: cfg.ModelsDir(), Sessions: b.sessions, Honest: b.honest, For: b.limit, Wired: b.wired, Kinds: kinds, Seed: b.seed, Now: a.now,
		Progress: func(line string) { fmt.Fprintln(a.err, "bench:", line) },
	})
	if err != nil {
		return err
	}
	if b.asJSON {
		return printJSON(a.out, r)
	}
	return r.Write(a.out)
}

func names(kinds []ekyc.LivenessKind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, string(k))
	}
	return strings.Join(list, ", ")
}
