package devicedb

import (
	"cmp"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/slots"
)

// compare holds the file against what lies beside it.
func (db *DB) compare() error {
	if err := db.regainFarewells(); err != nil {
		return err
	}
	links, damaged, err := db.inFile()
	if err != nil {
		return err
	}
	db.remember()
	lost := db.findLoss(links, damaged)
	seen := db.journal.Links()
	stale := db.stale(links) && !lost
	if stale {
		db.journal.Mistrust()
		db.found = append(db.found, Finding{Err: ErrRolledBack})
	}
	for _, l := range links {
		db.note(l.ID, func(s *state) {
			if l.Generation > seen[l.ID] && !lost { // the file is newer
				s.loss = l.Loss
			}
			s.generation, s.inFile = max(seen[l.ID], l.Generation), l.Generation
			s.doubtful, s.log = stale || s.loss != l.Loss, cardea.NewID[cardea.LogID]()
		})
	}
	db.findLost(links, damaged)
	db.settle(links)
	return nil
}

// remember takes over what the journal knows of links.
func (db *DB) remember() {
	losses := db.journal.Losses()
	for id, generation := range db.journal.Links() {
		db.note(id, func(s *state) { s.generation, s.loss = generation, losses[id] })
	}
}

// stale reports whether the file was put back to an earlier state, or has lost
// something. The file is one: with the state of one link that of the others is
// old.
func (db *DB) stale(links []stored) bool {
	seen := db.journal.Links()
	return db.journal.Stale() || slices.ContainsFunc(links, func(l stored) bool {
		return !follows(l.Generation, seen[l.ID], db.journal.Denials(l.ID))
	})
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
	age := db.journal.Ages()
	slots.SortIDs(candidates, func(a, b cardea.LinkID) int { return cmp.Or(cmp.Compare(age[a], age[b]), slots.CompareIDs(a, b)) })
	for _, id := range slices.Compact(candidates) {
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
