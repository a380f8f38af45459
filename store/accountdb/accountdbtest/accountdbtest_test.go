package accountdbtest_test

import (
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A check that can not fail would be worth nothing: an entry changed behind the
// ledger's back is found.
func TestCheckFindsAChangedEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	db, err := accountdbtest.Connect(t, path, accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a := accountdbtest.Account(t, db)
	err = db.Update(t.Context(), func(tx *accountdb.Tx) error {
		_, err := tx.Append(a.ID, cardea.Entry{Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "presence/use"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	accountdbtest.Check(t, db)
	accountdbtest.Exec(t, path, `UPDATE ledger SET act = 'grant'`)
	found := &recorder{TB: t}
	accountdbtest.Check(found, db)
	if !found.failed {
		t.Error("an entry was changed and nothing was found")
	}
}

// recorder takes the failures of a check that is to fail.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Error(...any)          { r.failed = true }
func (r *recorder) Errorf(string, ...any) { r.failed = true }
