package portaltest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A Hub is one of which the test says what devices have done.
type Hub struct {
	Mu        sync.Mutex
	All       []hub.Device
	Unlinked  []cardea.LinkID
	Confirmed []cardea.LinkID
	Losses    map[cardea.LinkID]hub.Loss
	Again     []cardea.Key
	Err       error

	DB  *accountdb.DB
	Did map[string][]cardea.LinkID // what else was done to a link, by its name
}

// Set says which devices there are.
func (f *Hub) Set(devices ...hub.Device) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.All = devices
}

// Get is what Set said last.
func (f *Hub) Get() []hub.Device {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return append([]hub.Device(nil), f.All...)
}

// Devices is what Get answers, or Err.
func (f *Hub) Devices(context.Context, cardea.AccountID) ([]hub.Device, error) {
	return f.Get(), f.Err
}

// Unlink notes the link.
func (f *Hub) Unlink(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.on(link, &f.Unlinked)
}

// ConfirmFork notes the link.
func (f *Hub) ConfirmFork(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.on(link, &f.Confirmed)
}

// Loss is the one of Losses.
func (f *Hub) Loss(_ context.Context, _ cardea.AccountID, link cardea.LinkID) (hub.Loss, error) {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	if loss, ok := f.Losses[link]; ok {
		return loss, f.Err
	}
	return hub.Loss{}, accountdb.ErrNotFound
}

// ConfirmLoss ends a loss and notes what is allowed again.
func (f *Hub) ConfirmLoss(_ context.Context, _ cardea.AccountID, link cardea.LinkID, loss cardea.LossID, again []cardea.Key) error {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	if f.Losses[link].ID != loss {
		return accountdb.ErrNotFound
	}
	f.Again = again
	delete(f.Losses, link)
	return f.Err
}

// Rename notes the name.
func (f *Hub) Rename(_ context.Context, _ cardea.AccountID, link cardea.LinkID, name string) error {
	err := f.do("rename", link)
	f.Mu.Lock()
	defer f.Mu.Unlock()
	for i := range f.All {
		if f.All[i].Link == link {
			f.All[i].Name = name
		}
	}
	return err
}

// Identify notes the link.
func (f *Hub) Identify(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.do("identify", link)
}

// ReportMissed notes the link.
func (f *Hub) ReportMissed(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.do("missed", link)
}

// Recovered notes the link.
func (f *Hub) Recovered(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.do("recovered", link)
}

// GiveAway notes the link.
func (f *Hub) GiveAway(_ context.Context, _ cardea.AccountID, link cardea.LinkID) error {
	return f.do("given", link)
}

func (f *Hub) do(what string, link cardea.LinkID) error {
	var done []cardea.LinkID
	err := f.on(link, &done)
	f.Mu.Lock()
	defer f.Mu.Unlock()
	if f.Did == nil {
		f.Did = map[string][]cardea.LinkID{}
	}
	f.Did[what] = append(f.Did[what], done...)
	return err
}

// Erase erases the account in the database and tells nobody.
func (f *Hub) Erase(ctx context.Context, account cardea.AccountID, from cardea.Channel, _ string) (e accountdb.Erasure, secret hub.ProofSecret, err error) {
	err = f.DB.Update(ctx, func(tx *accountdb.Tx) error {
		a, err := tx.Account(account)
		if err != nil || a.Erased {
			return err
		}
		secret = hub.ProofSecret(rand.Text())
		return tx.Erase(account, sha256.Sum256([]byte(secret)), tx.Millis().Add(30*24*time.Hour), from)
	})
	return e, secret, err
}

// Erasure reads it.
func (f *Hub) Erasure(ctx context.Context, secret hub.ProofSecret) (e accountdb.Erasure, now time.Time, err error) {
	err = f.DB.View(ctx, func(tx *accountdb.Tx) error {
		now = tx.Now
		e, err = tx.ErasureByProof(sha256.Sum256([]byte(secret)))
		return err
	})
	return e, now, err
}

// ErasedMissed notes it.
func (f *Hub) ErasedMissed(ctx context.Context, secret hub.ProofSecret, link cardea.LinkID) error {
	return f.DB.Update(ctx, func(tx *accountdb.Tx) error {
		e, err := tx.ErasureByProof(sha256.Sum256([]byte(secret)))
		if err != nil {
			return err
		}
		return tx.LinkMissed(e.Account, link)
	})
}

func (f *Hub) on(link cardea.LinkID, done *[]cardea.LinkID) error {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	for _, d := range f.All {
		if d.Link == link {
			*done = append(*done, link)
			return f.Err
		}
	}
	return accountdb.ErrNotFound
}
