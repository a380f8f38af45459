package accountdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
)

// A Letter is a mail to an owner.
type Letter struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// A Queued letter waits to be sent. Letter is empty for one whose account was
// erased meanwhile.
type Queued struct {
	ID    cardea.ID[Letter]
	Tries int // how often it was tried before
	Letter
}

const letterLabel = "letter"

// Post queues a letter: it is sent if the transaction is committed, and given up
// if that did not succeed for so long.
func (tx *Tx) Post(account cardea.AccountID, l Letter, life time.Duration) error {
	plain, err := json.Marshal(l)
	if err != nil {
		return err
	}
	sealed, err := tx.SealFor(account, letterLabel, plain)
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	id := cardea.NewID[cardea.ID[Letter]]()
	return tx.exec(`INSERT INTO mail (id, account, sealed, due, ends) VALUES (?, ?, ?, ?, ?)`,
		id[:], account[:], sealed, tx.Millis(), tx.Millis().Add(life))
}

// ClaimMail takes a letter that is due, for as long as given: nobody else gets it
// meanwhile, and somebody will if nothing is heard of it. ErrNotFound if none is.
// Letters that are past their time are thrown away.
func (tx *Tx) ClaimMail(hold time.Duration) (q Queued, err error) {
	if err := tx.exec(`DELETE FROM mail WHERE ends <= ?`, tx.Millis()); err != nil {
		return q, err
	}
	type row struct {
		Queued
		account cardea.AccountID
		sealed  []byte
		due     cardea.Millis
	}
	r, err := one(tx, func(s scanner) (r row, err error) {
		err = s.Scan(id(&r.ID), id(&r.account), &r.sealed, &r.due, &r.Tries)
		return r, err
	}, `SELECT id, account, sealed, due, tries FROM mail WHERE due <= ? ORDER BY due, id LIMIT 1`, tx.Millis())
	if err != nil {
		return q, err
	}
	// Another may have claimed it since it was read.
	found, err := tx.change(`UPDATE mail SET due = ?, tries = tries + 1 WHERE id = ? AND due = ?`, tx.Millis().Add(hold), r.ID[:], r.due)
	if err != nil || !found {
		return q, errors.Join(err, ErrClaimed)
	}
	plain, err := tx.OpenFor(r.account, letterLabel, r.sealed)
	if errors.Is(err, ErrErased) {
		return r.Queued, nil
	}
	if err != nil {
		return q, err
	}
	return r.Queued, json.Unmarshal(plain, &r.Letter)
}

// ErrClaimed: somebody else has just taken what was there. An expected outcome.
var ErrClaimed = errors.New("claimed by another")

// MailSent throws a letter away that was sent, or can never be.
func (tx *Tx) MailSent(id cardea.ID[Letter]) error {
	return tx.exec(`DELETE FROM mail WHERE id = ?`, id[:])
}

// MailFailed has a letter tried again after a pause.
func (tx *Tx) MailFailed(id cardea.ID[Letter], pause time.Duration) error {
	return tx.exec(`UPDATE mail SET due = ? WHERE id = ?`, tx.Millis().Add(pause), id[:])
}

// MailWaiting counts the letters that wait.
func (tx *Tx) MailWaiting() (n int, err error) {
	err = tx.row(`SELECT COUNT(*) FROM mail WHERE ends > ?`, tx.Millis()).Scan(&n)
	return n, err
}
