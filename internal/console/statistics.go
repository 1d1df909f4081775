package console

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known also where the machine has no list of them

	"shiren/internal/dossier"
	"shiren/internal/ekyc"
	"shiren/internal/operator"
)

// Counts is where statistics come from; *store.Store is one.
type Counts interface {
	Counts(ctx context.Context, q ekyc.CountQuery) ([]ekyc.Count, error)
}

// Bounds of what is asked at once. Our choices: three years of days, a month of hours.
const (
	maxStatDays  = 3*366 + 1
	maxStatHours = 31 * 24
	// defaultStatDays is how many days are shown where the call does not say.
	defaultStatDays = 30
)

// statisticsRoutes answers, for ReadStatistics:
//
//	GET /statistics              Statistics
//	GET /statistics/charges      Charges
//	GET /statistics/NAME.csv     one of StatTables, for spreadsheets
//
// Parameters of all: since and until, moments in RFC 3339 or days as 2026-03-01 (until: the whole
// day); zone, an IANA name, "UTC" where it is left out; step, "day" (the default) or "hour"; app,
// plan and protocol, each of which may be left out. since is taken back to the beginning of its
// step. Without since the last 30 days are meant, or the last 24 hours.
//
// Counts are kept by the hour, by UTC. A day is summed from the hours that begin in it in the zone
// asked for; where the zone's days begin at half or a quarter past an hour (India, Nepal), the
// hour in which midnight lies belongs to the day before, and exact is false.
func (h *Handler) statisticsRoutes() {
	h.read("GET /statistics", operator.ReadStatistics, func(c *call) (any, error) { return h.statistics(c) })
	h.read("GET /statistics/charges", operator.ReadStatistics, func(c *call) (any, error) { return h.charges(c) })
	h.read("GET /statistics/{table}", operator.ReadStatistics, h.statTable)
}

// StatSpan is what an answer is about.
type StatSpan struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // spans that begin before it are counted
	Zone  string    `json:"zone"`
	Step  string    `json:"step"`
	Exact bool      `json:"exact"` // each step begins with an hour of UTC
	// Times are the beginnings of the steps, also of those in which nothing happened. Series have
	// one value for each.
	Times []time.Time `json:"times"`

	loc *time.Location
}

// Statistics are figures for charts. None is of the sandbox. Attempts are decided where they
// matched or did not; the rest ended without an answer.
type Statistics struct {
	StatSpan
	Totals     StatTotals     `json:"totals"`
	Volume     StatVolume     `json:"volume"`
	Funnel     []StatStep     `json:"funnel"`     // sessions with a camera that reached each step for the first time, in order
	Kinds      []StatOutcomes `json:"kinds"`      // attempts with a presentation, by kind of liveness
	Reasons    []StatReason   `json:"reasons"`    // why attempts did not match, most frequent first
	Unanswered []StatReason   `json:"unanswered"` // direct calls by kind that had no answer, and why
	Readings   []StatReason   `json:"readings"`   // readings of documents; code is "" for those that worked
	Elements   []StatOutcomes `json:"elements"`   // what direct calls found of identity, portrait and mobile
	Liveness   []int64        `json:"liveness"`   // silent PAD scores, by tenths from 0
	Comparison []int64        `json:"comparison"` // comparison scores, by twentieths from 0
	Latency    StatLatency    `json:"latency"`
	Sources    []StatSource   `json:"sources"` // by name
}

// StatTotals are sums over the whole span.
type StatTotals struct {
	Opened   int64 `json:"opened"`   // sessions
	Attempts int64 `json:"attempts"` // that ended
	Passed   int64 `json:"passed"`
	Refused  int64 `json:"refused"`
	Failed   int64 `json:"failed"`  // without an answer
	Attacks  int64 `json:"attacks"` // of those refused: by liveness, challenge or risk
	Direct   int64 `json:"direct"`  // calls
	Answered int64 `json:"answered"`
	Charges  int64 `json:"charges"`
	Cost     int64 `json:"cost"` // of sources, in millionths of the operator's currency
	// PassRate is Passed of those decided, AttackRate Attacks of those decided; null where none was.
	PassRate   *float64 `json:"pass_rate"`
	AttackRate *float64 `json:"attack_rate"`
	// Mean is how long attempts with a decision took, in ms; null where there was none.
	Mean *float64 `json:"mean_ms"`
}

