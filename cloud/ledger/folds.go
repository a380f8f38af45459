package ledger

import (
	"fmt"
	"sync"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// mostFolded is how many entries the folds that are kept may come from, each
// with one more for itself: those of 2,500 customers who decided 50 times.
const mostFolded = 1 << 17

// folds keeps the folds of ledgers, so that a decision costs what it adds and
// not the whole history again. Each is named by the head it was folded to, whose
// hash commits to every entry below: a fold that was made in a transaction which
// failed then has a head that no ledger has, and is not used.
type folds struct {
	mu     sync.Mutex
	kept   map[cardea.AccountID]*fold
	weight int
}

// A fold is a ledger folded up to a head. The zero fold is of the empty ledger.
type fold struct {
	cardea.Consents
	head    cardea.Position
	entries int
}

// weight counts an empty fold too, so that not even of those there are too many.
func (v *fold) weight() int { return v.entries + 1 }

// take gives the fold that is kept of an account to one caller, or a new one.
func (f *folds) take(account cardea.AccountID) *fold {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.kept[account]
	f.drop(account)
	if kept == nil {
		kept = new(fold)
	}
	return kept
}

// put keeps a fold, and forgets others while they are too many.
func (f *folds) put(account cardea.AccountID, v *fold) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(account)
	for other := range f.kept {
		if f.weight+v.weight() <= mostFolded {
			break
		}
		f.drop(other)
	}
	if f.kept == nil {
		f.kept = map[cardea.AccountID]*fold{}
	}
	f.kept[account] = v
	f.weight += v.weight()
}

// drop forgets a fold. f.mu is held.
func (f *folds) drop(account cardea.AccountID) {
	if kept := f.kept[account]; kept != nil {
		f.weight -= kept.weight()
		delete(f.kept, account)
	}
}

// reach brings a fold to the head of this ledger, from where it stands if that is
// a place in it.
func (v *fold) reach(tx *accountdb.Tx, account cardea.AccountID, head cardea.Position) error {
	if v.head == head {
		return nil
	}
	at, err := tx.HashAt(account, v.head.Seq)
	if err != nil {
		return err
	}
	if v.head.Hash != at {
		*v = fold{}
	}
	entries, err := tx.Decisions(account, v.head.Seq)
	if err != nil {
		return err
	}
	for _, e := range entries {
		v.Apply(e)
	}
	v.head = head
	v.entries += len(entries)
	return nil
}

// fold has use work with the fold of the account's ledger as it stands in this
// transaction. It is not use's to keep.
func (l *Ledger) fold(tx *accountdb.Tx, account cardea.AccountID, use func(*cardea.Consents)) error {
	a, err := tx.Account(account)
	if err != nil {
		return err
	}
	v := l.folds.take(account)
	if err := v.reach(tx, account, a.Head); err != nil {
		return fmt.Errorf("fold: %w", err)
	}
	use(&v.Consents)
	l.folds.put(account, v)
	return nil
}
