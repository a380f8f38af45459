package wire_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/internal/wire/vectors"
)

// The COSE of this file is written from RFC 9052 a second time, from CBOR up,
// so that what package wire makes is read by another hand, and so that messages
// can be made that package wire would never make.

type fields = map[any]any

var core = func() cbor.EncMode {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	m, err := o.EncMode()
	if err != nil {
		panic(err)
	}
	return m
}()

func encode(v any) []byte {
	b, err := core.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// raw is what a header or a payload is made of: encoded already, or to be.
func raw(v any) []byte {
	if b, ok := v.([]byte); ok {
		return b
	}
	return encode(v)
}

// edit returns the encoded map with some fields set, or removed by nil.
func edit(encoded []byte, changes map[int]any) []byte {
	var m map[int]cbor.RawMessage
	if err := cbor.Unmarshal(encoded, &m); err != nil {
		panic(err)
	}
	for label, v := range changes {
		delete(m, label)
		if v != nil {
			m[label] = encode(v)
		}
	}
	return encode(m)
}

// signBytes signs as RFC 6979 says, so that the same input takes the same path
// when a fuzzer tries it again.
func signBytes(key *ecdsa.PrivateKey, protected, payload, aad []byte) []byte {
	sum := sha256.Sum256(encode([]any{"Signature1", protected, aad, payload}))
	der, err := key.Sign(nil, sum[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		panic(err)
	}
	return append(sig.R.FillBytes(make([]byte, 32)), sig.S.FillBytes(make([]byte, 32))...)
}

// A signing is a COSE_Sign1 to be; the zero parts are the right ones.
type signing struct {
	key         *ecdsa.PrivateKey
	header      any // a map or bytes
	unprotected any
	payload     any
	aad         []byte
	spoil       func(signature []byte) []byte
}

func (s signing) bytes() []byte {
	protected, payload := raw(s.header), raw(s.payload)
	if s.unprotected == nil {
		s.unprotected = fields{}
	}
	if s.aad == nil {
		s.aad = []byte{}
	}
	signature := signBytes(s.key, protected, payload, s.aad)
	if s.spoil != nil {
		signature = s.spoil(signature)
	}
	return append([]byte{0xd2}, encode([]any{protected, s.unprotected, payload, signature})...)
}

func signHeader(key *ecdsa.PrivateKey, typ string) fields {
	return fields{1: -7, 4: []byte(thumbprint(&key.PublicKey)), 16: typ}
}

// A sealing is a COSE_Encrypt0 to be; the zero parts are the right ones.
type sealing struct {
	link        cardea.LinkID
	key         wire.LinkKey
	header      any
	unprotected any
	iv          []byte
	plain       []byte
	aad         []byte
}

func (s sealing) bytes() []byte {
	if s.header == nil {
		s.header = fields{1: 3, 4: s.link[:]}
	}
	if s.iv == nil {
		s.iv = fill(12, string(s.plain))
	}
	if s.unprotected == nil {
		s.unprotected = fields{5: s.iv}
	}
	protected := raw(s.header)
	block, err := aes.NewCipher(s.key[:])
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(s.iv))
	if err != nil {
		panic(err)
	}
	sealed := gcm.Seal(nil, s.iv, s.plain, encode([]any{"Encrypt0", protected, s.aad}))
	return append([]byte{0xd0}, encode([]any{protected, s.unprotected, sealed})...)
}

// open0 and open1 take a message apart again.
func open0(b []byte, key wire.LinkKey, aad []byte) ([]byte, error) {
	var m struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected map[int][]byte
		Ciphertext  []byte
	}
	if len(b) == 0 || b[0] != 0xd0 {
		return nil, errors.New("not a tagged COSE_Encrypt0")
	}
	if err := cbor.Unmarshal(b[1:], &m); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil || len(m.Unprotected[5]) != gcm.NonceSize() {
		return nil, errors.New("no IV")
	}
	return gcm.Open(nil, m.Unprotected[5], m.Ciphertext, encode([]any{"Encrypt0", m.Protected, aad}))
}

func open1(b []byte, pub *ecdsa.PublicKey, aad []byte) (header fields, payload []byte, err error) {
	var m struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected fields
		Payload     []byte
		Signature   []byte
	}
	if len(b) == 0 || b[0] != 0xd2 {
		return nil, nil, errors.New("not a tagged COSE_Sign1")
	}
	if err := cbor.Unmarshal(b[1:], &m); err != nil {
		return nil, nil, err
	}
	if aad == nil {
		aad = []byte{}
	}
	if len(m.Unprotected) != 0 || !verifies(pub, encode([]any{"Signature1", m.Protected, aad, m.Payload}), m.Signature) {
		return nil, nil, errors.New("the signature does not verify")
	}
	return header, m.Payload, cbor.Unmarshal(m.Protected, &header)
}

// A cast is who speaks in the tests, the same in every run.
type cast struct {
	cloud, device, root, stranger *ecdsa.PrivateKey

	id    cardea.DeviceID
	link  cardea.LinkID
	key   wire.LinkKey
	trust wire.Trust
}

func newCast(t testing.TB) cast {
	private := func(name string) *ecdsa.PrivateKey {
		sum := sha256.Sum256([]byte("cardea vectors: " + name))
		return vectors.Private(t, sum[:])
	}
	c := cast{cloud: private("cloud"), device: private("device"), root: private("root"), stranger: private("stranger")}
	c.id = cardea.DeviceID(thumbprint(&c.device.PublicKey))
	c.link = cardea.LinkID(fill(16, "link"))
	c.key = wire.LinkKey(fill(32, "link key"))
	c.trust = wire.KeyList{Keys: []*ecdsa.PublicKey{&c.cloud.PublicKey}}.Trust()
	return c
}

// fill makes n bytes that are the same in every run.
func fill(n int, name string) []byte {
	sum := sha256.Sum256([]byte("cardea vectors: " + name))
	return sum[:n]
}

func (c cast) downAAD() []byte {
	return encode([]any{string(c.id), "cardea/1/" + string(c.id) + "/down"})
}

func (c cast) upAAD() []byte {
	return encode([]any{string(c.id), "cardea/1/" + string(c.id) + "/up"})
}
