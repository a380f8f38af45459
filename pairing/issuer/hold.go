package issuer

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

const (
	usualHold = 4 * time.Second
	maxHold   = pairing.MaxHold

	holdsPerNetwork = 16
	holdsInAll      = 10_000 // about 20 kB each
)

// holds is who waits for an owner's answer: at most one request for a code.
type holds struct {
	mu     sync.Mutex
	byCode map[cardea.Hash]*waiter
	byNet  map[netip.Prefix]int
	closed bool
}

func newHolds() *holds {
	return &holds{byCode: map[cardea.Hash]*waiter{}, byNet: map[netip.Prefix]int{}}
}

// A waiter is one request that may wait.
type waiter struct {
	holds    *holds
	code     cardea.Hash
	net      netip.Prefix
	limit    time.Duration
	tookOver bool // it released another request for the same code

	decided  chan struct{} // closed by wake
	released chan struct{} // closed when another took its place, or by close
	in       bool          // guarded by holds.mu
}

// enter registers a request that wants to wait for up to limit. It releases the
// one that waited for the same code: a device that comes again has lost the
// other connection. Over a bound, and after close, the waiter does not wait.
func (h *holds) enter(code cardea.Hash, net netip.Prefix, limit time.Duration) *waiter {
	w := &waiter{holds: h, code: code, net: net, limit: limit, decided: make(chan struct{}), released: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if limit <= 0 || h.closed {
		return w
	}
	if older := h.byCode[code]; older != nil {
		h.removeLocked(older)
		close(older.released)
		w.tookOver = true
	}
	if len(h.byCode) >= holdsInAll || h.byNet[net] >= holdsPerNetwork {
		return w
	}
	w.in = true
	h.byCode[code] = w
	h.byNet[net]++
	return w
}

func (h *holds) removeLocked(w *waiter) {
	if !w.in {
		return
	}
	w.in = false
	delete(h.byCode, w.code)
	if h.byNet[w.net]--; h.byNet[w.net] == 0 {
		delete(h.byNet, w.net)
	}
}

func (w *waiter) leave() {
	w.holds.mu.Lock()
	defer w.holds.mu.Unlock()
	w.holds.removeLocked(w)
}

// shared reports whether another request for the same code waited at the same
// time, before this one or after it.
func (w *waiter) shared() bool {
	select {
	case <-w.released:
		return true
	default:
		return w.tookOver
	}
}

// until waits for an answer of the owner, for no longer than the limit and the
// end of the code. It reports whether there is something new to be read. Where an
// answer may go to another process it also looks at every so often.
func (w *waiter) until(ctx context.Context, end time.Time, every time.Duration, look func() bool) bool {
	w.holds.mu.Lock()
	in := w.in
	w.holds.mu.Unlock()
	if !in {
		// Woken before it waited: between entering and now.
		select {
		case <-w.decided:
			return true
		default:
			return false
		}
	}
	timer := time.NewTimer(min(w.limit, time.Until(end)))
	defer timer.Stop()
	var again <-chan time.Time
	if every > 0 {
		tick := time.NewTicker(every)
		defer tick.Stop()
		again = tick.C
	}
	for {
		select {
		case <-w.decided:
			return true
		case <-again:
			if look() {
				return true
			}
			continue
		case <-w.released:
		case <-timer.C:
		case <-ctx.Done():
		}
		return false
	}
}

// wake tells who waits for a code that its grant has changed.
func (h *holds) wake(code cardea.Hash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.byCode[code]; w != nil {
		h.removeLocked(w)
		close(w.decided)
	}
}

// close releases everybody and lets nobody wait again.
func (h *holds) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, w := range h.byCode {
		h.removeLocked(w)
		close(w.released)
	}
}
