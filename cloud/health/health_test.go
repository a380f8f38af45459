package health_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/cloud/health"
)

func ask(h http.Handler) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestWhatFailsWhere(t *testing.T) {
	broken := errors.New("the disk has a secret fault")
	for name, test := range map[string]struct {
		checks      []health.Check
		live, ready int
		says        string
	}{
		"nothing":        {[]health.Check{{Name: "database", Restart: true}, {Name: "clock"}}, 200, 200, `{"status":"ok"}`},
		"the database":   {[]health.Check{{"database", true, fails(broken)}, {Name: "clock"}}, 503, 503, `{"status":"failing","failed":["database"]}`},
		"the clock":      {[]health.Check{{Name: "database", Restart: true}, {"clock", false, fails(broken)}}, 200, 503, `{"status":"failing","failed":["clock"]}`},
		"all of it":      {[]health.Check{{"a", true, fails(broken)}, {"b", true, fails(broken)}}, 503, 503, `"failed":["a","b"]`},
		"no checks made": {nil, 200, 200, `{"status":"ok"}`},
	} {
		for i := range test.checks {
			if test.checks[i].Try == nil {
				test.checks[i].Try = fails(nil)
			}
		}
		var log bytes.Buffer
		h := health.New(slog.New(slog.NewTextHandler(&log, nil)), test.checks...)
		if code, _ := ask(h.Live()); code != test.live {
			t.Errorf("%s fails: live says %d", name, code)
		}
		code, body := ask(h.Ready())
		if code != test.ready || !strings.Contains(body, test.says) || strings.Contains(body, "secret") {
			t.Errorf("%s fails: ready says %d %s", name, code, body)
		}
		if test.ready == 503 && !strings.Contains(log.String(), "secret fault") {
			t.Errorf("%s fails: logged %q", name, &log)
		}
	}
}

func fails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func TestDrain(t *testing.T) {
	h := health.New(nil, health.Check{Name: "x", Restart: true, Try: fails(nil)})
	h.Drain()
	if code, _ := ask(h.Live()); code != 200 {
		t.Errorf("a cloud that drains is not live: %d", code)
	}
	if code, body := ask(h.Ready()); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("a cloud that drains is ready: %d %s", code, body)
	}
}

// However many ask, the work is tried once a second.
func TestAskedByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		h := health.New(nil, health.Check{Name: "x", Try: func(context.Context) error { tries++; return nil }})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { ask(h.Ready()) })
		}
		all.Wait()
		if tries != 1 {
			t.Errorf("tried %d times", tries)
		}
		time.Sleep(2 * time.Second)
		ask(h.Ready())
		if tries != 2 {
			t.Errorf("tried %d times after a while", tries)
		}
	})
}

// A part that hangs fails after its time, is not tried twice at once, and is
// well again when it has come to an end.
func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var tries atomic.Int64
		stuck := make(chan struct{})
		h := health.New(slog.New(slog.NewTextHandler(&log, nil)), health.Check{Name: "x", Restart: true, Try: func(context.Context) error {
			tries.Add(1)
			<-stuck
			return nil
		}})
		began := time.Now()
		if code, _ := ask(h.Live()); code != 503 || time.Since(began) != 5*time.Second {
			t.Errorf("%d after %v", code, time.Since(began))
		}
		time.Sleep(2 * time.Second)
		began = time.Now()
		if code, _ := ask(h.Live()); code != 503 || time.Since(began) != 0 || tries.Load() != 1 {
			t.Errorf("%d after %v, tried %d times", code, time.Since(began), tries.Load())
		}
		close(stuck)
		time.Sleep(2 * time.Second)
		if code, _ := ask(h.Live()); code != 200 {
			t.Errorf("%d when it works again", code)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("logged:\n%s", &log)
		}
	})
}
