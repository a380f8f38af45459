package devicedb_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
)

// raw reads what stands at a key of a file, sealed as it is.
func raw(t *testing.T, path, bucket string, key []byte) (value []byte) {
	t.Helper()
	edit(t, path, func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket([]byte(bucket)).Get(key))
		return nil
	})
	return value
}

// holding lists the files of a folder that have some of these bytes.
func holding(t *testing.T, path string, parts ...[]byte) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			if bytes.Contains(text, part) {
				names = append(names, filepath.Base(name))
			}
		}
	}
	return names
}

// What was erased can not be read any more by whoever has the device's key: not
// even its sealed bytes are there, of the link, its tokens and in the end of its
// farewell.
func TestErase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	db := devicedbtest.OpenAt(t, path)
	l, other := full(), full()
	for _, l := range []devicedb.Link{other, l} {
		if err := db.Join(l, tokens()); err != nil {
			t.Fatal(err)
		}
	}
	slot, err := os.ReadFile(filepath.Join(filepath.Dir(path), "device-"+l.ID.String()+".slot"))
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	value := raw(t, path, "links", l.ID[:])
	db = devicedbtest.OpenAt(t, path)
	f := devicedb.Farewell{Link: l.ID, Key: l.Key, Issuer: l.Issuer, Ups: [][]byte{{1}}, Nonces: []cardea.Nonce{{1}}}
	if err := db.Erase(f); err != nil {
		t.Fatal(err)
	}
	if found := holding(t, path, value[:64]); len(found) == 0 {
		t.Error("the test is wrong: nothing stays of a value that was only deleted")
	}
	if err := db.Scrub(); err != nil {
		t.Fatal(err)
	}
	if found := holding(t, path, value[:64], value[len(value)-64:], slot[:64]); found != nil {
		t.Errorf("%v still have parts of what was erased", found)
	}
	db = reopen(t, db, path)
	all, err := db.Farewells()
	if err != nil || len(all) != 1 || !all[0].Erased || len(all[0].Ups) != 1 {
		t.Fatalf("farewells %v, %v", all, err)
	}
	db.Close()
	value = raw(t, path, "farewells", l.ID[:])
	db = devicedbtest.OpenAt(t, path)
	if err := db.DropFarewell(l.ID); err != nil {
		t.Fatal(err)
	}
	if found := holding(t, path, value[:32], l.ID[:], []byte(l.ID.String())); found != nil {
		t.Errorf("%v still have parts of the farewell", found)
	}
	db = reopen(t, db, path)
	if kept, err := db.Link(other.ID); err != nil || !reflect.DeepEqual(kept.Body.Identity, other.Body.Identity) {
		t.Errorf("the other link: %v, %v", kept, err)
	}
	if _, err := db.Tokens(other.ID); err != nil {
		t.Errorf("the other link's tokens: %v", err)
	}
}

// A scrub that the agent did not come to is done when it starts again.
func TestScrubAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	db := devicedbtest.OpenAt(t, path)
	l := full()
	if err := db.Put(l); err != nil {
		t.Fatal(err)
	}
	db.Close()
	value := raw(t, path, "links", l.ID[:])
	db = devicedbtest.OpenAt(t, path)
	if err := db.Erase(devicedb.Farewell{Link: l.ID, Key: wire.NewLinkKey()}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if err := os.WriteFile(path+".fresh", []byte("what a crash left"), 0o600); err != nil {
		t.Fatal(err)
	}
	db = devicedbtest.OpenAt(t, path)
	if found := holding(t, path, value[:64]); found != nil {
		t.Errorf("%v still have parts of what was erased", found)
	}
	if _, err := os.Stat(path + ".fresh"); !os.IsNotExist(err) {
		t.Errorf("the unfinished file: %v", err)
	}
	reopen(t, db, path)
}

// Readers and writers go on while the file is replaced, and another agent is
// still locked out.
func TestScrubUnderLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.db")
	db := devicedbtest.OpenAt(t, path)
	l := full()
	if err := db.Put(l); err != nil {
		t.Fatal(err)
	}
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for range 25 {
				if _, err := db.Link(l.ID); err != nil {
					t.Error(err)
				}
				if err := db.Change(l.ID, func(l *devicedb.Link) error { l.Revision++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		gone := full()
		if err := db.Put(gone); err != nil {
			t.Fatal(err)
		}
		if err := db.Erase(devicedb.Farewell{Link: gone.ID}); err != nil {
			t.Fatal(err)
		}
		if err := db.Scrub(); err != nil {
			t.Fatal(err)
		}
	}
	load.Wait()
	if kept, err := db.Link(l.ID); err != nil || kept.Revision != l.Revision+100 {
		t.Errorf("after 100 changes it is %d, %v", kept.Revision-l.Revision, err)
	}
	if _, err := devicedb.Open(path, [32]byte{}); err == nil {
		t.Error("a second agent opens the database")
	}
}
