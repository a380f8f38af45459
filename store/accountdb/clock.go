package accountdb

import (
	"time"

	"github.com/cardea-id/cardea"
)

// LatestRecorded is the greatest time at which one of the newest decisions was
// recorded, of any account; zero if there is none.
func (tx *Tx) LatestRecorded() (latest cardea.Millis, err error) {
	const newest = `SELECT recorded FROM ledger ORDER BY cursor DESC LIMIT 1000`
	err = tx.row(`SELECT COALESCE(MAX(recorded), 0) FROM (` + newest + `)`).Scan(&latest)
	return latest, err
}

// PutOffStops moves the time of every statement that a device may still act on,
// and with it the time by which it stops: the clock they were written by was
// found to be slow by d.
func (tx *Tx) PutOffStops(d time.Duration) error {
	return tx.exec(`UPDATE statements SET created = created + ?
		WHERE link IN (SELECT id FROM links WHERE have_revision <> revision AND state <> 'closed')`, d.Milliseconds())
}
