package accountdb_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A pair is two processes' views of one database on a server.
type pair struct {
	*testing.T
	dir, address string
	key          accountdb.Key
	a, b         *accountdb.DB
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{T: t, dir: t.TempDir(), key: accountdb.NewKey()}
	p.address = accountdbtest.Address(t, p.dir)
	var err error
	if p.a, err = p.open("a"); err != nil {
		t.Fatal(err)
	}
	if p.b, err = p.open("b"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		accountdbtest.Check(t, p.a)
		if err := errors.Join(p.a.Close(), p.b.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *pair) open(name string) (*accountdb.DB, error) {
	return accountdb.OpenServer(p.Context(), p.address, p.stops(name), p.key)
}

func (p *pair) stops(name string) string { return filepath.Join(p.dir, name+".stops") }

// side is one of the two, in turn.
func (p *pair) side(i int) *accountdb.DB { return []*accountdb.DB{p.a, p.b}[i%2] }

func TestServerRefuses(t *testing.T) {
	p := newPair(t)
	if _, err := p.a.Secrets().Secret(t.Context(), "one", func() []byte { return []byte("secret") }); err != nil {
		t.Fatal(err)
	}
	if _, err := p.open("a"); !errors.Is(err, accountdb.ErrLocked) {
		t.Errorf("with a journal that is in use: %v", err)
	}
	if _, err := accountdb.OpenServer(t.Context(), p.address, p.stops("c"), accountdb.NewKey()); !errors.Is(err, accountdb.ErrKey) {
		t.Errorf("with a master key of its own: %v", err)
	}
	for _, address := range []string{"postgres://u:secret@/x?host=" + t.TempDir(), "postgres://u:secret@[/x"} {
		_, err := accountdb.OpenServer(t.Context(), address, p.stops("d"), p.key)
		if !errors.Is(err, accountdb.ErrServer) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestUsed(t *testing.T) {
	p := newPair(t)
	for _, want := range []bool{false, true} {
		if used, err := accountdb.Used(t.Context(), p.address); err != nil || used != want {
			t.Errorf("used: %v, %v, want %v", used, err, want)
		}
		if _, err := p.a.Secrets().Secret(t.Context(), "one", func() []byte { return []byte("secret") }); err != nil {
			t.Fatal(err)
		}
	}
}

// Processes that start at once on an empty database bring it to its schema once,
// and make one secret.
func TestFirstStartOfMany(t *testing.T) {
	dir := t.TempDir()
	address, key := accountdbtest.Address(t, dir), accountdb.NewKey()
	secrets := make([]string, 4)
	var all sync.WaitGroup
	for i := range secrets {
		all.Go(func() {
			db, err := accountdb.OpenServer(t.Context(), address, filepath.Join(dir, string(rune('a'+i))), key)
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			secret, err := db.Secrets().Secret(t.Context(), "one", func() []byte { return []byte{byte(i)} })
			if err != nil {
				t.Error(err)
			}
			secrets[i] = string(secret)
		})
	}
	all.Wait()
	if slices.Sort(secrets); len(slices.Compact(secrets)) != 1 {
		t.Errorf("made %q", secrets)
	}
}

// Sixteen on two processes decide for one account: no decision is lost, the
// chain holds, and whoever came later has a time no earlier.
func TestOneAccountOnTwoProcesses(t *testing.T) {
	p := newPair(t)
	const writers, each = 16, 5
	account := accountdbtest.Account(t, p.a)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for range each {
				update(t, p.side(i), func(tx *accountdb.Tx) error {
					_, err := tx.Append(account.ID, denial("recommendations/use"))
					return err
				})
			}
		})
	}
	all.Wait()
	var entries []cardea.Entry
	err := p.b.View(t.Context(), func(tx *accountdb.Tx) (err error) {
		entries, err = tx.Entries(account.ID, 0)
		return err
	})
	if err != nil || len(entries) != writers*each {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	if !slices.IsSortedFunc(entries, func(a, b cardea.Entry) int { return int(a.Recorded - b.Recorded) }) {
		t.Error("an entry was recorded before the one it follows")
	}
}

// Sixteen redeem one code over two processes, again and again: one wins.
func TestRedemptionRaceOfTwoProcesses(t *testing.T) {
	p := newPair(t)
	account := accountdbtest.Account(t, p.a)
	const rounds, racers = 20, 16
	for round := range rounds {
		g := startGrant(t, p.side(round).Grants())
		change(t, p.side(round+1).Grants(), pairing.GrantKey{UserCode: g.UserCode}, account.ID, approve)
		won := make(chan bool, racers)
		var all sync.WaitGroup
		for i := range racers {
			all.Go(func() {
				var answer error
				f := redeem(pairing.NewSecret().Hash(), cardea.MillisOf(time.Now()))
				err := p.side(i).Grants().Change(t.Context(), pairing.GrantKey{Code: g.Code}, cardea.AccountID{}, nil,
					func(now cardea.Millis, g *pairing.Grant, o pairing.Owner) (note pairing.Note, err error) {
						note, answer = f(now, g, o)
						return note, nil
					})
				if err != nil {
					t.Error(err)
				}
				if answer == nil {
					won <- true
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Errorf("round %d: %d won", round, len(won))
		}
	}
}

// A writer that waited for an account goes by the time at which it got it.
func TestTimeIsThatOfTheHold(t *testing.T) {
	p := newPair(t)
	account := accountdbtest.Account(t, p.a)
	const stalled = 200 * time.Millisecond
	holds, began := make(chan struct{}), make(chan struct{})
	var first, second time.Time
	var all sync.WaitGroup
	all.Go(func() {
		update(t, p.a, func(tx *accountdb.Tx) error {
			if _, err := tx.Account(account.ID); err != nil {
				return err
			}
			first = tx.Now
			close(holds)
			<-began
			time.Sleep(stalled) // a disk that takes its time
			return tx.SetName(account.ID, "first")
		})
	})
	<-holds
	update(t, p.b, func(tx *accountdb.Tx) error {
		close(began)
		if _, err := tx.Account(account.ID); err != nil {
			return err
		}
		second = tx.Now
		name, err := tx.Name(account.ID)
		if name != "first" {
			t.Errorf("read %q: what was committed before it held the account is not seen", name)
		}
		return err
	})
	all.Wait()
	if d := second.Sub(first); d < stalled {
		t.Errorf("the second came %v after the first, which held the account for %v", d, stalled)
	}
}

// Two that want two accounts in opposite order block each other; one is run
// again and both get through.
func TestDeadlockIsRunAgain(t *testing.T) {
	p := newPair(t)
	accounts := []accountdb.Account{accountdbtest.Account(t, p.a), accountdbtest.Account(t, p.a)}
	var both, all sync.WaitGroup
	both.Add(2)
	for i := range accounts {
		all.Go(func() {
			met := false
			update(t, p.side(i), func(tx *accountdb.Tx) error {
				if _, err := tx.Append(accounts[i].ID, denial("presence/use")); err != nil {
					return err
				}
				if !met {
					met = true
					both.Done()
					both.Wait() // each holds one
				}
				_, err := tx.Append(accounts[1-i].ID, denial("presence/use"))
				return err
			})
		})
	}
	all.Wait()
	for _, a := range accounts {
		err := p.a.View(t.Context(), func(tx *accountdb.Tx) error {
			entries, err := tx.Entries(a.ID, 0)
			if len(entries) != 2 {
				t.Errorf("%d entries, want 2", len(entries))
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Whoever follows the feed while others write misses nothing, although commits
// overtake one another.
func TestFeedMissesNothing(t *testing.T) {
	p := newPair(t)
	const writers, each = 8, 25
	var all sync.WaitGroup
	for i := range writers {
		account := accountdbtest.Account(t, p.a)
		all.Go(func() {
			for range each {
				update(t, p.side(i), func(tx *accountdb.Tx) error {
					_, err := tx.Append(account.ID, denial("analytics/use"))
					return err
				})
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	var cursor uint64
	seen := map[uint64]bool{}
	for ended := false; ; {
		select {
		case <-done:
			ended = true
		default:
		}
		changes, err := p.b.Changes(t.Context(), cursor, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			cursor = c.Cursor
			seen[cursor] = true
		}
		if ended && len(changes) == 0 {
			break
		}
	}
	if len(seen) != writers*each {
		t.Errorf("saw %d of %d", len(seen), writers*each)
	}
}

// Each process keeps its own stops, and each knows its own journal.
func TestStopsOfTwoProcesses(t *testing.T) {
	p := newPair(t)
	account := accountdbtest.Account(t, p.a)
	dump := filepath.Join(p.dir, "dump")
	server, name := accountdbtest.Server(t), accountdbtest.Name(p.dir)
	if err := server.Dump(t.Context(), name, dump); err != nil {
		t.Fatal(err)
	}
	said := []cardea.Entry{denial("presence/use"), denial("recommendations/use")}
	for i, e := range said {
		update(t, p.side(i), func(tx *accountdb.Tx) error { _, err := tx.Append(account.ID, e); return err })
	}
	if err := errors.Join(p.a.Close(), p.b.Close(), server.Load(t.Context(), name, dump)); err != nil {
		t.Fatal(err)
	}
	found, err := accountdb.BeginEra(t.Context(), p.address, p.stops("a"), p.key)
	if err != nil || !found.Raised || found.Appended != 1 || found.Missing {
		t.Errorf("with the first's journal: %+v, %v", found, err)
	}
	if p.a, err = p.open("a"); err != nil {
		t.Fatal(err)
	}
	if p.b, err = p.open("b"); err != nil {
		t.Fatal(err)
	}
	if a, b := p.a.Replayed(), p.b.Replayed(); a.Raised || !b.Raised || b.Appended != 1 || b.Missing {
		t.Errorf("at the next start: %+v and %+v", a, b)
	}
	for _, e := range said {
		err := p.a.View(t.Context(), func(tx *accountdb.Tx) error { _, err := tx.Recorded(account.ID, e.Event); return err })
		if err != nil {
			t.Errorf("%s: %v", e.Key, err)
		}
	}
}

// The server's clock is the one that counts, and it is known how far this
// process's own is from it.
func TestSkew(t *testing.T) {
	p := newPair(t)
	accountdbtest.ExecOnServer(t, p.dir, `UPDATE clock_ahead SET ahead = interval '1 hour'`)
	var now time.Time
	update(t, p.a, func(tx *accountdb.Tx) error { now = tx.Now; return nil })
	if d := time.Until(now); (d-time.Hour).Abs() > time.Minute || (p.a.Skew()-time.Hour).Abs() > time.Minute {
		t.Errorf("ahead by %v, told %v", d, p.a.Skew())
	}
}
