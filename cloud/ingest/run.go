package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/metrics"
	"github.com/cardea-id/cardea/cloud/webhook"
	"github.com/cardea-id/cardea/store/accountdb"
)

const (
	mostAtOnce = 200
	again      = 5 * time.Second // after the database has failed
	idle       = time.Hour
	look       = 30 * time.Second // for what other clouds of the database have left
	minRetry   = 2 * time.Second
	maxRetry   = time.Hour
	overtake   = 10 * time.Minute

	// Keep is how long an event is tried to be passed on.
	Keep = 7 * 24 * time.Hour
)

// Run passes on what waits until ctx ends. What was begun and not finished, before
// this or when the database failed, is settled first.
func (in *Ingest) Run(ctx context.Context) error {
	settled := false
	for ctx.Err() == nil {
		more, err := false, error(nil)
		if !settled {
			err = in.settle(ctx)
			settled = err == nil
		}
		if settled {
			if more, err = in.pass(ctx); errors.Is(err, errUnsettled) {
				settled = false
			}
		}
		if err != nil && ctx.Err() == nil {
			in.Log.ErrorContext(ctx, "events are not passed on, and wait", "err", err)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-in.fresh:
		case <-time.After(in.next(ctx, err)):
		}
	}
	return ctx.Err()
}

// next is how long nothing is due, unless a device sends something.
func (in *Ingest) next(ctx context.Context, failed error) time.Duration {
	wait := idle
	err := in.DB.View(ctx, func(tx *accountdb.Tx) error {
		if tx.Shared() {
			wait = look
		}
		due, ok, err := tx.NextEvent(in.Node, in.Overtake)
		if ok {
			wait = min(max(due.Sub(tx.Millis()), 0), wait)
		}
		return err
	})
	if err != nil {
		return again
	}
	if failed != nil {
		wait = max(wait, again)
	}
	return wait
}

// settle forgets what the sink has of what this cloud had claimed, gives the rest
// back, and takes back what is lost: what others were quicker with, too.
func (in *Ingest) settle(ctx context.Context, lost ...cardea.ItemID) error {
	var overtaken []cardea.ItemID
	err := in.DB.Update(ctx, func(tx *accountdb.Tx) (err error) {
		for _, id := range in.Sink.Arrived() {
			if err := tx.DropItem(in.Node, id); err != nil {
				return err
			}
		}
		if err := tx.ReleaseEvents(in.Node); err != nil {
			return err
		}
		overtaken, err = tx.Overtaken(in.Node)
		return err
	})
	if lost = append(lost, overtaken...); err != nil || len(lost) == 0 {
		return err
	}
	if err := in.Sink.TakeBack(lost); err != nil {
		return err
	}
	return in.DB.Update(ctx, func(tx *accountdb.Tx) error { return tx.ForgetOvertaken(in.Node) })
}

// errUnsettled: it is not noted what has arrived.
var errUnsettled = errors.New("the database has not noted what has arrived")

// pass passes on what is due and tells whether there may be more.
func (in *Ingest) pass(ctx context.Context) (more bool, err error) {
	if err := in.claim(ctx); err != nil {
		return false, err
	}
	lines, found, err := in.due(ctx)
	if err != nil || found == 0 {
		return false, err
	}
	// Well before another cloud could think that this one is gone.
	soon, stop := context.WithTimeout(ctx, in.Overtake/2)
	arrived, failed := in.Sink.Deliver(soon, lines)
	stop()
	if failed != nil {
		in.Metrics.NotDelivered(failureOf(failed))
	}
	in.Metrics.Events(metrics.Passed, len(arrived))
	lost, err := in.note(ctx, lines, arrived)
	if err == nil && len(lost) > 0 {
		err = in.settle(ctx, lost...)
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", errUnsettled, err)
	}
	if len(arrived) == len(lines) {
		err = in.Sink.Settled()
	}
	if err == nil {
		err = failed
	}
	return found == mostAtOnce, err
}

