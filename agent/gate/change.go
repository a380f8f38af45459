package gate

import (
	"maps"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
)

// Set enforces a new state of a link and returns its generation. What is known
// of the time stays.
func (g *Gate) Set(id cardea.LinkID, s State) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	anchor := g.restore(id, s)
	if l := g.held.Load().links[id]; l != nil {
		anchor = l.anchor
	}
	generation := g.publish(func(h *held) { h.links[id] = newLink(s, anchor) })
	g.save(id, s, anchor)
	return generation
}

// SetAll enforces new states of several links at once: no decision sees one of
// them without the others.
func (g *Gate) SetAll(states map[cardea.LinkID]State) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.held.Load().links
	anchors := make(map[cardea.LinkID]Anchor, len(states))
	for id, s := range states {
		anchors[id] = g.restore(id, s)
		if l := before[id]; l != nil {
			anchors[id] = l.anchor
		}
	}
	generation := g.publish(func(h *held) {
		for id, s := range states {
			h.links[id] = newLink(s, anchors[id])
		}
	})
	for id, s := range states {
		g.save(id, s, anchors[id])
	}
	return generation
}

// Renew takes the cloud's answer to a nonce: the time, and how long what it
// stated counts. The generation moves on only if some answer is another one now.
func (g *Gate) Renew(id cardea.LinkID, a Anchor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.held.Load().links[id]
	if before == nil {
		return
	}
	after := newLink(before.state, a)
	if before.answersAs(after, g.cfg.Boot(), g.Resumes()) {
		g.replace(id, after)
	} else {
		g.publish(func(h *held) { h.links[id] = after })
	}
	g.save(id, after.state, a)
}

// Shorten lets everything end by d sooner, until the cloud answers: the wall
// clock went ahead of the boot clock, which may have stood still. Whoever sets
// the clock can only stop things.
func (g *Gate) Shorten(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.publish(func(h *held) {
		for id, l := range h.links {
			if a := l.anchor; !a.IsZero() {
				a.At, a.Ahead = a.At-min(d, maxShorten), a.Ahead+min(d, maxShorten)
				h.links[id] = &link{view: l.view, state: l.state, anchor: a}
			}
		}
	})
	for id, l := range g.held.Load().links {
		g.save(id, l.state, l.anchor)
	}
}

// maxShorten is longer than anything is given, and keeps sums from overflowing.
const maxShorten = 10 * 365 * 24 * time.Hour

// Remove forgets a link.
func (g *Gate) Remove(id cardea.LinkID) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	generation := g.publish(func(h *held) {
		delete(h.links, id)
		if h.activeID == id {
			h.activeID = cardea.LinkID{}
		}
	})
	g.unsave(id)
	return generation
}

// Activate makes a link the one that Decide answers for. The zero id is a
// guest, and so is a link the gate does not hold.
func (g *Gate) Activate(id cardea.LinkID) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.publish(func(h *held) { h.activeID = id })
}

// publish puts a changed copy in place and wakes those who watch. g.mu is held.
func (g *Gate) publish(change func(*held)) uint64 {
	old := g.held.Load()
	next := old.copy()
	next.generation, next.changed = old.generation+1, make(chan struct{})
	change(next)
	next.resolve()
	g.held.Store(next)
	g.told()
	close(old.changed)
	return next.generation
}

// replace puts a link in place that answers as the one before.
func (g *Gate) replace(id cardea.LinkID, l *link) {
	next := g.held.Load().copy()
	next.links[id] = l
	next.resolve()
	g.held.Store(next)
	g.told()
}

func (g *Gate) told() {
	if g.cfg.Changed != nil {
		g.cfg.Changed()
	}
}

// Still runs f while nothing changes.
func (g *Gate) Still(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (h *held) copy() *held {
	next := *h
	next.links = maps.Clone(h.links)
	if next.links == nil {
		next.links = map[cardea.LinkID]*link{}
	}
	return &next
}

func (h *held) resolve() {
	if h.active = h.links[h.activeID]; h.active == nil {
		h.active = guest
	}
}

func newLink(s State, a Anchor) *link {
	s.Consents, s.Own = slices.Clone(s.Consents), maps.Clone(s.Own)
	if s.Bar != "" {
		return &link{view: cardea.Barred(s.Bar), state: s, anchor: a}
	}
	return &link{view: cardea.NewView(s.Consents, s.Own, a.Time, a.Lease), state: s, anchor: a}
}

// answersAs reports whether both give every key the same answer at this moment,
// apart from how long it counts.
func (l *link) answersAs(o *link, boot time.Duration, resumes uint64) bool {
	before, after := l.anchor.now(boot, resumes), o.anchor.now(boot, resumes)
	for _, c := range l.state.Consents {
		for _, use := range []cardea.Use{cardea.UseCollect, cardea.UseLocal, cardea.UseEgress} {
			q := cardea.Query{Key: c.Key, Use: use}
			a := cardea.Decide(l.view, before, q)
			b := cardea.Decide(o.view, after, q)
			if a.Verdict != b.Verdict || a.Reason != b.Reason {
				return false
			}
		}
	}
	return before.Synced == after.Synced
}
