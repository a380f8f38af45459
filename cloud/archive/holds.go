package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
	"github.com/cardea-id/cardea/store/accountdb"
)

// What a device holds is told by its last signed report, for which those in reach
// are asked when an archive is made. What a device has collected stays on it until
// it may leave; the report says how much it is, and the catalogue of what kinds.

// An Asker has devices in reach say how they stand: *hub.Hub. Whoever answered was
// seen at since or later.
type Asker interface {
	Ask(ctx context.Context, account cardea.AccountID) (since time.Time, err error)
}

// holds is what a device holds by its last report.
type holds struct {
	AsOf     time.Time `json:"as_of,omitzero"` // no report at all if it is missing
	Answered bool      `json:"answered_when_asked"`
	Revision uint64    `json:"statement_revision,omitempty"`
	// Statement is the one it holds, if that is not the one it was told last.
	Statement *cardea.Body `json:"statement,omitempty"`
	Collected []collected  `json:"collected,omitempty"`
}

// collected is what a device has collected for one purpose and not sent, counted.
type collected struct {
	Key     cardea.Key `json:"key"`
	Title   string     `json:"title,omitempty"`
	Data    []string   `json:"data,omitempty"` // of what kinds it is
	Waiting uint64     `json:"waiting"`
	Deleted uint64     `json:"deleted_unsent"` // because it was not allowed to leave any more
	Dropped uint64     `json:"dropped_unsent"` // because there was no room
}

// hold reads what a link's device holds.
func (a *archive) hold(tx *accountdb.Tx, link accountdb.Link) (*holds, error) {
	h := &holds{AsOf: instant(link.LastSeen), Revision: link.Have.Revision}
	h.Answered = !a.asked.IsZero() && !h.AsOf.Before(a.asked)
	kept, err := tx.Purged(link.ID)
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		h.Collected = append(h.Collected, a.collectedOf(k))
	}
	if h.Revision == 0 || h.Revision == link.Revision {
		return h, nil
	}
	stated, err := tx.Statement(link.ID, h.Revision)
	if errors.Is(err, accountdb.ErrNotFound) { // of a database that was put back
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	body, err := wire.DecodeBody(stated.Body)
	h.Statement = &body
	return h, err
}

func (a *archive) collectedOf(k cardea.Kept) collected {
	c := collected{Key: k.Key, Waiting: k.Held, Deleted: k.Deleted, Dropped: k.Dropped}
	cat, _ := a.Ledger.Catalogue.Current()
	p, ok := cat.Purpose(k.Key.Purpose())
	if !ok {
		return c
	}
	text, ok := p.Texts[a.speaks.Tag()]
	if !ok {
		text = p.Texts["en"]
	}
	kinds := map[string]bool{}
	for _, kind := range p.Fields {
		kinds[kind] = true
	}
	c.Title, c.Data = text.Title, slices.Sorted(maps.Keys(kinds))
	return c
}

// An event was sent by a device and waits to be passed on to the brand's systems.
type event struct {
	Device    string           `json:"device"`
	Link      cardea.LinkID    `json:"link"`
	Purpose   cardea.PurposeID `json:"purpose"`
	Under     []cardea.Key     `json:"under"` // what allowed it to leave
	Recipient string           `json:"recipient,omitempty"`
	Source    string           `json:"source"`
	Method    cardea.Method    `json:"method"`
	Collected time.Time        `json:"collected"`
	Received  time.Time        `json:"received"`
	Data      json.RawMessage  `json:"data"`
}

// events writes what devices have sent and is still with us, a piece at a time.
func (a *archive) events(ctx context.Context) error {
	out, err := a.file("events.json")
	if err != nil {
		return err
	}
	names := map[cardea.LinkID]string{}
	for _, d := range a.facts.Devices {
		names[d.Link] = d.Name
	}
	before, above := "[\n", int64(0)
	for {
		var some []accountdb.Event
		err := a.DB.View(ctx, func(tx *accountdb.Tx) (err error) {
			some, err = tx.EventsOf(a.account, above, chunk)
			return err
		})
		if err != nil {
			return fmt.Errorf("events.json: %w", err)
		}
		for _, e := range some {
			above = e.ID
			if _, err := io.WriteString(out, before); err != nil {
				return err
			}
			before = ",\n"
			if err := write(out, eventOf(e, names[e.Link])); err != nil {
				return fmt.Errorf("events.json: %w", err)
			}
		}
		if len(some) < chunk {
			break
		}
	}
	_, err = io.WriteString(out, map[bool]string{true: "[]\n", false: "]\n"}[before == "[\n"])
	return err
}

func eventOf(e accountdb.Event, name string) event {
	i := e.Item
	return event{
		Device: name, Link: e.Link, Purpose: i.Purpose, Under: i.Keys(), Recipient: i.Recipient, Source: i.Source, Method: i.Method,
		Collected: i.Collected.Time(), Received: e.Stored.Time(), Data: json.RawMessage(i.Data),
	}
}
