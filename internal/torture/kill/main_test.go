package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/stage"
)

// A few rounds with the real programs. Whether enough kills fall inside a write
// only many rounds tell.
func TestFewRounds(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bin")
	if err := stage.Build(bin); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := run(t.Context(), []string{"-bin", bin, "-rounds", "4"}, &out, os.Stderr)
	if err != nil && !strings.Contains(err.Error(), "less than a fifth") {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "rounds=4") || !strings.Contains(out.String(), "lost=0 allowed-after-withdraw=0 chains-verified=1") {
		t.Errorf("printed %q", out.String())
	}
}

func TestWhatFails(t *testing.T) {
	good := tally{rounds: 10, inside: 2, acknowledged: 9, chains: 1}
	if err := good.err(); err != nil {
		t.Error(err)
	}
	for _, bad := range []tally{
		{rounds: 10, inside: 9, chains: 1, lost: 1}, {rounds: 10, inside: 9, chains: 1, allowed: 1},
		{rounds: 10, inside: 1, chains: 1}, {rounds: 10, inside: 9},
	} {
		if bad.err() == nil {
			t.Errorf("%s passes", bad)
		}
	}
}
