package devicedb

import (
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
)

// orderKey is where the links stand in the order they were made.
var orderKey = []byte("order")

// Owner is the link of the device's owner: the first of those there are. ok is
// false for a device without links.
func (db *DB) Owner() (id cardea.LinkID, ok bool, err error) {
	err = db.view(func(tx *bbolt.Tx) error {
		order, err := db.order(tx)
		if err != nil || len(order) == 0 {
			return err
		}
		id, ok = order[0], true
		return nil
	})
	return id, ok, err
}

// Order lists the links by when they were made, the owner's first.
func (db *DB) Order() (order []cardea.LinkID, err error) {
	err = db.view(func(tx *bbolt.Tx) error {
		order, err = db.order(tx)
		return err
	})
	return order, err
}

// order is what stands there, less the links that are gone, and after it those
// that nobody put there: an older agent made them.
func (db *DB) order(tx *bbolt.Tx) (order []cardea.LinkID, err error) {
	if _, err := db.get(tx, stateBucket, orderKey, &order); err != nil {
		return nil, err
	}
	links := tx.Bucket(linkBucket)
	order = slices.DeleteFunc(order, func(id cardea.LinkID) bool { return links.Get(id[:]) == nil })
	err = links.ForEach(func(key, _ []byte) error {
		if len(key) != len(cardea.LinkID{}) {
			return nil
		}
		if id := cardea.LinkID(key); !slices.Contains(order, id) {
			order = append(order, id)
		}
		return nil
	})
	return order, err
}

// enlist puts a link that was just written behind the others, unless it has its
// place already.
func (db *DB) enlist(tx *bbolt.Tx, id cardea.LinkID) error {
	var listed []cardea.LinkID
	if _, err := db.get(tx, stateBucket, orderKey, &listed); err == nil && slices.Contains(listed, id) {
		return nil
	}
	order, err := db.order(tx)
	if err != nil {
		order = nil // what can not be read is no reason to have no link
	}
	order = slices.DeleteFunc(order, func(o cardea.LinkID) bool { return o == id })
	return db.put(tx, stateBucket, orderKey, append(order, id))
}

// DeniedForAll is what the device's owner denies for all who use the device: what
// was said here and not taken back, and what the cloud states on the owner's link.
func DeniedForAll(owner cardea.LinkID, links ...Link) map[cardea.Key]bool {
	denied := map[cardea.Key]bool{}
	for _, l := range links {
		for _, key := range ForEveryone(l.Everyone, l.Log.Entries) {
			denied[key] = true
		}
		for _, c := range l.Body.Consents {
			if c.Everyone && l.ID == owner {
				denied[c.Key] = true
			}
		}
	}
	return denied
}

// ForEveryone is what one link's person denies for all, after some more entries
// of its log.
func ForEveryone(before []cardea.Key, entries []cardea.LogEntry) []cardea.Key {
	denied := map[cardea.Key]bool{}
	for _, key := range before {
		denied[key] = true
	}
	for _, e := range entries {
		switch {
		case e.Act == cardea.ActDeny && e.Reach == cardea.ReachEveryone:
			denied[e.Key] = true
		case e.Act == cardea.ActLift:
			delete(denied, e.Key)
		}
	}
	return slices.Sorted(maps.Keys(denied))
}
