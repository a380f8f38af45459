package choices_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal/portaltest"
)

// TestYoungSessionWidensOnlySurely: a session younger than the devices that a yes
// reaches may be a thief's, and signs in again before the yes; never before a no.
func TestYoungSessionWidensOnlySurely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := portaltest.Open(t)
		b := h.Browser(t)
		account := b.Register()
		old := portaltest.HubDevice("Kitchen")
		old.Created = time.Now().Add(-24 * time.Hour)
		h.Link(t, account, old)
		press := func(words string) string {
			t.Helper()
			d := b.Send(b.Get("/consents").Facet(recommendations, ""), words)
			return d.Header.Get("Location")
		}
		given := func() bool { return h.Standing(t, account, recommendations).Given() }
		if to := press("Allow"); !strings.HasPrefix(to, "/consents") || !given() {
			t.Fatalf("just signed in: led to %q", to)
		}
		time.Sleep(6 * time.Minute)
		if to := press("Don’t allow"); !strings.HasPrefix(to, "/consents") || given() {
			t.Errorf("a no was led to %q", to)
		}
		if to := press("Allow"); strings.HasPrefix(to, "/consents") || given() {
			t.Errorf("a yes in a young session was led to %q", to)
		}
		last := h.Standing(t, account, recommendations)
		if last.Reason != cardea.ReasonWithdrawn {
			t.Errorf("it stands as %s", last.Reason)
		}
		devices := h.Devices.Get()
		devices[0].Created = time.Now() // paired in this session
		h.Devices.Set(devices...)
		if to := press("Allow"); !strings.HasPrefix(to, "/consents") || !given() {
			t.Errorf("in the session that paired the device: led to %q", to)
		}
	})
}
