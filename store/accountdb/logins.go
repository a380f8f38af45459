package accountdb

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// ErrTaken: an account with this e-mail address exists. An expected outcome.
var ErrTaken = errors.New("the e-mail address is taken")

// A Login is how an owner signs in. Password is what the caller made of it, a
// hash with its salt and parameters, empty for an owner who has none; this
// package never sees the password.
type Login struct {
	Account  cardea.AccountID
	Email    string
	Password string
	Disabled bool
}

// Register makes an account that signs in with an e-mail address, which the
// caller has brought to the one form under which it is looked up. ErrTaken if
// there is such an account.
func (db *DB) Register(ctx context.Context, email, password string) (cardea.AccountID, error) {
	var account cardea.AccountID
	err := db.Update(ctx, func(tx *Tx) error {
		a, err := tx.newOwner(email, password)
		account = a.ID
		return err
	})
	if err != nil {
		return cardea.AccountID{}, fmt.Errorf("register: %w", err)
	}
	return account, nil
}

// newOwner makes an account with an address, or without if email is empty.
func (tx *Tx) newOwner(email, password string) (Account, error) {
	if email == "" {
		return tx.CreateAccount()
	}
	lookup, err := tx.lookup(email)
	if err != nil {
		return Account{}, err
	}
	switch _, err := one(tx, scanBytes, `SELECT lookup FROM logins WHERE lookup = ?`, lookup); {
	case err == nil:
		return Account{}, ErrTaken
	case !errors.Is(err, ErrNotFound):
		return Account{}, err
	}
	a, err := tx.CreateAccount()
	if err != nil {
		return Account{}, err
	}
	sealed, err := tx.SealFor(a.ID, emailLabel, []byte(email))
	if err != nil {
		return Account{}, err
	}
	return a, tx.exec(`INSERT INTO logins (lookup, account, email_sealed, password, changed) VALUES (?, ?, ?, ?, ?)`,
		lookup, a.ID[:], sealed, password, tx.Millis())
}

const emailLabel = "e-mail"

// LoginByEmail finds how the owner of an e-mail address signs in; ErrNotFound if
// nobody does.
func (db *DB) LoginByEmail(ctx context.Context, email string) (Login, error) {
	var l Login
	err := db.View(ctx, func(tx *Tx) error {
		lookup, err := tx.lookup(email)
		if err != nil {
			return err
		}
		l, err = one(tx, scanLogin, `SELECT account, email_sealed, password, disabled FROM logins
			JOIN accounts ON accounts.id = logins.account WHERE lookup = ?`, lookup)
		if err != nil {
			return err
		}
		return tx.openEmail(&l)
	})
	if err != nil {
		return Login{}, fmt.Errorf("login: %w", err)
	}
	return l, nil
}

func scanLogin(s scanner) (l Login, err error) {
	err = s.Scan(id(&l.Account), &l.Email, &l.Password, &l.Disabled)
	return l, err
}

// openEmail replaces the sealed address by the address, if there is one.
func (tx *Tx) openEmail(l *Login) error {
	if l.Email == "" {
		return nil
	}
	plain, err := tx.OpenFor(l.Account, emailLabel, []byte(l.Email))
	l.Email = string(plain)
	return err
}

// A Session is a browser in which an owner is signed in. An owner who signs in
// through a provider may have no address.
type Session struct {
	Account cardea.AccountID
	Email   string
	Expires time.Time
}

// StartSession signs a browser in, for as long as given. hash is of a secret
// that only the browser keeps. Sessions that have ended are cleared away.
func (db *DB) StartSession(ctx context.Context, hash cardea.Hash, account cardea.AccountID, life time.Duration) error {
	err := db.Update(ctx, func(tx *Tx) error {
		if err := tx.exec(`DELETE FROM sessions WHERE expires <= ?`, tx.Millis()); err != nil {
			return err
		}
		return tx.exec(`INSERT INTO sessions (hash, account, created, expires) VALUES (?, ?, ?, ?)`,
			hash[:], account[:], tx.Millis(), tx.Millis().Add(life))
	})
	if err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	return nil
}

// Session finds who is signed in with the secret of this hash. ErrNotFound if
// nobody is, or no longer, or the account is disabled.
func (db *DB) Session(ctx context.Context, hash cardea.Hash) (Session, error) {
	var s Session
	err := db.View(ctx, func(tx *Tx) (err error) {
		s, err = one(tx, scanSession, `SELECT sessions.account, COALESCE(email_sealed, ''), expires FROM sessions
			LEFT JOIN logins ON logins.account = sessions.account JOIN accounts ON accounts.id = sessions.account
			WHERE hash = ? AND expires > ? AND disabled = 0`, hash[:], tx.Millis())
		if err != nil {
			return err
		}
		l := Login{Account: s.Account, Email: s.Email}
		err = tx.openEmail(&l)
		s.Email = l.Email
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	return s, nil
}

func scanSession(s scanner) (v Session, err error) {
	var expires cardea.Millis
	err = s.Scan(id(&v.Account), &v.Email, &expires)
	v.Expires = expires.Time()
	return v, err
}

// EndSession signs a browser out. Ending one that is over is no error.
func (db *DB) EndSession(ctx context.Context, hash cardea.Hash) error {
	return db.Update(ctx, func(tx *Tx) error {
		return tx.exec(`DELETE FROM sessions WHERE hash = ?`, hash[:])
	})
}

// lookup is the keyed MAC under which an e-mail address stands. Its key comes
// from the master key, so that whoever has only the database can not try
// addresses.
func (tx *Tx) lookup(email string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, tx.master[:], nil, "cardea login lookup", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive lookup key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(email))
	return mac.Sum(nil), nil
}
