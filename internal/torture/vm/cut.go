package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// cut cuts the power while withdrawals are on their way to the disk, and boots
// again.
func (h *house) cut(ctx context.Context, n int) error {
	// One that was withdrawn before an earlier cut stays so over all others.
	if err := h.allow(ctx, stoppable[min(n, 1):]...); err != nil {
		return err
	}
	if err := h.cable(false); err != nil {
		return err
	}
	how, off := "QEMU quits", func() { h.quit() }
	if n%2 == 1 {
		how, off = "QEMU is killed", h.kill
	}
	done := h.withdraw(ctx, 1+n%3, off)
	h.say("power cut", "%s with %d of %d withdrawals acknowledged", how, len(done), len(stoppable))
	for _, key := range done {
		h.stopped[key] = true
	}
	h.acknowledged += len(done)
	if err := h.power(ctx, false); err != nil {
		return err
	}
	if err := h.beforeContact(ctx); err != nil {
		return err
	}
	return h.afterContact(ctx)
}

// withdraw stops everything at once, one call each, and cuts the power when
// enough calls have returned. It returns what was acknowledged.
func (h *house) withdraw(ctx context.Context, enough int, off func()) (done []cardea.Key) {
	acknowledged := make(chan cardea.Key, len(stoppable))
	var calls sync.WaitGroup
	for _, key := range stoppable {
		calls.Go(func() {
			if s, err := h.Withdraw(ctx, client.Withdrawal{Key: key}); err == nil && s.Stopped {
				acknowledged <- key
			}
		})
	}
	for range enough {
		select {
		case key := <-acknowledged:
			done = append(done, key)
		case <-h.ended: // the machine's own fault, seen at the next boot
		case <-ctx.Done():
		}
	}
	off()
	calls.Wait()
	close(acknowledged)
	for key := range acknowledged {
		done = append(done, key)
	}
	return done
}

// beforeContact: the machine is up and has heard nobody. A wall clock that is
// right permits nothing either.
func (h *house) beforeContact(ctx context.Context) error {
	check := func() error {
		for _, key := range keys() {
			var err error
			switch {
			case h.stopped[key]:
				err = h.expect(ctx, key, cardea.Deny, cardea.ReasonWithdrawn)
			case local(key):
				err = h.expect(ctx, key, cardea.AllowLocal, cardea.ReasonGranted)
			default:
				err = h.denied(ctx, key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	if err := h.setWall(ctx, time.Now()); err != nil {
		return err
	}
	h.say("wall clock", "set right, by hand")
	return check()
}

// denied: what was not acknowledged may have reached the disk, or not; allowed
// it is not before the cloud was heard.
func (h *house) denied(ctx context.Context, key cardea.Key) error {
	a, err := h.Decide(ctx, key, cardea.UseCollect)
	if err == nil && a.Reason == cardea.ReasonWithdrawn {
		h.say("decided", "%-30s %s (%s), not acknowledged but written", key, a.Verdict, a.Reason)
		return nil
	}
	return h.expect(ctx, key, cardea.Deny, cardea.ReasonClock)
}

// afterContact: what was acknowledged is withdrawn here and on the owner's page.
func (h *house) afterContact(ctx context.Context) error {
	if err := h.back(ctx); err != nil {
		return err
	}
	err := h.until(ctx, "the cloud has acknowledged everything", func() error {
		s, err := h.Status(ctx)
		if err == nil && s.Pending > 0 {
			err = fmt.Errorf("%d decisions are pending", s.Pending)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(h.stopped)) {
		if err := h.expect(ctx, key, cardea.Deny, cardea.ReasonWithdrawn); err != nil {
			return err
		}
	}
	return nil
}
