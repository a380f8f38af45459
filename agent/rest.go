package agent

import (
	"context"
	"time"
)

// busy is how long the agent is taken to be at work after its start, and after
// each step of a pairing.
const busy = time.Minute

// rest calls Config.Rest whenever the agent has nothing to do any more. It wakes
// nobody otherwise.
func (a *agent) rest(ctx context.Context) error {
	for {
		seen := a.session.Generation()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.session.Changed(seen):
			continue
		case <-time.After(busy):
		}
		a.Rest()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.session.Changed(seen):
		}
	}
}
