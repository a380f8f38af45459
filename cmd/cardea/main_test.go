package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/tool"
)

// What the program does is tested where it is written; this is that there is
// something to be had without an argument.
func TestHelpIsTheDefault(t *testing.T) {
	var out bytes.Buffer
	code := tool.Run(t.Context(), nil, tool.IO{In: os.Stdin, Out: &out, Err: &out, Env: func(string) string { return "" }})
	if code != tool.Done || !strings.Contains(out.String(), "cardea") {
		t.Errorf("%d: %s", code, out.String())
	}
}
