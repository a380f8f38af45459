package hub_test

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Ten thousand changes, in bursts as they come, pushed to a connected device:
// every burst costs a statement, the report that proves it and the renewal that
// answers it, and nothing answers a renewal. Two livelocks were found in a design
// where a proof was an entry.
func TestMessagesPerChange(t *testing.T) {
	const changes, burst = 10_000, 100
	h := newHouse(t)
	d := h.pair("g1")
	d.sync()
	h.pipe.connect(d.id)
	h.run()
	pushed, reports, answers := 0, 0, 0
	for done := 0; done < changes; done += burst {
		revision := d.have.Revision
		h.burst(burst)
		for d.have.Revision == revision {
			pushed++
			if down := d.apply(d.open(<-h.pipe.sent)); down.Renewal() {
				t.Fatal("a renewal was pushed")
			}
		}
		for proved := false; !proved; {
			reports, answers = reports+1, answers+1
			proved = d.exchange().Renewal()
		}
	}
	for len(h.pipe.sent) > 0 {
		<-h.pipe.sent
		pushed++
	}
	total := pushed + reports + answers
	t.Logf("%d changes in %d bursts: %d statements pushed, %d reports, %d answers: %.3f messages a change, %.2f a burst",
		changes, changes/burst, pushed, reports, answers, float64(total)/changes, float64(total)*burst/changes)
	if bursts := changes / burst; reports > bursts+bursts/20 || pushed > bursts+bursts/20 {
		t.Errorf("%d statements were pushed and %d reports needed for %d bursts", pushed, reports, bursts)
	}
}

// burst appends denials. The last of them has another place in the ledger each
// time, so that every burst makes a statement.
func (h *house) burst(n int) {
	h.t.Helper()
	err := h.db.Update(context.Background(), func(tx *accountdb.Tx) error {
		for range n {
			e := cardea.Entry{
				Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: recommend},
				By:       cardea.Owner, Channel: cardea.ChannelPortal,
			}
			if _, err := tx.Append(h.account.ID, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.hub.Wake(h.account.ID)
}
