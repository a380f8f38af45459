package accountdb

import (
	"context"
	"database/sql"
	"time"
)

// An engine is a database server's differences; everything else in this package
// is one SQL path. Queries are written for SQLite, with ? for arguments.
type engine interface {
	// begin starts a transaction and reads the one clock that all transactions
	// of this database go by.
	begin(ctx context.Context, m mode) (*sql.Tx, time.Time, error)

	// query, args and script are what is said to the server for a query, its
	// arguments, and the statements of a migration.
	query(text string) string
	args(args []any) []any
	script(text string) string
	// setting asks for one of the server's settings in this connection.
	setting(name string) string

	// shared reports whether writers run side by side and must hold what they
	// read; if not, hold and holdName are not called.
	shared() bool
	// hold keeps every other writer from an account's row until the end of the
	// transaction, and reads the clock when it has it. Holding an account that
	// is not there is no error.
	hold(tx *Tx, account []byte) (time.Time, error)
	// holdName is the same for what has no row.
	holdName(tx *Tx, name string) error

	// again reports whether a transaction failed only because of others that ran
	// beside it, and may succeed if it is run again.
	again(err error) bool

	// place tells apart the stop journals that one database may have.
	place(stops string) (string, error)

	// scrub overwrites what was deleted before it was called, wherever the server
	// still keeps it; errBusy if somebody reads it.
	scrub(ctx context.Context) error

	close() error
}

// A mode is what a transaction is for.
type mode int

const (
	reading mode = iota
	writing
	following // reads what was committed, and nothing that could still be overtaken
)
