package accountdb

import "github.com/cardea-id/cardea"

// Silent counts the live links that were not heard of since a time.
func (tx *Tx) Silent(since cardea.Millis) (n int, err error) {
	err = tx.row(`SELECT COUNT(*) FROM links WHERE state = ? AND last_seen < ?`, LinkLive, since).Scan(&n)
	return n, err
}
