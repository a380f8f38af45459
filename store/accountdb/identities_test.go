package accountdb_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

var someone = accountdb.Identity{Provider: "elsewhere", Issuer: "https://login.example.com", Subject: "subject-4711"}

func TestRegisterIdentity(t *testing.T) {
	db, path := openLogins(t)
	if _, err := db.LoginByIdentity(t.Context(), someone); !errors.Is(err, accountdb.ErrNotFound) {
		t.Fatalf("before: %v, want ErrNotFound", err)
	}
	account, err := db.RegisterIdentity(t.Context(), someone, testEmail)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := db.RegisterIdentity(t.Context(), someone, testEmail); err != nil || again != account {
		t.Errorf("again: %v, %v, want %v", again, err, account)
	}
	if l, err := db.LoginByIdentity(t.Context(), someone); err != nil || l.Account != account {
		t.Errorf("found %+v, %v", l, err)
	}
	if l, err := db.LoginByEmail(t.Context(), testEmail); err != nil || l.Account != account || l.Password != "" {
		t.Errorf("by address: %+v, %v", l, err)
	}
	// Issuer and subject are one, wherever one ends and the other begins.
	for _, other := range []accountdb.Identity{
		{Provider: "elsewhere", Issuer: someone.Issuer, Subject: "subject-4712"},
		{Provider: "elsewhere", Issuer: "https://login.example.net", Subject: someone.Subject},
		{Provider: "elsewhere", Issuer: someone.Issuer + "s", Subject: someone.Subject[1:]},
	} {
		if _, err := db.LoginByIdentity(t.Context(), other); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("%+v: %v, want ErrNotFound", other, err)
		}
	}
	if accountdbtest.Holds(t, path, someone.Subject) {
		t.Error("the database shows the subject")
	}
}

func TestRegisterIdentityTakesNoAddress(t *testing.T) {
	db, _ := openLogins(t)
	if _, err := db.Register(t.Context(), testEmail, "$hash"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.RegisterIdentity(t.Context(), someone, testEmail); !errors.Is(err, accountdb.ErrTaken) {
		t.Errorf("with the address of another: %v, want ErrTaken", err)
	}
	if _, err := db.LoginByIdentity(t.Context(), someone); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("after it was refused: %v, want ErrNotFound", err)
	}
	if _, err := db.RegisterIdentity(t.Context(), someone, ""); err != nil {
		t.Errorf("without an address: %v", err)
	}
}

// Of many registering at once one makes the account and all get it.
func TestRegisterIdentityAtOnce(t *testing.T) {
	db, _ := openLogins(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[cardea.AccountID]int{}
	for range 8 {
		wg.Go(func() {
			a, err := db.RegisterIdentity(t.Context(), someone, "")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[a]++
		})
	}
	wg.Wait()
	if len(got) != 1 {
		t.Errorf("accounts: %v", got)
	}
}

func TestConnect(t *testing.T) {
	db, _ := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Connect(t.Context(), account, someone); err != nil {
			t.Fatal(err)
		}
	}
	all, err := db.Connections(t.Context(), account)
	if err != nil || len(all) != 1 || all[0].Provider != "elsewhere" || all[0].Since.IsZero() {
		t.Errorf("connections %+v, %v", all, err)
	}
	other, err := db.Register(t.Context(), "eve@example.com", "$hash")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Connect(t.Context(), other, someone); !errors.Is(err, accountdb.ErrForeign) {
		t.Errorf("another's: %v, want ErrForeign", err)
	}
	if all, err := db.Connections(t.Context(), other); err != nil || len(all) != 0 {
		t.Errorf("connections of the other %+v, %v", all, err)
	}
}
