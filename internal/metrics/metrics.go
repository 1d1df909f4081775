// Package metrics counts what the service does, for Prometheus. It decides nothing and
// keeps nothing: figures begin at zero with the process.
//
// No figure has a token, an id, an address or anything of a person in it. Labels take values
// of small sets that are fixed when the process starts: the core's words, the names of the
// configuration's sources, and the paths that handlers are registered under. See
// docs/metrics.md.
package metrics

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"shiren/internal/ekyc"
	"shiren/internal/source/upstream"
)

// Bounds of histograms, in seconds. Our choices: a request is answered in milliseconds, or
// in a few seconds where faces are measured or sources asked; an attempt has
// ekyc.SubmitTimeout, 45 s; a measurement takes tens to hundreds of milliseconds.
var (
	requestBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	attemptBounds = []float64{.1, .25, .5, 1, 2, 3, 5, 10, 20, 45}
	engineBounds  = []float64{.01, .025, .05, .1, .2, .4, .8, 1.6, 3.2}
	sourceBounds  = []float64{.025, .05, .1, .25, .5, 1, 2, 3, 5, 10, 20}
)

// Other is the label of requests for paths that nothing answers.
const Other = "other"

// Metrics are the figures of one server. Safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests      *prometheus.CounterVec
	requestTime   *prometheus.HistogramVec
	attempts      *prometheus.CounterVec
	attemptTime   *prometheus.HistogramVec
	direct        *prometheus.CounterVec
	directTime    *prometheus.HistogramVec
	elements      *prometheus.CounterVec
	charges       *prometheus.CounterVec
	answers       *prometheus.CounterVec
	answerTime    *prometheus.HistogramVec
	sessions      *prometheus.CounterVec
	steps         *prometheus.CounterVec
	attacks       *prometheus.CounterVec
	readings      *prometheus.CounterVec
	live          *prometheus.CounterVec
	scores        *prometheus.CounterVec
	engineTime    *prometheus.HistogramVec
	engineErrors  *prometheus.CounterVec
	engineRunning *prometheus.GaugeVec
	sourceCalls   *prometheus.CounterVec
	sourceTime    *prometheus.HistogramVec
	sourceCost    *prometheus.CounterVec
	sourceSpared  *prometheus.CounterVec
	breaker       *prometheus.GaugeVec
	purged        *prometheus.CounterVec
}

var (
	_ ekyc.Observer     = (*Metrics)(nil)
	_ upstream.Observer = (*Metrics)(nil)
)

// New makes figures that are all zero, with those of the Go runtime and of the process.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shiren_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "shiren_" + name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "shiren_" + name, Help: help, Buckets: bounds}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.requests = counter("http_requests_total", "HTTP requests by protocol, interface and class of status.", "protocol", "interface", "status")
	m.requestTime = histogram("http_request_seconds", "How long HTTP requests took; captures over WebSocket are not among them.", requestBounds, "protocol", "interface")
	m.attempts = counter("attempts_total", "Attempts that ended, by what they are charged as, kind of liveness, outcome and code.", "kind", "liveness", "outcome", "code", "sandbox")
	m.attemptTime = histogram("attempt_seconds", "How long attempts took from the end of the capture until they were decided.", attemptBounds, "kind")
	m.direct = counter("direct_calls_total", "Direct calls by kind and whether they were answered, with the code of those that were not.", "kind", "answered", "code", "sandbox")
	m.directTime = histogram("direct_call_seconds", "How long direct calls took.", attemptBounds, "kind")
	m.elements = counter("elements_total", "What direct calls found of each element of an identity.", "element", "outcome", "sandbox")
	m.charges = counter("charges_total", "Charges written to the ledger, by kind.", "kind", "sandbox")
	m.answers = counter("source_answers_total", "What sources said of people who were verified, the registry included.", "source", "outcome", "code")
	m.answerTime = histogram("source_answer_seconds", "How long sources took to say something of people who were verified, the registry included.", sourceBounds, "source")
	m.sessions = counter("sessions_total", "Sessions that were opened, by the plan's kind of liveness.", "liveness")
	m.steps = counter("page_steps_total", "Sessions that reached a step of the page for the first time.", "step")
	m.attacks = counter("attacks_total", "Attempts that liveness, challenge or risk refused.", "code")
	m.readings = counter("card_readings_total", "Readings of identity documents in sessions, by code; empty for those that worked.", "code")
	m.live = counter("liveness_scores_total", "Silent liveness scores of attempts, by tenth: 9 is 0.9 to 1.", "tenth")
	m.scores = counter("comparison_scores_total", "Comparison scores of attempts and direct calls, by twentieth: 19 is 0.95 to 1.", "twentieth")
	m.engineTime = histogram("engine_seconds", "How long measurements took, waiting for a turn included.", engineBounds, "doing")
	m.engineErrors = counter("engine_errors_total", "Measurements that failed, by code; busy is over capacity.", "doing", "code")
	m.engineRunning = gauge("engine_in_flight", "Measurements under way or waiting for a turn.", "doing")
	m.sourceCalls = counter("source_calls_total", "Calls to upstream sources by interface and code.", "source", "interface", "code", "charged")
	m.sourceTime = histogram("source_call_seconds", "How long calls to upstream sources took, repeats included.", sourceBounds, "source")
	m.sourceCost = counter("source_cost_total", "What calls to upstream sources cost, in the operator's currency.", "source")
	m.sourceSpared = counter("source_spared_total", "Calls that a source's circuit breaker did not let through.", "source")
	m.breaker = gauge("source_breaker_state", "1 for the state that a source's circuit breaker is in.", "source", "state")
	m.purged = counter("purged_total", "What was erased because it was due.", "what")
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers /metrics, and nothing else.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// Captures has the figures ask how many captures are under way. It is called once.
func (m *Metrics) Captures(n func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "shiren_captures_open", Help: "Captures under way.",
	}, func() float64 { return float64(n()) }))
}

