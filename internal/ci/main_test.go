package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const passing = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Test":"TestX","Output":"=== RUN TestX\n"}
{"Action":"pass","Package":"a","Test":"TestX","Elapsed":0.1}
{"Action":"output","Package":"a","Output":"ok  \ta\n"}
{"Action":"pass","Package":"a","Elapsed":0.2}
`

func TestVerdict(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		ok   bool
		says string
	}{
		"all pass": {passing, true, "1 passed, 0 failed, 0 skipped\n"},
		"one fails": {passing + `{"Action":"output","Package":"b","Test":"TestY","Output":"the reason\n"}
{"Action":"fail","Package":"b","Test":"TestY"}
{"Action":"fail","Package":"b"}
`, false, "the reason"},
		"one is skipped": {passing + `{"Action":"output","Package":"b","Test":"TestY","Output":"no network\n"}
{"Action":"skip","Package":"b","Test":"TestY"}
{"Action":"pass","Package":"b"}
`, false, "SKIP b TestY\nno network"},
		"a package without tests": {passing + `{"Action":"output","Package":"c","Output":"?   \tc\t[no test files]\n"}
{"Action":"skip","Package":"c"}
`, false, "FAIL c has no tests"},
		"a package whose tests were filtered out": {`{"Action":"pass","Package":"c"}` + "\n", false, "c has no tests"},
		"a build that breaks": {passing + `{"Action":"build-output","ImportPath":"d","Output":"d.go:1: undefined\n"}
{"Action":"build-fail","ImportPath":"d"}
{"Action":"output","Package":"d","Output":"FAIL\td [build failed]\n"}
{"Action":"fail","Package":"d"}
`, false, "undefined"},
		"no JSON":      {passing + "go: no such module\n", false, "go: no such module"},
		"nothing":      {"", false, "no test ran"},
		"only a start": {`{"Action":"start","Package":"a"}` + "\n", false, "FAIL a has not ended"},
		"a figure": {passing + `{"Action":"attr","Package":"a","Test":"TestX","Key":"size","Value":"9 MB"}` + "\n",
			true, "TestX: size: 9 MB\n1 passed, 0 failed, 0 skipped\n"},
		"a run that was killed": {passing + `{"Action":"start","Package":"b"}` + "\n", false, "1 passed, 1 failed"},
	} {
		var out strings.Builder
		ok, err := run(strings.NewReader(test.in), &out)
		if ok != test.ok || err != nil || !strings.Contains(out.String(), test.says) {
			t.Errorf("%s: %t, %v, want %t with %q in:\n%s", name, ok, err, test.ok, test.says, &out)
		}
	}
}

// A test that a standard's table names must have passed, in its own package.
func TestTables(t *testing.T) {
	const head = "# RFC 8628\n\n| § | word | demand | where | test |\n|---|---|---|---|---|\n"
	file := filepath.Join(t.TempDir(), "table.md")
	judge := func(row string) (bool, string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(head+row), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		ok, err := run(strings.NewReader(passing), &out, file)
		if err != nil {
			t.Fatal(err)
		}
		return ok, out.String()
	}
	if ok, out := judge("| 3.1 | MUST | obey | `a.b` | `a.TestX` |\n"); !ok || !strings.HasSuffix(out, "1 passed, 0 failed, 0 skipped\n") {
		t.Error(out)
	}
	for _, test := range []string{"a.TestY", "b.TestX"} {
		ok, out := judge("| 3.1 | MUST | obey | `a.b` | `a.TestX`, `" + test + "` |\n")
		if ok || !strings.Contains(out, "table.md:5: "+test+" did not pass: RFC 8628, Section 3.1: obey\n1 passed, 1 failed") {
			t.Error(out)
		}
	}
	for _, in := range []string{
		strings.Replace(passing, `"Action":"pass","Package":"a","Test"`, `"Action":"fail","Package":"a","Test"`, 1),
		strings.Replace(passing, `"Action":"pass","Package":"a","Test"`, `"Action":"skip","Package":"a","Test"`, 1),
	} {
		var out strings.Builder
		if ok, err := run(strings.NewReader(in), &out, file); ok || err != nil || !strings.Contains(out.String(), "a.TestX did not pass") {
			t.Errorf("%v: %s", err, &out)
		}
	}
	if ok, err := run(strings.NewReader(passing), new(strings.Builder), "none.md"); ok || err == nil {
		t.Error("a table that is not there was taken for a good one")
	}
}
