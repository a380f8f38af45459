package syncer_test

import (
	"testing"

	"github.com/cardea-id/cardea"
)

// What a denial deletes is in the next report, until the cloud has answered one,
// and once more after a restart.
func TestReportsWhatWasDeleted(t *testing.T) {
	run(t, "", func(t *testing.T, w *world) {
		const key = cardea.Key("recommendations/use")
		w.owner(cardea.ActGrant, key)
		w.allowed(key)
		collect := func() {
			item := cardea.Item{ID: cardea.NewID[cardea.ItemID](), Purpose: "recommendations", Needs: []cardea.Need{{Key: key}}, Data: []byte(`{"a":1}`)}
			out, err := w.db.Enqueue(w.peer.id, []cardea.Item{item}, func(cardea.Item) cardea.Reason { return cardea.ReasonGranted })
			if err != nil || out[0].Reason != cardea.ReasonGranted {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		// told is what the reports after the first n say.
		told := func(n int) (all []cardea.Kept, reports int) {
			w.cloud.mu.Lock()
			defer w.cloud.mu.Unlock()
			for _, up := range w.cloud.reports[n:] {
				if up.Purged != nil {
					all = append(all, up.Purged.Keys...)
				}
			}
			return all, len(w.cloud.reports)
		}
		collect()
		collect()
		_, before := told(0)
		if err := w.Withdraw(w.peer.id, key, cardea.ReachDevice, w.stored().Head); err != nil {
			t.Fatal(err)
		}
		sleep(0)
		got, after := told(before)
		if len(got) != 1 || got[0].Key != key || got[0].Deleted != 2 || got[0].Held != 0 {
			t.Errorf("%+v in %d reports", got, after-before)
		}
		w.restart()
		again, last := told(after)
		if len(again) != 1 || again[0].Deleted != 2 {
			t.Errorf("after a restart: %+v in %d reports", again, last-after)
		}
	})
}
