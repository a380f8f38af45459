package agent

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
)

// An agent rests a minute after whatever happened last, once, and not before.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := gate.New(gate.Config{BootID: "b"}), gate.New(gate.Config{BootID: "b"})
		ctx, stop := context.WithCancel(t.Context())
		var rested atomic.Int32
		ended := make(chan error, 1)
		go func() { ended <- rest(ctx, func() { rested.Add(1) }, one, other) }()
		for i, step := range []struct {
			change *gate.Gate
			pass   time.Duration
			want   int
		}{
			{nil, busy - time.Second, 0},
			{one, busy - time.Second, 0}, // it begins anew
			{nil, time.Second, 1},
			{nil, 100 * time.Hour, 1},
			{other, busy - time.Second, 1},
			{one, busy - time.Second, 1},
			{nil, time.Second, 2},
			{nil, 100 * time.Hour, 2},
		} {
			if step.change != nil {
				step.change.Activate(cardea.LinkID{})
			}
			time.Sleep(step.pass)
			synctest.Wait()
			if got := int(rested.Load()); got != step.want {
				t.Errorf("step %d: rested %d times, want %d", i, got, step.want)
			}
		}
		stop()
		if err := <-ended; err != context.Canceled {
			t.Error(err)
		}
	})
}
