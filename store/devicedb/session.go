package devicedb

import (
	"log/slog"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
)

// A Pairing is a device code that waits for its owner, kept so that a restart
// does not lose it.
type Pairing struct {
	Issuer        string
	Authorization pairing.Authorization
	Started       time.Time       // on the device's own clock, which may be wrong
	Boot          string          // the boot in which BootTime counts
	BootTime      time.Duration   // on the boot clock, when the code was given
	Tokens        *pairing.Tokens // redeemed, and not joined yet
}

// LogValue shows only what is no secret.
func (p Pairing) LogValue() slog.Value {
	return slog.GroupValue(slog.String("issuer", p.Issuer), slog.Any("authorization", p.Authorization))
}

// Pairing reads the pairing that waits; ok is false if there is none.
func (db *DB) Pairing() (p Pairing, ok bool, err error) {
	err = db.view(func(tx *bbolt.Tx) error {
		ok, err = db.get(tx, stateBucket, pairingKey, &p)
		return err
	})
	return p, ok, err
}

// PutPairing replaces the pairing that waits.
func (db *DB) PutPairing(p Pairing) error {
	return db.update(func(tx *bbolt.Tx) error { return db.put(tx, stateBucket, pairingKey, p) })
}

// ClearPairing forgets the pairing that waits, if any.
func (db *DB) ClearPairing() error {
	return db.update(func(tx *bbolt.Tx) error { return tx.Bucket(stateBucket).Delete(pairingKey) })
}

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
	db.forgotten(f.Link)
	return nil
}

// KeepFarewell writes a farewell whose link is not here any more, as a reset
// leaves it.
func (db *DB) KeepFarewell(f Farewell) error {
	return db.update(func(tx *bbolt.Tx) error { return db.put(tx, farewellBucket, f.Link[:], f) })
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
	return db.update(func(tx *bbolt.Tx) error { return tx.Bucket(farewellBucket).Delete(link[:]) })
}
