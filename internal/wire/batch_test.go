package wire_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/wire"
)

// batches are authentic, and have something in them that no device sends.
func (r *rogue) batches() {
	add := func(name, err string, spoil func(b *cardea.Batch)) {
		b := r.batch()
		spoil(&b)
		r.add("batch", name, err, r.sealBatch(encode(b)))
	}
	data := func(text string) func(*cardea.Batch) {
		return func(b *cardea.Batch) { b.Items[0].Data = []byte(text) }
	}
	add("of version 2", "version", func(b *cardea.Batch) { b.V = 2 })
	add("of another device", "foreign", func(b *cardea.Batch) { b.Device = cardea.DeviceID(thumbprint(&r.stranger.PublicKey)) })
	add("of another link", "foreign", func(b *cardea.Batch) { b.Link = cardea.LinkID(fill(16, "other")) })
	add("without a queue", "malformed", func(b *cardea.Batch) { b.Queue = cardea.QueueID{} })
	add("without items", "malformed", func(b *cardea.Batch) { b.Items = nil })
	add("a number twice", "malformed", func(b *cardea.Batch) { b.Items[1].N = b.Items[0].N })
	add("a number falls", "malformed", func(b *cardea.Batch) { b.Items[1].N = 1 })
	add("number 0", "malformed", func(b *cardea.Batch) { b.Items[0].N = 0 })
	add("an item without an id", "malformed", func(b *cardea.Batch) { b.Items[0].ID = cardea.ItemID{} })
	add("under no key", "malformed", func(b *cardea.Batch) { b.Items[0].Needs = nil })
	add("under another purpose's key", "malformed", func(b *cardea.Batch) { b.Items[0].Needs[0].Key = "offers/use" })
	add("under a key twice", "malformed", func(b *cardea.Batch) { b.Items[1].Needs[1] = b.Items[1].Needs[0] })
	add("without a source", "malformed", func(b *cardea.Batch) { b.Items[0].Source = "" })
	add("collected by magic", "malformed", func(b *cardea.Batch) { b.Items[0].Method = "magic" })
	add("collected at no time", "malformed", func(b *cardea.Batch) { b.Items[0].Collected = 0 })
	add("a recipient of 129 bytes", "malformed", func(b *cardea.Batch) { b.Items[0].Recipient = strings.Repeat("x", 129) })
	add("data that is no JSON", "malformed", data("track"))
	add("data that is a list", "malformed", data("[1]"))
	add("data without a field", "malformed", data("{}"))
	add("a list in a field", "malformed", data(`{"track":[1]}`))
	add("null in a field", "malformed", data(`{"track":null}`))
	add("data of 2049 bytes", "too_big", data(`{"track":"`+strings.Repeat("x", 2037)+`"}`))
	add("257 items", "too_big", func(b *cardea.Batch) {
		item := b.Items[0]
		b.Items = nil
		for n := range 257 {
			item.N = uint64(n + 1)
			b.Items = append(b.Items, item)
		}
	})
	r.add("batch", "a report", "malformed", r.sealUp(encode(r.report())))
	r.add("report", "a batch", "malformed", r.sealBatch(encode(r.batch())))
	purge := r.report()
	purge.Purged = &cardea.Purged{Queue: r.batch().Queue, N: 1, Keys: []cardea.Kept{{Key: "no key"}}}
	r.add("report", "deleted under no key", "malformed", r.sealUp(encode(purge)))
	for name, c := range map[string]cardea.Collection{
		"collects an unnamed field":      {Purpose: "offers", Fields: []string{""}},
		"collects in another order":      {Purpose: "offers", Fields: []string{"b", "a"}},
		"special data that is no field":  {Purpose: "offers", Fields: []string{"a"}, Special: []string{"b"}},
		"collects for no purpose":        {Fields: []string{"a"}},
		"collects for a nameless one":    {Purpose: "offers", Recipients: []cardea.Destination{{}}},
		"a recipient takes a wrong word": {Purpose: "offers", Recipients: []cardea.Destination{{Name: "x", Facets: []cardea.Facet{"magic"}}}},
	} {
		body := r.body()
		body.Collections = []cardea.Collection{c}
		r.add("body", name, "malformed", encode(body))
	}
}

// What does not fit into one batch is left for the next, the oldest first.
func TestFitBatch(t *testing.T) {
	c := newCast(t)
	b := c.batch()
	big := b.Items[0]
	big.Data = fmt.Appendf(nil, `{"album":%q,"track":%[1]q}`, strings.Repeat("x", 1000))
	for _, item := range []cardea.Item{b.Items[0], big} {
		b.Items = nil
		for n := range 2 * wire.MaxItems {
			item.N = uint64(n + 1)
			b.Items = append(b.Items, item)
		}
		fit := wire.FitBatch(b)
		sealed, err := wire.SealBatch(fit, c.device, c.key)
		if err != nil || len(fit.Items) == 0 || fit.Items[0].N != 1 {
			t.Fatalf("%d items: %v", len(fit.Items), err)
		}
		got, err := wire.OpenBatch(sealed, c.id, c.link, c.key, &c.device.PublicKey)
		if err != nil || len(got.Items) != len(fit.Items) || !bytes.Equal(got.Items[0].Data, item.Data) {
			t.Errorf("%d of %d items, %v", len(got.Items), len(fit.Items), err)
		}
		t.Logf("%d items of %d bytes: %d bytes sealed", len(fit.Items), len(item.Data), len(sealed))
	}
}
