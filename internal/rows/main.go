// Command rows runs the tests that show what the product does and prints a line
// for each row of docs/features.md: what it says, its tests, and whether they
// passed. It fails on a row whose test failed, was skipped or is not there; what a
// test that failed had to say stands before the rows.
//
//	go run ./internal/rows docs/features.md [ROW...]
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/musts"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rows:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, args []string) error {
	if len(args) == 0 {
		return errors.New("say which table: rows docs/features.md [ROW...]")
	}
	rows, err := musts.Read(args[0])
	if err != nil {
		return err
	}
	if only := args[1:]; len(only) > 0 {
		rows = slices.DeleteFunc(rows, func(r musts.Row) bool { return !slices.Contains(only, r.Section) })
	}
	passed, err := tested(out, rows)
	if err != nil {
		return err
	}
	if missing := report(out, rows, passed); missing > 0 {
		return fmt.Errorf("%d of %d rows are not shown", missing, len(rows))
	}
	fmt.Fprintf(out, "%d rows, each shown by its tests\n", len(rows))
	return nil
}

// report prints a line a row and counts those that are not shown.
func report(out io.Writer, rows []musts.Row, passed map[musts.Name]bool) (missing int) {
	for _, r := range rows {
		verdict := "ok  "
		names := make([]string, len(r.Tests))
		for i, t := range r.Tests {
			names[i] = t.String()
			if !passed[t] {
				verdict, names[i] = "FAIL", names[i]+" (did not pass)"
			}
		}
		if verdict == "FAIL" {
			missing++
		}
		fmt.Fprintf(out, "%s %3s  %s: %s\n", verdict, r.Section, r.Demand, strings.Join(names, ", "))
	}
	return missing
}

// tested runs the tests of the rows and reports which passed.
func tested(out io.Writer, rows []musts.Row) (map[musts.Name]bool, error) {
	packages, tests := map[string]bool{}, map[string]bool{}
	for _, r := range rows {
		for _, t := range r.Tests {
			packages[t.Package], tests[t.Name] = true, true
		}
	}
	paths, err := pathsOf(packages)
	if err != nil {
		return nil, err
	}
	run := "^(" + strings.Join(slices.Sorted(maps.Keys(tests)), "|") + ")$"
	cmd := exec.Command("go", append([]string{"test", "-timeout", "10m", "-json", "-run", run}, paths...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	passed, err := passedOf(stdout, out)
	if waited := cmd.Wait(); err == nil && waited != nil {
		if _, failed := errors.AsType[*exec.ExitError](waited); !failed { // that tests failed, the rows say
			err = waited
		}
	}
	return passed, err
}

// pathsOf finds packages by the last part of their path.
func pathsOf(names map[string]bool) (paths []string, err error) {
	list, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for p := range strings.Lines(string(list)) {
		if p = strings.TrimSpace(p); names[path.Base(p)] {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// passedOf reads what go test -json says, and hands on what was said by tests
// that failed and of packages that could not be built.
func passedOf(in io.Reader, out io.Writer) (map[musts.Name]bool, error) {
	passed, said := map[musts.Name]bool{}, map[musts.Name]string{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct{ Action, Package, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		name := musts.Name{Package: path.Base(e.Package), Name: e.Test}
		switch e.Action {
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "output":
			said[name] += e.Output
		case "pass":
			passed[name] = e.Test != ""
			delete(said, name)
		case "fail":
			fmt.Fprint(out, said[name])
			delete(said, name)
		}
	}
	return passed, lines.Err()
}
