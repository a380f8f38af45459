package broker

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/nats-io/nkeys"
)

// The accounts and users of servers of their own. Devices are in the cloud's
// account; the system's has the servers' word on who is connected.
const (
	cloudAccount  = "CLOUD"
	systemAccount = "SYSTEM"
	systemUser    = "cloud-system"
)

// secrets are what the clouds and the servers share. They follow from one secret
// that every cloud has.
type secrets struct{ of []byte }

func (s secrets) derive(what string) []byte {
	b, err := hkdf.Key(sha256.New, s.of, nil, "cardea broker "+what, 32)
	if err != nil {
		panic("broker: derive 32 bytes: " + err.Error())
	}
	return b
}

// password of one of our users.
func (s secrets) password(user string) string { return hex.EncodeToString(s.derive("user " + user)) }

// issuer signs the servers' permissions to let a device in.
func (s secrets) issuer() (nkeys.KeyPair, error) {
	seed, err := nkeys.EncodeSeed(nkeys.PrefixByteAccount, s.derive("issuer"))
	if err != nil {
		return nil, fmt.Errorf("broker's issuer: %w", err)
	}
	return nkeys.FromSeed(seed)
}
