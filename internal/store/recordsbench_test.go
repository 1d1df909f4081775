package store

import (
	"bytes"
	"context"
	flags "flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/seal"
)

// How many sessions BenchmarkRecords fills the index with. docs/console/records.md has the
// figures for a million:
//
//	go test ./internal/store -run '^$' -bench Records -records 1000000 -timeout 1h
var benchRecords = flags.Int("records", 20_000, "sessions that BenchmarkRecords searches")

var benchEnd = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// benchLine makes the n-th of total sessions over 90 days: 40 apps of very different size
// with three plans each, of which one in twenty falls back to another kind, thirty codes of very
// different frequency, a person of 600,000 with
// one of 5,000 names, of which the commonest belongs to one in fifty.
func benchLine(r *rand.Rand, n, total int) entry {
	app := min(int(r.ExpFloat64()*4), 39)
	plan := r.IntN(3)
	kind := (app + plan) % 4
	if r.IntN(20) == 0 {
		kind = 4
	}
	rec := ekyc.Record{
		ID: ekyc.Token(fmt.Sprintf("bench-%018d", n)).Digest(), Protocol: []string{"baidu", "baidu", "baidu", "huawei", "juhe"}[app%5],
		App: ekyc.AppID(fmt.Sprint(10001 + app)), Plan: ekyc.PlanID(fmt.Sprint(app, "-", plan)), Kind: []string{"flash", "action", "silent", "distance", "picture"}[kind],
		At: benchEnd.Add(-90 * 24 * time.Hour).Add(time.Duration(float64(n) / float64(total) * float64(90*24*time.Hour))), Attempts: 1,
		Compared: true, Score: 0.9, Took: time.Second, Sandbox: app == 7,
	}
	rec.Until = rec.At.AddDate(1, 0, 0)
	switch c := r.IntN(100); {
	case c < 10:
		rec.Attempts, rec.Compared = 0, false
	case c < 80:
		rec.Outcome = ekyc.Match
	default:
		codes := ekyc.Codes()[50:80]
		rec.Outcome, rec.Code = ekyc.NonMatched, codes[min(int(r.ExpFloat64()*4), len(codes)-1)]
	}
	switch {
	case app == 0 && rec.Code == ekyc.Codes()[50]: // two common things that never meet
		rec.Code = ekyc.Codes()[51]
	case n < total/1000 && n%10 == 0: // and one that ended long ago
		rec.Outcome, rec.Code = ekyc.Failed, ekyc.EngineFailed
	}
	person := r.IntN(600_000)
	name := int(r.ExpFloat64() * 500)
	if r.IntN(50) == 0 {
		name = -1
	}
	return entry{rec, []ekyc.RecordKey{
		{Field: ekyc.FieldLogID, Value: fmt.Sprint("log-", n)},
		{Field: ekyc.FieldLogID, Value: fmt.Sprint("ask-", n)},
		{Field: ekyc.FieldName, Value: fmt.Sprint("name-", name)},
		{Field: ekyc.FieldNumber, Value: fmt.Sprint("number-", person)},
	}}
}

