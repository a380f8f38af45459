package issuer

import (
	"net/netip"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/pairing"
)

// slack is how much too soon a poll may come: timers and networks are not exact.
const slack = time.Second

// A pacer knows who polls too often. It lives in memory: a poll that finds
// nothing decided must not cost a write.
type pacer struct {
	mu    sync.Mutex
	codes map[cardea.Hash]*pace
	sweep time.Time // when to forget again
}

type pace struct {
	last     time.Time // when the last poll came
	interval time.Duration
	end      time.Time // of the code
}

func newPacer() *pacer { return &pacer{codes: map[cardea.Hash]*pace{}} }

// early notes a poll and reports whether it came too soon after the one before.
func (p *pacer) early(g pairing.Grant, at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked(at)
	c := p.codes[g.Code]
	if c == nil {
		p.codes[g.Code] = &pace{last: at, interval: pairing.DefaultInterval, end: g.Expires.Time()}
		return false
	}
	early := at.Sub(c.last) < c.interval-slack
	if at.After(c.last) {
		c.last = at
	}
	return early
}

// slow makes the interval five seconds longer, once: doing it each time would
// starve a client that can not keep up (RFC 8628, Section 3.5).
func (p *pacer) slow(code cardea.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.codes[code]; c != nil {
		c.interval = pairing.DefaultInterval + pairing.SlowDownStep
	}
}

func (p *pacer) forgetLocked(now time.Time) {
	if now.Before(p.sweep) {
		return
	}
	p.sweep = now.Add(time.Minute)
	for code, c := range p.codes {
		if now.After(c.end) {
			delete(p.codes, code)
		}
	}
}

// A quota counts what a network asks for in fixed stretches of time.
type quota struct {
	limit int
	every time.Duration

	mu    sync.Mutex
	count map[netip.Prefix]int
	end   time.Time // of the present stretch
}

func newQuota(limit int, every time.Duration) *quota {
	return &quota{limit: limit, every: every, count: map[netip.Prefix]int{}}
}

// take counts one request, or says how long to wait when there were too many.
func (q *quota) take(net netip.Prefix, now time.Time) (wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !now.Before(q.end) {
		clear(q.count)
		q.end = now.Add(q.every)
	}
	if q.count[net] >= q.limit {
		return q.end.Sub(now)
	}
	q.count[net]++
	return 0
}
