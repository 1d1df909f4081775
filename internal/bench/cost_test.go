//go:build !race

// The race detector slows Go several times and the networks not at all, so costs are
// compared without it.

package bench_test

import (
	"testing"

	"shiren/internal/bench"
	"shiren/internal/engine/enginetest"
)

func TestFullCostsLittleMoreThanItsNetworks(t *testing.T) {
	e := enginetest.Engine(t)
	x, y := photos(t)
	// 1.3 is what a comparison over HTTP may cost on a quiet machine; the test allows for a
	// busy one, whose other work takes from the caches now of the one and now of the other.
	for try := 1; ; try++ {
		bare, err := bench.Bare(t.Context(), e, x, y, 8)
		if err != nil {
			t.Fatal(err)
		}
		full, err := bench.Full(t.Context(), e, x, y, 8)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("networks %v, comparison %v of CPU: %.2f times", bare, full, float64(full)/float64(bare))
		switch {
		case float64(full) <= 1.6*float64(bare):
			return
		case try == 3:
			t.Fatalf("a comparison takes %v of CPU and its networks %v: more than 1.6 times", full, bare)
		}
	}
}
