package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/devicedb"
)

const (
	mediaCOSE   = "application/cose" // RFC 9052, Section 10
	postTimeout = 30 * time.Second
	maxAnswer   = 64 << 10
	minRetry    = time.Second
	maxRetry    = 5 * time.Minute
)

// errHeld: nothing of the link may leave at the moment.
var errHeld = errors.New("nothing may leave")

// An answer is what the cloud says to a batch. Refused is what it has not passed
// on, because it was not given any more, or never: it is deleted like the rest.
type answer struct {
	Stored  uint64 `json:"stored"` // everything up to this number is the cloud's
	Refused []struct {
		N      uint64        `json:"n"`
		Reason cardea.Reason `json:"reason"`
	} `json:"refused"`
}

// send sends one batch of whoever uses the device. It returns errHeld if there is
// nothing that may leave.
func (c *Collector) send(ctx context.Context) error {
	id, generation, ok := c.cfg.Gate.Active()
	if !ok {
		return errHeld
	}
	queue, items, err := c.cfg.DB.Queued(id, wire.MaxItems)
	if err != nil {
		return err
	}
	link, err := c.cfg.DB.Link(id)
	if err != nil {
		return err
	}
	items = c.leaving(id, items)
	if len(items) == 0 || link.UpURL == "" {
		return errHeld
	}
	batch := wire.FitBatch(cardea.Batch{Device: c.cfg.Device, Link: id, Queue: queue, Items: items})
	ctx, stop := c.while(ctx, generation, func() bool { return len(c.leaving(id, batch.Items)) == len(batch.Items) })
	defer stop()
	got, err := c.post(ctx, link, batch)
	if err == nil && got.Stored < batch.Items[len(batch.Items)-1].N {
		err = errAnswer
	}
	if err != nil {
		return err
	}
	for _, r := range got.Refused {
		c.cfg.Log.Info("an event was not taken", "link", id, "n", r.N, "reason", string(r.Reason))
	}
	return c.cfg.DB.Sent(id, queue, got.Stored)
}

// leaving is the beginning of a queue that may leave now: the cloud wants it in
// order.
func (c *Collector) leaving(link cardea.LinkID, items []cardea.Item) []cardea.Item {
	active, _, ok := c.cfg.Gate.Active()
	for i, item := range items {
		if v, _, _ := c.judge(link, item, 0); !ok || active != link || v != cardea.Allow {
			return items[:i]
		}
	}
	return items
}

// while ends a context when the gate changes and still does not hold any more:
// what is under way when somebody says no is broken off.
func (c *Collector) while(ctx context.Context, generation uint64, still func() bool) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-c.cfg.Gate.Changed(generation):
			case <-ctx.Done():
				return
			}
			generation = c.cfg.Gate.Generation()
			if !still() {
				cancel()
				return
			}
		}
	}()
	return ctx, func() { cancel(); <-done }
}

// post sends a batch and reads the answer.
func (c *Collector) post(ctx context.Context, link devicedb.Link, batch cardea.Batch) (got answer, err error) {
	sealed, err := wire.SealBatch(batch, c.cfg.Signer, link.Key)
	if err != nil {
		return got, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ingestURL(link.UpURL), bytes.NewReader(sealed))
	if err != nil {
		return got, fmt.Errorf("post events: %w", err)
	}
	req.Header.Set("Content-Type", mediaCOSE)
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return got, fmt.Errorf("post events: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil || res.StatusCode != http.StatusOK || json.Unmarshal(text, &got) != nil {
		return got, fmt.Errorf("post events: answered %d: %w", res.StatusCode, errors.Join(errAnswer, err))
	}
	return got, nil
}

var errAnswer = errors.New("the cloud has not taken them")

// ingestURL stands beside the address of reports.
func ingestURL(up string) string { return strings.TrimSuffix(up, "/up") + "/ingest" }

// backoff is the wait after so many failures.
func backoff(failures int) time.Duration {
	d := min(minRetry<<min(failures, 10), maxRetry)
	return d - rand.N(d/5)
}
