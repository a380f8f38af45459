package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// What an owner may hear of a code, beside ErrTooManyGuesses.
var (
	// ErrWrongCode: no device shows that code.
	ErrWrongCode = errors.New("no device shows this code: compare it with the screen")
	// ErrExpired: the code was not answered in time.
	ErrExpired = pairing.ErrExpired
	// ErrUsed: the code was answered already, by whomever.
	ErrUsed = pairing.ErrUsed
	// ErrInactive: the account may not pair.
	ErrInactive = pairing.ErrInactive
	// ErrNoGrant: the account has no such grant.
	ErrNoGrant = pairing.ErrNoGrant
)

// A Request is a device that asks, as its owner should see it before answering
// (RFC 8628, Section 5.4). What the device says of itself is not verified.
type Request struct {
	Grant       pairing.GrantID  // what a yes will make of it
	Code        pairing.UserCode // to be compared with the device's screen
	Client      string
	Device      pairing.Device
	Scope       string
	Requested   time.Time
	Expires     time.Time
	SameNetwork bool // the device asked from the network the owner is on: a hint

	// Choices is the code among two others, in no telling order, for an owner
	// who may not have the device in view: who can not see it can only guess.
	// A code keeps the same two others, so that asking again tells nothing.
	Choices []pairing.UserCode
}

// Lookup finds who shows a code. It changes nothing but the count of guesses.
// from is the owner's address. Errors: ErrWrongCode, ErrExpired, ErrUsed,
// ErrTooManyGuesses.
func (i *Issuer) Lookup(ctx context.Context, account cardea.AccountID, code pairing.UserCode, from netip.Addr) (Request, error) {
	var g pairing.Grant
	err := i.guess(account, from, func() (err error) {
		g, err = i.config.Storage.Find(ctx, i.byUserCode(code))
		return err
	})
	switch {
	case err != nil:
		return Request{}, fmt.Errorf("look up code: %w", err)
	case g.State != pairing.GrantPending:
		return Request{}, ErrUsed
	case !time.Now().Before(g.Expires.Time()):
		return Request{}, ErrExpired
	}
	return Request{
		Grant: g.ID, Code: code, Client: g.Client, Device: g.Device, Scope: g.Scope,
		Requested: g.Requested.Time(), Expires: g.Expires.Time(),
		SameNetwork: from.IsValid() && g.Network == i.keyed("network", network(from).String()),
		Choices:     i.choices(code),
	}, nil
}

// choices puts a code among two that nobody shows.
func (i *Issuer) choices(code pairing.UserCode) []pairing.UserCode {
	all := []pairing.UserCode{code}
	for n := 0; len(all) < 3; n++ {
		decoy := pairing.UserCodeOf(i.keyed("decoy "+strconv.Itoa(n), string(code)))
		if !slices.Contains(all, decoy) {
			all = append(all, decoy)
		}
	}
	slices.Sort(all)
	return all
}

// Approve is the owner's yes to the device that shows the code, under a name of
// the owner's choice. The device has its tokens when it polls next, which is
// usually now. Errors: those of Lookup, and ErrInactive.
func (i *Issuer) Approve(ctx context.Context, account cardea.AccountID, code pairing.UserCode, name string) (pairing.GrantID, error) {
	g, err := i.answer(ctx, account, code, func(now cardea.Millis, g *pairing.Grant, owner pairing.Owner) (pairing.Note, error) {
		return g.Approve(owner, name, now)
	})
	if err != nil {
		return "", fmt.Errorf("approve: %w", err)
	}
	return g.ID, nil
}

// Deny is the owner's no; the device hears it when it polls next, which is
// usually now. Errors: those of Lookup.
func (i *Issuer) Deny(ctx context.Context, account cardea.AccountID, code pairing.UserCode) error {
	_, err := i.answer(ctx, account, code, func(now cardea.Millis, g *pairing.Grant, _ pairing.Owner) (pairing.Note, error) {
		return g.Deny(now)
	})
	if err != nil {
		return fmt.Errorf("deny: %w", err)
	}
	return nil
}

func (i *Issuer) answer(ctx context.Context, account cardea.AccountID, code pairing.UserCode,
	f func(cardea.Millis, *pairing.Grant, pairing.Owner) (pairing.Note, error)) (g pairing.Grant, err error) {
	err = i.guess(account, netip.Addr{}, func() error {
		g, err = i.change(ctx, i.byUserCode(code), account, nil, f)
		return err
	})
	return g, err
}

// guess tries a code. Only one that nobody shows counts as wrong.
func (i *Issuer) guess(account cardea.AccountID, from netip.Addr, try func() error) error {
	right, err := i.guesses.take(account, from, time.Now())
	if err != nil {
		return err
	}
	err = try()
	if errors.Is(err, pairing.ErrNoGrant) {
		return ErrWrongCode
	}
	right()
	return err
}

func (i *Issuer) byUserCode(code pairing.UserCode) pairing.GrantKey {
	return pairing.GrantKey{UserCode: i.keyed("user code", string(code))}
}

// A Grant is what an account allows one device, as its owner sees it.
type Grant struct {
	ID       pairing.GrantID
	Name     string
	Client   string
	Scope    string
	Device   pairing.Device
	Approved time.Time
	Redeemed bool // the device has taken its tokens
}

// Grants lists what an account allows, oldest first.
func (i *Issuer) Grants(ctx context.Context, account cardea.AccountID) ([]Grant, error) {
	all, err := i.config.Storage.List(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", err)
	}
	grants := make([]Grant, 0, len(all))
	for _, g := range all {
		grants = append(grants, Grant{ID: g.ID, Name: g.Name, Client: g.Client, Scope: g.Scope, Device: g.Device,
			Approved: g.Decided.Time(), Redeemed: g.State == pairing.GrantActive})
	}
	return grants, nil
}

// Revoke ends one grant of an account, or cancels it if the device has not
// taken its tokens yet. Access tokens live on for a few minutes. Revoking again
// is no error. ErrNoGrant if the account has no such grant.
func (i *Issuer) Revoke(ctx context.Context, account cardea.AccountID, grant pairing.GrantID) error {
	_, err := i.change(ctx, pairing.GrantKey{ID: grant}, account, nil,
		func(now cardea.Millis, g *pairing.Grant, _ pairing.Owner) (pairing.Note, error) {
			if g.Account != account {
				return "", ErrNoGrant
			}
			return g.Revoke(now), nil
		})
	if err != nil {
		return fmt.Errorf("revoke grant: %w", err)
	}
	return nil
}

// Suspend cancels what an account approved and no device has taken yet. Call it
// when the account was disabled: grants in use refresh no more while it is, and
// go on when it is enabled again.
func (i *Issuer) Suspend(ctx context.Context, account cardea.AccountID) error {
	all, err := i.config.Storage.List(ctx, account)
	if err != nil {
		return fmt.Errorf("suspend account: %w", err)
	}
	for _, g := range all {
		if g.State != pairing.GrantApproved {
			continue
		}
		if err := i.Revoke(ctx, account, g.ID); err != nil {
			return fmt.Errorf("suspend account: %w", err)
		}
	}
	return nil
}
