package accountdb_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// lite registers an account of a name and an address.
func lite(t *testing.T, db *accountdb.DB, email string) (account cardea.AccountID) {
	t.Helper()
	update(t, db, func(tx *accountdb.Tx) (err error) {
		account, err = tx.RegisterLite("Ada", email)
		return err
	})
	return account
}

// An address that is only claimed signs nobody in and keeps nobody from it.
func TestLiteAccountClaimsAnAddress(t *testing.T) {
	db, _ := openLogins(t)
	stranger, owner := lite(t, db, testEmail), lite(t, db, testEmail)
	if _, err := db.LoginByEmail(t.Context(), testEmail); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("a claimed address: %v, want ErrNotFound", err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		lite, err := tx.Lite(owner)
		if !lite {
			t.Error("the account is not lite")
		}
		return errors.Join(err, tx.Confirm(owner, testEmail))
	})
	l, err := db.LoginByEmail(t.Context(), testEmail)
	if err != nil || l.Account != owner || l.Password != "" {
		t.Errorf("confirmed: %+v, %v", l, err)
	}
	err = db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Confirm(stranger, testEmail) })
	if !errors.Is(err, accountdb.ErrTaken) {
		t.Errorf("the other who claims it: %v, want ErrTaken", err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		if lite, err := tx.Lite(owner); lite || err != nil {
			t.Errorf("confirmed and still lite: %v, %v", lite, err)
		}
		email, confirmed, err := tx.EmailOf(stranger)
		if email != testEmail || confirmed {
			t.Errorf("the stranger's mail goes to %q, confirmed %v", email, confirmed)
		}
		return err
	})
}

// Who registered with another's address does not stay in the account when the
// address's owner comes.
func TestOwnerOfTheAddressShutsOthersOut(t *testing.T) {
	db, _ := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash of a stranger")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.StartSession(t.Context(), hashOf("stranger"), account, time.Hour); err != nil {
		t.Fatal(err)
	}
	trust := func(tx *accountdb.Tx) error { return tx.Trust(account) }
	update(t, db, func(tx *accountdb.Tx) error {
		return tx.AddPasskey(accountdb.Passkey{ID: []byte("stranger's"), Account: account})
	})
	update(t, db, trust)
	wantNoSession(t, db, hashOf("stranger"), "the stranger's session")
	update(t, db, func(tx *accountdb.Tx) error {
		w, err := tx.WaysOf(account)
		if want := (accountdb.Ways{Email: true}); w != want {
			t.Errorf("ways = %+v, want the address alone", w)
		}
		return errors.Join(err, tx.SetPassword(account, "$hash", false))
	})
	update(t, db, trust)
	update(t, db, func(tx *accountdb.Tx) error {
		if w, _ := tx.WaysOf(account); !w.Password {
			t.Error("the owner's own password went when they came again")
		}
		return nil
	})
}

// What was set by a code counts for no more than the code, for a week.
func TestPasswordSetByACodeIsWeakForAWeek(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		db, path := openLogins(t)
		account, err := db.Register(t.Context(), testEmail, "$hash")
		if err != nil {
			t.Fatal(err)
		}
		renewed := func() (is bool) {
			update(t, db, func(tx *accountdb.Tx) error {
				w, err := tx.WaysOf(account)
				is = w.Renewed
				return err
			})
			return is
		}
		update(t, db, func(tx *accountdb.Tx) error { return tx.SetPassword(account, "$new", true) })
		if !renewed() {
			t.Error("just set by a code, and as good as any")
		}
		pass(path, 7*24*time.Hour+time.Second)
		if renewed() {
			t.Error("still weak after a week")
		}
	})
}

