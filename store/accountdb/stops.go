package accountdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/stopjournal"
)

// stopsSuffix is what the journal is called after the database.
const stopsSuffix = ".stops"

// metaStops is up to where the journal is known to stand in the database. Where
// a database has several journals, the place of each follows.
const metaStops = "stops"

// A Replay is what the stop journal had to say when the database was opened.
type Replay struct {
	Era      uint32 // in force since
	Raised   bool   // it is a new one
	Appended int    // stops the database had forgotten
	Lost     int    // of accounts it has forgotten
	Damaged  int    // lines that can not be read
	Missing  bool   // the journal the database knew is not there any more
}

// Replayed tells what was found when the database was opened.
func (db *DB) Replayed() Replay { return db.found }

// Stop has an entry that stops something stand in the journal too. [Tx.Append]
// does it for denials and ended links; a protective value its owner knows.
func (tx *Tx) Stop(account cardea.AccountID, e cardea.Entry) {
	tx.stops = append(tx.stops, stopjournal.Record{Era: e.Position.Era, Account: account, Entry: &e})
}

func (tx *Tx) stopGrant(grant pairing.GrantID) error {
	era, err := tx.Era()
	tx.stops = append(tx.stops, stopjournal.Record{Era: era, Grant: string(grant)})
	return err
}

// replay appends what the journal has and the database does not. If there is
// such a thing, the database was put back to an earlier state (or its process
// died between journal and commit, which is the same but shorter), and a new era
// begins. Normal starts find nothing and move the mark.
func (db *DB) replay(ctx context.Context, stops string, raise bool) error {
	place, err := db.engine.place(stops)
	if err != nil {
		return err
	}
	name := metaStops + place
	err = db.Update(ctx, func(tx *Tx) error {
		db.found = Replay{Damaged: db.stops.Damaged()}
		mark, err := tx.stopMark(name)
		if err != nil {
			return err
		}
		db.found.Missing = mark != stopjournal.Mark{} && !db.stops.Knows(mark)
		records, behind, err := tx.forgotten(mark)
		if err != nil {
			return err
		}
		if raise || behind {
			if err := tx.RaiseEra(); err != nil {
				return err
			}
		}
		db.found.Raised = raise || behind
		for _, r := range records {
			if err := tx.stopAgain(r); err != nil {
				return err
			}
		}
		if db.found.Era, err = tx.Era(); err != nil {
			return err
		}
		return tx.putStopMark(name, db.stops.End())
	})
	if err != nil {
		return fmt.Errorf("replay stop journal: %w", err)
	}
	return nil
}

func (tx *Tx) stopMark(name string) (m stopjournal.Mark, err error) {
	b, err := tx.Meta(name)
	if errors.Is(err, ErrNotFound) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(b, &m)
}

func (tx *Tx) putStopMark(name string, m stopjournal.Mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return tx.SetMeta(name, b)
}

// forgotten lists the records after the mark that the database does not have.
// behind also tells of those that it can not take.
func (tx *Tx) forgotten(mark stopjournal.Mark) (records []stopjournal.Record, behind bool, err error) {
	era, err := tx.Era()
	if err != nil {
		return nil, false, err
	}
	behind = era < tx.db.stops.Era()
	err = tx.db.stops.Since(mark, func(r stopjournal.Record) error {
		var missing bool
		var err error
		switch {
		case r.Entry != nil:
			missing, err = tx.lacksEntry(r.Account, r.Entry.Event)
			if errors.Is(err, errNoAccount) {
				tx.db.found.Lost++
				behind = true
				return nil
			}
		case r.Erased != nil:
			missing, err = tx.lacksErasure(r.Account)
		case r.Grant != "":
			missing, err = tx.lacksEnd(pairing.GrantID(r.Grant))
		}
		if missing {
			records, behind = append(records, r), true
		}
		return err
	})
	return records, behind, err
}

var errNoAccount = errors.New("no such account")

func (tx *Tx) lacksEntry(account cardea.AccountID, event cardea.EventID) (bool, error) {
	if _, err := tx.Account(account); errors.Is(err, ErrNotFound) {
		return false, errNoAccount
	} else if err != nil {
		return false, err
	}
	_, err := tx.Recorded(account, event)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}

// lacksEnd reports whether a grant goes on that had ended. One that is not there
// may have been forgotten in good order.
func (tx *Tx) lacksEnd(grant pairing.GrantID) (bool, error) {
	row, err := tx.findGrant(pairing.GrantKey{ID: grant})
	if errors.Is(err, pairing.ErrNoGrant) {
		return false, nil
	}
	return err == nil && row.State != pairing.GrantDenied && row.State != pairing.GrantRevoked, err
}

// lacksErasure reports whether an account is there that had been erased.
func (tx *Tx) lacksErasure(account cardea.AccountID) (bool, error) {
	a, err := tx.Account(account)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return !a.Erased, err
}

// stopAgain takes up one record. It has seen nothing: what it knew is gone.
func (tx *Tx) stopAgain(r stopjournal.Record) error {
	if r.Erased != nil {
		tx.db.found.Appended++
		return tx.erase(r.Account, *r.Erased)
	}
	if r.Entry == nil {
		tx.db.found.Appended++
		return tx.endGrant(pairing.GrantID(r.Grant))
	}
	e := *r.Entry
	e.Base, e.Payload = cardea.Position{}, cardea.Hash{}
	missing, err := tx.lacksEntry(r.Account, e.Event) // it may stand in the journal twice
	if err != nil || !missing {
		return err
	}
	tx.db.found.Appended++
	e, err = tx.Append(r.Account, e)
	if err != nil {
		return err
	}
	switch e.Act {
	case cardea.ActPrefer:
		tx.Stop(r.Account, e)
		return tx.Settle(r.Account, e)
	case cardea.ActUnlink:
		return tx.endLink(e)
	}
	return nil
}

// endLink ends a link once more, from the side that had ended it.
func (tx *Tx) endLink(e cardea.Entry) error {
	link, err := tx.Link(e.Link)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	state := LinkClosing
	if e.Channel == cardea.ChannelDevice {
		state = LinkClosed
	}
	order := link.CloseOrder
	if order.IsZero() {
		order = cardea.NewID[cardea.OrderID]()
	}
	if err := tx.SetState(link.ID, state, order); err != nil {
		return err
	}
	return tx.endGrant(pairing.GrantID(link.Grant))
}

func (tx *Tx) endGrant(id pairing.GrantID) error {
	row, err := tx.holdGrant(pairing.GrantKey{ID: id})
	if errors.Is(err, pairing.ErrNoGrant) {
		return nil
	}
	if err != nil {
		return err
	}
	g, before := row.Grant, row.Grant
	note := g.Revoke(tx.Millis())
	if g.State == pairing.GrantPending {
		g.State, g.Decided, note = pairing.GrantDenied, tx.Millis(), pairing.NoteDenied
	}
	if g == before {
		return nil
	}
	return tx.putGrant(before, g, note)
}