// BenchmarkRecords fills the index of a SQLite file and measures the first page of searches,
// the usual ones and those that lie badly to every single index.
func BenchmarkRecords(b *testing.B) {
	sealer, err := seal.New(bytes.Repeat([]byte{1}, seal.MasterSize), rand.NewChaCha8([32]byte{1}))
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(b.Context(), Config{DSN: "sqlite:" + filepath.Join(b.TempDir(), "shiren.db"), Sealer: sealer})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	total, r := *benchRecords, rand.New(rand.NewPCG(1, 2))
	begun := time.Now()
	for n := 0; n < total; {
		err := s.writer.do(b.Context(), func(q querier) error {
			for range 10_000 {
				if n == total {
					break
				}
				l := benchLine(r, n, total)
				if err := s.addLine(b.Context(), q, l); err != nil {
					return err
				}
				s.remember(l)
				n++
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var facets, size int64
	if err := s.read.QueryRow(`select (select count(*) from record_facets), (select page_count * page_size from pragma_page_count, pragma_page_size)`).Scan(&facets, &size); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d sessions, %d facets, %d MB, filled in %v", total, facets, size>>20, time.Since(begun).Round(time.Second))

	now := benchEnd.Add(time.Hour)
	old := benchEnd.Add(-80 * 24 * time.Hour)
	name := func(n int) []ekyc.RecordKey {
		return []ekyc.RecordKey{{Field: ekyc.FieldName, Value: fmt.Sprint("name-", n)}}
	}
	for _, c := range []struct {
		name string
		q    func(r *rand.Rand) ekyc.RecordQuery
	}{
		{"all", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{} }},
		{"all, a thousand a page", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Limit: 1000} }},
		{"a day", func(r *rand.Rand) ekyc.RecordQuery {
			t := benchEnd.AddDate(0, 0, -1-r.IntN(88))
			return ekyc.RecordQuery{Since: t, Before: t.AddDate(0, 0, 1)}
		}},
		{"app", func(r *rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{App: ekyc.AppID(fmt.Sprint(10001 + r.IntN(40)))}
		}},
		{"plan", func(r *rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Plan: ekyc.PlanID(fmt.Sprint(r.IntN(40), "-", r.IntN(3)))}
		}},
		{"protocol", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Protocol: "huawei"} }},
		{"kind", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Kind: "distance"} }},
		{"outcome", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Outcome: ekyc.NonMatched} }},
		{"undecided", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Undecided: true} }},
		{"code", func(r *rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Code: ekyc.Codes()[50+r.IntN(30)]} }},
		{"real only", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Sandbox: new(false)} }},
		{"sandbox", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Sandbox: new(true)} }},
		{"rare app, common code", func(*rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{App: "10030", Code: ekyc.Codes()[51]}
		}},
		{"common app, common code, never together", func(*rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{App: "10001", Code: ekyc.Codes()[50]}
		}},
		{"a code that ended long ago", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Code: ekyc.EngineFailed} }},
		{"a code that never was, real only", func(*rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Code: "never", Sandbox: new(false)}
		}},
		{"real only, of a day long ago", func(*rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Sandbox: new(false), Since: old, Before: old.AddDate(0, 0, 1)}
		}},
		{"far down a list", func(r *rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Outcome: ekyc.Match, After: &ekyc.Record{At: benchEnd.Add(-time.Duration(r.Int64N(int64(89 * 24 * time.Hour)))), ID: "x"}}
		}},
		{"token", func(r *rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Keys: []ekyc.RecordKey{{Field: ekyc.FieldToken, Value: fmt.Sprintf("bench-%018d", r.IntN(total))}}}
		}},
		{"log id", func(r *rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Keys: []ekyc.RecordKey{{Field: ekyc.FieldLogID, Value: fmt.Sprint("log-", r.IntN(total))}}}
		}},
		{"number", func(r *rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Keys: []ekyc.RecordKey{{Field: ekyc.FieldNumber, Value: fmt.Sprint("number-", r.IntN(600_000))}}}
		}},
		{"name", func(r *rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Keys: name(int(r.ExpFloat64() * 500))} }},
		{"the commonest name", func(*rand.Rand) ekyc.RecordQuery { return ekyc.RecordQuery{Keys: name(-1)} }},
		{"the commonest name, rare code", func(r *rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Keys: name(-1), Code: ekyc.Codes()[70+r.IntN(10)]}
		}},
		{"the commonest name, a code that never was", func(*rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Keys: name(-1), Code: "never", Sandbox: new(false)}
		}},
		{"the commonest name and another's number", func(r *rand.Rand) ekyc.RecordQuery {
			return ekyc.RecordQuery{Keys: append(name(-1), ekyc.RecordKey{Field: ekyc.FieldNumber, Value: fmt.Sprint("number-", r.IntN(600_000))})}
		}},
	} {
		b.Run(strings.ReplaceAll(c.name, " ", "_"), func(b *testing.B) {
			r := rand.New(rand.NewPCG(3, 4))
			var took []time.Duration
			found := 0
			var before, after syscall.Rusage
			syscall.Getrusage(syscall.RUSAGE_SELF, &before)
			for b.Loop() {
				q := c.q(r)
				q.Now = now
				start := time.Now()
				list, err := s.Search(context.Background(), q)
				took = append(took, time.Since(start))
				if err != nil {
					b.Fatal(err)
				}
				found += len(list)
			}
			syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			slices.Sort(took)
			ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
			b.ReportMetric(ms(took[len(took)*95/100]), "p95-ms")
			b.ReportMetric(ms(cpu)/float64(len(took)), "cpu-ms") // on a busy machine the other two wait for others
			b.ReportMetric(float64(found)/float64(len(took)), "found")
		})
	}
}
