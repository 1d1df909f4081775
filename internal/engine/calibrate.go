package engine

import (
	"math"

	"shiren/internal/ekyc"
	"shiren/internal/engine/models"
)

// rate is the false match rate at a cosine: log-linear between a table's points, and
// beyond them along the nearest segment, which is extrapolation; at most 1.
func rate(table []models.Point, cosine float64) float64 {
	i := 1
	for i < len(table)-1 && cosine > table[i].Raw {
		i++
	}
	a, b := table[i-1], table[i]
	la, lb := math.Log10(a.Rate), math.Log10(b.Rate)
	return min(1, math.Pow(10, la+(lb-la)*(cosine-a.Raw)/(b.Raw-a.Raw)))
}

// matchScore puts a false match rate on the core's scale, with L = -log10(FMR):
// 0.2·L up to L = 4, above it 1 - 0.2·10^(-(L-4)/2). So FMR 1e-4 is 0.8 exactly, and
// the score rises strictly with similarity without reaching 1.
func matchScore(fmr float64) ekyc.Score {
	l := max(0, -math.Log10(fmr))
	if l <= 4 {
		return ekyc.Score(0.2 * l)
	}
	return ekyc.Score(1 - 0.2*math.Pow(10, -(l-4)/2))
}

// anchor is a raw silent PAD score with its calibrated score.
type anchor struct{ raw, score float64 }

// anchors turns bona fide rejection rates into scores: .05, .3 and .9 at 1e-4, 1e-3
// and 1e-2 (see ekyc.LiveAt), linear in the rate's logarithm between and beyond, within
// 0.01 to 0.99. Raw 0 is score 0 and raw 1 is score 1.
func anchors(points []models.Point) []anchor {
	list := []anchor{{0, 0}}
	for _, p := range points {
		l, s := -math.Log10(p.Rate), 0.0
		if l <= 3 {
			s = 0.3 + 0.6*(3-l)
		} else {
			s = 0.05 + 0.25*(4-l)
		}
		list = append(list, anchor{p.Raw, max(0.01, min(s, 0.99))})
	}
	return append(list, anchor{1, 1})
}

// liveScore interpolates between anchors: linear in the raw score's logarithm, from
// which rates follow almost a power law, and below the first one in the raw score.
func liveScore(list []anchor, raw float64) ekyc.Score {
	raw = max(0, min(raw, 1))
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		if raw > b.raw || b.raw <= a.raw {
			continue
		}
		t := (raw - a.raw) / (b.raw - a.raw)
		if a.raw > 0 {
			t = math.Log(raw/a.raw) / math.Log(b.raw/a.raw)
		}
		return ekyc.Score(a.score + (b.score-a.score)*t)
	}
	return 1
}
