package console_test

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shiren/internal/blob/file"
	"shiren/internal/console"
	"shiren/internal/demo"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
	"shiren/internal/seal"
	"shiren/internal/store"
	"shiren/internal/testkit"
)

// roleGate lets everybody in with a role.
type roleGate operator.Role

func (g roleGate) Who(*http.Request) (console.Person, bool, error) {
	return console.Person{Account: "1", Name: "ann", Role: operator.Role(g)}, g != "", nil
}

func (roleGate) Note(context.Context, operator.Entry) error { return nil }

// listed are counts of one event each, summed as a store sums them.
type listed []ekyc.Count

func (l listed) Counts(_ context.Context, q ekyc.CountQuery) ([]ekyc.Count, error) {
	sums := map[ekyc.Count][2]int64{}
	for _, c := range l {
		at := c.At.Truncate(ekyc.LongSpan)
		if at.Before(q.Since) || !at.Before(q.Before) || q.App != "" && c.App != q.App || len(q.Measures) > 0 && !slices.Contains(q.Measures, c.Measure) {
			continue
		}
		key := ekyc.Count{At: q.Into(at).UTC(), Measure: c.Measure, Label: c.Label}
		if q.By.App {
			key.App = c.App
		}
		if q.By.Plan {
			key.Plan = c.Plan
		}
		n := sums[key]
		sums[key] = [2]int64{n[0] + c.N, n[1] + c.Sum}
	}
	var list []ekyc.Count
	for c, n := range sums {
		c.N, c.Sum = n[0], n[1]
		list = append(list, c)
	}
	return list, nil
}

func ask(t testing.TB, counts console.Counts, role operator.Role, now time.Time, path string) *httptest.ResponseRecorder {
	t.Helper()
	h := console.New(console.Config{Gate: roleGate(role), Now: func() time.Time { return now }, Counts: counts, Log: slog.New(slog.DiscardHandler)})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, console.Prefix+"/api/statistics"+path, nil))
	return w
}

func answered[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func one(at string, m ekyc.Measure, label string, sum int64) ekyc.Count {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return ekyc.Count{At: t, App: "1", Plan: "p", Measure: m, Label: label, N: 1, Sum: sum}
}

// TestStatisticsDays sums days where the operator is: over a change of clocks, and where days
// begin at half past.
func TestStatisticsDays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		query string
		at    []string // of sessions
		times []string
		want  []int64
		exact bool
	}{
		{
			"?zone=Asia/Shanghai&since=2026-03-10&until=2026-03-11",
			[]string{"2026-03-09T15:59:59Z", "2026-03-09T16:00:00Z", "2026-03-10T15:59:59Z", "2026-03-10T16:00:00Z", "2026-03-11T16:00:00Z"},
			[]string{"2026-03-09T16:00:00Z", "2026-03-10T16:00:00Z"},
			[]int64{2, 1},
			true,
		},
		{ // 29 March has 23 hours
			"?zone=Europe/Berlin&since=2026-03-28&until=2026-03-30",
			[]string{"2026-03-27T23:30:00Z", "2026-03-28T23:30:00Z", "2026-03-29T21:30:00Z", "2026-03-29T22:00:00Z", "2026-03-30T21:59:00Z", "2026-03-30T22:00:00Z"},
			[]string{"2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
			[]int64{1, 2, 2},
			true,
		},
		{ // the hour from 18:00 UTC, in which midnight lies, is the day before's
			"?zone=Asia/Kolkata&since=2026-03-10&until=2026-03-11",
			[]string{"2026-03-09T18:10:00Z", "2026-03-09T18:40:00Z", "2026-03-09T19:00:00Z", "2026-03-10T18:40:00Z", "2026-03-10T19:00:00Z"},
			[]string{"2026-03-09T18:30:00Z", "2026-03-10T18:30:00Z"},
			[]int64{2, 1},
			false,
		},
		{
			"?step=hour&since=2026-03-10T07:40:00%2B08:00&until=2026-03-10T01:30:00Z",
			[]string{"2026-03-09T22:59:00Z", "2026-03-09T23:00:00Z", "2026-03-10T01:29:00Z", "2026-03-10T02:00:00Z"},
			[]string{"2026-03-09T23:00:00Z", "2026-03-10T00:00:00Z", "2026-03-10T01:00:00Z"},
			[]int64{1, 0, 1},
			true,
		},
	} {
		var list listed
		for _, at := range test.at {
			list = append(list, one(at, ekyc.CountOpened, "silent", 0))
		}
		s := answered[console.Statistics](t, ask(t, list, operator.Auditor, now, test.query))
		var times []string
		for _, x := range s.Times {
			times = append(times, x.Format(time.RFC3339))
		}
		if !slices.Equal(times, test.times) || !slices.Equal(s.Volume.Opened, test.want) || s.Exact != test.exact {
			t.Errorf("%s: got %v at %v, exact %v; want %v at %v, exact %v", test.query, s.Volume.Opened, times, s.Exact, test.want, test.times, test.exact)
		}
	}
	s := answered[console.Statistics](t, ask(t, listed{}, operator.Auditor, now, "?zone=Asia/Shanghai"))
	if len(s.Times) != 30 || !s.Times[29].Equal(time.Date(2026, 3, 31, 16, 0, 0, 0, time.UTC)) || s.Funnel == nil || s.Sources == nil || s.Totals.PassRate != nil || s.Latency.P50 != nil {
		t.Errorf("of an empty database: got %+v", s)
	}
}

