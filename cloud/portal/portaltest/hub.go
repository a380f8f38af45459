package portaltest

import (
	"context"
	"sync"

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
