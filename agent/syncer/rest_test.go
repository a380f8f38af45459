package syncer_test

import (
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/syncer"
)

// poweredUp starts a device anew that leaves its cloud alone for a while.
func (w *world) poweredUp(rest time.Duration) {
	w.configure = func(c *syncer.Config) { c.Rest = rest }
	w.restart()
}

func (w *world) spoken() int {
	c := w.counts()
	return c.ups + c.posts + c.lists
}

// A street has its power back: its devices come to the cloud over a minute, by no
// way earlier, and all of them.
func TestAStreetComesBackOverAMinute(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		var parts [6]int
		for range 120 {
			w.poweredUp(time.Minute)
			before, at := w.spoken(), 0
			for ; w.spoken() == before; at++ {
				if at > 60 {
					t.Fatal("a device is silent for more than a minute")
				}
				sleep(time.Second)
			}
			parts[max(at-1, 0)/10]++
			w.allowed(recs)
		}
		for i, n := range parts {
			if n == 0 {
				t.Errorf("nobody comes in part %d of the minute: %v", i, parts)
			}
		}
	})
}

// Whoever does something with the device ends its rest, and what it was told is
// not told later.
func TestSomebodyEndsTheRest(t *testing.T) {
	for name, act := range map[string]func(w *world) error{
		"withdraws": func(w *world) error { return w.Withdraw(w.peer.id, recs, cardea.ReachEverywhere, w.stored().Head) },
		"prefers": func(w *world) error {
			return w.Prefer(w.peer.id, "volume", "3", cardea.ReachDevice, w.stored().Head)
		},
		"leaves":     func(w *world) error { return w.Unlink(w.peer.id) },
		"turns away": func(w *world) error { return w.Activate(cardea.LinkID{}) },
		"is linked":  func(w *world) error { w.join(); return nil },
	} {
		run(t, name, func(t *testing.T, w *world) {
			w.poweredUp(1 << 50)
			before := w.spoken()
			sleep(time.Hour)
			if w.spoken() != before {
				t.Fatal("it does not rest")
			}
			if err := act(w); err != nil {
				t.Fatal(err)
			}
			sleep(time.Second)
			if w.spoken() == before {
				t.Error("nothing is sent")
			}
		})
	}
}

// What is decided while the device rests is enforced as ever.
func TestAnAgentThatStartsAnewDoesNotRest(t *testing.T) {
	one(t, func(w *world) {
		before := w.spoken()
		w.restart()
		if w.spoken() == before {
			t.Error("nothing is sent")
		}
	})
}