// StatVolume are series over StatSpan.Times.
type StatVolume struct {
	Opened   []int64    `json:"opened"`
	Passed   []int64    `json:"passed"`
	Refused  []int64    `json:"refused"`
	Failed   []int64    `json:"failed"`
	Attacks  []int64    `json:"attacks"`
	Direct   []int64    `json:"direct"`
	Charges  []int64    `json:"charges"`
	PassRate []*float64 `json:"pass_rate"`
}

// StatStep is how many reached a step.
type StatStep struct {
	Step string `json:"step"`
	N    int64  `json:"n"`
}

// StatOutcomes are counts by outcome of something that Name says.
type StatOutcomes struct {
	Name     string `json:"name"`
	Match    int64  `json:"match"`
	NonMatch int64  `json:"non_match"`
	NoRecord int64  `json:"no_record"`
	Failed   int64  `json:"failed"`
}

func (o *StatOutcomes) add(outcome string, n int64) {
	switch ekyc.Outcome(outcome) {
	case ekyc.Match:
		o.Match += n
	case ekyc.NonMatched:
		o.NonMatch += n
	case ekyc.NoRecord:
		o.NoRecord += n
	default:
		o.Failed += n
	}
}

// StatReason is a code and how often it came. Of is the attempts' outcome, or the kind of direct call.
type StatReason struct {
	Of   string `json:"of,omitempty"`
	Code string `json:"code"`
	N    int64  `json:"n"`
}

// StatLatency is how long attempts with a presentation and direct calls took.
type StatLatency struct {
	Bounds []StatBound `json:"bounds"`
	// Quantiles in ms, read from the bounds: linear between two of them. Null where nothing was
	// counted, or where it lies beyond the last bound.
	P50 *float64 `json:"p50_ms"`
	P90 *float64 `json:"p90_ms"`
	P95 *float64 `json:"p95_ms"`
	P99 *float64 `json:"p99_ms"`
}

// StatBound is how many took at most so long, and longer than the bound before.
type StatBound struct {
	Ms *int64 `json:"ms"` // null of the last, which has no upper end
	N  int64  `json:"n"`
}

// StatSource is what came of asking a source.
type StatSource struct {
	StatOutcomes          // Name "" is what calls cost that asked several, where it is not known by source
	Asked        int64    `json:"asked"`
	Mean         *float64 `json:"mean_ms"`
	Paid         int64    `json:"paid"` // answers that cost something
	Cost         int64    `json:"cost"` // millionths of the operator's currency
	// Over StatSpan.Times:
	AskedSeries  []int64 `json:"asked_series"`
	FailedSeries []int64 `json:"failed_series"`
}

// StatCharges are what finance looks at.
type StatCharges struct {
	StatSpan
	Charges []StatCharge `json:"charges"` // by time, app, plan and kind
	Costs   []StatCost   `json:"costs"`   // by time, app, plan and source
}

// StatCharge is how many charges an app caused by a plan. Plan is "" of direct calls.
type StatCharge struct {
	At   time.Time `json:"at"`
	App  string    `json:"app"`
	Plan string    `json:"plan"`
	Kind string    `json:"kind"`
	N    int64     `json:"n"`
}

// StatCost is what sources cost for an app's plan, in millionths of the operator's currency.
type StatCost struct {
	At     time.Time `json:"at"`
	App    string    `json:"app"`
	Plan   string    `json:"plan"`
	Source string    `json:"source"`
	Cost   int64     `json:"cost"`
}

