// Package accountdb is the cloud's database: accounts and their ledgers,
// devices, links and the statements issued to them, grants and sessions.
//
// An exported method of [Tx] is one step; [DB.Update] makes any number of them
// one transaction with one timestamp, durable before it returns. A write
// transaction holds every account it reads or changes from then to its commit, so
// what is read in it is still true when it is written. A closure may do nothing
// but use its Tx: no network, no waiting. It may run more than once.
//
// The database is a file of SQLite, which one process has for itself, or on a
// PostgreSQL server, which any number of processes share.
//
// What is stopped (a denial, the end of a link, a revocation) also goes to a
// journal that lies beside the database and is not put back with it, before the
// commit; what a restored database has forgotten of it is appended again when it
// is opened, in a new era.
//
// What is personal is sealed under a key of its own account, which itself is
// sealed under the master key: destroying the account's key erases it and
// leaves the ledger's chain verifiable. Times are Unix milliseconds.
package accountdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/stopjournal"
)

// Faults a caller can tell apart.
var (
	// ErrLocked: another process uses the database.
	ErrLocked = errors.New("the database is in use")
	// ErrNewer: the database was written by a newer version of this program.
	ErrNewer = errors.New("the database is newer than this program")
	// ErrDamaged: the file is no whole database.
	ErrDamaged = errors.New("the database is damaged: put a backup back with cardea-cloud restore")
	// ErrGone: an empty database would be taken for all there is.
	ErrGone = errors.New("the database is gone, and the stop journal beside it is not")
	// ErrNotFound: there is no such row. An expected outcome.
	ErrNotFound = errors.New("not found")
)

// A DB is an open database. It is safe for concurrent use.
type DB struct {
	engine engine
	master Key
	stops  *stopjournal.Journal
	lock   *os.File // nil: somebody else holds it
	found  Replay
	skew   atomic.Int64 // see Skew
}

// Open opens or creates the database at path and brings it to the present
// schema. The master key seals the accounts' keys; with another one nothing
// personal can be read. The stop journal is opened with it and replayed.
func Open(ctx context.Context, path string, master Key) (*DB, error) {
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	if err := notGone(path); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db, err := openDB(ctx, path, path+stopsSuffix, master, false)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db.lock = lock
	if err := db.View(ctx, (*Tx).keyFits); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: put its own back: %w", ErrKey, err), db.Close())
	}
	return db, nil
}

// notGone refuses to begin anew where a database was: every account would be
// unknown from then on.
func notGone(path string) error {
	if size(path) > 0 || size(path+stopsSuffix) == 0 {
		return nil
	}
	return fmt.Errorf("%w: put a backup back with cardea-cloud restore, or move %s away to begin anew", ErrGone, path+stopsSuffix)
}

// size is that of a file; 0 if there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// openDB opens a database whose lock is held. raise begins a new era whether or
// not something is missing.
func openDB(ctx context.Context, path, stops string, master Key, raise bool) (*DB, error) {
	e, err := openSQLite(ctx, path)
	if err != nil {
		return nil, err
	}
	return start(ctx, e, stops, master, raise)
}

