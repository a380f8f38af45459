package accountdb

import (
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// Unconfirmed lists up to so many accounts, older than an age, that nobody can come
// into any more: all there is of their owner is an address that they claimed, nobody
// ever answered from it, and no browser is signed in.
func (tx *Tx) Unconfirmed(age time.Duration, most int) ([]cardea.AccountID, error) {
	return list(tx, scanID[cardea.AccountID], `SELECT accounts.id FROM claims JOIN accounts ON accounts.id = claims.account
		WHERE accounts.created <= ? AND claims.created <= ?
		AND NOT EXISTS (SELECT 1 FROM logins WHERE logins.account = accounts.id)
		AND NOT EXISTS (SELECT 1 FROM passkeys WHERE passkeys.account = accounts.id)
		AND NOT EXISTS (SELECT 1 FROM identities WHERE identities.account = accounts.id)
		AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.account = accounts.id AND expires > ?)
		ORDER BY accounts.created, accounts.id LIMIT ?`, tx.Millis().Add(-age), tx.Millis().Add(-age), tx.Millis(), most)
}

// Unused reports whether an account has done nothing that anybody else relies on: it
// has decided nothing, no device is or was its own, and the brand gave it no role.
func (tx *Tx) Unused(account cardea.AccountID) (bool, error) {
	if err := tx.hold(account); err != nil {
		return false, err
	}
	var n int
	err := tx.row(`SELECT (SELECT COUNT(*) FROM ledger WHERE account = ?) + (SELECT COUNT(*) FROM links WHERE account = ?)
		+ (SELECT COUNT(*) FROM grants WHERE account = ?) + (SELECT COUNT(*) FROM accounts WHERE id = ? AND roles <> '')`,
		account[:], account[:], account[:], account[:]).Scan(&n)
	return n == 0, err
}

// DropUnused leaves nothing of an account that is Unused. It is an error to drop
// another: that is for [Tx.Erase].
func (tx *Tx) DropUnused(account cardea.AccountID) error {
	unused, err := tx.Unused(account)
	if err == nil && !unused {
		err = errors.New("the account is used")
	}
	if err == nil {
		err = tx.ForgetSignIns(account)
	}
	for _, query := range []string{`DELETE FROM settings WHERE account = ?`, `DELETE FROM accounts WHERE id = ?`} {
		if err == nil {
			err = tx.exec(query, account[:])
		}
	}
	if err != nil {
		return fmt.Errorf("drop unused account: %w", err)
	}
	return nil
}
