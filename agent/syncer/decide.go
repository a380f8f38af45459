package syncer

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/devicedb"
)

var (
	// ErrInvalid is returned for a decision that no cloud could read.
	ErrInvalid = errors.New("not a decision")
	// ErrFull is returned when too much waits for the cloud already. A denial
	// is never refused for it.
	ErrFull = errors.New("too many decisions wait for the cloud: connect the device first")
	// ErrNotOwner is returned for a denial for everyone by somebody else than
	// the device's owner.
	ErrNotOwner = errors.New("only the device's owner, who was the first of those linked now, can stop something for everyone")
	// ErrNotAuthor is returned when somebody else than its author wants to take
	// a denial for everyone back.
	ErrNotAuthor = errors.New("only who stopped it for everyone can take that back")
)

// maxPending bounds what waits for the cloud, denials aside.
const maxPending = 256

// Withdraw denies a key here or, with cardea.ReachEverywhere, here and
// everywhere. base is the head of the ledger behind the screen on which it was
// said. It is in the deny journal, by one synchronous write, when the call
// returns; a full disk does not stop it. If the journal fails the error is
// returned, and the whole link denies until the disk has taken the denial.
func (s *Syncer) Withdraw(id cardea.LinkID, key cardea.Key, reach cardea.Reach, base cardea.Position) error {
	if reach == cardea.ReachEveryone {
		s.mu.Lock()
		owner := s.owner
		s.mu.Unlock()
		if owner != id {
			return ErrNotOwner
		}
		return s.decide(id, cardea.LogEntry{Act: cardea.ActDeny, Key: key, Reach: reach, Base: base})
	}
	denials := []cardea.LogEntry{{Act: cardea.ActDeny, Key: key, Reach: cardea.ReachDevice, Base: base}}
	if reach == cardea.ReachEverywhere {
		denials = append(denials, cardea.LogEntry{Act: cardea.ActDeny, Key: key, Reach: reach, Base: base})
	}
	return s.decide(id, denials...)
}

// Allow says yes to one version of a key, on the notice that was shown. Until
// the cloud has weighed it, it opens nothing but what stays on the device.
func (s *Syncer) Allow(id cardea.LinkID, key cardea.Key, version uint32, notice cardea.Hash, reach cardea.Reach, base cardea.Position) error {
	return s.decide(id, cardea.LogEntry{Act: cardea.ActGrant, Key: key, Version: version, Notice: notice, Reach: reach, Base: base})
}

// Lift takes a denial for everyone back, which only its author can. Everybody's
// own decisions then count again, its author's no among them; what other links
// were told they keep to until their cloud says otherwise.
func (s *Syncer) Lift(id cardea.LinkID, key cardea.Key, base cardea.Position) error {
	s.mu.Lock()
	l := s.links[id]
	var own []cardea.Key
	if l != nil {
		own = devicedb.ForEveryone(devicedb.ForEveryone(l.Everyone, l.Log.Entries), l.unsaved)
	}
	denied := s.denied[key]
	s.mu.Unlock()
	switch {
	case l == nil:
		return fmt.Errorf("lift: %w", devicedb.ErrNotFound)
	case !denied:
		return nil
	case !slices.Contains(own, key):
		return ErrNotAuthor
	}
	return s.decide(id, cardea.LogEntry{Act: cardea.ActLift, Key: key, Reach: cardea.ReachEveryone, Base: base})
}

// Prefer sets a preference.
func (s *Syncer) Prefer(id cardea.LinkID, key cardea.PreferenceKey, value cardea.Value, reach cardea.Reach, base cardea.Position) error {
	return s.decide(id, cardea.LogEntry{Act: cardea.ActPrefer, Preference: key, Value: value, Reach: reach, Base: base})
}

