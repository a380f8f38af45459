package devicedb_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
	"github.com/cardea-id/cardea/store/devicedb/devicedbtest"
	"github.com/cardea-id/cardea/store/slots"
)

// A disk is the files of one device database.
type disk struct {
	t    *testing.T
	path string
	db   *devicedb.DB
	id   cardea.LinkID

	linked []byte // the journal, when there was nothing but the link
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, path: filepath.Join(t.TempDir(), "device.db")}
	d.db = devicedbtest.OpenAt(t, d.path)
	l := full()
	l.Log, l.Bar = cardea.NewLog(), ""
	d.id = l.ID
	if err := d.db.Join(l, tokens()); err != nil {
		t.Fatal(err)
	}
	var err error
	if d.linked, err = os.ReadFile(d.journal()); err != nil {
		t.Fatal(err)
	}
	return d
}

// restart closes the database, lets f change its files, and opens it again.
func (d *disk) restart(f func()) {
	d.t.Helper()
	if err := d.db.Close(); err != nil {
		d.t.Fatal(err)
	}
	f()
	d.db = devicedbtest.OpenAt(d.t, d.path)
}

func (d *disk) link() devicedb.Link {
	d.t.Helper()
	l, err := d.db.Link(d.id)
	if err != nil {
		d.t.Fatal(err)
	}
	return l
}

func (d *disk) journal() string { return strings.TrimSuffix(d.path, ".db") + ".journal" }

func no(key cardea.Key) cardea.LogEntry {
	return cardea.LogEntry{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key, Reach: cardea.ReachDevice}
}

func (d *disk) deny(entries ...cardea.LogEntry) {
	d.t.Helper()
	if err := d.db.Deny(d.id, entries...); err != nil {
		d.t.Fatal(err)
	}
}

