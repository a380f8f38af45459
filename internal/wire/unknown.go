package wire

import (
	"crypto"
	"crypto/sha256"
	"fmt"

	"github.com/cardea-id/cardea"
)

// An unknown is the answer to a report on a link the cloud does not know. It
// names the very bytes it answers, so it can not be kept and shown again.
type unknown struct {
	V    uint64        `cbor:"1,keyasint"`
	Link cardea.LinkID `cbor:"2,keyasint"`
	Up   cardea.Hash   `cbor:"3,keyasint"` // SHA-256 of the sealed report
}

// maxUnknownBytes is more than an unknown has.
const maxUnknownBytes = 512

// SignUnknown makes the answer "no such link" to a sealed report. It is signed
// only: the cloud has no key of such a link.
func SignUnknown(up []byte, link cardea.LinkID, signer crypto.Signer) ([]byte, error) {
	m := unknown{V: cardea.Version, Link: link, Up: sha256.Sum256(up)}
	b, err := sign(signer, typUnknown, encode(m), nil)
	if err != nil {
		return nil, fmt.Errorf("answer unknown: %w", err)
	}
	return b, nil
}

// OpenUnknown returns nil if b is a trusted "no such link" to exactly the
// report up on the link: the device then denies and asks to pair, and erases
// nothing.
func OpenUnknown(b []byte, up []byte, link cardea.LinkID, trust Trust) error {
	if err := openUnknown(b, up, link, trust); err != nil {
		return fmt.Errorf("open unknown: %w", err)
	}
	return nil
}

func openUnknown(b []byte, up []byte, link cardea.LinkID, trust Trust) error {
	if err := limit(b, maxUnknownBytes); err != nil {
		return err
	}
	payload, _, err := verify(b, trust, nil, typUnknown)
	if err != nil {
		return err
	}
	var m unknown
	if err := decodeVersion(payload, &m); err != nil {
		return err
	}
	if m.Link != link || m.Up != sha256.Sum256(up) {
		return fmt.Errorf("%w: it answers another report", ErrForeign)
	}
	return nil
}
