package syncer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// order has the cloud order something, besides what stands.
func (w *world) order(kinds ...cardea.OrderKind) (ids []cardea.OrderID) {
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	for _, kind := range kinds {
		id := cardea.NewID[cardea.OrderID]()
		w.peer.orders = append(w.peer.orders, cardea.Order{ID: id, Kind: kind})
		ids = append(ids, id)
	}
	return ids
}

func (w *world) latest() cardea.Up {
	all := w.cloud.reported()
	return all[len(all)-1]
}

// Nothing of an erased link stays but the report that proves it, and of that
// nothing once it was heard: neither what was decided and never told, nor tokens.
func TestEraseOrder(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		must(t, w.db.PutTokens(w.peer.id, pairing.Tokens{AccessToken: "access", RefreshToken: "refresh"}))
		w.cut()
		w.withdraw(recs, cardea.ReachEverywhere)
		orders := w.order(cardea.OrderUnlink, cardea.OrderErase)
		sleep(time.Hour)
		w.mend()
		sleep(time.Minute)
		w.gone()
		up := w.latest()
		if len(up.Done) != 1 || up.Done[0] != orders[1] || len(up.Entries) != 0 {
			t.Errorf("the last report lists %v as done and has %d entries", up.Done, len(up.Entries))
		}
		if !w.peer.closed || w.farewells() != 0 || w.Status().Farewells != 0 {
			t.Errorf("closed: %t, %d farewells", w.peer.closed, w.farewells())
		}
		must(t, filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			for _, id := range [][]byte{w.peer.id[:], []byte(w.peer.id.String())} {
				if bytes.Contains(text, id) || bytes.Contains([]byte(path), id) {
					t.Errorf("%s still names the link", path)
				}
			}
			return err
		}))
		must(t, w.db.Check())
	})
}

// An agent that was stopped between the order and its execution carries it out
// when it starts.
func TestEraseAfterACrash(t *testing.T) {
	one(t, func(w *world) {
		w.cut()
		w.stop()
		must(t, w.db.Change(w.peer.id, func(l *devicedb.Link) error {
			l.Body.Orders = []cardea.Order{{ID: cardea.NewID[cardea.OrderID](), Kind: cardea.OrderErase}}
			return nil
		}))
		w.restart()
		w.gone()
		if w.farewells() != 1 {
			t.Errorf("%d farewells", w.farewells())
		}
	})
}

// A device shows itself once for one order, for a while, and says that it has.
func TestIdentifyOnce(t *testing.T) {
	one(t, func(w *world) {
		shows := func(want bool) {
			t.Helper()
			if now, _ := w.Identifying(); now != want {
				t.Errorf("it shows itself: %t, want %t", now, want)
			}
		}
		shows(false)
		_, changed := w.Identifying()
		id := w.order(cardea.OrderIdentify)[0]
		w.cloud.mu.Lock()
		w.cloud.idle = true // takes no proof yet
		w.cloud.mu.Unlock()
		w.send(w.cloud.push(w.peer))
		<-changed
		shows(true)
		if up := w.latest(); len(up.Done) != 1 || up.Done[0] != id {
			t.Errorf("done: %v", up.Done)
		}
		sleep(9 * time.Second)
		shows(true)
		sleep(time.Second)
		shows(false)
		w.restart()
		shows(false)
		w.owner(cardea.ActGrant, recs) // another statement with the same order
		shows(false)
		if up := w.latest(); len(up.Done) != 1 {
			t.Errorf("done is not said again: %v", up.Done)
		}
		w.cloud.mu.Lock()
		w.cloud.idle = false
		w.cloud.mu.Unlock()
		w.owner(cardea.ActDeny, recs)
		w.owner(cardea.ActGrant, recs)
		sleep(time.Minute)
		if up := w.latest(); len(up.Done) != 0 || len(w.stored().Done) != 0 {
			t.Errorf("done stays: %v", up.Done)
		}
		shows(false)
	})
}

// An order of a kind that this device does not know is left undone, and said to
// be by nobody.
func TestUnknownOrder(t *testing.T) {
	one(t, func(w *world) {
		w.order("dance")
		w.owner(cardea.ActGrant, recs)
		w.allowed(recs)
		if up := w.latest(); len(up.Done) != 0 {
			t.Errorf("done: %v", up.Done)
		}
	})
}

// A link that hears nothing erases itself after 90 days, however often the agent
// was started meanwhile, and says so when its cloud is there again.
func TestSilentLinkErasesItself(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, habits)
		w.cut()
		for range 8 {
			w.suspend(11 * 24 * time.Hour)
			w.restart()
		}
		w.suspend(46 * time.Hour)
		w.holds()
		w.suspend(2 * time.Hour)
		w.gone()
		w.mend()
		sleep(time.Hour)
		if !w.peer.closed || w.farewells() != 0 {
			t.Errorf("closed: %t, %d farewells", w.peer.closed, w.farewells())
		}
	})
}

// Boots that are short, and no clock that goes on while it is off: the hours it
// was on count.
func TestSilenceIsCountedOverBoots(t *testing.T) {
	one(t, func(w *world) {
		w.configure = func(c *syncer.Config) { c.MaxOffline = 10 * time.Hour }
		w.owner(cardea.ActGrant, habits)
		w.cut()
		w.forgetHeard()
		for i := range 19 {
			w.restartAfterReboot("boot " + string(rune('a'+i)))
			sleep(30 * time.Minute)
		}
		w.holds()
		w.restartAfterReboot("the last boot")
		sleep(31 * time.Minute)
		w.gone()
	})
}

// A device that was switched off goes by its wall clock, but not before its cloud
// had an hour to answer.
func TestSilenceWhileSwitchedOff(t *testing.T) {
	off := func(w *world) {
		w.owner(cardea.ActGrant, habits)
		w.cut()
		w.stop()
		sleep(100 * 24 * time.Hour)
		w.boot = "boot two"
		w.restart()
	}
	t.Run("in reach", func(t *testing.T) {
		one(t, func(w *world) {
			off(w)
			sleep(50 * time.Minute)
			w.holds()
			w.mend()
			sleep(10 * time.Hour)
			w.holds()
			if w.stored().Silent != 0 {
				t.Errorf("silent for %v", w.stored().Silent)
			}
		})
	})
	t.Run("out of reach", func(t *testing.T) {
		one(t, func(w *world) {
			off(w)
			sleep(59 * time.Minute)
			w.holds()
			sleep(2 * time.Minute)
			w.gone()
		})
	})
}

// holds checks that the link is there.
func (w *world) holds() {
	w.t.Helper()
	if _, err := w.db.Link(w.peer.id); err != nil {
		w.t.Errorf("the link is gone: %v", err)
	}
}

// suspend lets the boot clock go on, as in a device that sleeps.
func (w *world) suspend(d time.Duration) {
	w.ahead.Add(int64(d))
	sleep(time.Minute)
}

// forgetHeard makes a device of it that never knew when it was answered.
func (w *world) forgetHeard() {
	w.stop()
	must(w.t, w.db.Change(w.peer.id, func(l *devicedb.Link) error { l.Heard = 0; return nil }))
}
