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

// A standing keeps, of a key at one scope, only what can still matter: the
// denials that no later one stands for, and the grants that no denial has seen.
type standing struct {
	denials []Entry
	grants  []Entry
	yes     bool // whether there ever was a grant
	last    Point
}

// Fold applies entries, in the ledger's order, to an empty ledger.
func Fold(entries []Entry) *Consents {
	c := new(Consents)
	for _, e := range entries {
		c.Apply(e)
	}
	return c
}

// Apply takes one more entry. Passed over are entries that are no decision on a
// consent, an event that was applied before, and a grant by the brand or by a
// browser's signal, which nobody can make.
func (c *Consents) Apply(e Entry) {
	grant := e.Act == ActGrant && e.Channel != ChannelBrand && e.Channel != ChannelGPC
	if !grant && e.Act != ActDeny || !e.Event.IsZero() && c.seen[e.Event] {
		return
	}
	if c.slots == nil {
		c.slots, c.seen = map[slot]*standing{}, map[EventID]bool{}
	}
	c.seen[e.Event] = true
	at := slot{e.Key, e.Scope}
	s := c.slots[at]
	if s == nil {
		s = new(standing)
		c.slots[at] = s
	}
	s.last = later(s.last, e.Position.Point())
	if grant {
		s.grant(e)
		return
	}
	s.deny(e)
}

func (s *standing) deny(e Entry) {
	s.denials = slices.DeleteFunc(s.denials, func(d Entry) bool { return standsFor(e, d) })
	s.denials = append(s.denials, e)
	s.grants = slices.DeleteFunc(s.grants, func(g Entry) bool { return saw(e, g) })
}

func (s *standing) grant(e Entry) {
	s.yes = true
	if !slices.ContainsFunc(s.denials, func(d Entry) bool { return saw(d, e) }) {
		s.grants = append(s.grants, e)
	}
}

// saw reports whether the decision e was made knowing the entry o. Nobody has
// seen what was appended after their own decision, unless it stands before it
// in the same device log. An entry that has no position yet comes last.
func saw(e, o Entry) bool {
	return o.Position.Seq <= min(e.Base.Seq, e.Position.Seq-1) || !e.Log.IsZero() && e.Log == o.Log && o.N < e.N
}

// standsFor reports whether everybody who has seen the denial e has seen o: by
// a base, which reaches o if it reaches e, or by the log both are in.
func standsFor(e, o Entry) bool {
	return o.Position.Seq < e.Position.Seq && (e.Log.IsZero() || e.Log == o.Log && o.N < e.N)
}

// answers reports whether the grant g has seen every denial.
func (s *standing) answers(g Entry) bool {
	return !slices.ContainsFunc(s.denials, func(d Entry) bool { return !saw(g, d) })
}

// A yes is what a grant is worth: the version it was given to, and its end. The
// zero yes is none.
type yes struct {
	version uint32
	until   Millis
}

// better is the yes to the newer version, and of two to one version the longer.
func (y yes) better(o yes) yes {
	if o.version > y.version || o.version == y.version && o.until > y.until {
		return o
	}
	return y
}

// both is what two yeses that are both needed are worth.
func (y yes) both(o yes) yes {
	if y.until == 0 {
		return o
	}
	return yes{min(y.version, o.version), min(y.until, o.until)}
}

// open reports whether every required authoriser has a grant that has seen
// every denial, of a version that counts, and what they are worth together.
func (s *standing) open(t Terms) (y yes, ok bool) {
	for _, by := range t.Required {
		one := s.yesBy(by, t)
		if one.until == 0 {
			return yes{}, false
		}
		y = y.both(one)
	}
	return y, len(t.Required) > 0
}

// yesBy is the best yes of one authoriser.
func (s *standing) yesBy(by Authoriser, t Terms) (best yes) {
	for _, g := range s.grants {
		if g.By != by || !s.answers(g) {
			continue
		}
		if end, ok := t.end(g.Version, g.Recorded); ok {
			best = best.better(yes{g.Version, end})
		}
	}
	return best
}

// closed says why a standing that is not open is not.
func (s *standing) closed(t Terms) Reason {
	switch {
	case slices.ContainsFunc(t.Required, func(by Authoriser) bool { return s.yesBy(by, t).until > 0 }):
		return ReasonGuardian // one yes is there, another is missing
	case slices.ContainsFunc(s.grants, s.answers):
		return ReasonNotice
	case len(s.grants) > 0:
		return ReasonConflict
	case s.yes:
		return ReasonWithdrawn
	}
	return ReasonRefused
}

// On is what stands of a key on a device under the terms of the catalogue. The
// Version of what is given is the one the yes was to, and its class and its end
// are those of that yes. Class N is not gated and stands as granted whatever the
// ledger says.
func (c *Consents) On(device DeviceID, key Key, t Terms) Consent {
	out := Consent{
		Key: key, Version: t.Version, Class: t.Class,
		Staleness: uint32(t.Staleness.Seconds()), Reason: ReasonNotAsked,
	}
	var open, bound yes // the best yes, and those that answer a no together
	denied := false
	for _, scope := range []Scope{{}, {device}} {
		s := c.slots[slot{key, scope}]
		if s == nil {
			continue
		}
		out.Decided = later(out.Decided, s.last)
		y, ok := s.open(t)
		if !ok && (len(s.denials) > 0 || !denied) {
			out.Reason = s.closed(t)
		}
		denied = denied || !ok && len(s.denials) > 0
		open = open.better(y)
		if ok && len(s.denials) > 0 {
			bound = bound.both(y)
		}
	}
	switch {
	case t.Class == ClassN:
		out.Reason = ReasonGranted
	case open.until > 0 && !denied:
		if bound.until > 0 {
			open = yes{min(open.version, bound.version), bound.until}
		}
		out.give(open, t.at(open.version))
	case open.until > 0 && out.Reason == ReasonRefused:
		out.Reason = c.against(device, key)
	}
	return out
}

func (c *Consent) give(y yes, t Terms) {
	c.Reason, c.Version, c.ValidUntil = ReasonGranted, y.version, y.until
	c.Class, c.Staleness = t.Class, uint32(t.Staleness.Seconds())
}

// against says what a no at one scope is that stands against a yes at the
// other: taken back, or, if neither knew of the other, a conflict.
func (c *Consents) against(device DeviceID, key Key) Reason {
	here, there := c.slots[slot{key, Scope{device}}], c.slots[slot{key, Scope{}}]
	for _, pair := range [][2]*standing{{here, there}, {there, here}} {
		for _, no := range pair[0].denials {
			if slices.ContainsFunc(pair[1].grants, func(yes Entry) bool { return !saw(no, yes) && !saw(yes, no) }) {
				return ReasonConflict
			}
		}
	}
	return ReasonWithdrawn
}

func later(a, b Point) Point {
	if a.Before(b) {
		return b
	}
	return a
}

// Anywhere is what stands of a key at account scope alone: what a device with
// no decision of its own would be told.
func (c *Consents) Anywhere(key Key, t Terms) Consent { return c.On("", key, t) }

// OffOn lists the devices on which a key is denied at device scope.
func (c *Consents) OffOn(key Key, t Terms) []DeviceID {
	var off []DeviceID
	for at, s := range c.slots {
		if at.key != key || at.scope.Everywhere() || len(s.denials) == 0 {
			continue
		}
		if _, ok := s.open(t); !ok {
			off = append(off, at.scope.Device)
		}
	}
	slices.Sort(off)
	return off
}
