package issuer

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// revoke is the end of a grant by its own client (RFC 7009). Any token of the
// family that is remembered ends it, and a device code before there are tokens.
// A token that is not known is none of anybody's and answered like one that was
// revoked; one that is bound to a key needs the proof of that key.
//
// token_type_hint is not looked at: all tokens are looked for in any case.
func (i *Issuer) revoke(r request) (any, error) {
	client, key, err := i.holder(r, PathRevocation)
	if err != nil {
		return nil, err
	}
	token := pairing.Secret(r.form.get("token"))
	if token == "" {
		return nil, failure(pairing.InvalidRequest, "token is missing")
	}
	if _, ok := i.config.Tokens.Read(token, r.at); ok {
		return nil, failure(pairing.UnsupportedTokenType, "an access token ends by itself within minutes: revoke the refresh token")
	}
	use := pairing.Use{Token: token.Hash(), JKT: key.jkt}
	for _, by := range []pairing.GrantKey{{Refresh: use.Token}, {Code: use.Token}} {
		err := i.leave(r.Context(), client, by, use, key.ids)
		if errors.Is(err, pairing.ErrNoGrant) {
			continue
		}
		return struct{}{}, err
	}
	return struct{}{}, nil
}

// leave ends a grant for its client. One that gave tokens is ended with all that
// was made of it, in a transaction of whoever knows what that is.
func (i *Issuer) leave(ctx context.Context, client Client, by pairing.GrantKey, use pairing.Use, proofs []pairing.ProofID) error {
	var answer error
	var inUse bool
	g, err := i.change(ctx, by, cardea.AccountID{}, proofs,
		func(now cardea.Millis, g *pairing.Grant, _ pairing.Owner) (note pairing.Note, err error) {
			if g.Client != client.ID {
				answer = failure(pairing.InvalidGrant, "it was given to another client")
				return "", nil
			}
			left := *g
			note, answer = left.Leave(use, now)
			inUse = i.config.Leave != nil && left.State != g.State && g.State == pairing.GrantActive
			if inUse {
				return "", nil
			}
			*g = left
			return note, nil
		})
	if err == nil && answer == nil && inUse {
		if err = i.config.Leave(ctx, g.Account, g.ID); err == nil {
			i.tell(pairing.NoteRevoked, g)
		}
	}
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	return answer
}
