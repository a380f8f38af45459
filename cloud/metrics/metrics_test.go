package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/metrics"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wants(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("lacks %s", line)
		}
	}
}

// What an alert asks for is there before anything has happened.
func TestZeroes(t *testing.T) {
	wants(t, scrape(t, metrics.New()),
		`cardea_change_applied_seconds_count 0`, `cardea_pairing_seconds_count 0`,
		`cardea_grants_total{event="started"} 0`, `cardea_grants_total{event="redeemed"} 0`,
		`cardea_reports_refused_total{reason="signature"} 0`, `cardea_links_lapsed{class="A"} 0`, `cardea_links_behind 0`,
		`cardea_letters_total{result="sent"} 0`, `cardea_letters_total{result="given_up"} 0`, `cardea_letters_waiting 0`, `cardea_letters_oldest_timestamp_seconds 0`)
}

func TestCounts(t *testing.T) {
	m := metrics.New()
	m.Watch("cardea_devices_connected", "Connections.", func() float64 { return 7 })
	m.Applied(30 * time.Millisecond)
	m.Applied(20 * time.Second)
	m.Answered("renewal")
	m.Refused(metrics.Clock)
	m.Rejected(cardea.RejectedConflict)
	m.Decided(cardea.Answer{Verdict: cardea.Deny, Reason: cardea.ReasonWithdrawn})
	m.Grant(metrics.Denied)
	m.Paired(12 * time.Second)
	m.Swept(time.Unix(1_800_000_000, 0), 3, map[cardea.Class]int{cardea.ClassB: 2})
	m.Overdue(map[string]int{"erase": 2}, 3, time.Unix(1_800_000_000, 0))
	wants(t, scrape(t, m), `cardea_devices_overdue{what="erase"} 2`, `cardea_devices_overdue{what="stop"} 0`,
		`cardea_erasures_waiting 3`, `cardea_erasures_due_timestamp_seconds 1.8e+09`)
	m.Letter(metrics.GivenUp)
	m.Letters(2, time.Unix(1_800_000_000, 0))
	wants(t, scrape(t, m),
		`cardea_letters_total{result="given_up"} 1`, `cardea_letters_waiting 2`, `cardea_letters_oldest_timestamp_seconds 1.8e+09`,
		`cardea_change_applied_seconds_bucket{le="0.05"} 1`, `cardea_change_applied_seconds_bucket{le="60"} 2`,
		`cardea_reports_answered_total{with="renewal"} 1`, `cardea_reports_refused_total{reason="clock"} 1`,
		`cardea_entries_rejected_total{reason="conflict"} 1`, `cardea_decisions_total{reason="withdrawn",verdict="deny"} 1`,
		`cardea_grants_total{event="denied"} 1`, `cardea_pairing_seconds_bucket{le="15"} 1`, `cardea_pairing_seconds_bucket{le="10"} 0`,
		`cardea_links_behind 3`, `cardea_links_lapsed{class="B"} 2`, `cardea_last_sweep_timestamp_seconds 1.8e+09`, `cardea_devices_connected 7`)
}

func TestCountsEvents(t *testing.T) {
	m := metrics.New()
	wants(t, scrape(t, m), `cardea_events_total{became="given_up"} 0`, `cardea_events_batches_refused_total{reason="full"} 0`,
		`cardea_events_refused_total{reason="withdrawn",when="taking"} 0`, `cardea_events_deliveries_failed_total{reason="failed"} 0`, `cardea_events_overtaken_total 0`)
	m.Events(metrics.Taken, 3)
	m.EventRefused(metrics.Passing, cardea.ReasonWithdrawn)
	m.BatchRefused(metrics.Forked)
	m.NotDelivered(metrics.Refused)
	m.Overtaken(2)
	wants(t, scrape(t, m), `cardea_events_total{became="taken"} 3`, `cardea_events_batches_refused_total{reason="forked"} 1`,
		`cardea_events_refused_total{reason="withdrawn",when="passing_on"} 1`, `cardea_events_deliveries_failed_total{reason="refused"} 1`, `cardea_events_overtaken_total 2`)
}

// Requests are counted by the pattern of their route. What a stranger makes up,
// and what a path holds, makes no series.
func TestRequests(t *testing.T) {
	m := metrics.New()
	inner := http.NewServeMux()
	inner.HandleFunc("GET /admin/v1/accounts/{subject}", func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Now()) // reaches what is beneath
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})
	outer := http.NewServeMux()
	outer.Handle("/admin/", inner)
	outer.HandleFunc("POST /said", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") })
	h := m.HTTP(outer)
	for i := range 50 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, fmt.Sprintf("/admin/v1/accounts/secret%d", i), nil))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(fmt.Sprintf("VERB%d", i), fmt.Sprintf("/none%d", i), nil))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/said", nil))
	}
	text := scrape(t, m)
	wants(t, text,
		`cardea_http_requests_total{code="418",method="GET",route="GET /admin/v1/accounts/{subject}"} 50`,
		`cardea_http_requests_total{code="404",method="other",route="none"} 50`,
		`cardea_http_requests_total{code="200",method="POST",route="POST /said"} 50`,
		`cardea_http_requests_in_flight 0`)
	if strings.Contains(text, "secret1") || strings.Contains(text, "none1") || strings.Contains(text, "VERB") {
		t.Error("a request's own words are labels")
	}
}

// Names follow the conventions: base units, _total for counters, one prefix.
func TestNames(t *testing.T) {
	m := metrics.New()
	m.HTTP(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	kinds := regexp.MustCompile(`(?m)^# TYPE (cardea_\S+) (\S+)$`).FindAllStringSubmatch(scrape(t, m), -1)
	if len(kinds) < 8 {
		t.Fatalf("only %v", kinds)
	}
	for _, k := range kinds {
		name, kind := k[1], k[2]
		if (kind == "counter") != strings.HasSuffix(name, "_total") || kind == "histogram" && !strings.HasSuffix(name, "_seconds") {
			t.Errorf("%s is a %s", name, kind)
		}
	}
}
