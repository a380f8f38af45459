package catalogue_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/catalogue"
	"github.com/cardea-id/cardea/store/accountdb"
)

func openDB(t *testing.T) *accountdb.DB {
	t.Helper()
	db, err := accountdb.Open(t.Context(), filepath.Join(t.TempDir(), "cloud.db"), accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func open(t *testing.T, db *accountdb.DB, first string) *catalogue.Holder {
	t.Helper()
	h, err := catalogue.Open(t.Context(), db, []byte(first))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestOpen(t *testing.T) {
	db := openDB(t)
	if _, err := catalogue.Source(t.Context(), db); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("%v, want no catalogue at first", err)
	}
	if _, err := catalogue.Open(t.Context(), db, []byte("x: 1")); !errors.Is(err, cardea.ErrInvalidCatalogue) {
		t.Errorf("%v, want a bad first catalogue refused", err)
	}
	_, first := open(t, db, small).Current()
	_, again := open(t, db, string(shipped(t))).Current()
	if again != first {
		t.Error("the file was read again although the database has a catalogue")
	}
	if text, err := catalogue.Source(t.Context(), db); err != nil || string(text) != small {
		t.Errorf("Source: %v", err)
	}
}

func TestPut(t *testing.T) {
	db := openDB(t)
	h := open(t, db, small)
	put := func(text string) error { return h.Put(t.Context(), db, []byte(text), "brand test") }

	_, before := h.Current()
	changed := strings.Replace(small, "retention: none", "retention: for ever", 1)
	if err := put(changed); !errors.Is(err, cardea.ErrInvalidCatalogue) {
		t.Errorf("%v, want another text under the same version refused", err)
	}
	if _, now := h.Current(); now != before {
		t.Error("what was refused is in force")
	}
	if err := put(strings.Replace(changed, "version: 1", "version: 2", 1)); err != nil {
		t.Fatal(err)
	}
	_, second := h.Current()
	if _, stored := open(t, db, "").Current(); stored != second || second == before {
		t.Error("the database does not hold what is in force")
	}

	// A purpose may be removed, but not come back as what it was not.
	if err := put(strings.NewReplacer("id: p", "id: other", "purpose: p", "purpose: other").Replace(small)); err != nil {
		t.Fatal(err)
	}
	if err := put(small); !errors.Is(err, cardea.ErrInvalidCatalogue) {
		t.Errorf("%v, want version 1 refused after version 2 was there", err)
	}
	if err := put(strings.Replace(changed, "version: 1", "version: 2", 1)); err != nil {
		t.Errorf("the same purpose again: %v", err)
	}
}

func TestPutThatCanNotBeStored(t *testing.T) {
	db := openDB(t)
	h := open(t, db, small)
	_, before := h.Current()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Put(ctx, db, []byte(strings.Replace(small, "version: 1", "version: 2", 1)), "brand test"); err == nil {
		t.Fatal("want an error")
	}
	if _, now := h.Current(); now != before {
		t.Error("a catalogue that was not stored is in force")
	}
}
