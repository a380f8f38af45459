package accountdb_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
	"github.com/cardea-id/cardea/store/stopjournal"
)

// A place is a folder with a database that can be put back by hand.
type place struct {
	*testing.T
	path string
	key  accountdb.Key
	file bool // it is a file on every engine
}

func newPlace(t *testing.T) place {
	p := place{T: t, path: filepath.Join(t.TempDir(), "cloud.db"), key: accountdb.NewKey()}
	accountdbtest.Keep(t, p.path)
	return p
}

// newFile is a place whose database is a file, for what only those have.
func newFile(t *testing.T) place {
	return place{T: t, path: filepath.Join(t.TempDir(), "cloud.db"), key: accountdb.NewKey(), file: true}
}

func (p place) server() bool { return accountdbtest.Postgres() && !p.file }

func (p place) open() *accountdb.DB {
	p.Helper()
	var db *accountdb.DB
	var err error
	if p.file {
		db, err = accountdb.Open(p.Context(), p.path, p.key)
	} else {
		db, err = accountdbtest.Connect(p, p.path, p.key)
	}
	if err != nil {
		p.Fatal(err)
	}
	return db
}

// with has the database open for f and checks it.
func (p place) with(f func(tx *accountdb.Tx) error) accountdb.Replay {
	p.Helper()
	db := p.open()
	update(p.T, db, f)
	accountdbtest.Check(p, db)
	if err := db.Close(); err != nil {
		p.Fatal(err)
	}
	return db.Replayed()
}

func (p place) backup(name string) string {
	p.Helper()
	to := filepath.Join(filepath.Dir(p.path), name)
	if p.server() {
		if err := accountdbtest.Server(p).Dump(p.Context(), accountdbtest.Name(p.path), to); err != nil {
			p.Fatal(err)
		}
		return to
	}
	if err := accountdb.Backup(p.Context(), p.path, to); err != nil {
		p.Fatal(err)
	}
	return to
}

func (p place) restore(from string) accountdb.Replay {
	p.Helper()
	if p.server() {
		p.putBack(from)
		found, err := accountdb.BeginEra(p.Context(), accountdbtest.Address(p, p.path), p.path+".stops", p.key)
		if err != nil {
			p.Fatal(err)
		}
		return found
	}
	found, err := accountdb.Restore(p.Context(), p.path, from, p.key)
	if err != nil {
		p.Fatal(err)
	}
	return found
}

// putBack copies a file over the database, as an operator may who does not know
// better.
func (p place) putBack(from string) {
	p.Helper()
	if p.server() {
		if err := accountdbtest.Server(p).Load(p.Context(), accountdbtest.Name(p.path), from); err != nil {
			p.Fatal(err)
		}
		return
	}
	in, err := os.Open(from)
	if err != nil {
		p.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(p.path)
	if err != nil {
		p.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		p.Fatal(err)
	}
	if err := out.Close(); err != nil {
		p.Fatal(err)
	}
}

func TestForgottenStopsAreTakenUpAgain(t *testing.T) {
	for name, back := range map[string]func(p place, from string) accountdb.Replay{
		"restored": place.restore,
		"put back by hand": func(p place, from string) accountdb.Replay {
			p.putBack(from)
			return p.with(func(*accountdb.Tx) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.T = t
			var account accountdb.Account
			var late cardea.AccountID
			said, kept := denial("recommendations/use"), denial("presence/use")
			link, grant := cardea.NewID[cardea.LinkID](), pairing.NewGrantID()
			p.with(func(tx *accountdb.Tx) (err error) {
				if account, err = tx.CreateAccount(); err != nil {
					return err
				}
				if _, err = tx.Append(account.ID, kept); err != nil {
					return err
				}
				device := accountdb.Device{ID: "kitchen", PublicKey: []byte("{}"), Kind: "speaker"}
				if err := tx.PutDevice(device); err != nil {
					return err
				}
				return tx.CreateLink(accountdb.Link{ID: link, Account: account.ID, Device: device.ID, Grant: string(grant)}, [32]byte{1}, "Kitchen")
			})
			db := p.open()
			g := pairing.Grant{ID: grant, State: pairing.GrantActive, Account: account.ID, JKT: "kitchen", Code: cardea.Hash{1}, UserCode: cardea.Hash{2}}
			if err := errors.Join(db.Grants().Start(t.Context(), g), db.Close()); err != nil {
				t.Fatal(err)
			}
			from := p.backup("monday")
			unlink := cardea.Entry{
				Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActUnlink},
				Scope:    cardea.Scope{Device: "kitchen"}, By: cardea.Owner, Channel: cardea.ChannelPortal, Link: link,
			}
			p.with(func(tx *accountdb.Tx) error {
				if _, err := tx.Append(account.ID, said); err != nil {
					return err
				}
				if _, err := tx.Append(account.ID, unlink); err != nil {
					return err
				}
				if err := tx.RevokeGrant(grant); err != nil {
					return err
				}
				a, err := tx.CreateAccount()
				if err != nil {
					return err
				}
				late = a.ID
				_, err = tx.Append(late, denial("recommendations/use"))
				return err
			})
			found := back(p, from)
			if found.Era != 2 || !found.Raised || found.Appended != 3 || found.Lost != 1 || found.Missing || found.Damaged != 0 {
				t.Errorf("found %+v", found)
			}
			again := p.with(func(tx *accountdb.Tx) error {
				e, err := tx.Recorded(account.ID, said.Event)
				if err != nil || e.Position.Era != 2 || e.Base.Seq != 0 || e.Act != cardea.ActDeny {
					t.Errorf("the denial stands as %+v, %v", e, err)
				}
				l, err := tx.Link(link)
				if err != nil || l.State != accountdb.LinkClosing || l.CloseOrder.IsZero() {
					t.Errorf("the link is %s, %v", l.State, err)
				}
				g, err := tx.FindGrant(pairing.GrantKey{ID: grant})
				if err != nil || g.State != pairing.GrantRevoked {
					t.Errorf("the grant is %s, %v", g.State, err)
				}
				all, err := tx.Entries(account.ID, 0)
				if len(all) != 3 {
					t.Errorf("%d entries", len(all))
				}
				return err
			})
			if again.Raised || again.Appended != 0 || again.Era != 2 {
				t.Errorf("the next start found %+v", again)
			}
		})
	}
}

