package syncer

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A link is one link as it is on the disk, and the report on its way.
type link struct {
	devicedb.Link
	outbox
	keyring
	broken cardea.Reason // bars the link while it can not be kept or verified

	// unsaved are denials the disk did not take; they go with the next write.
	unsaved []cardea.LogEntry
	behind  bool // the database does not have every denial of the journal yet

	nonce   cardea.Nonce  // of the last report; zero once it was answered
	sent    time.Duration // when, on the boot clock
	resumes uint64        // as counted then
	bytes   []byte        // the report itself, for who answers "unknown"
	said    uint64        // the log's last number when it was made
	away    bool          // as it says
	counts  uint64        // number of what it says was deleted; 0: nothing
	told    uint64        // of what the cloud has answered

	// switched: its person took the device over, or left it to another, which is
	// said twice. A report made before may be handled after the one that says so,
	// and the cloud can not tell which is newer.
	switched bool

	recalled bool // the cloud has asked for the statement held

	quiet   time.Duration // on the boot clock: since when this run has heard nothing
	counted time.Duration // how much of that stands in Silent
}

// An outbox is when and which way something is to be sent, on the boot clock.
type outbox struct {
	broker, upURL string
	due           time.Duration // never, if negative
	attempt       int
	since         time.Duration // when the first report without an answer was sent; never: there is none
	patient       bool          // repeats more and more rarely
	post          *post         // under way
}

// A post is one HTTP request.
type post struct{ cancel context.CancelFunc }

const never = time.Duration(-1)

func newOutbox(broker, upURL string) outbox {
	return outbox{broker: broker, upURL: upURL, since: never}
}

// hurry sends at once and starts the repetitions anew.
func (o *outbox) hurry(now time.Duration) {
	if o.due != never {
		o.due, o.attempt = now, 0
	}
}

// rest waits for d, after an answer.
func (o *outbox) rest(now, d time.Duration) { o.due, o.attempt, o.since = now+d, 0, never }

// outboxes is everything that is sent from. s.mu is held.
func (s *Syncer) outboxes() iter.Seq[*outbox] {
	return func(yield func(*outbox) bool) {
		for _, l := range s.links {
			if !yield(&l.outbox) {
				return
			}
		}
		for _, f := range s.farewells {
			if !yield(&f.outbox) {
				return
			}
		}
	}
}

// hold takes a link over from the database and puts it in force. s.mu is held.
func (s *Syncer) hold(stored devicedb.Link) error {
	l := &link{Link: stored, outbox: newOutbox(stored.BrokerURL, stored.UpURL), quiet: s.cfg.Gate.Boot()}
	s.links[l.ID] = l
	switch {
	case l.Key == wire.LinkKey{}: // damaged, or of a server without sync
		l.due = never
		s.enforce(l)
		return nil
	case l.Log.ID.IsZero():
		if err := s.commit(l, func(x *devicedb.Link) { x.Log = cardea.NewLog() }); err != nil {
			return err
		}
	}
	ring, err := s.ringOf(l.Root, l.KeyList)
	if err != nil {
		s.cfg.Log.Error("the keys of a link can not be trusted", "link", l.ID, "err", err)
		l.broken, l.due = cardea.ReasonSignature, never
	}
	l.keyring = ring
	s.enforce(l)
	s.anchor()
	return nil
}

// commit changes a link on the disk, in one transaction, and then in memory. A
// disk that does not take it bars the link: what stood there may give what was
// just denied. s.mu is held.
func (s *Syncer) commit(l *link, change func(*devicedb.Link)) error {
	var next devicedb.Link
	err := s.cfg.DB.Change(l.ID, func(x *devicedb.Link) error {
		change(x)
		for _, e := range l.unsaved {
			x.Log = x.Log.Append(e)
		}
		next = *x
		return nil
	})
	if err != nil {
		l.broken = cardea.ReasonStore
		s.enforce(l)
		return err
	}
	l.Link, l.unsaved, l.behind = next, nil, false
	if l.broken == cardea.ReasonStore {
		l.broken = ""
	}
	return nil
}

