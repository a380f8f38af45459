package accountdb

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
)

// An Event is an item of a device that waits to be passed on.
type Event struct {
	ID       int64 // of the row
	Account  cardea.AccountID
	Link     cardea.LinkID
	Item     cardea.Item
	Decision cardea.DecisionID // under which it was taken
	Stored   cardea.Millis
	Tries    int
}

const eventLabel = "event"

// EventQueue is up to which number a queue of a link was stored.
func (tx *Tx) EventQueue(link cardea.LinkID, queue cardea.QueueID) (stored uint64, err error) {
	stored, err = one(tx, func(s scanner) (n uint64, err error) {
		err = s.Scan(&n)
		return n, err
	}, `SELECT stored FROM event_queues WHERE link = ? AND queue = ?`, link[:], queue[:])
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return stored, err
}

// SetEventQueue notes it.
func (tx *Tx) SetEventQueue(link cardea.LinkID, queue cardea.QueueID, stored uint64) error {
	return tx.exec(`INSERT INTO event_queues (link, queue, stored) VALUES (?, ?, ?)
		ON CONFLICT (link, queue) DO UPDATE SET stored = excluded.stored`, link[:], queue[:], stored)
}

// StoreEvent has an item of a link wait for the cloud of that name to pass it on.
func (tx *Tx) StoreEvent(link Link, node string, item cardea.Item, decision cardea.DecisionID) error {
	plain, err := json.Marshal(item)
	if err != nil {
		return err
	}
	sealed, err := tx.SealFor(link.Account, eventLabel, plain)
	if err != nil {
		return fmt.Errorf("store event: %w", err)
	}
	return tx.exec(`INSERT INTO events (account, link, node, item, decision, sealed, stored, due, tries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		link.Account[:], link.ID[:], node, item.ID[:], decision[:], sealed, tx.Millis(), tx.Millis())
}

// DueEvents reads events of a cloud that are due, the oldest first.
func (tx *Tx) DueEvents(node string, most int) ([]Event, error) {
	var sealed [][]byte
	all, err := list(tx, func(s scanner) (e Event, err error) {
		var b []byte
		err = s.Scan(&e.ID, id(&e.Account), id(&e.Link), id(&e.Decision), &b, &e.Stored, &e.Tries)
		sealed = append(sealed, b)
		return e, err
	}, `SELECT id, account, link, decision, sealed, stored, tries FROM events WHERE node = ? AND due <= ? ORDER BY due, id LIMIT ?`, node, tx.Millis(), most)
	for i := range all {
		if err != nil {
			break
		}
		var plain []byte
		if plain, err = tx.OpenFor(all[i].Account, eventLabel, sealed[i]); err == nil {
			err = json.Unmarshal(plain, &all[i].Item)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return all, nil
}

// NextEvent is when the next event of a cloud is due; ok is false if none waits.
func (tx *Tx) NextEvent(node string) (due cardea.Millis, ok bool, err error) {
	due, err = one(tx, func(s scanner) (m cardea.Millis, err error) {
		err = s.Scan(&m)
		return m, err
	}, `SELECT due FROM events WHERE node = ? ORDER BY due LIMIT 1`, node)
	if errors.Is(err, ErrNotFound) {
		return 0, false, nil
	}
	return due, err == nil, err
}

// DropEvent forgets an event that was passed on, or may not be any more.
func (tx *Tx) DropEvent(event int64) error { return tx.exec(`DELETE FROM events WHERE id = ?`, event) }

// DropItem forgets what waits of an item.
func (tx *Tx) DropItem(node string, item cardea.ItemID) error {
	return tx.exec(`DELETE FROM events WHERE node = ? AND item = ?`, node, item[:])
}

// RetryEvent has an event tried again later.
func (tx *Tx) RetryEvent(event int64, due cardea.Millis) error {
	return tx.exec(`UPDATE events SET due = ?, tries = tries + 1 WHERE id = ?`, due, event)
}

// EventsWaiting counts what waits of an account.
func (tx *Tx) EventsWaiting(account cardea.AccountID) (n int, err error) {
	err = tx.row(`SELECT COUNT(*) FROM events WHERE account = ?`, account[:]).Scan(&n)
	return n, err
}

// PutPurged takes a device's counts of what did not leave. Those of an older
// report change nothing.
func (tx *Tx) PutPurged(link cardea.LinkID, p cardea.Purged) error {
	for _, k := range p.Keys {
		err := tx.exec(`INSERT INTO purged (link, queue, key, n, deleted, held, dropped) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (link, queue, key) DO UPDATE SET n = excluded.n, deleted = excluded.deleted, held = excluded.held, dropped = excluded.dropped
			WHERE purged.n < excluded.n`, link[:], p.Queue[:], k.Key, p.N, k.Deleted, k.Held, k.Dropped)
		if err != nil {
			return err
		}
	}
	return nil
}

// Purged is what became, of all queues of a link, of what did not leave, by key.
func (tx *Tx) Purged(link cardea.LinkID) ([]cardea.Kept, error) {
	return list(tx, func(s scanner) (k cardea.Kept, err error) {
		err = s.Scan(&k.Key, &k.Deleted, &k.Held, &k.Dropped)
		return k, err
	}, `SELECT key, SUM(deleted), SUM(held), SUM(dropped) FROM purged WHERE link = ? GROUP BY key ORDER BY key`, link[:])
}
