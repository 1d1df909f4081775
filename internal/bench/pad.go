package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"shiren/internal/ekyc"
	"shiren/internal/engine/video"
)

// PADOptions of PAD.
type PADOptions struct {
	Now      func() time.Time // the clock for Seconds; required
	Parallel int              // files at a time; required, at least 1
	Videos   ekyc.Videos      // reads clips; required where there are any
	// Progress is told after each file; nil is not.
	Progress func(done, all int)
}

// PADResult is what PAD measured: silent PAD alone, without quality limits and without
// a challenge. Rates are shares, 0 to 1, of the presentations with a response.
type PADResult struct {
	// Levels are the thresholds: the score from which a presentation counts as bona fide.
	Levels map[ekyc.Level]ekyc.Score `json:"levels"`
	// BPCER is the share of bona fide presentations that are taken for attacks.
	BonaFide PADGroup `json:"bona_fide"`
	// APCER, a species, is the share of its attacks that are taken for bona fide.
	Attack map[string]PADGroup `json:"attack"`
	// Worst is the highest APCER of all species, by level; ISO/IEC 30107-3 reports that
	// one. Absent without attacks.
	Worst   map[ekyc.Level]float64 `json:"apcer_worst,omitempty"`
	Files   []PADFile              `json:"files"` // bona fide first, then by species and name
	Ignored int                    `json:"ignored"`
	Seconds float64                `json:"seconds"`
}

// PADGroup is the bona fide presentations, or a species' attacks. Its rates are BPCER or
// APCER, by level.
type PADGroup struct {
	Presentations int                       `json:"presentations"` // files
	NoResponse    int                       `json:"no_response"`   // without a face, or not readable; in no rate
	Errors        map[ekyc.Level]int        `json:"errors"`
	Rate          map[ekyc.Level]float64    `json:"rate,omitempty"`        // absent where there was no response
	Interval      map[ekyc.Level][2]float64 `json:"interval_95,omitempty"` // Wilson; files taken as independent
	scores        []ekyc.Score
}

// PADFile is one presentation: an image, or a clip, which has the mean score of its best
// frames, as a live capture has.
type PADFile struct {
	File    string     `json:"file"` // below DIR
	Species string     `json:"species,omitempty"`
	Score   ekyc.Score `json:"score"`
	Frames  int        `json:"frames"`            // that show a face
	Problem ekyc.Code  `json:"problem,omitempty"` // why there is no score
}

// clipRate is how many frames a second of a clip are looked at. Our choice: the capture
// page sends about as many, and PAD is not asked to follow movement.
const clipRate = 5

var (
	imageEndings = []string{".jpg", ".jpeg", ".png", ".webp"}
	clipEndings  = []string{".mp4", ".m4v", ".mov", ".webm", ".mkv"}
)

// Folders of PAD's set.
const (
	bonaFideFolder = "bona_fide"
	attackFolder   = "attack"
)

