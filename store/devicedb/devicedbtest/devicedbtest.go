// Package devicedbtest opens real device databases for tests.
package devicedbtest

import (
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea/store/devicedb"
)

// Seal is the sealing key of the databases opened here.
var Seal = [32]byte{1, 2, 3}

// Open makes a database in a folder of the test. At the end of the test the
// whole file is checked and closed.
func Open(t testing.TB) *devicedb.DB {
	return OpenAt(t, filepath.Join(t.TempDir(), "device.db"))
}

// OpenAt opens the database at path, as Open does. A test that plays a restart
// closes it itself and opens it again.
func OpenAt(t testing.TB, path string) *devicedb.DB {
	t.Helper()
	db, err := devicedb.Open(path, Seal)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if db.Closed() {
			return
		}
		if err := db.Check(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
