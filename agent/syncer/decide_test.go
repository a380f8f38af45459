package syncer_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/syncer"
	"github.com/cardea-id/cardea/store/devicedb"
)

func (w *world) withdraw(key cardea.Key, reach cardea.Reach) {
	w.t.Helper()
	if err := w.Withdraw(w.peer.id, key, reach, w.stored().Head); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) allow(key cardea.Key) {
	w.t.Helper()
	if err := w.Allow(w.peer.id, key, 1, notice, cardea.ReachDevice, w.stored().Head); err != nil {
		w.t.Fatal(err)
	}
}

// A no said offline is in force when the call returns, survives a restart and a
// reboot, and reaches the ledger when the network is back.
func TestOfflineWithdrawal(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cut()
		generation := w.gate.Generation()
		w.withdraw(recs, cardea.ReachDevice)
		w.denied(recs, cardea.ReasonWithdrawn)
		if w.gate.Generation() == generation {
			t.Error("the generation stands still")
		}
		w.restart()
		w.denied(recs, cardea.ReasonWithdrawn)
		w.restartAfterReboot("boot two")
		w.denied(recs, cardea.ReasonWithdrawn)
		w.mend()
		synctest.Wait()
		w.denied(recs, cardea.ReasonWithdrawn)
		if got := w.cloud.fold(w.peer, recs); got != cardea.ReasonWithdrawn {
			t.Errorf("in the ledger it stands as %s", got)
		}
		if log := w.stored().Log; len(log.Entries) != 0 || log.N != 1 {
			t.Errorf("the log holds %d entries after %d", len(log.Entries), log.N)
		}
	})
}

func TestOnlineWithdrawalIsSentAtOnce(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.withdraw(recs, cardea.ReachDevice)
		synctest.Wait()
		if got := w.cloud.fold(w.peer, recs); got != cardea.ReasonWithdrawn {
			t.Errorf("in the ledger it stands as %s", got)
		}
	})
}

// "Everywhere" denies here and everywhere.
func TestWithdrawEverywhere(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.withdraw(recs, cardea.ReachEverywhere)
		w.denied(recs, cardea.ReasonWithdrawn)
		synctest.Wait()
		if a := w.gate.Decide(cardea.Query{Key: recs}); a.Allowed() {
			t.Errorf("after the ledger has it: %+v", a)
		}
		w.cloud.mu.Lock()
		anywhere := cardea.Fold(w.cloud.entries).Anywhere(recs, terms()[recs])
		w.cloud.mu.Unlock()
		if anywhere.Given() {
			t.Error("other devices go on")
		}
	})
}

// Saying no twice is one no.
func TestWithdrawTwice(t *testing.T) {
	one(t, func(w *world) {
		w.cut()
		for range 3 {
			w.withdraw(recs, cardea.ReachEverywhere)
		}
		w.withdraw(recs, cardea.ReachDevice)
		if n := len(w.stored().Log.Entries); n != 2 {
			t.Errorf("%d entries, want one for each reach", n)
		}
	})
}

// A stop and then an allow on one offline device ends allowed: the yes has seen
// the no.
func TestStopThenAllowOffline(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.owner(cardea.ActGrant, habits)
		w.cut()
		for _, key := range []cardea.Key{recs, habits} {
			w.withdraw(key, cardea.ReachDevice)
			w.denied(key, cardea.ReasonWithdrawn)
			w.allow(key)
		}
		w.restart()
		w.mend()
		synctest.Wait()
		w.allowed(recs)
		w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
	})
}

// A yes said here opens only what stays here until the cloud has weighed it.
func TestOfflineAllow(t *testing.T) {
	one(t, func(w *world) {
		w.cut()
		w.allow(recs)
		w.allow(habits)
		w.denied(recs, cardea.ReasonNotAsked)
		w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
		w.mend()
		synctest.Wait()
		w.allowed(recs)
	})
}

// Withdrawn here, and granted in the portal by somebody who did not know: no.
func TestConcurrentNoWins(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cut()
		w.withdraw(recs, cardea.ReachDevice)
		w.cloud.decide(cardea.ActGrant, recs, cardea.Scope{})
		w.mend()
		synctest.Wait()
		if a := w.gate.Decide(cardea.Query{Key: recs}); a.Allowed() {
			t.Errorf("allowed past a denial: %+v", a)
		}
		if w.cloud.fold(w.peer, recs) == cardea.ReasonGranted {
			t.Error("the ledger gives it")
		}
	})
}

func TestPreferenceAndItsRejection(t *testing.T) {
	one(t, func(w *world) {
		w.cloud.reject = cardea.RejectedConflict
		w.cut()
		if err := w.Prefer(w.peer.id, "voice_speed", "3", cardea.ReachDevice, w.stored().Head); err != nil {
			t.Fatal(err)
		}
		event := w.stored().Log.Entries[0].Event
		w.mend()
		synctest.Wait()
		l := w.stored()
		if len(l.Log.Entries) != 0 || len(l.Rejected) != 1 || l.Rejected[0].Event != event || l.Rejected[0].Reason != cardea.RejectedConflict {
			t.Errorf("the log holds %d, rejected %v", len(l.Log.Entries), l.Rejected)
		}
	})
}

