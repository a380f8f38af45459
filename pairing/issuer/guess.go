package issuer

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
)

const (
	accountGuesses = 5  // wrong codes of one account before it must wait
	networkGuesses = 20 // of one address block, which many may share
	allGuesses     = 1000
	// With all of these at work a guess finds one of 10,000 live codes, of
	// 20^8, once in two days.

	firstDelay = 10 * time.Second
	longest    = 15 * time.Minute
	forgotten  = time.Hour // after the last wrong guess
)

// ErrTooManyGuesses is returned when too many codes were wrong, whether this
// one is or not.
type ErrTooManyGuesses struct{ RetryAfter time.Duration }

func (e ErrTooManyGuesses) Error() string {
	return fmt.Sprintf("too many wrong codes: try again in %s", e.RetryAfter.Round(time.Second))
}

// guesses limits how often codes are guessed: by an account, by a block of
// addresses, and by all together. A guess is counted before it is tried and
// given back if it was right, so that guesses sent side by side count too.
type guesses struct {
	mu     sync.Mutex
	by     map[any]*tally // of an AccountID or a Prefix
	minute time.Time      // when the present minute ends
	all    int            // wrong guesses in it
}

type tally struct {
	wrong int
	until time.Time // no guess before
	last  time.Time
}

func newGuesses() *guesses { return &guesses{by: map[any]*tally{}} }

// block is what a guesser can easily have many addresses of.
func block(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 32
	if a.Is6() {
		bits = 48
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// take counts a guess as wrong, or returns ErrTooManyGuesses. All whose address
// is not known, the zero one, count as one network: or it would pay to be
// unknown. right gives it back.
func (s *guesses) take(account cardea.AccountID, from netip.Addr, now time.Time) (right func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(now)
	who := map[any]int{account: accountGuesses, block(from): networkGuesses}
	wait := time.Duration(0)
	if s.all >= allGuesses {
		wait = s.minute.Sub(now)
	}
	for key := range who {
		if t := s.by[key]; t != nil {
			wait = max(wait, t.until.Sub(now))
		}
	}
	if wait > 0 {
		return nil, ErrTooManyGuesses{wait}
	}
	s.all++
	delayed := map[any]time.Time{}
	for key, free := range who {
		delayed[key] = s.countLocked(key, free, now)
	}
	return func() { s.giveBack(who, delayed) }, nil
}

// countLocked counts a guess and returns until when it delays the next, zero if
// it does not.
func (s *guesses) countLocked(key any, free int, now time.Time) time.Time {
	t := s.by[key]
	if t == nil {
		t = &tally{}
		s.by[key] = t
	}
	t.wrong++
	t.last = now
	over := t.wrong - free
	if over < 0 {
		return time.Time{}
	}
	t.until = now.Add(min(firstDelay<<min(over, 20), longest))
	return t.until
}

// giveBack takes back the count of a right guess and the delay it set. The one
// of the wrong guess before it was over when it was taken.
func (s *guesses) giveBack(who map[any]int, delayed map[any]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = max(s.all-1, 0)
	for key, free := range who {
		t := s.by[key]
		if t == nil {
			continue
		}
		t.wrong = max(t.wrong-1, 0)
		if t.wrong < free || t.until.Equal(delayed[key]) {
			t.until = time.Time{}
		}
	}
}

func (s *guesses) forgetLocked(now time.Time) {
	if now.Before(s.minute) {
		return
	}
	s.minute, s.all = now.Add(time.Minute), 0
	for key, t := range s.by {
		if now.Sub(t.last) > forgotten {
			delete(s.by, key)
		}
	}
}
