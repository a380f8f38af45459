package syncer_test

import (
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// family is a device with two links, the owner's first.
func (w *world) family() (owner, other cardea.LinkID) {
	w.t.Helper()
	second := w.join()
	owner, other = w.peer.id, second.id
	if id, ok, err := w.db.Owner(); err != nil || !ok {
		w.t.Fatal(err)
	} else if id == other {
		owner, other = other, owner
	}
	w.owner(cardea.ActGrant, recs)
	w.send(w.cloud.push(second))
	synctest.Wait()
	sleep(2 * time.Second)
	for _, id := range []cardea.LinkID{owner, other} {
		w.answers(id, cardea.Allow, cardea.ReasonGranted)
	}
	return owner, other
}

// answers checks what one link's data may be used for.
func (w *world) answers(id cardea.LinkID, verdict cardea.Verdict, reason cardea.Reason) {
	w.t.Helper()
	if a := w.gate.DecideFor(id, cardea.Query{Key: recs}); a.Verdict != verdict || a.Reason != reason {
		w.t.Errorf("link %s: %s, %s; want %s, %s", id, a.Verdict, a.Reason, verdict, reason)
	}
}

func (w *world) link(id cardea.LinkID) devicedb.Link {
	w.t.Helper()
	l, err := w.db.Link(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// The device's owner stops something for all who use it: at once, in one state,
// also over restarts, also once the cloud has consumed the word and whatever it
// says to the others meanwhile. Only its author takes it back.
func TestStopForEveryone(t *testing.T) {
	one(t, func(w *world) {
		owner, other := w.family()
		if err := w.Withdraw(other, recs, cardea.ReachEveryone, cardea.Position{}); !errors.Is(err, syncer.ErrNotOwner) {
			t.Fatalf("somebody else stopped it for everyone: %v", err)
		}
		w.answers(owner, cardea.Allow, cardea.ReasonGranted)
		w.cut()
		before := w.gate.Generation()
		if err := w.Withdraw(owner, recs, cardea.ReachEveryone, w.link(owner).Head); err != nil {
			t.Fatal(err)
		}
		if got := w.gate.Generation(); got != before+1 {
			t.Errorf("%d states between", got-before-1)
		}
		stopped := func() {
			t.Helper()
			w.answers(other, cardea.Deny, cardea.ReasonRefused)
			w.answers(owner, cardea.Deny, cardea.ReasonRefused)
		}
		stopped()
		w.restart()
		stopped()
		if err := w.Lift(other, recs, cardea.Position{}); !errors.Is(err, syncer.ErrNotAuthor) {
			t.Errorf("somebody else took it back: %v", err)
		}
		// A cloud that consumes it and tells the others nothing.
		w.set(func() { w.cloud.frozen = true })
		w.mend()
		sleep(time.Minute)
		if n := len(w.link(owner).Log.Entries); n != 0 {
			t.Fatalf("%d entries are not acknowledged", n)
		}
		stopped()
		w.restart()
		stopped()
		if err := w.Lift(owner, recs, w.link(owner).Head); err != nil {
			t.Fatal(err)
		}
		w.answers(other, cardea.Allow, cardea.ReasonGranted)
		w.restart()
		w.answers(other, cardea.Allow, cardea.ReasonGranted)
		if err := w.Lift(other, recs, cardea.Position{}); err != nil {
			t.Errorf("to take back what nobody said: %v", err)
		}
	})
}

// What the owner stopped for all ends with the owner's link, and the next one is
// the owner.
func TestStopForEveryoneEndsWithItsAuthor(t *testing.T) {
	one(t, func(w *world) {
		owner, other := w.family()
		w.cut()
		if err := w.Withdraw(owner, recs, cardea.ReachEveryone, w.link(owner).Head); err != nil {
			t.Fatal(err)
		}
		w.answers(other, cardea.Deny, cardea.ReasonRefused)
		if err := w.Unlink(owner); err != nil {
			t.Fatal(err)
		}
		w.answers(other, cardea.Allow, cardea.ReasonGranted)
		if err := w.Withdraw(other, recs, cardea.ReachEveryone, w.link(other).Head); err != nil {
			t.Errorf("who is left is not the owner: %v", err)
		}
	})
}

// Its author's yes, given elsewhere in the knowledge of the stop, ends it.
func TestStopForEveryoneEndsWithItsAuthorsYes(t *testing.T) {
	one(t, func(w *world) {
		owner, other := w.family()
		if err := w.Withdraw(owner, recs, cardea.ReachEveryone, w.link(owner).Head); err != nil {
			t.Fatal(err)
		}
		sleep(time.Minute)
		if got := w.link(owner).Everyone; len(got) != 1 {
			t.Fatalf("kept: %v", got)
		}
		p := w.cloud.links[owner]
		w.cloud.decide(cardea.ActGrant, recs, cardea.Scope{Device: p.device})
		w.send(w.cloud.push(p))
		w.send(w.cloud.push(w.cloud.links[other]))
		sleep(time.Second)
		w.answers(owner, cardea.Allow, cardea.ReasonGranted)
		w.answers(other, cardea.Allow, cardea.ReasonGranted)
	})
}

// A switch of who uses the device moves the generation, is there after a restart,
// and each cloud hears whether its person is the one.
func TestSwitch(t *testing.T) {
	one(t, func(w *world) {
		first, second := w.family()
		active, _, _ := w.gate.Active()
		if active != w.peer.id {
			t.Fatalf("active: %s", active)
		}
		next := first
		if active == first {
			next = second
		}
		before := w.gate.Generation()
		if err := w.Activate(next); err != nil {
			t.Fatal(err)
		}
		if got, _, ok := w.gate.Active(); !ok || got != next || w.gate.Generation() != before+1 {
			t.Errorf("%s, %d after %d", got, w.gate.Generation(), before)
		}
		said := len(w.cloud.reported())
		sleep(5 * time.Second)
		times := map[cardea.LinkID]int{}
		for _, up := range w.cloud.reported()[said:] {
			if times[up.Link]++; up.Away != (up.Link == active) {
				t.Errorf("link %s reports %v", up.Link, up.Away)
			}
		}
		if times[active] != 2 || times[next] != 2 { // one may be handled before an older one
			t.Errorf("said %v times", times)
		}
		w.restart()
		if got, _, _ := w.gate.Active(); got != next {
			t.Error("the switch was lost")
		}
		if err := w.Activate(cardea.LinkID{}); err != nil {
			t.Fatal(err)
		}
		w.denied(recs, cardea.ReasonGuest)
		w.answers(next, cardea.Allow, cardea.ReasonGranted)
		if err := w.Activate(cardea.LinkID{9}); !errors.Is(err, devicedb.ErrNotFound) {
			t.Errorf("a link that is not there: %v", err)
		}
		// A disk that does not take the switch leaves a guest, and nobody else.
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.Activate(active); err == nil {
			t.Error("it was kept on a closed disk")
		}
		w.denied(recs, cardea.ReasonGuest)
	})
}

// A reset leaves farewells that another key's agent sends, by HTTP alone.
func TestAbandon(t *testing.T) {
	one(t, func(w *world) {
		owner, other := w.family()
		w.cut()
		w.withdraw(recs, cardea.ReachEverywhere)
		full := errors.New("no room")
		if err := w.Abandon(func([]devicedb.Farewell) error { return full }); !errors.Is(err, full) {
			t.Fatal(err)
		}
		w.link(owner)
		w.link(other)
		if _, _, ok := w.gate.Active(); !ok {
			t.Error("what could not be kept was done")
		}
		var kept []devicedb.Farewell
		if err := w.Abandon(func(f []devicedb.Farewell) error { kept = f; return nil }); err != nil {
			t.Fatal(err)
		}
		if len(kept) != 2 {
			t.Fatalf("%d farewells", len(kept))
		}
		w.denied(recs, cardea.ReasonGuest)
		w.answers(other, cardea.Deny, cardea.ReasonUnknown)
		w.stop()

		w.dir, w.key = t.TempDir(), newKey(t)
		db := devicedbtest.OpenAt(t, filepath.Join(w.dir, "device.db"))
		for _, f := range kept {
			if err := db.KeepFarewell(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		w.start()
		w.mend()
		published := w.counts().ups
		sleep(2 * time.Hour)
		if n := w.farewells(); n != 0 {
			t.Errorf("%d farewells are left", n)
		}
		if w.counts().ups != published {
			t.Error("they were published on another device's topic")
		}
		for _, id := range []cardea.LinkID{owner, other} {
			if p := w.cloud.links[id]; !p.closed {
				t.Errorf("link %s is not closed", id)
			}
		}
		if got := w.cloud.fold(w.peer, recs); got == cardea.ReasonGranted {
			t.Error("what was said before the reset was lost")
		}
		// What the old owner's cloud still states does nothing to the new owner.
		w.peer = w.join()
		sleep(2 * time.Second)
		refused := w.Status().Refused[syncer.RefusedForeign]
		w.send(w.cloud.push(w.cloud.links[owner]))
		sleep(time.Second)
		if got := w.Status().Refused[syncer.RefusedForeign]; got != refused+1 {
			t.Errorf("an old statement was not refused as foreign: %d after %d", got, refused)
		}
		w.answers(owner, cardea.Deny, cardea.ReasonUnknown)
	})
}
