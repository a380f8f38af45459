package e2e_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/cloud/hub"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// The life of a token that a device may have given just before it stopped; the
// gate itself must have stopped so much before the time told.
const tokenLife = 10 * time.Minute

// A home is one device and its cloud in a time of their own: the device's gate
// and the bound the cloud tells are the real ones, the messages between them go
// astray, late, twice and out of order.
type home struct {
	*rand.Rand
	t    *testing.T
	now  time.Duration // true time, since it began
	post []letter      // on its way

	// The cloud: its wall clock is off from the true time; while it does not
	// trust it, it signs nothing.
	off   time.Duration
	mute  time.Duration // until then
	held  []accountdb.Statement
	given bool
	stale time.Duration
	have  uint64

	// The device.
	gate     *gate.Gate
	path     string
	link     cardea.LinkID
	booted   int
	boot     time.Duration // its boot clock
	rate     float64       // of it
	misses   bool          // it stands still in suspend
	resumes  uint64
	online   bool
	revision uint64
	hash     cardea.Hash
	consents []cardea.Consent
	nonce    uint64
	sent     moment
	past     []cardea.Down

	counts tally
}

type moment struct {
	boot    time.Duration
	resumes uint64
}

// A letter is a message and when it arrives.
type letter struct {
	at   time.Duration
	up   *ask
	down *cardea.Down
}

type ask struct{ nonce, have uint64 }

// A tally shows that what is tested did happen.
type tally struct{ yes, no, running, stopped, applied, unsynced, steps, pushes int }

func (a *tally) add(b tally) {
	a.yes, a.no, a.running, a.stopped = a.yes+b.yes, a.no+b.no, a.running+b.running, a.stopped+b.stopped
	a.applied, a.unsynced, a.steps, a.pushes = a.applied+b.applied, a.unsynced+b.unsynced, a.steps+b.steps, a.pushes+b.pushes
}

const began = cardea.Millis(1_800_000_000_000)

// clock is what the cloud's wall clock shows.
func (h *home) clock() cardea.Millis { return began.Add(h.now + h.off) }

// some is a random time up to d.
func (h *home) some(d time.Duration) time.Duration { return time.Duration(h.Int64N(int64(d) + 1)) }

func (h *home) chance(percent int) bool { return h.IntN(100) < percent }

// issue makes the next statement.
func (h *home) issue() {
	reason := cardea.ReasonWithdrawn
	if h.given {
		reason = cardea.ReasonGranted
	}
	n := uint64(len(h.held) + 1)
	if len(h.held) > 0 {
		n = h.held[len(h.held)-1].Revision + 1
	}
	body, err := wire.EncodeBody(cardea.Body{Identity: cardea.Identity{Subject: "s"}, Consents: []cardea.Consent{{
		Key: recommend, Version: 1, Reason: reason, Class: cardea.ClassC, Staleness: uint32(h.stale.Seconds()), Decided: cardea.Point{Era: 1, Seq: n},
	}}})
	must(h.t, err)
	h.held = append(h.held, accountdb.Statement{Revision: n, Body: body, BodyHash: wire.BodyHash(body), Created: h.clock().Time()})
	if h.chance(70) { // pushed, without a nonce, and perhaps very late
		h.counts.pushes++
		h.mail(letter{down: h.down(0, false)})
	}
}

func (h *home) newest() accountdb.Statement { return h.held[len(h.held)-1] }

// down is what the cloud says now; a renewal has no body.
func (h *home) down(nonce uint64, renewal bool) *cardea.Down {
	s := h.newest()
	d := &cardea.Down{Revision: s.Revision, BodyHash: s.BodyHash, Time: h.clock(), Lease: h.clock().Add(30 * 24 * time.Hour)}
	d.Nonce[0], d.Nonce[1], d.Nonce[2] = byte(nonce), byte(nonce>>8), byte(nonce>>16)
	if !renewal {
		d.Body = s.Body
	}
	return d
}

// mail sends a letter: most arrive soon, some late, some never, some twice.
func (h *home) mail(l letter) {
	if h.chance(15) {
		return
	}
	for {
		l.at = h.now + h.some(h.stale/50)
		if h.chance(25) {
			l.at = h.now + h.some(2*h.stale)
		}
		h.post = append(h.post, l)
		if !h.chance(20) {
			return
		}
	}
}

