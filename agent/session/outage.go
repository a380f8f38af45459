package session

import (
	"context"
	"errors"
	"time"

	"github.com/cardea-id/cardea/pairing"
)

// How long the server is left alone after it failed twice in a row, at first and
// at most.
const (
	minRest = 500 * time.Millisecond
	maxRest = 8 * time.Second
)

// An outage is that the server fails. Programs ask for tokens as often as they
// like; what a server that is down hears of it must not grow with them.
type outage struct {
	err  error // the last failure; nil: there is none
	rest time.Duration
	end  time.Duration // of the rest, on the boot clock
}

// ask is refresh, with the last failure for an answer while the server rests.
func (s *Session) ask(ctx context.Context, key tokenKey) (pairing.Tokens, error) {
	if err := s.resting(); err != nil {
		return pairing.Tokens{}, err
	}
	t, err := s.refresh(ctx, key)
	s.heard(err)
	return t, err
}

func (s *Session) resting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Boot() >= s.outage.end {
		return nil
	}
	return s.outage.err
}

// heard notes what came of asking. The first failure costs no rest, because one
// lost answer is no outage; a server that says for how long it is away
// (RFC 9110, Section 10.2.3) is left alone so long.
func (s *Session) heard(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(err, ErrOffline) {
		s.outage = outage{}
		return
	}
	rest := s.outage.rest
	if s.outage.err != nil {
		rest = min(max(2*rest, minRest), maxRest)
	}
	wait := rest
	if e, ok := errors.AsType[*pairing.Error](err); ok {
		wait = max(wait, e.RetryAfter)
	}
	s.outage = outage{err: err, rest: rest, end: s.cfg.Boot() + wait}
}
