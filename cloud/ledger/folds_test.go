package ledger_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/store/accountdb"
)

var errUndo = errors.New("undo")

// Whatever happens to a transaction, what is told comes from the ledger as it
// stands: the fold of all of it, entry by entry.
func TestKeptFoldIsTheFoldOfAll(t *testing.T) {
	d := newDesk(t)
	link(d)
	for range 60 {
		err := d.ledger.DB.Update(t.Context(), func(tx *accountdb.Tx) error {
			for range 1 + rand.IntN(3) {
				d.random(tx)
				d.sameAsAll(tx)
			}
			err := tx.Attempt(func() error {
				d.random(tx)
				d.sameAsAll(tx)
				return errUndo
			})
			if !errors.Is(err, errUndo) {
				t.Error(err)
			}
			d.sameAsAll(tx)
			if rand.IntN(3) == 0 {
				return errUndo
			}
			return nil
		})
		if err != nil && !errors.Is(err, errUndo) {
			t.Fatal(err)
		}
		err = d.ledger.DB.View(t.Context(), func(tx *accountdb.Tx) error {
			d.sameAsAll(tx)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Readers of an older moment and writers do not spoil each other's.
func TestKeptFoldsAreSharedByTurns(t *testing.T) {
	d := newDesk(t)
	link(d)
	var wg sync.WaitGroup
	for _, run := range []func(func(*accountdb.Tx) error) error{
		func(f func(*accountdb.Tx) error) error { return d.ledger.DB.View(t.Context(), f) },
		func(f func(*accountdb.Tx) error) error { return d.ledger.DB.View(t.Context(), f) },
		func(f func(*accountdb.Tx) error) error {
			return d.ledger.DB.Update(t.Context(), func(tx *accountdb.Tx) error { d.random(tx); return f(tx) })
		},
	} {
		wg.Go(func() {
			for range 40 {
				if err := run(func(tx *accountdb.Tx) error { d.sameAsAll(tx); return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// random proposes something, with a base anywhere in the ledger.
func (d *desk) random(tx *accountdb.Tx) {
	entries, err := tx.Entries(d.account.ID, 0)
	if err != nil {
		d.Error(err)
	}
	cat, _ := d.ledger.Catalogue.Current()
	p := cat.Purposes[rand.IntN(len(cat.Purposes))]
	proposal := ledger.Proposal{Channel: cardea.ChannelPortal, Decision: cardea.Decision{
		Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: p.Keys()[0], Version: p.Version, Notice: p.Notice("en"),
	}}
	if rand.IntN(2) == 0 {
		proposal.Act = cardea.ActGrant
	}
	if rand.IntN(3) == 0 {
		proposal.Scope.Device = cardea.DeviceID(strings.Repeat("A", 43))
	}
	if n := len(entries); n > 0 {
		proposal.Base = entries[n-1-rand.IntN(min(n, 4))].Position
	}
	_, err = d.ledger.Take(tx, d.account.ID, proposal)
	if _, rejected := errors.AsType[*ledger.RejectedError](err); err != nil && !rejected {
		d.Error(err)
	}
}

// sameAsAll compares what the device is told with the fold of the whole ledger.
func (d *desk) sameAsAll(tx *accountdb.Tx) {
	links, err := tx.Links(d.account.ID)
	if err != nil {
		d.Error(err)
		return
	}
	cat, _ := d.ledger.Catalogue.Current()
	body, err := d.ledger.Body(tx, cat, links[0])
	if err != nil {
		d.Error(err)
	}
	entries, err := tx.Decisions(d.account.ID, 0)
	if err != nil {
		d.Error(err)
	}
	all := cardea.Fold(entries)
	var want []cardea.Consent
	for _, c := range body.Consents {
		terms, _ := cat.Terms(c.Key)
		want = append(want, all.On(links[0].Device, c.Key, terms))
	}
	if len(want) == 0 || !slices.Equal(body.Consents, want) {
		d.Errorf("after %d decisions the device is told %v, want %v", len(entries), body.Consents, want)
	}
}
