package accountdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
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
	return tx.post(account, "", l, life)
}

// PostOnceApproved queues a letter that is sent once the account has said yes to
// a grant: by the very transaction that takes the yes, so that no cloud can die
// between the two. The newest letter of an account about a grant counts.
func (tx *Tx) PostOnceApproved(account cardea.AccountID, grant pairing.GrantID, l Letter, life time.Duration) error {
	if grant == "" {
		return pairing.ErrNoGrant
	}
	if err := tx.exec(`DELETE FROM mail WHERE awaits = ? AND account = ?`, grant, account[:]); err != nil {
		return err
	}
	return tx.post(account, grant, l, life)
}

func (tx *Tx) post(account cardea.AccountID, awaits pairing.GrantID, l Letter, life time.Duration) error {
	plain, err := json.Marshal(l)
	if err != nil {
		return err
	}
	sealed, err := tx.SealFor(account, letterLabel, plain)
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	id := cardea.NewID[cardea.ID[Letter]]()
	return tx.exec(`INSERT INTO mail (id, account, sealed, due, ends, awaits, posted) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		id[:], account[:], sealed, tx.Millis(), tx.Millis().Add(life), awaits, tx.Millis())
}

// Approved lets the letters go that tell an account of its yes to a grant. It is
// part of every transaction that takes one.
func (tx *Tx) Approved(account cardea.AccountID, grant pairing.GrantID) error {
	return tx.exec(`UPDATE mail SET awaits = '', due = ?, posted = ? WHERE awaits = ? AND account = ?`, tx.Millis(), tx.Millis(), grant, account[:])
}

// ClaimMail takes a letter that is due, for as long as given: nobody else gets it
// meanwhile, and somebody will if nothing is heard of it. ErrNotFound if none is.
func (tx *Tx) ClaimMail(hold time.Duration) (q Queued, err error) {
	type row struct {
		Queued
		account cardea.AccountID
		sealed  []byte
		due     cardea.Millis
	}
	r, err := one(tx, func(s scanner) (r row, err error) {
		err = s.Scan(id(&r.ID), id(&r.account), &r.sealed, &r.due, &r.Tries)
		return r, err
	}, `SELECT id, account, sealed, due, tries FROM mail WHERE due <= ? AND ends > ? AND awaits = '' ORDER BY due, id LIMIT 1`, tx.Millis(), tx.Millis())
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

// GiveUpMail throws away the letters that are past their time and that nobody is
// sending, and says how many that were. Letters that told of a yes which was never
// given go with them and do not count.
func (tx *Tx) GiveUpMail() (n int, err error) {
	const late = ` FROM mail WHERE ends <= ? AND due <= ?`
	err = tx.row(`SELECT COUNT(CASE WHEN awaits = '' THEN 1 END)`+late, tx.Millis(), tx.Millis()).Scan(&n)
	if err != nil {
		return 0, err
	}
	return n, tx.exec(`DELETE`+late, tx.Millis(), tx.Millis())
}

// A Mailbag is the letters that are to be sent and were not yet.
type Mailbag struct {
	Waiting int
	Oldest  cardea.Millis // when the oldest was posted; 0 if none waits
}

// Mailbag counts them.
func (tx *Tx) Mailbag() (b Mailbag, err error) {
	err = tx.row(`SELECT COUNT(*), COALESCE(MIN(posted), 0) FROM mail WHERE ends > ? AND awaits = ''`, tx.Millis()).Scan(&b.Waiting, &b.Oldest)
	return b, err
}
