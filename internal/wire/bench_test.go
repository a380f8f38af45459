package wire_test

import (
	"testing"

	"github.com/cardea-id/cardea/internal/wire"
)

func BenchmarkBody(b *testing.B) {
	body := newCast(b).body()
	encoded, err := wire.EncodeBody(body)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.EncodeBody(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.DecodeBody(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDown(b *testing.B) {
	c := newCast(b)
	d := c.statement()
	sealed, _, err := wire.SealDown(d, c.cloud, c.key)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		b.ReportMetric(float64(len(sealed)), "bytes")
		for b.Loop() {
			if _, _, err := wire.SealDown(d, c.cloud, c.key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := wire.OpenDown(sealed, c.id, c.link, c.key, c.trust); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkUp(b *testing.B) {
	c := newCast(b)
	u := c.report()
	sealed, err := wire.SealUp(u, c.device, c.key)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		b.ReportMetric(float64(len(sealed)), "bytes")
		for b.Loop() {
			if _, err := wire.SealUp(u, c.device, c.key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.OpenUp(sealed, c.id, c.link, c.key, &c.device.PublicKey); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("peek", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.PeekUp(sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
