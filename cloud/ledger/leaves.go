package ledger

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// collections are what a device may collect, of the purposes whose use is given:
// what the oldest version says that a facet was given for.
func collections(cat *cardea.Catalogue, consents []cardea.Consent) (out []cardea.Collection) {
	for _, p := range cat.Purposes {
		if c, ok := collectionOf(cat, consents, p.ID); ok {
			out = append(out, c)
		}
	}
	return out
}

func collectionOf(cat *cardea.Catalogue, consents []cardea.Consent, id cardea.PurposeID) (c cardea.Collection, ok bool) {
	version, use := uint32(0), false
	for _, given := range consents {
		if given.Key.Purpose() != id || !given.Given() {
			continue
		}
		use = use || given.Key.Facet() == cardea.FacetUse
		if version == 0 || given.Version < version {
			version = given.Version
		}
	}
	p, known := cat.VersionOf(id, version)
	if !use || !known {
		return c, false
	}
	return cat.Collection(p)
}

// A Basis is by what a key was given that an item leaves under. There is no event
// where the purpose needs no consent.
type Basis struct {
	Key     cardea.Key     `json:"key"`
	Version uint32         `json:"version"` // of the purpose, that the yes was to
	Event   cardea.EventID `json:"event,omitzero"`
	Notice  cardea.Hash    `json:"notice,omitzero"`
	Decided cardea.Point   `json:"decided"`
}

// A Leave decides, in one transaction, on what a device has collected for a link.
type Leave struct {
	cat      *cardea.Catalogue
	device   cardea.DeviceID
	consents []cardea.Consent
	entries  []cardea.Entry
	now      cardea.Millis
}

// Leave reads what decides on everything that was collected for a link.
func (l *Ledger) Leave(tx *accountdb.Tx, link accountdb.Link) (*Leave, error) {
	if err := l.Catalogue.Follow(tx); err != nil {
		return nil, err
	}
	cat, _ := l.Catalogue.Current()
	device, err := tx.Device(link.Device)
	if err != nil {
		return nil, err
	}
	v := &Leave{cat: cat, device: link.Device, now: tx.Millis()}
	if v.consents, err = l.consents(tx, cat, link, device.Kind); err != nil {
		return nil, err
	}
	v.entries, err = tx.Decisions(link.Account, 0)
	return v, err
}

// Of decides whether an item may be passed on: its purpose names every field and
// the recipient, and all keys it takes are given on the device, now and without a
// break since they were when it was collected. The reason is granted, with by what
// they are given, or why not.
func (v *Leave) Of(item cardea.Item) ([]Basis, cardea.Reason) {
	if why := covered(v.cat, v.consents, item); why != cardea.ReasonGranted {
		return nil, why
	}
	view := cardea.NewView(v.consents, nil, v.now, v.now.Add(cardea.ClassL.MaxStaleness()))
	var basis []Basis
	for _, need := range item.Needs {
		a := cardea.Decide(view, cardea.Now{Time: v.now, Synced: true}, cardea.Query{Key: need.Key, Use: cardea.UseEgress})
		if a.Verdict != cardea.Allow {
			return nil, a.Reason
		}
		terms, _ := v.cat.Terms(need.Key)
		if terms.Class != cardea.ClassN && !cardea.GivenSince(v.entries, v.device, need.Key, terms, need.Decided) {
			return nil, cardea.ReasonWithdrawn
		}
		basis = append(basis, basisOf(v.consents, v.entries, need.Key))
	}
	return basis, cardea.ReasonGranted
}

// covered checks what an item says against what may be collected: its fields, and
// the keys that those and its recipient take.
func covered(cat *cardea.Catalogue, consents []cardea.Consent, item cardea.Item) cardea.Reason {
	c, ok := collectionOf(cat, consents, item.Purpose)
	if !ok {
		i := slices.IndexFunc(consents, func(c cardea.Consent) bool { return c.Key == cardea.KeyOf(item.Purpose, cardea.FacetUse) })
		if i >= 0 && !consents[i].Given() {
			return consents[i].Reason
		}
		return cardea.ReasonUnknown
	}
	var data map[string]json.RawMessage
	if json.Unmarshal(item.Data, &data) != nil {
		return cardea.ReasonUnknown
	}
	fields := slices.Collect(maps.Keys(data))
	if len(cardea.Beyond(fields, c.Fields)) > 0 {
		return cardea.ReasonNotAsked
	}
	keys, err := c.Needs(nil, item.Recipient, fields)
	if err != nil || len(cardea.Beyond(keys, item.Keys())) > 0 {
		return cardea.ReasonUnknown
	}
	return cardea.ReasonGranted
}

func basisOf(consents []cardea.Consent, entries []cardea.Entry, key cardea.Key) Basis {
	b := Basis{Key: key}
	if i := slices.IndexFunc(consents, func(c cardea.Consent) bool { return c.Key == key }); i >= 0 {
		b.Version, b.Decided = consents[i].Version, consents[i].Decided
	}
	if i := slices.IndexFunc(entries, func(e cardea.Entry) bool { return e.Position.Point() == b.Decided && e.Key == key }); i >= 0 {
		b.Event, b.Notice = entries[i].Event, entries[i].Notice
	}
	return b
}
