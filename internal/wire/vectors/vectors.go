// Package vectors reads testdata/wire for the tests of every program that
// speaks the protocol: keys, messages that open, messages that must not, bodies
// and digests. The files are made and verified by the tests of package wire;
// only tests import this.
package vectors

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// Hex is bytes, in the files as hexadecimal digits.
type Hex []byte

// MarshalText writes two digits a byte.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads what MarshalText writes.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Keys are who speaks in the vectors. They are public, so good for nothing
// else. A private key is its scalar, 32 bytes.
type Keys struct {
	Cloud   Hex             `json:"cloud"`
	Root    Hex             `json:"root"`
	Dev     Hex             `json:"device_key"`
	Device  cardea.DeviceID `json:"device"` // the thumbprint of Dev
	Link    cardea.LinkID   `json:"link"`
	LinkKey wire.LinkKey    `json:"link_key"`
	List    Hex             `json:"key_list"` // signed by Root, trusts Cloud
}

// A Vector is one message in bytes and what comes of opening it: Opens, or the
// name of an error.
type Vector struct {
	Name   string          `json:"name"`
	Kind   string          `json:"kind"`            // statement, renewal, report, keys, unknown, held, body, topic
	Device cardea.DeviceID `json:"device,omitzero"` // who opens it, if not Keys.Device
	Link   cardea.LinkID   `json:"link,omitzero"`   // for which link, if not Keys.Link
	Up     Hex             `json:"up,omitempty"`    // unknown: the report answered
	Bytes  Hex             `json:"bytes"`
	Opens  json.RawMessage `json:"opens,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// A Digest is a value of the vocabulary, the CBOR array that is hashed for it,
// and the hash.
type Digest struct {
	Name     string          `json:"name"`
	Kind     string          `json:"kind"` // log, ledger, notice
	Language string          `json:"language,omitempty"`
	Value    json.RawMessage `json:"value"`
	CBOR     Hex             `json:"cbor"`
	Hash     cardea.Hash     `json:"hash"`
}

// A Set is all of testdata/wire.
type Set struct {
	Keys    Keys
	Good    []Vector
	Bad     []Vector
	Digests []Digest
}

func (s *Set) files() map[string]any {
	return map[string]any{
		"keys.json": &s.Keys, "good.json": &s.Good, "bad.json": &s.Bad, "digests.json": &s.Digests,
	}
}

// Load reads the set. The folder is found from the test's own upwards.
func Load(t testing.TB) *Set {
	t.Helper()
	s := new(Set)
	for name, into := range s.files() {
		b, err := os.ReadFile(filepath.Join(folder(t), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return s
}

// Save writes the set.
func (s *Set) Save(t testing.TB) {
	t.Helper()
	if err := os.MkdirAll(folder(t), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, from := range s.files() {
		b, err := json.MarshalIndent(from, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder(t), name), append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func folder(t testing.TB) string {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "testdata", "wire")
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	t.Fatal("no go.mod above this test")
	return ""
}

// Private turns a scalar of Keys into a key.
func Private(t testing.TB, scalar []byte) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Trust is what the device of the vectors trusts: its key list.
func (k Keys) Trust(t testing.TB) wire.Trust {
	t.Helper()
	list, err := wire.OpenKeyList(k.List, &Private(t, k.Root).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return list.Trust()
}

// Open opens a vector as its receiver would and returns what Opens describes.
func (k Keys) Open(t testing.TB, v Vector) (any, error) {
	t.Helper()
	device, link := v.Device, v.Link
	if device == "" {
		device = k.Device
	}
	if link.IsZero() {
		link = k.Link
	}
	switch v.Kind {
	case "statement", "renewal":
		d, _, err := wire.OpenDown(v.Bytes, device, link, k.LinkKey, k.Trust(t))
		return showDown(d), err
	case "held":
		d, err := wire.VerifyDown(v.Bytes, device, link, k.Trust(t))
		return showDown(d), err
	case "report":
		u, err := wire.OpenUp(v.Bytes, device, link, k.LinkKey, &Private(t, k.Dev).PublicKey)
		return showUp(u), err
	case "batch":
		b, err := wire.OpenBatch(v.Bytes, device, link, k.LinkKey, &Private(t, k.Dev).PublicKey)
		return showBatch(b), err
	case "keys":
		l, err := wire.OpenKeyList(v.Bytes, &Private(t, k.Root).PublicKey)
		return showKeyList(l), err
	case "unknown":
		return link, wire.OpenUnknown(v.Bytes, v.Up, link, k.Trust(t))
	case "body":
		return openBody(v.Bytes)
	case "topic":
		return wire.ParseUpTopic(string(v.Bytes))
	}
	t.Fatalf("%s: no such kind %q", v.Name, v.Kind)
	return nil, nil
}

// ErrorName names an error of package wire as the files do; "" is none.
func ErrorName(err error) string {
	for name, target := range map[string]error{
		"malformed": wire.ErrMalformed, "too_big": wire.ErrTooBig, "signature": wire.ErrSignature,
		"foreign": wire.ErrForeign, "version": wire.ErrVersion,
	} {
		if errors.Is(err, target) {
			return name
		}
	}
	if err != nil {
		return "other"
	}
	return ""
}