// Request counts a request of a protocol that was answered with status. pattern is the one
// that it was found by (http.Request.Pattern): a path that nothing is registered under shares
// the label Other with all the rest. One that became a WebSocket has no duration here.
func (m *Metrics) Request(protocol, pattern string, status int, took time.Duration) {
	_, path, found := strings.Cut(pattern, " ")
	if !found {
		path = pattern
	}
	if path == "" || strings.HasSuffix(path, "/") { // a prefix: what lies below it is not known
		path = Other
	}
	m.requests.WithLabelValues(protocol, path, strconv.Itoa(status/100)+"xx").Inc()
	if status != http.StatusSwitchingProtocols {
		m.requestTime.WithLabelValues(protocol, path).Observe(took.Seconds())
	}
}

// Ended counts an attempt.
func (m *Metrics) Ended(e ekyc.Ended) {
	m.attempts.WithLabelValues(string(e.Kind), string(e.Liveness), string(e.Outcome), string(e.Code), strconv.FormatBool(e.Sandbox)).Inc()
	m.attemptTime.WithLabelValues(string(e.Kind)).Observe(e.Took.Seconds())
	m.asked(e.Asked)
}

// Answered counts a direct call.
func (m *Metrics) Answered(d ekyc.Direct) {
	sandbox := strconv.FormatBool(d.Sandbox)
	m.direct.WithLabelValues(string(d.Kind), strconv.FormatBool(d.Answered), string(d.Code), sandbox).Inc()
	m.directTime.WithLabelValues(string(d.Kind)).Observe(d.Took.Seconds())
	m.asked(d.Asked)
	m.Counted(d.Counts())
	if d.Kind != ekyc.ChargeElements || d.Code != ekyc.OK {
		return
	}
	for element, o := range map[string]ekyc.Outcome{"identity": d.Elements.Identity, "portrait": d.Elements.Portrait, "mobile": d.Elements.Mobile} {
		if o != ekyc.NotRun {
			m.elements.WithLabelValues(element, string(o), sandbox).Inc()
		}
	}
}

// Counted counts those events that have no figure of their own elsewhere: what the console shows
// of them is the same.
func (m *Metrics) Counted(list []ekyc.Count) {
	for _, c := range list {
		var v *prometheus.CounterVec
		switch c.Measure {
		case ekyc.CountOpened:
			v = m.sessions
		case ekyc.CountFunnel:
			v = m.steps
		case ekyc.CountAttack:
			v = m.attacks
		case ekyc.CountReading:
			v = m.readings
		case ekyc.CountLiveness:
			v = m.live
		case ekyc.CountComparison:
			v = m.scores
		default:
			continue
		}
		v.WithLabelValues(c.Label).Add(float64(c.N))
	}
}

func (m *Metrics) asked(list []ekyc.Asked) {
	for _, a := range list {
		m.answers.WithLabelValues(a.Source, string(a.Outcome), string(a.Code)).Inc()
		m.answerTime.WithLabelValues(a.Source).Observe(a.Took.Seconds())
	}
}

// Charged counts a charge.
func (m *Metrics) Charged(kind ekyc.ChargeKind, sandbox bool) {
	m.charges.WithLabelValues(string(kind), strconv.FormatBool(sandbox)).Inc()
}

// Called counts a call to an upstream source.
func (m *Metrics) Called(c upstream.Call) {
	m.sourceCalls.WithLabelValues(c.Source, c.Name, string(c.Code), strconv.FormatBool(c.Charged)).Inc()
	m.sourceTime.WithLabelValues(c.Source).Observe(c.Took.Seconds())
	m.sourceCost.WithLabelValues(c.Source).Add(float64(c.Cost) / 1e6)
}

// Spared counts a call that was not made.
func (m *Metrics) Spared(source string) { m.sourceSpared.WithLabelValues(source).Inc() }

// Breaker notes the state of a source's breaker.
func (m *Metrics) Breaker(source string, s upstream.State) {
	for _, x := range []upstream.State{upstream.BreakerClosed, upstream.BreakerOpen, upstream.BreakerHalfOpen} {
		v := 0.0
		if x == s {
			v = 1
		}
		m.breaker.WithLabelValues(source, string(x)).Set(v)
	}
}

// Purged counts what a purge erased: sessions, images, subjects, records that nobody can read
// any more, and what failed and stays due.
func (m *Metrics) Purged(p ekyc.Purged, unreadable int) {
	for what, n := range map[string]int{
		"sessions": p.Sessions, "evidence": p.Evidence, "subjects": p.Subjects, "unreadable": unreadable, "failed": p.Failed,
	} {
		m.purged.WithLabelValues(what).Add(float64(n))
	}
}
