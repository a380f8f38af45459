package accountdb

import (
	"fmt"

	"github.com/cardea-id/cardea"
)

// SetRoles records what an account is to the brand and has the statements of its
// live links made anew. changed is false if it was so before: then nothing is
// written.
func (tx *Tx) SetRoles(account cardea.AccountID, roles cardea.Roles) (changed bool, err error) {
	a, err := tx.Account(account)
	if err != nil || a.Roles == roles {
		return false, err
	}
	if err := tx.exec(`UPDATE accounts SET roles = ? WHERE id = ?`, string(roles), account[:]); err != nil {
		return false, fmt.Errorf("roles: %w", err)
	}
	links, err := tx.Links(account)
	for _, l := range links {
		if l.State == LinkLive && err == nil {
			err = tx.Outdate(l.ID)
		}
	}
	return true, err
}
