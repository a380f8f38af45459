package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea-id/cardea"
)

// What becomes of an event that devices have collected.
const (
	Taken   = "taken"     // from a device, to be passed on
	Passed  = "passed_on" // to the brand
	TooLate = "given_up"  // it could not be passed on for too long
)

// When an event is decided on.
const (
	Taking  = "taking"
	Passing = "passing_on"
)

// Reasons why a batch is not taken, beside those of reports.
const (
	Ended  = "ended"  // the link has
	Forked = "forked" // there may be a copy of the device
	Full   = "full"   // too much waits of the account
)

// Reasons why something was not delivered.
const (
	Refused = "refused" // the webhook answered, and not with a 2xx
	Failed  = "failed"  // no answer, or the disk takes nothing
)

// events are the series of what devices collect.
type events struct {
	became    *prometheus.CounterVec
	refused   *prometheus.CounterVec
	batches   *prometheus.CounterVec
	undone    *prometheus.CounterVec
	overtaken prometheus.Counter
}

func newEvents() events {
	e := events{
		became:  counter("cardea_events_total", "Events that devices collected, by what became of them.", "became"),
		refused: counter("cardea_events_refused_total", "Events that the ledger did not let pass, when they were taken or when they were passed on, by the reason.", "when", "reason"),
		batches: counter("cardea_events_batches_refused_total", "Batches of events that were not taken, by the reason.", "reason"),
		undone:  counter("cardea_events_deliveries_failed_total", "Tries to deliver events that failed: those are tried again.", "reason"),
		overtaken: prometheus.NewCounter(prometheus.CounterOpts{Name: "cardea_events_overtaken_total",
			Help: "Events taken over from another cloud that had begun to pass them on and did not finish."}),
	}
	for _, what := range []string{Taken, Passed, TooLate} {
		e.became.WithLabelValues(what)
	}
	for _, reason := range cardea.Reasons {
		if reason != cardea.ReasonGranted {
			e.refused.WithLabelValues(Taking, string(reason))
			e.refused.WithLabelValues(Passing, string(reason))
		}
	}
	for _, reason := range []string{Malformed, Signature, Unknown, Ended, Forked, Full, Fault} {
		e.batches.WithLabelValues(reason)
	}
	for _, reason := range []string{Refused, Failed} {
		e.undone.WithLabelValues(reason)
	}
	return e
}

func (e events) register(r *prometheus.Registry) {
	r.MustRegister(e.became, e.refused, e.batches, e.undone, e.overtaken)
}

// Events counts events by what became of them.
func (m *Metrics) Events(became string, n int) {
	m.events.became.WithLabelValues(became).Add(float64(n))
}

// EventRefused counts an event that the ledger did not let pass.
func (m *Metrics) EventRefused(when string, why cardea.Reason) {
	m.events.refused.WithLabelValues(when, string(why)).Inc()
}

// BatchRefused counts a batch of events that was not taken.
func (m *Metrics) BatchRefused(reason string) { m.events.batches.WithLabelValues(reason).Inc() }

// NotDelivered counts a try to deliver events that failed.
func (m *Metrics) NotDelivered(reason string) { m.events.undone.WithLabelValues(reason).Inc() }

// Overtaken counts events that another cloud did not finish passing on.
func (m *Metrics) Overtaken(n int) { m.events.overtaken.Add(float64(n)) }
