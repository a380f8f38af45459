package hub

import (
	"context"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A device that may have lost what was stopped on it says so in every report,
// with an id that is new with each loss. Nobody but the owner can know what it
// was. So nothing is given on the link until they have said what the device may
// do again; what they leave out is denied on it.

// A Loss waits for the owner.
type Loss struct {
	ID     cardea.LossID
	Device Device
	// Given are the keys that would be given on the device again.
	Given []cardea.Key
}

// lose takes a device's word that it has lost something, once.
func (h *Hub) lose(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up) error {
	if up.Loss.IsZero() || link.State != accountdb.LinkLive {
		return nil
	}
	known, err := tx.Losses(link.ID)
	if err != nil || slices.ContainsFunc(known, func(l accountdb.Loss) bool { return l.ID == up.Loss }) {
		return err
	}
	if err := tx.PutLoss(link.ID, up.Loss); err != nil {
		return err
	}
	if err := tx.Audit(link.Account, "device", "lost what was said on it", link.ID.String()); err != nil {
		return err
	}
	return h.fork(tx, link)
}

// confirmed is the loss of a report, once the owner has confirmed it.
func confirmed(tx *accountdb.Tx, up cardea.Up) (cardea.LossID, error) {
	if up.Loss.IsZero() {
		return cardea.LossID{}, nil
	}
	known, err := tx.Losses(up.Link)
	if slices.Contains(known, accountdb.Loss{ID: up.Loss, Confirmed: true}) {
		return up.Loss, err
	}
	return cardea.LossID{}, err
}

// openLoss is the newest loss of a link that waits for the owner, or zero.
func openLoss(tx *accountdb.Tx, link accountdb.Link) (open cardea.LossID, err error) {
	if !link.Forked || link.State != accountdb.LinkLive {
		return open, nil
	}
	all, err := tx.Losses(link.ID)
	for _, l := range all {
		if !l.Confirmed {
			open = l.ID
		}
	}
	return open, err
}

// Loss is what the owner is to confirm of a link: accountdb.ErrNotFound if there
// is nothing.
func (h *Hub) Loss(ctx context.Context, account cardea.AccountID, id cardea.LinkID) (l Loss, err error) {
	err = h.DB.View(ctx, func(tx *accountdb.Tx) error {
		l = Loss{}
		link, err := h.owned(tx, account, id)
		if err != nil {
			return err
		}
		if l.ID, err = openLoss(tx, link); err != nil {
			return err
		}
		if l.ID.IsZero() {
			return accountdb.ErrNotFound
		}
		if l.Device, err = h.device(tx, link); err != nil {
			return err
		}
		l.Given, err = h.confirmedGives(tx, link)
		return err
	})
	if err != nil {
		return Loss{}, fmt.Errorf("loss: %w", err)
	}
	return l, nil
}

// confirmedGives lists what the ledger gives on a link, were it not forked.
func (h *Hub) confirmedGives(tx *accountdb.Tx, link accountdb.Link) (keys []cardea.Key, err error) {
	link.Forked = false
	cat, _ := h.Ledger.Catalogue.Current()
	body, err := h.Ledger.Body(tx, cat, link)
	for _, c := range body.Consents {
		if c.Given() && c.Class != cardea.ClassN {
			keys = append(keys, c.Key)
		}
	}
	return keys, err
}

// ConfirmLoss is the owner's word on a loss: of what the ledger gives on the
// device, again may be done again and all else is denied on it. It is
// accountdb.ErrNotFound if the loss is not the one that waits.
func (h *Hub) ConfirmLoss(ctx context.Context, account cardea.AccountID, id cardea.LinkID, loss cardea.LossID, again []cardea.Key) error {
	err := h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		link, err := h.owned(tx, account, id)
		if err != nil {
			return err
		}
		open, err := openLoss(tx, link)
		if err != nil {
			return err
		}
		if open.IsZero() || open != loss {
			return accountdb.ErrNotFound
		}
		if err := h.denyAllBut(tx, link, again); err != nil {
			return err
		}
		if err := tx.ConfirmLosses(id); err != nil {
			return err
		}
		return unfork(tx, link, "loss confirmed")
	})
	if err != nil {
		return fmt.Errorf("confirm loss: %w", err)
	}
	h.Ledger.Committed(account)
	return nil
}

// denyAllBut denies on a link's device what is given there and not in keep.
func (h *Hub) denyAllBut(tx *accountdb.Tx, link accountdb.Link, keep []cardea.Key) error {
	given, err := h.confirmedGives(tx, link)
	if err != nil {
		return err
	}
	for _, key := range given {
		if slices.Contains(keep, key) {
			continue
		}
		account, err := tx.Account(link.Account)
		if err != nil {
			return err
		}
		no := cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key, Base: account.Head}
		p := ledger.Proposal{Decision: no, Channel: cardea.ChannelPortal, Scope: cardea.Scope{Device: link.Device}}
		if _, err := h.Ledger.Take(tx, link.Account, p); err != nil {
			return err
		}
	}
	return nil
}
