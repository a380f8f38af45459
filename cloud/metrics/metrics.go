// Package metrics counts what a cloud does, for Prometheus. It is the only
// importer of the Prometheus client.
//
// What is counted is what an operator is asked about: how long a change takes to
// be applied on devices, how pairings end and how long they take, how devices are
// answered, what has lapsed, what was refused and why. No label holds anything
// of a person, an account, a device or an address: labels are words of a closed
// list, and the patterns of routes.
//
// The zero of every series that has a closed list is there from the start, so
// that an alert on "none" needs no special case.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cardea-id/cardea"
)

// A Metrics is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	applied   prometheus.Histogram
	answers   *prometheus.CounterVec
	refused   *prometheus.CounterVec
	rejected  *prometheus.CounterVec
	decisions *prometheus.CounterVec
	grants    *prometheus.CounterVec
	paired    prometheus.Histogram
	lapsed    *prometheus.GaugeVec
	behind    prometheus.Gauge
	swept     prometheus.Gauge
	overdue   *prometheus.GaugeVec
	erasures  prometheus.Gauge
	due       prometheus.Gauge
	letters   *prometheus.CounterVec
	waiting   prometheus.Gauge
	oldest    prometheus.Gauge
	events    events
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	inFlight  prometheus.Gauge
}

// New makes a Metrics in a registry of its own, with those of the process and
// the Go runtime.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		applied: histogram("cardea_change_applied_seconds", "From a change in the ledger or the catalogue to a device's signed proof that it is applied, however long the device was off.",
			.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 3600, 86400),
		answers:   counter("cardea_reports_answered_total", "Reports of devices, by what they were answered with: a statement, a renewal of the lease, the last word, or the question what the device holds.", "with"),
		refused:   counter("cardea_reports_refused_total", "Reports that were not taken, by the reason.", "reason"),
		rejected:  counter("cardea_entries_rejected_total", "Entries of devices' logs that had no effect, by the reason. A denial is never among them.", "reason"),
		decisions: counter("cardea_decisions_total", "Answers to the brand's own systems asking \"may I?\", by verdict and reason.", "verdict", "reason"),
		grants:    counter("cardea_grants_total", "What happened to pairings. Started less approved and denied were given up.", "event"),
		paired:    histogram("cardea_pairing_seconds", "From the code on the screen to the tokens on the device.", 2, 5, 10, 15, 20, 30, 45, 60, 120, 300, 600),
		lapsed:    gauges("cardea_links_lapsed", "Links not heard of for longer than a yes of the class counts without the cloud: every yes of the class is a no there.", "class"),
		behind:    gauge("cardea_links_behind", "Links whose device has not proved to hold the newest statement, connected or not."),
		swept:     gauge("cardea_last_sweep_timestamp_seconds", "When links that are behind or have lapsed were looked for last."),
		overdue:   gauges("cardea_devices_overdue", "Devices that have not proved by the time their owner was told that they have stopped, forgotten their owner, or erased themselves.", "what"),
		erasures:  gauge("cardea_erasures_waiting", "Erased accounts of which a device can still be waited for."),
		due:       gauge("cardea_erasures_due_timestamp_seconds", "By when the first of the erasures that wait should be answered by law; 0: none waits."),
		letters:   counter("cardea_letters_total", "Letters to owners that need no more work: sent, or why nobody will read them.", "result"),
		waiting:   gauge("cardea_letters_waiting", "Letters that are to be sent."),
		oldest:    gauge("cardea_letters_oldest_timestamp_seconds", "When the oldest of the letters that wait was posted; 0: none waits."),
		events:    newEvents(),
		requests:  counter("cardea_http_requests_total", "Requests, by route and status.", "method", "route", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cardea_http_request_seconds",
			Help: "How long requests took. Polls of a pairing and of the changes are held on purpose.", Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 20}}, []string{"route"}),
		inFlight: gauge("cardea_http_requests_in_flight", "Requests that are being answered."),
	}
	m.registry.MustRegister(m.applied, m.answers, m.refused, m.rejected, m.decisions, m.grants, m.paired, m.lapsed, m.behind, m.swept,
		m.overdue, m.erasures, m.due, m.letters, m.waiting, m.oldest, m.requests, m.seconds, m.inFlight, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	m.events.register(m.registry)
	m.zero()
	return m
}

// zero makes the series that are sure to be asked for.
func (m *Metrics) zero() {
	for _, reason := range reasons {
		m.refused.WithLabelValues(reason)
	}
	for _, event := range grants {
		m.grants.WithLabelValues(event)
	}
	for _, what := range promises {
		m.overdue.WithLabelValues(what)
	}
	for _, result := range letters {
		m.letters.WithLabelValues(result)
	}
	for _, with := range answers {
		m.answers.WithLabelValues(with)
	}
	for _, reason := range rejections {
		m.rejected.WithLabelValues(string(reason))
	}
	for _, reason := range cardea.Reasons {
		verdict := cardea.Deny
		if reason == cardea.ReasonGranted {
			verdict = cardea.Allow
		}
		m.decisions.WithLabelValues(string(verdict), string(reason))
	}
	for _, class := range []cardea.Class{cardea.ClassA, cardea.ClassB, cardea.ClassC, cardea.ClassL} {
		m.lapsed.WithLabelValues(string(class))
	}
}

func histogram(name, help string, buckets ...float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4})
}

// Watch shows a number that is known elsewhere, such as how many devices are
// connected. It is called once for each name, before the first scrape.
func (m *Metrics) Watch(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}
