// Package wire turns the messages of package cardea into bytes and back. It is
// the only importer of the CBOR and COSE libraries, and docs/protocol.md is its
// specification.
//
// A message of either direction is deterministic CBOR (RFC 8949, Section 4.2)
// in a COSE_Sign1 (RFC 9052, Section 4.2; ES256 only) in a COSE_Encrypt0
// (Section 5.2; A256GCM only) under the link's key. Device and topic stand in
// the external_aad of both layers, and what kind of message it is in the signed
// header, so that bytes made for another device, direction or purpose do not
// open.
//
// What a function here returns without an error is authentic, complete and
// within its limits: of every value there is one accepted encoding, and nobody
// behind this package checks shapes again. What an honest but newer peer may
// say (a reason, an act, an order not known yet) is passed on as it is, because
// refusing the message would also refuse the denials in it.
//
// All functions may be called by any number of goroutines.
package wire

import (
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
)

// Why a message is refused. Every error of this package that a peer can cause
// is one of them.
var (
	// ErrMalformed: not the one accepted encoding of a message of that kind,
	// or a field lies outside its range.
	ErrMalformed = errors.New("malformed message")
	// ErrTooBig: over a limit of bytes or of items.
	ErrTooBig = errors.New("message over its limit")
	// ErrSignature: not sealed or not signed by the expected key, or bound to
	// another device or topic.
	ErrSignature = errors.New("message is not authentic")
	// ErrUnknownKey is an ErrSignature: the key that is named is not trusted. A
	// newer key list may trust it.
	ErrUnknownKey = fmt.Errorf("%w: the key is not trusted", ErrSignature)
	// ErrForeign: authentic or not, it names another device or link.
	ErrForeign = errors.New("message is for another device or link")
	// ErrVersion: authentic, but of a protocol version this program does not
	// speak: it needs an update.
	ErrVersion = errors.New("message of another protocol version")
)

// Limits. A body of MaxBodyBytes and MaxRejected rejections always fit into one
// message of cardea.MaxMessageBytes. A report of cardea.MaxReportBytes has at most
// as many entries as its answer can reject, and room for such a message beside
// the first of them.
const (
	MaxBodyBytes    = 6 << 10
	MaxKeyListBytes = 16 << 10
	MaxEntries      = 48
	MaxRejected     = MaxEntries
	MaxLinks        = 16

	maxConsents    = 128
	maxPreferences = 64
	maxOrders      = 8
	maxName        = 128 // bytes of a subject or a name
	maxWord        = 32  // bytes of a reason, an act, an order's kind
	maxKeys        = 8
	maxAnchors     = 8
	maxAnchorBytes = 4 << 10

	// maxCount bounds counters, so that they fit a signed 64-bit column and a
	// JSON number.
	maxCount = 1<<53 - 1
	// maxMillis, in the year 2248, bounds instants: the difference of any two
	// fits a time.Duration.
	maxMillis cardea.Millis = 1 << 43
	// envelopeBytes is more than sealing adds to a message.
	envelopeBytes = 256
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

func tooBig(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooBig, fmt.Sprintf(format, args...))
}

func limit(b []byte, most int) error {
	if len(b) > most {
		return tooBig("%d bytes, at most %d", len(b), most)
	}
	return nil
}
