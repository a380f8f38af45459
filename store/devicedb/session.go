package devicedb

import (
	"log/slog"
	"time"

	"go.etcd.io/bbolt"

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
