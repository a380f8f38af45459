package devicedb

import (
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/slots"
)

// A stored link is a link and how often its state has changed.
type stored struct {
	Link
	Generation uint64 `json:"generation,omitempty"`
}

// A state is what is known of a link beside its value in the file.
type state struct {
	generation uint64         // of the newest change, in the file or the journal
	inFile     uint64         // of the value in the file
	denials    []slots.Denial // in the journal

	loss cardea.LossID // that its newest change speaks of

	damaged bool // there is a value in the file, and it can not be read

	// A doubtful link denies, with a new log, until a value of a higher
	// generation is in the file.
	doubtful bool
	log      cardea.LogID
}

// A Finding is what Open had to doubt. The zero link is the whole device.
type Finding struct {
	Link cardea.LinkID
	Err  error
}

// Found is what Open had to doubt, for whoever looks after the device.
func (db *DB) Found() []Finding { return slices.Clone(db.found) }

// Lost are the links to be fetched again, in the order in which they were made.
// Join gives one back, and Delete gives it up.
func (db *DB) Lost() []Lost {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return slices.Clone(db.lost)
}

// Deny adds denials to the log of a link, with one synchronous write beside the
// file, and returns when they are on the disk; whoever reads the link from here
// on finds them in its log. Only if the journal is full are they written into
// the file. After an error they may or may not be kept.
func (db *DB) Deny(id cardea.LinkID, entries ...cardea.LogEntry) error {
	db.write.Lock()
	defer db.write.Unlock()
	db.mu.RLock()
	known := db.states[id]
	db.mu.RUnlock()
	switch {
	case known == nil:
		return ErrNotFound
	case known.damaged:
		return ErrDamaged
	}
	err := db.journal.Deny(id, db.generation(id)+1, entries...)
	if errors.Is(err, slots.ErrFull) {
		return db.change(id, func(l *Link) error {
			for _, e := range entries {
				l.Log = l.Log.Append(e)
			}
			return nil
		})
	}
	if err == nil {
		db.note(id, func(s *state) { s.generation += uint64(len(entries)) })
	}
	return err
}

// Follow writes into the file what only the journal has of a link; without such
// it does nothing.
func (db *DB) Follow(id cardea.LinkID) error {
	db.write.Lock()
	defer db.write.Unlock()
	db.mu.RLock()
	s := db.states[id]
	behind := s != nil && s.inFile < s.generation
	doubtful := s != nil && s.doubtful
	db.mu.RUnlock()
	switch {
	case doubtful:
		return db.change(id, func(*Link) error { return nil })
	case !behind:
		return nil
	}
	var next stored
	err := db.update(func(tx *bbolt.Tx) error {
		if err := db.link(tx, id, &next); err != nil {
			return err
		}
		if err := db.forbid(tx, next.Link); err != nil {
			return err
		}
		return db.put(tx, linkBucket, id[:], next)
	})
	if err == nil {
		db.note(id, func(s *state) { s.inFile = next.Generation })
	}
	return err
}

// knows reports whether a link is held, or was.
func (db *DB) knows(id cardea.LinkID) bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.states[id] != nil
}

func (db *DB) generation(id cardea.LinkID) uint64 {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if s := db.states[id]; s != nil {
		return s.generation
	}
	return 0
}

// doubts reports whether a link's value in the file is not to be relied on.
func (db *DB) doubts(id cardea.LinkID) bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	s := db.states[id]
	return s != nil && (s.doubtful || s.damaged)
}

// note changes what is known of a link, and reads the journal's part anew.
func (db *DB) note(id cardea.LinkID, f func(*state)) {
	denials := db.journal.Denials(id)
	db.mu.Lock()
	defer db.mu.Unlock()
	next := state{}
	if s := db.states[id]; s != nil {
		next = *s
	}
	f(&next)
	next.denials = denials
	db.states[id] = &next
}