// span reads a call's parameters.
func (h *Handler) span(q url.Values) (StatSpan, ekyc.CountQuery, error) {
	s := StatSpan{Zone: cmp.Or(q.Get("zone"), "UTC"), Step: cmp.Or(q.Get("step"), "day"), Exact: true}
	var none ekyc.CountQuery
	var err error
	if s.loc, err = time.LoadLocation(s.Zone); err != nil || s.Zone == "Local" {
		return s, none, invalid("zone: want an IANA name, as in Asia/Shanghai")
	}
	if s.Step != "day" && s.Step != "hour" {
		return s, none, invalid(`step: want "day" or "hour"`)
	}
	s.Until = h.cfg.Now().UTC()
	if v := q.Get("until"); v != "" {
		if s.Until, err = s.moment(v, 1); err != nil {
			return s, none, invalid("until: want a moment in RFC 3339, or a day as in 2026-03-01")
		}
	}
	switch v := q.Get("since"); {
	case v != "":
		if s.Since, err = s.moment(v, 0); err != nil {
			return s, none, invalid("since: want a moment in RFC 3339, or a day as in 2026-03-01")
		}
	case s.Step == "hour":
		s.Since = s.Until.Add(-24*time.Hour + time.Nanosecond)
	default:
		y, m, d := s.Until.Add(-time.Nanosecond).In(s.loc).Date()
		s.Since = time.Date(y, m, d-defaultStatDays+1, 0, 0, 0, 0, s.loc)
	}
	if !s.Since.Before(s.Until) {
		return s, none, invalid("until: it must lie after since")
	}
	most := map[string]int{"day": maxStatDays, "hour": maxStatHours}[s.Step]
	s.Since = s.begin(s.Since)
	for at := s.Since; at.Before(s.Until); at = s.next(at) {
		if s.Times = append(s.Times, at); len(s.Times) > most {
			return s, none, invalid(fmt.Sprintf("since: at most %d steps of a %s are answered at once; ask for less, or for days", most, s.Step))
		}
		s.Exact = s.Exact && at.Equal(at.Truncate(time.Hour))
	}
	for i := range s.Times {
		s.Times[i] = s.Times[i].UTC()
	}
	s.Since, s.Until = s.Since.UTC(), s.Until.UTC()
	return s, ekyc.CountQuery{
		Since: s.Since, Before: s.Until, App: ekyc.AppID(q.Get("app")), Plan: ekyc.PlanID(q.Get("plan")), Protocol: q.Get("protocol"),
		By: ekyc.GroupBy{Time: true}, Into: s.begin,
	}, nil
}

// moment reads one; a day is its beginning, days later.
func (s *StatSpan) moment(v string, days int) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, v); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, v, s.loc)
	return t.AddDate(0, 0, days), err
}

// begin is the beginning of the step that a moment lies in.
func (s *StatSpan) begin(at time.Time) time.Time {
	if s.Step == "hour" {
		return at.Truncate(time.Hour)
	}
	y, m, d := at.In(s.loc).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, s.loc)
}

func (s *StatSpan) next(at time.Time) time.Time {
	if s.Step == "hour" {
		return at.Add(time.Hour)
	}
	y, m, d := at.In(s.loc).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, s.loc)
}

// at is the place of a step among Times; -1 for one that is not there.
func (s *StatSpan) at(t time.Time) int {
	i, ok := slices.BinarySearchFunc(s.Times, t, time.Time.Compare)
	if !ok {
		return -1
	}
	return i
}

func (h *Handler) statistics(c *call) (Statistics, error) {
	span, q, err := h.span(c.URL.Query())
	if err != nil {
		return Statistics{}, err
	}
	list, err := h.cfg.Counts.Counts(c.Context(), q)
	if err != nil {
		return Statistics{}, err
	}
	return statSummarise(span, list), nil
}

