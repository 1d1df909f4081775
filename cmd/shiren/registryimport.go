package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"shiren/internal/ekyc"
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

// checkpoint is how far an import came, kept beside the data until it is done.
type checkpoint struct {
	registry.Imported
	Report int64 `json:"report"` // bytes of the report that belong to it
}

// portraitBatch is how many people with portraits are written at once, at least: enough
// for all cores, and little to do again after an interruption. Our choice.
const portraitBatch = 32

// plainBatch is the same without portraits: 4000 records are one commit of about half a second.
const plainBatch = 4000

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
	im := registry.Import{Lines: in, File: file, Batch: plainBatch, Workers: runtime.NumCPU()}
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
		im.Batch = max(portraitBatch, 4*im.Workers)
	}
	path := filepath.Join(cfg.Data, "import-"+file+".json")
	done, err := readCheckpoint(path, restart)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(report, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	defer out.Close()
	if info, err := out.Stat(); err != nil || info.Size() < done.Report {
		done.Report = 0 // the report is gone; what comes now is reported
	}
	if err := errors.Join(out.Truncate(done.Report), seekTo(out, done.Report)); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	rejected := csv.NewWriter(out)
	if done.Report == 0 {
		if err := rejected.Write([]string{"line", "reason"}); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	im.Reject = func(line int, why string) error { return rejected.Write([]string{strconv.Itoa(line), why}) }
	if im.Skip = done.People; im.Skip > 0 {
		fmt.Fprintf(a.out, "going on after %d people of an earlier run\n", im.Skip)
	}
	bar := a.meter("import", max(lines-1, 0), im.Skip)
	now := done
	im.Commit = func(n registry.Imported) error {
		now.Imported = sum(done.Imported, n)
		rejected.Flush()
		if err := errors.Join(rejected.Error(), out.Sync()); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if now.Report, err = out.Seek(0, io.SeekCurrent); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		bar.at(now.People)
		return writeCheckpoint(path, now)
	}
	_, err = d.Registry.Import(ctx, im)
	bar.end()
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(a.err, "import stopped after %d people; give the same command again to go on\n", now.People)
		}
		return fmt.Errorf("import stopped after %d people: %w; give the same command again to go on", now.People, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	n, took := now.Imported, max(a.now().Sub(bar.start), time.Millisecond)
	fmt.Fprintf(a.out, "people %d: added %d, replaced %d, unchanged %d, rejected %d; portraits %d; %.1f s, %.0f people a second\n",
		n.People, n.Added, n.Replaced, n.Unchanged, n.Rejected, n.Portraits, took.Seconds(), float64(n.People-im.Skip)/took.Seconds())
	if n.Rejected > 0 {
		fmt.Fprintf(a.out, "what was rejected, and why: %s\n", report)
		return nil
	}
	return os.Remove(report)
}

func seekTo(f *os.File, at int64) error { _, err := f.Seek(at, io.SeekStart); return err }

func sum(a, b registry.Imported) registry.Imported {
	return registry.Imported{
		People: a.People + b.People, Added: a.Added + b.Added, Replaced: a.Replaced + b.Replaced, Unchanged: a.Unchanged + b.Unchanged,
		Rejected: a.Rejected + b.Rejected, Portraits: a.Portraits + b.Portraits,
	}
}

// portraitsIn reads portraits of a folder, and nothing outside it.
func portraitsIn(folder *os.Root) func(name, number string) ([]byte, error) {
	read := func(name string) ([]byte, error) {
		f, err := folder.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, ekyc.MaxImage+1))
	}
	return func(name, number string) ([]byte, error) {
		if name != "" {
			return read(name)
		}
		for _, ending := range []string{".jpg", ".jpeg", ".png", ".webp"} {
			b, err := read(number + ending)
			if !errors.Is(err, fs.ErrNotExist) {
				return b, err
			}
		}
		return nil, nil
	}
}

func readCheckpoint(path string, restart bool) (c checkpoint, err error) {
	if restart {
		return c, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, fmt.Errorf("how far the last run came: %w; --restart begins anew", err)
	}
	return c, nil
}

func writeCheckpoint(path string, c checkpoint) error {
	b, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(path+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("note how far the import came: %w", err)
	}
	return nil
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
