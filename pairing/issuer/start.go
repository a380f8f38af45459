package issuer

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// authorizeDevice is the device authorization endpoint (RFC 8628, Section 3.1).
// With a proof the code is bound to the key from the start, and nobody who sees
// the code can redeem it.
func (i *Issuer) authorizeDevice(r request) (any, error) {
	client, err := i.client(r)
	if err != nil {
		return nil, err
	}
	scope, err := narrow(r.form.get("scope"), client.Scopes)
	if err != nil {
		return nil, err
	}
	key, err := i.prove(r, PathDeviceAuthorization)
	if err != nil {
		return nil, err
	}
	if wait := i.starts.take(network(r.address), r.at); wait > 0 {
		return nil, &pairing.Error{Code: pairing.TemporarilyBusy, Description: "too many codes were asked for from this network",
			Status: http.StatusTooManyRequests, RetryAfter: wait}
	}
	label, err := i.label(r, key)
	if err != nil {
		return nil, err
	}
	g := pairing.Grant{
		Label: label.hash, Presses: label.presses,
		State: pairing.GrantPending, Client: client.ID, Scope: scope, Device: pairing.DeviceOf(r.form.values), JKT: key.jkt,
		Network: i.keyed("network", network(r.address).String()), Requested: cardea.MillisOf(r.at),
	}
	return i.start(r, g)
}

// start gives the grant codes that no other has and stores it.
func (i *Issuer) start(r request, g pairing.Grant) (pairing.Authorization, error) {
	for range 5 {
		device, user := pairing.NewSecret(), pairing.NewUserCode()
		g.ID, g.Code, g.UserCode = pairing.NewGrantID(), device.Hash(), i.keyed("user code", string(user))
		g.Expires = cardea.MillisOf(time.Now()).Add(i.config.CodeLife)
		err := i.config.Storage.Start(r.Context(), g)
		if errors.Is(err, pairing.ErrTaken) {
			continue
		}
		if err != nil {
			return pairing.Authorization{}, fmt.Errorf("start: %w", err)
		}
		i.tell(NoteStarted, g)
		return i.authorization(device, user), nil
	}
	return pairing.Authorization{}, errors.New("start: five user codes in a row were taken")
}

func (i *Issuer) authorization(device pairing.Secret, user pairing.UserCode) pairing.Authorization {
	page := i.config.Issuer + PathVerification
	return pairing.Authorization{
		DeviceCode: device, UserCode: string(user),
		VerificationURI: page, VerificationURIComplete: page + "?" + url.Values{"code": {string(user)}}.Encode(),
		VerificationURIShort: shortAddress(i.config.Issuer, PathShort, user),
		ExpiresIn:            int(i.config.CodeLife.Seconds()), Interval: int(pairing.DefaultInterval.Seconds()),
	}
}

// shortAddress is the address of a page that takes a code as the end of its path
// in any case, in the characters a QR code packs by two; "" where the issuer has
// others. An issuer has no path, whose case would not be ours to change.
func shortAddress(issuer, path string, code pairing.UserCode) string {
	text := strings.ToUpper(issuer + path + strings.ReplaceAll(string(code), "-", ""))
	if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$%*+-./:") != "" {
		return ""
	}
	return text
}
