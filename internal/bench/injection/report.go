package injection

import (
	"fmt"
	"io"
	"math"
	"sort"
	"strings"
)

// interval is the exact 95 % interval of a share k of n (Clopper and Pearson 1934).
func interval(k, n int) [2]float64 {
	if n == 0 {
		return [2]float64{0, 1}
	}
	low, high := 0.0, 1.0
	if k > 0 { // P(X >= k; p) = 2.5 %
		low = root(func(p float64) float64 { return 1 - cumulative(k-1, n, p) - 0.025 })
	}
	if k < n { // P(X <= k; p) = 2.5 %
		high = root(func(p float64) float64 { return 0.025 - cumulative(k, n, p) })
	}
	return [2]float64{low, high}
}

// root finds where a rising function of 0 to 1 crosses 0.
func root(f func(float64) float64) float64 {
	a, b := 0.0, 1.0
	for range 60 {
		if m := (a + b) / 2; f(m) < 0 {
			a = m
		} else {
			b = m
		}
	}
	return (a + b) / 2
}

// cumulative is P(X <= k) of n tries at p.
func cumulative(k, n int, p float64) float64 {
	switch {
	case p <= 0 || k >= n:
		return 1
	case p >= 1:
		return 0
	}
	gamma := func(x int) float64 { v, _ := math.Lgamma(float64(x)); return v }
	sum := 0.0
	for i := range k + 1 {
		sum += math.Exp(gamma(n+1) - gamma(i+1) - gamma(n-i+1) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(sum, 1)
}

// Write prints the report as Markdown.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\nSeed %d; %d distinct pictures examined; %.0f s.\n", r.Synthetic, r.Seed, r.Pictures, r.Seconds)
	for _, k := range r.Results {
		fmt.Fprintf(&b, "\n## %s\n\nSYNTHETIC attacks: %d of %d accepted (95 %%: at most %.3g %%).\nSYNTHETIC honest sessions: %d of %d rejected (%.2f %%). Median time, good conditions: %.1f s.\n",
			k.Kind, k.AcceptedAll, k.Sessions, 100*k.AcceptedUpper, k.RejectedAll, k.Honest, 100*float64(k.RejectedAll)/float64(max(k.Honest, 1)), k.MedianSeconds)
		b.WriteString("\n| attacker (SYNTHETIC) | sessions | accepted | 95 % | ended as |\n|---|---|---|---|---|\n")
		rows(&b, Attackers(k.Kind), k.Attackers)
		b.WriteString("\n| honest, condition (SYNTHETIC) | sessions | rejected | 95 % | ended as |\n|---|---|---|---|---|\n")
		rows(&b, Conditions, k.Conditions)
		if k.Wired != nil {
			accepted, rejected := 0, 0
			for _, c := range k.Wired.Accepted {
				accepted += c.Of
			}
			honest := 0
			for _, c := range k.Wired.Rejected {
				rejected += c.Of
				honest += c.Sessions
			}
			fmt.Fprintf(&b, "\nThrough the WebSocket of a listening server, in real time (SYNTHETIC): %d of %d attacks accepted, %d of %d honest sessions rejected.\n",
				accepted, k.Wired.Sessions, rejected, honest)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func rows(b *strings.Builder, names []string, m map[string]Count) {
	for _, name := range names {
		c := m[name]
		fmt.Fprintf(b, "| %s | %d | %d | %.2f–%.2f %% | %s |\n", strings.ReplaceAll(name, "_", " "), c.Sessions, c.Of, 100*c.Interval[0], 100*c.Interval[1], codes(c.Codes))
	}
}

func codes(m map[string]int) string {
	var list []string
	for c, n := range m {
		if c == "" {
			c = "match"
		}
		list = append(list, fmt.Sprintf("%s %d", c, n))
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}
