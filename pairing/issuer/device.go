package issuer

import (
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
)

// deviceToken gives a device its own token for the broker: client credentials
// with an assertion signed by the device key (RFC 7523, Section 3) and a proof
// by the same key. It names no account, and is given while the device has a
// link that is live or closing, so that a device which was unlinked while it
// was off still hears of it.
//
// RFC 7523 requires an expiry, for which a device without a clock has no time.
// Our nonce in the assertion bounds its life instead.
func (i *Issuer) deviceToken(r request) (any, error) {
	if r.form.get("client_assertion_type") != pairing.AssertionJWT || r.form.get("client_assertion") == "" {
		return nil, failure(pairing.UnauthorizedClient, "only a device with an assertion signed by its key may ask for its own token")
	}
	if scope := r.form.get("scope"); scope != "" && scope != pairing.ScopeMQTT {
		return nil, failure(pairing.InvalidScope, "a device may ask for the scope mqtt only")
	}
	device, proofs, err := i.device(r)
	if err != nil {
		return nil, err
	}
	linked, err := i.config.Storage.UseDevice(r.Context(), device, proofs)
	if err != nil {
		return nil, fmt.Errorf("give device token: %w", err)
	}
	if !linked {
		return nil, failure(pairing.InvalidGrant, "the device has no link: pair it first")
	}
	text, life, err := i.config.Tokens.MintDevice(device, time.Now())
	if err != nil {
		return nil, fmt.Errorf("give device token: %w", err)
	}
	return pairing.Tokens{AccessToken: text, TokenType: pairing.TypeDPoP, ExpiresIn: int(life.Seconds()), Scope: pairing.ScopeMQTT}, nil
}

// device authenticates a device: assertion and proof by one key, whose
// thumbprint is the client_id.
func (i *Issuer) device(r request) (cardea.DeviceID, []pairing.ProofID, error) {
	key, err := i.prove(r, PathToken)
	if err != nil {
		return "", nil, err
	}
	if key.jkt == "" {
		return "", nil, failure(pairing.InvalidDPoPProof, "a device must send a DPoP proof")
	}
	var a pairing.Assertion
	pub, err := jose.VerifyEmbedded(r.form.get("client_assertion"), "JWT", &a)
	if err != nil {
		return "", nil, noClient("the assertion is not signed with the key in its header")
	}
	id := jose.Thumbprint(pub)
	switch {
	case id != key.jkt || a.Issuer != id || a.Subject != id || r.form.get("client_id") != "" && r.form.get("client_id") != id:
		return "", nil, noClient("client_id, assertion and proof are not of one key")
	case a.Audience != i.config.Issuer || a.ID == "":
		return "", nil, noClient("the assertion is for another server, or has no jti")
	}
	assertion, err := i.fresh(a.Nonce, id, "assertion "+a.ID, r.at)
	if err != nil {
		return "", nil, err
	}
	return cardea.DeviceID(id), append(key.ids, assertion), nil
}
