package cardea

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrInvalidID is returned for text that is no identifier of the expected kind.
var ErrInvalidID = errors.New("invalid identifier")

// An ID is 128 random bits. K keeps identifiers of different things apart at
// compile time. Its text form is 22 characters of unpadded base64url, which is
// safe in URLs and MQTT topics; the zero ID means "none".
type ID[K any] [16]byte

type (
	accountKind struct{}
	linkKind    struct{}
	logKind     struct{}
	eventKind   struct{}
	orderKind   struct{}
)

type (
	// AccountID names a customer. It never leaves the cloud.
	AccountID = ID[accountKind]
	// LinkID names one account on one device. It is new at every pairing,
	// never reused and never moved.
	LinkID = ID[linkKind]
	// LogID names one device log. A device that was rolled back or cloned
	// opens a new one.
	LogID = ID[logKind]
	// EventID names one decision, wherever it was made, so that the same
	// decision delivered twice counts once.
	EventID = ID[eventKind]
	// OrderID names an order of the cloud, executed once.
	OrderID = ID[orderKind]
)

// NewID returns a fresh random identifier.
func NewID[T ID[K], K any]() T {
	var id T
	rand.Read(id[:])
	return id
}

// ParseID reads the 22 character text form.
func ParseID[T ID[K], K any](text string) (T, error) {
	var id ID[K]
	err := id.UnmarshalText([]byte(text))
	return T(id), err
}

// IsZero reports whether the identifier names nothing.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

func (id ID[K]) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// MarshalText writes the text form; the zero ID is the empty string.
func (id ID[K]) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads what MarshalText writes and refuses everything else.
func (id *ID[K]) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID[K]{}
		return nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != len(id) {
		return fmt.Errorf("%w: want 22 characters of base64url, got %d", ErrInvalidID, len(text))
	}
	copy(id[:], raw)
	return nil
}

// A DeviceID is the RFC 7638 SHA-256 thumbprint of the device's public key
// (ECDSA P-256), 43 characters of unpadded base64url: the id proves itself and
// equals the DPoP "jkt" of RFC 9449, Section 6.1.
type DeviceID string

// ParseDeviceID checks the shape of a thumbprint; that a key stands behind it
// only a signature proves.
func ParseDeviceID(text string) (DeviceID, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 32 {
		return "", fmt.Errorf("%w: a device id is a 43 character thumbprint", ErrInvalidID)
	}
	return DeviceID(text), nil
}

// A Hash is a SHA-256 digest. The zero Hash means "none".
type Hash [32]byte

// IsZero reports whether there is no digest.
func (h Hash) IsZero() bool { return h == Hash{} }

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes 64 hexadecimal digits, or nothing for the zero Hash.
func (h Hash) MarshalText() ([]byte, error) {
	if h.IsZero() {
		return nil, nil
	}
	return []byte(h.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (h *Hash) UnmarshalText(text []byte) error {
	*h = Hash{}
	if len(text) == 0 {
		return nil
	}
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("%w: a hash has 64 hexadecimal digits", ErrInvalidID)
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidID, err)
	}
	return nil
}
