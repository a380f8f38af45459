package devicedb

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/slots"
)

// A Farewell is the last word of a link that ended here, and what it takes to
// send it and to believe the answer.
type Farewell struct {
	Device    cardea.DeviceID // whose key signed it; a reset device has another
	Link      cardea.LinkID
	Key       wire.LinkKey
	Issuer    string
	UpURL     string
	BrokerURL string
	Root      []byte
	KeyList   []byte
	Ups       [][]byte       // sealed reports, each to be sent until it is answered; the last one ends the link
	Nonces    []cardea.Nonce // theirs
	Erased    bool           // of a link of which nothing else may stay
}

// String keeps the key from being printed.
func (f Farewell) String() string { return "farewell of link " + f.Link.String() }

// LogValue shows only what is no secret.
func (f Farewell) LogValue() slog.Value { return slog.StringValue(f.String()) }

// Leave ends a link: its farewell is kept, and the link and its tokens are gone,
// in one commit.
func (db *DB) Leave(f Farewell) error {
	db.write.Lock()
	defer db.write.Unlock()
	err := db.update(func(tx *bbolt.Tx) error {
		if err := db.put(tx, farewellBucket, f.Link[:], f); err != nil {
			return err
		}
		return db.forget(tx, f.Link)
	})
	if err != nil {
		return err
	}
	db.keepBeside(f)
	db.forgotten(f.Link)
	return nil
}

// KeepFarewell writes a farewell whose link is not here any more, as a reset
// leaves it.
func (db *DB) KeepFarewell(f Farewell) error {
	err := db.update(func(tx *bbolt.Tx) error { return db.put(tx, farewellBucket, f.Link[:], f) })
	if err == nil {
		db.keepBeside(f)
	}
	return err
}

// Farewells reads the farewells that were not answered yet. One that is damaged
// can not be sent any more and is passed over.
func (db *DB) Farewells() ([]Farewell, error) {
	var all []Farewell
	err := db.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(farewellBucket).ForEach(func(key, sealed []byte) error {
			var f Farewell
			if db.decode(farewellBucket, key, sealed, &f) == nil {
				all = append(all, f)
			}
			return nil
		})
	})
	return all, err
}

// DropFarewell forgets a farewell after it was answered.
func (db *DB) DropFarewell(link cardea.LinkID) error {
	erased := false
	err := db.update(func(tx *bbolt.Tx) error {
		var f Farewell
		if ok, err := db.get(tx, farewellBucket, link[:], &f); ok && err == nil && f.Erased {
			erased = true
			if err := db.put(tx, stateBucket, scrubKey, true); err != nil {
				return err
			}
		}
		return tx.Bucket(farewellBucket).Delete(link[:])
	})
	if err != nil || !erased {
		return errors.Join(err, slots.Remove(db.farewellPath(link)))
	}
	if err := slots.Wipe(db.farewellPath(link)); err != nil {
		return err
	}
	return db.Scrub()
}

// A farewell also has a file of its own beside the database, which is written
// after the link was left there. So a database that was lost, or put back to when
// there was a link, is told by the file, and the last words are sent all the same.

const farewellSuffix = ".farewell"

func (db *DB) farewellPath(link cardea.LinkID) string {
	return db.base + "-" + link.String() + farewellSuffix
}

// keepBeside writes the file. What fails is tried at the next start.
func (db *DB) keepBeside(f Farewell) {
	if plain, err := json.Marshal(f); err == nil {
		slots.Create(db.farewellPath(f.Link), db.seal.seal(farewellBucket, f.Link[:], plain))
	}
}

// readBeside reads a file; one that can not be read is none.
func (db *DB) readBeside(link cardea.LinkID) (f Farewell, ok bool) {
	sealed, err := os.ReadFile(db.farewellPath(link))
	return f, err == nil && db.decode(farewellBucket, link[:], sealed, &f) == nil && f.Link == link
}

// regainFarewells makes database and files agree: a link that has a farewell in
// either was left.
func (db *DB) regainFarewells() error {
	held, err := db.Farewells()
	if err != nil {
		return err
	}
	for _, f := range held {
		if _, ok := db.readBeside(f.Link); !ok {
			db.keepBeside(f)
		}
	}
	for _, id := range db.named(farewellSuffix) {
		f, ok := db.readBeside(id)
		if !ok || slices.ContainsFunc(held, func(h Farewell) bool { return h.Link == id }) {
			continue
		}
		err := db.update(func(tx *bbolt.Tx) error {
			if err := db.put(tx, farewellBucket, id[:], f); err != nil {
				return err
			}
			return db.forget(tx, id)
		})
		if err != nil {
			return err
		}
		db.forgotten(id)
	}
	return nil
}
