package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"shiren/internal/bench"
	"shiren/internal/server"
)

func (a *app) benchCmd() *cobra.Command {
	var asJSON bool
	var report string
	faces := &cobra.Command{
		Use: "faces DIR", Short: "Measure error rates over the pairs of a folder",
		Long: `Measure error rates over DIR/pairs.csv, which has lines of path_a,path_b,same: paths
below DIR, and 1 for the same person, 0 for different people. Prints pairs, failures to
acquire, 10-fold accuracy, EER, TAR at fixed FMR with 95 % intervals, and ms per stage.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.benchFaces(cmd.Context(), args[0], report, asJSON)
		},
	}
	a.setData(faces)
	faces.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	faces.Flags().StringVar(&report, "report", "", "write an HTML `file` with the ROC and the histogram")

	var h httpBench
	protocol := "baidu"
	http := &cobra.Command{
		Use: "http", Short: "Measure the server: CPU, throughput, latency and memory",
		Long: `Measure a server of its own on this machine's loopback: the CPU of a comparison over
HTTP against its bare inference, comparisons a second, their latency at half that load,
the calls without inference, and resident memory. The load comes from the same machine,
so what it costs is taken from the server. Prints a Markdown table.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch protocol {
			case "baidu":
				return a.benchHTTP(cmd.Context(), h)
			case "juhe":
				return a.benchJuhe(cmd.Context(), h)
			}
			return fmt.Errorf("--protocol %q: want baidu or juhe", protocol)
		},
	}
	a.setData(http)
	http.Flags().StringVar(&protocol, "protocol", protocol, "whose calls to `measure`: baidu, or juhe for its four-element check")
	http.Flags().DurationVar(&h.span, "for", 20*time.Second, "how long each load lasts")
	http.Flags().IntVar(&h.sample, "sample", 200, "over so `many` comparisons the CPU is taken")
	http.Flags().IntVar(&h.soak, "soak", 0, "after that, so `many` comparisons, with the memory at each tenth, to see whether it stays flat")
	http.Flags().StringVar(&h.a, "a", "", "first picture (default: from the test models)")
	http.Flags().StringVar(&h.b, "b", "", "second picture")
	http.Flags().BoolVar(&h.asJSON, "json", false, "print JSON")
	var span time.Duration
	sm2 := &cobra.Command{
		Use: "huawei", Short: "Measure the result query of the Huawei protocol against its bare SM2",
		Long: `Measure the result query of the Huawei protocol on a server of its own: its CPU against
that of two SM2 verifications and one signature, queries a second, latency. Requests are
signed beforehand. Prints a Markdown table.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.benchHuawei(cmd.Context(), span) },
	}
	a.setData(sm2)
	sm2.Flags().DurationVar(&span, "for", 10*time.Second, "how long each load lasts")
	return group("bench", "Measure the engine and the server", faces, a.benchPADCmd(), http, sm2, a.benchInjectionCmd(), a.benchCapturesCmd(), a.benchIDCardsCmd())
}

func (a *app) benchFaces(ctx context.Context, dir, report string, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	e, err := server.OpenEngine(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	parallel := cfg.Models.Parallel
	if parallel == 0 {
		parallel = runtime.NumCPU()
	}
	var progress func(done, all int)
	if terminal(a.err) {
		progress = func(done, all int) {
			if done%50 == 0 || done == all {
				fmt.Fprintf(a.err, "\r%d of %d images", done, all)
			}
			if done == all {
				fmt.Fprintln(a.err)
			}
		}
	}
	r, err := bench.Faces(ctx, e, dir, bench.Options{Now: a.now, Parallel: parallel, Progress: progress})
	if err != nil {
		return err
	}
	if report != "" {
		f, err := os.Create(filepath.Clean(report))
		if err != nil {
			return err
		}
		if err := errors.Join(r.Report(f), f.Close()); err != nil {
			return err
		}
	}
	if asJSON {
		return printJSON(a.out, r)
	}
	return r.Write(a.out)
}