// PAD measures silent presentation attack detection over DIR/bona_fide and
// DIR/attack/SPECIES, at any depth below; each image or clip is one presentation. Other
// files are ignored and counted.
func PAD(ctx context.Context, e ekyc.Engine, dir string, o PADOptions) (PADResult, error) {
	began := o.Now()
	r := PADResult{Levels: map[ekyc.Level]ekyc.Score{}, Attack: map[string]PADGroup{}}
	for _, l := range padLevels {
		r.Levels[l] = ekyc.LiveAt(l)
	}
	var err error
	if r.Files, r.Ignored, err = padFiles(dir); err != nil {
		return r, err
	}
	var mu sync.Mutex
	done := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, o.Parallel))
	for i := range r.Files {
		f := &r.Files[i]
		g.Go(func() error {
			if err := f.measure(ctx, e, dir, o.Videos); err != nil {
				return fmt.Errorf("bench pad: %s: %w", f.File, err)
			}
			mu.Lock()
			defer mu.Unlock()
			done++
			if o.Progress != nil {
				o.Progress(done, len(r.Files))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return r, err
	}
	r.rates()
	r.Seconds = o.Now().Sub(began).Seconds()
	return r, nil
}

// padFiles lists the presentations of a folder.
func padFiles(dir string) (list []PADFile, ignored int, err error) {
	add := func(folder, species string) error {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			ending := strings.ToLower(filepath.Ext(path))
			if strings.HasPrefix(d.Name(), ".") || !slices.Contains(imageEndings, ending) && !slices.Contains(clipEndings, ending) {
				ignored++
				return nil
			}
			list = append(list, PADFile{File: filepath.ToSlash(name), Species: species})
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := add(bonaFideFolder, ""); err != nil {
		return nil, 0, fmt.Errorf("bench pad: %w", err)
	}
	species, err := os.ReadDir(filepath.Join(dir, attackFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("bench pad: %w", err)
	}
	for _, s := range species {
		if !s.IsDir() {
			ignored++
			continue
		}
		if err := add(filepath.Join(attackFolder, s.Name()), s.Name()); err != nil {
			return nil, 0, fmt.Errorf("bench pad: %w", err)
		}
	}
	if len(list) == 0 {
		return nil, 0, fmt.Errorf("bench pad: %s holds no images or clips in %s/ or %s/SPECIES/", dir, bonaFideFolder, attackFolder)
	}
	return list, ignored, nil
}

// measure scores a presentation. What the file is to blame for is its Problem.
func (f *PADFile) measure(ctx context.Context, e ekyc.Engine, dir string, videos ekyc.Videos) error {
	data, err := readImage(filepath.Join(dir, filepath.FromSlash(f.File)))
	if err != nil {
		return err
	}
	images := [][]byte{data}
	if slices.Contains(clipEndings, strings.ToLower(filepath.Ext(f.File))) {
		if videos == nil {
			return errors.New("clips cannot be read without ffmpeg")
		}
		clip, err := videos.Decode(ctx, data, clipRate)
		if err != nil {
			return f.blame(err)
		}
		images = images[:0]
		for _, frame := range clip.Frames {
			images = append(images, frame.Image)
		}
	}
	var faces []ekyc.Face
	for _, image := range images {
		x, err := e.Examine(ctx, image, ekyc.WantLiveness)
		if err != nil {
			return f.blame(err)
		}
		if len(x.Faces) > 0 {
			faces = append(faces, x.Faces[0])
		}
	}
	f.Frames = len(faces)
	if len(faces) == 0 {
		f.Problem = ekyc.NoFace
		return nil
	}
	slices.SortStableFunc(faces, func(a, b ekyc.Face) int { return cmp.Compare(b.Quality.Value, a.Quality.Value) })
	faces = faces[:min(len(faces), ekyc.ProbeFrames)]
	for _, face := range faces {
		f.Score += face.Live / ekyc.Score(len(faces))
	}
	return nil
}

// blame keeps an error that is the file's own and returns any other.
func (f *PADFile) blame(err error) error {
	switch c := ekyc.CodeOf(err); c {
	case ekyc.Busy, ekyc.EngineFailed, ekyc.Internal:
		return err
	default:
		f.Problem = c
		return nil
	}
}

// padLevels are the levels at which rates are reported.
var padLevels = []ekyc.Level{ekyc.LevelLow, ekyc.LevelNormal, ekyc.LevelHigh}

// rates fills in what follows from the files' scores alone.
func (r *PADResult) rates() {
	for _, f := range r.Files {
		g := r.Attack[f.Species]
		if f.Species == "" {
			g = r.BonaFide
		}
		g.Presentations++
		if f.Problem != ekyc.OK {
			g.NoResponse++
		} else {
			g.scores = append(g.scores, f.Score)
		}
		if f.Species == "" {
			r.BonaFide = g
		} else {
			r.Attack[f.Species] = g
		}
	}
	r.BonaFide.count(func(s, at ekyc.Score) bool { return s < at })
	for name, g := range r.Attack {
		g.count(func(s, at ekyc.Score) bool { return s >= at })
		r.Attack[name] = g
		for l, rate := range g.Rate {
			if r.Worst == nil {
				r.Worst = map[ekyc.Level]float64{}
			}
			r.Worst[l] = max(r.Worst[l], rate)
		}
	}
}

// count counts the presentations that are classified wrongly.
func (g *PADGroup) count(wrong func(s, at ekyc.Score) bool) {
	g.Errors = map[ekyc.Level]int{}
	for _, l := range padLevels {
		n := 0
		for _, s := range g.scores {
			if wrong(s, ekyc.LiveAt(l)) {
				n++
			}
		}
		g.Errors[l] = n
		if all := len(g.scores); all > 0 {
			if g.Rate == nil {
				g.Rate, g.Interval = map[ekyc.Level]float64{}, map[ekyc.Level][2]float64{}
			}
			low, high := wilson(n, all)
			g.Rate[l], g.Interval[l] = float64(n)/float64(all), [2]float64{low, high}
		}
	}
}

// Write prints the result for people.
func (r PADResult) Write(w io.Writer) error {
	var b strings.Builder
	line := func(name, rate string, g PADGroup) {
		fmt.Fprintf(&b, "%-24s %4d", name, g.Presentations)
		if g.NoResponse > 0 {
			fmt.Fprintf(&b, " (%d without a response)", g.NoResponse)
		}
		b.WriteString("\n")
		for _, l := range padLevels {
			if g.Rate == nil {
				continue
			}
			fmt.Fprintf(&b, "  %s at %-6s %.2f  %6.2f %%  (95 %%: %.2f to %.2f; %d of %d)\n", rate, l, float64(r.Levels[l]),
				100*g.Rate[l], 100*g.Interval[l][0], 100*g.Interval[l][1], g.Errors[l], g.Presentations-g.NoResponse)
		}
	}
	line("bona fide", "BPCER", r.BonaFide)
	var names []string
	for name := range r.Attack {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		line(name, "APCER", r.Attack[name])
	}
	for _, l := range padLevels {
		if worst, ok := r.Worst[l]; ok && len(names) > 1 {
			fmt.Fprintf(&b, "worst species at %-6s %6.2f %%\n", l, 100*worst)
		}
	}
	for _, f := range r.Files {
		if f.Problem != ekyc.OK {
			fmt.Fprintf(&b, "%s: %s\n", f.File, f.Problem)
		}
	}
	if r.Ignored > 0 {
		fmt.Fprintf(&b, "%d other files were ignored\n", r.Ignored)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// A clip may not be larger than what is read of a file at all.
const _ = uint(maxImage - video.MaxBytes)
