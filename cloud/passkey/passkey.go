// Package passkey checks passkeys: keys that an owner's phone, computer or
// security key holds for this cloud alone and uses only after it has recognised
// them (Web Authentication, Level 3).
//
// What it promises:
//
//   - A passkey that was accepted was used at this site's own address, in answer
//     to a challenge of this cloud given to this very browser not long ago, by
//     whoever unlocked what holds it. How they did is not told: a fingerprint or a
//     face never leaves their device.
//   - Passkeys are discoverable: nobody has to say who they are, and nobody learns
//     by asking whether somebody has one.
//   - One whose counter stands still or goes back is told of: it may be in two
//     places. One that says another thing about backups than it did is refused.
//
// Nothing is stored here. A challenge carries its own end and is bound to the
// browser; the caller sees to it that each is answered once. It is the only
// importer of the library for WebAuthn.
package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/cardea-id/cardea"
)

// What can come of it.
var (
	// ErrRefused: what the browser sent is no answer to a challenge of ours, or
	// not a true one. An expected outcome.
	ErrRefused = errors.New("the passkey was not accepted")
	// ErrAddress: passkeys need a name to be kept for, and this is a number.
	ErrAddress = errors.New("passkeys need a host name")
)

// Config is where passkeys are for.
type Config struct {
	// Issuer is the address of the site; its host is what passkeys are kept for,
	// so it can not change later.
	Issuer *url.URL
	// Brand is what the site is called where passkeys are kept.
	Brand string
	// Secret is the key of challenges. Clouds that share a database have the same.
	Secret []byte
}

// Keys makes challenges and checks what answers them. It is safe for concurrent
// use.
type Keys struct {
	site   *webauthn.WebAuthn
	secret []byte
}

// New makes them. ErrAddress if the host is an IP address.
func New(c Config) (*Keys, error) {
	host := c.Issuer.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return nil, fmt.Errorf("%w: %s is none", ErrAddress, host)
	}
	site, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: c.Brand, RPOrigins: []string{c.Issuer.Scheme + "://" + c.Issuer.Host},
		AttestationPreference: protocol.PreferNoAttestation, // what made the key is nobody's business
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		// Some keepers answer more than they were asked, which is not read.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	return &Keys{site: site, secret: c.Secret}, nil
}

// A Passkey is one that was accepted.
type Passkey struct {
	ID     []byte
	Record []byte // what is kept of it; changes when it is used
	// Synced: it is, or can be, on more than one device of its owner.
	Synced bool
	// Cloned: its counter did not go on since it was last used.
	Cloned bool
	// Challenge is the hash of the one it answered, to be accepted once.
	Challenge cardea.Hash
}

// A Person is whose passkeys they are. Handle is 32 bytes that say nothing of
// them; Name is shown to them where the passkey is kept.
type Person struct {
	Handle  []byte
	Name    string
	Records [][]byte // of the passkeys they have
}

// Options are for the browser: JSON for PublicKeyCredential's
// parseCreationOptionsFromJSON or parseRequestOptionsFromJSON.
type Options string

// Creation asks a browser to make a passkey for a person.
func (k *Keys) Creation(who Person, browser cardea.Hash, now time.Time) (Options, error) {
	p, err := who.user()
	if err != nil {
		return "", err
	}
	creation, _, err := k.site.BeginRegistration(p, webauthn.WithExclusions(p.descriptors()))
	if err != nil {
		return "", fmt.Errorf("ask for a passkey: %w", err)
	}
	creation.Response.Challenge = k.challenge(creating, browser, now)
	return options(creation.Response)
}

