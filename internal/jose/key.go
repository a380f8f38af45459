package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
)

// A PrivateKey is an ECDSA key on P-256. It never prints itself. The zero value
// holds no key and must not be used.
type PrivateKey struct{ key *ecdsa.PrivateKey }

// GenerateKey makes a new key.
func GenerateKey() PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("jose: the system has no randomness: " + err.Error())
	}
	return PrivateKey{key}
}

// ParsePrivateKey reads what DER writes; another kind of key is ErrKey.
func ParsePrivateKey(der []byte) (PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return PrivateKey{}, fmt.Errorf("%w: want an ECDSA key on P-256", ErrKey)
	}
	return PrivateKey{key}, nil
}

// DER is the key as PKCS#8. It is secret: seal it before it is stored.
func (k PrivateKey) DER() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		panic("jose: PKCS#8 of a P-256 key: " + err.Error())
	}
	return der
}

// Public is the key that may be shown.
func (k PrivateKey) Public() *ecdsa.PublicKey { return &k.key.PublicKey }

// Signer signs SHA-256 digests, answering ASN.1 as crypto.Signer asks.
func (k PrivateKey) Signer() crypto.Signer { return k.key }

func (k PrivateKey) String() string { return "redacted" }

// GoString keeps %#v from printing the scalar.
func (k PrivateKey) GoString() string { return "redacted" }

// LogValue keeps the key out of logs.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue("redacted") }
