package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A State says how far a device has come with what the owner decided.
type State string

// The states of a device.
const (
	StateApplied State = "applied" // it has proved to hold the newest statement
	StateWaiting State = "waiting" // it has not, but what it holds allows nothing that is denied now
	StateStops   State = "stops"   // what it may hold still allows something denied now, until StopsBy
	StateLeaving State = "leaving" // it was unlinked and has not said that it is gone
)

// A Device is one link as its owner and the brand see it.
type Device struct {
	Link     cardea.LinkID
	Device   cardea.DeviceID
	Grant    string
	Name     string
	Kind     cardea.DeviceKind
	Model    string
	Serial   string
	Created  time.Time
	LastSeen time.Time // zero if never; to the minute
	Online   bool
	ByDay    bool // somebody else uses it now: times are days, and Online is not told
	Missing  bool // the device does not hold this link any more: it must be paired again
	Forked   bool // nothing is given until the owner has confirmed it
	Lost     bool // and that is because it has lost what was said on it: see Hub.Loss

	// ErasesBy is when it has erased the link by itself, if it is not answered
	// from now on.
	ErasesBy time.Time

	Missed time.Time // since when its owner misses it: nothing is given on it; zero if they do not

	State     State
	Revision  uint64    // of the newest statement
	Applied   uint64    // the revision it has proved to hold
	AppliedAt time.Time // when that proof came; zero if never
	// StopsBy is the instant at which even a device that hears nothing more has
	// stopped what is denied now: the latest of Stops, and zero if something is
	// Endless. See Bounds.
	StopsBy time.Time
	Stops   map[cardea.Key]time.Time
	// Kept is what became of what was collected on it and did not leave.
	Kept    []cardea.Kept
	Endless map[cardea.Key]bool
}

// Devices lists the account's devices that have not left, oldest first.
func (h *Hub) Devices(ctx context.Context, account cardea.AccountID) ([]Device, error) {
	var out []Device
	err := h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		out = nil
		links, err := tx.Links(account)
		if err != nil {
			return err
		}
		for _, link := range links {
			if link, err = h.current(tx, link); err != nil {
				return err
			}
			d, err := h.device(tx, link)
			if err != nil {
				return err
			}
			out = append(out, d)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("devices: %w", err)
	}
	return out, nil
}

func (h *Hub) device(tx *accountdb.Tx, link accountdb.Link) (Device, error) {
	row, err := tx.Device(link.Device)
	if err != nil {
		return Device{}, err
	}
	name, err := tx.LinkName(link)
	if err != nil {
		return Device{}, err
	}
	d := Device{
		Link: link.ID, Device: link.Device, Grant: link.Grant, Name: name, Kind: row.Kind, Model: row.Model, Serial: row.Serial,
		Created: link.Created.Time(), ErasesBy: link.Bound(tx.Millis()).Time(), Online: h.Pipe.Connected(link.Device), Forked: link.Forked,
		Revision: link.Revision, Applied: link.Have.Revision, State: StateApplied,
	}
	loss, err := openLoss(tx, link)
	if err != nil {
		return d, err
	}
	d.Lost = !loss.IsZero()
	if link.Missed > 0 {
		d.Missed = link.Missed.Time()
	}
	if d.Kept, err = tx.Purged(link.ID); err != nil {
		return d, err
	}
	if link.LastSeen > 0 {
		d.LastSeen = link.LastSeen.Time()
	}
	if link.Applied > 0 {
		d.AppliedAt = link.Applied.Time()
	}
	if link.Have.Revision != link.Revision {
		err = h.bound(tx, link, &d)
	}
	if link.State == accountdb.LinkClosing {
		d.State = StateLeaving
	}
	if err != nil {
		return d, err
	}
	p, err := tx.Presence(link.ID)
	d.Missing = p.Missing != 0
	if p.Away {
		d.discreet()
	}
	return d, err
}

