// Package hub keeps devices in step with the ledger.
//
// Every report is handled in one transaction that holds the account: verify,
// consume the device's log, fold, rebuild the statement if it is not built from
// the account's head and the catalogue in force, store its bytes, commit; then
// answer. A link is renewed only if its device has proved to hold the newest
// statement and that statement is current, so nothing withdrawn is ever
// renewed. There are no dirty flags and no acknowledgements but the device's
// own signed reports.
//
// A change in the ledger wakes the hub, which builds and sends to devices that
// are connected, again after 1, 2, 4, 8 and 16 s while they have not confirmed,
// and then leaves it to them: they report by themselves. Delivery is never
// taken for application.
package hub

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/ledger"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// A Pipe carries sealed messages to devices. It is trusted with nothing: it may
// lose, repeat, delay and reorder.
type Pipe interface {
	// Publish hands a message over and does not wait for its delivery.
	Publish(device cardea.DeviceID, payload []byte) error
	// Connected reports whether the device can be reached at this moment.
	Connected(device cardea.DeviceID) bool
	// Kick ends the device's connection.
	Kick(device cardea.DeviceID)
}

// Config is what a hub works with.
type Config struct {
	DB     *accountdb.DB
	Ledger *ledger.Ledger
	Pipe   Pipe
	// Signer is what signs a statement now; its key stands in what is KeyList
	// now, which Root signed. Both change when the key is rotated.
	Signer  func() crypto.Signer
	KeyList func() []byte
	Root    *ecdsa.PublicKey
	// Stated are all keys that ever signed a statement, for what devices still
	// hold. Nil: those of KeyList.
	Stated wire.Trust
	// UpURL and BrokerURL are where devices reach the cloud.
	UpURL, BrokerURL string
	// Clock says whether a transaction of that time may be signed, and why not;
	// see clock.Guard. Nil: always.
	Clock func(time.Time) error
	// Handled is told what became of each report, and Swept how far behind links
	// are, each time they are looked through. They must return soon. Nil: nobody
	// counts.
	Handled func(Result)
	Swept   func(Sweep)
	// Changed is told of an account of which Devices may say something else by
	// now: it decided something, or a device reported something new. Nil: nobody
	// looks.
	Changed func(cardea.AccountID)
	// Erased is told that an account was erased. It must not wait. Nil tells
	// nobody.
	Erased func()
	Log    *slog.Logger
}

// A Hub is safe for concurrent use. Run must be running for changes to be sent.
type Hub struct {
	Config
	kick chan struct{} // one slot
	look chan struct{} // one slot: for who is behind

	mu    sync.Mutex
	awake map[cardea.AccountID]push // what is to be sent, and when
	sent  map[cardea.LinkID]sent    // what was just sent, so that it is not sent twice at once
}

// A sent statement is on its way until the device could have answered.
type sent struct {
	revision uint64
	at       time.Time
}

// flight is how long a statement is given before it is sent again.
const flight = 800 * time.Millisecond

// A push is one account's turn to be sent to.
type push struct {
	due     time.Time
	attempt int
}

// attempts is how often a change is sent before it is left to the device.
const attempts = 6

// sweep is how often devices that are connected but behind are looked for, beside
// the times when there is a new catalogue.
const sweep = 10 * time.Second

// New makes a hub and lets the ledger and the catalogue wake it.
func New(c Config) *Hub {
	h := &Hub{Config: c, kick: make(chan struct{}, 1), look: make(chan struct{}, 1), awake: map[cardea.AccountID]push{}, sent: map[cardea.LinkID]sent{}}
	c.Ledger.Wake = h.Wake
	c.Ledger.Catalogue.Replaced = func() { wake(h.look) }
	return h
}

// Wake has the account's devices told what is new, soon. It never blocks.
func (h *Hub) Wake(account cardea.AccountID) {
	h.mu.Lock()
	h.awake[account] = push{due: time.Now()}
	h.mu.Unlock()
	wake(h.kick)
	h.changed(account)
}

func wake(slot chan<- struct{}) {
	select {
	case slot <- struct{}{}:
	default:
	}
}

func (h *Hub) changed(account cardea.AccountID) {
	if h.Changed != nil {
		h.Changed(account)
	}
}

// Run sends until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(sweep)
	defer tick.Stop()
	behind := h.sweep(ctx)
	for {
		wait := h.sendDue(ctx)
		if len(behind) > 0 { // one by one, so that what is decided meanwhile goes first
			h.wakeUnlessAwake(behind[0])
			behind, wait = behind[1:], 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-h.kick:
		case <-timer.C:
		case <-h.look:
			behind = h.sweep(ctx)
		case <-tick.C:
			h.forget()
			behind = h.sweep(ctx)
		}
		timer.Stop()
	}
}

// sendDue sends to every account whose turn has come and returns how long until
// the next one's.
func (h *Hub) sendDue(ctx context.Context) time.Duration {
	now := time.Now()
	h.mu.Lock()
	turns := maps.Clone(h.awake)
	h.mu.Unlock()
	wait := time.Hour
	for account, p := range turns {
		if p.due.After(now) {
			wait = min(wait, p.due.Sub(now))
			continue
		}
		next, again := h.send(ctx, account, p)
		h.mu.Lock()
		switch {
		case h.awake[account] != p: // woken meanwhile: a new turn stands there
			wait = 0
		case again:
			h.awake[account] = next
			wait = min(wait, next.due.Sub(now))
		default:
			delete(h.awake, account)
		}
		h.mu.Unlock()
	}
	return wait
}

