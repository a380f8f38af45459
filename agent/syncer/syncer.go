// Package syncer keeps the device's links in step with their clouds.
//
// One loop sends reports and takes statements. A report carries a fresh nonce
// and is repeated, after 1 s to 60 s, until the cloud's own answer echoes it;
// nothing else counts as received. It goes over the broker; when no answer came
// that way for a minute, or the broker is not there, the same bytes are posted.
//
// A statement is believed only if a key the link trusts signed it for this
// device and link, if its revision is above every one applied, or equal with
// the same content, and it gives nothing by an older decision than the one
// held. It is applied durably, then the gate enforces it, then one report proves
// it. Only the answer to the last nonce moves the clock or extends a lease. A
// message that fails any of this changes nothing and is counted by its reason.
//
// Which keys a link trusts stands in a list that the root signed which was pinned
// when it was paired. A message by a key that is not in it, a list that is near
// its end, or a server that nobody can vouch for has the newest list fetched: it
// proves itself, whatever way it came, and only a higher version is taken.
//
// What is decided on the device ([Syncer.Withdraw], [Syncer.Allow],
// [Syncer.Prefer], [Syncer.Unlink]) is on the disk and in force at the gate when
// the call returns, and on its way to the cloud; the network is never waited
// for. A link that ended here leaves its last reports behind, which are sent
// until the cloud has answered that it is closed.
package syncer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A Pipe carries sealed bytes to and from one broker, with no promise but
// effort. It is trusted with nothing: it may lose, repeat, delay and reorder.
type Pipe interface {
	// Run connects, and connects again, until ctx is done.
	Run(ctx context.Context) error
	// Publish hands a payload over and neither waits nor calls back. An error
	// means that it was not sent.
	Publish(topic string, payload []byte) error
	// Drop ends a connection that may be dead and has another one made.
	Drop()
}

// Config says whose links are kept. DB, Gate and Signer must be set, and Connect
// or HTTP.
type Config struct {
	// DB holds the links; nobody else changes their state.
	DB *devicedb.DB

	// Gate enforces them, and has the clock.
	Gate *gate.Gate

	// Signer is the device key, ECDSA on P-256.
	Signer crypto.Signer

	// Connect makes the pipe to a broker of an issuer's, for messages to this
	// device's topic. up is to be called each time messages begin to arrive,
	// message with each of them; both may be called from any goroutine, and
	// message waits until it is taken.
	Connect func(broker, issuer string, up func(), message func([]byte)) Pipe

	// HTTP posts reports that the pipe does not get through.
	HTTP *http.Client

	// Keys fetches key lists. It need not verify servers, for a list proves
	// itself, and may be wanted because they can not be verified any more. By
	// default it is HTTP.
	Keys *http.Client

	// RootPin is the thumbprint of the one root that may sign key lists. Empty:
	// of each link the one that came with it.
	RootPin string

	// Passed is an instant that is known to have passed, for a device that does
	// not know the time. Nil: none is.
	Passed func() time.Time

	// Rest is how long the clouds are left alone at most after Run began: for a
	// device that was just powered up, with all others of its street. It ends when
	// somebody decides something, is linked or takes over. 0: they are not.
	Rest time.Duration

	// Silence is how long the pipe may give no answer before reports are
	// posted; 60 s by default. Down is how long it may be down; 3 s by default.
	Silence time.Duration
	Down    time.Duration

	// Believe is asked whether the time of an answer may be used. An error is
	// why not: what the answer states counts all the same, but it moves no clock,
	// and the cloud is asked again over another connection. Nil believes all.
	Believe func(Answer) error

	// Reroled is told of a link whose user has other roles from now on, before
	// anybody else is: tokens from before say the old ones. It must not call the
	// syncer. Nil: nobody.
	Reroled func(cardea.LinkID)

	// RTC is a clock that goes on while the machine is paused and all others
	// stand still: what it goes ahead ends everything sooner, within 5 s of the
	// machine going on. Nil: the machine is never paused.
	RTC func() time.Duration

	// MaxInterval is how long the cloud is not asked at most, whatever the
	// statement would allow; 6 h by default.
	MaxInterval time.Duration

	// MaxOffline is how long a link goes on that hears nothing from its cloud;
	// cardea.MaxOfflineRetention by default. Then it is erased.
	MaxOffline time.Duration

	// Log gets what was refused and what changed; by default nothing is logged.
	Log *slog.Logger
}

// An Answer is the time a cloud gave in answer to a nonce.
type Answer struct {
	Link   cardea.LinkID
	Issuer string
	Time   cardea.Millis
	Sent   time.Duration // the nonce, on the boot clock
	// TLS is the connection it came by, one pointer a connection; nil if it was
	// not protected.
	TLS *tls.ConnectionState
}

// Bounds of the loop.
const (
	defaultSilence     = time.Minute
	defaultDown        = 3 * time.Second
	defaultMaxInterval = 6 * time.Hour

	// A suspended device's timers stand still, so no wait is longer, and a
	// boot clock that went further ahead than this was suspended.
	maxWait = 30 * time.Second
	suspend = 5 * time.Second
)

