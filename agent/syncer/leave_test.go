package syncer_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/store/devicedb"
)

func (w *world) farewells() int {
	w.t.Helper()
	all, err := w.db.Farewells()
	if err != nil {
		w.t.Fatal(err)
	}
	return len(all)
}

func (w *world) gone() {
	w.t.Helper()
	if _, err := w.db.Link(w.peer.id); !errors.Is(err, devicedb.ErrNotFound) {
		w.t.Errorf("the link is still held: %v", err)
	}
	w.denied(recs, cardea.ReasonGuest)
	if a := w.gate.DecideFor(w.peer.id, cardea.Query{Key: recs}); a.Allowed() || a.Reason != cardea.ReasonUnknown {
		w.t.Errorf("an ended link answers %+v", a)
	}
}

// Unlinked offline: gone here at once, and what was said before reaches the
// ledger all the same, whenever the network is back.
func TestUnlinkOffline(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cut()
		w.withdraw(recs, cardea.ReachEverywhere)
		if err := w.Unlink(w.peer.id); err != nil {
			t.Fatal(err)
		}
		w.gone()
		w.restart()
		w.gone()
		sleep(72 * time.Hour)
		w.restartAfterReboot("boot two")
		if w.farewells() != 1 || w.Status().Farewells != 1 {
			t.Fatal("the farewell was lost")
		}
		w.mend()
		sleep(time.Hour)
		if w.farewells() != 0 || w.Status().Farewells != 0 {
			t.Error("the farewell is still sent")
		}
		if got := w.cloud.fold(w.peer, recs); got == cardea.ReasonGranted || !w.peer.closed {
			t.Errorf("in the ledger it stands as %s, closed: %t", got, w.peer.closed)
		}
		reports := len(w.cloud.reported())
		sleep(24 * time.Hour)
		if n := len(w.cloud.reported()); n != reports {
			t.Errorf("%d more reports on a link that is closed", n-reports)
		}
	})
}

// The answer to a farewell may be lost; only the closed one that names it ends
// it.
// The database is lost after the link was left, or put back to before: the last
// words reach the cloud, and the link does not come back.
func TestFarewellOutlivesTheDatabase(t *testing.T) {
	for name, hurt := range map[string]func(w *world, before disk) error{
		"lost":     func(w *world, _ disk) error { return os.Remove(filepath.Join(w.dir, "device.db")) },
		"put back": func(w *world, before disk) error { before.write(w.t, ".db"); return nil },
	} {
		run(t, name, func(t *testing.T, w *world) {
			w.owner(cardea.ActGrant, recs)
			w.cut()
			before := w.image()
			w.withdraw(recs, cardea.ReachEverywhere)
			if err := w.Unlink(w.peer.id); err != nil {
				t.Fatal(err)
			}
			w.stop()
			w.db.Close()
			if err := hurt(w, before); err != nil {
				t.Fatal(err)
			}
			w.start()
			w.gone()
			w.mend()
			sleep(time.Hour)
			w.gone()
			if w.farewells() != 0 || !w.peer.closed {
				t.Errorf("%d farewells are left, closed %t", w.farewells(), w.peer.closed)
			}
			if got := w.cloud.fold(w.peer, recs); got == cardea.ReasonGranted {
				t.Error("the cloud has not heard of the stop")
			}
		})
	}
}

