package clock_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/clock"
	"github.com/cardea-id/cardea/store/accountdb"
	"github.com/cardea-id/cardea/store/accountdb/accountdbtest"
)

// A machine has both clocks, and a database whose transactions go by the real
// one: the wall clock here starts there.
type machine struct {
	t    *testing.T
	db   *accountdb.DB
	link cardea.LinkID
	*clock.Guard

	mu   sync.Mutex
	wall time.Time
	boot time.Duration
	id   string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, db: accountdbtest.Open(t), wall: time.Now(), boot: time.Hour, id: "one"}
	m.link = m.open()
	m.start()
	return m
}

// open leaves a link whose device may still act on what it was told.
func (m *machine) open() cardea.LinkID {
	m.t.Helper()
	account := accountdbtest.Account(m.t, m.db)
	l := accountdb.Link{ID: cardea.NewID[cardea.LinkID](), Account: account.ID, Device: "device", Grant: "grant"}
	m.update(func(tx *accountdb.Tx) error {
		return errors.Join(
			tx.PutDevice(accountdb.Device{ID: l.Device, PublicKey: []byte("{}"), Kind: "speaker"}),
			tx.CreateLink(l, [32]byte{1}, "Kitchen"),
			tx.PutStatement(l.ID, accountdb.Statement{Revision: 1, Body: []byte{1}, BodyHash: cardea.Hash{1}}),
			tx.SetBuilt(l.ID, 1, cardea.Position{}, cardea.Hash{}),
		)
	})
	return l.ID
}

func (m *machine) update(f func(*accountdb.Tx) error) {
	m.t.Helper()
	if err := m.db.Update(m.t.Context(), f); err != nil {
		m.t.Fatal(err)
	}
}

// start starts the cloud's guard, again.
func (m *machine) start() {
	m.t.Helper()
	g, err := clock.New(m.t.Context(), clock.Config{
		DB: m.db, BootID: m.id,
		Wall: func() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.wall },
		Boot: func() time.Duration { m.mu.Lock(); defer m.mu.Unlock(); return m.boot },
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.Guard = g
}

// step sets the wall clock.
func (m *machine) step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall = m.wall.Add(d)
}

// pass lets time pass while the guard looks every second.
func (m *machine) pass(d time.Duration) {
	m.t.Helper()
	for ; d > 0; d -= time.Second {
		m.mu.Lock()
		m.wall, m.boot = m.wall.Add(time.Second), m.boot+time.Second
		m.mu.Unlock()
		if err := m.Look(m.t.Context()); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *machine) signs(want bool, when string) {
	m.t.Helper()
	err := m.Check(m.wall)
	if (err == nil) != want || err != nil && !errors.Is(err, clock.ErrClock) {
		m.t.Errorf("%s: %v", when, err)
	}
}

// created is when the open statement is said to have been made.
func (m *machine) created() (at time.Time) {
	m.t.Helper()
	m.update(func(tx *accountdb.Tx) error {
		s, err := tx.Statement(m.link, 1)
		at = s.Created
		return err
	})
	return at
}

func TestClocksThatAgree(t *testing.T) {
	m := newMachine(t)
	before := m.created()
	m.signs(true, "at the start")
	m.step(900 * time.Millisecond)
	m.signs(true, "within a second")
	m.pass(time.Minute)
	m.signs(true, "a minute later")
	if !m.created().Equal(before) {
		t.Error("something was put off")
	}
}

// The clock was three hours slow and is put right: nothing is signed until it
// has been steady, and what was reckoned by the slow clock is put off.
func TestSlowClockPutRight(t *testing.T) {
	m := newMachine(t)
	before := m.created()
	m.step(3 * time.Hour)
	m.signs(false, "after the step")
	m.pass(5 * time.Second)
	m.signs(false, "five seconds later")
	m.step(time.Second)
	m.pass(8 * time.Second)
	m.signs(false, "it has moved again")
	m.pass(10 * time.Second)
	m.signs(true, "steady")
	want := before.Add(3*time.Hour + time.Second)
	if got := m.created(); got.Sub(want).Abs() > time.Second {
		t.Errorf("stands at %s, want %s", got, want)
	}
	m.pass(time.Minute)
	if got := m.created(); got.Sub(want).Abs() > time.Second {
		t.Error("put off twice")
	}
}

// A clock that goes ahead and comes back has done nothing, if nothing was signed.
func TestAheadAndBack(t *testing.T) {
	m := newMachine(t)
	before := m.created()
	m.step(10 * 365 * 24 * time.Hour)
	m.signs(false, "in ten years")
	m.pass(time.Hour)
	m.signs(false, "after an hour of it")
	m.step(-10 * 365 * 24 * time.Hour)
	m.signs(true, "back")
	if !m.created().Equal(before) {
		t.Error("put off by a clock that was wrong")
	}
}

// The operator says that ten years are right by starting again.
func TestOperatorConfirms(t *testing.T) {
	m := newMachine(t)
	before := m.created()
	m.step(48 * time.Hour)
	m.pass(time.Minute)
	m.signs(false, "two days ahead")
	m.start()
	m.signs(true, "after a restart")
	if got := m.created().Sub(before); got < 48*time.Hour || got > 48*time.Hour+time.Second {
		t.Errorf("put off by %v", got)
	}
}

// A step while the cloud was down is noticed as well; over a reboot nobody can.
func TestStepWhileDown(t *testing.T) {
	m := newMachine(t)
	before := m.created()
	m.step(time.Hour)
	m.start()
	if got := m.created().Sub(before); got < time.Hour || got > time.Hour+time.Second {
		t.Errorf("put off by %v", got)
	}
	m.step(time.Hour)
	m.id, m.boot = "two", time.Minute
	m.start()
	m.signs(true, "after a reboot")
}

// A clock that went back waits until it has caught up with what it signed.
func TestBack(t *testing.T) {
	m := newMachine(t)
	m.signs(true, "at first")
	m.step(-5 * time.Minute)
	m.signs(false, "five minutes back")
	m.pass(4 * time.Minute)
	m.signs(false, "still behind")
	m.pass(61 * time.Second)
	m.signs(true, "caught up")
}

// What the database has recorded is in the past, whatever the clock says.
func TestBelowWhatWasRecorded(t *testing.T) {
	m := newMachine(t)
	account := accountdbtest.Account(t, m.db)
	m.update(func(tx *accountdb.Tx) error {
		_, err := tx.Append(account.ID, cardea.Entry{
			Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: "voice/use", Version: 1},
			By:       cardea.Owner, Channel: cardea.ChannelPortal,
		})
		return err
	})
	m.step(-time.Hour)
	m.id = "two"
	m.start()
	m.signs(false, "a boot that begins an hour below")
	m.pass(10 * time.Second)
	m.signs(false, "and goes on there")
	m.step(time.Hour)
	m.pass(time.Second)
	m.signs(true, "put right")
}

func TestOnThisMachine(t *testing.T) {
	db := accountdbtest.Open(t)
	g, err := clock.New(t.Context(), clock.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Check(time.Now()); err != nil {
		t.Error(err)
	}
}
