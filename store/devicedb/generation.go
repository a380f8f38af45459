package devicedb

import (
	"cmp"
	"errors"
	"fmt"
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
	s.Generation = max(read, known.generation)
}

func logged(log cardea.Log, event cardea.EventID) bool {
	return slices.ContainsFunc(log.Entries, func(e cardea.LogEntry) bool { return e.Event == event })
}

// restore fills in what the journal has of a link that the file has lost.
func (db *DB) restore(s *stored) {
	s.Bar, s.Log = cardea.ReasonStore, cardea.NewLog()
	for _, d := range db.journal.Denials(s.ID) {
		s.Log = s.Log.Append(d.Entry)
	}
}

// putLink writes a link as its next generation; denials that the journal does
// not have yet count one each.
func (db *DB) putLink(tx *bbolt.Tx, s *stored) error {
	s.Generation = db.generation(s.ID) + uint64(max(len(db.unjournaled(s.Link)), 1))
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
	db.note(s.ID, func(x *state) { *x = state{generation: s.Generation, inFile: s.Generation} })
	held := denials(s.Log)
	err = db.journal.Advance(s.ID, s.Generation, held)
	if errors.Is(err, slots.ErrFull) { // they are in the file
		fresh := db.unjournaled(s.Link)
		held = slices.DeleteFunc(held, func(e cardea.LogEntry) bool { return slices.Contains(fresh, e) })
		err = db.journal.Advance(s.ID, s.Generation, held)
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

// compare holds the file against the journal and the slots.
func (db *DB) compare() error {
	links, damaged, err := db.inFile()
	if err != nil {
		return err
	}
	seen := db.journal.Links()
	if db.journal.Made() && slices.ContainsFunc(links, func(s stored) bool { return s.Generation > 0 }) {
		db.journal.Mistrust()
	}
	doubt := db.journal.Doubt()
	if doubt != nil {
		db.found = append(db.found, Finding{Err: doubt})
	}
	for id, generation := range seen {
		db.note(id, func(s *state) { s.generation = generation })
	}
	// The file is one: with the state of one link that of the others is old.
	if doubt == nil && slices.ContainsFunc(links, func(l stored) bool {
		return !follows(l.Generation, seen[l.ID], db.journal.Denials(l.ID))
	}) {
		doubt = ErrRolledBack
		db.journal.Mistrust()
		db.found = append(db.found, Finding{Err: doubt})
	}
	for _, l := range links {
		db.note(l.ID, func(s *state) {
			s.generation, s.inFile = max(seen[l.ID], l.Generation), l.Generation
			s.doubtful, s.log = doubt != nil, cardea.NewID[cardea.LogID]()
		})
	}
	db.findLost(links, damaged)
	db.settle(links)
	return nil
}

// inFile reads the links as they are in the file, and the ids of those that are
// damaged.
func (db *DB) inFile() (links []stored, damaged []cardea.LinkID, err error) {
	err = db.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(linkBucket)
		if b == nil || tx.Bucket(tokenBucket) == nil || tx.Bucket(farewellBucket) == nil || tx.Bucket(stateBucket) == nil {
			return fmt.Errorf("%w: a part of it is missing", ErrDamaged)
		}
		return b.ForEach(func(key, sealed []byte) error {
			var s stored
			if db.decode(linkBucket, key, sealed, &s) == nil {
				links = append(links, s)
			} else if len(key) == len(s.ID) {
				damaged = append(damaged, cardea.LinkID(key))
			}
			return nil
		})
	})
	return links, damaged, err
}

// follows reports whether the file's generation of a link and the journal's can
// be of one history: the file is one change ahead if the agent was stopped
// between the two, and behind only by denials that the journal has.
func follows(file, journal uint64, denials []slots.Denial) bool {
	for ; file < journal; file++ {
		if !slices.ContainsFunc(denials, func(d slots.Denial) bool { return d.Generation == file+1 }) {
			return false
		}
	}
	return file <= journal+1
}

// settle writes into the file what was found, and what only the journal has. A
// file that takes nothing is no reason not to start: reading goes on as if it
// had.
func (db *DB) settle(links []stored) {
	for _, l := range links {
		if db.Follow(l.ID) != nil {
			return
		}
	}
	db.journal.Settle() // or at the next start
}

// findLost finds the links that are known beside the file and not in it. One that
// can not be fetched again, because its tokens are lost as well, is given up.
func (db *DB) findLost(links []stored, damaged []cardea.LinkID) {
	candidates := db.slotted()
	for id := range db.journal.Links() {
		candidates = append(candidates, id)
	}
	candidates = append(candidates, damaged...)
	slices.SortFunc(candidates, func(a, b cardea.LinkID) int { return slices.Compare(a[:], b[:]) })
	candidates = slices.Compact(candidates)
	age := db.journal.Ages()
	slices.SortStableFunc(candidates, func(a, b cardea.LinkID) int { return cmp.Compare(age[a], age[b]) })
	for _, id := range candidates {
		if slices.ContainsFunc(links, func(s stored) bool { return s.ID == id }) {
			continue
		}
		k, err := db.readSlot(id)
		broken := slices.Contains(damaged, id)
		switch {
		case broken || err == nil && !db.ending(id) && !db.beginning(k):
			db.found = append(db.found, Finding{id, ErrDamaged})
			db.note(id, func(s *state) { s.damaged = broken })
			if err == nil {
				db.lost = append(db.lost, Lost{id, k.Issuer, k.Tokens})
			}
		case err == nil && db.beginning(k):
		default:
			db.forgotten(id)
		}
	}
}

// ending reports whether a link was left, and only its last words remain.
func (db *DB) ending(id cardea.LinkID) bool {
	all, err := db.Farewells()
	return err == nil && slices.ContainsFunc(all, func(f Farewell) bool { return f.Link == id })
}

// beginning reports whether tokens are those of a pairing that will be joined.
func (db *DB) beginning(k kept) bool {
	p, ok, err := db.Pairing()
	return err == nil && ok && p.Tokens != nil && p.Tokens.RefreshToken == k.Tokens.RefreshToken
}
