package accountdb

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
)

// hold keeps every other writer from an account until the commit. What was read
// of the account before may be outdated, so this comes first. In View it does
// nothing.
func (tx *Tx) hold(account cardea.AccountID) error {
	if !tx.holds || slices.Contains(tx.held, account) {
		return nil
	}
	now, err := tx.db.engine.hold(tx, account[:])
	if err != nil {
		return fmt.Errorf("hold account: %w", err)
	}
	tx.held = append(tx.held, account)
	if now.After(tx.Now) {
		tx.Now = now
	}
	return nil
}

// holdOf holds the account that a query finds, if it finds one. Whose a thing is
// never changes.
func (tx *Tx) holdOf(query string, args ...any) error {
	if !tx.holds {
		return nil
	}
	account, err := one(tx, scanID[cardea.AccountID], query, args...)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.hold(account)
}

// Shared reports whether other processes may write to the database as well, so
// that what this one remembers may be outdated.
func (tx *Tx) Shared() bool { return tx.db.engine.shared() }

// Hold keeps every other transaction that holds the same name waiting until the
// commit, for what belongs to no account.
func (tx *Tx) Hold(name string) error {
	if !tx.holds {
		return nil
	}
	if err := tx.db.engine.holdName(tx, name); err != nil {
		return fmt.Errorf("hold %s: %w", name, err)
	}
	return nil
}
