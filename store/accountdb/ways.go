package accountdb

import (
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// renewedFor is how long a password that was set by a code counts for no more
// than the code: as long as the owner is likely to need to hear of it.
const renewedFor = 7 * 24 * time.Hour

// RegisterLite makes an account of a name and an address, which both may be
// empty. Nothing is proved by it and nobody is told whether the address is
// another account's: it signs nobody in before it is confirmed.
func (tx *Tx) RegisterLite(name, email string) (cardea.AccountID, error) {
	a, err := tx.CreateAccount()
	if err == nil && name != "" {
		err = tx.SetName(a.ID, name)
	}
	if err == nil && email != "" {
		err = tx.claim(a.ID, email)
	}
	if err != nil {
		return a.ID, fmt.Errorf("register: %w", err)
	}
	return a.ID, nil
}

// claim notes what address an account says is its own.
func (tx *Tx) claim(account cardea.AccountID, email string) error {
	sealed, err := tx.SealFor(account, emailLabel, []byte(email))
	if err != nil {
		return err
	}
	return tx.exec(`INSERT INTO claims (account, email_sealed, created) VALUES (?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET email_sealed = excluded.email_sealed, created = excluded.created`,
		account[:], sealed, tx.Millis())
}

// Confirm makes the address an account claims the one it signs in with, or notes
// that the one it has proved to be its own. ErrTaken if it is another account's.
func (tx *Tx) Confirm(account cardea.AccountID, email string) error {
	if err := tx.hold(account); err != nil {
		return err
	}
	lookup, err := tx.lookup(email)
	if err != nil {
		return err
	}
	switch whose, err := one(tx, scanID[cardea.AccountID], `SELECT account FROM logins WHERE lookup = ?`, lookup); {
	case err == nil && whose != account:
		return ErrTaken
	case err == nil:
		return tx.exec(`UPDATE logins SET confirmed = ? WHERE lookup = ?`, tx.Millis(), lookup)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if err := tx.addLogin(account, lookup, email, ""); err != nil {
		return err
	}
	return tx.exec(`UPDATE logins SET confirmed = ? WHERE lookup = ?`, tx.Millis(), lookup)
}

// Trust notes that somebody outside any session answered from the address an
// account signs in with. If nobody ever did, whatever else signs in to the account
// may be a stranger's, who registered with the address: it is taken away.
func (tx *Tx) Trust(account cardea.AccountID) error {
	if err := tx.hold(account); err != nil {
		return err
	}
	found, err := tx.change(`UPDATE logins SET confirmed = ?, password = '' WHERE account = ? AND confirmed = 0`, tx.Millis(), account[:])
	if err != nil || !found {
		return err
	}
	for _, what := range []string{`passkeys`, `identities`, `sessions`, `browsers`} {
		if err := tx.exec(`DELETE FROM `+what+` WHERE account = ?`, account[:]); err != nil {
			return err
		}
	}
	return nil
}

// addLogin lets an account sign in with an address, instead of any it had or
// claimed.
func (tx *Tx) addLogin(account cardea.AccountID, lookup []byte, email, password string) error {
	sealed, err := tx.SealFor(account, emailLabel, []byte(email))
	if err != nil {
		return err
	}
	if err := tx.exec(`DELETE FROM claims WHERE account = ?`, account[:]); err != nil {
		return err
	}
	return tx.exec(`INSERT INTO logins (lookup, account, email_sealed, password, changed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET lookup = excluded.lookup, email_sealed = excluded.email_sealed, changed = excluded.changed`,
		lookup, account[:], sealed, password, tx.Millis())
}

// SetPassword gives the account with an address another password, or none;
// renewed if it is by a code that was sent there and nothing else. ErrNotFound if
// the account has no address to sign in with.
func (tx *Tx) SetPassword(account cardea.AccountID, password string, renewed bool) error {
	if err := tx.hold(account); err != nil {
		return err
	}
	var at cardea.Millis
	if renewed {
		at = tx.Millis()
	}
	found, err := tx.change(`UPDATE logins SET password = ?, changed = ?, renewed = ? WHERE account = ?`, password, tx.Millis(), at, account[:])
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	return nil
}

// WaysOf is what an account can sign in with.
func (tx *Tx) WaysOf(account cardea.AccountID) (w Ways, err error) {
	if err := tx.hold(account); err != nil {
		return w, err
	}
	var renewed, confirmed cardea.Millis
	err = tx.row(`SELECT CASE WHEN COALESCE(logins.password, '') = '' THEN 0 ELSE 1 END, COALESCE(renewed, 0), COALESCE(confirmed, 0),
		(SELECT COUNT(*) FROM passkeys WHERE passkeys.account = accounts.id), (SELECT COUNT(*) FROM identities WHERE identities.account = accounts.id)
		FROM accounts LEFT JOIN logins ON logins.account = accounts.id WHERE accounts.id = ?`, account[:]).
		Scan(&w.Password, &renewed, &confirmed, &w.Passkeys, &w.Elsewhere)
	w.Email, w.Renewed = confirmed > 0, renewed > tx.Millis().Add(-renewedFor)
	return w, err
}

// Lite reports whether all there is of the owner is a name and an address that
// nobody has answered from.
func (tx *Tx) Lite(account cardea.AccountID) (bool, error) {
	_, err := one(tx, scanBytes, `SELECT email_sealed FROM claims WHERE account = ?`, account[:])
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	w, err := tx.WaysOf(account)
	return w.Strongest() == Claimed, err
}

// EmailOf is the address that mail for an account goes to: the one it signs in
// with, or else the one it claims. ErrNotFound if it has none.
func (tx *Tx) EmailOf(account cardea.AccountID) (email string, confirmed bool, err error) {
	var at cardea.Millis
	sealed, err := one(tx, func(s scanner) (b []byte, err error) {
		err = s.Scan(&b, &at)
		return b, err
	}, `SELECT email_sealed, confirmed FROM logins WHERE account = ?`, account[:])
	if errors.Is(err, ErrNotFound) {
		sealed, err = one(tx, scanBytes, `SELECT email_sealed FROM claims WHERE account = ?`, account[:])
	}
	if err != nil {
		return "", false, err
	}
	plain, err := tx.OpenFor(account, emailLabel, sealed)
	return string(plain), at > 0, err
}

// MailTo is the address that notices for an account go to: the one it signs in
// with. ErrNotFound for one that is only claimed: it may be a stranger's.
func (tx *Tx) MailTo(account cardea.AccountID) (string, error) {
	sealed, err := one(tx, scanBytes, `SELECT email_sealed FROM logins WHERE account = ?`, account[:])
	if err != nil {
		return "", err
	}
	plain, err := tx.OpenFor(account, emailLabel, sealed)
	return string(plain), err
}

// Disconnect takes away that an account signs in with a provider.
func (tx *Tx) Disconnect(account cardea.AccountID, provider string) error {
	if err := tx.hold(account); err != nil {
		return err
	}
	return tx.exec(`DELETE FROM identities WHERE account = ? AND provider = ?`, account[:], provider)
}

// ForgetSignIns takes away every way to sign in to an account, everywhere it is
// signed in, and the mail that waits for its owner: what an erased account leaves
// behind of them.
func (tx *Tx) ForgetSignIns(account cardea.AccountID) error {
	if err := tx.hold(account); err != nil {
		return err
	}
	for _, what := range []string{`passkeys`, `identities`, `sessions`, `browsers`, `logins`, `claims`, `mail`, `undos`} {
		if err := tx.exec(`DELETE FROM `+what+` WHERE account = ?`, account[:]); err != nil {
			return fmt.Errorf("forget sign-ins: %w", err)
		}
	}
	return nil
}
