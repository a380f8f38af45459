// Command ci reads what "go test -json" says and judges it as a whole: a test
// that failed, a test that was skipped, a package without tests or one that never
// ended, or a build that broke is a failure. It prints failures as they come,
// every package with its time, the figures that tests give with testing.T.Attr,
// and at the end one line that counts.
//
//	go test -json ./... | go run ./internal/ci docs/rfc8628.md docs/features.md
//
// The files it is given have tables of standards (see internal/musts): a test that
// is named there and did not pass in this run is a failure too. Only a whole run
// can be judged so.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/musts"
)

func main() {
	ok, err := run(os.Stdin, os.Stdout, os.Args[1:]...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ci:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// An event is one line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build events
	Test       string
	Output     string
	Key, Value string // of an attribute
	Elapsed    float64
}

// A verdict collects what was seen.
type verdict struct {
	out                     io.Writer
	passed, failed, skipped int
	output                  map[string]*strings.Builder // of each test that runs
	tested                  map[string]bool             // packages that had a test
	running                 map[string]bool             // packages that have begun and not ended
	right                   map[musts.Name]bool         // tests that passed, by the last part of their package
	figures                 []string
}

// run reads events until the end and reports whether everything passed, and with
// it every test the tables name.
func run(in io.Reader, out io.Writer, tables ...string) (bool, error) {
	v := &verdict{
		out: out, output: map[string]*strings.Builder{}, tested: map[string]bool{}, running: map[string]bool{}, right: map[musts.Name]bool{},
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // what go itself has to say
			v.failed++
			continue
		}
		v.see(e)
	}
	v.close()
	for _, file := range tables {
		if err := v.standards(file); err != nil {
			return false, err
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", v.passed, v.failed, v.skipped)
	return v.failed == 0 && v.skipped == 0, lines.Err()
}

// close judges what is missing and prints the figures.
func (v *verdict) close() {
	for _, p := range slices.Sorted(maps.Keys(v.running)) {
		v.failed++
		fmt.Fprintf(v.out, "FAIL %s has not ended\n", p)
	}
	if v.passed+v.failed == 0 {
		v.failed++
		fmt.Fprintln(v.out, "no test ran")
	}
	for _, f := range v.figures {
		fmt.Fprintln(v.out, f)
	}
}

// standards fails every test of a table that did not pass.
func (v *verdict) standards(file string) error {
	rows, err := musts.Read(file)
	if err != nil {
		return err
	}
	for _, r := range rows {
		for _, name := range r.Tests {
			if !v.right[name] {
				v.failed++
				fmt.Fprintf(v.out, "FAIL %s: %s did not pass: %s, Section %s: %s\n", r.Where(), name, r.Standard, r.Section, r.Demand)
			}
		}
	}
	return nil
}

func (v *verdict) see(e event) {
	at := e.Package + " " + e.Test
	switch e.Action {
	case "start":
		v.running[e.Package] = true
	case "attr":
		v.figures = append(v.figures, fmt.Sprintf("%s: %s: %s", e.Test, e.Key, e.Value))
	case "build-output":
		fmt.Fprint(v.out, e.Output)
	case "output":
		if v.output[at] == nil {
			v.output[at] = new(strings.Builder)
		}
		v.output[at].WriteString(e.Output)
		v.tested[e.Package] = v.tested[e.Package] || e.Test != ""
	case "pass", "fail", "skip":
		v.end(e, at)
		delete(v.output, at)
	}
}

// end judges a test, or a package if the event names no test.
func (v *verdict) end(e event, at string) {
	if e.Test == "" {
		v.endPackage(e, at)
		return
	}
	switch e.Action {
	case "pass":
		v.passed++
		v.right[musts.Name{Package: path.Base(e.Package), Name: e.Test}] = true
		return
	case "fail":
		v.failed++
	case "skip":
		v.skipped++
	}
	fmt.Fprintf(v.out, "%s %s %s\n%s", strings.ToUpper(e.Action), e.Package, e.Test, v.said(at))
}

func (v *verdict) endPackage(e event, at string) {
	delete(v.running, e.Package)
	switch {
	case !v.tested[e.Package] && e.Action != "fail":
		v.failed++
		fmt.Fprintf(v.out, "FAIL %s has no tests\n", e.Package)
	case e.Action == "fail":
		v.failed++
		fmt.Fprintf(v.out, "FAIL %s\n%s", e.Package, v.said(at))
	default:
		fmt.Fprintf(v.out, "ok   %s %.1fs\n", e.Package, e.Elapsed)
	}
}

func (v *verdict) said(at string) string {
	if b := v.output[at]; b != nil {
		return b.String()
	}
	return ""
}