func failureOf(err error) string {
	if errors.Is(err, webhook.ErrRefused) {
		return metrics.Refused
	}
	return metrics.Failed
}

// claim claims what is due, in a transaction of its own: the next one holds
// accounts, and then what it has claimed can have been erased.
func (in *Ingest) claim(ctx context.Context) error {
	overtaken := 0
	err := in.DB.Update(ctx, func(tx *accountdb.Tx) (err error) {
		if overtaken, err = tx.OvertakeEvents(in.Node, tx.Millis().Add(-in.Overtake)); err != nil {
			return err
		}
		return tx.ClaimEvents(in.Node, mostAtOnce)
	})
	if err == nil && overtaken > 0 {
		in.Metrics.Overtaken(overtaken)
		in.Log.WarnContext(ctx, "another cloud has not finished passing on events, and they are taken over", "n", overtaken, "after", in.Overtake)
	}
	return err
}

// note forgets what has arrived, also when this cloud is told to end, and gives
// back the rest. lost is what has arrived and was not this cloud's any more: it was
// overtaken, or its account erased.
func (in *Ingest) note(ctx context.Context, lines, arrived []Line) (lost []cardea.ItemID, err error) {
	done := map[int64]bool{}
	for _, l := range arrived {
		done[l.row] = true
	}
	err = in.DB.Update(context.WithoutCancel(ctx), func(tx *accountdb.Tx) error {
		lost = nil
		for _, l := range lines {
			if !done[l.row] {
				if err := tx.RetryEvent(in.Node, l.row, tx.Millis().Add(l.retry)); err != nil {
					return err
				}
				continue
			}
			found, err := tx.DropEvent(in.Node, l.row)
			if err != nil {
				return err
			}
			if !found {
				lost = append(lost, l.ID)
			}
		}
		return nil
	})
	return lost, err
}

// due decides on what is claimed: what is not given any more is forgotten, and so
// is what could not be passed on for too long.
func (in *Ingest) due(ctx context.Context) (lines []Line, found int, err error) {
	refused, late := map[cardea.Reason]int{}, 0
	err = in.DB.Update(ctx, func(tx *accountdb.Tx) error {
		lines, late = nil, 0
		clear(refused)
		events, err := tx.ClaimedEvents(in.Node)
		if err != nil {
			return err
		}
		found = len(events)
		senders := map[cardea.LinkID]sender{}
		for _, e := range events {
			from, known := senders[e.Link]
			if !known {
				if from, err = in.senderOf(tx, e.Link); err != nil {
					return err
				}
				senders[e.Link] = from
			}
			line, why := in.decide(from, e)
			old := tx.Millis().Sub(e.Stored) > Keep && !e.Erased
			switch {
			case why == cardea.ReasonGranted && !old:
				line.retry = min(minRetry<<min(e.Tries, 12), maxRetry)
				lines = append(lines, line)
				continue
			case old:
				late++
			default:
				refused[why]++
			}
			if _, err := tx.DropEvent(in.Node, e.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		in.tell(ctx, refused, late)
	}
	return lines, found, err
}

// tell tells who runs the cloud what was not passed on.
func (in *Ingest) tell(ctx context.Context, refused map[cardea.Reason]int, late int) {
	for why, n := range refused {
		for range n {
			in.Metrics.EventRefused(metrics.Passing, why)
		}
	}
	in.Metrics.Events(metrics.TooLate, late)
	if len(refused) > 0 {
		in.Log.InfoContext(ctx, "events were not passed on, because they may not be any more", "reasons", told(refused))
	}
	if late > 0 {
		in.Log.ErrorContext(ctx, "events were given up that could not be passed on", "n", late, "after", Keep)
	}
}

// told lists the reasons of what was not passed on, for the log.
func told(reasons map[cardea.Reason]int) string {
	var all []string
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		all = append(all, fmt.Sprintf("%s %d", why, reasons[why]))
	}
	return strings.Join(all, ", ")
}
