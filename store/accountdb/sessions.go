package accountdb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// A Session is a browser in which an owner is signed in. An owner who signs in
// through a provider may have no address.
type Session struct {
	Hash    cardea.Hash // of the secret that only the browser keeps
	Account cardea.AccountID
	Email   string
	Claimed bool // the address has not proved to be theirs
	Started time.Time
	Expires time.Time
	Browser string // what it calls itself, roughly; empty: it did not say
	Proofs  Proofs
	Ways    Ways
}

// A SignIn is how somebody comes in.
type SignIn struct {
	Hash    cardea.Hash // of the secret that the browser is given
	Account cardea.AccountID
	By      Method    // empty: an account of which nothing is proved
	Shown   time.Time // when that was shown; the zero time, and what lies ahead: now
	Browser string
	Life    time.Duration
}

// StartSession signs a browser in. Sessions that have ended are cleared away.
func (tx *Tx) StartSession(s SignIn) error {
	if err := tx.hold(s.Account); err != nil {
		return err
	}
	if err := tx.exec(`DELETE FROM sessions WHERE expires <= ?`, tx.Millis()); err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	browser, err := tx.SealFor(s.Account, browserLabel, []byte(s.Browser))
	if err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	err = tx.exec(`INSERT INTO sessions (hash, account, created, expires, browser_sealed) VALUES (?, ?, ?, ?, ?)`,
		s.Hash[:], s.Account[:], tx.Millis(), tx.Millis().Add(s.Life), browser)
	if err != nil || s.By == "" {
		return err
	}
	shown := tx.Millis()
	if at := cardea.MillisOf(s.Shown); !s.Shown.IsZero() && at < shown {
		shown = at
	}
	return tx.prove(s.Hash, s.By, shown)
}

const browserLabel = "browser"

// proved is where a session keeps when a method was shown.
var proved = map[Method]string{
	ByPasskey:   `UPDATE sessions SET passkey = ? WHERE hash = ?`,
	ByPassword:  `UPDATE sessions SET password = ? WHERE hash = ?`,
	ByCode:      `UPDATE sessions SET code = ? WHERE hash = ?`,
	ByElsewhere: `UPDATE sessions SET elsewhere = ? WHERE hash = ?`,
}

// Prove notes that a method was shown in a session. ErrNotFound if it is over.
func (tx *Tx) Prove(hash cardea.Hash, by Method) error {
	return tx.prove(hash, by, tx.Millis())
}

func (tx *Tx) prove(hash cardea.Hash, by Method, at cardea.Millis) error {
	found, err := tx.change(proved[by], at, hash[:])
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("prove %s: %w", by, err)
	}
	return nil
}

const sessionQuery = `SELECT hash, sessions.account, COALESCE(logins.email_sealed, claims.email_sealed), logins.lookup IS NULL,
	sessions.created, expires, browser_sealed, sessions.passkey, sessions.password, sessions.code, sessions.elsewhere,
	(SELECT COUNT(*) FROM passkeys WHERE passkeys.account = sessions.account),
	CASE WHEN COALESCE(logins.password, '') = '' THEN 0 ELSE 1 END, COALESCE(logins.renewed, 0), COALESCE(logins.confirmed, 0),
	(SELECT COUNT(*) FROM identities WHERE identities.account = sessions.account)
	FROM sessions JOIN accounts ON accounts.id = sessions.account
	LEFT JOIN logins ON logins.account = sessions.account LEFT JOIN claims ON claims.account = sessions.account
	WHERE expires > ? AND disabled = 0 AND `

// Session finds who is signed in with the secret of this hash. ErrNotFound if
// nobody is, or no longer, or the account is disabled.
func (db *DB) Session(ctx context.Context, hash cardea.Hash) (Session, error) {
	var s Session
	err := db.View(ctx, func(tx *Tx) (err error) {
		s, err = tx.Session(hash)
		return err
	})
	return s, err
}

// Session is the same within a transaction.
func (tx *Tx) Session(hash cardea.Hash) (Session, error) {
	row, err := one(tx, scanSession, sessionQuery+`hash = ?`, tx.Millis(), hash[:])
	if err == nil {
		err = tx.openSession(&row)
	}
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	return row.Session, nil
}