// summarise makes statistics of counts by time.
func statSummarise(span StatSpan, list []ekyc.Count) Statistics {
	n := len(span.Times)
	series := func() []int64 { return make([]int64, n) }
	s := Statistics{
		StatSpan: span, Liveness: make([]int64, 10), Comparison: make([]int64, 20),
		Volume: StatVolume{Opened: series(), Passed: series(), Refused: series(), Failed: series(), Attacks: series(), Direct: series(), Charges: series(), PassRate: make([]*float64, n)},
	}
	steps, kinds, elements := map[string]int64{}, map[string]*StatOutcomes{}, map[string]*StatOutcomes{}
	reasons, unanswered, readings := map[StatReason]int64{}, map[StatReason]int64{}, map[StatReason]int64{}
	latency := map[string]int64{}
	sources := map[string]*StatSource{}
	sourceMs := map[string]int64{}
	decidedMs := int64(0)
	source := func(name string) *StatSource {
		x := sources[name]
		if x == nil {
			x = &StatSource{StatOutcomes: StatOutcomes{Name: name}, AskedSeries: series(), FailedSeries: series()}
			sources[name] = x
		}
		return x
	}
	outcomes := func(m map[string]*StatOutcomes, name string) *StatOutcomes {
		if m[name] == nil {
			m[name] = &StatOutcomes{Name: name}
		}
		return m[name]
	}
	for _, c := range list {
		i := span.at(c.At)
		if i < 0 {
			continue // cannot happen: Into named the step
		}
		first, rest, _ := strings.Cut(c.Label, "/")
		switch c.Measure {
		case ekyc.CountOpened:
			s.Totals.Opened += c.N
			s.Volume.Opened[i] += c.N
		case ekyc.CountFunnel:
			steps[c.Label] += c.N
		case ekyc.CountAttempt:
			s.Totals.Attempts += c.N
			switch ekyc.Outcome(first) {
			case ekyc.Match:
				s.Volume.Passed[i] += c.N
				s.Totals.Passed += c.N
				decidedMs += c.Sum
				continue
			case ekyc.NonMatched:
				s.Volume.Refused[i] += c.N
				s.Totals.Refused += c.N
				decidedMs += c.Sum
			default:
				s.Volume.Failed[i] += c.N
				s.Totals.Failed += c.N
			}
			reasons[StatReason{Of: first, Code: rest}] += c.N
		case ekyc.CountPresented:
			outcomes(kinds, first).add(rest, c.N)
		case ekyc.CountAttack:
			s.Totals.Attacks += c.N
			s.Volume.Attacks[i] += c.N
		case ekyc.CountLiveness:
			statBucket(s.Liveness, c)
		case ekyc.CountComparison:
			statBucket(s.Comparison, c)
		case ekyc.CountLatency:
			latency[c.Label] += c.N
		case ekyc.CountReading:
			readings[StatReason{Code: c.Label}] += c.N
		case ekyc.CountDirect:
			s.Totals.Direct += c.N
			s.Volume.Direct[i] += c.N
			if rest == string(ekyc.OK) {
				s.Totals.Answered += c.N
			} else {
				unanswered[StatReason{Of: first, Code: rest}] += c.N
			}
		case ekyc.CountElement:
			outcomes(elements, first).add(rest, c.N)
		case ekyc.CountSource:
			x := source(first)
			outcome, _, _ := strings.Cut(rest, "/")
			x.Asked += c.N
			x.AskedSeries[i] += c.N
			x.add(outcome, c.N)
			if ekyc.Outcome(outcome) == ekyc.Failed {
				x.FailedSeries[i] += c.N
			}
			sourceMs[first] += c.Sum
		case ekyc.CountCost:
			x := source(c.Label)
			x.Paid += c.N
			x.Cost += c.Sum
			s.Totals.Cost += c.Sum
		case ekyc.CountCharge:
			s.Totals.Charges += c.N
			s.Volume.Charges[i] += c.N
		}
	}
	t := &s.Totals
	t.PassRate, t.AttackRate = statShare(t.Passed, t.Passed+t.Refused), statShare(t.Attacks, t.Passed+t.Refused)
	t.Mean = statShare(decidedMs, t.Passed+t.Refused)
	for i := range n {
		s.Volume.PassRate[i] = statShare(s.Volume.Passed[i], s.Volume.Passed[i]+s.Volume.Refused[i])
	}
	for _, step := range ekyc.Steps() {
		s.Funnel = append(s.Funnel, StatStep{string(step), steps[string(step)]})
	}
	s.Kinds, s.Elements = statByName(kinds), statByName(elements)
	s.Reasons, s.Unanswered, s.Readings = statRanked(reasons), statRanked(unanswered), statRanked(readings)
	s.Latency = statLatencyOf(latency)
	s.Sources = []StatSource{}
	for _, x := range sources {
		x.Mean = statShare(sourceMs[x.Name], x.Asked)
		s.Sources = append(s.Sources, *x)
	}
	slices.SortFunc(s.Sources, func(a, b StatSource) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// share is a of b, or null.
func statShare(a, b int64) *float64 {
	if b == 0 {
		return nil
	}
	x := float64(a) / float64(b)
	return &x
}

func statBucket(list []int64, c ekyc.Count) {
	if i, err := strconv.Atoi(c.Label); err == nil && i >= 0 && i < len(list) {
		list[i] += c.N
	}
}

func statByName(m map[string]*StatOutcomes) []StatOutcomes {
	list := []StatOutcomes{}
	for _, o := range m {
		list = append(list, *o)
	}
	slices.SortFunc(list, func(a, b StatOutcomes) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func statRanked(m map[StatReason]int64) []StatReason {
	list := []StatReason{}
	for r, n := range m {
		r.N = n
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b StatReason) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Code, b.Code))
	})
	return list
}

