package syncer

import (
	"github.com/cardea-id/cardea"
)

// recall takes the word of a cloud that it knows less than the last report: it
// was put back to an earlier state. The next report carries the statement held,
// which the cloud itself signed. Nothing else follows from it: no clock moves, no
// lease is extended, and what is in force stays so. A cloud that asks again
// although it was shown the statement is not answered at line rate. s.mu is held.
func (s *Syncer) recall(l *link, via *pipe) {
	now := s.cfg.Gate.Boot()
	l.nonce, l.bytes = cardea.Nonce{}, nil
	s.heard(&l.outbox, via)
	l.rest(now, jitter(maxRepeat))
	if !l.recalled && len(l.Statement) > 0 {
		s.cfg.Log.Warn("the cloud has forgotten what it stated: it is shown the statement held", "link", l.ID)
		l.recalled = true
		l.hurry(now)
	}
}
