package syncer

import (
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A farewell is what an ended link still has to say.
type farewell struct {
	devicedb.Farewell
	outbox
	keyring
	heard int // how many of its reports the cloud has answered
}

// next is the report that has no answer yet. The one after it waits: an answer
// to a later report says nothing of an earlier one.
func (f *farewell) next() [][]byte { return f.Ups[f.heard : f.heard+1] }

// Unlink ends a link here at once: its last reports, with everything the cloud
// has not seen and the end itself, are signed and kept, and the rest of it is
// gone when the call returns.
func (s *Syncer) Unlink(id cardea.LinkID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[id]
	if l == nil {
		return fmt.Errorf("unlink: %w", devicedb.ErrNotFound)
	}
	s.rouse()
	if err := s.leave(l); err != nil {
		return fmt.Errorf("unlink: %w", err)
	}
	s.poke()
	return nil
}

// leave ends a link. What can not be reported, because its cloud takes no
// reports or its keys are damaged, is only deleted. s.mu is held.
func (s *Syncer) leave(l *link) error {
	if l.trust == nil {
		if err := s.cfg.DB.Delete(l.ID); err != nil {
			return err
		}
		s.gone(l)
		return nil
	}
	f, err := s.lastWords(l)
	if err != nil {
		return err
	}
	if err := s.cfg.DB.Leave(f); err != nil {
		return err
	}
	s.ended(l, f)
	s.cfg.Log.Info("link ended", "link", l.ID)
	return nil
}

func (s *Syncer) gone(l *link) {
	l.abandon()
	delete(s.links, l.ID)
	s.anchor()
	s.cfg.Gate.Remove(l.ID)
	s.refreshOwner()
	s.enforceAll() // what its person denied for all ends with it
}

// Abandon ends all links, for a device that is reset. keep is given their
// farewells, and those that still wait, and must have them on the disk outside
// this database when it returns; only then are the links out of force. If keep
// fails nothing has changed. A link whose cloud takes no reports leaves none.
func (s *Syncer) Abandon(keep func([]devicedb.Farewell) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []devicedb.Farewell
	for _, f := range s.farewells {
		all = append(all, f.Farewell)
	}
	for _, l := range s.links {
		if l.trust == nil {
			continue
		}
		f, err := s.lastWords(l)
		if err != nil {
			return fmt.Errorf("abandon: %w", err)
		}
		all = append(all, f)
	}
	if err := keep(all); err != nil {
		return fmt.Errorf("abandon: %w", err)
	}
	for _, l := range s.links {
		l.abandon()
		s.cfg.Gate.Remove(l.ID)
	}
	for _, f := range s.farewells {
		f.abandon()
	}
	clear(s.links)
	clear(s.farewells)
	s.connect()
	s.cfg.Log.Info("all links ended", "farewells", len(all))
	return nil
}

// lastWords signs as many reports as the log needs; the last one ends the link.
// They are the last use of its state: what is sent later are these bytes.
func (s *Syncer) lastWords(l *link) (devicedb.Farewell, error) {
	f := s.farewellOf(l)
	log := l.Log
	counts := withLink(s.purged(l))
	for _, e := range l.unsaved {
		log = log.Append(e)
	}
	log = log.Append(cardea.LogEntry{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActUnlink, Base: l.Head})
	for left := log.Entries; len(left) > 0; {
		up := s.report(l)
		up.Entries, up.Purged = left, counts
		up = wire.Fit(up)
		if len(up.Entries) == 0 {
			return f, fmt.Errorf("last report: %w", wire.ErrTooBig)
		}
		sealed, err := wire.SealUp(up, s.cfg.Signer, l.Key)
		if err != nil {
			return f, fmt.Errorf("last report: %w", err)
		}
		f.Ups, f.Nonces = append(f.Ups, sealed), append(f.Nonces, up.Nonce)
		left = left[len(up.Entries):]
	}
	return f, nil
}

// farewellOf is a link's farewell without its words.
func (s *Syncer) farewellOf(l *link) devicedb.Farewell {
	return devicedb.Farewell{
		Device: s.device, Link: l.ID, Key: l.Key, Issuer: l.Issuer, UpURL: l.UpURL, BrokerURL: l.BrokerURL, Root: l.Root, KeyList: l.KeyList,
	}
}

// bid begins, or begins again after a restart, to send a farewell. s.mu is held.
func (s *Syncer) bid(stored devicedb.Farewell) {
	f := &farewell{Farewell: stored, outbox: newOutbox(stored.BrokerURL, stored.UpURL)}
	if f.Device == "" {
		f.Device = s.device
	}
	if f.Device != s.device {
		f.broker = "" // which lets this device speak for itself only: it is posted
	}
	f.patient = true
	ring, err := s.ringOf(f.Root, f.KeyList)
	if err != nil {
		s.cfg.Log.Error("the answer to a farewell can not be verified", "link", f.Link, "err", err)
		f.due = never
	}
	f.keyring = ring
	s.farewells[f.Link] = f
}

// receiveFarewell takes the answer to a report of a farewell: signed, and to
// this very report. The last one's must say that the link is closed. s.mu is
// held.
func (s *Syncer) receiveFarewell(f *farewell, payload []byte) {
	if f.trust == nil {
		s.refuse(RefusedForeign, f.Link, nil)
		return
	}
	d, _, err := wire.OpenDown(payload, f.Device, f.Link, f.Key, f.trust)
	if err == nil && f.expired(max(d.Time, s.knownTime(f.Link))) {
		err = errExpired
	}
	last := f.heard == len(f.Ups)-1
	switch {
	case err != nil:
		s.refuse(refusalOf(err), f.Link, err)
		s.wantKeys(&f.keyring, f.Link, f.Issuer, err)
	case last && !d.Closed:
		s.refuse(RefusedForeign, f.Link, nil)
	case d.Nonce != f.Nonces[f.heard]:
		s.refuse(RefusedClosed, f.Link, nil)
	case last:
		s.bidden(f)
	default:
		f.heard++
		f.hurry(s.cfg.Gate.Boot())
		s.poke()
	}
}

// bidden forgets a farewell that was heard. s.mu is held.
func (s *Syncer) bidden(f *farewell) {
	if err := s.cfg.DB.DropFarewell(f.Link); err != nil {
		s.refuse(RefusedStore, f.Link, err) // it is sent and answered again
		return
	}
	f.abandon()
	delete(s.farewells, f.Link)
	s.connect()
	s.cfg.Log.Info("the cloud has closed an ended link", "link", f.Link)
}

// purged is what became of what was collected for a link, if the cloud has not
// been told. What can not be read is told another time.
func (s *Syncer) purged(l *link) *cardea.Purged {
	p, err := s.cfg.DB.Purged(l.ID)
	if err != nil || p == nil || p.N == l.told {
		return nil
	}
	return p
}

// withLink is what it comes to when the link ends: what waits is deleted.
func withLink(p *cardea.Purged) *cardea.Purged {
	if p == nil {
		return nil
	}
	next := *p
	next.N, next.Keys = p.N+1, slices.Clone(p.Keys)
	for i := range next.Keys {
		k := &next.Keys[i]
		k.Deleted, k.Held = k.Deleted+k.Held, 0
	}
	return &next
}

// report is a report on a link, with nothing to tell but how it stands.
func (s *Syncer) report(l *link) cardea.Up {
	up := cardea.Up{
		Device: s.device, Link: l.ID, Log: l.Log.ID, Boot: s.boot,
		Have: cardea.Have{Revision: l.Revision, BodyHash: l.BodyHash}, Clock: cardea.ClockUntrusted, Loss: l.Loss,
	}
	for id := range s.links {
		if len(up.Links) < wire.MaxLinks {
			up.Links = append(up.Links, id)
		}
	}
	up.Away, up.Done, up.Purged = s.away(l), l.Done, s.purged(l)
	if s.cfg.Gate.ClockOf(l.ID).Synced {
		up.Clock = cardea.ClockSynced
	}
	rand.Read(up.Nonce[:])
	return up
}
