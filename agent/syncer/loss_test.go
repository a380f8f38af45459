package syncer_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// stopped is a device that has just heard "stopped", before its database followed:
// the files as they are in that moment.
func stopped(w *world) {
	w.t.Helper()
	w.owner(cardea.ActGrant, recs)
	w.owner(cardea.ActGrant, habits)
	if err := w.db.PutTokens(w.peer.id, pairing.Tokens{RefreshToken: "a refresh token"}); err != nil {
		w.t.Fatal(err)
	}
	w.cut()
	before := w.image()
	w.withdraw(recs, cardea.ReachDevice)
	w.denied(recs, cardea.ReasonWithdrawn)
	w.stop()
	w.db.Close()
	before.write(w.t, ".db")
}

func (w *world) journal() string { return filepath.Join(w.dir, "device.journal") }

// What can happen to the journal in that moment.
var losses = map[string]func(w *world) error{
	"cut off at 0":   func(w *world) error { return os.Truncate(w.journal(), 0) },
	"cut off at 1":   func(w *world) error { return os.Truncate(w.journal(), 1) },
	"cut off at 512": func(w *world) error { return os.Truncate(w.journal(), 512) },
	"emptied":        func(w *world) error { return os.WriteFile(w.journal(), nil, 0o600) },
	"deleted":        func(w *world) error { return os.Remove(w.journal()) },
	"zeroed":         func(w *world) error { return os.WriteFile(w.journal(), make([]byte, 32*4096), 0o600) },
}

// A stop that was lost with the journal denies everything, whatever the cloud
// states and however often the agent starts, until the owner has confirmed. Then
// what they allow is allowed and the rest is not.
func TestLostStopDeniesUntilConfirmed(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(losses)) {
		run(t, name, func(t *testing.T, w *world) {
			stopped(w)
			if err := losses[name](w); err != nil {
				t.Fatal(err)
			}
			w.start()
			w.denied(recs, cardea.ReasonStore)
			w.denied(habits, cardea.ReasonStore)
			w.restart()
			loss := w.stored().Loss
			w.mend()
			sleep(2 * time.Second)
			for range 3 {
				w.denied(recs, cardea.ReasonForked)
				w.denied(habits, cardea.ReasonForked)
				w.owner(cardea.ActGrant, voice) // a statement confirms nothing
				w.restart()
			}
			w.cloud.confirm(cardea.NewID[cardea.LossID]()) // another one
			w.owner(cardea.ActDeny, recs)
			w.denied(habits, cardea.ReasonForked)

			w.cloud.confirm(loss)
			w.owner(cardea.ActGrant, voice)
			for range 2 {
				w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
				w.denied(recs, cardea.ReasonWithdrawn)
				w.restart()
			}
			ups := w.cloud.reported()
			if got := ups[len(ups)-1].Loss; !got.IsZero() {
				t.Errorf("it still tells of %s", got)
			}
			if !slices.ContainsFunc(ups, func(u cardea.Up) bool { return u.Loss == loss }) || ups[0].Log == ups[len(ups)-1].Log {
				t.Error("the cloud has not heard of it, or not in a new log")
			}
		})
	}
}

// The database is lost as well: the link comes back by its tokens, and is not
// paired again.
func TestLostStopAndDatabase(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(losses)) {
		run(t, name, func(t *testing.T, w *world) {
			stopped(w)
			if err := errors.Join(losses[name](w), os.Remove(filepath.Join(w.dir, "device.db"))); err != nil {
				t.Fatal(err)
			}
			w.start()
			w.restart()
			w.regain()
			w.mend()
			sleep(2 * time.Second)
			w.denied(recs, cardea.ReasonForked)
			w.denied(habits, cardea.ReasonForked)
			w.cloud.confirm(w.stored().Loss)
			w.owner(cardea.ActDeny, recs)
			w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
			w.denied(recs, cardea.ReasonWithdrawn)
		})
	}
}

// A journal that is whole is replayed, and nobody is asked.
func TestReplayedStopAsksNobody(t *testing.T) {
	run(t, "journal whole", func(t *testing.T, w *world) {
		stopped(w)
		w.start()
		w.denied(recs, cardea.ReasonWithdrawn)
		w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
		w.mend()
		sleep(2 * time.Second)
		w.wants(habits, cardea.AllowLocal, cardea.ReasonGranted)
		if got := w.cloud.fold(w.peer, recs); got != cardea.ReasonWithdrawn {
			t.Errorf("the cloud says %s", got)
		}
		for _, up := range w.cloud.reported() {
			if !up.Loss.IsZero() {
				t.Fatal("a loss was told")
			}
		}
	})
}
