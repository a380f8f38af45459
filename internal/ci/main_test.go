package main

import (
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
