package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// poll is the device access token request (RFC 8628, Section 3.4). It is held
// while nothing is decided.
func (i *Issuer) poll(r request) (any, error) {
	client, key, err := i.holder(r, PathToken)
	if err != nil {
		return nil, err
	}
	secret := pairing.Secret(r.form.get("device_code"))
	if secret == "" {
		return nil, failure(pairing.InvalidRequest, "device_code is missing")
	}
	use := pairing.Use{Token: secret.Hash(), JKT: key.jkt, Arrived: cardea.MillisOf(r.at)}
	if use.Presses, err = presses(r.form); err != nil {
		return nil, err
	}
	g, err := i.await(r, client, &use)
	if err != nil {
		return nil, err
	}
	if err := refusal(g, use, time.Now()); err != nil {
		return nil, err
	}
	given, err := i.give(r.Context(), offer{
		client: client.ID, by: pairing.GrantKey{Code: use.Token}, use: use, proofs: key.ids,
		decide: (*pairing.Grant).Redeem,
	})
	if errors.Is(err, errNotKnown) {
		return nil, notKnown
	}
	return given, err
}

// refusal tries the rule on what was read. A refusal that changes nothing, such
// as authorization_pending, needs no transaction; everything else is decided in
// one.
func refusal(g pairing.Grant, use pairing.Use, now time.Time) error {
	tried := g
	_, err := tried.Redeem(use, pairing.Owner{Active: true}, cardea.MillisOf(now))
	if err == nil || tried != g {
		return nil
	}
	if use.Quick && pairing.HasCode(err, pairing.AuthorizationPending) {
		return pairing.Slower()
	}
	return err
}

// await reads the grant of a device code, waiting for the owner as long as the
// client and the bounds allow. It notes in the use whether the poll waited, or
// came too soon to wait.
//
// The order is: register the waiter, read, wait, read again, so that no answer
// of the owner falls between reading and waiting.
func (i *Issuer) await(r request, client Client, use *pairing.Use) (pairing.Grant, error) {
	wait := i.holds.enter(use.Token, network(r.address), hold(r.Header))
	defer wait.leave()
	g, err := i.find(r.Context(), use.Token)
	if err != nil {
		return g, err
	}
	if g.Client != client.ID {
		return g, failure(pairing.InvalidGrant, "the device code was given to another client")
	}
	// Who takes over its own hold has lost its connection and is not too soon,
	// nor is the one it took over from. Where tokens were given nothing is held:
	// a poll beside the one that got them is a twin, however late it comes.
	if i.pacer.early(g, r.at) && (g.State == pairing.GrantActive || !wait.shared()) {
		use.Quick = true
		i.pacer.slow(g.Code)
	}
	waits := g.State == pairing.GrantPending && (g.JKT == "" || g.JKT == use.JKT)
	look := func() bool {
		now, err := i.find(r.Context(), use.Token)
		return err == nil && now.State != g.State
	}
	if !waits || use.Quick || !wait.until(r.Context(), g.Expires.Time(), i.config.Look, look) {
		return g, nil
	}
	use.Waited = true
	return i.find(r.Context(), use.Token)
}

func (i *Issuer) find(ctx context.Context, code cardea.Hash) (pairing.Grant, error) {
	g, err := i.config.Storage.Find(ctx, pairing.GrantKey{Code: code})
	if errors.Is(err, pairing.ErrNoGrant) {
		return g, failure(pairing.InvalidGrant, "the device code is not known here, or no longer")
	}
	if err != nil {
		return g, fmt.Errorf("poll: %w", err)
	}
	return g, nil
}

// hold is how long a poll may be held: what the client asks for (RFC 7240,
// Section 4.3), or so little that no client takes it for a broken connection.
func hold(h http.Header) time.Duration {
	for _, line := range h.Values("Prefer") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(part, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value, _, _ = strings.Cut(value, ";")
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 16)
			if err == nil {
				return min(time.Duration(n)*time.Second, maxHold)
			}
		}
	}
	return usualHold
}