// merge makes a value from the file the present state of its link. It may be done
// again, and a value read before the last change comes out right as well.
func (db *DB) merge(s *stored) {
	db.mu.RLock()
	known := db.states[s.ID]
	db.mu.RUnlock()
	if known == nil {
		return
	}
	read := s.Generation
	for _, d := range known.denials {
		if d.Generation > read && !logged(s.Log, d.Entry.Event) {
			s.Log = s.Log.Append(d.Entry)
		}
	}
	if known.doubtful {
		s.Bar, s.Log = cardea.ReasonStore, s.Log.Reopen()
		s.Log.ID = known.log // the same one at each reading
	}
	s.Loss = known.loss
	s.Generation = max(read, known.generation)
}

func logged(log cardea.Log, event cardea.EventID) bool {
	return slices.ContainsFunc(log.Entries, func(e cardea.LogEntry) bool { return e.Event == event })
}

// restore fills in what the journal has of a link that the file has lost.
func (db *DB) restore(s *stored) {
	s.Bar, s.Log, s.Loss = cardea.ReasonStore, cardea.NewLog(), db.loss(s.ID)
	for _, d := range db.journal.Denials(s.ID) {
		s.Log = s.Log.Append(d.Entry)
	}
}

// putLink writes a link as its next generation; denials that the journal does
// not have yet count one each.
func (db *DB) putLink(tx *bbolt.Tx, s *stored) error {
	s.Generation = db.generation(s.ID) + uint64(max(len(db.unjournaled(s.Link)), 1))
	if db.doubts(s.ID) {
		if err := db.restart(tx, s.ID); err != nil {
			return err
		}
	}
	if err := db.forbid(tx, s.Link); err != nil {
		return err
	}
	return db.put(tx, linkBucket, s.ID[:], s)
}

// unjournaled are the denials in a link's log that the journal does not hold.
func (db *DB) unjournaled(l Link) []cardea.LogEntry {
	known := db.journal.Denials(l.ID)
	return slices.DeleteFunc(denials(l.Log), func(e cardea.LogEntry) bool {
		return slices.ContainsFunc(known, func(d slots.Denial) bool { return d.Entry.Event == e.Event })
	})
}

func denials(log cardea.Log) []cardea.LogEntry {
	return slices.DeleteFunc(slices.Clone(log.Entries), func(e cardea.LogEntry) bool { return e.Act != cardea.ActDeny })
}

// changed tells the journal of a link that was written into the file: it drops
// what was acknowledged, and takes over denials it does not have.
func (db *DB) changed(s stored, err error) error {
	if err != nil {
		return err
	}
	db.note(s.ID, func(x *state) { *x = state{generation: s.Generation, inFile: s.Generation, loss: s.Loss} })
	held := denials(s.Log)
	err = db.journal.Advance(s.ID, s.Generation, s.Loss, held)
	if errors.Is(err, slots.ErrFull) { // they are in the file
		fresh := db.unjournaled(s.Link)
		held = slices.DeleteFunc(held, func(e cardea.LogEntry) bool { return slices.Contains(fresh, e) })
		err = db.journal.Advance(s.ID, s.Generation, s.Loss, held)
	}
	db.note(s.ID, func(*state) {})
	return err
}

// forgotten ends what lies beside the file of a link that is no more in it. What
// fails is done at the next start.
func (db *DB) forgotten(id cardea.LinkID) {
	slots.Remove(db.slotPath(id))
	db.journal.Forget(id)
	db.regained(id)
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(db.states, id)
}

// regained takes a link from those that are lost.
func (db *DB) regained(id cardea.LinkID) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.lost = slices.DeleteFunc(db.lost, func(l Lost) bool { return l.Link == id })
}

// mayActivate keeps a link that comes back from taking the place of another one
// that was active and is still lost.
func (db *DB) mayActivate(id cardea.LinkID) bool {
	active := db.journal.Active()
	return active == id || !slices.ContainsFunc(db.Lost(), func(l Lost) bool { return l.Link == active })
}
