// Command figures turns what "go test -bench" prints into one table for people:
// each figure in its unit, beside its goal and how much of the goal it takes.
// Above 1.00 a goal is missed, which is shown and is no failure: figures depend
// on the machine and on who else uses it.
//
// With a file of the figures that were measured first, each stands beside how
// much of that it is, and what has become worse by more than a fifth is marked.
//
//	go test -run '^$' -bench . -benchmem ./... | go run ./internal/figures testdata/figures.txt
//
// The table comes at the end; meanwhile each benchmark that is done is named on
// standard error, with the time that has passed.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := compare(os.Args[1:], &progress{Reader: os.Stdin, to: os.Stderr, began: time.Now()}, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

// A progress is what is read through it, and tells of each line of a benchmark.
type progress struct {
	io.Reader
	to    io.Writer
	began time.Time
	rest  []byte // of a line that has begun
	last  string
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.rest = append(p.rest, b[:n]...)
	for {
		line, rest, ended := bytes.Cut(p.rest, []byte{'\n'})
		if !ended {
			return n, err
		}
		p.rest = rest
		if m := measured.FindSubmatch(line); m != nil && string(m[1]) != p.last {
			p.last = string(m[1])
			fmt.Fprintf(p.to, "%5.0f s  %s\n", time.Since(p.began).Seconds(), p.last)
		}
	}
}

// compare is main without the process around it.
func compare(args []string, in io.Reader, out io.Writer) error {
	first := figures{}
	if len(args) > 0 {
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		if first, err = readFirst(file); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
	}
	return run(in, first, out)
}

// A row is one line of the table: a metric of a benchmark, and the highest value
// wanted of it; below zero there is no goal.
type row struct {
	what            string
	benchmark, unit string // as go test prints them, the benchmark with its package
	shown           string // unit in the table
	goal            float64
	precision       int    // digits behind the point
	tail            string // metric of the 99th percentile, if there is one
}

const none = -1

