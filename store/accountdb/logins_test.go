package accountdb_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

const testEmail = "ada@example.com"

func openLogins(t *testing.T) (*accountdb.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cloud.db")
	db, err := accountdbtest.Connect(t, path, accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, path
}

func TestRegisterAndFind(t *testing.T) {
	db, _ := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash")
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.LoginByEmail(t.Context(), testEmail)
	want := accountdb.Login{Account: account, Email: testEmail, Password: "$hash"}
	if err != nil || got != want {
		t.Fatalf("login = %+v, %v, want %+v", got, err, want)
	}
	if _, err := db.LoginByEmail(t.Context(), "eve@example.com"); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("unknown address: %v, want ErrNotFound", err)
	}
}

func TestRegisterTwice(t *testing.T) {
	db, _ := openLogins(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var made, taken int
	for range 8 {
		wg.Go(func() {
			_, err := db.Register(context.Background(), testEmail, "$hash")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case errors.Is(err, accountdb.ErrTaken):
				taken++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 || taken != 7 {
		t.Errorf("%d made, %d refused, want 1 and 7", made, taken)
	}
	err := db.View(t.Context(), func(tx *accountdb.Tx) error {
		all, err := tx.Accounts()
		if len(all) != 1 {
			t.Errorf("%d accounts, want 1: a refused one must leave no trace", len(all))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAddressIsNotInTheFile(t *testing.T) {
	db, path := openLogins(t)
	if _, err := db.Register(t.Context(), testEmail, "$hash"); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"ada@", "example.com"} {
		if accountdbtest.Holds(t, path, part) {
			t.Errorf("the database holds %q of the address in clear", part)
		}
	}
}

func TestSessions(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		db, path := openLogins(t)
		account, err := db.Register(t.Context(), testEmail, "$hash")
		if err != nil {
			t.Fatal(err)
		}
		first, second := cardea.Hash(sha256.Sum256([]byte("first"))), cardea.Hash(sha256.Sum256([]byte("second")))
		for _, h := range []cardea.Hash{first, second} {
			if err := db.StartSession(t.Context(), h, account, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		s, err := db.Session(t.Context(), first)
		if err != nil || s.Account != account || s.Email != testEmail {
			t.Fatalf("session = %+v, %v", s, err)
		}
		if err := db.EndSession(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		wantNoSession(t, db, first, "a session that was ended")
		if _, err := db.Session(t.Context(), second); err != nil {
			t.Errorf("the other session: %v", err)
		}
		pass(path, time.Hour)
		wantNoSession(t, db, second, "a session past its end")
	})
}

func TestDisabledAccountHasNoSession(t *testing.T) {
	db, _ := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash")
	if err != nil {
		t.Fatal(err)
	}
	hash := cardea.Hash(sha256.Sum256([]byte("secret")))
	if err := db.StartSession(t.Context(), hash, account, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Disable(account, true) }); err != nil {
		t.Fatal(err)
	}
	wantNoSession(t, db, hash, "a disabled account")
	if l, err := db.LoginByEmail(t.Context(), testEmail); err != nil || !l.Disabled {
		t.Errorf("login = %+v, %v, want it disabled", l, err)
	}
}

func wantNoSession(t *testing.T, db *accountdb.DB, hash cardea.Hash, what string) {
	t.Helper()
	if _, err := db.Session(t.Context(), hash); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
}
