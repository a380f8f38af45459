package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Signal takes the word of the owner's browser that their data is not to be sold
// or shared (Global Privacy Control): a no to each key of cardea.Purpose.Sells,
// everywhere, as if they had said it. It says which it newly denied.
//
// What is off by a no stays so and nothing is recorded again. What the owner
// allowed on a page that told them of the signal stands: that is their own
// answer to it. Any other yes ends, whether it came before the signal or from a
// browser that sends none; the absence of the signal means nothing.
func (l *Ledger) Signal(ctx context.Context, account cardea.AccountID) ([]cardea.Key, error) {
	if !l.sells() {
		return nil, nil
	}
	var open []cardea.Key
	err := l.DB.View(ctx, func(tx *accountdb.Tx) (err error) {
		open, err = l.open(tx, account)
		return err
	})
	if err != nil || len(open) == 0 {
		return nil, shownSignal(err)
	}
	err = l.DB.Update(ctx, func(tx *accountdb.Tx) error {
		if open, err = l.open(tx, account); err != nil { // another tab may have been faster
			return err
		}
		for _, key := range open {
			if err := l.deny(tx, account, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, shownSignal(err)
	}
	l.Committed(account)
	return open, nil
}

func shownSignal(err error) error {
	if err != nil {
		return fmt.Errorf("take the browser's signal: %w", err)
	}
	return nil
}

// sells reports whether the catalogue asks anything that the signal is about.
func (l *Ledger) sells() bool {
	cat, _ := l.Catalogue.Current()
	for _, p := range cat.Purposes {
		if len(p.Sells()) > 0 {
			return true
		}
	}
	return false
}

func (l *Ledger) deny(tx *accountdb.Tx, account cardea.AccountID, key cardea.Key) error {
	a, err := tx.Account(account)
	if err != nil {
		return err
	}
	no := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key, Base: a.Head}
	_, err = l.Take(tx, account, Proposal{Decision: no, Channel: cardea.ChannelGPC})
	return err
}

// open lists the keys that the signal is about and that are not off by a no, nor
// allowed in spite of it.
func (l *Ledger) open(tx *accountdb.Tx, account cardea.AccountID) (keys []cardea.Key, err error) {
	cat, _ := l.Catalogue.Current()
	for _, p := range cat.Purposes {
		for _, key := range p.Sells() {
			s, err := signalled(tx, account, key)
			if err != nil {
				return nil, err
			}
			if !s.Off && !s.InSpite {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}

// A Signalled says how a key that the signal is about stands to it.
type Signalled struct {
	Off     bool // by a no
	ByIt    bool // and that no was the signal's
	InSpite bool // allowed by an owner who was told of the signal
}

func signalled(tx *accountdb.Tx, account cardea.AccountID, key cardea.Key) (Signalled, error) {
	last, err := tx.LastDecision(account, key)
	switch {
	case errors.Is(err, accountdb.ErrNotFound):
		return Signalled{}, nil
	case err != nil || last.Act == cardea.ActDeny:
		return Signalled{Off: true, ByIt: last.Channel == cardea.ChannelGPC}, err
	}
	shown, err := tx.Shown(account, last.Position.Seq)
	return Signalled{InSpite: shown.Signal}, err
}
