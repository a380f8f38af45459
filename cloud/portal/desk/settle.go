package desk

import (
	"context"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
)

// Devices tells what devices have come to: *hub.Hub.
type Devices interface {
	Devices(ctx context.Context, account cardea.AccountID) ([]hub.Device, error)
}

// patience is how long a page waits for what devices in reach do within
// milliseconds, so that it shows the outcome without having to be reloaded.
const patience = 700 * time.Millisecond

// Settle reads the devices, again and again for a moment while they are not as
// done wants them.
func Settle(ctx context.Context, of Devices, account cardea.AccountID, done func([]hub.Device) bool) ([]hub.Device, error) {
	for waited, step := time.Duration(0), 10*time.Millisecond; ; waited, step = waited+step, min(2*step, 80*time.Millisecond) {
		devices, err := of.Devices(ctx, account)
		if err != nil || waited >= patience || done(devices) {
			return devices, err
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return devices, ctx.Err()
		}
	}
}

// InStep reports whether no device in reach is still behind.
func InStep(devices []hub.Device) bool {
	for _, d := range devices {
		if d.Online && d.State != hub.StateApplied {
			return false
		}
	}
	return true
}
