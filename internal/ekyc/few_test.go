package ekyc

import "testing"

// Few is how many sessions a simulation plays: n, and a fifth of them but at most 100 with
// -short, which is how simulations run under the race detector. What is claimed of rates is
// held by n.
func Few(n int) int {
	if testing.Short() {
		return min(n/5, 100)
	}
	return n
}
