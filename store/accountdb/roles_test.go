package accountdb_test

import (
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// Roles are kept until they are set anew, or the account is erased.
func TestRoles(t *testing.T) {
	db := accountdbtest.Open(t)
	account := accountdbtest.Account(t, db)
	set := func(roles cardea.Roles, want bool) {
		t.Helper()
		err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
			changed, err := tx.SetRoles(account.ID, roles)
			if changed != want {
				t.Errorf("%q: changed %t", roles, changed)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(want cardea.Roles) {
		t.Helper()
		err := db.View(t.Context(), func(tx *accountdb.Tx) error {
			a, err := tx.AccountBySubject(account.Subject)
			if a.Roles != want {
				t.Errorf("%q, want %q", a.Roles, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read("")
	set("driver service", true)
	set("driver service", false)
	read("driver service")
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
		return tx.Erase(account.ID, cardea.Hash{1}, 1e15, cardea.ChannelBrand)
	})
	if err != nil {
		t.Fatal(err)
	}
	read("")
}
