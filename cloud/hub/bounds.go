package hub

import (
	"fmt"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// The bound on what a device can still do with what it was told lies this much
// after the statement itself has gone stale: an access token lives ten minutes
// and a clock may be a little off. The boot clock of a device that hears nothing
// may run slow as well, by 200 parts in a million at most: 52 s in 72 h.
const (
	tokenLife = 10 * time.Minute
	margin    = 2 * time.Second
	quartz    = 5000 // one part in
)

// gone is how long after a denial the last yes that may count for stale is gone.
func gone(stale time.Duration) time.Duration { return stale + stale/quartz + tokenLife + margin }

// Bounds say, for the keys that are not given any more and that a device may
// still act on, until when.
type Bounds struct {
	// Stops is when even a device that hears nothing more has stopped.
	Stops map[cardea.Key]time.Time
	// Endless are the keys for which no such time can be told: a statement the
	// device may hold gives them as something that stays on it, or that nobody is
	// asked for.
	Endless map[cardea.Key]bool
}

// BoundsOf works them out for a device that may hold any of the statements,
// oldest first. The statement that first denied a key was built no earlier than
// the denial was committed, and nothing that gives it was renewed since. Under
// which class a key is given may change from one statement to the next; what
// counts is every one that the device may hold.
func BoundsOf(held []accountdb.Statement) (Bounds, error) {
	b := Bounds{Stops: map[cardea.Key]time.Time{}, Endless: map[cardea.Key]bool{}}
	stale := map[cardea.Key]time.Duration{} // longest staleness of a yes so far
	endless := map[cardea.Key]bool{}        // some yes so far was without an end
	given := map[cardea.Key]bool{}          // in the statement before, if anybody was asked
	for _, s := range held {
		body, err := wire.DecodeBody(s.Body)
		if err != nil {
			return b, fmt.Errorf("statement %d: %w", s.Revision, err)
		}
		now := map[cardea.Key]bool{}
		for _, c := range body.Consents {
			switch {
			case !c.Given():
				given[c.Key] = given[c.Key] || endless[c.Key] // what nobody was asked for, and somebody is now
				continue
			case !bounded(c.Class):
				endless[c.Key] = true
			default:
				stale[c.Key] = max(stale[c.Key], time.Duration(c.Staleness)*time.Second)
			}
			delete(b.Stops, c.Key)
			delete(b.Endless, c.Key)
			now[c.Key] = c.Class != cardea.ClassN
		}
		for key, was := range given {
			if _, is := now[key]; is || !was {
				continue
			}
			if endless[key] {
				b.Endless[key] = true
			} else {
				b.Stops[key] = s.Created.Add(gone(stale[key]))
			}
		}
		given = now
	}
	return b, nil
}

// bounded reports whether a yes of the class ends by itself at a known time. What
// is not gated does not end, and what stays on the device goes on there after a
// reboot, when the time is not known: no honest bound can be told.
func bounded(c cardea.Class) bool { return c != cardea.ClassN && c != cardea.ClassL }
