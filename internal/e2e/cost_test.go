package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// A cost is what was written to the agent's files, and how often it had to wait
// for the disk.
type cost struct{ bytes, flushes float64 }

func (c cost) report(b *testing.B, n float64, prefix string) {
	b.Helper()
	b.ReportMetric(c.bytes/n, prefix+"disk-B")
	b.ReportMetric(c.flushes/n, prefix+"flushes")
}

// A call of the system's, as strace prints it: when, which, of which file, and
// how much of it.
var traced = regexp.MustCompile(`^\d+ +([\d.]+) (\w+)\(\d+<([^>]*)>(?:, .*?\.\.\., (\d+))?`)

// costs adds up what the agent writes while f runs, and tells apart what it
// writes while one of the calls is under way that f says the time of. A write
// to a file that is open for that (O_DSYNC) waits for the disk as a flush does.
func costs(b *testing.B, a *stage.Agent, f func(during func(func()))) (all, inCalls cost) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "trace")
	strace := exec.Command("strace", "-f", "-y", "-ttt", "-s", "0", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", path,
		"-p", strconv.Itoa(a.Process.Pid()))
	must(b, strace.Start())
	time.Sleep(500 * time.Millisecond) // until it has attached
	var calls [][2]float64
	now := func() float64 { return float64(time.Now().UnixMicro()) / 1e6 }
	f(func(one func()) {
		start := now()
		one()
		calls = append(calls, [2]float64{start, now()})
	})
	time.Sleep(500 * time.Millisecond) // what follows a call
	strace.Process.Signal(syscall.SIGINT)
	strace.Wait()
	text, err := os.ReadFile(path)
	must(b, err)
	for line := range strings.Lines(string(text)) {
		m := traced.FindStringSubmatch(line)
		if m == nil || !strings.HasPrefix(m[3], filepath.Join(a.Dir, "state")+"/") {
			continue
		}
		c := cost{flushes: 1}
		if strings.HasSuffix(m[2], "write") || m[2] == "pwrite64" {
			c.bytes, err = strconv.ParseFloat(m[4], 64)
			must(b, err)
			if !strings.HasSuffix(m[3], ".journal") && !strings.HasSuffix(m[3], ".slot") {
				c.flushes = 0
			}
		}
		all.bytes, all.flushes = all.bytes+c.bytes, all.flushes+c.flushes
		at, err := strconv.ParseFloat(m[1], 64)
		must(b, err)
		if slices.ContainsFunc(calls, func(c [2]float64) bool { return c[0] <= at && at <= c[1] }) {
			inCalls.bytes, inCalls.flushes = inCalls.bytes+c.bytes, inCalls.flushes+c.flushes
		}
	}
	return all, inCalls
}

// BenchmarkWithdrawCost is what a withdrawal writes until it returns, and until
// the cloud has acknowledged it.
func BenchmarkWithdrawCost(b *testing.B) {
	s := newStage(b)
	a, _ := newDevice(b, s)
	const n = 20
	all, inCalls := costs(b, a, func(during func(func())) {
		for range n {
			during(func() {
				_, err := a.Withdraw(b.Context(), client.Withdrawal{Key: recommend})
				must(b, err)
			})
			nothingPending(b, a)
			time.Sleep(20 * time.Millisecond) // what follows is not the next one's
		}
	})
	b.ReportMetric(0, "ns/op")
	inCalls.report(b, n, "")
	all.report(b, n, "acked-")
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
	all, _ := costs(b, a, func(func(func())) { change(n) })
	b.ReportMetric(0, "ns/op")
	all.report(b, 2*n, "")
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
	dir := b.TempDir()
	build := exec.Command("make", "-s", "--no-print-directory", "size-amd64", "BIN="+dir)
	build.Dir = module
	if said, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, said)
	}
	info, err := os.Stat(filepath.Join(dir, "linux-amd64/cardea-agent"))
	must(b, err)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}
