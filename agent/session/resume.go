package session

import (
	"time"

	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/store/devicedb"
)

// resumeRest is between the start of the agent and its first poll. A server that
// just gave tokens to a poll of the run before would take one that follows at
// once for a second client with the same code, and refuse it.
const resumeRest = 2 * time.Second

// resume goes on with the pairing that an earlier run of the agent began.
func (s *Session) resume() {
	p, ok, err := s.cfg.DB.Pairing()
	if err != nil {
		s.log.Error("the pairing that waited can not be read", "err", err)
	}
	if err != nil || !ok {
		return
	}
	a := &attempt{first: code{pending: p}, until: -1, rest: resumeRest}
	if p.Issuer != s.cfg.Client.Issuer {
		s.log.Warn("the pairing that waited is for another server and is forgotten")
		s.ended(a, client.PairNone, Expired, "")
		return
	}
	left, known := s.left(p)
	if p.Tokens == nil && left <= 0 {
		s.ended(a, client.PairExpired, Expired, "")
		return
	}
	a.first.end = s.cfg.Boot() + left
	if known {
		a.until = s.cfg.Boot() + s.cfg.Patience
	}
	if err := s.launch(a); err != nil {
		s.log.Error("the pairing that waited can not go on", "err", err)
	}
}

// left is how much of a code's life is left. The boot clock knows, if this is
// still the boot the code was given in. The wall clock is believed only where it
// makes sense: a device that has lost the time, or found it, sees nonsense, and
// then the whole life may be left; the server ends it. known is false then, and
// no new code follows: the device may have been off for a week.
func (s *Session) left(p devicedb.Pairing) (left time.Duration, known bool) {
	life := lifetime(p.Authorization)
	if p.Boot != "" && p.Boot == s.cfg.BootID {
		return life - (s.cfg.Boot() - p.BootTime), true
	}
	if passed := time.Since(p.Started.Round(0)); passed >= 0 && passed < life {
		return life - passed, true
	}
	return life, false
}
