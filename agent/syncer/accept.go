package syncer

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/gate"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A Refusal is why a message changed nothing.
type Refusal string

// The refusals.
const (
	RefusedTooBig      Refusal = "too_big"
	RefusedMalformed   Refusal = "malformed"
	RefusedSignature   Refusal = "signature"   // also: sealed for another device
	RefusedForeign     Refusal = "foreign"     // for a link that is not held here
	RefusedVersion     Refusal = "version"     // of a newer protocol
	RefusedOld         Refusal = "old"         // below the revision applied
	RefusedReplayed    Refusal = "replayed"    // the statement held, answering no report
	RefusedOther       Refusal = "other"       // the revision held, with another content
	RefusedUnsolicited Refusal = "unsolicited" // a renewal that answers no report
	RefusedRenewal     Refusal = "renewal"     // of a statement that is not held
	RefusedClosed      Refusal = "closed"      // closes a link, and answers no report
	RefusedStore       Refusal = "store"       // could not be kept
	RefusedTime        Refusal = "time"        // its time is not believed; what it states counts
)

// An arrival is a payload and the pipe it came through, nil for an HTTP answer,
// with how the connection was protected.
type arrival struct {
	payload []byte
	pipe    *pipe
	tls     *tls.ConnectionState
}

// receive takes one message.
func (s *Syncer) receive(m arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judge(m)
}

// judge finds out whose message it is and applies it, if it may be applied.
// s.mu is held.
func (s *Syncer) judge(m arrival) {
	id, err := wire.PeekDown(m.payload)
	if err != nil {
		if !s.receiveUnknown(m) {
			s.refuse(refusalOf(err), id, err)
		}
		return
	}
	if f := s.farewells[id]; f != nil {
		s.receiveFarewell(f, m.payload)
		return
	}
	l := s.links[id]
	if l == nil || l.trust == nil {
		s.refuse(RefusedForeign, id, nil)
		return
	}
	d, signed, err := wire.OpenDown(m.payload, s.device, l.ID, l.Key, l.trust)
	if err == nil && l.expired(max(d.Time, s.knownTime(id))) {
		err = errExpired
	}
	if err != nil {
		s.refuse(refusalOf(err), id, err)
		s.wantKeys(&l.keyring, id, l.Issuer, err)
		return
	}
	answer := !l.nonce.IsZero() && d.Nonce == l.nonce
	if answer && !d.Closed {
		answer = s.believe(l, d, m)
	}
	if why := objection(l.Link, d, answer); why != "" {
		s.refuse(why, id, nil)
		return
	}
	switch {
	case d.Closed:
		s.barUnknown(l, m.pipe)
		return
	case d.Recover:
		s.recall(l, m.pipe)
		return
	}
	s.apply(l, d, signed, answer, m.pipe)
}

// believe reports whether an answer's time may be used. One that is not believed
// is no answer: the connection it came by is made anew, and the cloud is asked
// again. s.mu is held.
func (s *Syncer) believe(l *link, d cardea.Down, m arrival) bool {
	if s.cfg.Believe == nil {
		return true
	}
	err := s.cfg.Believe(Answer{Link: l.ID, Issuer: l.Issuer, Time: d.Time, Sent: l.sent, TLS: m.tls})
	if err == nil {
		return true
	}
	s.refuse(RefusedTime, l.ID, err)
	if m.pipe != nil {
		m.pipe.Drop()
	} else {
		s.cfg.HTTP.CloseIdleConnections()
	}
	l.nonce, l.bytes = cardea.Nonce{}, nil
	l.due = s.cfg.Gate.Boot() + l.backoff()
	return false
}

// refuse counts a message that changes nothing. s.mu is held.
func (s *Syncer) refuse(why Refusal, id cardea.LinkID, err error) {
	s.refused[why]++
	level := slog.LevelWarn
	switch why {
	case RefusedOld, RefusedReplayed, RefusedUnsolicited, RefusedRenewal:
		level = slog.LevelInfo // also an honest message that another one overtook
	}
	s.cfg.Log.Log(context.Background(), level, "message refused", "reason", string(why), "link", id, "err", err)
}

func refusalOf(err error) Refusal {
	switch {
	case errors.Is(err, wire.ErrTooBig):
		return RefusedTooBig
	case errors.Is(err, wire.ErrForeign):
		return RefusedForeign
	case errors.Is(err, wire.ErrVersion):
		return RefusedVersion
	case errors.Is(err, wire.ErrSignature):
		return RefusedSignature
	}
	return RefusedMalformed
}

