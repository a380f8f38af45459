package hub

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// forEveryone acts on what the device's owner said for all who use it: the other
// links are told anew, and not by whom.
func (h *Hub) forEveryone(tx *accountdb.Tx, link accountdb.Link, up cardea.Up, e cardea.LogEntry) error {
	switch {
	case e.Act == cardea.ActLift:
		if err := tx.LiftForAll(link.Device, e.Key, link.ID); err != nil {
			return err
		}
	case e.Act == cardea.ActDeny && e.Reach == cardea.ReachEveryone && link.State == accountdb.LinkLive:
		links, err := tx.LinksOfDevice(link.Device)
		if owner, ok := ownerOf(links, up.Links); err != nil || !ok || owner != link.ID {
			return err
		}
		if err := tx.DenyForAll(link.Device, e.Key, link.ID); err != nil {
			return err
		}
	default:
		return nil
	}
	return h.outdate(tx, link)
}

// ownerOf is the first of a device's links that the device holds. One that has left, and could not say so yet, owns nothing.
func ownerOf(links []accountdb.Link, held []cardea.LinkID) (id cardea.LinkID, ok bool) {
	first := slices.IndexFunc(links, func(l accountdb.Link) bool { return slices.Contains(held, l.ID) })
	if first < 0 {
		return id, false
	}
	return links[first].ID, true
}

// left ends what a link's person denied for all: it lasts as long as the link.
func (h *Hub) left(tx *accountdb.Tx, link accountdb.Link) error {
	denials, err := tx.DeviceDenials(link.Device)
	if err != nil || !slices.ContainsFunc(denials, func(d accountdb.DeviceDenial) bool { return d.Link == link.ID }) {
		return err
	}
	if err := tx.LiftAllOf(link.ID); err != nil {
		return err
	}
	return h.outdate(tx, link)
}

// allowedAgain ends what a link's person denied for all, where the body gives it
// to them: they have said yes on this device, in the knowledge of their no.
func (h *Hub) allowedAgain(tx *accountdb.Tx, link accountdb.Link, body cardea.Body) error {
	denials, err := tx.DeviceDenials(link.Device)
	if err != nil {
		return err
	}
	for _, d := range denials {
		given := func(c cardea.Consent) bool { return c.Key == d.Key && c.Given() && c.Class != cardea.ClassN }
		if d.Link != link.ID || !slices.ContainsFunc(body.Consents, given) {
			continue
		}
		if err := tx.LiftForAll(link.Device, d.Key, link.ID); err != nil {
			return err
		}
		if err := h.outdate(tx, link); err != nil {
			return err
		}
	}
	return nil
}

// outdate has the device's other links told anew. Their accounts are woken
// before the commit, which costs a look too early at most: the sweep finds what
// that look missed.
func (h *Hub) outdate(tx *accountdb.Tx, author accountdb.Link) error {
	links, err := tx.LinksOfDevice(author.Device)
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.ID == author.ID {
			continue
		}
		if err := tx.Outdate(link.ID); err != nil {
			return err
		}
		h.Wake(link.Account)
	}
	return nil
}

// attend notes whether the link's person is the one who uses the device. proved
// says that the report is the first to prove the newest statement it can.
//
// A boot that proves a statement, after another boot has proved one issued
// later than its last, is another machine with the same key: what a device has
// applied it has applied for good, and a boot does not come back. No delay and no
// repetition of honest reports looks like it, and any number of copies does that
// take turns, up to the number of boots that are remembered.
func (h *Hub) attend(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up, proved bool) error {
	before, err := tx.Presence(link.ID)
	if err != nil {
		return err
	}
	now := before
	now.Away, now.Missing = up.Away, 0
	if proved {
		now = now.Proved(up.Boot)
	}
	cloned := now.Boot != before.Boot && slices.Contains(before.Before, up.Boot)
	if now.Away != before.Away || now.Missing != before.Missing || now.Boot != before.Boot {
		if err := tx.PutPresence(link.ID, now); err != nil {
			return err
		}
	}
	if !cloned || link.Forked {
		return nil
	}
	if err := h.fork(tx, link); err != nil {
		return err
	}
	if err := tx.Audit(link.Account, "device", "cloned", link.ID.String()); err != nil {
		return err
	}
	next, err := h.current(tx, *link)
	*link = next
	return err
}

// orphans notes which links of the device it does not hold any more: it lists
// those it holds in every report. Their accounts are shown that they must pair
// again; what is said to such a link nobody can read. A link that the device has
// never reported on may be one that it is just being told of.
func orphans(tx *accountdb.Tx, up cardea.Up) error {
	if !slices.Contains(up.Links, up.Link) || len(up.Links) >= wire.MaxLinks {
		return nil // it has not listed them, or not all
	}
	links, err := tx.LinksOfDevice(up.Device)
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.State != accountdb.LinkLive || slices.Contains(up.Links, link.ID) {
			continue
		}
		if err := tx.Missing(link.ID); err != nil {
			return err
		}
	}
	return nil
}

// discreet leaves of when a device was in reach what is the person's to know
// while somebody else uses it: the day.
func (d *Device) discreet() {
	d.Online, d.ByDay = false, true
	d.ErasesBy = d.ErasesBy.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	for _, at := range []*time.Time{&d.LastSeen, &d.AppliedAt} {
		if !at.IsZero() {
			*at = at.UTC().Truncate(24 * time.Hour)
		}
	}
}
