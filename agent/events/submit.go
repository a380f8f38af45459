package events

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/store/devicedb"
)

// ErrInvalid is returned for what can be no event: a mistake of the program.
var ErrInvalid = errors.New("not an event")

// Refused counts what was not taken since the start, by the reason.
func (c *Collector) Refused() map[cardea.Reason]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.refused)
}

func (c *Collector) countRefused(all []client.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range all {
		if !o.Accepted {
			c.refused[o.Reason]++
		}
	}
}

// Submit takes events of whoever uses the device now from a program, and says
// what became of each. What is accepted is on the disk. An error is that of the
// disk, or ErrInvalid, and then nothing was taken; with that of ctx it may have
// been.
func (c *Collector) Submit(ctx context.Context, program string, events []client.Datum) (client.Taken, error) {
	for i, e := range events {
		if err := check(e); err != nil {
			return client.Taken{}, fmt.Errorf("%w: event %d: %w", ErrInvalid, i, err)
		}
	}
	active, generation, ok := c.cfg.Gate.Active()
	taken := client.Taken{Generation: generation, Link: active, Events: make([]client.Outcome, len(events))}
	for i, e := range events {
		taken.Events[i] = client.Outcome{ID: e.ID, Reason: cardea.ReasonGuest}
	}
	defer func() { c.countRefused(taken.Events) }()
	if !ok {
		return taken, nil
	}
	link, err := c.cfg.DB.Link(active)
	if err != nil {
		return client.Taken{}, err
	}
	var items []cardea.Item
	var at []int
	for i, e := range events {
		item, out := c.prepare(link, program, e)
		if taken.Events[i] = out; out.Accepted {
			items, at = append(items, item), append(at, i)
		}
	}
	if len(items) == 0 {
		return taken, nil
	}
	kept, err := c.keep(ctx, active, items)
	if err != nil {
		return client.Taken{}, err
	}
	for i, k := range kept {
		out := &taken.Events[at[i]]
		out.Accepted, out.Reason = k.Reason == cardea.ReasonGranted, k.Reason
	}
	return taken, nil
}

// prepare makes an item of an event: the fields that may be collected, and the
// keys they are collected under, which must be given now.
func (c *Collector) prepare(link devicedb.Link, program string, e client.Datum) (item cardea.Item, out client.Outcome) {
	out = client.Outcome{ID: e.ID}
	if out.Reason, _ = c.may(link.ID, []cardea.Key{cardea.KeyOf(e.Purpose, cardea.FacetUse)}); out.Reason != cardea.ReasonGranted {
		return item, out
	}
	i := slices.IndexFunc(link.Body.Collections, func(x cardea.Collection) bool { return x.Purpose == e.Purpose })
	if i < 0 {
		out.Reason, out.Dropped = cardea.ReasonNotAsked, slices.Sorted(maps.Keys(e.Data))
		return item, out
	}
	fields := map[string]json.RawMessage{}
	for name, value := range e.Data {
		if slices.Contains(link.Body.Collections[i].Fields, name) {
			fields[name] = value
		} else {
			out.Dropped = append(out.Dropped, name)
		}
	}
	slices.Sort(out.Dropped)
	if len(fields) == 0 {
		out.Reason = cardea.ReasonNotAsked
		return item, out
	}
	keys, err := link.Body.Collections[i].Needs(e.Facets, e.Recipient, slices.Collect(maps.Keys(fields)))
	if err != nil {
		out.Reason = cardea.ReasonUnknown
		return item, out
	}
	var now cardea.Millis
	if out.Reason, now = c.may(link.ID, keys); out.Reason != cardea.ReasonGranted {
		return item, out
	}
	out.Accepted = true
	data, _ := json.Marshal(fields) // what was parsed can be written
	item = cardea.Item{
		ID: idOf(link.ID, program, e.ID), Purpose: e.Purpose, Recipient: e.Recipient, Source: program, Method: e.Method, Collected: now, Data: data,
	}
	for _, key := range keys {
		item.Needs = append(item.Needs, cardea.Need{Key: key})
	}
	return item, out
}

// idOf is the same whenever the program says the same id of the same person.
func idOf(link cardea.LinkID, program, id string) cardea.ItemID {
	sum := sha256.Sum256(fmt.Appendf(nil, "cardea item\x00%s\x00%s\x00%s", link, program, id))
	return cardea.ItemID(sum[:16])
}

// check refuses what can be no event, whoever it is about.
func check(e client.Datum) error {
	size := 0
	for name, value := range e.Data {
		size += len(name) + len(value) + len(`"":,`)
		if !isScalar(value) {
			return fmt.Errorf("data.%.40s: a string, a number, true or false, in at most %d bytes", name, cardea.MaxValueBytes)
		}
	}
	switch {
	case e.ID == "" || len(e.ID) > maxID || !utf8.ValidString(e.ID):
		return fmt.Errorf("id: 1 to %d bytes, the same when the same event is sent again", maxID)
	case !e.Method.Valid():
		return errors.New("method: observed, told or derived: how was it collected?")
	case len(e.Data) == 0 || size > cardea.MaxItemBytes:
		return fmt.Errorf("data: an object of 1 to %d bytes", cardea.MaxItemBytes)
	case len(e.Facets) > len(cardea.Facets):
		return fmt.Errorf("facets: at most %d", len(cardea.Facets))
	}
	for _, f := range append([]cardea.Facet{cardea.FacetUse}, e.Facets...) {
		if _, err := cardea.ParseKey(string(cardea.KeyOf(e.Purpose, f))); err != nil {
			return err
		}
	}
	return nil
}

const maxID = 64

func isScalar(v json.RawMessage) bool {
	return len(v) > 0 && len(v) <= cardea.MaxValueBytes && strings.IndexByte(`"-0123456789tf`, v[0]) >= 0
}
