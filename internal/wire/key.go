package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// A LinkKey seals what travels for one link, AES-256. Printed or logged it says
// "redacted"; its text form, for storage and for the answer of a join, is 43
// characters of base64url.
type LinkKey [32]byte

// NewLinkKey returns a random key.
func NewLinkKey() LinkKey {
	var k LinkKey
	rand.Read(k[:])
	return k
}

// Format prints "redacted" whatever the verb.
func (LinkKey) Format(s fmt.State, _ rune) { io.WriteString(s, "redacted") }

func (LinkKey) String() string { return "redacted" }

// LogValue keeps the key out of logs.
func (LinkKey) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText writes the key itself.
func (k LinkKey) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, k[:]), nil
}

// UnmarshalText reads what MarshalText writes. The text is not in the error.
// The length is checked too, for the decoder passes over line breaks.
func (k *LinkKey) UnmarshalText(text []byte) error {
	b64 := base64.RawURLEncoding.Strict()
	raw, err := b64.DecodeString(string(text))
	if err != nil || len(text) != b64.EncodedLen(len(k)) || len(raw) != len(k) {
		return errors.New("a link key is 43 characters of base64url")
	}
	copy(k[:], raw)
	return nil
}

// A Trust finds the public key a message claims to be signed with, by its RFC
// 7638 thumbprint; ok is false for a key that is not trusted.
type Trust func(kid string) (pub *ecdsa.PublicKey, ok bool)

var errCurve = errors.New("want an ECDSA key on P-256")

// point returns the coordinates of a P-256 key, 32 bytes each.
func point(pub *ecdsa.PublicKey) (x, y []byte, err error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return nil, nil, errCurve
	}
	b, err := pub.Bytes() // 4, x, y; refuses what is not on the curve
	if err != nil {
		return nil, nil, err
	}
	return b[1:33], b[33:], nil
}

// thumbprint is RFC 7638 over the members RFC 7518, Section 6.2.1, requires of
// an EC key, in their order.
func thumbprint(pub *ecdsa.PublicKey) (string, error) {
	x, y, err := point(pub)
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding
	jwk := fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, b64.EncodeToString(x), b64.EncodeToString(y))
	sum := sha256.Sum256([]byte(jwk))
	return b64.EncodeToString(sum[:]), nil
}
