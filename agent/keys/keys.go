// Package keys is the device's key: one ECDSA key on P-256, made at first use,
// kept in one file that only the agent's user can read. The key is who the
// device is: its thumbprint is the [cardea.DeviceID], tokens are bound to it,
// reports are signed with it, and the database is sealed under a key derived
// from it. Losing it means to pair again.
//
// The file names the machine it was made on. An image of a device that is
// written to other devices would give them all one identity, and every family
// the others' state; so on another machine the file is set aside and a new key
// is made.
//
// The file is on the disk, with its folder, before the key is used.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
)

var (
	// ErrExposed is returned for a key file that others can read: what they
	// read can not be taken back, but it can be kept from getting worse.
	ErrExposed = errors.New("the device key can be read by others")
	// ErrDamaged is returned for a file that holds no key. It is left alone.
	ErrDamaged = errors.New("the device key can not be read: move the file away to make a new key, then pair again")
	// ErrNoMachine is returned when the file names a machine and this one
	// has no name to compare.
	ErrNoMachine = errors.New("this machine can not be named: restore /etc/machine-id (systemd-machine-id-setup)")
)

// sealLabel separates the database's key from every other use of the scalar.
// Another label would make every database unreadable.
const sealLabel = "cardea device database 1"

// A Key is the device key. It is a crypto.Signer, never prints itself, and may
// be used concurrently.
type Key struct {
	key   *ecdsa.PrivateKey
	id    cardea.DeviceID
	moved string
}

func newKey(k jose.PrivateKey) (*Key, error) {
	key, ok := k.Signer().(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: not an ECDSA key", ErrDamaged)
	}
	return &Key{key: key, id: cardea.DeviceID(jose.Thumbprint(&key.PublicKey))}, nil
}

// ID is the key's thumbprint.
func (k *Key) ID() cardea.DeviceID { return k.id }

// Public is an *ecdsa.PublicKey on P-256.
func (k *Key) Public() crypto.PublicKey { return k.key.Public() }

// Sign signs a SHA-256 digest, as crypto.Signer says.
func (k *Key) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.key.Sign(rand, digest, opts)
}

// SealKey is what the device database is sealed under (RFC 5869). It is the
// same for the life of the key and is kept nowhere.
func (k *Key) SealKey() [32]byte {
	scalar, err := k.key.Bytes()
	if err != nil {
		panic("keys: the scalar of a P-256 key: " + err.Error())
	}
	seal, err := hkdf.Key(sha256.New, scalar, nil, sealLabel, 32)
	if err != nil {
		panic("keys: 32 bytes of HKDF: " + err.Error())
	}
	return [32]byte(seal)
}

// SetAside is where the key of another machine was moved to when this one was
// made, or empty. A database beside it is sealed under that other key.
func (k *Key) SetAside() string { return k.moved }

func (k *Key) String() string { return "redacted" }

// GoString keeps %#v from printing the scalar.
func (k *Key) GoString() string { return "redacted" }

// LogValue shows the public name only.
func (k *Key) LogValue() slog.Value { return slog.StringValue(string(k.id)) }
