package accountdb

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// A Passkey is a key of the owner's with which they sign in. What it is stands
// in Credential, in the form of whoever checks it.
type Passkey struct {
	ID         []byte // the credential's, chosen by what keeps it
	Account    cardea.AccountID
	Name       string // what the owner tells it apart by
	Credential []byte
	Created    time.Time
	Used       time.Time
	Cloned     bool // it once seemed to be in two places
}

// Handle is what the keeper of a passkey knows the account by (Web
// Authentication, Section 5.4.3): nothing else does, and nothing follows from it.
func (tx *Tx) Handle(account cardea.AccountID) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, tx.master[:], nil, "cardea user handle", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive handle key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(account[:])
	return mac.Sum(nil), nil
}

// AddPasskey lets an account sign in with one more passkey. ErrTaken if it is
// there already, with this account or another.
func (tx *Tx) AddPasskey(p Passkey) error {
	if err := tx.hold(p.Account); err != nil {
		return err
	}
	lookup, err := tx.passkeyLookup(p.ID)
	if err != nil {
		return err
	}
	switch _, err := one(tx, scanBytes, `SELECT lookup FROM passkeys WHERE lookup = ?`, lookup); {
	case err == nil:
		return ErrTaken
	case !errors.Is(err, ErrNotFound):
		return err
	}
	sealed, err := tx.SealFor(p.Account, passkeyLabel, withID(p.ID, p.Credential))
	if err != nil {
		return err
	}
	name, err := tx.SealFor(p.Account, passkeyNameLabel, []byte(p.Name))
	if err != nil {
		return err
	}
	return tx.exec(`INSERT INTO passkeys (lookup, account, sealed, name_sealed, created, used) VALUES (?, ?, ?, ?, ?, ?)`,
		lookup, p.Account[:], sealed, name, tx.Millis(), tx.Millis())
}

const (
	passkeyLabel     = "passkey"
	passkeyNameLabel = "passkey name"
)

const passkeyColumns = `passkeys.account, sealed, passkeys.name_sealed, passkeys.created, used, cloned`

// Passkey finds one by its id. ErrNotFound if there is none, or its account is
// disabled.
func (tx *Tx) Passkey(id []byte) (Passkey, error) {
	lookup, err := tx.passkeyLookup(id)
	if err != nil {
		return Passkey{}, err
	}
	if err := tx.holdOf(`SELECT account FROM passkeys WHERE lookup = ?`, lookup); err != nil {
		return Passkey{}, err
	}
	p, err := one(tx, scanPasskey, `SELECT `+passkeyColumns+` FROM passkeys JOIN accounts ON accounts.id = passkeys.account
		WHERE lookup = ? AND disabled = 0`, lookup)
	if err == nil {
		err = tx.openPasskey(&p)
	}
	if err != nil {
		return Passkey{}, fmt.Errorf("passkey: %w", err)
	}
	return p, nil
}

// Passkeys lists an account's, oldest first.
func (tx *Tx) Passkeys(account cardea.AccountID) ([]Passkey, error) {
	all, err := list(tx, scanPasskey, `SELECT `+passkeyColumns+` FROM passkeys WHERE account = ? ORDER BY created, lookup`, account[:])
	for i := range all {
		if err == nil {
			err = tx.openPasskey(&all[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	return all, nil
}

// UsePasskey keeps what a passkey came to by being used, and that it was.
func (tx *Tx) UsePasskey(p Passkey) error {
	lookup, err := tx.passkeyLookup(p.ID)
	if err != nil {
		return err
	}
	sealed, err := tx.SealFor(p.Account, passkeyLabel, withID(p.ID, p.Credential))
	if err != nil {
		return err
	}
	return tx.exec(`UPDATE passkeys SET sealed = ?, used = ?, cloned = ? WHERE lookup = ?`, sealed, tx.Millis(), p.Cloned, lookup)
}

// RemovePasskey takes a passkey away from its account. ErrNotFound if it has no
// such one.
func (tx *Tx) RemovePasskey(account cardea.AccountID, id []byte) error {
	if err := tx.hold(account); err != nil {
		return err
	}
	lookup, err := tx.passkeyLookup(id)
	if err != nil {
		return err
	}
	found, err := tx.change(`DELETE FROM passkeys WHERE lookup = ? AND account = ?`, lookup, account[:])
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("remove passkey: %w", err)
	}
	return nil
}

// scanPasskey leaves the credential and the name sealed.
func scanPasskey(s scanner) (p Passkey, err error) {
	var name []byte
	var created, used cardea.Millis
	err = s.Scan(id(&p.Account), &p.Credential, &name, &created, &used, &p.Cloned)
	p.Name, p.Created, p.Used = string(name), created.Time(), used.Time()
	return p, err
}

func (tx *Tx) openPasskey(p *Passkey) error {
	plain, err := tx.OpenFor(p.Account, passkeyLabel, p.Credential)
	if err != nil {
		return err
	}
	if p.ID, p.Credential, err = cutID(plain); err != nil {
		return err
	}
	name, err := tx.OpenFor(p.Account, passkeyNameLabel, []byte(p.Name))
	p.Name = string(name)
	return err
}

// withID is what is sealed of a passkey: its id, with its length before it, and
// the credential.
func withID(id, credential []byte) []byte {
	return append(append([]byte{byte(len(id) >> 8), byte(len(id))}, id...), credential...)
}

func cutID(plain []byte) (id, credential []byte, err error) {
	if len(plain) < 2 || len(plain)-2 < int(plain[0])<<8+int(plain[1]) {
		return nil, nil, errors.New("a passkey is cut short")
	}
	n := 2 + int(plain[0])<<8 + int(plain[1])
	return plain[2:n], plain[n:], nil
}

// passkeyLookup can not be mistaken for that of an address or an identity: no
// address begins with these bytes, and no identity has two zero bytes in a row.
func (tx *Tx) passkeyLookup(id []byte) ([]byte, error) { return tx.lookup("\x00\x00" + string(id)) }
