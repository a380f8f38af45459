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
	err := run(t.Context(), []string{"-bin", bin, "-rounds", "8"}, &out, os.Stderr)
	if err != nil && !strings.Contains(err.Error(), "less than a fifth") {
		t.Fatal(err)
	}
	for _, want := range []string{"rounds=8 ", "seconds-refused=2 lost=0 allowed-after-withdraw=0 chains-verified=1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("printed %q without %q", out.String(), want)
		}
	}
}

func TestWhatFails(t *testing.T) {
	enough := side{kills: 10, inside: 2, acknowledged: 9}
	good := tally{agent: enough, cloud: enough, chains: 1}
	if err := good.err(); err != nil {
		t.Error(err)
	}
	few := side{kills: 10, inside: 1}
	for _, bad := range []tally{
		{agent: enough, cloud: enough, chains: 1, lost: 1}, {agent: enough, cloud: enough, chains: 1, allowed: 1},
		{agent: few, cloud: enough, chains: 1}, {agent: enough, cloud: few, chains: 1}, {agent: enough, cloud: enough},
	} {
		if bad.err() == nil {
			t.Errorf("%s passes", bad)
		}
	}
}
