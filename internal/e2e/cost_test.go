package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cardea-id/cardea"
	"github.com/cardea-id/cardea/agent/client"
	"github.com/cardea-id/cardea/internal/owner"
	"github.com/cardea-id/cardea/internal/stage"
)

// newDevice starts a device as it stands in a house: what must not outlive the
// boot lies in memory, and so does its log, which is somebody else's to write.
// It is linked, and the key is allowed.
func newDevice(b *testing.B, s *stage.Stage) (*stage.Agent, *owner.Owner) {
	b.Helper()
	memory, err := os.MkdirTemp("/dev/shm", "cardea-")
	must(b, err)
	b.Cleanup(func() { os.RemoveAll(memory) })
	dir := filepath.Join(s.Dir, "speaker")
	must(b, os.Mkdir(dir, 0o755))
	for _, name := range []string{"run", "agent.log"} {
		must(b, os.Symlink(filepath.Join(memory, name), filepath.Join(dir, name)))
	}
	must(b, os.Mkdir(filepath.Join(memory, "run"), 0o755))
	a, err := s.StartAgent(context.Background(), "speaker", "speaker")
	must(b, err)
	phone := newPhone(b, s, "bench@example.com")
	pair(b, a, phone)
	choose(b, s, phone, "Allow", recommend)
	answers(b, a, recommend, cardea.Allow)
	return a, phone
}

// proc reads a number from one of a process's files in /proc.
func proc(b *testing.B, a *stage.Agent, file, field string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", a.Process.Pid(), file))
	must(b, err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			must(b, err)
			return n
		}
	}
	b.Fatalf("%s has no %s", file, field)
	return 0
}

// written is what the agent has had written to the disk so far, in bytes.
func written(b *testing.B, a *stage.Agent) float64 { return proc(b, a, "io", "write_bytes") }

// flushes counts the agent's flushes of files while f runs.
func flushes(b *testing.B, a *stage.Agent, f func()) float64 {
	b.Helper()
	trace := filepath.Join(b.TempDir(), "trace")
	strace := exec.Command("strace", "-f", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o", trace, "-p", strconv.Itoa(a.Process.Pid()))
	said, err := strace.StderrPipe()
	must(b, err)
	must(b, strace.Start())
	var first [1]byte
	said.Read(first[:]) // "strace: Process … attached"
	time.Sleep(100 * time.Millisecond)
	go func() {
		var rest [4096]byte
		for err := error(nil); err == nil; {
			_, err = said.Read(rest[:])
		}
	}()
	f()
	strace.Process.Signal(syscall.SIGINT)
	strace.Wait()
	text, err := os.ReadFile(trace)
	must(b, err)
	return float64(strings.Count(string(text), "sync(")) // one that is cut in two lines is "<... resumed>" in the second
}

// withdrawals stops the key so often, each time when nothing else is under way.
func withdrawals(b *testing.B, a *stage.Agent, n int) {
	b.Helper()
	for range n {
		_, err := a.Withdraw(b.Context(), client.Withdrawal{Key: recommend})
		must(b, err)
		nothingPending(b, a)
	}
}

// BenchmarkWithdrawCost is what a withdrawal costs the disk until the cloud has
// acknowledged it, and how much of that until the call returns.
func BenchmarkWithdrawCost(b *testing.B) {
	s := newStage(b)
	a, _ := newDevice(b, s)
	const n = 20
	withdrawals(b, a, 1)
	before := written(b, a)
	withdrawals(b, a, n)
	b.ReportMetric((written(b, a)-before)/n, "acked-disk-B")
	b.ReportMetric(flushes(b, a, func() { withdrawals(b, a, n) })/n, "acked-flushes")

	// Without a network only the withdrawal itself is written.
	a.Network(false)
	keys := []cardea.Key{"recommendations/use", "recommendations/third_party", "product_analytics/use", "offers/use", "offers/marketing"}
	alone := func() {
		for _, key := range keys {
			_, err := a.Withdraw(b.Context(), client.Withdrawal{Key: key})
			must(b, err)
		}
	}
	time.Sleep(time.Second) // what was under way is done
	before = written(b, a)
	count := flushes(b, a, alone)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric((written(b, a)-before)/float64(len(keys)), "disk-B")
	b.ReportMetric(count/float64(len(keys)), "flushes")
}

// BenchmarkPortalChangeCost is what a change in the portal costs the device's
// disk.
func BenchmarkPortalChangeCost(b *testing.B) {
	s := newStage(b)
	a, phone := newDevice(b, s)
	change := func(n int) {
		for range n {
			choose(b, s, phone, "Don’t allow", recommend)
			answers(b, a, recommend, cardea.Deny)
			choose(b, s, phone, "Allow", recommend)
			answers(b, a, recommend, cardea.Allow)
		}
	}
	const n = 10
	change(1)
	before := written(b, a)
	change(n)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric((written(b, a)-before)/(2*n), "disk-B")
	b.ReportMetric(flushes(b, a, func() { change(n) })/(2*n), "flushes")
}

// BenchmarkIdle is what a connected device with nothing to do writes in a
// minute, and the memory it holds then. One purpose may be 30 s old at most, so
// the device hears of the cloud all the time.
func BenchmarkIdle(b *testing.B) {
	s := newStage(b)
	a, phone := newDevice(b, s)
	choose(b, s, phone, "Allow", "presence/use")
	answers(b, a, "presence/use", cardea.Allow)
	nothingPending(b, a)
	time.Sleep(2 * time.Second)
	before := written(b, a)
	time.Sleep(time.Minute)
	answers(b, a, "presence/use", cardea.Allow)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(written(b, a)-before, "disk-B/min")
	b.ReportMetric(proc(b, a, "status", "VmRSS")*1024/1e6, "MB-resident")
	b.ReportMetric(proc(b, a, "status", "RssAnon")*1024/1e6, "MB-own")
}

// BenchmarkColdStart is the time from starting the agent of a linked device,
// without a network, to its first answer.
func BenchmarkColdStart(b *testing.B) {
	s := newStage(b)
	a, _ := newDevice(b, s)
	a.Network(false)
	var took []time.Duration
	for range 20 {
		must(b, a.Process.Stop())
		a.Client.Close()
		start := time.Now()
		answered := make(chan time.Time, 1)
		go func() {
			for {
				if got, err := a.Decide(b.Context(), recommend, cardea.UseCollect); err == nil && got.Reason != "" {
					answered <- time.Now()
					return
				}
				time.Sleep(100 * time.Microsecond)
			}
		}()
		must(b, a.Start(b.Context()))
		took = append(took, (<-answered).Sub(start))
	}
	report(b, took)
}

// BenchmarkAgentSize is the agent's program as a device gets it.
func BenchmarkAgentSize(b *testing.B) {
	module, err := stage.Module()
	must(b, err)
	out := filepath.Join(b.TempDir(), "agent")
	build := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", out, "./cmd/cardea-agent")
	build.Dir, build.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	info, err := os.Stat(out)
	must(b, err)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}
