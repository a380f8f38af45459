// Package session is who the device is linked to and the tokens that come with
// it: it pairs, joins, refreshes, and forgets a link whose grant was revoked.
//
// A pairing that was begun goes on through restarts, unreachable networks and
// lost answers until its owner decided or its time is over. While it waits, a
// new code is on the screen before the old one dies, and the old one still
// counts until it does. What was received is on the disk before it is used:
// tokens before the link is made with them, a rotated refresh token before the
// access token that came with it is given out.
//
// Refresh tokens never leave the agent. Programs get access tokens, for one
// audience each, fetched once however many ask.
package session

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

var (
	// ErrOffline is returned when the server can not be reached.
	ErrOffline = errors.New("the server can not be reached")
	// ErrAudience is returned when the server gives no token for the audience.
	ErrAudience = errors.New("the server gives no token for this audience")
	// ErrRequest is returned for a request that is not the audience's, or goes to
	// the server itself: there nobody speaks for the device but the agent.
	ErrRequest = errors.New("no proof is made for this address: it must be the audience's own, and not the server's that gives the tokens")
	// ErrIssuer is returned for a link of another server than the configured one.
	ErrIssuer = errors.New("the link belongs to another server: configure that issuer again, or pair again")
	// ErrClosed is returned after Run has ended.
	ErrClosed = errors.New("the agent is stopping")
	// ErrNoKey is returned by New for a client without an ECDSA key.
	ErrNoKey = pairing.ErrNoKey
)

// Config says whose session it is. DB and Client must be set.
type Config struct {
	// DB keeps the pairing, the link and the tokens.
	DB *devicedb.DB

	// Client speaks to the server, with the device key as its Signer. The
	// session sets its Trouble, and its Boot if it has none.
	Client *pairing.Client

	// Device is how the owner can tell which device asks.
	Device pairing.Device

	// Boot is a clock that goes on in suspend and never steps, and BootID is
	// new at every boot, so that the age of a code is known after a restart of
	// the agent. Without them the age is taken from the wall clock if that is
	// plausible, and else left to the server.
	Boot   func() time.Duration
	BootID string

	// RootPin is the thumbprint of the one root a link's key list may be signed
	// by. Empty: by the root that comes with the link.
	RootPin string

	// Patience is how long new codes are shown after Start; by default an
	// hour. Negative: one code, and no more.
	Patience time.Duration

	// Joined is called after a link is on the disk, with the sealed first
	// statement if the server sent one.
	Joined func(link cardea.LinkID, down []byte)

	// Revoked takes a link away whose grant has ended. By default it is
	// deleted, with whatever was not reported of it.
	Revoked func(cardea.LinkID) error

	// Notify is told of every step, in order. It must not call the session.
	Notify func(Event)

	// Log gets what went wrong and was survived; by default nothing is logged.
	Log *slog.Logger
}

// A Step is something that happened.
type Step string

// The steps of a pairing, and how it ends.
const (
	Shown     Step = "shown"     // a code can be shown; again for each new one
	Approved  Step = "approved"  // the server gave tokens
	Stored    Step = "stored"    // and they are on the disk
	Joined    Step = "joined"    // the link is on the disk
	Denied    Step = "denied"    // the owner said no, or took the yes back
	Expired   Step = "expired"   // nobody decided in time
	Failed    Step = "failed"    // the server refuses the device
	Cancelled Step = "cancelled" // the device's user gave up
	Revoked   Step = "revoked"   // the server ended the grant of a link
)

// An Event is a step and when it happened, for logs and measurements.
type Event struct {
	Step Step
	At   time.Time
	Link cardea.LinkID // of Joined and Revoked
}

