package wire_test

import (
	"crypto/ecdsa"
	"errors"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// Only a key that is named and not known can be cured by another list; a wrong
// signature by a key that is known can not.
func TestUnknownKeyIsToldApart(t *testing.T) {
	c := newCast(t)
	for name, test := range map[string]struct {
		trust   wire.Trust
		unknown bool
	}{
		"no keys":     {wire.KeyList{}.Trust(), true},
		"another key": {wire.KeyList{Keys: []*ecdsa.PublicKey{&c.root.PublicKey}}.Trust(), true},
		"under its name": {func(string) (*ecdsa.PublicKey, bool) {
			return &c.root.PublicKey, true
		}, false},
	} {
		up := []byte("up")
		link := cardea.NewID[cardea.LinkID]()
		signed, err := wire.SignUnknown(up, link, c.cloud)
		if err != nil {
			t.Fatal(err)
		}
		err = wire.OpenUnknown(signed, up, link, test.trust)
		if !errors.Is(err, wire.ErrSignature) || errors.Is(err, wire.ErrUnknownKey) != test.unknown {
			t.Errorf("%s: %v", name, err)
		}
	}
}
