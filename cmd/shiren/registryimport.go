package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"shiren/internal/server"
	"shiren/internal/source/registry"
)

// meter shows how far something long has come: a bar with its rate and the time that is
// left on a terminal, a line every ten seconds elsewhere.
type meter struct {
	out   io.Writer
	now   func() time.Time
	what  string
	total int
	bar   *progressbar.ProgressBar
	first int // where it began: an earlier run did that much
	start time.Time
	said  time.Time
}

func (a *app) meter(what string, total, first int) *meter {
	m := &meter{out: a.err, now: a.now, what: what, total: total, first: first, start: a.now(), said: a.now()}
	if terminal(a.err) {
		m.bar = progressbar.NewOptions(max(total-first, 1), progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("people"),
			progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond))
	}
	return m
}

// at says how much is done.
func (m *meter) at(n int) {
	if m.bar != nil {
		// the bar's only error is that there is more than its total, which was an estimate
		_ = m.bar.Set(min(n-m.first, m.bar.GetMax()))
		return
	}
	now := m.now()
	if now.Sub(m.said) < 10*time.Second {
		return
	}
	m.said = now
	rate := float64(n-m.first) / now.Sub(m.start).Seconds()
	left := time.Duration(float64(m.total-n) / max(rate, 0.1) * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(m.out, "%s: %d of about %d, %.0f a second, %v left\n", m.what, n, m.total, rate, max(left, 0))
}

func (m *meter) end() {
	if m.bar != nil {
		_ = m.bar.Exit()
		fmt.Fprintln(m.out)
	}
}

func (a *app) registryImportCmd() *cobra.Command {
	var portraits, report string
	var restart bool
	cmd := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Bring in many people from a file",
		Long: `Bring in many people from a CSV file in UTF-8 or GB 18030, with a header.

Columns, in any order: name (姓名), number (身份证号), type (id-card or residence-permit),
mobile (手机号; several are divided by semicolons), carrier (运营商: one for all or one for
each), portrait (照片: a file name in the folder of --portraits). Only name and number are
needed. Without the column, a portrait named after the number is taken: NUMBER.jpg.

A line that cannot come in is written to the report with its line number and why; the
report repeats nothing of the line. What was interrupted goes on when the same command is
given again, and a file that came in already changes nothing.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if report == "" {
				report = args[0] + ".rejected.csv"
			}
			return a.registryImport(cmd.Context(), args[0], portraits, report, restart)
		},
	}
	a.setData(cmd)
	cmd.Flags().StringVar(&portraits, "portraits", "", "`folder` of the portraits")
	cmd.Flags().StringVar(&report, "report", "", "`file` for the lines that did not come in (default FILE.csv.rejected.csv)")
	cmd.Flags().BoolVar(&restart, "restart", false, "begin anew in place of going on where an earlier run was interrupted")
	a.setBool(cmd, "embedding-only", "registry.embedding_only", "keep the portraits' embeddings and not their images")
	return cmd
}

func (a *app) registryImport(ctx context.Context, name, portraits, report string, restart bool) (err error) {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	file, lines, err := registry.Fingerprint(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w; it must be a file", name, err)
	}
	d, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	im := registry.Import{Lines: in, File: file, Workers: runtime.NumCPU()}
	if portraits != "" {
		folder, err := os.OpenRoot(portraits)
		if err != nil {
			return fmt.Errorf("portraits: %w", err)
		}
		defer folder.Close()
		e, err := server.OpenEngine(cfg)
		if err != nil {
			return err
		}
		defer e.Close()
		d.Registry.Examiner = e
		im.Portrait = portraitsIn(folder)
	}
	path := filepath.Join(cfg.Data, "import-"+file+".json")
	if restart {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	var bar *meter
	var skipped int
	n, err := d.Registry.Follow(ctx, registry.Course{
		Import: im, Checkpoint: path, Report: report,
		Begin: func(done registry.Imported) {
			if skipped = done.People; skipped > 0 {
				fmt.Fprintf(a.out, "going on after %d people of an earlier run\n", skipped)
			}
			bar = a.meter("import", max(lines-1, 0), skipped)
		},
		Progress: func(n registry.Imported) { bar.at(n.People) },
	})
	if bar == nil {
		return err
	}
	bar.end()
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(a.err, "import stopped after %d people; give the same command again to go on\n", n.People)
		}
		return fmt.Errorf("import stopped after %d people: %w; give the same command again to go on", n.People, err)
	}
	took := max(a.now().Sub(bar.start), time.Millisecond)
	fmt.Fprintf(a.out, "people %d: added %d, replaced %d, unchanged %d, rejected %d; portraits %d; %.1f s, %.0f people a second\n",
		n.People, n.Added, n.Replaced, n.Unchanged, n.Rejected, n.Portraits, took.Seconds(), float64(n.People-skipped)/took.Seconds())
	if n.Rejected > 0 {
		fmt.Fprintf(a.out, "what was rejected, and why: %s\n", report)
		return nil
	}
	return os.Remove(report)
}

// portraitsIn reads portraits of a folder, and nothing outside it.
func portraitsIn(folder *os.Root) func(name, number string) ([]byte, error) {
	return registry.Portraits(func(name string) ([]byte, error) {
		f, err := folder.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return registry.ReadPortrait(f)
	})
}

func (a *app) registryExportCmd() *cobra.Command {
	var portraits string
	cmd := &cobra.Command{
		Use:   "export FILE.csv",
		Short: "Write all people to a file that import reads, in the clear",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			var portrait func(registry.Person) (string, error)
			if portraits != "" {
				if err := os.MkdirAll(portraits, 0o700); err != nil {
					return err
				}
				portrait = func(p registry.Person) (string, error) {
					name := string(p.Claim.Number) + imageEnding(p.Portrait)
					return name, os.WriteFile(filepath.Join(portraits, name), p.Portrait, 0o600)
				}
			}
			st, err := d.Registry.Stats(cmd.Context())
			if err != nil {
				return err
			}
			out, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("%w; a file that is there is not overwritten", err)
			}
			bar := a.meter("export", int(st.People), 0)
			n, err := d.Registry.Export(cmd.Context(), out, portrait, bar.at)
			bar.end()
			if err := errors.Join(err, out.Close()); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "wrote %d people to %s, in the clear: keep it safe\n", n, args[0])
			return nil
		},
	}
	a.setData(cmd)
	cmd.Flags().StringVar(&portraits, "portraits", "", "`folder` to write the portraits into")
	return cmd
}

// imageEnding is the file name ending of an image that the engine has read.
func imageEnding(b []byte) string {
	switch {
	case len(b) > 8 && string(b[1:4]) == "PNG":
		return ".png"
	case len(b) > 12 && string(b[8:12]) == "WEBP":
		return ".webp"
	}
	return ".jpg"
}

func (a *app) registryRenewCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Embed kept portraits anew after a change of model, as a running server does by itself",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			e, err := server.OpenEngine(cfg)
			if err != nil {
				return err
			}
			defer e.Close()
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			d.Registry.Examiner = e
			st, err := d.Registry.Stats(cmd.Context())
			if err != nil {
				return err
			}
			bar := a.meter("renew", int(st.Portraits), 0)
			n, err := d.Registry.Renew(cmd.Context(), func(n registry.Renewed) { bar.at(n.Done + n.Failed) })
			bar.end()
			fmt.Fprintf(a.out, "embedded anew %d with %s, not usable %d\n", n.Done, e.Model(), n.Failed)
			return err
		},
	}
	a.setData(cmd)
	return cmd
}
