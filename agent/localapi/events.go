package localapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/agent/events"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/store/devicedb"
)

// A Collector takes what programs collect. What it says is accepted is durable,
// and leaves only while it is allowed.
type Collector interface {
	Submit(ctx context.Context, program string, events []client.Datum) (client.Taken, error)
	// Refused counts what was not taken, since the start.
	Refused() map[cardea.Reason]uint64
}

// collect takes events. That something may not be collected is no error: the
// program is told what became of each.
func (s *Server) collect(c *call) error {
	var req client.Data
	if err := c.read(&req); err != nil {
		return err
	}
	if len(req.Events) == 0 || len(req.Events) > client.MaxEvents {
		return invalid("\"events\": 1 to %d", client.MaxEvents)
	}
	var on []object
	for _, e := range req.Events {
		if _, err := cardea.ParseKey(string(cardea.KeyOf(e.Purpose, cardea.FacetUse))); err != nil {
			return err
		}
		if !slices.Contains(on, object(e.Purpose)) {
			on = append(on, e.Purpose)
		}
	}
	if err := c.permit(on...); err != nil {
		return err
	}
	if s.Collector == nil {
		return errNoEvents
	}
	taken, err := s.Collector.Submit(c.r.Context(), c.caller.program.Name, req.Events)
	switch {
	case errors.Is(err, events.ErrInvalid):
		return invalid("%v", err)
	case errors.Is(err, devicedb.ErrNotFound), errors.Is(err, devicedb.ErrDamaged), c.r.Context().Err() != nil:
		return err
	case err != nil:
		s.log.Error("what was collected can not be kept", "err", err)
		return errDisk
	}
	return c.answer(taken)
}

var (
	errNoEvents = web.Errorf(http.StatusNotFound, "not_found", "this agent takes no events")
	errDisk     = web.Errorf(http.StatusServiceUnavailable, "disk", "the disk takes nothing: free some space or replace it, and hand the same events in again; consents are not affected")
)
