package ekyc

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

// The rule of depth for coming closer. What is near grows more than what is far behind
// it: the engine fits the perspective of the nearest frames against the farthest (Relief),
// and the median over reliefPairs of them, for a growth by e, must reach reliefLeast.
//
// Measured: film of a man who comes closer before a webcam .0051 to .0163, median .0115,
// of 37 pairs; enlarged stills of two men, upright, turned by 20 degrees, dark, noisy
// -.0014 to .0014 of 60; their enlarged film -.0049 to .0023 of 11. Geometry says .015 to
// .04 for a mean head at 60 to 25 cm; the fit finds about half of it.
const (
	reliefPairs = 5
	reliefLeast = 0.003
	// reliefFit is the least correlation of two frames that say something: of those above
	// .87 at least.
	reliefFit = 0.75
)

// relief holds a distance challenge that was answered to what a head shows.
func (s *Service) relief(ctx context.Context, c Challenge, p Presented, r Response) (Response, error) {
	type view struct {
		shot Shot
		size float64
	}
	base := rest(c.baseline(p.Samples))
	var views []view
	for _, f := range p.All {
		i, ok := slices.BinarySearchFunc(p.Samples, f.At, func(s Sample, at time.Time) int { return s.At.Compare(at) })
		if !ok || p.Samples[i].Faces == 0 {
			continue
		}
		face := p.Samples[i].Face
		if face.Quality.EyeDistance > 0 && math.Abs(face.Pose.Yaw-base.yaw) < yawLeast {
			views = append(views, view{Shot{f.Image, face.Landmarks}, face.Quality.EyeDistance})
		}
	}
	if len(views) < 2*reliefPairs {
		return r.unmet("%d frames to see depth in; at least %d are needed", len(views), 2*reliefPairs), nil
	}
	slices.SortStableFunc(views, func(a, b view) int { return cmp.Compare(a.size, b.size) })
	var depths []float64
	for i := range reliefPairs {
		far, near := views[i], views[len(views)-reliefPairs+i]
		x, err := s.Engine.Relief(ctx, far.shot, near.shot)
		if err != nil {
			return r, err
		}
		if grown := math.Log(near.size / far.size); x.Fit >= reliefFit && grown > 0 {
			depths = append(depths, x.Depth/grown)
		}
	}
	if len(depths) <= reliefPairs/2 {
		return r.unmet("%d of %d pairs of frames show the same thing", len(depths), reliefPairs), nil
	}
	if r.Depth = middle(depths) / reliefLeast; r.Depth < 1 {
		return r.unmet("%.2f of the depth that a head shows", r.Depth), nil
	}
	return r, nil
}
