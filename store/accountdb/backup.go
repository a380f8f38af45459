package accountdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cardea-id/cardea/internal/disk"
)

// Suffixes of files beside the database: what is being made, what was replaced,
// and what SQLite keeps.
const (
	newSuffix = ".new"
	oldSuffix = ".old"
	walSuffix = "-wal"
	shmSuffix = "-shm"
)

// ErrExists: a backup never overwrites anything.
var ErrExists = errors.New("the file is there already")

// Backup writes a copy of the database at path to a new file, as it stands at
// one moment. It works beside a process that has the database open, and needs no
// key: what is sealed stays sealed. The copy is checked and on the disk before it
// gets its name.
func Backup(ctx context.Context, path, to string) error {
	if _, err := os.Stat(path); err != nil { // SQLite would make an empty one
		return fmt.Errorf("backup: %w", err)
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("backup: %s: %w", to, ErrExists)
	}
	unfinished := to + newSuffix
	if err := remove(unfinished); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer remove(unfinished)
	f, err := os.OpenFile(unfinished, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // nobody else reads it
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	if err := vacuumInto(ctx, path, unfinished); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(check(ctx, unfinished), f.Sync()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := os.Link(unfinished, to); err != nil { // unlike a rename, not over another file
		return fmt.Errorf("backup: %w", err)
	}
	return disk.SyncDir(filepath.Dir(to))
}

func vacuumInto(ctx context.Context, path, to string) error {
	db, err := openPool(ctx, path, "deferred", 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, to)
	return errors.Join(err, db.Close())
}

// check reads a whole database file.
func check(ctx context.Context, path string) error {
	db, err := openFile(ctx, path, "deferred", 1, "query_only(1)")
	if err != nil {
		return err
	}
	var found string
	if err = db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&found); err == nil && found != "ok" {
		err = errors.New(found)
	}
	if err == nil {
		err = db.QueryRowContext(ctx, `SELECT 1 FROM schema_version`).Scan(new(int))
	}
	if errors.Is(err, sql.ErrNoRows) || err != nil && strings.Contains(err.Error(), "no such table") {
		err = errors.New("it is no database of this program")
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	return nil
}

// Restore puts a backup in the place of the database at path, which no process
// may have open (ErrLocked). What the stop journal has and the backup does not is
// appended, and a new era begins, before the copy gets its name; what stood there
// is kept beside it, with ".old" at the end. A crash leaves the one or the other.
func Restore(ctx context.Context, path, from string, master Key) (Replay, error) {
	found, err := restore(ctx, path, from, master)
	if err != nil {
		return found, fmt.Errorf("restore: %w", err)
	}
	return found, nil
}

func restore(ctx context.Context, path, from string, master Key) (Replay, error) {
	lock, err := lockFile(path)
	if err != nil {
		return Replay{}, err
	}
	defer lock.Close()
	if _, err := os.Stat(from); err != nil { // SQLite would make an empty one
		return Replay{}, err
	}
	if err := check(ctx, from); err != nil {
		return Replay{}, err
	}
	fresh := path + newSuffix
	if err := removeDatabase(fresh); err != nil {
		return Replay{}, err
	}
	defer removeDatabase(fresh)
	if err := copyFile(from, fresh); err != nil {
		return Replay{}, err
	}
	db, err := openDB(ctx, fresh, path+stopsSuffix, master, true)
	if err != nil {
		return Replay{}, err
	}
	found := db.Replayed()
	if err := db.View(ctx, (*Tx).keyFits); err != nil {
		return found, errors.Join(fmt.Errorf("the master key is not this backup's: %w", err), db.Close())
	}
	if err := db.Close(); err != nil { // the last to close it leaves one file
		return found, err
	}
	return found, replace(path, fresh)
}

// keyFits opens one thing that is sealed under the master key, if there is any.
func (tx *Tx) keyFits() error {
	name, err := one(tx, scanText, `SELECT name FROM secrets ORDER BY name LIMIT 1`)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		_, err = tx.secret(name)
	}
	return err
}

// replace gives the new file the name. The old one's log goes first, because
// SQLite would apply it to whatever file has the name; the old file without it is
// an earlier state of itself, which the stop journal makes up for.
func replace(path, fresh string) error {
	if err := syncFile(fresh); err != nil {
		return err
	}
	if err := removeDatabase(path + oldSuffix); err != nil {
		return err
	}
	if err := os.Link(path, path+oldSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(path+walSuffix, path+oldSuffix+walSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := remove(path + shmSuffix); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}

func removeDatabase(path string) error {
	return errors.Join(remove(path), remove(path+walSuffix), remove(path+shmSuffix))
}

// remove takes a file away that need not be there.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
