package syncer

import (
	"slices"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
)

// showTime is how long a device shows itself.
const showTime = 10 * time.Second

// A sign is whether the device shows itself now.
type sign struct {
	mu      sync.Mutex
	shown   int // so many orders are still being shown
	changed chan struct{}
}

// Identifying reports whether the device is to show or sound itself at this
// moment, because its owner wants to see which one it is; changed is closed when
// that is another answer.
func (s *Syncer) Identifying() (now bool, changed <-chan struct{}) {
	s.showing.mu.Lock()
	defer s.showing.mu.Unlock()
	return s.showing.shown > 0, s.showing.changed
}

// identify has the device show itself, which it does for a while and once.
func (s *Syncer) identify() {
	s.showing.add(1)
	time.AfterFunc(showTime, func() { s.showing.add(-1) })
}

func (g *sign) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.shown > 0
	if g.shown += n; was != (g.shown > 0) {
		close(g.changed)
		g.changed = make(chan struct{})
	}
}

// doneWith are the orders of a statement that are done once it is applied: what
// ends the link is proved by its last report.
func doneWith(orders []cardea.Order) (done []cardea.OrderID) {
	for _, o := range orders {
		if o.Kind == cardea.OrderIdentify {
			done = append(done, o.ID)
		}
	}
	return done
}

// anew reports whether there is an order that was not done before.
func anew(before, now []cardea.OrderID) bool {
	return slices.ContainsFunc(now, func(id cardea.OrderID) bool { return !slices.Contains(before, id) })
}
