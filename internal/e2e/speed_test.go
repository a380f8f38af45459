package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/internal/stage"
)

// allowing is a device whose owner has allowed what is recommended.
func allowing(b *testing.B) *stage.Agent {
	b.Helper()
	s := newStage(b)
	a, err := s.StartAgent(context.Background(), "speaker", "speaker")
	must(b, err)
	phone := newPhone(b, s, "bench@example.com")
	pair(b, a, phone)
	choose(b, s, phone, "Allow", recommend)
	answers(b, a, recommend, cardea.Allow)
	return a
}

// BenchmarkPage is what a program in C pays for an answer from its page, beside
// what it pays for the clocks in it.
func BenchmarkPage(b *testing.B) {
	module, err := stage.Module()
	must(b, err)
	client, program := filepath.Join(module, "agent/client/c"), filepath.Join(b.TempDir(), "speed")
	build := exec.Command("gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-I"+client, "-o", program, "testdata/speed.c", filepath.Join(client, "cardea.c"))
	if said, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build (it needs gcc): %v: %s", err, said)
	}
	out, err := exec.CommandContext(b.Context(), program, allowing(b).Socket).Output()
	must(b, err)
	b.ReportMetric(0, "ns/op")
	for line := range bytes.Lines(out) {
		var what string
		var ns float64
		_, err := fmt.Sscan(string(line), &what, &ns)
		must(b, err)
		b.ReportMetric(ns, what+"-ns")
	}
}

// A teller asks the same question again and again on one connection, with as
// little of its own around it as can be.
type teller struct {
	conn net.Conn
	in   *bufio.Reader
}

func newTeller(b *testing.B, socket string) *teller {
	b.Helper()
	var c net.Conn
	until(b, "the socket is there", func() (err error) {
		c, err = net.Dial("unix", socket)
		return err
	})
	b.Cleanup(func() { c.Close() })
	return &teller{c, bufio.NewReader(c)}
}

var asking = func() []byte {
	body := fmt.Sprintf(`{"key":"%s","use":"%s"}`, recommend, cardea.UseCollect)
	return fmt.Appendf(nil, "POST /v1/decide HTTP/1.1\r\nHost: cardea\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}()

func (t *teller) ask(b *testing.B) {
	_, err := t.conn.Write(asking)
	must(b, err)
	answer, err := http.ReadResponse(t.in, nil)
	must(b, err)
	_, err = io.Copy(io.Discard, answer.Body)
	must(b, err)
	if answer.StatusCode != http.StatusOK {
		b.Fatal(answer.Status)
	}
}

// took is the median of some questions.
func (t *teller) took(b *testing.B, questions int) time.Duration {
	all := make([]time.Duration, questions)
	for i := range all {
		start := time.Now()
		t.ask(b)
		all[i] = time.Since(start)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkDecideAgainstBare compares a decision over the socket with the least
// that net/http can do there, in turns.
func BenchmarkDecideAgainstBare(b *testing.B) {
	module, err := stage.Module()
	must(b, err)
	dir := b.TempDir()
	build := exec.Command("make", "-s", "--no-print-directory", "bare", "BIN="+dir)
	build.Dir = module
	if said, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	socket := filepath.Join(dir, "s")
	server := exec.CommandContext(b.Context(), filepath.Join(dir, "bare"), socket)
	must(b, server.Start())
	agent, bare := newTeller(b, allowing(b).Socket), newTeller(b, socket)
	const turns, questions = 41, 200
	var ours, theirs, ratios []float64
	for range turns {
		us, them := agent.took(b, questions), bare.took(b, questions)
		ours, theirs = append(ours, us.Seconds()*1e6), append(theirs, them.Seconds()*1e6)
		ratios = append(ratios, us.Seconds()/them.Seconds())
	}
	middle := func(of []float64) float64 { slices.Sort(of); return of[len(of)/2] }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(ours), "agent-us")
	b.ReportMetric(middle(theirs), "bare-us")
	b.ReportMetric(middle(ratios), "ratio")
	server.Process.Kill()
	server.Wait()
}
