package issuer_test

import (
	"slices"
	"testing"
	"time"
)

// From the owner's yes to tokens in the hands of a device whose poll is held:
// HTTP on loopback, two durable transactions.
func BenchmarkApprovalToTokens(b *testing.B) {
	w := newServer(b)
	d := w.keyed()
	d.prefer = "wait=20"
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		a := d.start()
		read := w.asked()
		done, _ := d.background(b.Context(), a.DeviceCode)
		for w.asked() == read {
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(time.Millisecond) // now it waits
		b.StartTimer()
		begun := time.Now()
		w.approve(a)
		(<-done).tokens(b)
		took = append(took, time.Since(begun))
	}
	report(b, took)
}

func BenchmarkRefresh(b *testing.B) {
	w := newServer(b)
	d := w.keyed()
	tokens, _ := d.pair()
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		tokens = d.refresh(tokens.RefreshToken).tokens(b)
		took = append(took, time.Since(begun))
	}
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}
