package agent

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/cardea-id/cardea"
)

// rentalFile keeps how long the device is lent for already.
const rentalFile = "rental.json"

// How often it is looked whether a rental is over: a hundred times in its life.
const (
	minRentalTick = 100 * time.Millisecond
	maxRentalTick = 10 * time.Minute
)

// A rental is the time somebody has a device for. It needs no clock: the time the
// device was on counts, and what the cloud says of the time counts beside it as
// soon as it is known, which is how the time the device was off comes in.
type rental struct {
	Used  time.Duration `json:"used"`            // the device was on
	Since cardea.Millis `json:"since,omitempty"` // 0: not known
}

// pass counts time in which somebody was linked.
func (r *rental) pass(d time.Duration, now cardea.Now) {
	r.Used += d
	if r.Since == 0 && now.Synced {
		r.Since = now.Time.Add(-r.Used)
	}
}

// over reports whether the device has been lent for so long.
func (r *rental) over(limit time.Duration, now cardea.Now) bool {
	return r.Used >= limit || r.Since != 0 && now.Synced && now.Time.Sub(r.Since) >= limit
}

// rent ends every link by itself when the device was lent for RentFor: it is reset
// then. It works without a network and without a clock. A reset that fails is
// tried again.
func (a *agent) rent(ctx context.Context) error {
	if a.RentFor == 0 {
		<-ctx.Done()
		return nil
	}
	tick := min(max(a.RentFor/100, minRentalTick), maxRentalTick)
	var r rental
	if text, err := os.ReadFile(a.stateFile(rentalFile)); err == nil {
		json.Unmarshal(text, &r) // what can not be read begins anew
	}
	passed := tick // each start counts as a tick, so that nobody wins one by the switch
	for {
		began := a.gate.Boot()
		if err := a.lent(&r, passed); err != nil {
			a.log.Error("how long the device is lent for can not be kept, or ended", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tick):
		}
		passed = a.gate.Boot() - began
	}
}

// lent counts time, and gives the device back when it is over.
func (a *agent) lent(r *rental, passed time.Duration) error {
	links, err := a.order()
	if err != nil {
		return err
	}
	if len(links) == 0 {
		if *r != (rental{}) {
			*r = rental{}
			return os.Remove(a.stateFile(rentalFile))
		}
		return nil
	}
	r.pass(passed, a.now())
	if r.over(a.RentFor, a.now()) {
		a.log.Warn("the rental is over, the device is given back", "links", len(links))
		_, err := a.Reset(context.Background())
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(a.stateFile(rentalFile), text, 0o600)
}
