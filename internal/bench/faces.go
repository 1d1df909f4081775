// Package bench measures the engine: how well it tells faces apart over a set of
// labelled pairs, and what its networks cost without anything around them.
package bench

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"shiren/internal/ekyc"
	"shiren/internal/engine"
)

// Bounds of what is read. Our choice.
const (
	maxPairs = 10_000_000
	maxImage = 32 << 20
)

// fullImages is how many images are examined with everything wanted, to time every
// stage; the rest are embedded only.
const fullImages = 200

// Options of Faces.
type Options struct {
	Now      func() time.Time // the clock for ms; required
	Parallel int              // examinations at a time; required, at least 1
	// Progress is told after each image; nil is not.
	Progress func(done, all int)
}

// Result is what Faces measured. Rates are shares, 0 to 1.
type Result struct {
	Pairs    int     `json:"pairs"`    // in the file
	FTA      int     `json:"fta"`      // images in which no face could be acquired
	Accuracy float64 `json:"accuracy"` // mean of 10 folds, each at the threshold that is best on the other nine
	EER      float64 `json:"eer"`
	// TAR is the share of genuine pairs at or above the lowest threshold whose FMR on
	// this set does not exceed the key. Where the set has fewer impostor pairs than the
	// FMR needs, that threshold lies just above the highest impostor.
	TAR map[string]float64 `json:"tar"`
	MS  map[string]float64 `json:"ms"` // mean milliseconds an image, by stage, while all cores were busy

	// TARInterval is TAR's 95 % interval (Wilson; pairs taken as independent and the
	// threshold as given).
	TARInterval map[string][2]float64 `json:"tar_interval_95"`
	Threshold   map[string]float64    `json:"threshold"` // cosine, by FMR, and "eer"
	AccuracySD  float64               `json:"accuracy_sd"`
	Genuine     int                   `json:"genuine"`  // genuine pairs compared
	Impostor    int                   `json:"impostor"` // impostor pairs compared
	LostPairs   int                   `json:"fta_pairs"`
	Images      int                   `json:"images"`
	Seconds     float64               `json:"seconds"`
	Model       string                `json:"model"`

	genuine, impostor []float64 // similarities, rising
}

// fmrs are the false match rates that are reported, by their key.
var fmrs = []struct {
	key  string
	rate float64
}{{"1e-2", 1e-2}, {"1e-3", 1e-3}, {"1e-4", 1e-4}}

type pair struct {
	a, b int // images
	same bool
}

// Faces compares the pairs of DIR/pairs.csv (path_a,path_b,same; a path is relative to
// DIR, same is 1 or 0). Each image is examined once; its subject is the face nearest
// its middle. A pair with an image in which no face was acquired is not compared: it
// counts in FTA and LostPairs and in no rate.
func Faces(ctx context.Context, e *engine.Engine, dir string, o Options) (Result, error) {
	images, pairs, err := readPairs(dir)
	if err != nil {
		return Result{}, err
	}
	began := o.Now()
	templates, ms, err := embed(ctx, e, dir, images, o)
	if err != nil {
		return Result{}, err
	}
	r := Result{Pairs: len(pairs), Images: len(images), Model: e.Model(), MS: ms, Seconds: o.Now().Sub(began).Seconds()}
	for _, t := range templates {
		if t.Vector == nil {
			r.FTA++
		}
	}
	var scored []score
	for _, p := range pairs {
		if templates[p.a].Vector == nil || templates[p.b].Vector == nil {
			r.LostPairs++
			continue
		}
		c, err := e.Compare(templates[p.a], templates[p.b])
		if err != nil {
			return Result{}, err
		}
		scored = append(scored, score{c.Similarity, p.same})
	}
	if err := r.rates(scored); err != nil {
		return Result{}, fmt.Errorf("%s: %w", dir, err)
	}
	return r, nil
}

