package hub

import (
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// lease is how long a statement may be relied on at most without a word from
// the cloud, whatever its classes allow.
const lease = 30 * 24 * time.Hour

// current rebuilds the link's statement if the ledger or the catalogue have
// moved since it was built, and stores its bytes under a new revision. If the
// content came out the same, the revision stays: the device already has it.
func (h *Hub) current(tx *accountdb.Tx, link accountdb.Link) (accountdb.Link, error) {
	if link.State == accountdb.LinkClosed {
		return link, nil
	}
	if err := h.Ledger.Catalogue.Follow(tx); err != nil {
		return link, err
	}
	cat, catalogue := h.Ledger.Catalogue.Current()
	account, err := tx.Account(link.Account)
	if err != nil {
		return link, err
	}
	if link.Revision > 0 && link.Built == account.Head && link.Catalogue == catalogue {
		return link, nil
	}
	body, err := h.Ledger.Body(tx, cat, link)
	if err != nil {
		return link, fmt.Errorf("build statement: %w", err)
	}
	if err := h.allowedAgain(tx, link, body); err != nil {
		return link, fmt.Errorf("build statement: %w", err)
	}
	encoded, err := fit(body)
	if err != nil {
		return link, fmt.Errorf("build statement: %w", err)
	}
	link.Built, link.Catalogue = account.Head, catalogue
	return h.store(tx, link, encoded)
}

// store puts the bytes under the next revision, unless they are the newest
// already.
func (h *Hub) store(tx *accountdb.Tx, link accountdb.Link, encoded []byte) (accountdb.Link, error) {
	sum := wire.BodyHash(encoded)
	newest, err := tx.Statement(link.ID, link.Revision)
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) {
		return link, err
	}
	if newest.BodyHash != sum {
		link.Revision++
		s := accountdb.Statement{Revision: link.Revision, Body: encoded, BodyHash: sum}
		if err := tx.PutStatement(link.ID, s); err != nil {
			return link, fmt.Errorf("store statement: %w", err)
		}
	}
	return link, tx.SetBuilt(link.ID, link.Revision, link.Built, link.Catalogue)
}

// fit leaves preferences and what may be collected out of a body that a grown catalogue has made too big:
// what is denied must always be said.
func fit(body cardea.Body) ([]byte, error) {
	encoded, err := ledger.Fit(body)
	if _, tooBig := errors.AsType[*ledger.RejectedError](err); tooBig {
		body.Preferences, body.Collections = nil, nil
		return ledger.Fit(body)
	}
	return encoded, err
}

// statement is the newest statement of a current link, to be sent.
func (h *Hub) statement(tx *accountdb.Tx, link accountdb.Link) (outgoing, error) {
	s, err := tx.Statement(link.ID, link.Revision)
	if err != nil {
		return outgoing{}, fmt.Errorf("newest statement: %w", err)
	}
	o, err := message(tx, link)
	o.down.BodyHash, o.down.Body = s.BodyHash, s.Body
	return o, err
}

// message is what every answer says.
func message(tx *accountdb.Tx, link accountdb.Link) (outgoing, error) {
	key, err := tx.LinkKey(link.ID)
	if err != nil {
		return outgoing{}, err
	}
	now := tx.Millis()
	return outgoing{key: key, down: cardea.Down{
		V: cardea.Version, Device: link.Device, Link: link.ID, Revision: link.Revision,
		Head: link.Built, Time: now, Lease: now.Add(lease), Seen: link.Seen, Rejected: link.Rejected,
	}}, nil
}

// answer is the statement, or only a renewal for a device that has proved to
// hold it, or the last word to one that has left.
func (h *Hub) answer(tx *accountdb.Tx, link accountdb.Link, up cardea.Up) (outgoing, error) {
	if link.State == accountdb.LinkClosed {
		o, err := message(tx, link)
		o.down.Nonce, o.down.Closed, o.down.Revision = up.Nonce, true, 0
		return o, err
	}
	o, err := h.statement(tx, link)
	if err != nil {
		return o, err
	}
	o.down.Nonce = up.Nonce
	o.down.Confirmed, err = confirmed(tx, up)
	if up.Have.Revision == link.Revision && up.Have.BodyHash == o.down.BodyHash {
		o.down.Body = nil
	}
	return o, err
}
