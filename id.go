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
	lossKind    struct{}
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
	// LossID names one time that a device lost what was said on it.
	LossID = ID[lossKind]
)

// NewID returns a fresh random identifier.
func NewID[T ID[K], K any]() T {
	var id T
	rand.Read(id[:])
	return id
}

// ParseID reads the 22 character text form. It never returns the zero ID without
// an error.
func ParseID[T ID[K], K any](text string) (T, error) {
	var id ID[K]
	err := id.UnmarshalText([]byte(text))
	if err == nil && id.IsZero() {
		err = fmt.Errorf("%w: it is empty", ErrInvalidID)
	}
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
	var read ID[K]
	if err := decodeExactly(read[:], string(text)); err != nil {
		return err
	}
	if read.IsZero() {
		return fmt.Errorf("%w: the zero identifier has no text", ErrInvalidID)
	}
	*id = read
	return nil
}

// decodeExactly reads unpadded base64url. The length is checked first because
// the decoder passes over line breaks.
func decodeExactly(dst []byte, text string) error {
	if want := base64.RawURLEncoding.EncodedLen(len(dst)); len(text) != want {
		return fmt.Errorf("%w: want %d characters of base64url, got %d", ErrInvalidID, want, len(text))
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(dst, []byte(text)); err != nil || n != len(dst) {
		return fmt.Errorf("%w: not base64url", ErrInvalidID)
	}
	return nil
}

// A DeviceID is the RFC 7638 SHA-256 thumbprint of the device's public key
// (ECDSA P-256), 43 characters of unpadded base64url: the id proves itself and
// equals the DPoP "jkt" of RFC 9449, Section 6.1.
type DeviceID string

// ParseDeviceID checks the shape of a thumbprint; that a key stands behind it
// only a signature proves.
func ParseDeviceID(text string) (DeviceID, error) {
	if err := decodeExactly(make([]byte, 32), text); err != nil {
		return "", fmt.Errorf("device id: %w", err)
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
		*h = Hash{}
		return fmt.Errorf("%w: %w", ErrInvalidID, err)
	}
	return nil
}
