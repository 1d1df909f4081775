package alarm

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"shiren/internal/ekyc"
)

// Reading is what a rule's measure comes to at a moment.
type Reading struct {
	At    time.Time
	Known bool // there is a value
	Value float64
	// Part of Events is what the value says: attacks of attempts, for example. Both are 0 of probes.
	Part, Events int64
	Detail       string // the source that fails most; the node of a probe
	Why          Why    // of a value that is not Known
}

// Why says why there is no value.
type Why string

const (
	TooFew  Why = "too_few"  // fewer events than the rule's minimum
	TooSoon Why = "too_soon" // the rule has not watched for a whole window yet
	NoProbe Why = "no_probe" // this machine cannot say, or has no certificate
)

// queries are the counts that a rule needs at now: they reach back one span further than the
// window, since the running span is not over.
func (r Rule) query(now time.Time) ekyc.CountQuery {
	q := ekyc.CountQuery{
		Since: now.Truncate(ekyc.ShortSpan).Add(-r.Window), Short: true, App: r.App, Plan: r.Plan, Protocol: r.Protocol,
		By: ekyc.GroupBy{Time: true},
	}
	switch r.Measure {
	case AttackRate:
		q.Measures = []ekyc.Measure{ekyc.CountAttack, ekyc.CountAttempt}
	case FailureRate, CodeRate, VolumeHigh, VolumeLow:
		q.Measures = []ekyc.Measure{ekyc.CountAttempt, ekyc.CountDirect}
	case Charges:
		q.Measures = []ekyc.Measure{ekyc.CountCharge}
	case Latency:
		q.Measures = []ekyc.Measure{ekyc.CountLatency}
	case SourceFails:
		q.Measures = []ekyc.Measure{ekyc.CountSource}
	}
	return q
}

// Read computes the value of a counted measure at now from the counts of r.query(now).
//
// Spans are five minutes long and begin at whole multiples, so a window never ends now exactly.
// Shares and percentiles are computed of the whole spans of the window and the running one beside
// it: they always have a whole window's events. Volumes and charges must not count more time than
// the window: what is too high is looked for in the whole spans, and in the running one with those
// before it that fill the window up; what is too low in the whole spans alone.
func (r Rule) Read(now time.Time, counts []ekyc.Count) Reading {
	x := Reading{At: now, Known: true}
	running := now.Truncate(ekyc.ShortSpan)
	sum := func(from, before time.Time, want func(ekyc.Count) bool) (n int64) {
		for _, c := range counts {
			if !c.At.Before(from) && c.At.Before(before) && want(c) {
				n += c.N
			}
		}
		return n
	}
	all := func(want func(ekyc.Count) bool) int64 {
		return sum(running.Add(-r.Window), now.Add(ekyc.ShortSpan), want)
	}
	share := func(part, of int64) {
		x.Part, x.Events = part, of
		if of < max(r.Minimum, 1) {
			x.Known, x.Why = false, TooFew
			return
		}
		x.Value = float64(part) / float64(of)
	}
	switch r.Measure {
	case AttackRate:
		attacks := all(func(c ekyc.Count) bool { return c.Measure == ekyc.CountAttack })
		share(attacks, all(func(c ekyc.Count) bool { return c.Measure == ekyc.CountAttempt }))
	case FailureRate:
		share(all(failed), all(ended))
	case CodeRate:
		share(all(func(c ekyc.Count) bool { return ended(c) && codeOf(c) == r.Code }), all(ended))
	case VolumeHigh, Charges:
		want := ended
		if r.Measure == Charges {
			want = func(c ekyc.Count) bool {
				return c.Measure == ekyc.CountCharge && (r.Charge == "" || c.Label == string(r.Charge))
			}
		}
		whole := sum(running.Add(-r.Window), running, want)
		filling := sum(running.Add(ekyc.ShortSpan-r.Window), now.Add(ekyc.ShortSpan), want)
		x.Events = max(whole, filling)
		x.Part, x.Value = x.Events, float64(x.Events)
	case VolumeLow:
		x.Events = sum(running.Add(-r.Window), running, ended)
		x.Part, x.Value = x.Events, float64(x.Events)
		if r.Changed.After(running.Add(-r.Window)) {
			x.Known, x.Why = false, TooSoon
		}
	case Latency:
		r.latency(counts, &x)
	case SourceFails:
		r.source(counts, &x)
	}
	return x
}