// Sessions lists where an account is signed in, the newest first.
func (tx *Tx) Sessions(account cardea.AccountID) (all []Session, err error) {
	rows, err := list(tx, scanSession, sessionQuery+`sessions.account = ? ORDER BY sessions.created DESC, hash`, tx.Millis(), account[:])
	for i := range rows {
		if err == nil {
			err = tx.openSession(&rows[i])
		}
		all = append(all, rows[i].Session)
	}
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	return all, nil
}

// A sessionRow is a session with what is still sealed of it.
type sessionRow struct {
	Session
	email, browser []byte
	renewed        cardea.Millis
}

func scanSession(s scanner) (v sessionRow, err error) {
	var started, expires, passkey, password, code, elsewhere cardea.Millis
	var confirmed cardea.Millis
	err = s.Scan(hash(&v.Hash), id(&v.Account), &v.email, &v.Claimed, &started, &expires, &v.browser, &passkey, &password, &code, &elsewhere,
		&v.Ways.Passkeys, &v.Ways.Password, &v.renewed, &confirmed, &v.Ways.Elsewhere)
	v.Claimed = v.Claimed && v.email != nil
	v.Ways.Email = confirmed > 0
	v.Started, v.Expires = started.Time(), expires.Time()
	v.Proofs = Proofs{Passkey: when(passkey), Password: when(password), Code: when(code), Elsewhere: when(elsewhere)}
	return v, err
}

// when is the zero time for 0.
func when(at cardea.Millis) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return at.Time()
}

func (tx *Tx) openSession(row *sessionRow) error {
	row.Ways.Renewed = row.renewed > tx.Millis().Add(-renewedFor)
	for _, part := range []struct {
		label  string
		sealed []byte
		to     *string
	}{{emailLabel, row.email, &row.Email}, {browserLabel, row.browser, &row.Browser}} {
		if part.sealed == nil {
			continue
		}
		plain, err := tx.OpenFor(row.Account, part.label, part.sealed)
		if err != nil {
			return err
		}
		*part.to = string(plain)
	}
	return nil
}

// EndSession signs a browser out. Ending one that is over is no error.
func (db *DB) EndSession(ctx context.Context, hash cardea.Hash) error {
	return db.Update(ctx, func(tx *Tx) error { return tx.EndSession(hash) })
}

// EndSession is the same within a transaction.
func (tx *Tx) EndSession(hash cardea.Hash) error {
	return tx.exec(`DELETE FROM sessions WHERE hash = ?`, hash[:])
}

// EndSessions signs an account out everywhere but in one browser; the zero hash
// spares none.
func (tx *Tx) EndSessions(account cardea.AccountID, but cardea.Hash) error {
	return tx.exec(`DELETE FROM sessions WHERE account = ? AND hash <> ?`, account[:], but[:])
}

// browserLife is how long a browser is remembered that is not used.
const browserLife = 400 * 24 * time.Hour

// Meet remembers that an account signed in with a browser, by a secret that
// browser keeps, and reports whether it did so before. known is whether there is
// any other that it remembers of the account: the first browser is no news.
func (tx *Tx) Meet(account cardea.AccountID, secret []byte) (met, known bool, err error) {
	if err := tx.exec(`DELETE FROM browsers WHERE used < ?`, tx.Millis().Add(-browserLife)); err != nil {
		return false, false, err
	}
	mark := sha256.Sum256(append(account[:], secret...))
	met, err = tx.change(`UPDATE browsers SET used = ? WHERE mark = ?`, tx.Millis(), mark[:])
	if err != nil || met {
		return met, met, err
	}
	_, err = one(tx, scanBytes, `SELECT mark FROM browsers WHERE account = ? LIMIT 1`, account[:])
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, false, err
	}
	known = err == nil
	return false, known, tx.exec(`INSERT INTO browsers (mark, account, used) VALUES (?, ?, ?)`, mark[:], account[:], tx.Millis())
}
