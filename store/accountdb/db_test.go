package accountdb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

func update(t *testing.T, db *accountdb.DB, f func(*accountdb.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func denial(key cardea.Key) cardea.Entry {
	return cardea.Entry{
		Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key},
		By:       cardea.Owner, Channel: cardea.ChannelPortal,
	}
}

func TestLockedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	key := accountdb.NewKey()
	accountdbtest.OpenAt(t, path, key)
	_, err := accountdbtest.Connect(t, path, key)
	if !errors.Is(err, accountdb.ErrLocked) || !strings.Contains(err.Error(), "stop the other process") {
		t.Errorf("second open: %v, want ErrLocked with the remedy", err)
	}
}

func TestNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	key := accountdb.NewKey()
	db, err := accountdbtest.Connect(t, path, key)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	accountdbtest.Exec(t, path, `INSERT INTO schema_version (version) VALUES (999)`)
	if _, err := accountdbtest.Connect(t, path, key); !errors.Is(err, accountdb.ErrNewer) {
		t.Errorf("open: %v, want ErrNewer", err)
	}
}

func TestDurableSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	db := accountdbtest.OpenAt(t, path, accountdb.NewKey())
	settings := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"}
	if accountdbtest.Postgres() {
		settings = map[string]string{"synchronous_commit": "on", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "10s"}
	}
	for pragma, want := range settings {
		update(t, db, func(tx *accountdb.Tx) error {
			got, err := tx.EngineSetting(pragma)
			if got != want {
				t.Errorf("%s = %s, want %s", pragma, got, want)
			}
			return err
		})
	}
}

func TestAppendChains(t *testing.T) {
	db := accountdbtest.Open(t)
	a := accountdbtest.Account(t, db)
	for i := range 5 {
		update(t, db, func(tx *accountdb.Tx) error {
			e, err := tx.Append(a.ID, denial("recommendations/use"))
			if e.Position.Seq != uint64(i+1) {
				t.Errorf("seq = %d, want %d", e.Position.Seq, i+1)
			}
			return err
		})
	}
	update(t, db, func(tx *accountdb.Tx) error {
		entries, err := tx.Decisions(a.ID, 2)
		if len(entries) != 3 || entries[0].Position.Seq != 3 {
			t.Errorf("decisions after 2: %d", len(entries))
		}
		return err
	})
}

func TestSameEventTwiceIsRefused(t *testing.T) {
	db := accountdbtest.Open(t)
	a := accountdbtest.Account(t, db)
	e := denial("recommendations/use")
	update(t, db, func(tx *accountdb.Tx) error { _, err := tx.Append(a.ID, e); return err })
	if err := db.Update(t.Context(), func(tx *accountdb.Tx) error { _, err := tx.Append(a.ID, e); return err }); err == nil {
		t.Error("the same event was appended twice")
	}
}

// What fails within a transaction leaves no trace, and an attempt that fails
// takes only itself back.
func TestAttempt(t *testing.T) {
	db := accountdbtest.Open(t)
	a := accountdbtest.Account(t, db)
	broken := errors.New("broken")
	update(t, db, func(tx *accountdb.Tx) error {
		if _, err := tx.Append(a.ID, denial("analytics/use")); err != nil {
			return err
		}
		err := tx.Attempt(func() error {
			if _, err := tx.Append(a.ID, denial("marketing/marketing")); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("attempt: %v", err)
		}
		return nil
	})
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
		tx.Append(a.ID, denial("presence/use"))
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("update: %v", err)
	}
	update(t, db, func(tx *accountdb.Tx) error {
		entries, err := tx.Entries(a.ID, 0)
		if len(entries) != 1 || entries[0].Key != "analytics/use" {
			t.Errorf("ledger holds %d entries", len(entries))
		}
		return err
	})
}

// An attempt that can not be taken back is no attempt: its own error, which the
// caller may expect and go on after, must not be all that is heard.
func TestAttemptThatCannotBeTakenBack(t *testing.T) {
	db := accountdbtest.Open(t)
	a := accountdbtest.Account(t, db)
	expected := errors.New("expected")
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx *accountdb.Tx) error {
		err := tx.Attempt(func() error {
			if _, err := tx.Append(a.ID, denial("presence/use")); err != nil {
				return err
			}
			cancel()
			return expected
		})
		if err == nil || errors.Is(err, expected) {
			t.Errorf("attempt: %v, want only why it could not be taken back", err)
		}
		return err
	})
	if err == nil {
		t.Error("committed")
	}
}

func TestValuesAreSealedAndCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	key := accountdb.NewKey()
	db := accountdbtest.OpenAt(t, path, key)
	a := accountdbtest.Account(t, db)
	secret := cardea.Value(`"a very personal value"`)
	update(t, db, func(tx *accountdb.Tx) error {
		e, err := tx.Append(a.ID, cardea.Entry{Decision: cardea.Decision{
			Event: cardea.NewID[cardea.EventID](), Act: cardea.ActPrefer, Preference: "language", Value: secret,
		}})
		if err != nil {
			return err
		}
		if err := tx.SetName(a.ID, "Personal Name"); err != nil {
			return err
		}
		return tx.Settle(a.ID, e)
	})
	update(t, db, func(tx *accountdb.Tx) error {
		s, err := tx.Setting(a.ID, "language", cardea.Scope{})
		if err != nil {
			return err
		}
		name, err := tx.Name(a.ID)
		if s.Value != secret || name != "Personal Name" {
			t.Errorf("read back %q, %q", s.Value, name)
		}
		return err
	})
	for _, text := range []string{"very personal", "Personal Name"} {
		if accountdbtest.Holds(t, path, text) {
			t.Errorf("%q stands in clear in the database", text)
		}
	}
}

func TestWrongMasterKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.db")
	db, err := accountdbtest.Connect(t, path, accountdb.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	a := accountdbtest.Account(t, db)
	update(t, db, func(tx *accountdb.Tx) error { return tx.SetName(a.ID, "x") })
	db.Close()
	db = accountdbtest.OpenAt(t, path, accountdb.NewKey())
	err = db.View(t.Context(), func(tx *accountdb.Tx) error { _, err := tx.Name(a.ID); return err })
	if err == nil || !strings.Contains(err.Error(), "wrong key") {
		t.Errorf("name under another master key: %v", err)
	}
}

func TestChangesFeed(t *testing.T) {
	db := accountdbtest.Open(t)
	a, b := accountdbtest.Account(t, db), accountdbtest.Account(t, db)
	for i := range 6 {
		account := []cardea.AccountID{a.ID, b.ID}[i%2]
		update(t, db, func(tx *accountdb.Tx) error { _, err := tx.Append(account, denial("analytics/use")); return err })
	}
	var seen []string
	var cursor uint64
	for range 4 {
		changes, err := db.Changes(t.Context(), cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			cursor = c.Cursor
			seen = append(seen, fmt.Sprint(c.Subject == a.Subject, c.Entry.Position.Seq))
		}
	}
	if got, want := strings.Join(seen, " "), "true 1 false 1 true 2 false 2 true 3 false 3"; got != want {
		t.Errorf("feed = %s, want %s", got, want)
	}
}

func TestErrorsAreTold(t *testing.T) {
	db := accountdbtest.Open(t)
	err := db.View(context.Background(), func(tx *accountdb.Tx) error {
		if _, err := tx.Account(cardea.NewID[cardea.AccountID]()); !errors.Is(err, accountdb.ErrNotFound) {
			t.Errorf("unknown account: %v", err)
		}
		_, err := tx.Link(cardea.NewID[cardea.LinkID]())
		return err
	})
	if !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("unknown link: %v", err)
	}
}

// Links that have ended are not listed any more, however many there are. Whose
// they were is still known.
func TestEndedLinksAreNotListed(t *testing.T) {
	db := accountdbtest.Open(t)
	account, other := accountdbtest.Account(t, db), accountdbtest.Account(t, db)
	update(t, db, func(tx *accountdb.Tx) error {
		var open []cardea.LinkID
		for _, device := range []cardea.DeviceID{"kitchen", "car"} {
			if err := tx.PutDevice(accountdb.Device{ID: device, PublicKey: []byte("{}"), Kind: "speaker"}); err != nil {
				return err
			}
			for i, state := range []accountdb.LinkState{accountdb.LinkClosed, accountdb.LinkLive, accountdb.LinkClosing, accountdb.LinkClosed} {
				l := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: account.ID, Device: device, Grant: fmt.Sprint(device, i)}
				if device == "car" {
					state = accountdb.LinkClosed
				}
				if state != accountdb.LinkClosed {
					open = append(open, l.ID)
				}
				if err := errors.Join(tx.CreateLink(l, [32]byte{1}, "Name"), tx.SetState(l.ID, state, cardea.OrderID{})); err != nil {
					return err
				}
			}
		}
		listed := func(what string, links []accountdb.Link, err error, want int) {
			t.Helper()
			if err != nil || len(links) != want || slices.ContainsFunc(links, func(l accountdb.Link) bool { return !slices.Contains(open, l.ID) }) {
				t.Errorf("%s: %d links, want %d: %v", what, len(links), want, err)
			}
		}
		links, err := tx.Links(account.ID)
		listed("account", links, err, 2)
		links, err = tx.LinksOfDevice("kitchen")
		listed("kitchen", links, err, 2)
		links, err = tx.LinksOfDevice("car")
		listed("car", links, err, 0)
		if closed, err := tx.Closed(account.ID); err != nil || !slices.Equal(closed, []cardea.DeviceID{"car", "kitchen"}) {
			t.Errorf("closed %v, %v", closed, err)
		}
		for who, want := range map[cardea.AccountID]bool{account.ID: true, other.ID: false} {
			if had, err := tx.HadLink(who, "car"); err != nil || had != want {
				t.Errorf("had %v, %v", had, err)
			}
		}
		return nil
	})
}
