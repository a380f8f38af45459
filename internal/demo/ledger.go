package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/cardea-id/cardea"
)

// A change is an entry of the brand's feed.
type change struct {
	Cursor  uint64         `json:"cursor"`
	Act     cardea.Act     `json:"act"`
	Key     cardea.Key     `json:"key"`
	Channel cardea.Channel `json:"channel"`
}

// watchLedger follows the brand's feed of changes and tells each.
func (d *demo) watchLedger(ctx context.Context) {
	var after uint64
	for ctx.Err() == nil {
		changes, err := d.changes(ctx, after)
		if err != nil {
			time.Sleep(time.Second)
			continue
		}
		for _, c := range changes {
			after = c.Cursor
			d.ledgerGrew(c)
		}
	}
}

func (d *demo) ledgerGrew(c change) {
	switch {
	case c.Act == cardea.ActLink:
		d.told.mark("in the ledger", "the device is linked")
	case c.Act == cardea.ActUnlink:
		d.told.mark("in the ledger", "the link has ended")
	case c.Channel == cardea.ChannelPortal && !d.Script:
		d.told.mark("changed in the portal", fmt.Sprintf("%s %s", word(c.Act), c.Key))
	case c.Channel == cardea.ChannelDevice:
		d.told.mark("in the ledger", fmt.Sprintf("%s %s, said on the device", word(c.Act), c.Key))
	}
}

// word is how the owner's page calls what was done.
func word(act cardea.Act) string {
	if act == cardea.ActGrant {
		return "allow"
	}
	return string(act)
}

func (d *demo) changes(ctx context.Context, after uint64) ([]change, error) {
	url := fmt.Sprintf("%s/admin/v1/changes?after=%d&wait=20", d.stage.URL, after)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+d.stage.AdminKey)
	answer, err := d.web.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var page struct {
		Changes []change `json:"changes"`
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("changes: %s", answer.Status)
	}
	return page.Changes, json.NewDecoder(answer.Body).Decode(&page)
}
