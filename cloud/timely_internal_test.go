package cloud

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/cloud/admin"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/internal/openapi"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// While the clock can not be right, pages are shown and everything else is told
// to come again.
func TestTimely(t *testing.T) {
	boot := time.Hour
	db := accountdbtest.Open(t)
	guard, err := clock.New(t.Context(), clock.Config{DB: db, Boot: func() time.Duration { return boot }})
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{log: slog.New(slog.DiscardHandler), db: db, clock: guard}
	h := c.timely(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func(method string, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/v1/up", nil))
		if w.Code != want || (want == http.StatusServiceUnavailable) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: %d, Retry-After %q, want %d", method, w.Code, w.Header().Get("Retry-After"), want)
		}
	}
	ask(http.MethodPost, http.StatusOK)
	boot -= time.Minute // as if the wall clock had gone a minute ahead
	ask(http.MethodPost, http.StatusServiceUnavailable)
	ask(http.MethodGet, http.StatusOK)
}

// What the brand's servers then hear is in their contract.
func TestTimelyIsInTheBrandsContract(t *testing.T) {
	contract, err := openapi.Load("admin/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	boot := time.Hour
	db := accountdbtest.Open(t)
	guard, err := clock.New(t.Context(), clock.Config{DB: db, Boot: func() time.Duration { return boot }})
	if err != nil {
		t.Fatal(err)
	}
	boot -= time.Minute
	log := slog.New(slog.DiscardHandler)
	c := &cloud{log: log, db: db, clock: guard}
	h := contract.Watch(c.timely(admin.Handler(admin.Config{Log: log})), func(err error) { t.Error(err) })
	for _, call := range contract.Operations() {
		method, path, _ := strings.Cut(call, " ")
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
	}
	for _, call := range contract.Unseen() {
		if strings.HasSuffix(call, " 503") {
			t.Errorf("%s is in the file and was not answered", call)
		}
	}
}
