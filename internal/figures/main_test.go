package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const printed = `goos: linux
pkg: github.com/cardea-id/cardea
cpu: any
BenchmarkDecide-2   	41034480	        29.25 ns/op	       0 B/op	       0 allocs/op
BenchmarkDecide-2   	41034480	        99.25 ns/op	       0 B/op	       0 allocs/op
PASS
ok  	github.com/cardea-id/cardea	1.5s
pkg: github.com/cardea-id/cardea/internal/e2e
BenchmarkWithdraw-2      	       1	       100.0 n	         1.250 p50-ms	         3.100 p99-ms
BenchmarkWithdrawCost-2  	       1	      8192 disk-B	         2.000 flushes
BenchmarkOther-2         	       1	      4096 things
PASS
pkg: github.com/cardea-id/cardea/internal/idle
BenchmarkLeftAlone	1	5.4123 rss	2.863 anonymous	0.85 wakeups	4096 written
`

// lines are those of a table, their blanks made one.
func lines(table string) (all []string) {
	for l := range strings.Lines(table) {
		all = append(all, strings.Join(strings.Fields(l), " "))
	}
	return all
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(printed), nil, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"cardea.Decide 29 ns 50 ns 0.58",
		"withdrawal to its return 1.25 ms 3.10 ms 5 ms 0.25",
		"written until a withdrawal returns 8192 B 4096 B 2.00",
		"flushes 2.0 1 2.00",
		"allocations 0 0 met",
		"written in a minute 4096 B 0 B missed",
		"of it anonymous 2.86 MB 2.5 MB 1.15",
		"change in the portal to the gate not measured",
	} {
		if !slices.Contains(lines(out.String()), want) {
			t.Errorf("no line %q in\n%s", want, &out)
		}
	}
}

// What was measured first stands beside it, and what has become worse by more than
// a fifth is marked.
func TestBesideTheFirst(t *testing.T) {
	const first = `# some machine
.Decide  ns/op  24.4  # nearly a fifth less
.Decide  allocs/op 0
internal/e2e.Withdraw p50-ms 2.5
internal/e2e.Withdraw p99-ms 2.5
internal/e2e.WithdrawCost disk-B 4096
internal/idle.LeftAlone written 0
internal/e2e.Gone p50-ms 1
`
	path := filepath.Join(t.TempDir(), "figures.txt")
	if err := os.WriteFile(path, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := compare([]string{path}, strings.NewReader(printed), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"cardea.Decide 29 ns 50 ns 0.58 1.20",
		"withdrawal to its return 1.25 ms 3.10 ms 5 ms 0.25 0.50, p99 1.24 worse",
		"written until a withdrawal returns 8192 B 4096 B 2.00 2.00 worse",
		"allocations 0 0 met same",
		"written in a minute 4096 B 0 B missed more worse",
		"of it anonymous 2.86 MB 2.5 MB 1.15",
	} {
		if !slices.Contains(lines(out.String()), want) {
			t.Errorf("no line %q in\n%s", want, &out)
		}
	}
}

func TestFirstFiguresThatCanNotBeRead(t *testing.T) {
	if err := compare([]string{filepath.Join(t.TempDir(), "none")}, strings.NewReader(printed), new(strings.Builder)); err == nil {
		t.Error("a file that is not there")
	}
	for _, bad := range []string{"Decide 3", "Decide ns/op many", "a b 1 2"} {
		if _, err := readFirst(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The file that is shipped is of rows there are.
func TestShippedFirstFigures(t *testing.T) {
	file, err := os.Open("../../testdata/figures.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	first, err := readFirst(file)
	if err != nil || len(first) == 0 {
		t.Fatal(len(first), err)
	}
	for benchmark, units := range first {
		for unit := range units {
			if !slices.ContainsFunc(rows, func(r row) bool { return r.benchmark == benchmark && (r.unit == unit || r.tail == unit) }) {
				t.Errorf("no row of %s in %s", benchmark, unit)
			}
		}
	}
}

// A table of nothing, and one of benchmarks that broke, are failures.
func TestNothingAndFailure(t *testing.T) {
	for _, bad := range []string{"", "PASS\n", printed + "--- FAIL: BenchmarkX\n", "FAIL\tgithub.com/cardea-id/cardea [build failed]\n"} {
		if err := run(strings.NewReader(bad), nil, new(strings.Builder)); err == nil {
			t.Errorf("%q makes a table", bad)
		}
	}
}

// Whoever waits for the table sees that something is done.
func TestProgress(t *testing.T) {
	var said strings.Builder
	p := &progress{Reader: iotest.OneByteReader(strings.NewReader(printed)), to: &said, began: time.Now()}
	if text, err := io.ReadAll(p); err != nil || string(text) != printed {
		t.Errorf("%v: %s", err, text)
	}
	var names []string
	for _, line := range lines(said.String()) {
		names = append(names, line[strings.LastIndexByte(line, ' ')+1:])
	}
	if want := []string{"Decide", "Withdraw", "WithdrawCost", "Other", "LeftAlone"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

// Every row is of a benchmark that is told apart by its unit.
func TestRowsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows {
		if key := r.benchmark + r.unit; seen[key] {
			t.Errorf("two rows of %s", key)
		} else {
			seen[key] = true
		}
	}
}

// Why a benchmark failed is said.
func TestFailureIsPassedOn(t *testing.T) {
	var out strings.Builder
	const said = "--- FAIL: BenchmarkX\n    cost_test.go:1: exec: \"strace\": executable file not found in $PATH\nFAIL\n"
	if err := run(strings.NewReader(printed+said), nil, &out); err == nil || !strings.Contains(out.String(), "strace") {
		t.Errorf("%v: %s", err, &out)
	}
}
