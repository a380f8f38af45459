package session_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/session"
	"github.com/cardea-id/cardea/pairing/pairingtest"
)

func pressed() *pairingtest.Server { return &pairingtest.Server{Hold: true, DPoP: true, Presses: 3} }

// The owner's yes counts once the button was pressed, and the device says when
// it wants to be.
func TestPressedButton(t *testing.T) {
	in(t, pressed(), func(h *house) {
		if _, err := h.session.Confirm(h.Context(), 3); !errors.Is(err, session.ErrNothingToConfirm) {
			h.Errorf("before anything: %v", err)
		}
		p := h.start()
		if _, err := h.session.Confirm(h.Context(), 3); !errors.Is(err, session.ErrNothingToConfirm) {
			h.Errorf("before the owner's yes: %v", err)
		}
		h.server.Decide(p.UserCode, true)
		synctest.Wait()
		if got := h.session.Show(); got.State != client.PairConfirm || got.ExpiresIn == 0 {
			h.Fatalf("after the yes: %+v", got)
		}
		h.sleep(time.Minute)
		h.expect(client.PairConfirm)
		if _, err := h.session.Confirm(h.Context(), 3); err != nil {
			h.Fatal(err)
		}
		synctest.Wait()
		h.linked()
		h.expectSteps(session.Shown, session.Approved, session.Stored, session.Joined)
	})
}

func TestPressedTooOften(t *testing.T) {
	in(t, pressed(), func(h *house) {
		p := h.start()
		h.server.Decide(p.UserCode, true)
		synctest.Wait()
		got, err := h.session.Confirm(h.Context(), 4)
		if err != nil || got.State != client.PairDenied {
			h.Errorf("%+v, %v", got, err)
		}
		h.expectSteps(session.Shown, session.Denied)
	})
}

// The button is pressed while the network is down: it can be pressed again. After
// a restart the device asks for it anew.
func TestPressedOffline(t *testing.T) {
	in(t, pressed(), func(h *house) {
		p := h.start()
		h.server.Decide(p.UserCode, true)
		synctest.Wait()
		h.server.Break(func(*http.Request) pairingtest.Fault { return pairingtest.Unreachable })
		if _, err := h.session.Confirm(h.Context(), 3); !errors.Is(err, session.ErrOffline) {
			h.Errorf("offline: %v", err)
		}
		h.server.Break(nil)
		h.restart()
		h.sleep(10 * time.Second)
		h.expect(client.PairConfirm)
		if _, err := h.session.Confirm(h.Context(), 3); err != nil {
			h.Fatal(err)
		}
		synctest.Wait()
		h.linked()
	})
}

// The owner answered the code that was replaced a moment ago.
func TestPressedForTheOlderCode(t *testing.T) {
	in(t, pressed(), func(h *house) {
		first := h.start()
		h.sleep(9*time.Minute + 10*time.Second)
		if h.session.Show().UserCode == first.UserCode {
			h.Fatal("no new code")
		}
		h.server.Decide(first.UserCode, true)
		h.sleep(6 * time.Second)
		h.expect(client.PairConfirm)
		if _, err := h.session.Confirm(h.Context(), 3); err != nil {
			h.Fatal(err)
		}
		synctest.Wait()
		h.linked()
	})
}
