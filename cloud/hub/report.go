package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/accountdb"
)

// ErrUnknownLink: a report on a link the cloud does not know. It is answered by
// a signed "unknown", never by an order to erase.
var ErrUnknownLink = errors.New("unknown link")

// seenEvery is how fine "last seen" is kept: renewals write nothing else.
const seenEvery = time.Minute

// Handle takes one sealed report, whichever way it came, and returns the sealed
// answer. Who sent it is proven by its signature alone. With ErrUnknownLink the
// answer is the signed word that the link is not known; with any other error
// there is none.
func (h *Hub) Handle(ctx context.Context, sealed []byte) ([]byte, error) {
	answer, err := h.handle(ctx, sealed)
	if err != nil {
		h.count(taken{}, err)
	}
	return answer, err
}

func (h *Hub) handle(ctx context.Context, sealed []byte) ([]byte, error) {
	id, err := wire.PeekUp(sealed)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	up, err := h.open(ctx, id, sealed)
	if errors.Is(err, accountdb.ErrNotFound) {
		answer, err := wire.SignUnknown(sealed, id, h.Signer())
		return answer, errors.Join(ErrUnknownLink, err)
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	done, err := h.take(ctx, up)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	h.count(done, nil)
	switch {
	case done.asked:
		h.Log.WarnContext(ctx, "a device knows more than the database, which was put back to an earlier state: it is asked for its statement", "link", id)
	case done.recovered > 0:
		h.Log.WarnContext(ctx, "what the database had forgotten is denied on the device", "link", id, "decisions", done.recovered)
	}
	h.note(done.answer)
	switch {
	case done.changed: // other devices hear of what was decided
		h.Ledger.Committed(done.link.Account)
	case done.moved:
		h.changed(done.link.Account)
	}
	return h.seal(done.answer)
}

// open verifies a report with the key of its link's device.
func (h *Hub) open(ctx context.Context, id cardea.LinkID, sealed []byte) (up cardea.Up, err error) {
	var device accountdb.Device
	var key [32]byte
	err = h.DB.View(ctx, func(tx *accountdb.Tx) error {
		device, key, err = tx.Sender(id)
		return err
	})
	if err != nil {
		return up, err
	}
	pub, err := jose.ParseJWK(device.PublicKey)
	if err != nil {
		return up, err
	}
	return wire.OpenUp(sealed, device.ID, id, key, pub)
}

// A taken report is what its transaction came to.
type taken struct {
	link    accountdb.Link
	changed bool // the ledger has grown
	moved   bool // the device has come to something else
	answer  outgoing

	asked     bool // the report knows more than the cloud, and is asked for it
	recovered int  // what was stopped again by the statement the device held

	applied  time.Duration // since the change that the report newly proves
	rejected []cardea.Rejected
}

// take is the one transaction in which a report is handled.
func (h *Hub) take(ctx context.Context, up cardea.Up) (t taken, err error) {
	err = h.update(ctx, func(tx *accountdb.Tx) error {
		t = taken{}
		link, err := tx.Link(up.Link)
		if err != nil {
			return err
		}
		before := link
		before.Rejected = slices.Clone(link.Rejected)
		held, err := h.hear(tx, &link, up, &t)
		if err != nil {
			return err
		}
		if link, err = h.current(tx, link); err != nil {
			return err
		}
		if !t.asked {
			if err := h.confirm(tx, &link, up, held); err != nil {
				return err
			}
		}
		if err := t.keep(tx, before, link); err != nil {
			return err
		}
		t.answer, err = h.answer(tx, link, up)
		if t.asked {
			t.answer.down.Recover, t.answer.down.Body, t.answer.down.Confirmed = true, nil, cardea.LossID{}
		}
		return err
	})
	return t, err
}

// hear takes what a report says was decided and done. If it knows more than the
// cloud, it is asked for the statement it holds, or held is that statement.
func (h *Hub) hear(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up, t *taken) (held *cardea.Down, err error) {
	ahead, err := h.ahead(tx, *link, up) // before its entries are taken
	if err != nil {
		return nil, err
	}
	if err := h.lose(tx, link, up); err != nil { // what else it says can only stop something
		return nil, err
	}
	if err := h.consume(tx, link, up, t); err != nil {
		return nil, err
	}
	if err := h.told(tx, link, up); err != nil {
		return nil, err
	}
	if t.asked = ahead && len(up.Held) == 0; !ahead || t.asked {
		return nil, nil
	}
	held = h.evidence(*link, up)
	return held, h.heal(tx, link, up, held, t)
}

// keep writes what is known of the link by now, and notes what has moved.
func (t *taken) keep(tx *accountdb.Tx, before, link accountdb.Link) (err error) {
	if link.Have != before.Have {
		if t.applied, err = sinceChange(tx, before, link); err != nil {
			return err
		}
	}
	if reported(before, link) {
		if err := tx.SetReported(link); err != nil {
			return err
		}
	}
	t.moved = link.Have != before.Have || link.State != before.State || link.Forked != before.Forked || link.LastSeen != before.LastSeen
	t.link = link
	return nil
}

// told records what a report says beside its entries: what was deleted unsent, and
// which orders were obeyed.
func (h *Hub) told(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up) error {
	if up.Purged != nil {
		if err := tx.PutPurged(link.ID, *up.Purged); err != nil {
			return err
		}
	}
	return h.obeyed(tx, link, up)
}

// heal takes up what the device knows and the cloud forgot.
func (h *Hub) heal(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up, held *cardea.Down, t *taken) (err error) {
	if t.recovered, err = h.recover(tx, *link, up, held); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	link.Built = cardea.Position{} // whatever came of it
	t.changed = t.changed || t.recovered > 0
	return nil
}

// reported tells whether a report has changed what is kept of the link.
func reported(a, b accountdb.Link) bool {
	return a.Have != b.Have || a.Applied != b.Applied || a.LastSeen != b.LastSeen || a.Clock != b.Clock ||
		a.Forked != b.Forked || a.Seen != b.Seen || !slices.Equal(a.Rejected, b.Rejected)
}

// consume takes every entry of the device's log that was not consumed before:
// it is folded, or listed as rejected with its reason.
func (h *Hub) consume(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up, t *taken) error {
	var failed error
	fresh, err := cardea.Fresh(up.Entries, func(n uint64) cardea.Hash {
		hash, err := tx.LogHash(link.ID, up.Log, n)
		failed = errors.Join(failed, err)
		return hash
	})
	if failed != nil {
		return failed
	}
	if errors.Is(err, cardea.ErrForked) {
		return h.fork(tx, link)
	}
	if len(fresh) > 0 {
		link.Rejected = unheard(link.Rejected, up.Entries)
	}
	for _, e := range fresh {
		if err := h.consumeEntry(tx, link, up, e, t); err != nil {
			return fmt.Errorf("entry %d: %w", e.N, err)
		}
	}
	link.Seen, err = tx.SeenOf(link.ID, up.Log)
	return err
}

// unheard keeps the rejections of entries that the device still holds: it has
// not got the answer that told it.
func unheard(rejected []cardea.Rejection, held []cardea.LogEntry) (out []cardea.Rejection) {
	for _, r := range rejected {
		if slices.ContainsFunc(held, func(e cardea.LogEntry) bool { return e.Event == r.Event }) {
			out = append(out, r)
		}
	}
	return out
}

func (h *Hub) consumeEntry(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up, e cardea.LogEntry, t *taken) error {
	if err := tx.PutLogHash(link.ID, up.Log, e.N, e.Hash()); err != nil {
		return err
	}
	if e.Act != cardea.ActUnlink { // of an erased account nothing else is anybody's word any more
		if a, err := tx.Account(link.Account); err != nil || a.Erased {
			return err
		}
	}
	proposal := ledger.Proposal{
		Decision: e.Decision(), Channel: cardea.ChannelDevice, Scope: e.Scope(link.Device),
		Link: link.ID, Log: up.Log, N: e.N,
		OnlyStops: link.Forked || link.Missed != 0 || link.State != accountdb.LinkLive,
	}
	err := tx.Attempt(func() error {
		_, err := h.Ledger.Take(tx, link.Account, proposal)
		return err
	})
	if errors.Is(err, ledger.ErrReused) { // as a number with other content is
		if err := h.fork(tx, link); err != nil {
			return err
		}
		// It counts as far as it stops something, by a name of its own.
		proposal.Event, proposal.OnlyStops = cardea.NewID[cardea.EventID](), true
		err = tx.Attempt(func() error {
			_, err := h.Ledger.Take(tx, link.Account, proposal)
			return err
		})
	}
	if rejected, ok := errors.AsType[*ledger.RejectedError](err); ok {
		t.rejected = append(t.rejected, rejected.Reason)
		if len(link.Rejected) < wire.MaxRejected {
			link.Rejected = append(link.Rejected, cardea.Rejection{Event: e.Event, Reason: rejected.Reason})
		}
		return nil
	}
	if err != nil {
		return err
	}
	t.changed = true
	if err := h.forEveryone(tx, *link, up, e); err != nil {
		return err
	}
	if e.Act != cardea.ActUnlink || link.State == accountdb.LinkClosed {
		return nil
	}
	return h.close(tx, link)
}

// close ends a link whose device has signed that it is gone.
func (h *Hub) close(tx *accountdb.Tx, link *accountdb.Link) error {
	link.State = accountdb.LinkClosed
	if err := tx.SetState(link.ID, accountdb.LinkClosed, link.CloseOrder); err != nil {
		return err
	}
	if err := h.left(tx, *link); err != nil {
		return err
	}
	if err := tx.LinkErased(link.ID); err != nil {
		return err
	}
	return revoke(tx, link.Grant)
}

// fork marks a link whose log was met with other content. Nothing is given on
// it until the owner confirms.
func (h *Hub) fork(tx *accountdb.Tx, link *accountdb.Link) error {
	if link.Forked {
		return nil
	}
	link.Forked = true
	link.Built = cardea.Position{} // what it was told must be built again
	if err := tx.SetForked(link.ID, true); err != nil {
		return err
	}
	return tx.Audit(link.Account, "device", "forked", link.ID.String())
}

// confirm notes what the device has proved to have applied. A statement that this
// database has not issued was issued by one that is no more: the next one goes
// above it, so that the device will take it.
func (h *Hub) confirm(tx *accountdb.Tx, link *accountdb.Link, up cardea.Up, held *cardea.Down) error {
	now := tx.Millis()
	if now.Sub(link.LastSeen) > seenEvery {
		link.LastSeen = now
	}
	link.Clock = up.Clock
	if link.State == accountdb.LinkClosed {
		return nil
	}
	never, err := neverIssued(tx, *link, up.Have)
	if err != nil {
		return err
	}
	if never {
		return h.overtake(tx, link, up.Have, held)
	}
	if up.Have.Revision < link.Have.Revision {
		return nil // an old report sent again
	}
	proof := up.Have != link.Have
	if proof {
		link.Have, link.Applied, link.LastSeen = up.Have, now, now
		if err := tx.DropStatements(link.ID, up.Have.Revision); err != nil {
			return err
		}
	}
	if err := orphans(tx, up); err != nil {
		return err
	}
	return h.attend(tx, link, up, proof)
}

// revoke ends a pairing's grant, so that its tokens are refreshed no more.
func revoke(tx *accountdb.Tx, grant string) error {
	err := tx.RevokeGrant(pairing.GrantID(grant))
	if errors.Is(err, pairing.ErrNoGrant) {
		return nil
	}
	return err
}
