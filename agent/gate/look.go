package gate

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea"
)

// Active is the link Decide answers for, and the generation in which it does. ok
// is false for a guest.
func (g *Gate) Active() (id cardea.LinkID, generation uint64, ok bool) {
	h := g.held.Load()
	if h.active == guest {
		return cardea.LinkID{}, h.generation, false
	}
	return h.activeID, h.generation, true
}

// Clock is what is known of the time, to whoever uses the device now.
func (g *Gate) Clock() cardea.Now {
	return g.now(g.held.Load().active.anchor)
}

// ClockOf is what is known of a link's time.
func (g *Gate) ClockOf(id cardea.LinkID) cardea.Now {
	if l := g.held.Load().links[id]; l != nil {
		return g.now(l.anchor)
	}
	return cardea.Now{}
}

// Fresh reports whether something a link's cloud stated may still be relied on that
// counts for age after the cloud's last answer, and for the lease at most. While the
// time is not known, or the link is barred, nothing may.
func (g *Gate) Fresh(id cardea.LinkID, age time.Duration) bool {
	l := g.held.Load().links[id]
	if l == nil || l.state.Bar != "" {
		return false
	}
	now := g.now(l.anchor)
	return now.Synced && now.Time < min(l.anchor.Time.Add(age), l.anchor.Lease)
}

// KnownOf is a link's time without what Shorten has put before it, which may be
// anybody's: a cloud's answer must not be refused for it, or nothing would ever
// put the time right again.
func (g *Gate) KnownOf(id cardea.LinkID) cardea.Now {
	if l := g.held.Load().links[id]; l != nil {
		a := l.anchor
		a.At += a.Ahead
		return g.now(a)
	}
	return cardea.Now{}
}

// Boot is what the boot clock shows.
func (g *Gate) Boot() time.Duration { return g.cfg.Boot() }

// Resumes counts the suspends that the boot clock may have missed.
func (g *Gate) Resumes() uint64 {
	if g.cfg.Resumes == nil {
		return 0
	}
	return g.cfg.Resumes()
}

// BootID names this boot.
func (g *Gate) BootID() string { return g.cfg.BootID }

// Generation counts the states there were. It never stays the same over a
// change, a restart included, and never goes back while the agent runs.
func (g *Gate) Generation() uint64 { return g.held.Load().generation }

// Changed is closed when the generation moves on from since, at once if it has
// already. That a yes lapses with time moves no generation.
func (g *Gate) Changed(since uint64) <-chan struct{} {
	h := g.held.Load()
	if h.generation == since {
		return h.changed
	}
	return closed
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Keys are those of which the gate knows something, for whoever uses the device
// now, in order. Of all others it says "unknown".
func (g *Gate) Keys() []cardea.Key {
	state := g.held.Load().active.state
	keys := make([]cardea.Key, 0, len(state.Consents)+len(state.Own))
	for _, c := range state.Consents {
		keys = append(keys, c.Key)
	}
	for key := range state.Own {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Bar is what denies everything to whoever uses the device now, or nothing.
func (g *Gate) Bar() cardea.Reason { return g.held.Load().active.state.Bar }

// BarOf is what denies everything on a link, or nothing.
func (g *Gate) BarOf(id cardea.LinkID) cardea.Reason {
	if l := g.held.Load().links[id]; l != nil {
		return l.state.Bar
	}
	return cardea.ReasonUnknown
}

// Untimed reports that the boot clock alone does not tell when a yes ends: this
// machine may have been in suspend without its counting.
func (g *Gate) Untimed() bool { return g.cfg.Resumes != nil }
