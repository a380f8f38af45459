package accountdb

import (
	"strings"

	"github.com/cardea-id/cardea"
)

// An Assurance is how sure it is that the owner made a decision. Methods are as
// [Session.AMR] has them.
type Assurance struct {
	Level   Level
	Methods []string
}

// Assurance is that of the session.
func (s Session) Assurance() Assurance { return Assurance{s.Level(), s.AMR()} }

// Assure records how sure it was of an entry of the ledger.
func (tx *Tx) Assure(account cardea.AccountID, seq uint64, a Assurance) error {
	return tx.exec(`INSERT INTO assurances (account, seq, level, methods) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, seq) DO NOTHING`, account[:], seq, a.Level, strings.Join(a.Methods, " "))
}

// Assurance is what was recorded with an entry. ErrNotFound if nothing was: it
// was made on a device, or by the brand.
func (tx *Tx) Assurance(account cardea.AccountID, seq uint64) (Assurance, error) {
	return one(tx, func(s scanner) (a Assurance, err error) {
		var methods string
		err = s.Scan(&a.Level, &methods)
		a.Methods = strings.Fields(methods)
		return a, err
	}, `SELECT level, methods FROM assurances WHERE account = ? AND seq = ?`, account[:], seq)
}