// ErrKey is returned by New for a device key of another kind.
var ErrKey = errors.New("the device key is no ECDSA key on P-256")

// A Syncer is made with New and works while Run runs; decisions made on the
// device are taken at any time. Its methods are safe for concurrent use.
type Syncer struct {
	cfg     Config
	device  cardea.DeviceID
	boot    cardea.Nonce // new at every boot
	wake    chan struct{}
	vouch   chan string // an issuer nobody vouches for
	inbound chan arrival
	posted  chan posted
	wg      sync.WaitGroup

	mu        sync.Mutex
	ctx       context.Context // of Run; nil before
	links     map[cardea.LinkID]*link
	farewells map[cardea.LinkID]*farewell
	pipes     map[string]*pipe // by the broker's URL
	refused   map[Refusal]uint64
	rested    time.Duration // when the rest after a power-up ends; 0: there is none

	showing sign // under its own lock

	anchors atomic.Pointer[map[string][]*x509.Certificate] // by issuer
	owner   cardea.LinkID                                  // the first of the links
	denied  map[cardea.Key]bool                            // by the device's owner, for all links
}

// New takes over what the database holds, and puts it in force at the gate.
func New(cfg Config) (*Syncer, error) {
	pub, ok := cfg.Signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, ErrKey
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Keys == nil {
		cfg.Keys = cfg.HTTP
	}
	setDefault(&cfg.Silence, defaultSilence)
	setDefault(&cfg.Down, defaultDown)
	setDefault(&cfg.MaxInterval, defaultMaxInterval)
	setDefault(&cfg.MaxOffline, cardea.MaxOfflineRetention)
	s := &Syncer{
		cfg:       cfg,
		device:    cardea.DeviceID(jose.Thumbprint(pub)),
		wake:      make(chan struct{}, 1),
		vouch:     make(chan string, 1),
		inbound:   make(chan arrival),
		posted:    make(chan posted),
		links:     map[cardea.LinkID]*link{},
		farewells: map[cardea.LinkID]*farewell{},
		pipes:     map[string]*pipe{},
		refused:   map[Refusal]uint64{},
		showing:   sign{changed: make(chan struct{})},
	}
	s.boot = bootNonce(s.device, cfg.Gate.BootID())
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("load links: %w", err)
	}
	return s, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// bootNonce is the same for the whole boot and tells nothing about the machine.
func bootNonce(device cardea.DeviceID, boot string) cardea.Nonce {
	sum := sha256.Sum256(fmt.Appendf(nil, "cardea boot\x00%s\x00%s", device, boot))
	return cardea.Nonce(sum[:16])
}

func (s *Syncer) load() error {
	links, err := s.cfg.DB.Links()
	if err != nil {
		return err
	}
	farewells, err := s.cfg.DB.Farewells()
	if err != nil {
		return err
	}
	for _, f := range s.cfg.DB.Found() {
		s.cfg.Log.Error("what the device keeps is doubtful: it denies until the cloud has answered", "link", f.Link, "err", f.Err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshOwner()
	s.denied = devicedb.DeniedForAll(s.owner, links...)
	for _, l := range links {
		if err := s.hold(l); err != nil {
			return err
		}
	}
	for _, f := range farewells {
		s.bid(f)
	}
	if id, ok := s.cfg.DB.Active(); ok {
		s.cfg.Gate.Activate(id)
	}
	return nil
}

// Run sends and takes messages until ctx is done.
func (s *Syncer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer cancel()
	s.mu.Lock()
	s.ctx = ctx
	s.rest()
	s.connect()
	s.mu.Unlock()
	began := time.Now()
	last := s.clocks(began)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		last = s.watchClocks(last, s.clocks(began))
		s.follow()
		s.leaveDue()
		timer.Reset(s.nap())
		select {
		case <-ctx.Done():
		case <-s.wake:
		case m := <-s.inbound:
			s.receive(m)
		case p := <-s.posted:
			s.answered(p)
		case issuer := <-s.vouch:
			s.findAnchors(issuer)
		case <-timer.C:
		}
	}
	s.keepSilence(shortSilence)
	return ctx.Err()
}

// poke has the loop look again.
func (s *Syncer) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// resumed asks every cloud anew after a suspend: connections may be dead, and
// no timer has run.
func (s *Syncer) resumed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Log.Info("resumed from suspend")
	for _, p := range s.pipes {
		p.Drop()
	}
	now := s.cfg.Gate.Boot()
	for o := range s.outboxes() {
		o.hurry(now)
	}
}

// A Status is how the exchange with the clouds goes.
type Status struct {
	Connected bool // some broker can be reached
	Refused   map[Refusal]uint64
	Farewells int // ended links whose cloud has not confirmed
}

// Status tells it.
func (s *Syncer) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Refused: make(map[Refusal]uint64, len(s.refused)), Farewells: len(s.farewells)}
	maps.Copy(st.Refused, s.refused)
	for _, p := range s.pipes {
		st.Connected = st.Connected || p.up
	}
	return st
}
