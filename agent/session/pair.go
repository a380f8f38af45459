package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/pairing"
	"github.com/cardea-id/cardea/store/devicedb"
)

// An attempt is one pairing, from Start to its end, with all the codes it shows.
type attempt struct {
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	until  time.Duration // on the boot clock: no new code after it
	first  code
	rest   time.Duration // before the first poll

	presses chan press // of the device's button
}

// A code waits for its owner until end, on the boot clock.
type code struct {
	pending devicedb.Pairing
	end     time.Duration
}

// Start asks the server for a code, or returns the pairing that waits.
func (s *Session) Start(ctx context.Context) (client.Pairing, error) {
	if err := acquire(ctx, s.begin); err != nil {
		return client.Pairing{}, err
	}
	defer release(s.begin)
	if s.running() != nil {
		return s.Show(), nil
	}
	c, err := s.newCode(ctx)
	if err != nil {
		return client.Pairing{}, fmt.Errorf("start pairing: %w", err)
	}
	if err := s.launch(&attempt{first: c, until: s.cfg.Boot() + s.cfg.Patience}); err != nil {
		return client.Pairing{}, err
	}
	return s.Show(), nil
}

// Begin asks the server for a code and keeps it in the database, for a session
// that is made on it later and goes on from there. It starts nothing.
func Begin(ctx context.Context, cfg Config) (client.Pairing, error) {
	s, err := New(cfg)
	if err != nil {
		return client.Pairing{}, err
	}
	defer s.cancel()
	c, err := s.newCode(ctx)
	if err != nil {
		return client.Pairing{}, fmt.Errorf("start pairing: %w", err)
	}
	s.show(c)
	return s.Show(), nil
}

// Cancel forgets the pairing that waits. Without one it does nothing.
func (s *Session) Cancel() error {
	acquire(context.Background(), s.begin)
	defer release(s.begin)
	a := s.running()
	if a == nil {
		return nil
	}
	a.cancel()
	<-a.done
	if _, waits, err := s.cfg.DB.Pairing(); err == nil && !waits {
		return nil // it came to its own end meanwhile
	}
	if err := s.cfg.DB.ClearPairing(); err != nil {
		return fmt.Errorf("cancel pairing: %w", err)
	}
	s.set(s.idle(""))
	s.step(Cancelled, cardea.LinkID{})
	return nil
}

// newCode asks for a code and keeps it, so that a restart finds it.
func (s *Session) newCode(ctx context.Context) (code, error) {
	a, err := s.cfg.Client.Start(ctx, s.cfg.Device)
	if err != nil {
		if _, refused := errors.AsType[*pairing.Error](err); !refused {
			err = fmt.Errorf("%w: %w", ErrOffline, err)
		}
		return code{}, err
	}
	now := s.cfg.Boot()
	p := devicedb.Pairing{
		Issuer: s.cfg.Client.Issuer, Authorization: a,
		Started: time.Now(), Boot: s.cfg.BootID, BootTime: now,
	}
	if err := s.cfg.DB.PutPairing(p); err != nil {
		return code{}, fmt.Errorf("keep the code: %w", err)
	}
	return code{p, now + lifetime(a)}, nil
}

func lifetime(a pairing.Authorization) time.Duration { return time.Duration(a.ExpiresIn) * time.Second }

// launch runs an attempt until it ends or the session does.
func (s *Session) launch(a *attempt) error {
	a.ctx, a.cancel = context.WithCancel(s.ctx)
	a.done, a.presses = make(chan struct{}), make(chan press)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.attempt = a
	s.wg.Add(1) // under the lock, so never after Run began to wait
	s.mu.Unlock()
	if a.first.pending.Tokens == nil {
		s.show(a.first)
	} else {
		s.set(client.Pairing{State: client.PairApproved})
	}
	go func() {
		defer s.wg.Done()
		defer a.cancel()
		defer close(a.done)
		defer s.finish(a)
		if a.first.pending.Tokens != nil {
			s.join(a, a.first.pending, unknown)
			return
		}
		s.pair(a)
	}()
	return nil
}

func (s *Session) running() *attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempt
}

func (s *Session) finish(a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempt == a {
		s.attempt = nil
	}
}

// show puts a code on the screen.
func (s *Session) show(c code) {
	a := c.pending.Authorization
	s.mu.Lock()
	s.end = c.end
	s.setLocked(client.Pairing{
		State: client.PairPending, UserCode: a.UserCode,
		VerificationURI: a.VerificationURI, VerificationURIComplete: a.VerificationURIComplete,
		VerificationURIShort: a.VerificationURIShort,
	})
	s.mu.Unlock()
	s.step(Shown, cardea.LinkID{})
}

// idle is the state when no pairing goes on.
func (s *Session) idle(problem string) client.Pairing {
	if link, ok := s.cfg.DB.Active(); ok {
		return client.Pairing{State: client.PairLinked, Link: link, Problem: problem}
	}
	return client.Pairing{State: client.PairNone, Problem: problem}
}

// A word is how the wait for one code ended.
type word struct {
	code   code
	tokens pairing.Tokens
	err    error
}

// maxCodes is how many codes of one pairing count at once: the one shown and
// the one it replaced.
const maxCodes = 2

