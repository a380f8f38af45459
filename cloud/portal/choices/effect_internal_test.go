package choices

import (
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/cloud/language"
	"github.com/cardea-id/cardea/cloud/ledger"
)

// What stays on a device has no time by which it stops, and has not stopped
// there before the device has said so.
func TestNoTimeIsNotStopped(t *testing.T) {
	now := time.Now()
	head := cardea.Position{Seq: 5}
	p := cardea.Purpose{Class: cardea.ClassL, Devices: []cardea.DeviceKind{"speaker"}}
	f := ledger.FacetChoice{Key: "habits/use", Standing: cardea.Consent{Key: "habits/use", Reason: cardea.ReasonWithdrawn, Decided: head.Point()}}
	for state, done := range map[hub.State]int{hub.StateApplied: 1, hub.StateWaiting: 0, hub.StateStops: 0} {
		e := effectOf(language.All()[0], p, f, head, []hub.Device{{Kind: "speaker", Name: "Kitchen", State: state}}, now)
		if e == nil || e.Done != done || len(e.Behind) != 1-done {
			t.Errorf("%s: %+v", state, e)
		}
	}
	p.Class = cardea.ClassC // what is not told to run on has stopped
	if e := effectOf(language.All()[0], p, f, head, []hub.Device{{Kind: "speaker", State: hub.StateWaiting}}, now); e == nil || e.Done != 1 {
		t.Errorf("class C: %+v", e)
	}
}
