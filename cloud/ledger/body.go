package ledger

import (
	"errors"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Body is everything a link's device must know now, from the ledger as it stands
// in this transaction and the catalogue.
func (l *Ledger) Body(tx *accountdb.Tx, cat *cardea.Catalogue, link accountdb.Link) (cardea.Body, error) {
	orders, err := tx.Orders(link.ID)
	if err != nil {
		return cardea.Body{}, err
	}
	if link.State != accountdb.LinkLive {
		return cardea.Body{Orders: append(orders, cardea.Order{ID: link.CloseOrder, Kind: cardea.OrderUnlink})}, nil
	}
	device, err := tx.Device(link.Device)
	if err != nil {
		return cardea.Body{}, err
	}
	body := cardea.Body{Orders: orders}
	if body.Identity, err = identity(tx, link.Account); err != nil {
		return body, err
	}
	if body.Consents, err = l.consents(tx, cat, link, device.Kind); err != nil {
		return body, err
	}
	if link.Missed != 0 { // whoever has it now is not told who it belongs to
		body.Identity = cardea.Identity{}
		return body, nil
	}
	body.Collections = collections(cat, body.Consents)
	body.Preferences, err = preferences(tx, cat, link, device.Kind, body.Consents)
	return body, err
}

func identity(tx *accountdb.Tx, account cardea.AccountID) (cardea.Identity, error) {
	a, err := tx.Account(account)
	if err != nil {
		return cardea.Identity{}, err
	}
	name, err := tx.Name(account)
	return cardea.Identity{Subject: a.Subject, Name: name, Roles: a.Roles.Names()}, err
}

// forAll puts what the device's owner denies for all who use it over what stands
// for one of them. It says that it is so and not whose word it is. Its author's
// own yes, on this device and in the knowledge of it, ends it.
func forAll(denials []accountdb.DeviceDenial, link accountdb.Link, c cardea.Consent) cardea.Consent {
	for _, d := range denials {
		if d.Key == c.Key && c.Class != cardea.ClassN && (d.Link != link.ID || !c.Given()) {
			c.Reason, c.ValidUntil, c.Everyone = cardea.ReasonRefused, 0, true
		}
	}
	return c
}

// consents is what stands for one device. A forked link, and one whose owner
// misses the device, is given nothing.
func (l *Ledger) consents(tx *accountdb.Tx, cat *cardea.Catalogue, link accountdb.Link, kind cardea.DeviceKind) (out []cardea.Consent, err error) {
	denials, err := tx.DeviceDenials(link.Device)
	if err != nil {
		return nil, err
	}
	err = l.fold(tx, link.Account, func(fold *cardea.Consents) {
		for _, p := range cat.Purposes {
			if !p.On(kind) {
				continue
			}
			for _, key := range p.Keys() {
				terms, _ := cat.Terms(key)
				c := fold.On(link.Device, key, terms)
				if (link.Forked || link.Missed != 0) && c.Given() && c.Class != cardea.ClassN {
					c.Reason, c.ValidUntil = cardea.ReasonForked, 0
				}
				out = append(out, forAll(denials, link, c))
			}
		}
	})
	return out, err
}

// preferences resolves what the device is told. What belongs to a purpose is
// absent while that is not given.
func preferences(tx *accountdb.Tx, cat *cardea.Catalogue, link accountdb.Link, kind cardea.DeviceKind, consents []cardea.Consent) ([]cardea.Preference, error) {
	given := map[cardea.Key]bool{}
	for _, c := range consents {
		given[c.Key] = c.Given()
	}
	var out []cardea.Preference
	for _, def := range cat.Preferences {
		if !def.On(kind) || def.Purpose != "" && !given[def.Under()] {
			continue
		}
		account, device, err := settings(tx, link.Account, def.Key, link.Device)
		if err != nil {
			return nil, err
		}
		out = append(out, def.Resolve(tx.Millis(), account, device))
	}
	return out, nil
}

// settings are what stands for a preference on the account and on one device.
func settings(tx *accountdb.Tx, id cardea.AccountID, key cardea.PreferenceKey, on cardea.DeviceID) (account, device *cardea.Setting, err error) {
	if account, err = tx.Setting(id, key, cardea.Scope{}); err != nil {
		return nil, nil, err
	}
	device, err = tx.Setting(id, key, cardea.Scope{Device: on})
	return account, device, err
}

// Fit encodes a body within wire's limit, leaving out what is not given if it
// must: absent is no. It is a *RejectedError if what is given is too much.
func Fit(body cardea.Body) ([]byte, error) {
	encoded, err := wire.EncodeBody(body)
	if !errors.Is(err, wire.ErrTooBig) {
		return encoded, err
	}
	var given []cardea.Consent
	for _, c := range body.Consents {
		if c.Given() {
			given = append(given, c)
		}
	}
	body.Consents = given
	if encoded, err = wire.EncodeBody(body); errors.Is(err, wire.ErrTooBig) {
		err = &RejectedError{cardea.RejectedTooBig}
	}
	return encoded, err
}
