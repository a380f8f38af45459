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
	"math/rand/v2"
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