// A Session is made with New and works while Run runs. Its methods are safe
// for concurrent use.
type Session struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends with Run
	cancel context.CancelFunc
	wg     sync.WaitGroup
	begin  chan struct{} // held by whoever begins or cancels a pairing
	renew  chan struct{} // held by whoever uses the refresh token
	events sync.Mutex    // keeps Notify in order

	mu         sync.Mutex
	closed     bool
	state      client.Pairing
	end        time.Duration // of the code shown, on the boot clock
	generation uint64
	changed    chan struct{}
	attempt    *attempt
	cache      map[tokenKey]cached
	flights    map[tokenKey]*flight
	forgot     map[cardea.LinkID]time.Duration // see Forget; on the boot clock
	outage     outage
}

// New takes over what the database holds: a pairing that waits, a link.
func New(cfg Config) (*Session, error) {
	if cfg.Client == nil || cfg.Client.Signer == nil {
		return nil, ErrNoKey
	}
	if _, ok := cfg.Client.Signer.Public().(*ecdsa.PublicKey); !ok {
		return nil, ErrNoKey
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Boot == nil {
		started := time.Now()
		cfg.Boot = func() time.Duration { return time.Since(started) }
		cfg.BootID = "" // such a clock means nothing to the next process
	}
	if cfg.Patience == 0 {
		cfg.Patience = time.Hour
	}
	s := &Session{
		cfg: cfg, log: cfg.Log, state: client.Pairing{State: client.PairNone},
		begin: make(chan struct{}, 1), renew: make(chan struct{}, 1), changed: make(chan struct{}),
		cache: map[tokenKey]cached{}, flights: map[tokenKey]*flight{}, forgot: map[cardea.LinkID]time.Duration{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	cfg.Client.Trouble = s.trouble
	if cfg.Client.Boot == nil {
		cfg.Client.Boot = cfg.Boot
	}
	if link, ok := cfg.DB.Active(); ok {
		s.state = client.Pairing{State: client.PairLinked, Link: link}
	}
	return s, nil
}

// Run goes on with a pairing that waited and serves until ctx ends. It returns
// nil once everything it started has stopped.
func (s *Session) Run(ctx context.Context) error {
	s.resume()
	if len(s.cfg.DB.Lost()) > 0 {
		s.wg.Go(s.regain)
	}
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}

// Show is the state of the pairing now.
func (s *Session) Show() client.Pairing {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.state
	if p.State == client.PairPending || p.State == client.PairConfirm {
		left := max(s.end-s.cfg.Boot(), 0)
		p.ExpiresIn = int64(left / time.Second)
		p.ExpiresAt = cardea.MillisOf(time.Now()).Add(left)
	}
	return p
}

// Generation counts the states Show has had since New.
func (s *Session) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// Changed is closed when the generation moves on from since, at once if it has.
func (s *Session) Changed(since uint64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == since {
		return s.changed
	}
	done := make(chan struct{})
	close(done)
	return done
}

// set shows a new state.
func (s *Session) set(p client.Pairing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(p)
}

func (s *Session) setLocked(p client.Pairing) {
	if p == s.state {
		return
	}
	s.state = p
	s.generation++
	close(s.changed)
	s.changed = make(chan struct{})
}

// step tells whoever watches, after the state was set.
func (s *Session) step(step Step, link cardea.LinkID) {
	s.events.Lock()
	defer s.events.Unlock()
	e := Event{Step: step, At: time.Now(), Link: link}
	s.log.Info("pairing", "step", step)
	if s.cfg.Notify != nil {
		s.cfg.Notify(e)
	}
}

// trouble shows what a pairing waits out.
func (s *Session) trouble(err error) {
	if pairing.HasCode(err, pairing.PressRequired) {
		s.asked()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.State != client.PairPending && s.state.State != client.PairConfirm {
		return
	}
	p := s.state
	p.Problem = problem(err)
	s.setLocked(p)
}

// problem is for a screen; the log has the rest.
func problem(err error) string {
	e, ok := errors.AsType[*pairing.Error](err)
	switch {
	case err == nil:
		return ""
	case ok:
		return "the server answers with an error: " + e.Code
	}
	return "the server can not be reached"
}