// A waiting is an attempt whose owner has not decided.
type waiting struct {
	s     *Session
	a     *attempt
	ctx   context.Context
	end   context.CancelFunc
	polls sync.WaitGroup
	words chan word // has room for all codes

	shown code
	codes []code           // all of them
	alive int              // codes that still count
	next  <-chan time.Time // when a new one is due
}

// pair waits for the owner. A new code is asked for before the one shown ends;
// both count until they end, because the owner may have begun with the old one.
func (s *Session) pair(a *attempt) {
	w := &waiting{s: s, a: a, words: make(chan word, maxCodes)}
	w.ctx, w.end = context.WithCancel(a.ctx)
	defer w.stop()
	w.wait(a.first, a.rest)
	for w.alive > 0 {
		select {
		case word := <-w.words:
			w.alive--
			if word.over() {
				w.stop()
				s.settle(a, word)
				return
			}
		case p := <-a.presses:
			if w.confirm(p) {
				return
			}
		case <-w.next:
			w.replace()
		}
	}
	if a.ctx.Err() == nil {
		s.ended(a, client.PairExpired, Expired, "")
	}
}

func (w *waiting) stop() {
	w.end()
	w.polls.Wait()
}

// wait polls for a code after a rest. From now on it is the one shown.
func (w *waiting) wait(c code, rest time.Duration) {
	w.shown, w.codes, w.alive = c, append(w.codes, c), w.alive+1
	w.next = w.renewal()
	w.polls.Go(func() {
		auth := c.pending.Authorization
		pause(w.ctx, rest)
		auth.ExpiresIn = int((c.end - w.s.cfg.Boot() + time.Second - 1) / time.Second)
		t, err := w.s.cfg.Client.Wait(w.ctx, auth)
		w.words <- word{c, t, err}
	})
}

// replace shows a new code.
func (w *waiting) replace() {
	if w.alive == maxCodes {
		w.next = time.After(time.Second)
		return
	}
	c, err := w.s.newCode(w.ctx)
	if err != nil {
		w.s.log.Warn("no new code", "err", err)
		w.next = time.After(5 * time.Second)
		return
	}
	w.s.show(c)
	w.wait(c, 0)
}

// renewal fires when a new code is due: a tenth of its life, at most a minute,
// before the end of the one shown. It never fires when no more are wanted.
func (w *waiting) renewal() <-chan time.Time {
	at := w.shown.end - min(lifetime(w.shown.pending.Authorization)/10, time.Minute)
	if at > w.a.until {
		return nil
	}
	return time.After(at - w.s.cfg.Boot())
}

// over reports whether the word ends the pairing and not only its code.
func (w word) over() bool {
	return w.err == nil || !errors.Is(w.err, pairing.ErrExpired) && !errors.Is(w.err, context.Canceled) &&
		!pairing.HasCode(w.err, pairing.ExpiredToken) && !pairing.HasCode(w.err, pairing.InvalidGrant)
}

// settle acts on the word that ended a pairing.
func (s *Session) settle(a *attempt, w word) {
	if w.err == nil {
		// Also when it was cancelled just now: whether the tokens are kept is
		// for Cancel to say, and a restart must find them.
		s.redeemed(a, w)
		return
	}
	if pairing.HasCode(w.err, pairing.AccessDenied) {
		s.ended(a, client.PairDenied, Denied, "")
		return
	}
	s.log.Error("the server refuses the pairing", "err", w.err)
	s.ended(a, client.PairNone, Failed, problem(w.err))
}

// ended forgets the codes of an attempt and shows how it ended.
func (s *Session) ended(a *attempt, state string, step Step, problem string) {
	if err := s.cfg.DB.ClearPairing(); err != nil {
		s.log.Error("the pairing can not be forgotten", "err", err)
	}
	p := client.Pairing{State: state, Problem: problem}
	if state == client.PairNone {
		p = s.idle(problem)
	}
	s.conclude(a, p)
	s.step(step, cardea.LinkID{})
}

// conclude shows the state an attempt ended in. Whoever sees it may start anew
// at once.
func (s *Session) conclude(a *attempt, p client.Pairing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempt == a {
		s.attempt = nil
	}
	s.setLocked(p)
}

// redeemed keeps the tokens before anything is done with them. Until they are
// first used the server gives them again for the same code and key, so a crash
// before this line loses nothing either.
func (s *Session) redeemed(a *attempt, w word) {
	s.set(client.Pairing{State: client.PairApproved})
	s.step(Approved, cardea.LinkID{})
	p, got := w.code.pending, s.cfg.Boot()
	p.Tokens = &w.tokens
	for s.cfg.DB.PutPairing(p) != nil {
		s.log.Error("the tokens can not be kept yet")
		s.set(client.Pairing{State: client.PairApproved, Problem: "the device's storage fails"})
		if !pause(a.ctx, time.Second) {
			return
		}
	}
	s.step(Stored, cardea.LinkID{})
	s.join(a, p, got)
}

// pause reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func acquire(ctx context.Context, sem chan struct{}) error {
	select {
	case sem <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func release(sem chan struct{}) { <-sem }
