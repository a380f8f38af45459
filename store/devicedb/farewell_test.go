package devicedb_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

// left is a device whose link was left, and the database from before.
func left(t *testing.T) (d *disk, f devicedb.Farewell, before func()) {
	t.Helper()
	d = newDisk(t)
	d.change(func(l *devicedb.Link) { l.Revision++ })
	before = copyOf(t, d.path)
	f = devicedb.Farewell{
		Device: "a device", Link: d.id, Key: wire.NewLinkKey(), Issuer: "https://id.example", UpURL: "https://id.example/v1/up",
		Root: []byte("root"), KeyList: []byte("keys"), Ups: [][]byte{make([]byte, 16<<10), {2}}, Nonces: []cardea.Nonce{{1}, {2}},
	}
	if err := d.db.Leave(f); err != nil {
		t.Fatal(err)
	}
	return d, f, before
}

func (d *disk) farewell() string {
	d.t.Helper()
	names, err := filepath.Glob(strings.TrimSuffix(d.path, ".db") + "-*.farewell")
	if err != nil || len(names) != 1 {
		d.t.Fatal(names, err)
	}
	return names[0]
}

// Whatever becomes of the database, or of the file beside it, the last words of a
// link are there to be sent, and the link is not.
func TestFarewellOutlivesTheDatabase(t *testing.T) {
	for name, hurt := range map[string]func(d *disk, before func()){
		"nothing":           func(*disk, func()) {},
		"lost":              func(d *disk, _ func()) { os.Remove(d.path) },
		"put back":          func(_ *disk, before func()) { before() },
		"lost with journal": func(d *disk, _ func()) { os.Remove(d.path); os.Remove(d.journal()) },
		"its value damaged": func(d *disk, _ func()) {
			edit(d.t, d.path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("farewells")).Put(d.id[:], []byte("damage")) })
		},
		"file lost":    func(d *disk, _ func()) { os.Remove(d.farewell()) },
		"file emptied": func(d *disk, _ func()) { os.Truncate(d.farewell(), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			d, f, before := left(t)
			d.restart(func() { hurt(d, before) })
			for range 2 {
				if all, err := d.db.Farewells(); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], f) {
					t.Fatalf("%d farewells, %v", len(all), err)
				}
				if links, err := d.db.Links(); err != nil || len(links)+len(d.db.Lost()) != 0 {
					t.Errorf("%d links, lost %v, %v", len(links), d.db.Lost(), err)
				}
				d.restart(func() { os.Remove(d.path) }) // it is in both again
			}
			if err := d.db.DropFarewell(d.id); err != nil {
				t.Fatal(err)
			}
			d.restart(func() {})
			if all, err := d.db.Farewells(); err != nil || len(all) != 0 {
				t.Errorf("answered, and %d are left, %v", len(all), err)
			}
		})
	}
}

// The file tells nothing to who has not the device's key, and moves with the rest.
func TestFarewellFile(t *testing.T) {
	d, f, _ := left(t)
	text, err := os.ReadFile(d.farewell())
	if err != nil || strings.Contains(string(text), f.Issuer) {
		t.Errorf("readable, %v", err)
	}
	if info, err := os.Stat(d.farewell()); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	found := false
	for _, name := range devicedb.Beside(d.path) {
		found = found || name == d.farewell()
	}
	if !found {
		t.Error("it is left behind")
	}
}
