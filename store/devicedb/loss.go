package devicedb

import (
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/slots"
)

// A loss is when something that was stopped here may be missing, because the
// journal can not be read whole, is gone, or is older than it was. Then every link
// there is, in the file or beside it, has the same new loss: in the journal, with
// one write, before anybody is answered, and in its value with the next one. The
// newer of the two counts. So it takes both to be lost to forget it, and that is
// a new loss. Only the cloud's answer takes it away, which says that the owner has
// confirmed the device (see package syncer).
//
// A file behind the journal is no loss, nor is one that is a single change ahead:
// those are what a power cut leaves.

// findLoss looks for a loss and tells whether there is a new one.
func (db *DB) findLoss(links []stored, damaged []cardea.LinkID) bool {
	beside := db.beside(damaged)
	why := db.journal.Doubt()
	if why == nil && (db.journal.Made() && db.hadJournal(links, beside) || db.behind(links)) {
		why = slots.ErrDoubt
	}
	if why == nil {
		return false
	}
	generations := db.journal.Links()
	for _, id := range beside {
		generations[id] = max(generations[id], 0)
	}
	for _, l := range links {
		generations[l.ID] = max(generations[l.ID], l.Generation)
	}
	if len(generations) > 0 {
		db.found = append(db.found, Finding{Err: why})
	}
	loss := cardea.NewID[cardea.LossID]()
	if err := db.journal.Lose(loss, generations); err != nil { // found again at the next start
		db.found = append(db.found, Finding{Err: err})
	}
	for id := range generations {
		db.note(id, func(s *state) { s.loss = loss })
	}
	return true
}

// beside are the links that the file can not tell of, and that were not just
// being made or left.
func (db *DB) beside(damaged []cardea.LinkID) []cardea.LinkID {
	return append(slices.Clone(damaged), slices.DeleteFunc(db.slotted(), func(id cardea.LinkID) bool {
		k, err := db.readSlot(id)
		return err == nil && db.beginning(k) || db.ending(id)
	})...)
}

// hadJournal reports whether there must have been a journal: older agents had
// none, and wrote no generations and no slots.
func (db *DB) hadJournal(links []stored, beside []cardea.LinkID) bool {
	return len(beside) > 0 || slices.ContainsFunc(links, func(s stored) bool { return s.Generation > 0 })
}

// behind reports whether the journal has not come to where the file is.
func (db *DB) behind(links []stored) bool {
	seen := db.journal.Links()
	return slices.ContainsFunc(links, func(l stored) bool { return l.Generation > seen[l.ID]+1 })
}

func (db *DB) loss(id cardea.LinkID) cardea.LossID {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if s := db.states[id]; s != nil {
		return s.loss
	}
	return cardea.LossID{}
}
