package token

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// An Access is what a request's access token says. That its grant still stands
// is not in it: a token lives a few minutes longer than its grant.
type Access struct {
	issuer.Access
	Expires time.Time
}

// VerifyAccess checks the access token of a request and, where the token is
// bound to a key, the proof that came with it (RFC 9449, Section 7). Its error
// is a *web.Error; the challenge and a fresh nonce are set on w.
func (k *Keys) VerifyAccess(w http.ResponseWriter, r *http.Request) (Access, error) {
	now := time.Now()
	w.Header().Set("DPoP-Nonce", k.Nonce(now)) // RFC 9449, Section 9
	a, err := k.access(r, now)
	if err != nil {
		challenge(w, err)
		return Access{}, err
	}
	return a, nil
}

// Read reads an access token for the cloud itself, and asks for no proof: what
// it says may be told to an API that asks about it, and opens nothing.
func (k *Keys) Read(token pairing.Secret, now time.Time) (issuer.Claims, bool) {
	c, err := k.verify(token.Reveal(), k.issuer, now)
	if err != nil {
		return issuer.Claims{}, false
	}
	out := issuer.Claims{
		Access: c.access(),
		ID:     c.ID, Audience: c.Audience, Issued: time.Unix(c.IssuedAt, 0), Expires: time.Unix(c.Expires, 0),
	}
	return out, true
}

func (c claims) access() issuer.Access {
	a := issuer.Access{
		Subject: c.Subject, Client: c.ClientID, Scope: c.Scope, Grant: c.Grant, Set: c.Set, Roles: cardea.Roles(strings.Join(c.Roles, " ")),
	}
	if c.Confirm != nil {
		a.JKT = c.Confirm.JKT
	}
	return a
}

func challenge(w http.ResponseWriter, err *web.Error) {
	if err.Status != http.StatusUnauthorized {
		return
	}
	reason := ""
	if err.Code != "unauthorized" {
		reason = `error="` + err.Code + `", `
	}
	w.Header().Set("WWW-Authenticate", `DPoP `+reason+`algs="ES256"`)
}

// refused answers 401 whatever is wrong with a credential (RFC 6750, Section 3.1).
func refused(code, why string) *web.Error {
	return web.Errorf(http.StatusUnauthorized, code, "%s", why)
}

func (k *Keys) access(r *http.Request, now time.Time) (Access, *web.Error) {
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || len(r.Header.Values("Authorization")) != 1 {
		return Access{}, refused("unauthorized", "send one Authorization header with an access token")
	}
	c, err := k.verify(token, k.issuer, now)
	if err != nil {
		return Access{}, refused("invalid_token", "the access token is not valid here or has expired")
	}
	a := Access{c.access(), time.Unix(c.Expires, 0)}
	if c.Confirm == nil {
		if !strings.EqualFold(scheme, pairing.TypeBearer) {
			return Access{}, refused("invalid_token", "the token is a bearer token")
		}
		return a, nil
	}
	// A bound token presented as a bearer's has no proof: RFC 9449, Section 7.2.
	if !strings.EqualFold(scheme, pairing.TypeDPoP) {
		return Access{}, refused("invalid_token", "the token is bound to a key: send it as DPoP with a proof")
	}
	return a, k.prove(r, token, a.JKT, now)
}

func (k *Keys) prove(r *http.Request, token, jkt string, now time.Time) *web.Error {
	if len(r.Header.Values("DPoP")) != 1 { // RFC 9449, Section 4.3, number 1
		return refused(pairing.InvalidDPoPProof, "send one DPoP header")
	}
	proof, err := jose.VerifyProof(r.Header.Get("DPoP"), r.Method, k.issuer+r.URL.EscapedPath(), token)
	if err != nil || proof.JKT != jkt {
		return refused(pairing.InvalidDPoPProof, "the proof is not for this request, token or key")
	}
	until, ok := k.CheckNonce(proof.Nonce, now)
	if !ok {
		return refused(pairing.UseDPoPNonce, "make the proof with the nonce in the DPoP-Nonce header")
	}
	first, err := k.first(r.Context(), pairing.ProofID{Hash: sha256.Sum256([]byte(proof.JKT + " " + proof.JTI)), Until: cardea.MillisOf(until)}, now)
	if err != nil {
		return web.Errorf(http.StatusServiceUnavailable, "temporarily_unavailable", "the proof can not be recorded at the moment: try again")
	}
	if !first {
		return refused(pairing.InvalidDPoPProof, "the proof was used before")
	}
	return nil
}
