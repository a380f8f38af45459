package devicedb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea/internal/disk"
	"github.com/cardea-id/cardea/store/slots"
)

// Deleting a value leaves its bytes in the file, in a page that is free and will
// be used some time. They are sealed, but with the device's key, which stays. So
// where nothing of a link may stay the file is written anew without them, and the
// old one overwritten.

// scrubKey says that the file has such bytes.
var scrubKey = []byte("scrub")

// freshSuffix is the name of the file that is being written.
const freshSuffix = ".fresh"

// Erase ends a link of which nothing but its farewell may stay, neither in the
// file nor beside it: its tokens are overwritten first, then it is left, then the
// file is scrubbed. After an error, or a crash, it is called again for a link that
// is still there, and Scrub for one that is not.
func (db *DB) Erase(f Farewell) error {
	f.Erased = true
	db.write.Lock()
	defer db.write.Unlock()
	if err := slots.Zero(db.slotPath(f.Link)); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	err := db.update(func(tx *bbolt.Tx) error {
		if err := db.put(tx, farewellBucket, f.Link[:], f); err != nil {
			return err
		}
		if err := db.put(tx, stateBucket, scrubKey, true); err != nil {
			return err
		}
		return db.forget(tx, f.Link)
	})
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	db.keepBeside(f)
	db.forgotten(f.Link)
	return nil
}

// scrubDue reports whether the file has bytes that should be gone.
func (db *DB) scrubDue() bool {
	due := false
	err := db.view(func(tx *bbolt.Tx) (err error) {
		_, err = db.get(tx, stateBucket, scrubKey, &due)
		return err
	})
	return err == nil && due
}

// Scrub writes the file anew, if something was erased from it since. Until it
// has succeeded it is due again at each start. It needs room for the file once
// more; a crash leaves the old file or the new one.
func (db *DB) Scrub() (err error) {
	defer recoverDamage(&err)
	if !db.scrubDue() {
		return nil
	}
	db.write.Lock()
	defer db.write.Unlock()
	db.swap.Lock()
	defer db.swap.Unlock()
	fresh, err := db.rewritten()
	if err != nil {
		return fmt.Errorf("scrub: %w", errors.Join(err, remove(db.path+freshSuffix)))
	}
	old, err := os.OpenFile(db.path, os.O_RDWR, 0)
	if err == nil {
		err = os.Rename(db.path+freshSuffix, db.path)
	}
	if err != nil {
		return fmt.Errorf("scrub: %w", errors.Join(err, fresh.Close(), remove(db.path+freshSuffix)))
	}
	was := db.bolt
	db.bolt = fresh
	return errors.Join(disk.SyncDir(filepath.Dir(db.path)), was.Close(), slots.ZeroFile(old), old.Close())
}

// rewritten is a copy of the file with what counts, less the note that it has to
// be made.
func (db *DB) rewritten() (*bbolt.DB, error) {
	if err := remove(db.path + freshSuffix); err != nil {
		return nil, err
	}
	fresh, err := openBolt(db.path + freshSuffix)
	if err != nil {
		return nil, err
	}
	err = bbolt.Compact(fresh, db.bolt, 0)
	if err == nil {
		err = fresh.Update(func(tx *bbolt.Tx) error { return tx.Bucket(stateBucket).Delete(scrubKey) })
	}
	if err != nil {
		return nil, errors.Join(err, fresh.Close())
	}
	return fresh, nil
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
