package portal

import (
	"net/netip"
	"sync"
	"time"
)

// A throttle lets a burst of tries through and then one at each pace. Keys
// stand for addresses and accounts, and are forgotten once they are quiet.
type throttle struct {
	burst int
	pace  time.Duration

	mu    sync.Mutex
	full  map[string]time.Time // when the key's burst is whole again
	swept time.Time
}

// maxThrottled bounds the keys held. Over it the quiet ones are swept; should
// all be busy, new keys are refused: better than to let all through.
const maxThrottled = 100_000

func newThrottle(burst int, pace time.Duration) *throttle {
	return &throttle{burst: burst, pace: pace, full: map[string]time.Time{}}
}

// take spends one try of the key. If there is none left it returns how long to
// wait for the next.
func (t *throttle) take(key string, now time.Time) (wait time.Duration, ok bool) {
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

// giveBack returns a try that turned out to be the owner.
func (t *throttle) giveBack(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if full, ok := t.full[key]; ok {
		t.full[key] = full.Add(-t.pace)
	}
}

// sweepLocked reports whether there is room for another key.
func (t *throttle) sweepLocked(now time.Time) bool {
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

// block is the part of an address that one household or attacker has: an IPv4
// address, or an IPv6 /64.
func block(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		p, err := a.WithZone("").Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return a.String()
}
