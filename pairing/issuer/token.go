package issuer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// token is the token endpoint (RFC 6749, Section 3.2).
func (i *Issuer) token(r request) (any, error) {
	switch r.form.get("grant_type") {
	case pairing.GrantDeviceCode:
		return i.poll(r)
	case pairing.GrantRefreshToken:
		return i.refresh(r)
	case pairing.GrantClientCredentials:
		return i.deviceToken(r)
	case "":
		return nil, failure(pairing.InvalidRequest, "grant_type is missing")
	}
	return nil, failure(pairing.UnsupportedGrantType, "the grant type is not known here")
}

// holder identifies the client and checks its proof, which it must send if it
// is registered so.
func (i *Issuer) holder(r request, path string) (Client, proved, error) {
	client, err := i.client(r)
	if err != nil {
		return Client{}, proved{}, err
	}
	key, err := i.prove(r, path)
	if err == nil && key.jkt == "" && client.RequireDPoP {
		err = failure(pairing.InvalidDPoPProof, "the client must send a DPoP proof")
	}
	return client, key, err
}

// refresh is RFC 6749, Section 6. A request that also names a link has tokens for
// the proof of its key alone, if the refresh token is not known.
func (i *Issuer) refresh(r request) (any, error) {
	client, key, err := i.holder(r, PathToken)
	if err != nil {
		return nil, err
	}
	token := pairing.Secret(r.form.get("refresh_token"))
	if token == "" {
		return nil, failure(pairing.InvalidRequest, "refresh_token is missing")
	}
	use := pairing.Use{Token: token.Hash(), JKT: key.jkt, Arrived: cardea.MillisOf(r.at)}
	o := offer{
		client: client.ID, scope: r.form.get("scope"), by: pairing.GrantKey{Refresh: use.Token}, use: use, proofs: key.ids,
		decide: (*pairing.Grant).Refresh,
	}
	given, err := i.give(r.Context(), o)
	if !errors.Is(err, errNotKnown) {
		return given, err
	}
	link, badLink := cardea.ParseID[cardea.LinkID](r.form.get("link"))
	if badLink != nil || key.jkt == "" {
		return nil, notKnown
	}
	o.by, o.decide = pairing.GrantKey{Link: link}, (*pairing.Grant).Recall
	if given, err = i.give(r.Context(), o); errors.Is(err, errNotKnown) {
		return nil, failure(pairing.UnknownLink, "neither the refresh token nor the link is known here: pair again")
	}
	return given, err
}

// errNotKnown: no grant has that code, token or link. What a client hears of it
// is notKnown.
var (
	errNotKnown = errors.New("no such grant")
	notKnown    = failure(pairing.InvalidGrant, "it is not known here, or no longer")
)

// An offer is a code or a token that a client presents to have tokens for it.
type offer struct {
	client string
	scope  string // narrower than the grant's; empty: all of it
	by     pairing.GrantKey
	use    pairing.Use
	proofs []pairing.ProofID
	// decide is the rule that is run in the storage's transaction.
	decide func(*pairing.Grant, pairing.Use, pairing.Owner, cardea.Millis) (pairing.Note, error)
}

// give answers an offer with tokens or with the rule's error. The successor is
// made first, so that its hash is stored with the decision; the access token
// last, because a signature has no place in a transaction: if it fails, the
// answer is lost like any other and may be asked for again.
func (i *Issuer) give(ctx context.Context, o offer) (any, error) {
	// Who has gone would not get the tokens: leave them for the next try.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	next := pairing.NewSecret()
	o.use.Next = next.Hash()
	var access Access
	var answer error
	_, err := i.change(ctx, o.by, cardea.AccountID{}, o.proofs,
		func(now cardea.Millis, g *pairing.Grant, owner pairing.Owner) (note pairing.Note, err error) {
			access = Access{Subject: owner.Subject, Client: o.client, Grant: g.ID, Roles: owner.Roles}
			if access.Scope, answer = o.fits(*g); answer != nil {
				return "", nil
			}
			note, answer = o.decide(g, o.use, owner, now)
			access.JKT, access.Set = g.JKT, g.Set
			return note, nil
		})
	switch {
	case errors.Is(err, pairing.ErrNoGrant):
		return nil, errNotKnown
	case err != nil:
		return nil, fmt.Errorf("give tokens: %w", err)
	case answer != nil:
		return nil, answer
	}
	return i.tokens(access, next)
}

// fits checks what must hold before a grant may even be changed: it is the
// client's own (RFC 6749, Section 5.2), and the scope does not grow (Section 6).
func (o offer) fits(g pairing.Grant) (scope string, err error) {
	if g.Client != o.client {
		return "", failure(pairing.InvalidGrant, "it was given to another client")
	}
	return narrow(o.scope, strings.Fields(g.Scope))
}

func (i *Issuer) tokens(a Access, refresh pairing.Secret) (any, error) {
	text, life, err := i.config.Tokens.Mint(a, time.Now())
	if err != nil {
		return nil, fmt.Errorf("give tokens: %w", err)
	}
	kind := pairing.TypeBearer
	if a.JKT != "" {
		kind = pairing.TypeDPoP // RFC 9449, Section 5
	}
	return pairing.Tokens{AccessToken: text, TokenType: kind, ExpiresIn: int(life.Seconds()), RefreshToken: refresh, Scope: a.Scope}, nil
}