func readPairs(dir string) (images []string, pairs []pair, err error) {
	name := filepath.Join(dir, "pairs.csv")
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("bench faces: %w; it lists pairs as path_a,path_b,same", err)
	}
	defer f.Close()
	c := csv.NewReader(f)
	c.FieldsPerRecord, c.ReuseRecord, c.TrimLeadingSpace = 3, true, true
	index := map[string]int{}
	image := func(path string) int {
		i, ok := index[path]
		if !ok {
			i = len(images)
			index[path] = i
			images = append(images, path)
		}
		return i
	}
	for row := 1; ; row++ {
		rec, err := c.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("bench faces: %s: %w", name, err)
		}
		if row == 1 && strings.TrimPrefix(rec[0], "\ufeff") == "path_a" {
			continue
		}
		for _, path := range rec[:2] {
			if !filepath.IsLocal(filepath.FromSlash(path)) {
				return nil, nil, fmt.Errorf("bench faces: %s row %d: %q does not lie below %s", name, row, path, dir)
			}
		}
		var same bool
		switch strings.ToLower(strings.TrimSpace(rec[2])) {
		case "1", "true":
			same = true
		case "0", "false":
		default:
			return nil, nil, fmt.Errorf("bench faces: %s row %d: same is %q, want 1 or 0", name, row, rec[2])
		}
		if len(pairs) == maxPairs {
			return nil, nil, fmt.Errorf("bench faces: %s has more than %d pairs", name, maxPairs)
		}
		pairs = append(pairs, pair{image(strings.Clone(rec[0])), image(strings.Clone(rec[1])), same})
	}
	if len(pairs) == 0 {
		return nil, nil, fmt.Errorf("bench faces: %s lists no pairs", name)
	}
	return images, pairs, nil
}

