package events

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/devicedb"
)

// long is how long nothing is looked at when nothing happens.
const long = time.Hour

// Run looks through what waits and sends it until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	var seen uint64 // generation of the gate
	var next time.Time
	failures := 0
	retry := time.Now()
	for ctx.Err() == nil {
		if now := c.cfg.Gate.Generation(); now != seen || !time.Now().Before(next) {
			if now != seen {
				failures, retry = 0, time.Now() // it may be the network that is back
			}
			seen, next = now, time.Now().Add(c.sweep())
		}
		if !time.Now().Before(retry) {
			switch err := c.send(ctx); {
			case err == nil:
				failures = 0
				continue
			case errors.Is(err, errHeld):
				retry = time.Now().Add(long)
			case ctx.Err() == nil:
				c.cfg.Log.Warn("events wait", "err", err)
				retry = time.Now().Add(backoff(failures))
				failures++
			}
		}
		timer := time.NewTimer(min(time.Until(next), time.Until(retry)))
		select {
		case <-ctx.Done():
		case <-c.cfg.Gate.Changed(seen):
		case <-c.fresh:
			if failures == 0 {
				retry = time.Now().Add(c.cfg.Linger)
			}
			next = earlier(next, time.Now().Add(c.cfg.Linger)) // some may end sooner than all before
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// sweep deletes what may not leave any more, of everybody, and returns when to
// look again.
func (c *Collector) sweep() time.Duration {
	waiting, err := c.cfg.DB.Waiting()
	if err != nil {
		c.cfg.Log.Error("what was collected can not be read: nothing of it leaves", "err", err)
		return time.Minute
	}
	again := long
	for id := range waiting {
		link, err := c.cfg.DB.Link(id)
		if err != nil {
			continue // it bars itself
		}
		deleted := map[cardea.Key]int{}
		err = c.cfg.DB.Purge(id, func(item cardea.Item) (cardea.Key, bool) {
			v, key, left := c.judge(id, item, holdOf(link, item.Purpose))
			if v == cardea.Deny {
				deleted[key]++
				return key, true
			}
			again = min(again, left)
			return "", false
		})
		if err != nil {
			c.cfg.Log.Error("what may not leave any more can not be deleted: it does not leave", "link", id, "err", err)
			again = min(again, time.Minute)
		}
		for key, n := range deleted {
			c.cfg.Log.Info("events deleted that may not leave any more", "link", id, "key", string(key), "n", n)
		}
	}
	return max(again, time.Second)
}

// holdOf is how long what was collected for a purpose may wait here.
func holdOf(l devicedb.Link, p cardea.PurposeID) time.Duration {
	i := slices.IndexFunc(l.Body.Collections, func(c cardea.Collection) bool { return c.Purpose == p })
	if i < 0 {
		return 0 // not collected any more
	}
	return min(time.Duration(l.Body.Collections[i].Hold)*time.Second, cardea.MaxHold)
}

// judge decides on an item that waits: it may leave, it is held, or it is deleted,
// under a key. left is how long that stands at most. What bars a whole link is no
// word of its person's, so it only holds. Where the time is not known an item's age
// is at least that of this agent.
func (c *Collector) judge(link cardea.LinkID, item cardea.Item, hold time.Duration) (v cardea.Verdict, key cardea.Key, left time.Duration) {
	age := c.cfg.Gate.Boot() - c.began
	if now := c.cfg.Gate.ClockOf(link); now.Synced {
		age = now.Time.Sub(item.Collected)
	}
	use := cardea.KeyOf(item.Purpose, cardea.FacetUse)
	v, left = cardea.Allow, cardea.MaxHold-age
	for _, key := range item.Keys() {
		a := c.cfg.Gate.DecideFor(link, cardea.Query{Key: key, Use: cardea.UseEgress})
		switch {
		case a.Verdict == cardea.Allow:
			left = min(left, a.Left)
		case a.Verdict == cardea.Hold || c.cfg.Gate.BarOf(link) != "":
			v = cardea.Hold
		default:
			return cardea.Deny, key, 0
		}
	}
	if v == cardea.Hold {
		left = min(left, hold-age)
	}
	if left <= 0 {
		return cardea.Deny, use, 0
	}
	return v, use, left
}
