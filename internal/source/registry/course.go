package registry

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"shiren/internal/ekyc"
)

// Sizes of batches. Our choice.
const (
	// PlainBatch is how many people without portraits are written at once: 4000 records are one
	// commit of about half a second.
	PlainBatch = 4000
	// PortraitBatch is the same with portraits, at least: enough for all cores, and little to do
	// again after an interruption.
	PortraitBatch = 32
)

// Course is an import that may be interrupted: how far it came, and what was rejected, is in
// two files.
type Course struct {
	Import     Import // Skip, Reject and Commit are the course's own; Batch 0 follows from Portrait and Workers
	Checkpoint string // path; the file is there while the import is not done
	Report     string // path; CSV of line and reason, which repeats nothing of the line
	// Begin, when given, is told how much an earlier run did; Progress how much is durable.
	Begin, Progress func(Imported)
}

// checkpoint is how far an import came.
type checkpoint struct {
	Imported
	Report int64 `json:"report"` // bytes of the report that belong to it
}

// Follow goes on where an earlier run of the course was interrupted, or begins it. It returns
// what all runs did together, also where it fails. When it is done, its checkpoint is gone.
func (r *Registry) Follow(ctx context.Context, c Course) (Imported, error) {
	im := c.Import
	if im.Batch == 0 {
		im.Batch = PlainBatch
		if im.Portrait != nil {
			im.Batch = max(PortraitBatch, 4*im.Workers)
		}
	}
	done, err := readCheckpoint(c.Checkpoint)
	if err != nil {
		return Imported{}, err
	}
	out, err := os.OpenFile(c.Report, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return done.Imported, fmt.Errorf("report: %w", err)
	}
	defer out.Close()
	if info, err := out.Stat(); err != nil || info.Size() < done.Report {
		done.Report = 0 // the report is gone; what comes now is reported
	}
	if err := errors.Join(out.Truncate(done.Report), seekTo(out, done.Report)); err != nil {
		return done.Imported, fmt.Errorf("report: %w", err)
	}
	rejected := csv.NewWriter(out)
	if done.Report == 0 {
		if err := rejected.Write([]string{"line", "reason"}); err != nil {
			return done.Imported, fmt.Errorf("report: %w", err)
		}
	}
	im.Reject = func(line int, why string) error { return rejected.Write([]string{strconv.Itoa(line), why}) }
	im.Skip = done.People
	if c.Begin != nil {
		c.Begin(done.Imported)
	}
	now := done
	im.Commit = func(n Imported) error {
		now.Imported = done.plus(n)
		rejected.Flush()
		if err := errors.Join(rejected.Error(), out.Sync()); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if now.Report, err = out.Seek(0, io.SeekCurrent); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if c.Progress != nil {
			c.Progress(now.Imported)
		}
		return writeCheckpoint(c.Checkpoint, now)
	}
	if _, err := r.Import(ctx, im); err != nil {
		return now.Imported, err
	}
	if err := os.Remove(c.Checkpoint); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return now.Imported, err
	}
	return now.Imported, nil
}

func (a Imported) plus(b Imported) Imported {
	return Imported{
		People: a.People + b.People, Added: a.Added + b.Added, Replaced: a.Replaced + b.Replaced, Unchanged: a.Unchanged + b.Unchanged,
		Rejected: a.Rejected + b.Rejected, Portraits: a.Portraits + b.Portraits,
	}
}

func seekTo(f *os.File, at int64) error { _, err := f.Seek(at, io.SeekStart); return err }

func readCheckpoint(path string) (c checkpoint, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, fmt.Errorf("how far the last run came: %w; begin anew", err)
	}
	return c, nil
}

func writeCheckpoint(path string, c checkpoint) error {
	if err := writeJSON(path, c); err != nil {
		return fmt.Errorf("note how far the import came: %w", err)
	}
	return nil
}

// writeJSON replaces a file as a whole.
func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// Portraits finds the images of an import's people with read, which reads a file by name:
// the one that the line names, else the one that is named after the number.
func Portraits(read func(name string) ([]byte, error)) func(name, number string) ([]byte, error) {
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

// ReadPortrait reads at most what an image may have, and one byte more, so that one that is
// longer is refused when it is looked at.
func ReadPortrait(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, ekyc.MaxImage+1)) }
