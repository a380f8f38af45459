package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A State is what stood of every key that was asked at an instant.
type State struct {
	At       cardea.Millis
	Head     cardea.Position // of the ledger as it was; zero while it was empty
	Consents []cardea.Consent
}

// At says what stood for an account at an instant, on one device or, if that is
// empty, everywhere: the fold of what was recorded by then, under the catalogue
// that was in force then. accountdb.ErrNotFound if there is no such account.
func (l *Ledger) At(ctx context.Context, subject string, device cardea.DeviceID, instant cardea.Millis) (State, error) {
	state := State{At: instant}
	err := l.DB.View(ctx, func(tx *accountdb.Tx) error {
		a, err := tx.AccountBySubject(subject)
		if err != nil {
			return err
		}
		cat, err := l.catalogueAt(tx, instant)
		if err != nil {
			return err
		}
		fold, head, err := foldedUntil(tx, a.ID, func(e cardea.Entry) bool { return e.Recorded <= instant })
		if err != nil {
			return err
		}
		state.Head, state.Consents = head, nil
		for _, p := range cat.Purposes {
			for _, key := range p.Keys() {
				terms, _ := cat.Terms(key)
				state.Consents = append(state.Consents, endedBy(fold.On(device, key, terms), instant))
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) {
		err = fmt.Errorf("state at an instant: %w", err)
	}
	return state, err
}

// catalogueAt is the catalogue at an instant; the present one where the database
// has none, and none before its first.
func (l *Ledger) catalogueAt(tx *accountdb.Tx, instant cardea.Millis) (*cardea.Catalogue, error) {
	cat, err := catalogue.At(tx, instant)
	if !errors.Is(err, accountdb.ErrNotFound) {
		return cat, err
	}
	if _, err := catalogue.At(tx, tx.Millis()); err == nil {
		return new(cardea.Catalogue), nil
	}
	cat, _ = l.Catalogue.Current()
	return cat, nil
}

// foldedUntil folds an account's ledger as far as there says, and says where that
// is.
func foldedUntil(tx *accountdb.Tx, account cardea.AccountID, there func(cardea.Entry) bool) (fold *cardea.Consents, head cardea.Position, err error) {
	entries, err := tx.Dated(account)
	fold = new(cardea.Consents)
	for _, e := range entries {
		if !there(e) {
			break
		}
		fold.Apply(e)
		head = e.Position
	}
	return fold, head, err
}

// endedBy is a consent as it stands at an instant: a yes that has ended by then
// has expired.
func endedBy(c cardea.Consent, instant cardea.Millis) cardea.Consent {
	if c.Given() && c.ValidUntil != 0 && c.ValidUntil <= instant {
		c.Reason = cardea.ReasonExpired
	}
	return c
}
