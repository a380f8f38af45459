package accountdb_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

func spend(t *testing.T, db *accountdb.DB, where accountdb.CodeFor, code string) error {
	t.Helper()
	var verdict error
	update(t, db, func(tx *accountdb.Tx) (err error) {
		verdict, err = tx.SpendCode(where, code)
		return err
	})
	return verdict
}

func TestCodeCountsOnceWhereItWasAskedFor(t *testing.T) {
	db, _ := openLogins(t)
	here := accountdb.CodeFor{Email: testEmail, Browser: hashOf("here"), For: accountdb.CodeSignIn}
	update(t, db, func(tx *accountdb.Tx) error { return tx.PutCode(here, "123456") })
	for name, change := range map[string]func(*accountdb.CodeFor){
		"another address": func(c *accountdb.CodeFor) { c.Email = "eve@example.com" },
		"another browser": func(c *accountdb.CodeFor) { c.Browser = hashOf("there") },
		"another purpose": func(c *accountdb.CodeFor) { c.For = accountdb.CodeReset },
	} {
		there := here
		change(&there)
		if err := spend(t, db, there, "123456"); !errors.Is(err, accountdb.ErrWrongCode) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := spend(t, db, here, "123456"); err != nil {
		t.Errorf("where it was asked for: %v", err)
	}
	if err := spend(t, db, here, "123456"); !errors.Is(err, accountdb.ErrWrongCode) {
		t.Errorf("a second time: %v", err)
	}
}

func TestCodeHasFiveTries(t *testing.T) {
	db, _ := openLogins(t)
	here := accountdb.CodeFor{Email: testEmail, Browser: hashOf("here"), For: accountdb.CodeSignIn}
	update(t, db, func(tx *accountdb.Tx) error { return tx.PutCode(here, "123456") })
	for range 5 {
		if err := spend(t, db, here, "654321"); !errors.Is(err, accountdb.ErrWrongCode) {
			t.Errorf("guessed: %v", err)
		}
	}
	if err := spend(t, db, here, "123456"); !errors.Is(err, accountdb.ErrWrongCode) {
		t.Errorf("after five wrong ones: %v", err)
	}
}

func TestCodesAreLimitedAndEnd(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		db, path := openLogins(t)
		here := accountdb.CodeFor{Email: testEmail, Browser: hashOf("here"), For: accountdb.CodeSignIn}
		put := func(code string) error {
			return db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.PutCode(here, code) })
		}
		for _, code := range []string{"000001", "000002", "000003", "000004", "000005", "000006"} {
			if err := put(code); err != nil {
				t.Fatal(err)
			}
		}
		if err := put("000007"); !errors.Is(err, accountdb.ErrTooMany) {
			t.Errorf("the seventh within an hour: %v, want ErrTooMany", err)
		}
		if err := spend(t, db, here, "000005"); !errors.Is(err, accountdb.ErrWrongCode) {
			t.Errorf("one before the last: %v", err)
		}
		pass(path, 10*time.Minute)
		if err := spend(t, db, here, "000006"); !errors.Is(err, accountdb.ErrWrongCode) {
			t.Errorf("after ten minutes: %v", err)
		}
		pass(path, time.Hour)
		if err := put("000008"); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// However many take letters at once, each is taken by one.
func TestLetterIsClaimedByOne(t *testing.T) {
	db, _ := openLogins(t)
	account := lite(t, db, testEmail)
	const letters = 6
	update(t, db, func(tx *accountdb.Tx) error {
		for range letters {
			if err := tx.Post(account, accountdb.Letter{To: testEmail, Subject: "s", Text: "t"}, time.Hour); err != nil {
				return err
			}
		}
		return nil
	})
	var mu sync.Mutex
	taken := map[cardea.ID[accountdb.Letter]]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				var q accountdb.Queued
				err := db.Update(context.Background(), func(tx *accountdb.Tx) (err error) {
					q, err = tx.ClaimMail(time.Minute)
					return err
				})
				if errors.Is(err, accountdb.ErrNotFound) {
					return
				}
				if errors.Is(err, accountdb.ErrClaimed) {
					continue
				}
				if err != nil || q.To != testEmail {
					t.Errorf("claimed %+v, %v", q, err)
					return
				}
				mu.Lock()
				taken[q.ID]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(taken) != letters {
		t.Errorf("%d letters were taken, want %d", len(taken), letters)
	}
	for id, n := range taken {
		if n != 1 {
			t.Errorf("letter %s was taken %d times", id, n)
		}
	}
}

// A letter whose taker died is due again; one that is past its time is gone.
func TestLetterIsTriedAgainAndGivenUp(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		db, path := openLogins(t)
		account := lite(t, db, testEmail)
		update(t, db, func(tx *accountdb.Tx) error {
			return tx.Post(account, accountdb.Letter{To: testEmail}, time.Hour)
		})
		claim := func() (q accountdb.Queued, err error) {
			err = db.Update(t.Context(), func(tx *accountdb.Tx) (err error) {
				q, err = tx.ClaimMail(time.Minute)
				return err
			})
			return q, err
		}
		if q, err := claim(); err != nil || q.Tries != 0 {
			t.Fatalf("claimed %+v, %v", q, err)
		}
		if _, err := claim(); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("while another has it: %v", err)
		}
		pass(path, time.Minute)
		q, err := claim()
		if err != nil || q.Tries != 1 {
			t.Fatalf("when its taker died: %+v, %v", q, err)
		}
		update(t, db, func(tx *accountdb.Tx) error { return tx.MailFailed(q.ID, 10*time.Minute) })
		pass(path, 9*time.Minute)
		if _, err := claim(); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("during the pause: %v", err)
		}
		pass(path, time.Hour)
		if _, err := claim(); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("past its time: %v", err)
		}
	})
}

