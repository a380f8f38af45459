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
	if text, err := catalogue.Source(t.Context(), db); text != nil || err != nil {
		t.Errorf("%q %v, want no catalogue at first", text, err)
	}
	for _, bad := range []string{"", "x: 1"} {
		if _, err := catalogue.Open(t.Context(), db, []byte(bad)); !errors.Is(err, cardea.ErrInvalidCatalogue) {
			t.Errorf("%q: %v, want it refused as the first catalogue", bad, err)
		}
	}
	_, first := open(t, db, small).Current()
	if _, again := open(t, db, "").Current(); again != first {
		t.Error("what the database has is not in force without a file")
	}
	if text, err := catalogue.Source(t.Context(), db); err != nil || string(text) != small {
		t.Errorf("Source: %v", err)
	}

	// The file counts again when it was edited, until somebody puts another.
	h := open(t, db, string(shipped(t)))
	if _, edited := h.Current(); edited == first {
		t.Error("an edited file is not in force")
	}
	if err := h.Put(t.Context(), db, []byte(small), "brand test"); err != nil {
		t.Fatal(err)
	}
	if _, now := open(t, db, string(shipped(t))).Current(); now != first {
		t.Error("the file undid what was put")
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
