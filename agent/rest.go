package agent

import (
	"context"
	"time"
)

// busy is how long the agent is taken to be at work after its start, after each
// step of a pairing, and after each change of what is allowed.
const busy = time.Minute

// A watched part counts its changes: *session.Session, *gate.Gate.
type watched interface {
	Generation() uint64
	Changed(since uint64) <-chan struct{}
}

// rest calls call whenever the parts have not changed for a while, once. It wakes
// nobody otherwise.
func rest(ctx context.Context, call func(), one, other watched) error {
	for {
		first, second := one.Generation(), other.Generation()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-one.Changed(first):
			continue
		case <-other.Changed(second):
			continue
		case <-time.After(busy):
		}
		call()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-one.Changed(first):
		case <-other.Changed(second):
		}
	}
}
