// Package gate answers "may I?" from memory.
//
// A [Gate] holds the state of every link the device has, and which of them is
// active: [Gate.Decide] answers for the active one, and denies a guest. A
// decision takes no lock, allocates nothing and waits for nobody; a new state
// is published whole, so that no decision ever sees half of one.
//
// Time is the cloud's time in its last answer to a nonce, plus the boot clock
// since that nonce was sent; each link goes by its own cloud. Such an [Anchor]
// outlives the agent in the run directory, but never the boot: after one,
// whatever needs the time is denied until the cloud has answered. Where the boot
// clock may stand still in suspend, it outlives no suspend either.
package gate

import (
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea"
)

// Config is what a gate works with.
type Config struct {
	// Boot is a clock that goes on in suspend and never steps; by default
	// CLOCK_BOOTTIME.
	Boot func() time.Duration

	// BootID names the boot in which Boot counts; by default the kernel's.
	BootID string

	// Resumes counts how often the device came back from a suspend that Boot
	// may have missed: when it moves, the time is not known any more. Nil for a
	// Boot that misses none; see Resumes.
	Resumes func() uint64

	// Path is the file that keeps the anchors, in a folder that does not
	// outlive the boot, such as /run/cardea. Empty: a restart of the agent
	// forgets the time.
	Path string

	// Changed is called after every change, with the gate standing still, and
	// before the change is told to anybody: pages follow in it. It must not
	// change the gate. Nil: nobody.
	Changed func()

	// Log gets what goes wrong with that file; by default nothing is logged.
	Log *slog.Logger
}

// A State is what the gate enforces for one link.
type State struct {
	// Bar denies everything for one reason. Empty: no bar.
	Bar      cardea.Reason
	Consents []cardea.Consent
	Own      map[cardea.Key]cardea.Act // see cardea.Log.Own
	Revision uint64                    // of the statement
	BodyHash cardea.Hash
}

// An Anchor ties the boot clock to the cloud's: the cloud said Time in answer to
// a nonce that was sent at At, and that what it stated may be relied on until
// Lease. Resumes is what Config.Resumes counted at At.
type Anchor struct {
	Time    cardea.Millis `json:"time"`
	At      time.Duration `json:"at"` // on the boot clock
	Lease   cardea.Millis `json:"lease"`
	Resumes uint64        `json:"resumes,omitzero"`
	Ahead   time.Duration `json:"ahead,omitzero"` // how much of it is Shorten's
}

// IsZero reports whether there is no anchor: the time is not known.
func (a Anchor) IsZero() bool { return a == Anchor{} }

// now is the cloud's time when the boot clock shows boot, after that many
// resumes.
func (a Anchor) now(boot time.Duration, resumes uint64) cardea.Now {
	if a.IsZero() || boot < a.At || resumes != a.Resumes {
		return cardea.Now{}
	}
	return cardea.Now{Time: a.Time.Add(boot - a.At), Synced: true}
}

// now is what an anchor says of the present.
func (g *Gate) now(a Anchor) cardea.Now { return a.now(g.cfg.Boot(), g.Resumes()) }

// A Gate is safe for concurrent use.
type Gate struct {
	cfg  Config
	held atomic.Pointer[held]

	mu    sync.Mutex // of those who change the state
	saved map[cardea.LinkID]record
}

// held is everything at one moment; it is never changed.
type held struct {
	generation uint64
	changed    chan struct{} // closed when another took its place
	links      map[cardea.LinkID]*link
	active     *link // never nil
	activeID   cardea.LinkID
}

type link struct {
	view   *cardea.View
	state  State
	anchor Anchor
}

var (
	guest   = &link{view: cardea.Barred(cardea.ReasonGuest), state: State{Bar: cardea.ReasonGuest}}
	unknown = &link{view: cardea.Barred(cardea.ReasonUnknown), state: State{Bar: cardea.ReasonUnknown}}
)

// New makes a gate that denies everything to a guest, and reads what an earlier
// run of the agent knew of the time.
func New(cfg Config) *Gate {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Boot == nil {
		cfg.Boot = BootTime
	}
	if cfg.BootID == "" {
		cfg.BootID = BootID()
	}
	g := &Gate{cfg: cfg, saved: map[cardea.LinkID]record{}}
	g.load()
	g.held.Store(&held{
		// Another run of the agent began elsewhere, so that a generation seen
		// there is none of this one.
		generation: 1<<32 + rand.Uint64N(1<<52),
		changed:    make(chan struct{}),
		active:     guest,
	})
	return g
}

// Decide answers for whoever uses the device now.
func (g *Gate) Decide(q cardea.Query) cardea.Answer {
	l := g.held.Load().active
	return cardea.Decide(l.view, g.now(l.anchor), q)
}

// DecideFor answers for one link, active or not: data that was collected for
// somebody leaves under their word and nobody else's.
func (g *Gate) DecideFor(id cardea.LinkID, q cardea.Query) cardea.Answer {
	l := g.held.Load().links[id]
	if l == nil {
		l = unknown
	}
	return cardea.Decide(l.view, g.now(l.anchor), q)
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

// Active is the link Decide answers for, and the generation in which it does. ok
// is false for a guest.
func (g *Gate) Active() (id cardea.LinkID, generation uint64, ok bool) {
	h := g.held.Load()
	if h.active == guest {
		return cardea.LinkID{}, h.generation, false
	}
	return h.activeID, h.generation, true
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
