package provider

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// An Attempt is one browser's try to sign in: a secret that the browser keeps
// and the provider never sees. What the provider is given follows from it, each
// for one use and one provider, so that nothing has to be stored here.
type Attempt [32]byte

// NewAttempt returns a fresh attempt.
func NewAttempt() (a Attempt) {
	rand.Read(a[:])
	return a
}

func (Attempt) String() string { return "redacted" }

// GoString keeps %#v from printing the secret.
func (Attempt) GoString() string { return "redacted" }

// state comes back with the browser (RFC 6749, Section 10.12).
func (a Attempt) state(provider string) string { return a.derive("state", provider) }

// nonce comes back in the ID token (OpenID Connect Core, Section 3.1.2.1).
func (a Attempt) nonce(provider string) string { return a.derive("nonce", provider) }

// verifier shows that who redeems the code is who asked for it (RFC 7636).
func (a Attempt) verifier(provider string) string { return a.derive("verifier", provider) }

func (a Attempt) derive(what, provider string) string {
	mac := hmac.New(sha256.New, a[:])
	mac.Write([]byte("cardea sign-in " + what + " " + provider))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
