package pairing

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// maxPause bounds the time between two polls however long the trouble lasts, so
// that a code's life is not slept through.
const maxPause = 30 * time.Second

var started = time.Now()

func (c *Client) boot() time.Duration {
	if c.Boot == nil {
		return time.Since(started)
	}
	return c.Boot()
}

// Wait polls until the owner has decided or the code has expired, of which
// a.ExpiresIn is left when it is called. It returns tokens, or an [Error]
// ([AccessDenied] is the owner's no, [ExpiredToken] the server's word that the
// code is over), [ErrExpired] if the code's life ended without a word, or the
// context's error. Nothing else ends it.
func (c *Client) Wait(ctx context.Context, a Authorization) (Tokens, error) {
	end := c.boot() + time.Duration(a.ExpiresIn)*time.Second
	p := pace{interval: time.Duration(a.Interval) * time.Second}
	for {
		begun := c.boot()
		t, err := c.Poll(ctx, a.DeviceCode)
		if err == nil {
			return t, nil
		}
		if ctx.Err() != nil {
			return Tokens{}, context.Cause(ctx)
		}
		if final(err) {
			return Tokens{}, err
		}
		c.tell(ctx, err)
		now := c.boot()
		if now >= end {
			return Tokens{}, ErrExpired
		}
		if err := sleep(ctx, p.pause(err, now-begun, end-now)); err != nil {
			return Tokens{}, err
		}
	}
}

// tell passes on what is in the way, or that nothing is.
func (c *Client) tell(ctx context.Context, err error) {
	if HasCode(err, AuthorizationPending) || HasCode(err, SlowDown) || HasCode(err, UseDPoPNonce) {
		err = nil
	}
	if err != nil && !HasCode(err, PressRequired) {
		c.log().WarnContext(ctx, "poll failed, trying again", "err", err)
	}
	if c.Trouble != nil {
		c.Trouble(err)
	}
}

// final reports whether polling further is pointless (RFC 8628, Section 3.5):
// the server has spoken, and neither failed nor asked to wait. Whatever did not
// come from the server itself is not its word.
func final(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case AuthorizationPending, SlowDown, PressRequired, UseDPoPNonce:
		return false
	case InvalidDPoPProof:
		// A server without nonces wants the right time, which may yet come.
		return false
	}
	return !e.Transient()
}

// A pace decides how long to wait before the next poll.
type pace struct {
	interval time.Duration
	failures int
}

// pause is the time to the next poll: the interval from the start of one poll
// to the next, so that a poll the server held is followed at once, and longer
// with every failure in a row. left is the rest of the code's life.
func (p *pace) pause(err error, took, left time.Duration) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok && !e.Transient() {
		p.failures = 0
		if e.Code == SlowDown {
			p.interval += SlowDownStep // for this and all later requests, RFC 8628, Section 3.5
			took = 0
		}
		return min(max(p.interval-took, 0), left)
	}
	p.failures++
	pause := p.backoff()
	if e, ok := errors.AsType[*Error](err); ok {
		pause = max(pause, e.RetryAfter)
	}
	// The last poll should not fall behind the code's end.
	return max(min(pause, left/2), min(p.interval, left))
}

// backoff doubles the interval with every failure (RFC 8628, Section 3.5 demands
// it after a timeout) up to a bound, and adds up to half of it at random: a
// street that loses its network together must not come back together.
func (p *pace) backoff() time.Duration {
	base := max(p.interval, time.Second)
	d := max(min(base<<min(p.failures, 10), maxPause), p.interval)
	return d + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
