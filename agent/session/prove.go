package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/pairing"
)

// Prove makes the proof for one request with a token for the audience (RFC 9449,
// Section 4.2), "" if the token is a bearer's. The proof names the token and is
// worth nothing with another. Errors are ErrRequest and ErrOffline.
//
// The token endpoint and POST /v1/links take the same key's proofs and hand out
// what no program may have, so none is made for where the server is. An audience
// that is an address must be the request's own; a name, or the issuer itself,
// does not say where its API is.
func (s *Session) Prove(ctx context.Context, t pairing.Tokens, audience string, r client.Request) (pairing.Secret, error) {
	if t.TokenType != pairing.TypeDPoP {
		return "", nil
	}
	origin, err := jose.Origin(r.URL)
	if err != nil {
		return "", ErrRequest
	}
	own, err := s.origins(ctx)
	if err != nil {
		return "", fmt.Errorf("prove: %w", err)
	}
	if slices.Contains(own, origin) {
		return "", ErrRequest
	}
	if want, err := jose.Origin(audience); err == nil && want != origin && audience != s.cfg.Client.Issuer {
		return "", ErrRequest
	}
	proof, err := jose.NewProof(s.cfg.Client.Signer, r.Method, r.URL, r.Nonce, t.AccessToken.Reveal(), time.Now())
	if err != nil {
		return "", fmt.Errorf("prove: %w", err)
	}
	return pairing.Secret(proof), nil
}

// origins are where the server is.
func (s *Session) origins(ctx context.Context) ([]string, error) {
	m, err := s.cfg.Client.Discover(ctx)
	if err != nil {
		return nil, offline(err)
	}
	var all []string
	for _, address := range []string{s.cfg.Client.Issuer, m.TokenEndpoint, m.DeviceAuthorizationEndpoint} {
		origin, err := jose.Origin(address)
		if err != nil {
			return nil, err
		}
		all = append(all, origin)
	}
	return all, nil
}
