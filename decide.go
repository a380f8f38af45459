package cardea

import (
	"slices"
	"time"
)

// A Verdict is the answer to "may I?".
type Verdict string

// The verdicts.
const (
	Allow      Verdict = "allow"       // yes
	AllowLocal Verdict = "allow_local" // yes, if the data stays on the device
	Hold       Verdict = "hold"        // do not send now; keep what was collected, sealed
	Deny       Verdict = "deny"        // no
)

// A Use is what a program is about to do with the data.
type Use string

// The uses.
const (
	UseCollect Use = "collect" // gather it; the zero Use means this
	UseLocal   Use = "local"   // work with it on the device
	UseEgress  Use = "egress"  // let it leave
)

func (u Use) valid() bool {
	return u == "" || u == UseCollect || u == UseLocal || u == UseEgress
}

// A Query asks about one key and one use.
type Query struct {
	Key Key `json:"key"`
	Use Use `json:"use,omitempty"`
}

// An Answer is a verdict, its reason, and how long it can count at most: a
// program in continuous use asks again at least every 5 s all the same.
type Answer struct {
	Verdict Verdict       `json:"verdict"`
	Reason  Reason        `json:"reason"`
	Left    time.Duration `json:"-"`
}

// Allowed reports whether the data may be used at all.
func (a Answer) Allowed() bool { return a.Verdict == Allow || a.Verdict == AllowLocal }

// A View is what a device enforces for one link. It is never changed: a new
// state is a new View, so that any number of readers need no lock.
type View struct {
	bar      Reason
	consents map[Key]Consent // with what the device's user decided laid over
	fresh    Millis
	lease    Millis
}

// Barred is a View that denies everything for one reason: nobody is linked, the
// state can not be read, the link is not trusted.
func Barred(reason Reason) *View { return &View{bar: reason} }

// NewView is the state of a link: the consents last stated, what the device's
// own user decided since (see Log.Own), the cloud's time in its last answer to
// a nonce, and the lease it gave. Of a key stated twice the denial counts.
func NewView(consents []Consent, own map[Key]Act, fresh, lease Millis) *View {
	v := &View{consents: make(map[Key]Consent, len(consents)), fresh: fresh, lease: lease}
	for _, c := range consents {
		if held, twice := v.consents[c.Key]; !twice || held.Given() {
			v.consents[c.Key] = known(c)
		}
	}
	for key, act := range own {
		c, ok := v.consents[key]
		if !ok {
			c = Consent{Key: key, Reason: ReasonUnknown}
		}
		v.consents[key] = overlay(c, act)
	}
	return v
}

// known turns what this device does not understand into a denial and what it
// was granted too long into what the class allows.
func known(c Consent) Consent {
	if !c.Class.Valid() && c.Given() || !slices.Contains(Reasons, c.Reason) {
		c.Reason = ReasonUnknown
	}
	c.Staleness = min(c.Staleness, uint32(c.Class.MaxStaleness().Seconds()))
	return c
}

// overlay puts what the device's user decided, and the cloud has not seen, over
// what was stated: a no always, a yes only where the data stays here and no
// denial is on record that the cloud would have to weigh.
func overlay(c Consent, own Act) Consent {
	local := c.Class == ClassL
	yes := own == ActGrant || own == actReconsider
	switch {
	case c.Class == ClassN && c.Given():
	case yes && local && c.Reason == ReasonNotAsked:
		c.Reason, c.ValidUntil = ReasonGranted, 0
	case own == ActGrant, yes && local:
	case c.Given():
		c.Reason = ReasonWithdrawn
	case c.Reason != ReasonWithdrawn:
		c.Reason = ReasonRefused
	}
	return c
}

// Decide answers a query from a View. It is pure, does not allocate and never
// waits. Whatever is unknown, unsure or too old is a denial.
func Decide(v *View, now Now, q Query) Answer {
	if v == nil {
		return deny(ReasonStore)
	}
	if v.bar != "" {
		return deny(v.bar)
	}
	c, ok := v.consents[q.Key]
	switch {
	case !ok || !q.Use.valid():
		return deny(ReasonUnknown)
	case !c.Given():
		return deny(c.Reason)
	case c.Class == ClassN:
		return Answer{Verdict: Allow, Reason: ReasonGranted, Left: ClassL.MaxStaleness()}
	}
	now.Synced = now.Synced && now.Time >= v.fresh // else one of the two is wrong
	if c.Class == ClassL {
		return decideLocal(v, now, q, c)
	}
	return decideTimed(v, now, q, c)
}

// decideTimed is for data that may leave: the time must be known.
func decideTimed(v *View, now Now, q Query, c Consent) Answer {
	if !now.Synced {
		return lapsed(c, q, ReasonClock)
	}
	if c.ValidUntil != 0 && now.Time >= c.ValidUntil {
		return deny(ReasonExpired)
	}
	end := v.end(c)
	if now.Time >= end {
		return lapsed(c, q, ReasonStale)
	}
	return Answer{Verdict: Allow, Reason: ReasonGranted, Left: end.Sub(now.Time)}
}

// decideLocal is for what is computed and kept here: it survives a clock that
// is not known, and never lets data leave.
func decideLocal(v *View, now Now, q Query, c Consent) Answer {
	if q.Use == UseEgress {
		return deny(ReasonNotAsked)
	}
	left := time.Duration(c.Staleness) * time.Second
	if now.Synced {
		if c.ValidUntil != 0 && now.Time >= c.ValidUntil {
			return deny(ReasonExpired)
		}
		end := v.end(c)
		if now.Time >= end {
			return deny(ReasonStale)
		}
		left = end.Sub(now.Time)
	}
	return Answer{Verdict: AllowLocal, Reason: ReasonGranted, Left: left}
}

// end is when the yes no longer counts: the first of staleness, lease and
// validity.
func (v *View) end(c Consent) Millis {
	end := min(v.fresh.Add(time.Duration(c.Staleness)*time.Second), v.lease)
	if c.ValidUntil != 0 {
		end = min(end, c.ValidUntil)
	}
	return end
}

// lapsed: what class C has already collected is held, all else is refused.
func lapsed(c Consent, q Query, reason Reason) Answer {
	if c.Class == ClassC && q.Use == UseEgress {
		return Answer{Verdict: Hold, Reason: reason}
	}
	return deny(reason)
}

func deny(reason Reason) Answer { return Answer{Verdict: Deny, Reason: reason} }

// Regressed reports the first key that a new statement gives with an older decision
// than the one held: a sign that the cloud was put back to an earlier state.
// Such a key must not be given.
func Regressed(held, next []Consent) (Key, bool) {
	at := make(map[Key]Point, len(held))
	for _, c := range held {
		at[c.Key] = c.Decided
	}
	for _, c := range next {
		if c.Given() && c.Decided.Before(at[c.Key]) {
			return c.Key, true
		}
	}
	return "", false
}
