package accountdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // registers the driver
)

// An engine is a database server's differences; everything else in this package
// is one SQL path. SQLite runs in the process: one connection writes, so that
// BEGIN IMMEDIATE is the lock on every account at once, and several read.
type engine struct {
	write, read *sql.DB
	lock        *os.File // nil: somebody else holds it
}

// readers is how many connections answer reads beside the writer.
const readers = 4

func openSQLite(ctx context.Context, path string) (*engine, error) {
	e := new(engine)
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
	return openFile(ctx, path, txlock, connections, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)")
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
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	return db, nil
}

// lockFile keeps a second process away: SQLite itself would let it in, and two
// processes would each sign what the other does not know.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: stop the other process that uses %s", ErrLocked, path)
	}
	return f, nil
}

func (e *engine) close() error {
	var errs []error
	for _, db := range []*sql.DB{e.read, e.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close())
	}
	return errors.Join(errs...)
}

// Pragma reads one of SQLite's settings of this connection.
func (tx *Tx) Pragma(name string) (string, error) {
	var value string
	err := tx.row(`PRAGMA ` + name).Scan(&value)
	return value, err
}
