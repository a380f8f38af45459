package accountdb

import (
	"time"

	"github.com/cardea-id/cardea"
)

// Orders lists what a link's device is asked to do and has not proved done, in
// the order of their ids.
func (tx *Tx) Orders(link cardea.LinkID) ([]cardea.Order, error) {
	return list(tx, func(s scanner) (o cardea.Order, err error) {
		err = s.Scan(id(&o.ID), &o.Kind)
		return o, err
	}, `SELECT id, kind FROM orders WHERE link = ? AND done = 0 ORDER BY id`, link[:])
}

// PutOrder has a device asked for something once.
func (tx *Tx) PutOrder(link cardea.LinkID, kind cardea.OrderKind) error {
	order := cardea.NewID[cardea.OrderID]()
	return tx.exec(`INSERT INTO orders (link, id, kind, ordered) VALUES (?, ?, ?, ?)`, link[:], order[:], kind, tx.Millis())
}

// OrderDone notes that a device has proved an order done, and tells whether that
// is news.
func (tx *Tx) OrderDone(link cardea.LinkID, order cardea.OrderID) (bool, error) {
	return tx.change(`UPDATE orders SET done = ? WHERE link = ? AND id = ? AND done = 0`, tx.Millis(), link[:], order[:])
}

// DropOrders takes back what was not done within a time, and tells whether there
// was any.
func (tx *Tx) DropOrders(link cardea.LinkID, kind cardea.OrderKind, within time.Duration) (bool, error) {
	return tx.change(`DELETE FROM orders WHERE link = ? AND kind = ? AND done = 0 AND ordered < ?`, link[:], kind, tx.Millis().Add(-within))
}

// SetLinkName records the name the owner gives a device.
func (tx *Tx) SetLinkName(l Link, name string) error {
	sealed, err := tx.SealFor(l.Account, nameLabel(l.ID), []byte(name))
	if err != nil {
		return err
	}
	return tx.exec(`UPDATE links SET name_sealed = ? WHERE id = ?`, sealed, l.ID[:])
}

// SetMissed notes that a link's owner misses the device, or that they have it
// again: its statement is built anew.
func (tx *Tx) SetMissed(link cardea.LinkID, missed bool) error {
	var at cardea.Millis
	if missed {
		at = tx.Millis()
	}
	if err := tx.exec(`UPDATE links SET missed = ? WHERE id = ?`, at, link[:]); err != nil {
		return err
	}
	return tx.Outdate(link)
}

// Retire ends the use of a device's key: it makes no new link. Those there are go
// on.
func (tx *Tx) Retire(device cardea.DeviceID) error {
	return tx.exec(`UPDATE devices SET retired = ? WHERE id = ? AND retired = 0`, tx.Millis(), device)
}

// Retired reports whether a device's key makes no new link.
func (tx *Tx) Retired(device cardea.DeviceID) (bool, error) {
	var n int
	err := tx.row(`SELECT COUNT(*) FROM devices WHERE id = ? AND retired <> 0`, device).Scan(&n)
	return n > 0, err
}
