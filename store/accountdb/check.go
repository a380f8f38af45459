package accountdb

import (
	"context"
	"fmt"
	"strconv"
)

// metaCheck is where Check writes.
const metaCheck = "check"

// Check proves that the database takes a write, durably: it makes one.
func (db *DB) Check(ctx context.Context) error {
	err := db.Update(ctx, func(tx *Tx) error {
		return tx.SetMeta(metaCheck, strconv.AppendInt(nil, int64(tx.Millis()), 10))
	})
	if err != nil {
		return fmt.Errorf("check database: %w", err)
	}
	return nil
}

// CheckStops proves that what is stopped can be written to the journal.
func (db *DB) CheckStops(context.Context) error { return db.stops.Check() }
