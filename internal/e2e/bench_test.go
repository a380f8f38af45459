package e2e_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
)

// report prints n, p50 and p99 of what was measured, in milliseconds.
func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	ms := func(q float64) float64 { // the time that this share of them did not exceed
		return float64(took[int(math.Ceil(q*float64(len(took))))-1].Microseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op") // the percentiles say more
	b.ReportMetric(float64(len(took)), "n")
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
}

// rounds is how often each thing is measured.
const rounds = 100

// BenchmarkApprovalToTokens is the time from the owner's tap to the device
// having its tokens on its disk, with the approval's own page in it.
func BenchmarkApprovalToTokens(b *testing.B) {
	s := newStage(b)
	a, err := s.StartAgent(context.Background(), "speaker", "speaker")
	must(b, err)
	phone := newPhone(b, s, "bench@example.com")
	var took []time.Duration
	for range rounds {
		stored := make(chan time.Time, 1)
		shown, err := a.Pair(b.Context())
		must(b, err)
		must(b, phone.Open(b.Context(), shown.VerificationURIComplete))
		ctx, stop := context.WithCancel(b.Context())
		watching := make(chan bool, 1)
		go func() {
			for e, err := range a.Watch(ctx, 0) {
				select {
				case watching <- true:
				default:
				}
				if err == nil && (e.Pairing == client.PairApproved || e.Pairing == client.PairLinked) {
					stored <- time.Now()
					return
				}
			}
		}()
		<-watching
		tap := time.Now()
		must(b, phone.Press(b.Context(), "Approve", ""))
		took = append(took, (<-stored).Sub(tap))
		stop()
		linked(b, a)
		unlinkAll(b, a)
	}
	report(b, took)
}

func unlinkAll(b *testing.B, a interface {
	Status(context.Context) (client.Status, error)
	Unlink(context.Context, cardea.LinkID) (client.Unlinked, error)
}) {
	b.Helper()
	until(b, "the device is a guest's again", func() error {
		status, err := a.Status(b.Context())
		if err != nil {
			return err
		}
		for _, link := range status.Links {
			if _, err := a.Unlink(b.Context(), link); err != nil {
				return err
			}
		}
		if len(status.Links) > 0 {
			return fmt.Errorf("%d links", len(status.Links))
		}
		return nil
	})
}

// BenchmarkPortalToGate is the time from the owner's tap in the portal to the
// device's gate answering so, seen through the watch of a program.
func BenchmarkPortalToGate(b *testing.B) {
	s := newStage(b)
	a, err := s.StartAgent(context.Background(), "speaker", "speaker")
	must(b, err)
	phone := newPhone(b, s, "bench@example.com")
	pair(b, a, phone)
	type seen struct {
		verdict cardea.Verdict
		at      time.Time
	}
	changed := make(chan seen, 16)
	go func() {
		for e, err := range a.Watch(b.Context(), 0) {
			if err != nil {
				return
			}
			for _, c := range e.Consents {
				if c.Key == recommend {
					changed <- seen{c.Verdict, time.Now()}
				}
			}
		}
	}()
	var took []time.Duration
	for i := range rounds {
		words, want := "Allow", cardea.Allow
		if i%2 == 1 {
			words, want = "Don’t allow", cardea.Deny
		}
		must(b, phone.Open(b.Context(), s.URL+"/consents"))
		tap := time.Now()
		must(b, phone.Press(b.Context(), words, questions[recommend]))
		for now := range changed {
			if now.verdict == want {
				took = append(took, now.at.Sub(tap))
				break
			}
		}
	}
	report(b, took)
}

// BenchmarkWithdraw is the time a withdrawal on the device takes to return,
// durable and in force.
func BenchmarkWithdraw(b *testing.B) {
	s := newStage(b)
	a, err := s.StartAgent(context.Background(), "speaker", "speaker")
	must(b, err)
	pair(b, a, newPhone(b, s, "bench@example.com"))
	var took []time.Duration
	for range rounds {
		nothingPending(b, a) // or the same denial again would have nothing to write
		start := time.Now()
		_, err := a.Withdraw(b.Context(), client.Withdrawal{Key: recommend})
		took = append(took, time.Since(start))
		must(b, err)
	}
	report(b, took)
}

// BenchmarkDecideOverSocket is what a program waits for an answer.
func BenchmarkDecideOverSocket(b *testing.B) {
	s := newStage(b)
	a, err := s.StartAgent(context.Background(), "speaker", "speaker")
	must(b, err)
	pair(b, a, newPhone(b, s, "bench@example.com"))
	var took []time.Duration
	for range 20 * rounds {
		start := time.Now()
		_, err := a.Decide(b.Context(), recommend, cardea.UseCollect)
		took = append(took, time.Since(start))
		must(b, err)
	}
	report(b, took)
}

// BenchmarkTokenOverSocket is what a program waits for a token that is at hand.
func BenchmarkTokenOverSocket(b *testing.B) {
	s := newStage(b)
	a, err := s.StartAgent(context.Background(), "speaker", "speaker")
	must(b, err)
	pair(b, a, newPhone(b, s, "bench@example.com"))
	want := client.TokenRequest{Audience: s.URL}
	must2(a.Token(b.Context(), want))(b)
	var took []time.Duration
	for range 20 * rounds {
		start := time.Now()
		_, err := a.Token(b.Context(), want)
		took = append(took, time.Since(start))
		must(b, err)
	}
	report(b, took)
}
