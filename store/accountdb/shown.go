package accountdb

import (
	"errors"

	"github.com/cardea-id/cardea"
)

// A Notice is what stood on the page on which something was decided. It is not
// sealed: the ledger itself names the notice, which is of one language.
type Notice struct {
	Language string      // a language tag of the catalogue
	Version  uint32      // of the purpose
	Hash     cardea.Hash // of that version in that language
	Signal   bool        // the page said that the browser asks not to sell
}

// PutShown keeps what was shown when the entry at seq was decided.
func (tx *Tx) PutShown(account cardea.AccountID, seq uint64, s Notice) error {
	signal := 0
	if s.Signal {
		signal = 1
	}
	return tx.exec(`INSERT INTO shown (account, seq, language, version, notice, signal) VALUES (?, ?, ?, ?, ?, ?)`,
		account[:], seq, s.Language, s.Version, s.Hash[:], signal)
}

// Shown is what was shown when the entry at seq was decided; the zero Notice if
// nobody knows, as of what was said on a device.
func (tx *Tx) Shown(account cardea.AccountID, seq uint64) (Notice, error) {
	s, err := one(tx, scanShown, `SELECT language, version, notice, signal FROM shown WHERE account = ? AND seq = ?`, account[:], seq)
	if errors.Is(err, ErrNotFound) {
		return Notice{}, nil
	}
	return s, err
}

func scanShown(s scanner) (v Notice, err error) {
	var signal int
	err = s.Scan(&v.Language, &v.Version, hash(&v.Hash), &signal)
	v.Signal = signal != 0
	return v, err
}

// Entry reads one entry, without its value; ErrNotFound if there is none.
func (tx *Tx) Entry(account cardea.AccountID, seq uint64) (cardea.Entry, error) {
	return tx.someEntry(account, `seq = ?`, seq)
}

// LastDecision is the newest yes or no to a key for the whole account;
// ErrNotFound if there is none.
func (tx *Tx) LastDecision(account cardea.AccountID, key cardea.Key) (cardea.Entry, error) {
	return tx.someEntry(account, `key = ? AND device = '' AND act IN ('grant', 'deny') ORDER BY seq DESC LIMIT 1`, key)
}

// someEntry reads the one entry of the account that the rest of a query names.
func (tx *Tx) someEntry(account cardea.AccountID, where string, arg any) (cardea.Entry, error) {
	if err := tx.hold(account); err != nil {
		return cardea.Entry{}, err
	}
	e, err := one(tx, scanEntry, `SELECT `+ledgerColumns+` FROM ledger WHERE account = ? AND `+where, account[:], arg)
	if err != nil {
		return e, err
	}
	dated, err := tx.dated(account, []cardea.Entry{e})
	if err != nil {
		return e, err
	}
	return dated[0], nil
}

// Audited is the detail of the newest note of a kind that was made up to an
// instant; ErrNotFound if there is none.
func (tx *Tx) Audited(what string, until cardea.Millis) (detail string, err error) {
	return one(tx, func(s scanner) (detail string, err error) {
		err = s.Scan(&detail)
		return detail, err
	}, `SELECT detail FROM audit WHERE what = ? AND at <= ? ORDER BY id DESC LIMIT 1`, what, until)
}
