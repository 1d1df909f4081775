package store_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shiren/internal/ekyc"
	"shiren/internal/store/storetest"
)

// callers is how many call at once.
const callers = 64

// typical is a session as a deployment has it after one attempt: a consent text of two
// languages (2 KB), a template of 512 numbers, one attempt with its checks and images.
func typical(token string) ekyc.Session {
	now := time.Date(2026, 3, 1, 8, 0, 0, 123456789, time.UTC)
	ses := ekyc.Session{
		Token: ekyc.Token(token), App: "10001", Opened: now,
		Plan: ekyc.Plan{
			ID: "demo", App: "10001", Name: "演示方案", Comparison: ekyc.CompareUploaded, Identity: ekyc.IdentityNone,
			Liveness: ekyc.LivenessSilent, LivenessLevel: ekyc.LevelNormal, QualityLevel: ekyc.LevelNormal, MatchAt: 0.8, Created: now,
			Consent: ekyc.Consent{Version: "1", Text: map[string]string{"zh-CN": strings.Repeat("本人同意", 80), "en": strings.Repeat("I agree. ", 120)}},
		},
		Redirect:  ekyc.Redirect{Success: "https://example.com/success", Failed: "https://example.com/failed"},
		Claim:     &ekyc.Claim{Name: "张三", Number: "440306199001011234"},
		Agreement: &ekyc.Agreement{Version: "1", At: now},
		Reference: &ekyc.Reference{Template: ekyc.Template{Model: "fr_feature", Vector: slices.Repeat([]float32{0.0441941738}, 512)}},
		Attempts: []ekyc.Attempt{{
			Ordinal: 1, Begun: now, Lease: now.Add(time.Minute), Finished: now.Add(time.Second), Outcome: ekyc.Match, Compared: true,
			Score: 0.93, FMR: 1e-6, Live: 0.98, LogID: "1234567890123456789",
			Checks: []ekyc.Check{{Kind: ekyc.CheckLiveness, Outcome: ekyc.Match, Score: 0.98, Threshold: 0.3}, {Kind: ekyc.CheckComparison, Outcome: ekyc.Match, Score: 0.93, Threshold: 0.8}},
		}},
		Calls: []ekyc.Call{{Interface: ekyc.CallSilent, At: now, LogID: "1"}, {Interface: ekyc.CallMatch, At: now, LogID: "1"}},
	}
	for i := range 4 {
		ses.Evidence = append(ses.Evidence, ekyc.Evidence{
			Ref: fmt.Sprintf("%032x", i), Kind: ekyc.EvidenceFrame, Attempt: 1, Type: "image/jpeg", Size: 50_000,
			SHA256: strings.Repeat("0123456789abcdef", 4), Until: now.Add(ekyc.MediaKept),
		})
	}
	return ses
}

// bench runs f from `callers` goroutines and reports calls a second and the 99th
// percentile of a call's time.
func bench(b *testing.B, f func(i int64) error) {
	var n atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var took []time.Duration
		for pb.Next() {
			start := b.Elapsed()
			if err := f(n.Add(1)); err != nil {
				b.Error(err)
				return
			}
			took = append(took, b.Elapsed()-start)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, took...)
	})
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

func databases(b *testing.B, f func(b *testing.B, s ekyc.Store)) {
	b.Run("sqlite", func(b *testing.B) { f(b, open(b, inFile(b))) })
	b.Run("postgres", func(b *testing.B) { f(b, open(b, storetest.Postgres(b).Database(b))) })
}

// BenchmarkCreateSession writes fresh sessions as verifyToken/generate does.
func BenchmarkCreateSession(b *testing.B) {
	databases(b, func(b *testing.B, s ekyc.Store) {
		fresh := typical("")
		fresh.Reference, fresh.Attempts, fresh.Evidence, fresh.Calls = nil, nil, nil, nil
		bench(b, func(i int64) error {
			ses := fresh
			ses.Token = ekyc.Token(fmt.Sprint("token", i))
			return s.CreateSession(b.Context(), ses)
		})
	})
}

// fixed creates sessions to read and update.
func fixed(b *testing.B, s ekyc.Store) (token func(i int64) ekyc.Token) {
	const n = 200
	for i := range n {
		if err := s.CreateSession(b.Context(), typical(fmt.Sprint("token", i))); err != nil {
			b.Fatal(err)
		}
	}
	return func(i int64) ekyc.Token { return ekyc.Token(fmt.Sprint("token", i%n)) }
}

// BenchmarkUpdate rewrites whole sessions, each with one new charge.
func BenchmarkUpdate(b *testing.B) {
	databases(b, func(b *testing.B, s ekyc.Store) {
		token := fixed(b, s)
		bench(b, func(i int64) error {
			_, err := s.UpdateSession(b.Context(), token(i), func(ses *ekyc.Session) error {
				ses.Attempts[0].Charges = []ekyc.Charge{{ID: fmt.Sprint("charge", i), App: "10001", Plan: "demo", Kind: ekyc.ChargeMatch}}
				return nil
			})
			return err
		})
	})
}

// BenchmarkRead reads whole sessions as the result calls do.
func BenchmarkRead(b *testing.B) {
	databases(b, func(b *testing.B, s ekyc.Store) {
		token := fixed(b, s)
		bench(b, func(i int64) error {
			_, err := s.Session(b.Context(), token(i))
			return err
		})
	})
}

// BenchmarkFinish ends an attempt with a source's answer, a charge and scores in every second
// update, and begins it anew in the others.
func BenchmarkFinish(b *testing.B) {
	databases(b, func(b *testing.B, s ekyc.Store) {
		token := fixed(b, s)
		bench(b, func(i int64) error {
			_, err := s.UpdateSession(b.Context(), token(i), func(ses *ekyc.Session) error {
				a := &ses.Attempts[0]
				if a.Kind = ekyc.LivenessSilent; !a.Finished.IsZero() {
					a.Finished, a.Charges = time.Time{}, nil
					return nil
				}
				a.Finished = a.Begun.Add(time.Second)
				a.Asked = []ekyc.Asked{{Source: "registry", Outcome: ekyc.Match, Took: 20 * time.Millisecond, Cost: 1}}
				a.Charges = []ekyc.Charge{{ID: fmt.Sprint("charge", i), App: "10001", Plan: "demo", Kind: ekyc.ChargeMatch, At: a.Finished}}
				return nil
			})
			return err
		})
	})
}
