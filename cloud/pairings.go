package cloud

import (
	"context"
	"errors"
	"net/netip"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/portal"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/pairing/issuer"
)

// pairings shows the issuer's codes to the owner's pages.
type pairings struct{ issuer *issuer.Issuer }

func (p pairings) Lookup(ctx context.Context, account cardea.AccountID, code pairing.UserCode, from netip.Addr) (portal.Pending, error) {
	r, err := p.issuer.Lookup(ctx, account, code, from)
	return portal.Pending{Device: r.Device, Requested: r.Requested, Expires: r.Expires, SameNetwork: r.SameNetwork}, outcome(err)
}

func (p pairings) Approve(ctx context.Context, account cardea.AccountID, code pairing.UserCode, name string) error {
	_, err := p.issuer.Approve(ctx, account, code, name)
	return outcome(err)
}

func (p pairings) Deny(ctx context.Context, account cardea.AccountID, code pairing.UserCode) error {
	return outcome(p.issuer.Deny(ctx, account, code))
}

// outcome says in the pages' words what can happen to a code.
func outcome(err error) error {
	if _, many := errors.AsType[issuer.ErrTooManyGuesses](err); many {
		return portal.ErrTooMany
	}
	if errors.Is(err, issuer.ErrWrongCode) {
		return pairing.ErrNoGrant
	}
	return err
}
