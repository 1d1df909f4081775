package ekyc

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// The flash judge. What the skin reflects is read as chroma, (log(R/G), log(B/G)) in
// linear light, in which exposure cancels; a cubic in time is taken off, which is how
// automatic white balance, movement and daylight drift. For a lag between showing and
// seeing, the mean chroma of each cue's frames is compared with the quadrant of each
// colour of the palette; the statistic of a sequence is the sum of its colours' fits.
//
// Chance is the share of all sequences that Draw could have drawn which fit these very
// frames as well at any lag: the distribution of the statistic over them is computed
// exactly, lag by lag, and summed over the lags, which is an upper bound. Frames that were
// made without knowing the sequence therefore pass with a probability of at most the
// level's limit, whatever they show.

// flashChance is the largest Chance that meets a flash challenge, by level. Our choice:
// 10,000 blind attempts let fewer than one in ten through at the normal level.
var flashChance = map[Level]float64{LevelLow: 2e-5, LevelNormal: 1e-5, LevelHigh: 1e-6}

// Lags. Our choices: a page shows a colour within a frame or two of being told, and a
// frame travels for some hundred milliseconds on a slow network. A best fit beyond
// flashLag is an answer that came too late.
const (
	flashLag    = 950 * time.Millisecond
	flashLagMax = 2000 * time.Millisecond // to tell a late answer from none
	flashLagMin = -400 * time.Millisecond // and one from before the question
	flashStep   = 50 * time.Millisecond
	// flashEdge is left out at a cue's beginning: a frame exposed over a change.
	flashEdge = 40 * time.Millisecond
)

// Quantisation of a cue's fit: fits from -fitRange to +fitRange standard deviations in
// steps of 1/fitScale.
const (
	fitRange = 6.0
	fitScale = 6.0
	fitSteps = int(2*fitRange*fitScale) + 1
)

// chroma is (log(R/G), log(B/G)).
type chroma [2]float64

func chromaOf(c [3]float64) (chroma, bool) {
	const dark = 1e-4 // of full scale: below, a quotient is noise
	for _, v := range c {
		if !(v > dark) || math.IsInf(v, 0) {
			return chroma{}, false
		}
	}
	return chroma{math.Log(c[0] / c[1]), math.Log(c[2] / c[1])}, true
}

// quadrants is the direction of each colour of the palette: the signs of its chroma.
var quadrants = func() (q [len(Palette)]chroma) {
	for i, c := range Palette {
		q[i] = chroma{1, 1}
		if c[0] < c[1] {
			q[i][0] = -1
		}
		if c[2] < c[1] {
			q[i][1] = -1
		}
	}
	return q
}()

// reading is a chroma and when it was seen, from the challenge's start.
type reading struct {
	at time.Duration
	chroma
}

// flash judges a flash challenge.
func (c Challenge) flash(level Level, samples []Sample, r Response) Response {
	var skin, back []reading
	for _, s := range samples {
		at := s.At.Sub(c.Started)
		if s.Faces == 0 || at < 0 || at > c.end()+flashLagMax {
			continue
		}
		if x, ok := chromaOf(s.Face.Skin); ok {
			skin = append(skin, reading{at, x})
		}
		if x, ok := chromaOf(s.Face.Back); ok {
			back = append(back, reading{at, x})
		}
	}
	seq := make([]int, len(c.Cues))
	for i, cue := range c.Cues {
		if seq[i] = slices.Index(Palette[:], cue.Colour); seq[i] < 0 {
			return r.unmet("cue %d has a colour that is not of the palette", cue.N)
		}
	}
	unit := detrend(skin)
	if unit[0] == 0 || unit[1] == 0 {
		return r.unmet("%d readings of the skin's colour without any change", len(skin))
	}
	best, bestSum, inTime := time.Duration(0), -1, -1
	for lag := flashLagMin; lag <= flashLagMax; lag += flashStep {
		q := c.fits(skin, lag, unit)
		sum := 0
		for n, k := range seq {
			sum += q[n][k]
		}
		if sum > bestSum {
			best, bestSum = lag, sum
		}
		if lag >= 0 && lag <= flashLag {
			inTime = max(inTime, sum)
		}
	}
	// Nearest lags first: once it is clear that the sequence is nothing special, the rest
	// of the sum does not matter.
	var lags []time.Duration
	for lag := time.Duration(0); lag <= flashLag; lag += flashStep {
		lags = append(lags, lag)
	}
	slices.SortStableFunc(lags, func(a, b time.Duration) int { return int(abs(a-best) - abs(b-best)) })
	r.Chance = 0
	for _, lag := range lags {
		if r.Chance += tail(c.fits(skin, lag, unit), inTime); r.Chance > 0.1 {
			r.Chance = min(1, r.Chance)
			break
		}
	}
	r.Lag = best
	seen := c.means(skin, best)
	behind := make([]chroma, len(c.Cues))
	if detrend(back) != (chroma{}) {
		behind = c.means(back, best)
	}
	q := c.fits(skin, best, unit)
	n, gain, gainBack := 0.0, 0.0, 0.0
	for i, cue := range c.Cues {
		dir := quadrants[seq[i]]
		top := slices.Max(q[i][:])
		got := CueResponse{N: cue.N, Lag: best, Seen: seen[i], Met: q[i][seq[i]] == top && top > fitSteps/2}
		if most := float64(top - fitSteps/2); most > 0 {
			got.Size = max(-1, float64(q[i][seq[i]]-fitSteps/2)/most)
		}
		r.Cues = append(r.Cues, got)
		gain += (seen[i][0]*dir[0] + seen[i][1]*dir[1]) / 2
		gainBack += (behind[i][0]*dir[0] + behind[i][1]*dir[1]) / 2
		n++
	}
	r.Skin, r.Back = gain/n, gainBack/n
	limit, ok := flashChance[level]
	if !ok {
		limit = flashChance[LevelLow]
	}
	switch {
	case best < 0 || best > flashLag:
		if r.Chance > limit {
			return r.unmet("the skin's colours fit the sequence by chance with probability %.2g; at most %.2g is accepted", r.Chance, limit)
		}
		r.Code, r.Why = ChallengeStale, fmt.Sprintf("the colours came %v after they were shown; up to %v is accepted", best, flashLag)
	case r.Chance > limit:
		return r.unmet("the skin's colours fit the sequence by chance with probability %.2g; at most %.2g is accepted", r.Chance, limit)
	}
	return r
}