// rows are the table, in its order.
var rows = []row{
	{what: "approval to tokens stored", benchmark: "internal/e2e.ApprovalToTokens", unit: "p50-ms", tail: "p99-ms", shown: "ms", goal: 20, precision: 1},
	{what: "change in the portal to the gate", benchmark: "internal/e2e.PortalToGate", unit: "p50-ms", tail: "p99-ms", shown: "ms", goal: 20, precision: 1},
	{what: "withdrawal to its return", benchmark: "internal/e2e.Withdraw", unit: "p50-ms", tail: "p99-ms", shown: "ms", goal: 5, precision: 2},
	{what: "decide over the socket", benchmark: "internal/e2e.DecideOverSocket", unit: "p50-ms", tail: "p99-ms", shown: "ms", goal: none, precision: 3},
	{what: "  by a client that does no more", benchmark: "internal/e2e.DecideAgainstBare", unit: "agent-us", shown: "us", goal: none, precision: 1},
	{what: "  a bare net/http handler there", benchmark: "internal/e2e.DecideAgainstBare", unit: "bare-us", shown: "us", goal: none, precision: 1},
	{what: "  times that", benchmark: "internal/e2e.DecideAgainstBare", unit: "ratio", goal: 1.3, precision: 2},
	{what: "a token at hand, over the socket", benchmark: "internal/e2e.TokenOverSocket", unit: "p50-ms", tail: "p99-ms", shown: "ms", goal: 50, precision: 3},
	{what: "decide in C, from the page", benchmark: "internal/e2e.Page", unit: "question-ns", shown: "ns", goal: 30, precision: 1},
	{what: "  of it two coarse clocks", benchmark: "internal/e2e.Page", unit: "coarse-ns", shown: "ns", goal: none, precision: 1},
	{what: "  the page without a clock", benchmark: "internal/e2e.Page", unit: "page-ns", shown: "ns", goal: none, precision: 1},
	{what: "  once a second the boot clock too", benchmark: "internal/e2e.Page", unit: "boot-ns", shown: "ns", goal: none, precision: 1},
	{what: "start to first answer, no network", benchmark: "internal/e2e.ColdStart", unit: "p50-ms", tail: "p99-ms", shown: "ms", goal: 50, precision: 1},
	{what: "cardea.Decide", benchmark: ".Decide", unit: "ns/op", shown: "ns", goal: 50},
	{what: "  allocations", benchmark: ".Decide", unit: "allocs/op", goal: 0},
	{what: "gate.Decide", benchmark: "agent/gate.Decide/no_clock", unit: "ns/op", shown: "ns", goal: none},
	{what: "  with the kernel's clock", benchmark: "agent/gate.Decide/kernel_clock", unit: "ns/op", shown: "ns", goal: none},
	{what: "  allocations", benchmark: "agent/gate.Decide/kernel_clock", unit: "allocs/op", goal: 0},
	{what: "the same question to Open Policy Agent", benchmark: "internal/bench/peers.OPA", unit: "ns/op", shown: "ns", goal: none},
	{what: "  allocations", benchmark: "internal/bench/peers.OPA", unit: "allocs/op", goal: none},
	{what: "the same question to Cedar", benchmark: "internal/bench/peers.Cedar", unit: "ns/op", shown: "ns", goal: none},
	{what: "  allocations", benchmark: "internal/bench/peers.Cedar", unit: "allocs/op", goal: none},
	{what: "written until a withdrawal returns", benchmark: "internal/e2e.WithdrawCost", unit: "disk-B", shown: "B", goal: 4096},
	{what: "  flushes", benchmark: "internal/e2e.WithdrawCost", unit: "flushes", goal: 1, precision: 1},
	{what: "written until the cloud has it too", benchmark: "internal/e2e.WithdrawCost", unit: "acked-disk-B", shown: "B", goal: none},
	{what: "  flushes", benchmark: "internal/e2e.WithdrawCost", unit: "acked-flushes", goal: none, precision: 1},
	{what: "written per change in the portal", benchmark: "internal/e2e.PortalChangeCost", unit: "disk-B", shown: "B", goal: none},
	{what: "  flushes", benchmark: "internal/e2e.PortalChangeCost", unit: "flushes", goal: none, precision: 1},
	{what: "an agent left alone: resident memory", benchmark: "internal/idle.LeftAlone", unit: "rss", shown: "MB", goal: 10, precision: 2},
	{what: "  of it anonymous", benchmark: "internal/idle.LeftAlone", unit: "anonymous", shown: "MB", goal: 2.5, precision: 2},
	{what: "  wake-ups a second", benchmark: "internal/idle.LeftAlone", unit: "wakeups", goal: 1, precision: 2},
	{what: "  written in a minute", benchmark: "internal/idle.LeftAlone", unit: "written", shown: "B", goal: 0},
	{what: "one that hears the cloud: anonymous", benchmark: "internal/idle.HearsTheCloud", unit: "anonymous", shown: "MB", goal: none, precision: 2},
	{what: "  wake-ups a second", benchmark: "internal/idle.HearsTheCloud", unit: "wakeups", goal: none, precision: 2},
	{what: "  written in a minute", benchmark: "internal/idle.HearsTheCloud", unit: "written", shown: "B", goal: 0},
	{what: "the agent's program, stripped", benchmark: "internal/e2e.AgentSize", unit: "MB", shown: "MB", goal: 9, precision: 2},
}

// figures are the metrics of each benchmark, by package and name.
type figures map[string]map[string]float64

