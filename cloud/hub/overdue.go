package hub

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An owner is told by when each device has stopped, has forgotten them or is
// erased. An honest device keeps that by itself, whether or not it is heard. One
// that has not *proved* it when the time is over is overdue: it may be in a drawer
// or broken, or be none of ours any more, and the brand should look.

// A Late is what a device has not proved.
type Late string

// What there is to prove.
const (
	LateStop   Late = "stop"   // that it has stopped what was taken back
	LateUnlink Late = "unlink" // that it has forgotten its owner
	LateErase  Late = "erase"  // that it has erased itself
)

// Lates are all of them.
var Lates = []Late{LateStop, LateUnlink, LateErase}

// An Overdue device has not proved something by the time its owner was told.
type Overdue struct {
	What     Late
	Link     cardea.LinkID
	Subject  string // the owner's pseudonym
	Kind     cardea.DeviceKind
	Model    string
	By       time.Time // the time the owner was told
	LastSeen time.Time // zero: never
}

// leastStaleness is shorter than any bound: who was seen since is not late.
const leastStaleness = 10 * time.Minute

// Overdue lists overdue devices by link, of up to so many that could be, above
// one; next is where to go on, and zero at the end.
func (h *Hub) Overdue(ctx context.Context, above cardea.LinkID, most int) (late []Overdue, next cardea.LinkID, err error) {
	err = h.DB.View(ctx, func(tx *accountdb.Tx) error {
		late, next = nil, cardea.LinkID{}
		all, err := tx.Promises(above, leastStaleness, most)
		if err != nil {
			return err
		}
		for _, p := range all {
			o, is, err := h.overdue(tx, p)
			if err != nil {
				return err
			}
			if is {
				late = append(late, o)
			}
		}
		if len(all) == most {
			next = all[most-1].Link.ID
		}
		return nil
	})
	if err != nil {
		return nil, next, fmt.Errorf("overdue devices: %w", err)
	}
	return late, next, nil
}

// overdue judges one device.
func (h *Hub) overdue(tx *accountdb.Tx, p accountdb.Promise) (o Overdue, is bool, err error) {
	o = Overdue{Link: p.Link.ID, Subject: p.Subject}
	switch {
	case p.Erases != 0:
		o.What, o.By = LateErase, p.Erases.Time()
	case p.Link.State == accountdb.LinkClosing:
		o.What, o.By = LateUnlink, p.Link.Bound(tx.Millis()).Time()
	default:
		var d Device
		if err := h.bound(tx, p.Link, &d); err != nil {
			return o, false, err
		}
		o.What, o.By = LateStop, d.StopsBy
	}
	if o.By.IsZero() || o.By.After(tx.Now) {
		return o, false, nil
	}
	row, err := tx.Device(p.Link.Device)
	o.Kind, o.Model = row.Kind, row.Model
	if p.Link.LastSeen != 0 {
		o.LastSeen = p.Link.LastSeen.Time()
	}
	return o, true, err
}

// Lateness is what an operator watches.
type Lateness struct {
	Devices  map[Late]int // that are overdue
	Erasures int          // requests of which a device can still be waited for
	Due      time.Time    // by when the first of those should be answered; zero: there is none
}

// How often, and how many at once, late devices are looked for.
const (
	lateEvery = 10 * time.Minute
	lateChunk = 500
)

// WatchOverdue looks for overdue devices now and then until ctx ends. It tells the
// log of each once, and tell how many there are.
func (h *Hub) WatchOverdue(ctx context.Context, tell func(Lateness)) {
	known := map[cardea.LinkID]Late{}
	tick := time.NewTicker(lateEvery)
	defer tick.Stop()
	for {
		if err := h.lookForOverdue(ctx, known, tell); err != nil && ctx.Err() == nil {
			h.Log.ErrorContext(ctx, "overdue devices not looked for", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lookForOverdue goes through all of them once. known are those that were told.
func (h *Hub) lookForOverdue(ctx context.Context, known map[cardea.LinkID]Late, tell func(Lateness)) error {
	l := Lateness{Devices: map[Late]int{}}
	now := map[cardea.LinkID]Late{}
	for next, more := (cardea.LinkID{}), true; more; more = !next.IsZero() {
		var late []Overdue
		var err error
		if late, next, err = h.Overdue(ctx, next, lateChunk); err != nil {
			return err
		}
		for _, o := range late {
			l.Devices[o.What]++
			now[o.Link] = o.What
			if known[o.Link] != o.What {
				h.Log.WarnContext(ctx, "a device is overdue: it has not proved in time what its owner was told", "what", o.What, "link", o.Link, "by", o.By, "seen", o.LastSeen)
			}
		}
	}
	for _, id := range slices.Collect(maps.Keys(known)) {
		if now[id] == "" {
			h.Log.InfoContext(ctx, "a device is overdue no longer", "what", known[id], "link", id)
		}
	}
	clear(known)
	maps.Copy(known, now)
	err := h.DB.View(ctx, func(tx *accountdb.Tx) (err error) {
		var due cardea.Millis
		if l.Erasures, due, err = tx.ErasuresWaiting(); due != 0 {
			l.Due = due.Time()
		}
		return err
	})
	if err == nil {
		tell(l)
	}
	return err
}