// More decisions than one report takes go in several.
func TestManyDecisions(t *testing.T) {
	one(t, func(w *world) {
		w.cut()
		for i := range 200 {
			value := cardea.Value(`"` + strings.Repeat("x", 300+i) + `"`)
			if err := w.Prefer(w.peer.id, "voice_speed", value, cardea.ReachDevice, w.stored().Head); err != nil {
				t.Fatal(err)
			}
		}
		w.mend()
		synctest.Wait()
		if n := len(w.stored().Log.Entries); n != 0 {
			t.Errorf("%d decisions still wait", n)
		}
		w.cut()
		for {
			err := w.Prefer(w.peer.id, "voice_speed", "1", cardea.ReachDevice, cardea.Position{})
			if errors.Is(err, syncer.ErrFull) {
				break
			}
			if err != nil || len(w.stored().Log.Entries) > 1000 {
				t.Fatalf("%d wait, %v", len(w.stored().Log.Entries), err)
			}
		}
		w.withdraw(recs, cardea.ReachDevice) // a no is never refused
	})
}

// A cloud that answers and takes nothing is not asked at line rate, and nothing
// is forgotten.
func TestCloudThatTakesNothing(t *testing.T) {
	one(t, func(w *world) {
		w.cloud.mu.Lock()
		w.cloud.idle = true
		w.cloud.mu.Unlock()
		w.cut()
		for range 100 {
			if err := w.Prefer(w.peer.id, "voice_speed", "3", cardea.ReachDevice, w.stored().Head); err != nil {
				t.Fatal(err)
			}
		}
		w.mend()
		sleep(10 * time.Minute)
		if n := len(w.cloud.reported()); n > 20 {
			t.Errorf("%d reports in ten minutes", n)
		}
		before := len(w.cloud.reported())
		w.withdraw(recs, cardea.ReachDevice)
		synctest.Wait()
		if len(w.cloud.reported()) == before {
			t.Error("a no had to wait")
		}
		if n := len(w.stored().Log.Entries); n != 101 {
			t.Errorf("%d decisions are held", n)
		}
		w.cloud.mu.Lock()
		w.cloud.idle = false
		w.cloud.mu.Unlock()
		sleep(2 * time.Minute)
		if n := len(w.stored().Log.Entries); n != 0 {
			t.Errorf("%d decisions are held", n)
		}
	})
}

func TestDecisionsNobodyCouldRead(t *testing.T) {
	one(t, func(w *world) {
		s, id, head := w.Syncer, w.peer.id, w.stored().Head
		bad := map[string]error{
			"key":        s.Withdraw(id, "no key", cardea.ReachDevice, head),
			"reach":      s.Allow(id, recs, 1, notice, "galaxy", head),
			"version":    s.Allow(id, recs, 0, notice, cardea.ReachDevice, head),
			"notice":     s.Allow(id, recs, 1, cardea.Hash{}, cardea.ReachDevice, head),
			"base":       s.Withdraw(id, recs, cardea.ReachDevice, cardea.Position{Seq: 3}),
			"preference": s.Prefer(id, "No Key", "1", cardea.ReachDevice, head),
			"value":      s.Prefer(id, "voice_speed", cardea.Value(strings.Repeat("x", 2000)), cardea.ReachDevice, head),
			"link":       s.Withdraw(cardea.NewID[cardea.LinkID](), recs, cardea.ReachDevice, head),
			"unlink":     s.Unlink(cardea.NewID[cardea.LinkID]()),
		}
		for name, err := range bad {
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if !errors.Is(bad["link"], devicedb.ErrNotFound) || !errors.Is(bad["unlink"], devicedb.ErrNotFound) {
			t.Errorf("an unknown link: %v, %v", bad["link"], bad["unlink"])
		}
		if len(w.stored().Log.Entries) != 0 {
			t.Error("something was kept")
		}
	})
}

// A disk that takes no denial makes the whole link deny, whatever the cloud
// says meanwhile.
func TestDiskFails(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.owner(cardea.ActGrant, voice)
		w.db.Close()
		if err := w.Withdraw(w.peer.id, recs, cardea.ReachDevice, cardea.Position{}); err == nil {
			t.Error("a denial that was not kept was confirmed")
		}
		w.denied(recs, cardea.ReasonStore)
		w.denied(voice, cardea.ReasonStore)
		w.owner(cardea.ActGrant, habits)
		sleep(time.Minute)
		w.denied(habits, cardea.ReasonStore)
		if w.Status().Refused[syncer.RefusedStore] == 0 {
			t.Error("what could not be kept is not counted")
		}
	})
}

