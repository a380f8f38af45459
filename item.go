package cardea

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

type (
	itemKind     struct{}
	queueKind    struct{}
	decisionKind struct{}
)

type (
	// ItemID names one item, wherever it is: the program that collects it says
	// the same again when it tries again.
	ItemID = ID[itemKind]
	// QueueID names what waits on a device for one link. A device that was rolled
	// back opens a new one.
	QueueID = ID[queueKind]
	// DecisionID names the cloud's decision to take an item. Nothing is passed on
	// without one.
	DecisionID = ID[decisionKind]
)

// A Method says how an item was collected.
type Method string

// The methods there are.
const (
	MethodObserved Method = "observed" // seen by the device
	MethodTold     Method = "told"     // entered or said by the person
	MethodDerived  Method = "derived"  // computed from other data
)

// Valid reports whether the method exists.
func (m Method) Valid() bool { return m == MethodObserved || m == MethodTold || m == MethodDerived }

// A Need is a key that an item leaves under, and by what it was given when the
// item was collected.
type Need struct {
	_       struct{} `cbor:",toarray"`
	Key     Key      `json:"key"`
	Decided Point    `json:"decided"`
}

// An Item is data that a program on a device collected for a purpose, once: the
// local API calls it an event. Data is a JSON object whose values are scalars.
type Item struct {
	N         uint64    `cbor:"1,keyasint" json:"n"` // in its queue, from 1, rising
	ID        ItemID    `cbor:"2,keyasint" json:"id"`
	Purpose   PurposeID `cbor:"3,keyasint" json:"purpose"`
	Needs     []Need    `cbor:"4,keyasint" json:"needs"` // by key, none twice; never none
	Recipient string    `cbor:"5,keyasint,omitempty" json:"recipient,omitempty"`
	Source    string    `cbor:"6,keyasint" json:"source"` // the program, as the device knows it
	Method    Method    `cbor:"7,keyasint" json:"method"`
	Collected Millis    `cbor:"8,keyasint" json:"collected"`
	Data      []byte    `cbor:"9,keyasint" json:"data"`
}

// Keys are those that the item leaves under.
func (i Item) Keys() []Key {
	keys := make([]Key, len(i.Needs))
	for n, need := range i.Needs {
		keys[n] = need.Key
	}
	return keys
}

// String keeps the data from being printed.
func (i Item) String() string { return "item " + i.ID.String() }

// Limits of items.
const (
	// MaxItemBytes bounds the data of an item.
	MaxItemBytes = 2 << 10
	// MaxBatchBytes bounds a sealed batch.
	MaxBatchBytes = 64 << 10
	// MaxHold is how long an item waits on a device at most.
	MaxHold = 7 * 24 * time.Hour
)

// A Batch is items of one link on their way to the cloud, in the order of their
// numbers. There may be gaps: what was deleted before it left.
type Batch struct {
	V      uint64   `cbor:"1,keyasint"`
	Device DeviceID `cbor:"2,keyasint"`
	Link   LinkID   `cbor:"3,keyasint"`
	Queue  QueueID  `cbor:"4,keyasint"`
	Items  []Item   `cbor:"5,keyasint"`
}

// Purged is what became of the items of one queue that did not leave, counted
// since the queue was made: a report that comes late or twice changes nothing.
type Purged struct {
	Queue QueueID `cbor:"1,keyasint" json:"queue"`
	N     uint64  `cbor:"2,keyasint" json:"n"` // grows with every change
	Keys  []Kept  `cbor:"3,keyasint" json:"keys"`
}

// A Kept is the counts of one key. Deleted is what could not be given any more,
// Held what waits, Dropped what there was no room for.
type Kept struct {
	_       struct{} `cbor:",toarray"`
	Key     Key      `json:"key"`
	Deleted uint64   `json:"deleted"`
	Held    uint64   `json:"held"`
	Dropped uint64   `json:"dropped"`
}

// A Collection is what a device may collect for a purpose, as its catalogue has
// it: whatever else a program hands in is dropped.
type Collection struct {
	Purpose PurposeID `cbor:"1,keyasint" json:"purpose"`
	Fields  []string  `cbor:"2,keyasint" json:"fields"`
	// Special are those of the fields that leave only with the facet "sensitive".
	Special    []string      `cbor:"3,keyasint,omitempty" json:"special,omitempty"`
	Recipients []Destination `cbor:"4,keyasint,omitempty" json:"recipients,omitempty"`
	Hold       uint32        `cbor:"5,keyasint" json:"hold"` // seconds
}

// A Destination is a recipient an item may name, and the facets it takes beside
// "use".
type Destination struct {
	_      struct{} `cbor:",toarray"`
	Name   string   `json:"name"`
	Facets []Facet  `json:"facets"`
}

