package accountdb_test

import (
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// Live links that were last heard of before a time are silent since.
func TestSilent(t *testing.T) {
	db := accountdbtest.Open(t)
	update(t, db, func(tx *accountdb.Tx) error {
		account, err := tx.CreateAccount()
		if err != nil {
			return err
		}
		for i, seen := range []cardea.Millis{100, 200, 300} {
			device := cardea.DeviceID([]string{"a", "b", "c"}[i])
			if err := tx.PutDevice(accountdb.Device{ID: device, PublicKey: []byte("{}")}); err != nil {
				return err
			}
			l := accountdb.Link{ID: cardea.LinkID{byte(i + 1)}, Account: account.ID, Device: device, Grant: string(device), State: accountdb.LinkLive}
			if err := tx.CreateLink(l, [32]byte{}, "x"); err != nil {
				return err
			}
			l.LastSeen = seen
			if err := tx.SetReported(l); err != nil {
				return err
			}
		}
		return tx.SetState(cardea.LinkID{2}, accountdb.LinkClosed, cardea.OrderID{})
	})
	for since, want := range map[cardea.Millis]int{100: 0, 101: 1, 300: 1, 301: 2} {
		update(t, db, func(tx *accountdb.Tx) error {
			if n, err := tx.Silent(since); err != nil || n != want {
				t.Errorf("%d are silent since %d, want %d: %v", n, since, want, err)
			}
			return nil
		})
	}
}