// However often and to whatever a database is put back, no era comes twice.
func TestErasOnlyRise(t *testing.T) {
	p := newPlace(t)
	p.with(func(*accountdb.Tx) error { return nil })
	first := p.backup("first")
	for want := uint32(2); want < 6; want++ {
		if found := p.restore(first); found.Era != want || !found.Raised {
			t.Errorf("restored into %+v, want era %d", found, want)
		}
	}
	p.putBack(first) // without a word
	if found := p.with(func(*accountdb.Tx) error { return nil }); found.Era != 6 || !found.Raised {
		t.Errorf("put back into %+v, want era 6", found)
	}
}

// A transaction that fails leaves nothing in the journal, nor does the part of
// one that was taken back.
func TestOnlyWhatIsCommittedIsInTheJournal(t *testing.T) {
	p := newPlace(t)
	undo := errors.New("undo")
	stands, undone := denial("presence/use"), denial("recommendations/use")
	p.with(func(tx *accountdb.Tx) error {
		a, err := tx.CreateAccount()
		if err != nil {
			return err
		}
		if _, err := tx.Append(a.ID, stands); err != nil {
			return err
		}
		err = tx.Attempt(func() error {
			_, err := tx.Append(a.ID, undone)
			return errors.Join(undo, err)
		})
		if !errors.Is(err, undo) {
			t.Error(err)
		}
		return nil
	})
	db := p.open()
	err := db.Update(t.Context(), func(tx *accountdb.Tx) error {
		accounts, err := tx.Accounts()
		if err != nil {
			return err
		}
		_, err = tx.Append(accounts[0], denial("recommendations/use"))
		return errors.Join(undo, err)
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	db.Close()
	j, err := stopjournal.Open(p.path + ".stops")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var events []cardea.EventID
	err = j.Since(stopjournal.Mark{}, func(r stopjournal.Record) error {
		if r.Entry != nil {
			events = append(events, r.Entry.Event)
		}
		return nil
	})
	if err != nil || len(events) != 1 || events[0] != stands.Event {
		t.Errorf("the journal has %v, want %v: %v", events, stands.Event, err)
	}
}

// The process dies between journal and commit: the stop is taken up at the next
// start. Its database is that of before the commit.
func TestDiedBeforeTheCommit(t *testing.T) {
	p := newPlace(t)
	var account accountdb.Account
	p.with(func(tx *accountdb.Tx) (err error) {
		account, err = tx.CreateAccount()
		return err
	})
	before := p.backup("before")
	said := denial("recommendations/use")
	p.with(func(tx *accountdb.Tx) error {
		_, err := tx.Append(account.ID, said)
		return err
	})
	p.putBack(before)
	p.with(func(tx *accountdb.Tx) error {
		_, err := tx.Recorded(account.ID, said.Event)
		return err
	})
}

// A journal that was lost is told of, and one that is damaged.
func TestLostJournal(t *testing.T) {
	p := newPlace(t)
	p.with(func(*accountdb.Tx) error { return nil })
	if err := os.Remove(p.path + ".stops"); err != nil {
		t.Fatal(err)
	}
	if found := p.with(func(*accountdb.Tx) error { return nil }); !found.Missing || found.Raised {
		t.Errorf("found %+v", found)
	}
	if err := os.WriteFile(p.path+".stops", []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := p.with(func(*accountdb.Tx) error { return nil }); !found.Missing || found.Damaged != 1 {
		t.Errorf("found %+v", found)
	}
	if found := p.with(func(*accountdb.Tx) error { return nil }); found.Missing {
		t.Errorf("found %+v", found)
	}
}