// objection says why an authentic message must change nothing, or "" if it may.
// answer says that it echoes the nonce of the last report.
func objection(l devicedb.Link, d cardea.Down, answer bool) Refusal {
	held := d.Revision == l.Revision && d.BodyHash == l.BodyHash
	switch {
	case (d.Closed || d.Recover) && answer:
		return ""
	case d.Recover:
		return RefusedUnsolicited
	case d.Closed:
		return RefusedClosed
	case d.Renewal() && !held:
		return RefusedRenewal
	case d.Renewal() && !answer:
		return RefusedUnsolicited
	case d.Revision < l.Revision:
		return RefusedOld
	case d.Revision == l.Revision && !held:
		return RefusedOther
	case held && !answer:
		return RefusedReplayed
	}
	return ""
}

// apply takes an acceptable message: durably first, then at the gate, then it
// is reported. s.mu is held.
func (s *Syncer) apply(l *link, d cardea.Down, signed []byte, answer bool, via *pipe) {
	next, forked := successor(l.Link, d, signed, answer)
	asked := anew(l.Done, next.Done)
	confirmed := next.Loss != l.Loss
	newer := next.Revision > l.Revision
	consumed := next.Log.N > l.Log.N
	reroled := !slices.Equal(next.Body.Identity.Roles, l.Body.Identity.Roles)
	again := forked && l.Bar == cardea.ReasonRollback
	if l.broken == cardea.ReasonStore || changed(l.Link, next) {
		if err := s.commit(l, func(x *devicedb.Link) { adopt(x, next) }); err != nil {
			s.refuse(RefusedStore, l.ID, err)
			return
		}
		if reroled && s.cfg.Reroled != nil {
			s.cfg.Reroled(l.ID)
		}
		s.enforce(l)
	}
	now := s.cfg.Gate.Boot()
	if answer && !forked {
		s.cfg.Gate.Renew(l.ID, gate.Anchor{Time: d.Time, At: l.sent, Lease: d.Lease, Resumes: l.resumes})
	}
	if answer {
		s.replied(l, d, now, via)
	}
	switch {
	case again: // the new log was not taken either: not at line rate
		l.rest(now, jitter(maxRepeat))
	case newer, forked, consumed && len(l.Log.Entries) > 0, l.unsaid(), l.away != s.away(l):
		l.hurry(now)
	case len(l.Log.Entries) > 0 && answer: // the cloud did not take them
		l.rest(now, min(jitter(maxRepeat), l.due-now))
	}
	if asked {
		s.identify()
	}
	if newer {
		s.applied(l)
	}
	if confirmed {
		s.cfg.Log.Info("the owner has confirmed this device", "link", l.ID)
	}
	if forked {
		s.cfg.Log.Error("the device's log is not what the cloud has seen: this device was rolled back or cloned, or the cloud put back; the link denies until the cloud has taken a new log", "link", l.ID)
	}
}

// replied notes that the report on its way has its answer, and when there is to
// be another.
func (s *Syncer) replied(l *link, d cardea.Down, now time.Duration, via *pipe) {
	l.quiet, l.counted = now, 0
	if l.expired(d.Time.Add(listMargin)) {
		s.wantKeys(&l.keyring, l.ID, l.Issuer, errEnding)
	}
	l.nonce, l.bytes, l.recalled = cardea.Nonce{}, nil, false
	if l.counts > 0 {
		l.told = l.counts
	}
	s.heard(&l.outbox, via)
	l.rest(now, s.interval(l))
	if l.switched && l.away == s.away(l) {
		l.switched = false
		l.rest(now, jitter(switchedRepeat))
	}
}

// unsaid reports whether something was decided since the last report was made.
func (l *link) unsaid() bool { return l.lastNumber() > l.said }

func (l *link) lastNumber() uint64 { return l.Log.N + uint64(len(l.Log.Entries)) }

// applied tells what a new statement brought, and does what it orders.
func (s *Syncer) applied(l *link) {
	s.cfg.Log.Info("statement applied", "link", l.ID, "revision", l.Revision)
	for _, c := range l.Body.Consents {
		if c.Reason == cardea.ReasonRollback {
			s.cfg.Log.Error("the statement gives a key by an older decision than the one held: it is denied", "link", l.ID, "key", string(c.Key))
		}
	}
	s.obey(l)
}

// successor is the state of a link after a message that may be applied. forked
// says that the cloud has seen another history of this device than its own; only
// an answer can say so, for any other message may be an old one.
func successor(l devicedb.Link, d cardea.Down, signed []byte, answer bool) (next devicedb.Link, forked bool) {
	next = l
	if d.Revision > l.Revision {
		body, err := wire.DecodeBody(d.Body)
		if err != nil {
			body = cardea.Body{} // can not be: the message was checked whole
		}
		next.Body = body
		next.Body.Consents, next.Decided = settle(body.Consents, l.Decided)
		next.Statement, next.Revision, next.BodyHash = signed, d.Revision, d.BodyHash
		next.Done = doneWith(body.Orders)
	}
	if answer && (l.Silent > 0 || d.Time.Sub(l.Heard).Abs() >= heardEvery) {
		next.Heard, next.Silent = d.Time, 0
	}
	if answer && d.Confirmed == l.Loss {
		next.Loss = cardea.LossID{}
	}
	next.Head = d.Head
	next.Rejected = d.Rejected
	log, err := l.Log.Acknowledge(d.Seen)
	switch {
	case err == nil:
		next.Everyone = devicedb.ForEveryone(l.Everyone, l.Log.Entries[:len(l.Log.Entries)-len(log.Entries)])
		if d.Revision > l.Revision {
			next.Everyone = slices.DeleteFunc(next.Everyone, func(key cardea.Key) bool { return given(next.Body.Consents, key) })
		}
		next.Log = log
		if answer {
			next.Bar = ""
		}
	case answer:
		next.Log, next.Bar, forked = l.Log.Reopen(), cardea.ReasonRollback, true
	}
	return next, forked
}

