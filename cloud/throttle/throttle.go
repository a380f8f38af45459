// Package throttle bounds how often something is tried: guesses at a password, at a
// code, from one place or at one account.
package throttle

import (
	"net/netip"
	"sync"
	"time"
)

// A Throttle lets a burst of tries through and then one at each pace. Keys
// stand for addresses and accounts, and are forgotten once they are quiet.
type Throttle struct {
	burst int
	pace  time.Duration

	mu    sync.Mutex
	full  map[string]time.Time // when the key's burst is whole again
	swept time.Time
}

// maxThrottled bounds the keys held. Over it the quiet ones are swept; should
// all be busy, new keys are refused: better than to let all through.
const maxThrottled = 100_000

// New makes a throttle with so many tries at once, and one more at each pace.
func New(burst int, pace time.Duration) *Throttle {
	return &Throttle{burst: burst, pace: pace, full: map[string]time.Time{}}
}

// Take spends one try of the key. If there is none left it returns how long to
// wait for the next.
func (t *Throttle) Take(key string, now time.Time) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	full := t.full[key]
	if full.Before(now) {
		full = now
	}
	next := full.Add(t.pace)
	if over := next.Sub(now) - time.Duration(t.burst)*t.pace; over > 0 {
		return over, false
	}
	if _, held := t.full[key]; !held && len(t.full) >= maxThrottled && !t.sweepLocked(now) {
		return t.pace, false
	}
	t.full[key] = next
	return 0, true
}

// GiveBack returns a try that turned out to be the owner.
func (t *Throttle) GiveBack(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if full, ok := t.full[key]; ok {
		t.full[key] = full.Add(-t.pace)
	}
}

// sweepLocked reports whether there is room for another key.
func (t *Throttle) sweepLocked(now time.Time) bool {
	if now.Sub(t.swept) < time.Second {
		return false
	}
	t.swept = now
	for key, full := range t.full {
		if !full.After(now) {
			delete(t.full, key)
		}
	}
	return len(t.full) < maxThrottled
}

// Block is the part of an address that one household or attacker has: an IPv4
// address, or an IPv6 /64.
func Block(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		p, err := a.WithZone("").Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return a.String()
}
