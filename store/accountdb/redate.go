package accountdb

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cardea-id/cardea"
)

// A Future is what stands in the database that can not have happened yet: a clock
// was ahead, or is behind now.
type Future struct {
	Latest     cardea.Millis // of the decisions
	Decisions  int
	Accounts   int // whose decisions they are
	Statements int
	Links      int
	Grants     int
	Sessions   int
}

// Any reports whether there is something.
func (f Future) Any() bool {
	return f.Decisions+f.Statements+f.Links+f.Grants+f.Sessions > 0
}

// Future counts what is dated after this transaction.
func (tx *Tx) Future() (f Future, err error) {
	newest, err := tx.redated()
	if err != nil {
		return f, err
	}
	err = tx.row(`SELECT COUNT(*), COUNT(DISTINCT account), COALESCE(MAX(recorded), 0) FROM ledger WHERE recorded > ? AND cursor > ?`,
		tx.Millis(), newest.last().Cursor).Scan(&f.Decisions, &f.Accounts, &f.Latest)
	if err != nil {
		return f, err
	}
	for _, c := range []struct {
		n     *int
		where string
	}{
		{&f.Statements, `statements WHERE created > ?`},
		{&f.Links, `links WHERE created > ? OR applied > ? OR last_seen > ?`},
		{&f.Grants, `grants WHERE requested > ? OR decided > ? OR asked > ? OR issued > ? OR rotated > ?`},
		{&f.Sessions, `sessions WHERE created > ?`},
	} {
		if err := tx.row(`SELECT COUNT(*) FROM `+c.where, tx.nows(c.where)...).Scan(c.n); err != nil {
			return f, err
		}
	}
	return f, nil
}

// nows is the present as often as a query asks for it.
func (tx *Tx) nows(query string) (args []any) {
	for _, c := range query {
		if c == '?' {
			args = append(args, tx.Millis())
		}
	}
	return args
}

// Redate takes everything that is dated after this transaction to have happened
// now, which is later than it did: no yes is cut short and no time by which
// something stops comes too early. Ledgers stay as they are; what is recorded in
// them up to here counts from now at the latest. Who signed in meanwhile must do
// so again, and codes that were shown meanwhile end.
func (tx *Tx) Redate() error {
	if err := tx.redateDecisions(); err != nil {
		return fmt.Errorf("redate decisions: %w", err)
	}
	if err := tx.redateLinks(); err != nil {
		return fmt.Errorf("redate links: %w", err)
	}
	for _, change := range []string{
		`UPDATE grants SET expires = ? WHERE requested > ?`,
		`UPDATE statements SET created = ? WHERE created > ?`,
		`UPDATE links SET applied = ? WHERE applied > ?`,
		`UPDATE links SET last_seen = ? WHERE last_seen > ?`,
		`UPDATE devices SET created = ? WHERE created > ?`,
		`UPDATE accounts SET created = ? WHERE created > ?`,
		`UPDATE logins SET changed = ? WHERE changed > ?`,
		`UPDATE grants SET requested = ? WHERE requested > ?`,
		`UPDATE grants SET decided = ? WHERE decided > ?`,
		`UPDATE grants SET asked = ? WHERE asked > ?`,
		`UPDATE grants SET issued = ? WHERE issued > ?`,
		`UPDATE grants SET rotated = ? WHERE rotated > ?`,
		`DELETE FROM sessions WHERE created > ?`,
	} {
		if err := tx.exec(change, tx.nows(change)...); err != nil {
			return fmt.Errorf("redate: %w", err)
		}
	}
	return nil
}

// redateLinks keeps the order of the links, since the first of a device's is its
// owner's.
func (tx *Tx) redateLinks() error {
	links, err := list(tx, func(s scanner) (l cardea.LinkID, err error) {
		err = s.Scan(id(&l))
		return l, err
	}, `SELECT id FROM links WHERE created > ? ORDER BY created, id`, tx.Millis())
	if err != nil {
		return err
	}
	for i, link := range links {
		at := tx.Millis() - cardea.Millis(len(links)-1-i)
		if err := tx.exec(`UPDATE links SET created = ? WHERE id = ?`, at, link[:]); err != nil {
			return err
		}
	}
	return nil
}

// A redating says that what the ledgers had up to a cursor was there at an
// instant, whatever is recorded.
type redating struct {
	Cursor uint64        `json:"cursor"`
	At     cardea.Millis `json:"at"`
}

type redatings []redating // oldest first

func (r redatings) last() redating {
	if len(r) == 0 {
		return redating{}
	}
	return r[len(r)-1]
}

const metaRedated = "redated"

func (tx *Tx) redated() (r redatings, err error) {
	text, err := tx.Meta(metaRedated)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(text, &r)
}

func (tx *Tx) redateDecisions() error {
	all, err := tx.redated()
	if err != nil {
		return err
	}
	next := redating{At: tx.Millis()}
	if err := tx.row(`SELECT COALESCE(MAX(cursor), 0) FROM ledger`).Scan(&next.Cursor); err != nil {
		return err
	}
	text, err := json.Marshal(append(all, next))
	if err != nil {
		return err
	}
	return tx.SetMeta(metaRedated, text)
}

// dated corrects when the account's entries were recorded, for those who reckon
// with it.
func (tx *Tx) dated(account cardea.AccountID, entries []cardea.Entry) ([]cardea.Entry, error) {
	if len(entries) == 0 {
		return entries, nil
	}
	all, err := tx.redated()
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		var until uint64 // the last of this account's that it is about
		err := tx.row(`SELECT COALESCE(MAX(seq), 0) FROM ledger WHERE account = ? AND cursor <= ?`, account[:], r.Cursor).Scan(&until)
		if err != nil {
			return nil, err
		}
		for i, e := range entries {
			if e.Position.Seq <= until {
				entries[i].Recorded = min(e.Recorded, r.At)
			}
		}
	}
	return entries, nil
}