func run(in io.Reader, first figures, out io.Writer) error {
	found, err := read(in, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n  %-38s %12s %12s %10s %8s   %s\n", "", "p50 or mean", "p99", "goal", "of it", "of the first")
	missing := 0
	for _, r := range rows {
		metrics, ok := found[r.benchmark]
		value, measured := metrics[r.unit]
		if !ok || !measured {
			missing++
			fmt.Fprintf(out, "  %-38s %12s\n", r.what, "not measured")
			continue
		}
		tail := ""
		if v, ok := metrics[r.tail]; ok {
			tail = r.text(v)
		}
		line := fmt.Sprintf("  %-38s %12s %12s %10s %8s   %s", r.what, r.text(value), tail, r.goalText(), r.ratio(value), first.beside(r, metrics))
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	fmt.Fprintln(out)
	if missing == len(rows) {
		return fmt.Errorf("no figure was measured")
	}
	return nil
}

func (r row) text(v float64) string {
	return strings.TrimSpace(strconv.FormatFloat(v, 'f', r.precision, 64) + " " + r.shown)
}

func (r row) goalText() string {
	if r.goal < 0 {
		return ""
	}
	return strings.TrimSpace(strconv.FormatFloat(r.goal, 'f', -1, 64) + " " + r.shown)
}

// ratio is how much of the goal is taken. Of a goal of nothing it is met or not.
func (r row) ratio(v float64) string {
	switch {
	case r.goal < 0:
		return ""
	case r.goal > 0:
		return strconv.FormatFloat(v/r.goal, 'f', 2, 64)
	case v > 0:
		return "missed"
	}
	return "met"
}

// worse is how much more than the first a figure may be without a mark.
const worse = 1.2

// beside is how much of the first figures a row's are.
func (f figures) beside(r row, metrics map[string]float64) string {
	var ratios []string
	mark := ""
	for _, unit := range []string{r.unit, r.tail} {
		was, known := f[r.benchmark][unit]
		is, measured := metrics[unit]
		switch {
		case !known || !measured:
		case was > 0:
			ratios = append(ratios, strconv.FormatFloat(is/was, 'f', 2, 64))
		case is == was:
			ratios = append(ratios, "same")
		default:
			ratios = append(ratios, "more")
		}
		if known && measured && is > was*worse {
			mark = "  worse"
		}
	}
	return strings.Join(ratios, ", p99 ") + mark
}

// readFirst reads lines of a benchmark, a unit and a value. What follows # is for
// people.
func readFirst(in io.Reader) (figures, error) {
	first := figures{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 {
			return nil, fmt.Errorf("line %q is not a benchmark, a unit and a value", text)
		}
		if _, err := strconv.ParseFloat(words[2], 64); err != nil {
			return nil, fmt.Errorf("line %q: %w", text, err)
		}
		first.add(words[0], words[2]+" "+words[1])
	}
	return first, lines.Err()
}

var measured = regexp.MustCompile(`^Benchmark(\S*?)(?:-\d+)?\s+\d+\s+(.*)$`)

// read collects the metrics. A failure is one, and what was said of it is passed
// on to out; whatever else it does not know is passed over.
func read(in io.Reader, out io.Writer) (figures, error) {
	found := figures{}
	pkg, failed := "", false
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, "pkg: github.com/cardea-id/cardea"); ok {
			pkg = strings.TrimPrefix(rest, "/")
		}
		if strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "FAIL") {
			failed = true
		}
		if m := measured.FindStringSubmatch(line); m != nil {
			found.add(pkg+"."+m[1], m[2])
		} else if failed || strings.HasPrefix(line, "    ") {
			fmt.Fprintln(out, line)
		}
	}
	if failed {
		return nil, errors.New("a benchmark failed")
	}
	return found, lines.Err()
}

// add takes over "12.5 ns/op  0 allocs/op". Of a benchmark that ran more than
// once the lowest counts: the rest is somebody else's use of the machine.
func (f figures) add(benchmark, text string) {
	if f[benchmark] == nil {
		f[benchmark] = map[string]float64{}
	}
	words := strings.Fields(text)
	for i := 0; i+1 < len(words); i += 2 {
		v, err := strconv.ParseFloat(words[i], 64)
		if before, twice := f[benchmark][words[i+1]]; err == nil && (!twice || v < before) {
			f[benchmark][words[i+1]] = v
		}
	}
}
