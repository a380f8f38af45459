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
	return a, tx.addLogin(a.ID, lookup, email, password)
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

// StartSession signs a browser in with a password. Most callers say more, see
// [Tx.StartSession].
func (db *DB) StartSession(ctx context.Context, hash cardea.Hash, account cardea.AccountID, life time.Duration) error {
	return db.Update(ctx, func(tx *Tx) error {
		return tx.StartSession(SignIn{Hash: hash, Account: account, By: ByPassword, Life: life})
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
