package hub

import (
	"errors"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A report may know more than the cloud: the database was put back to an earlier
// state, and has forgotten what it said and was told. Whoever knows less is told,
// never silenced. The device is asked for the statement it holds, which the cloud
// itself signed, and what that did not give is denied on the device unless the
// ledger has the decision; what it did give counts as far as the restored ledger
// gives it. Then the newest statement goes out above the revision held.

// ahead reports whether a report knows more than the cloud: it holds a statement
// the cloud has not issued, something was decided on a ledger it does not have,
// or the log goes on where it has not read.
func (h *Hub) ahead(tx *accountdb.Tx, link accountdb.Link, up cardea.Up) (bool, error) {
	if link.State != accountdb.LinkLive || up.Have.Revision == 0 {
		return false, nil // there is nothing to be given, or nothing to be asked for
	}
	if never, err := neverIssued(tx, link, up.Have); never || err != nil {
		return never, err
	}
	for _, e := range up.Entries {
		at, err := tx.HashAt(link.Account, e.Base.Seq)
		if err != nil || e.Base.Seq > 0 && at != e.Base.Hash {
			return err == nil, err
		}
	}
	if len(up.Entries) == 0 || up.Entries[0].N == 1 {
		return false, nil
	}
	before, err := tx.LogHash(link.ID, up.Log, up.Entries[0].N-1)
	return before.IsZero(), err
}

// neverIssued reports whether a device holds a statement that this database has
// not issued. What lies below the one that was confirmed is an old report sent
// again.
func neverIssued(tx *accountdb.Tx, link accountdb.Link, have cardea.Have) (bool, error) {
	switch {
	case have.Revision > link.Revision:
		return true, nil
	case have.Revision < link.Have.Revision || have.Revision == 0:
		return false, nil
	}
	known, err := tx.Statement(link.ID, have.Revision)
	if errors.Is(err, accountdb.ErrNotFound) {
		return true, nil
	}
	return known.BodyHash != have.BodyHash, err
}

// evidence is the statement the device holds, if the cloud signed it and it is
// the one the report names; nil otherwise, and then nothing counts as given.
func (h *Hub) evidence(link accountdb.Link, up cardea.Up) *cardea.Down {
	d, err := wire.VerifyDown(up.Held, link.Device, link.ID, h.trust())
	if err != nil || d.Revision != up.Have.Revision || d.BodyHash != up.Have.BodyHash || d.Renewal() {
		return nil
	}
	return &d
}

// trust is the keys the cloud signs, and has signed, statements with.
func (h *Hub) trust() wire.Trust {
	if h.Stated != nil {
		return h.Stated
	}
	list, err := wire.OpenKeyList(h.KeyList(), h.Root)
	if err != nil {
		return wire.KeyList{}.Trust()
	}
	return list.Trust()
}

// recover appends to the ledger what a held statement shows it has forgotten,
// and tells how much that was. A statement of this very era proves that its
// numbers are given a second time, so that a new one must begin.
func (h *Hub) recover(tx *accountdb.Tx, link accountdb.Link, up cardea.Up, held *cardea.Down) (n int, err error) {
	var was cardea.Body
	if held != nil {
		if was, err = wire.DecodeBody(held.Body); err != nil {
			return 0, err
		}
		if err := h.newEra(tx, link, held.Head); err != nil {
			return 0, err
		}
	}
	if n, err = h.everyoneAgain(tx, link, up.Links, was.Consents); err != nil {
		return n, err
	}
	cat, _ := h.Ledger.Catalogue.Current()
	is, err := h.Ledger.Body(tx, cat, link)
	if err != nil {
		return n, err
	}
	denied, err := forgotten(tx, link, was.Consents, is.Consents)
	if err != nil {
		return n, err
	}
	lost := protected(cat, was.Preferences, is.Preferences)
	for _, key := range denied {
		lost = append(lost, cardea.Decision{Act: cardea.ActDeny, Key: key})
	}
	for _, d := range lost {
		d.Event = cardea.NewID[cardea.EventID]()
		p := ledger.Proposal{Decision: d, Channel: cardea.ChannelDevice, Scope: cardea.Scope{Device: link.Device}, Link: link.ID}
		err := tx.Attempt(func() error {
			_, err := h.Ledger.Take(tx, link.Account, p)
			return err
		})
		if _, rejected := errors.AsType[*ledger.RejectedError](err); err != nil && !rejected {
			return n, err
		}
		n++
	}
	return n, tx.Audit(link.Account, "cloud", "recovered from device", link.ID.String())
}

// everyoneAgain denies for all who use the device what a statement held shows to
// have been, and tells how much that was. It does not say whose word it was: only
// the owner's could be, who is known by the links that the device holds.
func (h *Hub) everyoneAgain(tx *accountdb.Tx, link accountdb.Link, held []cardea.LinkID, was []cardea.Consent) (n int, err error) {
	denials, err := tx.DeviceDenials(link.Device)
	if err != nil {
		return 0, err
	}
	links, err := tx.LinksOfDevice(link.Device)
	if err != nil {
		return 0, err
	}
	author := link.ID
	if owner, ok := ownerOf(links, held); ok {
		author = owner
	}
	for _, c := range was {
		if !c.Everyone || slices.ContainsFunc(denials, func(d accountdb.DeviceDenial) bool { return d.Key == c.Key }) {
			continue
		}
		if err := tx.DenyForAll(link.Device, c.Key, author); err != nil {
			return n, err
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return n, h.outdate(tx, link)
}

func (h *Hub) newEra(tx *accountdb.Tx, link accountdb.Link, head cardea.Position) error {
	era, err := tx.Era()
	if err != nil || head.Era != era {
		return err
	}
	at, err := tx.HashAt(link.Account, head.Seq)
	if err != nil || at == head.Hash {
		return err
	}
	return tx.RaiseEra()
}

// forgotten lists the keys that must be denied on the device again: what was
// denied in the statement held by a decision the ledger does not have, and what
// the ledger would give although the statement did not. What was only denied for
// everyone is so again, and is nobody's own no.
func forgotten(tx *accountdb.Tx, link accountdb.Link, was, is []cardea.Consent) (keys []cardea.Key, err error) {
	given, mentioned := map[cardea.Key]bool{}, map[cardea.Key]bool{}
	for _, c := range is {
		given[c.Key] = c.Given() && c.Class != cardea.ClassN
	}
	for _, c := range was {
		mentioned[c.Key] = true
		if c.Given() {
			continue
		}
		known, err := tx.HasDecision(link.Account, c.Key, c.Decided)
		if err != nil {
			return nil, err
		}
		if given[c.Key] || !known {
			keys = append(keys, c.Key)
		}
	}
	for _, c := range is {
		if given[c.Key] && !mentioned[c.Key] { // absent is no
			keys = append(keys, c.Key)
		}
	}
	return keys, nil
}

// protected lists the protective values that were in force and are not.
func protected(cat *cardea.Catalogue, was, is []cardea.Preference) (lost []cardea.Decision) {
	now := map[cardea.PreferenceKey]cardea.Value{}
	for _, p := range is {
		now[p.Key] = p.Value
	}
	for _, p := range was {
		if def, ok := cat.Preference(p.Key); ok && def.Privacy && p.Value == def.Protective && now[p.Key] != p.Value {
			lost = append(lost, cardea.Decision{Act: cardea.ActPrefer, Preference: p.Key, Value: p.Value})
		}
	}
	return lost
}

// overtake issues the newest content again under a revision above the one held.
// What is held is kept as what the device may act on until it has the new one.
func (h *Hub) overtake(tx *accountdb.Tx, link *accountdb.Link, have cardea.Have, held *cardea.Down) error {
	newest, err := tx.Statement(link.ID, link.Revision)
	if err != nil {
		return err
	}
	was := accountdb.Statement{Revision: have.Revision, Body: newest.Body, BodyHash: have.BodyHash}
	if held != nil {
		was.Body = held.Body
	}
	if err := tx.ReplaceStatement(link.ID, was); err != nil {
		return err
	}
	if err := tx.DropStatements(link.ID, have.Revision); err != nil {
		return err
	}
	link.Have, link.Applied, link.LastSeen = have, tx.Millis(), tx.Millis()
	newest.Revision = max(have.Revision, link.Revision) + 1
	link.Revision = newest.Revision
	if err := tx.PutStatement(link.ID, newest); err != nil {
		return err
	}
	return tx.SetBuilt(link.ID, link.Revision, link.Built, link.Catalogue)
}
