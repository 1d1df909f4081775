package registry_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"shiren/internal/cnid"
	"shiren/internal/ekyc"
	"shiren/internal/source/registry"
)

// many is a file of n made-up people, born from 1950 on.
func many(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		fmt.Fprintln(w, "name,number,mobile")
		for i := range n {
			fmt.Fprintf(w, "张三丰,%s,13%09d\n", string(manyNumber(i)), i)
		}
		w.Close()
	}()
	return r
}

func manyNumber(i int) cnid.Number {
	day := i / 1000
	digits := fmt.Sprintf("110101%d%02d%02d%03d", 1950+day/336, day/28%12+1, day%28+1, i%1000)
	return cnid.Number(digits + string(cnid.CheckCharacter(digits)))
}

// refuse ends an import at the first line that does not come in.
func refuse(line int, why string) error { return fmt.Errorf("line %d: %s", line, why) }

// BenchmarkLookup asks registers of different sizes about people at random: identity, and
// whose a mobile number is. The time must not depend on the size.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, _, _ := open(b)
			if got, err := r.Import(b.Context(), registry.Import{Lines: many(n), File: "f", Batch: 4000, Workers: runtime.NumCPU(), Reject: refuse}); err != nil || got.Added != n {
				b.Fatal(got, err)
			}
			lookup(b, r, n)
		})
	}
}

func lookup(b *testing.B, r *registry.Registry, n int) {
	rng := rand.New(rand.NewPCG(1, 2))
	var took []time.Duration
	b.ResetTimer()
	for range b.N {
		i := rng.IntN(n)
		c := ekyc.Claim{Name: "张三丰", Number: manyNumber(i)}
		start := time.Now()
		out, err := r.Identity(b.Context(), c)
		took = append(took, time.Since(start))
		if out != ekyc.Match || err != nil {
			b.Fatal(out, err)
		}
		if out, _, err := r.Mobile(b.Context(), c, cnid.Mobile(fmt.Sprintf("13%09d", i))); out != ekyc.Match || err != nil {
			b.Fatal(out, err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds()), "p95-µs/identity")
}

// BenchmarkImport brings in people without portraits.
func BenchmarkImport(b *testing.B) {
	const n = 20_000
	for range b.N {
		r, _, _ := open(b)
		if got, err := r.Import(b.Context(), registry.Import{Lines: many(n), File: "f", Batch: 4000, Workers: runtime.NumCPU(), Reject: refuse}); err != nil || got.Added != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "people/s")
}