// Create checks what the browser made.
func (k *Keys) Create(who Person, browser cardea.Hash, answer []byte, now time.Time) (Passkey, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Passkey{}, refused(err)
	}
	challenge, err := k.answered(creating, browser, parsed.Response.CollectedClientData.Challenge, now)
	if err != nil {
		return Passkey{}, err
	}
	p, err := who.user()
	if err != nil {
		return Passkey{}, err
	}
	_, session, err := k.site.BeginRegistration(p)
	if err != nil {
		return Passkey{}, fmt.Errorf("check a passkey: %w", err)
	}
	session.Challenge = parsed.Response.CollectedClientData.Challenge
	made, err := k.site.CreateCredential(p, *session, parsed)
	if err != nil {
		return Passkey{}, refused(err)
	}
	return keep(made, challenge)
}

// Request asks a browser for a passkey, whosever.
func (k *Keys) Request(browser cardea.Hash, now time.Time) (Options, error) {
	assertion, _, err := k.site.BeginDiscoverableLogin(webauthn.WithChallenge(k.challenge(using, browser, now)))
	if err != nil {
		return "", fmt.Errorf("ask for a passkey: %w", err)
	}
	return options(assertion.Response)
}

// Check checks that a passkey was used. find returns whose it is; its error is
// returned as it is.
func (k *Keys) Check(browser cardea.Hash, answer []byte, now time.Time, find func(id []byte) (Person, error)) (Passkey, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Passkey{}, refused(err)
	}
	challenge, err := k.answered(using, browser, parsed.Response.CollectedClientData.Challenge, now)
	if err != nil {
		return Passkey{}, err
	}
	_, session, err := k.site.BeginDiscoverableLogin()
	if err != nil {
		return Passkey{}, fmt.Errorf("check a passkey: %w", err)
	}
	session.Challenge = parsed.Response.CollectedClientData.Challenge
	var notFound error
	used, err := k.site.ValidateDiscoverableLogin(func(id, handle []byte) (webauthn.User, error) {
		who, err := find(id)
		if err != nil {
			notFound = err
			return nil, err
		}
		return who.user() // the library compares the handles
	}, *session, parsed)
	if notFound != nil {
		return Passkey{}, notFound
	}
	if err != nil {
		return Passkey{}, refused(err)
	}
	return keep(used, challenge)
}

func options(from any) (Options, error) {
	text, err := json.Marshal(from)
	return Options(text), err
}

// refused keeps what the library says of it for the log.
func refused(err error) error {
	if told, ok := errors.AsType[*protocol.Error](err); ok {
		return fmt.Errorf("%w: %s: %s", ErrRefused, told.Details, told.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// keep is what the caller keeps. What attests the make of the key is not.
func keep(c *webauthn.Credential, challenge cardea.Hash) (Passkey, error) {
	cloned := c.Authenticator.CloneWarning
	c.Attestation, c.Authenticator.CloneWarning = webauthn.CredentialAttestation{}, false
	record, err := json.Marshal(c)
	if err != nil {
		return Passkey{}, fmt.Errorf("keep a passkey: %w", err)
	}
	return Passkey{ID: c.ID, Record: record, Synced: c.Flags.BackupEligible, Cloned: cloned, Challenge: challenge}, nil
}

// A user is a person as the library wants them.
type user struct {
	Person
	credentials []webauthn.Credential
}

func (p Person) user() (*user, error) {
	u := &user{Person: p}
	for _, record := range p.Records {
		var c webauthn.Credential
		if err := json.Unmarshal(record, &c); err != nil {
			return nil, fmt.Errorf("a passkey's record: %w", err)
		}
		u.credentials = append(u.credentials, c)
	}
	return u, nil
}

// descriptors name the passkeys that are not to be made twice.
func (u *user) descriptors() (list []protocol.CredentialDescriptor) {
	for _, c := range u.credentials {
		list = append(list, c.Descriptor())
	}
	return list
}

// WebAuthnID and the others are what the library asks of a user.
func (u *user) WebAuthnID() []byte                         { return u.Handle }
func (u *user) WebAuthnName() string                       { return u.Name }
func (u *user) WebAuthnDisplayName() string                { return u.Name }
func (u *user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }
