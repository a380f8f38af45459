package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"github.com/cardea-id/cardea"
)

const (
	encrypt0Tag = 0xd0 // COSE_Encrypt0_Tagged, tag 16 (RFC 9052, Section 2)
	algA256GCM  = 3    // RFC 9053, Section 4.1
	ivBytes     = 12
)

// An encrypt0 is the COSE_Encrypt0 array of RFC 9052, Section 5.2.
type encrypt0 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected struct {
		IV []byte `cbor:"5,keyasint"`
	}
	Ciphertext []byte
}

// A sealHeader is the whole protected header. The key id is the link's, in the
// clear: the receiver finds the key by it.
type sealHeader struct {
	Alg int64         `cbor:"1,keyasint"`
	Kid cardea.LinkID `cbor:"4,keyasint"`
}

// An encStructure is what is authenticated beside the plaintext (RFC 9052,
// Section 5.3).
type encStructure struct {
	_         struct{} `cbor:",toarray"`
	Context   string
	Protected []byte
	External  []byte
}

func (m encrypt0) aad(external []byte) []byte {
	return encode(encStructure{Context: "Encrypt0", Protected: m.Protected, External: external})
}

func aead(key LinkKey) cipher.AEAD {
	return must(cipher.NewGCM(must(aes.NewCipher(key[:]))))
}

// seal makes a COSE_Encrypt0_Tagged. The IV is random: a link sends far fewer
// than the 2^32 messages for which that is safe.
func seal(plain []byte, link cardea.LinkID, key LinkKey, external []byte, most int) ([]byte, error) {
	m := encrypt0{Protected: encode(sealHeader{Alg: algA256GCM, Kid: link})}
	m.Unprotected.IV = make([]byte, ivBytes)
	rand.Read(m.Unprotected.IV)
	m.Ciphertext = aead(key).Seal(nil, m.Unprotected.IV, plain, m.aad(external))
	b := append([]byte{encrypt0Tag}, encode(m)...)
	if err := limit(b, most); err != nil {
		return nil, err
	}
	return b, nil
}

// peek reads which link an envelope names.
func peek(b []byte, most int) (cardea.LinkID, error) {
	_, link, err := parseSealed(b, most)
	if err != nil {
		return cardea.LinkID{}, fmt.Errorf("peek: %w", err)
	}
	return link, nil
}

// parseSealed reads the envelope and the link it names; nothing is verified.
func parseSealed(b []byte, most int) (m encrypt0, link cardea.LinkID, err error) {
	var header sealHeader
	if err := limit(b, most); err != nil {
		return m, link, err
	}
	if len(b) == 0 || b[0] != encrypt0Tag {
		return m, link, malformed("not a COSE_Encrypt0")
	}
	if err := decode(b[1:], &m); err != nil {
		return m, link, err
	}
	if err := decode(m.Protected, &header); err != nil {
		return m, link, err
	}
	switch {
	case header.Alg != algA256GCM:
		return m, link, fmt.Errorf("%w: sealed with algorithm %d, only A256GCM is accepted", ErrSignature, header.Alg)
	case len(m.Unprotected.IV) != ivBytes:
		return m, link, malformed("an IV has %d bytes", ivBytes)
	case header.Kid.IsZero():
		return m, link, malformed("sealed for no link")
	}
	return m, header.Kid, nil
}

// unseal opens a COSE_Encrypt0_Tagged of the link.
func unseal(b []byte, link cardea.LinkID, key LinkKey, external []byte, most int) ([]byte, error) {
	m, named, err := parseSealed(b, most)
	if err != nil {
		return nil, err
	}
	if named != link {
		return nil, fmt.Errorf("%w: sealed for link %s", ErrForeign, named)
	}
	plain, err := aead(key).Open(nil, m.Unprotected.IV, m.Ciphertext, m.aad(external))
	if err != nil {
		return nil, fmt.Errorf("%w: it does not open with the link's key", ErrSignature)
	}
	return plain, nil
}