// start makes an engine that runs a database.
func start(ctx context.Context, e engine, stops string, master Key, raise bool) (*DB, error) {
	journal, err := stopjournal.Open(stops)
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	db := &DB{engine: e, master: master, stops: journal}
	if err = db.migrate(ctx); err == nil {
		err = db.replay(ctx, stops, raise)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close waits for transactions under way and closes the database.
func (db *DB) Close() error {
	err := errors.Join(db.engine.close(), db.stops.Close())
	if db.lock != nil {
		err = errors.Join(err, db.lock.Close())
	}
	return err
}

// Skew is how far the clock that transactions go by stood ahead of this
// process's own, at least, when the newest transaction began.
func (db *DB) Skew() time.Duration { return time.Duration(db.skew.Load()) }

// A Tx is a transaction. Now is its one timestamp, by the database's clock: when
// it began, or came to hold the last of its accounts. Whoever held one of them
// before it has a time no later.
type Tx struct {
	Now time.Time

	ctx    context.Context
	sql    *sql.Tx
	master Key
	stops  []stopjournal.Record // go to the journal before the commit
	held   []cardea.AccountID
	holds  bool // others write beside it
	db     *DB
}

// Millis is the transaction's timestamp on the wire's scale.
func (tx *Tx) Millis() cardea.Millis { return cardea.MillisOf(tx.Now) }

// tries is how often a transaction is run that failed because of others.
const tries = 8

// Update runs f in a transaction that may write. It is committed, durably, if f
// returns nil, and leaves no trace otherwise. f is run again if the transaction
// failed only because of others beside it.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	for try := 1; ; try++ {
		err := db.run(ctx, writing, f)
		if err == nil || try == tries || !db.engine.again(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(time.Duration(try) * 5 * time.Millisecond)):
		}
	}
}

// View runs f in a transaction that sees one moment and writes nothing.
func (db *DB) View(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, reading, f)
}

func (db *DB) run(ctx context.Context, m mode, f func(*Tx) error) error {
	before := time.Now()
	t, now, err := db.engine.begin(ctx, m)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer t.Rollback()
	db.skew.Store(int64(outside(now, before, time.Now())))
	tx := &Tx{Now: now, ctx: ctx, sql: t, master: db.master, db: db, holds: m == writing && db.engine.shared()}
	if err := f(tx); err != nil {
		return err
	}
	if m != writing {
		return nil
	}
	// The journal first: whatever was committed then stands in it. If the commit
	// fails or is never reached, nobody was told, and the stop is taken up at the
	// next start.
	if len(tx.stops) > 0 {
		if err := db.stops.Append(tx.stops...); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// outside is how far an instant is before or after the time in which it was read.
func outside(now, before, after time.Time) time.Duration {
	return min(now.Sub(before), 0) + max(now.Sub(after), 0)
}

// Attempt runs f as a part of the transaction that leaves no trace if it fails,
// while the rest of the transaction stands. What f returns is returned only if
// the transaction can go on after it.
func (tx *Tx) Attempt(f func() error) error {
	if err := tx.exec(`SAVEPOINT attempt`); err != nil {
		return err
	}
	stops, held := len(tx.stops), len(tx.held)
	failed := f()
	if failed != nil {
		tx.stops, tx.held = tx.stops[:stops], tx.held[:held] // what was locked since is let go
		if err := tx.exec(`ROLLBACK TO attempt`); err != nil {
			return fmt.Errorf("take back: %w", err)
		}
	}
	if err := tx.exec(`RELEASE attempt`); err != nil {
		return err
	}
	return failed
}

func (tx *Tx) exec(query string, args ...any) error {
	_, err := tx.sql.ExecContext(tx.ctx, tx.db.engine.query(query), tx.db.engine.args(args)...)
	return err
}

// change runs a conditional write and reports whether it found its row: the
// compare-and-swap of this package.
func (tx *Tx) change(query string, args ...any) (bool, error) {
	r, err := tx.sql.ExecContext(tx.ctx, tx.db.engine.query(query), tx.db.engine.args(args)...)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

func (tx *Tx) row(query string, args ...any) *sql.Row {
	return tx.sql.QueryRowContext(tx.ctx, tx.db.engine.query(query), tx.db.engine.args(args)...)
}

// A scanner is a row or rows.
type scanner interface{ Scan(dest ...any) error }

// one reads the row a query must have; ErrNotFound if there is none.
func one[T any](tx *Tx, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	v, err := scan(tx.row(query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return v, err
}

// list reads all rows of a query.
func list[T any](tx *Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.sql.QueryContext(tx.ctx, tx.db.engine.query(query), tx.db.engine.args(args)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
