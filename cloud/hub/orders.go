package hub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// identifyWithin is how long a device has to show itself: one that comes back
// later would startle whoever is there.
const identifyWithin = 2 * time.Minute

// Identify has a device show or sound itself, if it can be reached within two
// minutes, so that its owner sees which one it is. Asking again while it was not
// done asks for nothing more.
func (h *Hub) Identify(ctx context.Context, account cardea.AccountID, id cardea.LinkID) error {
	return h.onLive(ctx, "identify", account, id, func(tx *accountdb.Tx, link accountdb.Link) error {
		if _, err := tx.DropOrders(link.ID, cardea.OrderIdentify, identifyWithin); err != nil {
			return err
		}
		orders, err := tx.Orders(link.ID)
		if err != nil || slices.ContainsFunc(orders, identifies) {
			return err
		}
		if err := tx.PutOrder(link.ID, cardea.OrderIdentify); err != nil {
			return err
		}
		return tx.Outdate(link.ID)
	})
}

func identifies(o cardea.Order) bool { return o.Kind == cardea.OrderIdentify }

// obeyed takes a device's word on what it was asked to do, and takes back what it
// was asked too long ago.
func (h *Hub) obeyed(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up) error {
	orders, err := tx.Orders(link.ID)
	if err != nil || len(orders) == 0 {
		return err
	}
	changed, err := tx.DropOrders(link.ID, cardea.OrderIdentify, identifyWithin)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if o.Kind == cardea.OrderReport {
			link.LastSeen = tx.Millis() // to the millisecond, for who has asked
		} else if !slices.Contains(up.Done, o.ID) {
			continue
		}
		done, err := tx.OrderDone(link.ID, o.ID)
		if err != nil {
			return err
		}
		if o.Kind == cardea.OrderErase && link.State != accountdb.LinkClosed {
			if err := h.close(tx, link); err != nil {
				return err
			}
		}
		changed = changed || done
	}
	if changed {
		link.Built = cardea.Position{} // what it was told is built again
	}
	return nil
}

// onLive changes a link of the account that is live, and has its device told;
// accountdb.ErrNotFound if there is no such link.
func (h *Hub) onLive(ctx context.Context, what string, account cardea.AccountID, id cardea.LinkID, f func(*accountdb.Tx, accountdb.Link) error) error {
	err := h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		link, err := h.owned(tx, account, id)
		if err != nil {
			return err
		}
		if link.State != accountdb.LinkLive {
			return accountdb.ErrNotFound
		}
		return f(tx, link)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	h.Ledger.Committed(account)
	return nil
}

// Rename gives a device another name, which its owner's pages show. The device is
// not told: it has the name it was paired under.
func (h *Hub) Rename(ctx context.Context, account cardea.AccountID, id cardea.LinkID, name string) error {
	return h.onLive(ctx, "rename", account, id, func(tx *accountdb.Tx, link accountdb.Link) error {
		return tx.SetLinkName(link, name)
	})
}

// ReportMissed is the owner's word that a device is lost or stolen: everything on
// it is denied, its tokens work no more, and it is not told any more who its
// owner is. Nothing is ended: see Recovered.
func (h *Hub) ReportMissed(ctx context.Context, account cardea.AccountID, id cardea.LinkID) error {
	return h.missed(ctx, account, id, true)
}

// Recovered is the owner's word that they have a device again that they missed.
// What the ledger gives is given on it again.
func (h *Hub) Recovered(ctx context.Context, account cardea.AccountID, id cardea.LinkID) error {
	return h.missed(ctx, account, id, false)
}

func (h *Hub) missed(ctx context.Context, account cardea.AccountID, id cardea.LinkID, missed bool) error {
	return h.onLive(ctx, "missed", account, id, func(tx *accountdb.Tx, link accountdb.Link) error {
		if missed == (link.Missed != 0) {
			return nil
		}
		if err := tx.SetMissed(link.ID, missed); err != nil {
			return err
		}
		return tx.Audit(account, "owner", map[bool]string{true: "device missed", false: "device recovered"}[missed], link.ID.String())
	})
}

// GiveAway is the owner's word that a device is somebody else's now. Its link ends
// as with Unlink; and if it was the first on the device, whose it was, the
// device's key makes no new link: whoever has it now resets it first, which takes
// away what others left there.
func (h *Hub) GiveAway(ctx context.Context, account cardea.AccountID, id cardea.LinkID) error {
	return h.onLive(ctx, "give away", account, id, func(tx *accountdb.Tx, link accountdb.Link) error {
		links, err := tx.LinksOfDevice(link.Device)
		if err != nil {
			return err
		}
		if len(links) > 0 && links[0].ID == link.ID {
			if err := tx.Retire(link.Device); err != nil {
				return err
			}
		}
		if err := tx.Audit(account, "owner", "device given away", link.ID.String()); err != nil {
			return err
		}
		return h.unlink(tx, link, cardea.ChannelPortal)
	})
}