func ended(c ekyc.Count) bool { return c.Measure == ekyc.CountAttempt || c.Measure == ekyc.CountDirect }

// failed reports whether a count is of attempts or direct calls without a match.
func failed(c ekyc.Count) bool {
	first, _, _ := strings.Cut(c.Label, "/")
	switch c.Measure {
	case ekyc.CountAttempt:
		return first != string(ekyc.Match)
	case ekyc.CountDirect:
		return codeOf(c) != ekyc.OK
	}
	return false
}

// codeOf is the code in the label of a CountAttempt, CountDirect or CountSource: its last part.
func codeOf(c ekyc.Count) ekyc.Code {
	return ekyc.Code(c.Label[strings.LastIndexByte(c.Label, '/')+1:])
}

// percentile is the one that Latency looks at.
const percentile = 0.95

// latency reads the percentile from counts by upper bound. Within a bound's range it is taken as
// even, as Prometheus's histogram_quantile does; beyond the last bound it is that bound.
func (r Rule) latency(counts []ekyc.Count, x *Reading) {
	n := make([]int64, len(ekyc.LatencyBounds)+1)
	for _, c := range counts {
		if c.Measure != ekyc.CountLatency {
			continue
		}
		i := len(ekyc.LatencyBounds)
		if ms, err := strconv.ParseInt(c.Label, 10, 64); err == nil {
			bound := time.Duration(ms) * time.Millisecond
			if j := slices.Index(ekyc.LatencyBounds, bound); j >= 0 {
				i = j
			}
		}
		n[i] += c.N
		x.Events += c.N
	}
	if x.Part = x.Events; x.Events < max(r.Minimum, 1) {
		x.Known, x.Why = false, TooFew
		return
	}
	rank, below := percentile*float64(x.Events), int64(0)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	for i, bound := range ekyc.LatencyBounds {
		if n[i] > 0 && float64(below+n[i]) >= rank {
			var lower time.Duration
			if i > 0 {
				lower = ekyc.LatencyBounds[i-1]
			}
			x.Value = ms(lower) + ms(bound-lower)*(rank-float64(below))/float64(n[i])
			return
		}
		below += n[i]
	}
	x.Value = ms(ekyc.LatencyBounds[len(ekyc.LatencyBounds)-1])
}

// source reads the share of one source, or of the one whose share is highest among those that
// were asked often enough.
func (r Rule) source(counts []ekyc.Count, x *Reading) {
	type asked struct {
		name      string
		part, all int64
	}
	var list []asked
	for _, c := range counts {
		name, rest, _ := strings.Cut(c.Label, "/")
		if c.Measure != ekyc.CountSource || r.Source != "" && name != r.Source {
			continue
		}
		i := slices.IndexFunc(list, func(a asked) bool { return a.name == name })
		if i < 0 {
			i, list = len(list), append(list, asked{name: name})
		}
		list[i].all += c.N
		if outcome, _, _ := strings.Cut(rest, "/"); outcome == string(ekyc.Failed) {
			list[i].part += c.N
		}
	}
	x.Known, x.Why, x.Detail = false, TooFew, r.Source
	slices.SortFunc(list, func(a, b asked) int { return cmp.Compare(a.name, b.name) })
	for _, a := range list {
		if a.all < max(r.Minimum, 1) {
			if !x.Known {
				x.Events = max(x.Events, a.all)
			}
			continue
		}
		if v := float64(a.part) / float64(a.all); !x.Known || v > x.Value {
			*x = Reading{At: x.At, Known: true, Value: v, Part: a.part, Events: a.all, Detail: a.name}
		}
	}
}
