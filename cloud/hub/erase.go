package hub

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// An account is erased at once where it can be at once, which is here: sessions,
// tokens and consents end and what is personal is destroyed in one transaction.
// Its devices are told. What of the account is left is what it takes to tell them
// and to believe their answers: random ids, keys of links, and what they were
// given. A device that is out of reach erases itself, by an instant that is known
// from when it was last answered.

// A ProofSecret shows how far an erasure has come to whoever has it. There is
// nobody left to sign in, so it is told once and kept nowhere.
type ProofSecret string

func newProof() (ProofSecret, cardea.Hash) {
	secret := make([]byte, 32)
	rand.Read(secret)
	p := ProofSecret(base64.RawURLEncoding.EncodeToString(secret))
	return p, p.hash()
}

func (p ProofSecret) hash() cardea.Hash { return sha256.Sum256([]byte(p)) }

// String keeps the secret from being printed.
func (ProofSecret) String() string { return "redacted" }

// Reveal is the secret itself.
func (p ProofSecret) Reveal() string { return string(p) }

// Erase erases an account, on behalf of its owner or by the brand. An account that
// was erased before stays as it is: the secret is empty then, because it was told
// to somebody already.
func (h *Hub) Erase(ctx context.Context, account cardea.AccountID, from cardea.Channel, by string) (e accountdb.Erasure, secret ProofSecret, err error) {
	err = h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		secret = ""
		a, err := tx.Account(account)
		if err != nil {
			return err
		}
		if !a.Erased {
			proof, hash := newProof()
			if err := h.erase(tx, account, hash, from, by); err != nil {
				return err
			}
			secret = proof
		}
		e, err = tx.ErasureOf(account)
		return err
	})
	if err != nil {
		return e, "", fmt.Errorf("erase account: %w", err)
	}
	h.Ledger.Committed(account)
	if h.Erased != nil {
		h.Erased()
	}
	if err := h.DB.Scrub(ctx); err != nil {
		h.Log.WarnContext(ctx, "what was erased may stand in the database's log a little longer", "err", err)
	}
	return e, secret, nil
}

func (h *Hub) erase(tx *accountdb.Tx, account cardea.AccountID, proof cardea.Hash, from cardea.Channel, by string) error {
	if _, err := h.Ledger.StopAll(tx, account, from); err != nil {
		return err
	}
	links, err := tx.Links(account)
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.State != accountdb.LinkLive {
			continue
		}
		if err := h.unlink(tx, link, from); err != nil {
			return err
		}
	}
	grants, err := tx.GrantsOf(account) // those that are being paired, and apps
	if err != nil {
		return err
	}
	for _, g := range grants {
		if err := revoke(tx, string(g.ID)); err != nil {
			return err
		}
	}
	last := cardea.Entry{Decision: cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActErase}, By: cardea.Owner, Channel: from}
	if _, err := tx.Append(account, last); err != nil {
		return err
	}
	if err := tx.Erase(account, proof, cardea.MillisOf(DueBy(tx.Now)), from); err != nil {
		return err
	}
	return tx.Audit(account, by, "account erased", "")
}

// DueBy is by when a request that was received at an instant must be answered:
// one calendar month later (GDPR, Article 12(3); the count by Regulation 1182/71),
// which is the last day of a month that has no such day.
func DueBy(received time.Time) time.Time {
	received = received.UTC()
	due := received.AddDate(0, 1, 0)
	if due.Day() != received.Day() {
		due = due.AddDate(0, 0, -due.Day())
	}
	return due
}

// Erasure is what became of an erasure, for who has its secret;
// accountdb.ErrNotFound if nobody was given this one.
func (h *Hub) Erasure(ctx context.Context, secret ProofSecret) (e accountdb.Erasure, now time.Time, err error) {
	err = h.DB.View(ctx, func(tx *accountdb.Tx) error {
		now = tx.Now
		e, err = tx.ErasureByProof(secret.hash())
		return err
	})
	return e, now, err
}

// ErasedMissed is the word of who has an erasure's secret that one of its devices
// is lost, stolen or broken: it is not waited for any more.
func (h *Hub) ErasedMissed(ctx context.Context, secret ProofSecret, link cardea.LinkID) error {
	err := h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		e, err := tx.ErasureByProof(secret.hash())
		if err != nil {
			return err
		}
		return tx.LinkMissed(e.Account, link)
	})
	if err != nil && !errors.Is(err, accountdb.ErrNotFound) {
		err = fmt.Errorf("erased device missed: %w", err)
	}
	return err
}
