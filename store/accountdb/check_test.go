package accountdb_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cardea-id/cardea/store/accountdb"
)

// A database is well while it can be written, and not when its disk is full.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	db, err := accountdb.Open(t.Context(), filepath.Join(dir, "cloud.db"), accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	check := func() (error, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return db.Check(ctx), db.CheckStops(ctx)
	}
	fill := filepath.Join(dir, "fill")
	if err := os.WriteFile(fill, make([]byte, 8<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	if _, stops := check(); stops == nil || !strings.Contains(stops.Error(), "room") {
		t.Errorf("the journal on a full disk: %v", stops)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if database, stops := check(); database != nil || stops != nil {
		t.Errorf("with room again: %v, %v", database, stops)
	}
	db.Close()
	if database, stops := check(); database == nil || stops == nil {
		t.Errorf("a closed database: %v, %v", database, stops)
	}
}
