package hub_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/store/accountdb"
)

// late are the overdue devices, looked for one at a time.
func (h *house) late() (all []hub.Overdue) {
	h.t.Helper()
	for next, more := (cardea.LinkID{}), true; more; more = !next.IsZero() {
		some, then, err := h.hub.Overdue(h.t.Context(), next, 1)
		h.must(err)
		all, next = append(all, some...), then
	}
	return all
}

// wants fails unless exactly these are late with this.
func (h *house) wantsLate(when string, what hub.Late, devices ...*device) {
	h.t.Helper()
	late := h.late()
	if len(late) != len(devices) {
		h.t.Fatalf("%s: %+v, want %d", when, late, len(devices))
	}
	for _, d := range devices {
		found := false
		for _, o := range late {
			found = found || o.Link == d.link && o.What == what && o.Subject == h.account.Subject && !o.By.IsZero() && !o.By.After(time.Now())
		}
		if !found {
			h.t.Errorf("%s: %s is not late with %s: %+v", when, d.link, what, late)
		}
	}
}

// A device that was off when something was taken back is overdue from the time
// that its owner was told until it proves it, and not before; one that its owner
// misses never is.
func TestOverdueStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.decide(cardea.ActGrant, recommend, cardea.Scope{})
		near, away := h.pair("g1"), h.pair("g2")
		near.sync()
		away.sync()
		h.decide(cardea.ActDeny, recommend, cardea.Scope{})
		near.sync()
		near.sync()
		devices, err := h.hub.Devices(t.Context(), h.account.ID)
		h.must(err)
		by := devices[slices.IndexFunc(devices, func(d hub.Device) bool { return d.Link == away.link })].StopsBy
		if by.IsZero() {
			t.Fatal("no time is told")
		}
		time.Sleep(time.Until(by) - time.Second)
		near.sync()
		h.wantsLate("a second before", hub.LateStop)
		time.Sleep(time.Second)
		h.wantsLate("at the time", hub.LateStop, away)
		h.must(h.hub.ReportMissed(t.Context(), h.account.ID, away.link))
		h.wantsLate("while it is missed", hub.LateStop)
		h.must(h.hub.Recovered(t.Context(), h.account.ID, away.link))
		away.sync()
		away.sync()
		near.sync()
		h.wantsLate("when it was heard", hub.LateStop)
	})
}

// The same for a device that was unlinked, and for those of an erased account: the
// time is the one by which a device erases itself.
func TestOverdueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		d := h.pair("g1")
		d.sync()
		h.must(h.hub.Unlink(t.Context(), h.account.ID, d.link))
		time.Sleep(cardea.MaxOfflineRetention)
		h.wantsLate("after 90 days", hub.LateUnlink)
		time.Sleep(25 * time.Hour)
		h.wantsLate("after 91 days", hub.LateUnlink, d)
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		proved, away := h.pair("g1"), h.pair("g2")
		proved.sync()
		away.sync()
		secret := h.erase()
		waiting := func(want int) (due cardea.Millis) {
			t.Helper()
			h.must(h.db.View(t.Context(), func(tx *accountdb.Tx) error {
				n, at, err := tx.ErasuresWaiting()
				if n != want || (at != 0) != (want > 0) {
					t.Errorf("%d erasures wait until %d, want %d", n, at, want)
				}
				due = at
				return err
			}))
			return due
		}
		if due := waiting(1).Time(); !due.Equal(hub.DueBy(time.Now()).Truncate(time.Millisecond)) {
			t.Errorf("due by %s", due)
		}
		h.must(h.db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.LinkErased(proved.link) }))
		time.Sleep(cardea.MaxOfflineRetention + 25*time.Hour)
		h.wantsLate("after 91 days", hub.LateErase, away)
		waiting(0)
		h.must(h.hub.ErasedMissed(t.Context(), secret, away.link))
		h.wantsLate("when its owner says that it is gone", hub.LateErase)
	})
}

// The log has one line when a device becomes late and one when it is not any more,
// without anything personal; who watches is told how many there are.
func TestOverdueIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var mu sync.Mutex
		var log bytes.Buffer
		h.hub.Log = slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(b)
		}), nil))
		h.decide(cardea.ActGrant, recommend, cardea.Scope{})
		d := h.pair("g1")
		d.sync()
		h.decide(cardea.ActDeny, recommend, cardea.Scope{})
		_, err := h.hub.Devices(t.Context(), h.account.ID) // what it is to hold is stated
		h.must(err)
		var last hub.Lateness
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { h.hub.WatchOverdue(ctx, func(l hub.Lateness) { mu.Lock(); last = l; mu.Unlock() }) })
		count := func(what string, lines, devices int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			if n := strings.Count(log.String(), what); n != lines || last.Devices[hub.LateStop] != devices {
				t.Errorf("%d lines %q, %d devices: want %d and %d\n%s", n, what, last.Devices[hub.LateStop], lines, devices, log.String())
			}
		}
		time.Sleep(time.Hour)
		count("is overdue:", 0, 0)
		time.Sleep(80 * time.Hour)
		count("is overdue:", 1, 1)
		d.sync()
		d.sync()
		time.Sleep(time.Hour)
		count("overdue no longer", 1, 0)
		count("is overdue:", 1, 0)
		stop()
		done.Wait()
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
