package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/bench/injection"
	"shiren/internal/ekyc"
	"shiren/internal/server"
)

func (a *app) benchCapturesCmd() *cobra.Command {
	var o injection.CapturesOptions
	var kind string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "captures", Short: "Measure hint latency of many captures at a time",
		Long: `Let many pages at a time send video to a server of its own through the capture WebSocket,
at the page's pace, session after session, and measure how long each hint takes. Pages and
server share this machine's CPUs. Needs ffmpeg, and the test group of the models. Prints
Markdown.

JSON keys: synthetic, kind, sessions, seconds, captures, frames, hints, frames_skipped,
frames_held, hints_per_second_and_session, p50_ms, p95_ms, p99_ms, result_p95_ms.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Kind = ekyc.LivenessKind(kind); !slices.Contains(injection.Kinds, o.Kind) {
				return fmt.Errorf("--kind %q is not a real-time kind; want one of %s", kind, names(injection.Kinds))
			}
			return a.benchCaptures(cmd.Context(), o, asJSON)
		},
	}
	a.setData(cmd)
	cmd.Flags().IntVar(&o.Sessions, "sessions", 20, "captures at a time")
	cmd.Flags().DurationVar(&o.Span, "for", 30*time.Second, "how long")
	cmd.Flags().StringVar(&kind, "kind", "flash", "kind of liveness")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) benchCaptures(ctx context.Context, o injection.CapturesOptions, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	e, err := server.OpenEngine(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	o.Engine, o.Models, o.Now = e, cfg.ModelsDir(), a.now
	r, err := injection.Captures(ctx, o)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.out, r)
	}
	return r.Write(a.out)
}
