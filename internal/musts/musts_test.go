package musts_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/musts"
)

// words are how strongly a standard demands something (RFC 2119), and "ours"; of
// what the product does, where it does it.
var words = []string{"device", "cloud", "both", "MUST", "MUST NOT", "REQUIRED", "SHOULD", "SHOULD NOT", "RECOMMENDED", "NOT RECOMMENDED", "MAY", "ours"}

// demanded is how many rows with MUST, MUST NOT or REQUIRED a section has at
// least: as many as its text has demands on a part that we play.
var demanded = map[string]map[string]int{
	"RFC 8628": {"3.1": 5, "3.2": 5, "3.3": 1, "3.3.1": 1, "3.4": 4, "3.5": 4},
	"RFC 9449": {
		"2": 1, "4.2": 8, "4.3": 12, "5": 6, "5.2": 1, "6": 2, "6.1": 1, "6.2": 1, "7": 2, "7.1": 4, "7.2": 1,
		"8": 3, "8.2": 1, "10": 1, "10.1": 1, "11.1": 1, "11.3": 1, "11.5": 1, "11.6": 2,
	},
	"RFC 7009": {"2": 3, "2.1": 2, "5": 1},
	"RFC 7662": {"2.1": 2, "2.2": 2, "4": 5},
}

// promised are the rows of what the product does.
var promised = []int{
	1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	42, 43, 44, 45, 46, 47, 48, 50, 51, 52, 53, 56, 57, 58, 59, 65, 66, 68, 70,
}

// TestMustTables reads the tables of the standards and of what the product does,
// and fails on a function or a
// test that does not exist, and where a section has fewer rows than demands. That
// the tests ran, internal/ci sees at the end of make test.
func TestMustTables(t *testing.T) {
	code := declared(t, filepath.Join("..", ".."))
	counts := map[string]map[string]int{}
	for _, file := range []string{"../../docs/rfc8628.md", "../../docs/rfc9449.md", "../../docs/features.md"} {
		rows, err := musts.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			for _, fault := range missing(r, code) {
				t.Errorf("%s: %s", r.Where(), fault)
			}
			if strings.HasPrefix(r.Word, "MUST") || r.Word == "REQUIRED" || r.Standard == musts.Features {
				if counts[r.Standard] == nil {
					counts[r.Standard] = map[string]int{}
				}
				counts[r.Standard][r.Section]++
			}
		}
	}
	for _, row := range promised {
		if counts[musts.Features][strconv.Itoa(row)] != 1 {
			t.Errorf("docs/features.md: row %d is there %d times, want once", row, counts[musts.Features][strconv.Itoa(row)])
		}
	}
	for standard, sections := range demanded {
		for section, n := range sections {
			if got := counts[standard][section]; got < n {
				t.Errorf("%s, Section %s: %d rows with MUST, MUST NOT or REQUIRED, want %d", standard, section, got, n)
			}
		}
	}
}

// missing is what a row names and is not there.
func missing(r musts.Row, code map[string]packageNames) (faults []string) {
	if !slices.Contains(words, r.Word) {
		faults = append(faults, fmt.Sprintf("%q: one of %q", r.Word, words))
	}
	for _, name := range r.Functions {
		if !code[name.Package].functions[name.Name] {
			faults = append(faults, "there is no function "+name.String())
		}
	}
	for _, name := range r.Tests {
		if !code[name.Package].tests[name.Name] {
			faults = append(faults, "there is no test "+name.String())
		}
	}
	return faults
}

// packageNames are the functions and methods of a package, and its tests.
type packageNames struct{ functions, tests map[string]bool }

// declared reads all packages, by the last part of their path. One of two that
// share it could not be meant.
func declared(t *testing.T, root string) map[string]packageNames {
	t.Helper()
	all, twice := map[string]packageNames{}, map[string]bool{}
	err := filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); dir != root && (name == "testdata" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			return err
		}
		twice[d.Name()] = all[d.Name()].functions != nil
		all[d.Name()] = namesIn(t, files)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(all, func(name string, _ packageNames) bool { return twice[name] })
	return all
}

func namesIn(t *testing.T, files []string) packageNames {
	t.Helper()
	p := packageNames{map[string]bool{}, map[string]bool{}}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := f.Name.Name
			isTest := strings.HasSuffix(file, "_test.go")
			switch {
			case !isTest:
				p.functions[name] = true
			case f.Recv == nil && (strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")):
				p.tests[name] = true
			}
		}
	}
	return p
}

const table = `# RFC 8628, the server

| § | word | demand | where | test |
|---|---|---|---|---|
| 3.1 | MUST | a demand | ` + "`issuer.client`, `web.JSON` | `issuer.TestClients`" + ` |

| another | table |
|---|---|
| with | ` + "`x.Y`" + ` |

## OpenID Connect Discovery, Section 3

| § | word | demand | where | test |
|---|---|---|---|---|
| 3 | ours | another | ` + "`issuer.metadata` | `issuer.FuzzForm`" + ` |
`

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "table.md")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRead(t *testing.T) {
	rows, err := musts.Read(write(t, table))
	if err != nil || len(rows) != 2 {
		t.Fatalf("%+v, %v", rows, err)
	}
	first := rows[0]
	if first.Standard != "RFC 8628" || first.Section != "3.1" || first.Word != "MUST" || first.Demand != "a demand" || first.Line != 5 ||
		fmt.Sprint(first.Functions, first.Tests) != "[issuer.client web.JSON] [issuer.TestClients]" || !strings.HasSuffix(first.Where(), "table.md:5") {
		t.Errorf("%+v", first)
	}
	if rows[1].Standard != "OpenID Connect Discovery" || rows[1].Word != "ours" {
		t.Errorf("%+v", rows[1])
	}
}

func TestReadRefuses(t *testing.T) {
	for why, change := range map[string][2]string{
		"no test":        {"`issuer.TestClients`", "every test"},
		"no function":    {"`issuer.client`, `web.JSON`", "the issuer"},
		"a cell more":    {"a demand |", "a demand | and |"},
		"no section":     {"| 3.1 |", "| |"},
		"no table":       {"| § |", "| section |"},
		"half qualified": {"`issuer.TestClients`", "`TestClients`"},
	} {
		if rows, err := musts.Read(write(t, strings.ReplaceAll(table, change[0], change[1]))); err == nil {
			t.Errorf("%s: read %+v", why, rows)
		}
	}
	if _, err := musts.Read("none.md"); err == nil {
		t.Error("a file that is not there was read")
	}
}

// What is not there is found, of each kind.
func TestWhatIsMissingIsFound(t *testing.T) {
	code := declared(t, filepath.Join("..", ".."))
	good := musts.Name{Package: "musts", Name: "Read"}
	if !code["musts"].functions["Read"] || !code["musts"].tests["TestRead"] || code["musts"].functions["TestRead"] || code["musts"].tests["write"] {
		t.Fatal("this package is not read right")
	}
	for _, r := range []musts.Row{
		{Word: "must", Functions: []musts.Name{good}},
		{Word: "MUST", Functions: []musts.Name{{Package: "musts", Name: "Write"}}},
		{Word: "MUST", Functions: []musts.Name{{Package: "nowhere", Name: "Read"}}},
		{Word: "MUST", Tests: []musts.Name{{Package: "musts", Name: "TestWrite"}}},
	} {
		if len(missing(r, code)) != 1 {
			t.Errorf("%+v: %q", r, missing(r, code))
		}
	}
}
