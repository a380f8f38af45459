package devicedb

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
)

// A queue is what programs collected for one link and has not left. Each item is
// sealed by itself; beside them stands, in one value, what the queue counts.
//
// A denial and the items it forbids are written in one transaction: whatever
// writes a link (see [DB.Change], [DB.Deny], [DB.Follow]) deletes what waits under
// a key that the link is not given, or that its log denies. So a denial that only
// the journal has deletes them with the transaction that brings it into the file,
// at the latest at the next start, and the gate has denied them since before.
// What a database holds that was put back to an earlier state is deleted whole.

var (
	itemBucket  = []byte("items")
	queueBucket = []byte("queues")
)

// Limits of a queue. Over one of them the oldest items are dropped, and counted.
const (
	MaxQueueBytes = 512 << 10
	MaxQueueItems = 4096

	maxRecent = 256 // items remembered after they have left
)

// A queueState is what a queue counts. JSON has the keys of a map as text.
type queueState struct {
	ID      cardea.QueueID        `json:"id"`
	Last    uint64                `json:"last"`    // number given
	Count   int                   `json:"count"`   // of the items there are
	Bytes   int                   `json:"bytes"`   // of their data
	Waiting map[cardea.Key]uint64 `json:"waiting"` // under each key that is needed
	Recent  []cardea.ItemID       `json:"recent"`  // the newest that were taken

	Sent    uint64 `json:"sent"`    // and answered for by the cloud
	Version uint64 `json:"version"` // grows with each change
	// Kept are the counts that are told, less what is held, which is Waiting.
	Kept map[cardea.Key]cardea.Kept `json:"kept"`
}

// An Enqueued says what became of an item: the reason is granted, or why not.
type Enqueued struct {
	Reason cardea.Reason
	Again  bool // it was taken before
}

// Enqueue takes items that were collected for a link, in one transaction, and
// returns when they are on the disk. The decision is made inside it: may is asked
// of each, and nothing is taken that needs a key which the link, as it stands
// there, is not given. An item whose id was taken lately is taken already.
func (db *DB) Enqueue(link cardea.LinkID, items []cardea.Item, may func(cardea.Item) cardea.Reason) ([]Enqueued, error) {
	db.write.Lock()
	defer db.write.Unlock()
	var out []Enqueued
	err := db.update(func(tx *bbolt.Tx) error {
		out = make([]Enqueued, len(items))
		var s stored
		if err := db.link(tx, link, &s); err != nil {
			return err
		}
		q, err := db.openQueue(tx, link)
		if err != nil {
			return err
		}
		taken := 0
		for i, item := range items {
			out[i] = admit(q, s.Link, &item, may)
			if out[i].Reason != cardea.ReasonGranted || out[i].Again {
				continue
			}
			if err := q.push(item); err != nil {
				return err
			}
			taken++
		}
		if taken == 0 {
			return errNothing // and nothing is written
		}
		return q.close()
	})
	if errors.Is(err, errNothing) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("keep what was collected: %w", err)
	}
	return out, nil
}

var errNothing = errors.New("nothing has changed")

// admit decides on one item, and notes by what its keys are given.
func admit(q *queue, l Link, item *cardea.Item, may func(cardea.Item) cardea.Reason) Enqueued {
	if slices.Contains(q.Recent, item.ID) {
		return Enqueued{Reason: cardea.ReasonGranted, Again: true}
	}
	item.Needs = slices.Clone(item.Needs)
	for i := range item.Needs {
		c, why := given(l, item.Needs[i].Key)
		if why != cardea.ReasonGranted {
			return Enqueued{Reason: why}
		}
		item.Needs[i].Decided = c.Decided
	}
	return Enqueued{Reason: may(*item)}
}

// given is what stands of a key in a link as it is written, with the denials in
// its log laid over it.
func given(l Link, key cardea.Key) (c cardea.Consent, why cardea.Reason) {
	i := slices.IndexFunc(l.Body.Consents, func(c cardea.Consent) bool { return c.Key == key })
	if i < 0 {
		return c, cardea.ReasonUnknown
	}
	c = l.Body.Consents[i]
	denied := slices.ContainsFunc(l.Log.Entries, func(e cardea.LogEntry) bool { return e.Act == cardea.ActDeny && e.Key == key })
	if c.Given() && c.Class != cardea.ClassN && denied {
		return c, cardea.ReasonWithdrawn
	}
	return c, c.Reason
}

// Queued reads what waits of a link, the oldest first, up to so many items.
func (db *DB) Queued(link cardea.LinkID, most int) (queue cardea.QueueID, items []cardea.Item, err error) {
	err = db.view(func(tx *bbolt.Tx) error {
		items = nil
		q, ok, err := db.queue(tx, link)
		if err != nil || !ok || q.Count == 0 {
			return err
		}
		queue = q.ID
		return q.each(func(_ []byte, item cardea.Item) error {
			if len(items) == most {
				return errNothing
			}
			items = append(items, item)
			return nil
		})
	})
	if errors.Is(err, errNothing) {
		err = nil
	}
	return queue, items, err
}

