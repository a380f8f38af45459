// Package accountdb is the cloud's database: accounts and their ledgers,
// devices, links and the statements issued to them, grants and sessions.
//
// An exported method of [Tx] is one step; [DB.Update] makes any number of them
// one transaction with one timestamp, durable before it returns. A write
// transaction holds the lock of every account it touches from its first
// statement to its commit, so what is read in it is still true when it is
// written. A closure may do nothing but use its Tx: no network, no waiting.
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
	"embed"
	"errors"
	"fmt"
	"io/fs"
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
	// ErrNotFound: there is no such row. An expected outcome.
	ErrNotFound = errors.New("not found")
)

//go:embed migrations/*.sql
var migrations embed.FS

// A DB is an open database. It is safe for concurrent use.
type DB struct {
	engine *engine
	master Key
	stops  *stopjournal.Journal
	found  Replay
}

// Open opens or creates the database at path and brings it to the present
// schema. The master key seals the accounts' keys; with another one nothing
// personal can be read. The stop journal is opened with it and replayed.
func Open(ctx context.Context, path string, master Key) (*DB, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	db, err := openDB(ctx, path, path+stopsSuffix, master, false)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db.engine.lock = lock
	return db, nil
}

// openDB opens a database whose lock is held. raise begins a new era whether or
// not something is missing.
func openDB(ctx context.Context, path, stops string, master Key, raise bool) (*DB, error) {
	journal, err := stopjournal.Open(stops)
	if err != nil {
		return nil, err
	}
	e, err := openSQLite(ctx, path)
	if err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	db := &DB{engine: e, master: master, stops: journal}
	if err = db.migrate(ctx); err == nil {
		err = db.replay(ctx, raise)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close waits for transactions under way and closes the database.
func (db *DB) Close() error { return errors.Join(db.engine.close(), db.stops.Close()) }

// A Tx is a transaction. Now is its one timestamp.
type Tx struct {
	Now time.Time

	ctx    context.Context
	sql    *sql.Tx
	master Key
	stops  []stopjournal.Record // go to the journal before the commit
	db     *DB
}

// Millis is the transaction's timestamp on the wire's scale.
func (tx *Tx) Millis() cardea.Millis { return cardea.MillisOf(tx.Now) }

// Update runs f in a transaction that may write. It is committed, durably, if f
// returns nil, and leaves no trace otherwise.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, db.engine.write, f)
}

// View runs f in a transaction that sees one moment and writes nothing.
func (db *DB) View(ctx context.Context, f func(*Tx) error) error {
	return db.run(ctx, db.engine.read, f)
}

func (db *DB) run(ctx context.Context, pool *sql.DB, f func(*Tx) error) error {
	t, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer t.Rollback()
	tx := &Tx{Now: time.Now(), ctx: ctx, sql: t, master: db.master, db: db}
	if err := f(tx); err != nil {
		return err
	}
	if pool == db.engine.read {
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

// Attempt runs f as a part of the transaction that leaves no trace if it fails,
// while the rest of the transaction stands. What f returns is returned only if
// the transaction can go on after it.
func (tx *Tx) Attempt(f func() error) error {
	if err := tx.exec(`SAVEPOINT attempt`); err != nil {
		return err
	}
	stops := len(tx.stops)
	failed := f()
	if failed != nil {
		tx.stops = tx.stops[:stops]
		if err := tx.exec(`ROLLBACK TO attempt`); err != nil {
			return fmt.Errorf("take back: %w", err)
		}
	}
	if err := tx.exec(`RELEASE attempt`); err != nil {
		return err
	}
	return failed
}

// migrate applies the migrations the database has not seen, each in one
// transaction with the note that it was applied.
func (db *DB) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	applied, err := db.applied(ctx)
	if err != nil {
		return err
	}
	if applied > len(names) {
		return fmt.Errorf("%w: it has schema %d, this program knows %d; install the newer program", ErrNewer, applied, len(names))
	}
	for i := applied; i < len(names); i++ {
		if err := db.apply(ctx, names[i], i+1); err != nil {
			return fmt.Errorf("migration %s: %w", names[i], err)
		}
	}
	return nil
}

func (db *DB) applied(ctx context.Context) (int, error) {
	var n int
	err := db.Update(ctx, func(tx *Tx) error {
		if err := tx.exec(`CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)`); err != nil {
			return err
		}
		return tx.row(`SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&n)
	})
	return n, err
}

func (db *DB) apply(ctx context.Context, name string, version int) error {
	script, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.exec(string(script)); err != nil {
			return err
		}
		return tx.exec(`INSERT INTO schema_version (version) VALUES (?)`, version)
	})
}

func (tx *Tx) exec(query string, args ...any) error {
	_, err := tx.sql.ExecContext(tx.ctx, query, args...)
	return err
}

// change runs a conditional write and reports whether it found its row: the
// compare-and-swap of this package.
func (tx *Tx) change(query string, args ...any) (bool, error) {
	r, err := tx.sql.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

func (tx *Tx) row(query string, args ...any) *sql.Row {
	return tx.sql.QueryRowContext(tx.ctx, query, args...)
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
	rows, err := tx.sql.QueryContext(tx.ctx, query, args...)
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
