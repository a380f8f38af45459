package hub

import (
	"context"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A Result is what became of one report, for whoever counts.
type Result struct {
	// Err is why the report was not taken. Nothing else is set then.
	Err error
	// Answer is what it was answered with.
	Answer Answer
	// Applied is how long a change took to get here: from the newest change in
	// the statement that the report newly proves, to the proof. Zero if it proves
	// nothing new.
	Applied time.Duration
	// Rejected are the reasons why entries of the device's log had no effect.
	Rejected []cardea.Rejected
}

// An Answer is a kind of answer to a report.
type Answer string

// What a report may be answered with.
const (
	AnswerStatement Answer = "statement"
	AnswerRenewal   Answer = "renewal"
	AnswerClosed    Answer = "closed"  // the last word to a device that has left
	AnswerRecover   Answer = "recover" // the question what the device holds
)

// A Sweep is how far behind the links are, counted now and then.
type Sweep struct {
	Behind int // has not proved to hold the newest statement
	// Lapsed counts, for each class, the live links that were not heard of for as
	// long as a yes of the class counts without the cloud.
	Lapsed map[cardea.Class]int
}

// classes are those whose yes lapses.
var classes = []cardea.Class{cardea.ClassA, cardea.ClassB, cardea.ClassC, cardea.ClassL}

// count tells whoever counts.
func (h *Hub) count(t taken, err error) {
	if h.Handled == nil {
		return
	}
	if err != nil {
		h.Handled(Result{Err: err})
		return
	}
	h.Handled(Result{Answer: t.kind(), Applied: t.applied, Rejected: t.rejected})
}

func (t taken) kind() Answer {
	switch {
	case t.answer.down.Closed:
		return AnswerClosed
	case t.asked:
		return AnswerRecover
	case t.answer.down.Renewal():
		return AnswerRenewal
	}
	return AnswerStatement
}

// sinceChange is how long what a device has newly proved to have applied took:
// since the ledger's newest entry, or, if that was applied before, since the
// statement was made for another reason.
func sinceChange(tx *accountdb.Tx, before, link accountdb.Link) (time.Duration, error) {
	s, err := tx.Statement(link.ID, link.Have.Revision)
	if err != nil {
		return 0, err
	}
	made := cardea.MillisOf(s.Created)
	if before.Applied == 0 || link.Built.Seq == 0 {
		return tx.Millis().Sub(made), nil
	}
	newest, err := tx.Entries(link.Account, link.Built.Seq-1)
	if err != nil {
		return 0, err
	}
	for _, e := range newest {
		if e.Recorded > before.Applied {
			made = min(made, e.Recorded)
		}
	}
	return tx.Millis().Sub(made), nil
}

// tally counts what is behind and what has lapsed, and tells whoever counts.
func (h *Hub) tally(ctx context.Context, behind int) error {
	if h.Swept == nil {
		return nil
	}
	s := Sweep{Behind: behind, Lapsed: map[cardea.Class]int{}}
	err := h.DB.View(ctx, func(tx *accountdb.Tx) error {
		for _, class := range classes {
			n, err := tx.Silent(tx.Millis().Add(-class.MaxStaleness()))
			if err != nil {
				return err
			}
			s.Lapsed[class] = n
		}
		return nil
	})
	if err == nil {
		h.Swept(s)
	}
	return err
}
