package accountdb_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

func hashOf(text string) cardea.Hash { return sha256.Sum256([]byte(text)) }

func session(t *testing.T, db *accountdb.DB, hash cardea.Hash) accountdb.Session {
	t.Helper()
	s, err := db.Session(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSessionSaysHowItsOwnerSignedIn(t *testing.T) {
	db, _ := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash")
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		return tx.StartSession(accountdb.SignIn{Hash: hashOf("a"), Account: account, By: accountdb.ByPassword, Browser: "Firefox, Linux", Life: time.Hour})
	})
	s := session(t, db, hashOf("a"))
	if s.Email != testEmail || s.Claimed || s.Browser != "Firefox, Linux" || s.Level() != accountdb.Shown || !slices.Equal(s.AMR(), []string{"pwd"}) {
		t.Errorf("session = %+v, level %d, amr %v", s, s.Level(), s.AMR())
	}
	if !s.Strong(s.Started, time.Minute) || s.Strong(s.Started.Add(2*time.Minute), time.Minute) {
		t.Error("a password counts as the strongest for a minute and no longer")
	}
	update(t, db, func(tx *accountdb.Tx) error { return tx.Prove(hashOf("a"), accountdb.ByCode) })
	if s = session(t, db, hashOf("a")); s.Level() != accountdb.Verified || !slices.Equal(s.AMR(), []string{"pwd", "otp", "mfa"}) {
		t.Errorf("with a code too: level %d, amr %v", s.Level(), s.AMR())
	}
	if err := db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Prove(hashOf("b"), accountdb.ByCode) }); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("prove in no session: %v", err)
	}
}

// A passkey makes every other method alone too weak, and a password that was
// just set by a code makes no second one.
func TestStrongestMethodAtHand(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name   string
		ways   accountdb.Ways
		shown  accountdb.Proofs
		level  accountdb.Level
		strong bool
	}{
		{"nothing at all", accountdb.Ways{}, accountdb.Proofs{}, accountdb.Claimed, true},
		{"an address, nothing shown", accountdb.Ways{Email: true}, accountdb.Proofs{}, accountdb.Claimed, false},
		{"an address, its code", accountdb.Ways{Email: true}, accountdb.Proofs{Code: now}, accountdb.Shown, true},
		{"a password, only a code", accountdb.Ways{Email: true, Password: true}, accountdb.Proofs{Code: now}, accountdb.Shown, false},
		{"a password, another's word", accountdb.Ways{Password: true, Elsewhere: 1}, accountdb.Proofs{Elsewhere: now}, accountdb.Shown, false},
		{"a password, shown", accountdb.Ways{Email: true, Password: true}, accountdb.Proofs{Password: now}, accountdb.Shown, true},
		{"a password, shown long ago", accountdb.Ways{Password: true}, accountdb.Proofs{Password: now.Add(-time.Hour)}, accountdb.Shown, false},
		{"another's word", accountdb.Ways{Elsewhere: 1}, accountdb.Proofs{Elsewhere: now}, accountdb.Shown, true},
		{"a passkey, only a password", accountdb.Ways{Passkeys: 1, Password: true}, accountdb.Proofs{Password: now}, accountdb.Shown, false},
		{"a passkey, shown", accountdb.Ways{Passkeys: 1}, accountdb.Proofs{Passkey: now}, accountdb.Verified, true},
		{"a passkey, two others", accountdb.Ways{Passkeys: 1, Password: true, Email: true}, accountdb.Proofs{Password: now, Code: now}, accountdb.Verified, true},
		{"a passkey, and the mailbox alone", accountdb.Ways{Passkeys: 1, Password: true, Email: true, Renewed: true}, accountdb.Proofs{Password: now, Code: now}, accountdb.Shown, false},
	} {
		s := accountdb.Session{Ways: c.ways, Proofs: c.shown}
		if s.Level() != c.level || s.Strong(now, 5*time.Minute) != c.strong {
			t.Errorf("%s: level %d, strong %v", c.name, s.Level(), s.Strong(now, 5*time.Minute))
		}
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	db, _ := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash")
	if err != nil {
		t.Fatal(err)
	}
	other, err := db.Register(t.Context(), "eve@example.com", "$hash")
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		for _, s := range []accountdb.SignIn{
			{Hash: hashOf("here"), Account: account, By: accountdb.ByPasskey, Browser: "Safari, iPhone", Life: time.Hour},
			{Hash: hashOf("there"), Account: account, By: accountdb.ByPassword, Life: time.Hour},
			{Hash: hashOf("eve"), Account: other, By: accountdb.ByPassword, Life: time.Hour},
		} {
			if err := tx.StartSession(s); err != nil {
				return err
			}
		}
		all, err := tx.Sessions(account)
		if len(all) != 2 {
			t.Errorf("%d sessions, want 2: %+v", len(all), all)
		}
		return errors.Join(err, tx.EndSessions(account, hashOf("here")))
	})
	session(t, db, hashOf("here"))
	session(t, db, hashOf("eve"))
	if _, err := db.Session(t.Context(), hashOf("there")); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("the other browser: %v", err)
	}
}

// What a browser is called is personal.
func TestBrowsersAreSealed(t *testing.T) {
	db, path := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash")
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		return errors.Join(
			tx.StartSession(accountdb.SignIn{Hash: hashOf("a"), Account: account, By: accountdb.ByPassword, Browser: "Netscape Navigator", Life: time.Hour}),
			tx.AddPasskey(accountdb.Passkey{ID: []byte("the-credential-id"), Account: account, Name: "Adas Phone", Credential: []byte("the-public-key")}),
			tx.Post(account, accountdb.Letter{To: testEmail, Subject: "A new browser", Text: "Somebody signed in"}, time.Hour),
			tx.PutCode(accountdb.CodeFor{Email: testEmail, For: accountdb.CodeSignIn}, "271828"),
		)
	})
	for _, secret := range []string{"Netscape", "the-credential-id", "Adas Phone", "the-public-key", testEmail, "A new browser", "271828"} {
		if accountdbtest.Holds(t, path, secret) {
			t.Errorf("%q stands in the database", secret)
		}
	}
}

func TestBrowserIsMetOnce(t *testing.T) {
	db, _ := openLogins(t)
	account, err := db.Register(t.Context(), testEmail, "$hash")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		secret     string
		met, known bool
	}{{"one", false, false}, {"one", true, true}, {"two", false, true}, {"two", true, true}} {
		update(t, db, func(tx *accountdb.Tx) error {
			met, known, err := tx.Meet(account, []byte(c.secret))
			if met != c.met || known != c.known {
				t.Errorf("%s: met %v, known %v", c.secret, met, known)
			}
			return err
		})
	}
}
