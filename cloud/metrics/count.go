package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cardea-id/cardea"
)

// Reasons why a report is not taken.
const (
	Malformed = "malformed" // it can not be read
	Signature = "signature" // not of the link's device
	Clock     = "clock"     // the cloud's clock can not be right
	Unknown   = "unknown"   // no such link
	Fault     = "fault"     // of the cloud itself
)

// What becomes of a pairing.
const (
	Started  = "started"
	Approved = "approved"
	Denied   = "denied"
	Redeemed = "redeemed"
)

// What a report may be answered with.
const (
	Statement = "statement"
	Renewal   = "renewal"
	Closed    = "closed"  // the last word to a device that has left
	Recover   = "recover" // the question what the device holds
)

// What becomes of a letter to an owner.
const (
	Sent           = "sent"
	MailboxRefused = "refused"
	GivenUp        = "given_up" // it could not be sent in time
	Erased         = "erased"   // its account was, before it was sent
	Broken         = "broken"   // a fault of the cloud itself
)

var (
	answers    = []string{Statement, Renewal, Closed, Recover}
	rejections = []cardea.Rejected{
		cardea.RejectedBase, cardea.RejectedConfirm, cardea.RejectedNotice, cardea.RejectedConflict,
		cardea.RejectedUnknown, cardea.RejectedValue, cardea.RejectedTooBig,
	}
	reasons  = []string{Malformed, Signature, Clock, Unknown, Fault}
	grants   = []string{Started, Approved, Denied, Redeemed}
	promises = []string{"stop", "unlink", "erase"}
	letters  = []string{Sent, MailboxRefused, GivenUp, Erased, Broken}
)

// Applied counts a change that a device has proved to have applied.
func (m *Metrics) Applied(after time.Duration) { m.applied.Observe(after.Seconds()) }

// Answered counts a report by what it was answered with.
func (m *Metrics) Answered(with string) { m.answers.WithLabelValues(with).Inc() }

// Refused counts a report that was not taken.
func (m *Metrics) Refused(reason string) { m.refused.WithLabelValues(reason).Inc() }

// Rejected counts an entry of a device's log that had no effect.
func (m *Metrics) Rejected(reason cardea.Rejected) { m.rejected.WithLabelValues(string(reason)).Inc() }

// Decided counts an answer to "may I?".
func (m *Metrics) Decided(a cardea.Answer) {
	m.decisions.WithLabelValues(string(a.Verdict), string(a.Reason)).Inc()
}

// Grant counts something that happened to a pairing.
func (m *Metrics) Grant(event string) { m.grants.WithLabelValues(event).Inc() }

// Paired counts how long a pairing took.
func (m *Metrics) Paired(after time.Duration) { m.paired.Observe(after.Seconds()) }

// Swept notes how many links are behind, and how many have lapsed by class.
func (m *Metrics) Swept(at time.Time, behind int, lapsed map[cardea.Class]int) {
	m.swept.Set(seconds(at))
	m.behind.Set(float64(behind))
	for class, n := range lapsed {
		m.lapsed.WithLabelValues(string(class)).Set(float64(n))
	}
}

// Overdue notes how many devices are late with what, how many erasures wait for a
// device, and by when the first of those should be answered; zero: none.
func (m *Metrics) Overdue(late map[string]int, erasures int, due time.Time) {
	for _, what := range promises {
		m.overdue.WithLabelValues(what).Set(float64(late[what]))
	}
	m.erasures.Set(float64(erasures))
	m.due.Set(seconds(due))
}

// Letter counts a letter that needs no more work.
func (m *Metrics) Letter(result string) { m.letters.WithLabelValues(result).Inc() }

// Letters notes how many letters wait, and since when the oldest does; zero: none.
func (m *Metrics) Letters(waiting int, oldest time.Time) {
	m.waiting.Set(float64(waiting))
	m.oldest.Set(seconds(oldest))
}

// seconds is an instant as Prometheus has it; 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// HTTP counts the requests that next answers, by the pattern of their route: a
// path may hold what must not be a label.
func (m *Metrics) HTTP(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerInFlight(m.inFlight, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &watched{ResponseWriter: w, status: http.StatusOK}
		begin := time.Now()
		next.ServeHTTP(seen, r)
		route := r.Pattern
		if route == "" {
			route = "none"
		}
		m.seconds.WithLabelValues(route).Observe(time.Since(begin).Seconds())
		m.requests.WithLabelValues(method(r.Method), route, strconv.Itoa(seen.status)).Inc()
	}))
}

// method keeps what a stranger calls a method out of the labels.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete:
		return name
	}
	return "other"
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
	told   bool
}

func (w *watched) WriteHeader(status int) {
	if !w.told && status >= 200 {
		w.status, w.told = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(p []byte) (int, error) {
	w.told = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach what is beneath.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