// enforce puts a link's state in force at the gate. s.mu is held.
func (s *Syncer) enforce(l *link) {
	if s.enforceAll() {
		return
	}
	s.cfg.Gate.Set(l.ID, s.state(l))
}

// enforceAll puts all links in force, at once, if what the device's owner denies
// for all of them has changed, and tells whether it has. s.mu is held.
func (s *Syncer) enforceAll() bool {
	denied := s.deniedForAll()
	if maps.Equal(denied, s.denied) {
		return false
	}
	s.denied = denied
	states := make(map[cardea.LinkID]gate.State, len(s.links))
	for id, l := range s.links {
		states[id] = s.state(l)
	}
	s.cfg.Gate.SetAll(states)
	return true
}

// refreshOwner looks up whose device it is. What can not be read leaves it to
// nobody, who can stop nothing for others. s.mu is held.
func (s *Syncer) refreshOwner() {
	owner, _, err := s.cfg.DB.Owner()
	if err != nil {
		s.cfg.Log.Error("the device's owner can not be read", "err", err)
	}
	s.owner = owner
}

// state is what the gate enforces for a link.
func (s *Syncer) state(l *link) gate.State {
	bar := l.broken
	if bar == "" {
		bar = l.Barred()
	}
	consents := slices.Clone(l.Body.Consents)
	for i := range consents {
		if c := &consents[i]; s.denied[c.Key] && c.Class != cardea.ClassN {
			c.Reason, c.Everyone, c.ValidUntil = cardea.ReasonRefused, true, 0
		}
	}
	return gate.State{Bar: bar, Consents: consents, Own: l.Log.OwnAt(l.Head), Revision: l.Revision, BodyHash: l.BodyHash}
}

// deniedForAll is what the device's owner denies for all links, what the disk
// did not take included. s.mu is held.
func (s *Syncer) deniedForAll() map[cardea.Key]bool {
	denied := map[cardea.Key]bool{}
	for _, l := range s.links {
		maps.Copy(denied, devicedb.DeniedForAll(s.owner, l.Link))
		for _, key := range devicedb.ForEveryone(nil, l.unsaved) {
			denied[key] = true
		}
	}
	return denied
}

// Join takes over a link that was just written to the database, and applies the
// first statement if the cloud sent one with it. A link that is held already is
// read again.
func (s *Syncer) Join(id cardea.LinkID, down []byte) error {
	stored, err := s.cfg.DB.Link(id)
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshOwner()
	if err := s.hold(stored); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if active, ok := s.cfg.DB.Active(); ok {
		s.cfg.Gate.Activate(active)
	}
	if len(down) > 0 {
		s.judge(arrival{payload: down})
	}
	s.rouse()
	s.connect()
	s.poke()
	return nil
}

// Activate makes a link the one whose user is asked about, or with the zero id
// a guest of whoever uses the device. The gate goes first: nobody is answered
// for the one before while the disk is written. If the disk fails the error is
// returned, and whoever uses the device is a guest.
func (s *Syncer) Activate(id cardea.LinkID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.links[id] == nil && !id.IsZero() {
		return fmt.Errorf("activate: %w", devicedb.ErrNotFound)
	}
	before, _, _ := s.cfg.Gate.Active()
	if before == id {
		return nil
	}
	s.rouse()
	s.cfg.Gate.Activate(id)
	if err := s.cfg.DB.SetActive(id); err != nil {
		s.cfg.Gate.Activate(cardea.LinkID{})
		return fmt.Errorf("activate: %w", err)
	}
	for _, changed := range []cardea.LinkID{before, id} { // who is away is not the other's to see
		if l := s.links[changed]; l != nil {
			l.switched = true
			l.hurry(s.cfg.Gate.Boot())
		}
	}
	s.poke()
	return nil
}

// away reports whether somebody else than the link's person uses the device, or
// a guest. s.mu is held.
func (s *Syncer) away(l *link) bool {
	active, _, _ := s.cfg.Gate.Active()
	return active != l.ID
}
