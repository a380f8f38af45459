package hub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// Whoever registers with an address and never answers from it is signed in by the
// browser they did it in, and by nothing else. Once that is signed out, or after its
// thirty days, nobody can come into the account again, not even to delete it: the
// address may be a slip of the keyboard, and somebody else's. So it goes by itself.

// UnconfirmedLife is how old an account is at least that goes so.
const UnconfirmedLife = 7 * 24 * time.Hour

// How often, and how many at once, such accounts are looked for.
const (
	clearEvery = time.Hour
	clearChunk = 100
)

// ClearUnconfirmed looks for them now and then until ctx ends.
func (h *Hub) ClearUnconfirmed(ctx context.Context) {
	tick := time.NewTicker(clearEvery)
	defer tick.Stop()
	for {
		n, err := h.clearUnconfirmed(ctx)
		if err != nil && ctx.Err() == nil {
			h.Log.ErrorContext(ctx, "accounts that were never confirmed not cleared", "err", err)
		}
		if n > 0 {
			h.Log.InfoContext(ctx, "accounts that were never confirmed and that nobody can come into are cleared", "accounts", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// clearUnconfirmed clears all there are and says how many.
func (h *Hub) clearUnconfirmed(ctx context.Context) (cleared int, err error) {
	for {
		var found []cardea.AccountID
		err := h.DB.View(ctx, func(tx *accountdb.Tx) (err error) {
			found, err = tx.Unconfirmed(UnconfirmedLife, clearChunk)
			return err
		})
		if err != nil || len(found) == 0 {
			return cleared, err
		}
		for _, account := range found {
			if err := h.clear(ctx, account); err != nil {
				return cleared, fmt.Errorf("clear account: %w", err)
			}
			cleared++
		}
		if err := h.DB.Scrub(ctx); err != nil {
			h.Log.WarnContext(ctx, "what was cleared may stand in the database's log a little longer", "err", err)
		}
	}
}

// clear leaves nothing of an account that did nothing. Any other is erased, as if
// its owner had: its devices hear of it, and the ledger stays.
func (h *Hub) clear(ctx context.Context, account cardea.AccountID) error {
	unused := false
	err := h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		still, err := tx.Unconfirmed(UnconfirmedLife, clearChunk)
		if err != nil || !slices.Contains(still, account) { // another cloud was first
			unused = true
			return err
		}
		if unused, err = tx.Unused(account); err != nil || !unused {
			return err
		}
		return tx.DropUnused(account)
	})
	if err != nil || unused {
		return err
	}
	_, _, err = h.Erase(ctx, account, cardea.ChannelPortal, "cloud, because it was never confirmed")
	return err
}