func TestFarewellIsRepeatedUntilClosed(t *testing.T) {
	one(t, func(w *world) {
		w.set(func() { w.noHTTP = true })
		w.cut()
		if err := w.Unlink(w.peer.id); err != nil {
			t.Fatal(err)
		}
		f, err := w.db.Farewells()
		if err != nil {
			t.Fatal(err)
		}
		w.set(func() { w.online, w.swallow = true, true })
		sleep(time.Minute)
		if w.counts().ups < 5 {
			t.Errorf("sent %d times in a minute", w.counts().ups)
		}
		w.set(func() { w.swallow, w.delay = false, 100*time.Hour })
		send := func(change func(d *cardea.Down)) {
			w.cloud.mu.Lock()
			d := w.cloud.down(w.peer, f[0].Nonces[0])
			d.Body, d.Closed = nil, true
			change(&d)
			payload := w.cloud.seal(w.peer, d)
			w.cloud.mu.Unlock()
			w.send(payload)
		}
		send(func(d *cardea.Down) { d.Closed = false })
		send(func(d *cardea.Down) { d.Nonce = cardea.Nonce{} })
		send(func(d *cardea.Down) { d.Nonce = cardea.Nonce{1} })
		if w.farewells() != 1 {
			t.Fatal("the farewell was ended by something else")
		}
		if r := w.Status().Refused; r[syncer.RefusedForeign] != 1 || r[syncer.RefusedClosed] != 2 {
			t.Errorf("refused %v", r)
		}
		send(func(*cardea.Down) {})
		if w.farewells() != 0 {
			t.Error("the right answer did not end it")
		}
	})
}

// A farewell to a cloud that has forgotten the link is heard as well.
func TestFarewellToACloudThatForgot(t *testing.T) {
	one(t, func(w *world) {
		w.cloud.forget = true
		if err := w.Unlink(w.peer.id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w.farewells() != 0 {
			t.Error("the farewell is sent for ever")
		}
	})
}

// Of several last words the first is lost: the answer to a later one must not
// end the farewell.
func TestFarewellLosesNothing(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cut()
		w.withdraw(recs, cardea.ReachEverywhere)
		for range 60 {
			if err := w.Prefer(w.peer.id, "voice_speed", "3", cardea.ReachDevice, w.stored().Head); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Unlink(w.peer.id); err != nil {
			t.Fatal(err)
		}
		w.set(func() { w.online, w.noHTTP, w.lose = true, true, 1 })
		sleep(time.Hour)
		if got := w.cloud.fold(w.peer, recs); w.farewells() != 0 || got == cardea.ReasonGranted {
			t.Errorf("in the ledger it stands as %s, %d farewells", got, w.farewells())
		}
	})
}

// More than one report's worth of last words.
func TestLongFarewell(t *testing.T) {
	for _, way := range []string{"pipe", "http"} {
		run(t, way, func(t *testing.T, w *world) {
			w.cut()
			for range 150 {
				if err := w.Prefer(w.peer.id, "voice_speed", "3", cardea.ReachDevice, w.stored().Head); err != nil {
					t.Fatal(err)
				}
			}
			w.withdraw(recs, cardea.ReachDevice)
			if err := w.Unlink(w.peer.id); err != nil {
				t.Fatal(err)
			}
			w.set(func() { w.online, w.noHTTP = way == "pipe", false })
			sleep(time.Minute)
			if w.farewells() != 0 || !w.peer.closed || w.cloud.fold(w.peer, recs) == cardea.ReasonNotAsked {
				t.Errorf("%d farewells left, closed: %t", w.farewells(), w.peer.closed)
			}
		})
	}
}

func TestOrderedToUnlink(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cloud.mu.Lock()
		w.peer.orders = []cardea.Order{{ID: cardea.NewID[cardea.OrderID](), Kind: cardea.OrderUnlink}}
		w.cloud.mu.Unlock()
		w.send(w.cloud.push(w.peer))
		sleep(time.Second)
		w.gone()
		if w.farewells() != 0 || !w.peer.closed {
			t.Error("the cloud does not know that it was done")
		}
	})
}

// A cloud that has closed the link says so to whoever still reports on it.
func TestClosedByTheCloud(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		w.cloud.mu.Lock()
		w.peer.closed = true
		w.cloud.mu.Unlock()
		sleep(time.Minute)
		w.denied(voice, cardea.ReasonUnknown)
		if w.stored().Bar != cardea.ReasonUnknown {
			t.Error("the bar was not kept")
		}
	})
}

