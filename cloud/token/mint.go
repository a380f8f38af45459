package token

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

const (
	accessType = "at+jwt" // RFC 9068, Section 2.1

	// accessLife is how long a program may use a token after its grant ended.
	accessLife = 10 * time.Minute
	// A device's token lives between half a day and a day, at random, so that
	// devices that came together do not all come back together.
	deviceLifeMin = 12 * time.Hour
	deviceLifeMax = 24 * time.Hour
)

type confirmation struct {
	JKT string `json:"jkt"` // RFC 9449, Section 6.1
}

type claims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience string          `json:"aud"`
	ClientID string          `json:"client_id"`
	Scope    string          `json:"scope,omitempty"`
	IssuedAt int64           `json:"iat"`
	Expires  int64           `json:"exp"`
	ID       string          `json:"jti"`
	Confirm  *confirmation   `json:"cnf,omitempty"`
	Grant    pairing.GrantID `json:"grant,omitempty"`
	Set      uint64          `json:"set,omitempty"`   // of the grant's tokens
	Roles    []string        `json:"roles,omitempty"` // RFC 9068, Section 2.2.3.1
}

// Mint makes an access token for the cloud itself and returns how long it lives
// (RFC 9068, Section 2.2).
func (k *Keys) Mint(a issuer.Access, now time.Time) (pairing.Secret, time.Duration, error) {
	c := claims{Subject: a.Subject, Audience: k.issuer, ClientID: a.Client, Scope: a.Scope, Grant: a.Grant, Set: a.Set, Roles: a.Roles.Names()}
	if a.JKT != "" {
		c.Confirm = &confirmation{a.JKT}
	}
	return k.mint(c, accessLife, now)
}

// MintDevice makes a device's own token, which opens the broker's door and
// nothing else and names no account.
func (k *Keys) MintDevice(device cardea.DeviceID, now time.Time) (pairing.Secret, time.Duration, error) {
	life := deviceLifeMin + mathrand.N(deviceLifeMax-deviceLifeMin)
	return k.mint(claims{
		Subject: string(device), Audience: pairing.AudienceMQTT, ClientID: string(device),
		Scope: pairing.ScopeMQTT, Confirm: &confirmation{string(device)},
	}, life, now)
}

func (k *Keys) mint(c claims, life time.Duration, now time.Time) (pairing.Secret, time.Duration, error) {
	life = life.Truncate(time.Second)
	c.Issuer, c.IssuedAt, c.Expires, c.ID = k.issuer, now.Unix(), now.Add(life).Unix(), rand.Text()
	k.mu.RLock()
	key := k.current
	k.mu.RUnlock()
	text, err := jose.Sign(key.Signer(), map[string]any{"typ": accessType, "kid": key.kid}, c)
	if err != nil {
		return "", 0, fmt.Errorf("mint token: %w", err)
	}
	return pairing.Secret(text), life, nil
}

// ErrInvalid is returned for a token that is not ours, not for this use, or
// over.
var ErrInvalid = errors.New("invalid token")

func (k *Keys) verify(token, audience string, now time.Time) (claims, error) {
	var c claims
	if err := jose.Verify(token, accessType, k.public, &c); err != nil {
		return claims{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch {
	case c.Issuer != k.issuer || c.Audience != audience:
		return claims{}, fmt.Errorf("%w: for another use", ErrInvalid)
	case now.Unix() >= c.Expires:
		return claims{}, fmt.Errorf("%w: expired", ErrInvalid)
	}
	return c, nil
}

// VerifyDevice checks a device's own token and says whose it is and when it
// ends. Whether the device still has a link is not in it.
func (k *Keys) VerifyDevice(token string) (cardea.DeviceID, time.Time, error) {
	c, err := k.verify(token, pairing.AudienceMQTT, time.Now())
	if err != nil {
		return "", time.Time{}, err
	}
	device, err := cardea.ParseDeviceID(c.Subject)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return device, time.Unix(c.Expires, 0), nil
}
