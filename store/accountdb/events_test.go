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

func TestEvents(t *testing.T) {
	link, update := collecting(t)
	item := cardea.Item{N: 3, ID: cardea.NewID[cardea.ItemID](), Purpose: "music", Source: "player", Method: cardea.MethodTold, Data: []byte(`{"a":1}`)}
	decision := cardea.NewID[cardea.DecisionID]()
	queue := cardea.NewID[cardea.QueueID]()
	update(func(tx *accountdb.Tx) error {
		if err := tx.StoreEvent(link, "one", item, decision); err != nil {
			return err
		}
		return tx.SetEventQueue(link.ID, queue, 3)
	})
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
		if due, err := tx.DueEvents("another", 10); err != nil || len(due) != 0 {
			t.Errorf("another cloud has %v, %v", due, err)
		}
		due, err := tx.DueEvents("one", 10)
		if err != nil || len(due) != 1 || due[0].Item.ID != item.ID || string(due[0].Item.Data) != string(item.Data) || due[0].Decision != decision || due[0].Link != link.ID {
			t.Fatalf("%+v, %v", due, err)
		}
		return tx.RetryEvent(due[0].ID, tx.Millis().Add(time.Hour))
	})
	update(func(tx *accountdb.Tx) error {
		if due, err := tx.DueEvents("one", 10); err != nil || len(due) != 0 {
			t.Errorf("due before its time: %v, %v", due, err)
		}
		if err := tx.DropItem("another", item.ID); err != nil {
			return err
		}
		if n, err := tx.EventsWaiting(link.Account); err != nil || n != 1 {
			t.Errorf("%d wait, %v", n, err)
		}
		return tx.DropItem("one", item.ID)
	})
	update(func(tx *accountdb.Tx) error {
		if n, err := tx.EventsWaiting(link.Account); err != nil || n != 0 {
			t.Errorf("%d wait, %v", n, err)
		}
		return nil
	})
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
