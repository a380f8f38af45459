package devicedb

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
)

// A Link is everything a device holds of one account: how to reach its cloud,
// what the cloud last stated, and what was decided here since. Time is not in
// it: a lease and a clock end with the boot, so they live in the run directory.
type Link struct {
	ID  cardea.LinkID
	Key wire.LinkKey // seals both directions

	Issuer    string // base URL of the cloud
	UpURL     string // where a report can be posted; empty: a server without sync
	BrokerURL string
	Name      string // what the cloud calls this device
	Root      []byte // JWK of the key that signs key lists
	KeyList   []byte // signed, as received

	Statement []byte          // the statement applied, signed, as received
	Revision  uint64          // its revision: nothing at or below is applied again
	BodyHash  cardea.Hash     // and its body's
	Head      cardea.Position // of the ledger it was made from: the base of what is decided here
	Body      cardea.Body     // what it states, less what was refused of it

	// Decided remembers of every key the highest position that ever decided
	// it here, also while a statement leaves the key out. A key is never given
	// by an older one.
	Decided map[cardea.Key]cardea.Point

	// Everyone is what this link's person denies for all who use the device, as
	// far as the cloud has seen it; the rest of it stands in the log.
	Everyone []cardea.Key

	Log      cardea.Log
	Rejected []cardea.Rejection // what the cloud consumed and did not fold

	// Bar denies everything on the link for one reason, until the cloud's
	// answer lifts it. Empty: no bar.
	Bar cardea.Reason

	// Done are the orders of the statement held that were done.
	Done []cardea.OrderID

	// Heard is the cloud's time in one of its last answers, to the day, and Silent
	// how long the device has run since then without one, to the hour. See
	// cardea.MaxOfflineRetention.
	Heard  cardea.Millis
	Silent time.Duration

	// Loss says that something stopped on this link may be lost. It is the
	// same in every report until the cloud says that the owner has confirmed it.
	Loss cardea.LossID
}

// Barred is why the link denies everything, or empty: there is a bar, or a loss
// that the owner has to confirm.
func (l Link) Barred() cardea.Reason {
	if l.Bar == "" && !l.Loss.IsZero() {
		return cardea.ReasonForked
	}
	return l.Bar
}

// String keeps the key and the person's state from being printed.
func (l Link) String() string { return "link " + l.ID.String() }

// LogValue shows only what is no secret.
func (l Link) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", l.ID.String()), slog.Uint64("revision", l.Revision))
}

// Links reads all links, ordered by id. Of one whose value is damaged it returns
// the id and the Bar [cardea.ReasonStore], so that it denies and the others go on.
func (db *DB) Links() ([]Link, error) {
	var links []Link
	err := db.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(linkBucket)
		if b == nil {
			return fmt.Errorf("%w: no links", ErrDamaged)
		}
		return b.ForEach(func(key, sealed []byte) error {
			var s stored
			if err := db.decode(linkBucket, key, sealed, &s); err != nil {
				s = stored{Link: Link{Bar: cardea.ReasonStore}}
			} else {
				db.merge(&s)
			}
			if len(key) == len(s.ID) {
				s.ID = cardea.LinkID(key)
			}
			links = append(links, s.Link)
			return nil
		})
	})
	return links, err
}

// Link reads one link: ErrNotFound if there is none, ErrDamaged if its value
// does not open.
func (db *DB) Link(id cardea.LinkID) (Link, error) {
	var s stored
	err := db.view(func(tx *bbolt.Tx) error { return db.link(tx, id, &s) })
	return s.Link, err
}

func (db *DB) link(tx *bbolt.Tx, id cardea.LinkID, s *stored) error {
	ok, err := db.get(tx, linkBucket, id[:], s)
	if err != nil {
		return err
	}
	if !ok {
		return ErrNotFound
	}
	db.merge(s)
	return nil
}

// Put writes a link whole.
func (db *DB) Put(l Link) error {
	db.write.Lock()
	defer db.write.Unlock()
	s := stored{Link: l}
	err := db.update(func(tx *bbolt.Tx) error { return db.putLink(tx, &s) })
	return db.changed(s, err)
}

// Change reads a link, lets f change it and writes it back. If f returns an
// error nothing is changed.
func (db *DB) Change(id cardea.LinkID, f func(*Link) error) error {
	db.write.Lock()
	defer db.write.Unlock()
	return db.change(id, f)
}