func statLatencyOf(counts map[string]int64) StatLatency {
	var l StatLatency
	for _, d := range ekyc.LatencyBounds {
		ms := d.Milliseconds()
		l.Bounds = append(l.Bounds, StatBound{&ms, counts[fmt.Sprint(ms)]})
	}
	l.Bounds = append(l.Bounds, StatBound{nil, counts[ekyc.LatencyMore]})
	for _, q := range []struct {
		at  float64
		out **float64
	}{{0.5, &l.P50}, {0.9, &l.P90}, {0.95, &l.P95}, {0.99, &l.P99}} {
		*q.out = statQuantile(l.Bounds, q.at)
	}
	return l
}

// quantile reads one from bounds.
func statQuantile(bounds []StatBound, q float64) *float64 {
	all := int64(0)
	for _, b := range bounds {
		all += b.N
	}
	if all == 0 {
		return nil
	}
	want, below, low := q*float64(all), 0.0, 0.0
	for _, b := range bounds {
		if b.Ms == nil {
			break
		}
		high := float64(*b.Ms)
		if n := float64(b.N); n > 0 && below+n >= want {
			x := math.Round(low + (high-low)*(want-below)/n)
			return &x
		}
		below, low = below+float64(b.N), high
	}
	return nil
}

func (h *Handler) charges(c *call) (StatCharges, error) {
	span, q, err := h.span(c.URL.Query())
	if err != nil {
		return StatCharges{}, err
	}
	q.Measures = []ekyc.Measure{ekyc.CountCharge, ekyc.CountCost}
	q.By.App, q.By.Plan = true, true
	list, err := h.cfg.Counts.Counts(c.Context(), q)
	if err != nil {
		return StatCharges{}, err
	}
	out := StatCharges{StatSpan: span, Charges: []StatCharge{}, Costs: []StatCost{}}
	for _, x := range list {
		if x.Measure == ekyc.CountCost {
			out.Costs = append(out.Costs, StatCost{x.At, string(x.App), string(x.Plan), x.Label, x.Sum})
		} else {
			out.Charges = append(out.Charges, StatCharge{x.At, string(x.App), string(x.Plan), x.Label, x.N})
		}
	}
	slices.SortFunc(out.Charges, func(a, b StatCharge) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.App, b.App), cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(out.Costs, func(a, b StatCost) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.App, b.App), cmp.Compare(a.Plan, b.Plan), cmp.Compare(a.Source, b.Source))
	})
	return out, nil
}

// statTables are the tables that can be downloaded, by name.
var statTables = map[string]func(Statistics) [][]string{
	"volume":     statVolumeTable,
	"funnel":     statFunnelTable,
	"kinds":      func(s Statistics) [][]string { return statOutcomesTable("liveness", s.Kinds) },
	"elements":   func(s Statistics) [][]string { return statOutcomesTable("element", s.Elements) },
	"reasons":    func(s Statistics) [][]string { return statReasonsTable("outcome", s.Reasons) },
	"unanswered": func(s Statistics) [][]string { return statReasonsTable("kind", s.Unanswered) },
	"readings":   func(s Statistics) [][]string { return statReasonsTable("", s.Readings) },
	"liveness":   func(s Statistics) [][]string { return statScoresTable(s.Liveness) },
	"comparison": func(s Statistics) [][]string { return statScoresTable(s.Comparison) },
	"latency":    statLatencyTable,
	"sources":    statSourcesTable,
}

