package clock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// ErrOtherDay: somebody takes it to be another day than the machine does.
var ErrOtherDay = errors.New("this machine takes it to be another day: set its clock right first")

// Survey is what the database has of times that have not come yet, by the clock
// of its transactions.
func Survey(ctx context.Context, db *accountdb.DB) (now time.Time, found accountdb.Future, err error) {
	err = db.View(ctx, func(tx *accountdb.Tx) error {
		now = tx.Now
		found, err = tx.Future()
		return err
	})
	if err != nil {
		err = fmt.Errorf("survey: %w", err)
	}
	return now, found, err
}

// Repair takes what is dated after now to have happened now, so that the cloud
// need not wait until then ([accountdb.Tx.Redate]). A clock that is wrong would
// make things worse: whoever asks for it says what day it is, as in 2026-11-21
// (UTC), and the machine must agree.
func Repair(ctx context.Context, db *accountdb.DB, day string) (found accountdb.Future, err error) {
	err = db.Update(ctx, func(tx *accountdb.Tx) error {
		if today := tx.Now.UTC().Format(time.DateOnly); day != today {
			return fmt.Errorf("%w: %s", ErrOtherDay, today)
		}
		if found, err = tx.Future(); err != nil || !found.Any() {
			return err
		}
		if err := tx.Redate(); err != nil {
			return err
		}
		if err := tx.SetMeta(metaName, []byte("{}")); err != nil { // the clocks are compared anew
			return err
		}
		return tx.Audit(cardea.AccountID{}, "operator", "redated", fmt.Sprintf("%d decisions", found.Decisions))
	})
	if err != nil {
		return found, fmt.Errorf("repair: %w", err)
	}
	return found, nil
}
