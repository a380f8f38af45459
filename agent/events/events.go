// Package events takes what programs of the device collect about a person, and
// lets it leave only with that person's consent.
//
// An event is decided on twice. When it is handed in, every key it needs must be
// given, for collecting and for leaving; fields that the catalogue does not name
// for its purpose are dropped; and it is on the disk, sealed, before the program
// hears "accepted". When it is about to leave, the gate is asked again: what is
// denied by then is deleted, what has lapsed and may be held waits, and only what
// is allowed is sent. A denial deletes in its own transaction (see package
// devicedb), so the second look finds what time alone has ended.
//
// Events of somebody who does not use the device now wait until they do. Guests
// have none. What is deleted or dropped is counted, by key, and told to the cloud
// with the link's next report.
//
// A batch goes to the cloud over HTTPS, signed by the device and sealed for the
// link, as reports are. It is deleted here when the cloud says up to which number
// it has stored the queue, and sent again until then, so the cloud counts each
// number once.
package events

import (
	"cmp"
	"context"
	"crypto"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/store/devicedb"
)

// Config is what a Collector works with. DB, Gate, Device, Signer and HTTP must
// be set.
type Config struct {
	DB     *devicedb.DB
	Gate   *gate.Gate
	Device cardea.DeviceID
	Signer crypto.Signer
	HTTP   *http.Client

	// Every is how often the disk is written at most while little comes in; 1 s by
	// default.
	Every time.Duration

	// Linger is how long a first event waits for others before it is sent; 2 s by
	// default.
	Linger time.Duration

	// Log gets what could not be sent, and what was deleted; never what an event
	// says. By default nothing is logged.
	Log *slog.Logger
}

// A Collector is safe for concurrent use. Run must be running for anything to
// leave.
type Collector struct {
	cfg   Config
	began time.Duration // on the boot clock
	fresh chan struct{} // one slot: something was kept

	mu      sync.Mutex
	waiting []*submission // for the next write
	size    int           // of their data
	wrote   time.Time
	full    chan struct{} // one slot: do not wait for more
	refused map[cardea.Reason]uint64
}

// New makes a collector.
func New(cfg Config) *Collector {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Every, cfg.Linger = cmp.Or(cfg.Every, time.Second), cmp.Or(cfg.Linger, 2*time.Second)
	return &Collector{cfg: cfg, began: cfg.Gate.Boot(), fresh: make(chan struct{}, 1), full: make(chan struct{}, 1), refused: map[cardea.Reason]uint64{}}
}

// Bounds of what is written at once without waiting.
const (
	fullItems = 32
	fullBytes = 32 << 10
)

// A submission waits for its write.
type submission struct {
	link  cardea.LinkID
	items []cardea.Item
	done  chan struct{} // closed after the write
	out   []devicedb.Enqueued
	err   error
}

// keep has items written with those that others hand in meanwhile, and returns
// after the write.
func (c *Collector) keep(ctx context.Context, link cardea.LinkID, items []cardea.Item) ([]devicedb.Enqueued, error) {
	s := &submission{link: link, items: items, done: make(chan struct{})}
	c.mu.Lock()
	first := len(c.waiting) == 0
	c.waiting = append(c.waiting, s)
	for _, i := range items {
		c.size += len(i.Data) + fullBytes/fullItems
	}
	enough := c.size >= fullBytes
	wait := c.cfg.Every - time.Since(c.wrote)
	c.mu.Unlock()
	if enough {
		poke(c.full)
	}
	if first {
		go c.write(wait) // not by who may be gone before
	}
	select {
	case <-s.done:
		return s.out, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// write writes what waits, after a while or when it is enough.
func (c *Collector) write(wait time.Duration) {
	if wait > 0 {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.full:
		}
		timer.Stop()
	}
	c.mu.Lock()
	all := c.waiting
	c.waiting, c.size = nil, 0
	c.wrote = time.Now()
	c.mu.Unlock()
	links := map[cardea.LinkID][]*submission{}
	for _, s := range all {
		links[s.link] = append(links[s.link], s)
	}
	for link, of := range links {
		c.enqueue(link, of)
	}
	poke(c.fresh)
}

func (c *Collector) enqueue(link cardea.LinkID, all []*submission) {
	var items []cardea.Item
	for _, s := range all {
		items = append(items, s.items...)
	}
	out, err := c.cfg.DB.Enqueue(link, items, func(i cardea.Item) cardea.Reason {
		reason, _ := c.may(link, i.Keys())
		return reason
	})
	for _, s := range all {
		if s.err = err; err == nil {
			s.out, out = out[:len(s.items)], out[len(s.items):]
		}
		close(s.done)
	}
}

func poke(slot chan struct{}) {
	select {
	case slot <- struct{}{}:
	default:
	}
}

// may is the decision at collection: the person must be using the device, and
// every key given to collect under and to leave under. The time is the cloud's.
func (c *Collector) may(link cardea.LinkID, keys []cardea.Key) (cardea.Reason, cardea.Millis) {
	if active, _, ok := c.cfg.Gate.Active(); !ok || active != link {
		return cardea.ReasonGuest, 0
	}
	for _, key := range keys {
		for _, use := range []cardea.Use{cardea.UseCollect, cardea.UseEgress} {
			if a := c.cfg.Gate.DecideFor(link, cardea.Query{Key: key, Use: use}); a.Verdict != cardea.Allow {
				return a.Reason, 0
			}
		}
	}
	now := c.cfg.Gate.ClockOf(link)
	if !now.Synced || now.Time <= 0 {
		return cardea.ReasonClock, 0 // class N: nobody could say when it was
	}
	return cardea.ReasonGranted, now.Time
}
