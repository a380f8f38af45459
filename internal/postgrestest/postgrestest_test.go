package postgrestest_test

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea/internal/postgrestest"
)

func start(t *testing.T) *postgrestest.Server {
	t.Helper()
	s, err := postgrestest.Start()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDumpAndLoad(t *testing.T) {
	s := start(t)
	must(t, s.Create(t.Context(), "house"))
	said := func(want string) {
		t.Helper()
		got, err := s.SQL(t.Context(), "house", `SELECT name FROM rooms ORDER BY name`)
		must(t, err)
		if got != want {
			t.Errorf("rooms %q, want %q", got, want)
		}
	}
	sql := func(text string) {
		t.Helper()
		_, err := s.SQL(t.Context(), "house", text)
		must(t, err)
	}
	sql(`CREATE TABLE rooms (name TEXT); INSERT INTO rooms VALUES ('hall')`)
	file := filepath.Join(t.TempDir(), "dump")
	must(t, s.Dump(t.Context(), "house", file))
	sql(`INSERT INTO rooms VALUES ('kitchen')`)
	said("hall\nkitchen")
	must(t, s.Load(t.Context(), "house", file))
	said("hall")
	must(t, s.Drop(t.Context(), "house"))
	if _, err := s.SQL(t.Context(), "house", `SELECT 1`); err == nil {
		t.Error("a database that was dropped answers")
	}
	must(t, s.Close())
}

func TestNothingIsLeftOver(t *testing.T) {
	s := start(t)
	u, err := url.Parse(s.URL("postgres"))
	must(t, err)
	dir := u.Query().Get("host")
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	must(t, s.Close())
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}
