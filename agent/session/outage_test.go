package session_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/pairing/pairingtest"
)

// ask asks for a token twenty times a second, as a program in a loop does, until
// it has one or the time is over, and returns how long it took.
func (h *house) ask(link cardea.LinkID, limit time.Duration) time.Duration {
	h.Helper()
	begun := time.Now()
	for time.Since(begun) < limit {
		_, err := h.session.Token(h.Context(), link, "", "", 0)
		if err == nil {
			break
		}
		if !errors.Is(err, session.ErrOffline) {
			h.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

func TestAnOutageIsNoStorm(t *testing.T) {
	for _, fault := range []pairingtest.Fault{pairingtest.Unreachable, pairingtest.Broken, pairingtest.Portal} {
		in(t, holding(), func(h *house) {
			link := h.pair()
			h.sleep(time.Hour)
			asked := 0
			h.server.Break(func(*http.Request) pairingtest.Fault { asked++; return fault })
			if took := h.ask(link, time.Minute); took < time.Minute {
				h.Fatalf("fault %v: a token after %v", fault, took)
			}
			if asked < 3 || asked > 12 {
				h.Errorf("fault %v: the server was asked %d times in a minute", fault, asked)
			}
			h.server.Break(nil)
			if took := h.ask(link, time.Minute); took > 10*time.Second {
				h.Errorf("fault %v: a token %v after the outage", fault, took)
			}
			// What is over is forgotten: one failure is no outage.
			h.sleep(time.Hour)
			h.server.Break(func(*http.Request) pairingtest.Fault { return fault })
			h.session.Token(h.Context(), link, "", "", 0)
			h.server.Break(nil)
			h.token(link, 0)
		})
	}
}

// A token that is kept is given however the server is.
func TestWhatIsKeptIsGivenInAnOutage(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.server.Break(func(*http.Request) pairingtest.Fault { return pairingtest.Broken })
		for range 3 {
			h.session.Token(h.Context(), link, "https://other.example.com", "", 0)
		}
		h.token(link, 0)
	})
}

// A server that says how long it is away is not asked before.
func TestRetryAfterIsKept(t *testing.T) {
	in(t, holding(), func(h *house) {
		link := h.pair()
		h.sleep(time.Hour)
		asked := 0
		h.server.Handle("/token", func(w http.ResponseWriter, r *http.Request) {
			asked++
			w.Header().Set("Retry-After", "20")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte(`{"error":"temporarily_unavailable"}`))
		})
		h.ask(link, 19*time.Second)
		if asked != 1 {
			h.Errorf("asked %d times within the time it asked for", asked)
		}
		h.ask(link, 2*time.Second)
		if asked != 2 {
			h.Errorf("asked %d times, want once more after it", asked)
		}
	})
}
