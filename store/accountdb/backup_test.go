package accountdb_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A copy made while the database is written to is of one moment: its chains
// verify, and it opens.
func TestBackupBesideARunningProcess(t *testing.T) {
	p := newFile(t)
	db := p.open()
	a := accountdbtest.Account(t, db)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
				_, err := tx.Append(a.ID, denial("recommendations/use"))
				return err
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	var copies []string
	for _, name := range []string{"one", "two", "three"} {
		copies = append(copies, p.backup(name))
	}
	close(stop)
	wg.Wait()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range copies {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		copied := p
		copied.path = path
		copied.with(func(*accountdb.Tx) error { return nil }) // checks every chain
	}
}

func TestBackupRefuses(t *testing.T) {
	p := newFile(t)
	if err := accountdb.Backup(t.Context(), p.path, p.path+".copy"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no database: %v", err)
	}
	p.with(func(*accountdb.Tx) error { return nil })
	p.backup("copy")
	if err := accountdb.Backup(t.Context(), p.path, filepath.Join(filepath.Dir(p.path), "copy")); !errors.Is(err, accountdb.ErrExists) {
		t.Errorf("over a file: %v", err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	p := newFile(t)
	db := p.open()
	if _, err := db.Secrets().Secret(t.Context(), "one", func() []byte { return []byte("secret") }); err != nil {
		t.Fatal(err)
	}
	from := p.backup("copy")
	if _, err := accountdb.Restore(t.Context(), p.path, from, p.key); !errors.Is(err, accountdb.ErrLocked) {
		t.Errorf("under a running process: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(p.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accountdb.Restore(t.Context(), p.path, from, accountdb.NewKey()); err == nil {
		t.Error("restored with a key that opens nothing in it")
	}
	whole, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	for i := range damaged[4096:] {
		damaged[4096+i] ^= 0x55
	}
	for name, content := range map[string][]byte{
		"text": []byte("no database"), "nothing": {}, "half of it": whole[:len(whole)/2], "a damaged one": damaged,
	} {
		bad := filepath.Join(t.TempDir(), "bad")
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := accountdb.Restore(t.Context(), p.path, bad, p.key); err == nil {
			t.Errorf("%s was restored", name)
		}
	}
	if after, err := os.ReadFile(p.path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a refused restore changed the database: %v", err)
	}
}

// What was replaced is kept, and its log is not applied to what stands there now.
func TestRestoreKeepsWhatItReplaces(t *testing.T) {
	p := newFile(t)
	p.with(func(tx *accountdb.Tx) error { return tx.SetMeta("test", []byte("monday")) })
	from := p.backup("copy")
	db := p.open()
	update(t, db, func(tx *accountdb.Tx) error { return tx.SetMeta("test", []byte("tuesday")) })
	files, err := filepath.Glob(p.path + "-*")
	if err != nil {
		t.Fatal(err)
	}
	crashed := map[string][]byte{} // as a crash leaves them
	for _, f := range append(files, p.path) {
		if crashed[f], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for f, content := range crashed {
		if err := os.WriteFile(f, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.restore(from)
	reads := func(p place, want string) {
		t.Helper()
		p.with(func(tx *accountdb.Tx) error {
			got, err := tx.Meta("test")
			if string(got) != want {
				t.Errorf("%s says %q, want %q", filepath.Base(p.path), got, want)
			}
			return err
		})
	}
	reads(p, "monday")
	old := p
	old.path += ".old"
	reads(old, "tuesday")
	left, err := filepath.Glob(p.path + "*.new*")
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left over, %v", left, err)
	}
	if !slices.ContainsFunc(files, func(f string) bool { return f == p.path+"-wal" }) {
		t.Errorf("the test has no log to leave behind: %v", files)
	}
}
