package localapi_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/devicedb"
)

// Roles are told while the cloud was heard of: not after the lease or their day, nor
// while the time is not known. Who it is, is told all the same.
func TestRoles(t *testing.T) {
	h := newHouse(t)
	c := h.client(t)
	told := func(why string, want ...string) {
		t.Helper()
		who, err := c.Identity(t.Context())
		if err != nil || who.Subject != "sub-1" || !slices.Equal(who.Roles, want) {
			t.Errorf("%s: %+v, %v", why, who, err)
		}
	}
	told("none were stated")
	err := h.db.Change(h.link, func(l *devicedb.Link) error {
		l.Body.Identity.Roles = []string{"driver", "service"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	told("stated", "driver", "service")
	h.change(func() { h.now.Time = epoch.Add(24*time.Hour - time.Millisecond) })
	told("to the end", "driver", "service")
	h.change(func() { h.now.Time = epoch.Add(24 * time.Hour) })
	told("after the lease")
	h.change(func() { h.now = cardea.Now{Time: epoch} })
	told("without a clock")
}
