package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
)

// raise puts the next version of a purpose in force.
func (d *desk) raise(id cardea.PurposeID, change func(*cardea.Purpose)) {
	now, _ := d.ledger.Catalogue.Current()
	next := *now
	next.Purposes = append([]cardea.Purpose(nil), now.Purposes...)
	for i, p := range next.Purposes {
		if p.ID == id {
			next.Former = append(next.Former[:len(next.Former):len(next.Former)], p)
			next.Purposes[i].Version++
			change(&next.Purposes[i])
		}
	}
	d.ledger.Catalogue.Replace(&next)
}

func TestYesToFormerVersionStands(t *testing.T) {
	const key = cardea.Key("product_analytics/use")
	by := time.Date(2035, 3, 1, 0, 0, 0, 0, time.UTC)
	here := cardea.Scope{Device: cardea.DeviceID(strings.Repeat("A", 43))}
	for name, c := range map[string]struct {
		change  func(*cardea.Purpose)
		reason  cardea.Reason
		onWay   cardea.Rejected // of a yes to the old version that was on its way from a device
		version uint32
	}{
		"editorial": {func(p *cardea.Purpose) { p.Change = cardea.ChangeEditorial }, cardea.ReasonGranted, "", 1},
		"material": {func(p *cardea.Purpose) {
			p.Change, p.ReconsentBy, p.Validity = cardea.ChangeMaterial, by, 10*p.Validity
		}, cardea.ReasonGranted, cardea.RejectedNotice, 1},
		"not said": {func(*cardea.Purpose) {}, cardea.ReasonNotice, cardea.RejectedNotice, 2},
	} {
		d := newDesk(t)
		old := d.grant(key)
		if r := d.take(cardea.ChannelPortal, cardea.Scope{}, old); r != "" {
			t.Fatal(r)
		}
		told := d.facet(key).Standing.ValidUntil
		d.raise("product_analytics", c.change)
		got := d.facet(key).Standing
		if got.Reason != c.reason || got.Version != c.version || got.Given() && got.ValidUntil > told {
			t.Errorf("%s: stands as %+v, told %d", name, got, told)
		}
		late := old
		late.Event = cardea.NewID[cardea.EventID]()
		if r := d.take(cardea.ChannelDevice, here, late); r != c.onWay {
			t.Errorf("%s: a yes on its way is rejected as %q, want %q", name, r, c.onWay)
		}
		late.Event = cardea.NewID[cardea.EventID]()
		if r := d.take(cardea.ChannelPortal, cardea.Scope{}, late); r != cardea.RejectedNotice {
			t.Errorf("%s: a yes from an old page: %q", name, r)
		}
		anew := d.grant(key)
		if r := d.take(cardea.ChannelPortal, cardea.Scope{}, anew); r != "" || d.facet(key).Standing.Version != 2 {
			t.Errorf("%s: asked anew: %q, stands as %+v", name, r, d.facet(key).Standing)
		}
	}
}

func TestPageShowsTheFormerVersion(t *testing.T) {
	const key = cardea.Key("product_analytics/use")
	d := newDesk(t)
	d.take(cardea.ChannelPortal, cardea.Scope{}, d.grant(key))
	by := time.Date(2030, 3, 1, 0, 0, 0, 0, time.UTC)
	d.raise("product_analytics", func(p *cardea.Purpose) {
		p.Change, p.ReconsentBy, p.Retention = cardea.ChangeMaterial, by, "ten years"
	})
	for _, c := range d.page().Choices {
		if c.Purpose.ID != "product_analytics" {
			if c.Former != nil {
				t.Errorf("%s has a former version", c.Purpose.ID)
			}
			continue
		}
		if c.Former == nil || c.Former.Version != 1 || c.Former.Retention == "ten years" || c.FormerText.Title == "" || c.FormerEnds != cardea.MillisOf(by) {
			t.Errorf("former %+v, ends %d", c.Former, c.FormerEnds)
		}
	}
	d.take(cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: key, Base: d.page().Head})
	if s := d.facet(key).Standing; s.Reason != cardea.ReasonWithdrawn {
		t.Errorf("a no after the change leaves %+v", s)
	}
}
