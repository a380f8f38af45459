package accountdb

import (
	"time"

	"github.com/cardea-id/cardea"
)

// LatestRecorded is the greatest time at which one of the newest decisions was
// recorded, of any account; zero if there is none. What was there when everything
// was redated counts from then, see [Tx.Redate].
func (tx *Tx) LatestRecorded() (latest cardea.Millis, err error) {
	all, err := tx.redated()
	if err != nil {
		return 0, err
	}
	const newest = `SELECT recorded FROM ledger WHERE cursor > ? ORDER BY cursor DESC LIMIT 1000`
	err = tx.row(`SELECT COALESCE(MAX(recorded), 0) FROM (`+newest+`) AS newest`, all.last().Cursor).Scan(&latest)
	return max(latest, all.last().At), err
}

// PutOffStops moves the time of every statement that a device may still act on,
// and with it the time by which it stops: the clock they were written by was
// found to be slow by d.
func (tx *Tx) PutOffStops(d time.Duration) error {
	return tx.exec(`UPDATE statements SET created = created + ?
		WHERE link IN (SELECT id FROM links WHERE have_revision <> revision AND state <> 'closed')`, d.Milliseconds())
}