// copyOf keeps a file's content, to be put back.
func copyOf(t *testing.T, path string) (restore func()) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A denial leaves the database's file as it is, is read at once and after a
// restart, and the file follows.
func TestDenyGoesToTheJournal(t *testing.T) {
	d := newDisk(t)
	before, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	d.deny(no("voice/use"), no("a/use"))
	log := d.link().Log
	if after, err := os.ReadFile(d.path); err != nil || string(after) != string(before) {
		t.Errorf("the database was written, %v", err)
	}
	if len(log.Entries) != 2 || log.Entries[0].N != 1 || log.Entries[1].N != 2 || log.Entries[1].Previous != log.Entries[0].Hash() {
		t.Fatalf("the log is %+v", log)
	}
	d.restart(func() {})
	if l := d.link(); !reflect.DeepEqual(l.Log, log) || l.Bar != "" || len(d.db.Found()) != 0 {
		t.Errorf("after a restart %+v, %v", l.Log, d.db.Found())
	}
	if links, err := d.db.Links(); err != nil || !reflect.DeepEqual(links[0].Log, log) {
		t.Errorf("Links reads something else: %v", err)
	}
	if err := d.db.Follow(d.id); err != nil {
		t.Error(err)
	}
	// Acknowledged, it is gone for good.
	err = d.db.Change(d.id, func(l *devicedb.Link) (err error) {
		l.Log, err = l.Log.Acknowledge(cardea.Seen{Log: log.ID, N: 2, Hash: log.Entries[1].Hash()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.restart(func() {})
	if l := d.link(); len(l.Log.Entries) != 0 || l.Log.N != 2 || l.Bar != "" {
		t.Errorf("after the acknowledgement %+v", l.Log)
	}
}

// Stopped before the file followed: the journal is replayed over it.
func TestJournalIsReplayed(t *testing.T) {
	d := newDisk(t)
	file := copyOf(t, d.path)
	d.deny(no("voice/use"))
	if err := d.db.Follow(d.id); err != nil {
		t.Fatal(err)
	}
	d.deny(no("a/use"))
	want := d.link().Log
	d.restart(file)
	if l := d.link(); !reflect.DeepEqual(l.Log, want) || l.Bar != "" {
		t.Errorf("replayed %+v, %s", l.Log, l.Bar)
	}
	d.restart(func() {})
	if l := d.link(); !reflect.DeepEqual(l.Log, want) || l.Bar != "" {
		t.Errorf("replayed twice %+v, %s", l.Log, l.Bar)
	}
}

// A file put back behind what was stated, or was acknowledged, denies with a new
// log, also over restarts, and holds every denial.
func TestRolledBackFile(t *testing.T) {
	d := newDisk(t)
	file := copyOf(t, d.path)
	if err := d.db.Change(d.id, func(l *devicedb.Link) error { l.Revision++; return nil }); err != nil {
		t.Fatal(err)
	}
	e := no("voice/use")
	d.deny(e)
	old := d.link().Log.ID
	d.restart(file)
	if f := d.db.Found(); len(f) != 1 || !errors.Is(f[0].Err, devicedb.ErrRolledBack) {
		t.Errorf("found %v", f)
	}
	for range 2 {
		l := d.link()
		if l.Bar != cardea.ReasonStore || l.Log.ID == old || len(l.Log.Entries) != 1 || l.Log.Entries[0].Event != e.Event {
			t.Errorf("bar %q, new log %t, %d entries", l.Bar, l.Log.ID != old, len(l.Log.Entries))
		}
		if !l.Loss.IsZero() {
			t.Error("the owner is asked, although every denial is there")
		}
		d.restart(func() {})
	}
	if len(d.db.Found()) != 0 {
		t.Error("found again, although it was settled")
	}
	// An answer lifts the bar, and it stays lifted.
	if err := d.db.Change(d.id, func(l *devicedb.Link) error { l.Bar = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	d.restart(func() {})
	if l := d.link(); l.Bar != "" {
		t.Errorf("barred again: %s", l.Bar)
	}
}

// A journal that is damaged, gone, or put back bars every link until the cloud
// has answered.
func TestDamagedJournal(t *testing.T) {
	for name, hurt := range map[string]func(d *disk){
		"emptied": func(d *disk) { os.Truncate(d.journal(), 0) },
		"gone":    func(d *disk) { os.Remove(d.journal()) },
		"nonsense": func(d *disk) {
			os.WriteFile(d.journal(), make([]byte, 32*4096), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			d.deny(no("voice/use"))
			old := d.link().Log.ID
			d.restart(func() { hurt(d) })
			if f := d.db.Found(); len(f) != 1 || !errors.Is(f[0].Err, slots.ErrDoubt) {
				t.Errorf("found %v", f)
			}
			for range 2 {
				if l := d.link(); l.Bar != cardea.ReasonStore || l.Log.ID == old {
					t.Errorf("bar %q, new log %t", l.Bar, l.Log.ID != old)
				}
				d.restart(func() {})
			}
			if len(d.db.Found()) != 0 {
				t.Error("found again, although it was settled")
			}
		})
	}
	t.Run("put back", func(t *testing.T) {
		d := newDisk(t)
		journal := copyOf(t, d.journal())
		for range 3 {
			if err := d.db.Change(d.id, func(l *devicedb.Link) error { l.Revision++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		d.restart(journal)
		if l := d.link(); l.Bar != cardea.ReasonStore {
			t.Errorf("bar %q", l.Bar)
		}
	})
}

// The file lost, a link is known by its tokens, and gets its denials back.
func TestLostFile(t *testing.T) {
	d := newDisk(t)
	whole := d.link()
	e := no("voice/use")
	d.deny(e)
	d.restart(func() { os.Remove(d.path) })
	lost := d.db.Lost()
	if len(lost) != 1 || lost[0].Link != d.id || lost[0].Issuer != whole.Issuer || lost[0].Tokens != tokens() {
		t.Fatalf("lost %v", lost)
	}
	renewed := pairing.Tokens{AccessToken: "another", RefreshToken: "another", ExpiresIn: 5}
	if err := d.db.PutTokens(d.id, renewed); err != nil {
		t.Error(err)
	}
	d.restart(func() {})
	if lost := d.db.Lost(); len(lost) != 1 || lost[0].Tokens != renewed {
		t.Fatalf("lost %v", lost)
	}
	if err := d.db.Join(devicedb.Link{ID: d.id, Key: whole.Key, Issuer: whole.Issuer}, renewed); err != nil {
		t.Fatal(err)
	}
	l := d.link()
	if l.Bar != cardea.ReasonStore || len(l.Log.Entries) != 1 || l.Log.Entries[0].Event != e.Event || len(d.db.Lost()) != 0 {
		t.Errorf("bar %q, %d entries", l.Bar, len(l.Log.Entries))
	}
	if id, ok := d.db.Active(); !ok || id != d.id {
		t.Error("it is not active again")
	}
}

// A link that was ended does not come back, however much of it is left.
func TestEndedLinkStaysEnded(t *testing.T) {
	d := newDisk(t)
	journal := copyOf(t, d.journal())
	slot, err := filepath.Glob(filepath.Join(filepath.Dir(d.path), "*.slot"))
	if err != nil || len(slot) != 1 {
		t.Fatal(slot, err)
	}
	tokens := copyOf(t, slot[0])
	if err := d.db.Leave(devicedb.Farewell{Link: d.id}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(slot[0]); err == nil {
		t.Error("its tokens are left")
	}
	d.restart(func() { journal(); tokens() }) // the agent was stopped half-way
	if lost := d.db.Lost(); len(lost) != 0 {
		t.Errorf("lost %v", lost)
	}
	if _, err := os.Stat(slot[0]); err == nil {
		t.Error("its tokens are left after a restart")
	}
}

// Of two links that were lost, the one that was not active does not take the
// place of the other.
func TestActiveLinkComesBack(t *testing.T) {
	d := newDisk(t)
	second := full()
	if err := d.db.Join(second, tokens()); err != nil {
		t.Fatal(err)
	}
	if err := d.db.SetActive(second.ID); err != nil {
		t.Fatal(err)
	}
	d.restart(func() { os.Remove(d.path) })
	for _, id := range []cardea.LinkID{d.id, second.ID} {
		if active, ok := d.db.Active(); ok {
			t.Errorf("%v is active", active)
		}
		if err := d.db.Join(devicedb.Link{ID: id}, tokens()); err != nil {
			t.Fatal(err)
		}
	}
	if active, ok := d.db.Active(); !ok || active != second.ID {
		t.Error("another link is active")
	}
}

// Who uses the device is known although the file can not tell any more.
func TestDamagedActive(t *testing.T) {
	d := newDisk(t)
	d.restart(func() {
		edit(t, d.path, func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("state")).Put([]byte("active"), []byte("damage"))
		})
	})
	if id, ok := d.db.Active(); !ok || id != d.id {
		t.Errorf("%v is active: %t", id, ok)
	}
}

func TestDenyNobody(t *testing.T) {
	d := newDisk(t)
	if err := d.db.Deny(cardea.NewID[cardea.LinkID](), no("a/use")); !errors.Is(err, devicedb.ErrNotFound) {
		t.Errorf("%v", err)
	}
	d.db.Close()
	if err := d.db.Deny(d.id, no("a/use")); err == nil {
		t.Error("kept by a closed database")
	}
}

// Tokens that do not fit go without what they can bring again.
func TestBigTokens(t *testing.T) {
	d := newDisk(t)
	big := tokens()
	big.AccessToken = pairing.Secret(strings.Repeat("x", 5000))
	if err := d.db.PutTokens(d.id, big); err != nil {
		t.Fatal(err)
	}
	if got, err := d.db.Tokens(d.id); err != nil || got.AccessToken != "" || got.RefreshToken != big.RefreshToken {
		t.Errorf("%v", err)
	}
	big.RefreshToken = ""
	if err := d.db.PutTokens(d.id, big); err != nil {
		t.Fatal(err)
	}
	if got, err := d.db.Tokens(d.id); err != nil || got != big {
		t.Errorf("%v", err)
	}
}
