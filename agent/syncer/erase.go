package syncer

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

// What ends a link from the cloud's side: an order, or the cloud's silence. How
// long a cloud was silent is counted by the boot clock while the agent runs, over
// all its runs. The wall clock counts too, for the time the device was off, but
// only once the device was on for a while and still heard nothing: one that is
// wrong must not cost a link whose cloud is there to be asked.
const (
	heardEvery   = 24 * time.Hour // how fine the last answer is kept on the disk
	silentEvery  = time.Hour      // and how fine the silence since
	shortSilence = time.Minute    // is not worth a write when the agent stops
	wallCounts   = time.Hour      // the device must be on for so long
)

// ordered finds an order of this kind in the statement held.
func ordered(l *link, kind cardea.OrderKind) (cardea.OrderID, bool) {
	i := slices.IndexFunc(l.Body.Orders, func(o cardea.Order) bool { return o.Kind == kind })
	if i < 0 {
		return cardea.OrderID{}, false
	}
	return l.Body.Orders[i].ID, true
}

// obey ends a link that its statement orders to end. An order that fails stands,
// and is tried again. s.mu is held.
func (s *Syncer) obey(l *link) {
	var err error
	if order, ok := ordered(l, cardea.OrderErase); ok && l.trust != nil {
		err = s.erase(l, order)
	} else if _, ok := ordered(l, cardea.OrderUnlink); ok {
		err = s.leave(l)
	}
	if err != nil {
		s.cfg.Log.Error("a link ordered to end could not be left", "link", l.ID, "err", err)
	}
}

// erase ends a link and leaves nothing of it. What was decided here and not told
// is told no more: there is nobody left whom it could concern. s.mu is held.
func (s *Syncer) erase(l *link, order cardea.OrderID) error {
	s.cfg.Gate.Remove(l.ID) // nobody is answered while it goes
	f := s.farewellOf(l)
	up := s.report(l)
	up.Done = []cardea.OrderID{order}
	sealed, err := wire.SealUp(up, s.cfg.Signer, l.Key)
	if err != nil {
		return err
	}
	f.Ups, f.Nonces, f.Erased = [][]byte{sealed}, []cardea.Nonce{up.Nonce}, true
	if err := s.cfg.DB.Erase(f); err != nil {
		return err
	}
	s.ended(l, f)
	s.cfg.Log.Info("link erased", "link", l.ID)
	s.scrub()
	return nil
}

// ended takes a link out of force that only its farewell is left of.
func (s *Syncer) ended(l *link, f devicedb.Farewell) {
	s.gone(l)
	s.bid(f)
	s.connect()
}

// scrub has the disk forget what was erased. What fails is tried again.
func (s *Syncer) scrub() {
	if err := s.cfg.DB.Scrub(); err != nil {
		s.cfg.Log.Error("what was erased may still be on the disk: it is tried again at the next start", "err", err)
	}
}

// leaveDue ends the links that are ordered to end, which can only be those where
// it failed before, and those whose cloud was silent for too long.
func (s *Syncer) leaveDue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, wall := s.cfg.Gate.Boot(), cardea.MillisOf(time.Now())
	for id, l := range s.links {
		s.obey(l)
		if s.links[id] != nil && l.speaks() && s.silence(l, now, wall) >= s.cfg.MaxOffline {
			s.forsake(l)
		}
	}
	s.countSilence(now, silentEvery)
}

// speaks reports whether the link has a cloud that could be heard at all.
func (l *link) speaks() bool { return l.Key != wire.LinkKey{} }

// silence is how long a link has heard nothing, as far as can be told.
func (s *Syncer) silence(l *link, now time.Duration, wall cardea.Millis) time.Duration {
	run := now - l.quiet
	total := l.Silent + run - l.counted
	if run >= wallCounts && l.Heard > 0 {
		total = max(total, wall.Sub(l.Heard))
	}
	return total
}

// forsake erases a link whose cloud was silent for too long. Its last words tell
// what the cloud has not seen: it may only have been out of reach. s.mu is held.
func (s *Syncer) forsake(l *link) {
	s.cfg.Log.Warn("a link has heard nothing from its cloud for too long and is erased: pair again", "link", l.ID)
	s.cfg.Gate.Remove(l.ID)
	err := s.abandonOne(l)
	if err != nil {
		s.cfg.Log.Error("a link could not be erased", "link", l.ID, "err", err)
		return
	}
	s.scrub()
}

func (s *Syncer) abandonOne(l *link) error {
	if l.trust == nil {
		return s.leave(l)
	}
	f, err := s.lastWords(l)
	if err != nil {
		return err
	}
	f.Erased = true
	if err := s.cfg.DB.Erase(f); err != nil {
		return err
	}
	s.ended(l, f)
	return nil
}

// keepSilence has the next run go on counting.
func (s *Syncer) keepSilence(least time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.countSilence(s.cfg.Gate.Boot(), least)
}

// countSilence writes down how long links have heard nothing, of those where at
// least so much is not written yet. One whose cloud was not asked in that time is
// not silent, and costs no write. What can not be written is counted on. s.mu is
// held.
func (s *Syncer) countSilence(now time.Duration, least time.Duration) {
	for _, l := range s.links {
		fresh := now - l.quiet - l.counted
		asked := l.since != never || now-l.quiet > s.cfg.MaxInterval+silentEvery
		if fresh < least || !asked || !l.speaks() {
			continue
		}
		err := s.cfg.DB.Change(l.ID, func(x *devicedb.Link) error {
			x.Silent += fresh
			return nil
		})
		if err == nil {
			l.Silent += fresh
			l.counted += fresh
		}
	}
}
