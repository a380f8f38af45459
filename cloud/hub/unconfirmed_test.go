package hub_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/store/accountdb"
)

// lite registers with an address, signed in for as long as given.
func (h *house) lite(email string, signedIn time.Duration) (account cardea.AccountID) {
	h.t.Helper()
	h.must(h.db.Update(h.t.Context(), func(tx *accountdb.Tx) (err error) {
		if account, err = tx.RegisterLite("Ada", email); err != nil {
			return err
		}
		return errors.Join(
			tx.StartSession(accountdb.SignIn{Hash: cardea.Hash(append(account[:], account[:]...)), Account: account, Life: signedIn}),
			tx.Post(account, accountdb.Letter{To: email, Text: "a code"}, 1000*time.Hour),
		)
	}))
	return account
}

// is what there is of an account: "", "erased" or "there".
func (h *house) is(account cardea.AccountID) (is string) {
	h.t.Helper()
	h.must(h.db.View(h.t.Context(), func(tx *accountdb.Tx) error {
		a, err := tx.Account(account)
		switch {
		case errors.Is(err, accountdb.ErrNotFound):
			return nil
		case a.Erased:
			is = "erased"
		default:
			is = "there"
		}
		return err
	}))
	return is
}

// An account that nobody confirmed goes once nobody is signed in to it and a week
// has passed; one that has done something is erased as by its owner. Whoever
// confirmed, or is signed in, stays.
func TestUnconfirmedAccountsAreCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		const day = 24 * time.Hour
		gone, signedIn := h.lite("gone@example.com", time.Hour), h.lite("here@example.com", 30*day)
		confirmed, used := h.lite("sure@example.com", time.Hour), h.lite("used@example.com", time.Hour)
		other := *h
		h.must(h.db.View(t.Context(), func(tx *accountdb.Tx) (err error) { other.account, err = tx.Account(used); return err }))
		device := other.pair("g1")
		h.must(h.db.Update(t.Context(), func(tx *accountdb.Tx) error { return tx.Confirm(confirmed, "sure@example.com") }))

		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { h.hub.ClearUnconfirmed(ctx) })
		wants := func(when string, want map[cardea.AccountID]string) {
			t.Helper()
			synctest.Wait()
			for account, want := range want {
				if got := h.is(account); got != want {
					t.Errorf("%s: %s is %q, want %q", when, account, got, want)
				}
			}
		}
		time.Sleep(hub.UnconfirmedLife - 2*time.Hour)
		wants("before a week", map[cardea.AccountID]string{gone: "there", signedIn: "there", confirmed: "there", used: "there", h.account.ID: "there"})
		time.Sleep(4 * time.Hour)
		wants("after a week", map[cardea.AccountID]string{gone: "", signedIn: "there", confirmed: "there", used: "erased", h.account.ID: "there"})
		device.sync()
		if device.ordered(cardea.OrderErase).IsZero() {
			t.Errorf("its device is not told: %v", device.body.Orders)
		}
		time.Sleep(24 * day)
		wants("when its session is over", map[cardea.AccountID]string{signedIn: "", confirmed: "there", h.account.ID: "there"})
		h.must(h.db.View(t.Context(), func(tx *accountdb.Tx) error {
			bag, err := tx.Mailbag()
			if bag.Waiting != 1 { // of who confirmed
				t.Errorf("%d letters are left", bag.Waiting)
			}
			return err
		}))
		stop()
		done.Wait()
	})
}
