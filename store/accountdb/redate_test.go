package accountdb_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A future is what was done while the clock stood fifty years ahead of what it
// showed at first.
type future struct {
	account accountdb.Account
	links   []cardea.LinkID
	grant   pairing.GrantID
	session cardea.Hash
	entries []cardea.Entry
}

func newFuture(t *testing.T, p place) (f future) {
	accountdbtest.Timed(t, func(t *testing.T, pass func(string, time.Duration)) {
		pass(p.path, 50*365*24*time.Hour)
		db := accountdbtest.OpenAt(t, p.path, p.key)
		f.grant, f.session = pairing.NewGrantID(), cardea.Hash{7}
		update(t, db, func(tx *accountdb.Tx) (err error) {
			f.account, err = tx.CreateAccount()
			return errors.Join(err, tx.PutDevice(accountdb.Device{ID: "kitchen", PublicKey: []byte("{}"), Kind: "speaker"}))
		})
		for i := range 3 {
			pass(p.path, time.Hour)
			link := cardea.NewID[cardea.LinkID]()
			f.links = append(f.links, link)
			update(t, db, func(tx *accountdb.Tx) error {
				if err := tx.CreateLink(accountdb.Link{ID: link, Account: f.account.ID, Device: "kitchen", Grant: link.String()}, [32]byte{1}, "Kitchen"); err != nil {
					return err
				}
				if err := tx.PutStatement(link, accountdb.Statement{Revision: 1, Body: []byte{1}, BodyHash: cardea.Hash{1}}); err != nil {
					return err
				}
				_, err := tx.Append(f.account.ID, grantOf("recommendations/use", uint32(i+1)))
				return err
			})
		}
		now := cardea.MillisOf(time.Now().Add(db.Skew()))
		g := pairing.Grant{ID: f.grant, State: pairing.GrantActive, Account: f.account.ID, Code: cardea.Hash{1}, UserCode: cardea.Hash{2},
			Requested: now, Expires: now.Add(10 * time.Minute)}
		refresh := func(now cardea.Millis, g *pairing.Grant, _ pairing.Owner) (pairing.Note, error) {
			g.Asked, g.Issued = now, now
			return "", nil
		}
		err := errors.Join(db.Grants().Start(t.Context(), g),
			db.Grants().Change(t.Context(), pairing.GrantKey{ID: g.ID}, f.account.ID, nil, refresh),
			db.StartSession(t.Context(), f.session, f.account.ID, time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		view(t, db, func(tx *accountdb.Tx) error {
			f.entries, err = tx.Entries(f.account.ID, 0)
			return err
		})
	})
	return f
}

func view(t *testing.T, db *accountdb.DB, f func(*accountdb.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func grantOf(key cardea.Key, version uint32) cardea.Entry {
	return cardea.Entry{
		Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActGrant, Key: key, Version: version},
		By:       cardea.Owner, Channel: cardea.ChannelPortal,
	}
}

func TestRedate(t *testing.T) {
	p := newPlace(t)
	f := newFuture(t, p)
	db := accountdbtest.OpenAt(t, p.path, p.key)
	start := cardea.MillisOf(time.Now())
	view(t, db, func(tx *accountdb.Tx) error {
		found, err := tx.Future()
		latest := f.entries[2].Recorded
		if want := (accountdb.Future{Latest: latest, Decisions: 3, Accounts: 1, Statements: 3, Links: 3, Grants: 1, Sessions: 1}); found != want {
			t.Errorf("found %+v, want %+v", found, want)
		}
		if at, err := tx.LatestRecorded(); err != nil || at != latest {
			t.Errorf("latest %v, %v", at, err)
		}
		return err
	})
	update(t, db, func(tx *accountdb.Tx) error { return tx.Redate() })

	past := func(what string, at cardea.Millis) {
		t.Helper()
		if at < start-1000 || at > cardea.MillisOf(time.Now()) {
			t.Errorf("%s: %v", what, at.Time())
		}
	}
	view(t, db, func(tx *accountdb.Tx) error {
		if found, err := tx.Future(); err != nil || found.Any() {
			t.Errorf("still %+v, %v", found, err)
		}
		links, err := tx.LinksOfDevice("kitchen")
		if err != nil || !slices.EqualFunc(links, f.links, func(l accountdb.Link, id cardea.LinkID) bool { return l.ID == id }) {
			t.Errorf("the links are in another order, %v", err)
		}
		for _, l := range links {
			past("link", l.Created)
			s, err := tx.Statement(l.ID, 1)
			if err != nil {
				return err
			}
			past("statement", cardea.MillisOf(s.Created))
		}
		g, err := tx.FindGrant(pairing.GrantKey{ID: f.grant})
		if err != nil {
			return err
		}
		past("asked", g.Asked)
		past("issued", g.Issued)
		past("the code's end", g.Expires)
		decisions, err := tx.Decisions(f.account.ID, 0)
		for _, e := range decisions {
			past("decision", e.Recorded)
		}
		if err != nil || len(decisions) != 3 {
			t.Errorf("%d decisions, %v", len(decisions), err)
		}
		entries, err := tx.Entries(f.account.ID, 0)
		if err != nil || !slices.Equal(entries, f.entries) {
			t.Errorf("the ledger was changed, %v", err)
		}
		at, err := tx.LatestRecorded()
		past("latest", at)
		return err
	})
	if _, err := db.Session(t.Context(), f.session); !errors.Is(err, accountdb.ErrNotFound) {
		t.Errorf("the session goes on: %v", err)
	}
	// What is recorded from now on counts as it is.
	var e cardea.Entry
	update(t, db, func(tx *accountdb.Tx) (err error) {
		e, err = tx.Append(f.account.ID, grantOf("presence/use", 1))
		return err
	})
	view(t, db, func(tx *accountdb.Tx) error {
		decisions, err := tx.Decisions(f.account.ID, e.Position.Seq-1)
		if len(decisions) != 1 || decisions[0] != e {
			t.Errorf("%+v, want %+v", decisions, e)
		}
		return err
	})
}

// A clock that is wrong twice is repaired twice, and what was redated first does
// not get later by the second time.
func TestRedateTwice(t *testing.T) {
	p := newPlace(t)
	f := newFuture(t, p)
	db := accountdbtest.OpenAt(t, p.path, p.key)
	update(t, db, func(tx *accountdb.Tx) error { return tx.Redate() })
	first := func() (at cardea.Millis) {
		view(t, db, func(tx *accountdb.Tx) error {
			decisions, err := tx.Decisions(f.account.ID, 0)
			at = decisions[0].Recorded
			return err
		})
		return at
	}
	before := first()
	time.Sleep(2 * time.Millisecond)
	update(t, db, func(tx *accountdb.Tx) error { return tx.Redate() })
	if after := first(); after != before {
		t.Errorf("%v after %v", after, before)
	}
}