// TestStatisticsFigures looks at each figure once.
func TestStatisticsFigures(t *testing.T) {
	t.Parallel()
	const at = "2026-03-10T03:00:00Z"
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	list := listed{
		one(at, ekyc.CountFunnel, "opened", 0), one(at, ekyc.CountFunnel, "opened", 0), one(at, ekyc.CountFunnel, "agreed", 0),
		one(at, ekyc.CountAttempt, "match/", 1000), one(at, ekyc.CountAttempt, "match/", 2000), one(at, ekyc.CountAttempt, "match/", 3000),
		one(at, ekyc.CountAttempt, "non_match/challenge_unmet", 2000), one(at, ekyc.CountAttempt, "failed/cancelled", 0), one(at, ekyc.CountAttempt, "failed/cancelled", 0),
		one(at, ekyc.CountAttack, "challenge_unmet", 0), one(at, ekyc.CountPresented, "flash/match", 0),
		one(at, ekyc.CountLiveness, "9", 0), one(at, ekyc.CountComparison, "19", 0), one(at, ekyc.CountComparison, "00", 0),
		one(at, ekyc.CountLatency, "100", 0), one(at, ekyc.CountLatency, "100", 0), one(at, ekyc.CountLatency, "200", 0), one(at, ekyc.CountLatency, "more", 0),
		one(at, ekyc.CountReading, "", 0), one(at, ekyc.CountReading, "document_glare", 0),
		one(at, ekyc.CountDirect, "match/", 20), one(at, ekyc.CountDirect, "match/no_face", 20), one(at, ekyc.CountElement, "mobile/no_record", 0),
		one(at, ekyc.CountSource, "paid/match/", 100), one(at, ekyc.CountSource, "paid/failed/source_failed", 300), one(at, ekyc.CountCost, "paid", 350_000),
		one(at, ekyc.CountCharge, "verify", 0), one(at, ekyc.CountCharge, "verify", 0),
	}
	get := func(path string) *httptest.ResponseRecorder { return ask(t, list, operator.Auditor, now, path) }
	s := answered[console.Statistics](t, get("?since=2026-03-10"))
	float := func(f *float64) string {
		if f == nil {
			return "null"
		}
		return fmt.Sprint(*f)
	}
	for what, pair := range map[string][2]string{
		"totals": {
			fmt.Sprint(s.Totals.Attempts, s.Totals.Passed, s.Totals.Refused, s.Totals.Failed, s.Totals.Attacks, s.Totals.Direct, s.Totals.Answered, s.Totals.Charges, s.Totals.Cost),
			"6 3 1 2 1 2 1 2 350000",
		},
		"rates":      {float(s.Totals.PassRate) + " " + float(s.Totals.AttackRate) + " " + float(s.Totals.Mean) + " " + float(s.Volume.PassRate[0]), "0.75 0.25 2000 0.75"},
		"funnel":     {fmt.Sprint(s.Funnel), "[{opened 2} {agreed 1} {camera 0} {challenge 0} {passed 0}]"},
		"kinds":      {fmt.Sprint(s.Kinds), "[{flash 1 0 0 0}]"},
		"reasons":    {fmt.Sprint(s.Reasons), "[{failed cancelled 2} {non_match challenge_unmet 1}]"},
		"unanswered": {fmt.Sprint(s.Unanswered), "[{match no_face 1}]"},
		"readings":   {fmt.Sprint(s.Readings), "[{  1} { document_glare 1}]"},
		"elements":   {fmt.Sprint(s.Elements), "[{mobile 0 0 1 0}]"},
		"liveness":   {fmt.Sprint(s.Liveness), "[0 0 0 0 0 0 0 0 0 1]"},
		"comparison": {fmt.Sprint(s.Comparison), "[1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1]"},
		// Two of four lie between 50 and 100 ms, one up to 200, one beyond the last bound.
		"latency": {float(s.Latency.P50) + " " + float(s.Latency.P90), "100 null"},
		"sources": {fmt.Sprintf("%v %v %v %v %v %v %v %v", s.Sources[0].Name, s.Sources[0].Asked, s.Sources[0].Match, s.Sources[0].Failed, float(s.Sources[0].Mean), s.Sources[0].Paid, s.Sources[0].Cost, s.Sources[0].FailedSeries), "paid 2 1 1 200 1 350000 [1]"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %s, want %s", what, pair[0], pair[1])
		}
	}
	c := answered[console.StatCharges](t, get("/charges?since=2026-03-10"))
	if fmt.Sprint(c.Charges) != "[{2026-03-10 00:00:00 +0000 UTC 1 p verify 2}]" || fmt.Sprint(c.Costs) != "[{2026-03-10 00:00:00 +0000 UTC 1 p paid 350000}]" {
		t.Errorf("charges: got %v and %v", c.Charges, c.Costs)
	}
	for table, want := range map[string]string{
		"volume":     "2026-03-10,0,3,1,2,1,2,2,0.7500",
		"funnel":     "opened,2",
		"kinds":      "flash,1,0,0,0",
		"elements":   "mobile,0,0,1,0",
		"reasons":    "failed,cancelled,2",
		"unanswered": "match,no_face,1",
		"readings":   "document_glare,1",
		"liveness":   "0.90,1.00,1",
		"comparison": "0.95,1.00,1",
		"latency":    "100,2",
		"sources":    "paid,2,1,0,0,1,200.0000,1,0.350000",
		"charges":    "2026-03-10,1,p,verify,2",
		"costs":      "2026-03-10,1,p,paid,0.350000",
	} {
		w := get("/" + table + ".csv?since=2026-03-10")
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "\n"+want+"\n") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") ||
			w.Header().Get("Content-Disposition") != `attachment; filename="shiren-`+table+`-20260310-20260310.csv"` {
			t.Errorf("%s: got %d %v\n%s\nwant a line %s", table, w.Code, w.Header(), w.Body, want)
		}
		if rows, err := csv.NewReader(w.Body).ReadAll(); err != nil || len(rows) < 2 {
			t.Errorf("%s: %d rows, %v", table, len(rows), err)
		}
	}
	odd := listed{{At: now, App: "1", Plan: "-1+2", Measure: ekyc.CountCharge, Label: "live", N: 1}}
	if w := ask(t, odd, operator.Auditor, now.Add(time.Hour), "/charges.csv?since=2026-03-10"); !strings.Contains(w.Body.String(), ",'-1+2,") {
		t.Errorf("a plan's id is a formula in a spreadsheet: %s", w.Body)
	}
}

