package accountdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/stopjournal"
)

// An Erasure is an account that was erased: what the request was, and its
// devices. It names nobody.
type Erasure struct {
	ID       cardea.EventID // names it to the brand
	Account  cardea.AccountID
	Subject  string
	Received cardea.Millis
	Due      cardea.Millis // by which the law wants it answered
	Channel  cardea.Channel
	Links    []ErasedLink
}

// An ErasedLink is a device of an erased account.
type ErasedLink struct {
	Link   cardea.LinkID
	Kind   cardea.DeviceKind
	Model  string
	Bound  cardea.Millis // by which it erases itself, if it hears nothing
	Erased cardea.Millis // when its signed report said that it had; 0: not yet
	Missed cardea.Millis // when its owner said that it is gone; 0: they did not
}

// Settled is when nothing had to be waited for any more: the device proved it,
// was reported gone, or has reached its bound.
func (l ErasedLink) Settled() cardea.Millis {
	at := l.Bound
	for _, t := range []cardea.Millis{l.Erased, l.Missed} {
		if t != 0 {
			at = min(at, t)
		}
	}
	return at
}

// Completed is when the last device was settled; it lies ahead while one is
// not.
func (e Erasure) Completed() cardea.Millis {
	at := e.Received
	for _, l := range e.Links {
		at = max(at, l.Settled())
	}
	return at
}

// Erase destroys an account's key, and with it everything that is personal,
// takes away how its owner signs in, and has every device told to erase its link.
// proof is the hash of the secret with which the owner sees what becomes of it.
// The ledger stays and verifies. What the owner had given is for the caller to
// deny before. It also stands in the stop journal, so that no backup brings the
// account back.
func (tx *Tx) Erase(account cardea.AccountID, proof cardea.Hash, due cardea.Millis, channel cardea.Channel) error {
	e := stopjournal.Erasure{ID: cardea.NewID[cardea.EventID](), Proof: proof, Received: tx.Millis(), Due: due, Channel: channel}
	if err := tx.erase(account, e); err != nil {
		return fmt.Errorf("erase account: %w", err)
	}
	era, err := tx.Era()
	tx.stops = append(tx.stops, stopjournal.Record{Era: era, Account: account, Erased: &e})
	return err
}

// erase does it, now or once more after a backup was put back.
func (tx *Tx) erase(account cardea.AccountID, e stopjournal.Erasure) error {
	links, err := tx.Links(account) // holds the account
	if err != nil {
		return err
	}
	for _, link := range links {
		if err := tx.eraseLink(link); err != nil {
			return err
		}
	}
	if err := tx.ForgetSignIns(account); err != nil {
		return err
	}
	if err := tx.eraseEvents(account, e.ID); err != nil {
		return err
	}
	for _, query := range []string{
		`DELETE FROM payloads WHERE account = ?`, `DELETE FROM settings WHERE account = ?`,
		`DELETE FROM refresh_tokens WHERE grant_id IN (SELECT grants.id FROM grants WHERE account = ?)`,
		`UPDATE grants SET name_sealed = NULL, serial = '', code = NULL, user_code = NULL, label = NULL WHERE account = ?`,
		`UPDATE links SET name_sealed = '' WHERE account = ?`,
		`UPDATE accounts SET key_sealed = NULL, name_sealed = NULL, roles = '', disabled = 1 WHERE id = ?`,
		// What others still use keeps its serial number.
		`UPDATE devices SET serial = '' WHERE id IN (SELECT device FROM links WHERE account = ?)
			AND id NOT IN (SELECT device FROM links JOIN accounts ON accounts.id = links.account WHERE state <> 'closed' AND accounts.key_sealed IS NOT NULL)`,
	} {
		if err := tx.exec(query, account[:]); err != nil {
			return err
		}
	}
	return tx.exec(`INSERT INTO erasures (account, id, proof, received, due, channel) VALUES (?, ?, ?, ?, ?, ?)`,
		account[:], e.ID[:], e.Proof[:], e.Received, e.Due, e.Channel)
}

// eraseLink has a device told, and takes out of what it was told before who it
// was told about.
func (tx *Tx) eraseLink(link Link) error {
	device, err := tx.Device(link.Device)
	if err != nil {
		return err
	}
	if link.State == LinkLive {
		if err := tx.SetState(link.ID, LinkClosing, cardea.NewID[cardea.OrderID]()); err != nil {
			return err
		}
	}
	if err := tx.PutOrder(link.ID, cardea.OrderErase); err != nil {
		return err
	}
	err = tx.exec(`INSERT INTO erased_links (link, account, kind, model, bound, missed) VALUES (?, ?, ?, ?, ?, ?)`,
		link.ID[:], link.Account[:], device.Kind, device.Model, link.Bound(tx.Millis()), link.Missed)
	if err != nil {
		return err
	}
	if err := tx.anonymise(link.ID); err != nil {
		return err
	}
	return tx.Outdate(link.ID)
}

