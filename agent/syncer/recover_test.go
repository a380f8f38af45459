package syncer_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

// A cloud that was put back is shown the very bytes it once signed, when it asks
// and not again, and its next statement is taken.
func TestShowsACloudWhatItForgot(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, recs)
		w.owner(cardea.ActGrant, voice)
		w.allowed(voice)
		held := w.stored()
		w.cut()
		w.cloud.mu.Lock()
		w.cloud.entries, w.cloud.era, w.cloud.lost, w.peer.revision = w.cloud.entries[:1], 2, true, 1
		before := len(w.cloud.reports)
		w.cloud.mu.Unlock()
		w.mend()
		sleep(20 * time.Second)
		reports := w.cloud.reported()[before:]
		if len(reports) < 3 || !bytes.Equal(reports[1].Held, held.Statement) {
			t.Fatalf("%d reports, and the second does not show what is held", len(reports))
		}
		for i, r := range reports {
			if i != 1 && len(r.Held) > 0 {
				t.Errorf("report %d shows it too", i)
			}
		}
		if now := w.stored(); now.Revision != held.Revision+1 || reports[2].Have.Revision != now.Revision {
			t.Errorf("revision %d is held and %d proved, want %d", now.Revision, reports[2].Have.Revision, held.Revision+1)
		}
		w.allowed(recs)
		w.denied(voice, cardea.ReasonNotAsked) // the grant is lost
	})
}

// To be asked is no answer that anything could rely on, and one that asks for
// ever is not answered at line rate.
func TestBeingAskedExtendsNothing(t *testing.T) {
	one(t, func(w *world) {
		w.owner(cardea.ActGrant, voice)
		w.owner(cardea.ActGrant, recs)
		w.cloud.mu.Lock()
		w.cloud.lost, w.cloud.deaf = true, true
		before := len(w.cloud.reports)
		end := w.cloud.answers[len(w.cloud.answers)-1].Time.Add(30 * time.Second)
		w.cloud.mu.Unlock()
		clock := w.gate.Clock().Time.Sub(cardea.MillisOf(time.Now()))
		w.cut()
		w.mend()
		sleep(time.Until(end.Time().Add(-time.Millisecond)))
		w.allowed(voice)
		sleep(time.Millisecond)
		w.denied(voice, cardea.ReasonStale)
		sleep(10 * time.Minute)
		w.denied(voice, cardea.ReasonStale)
		w.allowed(recs)
		if n := len(w.cloud.reported()) - before; n < 5 || n > 20 {
			t.Errorf("%d reports in ten minutes to a cloud that only asks", n)
		}
		if now := w.gate.Clock().Time.Sub(cardea.MillisOf(time.Now())); now != clock {
			t.Errorf("the clock moved by %v", now-clock)
		}
	})
}
