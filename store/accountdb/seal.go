package accountdb

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cardea-id/cardea"
)

// ErrErased: the account's key was destroyed, and with it what it sealed.
var ErrErased = errors.New("the account was erased")

// A Key seals with AES-256-GCM. It prints as "redacted".
type Key [32]byte

// NewKey returns a random key.
func NewKey() Key {
	var k Key
	rand.Read(k[:])
	return k
}

func (Key) String() string { return "redacted" }

// GoString keeps %#v from printing the key.
func (Key) GoString() string { return "redacted" }

// LogValue keeps the key out of logs.
func (Key) LogValue() slog.Value { return slog.StringValue("redacted") }

func (k Key) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// seal encrypts and binds to label, which says what and whose it is, so that a
// sealed value moved to another row does not open.
func (k Key) seal(label string, plain []byte) []byte {
	return k.aead().Seal(nil, nil, plain, []byte(label))
}

func (k Key) open(label string, sealed []byte) ([]byte, error) {
	plain, err := k.aead().Open(nil, nil, sealed, []byte(label))
	if err != nil {
		return nil, fmt.Errorf("open %s: wrong key or damaged value", label)
	}
	return plain, nil
}

// SealMaster seals what belongs to the cloud and not to an account, such as a
// signing key. label says what it is.
func (tx *Tx) SealMaster(label string, plain []byte) []byte { return tx.master.seal(label, plain) }

// OpenMaster opens what SealMaster sealed.
func (tx *Tx) OpenMaster(label string, sealed []byte) ([]byte, error) {
	return tx.master.open(label, sealed)
}

// SealFor seals what is personal under the account's key.
func (tx *Tx) SealFor(account cardea.AccountID, label string, plain []byte) ([]byte, error) {
	k, err := tx.accountKey(account)
	if err != nil {
		return nil, err
	}
	return k.seal(label, plain), nil
}

// OpenFor opens what SealFor sealed; ErrErased after the key was destroyed.
func (tx *Tx) OpenFor(account cardea.AccountID, label string, sealed []byte) ([]byte, error) {
	k, err := tx.accountKey(account)
	if err != nil {
		return nil, err
	}
	return k.open(label, sealed)
}

func (tx *Tx) accountKey(account cardea.AccountID) (Key, error) {
	sealed, err := one(tx, scanBytes, `SELECT key_sealed FROM accounts WHERE id = ?`, account[:])
	if err != nil {
		return Key{}, fmt.Errorf("account key: %w", err)
	}
	if sealed == nil {
		return Key{}, ErrErased
	}
	plain, err := tx.master.open("account key "+account.String(), sealed)
	if err != nil {
		return Key{}, err
	}
	return Key(plain), nil
}

func scanBytes(s scanner) ([]byte, error) {
	var b []byte
	err := s.Scan(&b)
	return b, err
}
