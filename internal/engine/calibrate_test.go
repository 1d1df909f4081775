package engine

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"shiren/internal/ekyc"
	"shiren/internal/engine/models"
)

func tables(t *testing.T, role models.Role) []models.Table {
	t.Helper()
	m, err := models.Load("dir", "")
	if err != nil {
		t.Fatal(err)
	}
	return m.Models[role].Calibration.Tables
}

// At each anchor the FMR is the measured one, and FMR 1e-4 is score 0.8.
func TestComparisonCalibration(t *testing.T) {
	for _, table := range tables(t, models.Embed) {
		for _, p := range table.Points {
			fmr := rate(table.Points, p.Raw)
			if math.Abs(fmr/p.Rate-1) > 1e-9 {
				t.Errorf("%s: at cosine %v: got FMR %v, want %v", table.Name, p.Raw, fmr, p.Rate)
			}
			if want := ekyc.Score(-0.2 * math.Log10(p.Rate)); p.Rate >= 1e-4 && math.Abs(float64(matchScore(fmr)-want)) > 1e-9 {
				t.Errorf("%s: at FMR %v: got score %v, want %v", table.Name, p.Rate, matchScore(fmr), want)
			}
		}
		if got := rate(table.Points, -1); got != 1 {
			t.Errorf("%s: at cosine -1: got FMR %v, want 1", table.Name, got)
		}
	}
	// -log10(1e-5) is 5: 1 - 0.2/sqrt(10)
	if got := matchScore(1e-5); math.Abs(float64(got)-0.93675) > 1e-4 {
		t.Errorf("at FMR 1e-5: got score %v, want 0.9368", got)
	}
}

func TestScoresRise(t *testing.T) {
	comparison, silent := tables(t, models.Embed), tables(t, models.Liveness)
	rapid.Check(t, func(t *rapid.T) {
		table := rapid.SampledFrom(comparison).Draw(t, "table").Points
		x, y := rapid.Float64Range(-1, 1).Draw(t, "x"), rapid.Float64Range(-1, 1).Draw(t, "y")
		if x > y {
			x, y = y, x
		}
		a, b := matchScore(rate(table, x)), matchScore(rate(table, y))
		if a > b || a < 0 || b > 1 {
			t.Fatalf("cosine %v gives %v and %v gives %v", x, a, y, b)
		}
		list := anchors(rapid.SampledFrom(silent).Draw(t, "silent").Points)
		x, y = math.Abs(x), math.Abs(y)
		c, d := liveScore(list, min(x, y)), liveScore(list, max(x, y))
		if c > d || c < 0 || d > 1 {
			t.Fatalf("raw %v gives %v and %v gives %v", min(x, y), c, max(x, y), d)
		}
	})
}

// The core's thresholds for 1e-4, 1e-3 and 1e-2 bona fide rejections.
func TestLivenessCalibration(t *testing.T) {
	levels := map[float64]ekyc.Score{1e-2: ekyc.LiveAt(ekyc.LevelHigh), 1e-3: ekyc.LiveAt(ekyc.LevelNormal), 1e-4: ekyc.LiveAt(ekyc.LevelLow)}
	for _, table := range tables(t, models.Liveness) {
		list, seen := anchors(table.Points), 0
		for _, p := range table.Points {
			want, ok := levels[p.Rate]
			if !ok {
				continue
			}
			seen++
			if got := liveScore(list, p.Raw); math.Abs(float64(got-want)) > 1e-9 {
				t.Errorf("%s: at BPCER %v: got score %v, want %v", table.Name, p.Rate, got, want)
			}
		}
		if seen != 3 {
			t.Errorf("%s has %d of the three rates", table.Name, seen)
		}
		if liveScore(list, 0) != 0 || liveScore(list, 1) != 1 {
			t.Errorf("%s: raw 0 and 1 give %v and %v, want 0 and 1", table.Name, liveScore(list, 0), liveScore(list, 1))
		}
	}
}
