package accountdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// A postgres is a server that several processes share. Transactions that write
// run side by side, as READ COMMITTED: each statement sees what was committed
// before it, so what is read after an account is held is the newest there is and
// stays so. Those that read see one moment.
type postgres struct {
	write, read *sql.DB
	rebound     sync.Map // query by its text with ?
}

// How many connections a process has. A writer may wait for an account, and
// must not keep a reader from its page meanwhile.
const (
	postgresWriters = 16
	postgresReaders = 8
)

// settings hold in every connection, whatever the server's own are. A commit has
// returned only when it is on the disk; who waits for a lock for long gives up;
// and a process that stands still, or a machine that is gone, keeps an account
// from the others for a few seconds and no more.
var settings = map[string]string{
	"application_name":                    "cardea",
	"synchronous_commit":                  "on",
	"lock_timeout":                        "5000",
	"idle_in_transaction_session_timeout": "10000",
	"tcp_user_timeout":                    "10000",
}

// ErrServer: the database server can not be used.
var ErrServer = errors.New("the database server can not be used")

func openPostgres(ctx context.Context, url string) (*postgres, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("%w: the address must be like postgres://user@host/name", ErrServer) // err has the password
	}
	maps.Copy(config.RuntimeParams, settings)
	e := &postgres{write: stdlib.OpenDB(*config), read: stdlib.OpenDB(*config)}
	e.write.SetMaxOpenConns(postgresWriters)
	e.write.SetMaxIdleConns(postgresWriters)
	e.read.SetMaxOpenConns(postgresReaders)
	e.read.SetMaxIdleConns(postgresReaders)
	if err := e.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s on %s: %w", ErrServer, config.Database, config.Host, err), e.close())
	}
	return e, nil
}

// oldest is the first version of the server that this was tried with.
const oldest = 150000

// scrub has the server take old versions of rows away. Its log, and what it
// archives of it, it keeps as long as it is configured to.
func (e *postgres) scrub(ctx context.Context) error {
	_, err := e.write.ExecContext(ctx, `VACUUM accounts, logins, payloads, links, grants, statements`)
	return err
}

func (e *postgres) check(ctx context.Context) error {
	var version, encoding string
	err := e.read.QueryRowContext(ctx, `SELECT current_setting('server_version_num'), current_setting('server_encoding')`).Scan(&version, &encoding)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(version); err != nil || n < oldest {
		return fmt.Errorf("it is PostgreSQL %s: 15 or newer is needed", version)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("its encoding is %s: create it with ENCODING 'UTF8'", encoding)
	}
	return nil
}

// wake is the lock that writers share. The ledger's cursors are given before the
// commit and may be committed in another order; who follows them takes the lock
// alone, after which no smaller one can appear. It waits for writers under way,
// and not for long, because those that come wait behind it.
const wake = `4849`

var begins = map[mode]string{
	reading:   `SELECT clock_timestamp()`,
	writing:   `SELECT clock_timestamp() FROM pg_advisory_xact_lock_shared(` + wake + `)`,
	following: `SELECT clock_timestamp() FROM set_config('lock_timeout', '500', true), pg_advisory_xact_lock(` + wake + `)`,
}

func (e *postgres) begin(ctx context.Context, m mode) (*sql.Tx, time.Time, error) {
	pool, opts := e.read, &sql.TxOptions{Isolation: sql.LevelReadCommitted, ReadOnly: m != writing}
	switch m {
	case writing:
		pool = e.write
	case reading:
		opts.Isolation = sql.LevelRepeatableRead
	}
	t, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return nil, time.Time{}, err
	}
	var now time.Time
	if err := t.QueryRowContext(ctx, begins[m]).Scan(&now); err != nil {
		return nil, now, errors.Join(err, t.Rollback())
	}
	return t, now, nil
}

// query numbers the arguments.
func (e *postgres) query(text string) string {
	if known, ok := e.rebound.Load(text); ok {
		return known.(string)
	}
	var out strings.Builder
	n := 0
	for _, r := range text {
		if r != '?' {
			out.WriteRune(r)
			continue
		}
		n++
		fmt.Fprintf(&out, "$%d", n)
	}
	e.rebound.Store(text, out.String())
	return out.String()
}

// args brings arguments to what every driver takes. A truth is stored as a
// number, as in SQLite, which knows no other.
func (*postgres) args(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			v = a // the driver will say what is wrong with it
		}
		if truth, ok := v.(bool); ok {
			v = map[bool]int64{false: 0, true: 1}[truth]
		}
		out[i] = v
	}
	return out
}

var types = strings.NewReplacer(
	" INTEGER PRIMARY KEY AUTOINCREMENT", " BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
	" INTEGER", " BIGINT", " BLOB", " BYTEA",
)

var spaces = regexp.MustCompile(` +`)

// script translates the names of types.
func (*postgres) script(text string) string { return types.Replace(spaces.ReplaceAllString(text, " ")) }

func (*postgres) setting(name string) string { return `SHOW ` + name }

func (*postgres) shared() bool { return true }

// hold locks the account's row. What refers to it may still be added by others.
// The clock is read when the row is locked: a subquery that locks is not merged
// into what is around it.
func (*postgres) hold(tx *Tx, account []byte) (now time.Time, err error) {
	err = tx.row(`SELECT clock_timestamp() FROM (SELECT id FROM accounts WHERE id = ? FOR NO KEY UPDATE) AS held`, account).Scan(&now)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return now, err
}

func (*postgres) holdName(tx *Tx, name string) error {
	return tx.exec(`SELECT pg_advisory_xact_lock(hashtextextended(?, 0))`, name)
}

// Codes of errors that only say that others ran beside the transaction
// (PostgreSQL's documentation, Appendix A). A row that must be the only one is
// among them: it was not there when this transaction looked.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
)

func (*postgres) again(err error) bool {
	failed, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	return failed.Code == serializationFailure || failed.Code == deadlockDetected || failed.Code == uniqueViolation
}

// place is the machine and the file: every process keeps what it has stopped.
func (*postgres) place(stops string) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name of this machine: %w", err)
	}
	path, err := filepath.Abs(stops)
	if err != nil {
		return "", err
	}
	return " " + host + ":" + path, nil
}

func (e *postgres) close() error { return errors.Join(e.read.Close(), e.write.Close()) }
