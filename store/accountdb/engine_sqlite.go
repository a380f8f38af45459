package accountdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"golang.org/x/sys/unix"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// An sqlite runs in the process: one connection writes, so that BEGIN IMMEDIATE
// is the lock on every account at once, and several read.
type sqlite struct{ write, read *sql.DB }

// readers is how many connections answer reads beside the writer.
const readers = 4

func openSQLite(ctx context.Context, path string) (*sqlite, error) {
	e := new(sqlite)
	var err error
	if e.write, err = openPool(ctx, path, "immediate", 1); err == nil {
		e.read, err = openPool(ctx, path, "deferred", readers)
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// openPool opens path with the durability the ledger promises: a commit has
// returned only when it is on the disk.
func openPool(ctx context.Context, path, txlock string, connections int) (*sql.DB, error) {
	return openFile(ctx, path, txlock, connections, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "secure_delete(1)")
}

func openFile(ctx context.Context, path, txlock string, connections int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {txlock}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, damage(err)), db.Close())
	}
	return db, nil
}

// damage tells a file that is no whole database from other faults.
func damage(err error) error {
	if fault, ok := errors.AsType[*driver.Error](err); ok {
		switch fault.Code() & 0xFF {
		case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
			return fmt.Errorf("%w (%w)", ErrDamaged, err)
		}
	}
	return err
}

func (e *sqlite) begin(ctx context.Context, m mode) (*sql.Tx, time.Time, error) {
	pool := e.read
	if m == writing {
		pool = e.write
	}
	t, err := pool.BeginTx(ctx, nil)
	return t, time.Now(), err
}

func (*sqlite) query(text string) string   { return text }
func (*sqlite) args(args []any) []any      { return args }
func (*sqlite) script(text string) string  { return text }
func (*sqlite) setting(name string) string { return `PRAGMA ` + name }

// A transaction that writes holds everything from its beginning.
func (*sqlite) shared() bool                        { return false }
func (*sqlite) hold(*Tx, []byte) (time.Time, error) { return time.Time{}, nil }
func (*sqlite) holdName(*Tx, string) error          { return nil }
func (*sqlite) again(error) bool                    { return false }

// There is one journal, beside the file.
func (*sqlite) place(string) (string, error) { return "", nil }

// scrub brings the log into the file, where deleted bytes are overwritten, and
// leaves an empty one.
func (e *sqlite) scrub(ctx context.Context) error {
	var busy, logged, moved int
	err := e.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &logged, &moved)
	if err == nil && busy != 0 {
		err = errBusy
	}
	return err
}

func (e *sqlite) close() error {
	var errs []error
	for _, db := range []*sql.DB{e.read, e.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// lockFile keeps a second process away: SQLite itself would let it in, and two
// processes would each sign what the other does not know. A stop journal can
// not have two writers either.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: stop the other process that uses %s", ErrLocked, path)
	}
	return f, nil
}