// TestStatisticsRefused: who may not, and what cannot be answered.
func TestStatisticsRefused(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		role   operator.Role
		path   string
		status int
	}{
		{"", "", 401},
		{operator.Integrator, "", 403},
		{operator.Integrator, "/charges", 403},
		{operator.Integrator, "/volume.csv", 403},
		{operator.Operations, "", 200},
		{operator.Auditor, "/volume", 404},
		{operator.Auditor, "/nothing.csv", 404},
		{operator.Auditor, "?zone=Moon/Tycho", 400},
		{operator.Auditor, "?zone=Local", 400},
		{operator.Auditor, "?step=week", 400},
		{operator.Auditor, "?since=yesterday", 400},
		{operator.Auditor, "?since=2026-03-09&until=2026-03-08", 400},
		{operator.Auditor, "?since=1990-01-01", 400},
		{operator.Auditor, "?step=hour&since=2026-01-01", 400},
		{operator.Auditor, "/charges.csv?since=x", 400},
	} {
		if w := ask(t, listed{}, test.role, now, test.path); w.Code != test.status {
			t.Errorf("%s %s: got %d, want %d: %s", test.role, test.path, w.Code, test.status, w.Body)
		}
	}
}

// TestStatisticsOfADatabase asks a real store that demo data was put into.
func TestStatisticsOfADatabase(t *testing.T) {
	t.Parallel()
	kit := testkit.New(t)
	db, now := kit.Service.Store.(*store.Store), testkit.Start
	if _, err := demo.Seed(t.Context(), demo.Config{Store: db, Blobs: kit.Service.Blobs, Sealer: kit.Service.Sealer, Now: now, Seed: 3, Sessions: 600, Days: 60}); err != nil {
		t.Fatal(err)
	}
	s := answered[console.Statistics](t, ask(t, db, operator.Auditor, now, "?zone=Asia/Shanghai&since="+now.AddDate(0, 0, -61).Format(time.DateOnly)))
	if s.Totals.Opened < 550 || s.Totals.PassRate == nil || *s.Totals.PassRate < 0.6 || *s.Totals.PassRate > 0.97 || len(s.Sources) != 3 || len(s.Kinds) < 6 || s.Latency.P95 == nil {
		t.Errorf("got %+v", s)
	}
	c := answered[console.StatCharges](t, ask(t, db, operator.Auditor, now, "/charges?app=0902&since="+now.AddDate(0, 0, -61).Format(time.DateOnly)))
	if len(c.Charges) == 0 || slices.ContainsFunc(c.Charges, func(x console.StatCharge) bool { return x.App != "0902" || x.Plan != "demo-huawei" }) {
		t.Errorf("charges of one app: got %v", c.Charges)
	}
}