// slack is how much later than the device's own count its bound is told: clocks
// run a little slow, and a device that was off must be on for an hour.
const slack = 24 * time.Hour

// Bound is when a device has erased a link by itself that is not answered from
// now on. It may have been answered last a little after it was last seen, which
// is kept to the minute, but not after now.
func (l Link) Bound(now cardea.Millis) cardea.Millis {
	heard := min(max(l.LastSeen, l.Created).Add(2*time.Minute), now)
	return heard.Add(cardea.MaxOfflineRetention + slack)
}

// anonymise keeps of the statements that a device may hold what it may do, which
// tells until when, and nothing of who it may do it for.
func (tx *Tx) anonymise(link cardea.LinkID) error {
	held, err := tx.Statements(link)
	if err != nil {
		return err
	}
	for _, s := range held {
		body, err := wire.DecodeBody(s.Body)
		if err != nil {
			return fmt.Errorf("statement %d: %w", s.Revision, err)
		}
		less, err := wire.EncodeBody(cardea.Body{Consents: body.Consents, Orders: body.Orders})
		if err != nil {
			return fmt.Errorf("statement %d: %w", s.Revision, err)
		}
		if err := tx.exec(`UPDATE statements SET body = ? WHERE link = ? AND revision = ?`, less, link[:], s.Revision); err != nil {
			return err
		}
	}
	return nil
}

// LinkErased notes that a device of an erased account has proved that it erased
// its link. Of another account's it notes nothing.
func (tx *Tx) LinkErased(link cardea.LinkID) error {
	return tx.exec(`UPDATE erased_links SET erased = ? WHERE link = ? AND erased = 0`, tx.Millis(), link[:])
}

// LinkMissed notes that the former owner of an erased account says a device is
// gone; ErrNotFound if it is none of theirs.
func (tx *Tx) LinkMissed(account cardea.AccountID, link cardea.LinkID) error {
	found, err := tx.change(`UPDATE erased_links SET missed = ? WHERE link = ? AND account = ? AND missed = 0`, tx.Millis(), link[:], account[:])
	if err != nil || found {
		return err
	}
	_, err = one(tx, scanID[cardea.LinkID], `SELECT link FROM erased_links WHERE link = ? AND account = ?`, link[:], account[:])
	return err
}

const erasureColumns = `erasures.id, erasures.account, subject, received, due, channel`

func scanErasure(s scanner) (e Erasure, err error) {
	err = s.Scan(id(&e.ID), id(&e.Account), &e.Subject, &e.Received, &e.Due, &e.Channel)
	return e, err
}

// ErasureByProof finds an erasure by the hash of its secret; ErrNotFound if there
// is none.
func (tx *Tx) ErasureByProof(proof cardea.Hash) (Erasure, error) {
	return tx.erasure(`WHERE proof = ?`, proof[:])
}

// ErasureOf finds the erasure of an account; ErrNotFound if it was not erased.
func (tx *Tx) ErasureOf(account cardea.AccountID) (Erasure, error) {
	return tx.erasure(`WHERE erasures.account = ?`, account[:])
}

func (tx *Tx) erasure(where string, arg []byte) (Erasure, error) {
	e, err := one(tx, scanErasure, `SELECT `+erasureColumns+` FROM erasures JOIN accounts ON accounts.id = erasures.account `+where, arg)
	if err != nil {
		return e, fmt.Errorf("erasure: %w", err)
	}
	e.Links, err = tx.erasedLinks(e.Account)
	return e, err
}

// Erasures lists up to limit of those received after an instant, oldest first.
func (tx *Tx) Erasures(after cardea.Millis, limit int) ([]Erasure, error) {
	all, err := list(tx, scanErasure, `SELECT `+erasureColumns+` FROM erasures JOIN accounts ON accounts.id = erasures.account
		WHERE received > ? ORDER BY received, erasures.id LIMIT ?`, after, limit)
	for i := range all {
		if err == nil {
			all[i].Links, err = tx.erasedLinks(all[i].Account)
		}
	}
	return all, err
}

func (tx *Tx) erasedLinks(account cardea.AccountID) ([]ErasedLink, error) {
	return list(tx, func(s scanner) (l ErasedLink, err error) {
		err = s.Scan(id(&l.Link), &l.Kind, &l.Model, &l.Bound, &l.Erased, &l.Missed)
		return l, err
	}, `SELECT erased_links.link, kind, model, bound, erased, erased_links.missed FROM erased_links
		JOIN links ON links.id = erased_links.link WHERE erased_links.account = ? ORDER BY links.created, links.id`, account[:])
}

// Scrub has the files of the database forget what was erased: until it returns
// nil some of its bytes, sealed as they were, may still stand in them.
func (db *DB) Scrub(ctx context.Context) error {
	for try := 1; ; try++ {
		err := db.engine.scrub(ctx)
		if err == nil || try == tries || !errors.Is(err, errBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
}

// errBusy: somebody reads what would be overwritten.
var errBusy = errors.New("scrub: the database is being read: it is done by itself a little later")
