// Package passkeytest is a phone for tests: it makes passkeys and uses them as a
// browser would let it, without a browser.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/x509"
	"net/url"
	"testing"

	"github.com/descope/virtualwebauthn"
)

// A Phone holds one passkey for one site. What it says of itself may be changed.
type Phone struct {
	Site    virtualwebauthn.RelyingParty
	Holder  virtualwebauthn.AuthenticatorOptions
	Passkey virtualwebauthn.Credential
}

// New is a phone that is at a site, whose passkeys are backed up, and that
// recognises its owner.
func New(t testing.TB, origin string) *Phone {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	return &Phone{
		Site:    virtualwebauthn.RelyingParty{ID: u.Hostname(), Name: "Hearth", Origin: origin},
		Holder:  virtualwebauthn.AuthenticatorOptions{BackupEligible: true, BackupState: true},
		Passkey: NewPasskey(t),
	}
}

// NewPasskey is another one. Its key's coordinates have no leading zeros, which the
// library leaves out (RFC 9053, Section 7.1.1, has them of full length).
func NewPasskey(t testing.TB) virtualwebauthn.Credential {
	t.Helper()
	for {
		c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		key, err := x509.ParsePKCS8PrivateKey(c.Key.Data)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.(*ecdsa.PrivateKey).PublicKey.Bytes() // 4, x, y
		if err != nil {
			t.Fatal(err)
		}
		if point[1] != 0 && point[33] != 0 {
			return c
		}
	}
}

// Create answers options to create a passkey.
func (p *Phone) Create(t testing.TB, options string) (answer string) {
	t.Helper()
	asked, err := virtualwebauthn.ParseAttestationOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	return virtualwebauthn.CreateAttestationResponse(p.Site, virtualwebauthn.NewAuthenticatorWithOptions(p.Holder), p.Passkey, *asked)
}

// Use answers options to use one. Holder.UserHandle is whose it says it is.
func (p *Phone) Use(t testing.TB, options string) (answer string) {
	t.Helper()
	asked, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	return virtualwebauthn.CreateAssertionResponse(p.Site, virtualwebauthn.NewAuthenticatorWithOptions(p.Holder), p.Passkey, *asked)
}