func (db *DB) change(id cardea.LinkID, f func(*Link) error) error {
	var s stored
	err := db.update(func(tx *bbolt.Tx) error {
		if err := db.link(tx, id, &s); err != nil {
			return err
		}
		if err := f(&s.Link); err != nil {
			return err
		}
		return db.putLink(tx, &s)
	})
	return db.changed(s, err)
}

// Join ends a pairing: it writes the link and its tokens, forgets the pairing
// that waited, and makes the link the active one if none is. A link that is
// already held, because the first answer of the cloud was lost, keeps its log,
// what was stated, and whom it trusts. One that the disk has lost gets its
// unacknowledged denials back and denies until the cloud has answered.
func (db *DB) Join(l Link, tokens pairing.Tokens) error {
	db.write.Lock()
	defer db.write.Unlock()
	// Before the pairing with its copy is forgotten.
	if err := db.putTokens(l.ID, l.Issuer, tokens); err != nil {
		return err
	}
	lost := db.knows(l.ID)
	s := stored{Link: l}
	err := db.update(func(tx *bbolt.Tx) error {
		var held stored
		switch err := db.link(tx, l.ID, &held); {
		case err == nil:
			l := &s.Link
			l.Root, l.KeyList = held.Root, held.KeyList // pinned, and never a lower version
			l.Statement, l.Revision, l.BodyHash = held.Statement, held.Revision, held.BodyHash
			l.Head, l.Body, l.Decided = held.Head, held.Body, held.Decided
			l.Log, l.Rejected, l.Bar, l.Everyone = held.Log, held.Rejected, held.Bar, held.Everyone
			l.Loss, l.Done = held.Loss, held.Done
		case !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDamaged):
			return err
		case lost:
			db.restore(&s)
		}
		if err := db.putLink(tx, &s); err != nil {
			return err
		}
		if err := db.enlist(tx, l.ID); err != nil {
			return err
		}
		if _, ok := db.active(tx); !ok && db.mayActivate(l.ID) {
			if err := db.put(tx, stateBucket, activeKey, l.ID); err != nil {
				return err
			}
		}
		return tx.Bucket(stateBucket).Delete(pairingKey)
	})
	if err := db.changed(s, err); err != nil {
		return err
	}
	db.regained(l.ID)
	if id, ok := db.Active(); ok {
		return db.journal.SetActive(id)
	}
	return nil
}

// Delete forgets a link and its tokens. Use Leave where the cloud must hear of it.
func (db *DB) Delete(id cardea.LinkID) error {
	db.write.Lock()
	defer db.write.Unlock()
	if err := db.update(func(tx *bbolt.Tx) error { return db.forget(tx, id) }); err != nil {
		return err
	}
	db.forgotten(id)
	return nil
}

func (db *DB) forget(tx *bbolt.Tx, id cardea.LinkID) error {
	if active, ok := db.active(tx); ok && active == id {
		if err := tx.Bucket(stateBucket).Delete(activeKey); err != nil {
			return err
		}
	}
	if err := tx.Bucket(tokenBucket).Delete(id[:]); err != nil {
		return err
	}
	if err := db.restart(tx, id); err != nil {
		return err
	}
	return tx.Bucket(linkBucket).Delete(id[:])
}

// Active is the link of who uses the device now; ok is false for a guest.
func (db *DB) Active() (id cardea.LinkID, ok bool) {
	db.view(func(tx *bbolt.Tx) error {
		id, ok = db.active(tx)
		return nil
	})
	return id, ok
}

// active takes what can not be read from the journal, which has it too.
func (db *DB) active(tx *bbolt.Tx) (id cardea.LinkID, ok bool) {
	ok, err := db.get(tx, stateBucket, activeKey, &id)
	if ok && err != nil {
		id = db.journal.Active()
		return id, tx.Bucket(linkBucket).Get(id[:]) != nil
	}
	return id, ok && err == nil && !id.IsZero()
}

// SetActive makes a link the active one; the zero id makes a guest of whoever
// uses the device.
func (db *DB) SetActive(id cardea.LinkID) error {
	db.write.Lock()
	defer db.write.Unlock()
	err := db.update(func(tx *bbolt.Tx) error {
		if id.IsZero() {
			return tx.Bucket(stateBucket).Delete(activeKey)
		}
		if tx.Bucket(linkBucket).Get(id[:]) == nil {
			return ErrNotFound
		}
		return db.put(tx, stateBucket, activeKey, id)
	})
	if err != nil {
		return err
	}
	return db.journal.SetActive(id)
}
