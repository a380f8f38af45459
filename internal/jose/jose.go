// Package jose signs and verifies what Cardea sends as JSON: JSON Web Tokens
// and DPoP proofs, with JSON Web Keys. It is the only importer of go-jose.
//
// There is one algorithm, ES256 on P-256, and nothing in a token can choose
// another: a token that names a different algorithm, another "typ" than the
// caller asks for, a key of another kind or a private key is refused before any
// claim is read. Claims are decoded with exact names and without duplicates, so
// that two readers never see two meanings.
//
// The package keeps no state and reads no clock. Whether a token is still good,
// and whether a proof was seen before, is the caller's to decide.
package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"

	gojose "github.com/go-jose/go-jose/v4"
)

// MaxToken is the longest token that is looked at, in bytes.
const MaxToken = 8 << 10

// ErrToken is returned for a token that is malformed, of another type or
// algorithm, or not signed by the key. It says no more on purpose.
var ErrToken = errors.New("invalid token")

// ErrKey is returned for a key that is not a public P-256 key.
var ErrKey = errors.New("invalid key")

// Thumbprint is the RFC 7638 SHA-256 thumbprint, 43 characters of unpadded
// base64url: a device's id, a signing key's "kid" and a proof's "jkt".
func Thumbprint(pub *ecdsa.PublicKey) string {
	sum, err := webKey(pub).Thumbprint(crypto.SHA256)
	if err != nil {
		panic("jose: thumbprint of a key that is not on P-256: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// JWK writes the public key as a JSON Web Key with the members crv, kty, x and
// y only (RFC 7518, Section 6.2.1).
func JWK(pub *ecdsa.PublicKey) stdjson.RawMessage {
	text, err := webKey(pub).MarshalJSON()
	if err != nil {
		panic("jose: JWK of a key that is not on P-256: " + err.Error())
	}
	return text
}

func webKey(pub *ecdsa.PublicKey) *gojose.JSONWebKey { return &gojose.JSONWebKey{Key: pub} }

// ParseJWK reads a public P-256 key and refuses everything else: another curve,
// a point that is not on it, and above all a private key (ErrKey).
func ParseJWK(text []byte) (*ecdsa.PublicKey, error) {
	if len(text) > MaxToken {
		return nil, fmt.Errorf("%w: over %d bytes", ErrKey, MaxToken)
	}
	var key gojose.JSONWebKey
	if err := key.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return publicP256(&key)
}

func publicP256(key *gojose.JSONWebKey) (*ecdsa.PublicKey, error) {
	pub, ok := key.Key.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() || !key.Valid() {
		return nil, fmt.Errorf("%w: want a public key with kty EC and crv P-256", ErrKey)
	}
	return pub, nil
}
