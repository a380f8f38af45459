package accountdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// An Event is an item of a device that waits to be passed on, or the note that an
// account was erased whose items were: then Item has only the id.
type Event struct {
	ID       int64 // of the row
	Account  cardea.AccountID
	Link     cardea.LinkID
	Item     cardea.Item
	Decision cardea.DecisionID // under which it was taken
	Stored   cardea.Millis
	Tries    int
	Erased   bool // the account
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

// StoreEvent has an item of a link wait to be passed on, by any cloud.
func (tx *Tx) StoreEvent(link Link, item cardea.Item, decision cardea.DecisionID) error {
	plain, err := json.Marshal(item)
	if err != nil {
		return err
	}
	sealed, err := tx.SealFor(link.Account, eventLabel, plain)
	if err != nil {
		return fmt.Errorf("store event: %w", err)
	}
	return tx.putEvent(link, item.ID, decision, sealed)
}

func (tx *Tx) putEvent(link Link, item cardea.ItemID, decision cardea.DecisionID, sealed []byte) error {
	return tx.exec(`INSERT INTO events (account, link, node, item, decision, sealed, stored, due, tries) VALUES (?, ?, '', ?, ?, ?, ?, ?, 0)`,
		link.Account[:], link.ID[:], item[:], decision[:], sealed, tx.Millis(), tx.Millis())
}

// eraseEvents forgets what waits of an account, and has it told where the rest
// went that the account was erased. A note has nothing sealed: there is no key.
func (tx *Tx) eraseEvents(account cardea.AccountID, erasure cardea.EventID) error {
	if err := tx.exec(`DELETE FROM events WHERE account = ?`, account[:]); err != nil {
		return err
	}
	links, err := tx.AllLinks(account)
	if err != nil {
		return err
	}
	for _, link := range links {
		collected, err := tx.hasCollected(link.ID)
		if err != nil {
			return err
		}
		if collected {
			return tx.putEvent(link, cardea.ItemID(erasure), cardea.DecisionID(erasure), []byte{})
		}
	}
	return nil
}

func (tx *Tx) hasCollected(link cardea.LinkID) (bool, error) {
	_, err := one(tx, scanID[cardea.LinkID], `SELECT link FROM event_queues WHERE link = ? LIMIT 1`, link[:])
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ClaimEvents gives a cloud events that are due, the oldest first. No other gets
// them until it has dropped or released them, or is overtaken.
func (tx *Tx) ClaimEvents(node string, most int) error {
	return tx.exec(`UPDATE events SET node = ?, due = ? WHERE node = '' AND id IN
		(SELECT waits.id FROM events AS waits WHERE waits.node = '' AND waits.due <= ? ORDER BY waits.due, waits.id LIMIT ?)`,
		node, tx.Millis(), tx.Millis(), most)
}

// ClaimedEvents reads what a cloud has claimed.
func (tx *Tx) ClaimedEvents(node string) ([]Event, error) {
	return tx.events(`node = ? ORDER BY id`, node)
}

func (tx *Tx) events(which string, args ...any) ([]Event, error) {
	var sealed [][]byte
	all, err := list(tx, func(s scanner) (e Event, err error) {
		var b []byte
		err = s.Scan(&e.ID, id(&e.Account), id(&e.Link), id(&e.Item.ID), id(&e.Decision), &b, &e.Stored, &e.Tries)
		e.Erased = len(b) == 0
		sealed = append(sealed, b)
		return e, err
	}, `SELECT id, account, link, item, decision, sealed, stored, tries FROM events WHERE `+which, args...)
	keys := map[cardea.AccountID]Key{}
	for i := range all {
		if err == nil && !all[i].Erased {
			err = tx.openEvent(&all[i], sealed[i], keys)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return all, nil
}

// openEvent reads what is sealed, and the account's key once.
func (tx *Tx) openEvent(e *Event, sealed []byte, keys map[cardea.AccountID]Key) (err error) {
	key, known := keys[e.Account]
	if !known {
		if key, err = tx.accountKey(e.Account); err != nil {
			return err
		}
		keys[e.Account] = key
	}
	plain, err := key.open(eventLabel, sealed)
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, &e.Item)
}

// DropEvent forgets an event that a cloud has passed on, or that may not be any
// more. It reports whether it was still the cloud's.
func (tx *Tx) DropEvent(node string, event int64) (bool, error) {
	return tx.change(`DELETE FROM events WHERE id = ? AND node = ?`, event, node)
}

// DropItem forgets what a cloud has claimed of an item.
func (tx *Tx) DropItem(node string, item cardea.ItemID) error {
	return tx.exec(`DELETE FROM events WHERE node = ? AND item = ?`, node, item[:])
}

// RetryEvent gives an event back, to be tried again later, by any cloud.
func (tx *Tx) RetryEvent(node string, event int64, due cardea.Millis) error {
	return tx.exec(`UPDATE events SET node = '', due = ?, tries = tries + 1 WHERE id = ? AND node = ?`, due, event, node)
}

// ReleaseEvents gives back all that a cloud has claimed.
func (tx *Tx) ReleaseEvents(node string) error {
	return tx.exec(`UPDATE events SET node = '' WHERE node = ?`, node)
}

// OvertakeEvents gives back what other clouds have claimed so long ago that they
// must be gone, and remembers it for them.
func (tx *Tx) OvertakeEvents(node string, before cardea.Millis) (n int, err error) {
	type claim struct {
		event int64
		node  string
		item  cardea.ItemID
	}
	claims, err := list(tx, func(s scanner) (c claim, err error) {
		err = s.Scan(&c.event, &c.node, id(&c.item))
		return c, err
	}, `SELECT id, node, item FROM events WHERE node <> '' AND node <> ? AND due <= ? ORDER BY id`, node, before)
	for _, c := range claims {
		if err != nil {
			return n, err
		}
		var found bool // it may have been dropped since it was read
		if found, err = tx.change(`UPDATE events SET node = '' WHERE id = ? AND node = ?`, c.event, c.node); found && err == nil {
			n++
			err = tx.exec(`INSERT INTO events_overtaken (node, item) VALUES (?, ?) ON CONFLICT (node, item) DO NOTHING`, c.node, c.item[:])
		}
	}
	return n, err
}

// Overtaken names what was taken from a cloud.
func (tx *Tx) Overtaken(node string) ([]cardea.ItemID, error) {
	return list(tx, scanID[cardea.ItemID], `SELECT item FROM events_overtaken WHERE node = ?`, node)
}

// ForgetOvertaken is for when the cloud has what was taken nowhere any more.
func (tx *Tx) ForgetOvertaken(node string) error {
	return tx.exec(`DELETE FROM events_overtaken WHERE node = ?`, node)
}

// NextEvent is when the next event is due that a cloud may claim, or the next
// claim of another will be so old; ok is false if there is neither.
func (tx *Tx) NextEvent(node string, old time.Duration) (next cardea.Millis, ok bool, err error) {
	for _, q := range []struct {
		later time.Duration
		query string
		args  []any
	}{
		{0, `SELECT due FROM events WHERE node = '' ORDER BY due LIMIT 1`, nil},
		{old, `SELECT due FROM events WHERE node <> '' AND node <> ? ORDER BY due LIMIT 1`, []any{node}},
	} {
		due, err := one(tx, scanMillis, q.query, q.args...)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, false, err
		}
		if due = due.Add(q.later); !ok || due < next {
			next, ok = due, true
		}
	}
	return next, ok, nil
}

func scanMillis(s scanner) (m cardea.Millis, err error) {
	err = s.Scan(&m)
	return m, err
}

// EventsWaiting counts what waits of an account.
func (tx *Tx) EventsWaiting(account cardea.AccountID) (n int, err error) {
	err = tx.row(`SELECT COUNT(*) FROM events WHERE account = ?`, account[:]).Scan(&n)
	return n, err
}

// AllEventsWaiting counts what waits of all accounts, and tells since when the
// oldest does, which is 0 if none does.
func (tx *Tx) AllEventsWaiting() (n int, since cardea.Millis, err error) {
	err = tx.row(`SELECT COUNT(*), COALESCE(MIN(stored), 0) FROM events`).Scan(&n, &since)
	return n, since, err
}

// EventsOf reads what waits of an account, oldest first, after a row and up to so
// many.
func (tx *Tx) EventsOf(account cardea.AccountID, after int64, most int) ([]Event, error) {
	return tx.events(`account = ? AND id > ? ORDER BY id LIMIT ?`, account[:], after, most)
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