// embed examines all images. An image without a face, or one that the engine refuses,
// has an empty template; a file that cannot be read is an error.
func embed(ctx context.Context, e *engine.Engine, dir string, images []string, o Options) ([]ekyc.Template, map[string]float64, error) {
	templates := make([]ekyc.Template, len(images))
	var mu sync.Mutex
	spent, times, done := map[engine.Stage]time.Duration{}, map[engine.Stage]int{}, 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, o.Parallel))
	for i, path := range images {
		g.Go(func() error {
			data, err := readImage(filepath.Join(dir, filepath.FromSlash(path)))
			if err != nil {
				return err
			}
			want := ekyc.WantTemplate
			if i < fullImages {
				want = ekyc.WantAll
			}
			took := map[engine.Stage]time.Duration{}
			last := o.Now()
			x, err := e.ExamineWith(ctx, data, engine.Options{Want: want, Middle: true, Done: func(s engine.Stage) {
				now := o.Now()
				took[s], last = now.Sub(last), now
			}})
			if c := ekyc.CodeOf(err); c == ekyc.Busy || c == ekyc.EngineFailed || c == ekyc.Internal {
				return fmt.Errorf("bench faces: %s: %w", path, err)
			}
			if err == nil && len(x.Faces) > 0 {
				templates[i] = x.Faces[0].Template
			}
			mu.Lock()
			defer mu.Unlock()
			for s, d := range took {
				if s != engine.StageWait {
					spent[s] += d
					times[s]++
				}
			}
			done++
			if o.Progress != nil {
				o.Progress(done, len(images))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	ms := map[string]float64{}
	for s, d := range spent {
		ms[string(s)] = d.Seconds() * 1000 / float64(times[s])
	}
	return templates, ms, nil
}

func readImage(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bench faces: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxImage))
	if err != nil {
		return nil, fmt.Errorf("bench faces: %w", err)
	}
	return data, nil
}

type score struct {
	similarity float64
	same       bool
}

const folds = 10

// rates fills in what follows from the scores alone.
func (r *Result) rates(scored []score) error {
	for _, s := range scored {
		if s.same {
			r.genuine = append(r.genuine, s.similarity)
		} else {
			r.impostor = append(r.impostor, s.similarity)
		}
	}
	r.Genuine, r.Impostor = len(r.genuine), len(r.impostor)
	if r.Genuine < folds || r.Impostor < folds {
		return fmt.Errorf("%d genuine and %d impostor pairs could be compared; %d of each are needed", r.Genuine, r.Impostor, folds)
	}
	r.Accuracy, r.AccuracySD = tenfold(r.genuine, r.impostor) // in the file's order
	slices.Sort(r.genuine)
	slices.Sort(r.impostor)
	r.TAR, r.TARInterval, r.Threshold = map[string]float64{}, map[string][2]float64{}, map[string]float64{}
	for _, f := range fmrs {
		t := thresholdAt(r.impostor, f.rate)
		n := atLeast(r.genuine, t)
		r.TAR[f.key] = float64(n) / float64(r.Genuine)
		low, high := wilson(n, r.Genuine)
		r.TARInterval[f.key], r.Threshold[f.key] = [2]float64{low, high}, t
	}
	r.EER, r.Threshold["eer"] = equalError(r.genuine, r.impostor)
	return nil
}

// atLeast counts elements of a rising list from t up.
func atLeast(rising []float64, t float64) int {
	i, _ := slices.BinarySearch(rising, t)
	return len(rising) - i
}

// thresholdAt is the lowest threshold at which at most rate of the impostors match.
func thresholdAt(impostor []float64, rate float64) float64 {
	k := int(rate*float64(len(impostor)) + 1e-9) // so many may match
	// just above the first one that may not
	return math.Nextafter(impostor[len(impostor)-1-k], math.Inf(1))
}

// equalError is where FMR and FNMR meet, their mean at the nearest threshold.
func equalError(genuine, impostor []float64) (rate, threshold float64) {
	gap := math.Inf(1)
	for _, list := range [][]float64{genuine, impostor} {
		for _, t := range list {
			fnmr := 1 - float64(atLeast(genuine, t))/float64(len(genuine))
			fmr := float64(atLeast(impostor, t)) / float64(len(impostor))
			if d := math.Abs(fmr - fnmr); d < gap {
				gap, rate, threshold = d, (fmr+fnmr)/2, t
			}
		}
	}
	return rate, threshold
}

// tenfold splits genuine and impostor pairs each into ten runs in the file's order and
// judges each by the threshold that is best on the others. It returns mean and
// standard deviation of the ten accuracies.
func tenfold(genuine, impostor []float64) (mean, sd float64) {
	part := func(list []float64, k int) (in, out []float64) {
		a, b := len(list)*k/folds, len(list)*(k+1)/folds
		return list[a:b], slices.Concat(list[:a], list[b:])
	}
	var acc []float64
	for k := range folds {
		g, trainG := part(genuine, k)
		i, trainI := part(impostor, k)
		t := best(trainG, trainI)
		right := 0
		for _, s := range g {
			if s >= t {
				right++
			}
		}
		for _, s := range i {
			if s < t {
				right++
			}
		}
		acc = append(acc, float64(right)/float64(len(g)+len(i)))
	}
	for _, a := range acc {
		mean += a
	}
	mean /= folds
	for _, a := range acc {
		sd += (a - mean) * (a - mean)
	}
	return mean, math.Sqrt(sd / folds)
}

// best is the threshold with the highest accuracy: the middle of the first widest gap.
func best(genuine, impostor []float64) float64 {
	g, i := slices.Clone(genuine), slices.Clone(impostor)
	slices.Sort(g)
	slices.Sort(i)
	all := slices.Concat(g, i)
	slices.Sort(all)
	top, at := -1, 0.0
	width := 0.0
	for k := 1; k < len(all); k++ {
		t := (all[k-1] + all[k]) / 2
		right := atLeast(g, t) + len(i) - atLeast(i, t)
		if w := all[k] - all[k-1]; right > top || right == top && w > width {
			top, at, width = right, t, w
		}
	}
	return at
}

// wilson is the 95 % score interval of a share of n in all.
func wilson(n, all int) (low, high float64) {
	const z = 1.959964
	p, N := float64(n)/float64(all), float64(all)
	centre := (p + z*z/(2*N)) / (1 + z*z/N)
	half := z / (1 + z*z/N) * math.Sqrt(p*(1-p)/N+z*z/(4*N*N))
	return max(0, centre-half), min(1, centre+half)
}

// Write prints the result for people.
func (r Result) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "pairs          %d (%d genuine, %d impostor, %d lost), %d images\n", r.Pairs, r.Genuine, r.Impostor, r.LostPairs, r.Images)
	fmt.Fprintf(&b, "fta            %d images without an acquired face\n", r.FTA)
	fmt.Fprintf(&b, "accuracy       %.2f %% (10 folds, standard deviation %.2f)\n", 100*r.Accuracy, 100*r.AccuracySD)
	fmt.Fprintf(&b, "eer            %.2f %% at cosine %.3f\n", 100*r.EER, r.Threshold["eer"])
	for _, f := range fmrs {
		i := r.TARInterval[f.key]
		fmt.Fprintf(&b, "tar @ %s     %.2f %% (95 %%: %.2f to %.2f) at cosine %.3f", f.key, 100*r.TAR[f.key], 100*i[0], 100*i[1], r.Threshold[f.key])
		if float64(r.Impostor)*f.rate < 1 {
			b.WriteString("; too few impostor pairs: above the highest of them")
		}
		b.WriteString("\n")
	}
	for _, s := range stages(r.MS) {
		fmt.Fprintf(&b, "ms %-11s %.2f\n", s, r.MS[s])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// stages lists the stages of ms in their order.
func stages(ms map[string]float64) []string {
	var list []string
	for _, s := range []engine.Stage{
		engine.StageDecode, engine.StageDetect, engine.StageLandmarks, engine.StageAlign, engine.StageQuality,
		engine.StagePose, engine.StageEyes, engine.StageColour, engine.StageLiveness, engine.StageEmbed,
	} {
		if _, ok := ms[string(s)]; ok {
			list = append(list, string(s))
		}
	}
	return list
}

var errNoScores = errors.New("the result holds no scores: only one that Faces returned can be drawn")
