package accountdb

import (
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// An Undo is what a link in a mail can take back.
type Undo struct {
	Account cardea.AccountID
	What    string // a word of whoever made the link
	Ref     []byte // what it is about
	Created time.Time
}

// PutUndo lets a link take something back, for as long as given. hash is of the
// secret in the link.
func (tx *Tx) PutUndo(hash cardea.Hash, u Undo, life time.Duration) error {
	if err := tx.exec(`DELETE FROM undos WHERE expires <= ?`, tx.Millis()); err != nil {
		return err
	}
	return tx.exec(`INSERT INTO undos (hash, account, what, ref, created, expires) VALUES (?, ?, ?, ?, ?, ?)`,
		hash[:], u.Account[:], u.What, u.Ref, tx.Millis(), tx.Millis().Add(life))
}

// FindUndo is what a link can take back. ErrNotFound if it has done so, or is too
// old, or never was one.
func (tx *Tx) FindUndo(hash cardea.Hash) (Undo, error) {
	u, err := one(tx, func(s scanner) (u Undo, err error) {
		var created cardea.Millis
		err = s.Scan(id(&u.Account), &u.What, &u.Ref, &created)
		u.Created = created.Time()
		return u, err
	}, `SELECT account, what, ref, created FROM undos WHERE hash = ? AND expires > ?`, hash[:], tx.Millis())
	if err != nil {
		return u, fmt.Errorf("undo: %w", err)
	}
	return u, nil
}

// SpendUndo is FindUndo, after which the link is worth nothing.
func (tx *Tx) SpendUndo(hash cardea.Hash) (Undo, error) {
	u, err := tx.FindUndo(hash)
	if err != nil {
		return u, err
	}
	found, err := tx.change(`DELETE FROM undos WHERE hash = ?`, hash[:])
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return Undo{}, fmt.Errorf("undo: %w", err)
	}
	return u, nil
}