// bound works out until when a device that has not confirmed may still act on
// what it holds.
func (h *Hub) bound(tx *accountdb.Tx, link accountdb.Link, d *Device) error {
	held, err := tx.Statements(link.ID)
	if err != nil {
		return err
	}
	b, err := BoundsOf(held)
	if err != nil {
		return err
	}
	d.Stops, d.Endless = b.Stops, b.Endless
	d.State = StateWaiting
	for _, at := range d.Stops {
		d.State = StateStops
		if at.After(d.StopsBy) {
			d.StopsBy = at
		}
	}
	if len(d.Endless) > 0 {
		d.StopsBy = time.Time{}
	}
	return nil
}

// Unlink ends a link from the owner's side. The device is ordered to forget it;
// until it confirms the link is leaving. Its tokens end at once.
func (h *Hub) Unlink(ctx context.Context, account cardea.AccountID, id cardea.LinkID) error {
	err := h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		link, err := h.owned(tx, account, id)
		if err != nil || link.State != accountdb.LinkLive {
			return err
		}
		return h.unlink(tx, link, cardea.ChannelPortal)
	})
	if err != nil {
		return fmt.Errorf("unlink: %w", err)
	}
	h.Ledger.Committed(account)
	return nil
}

func (h *Hub) unlink(tx *accountdb.Tx, link accountdb.Link, from cardea.Channel) error {
	e := cardea.Entry{
		Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActUnlink},
		Scope:    cardea.Scope{Device: link.Device}, By: cardea.Owner, Channel: from, Link: link.ID,
	}
	if _, err := tx.Append(link.Account, e); err != nil {
		return err
	}
	if err := tx.SetState(link.ID, accountdb.LinkClosing, cardea.NewID[cardea.OrderID]()); err != nil {
		return err
	}
	if err := h.left(tx, link); err != nil {
		return err
	}
	return revoke(tx, link.Grant)
}

// Leave ends a grant whose client has revoked it, and the link that was made with
// it, if one was. The device's own words are still taken: the link is leaving
// until it has said its last.
func (h *Hub) Leave(ctx context.Context, account cardea.AccountID, grant pairing.GrantID) error {
	err := h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		link, err := tx.LinkByGrant(string(grant))
		switch {
		case errors.Is(err, accountdb.ErrNotFound) || err == nil && link.State != accountdb.LinkLive:
			return revoke(tx, string(grant))
		case err != nil:
			return err
		}
		return h.unlink(tx, link, cardea.ChannelDevice)
	})
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	h.Ledger.Committed(account)
	return nil
}

// ConfirmFork lets a forked link be given again what the ledger gives: the owner
// says that the device in their hands is the right one. Where it has lost
// something that is not enough: accountdb.ErrNotFound, see ConfirmLoss.
func (h *Hub) ConfirmFork(ctx context.Context, account cardea.AccountID, id cardea.LinkID) error {
	err := h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		link, err := h.owned(tx, account, id)
		if err != nil || !link.Forked {
			return err
		}
		if loss, err := openLoss(tx, link); err != nil || !loss.IsZero() {
			return cmp.Or(err, accountdb.ErrNotFound)
		}
		return unfork(tx, link, "fork confirmed")
	})
	if err != nil {
		return fmt.Errorf("confirm device: %w", err)
	}
	h.Ledger.Committed(account)
	return nil
}

// unfork has a link's statement built again, with what is given.
func unfork(tx *accountdb.Tx, link accountdb.Link, why string) error {
	if err := tx.SetForked(link.ID, false); err != nil {
		return err
	}
	if err := tx.SetBuilt(link.ID, link.Revision, cardea.Position{}, link.Catalogue); err != nil {
		return err
	}
	return tx.Audit(link.Account, "owner", why, link.ID.String())
}

// owned reads a link of this account; another account's is not found.
func (h *Hub) owned(tx *accountdb.Tx, account cardea.AccountID, id cardea.LinkID) (accountdb.Link, error) {
	link, err := tx.Link(id)
	if err == nil && link.Account != account {
		return link, accountdb.ErrNotFound
	}
	return link, err
}
