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
)

// maxPending bounds what waits for the cloud, denials aside.
const maxPending = 256

// Withdraw denies a key here or, with cardea.ReachEverywhere, here and
// everywhere. base is the head of the ledger behind the screen on which it was
// said. If the disk fails the error is returned, and the whole link denies until the
// disk has taken the denial.
func (s *Syncer) Withdraw(id cardea.LinkID, key cardea.Key, reach cardea.Reach, base cardea.Position) error {
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
	err := s.commit(l, func(x *devicedb.Link) {
		for _, e := range entries {
			x.Log = x.Log.Append(e)
		}
	})
	if err != nil {
		if entries[0].Act == cardea.ActDeny {
			l.unsaved = append(l.unsaved, entries...)
		}
		s.cfg.Log.Error("a decision can not be kept, the link denies everything", "link", id, "err", err)
		return fmt.Errorf("keep decision: %w", err)
	}
	s.enforce(l)
	l.hurry(s.cfg.Gate.Boot())
	s.poke()
	return nil
}

// stands reports whether the log's last word on the key at that reach is this
// denial already: saying it again adds nothing.
func stands(log cardea.Log, e cardea.LogEntry) bool {
	if e.Act != cardea.ActDeny {
		return false
	}
	for _, o := range slices.Backward(log.Entries) {
		if o.Key == e.Key && o.Reach == e.Reach && (o.Act == cardea.ActDeny || o.Act == cardea.ActGrant) {
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
	case e.Reach != cardea.ReachDevice && e.Reach != cardea.ReachEverywhere:
		return fmt.Errorf("%w: a reach is device or everywhere", ErrInvalid)
	case len(e.Value) > cardea.MaxValueBytes || !utf8.ValidString(string(e.Value)):
		return fmt.Errorf("%w: at most %d bytes of UTF-8", cardea.ErrInvalidValue, cardea.MaxValueBytes)
	case e.Act == cardea.ActGrant && (e.Version == 0 || e.Notice.IsZero()):
		return fmt.Errorf("%w: a yes names a version and a notice", ErrInvalid)
	case (e.Base.Seq == 0) != e.Base.Hash.IsZero() || e.Base.Seq > 1<<53-1:
		return fmt.Errorf("%w: the base is no position of a ledger", ErrInvalid)
	}
	return nil
}