// take handles a report as the hub does: what is confirmed, then a renewal only
// of what is newest and held.
func (h *home) take(a ask) {
	if h.now < h.mute {
		return
	}
	for i, s := range h.held {
		if s.Revision == a.have && a.have > h.have {
			h.have, h.held = a.have, h.held[i:]
			break
		}
	}
	h.mail(letter{down: h.down(a.nonce, a.have == h.newest().Revision)})
}

// receive handles a message as the syncer does.
func (h *home) receive(d cardea.Down) {
	h.past = append(h.past, d)
	nonce := uint64(d.Nonce[0]) | uint64(d.Nonce[1])<<8 | uint64(d.Nonce[2])<<16
	answer := nonce != 0 && nonce == h.nonce
	same := d.Revision == h.revision && bytes.Equal(d.BodyHash[:], h.hash[:])
	if d.Revision < h.revision || d.Revision == h.revision && !same || same && !answer || d.Renewal() && !same {
		return
	}
	if !same {
		body, err := wire.DecodeBody(d.Body)
		must(h.t, err)
		h.revision, h.hash, h.consents = d.Revision, d.BodyHash, body.Consents
		h.enforce()
	}
	if answer {
		h.gate.Renew(h.link, gate.Anchor{Time: d.Time, At: h.sent.boot, Lease: d.Lease, Resumes: h.sent.resumes})
		h.nonce = 0
	}
	if !same {
		h.report()
	}
}

func (h *home) enforce() {
	h.gate.Set(h.link, gate.State{Consents: h.consents, Revision: h.revision, BodyHash: h.hash})
	h.gate.Activate(h.link)
}

var lastNonce uint64 // over all homes: none is ever used twice

func (h *home) report() {
	lastNonce = (lastNonce + 1) % (1 << 24)
	h.nonce, h.sent = max(lastNonce, 1), moment{h.boot, h.resumes}
	if h.online {
		h.mail(letter{up: &ask{h.nonce, h.revision}})
	}
}

// start starts the agent, in this boot or in a new one.
func (h *home) start(reboot bool) {
	if reboot {
		h.booted++
		h.boot = h.some(time.Minute)
	}
	h.nonce = 0
	h.gate = gate.New(gate.Config{
		Boot: func() time.Duration { return h.boot }, BootID: fmt.Sprint("boot ", h.booted), Path: h.path,
		Resumes: func() uint64 { return h.resumes },
	})
	h.enforce()
}

// pass lets time pass on both sides, asleep or not, and delivers what is due.
func (h *home) pass(d time.Duration, asleep bool) {
	h.now += d
	if ran := time.Duration(float64(d) * h.rate); !asleep || !h.misses {
		h.boot += ran
	}
	if asleep {
		if h.misses {
			h.resumes++
		}
		return
	}
	var rest, due []letter
	for _, l := range h.post {
		if l.at <= h.now {
			due = append(due, l)
		} else {
			rest = append(rest, l)
		}
	}
	h.post = rest
	for _, l := range due {
		switch {
		case l.up != nil:
			h.take(*l.up)
		case h.online || h.chance(30):
			h.receive(*l.down)
		}
	}
}

// happen is one thing that goes wrong, or right.
func (h *home) happen() {
	switch n := h.IntN(100); {
	case n < 40:
		h.report()
	case n < 52: // the owner decides
		if h.now >= h.mute {
			h.given = !h.given
			h.issue()
		}
	case n < 56: // the operator makes the purpose stricter, or laxer
		if h.now >= h.mute {
			h.stale = max(10*time.Second, min(72*time.Hour, h.stale*time.Duration(1+h.IntN(8))/4)).Truncate(time.Second)
			h.issue()
		}
	case n < 66:
		h.online = !h.online
	case n < 70:
		h.start(true)
	case n < 73:
		h.start(false)
	case n < 79:
		h.pass(h.some(h.stale), true)
	case n < 82:
		h.gate.Shorten(h.some(h.stale))
	case n < 92:
		if len(h.past) > 0 { // somebody plays an old message again
			h.receive(h.past[h.IntN(len(h.past))])
		}
	case n < 95:
		h.step()
	case n < 97:
		h.wait()
	default:
		h.worst()
	}
}