// A letter about a yes goes with the yes, of that account to that grant, whenever
// the database is opened again; one without a yes never goes, and does not count
// as given up.
func TestLetterWaitsForTheYes(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		db, path := openLogins(t)
		account, other := lite(t, db, testEmail), lite(t, db, "bob@example.com")
		letter := func(to, text string) accountdb.Letter { return accountdb.Letter{To: to, Text: text} }
		update(t, db, func(tx *accountdb.Tx) error {
			return errors.Join(
				tx.PostOnceApproved(account, "g", letter(testEmail, "older"), time.Hour),
				tx.PostOnceApproved(account, "g", letter(testEmail, "newer"), time.Hour),
				tx.PostOnceApproved(account, "h", letter(testEmail, "never"), time.Hour),
				tx.PostOnceApproved(other, "g", letter("bob@example.com", "not his"), time.Hour),
			)
		})
		if err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
			return tx.PostOnceApproved(account, "", letter(testEmail, ""), time.Hour)
		}); err == nil {
			t.Error("about no grant")
		}
		waiting := func(want int) {
			t.Helper()
			update(t, db, func(tx *accountdb.Tx) error {
				bag, err := tx.Mailbag()
				if bag.Waiting != want || (bag.Oldest != 0) != (want > 0) {
					t.Errorf("%+v wait, want %d", bag, want)
				}
				return err
			})
		}
		waiting(0)
		update(t, db, func(tx *accountdb.Tx) error { return tx.Approved(account, "g") })
		waiting(1)
		update(t, db, func(tx *accountdb.Tx) error {
			q, err := tx.ClaimMail(time.Minute)
			if err != nil || q.Text != "newer" {
				t.Errorf("claimed %+v, %v", q.Letter, err)
			}
			return tx.MailSent(q.ID)
		})
		update(t, db, func(tx *accountdb.Tx) error { return tx.Post(account, letter(testEmail, "late"), time.Hour) })
		pass(path, time.Hour)
		update(t, db, func(tx *accountdb.Tx) error {
			if n, err := tx.GiveUpMail(); err != nil || n != 1 {
				t.Errorf("%d given up, %v", n, err)
			}
			return nil
		})
		update(t, db, func(tx *accountdb.Tx) error { return tx.Approved(account, "h") })
		waiting(0)
	})
}

func TestUndoIsSpentOnce(t *testing.T) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		db, path := openLogins(t)
		account := lite(t, db, testEmail)
		update(t, db, func(tx *accountdb.Tx) error {
			return errors.Join(
				tx.PutUndo(hashOf("a"), accountdb.Undo{Account: account, What: "grant", Ref: []byte("g")}, time.Hour),
				tx.PutUndo(hashOf("b"), accountdb.Undo{Account: account, What: "grant", Ref: []byte("g")}, time.Hour),
			)
		})
		find := func(tx *accountdb.Tx) error { _, err := tx.FindUndo(hashOf("a")); return err }
		spend := func(name string) error {
			return db.Update(t.Context(), func(tx *accountdb.Tx) error {
				u, err := tx.SpendUndo(hashOf(name))
				if err == nil && (u.Account != account || u.What != "grant" || string(u.Ref) != "g") {
					t.Errorf("undo = %+v", u)
				}
				return err
			})
		}
		if err := db.View(t.Context(), find); err != nil {
			t.Errorf("looked at: %v", err)
		}
		if err := spend("a"); err != nil {
			t.Errorf("spent: %v", err)
		}
		if err := spend("a"); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("spent twice: %v", err)
		}
		pass(path, time.Hour)
		if err := spend("b"); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("too old: %v", err)
		}
	})
}

// The transaction that takes a yes lets its letter go; a no does not.
func TestGrantLetsItsLetterGo(t *testing.T) {
	db, _ := openLogins(t)
	account := lite(t, db, testEmail)
	yes, no := startGrant(t, db.Grants()), startGrant(t, db.Grants())
	update(t, db, func(tx *accountdb.Tx) error {
		return errors.Join(
			tx.PostOnceApproved(account, yes.ID, accountdb.Letter{To: testEmail, Text: "yes"}, time.Hour),
			tx.PostOnceApproved(account, no.ID, accountdb.Letter{To: testEmail, Text: "no"}, time.Hour),
		)
	})
	change(t, db.Grants(), pairing.GrantKey{ID: yes.ID}, account, approve)
	change(t, db.Grants(), pairing.GrantKey{ID: no.ID}, account, func(now cardea.Millis, g *pairing.Grant, _ pairing.Owner) (pairing.Note, error) {
		return g.Deny(now)
	})
	update(t, db, func(tx *accountdb.Tx) error {
		q, err := tx.ClaimMail(time.Minute)
		if err != nil || q.Text != "yes" {
			t.Errorf("claimed %+v, %v", q.Letter, err)
		}
		if _, err := tx.ClaimMail(time.Minute); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("another: %v", err)
		}
		return nil
	})
}