// statTable answers with a table as CSV (RFC 4180), in UTF-8. Times are in the zone asked for.
func (h *Handler) statTable(c *call) (any, error) {
	name, ok := strings.CutSuffix(c.PathValue("table"), ".csv")
	if !ok {
		return nil, absent("there is no such table")
	}
	var span StatSpan
	var rows [][]string
	switch f := statTables[name]; {
	case f != nil:
		s, err := h.statistics(c)
		if err != nil {
			return nil, err
		}
		span, rows = s.StatSpan, f(s)
	case name == "charges" || name == "costs":
		x, err := h.charges(c)
		if err != nil {
			return nil, err
		}
		span, rows = x.StatSpan, x.table(name)
	default:
		return nil, absent("there is no such table")
	}
	head := c.ResponseWriter.Header()
	head.Set("Content-Type", "text/csv; charset=utf-8")
	head.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="shiren-%s-%s-%s.csv"`, name,
		span.Since.In(span.loc).Format("20060102"), span.Until.Add(-time.Nanosecond).In(span.loc).Format("20060102")))
	w := csv.NewWriter(c.ResponseWriter)
	for _, row := range rows {
		for i, v := range row {
			row[i] = dossier.Cell(v)
		}
		if err := w.Write(row); err != nil {
			return sent{}, nil // the client is gone
		}
	}
	w.Flush()
	return sent{}, nil
}

func (s *StatSpan) text(t time.Time) string {
	if s.Step == "hour" {
		return t.In(s.loc).Format("2006-01-02T15:04:05Z07:00")
	}
	return t.In(s.loc).Format(time.DateOnly)
}

func statNumber(n int64) string { return strconv.FormatInt(n, 10) }

func statFraction(x *float64) string {
	if x == nil {
		return ""
	}
	return strconv.FormatFloat(*x, 'f', 4, 64)
}

// money writes millionths.
func statMoney(n int64) string { return fmt.Sprintf("%d.%06d", n/1e6, n%1e6) }

func statVolumeTable(s Statistics) [][]string {
	rows := [][]string{{"time", "opened", "passed", "refused", "failed", "attacks", "direct", "charges", "pass_rate"}}
	v := &s.Volume
	for i, t := range s.Times {
		rows = append(rows, []string{
			s.text(t), statNumber(v.Opened[i]), statNumber(v.Passed[i]), statNumber(v.Refused[i]), statNumber(v.Failed[i]), statNumber(v.Attacks[i]),
			statNumber(v.Direct[i]), statNumber(v.Charges[i]), statFraction(v.PassRate[i]),
		})
	}
	return rows
}

func statFunnelTable(s Statistics) [][]string {
	rows := [][]string{{"step", "sessions"}}
	for _, x := range s.Funnel {
		rows = append(rows, []string{x.Step, statNumber(x.N)})
	}
	return rows
}

func statOutcomesTable(of string, list []StatOutcomes) [][]string {
	rows := [][]string{{of, "match", "non_match", "no_record", "failed"}}
	for _, o := range list {
		rows = append(rows, []string{o.Name, statNumber(o.Match), statNumber(o.NonMatch), statNumber(o.NoRecord), statNumber(o.Failed)})
	}
	return rows
}

func statReasonsTable(of string, list []StatReason) [][]string {
	rows := [][]string{{"code", "count"}}
	if of != "" {
		rows = [][]string{{of, "code", "count"}}
	}
	for _, r := range list {
		row := []string{r.Code, statNumber(r.N)}
		if of != "" {
			row = []string{r.Of, r.Code, statNumber(r.N)}
		}
		rows = append(rows, row)
	}
	return rows
}

func statScoresTable(list []int64) [][]string {
	rows := [][]string{{"from", "to", "count"}}
	at := func(i int) string { return strconv.FormatFloat(float64(i)/float64(len(list)), 'f', 2, 64) }
	for i, n := range list {
		rows = append(rows, []string{at(i), at(i + 1), statNumber(n)})
	}
	return rows
}

func statLatencyTable(s Statistics) [][]string {
	rows := [][]string{{"up_to_ms", "count"}}
	for _, b := range s.Latency.Bounds {
		ms := ""
		if b.Ms != nil {
			ms = statNumber(*b.Ms)
		}
		rows = append(rows, []string{ms, statNumber(b.N)})
	}
	return rows
}

func statSourcesTable(s Statistics) [][]string {
	rows := [][]string{{"source", "asked", "match", "non_match", "no_record", "failed", "mean_ms", "paid", "cost"}}
	for _, x := range s.Sources {
		rows = append(rows, []string{
			x.Name, statNumber(x.Asked), statNumber(x.Match), statNumber(x.NonMatch), statNumber(x.NoRecord), statNumber(x.Failed), statFraction(x.Mean), statNumber(x.Paid), statMoney(x.Cost),
		})
	}
	return rows
}

func (c *StatCharges) table(name string) [][]string {
	if name == "costs" {
		rows := [][]string{{"time", "app", "plan", "source", "cost"}}
		for _, x := range c.Costs {
			rows = append(rows, []string{c.text(x.At), x.App, x.Plan, x.Source, statMoney(x.Cost)})
		}
		return rows
	}
	rows := [][]string{{"time", "app", "plan", "kind", "charges"}}
	for _, x := range c.Charges {
		rows = append(rows, []string{c.text(x.At), x.App, x.Plan, x.Kind, statNumber(x.N)})
	}
	return rows
}
