package ingest

import (
	"context"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

const (
	mostAtOnce = 200
	again      = 5 * time.Second // after the database has failed
	idle       = time.Hour
	minRetry   = 2 * time.Second
	maxRetry   = time.Hour

	// Keep is how long an event is tried to be passed on.
	Keep = 7 * 24 * time.Hour
)

// Run passes on what waits until ctx ends. What has arrived before it was forgotten
// is forgotten first.
func (in *Ingest) Run(ctx context.Context) error {
	forgotten := false
	for ctx.Err() == nil {
		more, err := false, error(nil)
		if !forgotten {
			err = in.forget(ctx)
			forgotten = err == nil
		}
		if forgotten {
			more, err = in.pass(ctx)
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
		due, ok, err := tx.NextEvent(in.Node)
		if ok {
			wait = min(max(due.Sub(tx.Millis()), 0), idle)
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

// forget forgets what the sink has.
func (in *Ingest) forget(ctx context.Context) error {
	return in.DB.Update(ctx, func(tx *accountdb.Tx) error {
		for _, id := range in.Sink.Arrived() {
			if err := tx.DropItem(in.Node, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// pass passes on what is due and tells whether there may be more.
func (in *Ingest) pass(ctx context.Context) (more bool, err error) {
	lines, found, err := in.due(ctx)
	if err != nil || found == 0 {
		return false, err
	}
	arrived, failed := in.Sink.Deliver(ctx, lines)
	done := map[int64]bool{}
	for _, l := range arrived {
		done[l.row] = true
	}
	// What has arrived is forgotten also when this cloud is told to end.
	err = in.DB.Update(context.WithoutCancel(ctx), func(tx *accountdb.Tx) error {
		for _, l := range lines {
			var err error
			if done[l.row] {
				err = tx.DropEvent(l.row)
			} else {
				err = tx.RetryEvent(l.row, tx.Millis().Add(l.retry))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(arrived) == len(lines) {
		err = in.Sink.Settled()
	}
	if err == nil {
		err = failed
	}
	return found == mostAtOnce, err
}

// due decides on what is due: what is not given any more is forgotten, and so is
// what could not be passed on for too long.
func (in *Ingest) due(ctx context.Context) (lines []Line, found int, err error) {
	refused, late := map[cardea.Reason]int{}, 0
	err = in.DB.Update(ctx, func(tx *accountdb.Tx) error {
		lines, late = nil, 0
		clear(refused)
		events, err := tx.DueEvents(in.Node, mostAtOnce)
		if err != nil {
			return err
		}
		found = len(events)
		for _, e := range events {
			line, why, err := in.decide(tx, e)
			old := tx.Millis().Sub(e.Stored) > Keep
			switch {
			case err != nil:
				return err
			case why == cardea.ReasonGranted && !old:
				line.retry = min(minRetry<<min(e.Tries, 12), maxRetry)
				lines = append(lines, line)
				continue
			case old:
				late++
			default:
				refused[why]++
			}
			if err := tx.DropEvent(e.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(refused) > 0 {
		in.Log.InfoContext(ctx, "events were not passed on, because they may not be any more", "reasons", told(refused))
	}
	if err == nil && late > 0 {
		in.Log.ErrorContext(ctx, "events were given up that could not be passed on", "n", late, "after", Keep)
	}
	return lines, found, err
}
