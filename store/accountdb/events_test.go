package accountdb_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// collecting is a link, and transactions on its database.
func collecting(t *testing.T) (accountdb.Link, func(func(*accountdb.Tx) error)) {
	t.Helper()
	db := accountdbtest.Open(t)
	account := accountdbtest.Account(t, db)
	link := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: account.ID, Device: cardea.DeviceID(strings.Repeat("d", 43))}
	update := func(f func(*accountdb.Tx) error) {
		t.Helper()
		if err := db.Update(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *accountdb.Tx) error {
		if err := tx.PutDevice(accountdb.Device{ID: link.Device, PublicKey: []byte("{}"), Kind: "speaker"}); err != nil {
			return err
		}
		return tx.CreateLink(link, [32]byte{1}, "Kitchen")
	})
	return link, update
}

func someItem(n uint64) cardea.Item {
	return cardea.Item{N: n, ID: cardea.NewID[cardea.ItemID](), Purpose: "music", Source: "player", Method: cardea.MethodTold, Data: []byte(`{"a":1}`)}
}

func TestEvents(t *testing.T) {
	link, update := collecting(t)
	item := someItem(3)
	decision := cardea.NewID[cardea.DecisionID]()
	queue := cardea.NewID[cardea.QueueID]()
	update(func(tx *accountdb.Tx) error {
		if err := tx.StoreEvent(link, item, decision); err != nil {
			return err
		}
		return tx.SetEventQueue(link.ID, queue, 3)
	})
	var event int64
	update(func(tx *accountdb.Tx) error {
		stored, err := tx.EventQueue(link.ID, queue)
		if err != nil || stored != 3 {
			t.Errorf("stored up to %d, %v", stored, err)
		}
		if other, err := tx.EventQueue(link.ID, cardea.NewID[cardea.QueueID]()); err != nil || other != 0 {
			t.Errorf("another queue: %d, %v", other, err)
		}
		if n, err := tx.EventsWaiting(link.Account); err != nil || n != 1 {
			t.Errorf("%d wait, %v", n, err)
		}
		if n, since, err := tx.AllEventsWaiting(); err != nil || n != 1 || since == 0 {
			t.Errorf("%d wait since %d, %v", n, since, err)
		}
		if err := tx.ClaimEvents("one", 10); err != nil {
			return err
		}
		got, err := tx.ClaimedEvents("one")
		if err != nil || len(got) != 1 || got[0].Item.ID != item.ID || string(got[0].Item.Data) != string(item.Data) || got[0].Decision != decision || got[0].Link != link.ID {
			t.Fatalf("%+v, %v", got, err)
		}
		event = got[0].ID
		return nil
	})
	update(func(tx *accountdb.Tx) error {
		if err := tx.ClaimEvents("another", 10); err != nil {
			return err
		}
		if got, err := tx.ClaimedEvents("another"); err != nil || len(got) != 0 {
			t.Errorf("two clouds have %v, %v", got, err)
		}
		if found, err := tx.DropEvent("another", event); err != nil || found {
			t.Errorf("dropped by who has not claimed it: %t, %v", found, err)
		}
		return tx.RetryEvent("one", event, tx.Millis().Add(time.Hour))
	})
	update(func(tx *accountdb.Tx) error {
		if err := tx.ClaimEvents("one", 10); err != nil {
			return err
		}
		if got, err := tx.ClaimedEvents("one"); err != nil || len(got) != 0 {
			t.Errorf("claimed before its time: %v, %v", got, err)
		}
		next, ok, err := tx.NextEvent("one", time.Minute)
		if err != nil || !ok || next <= tx.Millis() {
			t.Errorf("next %d %t, %v", next, ok, err)
		}
		return nil
	})
}