// worst is a denial a moment after the device was answered, of which it hears
// nothing.
func (h *home) worst() {
	if !h.given || h.now < h.mute {
		return
	}
	h.report()
	h.take(ask{h.nonce, h.revision})
	h.receive(*h.down(h.nonce, h.revision == h.newest().Revision))
	h.given, h.online = false, false
	h.issue()
	h.wait()
}

// wait lets time pass up to the instant at which the device must have stopped.
func (h *home) wait() {
	bounds, err := hub.BoundsOf(h.held)
	must(h.t, err)
	if at, told := bounds.Stops[recommend]; told && !h.given {
		h.pass(max(0, at.Add(-tokenLife).Sub(h.clock().Time())), false)
	}
}

// step sets the cloud's clock. What it wrote by a slow clock and is open is put
// off, as the guard does once the clock is steady; a clock that went back signs
// nothing until it has caught up.
func (h *home) step() {
	h.counts.steps++
	before := h.off
	if h.off = 0; before == 0 {
		h.off = h.some(6*time.Hour) - 3*time.Hour
	}
	if d := h.off - before; d < 0 {
		h.mute = max(h.mute, h.now-d)
		return
	} else if h.now >= h.mute {
		h.mute = h.now + 10*time.Second
		for i := range h.held {
			h.held[i].Created = h.held[i].Created.Add(d)
		}
	} else {
		h.off = before // it is out of order already: one thing at a time
	}
}

// check compares what the device does with what the owner is told.
func (h *home) check() {
	h.t.Helper()
	a := h.gate.Decide(cardea.Query{Key: recommend})
	h.counts.yes, h.counts.no = h.counts.yes+btoi(a.Allowed()), h.counts.no+btoi(!a.Allowed())
	h.counts.unsynced += btoi(a.Reason == cardea.ReasonClock)
	if h.given {
		return
	}
	if h.have == h.newest().Revision {
		h.counts.applied++
		if a.Allowed() {
			h.t.Fatalf("told applied at revision %d, and the device says %s at revision %d", h.have, a.Verdict, h.revision)
		}
		return
	}
	if !a.Allowed() && !h.chance(10) {
		return // nothing can be wrong
	}
	bounds, err := hub.BoundsOf(h.held)
	must(h.t, err)
	at, told := bounds.Stops[recommend]
	switch {
	case a.Allowed() && !told:
		h.t.Fatalf("told that nothing runs on, and the device says %s at revision %d", a.Verdict, h.revision)
	case a.Allowed() && !h.clock().Time().Before(at.Add(-tokenLife)):
		h.t.Fatalf("told that it stops by %s, and at %s the device says %s (%v left, revision %d of %d, staleness %v)",
			at, h.clock().Time(), a.Verdict, a.Left, h.revision, h.newest().Revision, h.stale)
	case a.Allowed():
		h.counts.running++
	case told:
		h.counts.stopped++
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A thousand devices of all kinds, through outages, reboots, suspends their
// clocks count or miss, messages delayed, lost, doubled and replayed, clocks
// that run off and a cloud whose clock is set: none allows anything after the
// time its owner was told.
func TestStopsByThousandDevices(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	var total tally
	for i := range uint64(1000) {
		h := &home{
			Rand: rand.New(rand.NewPCG(seed, i)), t: t, link: cardea.NewID[cardea.LinkID](), online: true, given: true,
		}
		h.stale = []time.Duration{20 * time.Second, time.Hour, 24 * time.Hour, 72 * time.Hour}[h.IntN(4)]
		h.rate = 1 + (h.Float64()-0.5)*2*200e-6
		h.misses = h.chance(30)
		if h.chance(10) {
			h.path = filepath.Join(dir, fmt.Sprint(i))
		}
		h.start(true)
		h.issue()
		for range 200 {
			h.happen()
			h.check()
			h.pass(h.some(h.stale/8), false)
			h.check()
		}
		total.add(h.counts)
		if t.Failed() {
			t.Fatalf("device %d of seed %d", i, seed)
		}
	}
	t.Logf("%+v", total)
	for what, n := range map[string]int{
		"a yes": total.yes, "a no": total.no, "running on after a denial": total.running, "stopped by itself": total.stopped,
		"applied": total.applied, "a lost clock": total.unsynced, "a step of the cloud's clock": total.steps, "a push": total.pushes,
	} {
		if n < 1000 {
			t.Errorf("%s was seen %d times only: the test shows nothing", what, n)
		}
	}
}