// decide appends to the link's log, durably, flips the gate and has the report
// sent at once.
func (s *Syncer) decide(id cardea.LinkID, entries ...cardea.LogEntry) error {
	for _, e := range entries {
		if err := check(e); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rouse()
	l := s.links[id]
	if l == nil {
		return fmt.Errorf("decide: %w", devicedb.ErrNotFound)
	}
	entries = slices.DeleteFunc(entries, func(e cardea.LogEntry) bool { return stands(l.Log, e) })
	if len(entries) == 0 {
		return nil
	}
	if entries[0].Act != cardea.ActDeny && len(l.Log.Entries) >= maxPending {
		return ErrFull
	}
	for i := range entries {
		entries[i].Event = cardea.NewID[cardea.EventID]()
	}
	if err := s.keep(l, entries); err != nil {
		s.cfg.Log.Error("a decision can not be kept, the link denies everything", "link", id, "err", err)
		return fmt.Errorf("keep decision: %w", err)
	}
	s.enforce(l)
	l.hurry(s.cfg.Gate.Boot())
	s.poke()
	return nil
}

// keep makes entries durable and adds them to the link's log. Denials need the
// one write of the journal; the database follows in the loop. s.mu is held.
func (s *Syncer) keep(l *link, entries []cardea.LogEntry) error {
	appended := func(log cardea.Log) cardea.Log {
		for _, e := range entries {
			log = log.Append(e)
		}
		return log
	}
	if entries[0].Act != cardea.ActDeny {
		return s.commit(l, func(x *devicedb.Link) { x.Log = appended(x.Log) })
	}
	if err := s.cfg.DB.Deny(l.ID, entries...); err != nil {
		l.unsaved = append(l.unsaved, entries...)
		l.broken = cardea.ReasonStore
		s.enforceAll()
		s.enforce(l)
		l.hurry(s.cfg.Gate.Boot()) // with the answer the disk is tried again
		s.poke()
		return err
	}
	l.Log, l.behind = appended(l.Log), true
	return nil
}

// follow has the database take what only the journal holds, before anything
// tells the cloud of it. One that takes nothing is tried again; the denial counts
// as it is.
func (s *Syncer) follow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if !l.behind {
			continue
		}
		if err := s.cfg.DB.Follow(l.ID); err != nil {
			s.cfg.Log.Warn("a denial is in the journal only, the database does not take it", "link", l.ID, "err", err)
			continue
		}
		l.behind = false
	}
}

// stands reports whether the log's last word on the key at that reach is this
// denial already: saying it again adds nothing.
func stands(log cardea.Log, e cardea.LogEntry) bool {
	if e.Act != cardea.ActDeny {
		return false
	}
	for _, o := range slices.Backward(log.Entries) {
		if o.Key == e.Key && o.Reach == e.Reach && (o.Act == cardea.ActDeny || o.Act == cardea.ActGrant || o.Act == cardea.ActLift) {
			return o.Act == cardea.ActDeny
		}
	}
	return false
}

// check refuses what would make a report unreadable, and with it every denial
// behind.
func check(e cardea.LogEntry) error {
	var err error
	switch e.Act {
	case cardea.ActPrefer:
		_, err = cardea.ParsePreferenceKey(string(e.Preference))
	default:
		_, err = cardea.ParseKey(string(e.Key))
	}
	switch {
	case err != nil:
		return err
	case e.Reach != cardea.ReachDevice && e.Reach != cardea.ReachEverywhere && e.Reach != cardea.ReachEveryone:
		return fmt.Errorf("%w: a reach is device, everywhere or everyone", ErrInvalid)
	case e.Reach == cardea.ReachEveryone && e.Act != cardea.ActDeny && e.Act != cardea.ActLift:
		return fmt.Errorf("%w: nobody decides for everyone but to stop something", ErrInvalid)
	case len(e.Value) > cardea.MaxValueBytes || !utf8.ValidString(string(e.Value)):
		return fmt.Errorf("%w: at most %d bytes of UTF-8", cardea.ErrInvalidValue, cardea.MaxValueBytes)
	case e.Act == cardea.ActGrant && (e.Version == 0 || e.Notice.IsZero()):
		return fmt.Errorf("%w: a yes names a version and a notice", ErrInvalid)
	case (e.Base.Seq == 0) != e.Base.Hash.IsZero() || e.Base.Seq > 1<<53-1:
		return fmt.Errorf("%w: the base is no position of a ledger", ErrInvalid)
	}
	return nil
}
