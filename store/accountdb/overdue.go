package accountdb

import (
	"time"

	"github.com/cardea-id/cardea"
)

// A Promise is a device that has something to prove, and may be late with it.
type Promise struct {
	Link    Link
	Subject string // of the account, also of an erased one
	// Erases is when a device of an erased account has erased itself at the latest;
	// 0 for all others.
	Erases cardea.Millis
}

// Promises lists, by link and above one, up to so many devices that have not
// proved something for as long as given: that they hold the newest statement, that
// they have left, or that they are erased. What its owner misses, or has not got any
// more, is nobody's to wait for.
func (tx *Tx) Promises(above cardea.LinkID, silent time.Duration, most int) ([]Promise, error) {
	found, err := list(tx, func(s scanner) (p Promise, err error) {
		err = s.Scan(id(&p.Link.ID), &p.Subject, &p.Erases)
		return p, err
	}, `SELECT links.id, subject, COALESCE(bound, 0) FROM links JOIN accounts ON accounts.id = links.account
		LEFT JOIN erased_links ON erased_links.link = links.id
		WHERE links.id > ? AND links.missed = 0 AND state <> 'closed' AND last_seen < ?
		AND (have_revision <> revision OR state = 'closing')
		AND (bound IS NULL OR erased_links.erased = 0 AND erased_links.missed = 0)
		AND NOT EXISTS (SELECT 1 FROM presence WHERE presence.link = links.id AND missing <> 0)
		ORDER BY links.id LIMIT ?`, above[:], tx.Millis().Add(-silent), most)
	for i := range found {
		if err == nil {
			found[i].Link, err = tx.Link(found[i].Link.ID)
		}
	}
	return found, err
}

// ErasuresWaiting counts the accounts that were erased and of which a device can
// still be waited for, and tells by when the first of them should be answered; 0 if
// there is none.
func (tx *Tx) ErasuresWaiting() (n int, due cardea.Millis, err error) {
	err = tx.row(`SELECT COUNT(*), COALESCE(MIN(due), 0) FROM erasures WHERE EXISTS (SELECT 1 FROM erased_links
		WHERE erased_links.account = erasures.account AND erased = 0 AND missed = 0 AND bound > ?)`, tx.Millis()).Scan(&n, &due)
	return n, due, err
}