// Waiting is how many items wait for each link that has some.
func (db *DB) Waiting() (map[cardea.LinkID]int, error) {
	waiting := map[cardea.LinkID]int{}
	err := db.view(func(tx *bbolt.Tx) error {
		return db.queues(tx, func(link cardea.LinkID) error {
			q, _, err := db.queue(tx, link)
			if err == nil && q.Count > 0 {
				waiting[link] = q.Count
			}
			return err
		})
	})
	return waiting, err
}

// Counts are what became of what was collected, for all links there are.
type Counts struct {
	Waiting uint64 // here
	Sent    uint64 // and answered for by the cloud
	Deleted uint64 // because it was not given any more, or waited for too long
	Dropped uint64 // for want of room
}

// Collected counts what became of everything. A queue that can not be read counts
// nothing: it is deleted when it is opened.
func (db *DB) Collected() (c Counts, err error) {
	err = db.view(func(tx *bbolt.Tx) error {
		c = Counts{}
		return db.queues(tx, func(link cardea.LinkID) error {
			q, _, err := db.queue(tx, link)
			if err != nil {
				return nil
			}
			c.Waiting += uint64(q.Count)
			c.Sent += q.Sent
			for _, k := range q.Kept {
				c.Deleted += k.Deleted
				c.Dropped += k.Dropped
			}
			return nil
		})
	})
	return c, err
}

// Sent deletes what the cloud has answered for: everything up to a number. Of
// another queue than the link's present one nothing is deleted. A number that was
// not given yet tells that this database was put back to an earlier state: what
// waits goes on under new numbers.
func (db *DB) Sent(link cardea.LinkID, queue cardea.QueueID, upTo uint64) error {
	return db.weed(link, func(q *queueState, item cardea.Item) (cardea.Key, bool) {
		if q.ID == queue && upTo > q.Last {
			q.ID = cardea.NewID[cardea.QueueID]()
		}
		sent := q.ID == queue && item.N <= upTo
		if sent {
			q.Sent++
		}
		return "", sent
	})
}

// Purge deletes the items that delete says, and counts each under the key it
// names. It writes nothing if there is none.
func (db *DB) Purge(link cardea.LinkID, delete func(cardea.Item) (cardea.Key, bool)) error {
	return db.weed(link, func(_ *queueState, item cardea.Item) (cardea.Key, bool) { return delete(item) })
}

func (db *DB) weed(link cardea.LinkID, delete func(*queueState, cardea.Item) (cardea.Key, bool)) error {
	db.write.Lock()
	defer db.write.Unlock()
	err := db.update(func(tx *bbolt.Tx) error {
		q, ok, err := db.queue(tx, link)
		if err != nil {
			return err
		}
		if !ok || q.Count == 0 {
			return errNothing
		}
		id := q.ID
		n, err := q.weed(func(item cardea.Item) (cardea.Key, bool) { return delete(&q.queueState, item) })
		if err == nil && n == 0 && q.ID == id {
			err = errNothing
		}
		if err != nil {
			return err
		}
		return q.close()
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// Purged is what became of a link's items, for its report; nil if there never
// were any.
func (db *DB) Purged(link cardea.LinkID) (p *cardea.Purged, err error) {
	err = db.view(func(tx *bbolt.Tx) error {
		q, ok, err := db.queue(tx, link)
		if ok && err == nil {
			p = q.purged()
		}
		return err
	})
	return p, err
}

// maxTold bounds the keys that are told of.
const maxTold = 32

func (s queueState) purged() *cardea.Purged {
	all := maps.Clone(s.Kept)
	if all == nil {
		all = map[cardea.Key]cardea.Kept{}
	}
	for key, n := range s.Waiting {
		if key.Facet() == cardea.FacetUse {
			k := all[key]
			k.Key, k.Held = key, n
			all[key] = k
		}
	}
	p := &cardea.Purged{Queue: s.ID, N: s.Version}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if len(p.Keys) < maxTold {
			p.Keys = append(p.Keys, all[key])
		}
	}
	return p
}

// itemKey is where an item stands: those of a link in their order.
func itemKey(link cardea.LinkID, n uint64) []byte { return binary.BigEndian.AppendUint64(link[:], n) }

func (db *DB) decodeItem(key, sealed []byte) (item cardea.Item, err error) {
	plain, err := db.seal.open(itemBucket, key, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &item)
	}
	if err != nil {
		err = fmt.Errorf("%w: an item does not open: %w", ErrDamaged, err)
	}
	return item, err
}
