package accountdb

import (
	"time"

	"github.com/cardea-id/cardea"
)

// AllLinks lists an account's links, those that ended too, oldest first.
func (tx *Tx) AllLinks(account cardea.AccountID) ([]Link, error) {
	if err := tx.hold(account); err != nil {
		return nil, err
	}
	return list(tx, scanLink, `SELECT `+linkColumns+` FROM links WHERE account = ? ORDER BY links.created, links.id`, account[:])
}

// Value opens the value of an entry, checked against the chain; empty of one that
// has none.
func (tx *Tx) Value(account cardea.AccountID, e cardea.Entry) (cardea.Value, error) {
	if e.Payload.IsZero() {
		return "", nil
	}
	return tx.value(account, e)
}

// Created is when an account was made.
func (tx *Tx) Created(account cardea.AccountID) (time.Time, error) {
	at, err := one(tx, func(s scanner) (at cardea.Millis, err error) {
		err = s.Scan(&at)
		return at, err
	}, `SELECT created FROM accounts WHERE id = ?`, account[:])
	return at.Time(), err
}
