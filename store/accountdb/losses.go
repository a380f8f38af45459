package accountdb

import (
	"github.com/cardea-id/cardea"
)

// A Loss is a time that a device lost what was said on it.
type Loss struct {
	ID        cardea.LossID
	Confirmed bool // the owner has said what it may do again
}

// Losses lists what a link's device has told, the newest last.
func (tx *Tx) Losses(link cardea.LinkID) ([]Loss, error) {
	return list(tx, func(s scanner) (l Loss, err error) {
		var confirmed cardea.Millis
		err = s.Scan(id(&l.ID), &confirmed)
		l.Confirmed = confirmed != 0
		return l, err
	}, `SELECT loss, confirmed FROM losses WHERE link = ? ORDER BY reported, loss`, link[:])
}

// PutLoss records a loss that was not told before.
func (tx *Tx) PutLoss(link cardea.LinkID, loss cardea.LossID) error {
	return tx.exec(`INSERT INTO losses (link, loss, reported, confirmed) VALUES (?, ?, ?, 0)`, link[:], loss[:], tx.Millis())
}

// ConfirmLosses ends all of a link's that are open.
func (tx *Tx) ConfirmLosses(link cardea.LinkID) error {
	return tx.exec(`UPDATE losses SET confirmed = ? WHERE link = ? AND confirmed = 0`, tx.Millis(), link[:])
}
