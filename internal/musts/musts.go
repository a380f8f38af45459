// Package musts reads the tables in docs that follow demands one by one: which
// function of ours obeys, and which test would fail if it did not. A table of a
// standard has the columns
//
//	| § | word | demand | where | test |
//
// and one of what the product does
//
//	| row | on | what | where | test |
//
// with functions as `package.function` and tests as `package.TestName`, by the
// last part of a package's path. That the names exist is a test of this package;
// that the tests have passed, internal/ci judges at the end of a whole run.
package musts

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A Name is a function or a test of a package, by the last part of its path.
type Name struct{ Package, Name string }

func (n Name) String() string { return n.Package + "." + n.Name }

// A Row is one demand. Word is how strongly a standard demands it, "MUST" for
// example, in the standard's own capitals; "ours" for what it does not demand.
// Of what the product does, Word is where: "device", "cloud" or "both".
type Row struct {
	File      string
	Line      int
	Standard  string // of the heading above the table, "RFC 8628"; [Features]
	Section   string // or the row's number
	Word      string
	Demand    string
	Functions []Name
	Tests     []Name
}

// Where is the row's place, for a message.
func (r Row) Where() string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

// Features is the standard of rows of what the product does.
const Features = "Features"

// The headers that begin a table; all others are left alone.
const (
	header         = "| § | word | demand | where | test |"
	featuresHeader = "| row | on | what | where | test |"
)

var (
	heading = regexp.MustCompile(`^#+ .*?((?:RFC|OpenID) [A-Za-z0-9 ]*[A-Za-z0-9])`)
	named   = regexp.MustCompile("`([a-z0-9]+)\\.([A-Za-z0-9_]+)`")
)

// Read reads the tables of a file. A row that is not of their form is an error.
func Read(file string) ([]Row, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows []Row
	var standard string
	inside := false
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if m := heading.FindStringSubmatch(line); m != nil {
			standard = m[1]
		}
		switch {
		case line == header, line == featuresHeader:
			inside = true
			if line == featuresHeader {
				standard = Features
			}
			continue
		case !strings.HasPrefix(line, "|"):
			inside = false
		}
		if !inside || strings.HasPrefix(line, "|---") {
			continue
		}
		r, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		r.File, r.Line, r.Standard = file, n, standard
		rows = append(rows, r)
	}
	if len(rows) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("%s: no table with the columns %s or %s", file, header, featuresHeader)
	}
	return rows, lines.Err()
}

func parse(line string) (Row, error) {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != 5 {
		return Row{}, fmt.Errorf("%d cells, want 5: %.60s", len(cells), line)
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	r := Row{Section: cells[0], Word: cells[1], Demand: cells[2], Functions: names(cells[3]), Tests: names(cells[4])}
	if r.Section == "" || r.Demand == "" || len(r.Functions) == 0 || len(r.Tests) == 0 {
		return Row{}, fmt.Errorf("a row needs a section, a demand, a `package.function` and a `package.TestName`: %.60s", line)
	}
	return r, nil
}

func names(cell string) (all []Name) {
	for _, m := range named.FindAllStringSubmatch(cell, -1) {
		all = append(all, Name{m[1], m[2]})
	}
	return all
}
