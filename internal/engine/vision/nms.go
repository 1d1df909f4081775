package vision

import (
	"cmp"
	"slices"

	"shiren/internal/ekyc"
)

// Candidate is a detector's box with its confidence, 0 to 1.
type Candidate struct {
	Box        ekyc.Box
	Confidence float64
}

// Suppress keeps, of boxes whose intersection over union exceeds most, the most
// confident one. It sorts and shortens list, and returns it by falling confidence.
func Suppress(list []Candidate, most float64) []Candidate {
	slices.SortFunc(list, func(a, b Candidate) int { return cmp.Compare(b.Confidence, a.Confidence) })
	kept := list[:0]
next:
	for _, c := range list {
		for _, k := range kept {
			if overlap(k.Box, c.Box) > most {
				continue next
			}
		}
		kept = append(kept, c)
	}
	return kept
}