// What a cloud has claimed and not finished goes to another, once, and the first
// is told what it is.
func TestOvertakeEvents(t *testing.T) {
	link, update := collecting(t)
	items := []cardea.Item{someItem(1), someItem(2), someItem(3)}
	update(func(tx *accountdb.Tx) error {
		for _, i := range items {
			if err := tx.StoreEvent(link, i, cardea.NewID[cardea.DecisionID]()); err != nil {
				return err
			}
		}
		return tx.ClaimEvents("one", 2)
	})
	update(func(tx *accountdb.Tx) error {
		if err := tx.DropItem("one", items[0].ID); err != nil {
			return err
		}
		if n, err := tx.OvertakeEvents("two", tx.Millis().Add(-time.Hour)); err != nil || n != 0 {
			t.Errorf("%d were taken over at once, %v", n, err)
		}
		if next, ok, err := tx.NextEvent("two", time.Hour); err != nil || !ok || next > tx.Millis() {
			t.Errorf("next %d %t, %v", next, ok, err)
		}
		if n, err := tx.OvertakeEvents("two", tx.Millis().Add(time.Hour)); err != nil || n != 1 {
			t.Errorf("%d were taken over, %v", n, err)
		}
		return tx.ClaimEvents("two", 10)
	})
	update(func(tx *accountdb.Tx) error {
		got, err := tx.ClaimedEvents("two")
		if err != nil || len(got) != 2 || got[0].Item.ID != items[1].ID || got[1].Item.ID != items[2].ID {
			t.Errorf("%+v, %v", got, err)
		}
		taken, err := tx.Overtaken("one")
		if err != nil || !slices.Equal(taken, []cardea.ItemID{items[1].ID}) {
			t.Errorf("%v, %v", taken, err)
		}
		if err := tx.ForgetOvertaken("one"); err != nil {
			return err
		}
		if taken, err = tx.Overtaken("one"); err != nil || len(taken) != 0 {
			t.Errorf("%v, %v", taken, err)
		}
		return tx.ReleaseEvents("two")
	})
}

// With an account goes what waits of it. That it was erased follows what went
// before, if something did.
func TestErasedEvents(t *testing.T) {
	for _, collected := range []bool{false, true} {
		link, update := collecting(t)
		update(func(tx *accountdb.Tx) error {
			if !collected {
				return tx.Erase(link.Account, cardea.Hash{1}, tx.Millis(), cardea.ChannelPortal)
			}
			if err := tx.SetEventQueue(link.ID, cardea.NewID[cardea.QueueID](), 1); err != nil {
				return err
			}
			if err := tx.StoreEvent(link, someItem(1), cardea.NewID[cardea.DecisionID]()); err != nil {
				return err
			}
			return tx.Erase(link.Account, cardea.Hash{1}, tx.Millis(), cardea.ChannelPortal)
		})
		update(func(tx *accountdb.Tx) error {
			if err := tx.ClaimEvents("one", 10); err != nil {
				return err
			}
			got, err := tx.ClaimedEvents("one")
			switch {
			case err != nil:
				return err
			case !collected && len(got) > 0, collected && (len(got) != 1 || !got[0].Erased || len(got[0].Item.Data) > 0):
				t.Errorf("collected: %t, and there wait %+v", collected, got)
			case collected:
				e, err := tx.ErasureOf(link.Account)
				if err != nil || got[0].Item.ID != cardea.ItemID(e.ID) {
					t.Errorf("%v, %v", got[0].Item.ID, err)
				}
			}
			return nil
		})
	}
}

// A report that comes late or twice changes nothing; two queues add up.
func TestPurged(t *testing.T) {
	link, update := collecting(t)
	kept := func(deleted, held uint64) []cardea.Kept {
		return []cardea.Kept{{Key: "music/use", Deleted: deleted, Held: held}}
	}
	first, second := cardea.NewID[cardea.QueueID](), cardea.NewID[cardea.QueueID]()
	for _, p := range []cardea.Purged{
		{Queue: first, N: 2, Keys: kept(5, 1)}, {Queue: first, N: 1, Keys: kept(2, 4)}, {Queue: first, N: 2, Keys: kept(5, 1)},
		{Queue: second, N: 1, Keys: kept(7, 0)},
	} {
		update(func(tx *accountdb.Tx) error { return tx.PutPurged(link.ID, p) })
	}
	update(func(tx *accountdb.Tx) error {
		got, err := tx.Purged(link.ID)
		if err != nil || !slices.Equal(got, kept(12, 1)) {
			t.Errorf("%+v, %v", got, err)
		}
		return nil
	})
}
