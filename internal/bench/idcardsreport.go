package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"shiren/internal/bench/cards"
)

// Write prints the result for people, without what documents say.
func (r CardResult) Write(w io.Writer) error {
	var b strings.Builder
	for _, l := range r.levels() {
		r.Levels[l].write(&b, string(l))
	}
	if r.Together != nil && len(r.Levels) > 1 {
		r.Together.write(&b, "mild and medium together")
	}
	if len(r.Odd) > 0 {
		b.WriteString("odd pictures          right  of   wrong values presented\n")
		for _, o := range slices.Sorted(maps.Keys(r.Odd)) {
			v := r.Odd[o]
			fmt.Fprintf(&b, "  %-18s %6d %4d   %d\n", o, v.Right, v.Pictures, v.Presented)
		}
	}
	fmt.Fprintf(&b, "CPU a side            %.2f s (mean of %d, read one at a time)\n", r.CPU, r.Pictures)
	fmt.Fprintf(&b, "glance                %.0f ms (95 %% within %.0f ms), side told rightly in %.1f %%\n",
		1e3*r.Glance.CPU, 1e3*r.Glance.Slow, 100*r.Glance.Side)
	fmt.Fprintf(&b, "%s\nintervals: Wilson, 95 %%; fields taken as independent\n", CardExact)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMistakes prints every picture that was not read as it should have been, with what
// was read and what stands there.
func (r CardResult) WriteMistakes(w io.Writer) error {
	var b strings.Builder
	for _, m := range r.Mistakes {
		fmt.Fprint(&b, m.File)
		if m.Problem != "" {
			fmt.Fprintf(&b, ": %s", m.Problem)
		} else {
			fmt.Fprintf(&b, ": %s", m.Status)
		}
		if m.Want != "" {
			fmt.Fprintf(&b, ", want %s", m.Want)
		}
		b.WriteString("\n")
		for _, f := range m.Fields {
			doubt := ""
			if f.Doubtful {
				doubt = " doubtful"
			}
			fmt.Fprintf(&b, "  %-16s got %q want %q (%.3f%s)\n", f.Field, f.Got, f.Want, f.Confidence, doubt)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WithoutValues is the result without what the documents say: where mistakes were made,
// not what stands there.
func (r CardResult) WithoutValues() CardResult {
	r.Mistakes = slices.Clone(r.Mistakes)
	for i := range r.Mistakes {
		m := &r.Mistakes[i]
		m.Fields = slices.Clone(m.Fields)
		for k := range m.Fields {
			m.Fields[k].Got, m.Fields[k].Want = "", ""
		}
	}
	return r
}

// levels are those that were measured: the known ones in their order, then others.
func (r CardResult) levels() []cards.Level {
	var list []cards.Level
	for _, l := range cards.Levels {
		if _, ok := r.Levels[l]; ok {
			list = append(list, l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(r.Levels)) {
		if !slices.Contains(list, l) {
			list = append(list, l)
		}
	}
	return list
}

func (r CardRates) write(b *strings.Builder, name string) {
	fmt.Fprintf(b, "%s: %d sides\n", name, r.Sides)
	line := func(key, label string) {
		c, ok := r.Counts[key]
		if !ok {
			return
		}
		in := r.Interval[key]
		fmt.Fprintf(b, "  %-18s %6.2f %%  (95 %%: %.2f to %.2f; %d of %d)\n", label, 100*float64(c.N)/float64(c.Of), 100*in[0], 100*in[1], c.N, c.Of)
	}
	for _, f := range CardFields() {
		line(f.Name, f.Name)
	}
	line(wholeSide, "whole side")
	line(unflaggedWrong, "wrong, unflagged")
	line(flaggedRight, "right, flagged")
	if r.WrongNumbers > 0 {
		fmt.Fprintf(b, "  %d numbers were presented as good whose check character does not fit\n", r.WrongNumbers)
	}
}
