package issuer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// Devices without a screen: a printed label leads the owner to whatever device
// asks under it now, and the owner's yes counts once its button was pressed as
// often as the owner was told. See docs/decisions/0018-labels.md.

// ErrAsleep is returned for a label under which no device asks.
var ErrAsleep = errors.New("no device asks under this label: press its button until it blinks")

// labelled is what a grant has of a label; zero for a device with a screen.
type labelled struct {
	hash    cardea.Hash
	presses int
}

// label checks that the device is the one under the label it names, if it names
// one. It has to prove its own key in the same request.
func (i *Issuer) label(r request, key proved) (labelled, error) {
	text := r.form.get("device_label")
	if text == "" {
		return labelled{}, nil
	}
	if key.jkt == "" {
		return labelled{}, failure(pairing.InvalidDPoPProof, "a device with a label must send a DPoP proof")
	}
	label, nonce, err := pairing.VerifyLabel(text, i.config.Issuer, key.jkt)
	if err != nil {
		return labelled{}, failure(pairing.InvalidRequest, "device_label is not signed by the label's key for this server and this device")
	}
	if _, ok := i.config.Tokens.CheckNonce(nonce, r.at); !ok {
		return labelled{}, failure(pairing.UseDPoPNonce, "make device_label with the nonce in the DPoP-Nonce header")
	}
	return labelled{i.keyed("label", string(label)), pairing.MinPresses + rand.N(pairing.MaxPresses-pairing.MinPresses+1)}, nil
}

// presses reads how often the device's button was pressed; 0: it was not.
func presses(f form) (int, error) {
	text := f.get("device_presses")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n == 0 {
		return 0, failure(pairing.InvalidRequest, "device_presses is a number from 1")
	}
	return int(n), nil
}

// A LabelRequest is a device without a screen that asks under a label.
type LabelRequest struct {
	Request // without Code and Choices: there is no screen to compare

	// Presses is how often the button must be pressed, once the same account has
	// said yes; 0 before, and when it was Done.
	Presses int
	Done    bool
}

// LookupLabel finds the device that asks under a label. It changes nothing. The
// account that has said yes is told how often to press, and when that was done;
// every other hears ErrUsed. Errors: ErrAsleep, ErrUsed.
func (i *Issuer) LookupLabel(ctx context.Context, account cardea.AccountID, label pairing.Label, from netip.Addr) (LabelRequest, error) {
	g, err := i.config.Storage.Find(ctx, i.byLabel(label))
	switch {
	case errors.Is(err, pairing.ErrNoGrant):
		return LabelRequest{}, ErrAsleep
	case err != nil:
		return LabelRequest{}, fmt.Errorf("look up label: %w", err)
	case g.State == pairing.GrantActive && g.Account == account:
		return LabelRequest{Request: Request{Grant: g.ID}, Done: true}, nil
	case g.State != pairing.GrantPending && (g.State != pairing.GrantApproved || g.Account != account):
		return LabelRequest{}, ErrUsed
	case !time.Now().Before(g.Expires.Time()):
		return LabelRequest{}, ErrAsleep
	}
	asks := LabelRequest{Request: Request{
		Grant: g.ID, Client: g.Client, Device: g.Device, Scope: g.Scope, Requested: g.Requested.Time(), Expires: g.Expires.Time(),
		SameNetwork: from.IsValid() && g.Network == i.keyed("network", network(from).String()),
	}}
	if g.State == pairing.GrantApproved {
		asks.Presses = g.Presses
	}
	return asks, nil
}

// ApproveLabel is the owner's yes to the device that asks under the label. It
// counts once the device's button was pressed as LookupLabel says from now on.
// Errors: those of LookupLabel, and ErrInactive.
func (i *Issuer) ApproveLabel(ctx context.Context, account cardea.AccountID, label pairing.Label, name string) error {
	return i.answerLabel(ctx, account, label, func(now cardea.Millis, g *pairing.Grant, owner pairing.Owner) (pairing.Note, error) {
		return g.Approve(owner, name, now)
	})
}

// DenyLabel is the owner's no. Errors: those of LookupLabel.
func (i *Issuer) DenyLabel(ctx context.Context, account cardea.AccountID, label pairing.Label) error {
	return i.answerLabel(ctx, account, label, func(now cardea.Millis, g *pairing.Grant, _ pairing.Owner) (pairing.Note, error) {
		return g.Deny(now)
	})
}

func (i *Issuer) answerLabel(ctx context.Context, account cardea.AccountID, label pairing.Label,
	f func(cardea.Millis, *pairing.Grant, pairing.Owner) (pairing.Note, error)) error {
	_, err := i.change(ctx, i.byLabel(label), account, nil, f)
	switch {
	case errors.Is(err, pairing.ErrNoGrant), errors.Is(err, pairing.ErrExpired):
		return ErrAsleep
	case err != nil:
		return fmt.Errorf("answer label: %w", err)
	}
	return nil
}

func (i *Issuer) byLabel(label pairing.Label) pairing.GrantKey {
	return pairing.GrantKey{Label: i.keyed("label", string(label))}
}
