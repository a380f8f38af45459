package accountdb

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/stopjournal"
)

// An Account is a customer. Subject is the pseudonym under which devices, tokens
// and the brand know them; ID never leaves the cloud.
type Account struct {
	ID       cardea.AccountID
	Subject  string
	Disabled bool
	Erased   bool // see [Tx.Erase]; it is disabled too
	Roles    cardea.Roles
	Head     cardea.Position
}

const accountColumns = `id, subject, disabled, CASE WHEN key_sealed IS NULL THEN 1 ELSE 0 END, roles, head_era, head_seq, head_hash`

func scanAccount(s scanner) (a Account, err error) {
	err = s.Scan(id(&a.ID), &a.Subject, &a.Disabled, &a.Erased, &a.Roles, &a.Head.Era, &a.Head.Seq, hash(&a.Head.Hash))
	return a, err
}

// CreateAccount makes an account with an empty ledger and a key of its own.
func (tx *Tx) CreateAccount() (Account, error) {
	a := Account{ID: cardea.NewID[cardea.AccountID](), Subject: cardea.NewID[cardea.AccountID]().String()}
	key := NewKey()
	sealed := tx.master.seal("account key "+a.ID.String(), key[:])
	err := tx.exec(`INSERT INTO accounts (id, subject, key_sealed, head_hash, created) VALUES (?, ?, ?, ?, ?)`,
		a.ID[:], a.Subject, sealed, a.Head.Hash[:], tx.Millis())
	if err != nil {
		return Account{}, fmt.Errorf("create account: %w", err)
	}
	return a, nil
}

// Account reads an account. In Update it stays as read until the commit.
func (tx *Tx) Account(account cardea.AccountID) (Account, error) {
	if err := tx.hold(account); err != nil {
		return Account{}, err
	}
	a, err := one(tx, scanAccount, `SELECT `+accountColumns+` FROM accounts WHERE id = ?`, account[:])
	if err != nil {
		return a, fmt.Errorf("account: %w", err)
	}
	return a, nil
}

// AccountBySubject finds an account by its pseudonym.
func (tx *Tx) AccountBySubject(subject string) (Account, error) {
	if err := tx.holdOf(`SELECT id FROM accounts WHERE subject = ?`, subject); err != nil {
		return Account{}, err
	}
	a, err := one(tx, scanAccount, `SELECT `+accountColumns+` FROM accounts WHERE subject = ?`, subject)
	if err != nil {
		return a, fmt.Errorf("account: %w", err)
	}
	return a, nil
}

// Disable stops an account from signing in and pairing, or lets it again.
func (tx *Tx) Disable(account cardea.AccountID, disabled bool) error {
	if err := tx.hold(account); err != nil {
		return err
	}
	return tx.exec(`UPDATE accounts SET disabled = ? WHERE id = ?`, disabled, account[:])
}

// Accounts lists every account's id.
func (tx *Tx) Accounts() ([]cardea.AccountID, error) {
	return list(tx, scanID[cardea.AccountID], `SELECT id FROM accounts ORDER BY id`)
}

// Era is the incarnation of the database: it rises when it is restored.
func (tx *Tx) Era() (uint32, error) {
	b, err := tx.Meta("era")
	if errors.Is(err, ErrNotFound) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}

// RaiseEra begins a new era, above every one that this database or the stop
// journal has seen: numbers that are given from now on come after all that were
// ever given, also by a database that is no more.
func (tx *Tx) RaiseEra() error {
	if err := tx.Hold("era"); err != nil {
		return err
	}
	era, err := tx.Era()
	if err != nil {
		return err
	}
	era = max(era, tx.db.stops.Era()) + 1
	tx.stops = append(tx.stops, stopjournal.Record{Era: era})
	return tx.SetMeta("era", binary.BigEndian.AppendUint32(nil, era))
}

// Meta reads a fact about the whole database.
func (tx *Tx) Meta(name string) ([]byte, error) {
	return one(tx, scanBytes, `SELECT value FROM meta WHERE name = ?`, name)
}

// SetMeta writes a fact about the whole database.
func (tx *Tx) SetMeta(name string, value []byte) error {
	return tx.exec(`INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
}

// Audit notes who did what. detail must hold nothing personal.
func (tx *Tx) Audit(account cardea.AccountID, actor, what, detail string) error {
	return tx.exec(`INSERT INTO audit (at, account, actor, what, detail) VALUES (?, ?, ?, ?, ?)`,
		tx.Millis(), account[:], actor, what, detail)
}

// SetName records what the owner likes to be called; empty forgets it.
func (tx *Tx) SetName(account cardea.AccountID, name string) error {
	sealed, err := tx.SealFor(account, "account name", []byte(name))
	if err != nil {
		return err
	}
	return tx.exec(`UPDATE accounts SET name_sealed = ? WHERE id = ?`, sealed, account[:])
}

// Name opens what the owner likes to be called, empty if they did not say.
func (tx *Tx) Name(account cardea.AccountID) (string, error) {
	sealed, err := one(tx, scanBytes, `SELECT name_sealed FROM accounts WHERE id = ?`, account[:])
	if err != nil || sealed == nil {
		return "", err
	}
	plain, err := tx.OpenFor(account, "account name", sealed)
	return string(plain), err
}
