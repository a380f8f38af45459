package accountdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// ErrForeign: the identity signs in to another account. An expected outcome.
var ErrForeign = errors.New("this sign-in belongs to another account")

// An Identity is who an owner is at an OpenID provider. Issuer and Subject
// together tell people apart; Provider is what the configuration calls it.
type Identity struct {
	Provider string
	Issuer   string
	Subject  string
}

// A Connection is a provider with which an owner can sign in.
type Connection struct {
	Provider string
	Since    time.Time
}

// LoginByIdentity finds whose an identity is; ErrNotFound if nobody's. The
// login has neither address nor password.
func (db *DB) LoginByIdentity(ctx context.Context, who Identity) (Login, error) {
	var l Login
	err := db.View(ctx, func(tx *Tx) (err error) {
		l, err = tx.loginByIdentity(who)
		return err
	})
	if err != nil {
		return Login{}, fmt.Errorf("login: %w", err)
	}
	return l, nil
}

func (tx *Tx) loginByIdentity(who Identity) (Login, error) {
	lookup, err := tx.identityLookup(who)
	if err != nil {
		return Login{}, err
	}
	return one(tx, scanOwner, `SELECT account, disabled FROM identities
		JOIN accounts ON accounts.id = identities.account WHERE lookup = ?`, lookup)
}

func scanOwner(s scanner) (l Login, err error) {
	err = s.Scan(id(&l.Account), &l.Disabled)
	return l, err
}

// RegisterIdentity makes an account that signs in with an identity, and finds it
// if it was made already. email, if not empty, becomes its address: ErrTaken if
// it is another account's, which is never joined by an address alone.
func (db *DB) RegisterIdentity(ctx context.Context, who Identity, email string) (cardea.AccountID, error) {
	var account cardea.AccountID
	err := db.Update(ctx, func(tx *Tx) error {
		l, err := tx.loginByIdentity(who)
		if !errors.Is(err, ErrNotFound) {
			account = l.Account
			return err
		}
		a, err := tx.newOwner(email, "")
		if err != nil {
			return err
		}
		account = a.ID
		return tx.addIdentity(a.ID, who)
	})
	if err != nil {
		return cardea.AccountID{}, fmt.Errorf("register: %w", err)
	}
	return account, nil
}

// Connect lets an account sign in with an identity too. Connecting again is no
// error; ErrForeign if the identity is another account's.
func (db *DB) Connect(ctx context.Context, account cardea.AccountID, who Identity) error {
	err := db.Update(ctx, func(tx *Tx) error {
		l, err := tx.loginByIdentity(who)
		switch {
		case errors.Is(err, ErrNotFound):
			return tx.addIdentity(account, who)
		case err == nil && l.Account != account:
			return ErrForeign
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

func (tx *Tx) addIdentity(account cardea.AccountID, who Identity) error {
	lookup, err := tx.identityLookup(who)
	if err != nil {
		return err
	}
	return tx.exec(`INSERT INTO identities (lookup, account, provider, created) VALUES (?, ?, ?, ?)`,
		lookup, account[:], who.Provider, tx.Millis())
}

// Connections lists with which providers an owner can sign in, oldest first.
func (db *DB) Connections(ctx context.Context, account cardea.AccountID) ([]Connection, error) {
	var all []Connection
	err := db.View(ctx, func(tx *Tx) (err error) {
		all, err = list(tx, scanConnection, `SELECT provider, created FROM identities WHERE account = ? ORDER BY created, provider`, account[:])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connections: %w", err)
	}
	return all, nil
}

func scanConnection(s scanner) (c Connection, err error) {
	var since cardea.Millis
	err = s.Scan(&c.Provider, &since)
	c.Since = since.Time()
	return c, err
}

// identityLookup can not be mistaken for an address's: no address has a zero
// byte, and no issuer either.
func (tx *Tx) identityLookup(who Identity) ([]byte, error) {
	return tx.lookup("\x00" + who.Issuer + "\x00" + who.Subject)
}
