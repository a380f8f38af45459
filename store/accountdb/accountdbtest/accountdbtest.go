// Package accountdbtest opens real databases for tests and checks them when a
// test ends: every account's chain must verify.
//
// The tests run on SQLite, or with CARDEA_DB=postgres in their environment on a
// PostgreSQL server of their own, where a path names a database, and the stop
// journal lies at the path with ".stops" at its end as it does on SQLite.
package accountdbtest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Open opens an empty database in a folder of the test.
func Open(t testing.TB) *accountdb.DB {
	t.Helper()
	return OpenAt(t, filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey())
}

// OpenAt opens the database at path, or the one on the server that goes by the
// path.
func OpenAt(t testing.TB, path string, master accountdb.Key) *accountdb.DB {
	t.Helper()
	db, err := Connect(t, path, master)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		Check(t, db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Check verifies the chain of every account against its head.
func Check(t testing.TB, db *accountdb.DB) {
	t.Helper()
	err := db.View(context.Background(), func(tx *accountdb.Tx) error {
		accounts, err := tx.Accounts()
		for _, id := range accounts {
			checkAccount(t, tx, id)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func checkAccount(t testing.TB, tx *accountdb.Tx, id cardea.AccountID) {
	t.Helper()
	account, err := tx.Account(id)
	if err != nil {
		t.Error(err)
	}
	entries, err := tx.Entries(id, 0)
	if err != nil {
		t.Error(err)
	}
	head, err := cardea.VerifyChain(cardea.Position{}, entries)
	if err != nil || head != account.Head {
		t.Errorf("account %s: head %v, chain ends at %v: %v", id, account.Head, head, err)
	}
}

// Account creates an account.
func Account(t testing.TB, db *accountdb.DB) accountdb.Account {
	t.Helper()
	var a accountdb.Account
	err := db.Update(context.Background(), func(tx *accountdb.Tx) (err error) {
		a, err = tx.CreateAccount()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
