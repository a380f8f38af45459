package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Given lists the keys that the account gives, everywhere or on one of its
// devices, in the order of the catalogue.
func (l *Ledger) Given(tx *accountdb.Tx, account cardea.AccountID) (keys []cardea.Key, err error) {
	cat, _ := l.Catalogue.Current()
	links, err := tx.Links(account)
	if err != nil {
		return nil, err
	}
	err = l.fold(tx, account, func(fold *cardea.Consents) {
		for _, p := range cat.Purposes {
			for _, key := range p.Keys() {
				terms, _ := cat.Terms(key)
				on := func(link accountdb.Link) bool { return fold.On(link.Device, key, terms).Given() }
				if terms.Class != cardea.ClassN && (fold.Anywhere(key, terms).Given() || slices.ContainsFunc(links, on)) {
					keys = append(keys, key)
				}
			}
		}
	})
	return keys, err
}

// WithdrawAll denies every key that is given, each with a denial of its own, in
// one transaction, and lists them. It is the one decision on several keys that
// there is: it only stops.
func (l *Ledger) WithdrawAll(ctx context.Context, account cardea.AccountID, channel cardea.Channel) (keys []cardea.Key, err error) {
	err = l.DB.Update(ctx, func(tx *accountdb.Tx) error {
		keys, err = l.StopAll(tx, account, channel)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("withdraw everything: %w", err)
	}
	l.Committed(account)
	return keys, nil
}

// StopAll is WithdrawAll within a larger change.
func (l *Ledger) StopAll(tx *accountdb.Tx, account cardea.AccountID, channel cardea.Channel) ([]cardea.Key, error) {
	keys, err := l.Given(tx, account)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		a, err := tx.Account(account)
		if err != nil {
			return nil, err
		}
		no := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key, Base: a.Head}
		if _, err := l.Take(tx, account, Proposal{Decision: no, Channel: channel}); err != nil {
			return nil, err
		}
	}
	return keys, nil
}
