package devicedb

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// A sealer encrypts values with AES-256-GCM. The additional data names bucket
// and key, so that a value copied to another place does not open there.
type sealer struct{ aead cipher.AEAD }

func newSealer(key [32]byte) sealer {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return sealer{aead}
}

func place(bucket, key []byte) []byte {
	return fmt.Appendf(nil, "cardea devicedb\x00%s\x00%s", bucket, key)
}

func (s sealer) seal(bucket, key, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, place(bucket, key))
}

func (s sealer) open(bucket, key, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, place(bucket, key))
	if err != nil {
		return nil, fmt.Errorf("%w: a value in %s does not open", ErrDamaged, bucket)
	}
	return plain, nil
}

func (db *DB) put(tx *bbolt.Tx, bucket, key []byte, v any) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", bucket, err)
	}
	b := tx.Bucket(bucket)
	if b == nil {
		return fmt.Errorf("%w: no bucket %s", ErrDamaged, bucket)
	}
	return b.Put(key, db.seal.seal(bucket, key, plain))
}

// get reads the value at key into v; ok is false when there is none.
func (db *DB) get(tx *bbolt.Tx, bucket, key []byte, v any) (ok bool, err error) {
	b := tx.Bucket(bucket)
	if b == nil {
		return false, fmt.Errorf("%w: no bucket %s", ErrDamaged, bucket)
	}
	sealed := b.Get(key)
	if sealed == nil {
		return false, nil
	}
	return true, db.decode(bucket, key, sealed, v)
}

func (db *DB) decode(bucket, key, sealed []byte, v any) error {
	plain, err := db.seal.open(bucket, key, sealed)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("%w: a value in %s is no state: %w", ErrDamaged, bucket, err)
	}
	return nil
}
