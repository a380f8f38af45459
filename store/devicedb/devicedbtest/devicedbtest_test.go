package devicedbtest_test

import (
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// A database can be closed by the test and opened again at its place, and two
// tests' databases are apart.
func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	db := devicedbtest.OpenAt(t, path)
	l := devicedb.Link{ID: cardea.NewID[cardea.LinkID]()}
	if err := db.Put(l); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := devicedbtest.OpenAt(t, path).Link(l.ID); err != nil {
		t.Errorf("after reopening: %v", err)
	}
	if links, err := devicedbtest.Open(t).Links(); err != nil || len(links) != 0 {
		t.Errorf("another database has %d links, %v", len(links), err)
	}
}
