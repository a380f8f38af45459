package accountdb_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Devices that have something to prove are found, once a while has passed, until
// they have proved it or are gone.
func TestPromises(t *testing.T) {
	db, _ := openLogins(t)
	account := lite(t, db, testEmail)
	link := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: account, Device: cardea.DeviceID(strings.Repeat("d", 43)), Grant: "g1"}
	body, err := wire.EncodeBody(cardea.Body{Identity: cardea.Identity{Subject: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		return errors.Join(
			tx.PutDevice(accountdb.Device{ID: link.Device, PublicKey: []byte("{}"), Kind: "car"}),
			tx.CreateLink(link, [32]byte{}, "Car"),
			tx.PutStatement(link.ID, accountdb.Statement{Revision: 1, Body: body, BodyHash: wire.BodyHash(body)}),
			tx.SetBuilt(link.ID, 1, cardea.Position{}, cardea.Hash{}),
		)
	})
	wants := func(when string, promises, erasures int) {
		t.Helper()
		update(t, db, func(tx *accountdb.Tx) error {
			all, err := tx.Promises(cardea.LinkID{}, 0, 10)
			n, due, wrong := tx.ErasuresWaiting()
			if len(all) != promises || n != erasures || (due != 0) != (n > 0) {
				t.Errorf("%s: %+v, %d erasures by %d", when, all, n, due)
			}
			for _, p := range all {
				if p.Link.ID != link.ID || p.Subject == "" || (p.Erases != 0) != (erasures > 0) {
					t.Errorf("%s: %+v", when, p)
				}
			}
			return errors.Join(err, wrong)
		})
	}
	wants("behind", 1, 0)
	update(t, db, func(tx *accountdb.Tx) error {
		all, err := tx.Promises(link.ID, 0, 10)
		if len(all) != 0 {
			t.Errorf("above the last: %+v", all)
		}
		return errors.Join(err, tx.SetMissed(link.ID, true))
	})
	wants("missed", 0, 0)
	update(t, db, func(tx *accountdb.Tx) error { return tx.SetMissed(link.ID, false) })
	wants("there again", 1, 0)
	update(t, db, func(tx *accountdb.Tx) error {
		if unused, err := tx.Unused(account); err != nil || unused {
			t.Errorf("unused %v, %v", unused, err)
		}
		return nil
	})
	update(t, db, func(tx *accountdb.Tx) error {
		return tx.Erase(account, cardea.Hash{1}, tx.Millis(), cardea.ChannelPortal)
	})
	wants("erased", 1, 1)
	update(t, db, func(tx *accountdb.Tx) error { return tx.LinkErased(link.ID) })
	wants("proved", 0, 0)
}

// An account of which nothing is proved and that did nothing leaves nothing.
func TestUnconfirmedAndUnused(t *testing.T) {
	db, _ := openLogins(t)
	var stays, goes cardea.AccountID
	update(t, db, func(tx *accountdb.Tx) (err error) {
		if stays, err = tx.RegisterLite("Bob", "bob@example.com"); err != nil {
			return err
		}
		if _, err = tx.SetRoles(stays, "driver"); err != nil {
			return err
		}
		goes, err = tx.RegisterLite("Ada", testEmail)
		return errors.Join(err, tx.Post(goes, accountdb.Letter{To: testEmail}, time.Hour))
	})
	update(t, db, func(tx *accountdb.Tx) error {
		found, err := tx.Unconfirmed(0, 10)
		if len(found) != 2 {
			t.Errorf("found %v", found)
		}
		if young, _ := tx.Unconfirmed(time.Hour, 10); len(young) != 0 {
			t.Errorf("younger than an hour: %v", young)
		}
		return errors.Join(err, tx.DropUnused(goes))
	})
	if err := db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.DropUnused(stays) }); err == nil {
		t.Error("an account with a role was dropped")
	}
	err := db.View(t.Context(), func(tx *accountdb.Tx) error { _, err := tx.Account(goes); return err })
	if !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
}