// unmet is r with a reason for ChallengeUnmet.
func (r Response) unmet(format string, args ...any) Response {
	r.Code, r.Why = ChallengeUnmet, fmt.Sprintf(format, args...)
	return r
}

// means is the mean chroma of each cue's frames at a lag; 0 where it has none.
func (c Challenge) means(list []reading, lag time.Duration) []chroma {
	out := make([]chroma, len(c.Cues))
	for i, cue := range c.Cues {
		from, to := cue.After, cue.After+cue.For
		if i+1 < len(c.Cues) {
			to = min(to, c.Cues[i+1].After)
		}
		n := 0.0
		for _, r := range list {
			if t := r.at - lag; t >= from+flashEdge && t < to {
				out[i][0] += r.chroma[0]
				out[i][1] += r.chroma[1]
				n++
			}
		}
		if n > 0 {
			out[i][0] /= n
			out[i][1] /= n
		}
	}
	return out
}

// fits quantises how well each cue's frames at a lag fit each colour of the palette.
func (c Challenge) fits(list []reading, lag time.Duration, unit chroma) [][len(Palette)]int {
	out := make([][len(Palette)]int, len(c.Cues))
	for i, m := range c.means(list, lag) {
		for k, dir := range quadrants {
			fit := m[0]/unit[0]*dir[0] + m[1]/unit[1]*dir[1]
			fit = max(-fitRange, min(fitRange, fit))
			out[i][k] = int(math.Round((fit + fitRange) * fitScale))
		}
	}
	return out
}

// tail is the share of all sequences, no colour twice in a row, whose fits add up to at
// least sum.
func tail(fits [][len(Palette)]int, sum int) float64 {
	const colours = len(Palette)
	n := len(fits)
	size := n*(fitSteps-1) + 1
	if sum >= size {
		return 0
	}
	var now, next [colours][]float64
	for k := range colours {
		now[k], next[k] = make([]float64, size), make([]float64, size)
		now[k][fits[0][k]] = 1 / float64(colours)
	}
	top := fitSteps - 1 // the largest sum so far
	total := make([]float64, size)
	for i := 1; i < n; i++ {
		for s := 0; s <= top; s++ {
			total[s] = now[0][s] + now[1][s] + now[2][s] + now[3][s]
		}
		for k := range colours {
			clear(next[k])
			add := fits[i][k]
			for s := 0; s <= top; s++ {
				next[k][s+add] = (total[s] - now[k][s]) / float64(colours-1)
			}
		}
		top += fitSteps - 1
		now, next = next, now
	}
	p := 0.0
	for k := range colours {
		for s := max(sum, 0); s < size; s++ {
			p += now[k][s]
		}
	}
	return min(1, p)
}

// detrend takes the best cubic in time off the readings, cuts off what is more than three
// standard deviations away, and returns the standard deviation of each axis; 0 where
// there are too few readings or no change.
func detrend(list []reading) (unit chroma) {
	const degree = 3
	if len(list) < 3*(degree+1) {
		return unit
	}
	first, last := list[0].at, list[len(list)-1].at
	if last <= first {
		return unit
	}
	// Orthogonal polynomials on the times themselves (Gram-Schmidt).
	var basis [][]float64
	for d := 0; d <= degree; d++ {
		v := make([]float64, len(list))
		for i, r := range list {
			v[i] = math.Pow(2*float64(r.at-first)/float64(last-first)-1, float64(d))
		}
		for _, b := range basis {
			p := dot(v, b)
			for i := range v {
				v[i] -= p * b[i]
			}
		}
		norm := math.Sqrt(dot(v, v))
		if norm < 1e-9 {
			return unit
		}
		for i := range v {
			v[i] /= norm
		}
		basis = append(basis, v)
	}
	for axis := range 2 {
		v := make([]float64, len(list))
		for i, r := range list {
			v[i] = r.chroma[axis]
		}
		for _, b := range basis {
			p := dot(v, b)
			for i := range v {
				v[i] -= p * b[i]
			}
		}
		dev := math.Sqrt(dot(v, v) / float64(len(v)))
		if dev < 1e-6 || math.IsNaN(dev) { // a millionth: rounding
			return chroma{}
		}
		unit[axis] = dev
		for i := range list {
			list[i].chroma[axis] = max(-3*dev, min(3*dev, v[i]))
		}
	}
	return unit
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}
