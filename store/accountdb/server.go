package accountdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrKey: the master key does not open what is in the database.
var ErrKey = errors.New("the master key is not this database's")

// OnServer reports whether an address is that of a database on a server, for
// [OpenServer], and not a file.
func OnServer(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// OpenServer opens a database on a PostgreSQL server, which any number of
// processes may do, and brings it to the present schema. stops is the file of
// this process's own stop journal, which no other may use (ErrLocked). With
// another master key than the others' nothing is opened (ErrKey). The address is
// like "postgres://user:password@host/name" and may have what libpq knows.
func OpenServer(ctx context.Context, address, stops string, master Key) (*DB, error) {
	return openServer(ctx, address, stops, master, false)
}

// BeginEra has a new era begin in a database that was put back to an earlier
// state by the server's own means, and replays the journal. No process may have
// the database open meanwhile.
func BeginEra(ctx context.Context, address, stops string, master Key) (Replay, error) {
	db, err := openServer(ctx, address, stops, master, true)
	if err != nil {
		return Replay{}, fmt.Errorf("begin era: %w", err)
	}
	return db.Replayed(), db.Close()
}

func openServer(ctx context.Context, address, stops string, master Key, raise bool) (*DB, error) {
	lock, err := lockFile(stops)
	if err != nil {
		return nil, err
	}
	e, err := openPostgres(ctx, address)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db, err := start(ctx, e, stops, master, raise)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db.lock = lock
	if err := db.View(ctx, (*Tx).keyFits); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: put the key of the other processes in its place: %w", ErrKey, err), db.Close())
	}
	return db, nil
}

// Used reports whether a database on a server has something that a master key
// sealed, so that a new key would open nothing.
func Used(ctx context.Context, address string) (bool, error) {
	e, err := openPostgres(ctx, address)
	if err != nil {
		return false, err
	}
	var used bool
	err = e.read.QueryRowContext(ctx, `SELECT to_regclass('secrets') IS NOT NULL`).Scan(&used)
	if err == nil && used {
		err = e.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM secrets)`).Scan(&used)
	}
	if err = errors.Join(err, e.close()); err != nil {
		return false, fmt.Errorf("look into database: %w", err)
	}
	return used, nil
}
