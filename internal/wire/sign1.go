package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/veraison/go-cose"
)

// Kinds of signed messages, the typ header of RFC 9596. A signature over one
// can not be passed off as another.
const (
	typStatement = "application/cardea-statement+cbor"
	typRenewal   = "application/cardea-renewal+cbor"
	typReport    = "application/cardea-report+cbor"
	typKeys      = "application/cardea-keys+cbor"
	typUnknown   = "application/cardea-unknown+cbor"
)

// sign1Tag is the COSE_Sign1_Tagged prefix, tag 18 (RFC 9052, Section 2).
const sign1Tag = 0xd2

// A sign1 is the COSE_Sign1 array. The unprotected header is always empty.
type sign1 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected struct{}
	Payload     []byte
	Signature   []byte
}

// A signHeader is the whole protected header: no other parameter is accepted.
type signHeader struct {
	Alg int64  `cbor:"1,keyasint"`
	Kid []byte `cbor:"4,keyasint"`
	Typ string `cbor:"16,keyasint"`
}

// sign makes a COSE_Sign1_Tagged of the payload.
func sign(signer crypto.Signer, typ string, payload, aad []byte) ([]byte, error) {
	pub, _ := signer.Public().(*ecdsa.PublicKey)
	kid, err := thumbprint(pub)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	s, err := cose.NewSigner(cose.AlgorithmES256, hashing{signer})
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	header := cose.ProtectedHeader{
		cose.HeaderLabelAlgorithm: cose.AlgorithmES256,
		cose.HeaderLabelKeyID:     []byte(kid),
		cose.HeaderLabelType:      typ,
	}
	b, err := cose.Sign1(rand.Reader, s, cose.Headers{Protected: header}, payload, aad)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return b, nil
}

// hashing names the hash to a signer that needs to know it, such as one in
// hardware; go-cose passes none.
type hashing struct{ crypto.Signer }

func (h hashing) Sign(r io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return h.Signer.Sign(r, digest, crypto.SHA256)
}

// verify returns payload and kind of a COSE_Sign1_Tagged that a trusted key
// signed as one of the kinds.
func verify(b []byte, trust Trust, aad []byte, kinds ...string) (payload []byte, typ string, err error) {
	var m sign1
	var header signHeader
	if len(b) == 0 || b[0] != sign1Tag {
		return nil, "", malformed("not a COSE_Sign1")
	}
	if err := decode(b[1:], &m); err != nil {
		return nil, "", err
	}
	if err := decode(m.Protected, &header); err != nil {
		return nil, "", err
	}
	if err := header.check(kinds); err != nil {
		return nil, "", err
	}
	pub, ok := trust(string(header.Kid))
	if !ok {
		return nil, "", fmt.Errorf("%w: %.43q", ErrUnknownKey, header.Kid)
	}
	if err := verifyWith(pub, b, aad); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return m.Payload, header.Typ, nil
}

func (h signHeader) check(kinds []string) error {
	if cose.Algorithm(h.Alg) != cose.AlgorithmES256 {
		return fmt.Errorf("%w: signed with algorithm %d, only ES256 is accepted", ErrSignature, h.Alg)
	}
	if slices.Contains(kinds, h.Typ) {
		return nil
	}
	return malformed("a message of kind %.64q does not belong here", h.Typ)
}

func verifyWith(pub *ecdsa.PublicKey, b, aad []byte) error {
	if _, _, err := point(pub); err != nil {
		return err
	}
	v, err := cose.NewVerifier(cose.AlgorithmES256, pub)
	if err != nil {
		return err
	}
	var m cose.Sign1Message
	if err := m.UnmarshalCBOR(b); err != nil {
		return errors.New("the signature can not be read")
	}
	return m.Verify(aad, v)
}