// given reports whether a statement gives a key. Its author's no for everyone is
// then over: they have said yes again, knowing of it.
func given(consents []cardea.Consent, key cardea.Key) bool {
	return slices.ContainsFunc(consents, func(c cardea.Consent) bool { return c.Key == key && c.Given() && c.Class != cardea.ClassN })
}

// settle denies every key that a statement gives by an older decision than the
// one that decided it here, also if a statement in between left the key out.
func settle(stated []cardea.Consent, decided map[cardea.Key]cardea.Point) ([]cardea.Consent, map[cardea.Key]cardea.Point) {
	stated, highest := slices.Clone(stated), maps.Clone(decided)
	if highest == nil {
		highest = make(map[cardea.Key]cardea.Point, len(stated))
	}
	held := make([]cardea.Consent, 0, len(decided))
	for key, at := range decided {
		held = append(held, cardea.Consent{Key: key, Decided: at})
	}
	for key, regressed := cardea.Regressed(held, stated); regressed; key, regressed = cardea.Regressed(held, stated) {
		for i := range stated {
			if stated[i].Key == key {
				stated[i].Reason = cardea.ReasonRollback
			}
		}
	}
	for _, c := range stated {
		if highest[c.Key].Before(c.Decided) {
			highest[c.Key] = c.Decided
		}
	}
	return stated, highest
}

// changed reports whether the disk must be written: a renewal of what stands
// there writes nothing.
func changed(a, b devicedb.Link) bool {
	return a.Revision != b.Revision || a.Head != b.Head || a.Bar != b.Bar || !slices.Equal(a.Rejected, b.Rejected) ||
		a.Log.ID != b.Log.ID || a.Log.N != b.Log.N || len(a.Log.Entries) != len(b.Log.Entries) || a.Loss != b.Loss ||
		a.Heard != b.Heard || a.Silent != b.Silent
}

// adopt writes what a message can change, and nothing else.
func adopt(x *devicedb.Link, next devicedb.Link) {
	x.Statement, x.Revision, x.BodyHash, x.Head = next.Statement, next.Revision, next.BodyHash, next.Head
	x.Body, x.Decided, x.Log, x.Rejected, x.Bar = next.Body, next.Decided, next.Log, next.Rejected, next.Bar
	x.Everyone, x.Loss = next.Everyone, next.Loss
	x.Done, x.Heard, x.Silent = next.Done, next.Heard, next.Silent
}

// receiveUnknown takes the signed word of a cloud that it does not know the link
// of a report, and tells whether the message was one. s.mu is held.
func (s *Syncer) receiveUnknown(m arrival) bool {
	for _, l := range s.links {
		if l.bytes == nil {
			continue
		}
		err := wire.OpenUnknown(m.payload, l.bytes, l.ID, l.trust)
		if err == nil {
			s.barUnknown(l, m.pipe)
			return true
		}
		s.wantKeys(&l.keyring, l.ID, l.Issuer, err)
	}
	for _, f := range s.farewells {
		for _, up := range f.Ups {
			err := wire.OpenUnknown(m.payload, up, f.Link, f.trust)
			if err == nil {
				s.bidden(f)
				return true
			}
			s.wantKeys(&f.keyring, f.Link, f.Issuer, err)
		}
	}
	return false
}

// barUnknown denies a link that its cloud does not know any more, or has closed:
// the device must be paired again. Nothing is erased, and the cloud is asked
// again now and then, because it may only have lost its memory for a while.
func (s *Syncer) barUnknown(l *link, via *pipe) {
	l.nonce, l.bytes = cardea.Nonce{}, nil
	s.heard(&l.outbox, via)
	l.rest(s.cfg.Gate.Boot(), jitter(s.cfg.MaxInterval))
	if l.Bar == cardea.ReasonUnknown {
		return
	}
	s.cfg.Log.Warn("the cloud does not know this link: pair again", "link", l.ID)
	if err := s.commit(l, func(x *devicedb.Link) { x.Bar = cardea.ReasonUnknown }); err != nil {
		s.refuse(RefusedStore, l.ID, err)
		return
	}
	s.enforce(l)
}
