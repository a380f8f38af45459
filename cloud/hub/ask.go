package hub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// patience is how long devices in reach are given to say how they stand.
const patience = 2 * time.Second

// Ask has the devices of an account that are in reach say how they stand, and
// returns when all have, or after two seconds. What they say is in the database as
// that of any report is; a device has answered if it was seen at since or later.
func (h *Hub) Ask(ctx context.Context, account cardea.AccountID) (since time.Time, err error) {
	var asked []cardea.LinkID
	err = h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		since, asked = tx.Millis().Time(), nil
		links, err := tx.Links(account)
		if err != nil {
			return err
		}
		for _, link := range links {
			if link.State != accountdb.LinkLive || !h.Pipe.Connected(link.Device) {
				continue
			}
			asked = append(asked, link.ID)
			if err := ask(tx, link.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return since, fmt.Errorf("ask devices: %w", err)
	}
	if len(asked) > 0 {
		h.Wake(account)
		err = h.answered(ctx, asked)
	}
	return since, err
}

// ask has one question stand in what the device is told, however often it is put.
func ask(tx *accountdb.Tx, link cardea.LinkID) error {
	orders, err := tx.Orders(link)
	if err != nil || slices.ContainsFunc(orders, asksToReport) {
		return err
	}
	if err := tx.PutOrder(link, cardea.OrderReport); err != nil {
		return err
	}
	return tx.Outdate(link)
}

func asksToReport(o cardea.Order) bool { return o.Kind == cardea.OrderReport }

// answered waits until no device is asked any more, and takes back what was not
// answered in time: who comes back later need not answer.
func (h *Hub) answered(ctx context.Context, asked []cardea.LinkID) error {
	for waited, step := time.Duration(0), 10*time.Millisecond; waited < patience; waited, step = waited+step, min(2*step, 100*time.Millisecond) {
		open := false
		err := h.DB.View(ctx, func(tx *accountdb.Tx) error {
			open = false
			for _, link := range asked {
				orders, err := tx.Orders(link)
				if err != nil {
					return err
				}
				open = open || slices.ContainsFunc(orders, asksToReport)
			}
			return nil
		})
		if err != nil || !open {
			return err
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		for _, link := range asked {
			if dropped, err := tx.DropOrders(link, cardea.OrderReport, 0); err != nil {
				return err
			} else if !dropped {
				continue
			}
			if err := tx.Outdate(link); err != nil {
				return err
			}
		}
		return nil
	})
}
