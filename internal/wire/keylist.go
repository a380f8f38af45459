package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"

	"github.com/cardea-id/cardea"
)

// A KeyList says which keys may sign for a cloud and which certificates may
// stand behind its TLS. It is signed by the root a device pinned when it was
// paired, never by an earlier list. The holder keeps the highest Version and
// compares NotAfter to a clock it trusts.
type KeyList struct {
	Version  uint64 // counts from 1
	Keys     []*ecdsa.PublicKey
	Anchors  [][]byte // DER certificates; none: the system's
	NotAfter cardea.Millis
}

// Trust trusts the keys of the list.
func (l KeyList) Trust() Trust {
	keys := make(map[string]*ecdsa.PublicKey, len(l.Keys))
	for _, k := range l.Keys {
		if kid, err := thumbprint(k); err == nil {
			keys[kid] = k
		}
	}
	return func(kid string) (*ecdsa.PublicKey, bool) {
		k, ok := keys[kid]
		return k, ok
	}
}

// keyList is a KeyList as it travels.
type keyList struct {
	V        uint64        `cbor:"1,keyasint"`
	Version  uint64        `cbor:"2,keyasint"`
	Keys     []coseKey     `cbor:"3,keyasint"`
	Anchors  [][]byte      `cbor:"4,keyasint"`
	NotAfter cardea.Millis `cbor:"5,keyasint"`
}

// A coseKey is a COSE_Key of type EC2 (RFC 9053, Section 7.1.1).
type coseKey struct {
	Kty int64    `cbor:"1,keyasint"`
	Alg int64    `cbor:"3,keyasint"`
	Crv int64    `cbor:"-1,keyasint"`
	X   [32]byte `cbor:"-2,keyasint"`
	Y   [32]byte `cbor:"-3,keyasint"`
}

const (
	ktyEC2   = 2
	algES256 = -7
	crvP256  = 1
)

// SignKeyList makes the list's signed bytes.
func SignKeyList(list KeyList, root crypto.Signer) ([]byte, error) {
	m := keyList{V: cardea.Version, Version: list.Version, Anchors: list.Anchors, NotAfter: list.NotAfter}
	for _, k := range list.Keys {
		x, y, err := point(k)
		if err != nil {
			return nil, fmt.Errorf("sign key list: %w", err)
		}
		m.Keys = append(m.Keys, coseKey{Kty: ktyEC2, Alg: algES256, Crv: crvP256, X: [32]byte(x), Y: [32]byte(y)})
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("sign key list: %w", err)
	}
	b, err := sign(root, typKeys, encode(m), nil)
	if err == nil {
		err = limit(b, MaxKeyListBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("sign key list: %w", err)
	}
	return b, nil
}

// OpenKeyList reads a list the root signed. The bytes prove themselves and may
// come over any transport.
func OpenKeyList(b []byte, root *ecdsa.PublicKey) (KeyList, error) {
	list, err := openKeyList(b, root)
	if err != nil {
		return KeyList{}, fmt.Errorf("open key list: %w", err)
	}
	return list, nil
}

func openKeyList(b []byte, root *ecdsa.PublicKey) (list KeyList, err error) {
	if err := limit(b, MaxKeyListBytes); err != nil {
		return list, err
	}
	payload, _, err := verify(b, KeyList{Keys: []*ecdsa.PublicKey{root}}.Trust(), nil, typKeys)
	if err != nil {
		return list, err
	}
	var m keyList
	if err := decodeVersion(payload, &m); err != nil {
		return list, err
	}
	if err := m.check(); err != nil {
		return list, err
	}
	list = KeyList{Version: m.Version, Anchors: m.Anchors, NotAfter: m.NotAfter}
	for _, k := range m.Keys {
		pub, err := k.public()
		if err != nil {
			return list, err
		}
		list.Keys = append(list.Keys, pub)
	}
	return list, nil
}

func (m keyList) check() error {
	switch {
	case m.Version == 0 || m.Version > maxCount:
		return malformed("version: counts from 1")
	case len(m.Keys) == 0:
		return malformed("keys: at least one")
	case len(m.Keys) > maxKeys || len(m.Anchors) > maxAnchors:
		return tooBig("at most %d keys and %d anchors", maxKeys, maxAnchors)
	case m.NotAfter == 0 || !instant(m.NotAfter):
		return malformed("not_after is out of range")
	}
	for _, a := range m.Anchors {
		if len(a) == 0 || len(a) > maxAnchorBytes {
			return malformed("anchors: 1 to %d bytes each", maxAnchorBytes)
		}
	}
	return nil
}

func (k coseKey) public() (*ecdsa.PublicKey, error) {
	if k.Kty != ktyEC2 || k.Alg != algES256 || k.Crv != crvP256 {
		return nil, malformed("key: %w", errCurve)
	}
	b := append([]byte{4}, k.X[:]...)
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(b, k.Y[:]...))
	if err != nil {
		return nil, malformed("key: %w", err)
	}
	return pub, nil
}