func TestPasskeyIsKept(t *testing.T) {
	db, _ := openLogins(t)
	ada, eve := lite(t, db, testEmail), lite(t, db, "eve@example.com")
	key := accountdb.Passkey{ID: []byte("id"), Account: ada, Name: "Phone", Credential: []byte("public")}
	update(t, db, func(tx *accountdb.Tx) error { return tx.AddPasskey(key) })
	foreign := key
	foreign.Account = eve
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.AddPasskey(foreign) })
	if !errors.Is(err, accountdb.ErrTaken) {
		t.Errorf("the same passkey for another account: %v, want ErrTaken", err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		p, err := tx.Passkey(key.ID)
		if err != nil || p.Account != ada || p.Name != "Phone" || !bytes.Equal(p.Credential, key.Credential) || !bytes.Equal(p.ID, key.ID) {
			t.Errorf("passkey = %+v, %v", p, err)
		}
		p.Credential, p.Cloned = []byte("counted on"), true
		return errors.Join(err, tx.UsePasskey(p))
	})
	update(t, db, func(tx *accountdb.Tx) error {
		all, err := tx.Passkeys(ada)
		if len(all) != 1 || string(all[0].Credential) != "counted on" || !all[0].Cloned {
			t.Errorf("passkeys = %+v", all)
		}
		return err
	})
	err = db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.RemovePasskey(eve, key.ID) })
	if !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("another removes it: %v", err)
	}
	update(t, db, func(tx *accountdb.Tx) error { return tx.Disable(ada, true) })
	err = db.View(t.Context(), func(tx *accountdb.Tx) error { _, err := tx.Passkey(key.ID); return err })
	if !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("of a disabled account: %v", err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		return errors.Join(tx.Disable(ada, false), tx.RemovePasskey(ada, key.ID))
	})
	err = db.View(t.Context(), func(tx *accountdb.Tx) error { _, err := tx.Passkey(key.ID); return err })
	if !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
}

func TestHandlesTellNothing(t *testing.T) {
	db, _ := openLogins(t)
	ada, eve := lite(t, db, testEmail), lite(t, db, "eve@example.com")
	update(t, db, func(tx *accountdb.Tx) error {
		a, err := tx.Handle(ada)
		b, err2 := tx.Handle(eve)
		again, err3 := tx.Handle(ada)
		if bytes.Equal(a, b) || !bytes.Equal(a, again) || len(a) != 32 || bytes.Contains(a, ada[:]) {
			t.Errorf("handles %x and %x", a, b)
		}
		return errors.Join(err, err2, err3)
	})
}

func TestForgetSignIns(t *testing.T) {
	db, _ := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.StartSession(t.Context(), hashOf("a"), account, time.Hour); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		return errors.Join(
			tx.AddPasskey(accountdb.Passkey{ID: []byte("id"), Account: account}),
			tx.Post(account, accountdb.Letter{To: testEmail}, time.Hour),
			tx.PutUndo(hashOf("undo"), accountdb.Undo{Account: account, Ref: []byte{1}}, time.Hour),
			tx.ForgetSignIns(account),
		)
	})
	wantNoSession(t, db, hashOf("a"), "a forgotten session")
	if _, err := db.LoginByEmail(t.Context(), testEmail); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("login: %v", err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		w, err := tx.WaysOf(account)
		b, _ := tx.Mailbag()
		if b.Waiting != 0 || w != (accountdb.Ways{}) {
			t.Errorf("%d letters, ways %+v", b.Waiting, w)
		}
		if _, err := tx.FindUndo(hashOf("undo")); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("undo: %v", err)
		}
		return err
	})
	if _, err := db.Register(t.Context(), testEmail, "$other"); err != nil {
		t.Errorf("the address is not free again: %v", err)
	}
}

func TestAssuranceIsRecorded(t *testing.T) {
	db, _ := openLogins(t)
	account := lite(t, db, testEmail)
	want := accountdb.Session{Proofs: accountdb.Proofs{Passkey: time.Now()}}.Assurance()
	update(t, db, func(tx *accountdb.Tx) error { return tx.Assure(account, 3, want) })
	update(t, db, func(tx *accountdb.Tx) error {
		got, err := tx.Assurance(account, 3)
		if got.Level != accountdb.Verified || len(got.Methods) != 3 || got.Methods[0] != "pop" {
			t.Errorf("assurance = %+v", got)
		}
		if _, err := tx.Assurance(account, 4); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("of another entry: %v", err)
		}
		return err
	})
}
