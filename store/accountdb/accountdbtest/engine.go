package accountdbtest

import (
	"context"
	"crypto/sha256"
	gosql "database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea/internal/postgrestest"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Postgres reports whether the tests run on PostgreSQL.
func Postgres() bool { return os.Getenv("CARDEA_DB") == "postgres" && !bubble() }

// bubble reports whether the test runs in a bubble of testing/synctest. It has a
// clock of its own there, of which a server knows nothing, and so a file.
func bubble() bool { return time.Now().Year() == 2000 }

// Connect opens a database as OpenAt does, and leaves it to the test to check
// and close it.
func Connect(t testing.TB, path string, master accountdb.Key) (*accountdb.DB, error) {
	t.Helper()
	if Postgres() {
		return accountdb.OpenServer(context.Background(), Address(t, path), path+".stops", master)
	}
	return accountdb.Open(context.Background(), path, master)
}

// A household is the server of this process, and the databases it has.
type household struct {
	sync.Mutex
	server *postgrestest.Server
	made   map[string]bool
}

var house household

func (h *household) has(name string) bool {
	h.Lock()
	defer h.Unlock()
	return h.made[name]
}

// Server is the PostgreSQL server of this process. It is started by the first
// test that asks for it.
func Server(t testing.TB) *postgrestest.Server {
	t.Helper()
	house.Lock()
	defer house.Unlock()
	if house.server == nil {
		server, err := postgrestest.Start()
		if err != nil {
			t.Fatal(err)
		}
		house.server, house.made = server, map[string]bool{}
	}
	return house.server
}

// Name is what the database on the server is called that goes by a path.
func Name(path string) string {
	sum := sha256.Sum256([]byte(path))
	return "test_" + hex.EncodeToString(sum[:10])
}

// slowClock stands before the server's own clock and can be set ahead.
const slowClock = `CREATE TABLE clock_ahead AS SELECT interval '0' AS ahead;
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
	'SELECT pg_catalog.clock_timestamp() + (SELECT ahead FROM public.clock_ahead)'`

// Address is the address of the database on the server that goes by a path. It
// is made when it is first asked for, with a clock of its own, and is dropped
// when that test ends.
func Address(t testing.TB, path string) string {
	t.Helper()
	server, name := Server(t), Name(path)
	house.Lock()
	defer house.Unlock()
	if !house.made[name] {
		house.made[name] = true
		t.Cleanup(func() { drop(t, server, name) })
		if err := server.Create(context.Background(), name); err != nil {
			t.Fatal(err)
		}
		sql(t, server, name, slowClock)
	}
	return server.URL(name) + "&search_path=public,pg_catalog"
}

// Keep keeps the database that goes by a path until the end of this test, for
// one that opens it in tests below it.
func Keep(t testing.TB, path string) {
	t.Helper()
	if Postgres() {
		Address(t, path)
	}
}

// Two opens one database on the server twice, as two processes do, whatever the
// other tests run on.
func Two(t testing.TB) (a, b *accountdb.DB) {
	t.Helper()
	dir, key := t.TempDir(), accountdb.NewKey()
	address := Address(t, dir)
	open := func(name string) *accountdb.DB {
		db, err := accountdb.OpenServer(context.Background(), address, filepath.Join(dir, name), key)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			Check(t, db)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db
	}
	return open("a.stops"), open("b.stops")
}

func drop(t testing.TB, server *postgrestest.Server, name string) {
	house.Lock()
	defer house.Unlock()
	delete(house.made, name)
	if err := server.Drop(context.Background(), name); err != nil {
		t.Error(err)
	}
}

func sql(t testing.TB, server *postgrestest.Server, name, text string) string {
	t.Helper()
	out, err := server.SQL(context.Background(), name, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Timed runs a test in which time passes, for the database at least: on SQLite
// in a bubble of testing/synctest, on PostgreSQL by the server's clock, which is
// right again in the end. pass is for the database at path.
func Timed(t *testing.T, f func(t *testing.T, pass func(path string, d time.Duration))) {
	t.Helper()
	if !Postgres() {
		synctest.Test(t, func(t *testing.T) { f(t, func(_ string, d time.Duration) { time.Sleep(d) }) })
		return
	}
	for path := range timed(t, f) {
		if house.has(Name(path)) {
			ExecOnServer(t, path, `UPDATE clock_ahead SET ahead = '0'`)
		}
	}
}

// timed runs f and returns for which databases time has passed.
func timed(t *testing.T, f func(t *testing.T, pass func(path string, d time.Duration))) map[string]bool {
	passed := map[string]bool{}
	t.Run("timed", func(t *testing.T) {
		f(t, func(path string, d time.Duration) {
			t.Helper()
			passed[path] = true
			ExecOnServer(t, path, fmt.Sprintf(`UPDATE clock_ahead SET ahead = ahead + interval '%d milliseconds'`, d.Milliseconds()))
		})
	})
	return passed
}

// Holds reports whether a text stands anywhere in the database at path.
func Holds(t testing.TB, path, text string) bool {
	t.Helper()
	if Postgres() {
		file := path + ".dump"
		server := Server(t)
		if err := server.Text(context.Background(), Name(path), file); err != nil {
			t.Fatal(err)
		}
		return contains(t, file, text) || contains(t, file, hex.EncodeToString([]byte(text)))
	}
	return contains(t, path, text) || contains(t, path+"-wal", text) // which is there while it is open
}

// Exec runs a statement behind the program's back.
func Exec(t testing.TB, path, text string) {
	t.Helper()
	if Postgres() {
		ExecOnServer(t, path, text)
		return
	}
	db, err := gosql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(text)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// ExecOnServer is Exec for a database on the server.
func ExecOnServer(t testing.TB, path, text string) {
	t.Helper()
	sql(t, Server(t), Name(path), text)
}

func contains(t testing.TB, file, text string) bool {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Contains(string(content), text)
}
