package main

import (
	"slices"
	"strings"
	"testing"
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
BenchmarkIdle            	       1	      4096 disk-B/min	         2.863 MB-own
BenchmarkOther-2         	       1	      4096 things
PASS
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
	if err := run(strings.NewReader(printed), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"cardea.Decide 29 ns 50 ns 0.58",
		"withdrawal to its return 1.25 ms 3.10 ms 5 ms 0.25",
		"written until a withdrawal returns 8192 B 4096 B 2.00",
		"flushes 2.0 1 2.00",
		"allocations 0 0 met",
		"written per idle minute 4096 B 0 B missed",
		"of it not its program's text 2.9 MB",
		"change in the portal to the gate not measured",
	} {
		if !slices.Contains(lines(out.String()), want) {
			t.Errorf("no line %q in\n%s", want, &out)
		}
	}
}

// A table of nothing, and one of benchmarks that broke, are failures.
func TestNothingAndFailure(t *testing.T) {
	for _, bad := range []string{"", "PASS\n", printed + "--- FAIL: BenchmarkX\n", "FAIL\tgithub.com/cardea-id/cardea [build failed]\n"} {
		if err := run(strings.NewReader(bad), new(strings.Builder)); err == nil {
			t.Errorf("%q makes a table", bad)
		}
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
	if err := run(strings.NewReader(printed+said), &out); err == nil || !strings.Contains(out.String(), "strace") {
		t.Errorf("%v: %s", err, &out)
	}
}
