package devicedb

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
)

// A queue is one link's, within a transaction.
type queue struct {
	queueState
	db    *DB
	link  cardea.LinkID
	tx    *bbolt.Tx
	items *bbolt.Bucket
}

// queue reads what a link's queue counts; ok is false if it has none. One that
// can not be read has lost what it counts, and is deleted when it is opened.
func (db *DB) queue(tx *bbolt.Tx, link cardea.LinkID) (q *queue, ok bool, err error) {
	q = &queue{db: db, link: link, tx: tx, items: tx.Bucket(itemBucket)}
	if q.items == nil || tx.Bucket(queueBucket) == nil {
		return q, false, nil
	}
	ok, err = db.get(tx, queueBucket, link[:], &q.queueState)
	return q, ok, err
}

// openQueue is a link's queue to be written, made if there is none.
func (db *DB) openQueue(tx *bbolt.Tx, link cardea.LinkID) (*queue, error) {
	for _, name := range [][]byte{itemBucket, queueBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return nil, err
		}
	}
	q, ok, err := db.queue(tx, link)
	switch {
	case err != nil:
		if err := q.empty(); err != nil {
			return nil, err
		}
		fallthrough
	case !ok:
		q.queueState = queueState{ID: cardea.NewID[cardea.QueueID]()}
	}
	if q.Waiting == nil {
		q.Waiting, q.Kept = map[cardea.Key]uint64{}, map[cardea.Key]cardea.Kept{}
	}
	return q, nil
}

// close writes what the queue counts.
func (q *queue) close() error {
	q.Version++
	return q.db.put(q.tx, queueBucket, q.link[:], q.queueState)
}

// push adds an item behind the others, and drops the oldest while there is no
// room.
func (q *queue) push(item cardea.Item) error {
	q.Last++
	item.N = q.Last
	plain, err := json.Marshal(item)
	if err != nil {
		return err
	}
	key := itemKey(q.link, item.N)
	if err := q.items.Put(key, q.db.seal.seal(itemBucket, key, plain)); err != nil {
		return err
	}
	q.count(item, 1)
	q.Recent = append(q.Recent, item.ID)
	if over := len(q.Recent) - maxRecent; over > 0 {
		q.Recent = q.Recent[over:]
	}
	return q.makeRoom()
}

func (q *queue) makeRoom() error {
	c := q.items.Cursor()
	key, sealed := c.Seek(q.link[:])
	for q.Count > MaxQueueItems || q.Bytes > MaxQueueBytes {
		item, err := q.db.decodeItem(key, sealed)
		if err != nil {
			return err
		}
		q.count(item, -1)
		q.add(cardea.KeyOf(item.Purpose, cardea.FacetUse), func(k *cardea.Kept) { k.Dropped++ })
		if err := c.Delete(); err != nil {
			return err
		}
		key, sealed = c.Seek(q.link[:])
	}
	return nil
}

func (q *queue) count(item cardea.Item, by int) {
	q.Count += by
	q.Bytes += by * len(item.Data)
	for _, key := range item.Keys() {
		if q.Waiting[key] += uint64(by); q.Waiting[key] == 0 {
			delete(q.Waiting, key)
		}
	}
}

func (q *queue) add(key cardea.Key, change func(*cardea.Kept)) {
	k := q.Kept[key]
	k.Key = key
	change(&k)
	q.Kept[key] = k
}

// each reads the items in their order.
func (q *queue) each(f func(key []byte, item cardea.Item) error) error {
	c := q.items.Cursor()
	for key, sealed := c.Seek(q.link[:]); bytes.HasPrefix(key, q.link[:]); key, sealed = c.Next() {
		item, err := q.db.decodeItem(key, sealed)
		if err != nil {
			return err
		}
		if err := f(key, item); err != nil {
			return err
		}
	}
	return nil
}

// weed deletes what it is told to, counted as deleted under the key it is told,
// or, without one, not at all.
func (q *queue) weed(which func(cardea.Item) (cardea.Key, bool)) (n int, err error) {
	return q.remove(func(item cardea.Item) bool {
		key, gone := which(item)
		if gone && key != "" {
			q.add(key, func(k *cardea.Kept) { k.Deleted++ })
		}
		return gone
	})
}

func (q *queue) remove(which func(cardea.Item) bool) (n int, err error) {
	var gone [][]byte // the cursor must not be written under
	err = q.each(func(key []byte, item cardea.Item) error {
		if which(item) {
			q.count(item, -1)
			gone = append(gone, bytes.Clone(key))
		}
		return nil
	})
	for _, key := range gone {
		if err == nil {
			err = q.items.Delete(key)
		}
	}
	return len(gone), err
}

// empty deletes all items, also those that do not open.
func (q *queue) empty() error {
	var gone [][]byte
	c := q.items.Cursor()
	for key, _ := c.Seek(q.link[:]); bytes.HasPrefix(key, q.link[:]); key, _ = c.Next() {
		gone = append(gone, bytes.Clone(key))
	}
	for _, key := range gone {
		if err := q.items.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// queues calls f with each link that has a queue.
func (db *DB) queues(tx *bbolt.Tx, f func(cardea.LinkID) error) error {
	b := tx.Bucket(queueBucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(key, _ []byte) error {
		if len(key) != len(cardea.LinkID{}) {
			return nil
		}
		return f(cardea.LinkID(key))
	})
}

// forbid deletes what waits under keys that a link's state, about to be written
// in this transaction, does not give: its own items, and those of others for whom
// it denies something.
func (db *DB) forbid(tx *bbolt.Tx, l Link) error {
	forAll := slices.DeleteFunc(ForEveryone(l.Everyone, l.Log.Entries), func(key cardea.Key) bool {
		c, _ := given(l, key)
		return c.Class == cardea.ClassN
	})
	var ids []cardea.LinkID // what ForEach walks through must not be written
	if err := db.queues(tx, func(link cardea.LinkID) error { ids = append(ids, link); return nil }); err != nil {
		return err
	}
	for _, id := range ids {
		denied := func(key cardea.Key) bool { return slices.Contains(forAll, key) }
		if id == l.ID {
			denied = func(key cardea.Key) bool {
				_, why := given(l, key)
				return why != cardea.ReasonGranted
			}
		}
		if err := db.forbidKeys(tx, id, denied); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) forbidKeys(tx *bbolt.Tx, link cardea.LinkID, denied func(cardea.Key) bool) error {
	q, ok, err := db.queue(tx, link)
	if err != nil {
		return q.discard()
	}
	if !ok || !slices.ContainsFunc(slices.Collect(maps.Keys(q.Waiting)), denied) {
		return nil
	}
	_, err = q.weed(func(item cardea.Item) (cardea.Key, bool) {
		keys := item.Keys()
		if i := slices.IndexFunc(keys, denied); i >= 0 {
			return keys[i], true
		}
		return "", false
	})
	if err != nil { // an item that does not open can not be judged, nor sent
		return q.discard()
	}
	return q.close()
}

// discard deletes a queue whole, with what it counts.
func (q *queue) discard() error {
	if q.items == nil {
		return nil
	}
	if err := q.empty(); err != nil {
		return err
	}
	return q.tx.Bucket(queueBucket).Delete(q.link[:])
}

// restart deletes what waits in a database that was put back to an earlier state:
// it may have been deleted since, by a denial that is over. What comes next goes
// under new numbers.
func (db *DB) restart(tx *bbolt.Tx, link cardea.LinkID) error {
	q, _, _ := db.queue(tx, link) // whether or not it can be read
	return q.discard()
}
