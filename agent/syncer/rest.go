package syncer

import (
	"math/rand/v2"
	"time"
)

// When the power comes back, a whole street is there at once, and its cloud had
// better not hear of all in the same second. A device that was just powered up
// rests for a random while before it speaks, unless somebody does something with
// it. What is enforced meanwhile is what is held, as without a network.

// rest begins. s.mu is held.
func (s *Syncer) rest() {
	if s.cfg.Rest > 0 {
		s.rested = s.cfg.Gate.Boot() + rand.N(s.cfg.Rest)
		s.cfg.Log.Info("just powered up, the cloud is left alone for a while", "at_most", s.cfg.Rest)
	}
}

// resting reports whether nothing may be sent yet. A rest that is over ends here.
// s.mu is held.
func (s *Syncer) resting(now time.Duration) bool {
	if s.rested != 0 && now >= s.rested {
		s.rouse()
	}
	return s.rested != 0
}

// rouse ends the rest: it is over, or somebody has done something. s.mu is held.
func (s *Syncer) rouse() {
	if s.rested == 0 {
		return
	}
	s.rested = 0
	s.connect()
	now := s.cfg.Gate.Boot()
	for o := range s.outboxes() {
		o.hurry(now)
	}
	s.poke()
}
