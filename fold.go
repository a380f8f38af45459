package cardea

import "slices"

// Consents is the fold of an account's ledger: for every key and scope, which
// denials stand there and which grants have seen them all. The zero value is
// the empty ledger.
//
// A grant has seen a denial that stands in the ledger at or below the grant's
// base, or earlier in the same device log. A key is open at a scope if, for
// every required authoriser, some grant there has seen every denial there; it
// is denied at a scope that has a denial and is not open; it is given on a
// device if it is open at one of the device's scopes and denied at none.
// Neither arrival order, nor duplicates, nor any clock matters.
type Consents struct {
	slots map[slot]*standing
	seen  map[EventID]bool
}

type slot struct {
	key   Key
	scope Scope
}

// A standing keeps, of a key at one scope, only what can still matter. A denial
// is appended after every grant held so far, and no grant can have seen what
// was appended after it, so a denial clears the grants; and of the denials of
// one log the last stands for all, because logs are consumed in order.
type standing struct {
	denials map[LogID]uint64 // the last denial's sequence, by log; zero log: not from a device
	grants  []Entry
	last    Point
	reason  Reason
}

// Fold applies entries, in the ledger's order, to an empty ledger.
func Fold(entries []Entry) *Consents {
	c := new(Consents)
	for _, e := range entries {
		c.Apply(e)
	}
	return c
}

// Apply takes one more entry. Entries that are no decision on a consent are
// passed over, and so is an event that was applied before.
func (c *Consents) Apply(e Entry) {
	if e.Act != ActGrant && e.Act != ActDeny || c.seen[e.Event] {
		return
	}
	if c.slots == nil {
		c.slots, c.seen = map[slot]*standing{}, map[EventID]bool{}
	}
	c.seen[e.Event] = true
	at := slot{e.Key, e.Scope}
	s := c.slots[at]
	if s == nil {
		s = &standing{denials: map[LogID]uint64{}, reason: ReasonNotAsked}
		c.slots[at] = s
	}
	s.last = e.Position.Point()
	if e.Act == ActDeny {
		s.deny(e)
		return
	}
	s.grant(e)
}

func (s *standing) deny(e Entry) {
	s.reason = ReasonRefused
	for _, g := range s.grants {
		s.reason = ReasonWithdrawn
		if !saw(e, g) {
			s.reason = ReasonConflict
			break
		}
	}
	s.denials[e.Log] = e.Position.Seq
	s.grants = nil
}

func (s *standing) grant(e Entry) {
	for log, seq := range s.denials {
		if seq > e.Base.Seq && (log.IsZero() || log != e.Log) {
			s.reason = ReasonConflict // a denial this grant has not seen
			return
		}
	}
	s.grants = append(s.grants, e)
}

// saw reports whether the decision e was made knowing the entry o before it.
func saw(e, o Entry) bool {
	return o.Position.Seq <= e.Base.Seq || !e.Log.IsZero() && e.Log == o.Log && o.N < e.N
}

// open reports whether every required authoriser has a grant of the version,
// and until when the first of them counts.
func (s *standing) open(t Terms) (until Millis, ok bool) {
	if s == nil || len(t.Required) == 0 {
		return 0, false
	}
	for _, by := range t.Required {
		i := slices.IndexFunc(s.grants, func(g Entry) bool { return g.By == by && g.Version == t.Version })
		if i < 0 {
			return 0, false
		}
		last := s.grants[i]
		for _, g := range s.grants[i:] {
			if g.By == by && g.Version == t.Version {
				last = g
			}
		}
		if end := last.Recorded.Add(t.Validity); until == 0 || end < until {
			until = end
		}
	}
	return until, true
}

// On is what stands of a key on a device under the terms of the catalogue.
// Class N is not gated and stands as granted whatever the ledger says.
func (c *Consents) On(device DeviceID, key Key, t Terms) Consent {
	out := Consent{
		Key: key, Version: t.Version, Class: t.Class,
		Staleness: uint32(t.Staleness.Seconds()), Reason: ReasonNotAsked,
	}
	if t.Class == ClassN {
		out.Reason = ReasonGranted
		return out
	}
	scopes := []*standing{c.slots[slot{key, Scope{}}], c.slots[slot{key, Scope{device}}]}
	open := false
	for _, s := range scopes {
		if s == nil {
			continue
		}
		if out.Decided.Before(s.last) {
			out.Decided = s.last
		}
		until, ok := s.open(t)
		switch {
		case ok && (!open || until > out.ValidUntil):
			open, out.ValidUntil = true, until
		case !ok && len(s.denials) > 0:
			out.Reason = s.reason
		case !ok && len(s.grants) > 0 && out.Reason == ReasonNotAsked:
			out.Reason = ReasonNotice
		}
	}
	if open && (out.Reason == ReasonNotAsked || out.Reason == ReasonNotice) {
		out.Reason = ReasonGranted
	}
	if out.Reason != ReasonGranted {
		out.ValidUntil = 0
	}
	return out
}

// Anywhere is what stands of a key at account scope alone: what a device with
// no decision of its own would be told.
func (c *Consents) Anywhere(key Key, t Terms) Consent { return c.On("", key, t) }

// OffOn lists the devices on which a key is denied at device scope.
func (c *Consents) OffOn(key Key, t Terms) []DeviceID {
	var off []DeviceID
	for at, s := range c.slots {
		if _, ok := s.open(t); at.key == key && !at.scope.Everywhere() && !ok && len(s.denials) > 0 {
			off = append(off, at.scope.Device)
		}
	}
	slices.Sort(off)
	return off
}