// send tells an account's devices what is new and says when to look again.
func (h *Hub) send(ctx context.Context, account cardea.AccountID, p push) (push, bool) {
	waiting, err := h.tell(ctx, account, p.attempt)
	if err != nil && ctx.Err() == nil {
		h.Log.ErrorContext(ctx, "statements not sent", "err", err)
		waiting = true
	}
	if !waiting || p.attempt+1 >= attempts {
		return push{}, false
	}
	return push{due: p.due.Add(time.Second << p.attempt), attempt: p.attempt + 1}, true
}

// tell brings every link of the account up to date, publishes to those whose
// device is connected and has not confirmed, and ends the connections of
// devices that have left. It reports whether there is more to do.
func (h *Hub) tell(ctx context.Context, account cardea.AccountID, attempt int) (more bool, err error) {
	var out []outgoing
	var left []cardea.DeviceID
	err = h.update(ctx, func(tx *accountdb.Tx) error {
		out, left = nil, nil
		links, err := tx.Links(account)
		if err != nil {
			return err
		}
		for _, link := range links {
			if out, err = h.appendNews(tx, out, link); err != nil {
				return err
			}
		}
		left, err = h.leavers(tx, account)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("tell devices: %w", err)
	}
	h.publishAll(ctx, out)
	if attempt == 0 { // the answer to their last report is on its way
		return len(out)+len(left) > 0, nil
	}
	for _, device := range left {
		h.Pipe.Kick(device)
	}
	return len(out) > 0, nil
}

// update is a transaction whose time will be signed: the clock must be right.
func (h *Hub) update(ctx context.Context, f func(*accountdb.Tx) error) error {
	return h.DB.Update(ctx, func(tx *accountdb.Tx) error {
		if h.Clock != nil {
			if err := h.Clock(tx.Now); err != nil {
				return err
			}
		}
		return f(tx)
	})
}

func (h *Hub) appendNews(tx *accountdb.Tx, out []outgoing, link accountdb.Link) ([]outgoing, error) {
	link, err := h.current(tx, link)
	if err != nil || link.Have.Revision == link.Revision || !h.Pipe.Connected(link.Device) {
		return out, err
	}
	p, err := tx.Presence(link.ID)
	if err != nil || p.Missing != 0 { // the device could not even open it
		return out, err
	}
	o, err := h.statement(tx, link)
	return append(out, o), err
}

// leavers lists the account's devices that are connected and have no link any
// more, with anybody.
func (h *Hub) leavers(tx *accountdb.Tx, account cardea.AccountID) (left []cardea.DeviceID, err error) {
	devices, err := tx.Closed(account)
	if err != nil {
		return nil, err
	}
	for _, device := range devices {
		if !h.Pipe.Connected(device) {
			continue
		}
		links, err := tx.LinksOfDevice(device)
		if err != nil {
			return nil, err
		}
		if len(links) == 0 {
			left = append(left, device)
		}
	}
	return left, nil
}

func (h *Hub) publishAll(ctx context.Context, out []outgoing) {
	for _, o := range out {
		if h.flying(o) {
			continue
		}
		if err := h.publish(o); err != nil {
			h.Log.WarnContext(ctx, "not published", "device", o.down.Device, "err", err)
		}
	}
}

// An outgoing message is decided in a transaction and signed after its commit.
type outgoing struct {
	down cardea.Down
	key  wire.LinkKey
}

func (h *Hub) publish(o outgoing) error {
	sealed, err := h.seal(o)
	if err != nil {
		return err
	}
	h.note(o)
	return h.Pipe.Publish(o.down.Device, sealed)
}

// note remembers that a statement is on its way.
func (h *Hub) note(o outgoing) {
	if o.down.Renewal() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent[o.down.Link] = sent{o.down.Revision, time.Now()}
}

// flying reports whether the same statement was sent a moment ago.
func (h *Hub) flying(o outgoing) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.sent[o.down.Link]
	return last.revision == o.down.Revision && time.Since(last.at) <= flight
}

// forget drops the marks of statements that have arrived or were lost.
func (h *Hub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.sent, func(_ cardea.LinkID, s sent) bool { return time.Since(s.at) > flight })
}

func (h *Hub) seal(o outgoing) ([]byte, error) {
	sealed, _, err := wire.SealDown(o.down, h.Signer(), o.key)
	if err != nil {
		return nil, fmt.Errorf("seal for %s: %w", o.down.Device, err)
	}
	return sealed, nil
}

// sweep lists the accounts that have a connected device which is behind: what a
// node that died was about to send, and what a new catalogue changes.
func (h *Hub) sweep(ctx context.Context) []cardea.AccountID {
	var late []accountdb.Late
	err := h.DB.View(ctx, func(tx *accountdb.Tx) (err error) {
		_, catalogue := h.Ledger.Catalogue.Current()
		late, err = tx.Behind(catalogue)
		return err
	})
	if err != nil && ctx.Err() == nil {
		h.Log.ErrorContext(ctx, "sweep", "err", err)
	}
	if err := h.tally(ctx, len(late)); err != nil && ctx.Err() == nil {
		h.Log.ErrorContext(ctx, "links not counted", "err", err)
	}
	var behind []cardea.AccountID
	for _, l := range late {
		if h.Pipe.Connected(l.Device) {
			behind = append(behind, l.Account)
		}
	}
	return behind
}

func (h *Hub) wakeUnlessAwake(account cardea.AccountID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, already := h.awake[account]; !already {
		h.awake[account] = push{due: time.Now()}
	}
}
