package wire

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cardea-id/cardea"
)

const (
	typItems = "application/cardea-items+cbor"

	// MaxItems is how many items a batch has at most.
	MaxItems = 256

	maxNeeds     = 8
	maxRecipient = 128
	maxFields    = 64
)

// FitBatch returns the batch with as many of its items, the oldest first, as
// always fit into one message.
func FitBatch(b cardea.Batch) cardea.Batch {
	items := b.Items
	b.Items = nil
	b.Items = fitting(items, cardea.MaxBatchBytes-envelopeBytes-len(encode(b)), MaxItems)
	return b
}

// SealBatch signs a batch with the device's key and seals it for the link, as
// SealUp does a report. It sets V.
func SealBatch(b cardea.Batch, signer crypto.Signer, key LinkKey) ([]byte, error) {
	b.V = cardea.Version
	if err := checkBatch(b); err != nil {
		return nil, fmt.Errorf("seal batch: %w", err)
	}
	sealed, err := sealOwn(typItems, encode(b), b.Device, b.Link, signer, key, cardea.MaxBatchBytes)
	if err != nil {
		return nil, fmt.Errorf("seal batch: %w", err)
	}
	return sealed, nil
}

// PeekBatch says which link a batch claims to come from, and verifies nothing.
func PeekBatch(sealed []byte) (cardea.LinkID, error) { return peek(sealed, cardea.MaxBatchBytes) }

// OpenBatch opens what SealBatch made with the device's key.
func OpenBatch(sealed []byte, device cardea.DeviceID, link cardea.LinkID, key LinkKey, pub *ecdsa.PublicKey) (b cardea.Batch, err error) {
	payload, err := openOwn(typItems, sealed, device, link, key, pub, cardea.MaxBatchBytes)
	if err == nil {
		err = decodeVersion(payload, &b)
	}
	if err == nil {
		err = checkBatch(b)
	}
	if err == nil && (b.Device != device || b.Link != link) {
		err = fmt.Errorf("%w: signed for device %s, link %s", ErrForeign, b.Device, b.Link)
	}
	if err != nil {
		return cardea.Batch{}, fmt.Errorf("open batch: %w", err)
	}
	return b, nil
}

func checkBatch(b cardea.Batch) error {
	if err := checkDevice(b.Device); err != nil {
		return err
	}
	switch {
	case b.Link.IsZero() || b.Queue.IsZero():
		return malformed("link and queue must be set")
	case len(b.Items) == 0:
		return malformed("no items")
	}
	byNumber := func(a, o cardea.Item) int { return cmp.Compare(a.N, o.N) }
	return checkList("items", b.Items, MaxItems, byNumber, checkItem)
}

func checkItem(i cardea.Item) error {
	switch {
	case i.N == 0 || i.N > maxCount || i.ID.IsZero():
		return malformed("item: a number and an id must be set")
	case !text(i.Recipient, maxRecipient):
		return malformed("item %d: a recipient has at most %d bytes", i.N, maxRecipient)
	case i.Source == "" || !text(i.Source, maxName) || !i.Method.Valid():
		return malformed("item %d: a source and a method must be set", i.N)
	case i.Collected <= 0 || !instant(i.Collected):
		return malformed("item %d: no instant of collection", i.N)
	case len(i.Needs) == 0:
		return malformed("item %d: it leaves under no key", i.N)
	}
	byKey := func(a, o cardea.Need) int { return cmp.Compare(a.Key, o.Key) }
	err := checkList("needs", i.Needs, maxNeeds, byKey, func(n cardea.Need) error { return checkNeed(i.Purpose, n) })
	if err != nil {
		return err
	}
	return checkData(i)
}

func checkNeed(p cardea.PurposeID, n cardea.Need) error {
	if _, err := cardea.ParseKey(string(n.Key)); err != nil {
		return malformed("need: %w", err)
	}
	if n.Key.Purpose() != p || n.Decided.Seq > maxCount {
		return malformed("need %s: of another purpose, or a number is out of range", n.Key)
	}
	return nil
}

// checkData wants a JSON object of scalars.
func checkData(i cardea.Item) error {
	var fields map[string]json.RawMessage
	if len(i.Data) > cardea.MaxItemBytes {
		return tooBig("item %d: its data has %d bytes, at most %d", i.N, len(i.Data), cardea.MaxItemBytes)
	}
	if !text(string(i.Data), cardea.MaxItemBytes) || json.Unmarshal(i.Data, &fields) != nil || len(fields) == 0 || len(fields) > maxFields {
		return malformed("item %d: want data as a JSON object of 1 to %d fields", i.N, maxFields)
	}
	for name, value := range fields {
		if len(name) > cardea.MaxField || !scalar(value) {
			return malformed("item %d: field %.40q is no scalar", i.N, name)
		}
	}
	return nil
}

// scalar accepts a JSON string, number, true or false.
func scalar(v json.RawMessage) bool {
	return len(v) > 0 && len(v) <= cardea.MaxValueBytes && strings.IndexByte(`"-0123456789tf`, v[0]) >= 0
}

func checkPurged(p *cardea.Purged) error {
	if p == nil {
		return nil
	}
	if p.Queue.IsZero() || p.N > maxCount {
		return malformed("purged: a queue must be set")
	}
	byKey := func(a, o cardea.Kept) int { return cmp.Compare(a.Key, o.Key) }
	return checkList("purged", p.Keys, maxConsents, byKey, func(k cardea.Kept) error {
		if _, err := cardea.ParseKey(string(k.Key)); err != nil {
			return malformed("purged: %w", err)
		}
		if max(k.Deleted, k.Held, k.Dropped) > maxCount {
			return malformed("purged %s: a number is out of range", k.Key)
		}
		return nil
	})
}

func compareCollections(a, b cardea.Collection) int {
	return cmp.Compare(a.Purpose, b.Purpose)
}

func checkCollection(c cardea.Collection) error {
	if _, err := cardea.ParseKey(string(cardea.KeyOf(c.Purpose, cardea.FacetUse))); err != nil {
		return malformed("collection: %w", err)
	}
	if len(c.Recipients) > maxFields || len(c.Fields) > maxFields || !slices.IsSorted(c.Fields) {
		return malformed("collection %s: at most %d fields, sorted", c.Purpose, maxFields)
	}
	for _, f := range c.Fields {
		if f == "" || !text(f, cardea.MaxField) {
			return malformed("collection %s: a field has 1 to %d bytes", c.Purpose, cardea.MaxField)
		}
	}
	for _, f := range c.Special {
		if !slices.Contains(c.Fields, f) {
			return malformed("collection %s: %.40q is no field", c.Purpose, f)
		}
	}
	return checkDestinations(c)
}

func checkDestinations(c cardea.Collection) error {
	for _, d := range c.Recipients {
		if d.Name == "" || !text(d.Name, maxRecipient) || len(d.Facets) > maxNeeds {
			return malformed("collection %s: a recipient has a name of at most %d bytes", c.Purpose, maxRecipient)
		}
		for _, f := range d.Facets {
			if _, err := cardea.ParseKey(string(cardea.KeyOf(c.Purpose, f))); err != nil {
				return malformed("collection %s: %w", c.Purpose, err)
			}
		}
	}
	return nil
}
