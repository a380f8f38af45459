package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/musts"
)

const table = `# What it does

| row | on | what | where | test |
|---|---|---|---|---|
| 1 | cloud | reads tables | ` + "`musts.Read` | `musts.TestRead`" + ` |
| 2 | cloud | refuses others | ` + "`musts.Read` | `musts.TestReadRefuses`, `musts.TestNothing`" + ` |
`

func rowsOf(t *testing.T, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "features.md")
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join("..", ".."))
	var out strings.Builder
	err := run(&out, append([]string{file}, args...))
	return out.String(), err
}

// Each row is run and told; one that names a test that is not there is not shown.
func TestRows(t *testing.T) {
	said, err := rowsOf(t)
	if err == nil || err.Error() != "1 of 2 rows are not shown" {
		t.Errorf("%v", err)
	}
	want := "ok     1  reads tables: musts.TestRead\nFAIL   2  refuses others: musts.TestReadRefuses, musts.TestNothing (did not pass)\n"
	if said != want {
		t.Errorf("%s", said)
	}
}

func TestOneRow(t *testing.T) {
	if said, err := rowsOf(t, "1"); err != nil || !strings.HasSuffix(said, "1 rows, each shown by its tests\n") {
		t.Errorf("%v\n%s", err, said)
	}
}

// A test that failed or was skipped is not one that passed.
func TestPassed(t *testing.T) {
	var out strings.Builder
	passed, err := passedOf(strings.NewReader(`{"Action":"output","Package":"m/a","Test":"TestX","Output":"not told\n"}
{"Action":"pass","Package":"m/a","Test":"TestX"}
{"Action":"output","Package":"m/a","Test":"TestY","Output":"the reason\n"}
{"Action":"fail","Package":"m/a","Test":"TestY"}
{"Action":"skip","Package":"m/a","Test":"TestZ"}
{"Action":"pass","Package":"m/b"}
no json
{"Action":"build-output","ImportPath":"m/c","Output":"c.go:1: undefined\n"}
`), &out)
	if err != nil || !passed[musts.Name{Package: "a", Name: "TestX"}] || passed[musts.Name{Package: "a", Name: "TestY"}] || passed[musts.Name{Package: "a", Name: "TestZ"}] {
		t.Errorf("%v, %v", passed, err)
	}
	if out.String() != "the reason\nc.go:1: undefined\n" {
		t.Errorf("%s", &out)
	}
}