// Two people's links: each is in step by itself, and the active one answers.
func TestTwoLinks(t *testing.T) {
	one(t, func(w *world) {
		first := w.peer
		w.owner(cardea.ActGrant, recs)
		second := w.join()
		synctest.Wait()
		w.allowed(recs)
		if err := w.Activate(second.id); err != nil {
			t.Fatal(err)
		}
		w.peer = second
		w.withdraw(recs, cardea.ReachDevice)
		synctest.Wait()
		w.denied(recs, cardea.ReasonWithdrawn)
		if err := w.Activate(cardea.LinkID{}); err != nil {
			t.Fatal(err)
		}
		w.denied(recs, cardea.ReasonGuest)
		if a := w.gate.DecideFor(first.id, cardea.Query{Key: voice}); a.Reason != cardea.ReasonNotAsked {
			t.Errorf("asked for the first link: %+v", a)
		}
		if err := w.Activate(cardea.NewID[cardea.LinkID]()); !errors.Is(err, devicedb.ErrNotFound) {
			t.Errorf("activating an unknown link: %v", err)
		}
		w.restart()
		w.denied(recs, cardea.ReasonGuest)
		for _, up := range w.cloud.reported()[len(w.cloud.reported())-2:] {
			if len(up.Links) != 2 {
				t.Errorf("a report names %d links", len(up.Links))
			}
		}
	})
}

// A damaged link denies; the rest of the device goes on.
func TestDamagedLink(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		first := w.peer
		second := w.join()
		w.stop()
		w.db.Close()
		damage(t, filepath.Join(w.dir, "device.db"), first.id)
		w.start()
		synctest.Wait()
		w.denied(recs, cardea.ReasonStore)
		if a := w.gate.DecideFor(second.id, cardea.Query{Key: voice}); a.Reason != cardea.ReasonNotAsked {
			t.Errorf("the other link answers %+v", a)
		}
		if err := w.Withdraw(first.id, recs, cardea.ReachDevice, cardea.Position{}); err == nil {
			t.Error("a decision on a damaged link was confirmed")
		}
		if err := w.Unlink(first.id); err != nil {
			t.Errorf("a damaged link can not be ended: %v", err)
		}
		w.denied(recs, cardea.ReasonGuest)
	})
}

// damage flips a bit in every copy of a link's value.
func damage(t *testing.T, path string, id cardea.LinkID) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for at := 0; ; n++ {
		i := bytes.Index(file[at:], id[:])
		if i < 0 {
			break
		}
		at += i + len(id)
		file[at+40] ^= 1 // in the value, which follows its key
	}
	if n == 0 {
		t.Fatal("the link is not in the file")
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Decisions, answers and questions from all sides at once.
func TestAllAtOnce(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		var wg sync.WaitGroup
		for _, key := range []cardea.Key{recs, voice, habits} {
			wg.Go(func() {
				for range 20 {
					w.Withdraw(w.peer.id, key, cardea.ReachDevice, cardea.Position{})
					w.Allow(w.peer.id, key, 1, notice, cardea.ReachDevice, cardea.Position{})
					time.Sleep(time.Millisecond)
				}
				w.Withdraw(w.peer.id, key, cardea.ReachDevice, cardea.Position{})
			})
		}
		wg.Go(func() {
			for range 1000 {
				w.gate.Decide(cardea.Query{Key: recs})
				w.Status()
			}
		})
		wg.Go(func() {
			for range 20 {
				w.cloud.decide(cardea.ActGrant, voice, cardea.Scope{})
				w.send(w.cloud.push(w.peer))
			}
		})
		wg.Wait()
		sleep(time.Minute)
		for _, key := range []cardea.Key{recs, voice, habits} {
			if a := w.gate.Decide(cardea.Query{Key: key}); a.Allowed() {
				t.Errorf("%s is allowed after its last word was no: %+v", key, a)
			}
		}
		if n := len(w.stored().Log.Entries); n != 0 {
			t.Errorf("%d decisions still wait", n)
		}
	})
}

// Nothing personal is logged.
func TestLogsNobody(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.send([]byte("Anna"))
		w.withdraw(recs, cardea.ReachDevice)
		w.restart()
		if text := w.logs.String(); strings.Contains(text, "Anna") || strings.Contains(text, "subject") || !strings.Contains(text, "malformed") {
			t.Errorf("the log says\n%s", text)
		}
	})
}