// MaxField bounds the name of a field.
const MaxField = 32

// ErrRecipient: the purpose names no such recipient.
var ErrRecipient = errors.New("the purpose has no such recipient")

// Needs lists the keys that an item with these fields leaves under: "use", what
// its program says beside, what the recipient takes, and "sensitive" for special
// data. An empty recipient is the brand itself.
func (c Collection) Needs(said []Facet, recipient string, fields []string) ([]Key, error) {
	facets := append([]Facet{FacetUse}, said...)
	if recipient != "" {
		i := slices.IndexFunc(c.Recipients, func(d Destination) bool { return d.Name == recipient })
		if i < 0 {
			return nil, fmt.Errorf("%w: %.64q", ErrRecipient, recipient)
		}
		facets = append(facets, c.Recipients[i].Facets...)
	}
	if slices.ContainsFunc(fields, func(f string) bool { return slices.Contains(c.Special, f) }) {
		facets = append(facets, FacetSensitive)
	}
	keys := make([]Key, len(facets))
	for i, f := range facets {
		keys[i] = KeyOf(c.Purpose, f)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// Collection is what devices are told of a version of a purpose; ok is false if
// nothing is collected for it.
func (c *Catalogue) Collection(p Purpose) (out Collection, ok bool) {
	if len(p.Fields) == 0 || p.Class == ClassL {
		return out, false
	}
	out = Collection{Purpose: p.ID, Fields: slices.Sorted(maps.Keys(p.Fields)), Hold: uint32(p.MaxHold().Seconds())}
	for _, f := range out.Fields {
		if category, _ := c.Category(p.Fields[f]); category.Special {
			out.Special = append(out.Special, f)
		}
	}
	for _, r := range p.Recipients {
		out.Recipients = append(out.Recipients, Destination{Name: r.Name, Facets: p.takes(r)})
	}
	return out, true
}

// takes lists the facets under which a recipient gets the data, beside "use". The
// one for other countries is needed where the purpose asks it, by whoever is not
// where the brand itself is.
func (p Purpose) takes(r Recipient) []Facet {
	facets := []Facet{}
	if r.Relation == RelationThirdParty {
		facets = append(facets, FacetThirdParty)
	}
	if slices.Contains(p.Facets, FacetCrossBorder) && r.Country != p.home() {
		facets = append(facets, FacetCrossBorder)
	}
	if r.Sold {
		facets = append(facets, FacetSale)
	}
	return facets
}

// home is the country of the brand itself, or empty.
func (p Purpose) home() string {
	i := slices.IndexFunc(p.Recipients, func(r Recipient) bool { return r.Relation == RelationOwn })
	if i < 0 {
		return ""
	}
	return p.Recipients[i].Country
}

// MaxHold is how long what was collected waits on a device at most: nothing of
// class A outlives its yes, and of the others it is the purpose's own bound.
func (p Purpose) MaxHold() time.Duration {
	switch {
	case p.Class == ClassA:
		return 0
	case p.Hold > 0:
		return p.Hold
	}
	return MaxHold
}

func (c *Catalogue) validateFields(p Purpose) error {
	for name, data := range p.Fields {
		category, _ := c.Category(data)
		switch {
		case !isName(name, MaxField, "_"):
			return fmt.Errorf("fields: %.40q: lower-case letters, digits and '_', at most %d", name, MaxField)
		case !slices.Contains(p.Data, data):
			return fmt.Errorf("fields.%s: %.60q is not among the purpose's data", name, data)
		case category.Special && !slices.Contains(p.Facets, FacetSensitive):
			return fmt.Errorf("fields.%s: %.60q is special data, so the purpose must ask the facet \"sensitive\"", name, data)
		}
	}
	switch {
	case len(p.Fields) > 0 && p.Class == ClassL:
		return errors.New("fields: nothing of class L leaves the device")
	case len(p.Fields) > 0 && !slices.Contains(p.Facets, FacetUse):
		return errors.New("fields: what is collected is collected under the facet \"use\"")
	case p.Hold < 0 || p.Hold > MaxHold || p.Hold%time.Second != 0:
		return fmt.Errorf("hold: whole seconds, at most %s", MaxHold)
	}
	return nil
}

// GivenSince reports whether a key has been given to a device from a point of its
// account's ledger to the end, without a break: the entries are the ledger's
// grants and denials, in order. What was collected under a yes that was taken back
// is not sent under the next one.
func GivenSince(entries []Entry, device DeviceID, key Key, t Terms, since Point) bool {
	c := new(Consents)
	given := func() bool { return c.On(device, key, t).Given() }
	for _, e := range entries {
		after := since.Before(e.Position.Point())
		if after && e.Key == key && !given() {
			return false
		}
		c.Apply(e)
	}
	return given()
}
