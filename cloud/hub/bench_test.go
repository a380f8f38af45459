package hub_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/store/accountdb"
)

// sizes are the lengths of a ledger: a usual customer, a busy one and what
// nobody should have.
var sizes = []uint64{10, 1_000, 10_000}

// BenchmarkHandleRenewal is a report with nothing new, by far the most frequent
// thing a cloud does.
func BenchmarkHandleRenewal(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h := newHouse(b)
			d := h.pair("g1")
			h.fill(size)
			d.sync()
			d.sync()
			spans := make([]time.Duration, 0, b.N)
			for b.Loop() {
				report := d.report()
				begin := time.Now()
				answer, err := h.hub.Handle(b.Context(), report)
				spans = append(spans, time.Since(begin))
				if err != nil || !d.open(answer).Renewal() {
					b.Fatalf("no renewal: %v", err)
				}
			}
			quantiles(b, spans)
		})
	}
}

// BenchmarkHandleWithdrawal is a report with a no that was said on the device.
func BenchmarkHandleWithdrawal(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h := newHouse(b)
			d := h.pair("g1")
			h.fill(size)
			d.sync()
			spans := make([]time.Duration, 0, b.N)
			for b.Loop() {
				d.say(cardea.LogEntry{Act: cardea.ActDeny, Key: recommend})
				report := d.report()
				begin := time.Now()
				answer, err := h.hub.Handle(b.Context(), report)
				spans = append(spans, time.Since(begin))
				if err != nil || d.apply(d.open(answer)).Renewal() {
					b.Fatalf("no statement: %v", err)
				}
			}
			quantiles(b, spans)
		})
	}
}

// BenchmarkDecideToStatement is from the owner's tap, without the page, to the
// sealed statement on its way to a connected device, on a real disk.
func BenchmarkDecideToStatement(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h := newHouse(b)
			d := h.pair("g1")
			h.fill(size)
			d.sync()
			d.sync()
			h.pipe.connect(d.id)
			h.run()
			spans := make([]time.Duration, 0, b.N)
			for b.Loop() {
				begin := time.Now()
				_, err := h.ledger.Decide(b.Context(), h.account.ID, cardea.ChannelPortal, cardea.Scope{}, cardea.Decision{
					Event: cardea.NewID[cardea.EventID](), Act: cardea.ActDeny, Key: recommend, Base: d.head,
				})
				if err != nil {
					b.Fatal(err)
				}
				sealed := <-h.pipe.sent
				spans = append(spans, time.Since(begin))
				d.apply(d.open(sealed))
				d.sync() // it has applied it
			}
			quantiles(b, spans)
		})
	}
}

// quantiles prints the median and the slowest hundredth.
func quantiles(b *testing.B, spans []time.Duration) {
	slices.Sort(spans)
	at := func(share float64) float64 {
		return float64(spans[int(share*float64(len(spans)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op") // it has the device's own work in it
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}

// fill brings the account's ledger to a length, with an owner who says yes and
// no to one thing after the other.
func (h *house) fill(size uint64) {
	h.t.Helper()
	cat, _ := h.ledger.Catalogue.Current()
	err := h.db.Update(h.t.Context(), func(tx *accountdb.Tx) error {
		a, err := tx.Account(h.account.ID)
		for n := a.Head.Seq; err == nil && n < size; n++ {
			p := cat.Purposes[n/2%uint64(len(cat.Purposes))]
			e := cardea.Entry{Scope: cardea.Scope{}, By: cardea.Owner, Channel: cardea.ChannelPortal}
			e.Event, e.Key, e.Base = cardea.NewID[cardea.EventID](), p.Keys()[0], a.Head
			e.Act, e.Version, e.Notice = cardea.ActGrant, p.Version, p.Notice("en")
			if n%2 == 1 {
				e.Act = cardea.ActDeny
			}
			if e, err = tx.Append(a.ID, e); err == nil {
				a.Head = e.Position
			}
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}