// BenchmarkStatistics answers 90 days from the database in the folder SHIREN_BENCH_DATA, which
// `shiren demo seed --data` filled just before; without it from that of 20,000 sessions.
func BenchmarkStatistics(b *testing.B) {
	dir := os.Getenv("SHIREN_BENCH_DATA")
	fresh := dir == ""
	if fresh {
		dir = b.TempDir()
	}
	sealer, err := seal.OpenFile(filepath.Join(dir, "master.key"), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	db, err := store.Open(b.Context(), store.Config{DSN: "sqlite:" + filepath.Join(dir, "shiren.db"), Sealer: sealer})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	now := time.Now()
	if fresh {
		blobs, err := file.Open(filepath.Join(dir, "evidence"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := demo.Seed(b.Context(), demo.Config{Store: db, Blobs: blobs, Sealer: sealer, Now: now, Sessions: 20_000}); err != nil {
			b.Fatal(err)
		}
	}
	since := "?zone=Asia/Shanghai&since=" + now.AddDate(0, 0, -90).Format(time.DateOnly)
	for name, path := range map[string]string{"90 days": since, "charges of 90 days": "/charges" + since, "90 days of a plan": since + "&plan=demo-flash", "24 hours": "?step=hour"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if w := ask(b, db, operator.Auditor, now, path); w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