// A denial the disk did not take goes with the next write, before the link is
// asked again.
func TestDiskRecovers(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.owner(cardea.ActGrant, voice)
		kept := w.stored()
		if err := w.db.Delete(kept.ID); err != nil { // the write will fail
			t.Fatal(err)
		}
		if err := w.Withdraw(kept.ID, recs, cardea.ReachDevice, kept.Head); err == nil {
			t.Error("a denial that was not kept was confirmed")
		}
		w.denied(voice, cardea.ReasonStore)
		if err := w.db.Put(kept); err != nil {
			t.Fatal(err)
		}
		sleep(time.Minute)
		w.allowed(voice)
		w.denied(recs, cardea.ReasonWithdrawn)
		if got := w.cloud.fold(w.peer, recs); got != cardea.ReasonWithdrawn {
			t.Errorf("in the ledger it stands as %s", got)
		}
	})
}

// The database put back to an earlier state has lost a withdrawal the cloud has
// seen: the link denies until the cloud has taken a new log.
func TestRolledBackDatabase(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.owner(cardea.ActGrant, voice)
		path := filepath.Join(w.dir, "device.db")
		w.stop()
		w.db.Close()
		copyFile(t, path, path+".old")
		w.start()
		synctest.Wait()
		log := w.stored().Log.ID
		w.withdraw(voice, cardea.ReachDevice)
		synctest.Wait()
		w.stop()
		w.db.Close()
		copyFile(t, path+".old", path)
		w.cut()
		w.start()
		w.withdraw(recs, cardea.ReachDevice) // number 1 of the same log, other content
		w.mend()
		synctest.Wait()
		w.denied(voice, cardea.ReasonWithdrawn)
		w.denied(recs, cardea.ReasonWithdrawn)
		l := w.stored()
		if l.Log.ID == log || l.Bar != "" {
			t.Errorf("log kept: %t, bar %q", l.Log.ID == log, l.Bar)
		}
		if got := w.cloud.fold(w.peer, recs); got != cardea.ReasonWithdrawn {
			t.Errorf("the withdrawal said after the roll-back stands as %s", got)
		}
		if !strings.Contains(w.logs.String(), "rolled back or cloned") {
			t.Error("nobody was told")
		}
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

// While the new log is not acknowledged the link denies, and the cloud is not
// asked at line rate.
func TestForkedUntilTheCloudAgrees(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		w.withdraw(recs, cardea.ReachDevice)
		synctest.Wait()
		w.cloud.mu.Lock()
		w.cloud.stuck = cardea.Seen{Log: cardea.NewID[cardea.LogID](), N: 7, Hash: cardea.Hash{7}}
		before := len(w.cloud.reports)
		w.cloud.mu.Unlock()
		sleep(10 * time.Minute)
		w.denied(voice, cardea.ReasonRollback)
		if n := len(w.cloud.reported()) - before; n > 20 {
			t.Errorf("%d reports in ten minutes", n)
		}
		w.restart()
		w.denied(voice, cardea.ReasonRollback)
		w.cloud.mu.Lock()
		w.cloud.stuck = cardea.Seen{}
		w.cloud.mu.Unlock()
		sleep(2 * time.Minute)
		w.allowed(voice)
		w.denied(recs, cardea.ReasonRefused)
	})
}

// A message of before the acknowledgement is no sign of a fork.
func TestOldSeenIsNoFork(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		w.withdraw(recs, cardea.ReachDevice)
		synctest.Wait()
		w.cloud.decide(cardea.ActGrant, habits, cardea.Scope{})
		w.cloud.mu.Lock()
		w.cloud.build(w.peer)
		d := w.cloud.down(w.peer, cardea.Nonce{})
		d.Seen = cardea.Seen{}
		payload := w.cloud.seal(w.peer, d)
		w.cloud.mu.Unlock()
		w.send(payload)
		w.allowed(voice)
		w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
	})
}

// A cloud put back to an earlier state has forgotten a withdrawal; the device
// has not.
func TestRestoredCloud(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.owner(cardea.ActGrant, voice)
		w.owner(cardea.ActDeny, recs)
		w.cloud.mu.Lock()
		w.cloud.entries = slices.Clone(w.cloud.entries[:2])
		w.cloud.era++
		w.cloud.mu.Unlock()
		w.send(w.cloud.push(w.peer))
		w.denied(recs, cardea.ReasonRollback)
		w.allowed(voice)
		w.restart()
		w.denied(recs, cardea.ReasonRollback)
		w.owner(cardea.ActGrant, recs)
		w.allowed(recs)
	})
}

// The memory of a withdrawal survives a statement that leaves the key out.
func TestLeftOutAndGivenByAnOlderDecision(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.cloud.mu.Lock()
		given := slices.Clone(w.peer.body)
		w.cloud.mu.Unlock()
		w.owner(cardea.ActDeny, recs)
		for _, body := range [][]byte{nil, given} {
			w.cloud.mu.Lock()
			if body == nil {
				w.cloud.put(w.peer, cardea.Body{})
			} else {
				w.peer.body, w.peer.revision = body, w.peer.revision+1
			}
			w.cloud.frozen = true
			payload := w.cloud.seal(w.peer, w.cloud.down(w.peer, cardea.Nonce{}))
			w.cloud.mu.Unlock()
			w.send(payload)
		}
		w.denied(recs, cardea.ReasonRollback)
	})
}
