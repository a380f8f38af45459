package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/cloud/webhook"
)

// A Hook sends each line to a webhook, as a message of the type "event", or
// "erase", whose id is the line's: a message that comes twice, because its answer
// was lost, has the same.
type Hook struct{ Sender *webhook.Sender }

// Deliver sends until one is not taken for a reason that is none of its own.
func (h Hook) Deliver(ctx context.Context, lines []Line) (arrived []Line, failed error) {
	for _, l := range lines {
		kind, at := "event", l.Collected
		if l.Erased != 0 {
			kind, at = "erase", l.Erased
		}
		body, err := json.Marshal(struct {
			Type      string    `json:"type"`
			Timestamp time.Time `json:"timestamp"`
			Data      Line      `json:"data"`
		}{kind, at.Time(), l})
		if err == nil {
			err = h.Sender.Send(ctx, l.ID.String(), body)
		}
		switch {
		case err == nil:
			arrived = append(arrived, l)
		case errors.Is(err, webhook.ErrRefused):
			failed = err // the next one may be taken
		default:
			return arrived, err
		}
	}
	return arrived, failed
}

// Arrived names nothing: what was sent is not remembered.
func (Hook) Arrived() []cardea.ItemID { return nil }

// TakeBack can not: its receiver knows the id.
func (Hook) TakeBack([]cardea.ItemID) error { return nil }

// Settled has nothing to do.
func (Hook) Settled() error { return nil }
